/* connectors/breaker.h: one switch for each send connector, for all loops: when the other side stops knowing us, mail
 * for it waits together instead of being tried, and returned, one by one (hardening HY-7).
 *
 *            faults in a row                  pause over: one message tries
 *   CLOSED ------------------> OPEN ----------------------------------> TRIAL
 *      ^                         ^------------ fault, or no answer -------+
 *      +------------------------------ delivered -------------------------+
 *
 * The pause doubles with each trial in vain.  A delivery closes it from anywhere.
 * Threads: any; a lock inside.  Times are the loop's (monotonic). */
#ifndef CONNECTORS_BREAKER_H
#define CONNECTORS_BREAKER_H

#include "base/str.h"

#include <stdbool.h>
#include <stdint.h>

struct breakers; /* all of a process */
struct breaker;

struct breaker_rules {  /* of the connector: options breaker_* */
	int64_t faults; /* in a row that open it; 0: never */
	int64_t pause_ms, pause_max_ms;
};

enum breaker_state { BREAKER_CLOSED, BREAKER_OPEN, BREAKER_TRIAL };

enum breaker_says {
	BREAKER_GO,
	BREAKER_TRY,  /* this one message is the trial: breaker_tried when it is over */
	BREAKER_WAIT, /* a trial is under way: stay where you are */
	BREAKER_HOLD, /* do not send before view.next_ms */
};

struct breaker_view {
	enum breaker_state state;
	uint64_t opened_n; /* times since the start */
	int64_t next_ms;   /* OPEN: of the next trial */
	char why[300];     /* the fault that opened it, or the newest */
};

struct breakers *breakers_new(void);
void breakers_free(struct breakers **b);                                /* when no loop runs any more */
struct breaker *breaker_of(struct breakers *all, struct str connector); /* made when new; lives as long as `all` */

enum breaker_says breaker_ask(struct breaker *b, int64_t now_ms);
/* True: it was closed and is open now. */
bool breaker_fault(struct breaker *b, const struct breaker_rules *rules, int64_t now_ms, struct str why);
bool breaker_good(struct breaker *b); /* a message was delivered.  True: it was not closed */
/* The trial is over; harmless when good or fault said how. */
void breaker_tried(struct breaker *b, int64_t now_ms);
void breaker_hurry(struct breaker *b); /* an administrator says "now" */
void breaker_look(struct breaker *b, struct breaker_view *out);
const char *breaker_state_name(enum breaker_state s); /* "open" */

#endif
