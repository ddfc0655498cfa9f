/* smtpd/simulate.c: two walks for each recipient, and a table of how they differ.
 *
 * A million envelopes have few thousand recipients and a dozen ways through the gateways: what the table says of an
 * address is remembered, and equal differences are one finding with a number and a sample. */
#include "smtpd/simulate.h"

#include "base/must.h"
#include "connectors/track.h"

#include <stdlib.h>
#include <string.h>

enum { KNOWN_N = 1 << 18, FINDINGS_MAX = 8192, SLOTS = 1 << 14, VIEW_RCPTS = 50000, SAMPLE_MAX = 320 };

struct known {                  /* what the two tables say of an address */
	uint64_t hash;          /* 0 = free */
	unsigned char kinds[2]; /* by site */
	bool bad, disabled, auth_required, is_group, routing_public, redirect_loop, follows;
};

struct finding {
	struct sim_finding f;
	uint64_t hash;
	struct passage before, after;
	char from[SAMPLE_MAX], rcpt[SAMPLE_MAX], name[SAMPLE_MAX];
};

struct simulation {
	struct sim_options o;
	struct routing_view view;
	bool view_open;
	unsigned view_rcpts;
	struct mode now;
	struct passage_side base[2][2]; /* [0] in force, [1] asked; by site */
	struct known *known;
	struct finding **findings;
	size_t finding_n;
	uint32_t *slots; /* index + 1 by hash */
	struct arena arena;

	struct sim_envelope env;
	bool env_ours;    /* the sender's domain is */
	unsigned hops[2]; /* bit i: some recipient crosses between the sides at step i */
	struct sim_totals totals;
};

const char *sim_kind_name(enum sim_kind k)
{
	static const char *const names[] = { "changed path", "new refusal", "loop", "SPF", "old MX" };

	return names[k];
}

/* ---- the two sides ---- */

static const struct conf_inbound *peer_inbound(const struct config *c)
{
	for (size_t i = 0; i < c->inbound_n; i++)
		if (c->inbounds[i].type == INBOUND_PEER && c->inbounds[i].enabled)
			return &c->inbounds[i];
	return NULL;
}

static struct passage_side side_of(const struct config *c, enum conf_site site, const struct mode *m, bool grace_over)
{
	const struct conf_inbound *in = peer_inbound(c);

	return (struct passage_side){ .facts = { .site = site,
						 .mx = m->mx,
						 .cmt = m->cmt,
						 .grace_over = grace_over,
						 .stragglers = c->mode.stragglers,
						 .forwarded = c->mode.forwarded,
						 .egress = c->egress,
						 .codes = c->status_codes,
						 .return_internal = in != NULL && in->return_internal,
						 .peer_relay = in != NULL && in->peer_relay },
				      .knows_peer = in != NULL,
				      .makes_tokens = c->loop.token_key.n > 0 };
}

/* Without its configuration: a foreign system that recognises us and has the same policies. */
static struct passage_side foreign_side(const struct config *ours, enum conf_site site, const struct mode *m,
					bool grace_over)
{
	struct passage_side s = side_of(ours, site, m, grace_over);

	s.knows_peer = true;
	s.makes_tokens = s.facts.return_internal = s.facts.peer_relay = false;
	s.facts.stragglers = STRAGGLERS_TAG;
	return s;
}

static void make_sides(struct simulation *s)
{
	const struct config *c = s->o.ours;
	enum conf_site here = c->site, there = here == SITE_CLOUD ? SITE_ONPREM : SITE_CLOUD;

	for (int i = 0; i < 2; i++) {
		const struct mode *m = i == 0 ? &s->now : &s->o.asked;
		/* the asked mode is judged as it will be when its grace is over */
		bool grace_over = i == 1 || s->view.now_ms - m->since_ms > c->mode.grace_ms;
		s->base[i][here] = side_of(c, here, m, grace_over);
		s->base[i][there] = s->o.theirs != NULL ? side_of(s->o.theirs, there, m, grace_over)
							: foreign_side(c, there, m, grace_over);
	}
}

/* ---- what the tables say ---- */

static enum conf_domain_type type_there(const struct simulation *s, const struct conf_domain *d)
{
	const struct config *theirs = s->o.theirs;

	if (d == NULL)
		return DOMAIN_AUTHORITATIVE;
	for (size_t i = 0; theirs != NULL && i < theirs->domain_n; i++)
		if (str_ieq(theirs->domains[i].name, d->name))
			return theirs->domains[i].type;
	return d->peer_type;
}

static int locate(struct simulation *s, const struct addr *a, struct known *k, struct err *e)
{
	struct arena_mark mark = arena_mark(&s->arena);
	const struct route_query q = { .rcpt = a, .origin = ENV_INTERNET, .mode = &s->o.asked, .dry = true };
	struct route rt;
	enum conf_site here = s->o.ours->site, there = here == SITE_CLOUD ? SITE_ONPREM : SITE_CLOUD;

	if (!routing_route(&s->view, &q, &s->arena, &rt, NULL, e))
		return -1;
	k->kinds[here] = (unsigned char)rt.facts.kind;
	k->kinds[there] = (unsigned char)passage_mirror(rt.facts.kind, type_there(s, rt.located.domain));
	k->disabled = rt.facts.disabled;
	k->auth_required = rt.facts.auth_required;
	k->is_group = rt.facts.is_group;
	k->routing_public = rt.facts.routing_public;
	k->redirect_loop = rt.facts.redirect_loop;
	k->follows = rt.redirects > 0;
	arena_rewind(&s->arena, mark);
	return 0;
}

static int renew_view(struct simulation *s, struct err *e)
{
	if (s->view_open)
		routing_end(&s->view);
	s->view_open = routing_begin(s->o.routing, &s->view, e) == 0;
	s->view_rcpts = 0;
	return s->view_open ? 0 : -1;
}

/* NULL with err; ->bad: not an address. */
static const struct known *known_of(struct simulation *s, struct str rcpt, struct err *e)
{
	const struct addr_rules rules = { .smtputf8 = true, .relaxed = true };
	uint64_t hash = str_hash(rcpt, 0) | 1;
	struct known *k = &s->known[hash >> 40 & (KNOWN_N - 1)];
	struct addr a;

	if (k->hash == hash)
		return k;
	*k = (struct known){ .hash = 0 };
	if (addr_parse(rcpt, &rules, &a) != ADDR_OK)
		k->bad = true;
	else if ((++s->view_rcpts > VIEW_RCPTS && renew_view(s, e) != 0) || locate(s, &a, k, e) != 0)
		return NULL;
	k->hash = hash;
	return k;
}

/* The policies of a side with what is special about this recipient; what our table redirects, theirs does not know. */
static struct passage_side side_for(const struct simulation *s, int which, enum conf_site site, const struct known *k)
{
	struct passage_side side = s->base[which][site];
	bool ours = site == s->o.ours->site;

	side.facts.kind = k->kinds[site];
	side.facts.disabled = k->disabled;
	side.facts.auth_required = k->auth_required;
	side.facts.is_group = k->is_group;
	side.facts.routing_public = k->routing_public;
	side.facts.redirect_loop = ours && k->redirect_loop;
	side.follows = ours && k->follows;
	return side;
}

/* ---- where it starts ---- */

static enum conf_site mx_site(const struct mode *m)
{
	return m->mx == SIDE_CLOUD ? SITE_CLOUD : SITE_ONPREM;
}

/* A partner is known by a connector: at the side that has none for partners it is a sender like any other. */
static enum env_origin partner_at(const struct simulation *s, enum conf_site site)
{
	const struct config *c = site == s->o.ours->site ? s->o.ours : s->o.theirs;

	for (size_t i = 0; c != NULL && i < c->inbound_n; i++)
		if (c->inbounds[i].type == INBOUND_PARTNER && c->inbounds[i].enabled)
			return ENV_PARTNER;
	return ENV_INTERNET;
}

/* What the log calls PEER began on the other side: by one of its users (INT), or as Internet mail at its entrance. Mail
 * that came by the MX will come by the new one; what ignored the MX will go on doing so. */
static struct passage_start start_of(const struct simulation *s, const struct mode *m)
{
	const struct sim_envelope *env = &s->env;
	enum conf_site there = env->site == SITE_CLOUD ? SITE_ONPREM : SITE_CLOUD;

	if (env->origin == ENV_PEER && env->class == ENV_CLASS_INT)
		return (struct passage_start){ there, ENV_LOCAL, true };
	if (env->origin == ENV_PEER)
		return (struct passage_start){ mx_site(m), ENV_INTERNET, false };
	if (env->origin == ENV_INTERNET || env->origin == ENV_PARTNER) {
		enum conf_site site = env->site_was_mx ? mx_site(m) : env->site;
		bool moves = env->origin == ENV_PARTNER && site != env->site;
		return (struct passage_start){ site, moves ? partner_at(s, site) : env->origin, false };
	}
	return (struct passage_start){ env->site, env->origin, true };
}

static void walk(struct simulation *s, int which, const struct known *k, struct passage *out)
{
	const struct passage_start start = start_of(s, which == 0 ? &s->now : &s->o.asked);
	const struct passage_side sides[2] = { side_for(s, which, SITE_ONPREM, k), side_for(s, which, SITE_CLOUD, k) };

	passage_rcpt(sides, &start, out);
	for (size_t i = 0; i + 1 < out->n; i++)
		if (out->steps[i].site != out->steps[i + 1].site)
			s->hops[which] |= 1U << i;
}

/* ---- findings ---- */

static uint64_t walk_hash(const struct passage *w, uint64_t seed)
{
	struct {
		const char *rule;
		unsigned site, next;
	} words[PASSAGE_STEPS_MAX + 1];

	memset(words, 0, sizeof words); /* padding counts */
	for (size_t i = 0; i < w->n; i++) {
		words[i].rule = w->steps[i].verdict.rule;
		words[i].site = w->steps[i].site;
		words[i].next = w->steps[i].verdict.next;
	}
	words[w->n].site = w->end;
	return str_hash(str_n(words, (w->n + 1) * sizeof words[0]), seed);
}

static struct finding *finding_at(struct simulation *s, uint64_t hash)
{
	size_t i = hash & (SLOTS - 1);

	for (; s->slots[i] != 0; i = (i + 1) & (SLOTS - 1))
		if (s->findings[s->slots[i] - 1]->hash == hash)
			return s->findings[s->slots[i] - 1];
	if (s->finding_n == FINDINGS_MAX)
		return NULL;
	struct finding *f = calloc(1, sizeof *f);
	must(f != NULL);
	f->hash = hash;
	s->findings[s->finding_n++] = f;
	s->slots[i] = (uint32_t)s->finding_n;
	return f;
}

static struct str keep(char room[SAMPLE_MAX], struct str s)
{
	snprintf(room, SAMPLE_MAX, STR_FMT, STR_ARG(s));
	return str_c(room);
}

static void found(struct simulation *s, enum sim_kind kind, uint64_t hash, struct str rcpt, struct str name,
		  const struct passage *before, const struct passage *after)
{
	struct finding *f = finding_at(s, str_hash(name, hash * SIM_KIND_N + kind));

	s->totals.found[kind]++;
	if (f == NULL) {
		s->totals.untold++;
		return;
	}
	if (f->f.recipients == 0) {
		f->f = (struct sim_finding){ .kind = kind, .origin = s->env.origin };
		f->f.from = keep(f->from, s->env.from);
		f->f.rcpt = keep(f->rcpt, rcpt);
		f->f.name = keep(f->name, name);
		if (before != NULL) {
			f->before = *before;
			f->after = *after;
			f->f.before = &f->before;
			f->f.after = &f->after;
			f->f.egress = after->steps[after->n - 1].site;
		}
	}
	f->f.recipients++;
	f->f.bytes += s->env.size;
}

static bool is_loop(const struct passage *w)
{
	const char *reason = w->steps[w->n - 1].verdict.reason;

	return w->end == PASSAGE_HOPS || str_starts(str_c(reason), S("LOOP-")) || str_starts(str_c(reason), S("LOC-"));
}

static bool is_refused(const struct passage *w)
{
	return w->end == PASSAGE_REJECTED || w->end == PASSAGE_DEFERRED || w->end == PASSAGE_HOPS;
}

/* Mail of one of our domains that would leave from another side: the addresses there must be in its SPF record. */
static bool leaves_elsewhere(const struct simulation *s, const struct passage *before, const struct passage *after)
{
	return s->env_ours && after->end == PASSAGE_SENT &&
	       (before->end != PASSAGE_SENT || before->steps[before->n - 1].site != after->steps[after->n - 1].site);
}

static struct str domain_of(struct str address)
{
	return str_skip(address, (size_t)(str_rchr(address, '@') + 1));
}

static void compare(struct simulation *s, struct str rcpt, const struct passage *before, const struct passage *after)
{
	uint64_t was = walk_hash(before, s->env.origin), hash = walk_hash(after, was);

	if (was == walk_hash(after, s->env.origin))
		return;
	found(s, SIM_CHANGED, hash, rcpt, STR_NONE, before, after);
	if (is_loop(after) && !is_loop(before))
		found(s, SIM_LOOP, hash, rcpt, STR_NONE, before, after);
	else if (is_refused(after) && !is_refused(before))
		found(s, SIM_REJECTED, hash, rcpt, STR_NONE, before, after);
	if (leaves_elsewhere(s, before, after)) {
		uint64_t side = 1 + (uint64_t)after->steps[after->n - 1].site;
		found(s, SIM_SPF, side, rcpt, domain_of(s->env.from), before, after);
	}
}

/* ---- envelopes ---- */

static void end_envelope(struct simulation *s)
{
	s->totals.link_before += (uint64_t)__builtin_popcount(s->hops[0]) * s->env.size;
	s->totals.link_after += (uint64_t)__builtin_popcount(s->hops[1]) * s->env.size;
	s->hops[0] = s->hops[1] = 0;
}

void sim_envelope(struct simulation *s, const struct sim_envelope *env)
{
	end_envelope(s);
	s->env = *env;
	s->env_ours = env->from.n > 0 && routing_is_our_domain(&s->view, domain_of(env->from));
	s->totals.envelopes++;
	if (env->origin == ENV_INTERNET && !env->site_was_mx)
		found(s, SIM_OLD_MX, 0, STR_NONE, env->client, NULL, NULL);
}

int sim_rcpt(struct simulation *s, struct str rcpt, struct err *e)
{
	const struct known *k = known_of(s, rcpt, e);
	struct passage before, after;

	if (k == NULL)
		return -1;
	s->totals.recipients++;
	if (k->bad) {
		s->totals.bad_addresses++;
		return 0;
	}
	walk(s, 0, k, &before);
	walk(s, 1, k, &after);
	compare(s, rcpt, &before, &after);
	return 0;
}

/* ---- the result ---- */

void sim_totals(const struct simulation *s, struct sim_totals *out)
{
	*out = s->totals;
	out->now = s->now;
	out->asked = s->o.asked;
	out->link_before += (uint64_t)__builtin_popcount(s->hops[0]) * s->env.size; /* of the one still open */
	out->link_after += (uint64_t)__builtin_popcount(s->hops[1]) * s->env.size;
}

static int compare_findings(const void *a, const void *b)
{
	const struct sim_finding *x = &(*(struct finding *const *)a)->f, *y = &(*(struct finding *const *)b)->f;

	if (x->kind != y->kind)
		return (int)x->kind - (int)y->kind;
	return (x->recipients < y->recipients) - (x->recipients > y->recipients);
}

void sim_each(const struct simulation *s, void (*each)(void *arg, const struct sim_finding *f), void *arg)
{
	struct finding **sorted = calloc(s->finding_n + 1, sizeof(struct finding *));

	must(sorted != NULL);
	for (size_t i = 0; i < s->finding_n; i++)
		sorted[i] = s->findings[i];
	qsort(sorted, s->finding_n, sizeof(struct finding *), compare_findings);
	for (size_t i = 0; i < s->finding_n; i++)
		each(arg, &sorted[i]->f);
	free(sorted);
}

void sim_put_walk(struct buf *b, enum env_origin origin, const struct passage *w)
{
	static const char *const ends[] = { "DELIVERED", "SENT", "REJECT", "DEFER", "LOOP" };

	buf_add(b, str_c(track_origin_name(origin)));
	for (size_t i = 0; i < w->n; i++) {
		const struct verdict *v = &w->steps[i].verdict;
		buf_addf(b, " %s[%s %s", conf_site_name(w->steps[i].site), v->rule, v->reason);
		if (v->next != NEXT_NONE && v->next != NEXT_INTERNAL)
			buf_addf(b, " ->%s", route_next_name(v->next));
		buf_addc(b, ']');
	}
	buf_addf(b, " = %s", ends[w->end]);
}

struct simulation *sim_open(const struct sim_options *o, struct err *e)
{
	struct simulation *s = calloc(1, sizeof *s);

	must(s != NULL);
	s->o = *o;
	if (renew_view(s, e) != 0) {
		free(s);
		return NULL;
	}
	s->now = s->view.mode;
	s->known = calloc(KNOWN_N, sizeof *s->known);
	s->findings = calloc(FINDINGS_MAX, sizeof(struct finding *));
	s->slots = calloc(SLOTS, sizeof *s->slots);
	must(s->known != NULL && s->findings != NULL && s->slots != NULL);
	arena_init(&s->arena, 256 * 1024);
	make_sides(s);
	return s;
}

void sim_close(struct simulation **sp)
{
	struct simulation *s = *sp;

	if (s == NULL)
		return;
	if (s->view_open)
		routing_end(&s->view);
	for (size_t i = 0; i < s->finding_n; i++)
		free(s->findings[i]);
	free(s->findings);
	free(s->slots);
	free(s->known);
	arena_fini(&s->arena);
	free(s);
	*sp = NULL;
}
