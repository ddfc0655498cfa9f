/* connectors/copy.h: the second copy of a message whose recipient has a mailbox on both sides (loc=both, spec 2.4).
 *
 * Made when the first copy has been delivered and before that is settled: a new message in the spool, to the other
 * side's address.  So a crash between the two repeats it, and none is lost.  Nobody is told about its delivery.
 *
 * Knows: the spool, leases.  Must not know: connections.  Threads: the loop's. */
#ifndef CONNECTORS_COPY_H
#define CONNECTORS_COPY_H

#include "connectors/connectors.h"

struct copy {
	struct lease *lease;
	struct spool *spool;
	struct lease_read read;
	uint64_t offset;
	struct commit commit;
	const struct env_rcpt *rcpts; /* in the starter's memory until done */
	size_t rcpt_n;
	void (*done)(struct copy *c, const struct err *e); /* e NULL: durable */
};

/* 0: done() follows, not inside the call; -1: nothing was stored. */
int copy_start(struct copy *c, struct queue_port *port, struct lease *l, const struct env_rcpt *rcpts, size_t n,
	       void (*done)(struct copy *, const struct err *), struct err *e);
void copy_cancel(struct copy *c); /* harmless when not started */

#endif
