/* queue/query.c: questions and orders of the administrator, a slice at a time between two groups.
 *
 * Every slice begins with a checkpoint, so the index is all there is to look at; the live table only adds who is leased
 * just now.  An order is written to the log first, as RECORD_ORDER for each message, then done. */
#include "queue/inner.h"
#include "queue/where.h"

#include "base/log.h"
#include "base/time.h"

#include <endian.h>

enum {
	SLICE_MESSAGES = 512,
	SLICE_RCPTS = 8192,
	ROWS_DEFAULT = 1000,
	ROWS_MAX = 100000,
	TEXTS_MAX = 256 * 1024 * 1024
};

/* ---- the filter ---- */

static bool address_matches(struct str pattern, struct str addr)
{
	if (pattern.n == 0)
		return true;
	if (pattern.p[0] != '@')
		return str_ieq(pattern, addr);
	ssize_t at = str_rchr(addr, '@');
	return at >= 0 && str_ieq(pattern, str_skip(addr, (size_t)at));
}

static bool message_matches(const struct queue_filter *f, uint64_t id, const struct row_message *m, int64_t now_ms)
{
	return (f->id == 0 || f->id == id) && address_matches(f->from, m->from) &&
	       (f->older_than_ms == 0 || now_ms - m->arrived_ms >= f->older_than_ms);
}

static bool number_matches(const struct queue_target *t, uint32_t number)
{
	for (size_t i = 0; t != NULL && i < t->number_n; i++)
		if (t->numbers[i] == number)
			return true;
	return t == NULL || t->number_n == 0;
}

static bool rcpt_matches(const struct queue_filter *f, const struct row_rcpt *r)
{
	return (!f->held_only || r->state == RCPT_HELD || r->state == RCPT_POISON) &&
	       (!f->deferred_only || (r->state == RCPT_PENDING && r->attempts > 0)) &&
	       address_matches(f->rcpt, r->addr);
}

/* ---- one slice ---- */

struct slice {
	struct queue *q;
	struct ask *a;
	struct store_txn *t;
	int64_t now_ms;
	struct buf log;  /* orders: the records */
	uint32_t *rcpts; /* orders: of the present message */
	size_t rcpt_n, rcpt_cap, looked;
};

static struct str keep_text(struct ask *a, struct str s)
{
	struct str offset = { (const char *)(uintptr_t)a->row_texts.n, s.n };

	buf_add(&a->row_texts, s);
	return offset;
}

/* Texts are views of the index. */
static struct queue_row row_of(const struct slice *s, uint64_t id, const struct row_message *m,
			       const struct row_rcpt *r)
{
	const struct live *l = live_find(&s->q->live, id);
	bool leased = l != NULL && l->leased;

	return (struct queue_row){
		.id = id,
		.from = m->from,
		.rcpt = r->addr,
		.last = r->text,
		.trace_id = m->trace_id,
		.size = m->size,
		.arrived_ms = m->arrived_ms,
		.due_ms = r->due_ms,
		.attempts = r->attempts,
		.leased = leased,
		.state = r->state == RCPT_HELD              ? QUEUE_HELD
			 : r->state == RCPT_POISON          ? QUEUE_POISON
			 : leased || r->due_ms <= s->now_ms ? QUEUE_ACTIVE
							    : QUEUE_DEFERRED,
	};
}

static void add_row(struct ask *a, struct queue_row row)
{
	row.from = keep_text(a, row.from);
	row.rcpt = keep_text(a, row.rcpt);
	row.last = keep_text(a, row.last);
	row.trace_id = keep_text(a, row.trace_id);
	buf_add(&a->rows, str_n(&row, sizeof row));
	a->row_n++;
}

static void note_rcpt(struct slice *s, uint32_t rcpt)
{
	if (s->rcpt_n == s->rcpt_cap) {
		s->rcpt_cap = s->rcpt_cap == 0 ? 64 : s->rcpt_cap * 2;
		s->rcpts = realloc(s->rcpts, s->rcpt_cap * sizeof *s->rcpts);
		must(s->rcpts != NULL);
	}
	s->rcpts[s->rcpt_n++] = rcpt;
}

static void note_order(struct slice *s, uint64_t id)
{
	static const char padding[RECORD_ALIGN];
	size_t head_at = s->log.n;
	struct str reason = str_head(str_c(s->a->reason), ROW_TEXT_MAX);
	struct record r = {
		.kind = RECORD_ORDER, .id = id, .body_n = (uint32_t)reason.n, .body_check = record_sum(reason)
	};

	must(buf_reserve(&s->log, RECORD_HEAD) != NULL);
	buf_commit(&s->log, RECORD_HEAD);
	buf_add(&s->log, reason);
	size_t meta_at = s->log.n;
	record_put_order(&s->log, (uint8_t)s->a->verb, s->now_ms, s->rcpts, s->rcpt_n);
	r.meta_n = (uint32_t)(s->log.n - meta_at);
	r.meta_check = record_sum(str_n(s->log.p + meta_at, r.meta_n));
	record_put_head(s->log.p + head_at, &r);
	buf_add(&s->log, str_n(padding, (size_t)record_length(&r) - (s->log.n - head_at)));
	must(!s->log.full);
}

static void look_at_message(struct slice *s, uint64_t id, const struct row_message *m)
{
	struct ask *a = s->a;
	unsigned char from[12];
	struct row_rcpt r;
	struct str key, value;
	size_t hits = 0;

	s->rcpt_n = 0;
	index_key_rcpt(from, id, 0);
	struct store_cursor *c = store_seek(s->t, s->q->index.rcpt, str_n(from, sizeof from));
	for (; store_at(c, &key, &value) && key.n == 12 && store_num64(key) == id; store_next(c)) {
		uint32_t i;
		memcpy(&i, key.p + 8, sizeof i);
		i = be32toh(i);
		s->looked++;
		if (!row_get_rcpt(value, &r) || !number_matches(a->target, i) || !rcpt_matches(&a->filter, &r))
			continue;
		struct queue_row row = row_of(s, id, m, &r);
		row.number = i;
		if (a->filter.where != NULL && !queue_where_match(a->filter.where, &row, s->now_ms))
			continue;
		hits++;
		if (a->is_order)
			note_rcpt(s, i);
		else
			add_row(a, row);
	}
	store_cursor_close(&c);
	a->messages += hits > 0;
	a->recipients += hits;
	if (a->is_order && hits > 0 && !a->dry_run)
		note_order(s, id);
}

static bool is_full(const struct slice *s, size_t n)
{
	return n == SLICE_MESSAGES * 8 || s->looked >= SLICE_RCPTS || s->log.n > s->log.max / 2;
}

/* Looks at messages after a->after; false when there are no more to look at. */
static bool look(struct slice *s)
{
	struct ask *a = s->a;
	struct row_message m;
	struct str key, value;
	unsigned char from[8];
	bool more = false;

	store_key64(from, a->filter.id != 0 ? a->filter.id : a->after + 1);
	struct store_cursor *c = store_seek(s->t, s->q->index.message, str_n(from, sizeof from));
	for (size_t n = 0; store_at(c, &key, &value) && key.n == 8 && row_get_message(value, &m); store_next(c), n++) {
		uint64_t id = store_num64(key);
		if (a->filter.id != 0 && id != a->filter.id)
			break;
		a->more = !a->is_order && a->row_n >= a->filter.max; /* there is another message, perhaps a match */
		if (a->more || is_full(s, n)) {
			more = !a->more;
			break;
		}
		a->after = id;
		if (message_matches(&a->filter, id, &m, s->now_ms))
			look_at_message(s, id, &m);
		if (a->filter.id != 0)
			break;
	}
	store_cursor_close(&c);
	return more;
}

/* The same over targets: each is asked for by its id. */
static bool look_at_targets(struct slice *s)
{
	struct ask *a = s->a;
	struct row_message m;
	unsigned char key[8];
	struct str value;

	for (size_t n = 0; a->after < a->filter.target_n; n++) {
		if (is_full(s, n))
			return true;
		a->target = &a->targets[a->after++];
		store_key64(key, a->target->id);
		if (store_get(s->t, s->q->index.message, str_n(key, sizeof key), &value) &&
		    row_get_message(value, &m) && message_matches(&a->filter, a->target->id, &m, s->now_ms))
			look_at_message(s, a->target->id, &m);
	}
	return false;
}

/* ---- orders: after the log has them ---- */

static struct live *bring(struct slice *s, uint64_t id)
{
	struct live *l = live_find(&s->q->live, id);
	unsigned char key[8];
	struct row_message m;
	struct str value;

	if (l != NULL)
		return l;
	store_key64(key, id);
	if (!store_get(s->t, s->q->index.message, str_n(key, sizeof key), &value) || !row_get_message(value, &m))
		return NULL;
	return index_load(s->q, s->t, id, &m);
}

static void obey(struct slice *s, const struct record *r, struct str payload)
{
	struct live *l = bring(s, r->id);
	struct live_change c = { 0 };
	struct record_order o;
	uint32_t rcpt;

	if (l == NULL)
		return;
	must(record_get_order(str_skip(payload, r->body_n), &o));
	while (record_order_next(&o, &rcpt))
		live_order(l, rcpt, (enum queue_verb)o.verb, o.at_ms, str_head(payload, r->body_n), &c);
	commit_count(s->q, &c);
	live_mark(&s->q->live, l);
	if (l->left == 0 && !l->leased)
		commit_end_message(s->q, l);
}

static void obey_all(struct slice *s)
{
	struct record r;

	for (size_t at = 0; at < s->log.n; at += record_length(&r)) {
		uint64_t segment = s->q->log.v[s->q->log.n - 1].seq;
		must(record_get_head(s->log.p + at, segment, &r));
		obey(s, &r, str_n(s->log.p + at + RECORD_HEAD, (size_t)r.body_n + r.meta_n));
	}
	s->q->checkpoint_at_ms = 0;
}

/* ---- running ---- */

static bool run_slice(struct queue *q, struct ask *a)
{
	struct slice s = { .q = q, .a = a, .now_ms = clock_wall_ms() };
	uint64_t after = a->after, messages = a->messages, recipients = a->recipients;
	bool more = false;

	if ((q->live.dirty_n > 0 && commit_checkpoint(q, &a->err) != 0) ||
	    (s.t = store_read(q->index.store, &a->err)) == NULL) {
		a->ok = false;
		return false;
	}
	buf_init_sure(&s.log, q->segment_bytes / 2);
	more = a->filter.target_n > 0 ? look_at_targets(&s) : look(&s);
	if (s.log.n > 0 && commit_records(q, &s.log, &a->err) != 0) {
		a->ok = a->err.code == ERR_BUSY; /* no segment yet: the same slice again */
		more = a->ok;
		a->after = after;
		a->messages = messages;
		a->recipients = recipients;
	} else if (s.log.n > 0) {
		obey_all(&s);
	}
	store_abort(&s.t);
	buf_fini(&s.log);
	free(s.rcpts);
	return more;
}

void ask_step(struct queue *q)
{
	struct ask *a = q->asks;

	if (a == NULL || run_slice(q, a))
		return;
	if ((q->asks = a->next) == NULL)
		q->asks_end = &q->asks;
	commit_answer(&a->request);
}

/* ---- the loop's side ---- */

static void copy_targets(struct ask *a, const struct queue_filter *f)
{
	size_t n = 0;

	if (f->target_n == 0)
		return;
	for (size_t i = 0; i < f->target_n; i++)
		n += f->targets[i].number_n;
	a->targets = calloc(f->target_n, sizeof *a->targets);
	a->numbers = calloc(n + 1, sizeof *a->numbers);
	must(a->targets != NULL && a->numbers != NULL);
	n = 0;
	for (size_t i = 0; i < f->target_n; i++) {
		a->targets[i] = f->targets[i];
		a->targets[i].numbers = a->numbers + n;
		if (f->targets[i].number_n > 0)
			memcpy(a->numbers + n, f->targets[i].numbers, f->targets[i].number_n * sizeof *a->numbers);
		n += f->targets[i].number_n;
	}
	a->filter.targets = a->targets;
}

static struct ask *ask_new(struct queue_port *p, const struct queue_filter *f, void *owner)
{
	struct ask *a = calloc(1, sizeof *a);

	must(a != NULL);
	a->request.kind = REQ_ASK;
	a->request.port = p;
	a->owner = owner;
	a->filter = *f;
	a->after = f->after_id;
	a->ok = true;
	if (f->max == 0)
		a->filter.max = ROWS_DEFAULT;
	if (f->max > ROWS_MAX)
		a->filter.max = ROWS_MAX;
	a->texts = malloc(f->from.n + f->rcpt.n + 1);
	must(a->texts != NULL);
	if (f->from.n > 0)
		memcpy(a->texts, f->from.p, f->from.n);
	if (f->rcpt.n > 0)
		memcpy(a->texts + f->from.n, f->rcpt.p, f->rcpt.n);
	a->filter.where = a->where = queue_where_copy(f->where);
	copy_targets(a, f);
	a->filter.from = str_n(a->texts, f->from.n);
	a->filter.rcpt = str_n(a->texts + f->from.n, f->rcpt.n);
	buf_init(&a->rows, TEXTS_MAX);
	buf_init(&a->row_texts, TEXTS_MAX);
	return a;
}

void ask_free(struct ask *a)
{
	if (a == NULL)
		return;
	buf_fini(&a->rows);
	buf_fini(&a->row_texts);
	free(a->texts);
	free(a->targets);
	free(a->numbers);
	free(a->reason);
	queue_where_free(&a->where);
	free(a);
}

static void fix(struct str *s, const struct buf *texts)
{
	s->p = s->n == 0 ? NULL : texts->p + (uintptr_t)s->p;
}

static void hand_over_rows(struct ask *a, struct queue_query *q)
{
	q->rows = (struct queue_row *)(void *)a->rows.p;
	q->row_n = a->row_n;
	q->more = a->more;
	q->ok = a->ok;
	q->err = a->err;
	for (size_t i = 0; i < q->row_n; i++) {
		fix(&q->rows[i].from, &a->row_texts);
		fix(&q->rows[i].rcpt, &a->row_texts);
		fix(&q->rows[i].last, &a->row_texts);
		fix(&q->rows[i].trace_id, &a->row_texts);
	}
}

void ask_done(struct ask *a)
{
	if (a->asker == NULL) { /* cancelled or fini: nobody looks any more */
		if (a->owner != NULL && !a->is_order)
			((struct queue_query *)a->owner)->state = NULL;
		ask_free(a);
		return;
	}
	a->done = true;
	if (a->is_order) {
		struct queue_order *o = a->owner;
		o->messages = a->messages;
		o->recipients = a->recipients;
		o->ok = a->ok;
		o->err = a->err;
		op_finish(&a->asker);
		ask_free(a);
		return;
	}
	hand_over_rows(a, a->owner);
	op_finish(&a->asker);
}

void queue_query(struct queue_port *p, const struct queue_filter *f, struct queue_query *q, void (*done)(struct op *))
{
	struct ask *a = ask_new(p, f, q);

	must(q->state == NULL && !op_is_open(&q->op) && f->target_n == 0);
	q->rows = NULL;
	q->row_n = 0;
	q->more = q->ok = false;
	q->state = a;
	op_start(&q->op, done, &a->asker);
	port_request(p, &a->request);
}

void queue_query_fini(struct queue_query *q)
{
	struct ask *a = q->state;

	op_cancel(&q->op);
	q->state = NULL;
	q->rows = NULL;
	q->row_n = 0;
	if (a == NULL)
		return;
	a->owner = NULL;
	if (a->done)
		ask_free(a);
}

void queue_order(struct queue_port *p, const struct queue_filter *f, enum queue_verb v, bool dry_run,
		 struct queue_order *o, void (*done)(struct op *))
{
	struct ask *a = ask_new(p, f, o);

	a->is_order = true;
	a->dry_run = dry_run;
	a->verb = v;
	a->reason = v == QUEUE_FAIL ? strndup(o->reason.p != NULL ? o->reason.p : "", o->reason.n) : NULL;
	a->after = 0;
	o->messages = o->recipients = 0;
	o->ok = false;
	op_start(&o->op, done, &a->asker);
	port_request(p, &a->request);
}
