/* config/pattern_test.c: which names of certificates may be configured (spec 3.5.3). */
#include "config/config.h"

#include "tests/unit.h"

static void test_patterns(void **state)
{
	static const struct {
		const char *pattern, *normal; /* NULL: refused */
	} cases[] = {
		{ "mail.contoso.com", "mail.contoso.com" },
		{ "MAIL.Contoso.COM", "mail.contoso.com" },
		{ "contoso.com.", "contoso.com" },
		{ "*.contoso.com", "*.contoso.com" },
		{ "*.Contoso.com.", "*.contoso.com" },
		{ "b\xc3\xbc"
		  "cher.example",
		  "xn--bcher-kva.example" },
		{ "*.b\xc3\xbc"
		  "cher.example",
		  "*.xn--bcher-kva.example" },
		{ "xn--bcher-kva.example", "xn--bcher-kva.example" },
		{ "*", NULL },
		{ "*.com", NULL },
		{ "*.", NULL },
		{ "com", NULL },
		{ "com.", NULL },
		{ "", NULL },
		{ ".", NULL },
		{ "*contoso.com", NULL },
		{ "domain.*.contoso.com", NULL },
		{ "*.*.contoso.com", NULL },
		{ "m*.contoso.com", NULL },
		{ "contoso..com", NULL },
		{ ".contoso.com", NULL },
		{ "con toso.com", NULL },
		{ "mail.contoso.com..", NULL },
		{ "192.0.2.1/32", NULL },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buf normal;
		buf_init(&normal, 1024);
		const char *why = conf_pattern_check(str_c(cases[i].pattern), &normal);
		check((why == NULL) == (cases[i].normal != NULL), cases[i].pattern);
		check_str(buf_str(&normal), str_c(cases[i].normal), cases[i].pattern);
		assert_true(conf_pattern_check(str_c(cases[i].pattern), NULL) == why);
		buf_fini(&normal);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_patterns),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
