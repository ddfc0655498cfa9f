/* connectors/validity.h: what the probes of a connector come to (spec 3.8).  Pure: results in, state out.
 *
 *   valid_host per address (from probe steps) -> validity_judge -> struct validation
 *
 * What a host offered when all was well is remembered for each address: a keyword that is gone, or a smaller SIZE, is a
 * difference until it is back.
 * Must not know: connections, timers. */
#ifndef CONNECTORS_VALIDITY_H
#define CONNECTORS_VALIDITY_H

#include "connectors/connectors.h"
#include "wire/ehlo.h"

enum { VALID_HOSTS_MAX = 32 };

struct valid_host { /* one address that was tried */
	char host[200], ip[64];
	bool failed;
	const char *stage; /* where; a literal */
	enum smtp_why why;
	char says[300];
	bool greeted; /* caps and size are what it offered */
	unsigned caps;
	uint64_t size;
	int64_t not_after_ms; /* of its certificate; 0 = none seen */
};

struct valid_known { /* what an address offered when all was well */
	char ip[64];
	unsigned caps;
	uint64_t size;
};

struct valid_memory {
	struct valid_known v[VALID_HOSTS_MAX];
	size_t n;
};

/* All hosts fine: ok; all failed (or there are none): failed; else degraded.  Learns from hosts that are as good as
 * before.  since_ms moves when state or differs does. */
void validity_judge(const struct valid_host *hosts, size_t n, struct valid_memory *memory, int64_t now_ms,
		    struct validation *v);

#endif
