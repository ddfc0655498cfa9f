/* smtpd/cmd_data.c: DATA and BDAT: content on its way into the spool, and the reply that only durability permits. */
#include "smtpd/commands.h"

#include "connectors/reason.h"
#include "smtpd/filter_session.h"
#include "smtpd/firewall.h"
#include "smtpd/judge.h"
#include "smtpd/policy.h"
#include "smtpd/track_session.h"

static enum step step_data(struct session *s);
static enum step step_bdat(struct session *s);
const struct state state_data = { "data", step_data };
const struct state state_bdat = { "bdat", step_bdat };

static bool has_recipient(const struct session *s)
{
	return s->tx.env.rcpt_n > 0 || s->tx.echo.open;
}

bool check_data(const struct session *s, struct str args, struct reply *r)
{
	if (args.n > 0)
		*r = REPLY(501, 5, 5, 4, "DATA takes no parameter");
	else if (!has_recipient(s))
		*r = s->tx.rejected > 0 ? REPLY(554, 5, 5, 1, "no valid recipients")
					: REPLY(503, 5, 5, 1, "say RCPT first");
	else if (s->tx.env.body == ENV_BODY_BINARYMIME)
		*r = REPLY(503, 5, 5, 1, "BINARYMIME goes with BDAT (RFC 3030)");
	return r->code == 0;
}

/* RFC 3848, RFC 6531: how the message came in. */
static struct str protocol_of(const struct session *s)
{
	bool utf8 = s->tx.env.smtputf8;

	if (!s->esmtp)
		return S("SMTP");
	if (s->secured)
		return utf8 ? S("UTF8SMTPS") : S("ESMTPS");
	return utf8 ? S("UTF8SMTP") : S("ESMTP");
}

static bool content_begin(struct session *s)
{
	const struct config *c = session_config(s);
	struct transaction *t = &s->tx;
	char tls[300] = "";
	struct received r = {
		.helo = s->helo,
		.client = str_c(s->client_text),
		.by = session_our_name(s),
		.protocol = protocol_of(s),
	};

	if (s->secured) {
		const struct tls_peer *p = tls_peer(&s->stream);
		bool proved = str_starts(s->who.how, S("cert:"));
		snprintf(tls, sizeof tls, STR_FMT " cipher=" STR_FMT "%s" STR_FMT, STR_ARG(p->protocol),
			 STR_ARG(p->cipher), proved ? " verify=" : "", STR_ARG(proved ? s->who.how : STR_NONE));
		r.tls = str_c(tls);
	}
	if (!arena_dup(&s->arena, r.tls, &t->env.tls))
		return false;
	s->content_from_ms = loop_now_ms(s->server->loop);
	t->on_header = firewall_judge;
	t->on_header_arg = s;
	bool ok = transaction_content_begin(t, s->server->port, &r, c, policy_size_max(c, s->receive)) == 0;
	t->notes.bind = t->env.origin == ENV_PEER && outbound_token_keys(s->setup->outbound)->n > 0;
	return ok;
}

/* The deadline moves only as far as the bytes received have earned at the least rate (hardening DoS-1). */
static void earn_time(struct session *s, int64_t base_ms)
{
	const struct conf_limits *l = &session_config(s)->limits;
	int64_t spent = loop_now_ms(s->server->loop) - s->content_from_ms;
	int64_t earned = l->min_data_rate > 0 ? (int64_t)(s->tx.size / l->min_data_rate * 1000) : spent;

	stream_deadline(&s->stream, base_ms + earned - spent);
}

/* ---- the end of a message ---- */

static void forget_message(struct session *s)
{
	session_filter_over(s);
	transaction_reset(&s->tx);
	s->phase = IN_READY;
}

static void tell_refusal(struct session *s, const struct reply *r)
{
	const struct transaction *t = &s->tx;

	COUNT(s->server, rejected_messages);
	log_info(&s->log, "message.refused", kv_str("from", t->env.from), kv_int("code", r->code),
		 kv_str("why", r->text), kv_int("size", (int64_t)t->size), kv_c("client", s->client_text),
		 kv_str("trace", t->env.trace_id));
	session_track_refused(s, r);
}

static enum step refuse_message(struct session *s)
{
	struct transaction *t = &s->tx;
	char text[600];
	struct reply r;
	bool odd =
		t->body.bare_cr || t->body.bare_lf || t->scan.bare_cr || t->scan.bare_lf || t->body.nul || t->scan.nul;

	policy_add_id(&t->verdict, t->env.trace_id, text, sizeof text, &r);
	tell_refusal(s, &r);
	session_reply(s, &r);
	forget_message(s);
	/* behind content with bare line ends or NUL may stand what a sloppier server would take for commands */
	session_enter(s, odd && session_config(s)->limits.bare_lf == BARE_REJECT ? &state_closing : &state_command);
	return STEP_NEXT;
}

static void reply_queued(struct session *s)
{
	struct buf *out = stream_out(&s->stream);

	buf_add(out, S("250 2.0.0 queued as "));
	queue_put_id(out, s->commit.id);
	buf_add(out, S("\r\n"));
	stream_flush_later(&s->stream);
}

static struct reply commit_failed(const struct err *e)
{
	return e->code == ERR_NO_SPACE || e->code == ERR_BUSY
		       ? reason_reply(REASON_PRESSURE, CODES_STANDARD, SITE_ONPREM)
		       : reason_reply(REASON_STORE, CODES_STANDARD, SITE_ONPREM);
}

static void on_committed(struct op *op);

static enum step commit(struct session *s)
{
	struct transaction *t = &s->tx;

	session_enter(s, &state_commit);
	s->wait = &s->commit.op;
	spool_commit(&t->spool, &t->env, &s->commit, on_committed);
	return STEP_WAIT;
}

static void log_queued(struct session *s)
{
	const struct envelope *env = &s->tx.env;
	char id[16] = "";
	struct buf b = { .p = id, .cap = sizeof id, .max = sizeof id - 1 };

	queue_put_id(&b, s->commit.id);
	log_info(&s->log, "message.queued", kv_str("queue", buf_str(&b)), kv_str("trace", env->trace_id),
		 kv_str("from", env->from), kv_int("rcpts", (int64_t)env->rcpt_n), kv_int("size", (int64_t)s->tx.size),
		 kv_c("client", s->client_text), kv_str("receive", env->receive), kv_str("inbound", env->inbound),
		 kv_str("how", s->who.how), kv_int("epoch", (int64_t)env->epoch),
		 kv_int("serial", (int64_t)env->serial));
}

static void on_committed(struct op *op)
{
	struct session *s = container_of(op, struct session, commit.op);

	s->wait = NULL;
	if (s->commit.ok) {
		COUNT(s->server, messages);
		__atomic_add_fetch(&s->server->counters.message_bytes, s->tx.size, __ATOMIC_RELAXED);
		log_queued(s);
		session_track_received(s);
		reply_queued(s);
	} else {
		struct reply r = commit_failed(&s->commit.err);
		COUNT(s->server, commit_failures);
		log_error(&s->log, "message.not_stored", kv_c("why", s->commit.err.text));
		session_reply(s, &r);
	}
	forget_message(s);
	session_enter(s, &state_command);
	session_resume(s);
}

/* Only an echo of ours: whoever waits for it knows by now. */
static enum step swallow(struct session *s)
{
	session_reply(s, &REPLY(250, 2, 0, 0, "came back"));
	forget_message(s);
	session_enter(s, &state_command);
	return STEP_NEXT;
}

/* What a content filter wants forgotten: its sender hears nothing of it, the administrator does. */
static enum step discard(struct session *s)
{
	session_track_discarded(s);
	session_reply(s, &REPLY(250, 2, 0, 0, "ok"));
	forget_message(s);
	session_enter(s, &state_command);
	return STEP_NEXT;
}

static enum step content_filtered(struct session *s)
{
	switch (s->filters->verdict.end) {
	case FILTER_GO:
		return commit(s);
	case FILTER_DISCARD:
		return discard(s);
	case FILTER_REFUSE:
	case FILTER_CLOSE:
		break;
	}
	s->tx.verdict_rule.rule = s->tx.verdict_rule.reason = "FILTER";
	tell_refusal(s, &s->filters->verdict.reply);
	session_enter(s, &state_command);
	enum step step = session_filter_reply(s);
	forget_message(s);
	return step;
}

static enum step filter_and_commit(struct session *s)
{
	if (s->filters != NULL)
		return session_filter(s, MILTER_AT_END, STR_NONE, content_filtered);
	return commit(s);
}

static void on_judged(struct session *s)
{
	session_enter(s, &state_command);
	session_go_on(s, s->tx.verdict.code != 0 ? refuse_message(s) : filter_and_commit(s));
}

static enum step message_end(struct session *s)
{
	if (!transaction_content_end(&s->tx, session_config(s)))
		return refuse_message(s);
	if (s->tx.env.rcpt_n == 0)
		return swallow(s);
	if (!session_judge_end(s, on_judged))
		return filter_and_commit(s);
	session_enter(s, &state_judge);
	return STEP_WAIT;
}

/* ---- DATA ---- */

static enum step take_data(struct session *s)
{
	s->content_from_ms = loop_now_ms(s->server->loop);
	session_reply(s, &REPLY(354, 0, 0, 0, "end with <CR><LF>.<CR><LF>"));
	session_enter(s, &state_data);
	return STEP_NEXT;
}

static enum step data_filtered(struct session *s)
{
	if (!session_is_filtered_out(s))
		return take_data(s);
	bool talks = session_has_early_input(s); /* content without our 354 is not to be taken for commands */
	session_filter_reply(s);
	forget_message(s);
	if (talks)
		session_enter(s, &state_closing);
	return STEP_NEXT;
}

enum step run_data(struct session *s, struct str args)
{
	(void)args;
	if (!content_begin(s)) {
		struct reply r = s->tx.verdict;
		session_reply(s, &r);
		forget_message(s);
		return STEP_NEXT;
	}
	if (s->filters != NULL)
		return session_filter(s, MILTER_AT_DATA, STR_NONE, data_filtered);
	return take_data(s);
}

static enum step step_data(struct session *s)
{
	struct str in = stream_in(&s->stream);
	size_t used = 0;

	if (in.n == 0)
		return STEP_WAIT;
	bool end = body_in_next(&s->tx.body, in, &used, transaction_add_data, &s->tx);
	stream_consume(&s->stream, used);
	if (end)
		return message_end(s);
	earn_time(s, session_config(s)->limits.data_ms);
	return STEP_WAIT;
}

/* ---- BDAT (RFC 3030) ---- */

static struct reply bdat_refusal(const struct session *s)
{
	if (!(s->phase & (IN_MAIL | IN_RCPT | IN_BDAT)))
		return REPLY(503, 5, 5, 1, "say MAIL and RCPT first");
	if (!has_recipient(s))
		return s->tx.rejected > 0 ? REPLY(554, 5, 5, 1, "no valid recipients")
					  : REPLY(503, 5, 5, 1, "say RCPT first");
	return (struct reply){ 0 };
}

/* A refused chunk is still read to its last octet, so that content is never taken for commands (hardening BD-4, BD-6).
 */
enum step run_bdat(struct session *s, struct str args)
{
	struct reply r = { 0 };
	uint64_t size;

	if (!cmd_parse_bdat(args, &size, &s->bdat_last, &r)) {
		session_error(s);
		session_reply(s, &r);
		session_enter(s, &state_closing);
		return STEP_NEXT;
	}
	s->bdat_left = size;
	s->junk++;
	s->held = bdat_refusal(s);
	s->bdat_swallow = s->held.code != 0;
	if (!s->bdat_swallow && s->phase != IN_BDAT) {
		s->phase = IN_BDAT;
		(void)content_begin(s); /* a failure stays in the verdict and is answered behind the chunk */
	}
	if (!s->bdat_swallow && size > s->tx.size_max - (s->tx.size < s->tx.size_max ? s->tx.size : s->tx.size_max) &&
	    s->tx.verdict.code == 0)
		s->tx.verdict = reason_reply(REASON_SIZE, CODES_STANDARD, SITE_ONPREM);
	s->content_from_ms = loop_now_ms(s->server->loop);
	session_enter(s, &state_bdat);
	return STEP_NEXT;
}

static enum step chunk_end(struct session *s)
{
	session_enter(s, &state_command);
	if (s->bdat_swallow) {
		session_error(s);
		session_reply(s, &s->held);
		return STEP_NEXT;
	}
	if (s->bdat_last)
		return message_end(s);
	if (s->tx.verdict.code != 0) {
		/* the failed chunk gets the verdict; BDAT behind it 503 until RSET or MAIL (RFC 3030 2) */
		struct reply r = s->tx.verdict;
		session_reply(s, &r);
		COUNT(s->server, rejected_messages);
		forget_message(s);
		return STEP_NEXT;
	}
	session_reply(s, &REPLY(250, 2, 0, 0, "chunk taken"));
	return STEP_NEXT;
}

static enum step step_bdat(struct session *s)
{
	struct str in = str_head(stream_in(&s->stream), s->bdat_left);

	if (s->bdat_left > 0 && in.n == 0)
		return STEP_WAIT;
	s->bdat_left -= in.n;
	if (!s->bdat_swallow)
		transaction_add_bdat(&s->tx, in, s->bdat_last && s->bdat_left == 0);
	stream_consume(&s->stream, in.n);
	if (s->bdat_left == 0)
		return chunk_end(s);
	earn_time(s, session_config(s)->limits.bdat_ms);
	return STEP_WAIT;
}
