/* routing/disagree.h: since when the two sides disagree about a recipient (R44, spec 8.5).
 *
 * The peer returns a mailbox that our table places on the peer's side: for `defer_ms` after the first time this is
 * answered 451, so the mail waits while a table is repaired.  Kept in memory only: a restart begins the wait anew,
 * which costs a delay and never a message.  Fixed size; when full, the entry seen longest ago makes room.  Any thread.
 */
#ifndef ROUTING_DISAGREE_H
#define ROUTING_DISAGREE_H

#include <pthread.h>
#include <stdbool.h>
#include <stdint.h>

enum { DISAGREE_SETS = 512, DISAGREE_WAYS = 4 };

struct disagreement {
	uint64_t who;              /* hash of the rid; 0 = free */
	int64_t first_ms, last_ms; /* wall clock */
};

struct disagree {
	pthread_mutex_t lock;
	struct disagreement sets[DISAGREE_SETS][DISAGREE_WAYS];
};

void disagree_init(struct disagree *d);
void disagree_fini(struct disagree *d);

/* Remembers (unless `dry`) that it happened again at now_ms; true while the first time is less than defer_ms ago.  One
 * that was silent for longer than defer_ms was mended, and begins anew. */
bool disagree_is_fresh(struct disagree *d, uint64_t who, int64_t now_ms, int64_t defer_ms, bool dry);

#endif
