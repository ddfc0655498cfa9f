/* wire/line_test.c: framing of commands (hardening Part 2.1, 2.2; 4.4 NUL). */
#include "tests/unit.h"
#include "wire/line.h"

#include <string.h>

static const struct {
	const char *row;
	struct str in;
	int used; /* or the error */
	struct str line;
} rows[] = {
	{ "plain", STR_LIT("NOOP\r\n"), 6, STR_LIT("NOOP") },
	{ "empty line", STR_LIT("\r\n"), 2, STR_LIT("") },
	{ "first of two", STR_LIT("A\r\nB\r\n"), 3, STR_LIT("A") },
	{ "no end", STR_LIT("NOOP"), LINE_MORE, STR_LIT("") },
	{ "half an end", STR_LIT("NOOP\r"), LINE_MORE, STR_LIT("") },
	{ "nothing", STR_LIT(""), LINE_MORE, STR_LIT("") },
	{ "bare LF", STR_LIT("NOOP\n"), LINE_BARE_LF, STR_LIT("NOOP") },
	{ "only LF", STR_LIT("\n"), LINE_BARE_LF, STR_LIT("") },
	{ "bare LF, then CRLF", STR_LIT("A\nB\r\n"), LINE_BARE_LF, STR_LIT("A") },
	{ "bare CR", STR_LIT("A\rB\r\n"), LINE_BARE_CR, STR_LIT("A\rB") },
	{ "CR CR LF", STR_LIT("A\r\r\n"), LINE_BARE_CR, STR_LIT("A\r") },
	{ "bare CR without CRLF", STR_LIT("A\rB\n"), LINE_BARE_LF, STR_LIT("A\rB") },
	{ "NUL", STR_LIT("RCPT TO:<a@ours\0@evil>\r\n"), LINE_NUL, STR_LIT("RCPT TO:<a@ours\0@evil>") },
	{ "NUL with bare LF", STR_LIT("a\0\n"), LINE_NUL, STR_LIT("a\0") },
	{ "as long as may be", STR_LIT("123456789012345678901234567890\r\n"), 32,
	  STR_LIT("123456789012345678901234567890") },
	{ "one too long", STR_LIT("1234567890123456789012345678901\r\n"), LINE_TOO_LONG, STR_LIT("") },
	{ "too long and no end", STR_LIT("12345678901234567890123456789012"), LINE_TOO_LONG, STR_LIT("") },
	{ "one before too long", STR_LIT("1234567890123456789012345678901"), LINE_MORE, STR_LIT("") },
};

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct str line = S("");
		int used = line_next(rows[i].in, 32, &line);
		check(used == rows[i].used, rows[i].row);
		check_str(line, rows[i].line, rows[i].row);
	}
}

/* One byte more at a time: LINE_MORE until the verdict, then that of the whole. */
static void test_growing(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct str line = S("");
		int used = LINE_MORE;
		for (size_t n = 0; n <= rows[i].in.n && used == LINE_MORE; n++)
			used = line_next(str_head(rows[i].in, n), 32, &line);
		check(used == rows[i].used, rows[i].row);
		check_str(line, rows[i].line, rows[i].row);
	}
}

static void test_skip(void **state)
{
	(void)state;
	assert_int_equal(line_skip(S("")), 0);
	assert_int_equal(line_skip(S("no end")), 0);
	assert_int_equal(line_skip(S("a\nb\n")), 2);
	assert_int_equal(line_skip(S("\n")), 1);
	/* the tail of a line that was too long never becomes a command */
	struct str in = S("1234567890123456789012345678901234567890 MAIL FROM:<>\r\nNOOP\r\n"), line;
	assert_int_equal(line_next(in, 32, &line), LINE_TOO_LONG);
	in = str_skip(in, line_skip(in));
	assert_int_equal(line_next(in, 32, &line), 6);
	check_str(line, S("NOOP"), "after the skip");
}

static void test_limits(void **state)
{
	static char big[LINE_AUTH_MAX + 2];
	struct str line;

	(void)state;
	memset(big, 'A', sizeof big);
	assert_int_equal(line_next(str_n(big, LINE_COMMAND_MAX), LINE_COMMAND_MAX, &line), LINE_TOO_LONG);
	assert_int_equal(line_next(str_n(big, LINE_COMMAND_MAX), LINE_AUTH_MAX, &line), LINE_MORE);
	big[LINE_AUTH_MAX - 2] = '\r', big[LINE_AUTH_MAX - 1] = '\n';
	assert_int_equal(line_next(str_n(big, LINE_AUTH_MAX), LINE_AUTH_MAX, &line), LINE_AUTH_MAX);
	assert_int_equal(line.n, LINE_AUTH_MAX - 2);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_growing),
		cmocka_unit_test(test_skip),
		cmocka_unit_test(test_limits),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
