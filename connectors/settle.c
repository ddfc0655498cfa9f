/* connectors/settle.c: results of an attempt -> outcomes, copies (expand.c), reports -> lease_settle.
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

static void finish(struct job *j)
{
	lease_read_fini(&j->head_read);
	for (size_t i = 0; i < j->plan_n; i++)
		job_track_outcome(j, &j->plans[i], &j->outcomes[i]);
	lease_settle(&j->lease, j->outcomes, j->plan_n);
	job_free(j);
}

static void settle(struct job *j)
{
	if (j->d->o.kept != NULL)
		job_keep(j, finish);
	else
		finish(j);
}

/* When to try again, and how long: the connector's, or the queue's when there was none to be had. */
static const struct conf_retry *retry_of(const struct job *j, const struct plan *p)
{
	return p->hop != NULL ? &p->retry : &conf_of(j)->retry;
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

/* A report that cannot be delivered is never reported to its (null) sender: that is how mail storms begin. */
static bool note_double_bounce(struct job *j, const struct plan *p)
{
	const struct config *conf = outbound_config(j->d->outbound);

	log_warn(&j->log, "report.double_bounce", kv_str("to", p->rcpt.env.addr), kv_str("why", p->rcpt.text));
	j->report_to = conf->postmaster;
	return conf->queue.double_bounce_copy && !str_ieq(p->rcpt.env.addr, conf->postmaster);
}

static void add_report(struct job *j, const struct plan *p, enum dsn_action action, int64_t now_ms)
{
	const struct envelope *env = &j->lease->env;
	int64_t until_ms = env->arrived_ms + retry_of(j, p)->expire_ms;

	j->report_to = env->from;
	if (echo_is_probe(env))
		return;
	if (env->from.n == 0 && action == DSN_FAILED ? !note_double_bounce(j, p)
						     : !bounce_is_wanted(env, p->rcpt.env.notify, action))
		return;
	struct dsn_rcpt *r = &j->reports[j->report_n++];
	*r = (struct dsn_rcpt){ .addr = p->rcpt.env.addr,
				.orcpt = env->rcpts[p->index].orcpt,
				.action = action,
				.status = status_of(j, p),
				.last_attempt_ms = now_ms,
				.retry_until_ms = action == DSN_DELAYED ? until_ms : 0 };
	report_words(p, !is_strangers(j) && report_is_for_us(outbound_config(j->d->outbound), j->report_to), &j->arena,
		     r);
}

static void expire(struct job *j, struct plan *p)
{
	const struct config *c = outbound_config(j->d->outbound);
	char text[400];

	snprintf(text, sizeof text, "message expired; the last attempt: " STR_FMT, STR_ARG(p->rcpt.text));
	plan_settle(p, &j->arena, RCPT_FAILED, reason_reply(REASON_EXPIRED, c->status_codes, c->site), str_c(text));
	p->expired = true;
	log_warn(&j->log, "delivery.expired", kv_str("to", p->rcpt.env.addr), kv_c("why", text));
}

/* "4.4.1 mx.example[192.0.2.1]: connection refused" for queue lists. */
static struct str waiting_text(struct job *j, const struct plan *p)
{
	char text[400]; /* the queue keeps no more */

	snprintf(text, sizeof text, STR_FMT " " STR_FMT, STR_ARG(status_of(j, p)), STR_ARG(p->rcpt.text));
	return keep(j, text);
}

static int64_t due_ms(const struct job *j, const struct plan *p, int64_t now_ms)
{
	if (p->again_ms > now_ms)
		return p->again_ms;
	return now_ms + sched_delay_ms(retry_of(j, p), p->wait, p->attempts + 1, j->lease->id + p->index);
}

/* Time for a delay report?  Not while it may have arrived: "not delivered yet" would be a guess. */
static bool is_late(const struct job *j, const struct plan *p, int64_t now_ms)
{
	const struct conf_retry *retry = retry_of(j, p);

	return retry->delay_report_ms > 0 && p->wait != SCHED_UNKNOWN &&
	       now_ms - j->lease->env.arrived_ms >= retry->delay_report_ms;
}

/* Between the two sides mail is never to get old: half of its time is over (spec 6.3). */
static void watch_age(const struct job *j, const struct plan *p, int64_t now_ms)
{
	int64_t age_ms = now_ms - j->lease->env.arrived_ms;

	if (p->next == NEXT_PEER && p->hop != NULL && age_ms >= p->retry.expire_ms / 2)
		pool_alarm_age(j->d->pool, p->connector, age_ms, p->retry.expire_ms, p->rcpt.text);
}

static struct outcome decide_outcome(struct job *j, struct plan *p, int64_t now_ms)
{
	const struct conf_retry *retry = retry_of(j, p);
	const struct envelope *env = &j->lease->env;
	struct outcome o = { .index = p->index, .kind = OUTCOME_DELIVERED };

	if (p->rcpt.result == RCPT_DEFERRED && echo_is_probe(env))
		plan_settle(p, &j->arena, RCPT_FAILED, p->rcpt.reply, p->rcpt.text); /* the next one is soon due */
	if (p->rcpt.result == RCPT_DEFERRED && sched_expired(retry, env->arrived_ms, now_ms))
		expire(j, p);
	if (p->rcpt.result == RCPT_FAILED) {
		o.kind = OUTCOME_FAILED;
	} else if (p->rcpt.result == RCPT_DEFERRED) {
		o.kind = OUTCOME_DEFERRED;
		o.due_ms = due_ms(j, p, now_ms);
		o.untried = p->untried;
		o.note = j->note;
		o.text = waiting_text(j, p);
		o.delay_told = p->delay_told || is_late(j, p, now_ms);
		watch_age(j, p, now_ms);
	}
	return o;
}

static bool is_redirect_loop(const struct plan *p)
{
	return str_eq(str_c(p->reason), S("LOOP-REDIRECT"));
}

/* Those of one kind. */
static void add_some(struct job *j, bool of_redirects)
{
	int64_t now_ms = clock_wall_ms();

	for (size_t i = 0; i < j->plan_n; i++) {
		const struct plan *p = &j->plans[i];
		const struct outcome *o = &j->outcomes[i];
		if (is_redirect_loop(p) != of_redirects)
			continue;
		if (o->kind == OUTCOME_FAILED)
			add_report(j, p, DSN_FAILED, now_ms);
		else if (o->kind == OUTCOME_DEFERRED && o->delay_told && !p->delay_told)
			add_report(j, p, DSN_DELAYED, now_ms);
		else if (o->kind == OUTCOME_DELIVERED && p->expands)
			add_report(j, p, DSN_EXPANDED, now_ms);
		else if (o->kind == OUTCOME_DELIVERED && p->no_dsn)
			add_report(j, p, DSN_RELAYED, now_ms);
	}
}

/* Once it is known that nothing is taken back any more but what cannot be reported.  Those about redirections come
 * last: the header may say that they are not wanted. */
static void add_reports(struct job *j)
{
	add_some(j, false);
	j->redirect_report_n = j->report_n;
	add_some(j, true);
	j->redirect_report_n = j->report_n - j->redirect_report_n;
}

static bool owes_report(const struct plan *p, const struct outcome *o)
{
	(void)p;
	return o->kind == OUTCOME_FAILED;
}

/* What this outcome promised is not stored, so it may not be settled: those recipients wait and are tried again. */
static void take_back(struct job *j, bool (*owes)(const struct plan *, const struct outcome *), const char *event,
		      const struct err *e)
{
	int64_t now_ms = clock_wall_ms();

	log_error(&j->log, event, kv_c("why", e->text));
	for (size_t i = 0; i < j->plan_n; i++) {
		struct plan *p = &j->plans[i];
		if (!owes(p, &j->outcomes[i]))
			continue;
		if (p->rcpt.result == RCPT_SENT) /* what the server said then is no reason to wait */
			plan_settle(p, &j->arena, RCPT_DEFERRED, REPLY(451, 4, 3, 0, ""), str_c(e->text));
		p->rcpt.result = RCPT_DEFERRED;
		j->outcomes[i] = (struct outcome){ .index = p->index,
						   .kind = OUTCOME_DEFERRED,
						   .due_ms = due_ms(j, p, now_ms),
						   .delay_told = p->delay_told,
						   .note = j->note,
						   .text = waiting_text(j, p) };
	}
}

static void on_bounce(struct bounce *b, const struct err *e)
{
	struct job *j = container_of(b, struct job, bounce);

	if (e != NULL)
		take_back(j, owes_report, "report.failed", e);
	else
		job_track_report(j);
	settle(j);
}

/* Auto-submitted mail never triggers reports about redirections (spec 1.4 R02, 4.6): two robots would talk for ever. */
static bool leave_out_redirects(struct job *j, struct str head)
{
	if (j->redirect_report_n == 0 || !job_is_automatic(head))
		return j->report_n > 0;
	log_info(&j->log, "report.suppressed", kv_c("reason", "LOOP-REDIRECT"),
		 kv_int("recipients", (int64_t)j->redirect_report_n), kv_str("from", j->lease->env.from));
	j->report_n -= j->redirect_report_n;
	return j->report_n > 0;
}

static void report(struct job *j, struct str head)
{
	struct err e = { 0 };
	struct buf room;

	if (!leave_out_redirects(j, head)) {
		settle(j);
		return;
	}

	buf_init(&room, LEASE_READ_MAX);
	const struct bounce_order order = { .port = *j->d->o.port,
					    .config = outbound_config(j->d->outbound),
					    .env = &j->lease->env,
					    .to = j->report_to,
					    .head = job_clean_head(j, head, &room),
					    .is_whole = head.n == j->lease->size,
					    .rcpts = j->reports,
					    .rcpt_n = j->report_n };

	bool spooled = bounce_start(&j->bounce, &order, on_bounce, &e) == 0;
	buf_fini(&room);
	if (spooled) {
		log_info(&j->log, "report.spooled", kv_str("to", j->report_to),
			 kv_int("recipients", (int64_t)j->report_n));
		return;
	}
	take_back(j, owes_report, "report.failed", &e);
	settle(j);
}

/* Too many reports: those to our own senders wait, with the message they are about; strangers, whose addresses may be
 * forged, get none. */
static void limit_reports(struct job *j)
{
	static const struct err limited = { ERR_BUSY, "report.limit", "too many reports a minute (queue.report_rate)" };
	struct report_limits *l = &j->d->report_limits;

	if (!l->limiting)
		log_warn(&j->log, "report.limited", kv_str("to", j->report_to),
			 kv_c("todo", "look for forged senders; queue.report_rate, queue.report_rate_domain"));
	l->limiting = true;
	if (report_is_for_us(outbound_config(j->d->outbound), j->report_to))
		take_back(j, owes_report, "report.waits", &limited);
	else
		log_info(&j->log, "report.suppressed", kv_str("to", j->report_to));
	settle(j);
}

static void report_and_settle(struct job *j)
{
	struct report_limits *l = &j->d->report_limits;

	add_reports(j);
	if (j->report_n > 0 && conf_of(j)->bounce &&
	    !report_may_go(l, conf_of(j), j->report_to, j->d->o.shares > 0 ? j->d->o.shares : 1,
			   loop_now_ms(j->d->o.loop))) {
		limit_reports(j);
		return;
	}
	if (j->report_n > 0 && conf_of(j)->bounce) {
		l->limiting = false;
		job_fetch_head(j, report);
	} else {
		settle(j);
	}
}

/* The members are too many for one message: the groups fail as recipients do, and their sender hears of it. */
static void fail_expansions(struct job *j)
{
	char text[200];

	snprintf(text, sizeof text,
		 "the groups of this message have more than %lld members (recipients.expansion_total)",
		 (long long)outbound_config(j->d->outbound)->recipients.expansion_total);
	log_warn(&j->log, "group.too_many", kv_c("why", text));
	for (size_t i = 0; i < j->plan_n; i++) {
		struct plan *p = &j->plans[i];
		if (!p->expands || j->outcomes[i].kind != OUTCOME_DELIVERED)
			continue;
		plan_settle(p, &j->arena, RCPT_FAILED, REPLY(554, 5, 5, 3, ""), str_c(text));
		j->outcomes[i] = decide_outcome(j, p, clock_wall_ms());
	}
}

static void on_expanded(struct expand *x, enum expand_end how, const struct err *e)
{
	struct job *j = container_of(x, struct job, expand);

	if (how == EXPAND_LATER)
		take_back(j, expand_is_owed, "copy.failed", e);
	if (how == EXPAND_TOO_MANY)
		fail_expansions(j);
	if (how == EXPAND_COPIED)
		job_track_copies(j);
	report_and_settle(j);
}

static void on_rescued(struct job *j, bool held, const struct err *e)
{
	static const struct err kept = { ERR_BUSY, "journal", "the archive does not take this journal report" };

	if (held || e != NULL)
		take_back(j, owes_report, "journal.kept", e != NULL ? e : &kept);
	settle(j);
}

/* Nobody hears of a journal report but who gets it: no report about it, and none is lost. */
static void end_report(struct job *j)
{
	struct err e = { 0 };

	must(j->plan_n == 1);
	if (j->outcomes[0].kind == OUTCOME_FAILED && job_rescue(j, on_rescued, &e) == 0)
		return;
	if (j->outcomes[0].kind == OUTCOME_FAILED)
		take_back(j, owes_report, "journal.kept", &e);
	settle(j);
}

void job_end(struct job *j)
{
	const struct expand_order order = { .loop = j->d->o.loop,
					    .port = *j->d->o.port,
					    .routing = j->d->o.routing,
					    .config = outbound_config(j->d->outbound),
					    .lease = j->lease,
					    .log = &j->log,
					    .plans = j->plans,
					    .outcomes = j->outcomes,
					    .plan_n = j->plan_n,
					    .journaled = job_is_journaled(j),
					    .tokens = j->tokens,
					    .token_n = j->token_n };
	int64_t now_ms = clock_wall_ms();
	bool owed = false;

	for (size_t i = 0; i < j->plan_n; i++) {
		j->outcomes[i] = decide_outcome(j, &j->plans[i], now_ms);
		owed |= expand_is_owed(&j->plans[i], &j->outcomes[i]);
	}
	if (j->d->echo != NULL && echo_is_probe(&j->lease->env))
		echo_watch_sent(j->d->echo, j->lease->env.from, j->outcomes[0].kind == OUTCOME_DELIVERED,
				j->plans[0].rcpt.text);
	if (job_is_report(j))
		end_report(j);
	else if (owed)
		expand_start(&j->expand, &order, on_expanded);
	else
		report_and_settle(j);
}
