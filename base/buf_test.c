/* base/buf_test.c: growable bytes and their maximum. */
#include "base/buf.h"
#include "tests/unit.h"

#include <string.h>

static void test_grow_and_full(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 1000);
	assert_null(b.p);
	assert_true(buf_add(&b, S("")) && buf_add(&b, STR_NONE) && buf_str(&b).n == 0);
	assert_null(b.p);
	for (int i = 0; i < 100; i++)
		assert_true(buf_add(&b, S("0123456789")));
	assert_int_equal(b.n, 1000);
	assert_false(b.full);
	assert_false(buf_addc(&b, 'x'));
	assert_true(b.full && b.n == 1000);
	buf_reset(&b);
	assert_true(b.n == 0 && !b.full && b.p != NULL);
	assert_true(buf_add(&b, S("abc")));
	assert_false(buf_add(&b, (struct str){ b.p, 998 })); /* all or nothing */
	assert_int_equal(b.n, 3);
	assert_false(buf_addc(&b, 'x')); /* full sticks */
	buf_fini(&b);
	assert_true(b.p == NULL && b.max == 1000);
}

static void test_format(void **state)
{
	struct buf b;
	char big[301];

	(void)state;
	memset(big, 'x', 300);
	big[300] = '\0';
	buf_init(&b, 300);
	assert_true(buf_addf(&b, "%s", big)); /* exactly max, longer than the short path */
	assert_int_equal(b.n, 300);
	assert_string_equal(buf_cstr(&b), big);
	buf_reset(&b);
	assert_true(buf_addf(&b, "%d-%s", 5, "a"));
	assert_true(buf_addu(&b, UINT64_MAX));
	assert_true(buf_addu(&b, 0));
	check_str(buf_str(&b), S("5-a184467440737095516150"), "numbers");
	assert_false(buf_addf(&b, "%s", big));
	check_str(buf_str(&b), S("5-a184467440737095516150"), "nothing added");
	assert_string_equal(buf_cstr(&b), ""); /* full */
	buf_fini(&b);
	assert_string_equal(buf_cstr(&b), "");
}

static void test_reserve_and_drop(void **state)
{
	struct buf b;
	char *p;

	(void)state;
	buf_init(&b, 256);
	p = buf_reserve(&b, 256);
	assert_non_null(p);
	memset(p, 'a', 256);
	buf_commit(&b, 256);
	assert_int_equal(strlen(buf_cstr(&b)), 256);
	assert_null(buf_reserve(&b, 1));
	assert_true(b.full);
	b.full = false;
	buf_drop(&b, 250);
	check_str(buf_str(&b), S("aaaaaa"), "drop");
	buf_drop(&b, 6);
	assert_int_equal(b.n, 0);
	assert_null(buf_reserve(&b, SIZE_MAX));
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_grow_and_full),
		cmocka_unit_test(test_format),
		cmocka_unit_test(test_reserve_and_drop),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
