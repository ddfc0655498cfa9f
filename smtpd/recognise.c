/* smtpd/recognise.c: who is calling, asked again whenever the client has told more: at the greeting, after TLS, at
 * MAIL, and when the header has been read.
 *
 * What the header decides (spec 4.3): whose organisation the mail is from, and whether it is internal mail.  Recipients
 * that were taken in the hope of it are settled here: when the claim does not come, the whole message is refused, so
 * that nobody's forged sender gets a report about the part of it that would have failed. */
#include "smtpd/session.h"

#include "base/time.h"
#include "smtpd/policy.h"

/* ---- attribution ---- */

static void tell_ambiguous(struct session *s)
{
	const struct attribution *who = &s->who;
	uint64_t held_back;

	if (who->also == NULL ||
	    !hush_may_say(&s->server->hush, "ambiguous", who->inbound->name, loop_now_ms(s->server->loop), &held_back))
		return;
	log_info(&s->log, "attribution.ambiguous", kv_str("taken", who->inbound->name), kv_str("how", who->how),
		 kv_str("also", who->also->name), kv_c("client", s->client_text),
		 kv_int("not_told", (int64_t)held_back));
}

/* The alarm ATTRIBUTION-MISS of spec 3.5.1: a renewal gone wrong on their side, or somebody who would like to be them.
 */
static void tell_miss(struct session *s, const struct caller *k)
{
	struct attribution_miss miss;
	uint64_t held_back;

	if (!attribute_miss(session_config(s), k, &s->who, &miss))
		return;
	COUNT(s->server, attribution_misses);
	if (miss.kind == MISS_CHAIN) /* perhaps only a revocation list is missing */
		tls_note_chain(&s->stream);
	if (!hush_may_say(&s->server->hush, miss_kind_name(miss.kind), miss.inbound->name, loop_now_ms(s->server->loop),
			  &held_back))
		return;
	log_warn(&s->log, "alarm.attribution_miss", kv_c("alarm", "ATTRIBUTION-MISS"),
		 kv_str("inbound", miss.inbound->name), kv_c("kind", miss_kind_name(miss.kind)), kv_c("why", miss.text),
		 kv_c("client", s->client_text), kv_str("taken_for", s->who.how),
		 kv_str("sha256", k->peer != NULL ? k->peer->sha256 : STR_NONE),
		 kv_int("not_told", (int64_t)held_back));
}

void session_attribute(struct session *s, const struct said *said)
{
	const struct caller k = {
		.receive = s->receive,
		.client = s->client,
		.secured = s->secured,
		.peer = s->secured ? tls_peer(&s->stream) : NULL,
		.from = said->from,
		.at_mail = said->at_mail,
		.claim = said->claim,
		.auth_as = said->auth_as,
		.header_seen = said->header_seen,
		.now_ms = clock_wall_ms(),
	};

	attribute(session_config(s), &k, &s->who);
	if (!said->at_mail || said->header_seen)
		return;
	if (s->who.inbound != NULL && str_starts(s->who.how, S("cert:")))
		tls_note_chain(&s->stream);
	tell_ambiguous(s);
	tell_miss(s, &k);
}

/* ---- at the end of the header ---- */

static bool refuse(struct session *s, const struct verdict *v)
{
	struct transaction *t = &s->tx;

	t->verdict_rule.rule = v->rule;
	t->verdict_rule.reason = v->reason;
	policy_refusal(v, t->env.origin, t->env.trace_id, t->text, sizeof t->text, &t->verdict);
	return false;
}

/* Class and organisation have changed since RCPT.  When nobody can be served any more the peer is told so and keeps the
 * message; else it is ours, and those who cannot are reported by the delivery. */
static bool judge_rcpts_again(struct session *s)
{
	const struct addr_rules rules = { .smtputf8 = true, .relaxed = true };
	struct transaction *t = &s->tx;
	struct verdict v, first = { 0 };

	for (size_t i = 0; i < t->env.rcpt_n; i++) {
		struct addr rcpt;
		if (addr_parse(t->rcpts[i].addr, &rules, &rcpt) != ADDR_OK ||
		    !session_ask_table(s, &rcpt, NULL, t->env.org, &v))
			return true; /* the delivery asks again */
		if (v.action != ROUTE_REJECT && v.action != ROUTE_DEFER)
			return true;
		if (i == 0 || v.action == ROUTE_DEFER)
			first = v; /* a deferral can still come good */
	}
	return t->env.rcpt_n == 0 || refuse(s, &first);
}

static void tell_foreign(struct session *s, struct str claim)
{
	COUNT(s->server, foreign_messages);
	log_info(&s->log, "message.foreign", kv_str("inbound", s->who.inbound->name), kv_str("claim", claim),
		 kv_str("from", s->tx.env.from), kv_c("client", s->client_text), kv_str("trace", s->tx.env.trace_id),
		 kv_bool("refused", s->who.refused.code != 0));
}

bool session_judge_header(struct session *s)
{
	struct transaction *t = &s->tx;
	struct envelope *env = &t->env;
	enum env_class class = env->class;
	enum env_org org = env->org;
	struct str claim = env->xorg.n > 0 ? env->xorg : str_c(t->claim.org);

	if (env->origin != ENV_PEER)
		return true;
	session_attribute(s, &(struct said){ .at_mail = true,
					     .header_seen = true,
					     .from = env->from,
					     .claim = claim,
					     .auth_as = str_c(t->claim.auth_as) });
	if (s->who.foreign)
		tell_foreign(s, claim);
	if (s->who.refused.code != 0) {
		t->verdict = s->who.refused;
		return false;
	}
	env->class = s->who.class;
	env->org = s->who.org;
	if (env->org == ENV_ORG_OK && env->xorg.n == 0)
		arena_dup(t->arena, claim, &env->xorg); /* goes on as XOORG; without memory the header still says it */
	if (t->provisional > 0 && env->org != ENV_ORG_OK)
		return refuse(s, &t->unproved);
	return (class == env->class && org == env->org) || judge_rcpts_again(s);
}
