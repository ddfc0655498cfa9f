/* wire/proxy.h: PROXY protocol v1 and v2 preface (what a load balancer says before the first byte of the client). */
#ifndef WIRE_PROXY_H
#define WIRE_PROXY_H

#include "base/net.h"

struct proxy {
	bool local; /* LOCAL / UNKNOWN: keep the real peer */
	struct net_addr client, server;
};

enum { PROXY_MORE = 0, PROXY_BAD = -1, PROXY_V1_MAX = 107, PROXY_V2_MAX = 4096 };

/* Returns bytes used (> 0), PROXY_MORE, or PROXY_BAD (close). */
int proxy_next(struct str in, struct proxy *out);

#endif
