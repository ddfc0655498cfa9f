/* base/net_test.c: addresses and ranges. */
#include "base/net.h"
#include "tests/unit.h"

#include <string.h>
#include <unistd.h>

static void test_addresses(void **state)
{
	static const struct {
		struct str in;
		uint16_t port;  /* default; 0 = must be named */
		struct str out; /* empty: refused */
	} rows[] = {
		{ STR_LIT("192.0.2.1:25"), 0, STR_LIT("192.0.2.1:25") },
		{ STR_LIT("192.0.2.1"), 25, STR_LIT("192.0.2.1:25") },
		{ STR_LIT("192.0.2.1"), 0, STR_LIT("") },
		{ STR_LIT("[2001:db8::1]:587"), 0, STR_LIT("[2001:db8::1]:587") },
		{ STR_LIT("[::]"), 25, STR_LIT("[::]:25") },
		{ STR_LIT("::1"), 25, STR_LIT("[::1]:25") },
		{ STR_LIT("::1"), 0, STR_LIT("") },
		{ STR_LIT("::ffff:192.0.2.1"), 25, STR_LIT("192.0.2.1:25") },
		{ STR_LIT("192.0.2.1:0"), 0, STR_LIT("") },
		{ STR_LIT("192.0.2.1:65536"), 0, STR_LIT("") },
		{ STR_LIT("192.0.2.1:"), 25, STR_LIT("") },
		{ STR_LIT("192.0.2.1:+1"), 25, STR_LIT("") },
		{ STR_LIT("[192.0.2.1]:25"), 0, STR_LIT("192.0.2.1:25") },
		{ STR_LIT("[::1"), 25, STR_LIT("") },
		{ STR_LIT("::1]"), 25, STR_LIT("") },
		{ STR_LIT("[::1]25"), 25, STR_LIT("") },
		{ STR_LIT("[]:25"), 25, STR_LIT("") },
		{ STR_LIT("localhost:25"), 25, STR_LIT("") },
		{ STR_LIT("192.0.2:25"), 25, STR_LIT("") },
		{ STR_LIT("192.0.2.1\0:25"), 25, STR_LIT("") },
		{ STR_LIT(":25"), 25, STR_LIT("") },
		{ STR_LIT(":"), 25, STR_LIT("") },
		{ STR_LIT("["), 25, STR_LIT("") },
		{ STR_LIT(""), 25, STR_LIT("") },
	};
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct net_addr a;
		buf_reset(&b);
		check(net_parse_addr(rows[i].in, rows[i].port, &a) == (rows[i].out.n > 0), rows[i].in.p);
		if (rows[i].out.n > 0)
			net_put_addr(&b, &a);
		check_str(buf_str(&b), rows[i].out, rows[i].in.p);
	}
	buf_fini(&b);
}

static void test_ranges(void **state)
{
	static const struct {
		struct str range;
		struct str out; /* empty: refused */
		struct str in, not_in;
	} rows[] = {
		{ STR_LIT("10.0.0.0/8"), STR_LIT("10.0.0.0/8"), STR_LIT("10.255.0.1"), STR_LIT("11.0.0.0") },
		{ STR_LIT("10/8"), STR_LIT("10.0.0.0/8"), STR_LIT("::ffff:10.1.1.1"), STR_LIT("9.255.255.255") },
		{ STR_LIT("172.16/12"), STR_LIT("172.16.0.0/12"), STR_LIT("172.31.0.1"), STR_LIT("172.32.0.1") },
		{ STR_LIT("0/0"), STR_LIT("0.0.0.0/0"), STR_LIT("1.2.3.4"), STR_LIT("::1") },
		{ STR_LIT("::/0"), STR_LIT("::/0"), STR_LIT("2001::1"), STR_LIT("1.2.3.4") },
		{ STR_LIT("::1"), STR_LIT("::1/128"), STR_LIT("::1"), STR_LIT("::2") },
		{ STR_LIT("192.0.2.1"), STR_LIT("192.0.2.1/32"), STR_LIT("192.0.2.1"), STR_LIT("192.0.2.2") },
		{ STR_LIT("fd00::/8"), STR_LIT("fd00::/8"), STR_LIT("fdff::1"), STR_LIT("fe00::1") },
		{ STR_LIT("2001:db8::/33"), STR_LIT("2001:db8::/33"), STR_LIT("2001:db8:7fff::"),
		  STR_LIT("2001:db8:8000::") },
		{ STR_LIT("10.0.0.1/8"), STR_LIT(""), STR_LIT(""), STR_LIT("") },
		{ STR_LIT("10/33"), STR_LIT(""), STR_LIT(""), STR_LIT("") },
		{ STR_LIT("::/129"), STR_LIT(""), STR_LIT(""), STR_LIT("") },
		{ STR_LIT("10"), STR_LIT(""), STR_LIT(""), STR_LIT("") },
		{ STR_LIT("10/"), STR_LIT(""), STR_LIT(""), STR_LIT("") },
		{ STR_LIT("/8"), STR_LIT(""), STR_LIT(""), STR_LIT("") },
		{ STR_LIT("1.2.3.4.5/8"), STR_LIT(""), STR_LIT(""), STR_LIT("") },
		{ STR_LIT("10./8"), STR_LIT(""), STR_LIT(""), STR_LIT("") },
		{ STR_LIT("10/-8"), STR_LIT(""), STR_LIT(""), STR_LIT("") },
		{ STR_LIT(""), STR_LIT(""), STR_LIT(""), STR_LIT("") },
	};
	struct buf b;

	(void)state;
	buf_init(&b, 100);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct net_cidr c;
		struct net_addr in, out;
		buf_reset(&b);
		check(net_parse_cidr(rows[i].range, &c) == (rows[i].out.n > 0), rows[i].range.p);
		if (rows[i].out.n == 0)
			continue;
		net_put_cidr(&b, &c);
		check_str(buf_str(&b), rows[i].out, rows[i].range.p);
		check(net_parse_ip(rows[i].in, 0, &in) && net_parse_ip(rows[i].not_in, 0, &out), rows[i].range.p);
		check(net_cidr_has(&c, &in) && !net_cidr_has(&c, &out), rows[i].range.p);
		check(net_cidr_covers(&c, &c), rows[i].range.p);
	}
	struct net_cidr wide, narrow, v6;
	net_parse_cidr(S("10/8"), &wide);
	net_parse_cidr(S("10.1/16"), &narrow);
	net_parse_cidr(S("::/0"), &v6);
	assert_true(net_cidr_covers(&wide, &narrow) && !net_cidr_covers(&narrow, &wide));
	assert_false(net_cidr_covers(&v6, &narrow));
	buf_fini(&b);
}

static void test_facts(void **state)
{
	struct net_addr a, b;

	(void)state;
	net_parse_ip(S("127.5.5.5"), 25, &a);
	net_parse_ip(S("127.5.5.5"), 26, &b);
	assert_true(net_is_loopback(&a) && net_same_ip(&a, &b) && net_port(&a) == 25);
	net_set_port(&a, 99);
	assert_int_equal(net_port(&a), 99);
	net_parse_ip(S("[::1]"), 25, &a);
	assert_true(net_is_loopback(&a) && !net_same_ip(&a, &b) && net_len(&a) == sizeof(struct sockaddr_in6));
	net_set_port(&a, 99);
	assert_int_equal(net_port(&a), 99);
	net_parse_ip(S("192.0.2.1"), 25, &a);
	assert_false(net_is_loopback(&a));
}

static void test_sockets(void **state)
{
	struct net_addr a;
	struct err e = { 0 };
	char folder[] = "/tmp/net_testXXXXXX", path[64];

	(void)state;
	net_parse_ip(S("127.0.0.1"), 0, &a);
	int fd = net_listen(&a, 5, &e);
	assert_true(fd >= 0);
	socklen_t n = sizeof a;
	getsockname(fd, &a.sa, &n);
	int c = net_connect(&a, NULL, &e);
	assert_true(c >= 0);
	close(c);
	close(fd);
	net_parse_ip(S("192.0.2.1"), 25, &a); /* not ours */
	assert_int_equal(net_listen(&a, 5, &e), -1);
	assert_int_equal(e.code, ERR_NET);
	assert_non_null(strstr(e.text, "192.0.2.1:25"));

	assert_non_null(mkdtemp(folder));
	snprintf(path, sizeof path, "%s/sock", folder);
	fd = net_listen_unix(path, 0600, &e);
	assert_true(fd >= 0);
	close(fd); /* the file stays: the next one replaces it */
	fd = net_listen_unix(path, 0600, &e);
	assert_true(fd >= 0);
	c = net_connect_unix(path, &e);
	assert_true(c >= 0);
	close(c);
	close(fd);
	assert_int_equal(net_connect_unix(path, &e), -1);
	char longer[200];
	memset(longer, 'x', sizeof longer - 1);
	longer[sizeof longer - 1] = '\0';
	assert_int_equal(net_listen_unix(longer, 0600, &e), -1);
	unlink(path);
	assert_int_equal(symlink("/nowhere/at/all", path), 0); /* somebody was there before */
	assert_int_equal(net_listen_unix(path, 0600, &e), -1);
	assert_non_null(strstr(e.text, "is no socket"));
	unlink(path);
	rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_addresses),
		cmocka_unit_test(test_ranges),
		cmocka_unit_test(test_facts),
		cmocka_unit_test(test_sockets),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
