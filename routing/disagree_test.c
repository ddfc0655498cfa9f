/* routing/disagree_test.c: since when the sides disagree. */
#include "routing/disagree.h"
#include "tests/unit.h"

static struct disagree d; /* 48 KiB */

static void test_window(void **state)
{
	(void)state;
	disagree_init(&d);
	check(disagree_is_fresh(&d, 7, 1000, 100, false), "first");
	check(disagree_is_fresh(&d, 7, 1099, 100, false), "inside");
	check(!disagree_is_fresh(&d, 7, 1100, 100, false), "over");
	check(!disagree_is_fresh(&d, 7, 1200, 100, false), "still over");
	check(disagree_is_fresh(&d, 7, 1301, 100, false), "silent for longer than the window: anew");
	check(disagree_is_fresh(&d, 0, 1301, 100, false), "a hash of 0 is as good");
	check(!disagree_is_fresh(&d, 8, 1000, 0, false), "no window");
	disagree_fini(&d);
}

static void test_dry(void **state)
{
	(void)state;
	disagree_init(&d);
	check(disagree_is_fresh(&d, 7, 1000, 100, true), "asked");
	check(disagree_is_fresh(&d, 7, 5000, 100, false), "first");
	check(!disagree_is_fresh(&d, 7, 5100, 100, true), "asked, over");
	disagree_fini(&d);
}

/* Full sets forget who was silent longest. */
static void test_full(void **state)
{
	(void)state;
	disagree_init(&d);
	for (uint64_t i = 0; i <= DISAGREE_WAYS; i++)
		check(disagree_is_fresh(&d, 1 + i * DISAGREE_SETS, 1000 + (int64_t)i, 100, false), "first");
	check(!disagree_is_fresh(&d, 1 + DISAGREE_WAYS * DISAGREE_SETS, 1104, 100, true), "the newest is known");
	check(disagree_is_fresh(&d, 1, 1101, 101, true), "the oldest made room");
	disagree_fini(&d);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_dry),
		cmocka_unit_test(test_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
