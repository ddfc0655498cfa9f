/* queue/compact.c: moving the last messages out of a segment that is kept for their sake.
 *
 *   LOOK  pick a sparse segment -> SCAN  some heads (disk thread) -> SIFT  which of those messages live there?
 *     ^                              ^                                 v
 *     |                              |                               their records are read (disk thread)
 *     '------ nothing is left -------'------- pointed at <---------- WRITE  as new records at the end of the log
 *
 * A copy is the same record again.  Until a checkpoint has the row point at it, the original is the message and the
 * copy is bytes nobody refers to; the segment is recycled after that checkpoint and not before.  So a crash anywhere
 * leaves the original in its place, and replay ignores copies.
 * Everything is done in small pieces between two groups; a leased message stays where its lease reads it.
 * Sparse is a segment that is old and under a tenth alive, or the sparsest while there are more segments than four
 * times the live bytes would fill and a few more. */
#include "queue/inner.h"

#include "base/fault.h"
#include "base/log.h"
#include "base/time.h"

enum {
	LOOK_MS = 1000,
	AGE_MS = 5 * 60 * 1000,
	SPARE_MS = 60 * 1000, /* a segment that could not be emptied is left alone for so long */
	PACE_BYTES = 32768,   /* copied in a millisecond at most: 32 MiB/s */
	BATCH_BYTES = 256 * 1024,
	OLD_PARTS = 10, /* an old segment with less than one in so many parts alive is emptied */
	CROWD_TIMES = 4,
	CROWD_SEGMENTS = 4,
};

/* ---- which segment ---- */

static bool is_candidate(const struct queue *q, const struct segment *g, int64_t now_ms)
{
	return g->messages > 0 && g->seq < q->checkpoint.segment && g->spared_ms <= now_ms;
}

static bool is_crowded(const struct queue *q)
{
	const struct segments *s = &q->log;
	uint64_t kept = 0;

	for (size_t i = 0; i < s->n; i++)
		kept += s->v[i].messages > 0;
	return kept * q->segment_bytes > CROWD_TIMES * s->live_bytes + CROWD_SEGMENTS * q->segment_bytes;
}

static const struct segment *pick(const struct queue *q, int64_t now_ms)
{
	const struct segments *s = &q->log;
	const struct segment *best = NULL;
	bool crowded = is_crowded(q);

	for (size_t i = 0; i + 1 < s->n; i++) {
		const struct segment *g = &s->v[i];
		bool old = now_ms - g->closed_ms >= AGE_MS && g->bytes < q->segment_bytes / OLD_PARTS;
		if (!is_candidate(q, g, now_ms) || (!old && !(crowded && g->bytes < q->segment_bytes / 2)))
			continue;
		if (best == NULL || g->bytes < best->bytes)
			best = g;
	}
	return best;
}

/* ---- which messages ---- */

/* The row or the entry says that the message is at that place, and nobody reads it there. */
static bool may_move(struct queue *q, struct store_txn *t, const struct compact_place *p, struct row_message *m)
{
	uint64_t segment = q->compact.segment;
	const struct live *l = live_find(&q->live, p->id);
	unsigned char key[8];
	struct str value;

	if (l != NULL)
		return l->in_index && l->left > 0 && !l->leased && l->segment == segment && l->offset == p->offset;
	store_key64(key, p->id);
	return store_get(t, q->index.message, str_n(key, sizeof key), &value) && row_get_message(value, m) &&
	       m->segment == segment && m->offset == p->offset;
}

/* Keeps one batch of those that live there; what does not fit is found again by the next scan. */
static void sift_heads(struct queue *q, struct store_txn *t)
{
	struct compact *c = &q->compact;
	uint64_t bytes = 0, max = q->segment_bytes / 4 < BATCH_BYTES ? q->segment_bytes / 4 : BATCH_BYTES;
	size_t kept = 0;
	struct row_message m;

	for (size_t i = 0; i < c->place_n; i++) {
		if (!may_move(q, t, &c->places[i], &m))
			continue;
		if (kept > 0 && bytes + c->places[i].length > max) {
			c->at = c->places[i].offset;
			c->scanned = false;
			break;
		}
		bytes += c->places[i].length;
		c->places[kept++] = c->places[i];
	}
	c->place_n = kept;
}

/* What was leased or settled while the records were read drops out; the bytes close up. */
static void sift_records(struct queue *q, struct store_txn *t)
{
	struct compact *c = &q->compact;
	size_t kept = 0, from = 0, to = 0;
	struct row_message m;

	for (size_t i = 0; i < c->place_n; i++) {
		struct compact_place p = c->places[i];
		if (may_move(q, t, &p, &m)) {
			memmove(c->bytes.p + to, c->bytes.p + from, p.length);
			c->places[kept++] = p;
			to += p.length;
		}
		from += p.length;
	}
	must(from == c->bytes.n);
	c->place_n = kept;
	c->bytes.n = to;
}

/* The log has the copies: the next checkpoint makes the rows say so. */
static void point_at_copies(struct queue *q, struct store_txn *t)
{
	struct compact *c = &q->compact;
	uint64_t segment = q->log.v[q->log.n - 1].seq, offset = q->log.at - c->bytes.n;

	for (size_t i = 0; i < c->place_n; i++) {
		const struct compact_place *p = &c->places[i];
		struct live *l = live_find(&q->live, p->id);
		struct row_message m;
		must(may_move(q, t, p, &m)); /* looked at a moment ago, in this turn and this transaction */
		if (l == NULL)
			l = index_load(q, t, p->id, &m);
		segments_unpin(q, l->segment, l->length);
		l->segment = segment;
		l->offset = (uint32_t)offset;
		segments_pin(q, l->segment, l->length);
		commit_mark(q, l);
		offset += p->length;
		q->moved++;
	}
}

/* ---- steps ---- */

static void go_on(struct queue *q, enum compact_step step, int64_t at_ms)
{
	q->compact.step = step;
	q->compact.at_ms = at_ms;
}

static int64_t after_pause(const struct queue *q, int64_t now_ms)
{
	return now_ms + 1 + (int64_t)(q->compact.bytes.n / PACE_BYTES);
}

/* Whoever still lives in the segment was leased or cannot be read: later, or never. */
static void leave(struct queue *q, int64_t now_ms)
{
	struct segment *g = segments_find(q, q->compact.segment);

	if (g != NULL)
		g->spared_ms = now_ms + SPARE_MS;
	go_on(q, COMPACT_LOOK, after_pause(q, now_ms));
}

static void look(struct queue *q, int64_t now_ms)
{
	const struct segment *g = q->index_full || q->read_only ? NULL : pick(q, now_ms);

	if (g == NULL) {
		go_on(q, COMPACT_LOOK, now_ms + LOOK_MS);
		return;
	}
	q->compact.segment = g->seq;
	q->compact.at = 0;
	q->compact.scanned = false;
	go_on(q, COMPACT_SCAN, now_ms);
}

static void scan(struct queue *q)
{
	q->compact.step = COMPACT_SIFT;
	q->compact.away = true;
	disk_compact_scan(q);
}

static void sift(struct queue *q, struct store_txn *t, int64_t now_ms)
{
	struct compact *c = &q->compact;

	sift_heads(q, t);
	if (c->place_n > 0) {
		c->step = COMPACT_WRITE;
		c->away = true;
		disk_compact_read(q);
	} else if (c->scanned) {
		leave(q, now_ms);
	} else {
		go_on(q, COMPACT_SCAN, now_ms);
	}
}

static void write_copies(struct queue *q, struct store_txn *t, int64_t now_ms)
{
	struct compact *c = &q->compact;
	struct err e = { ERR_IO, "queue.compact", "cannot write copies" };

	sift_records(q, t);
	if (fault("queue.compact_write") || (c->bytes.n > 0 && commit_records(q, &c->bytes, &e) != 0)) {
		if (e.code == ERR_BUSY) { /* the next segment is being prepared */
			c->at_ms = after_pause(q, now_ms);
			return;
		}
		log_warn(NULL, "queue.compact", kv_c("error", e.text));
		leave(q, now_ms);
		return;
	}
	fault("queue.compact_written");
	point_at_copies(q, t);
	fault("queue.compact_moved");
	if (c->scanned)
		leave(q, now_ms);
	else
		go_on(q, COMPACT_SCAN, after_pause(q, now_ms));
}

/* What the disk thread read has come back. */
static void take_up(struct queue *q, int64_t now_ms)
{
	struct err e;
	struct store_txn *t = store_read(q->index.store, &e);

	if (t == NULL)
		leave(q, now_ms);
	else if (q->compact.step == COMPACT_SIFT)
		sift(q, t, now_ms);
	else
		write_copies(q, t, now_ms);
	store_abort(&t);
}

void compact_step(struct queue *q, int64_t now_ms)
{
	struct compact *c = &q->compact;

	if (c->away || c->at_ms > now_ms || q->stopping)
		return;
	if (c->step == COMPACT_LOOK)
		look(q, now_ms);
	if (c->step == COMPACT_SCAN)
		scan(q);
	else if (c->step != COMPACT_LOOK)
		take_up(q, now_ms);
}

void compact_soon(struct queue *q, int64_t now_ms)
{
	if (q->compact.step == COMPACT_LOOK)
		q->compact.at_ms = now_ms;
}

int64_t compact_deadline_ms(const struct queue *q)
{
	return q->compact.away || q->stopping ? INT64_MAX : q->compact.at_ms;
}
