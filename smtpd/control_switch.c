/* smtpd/control_switch.c: `mode plan`, `switch`, `status` and `rollback`: a change of the flow with checks before it
 * and a way back.
 *
 *   run_mode_switch -> [worker] begin: PLANNED, PRECHECK -> [loop] a probe for each connector, an MX lookup and the SPF
 *   record of each domain, one after the other -> [worker] decide: recorded mail replayed, the checks judged, the order
 *   GO -> DUAL or FAILED
 *
 * The record of the switch and the mode are the store's (routing/epoch.c); a client that leaves in the middle leaves a
 * PRECHECK behind, which time ends. */
#include "base/must.h"
#include "base/time.h"
#include "smtpd/control_verbs.h"
#include "smtpd/replay.h"
#include "smtpd/spf_check.h"
#include "smtpd/switch_check.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { STATS_MAX = 500, SAMPLE_MEMORY = 256 * 1024, LOOKUPS_MS = 5000, REPLAY_MS = 24 * 3600 * 1000 };

/* ---- telling ---- */

static const char *flow_name(struct flow f)
{
	return mode_name(&(struct mode){ .mx = f.mx, .cmt = f.cmt });
}

static void check_row(struct call *c, const struct switch_check *k)
{
	json_t *row = json_object();

	row_c(row, "check", k->name);
	row_c(row, "result", check_result_name(k->result));
	row_c(row, "evidence", k->evidence);
	if (k->result == CHECK_WAIVED) {
		row_c(row, "waived_by", k->waived_by);
		row_c(row, "waived_why", k->waived_why);
	}
	call_row(c, row);
}

/* The head of an answer about a switch; then a row a check. */
static void switch_row(struct call *c, const struct mode_switch *sw, const struct switch_move *m)
{
	json_t *row = json_object();

	row_c(row, "state", switch_state_name(sw->state));
	if (sw->state != SWITCH_NONE) {
		row_c(row, "from", flow_name(sw->from));
		row_c(row, "to", flow_name(sw->to));
		row_c(row, "who", sw->who);
		row_c(row, "why", sw->why);
		row_int(row, "entered_ms", sw->entered_ms);
	}
	if (sw->switched_ms > 0)
		row_int(row, "switched_ms", sw->switched_ms);
	if (m != NULL) {
		row_c(row, "waits_for", m->why);
		if (m->next_ms > 0)
			row_int(row, "next_ms", m->next_ms);
	}
	call_row(c, row);
	for (size_t i = 0; i < sw->check_n; i++)
		check_row(c, &sw->checks[i]);
}

static int code_of(const struct err *e)
{
	return e->code == ERR_SYNTAX ? CALL_USAGE : e->code == ERR_BUSY ? CALL_NOTHING : CALL_PARTLY;
}

/* ---- plan, rollback, status ---- */

void run_mode_plan(struct call *c)
{
	struct mode now;
	struct mode_switch sw;
	char who[SWITCH_WHO];
	struct err e = { 0 };

	if (routing_mode_get(c->hooks->routing, &now, &e) != 0) {
		call_end_err(c, CALL_PARTLY, &e);
		return;
	}
	if (!mode_read_words(c, &now.mx, &now.cmt))
		return;
	if (routing_switch_plan(c->hooks->routing, now.mx, now.cmt, call_who(c, who), &sw, &e) != 0) {
		call_end_err(c, code_of(&e), &e);
		return;
	}
	switch_row(c, &sw, NULL);
	call_end(c, CALL_OK, "nothing has changed yet; `tombolo mode switch` checks and switches");
}

void run_mode_rollback(struct call *c)
{
	char who[SWITCH_WHO];
	const struct switch_ask ask = { .order = SWITCH_ROLLBACK, .who = call_who(c, who) };
	struct mode_switch sw;
	bool moved;
	struct err e = { 0 };

	if (routing_switch_ask(c->hooks->routing, &ask, &sw, &moved, &e) != 0) {
		call_end_err(c, code_of(&e), &e);
		return;
	}
	log_warn(NULL, "mode.rolled_back", kv_c("from", flow_name(sw.to)), kv_c("to", flow_name(sw.from)),
		 kv_c("who", who));
	switch_row(c, &sw, NULL);
	call_end(c, CALL_OK, NULL);
}

/* The meter by hour, for the hours that saw any. */
static void coverage_rows(struct call *c)
{
	struct coverage_sum sum;

	routing_coverage(c->hooks->routing, clock_wall_ms(), &sum);
	for (int i = 0; i < COVERAGE_HOURS; i++) {
		if (sum.hours[i].hour_ms == 0)
			continue;
		json_t *row = json_object();
		row_int(row, "hour_ms", sum.hours[i].hour_ms);
		row_coverage(row, sum.hours[i].n);
		call_row(c, row);
	}
}

void run_mode_status(struct call *c)
{
	struct mode_switch sw;
	struct switch_move move;
	struct straggler_sum sum;
	struct mode m;
	struct err e = { 0 };

	if (routing_mode_get(c->hooks->routing, &m, &e) != 0 ||
	    routing_switch_get(c->hooks->routing, &sw, &move, &e) != 0) {
		call_end_err(c, CALL_PARTLY, &e);
		return;
	}
	stragglers_sum(routing_stragglers(c->hooks->routing), m.mx, clock_wall_ms(), &sum);
	json_t *row = json_object();
	row_mode(row, &m);
	row_int(row, "locked_ms", m.locked_ms);
	row_uint(row, "stragglers", sum.total);
	row_uint(row, "straggler_sources", sum.sources);
	row_uint(row, "stragglers_this_hour", sum.this_hour);
	row_uint(row, "stragglers_hour_before", sum.hour_before);
	if (routing_peer_failing_since(c->hooks->routing) > 0)
		row_int(row, "peer_failing_ms", routing_peer_failing_since(c->hooks->routing));
	call_row(c, row);
	coverage_rows(c);
	switch_row(c, &sw, &move);
	call_end(c, CALL_OK, NULL);
}

/* ---- switch ---- */

struct switching {
	struct call *call;
	struct check_findings found;
	size_t at; /* the probe, then the lookup, then the domain's SPF record, that runs */
	struct probe *probe;
	struct dns_lookup lookup;
	struct spf *spf;
	struct spf_check spf_check;
	struct loop_timer patience; /* for all lookups of a kind together */
	char who[SWITCH_WHO];
};

static void drop_switching(struct call *c)
{
	struct switching *s = c->state;

	c->state = NULL;
	probe_cancel(&s->probe);
	dns_lookup_fini(&s->lookup);
	spf_check_fini(&s->spf_check);
	spf_free(&s->spf);
	if (loop_timer_is_set(&s->patience)) /* never on the worker: end_looking was before */
		loop_timer_stop(&s->patience);
	free(s);
}

/* On the worker, at the end: the call is over and so is what it gathered. */
static void end_switching(struct call *c, int code, const char *text)
{
	drop_switching(c);
	call_end(c, code, text != NULL ? "%s" : NULL, text);
}

static bool known_waivers(struct call *c)
{
	size_t n = args_list_n(c, "waive");

	for (size_t i = 0; i < n; i++)
		if (!switch_check_known(args_list_at(c, "waive", i))) {
			call_end(c, CALL_USAGE, "--waive " STR_FMT ": there is no check of that name",
				 STR_ARG(args_list_at(c, "waive", i)));
			return false;
		}
	if (n > 0 && args_text(c, "reason").n == 0) {
		call_end(c, CALL_USAGE, "--waive needs --reason: why may this check fail?");
		return false;
	}
	return true;
}

/* What was planned, or what the words say: then that is the plan.  False: the call has ended. */
static bool plan_it(struct call *c, struct str who, struct flow *flow)
{
	struct routing *r = c->hooks->routing;
	struct mode_switch sw;
	struct switch_move move;
	struct mode to;
	struct err e = { 0 };
	size_t words = args_list_n(c, "MODE");

	if (routing_mode_get(r, &to, &e) != 0 || routing_switch_get(r, &sw, &move, &e) != 0)
		goto failed;
	if (words == 0 && sw.state != SWITCH_PLANNED && sw.state != SWITCH_FAILED) {
		call_end(c, CALL_USAGE, "nothing is planned: which mode? M1..M4, or mx=onprem|cloud and cmt=on|off");
		return false;
	}
	if (words > 0 && !mode_read_words(c, &to.mx, &to.cmt))
		return false;
	*flow = words > 0 ? (struct flow){ to.mx, to.cmt } : sw.to;
	if (words == 0)
		return true;
	if ((sw.state == SWITCH_PLANNED || sw.state == SWITCH_FAILED || sw.state == SWITCH_PRECHECK) &&
	    sw.to.mx == to.mx && sw.to.cmt == to.cmt && !args_flag(c, "dry-run"))
		return true;
	if (args_flag(c, "dry-run") || routing_switch_plan(r, to.mx, to.cmt, who, &sw, &e) == 0)
		return true;
failed:
	call_end_err(c, code_of(&e), &e);
	return false;
}

static void sample(struct routing *r, enum rcpt_loc loc, struct arena *a, struct str *out)
{
	struct rcpt_record rec;

	if (routing_sample(r, loc, a, &rec))
		*out = loc == LOC_REMOTE && rec.routing.n > 0 ? rec.routing : rec.primary;
}

static void plan_spf(struct switching *s)
{
	const struct conf_list *lists[2];
	const char *names[2];
	size_t n = spf_check_sides(s->call->config, s->found.to.cmt, lists, names);

	for (size_t i = 0; i < n; i++)
		if (lists[i]->n == 0)
			s->found.spf_lacks = names[i];
}

/* Worker: the state, and whom to ask for. */
static void begin(struct call *c)
{
	struct switching *s = c->state;
	const struct switch_ask ask = { .order = SWITCH_CHECK, .who = str_c(s->who) };
	struct str local = STR_NONE, remote = STR_NONE;
	struct mode_switch sw;
	struct arena arena;
	bool moved;
	struct err e = { 0 };

	struct flow to;
	if (!plan_it(c, str_c(s->who), &to))
		return;
	if (!args_flag(c, "dry-run") && routing_switch_ask(c->hooks->routing, &ask, &sw, &moved, &e) != 0) {
		end_switching(c, code_of(&e), e.text);
		return;
	}
	arena_init(&arena, SAMPLE_MEMORY);
	sample(c->hooks->routing, LOC_LOCAL, &arena, &local);
	sample(c->hooks->routing, LOC_REMOTE, &arena, &remote);
	switch_check_plan(c->config, local, remote, &s->found);
	arena_fini(&arena);
	s->found.to = to;
	plan_spf(s);
}

static void keep_sample(void *arg, const struct sim_finding *f)
{
	struct check_replay *r = arg;

	if ((f->kind == SIM_LOOP || f->kind == SIM_REJECTED) && r->sample[0] == '\0')
		snprintf(r->sample, sizeof r->sample, "such as " STR_FMT " to " STR_FMT " (%s)",
			 STR_ARG(str_head(f->from.n > 0 ? f->from : S("<>"), 50)), STR_ARG(str_head(f->rcpt, 50)),
			 f->after->steps[f->after->n - 1].verdict.rule);
}

/* Worker: the tracking log of the last day under the new mode; a big one takes seconds. */
static void replay(struct switching *s)
{
	const struct config *c = s->call->config;
	struct check_replay *out = &s->found.replay;
	const struct sim_options o = { .ours = c,
				       .routing = s->call->hooks->routing,
				       .asked = { .mx = s->found.to.mx, .cmt = s->found.to.cmt } };
	const struct track_logs logs = { .paths = { c->track.path.p }, .n = 1 };
	struct replay r = { .since_ms = clock_wall_ms() - REPLAY_MS };
	struct sim_totals t;
	struct err e = { 0 };

	if (c->track.path.n == 0) {
		out->no_log = "there is no tracking log (track.path) to replay";
		return;
	}
	r.sim = sim_open(&o, &e);
	if (r.sim == NULL || replay_logs(&r, &logs, &e) != 0) {
		out->failed = true;
		snprintf(out->sample, sizeof out->sample, "%.*s", (int)sizeof out->sample - 1, e.text);
	} else {
		sim_totals(r.sim, &t);
		out->messages = t.envelopes;
		out->changed = t.found[SIM_CHANGED];
		out->refused = t.found[SIM_REJECTED];
		out->loops = t.found[SIM_LOOP];
		if (t.envelopes == 0)
			out->no_log = "the tracking log has no message of the last 24 h";
		sim_each(r.sim, keep_sample, out);
	}
	sim_close(&r.sim);
}

static void judge(struct call *c, struct switch_check *checks, size_t *n)
{
	struct switching *s = c->state;
	struct connector_stats *stats = calloc(STATS_MAX, sizeof *stats);
	struct queue_stats q = { 0 };

	must(stats != NULL);
	s->found.now_ms = clock_wall_ms();
	s->found.stats = stats;
	if (c->hooks->connectors != NULL)
		s->found.stat_n = c->hooks->connectors(c->hooks->arg, stats, STATS_MAX);
	if (s->found.stat_n > STATS_MAX)
		s->found.stat_n = STATS_MAX;
	queue_stats(c->hooks->queue, &q);
	s->found.waiting = q.recipients;
	replay(s);
	s->found.incidents = routing_incidents_open(c->hooks->routing);
	*n = switch_check_judge(c->config, &s->found, checks);
	free(stats);
	for (size_t i = 0; i < args_list_n(c, "waive"); i++)
		switch_check_waive(checks, *n, args_list_at(c, "waive", i), str_c(s->who), args_text(c, "reason"));
}

static void log_checks(const struct mode_switch *sw)
{
	for (size_t i = 0; i < sw->check_n; i++)
		if (sw->checks[i].result == CHECK_FAIL || sw->checks[i].result == CHECK_WAIVED)
			log_warn(NULL, "mode.check", kv_c("check", sw->checks[i].name),
				 kv_c("result", check_result_name(sw->checks[i].result)),
				 kv_c("evidence", sw->checks[i].evidence), kv_c("by", sw->checks[i].waived_by),
				 kv_c("why", sw->checks[i].waived_why));
}

/* Worker: the order. */
static void decide(struct call *c)
{
	struct switching *s = c->state;
	struct switch_check checks[SWITCH_CHECKS_MAX];
	struct switch_ask ask = { .order = SWITCH_GO, .checks = checks, .who = str_c(s->who) };
	struct mode_switch sw;
	bool moved;
	struct err e = { 0 };

	if (routing_stats(c->hooks->routing, &s->found.table, &e) != 0) {
		end_switching(c, CALL_PARTLY, e.text);
		return;
	}
	judge(c, checks, &ask.check_n);
	if (args_flag(c, "dry-run")) {
		for (size_t i = 0; i < ask.check_n; i++)
			check_row(c, &checks[i]);
		end_switching(c, switch_failed(checks, ask.check_n) > 0 ? CALL_PARTLY : CALL_OK, "nothing was changed");
		return;
	}
	if (routing_switch_ask(c->hooks->routing, &ask, &sw, &moved, &e) != 0) {
		end_switching(c, code_of(&e), e.text);
		return;
	}
	log_checks(&sw);
	log_info(NULL, "mode.switch", kv_c("state", switch_state_name(sw.state)), kv_c("from", flow_name(sw.from)),
		 kv_c("to", flow_name(sw.to)), kv_int("epoch", (int64_t)sw.epoch), kv_c("why", sw.why),
		 kv_c("who", sw.who));
	switch_row(c, &sw, NULL);
	end_switching(c, sw.state == SWITCH_DUAL ? CALL_OK : CALL_PARTLY, sw.state == SWITCH_DUAL ? NULL : sw.why);
}

/* ---- on the loop: one probe or lookup after the other ---- */

static void look_on(struct switching *s);

static void on_step(void *arg, const struct probe_step *step)
{
	struct switching *s = arg;
	struct check_probe *p = &s->found.probes[s->at];

	if (!step->ok && p->why[0] == '\0')
		snprintf(p->why, sizeof p->why, "%s: %s", step->stage, step->says);
}

static void on_end(void *arg, const struct probe_end *end)
{
	struct switching *s = arg;
	struct check_probe *p = &s->found.probes[s->at++];

	s->probe = NULL;
	p->done = true;
	p->hosts = end->hosts;
	p->good = end->good;
	p->size_min = end->size_min;
	look_on(s);
}

static bool start_probe(struct switching *s, struct check_probe *p)
{
	const struct probe_events events = { .arg = s, .step = on_step, .end = on_end };
	const struct probe_order order = { .connector = p->send->name, .rcpt = str_c(p->rcpt) };
	struct err e = { 0 };

	s->probe = probe_start(s->call->hooks->deliver, &order, &events, &e);
	if (s->probe == NULL)
		snprintf(p->why, sizeof p->why, "%.*s", (int)sizeof p->why - 1, e.text);
	return s->probe != NULL;
}

static void end_looking(struct switching *s)
{
	dns_lookup_fini(&s->lookup);
	spf_check_fini(&s->spf_check);
	loop_timer_stop(&s->patience);
	call_to_worker(s->call, decide, NULL);
}

/* The MX records take too long: on to what else there is; then that is enough. */
static void on_impatient(struct loop_timer *t)
{
	struct switching *s = container_of(t, struct switching, patience);

	if (s->at >= s->found.probe_n + s->found.mx_n) {
		end_looking(s);
		return;
	}
	dns_lookup_fini(&s->lookup);
	s->at = s->found.probe_n + s->found.mx_n;
	look_on(s);
}

static void on_mx(struct op *op)
{
	struct switching *s = container_of(op, struct switching, lookup.op);
	struct check_mx *m = &s->found.mx[s->at++ - s->found.probe_n];

	m->status = s->lookup.status;
	m->has_mx = s->lookup.has_mx;
	m->ttl_s = s->lookup.ttl_s;
	look_on(s);
}

static void end_spf(struct spf_check *k)
{
	struct switching *s = container_of(k, struct switching, spf_check);
	struct check_spf *out = &s->found.spf[s->at++ - s->found.probe_n - s->found.mx_n];

	out->done = true;
	out->result = k->result;
	memcpy(out->why, k->why, sizeof out->why);
	look_on(s);
}

/* The SPF record of the next domain; false: there is none left. */
static bool start_spf(struct switching *s)
{
	const struct control_hooks *h = s->call->hooks;
	size_t i = s->at - s->found.probe_n - s->found.mx_n;
	const struct conf_list *lists[2];
	const char *names[2];

	if (i >= s->found.mx_n || s->found.spf_lacks != NULL)
		return false;
	if (i == 0) {
		s->spf = spf_new();
		loop_timer_set(&s->patience, LOOKUPS_MS);
	}
	s->spf_check = (struct spf_check){
		.dns = h->dns, .loop = h->loop, .spf = s->spf, .domain = s->found.mx[i].domain->name, .done = end_spf
	};
	for (size_t k = spf_check_sides(s->call->config, s->found.to.cmt, lists, names); k > 0; k--)
		spf_check_add(&s->spf_check, lists[k - 1]);
	if (!spf_check_go_on(&s->spf_check))
		end_spf(&s->spf_check);
	return true;
}

static void look_on(struct switching *s)
{
	const struct control_hooks *h = s->call->hooks;

	while (s->at < s->found.probe_n) {
		if (h->deliver != NULL && start_probe(s, &s->found.probes[s->at]))
			return;
		s->at++;
	}
	if (s->at - s->found.probe_n < s->found.mx_n && h->dns != NULL) {
		if (!loop_timer_is_set(&s->patience))
			loop_timer_set(&s->patience, LOOKUPS_MS);
		dns_lookup_mx(h->dns, h->loop, s->found.mx[s->at - s->found.probe_n].domain->name, 25, &s->lookup,
			      on_mx);
		return;
	}
	if (h->dns != NULL && start_spf(s))
		return;
	end_looking(s);
}

static void look(struct call *c)
{
	look_on(c->state);
}

void run_mode_switch(struct call *c)
{
	struct switching *s;

	if (!known_waivers(c))
		return;
	s = calloc(1, sizeof *s);
	must(s != NULL);
	s->call = c;
	call_who(c, s->who);
	loop_timer_init(c->hooks->loop, &s->patience, on_impatient);
	c->state = s;
	c->drop = drop_switching;
	call_to_worker(c, begin, look);
}
