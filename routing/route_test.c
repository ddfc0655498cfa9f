/* routing/route_test.c: the whole decision over a table: addresses and hosts at the next hop, redirections, windows of
 * time, and the facts that led there. */
#include "routing/table_test.h"

#include "base/time.h"

static void add(struct fixture *f, const struct rcpt_record *rec)
{
	if (routing_record_set(f->r, rec, &f->e) != 0)
		fail_msg("%s", f->e.text);
}

static void add_full(struct fixture *f, const char *address, struct rcpt_record rec)
{
	struct str addr = str_c(address);

	rec.primary = addr;
	rec.addrs = &addr;
	rec.addr_n = 1;
	add(f, &rec);
}

static void open_full(struct fixture *f)
{
	fixture_config(f);
	fixture_open(f);
	add_full(f, "ann@contoso.com", (struct rcpt_record){ .local_host = S("mbx2:2525") });
	add_full(f, "bob@contoso.com",
		 (struct rcpt_record){ .loc = LOC_REMOTE, .routing = S("bob@contoso.mail.cloud.example") });
	add_full(f, "both@contoso.com",
		 (struct rcpt_record){ .loc = LOC_BOTH, .routing = S("both@contoso.mail.cloud.example") });
	add_full(f, "here@contoso.com", (struct rcpt_record){ .loc = LOC_GROUP, .require_auth = true });
	add_full(f, "there@contoso.com",
		 (struct rcpt_record){ .loc = LOC_GROUP, .routing = S("there@contoso.mail.cloud.example") });
	add_full(f, "out@contoso.com", (struct rcpt_record){ .loc = LOC_CONTACT, .redirect = S("o@Else.example") });
	add_full(f, "to-ann@contoso.com",
		 (struct rcpt_record){ .loc = LOC_REDIRECT, .redirect = S("Ann@contoso.com") });
	add_full(f, "to-bob@contoso.com",
		 (struct rcpt_record){ .loc = LOC_REDIRECT, .redirect = S("bob@contoso.com") });
	add_full(f, "twice@contoso.com",
		 (struct rcpt_record){ .loc = LOC_REDIRECT, .redirect = S("to-ann@contoso.com") });
	add_full(f, "ring@contoso.com", (struct rcpt_record){ .loc = LOC_REDIRECT, .redirect = S("ring@contoso.com") });
	add_full(f, "gone@contoso.com", (struct rcpt_record){ .loc = LOC_DISABLED });
}

/* Decides with the clock `later_ms` ahead. */
static void route_at(struct fixture *f, const char *address, struct route_query q, int64_t later_ms, struct route *rt,
		     struct route_trace *t)
{
	static const struct addr_rules rules = { .allow_bare_local = true };
	struct routing_view v;
	struct addr a;

	check(addr_parse(str_c(address), &rules, &a) == ADDR_OK, address);
	q.rcpt = &a;
	check(routing_begin(f->r, &v, &f->e) == 0, address);
	v.now_ms += later_ms;
	if (!routing_route(&v, &q, &f->arena, rt, t, &f->e))
		fail_msg("%s: %s", address, f->e.text);
	rt->located.domain = NULL; /* ends with the view */
	routing_end(&v);
}

static const struct {
	const char *address;
	enum env_origin origin;
	enum env_class class;
	const char *rule, *rcpt, *domain, *host, *copy;
} rows[] = {
	{ "ann@contoso.com", ENV_INTERNET, 0, "R30", "ann@contoso.com", "contoso.com", "mbx2:2525", "" },
	{ "Ann+x@contoso.com", ENV_INTERNET, 0, "R30", "ann@contoso.com", "contoso.com", "mbx2:2525", "" },
	{ "Bob@contoso.com", ENV_INTERNET, 0, "R40", "bob@contoso.mail.cloud.example", "contoso.mail.cloud.example", "",
	  "" },
	{ "bob@contoso.mail.cloud.example", ENV_LOCAL, 0, "R40", "bob@contoso.mail.cloud.example",
	  "contoso.mail.cloud.example", "", "" },
	{ "bob@contoso.mail.cloud.example", ENV_INTERNET, 0, "R16", "", "", "", "" },
	{ "New@Shared.example", ENV_INTERNET, 0, "R40", "New@Shared.example", "contoso.mail.cloud.example", "", "" },
	{ "new@shared.example", ENV_PEER, ENV_CLASS_EXT, "R11", "", "", "", "" },
	{ "both@contoso.com", ENV_INTERNET, 0, "R30", "both@contoso.com", "contoso.com", "",
	  "both@contoso.mail.cloud.example" },
	{ "both@contoso.com", ENV_PEER, ENV_CLASS_INT, "R30", "both@contoso.com", "contoso.com", "", "" },
	{ "x@branch.example", ENV_INTERNET, 0, "R48", "x@branch.example", "branch.example", "mx.branch.example:2525",
	  "" },
	{ "x@Else.Example", ENV_LOCAL, 0, "R55", "x@Else.Example", "else.example", "", "" },
	{ "x@else.example", ENV_INTERNET, 0, "R50", "", "", "", "" },
	{ "here@contoso.com", ENV_INTERNET, 0, "R12", "", "", "", "" },
	{ "here@contoso.com", ENV_LOCAL, 0, "R30", "here@contoso.com", "contoso.com", "", "" },
	{ "there@contoso.com", ENV_INTERNET, 0, "R40", "there@contoso.mail.cloud.example", "contoso.mail.cloud.example",
	  "", "" },
	{ "gone@contoso.com", ENV_LOCAL, 0, "R10", "", "", "", "" },
	/* what our table redirects goes out as our own mail */
	{ "out@contoso.com", ENV_INTERNET, 0, "R55", "o@Else.example", "else.example", "", "" },
	{ "out@contoso.com", ENV_PEER, ENV_CLASS_EXT, "R55", "o@Else.example", "else.example", "", "" },
	{ "to-ann@contoso.com", ENV_INTERNET, 0, "R30", "ann@contoso.com", "contoso.com", "mbx2:2525", "" },
	{ "to-bob@contoso.com", ENV_PEER, ENV_CLASS_INT, "R40", "bob@contoso.mail.cloud.example",
	  "contoso.mail.cloud.example", "", "" },
	{ "twice@contoso.com", ENV_INTERNET, 0, "R30", "ann@contoso.com", "contoso.com", "mbx2:2525", "" },
	{ "ring@contoso.com", ENV_INTERNET, 0, "R02", "", "", "", "" },
	{ "postmaster", ENV_INTERNET, 0, "R30", "postmaster", "contoso.com", "", "" },
};

static void test_hops(void **state)
{
	struct fixture f;
	struct route rt;

	(void)state;
	open_full(&f);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct route_query q = { .origin = rows[i].origin, .class = rows[i].class, .org = ENV_ORG_OK };
		route_at(&f, rows[i].address, q, 0, &rt, NULL);
		check_str(str_c(rt.verdict.rule), str_c(rows[i].rule), rows[i].address);
		check_str(rt.rcpt, str_c(rows[i].rcpt), rows[i].address);
		check_str(rt.hop_domain, str_c(rows[i].domain), rows[i].address);
		check_str(rt.hop_host, str_c(rows[i].host), rows[i].address);
		check_str(rt.copy_to, str_c(rows[i].copy), rows[i].address);
	}
	fixture_close(&f);
}

/* At the cloud, what the peer sent and our table redirects outside still is the peer's: R56 must know. */
static void test_redirect_at_the_cloud(void **state)
{
	const struct route_query q = { .origin = ENV_PEER, .class = ENV_CLASS_INT, .org = ENV_ORG_OK };
	const struct mode m3 = { .mx = SIDE_CLOUD, .cmt = true };
	struct route_query what_if = q;
	struct fixture f;
	struct route rt;

	(void)state;
	fixture_config(&f);
	f.config.site = SITE_CLOUD;
	fixture_open(&f);
	add_full(&f, "out@contoso.com", (struct rcpt_record){ .loc = LOC_REDIRECT, .redirect = S("o@else.example") });
	what_if.mode = &m3;
	route_at(&f, "out@contoso.com", q, 0, &rt, NULL);
	check_str(str_c(rt.verdict.rule), S("R57"), "central transport off");
	route_at(&f, "out@contoso.com", what_if, 0, &rt, NULL);
	check_str(str_c(rt.verdict.rule), S("R56"), "what if it were on");
	check(rt.redirects == 1 && rt.facts.redirected, "redirected");
	fixture_close(&f);
}

static void test_disagreement(void **state)
{
	enum { HOUR = 3600000 };
	struct route_query q = { .origin = ENV_PEER, .class = ENV_CLASS_INT, .org = ENV_ORG_OK };
	struct route_query dry = q;
	struct fixture f;
	struct route rt;

	(void)state;
	open_full(&f);
	dry.dry = true;
	route_at(&f, "bob@contoso.com", q, 1 * HOUR, &rt, NULL);
	check_str(str_c(rt.verdict.rule), S("R44"), "moved an hour ago");
	route_at(&f, "bob@contoso.com", dry, 3 * HOUR, &rt, NULL);
	check_str(str_c(rt.verdict.rule), S("R44"), "first time, but only asked");
	route_at(&f, "bob@contoso.com", q, 20 * HOUR, &rt, NULL);
	check_str(str_c(rt.verdict.rule), S("R44"), "first time");
	route_at(&f, "bob@contoso.com", q, 23 * HOUR, &rt, NULL);
	check_str(str_c(rt.verdict.rule), S("R44"), "three hours later");
	route_at(&f, "bob@contoso.com", q, 25 * HOUR, &rt, NULL);
	check_str(str_c(rt.verdict.rule), S("R45"), "five hours later");
	route_at(&f, "bob@contoso.com", q, 40 * HOUR, &rt, NULL);
	check_str(str_c(rt.verdict.rule), S("R44"), "a new one after a long silence");
	q.token_seen = true;
	route_at(&f, "bob@contoso.com", q, 40 * HOUR, &rt, NULL);
	check_str(str_c(rt.verdict.rule), S("R41"), "the token knows better");
	fixture_close(&f);
}

static void test_windows(void **state)
{
	const struct route_query q = { .origin = ENV_INTERNET };
	struct fixture f;
	struct route rt;
	struct mode m;
	bool changed;

	(void)state;
	fixture_config(&f);
	f.config.mode.stragglers = STRAGGLERS_DEFER;
	f.config.recipients.max_age_ms = 1000;
	fixture_open(&f);
	add_full(&f, "ann@contoso.com", (struct rcpt_record){ 0 });
	check(routing_mode_set(f.r, SIDE_CLOUD, false, S("t"), &m, &changed, &f.e) == 0, "switch");
	route_at(&f, "ann@contoso.com", q, 60000, &rt, NULL);
	check(rt.verdict.straggler && rt.verdict.action == ROUTE_DELIVER, "inside the grace");
	route_at(&f, "ann@contoso.com", q, 3700000, &rt, NULL);
	check_str(str_c(rt.verdict.rule), S("R05"), "grace over");
	check(!rt.verdict.straggler && rt.verdict.action == ROUTE_DEFER, "deferred");
	fixture_close(&f);
}

/* Only a table that is imported can be out of date. */
static void test_stale(void **state)
{
	struct import_report rep;
	struct routing_view v;
	struct fixture f;
	struct buf problems;

	(void)state;
	fixture_config(&f);
	f.config.recipients.max_age_ms = 1;
	fixture_open(&f);
	buf_init(&problems, 1024);
	check(routing_begin(f.r, &v, &f.e) == 0 && !v.stale, "never imported");
	routing_end(&v);
	fixture_write(&f, S("address,loc\nann@contoso.com,local\n"));
	check(routing_import(f.r, f.file, IMPORT_CSV, S(""), false, 0, false, &rep, &problems, &f.e) == 0, "import");
	for (int64_t from = clock_wall_ms(); clock_wall_ms() - from < 3;)
		;
	check(routing_begin(f.r, &v, &f.e) == 0 && v.stale, "two milliseconds later");
	routing_end(&v);
	buf_fini(&problems);
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hops),         cmocka_unit_test(test_redirect_at_the_cloud),
		cmocka_unit_test(test_disagreement), cmocka_unit_test(test_windows),
		cmocka_unit_test(test_stale),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
