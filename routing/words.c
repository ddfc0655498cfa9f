/* routing/words.c: the vocabulary of routing as text, the same in logs, explanations, vectors and the command line. */
#include "routing/routing.h"

#include "base/must.h"

static const char *const kinds[] = {
	[KIND_LOCAL] = "LOCAL",
	[KIND_REMOTE] = "REMOTE",
	[KIND_ROUTING_SELF] = "ROUTING_SELF",
	[KIND_ROUTING_PEER] = "ROUTING_PEER",
	[KIND_GROUP] = "GROUP",
	[KIND_CONTACT] = "CONTACT",
	[KIND_UNK_AUTH] = "UNK_AUTH",
	[KIND_UNK_RELAY_PEER] = "UNK_RELAY_PEER",
	[KIND_UNK_RELAY_HOST] = "UNK_RELAY_HOST",
	[KIND_EXTERNAL] = "EXTERNAL",
};
static const char *const locs[] = {
	[LOC_LOCAL] = "local",     [LOC_REMOTE] = "remote",     [LOC_BOTH] = "both",         [LOC_GROUP] = "group",
	[LOC_CONTACT] = "contact", [LOC_REDIRECT] = "redirect", [LOC_DISABLED] = "disabled",
};
static const char *const expands[] = {
	[EXPAND_HOME] = "home",
	[EXPAND_ONPREM] = "onprem",
	[EXPAND_CLOUD] = "cloud",
	[EXPAND_HERE] = "here",
};
static const char *const reports[] = { [REPORT_SENDER] = "sender", [REPORT_OWNER] = "owner", [REPORT_NONE] = "none" };
static const char *const actions[] = {
	[ROUTE_DELIVER] = "DELIVER", [ROUTE_RELAY] = "RELAY",   [ROUTE_REJECT] = "REJECT",
	[ROUTE_DEFER] = "DEFER",     [ROUTE_EXPAND] = "EXPAND", [ROUTE_DROP] = "DROP",
};
static const char *const nexts[] = {
	[NEXT_NONE] = "-",        [NEXT_INTERNAL] = "internal",   [NEXT_PEER] = "peer",
	[NEXT_DIRECT] = "direct", [NEXT_SMARTHOST] = "smarthost", [NEXT_DOMAIN_HOST] = "domain-host",
};
static const char *const forms[] = {
	[FORM_NONE] = "-",
	[FORM_PRIMARY] = "primary",
	[FORM_ROUTING] = "routing",
	[FORM_AS_RECEIVED] = "as-received",
};

#define COUNT(t) (sizeof(t) / sizeof *(t))
#define NAME_OF(table, value) \
	do { \
		must((size_t)(value) < COUNT(table)); \
		return (table)[value]; \
	} while (0)

const char *kind_name(enum rcpt_kind k)
{
	NAME_OF(kinds, k);
}

const char *loc_name(enum rcpt_loc l)
{
	NAME_OF(locs, l);
}

const char *route_action_name(enum route_action a)
{
	NAME_OF(actions, a);
}

const char *route_next_name(enum route_next n)
{
	NAME_OF(nexts, n);
}

const char *route_form_name(enum route_form f)
{
	NAME_OF(forms, f);
}

bool kind_parse(struct str s, enum rcpt_kind *k)
{
	for (size_t i = 0; i < COUNT(kinds); i++)
		if (str_ieq(s, str_c(kinds[i]))) {
			*k = (enum rcpt_kind)i;
			return true;
		}
	return false;
}

bool loc_parse(struct str s, enum rcpt_loc *l)
{
	for (size_t i = 0; i < COUNT(locs); i++)
		if (str_ieq(s, str_c(locs[i]))) {
			*l = (enum rcpt_loc)i;
			return true;
		}
	return false;
}

const char *expand_name(enum rcpt_expand x)
{
	NAME_OF(expands, x);
}

const char *report_name(enum rcpt_report r)
{
	NAME_OF(reports, r);
}

bool expand_parse(struct str s, enum rcpt_expand *x)
{
	for (size_t i = 0; i < COUNT(expands); i++)
		if (str_ieq(s, str_c(expands[i]))) {
			*x = (enum rcpt_expand)i;
			return true;
		}
	return false;
}

bool report_parse(struct str s, enum rcpt_report *r)
{
	for (size_t i = 0; i < COUNT(reports); i++)
		if (str_ieq(s, str_c(reports[i]))) {
			*r = (enum rcpt_report)i;
			return true;
		}
	return false;
}

const char *mode_name(const struct mode *m)
{
	if (m->mx == SIDE_ONPREM)
		return m->cmt ? "M4" : "M1";
	return m->cmt ? "M3" : "M2";
}
