/* routing/switch.h: a switch of the flow, step by step (spec 1.6), and the rule that moves it on.
 *
 *   PLANNED --> PRECHECK --> DUAL --> OBSERVE --> LOCKED --> DONE        (CMT alone: OBSERVE --> DONE)
 *      ^           |          |          |           |
 *      |           v          +--------- + --------- +--- rollback: the mode before, PLANNED again
 *      |         FAILED --- a new `mode switch` begins again at PRECHECK
 *      +--- `mode plan`, unless a switch is under way
 *
 * DUAL: the new mode holds; for ttl_max strangers may still have the old MX in their caches, which says nothing.
 * OBSERVE: who still comes to the old MX is a straggler; it ends when they were few for `quiet`, or the grace is over.
 * LOCKED: stragglers are deferred for lock_defer, then rejected (R05).  DONE: they stay rejected until the MX moves.
 *
 * switch_next is pure; routing/epoch.c keeps the switch and the mode in one transaction, smtpd/mode_watch.c asks once a
 * minute. */
#ifndef ROUTING_SWITCH_H
#define ROUTING_SWITCH_H

#include "base/buf.h"
#include "config/config.h"

enum switch_state { /* stored: append only */
		    SWITCH_NONE,
		    SWITCH_PLANNED,
		    SWITCH_PRECHECK,
		    SWITCH_DUAL,
		    SWITCH_OBSERVE,
		    SWITCH_LOCKED,
		    SWITCH_DONE,
		    SWITCH_FAILED,
		    SWITCH_STATE_N,
};
const char *switch_state_name(enum switch_state s); /* "OBSERVE" */
/* From the mode change to the end: a plan would overtake it. */
bool switch_is_under_way(enum switch_state s);

enum switch_order { SWITCH_WAIT, SWITCH_CHECK, SWITCH_GO, SWITCH_ROLLBACK }; /* an administrator's; WAIT = time alone */

enum { SWITCH_CHECK_MAX_MS = 10 * 60 * 1000 }; /* checks that did not end by then never will: the daemon stopped */

struct switch_facts {
	enum switch_order order;
	bool mx_moves;       /* else only central transport changes: there are no stragglers to wait for */
	bool overtaken;      /* the mode in force is not the one this switch made */
	size_t failed;       /* GO: checks that neither passed, nor were waived or skipped */
	int64_t now_ms;      /* wall clock, as all of these */
	int64_t entered_ms;  /* this state */
	int64_t switched_ms; /* the mode change */
	int64_t loud_ms;     /* when stragglers an hour last reached the threshold; 0 = not since the change */
	int64_t ttl_max_ms, quiet_ms, grace_ms, lock_defer_ms;
};

enum switch_effect { SWITCH_KEEP_MODE, SWITCH_TO_TARGET, SWITCH_TO_BEFORE, SWITCH_LOCK };

struct switch_move {
	enum switch_state to;
	enum switch_effect effect;
	const char *why; /* one phrase: why it moved, or what it waits for */
	int64_t next_ms; /* when time alone may move it; 0 = never */
	bool refused;    /* the order makes no sense in this state (why says so) */
};

/* One step; to == `at` when it stays. */
void switch_next(enum switch_state at, const struct switch_facts *f, struct switch_move *out);

/* ---- the checks before it ---- */

enum check_result { CHECK_PASS, CHECK_FAIL, CHECK_WAIVED, CHECK_SKIPPED }; /* stored: append only */
const char *check_result_name(enum check_result r);                        /* "waived" */

enum { SWITCH_CHECKS_MAX = 16, SWITCH_WHO = 40, SWITCH_TEXT = 240 };

struct switch_check {
	char name[24];
	enum check_result result;
	char evidence[SWITCH_TEXT];
	char waived_by[SWITCH_WHO]; /* WAIVED: who and why */
	char waived_why[SWITCH_TEXT];
};

struct flow {
	enum conf_side mx;
	bool cmt;
};

struct mode_switch {
	enum switch_state state;
	struct flow from, to;
	uint64_t epoch; /* of the mode it made; 0 = none yet */
	int64_t planned_ms, entered_ms, switched_ms;
	char who[SWITCH_WHO]; /* who gave the last order */
	char why[SWITCH_TEXT];
	struct switch_check checks[SWITCH_CHECKS_MAX];
	size_t check_n;
};

size_t switch_failed(const struct switch_check *checks, size_t n); /* how many stand in the way */

/* As one record: {u8 format, u8 state, u8 flows, u64 epoch, i64 planned, entered, switched, texts, checks}. */
void switch_encode(const struct mode_switch *s, struct buf *out);
bool switch_decode(struct str bytes, struct mode_switch *out); /* false: corrupt */

/* ---- the policy that a locked switch means (R05) ---- */

/* locked_ms 0 = not locked: what the configuration says. */
enum conf_stragglers switch_policy(enum conf_stragglers configured, int64_t locked_ms, int64_t now_ms,
				   int64_t lock_defer_ms);

#endif
