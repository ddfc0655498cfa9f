/* queue/clock_test.c: somebody sets the clock: what waits goes on waiting as long as it would have, and no longer. */
#include "tests/queue_rig.h"

enum { MINUTE_MS = 60000, DAY_MS = 86400000 };

static void defer_one(struct rig *r, int64_t in_ms)
{
	r->lease_n = 0;
	rig_accept(r, 100, 1);
	rig_until(r, rig_leased);
	rig_settle(r, 0, OUTCOME_DEFERRED, in_ms);
	rig_until(r, rig_idle);
	r->lease_n = 0;
}

static void pass(struct rig *r, int64_t ms)
{
	rig_clock_ms += ms;
	rig_until(r, rig_idle);
}

static void expect_after(struct rig *r, int64_t ms)
{
	pass(r, ms - MINUTE_MS);
	assert_int_equal(r->lease_n, 0);
	rig_clock_ms += MINUTE_MS + 1000;
	rig_until(r, rig_leased);
	rig_settle(r, 0, OUTCOME_DELIVERED, 0);
	rig_until(r, rig_empty);
}

static void test_set_back_while_running(void **state)
{
	struct rig *r = *state;

	rig_open(r);
	defer_one(r, 10 * MINUTE_MS);
	rig_wall_ms -= DAY_MS;
	expect_after(r, 10 * MINUTE_MS);
	rig_close(r);
	rig_check(r);
}

static void test_set_back_while_stopped(void **state)
{
	struct rig *r = *state;

	rig_open(r);
	defer_one(r, 10 * MINUTE_MS);
	rig_close(r);
	rig_wall_ms -= DAY_MS;
	rig_open(r);
	expect_after(r, 10 * MINUTE_MS);
	rig_close(r);
	rig_check(r);
}

/* Many, so that it takes several slices; some held, which have no due time and get none. */
static bool all_leased(struct rig *r)
{
	for (size_t i = 0; i < r->lease_n; i++)
		if (r->leases[i] != NULL)
			rig_settle(r, i, OUTCOME_DEFERRED, 10 * MINUTE_MS);
	r->lease_n = 0;
	return rig_stats(r).deferred == rig_stats(r).recipients && rig_stats(r).leased == 0;
}

static bool all_delivered(struct rig *r)
{
	for (size_t i = 0; i < r->lease_n; i++)
		if (r->leases[i] != NULL)
			rig_settle(r, i, OUTCOME_DELIVERED, 0);
	r->lease_n = 0;
	return rig_stats(r).messages == 0;
}

static void test_many(void **state)
{
	enum { MANY = 3000 };
	struct rig *r = *state;
	static struct rig_commit c[MANY];

	rig_open(r);
	for (size_t i = 0; i < MANY; i++)
		rig_send(r, &c[i], 50, 1);
	rig_until(r, rig_committed);
	rig_until(r, all_leased);
	rig_until(r, rig_idle);
	rig_wall_ms -= DAY_MS;
	pass(r, 9 * MINUTE_MS);
	assert_int_equal(r->lease_n, 0);
	rig_clock_ms += 2 * MINUTE_MS;
	rig_until(r, all_delivered);
	rig_close(r);
	rig_check(r);
}

/* Never tried: due since they came, which is in the future now. */
static void test_not_tried_yet(void **state)
{
	struct rig *r = *state;

	r->conf.active_max = 0;
	rig_open(r);
	rig_accept(r, 100, 1);
	rig_until(r, rig_idle);
	rig_wall_ms -= DAY_MS;
	rig_until(r, rig_idle);
	r->conf.active_max = 10;
	queue_reconfigure(r->queue, &r->conf);
	rig_until(r, rig_leased);
	rig_settle(r, 0, OUTCOME_DELIVERED, 0);
	rig_until(r, rig_empty);
	rig_close(r);
	rig_check(r);
}

/* Leased while the clock is set back, and returned untried. */
static void test_leased_meanwhile(void **state)
{
	struct rig *r = *state;

	rig_open(r);
	rig_accept(r, 100, 1);
	rig_until(r, rig_leased);
	rig_wall_ms -= DAY_MS;
	r->checkpoints = 0;
	for (int64_t until_ms = clock_mono_ms() + 30; clock_mono_ms() < until_ms;)
		rig_until(r, rig_leased);
	queue_detach(&r->port);
	r->lease_n = 0;
	r->port = queue_attach(r->queue, r->loop, rig_on_lease, r);
	rig_until(r, rig_leased);
	rig_settle(r, 0, OUTCOME_DELIVERED, 0);
	rig_until(r, rig_empty);
	rig_close(r);
	rig_check(r);
}

/* An outcome reckoned by the old clock, written by the new one. */
static void test_outcome_of_the_old_clock(void **state)
{
	struct rig *r = *state;

	r->conf.retry.max_ms = 30 * MINUTE_MS;
	rig_open(r);
	rig_accept(r, 100, 1);
	rig_until(r, rig_leased);
	rig_wall_ms -= DAY_MS;
	rig_until(r, rig_leased);
	rig_settle(r, 0, OUTCOME_DEFERRED, DAY_MS + 10 * MINUTE_MS);
	rig_until(r, rig_idle);
	r->lease_n = 0;
	rig_clock_ms += 36 * MINUTE_MS;
	rig_until(r, rig_leased);
	rig_settle(r, 0, OUTCOME_DELIVERED, 0);
	rig_until(r, rig_empty);
	rig_close(r);
	rig_check(r);
}

/* Forward, everything is due; back again, what was deferred meanwhile waits its time and no more. */
static void test_forward_and_back(void **state)
{
	struct rig *r = *state;

	rig_open(r);
	defer_one(r, 10 * MINUTE_MS);
	rig_wall_ms += DAY_MS;
	rig_until(r, rig_leased);
	rig_settle(r, 0, OUTCOME_DEFERRED, 20 * MINUTE_MS);
	rig_until(r, rig_idle);
	r->lease_n = 0;
	rig_wall_ms -= DAY_MS;
	expect_after(r, 20 * MINUTE_MS);
	rig_close(r);
	rig_check(r);
}

/* A second, as time servers step it, moves nothing. */
static void test_small_steps(void **state)
{
	struct rig *r = *state;

	rig_open(r);
	defer_one(r, 10 * MINUTE_MS);
	rig_wall_ms -= 2000;
	expect_after(r, 10 * MINUTE_MS + 2000);
	rig_close(r);
	rig_check(r);
}

#define T(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_set_back_while_running),
		T(test_set_back_while_stopped),
		T(test_many),
		T(test_not_tried_yet),
		T(test_leased_meanwhile),
		T(test_outcome_of_the_old_clock),
		T(test_forward_and_back),
		T(test_small_steps),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
