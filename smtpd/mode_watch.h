/* smtpd/mode_watch.h: what becomes of a switch while nobody does anything: time moves it on (routing/switch.h).
 *
 * Once a minute, on a thread of its own: one step of the switch (mode.step in the log); what sessions noted in memory
 * is written to the store; new incidents between the sides are told (alarm.*).  While the other side cannot be reached
 * it is tried on the loop, so that mail that bypasses it does not do so for ever (spec 1.7).  Threads: all on the
 * loop's. */
#ifndef SMTPD_MODE_WATCH_H
#define SMTPD_MODE_WATCH_H

#include "connectors/connectors.h"

struct mode_watch;

struct mode_watch_options {
	struct loop *loop;
	struct routing *routing;
	struct deliver *deliver;                   /* of that loop */
	const struct config *(*config)(void *arg); /* in force; called on the loop */
	void *arg;
};

/* The first look is at once.  NULL with err when there is no thread.  What it is given outlives it. */
struct mode_watch *mode_watch_start(const struct mode_watch_options *o, struct err *e);
void mode_watch_stop(struct mode_watch **w); /* waits for the look in progress; harmless on NULL */
void mode_watch_keep(struct routing *r);     /* the last notes to the store: when sessions have ended */

#endif
