/* wire/body_test.c: end of data, dot-stuffing, bare CR, LF and NUL (hardening 4.1: SM-I1..I24, SM-O1, SM-O4). */
#include "tests/unit.h"
#include "wire/body.h"

#include <string.h>
#include <time.h>

enum { CR = 1, LF = 2, NUL = 4, B8 = 8, OPEN = 16 }; /* OPEN: data has not ended */

static const struct {
	const char *row;
	struct str in, content;
	unsigned want;
} rows[] = {
	{ "plain", STR_LIT("a\r\nb\r\n.\r\n"), STR_LIT("a\r\nb\r\n"), 0 },
	{ "SM-I24 empty", STR_LIT(".\r\n"), STR_LIT(""), 0 },
	{ "SM-I24 .LF first", STR_LIT(".\n"), STR_LIT("\n"), LF | OPEN },
	{ "SM-I24 .CR first", STR_LIT(".\r"), STR_LIT(""), OPEN },
	{ "SM-I24 .CR x first", STR_LIT(".\rx"), STR_LIT("\rx"), CR | OPEN },
	{ "empty line", STR_LIT("\r\n.\r\n"), STR_LIT("\r\n"), 0 },
	{ "stuffed", STR_LIT("..a\r\n...\r\n.\r\n"), STR_LIT(".a\r\n..\r\n"), 0 },
	{ "stuffed dot line", STR_LIT("a\r\n..\r\n.\r\n"), STR_LIT("a\r\n.\r\n"), 0 },
	{ "unstuffed dot", STR_LIT("a\r\n.b\r\n.\r\n"), STR_LIT("a\r\nb\r\n"), 0 },
	{ "dot inside", STR_LIT("a.\r\nb.c\r\n.\r\n"), STR_LIT("a.\r\nb.c\r\n"), 0 },
	{ "dot behind a space", STR_LIT("a\r\n .\r\n.\r\n"), STR_LIT("a\r\n .\r\n"), 0 },
	{ "8 bit", STR_LIT("caf\xc3\xa9\r\n.\r\n"), STR_LIT("caf\xc3\xa9\r\n"), B8 },
	{ "8 bit at word edges", STR_LIT("1234567\x80\r\n.\r\n"), STR_LIT("1234567\x80\r\n"), B8 },
	{ "no end", STR_LIT("a\r\n.\r"), STR_LIT("a\r\n"), OPEN },
	/* SM-I1..I19: none of these ends the data, the last CRLF.CRLF does */
	{ "SM-I1 LF.LF", STR_LIT("a\n.\nb\r\n.\r\n"), STR_LIT("a\n.\nb\r\n"), LF },
	{ "SM-I2 LF.CRLF", STR_LIT("a\n.\r\nb\r\n.\r\n"), STR_LIT("a\n.\r\nb\r\n"), LF },
	{ "SM-I3 CRLF.LF", STR_LIT("a\r\n.\nb\r\n.\r\n"), STR_LIT("a\r\n\nb\r\n"), LF },
	{ "SM-I4 CR.CR", STR_LIT("a\r.\rb\r\n.\r\n"), STR_LIT("a\r.\rb\r\n"), CR },
	{ "SM-I5 CR.CRLF", STR_LIT("a\r.\r\nb\r\n.\r\n"), STR_LIT("a\r.\r\nb\r\n"), CR },
	{ "SM-I6 CRLF.CR", STR_LIT("a\r\n.\rb\r\n.\r\n"), STR_LIT("a\r\n\rb\r\n"), CR },
	{ "SM-I7 LF.CR", STR_LIT("a\n.\rb\r\n.\r\n"), STR_LIT("a\n.\rb\r\n"), LF | CR },
	{ "SM-I8 CR.LF", STR_LIT("a\r.\nb\r\n.\r\n"), STR_LIT("a\r.\nb\r\n"), CR | LF },
	{ "SM-I9 CRLF.CRCRLF", STR_LIT("a\r\n.\r\r\nb\r\n.\r\n"), STR_LIT("a\r\n\r\r\nb\r\n"), CR },
	{ "SM-I10 CRLF NUL.CRLF", STR_LIT("a\r\n\0.\r\nb\r\n.\r\n"), STR_LIT("a\r\n\0.\r\nb\r\n"), NUL },
	{ "SM-I11 CRLF.NUL CRLF", STR_LIT("a\r\n.\0\r\nb\r\n.\r\n"), STR_LIT("a\r\n\0\r\nb\r\n"), NUL },
	{ "SM-I12 LF CR.CRLF", STR_LIT("a\n\r.\r\nb\r\n.\r\n"), STR_LIT("a\n\r.\r\nb\r\n"), LF | CR },
	{ "SM-I13 CRLF SP.CRLF", STR_LIT("a\r\n .\r\nb\r\n.\r\n"), STR_LIT("a\r\n .\r\nb\r\n"), 0 },
	{ "SM-I14 CRLF.TAB CRLF", STR_LIT("a\r\n.\t\r\nb\r\n.\r\n"), STR_LIT("a\r\n\t\r\nb\r\n"), 0 },
	{ "SM-I15 CRCRLF.CRLF is the end", STR_LIT("a\r\r\n.\r\n"), STR_LIT("a\r\r\n"), CR },
	{ "SM-I16 NEL",
	  STR_LIT("a\xc2\x85.\xc2\x85"
		  "b\r\n.\r\n"),
	  STR_LIT("a\xc2\x85.\xc2\x85"
		  "b\r\n"),
	  B8 },
	{ "SM-I17 U+2028",
	  STR_LIT("a\xe2\x80\xa8.\xe2\x80\xa8"
		  "b\r\n.\r\n"),
	  STR_LIT("a\xe2\x80\xa8.\xe2\x80\xa8"
		  "b\r\n"),
	  B8 },
	{ "SM-I18 VT", STR_LIT("a\v.\vb\r\n.\r\n"), STR_LIT("a\v.\vb\r\n"), 0 },
	{ "SM-I19 FF", STR_LIT("a\f.\fb\r\n.\r\n"), STR_LIT("a\f.\fb\r\n"), 0 },
	{ "CR only at the end", STR_LIT("a\r\r\r\n.\r\n"), STR_LIT("a\r\r\r\n"), CR },
	{ "LFCR", STR_LIT("a\n\rb\r\n.\r\n"), STR_LIT("a\n\rb\r\n"), LF | CR },
	{ "only LF lines", STR_LIT("a\nb\n.\n"), STR_LIT("a\nb\n.\n"), LF | OPEN },
	{ "dot dot CRLF first", STR_LIT("..\r\n.\r\n"), STR_LIT(".\r\n"), 0 },
	{ "NUL alone", STR_LIT("\0\r\n.\r\n"), STR_LIT("\0\r\n"), NUL },
};

static void collect(void *arg, struct str run)
{
	assert_true(run.n > 0);
	buf_add(arg, run);
}

/* Gives `in` in pieces: the first ends at `cut` (when not 0), the others have `piece` bytes. */
static void check_row(size_t i, size_t piece, size_t cut)
{
	struct str rest = rows[i].in;
	struct body_in b;
	struct buf got;
	bool end = false;
	size_t used = 0, total = 0;

	buf_init(&got, 4096);
	body_in_init(&b);
	while (rest.n > 0 && !end) {
		size_t n = cut > 0 && total < cut ? cut - total : piece;
		end = body_in_next(&b, str_head(rest, n), &used, collect, &got);
		check(end || used == str_head(rest, n).n, rows[i].row);
		rest = str_skip(rest, used);
		total += used;
	}
	unsigned flags = (b.bare_cr ? CR : 0U) | (b.bare_lf ? LF : 0U) | (b.nul ? NUL : 0U) | (b.has_8bit ? B8 : 0U) |
			 (end ? 0U : OPEN);
	check_str(buf_str(&got), rows[i].content, rows[i].row);
	if (flags != rows[i].want)
		fail_msg("%s: flags %u instead of %u", rows[i].row, flags, rows[i].want);
	check(rest.n == 0, rows[i].row);
	if (end)
		check(b.at_line_start, rows[i].row);
	buf_fini(&got);
}

static void test_whole(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		check_row(i, rows[i].in.n, 0);
}

/* SM-I20: the same verdict however it is split. */
static void test_split(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		check_row(i, 1, 0);
		check_row(i, 2, 0);
		check_row(i, 3, 0);
		for (size_t cut = 1; cut < rows[i].in.n; cut++)
			check_row(i, rows[i].in.n, cut);
	}
}

/* SM-I21: what is pipelined behind the end is left alone. */
static void test_end_is_exact(void **state)
{
	struct str in = S("a\r\n.\r\nMAIL FROM:<x@y>\r\n");
	struct body_in b;
	struct buf got;
	size_t used;

	(void)state;
	buf_init(&got, 100);
	body_in_init(&b);
	assert_true(body_in_next(&b, in, &used, collect, &got));
	assert_int_equal(used, 6);
	check_str(buf_str(&got), S("a\r\n"), "content");
	buf_fini(&got);
}

static const struct {
	const char *row;
	struct str in;
	unsigned want;
} scans[] = {
	{ "clean", STR_LIT("a\r\nb"), 0 },
	{ "SM-I23 dot line is content", STR_LIT("a\r\n.\r\nb"), 0 },
	{ "empty", STR_LIT(""), 0 },
	{ "bare LF", STR_LIT("a\nb"), LF },
	{ "LF first", STR_LIT("\nb"), LF },
	{ "bare CR", STR_LIT("a\rb"), CR },
	{ "SM-O4 CR last", STR_LIT("a\r"), CR },
	{ "CR CR LF", STR_LIT("a\r\r\n"), CR },
	{ "NUL, 8 bit", STR_LIT("\0\xff"), NUL | B8 },
	{ "all", STR_LIT("a\rb\nc\0\x80\r\n"), CR | LF | NUL | B8 },
};

static void test_scan(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(scans); i++)
		for (size_t cut = 0; cut <= scans[i].in.n; cut++) {
			struct body_scan b = { 0 };
			body_scan(&b, str_head(scans[i].in, cut), false);
			body_scan(&b, STR_NONE, false);
			body_scan(&b, str_skip(scans[i].in, cut), true);
			unsigned flags = (b.bare_cr ? CR : 0U) | (b.bare_lf ? LF : 0U) | (b.nul ? NUL : 0U) |
					 (b.has_8bit ? B8 : 0U);
			if (flags != scans[i].want)
				fail_msg("%s, cut at %zu: %u", scans[i].row, cut, flags);
		}
}

static const struct {
	const char *row;
	struct str in, wire;
} outs[] = {
	{ "plain", STR_LIT("a\r\nb\r\n"), STR_LIT("a\r\nb\r\n.\r\n") },
	{ "empty", STR_LIT(""), STR_LIT(".\r\n") },
	{ "no final CRLF", STR_LIT("a"), STR_LIT("a\r\n.\r\n") },
	{ "first line starts with a dot", STR_LIT(".a\r\n"), STR_LIT("..a\r\n.\r\n") },
	{ "SM-O1 CRLF.CRLF", STR_LIT("a\r\n.\r\nb\r\n"), STR_LIT("a\r\n..\r\nb\r\n.\r\n") },
	{ "SM-O4 ends in a dot", STR_LIT("a\r\n."), STR_LIT("a\r\n..\r\n.\r\n") },
	{ "SM-O4 ends in CRLF.", STR_LIT("\r\n."), STR_LIT("\r\n..\r\n.\r\n") },
	{ "dots", STR_LIT("...\r\n..\r\n.x\r\nx.\r\n"), STR_LIT("....\r\n...\r\n..x\r\nx.\r\n.\r\n") },
	{ "only a dot", STR_LIT("."), STR_LIT("..\r\n.\r\n") },
	{ "8 bit and NUL pass", STR_LIT("\xff\0\r\n"), STR_LIT("\xff\0\r\n.\r\n") },
};

static void test_out(void **state)
{
	struct buf got;

	(void)state;
	buf_init(&got, 4096);
	for (size_t i = 0; i < COUNT(outs); i++)
		for (size_t cut = 0; cut <= outs[i].in.n; cut++) {
			struct body_out b;
			buf_reset(&got);
			body_out_init(&b);
			body_out_add(&b, str_head(outs[i].in, cut), &got);
			body_out_add(&b, STR_NONE, &got);
			body_out_add(&b, str_skip(outs[i].in, cut), &got);
			assert_true(body_out_finish(&b, &got));
			check_str(buf_str(&got), outs[i].wire, outs[i].row);
		}
	buf_fini(&got);
}

static void test_out_bytewise(void **state)
{
	struct buf got;

	(void)state;
	buf_init(&got, 4096);
	for (size_t i = 0; i < COUNT(outs); i++) {
		struct body_out b;
		buf_reset(&got);
		body_out_init(&b);
		for (size_t k = 0; k < outs[i].in.n; k++)
			body_out_add(&b, (struct str){ outs[i].in.p + k, 1 }, &got);
		body_out_finish(&b, &got);
		check_str(buf_str(&got), outs[i].wire, outs[i].row);
	}
	buf_fini(&got);
}

static void test_out_full(void **state)
{
	struct body_out b;
	struct buf small;

	(void)state;
	buf_init(&small, 4);
	body_out_init(&b);
	assert_true(body_out_add(&b, S("abc"), &small));
	assert_false(body_out_add(&b, S("def"), &small));
	assert_false(body_out_finish(&b, &small));
	buf_fini(&small);
}

/* 10 KiB of ordinary text: out and in again give the same bytes, in a time that no byte-wise machine reaches. */
static void test_ordinary_text(void **state)
{
	struct buf text, wire, back;
	struct timespec t0, t1;
	struct body_out o;
	struct body_in b;
	size_t used;

	(void)state;
	buf_init(&text, 1 << 16);
	buf_init(&wire, 1 << 16);
	buf_init(&back, 1 << 16);
	for (unsigned i = 0; text.n < 10240; i++)
		buf_addf(&text, "%s line %u of a message. It has words, dots. And ends here as lines do.\r\n",
			 i % 20 == 0 ? "." : "a", i);
	double best = 1e9;
	for (int i = 0; i < 50; i++) {
		buf_reset(&wire);
		buf_reset(&back);
		clock_gettime(CLOCK_MONOTONIC, &t0);
		body_out_init(&o);
		body_out_add(&o, buf_str(&text), &wire);
		body_out_finish(&o, &wire);
		body_in_init(&b);
		assert_true(body_in_next(&b, buf_str(&wire), &used, collect, &back));
		clock_gettime(CLOCK_MONOTONIC, &t1);
		double us = (double)(t1.tv_sec - t0.tv_sec) * 1e6 + (double)(t1.tv_nsec - t0.tv_nsec) / 1e3;
		best = us < best ? us : best;
	}
	assert_true(str_eq(buf_str(&text), buf_str(&back)));
	print_message("10 KiB out and in: %.1f us\n", best);
	buf_fini(&text);
	buf_fini(&wire);
	buf_fini(&back);
}

static void normalised(void **state)
{
	static const struct {
		struct str in, out;
	} lines[] = {
		{ STR_LIT(""), STR_LIT("") },
		{ STR_LIT("a\r\nb\r\n"), STR_LIT("a\r\nb\r\n") },
		{ STR_LIT("a\nb\rc\n\n"), STR_LIT("a\r\nb\r\nc\r\n\r\n") },
		{ STR_LIT("\r\r\n\r"), STR_LIT("\r\n\r\n\r\n") },
		{ STR_LIT("\n\r"), STR_LIT("\r\n\r\n") },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(lines); i++)
		for (size_t step = 1; step <= lines[i].in.n + 1; step++) {
			struct body_normal b = { 0 };
			struct buf out;
			buf_init(&out, 100);
			for (size_t at = 0; at < lines[i].in.n; at += step) {
				struct str in = str_head(str_skip(lines[i].in, at), step), run;
				while ((run = body_normalise(&b, &in)).n > 0)
					buf_add(&out, run);
			}
			if (b.last_cr)
				buf_add(&out, S("\r\n"));
			check_str(buf_str(&out), lines[i].out, "normalised");
			buf_fini(&out);
		}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(normalised),         cmocka_unit_test(test_whole),
		cmocka_unit_test(test_split),         cmocka_unit_test(test_end_is_exact),
		cmocka_unit_test(test_scan),          cmocka_unit_test(test_out),
		cmocka_unit_test(test_out_bytewise),  cmocka_unit_test(test_out_full),
		cmocka_unit_test(test_ordinary_text),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
