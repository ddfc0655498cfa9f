/* tests/bed/walk.c: scenarios as passages (routing/passage), told in the words of paths.csv; see the header. */
#include "tests/bed/walk.h"

#include "routing/passage.h"

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

static enum rcpt_kind kind_at(const struct walk_scenario *s, enum conf_site site)
{
	bool at_cloud = site == SITE_CLOUD, wrong = at_cloud ? s->cloud_wrong : s->onprem_wrong;

	if (s->place == NOWHERE)
		return KIND_UNK_AUTH;
	if (s->place == OUTSIDE)
		return KIND_EXTERNAL;
	return (s->place == IN_CLOUD) == at_cloud && !wrong ? KIND_LOCAL : KIND_REMOTE;
}

static struct passage_side side_of(const struct walk_scenario *s, const struct mode *mode, enum conf_site site)
{
	return (struct passage_side){
		.facts = { .site = site,
			   .mx = mode->mx,
			   .cmt = mode->cmt,
			   .kind = kind_at(s, site),
			   .forwarded = s->forwards_direct ? FORWARDED_DIRECT : FORWARDED_RETURN,
			   .codes = CODES_EXCHANGE },
		.knows_peer = !(site == SITE_CLOUD && s->not_attributed),
		.makes_tokens = site == SITE_ONPREM && !s->no_token,
		.forwards = s->forwards,
	};
}

static void put_code(struct buf *b, const struct reply *r)
{
	buf_addf(b, "%d %u.%u.%u", r->code, r->class, r->subject, r->detail);
}

static void put_step(struct buf *b, const struct passage_step *step)
{
	const struct verdict *v = &step->verdict;

	buf_addf(b, " %s[%s%s ", step->site == SITE_CLOUD ? "cloud" : "onprem", v->rule,
		 v->straggler ? "+straggler" : "");
	if (v->action == ROUTE_DELIVER)
		buf_add(b, S("deliver"));
	else if (v->action == ROUTE_RELAY)
		buf_addf(b, "->%s", route_next_name(v->next));
	else
		put_code(b, &v->reply);
	buf_add(b, step->forwarded ? S("]+forward") : S("]"));
}

static void put_end(struct buf *b, const struct passage *p)
{
	static const char *const names[] = { "DELIVERED", "SENT", "REJECT ", "DEFER ", "HOP-COUNT" };

	buf_add(b, str_c(names[p->end]));
	if (p->end == PASSAGE_REJECTED || p->end == PASSAGE_DEFERRED)
		put_code(b, &p->steps[p->n - 1].verdict.reply);
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
	const struct passage_side sides[2] = { side_of(s, mode, SITE_ONPREM), side_of(s, mode, SITE_CLOUD) };
	bool stranger = s->start == FROM_INTERNET;
	const struct passage_start start = { .site = walk_begins_in_cloud(s, mode) ? SITE_CLOUD : SITE_ONPREM,
					     .origin = stranger ? ENV_INTERNET : ENV_LOCAL,
					     .internal = !stranger };
	struct passage p;

	passage_rcpt(sides, &start, &p);
	buf_add(trail, str_c(names[s->start]));
	for (size_t i = 0; i < p.n; i++)
		put_step(trail, &p.steps[i]);
	if (p.end == PASSAGE_SENT)
		buf_add(trail, S(" Internet"));
	put_end(result, &p);
}
