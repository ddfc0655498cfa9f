/* queue/compact_test.c: what a few waiting messages may cost in segments, and what compaction leaves alone. */
#include "queue/inner.h"
#include "tests/queue_rig.h"

enum { MANY = 100000, OF_WHICH_ONE_IN = 100, WINDOW = 500, BYTES = 500, DAY_MS = 86400000 };

struct many {
	struct rig *rig;
	struct commit commits[WINDOW];
	size_t sent, served, in_segments_most;
	bool draining;
};
static struct many many;

static void send_one(struct commit *c);

static void on_commit(struct op *op)
{
	struct commit *c = container_of(op, struct commit, op);

	assert_true(c->ok);
	send_one(c);
}

static void send_one(struct commit *c)
{
	static char content[BYTES];
	struct envelope env = { .from = S("from@src.example"),
				.trace_id = S("trace"),
				.arrived_ms = clock_wall_ms(),
				.rcpts = rig_rcpts,
				.rcpt_n = 1 };
	struct err e;

	if (many.sent == MANY)
		return;
	many.sent++;
	for (size_t i = 0; i < sizeof content; i++)
		content[i] = rig_content_at(i);
	struct spool *s = spool_begin(many.rig->port, &e);
	if (s == NULL)
		fail_msg("%s", e.text);
	assert_int_equal(spool_write(s, str_n(content, sizeof content), &e), 0);
	spool_commit(&s, &env, c, on_commit);
}

/* One in a hundred waits for a day; in the end all are delivered, with their content. */
static void serve(void *arg, struct lease *l)
{
	bool defer = !many.draining && many.served % OF_WHICH_ONE_IN == 0;
	struct outcome o = { .index = 0,
			     .kind = defer ? OUTCOME_DEFERRED : OUTCOME_DELIVERED,
			     .due_ms = clock_wall_ms() + DAY_MS,
			     .text = S("451 4.2.1 later") };
	size_t segments = rig_stats(many.rig).segments;

	(void)arg;
	if (many.draining) {
		assert_int_equal(l->content.n, BYTES);
		rig_check_content(l->content, 0);
	}
	many.served++;
	if (segments > many.in_segments_most)
		many.in_segments_most = segments;
	lease_settle(&l, &o, 1);
}

static bool all_served(struct rig *r)
{
	return many.served == MANY && rig_stats(r).leased == 0;
}

static bool only_justified(struct rig *r)
{
	uint64_t live = (MANY / OF_WHICH_ONE_IN) * (BYTES + 256);

	return rig_stats(r).segment_bytes <= 4 * live + (SPARES_MAX + 6) * r->conf.segment_bytes;
}

static void open_many(struct rig *r, bool draining)
{
	r->conf.active_max = 2000;
	many = (struct many){ .rig = r, .draining = draining };
	rig_open(r);
	queue_detach(&r->port);
	r->port = queue_attach(r->queue, r->loop, serve, NULL);
}

/* 100,000 messages, each hundredth deferred: without compaction each segment they ever touched would stay. */
static void test_stragglers_share_segments(void **state)
{
	struct rig *r = *state;

	open_many(r, false);
	for (size_t i = 0; i < WINDOW; i++)
		send_one(&many.commits[i]);
	rig_until(r, all_served);
	rig_until(r, only_justified);
	uint64_t touched = MANY / (r->conf.segment_bytes / (BYTES + 200));
	print_message("%zu segments at most, %ju at the end, of %ju written; %ju moves\n", many.in_segments_most,
		      (uintmax_t)rig_stats(r).segments, (uintmax_t)touched, (uintmax_t)rig_stats(r).moved);
	assert_true(rig_stats(r).segments < touched / 4);
	assert_int_equal(rig_stats(r).messages, MANY / OF_WHICH_ONE_IN);
	rig_close(r);
	rig_check(r);
	open_many(r, true);
	assert_int_equal(r->found.messages, MANY / OF_WHICH_ONE_IN);
	rig_clock_ms += DAY_MS + 1000;
	rig_until(r, rig_empty);
	assert_int_equal(many.served, MANY / OF_WHICH_ONE_IN);
	rig_close(r);
	rig_check(r);
}

/* ---- one message in an old segment ---- */

static bool has_moved(struct rig *r)
{
	return rig_stats(r).moved > 0;
}

/* Accepted, deferred for a day, and the log has gone on to another segment. */
static void one_waits(struct rig *r, size_t bytes, size_t rcpt_n)
{
	r->conf.segment_bytes = 64 * 1024;
	rig_open(r);
	rig_accept(r, bytes, rcpt_n);
	rig_until(r, rig_leased);
	rig_settle(r, 0, OUTCOME_DEFERRED, DAY_MS);
	rig_until(r, rig_idle);
	for (size_t i = 0; i < 6; i++) {
		r->lease_n = 0;
		rig_accept(r, 15000, 1);
		rig_until(r, rig_leased);
		rig_settle(r, 0, OUTCOME_DELIVERED, 0);
	}
	rig_until(r, rig_idle);
	r->lease_n = 0;
}

static void pass_minutes(struct rig *r, int64_t n)
{
	rig_clock_ms += n * 60000;
	rig_until(r, rig_idle);
}

static void expect_it(struct rig *r, size_t bytes, size_t rcpt_n, unsigned attempts)
{
	rig_clock_ms += DAY_MS;
	rig_until(r, rig_leased);
	assert_true(r->lease_n == 1 && r->leases[0]->size == bytes && r->leases[0]->rcpt_n == rcpt_n);
	assert_int_equal(r->leases[0]->rcpts[0].attempts, attempts);
	if (r->leases[0]->content.p != NULL)
		rig_check_content(r->leases[0]->content, 0);
	rig_settle(r, 0, OUTCOME_DELIVERED, 0);
	rig_until(r, rig_empty);
	rig_close(r);
	rig_check(r);
}

static void test_old_segment_is_emptied(void **state)
{
	struct rig *r = *state;

	one_waits(r, 3000, 2);
	pass_minutes(r, 3);
	assert_int_equal(rig_stats(r).moved, 0); /* not old yet */
	pass_minutes(r, 3);
	rig_until(r, has_moved);
	rig_until(r, rig_idle);
	rig_close(r);
	rig_check(r);
	rig_open(r);
	assert_int_equal(r->found.messages, 1);
	expect_it(r, 3000, 2, 1);
}

static void test_big_stays_in_its_file(void **state)
{
	struct rig *r = *state;

	one_waits(r, 300000, 1);
	pass_minutes(r, 6);
	rig_until(r, has_moved);
	rig_until(r, rig_idle);
	expect_it(r, 300000, 1, 1);
}

static void test_leased_is_left_alone(void **state)
{
	struct rig *r = *state;

	one_waits(r, 3000, 1);
	rig_clock_ms += DAY_MS;
	rig_until(r, rig_leased); /* and old by now */
	r->checkpoints = 0;
	rig_clock_ms += 6 * 60000;
	for (int64_t until_ms = clock_mono_ms() + 30; clock_mono_ms() < until_ms;)
		rig_until(r, rig_leased);
	assert_int_equal(rig_stats(r).moved, 0);
	rig_settle(r, 0, OUTCOME_DEFERRED, DAY_MS);
	rig_until(r, rig_idle);
	r->lease_n = 0;
	pass_minutes(r, 2);
	rig_until(r, has_moved);
	rig_until(r, rig_idle);
	expect_it(r, 3000, 1, 2);
}

static void fail_then_move(struct rig *r, const char *fault)
{
	one_waits(r, 3000, 1);
	rig_fault(fault);
	pass_minutes(r, 6);
	assert_int_equal(rig_stats(r).moved, 0);
	pass_minutes(r, 2);
	rig_until(r, has_moved);
	rig_until(r, rig_idle);
	expect_it(r, 3000, 1, 1);
}

static void test_failures_are_tried_again(void **state)
{
	static const char *const faults[] = { "queue.compact_scan:1", "queue.compact_read:1", "queue.compact_write:1" };

	for (size_t i = 0; i < COUNT(faults); i++)
		fail_then_move(*state, faults[i]);
}

#define T(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_stragglers_share_segments), T(test_old_segment_is_emptied),   T(test_big_stays_in_its_file),
		T(test_leased_is_left_alone),      T(test_failures_are_tried_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
