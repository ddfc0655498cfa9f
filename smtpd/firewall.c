/* smtpd/firewall.c: the header of a message is complete: who it is from is settled (recognise.c), then the policy.
 *
 * A peer may name its organisation in the header only (spec 4.3.2), so how far the header is believed is known only
 * when all of it has been read. */
#include "smtpd/firewall.h"

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
	if (s->who.origin == ENV_INTERNET)
		COUNT(s->server, forged_messages);
	log_warn(&s->log, "header.forged",
		 kv_c("code", s->who.origin == ENV_INTERNET ? "FORGED-ORG" : "ORG-UNVERIFIED"),
		 kv_str("trace", t->env.trace_id), kv_str("names", c->names), kv_str("from", t->env.from),
		 kv_c("client", s->client_text));
}

void firewall_judge(void *session, struct transaction *t)
{
	struct session *s = session;
	struct header_changes changes;

	if (!session_judge_header(s))
		return;
	const struct header_in in = { .trust = header_trust_of(&s->who, s->receive->perms),
				      .cloud_mail = s->receive->perms & PERM_CLOUD_MAIL,
				      .sender_ours =
					      t->notes.n > 0 && header_sender_ours(session_config(s), t->env.from) };
	if (!header_edit_in(&in, &t->notes, &t->header, &changes)) {
		transaction_judge(t, REPLY(452, 4, 3, 1, "out of memory for this session"));
		return;
	}
	t->edits = changes.edits;
	t->env.plain_headers = header_notes_plain(&t->notes, &in);
	count(s, &changes);
	if (changes.total > 0)
		tell(s, t, &changes);
}
