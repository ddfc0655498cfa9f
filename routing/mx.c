/* routing/mx.c: the order in which the hosts of a domain are tried.  Pure. */
#include "routing/routing.h"

#include <string.h>

static bool is_any(const struct net_addr *a)
{
	static const unsigned char zero[16];

	return a->sa.sa_family == AF_INET6 ? memcmp(&a->v6.sin6_addr, zero, 16) == 0 : a->v4.sin_addr.s_addr == 0;
}

/* Sorted by insertion: at most DNS_HOSTS_MAX or so; each goes to a random place among its equals. */
void mx_order(struct mx_host *hosts, size_t n, uint64_t seed)
{
	for (size_t i = 1; i < n; i++) {
		struct mx_host h = hosts[i];
		size_t at = i, equals = 0;
		while (at > 0 && hosts[at - 1].preference > h.preference) {
			hosts[at] = hosts[at - 1];
			at--;
		}
		while (equals < at && hosts[at - 1 - equals].preference == h.preference)
			equals++;
		for (size_t up = str_hash(str_n(&i, sizeof i), seed) % (equals + 1); up > 0; up--, at--)
			hosts[at] = hosts[at - 1];
		hosts[at] = h;
	}
}

static bool is_self(const struct net_addr *a, const struct net_addr *own, size_t own_n)
{
	for (size_t i = 0; i < own_n; i++)
		if (net_port(a) == net_port(&own[i]) &&
		    (net_same_ip(a, &own[i]) || (is_any(&own[i]) && net_is_loopback(a))))
			return true;
	return false;
}

size_t mx_drop_self(struct mx_host *hosts, size_t n, const struct net_addr *own, size_t own_n)
{
	size_t left = n;

	for (size_t i = 0; i < n && left == n; i++)
		for (size_t j = 0; j < hosts[i].addr_n; j++)
			if (is_self(&hosts[i].addrs[j], own, own_n))
				left = i;
	while (left > 0 && left < n && hosts[left - 1].preference == hosts[left].preference)
		left--;
	return left;
}
