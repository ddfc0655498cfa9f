/* connectors/job_track.c: what a delivery does, for the tracking log: SEND when a server took it, DEFER and FAIL when
 * the outcome is settled, and what was made of the message on the way. */
#include "connectors/job.h"

#include "base/time.h"

static struct track_event event_of(const struct job *j, enum track_kind kind, enum track_source source)
{
	const struct envelope *env = &j->lease->env;

	return (struct track_event){ .kind = kind,
				     .source = source,
				     .queue_id = j->lease->id,
				     .trace = env->trace_id,
				     .size = j->lease->size,
				     .from = env->from,
				     .has_origin = true,
				     .origin = env->origin,
				     .class = env->class,
				     .org = env->org };
}

/* Probes of connectors are nobody's mail. */
static void track(const struct job *j, const struct track_event *e)
{
	if (!echo_is_probe(&j->lease->env))
		track_event(j->d->o.track, outbound_config(j->d->outbound), e);
}

static struct str original_of(const struct job *j, const struct plan *p)
{
	return j->lease->env.rcpts[p->index].addr;
}

static void add_plan(struct track_event *e, const struct job *j, const struct plan *p, struct track_tls *tls)
{
	e->rcpt = p->rcpt.addr;
	if (!str_eq(p->rcpt.addr, original_of(j, p)))
		e->related = original_of(j, p);
	e->rule = p->rule;
	e->reason = p->reason;
	e->loc = p->loc;
	e->next = route_next_name(p->next);
	e->form = route_form_name(p->form);
	e->straggler = p->straggler;
	e->mode = p->mode.epoch > 0 ? &p->mode : NULL;
	e->epoch = p->mode.epoch;
	e->serial = p->serial;
	e->attempt = p->attempts + 1;
	e->connector = p->connector;
	if (p->where == NULL || p->where->host[0] == '\0')
		return;
	e->client_host = outbound_config(j->d->outbound)->hostname;
	e->server = str_c(p->where->ip);
	e->server_host = str_c(p->where->host);
	if (p->where->tls[0] == '\0')
		return;
	struct str version, matched;
	str_cut(str_c(p->where->tls), ' ', &version, &matched);
	*tls = (struct track_tls){ .version = version,
				   .cipher = str_c(p->where->cipher),
				   .level = str_c(conf_tls_level_name(p->where->level)),
				   .matched = matched,
				   .sha256 = str_c(p->where->sha256) };
	e->tls = tls;
}

/* The address changed on its way through the table: told once, before what came of it. */
static void track_address(const struct job *j, const struct plan *p)
{
	struct track_event e;

	if (p->attempts > 0 || p->next == NEXT_NONE || str_eq(p->rcpt.addr, original_of(j, p)))
		return;
	e = event_of(j, p->redirects > 0 ? TRACK_REDIRECT : TRACK_RESOLVE, TRACK_BY_RESOLVER);
	e.rcpt = p->rcpt.addr;
	e.related = original_of(j, p);
	e.loc = p->loc;
	e.serial = p->serial;
	track(j, &e);
}

void job_track_sent(const struct job *j, const struct plan *p, const struct delivery *dl)
{
	struct track_event e;
	struct track_tls tls;
	struct reply status = p->rcpt.reply;

	if (j->d->o.track == NULL)
		return;
	track_address(j, p);
	e = event_of(j, TRACK_SEND, TRACK_BY_SMTP);
	add_plan(&e, j, p, &tls);
	e.context = p->rcpt.text;
	status.text = STR_NONE;
	e.status = &status;
	e.headers = &dl->headers;
	e.send_ms = loop_now_ms(j->d->o.loop) - dl->began_ms;
	e.queue_ms = clock_wall_ms() - j->lease->env.arrived_ms - e.send_ms;
	track(j, &e);
}

static void track_made(const struct job *j, const struct plan *p, enum track_kind kind, struct str rcpt)
{
	struct track_event e = event_of(j, kind, TRACK_BY_ROUTING);
	struct track_tls tls;

	add_plan(&e, j, p, &tls);
	e.rcpt = rcpt;
	if (!str_eq(rcpt, original_of(j, p)))
		e.related = original_of(j, p);
	track(j, &e);
}

/* "Why" is the reply of the other side, or ours: the verdict's. */
void job_track_outcome(const struct job *j, const struct plan *p, const struct outcome *o)
{
	struct track_event e;
	struct track_tls tls;
	struct reply status = p->rcpt.reply;
	bool asked = p->where != NULL && p->where->host[0] != '\0';

	if (j->d->o.track == NULL)
		return;
	if (o->kind == OUTCOME_DELIVERED) {
		if (p->dropped)
			track_made(j, p, TRACK_DUPLICATE, original_of(j, p));
		return;
	}
	track_address(j, p);
	e = event_of(j, o->kind == OUTCOME_FAILED ? TRACK_FAIL : TRACK_DEFER, asked ? TRACK_BY_SMTP : TRACK_BY_ROUTING);
	add_plan(&e, j, p, &tls);
	e.context = p->rcpt.text;
	status.text = STR_NONE;
	e.status = &status;
	e.queue_ms = clock_wall_ms() - j->lease->env.arrived_ms;
	track(j, &e);
}

/* The copies themselves are messages of their own: they tell of their recipients. */
void job_track_copies(const struct job *j)
{
	for (size_t i = 0; j->d->o.track != NULL && i < j->plan_n; i++) {
		const struct plan *p = &j->plans[i];
		if (!expand_is_owed(p, &j->outcomes[i]))
			continue;
		if (p->expands)
			track_made(j, p, TRACK_EXPAND, original_of(j, p));
		if (p->forwards)
			track_made(j, p, TRACK_REDIRECT, original_of(j, p));
		if (p->copy_to.n > 0 && j->outcomes[i].kind == OUTCOME_DELIVERED)
			track_made(j, p, TRACK_TRANSFER, p->copy_to);
	}
}

void job_track_report(const struct job *j)
{
	if (j->d->o.track == NULL)
		return;
	struct track_event e = event_of(j, TRACK_DSN, TRACK_BY_DSN);
	e.rcpt = j->lease->env.from;
	e.from = STR_NONE; /* of the report */
	e.reference = str_c(j->bounce.trace_id);
	track(j, &e);
}
