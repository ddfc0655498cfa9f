/* wire/edits_test.c: edits give the same message however it is cut up. */
#include "tests/unit.h"
#include "wire/edits.h"

#include "base/buf.h"

#define E(a, d, i) \
	{ \
		.at = a, .drop = d, .insert = STR_LIT(i) \
	}

static const struct {
	const char *row;
	struct str in, out;
	struct edit v[4];
	size_t n;
} rows[] = {
	{ "none", STR_LIT("abc"), STR_LIT("abc"), { { 0 } }, 0 },
	{ "on top", STR_LIT("abc"), STR_LIT("xyabc"), { E(0, 0, "xy") }, 1 },
	{ "at the end", STR_LIT("abc"), STR_LIT("abcxy"), { E(3, 0, "xy") }, 1 },
	{ "the front away", STR_LIT("abc"), STR_LIT("c"), { E(0, 2, "") }, 1 },
	{ "the end away", STR_LIT("abc"), STR_LIT("a"), { E(1, 2, "") }, 1 },
	{ "all away", STR_LIT("abc"), STR_LIT(""), { E(0, 3, "") }, 1 },
	{ "replaced", STR_LIT("abcdef"), STR_LIT("abXYZef"), { E(2, 2, "XYZ") }, 1 },
	{ "side by side",
	  STR_LIT("abcdef"),
	  STR_LIT("1a2ef3"),
	  { E(0, 0, "1"), E(1, 2, "2"), E(3, 1, ""), E(6, 0, "3") },
	  4 },
	{ "two at one place", STR_LIT("ab"), STR_LIT("12ab"), { E(0, 0, "1"), E(0, 0, "2") }, 2 },
	{ "of nothing", STR_LIT(""), STR_LIT("1"), { E(0, 0, "1") }, 1 },
};

static void check_row(size_t i, size_t piece, size_t most)
{
	struct edits e = { rows[i].v, rows[i].n };
	struct edit_pos pos = { 0 };
	struct str rest = rows[i].in, run;
	struct buf out;

	buf_init(&out, 100);
	do {
		struct str source = str_head(rest, piece);
		rest = str_skip(rest, piece);
		while ((run = edits_take(e, &pos, &source, most)).n > 0) {
			check(run.n <= most, rows[i].row);
			buf_add(&out, run);
		}
		check(source.n == 0, rows[i].row);
	} while (rest.n > 0);
	check(pos.at == rows[i].in.n, rows[i].row);
	check_str(buf_str(&out), rows[i].out, rows[i].row);
	check((int64_t)rows[i].in.n + edits_growth(e) == (int64_t)rows[i].out.n, rows[i].row);
	check(edits_check(e), rows[i].row);
	buf_fini(&out);
}

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		for (size_t piece = 1; piece < 8; piece++)
			for (size_t most = 1; most < 8; most++)
				check_row(i, piece, most);
}

static void test_check(void **state)
{
	const struct edit overlap[] = { E(0, 2, ""), E(1, 1, "") }, falling[] = { E(3, 0, ""), E(1, 0, "") };

	(void)state;
	assert_false(edits_check((struct edits){ overlap, 2 }));
	assert_false(edits_check((struct edits){ falling, 2 }));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows), cmocka_unit_test(test_check) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
