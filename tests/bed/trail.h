/* tests/bed/trail.h: the way of a message, out of the gateways' own logs (log.format = json).
 *
 *   trails_read -> trail_follow(sender, recipient, where it began) -> hops -> trail_put: as paths.csv writes it
 *
 * A hop is one gateway's decision about one recipient.  Within a gateway the log's order counts; from one to the other
 * the address is followed: `as` of a hop is what the next one calls the recipient.  A sender address that no other
 * message uses makes the trail unambiguous. */
#ifndef TESTS_BED_TRAIL_H
#define TESTS_BED_TRAIL_H

#include "tests/bed/bed.h"

enum trail_next { TRAIL_DELIVER, TRAIL_PEER, TRAIL_DIRECT, TRAIL_EXPANDED, TRAIL_REFUSED, TRAIL_HELD };

struct hop {
	enum bed_gate gate;
	enum trail_next next;
	struct str trace, to, as, form, rule, reason, connector, tls, reply;
	struct str inbound, how; /* how the gateway knew who handed it over */
	bool straggler, sent;
	char code[24]; /* REFUSED: "554 5.4.6", as the one who was refused heard it */
	int64_t epoch;
};

enum { TRAIL_MAX = 40 };
struct trail {
	struct hop hops[TRAIL_MAX];
	size_t n;
};

struct trail_event;
struct trails {
	const struct bed *bed;
	struct arena memory;
	struct trail_event *events[GATES];
	size_t n[GATES], cap[GATES], since[GATES]; /* events before `since` are not looked at */
	/* places of the events since then, in the order of trace and of sender; made anew when more were read */
	size_t *traces[GATES], *senders[GATES], indexed_since[GATES], indexed_n[GATES];
	off_t read[GATES];
};

void trails_init(struct trails *t, const struct bed *b);
void trails_fini(struct trails *t);
void trails_read(struct trails *t); /* what the logs say by now */
void trails_mark(struct trails *t); /* forget what was read: trails begin here */

/* `first_answer`: what the sender heard, where the first gateway refused. */
void trail_follow(struct trails *t, enum bed_gate begin, struct str from, struct str rcpt, const char *first_answer,
		  struct trail *out);
bool trail_has_ended(const struct trail *t);
/* "onprem[R40 ->peer] cloud[R30 deliver]" */
void trail_put(const struct trail *t, size_t first, struct buf *out);
/* How often this gateway took a message of that sender (transactions, not recipients). */
unsigned trails_taken(const struct trails *t, enum bed_gate g, struct str from);

#endif
