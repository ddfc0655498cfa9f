/* Tests of routing/filter: what was added is always found, the rest hardly ever. */
#include "routing/filter.h"

#include "base/must.h"
#include "tests/unit.h"

#include <pthread.h>
#include <stdio.h>

enum { N = 100000, THREADS = 4 };

static struct str address(char room[64], unsigned i)
{
	return str_n(room, (size_t)snprintf(room, 64, "user%u@contoso.com", i));
}

static unsigned wrong(const struct filter *f)
{
	unsigned yes = 0;
	char room[64];

	for (unsigned i = N; i < 2 * N; i++)
		yes += filter_may_have(f, address(room, i));
	return yes;
}

static void test_no_is_certain(void **state)
{
	struct filter *f = filter_new(N);
	char room[64];

	(void)state;
	assert_false(filter_may_have(f, S("user0@contoso.com")));
	for (unsigned i = 0; i < N; i++)
		filter_add(f, address(room, i));
	for (unsigned i = 0; i < N; i++)
		assert_true(filter_may_have(f, address(room, i)));
	assert_true(wrong(f) < N / 100);
	assert_false(filter_is_crowded(f));
	filter_add(f, S("one more"));
	assert_true(filter_is_crowded(f));
	filter_unref(&f);
	filter_unref(&f);
}

/* Crowded it only says yes more often. */
static void test_crowded(void **state)
{
	struct filter *f = filter_new(N / 8);
	char room[64];

	(void)state;
	for (unsigned i = 0; i < N; i++)
		filter_add(f, address(room, i));
	for (unsigned i = 0; i < N; i++)
		assert_true(filter_may_have(f, address(room, i)));
	assert_true(wrong(f) > N / 100);
	filter_unref(&f);
}

static void test_tiny(void **state)
{
	struct filter *f = filter_new(0), *same = filter_ref(f);

	(void)state;
	filter_add(f, STR_NONE);
	filter_unref(&f);
	assert_null(f);
	assert_true(filter_may_have(same, STR_NONE));
	assert_true(filter_bytes(same) == 64);
	filter_unref(&same);
	assert_null(filter_ref(NULL));
}

static struct filter *shared;

static void *add_share(void *arg)
{
	char room[64];

	for (unsigned i = (unsigned)(size_t)arg; i < N; i += THREADS) {
		filter_add(shared, address(room, i));
		must(filter_may_have(shared, address(room, i)));
	}
	return NULL;
}

static void test_threads(void **state)
{
	pthread_t t[THREADS];
	char room[64];

	(void)state;
	shared = filter_new(N);
	for (size_t i = 0; i < THREADS; i++)
		assert_int_equal(pthread_create(&t[i], NULL, add_share, (void *)i), 0);
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(t[i], NULL);
	for (unsigned i = 0; i < N; i++)
		assert_true(filter_may_have(shared, address(room, i)));
	filter_unref(&shared);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_no_is_certain),
		cmocka_unit_test(test_crowded),
		cmocka_unit_test(test_tiny),
		cmocka_unit_test(test_threads),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
