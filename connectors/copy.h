/* connectors/copy.h: a message once more, for other recipients: a new message in the spool with the same content, bit
 * for bit, if need be between bytes of ours.
 *
 * It keeps what is known of the first: where it came from (so its header is believed no more than before), its trace
 * id, when it arrived (so it does not live longer).
 *
 * Knows: the spool, leases.  Must not know: connections.  Threads: the loop's. */
#ifndef CONNECTORS_COPY_H
#define CONNECTORS_COPY_H

#include "connectors/connectors.h"

struct copy_order { /* in the starter's memory until done */
	struct queue_port *port;
	struct lease *lease;
	struct str owner; /* not empty: reports about the copy go there, not to the sender */
	/* NULL: the lease's; its views live as long as the order */
	const struct envelope *env;
	bool journaled;        /* the copy need not be any more */
	struct str head, tail; /* around the content */
	const struct env_rcpt *rcpts;
	size_t rcpt_n;
};

struct copy {
	struct copy_order o;
	struct spool *spool;
	struct lease_read read;
	uint64_t offset;
	struct commit commit;
	void (*done)(struct copy *c, const struct err *e); /* e NULL: durable */
};

/* 0: done() follows, not inside the call; -1: nothing was stored. */
int copy_start(struct copy *c, const struct copy_order *o, void (*done)(struct copy *, const struct err *),
	       struct err *e);
void copy_cancel(struct copy *c); /* harmless when not started */

#endif
