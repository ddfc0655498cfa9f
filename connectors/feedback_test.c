/* connectors/feedback_test.c: the window and the token bucket, as a string of events: + good, - failed, ! throttled. */
#include "base/bucket.h"
#include "connectors/feedback.h"
#include "tests/unit.h"

static const struct {
	const char *name;
	size_t first, most;
	const char *events;
	size_t want;
} rows[] = {
	{ "starts small", 5, 40, "", 5 },
	{ "never above the limit", 9, 4, "", 4 },
	{ "at least one", 0, 4, "", 1 },
	{ "one more for a window of good ones", 2, 40, "++", 3 },
	{ "not before it is full", 3, 40, "++", 3 },
	{ "2 + 3 + 4 good ones", 2, 40, "+++++++++", 5 },
	{ "stops at the limit", 2, 3, "++++++++++++++", 3 },
	{ "a failure takes one and the good ones before it", 4, 40, "+++-+", 3 },
	{ "never to nothing", 3, 40, "-----", 1 },
	{ "throttled: half", 8, 40, "!", 4 },
	{ "rounded up", 5, 40, "!", 3 },
	{ "answers under way together count once", 8, 40, "!!!!!!!!", 4 },
	{ "the next opinion counts again", 8, 40, "!!!!!!!!!!", 2 },
	{ "good ones make it deaf no longer", 4, 40, "!++++!", 2 },
	{ "one stays", 1, 40, "!!!!!", 1 },
	{ "recovers", 1, 40, "!+++", 3 },
};

static void test_window(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct feedback f;
		feedback_init(&f, rows[i].first, rows[i].most);
		for (const char *e = rows[i].events; *e != '\0'; e++)
			(*e == '+' ? feedback_good : *e == '-' ? feedback_failed : feedback_throttled)(&f);
		if (f.window != rows[i].want)
			fail_msg("%s: %zu, not %zu", rows[i].name, f.window, rows[i].want);
	}
}

/* Takes all it can at each millisecond of `ms`. */
static int64_t taken(struct bucket *b, int64_t per_minute, int64_t from_ms, int64_t ms)
{
	int64_t n = 0;

	for (int64_t t = from_ms; t < from_ms + ms; t++)
		while (bucket_take(b, per_minute, t))
			n++;
	return n;
}

static void test_bucket(void **state)
{
	struct bucket b = { 0 };

	(void)state;
	assert_int_equal(taken(&b, 1200, 1000000, 1), 200);
	assert_true(bucket_wait_ms(&b, 1200) > 40 && bucket_wait_ms(&b, 1200) <= 51);
	assert_int_equal(taken(&b, 1200, 1000001, 60000), 1200);
	assert_int_equal(taken(&b, 1200, 9000000, 1), 200); /* never more than it saves */
	b = (struct bucket){ 0 };
	assert_int_equal(taken(&b, 1, 5, 180 * 1000), 1 + 2);
	b = (struct bucket){ 0 };
	for (int i = 0; i < 100000; i++)
		assert_true(bucket_take(&b, 0, 1)); /* no limit */
	b = (struct bucket){ 0 };
	assert_true(bucket_take(&b, 6, 1000000));
	assert_false(bucket_take(&b, 6, 500000)); /* a clock that goes back gives nothing away */
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_bucket),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
