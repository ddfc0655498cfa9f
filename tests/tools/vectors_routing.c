/* tests/tools/vectors_routing.c: routing.csv, one row a decision: facts in, rule and action out (exchange codes). */
#include "routing/routing.h"
#include "tests/tools/vectors.h"

static const struct {
	const char *name;
	enum env_origin origin;
} origins[] = {
	{ "INTERNET", ENV_INTERNET }, { "PEER", ENV_PEER },       { "LOCAL", ENV_LOCAL },
	{ "APP", ENV_APP },           { "PARTNER", ENV_PARTNER }, { "SELF", ENV_SELF },
};

static bool is_yes(struct str v)
{
	return str_ieq(v, S("yes")) || str_ieq(v, S("true")) || str_ieq(v, S("on")) || str_ieq(v, S("allow"));
}

static enum conf_egress egress_of(struct str v)
{
	return str_eq(v, S("cloud")) ? EGRESS_CLOUD : str_eq(v, S("smarthost")) ? EGRESS_SMARTHOST : EGRESS_DIRECT;
}

static bool set_option(struct route_facts *f, struct str key, struct str v)
{
	if (str_eq(key, S("egress_cmt")))
		f->egress.cmt = egress_of(v);
	else if (str_eq(key, S("egress_onprem")))
		f->egress.onprem = egress_of(v);
	else if (str_eq(key, S("moved_recently")))
		f->moved_recently = is_yes(v);
	else if (str_eq(key, S("grace")))
		f->grace_over = str_eq(v, S("outside"));
	else if (str_eq(key, S("stragglers")))
		f->stragglers = str_eq(v, S("reject"))  ? STRAGGLERS_REJECT
				: str_eq(v, S("defer")) ? STRAGGLERS_DEFER
							: STRAGGLERS_TAG;
	else if (str_eq(key, S("peer_relay")))
		f->peer_relay = is_yes(v);
	else if (str_eq(key, S("return_internal")))
		f->return_internal = is_yes(v);
	else if (str_eq(key, S("cmt_forwarded")))
		f->forwarded = str_eq(v, S("direct")) ? FORWARDED_DIRECT : FORWARDED_RETURN;
	else if (str_eq(key, S("routing_domain_public")) || str_eq(key, S("routing_public")))
		f->routing_public = is_yes(v);
	else if (str_eq(key, S("host_is_source")))
		f->host_is_source = is_yes(v);
	else
		return false;
	return true;
}

static bool set_options(struct route_facts *f, struct str config)
{
	struct str option, key, value;

	while ((option = str_word(&config)).n > 0) {
		str_cut(option, '=', &key, &value);
		if (!str_eq(option, S("-")) && !set_option(f, key, value))
			return false;
	}
	return true;
}

static bool read_facts(const struct vec_row *row, struct route_facts *f)
{
	struct str origin = vec_get(row, "origin"), mode = vec_get(row, "mode");
	size_t i = 0;

	while (i < sizeof origins / sizeof *origins && !str_eq(origin, str_c(origins[i].name)))
		i++;
	if (i == sizeof origins / sizeof *origins || mode.n != 2 || mode.p[1] < '1' || mode.p[1] > '4')
		return false;
	*f = (struct route_facts){
		.site = vec_is(row, "site", "cloud") ? SITE_CLOUD : SITE_ONPREM,
		.mx = mode.p[1] == '1' || mode.p[1] == '4' ? SIDE_ONPREM : SIDE_CLOUD,
		.cmt = mode.p[1] >= '3',
		.origin = origins[i].origin,
		.class = vec_is(row, "class", "INT")   ? ENV_CLASS_INT
			 : vec_is(row, "class", "EXT") ? ENV_CLASS_EXT
						       : ENV_CLASS_NONE,
		.org = vec_is(row, "org", "ok")    ? ENV_ORG_OK
		       : vec_is(row, "org", "bad") ? ENV_ORG_OTHER
						   : ENV_ORG_NONE,
		.token_seen = vec_is(row, "token", "seen"),
		.redirected = vec_is(row, "redirected", "yes"),
		.codes = CODES_EXCHANGE,
	};
	return kind_parse(vec_get(row, "kind"), &f->kind) && set_options(f, vec_get(row, "config"));
}

static void put_verdict(const struct verdict *v, struct buf *out)
{
	buf_addf(out, "%s,%s,%s,%s%s,", route_action_name(v->action), route_next_name(v->next),
		 route_form_name(v->form), v->rule, v->straggler ? "+straggler" : "");
	if (v->reply.code != 0)
		buf_addf(out, "%d %u.%u.%u", v->reply.code, v->reply.class, v->reply.subject, v->reply.detail);
}

void vectors_routing(struct vec_file *file)
{
	static const char *const columns[] = { "action", "next", "addr", "rule", "code" };
	struct route_facts f;
	struct verdict v;
	struct vec_row row;
	struct buf got, expected;

	buf_init(&got, 1024);
	buf_init(&expected, 1024);
	while (vec_next(file, &row)) {
		buf_reset(&got);
		buf_reset(&expected);
		for (size_t i = 0; i < 5; i++)
			buf_addf(&expected, "%s" STR_FMT, i > 0 ? "," : "", STR_ARG(vec_get(&row, columns[i])));
		if (read_facts(&row, &f)) {
			route_decide(&f, &v, NULL);
			put_verdict(&v, &got);
		} else {
			buf_addf(&got, "a row that is not understood: " STR_FMT, STR_ARG(row.line));
		}
		vec_check(&row, buf_str(&expected), buf_str(&got));
	}
	buf_fini(&got);
	buf_fini(&expected);
}
