/* Under which addresses a connection would come back to ourselves. */
#include "connectors/own_addr.h"

#include "tests/unit.h"

static struct net_addr address(const char *ip, uint16_t port)
{
	struct net_addr a;

	assert_true(net_parse_ip(str_c(ip), port, &a));
	return a;
}

static bool holds(const struct net_addr *a, size_t n, struct net_addr wanted)
{
	for (size_t i = 0; i < n; i++)
		if (net_same_ip(&a[i], &wanted) && net_port(&a[i]) == net_port(&wanted))
			return true;
	return false;
}

static void test_an_address_is_itself(void **state)
{
	struct net_addr out[4], listen = address("192.0.2.1", 25);

	(void)state;
	assert_int_equal(own_addresses(&listen, 1, out, 4), 1);
	assert_true(holds(out, 1, listen));
	assert_int_equal(own_addresses(&listen, 0, out, 4), 0);
}

static void test_a_wildcard_is_every_interface(void **state)
{
	struct net_addr out[64], listen = address("0.0.0.0", 2525);
	size_t n = own_addresses(&listen, 1, out, 64);

	(void)state;
	assert_true(n >= 2);
	assert_true(holds(out, n, address("127.0.0.1", 2525)));
	assert_false(holds(out, n, address("127.0.0.1", 25)));
}

static void test_no_more_than_there_is_room_for(void **state)
{
	struct net_addr out[2] = { 0 }, listen[2] = { address("0.0.0.0", 25), address("192.0.2.1", 25) };

	(void)state;
	assert_int_equal(own_addresses(listen, 2, out, 1), 1);
	assert_int_equal(net_port(&out[1]), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_an_address_is_itself),
		cmocka_unit_test(test_a_wildcard_is_every_interface),
		cmocka_unit_test(test_no_more_than_there_is_room_for),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
