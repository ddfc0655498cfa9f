/* routing/route.c: locate + decide + address form, for the session, the delivery and `route explain` alike.
 *
 * The facts are gathered here from the view, the query and the configuration; the verdict is decide's alone. */
#include "routing/recipient.h"

#include "base/must.h"

#include <stdio.h>

struct work {
	struct routing_view *v;
	const struct route_query *q;
	struct arena *arena;
	struct err *e;
	struct addr at; /* the address reached so far */
};

static bool no_memory(struct work *w)
{
	err_set(w->e, ERR_TOO_BIG, "route", "no memory left for a routing decision");
	return false;
}

/* Where a contact or redirection leads; empty when the record has no target. */
static struct str target_of(const struct located *l)
{
	return l->record.redirect.n > 0 ? l->record.redirect : l->record.routing;
}

static struct token_rcpt token_rcpt_at(const struct located *l, struct str address)
{
	return token_rcpt_of(l->found ? l->record.rid : NULL, address);
}

static bool is_named(const struct work *w, const struct located *l)
{
	struct token_rcpt r = token_rcpt_at(l, w->at.whole);

	return token_names(w->q->token, &r);
}

struct token_rcpt route_token_rcpt(const struct route *rt)
{
	return token_rcpt_at(&rt->located, rt->rcpt);
}

/* Locates the recipient and follows contacts and redirections, one address to one address. */
static bool resolve(struct work *w, struct route *out)
{
	static const struct addr_rules rules = { .smtputf8 = true, .relaxed = true };
	int64_t most = w->v->domains->loop.max_redirects;
	struct addr next;

	w->at = *w->q->rcpt;
	for (;;) {
		struct located *l = &out->located;
		if (!routing_locate(w->v, &w->at, w->arena, l, w->e))
			return false;
		if (out->redirects == 0 && w->q->token != NULL)
			out->facts.token_seen |= is_named(w, l);
		out->facts.auth_required |= l->found && l->record.require_auth;
		out->facts.is_group |= l->kind == KIND_GROUP;
		if (l->kind != KIND_CONTACT || addr_parse(target_of(l), &rules, &next) != ADDR_OK)
			return true;
		if (out->redirects >= (unsigned)most) {
			out->facts.redirect_loop = true;
			return true;
		}
		out->redirects++;
		w->at = next;
	}
}

/* A group is relayed to its home; what this side's table redirects, this side sends (else R50 would refuse strangers'
 * mail to a contact, R45 a cloud group's member on-prem).  Only what the cloud redirects outside stays the peer's: R56
 * wants to know. */
static void settle(struct route *out)
{
	struct route_facts *f = &out->facts;
	struct located *l = &out->located;

	f->kind = l->kind;
	if (l->kind == KIND_GROUP)
		f->kind = l->record.routing.n > 0 ? KIND_REMOTE : KIND_LOCAL;
	f->disabled = l->found && l->record.loc == LOC_DISABLED;
	if (out->redirects == 0)
		return;
	f->redirected = true;
	f->token_seen = false; /* the token names the recipient as received */
	if (f->origin == ENV_INTERNET || f->origin == ENV_PARTNER ||
	    (f->origin == ENV_PEER && !(f->site == SITE_CLOUD && f->kind == KIND_EXTERNAL)))
		f->origin = ENV_SELF;
}

/* mode.allow: partners who cannot change where they send. */
static bool straggler_allowed(const struct conf_mode *m, const struct net_addr *client)
{
	for (size_t i = 0; client != NULL && i < m->allow_n; i++)
		if (net_cidr_has(&m->allow_ranges[i], client))
			return true;
	return false;
}

static void gather(struct work *w, struct route_facts *f)
{
	const struct domain_set *s = w->v->domains;
	const struct route_query *q = w->q;
	const struct mode *m = q->mode != NULL ? q->mode : &w->v->mode;
	int64_t locked_ms =
		m->mx == w->v->mode.mx ? m->locked_ms : 0; /* asked "what if the MX were there": not locked */

	*f = (struct route_facts){
		.site = s->site,
		.mx = m->mx,
		.cmt = m->cmt,
		.origin = q->origin,
		.class = q->class,
		.org = q->org,
		.token_seen = q->token_seen,
		.redirected = q->redirected,
		.grace_over = locked_ms > 0 || w->v->now_ms - m->since_ms > s->mode.grace_ms,
		.straggler_allowed = straggler_allowed(&s->mode, q->client),
		.table_stale = w->v->stale,
		.return_internal = q->return_internal,
		.peer_relay = q->peer_relay,
		.host_is_source = q->host_is_source,
		.bypass = availability_may_bypass(w->v, q, m),
		.stragglers = switch_policy(s->mode.stragglers, locked_ms, w->v->now_ms, s->mode.lock_defer_ms),
		.forwarded = s->mode.forwarded,
		.egress = s->egress,
		.codes = s->codes,
	};
}

static bool moved_recently(const struct work *w, const struct located *l)
{
	return l->found && w->v->now_ms - l->record.changed_ms < w->v->domains->loop.move_grace_ms;
}

/* What our table says of a recipient, in words. */
static struct str opinion(const struct located *l, char room[160])
{
	if (l->found)
		snprintf(room, 160, "%s, version %llu, source %.*s", loc_name(l->record.loc),
			 (unsigned long long)l->record.version,
			 (int)(l->record.source.n < 80 ? l->record.source.n : 80),
			 l->record.source.n > 0 ? l->record.source.p : "-");
	else
		snprintf(room, 160, "no record, %s", kind_name(l->kind));
	return str_c(room);
}

/* Notes the incident; true while it is young, and mending it may still help this message. */
static bool incident_is_fresh(struct work *w, const struct route *rt, enum disagree_kind kind, uint64_t who,
			      int64_t wait_ms)
{
	char room[160];
	const struct disagree_seen seen = { .who = who,
					    .kind = kind,
					    .address = w->at.whole,
					    .ours = opinion(&rt->located, room),
					    .message = w->q->message,
					    .now_ms = w->v->now_ms,
					    .wait_ms = wait_ms,
					    .dry = w->q->dry || w->q->mode != NULL || w->v->past };

	return disagree_note(&w->v->routing->disagree, &seen);
}

/* R45 becomes R44 for a while after the first time the sides disagreed about this recipient. */
static bool disagreement_is_fresh(struct work *w, const struct route *rt)
{
	const unsigned char *rid = rt->located.found ? rt->located.record.rid : NULL;

	return incident_is_fresh(w, rt, DISAGREE_LOCATION, incident_location(rid, w->at.whole),
				 w->v->domains->loop.disagreement_defer_ms);
}

/* loop.action: the first hour of a loop is for mending it, with the mail kept by the sender. */
static bool loop_is_fresh(struct work *w, const struct route *rt)
{
	const struct conf_loop *loop = &w->v->domains->loop;
	struct token_rcpt r = token_rcpt_at(&rt->located, w->at.whole);

	return incident_is_fresh(w, rt, DISAGREE_LOOP, incident_loop(&r), loop->defer_ms) &&
	       loop->action == LOOP_DEFER_THEN_REJECT;
}

static struct str domain_of(struct str address)
{
	return str_skip(address, (size_t)(str_rchr(address, '@') + 1));
}

/* The address for RCPT TO at the next hop. */
static struct str form_address(const struct work *w, const struct route *rt)
{
	const struct rcpt_record *rec = &rt->located.record;

	if (rt->verdict.form == FORM_PRIMARY && rt->located.found)
		return rec->primary;
	if (rt->verdict.form == FORM_ROUTING && rec->routing.n > 0)
		return rec->routing;
	return w->at.whole;
}

/* What connector selection goes by: towards the peer its routing domain, whatever form the address has. */
static struct str hop_domain(const struct work *w, const struct route *rt)
{
	const struct conf_domain *d = rt->located.domain != NULL ? rt->located.domain : w->v->domains->dflt;

	if (rt->verdict.next == NEXT_PEER && rt->verdict.form != FORM_ROUTING && d != NULL && d->routing_domain.n > 0)
		return d->routing_domain;
	if (w->at.domain.n == 0)
		return d != NULL ? d->name : STR_NONE;
	return w->at.literal ? w->at.domain : domain_of(rt->rcpt);
}

static struct str hop_host(const struct route *rt)
{
	const struct conf_domain *d = rt->located.domain;

	if (rt->verdict.next == NEXT_INTERNAL && rt->located.found)
		return rt->located.record.local_host;
	if (rt->verdict.next == NEXT_DOMAIN_HOST && d != NULL && str_istarts(d->relay_to, S("host:")))
		return str_skip(d->relay_to, 5);
	return STR_NONE;
}

static bool dup_domain(struct work *w, struct str domain, struct str *out)
{
	struct buf name;

	buf_init(&name, 512);
	if (addr_normalize_domain(domain, &name))
		domain = buf_str(&name);
	bool good = arena_dup(w->arena, domain, out);
	buf_fini(&name);
	return good || no_memory(w);
}

static bool address_hop(struct work *w, struct route *rt)
{
	const struct rcpt_record *rec = &rt->located.record;

	if (rt->verdict.next == NEXT_NONE)
		return true;
	if (!arena_dup(w->arena, form_address(w, rt), &rt->rcpt) || !arena_dup(w->arena, hop_host(rt), &rt->hop_host))
		return no_memory(w);
	if (rt->verdict.next == NEXT_INTERNAL && rt->located.found && rec->loc == LOC_BOTH && w->q->origin != ENV_PEER)
		rt->copy_to = rec->routing;
	return dup_domain(w, hop_domain(w, rt), &rt->hop_domain);
}

bool routing_route(struct routing_view *v, const struct route_query *q, struct arena *arena, struct route *out,
		   struct route_trace *trace, struct err *e)
{
	struct work w = { .v = v, .q = q, .arena = arena, .e = e };
	struct route_facts *f = &out->facts;

	*out = (struct route){ 0 };
	gather(&w, f);
	if (!resolve(&w, out))
		return false;
	settle(out);
	f->routing_public = out->located.domain != NULL && out->located.domain->routing_public;
	f->moved_recently = moved_recently(&w, &out->located);
	route_decide(f, &out->verdict, trace);
	if (str_starts(str_c(out->verdict.reason), S("LOC-DISAGREE")) && disagreement_is_fresh(&w, out) &&
	    !f->moved_recently) {
		f->moved_recently = true;
		route_decide(f, &out->verdict, trace);
	}
	if (str_eq(str_c(out->verdict.rule), S("R41")) && loop_is_fresh(&w, out)) {
		f->loop_is_fresh = true;
		route_decide(f, &out->verdict, trace);
	}
	return address_hop(&w, out);
}
