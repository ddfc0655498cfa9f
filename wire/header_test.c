/* wire/header_test.c: the header scan (hardening 4.5 HY-2 shapes, 4.6 DoS-5, Part 2.30, 2.31). */
#include "tests/unit.h"
#include "wire/header.h"

#include <string.h>

/* What a scan found, as text: "name|value|offset;" for each field. */
struct found {
	struct buf text;
	struct str message;
};

static void note(void *arg, const struct header_field *f)
{
	struct found *found = arg;

	buf_add(&found->text, f->name);
	buf_addc(&found->text, '|');
	buf_add(&found->text, f->value);
	buf_addf(&found->text, "|%u;", (unsigned)f->offset);
	assert_true(str_eq(str_head(str_skip(found->message, f->offset), f->raw.n), f->raw));
}

enum { BROKEN = 1, BIG = 2 };
enum { MAX_BYTES = 100, MAX_FIELDS = 6 };

static const struct {
	const char *row;
	struct str in, fields;
	uint64_t end;
	unsigned flags;
} rows[] = {
	{ "two fields", STR_LIT("A: 1\r\nB: 2\r\n\r\nbody\r\n"), STR_LIT("A| 1\r\n|0;B| 2\r\n|6;"), 14, 0 },
	{ "no header", STR_LIT("\r\nbody\r\n"), STR_LIT(""), 2, 0 },
	{ "no body", STR_LIT("A: 1\r\n"), STR_LIT("A| 1\r\n|0;"), 6, 0 },
	{ "no CRLF at all", STR_LIT("A: 1"), STR_LIT("A| 1|0;"), 4, 0 },
	{ "nothing", STR_LIT(""), STR_LIT(""), 0, 0 },
	{ "empty line at the end", STR_LIT("A: 1\r\n\r\n"), STR_LIT("A| 1\r\n|0;"), 8, 0 },
	{ "half an empty line", STR_LIT("A: 1\r\n\r"), STR_LIT("A| 1\r\n|0;"), 6, BROKEN },
	{ "fold", STR_LIT("A: 1\r\n 2\r\n\t3\r\nB: 4\r\n\r\n"), STR_LIT("A| 1\r\n 2\r\n\t3\r\n|0;B| 4\r\n|14;"), 22,
	  0 },
	{ "fold at the end", STR_LIT("A: 1\r\n 2"), STR_LIT("A| 1\r\n 2|0;"), 8, 0 },
	{ "blank fold", STR_LIT("A: 1\r\n \r\nB: 2\r\n\r\n"), STR_LIT("A| 1\r\n \r\n|0;B| 2\r\n|9;"), 17, 0 },
	{ "HY-2 space before the colon", STR_LIT("A : 1\r\nB\t: 2\r\n\r\n"), STR_LIT("A| 1\r\n|0;B| 2\r\n|7;"), 16, 0 },
	{ "HY-2 folded behind the name", STR_LIT("A:\r\n 1\r\n\r\n"), STR_LIT("A|\r\n 1\r\n|0;"), 10, 0 },
	{ "HY-2 duplicate", STR_LIT("A: 1\r\na: 2\r\n\r\n"), STR_LIT("A| 1\r\n|0;a| 2\r\n|6;"), 14, 0 },
	{ "HY-2 second copy behind a broken line", STR_LIT("A: 1\r\nbroken\r\nA: 2\r\n\r\n"), STR_LIT("A| 1\r\n|0;"), 6,
	  BROKEN },
	{ "HY-2 8-bit name", STR_LIT("A: 1\r\nB\xff: 2\r\nC: 3\r\n\r\n"), STR_LIT("A| 1\r\n|0;"), 6, BROKEN },
	{ "HY-2 8-bit value", STR_LIT("A: \xff\r\n\r\n"), STR_LIT("A| \xff\r\n|0;"), 8, 0 },
	{ "HY-2 bare CR does not end a line", STR_LIT("A: 1\rB: 2\r\n\r\n"), STR_LIT("A| 1\rB: 2\r\n|0;"), 13, 0 },
	{ "HY-2 bare LF ends a line", STR_LIT("A: 1\nB: 2\r\n\r\n"), STR_LIT("A| 1\n|0;B| 2\r\n|5;"), 13, 0 },
	{ "bare LF ends the header", STR_LIT("A: 1\n\nB: 2\r\n"), STR_LIT("A| 1\n|0;"), 6, 0 },
	{ "CR CR LF does not", STR_LIT("A: 1\r\n\r\r\nB: 2\r\n"), STR_LIT("A| 1\r\n|0;"), 6, BROKEN },
	{ "blank first", STR_LIT(" A: 1\r\n\r\n"), STR_LIT(""), 0, BROKEN },
	{ "empty name (CVE-2026-34752)", STR_LIT(": 1\r\n\r\n"), STR_LIT(""), 0, BROKEN },
	{ "__proto__ (CVE-2026-34752)", STR_LIT("__proto__: 1\r\n\r\n"), STR_LIT("__proto__| 1\r\n|0;"), 16, 0 },
	{ "empty value", STR_LIT("A:\r\n\r\n"), STR_LIT("A|\r\n|0;"), 6, 0 },
	{ "colon in value", STR_LIT("A: b: c\r\n\r\n"), STR_LIT("A| b: c\r\n|0;"), 11, 0 },
	{ "mbox line", STR_LIT("From a@b Sat Nov 21\r\nA: 1\r\n\r\n"), STR_LIT("A| 1\r\n|21;"), 29, 0 },
	{ ">From line", STR_LIT(">From a@b: Sat\r\nA: 1\r\n\r\n"), STR_LIT("A| 1\r\n|16;"), 24, 0 },
	{ "two mbox lines", STR_LIT("From a@b\r\nFrom a@b\r\nA: 1\r\n\r\n"), STR_LIT(""), 10, BROKEN },
	{ "mbox line below", STR_LIT("A: 1\r\nFrom a@b\r\n\r\n"), STR_LIT("A| 1\r\n|0;"), 6, BROKEN },
	{ "NUL in name", STR_LIT("A\0: 1\r\n\r\n"), STR_LIT(""), 0, BROKEN },
	{ "name with a space inside", STR_LIT("A B: 1\r\n\r\n"), STR_LIT(""), 0, BROKEN },
	{ "broken line that folds", STR_LIT("A: 1\r\nbad\r\n fold: 1\r\n\r\n"), STR_LIT("A| 1\r\n|0;"), 6, BROKEN },
	{ "as many fields as may be", STR_LIT("A:1\r\nA:2\r\nA:3\r\nA:4\r\nA:5\r\nA:6\r\n\r\n"),
	  STR_LIT("A|1\r\n|0;A|2\r\n|5;A|3\r\n|10;A|4\r\n|15;A|5\r\n|20;A|6\r\n|25;"), 32, 0 },
	{ "DoS-5 one too many", STR_LIT("A:1\r\nA:2\r\nA:3\r\nA:4\r\nA:5\r\nA:6\r\nA:7\r\n\r\n"),
	  STR_LIT("A|1\r\n|0;A|2\r\n|5;A|3\r\n|10;A|4\r\n|15;A|5\r\n|20;A|6\r\n|25;"), 0, BIG },
	{ "as long as may be",
	  STR_LIT("A: 12345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012\r\n\r\n"),
	  STR_LIT("A| 12345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012\r\n|0;"),
	  99, 0 },
	{ "DoS-5 one line too long",
	  STR_LIT("A: 12345678901234567890123456789012345678901234567890123456789012345678901234567890123456789012345678\r\n\r\n"),
	  STR_LIT(""), 0, BIG },
	{ "DoS-5 folds too long (CVE-2020-28020)",
	  STR_LIT("A: 1\r\n 23456789012345678901234567890\r\n 12345678901234567890123456789012345678901234567890\r\n 1234567\r\nB: 1\r\n"),
	  STR_LIT(""), 0, BIG },
};

static void check_row(size_t i, size_t first, size_t piece)
{
	struct header_scan h;
	struct found found = { .message = rows[i].in };
	struct str rest = rows[i].in;
	size_t claimed = 0, n;

	buf_init(&found.text, 8192);
	header_scan_init(&h, MAX_BYTES, MAX_FIELDS, S("mx.ours.example"));
	h.on_field = note;
	h.arg = &found;
	for (bool start = true; rest.n > 0; start = false) {
		struct str run = str_head(rest, start && first > 0 ? first : piece);
		n = header_scan_add(&h, run);
		check(n <= run.n && (h.done || n == run.n), rows[i].row);
		claimed += n;
		rest = str_skip(rest, run.n);
	}
	header_scan_finish(&h);
	check(h.done, rows[i].row);
	check(h.broken == !!(rows[i].flags & BROKEN) && h.too_big == !!(rows[i].flags & BIG), rows[i].row);
	check_str(buf_str(&found.text), rows[i].fields, rows[i].row);
	if (!h.too_big)
		check(h.end == rows[i].end && claimed >= h.end, rows[i].row);
	check(header_scan_add(&h, S("C: 1\r\n")) == 0, rows[i].row);
	header_scan_fini(&h);
	buf_fini(&found.text);
}

static void test_whole(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		check_row(i, 0, rows[i].in.n);
}

static void test_split(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		check_row(i, 0, 1);
		check_row(i, 0, 2);
		check_row(i, 0, 7);
		for (size_t cut = 1; cut < rows[i].in.n; cut++)
			check_row(i, cut, rows[i].in.n);
	}
}

static void test_received(void **state)
{
	static const struct {
		struct str in;
		unsigned received, own;
	} r[] = {
		{ STR_LIT("Received: from a by mx.ours.example with ESMTP; x\r\n\r\n"), 1, 1 },
		{ STR_LIT("RECEIVED: from a\r\n\tby MX.Ours.Example (Tombolo); x\r\n\r\n"), 1, 1 },
		{ STR_LIT("Received : by mx.ours.example;x\r\n\r\n"), 1, 1 },
		{ STR_LIT("Received: from mx.ours.example by other; x\r\n\r\n"), 1, 0 },
		{ STR_LIT("Received: from a (by mx.ours.example) by other; x\r\n\r\n"), 1, 0 },
		{ STR_LIT("Received: from a (\\) by mx.ours.example\r\n\r\n"), 1, 0 },
		{ STR_LIT("Received: from a (x (y) z) by mx.ours.example(c)\r\n\r\n"), 1, 1 },
		{ STR_LIT("Received: from a by mx.ours.example.evil; x\r\n\r\n"), 1, 0 },
		{ STR_LIT("X-Received: by mx.ours.example\r\nReceived-SPF: pass\r\n\r\n"), 0, 0 },
		{ STR_LIT("Received: a\r\nReceived: b\r\nReceived: by by mx.ours.example\r\n\r\nReceived: c\r\n"), 3,
		  0 },
		{ STR_LIT("Received: by\r\nReceived:\r\n\r\n"), 2, 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(r); i++) {
		struct header_scan h;
		header_scan_init(&h, 1000, 100, S("mx.ours.example"));
		header_scan_add(&h, r[i].in);
		check(h.received == r[i].received && h.received_own == r[i].own, r[i].in.p);
		header_scan_fini(&h);
	}
}

/* DoS-5: a header that never ends is given up at its limit and holds no memory. */
static void test_endless(void **state)
{
	struct header_scan h;
	size_t given = 0;

	(void)state;
	header_scan_init(&h, 65536, 1000, S("mx"));
	while (!h.done && given < 1 << 20)
		given += header_scan_add(&h, S(" x"));
	assert_true(h.broken || h.too_big);
	header_scan_fini(&h);
	header_scan_init(&h, 65536, 1000, S("mx"));
	header_scan_add(&h, S("A: x\r\n"));
	for (given = 0; !h.done && given < 1 << 20; given += 3)
		header_scan_add(&h, S(" \r\n"));
	assert_true(h.too_big && h.field.p == NULL && given <= 65536);
	header_scan_fini(&h);
}

static void test_unfold(void **state)
{
	static const struct {
		struct str in, out;
	} u[] = {
		{ STR_LIT(" a\r\n"), STR_LIT("a") },      { STR_LIT(" a\r\n b\r\n\tc \r\n"), STR_LIT("a b\tc") },
		{ STR_LIT("\r\n a\r\n"), STR_LIT("a") },  { STR_LIT(""), STR_LIT("") },
		{ STR_LIT(" \r\n \r\n"), STR_LIT("") },   { STR_LIT("a\rb\nc"), STR_LIT("a b c") },
		{ STR_LIT("a\r\r\n b"), STR_LIT("a b") },
	};
	struct buf b;

	(void)state;
	buf_init(&b, 1000);
	for (size_t i = 0; i < COUNT(u); i++) {
		buf_reset(&b);
		header_unfold(u[i].in, &b);
		check_str(buf_str(&b), u[i].out, u[i].in.p);
	}
	buf_fini(&b);
	assert_true(header_name_is(S("subject"), S("Subject")));
	assert_false(header_name_is(S("subject"), S("Subjec")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whole),   cmocka_unit_test(test_split),  cmocka_unit_test(test_received),
		cmocka_unit_test(test_endless), cmocka_unit_test(test_unfold),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
