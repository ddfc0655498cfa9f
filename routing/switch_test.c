/* routing/switch_test.c: every state against every order and the passing of time. */
#include "routing/switch.h"
#include "tests/unit.h"

#include <string.h>

enum { HOUR = 3600 * 1000 };

/* A switch whose mode changed at 1000 h; ttl_max 1 h, quiet 24 h, grace 72 h, lock_defer 6 h. */
static struct switch_facts facts(int64_t entered_h, int64_t now_h)
{
	return (struct switch_facts){
		.mx_moves = true,
		.now_ms = now_h * HOUR,
		.entered_ms = entered_h * HOUR,
		.switched_ms = INT64_C(1000) * HOUR,
		.ttl_max_ms = HOUR,
		.quiet_ms = INT64_C(24) * HOUR,
		.grace_ms = INT64_C(72) * HOUR,
		.lock_defer_ms = INT64_C(6) * HOUR,
	};
}

static const struct row {
	const char *says;
	enum switch_state at;
	int64_t entered_h, now_h, loud_h;
	enum switch_order order;
	size_t failed;
	bool cmt_only, overtaken;
	enum switch_state to;
	enum switch_effect effect;
	bool refused;
	int64_t next_h; /* 0 = not looked at */
} table[] = {
	{ "nothing there", SWITCH_NONE, 0, 1, 0, SWITCH_WAIT, 0, 0, 0, SWITCH_NONE, SWITCH_KEEP_MODE, 0, 0 },
	{ "nothing to check", SWITCH_NONE, 0, 1, 0, SWITCH_CHECK, 0, 0, 0, SWITCH_NONE, SWITCH_KEEP_MODE, 1, 0 },
	{ "a plan waits", SWITCH_PLANNED, 0, 900, 0, SWITCH_WAIT, 0, 0, 0, SWITCH_PLANNED, SWITCH_KEEP_MODE, 0, 0 },
	{ "checked", SWITCH_PLANNED, 0, 1, 0, SWITCH_CHECK, 0, 0, 0, SWITCH_PRECHECK, SWITCH_KEEP_MODE, 0, 0 },
	{ "not without checks", SWITCH_PLANNED, 0, 1, 0, SWITCH_GO, 0, 0, 0, SWITCH_PLANNED, SWITCH_KEEP_MODE, 1, 0 },
	{ "no way back", SWITCH_PLANNED, 0, 1, 0, SWITCH_ROLLBACK, 0, 0, 0, SWITCH_PLANNED, SWITCH_KEEP_MODE, 1, 0 },
	{ "failed, again", SWITCH_FAILED, 0, 1, 0, SWITCH_CHECK, 0, 0, 0, SWITCH_PRECHECK, SWITCH_KEEP_MODE, 0, 0 },
	{ "checks pass", SWITCH_PRECHECK, 1000, 1000, 0, SWITCH_GO, 0, 0, 0, SWITCH_DUAL, SWITCH_TO_TARGET, 0, 0 },
	{ "a check fails", SWITCH_PRECHECK, 1000, 1000, 0, SWITCH_GO, 1, 0, 0, SWITCH_FAILED, SWITCH_KEEP_MODE, 0, 0 },
	{ "checks run", SWITCH_PRECHECK, 1000, 1000, 0, SWITCH_WAIT, 0, 0, 0, SWITCH_PRECHECK, SWITCH_KEEP_MODE, 0, 0 },
	{ "checks cut off", SWITCH_PRECHECK, 1000, 1001, 0, SWITCH_WAIT, 0, 0, 0, SWITCH_FAILED, SWITCH_KEEP_MODE, 0,
	  0 },
	{ "both open", SWITCH_DUAL, 1000, 1000, 0, SWITCH_WAIT, 0, 0, 0, SWITCH_DUAL, SWITCH_KEEP_MODE, 0, 1001 },
	{ "ttl over", SWITCH_DUAL, 1000, 1001, 0, SWITCH_WAIT, 0, 0, 0, SWITCH_OBSERVE, SWITCH_KEEP_MODE, 0, 0 },
	{ "no second one", SWITCH_DUAL, 1000, 1000, 0, SWITCH_CHECK, 0, 0, 0, SWITCH_DUAL, SWITCH_KEEP_MODE, 1, 0 },
	{ "back", SWITCH_DUAL, 1000, 1000, 0, SWITCH_ROLLBACK, 0, 0, 0, SWITCH_PLANNED, SWITCH_TO_BEFORE, 0, 0 },
	{ "by hand", SWITCH_DUAL, 1000, 1000, 0, SWITCH_WAIT, 0, 0, 1, SWITCH_FAILED, SWITCH_KEEP_MODE, 0, 0 },
	{ "not so quiet yet", SWITCH_OBSERVE, 1001, 1024, 0, SWITCH_WAIT, 0, 0, 0, SWITCH_OBSERVE, SWITCH_KEEP_MODE, 0,
	  1025 },
	{ "quiet", SWITCH_OBSERVE, 1001, 1025, 0, SWITCH_WAIT, 0, 0, 0, SWITCH_LOCKED, SWITCH_LOCK, 0, 0 },
	{ "loud meanwhile", SWITCH_OBSERVE, 1001, 1025, 1010, SWITCH_WAIT, 0, 0, 0, SWITCH_OBSERVE, SWITCH_KEEP_MODE, 0,
	  1034 },
	{ "loud to the end", SWITCH_OBSERVE, 1001, 1071, 1071, SWITCH_WAIT, 0, 0, 0, SWITCH_OBSERVE, SWITCH_KEEP_MODE,
	  0, 1072 },
	{ "grace over", SWITCH_OBSERVE, 1001, 1072, 1071, SWITCH_WAIT, 0, 0, 0, SWITCH_LOCKED, SWITCH_LOCK, 0, 0 },
	{ "CMT alone", SWITCH_OBSERVE, 1001, 1025, 0, SWITCH_WAIT, 0, 1, 0, SWITCH_DONE, SWITCH_KEEP_MODE, 0, 0 },
	{ "back from there", SWITCH_OBSERVE, 1001, 1002, 0, SWITCH_ROLLBACK, 0, 0, 0, SWITCH_PLANNED, SWITCH_TO_BEFORE,
	  0, 0 },
	{ "locked", SWITCH_LOCKED, 1025, 1030, 0, SWITCH_WAIT, 0, 0, 0, SWITCH_LOCKED, SWITCH_KEEP_MODE, 0, 1031 },
	{ "rejecting", SWITCH_LOCKED, 1025, 1031, 0, SWITCH_WAIT, 0, 0, 0, SWITCH_DONE, SWITCH_KEEP_MODE, 0, 0 },
	{ "back, locked", SWITCH_LOCKED, 1025, 1026, 0, SWITCH_ROLLBACK, 0, 0, 0, SWITCH_PLANNED, SWITCH_TO_BEFORE, 0,
	  0 },
	{ "back, overtaken", SWITCH_LOCKED, 1025, 1026, 0, SWITCH_ROLLBACK, 0, 0, 1, SWITCH_FAILED, SWITCH_KEEP_MODE, 1,
	  0 },
	{ "over", SWITCH_DONE, 1031, 9999, 0, SWITCH_WAIT, 0, 0, 0, SWITCH_DONE, SWITCH_KEEP_MODE, 0, 0 },
	{ "too late", SWITCH_DONE, 1031, 9999, 0, SWITCH_ROLLBACK, 0, 0, 0, SWITCH_DONE, SWITCH_KEEP_MODE, 1, 0 },
};

static void test_table(void **state)
{
	struct switch_move m;

	(void)state;
	for (size_t i = 0; i < sizeof table / sizeof table[0]; i++) {
		const struct row *r = &table[i];
		struct switch_facts f = facts(r->entered_h, r->now_h);
		f.loud_ms = r->loud_h * HOUR;
		f.order = r->order;
		f.failed = r->failed;
		f.mx_moves = !r->cmt_only;
		f.overtaken = r->overtaken;
		switch_next(r->at, &f, &m);
		check(m.to == r->to, r->says);
		check(m.effect == r->effect, r->says);
		check(m.refused == r->refused, r->says);
		check(r->next_h == 0 || m.next_ms == r->next_h * HOUR, r->says);
		check(m.why != NULL && m.why[0] != '\0', r->says);
	}
}

/* Whatever happens, the mode changes by three moves only, and every state can be left or is an end. */
static void test_all(void **state)
{
	struct switch_move m;

	(void)state;
	for (enum switch_state at = SWITCH_NONE; at < SWITCH_STATE_N; at++)
		for (int order = SWITCH_WAIT; order <= SWITCH_ROLLBACK; order++)
			for (int bits = 0; bits < 16; bits++) {
				struct switch_facts f = facts(1000, bits & 1 ? 1000 : 9000);
				f.order = (enum switch_order)order;
				f.mx_moves = bits & 2;
				f.overtaken = bits & 4;
				f.failed = bits & 8 ? 1 : 0;
				switch_next(at, &f, &m);
				check((m.effect == SWITCH_TO_TARGET) == (at == SWITCH_PRECHECK && m.to == SWITCH_DUAL),
				      "to the target");
				check((m.effect == SWITCH_TO_BEFORE) ==
					      (switch_is_under_way(at) && m.to == SWITCH_PLANNED),
				      "back");
				check((m.effect == SWITCH_LOCK) == (at != SWITCH_LOCKED && m.to == SWITCH_LOCKED),
				      "lock");
				check(!f.overtaken || m.effect == SWITCH_KEEP_MODE || at == SWITCH_PRECHECK,
				      "nobody's mode is touched");
			}
}

static void test_policy(void **state)
{
	(void)state;
	check(switch_policy(STRAGGLERS_TAG, 0, 500, 100) == STRAGGLERS_TAG, "not locked");
	check(switch_policy(STRAGGLERS_TAG, 500, 499, 100) == STRAGGLERS_TAG, "not yet");
	check(switch_policy(STRAGGLERS_TAG, 500, 599, 100) == STRAGGLERS_DEFER, "deferred first");
	check(switch_policy(STRAGGLERS_DEFER, 500, 600, 100) == STRAGGLERS_REJECT, "then rejected");
}

static void test_bytes(void **state)
{
	struct mode_switch a = { .state = SWITCH_OBSERVE,
				 .from = { SIDE_ONPREM, true },
				 .to = { SIDE_CLOUD, false },
				 .epoch = 7,
				 .planned_ms = 1,
				 .entered_ms = INT64_MAX,
				 .switched_ms = 3,
				 .who = "uid 0",
				 .check_n = 2 },
			   b;
	struct buf bytes;

	(void)state;
	memcpy(a.why, "because", 8);
	memcpy(a.checks[0].name, "spf", 4);
	a.checks[0].result = CHECK_SKIPPED;
	memset(a.checks[1].evidence, 'x', sizeof a.checks[1].evidence - 1);
	a.checks[1].result = CHECK_WAIVED;
	memcpy(a.checks[1].waived_why, "rehearsal", 10);
	buf_init(&bytes, 4096);
	switch_encode(&a, &bytes);
	check(switch_decode(buf_str(&bytes), &b), "decode");
	/* NOLINTNEXTLINE(bugprone-suspicious-memory-comparison,cert-exp42-c,cert-flp37-c): both began as zeros */
	check(memcmp(&a, &b, sizeof a) == 0, "the same");
	for (size_t n = 0; n < bytes.n; n++) { /* cut anywhere: fails, or has fewer checks */
		bool whole = switch_decode(str_head(buf_str(&bytes), n), &b);
		check(!whole || b.check_n < 2, "cut");
	}
	bytes.p[1] = SWITCH_STATE_N;
	check(!switch_decode(buf_str(&bytes), &b), "no such state");
	buf_fini(&bytes);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_all),
		cmocka_unit_test(test_policy),
		cmocka_unit_test(test_bytes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
