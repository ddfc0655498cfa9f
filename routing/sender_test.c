/* routing/sender_test.c: lists of senders: their stored form, and who is in them. */
#include "routing/sender.h"
#include "routing/table_test.h"

static void test_lists(void **state)
{
	static const struct {
		const char *raw, *stored, *problem;
	} rows[] = {
		{ "", "", NULL },
		{ " Ann@Contoso.com ;; @X.Example;", "ann@contoso.com;@x.example", NULL },
		{ "Ann@exact.example", "Ann@exact.example", NULL },
		{ "@b\xc3\xbc"
		  "cher.example",
		  "@xn--bcher-kva.example", NULL },
		{ "ann", NULL, "neither an address" },
		{ "@", NULL, "neither an address" },
		{ "a@x.example;@-", NULL, "neither an address" },
	};
	struct domain_set *s;
	struct fixture f;
	struct buf list;

	(void)state;
	fixture_config(&f);
	fixture_open(&f);
	s = routing_domains(f.r);
	buf_init(&list, 4096);
	for (size_t i = 0; i < COUNT(rows); i++) {
		buf_reset(&list);
		const char *problem = sender_normalize(s, str_c(rows[i].raw), &list);
		check((problem == NULL) == (rows[i].problem == NULL), rows[i].raw);
		if (problem == NULL)
			check_str(buf_str(&list), str_c(rows[i].stored), rows[i].raw);
		else
			check(rows[i].problem != NULL && strstr(problem, rows[i].problem) != NULL, rows[i].raw);
	}
	buf_fini(&list);
	buf_init(&list, 8);
	check(sender_normalize(s, S("ann@contoso.com"), &list) != NULL, "no room");
	buf_fini(&list);
	buf_init(&list, 1 << 20);
	for (int i = 0; i <= SENDERS_MAX; i++)
		buf_add(&list, S("@x.example;"));
	struct buf out;
	buf_init(&out, 1 << 20);
	check(sender_normalize(s, buf_str(&list), &out) != NULL, "too many");
	buf_fini(&out);
	buf_fini(&list);
	domain_set_unref(&s);
	fixture_close(&f);
}

static void test_in(void **state)
{
	static const struct str list = STR_LIT("ann@contoso.com;@partner.example");

	(void)state;
	check(sender_is_in(list, S("ann@contoso.com")), "address");
	check(sender_is_in(list, S("x@partner.example")), "domain");
	check(!sender_is_in(list, S("bob@contoso.com")), "another of the domain");
	check(!sender_is_in(list, S("x@sub.partner.example")), "below the domain");
	check(!sender_is_in(list, STR_NONE), "a report");
	check(!sender_is_in(STR_NONE, S("ann@contoso.com")), "nobody is in no list");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_lists),
		cmocka_unit_test(test_in),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
