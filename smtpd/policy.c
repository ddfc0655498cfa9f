/* smtpd/policy.c: verdicts of a session; see the header. */
#include "smtpd/policy.h"

#include "connectors/reason.h"

#include <stdio.h>

uint64_t policy_size_max(const struct config *c, const struct conf_receive *r)
{
	uint64_t most = c->limits.message_max;

	return r->size > 0 && r->size < most ? r->size : most;
}

bool policy_offers_xoorg(const struct attribution *who)
{
	return who->inbound != NULL && who->inbound->type == INBOUND_PEER && who->inbound->cloud_mail &&
	       str_starts(who->how, S("cert:"));
}

bool policy_may_send(const struct conf_receive *r, const struct attribution *who, bool secured, enum conf_codes codes,
		     struct reply *why)
{
	if (who->refused.code != 0)
		*why = who->refused;
	else if (r->require_tls && !secured)
		*why = attribute_tls_required(codes);
	else if (!(r->perms & PERM_SUBMIT))
		*why = reason_reply(REASON_CLOSED, codes, SITE_ONPREM);
	else
		return true;
	return false;
}

void policy_add_id(const struct reply *r, struct str id, char *text, size_t room, struct reply *out)
{
	*out = *r;
	if (str_find(r->text, id) >= 0 || id.n == 0)
		return;
	snprintf(text, room, STR_FMT ", id " STR_FMT, STR_ARG(r->text), STR_ARG(id));
	out->text = str_c(text);
}

bool policy_queues(const struct verdict *v, enum env_origin origin)
{
	return v->action == ROUTE_DEFER && v->reason != NULL && str_eq(str_c(v->reason), S("TABLE-STALE")) &&
	       (origin == ENV_LOCAL || origin == ENV_APP);
}

void policy_refusal(const struct verdict *v, enum env_origin origin, struct str id, char *text, size_t room,
		    struct reply *out)
{
	bool stranger = origin == ENV_INTERNET || origin == ENV_PARTNER;

	*out = v->reply;
	if (stranger || v->cause == NULL || v->fixer == NULL)
		policy_add_id(&v->reply, id, text, room, out);
	else
		snprintf(text, room, STR_FMT ", id " STR_FMT ": %s; the %s can mend it", STR_ARG(v->reply.text),
			 STR_ARG(id), v->cause, v->fixer);
	out->text = str_c(text);
}

bool policy_author(const struct config *c, enum env_origin origin, enum author author, struct str id, char *text,
		   size_t room, struct reply *out)
{
	enum conf_author rule = c->limits.author;
	bool stranger = origin == ENV_INTERNET || origin == ENV_PARTNER;

	if (!stranger || rule == AUTHOR_RULE_ANY || author == AUTHOR_ONE ||
	    (author == AUTHOR_NONE && rule != AUTHOR_RULE_REQUIRED))
		return true;
	snprintf(text, room,
		 "From must name one author that every reader reads alike (FROM-AMBIGUOUS, id " STR_FMT
		 "; the sender can mend it)",
		 STR_ARG(id));
	*out = (struct reply){ .code = 550, .class = 5, .subject = 6, .text = str_c(text) };
	return false;
}
