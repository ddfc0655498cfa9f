/* routing/straggler.h: who still comes to the side that is not the MX any more, by source (spec 1.6, 8.11).
 *
 * A set-associative table of fixed size (mode.straggler_sources): full sets forget the source seen longest ago.  A note
 * costs one short lock and no disk; the keeper writes what is new, so that a restart forgets a minute at most.  Begins
 * anew when the MX moves.  Counts transactions, not recipients.
 *
 * Threads: any; open, close and keep: one at a time. */
#ifndef ROUTING_STRAGGLER_H
#define ROUTING_STRAGGLER_H

#include "base/store.h"
#include "config/config.h"

#include <pthread.h>

enum { STRAGGLER_WAYS = 4, STRAGGLER_RCPTS = 3 };

struct straggler_source {
	char ip[48]; /* empty = free */
	char helo[80];
	uint64_t count;
	int64_t first_ms, last_ms;        /* wall clock */
	char rcpts[STRAGGLER_RCPTS][100]; /* a sample: the first that differed */
};

struct straggler_seen {
	struct str client, helo, rcpt;
	enum conf_side mx; /* where it should have gone */
	int64_t now_ms;
	uint64_t threshold; /* mode.threshold */
};

struct straggler_sum {
	uint64_t total, sources;
	uint64_t this_hour, hour_before; /* by the clock's hours */
	int64_t loud_ms;                 /* when an hour last reached the threshold; 0 = never */
};

struct stragglers {
	pthread_mutex_t lock;
	struct store *store;
	store_db db;
	struct straggler_source *slots;
	unsigned char *dirty; /* beside slots */
	size_t n;
	enum conf_side mx;
	int64_t hour; /* number of the current one */
	struct straggler_sum sum;
	bool news, wiped; /* something to write; what is on disk is of another MX */
};

/* Reads what was kept.  `sources` is rounded up to whole sets.  The store outlives it. */
int stragglers_open(struct stragglers *s, struct store *store, store_db db, size_t sources, struct err *e);
void stragglers_close(struct stragglers *s); /* writes nothing; harmless when never opened */

void stragglers_note(struct stragglers *s, const struct straggler_seen *seen);
void stragglers_reset(struct stragglers *s, enum conf_side mx); /* the MX moved */
void stragglers_sum(struct stragglers *s, enum conf_side mx, int64_t now_ms, struct straggler_sum *out);
/* Copies at most `max` sources, most messages first; returns how many. */
size_t stragglers_list(struct stragglers *s, enum conf_side mx, struct straggler_source *out, size_t max);
/* Slow.  0, or -1 with err: then it is tried again with the next call. */
int stragglers_keep(struct stragglers *s, struct err *e);

#endif
