/* connectors/report.h: what a report may tell whom, and how many of them leave (spec 5.3, hardening DoS-13).
 *
 * A sender of our own domains reads everything: servers, rules, who can mend it.  Everybody else reads what
 * servers said; where our mailboxes are, which way mail takes and what our servers are called stays with us.
 *
 * Knows: plans, wire/dsn.  Must not know: the spool, leases.  Threads: the loop's. */
#ifndef CONNECTORS_REPORT_H
#define CONNECTORS_REPORT_H

#include "base/bucket.h"
#include "connectors/plan.h"
#include "wire/dsn.h"

enum { REPORT_DOMAINS = 256 };

struct report_limits {                              /* zero is ready */
	struct bucket all, domains[REPORT_DOMAINS]; /* by a hash of the sender's domain */
	bool limiting;                              /* the last one was too many */
};

/* Is the sender's domain one of ours? */
bool report_is_for_us(const struct config *c, struct str sender);

/* Takes one report to this sender out of the rates queue.report_rate and report_rate_domain, of which this loop has one
 * of `shares`. */
bool report_may_go(struct report_limits *l, const struct conf_queue *c, struct str sender, unsigned shares,
		   int64_t now_ms);

/* Fills remote_mta, diagnostic, own_words and reason from what became of `p`.  Texts live in `arena` or in p. */
void report_words(const struct plan *p, bool for_us, struct arena *arena, struct dsn_rcpt *out);

#endif
