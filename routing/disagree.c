/* routing/disagree.c: a small set-associative memory of disagreements between the two sides. */
#include "routing/disagree.h"

#include <string.h>

void disagree_init(struct disagree *d)
{
	memset(d->sets, 0, sizeof d->sets);
	pthread_mutex_init(&d->lock, NULL);
}

void disagree_fini(struct disagree *d)
{
	pthread_mutex_destroy(&d->lock);
}

/* The entry of `who`, or the one to give up for it. */
static struct disagreement *slot_of(struct disagreement set[DISAGREE_WAYS], uint64_t who)
{
	struct disagreement *oldest = &set[0];

	for (int i = 0; i < DISAGREE_WAYS; i++) {
		if (set[i].who == who)
			return &set[i];
		if (set[i].last_ms < oldest->last_ms)
			oldest = &set[i];
	}
	return oldest;
}

bool disagree_is_fresh(struct disagree *d, uint64_t who, int64_t now_ms, int64_t defer_ms, bool dry)
{
	if (who == 0)
		who = 1;
	pthread_mutex_lock(&d->lock);
	struct disagreement *slot = slot_of(d->sets[who % DISAGREE_SETS], who);
	struct disagreement now = *slot;
	if (now.who != who || now_ms - now.last_ms > defer_ms)
		now = (struct disagreement){ .who = who, .first_ms = now_ms };
	now.last_ms = now_ms;
	if (!dry)
		*slot = now;
	pthread_mutex_unlock(&d->lock);
	return now_ms - now.first_ms < defer_ms;
}
