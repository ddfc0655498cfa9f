/* auth/policy.c: from verdicts to what is done; see the header.
 *
 *   verdict -> asked        what the author's domain and the configuration want done
 *   asked   -> action       less of it for who is exempt, nothing where nothing is enforced */
#include "auth/policy.h"

#include "base/must.h"
#include "wire/addr.h"
#include "wire/authres.h"

const char *policy_action_name(enum policy_action a)
{
	static const char *const names[] = { "accept", "tag", "hold", "defer", "reject" };

	return names[a];
}

static bool is_at_or_below(struct str name, struct str top)
{
	return str_ieq(name, top) || (name.n > top.n && str_iends(name, top) && name.p[name.n - top.n - 1] == '.');
}

static bool is_listed(const struct conf_list *l, struct str domain)
{
	while (domain.n > 0 && domain.p[domain.n - 1] == '.')
		domain.n--;
	for (size_t i = 0; i < l->n; i++)
		if (is_at_or_below(domain, l->v[i]))
			return true;
	return false;
}

/* ---- ARC ---- */

static bool is_domain(struct str value, struct str author)
{
	char room[DMARC_NAME];
	struct buf b = { .p = room, .cap = sizeof room, .max = sizeof room - 1 };

	return addr_normalize_domain(value, &b) && str_eq(buf_str(&b), author);
}

/* "dmarc=pass header.from=<author>". */
static bool saw_pass(const struct arc_link *link, struct str author)
{
	struct authres r;
	struct authres_result a;

	if (!authres_open(&r, link->results))
		return false;
	while (authres_next(&r, &a) == 1) {
		if (!str_ieq(a.method, S("dmarc")) || !str_ieq(a.result, S("pass")))
			continue;
		for (size_t i = 0; i < a.prop_n; i++)
			if (str_ieq(a.props[i].ptype, S("header")) && str_ieq(a.props[i].property, S("from")) &&
			    is_domain(a.props[i].value, author))
				return true;
	}
	return false;
}

bool policy_arc_vouches(const struct arc_result *arc, const struct conf_list *trusted, const char *author, char *why,
			size_t room)
{
	if (arc == NULL || arc->verdict != ARC_PASS || author[0] == '\0')
		return false;
	for (unsigned i = arc->links; i > 0; i--) {
		const struct arc_link *link = &arc->v[i - 1];
		if (!is_listed(trusted, link->domain))
			return false;
		if (saw_pass(link, str_c(author))) {
			if (why != NULL)
				snprintf(why, room, "ARC link %u of " STR_FMT " saw it pass", i, STR_ARG(link->domain));
			return true;
		}
	}
	return false;
}

/* ---- what is asked for ---- */

static enum policy_action action_of(enum conf_judged j)
{
	static const enum policy_action actions[] = { POLICY_TAG, POLICY_HOLD, POLICY_REJECT };

	return actions[j];
}

static enum policy_action asked_of(const struct policy_in *in)
{
	const struct dmarc_result *d = in->dmarc;

	switch (d->verdict) {
	case DMARC_FAIL:
		if (d->disposition == DMARC_POLICY_NONE)
			return POLICY_ACCEPT;
		return action_of(d->disposition == DMARC_POLICY_REJECT ? in->conf->reject : in->conf->quarantine);
	case DMARC_PERMERROR: /* without an author nothing can be judged; an unusable record asks for nothing */
		return d->author[0] == '\0' ? action_of(in->conf->author) : POLICY_ACCEPT;
	case DMARC_TEMPERROR:
		return in->conf->unsure == UNSURE_DEFER ? POLICY_DEFER : POLICY_ACCEPT;
	case DMARC_PASS:
	case DMARC_NONE:
		break;
	}
	return POLICY_ACCEPT;
}

/* ---- who is exempt ---- */

static bool is_forwarder(const struct policy_in *in, char *why, size_t room)
{
	const struct conf_list *l = &in->conf->forwarders;

	if (in->spf.state == DMARC_ID_PASS && is_listed(l, in->spf.domain)) {
		snprintf(why, room, "SPF says it comes from the forwarder " STR_FMT, STR_ARG(in->spf.domain));
		return true;
	}
	for (size_t i = 0; i < in->dkim_n; i++)
		if (in->dkim[i].state == DMARC_ID_PASS && is_listed(l, in->dkim[i].domain)) {
			snprintf(why, room, "DKIM says it comes from the forwarder " STR_FMT,
				 STR_ARG(in->dkim[i].domain));
			return true;
		}
	return false;
}

static enum policy_exempt exempt_of(const struct policy_in *in, char *why, size_t room)
{
	if (in->dmarc->author[0] == '\0')
		return POLICY_EXEMPT_NOT; /* nobody can vouch for nobody */
	if (in->to_srs) {
		snprintf(why, room, "it answers mail that we forwarded (SRS)");
		return POLICY_EXEMPT_SRS;
	}
	if (policy_arc_vouches(in->arc, &in->conf->arc_trusted, in->dmarc->author, why, room))
		return POLICY_EXEMPT_ARC;
	return is_forwarder(in, why, room) ? POLICY_EXEMPT_FORWARDER : POLICY_EXEMPT_NOT;
}

/* ---- replies ---- */

static void put_reply(const struct policy_in *in, struct policy_out *out)
{
	const struct dmarc_result *d = in->dmarc;

	if (out->action == POLICY_DEFER) {
		snprintf(out->text, sizeof out->text,
			 "the DNS does not say whether this may come from %s, come again (DMARC-UNSURE)", d->author);
		out->reply = REPLY(451, 4, 4, 3, "");
	} else if (d->author[0] == '\0') {
		snprintf(out->text, sizeof out->text, "From does not name one author domain (DMARC-AUTHOR)");
		out->reply = REPLY(550, 5, 6, 0, "");
	} else {
		snprintf(out->text, sizeof out->text,
			 "neither SPF nor DKIM proves that this is mail of %s, which asks to %s such mail (DMARC-FAIL)",
			 d->author, d->disposition == DMARC_POLICY_REJECT ? "refuse" : "quarantine");
		out->reply = REPLY(550, 5, 7, 26, "");
	}
	out->reply.text = str_c(out->text);
}

void policy_decide(const struct policy_in *in, struct policy_out *out)
{
	const struct dmarc_result *d = in->dmarc;
	char exempt[300] = "";

	*out = (struct policy_out){ .action = POLICY_ACCEPT };
	if (!in->scope->judged) {
		snprintf(out->why, sizeof out->why, "%s", in->scope->why);
		return;
	}
	out->asked = out->action = asked_of(in);
	if (out->asked != POLICY_ACCEPT) {
		out->exempt = exempt_of(in, exempt, sizeof exempt);
		if (out->exempt == POLICY_EXEMPT_NOT && !in->scope->enforced) {
			out->exempt = POLICY_EXEMPT_REPORT;
			snprintf(exempt, sizeof exempt, "%s", in->scope->why);
		}
		if (out->exempt != POLICY_EXEMPT_NOT)
			out->action = POLICY_ACCEPT;
	}
	if (out->action >= POLICY_DEFER)
		put_reply(in, out);
	snprintf(out->why, sizeof out->why, "dmarc=%s (%s): %s%s%s%s", dmarc_verdict_name(d->verdict), d->why,
		 policy_action_name(out->action), out->action != out->asked ? ", not " : "",
		 out->action != out->asked ? policy_action_name(out->asked) : "", exempt[0] != '\0' ? ": " : "");
	size_t n = strlen(out->why);
	snprintf(out->why + n, sizeof out->why - n, "%s", exempt);
}

/* ---- Authentication-Results ---- */

static struct str word(const char *s)
{
	must(s != NULL);
	return str_c(s);
}

static void say_spf(const struct policy_said *s, struct authres_writer *w)
{
	char room[64];
	struct buf ip = { .p = room, .cap = sizeof room, .max = sizeof room - 1 };

	authres_result(w, S("spf"), word(s->spf));
	authres_prop(w, S("smtp"), s->helo ? S("helo") : S("mailfrom"), s->identity);
	if (s->client != NULL) {
		net_put_ip(&ip, s->client);
		authres_prop(w, S("smtp"), S("remote-ip"), buf_str(&ip));
	}
}

static void say_dkim(const struct policy_sig *g, struct authres_writer *w)
{
	authres_result(w, S("dkim"), word(g->result));
	authres_reason(w, g->reason);
	if (g->domain.n > 0)
		authres_prop(w, S("header"), S("d"), g->domain);
	if (g->selector.n > 0)
		authres_prop(w, S("header"), S("s"), g->selector);
	if (g->b.n > 0)
		authres_prop(w, S("header"), S("b"), g->b);
}

static void say_arc(const struct arc_result *a, struct authres_writer *w)
{
	char room[AUTHRES_VALUE_MAX + 1];
	struct buf chain = { .p = room, .cap = sizeof room, .max = AUTHRES_VALUE_MAX };

	authres_result(w, S("arc"), word(arc_verdict_name(a->verdict)));
	if (a->verdict == ARC_FAIL)
		authres_reason(w, str_c(a->why));
	if (a->verdict != ARC_PASS)
		return;
	for (unsigned i = a->links; i > 0 && !chain.full; i--) { /* newest first */
		size_t before = chain.n;
		buf_add(&chain, i < a->links ? S(":") : S(""));
		if (!buf_add(&chain, a->v[i - 1].domain))
			chain.n = before;
	}
	authres_prop(w, S("arc"), S("chain"), buf_str(&chain));
}

/* policy.dmarc: what is applied here, which a mailbox system may act on. */
static enum dmarc_policy applied(const struct policy_said *s)
{
	if (s->out == NULL || s->out->action < POLICY_TAG)
		return DMARC_POLICY_NONE;
	return s->out->action == POLICY_HOLD ? DMARC_POLICY_QUARANTINE : s->dmarc->disposition;
}

static void say_dmarc(const struct policy_said *s, struct authres_writer *w)
{
	const struct dmarc_result *d = s->dmarc;

	authres_result(w, S("dmarc"), word(dmarc_verdict_name(d->verdict)));
	if (d->verdict != DMARC_PASS && d->verdict != DMARC_NONE)
		authres_reason(w, str_c(d->why));
	if (d->author[0] != '\0')
		authres_prop(w, S("header"), S("from"), str_c(d->author));
	if (d->verdict == DMARC_FAIL)
		authres_prop(w, S("policy"), S("dmarc"), str_c(dmarc_policy_name(applied(s))));
}

void policy_results(const struct policy_said *s, struct buf *out)
{
	struct authres_writer w;

	authres_begin(&w, out, s->id, s->utf8);
	if (s->spf != NULL)
		say_spf(s, &w);
	for (size_t i = 0; i < s->sig_n; i++)
		say_dkim(&s->sigs[i], &w);
	if (s->arc != NULL)
		say_arc(s->arc, &w);
	if (s->dmarc != NULL)
		say_dmarc(s, &w);
	authres_end(&w);
}
