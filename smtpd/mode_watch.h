/* smtpd/mode_watch.h: what becomes of a switch while nobody does anything: time moves it on (routing/switch.h).
 *
 * Once a minute, on a thread of its own: one step of the switch (mode.step in the log); what sessions noted in memory
 * is written to the store; new incidents between the sides are told (alarm.*).  Threads: all on the loop's. */
#ifndef SMTPD_MODE_WATCH_H
#define SMTPD_MODE_WATCH_H

#include "base/loop.h"
#include "routing/routing.h"

struct mode_watch;

/* The first look is at once.  NULL with err when there is no thread.  The routing outlives it. */
struct mode_watch *mode_watch_start(struct loop *l, struct routing *r, struct err *e);
void mode_watch_stop(struct mode_watch **w); /* waits for the look in progress; harmless on NULL */
void mode_watch_keep(struct routing *r);     /* the last notes to the store: when sessions have ended */

#endif
