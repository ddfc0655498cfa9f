/* wire/proxy_test.c: PROXY prefaces (hardening 4.4 "PROXY header short/long", Part 2.38). */
#include "tests/unit.h"
#include "wire/proxy.h"

#include <string.h>

#define SIG "\r\n\r\n\0\r\nQUIT\n"

static const struct {
	const char *row;
	struct str in;
	int used;
	struct str client, server; /* empty: local */
} rows[] = {
	{ "TCP4", STR_LIT("PROXY TCP4 192.0.2.1 198.51.100.7 56324 25\r\nEHLO x\r\n"), 44, STR_LIT("192.0.2.1:56324"),
	  STR_LIT("198.51.100.7:25") },
	{ "TCP6", STR_LIT("PROXY TCP6 2001:db8::1 ::1 1 65535\r\n"), 36, STR_LIT("[2001:db8::1]:1"),
	  STR_LIT("[::1]:65535") },
	{ "mapped", STR_LIT("PROXY TCP6 ::ffff:192.0.2.1 ::ffff:192.0.2.2 1 2\r\n"), 50, STR_LIT("192.0.2.1:1"),
	  STR_LIT("192.0.2.2:2") },
	{ "UNKNOWN", STR_LIT("PROXY UNKNOWN\r\n"), 15, STR_LIT(""), STR_LIT("") },
	{ "UNKNOWN and more", STR_LIT("PROXY UNKNOWN ffff:f 1 2 3\r\n"), 28, STR_LIT(""), STR_LIT("") },
	{ "UNKNOWN, longest line there is",
	  STR_LIT("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535\r\n"),
	  107, STR_LIT(""), STR_LIT("") },
	{ "one longer",
	  STR_LIT("PROXY UNKNOWN ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff ffff:ffff:ffff:ffff:ffff:ffff:ffff:ffff 65535 65535x\r\n"),
	  PROXY_BAD, STR_LIT(""), STR_LIT("") },
	{ "bare LF", STR_LIT("PROXY UNKNOWN\n"), PROXY_BAD, STR_LIT(""), STR_LIT("") },
	{ "no words", STR_LIT("PROXY \r\n"), PROXY_BAD, STR_LIT(""), STR_LIT("") },
	{ "UNKNOWNX", STR_LIT("PROXY UNKNOWNX\r\n"), PROXY_BAD, STR_LIT(""), STR_LIT("") },
	{ "small letters", STR_LIT("proxy TCP4 192.0.2.1 192.0.2.2 1 2\r\n"), PROXY_BAD, STR_LIT(""), STR_LIT("") },
	{ "tcp4", STR_LIT("PROXY tcp4 192.0.2.1 192.0.2.2 1 2\r\n"), PROXY_BAD, STR_LIT(""), STR_LIT("") },
	{ "four words", STR_LIT("PROXY TCP4 192.0.2.1 192.0.2.2 1\r\n"), PROXY_BAD, STR_LIT(""), STR_LIT("") },
	{ "six words", STR_LIT("PROXY TCP4 192.0.2.1 192.0.2.2 1 2 3\r\n"), PROXY_BAD, STR_LIT(""), STR_LIT("") },
	{ "trailing blank", STR_LIT("PROXY TCP4 192.0.2.1 192.0.2.2 1 2 \r\n"), PROXY_BAD, STR_LIT(""), STR_LIT("") },
	{ "two blanks", STR_LIT("PROXY TCP4  192.0.2.1 192.0.2.2 1 2\r\n"), PROXY_BAD, STR_LIT(""), STR_LIT("") },
	{ "port too big", STR_LIT("PROXY TCP4 192.0.2.1 192.0.2.2 65536 2\r\n"), PROXY_BAD, STR_LIT(""), STR_LIT("") },
	{ "port 025", STR_LIT("PROXY TCP4 192.0.2.1 192.0.2.2 025 2\r\n"), PROXY_BAD, STR_LIT(""), STR_LIT("") },
	{ "port -1", STR_LIT("PROXY TCP4 192.0.2.1 192.0.2.2 -1 2\r\n"), PROXY_BAD, STR_LIT(""), STR_LIT("") },
	{ "v6 in TCP4", STR_LIT("PROXY TCP4 ::1 ::1 1 2\r\n"), PROXY_BAD, STR_LIT(""), STR_LIT("") },
	{ "v4 in TCP6", STR_LIT("PROXY TCP6 192.0.2.1 192.0.2.2 1 2\r\n"), PROXY_BAD, STR_LIT(""), STR_LIT("") },
	{ "brackets", STR_LIT("PROXY TCP6 [::1] ::1 1 2\r\n"), PROXY_BAD, STR_LIT(""), STR_LIT("") },
	{ "name", STR_LIT("PROXY TCP4 localhost 192.0.2.2 1 2\r\n"), PROXY_BAD, STR_LIT(""), STR_LIT("") },
	{ "NUL in address", STR_LIT("PROXY TCP4 192.0.2.1\0 192.0.2.2 1 2\r\n"), PROXY_BAD, STR_LIT(""), STR_LIT("") },
	{ "half a line", STR_LIT("PROXY TCP4 192.0.2.1"), PROXY_MORE, STR_LIT(""), STR_LIT("") },
	{ "SMTP at once", STR_LIT("EHLO x\r\n"), PROXY_BAD, STR_LIT(""), STR_LIT("") },
	{ "nothing", STR_LIT(""), PROXY_MORE, STR_LIT(""), STR_LIT("") },

	{ "v2 TCP4",
	  STR_LIT(SIG "\x21\x11\0\x0c\xc0\0\2\1\xc6\x33\x64\7\xdc\4\0\x19"
		      "EHLO"),
	  28, STR_LIT("192.0.2.1:56324"), STR_LIT("198.51.100.7:25") },
	{ "v2 TCP4 and a TLV", STR_LIT(SIG "\x21\x11\0\x10\xc0\0\2\1\xc6\x33\x64\7\xdc\4\0\x19\x04\0\1x"), 32,
	  STR_LIT("192.0.2.1:56324"), STR_LIT("198.51.100.7:25") },
	{ "v2 TCP6",
	  STR_LIT(SIG "\x21\x21\0\x24"
		      "\x20\1\xd\xb8\0\0\0\0\0\0\0\0\0\0\0\1"
		      "\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\1"
		      "\0\1\0\2"),
	  52, STR_LIT("[2001:db8::1]:1"), STR_LIT("[::1]:2") },
	{ "v2 TCP6 mapped",
	  STR_LIT(SIG "\x21\x21\0\x24"
		      "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\1"
		      "\0\0\0\0\0\0\0\0\0\0\xff\xff\xc0\0\2\2"
		      "\0\1\0\2"),
	  52, STR_LIT("192.0.2.1:1"), STR_LIT("192.0.2.2:2") },
	{ "v2 LOCAL", STR_LIT(SIG "\x20\0\0\0"), 16, STR_LIT(""), STR_LIT("") },
	{ "v2 LOCAL with addresses", STR_LIT(SIG "\x20\x11\0\x0c\xc0\0\2\1\xc6\x33\x64\7\xdc\4\0\x19"), 28, STR_LIT(""),
	  STR_LIT("") },
	{ "v2 UNSPEC", STR_LIT(SIG "\x21\0\0\0"), 16, STR_LIT(""), STR_LIT("") },
	{ "v2 short by one", STR_LIT(SIG "\x21\x11\0\x0b\xc0\0\2\1\xc6\x33\x64\7\xdc\4\0"), PROXY_BAD, STR_LIT(""),
	  STR_LIT("") },
	{ "v2 TCP6 with length of TCP4", STR_LIT(SIG "\x21\x21\0\x0c\xc0\0\2\1\xc6\x33\x64\7\xdc\4\0\x19"), PROXY_BAD,
	  STR_LIT(""), STR_LIT("") },
	{ "v2 UDP", STR_LIT(SIG "\x21\x12\0\x0c\xc0\0\2\1\xc6\x33\x64\7\xdc\4\0\x19"), PROXY_BAD, STR_LIT(""),
	  STR_LIT("") },
	{ "v2 version 1", STR_LIT(SIG "\x11\x11\0\x0c"), PROXY_BAD, STR_LIT(""), STR_LIT("") },
	{ "v2 command 2", STR_LIT(SIG "\x22\x11\0\x0c"), PROXY_BAD, STR_LIT(""), STR_LIT("") },
	{ "v2 past the limit", STR_LIT(SIG "\x21\x11\xff\xff"), PROXY_BAD, STR_LIT(""), STR_LIT("") },
	{ "v2 needs more", STR_LIT(SIG "\x21\x11\0\x0c\xc0"), PROXY_MORE, STR_LIT(""), STR_LIT("") },
	{ "v2 signature broken", STR_LIT("\r\n\r\n\0\r\nQUIX\n\x21\x11\0\0"), PROXY_BAD, STR_LIT(""), STR_LIT("") },
};

static void check_row(size_t i, int used, const struct proxy *p)
{
	struct buf b;

	if (used != rows[i].used)
		fail_msg("%s: %d instead of %d", rows[i].row, used, rows[i].used);
	if (used <= 0)
		return;
	check(p->local == (rows[i].client.n == 0), rows[i].row);
	if (p->local)
		return;
	buf_init(&b, 100);
	net_put_addr(&b, &p->client);
	check_str(buf_str(&b), rows[i].client, rows[i].row);
	buf_reset(&b);
	net_put_addr(&b, &p->server);
	check_str(buf_str(&b), rows[i].server, rows[i].row);
	buf_fini(&b);
}

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct proxy p;
		int used = proxy_next(rows[i].in, &p);
		check_row(i, used, &p);
	}
}

static void test_growing(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct proxy p;
		int used = PROXY_MORE;
		for (size_t n = 0; n <= rows[i].in.n && used == PROXY_MORE; n++) {
			char copy[256]; /* exactly as long as what is there, for the address sanitizer */
			char *end = copy + sizeof copy - n;
			memcpy(end, rows[i].in.p, n);
			used = proxy_next(str_n(end, n), &p);
		}
		check_row(i, used, &p);
	}
}

static void test_longest_v2(void **state)
{
	static char in[PROXY_V2_MAX + 1] = SIG "\x21\x11\x0f\xf0\xc0\0\2\1\xc6\x33\x64\7\xdc\4\0\x19";
	struct proxy p;

	(void)state;
	assert_int_equal(proxy_next(str_n(in, PROXY_V2_MAX - 1), &p), PROXY_MORE);
	assert_int_equal(proxy_next(str_n(in, sizeof in), &p), PROXY_V2_MAX);
	in[15] = (char)0xf1;
	assert_int_equal(proxy_next(str_n(in, sizeof in), &p), PROXY_BAD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_growing),
		cmocka_unit_test(test_longest_v2),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
