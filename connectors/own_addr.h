/* connectors/own_addr.h: under which addresses a connection would come back to ourselves (spec 3.2). */
#ifndef CONNECTORS_OWN_ADDR_H
#define CONNECTORS_OWN_ADDR_H

#include "base/net.h"

/* The addresses of `listen`, a wildcard as those of all interfaces of this machine now, at most `max` of them, into
 * `out`; returns how many. */
size_t own_addresses(const struct net_addr *listen, size_t n, struct net_addr *out, size_t max);

#endif
