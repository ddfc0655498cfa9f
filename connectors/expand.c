/* connectors/expand.c: the walk of one lease, and the copies it asks for. */
#include "connectors/expand.h"

#include "base/fault.h"
#include "base/must.h"

#include <stdlib.h>

enum { SLICE = 500 /* members a turn: about a millisecond */, WALKS_MAX = 4 };

static void next_copy(struct expand *x);
static void begin_walk(struct expand *x);

bool expand_is_owed(const struct plan *p, const struct outcome *o)
{
	if (o->kind == OUTCOME_DEFERRED)
		return false;
	/* what is forwarded is forwarded even when the mailbox refuses its own */
	return p->forwards || (o->kind == OUTCOME_DELIVERED && (p->expands || p->copy_to.n > 0));
}

static void end(struct expand *x, enum expand_end how, const struct err *e)
{
	expand_cancel(x);
	x->done(x, how, e);
}

/* ---- what a copy says ---- */

/* SUCCESS ends here: the members' deliveries are not the sender's (RFC 3461 5.2.7). */
static unsigned notify_of(const struct walk_report *r, unsigned asked)
{
	if (r->to == REPORT_NONE)
		return ENV_NOTIFY_NEVER;
	if (r->to == REPORT_OWNER)
		return ENV_NOTIFY_FAILURE;
	unsigned rest = asked & (unsigned)~ENV_NOTIFY_SUCCESS;
	return rest == 0 && asked != 0 ? ENV_NOTIFY_NEVER : rest;
}

static struct env_rcpt rcpt_of(const struct expand *x, const struct walk_rcpt *r, const struct walk_report *report)
{
	const struct plan *root = x->roots[r->root];
	const struct env_rcpt *asked = &x->o.lease->env.rcpts[root->index];

	return (struct env_rcpt){
		.addr = r->addr,
		.orcpt = report->to == REPORT_SENDER ? root->rcpt.env.orcpt : STR_NONE,
		.notify = notify_of(report, asked->notify),
		.generation = r->generation,
		.followed = r->followed,
	};
}

/* ---- copies ---- */

static void on_copied(struct copy *c, const struct err *e)
{
	struct expand *x = container_of(c, struct expand, copy);

	struct err why = { 0 };

	x->copying = false;
	if (e != NULL)
		why = *e;
	else if (fault("expand.copied")) /* durable, but nobody knows yet */
		err_sys(&why, ERR_IO, "expand", "a fault behind a copy");
	if (why.code != ERR_NONE) {
		end(x, EXPAND_LATER, &why);
		return;
	}
	x->copies++;
	if (x->walk != NULL)
		next_copy(x);
	else
		begin_walk(x);
}

static void copy_to(struct expand *x, const struct walk_report *report)
{
	const struct copy_order o = { .port = x->o.port,
				      .lease = x->o.lease,
				      .owner = report->to == REPORT_OWNER ? report->owner : STR_NONE,
				      .journaled = x->o.journaled,
				      .rcpts = x->batch,
				      .rcpt_n = x->batch_n };
	struct err e = { 0 };

	x->copying = true;
	if (fault("expand.copy"))
		err_sys(&e, ERR_IO, "expand", "a fault before a copy");
	else if (copy_start(&x->copy, &o, on_copied, &e) == 0)
		return;
	x->copying = false;
	end(x, EXPAND_LATER, &e);
}

static void tell_expanded(struct expand *x, const struct walk_result *r)
{
	for (size_t i = 0; i < x->root_n; i++)
		log_info(x->o.log, x->roots[i]->expands ? "group.expanded" : "mailbox.forwarded",
			 kv_str("to", x->roots[i]->rcpt.env.addr), kv_int("recipients", (int64_t)r->rcpt_n),
			 kv_int("copies", (int64_t)x->copies), kv_int("generation", x->roots[i]->rcpt.env.generation));
	if (r->duplicates > 0)
		log_info(x->o.log, "recipient.duplicate", kv_c("reason", "DUPLICATEEXPAND"),
			 kv_int("recipients", (int64_t)r->duplicates));
	if (r->returned > 0)
		log_info(x->o.log, "recipient.duplicate", kv_c("reason", "DUPLICATEREDIRECT"),
			 kv_int("recipients", (int64_t)r->returned));
}

/* Recipients whose reports go the same way share copies, at most expansion_limit of them in one. */
static void next_copy(struct expand *x)
{
	struct walk_result r = walk_result(x->walk);
	size_t most = (size_t)x->config->recipients.expansion_limit;

	x->batch_n = 0;
	while (x->report < r.report_n) {
		for (; x->at < r.rcpt_n && x->batch_n < most; x->at++)
			if (r.rcpts[x->at].report == x->report)
				x->batch[x->batch_n++] = rcpt_of(x, &r.rcpts[x->at], &r.reports[x->report]);
		if (x->batch_n > 0) {
			copy_to(x, &r.reports[x->report]);
			return;
		}
		x->report++;
		x->at = 0;
	}
	tell_expanded(x, &r);
	end(x, EXPAND_COPIED, NULL);
}

/* ---- the walk ---- */

/* Everybody who has the message by itself, then those whom it leads on from. */
static bool start_walk(struct expand *x, struct routing_view *v, struct err *e)
{
	const struct envelope *env = &x->o.lease->env;
	bool ok = true;

	for (size_t i = 0; ok && i < env->rcpt_n; i++)
		ok = walk_skip(x->walk, v, env->rcpts[i].addr, e);
	for (size_t i = 0; ok && i < x->root_n; i++) {
		must(x->roots[i] != NULL);
		ok = walk_root(x->walk, v, x->roots[i]->rcpt.env.addr, x->roots[i]->rcpt.env.generation, e);
	}
	return ok;
}

static enum walk_step look(struct expand *x, bool first, struct err *e)
{
	enum walk_step step = WALK_FAILED;
	struct routing_view v;

	if (routing_begin(x->o.routing, &v, e) != 0)
		return WALK_FAILED;
	if (!first || start_walk(x, &v, e))
		step = walk_step(x->walk, &v, SLICE, e);
	routing_end(&v);
	return step;
}

static void on_turn(struct loop_timer *t);

static void take_step(struct expand *x, bool first)
{
	struct err e = { 0 };

	switch (look(x, first, &e)) {
	case WALK_MORE:
		loop_timer_set(&x->turn, 0);
		return;
	case WALK_DONE:
		next_copy(x);
		return;
	case WALK_TOO_MANY:
		end(x, EXPAND_TOO_MANY, NULL);
		return;
	case WALK_CHANGED:
		walk_free(&x->walk);
		begin_walk(x);
		return;
	case WALK_FAILED:
		end(x, EXPAND_LATER, &e);
		return;
	}
}

static void on_turn(struct loop_timer *t)
{
	take_step(container_of(t, struct expand, turn), false);
}

static void begin_walk(struct expand *x)
{
	const struct config *c = x->config;
	struct err e = { 0 };

	if (x->root_n == 0) {
		end(x, EXPAND_COPIED, NULL);
		return;
	}
	if (++x->walks > WALKS_MAX) {
		err_set(&e, ERR_BUSY, "expand", "the recipient table changes too fast to expand a group");
		end(x, EXPAND_LATER, &e);
		return;
	}
	x->walk = walk_new(&(struct walk_options){ .total = (size_t)c->recipients.expansion_total,
						   .max_redirects = (unsigned)c->loop.max_redirects,
						   .tokens = x->o.tokens,
						   .token_n = x->o.token_n });
	take_step(x, true);
}

/* ---- from the job ---- */

static void collect(struct expand *x)
{
	for (size_t i = 0; i < x->o.plan_n; i++) {
		struct plan *p = &x->o.plans[i];
		if (!expand_is_owed(p, &x->o.outcomes[i]))
			continue;
		if (p->expands || p->forwards)
			x->roots[x->root_n++] = p;
		if (p->copy_to.n == 0 || x->o.outcomes[i].kind != OUTCOME_DELIVERED)
			continue;
		x->batch[x->batch_n++] = (struct env_rcpt){ .addr = p->copy_to,
							    .notify = ENV_NOTIFY_NEVER,
							    .generation = p->copy_generation };
		log_info(x->o.log, "copy.spooled", kv_str("to", p->rcpt.env.addr), kv_str("as", p->copy_to));
	}
}

void expand_start(struct expand *x, const struct expand_order *o,
		  void (*done)(struct expand *, enum expand_end, const struct err *))
{
	const struct walk_report to_sender = { .to = REPORT_SENDER };
	size_t most = (size_t)o->config->recipients.expansion_limit;

	*x = (struct expand){ .o = *o, .config = config_ref(o->config), .done = done };
	loop_timer_init(o->loop, &x->turn, on_turn);
	x->batch = calloc(most > o->plan_n ? most : o->plan_n, sizeof *x->batch);
	x->roots = calloc(o->plan_n, sizeof(struct plan *));
	must(x->batch != NULL && x->roots != NULL);
	collect(x);
	if (x->batch_n > 0)
		copy_to(x, &to_sender);
	else
		begin_walk(x);
}

void expand_cancel(struct expand *x)
{
	if (x->o.loop == NULL)
		return;
	loop_timer_stop(&x->turn);
	if (x->copying)
		copy_cancel(&x->copy);
	x->copying = false;
	walk_free(&x->walk);
	free(x->batch);
	free(x->roots);
	config_unref(&x->config);
	x->batch = NULL;
	x->roots = NULL;
	x->o.loop = NULL;
}
