/* routing/walk.h: who gets a copy when groups are expanded and mailboxes forward (spec 2.6).
 *
 *   new -> skip (who has the message anyway)* -> root (a group, a forwarding mailbox)* -> step until not WALK_MORE
 *
 * Breadth first over the table, with one set of who has been seen: every final recipient comes once, whatever the
 * groups and forwards look like; harmless loops end there.  A cycle that only forwards has no final recipient: its
 * first address comes instead, and the delivery finds out that it does not end (R02, one report).
 *
 * A step looks at a bounded number of members, so that a loop is never held up; the table may change between two steps,
 * then the walk begins again.  Knows: the table.  Must not know: messages, the queue.  Threads: one at a time. */
#ifndef ROUTING_WALK_H
#define ROUTING_WALK_H

#include "routing/routing.h"

struct walk_report { /* what becomes of reports about the recipients it stands for */
	enum rcpt_report to;
	struct str owner;
};

struct walk_rcpt {
	struct str addr;
	unsigned root;       /* which call of walk_root led here, from 0 */
	unsigned report;     /* into reports */
	unsigned generation; /* at most ENV_GENERATION_MAX */
	bool followed;       /* keeps a copy and forwards: the others are in the walk already */
};

struct walk;

struct walk_options {
	size_t total;               /* most recipients */
	unsigned max_redirects;     /* longest chain of contacts */
	const struct token *tokens; /* valid ones of ours that the message carries: whom they name has it (R41) */
	size_t token_n;
};

struct walk *walk_new(const struct walk_options *o); /* `tokens` must outlive it */
void walk_free(struct walk **w);

/* These and step: false / WALK_FAILED when the table cannot be read (err). */
bool walk_skip(struct walk *w, struct routing_view *v, struct str address, struct err *e);
bool walk_root(struct walk *w, struct routing_view *v, struct str address, unsigned generation, struct err *e);

enum walk_step {
	WALK_MORE,
	WALK_DONE,
	WALK_TOO_MANY, /* more than `total` */
	WALK_CHANGED,  /* the table is another one than at the last call: begin with a new walk */
	WALK_FAILED,
};
enum walk_step walk_step(struct walk *w, struct routing_view *v, size_t most, struct err *e);

struct walk_result { /* views into the walk; reports[0] is "sender" */
	const struct walk_rcpt *rcpts;
	size_t rcpt_n;
	const struct walk_report *reports;
	size_t report_n;
	size_t duplicates; /* met again (DUPLICATEEXPAND) */
	size_t returned;   /* named by a token (DUPLICATEREDIRECT) */
};
struct walk_result walk_result(const struct walk *w);

#endif
