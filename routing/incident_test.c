/* routing/incident_test.c: how incidents begin in decisions, and the ways they end. */
#include "routing/table_test.h"

static const char cloud[] = "ann@contoso.mail.cloud.example";

static const char *decide(struct fixture *f, const char *rcpt, struct route_query q)
{
	struct routing_view v;
	struct route rt;
	struct addr a;

	must(addr_parse(str_c(rcpt), &(struct addr_rules){ 0 }, &a) == ADDR_OK);
	q.rcpt = &a;
	q.origin = ENV_PEER;
	q.class = ENV_CLASS_INT;
	q.org = ENV_ORG_OK;
	check(routing_begin(f->r, &v, &f->e) == 0, "begin");
	check(routing_route(&v, &q, &f->arena, &rt, NULL, &f->e), "route");
	routing_end(&v);
	return rt.verdict.rule;
}

struct heard {
	int began, mended;
};

static void on_began(void *arg, const struct disagreement *i)
{
	(void)i;
	((struct heard *)arg)->began++;
}

static void on_mended(void *arg, const struct disagreement *i)
{
	check(i->kind == DISAGREE_LOCATION, "a loop is not mended by our table");
	((struct heard *)arg)->mended++;
}

static void test_life(void **state)
{
	struct disagreement all[8];
	struct rcpt_record rec;
	struct heard h = { 0 };
	struct fixture f;
	size_t closed;

	(void)state;
	fixture_config(&f);
	f.config.loop.defer_ms = 3600000;
	fixture_open(&f);
	check(fixture_add(&f, "ann@contoso.com", "a@contoso.com", LOC_REMOTE, cloud) == 0, "ann");
	check(fixture_add(&f, "bob@contoso.com", NULL, LOC_REMOTE, cloud) == 0, "bob");
	check_str(str_c(decide(&f, "a@contoso.com", (struct route_query){ .dry = true })), S("R44"), "only asked");
	check(routing_incidents(f.r, all, 8) == 0 && routing_incidents_open(f.r) == 0, "nothing yet");
	check_str(str_c(decide(&f, "a@contoso.com", (struct route_query){ .message = S("m1") })), S("R44"), "ann");
	check_str(str_c(decide(&f, "ann@contoso.com", (struct route_query){ .message = S("m2") })), S("R44"), "again");
	check_str(str_c(decide(&f, "bob@contoso.com", (struct route_query){ .token_seen = true })), S("R41"), "bob");
	check(routing_incidents(f.r, all, 8) == 2 && routing_incidents_open(f.r) == 1, "one of each");
	for (size_t i = 0; i < 2; i++)
		if (all[i].kind == DISAGREE_LOCATION)
			check(all[i].count == 2 && strcmp(all[i].messages[1], "m2") == 0 &&
				      str_starts(str_c(all[i].ours), S("remote, version")),
			      "by recipient, not by address");
	check(routing_incidents_keep(f.r, on_began, on_mended, &h, &f.e) == 0 && h.began == 2 && h.mended == 0, "told");

	usleep(2000); /* a change after the last time */
	check(fixture_add(&f, "ann@contoso.com", "a@contoso.com", LOC_LOCAL, NULL) == 0, "put right by hand");
	check(routing_incidents_keep(f.r, on_began, on_mended, &h, &f.e) == 0 && h.mended == 1, "noticed");
	check(routing_incidents(f.r, all, 8) == 1 && all[0].kind == DISAGREE_LOOP, "the loop stays");

	check(routing_incident_resolve(f.r, S("x@contoso.com"), LOC_LOCAL, STR_NONE, &f.arena, &rec, &closed, &f.e) ==
			      -1 &&
		      f.e.code == ERR_NOT_FOUND,
	      "nobody");
	check(routing_incident_resolve(f.r, S("bob@contoso.com"), LOC_LOCAL, STR_NONE, &f.arena, &rec, &closed, &f.e) ==
			      0 &&
		      closed == 1 && rec.loc == LOC_LOCAL,
	      "resolved");
	check(routing_incidents(f.r, all, 8) == 0, "none left");
	check_str(str_c(decide(&f, "bob@contoso.com", (struct route_query){ 0 })), S("R30"), "delivered");
	check(routing_incident_resolve(f.r, S("ann@contoso.com"), LOC_REMOTE, STR_NONE, &f.arena, &rec, &closed,
				       &f.e) == -1 &&
		      f.e.code == ERR_SYNTAX,
	      "remote needs an address there");
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_life),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
