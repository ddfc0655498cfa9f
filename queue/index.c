/* queue/index.c: the rows LMDB keeps, written by the commit thread in one transaction per checkpoint.
 *
 * The transaction that brings the rows up to a log position carries that position: whichever of two checkpoints a crash
 * leaves behind, replaying the log from its position gives the same state.  The index trails the log, never leads it.
 * Invariants (asserted by queue_check): one rcpt row for each recipient that is not done; message.left counts them;
 * message.due_ms is the earliest of the pending ones and has exactly one due row, or is DUE_NEVER and has none. */
#include "queue/inner.h"

#include "base/fault.h"

#include <endian.h>

enum { ROW_MAX = 4096 };

static const struct str checkpoint_key = STR_LIT("checkpoint"), clock_key = STR_LIT("clock");

int index_open(struct index *ix, const char *path, uint64_t map_bytes, bool read_only, struct err *e)
{
	struct store_options o = { .map_bytes = map_bytes, .dbs = 4, .read_only = read_only };

	ix->store = store_open(path, &o, e);
	if (ix->store == NULL)
		return -1;
	if (store_table(ix->store, "meta", &ix->meta, e) == 0 &&
	    store_table(ix->store, "message", &ix->message, e) == 0 &&
	    store_table(ix->store, "rcpt", &ix->rcpt, e) == 0 && store_table(ix->store, "due", &ix->due, e) == 0)
		return 0;
	index_close(ix);
	return -1;
}

void index_close(struct index *ix)
{
	store_close(&ix->store);
}

void index_key_rcpt(unsigned char to[12], uint64_t id, uint32_t rcpt)
{
	uint32_t big_endian = htobe32(rcpt);

	store_key64(to, id);
	memcpy(to + 8, &big_endian, sizeof big_endian);
}

void index_key_due(unsigned char to[16], int64_t due_ms, uint64_t id)
{
	store_key64(to, due_ms < 0 ? 0 : (uint64_t)due_ms);
	store_key64(to + 8, id);
}

int index_get_checkpoint(struct index *ix, struct row_checkpoint *c, bool *found, struct err *e)
{
	struct store_txn *t = store_read(ix->store, e);
	struct str value;

	if (t == NULL)
		return -1;
	*found = store_get(t, ix->meta, checkpoint_key, &value);
	bool ok = !*found || row_get_checkpoint(value, c);
	store_abort(&t);
	return ok ? 0
		  : err_set(e, ERR_CORRUPT, "queue.index", "index/ was written by another version: use that program");
}

int64_t index_get_clock_ms(struct index *ix)
{
	struct err e;
	struct store_txn *t = store_read(ix->store, &e);
	struct str value;
	uint64_t ms = 0;

	if (t != NULL && store_get(t, ix->meta, clock_key, &value) && value.n == 8)
		ms = store_num64(value);
	store_abort(&t);
	return ms <= INT64_MAX ? (int64_t)ms : 0;
}

int index_each_message(struct index *ix, index_message_fn *fn, void *arg, struct err *e)
{
	struct store_txn *t = store_read(ix->store, e);
	struct row_message m;
	struct str key, value;
	bool ok = true;

	if (t == NULL)
		return -1;
	struct store_cursor *c = store_seek(t, ix->message, STR_NONE);
	for (; ok && store_at(c, &key, &value); store_next(c)) {
		ok = key.n == 8 && row_get_message(value, &m);
		if (ok)
			fn(arg, store_num64(key), &m);
	}
	store_cursor_close(&c);
	ok = ok && !store_failed(t);
	store_abort(&t);
	return ok ? 0 : err_set(e, ERR_CORRUPT, "queue.index", "index/ holds a message row that does not decode");
}

/* ---- one message into the index ---- */

struct flush {
	struct queue *q;
	struct store_txn *t;
	struct buf row;
};

static void put(struct flush *f, store_db db, const void *key, size_t key_n)
{
	must(!f->row.full);
	store_put(f->t, db, str_n(key, key_n), buf_str(&f->row));
}

static void put_due(struct flush *f, struct live *l, int64_t due_ms)
{
	unsigned char key[16];

	if (due_ms == l->index_due_ms && l->in_index)
		return;
	if (l->in_index && l->index_due_ms != DUE_NEVER) {
		index_key_due(key, l->index_due_ms, l->id);
		store_del(f->t, f->q->index.due, str_n(key, sizeof key));
	}
	if (due_ms == DUE_NEVER)
		return;
	index_key_due(key, due_ms, l->id);
	store_put(f->t, f->q->index.due, str_n(key, sizeof key), S(""));
}

static void put_message(struct flush *f, struct live *l, int64_t due_ms, struct str from, struct str trace_id)
{
	unsigned char key[8];

	store_key64(key, l->id);
	buf_reset(&f->row);
	row_put_message(&f->row, &(struct row_message){ .segment = l->segment,
							.size = l->size,
							.offset = l->offset,
							.length = l->length,
							.arrived_ms = l->arrived_ms,
							.due_ms = due_ms,
							.rcpt_n = l->rcpt_n,
							.left = l->left,
							.deferred = l->deferred,
							.big = l->big,
							.from = from,
							.trace_id = trace_id });
	put(f, f->q->index.message, key, sizeof key);
}

static void put_rcpt(struct flush *f, struct live *l, uint32_t i, struct str addr, struct str text)
{
	static const struct live_rcpt untouched = { .state = RCPT_PENDING };
	const struct live_rcpt *r = l->rcpts == NULL ? &untouched : &l->rcpts[i];
	unsigned char key[12];

	index_key_rcpt(key, l->id, i);
	buf_reset(&f->row);
	row_put_rcpt(&f->row, &(struct row_rcpt){ .state = (enum rcpt_state)r->state,
						  .delay_told = r->delay_told,
						  .note = r->note,
						  .attempts = r->attempts,
						  .due_ms = l->rcpts == NULL ? l->arrived_ms : r->due_ms,
						  .addr = addr,
						  .text = r->text != NULL ? str_n(r->text, r->text_n) : text });
	put(f, f->q->index.rcpt, key, sizeof key);
}

struct env_rcpt *queue_scratch(struct queue *q, size_t n)
{
	if (n > q->scratch_cap) {
		q->scratch_cap = n < 256 ? 256 : n;
		q->scratch = realloc(q->scratch, q->scratch_cap * sizeof *q->scratch);
		must(q->scratch != NULL);
	}
	return q->scratch;
}

static void insert(struct flush *f, struct live *l)
{
	struct str meta = l->meta != NULL ? str_n(l->meta, l->meta_n) : parcel_meta(l->parcel);
	struct envelope env;

	must(record_get_envelope(meta, &env, queue_scratch(f->q, record_rcpt_n(meta))));
	must(env.rcpt_n == l->rcpt_n);
	put_due(f, l, live_due_ms(l));
	put_message(f, l, live_due_ms(l), env.from, env.trace_id);
	for (uint32_t i = 0; i < l->rcpt_n; i++)
		if (l->rcpts == NULL || l->rcpts[i].state != RCPT_DONE)
			put_rcpt(f, l, i, env.rcpts[i].addr, STR_NONE);
}

static void update_rcpt(struct flush *f, struct live *l, uint32_t i)
{
	unsigned char key[12];
	struct row_rcpt row;
	struct str value;
	char copy[ROW_ADDR_MAX + ROW_TEXT_MAX];

	index_key_rcpt(key, l->id, i);
	if (l->rcpts[i].state == RCPT_DONE) {
		store_del(f->t, f->q->index.rcpt, str_n(key, sizeof key));
		return;
	}
	if (!store_get(f->t, f->q->index.rcpt, str_n(key, sizeof key), &value) || !row_get_rcpt(value, &row))
		return;                       /* the transaction failed, or queue_check has something to tell */
	memcpy(copy, row.addr.p, row.addr.n); /* views into LMDB die at the next put */
	if (row.text.n > 0)
		memcpy(copy + row.addr.n, row.text.p, row.text.n);
	put_rcpt(f, l, i, str_n(copy, row.addr.n), str_n(copy + row.addr.n, row.text.n));
}

static void update(struct flush *f, struct live *l)
{
	char copy[ROW_ADDR_MAX + ROW_TRACE_MAX];
	unsigned char key[8];
	struct row_message row;
	struct str value;

	store_key64(key, l->id);
	if (!store_get(f->t, f->q->index.message, str_n(key, sizeof key), &value) || !row_get_message(value, &row))
		return;
	if (row.from.n > 0)
		memcpy(copy, row.from.p, row.from.n);
	if (row.trace_id.n > 0)
		memcpy(copy + row.from.n, row.trace_id.p, row.trace_id.n);
	put_due(f, l, live_due_ms(l));
	put_message(f, l, live_due_ms(l), str_n(copy, row.from.n), str_n(copy + row.from.n, row.trace_id.n));
	for (uint32_t i = 0; l->rcpts != NULL && i < l->rcpt_n; i++)
		if (l->rcpts[i].changed)
			update_rcpt(f, l, i);
}

static void delete (struct flush *f, struct live *l)
{
	unsigned char key[12];

	put_due(f, l, DUE_NEVER);
	store_key64(key, l->id);
	store_del(f->t, f->q->index.message, str_n(key, 8));
	for (uint32_t i = 0; i < l->rcpt_n; i++) {
		index_key_rcpt(key, l->id, i);
		store_del(f->t, f->q->index.rcpt, str_n(key, sizeof key));
	}
}

/* ---- all that is dirty ---- */

static void flush_one(struct flush *f, struct live *l)
{
	if (l->left == 0 && l->in_index)
		delete (f, l);
	else if (l->left > 0 && l->in_index)
		update(f, l);
	else if (l->left > 0)
		insert(f, l);
}

/* The index knows: forget what it now holds for us. */
static void settle_one(struct queue *q, struct live *l)
{
	int64_t due_ms = live_due_ms(l);

	if (!l->leased && due_ms != DUE_NEVER)
		due_changed(q, due_ms, l->id);
	live_clean(&q->live, l);
	l->in_index = l->left > 0;
	l->index_due_ms = due_ms;
	if (l->left == 0 && l->big && !l->leased)
		disk_unlink_big(q, l->id);
	if (!l->leased) {
		live_remove(&q->live, l);
		return;
	}
	for (uint32_t i = 0; l->rcpts != NULL && i < l->rcpt_n; i++) {
		free(l->rcpts[i].text);
		l->rcpts[i].text = NULL;
		l->rcpts[i].changed = false;
	}
	free(l->meta);
	l->meta = NULL;
}

int index_flush(struct queue *q, const struct row_checkpoint *c, struct err *e)
{
	struct flush f = { .q = q };
	unsigned char clock[8];
	struct live *l, *next;

	if (fault("queue.checkpoint_begin"))
		return err_sys(e, ERR_IO, "queue.checkpoint", "cannot begin");
	f.t = store_write(q->index.store, e);
	if (f.t == NULL)
		return -1;
	buf_init_sure(&f.row, ROW_MAX);
	TAILQ_FOREACH (l, &q->live.dirty, in_dirty)
		flush_one(&f, l);
	taken_flush(q, f.t);
	buf_reset(&f.row);
	row_put_checkpoint(&f.row, c);
	store_put(f.t, q->index.meta, checkpoint_key, buf_str(&f.row));
	buf_fini(&f.row);
	store_key64(clock, (uint64_t)clock_to_store_ms(q));
	store_put(f.t, q->index.meta, clock_key, str_n(clock, sizeof clock));
	if (store_commit(&f.t, e) != 0)
		return -1;
	taken_flushed(q);
	q->live.dirty_due_ms = DUE_NEVER;
	for (l = TAILQ_FIRST(&q->live.dirty); l != NULL; l = next) {
		next = TAILQ_NEXT(l, in_dirty);
		settle_one(q, l);
	}
	fault("queue.checkpoint_done");
	return 0;
}

/* ---- back from the index ---- */

struct live *index_load(struct queue *q, struct store_txn *t, uint64_t id, const struct row_message *m)
{
	unsigned char key[12];
	struct row_rcpt row;
	struct str k, value;
	struct live *l = live_add(&q->live, id);

	*l = (struct live){ .hash_next = l->hash_next,
			    .id = id,
			    .segment = m->segment,
			    .size = m->size,
			    .offset = m->offset,
			    .length = m->length,
			    .rcpt_n = m->rcpt_n,
			    .left = m->left,
			    .deferred = m->deferred,
			    .big = m->big,
			    .in_index = true,
			    .arrived_ms = m->arrived_ms,
			    .index_due_ms = m->due_ms };
	live_load_rcpts(l);
	for (uint32_t i = 0; i < l->rcpt_n; i++)
		l->rcpts[i].state = RCPT_DONE;
	index_key_rcpt(key, id, 0);
	struct store_cursor *c = store_seek(t, q->index.rcpt, str_n(key, sizeof key));
	for (; store_at(c, &k, &value) && k.n == 12 && store_num64(k) == id; store_next(c)) {
		uint32_t i;
		memcpy(&i, k.p + 8, sizeof i);
		i = be32toh(i);
		if (i >= l->rcpt_n || !row_get_rcpt(value, &row))
			continue;
		l->rcpts[i] = (struct live_rcpt){ .due_ms = row.due_ms,
						  .attempts = row.attempts,
						  .state = (uint8_t)row.state,
						  .delay_told = row.delay_told,
						  .note = row.note };
	}
	store_cursor_close(&c);
	return l;
}
