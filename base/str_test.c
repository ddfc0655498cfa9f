/* base/str_test.c: views. */
#include "base/str.h"
#include "tests/unit.h"

static void test_subviews(void **state)
{
	struct str s = S("hello"), head, tail, rest;

	(void)state;
	check_str(str_skip(s, 2), S("llo"), "skip");
	check_str(str_skip(s, 9), S(""), "skip past the end");
	check_str(str_head(s, 2), S("he"), "head");
	check_str(str_head(s, 9), s, "head past the end");
	check_str(str_skip(STR_NONE, 3), S(""), "skip of nothing");
	check_str(str_trim(S(" \t a b\t ")), S("a b"), "trim");
	check_str(str_trim(S(" \t ")), S(""), "trim to nothing");
	assert_true(str_cut(S("a=b=c"), '=', &head, &tail));
	check_str(head, S("a"), "cut head");
	check_str(tail, S("b=c"), "cut tail");
	assert_false(str_cut(S("abc"), '=', &head, &tail));
	check_str(head, S("abc"), "no cut");
	check_str(tail, S(""), "no cut");
	assert_false(str_cut(STR_NONE, '=', &head, &tail));
	rest = S("  one\ttwo ");
	check_str(str_word(&rest), S("one"), "word");
	check_str(str_word(&rest), S("two"), "word");
	check_str(str_word(&rest), S(""), "no word");
	assert_true(str_c(NULL).n == 0);
}

static void test_compare(void **state)
{
	(void)state;
	assert_true(str_eq(S("a\0b"), S("a\0b")) && !str_eq(S("a\0b"), S("a\0c")));
	assert_true(str_eq(STR_NONE, S("")));
	assert_true(str_ieq(S("AbZ"), S("aBz")) && !str_ieq(S("@"), S("`")) && !str_ieq(S("\xc4"), S("\xe4")));
	assert_true(str_cmp(S("a"), S("b")) < 0 && str_cmp(S("b"), S("ab")) > 0 && str_cmp(S("a"), S("ab")) < 0);
	assert_true(str_cmp(S("a"), S("a")) == 0 && str_cmp(STR_NONE, S("")) == 0 && str_cmp(S("\x80"), S("a")) > 0);
	assert_true(str_starts(S("abc"), S("ab")) && !str_starts(S("a"), S("ab")) && str_starts(S("a"), S("")));
	assert_true(str_istarts(S("ABc"), S("ab")) && str_ends(S("abc"), S("bc")) && !str_ends(S("c"), S("bc")));
	assert_true(str_iends(S("a.COM"), S(".com")));
	assert_int_equal(str_chr(S("abca"), 'a'), 0);
	assert_int_equal(str_rchr(S("abca"), 'a'), 3);
	assert_int_equal(str_chr(S("abc"), 'x'), -1);
	assert_int_equal(str_chr(STR_NONE, 'x'), -1);
	assert_int_equal(str_find(S("abcabc"), S("ca")), 2);
	assert_int_equal(str_find(S("abc"), S("abcd")), -1);
	assert_int_equal(str_find(S("abc"), S("")), 0);
}

static void test_numbers(void **state)
{
	static const struct {
		struct str in;
		uint64_t max;
		bool good;
		uint64_t v;
	} rows[] = {
		{ STR_LIT("0"), 10, true, 0 },
		{ STR_LIT("10"), 10, true, 10 },
		{ STR_LIT("11"), 10, false, 0 },
		{ STR_LIT("007"), 10, true, 7 },
		{ STR_LIT("18446744073709551615"), UINT64_MAX, true, UINT64_MAX },
		{ STR_LIT("18446744073709551616"), UINT64_MAX, false, 0 },
		{ STR_LIT("99999999999999999999999"), UINT64_MAX, false, 0 },
		{ STR_LIT(""), 10, false, 0 },
		{ STR_LIT("-1"), 10, false, 0 },
		{ STR_LIT("+1"), 10, false, 0 },
		{ STR_LIT(" 1"), 10, false, 0 },
		{ STR_LIT("1 "), 10, false, 0 },
		{ STR_LIT("0x1"), 10, false, 0 },
		{ STR_LIT("1\0"), 10, false, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		uint64_t v = 77;
		check(str_u64(rows[i].in, rows[i].max, &v) == rows[i].good, rows[i].in.p);
		check(v == (rows[i].good ? rows[i].v : 77), rows[i].in.p);
	}
}

static void test_hash_and_classes(void **state)
{
	(void)state;
	assert_true(str_hash(S("a"), 1) != str_hash(S("a"), 2));
	assert_true(str_hash(STR_NONE, 1) == str_hash(S(""), 1));
	assert_true(chr_is_ctl('\0') && chr_is_ctl('\x7f') && !chr_is_ctl(' ') && !chr_is_ctl('\x80'));
	assert_true(chr_is_8bit('\x80') && chr_is_8bit('\xff') && !chr_is_8bit('\x7f'));
	assert_true(chr_lower('Z') == 'z' && chr_lower('[') == '[' && chr_lower('\xc4') == '\xc4');
	assert_true(chr_is_alnum('z') && chr_is_alnum('0') && !chr_is_alnum('_') && !chr_is_alpha('\xe4'));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_subviews),
		cmocka_unit_test(test_compare),
		cmocka_unit_test(test_numbers),
		cmocka_unit_test(test_hash_and_classes),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
