/* routing/straggler_test.c: sources counted, bounded, kept, and forgotten when the MX moves. */
#include "routing/table_test.h"

static const int64_t t0 = INT64_C(1000) * 3600000;

static void note(struct stragglers *s, const char *ip, const char *rcpt, int64_t now_ms)
{
	stragglers_note(s, &(struct straggler_seen){ .client = str_c(ip),
						     .helo = S("h.example"),
						     .rcpt = str_c(rcpt),
						     .mx = SIDE_CLOUD,
						     .now_ms = now_ms,
						     .threshold = 3 });
}

static void test_count(void **state)
{
	struct straggler_source out[8];
	struct straggler_sum sum;
	struct fixture f;

	(void)state;
	fixture_config(&f);
	f.config.mode.straggler_sources = 64;
	fixture_open(&f);
	struct stragglers *s = routing_stragglers(f.r);
	note(s, "192.0.2.1", "a@x", t0);
	note(s, "192.0.2.2", "b@x", t0 + 1);
	check(stragglers_list(s, SIDE_CLOUD, out, 8) == 2, "two");
	stragglers_sum(s, SIDE_CLOUD, t0 + 2, &sum);
	check(sum.total == 2 && sum.sources == 2 && sum.this_hour == 2 && sum.loud_ms == 0, "not loud");
	note(s, "192.0.2.2", "c@x", t0 + 3);
	note(s, "192.0.2.2", "b@x", t0 + 3600000);
	stragglers_sum(s, SIDE_CLOUD, t0 + 3600001, &sum);
	check(sum.total == 4 && sum.this_hour == 1 && sum.hour_before == 3 && sum.loud_ms == t0 + 3, "loud then");
	stragglers_sum(s, SIDE_CLOUD, t0 + 3 * 3600000, &sum);
	check(sum.this_hour == 0 && sum.hour_before == 0, "silence");
	check(stragglers_list(s, SIDE_CLOUD, out, 1) == 1 && strcmp(out[0].ip, "192.0.2.2") == 0, "most first");
	check(out[0].count == 3 && out[0].first_ms == t0 + 1 && out[0].last_ms == t0 + 3600000, "row");
	check(strcmp(out[0].rcpts[0], "b@x") == 0 && strcmp(out[0].rcpts[1], "c@x") == 0 && out[0].rcpts[2][0] == '\0',
	      "sample");
	check(stragglers_list(s, SIDE_ONPREM, out, 8) == 0, "of the other MX");
	fixture_close(&f);
}

static void test_kept(void **state)
{
	struct straggler_source out[8];
	struct straggler_sum sum;
	struct fixture f;

	(void)state;
	fixture_config(&f);
	f.config.mode.straggler_sources = 64;
	fixture_open(&f);
	for (int i = 0; i < 3; i++)
		note(routing_stragglers(f.r), "192.0.2.1", "a@x", t0);
	note(routing_stragglers(f.r), "2001:db8::1", "b@x", t0);
	check(routing_stragglers_keep(f.r, &f.e) == 0, "kept");
	note(routing_stragglers(f.r), "192.0.2.1", "a@x", t0 + 1); /* not kept: a crash forgets it */
	routing_close(&f.r);
	f.config.mode.straggler_sources = 1000; /* rows move */
	fixture_open(&f);
	check(stragglers_list(routing_stragglers(f.r), SIDE_CLOUD, out, 8) == 2 && out[0].count == 3, "read");
	stragglers_sum(routing_stragglers(f.r), SIDE_CLOUD, t0, &sum);
	check(sum.total == 4 && sum.sources == 2 && sum.loud_ms == t0, "sum");
	check(routing_stragglers_keep(f.r, &f.e) == 0, "kept again");
	routing_close(&f.r);
	fixture_open(&f);
	check(stragglers_list(routing_stragglers(f.r), SIDE_CLOUD, out, 8) == 2, "nothing doubled");
	stragglers_reset(routing_stragglers(f.r), SIDE_ONPREM);
	check(routing_stragglers_keep(f.r, &f.e) == 0, "wiped");
	routing_close(&f.r);
	fixture_open(&f);
	check(stragglers_list(routing_stragglers(f.r), SIDE_CLOUD, out, 8) == 0, "the MX moved");
	check(stragglers_list(routing_stragglers(f.r), SIDE_ONPREM, out, 8) == 0, "nobody yet");
	fixture_close(&f);
}

/* Thousands of sources in a table of 64: it never grows, and who came last is known. */
static void test_bounded(void **state)
{
	static struct straggler_source out[200];
	struct straggler_sum sum;
	struct fixture f;
	char ip[32];

	(void)state;
	fixture_config(&f);
	f.config.mode.straggler_sources = 64;
	fixture_open(&f);
	for (int i = 0; i < 5000; i++) {
		snprintf(ip, sizeof ip, "10.0.%d.%d", i / 250, i % 250);
		note(routing_stragglers(f.r), ip, "a@x", t0 + i);
	}
	stragglers_sum(routing_stragglers(f.r), SIDE_CLOUD, t0, &sum);
	check(sum.total == 5000 && sum.sources <= 68, "bounded");
	size_t n = stragglers_list(routing_stragglers(f.r), SIDE_CLOUD, out, 200);
	check(n == sum.sources && n >= 60, "listed");
	bool known = false;
	for (size_t i = 0; i < n; i++)
		known |= strcmp(out[i].ip, ip) == 0;
	check(known, "the newest");
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_count),
		cmocka_unit_test(test_kept),
		cmocka_unit_test(test_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
