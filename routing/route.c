/* routing/route.c: locate + decide + address form, for the session, the delivery and `route explain` alike.
 *
 * The facts are gathered here from the view, the query and the configuration; the verdict is decide's alone. */
#include "routing/recipient.h"

#include "base/must.h"
#include "routing/sender.h"

#include <stdio.h>

struct work {
	struct routing_view *v;
	const struct route_query *q;
	struct arena *arena;
	struct err *e;
	struct addr at;    /* the address reached so far */
	struct str sender; /* in normal form; empty for reports */
	unsigned followed; /* redirections, by this call */
	bool reversed;     /* an SRS address of ours: the mail is ours to pass on */
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

static struct str domain_of(struct str address)
{
	return str_skip(address, (size_t)(str_rchr(address, '@') + 1));
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

/* ---- restrictions (spec 2.6) ---- */

static bool is_authenticated(const struct route_query *q)
{
	return q->origin == ENV_LOCAL || q->origin == ENV_APP || q->origin == ENV_SELF ||
	       (q->origin == ENV_PEER && q->class == ENV_CLASS_INT);
}

/* An address of ours in MAIL FROM proves nothing when a stranger says it. */
static bool is_allowed(const struct work *w, struct str list)
{
	return sender_is_in(list, w->sender) &&
	       (is_authenticated(w->q) || !routing_is_our_domain(w->v, domain_of(w->sender)));
}

static bool is_denied(const struct work *w, const struct rcpt_record *rec)
{
	bool of_system = w->sender.n == 0 || str_istarts(w->sender, S("postmaster@"));

	if (of_system && is_authenticated(w->q))
		return false;
	return sender_is_in(rec->deny, w->sender) || (rec->allow.n > 0 && !is_allowed(w, rec->allow));
}

/* Whoever is reached by our own expansion was judged as the group was: by the first gateway, at RCPT. */
static void judge_sender(struct work *w, const struct located *l, struct route_facts *f)
{
	if (!l->found || w->q->generation > 0)
		return;
	f->unproved = !is_authenticated(w->q);
	f->auth_required |= l->record.require_auth && !l->record.external_ok;
	f->is_contact |= l->record.loc == LOC_CONTACT;
	f->sender_denied |= is_denied(w, &l->record);
}

/* ---- following ---- */

bool route_expands_here(const struct located *l)
{
	return l->kind == KIND_GROUP && l->record.expand_at == EXPAND_HERE;
}

static bool may_follow(const struct work *w, const struct route *out)
{
	return out->redirects < (unsigned)w->v->domains->loop.max_redirects;
}

/* An SRS address of ours stands for the sender of what we forwarded (spec 2.6): the report goes on to it.  One that is
 * not ours, or too old, is nobody's. */
static bool reverse_srs(struct work *w, const struct domain_entry *d, bool *changed)
{
	static const struct addr_rules rules = { .smtputf8 = true, .relaxed = true };
	int64_t now_ms = w->q->arrived_ms > 0 ? w->q->arrived_ms : w->v->now_ms;
	struct str original = STR_NONE;
	struct buf b;
	bool kept = true;

	buf_init(&b, 2048);
	*changed = w->q->srs != NULL && srs_reverse(w->q->srs, &w->at, d->name, now_ms, &b) == SRS_OK;
	if (*changed)
		kept = arena_dup(w->arena, buf_str(&b), &original) && addr_parse(original, &rules, &w->at) == ADDR_OK;
	w->reversed |= *changed;
	buf_fini(&b);
	return kept || no_memory(w);
}

static const struct domain_entry *bounce_domain(const struct work *w)
{
	const struct domain_entry *d = NULL;
	struct buf name;

	if (w->reversed || !srs_is(&w->at))
		return NULL;
	buf_init(&name, 512);
	if (addr_normalize_domain(w->at.domain, &name))
		d = domain_find(w->v->domains, buf_str(&name));
	buf_fini(&name);
	return d != NULL && d->bounce ? d : NULL;
}

/* Locates the recipient and follows contacts and redirections, one address to one address. */
static bool resolve(struct work *w, struct route *out)
{
	static const struct addr_rules rules = { .smtputf8 = true, .relaxed = true };
	struct addr next;

	w->at = *w->q->rcpt;
	out->redirects = w->q->generation;
	out->facts.redirect_loop = out->redirects > (unsigned)w->v->domains->loop.max_redirects;
	for (;;) {
		struct located *l = &out->located;
		const struct domain_entry *bounce = bounce_domain(w);
		bool changed = false;
		if (bounce != NULL && !reverse_srs(w, bounce, &changed))
			return false;
		if (!routing_locate(w->v, &w->at, w->arena, l, w->e))
			return false;
		if (w->followed == 0 && w->q->token != NULL && is_named(w, l)) {
			out->facts.token_seen = true;
			out->facts.our_expansion = w->q->token->generation > 0;
		}
		judge_sender(w, l, &out->facts);
		out->facts.is_group |= l->kind == KIND_GROUP;
		out->facts.redirect_loop |= route_expands_here(l) && !may_follow(w, out);
		if (l->kind != KIND_CONTACT || addr_parse(target_of(l), &rules, &next) != ADDR_OK)
			return true;
		if (!may_follow(w, out)) {
			out->facts.redirect_loop = true;
			return true;
		}
		out->redirects++;
		w->followed++;
		w->at = next;
	}
}

static enum rcpt_kind kind_of_group(const struct route_facts *f, const struct rcpt_record *rec)
{
	switch (rec->expand_at) {
	case EXPAND_HERE:
		return KIND_GROUP;
	case EXPAND_ONPREM:
		return f->site == SITE_ONPREM ? KIND_LOCAL : KIND_REMOTE;
	case EXPAND_CLOUD:
		return f->site == SITE_CLOUD ? KIND_LOCAL : KIND_REMOTE;
	case EXPAND_HOME:
		break;
	}
	return rec->routing.n > 0 ? KIND_REMOTE : KIND_LOCAL;
}

/* A group is relayed to its home; what this side's table redirects or expands, this side sends (else R50 would refuse
 * strangers' mail to a contact, R45 a cloud group's member on-prem).  Only what the cloud redirects outside stays the
 * peer's: R56 wants to know.  A recipient under a token of our expansion came back and is the peer's too (R41). */
static void settle(const struct work *w, struct route *out)
{
	struct route_facts *f = &out->facts;
	struct located *l = &out->located;

	f->kind = l->kind;
	if (l->kind == KIND_GROUP)
		f->kind = kind_of_group(f, &l->record);
	f->expand_here = route_expands_here(l);
	f->disabled = l->found && l->record.loc == LOC_DISABLED;
	if (w->followed > 0)
		f->token_seen = false; /* the token names the recipient as received */
	f->our_expansion |= f->token_seen && w->q->generation > 0;
	if (w->reversed)
		f->origin = ENV_SELF;
	if (out->redirects == 0 || f->our_expansion)
		return;
	f->redirected = true;
	f->org = ENV_ORG_OK; /* the redirection is ours, whoever wrote the mail (R52) */
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

/* An address in our own coexistence domain is one of the other side's routing domain: sent back as it came, it would be
 * taken for a loop at once (R15).  The other side knows the primary one (spec 4.4.5). */
static bool leaves_own_routing(const struct route *rt)
{
	const struct conf_domain *d = rt->located.domain;

	return rt->verdict.next == NEXT_PEER && rt->verdict.form == FORM_AS_RECEIVED && rt->located.found &&
	       d != NULL && d->own_routing;
}

/* A mailbox here that forwards and keeps its copy: not yet when central transport sends the message to the other side
 * first (R20); it comes back, and would be forwarded twice. */
static bool forwards_now(const struct work *w, const struct route *rt)
{
	const struct rcpt_record *rec = &rt->located.record;
	bool here = rt->facts.kind == KIND_LOCAL || rt->facts.kind == KIND_ROUTING_SELF;

	return rt->located.found && rec->keep_copy && rec->redirect.n > 0 && !w->q->followed &&
	       !(here && rt->verdict.next == NEXT_PEER);
}

static bool address_hop(struct work *w, struct route *rt)
{
	const struct rcpt_record *rec = &rt->located.record;

	if (rt->verdict.next == NEXT_NONE)
		return true;
	if (leaves_own_routing(rt))
		rt->verdict.form = FORM_PRIMARY;
	if (!arena_dup(w->arena, form_address(w, rt), &rt->rcpt) || !arena_dup(w->arena, hop_host(rt), &rt->hop_host))
		return no_memory(w);
	if (rt->verdict.next == NEXT_INTERNAL && rt->located.found && rec->loc == LOC_BOTH &&
	    (w->q->origin != ENV_PEER || w->q->generation > 0))
		rt->copy_to = rec->routing;
	rt->forwards = forwards_now(w, rt);
	return dup_domain(w, hop_domain(w, rt), &rt->hop_domain);
}

bool routing_route(struct routing_view *v, const struct route_query *q, struct arena *arena, struct route *out,
		   struct route_trace *trace, struct err *e)
{
	struct work w = { .v = v, .q = q, .arena = arena, .e = e };
	struct route_facts *f = &out->facts;
	struct buf sender;

	*out = (struct route){ 0 };
	gather(&w, f);
	buf_init(&sender, 1024);
	w.sender = domain_normalize(v->domains, q->sender, &sender) ? buf_str(&sender) : q->sender;
	bool found = resolve(&w, out);
	w.sender = STR_NONE;
	buf_fini(&sender);
	if (!found)
		return false;
	settle(&w, out);
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

bool routing_sender_for(struct routing_view *v, const struct token_keys *keys, struct str srs_domain, struct str from,
			struct arena *arena, struct str *out, enum srs_result *why)
{
	static const struct addr_rules rules = { .smtputf8 = true, .relaxed = true };
	struct addr a;
	struct buf b;
	bool kept = true;

	*out = from;
	*why = SRS_NONE;
	if (srs_domain.n == 0 || keys->n == 0 || from.n == 0 || addr_parse(from, &rules, &a) != ADDR_OK || a.literal ||
	    a.domain.n == 0 || routing_is_our_domain(v, a.domain))
		return true;
	buf_init(&b, 2048);
	*why = srs_forward(keys, &a, srs_domain, v->now_ms, &b);
	if (*why == SRS_OK)
		kept = arena_dup(arena, buf_str(&b), out);
	buf_fini(&b);
	return kept;
}
