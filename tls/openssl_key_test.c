/* Tests of private keys by URI: a file's, and every way there is none. */
#include "tls/certs.h"
#include "tls/test_pair.h"

#include "base/time.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

static const struct cert *get(struct certs *s, const char *scheme, const char *key, struct err *e)
{
	static char uri[8][200];
	static unsigned at;
	char *to = uri[at++ % 8];

	snprintf(to, sizeof uri[0], "%s%s", scheme, key != NULL ? cert(key).p : "");
	*e = (struct err){ 0 };
	return certs_get(s, cert("server.pem"), str_c(to), clock_wall_ms(), e);
}

static void test_uri(void **state)
{
	static const struct {
		const char *scheme, *key, *says;
	} bad[] = {
		{ "file:", "mismatch.key", "does not belong to the certificate in" },
		{ "file:", "nowhere.key", "No such file" },
		{ "file:", "ca.pem", "there is none" },
		{ "file:", "locked.key", "wants a password" },
		{ "pkcs11:token=mail;object=x?pin-value=geheim", NULL, "no provider of OpenSSL is there" },
		{ "tpm2:handle=0x81000000", NULL, "no provider of OpenSSL is there" },
	};
	const struct conf_tls tls = { .ca = cert("ca.pem") };
	struct buf problems;
	struct err e;
	(void)state;

	buf_init(&problems, 4096);
	struct certs *s = certs_load(&tls, false, &problems);
	assert_non_null(s);
	const struct cert *c = get(s, "file:", "server.key", &e); /* chosen, so it was shown to ourselves */
	if (c == NULL)
		fail_msg("%s", e.text);
	assert_string_equal(cert_facts(c)->key_type, "EC");
	for (size_t i = 0; i < sizeof bad / sizeof bad[0]; i++) {
		assert_null(get(s, bad[i].scheme, bad[i].key, &e));
		if (str_find(str_c(e.text), str_c(bad[i].says)) < 0 || str_find(str_c(e.text), S("geheim")) >= 0)
			fail_msg("%s: %s", bad[i].scheme, e.text);
	}
	certs_unref(&s);
	buf_fini(&problems);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_uri) };

	return cmocka_run_group_tests_name("tls/openssl_key", tests, certs_make, certs_remove);
}
