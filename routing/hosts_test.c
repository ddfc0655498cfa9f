/* routing/hosts_test.c: the file of static names. */
#include "routing/hosts.h"
#include "tests/unit.h"

#include <string.h>

static const char text[] = "# closed network\n"
			   "192.0.2.1 Mx1.Example. www.example # two names\r\n"
			   "2001:db8::1\tmx1.example\n"
			   "\n"
			   "MX 20 example mx2.example\n"
			   "MX 10 example mx1.example\n"
			   "MX zone.example 5 mx1.example\n"
			   "MX 0 silent.example .\n"
			   "TXT Example \"v=spf1 \" \"-all # all\" # two strings, one text\r\n"
			   "TXT example \"other\"\n"
			   "TXT _a+b._Spf.example \"under\"\n"
			   "PTR 192.0.2.1 Mx1.example\n"
			   "PTR 2001:db8::1 mx1.example\n"
			   "FAIL _down.example\n"
			   "192.0.2.2 mx2.example";

static void test_find(void **state)
{
	const struct host_row *row;
	struct hosts h;
	struct err e;
	size_t n;

	(void)state;
	check(hosts_parse(&h, str_c(text), "hosts", &e) == 0, "parses");
	row = hosts_find(&h, S("mx1.example"), HOST_ADDR, &n);
	check(n == 2 && row[0].addr.sa.sa_family == AF_INET && row[1].addr.sa.sa_family == AF_INET6, "file order");
	row = hosts_find(&h, S("example"), HOST_MX, &n);
	check(n == 2 && row[0].preference == 20 && row[1].preference == 10, "exchangers");
	check_str(row[1].exchanger, S("mx1.example"), "exchanger");
	row = hosts_find(&h, S("zone.example"), HOST_MX, &n);
	check(n == 1 && row->preference == 5, "domain first");
	row = hosts_find(&h, S("silent.example"), HOST_MX, &n);
	check(n == 1, "null MX");
	check_str(row->exchanger, S("."), "null MX");
	check(hosts_find(&h, S("example"), HOST_ADDR, &n) == NULL && n == 0, "no address");
	check(hosts_find(&h, S("mx1.example"), HOST_MX, &n) == NULL, "no exchanger");
	check(hosts_find(&h, S("zzz"), HOST_MX, &n) == NULL && hosts_find(&h, S(""), HOST_ADDR, &n) == NULL, "absent");
	row = hosts_find(&h, S("example"), HOST_TXT, &n);
	check(n == 2, "texts");
	check_str(row[0].text, S("v=spf1 -all # all"), "strings of one text");
	check_str(row[1].text, S("other"), "the second text");
	check(hosts_find(&h, S("_a+b._spf.example"), HOST_TXT, &n) != NULL && n == 1, "a name of the DNS alone");
	row = hosts_find(&h, S("1.2.0.192.in-addr.arpa"), HOST_PTR, &n);
	check(n == 1, "PTR");
	check_str(row->exchanger, S("mx1.example"), "PTR");
	check(hosts_find(&h, S("1.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa"), HOST_PTR,
			 &n) != NULL,
	      "PTR of IPv6");
	check(hosts_find(&h, S("_down.example"), HOST_FAIL, &n) != NULL, "FAIL");
	hosts_fini(&h);
	check(hosts_find(&h, S("mx1.example"), HOST_ADDR, &n) == NULL, "empty");
}

static void test_errors(void **state)
{
	static const struct {
		struct str text;
		const char *where;
	} rows[] = {
		{ STR_LIT("\n192.0.2 name\n"), "f:2: not an address" },
		{ STR_LIT("192.0.2.1 -bad-\n"), "f:1: not a name" },
		{ STR_LIT("MX x example mx\n"), "f:1: not a preference" },
		{ STR_LIT("MX 70000 example mx\n"), "f:1: not a preference" },
		{ STR_LIT("MX 10 example\n"), "f:1: MX PREFERENCE" },
		{ STR_LIT("TXT example v=spf1\n"), "f:1: TXT DOMAIN" },
		{ STR_LIT("TXT example \"v=spf1\n"), "f:1: TXT DOMAIN" },
		{ STR_LIT("TXT example \"a\" junk\n"), "f:1: TXT DOMAIN" },
		{ STR_LIT("TXT -bad- \"a\"\n"), "f:1: not a name" },
		{ STR_LIT("MX 10 example mx junk\n"), "f:1: MX PREFERENCE" },
		{ STR_LIT("PTR example 192.0.2.1\n"), "f:1: not an address" },
		{ STR_LIT("PTR 192.0.2.1\n"), "f:1: PTR ADDRESS" },
		{ STR_LIT("PTR 192.0.2.1 a junk\n"), "f:1: PTR ADDRESS" },
		{ STR_LIT("FAIL\n"), "f:1: not a name" },
		{ STR_LIT("FAIL _a..b\n"), "f:1: not a name" },
	};
	struct hosts h;
	struct err e;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		check(hosts_parse(&h, rows[i].text, "f", &e) == -1, rows[i].where);
		check(strncmp(e.text, rows[i].where, strlen(rows[i].where)) == 0, e.text);
	}
	check(hosts_read(&h, "/nonexistent/hosts", &e) == -1, "no file");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_errors),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
