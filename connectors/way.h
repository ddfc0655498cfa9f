/* connectors/way.h: what the hops of one send connector have in common on one loop: its breaker, its rates, its
 * counters; and what an answer means for the connector as a whole.
 *
 * Knows: response table, breaker, tally.  Must not know: hops, leases.  Threads: the loop's. */
#ifndef CONNECTORS_WAY_H
#define CONNECTORS_WAY_H

#include "base/bucket.h"
#include "connectors/breaker.h"
#include "connectors/tally.h"

struct way {
	SLIST_ENTRY(way) link;
	struct tally *tally;
	struct breaker *breaker;
	struct bucket connections, messages;
};
SLIST_HEAD(ways, way);

struct way *way_of(struct ways *all, struct breakers *breakers, struct tallies *tallies, const struct conf_send *s);
void ways_free(struct ways *all);

enum way_verdict {
	WAY_FINE,
	WAY_SLOWER, /* fewer connections */
};

/* Looks at the answers of a transaction that is over: what is a fault of the connector is deferred instead of failed,
 * and the breaker hears of it, or of a delivery.  `ours` as in response_find. */
enum way_verdict way_judge(struct way *w, const struct conf_send *s, struct smtp_txn *t, bool ours, int64_t now_ms);
/* The same for the end of a connection. */
enum way_verdict way_judge_fault(struct way *w, const struct conf_send *s, const struct smtp_fault *f, bool ours,
				 int64_t now_ms);

#endif
