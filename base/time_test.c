/* base/time_test.c: durations and dates. */
#include "base/time.h"
#include "tests/unit.h"

#include <stdlib.h>
#include <time.h>

static void test_parse(void **state)
{
	static const struct {
		struct str in;
		bool good;
		int64_t ms;
	} rows[] = {
		{ STR_LIT("90"), true, 90000 },
		{ STR_LIT("90s"), true, 90000 },
		{ STR_LIT("1m"), true, 60000 },
		{ STR_LIT("200ms"), true, 200 },
		{ STR_LIT("1h30m"), true, 5400000 },
		{ STR_LIT("4d"), true, 345600000 },
		{ STR_LIT("1w"), true, 604800000 },
		{ STR_LIT("0"), true, 0 },
		{ STR_LIT("1h30"), false, 0 },
		{ STR_LIT(""), false, 0 },
		{ STR_LIT("h"), false, 0 },
		{ STR_LIT("-1s"), false, 0 },
		{ STR_LIT("1 h"), false, 0 },
		{ STR_LIT("1x"), false, 0 },
		{ STR_LIT("1.5h"), false, 0 },
		{ STR_LIT("9223372036854775807"), false, 0 },
		{ STR_LIT("99999999999999999999d"), false, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		int64_t ms = 5;
		check(time_parse_span(rows[i].in, &ms) == rows[i].good, rows[i].in.p);
		check(ms == (rows[i].good ? rows[i].ms : 5), rows[i].in.p);
	}
}

static void test_put(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 1000);
	time_put_span(&b, 5400000);
	buf_addc(&b, ' ');
	time_put_span(&b, 0);
	buf_addc(&b, ' ');
	time_put_span(&b, 8 * 86400000LL + 1);
	check_str(buf_str(&b), S("1h30m 0s 8d1ms"), "spans");
	buf_reset(&b);
	time_put_iso(&b, 1795262400123);
	check_str(buf_str(&b), S("2026-11-21T12:00:00.123Z"), "iso");
	buf_reset(&b);
	setenv("TZ", "UTC", 1), tzset();
	time_put_rfc5322(&b, 1795262400123);
	check_str(buf_str(&b), S("Sat, 21 Nov 2026 12:00:00 +0000"), "UTC");
	buf_reset(&b);
	setenv("TZ", "XXX3:30", 1), tzset();
	time_put_rfc5322(&b, 1795262400123);
	check_str(buf_str(&b), S("Sat, 21 Nov 2026 08:30:00 -0330"), "west");
	buf_reset(&b);
	setenv("TZ", "NPT-5:45", 1), tzset();
	time_put_rfc5322(&b, 1780272000000);
	check_str(buf_str(&b), S("Mon, 1 Jun 2026 05:45:00 +0545"), "east");
	buf_fini(&b);
}

static void test_round_trip(void **state)
{
	struct buf b;
	int64_t back;

	(void)state;
	buf_init(&b, 100);
	for (int64_t ms = 1; ms < INT64_MAX / 40; ms = ms * 37 + 11) {
		buf_reset(&b);
		time_put_span(&b, ms);
		assert_true(time_parse_span(buf_str(&b), &back));
		assert_true(back == ms);
	}
	buf_fini(&b);
}

static void test_clocks(void **state)
{
	(void)state;
	int64_t a = clock_mono_ms(), b = clock_mono_ms();
	assert_true(b >= a && clock_wall_ms() > 1700000000000);
	assert_int_equal(clock_wait_ms(INT64_MAX), INT32_MAX);
}

static void test_parse_iso(void **state)
{
	static const struct {
		struct str in;
		int64_t want; /* -1 = not a time */
	} rows[] = {
		{ STR_LIT("2026-11-21T12:00:00Z"), 1795262400000 },
		{ STR_LIT("2026-11-21 12:00"), 1795262400000 },
		{ STR_LIT("2026-11-21T12:00Z"), 1795262400000 },
		{ STR_LIT("2026-11-21"), 1795219200000 },
		{ STR_LIT("1970-01-01"), 0 },
		{ STR_LIT("2024-02-29"), 1709164800000 },
		{ STR_LIT("2026-02-29"), -1 },
		{ STR_LIT("2026-13-01"), -1 },
		{ STR_LIT("1969-01-01"), -1 },
		{ STR_LIT("2026-11-21T24:00Z"), -1 },
		{ STR_LIT("2026-11-21T12"), -1 },
		{ STR_LIT("2026-11-21T12:00:00.5Z"), -1 },
		{ STR_LIT("2026-11-21Z"), -1 },
		{ STR_LIT("2026-1-1"), -1 },
		{ STR_LIT(""), -1 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		int64_t ms = -1;
		check(time_parse_iso(rows[i].in, &ms) == (rows[i].want >= 0) && ms == rows[i].want, rows[i].in.p);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_parse_iso),  cmocka_unit_test(test_parse),  cmocka_unit_test(test_put),
		cmocka_unit_test(test_round_trip), cmocka_unit_test(test_clocks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
