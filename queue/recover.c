/* queue/recover.c: from what a crash left to a state like any other.
 *
 *   index as of its checkpoint -> replay of the log after it -> cut at the first head that does not check in the last
 *   segment -> checkpoint at the start of a fresh segment -> big files nobody knows are removed
 *
 * Recovery changes nothing that a second run after a crash in the middle would not change in the same way: the log is
 * only read, and the index moves with its checkpoint.  A fresh segment is begun every time, so what stands behind the
 * cut can never be read as a continuation. */
#include "queue/inner.h"

#include "base/fault.h"
#include "base/log.h"
#include "base/time.h"

#include <dirent.h>
#include <fcntl.h>
#include <unistd.h>

enum { REPLAY_DIRTY_MAX = 4096 };

struct replay {
	struct queue *q;
	struct queue_recovery *found;
	int64_t wall_ms;
	uint64_t last_id;
	uint64_t last_segment, end; /* the last segment that was begun, and where its records end */
};

static void count_message(void *arg, uint64_t id, const struct row_message *m)
{
	struct replay *r = arg;
	struct queue *q = r->q;

	segments_pin(q, m->segment, m->length);
	q->messages++;
	q->recipients += m->left;
	q->deferred += m->deferred;
	q->bytes += m->size;
	if (id > r->last_id)
		r->last_id = id;
}

/* ---- one record ---- */

static bool has_row(struct queue *q, uint64_t id)
{
	unsigned char key[8];
	struct str value;
	struct err e;
	struct store_txn *t = store_read(q->index.store, &e);

	store_key64(key, id);
	bool found = t != NULL && store_get(t, q->index.message, str_n(key, sizeof key), &value);
	store_abort(&t);
	return found;
}

bool recover_knows(struct queue *q, uint64_t id)
{
	const struct live *l = live_find(&q->live, id);

	return l != NULL ? l->left > 0 : has_row(q, id);
}

/* A message that is known already is a copy that compaction made.  The original is still in its place: its segment is
 * recycled only after the checkpoint that makes the row point elsewhere. */
static void replay_message(struct replay *r, const struct segment_walk *w)
{
	struct queue *q = r->q;
	struct str meta = str_n(w->payload.p + w->record.body_n, w->record.meta_n);
	size_t n = record_rcpt_n(meta);
	struct env_rcpt *rcpts = calloc(n + 1, sizeof *rcpts);
	struct envelope env;

	must(rcpts != NULL);
	if (w->record.id > r->last_id)
		r->last_id = w->record.id;
	if (record_get_envelope(meta, &env, rcpts) && live_find(&q->live, w->record.id) == NULL &&
	    !has_row(q, w->record.id)) {
		struct live *l = live_add(&q->live, w->record.id);
		l->segment = w->seq;
		l->offset = (uint32_t)w->record_at;
		l->length = (uint32_t)record_length(&w->record);
		l->size = w->record.size;
		l->big = w->record.kind == RECORD_BIG;
		l->rcpt_n = l->left = (uint32_t)n;
		l->arrived_ms = env.arrived_ms < r->wall_ms ? env.arrived_ms : r->wall_ms;
		live_keep_meta(l, meta);
		if (env.hold.n > 0)
			live_hold(l, env.hold);
		segments_pin(q, l->segment, l->length);
		q->messages++;
		q->recipients += n;
		q->bytes += l->size;
		if (record_has_past(meta)) {
			struct live_change c = { 0 };
			taken_begin(l, meta, clock_due_limit_ms(q, r->wall_ms), &c);
			taken_replay(q, l->id, meta);
			commit_count(q, &c);
		}
		live_mark(&q->live, l);
	}
	free(rcpts);
}

/* The entry of a message the log speaks of; NULL when it is gone already. */
struct live *recover_known(struct queue *q, uint64_t id)
{
	struct live *l = live_find(&q->live, id);
	unsigned char key[8];
	struct row_message m;
	struct str value;
	struct err e;

	if (l != NULL)
		return l->left > 0 ? l : NULL;
	struct store_txn *t = store_read(q->index.store, &e);
	if (t == NULL)
		return NULL;
	store_key64(key, id);
	if (store_get(t, q->index.message, str_n(key, sizeof key), &value) && row_get_message(value, &m))
		l = index_load(q, t, id, &m);
	store_abort(&t);
	return l;
}

static void replay_change(struct replay *r, const struct segment_walk *w)
{
	struct live *l = recover_known(r->q, w->record.id);
	struct str rest = str_skip(w->payload, w->record.body_n), reason = str_head(w->payload, w->record.body_n);
	struct live_change c = { 0 };
	struct record_outcome outcome;
	struct record_order order;
	uint32_t rcpt;

	if (l == NULL)
		return;
	if (w->record.kind == RECORD_OUTCOME)
		while (record_get_outcome(&rest, &outcome))
			live_outcome(l, &outcome, &c);
	else if (record_get_order(rest, &order))
		while (record_order_next(&order, &rcpt))
			live_order(l, rcpt, (enum queue_verb)order.verb, order.at_ms, reason, &c);
	commit_count(r->q, &c);
	live_mark(&r->q->live, l);
	if (l->left == 0)
		commit_end_message(r->q, l);
}

static void replay_record(struct replay *r, const struct segment_walk *w)
{
	r->found->replayed_records++;
	switch (w->record.kind) {
	case RECORD_SEGMENT:
		return;
	case RECORD_MESSAGE:
	case RECORD_BIG:
		replay_message(r, w);
		return;
	case RECORD_OUTCOME:
	case RECORD_ORDER:
		replay_change(r, w);
		return;
	}
}

/* ---- one segment ---- */

/* Bytes after `at` that are not zero and not left from an earlier life: what the crash tore. */
static uint64_t torn_bytes(int fd, uint64_t at)
{
	char page[4096];
	ssize_t got = pread(fd, page, sizeof page, (off_t)at);
	uint64_t n = 0;

	for (ssize_t i = 0; i < got; i++)
		if (page[i] != 0)
			n = (uint64_t)i + 1;
	return n;
}

static int replay_segment(struct replay *r, uint64_t seq, uint64_t at, uint64_t end, struct err *e)
{
	struct queue *q = r->q;
	struct segment_walk w;
	int fd = segment_open(q->segment_dir_fd, seq, e);
	int rc = 0;

	if (fd < 0)
		return -1;
	segment_walk_init(&w, fd, seq, at, end);
	while (rc == 0 && segment_walk_next(&w)) {
		if (w.sound) {
			replay_record(r, &w);
		} else {
			r->found->cut_bytes += w.at - w.record_at;
			log_warn(NULL, "queue.recover", kv_c("problem", "a record does not match its checksum"),
				 kv_int("segment", (int64_t)seq), kv_int("offset", (int64_t)w.record_at));
		}
		if (q->live.dirty_n >= REPLAY_DIRTY_MAX)
			rc = index_flush(q, &(struct row_checkpoint){ seq, w.at, r->last_id + 1 }, e);
	}
	r->end = w.at;
	if (end != UINT64_MAX && w.at < end) {
		r->found->cut_bytes += end - w.at;
		log_error(NULL, "queue.recover", kv_c("problem", "a finished segment is unreadable from here on"),
			  kv_int("segment", (int64_t)seq), kv_int("offset", (int64_t)w.at),
			  kv_int("bytes", (int64_t)(end - w.at)));
	} else if (end == UINT64_MAX) {
		r->found->cut_bytes += torn_bytes(fd, w.at);
	}
	segment_walk_fini(&w);
	close(fd);
	return rc;
}

static int replay_log(struct replay *r, struct err *e)
{
	struct queue *q = r->q;
	uint64_t seq, next = 0, at = q->checkpoint.offset, end;

	if (at > 0 && segments_find(q, q->checkpoint.segment) == NULL)
		return err_set(e, ERR_CORRUPT, "queue.recover",
			       "segments/%016llx is missing: restore it from where it went",
			       (unsigned long long)q->checkpoint.segment);
	if (!segment_log_begin(q->segment_dir_fd, &q->checkpoint, &seq))
		return 0;
	for (bool last = false; !last; seq = next, at = 0) {
		last = !segment_follows(q->segment_dir_fd, seq, seq, &next, &end);
		if (replay_segment(r, seq, at, last ? UINT64_MAX : end, e) != 0)
			return -1;
		r->last_segment = seq;
	}
	return 0;
}

/* ---- big files ---- */

static bool is_known(struct queue *q, struct store_txn *t, uint64_t id)
{
	unsigned char key[8];
	struct live *l = live_find(&q->live, id);
	struct str value;

	store_key64(key, id);
	return l != NULL ? l->left > 0 : store_get(t, q->index.message, str_n(key, sizeof key), &value);
}

/* Looks through big/ for the greatest id, or removes what no row refers to. */
static int walk_big(struct replay *r, bool remove, struct err *e)
{
	struct queue *q = r->q;
	int fd = openat(q->big_dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct store_txn *t = store_read(q->index.store, e);
	struct dirent *entry;
	uint64_t id;

	if (d == NULL || t == NULL) {
		store_abort(&t);
		if (d != NULL)
			closedir(d);
		return d == NULL ? err_sys(e, ERR_IO, "queue.recover", "cannot list big/") : -1;
	}
	while ((entry = readdir(d)) != NULL) {
		if (!queue_parse_id(str_c(entry->d_name), &id))
			continue;
		if (id > r->last_id)
			r->last_id = id;
		if (remove && !is_known(q, t, id) && unlinkat(q->big_dir_fd, entry->d_name, 0) == 0)
			r->found->orphans_removed++;
	}
	closedir(d);
	store_abort(&t);
	return 0;
}

/* ---- all of it ---- */

static uint64_t first_id(uint64_t stored, uint64_t last)
{
	/* the clock makes ids new even when those of aborted messages were never stored */
	uint64_t id = (uint64_t)clock_wall_ms() << 20;

	id = id > stored ? id : stored;
	return id > last ? id : last + 1;
}

int recover(struct queue *q, struct queue_recovery *found, struct err *e)
{
	struct replay r = { .q = q, .found = found, .wall_ms = clock_wall_ms() };
	bool any;

	clock_open(q, index_get_clock_ms(&q->index));
	q->checkpoint = (struct row_checkpoint){ .segment = 1 };
	if (index_get_checkpoint(&q->index, &q->checkpoint, &any, e) != 0 || segments_open(q, e) != 0)
		return -1;
	if (!any && q->log.n > 0 && q->log.v[0].seq > 1)
		return err_set(e, ERR_CORRUPT, "queue.recover",
			       "%s/segments holds a log but index/ is empty: restore index/ or move segments/ away",
			       q->path);
	if (q->log.next < q->checkpoint.segment)
		q->log.next = q->checkpoint.segment;
	if (index_each_message(&q->index, count_message, &r, e) != 0 || replay_log(&r, e) != 0 ||
	    poison_count(q, e) != 0 || walk_big(&r, false, e) != 0)
		return -1;
	found->poison = poison_put_aside(q);
	q->next_id = first_id(q->checkpoint.next_id, r.last_id);
	q->log.prev = r.last_segment;
	q->log.prev_end = r.end;
	if (commit_checkpoint(q, e) != 0) /* at the start of the segment that segments_start will make */
		return -1;
	fault("queue.recover_checkpoint");
	poison_counted(q);
	taken_forget_old(q);
	if (walk_big(&r, true, e) != 0) /* only now: until then the index may still have a row for the file */
		return -1;
	fault("queue.recover_done");
	if (segments_start(q, e) != 0)
		return -1;
	poison_watch(q);
	store_trim(q->index.store); /* counting went through all of it */
	found->messages = q->messages;
	found->recipients = q->recipients;
	return 0;
}
