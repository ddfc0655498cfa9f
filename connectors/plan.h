/* connectors/plan.h: what is to be done with each due recipient of a message: routing asked again, connector selected.
 *
 * Knows: routing, selection, hops.  Must not know: connections, leases.  One routing view serves a whole message. */
#ifndef CONNECTORS_PLAN_H
#define CONNECTORS_PLAN_H

#include "connectors/pool.h"

struct plan {                  /* one recipient of one attempt */
	struct smtp_rcpt rcpt; /* result is set at once when nothing is to be sent */
	unsigned index;        /* into env.rcpts */
	unsigned attempts;     /* before this one */
	bool delay_told;
	const char *rule, *reason; /* of the verdict */
	const char *loc;           /* kind of the recipient, "REMOTE" */
	struct mode mode;          /* that was in force, and the table */
	uint64_t serial;
	unsigned redirects; /* followed to get here */
	bool straggler;
	struct str told;           /* what a stranger may be told instead of rcpt.text; empty: the same */
	const char *cause, *fixer; /* in plain words; NULL when all is well */
	enum route_form form;
	enum route_next next;
	struct token_rcpt who;    /* for the route token; next = PEER only */
	struct hop *hop;          /* where it goes; NULL: nowhere.  As long as pool_hop promises, no longer */
	struct str connector;     /* its name, which stays */
	struct str copy_to;       /* loc=both: the other side gets a copy under this address */
	struct smtp_where *where; /* who answered last */
	bool no_dsn;
};

struct planner {
	struct routing *routing;
	struct outbound *outbound;
	struct pool *pool;
	struct arena *arena; /* everything planned lives there */
	const struct envelope *env;
	uint64_t size;
};

/* `plans[i].index`, attempts and delay_told are set by the caller; the rest by this. */
void plan_recipients(const struct planner *p, struct plan *plans, size_t n);

/* Sets a result without sending: "550 5.1.1 no such user" in words. */
void plan_settle(struct plan *plan, struct arena *arena, enum rcpt_result result, struct reply r, struct str text);

#endif
