/* wire/milter_test.c: milter packets both ways; frames and answers that must be refused (hardening ML-1, ML-2, ML-3).
 */
#include "tests/unit.h"
#include "wire/milter.h"

static void frames(void **state)
{
	static const struct {
		const char *row;
		struct str in;
		ssize_t used;
	} rows[] = {
		{ "nothing", STR_LIT(""), 0 },
		{ "half a length", STR_LIT("\0\0\0"), 0 },
		{ "length 0", STR_LIT("\0\0\0\0c"), -1 },
		{ "length 1", STR_LIT("\0\0\0\1c"), 5 },
		{ "two in a row", STR_LIT("\0\0\0\1p\0\0\0\1c"), 5 },
		{ "truncated", STR_LIT("\0\0\0\2c"), 0 },
		{ "the largest", STR_LIT("\0\x10\0\0b"), 0 },
		{ "one larger", STR_LIT("\0\x10\0\1b"), -1 },
		{ "2^31", STR_LIT("\x80\0\0\0c"), -1 },
		{ "2^32-1", STR_LIT("\xff\xff\xff\xff"), -1 },
		{ "an SMTP server", STR_LIT("220 hello\r\n"), -1 },
	};
	struct milter_packet p;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		check(milter_next(rows[i].in, &p) == rows[i].used, rows[i].row);
		for (size_t n = 0; n < rows[i].in.n && rows[i].used > 0; n++)
			check(milter_next(str_head(rows[i].in, n), &p) == (n < (size_t)rows[i].used ? 0 : rows[i].used),
			      rows[i].row);
	}
}

static void texts_go_both_ways(void **state)
{
	static const struct str said[] = { STR_LIT("<a@b.example>"), STR_LIT("SIZE=3"), STR_LIT("") };
	struct milter_packet p;
	struct str text;
	struct buf b;

	(void)state;
	buf_init(&b, 1000);
	milter_put_texts(&b, MILTER_MAIL, said, COUNT(said));
	assert_int_equal(milter_next(buf_str(&b), &p), b.n);
	assert_int_equal(p.kind, MILTER_MAIL);
	for (size_t i = 0; i < COUNT(said); i++) {
		assert_true(milter_get_text(&p.data, &text));
		check_str(text, said[i], "text");
	}
	assert_false(milter_get_text(&p.data, &text));
	buf_reset(&b);
	milter_put_texts(&b, MILTER_HELO, &S("a\0b"), 1); /* a text cannot hold what ends it */
	check_str(buf_str(&b), S("\0\0\0\3Ha\0"), "NUL");
	buf_fini(&b);
}

static void options(void **state)
{
	const struct milter_options offered = { .version = 6, .actions = MILTER_ACTIONS, .protocol = MILTER_PROTOCOL };
	static const struct {
		const char *row;
		struct str data;
		bool read, taken;
	} rows[] = {
		{ "all of it", STR_LIT("\0\0\0\6\0\0\1\xff\0\x1f\xf7\xff"), true, true },
		{ "version 2, nothing asked", STR_LIT("\0\0\0\2\0\0\0\0\0\0\0\0"), true, true },
		{ "version 1", STR_LIT("\0\0\0\1\0\0\0\0\0\0\0\0"), true, false },
		{ "version 99", STR_LIT("\0\0\0\x63\0\0\0\0\0\0\0\0"), true, false },
		{ "unknown action", STR_LIT("\0\0\0\6\0\0\2\0\0\0\0\0"), true, false },
		{ "refused recipients, not offered", STR_LIT("\0\0\0\6\0\0\0\0\0\0\x08\0"), true, false },
		{ "larger packets, not offered", STR_LIT("\0\0\0\6\0\0\0\0\x10\0\0\0"), true, false },
		{ "short", STR_LIT("\0\0\0\6\0\0\0\0\0\0\0"), false, false },
		{ "trailing garbage", STR_LIT("\0\0\0\6\0\0\0\0\0\0\0\0x"), false, false },
		{ "macros", STR_LIT("\0\0\0\6\0\0\0\0\0\0\0\0\0\0\0\5i j\0"), true, true },
		{ "macros without NUL", STR_LIT("\0\0\0\6\0\0\0\0\0\0\0\0\0\0\0\5i j"), false, false },
		{ "macros of no stage", STR_LIT("\0\0\0\6\0\0\0\0\0\0\0\0\0\0\0\7i\0"), false, false },
	};
	struct milter_options o;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		check(milter_get_options(rows[i].data, &o) == rows[i].read, rows[i].row);
		check(!rows[i].read || (milter_options_refused(&offered, &o) == NULL) == rows[i].taken, rows[i].row);
	}
	assert_true(milter_get_options(S("\0\0\0\6\0\0\0\0\0\0\0\0\0\0\0\5i j\0\0\0\0\6\0"), &o));
	check_str(milter_macro_list(&o, MILTER_AT_END), S("i j"), "end of message");
	assert_true(milter_macro_list(&o, MILTER_AT_EOH).p != NULL && milter_macro_list(&o, MILTER_AT_EOH).n == 0);
	assert_true(milter_macro_list(&o, MILTER_AT_MAIL).p == NULL);
	assert_true(milter_macro_list(&o, MILTER_AT_BODY).p == NULL);
	struct buf b;
	struct milter_packet p;
	struct milter_options again;
	buf_init(&b, 1000);
	milter_put_options(&b, &o);
	assert_true(milter_next(buf_str(&b), &p) == (ssize_t)b.n && milter_get_options(p.data, &again));
	check_str(milter_macro_list(&again, MILTER_AT_END), S("i j"), "again");
	buf_fini(&b);
}

static void answers(void **state)
{
	static const struct {
		const char *row;
		char kind;
		struct str data;
		bool ok;
		uint32_t index;
		struct str name, value;
	} rows[] = {
		{ "continue", 'c', STR_LIT(""), true, 0, STR_LIT(""), STR_LIT("") },
		{ "continue and more", 'c', STR_LIT("x"), false, 0, STR_LIT(""), STR_LIT("") },
		{ "unknown", 'z', STR_LIT(""), false, 0, STR_LIT(""), STR_LIT("") },
		{ "a command", 'M', STR_LIT("<>\0"), false, 0, STR_LIT(""), STR_LIT("") },
		{ "reply", 'y', STR_LIT("550 no\0"), true, 0, STR_LIT("550 no"), STR_LIT("") },
		{ "reply without NUL", 'y', STR_LIT("550 no"), false, 0, STR_LIT(""), STR_LIT("") },
		{ "reply with two", 'y', STR_LIT("550 no\0x\0"), false, 0, STR_LIT(""), STR_LIT("") },
		{ "add header", 'h', STR_LIT("X\0y\0"), true, 0, STR_LIT("X"), STR_LIT("y") },
		{ "add header, no value", 'h', STR_LIT("X\0"), false, 0, STR_LIT(""), STR_LIT("") },
		{ "change header", 'm', STR_LIT("\0\0\0\2X\0\0"), true, 2, STR_LIT("X"), STR_LIT("") },
		{ "change header, last index", 'm', STR_LIT("\xff\xff\xff\xffX\0y\0"), true, UINT32_MAX, STR_LIT("X"),
		  STR_LIT("y") },
		{ "change header, short", 'm', STR_LIT("\0\0\0"), false, 0, STR_LIT(""), STR_LIT("") },
		{ "insert header", 'i', STR_LIT("\0\0\0\0X\0y\0"), true, 0, STR_LIT("X"), STR_LIT("y") },
		{ "recipient", '+', STR_LIT("<a@b>\0"), true, 0, STR_LIT("<a@b>"), STR_LIT("") },
		{ "recipient with parameters", '2', STR_LIT("<a@b>\0NOTIFY=NEVER\0"), true, 0, STR_LIT("<a@b>"),
		  STR_LIT("NOTIFY=NEVER") },
		{ "recipient without them", '2', STR_LIT("<a@b>\0"), true, 0, STR_LIT("<a@b>"), STR_LIT("") },
		{ "body", 'b', STR_LIT("any\0thing"), true, 0, STR_LIT("any\0thing"), STR_LIT("") },
		{ "no body", 'b', STR_LIT(""), true, 0, STR_LIT(""), STR_LIT("") },
	};
	struct milter_answer_parts a;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct milter_packet p = { rows[i].kind, rows[i].data };
		check(milter_get_answer(&p, &a) == rows[i].ok, rows[i].row);
		if (!rows[i].ok)
			continue;
		check(a.index == rows[i].index, rows[i].row);
		check_str(a.name, rows[i].name, rows[i].row);
		check_str(a.value, rows[i].value, rows[i].row);
	}
}

static void replies(void **state)
{
	static const struct {
		const char *row;
		struct str in;
		int code; /* 0: refused */
		unsigned class, subject, detail;
		struct str text;
	} rows[] = {
		{ "plain", STR_LIT("550 no"), 550, 0, 0, 0, STR_LIT("no") },
		{ "enhanced", STR_LIT("550 5.7.1 no"), 550, 5, 7, 1, STR_LIT("no") },
		{ "no text", STR_LIT("550 5.7.1"), 550, 5, 7, 1, STR_LIT("") },
		{ "a code alone", STR_LIT("451"), 451, 0, 0, 0, STR_LIT("") },
		{ "class of another code", STR_LIT("550 4.7.1 no"), 550, 0, 0, 0, STR_LIT("no") },
		/* CVE-2026-43964 */
		{ "5.", STR_LIT("550 5."), 550, 0, 0, 0, STR_LIT("5.") },
		{ "5.7.", STR_LIT("550 5.7. x"), 550, 0, 0, 0, STR_LIT("5.7. x") },
		{ "an enhanced code alone", STR_LIT("5.7.1"), 0, 0, 0, 0, STR_LIT("") },
		{ "9.9.9", STR_LIT("550 9.9.9 x"), 550, 0, 0, 0, STR_LIT("9.9.9 x") },
		{ "success", STR_LIT("250 2.0.0 ok"), 0, 0, 0, 0, STR_LIT("") },
		{ "354", STR_LIT("354 go"), 0, 0, 0, 0, STR_LIT("") },
		{ "999", STR_LIT("999 x"), 0, 0, 0, 0, STR_LIT("") },
		{ "nothing", STR_LIT(""), 0, 0, 0, 0, STR_LIT("") },
		{ "no code", STR_LIT("go away"), 0, 0, 0, 0, STR_LIT("") },
		{ "glued", STR_LIT("5500 x"), 0, 0, 0, 0, STR_LIT("") },
		{ "format", STR_LIT("550 5.7.1 %s%n%%d"), 550, 5, 7, 1, STR_LIT("%s%n%d") },
		{ "several lines", STR_LIT("550-5.7.1 go\r\n550 5.7.1 away"), 550, 5, 7, 1, STR_LIT("go\naway") },
		{ "lines of two codes", STR_LIT("550-5.7.1 go\r\n450 away"), 0, 0, 0, 0, STR_LIT("") },
		{ "an answer smuggled in", STR_LIT("550 5.7.1 x\r\n250 2.0.0 ok"), 0, 0, 0, 0, STR_LIT("") },
		{ "control bytes", STR_LIT("550 5.7.1 a\tb\x1b[2J\rc\xc3"), 550, 5, 7, 1, STR_LIT("a b?[2J?c?") },
	};
	struct reply r;
	struct buf text;

	(void)state;
	buf_init(&text, 500);
	for (size_t i = 0; i < COUNT(rows); i++) {
		bool ok = milter_get_reply(rows[i].in, &r, &text);
		check(ok == (rows[i].code != 0), rows[i].row);
		if (!ok)
			continue;
		check(r.code == rows[i].code && r.class == rows[i].class && r.subject == rows[i].subject &&
			      r.detail == rows[i].detail,
		      rows[i].row);
		check_str(r.text, rows[i].text, rows[i].row);
	}
	buf_fini(&text);
}

static void names(void **state)
{
	(void)state;
	assert_string_equal(milter_stage_name(MILTER_AT_END), "end of message");
	assert_int_equal(milter_stage_command(MILTER_AT_UNKNOWN), 'U');
	assert_true(milter_is_request(MILTER_QUARANTINE) && !milter_is_request(MILTER_PROGRESS));
	assert_string_equal(milter_answer_name(MILTER_SKIP), "skip");
	uint32_t all = MILTER_CAN_SKIP | MILTER_LEADING_SPACE;
	for (int s = 0; s < MILTER_STAGES; s++) {
		uint32_t bits = milter_no_stage((enum milter_stage)s) | milter_no_answer((enum milter_stage)s);
		assert_int_equal(all & bits, 0);
		all |= bits;
	}
	assert_int_equal(all, MILTER_PROTOCOL);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(frames),  cmocka_unit_test(texts_go_both_ways),
		cmocka_unit_test(options), cmocka_unit_test(answers),
		cmocka_unit_test(replies), cmocka_unit_test(names),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
