/* connectors/job_journal.c: journaling of one lease (spec 6.6).
 *
 *   first lease: job_journal -> facts -> rules -> beginning of the content -> report spooled, rule by rule -> delivery
 *   later ones:  the recipients' notes say what was done
 *   of a report: FAILED -> job_rescue -> a copy for the alternate address | hold, JOURNAL-LOST
 *
 * A report is durable before the first recipient is tried, and the note that says so is written with the first outcome:
 * a crash between the two makes it again and loses nothing. */
#include "connectors/echo.h"
#include "connectors/job.h"
#include "connectors/journal.h"

#include "base/fault.h"
#include "base/guid.h"
#include "base/must.h"
#include "base/time.h"
#include "wire/journal.h"

enum { HEAD_ROOM = 16 * 1024, RCPT_ROOM = 1024, SUBJECT_MAX = 4096, TAIL_ROOM = 64, NAME_ROOM = 320 };

struct journaling {
	struct job *job;
	struct config *config; /* ours while a report is on its way to the disk */
	struct journal_facts facts;
	struct journal_report report;
	struct envelope env; /* of the report being stored */
	struct env_rcpt to;
	char trace_id[GUID_SIZE], boundary[GUID_SIZE + 8];
	const struct conf_journal *rule;
	size_t next, made;
	bool copying, held;
	struct copy copy;
	void (*then)(struct job *, const struct err *);
	void (*rescued)(struct job *, bool held, const struct err *);
};

bool job_is_report(const struct job *j)
{
	return j->lease->env.journal >= ENV_JOURNAL_REPORT;
}

bool job_is_journaled(const struct job *j)
{
	return j->lease->env.journal == ENV_JOURNAL_DONE || j->note == NOTE_JOURNALED;
}

void job_journal_cancel(struct job *j)
{
	struct journaling *w = j->journaling;

	op_cancel(&j->hold.op);
	if (w == NULL)
		return;
	if (w->copying)
		copy_cancel(&w->copy);
	config_unref(&w->config);
	j->journaling = NULL;
}

static bool begin(struct job *j)
{
	struct journaling *w = arena_alloc(&j->arena, sizeof *w);

	if (w == NULL)
		return false;
	*w = (struct journaling){ .job = j, .config = config_ref(outbound_config(j->d->outbound)) };
	j->journaling = w;
	return true;
}

/* ---- facts ---- */

static struct str domain_of(struct str address)
{
	return str_skip(address, (size_t)(str_rchr(address, '@') + 1));
}

/* Reports and other mail without a sender are ours when somebody of ours has written them. */
static bool is_sender_ours(struct routing_view *v, const struct envelope *env)
{
	if (env->from.n > 0)
		return routing_is_our_domain(v, domain_of(env->from));
	return env->origin == ENV_SELF || env->origin == ENV_LOCAL || env->origin == ENV_APP ||
	       (env->origin == ENV_PEER && env->class == ENV_CLASS_INT);
}

static const char *location_of(enum rcpt_kind k)
{
	switch (k) {
	case KIND_LOCAL:
	case KIND_ROUTING_SELF:
		return "local";
	case KIND_REMOTE:
	case KIND_ROUTING_PEER:
	case KIND_UNK_RELAY_PEER:
		return "remote";
	case KIND_GROUP:
		return "group";
	case KIND_CONTACT:
	case KIND_EXTERNAL:
		return "external";
	default:
		return "unknown";
	}
}

static bool locate(struct job *j, struct routing_view *v, const struct env_rcpt *r, struct journal_party *party,
		   struct journal_rcpt *told, struct err *e)
{
	const struct addr_rules rules = { .smtputf8 = true, .relaxed = true, .allow_bare_local = true };
	struct located found;
	struct addr a;

	*told = (struct journal_rcpt){
		.addr = r->addr, .orcpt = r->orcpt, .expanded = r->generation > 0, .location = "unknown"
	};
	*party = (struct journal_party){ .addr = r->addr };
	if (addr_parse(r->addr, &rules, &a) != ADDR_OK)
		return true; /* the delivery refuses it */
	if (!routing_locate(v, &a, &j->arena, &found, e))
		return false;
	told->location = location_of(found.kind);
	party->ours = found.kind != KIND_EXTERNAL || routing_is_our_domain(v, a.domain);
	return true;
}

static bool gather(struct job *j, struct err *e)
{
	struct journaling *w = j->journaling;
	const struct envelope *env = &j->lease->env;
	struct journal_party *parties = arena_alloc(&j->arena, env->rcpt_n * sizeof *parties);
	struct journal_rcpt *told = arena_alloc(&j->arena, env->rcpt_n * sizeof *told);
	struct routing_view v;
	bool ok = true;

	if (parties == NULL || told == NULL) {
		err_set(e, ERR_BUSY, "journal", "no memory for a journal report");
		return false;
	}
	if (routing_begin(j->d->o.routing, &v, e) != 0)
		return false;
	w->facts.sender = (struct journal_party){ .addr = env->from, .ours = is_sender_ours(&v, env) };
	for (size_t i = 0; ok && i < env->rcpt_n; i++)
		ok = locate(j, &v, &env->rcpts[i], &parties[i], &told[i], e);
	routing_end(&v);
	w->facts.rcpts = parties;
	w->report.rcpts = told;
	w->facts.rcpt_n = w->report.rcpt_n = env->rcpt_n;
	return ok;
}

/* ---- rules ---- */

static bool is_same_archive(const struct journaling *w, size_t rule)
{
	for (size_t i = 0; i < rule; i++)
		if (str_ieq(w->config->journals[i].to, w->config->journals[rule].to) &&
		    journal_wants(&w->config->journals[i], &w->facts))
			return true;
	return false;
}

/* One report for each archive, however many rules want it there. */
static const struct conf_journal *next_rule(struct journaling *w)
{
	while (w->next < w->config->journal_n) {
		const struct conf_journal *r = &w->config->journals[w->next++];
		if (journal_wants(r, &w->facts) && !is_same_archive(w, w->next - 1))
			return r;
	}
	return NULL;
}

/* The job goes on, or is over, behind this. */
static void finish(struct job *j, const struct err *e)
{
	struct journaling *w = j->journaling;
	void (*then)(struct job *, const struct err *) = w->then;
	struct err copy = e != NULL ? *e : (struct err){ 0 };

	if (e == NULL)
		j->note = w->made > 0 ? NOTE_JOURNALED : NOTE_LOOKED;
	w->copying = false;
	job_journal_cancel(j);
	then(j, e != NULL ? &copy : NULL);
}

/* ---- one report ---- */

static void next_report(struct job *j);

static void on_stored(struct copy *c, const struct err *e)
{
	struct journaling *w = container_of(c, struct journaling, copy);
	struct job *j = w->job;
	struct queue_port *port = *j->d->o.port;
	struct err why = { 0 };

	w->copying = false;
	if (e != NULL)
		why = *e;
	else if (fault("journal.stored")) /* durable, but nobody knows yet */
		err_sys(&why, ERR_IO, "journal", "a fault behind a journal report");
	queue_working(port, j->lease);
	if (why.code != ERR_NONE) {
		finish(j, &why);
	} else {
		w->made++;
		log_info(&j->log, "journal.spooled", kv_str("journal", w->rule->name), kv_str("to", w->rule->to),
			 kv_str("from", j->lease->env.from), kv_int("recipients", (int64_t)w->report.rcpt_n),
			 kv_c("report", w->trace_id), kv_c("rule", "R-JRN"));
		next_report(j);
	}
	queue_working(port, NULL);
}

static void describe(struct job *j, struct journaling *w, struct buf *id)
{
	const struct envelope *env = &j->lease->env;
	struct journal_report *r = &w->report;

	guid_make(w->trace_id);
	guid_make(w->boundary);
	buf_addf(id, "%s@" STR_FMT, w->trace_id, STR_ARG(w->config->hostname));
	r->postmaster = w->config->postmaster;
	r->gateway = w->config->hostname;
	r->to = w->rule->to;
	r->message_id = buf_str(id);
	r->boundary = str_c(w->boundary);
	r->now_ms = clock_wall_ms();
	r->sender = env->from;
	r->trace_id = env->trace_id;
	r->client = env->client;
	r->arrived_ms = env->arrived_ms;
	r->smtputf8 = env->smtputf8;
}

static void address(struct journaling *w, const struct envelope *of, bool eight_bit)
{
	w->to = (struct env_rcpt){ .addr = w->rule->to, .notify = ENV_NOTIFY_NEVER };
	w->env = (struct envelope){ .body = w->report.body == ENV_BODY_BINARYMIME ? ENV_BODY_BINARYMIME
					    : eight_bit                           ? ENV_BODY_8BITMIME
										  : ENV_BODY_7BIT,
				    .origin = ENV_SELF,
				    .journal = ENV_JOURNAL_REPORT,
				    .rule = w->rule->name,
				    .plain_headers = true,
				    .trace_id = str_c(w->trace_id),
				    .epoch = of->epoch,
				    .serial = of->serial,
				    .arrived_ms = w->report.now_ms };
}

static int store(struct job *j, struct err *e)
{
	struct journaling *w = j->journaling;
	char id_room[NAME_ROOM], tail_room[TAIL_ROOM];
	struct buf id = { .p = id_room, .cap = sizeof id_room, .max = sizeof id_room - 1 };
	struct buf tail = { .p = tail_room, .cap = sizeof tail_room, .max = sizeof tail_room - 1 }, head;
	struct copy_order o = {
		.port = *j->d->o.port, .lease = j->lease, .env = &w->env, .rcpts = &w->to, .rcpt_n = 1
	};
	bool eight_bit;
	int result = -1;

	describe(j, w, &id);
	buf_init(&head, HEAD_ROOM + w->report.rcpt_n * RCPT_ROOM);
	if (!journal_put_head(&head, &w->report, &eight_bit) || !journal_put_tail(&tail, w->report.boundary) ||
	    !arena_dup(&j->arena, buf_str(&tail), &o.tail)) {
		err_set(e, ERR_TOO_BIG, "journal", "no memory for a journal report");
	} else if (fault("journal.store")) {
		err_sys(e, ERR_IO, "journal", "a fault before a journal report");
	} else {
		address(w, &j->lease->env, eight_bit);
		o.head = buf_str(&head); /* is copied inside of the call */
		result = copy_start(&w->copy, &o, on_stored, e);
		w->copying = result == 0;
	}
	buf_fini(&head);
	return result;
}

static void next_report(struct job *j)
{
	struct err e = { 0 };

	j->journaling->rule = next_rule(j->journaling);
	if (j->journaling->rule == NULL)
		finish(j, NULL);
	else if (store(j, &e) != 0)
		finish(j, &e);
}

/* ---- what the message says of itself ---- */

static void keep(struct job *j, const struct header_field *f, struct str *out)
{
	struct buf b;

	buf_init(&b, SUBJECT_MAX);
	header_unfold(str_head(f->value, SUBJECT_MAX), &b);
	if (out->p == NULL && !arena_dup(&j->arena, buf_str(&b), out))
		*out = STR_NONE;
	buf_fini(&b);
}

static void look(void *arg, const struct header_field *f)
{
	struct job *j = arg;

	if (header_name_is(f->name, S("Subject")))
		keep(j, f, &j->journaling->report.subject);
	else if (header_name_is(f->name, S("Message-ID")))
		keep(j, f, &j->journaling->report.original_id);
}

/* What is not known to be 7-bit is not said to be: many servers send 8-bit content and say nothing. */
static enum env_body body_of(const struct lease *l, struct str head)
{
	if (l->env.body != ENV_BODY_7BIT)
		return l->env.body;
	for (size_t i = 0; i < head.n; i++)
		if (chr_is_8bit(head.p[i]))
			return ENV_BODY_8BITMIME;
	return head.n == l->size ? ENV_BODY_7BIT : ENV_BODY_8BITMIME;
}

static void on_head(struct job *j, struct str head)
{
	static const struct err unreadable = { ERR_IO, "journal", "the message cannot be read now" };
	struct journaling *w = j->journaling;
	struct header_scan scan;

	if (head.n == 0 && j->lease->size > 0) {
		finish(j, &unreadable);
		return;
	}
	header_scan_init(&scan, SIZE_MAX, UINT32_MAX, STR_NONE);
	scan.on_field = look;
	scan.arg = j;
	header_scan_add(&scan, head);
	header_scan_finish(&scan);
	header_scan_fini(&scan);
	w->report.body = body_of(j->lease, head);
	lease_read_fini(&j->head_read); /* `head` is gone */
	j->head_read = (struct lease_read){ 0 };
	next_report(j);
}

/* ---- from the job ---- */

/* Recipients of one message are looked at together; one that was on hold then is found without a note later, and gets
 * a report of its own rather than none. */
static enum job_note note_of(const struct lease *l)
{
	enum job_note note = NOTE_NEW;

	for (size_t i = 0; i < l->rcpt_n; i++)
		if (l->rcpts[i].note > note && l->rcpts[i].note <= NOTE_JOURNALED)
			note = l->rcpts[i].note;
	return note;
}

void job_journal(struct job *j, void (*then)(struct job *, const struct err *))
{
	static const struct err no_memory = { ERR_BUSY, "journal", "no memory for a journal report" };
	struct err e = { 0 };

	j->note = note_of(j->lease);
	if (j->note == NOTE_NEW && (j->lease->env.journal != ENV_JOURNAL_NONE || echo_is_probe(&j->lease->env) ||
				    outbound_config(j->d->outbound)->journal_n == 0))
		j->note = NOTE_LOOKED;
	if (j->note != NOTE_NEW) {
		then(j, NULL);
		return;
	}
	if (!begin(j)) {
		then(j, &no_memory);
		return;
	}
	j->journaling->then = then;
	if (!gather(j, &e)) {
		finish(j, &e);
		return;
	}
	bool wanted = next_rule(j->journaling) != NULL;
	j->journaling->next = 0;
	if (wanted)
		job_fetch_head(j, on_head);
	else
		finish(j, NULL);
}

/* ---- a report that the archive does not take ---- */

static void end_rescue(struct job *j, bool held, const struct err *e)
{
	void (*then)(struct job *, bool, const struct err *) = j->journaling->rescued;
	struct queue_port *port = *j->d->o.port;
	struct err copy = e != NULL ? *e : (struct err){ 0 };

	j->journaling->copying = false;
	job_journal_cancel(j);
	queue_working(port, j->lease);
	then(j, held, e != NULL ? &copy : NULL);
	queue_working(port, NULL);
}

static void on_alternate(struct copy *c, const struct err *e)
{
	struct journaling *w = container_of(c, struct journaling, copy);
	struct job *j = w->job;

	if (e == NULL)
		log_warn(&j->log, "journal.alternate", kv_str("journal", w->rule->name),
			 kv_str("to", j->lease->env.rcpts[0].addr), kv_str("as", w->rule->alternate));
	end_rescue(j, false, e);
}

static void on_held(struct op *op)
{
	struct job *j = container_of(op, struct job, hold.op);

	end_rescue(j, true, j->hold.ok ? NULL : &j->hold.err);
}

static const struct conf_journal *rule_of(const struct config *c, struct str name)
{
	for (size_t i = 0; i < c->journal_n; i++)
		if (str_eq(c->journals[i].name, name))
			return &c->journals[i];
	return NULL;
}

static int start_alternate(struct job *j, struct err *e)
{
	struct journaling *w = j->journaling;

	w->env = j->lease->env;
	w->env.journal = ENV_JOURNAL_ALTERNATE;
	w->env.arrived_ms = clock_wall_ms(); /* it has its own time */
	w->to = (struct env_rcpt){ .addr = w->rule->alternate, .notify = ENV_NOTIFY_NEVER };
	const struct copy_order o = {
		.port = *j->d->o.port, .lease = j->lease, .env = &w->env, .rcpts = &w->to, .rcpt_n = 1
	};
	int result = copy_start(&w->copy, &o, on_alternate, e);
	w->copying = result == 0;
	return result;
}

int job_rescue(struct job *j, void (*then)(struct job *, bool held, const struct err *), struct err *e)
{
	const struct queue_filter self = { .id = j->lease->id };
	struct journaling *w;

	must(job_is_report(j) && j->journaling == NULL);
	if (!begin(j))
		return err_set(e, ERR_BUSY, "journal", "no memory to keep a journal report");
	w = j->journaling;
	w->rescued = then;
	w->rule = rule_of(w->config, j->lease->env.rule);
	if (j->lease->env.journal == ENV_JOURNAL_REPORT && w->rule != NULL && w->rule->alternate.n > 0) {
		if (start_alternate(j, e) == 0)
			return 0;
		job_journal_cancel(j);
		return -1;
	}
	log_error(&j->log, "journal.lost", kv_c("alarm", "JOURNAL-LOST"), kv_str("journal", j->lease->env.rule),
		  kv_str("to", j->lease->env.rcpts[0].addr),
		  kv_c("todo", "mend the way to the archive, then: tombolo queue release"));
	queue_order(*j->d->o.port, &self, QUEUE_HOLD, false, &j->hold, on_held);
	return 0;
}
