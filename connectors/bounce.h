/* connectors/bounce.h: failure, delay and relay reports: composed here, made durable before the message they are about
 * is settled, so that a crash between the two repeats a report and never swallows one (hardening 34).
 *
 * Knows: wire/dsn, the spool.  Must not know: connections.  Threads: the loop's. */
#ifndef CONNECTORS_BOUNCE_H
#define CONNECTORS_BOUNCE_H

#include "base/guid.h"
#include "connectors/connectors.h"
#include "wire/dsn.h"

struct bounce {
	struct commit commit;
	char trace_id[GUID_SIZE];                            /* network message id of the report */
	void (*done)(struct bounce *b, const struct err *e); /* e NULL: durable */
};

struct bounce_order {
	struct queue_port *port;
	const struct config *config;
	const struct envelope *env; /* of the message the report is about */
	struct str to;              /* who is told: the sender, or the postmaster about a report that failed */
	struct str head;            /* its beginning, at least the header; cut here */
	bool is_whole;              /* head is all of it */
	const struct dsn_rcpt *rcpts;
	size_t rcpt_n;
};

/* Does the sender want to hear of this? (RFC 3461 4.1; never about a report, hardening 34) */
bool bounce_is_wanted(const struct envelope *env, unsigned notify, enum dsn_action action);

/* Composes and spools one report.  0: done() follows, not inside the call; -1: nothing was stored. */
int bounce_start(struct bounce *b, const struct bounce_order *o, void (*done)(struct bounce *, const struct err *),
		 struct err *e);
/* The order's memory may go; a report already on its way to the disk is stored all the same. */
void bounce_cancel(struct bounce *b);

#endif
