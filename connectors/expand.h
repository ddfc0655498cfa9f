/* connectors/expand.h: copies that a delivery owes: members of groups expanded here, forwards of mailboxes, the other
 * side of mailboxes on both (spec 2.6, 2.4).
 *
 *   job_end -> expand_start -> [copies for the other side] -> walk, in slices -> copies, one after the other -> done
 *
 * Every copy is durable before the outcome that promised it is settled: a crash between the two makes it again (inside
 * the stated window) and loses nothing.  A copy keeps what is known of the message: where it came from, its trace id,
 * when it arrived; its recipients carry one generation more.
 *
 * Knows: the table, the spool, leases.  Must not know: connections.  Threads: the loop's. */
#ifndef CONNECTORS_EXPAND_H
#define CONNECTORS_EXPAND_H

#include "connectors/copy.h"
#include "connectors/plan.h"
#include "routing/walk.h"

enum expand_end {
	EXPAND_COPIED,
	EXPAND_LATER,    /* a copy is not stored: those who owe one wait (err) */
	EXPAND_TOO_MANY, /* more recipients than expansion_total: the groups fail */
};

struct expand_order { /* lives until done */
	struct loop *loop;
	struct queue_port *port;
	struct routing *routing;
	const struct config *config;
	struct lease *lease;
	struct log *log;
	struct plan *plans;
	const struct outcome *outcomes; /* one for each plan: who is deferred owes nothing yet */
	size_t plan_n;
	const struct token *tokens; /* valid ones of ours that the message carries */
	size_t token_n;
	bool journaled; /* the message is: so are the copies */
};

struct expand {
	struct expand_order o;
	struct config *config; /* that of its beginning: a reload in between does not change it */
	struct plan **roots;   /* what the walk calls root 0, 1, ... */
	size_t root_n;
	struct walk *walk;
	struct loop_timer turn;
	unsigned walks; /* begun */
	struct env_rcpt *batch;
	size_t batch_n, copies;
	size_t report, at; /* the next recipient to be copied to: position in the result, by report */
	struct copy copy;
	bool copying;
	void (*done)(struct expand *x, enum expand_end end, const struct err *e);
};

bool expand_is_owed(const struct plan *p, const struct outcome *o);
/* done() may run inside the call. */
void expand_start(struct expand *x, const struct expand_order *o,
		  void (*done)(struct expand *, enum expand_end, const struct err *));
void expand_cancel(struct expand *x); /* harmless when not started, or done */

#endif
