/* smtpd/pressure_watch.h: looks at the machine every two seconds, on a thread of its own: statfs and /proc may block.
 *
 * Logs pressure.changed for each resource that changes its level, and pressure.shed when others are turned away than
 * before.  Threads: start and stop on the loop's. */
#ifndef SMTPD_PRESSURE_WATCH_H
#define SMTPD_PRESSURE_WATCH_H

#include "queue/queue.h"
#include "routing/routing.h"
#include "smtpd/pressure.h"
#include "smtpd/setup.h"

struct pressure_watch;

struct pressure_watch_options {
	struct loop *loop;
	struct setup *(*setup)(void *arg); /* a reference to the one in force; called on the watch's thread */
	void *arg;
	const struct queue *queue;
	struct routing *routing;
	struct pressure *pressure; /* outlives the watch */
};

/* NULL with err when there is no thread. */
struct pressure_watch *pressure_watch_start(const struct pressure_watch_options *o, struct err *e);
void pressure_watch_stop(struct pressure_watch **w); /* waits for the look in progress */

#endif
