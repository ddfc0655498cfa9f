/* routing/passage.c: from gateway to gateway until somebody delivers, refuses or it is a loop; see the header. */
#include "routing/passage.h"

#include "base/must.h"

struct walker {
	const struct passage_side *sides;
	struct passage *out;
	enum conf_site site;
	enum env_origin origin;
	bool internal, token, redirected, outside;
	bool primary; /* it left its own coexistence domain: the address is the mailbox's primary one now (route.c) */
};

enum rcpt_kind passage_mirror(enum rcpt_kind kind, enum conf_domain_type peer_type)
{
	switch (kind) {
	case KIND_LOCAL:
	case KIND_GROUP:
		return KIND_REMOTE;
	case KIND_REMOTE:
		return KIND_LOCAL;
	case KIND_ROUTING_SELF:
		return KIND_ROUTING_PEER;
	case KIND_ROUTING_PEER:
		return KIND_ROUTING_SELF;
	case KIND_UNK_AUTH:
	case KIND_UNK_RELAY_PEER:
		return peer_type == DOMAIN_INTERNAL_RELAY   ? KIND_UNK_RELAY_PEER
		       : peer_type == DOMAIN_EXTERNAL_RELAY ? KIND_UNK_RELAY_HOST
							    : KIND_UNK_AUTH;
	default:
		return kind; /* CONTACT, UNK_RELAY_HOST, EXTERNAL: the same for both */
	}
}

static void decide(const struct walker *w, struct verdict *v)
{
	const struct passage_side *side = &w->sides[w->site];
	struct route_facts f = side->facts;
	bool peer = w->origin == ENV_PEER;

	f.site = w->site;
	f.origin = w->origin;
	f.class = !peer ? ENV_CLASS_NONE : w->internal ? ENV_CLASS_INT : ENV_CLASS_EXT;
	f.org = peer ? ENV_ORG_OK : ENV_ORG_NONE;
	f.token_seen = side->makes_tokens && w->token && !w->redirected;
	f.redirected = w->redirected || side->follows;
	if (w->outside)
		f.kind = KIND_EXTERNAL;
	else if (w->primary && f.kind == KIND_ROUTING_PEER)
		f.kind = KIND_REMOTE;
	else if (w->primary && f.kind == KIND_ROUTING_SELF)
		f.kind = KIND_LOCAL;
	/* as in route.c: what this side's table redirects, this side sends; what the cloud redirects outside stays the
	 * peer's */
	if (side->follows && !w->outside &&
	    (f.origin == ENV_INTERNET || f.origin == ENV_PARTNER ||
	     (peer && !(f.site == SITE_CLOUD && f.kind == KIND_EXTERNAL)))) {
		f.origin = ENV_SELF;
		f.token_seen = false;
	}
	route_decide(&f, v, NULL);
}

static void go_to_peer(struct walker *w, enum route_form form)
{
	enum conf_site there = w->site == SITE_CLOUD ? SITE_ONPREM : SITE_CLOUD;
	bool stranger = !w->sides[there].knows_peer;

	w->token = w->token || w->sides[w->site].makes_tokens;
	if (w->origin == ENV_INTERNET || stranger)
		w->internal = false;
	w->primary = form != FORM_ROUTING && (w->primary || w->sides[w->site].facts.kind == KIND_ROUTING_SELF);
	w->site = there;
	w->origin = stranger ? ENV_INTERNET : ENV_PEER;
	w->redirected = false;
}

/* One gateway; true while the message goes on. */
static bool pass(struct walker *w)
{
	struct passage_step *step = &w->out->steps[w->out->n++];
	struct verdict *v = &step->verdict;

	*step = (struct passage_step){ .site = w->site };
	decide(w, v);
	if (v->action == ROUTE_REJECT || v->action == ROUTE_DEFER) {
		w->out->end = v->action == ROUTE_REJECT ? PASSAGE_REJECTED : PASSAGE_DEFERRED;
		return false;
	}
	if (v->action == ROUTE_DELIVER && w->sides[w->site].forwards) {
		step->forwarded = w->outside = w->redirected = true;
		return true;
	}
	if (v->next == NEXT_PEER) {
		go_to_peer(w, v->form);
		return true;
	}
	w->out->end = v->action == ROUTE_DELIVER ? PASSAGE_DELIVERED : PASSAGE_SENT;
	return false;
}

void passage_rcpt(const struct passage_side sides[2], const struct passage_start *start, struct passage *out)
{
	struct walker w = {
		.sides = sides, .out = out, .site = start->site, .origin = start->origin, .internal = start->internal
	};

	must(start->site == SITE_ONPREM || start->site == SITE_CLOUD);
	out->n = 0;
	out->end = PASSAGE_HOPS;
	while (out->n < PASSAGE_STEPS_MAX && pass(&w))
		;
}
