/* smtpd/rounds.h: something to be looked at now and then, on a thread of its own, and at once when there is news.
 *
 *   start -> look (thread) -> looked (loop) -> a while, or a kick -> look ...
 *
 * A look begins every_ms after the one before began, however long it took.  Looks never overlap; kicks while one is
 * under way give one more behind it. Threads: start and stop the loop's, kick any; look must not touch what belongs to
 * the loop. */
#ifndef SMTPD_ROUNDS_H
#define SMTPD_ROUNDS_H

#include "base/loop.h"

struct rounds;

struct rounds_options {
	struct loop *loop;
	int64_t every_ms;
	void (*look)(void *arg);   /* on the thread; the log is flushed after it */
	void (*looked)(void *arg); /* on the loop, before the next look can begin; not after stop; may be NULL */
	void *arg;
};

/* The first look is at once.  NULL with err when there is no thread. */
struct rounds *rounds_start(const struct rounds_options *o, struct err *e);
void rounds_kick(struct rounds *r);
void rounds_stop(struct rounds **r); /* waits for the look in progress */

#endif
