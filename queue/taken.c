/* queue/taken.c: messages taken over from another queue, and the memory that keeps them from coming twice.
 *
 *   spool_take_over -> taken_admit (commit thread: known? refuse) -> the record, past included, in its group
 *                   -> taken_stored -> next checkpoint: a row "took:" id number trace for each recipient
 *
 * Until the checkpoint the log itself is the memory: replaying the record finds the past in it and makes the rows.  So
 * there is no moment at which a message is durable and not remembered. */
#include "queue/inner.h"

#include "base/log.h"
#include "base/time.h"

#include <endian.h>

static const struct str took = STR_LIT("took:");

enum { KEY_HEAD = 5 + 8 + 4, KEY_MAX = KEY_HEAD + ROW_TRACE_MAX, FORGET_BATCH = 1024 };

struct taken {
	struct taken *next;
	uint64_t id, source_id;
	bool stored; /* durable: the next checkpoint makes the rows */
	char trace[ROW_TRACE_MAX];
	size_t trace_n, number_n;
	uint32_t numbers[];
};

static struct str key_of(char to[KEY_MAX], const struct taken *k, uint32_t number)
{
	uint32_t big_endian = htobe32(number);

	memcpy(to, took.p, took.n);
	store_key64((unsigned char *)to + took.n, k->source_id);
	memcpy(to + took.n + 8, &big_endian, sizeof big_endian);
	memcpy(to + KEY_HEAD, k->trace, k->trace_n);
	return str_n(to, KEY_HEAD + k->trace_n);
}

static struct taken *taken_of(uint64_t id, struct str meta)
{
	size_t n = record_rcpt_n(meta);
	struct env_rcpt *rcpts = calloc(n + 1, sizeof *rcpts);
	struct queue_past *past = calloc(n + 1, sizeof *past);
	struct taken *k = calloc(1, sizeof *k + n * sizeof k->numbers[0]);
	struct envelope env;

	must(rcpts != NULL && past != NULL && k != NULL);
	must(record_get_envelope(meta, &env, rcpts) && record_get_past(meta, &k->source_id, past));
	k->id = id;
	k->number_n = n;
	k->trace_n = env.trace_id.n < sizeof k->trace ? env.trace_id.n : sizeof k->trace;
	if (k->trace_n > 0)
		memcpy(k->trace, env.trace_id.p, k->trace_n);
	for (size_t i = 0; i < n; i++)
		k->numbers[i] = past[i].number;
	free(rcpts);
	free(past);
	return k;
}

static bool overlap(const struct taken *a, const struct taken *b)
{
	if (a->source_id != b->source_id || !str_eq(str_n(a->trace, a->trace_n), str_n(b->trace, b->trace_n)))
		return false;
	for (size_t i = 0; i < a->number_n; i++)
		for (size_t k = 0; k < b->number_n; k++)
			if (a->numbers[i] == b->numbers[k])
				return true;
	return false;
}

/* Is it the message itself, which was written out here and never left? */
static bool waits_here(struct queue *q, struct store_txn *t, const struct taken *k, uint32_t number)
{
	const struct live *l = live_find(&q->live, k->source_id);
	unsigned char key[12];
	struct row_message m;
	struct str value;

	if (l != NULL && l->rcpts != NULL)
		return number < l->rcpt_n && l->rcpts[number].state != RCPT_DONE;
	if (l != NULL)
		return l->left > 0 && number < l->rcpt_n;
	index_key_rcpt(key, k->source_id, number);
	return store_get(t, q->index.message, str_n(key, 8), &value) && row_get_message(value, &m) &&
	       str_eq(m.trace_id, str_n(k->trace, k->trace_n)) &&
	       store_get(t, q->index.rcpt, str_n(key, sizeof key), &value);
}

static bool is_known(struct queue *q, struct store_txn *t, const struct taken *k)
{
	char key[KEY_MAX];
	struct str value;

	for (const struct taken *other = q->taken; other != NULL; other = other->next)
		if (overlap(k, other))
			return true;
	for (size_t i = 0; i < k->number_n; i++)
		if (store_get(t, q->index.meta, key_of(key, k, k->numbers[i]), &value) ||
		    waits_here(q, t, k, k->numbers[i]))
			return true;
	return false;
}

static void remember(struct queue *q, struct taken *k)
{
	k->next = q->taken;
	q->taken = k;
}

int taken_admit(struct queue *q, uint64_t id, struct str meta, struct err *e)
{
	struct store_txn *t = store_read(q->index.store, e);
	struct taken *k;

	if (t == NULL)
		return -1;
	k = taken_of(id, meta);
	bool known = is_known(q, t, k);
	store_abort(&t);
	if (!known) {
		remember(q, k);
		return 0;
	}
	free(k);
	return err_set(e, ERR_TAKEN, "queue.take", "it was taken over before, or still waits here");
}

void taken_stored(struct queue *q, uint64_t id)
{
	for (struct taken *k = q->taken; k != NULL; k = k->next)
		if (k->id == id)
			k->stored = true;
}

static void forget(struct queue *q, bool (*which)(const struct taken *k, uint64_t id), uint64_t id)
{
	struct taken **at = &q->taken, *k;

	while ((k = *at) != NULL)
		if (which(k, id)) {
			*at = k->next;
			free(k);
		} else {
			at = &k->next;
		}
}

static bool is_this(const struct taken *k, uint64_t id)
{
	return k->id == id && !k->stored;
}

static bool is_stored(const struct taken *k, uint64_t id)
{
	(void)id;
	return k->stored;
}

static bool is_any(const struct taken *k, uint64_t id)
{
	(void)k, (void)id;
	return true;
}

void taken_refused(struct queue *q, uint64_t id)
{
	forget(q, is_this, id);
}

void taken_replay(struct queue *q, uint64_t id, struct str meta)
{
	struct taken *k = taken_of(id, meta);

	k->stored = true;
	remember(q, k);
}

void taken_flush(struct queue *q, struct store_txn *t)
{
	unsigned char at[8];
	char key[KEY_MAX];

	store_key64(at, (uint64_t)clock_wall_ms());
	for (const struct taken *k = q->taken; k != NULL; k = k->next)
		for (size_t i = 0; k->stored && i < k->number_n; i++)
			store_put(t, q->index.meta, key_of(key, k, k->numbers[i]), str_n(at, sizeof at));
}

void taken_flushed(struct queue *q)
{
	forget(q, is_stored, 0);
}

void taken_fini(struct queue *q)
{
	forget(q, is_any, 0);
}

/* ---- at the start: what is older than anybody's copy ---- */

static size_t find_old(struct queue *q, struct store_txn *t, struct buf *keys)
{
	struct store_cursor *c = store_seek(t, q->index.meta, took);
	int64_t before_ms = clock_wall_ms() - QUEUE_TAKEN_MS;
	struct str key, value;
	size_t n = 0;

	for (; n < FORGET_BATCH && store_at(c, &key, &value) && str_starts(key, took); store_next(c))
		if (value.n == 8 && (int64_t)store_num64(value) < before_ms) {
			buf_addc(keys, (char)key.n);
			buf_add(keys, key);
			n++;
		}
	store_cursor_close(&c);
	return n;
}

static size_t forget_some(struct queue *q)
{
	struct err e;
	struct store_txn *t = store_write(q->index.store, &e);
	struct buf keys;
	size_t n;

	if (t == NULL)
		return 0;
	buf_init(&keys, FORGET_BATCH * (KEY_MAX + 1));
	n = find_old(q, t, &keys);
	for (struct str rest = buf_str(&keys); rest.n > 0; rest = str_skip(rest, 1 + (size_t)rest.p[0]))
		store_del(t, q->index.meta, str_n(rest.p + 1, (size_t)rest.p[0]));
	buf_fini(&keys);
	if (n > 0 && store_commit(&t, &e) != 0)
		log_warn(NULL, "queue.taken", kv_c("error", e.text)); /* the next start does it again */
	store_abort(&t);
	return n;
}

void taken_forget_old(struct queue *q)
{
	while (forget_some(q) == FORGET_BATCH)
		;
}

/* ---- what the past makes of a message that begins here ---- */

void taken_begin(struct live *l, struct str meta, int64_t due_limit_ms, struct live_change *c)
{
	struct queue_past *past = calloc(l->rcpt_n, sizeof *past);
	uint64_t source_id;

	must(past != NULL && record_get_past(meta, &source_id, past));
	live_load_rcpts(l);
	for (uint32_t i = 0; i < l->rcpt_n; i++) {
		struct record_outcome o = { .rcpt = i,
					    .kind = OUTCOME_DEFERRED,
					    .delay_told = past[i].delay_told,
					    .note = (uint8_t)past[i].note,
					    .attempts = (uint16_t)past[i].attempts,
					    .due_ms = past[i].due_ms < due_limit_ms ? past[i].due_ms : due_limit_ms,
					    .text = past[i].last };
		live_outcome(l, &o, c);
		if (past[i].held)
			live_order(l, i, QUEUE_HOLD, 0, STR_NONE, c);
	}
	free(past);
}
