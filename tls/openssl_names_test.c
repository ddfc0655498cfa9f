/* Tests of what is read out of a certificate, and that strict/verify agrees with OpenSSL's own X509_check_host: every
 * reference name below against every presented name, as SAN and as CN. */
#include "tls/openssl_tls.h"

#include "base/must.h"

#include <openssl/x509v3.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define ALL(t) (sizeof(t) / sizeof *(t))

static void add_san(GENERAL_NAMES *names, int type, struct str bytes)
{
	GENERAL_NAME *g = GENERAL_NAME_new();
	ASN1_STRING *s = type == GEN_IPADD ? ASN1_OCTET_STRING_new() : ASN1_IA5STRING_new();

	must(ASN1_STRING_set(s, bytes.p, (int)bytes.n) == 1);
	GENERAL_NAME_set0_value(g, type, s);
	sk_GENERAL_NAME_push(names, g);
}

/* A certificate with these names only; nothing here needs it signed. */
static X509 *make_certificate(const struct str *sans, size_t san_n, const struct str *cns, size_t cn_n)
{
	X509 *x = X509_new();
	GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
	X509_NAME *subject = X509_get_subject_name(x);

	for (size_t i = 0; i < san_n; i++)
		add_san(names, GEN_DNS, sans[i]);
	if (san_n > 0)
		must(X509_add1_ext_i2d(x, NID_subject_alt_name, names, 0, 0) == 1);
	for (size_t i = 0; i < cn_n; i++)
		must(X509_NAME_add_entry_by_NID(subject, NID_commonName, MBSTRING_UTF8, (const unsigned char *)cns[i].p,
						(int)cns[i].n, -1, 0) == 1);
	GENERAL_NAMES_free(names);
	return x;
}

static const struct str references[] = {
	STR_LIT("mail.contoso.com"),
	STR_LIT("MAIL.contoso.com"),
	STR_LIT("contoso.com"),
	STR_LIT("a.mail.contoso.com"),
	STR_LIT("evilcontoso.com"),
	STR_LIT("contoso.com.evil.example"),
	STR_LIT("mail.contoso.com.evil.example"),
	STR_LIT("mail.xn--mnchen-3ya.example"),
	STR_LIT("xn--mnchen-3ya.contoso.com"),
	STR_LIT("contoso-com.mail.protection.outlook.com"),
	STR_LIT("mail.protection.outlook.com"),
	STR_LIT("a.b.mail.protection.outlook.com"),
};

static const struct str presented[] = {
	STR_LIT("mail.contoso.com"),
	STR_LIT("Mail.Contoso.Com"),
	STR_LIT("other.contoso.com"),
	STR_LIT("*.contoso.com"),
	STR_LIT("*.CONTOSO.com"),
	STR_LIT("*.com"),
	STR_LIT("*"),
	STR_LIT("*."),
	STR_LIT("*.*.com"),
	STR_LIT("m*.contoso.com"),
	STR_LIT("*l.contoso.com"),
	STR_LIT("mail.*.com"),
	STR_LIT("xn--*.contoso.com"),
	STR_LIT("*.xn--mnchen-3ya.example"),
	STR_LIT("mail.contoso.com."),
	STR_LIT(".contoso.com"),
	STR_LIT("mail.contoso.com "),
	STR_LIT("mail.contoso.com\0.evil.example"),
	STR_LIT("mail.contoso.com\0"),
	STR_LIT("*.mail.protection.outlook.com"),
	STR_LIT("mail.protection.outlook.com"),
	STR_LIT("contoso.com"),
};

static bool ours(X509 *x, struct str reference, bool fallback)
{
	struct tls_match_rules r = { .mode = MATCH_STRICT, .direction = TLS_VERIFY, .cn_fallback = fallback };
	struct tls_identities ids;
	struct arena a;

	arena_init(&a, 65536);
	identities_read(x, &a, &ids);
	bool got = tls_name_match(reference, &ids, &r, NULL);
	arena_fini(&a);
	return got;
}

static bool theirs(X509 *x, struct str reference, bool fallback)
{
	unsigned flags = X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS;

	if (!fallback)
		flags |= X509_CHECK_FLAG_NEVER_CHECK_SUBJECT;
	return X509_check_host(x, reference.p, reference.n, flags, NULL) == 1;
}

static void compare(const struct str *sans, size_t san_n, const struct str *cns, size_t cn_n)
{
	X509 *x = make_certificate(sans, san_n, cns, cn_n);

	for (size_t i = 0; i < ALL(references); i++)
		for (int fallback = 0; fallback <= 1; fallback++)
			if (ours(x, references[i], fallback) != theirs(x, references[i], fallback))
				fail_msg(STR_FMT " against SAN " STR_FMT ", CN " STR_FMT
						 ", fallback %d: OpenSSL says %d",
					 STR_ARG(references[i]), STR_ARG(sans[0]), STR_ARG(cns[0]), fallback,
					 theirs(x, references[i], fallback));
	X509_free(x);
}

static void test_agrees_with_openssl(void **state)
{
	static const struct str good = STR_LIT("mail.contoso.com");
	(void)state;

	for (size_t i = 0; i < ALL(presented); i++) {
		compare(&presented[i], 1, &good, 0);
		compare(&presented[i], 1, &good, 1);
		compare(&good, 0, &presented[i], 1);
		compare((const struct str[]){ STR_LIT("x.example"), presented[i] }, 2, &presented[i], 1);
	}
}

static void test_identities(void **state)
{
	static const struct str sans[] = { STR_LIT("MAIL.Contoso.com"), STR_LIT("m*.contoso.com"),
					   STR_LIT("*.contoso.com") };
	static const struct str cns[] = { STR_LIT("Contoso Mail"), STR_LIT("Hub.contoso.com"), STR_LIT("b.example") };
	struct tls_identities ids;
	struct arena a;
	(void)state;

	X509 *x = make_certificate(sans, ALL(sans), cns, ALL(cns));
	arena_init(&a, 65536);
	identities_read(x, &a, &ids);
	assert_int_equal(ids.san_n, 2);
	assert_true(str_eq(ids.sans[0], S("mail.contoso.com")) && str_eq(ids.sans[1], S("*.contoso.com")));
	assert_int_equal(ids.cn_n, 2);
	assert_true(str_eq(ids.cns[0], S("hub.contoso.com")) && str_eq(ids.cns[1], S("b.example")));
	assert_true(ids.san_dropped);
	arena_fini(&a);
	X509_free(x);
}

static void test_ips(void **state)
{
	static const struct str v6 = STR_LIT("\x20\x01\x0d\xb8\0\0\0\0\0\0\0\0\0\0\0\x01");
	struct tls_identities ids;
	struct arena a;
	(void)state;

	X509 *x = X509_new();
	GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
	add_san(names, GEN_IPADD, S("\x7f\0\0\x01"));
	add_san(names, GEN_IPADD, v6);
	add_san(names, GEN_IPADD, S("\x7f\0\0"));
	add_san(names, GEN_EMAIL, S("mail.contoso.com"));
	must(X509_add1_ext_i2d(x, NID_subject_alt_name, names, 0, 0) == 1);
	arena_init(&a, 65536);
	identities_read(x, &a, &ids);
	assert_int_equal(ids.ip_n, 2);
	assert_true(str_eq(ids.ips[0], S("127.0.0.1")) && str_eq(ids.ips[1], S("2001:db8::1")));
	assert_int_equal(ids.san_n, 0);
	assert_false(ids.san_dropped);
	arena_fini(&a);
	GENERAL_NAMES_free(names);
	X509_free(x);
}

/* More names than the arena takes: the rest is missing, nothing breaks. */
static void test_many_names(void **state)
{
	struct str *sans = calloc(5000, sizeof *sans);
	struct tls_identities ids;
	struct arena a;
	(void)state;

	assert_non_null(sans);
	for (size_t i = 0; i < 5000; i++)
		sans[i] = S("mail.contoso.com");
	X509 *x = make_certificate(sans, 5000, NULL, 0);
	arena_init(&a, 65536);
	identities_read(x, &a, &ids);
	assert_true(ids.san_n > 100 && ids.san_n < 5000 && ids.ip_n == 0);
	arena_fini(&a);
	arena_init(&a, 16);
	identities_read(x, &a, &ids);
	assert_int_equal(ids.san_n, 0);
	arena_fini(&a);
	X509_free(x);
	free(sans);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_agrees_with_openssl),
					    cmocka_unit_test(test_identities), cmocka_unit_test(test_ips),
					    cmocka_unit_test(test_many_names) };

	return cmocka_run_group_tests_name("tls/openssl_names", tests, NULL, NULL);
}
