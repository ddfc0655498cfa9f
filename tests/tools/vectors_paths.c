/* tests/tools/vectors_paths.c: paths.csv, the trail of one message through two gateways back to back.
 *
 * Walked by the product's own walker (routing/passage).  Only the on-prem side makes and reads route tokens here (the
 * cloud is taken as foreign); a recipient reached by forwarding starts without one. */
#include "routing/passage.h"
#include "tests/tools/vectors.h"

enum place { ON_PREM, IN_CLOUD, NOWHERE, OUTSIDE }; /* where the mailbox really is */
enum start { FROM_INTERNET, FROM_ONPREM, FROM_CLOUD };

static const struct scenario {
	const char *id;
	enum start start;
	enum place place;
	enum { AT_MX, AT_ONPREM, AT_CLOUD } entry;
	bool forwards;        /* the mailbox forwards to outside */
	bool forwards_direct; /* cmt.forwarded = direct */
	bool not_attributed;  /* the cloud takes on-prem for a stranger */
	bool no_token;
	bool onprem_wrong, cloud_wrong; /* that side's table says the other side */
} scenarios[] = {
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

static enum rcpt_kind kind_at(const struct scenario *s, enum conf_site site)
{
	bool at_cloud = site == SITE_CLOUD, wrong = at_cloud ? s->cloud_wrong : s->onprem_wrong;

	if (s->place == NOWHERE)
		return KIND_UNK_AUTH;
	if (s->place == OUTSIDE)
		return KIND_EXTERNAL;
	return (s->place == IN_CLOUD) == at_cloud && !wrong ? KIND_LOCAL : KIND_REMOTE;
}

static struct passage_side side_of(const struct scenario *s, const struct mode *mode, enum conf_site site)
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

static void put_end(struct buf *b, const struct passage *w)
{
	static const char *const names[] = { "DELIVERED", "SENT", "REJECT ", "DEFER ", "HOP-COUNT" };

	buf_add(b, str_c(names[w->end]));
	if (w->end == PASSAGE_REJECTED || w->end == PASSAGE_DEFERRED)
		put_code(b, &w->steps[w->n - 1].verdict.reply);
}

static void run(const struct scenario *s, const struct mode *mode, struct buf *trail)
{
	static const char *const names[] = { "INTERNET", "onprem-sender", "cloud-sender" };
	const struct passage_side sides[2] = { side_of(s, mode, SITE_ONPREM), side_of(s, mode, SITE_CLOUD) };
	bool stranger = s->start == FROM_INTERNET;
	bool cloud = s->start == FROM_CLOUD ||
		     (stranger && (s->entry == AT_CLOUD || (s->entry == AT_MX && mode->mx == SIDE_CLOUD)));
	const struct passage_start start = { .site = cloud ? SITE_CLOUD : SITE_ONPREM,
					  .origin = stranger ? ENV_INTERNET : ENV_LOCAL,
					  .internal = !stranger };
	struct passage w;

	passage_rcpt(sides, &start, &w);
	buf_add(trail, str_c(names[s->start]));
	for (size_t i = 0; i < w.n; i++)
		put_step(trail, &w.steps[i]);
	if (w.end == PASSAGE_SENT)
		buf_add(trail, S(" Internet"));
	buf_add(trail, S(" = "));
	put_end(trail, &w);
}

static const struct scenario *scenario_of(struct str id)
{
	struct str name, mode;

	str_cut(id, '.', &name, &mode);
	for (size_t i = 0; i < sizeof scenarios / sizeof *scenarios; i++)
		if (str_eq(name, str_c(scenarios[i].id)))
			return &scenarios[i];
	return NULL;
}

void vectors_paths(struct vec_file *file)
{
	struct vec_row row;
	struct buf trail, expected;

	buf_init(&trail, 8192);
	buf_init(&expected, 8192);
	while (vec_next(file, &row)) {
		struct str name = vec_get(&row, "mode");
		char digit = name.n == 2 ? name.p[1] : '1';
		const struct scenario *s = scenario_of(vec_get(&row, "id"));
		const struct mode mode = { .mx = digit == '1' || digit == '4' ? SIDE_ONPREM : SIDE_CLOUD,
					   .cmt = digit >= '3' };
		buf_reset(&trail);
		buf_reset(&expected);
		buf_addf(&expected, STR_FMT " = " STR_FMT, STR_ARG(vec_get(&row, "trail")),
			 STR_ARG(vec_get(&row, "result")));
		if (s != NULL)
			run(s, &mode, &trail);
		vec_check(&row, buf_str(&expected), buf_str(&trail));
	}
	buf_fini(&trail);
	buf_fini(&expected);
}
