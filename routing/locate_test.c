/* routing/locate_test.c: address -> kind of recipient (spec 2.5). */
#include "routing/table_test.h"

static void fill(struct fixture *f)
{
	static const struct {
		const char *address, *alias;
		enum rcpt_loc loc;
		const char *routing;
	} rows[] = {
		{ "ann@contoso.com", "ann@island.example", LOC_LOCAL, NULL },
		{ "bob@contoso.com", "b@shared.example", LOC_REMOTE, "bob@contoso.mail.cloud.example" },
		{ "ann+news@contoso.com", NULL, LOC_REMOTE, "news@contoso.mail.cloud.example" },
		{ "both@contoso.com", NULL, LOC_BOTH, "both@contoso.mail.cloud.example" },
		{ "team@contoso.com", NULL, LOC_GROUP, NULL },
		{ "ext@contoso.com", NULL, LOC_CONTACT, "x@elsewhere.example" },
		{ "gone@contoso.com", NULL, LOC_DISABLED, NULL },
		{ "Case@exact.example", NULL, LOC_LOCAL, NULL },
		{ "loc@branch.example", NULL, LOC_LOCAL, NULL },
		{ "sub@a.shared.example", NULL, LOC_LOCAL, NULL },
	};

	for (size_t i = 0; i < COUNT(rows); i++)
		if (fixture_add(f, rows[i].address, rows[i].alias, rows[i].loc, rows[i].routing) != 0)
			fail_msg("%s: %s", rows[i].address, f->e.text);
}

static const struct {
	const char *address;
	enum rcpt_kind kind;
	const char *primary; /* NULL: no record */
	bool plus;
} rows[] = {
	{ "ann@contoso.com", KIND_LOCAL, "ann@contoso.com", false },
	{ "ANN@CONTOSO.COM", KIND_LOCAL, "ann@contoso.com", false },
	{ "\"ann\"@contoso.com", KIND_LOCAL, "ann@contoso.com", false },
	{ "ann+x@contoso.com", KIND_LOCAL, "ann@contoso.com", true },
	{ "ann+x+y@contoso.com", KIND_LOCAL, "ann@contoso.com", true },
	{ "ann+news@contoso.com", KIND_REMOTE, "ann+news@contoso.com", false }, /* the full address wins */
	{ "+x@contoso.com", KIND_UNK_AUTH, NULL, false },
	{ "nobody+x@contoso.com", KIND_UNK_AUTH, NULL, false },
	{ "b+x@shared.example", KIND_UNK_RELAY_PEER, NULL, false }, /* no plus there */
	{ "bob@contoso.com", KIND_REMOTE, "bob@contoso.com", false },
	{ "b@shared.example", KIND_REMOTE, "bob@contoso.com", false },
	{ "both@contoso.com", KIND_LOCAL, "both@contoso.com", false },
	{ "team@contoso.com", KIND_GROUP, "team@contoso.com", false },
	{ "ext@contoso.com", KIND_CONTACT, "ext@contoso.com", false },
	{ "gone@contoso.com", KIND_UNK_AUTH, "gone@contoso.com", false },
	{ "nobody@contoso.com", KIND_UNK_AUTH, NULL, false },
	{ "ann@sub.contoso.com", KIND_EXTERNAL, NULL, false },
	{ "nobody@shared.example", KIND_UNK_RELAY_PEER, NULL, false },
	{ "nobody@x.shared.example", KIND_UNK_RELAY_PEER, NULL, false },
	{ "sub@a.shared.example", KIND_LOCAL, "sub@a.shared.example", false },
	{ "sub@b.shared.example", KIND_UNK_RELAY_PEER, NULL, false },
	{ "loc@branch.example", KIND_UNK_RELAY_HOST, NULL, false }, /* never looked up */
	{ "Case@exact.example", KIND_LOCAL, "Case@exact.example", false },
	{ "case@exact.example", KIND_UNK_AUTH, NULL, false },
	{ "bob@contoso.mail.cloud.example", KIND_ROUTING_PEER, NULL, false },
	{ "ann@island.example", KIND_ROUTING_SELF, "ann@contoso.com", false },
	{ "both@island.example", KIND_ROUTING_SELF, "both@contoso.com", false }, /* as of the default domain */
	{ "bob@island.example", KIND_REMOTE, "bob@contoso.com", false },
	{ "nobody@island.example", KIND_UNK_AUTH, NULL, false },
	{ "ann@elsewhere.example", KIND_EXTERNAL, NULL, false },
	{ "ann@[192.0.2.1]", KIND_EXTERNAL, NULL, false },
	{ "\"v@elsewhere.example\"@contoso.com", KIND_UNK_AUTH, NULL, false },
	{ "v%elsewhere.example@contoso.com", KIND_UNK_AUTH, NULL, false },
	{ "postmaster", KIND_LOCAL, NULL, false },
};

static void locate(struct fixture *f, const char *address, struct located *out)
{
	static const struct addr_rules rules = { .allow_bare_local = true };
	struct routing_view v;
	struct addr a;
	enum addr_error parsed = addr_parse(str_c(address), &rules, &a);

	check(parsed == ADDR_OK || parsed == ADDR_LITERAL, address);
	check(routing_begin(f->r, &v, &f->e) == 0, address);
	check(routing_locate(&v, &a, &f->arena, out, &f->e), address);
	routing_end(&v);
}

static void test_kinds(void **state)
{
	struct fixture f;
	struct located l;

	(void)state;
	fixture_config(&f);
	fixture_open(&f);
	fill(&f);
	for (size_t i = 0; i < COUNT(rows); i++) {
		locate(&f, rows[i].address, &l);
		if (l.kind != rows[i].kind)
			fail_msg("%s: got %s, expected %s", rows[i].address, kind_name(l.kind),
				 kind_name(rows[i].kind));
		check(l.found == (rows[i].primary != NULL) && (!l.found || l.plus == rows[i].plus), rows[i].address);
		if (l.found)
			check_str(l.record.primary, str_c(rows[i].primary), rows[i].address);
	}
	fixture_close(&f);
}

static void test_relay_targets(void **state)
{
	static const struct {
		enum conf_domain_type type;
		struct str relay_to;
		enum rcpt_kind kind;
	} cases[] = {
		{ DOMAIN_AUTHORITATIVE, STR_LIT("peer"), KIND_UNK_AUTH },
		{ DOMAIN_INTERNAL_RELAY, STR_LIT(""), KIND_UNK_RELAY_PEER },
		{ DOMAIN_INTERNAL_RELAY, STR_LIT("peer"), KIND_UNK_RELAY_PEER },
		{ DOMAIN_INTERNAL_RELAY, STR_LIT("host:h"), KIND_UNK_RELAY_HOST },
		{ DOMAIN_EXTERNAL_RELAY, STR_LIT("mx"), KIND_UNK_RELAY_HOST },
		{ DOMAIN_EXTERNAL_RELAY, STR_LIT("peer"), KIND_UNK_RELAY_PEER },
	};
	struct fixture f;
	struct located l;

	(void)state;
	fixture_config(&f);
	fixture_open(&f);
	for (size_t i = 0; i < COUNT(cases); i++) {
		f.domains[1].type = cases[i].type;
		f.domains[1].relay_to = cases[i].relay_to;
		check(routing_reconfigure(f.r, &f.config, &f.e) == 0, "reload");
		locate(&f, "x@shared.example", &l);
		check(l.kind == cases[i].kind, cases[i].relay_to.p);
	}
	fixture_close(&f);
}

static void test_arena_full(void **state)
{
	static const struct addr_rules rules;
	struct routing_view v;
	struct fixture f;
	struct located l;
	struct arena tiny;
	struct addr a;

	(void)state;
	fixture_config(&f);
	fixture_open(&f);
	fill(&f);
	arena_init(&tiny, 8);
	check(addr_parse(S("ann@contoso.com"), &rules, &a) == ADDR_OK, "parse");
	check(routing_begin(f.r, &v, &f.e) == 0, "begin");
	check(!routing_locate(&v, &a, &tiny, &l, &f.e) && f.e.code == ERR_TOO_BIG, "no room for the record");
	routing_end(&v);
	arena_fini(&tiny);
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_kinds),
		cmocka_unit_test(test_relay_targets),
		cmocka_unit_test(test_arena_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
