/* queue/live_test.c: what outcomes and orders make of a message, and the table itself. */
#include "queue/inner.h"
#include "tests/unit.h"

enum { DELIVER, FAIL, DEFER, HOLD, RELEASE, RETRY, REMOVE, CONDEMN, END };

/* One recipient, steps in order, and what is then true.  The log is replayed with the same functions, so a row is also
 * what recovery makes of such a log. */
static const struct {
	const char *name;
	int steps[5];
	unsigned left, deferred, state;
	int64_t due_ms;
} rows[] = {
	{ "fresh", { END }, 1, 0, RCPT_PENDING, 1000 },
	{ "delivered", { DELIVER, END }, 0, 0, RCPT_DONE, DUE_NEVER },
	{ "failed", { FAIL, END }, 0, 0, RCPT_DONE, DUE_NEVER },
	{ "deferred", { DEFER, END }, 1, 1, RCPT_PENDING, 5000 },
	{ "deferred, delivered", { DEFER, DELIVER, END }, 0, 0, RCPT_DONE, DUE_NEVER },
	{ "deferred twice", { DEFER, DEFER, END }, 1, 1, RCPT_PENDING, 5000 },
	{ "held", { HOLD, END }, 1, 0, RCPT_HELD, DUE_NEVER },
	{ "held while tried", { HOLD, DEFER, END }, 1, 1, RCPT_HELD, DUE_NEVER },
	{ "held while delivered", { HOLD, DELIVER, END }, 0, 0, RCPT_DONE, DUE_NEVER },
	{ "held, released", { HOLD, RELEASE, END }, 1, 0, RCPT_PENDING, 9000 },
	{ "released, never held", { DEFER, RELEASE, END }, 1, 1, RCPT_PENDING, 5000 },
	{ "retried", { DEFER, RETRY, END }, 1, 1, RCPT_PENDING, 9000 },
	{ "held, retried", { HOLD, RETRY, END }, 1, 0, RCPT_HELD, DUE_NEVER },
	{ "removed", { REMOVE, END }, 0, 0, RCPT_DONE, DUE_NEVER },
	{ "removed while tried", { REMOVE, DEFER, END }, 0, 0, RCPT_DONE, DUE_NEVER },
	{ "condemned", { CONDEMN, END }, 1, 0, RCPT_CONDEMNED, 9000 },
	{ "condemned on hold", { HOLD, CONDEMN, END }, 1, 0, RCPT_CONDEMNED, 9000 },
	{ "condemned, not reported yet", { CONDEMN, DEFER, END }, 1, 1, RCPT_CONDEMNED, 5000 },
	{ "condemned, held, released", { CONDEMN, HOLD, RELEASE, END }, 1, 0, RCPT_CONDEMNED, 9000 },
	{ "condemned, reported", { CONDEMN, FAIL, END }, 0, 0, RCPT_DONE, DUE_NEVER },
	{ "removed, then all", { REMOVE, DELIVER, HOLD, RELEASE, END }, 0, 0, RCPT_DONE, DUE_NEVER },
};

static void take_step(struct live *l, int step, struct live_change *c)
{
	static const enum queue_verb verbs[] = { QUEUE_HOLD, QUEUE_RELEASE, QUEUE_RETRY, QUEUE_REMOVE, QUEUE_FAIL };
	static const enum outcome_kind kinds[] = { OUTCOME_DELIVERED, OUTCOME_FAILED, OUTCOME_DEFERRED };
	struct record_outcome o = { .attempts = 1, .due_ms = 5000, .text = STR_LIT("why") };

	if (step >= HOLD) {
		live_order(l, 0, verbs[step - HOLD], 9000, S("why not"), c);
		return;
	}
	o.kind = (uint8_t)kinds[step];
	live_outcome(l, &o, c);
}

static void test_steps(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct live_table t;
		struct live_change c = { 0 };
		live_init(&t);
		struct live *l = live_add(&t, 7);
		l->rcpt_n = l->left = 1;
		l->arrived_ms = 1000;
		for (const int *step = rows[i].steps; *step != END; step++)
			take_step(l, *step, &c);
		check(l->left == rows[i].left && c.gone == 1 - rows[i].left, rows[i].name);
		check(l->deferred == rows[i].deferred && c.deferred == (int)rows[i].deferred, rows[i].name);
		check(live_due_ms(l) == rows[i].due_ms, rows[i].name);
		check(l->rcpts == NULL || l->rcpts[0].state == rows[i].state, rows[i].name);
		live_fini(&t);
	}
}

static void test_earliest_due(void **state)
{
	struct live_table t;
	struct live_change c = { 0 };

	(void)state;
	live_init(&t);
	struct live *l = live_add(&t, 7);
	l->rcpt_n = l->left = 3;
	for (uint32_t i = 0; i < 3; i++)
		live_outcome(l,
			     &(struct record_outcome){
				     .rcpt = i, .kind = OUTCOME_DEFERRED, .attempts = 1, .due_ms = 300 - i },
			     &c);
	assert_true(live_due_ms(l) == 298 && l->deferred == 3);
	live_outcome(l, &(struct record_outcome){ .rcpt = 2, .kind = OUTCOME_DELIVERED }, &c);
	assert_true(live_due_ms(l) == 299 && l->left == 2 && c.delivered == 1);
	live_outcome(l, &(struct record_outcome){ .rcpt = 9, .kind = OUTCOME_DELIVERED }, &c); /* not of this message */
	assert_int_equal(l->left, 2);
	live_fini(&t);
}

static void test_table(void **state)
{
	enum { N = 5000 };
	struct live_table t;

	(void)state;
	live_init(&t);
	for (uint64_t id = 1; id <= N; id++) {
		struct live *l = live_add(&t, id << 20);
		if (id % 2 == 0)
			live_mark(&t, l);
	}
	assert_true(t.n == N && t.dirty_n == N / 2);
	for (uint64_t id = 1; id <= N; id++) {
		struct live *l = live_find(&t, id << 20);
		assert_true(l != NULL && l->dirty == (id % 2 == 0));
		if (id % 3 == 0)
			live_remove(&t, l);
	}
	assert_null(live_find(&t, UINT64_C(3) << 20));
	assert_null(live_find(&t, 1));
	assert_non_null(live_find(&t, UINT64_C(4) << 20));
	assert_true(t.n == N - N / 3 && t.dirty_n == N / 2 - N / 6);
	live_fini(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_steps),
		cmocka_unit_test(test_earliest_due),
		cmocka_unit_test(test_table),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
