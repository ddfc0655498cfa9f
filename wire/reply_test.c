/* wire/reply_test.c: replies both ways (hardening Part 2.3, 2.7, 2.9; 4.4 CVE-2020-8794, CVE-2026-43964; SM-O3). */
#include "tests/unit.h"
#include "wire/reply.h"

#include <string.h>

#define S50  "12345678901234567890123456789012345678901234567890"
#define S500 S50 S50 S50 S50 S50 S50 S50 S50 S50 S50

static const struct {
	const char *row;
	struct reply reply;
	struct str want;
} put_rows[] = {
	{ "plain", { 250, 2, 0, 0, STR_LIT("ok") }, STR_LIT("250 2.0.0 ok\r\n") },
	{ "no enhanced code", { 220, 0, 0, 0, STR_LIT("mx ESMTP") }, STR_LIT("220 mx ESMTP\r\n") },
	{ "long detail", { 550, 5, 7, 509, STR_LIT("no") }, STR_LIT("550 5.7.509 no\r\n") },
	{ "class follows the code", { 451, 5, 7, 1, STR_LIT("later") }, STR_LIT("451 4.7.1 later\r\n") },
	{ "none on 354", { 354, 2, 0, 0, STR_LIT("go") }, STR_LIT("354 go\r\n") },
	{ "empty challenge", { 334, 0, 0, 0, STR_LIT("") }, STR_LIT("334 \r\n") },
	{ "lines", { 250, 0, 0, 0, STR_LIT("a\nb\nc") }, STR_LIT("250-a\r\n250-b\r\n250 c\r\n") },
	{ "lines with codes", { 550, 5, 1, 1, STR_LIT("a\r\nb\r\n") }, STR_LIT("550-5.1.1 a\r\n550 5.1.1 b\r\n") },
	{ "empty line inside", { 250, 0, 0, 0, STR_LIT("a\n\nb") }, STR_LIT("250-a\r\n250-\r\n250 b\r\n") },
	{ "default 2", { 250, 2, 1, 0, STR_LIT("") }, STR_LIT("250 2.1.0 OK\r\n") },
	{ "default 4 (CVE-2026-43964)", { 450, 4, 7, 1, STR_LIT("") }, STR_LIT("450 4.7.1 Try again later\r\n") },
	{ "default 5 (CVE-2026-43964)", { 550, 0, 0, 0, STR_LIT("\n\r\n") }, STR_LIT("550 Refused\r\n") },
	{ "SM-O3 text that ends data", { 550, 0, 0, 0, STR_LIT("x\n.\r\ny") }, STR_LIT("550-x\r\n550-.\r\n550 y\r\n") },
	{ "control bytes", { 550, 0, 0, 0, STR_LIT("a\rb\0c\x1b[0md\te\x7f") }, STR_LIT("550 a?b?c?[0md e?\r\n") },
	{ "8 bit", { 550, 0, 0, 0, STR_LIT("caf\xc3\xa9") }, STR_LIT("550 caf??\r\n") },
	{ "cut at 510", { 550, 5, 1, 1, STR_LIT(S500 S50) }, STR_LIT("550 5.1.1 " S500 "\r\n") },
};

static void test_put(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 65536);
	for (size_t i = 0; i < COUNT(put_rows); i++) {
		buf_reset(&b);
		reply_put(&b, &put_rows[i].reply);
		check_str(buf_str(&b), put_rows[i].want, put_rows[i].row);
	}
	buf_fini(&b);
}

static void test_put_long_challenge(void **state)
{
	static char text[8000];
	struct buf b;

	(void)state;
	memset(text, 'A', sizeof text);
	buf_init(&b, 65536);
	reply_put(&b, &(struct reply){ .code = 334, .text = str_n(text, sizeof text) });
	assert_int_equal(b.n, 4 + sizeof text + 2);
	buf_fini(&b);
}

static const struct {
	const char *row;
	struct str in;
	bool lax;
	int used, code;
	unsigned char class;
	unsigned short subject, detail;
	struct str flat;
} next_rows[] = {
	{ "plain", STR_LIT("250 2.1.0 ok\r\n"), false, 14, 250, 2, 1, 0, STR_LIT("250 2.1.0 ok") },
	{ "then more", STR_LIT("250 ok\r\n354 go\r\n"), false, 8, 250, 0, 0, 0, STR_LIT("250 ok") },
	{ "code alone", STR_LIT("250\r\n"), false, 5, 250, 0, 0, 0, STR_LIT("250") },
	{ "code and blank", STR_LIT("250 \r\n"), false, 6, 250, 0, 0, 0, STR_LIT("250") },
	{ "lines", STR_LIT("250-a\r\n250-b\r\n250 c\r\n"), false, 21, 250, 0, 0, 0, STR_LIT("250 a b c") },
	{ "last line without text (CVE-2020-8794)", STR_LIT("550-5.1.1 no\r\n550\r\n"), false, 19, 550, 5, 1, 1,
	  STR_LIT("550 5.1.1 no") },
	{ "code lines only", STR_LIT("550-\r\n550-\r\n550\r\n"), false, 17, 550, 0, 0, 0, STR_LIT("550") },
	{ "class clamped (CVE-2026-43964)", STR_LIT("550 4.7.1 x\r\n"), false, 13, 550, 5, 7, 1,
	  STR_LIT("550 4.7.1 x") },
	{ "code without text", STR_LIT("550 5.7.1\r\n"), false, 11, 550, 5, 7, 1, STR_LIT("550 5.7.1") },
	{ "5.", STR_LIT("550 5.\r\n"), false, 8, 550, 0, 0, 0, STR_LIT("550 5.") },
	{ "5.7", STR_LIT("550 5.7\r\n"), false, 9, 550, 0, 0, 0, STR_LIT("550 5.7") },
	{ "5.7.", STR_LIT("550 5.7.\r\n"), false, 10, 550, 0, 0, 0, STR_LIT("550 5.7.") },
	{ "9.9.9", STR_LIT("550 9.9.9 x\r\n"), false, 13, 550, 0, 0, 0, STR_LIT("550 9.9.9 x") },
	{ "5.1234.1", STR_LIT("550 5.1234.1 x\r\n"), false, 16, 550, 0, 0, 0, STR_LIT("550 5.1234.1 x") },
	{ "no code on 354", STR_LIT("354 2.0.0 go\r\n"), false, 14, 354, 0, 0, 0, STR_LIT("354 2.0.0 go") },
	{ "control bytes", STR_LIT("550 a\0b\x1b[2J\xff\r\n"), false, 14, 550, 0, 0, 0, STR_LIT("550 a?b?[2J?") },
	{ "bare CR inside", STR_LIT("550 a\r.\rb\r\n"), false, 11, 550, 0, 0, 0, STR_LIT("550 a?.?b") },
	{ "bare LF", STR_LIT("250 ok\n"), false, REPLY_SYNTAX, 0, 0, 0, 0, STR_LIT("") },
	{ "bare LF, lax", STR_LIT("250-a\n250 ok\n"), true, 13, 250, 0, 0, 0, STR_LIT("250 a ok") },
	{ "mixed codes", STR_LIT("250-a\r\n550 b\r\n"), false, REPLY_MIXED_CODES, 0, 0, 0, 0, STR_LIT("") },
	{ "code 199", STR_LIT("199 a\r\n"), false, REPLY_SYNTAX, 0, 0, 0, 0, STR_LIT("") },
	{ "code 600", STR_LIT("600 a\r\n"), false, REPLY_SYNTAX, 0, 0, 0, 0, STR_LIT("") },
	{ "code 25x", STR_LIT("25x a\r\n"), false, REPLY_SYNTAX, 0, 0, 0, 0, STR_LIT("") },
	{ "separator", STR_LIT("250+a\r\n"), false, REPLY_SYNTAX, 0, 0, 0, 0, STR_LIT("") },
	{ "four digits", STR_LIT("2500 a\r\n"), false, REPLY_SYNTAX, 0, 0, 0, 0, STR_LIT("") },
	{ "too short", STR_LIT("25\r\n"), false, REPLY_SYNTAX, 0, 0, 0, 0, STR_LIT("") },
	{ "empty line", STR_LIT("\r\n"), false, REPLY_SYNTAX, 0, 0, 0, 0, STR_LIT("") },
	{ "second line broken", STR_LIT("250-a\r\nhello\r\n"), false, REPLY_SYNTAX, 0, 0, 0, 0, STR_LIT("") },
	{ "unfinished", STR_LIT("250-a\r\n250 b"), false, REPLY_MORE, 0, 0, 0, 0, STR_LIT("") },
	{ "nothing", STR_LIT(""), false, REPLY_MORE, 0, 0, 0, 0, STR_LIT("") },
};

static void check_next(size_t i, int used, const struct reply *r)
{
	const char *row = next_rows[i].row;
	struct buf flat;

	check(used == next_rows[i].used, row);
	if (used <= 0)
		return;
	check(r->code == next_rows[i].code, row);
	check(r->class == next_rows[i].class && r->subject == next_rows[i].subject && r->detail == next_rows[i].detail,
	      row);
	buf_init(&flat, 4096);
	reply_put_flat(&flat, r);
	check_str(buf_str(&flat), next_rows[i].flat, row);
	buf_fini(&flat);
}

static void test_next(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(next_rows); i++) {
		struct reply r = { 0 };
		int used = reply_next(next_rows[i].in, next_rows[i].lax, &r);
		check_next(i, used, &r);
	}
}

static void test_next_growing(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(next_rows); i++) {
		struct reply r = { 0 };
		int used = REPLY_MORE;
		for (size_t n = 0; n <= next_rows[i].in.n && used == REPLY_MORE; n++)
			used = reply_next(str_head(next_rows[i].in, n), next_rows[i].lax, &r);
		check_next(i, used, &r);
	}
}

static void test_lines(void **state)
{
	struct reply r;
	struct str rest, line;

	(void)state;
	assert_int_equal(reply_next(S("250-mx greets\r\n250-SIZE 100\r\n250-\r\n250\r\n"), false, &r), 40);
	rest = r.text;
	static const struct str want[] = { STR_LIT("mx greets"), STR_LIT("SIZE 100"), STR_LIT(""), STR_LIT("") };
	for (size_t i = 0; i < COUNT(want); i++) {
		assert_true(reply_lines(&rest, &line));
		check_str(line, want[i], "line");
	}
	assert_false(reply_lines(&rest, &line));
}

static void test_limits(void **state)
{
	struct reply r;
	struct buf b;

	(void)state;
	buf_init(&b, 1 << 20);
	buf_add(&b, S("250 "));
	while (b.n < REPLY_LINE_MAX - 2)
		buf_addc(&b, 'x');
	assert_int_equal(reply_next(buf_str(&b), false, &r), REPLY_MORE);
	buf_add(&b, S("\r\n"));
	assert_int_equal(reply_next(buf_str(&b), false, &r), REPLY_LINE_MAX);
	b.n -= 2;
	buf_add(&b, S("y\r\n"));
	assert_int_equal(reply_next(buf_str(&b), false, &r), REPLY_TOO_LONG);

	buf_reset(&b); /* it never ends (CVE-2020-8794) */
	for (size_t i = 0; i < REPLY_LINES_MAX - 1; i++)
		buf_add(&b, S("250-\r\n"));
	assert_int_equal(reply_next(buf_str(&b), false, &r), REPLY_MORE);
	buf_add(&b, S("250\r\n"));
	assert_int_equal(reply_next(buf_str(&b), false, &r), b.n);
	b.n -= 5;
	buf_add(&b, S("250-\r\n"));
	assert_int_equal(reply_next(buf_str(&b), false, &r), REPLY_TOO_LONG);

	buf_reset(&b);
	while (b.n < REPLY_BYTES_MAX - 200)
		buf_add(&b, S("250-" S50 S50 "\r\n"));
	assert_int_equal(reply_next(buf_str(&b), false, &r), REPLY_MORE);
	while (b.n < REPLY_BYTES_MAX)
		buf_add(&b, S("250-" S50 S50 "\r\n"));
	assert_int_equal(reply_next(buf_str(&b), false, &r), REPLY_TOO_LONG);
	buf_fini(&b);
}

/* What reply_put writes, reply_next reads. */
static void test_round_trip(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 65536);
	for (size_t i = 0; i < COUNT(put_rows); i++) {
		struct reply r;
		buf_reset(&b);
		reply_put(&b, &put_rows[i].reply);
		check(reply_next(buf_str(&b), false, &r) == (int)b.n, put_rows[i].row);
		check(r.code == put_rows[i].reply.code, put_rows[i].row);
		if (r.class != 0)
			check(r.detail == put_rows[i].reply.detail, put_rows[i].row);
	}
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_put),        cmocka_unit_test(test_put_long_challenge),
		cmocka_unit_test(test_next),       cmocka_unit_test(test_next_growing),
		cmocka_unit_test(test_lines),      cmocka_unit_test(test_limits),
		cmocka_unit_test(test_round_trip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
