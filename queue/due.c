/* queue/due.c: from the schedule on disk to the loops.
 *
 * `due_from` is a key of the due table: every row before it belongs to a message that is in the live table (leased, or
 * settled and waiting for the checkpoint), so a scan begins there.  Whoever puts a row before it moves it back.
 * `due_wake_ms` is the time of the first row from there on. */
#include "queue/inner.h"

#include "base/time.h"

enum { BATCH = 256, SKIP_MAX = 8192 };

void due_changed(struct queue *q, int64_t due_ms, uint64_t id)
{
	unsigned char key[16];

	index_key_due(key, due_ms, id);
	if (memcmp(key, q->due_from, sizeof key) < 0)
		memcpy(q->due_from, key, sizeof key);
	if (due_ms < q->due_wake_ms)
		q->due_wake_ms = due_ms;
}

static bool has_room(const struct queue *q, const struct queue_port *p)
{
	return p->on_lease != NULL && !p->paused && p->active < (size_t)q->limits.active_max;
}

bool due_has_room(const struct queue *q)
{
	for (size_t i = 0; i < q->port_n; i++)
		if (has_room(q, q->ports[i]))
			return true;
	return false;
}

/* Round robin over the ports that have room. */
static struct queue_port *pick_port(struct queue *q)
{
	size_t n = q->port_n;

	for (size_t i = 0; i < n; i++) {
		struct queue_port *p = q->ports[(q->next_port + i) % n];
		if (has_room(q, p)) {
			q->next_port = (q->next_port + i + 1) % n;
			return p;
		}
	}
	return NULL;
}

/* Copies who is due and what was said to them last; the texts live in the parcel. */
static bool fill_due(struct queue *q, struct store_txn *t, struct live *l, struct parcel *p, int64_t now_ms)
{
	size_t text_n = 0;

	p->due_n = 0;
	parcel_room_for_due(p, l->left);
	for (uint32_t i = 0; i < l->rcpt_n; i++) {
		const struct live_rcpt *r = &l->rcpts[i];
		if (rcpt_has_due(r->state) && r->due_ms <= now_ms)
			p->due[p->due_n++] = (struct lease_rcpt){ .index = i,
								  .attempts = r->attempts,
								  .delay_told = r->delay_told,
								  .note = r->note,
								  .condemned = r->state == RCPT_CONDEMNED };
	}
	/* room first, so that the views stay where they are */
	buf_reset(&p->texts);
	buf_reserve(&p->texts, p->due_n * ROW_TEXT_MAX);
	for (size_t i = 0; i < p->due_n; i++) {
		struct row_rcpt row;
		unsigned char key[12];
		struct str value;
		index_key_rcpt(key, l->id, p->due[i].index);
		bool has_text = p->due[i].attempts > 0 || p->due[i].condemned;
		if (!has_text || !store_get(t, q->index.rcpt, str_n(key, sizeof key), &value) ||
		    !row_get_rcpt(value, &row) || text_n + row.text.n > p->texts.cap || !buf_add(&p->texts, row.text))
			continue;
		p->due[i].last = str_n(p->texts.p + text_n, row.text.n);
		text_n += row.text.n;
	}
	return p->due_n > 0;
}

/* Loads one message and sends the disk thread for its bytes. */
static void lease_one(struct queue *q, struct store_txn *t, uint64_t id, int64_t now_ms, struct queue_port *port)
{
	unsigned char key[8];
	struct row_message m;
	struct str value;

	store_key64(key, id);
	if (!store_get(t, q->index.message, str_n(key, sizeof key), &value) || !row_get_message(value, &m))
		return; /* queue_check would tell */
	struct live *l = index_load(q, t, id, &m);
	struct parcel *p = parcel_new(q);
	if (!fill_due(q, t, l, p, now_ms)) {
		parcel_give(q, p);
		live_remove(&q->live, l);
		return;
	}
	p->id = id;
	p->request.kind = REQ_LEASE;
	p->request.port = port;
	p->stage = PARCEL_AWAY;
	p->offset = l->offset;
	p->record = (struct record){ .segment = l->segment };
	p->with_content = !l->big && q->memory + l->size <= q->limits.memory_max;
	p->charged = p->with_content ? l->size : 0;
	q->memory += p->charged;
	l->leased = true;
	l->parcel = p;
	port->active++;
	q->leased++;
	disk_read_lease(q, p);
}

static void scan(struct queue *q, struct store_txn *t, int64_t now_ms)
{
	struct store_cursor *c = store_seek(t, q->index.due, str_n(q->due_from, sizeof q->due_from));
	struct queue_port *port = NULL;
	size_t leased = 0, skipped = 0;
	struct str key, value;

	q->due_wake_ms = DUE_NEVER;
	for (; store_at(c, &key, &value) && key.n == sizeof q->due_from; store_next(c)) {
		int64_t due_ms = (int64_t)store_num64(key);
		uint64_t id = store_num64(str_skip(key, 8));
		bool known = live_find(&q->live, id) != NULL;
		if (due_ms > now_ms || leased == BATCH || skipped == SKIP_MAX ||
		    (!known && (port = pick_port(q)) == NULL)) {
			q->due_wake_ms = due_ms;
			break;
		}
		memcpy(q->due_from, key.p, sizeof q->due_from); /* this row is leased, or in the live table */
		if (known)
			skipped++;
		else
			lease_one(q, t, id, now_ms, port), leased++;
	}
	store_cursor_close(&c);
}

void due_dispatch(struct queue *q)
{
	int64_t now_ms = clock_wall_ms();
	struct err e;

	if (q->live.dirty_due_ms <= now_ms && q->live.dirty_due_ms != DUE_NEVER && due_has_room(q))
		q->checkpoint_at_ms = 0; /* those are not in the index yet, and somebody could take them */
	if (q->due_wake_ms > now_ms || !due_has_room(q))
		return;
	struct store_txn *t = store_read(q->index.store, &e);
	if (t == NULL)
		return;
	scan(q, t, now_ms);
	store_abort(&t);
}
