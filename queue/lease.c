/* queue/lease.c: handing a message to the loop that delivers it, its content, and taking back what became of it. */
#include "queue/inner.h"

static struct parcel *parcel_of_lease(struct lease *l)
{
	return container_of(l, struct parcel, lease);
}

void parcel_room_for_due(struct parcel *p, size_t n)
{
	if (n <= p->due_cap)
		return;
	p->due_cap = n < 8 ? 8 : n;
	p->due = realloc(p->due, p->due_cap * sizeof *p->due);
	must(p->due != NULL);
}

static bool decode(struct parcel *p)
{
	size_t n = record_rcpt_n(parcel_meta(p));

	if (n > p->rcpt_cap) {
		p->rcpt_cap = n < 8 ? 8 : n;
		p->rcpts = realloc(p->rcpts, p->rcpt_cap * sizeof *p->rcpts);
		must(p->rcpts != NULL);
	}
	return record_get_envelope(parcel_meta(p), &p->lease.env, p->rcpts);
}

void lease_open(struct parcel *p)
{
	struct queue_port *port = p->request.port;

	p->lease = (struct lease){ .id = p->id, .size = p->record.size };
	must(decode(p)); /* encoded by us, or checked by the disk thread */
	p->lease.rcpts = p->due;
	p->lease.rcpt_n = p->due_n;
	if (p->with_content)
		p->lease.content = str_n(p->bytes.p + RECORD_HEAD, p->record.body_n);
	p->stage = PARCEL_LEASED;
	if (port->paused) {
		p->stage = PARCEL_AWAY;
		p->request.kind = REQ_RELEASE;
		port_request(port, &p->request);
		return;
	}
	queue_working(port, &p->lease);
	port->on_lease(port->arg, &p->lease);
	queue_working(port, NULL);
}

/* Straight after its commit: all recipients are due, none was tried. */
void lease_open_fresh(struct parcel *p)
{
	p->due_n = record_rcpt_n(parcel_meta(p));
	parcel_room_for_due(p, p->due_n);
	for (size_t i = 0; i < p->due_n; i++)
		p->due[i] = (struct lease_rcpt){ .index = (unsigned)i };
	p->with_content = p->record.kind == RECORD_MESSAGE;
	lease_open(p);
}

/* ---- reading content ---- */

struct read_job *read_begin(struct queue_port *port, struct lease_read *r, void (*done)(struct op *))
{
	struct read_job *j = r->state;

	must(!op_is_open(&r->op));
	if (j == NULL) {
		j = calloc(1, sizeof *j);
		must(j != NULL);
		buf_init(&j->bytes, LEASE_READ_MAX);
		j->request.kind = REQ_READ;
		j->request.port = port;
		r->state = j;
		LIST_INSERT_HEAD(&port->reads, j, in_port);
	}
	must(!j->busy);
	j->spool_fd = -1;
	j->reader = r;
	j->busy = true;
	j->ok = true;
	r->ok = false;
	op_start(&r->op, done, &j->asker);
	return j;
}

/* Content that is in memory is answered by the port's next turn, the rest by the disk thread. */
void read_go(struct read_job *j)
{
	struct queue_port *port = j->request.port;
	struct requests one;

	if (!j->local) {
		disk_read(port->queue, j);
		return;
	}
	requests_init(&one);
	requests_add(&one, &j->request);
	port_answer(port, &one);
}

void lease_read(struct lease *l, uint64_t offset, struct lease_read *r, void (*done)(struct op *))
{
	struct parcel *p = parcel_of_lease(l);

	must(p->stage == PARCEL_LEASED);
	struct read_job *j = read_begin(p->request.port, r, done);
	uint64_t left = offset < l->size ? l->size - offset : 0;
	j->want = left < LEASE_READ_MAX ? (size_t)left : LEASE_READ_MAX;
	j->id = p->id;
	j->big = p->record.kind == RECORD_BIG;
	j->segment = p->record.segment;
	j->offset = (j->big ? 0 : p->offset + RECORD_HEAD) + offset;
	j->local = p->with_content || j->want == 0;
	if (j->local)
		j->view = j->want == 0 ? S("") : str_head(str_skip(l->content, offset), j->want);
	read_go(j);
}

static void read_free(struct read_job *j)
{
	LIST_REMOVE(j, in_port);
	buf_fini(&j->bytes);
	free(j);
}

void lease_read_done(struct read_job *j)
{
	struct lease_read *r = j->reader;

	j->busy = false;
	if (r == NULL) {
		read_free(j);
		return;
	}
	if (j->asker == NULL)
		return; /* cancelled, but the reader still stands */
	struct queue_port *port = j->request.port;
	r->ok = j->ok;
	r->err = j->err;
	r->bytes = j->local ? j->view : buf_str(&j->bytes);
	if (j->id != 0)
		queue_working(port, &(struct lease){ .id = j->id });
	op_finish(&j->asker); /* j may be gone */
	queue_working(port, NULL);
}

void lease_read_fini(struct lease_read *r)
{
	struct read_job *j = r->state;

	op_cancel(&r->op);
	r->state = NULL;
	r->bytes = STR_NONE;
	if (j == NULL)
		return;
	j->reader = NULL;
	if (!j->busy)
		read_free(j);
}

/* ---- outcomes ---- */

static const struct lease_rcpt *leased_rcpt(const struct lease *l, size_t hint, unsigned index)
{
	if (hint < l->rcpt_n && l->rcpts[hint].index == index)
		return &l->rcpts[hint];
	for (size_t i = 0; i < l->rcpt_n; i++)
		if (l->rcpts[i].index == index)
			return &l->rcpts[i];
	return NULL;
}

void lease_settle(struct lease **lp, const struct outcome *o, size_t n)
{
	struct parcel *p = parcel_of_lease(*lp);
	static const char padding[RECORD_ALIGN];

	must(p->stage == PARCEL_LEASED && n == p->lease.rcpt_n && n > 0);
	/* the record has to fit into a segment whatever the texts are */
	size_t text_max = (size_t)p->queue->segment_bytes / 4 / n;
	*lp = NULL;
	buf_reset(&p->outcomes);
	buf_reserve(&p->outcomes, RECORD_HEAD);
	buf_commit(&p->outcomes, RECORD_HEAD);
	for (size_t i = 0; i < n; i++) {
		const struct lease_rcpt *r = leased_rcpt(&p->lease, i, o[i].index);
		must(r != NULL && o[i].note <= QUEUE_NOTE_MAX);
		bool counts = !o[i].untried || r->attempts == 0; /* deferred is: has attempts */
		record_put_outcome(
			&p->outcomes,
			&(struct record_outcome){
				.rcpt = o[i].index,
				.kind = (uint8_t)o[i].kind,
				.delay_told = o[i].delay_told,
				.note = (uint8_t)o[i].note,
				.attempts = (uint16_t)(r->attempts < UINT16_MAX ? r->attempts + counts : UINT16_MAX),
				.due_ms = o[i].due_ms,
				.text = str_head(o[i].text, text_max),
			});
	}
	size_t pad = (RECORD_ALIGN - p->outcomes.n % RECORD_ALIGN) % RECORD_ALIGN;
	p->outcome_n = (uint32_t)(p->outcomes.n - RECORD_HEAD);
	buf_add(&p->outcomes, str_n(padding, pad));
	must(!p->outcomes.full);
	p->stage = PARCEL_AWAY;
	p->request.kind = REQ_SETTLE;
	port_request(p->request.port, &p->request);
}
