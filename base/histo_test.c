/* base/histo_test.c: steps, bounds and sums. */
#include "base/histo.h"
#include "tests/unit.h"

static void test_steps(void **state)
{
	struct histo h = { 0 }, sum = { 0 };

	(void)state;
	for (size_t i = 0; i < HISTO_STEPS; i++) {
		histo_add(&h, histo_upto_ms[i]);
		histo_add(&h, histo_upto_ms[i] + 1);
		assert_true(i == 0 || histo_upto_ms[i] > histo_upto_ms[i - 1]);
	}
	assert_int_equal(h.n[0], 1);
	for (size_t i = 1; i < HISTO_STEPS; i++)
		assert_int_equal(h.n[i], 2); /* this bound, and one more than the one before */
	assert_int_equal(h.n[HISTO_STEPS], 1);
	assert_int_equal(histo_total(&h), 2 * HISTO_STEPS);
	uint64_t before = h.sum_ms;
	histo_add(&h, -7);
	assert_int_equal(h.n[0], 2);
	assert_int_equal(h.sum_ms, before);
	histo_merge(&sum, &h);
	histo_merge(&sum, &h);
	assert_int_equal(histo_total(&sum), 2 * histo_total(&h));
	assert_int_equal(sum.sum_ms, 2 * h.sum_ms);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_steps) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
