/* connectors/deliver.c: leases in, transactions out.
 *
 *   deliver_lease -> plan -> groups -> [header read] -> edits -> pool ... over, over -> job_end (settle.c)
 *
 * A job is one lease.  Its recipients are planned with one routing view, gathered into transactions by hop and address
 * form, and sent through the pool; the job ends when no transaction is open (open_n == 0). */
#include "connectors/job.h"

#include "base/must.h"
#include "base/time.h"

#include <stdlib.h>

enum { HEADER_ROOM = 1 << 20 };

/* ---- the beginning of the content ---- */

static void on_head(struct op *op)
{
	struct job *j = container_of(op, struct job, head_read.op);

	if (!j->head_read.ok)
		log_warn(&j->log, "delivery.unreadable", kv_c("why", j->head_read.err.text));
	j->with_head(j, j->head_read.ok ? j->head_read.bytes : STR_NONE);
}

void job_fetch_head(struct job *j, void (*then)(struct job *, struct str))
{
	j->with_head = then;
	if (j->lease->content.p != NULL || j->lease->size == 0)
		then(j, str_head(j->lease->content, LEASE_READ_MAX));
	else
		lease_read(j->lease, 0, &j->head_read, on_head);
}

/* ---- transactions ---- */

static void on_read(struct op *op)
{
	struct delivery *dl = container_of(op, struct delivery, read.op);
	struct smtp_client *c = dl->txn.client;
	bool ok = dl->read.ok && dl->read.bytes.n > 0;

	if (c != NULL && c->txn == &dl->txn && c->fetching)
		smtp_client_content(c, ok, ok ? dl->read.bytes : str_c(dl->read.err.text));
}

static void on_fetch(struct smtp_txn *t, uint64_t offset)
{
	struct delivery *dl = container_of(t, struct delivery, txn);

	if (op_is_open(&dl->read.op)) { /* asked by a connection that is gone */
		lease_read_fini(&dl->read);
		dl->read = (struct lease_read){ 0 };
	}
	lease_read(dl->job->lease, offset, &dl->read, on_read);
}

static const char *event_name(const struct plan *p)
{
	enum rcpt_result r = p->rcpt.result;

	if (p->dropped)
		return "delivery.dropped";
	if (p->expands && r == RCPT_SENT)
		return "delivery.expands";
	return r == RCPT_SENT ? "delivery.sent" : r == RCPT_FAILED ? "delivery.failed" : "delivery.deferred";
}

static void log_attempt(const struct job *j, const struct plan *p)
{
	static const struct smtp_where nowhere;
	const struct smtp_where *w = p->where != NULL ? p->where : &nowhere;

	LOG_(&j->log, LOG_LEVEL_INFO, event_name(p), kv_str("to", p->rcpt.env.addr), kv_str("as", p->rcpt.addr),
	     kv_c("form", route_form_name(p->form)), kv_c("rule", p->rule), kv_c("reason", p->reason),
	     kv_str("connector", p->hop != NULL ? hop_send(p->hop)->name : STR_NONE), kv_c("host", w->host),
	     kv_c("ip", w->ip), kv_c("tls", w->tls), kv_int("attempt", (int64_t)p->attempts + 1),
	     kv_str("reply", p->rcpt.text));
}

static void note_result(struct job *j, struct plan *p, const struct delivery *dl, struct smtp_where *where)
{
	p->where = where;
	p->no_dsn = dl->txn.no_dsn;
	if (p->rcpt.result == RCPT_SENT)
		p->rcpt.text = str_c(dl->txn.text);
	if (p->rcpt.rule != NULL && p->rcpt.rule->cause != NULL) {
		log_warn(&j->log, "connector.refused", kv_str("connector", hop_send(p->hop)->name),
			 kv_c("host", where->host), kv_c("act", response_act_name(p->rcpt.rule->act)),
			 kv_str("reply", p->rcpt.text));
		p->cause = p->rcpt.rule->cause;
		p->fixer = p->rcpt.rule->fixer;
	}
	p->wait = dl->txn.end == SMTP_UNKNOWN && p->rcpt.accepted   ? SCHED_UNKNOWN
		  : dl->txn.end == SMTP_LOST && p->rcpt.said.n == 0 ? SCHED_NO_CONNECTION
								    : SCHED_MESSAGE;
	p->untried = dl->txn.untried;
	p->again_ms = dl->txn.again_ms;
	if (p->wait == SCHED_UNKNOWN)
		log_warn(&j->log, "delivery.unknown", kv_str("to", p->rcpt.env.addr), kv_c("host", where->host),
			 kv_c("ip", where->ip), kv_str("connector", hop_send(p->hop)->name),
			 kv_str("why", p->rcpt.text));
	if (!echo_is_probe(&j->lease->env)) { /* nobody's mail */
		hop_count(p->hop, p->rcpt.result, clock_wall_ms() - j->lease->env.arrived_ms);
		if (p->rcpt.result == RCPT_SENT)
			routing_coverage_count(j->d->o.routing, p->coverage, clock_wall_ms());
	}
	log_attempt(j, p);
	if (p->rcpt.result == RCPT_SENT)
		job_track_sent(j, p, dl);
}

/* Recipients that the server wanted in another transaction go into one.  False when there are none. */
static bool send_rest(struct delivery *dl)
{
	struct smtp_rcpts rest = STAILQ_HEAD_INITIALIZER(rest);
	struct smtp_rcpt *r, *next;
	struct hop *hop = NULL;

	dl->txn.rcpt_n = 0;
	for (r = STAILQ_FIRST(&dl->txn.rcpts); r != NULL; r = next) {
		next = STAILQ_NEXT(r, next);
		if (r->result != RCPT_AGAIN)
			continue;
		r->result = RCPT_PENDING;
		r->accepted = false;
		r->said = STR_NONE;
		hop = container_of(r, struct plan, rcpt)->hop;
		STAILQ_INSERT_TAIL(&rest, r, next);
		dl->txn.rcpt_n++;
	}
	STAILQ_INIT(&dl->txn.rcpts);
	STAILQ_CONCAT(&dl->txn.rcpts, &rest);
	if (hop == NULL)
		return false;
	pool_add(hop, &dl->txn);
	return true;
}

static void over(struct smtp_txn *t)
{
	struct delivery *dl = container_of(t, struct delivery, txn);
	struct job *j = dl->job;
	struct smtp_where *where = arena_alloc(&j->arena, sizeof *where);
	struct smtp_rcpt *r;
	static struct smtp_where nowhere;

	if (where != NULL)
		*where = t->where;
	STAILQ_FOREACH (r, &t->rcpts, next)
		if (r->result != RCPT_AGAIN)
			note_result(j, container_of(r, struct plan, rcpt), dl, where != NULL ? where : &nowhere);
	if (send_rest(dl))
		return;
	lease_read_fini(&dl->read);
	must(j->open_n > 0);
	if (--j->open_n == 0)
		job_end(j);
}

static void on_over(struct smtp_txn *t)
{
	struct queue_port *port = t->port;

	if (port != NULL)
		queue_working(port, t->lease);
	over(t); /* the job may be gone behind it */
	if (port != NULL)
		queue_working(port, NULL);
}

/* What came by our own expansion says so to the peer, and only that does. */
static unsigned generation_of(const struct plan *p)
{
	return p->next == NEXT_PEER ? p->rcpt.env.generation : 0;
}

static struct delivery *delivery_new(struct job *j, const struct plan *p)
{
	struct delivery *dl = arena_alloc(&j->arena, sizeof *dl);

	if (dl == NULL)
		return NULL;
	dl->job = j;
	dl->form = p->form;
	dl->generation = generation_of(p);
	dl->txn.env = j->lease->env;
	dl->txn.env.from = p->from;
	dl->txn.env.rcpts = NULL;
	dl->txn.env.rcpt_n = 0;
	dl->forwarded = p->forwarded;
	/* whose mail it is by now: what we forward for a mailbox of ours is ours, whoever wrote it (R56, R58 -> R53) */
	dl->txn.env.xorg = p->forwarded && p->next == NEXT_PEER ? hop_send(p->hop)->xoorg
								: header_claim_for(&j->lease->env, hop_send(p->hop));
	dl->txn.size = j->lease->size;
	dl->txn.content = j->lease->content;
	dl->txn.arena = &j->arena;
	dl->txn.fetch = on_fetch;
	dl->txn.over = on_over;
	dl->txn.hop = p->hop;
	dl->txn.port = j->d->o.port != NULL ? *j->d->o.port : NULL;
	dl->txn.lease = j->lease;
	STAILQ_INIT(&dl->txn.rcpts);
	dl->next = j->deliveries;
	j->deliveries = dl;
	return dl;
}

/* The transaction of this job that the recipient may join (spec 1.5, last paragraph). */
static struct delivery *delivery_for(struct job *j, const struct plan *p)
{
	unsigned most = (unsigned)hop_send(p->hop)->recipients_per_message;

	for (struct delivery *dl = j->deliveries; dl != NULL; dl = dl->next)
		if (dl->txn.hop == p->hop && dl->form == p->form && dl->forwarded == p->forwarded &&
		    dl->generation == generation_of(p) && str_eq(dl->txn.env.from, p->from) &&
		    (most == 0 || dl->txn.rcpt_n < most))
			return dl;
	return delivery_new(j, p);
}

/* Nothing can be sent: it stays for later. */
static void defer_all(struct job *j, struct delivery *dl, const char *why)
{
	struct smtp_rcpt *r, *next;

	for (r = STAILQ_FIRST(&dl->txn.rcpts); r != NULL; r = next) {
		struct plan *p = container_of(r, struct plan, rcpt);
		next = STAILQ_NEXT(r, next);
		plan_settle(p, &j->arena, RCPT_DEFERRED, REPLY(451, 4, 3, 1, ""), str_c(why));
		log_attempt(j, p);
	}
	STAILQ_INIT(&dl->txn.rcpts);
	dl->txn.rcpt_n = 0;
}

/* Without the header nobody knows who has got it already: the members wait too. */
static void defer_expansions(struct job *j)
{
	for (size_t i = 0; i < j->plan_n; i++)
		if (j->plans[i].expands)
			plan_settle(&j->plans[i], &j->arena, RCPT_DEFERRED, REPLY(451, 4, 3, 1, ""),
				    S("the message cannot be read now"));
}

static void post(struct delivery *dl)
{
	dl->began_ms = loop_now_ms(dl->job->d->o.loop);
	pool_add(dl->txn.hop, &dl->txn);
}

/* It leaves signed; without when no key of ours will ever sign it; later when that is not known. */
static void go_on_signed(struct delivery *dl)
{
	const struct signature *s = &dl->signing.signature;
	struct job *j = dl->job;

	if (s->ok ? sign_put(dl) : s->refused) {
		if (!s->ok)
			log_warn(&j->log, "dkim.unsigned", kv_str("domain", j->author), kv_c("why", s->why));
		else
			log_info(&j->log, "dkim.signed", kv_str("domain", j->author));
		sign_cancel(dl);
		post(dl);
		return;
	}
	log_warn(&j->log, "dkim.deferred", kv_str("domain", j->author), kv_c("why", s->why));
	sign_cancel(dl);
	defer_all(j, dl, "it cannot be signed now");
	must(j->open_n > 0);
	if (--j->open_n == 0)
		job_end(j);
}

static void on_signed(struct delivery *dl)
{
	struct queue_port *port = dl->txn.port;

	if (port != NULL)
		queue_working(port, dl->job->lease);
	go_on_signed(dl);
	if (port != NULL)
		queue_working(port, NULL);
}

static void send_all(struct job *j, bool header_known)
{
	if (header_known)
		job_keep_tokens(j);
	else
		defer_expansions(j);
	for (struct delivery *dl = j->deliveries; dl != NULL; dl = dl->next) {
		dl->txn.header_8bit = j->header_8bit;
		if (!header_known)
			defer_all(j, dl, "the message cannot be read now");
		else if (!job_edit_header(j, dl))
			defer_all(j, dl, "no memory for the header of the message");
		else
			j->open_n++;
	}
	for (struct delivery *dl = j->deliveries; dl != NULL; dl = dl->next)
		if (dl->txn.rcpt_n > 0 && !sign_start(dl, on_signed))
			post(dl);
	if (j->open_n == 0)
		job_end(j);
}

static void tell_sender(const struct job *j, const struct plan *p)
{
	if (p->srs == SRS_OK)
		log_info(&j->log, "sender.rewritten", kv_str("to", p->rcpt.env.addr),
			 kv_str("from", j->lease->env.from), kv_str("as", p->from));
	else if (p->srs != SRS_NONE)
		log_warn(&j->log, "sender.kept", kv_str("to", p->rcpt.env.addr), kv_str("from", j->lease->env.from),
			 kv_c("why", srs_result_name(p->srs)));
}

static void group(struct job *j)
{
	for (size_t i = 0; i < j->plan_n; i++) {
		struct plan *p = &j->plans[i];
		struct delivery *dl = p->rcpt.result == RCPT_PENDING ? delivery_for(j, p) : NULL;
		tell_sender(j, p);
		if (dl != NULL) {
			STAILQ_INSERT_TAIL(&dl->txn.rcpts, &p->rcpt, next);
			dl->txn.rcpt_n++;
			continue;
		}
		if (p->rcpt.result == RCPT_PENDING)
			plan_settle(p, &j->arena, RCPT_DEFERRED, REPLY(451, 4, 3, 1, ""), S("too many ways at once"));
		log_attempt(j, p);
	}
}

/* Without its report a message does not leave (spec 6.6): all of it waits. */
static void wait_for_journal(struct job *j, const struct err *e)
{
	log_error(&j->log, "journal.failed", kv_c("why", e->text));
	for (size_t i = 0; i < j->plan_n; i++) {
		struct plan *p = &j->plans[i];
		p->rcpt.env = j->lease->env.rcpts[p->index];
		p->rcpt.addr = p->rcpt.env.addr;
		p->from = j->lease->env.from;
		p->rule = "R-JRN";
		p->reason = "JOURNAL";
		plan_settle(p, &j->arena, RCPT_DEFERRED, REPLY(451, 4, 3, 0, ""), str_c(e->text));
		log_attempt(j, p);
	}
	job_end(j);
}

static bool expands(const struct job *j)
{
	for (size_t i = 0; i < j->plan_n; i++)
		if (j->plans[i].expands)
			return true;
	return false;
}

static void plan_and_send(struct job *j, const struct err *not_journaled)
{
	struct drain_order drain = { .to = "" };

	drain_read(j->d->o.drain, &drain);
	const struct planner planner = { .routing = j->d->o.routing,
					 .outbound = j->d->outbound,
					 .pool = j->d->pool,
					 .arena = &j->arena,
					 .env = &j->lease->env,
					 .size = j->lease->size,
					 .drain_to = str_c(drain.to) };

	if (not_journaled != NULL) {
		wait_for_journal(j, not_journaled);
		return;
	}
	plan_recipients(&planner, j->plans, j->plan_n);
	group(j);
	if ((j->deliveries != NULL || expands(j)) && job_needs_header(j))
		job_scan_header(j, send_all);
	else
		send_all(j, true);
}

/* ---- leases ---- */

void job_free(struct job *j)
{
	TAILQ_REMOVE(&j->d->jobs, j, link);
	j->d->job_n--;
	arena_fini(&j->arena);
	free(j);
}

static struct job *job_new(struct deliver *d, struct lease *l)
{
	struct job *j = calloc(1, sizeof *j);

	must(j != NULL && l->rcpt_n > 0);
	j->d = d;
	j->lease = l;
	j->log.id = l->env.trace_id;
	j->plan_n = l->rcpt_n;
	/* a plan and its texts take about 2 KiB; a lease has at most limits.recipients of them.  Memory is taken as it
	 * is used: a header of a thousand fields to edit is rare. */
	arena_init_sure(&j->arena, HEADER_ROOM + l->rcpt_n * 16 * 1024);
	j->plans = arena_alloc(&j->arena, l->rcpt_n * sizeof *j->plans);
	j->outcomes = arena_alloc(&j->arena, l->rcpt_n * sizeof *j->outcomes);
	j->reports = arena_alloc(&j->arena, l->rcpt_n * sizeof *j->reports);
	must(j->plans != NULL && j->outcomes != NULL && j->reports != NULL);
	j->arena.sure = false; /* from here on others say how much it takes */
	for (size_t i = 0; i < l->rcpt_n; i++) {
		j->plans[i].index = l->rcpts[i].index;
		j->plans[i].attempts = l->rcpts[i].attempts;
		j->plans[i].delay_told = l->rcpts[i].delay_told;
		if (l->rcpts[i].condemned)
			j->plans[i].condemned = l->rcpts[i].last.p != NULL ? l->rcpts[i].last : S("");
	}
	TAILQ_INSERT_TAIL(&d->jobs, j, link);
	d->job_n++;
	return j;
}

void deliver_lease(struct deliver *d, struct lease *l)
{
	job_journal(job_new(d, l), plan_and_send);
}

void deliver_hurry(struct deliver *d)
{
	pool_forget_rests(d->pool);
}

size_t deliver_busy(const struct deliver *d)
{
	return d->job_n;
}

struct deliver *deliver_new(const struct deliver_options *o)
{
	struct deliver *d = calloc(1, sizeof *d);

	must(d != NULL);
	d->o = *o;
	d->outbound = outbound_ref(o->outbound);
	TAILQ_INIT(&d->jobs);
	d->pool = pool_new(&(struct pool_options){ .loop = o->loop,
						   .dns = o->dns,
						   .own = o->own,
						   .own_n = o->own_n,
						   .routing = o->routing,
						   .shares = o->shares > 0 ? o->shares : 1,
						   .breakers = o->breakers });
	return d;
}

void deliver_free(struct deliver **dp)
{
	struct deliver *d = *dp;

	if (d == NULL)
		return;
	echo_watch_free(&d->echo);
	validator_free(&d->validator);
	pool_free(&d->pool);
	while (!TAILQ_EMPTY(&d->jobs)) {
		struct job *j = TAILQ_FIRST(&d->jobs);
		job_scan_cancel(j); /* NOLINT(clang-analyzer-unix.Malloc): job_free takes it out of the list, unseen */
		job_journal_cancel(j);
		job_keep_cancel(j);
		for (struct delivery *dl = j->deliveries; dl != NULL; dl = dl->next)
			lease_read_fini(&dl->read), sign_cancel(dl);
		bounce_cancel(&j->bounce);
		expand_cancel(&j->expand);
		job_free(j);
	}
	outbound_unref(&d->outbound);
	free(d);
	*dp = NULL;
}

void deliver_reconfigure(struct deliver *d, struct outbound *o)
{
	struct outbound *old = d->outbound;

	d->outbound = outbound_ref(o);
	pool_retire(d->pool, o);
	outbound_unref(&old);
	if (d->validator != NULL)
		validator_reconfigure(d->validator);
	if (d->echo != NULL)
		echo_watch_reconfigure(d->echo);
}

void deliver_validate(struct deliver *d)
{
	must(d->validator == NULL);
	d->validator = validator_new(d);
	if (d->o.echoes != NULL)
		d->echo = echo_watch_new(d);
}

size_t deliver_stats(const struct deliver *d, struct hop_stats *rows, size_t max)
{
	return pool_stats(d->pool, rows, max);
}

size_t deliver_times(const struct deliver *d, struct hop_times *rows, size_t max)
{
	return pool_times(d->pool, rows, max);
}

size_t deliver_connectors(const struct deliver *d, struct connector_stats *rows, size_t max)
{
	return pool_connectors(d->pool, rows, max);
}
