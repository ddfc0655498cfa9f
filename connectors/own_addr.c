/* connectors/own_addr.c: under which addresses a connection would come back to ourselves; see the header. */
#include "connectors/own_addr.h"

#include <ifaddrs.h>
#include <string.h>

static bool is_any(const struct net_addr *a)
{
	return a->sa.sa_family == AF_INET ? a->v4.sin_addr.s_addr == INADDR_ANY
					  : IN6_IS_ADDR_UNSPECIFIED(&a->v6.sin6_addr);
}

/* "0.0.0.0:25" is every address of this machine.  Returns the new count. */
static size_t add_interfaces(uint16_t port, struct net_addr *out, size_t n, size_t max)
{
	struct ifaddrs *list = NULL;

	if (getifaddrs(&list) != 0)
		return n;
	for (const struct ifaddrs *i = list; i != NULL && n < max; i = i->ifa_next) {
		if (i->ifa_addr == NULL || (i->ifa_addr->sa_family != AF_INET && i->ifa_addr->sa_family != AF_INET6))
			continue;
		memset(&out[n], 0, sizeof out[n]);
		memcpy(&out[n].sa, i->ifa_addr,
		       i->ifa_addr->sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
		net_set_port(&out[n++], port);
	}
	freeifaddrs(list);
	return n;
}

size_t own_addresses(const struct net_addr *listen, size_t n, struct net_addr *out, size_t max)
{
	size_t found = 0;

	for (size_t i = 0; i < n && found < max; i++)
		out[found++] = listen[i];
	for (size_t i = 0; i < n; i++)
		if (is_any(&listen[i]))
			found = add_interfaces(net_port(&listen[i]), out, found, max);
	return found;
}
