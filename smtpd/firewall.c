/* smtpd/firewall.c: the header of a message is complete: who it is from is settled (recognise.c), then the policy.
 *
 * A peer may name its organisation in the header only (spec 4.3.2), so how far the header is believed is known only
 * when all of it has been read. */
#include "smtpd/firewall.h"

#include "smtpd/echo.h"
#include "smtpd/judge.h"
#include "smtpd/policy.h"

#include <stdio.h>
#include <string.h>

static void count(struct session *s, const struct header_changes *c)
{
	for (int g = 1; g < GROUP_N; g++) {
		uint64_t n = c->counts[g][HEADER_STRIP] + c->counts[g][HEADER_RENAME];
		if (n > 0)
			__atomic_add_fetch(&s->server->counters.header_fields[g], n, __ATOMIC_RELAXED);
	}
}

static void tell(struct session *s, const struct transaction *t, const struct header_changes *c)
{
	log_info(&s->log, "header.edited", kv_str("trace", t->env.trace_id), kv_str("names", c->names),
		 kv_str("groups", c->summary), kv_c("direction", "in"));
	if (!c->forged)
		return;
	uint64_t held_back;
	if (s->who.origin == ENV_INTERNET)
		COUNT(s->server, forged_messages);
	if (!hush_may_say(&s->server->hush, "forged", str_c(s->client_text), loop_now_ms(s->server->loop), &held_back))
		return;
	log_warn(&s->log, "header.forged",
		 kv_c("code", s->who.origin == ENV_INTERNET ? "FORGED-ORG" : "ORG-UNVERIFIED"),
		 kv_str("trace", t->env.trace_id), kv_str("names", c->names), kv_str("from", t->env.from),
		 kv_c("client", s->client_text), kv_int("not_told", (int64_t)held_back));
}

/* ---- route tokens (spec 8.4) ---- */

/* Marks the recipients that the token names and that would go back; how many were not marked before. */
static size_t mark_loops(struct session *s, struct transaction *t, const struct token *token, struct verdict *last)
{
	const struct addr_rules rules = { .smtputf8 = true, .relaxed = true };
	size_t marked = 0;

	for (size_t i = 0; i < t->env.rcpt_n; i++) {
		struct addr rcpt;
		struct verdict v;
		if (t->rcpts[i].token_seen || addr_parse(t->rcpts[i].addr, &rules, &rcpt) != ADDR_OK ||
		    !session_ask_table(s, &rcpt, token, t->env.org, &v) || !str_eq(str_c(v.rule), S("R41")))
			continue;
		t->rcpts[i].token_seen = true;
		if (v.action ==
		    ROUTE_DROP) { /* it has the message: nobody is refused for that, the delivery drops it */
			unsigned g = token->generation;
			t->rcpts[i].generation = g < ENV_GENERATION_MAX ? g : ENV_GENERATION_MAX;
			continue;
		}
		*last = v;
		marked++;
		log_warn(&s->log, "token.loop", kv_str("to", t->rcpts[i].addr), kv_c("rule", v.rule),
			 kv_c("reason", v.reason), kv_c("action", route_action_name(v.action)),
			 kv_str("trace", t->env.trace_id));
	}
	return marked;
}

/* Every recipient came back: the other side keeps the message.  Only some did: it is ours, and the delivery tells
 * about those (spec 1.4). */
static void judge_tokens(struct session *s, struct transaction *t)
{
	const struct token_keys *keys = outbound_token_keys(s->setup->outbound);
	unsigned char message[TOKEN_SHORT];
	struct verdict last = { 0 };
	size_t loops = 0;

	if (!t->notes.bind)
		return;
	token_bind(&t->notes.message, message);
	for (size_t i = 0; i < t->notes.n; i++) {
		struct header_note *n = &t->notes.v[i];
		struct token token;
		if (n->kind != HEADER_TOKEN)
			continue;
		enum token_verdict v = token_verify(keys, n->value, message, t->env.arrived_ms, &token);
		if (v != TOKEN_VALID) {
			log_warn(&s->log, "token.invalid", kv_c("why", token_verdict_name(v)),
				 kv_str("trace", t->env.trace_id), kv_c("client", s->client_text));
			continue;
		}
		n->kind = HEADER_TOKEN_VALID;
		if (token.journaled) /* signed: it holds for mail of strangers, too, which comes without a claim */
			t->env.journal = ENV_JOURNAL_DONE;
		if (token.premises == session_config(s)->site)
			loops += mark_loops(s, t, &token, &last);
	}
	if (loops == 0 || loops < t->env.rcpt_n)
		return;
	COUNT(s->server, loops_stopped);
	struct reply r;
	policy_refusal(&last, t->env.origin, t->env.trace_id, t->text, sizeof t->text, &r);
	t->verdict_rule.rule = last.rule;
	t->verdict_rule.reason = last.reason;
	transaction_judge(t, r);
}

/* ---- who wrote it (hardening HY-9) ---- */

static bool judge_author(struct session *s, struct transaction *t)
{
	struct reply r;

	if (policy_author(session_config(s), t->env.origin, t->author, t->env.trace_id, t->text, sizeof t->text, &r))
		return true;
	transaction_judge(t, r);
	return false;
}

/* A message that has a name on the other side keeps it (spec 4.5): one query finds it on both. */
static void adopt_network_id(struct session *s, struct transaction *t, enum header_trust trust)
{
	struct str id = ident_network_id(&t->ident, trust);

	if (id.n == 0)
		return;
	log_info(&s->log, "trace.adopted", kv_str("trace", id), kv_c("was", t->trace_id));
	memcpy(t->trace_id, id.p, GUID_SIZE);
}

void firewall_judge(void *session, struct transaction *t)
{
	struct session *s = session;
	struct header_changes changes;

	bool taken = session_judge_header(s);
	session_echo_header(s);
	if (!taken || !judge_author(s, t))
		return;
	judge_tokens(s, t);
	const struct header_in in = { .trust = header_trust_of(&s->who, s->receive->perms),
				      .cloud_mail = s->receive->perms & PERM_CLOUD_MAIL,
				      .sender_ours =
					      t->notes.n > 0 && header_sender_ours(session_config(s), t->env.from) };
	if (!header_edit_in(&in, &t->notes, &t->header, &changes)) {
		transaction_judge(t, REPLY(452, 4, 3, 1, "out of memory for this session"));
		return;
	}
	t->edits = changes.edits;
	track_headers_of(&changes, &t->headers);
	adopt_network_id(s, t, in.trust);
	t->env.plain_headers = header_notes_plain(&t->notes, &in);
	if (changes.journaled)
		t->env.journal = ENV_JOURNAL_DONE;
	count(s, &changes);
	if (changes.total > 0)
		tell(s, t, &changes);
	session_judge_begin(s);
}
