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
	struct str condemned;      /* by an administrator, for this reason; p NULL: it is tried */
	const char *rule, *reason; /* of the verdict */
	const char *loc;           /* kind of the recipient, "REMOTE" */
	struct mode mode;          /* that was in force, and the table */
	uint64_t serial;
	unsigned redirects; /* followed to get here */
	bool straggler;
	struct str told;           /* what a stranger may be told instead of rcpt.text; empty: the same */
	const char *cause, *fixer; /* in plain words; NULL when all is well */
	enum route_form form;
	bool forwarded; /* to outside, by a redirection of ours: it goes under our own claim */
	enum route_next next;
	struct str from;          /* MAIL FROM on this way */
	enum srs_result srs;      /* whether it was rewritten */
	struct token_rcpt who;    /* for the route token; next = PEER only */
	bool bypass;              /* goes without the other side (CMT-BYPASS) */
	enum coverage coverage;   /* for the meter, once it is delivered */
	struct hop *hop;          /* where it goes; NULL: nowhere */
	bool expands;             /* a group: its members get copies (expand.h) */
	bool forwards;            /* a mailbox: others get copies of what it gets */
	bool dropped;             /* nothing is sent and nobody is told */
	struct str copy_to;       /* loc=both: the other side gets a copy under this address; or the owner of a group */
	unsigned copy_generation; /* of that copy */
	struct smtp_where *where; /* who answered last */
	bool no_dsn, expired;
	bool inside;             /* hop is one of ours, not a stranger's MX */
	struct str connector;    /* with hop: its name ... */
	struct conf_retry retry; /* ... and its schedule; copies, they outlive the hop */
	enum sched_cause wait;   /* why it has to be tried again */
	bool untried;            /* not a try: it was set aside */
	int64_t again_ms;        /* wall clock, 0 = by the schedule */
};

struct planner {
	struct routing *routing;
	struct outbound *outbound;
	struct pool *pool;
	struct arena *arena; /* everything planned lives there */
	const struct envelope *env;
	uint64_t size;
	struct str drain_to; /* everything goes to this "host[:port]"; empty: where it belongs */
};

/* `plans[i].index`, attempts, delay_told and condemned are set by the caller; the rest by this. */
void plan_recipients(const struct planner *p, struct plan *plans, size_t n);

/* Sets a result without sending: "550 5.1.1 no such user" in words. */
void plan_settle(struct plan *plan, struct arena *arena, enum rcpt_result result, struct reply r, struct str text);

#endif
