/* tests/bed/walk.c: the model; see the header. */
#include "tests/bed/walk.h"

static const struct walk_scenario scenarios[] = {
	{ .id = "P01", FROM_INTERNET, ON_PREM },
	{ .id = "P02", FROM_INTERNET, IN_CLOUD },
	{ .id = "P04", FROM_INTERNET, NOWHERE },
	{ .id = "P05", FROM_ONPREM, ON_PREM },
	{ .id = "P06", FROM_ONPREM, IN_CLOUD },
	{ .id = "P07", FROM_ONPREM, OUTSIDE },
	{ .id = "P08", FROM_CLOUD, IN_CLOUD },
	{ .id = "P09", FROM_CLOUD, ON_PREM },
	{ .id = "P10", FROM_CLOUD, OUTSIDE },
	{ .id = "P11", FROM_ONPREM, IN_CLOUD, .forwards = true },
	{ .id = "P11x", FROM_ONPREM, IN_CLOUD, .forwards = true, .forwards_direct = true },
	{ .id = "P17", FROM_INTERNET, OUTSIDE },
	{ .id = "P18a", FROM_INTERNET, IN_CLOUD, AT_ONPREM },
	{ .id = "P18b", FROM_INTERNET, ON_PREM, AT_CLOUD },
	{ .id = "P18c", FROM_INTERNET, IN_CLOUD, AT_CLOUD },
	{ .id = "F01", FROM_ONPREM, IN_CLOUD, .not_attributed = true },
	{ .id = "F02", FROM_ONPREM, IN_CLOUD, .not_attributed = true, .no_token = true },
	{ .id = "F03", FROM_INTERNET, ON_PREM, .onprem_wrong = true },
	{ .id = "F04", FROM_INTERNET, IN_CLOUD, .cloud_wrong = true },
	{ .id = "F05", FROM_INTERNET, IN_CLOUD, .cloud_wrong = true, .no_token = true },
};

struct message {
	const struct walk_scenario *s;
	struct mode mode;
	enum conf_site site; /* the gateway it is at */
	enum env_origin origin;
	bool internal; /* what a PEER hop is told */
	bool token, redirected;
	enum walk_place place;
	struct buf *trail, *result;
};

static enum rcpt_kind kind_at(const struct message *m)
{
	bool at_cloud = m->site == SITE_CLOUD, wrong = at_cloud ? m->s->cloud_wrong : m->s->onprem_wrong;

	if (m->place == NOWHERE)
		return KIND_UNK_AUTH;
	if (m->place == OUTSIDE)
		return KIND_EXTERNAL;
	return (m->place == IN_CLOUD) == at_cloud && !wrong ? KIND_LOCAL : KIND_REMOTE;
}

static void decide(const struct message *m, struct verdict *v)
{
	const struct route_facts f = {
		.site = m->site,
		.mx = m->mode.mx,
		.cmt = m->mode.cmt,
		.origin = m->origin,
		.kind = kind_at(m),
		.class = m->origin != ENV_PEER ? ENV_CLASS_NONE
			 : m->internal         ? ENV_CLASS_INT
					       : ENV_CLASS_EXT,
		.org = m->origin == ENV_PEER ? ENV_ORG_OK : ENV_ORG_NONE,
		.token_seen = m->site == SITE_ONPREM && m->token && !m->redirected,
		.redirected = m->redirected,
		.forwarded = m->s->forwards_direct ? FORWARDED_DIRECT : FORWARDED_RETURN,
		.codes = CODES_EXCHANGE,
	};

	route_decide(&f, v, NULL);
}

static void put_code(struct buf *b, const struct reply *r)
{
	buf_addf(b, "%d %u.%u.%u", r->code, r->class, r->subject, r->detail);
}

static void put_gateway(const struct message *m, const struct verdict *v)
{
	buf_addf(m->trail, " %s[%s%s ", m->site == SITE_CLOUD ? "cloud" : "onprem", v->rule,
		 v->straggler ? "+straggler" : "");
	if (v->action == ROUTE_DELIVER)
		buf_add(m->trail, S("deliver"));
	else if (v->action == ROUTE_RELAY)
		buf_addf(m->trail, "->%s", route_next_name(v->next));
	else
		put_code(m->trail, &v->reply);
	buf_addc(m->trail, ']');
}

static void go_to_peer(struct message *m)
{
	if (m->site == SITE_ONPREM && !m->s->no_token)
		m->token = true;
	bool stranger = m->site == SITE_ONPREM && m->s->not_attributed;
	if (m->origin == ENV_INTERNET || stranger)
		m->internal = false;
	m->site = m->site == SITE_CLOUD ? SITE_ONPREM : SITE_CLOUD;
	m->origin = stranger ? ENV_INTERNET : ENV_PEER;
	m->redirected = false;
}

/* One gateway; true while the message goes on. */
static bool pass(struct message *m)
{
	struct verdict v;

	decide(m, &v);
	put_gateway(m, &v);
	if (v.action == ROUTE_REJECT || v.action == ROUTE_DEFER) {
		buf_addf(m->result, "%s ", route_action_name(v.action));
		put_code(m->result, &v.reply);
		return false;
	}
	if (v.action == ROUTE_DELIVER && m->s->forwards) {
		buf_add(m->trail, S("+forward"));
		m->place = OUTSIDE;
		m->redirected = true;
		return true;
	}
	if (v.next == NEXT_PEER) {
		go_to_peer(m);
		return true;
	}
	if (v.action == ROUTE_RELAY)
		buf_add(m->trail, S(" Internet"));
	buf_add(m->result, v.action == ROUTE_DELIVER ? S("DELIVERED") : S("SENT"));
	return false;
}

const struct walk_scenario *walk_scenario_of(struct str id)
{
	struct str name, mode;

	str_cut(id, '.', &name, &mode);
	for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++)
		if (str_eq(name, str_c(scenarios[i].id)))
			return &scenarios[i];
	return NULL;
}

struct mode walk_mode(char digit)
{
	return (struct mode){ .mx = digit == '1' || digit == '4' ? SIDE_ONPREM : SIDE_CLOUD, .cmt = digit >= '3' };
}

bool walk_begins_in_cloud(const struct walk_scenario *s, const struct mode *mode)
{
	if (s->start != FROM_INTERNET)
		return s->start == FROM_CLOUD;
	return s->entry == AT_CLOUD || (s->entry == AT_MX && mode->mx == SIDE_CLOUD);
}

void walk(const struct walk_scenario *s, const struct mode *mode, struct buf *trail, struct buf *result)
{
	static const char *const names[] = { "INTERNET", "onprem-sender", "cloud-sender" };
	struct message m = {
		.s = s,
		.mode = *mode,
		.site = walk_begins_in_cloud(s, mode) ? SITE_CLOUD : SITE_ONPREM,
		.origin = s->start == FROM_INTERNET ? ENV_INTERNET : ENV_LOCAL,
		.internal = s->start != FROM_INTERNET,
		.place = s->place,
		.trail = trail,
		.result = result,
	};

	buf_add(trail, str_c(names[s->start]));
	for (int i = 0; i < WALK_GATEWAYS_MAX; i++)
		if (!pass(&m))
			return;
	buf_add(result, S("HOP-COUNT"));
}
