/* smtpd/echo.c: echoes at the door; see the header.
 *
 * A stranger may bring one (then the other side lost its way of proving who it is, and that is the finding), so its tag
 * has to stand in the envelope; only the other side is let in to show it in the header.  Without a tag of ours the
 * address is one that nobody has. */
#include "smtpd/echo.h"

#include "base/time.h"
#include "smtpd/policy.h"

#include <stdio.h>

static bool verify(const struct session *s, struct str tag)
{
	return echo_verify(outbound_token_keys(s->setup->outbound), session_config(s), tag, clock_wall_ms(),
			   &(struct echo_nonce){ 0 });
}

static bool keep(struct transaction *t, struct str tag)
{
	t->echo.open = arena_dup(t->arena, tag, &t->echo.tag);
	return t->echo.open;
}

bool session_echo_rcpt(struct session *s, const struct addr *rcpt)
{
	const struct config *c = session_config(s);
	struct addr from;
	struct str tag;
	enum echo_address is = echo_address(c, rcpt, &tag);

	if (is == ECHO_PLAIN && (addr_parse(s->tx.env.from, &(struct addr_rules){ 0 }, &from) != ADDR_OK ||
				 echo_address(c, &from, &tag) != ECHO_TAGGED))
		return false;
	return is != ECHO_NOT && verify(s, tag) && keep(&s->tx, tag);
}

bool session_echo_hope(struct session *s, const struct addr *rcpt, const struct verdict *refused)
{
	struct str tag;
	bool peer = s->who.inbound != NULL && s->who.inbound->type == INBOUND_PEER;

	if (!peer || refused->action != ROUTE_REJECT || echo_address(session_config(s), rcpt, &tag) != ECHO_PLAIN)
		return false;
	s->tx.echo.refused = *refused;
	return s->tx.echo.open || keep(&s->tx, STR_NONE);
}

static void describe_certificate(const struct session *s, char *text, size_t room)
{
	const struct tls_peer *p = s->secured ? tls_peer(&s->stream) : NULL;

	if (p == NULL)
		snprintf(text, room, "in clear, from %s", s->client_text);
	else if (!p->has_certificate)
		snprintf(text, room, "without a certificate, from %s", s->client_text);
	else
		snprintf(text, room, "certificate " STR_FMT "%s" STR_FMT ", from %s", STR_ARG(p->subject),
			 p->chain_ok ? "" : ": ", STR_ARG(p->chain_ok ? STR_NONE : p->chain_error), s->client_text);
}

static void tell(struct session *s, const struct echo_nonce *nonce)
{
	const struct transaction *t = &s->tx;
	const struct attribution *who = &s->who;
	struct str claim = t->env.xorg.n > 0 ? t->env.xorg : str_c(t->claim.org);
	struct echo_return r = { .unix_s = nonce->unix_s,
				 .report = t->env.from.n == 0,
				 .peer = who->inbound != NULL && who->inbound->type == INBOUND_PEER,
				 .by_certificate = str_starts(who->how, S("cert:")),
				 .org = who->org,
				 .internal = who->class == ENV_CLASS_INT };

	snprintf(r.connector, sizeof r.connector, STR_FMT, STR_ARG(nonce->send->name));
	snprintf(r.claim, sizeof r.claim, STR_FMT, STR_ARG(claim));
	snprintf(r.how, sizeof r.how, STR_FMT, STR_ARG(who->how));
	snprintf(r.filtered, sizeof r.filtered, "%s", t->echo.seen.filtered);
	describe_certificate(s, r.certificate, sizeof r.certificate);
	log_info(&s->log, "echo.returned", kv_c("connector", r.connector), kv_c("client", s->client_text),
		 kv_str("how", who->how), kv_c("class", r.internal ? "internal" : "external"),
		 kv_bool("report", r.report), kv_str("trace", t->env.trace_id));
	if (s->server->shared->echoes != NULL)
		echo_board_tell(s->server->shared->echoes, &r);
}

void session_echo_header(struct session *s)
{
	const struct token_keys *keys = outbound_token_keys(s->setup->outbound);
	struct transaction *t = &s->tx;
	struct echo_nonce nonce;
	int64_t now_ms = clock_wall_ms();
	struct reply r;

	if (!t->echo.open)
		return;
	bool ours = echo_verify(keys, session_config(s), t->echo.tag, now_ms, &nonce);
	for (unsigned i = 0; i < t->echo.seen.tag_n && !ours; i++)
		ours = echo_verify(keys, session_config(s), str_n(t->echo.seen.tags[i], ECHO_TAG), now_ms, &nonce);
	if (ours) {
		tell(s, &nonce);
	} else if (t->env.rcpt_n == 0 && t->echo.refused.action == ROUTE_REJECT) {
		policy_refusal(&t->echo.refused, t->env.origin, t->env.trace_id, t->text, sizeof t->text, &r);
		t->verdict_rule.rule = t->echo.refused.rule;
		t->verdict_rule.reason = t->echo.refused.reason;
		transaction_judge(t, r);
	}
}
