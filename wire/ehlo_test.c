/* wire/ehlo_test.c: capability lines, both ways (hardening ST-O1, Part 2.14). */
#include "tests/unit.h"
#include "wire/ehlo.h"

static void test_put(void **state)
{
	struct buf b;
	struct ehlo e = { .caps = EHLO_PIPELINING | EHLO_SIZE | EHLO_8BITMIME | EHLO_AUTH | EHLO_LIMITS,
			  .size = 35882577,
			  .rcpt_max = 100,
			  .auth = S("PLAIN LOGIN") };

	(void)state;
	buf_init(&b, 4096);
	ehlo_put(&b, &(struct ehlo){ 0 }, S("mx.example"), S("c.example"));
	check_str(buf_str(&b), S("250 mx.example greets c.example\r\n"), "none");
	buf_reset(&b);
	ehlo_put(&b, &e, S("mx.example"), S("c.example"));
	check_str(buf_str(&b),
		  S("250-mx.example greets c.example\r\n250-PIPELINING\r\n250-SIZE 35882577\r\n250-8BITMIME\r\n"
		    "250-AUTH PLAIN LOGIN\r\n250 LIMITS RCPTMAX=100\r\n"),
		  "some");
	buf_reset(&b);
	ehlo_put(&b, &(struct ehlo){ .caps = EHLO_DSN }, S("mx.example"), S("a\r\n250-XOORG\n\xff"));
	check_str(buf_str(&b), S("250-mx.example greets a??250-XOORG??\r\n250 DSN\r\n"), "forged name");
	buf_fini(&b);
}

static const struct {
	const char *row;
	struct str in;
	unsigned caps;
	uint64_t size;
	unsigned rcpt_max;
	struct str auth;
} rows[] = {
	{ "one line", STR_LIT("250 mx\r\n"), 0, 0, 0, STR_LIT("") },
	{ "code alone", STR_LIT("250\r\n"), 0, 0, 0, STR_LIT("") },
	{ "the greeting is no capability", STR_LIT("250-STARTTLS\r\n250 DSN\r\n"), EHLO_DSN, 0, 0, STR_LIT("") },
	{ "case", STR_LIT("250-mx\r\n250-pipelining\r\n250 StartTls\r\n"), EHLO_PIPELINING | EHLO_STARTTLS, 0, 0,
	  STR_LIT("") },
	{ "size", STR_LIT("250-mx\r\n250 SIZE 1000\r\n"), EHLO_SIZE, 1000, 0, STR_LIT("") },
	{ "size without value", STR_LIT("250-mx\r\n250 SIZE\r\n"), EHLO_SIZE, 0, 0, STR_LIT("") },
	{ "size overflow", STR_LIT("250-mx\r\n250 SIZE 99999999999999999999999\r\n"), EHLO_SIZE, 0, 0, STR_LIT("") },
	{ "size with junk", STR_LIT("250-mx\r\n250 SIZE 10k\r\n"), EHLO_SIZE, 0, 0, STR_LIT("") },
	{ "auth", STR_LIT("250-mx\r\n250-AUTH PLAIN XOAUTH2\r\n250-AUTH=LOGIN\r\n250 X\r\n"), EHLO_AUTH, 0, 0,
	  STR_LIT("PLAIN XOAUTH2") },
	{ "limits", STR_LIT("250-mx\r\n250 LIMITS MAILMAX=5 rcptmax=100 X=y\r\n"), EHLO_LIMITS, 0, 100, STR_LIT("") },
	{ "unknown and empty lines", STR_LIT("250-mx\r\n250-XFOO 1 2\r\n250-\r\n250 8BITMIMEX\r\n"), 0, 0, 0,
	  STR_LIT("") },
	{ "trailing blanks", STR_LIT("250-mx\r\n250-CHUNKING \r\n250 SMTPUTF8\t\r\n"), EHLO_CHUNKING | EHLO_SMTPUTF8, 0,
	  0, STR_LIT("") },
	{ "NUL is part of the word", STR_LIT("250-mx\r\n250 STARTTLS\0\r\n"), 0, 0, 0, STR_LIT("") },
	{ "Exchange",
	  STR_LIT("250-ex.contoso.com Hello [192.0.2.1]\r\n250-SIZE 37748736\r\n250-PIPELINING\r\n250-DSN\r\n"
		  "250-ENHANCEDSTATUSCODES\r\n250-STARTTLS\r\n250-8BITMIME\r\n250-BINARYMIME\r\n250-CHUNKING\r\n"
		  "250 XOORG\r\n"),
	  EHLO_SIZE | EHLO_PIPELINING | EHLO_DSN | EHLO_ENHANCEDSTATUSCODES | EHLO_STARTTLS | EHLO_8BITMIME |
		  EHLO_BINARYMIME | EHLO_CHUNKING | EHLO_XOORG,
	  37748736, 0, STR_LIT("") },
};

static void test_parse(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct reply r;
		struct ehlo e;
		check(reply_next(rows[i].in, false, &r) == (int)rows[i].in.n, rows[i].row);
		ehlo_parse(&r, &e);
		check(e.caps == rows[i].caps, rows[i].row);
		check(e.size == rows[i].size && e.rcpt_max == rows[i].rcpt_max, rows[i].row);
		check_str(e.auth, rows[i].auth, rows[i].row);
	}
}

static void test_round_trip(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 4096);
	for (unsigned caps = 0; caps < 1U << 12; caps += 37) {
		struct ehlo e = { .caps = caps,
				  .size = caps & EHLO_SIZE ? caps : 0,
				  .rcpt_max = caps & EHLO_LIMITS ? 1000 : 0 },
			    again;
		struct reply r;
		buf_reset(&b);
		ehlo_put(&b, &e, S("mx"), S("c"));
		assert_int_equal(reply_next(buf_str(&b), false, &r), b.n);
		ehlo_parse(&r, &again);
		assert_int_equal(again.caps, e.caps);
		assert_int_equal(again.size, e.size);
		assert_int_equal(again.rcpt_max, e.rcpt_max);
	}
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_put),
		cmocka_unit_test(test_parse),
		cmocka_unit_test(test_round_trip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
