/* connectors/plan.c: recipient -> verdict -> connector -> hop.
 *
 * The same calls as at RCPT and in `route explain`; here a refusal becomes a report and a wait a deferral.  A mode that
 * changed since the message was accepted does not make its sender a straggler afterwards. */
#include "connectors/plan.h"
#include "connectors/reason.h"

#include "base/must.h"

#include <stdio.h>

void plan_settle(struct plan *plan, struct arena *arena, enum rcpt_result result, struct reply r, struct str text)
{
	if (!arena_dup(arena, text, &plan->rcpt.text))
		plan->rcpt.text = S("no memory for the reason");
	plan->rcpt.result = result;
	plan->rcpt.reply = r;
	plan->rcpt.reply.text = plan->rcpt.text;
}

static void defer_locally(const struct planner *p, struct plan *plan, const char *why)
{
	plan_settle(plan, p->arena, RCPT_DEFERRED, REPLY(451, 4, 3, 0, ""), str_c(why));
}

/* ---- the verdict ---- */

static const struct conf_inbound *inbound_of(const struct config *c, struct str name)
{
	for (size_t i = 0; i < c->inbound_n && name.n > 0; i++)
		if (str_eq(c->inbounds[i].name, name))
			return &c->inbounds[i];
	return NULL;
}

static bool is_served(const struct verdict *v)
{
	return v->action != ROUTE_REJECT && v->action != ROUTE_DEFER;
}

/* What was accepted under another mode keeps its epoch (spec 1.6): when the mode in force would not take it any more (a
 * straggler after the grace, the cloud's Internet mail after central transport ended), it is served as it was promised.
 */
static bool ask_as_accepted(const struct planner *p, struct routing_view *v, struct route_query q, struct route *out,
			    struct err *e)
{
	struct mode then = v->mode;
	struct route promised;

	if (str_eq(str_c(out->verdict.reason), S("STRAGGLER"))) {
		then.since_ms = v->now_ms; /* its grace has not passed */
		then.locked_ms = 0;
	} else if (p->env->epoch != v->mode.epoch) {
		then.cmt = !then.cmt;
	} else {
		return true;
	}
	q.mode = &then;
	if (!routing_route(v, &q, p->arena, &promised, NULL, e))
		return false;
	if (is_served(&promised.verdict))
		*out = promised;
	return true;
}

static bool ask_routing(const struct planner *p, struct routing_view *v, const struct addr *a,
			const struct env_rcpt *rcpt, struct route *out, struct err *e)
{
	const struct conf_inbound *in = inbound_of(outbound_config(p->outbound), p->env->inbound);
	struct route_query q = { .rcpt = a,
				 .origin = p->env->origin,
				 .class = p->env->class,
				 .org = p->env->org,
				 .sender = p->env->from,
				 .srs = outbound_srs_keys(p->outbound),
				 .arrived_ms = p->env->arrived_ms,
				 .token_seen = rcpt->token_seen,
				 .generation = rcpt->generation,
				 .followed = rcpt->followed,
				 .return_internal = in != NULL && in->return_internal,
				 .peer_relay = in != NULL && in->peer_relay,
				 .null_sender = p->env->from.n == 0 };

	if (!routing_route(v, &q, p->arena, out, NULL, e))
		return false;
	if (str_eq(str_c(out->verdict.reason), S("CMT-BYPASS")) && !routing_bypass_take(p->routing, v->now_ms)) {
		q.no_bypass = true;
		if (!routing_route(v, &q, p->arena, out, NULL, e))
			return false;
	}
	return is_served(&out->verdict) || ask_as_accepted(p, v, q, out, e);
}

static void settle_by_verdict(const struct planner *p, struct plan *plan, const struct verdict *v)
{
	plan_settle(plan, p->arena, v->action == ROUTE_REJECT ? RCPT_FAILED : RCPT_DEFERRED, v->reply, v->reply.text);
}

/* ---- the way out ---- */

static void settle_by_selection(const struct planner *p, struct plan *plan, const struct selection *sel,
				const struct route *rt)
{
	char text[400];

	snprintf(text, sizeof text, STR_FMT " (%s " STR_FMT "%s" STR_FMT ")", STR_ARG(sel->reply.text),
		 route_next_name(rt->verdict.next), STR_ARG(rt->hop_domain), sel->send != NULL ? ", connector " : "",
		 STR_ARG(sel->send != NULL ? sel->send->name : STR_NONE));
	plan->cause = sel->result == SELECT_REJECT ? "the message is too big for the way it must take"
						   : "the way this message must take is closed";
	plan->fixer = "administrator";
	plan->told = sel->reply.text;
	plan_settle(plan, p->arena, sel->result == SELECT_REJECT ? RCPT_FAILED : RCPT_DEFERRED, sel->reply,
		    str_c(text));
}

/* The original address travels along when it was rewritten (spec 2.5.4). */
static void add_orcpt(const struct planner *p, struct plan *plan)
{
	struct str original = p->env->rcpts[plan->index].addr;
	char room[1024];
	struct buf b = { .p = room, .cap = sizeof room, .max = sizeof room - 1 };

	if (plan->rcpt.env.orcpt.n > 0 || str_chr(original, '@') < 0)
		return;
	for (size_t i = 0; i < original.n; i++)
		if (chr_is_8bit(original.p[i]))
			return; /* an rfc822 address type is ASCII */
	buf_add(&b, S("rfc822;"));
	addr_xtext_encode(original, &b);
	if (!b.full)
		arena_dup(p->arena, buf_str(&b), &plan->rcpt.env.orcpt);
}

/* A certificate the connector must show is not there (spec 3.5.1): without it the other side would take our mail for a
 * stranger's. */
static void settle_by_trouble(const struct planner *p, struct plan *plan, const struct conf_send *s, struct str trouble)
{
	char text[400];

	snprintf(text, sizeof text, "the certificate of connector " STR_FMT " is missing: " STR_FMT, STR_ARG(s->name),
		 STR_ARG(trouble));
	plan->cause = "the way this message must take has no certificate to show";
	plan->fixer = "administrator";
	const struct config *c = outbound_config(p->outbound);
	struct reply r = reason_reply(REASON_CERT_MISSING, c->status_codes, c->site);
	plan->told = r.text;
	plan_settle(plan, p->arena, RCPT_DEFERRED, r, str_c(text));
}

/* To strangers, mail of strangers leaves under an address of ours (R53, R55; spec 2.6).  False: settled. */
static bool choose_sender(const struct planner *p, struct routing_view *v, struct plan *plan, const struct route *rt,
			  const struct conf_send *send)
{
	bool out = rt->facts.kind == KIND_EXTERNAL && rt->verdict.next != NEXT_PEER;

	if (!out || routing_sender_for(v, outbound_srs_keys(p->outbound), send->srs_domain, p->env->from, p->arena,
				       &plan->from, &plan->srs))
		return true;
	defer_locally(p, plan, "no memory for the sender");
	return false;
}

/* `named`: the connector a policy wants, empty = by address space. */
static void choose_hop(const struct planner *p, struct routing_view *v, struct plan *plan, const struct route *rt,
		       const struct addr *original, struct str named)
{
	const struct select_query q = {
		.domain = rt->hop_domain, .size = p->size, .next = rt->verdict.next, .named = named
	};
	struct selection sel;
	struct tls_need need;
	enum hop_kind kind;
	struct str target;

	if (!addr_is_clean(rt->rcpt) || rt->rcpt.n == 0) {
		defer_locally(p, plan, "the recipient table gives an address that cannot be sent");
		plan->fixer = "administrator";
		return;
	}
	select_send(outbound_config(p->outbound), &q, &sel);
	if (sel.result != SELECT_OK) {
		settle_by_selection(p, plan, &sel, rt);
		return;
	}
	if (outbound_trouble(p->outbound, sel.send).n > 0) {
		settle_by_trouble(p, plan, sel.send, outbound_trouble(p->outbound, sel.send));
		return;
	}
	if (!choose_sender(p, v, plan, rt, sel.send))
		return;
	kind = rt->hop_host.n > 0 ? HOP_HOST : sel.send->smarthosts.n > 0 ? HOP_SMARTHOSTS : HOP_DOMAIN;
	target = kind == HOP_HOST ? rt->hop_host : kind == HOP_DOMAIN ? rt->hop_domain : STR_NONE;
	if (p->drain_to.n > 0) /* the connector still says how much TLS it takes */
		kind = HOP_HOST, target = p->drain_to;
	plan->rcpt.addr = rt->rcpt;
	if (plan->forwards || !str_ieq(plan->rcpt.env.addr, plan->rcpt.addr))
		add_orcpt(p, plan);
	tls_need_find(outbound_config(p->outbound), sel.send, rt->hop_domain, original->domain, &need, NULL);
	plan->inside = kind != HOP_DOMAIN || sel.send->peer;
	plan->retry = sel.send->retry;
	if (!arena_dup(p->arena, sel.send->name, &plan->connector))
		plan->connector = STR_NONE;
	plan->hop = pool_hop(p->pool, p->outbound, sel.send, kind, target, &need);
}

/* A report to a group is nobody's but the owner's (spec 2.6). */
static void plan_expansion(const struct planner *p, struct plan *plan, const struct rcpt_record *group)
{
	if (p->env->from.n > 0) {
		plan->expands = true;
		add_orcpt(p, plan);
		plan_settle(plan, p->arena, RCPT_SENT, REPLY(250, 2, 0, 0, ""), S("expanded"));
		return;
	}
	plan->copy_to = group->report_to == REPORT_OWNER ? group->owner : STR_NONE;
	plan->copy_generation = plan->rcpt.env.generation + 1; /* the owner may be a group again */
	plan->dropped = plan->copy_to.n == 0;
	plan_settle(plan, p->arena, RCPT_SENT, REPLY(250, 2, 0, 0, ""),
		    plan->dropped ? S("a report to a group is dropped") : S("a report to a group goes to its owner"));
}

static void plan_drop(const struct planner *p, struct plan *plan, const struct verdict *v)
{
	plan->dropped = true;
	plan_settle(plan, p->arena, RCPT_SENT, REPLY(250, 2, 0, 0, ""), str_c(v->cause));
}

/* A journal report is not routed (spec 1.3 P15): it goes by the connector of its rule, whatever mode is in force. */
static void plan_journal(const struct planner *p, struct routing_view *v, struct plan *plan, const struct addr *a)
{
	const struct config *c = outbound_config(p->outbound);
	struct route rt = { .rcpt = plan->rcpt.addr, .hop_domain = a->domain };

	plan->rule = "R-JRN";
	plan->reason = "JOURNAL";
	plan->form = FORM_AS_RECEIVED;
	plan->mode = v->mode;
	plan->serial = v->serial;
	for (size_t i = 0; i < c->journal_n; i++)
		if (str_eq(c->journals[i].name, p->env->rule)) {
			choose_hop(p, v, plan, &rt, a, c->journals[i].connector);
			return;
		}
	defer_locally(p, plan, "the journal section of this report is not there any more");
	plan->fixer = "administrator";
}

/* The reason is written for the senders: strangers read it too. */
static void plan_condemned(const struct planner *p, struct plan *plan)
{
	char text[480];

	snprintf(text, sizeof text, "removed from the queue by the administrator%s" STR_FMT,
		 plan->condemned.n > 0 ? ": " : "", STR_ARG(plan->condemned));
	plan_settle(plan, p->arena, RCPT_FAILED, REPLY(550, 5, 3, 0, ""), str_c(text));
	plan->told = plan->rcpt.text;
}

static void plan_one(const struct planner *p, struct routing_view *v, struct plan *plan)
{
	const struct addr_rules rules = { .smtputf8 = true, .relaxed = true, .allow_bare_local = true };
	struct route rt;
	struct addr a;
	struct err e = { 0 };

	plan->rcpt.env = p->env->rcpts[plan->index];
	plan->rcpt.addr = plan->rcpt.env.addr;
	plan->from = p->env->from;
	plan->srs = SRS_NONE;
	plan->rule = plan->reason = "-";
	if (plan->condemned.p != NULL) {
		plan_condemned(p, plan);
		return;
	}
	if (addr_parse(plan->rcpt.addr, &rules, &a) != ADDR_OK) {
		plan_settle(plan, p->arena, RCPT_FAILED, REPLY(553, 5, 1, 3, ""), S("not a mail address"));
		return;
	}
	if (p->env->journal >= ENV_JOURNAL_REPORT) {
		plan_journal(p, v, plan, &a);
		return;
	}
	if (!ask_routing(p, v, &a, &plan->rcpt.env, &rt, &e)) {
		defer_locally(p, plan, e.text);
		return;
	}
	plan->rule = rt.verdict.rule;
	plan->reason = rt.verdict.reason;
	plan->cause = rt.verdict.cause;
	plan->fixer = rt.verdict.fixer;
	plan->form = rt.verdict.form;
	plan->forwarded = rt.facts.redirected && rt.facts.kind == KIND_EXTERNAL;
	plan->next = rt.verdict.next;
	plan->copy_to = rt.copy_to;
	plan->bypass = str_eq(str_c(plan->reason), S("CMT-BYPASS"));
	plan->coverage = route_coverage(&rt);
	/* a mailbox on both sides is one mailbox: nothing was redirected, but the copy is ours */
	plan->copy_generation = rt.redirects > 0 ? rt.redirects : 1;
	plan->forwards = rt.forwards;
	plan->loc = kind_name(rt.facts.kind);
	plan->mode = v->mode;
	plan->serial = v->serial;
	plan->redirects = rt.redirects;
	plan->straggler = rt.verdict.straggler;
	if (plan->next == NEXT_PEER)
		plan->who = route_token_rcpt(&rt);
	if (rt.verdict.action == ROUTE_DELIVER || rt.verdict.action == ROUTE_RELAY)
		choose_hop(p, v, plan, &rt, &a, STR_NONE);
	else if (rt.verdict.action == ROUTE_EXPAND)
		plan_expansion(p, plan, &rt.located.record);
	else if (rt.verdict.action == ROUTE_DROP)
		plan_drop(p, plan, &rt.verdict);
	else
		settle_by_verdict(p, plan, &rt.verdict);
}

void plan_recipients(const struct planner *p, struct plan *plans, size_t n)
{
	struct routing_view v;
	struct err e = { 0 };

	if (routing_begin(p->routing, &v, &e) != 0) {
		for (size_t i = 0; i < n; i++) {
			plans[i].rule = plans[i].reason = "-";
			plans[i].rcpt.env = p->env->rcpts[plans[i].index];
			plans[i].rcpt.addr = plans[i].rcpt.env.addr;
			defer_locally(p, &plans[i], e.text);
		}
		return;
	}
	for (size_t i = 0; i < n; i++)
		plan_one(p, &v, &plans[i]);
	routing_end(&v);
}
