/* auth/frame_test.c: frames whole, cut, too long, of another version; values past the end. */
#include "auth/frame.h"
#include "tests/unit.h"

static void test_there_and_back(void **state)
{
	(void)state;
	struct buf b;
	struct frame f;

	buf_init(&b, 1000);
	size_t at = frame_open(&b, AUTH_BODY, 0x01020304);
	put_u8(&b, 200);
	put_u16(&b, 60000);
	put_u32(&b, 4000000000U);
	put_str(&b, S("text"));
	assert_true(frame_close(&b, at));
	for (size_t n = 0; n < b.n; n++)
		assert_int_equal(frame_next(str_head(buf_str(&b), n), &f), 0);
	assert_int_equal(frame_next(buf_str(&b), &f), b.n);
	assert_int_equal(f.kind, AUTH_BODY);
	assert_int_equal(f.job, 0x01020304);
	struct reader r = { .in = f.payload };
	assert_int_equal(read_u8(&r), 200);
	assert_int_equal(read_u16(&r), 60000);
	assert_int_equal(read_u32(&r), 4000000000U);
	check_str(read_str(&r, 10), S("text"), "text");
	assert_true(read_end(&r));
	buf_fini(&b);
}

static void test_broken(void **state)
{
	(void)state;
	static const struct {
		const char *row;
		struct str bytes;
		ssize_t result;
	} rows[] = {
		{ "length 0", STR_LIT("\0\0\0\0\1\5\0\0\0\1"), -1 },
		{ "shorter than a head", STR_LIT("\0\0\0\5\1\5\0\0\0\1"), -1 },
		{ "an empty payload", STR_LIT("\0\0\0\6\1\5\0\0\0\1"), 10 },
		{ "another version", STR_LIT("\0\0\0\6\2\5\0\0\0\1"), -1 },
		{ "no kind", STR_LIT("\0\0\0\6\1\0\0\0\0\1"), -1 },
		{ "a kind between those of both sides", STR_LIT("\0\0\0\6\1\11\0\0\0\1"), -1 },
		{ "past the last kind", STR_LIT("\0\0\0\6\1\77\0\0\0\1"), -1 },
		{ "too long", STR_LIT("\377\377\377\377\1\5\0\0\0\1"), -1 },
		{ "just too long", STR_LIT("\0\40\0\1\1\5\0\0\0\1"), -1 },
		{ "more to come", STR_LIT("\0\40\0\0\1\5\0\0\0\1"), 0 },
	};
	struct frame f;

	for (size_t i = 0; i < COUNT(rows); i++)
		check(frame_next(rows[i].bytes, &f) == rows[i].result, rows[i].row);
}

static void test_reader(void **state)
{
	(void)state;
	struct reader r = { .in = S("\0\0\0\5abc") };

	check_str(read_str(&r, 100), STR_NONE, "text past the end");
	assert_true(r.bad);
	assert_int_equal(read_u32(&r), 0);
	assert_false(read_end(&r));
	r = (struct reader){ .in = S("\0\0\0\3abc") };
	check_str(read_str(&r, 2), STR_NONE, "text past the limit");
	assert_true(r.bad);
	r = (struct reader){ .in = S("\1\2\3") };
	assert_int_equal(read_u8(&r), 1);
	assert_false(read_end(&r)); /* something is left */
	assert_int_equal(read_u32(&r), 0);
	assert_true(r.bad);
}

static void test_no_room(void **state)
{
	(void)state;
	struct buf b;

	buf_init(&b, 20);
	buf_add(&b, S("before"));
	size_t at = frame_open(&b, AUTH_BODY, 1);
	put_str(&b, S("much too long for it"));
	assert_false(frame_close(&b, at));
	check_str(buf_str(&b), S("before"), "what was there before stays");
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_there_and_back),
		cmocka_unit_test(test_broken),
		cmocka_unit_test(test_reader),
		cmocka_unit_test(test_no_room),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
