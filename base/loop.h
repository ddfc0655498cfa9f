/* base/loop.h: THE event loop (libev, epoll only): descriptors, timers, calls from other threads.
 *
 * One loop per thread; everything but loop_post, loop_stop and loop_now_ms of another loop is for the loop's own
 * thread. Watchers are embedded in their owners and must be stopped before the owner's memory goes; memory that a
 * handler of this turn may still touch goes through loop_free_later.  No libev type is visible: `ev` is room for one,
 * checked in loop.c. */
#ifndef BASE_LOOP_H
#define BASE_LOOP_H

#include "base/err.h"

#include <stdalign.h>
#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

struct loop;

struct loop *loop_new(struct err *e);      /* NULL on failure */
void loop_free(struct loop **l);           /* runs what loop_free_later holds; no watcher may be active */
void loop_run(struct loop *l);             /* until loop_stop */
void loop_stop(struct loop *l);            /* any thread, and signal handlers; the turn in progress ends first */
int64_t loop_now_ms(const struct loop *l); /* monotonic, as of the start of this turn */

enum { LOOP_READ = 1, LOOP_WRITE = 2 };

struct loop_io {
	void (*fn)(struct loop_io *io, unsigned events);
	struct loop *loop; /* NULL while stopped */
	unsigned want;
	alignas(void *) unsigned char ev[64];
};

void loop_io_start(struct loop *l, struct loop_io *io, int fd, unsigned want, void (*fn)(struct loop_io *, unsigned));
void loop_io_want(struct loop_io *io, unsigned want); /* 0 keeps the watcher but hears nothing */
void loop_io_stop(struct loop_io *io);                /* harmless when stopped */

/* One-shot timer.  Setting a later time than before costs nothing until the old one comes (lazy), so a deadline may be
 * moved on every event. */
struct loop_timer {
	void (*fn)(struct loop_timer *t);
	struct loop *loop;
	int64_t due_ms; /* when it is to fire; INT64_MAX = stopped */
	int64_t key_ms; /* where it stands in the heap */
	size_t at;      /* heap index + 1; 0 = not in the heap */
};

void loop_timer_init(struct loop *l, struct loop_timer *t, void (*fn)(struct loop_timer *));
void loop_timer_set(struct loop_timer *t, int64_t in_ms);
void loop_timer_stop(struct loop_timer *t); /* harmless when stopped; leaves the heap at once */
static inline bool loop_timer_is_set(const struct loop_timer *t)
{
	return t->at != 0 && t->due_ms != INT64_MAX;
}

/* Runs fn(task) on the loop's thread, once, in order of posting.  Any thread.  The task is owned by the loop until
 * then; posting it twice before it ran is a bug. */
struct loop_task {
	void (*fn)(struct loop_task *task);
	struct loop_task *next;
};

void loop_post(struct loop *l, struct loop_task *task);

/* The same from the loop's own thread: runs at the end of this turn, before the loop sleeps (no wake-up needed). */
void loop_defer(struct loop *l, struct loop_task *task);

/* free(mem) after this turn, when no handler can hold it any more. */
void loop_free_later(struct loop *l, void *mem);

/* Buffers of one fixed size (LOOP_BUFFER) shared by the streams of a loop, so that idle connections hold none. */
enum { LOOP_BUFFER = 64 * 1024 };
char *loop_buffer_take(struct loop *l);
void loop_buffer_give(struct loop *l, char *buffer);

#endif
