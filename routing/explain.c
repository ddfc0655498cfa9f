/* routing/explain.c: a decision in words, from the very values that made it. */
#include "routing/routing.h"

static const char *const origins[] = { "INTERNET", "PEER", "LOCAL", "APP", "PARTNER", "SELF" };
static const char *const classes[] = { "-", "INT", "EXT" };
static const char *const orgs[] = { "-", "ok", "other" };

static void put_recipient(const struct located *l, struct buf *out)
{
	buf_addf(out, "recipient  %s", kind_name(l->kind));
	if (l->found) {
		buf_addf(out, ", record of " STR_FMT ": loc=%s", STR_ARG(l->record.primary), loc_name(l->record.loc));
		if (l->record.routing.n > 0)
			buf_addf(out, " routing=" STR_FMT, STR_ARG(l->record.routing));
		if (l->record.source.n > 0)
			buf_addf(out, " source=" STR_FMT, STR_ARG(l->record.source));
		buf_addf(out, " version=%llu", (unsigned long long)l->record.version);
	} else if (l->domain != NULL) {
		buf_add(out, S(", no record"));
	}
	if (l->plus)
		buf_add(out, S(", found without its +tag"));
	if (l->domain != NULL)
		buf_addf(out, ", domain " STR_FMT, STR_ARG(l->domain->name));
	buf_addc(out, '\n');
}

static void put_facts(const struct route_facts *f, struct buf *out)
{
	const struct mode m = { .mx = f->mx, .cmt = f->cmt };

	buf_addf(out, "decided    site=%s mode=%s origin=%s class=%s org=%s",
		 f->site == SITE_CLOUD ? "cloud" : "onprem", mode_name(&m), origins[f->origin], classes[f->class],
		 orgs[f->org]);
	if (f->token_seen)
		buf_add(out, S(" token=seen"));
	if (f->redirected)
		buf_add(out, S(" redirected"));
	if (f->moved_recently)
		buf_add(out, S(" moved-recently"));
	if (f->table_stale)
		buf_add(out, S(" table-stale"));
	buf_addc(out, '\n');
}

static void put_verdict(const struct route *rt, struct buf *out)
{
	const struct verdict *v = &rt->verdict;

	buf_addf(out, "verdict    %s%s %s: %s", v->rule, v->straggler ? "+straggler" : "", v->reason,
		 route_action_name(v->action));
	if (v->next != NEXT_NONE)
		buf_addf(out, " to %s as <" STR_FMT "> (%s), by domain " STR_FMT, route_next_name(v->next),
			 STR_ARG(rt->rcpt), route_form_name(v->form), STR_ARG(rt->hop_domain));
	if (rt->hop_host.n > 0)
		buf_addf(out, ", host " STR_FMT, STR_ARG(rt->hop_host));
	if (rt->copy_to.n > 0)
		buf_addf(out, ", copy to <" STR_FMT ">", STR_ARG(rt->copy_to));
	if (v->reply.code != 0)
		buf_addf(out, " with %d %u.%u.%u " STR_FMT, v->reply.code, v->reply.class, v->reply.subject,
			 v->reply.detail, STR_ARG(v->reply.text));
	buf_addf(out, "\nbecause    %s\n", v->cause);
	if (v->fixer != NULL)
		buf_addf(out, "to mend    %s\n", v->fixer);
}

void route_explain(const struct route *rt, const struct route_trace *trace, struct buf *out)
{
	put_recipient(&rt->located, out);
	if (rt->redirects > 0)
		buf_addf(out, "followed   %u redirection%s\n", rt->redirects, rt->redirects > 1 ? "s" : "");
	put_facts(&rt->facts, out);
	for (size_t i = 0; trace != NULL && i < trace->n; i++)
		buf_addf(out, "  %s %s  %s\n", trace->steps[i].hit ? "->" : "  ", trace->steps[i].rule,
			 trace->steps[i].says);
	put_verdict(rt, out);
}
