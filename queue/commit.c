/* queue/commit.c: the commit thread: many messages, one sync.
 *
 * A turn: take all that waits -> write it as groups, one pwritev and one fdatasync each -> tell the loops -> perhaps a
 * checkpoint -> hand out what is due -> one slice of a query.  Outcomes ride with the next group of messages, or go
 * alone when settle_window_ms is over.  250 is answered after the sync of the group and from nowhere else.
 * A sync that fails is final: the kernel may have dropped the pages, so nothing is accepted any more.  A write that
 * fails (no space) costs the messages of that group and the rest of the segment. */
#include "queue/inner.h"

#include "base/fault.h"
#include "base/log.h"
#include "base/time.h"

#include <sys/uio.h>
#include <unistd.h>

enum {
	GROUP_RECORDS = 512,
	GROUP_BYTES = 4 * 1024 * 1024,
	SETTLES_MAX = 256, /* outcomes do not wait for their window when so many are there */
	DIRTY_MAX = 4096,  /* keeps one checkpoint to some milliseconds */
	RETRY_MS = 1000,
	READERS_MS = 60000,
	TRIM_MS = 5000,
	DISK_RETRY_MS = 300000,
	ID_MARGIN = 1 << 24, /* ids that may be given out between two checkpoints */
};

/* ---- inbox ---- */

void commit_push(struct queue *q, struct requests *list)
{
	if (list->first == NULL)
		return;
	pthread_mutex_lock(&q->lock);
	requests_move(&q->inbox, list);
	bool wake = q->commit_sleeps;
	q->commit_sleeps = false; /* one wake-up is enough */
	pthread_mutex_unlock(&q->lock);
	if (wake)
		pthread_cond_signal(&q->wake_commit); /* behind the unlock: else it wakes up to wait for us */
}

void commit_push_one(struct queue *q, struct request *r)
{
	struct requests one;

	requests_init(&one);
	requests_add(&one, r);
	commit_push(q, &one);
}

void commit_answer(struct request *r)
{
	requests_add(&r->port->answered, r);
}

static void send_answers(struct queue *q)
{
	for (size_t i = 0; i < q->port_n; i++)
		if (q->ports[i]->answered.first != NULL)
			port_answer(q->ports[i], &q->ports[i]->answered);
}

/* ---- what a durable record means ---- */

static void bring_forward(int64_t *at_ms, int64_t to_ms)
{
	if (to_ms < *at_ms)
		*at_ms = to_ms;
}

void commit_mark(struct queue *q, struct live *l)
{
	live_mark(&q->live, l);
	bring_forward(&q->checkpoint_at_ms,
		      q->live.dirty_n >= DIRTY_MAX ? 0 : clock_mono_ms() + q->limits.checkpoint_ms);
}

void commit_count(struct queue *q, const struct live_change *c)
{
	q->recipients -= c->gone;
	q->delivered += c->delivered;
	q->failed += c->failed;
	q->deferred += (uint64_t)(int64_t)c->deferred;
}

void commit_end_message(struct queue *q, struct live *l)
{
	must(l->left == 0 && !l->leased);
	q->messages--;
	q->bytes -= l->size;
	segments_unpin(q, l->segment, l->length);
	if (l->in_index || l->big)
		commit_mark(q, l); /* a big file goes after the checkpoint, so that no row ever misses its file */
	else
		live_remove(&q->live, l);
}

/* Room for a fresh message.  A backlog that is due keeps a quarter for itself, or it would wait as long as mail comes.
 */
static bool can_lease(const struct queue *q, const struct parcel *p, bool backlog)
{
	const struct queue_port *port = p->request.port;
	size_t max = (size_t)q->limits.active_max;

	return port->on_lease != NULL && !port->paused && port->active < (backlog ? max - max / 4 : max) &&
	       q->memory + p->record.body_n <= q->limits.memory_max;
}

static void hold(struct queue *q, struct parcel *p, struct live *l)
{
	struct envelope env;

	must(record_get_envelope(parcel_meta(p), &env, queue_scratch(q, p->rcpt_n)));
	live_hold(l, env.hold);
}

static void committed(struct queue *q, struct parcel *p, uint64_t offset, int64_t wall_ms)
{
	struct live *l = live_add(&q->live, p->id);

	p->offset = l->offset = (uint32_t)offset;
	l->segment = p->record.segment;
	l->length = (uint32_t)record_length(&p->record);
	l->size = p->record.size;
	l->big = p->record.kind == RECORD_BIG;
	l->rcpt_n = l->left = p->rcpt_n;
	l->arrived_ms = p->arrived_ms < wall_ms ? p->arrived_ms : wall_ms; /* the clock may have been set back since */
	segments_pin(q, l->segment, l->length);
	q->messages++;
	q->accepted++;
	q->recipients += p->rcpt_n;
	q->bytes += p->record.size;
	if (p->spool.big_fd >= 0) {
		close(p->spool.big_fd);
		p->spool.big_fd = -1;
	}
	bool has_past = record_has_past(parcel_meta(p));
	p->is_leased = !p->held && !has_past && can_lease(q, p, q->due_wake_ms <= wall_ms);
	if (p->held)
		hold(q, p, l);
	if (has_past) {
		struct live_change c = { 0 };
		taken_begin(l, parcel_meta(p), clock_due_limit_ms(q, wall_ms), &c);
		taken_stored(q, p->id);
		commit_count(q, &c);
	}
	if (p->is_leased) {
		l->leased = true;
		l->parcel = p;
		p->charged = p->record.body_n;
		q->memory += p->charged;
		p->request.port->active++;
		q->leased++;
	} else {
		live_keep_meta(l, parcel_meta(p));
	}
	commit_mark(q, l);
}

static struct live *end_lease(struct queue *q, struct parcel *p)
{
	struct live *l = live_find(&q->live, p->id);

	must(l != NULL && l->leased && l->parcel == p && q->leased > 0 && p->request.port->active > 0);
	l->leased = false;
	l->parcel = NULL;
	p->request.port->active--;
	q->leased--;
	q->memory -= p->charged;
	p->charged = 0;
	return l;
}

/* The message is nobody's any more: done, or back to the schedule. */
static void put_back(struct queue *q, struct parcel *p, struct live *l, bool changed)
{
	if (l->left == 0) {
		commit_end_message(q, l);
	} else if (!l->in_index || changed || l->dirty) {
		if (!l->in_index)
			live_keep_meta(l, parcel_meta(p));
		commit_mark(q, l);
	} else {
		due_changed(q, l->index_due_ms, l->id);
		live_remove(&q->live, l);
	}
}

static void settled(struct queue *q, struct parcel *p)
{
	struct live *l = end_lease(q, p);
	struct str rest = str_n(p->outcomes.p + RECORD_HEAD, p->outcome_n);
	struct live_change c = { 0 };
	struct record_outcome o;

	while (record_get_outcome(&rest, &o)) {
		int64_t limit_ms = o.kind == OUTCOME_DEFERRED ? clock_due_limit_ms(q, clock_wall_ms()) : DUE_NEVER;
		if (o.due_ms > limit_ms)
			o.due_ms = limit_ms; /* reckoned before the clock was set back */
		live_outcome(l, &o, &c);
	}
	must(rest.n == 0);
	commit_count(q, &c);
	put_back(q, p, l, true);
}

/* The disk thread could not read it.  Bytes that do not check are held for a person to look at; a failing read is
 * tried again later.  Nothing of this needs the log: after a crash it is found again. */
static void damaged(struct queue *q, struct parcel *p)
{
	struct live *l = end_lease(q, p);
	struct live_change c = { 0 };
	struct buf id;

	buf_init(&id, 32);
	queue_put_id(&id, p->id);
	log_error(NULL, "queue.damaged", kv_str("message", buf_str(&id)), kv_c("error", p->err.text));
	buf_fini(&id);
	for (size_t i = 0; i < p->due_n; i++) {
		struct record_outcome o = { .rcpt = p->due[i].index,
					    .kind = OUTCOME_DEFERRED,
					    .delay_told = p->due[i].delay_told,
					    .note = (uint8_t)p->due[i].note,
					    .due_ms = clock_wall_ms() + DISK_RETRY_MS,
					    .text = str_c(p->err.text) };
		live_outcome(l, &o, &c);
		if (p->err.code == ERR_CORRUPT)
			live_order(l, o.rcpt, QUEUE_HOLD, 0, STR_NONE, &c);
	}
	commit_count(q, &c);
	put_back(q, p, l, true);
	parcel_give(q, p);
}

static void released(struct queue *q, struct parcel *p)
{
	put_back(q, p, end_lease(q, p), false);
	commit_answer(&p->request);
}

/* ---- groups ---- */

struct group {
	struct iovec iov[GROUP_RECORDS + 1]; /* [0] is for segments_write */
	size_t iov_n;
	uint64_t bytes;
	struct requests settles, commits;
};

static bool add_record(struct queue *q, struct group *g, char *bytes, struct record *r)
{
	uint64_t n = record_length(r);

	if (g->iov_n > GROUP_RECORDS || (g->bytes > 0 && g->bytes + n > GROUP_BYTES) ||
	    !segments_has_room(q, g->bytes + n))
		return false;
	r->segment = q->log.v[q->log.n - 1].seq;
	record_put_head(bytes, r);
	g->iov[g->iov_n++] = (struct iovec){ bytes, (size_t)n };
	g->bytes += n;
	return true;
}

static bool add_outcomes(struct queue *q, struct group *g, struct parcel *p)
{
	struct record r = { .kind = RECORD_OUTCOME, .id = p->id, .meta_n = p->outcome_n };

	r.meta_check = record_sum(str_n(p->outcomes.p + RECORD_HEAD, p->outcome_n));
	r.body_check = record_sum(STR_NONE);
	return add_record(q, g, p->outcomes.p, &r);
}

static void build_group(struct queue *q, struct group *g)
{
	struct request *r;

	g->iov_n = 1;
	g->bytes = 0;
	requests_init(&g->settles);
	requests_init(&g->commits);
	while ((r = q->settles.first) != NULL && add_outcomes(q, g, parcel_of(r)))
		requests_add(&g->settles, requests_take(&q->settles));
	while ((r = q->commits.first) != NULL && add_record(q, g, parcel_of(r)->bytes.p, &parcel_of(r)->record))
		requests_add(&g->commits, requests_take(&q->commits));
}

static void answer_commit(struct queue *q, struct parcel *p)
{
	q->waiting_bytes -= p->waiting;
	commit_answer(&p->request);
}

static void fail_commits(struct queue *q, struct requests *list, const struct err *e)
{
	struct request *r;

	while ((r = requests_take(list)) != NULL) {
		parcel_of(r)->ok = false;
		parcel_of(r)->err = *e;
		taken_refused(q, parcel_of(r)->id);
		answer_commit(q, parcel_of(r));
	}
}

static void finish_settles(struct queue *q, struct requests *list)
{
	struct request *r;

	while ((r = requests_take(list)) != NULL) {
		settled(q, parcel_of(r));
		commit_answer(r);
	}
	if (q->settles.first == NULL)
		q->settle_deadline_ms = INT64_MAX, q->settle_n = 0;
}

static void finish_group(struct queue *q, struct group *g, uint64_t at)
{
	int64_t wall_ms = clock_wall_ms();
	struct request *r;

	fault("queue.group_synced");
	q->groups++;
	for (r = g->settles.first; r != NULL; r = r->next)
		at += (RECORD_HEAD + (uint64_t)parcel_of(r)->outcome_n + RECORD_ALIGN - 1) / RECORD_ALIGN *
		      RECORD_ALIGN;
	finish_settles(q, &g->settles);
	while ((r = requests_take(&g->commits)) != NULL) {
		struct parcel *p = parcel_of(r);
		committed(q, p, at, wall_ms);
		at += record_length(&p->record);
		answer_commit(q, p);
	}
	fault("queue.complete");
}

/* Where the first record of a group will stand. */
static uint64_t group_at(const struct queue *q)
{
	return q->log.at + (q->log.begun ? 0 : RECORD_HEAD);
}

/* What failed may stand in the log all the same, and a crash before the next checkpoint would replay it: a record never
 * misses its file. */
static void keep_big_files(struct queue *q, const struct group *g)
{
	for (struct request *r = g->commits.first; r != NULL; r = r->next) {
		struct parcel *p = parcel_of(r);
		if (p->record.kind != RECORD_BIG)
			continue;
		if (q->refused_n == q->refused_cap) {
			q->refused_cap = q->refused_cap == 0 ? 16 : q->refused_cap * 2;
			q->refused = realloc(q->refused, q->refused_cap * sizeof *q->refused);
			must(q->refused != NULL);
		}
		q->refused[q->refused_n++] = p->id;
		p->keep_big = true;
	}
}

static void give_up_group(struct queue *q, struct group *g, const struct err *e)
{
	log_error(NULL, q->read_only ? "queue.read_only" : "queue.write", kv_c("error", e->text));
	keep_big_files(q, g);
	fail_commits(q, &g->commits, e);
	q->checkpoint_at_ms = 0; /* past the broken end, so that it is never replayed */
	if (q->read_only) {
		finish_settles(q, &g->settles); /* the index can still remember them */
		return;
	}
	requests_move(&g->settles, &q->settles);
	q->settles = g->settles;
	if (q->settles.first == NULL)
		requests_init(&q->settles);
	q->no_space = true;
}

/* False when the log cannot go on now. */
static bool next_segment(struct queue *q)
{
	static const struct err full = { ERR_NO_SPACE, "queue.segment", "no space for another segment" };

	if (segments_advance(q)) {
		q->checkpoint_at_ms = 0; /* what is behind us can be used again soon, while it is warm */
		compact_soon(q, clock_mono_ms());
		if (!q->stopping)
			segments_prepare(q);
		return true;
	}
	q->log.stuck = true; /* until REQ_SEGMENT comes */
	if (!q->log.preparing && !q->log.prepare_failed)
		segments_prepare(q);
	if (q->log.prepare_failed) {
		q->no_space = true;
		fail_commits(q, &q->commits, &full);
	}
	return false;
}

static void write_groups(struct queue *q)
{
	static const struct err closed = { ERR_IO, "queue.sync", "the spool is read-only: a sync failed" };
	struct group *g = q->group;
	struct err e;

	while (q->commits.first != NULL ||
	       (q->settles.first != NULL && (q->settle_n >= SETTLES_MAX || q->settle_deadline_ms <= clock_mono_ms()))) {
		if (q->read_only) {
			fail_commits(q, &q->commits, &closed);
			finish_settles(q, &q->settles);
			return;
		}
		build_group(q, g);
		uint64_t at = group_at(q);
		if (g->bytes == 0) {
			if (!next_segment(q))
				return;
		} else if (segments_write(q, g->iov, g->iov_n, g->bytes, &e) == 0) {
			finish_group(q, g, at);
		} else {
			give_up_group(q, g, &e);
		}
	}
}

int commit_records(struct queue *q, struct buf *records, struct err *e)
{
	struct iovec iov[2];

	if (q->read_only)
		return err_set(e, ERR_IO, "queue.sync", "the spool is read-only: a sync failed");
	if (!segments_has_room(q, records->n) && !next_segment(q))
		return err_set(e, q->log.prepare_failed ? ERR_NO_SPACE : ERR_BUSY, "queue.segment",
			       "no segment is ready");
	for (size_t at = 0; at < records->n;) {
		struct record r;
		must(record_get_head(records->p + at, 0, &r));
		r.segment = q->log.v[q->log.n - 1].seq;
		record_put_head(records->p + at, &r);
		at += record_length(&r);
	}
	iov[1] = (struct iovec){ records->p, records->n };
	if (segments_write(q, iov, 2, records->n, e) == 0)
		return 0;
	if (q->read_only)
		log_error(NULL, "queue.read_only", kv_c("error", e->text));
	q->checkpoint_at_ms = 0;
	return -1;
}

/* ---- checkpoint ---- */

int commit_checkpoint(struct queue *q, struct err *e)
{
	struct row_checkpoint c = { .segment = q->log.next, .next_id = q->next_id + ID_MARGIN };

	/* a segment in which a write failed ends where it ended; the log goes on in the next */
	if (q->log.fd >= 0 && !q->log.abandoned && !q->read_only) {
		c.segment = q->log.v[q->log.n - 1].seq;
		c.offset = q->log.at;
	} else if (q->log.ready_fd >= 0) {
		c.segment = q->log.next - 1;
	}
	if (index_flush(q, &c, e) != 0)
		return -1;
	q->checkpoint = c;
	q->checkpoints++;
	while (q->refused_n > 0)
		disk_unlink_big(q, q->refused[--q->refused_n]);
	segments_recycle(q);
	return 0;
}

/* Only this thread uses the index, and between two of its turns no transaction is open: so it may open it anew when
 * LMDB gave up on it.  What cannot be revived is refused with 452 until a restart reads all of it. */
static int revive_index(struct queue *q, struct err *e)
{
	if (!store_is_dead(q->index.store))
		return 0;
	if (store_reopen(q->index.store, e) == 0) {
		log_warn(NULL, "queue.index_reopened", kv_c("path", q->path));
		q->index_lost = false;
		return 0;
	}
	if (!q->index_lost)
		log_error(NULL, "queue.index_lost", kv_c("error", e->text));
	q->index_lost = true;
	return -1;
}

static void checkpoint(struct queue *q, int64_t now_ms)
{
	struct err e;

	if (revive_index(q, &e) == 0 && commit_checkpoint(q, &e) == 0) {
		q->checkpoint_at_ms = INT64_MAX;
		q->index_full = false;
		return;
	}
	q->checkpoint_at_ms = now_ms + RETRY_MS;
	if (!q->index_full)
		log_error(NULL, "queue.checkpoint", kv_c("error", e.text));
	q->index_full = true;
}

/* ---- housekeeping ---- */

static void keep_house(struct queue *q, int64_t now_ms)
{
	if (q->space_at_ms <= now_ms) {
		q->space_at_ms = now_ms + RETRY_MS;
		disk_look_at_space(q);
		if (q->log.ready_fd < 0 && !q->stopping)
			segments_prepare(q);
	}
	bool no_space = q->space_short || q->index_full || (q->log.prepare_failed && q->log.ready_fd < 0);
	if (no_space != q->no_space)
		log_warn(NULL, "queue.space", kv_bool("short", no_space), kv_c("path", q->path));
	q->no_space = no_space;
	if (q->readers_at_ms <= now_ms) {
		q->readers_at_ms = now_ms + READERS_MS;
		store_check_readers(q->index.store);
	}
	if (q->trim_at_ms <= now_ms) { /* pages of a million waiting messages are the kernel's to keep, not ours */
		q->trim_at_ms = now_ms + TRIM_MS;
		store_trim(q->index.store);
		q->map_used_percent = (uint64_t)(store_map_used(q->index.store) * 100);
	}
}

static void sort_request(struct queue *q, struct request *r, int64_t now_ms)
{
	switch (r->kind) {
	case REQ_COMMIT:
		if (parcel_of(r)->ok && record_has_past(parcel_meta(parcel_of(r))))
			parcel_of(r)->ok =
				taken_admit(q, parcel_of(r)->id, parcel_meta(parcel_of(r)), &parcel_of(r)->err) == 0;
		if (parcel_of(r)->ok)
			requests_add(&q->commits, r);
		else
			answer_commit(q, parcel_of(r));
		return;
	case REQ_SETTLE:
		requests_add(&q->settles, r);
		q->settle_n++;
		bring_forward(&q->settle_deadline_ms, now_ms + q->limits.settle_window_ms);
		return;
	case REQ_RELEASE:
		released(q, parcel_of(r));
		return;
	case REQ_DAMAGED:
		damaged(q, parcel_of(r));
		return;
	case REQ_SEGMENT:
		segments_prepared(q, container_of(r, struct segment_job, request));
		return;
	case REQ_COMPACT:
		q->compact.away = false;
		return;
	case REQ_ASK:
		/* outcomes that wait are older than the order: "retry" must find the message deferred, not leased */
		if (q->settles.first != NULL)
			bring_forward(&q->settle_deadline_ms, now_ms);
		*q->asks_end = container_of(r, struct ask, request);
		q->asks_end = &(*q->asks_end)->next;
		return;
	case REQ_WAKE:
		free(r);
		return;
	default:
		must(false);
	}
}

/* ---- the thread ---- */

static int64_t next_deadline_ms(const struct queue *q, int64_t now_ms)
{
	int64_t at_ms = q->checkpoint_at_ms;

	if (!q->log.stuck && q->settle_deadline_ms < at_ms)
		at_ms = q->settle_deadline_ms;
	if (q->due_wake_ms != DUE_NEVER && due_has_room(q))
		bring_forward(&at_ms, now_ms + (q->due_wake_ms - clock_wall_ms()));
	bring_forward(&at_ms, q->space_at_ms);
	bring_forward(&at_ms, compact_deadline_ms(q));
	bring_forward(&at_ms, clock_deadline_ms(q));
	return at_ms;
}

static void wait_for_work(struct queue *q, struct requests *list)
{
	int64_t now_ms = clock_mono_ms(), until_ms = q->asks != NULL ? now_ms : next_deadline_ms(q, now_ms);
	struct timespec ts;

	pthread_mutex_lock(&q->lock);
	if (q->inbox.first == NULL && until_ms > now_ms && !(q->stopping && q->jobs_n == 0)) {
		int wait_ms = clock_wait_ms(until_ms - now_ms);
		clock_gettime(CLOCK_MONOTONIC, &ts);
		ts.tv_sec += wait_ms / 1000;
		ts.tv_nsec += wait_ms % 1000 * 1000000L;
		if (ts.tv_nsec >= 1000000000L)
			ts.tv_sec++, ts.tv_nsec -= 1000000000L;
		q->commit_sleeps = true;
		pthread_cond_timedwait(&q->wake_commit, &q->lock, &ts);
		q->commit_sleeps = false;
	}
	requests_move(list, &q->inbox);
	pthread_mutex_unlock(&q->lock);
}

static bool is_over(struct queue *q)
{
	pthread_mutex_lock(&q->lock);
	bool over = q->stopping && q->jobs_n == 0 && q->inbox.first == NULL;
	pthread_mutex_unlock(&q->lock);
	return over && q->commits.first == NULL && q->asks == NULL;
}

/* All outcomes to the log, all of the log to the index. */
static void finish(struct queue *q)
{
	struct err e;

	q->settle_deadline_ms = INT64_MIN;
	write_groups(q);
	finish_settles(q, &q->settles); /* no room in the log for them: the index can still remember */
	if (revive_index(q, &e) != 0 || commit_checkpoint(q, &e) != 0)
		log_error(NULL, "queue.checkpoint", kv_c("error", e.text));
	send_answers(q);
}

void *commit_main(void *queue)
{
	struct queue *q = queue;
	struct requests list;
	struct request *r;

	requests_init(&list);
	q->group = calloc(1, sizeof *q->group);
	must(q->group != NULL);
	while (!is_over(q)) {
		wait_for_work(q, &list);
		int64_t now_ms = clock_mono_ms();
		while ((r = requests_take(&list)) != NULL)
			sort_request(q, r, now_ms);
		write_groups(q);
		send_answers(q);
		if (q->checkpoint_at_ms <= now_ms)
			checkpoint(q, now_ms);
		clock_step(q, now_ms);
		due_dispatch(q);
		ask_step(q);
		compact_step(q, now_ms);
		keep_house(q, now_ms);
		send_answers(q);
	}
	finish(q);
	free(q->group);
	return NULL;
}
