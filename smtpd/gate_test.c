/* Tests of smtpd/gate: the limits, by address and by /64, and that leaving gives the place back. */
#include "smtpd/gate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>

static struct net_addr ip(const char *text)
{
	struct net_addr a;

	assert_true(net_parse_ip(str_c(text), 25, &a));
	return a;
}

static void test_limit_by_client(void **state)
{
	struct conf_limits l = { .connections = 100, .connections_per_ip = 2 };
	struct gate *g = gate_new();
	struct net_addr a = ip("192.0.2.1"), b = ip("192.0.2.2");

	(void)state;
	assert_int_equal(gate_enter(g, &a, &l), GATE_OPEN);
	assert_int_equal(gate_enter(g, &a, &l), GATE_OPEN);
	assert_int_equal(gate_enter(g, &a, &l), GATE_CLIENT_FULL);
	assert_int_equal(gate_enter(g, &b, &l), GATE_OPEN);
	gate_leave(g, &a);
	assert_int_equal(gate_enter(g, &a, &l), GATE_OPEN);
	assert_int_equal(gate_count(g), 3);
	gate_leave(g, &a);
	gate_leave(g, &a);
	gate_leave(g, &b);
	assert_int_equal(gate_count(g), 0);
	gate_free(&g);
}

static void test_ipv6_counts_by_64(void **state)
{
	struct conf_limits l = { .connections = 100, .connections_per_ip = 1 };
	struct gate *g = gate_new();
	struct net_addr a = ip("2001:db8:0:1::1"), same = ip("2001:db8:0:1:ffff::9"), other = ip("2001:db8:0:2::1");

	(void)state;
	assert_int_equal(gate_enter(g, &a, &l), GATE_OPEN);
	assert_int_equal(gate_enter(g, &same, &l), GATE_CLIENT_FULL);
	assert_int_equal(gate_enter(g, &other, &l), GATE_OPEN);
	gate_leave(g, &same);
	assert_int_equal(gate_enter(g, &a, &l), GATE_OPEN);
	gate_free(&g);
}

static void test_limit_in_all(void **state)
{
	struct conf_limits l = { .connections = 1, .connections_per_ip = 9 };
	struct gate *g = gate_new();
	struct net_addr a = ip("192.0.2.1"), b = ip("198.51.100.7");

	(void)state;
	assert_int_equal(gate_enter(g, &a, &l), GATE_OPEN);
	assert_int_equal(gate_enter(g, &b, &l), GATE_FULL);
	gate_leave(g, &a);
	assert_int_equal(gate_enter(g, &b, &l), GATE_OPEN);
	gate_free(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limit_by_client),
		cmocka_unit_test(test_ipv6_counts_by_64),
		cmocka_unit_test(test_limit_in_all),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
