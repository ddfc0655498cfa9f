/* routing/availability_test.c: what bypasses a side that is down, and what the meter counts. */
#include "routing/table_test.h"

#include "base/time.h"

enum { MINUTE = 60000 };

struct asked {
	const char *rcpt;
	enum env_origin origin;
	bool null_sender, no_bypass;
	enum env_class class;
};

static struct route decide(struct fixture *f, struct asked a)
{
	struct routing_view v;
	struct route rt;
	struct addr rcpt;
	struct route_query q = { .rcpt = &rcpt,
				 .origin = a.origin,
				 .class = a.class,
				 .org = ENV_ORG_OK,
				 .null_sender = a.null_sender,
				 .no_bypass = a.no_bypass };

	must(addr_parse(str_c(a.rcpt), &(struct addr_rules){ 0 }, &rcpt) == ADDR_OK);
	check(routing_begin(f->r, &v, &f->e) == 0, "begin");
	check(routing_route(&v, &q, &f->arena, &rt, NULL, &f->e), "route");
	routing_end(&v);
	return rt;
}

static void open_cloud(struct fixture *f, enum conf_peer_down policy, unsigned classes)
{
	fixture_config(f);
	f->config.site = SITE_CLOUD;
	f->config.mode = (struct conf_mode){ .mx = SIDE_CLOUD, .cmt = true };
	f->config.cmt = (struct conf_cmt){
		.on_peer_down = policy, .class_bits = classes, .bypass_after_ms = INT64_C(30) * MINUTE, .quota = 2
	};
	fixture_open(f);
	check(fixture_add(f, "here@contoso.com", NULL, LOC_LOCAL, NULL) == 0, "here");
	check(fixture_add(f, "there@contoso.com", NULL, LOC_REMOTE, NULL) == 0, "there");
}

static const struct asked in_here = { "here@contoso.com", ENV_INTERNET, false, false, ENV_CLASS_NONE };
static const struct asked in_there = { "there@contoso.com", ENV_INTERNET, false, false, ENV_CLASS_NONE };
static const struct asked out = { "x@else.example", ENV_LOCAL, false, false, ENV_CLASS_NONE };
static const struct asked out_dsn = { "x@else.example", ENV_SELF, true, false, ENV_CLASS_NONE };
static const struct asked out_over = { "x@else.example", ENV_LOCAL, false, true, ENV_CLASS_NONE };

static void test_policy(void **state)
{
	static const struct {
		enum conf_peer_down policy;
		unsigned classes;
		const char *in, *out, *dsn;
	} rows[] = {
		{ PEER_DOWN_QUEUE, ~0u, "CMT-IN", "CMT-OUT", "CMT-OUT" },
		{ PEER_DOWN_BYPASS, 0, "CMT-BYPASS", "CMT-BYPASS", "CMT-BYPASS" },
		{ PEER_DOWN_CLASSES, BYPASS_DSN, "CMT-IN", "CMT-OUT", "CMT-BYPASS" },
		{ PEER_DOWN_CLASSES, BYPASS_INBOUND, "CMT-BYPASS", "CMT-OUT", "CMT-OUT" },
		{ PEER_DOWN_CLASSES, BYPASS_OUTBOUND, "CMT-IN", "CMT-BYPASS", "CMT-BYPASS" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct fixture f;
		open_cloud(&f, rows[i].policy, rows[i].classes);
		check_str(str_c(decide(&f, in_here).verdict.reason), S("CMT-IN"), "all is well");
		routing_peer_heard(f.r, false, clock_wall_ms() - INT64_C(29) * MINUTE);
		check_str(str_c(decide(&f, out).verdict.reason), S("CMT-OUT"), "not for long enough");
		routing_peer_heard(f.r, true, clock_wall_ms());
		routing_peer_heard(f.r, false, clock_wall_ms() - INT64_C(31) * MINUTE);
		routing_peer_heard(f.r, false, clock_wall_ms());
		struct route rt = decide(&f, in_here);
		check_str(str_c(rt.verdict.reason), str_c(rows[i].in), "in");
		check(strcmp(rows[i].in, "CMT-BYPASS") != 0 ||
			      (rt.verdict.action == ROUTE_DELIVER && rt.verdict.next == NEXT_INTERNAL),
		      "to the mailbox");
		check_str(str_c(decide(&f, in_there).verdict.reason), S("CMT-IN"), "over there it waits");
		rt = decide(&f, out);
		check_str(str_c(rt.verdict.reason), str_c(rows[i].out), "out");
		check(strcmp(rows[i].out, "CMT-BYPASS") != 0 || rt.verdict.next == NEXT_DIRECT, "straight out");
		check_str(str_c(decide(&f, out_dsn).verdict.reason), str_c(rows[i].dsn), "report");
		check_str(str_c(decide(&f, out_over).verdict.reason), S("CMT-OUT"), "over the quota");
		routing_peer_heard(f.r, true, clock_wall_ms());
		check_str(str_c(decide(&f, out).verdict.reason), S("CMT-OUT"), "it is back");
		fixture_close(&f);
	}
}

static void test_quota(void **state)
{
	const int64_t hour = 3600000;
	struct fixture f;

	(void)state;
	open_cloud(&f, PEER_DOWN_BYPASS, 0);
	check(routing_bypass_take(f.r, 10 * hour) && routing_bypass_take(f.r, 10 * hour + 1), "two");
	check(!routing_bypass_take(f.r, 11 * hour - 1), "no third one");
	check(routing_bypass_take(f.r, 11 * hour), "the next hour");
	fixture_close(&f);
}

static void test_coverage(void **state)
{
	const struct asked from_onprem = { "x@else.example", ENV_PEER, false, false, ENV_CLASS_INT };
	struct coverage_sum sum;
	struct fixture f;
	struct route rt;
	const int64_t hour = 3600000;

	(void)state;
	open_cloud(&f, PEER_DOWN_BYPASS, 0);
	rt = decide(&f, out);
	check(route_coverage(&rt) == COVERAGE_PASSED, "R58");
	rt = decide(&f, from_onprem);
	check(route_coverage(&rt) == COVERAGE_PASSED, "R57, it came from there");
	rt.facts.redirected = true;
	check(route_coverage(&rt) == COVERAGE_FORWARDED, "R57, forwarded here");
	rt = decide(&f, in_here);
	check(route_coverage(&rt) == COVERAGE_NONE, "not to the Internet");
	routing_peer_heard(f.r, false, 1000);
	rt = decide(&f, out);
	check(route_coverage(&rt) == COVERAGE_BYPASSED, "bypassed");
	rt.facts = (struct route_facts){ .kind = KIND_EXTERNAL, .site = SITE_CLOUD };
	rt.verdict = (struct verdict){ .rule = "R57", .reason = "OUT" };
	check(route_coverage(&rt) == COVERAGE_DIRECT, "central transport off");
	rt.verdict = (struct verdict){ .rule = "R50", .reason = "RELAY-DENIED" };
	check(route_coverage(&rt) == COVERAGE_NONE, "refused");
	rt.facts.site = SITE_ONPREM;
	rt.verdict = (struct verdict){ .rule = "R53", .reason = "CMT-OUT" };
	check(route_coverage(&rt) == COVERAGE_PASSED, "on-prem sees what comes");

	routing_coverage_count(f.r, COVERAGE_PASSED, 100 * hour);
	routing_coverage_count(f.r, COVERAGE_DIRECT, 100 * hour);
	routing_coverage_count(f.r, COVERAGE_NONE, 100 * hour);
	routing_coverage_count(f.r, COVERAGE_PASSED, 123 * hour);
	routing_coverage(f.r, 123 * hour, &sum);
	check(sum.hours[0].hour_ms == 100 * hour && sum.hours[0].n[COVERAGE_DIRECT] == 1, "a day ago");
	check(sum.hours[23].n[COVERAGE_PASSED] == 1 && sum.hours[5].hour_ms == 0, "now, and nothing");
	routing_coverage_count(f.r, COVERAGE_PASSED, 124 * hour); /* the ring comes around */
	routing_coverage(f.r, 124 * hour, &sum);
	check(sum.hours[23].n[COVERAGE_PASSED] == 1 && sum.hours[23].n[COVERAGE_DIRECT] == 0, "anew");
	check(sum.total[COVERAGE_PASSED] == 3 && sum.total[COVERAGE_DIRECT] == 1, "since the start");
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_policy),
		cmocka_unit_test(test_quota),
		cmocka_unit_test(test_coverage),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
