/* connectors/select.c: which way out (spec 3.6).  Pure; every connector that was looked at leaves its reason.
 *
 * Order: most specific address space, lowest cost, lowest name.  A connector marked exclusive owns its spaces: when it
 * is disabled the mail waits, when the mail is too big for it the mail is refused; it never falls through to a wider
 * space, where it might leave in clear text.  exchange_policy gives the documented behaviour, which does fall through.
 */
#include "connectors/connectors.h"
#include "connectors/reason.h"

#include "base/must.h"

#include <stdio.h>

enum { /* specificity; a sub-domain space adds its labels */
       SPEC_NONE = 0,
       SPEC_ANY = 1,
       SPEC_PEER = 2,  /* leads to the other side whatever the domain */
       SPEC_LOCAL = 2, /* @local */
       SPEC_SUB = 16,
       SPEC_EXACT = 1 << 16,
};

struct fit {
	unsigned spec, cost;
	const char *why; /* spec == NONE: why not */
};

static unsigned space_spec(const struct conf_space *s, struct str domain)
{
	unsigned n = SPEC_SUB;

	if (s->local || s->peer)
		return SPEC_NONE;
	if (s->any)
		return SPEC_ANY;
	if (!s->sub)
		return str_ieq(s->domain, domain) ? SPEC_EXACT : SPEC_NONE;
	/* "*.d" covers d and everything below */
	if (!str_ieq(s->domain, domain) &&
	    !(domain.n > s->domain.n && str_iends(domain, s->domain) && domain.p[domain.n - s->domain.n - 1] == '.'))
		return SPEC_NONE;
	for (size_t i = 0; i < s->domain.n; i++)
		n += s->domain.p[i] == '.';
	return n;
}

static void keep_better(struct fit *f, unsigned spec, unsigned cost)
{
	if (spec > f->spec || (spec == f->spec && cost < f->cost)) {
		f->spec = spec;
		f->cost = cost;
	}
}

/* The best space of one connector for a domain; `any` tells whether "*" counts for this next hop. */
static struct fit fit_domain(const struct conf_send *s, struct str domain, bool any)
{
	struct fit f = { .cost = UINT32_MAX, .why = "no address space matches" };

	for (size_t i = 0; i < s->space_n && domain.n > 0; i++) {
		unsigned spec = space_spec(&s->spaces[i], domain);
		if (spec != SPEC_NONE && (spec != SPEC_ANY || any))
			keep_better(&f, spec, s->spaces[i].cost);
	}
	return f;
}

static struct fit fit_special(const struct conf_send *s, struct fit f, bool local)
{
	for (size_t i = 0; i < s->space_n; i++)
		if (local ? s->spaces[i].local : s->spaces[i].peer)
			keep_better(&f, local ? SPEC_LOCAL : SPEC_PEER, s->spaces[i].cost);
	return f;
}

static struct fit fit_peer(const struct conf_send *s, const struct select_query *q)
{
	struct fit f = fit_domain(s, q->domain, s->peer);

	f = fit_special(s, f, false);
	if (f.spec == SPEC_NONE && s->peer) /* leads there, whatever its spaces say */
		f = (struct fit){ .spec = SPEC_ANY, .cost = 100 };
	if (f.spec == SPEC_NONE)
		f.why = "does not lead to the other side";
	return f;
}

static struct fit fit_send(const struct conf_send *s, const struct select_query *q)
{
	struct fit f = { .why = NULL };

	if (q->named.n > 0)
		return str_eq(s->name, q->named) ? (struct fit){ .spec = SPEC_EXACT }
						 : (struct fit){ .why = "another connector is named by policy" };
	if (s->scoped)
		return (struct fit){ .why = "scoped: only a policy may name it" };
	switch (q->next) {
	case NEXT_INTERNAL:
		f = fit_special(s, s->peer ? (struct fit){ .cost = UINT32_MAX } : fit_domain(s, q->domain, false),
				true);
		f.why = "no @local space and no space of this domain";
		return f;
	case NEXT_PEER:
		return fit_peer(s, q);
	case NEXT_SMARTHOST:
		if (s->smarthosts.n == 0)
			return (struct fit){ .why = "routes by DNS, a smart host is asked for" };
		/* fall through */
	default:
		/* a "*" towards the other side is for mail meant for it: here it would be a loop */
		f = fit_domain(s, q->domain, !s->peer);
		return f;
	}
}

static void tell(struct selection *out, const struct conf_send *s, const char *why)
{
	if (out->step_n < sizeof out->steps / sizeof out->steps[0])
		out->steps[out->step_n++] = (struct select_step){ s, why };
}

static bool too_big(const struct conf_send *s, uint64_t size)
{
	return s->max_size != 0 && size > s->max_size;
}

static const char *unusable(const struct conf_send *s, const struct select_query *q)
{
	return !s->enabled ? "disabled" : too_big(s, q->size) ? "too small for this message" : NULL;
}

static bool is_before(const struct conf_send *a, struct fit fa, const struct conf_send *b, struct fit fb)
{
	if (b == NULL || fa.spec != fb.spec)
		return b == NULL || fa.spec > fb.spec;
	return fa.cost != fb.cost ? fa.cost < fb.cost : str_cmp(a->name, b->name) < 0;
}

static void end(struct selection *out, enum select_result result, const struct conf_send *owner, struct reply r)
{
	out->result = result;
	out->send = owner;
	out->reply = r;
}

/* One level of specificity: the best usable connector, or the exclusive one that forbids looking further. */
struct level {
	const struct conf_send *best, *disabled_owner, *small_owner;
	struct fit fit;
};

static struct level look_at(const struct config *c, const struct select_query *q, unsigned spec, struct selection *out)
{
	struct level l = { 0 };

	for (size_t i = 0; i < c->send_n; i++) {
		const struct conf_send *s = &c->sends[i];
		struct fit f = fit_send(s, q);
		const char *why = unusable(s, q);
		if (f.spec != spec)
			continue;
		if (why == NULL && is_before(s, f, l.best, l.fit)) {
			if (l.best != NULL)
				tell(out, l.best, l.fit.cost != f.cost ? "higher cost" : "same cost, later name");
			l.best = s;
			l.fit = f;
		} else {
			tell(out, s,
			     why != NULL            ? why
			     : f.cost != l.fit.cost ? "higher cost"
						    : "same cost, later name");
		}
		if (why != NULL && s->exclusive && !q->exchange_policy) {
			if (!s->enabled && !too_big(s, q->size))
				l.disabled_owner = s;
			else
				l.small_owner = s;
		}
	}
	return l;
}

/* The next lower specificity that any connector has; 0 when there is none.  Says why the rest is out, the first time.
 */
static unsigned next_spec(const struct config *c, const struct select_query *q, unsigned below, struct selection *out)
{
	unsigned best = SPEC_NONE;

	for (size_t i = 0; i < c->send_n; i++) {
		struct fit f = fit_send(&c->sends[i], q);
		if (f.spec < below && f.spec > best)
			best = f.spec;
		if (f.spec == SPEC_NONE && below == UINT32_MAX)
			tell(out, &c->sends[i], f.why);
	}
	return best;
}

static void tell_less_specific(const struct config *c, const struct select_query *q, unsigned below,
			       struct selection *out)
{
	for (size_t i = 0; i < c->send_n; i++) {
		struct fit f = fit_send(&c->sends[i], q);
		if (f.spec != SPEC_NONE && f.spec < below)
			tell(out, &c->sends[i], "less specific space");
	}
}

void select_send(const struct config *c, const struct select_query *q, struct selection *out)
{
	const struct conf_send *small = NULL;
	bool small_only = true;
	unsigned spec = UINT32_MAX;

	out->step_n = 0;
	while ((spec = next_spec(c, q, spec, out)) != SPEC_NONE) {
		struct level l = look_at(c, q, spec, out);
		if (l.best != NULL) {
			tell(out, l.best, "chosen");
			tell_less_specific(c, q, spec, out);
			end(out, SELECT_OK, l.best, (struct reply){ 0 });
			return;
		}
		if (l.disabled_owner != NULL) {
			end(out, SELECT_HOLD, l.disabled_owner,
			    reason_reply(REASON_WAY_DISABLED, c->status_codes, c->site));
			return;
		}
		if (l.small_owner != NULL) {
			end(out, SELECT_REJECT, l.small_owner, reason_reply(REASON_WAY_SIZE, c->status_codes, c->site));
			return;
		}
		for (size_t i = 0; i < c->send_n; i++)
			if (fit_send(&c->sends[i], q).spec == spec) {
				small = too_big(&c->sends[i], q->size) ? &c->sends[i] : small;
				small_only = small_only && too_big(&c->sends[i], q->size);
			}
	}
	if (small != NULL && small_only)
		end(out, SELECT_REJECT, small, reason_reply(REASON_WAYS_SIZE, c->status_codes, c->site));
	else
		end(out, SELECT_HOLD, NULL, reason_reply(REASON_NO_WAY, c->status_codes, c->site));
}
