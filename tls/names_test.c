/* Tests of tls/names.c: pattern checks, identity cleaning, and the match table of the two wildcards. */
#include "tls/tls.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define ALL(t) (sizeof(t) / sizeof *(t))

/* "a.b c.d" -> identities; the test's own splitting, so that names_test needs no certificate. */
static size_t split(const char *text, struct str *to, size_t most)
{
	struct str rest = str_c(text), word;
	size_t n = 0;

	while (n < most && (word = str_word(&rest)).n > 0)
		to[n++] = word;
	return n;
}

enum { STRICT_V = 0, EXCH_V = 1, EXCH_A = 2, STRICT_A = 3 };

static struct tls_match_rules rules_of(int column)
{
	return (struct tls_match_rules){
		.mode = column == STRICT_V || column == STRICT_A ? MATCH_STRICT : MATCH_EXCHANGE,
		.direction = column <= EXCH_V ? TLS_VERIFY : TLS_ATTRIBUTE,
	};
}

static void test_match_table(void **state)
{
	static const struct {
		const char *pattern, *identity;
		bool expect[4]; /* strict/verify, exchange/verify, exchange/attribute, strict/attribute */
	} table[] = {
		{ "mail.contoso.com", "mail.contoso.com", { 1, 1, 1, 1 } },
		{ "MAIL.Contoso.COM", "mail.contoso.com", { 1, 1, 1, 1 } },
		{ "mail.contoso.com.", "mail.contoso.com", { 1, 1, 1, 1 } },
		{ "mail.contoso.com", "*.contoso.com", { 1, 1, 0, 0 } },
		{ "a.mail.contoso.com", "*.contoso.com", { 0, 0, 0, 0 } },
		{ "contoso.com", "*.contoso.com", { 0, 0, 0, 0 } },
		{ "contoso.com", "mail.contoso.com", { 0, 0, 0, 0 } },
		{ "contoso.com", "*.com", { 0, 0, 0, 0 } },
		{ "*.contoso.com", "contoso.com", { 0, 1, 1, 0 } },
		{ "*.contoso.com", "mail.contoso.com", { 1, 1, 1, 1 } },
		{ "*.contoso.com", "a.mail.contoso.com", { 0, 1, 1, 0 } },
		{ "*.contoso.com", "*.contoso.com", { 1, 1, 1, 1 } },
		{ "*.contoso.com", "*.mail.contoso.com", { 0, 1, 1, 0 } },
		{ "*.contoso.com", "evilcontoso.com", { 0, 0, 0, 0 } },
		{ "*.contoso.com", "contoso.com.evil.example", { 0, 0, 0, 0 } },
		{ "*.contoso.com", "mail.contoso.com.evil.example", { 0, 0, 0, 0 } },
		{ "*.mail.contoso.com", "*.contoso.com", { 0, 0, 0, 0 } },
		{ "mail.contoso.com", "m*.contoso.com", { 0, 0, 0, 0 } },
		{ "mail.contoso.com", "*il.contoso.com", { 0, 0, 0, 0 } },
		{ "mail.contoso.com", "mail.*.com", { 0, 0, 0, 0 } },
		{ "mail.contoso.com", "*.*.com", { 0, 0, 0, 0 } },
		{ "mail.contoso.com", "*", { 0, 0, 0, 0 } },
		{ "mail.contoso.com", "mail.contoso.com.", { 0, 0, 0, 0 } },
		{ "*.contoso.com", "m*.contoso.com", { 0, 0, 0, 0 } },
		{ "*.contoso.com", "a..contoso.com", { 0, 0, 0, 0 } },
		{ "*.contoso.com", ".contoso.com", { 0, 0, 0, 0 } },
		{ ".contoso.com", "mail.contoso.com", { 0, 0, 0, 0 } },
		{ "", "mail.contoso.com", { 0, 0, 0, 0 } },
		{ "*.com", "contoso.com", { 0, 0, 0, 0 } },
		/* IDN: a wildcard covers a whole A-label, never part of one; U-labels in certificates are no identities
		 */
		{ "mail.m\xc3\xbcnchen.example", "mail.xn--mnchen-3ya.example", { 1, 1, 1, 1 } },
		{ "*.M\xc3\x9cnchen.example", "mail.xn--mnchen-3ya.example", { 1, 1, 1, 1 } },
		{ "mail.xn--mnchen-3ya.example", "*.xn--mnchen-3ya.example", { 1, 1, 0, 0 } },
		{ "xn--mnchen-3ya.firm.example", "*.firm.example", { 1, 1, 0, 0 } },
		{ "xn--mnchen-3ya.firm.example", "xn--*.firm.example", { 0, 0, 0, 0 } },
		{ "mail.m\xc3\xbcnchen.example", "mail.m\xc3\xbcnchen.example", { 0, 0, 0, 0 } },
		{ "stra\xc3\x9f"
		  "e.example",
		  "xn--strae-oqa.example",
		  { 1, 1, 1, 1 } },
		{ "127.0.0.1", "127.0.0.1", { 0, 0, 0, 0 } },
	};
	(void)state;

	for (size_t i = 0; i < ALL(table); i++) {
		struct str san = str_c(table[i].identity), cn = S("other.example");
		struct tls_identities sans = { .sans = &san, .san_n = 1, .cns = &cn, .cn_n = 1 };
		struct tls_identities cns = { .cns = &san, .cn_n = 1 };
		for (int column = 0; column < 4; column++) {
			struct tls_match_rules r = rules_of(column);
			struct str matched = STR_NONE;
			bool got = tls_name_match(str_c(table[i].pattern), &sans, &r, &matched);
			if (got != table[i].expect[column])
				fail_msg("%s against %s, column %d: %d", table[i].pattern, table[i].identity, column,
					 got);
			assert_true(!got || str_eq(matched, san));
			/* the same name as CN: in exchange mode always, in strict mode only as a fall-back */
			bool by_cn = tls_name_match(str_c(table[i].pattern), &cns, &r, NULL);
			assert_int_equal(by_cn, r.mode == MATCH_EXCHANGE && got);
			r.cn_fallback = true;
			assert_int_equal(tls_name_match(str_c(table[i].pattern), &cns, &r, NULL), got);
		}
	}
}

static void test_rules(void **state)
{
	static const struct {
		const char *pattern, *cn, *sans;
		enum conf_match mode;
		enum tls_direction direction;
		bool expand, fallback, dropped, expect;
		const char *matched;
	} table[] = {
		{ "mail.d.example", "", "*.d.example", MATCH_EXCHANGE, TLS_ATTRIBUTE, .expand = true, .expect = true,
		  .matched = "*.d.example" },
		{ "mail.d.example", "", "*.d.example", MATCH_STRICT, TLS_ATTRIBUTE, .expand = true, .expect = true,
		  .matched = "*.d.example" },
		{ "a.mail.d.example", "", "*.d.example", MATCH_EXCHANGE, TLS_ATTRIBUTE, .expand = true },
		{ "d.example", "", "*.d.example", MATCH_EXCHANGE, TLS_ATTRIBUTE, .expand = true },
		{ "mail.d.example", "mail.d.example", "other.d.example", MATCH_STRICT, TLS_VERIFY, .fallback = true },
		{ "mail.d.example", "mail.d.example", "", MATCH_STRICT, TLS_VERIFY, .fallback = true, .expect = true,
		  .matched = "mail.d.example" },
		{ "mail.d.example", "mail.d.example", "", MATCH_STRICT, TLS_VERIFY, .fallback = true, .dropped = true },
		{ "mail.d.example", "mail.d.example", "", MATCH_EXCHANGE, TLS_VERIFY, .dropped = true, .expect = true,
		  .matched = "mail.d.example" },
		{ "mail.d.example", "mail.d.example", "x.example y.example", MATCH_EXCHANGE, TLS_ATTRIBUTE,
		  .expect = true, .matched = "mail.d.example" },
		{ "y.d.example", "", "x.example y.d.example", MATCH_STRICT, TLS_VERIFY, .expect = true,
		  .matched = "y.d.example" },
		{ "mail.d.example", "", "", MATCH_EXCHANGE, TLS_VERIFY, .expect = false },
	};
	(void)state;

	for (size_t i = 0; i < ALL(table); i++) {
		struct str cns[4], sans[4], matched = STR_NONE;
		struct tls_identities ids = { .sans = sans, .cns = cns, .san_dropped = table[i].dropped };
		struct tls_match_rules r = { table[i].mode, table[i].direction, table[i].expand, table[i].fallback };
		ids.cn_n = split(table[i].cn, cns, ALL(cns));
		ids.san_n = split(table[i].sans, sans, ALL(sans));
		bool got = tls_name_match(str_c(table[i].pattern), &ids, &r, &matched);
		if (got != table[i].expect || !str_eq(matched, str_c(table[i].matched)))
			fail_msg("row %zu: %s: %d, " STR_FMT, i, table[i].pattern, got, STR_ARG(matched));
	}
}

static void test_ip(void **state)
{
	struct str ips[] = { STR_LIT("127.0.0.1"), STR_LIT("2001:db8::1") }, san = S("192.0.2.1");
	struct tls_identities ids = { .sans = &san, .san_n = 1, .ips = ips, .ip_n = 2 };
	struct tls_match_rules r = { .mode = MATCH_EXCHANGE };
	(void)state;

	assert_true(tls_name_match(S("127.0.0.1"), &ids, &r, NULL));
	assert_true(tls_name_match(S("[2001:DB8:0::1]"), &ids, &r, NULL));
	assert_false(tls_name_match(S("192.0.2.1"), &ids, &r, NULL));
}

static void test_pattern_check(void **state)
{
	static const char *good[] = { "mail.contoso.com",         "contoso.com",       "*.contoso.com",
				      "*.a.contoso.com",          "MAIL.contoso.com.", "m\xc3\xbcnchen.example",
				      "*.m\xc3\xbcnchen.example", "a-1.b-2.example",   "xn--mnchen-3ya.example" };
	static const char *bad[] = { "",
				     "*",
				     "*.",
				     ".",
				     "*.com",
				     "*.com.",
				     "localhost",
				     "*contoso.com",
				     "domain.*.contoso.com",
				     "*.*.contoso.com",
				     "m*.contoso.com",
				     ".contoso.com",
				     "*..contoso.com",
				     "a..b.example",
				     "contoso.com..",
				     "127.0.0.1",
				     "1.2.3.4.5",
				     "*.0.0.1",
				     "::1",
				     "a b.example",
				     "a_b.example",
				     "a/b.example",
				     "a@b.example",
				     "*.\xff\xff.example",
				     "\xe2\x98\x83\xef\xbf\xbf.example" };
	char label[80];
	const char *why;
	(void)state;

	for (size_t i = 0; i < ALL(good); i++)
		if (!tls_pattern_check(str_c(good[i]), &why))
			fail_msg("%s: %s", good[i], why);
	for (size_t i = 0; i < ALL(bad); i++) {
		why = NULL;
		if (tls_pattern_check(str_c(bad[i]), &why) || why == NULL)
			fail_msg("%s passed", bad[i]);
	}
	assert_false(tls_pattern_check(S("mail.contoso.com\0.evil.example"), &why));
	assert_false(tls_pattern_check(S("m\xc3\xbc\0.example"), &why));
	memset(label, 'a', sizeof label);
	memcpy(label + 64, ".example", 8);
	assert_false(tls_pattern_check(str_n(label, 72), &why));
	assert_true(tls_pattern_check(str_n(label + 1, 71), &why));
}

static void test_identity(void **state)
{
	static const struct {
		struct str raw;
		bool usable;
	} table[] = {
		{ STR_LIT("mail.contoso.com"), true },
		{ STR_LIT("*.contoso.com"), true },
		{ STR_LIT("localhost"), true },
		{ STR_LIT("a_b.contoso.com"), true },
		{ STR_LIT("MAIL.Contoso.com"), true },
		{ STR_LIT(""), false },
		{ STR_LIT("mail.contoso.com\0.evil.example"), false },
		{ STR_LIT("mail.contoso.com\0"), false },
		{ STR_LIT("mail.contoso.com "), false },
		{ STR_LIT(" mail.contoso.com"), false },
		{ STR_LIT("mail.contoso.com."), false },
		{ STR_LIT(".contoso.com"), false },
		{ STR_LIT("m*.contoso.com"), false },
		{ STR_LIT("a.*.contoso.com"), false },
		{ STR_LIT("*.*.contoso.com"), false },
		{ STR_LIT("*"), false },
		{ STR_LIT("*."), false },
		{ STR_LIT("*.com"), false },
		{ STR_LIT("**.contoso.com"), false },
		{ STR_LIT("m\xc3\xbcnchen.example"), false },
		{ STR_LIT("Contoso Mail Server"), false },
		{ STR_LIT("user@contoso.com"), false },
	};
	(void)state;

	for (size_t i = 0; i < ALL(table); i++)
		if (tls_identity_is_usable(table[i].raw) != table[i].usable)
			fail_msg("row %zu: " STR_FMT, i, STR_ARG(table[i].raw));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_match_table), cmocka_unit_test(test_rules),
					    cmocka_unit_test(test_ip), cmocka_unit_test(test_pattern_check),
					    cmocka_unit_test(test_identity) };

	return cmocka_run_group_tests_name("tls/names", tests, NULL, NULL);
}
