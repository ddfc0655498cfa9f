/* routing/mx_test.c: order of hosts, and never to ourselves or past ourselves. */
#include "routing/routing.h"
#include "tests/unit.h"

#include <string.h>

static struct mx_host host(const char *name, unsigned preference, struct net_addr *addr, const char *ip, uint16_t port)
{
	check(net_parse_ip(str_c(ip), port, addr), ip);
	return (struct mx_host){ .name = str_c(name), .preference = preference, .addrs = addr, .addr_n = 1 };
}

static void test_order(void **state)
{
	struct net_addr a[5];
	unsigned first[5] = { 0 };

	(void)state;
	for (uint64_t seed = 0; seed < 1000; seed++) {
		struct mx_host h[] = {
			host("a", 20, &a[0], "192.0.2.1", 25), host("b", 10, &a[1], "192.0.2.2", 25),
			host("c", 10, &a[2], "192.0.2.3", 25), host("d", 10, &a[3], "192.0.2.4", 25),
			host("e", 5, &a[4], "192.0.2.5", 25),
		};
		mx_order(h, 5, seed);
		check_str(h[0].name, S("e"), "best");
		check_str(h[4].name, S("a"), "worst");
		for (size_t i = 1; i < 5; i++)
			check(h[i - 1].preference <= h[i].preference, "rising");
		first[h[1].name.p[0] - 'a']++;
	}
	for (size_t i = 1; i <= 3; i++)
		check(first[i] > 250 && first[i] < 420, "equals take turns");
	mx_order(NULL, 0, 1);
}

static void test_drop_self(void **state)
{
	static const struct {
		const char *row, *own;
		size_t left;
	} rows[] = {
		{ "not among them", "192.0.2.99:25", 4 },
		{ "the worst", "192.0.2.4:25", 3 },
		{ "in the middle: its equal goes too", "192.0.2.3:25", 1 },
		{ "its equal", "192.0.2.2:25", 1 },
		{ "the best", "192.0.2.1:25", 0 },
		{ "another port is another server", "192.0.2.1:2525", 4 },
		{ "all addresses", "0.0.0.0:25", 4 },
	};
	struct net_addr a[4], own;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct mx_host h[] = {
			host("a", 5, &a[0], "192.0.2.1", 25),
			host("b", 10, &a[1], "192.0.2.2", 25),
			host("c", 10, &a[2], "192.0.2.3", 25),
			host("d", 20, &a[3], "192.0.2.4", 25),
		};
		check(net_parse_addr(str_c(rows[i].own), 0, &own), rows[i].row);
		check(mx_drop_self(h, 4, &own, 1) == rows[i].left, rows[i].row);
	}
	struct mx_host local = host("l", 0, &a[0], "127.0.0.2", 25);
	check(net_parse_addr(S("[::]:25"), 0, &own), "any");
	check(mx_drop_self(&local, 1, &own, 1) == 0, "loopback through a listener on all addresses");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_order),
		cmocka_unit_test(test_drop_self),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
