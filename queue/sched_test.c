/* queue/sched_test.c: back-off and expiry over virtual time. */
#include "queue/queue.h"
#include "tests/unit.h"

enum { MIN = 60 * 1000, HOUR = 60 * MIN };

/* the defaults of the option table */
static const struct conf_retry conf = { .glitch_ms = MIN,
					.glitch_n = 4,
					.transient_ms = 5 * MIN,
					.transient_n = 6,
					.first_ms = 5 * MIN,
					.max_ms = 30 * MIN,
					.message_ms = 5 * MIN,
					.unknown_ms = 30 * MIN,
					.expire_ms = 48 * HOUR,
					.delay_report_ms = 4 * HOUR };

static const struct {
	enum sched_cause why;
	unsigned attempts;
	int64_t about_ms;
} delays[] = {
	{ SCHED_NO_CONNECTION, 1, MIN },       { SCHED_NO_CONNECTION, 4, MIN },
	{ SCHED_NO_CONNECTION, 5, 5 * MIN },   { SCHED_NO_CONNECTION, 10, 5 * MIN },
	{ SCHED_NO_CONNECTION, 11, 5 * MIN },  { SCHED_NO_CONNECTION, 12, 10 * MIN },
	{ SCHED_NO_CONNECTION, 13, 20 * MIN }, { SCHED_NO_CONNECTION, 14, 30 * MIN },
	{ SCHED_NO_CONNECTION, 15, 30 * MIN }, { SCHED_NO_CONNECTION, 4000000, 30 * MIN },
	{ SCHED_MESSAGE, 1, 5 * MIN },         { SCHED_MESSAGE, 500, 5 * MIN },
	{ SCHED_UNKNOWN, 1, 30 * MIN },        { SCHED_UNKNOWN, 20, 30 * MIN },
};

static void test_delay(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(delays); i++)
		for (uint64_t seed = 0; seed < 200; seed++) {
			int64_t ms = sched_delay_ms(&conf, delays[i].why, delays[i].attempts, seed);
			check(ms >= delays[i].about_ms * 9 / 10 && ms <= delays[i].about_ms * 11 / 10 + 1, "delay");
		}
}

/* A server that is never there: when each try happens, and how many there are before the message expires. */
static void test_two_days(void **state)
{
	static const int64_t tries_min[] = { 0, 1, 2, 3, 4, 9, 14, 19, 24, 29, 34, 39, 49, 69, 99, 129 };
	int64_t now_ms = 0;
	unsigned n = 0;

	(void)state;
	for (; !sched_expired(&conf, 0, now_ms); n++) {
		if (n < COUNT(tries_min))
			check(now_ms >= tries_min[n] * MIN * 9 / 10 && now_ms <= tries_min[n] * MIN * 11 / 10 + 1,
			      "try");
		now_ms += sched_delay_ms(&conf, SCHED_NO_CONNECTION, n + 1, 7);
	}
	check(n > 100 && n < 116, "a hundred tries in two days");
	check(now_ms < 48 * HOUR + 33 * MIN, "the last one just after");
}

static void test_delay_spreads(void **state)
{
	int64_t least = INT64_MAX, most = 0;

	(void)state;
	for (uint64_t seed = 0; seed < 200; seed++) {
		int64_t ms = sched_delay_ms(&conf, SCHED_NO_CONNECTION, 1, seed);
		least = ms < least ? ms : least;
		most = ms > most ? ms : most;
	}
	assert_true(most - least > 9000);
	assert_true(sched_delay_ms(&conf, SCHED_MESSAGE, 3, 7) == sched_delay_ms(&conf, SCHED_MESSAGE, 3, 7));
}

/* max_ms holds for all three stages, and nothing comes back in the same second. */
static void test_delay_bounds(void **state)
{
	struct conf_retry c = conf, none = { 0 };

	(void)state;
	c.max_ms = 20 * 1000;
	for (unsigned attempts = 1; attempts < 40; attempts++) {
		check(sched_delay_ms(&c, SCHED_NO_CONNECTION, attempts, attempts) <= 22 * 1000 + 1, "max");
		check(sched_delay_ms(&none, SCHED_NO_CONNECTION, attempts, attempts) >= 900, "least");
		check(sched_delay_ms(&none, SCHED_MESSAGE, attempts, attempts) >= 900, "least");
	}
	c.glitch_n = c.transient_n = 0;
	check(sched_delay_ms(&c, SCHED_NO_CONNECTION, 1, 1) >= 18 * 1000, "no glitches: growing from the start");
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
		cmocka_unit_test(test_delay),         cmocka_unit_test(test_two_days),
		cmocka_unit_test(test_delay_spreads), cmocka_unit_test(test_delay_bounds),
		cmocka_unit_test(test_expired),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
