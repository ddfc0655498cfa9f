/* connectors/hop_room.c: how much one hop may keep while others want room too (docs/DELIVERY.md). */
#include "connectors/hop.h"

#include "base/must.h"

#include <stdio.h>

enum {
	PACE_MS = 5 * 1000, /* what a hop sent off in so long it may also keep waiting */
	FEW = 8,            /* messages a hop may always keep */
	SURPLUS_MS = 60 * 1000,
	SURPLUS_MAX_MS = 30 * 60 * 1000,
};

/* What it sent off in the last PACE_MS. */
static size_t pace_of(struct hop *h)
{
	int64_t now = hop_now_ms(h);

	if (now - h->paced_ms >= PACE_MS) {
		h->pace = now - h->paced_ms < 2 * PACE_MS ? (size_t)(h->done_n - h->paced_n) : 0;
		h->paced_n = h->done_n;
		h->paced_ms = now;
	}
	size_t so_far = (size_t)(h->done_n - h->paced_n);
	return so_far > h->pace ? so_far : h->pace;
}

/* Destinations that are slow or dead together never keep more than half of the room (the queue hands out fresh messages
 * up to three quarters): from three eighths on a hop gets no more than what is left of that half, so k of them leave
 * something to each other, whatever k is.  One that sends off what comes within seconds, and a short line, need no
 * limit.
 */
static bool has_room(struct hop *h)
{
	size_t most = (size_t)outbound_config(h->outbound)->queue.active_max, kept = h->pool->waiting_n;

	if (kept < most * 3 / 8 || h->waiting_n < FEW || h->waiting_n <= pace_of(h))
		return true;
	return kept < most / 2 && h->waiting_n < most / 2 - kept;
}

static void put_surplus_aside(struct hop *h, struct smtp_txn *t)
{
	const struct reply r = REPLY(451, 4, 3, 2, "");
	size_t pace = pace_of(h);
	int64_t wait_ms = pace == 0 ? SURPLUS_MS : (int64_t)(h->waiting_n / pace * PACE_MS);
	char text[480];

	wait_ms = wait_ms < SURPLUS_MS ? SURPLUS_MS : wait_ms > SURPLUS_MAX_MS ? SURPLUS_MAX_MS : wait_ms;
	snprintf(text, sizeof text, "%zu messages wait for the same server already%s%s", h->waiting_n,
		 h->last.text[0] != '\0' ? "; the last connection: " : "", h->last.text);
	hop_set_aside(t, &r, text, wait_ms);
}

void hop_put_surplus_aside(struct loop_task *task)
{
	struct pool *p = container_of(task, struct pool, put_aside);
	struct txns surplus = TAILQ_HEAD_INITIALIZER(surplus);
	struct smtp_txn *t;

	TAILQ_CONCAT(&surplus, &p->surplus, link);
	while ((t = TAILQ_FIRST(&surplus)) != NULL) {
		TAILQ_REMOVE(&surplus, t, link);
		put_surplus_aside(t->hop, t);
	}
}

void pool_add(struct hop *h, struct smtp_txn *t)
{
	struct pool *p = h->pool;

	must(t->over != NULL && t->rcpt_n > 0);
	t->hop = h;
	t->done = hop_on_txn_done;
	t->tries = 0;
	t->trial = t->untried = false;
	t->again_ms = 0;
	if (!has_room(h)) { /* over() does not run in here */
		if (TAILQ_EMPTY(&p->surplus))
			loop_defer(p->o.loop, &p->put_aside);
		TAILQ_INSERT_TAIL(&p->surplus, t, link);
		return;
	}
	TAILQ_INSERT_TAIL(&h->waiting, t, link);
	h->waiting_n++;
	p->waiting_n++;
	hop_wake(h);
}
