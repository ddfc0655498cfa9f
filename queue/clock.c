/* queue/clock.c: a schedule on a wall clock that somebody may set back.
 *
 * Due times are wall clock, so that they mean something after a restart.  Forward is easy: more is due.  When the clock
 * goes back by more than STEP_MS, each due time that now lies ahead goes back with it, a slice of the schedule at a
 * time; nobody waits for the clock to catch up.  Noticed while running by the monotonic clock, at the start by the wall
 * clock of the last checkpoint, which stays ahead until all of the schedule has followed: a crash in the middle only
 * lets some messages be tried early.  At the start nothing is due later than the longest interval between two tries. */
#include "queue/inner.h"

#include "base/log.h"
#include "base/time.h"

enum { STEP_MS = 60 * 1000, SLICE = 1024, RETRY_MS = 1000, LOOK_TOOK_MS = 100 };

int64_t clock_due_limit_ms(const struct queue *q, int64_t wall_ms)
{
	int64_t interval_ms = q->limits.retry_max_interval_ms;

	return interval_ms > 0 ? wall_ms + interval_ms + interval_ms / 8 + STEP_MS : DUE_NEVER;
}

static void begin(struct queue *q, int64_t shift_ms, int64_t wall_ms)
{
	struct clock_watch *w = &q->clock;

	w->shift_ms = shift_ms + (w->shifting ? w->shift_ms : 0);
	w->shifting = true;
	w->at_ms = 0;
	index_key_due(w->from, (w->shift_ms > 0 ? wall_ms : clock_due_limit_ms(q, wall_ms)) + 1, 0);
	if (shift_ms > 0)
		log_warn(NULL, "queue.clock_set_back", kv_int("seconds", shift_ms / 1000));
}

void clock_open(struct queue *q, int64_t stored_ms)
{
	int64_t wall_ms = clock_wall_ms(), shift_ms = stored_ms - wall_ms;

	q->clock.ahead_ms = wall_ms - clock_mono_ms();
	if (shift_ms > STEP_MS || q->limits.retry_max_interval_ms > 0)
		begin(q, shift_ms > STEP_MS ? shift_ms : 0, wall_ms);
}

int64_t clock_to_store_ms(const struct queue *q)
{
	return clock_wall_ms() + (q->clock.shifting ? q->clock.shift_ms : 0);
}

static void follow_rcpts(struct queue *q, struct live *l, int64_t wall_ms)
{
	int64_t limit_ms = clock_due_limit_ms(q, wall_ms);
	bool changed = false;

	live_load_rcpts(l);
	for (uint32_t i = 0; i < l->rcpt_n; i++) {
		struct live_rcpt *r = &l->rcpts[i];
		int64_t due_ms = r->due_ms - q->clock.shift_ms;
		if (!rcpt_has_due(r->state) || r->due_ms <= wall_ms)
			continue;
		due_ms = due_ms < wall_ms ? wall_ms : due_ms > limit_ms ? limit_ms : due_ms;
		changed = changed || due_ms != r->due_ms;
		r->changed = r->changed || due_ms != r->due_ms;
		r->due_ms = due_ms;
	}
	if (changed)
		commit_mark(q, l);
	else if (!l->leased && !l->dirty)
		live_remove(&q->live, l);
}

static void follow(struct queue *q, struct store_txn *t, uint64_t id, int64_t wall_ms)
{
	struct live *l = live_find(&q->live, id);
	unsigned char key[8];
	struct row_message m;
	struct str value;

	store_key64(key, id);
	if (l == NULL && store_get(t, q->index.message, str_n(key, sizeof key), &value) && row_get_message(value, &m))
		l = index_load(q, t, id, &m);
	if (l != NULL && l->left > 0)
		follow_rcpts(q, l, wall_ms);
}

/* The index is all there is to look at: the slice begins with a checkpoint. */
static void slice(struct queue *q, int64_t now_ms)
{
	struct clock_watch *w = &q->clock;
	int64_t wall_ms = clock_wall_ms();
	struct store_txn *t = NULL;
	struct str key, value;
	struct err e;

	if ((q->live.dirty_n > 0 && commit_checkpoint(q, &e) != 0) || (t = store_read(q->index.store, &e)) == NULL) {
		w->at_ms = now_ms + RETRY_MS;
		return;
	}
	struct store_cursor *c = store_seek(t, q->index.due, str_n(w->from, sizeof w->from));
	for (size_t n = 0; n < SLICE && store_at(c, &key, &value) && key.n == sizeof w->from; store_next(c), n++)
		follow(q, t, store_num64(str_skip(key, 8)), wall_ms);
	w->shifting = store_at(c, &key, &value) && key.n == sizeof w->from;
	if (w->shifting)
		memcpy(w->from, key.p, sizeof w->from);
	store_cursor_close(&c);
	store_abort(&t);
}

static void watch(struct queue *q)
{
	int64_t mono_ms = clock_mono_ms(), wall_ms = clock_wall_ms(), took_ms = clock_mono_ms() - mono_ms;
	int64_t back_ms = q->clock.ahead_ms - (wall_ms - mono_ms);

	if (took_ms < 0 || took_ms > LOOK_TOOK_MS)
		return; /* the two do not belong together */
	if (back_ms > STEP_MS)
		begin(q, back_ms, wall_ms);
	q->clock.ahead_ms = wall_ms - mono_ms;
}

void clock_step(struct queue *q, int64_t now_ms)
{
	watch(q);
	if (q->clock.shifting && q->clock.at_ms <= now_ms)
		slice(q, now_ms);
}

int64_t clock_deadline_ms(const struct queue *q)
{
	return q->clock.shifting ? q->clock.at_ms : INT64_MAX;
}
