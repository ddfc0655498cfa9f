/* base/arena_test.c: bump memory, cap, mark and rewind. */
#include "base/arena.h"
#include "tests/unit.h"

#include <stdalign.h>
#include <string.h>

static void test_alloc(void **state)
{
	struct arena a;

	(void)state;
	arena_init(&a, 100000);
	assert_null(a.top);
	for (size_t n = 1; n < 300; n++) {
		unsigned char *p = arena_alloc(&a, n);
		assert_non_null(p);
		assert_true((uintptr_t)p % alignof(max_align_t) == 0);
		for (size_t i = 0; i < n; i++)
			assert_int_equal(p[i], 0);
		memset(p, 0xff, n);
	}
	arena_fini(&a);
	assert_true(a.top == NULL && a.used == 0);
	assert_non_null(arena_alloc(&a, 10)); /* usable again */
	arena_fini(&a);
}

static void test_cap(void **state)
{
	struct arena a;
	struct str copy = S("x");

	(void)state;
	arena_init(&a, 1024);
	assert_non_null(arena_alloc(&a, 1000));
	assert_null(arena_alloc(&a, 1000));
	assert_null(arena_alloc(&a, SIZE_MAX));
	assert_null(arena_alloc(&a, SIZE_MAX - 8));
	assert_false(arena_dup(&a, S("0123456789012345678901234567890123456789"), &copy));
	check_str(copy, S("x"), "untouched");
	assert_non_null(arena_alloc(&a, 16)); /* what still fits, fits */
	arena_fini(&a);
}

static void test_marks(void **state)
{
	struct arena a;
	struct str kept, lost;

	(void)state;
	arena_init(&a, 1 << 20);
	struct arena_mark empty = arena_mark(&a);
	assert_true(arena_dup(&a, S("kept"), &kept));
	struct arena_mark outer = arena_mark(&a);
	for (int round = 0; round < 3; round++) {
		for (int i = 0; i < 100; i++)
			assert_true(arena_dup(&a, S("a transaction's address"), &lost));
		struct arena_mark inner = arena_mark(&a);
		assert_non_null(arena_alloc(&a, 100000)); /* larger than any chunk */
		arena_rewind(&a, inner);
		arena_rewind(&a, outer);
		assert_int_equal(a.used, outer.used);
		check_str(kept, S("kept"), "kept");
		unsigned char *p = arena_alloc(&a, 64); /* memory used before is zero again */
		for (size_t i = 0; i < 64; i++)
			assert_int_equal(p[i], 0);
		arena_rewind(&a, outer);
	}
	arena_rewind(&a, empty);
	assert_true(a.top == NULL && a.used == 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_alloc),
		cmocka_unit_test(test_cap),
		cmocka_unit_test(test_marks),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
