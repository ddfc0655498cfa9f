/* wire/author_test.c: shapes of From (hardening HY-9, CVE-2024-49040). */
#include "wire/author.h"

#include "tests/unit.h"

static const struct {
	struct str value;
	enum author author;
} rows[] = {
	{ STR_LIT(" ann@contoso.com\r\n"), AUTHOR_ONE },
	{ STR_LIT(" <ann@contoso.com>\r\n"), AUTHOR_ONE },
	{ STR_LIT(" Ann B. <ann@contoso.com>\r\n"), AUTHOR_ONE },
	{ STR_LIT(" \"B, Ann: <x@y>\" <ann@contoso.com>\r\n"), AUTHOR_ONE },
	{ STR_LIT(" ann@contoso.com (Ann, of contoso; <x@y>)\r\n"), AUTHOR_ONE },
	{ STR_LIT("\r\n Ann\r\n\t<ann@contoso.com>\r\n"), AUTHOR_ONE },
	{ STR_LIT(" ann@contoso.com <ann@contoso.com>\r\n"), AUTHOR_ONE }, /* an address as display name: common */
	{ STR_LIT(" J\xc3\xb6rg <j\xc3\xb6rg@contoso.com>\r\n"), AUTHOR_ONE },
	{ STR_LIT(" \"a b\"@contoso.com\r\n"), AUTHOR_ONE },
	{ STR_LIT(" =?utf-8?q?Ann=2C?= <ann@contoso.com>\r\n"), AUTHOR_ONE },
	{ STR_LIT(" (a \\( comment) <ann@contoso.com>"), AUTHOR_ONE },

	{ STR_LIT("\r\n"), AUTHOR_NONE },
	{ STR_LIT(""), AUTHOR_NONE },
	{ STR_LIT(" <>\r\n"), AUTHOR_NONE },
	{ STR_LIT(" root\r\n"), AUTHOR_NONE },
	{ STR_LIT(" Mail Delivery System <>\r\n"), AUTHOR_NONE },
	{ STR_LIT(" (nobody@contoso.com)\r\n"), AUTHOR_NONE },

	{ STR_LIT(" \"x\" <a@evil.example>, ceo@contoso.com\r\n"), AUTHOR_SEVERAL },
	{ STR_LIT(" <ceo@contoso.com> <a@evil.example>\r\n"), AUTHOR_SEVERAL },
	{ STR_LIT(" <ceo@contoso.com>a@evil.example\r\n"), AUTHOR_SEVERAL },
	{ STR_LIT(" ceo@contoso.com, a@evil.example\r\n"), AUTHOR_SEVERAL },
	{ STR_LIT(" ceo@contoso.com a@evil.example\r\n"), AUTHOR_SEVERAL },
	{ STR_LIT(" ceo@contoso.com@evil.example\r\n"), AUTHOR_SEVERAL },
	{ STR_LIT(" Managers: ceo@contoso.com, a@evil.example;\r\n"), AUTHOR_SEVERAL },
	{ STR_LIT(" undisclosed:;\r\n"), AUTHOR_SEVERAL },
	{ STR_LIT(" <@evil.example,@x.example:ceo@contoso.com>\r\n"), AUTHOR_SEVERAL },
	{ STR_LIT(" <ceo@contoso.com\r\n"), AUTHOR_SEVERAL },
	{ STR_LIT(" <a@evil.example <ceo@contoso.com>>\r\n"), AUTHOR_SEVERAL },
	{ STR_LIT(" <a b@evil.example>\r\n"), AUTHOR_SEVERAL },
	{ STR_LIT(" \"open <ceo@contoso.com>\r\n"), AUTHOR_SEVERAL }, /* CVE-2020-28016, CVE-2020-28013 */
	{ STR_LIT(" (open <ceo@contoso.com>\r\n"), AUTHOR_SEVERAL },
	{ STR_LIT(" ceo@contoso.com>\r\n"), AUTHOR_SEVERAL },
	{ STR_LIT(" ceo\0@contoso.com\r\n"), AUTHOR_SEVERAL },
	{ STR_LIT(" \x01<ceo@contoso.com>\r\n"), AUTHOR_SEVERAL },
	{ STR_LIT(" ann@contoso.com,\r\n"), AUTHOR_SEVERAL },
};

static void test_shapes(void **state)
{
	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++)
		if (author_judge(rows[i].value) != rows[i].author)
			fail_msg("row %zu:" STR_FMT, i, STR_ARG(rows[i].value));
}

static void test_domain(void **state)
{
	static const struct {
		struct str value, domain;
	} from[] = {
		{ STR_LIT(" ann@contoso.com\r\n"), STR_LIT("contoso.com") },
		{ STR_LIT(" Ann <ann@Contoso.COM>\r\n"), STR_LIT("contoso.com") },
		{ STR_LIT("ann@contoso.com."), STR_LIT("contoso.com") },
		{ STR_LIT(" \"ceo@evil.example\" <ann@contoso.com>"), STR_LIT("contoso.com") },
		{ STR_LIT(" (ceo@evil.example) ann@contoso.com (<x@y.example>)"), STR_LIT("contoso.com") },
		{ STR_LIT(" \"<x@y.example>\" <ann@contoso.com>"), STR_LIT("contoso.com") },
		{ STR_LIT(" \"a@b\"@contoso.com"), STR_LIT("contoso.com") },
		{ STR_LIT(" Ann\r\n <ann@contoso.com>"), STR_LIT("contoso.com") },
		{ STR_LIT(" <ann@m\xc3\xbcnchen.example>"), STR_LIT("xn--mnchen-3ya.example") },
		{ STR_LIT(" ann@[192.0.2.1]"), STR_LIT("") },
		{ STR_LIT(" ann@"), STR_LIT("") },
		{ STR_LIT(" ann@con_to so.com"), STR_LIT("") },
		{ STR_LIT(" ann@contoso..com"), STR_LIT("") },
		{ STR_LIT(" ann"), STR_LIT("") },
		{ STR_LIT(" ann@contoso.com, ben@contoso.com"), STR_LIT("") },
		{ STR_LIT(" ann@contoso.com (open"), STR_LIT("") },
	};
	struct buf b;

	(void)state;
	buf_init(&b, 300);
	for (size_t i = 0; i < COUNT(from); i++) {
		buf_reset(&b);
		check(author_domain(from[i].value, &b) == (from[i].domain.n > 0), from[i].value.p);
		check_str(buf_str(&b), from[i].domain, from[i].value.p);
	}
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_shapes), cmocka_unit_test(test_domain) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
