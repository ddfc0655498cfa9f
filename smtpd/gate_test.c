/* Tests of smtpd/gate: the limits, by address and by /64; rates and who is not rated; that memory stays bounded. */
#include "smtpd/gate.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stdio.h>
#include <cmocka.h>

static struct net_addr ip(const char *text)
{
	struct net_addr a;

	assert_true(net_parse_ip(str_c(text), 25, &a));
	return a;
}

/* The n-th /64 of one /32, or the n-th address of 10/8. */
static struct net_addr net_at(unsigned n, bool v6)
{
	char text[64];

	if (v6)
		snprintf(text, sizeof text, "2001:db8:%x:%x::1", n >> 16, n & 0xffff);
	else
		snprintf(text, sizeof text, "10.%u.%u.%u", n >> 16 & 255, n >> 8 & 255, n & 255);
	return ip(text);
}

static struct conf_limits limits(int64_t all, int64_t each)
{
	return (struct conf_limits){ .connections = all, .connections_per_ip = each, .rate_networks = 1000 };
}

static void test_limit_by_client(void **state)
{
	struct conf_limits l = limits(100, 2);
	struct gate *g = gate_new();
	struct net_addr a = ip("192.0.2.1"), b = ip("192.0.2.2");
	struct gate_client *at[4] = { 0 };

	(void)state;
	assert_int_equal(gate_enter(g, &a, &l, true, 0, &at[0]), GATE_OPEN);
	assert_int_equal(gate_enter(g, &a, &l, true, 0, &at[1]), GATE_OPEN);
	assert_ptr_equal(at[0], at[1]);
	assert_int_equal(gate_enter(g, &a, &l, true, 0, &at[2]), GATE_CLIENT_FULL);
	assert_null(at[2]);
	assert_int_equal(gate_enter(g, &b, &l, true, 0, &at[2]), GATE_OPEN);
	gate_leave(g, &at[0], 0);
	assert_int_equal(gate_enter(g, &a, &l, true, 0, &at[3]), GATE_OPEN);
	assert_int_equal(gate_count(g), 3);
	for (int i = 0; i < 4; i++)
		gate_leave(g, &at[i], 0); /* the first one again: harmless */
	assert_int_equal(gate_count(g), 0);
	gate_free(&g);
}

static void test_ipv6_counts_by_64(void **state)
{
	struct conf_limits l = limits(100, 1);
	struct gate *g = gate_new();
	struct net_addr a = ip("2001:db8:0:1::1"), same = ip("2001:db8:0:1:ffff::9"), other = ip("2001:db8:0:2::1");
	struct gate_client *first = NULL, *second = NULL, *third = NULL;

	(void)state;
	assert_int_equal(gate_enter(g, &a, &l, true, 0, &first), GATE_OPEN);
	assert_int_equal(gate_enter(g, &same, &l, true, 0, &second), GATE_CLIENT_FULL);
	assert_int_equal(gate_enter(g, &other, &l, true, 0, &third), GATE_OPEN);
	gate_leave(g, &first, 0);
	assert_int_equal(gate_enter(g, &same, &l, true, 0, &second), GATE_OPEN);
	gate_free(&g);
}

static void test_limit_in_all(void **state)
{
	struct conf_limits l = limits(1, 9);
	struct gate *g = gate_new();
	struct net_addr a = ip("192.0.2.1"), b = ip("198.51.100.7");
	struct gate_client *first = NULL, *second = NULL;

	(void)state;
	assert_int_equal(gate_enter(g, &a, &l, true, 0, &first), GATE_OPEN);
	assert_int_equal(gate_enter(g, &b, &l, true, 0, &second), GATE_FULL);
	gate_leave(g, &first, 0);
	assert_int_equal(gate_enter(g, &b, &l, true, 0, &second), GATE_OPEN);
	gate_free(&g);
}

static enum gate_answer visit(struct gate *g, const struct net_addr *a, const struct conf_limits *l, bool rated,
			      int64_t now_ms)
{
	struct gate_client *at = NULL;
	enum gate_answer answer = gate_enter(g, a, l, rated, now_ms, &at);

	gate_leave(g, &at, now_ms);
	return answer;
}

/* 60 a minute: ten at once, then one a second, though nobody stays. */
static void test_connection_rate(void **state)
{
	struct conf_limits l = limits(100, 9);
	struct gate *g = gate_new();
	struct net_addr a = ip("192.0.2.1"), b = ip("192.0.2.2");

	(void)state;
	l.connection_rate = 60;
	for (int i = 0; i < 10; i++)
		assert_int_equal(visit(g, &a, &l, true, 5), GATE_OPEN);
	assert_int_equal(visit(g, &a, &l, true, 5), GATE_TOO_FAST);
	assert_int_equal(gate_count(g), 0);
	assert_int_equal(visit(g, &b, &l, true, 5), GATE_OPEN);
	assert_int_equal(visit(g, &a, &l, false, 5), GATE_OPEN);
	assert_int_equal(visit(g, &a, &l, true, 1005), GATE_OPEN);
	assert_int_equal(visit(g, &a, &l, true, 1005), GATE_TOO_FAST);
	l.connection_rate = 0;
	assert_int_equal(visit(g, &a, &l, true, 1005), GATE_OPEN);
	gate_free(&g);
}

static void test_trust(void **state)
{
	struct conf_limits l = limits(100, 9);
	struct gate *g = gate_new();
	struct net_addr a = ip("192.0.2.1");
	struct gate_client *at = NULL;

	(void)state;
	l.connection_rate = 6; /* one at once */
	assert_int_equal(gate_enter(g, &a, &l, true, 0, &at), GATE_OPEN);
	assert_int_equal(visit(g, &a, &l, true, 0), GATE_TOO_FAST);
	gate_trust(at, 0);
	gate_leave(g, &at, 0);
	/* remembered longer than a bucket needs to fill, and not longer than it is trusted */
	for (unsigned n = 0; n < 100; n++)
		visit(g, &(struct net_addr){ .v4 = net_at(n, false).v4 }, &l, true, 120 * 1000);
	for (int i = 0; i < 5; i++)
		assert_int_equal(visit(g, &a, &l, true, 121 * 1000), GATE_OPEN);
	assert_int_equal(visit(g, &a, &l, true, GATE_TRUST_MS), GATE_OPEN);
	assert_int_equal(visit(g, &a, &l, true, GATE_TRUST_MS), GATE_TOO_FAST);
	gate_free(&g);
}

/* Messages, recipients and refused ones have buckets of their own; asking costs nothing. */
static void test_rates(void **state)
{
	struct conf_limits l = limits(100, 9);
	struct gate *g = gate_new();
	struct net_addr a = ip("192.0.2.1");
	struct gate_client *at = NULL;

	(void)state;
	l.message_rate = 12;
	l.recipient_rate = 24;
	l.unknown_rate = 6;
	assert_int_equal(gate_enter(g, &a, &l, true, 0, &at), GATE_OPEN);
	for (enum gate_rate r = GATE_MESSAGES; r < GATE_RATE_N; r++) {
		const int want[GATE_RATE_N] = { [GATE_MESSAGES] = 2, [GATE_RECIPIENTS] = 4, [GATE_UNKNOWN] = 1 };
		for (int i = 0; i < want[r]; i++) {
			assert_true(gate_may(at, r, &l, 0));
			assert_true(gate_may(at, r, &l, 0));
			assert_true(gate_take(at, r, &l, 0));
		}
		assert_false(gate_may(at, r, &l, 0));
		assert_false(gate_take(at, r, &l, 0));
		assert_true(gate_take(at, r, &l, 10 * 1000));
	}
	gate_leave(g, &at, 0);
	gate_free(&g);
}

/* Whoever comes from a hundred thousand networks fills no memory, and hash collisions he cannot make: the seed is ours.
 * A network that only just had its share is not forgotten for those that are silent. */
static void test_memory_is_bounded(void **state)
{
	struct conf_limits l = limits(100, 9);
	struct gate *g = gate_new();
	struct net_addr steady = ip("192.0.2.1");

	(void)state;
	l.connection_rate = 6;
	assert_int_equal(visit(g, &steady, &l, true, 0), GATE_OPEN);
	for (unsigned n = 0; n < 100000; n++) {
		struct net_addr a = net_at(n, n & 1);
		assert_int_equal(visit(g, &a, &l, true, 0), GATE_OPEN);
		if (n % 100 == 0)
			assert_int_equal(visit(g, &steady, &l, true, 0), GATE_TOO_FAST);
		assert_true(gate_networks(g) <= 1000 + 2 * 16);
	}
	/* and when all is quiet the little traffic there is cleans up */
	for (unsigned n = 0; n < 1000 * 16; n++)
		visit(g, &(struct net_addr){ .v4 = net_at(n % 512, false).v4 }, &l, false, 120 * 1000);
	assert_true(gate_networks(g) <= 512 + 16);
	gate_free(&g);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_limit_by_client),
		cmocka_unit_test(test_ipv6_counts_by_64),
		cmocka_unit_test(test_limit_in_all),
		cmocka_unit_test(test_connection_rate),
		cmocka_unit_test(test_trust),
		cmocka_unit_test(test_rates),
		cmocka_unit_test(test_memory_is_bounded),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
