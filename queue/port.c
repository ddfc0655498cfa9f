/* queue/port.c: the queue as one loop sees it: what leaves for the other threads, what comes back, and the pool of
 * parcels, so that a busy loop never asks the kernel for memory. */
#include "queue/inner.h"

enum { PARCEL_FIRST = 16 * 1024, PARCEL_KEEP = 128 * 1024, TEXTS_MAX = 64 * 1024 * 1024 };

/* ---- parcels ---- */

struct parcel *parcel_new(struct queue *q)
{
	struct parcel *p;

	pthread_mutex_lock(&q->lock);
	p = q->pool;
	if (p != NULL) {
		q->pool = p->request.next == NULL ? NULL : parcel_of(p->request.next);
		q->pool_n--;
	}
	pthread_mutex_unlock(&q->lock);
	if (p != NULL)
		return p;
	p = calloc(1, sizeof *p);
	must(p != NULL);
	p->queue = q;
	p->spool.big_fd = -1;
	buf_init_sure(&p->bytes, q->segment_bytes + 2 * RECORD_BLOCK); /* a record, or blocks of a big file */
	buf_init_sure(&p->outcomes, q->segment_bytes);
	buf_init(&p->texts, TEXTS_MAX);
	buf_reserve(&p->bytes, PARCEL_FIRST);
	return p;
}

void parcel_free(struct parcel *p)
{
	buf_fini(&p->bytes);
	buf_fini(&p->outcomes);
	buf_fini(&p->texts);
	free(p->rcpts);
	free(p->due);
	free(p);
}

/* As after parcel_new; what an unusual message made it grow to goes. */
static void reset(struct parcel *p)
{
	must(p->asker == NULL && p->spool.big_fd < 0);
	if (p->bytes.cap > PARCEL_KEEP)
		buf_fini(&p->bytes);
	if (p->outcomes.cap > PARCEL_FIRST)
		buf_fini(&p->outcomes);
	if (p->texts.cap > PARCEL_FIRST)
		buf_fini(&p->texts);
	buf_reset(&p->bytes);
	buf_reset(&p->outcomes);
	buf_reset(&p->texts);
	p->stage = PARCEL_FREE;
	p->ok = p->is_leased = p->with_content = p->keep_big = false;
	p->request.port = NULL;
}

void parcel_give(struct queue *q, struct parcel *p)
{
	reset(p);
	pthread_mutex_lock(&q->lock);
	bool keep = q->pool_n < POOL_MAX;
	if (keep) {
		p->request.next = q->pool == NULL ? NULL : &q->pool->request;
		q->pool = p;
		q->pool_n++;
	}
	pthread_mutex_unlock(&q->lock);
	if (!keep)
		parcel_free(p);
}

void port_keep_parcel(struct parcel *p)
{
	struct queue_port *port = p->request.port;

	LIST_REMOVE(p, in_port);
	if (p->spool.big_fd >= 0) {
		disk_discard_spool(p->queue, p);
		return;
	}
	if (port->pool_n >= PORT_POOL_MAX) {
		parcel_give(p->queue, p);
		return;
	}
	reset(p);
	p->request.next = port->pool == NULL ? NULL : &port->pool->request;
	port->pool = p;
	port->pool_n++;
}

struct parcel *port_take_parcel(struct queue_port *port)
{
	struct parcel *p = port->pool;

	if (p == NULL)
		return parcel_new(port->queue);
	port->pool = p->request.next == NULL ? NULL : parcel_of(p->request.next);
	port->pool_n--;
	return p;
}

/* ---- out: everything of one turn leaves together, one lock and at most one wake-up ---- */

static bool orphan_gone(struct queue_port *p)
{
	if (!p->orphan || p->push_posted || p->ready_posted)
		return p->orphan;
	pthread_mutex_destroy(&p->lock);
	free(p);
	return true;
}

static void run_push(struct loop_task *task)
{
	struct queue_port *p = container_of(task, struct queue_port, push);

	p->push_posted = false;
	if (!orphan_gone(p) && !p->closed)
		commit_push(p->queue, &p->out);
}

void port_request(struct queue_port *p, struct request *r)
{
	must(!p->closed);
	requests_add(&p->out, r);
	if (p->push_posted)
		return;
	p->push_posted = true;
	loop_defer(p->loop, &p->push);
}

/* ---- back ---- */

static void commit_answered(struct parcel *p)
{
	if (p->asker != NULL) {
		struct commit *c = container_of(p->asker, struct commit, op);
		c->ok = p->ok;
		c->id = p->id;
		c->err = p->err;
		op_finish(&p->asker);
	}
	if (p->is_leased)
		lease_open_fresh(p);
	else
		port_keep_parcel(p);
}

static void hear(struct request *r)
{
	switch (r->kind) {
	case REQ_COMMIT:
		commit_answered(parcel_of(r));
		return;
	case REQ_LEASE:
		LIST_INSERT_HEAD(&r->port->parcels, parcel_of(r), in_port);
		lease_open(parcel_of(r));
		return;
	case REQ_SETTLE:
	case REQ_RELEASE:
		port_keep_parcel(parcel_of(r));
		return;
	case REQ_READ:
		lease_read_done(container_of(r, struct read_job, request));
		return;
	case REQ_ASK:
		ask_done(container_of(r, struct ask, request));
		return;
	default:
		must(false);
	}
}

static void run_ready(struct loop_task *task)
{
	struct queue_port *p = container_of(task, struct queue_port, ready);
	struct requests list;
	struct request *r;

	pthread_mutex_lock(&p->lock);
	p->ready_posted = false;
	requests_init(&list);
	requests_move(&list, &p->answers);
	bool closed = p->closed;
	pthread_mutex_unlock(&p->lock);
	if (orphan_gone(p))
		return;
	must(!closed || list.first == NULL);
	while (!p->closed && (r = requests_take(&list)) != NULL)
		hear(r);
	if (list.first == NULL)
		return;
	/* a handler detached the port: what it did not hear yet goes where a closed port's answers go */
	port_answer(p, &list);
}

/* What nobody hears any more: leases go back to the schedule, the rest is freed. */
static void dispose(struct queue *q, struct request *r)
{
	struct parcel *p;

	switch (r->kind) {
	case REQ_READ:
		buf_fini(&container_of(r, struct read_job, request)->bytes);
		free(container_of(r, struct read_job, request));
		return;
	case REQ_ASK:
		ask_free(container_of(r, struct ask, request));
		return;
	case REQ_COMMIT:
	case REQ_LEASE:
		p = parcel_of(r);
		if (p->is_leased || r->kind == REQ_LEASE) {
			r->kind = REQ_RELEASE;
			commit_push_one(q, r);
			return;
		}
		/* fall through */
	default:
		p = parcel_of(r);
		if (p->spool.big_fd >= 0)
			disk_discard_spool(q, p);
		else
			parcel_give(q, p);
	}
}

void port_answer(struct queue_port *p, struct requests *list)
{
	struct request *r;

	pthread_mutex_lock(&p->lock);
	bool closed = p->closed, post = !closed && !p->ready_posted;
	if (!closed) {
		requests_move(&p->answers, list);
		p->ready_posted = true;
	}
	pthread_mutex_unlock(&p->lock);
	if (post)
		loop_post(p->loop, &p->ready);
	while (closed && (r = requests_take(list)) != NULL)
		dispose(p->queue, r);
}

/* ---- attach, detach ---- */

struct queue_port *queue_attach(struct queue *q, struct loop *loop, void (*on_lease)(void *arg, struct lease *l),
				void *arg)
{
	struct queue_port *p = calloc(1, sizeof *p);

	must(p != NULL);
	*p = (struct queue_port){
		.queue = q, .loop = loop, .on_lease = on_lease, .arg = arg, .push.fn = run_push, .ready.fn = run_ready
	};
	LIST_INIT(&p->parcels);
	LIST_INIT(&p->reads);
	requests_init(&p->out);
	requests_init(&p->answered);
	requests_init(&p->answers);
	pthread_mutex_init(&p->lock, NULL);
	pthread_mutex_lock(&q->lock);
	must(q->port_n < PORTS_MAX);
	p->working = q->working == NULL ? NULL : &q->working->ids[q->port_n];
	q->ports[q->port_n] = p;
	q->port_n++;
	pthread_mutex_unlock(&q->lock);
	queue_pause(p, false);
	return p;
}

static void wake_commit(struct queue_port *p)
{
	struct request *r = calloc(1, sizeof *r);

	must(r != NULL);
	*r = (struct request){ .kind = REQ_WAKE };
	commit_push_one(p->queue, r);
}

void queue_pause(struct queue_port *p, bool paused)
{
	p->paused = paused;
	if (!paused)
		wake_commit(p);
}

static void drop_open(struct queue_port *p)
{
	struct parcel *a, *next;
	struct read_job *j, *j_next;

	for (a = LIST_FIRST(&p->parcels); a != NULL; a = next) {
		next = LIST_NEXT(a, in_port);
		must(a->stage != PARCEL_SPOOL); /* abort or commit spools first */
		LIST_REMOVE(a, in_port);
		if (a->asker != NULL)
			op_cancel(a->asker);
		if (a->stage != PARCEL_LEASED)
			continue;
		a->stage = PARCEL_AWAY;
		a->request.kind = REQ_RELEASE;
		requests_add(&p->out, &a->request);
	}
	for (j = LIST_FIRST(&p->reads); j != NULL; j = j_next) {
		j_next = LIST_NEXT(j, in_port);
		LIST_REMOVE(j, in_port);
		must(j->reader == NULL); /* lease_read_fini before queue_detach */
	}
}

void queue_detach(struct queue_port **pp)
{
	struct queue_port *p = *pp;
	struct requests list;
	struct request *r;

	if (p == NULL)
		return;
	*pp = NULL;
	queue_working(p, NULL);
	drop_open(p);
	commit_push(p->queue, &p->out);
	requests_init(&list);
	pthread_mutex_lock(&p->lock);
	p->closed = true;
	requests_move(&list, &p->answers);
	pthread_mutex_unlock(&p->lock);
	p->paused = true;
	while ((r = requests_take(&list)) != NULL)
		dispose(p->queue, r);
	while (p->pool != NULL)
		parcel_give(p->queue, port_take_parcel(p));
}

/* With the threads gone.  A task of ours may still stand in the loop's list; then it frees the port. */
void port_free(struct queue_port *p)
{
	must(p->closed);
	p->orphan = true;
	orphan_gone(p);
}
