/* queue/spool.c: a message being received.
 *
 * The content grows in the parcel's buffer behind room for the record head, so that the whole log record is one piece
 * of memory and is never copied again.  Above message_max (or when memory is short) it goes to big/ID as it arrives;
 * the file is synced by the disk thread before its record is written.
 *
 *   spool_begin -> spool_write* -> spool_commit -> (big: disk thread syncs) -> commit thread -> parcel_answered */
#include "queue/inner.h"

#include "base/fault.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

static const char padding[RECORD_ALIGN];

static struct parcel *parcel_of_spool(struct spool *s)
{
	return container_of(s, struct parcel, spool);
}

struct spool *spool_begin(struct queue_port *port, struct err *e)
{
	struct queue *q = port->queue;

	must(!port->closed);
	if (q->read_only) {
		err_set(e, ERR_IO, "queue.spool", "the spool is read-only: a sync failed");
		return NULL;
	}
	if (q->no_space) {
		err_set(e, ERR_NO_SPACE, "queue.spool", "not enough free space under %s", q->path);
		return NULL;
	}
	if (q->waiting_bytes > q->limits.memory_max) {
		err_set(e, ERR_BUSY, "queue.spool", "too much waits for the disk");
		return NULL;
	}
	struct parcel *p = port_take_parcel(port);
	must(p->stage == PARCEL_FREE && p->bytes.n == 0);
	p->request.port = port;
	p->stage = PARCEL_SPOOL;
	p->id = q->next_id++;
	p->spool = (struct spool){ .big_fd = -1 };
	LIST_INSERT_HEAD(&port->parcels, p, in_port);
	buf_reserve(&p->bytes, RECORD_HEAD);
	buf_commit(&p->bytes, RECORD_HEAD);
	return &p->spool;
}

uint64_t spool_id(const struct spool *s)
{
	return ((const struct parcel *)(const void *)((const char *)s - offsetof(struct parcel, spool)))->id;
}

uint64_t spool_size(const struct spool *s)
{
	return s->size;
}

/* ---- content above message_max ---- */

static int write_block(struct parcel *p, struct str block, struct err *e)
{
	p->spool.big_check = record_sum_block(block, p->spool.big_check);
	while (block.n > 0) {
		ssize_t n = fault("queue.big_write") ? -1 : write(p->spool.big_fd, block.p, block.n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, ERR_IO, "queue.big", "cannot write big/");
		block = str_skip(block, (size_t)n);
	}
	return 0;
}

/* Writes whole blocks out of the buffer; with `all` what is left, too. */
static int drain(struct parcel *p, bool all, struct err *e)
{
	size_t done = RECORD_HEAD;

	while (p->bytes.n - done >= RECORD_BLOCK || (all && p->bytes.n > done)) {
		struct str block = str_head(str_skip(buf_str(&p->bytes), done), RECORD_BLOCK);
		if (write_block(p, block, e) != 0)
			return -1;
		done += block.n;
	}
	/* the head stays where it is, the rest moves down behind it */
	memmove(p->bytes.p + RECORD_HEAD, p->bytes.p + done, p->bytes.n - done);
	p->bytes.n -= done - RECORD_HEAD;
	return 0;
}

static int make_big(struct parcel *p, struct err *e)
{
	char name[24];

	big_name(name, p->id);
	p->spool.big_fd = fault("queue.big_new")
				  ? -1
				  : (int)TEMP_FAILURE_RETRY(openat(p->queue->big_dir_fd, name,
								   O_RDWR | O_CREAT | O_EXCL | O_CLOEXEC, 0600));
	if (p->spool.big_fd < 0)
		return err_sys(e, ERR_IO, "queue.big", "cannot make big/%s", name);
	p->queue->spooling_bytes -= p->spool.size;
	return 0;
}

int spool_write(struct spool *s, struct str chunk, struct err *e)
{
	struct parcel *p = parcel_of_spool(s);
	struct queue *q = p->queue;
	int rc = 0;

	must(p->stage == PARCEL_SPOOL);
	if (s->failed) {
		*e = p->err;
		return -1;
	}
	if (s->big_fd < 0 && (s->size + chunk.n > q->message_max || q->spooling_bytes > q->limits.memory_max))
		rc = make_big(p, &p->err);
	for (struct str left = chunk; rc == 0 && left.n > 0;) {
		struct str part = str_head(left, RECORD_BLOCK);
		must(buf_add(&p->bytes, part));
		left = str_skip(left, part.n);
		if (s->big_fd >= 0)
			rc = drain(p, false, &p->err);
	}
	s->failed = rc != 0;
	if (rc != 0) {
		*e = p->err;
		return -1;
	}
	s->size += chunk.n;
	if (s->big_fd < 0)
		q->spooling_bytes += chunk.n;
	return 0;
}

void spool_abort(struct spool **sp)
{
	struct spool *s = *sp;

	if (s == NULL)
		return;
	struct parcel *p = parcel_of_spool(s);
	*sp = NULL;
	must(p->stage == PARCEL_SPOOL);
	if (s->big_fd < 0)
		p->queue->spooling_bytes -= s->size;
	port_keep_parcel(p);
}

/* ---- commit ---- */

struct past { /* spool_take_over */
	uint64_t source_id;
	const struct queue_past *rcpts;
};

static int finish_record(struct parcel *p, const struct envelope *env, const struct past *past, struct err *e)
{
	bool big = p->spool.big_fd >= 0;
	size_t body_n = p->bytes.n - RECORD_HEAD, meta_at = p->bytes.n;

	if (!record_put_envelope(&p->bytes, env) ||
	    (past != NULL && !record_put_past(&p->bytes, meta_at, past->source_id, past->rcpts, env->rcpt_n)))
		return err_set(e, ERR_TOO_BIG, "queue.spool", "the envelope is too big");
	size_t meta_n = p->bytes.n - meta_at;
	if (RECORD_HEAD + body_n + meta_n > p->queue->segment_bytes - 2 * RECORD_HEAD)
		return err_set(e, ERR_TOO_BIG, "queue.spool", "the envelope is too big");
	p->record = (struct record){
		.kind = big ? RECORD_BIG : RECORD_MESSAGE,
		.id = p->id,
		.size = p->spool.size,
		.body_n = (uint32_t)body_n,
		.meta_n = (uint32_t)meta_n,
		.body_check = big ? p->spool.big_check : record_sum(str_n(p->bytes.p + RECORD_HEAD, body_n)),
		.meta_check = record_sum(str_n(p->bytes.p + meta_at, meta_n)),
	};
	buf_add(&p->bytes, str_n(padding, (size_t)record_length(&p->record) - p->bytes.n));
	return p->bytes.full ? err_set(e, ERR_TOO_BIG, "queue.spool", "the message is too big") : 0;
}

static void commit(struct spool **sp, const struct envelope *env, const struct past *past, struct commit *c,
		   void (*done)(struct op *))
{
	struct spool *s = *sp;
	struct parcel *p = parcel_of_spool(s);
	struct queue *q = p->queue;
	bool big = s->big_fd >= 0;
	int rc = 0;

	*sp = NULL;
	must(p->stage == PARCEL_SPOOL && env->rcpt_n > 0);
	c->ok = false;
	c->id = p->id;
	op_start(&c->op, done, &p->asker);
	p->stage = PARCEL_AWAY;
	p->request.kind = REQ_COMMIT;
	p->rcpt_n = (uint32_t)env->rcpt_n;
	p->held = env->hold.n > 0;
	p->arrived_ms = env->arrived_ms;
	if (s->failed)
		rc = -1; /* with the error spool_write gave */
	if (!big)
		q->spooling_bytes -= s->size;
	if (rc == 0 && big)
		rc = drain(p, true, &p->err);
	if (rc == 0)
		rc = finish_record(p, env, past, &p->err);
	p->ok = rc == 0;
	p->waiting = p->bytes.n;
	q->waiting_bytes += p->waiting;
	if (big && p->ok)
		disk_sync_big(q, p);
	else
		port_request(p->request.port, &p->request);
}

void spool_commit(struct spool **s, const struct envelope *env, struct commit *c, void (*done)(struct op *))
{
	commit(s, env, NULL, c, done);
}

void spool_take_over(struct spool **s, const struct envelope *env, uint64_t source_id, const struct queue_past *past,
		     struct commit *c, void (*done)(struct op *))
{
	commit(s, env, &(struct past){ source_id, past }, c, done);
}
