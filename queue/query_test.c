/* queue/query_test.c: what an administrator sees and says. */
#include "tests/queue_rig.h"

#include <sys/wait.h>

static struct queue_query query;
static struct queue_order order;
static bool answered;

static void on_answer(struct op *op)
{
	(void)op;
	answered = true;
}

static bool all_are_leased(struct rig *r)
{
	return r->lease_n >= 6;
}

static bool is_answered(struct rig *r)
{
	(void)r;
	return answered;
}

static size_t ask(struct rig *r, struct queue_filter f)
{
	queue_query_fini(&query);
	answered = false;
	queue_query(r->port, &f, &query, on_answer);
	rig_until(r, is_answered);
	assert_true(query.ok);
	return query.row_n;
}

static uint64_t tell(struct rig *r, enum queue_verb v, bool dry_run, struct queue_filter f)
{
	answered = false;
	queue_order(r->port, &f, v, dry_run, &order, on_answer);
	rig_until(r, is_answered);
	assert_true(order.ok);
	return order.recipients;
}

/* Six messages with 1, 2, 3, 1, 2, 3 recipients, nobody delivers. */
static void fill(struct rig *r, uint64_t ids[6])
{
	r->conf.active_max = 0;
	rig_open(r);
	for (size_t i = 0; i < 6; i++)
		ids[i] = rig_accept(r, 100 + i, 1 + i % 3);
}

static void test_query(void **state)
{
	struct rig *r = *state;
	uint64_t ids[6];

	fill(r, ids);
	assert_int_equal(ask(r, (struct queue_filter){ 0 }), 12);
	assert_true(query.rows[0].id == ids[0] && query.rows[0].size == 100 && query.rows[0].attempts == 0);
	assert_true(query.rows[0].state == QUEUE_ACTIVE && !query.more);
	check_str(query.rows[0].from, S("from@src.example"), "from");
	check_str(query.rows[2].rcpt, S("two@b.example"), "rcpt");
	check_str(query.rows[0].trace_id, S("trace"), "trace");
	assert_int_equal(ask(r, (struct queue_filter){ .id = ids[4] }), 2);
	assert_int_equal(ask(r, (struct queue_filter){ .id = ids[4] + 99 }), 0);
	assert_int_equal(ask(r, (struct queue_filter){ .rcpt = S("ONE@a.example") }), 6);
	assert_int_equal(ask(r, (struct queue_filter){ .rcpt = S("@C.example") }), 2);
	assert_int_equal(ask(r, (struct queue_filter){ .rcpt = S("@example") }), 0);
	assert_int_equal(ask(r, (struct queue_filter){ .from = S("@src.example") }), 12);
	assert_int_equal(ask(r, (struct queue_filter){ .from = S("nobody@src.example") }), 0);
	assert_int_equal(ask(r, (struct queue_filter){ .deferred_only = true }), 0);
	assert_int_equal(ask(r, (struct queue_filter){ .older_than_ms = 60000 }), 0);
	rig_clock_ms += 61000;
	assert_int_equal(ask(r, (struct queue_filter){ .older_than_ms = 60000 }), 12);
	queue_query_fini(&query);
	rig_close(r);
}

/* A page ends with a whole message; the next begins after it. */
static void test_paging(void **state)
{
	struct rig *r = *state;
	struct queue_filter f = { .max = 4 };
	uint64_t ids[6], seen = 0;
	size_t pages = 0;

	fill(r, ids);
	do {
		seen += ask(r, f);
		assert_true(query.row_n > 0);
		f.after_id = query.rows[query.row_n - 1].id;
		pages++;
	} while (query.more);
	assert_true(seen == 12 && pages == 2);
	queue_query_fini(&query);
	rig_close(r);
}

static void test_orders(void **state)
{
	struct rig *r = *state;
	struct queue_filter two = { .rcpt = S("@b.example") };
	uint64_t ids[6];

	fill(r, ids);
	assert_int_equal(tell(r, QUEUE_HOLD, true, two), 4);
	assert_int_equal(ask(r, (struct queue_filter){ .held_only = true }), 0);
	assert_int_equal(tell(r, QUEUE_HOLD, false, two), 4);
	assert_int_equal(order.messages, 4);
	assert_int_equal(ask(r, (struct queue_filter){ .held_only = true }), 4);
	assert_int_equal(query.rows[0].state, QUEUE_HELD);
	assert_int_equal(tell(r, QUEUE_REMOVE, false, (struct queue_filter){ .rcpt = S("@a.example") }), 6);
	assert_int_equal(rig_stats(r).messages, 4);
	assert_int_equal(rig_stats(r).recipients, 6);
	queue_query_fini(&query);
	rig_close(r);
	rig_check(r);
	rig_open(r);
	assert_int_equal(r->found.recipients, 6);
	assert_int_equal(tell(r, QUEUE_RELEASE, false, (struct queue_filter){ .held_only = true }), 4);
	assert_int_equal(ask(r, (struct queue_filter){ .held_only = true }), 0);
	assert_int_equal(tell(r, QUEUE_REMOVE, false, (struct queue_filter){ 0 }), 6);
	assert_true(rig_empty(r));
	queue_query_fini(&query);
	rig_close(r);
	rig_check(r);
}

static void test_retry(void **state)
{
	struct rig *r = *state;

	rig_open(r);
	rig_accept(r, 100, 1);
	rig_until(r, rig_leased);
	rig_settle(r, 0, OUTCOME_DEFERRED, 3600000);
	rig_until(r, rig_idle);
	assert_int_equal(ask(r, (struct queue_filter){ .deferred_only = true }), 1);
	assert_int_equal(query.rows[0].state, QUEUE_DEFERRED);
	check_str(query.rows[0].last, S("451 4.2.1 later"), "last");
	r->lease_n = 0;
	assert_int_equal(tell(r, QUEUE_RETRY, false, (struct queue_filter){ 0 }), 1);
	rig_until(r, rig_leased);
	assert_int_equal(r->leases[0]->rcpts[0].attempts, 1);
	rig_settle(r, 0, OUTCOME_DELIVERED, 0);
	rig_until(r, rig_empty);
	queue_query_fini(&query);
	rig_close(r);
	rig_check(r);
}

/* What is said about a message that is being delivered counts when its lease is settled. */
static void test_orders_while_leased(void **state)
{
	static const struct {
		enum queue_verb verb;
		enum outcome_kind kind;
		uint64_t messages, held;
	} rows[] = {
		{ QUEUE_HOLD, OUTCOME_DEFERRED, 1, 1 },   { QUEUE_HOLD, OUTCOME_DELIVERED, 0, 0 },
		{ QUEUE_REMOVE, OUTCOME_DEFERRED, 0, 0 }, { QUEUE_REMOVE, OUTCOME_DELIVERED, 0, 0 },
		{ QUEUE_RETRY, OUTCOME_DEFERRED, 1, 0 },
	};
	struct rig *r = *state;

	for (size_t i = 0; i < COUNT(rows); i++) {
		rig_open(r);
		rig_accept(r, 100, 1);
		rig_until(r, rig_leased);
		assert_int_equal(ask(r, (struct queue_filter){ 0 }), 1);
		assert_int_equal(query.rows[0].state, QUEUE_ACTIVE);
		assert_int_equal(tell(r, rows[i].verb, false, (struct queue_filter){ 0 }), 1);
		rig_settle(r, 0, rows[i].kind, 3600000);
		rig_until(r, rig_idle);
		assert_int_equal(rig_stats(r).messages, rows[i].messages);
		assert_int_equal(ask(r, (struct queue_filter){ .held_only = true }), rows[i].held);
		queue_query_fini(&query);
		rig_close(r);
		rig_check(r);
		rig_open(r);
		assert_int_equal(r->found.messages, rows[i].messages);
		tell(r, QUEUE_REMOVE, false, (struct queue_filter){ 0 });
		rig_close(r);
	}
}

/* What an administrator condemned is leased as that, with the reason, also after a crash before the next checkpoint,
 * and when it was on hold. */
static void test_fail(void **state)
{
	struct rig *r = *state;
	struct queue_filter two = { .rcpt = S("@b.example") };
	struct queue_where *w;
	struct err e;
	uint64_t ids[6];
	int status = 1;

	fill(r, ids);
	rig_close(r);
	pid_t pid = fork();
	if (pid == 0) { /* threads do not outlive a fork: the queue is opened in here, and dies as in a crash */
		rig_open(r);
		tell(r, QUEUE_HOLD, false, two);
		order.reason = S("the project has ended");
		tell(r, QUEUE_FAIL, false, two);
		_exit(0);
	}
	assert_true(waitpid(pid, &status, 0) == pid && status == 0);
	rig_check(r);
	r->conf.active_max = 100;
	rig_open(r);
	assert_int_equal(rig_stats(r).recipients, 12);
	w = queue_where_parse(S("domain = b.example and last = 'the project has ended'"), &e);
	assert_int_equal(ask(r, (struct queue_filter){ .where = w }), 4);
	queue_where_free(&w);
	size_t condemned = 0;
	rig_until(r, all_are_leased);
	for (size_t i = 0; i < r->lease_n; i++) {
		struct lease *l = r->leases[i];
		for (size_t n = 0; n < l->rcpt_n; n++) {
			bool is = str_eq(l->env.rcpts[l->rcpts[n].index].addr, S("two@b.example"));
			assert_true(l->rcpts[n].condemned == is);
			if (is)
				check_str(l->rcpts[n].last, S("the project has ended"), "reason");
			condemned += is;
		}
		rig_settle(r, i, OUTCOME_FAILED, 0);
	}
	assert_int_equal(condemned, 4);
	rig_until(r, rig_empty);
	queue_query_fini(&query);
	rig_close(r);
	rig_check(r);
}

static void test_cancelled(void **state)
{
	struct rig *r = *state;
	struct queue_filter all = { 0 };
	uint64_t ids[6];

	fill(r, ids);
	queue_query(r->port, &all, &query, on_answer);
	queue_query_fini(&query);
	queue_query(r->port, &all, &query, on_answer);
	op_cancel(&query.op);
	queue_order(r->port, &all, QUEUE_HOLD, false, &order, on_answer);
	op_cancel(&order.op);
	rig_until(r, rig_idle);
	assert_null(query.state);
	assert_int_equal(ask(r, (struct queue_filter){ .held_only = true }), 12);
	queue_query_fini(&query);
	rig_close(r);
}

#define T(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_query),     T(test_paging), T(test_orders), T(test_retry), T(test_orders_while_leased),
		T(test_cancelled), T(test_fail),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
