/* smtpd/hush_test.c: once a minute by event and subject, counted, bounded. */
#include "smtpd/hush.h"

#include "tests/unit.h"

static void test_once_a_minute(void **state)
{
	struct hush h = { 0 };
	uint64_t n = 7;

	(void)state;
	assert_true(hush_may_say(&h, "a", S("x"), 1000, &n));
	assert_int_equal(n, 0);
	assert_false(hush_may_say(&h, "a", S("x"), 2000, &n));
	assert_false(hush_may_say(&h, "a", S("x"), 60999, &n));
	assert_true(hush_may_say(&h, "a", S("y"), 2000, &n)); /* another subject */
	assert_true(hush_may_say(&h, "b", S("x"), 2000, &n)); /* another event */
	assert_true(hush_may_say(&h, "a", S("x"), 61000, &n));
	assert_int_equal(n, 2);
	assert_false(hush_may_say(&h, "a", S("x"), 61001, &n));
	assert_true(hush_may_say(&h, "a", S("x"), 200000, &n));
	assert_int_equal(n, 1);
}

static void test_bounded(void **state)
{
	struct hush h = { 0 };
	char subject[20];
	uint64_t n;

	(void)state;
	for (int i = 0; i < 10 * HUSH_MAX; i++) {
		snprintf(subject, sizeof subject, "%d", i);
		assert_true(hush_may_say(&h, "a", str_c(subject), 1000 + i, &n));
	}
	assert_int_equal(h.n, HUSH_MAX);
	assert_false(hush_may_say(&h, "a", str_c(subject), 2000, &n)); /* the newest is remembered */
	assert_true(hush_may_say(&h, "a", S("0"), 2000, &n));          /* the oldest is not */
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_once_a_minute), cmocka_unit_test(test_bounded) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
