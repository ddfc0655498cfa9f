/* connectors/receive.c: which receive stanza a client belongs to (spec 3.1).  Pure.
 *
 * Among the stanzas bound to the address the client came to, the longest range that holds the client wins; equal
 * ranges go to the one bound to that very address, not to a wildcard.  Partly overlapping ranges never get here: the
 * checker refuses them. */
#include "connectors/connectors.h"

#include <string.h>

static bool is_wildcard(const struct net_addr *a)
{
	if (a->sa.sa_family == AF_INET)
		return a->v4.sin_addr.s_addr == INADDR_ANY;
	return memcmp(&a->v6.sin6_addr, &in6addr_any, sizeof in6addr_any) == 0;
}

enum bound { BOUND_NOT, BOUND_WILDCARD, BOUND_EXACT };

/* A wildcard of either family counts: [::] may serve IPv4 too, and 0.0.0.0 never hears IPv6. */
static enum bound bound_to(const struct conf_receive *r, const struct net_addr *local)
{
	enum bound best = BOUND_NOT;

	if (local == NULL)
		return BOUND_EXACT;
	for (size_t i = 0; i < r->addr_n; i++) {
		if (net_port(&r->addrs[i]) != net_port(local))
			continue;
		if (net_same_ip(&r->addrs[i], local))
			return BOUND_EXACT;
		if (is_wildcard(&r->addrs[i]))
			best = BOUND_WILDCARD;
	}
	return best;
}

const struct conf_receive *receive_select(const struct config *c, const struct net_addr *local,
					  const struct net_addr *client)
{
	const struct conf_receive *best = NULL;
	enum bound best_bound = BOUND_NOT;
	unsigned best_bits = 0;

	for (size_t i = 0; i < c->receive_n; i++) {
		const struct conf_receive *r = &c->receives[i];
		enum bound bound = bound_to(r, local);
		if (bound == BOUND_NOT)
			continue;
		for (size_t j = 0; j < r->range_n; j++) {
			unsigned bits = r->ranges[j].bits;
			if (!net_cidr_has(&r->ranges[j], client))
				continue;
			if (best == NULL || bits > best_bits || (bits == best_bits && bound > best_bound)) {
				best = r;
				best_bits = bits;
				best_bound = bound;
			}
		}
	}
	return best;
}
