/* queue/rewrite.c: a message that is not committed becomes another one.
 *
 *   rewrite -> read a window -> edit -> write it to a fresh spool -> ... -> the two change places, the old one goes
 *
 * What changes places is the content (memory, or the file under its name); the parcel, its id and the caller's pointer
 * stay.  Each file keeps the name of the parcel that holds it, so that nothing but abort and commit has to know: a
 * crash in between leaves files that no record names, which recovery removes. */
#include "queue/inner.h"

#include <errno.h>
#include <stdio.h>

static struct parcel *parcel_of_spool(struct spool *s)
{
	return container_of(s, struct parcel, spool);
}

void spool_read(struct spool *s, uint64_t offset, struct lease_read *r, void (*done)(struct op *))
{
	struct parcel *p = parcel_of_spool(s);
	struct read_job *j = read_begin(p->request.port, r, done);
	struct str tail = str_skip(buf_str(&p->bytes), RECORD_HEAD); /* of a file: what is not in it yet */
	uint64_t written = s->size - tail.n;

	must(p->stage == PARCEL_SPOOL && !s->failed);
	j->id = 0;
	j->local = offset >= written;
	if (j->local) {
		j->view = str_head(str_skip(tail, offset - written), LEASE_READ_MAX);
	} else {
		j->spool_fd = s->big_fd;
		j->offset = offset;
		j->want = written - offset < LEASE_READ_MAX ? (size_t)(written - offset) : LEASE_READ_MAX;
	}
	read_go(j);
}

/* ---- the exchange ---- */

static int rename_big(struct queue *q, uint64_t from, uint64_t to, struct err *e)
{
	char from_name[24], to_name[24];

	big_name(from_name, from);
	big_name(to_name, to);
	if (renameat(q->big_dir_fd, from_name, q->big_dir_fd, to_name) != 0)
		return err_sys(e, ERR_IO, "queue.rewrite", "cannot rename big/%s", from_name);
	return 0;
}

static int exchange(struct parcel *p, struct parcel *fresh, struct err *e)
{
	int rc = 0;

	if (fresh->spool.big_fd >= 0) /* a file of the old content loses its name and goes with its descriptor */
		rc = rename_big(p->queue, fresh->id, p->id, e);
	else if (p->spool.big_fd >= 0)
		rc = rename_big(p->queue, p->id, fresh->id, e);
	if (rc != 0)
		return rc;
	struct spool spool = p->spool;
	struct buf bytes = p->bytes;
	p->spool = fresh->spool, p->bytes = fresh->bytes;
	fresh->spool = spool, fresh->bytes = bytes;
	return 0;
}

/* ---- window by window ---- */

static void on_read(struct op *op);

static void finish(struct rewrite *r, bool ok)
{
	lease_read_fini(&r->read);
	spool_abort(&r->fresh);
	spool_abort(&r->body);
	r->ok = ok;
	op_finish(&r->asker);
}

static void read_on(struct rewrite *r)
{
	spool_read(r->source, r->at, &r->read, on_read);
}

/* Writes what the edits make of a window; what is to be inserted behind the last byte comes with the last window. */
static int write_window(struct rewrite *r, struct str window)
{
	struct str run;

	window = str_head(window, r->end - r->at);
	r->at += window.n;
	while ((run = edits_take(r->edits, &r->pos, &window, SIZE_MAX)).n > 0)
		if (spool_write(r->fresh, run, &r->err) != 0)
			return -1;
	return 0;
}

static void on_read(struct op *op)
{
	struct rewrite *r = container_of(op, struct rewrite, read.op);

	if (r->fresh == NULL) { /* there is no room: r->err says so */
		finish(r, false);
		return;
	}
	r->err = r->read.err;
	if (!r->read.ok || write_window(r, r->read.bytes) != 0) {
		finish(r, false);
	} else if (r->at < r->end) {
		read_on(r);
	} else if (r->body != NULL && r->source != r->body) {
		r->source = r->body;
		r->at = 0;
		r->end = r->body->size;
		r->edits = (struct edits){ 0 };
		r->pos = (struct edit_pos){ 0 };
		read_on(r);
	} else {
		finish(r, exchange(parcel_of_spool(r->spool), parcel_of_spool(r->fresh), &r->err) == 0);
	}
}

void spool_rewrite(struct spool *s, struct edits e, struct spool **body, uint64_t body_at, struct rewrite *r,
		   void (*done)(struct op *))
{
	must(edits_check(e) && r->fresh == NULL && r->body == NULL);
	*r = (struct rewrite){ .spool = s,
			       .source = s,
			       .edits = e,
			       .body = body != NULL ? *body : NULL,
			       .end = body != NULL && body_at < s->size ? body_at : s->size };
	if (body != NULL)
		*body = NULL;
	op_start(&r->op, done, &r->asker);
	r->fresh = spool_begin(parcel_of_spool(s)->request.port, &r->err);
	read_on(r); /* also without a fresh one: the answer comes later */
}

void rewrite_cancel(struct rewrite *r)
{
	op_cancel(&r->op);
	lease_read_fini(&r->read);
	spool_abort(&r->fresh);
	spool_abort(&r->body);
}
