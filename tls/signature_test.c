/* tls/signature_test.c: base64 as mail has it, and keys and signatures of strangers. */
#include "tls/signature.h"
#include "tests/kit/openssl_sealer.h"
#include "tests/unit.h"

#include <string.h>

static void test_base64(void **state)
{
	static const struct {
		const char *text, *bytes; /* NULL: refused */
	} rows[] = {
		{ "", "" },
		{ "TQ==", "M" },
		{ "TWE=", "Ma" },
		{ "TWFu", "Man" },
		{ "TWFuTWFu", "ManMan" },
		{ " T W\\r\\n\\tFu ", NULL },
		{ " T W\r\n\tFu ", "Man" },
		{ "TQ", NULL },
		{ "TWF", NULL },
		{ "T===", NULL },
		{ "====", NULL },
		{ "TQ==TWFu", NULL },
		{ "TQ=TWFu", NULL },
		{ "TW-u", NULL },
		{ "TW_u", NULL },
		{ "TWFu;", NULL },
		{ "/+//", "\xff\xef\xff" },
	};
	unsigned char out[8];
	size_t n;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		bool good = signature_base64(str_c(rows[i].text), out, sizeof out, &n);
		check(good == (rows[i].bytes != NULL), rows[i].text);
		if (good)
			check_str(str_n(out, n), str_c(rows[i].bytes), rows[i].text);
	}
	assert_true(signature_base64(S("TWFuTWFu"), out, 6, &n));
	assert_false(signature_base64(S("TWFuTWFu"), out, 5, &n));
	assert_false(signature_base64(str_n("TW\0u", 4), out, sizeof out, &n));
}

static void test_digest(void **state)
{
	unsigned char one[DIGEST_SIZE], two[DIGEST_SIZE];
	static const unsigned char abc[] = { 0xba, 0x78, 0x16, 0xbf }; /* FIPS 180-2 B.1 */
	struct digest *d = digest_new(), *e = digest_new();

	(void)state;
	digest_add(d, S("abc"));
	digest_add(e, S("a"));
	digest_add(e, STR_NONE);
	digest_add(e, S("bc"));
	digest_end(d, one);
	digest_end(e, two);
	assert_memory_equal(one, two, DIGEST_SIZE);
	assert_memory_equal(one, abc, sizeof abc);
	digest_free(&d);
	digest_free(&e);
	digest_free(&e);
}

/* What is no key, or none of its kind; nothing of it may stay in OpenSSL's error queue for the next who looks there. */
static void test_keys(void **state)
{
	static const unsigned char hash[DIGEST_SIZE];
	unsigned char der[2048], junk[300];
	struct sealer_key *rsa = sealer_key_new(1024), *short_one = sealer_key_new(1016);
	struct buf text;
	size_t n;

	(void)state;
	buf_init(&text, 8192);
	sealer_key_record(rsa, false, &text);
	assert_true(signature_base64(buf_str(&text), der, sizeof der, &n));
	struct str key = str_n(der, n);
	memset(junk, 'x', sizeof junk);
	assert_int_equal(signature_check(SIGNATURE_RSA, key, hash, str_n(junk, 128)), SIGNATURE_WRONG);
	assert_int_equal(signature_check(SIGNATURE_RSA, key, hash, STR_NONE), SIGNATURE_WRONG);
	assert_int_equal(signature_check(SIGNATURE_RSA, str_head(key, n - 1), hash, STR_NONE), SIGNATURE_BAD_KEY);
	assert_int_equal(signature_check(SIGNATURE_RSA, str_skip(key, 1), hash, STR_NONE), SIGNATURE_BAD_KEY);
	assert_int_equal(signature_check(SIGNATURE_RSA, STR_NONE, hash, STR_NONE), SIGNATURE_BAD_KEY);
	assert_int_equal(signature_check(SIGNATURE_RSA, str_n(junk, sizeof junk), hash, STR_NONE), SIGNATURE_BAD_KEY);
	der[n] = 'x';
	assert_int_equal(signature_check(SIGNATURE_RSA, str_n(der, n + 1), hash, STR_NONE), SIGNATURE_BAD_KEY);
	assert_int_equal(signature_check(SIGNATURE_ED25519, key, hash, STR_NONE), SIGNATURE_BAD_KEY);
	assert_int_equal(signature_check(SIGNATURE_ED25519, str_n(junk, 31), hash, STR_NONE), SIGNATURE_BAD_KEY);
	assert_int_equal(signature_check(SIGNATURE_ED25519, str_n(junk, 32), hash, str_n(junk, 64)), SIGNATURE_WRONG);
	buf_reset(&text);
	sealer_key_record(short_one, true, &text);
	assert_true(signature_base64(buf_str(&text), der, sizeof der, &n));
	assert_int_equal(signature_check(SIGNATURE_RSA, str_n(der, n), hash, STR_NONE), SIGNATURE_WEAK_KEY);
	sealer_key_free(&rsa);
	sealer_key_free(&short_one);
	buf_fini(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_base64),
		cmocka_unit_test(test_digest),
		cmocka_unit_test(test_keys),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
