/* connectors/settle.c: results of an attempt -> outcomes, copies, reports -> lease_settle.
 *
 * Order is the invariant: what an outcome promises to somebody (a report, a copy) is durable before the outcome is
 * written; when it cannot be stored, the recipient waits instead. */
#include "connectors/job.h"
#include "connectors/reason.h"

#include "base/must.h"
#include "base/time.h"

#include <stdio.h>

static const struct conf_queue *conf_of(const struct job *j)
{
	return &outbound_config(j->d->outbound)->queue;
}

static void settle(struct job *j)
{
	lease_read_fini(&j->head_read);
	for (size_t i = 0; i < j->plan_n; i++)
		job_track_outcome(j, &j->plans[i], &j->outcomes[i]);
	lease_settle(&j->lease, j->outcomes, j->plan_n);
	job_free(j);
}

/* A copy that lives as long as the job; empty when the arena is full. */
static struct str keep(struct job *j, const char *text)
{
	struct str out = STR_NONE;

	arena_dup(&j->arena, str_c(text), &out);
	return out;
}

/* "4.7.5": the class follows what we make of it. */
static struct str status_of(struct job *j, const struct plan *p)
{
	const struct reply *r = &p->rcpt.reply;
	char text[24];
	int class = p->rcpt.result == RCPT_FAILED ? 5 : p->rcpt.result == RCPT_SENT ? 2 : 4;

	snprintf(text, sizeof text, "%d.%d.%d", class, r->class != 0 ? r->subject : 0, r->class != 0 ? r->detail : 0);
	return keep(j, text);
}

/* Who writes from the Internet learns nothing of tables, ways and places (spec 5.3). */
static bool is_strangers(const struct job *j)
{
	return j->lease->env.origin == ENV_INTERNET || j->lease->env.origin == ENV_PARTNER;
}

static struct str reason_of(struct job *j, const struct plan *p)
{
	char text[400];

	if (p->cause == NULL || p->rcpt.result == RCPT_SENT || is_strangers(j))
		return STR_NONE;
	snprintf(text, sizeof text, "%s%s%s (%s %s)", p->cause, p->fixer != NULL ? "; it can be mended by the " : "",
		 p->fixer != NULL ? p->fixer : "", p->reason, p->rule);
	return keep(j, text);
}

static void add_report(struct job *j, const struct plan *p, enum dsn_action action, int64_t now_ms)
{
	const struct envelope *env = &j->lease->env;
	int64_t until_ms = env->arrived_ms + conf_of(j)->expire_ms;

	if (!bounce_is_wanted(env, p->rcpt.env.notify, action))
		return;
	j->reports[j->report_n++] =
		(struct dsn_rcpt){ .addr = p->rcpt.env.addr,
				   .orcpt = env->rcpts[p->index].orcpt,
				   .action = action,
				   .status = status_of(j, p),
				   .remote_mta = p->where != NULL ? str_c(p->where->host) : STR_NONE,
				   .diagnostic = is_strangers(j) && p->told.n > 0 ? p->told : p->rcpt.text,
				   .reason = reason_of(j, p),
				   .last_attempt_ms = now_ms,
				   .retry_until_ms = action == DSN_DELAYED ? until_ms : 0 };
}

static void expire(struct job *j, struct plan *p)
{
	const struct config *c = outbound_config(j->d->outbound);
	char text[400];

	snprintf(text, sizeof text, "message expired; the last attempt: " STR_FMT, STR_ARG(p->rcpt.text));
	plan_settle(p, &j->arena, RCPT_FAILED, reason_reply(REASON_EXPIRED, c->status_codes, c->site), str_c(text));
	log_warn(&j->log, "delivery.expired", kv_str("to", p->rcpt.env.addr), kv_c("why", text));
}

/* "4.4.1 mx.example[192.0.2.1]: connection refused" for queue lists. */
static struct str waiting_text(struct job *j, const struct plan *p)
{
	char text[400]; /* the queue keeps no more */

	snprintf(text, sizeof text, STR_FMT " " STR_FMT, STR_ARG(status_of(j, p)), STR_ARG(p->rcpt.text));
	return keep(j, text);
}

static struct outcome decide_outcome(struct job *j, struct plan *p, int64_t now_ms)
{
	const struct conf_queue *conf = conf_of(j);
	const struct envelope *env = &j->lease->env;
	struct outcome o = { .index = p->index, .kind = OUTCOME_DELIVERED };

	if (p->rcpt.result == RCPT_DEFERRED && sched_expired(conf, env->arrived_ms, now_ms))
		expire(j, p);
	if (p->rcpt.result == RCPT_FAILED) {
		o.kind = OUTCOME_FAILED;
		add_report(j, p, DSN_FAILED, now_ms);
	} else if (p->rcpt.result == RCPT_DEFERRED) {
		o.kind = OUTCOME_DEFERRED;
		o.due_ms = now_ms + sched_delay_ms(conf, p->attempts + 1, j->lease->id + p->index);
		o.text = waiting_text(j, p);
		o.delay_told = p->delay_told || now_ms - env->arrived_ms >= conf->delay_report_ms;
		if (o.delay_told && !p->delay_told)
			add_report(j, p, DSN_DELAYED, now_ms);
	} else if (p->no_dsn && p->next != NEXT_PEER) {
		add_report(j, p, DSN_RELAYED, now_ms);
	}
	return o;
}

/* What this outcome promised is not stored, so it may not be settled: those recipients wait and are tried again. */
static void take_back(struct job *j, enum outcome_kind kind, const char *event, const struct err *e)
{
	int64_t now_ms = clock_wall_ms();

	log_error(&j->log, event, kv_c("why", e->text));
	for (size_t i = 0; i < j->plan_n; i++) {
		struct plan *p = &j->plans[i];
		if (j->outcomes[i].kind != kind || (kind == OUTCOME_DELIVERED && p->copy_to.n == 0))
			continue;
		p->rcpt.result = RCPT_DEFERRED;
		j->outcomes[i] =
			(struct outcome){ .index = p->index,
					  .kind = OUTCOME_DEFERRED,
					  .due_ms = now_ms + sched_delay_ms(conf_of(j), p->attempts + 1, j->lease->id),
					  .delay_told = p->delay_told,
					  .text = waiting_text(j, p) };
	}
}

static void on_bounce(struct bounce *b, const struct err *e)
{
	struct job *j = container_of(b, struct job, bounce);

	if (e != NULL)
		take_back(j, OUTCOME_FAILED, "report.failed", e);
	else
		job_track_report(j);
	settle(j);
}

static void report(struct job *j, struct str head)
{
	struct err e = { 0 };
	struct buf room;

	buf_init(&room, LEASE_READ_MAX);
	const struct bounce_order order = { .port = *j->d->o.port,
					    .config = outbound_config(j->d->outbound),
					    .env = &j->lease->env,
					    .head = job_clean_head(j, head, &room),
					    .rcpts = j->reports,
					    .rcpt_n = j->report_n };

	bool spooled = bounce_start(&j->bounce, &order, on_bounce, &e) == 0;
	buf_fini(&room);
	if (spooled) {
		log_info(&j->log, "report.spooled", kv_str("to", j->lease->env.from),
			 kv_int("recipients", (int64_t)j->report_n));
		return;
	}
	take_back(j, OUTCOME_FAILED, "report.failed", &e);
	settle(j);
}

static void report_and_settle(struct job *j)
{
	if (j->report_n > 0 && conf_of(j)->bounce)
		job_fetch_head(j, report);
	else
		settle(j);
}

static void on_copied(struct copy *c, const struct err *e)
{
	struct job *j = container_of(c, struct job, copy);

	if (e != NULL)
		take_back(j, OUTCOME_DELIVERED, "copy.failed", e);
	else
		job_track_copies(j);
	report_and_settle(j);
}

static void add_copy(struct job *j, const struct plan *p)
{
	if (j->copies == NULL)
		j->copies = arena_alloc(&j->arena, j->plan_n * sizeof *j->copies);
	must(j->copies != NULL); /* job_new left room */
	j->copies[j->copy_n++] = (struct env_rcpt){ .addr = p->copy_to, .notify = ENV_NOTIFY_NEVER };
	log_info(&j->log, "copy.spooled", kv_str("to", p->rcpt.env.addr), kv_str("as", p->copy_to));
}

void job_end(struct job *j)
{
	int64_t now_ms = clock_wall_ms();
	struct err e = { 0 };

	for (size_t i = 0; i < j->plan_n; i++) {
		j->outcomes[i] = decide_outcome(j, &j->plans[i], now_ms);
		if (j->outcomes[i].kind == OUTCOME_DELIVERED && j->plans[i].copy_to.n > 0)
			add_copy(j, &j->plans[i]);
	}
	if (j->copy_n > 0 && copy_start(&j->copy, *j->d->o.port, j->lease, j->copies, j->copy_n, on_copied, &e) == 0)
		return;
	if (j->copy_n > 0)
		take_back(j, OUTCOME_DELIVERED, "copy.failed", &e);
	report_and_settle(j);
}
