/* auth/canon_test.c: canonical fields and bodies (RFC 6376 3.4), whole and one byte at a time. */
#include "auth/canon.h"
#include "tests/unit.h"

#include <string.h>

static void test_fields(void **state)
{
	static const struct {
		const char *raw, *relaxed;
	} rows[] = {
		{ "A: X\r\n", "a:X" }, /* RFC 6376 3.4.5 */
		{ "B : Y\t\r\n\tZ  \r\n", "b:Y Z" },
		{ "Subject:\r\n", "subject:" },
		{ "SUBJect: \t \r\n \t\r\n", "subject:" },
		{ "Subject:a  b\r\n\r\n", "subject:a b" },
		{ "Subject: a\r\n  b \t c\r\n", "subject:a b c" },
		{ "X:y", "x:y" },
	};
	struct buf b;

	(void)state;
	buf_init(&b, 1000);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct str raw = str_c(rows[i].raw), value = str_skip(raw, (size_t)str_chr(raw, ':') + 1);
		buf_reset(&b);
		canon_field(CANON_RELAXED, raw, value, &b);
		check_str(buf_str(&b), str_c(rows[i].relaxed), rows[i].raw);
		buf_reset(&b);
		canon_field(CANON_SIMPLE, raw, value, &b);
		check_str(buf_str(&b), str_head(raw, raw.n - (str_ends(raw, S("\r\n")) ? 2 : 0)), rows[i].raw);
	}
	buf_fini(&b);
}

static void hash_of(struct str s, unsigned char out[DIGEST_SIZE])
{
	struct digest *d = digest_new();

	digest_add(d, s);
	digest_end(d, out);
	digest_free(&d);
}

static void test_bodies(void **state)
{
	static const struct {
		const char *body, *simple, *relaxed;
	} rows[] = {
		{ "", "\r\n", "" },
		{ "\r\n", "\r\n", "" },
		{ "\r\n\r\n\r\n", "\r\n", "" },
		{ " C \r\nD \t E\r\n\r\n\r\n", " C \r\nD \t E\r\n", " C\r\nD E\r\n" }, /* RFC 6376 3.4.5 */
		{ "a", "a\r\n", "a\r\n" },
		{ "a\r\n", "a\r\n", "a\r\n" },
		{ "a \t\r\n", "a \t\r\n", "a\r\n" },
		{ "  a  b  ", "  a  b  \r\n", " a b\r\n" },
		{ " \r\n\t\r\n", " \r\n\t\r\n", "" },
		{ "\r\n\r\na\r\n\r\nb\r\n\r\n", "\r\n\r\na\r\n\r\nb\r\n", "\r\n\r\na\r\n\r\nb\r\n" },
		{ "a\rb\r\n", "a\rb\r\n", "a\rb\r\n" },
		{ "a \r b\r\n", "a \r b\r\n", "a \r b\r\n" },
		{ "a\r", "a\r\r\n", "a\r\r\n" },
		{ "a\r\r\n", "a\r\r\n", "a\r\r\n" },
		{ " \r\n a", " \r\n a\r\n", "\r\n a\r\n" },
		{ ".\r\n", ".\r\n", ".\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		for (size_t step = 1; step <= 32; step *= 32)
			for (int c = CANON_SIMPLE; c <= CANON_RELAXED; c++) {
				unsigned char got[DIGEST_SIZE], want[DIGEST_SIZE];
				struct str s = str_c(rows[i].body);
				struct canon_body b;
				canon_body_init(&b, (enum canon)c);
				for (; s.n > 0; s = str_skip(s, step))
					canon_body_add(&b, str_head(s, step));
				canon_body_end(&b, got);
				canon_body_fini(&b);
				hash_of(str_c(c == CANON_SIMPLE ? rows[i].simple : rows[i].relaxed), want);
				check(memcmp(got, want, DIGEST_SIZE) == 0, rows[i].body);
			}
}

static void test_many_ends(void **state)
{
	unsigned char got[DIGEST_SIZE], want[DIGEST_SIZE];
	static char lines[2 * 1000 + 1];
	struct canon_body b;

	(void)state;
	for (int i = 0; i < 1000; i++)
		memcpy(lines + 2 * i, "\r\n", 2);
	for (size_t n = 0; n < 1000; n += 37) {
		lines[2 * n] = 'x';
		canon_body_init(&b, CANON_SIMPLE);
		canon_body_add(&b, str_n(lines, 2 * n + 1));
		canon_body_add(&b, S("\r\n"));
		canon_body_end(&b, got);
		canon_body_fini(&b);
		struct digest *d = digest_new();
		digest_add(d, str_n(lines, 2 * n + 1));
		digest_add(d, S("\r\n"));
		digest_end(d, want);
		digest_free(&d);
		assert_memory_equal(got, want, DIGEST_SIZE);
		lines[2 * n] = '\r';
	}
}

/* The letter of RFC 8463 A: its body's hash, and its Ed25519 signature over the canonical fields. */
static void test_rfc8463(void **state)
{
	static const char fields[][80] = {
		"From: Joe SixPack <joe@football.example.com>\r\n",
		"To: Suzie Q <suzie@shopping.example.net>\r\n",
		"Subject: Is dinner ready?\r\n",
		"Date: Fri, 11 Jul 2003 21:00:37 -0700 (PDT)\r\n",
		"Message-ID: <20030712040037.46341.5F8J@football.example.com>\r\n",
	};
	static const char own[] = "DKIM-Signature: v=1; a=ed25519-sha256; c=relaxed/relaxed;\r\n"
				  " d=football.example.com; i=@football.example.com;\r\n"
				  " q=dns/txt; s=brisbane; t=1528637909; h=from : to :\r\n"
				  " subject : date : message-id : from : subject : date;\r\n"
				  " bh=2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8=;\r\n b=\r\n";
	unsigned char hash[DIGEST_SIZE], want[DIGEST_SIZE], key[32], sig[64];
	struct canon_body b;
	struct buf out;
	size_t n;

	(void)state;
	canon_body_init(&b, CANON_RELAXED);
	canon_body_add(&b, S("Hi.\r\n\r\nWe lost the game.  Are you hungry yet?\r\n\r\nJoe.\r\n"));
	canon_body_end(&b, hash);
	canon_body_fini(&b);
	assert_true(signature_base64(S("2jUSOH9NhtVGCQWNr9BrIAPreKQjO6Sn7XIkfJVOzv8="), want, sizeof want, &n));
	assert_memory_equal(hash, want, DIGEST_SIZE);

	buf_init(&out, 4096);
	for (size_t i = 0; i <= COUNT(fields); i++) {
		struct str raw = str_c(i < COUNT(fields) ? fields[i] : own);
		canon_field(CANON_RELAXED, raw, str_skip(raw, (size_t)str_chr(raw, ':') + 1), &out);
		buf_add(&out, i < COUNT(fields) ? S("\r\n") : S(""));
	}
	hash_of(buf_str(&out), hash);
	assert_true(signature_base64(S("11qYAYKxCrfVS/7TyWQHOg7hcvPapiMlrwIaaPcHURo="), key, sizeof key, &n));
	assert_true(signature_base64(S("/gCrinpcQOoIfuHNQIbq4pgh9kyIK3AQUdt9OdqQehSwhEIug4D11Bus\r\n"
				       " Fa3bT3FY5OsU7ZbnKELq+eXdp1Q1Dw=="),
				     sig, sizeof sig, &n));
	assert_int_equal(signature_check(SIGNATURE_ED25519, str_n(key, 32), hash, str_n(sig, n)), SIGNATURE_GOOD);
	hash[0] ^= 1;
	assert_int_equal(signature_check(SIGNATURE_ED25519, str_n(key, 32), hash, str_n(sig, n)), SIGNATURE_WRONG);
	buf_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_fields),
		cmocka_unit_test(test_bodies),
		cmocka_unit_test(test_many_ends),
		cmocka_unit_test(test_rfc8463),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
