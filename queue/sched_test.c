/* queue/sched_test.c: back-off and expiry. */
#include "queue/queue.h"
#include "tests/unit.h"

static const struct conf_queue conf = { .retry_first_ms = 60000,
					.retry_max_interval_ms = 3600000,
					.expire_ms = 4 * 86400000LL };

static const struct {
	unsigned attempts;
	int64_t about_ms;
} delays[] = {
	{ 1, 60000 },   { 2, 120000 },  { 3, 240000 },        { 6, 1920000 },
	{ 7, 3600000 }, { 8, 3600000 }, { 4000000, 3600000 },
};

static void test_delay(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(delays); i++)
		for (uint64_t seed = 0; seed < 200; seed++) {
			int64_t ms = sched_delay_ms(&conf, delays[i].attempts, seed);
			check(ms >= delays[i].about_ms * 9 / 10 && ms <= delays[i].about_ms * 11 / 10 + 1, "delay");
		}
}

static void test_delay_spreads(void **state)
{
	int64_t least = INT64_MAX, most = 0;

	(void)state;
	for (uint64_t seed = 0; seed < 200; seed++) {
		int64_t ms = sched_delay_ms(&conf, 1, seed);
		least = ms < least ? ms : least;
		most = ms > most ? ms : most;
	}
	assert_true(most - least > 9000);
	assert_true(sched_delay_ms(&conf, 3, 7) == sched_delay_ms(&conf, 3, 7));
}

static void test_delay_of_nothing_configured(void **state)
{
	struct conf_queue none = { 0 };

	(void)state;
	assert_true(sched_delay_ms(&none, 5, 1) >= 0);
}

static void test_expired(void **state)
{
	(void)state;
	assert_false(sched_expired(&conf, 1000, 1000));
	assert_false(sched_expired(&conf, 0, conf.expire_ms - 1));
	assert_true(sched_expired(&conf, 0, conf.expire_ms));
	assert_false(sched_expired(&conf, 5000, 0)); /* the clock was set back */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_delay),
		cmocka_unit_test(test_delay_spreads),
		cmocka_unit_test(test_delay_of_nothing_configured),
		cmocka_unit_test(test_expired),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
