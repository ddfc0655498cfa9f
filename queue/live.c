/* queue/live.c: the commit thread's table of messages in motion, and what outcomes and orders do to a message.
 *
 * An entry lives from the moment its record is durable until the index says the same, or for as long as it is leased.
 * A message settled before its first checkpoint comes and goes here without the index hearing of it.  Recovery feeds
 * the same functions from the log, so running and replaying cannot differ.
 * Invariant: left = recipients that are not DONE; deferred = those of them with attempts; dirty <=> on the list. */
#include "queue/inner.h"

enum { SLOTS_FIRST = 1024, SPARE_MAX = 8192 };

void live_init(struct live_table *t)
{
	*t = (struct live_table){ .slot_n = SLOTS_FIRST, .dirty_due_ms = DUE_NEVER };
	t->slots = calloc(t->slot_n, sizeof(struct live *));
	must(t->slots != NULL);
	TAILQ_INIT(&t->dirty);
}

static void forget(struct live *l)
{
	for (size_t i = 0; l->rcpts != NULL && i < l->rcpt_n; i++)
		free(l->rcpts[i].text);
	free(l->rcpts);
	free(l->meta);
}

void live_fini(struct live_table *t)
{
	struct live *next;

	for (size_t i = 0; i < t->slot_n; i++)
		for (struct live *l = t->slots[i]; l != NULL; l = next) {
			next = l->hash_next;
			forget(l);
			free(l);
		}
	for (struct live *l = t->spare; l != NULL; l = next) {
		next = l->hash_next;
		free(l);
	}
	free(t->slots);
	*t = (struct live_table){ 0 };
}

static struct live **slot_of(const struct live_table *t, uint64_t id)
{
	/* ids are handed out in sequence by us: multiplying spreads them, nobody outside can choose them */
	return &t->slots[(id * UINT64_C(0x9E3779B97F4A7C15)) >> 32 & (t->slot_n - 1)];
}

struct live *live_find(const struct live_table *t, uint64_t id)
{
	struct live *l = *slot_of(t, id);

	while (l != NULL && l->id != id)
		l = l->hash_next;
	return l;
}

static void grow(struct live_table *t)
{
	struct live **old = t->slots, *next;
	size_t old_n = t->slot_n;

	t->slot_n *= 2;
	t->slots = calloc(t->slot_n, sizeof(struct live *));
	must(t->slots != NULL);
	for (size_t i = 0; i < old_n; i++)
		for (struct live *l = old[i]; l != NULL; l = next) {
			struct live **slot = slot_of(t, l->id);
			next = l->hash_next;
			l->hash_next = *slot;
			*slot = l;
		}
	free(old);
}

struct live *live_add(struct live_table *t, uint64_t id)
{
	struct live *l = t->spare, **slot;

	if (t->n >= t->slot_n)
		grow(t);
	if (l != NULL) {
		t->spare = l->hash_next;
		t->spare_n--;
	} else {
		l = malloc(sizeof *l);
		must(l != NULL);
	}
	slot = slot_of(t, id);
	*l = (struct live){ .id = id, .hash_next = *slot, .index_due_ms = DUE_NEVER };
	*slot = l;
	t->n++;
	return l;
}

void live_remove(struct live_table *t, struct live *l)
{
	struct live **at = slot_of(t, l->id);

	must(!l->leased && !(l->dirty && l->in_index));
	live_clean(t, l);
	while (*at != l)
		at = &(*at)->hash_next;
	*at = l->hash_next;
	t->n--;
	forget(l);
	if (t->spare_n >= SPARE_MAX) {
		free(l);
		return;
	}
	l->hash_next = t->spare;
	t->spare = l;
	t->spare_n++;
}

void live_mark(struct live_table *t, struct live *l)
{
	if (!l->leased && l->left > 0) {
		int64_t due_ms = live_due_ms(l);
		if (due_ms < t->dirty_due_ms)
			t->dirty_due_ms = due_ms;
	}
	if (l->dirty)
		return;
	l->dirty = true;
	TAILQ_INSERT_TAIL(&t->dirty, l, in_dirty);
	t->dirty_n++;
}

void live_clean(struct live_table *t, struct live *l)
{
	if (!l->dirty)
		return;
	l->dirty = false;
	TAILQ_REMOVE(&t->dirty, l, in_dirty);
	t->dirty_n--;
}

void live_load_rcpts(struct live *l)
{
	if (l->rcpts != NULL)
		return;
	l->rcpts = calloc(l->rcpt_n, sizeof(struct live_rcpt));
	must(l->rcpts != NULL);
	for (size_t i = 0; i < l->rcpt_n; i++)
		l->rcpts[i] = (struct live_rcpt){ .state = RCPT_PENDING, .due_ms = l->arrived_ms };
}

void live_keep_meta(struct live *l, struct str meta)
{
	if (l->meta != NULL)
		return;
	l->meta = malloc(meta.n);
	must(l->meta != NULL && meta.n > 0);
	memcpy(l->meta, meta.p, meta.n);
	l->meta_n = (uint32_t)meta.n;
}

int64_t live_due_ms(const struct live *l)
{
	int64_t due_ms = DUE_NEVER;

	if (l->rcpts == NULL)
		return l->left > 0 ? l->arrived_ms : DUE_NEVER;
	for (size_t i = 0; i < l->rcpt_n; i++)
		if (rcpt_has_due(l->rcpts[i].state) && l->rcpts[i].due_ms < due_ms)
			due_ms = l->rcpts[i].due_ms;
	return due_ms;
}

static void finish(struct live *l, struct live_rcpt *r, struct live_change *c)
{
	must(l->left > 0);
	if (r->attempts > 0) {
		l->deferred--;
		c->deferred--;
	}
	r->state = RCPT_DONE;
	r->changed = true;
	l->left--;
	c->gone++;
}

static void keep_text(struct live_rcpt *r, struct str text)
{
	text = str_head(text, ROW_TEXT_MAX);
	free(r->text);
	r->text = malloc(text.n + 1);
	must(r->text != NULL);
	if (text.n > 0)
		memcpy(r->text, text.p, text.n);
	r->text_n = (uint16_t)text.n;
}

static void defer(struct live *l, struct live_rcpt *r, const struct record_outcome *o, struct live_change *c)
{
	if (r->attempts == 0 && o->attempts > 0) {
		l->deferred++;
		c->deferred++;
	}
	r->attempts = o->attempts > 0 ? o->attempts : r->attempts;
	r->due_ms = o->due_ms;
	r->delay_told = o->delay_told;
	r->note = o->note;
	r->changed = true;
	if (r->state != RCPT_CONDEMNED) /* what its sender will be told stays */
		keep_text(r, o->text);
}

/* A recipient that is done stays done (removed while it was being tried), a held one stays held when deferred. */
void live_outcome(struct live *l, const struct record_outcome *o, struct live_change *c)
{
	if (o->rcpt >= l->rcpt_n)
		return;
	if (l->rcpts == NULL && l->rcpt_n == 1 && o->kind != OUTCOME_DEFERRED) {
		/* most messages: one recipient, delivered at once */
		c->gone += l->left;
		l->left = 0;
	} else {
		live_load_rcpts(l);
		struct live_rcpt *r = &l->rcpts[o->rcpt];
		if (r->state == RCPT_DONE)
			return;
		if (o->kind == OUTCOME_DEFERRED)
			defer(l, r, o, c);
		else
			finish(l, r, c);
	}
	c->delivered += o->kind == OUTCOME_DELIVERED;
	c->failed += o->kind == OUTCOME_FAILED;
}

void live_hold(struct live *l, struct str why)
{
	live_load_rcpts(l);
	for (size_t i = 0; i < l->rcpt_n; i++) {
		l->rcpts[i].state = RCPT_HELD;
		l->rcpts[i].changed = true;
		keep_text(&l->rcpts[i], why);
	}
}

void live_order(struct live *l, uint32_t rcpt, enum queue_verb v, int64_t now_ms, struct str reason,
		struct live_change *c)
{
	if (rcpt >= l->rcpt_n)
		return;
	live_load_rcpts(l);
	struct live_rcpt *r = &l->rcpts[rcpt];
	if (r->state == RCPT_DONE || (r->state == RCPT_CONDEMNED && v != QUEUE_REMOVE && v != QUEUE_RETRY))
		return;
	r->changed = true;
	switch (v) {
	case QUEUE_REMOVE:
		finish(l, r, c);
		return;
	case QUEUE_HOLD:
		if (r->state == RCPT_PENDING)
			r->state = RCPT_HELD;
		return;
	case QUEUE_RELEASE:
		if (r->state != RCPT_PENDING)
			r->due_ms = now_ms;
		r->state = RCPT_PENDING;
		return;
	case QUEUE_RETRY:
		r->due_ms = now_ms;
		return;
	case QUEUE_FAIL:
		r->state = RCPT_CONDEMNED;
		r->due_ms = now_ms;
		keep_text(r, reason);
		return;
	}
}
