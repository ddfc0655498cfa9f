/* smtpd/beside_way.c: one recipient: decision, connector, addresses.
 *
 * A group of ours and a mailbox that forwards become the list of whom they lead to, each under the address by which the
 * next server knows it. */
#include "smtpd/beside.h"

#include "base/must.h"
#include "routing/walk.h"
#include "smtpd/policy.h"

static const struct addr_rules relaxed = { .smtputf8 = true, .relaxed = true };

struct finding {
	const struct beside *b;
	struct routing_view *view;
	const struct route_query *q;
	struct arena *arena;
	struct beside_way *out;
	struct err *e;
};

static bool no_memory(struct finding *f)
{
	err_set(f->e, ERR_TOO_BIG, "beside", "no memory left for a decision");
	return false;
}

static bool set_addresses(struct finding *f, struct str first, struct str second)
{
	struct str *to = arena_alloc(f->arena, 2 * sizeof *to);

	if (to == NULL)
		return no_memory(f);
	to[0] = first;
	to[1] = second;
	f->out->to = to;
	f->out->to_n = second.n > 0 ? 2 : 1;
	f->out->renamed = second.n > 0 || !str_eq(first, f->q->rcpt->whole);
	return true;
}

/* ---- members ---- */

/* The address of somebody the group leads to; as it stands when no mail goes there: the MTA reports it then. */
static bool member_address(struct finding *f, const struct walk_rcpt *m, struct str *out)
{
	struct route_query q = *f->q;
	struct route rt;
	struct addr a;

	*out = m->addr;
	if (addr_parse(m->addr, &relaxed, &a) != ADDR_OK)
		return arena_dup(f->arena, m->addr, out) || no_memory(f);
	q.rcpt = &a;
	q.redirected = true;
	q.followed = m->followed;
	q.generation = m->generation;
	if (!routing_route(f->view, &q, f->arena, &rt, NULL, f->e))
		return false;
	bool goes = rt.verdict.action == ROUTE_DELIVER || rt.verdict.action == ROUTE_RELAY;
	return arena_dup(f->arena, goes ? rt.rcpt : m->addr, out) || no_memory(f);
}

static bool take_members(struct finding *f, const struct walk_result *r)
{
	size_t own = f->out->to_n; /* of a mailbox that forwards */
	struct str *to = arena_alloc(f->arena, (own + r->rcpt_n + 1) * sizeof *to);

	if (to == NULL)
		return no_memory(f);
	for (size_t i = 0; i < own; i++)
		to[i] = f->out->to[i];
	for (size_t i = 0; i < r->rcpt_n; i++)
		if (!member_address(f, &r->rcpts[i], &to[own + i]))
			return false;
	f->out->to = to;
	f->out->to_n = own + r->rcpt_n;
	f->out->renamed = true;
	return true;
}

static bool expand(struct finding *f)
{
	const struct config *c = f->b->config;
	struct walk *w = walk_new(&(struct walk_options){ .total = BESIDE_MEMBERS_MAX,
							  .max_redirects = (unsigned)c->loop.max_redirects });
	enum walk_step step = WALK_MORE;
	bool ok = walk_root(w, f->view, f->q->rcpt->whole, f->q->generation, f->e);

	while (ok && step == WALK_MORE)
		step = walk_step(w, f->view, BESIDE_MEMBERS_MAX, f->e);
	struct walk_result r = walk_result(w);
	if (ok && step == WALK_DONE && r.rcpt_n > 0) {
		ok = take_members(f, &r);
	} else if (ok && step != WALK_FAILED && (step != WALK_DONE || f->out->to_n == 0)) {
		f->out->end = step == WALK_DONE ? BESIDE_DROPPED : BESIDE_REFUSED;
		f->out->reply =
			REPLY(451, 4, 3, 2, "this group is too large to be expanded beside another server (GROUP)");
	}
	walk_free(&w);
	return ok && step != WALK_FAILED;
}

/* ---- one recipient ---- */

static bool choose_way(struct finding *f, const struct route *rt)
{
	const struct select_query sq = { .domain = rt->hop_domain, .next = rt->verdict.next };
	struct beside_way *out = f->out;
	struct selection sel;

	out->hop_domain = rt->hop_domain;
	out->hop_host = rt->hop_host;
	if (rt->verdict.action == ROUTE_DELIVER && f->b->config->beside.own_mailboxes)
		return set_addresses(f, rt->rcpt, rt->copy_to);
	select_send(f->b->config, &sq, &sel);
	out->send = sel.result == SELECT_OK ? sel.send : NULL;
	out->end = sel.result == SELECT_OK ? BESIDE_GOES : sel.result == SELECT_HOLD ? BESIDE_HELD : BESIDE_REFUSED;
	out->reply = sel.reply;
	return (arena_dup(f->arena, sel.reply.text, &out->reply.text) || no_memory(f)) &&
	       set_addresses(f, rt->rcpt, rt->copy_to);
}

static bool refuse(struct finding *f, const struct verdict *v)
{
	char text[600];

	f->out->end = BESIDE_REFUSED;
	f->out->reply = v->reply;
	if (f->q->message.n == 0) /* of no message in particular */
		return true;
	policy_refusal(v, f->q->origin, f->q->message, text, sizeof text, &f->out->reply);
	return arena_dup(f->arena, f->out->reply.text, &f->out->reply.text) || no_memory(f);
}

bool beside_find(const struct beside *b, struct routing_view *v, const struct route_query *q, struct arena *a,
		 struct beside_way *out, struct err *e)
{
	struct finding f = { b, v, q, a, out, e };
	struct route rt;

	must(q->rcpt != NULL);
	*out = (struct beside_way){ .end = BESIDE_GOES, .mode = v->mode };
	if (!routing_route(v, q, a, &rt, NULL, e))
		return false;
	out->verdict = rt.verdict;
	switch (rt.verdict.action) {
	case ROUTE_DELIVER:
	case ROUTE_RELAY:
		if (!choose_way(&f, &rt))
			return false;
		return !rt.forwards || out->end != BESIDE_GOES || expand(&f);
	case ROUTE_EXPAND:
		return expand(&f);
	case ROUTE_DROP:
		out->end = BESIDE_DROPPED;
		return true;
	default:
		return refuse(&f, &rt.verdict);
	}
}
