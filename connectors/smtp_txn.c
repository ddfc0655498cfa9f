/* connectors/smtp_txn.c: one message on one connection: what is pushed next, and what each answer means.
 *
 *   RSET? -> MAIL -> RCPT* -> DATA -> (354) CONTENT -> WAIT
 *                        \--> CHUNK -> CHUNK_CONTENT -> (CHUNK ...) -> WAIT
 *
 * Each step puts one thing on the stream and the ring.  With PIPELINING steps run on until something must be waited
 * for; without it a step runs only when the ring is empty.  The transaction ends when nothing more is to be pushed and
 * the ring is empty; answers map to recipients one to one, in order.  handed_over is set with the last byte: from there
 * on a lost connection means "unknown", never "again". */
#include "connectors/smtp_txn.h"

#include "base/must.h"

#include <stdio.h>

enum { STEP_RSET, STEP_MAIL, STEP_RCPT, STEP_DATA, STEP_CONTENT, STEP_CHUNK, STEP_CHUNK_CONTENT, STEP_WAIT, STEP_N };

enum {
	FEED_MARK =
		64 * 1024, /* unsent bytes we keep before the socket: below STREAM_HIGH, so replies are always read */
	CHUNK_MAX = 256 * 1024, /* BDAT chunk: after a refusal at most this much is sent in vain */
};

static bool offers(const struct smtp_client *c, unsigned caps)
{
	return (c->caps.caps & caps) == caps;
}

/* The reply for the report, as exactly as one clean line can be; empty without memory for it. */
static struct str keep_words(struct smtp_txn *t, const struct reply *r)
{
	enum { WORDS_MAX = 900 }; /* a field of a report holds no more */
	struct str out = STR_NONE;
	struct buf words;

	buf_init(&words, REPLY_BYTES_MAX * 2);
	reply_put_flat(&words, r);
	arena_dup(t->arena, str_head(buf_str(&words), WORDS_MAX), &out);
	buf_fini(&words);
	return out;
}

void smtp_txn_resolve(struct smtp_txn *t, enum rcpt_result result, const struct reply *r, struct str text)
{
	struct str copy = STR_NONE;
	struct smtp_rcpt *rcpt;

	STAILQ_FOREACH (rcpt, &t->rcpts, next) {
		if (rcpt->result != RCPT_PENDING)
			continue;
		if (copy.p == NULL && !arena_dup(t->arena, text, &copy))
			copy = S("no memory for the reason");
		rcpt->result = result;
		rcpt->reply = *r;
		rcpt->reply.text = rcpt->text = copy;
	}
}

/* ---- the end ---- */

static void finish(struct smtp_client *c, enum smtp_end end)
{
	struct smtp_txn *t = c->txn;

	t->end = end;
	t->where = c->where;
	t->no_dsn = !offers(c, EHLO_DSN);
	t->reply.text = str_c(t->text);
	c->txn = NULL;
	c->finished = t;
	c->window = STR_NONE;
	c->fetching = false;
	c->served++;
	if (c->phase == CLIENT_BUSY)
		c->phase = CLIENT_IDLE;
	client_report(c);
}

static void tell(struct smtp_txn *t, struct reply r, struct str text)
{
	t->reply = r;
	snprintf(t->text, sizeof t->text, STR_FMT, STR_ARG(text));
}

/* No recipient is left waiting: what was not answered is asked again elsewhere or later, by the pool. */
static void end_without_answers(struct smtp_client *c, enum smtp_end end)
{
	struct smtp_rcpt *rcpt;

	STAILQ_FOREACH (rcpt, &c->txn->rcpts, next)
		rcpt->accepted = false;
	tell(c->txn, c->fault.reply, str_c(c->fault.text));
	finish(c, end);
}

void txn_abandon(struct smtp_client *c, bool answered_421)
{
	static const char unknown[] = "The message was sent completely, but its answer was lost; it may arrive twice: ";
	bool stale = c->served > 0 && !c->answered;

	if (c->handed_over && stream_unsent(&c->stream) == 0 && !answered_421 && !stale) {
		char text[400];
		snprintf(text, sizeof text, "%s%.300s", unknown, c->fault.text);
		smtp_txn_resolve(c->txn, RCPT_DEFERRED, &c->fault.reply, str_c(text));
		tell(c->txn, c->fault.reply, str_c(text));
		finish(c, SMTP_UNKNOWN);
		return;
	}
	if (stale)
		c->fault.bad_host = false; /* it only got tired of waiting */
	end_without_answers(c, stale ? SMTP_STALE : SMTP_LOST);
}

/* Refused before anything is sent: the message cannot go to this server as it is. */
static void refuse(struct smtp_client *c, struct reply r, const char *text)
{
	smtp_txn_resolve(c->txn, RCPT_FAILED, &r, str_c(text));
	tell(c->txn, r, str_c(text));
	finish(c, SMTP_ENDED);
}

/* The answer to DATA, BDAT or the end: it is every accepted recipient's. */
static void settle_accepted(struct smtp_client *c, const struct reply *r, enum asked asked)
{
	enum rcpt_result result = reply_is_ok(r) ? RCPT_SENT : reply_is_permanent(r) ? RCPT_FAILED : RCPT_DEFERRED;
	char words[400];
	struct str text = client_quote(c, r, asked, words, sizeof words), copy = STR_NONE;
	struct str said = result == RCPT_SENT ? STR_NONE : keep_words(c->txn, r);
	struct smtp_rcpt *rcpt;

	tell(c->txn, *r, text);
	STAILQ_FOREACH (rcpt, &c->txn->rcpts, next) {
		if (!rcpt->accepted || rcpt->result != RCPT_PENDING)
			continue;
		if (result != RCPT_SENT && copy.p == NULL && !arena_dup(c->txn->arena, text, &copy))
			copy = S("no memory for the reason");
		rcpt->result = result;
		rcpt->reply = *r;
		rcpt->reply.text = rcpt->text = copy;
		rcpt->said = said;
	}
}

static void settle_one(struct smtp_client *c, struct smtp_rcpt *rcpt, enum rcpt_result result, const struct reply *r)
{
	char words[400];
	struct str text = client_quote(c, r, ASKED_RCPT, words, sizeof words);

	if (!arena_dup(c->txn->arena, text, &rcpt->text))
		rcpt->text = S("no memory for the reason");
	rcpt->result = result;
	rcpt->reply = *r;
	rcpt->reply.text = rcpt->text;
	rcpt->said = keep_words(c->txn, r);
	tell(c->txn, *r, text);
}

/* ---- can this server take it at all? (needs are computed from the real bytes, per hop) ---- */

static bool is_8bit(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (chr_is_8bit(s.p[i]))
			return true;
	return false;
}

static bool needs_smtputf8(const struct smtp_txn *t)
{
	const struct smtp_rcpt *rcpt;

	if (is_8bit(t->env.from) || (t->env.smtputf8 && t->header_8bit))
		return true;
	STAILQ_FOREACH (rcpt, &t->rcpts, next)
		if (is_8bit(rcpt->addr))
			return true;
	return false;
}

static bool has_bare_newline(struct smtp_client *c, struct str run, bool last)
{
	body_scan(&c->scan, run, last);
	return c->scan.bare_cr || c->scan.bare_lf;
}

static const char bare_text[] = "The message holds a bare CR or LF and the next server does not take binary chunks";

static bool can_take(struct smtp_client *c)
{
	struct smtp_txn *t = c->txn;
	char text[200];

	if (offers(c, EHLO_SIZE) && c->caps.size != 0 && t->size > c->caps.size) {
		snprintf(text, sizeof text, "Message of %llu bytes: %.60s takes at most %llu",
			 (unsigned long long)t->size, c->where.host, (unsigned long long)c->caps.size);
		refuse(c, REPLY(552, 5, 3, 4, ""), text);
	} else if (t->env.smtputf8 && !offers(c, EHLO_SMTPUTF8)) {
		refuse(c, REPLY(553, 5, 6, 7, ""),
		       "Internationalised addresses or headers, and the next server does not offer SMTPUTF8");
	} else if (t->env.body == ENV_BODY_BINARYMIME && (!c->bdat || !offers(c, EHLO_BINARYMIME))) {
		refuse(c, REPLY(554, 5, 6, 1, ""), "Binary content, and the next server does not offer BINARYMIME");
	} else if (!c->bdat && t->content.p != NULL && has_bare_newline(c, t->content, true)) {
		refuse(c, REPLY(554, 5, 6, 11, ""), bare_text);
	} else {
		return true;
	}
	return false;
}

/* ---- steps: true = something was pushed, go on ---- */

static struct cmd_offer offer_of(const struct smtp_client *c)
{
	return (struct cmd_offer){
		.size = offers(c, EHLO_SIZE),
		.eightbitmime = offers(c, EHLO_8BITMIME),
		.smtputf8 = offers(c, EHLO_SMTPUTF8),
		.dsn = offers(c, EHLO_DSN),
		.binarymime = offers(c, EHLO_BINARYMIME),
		.xoorg = offers(c, EHLO_XOORG),
		.auth = offers(c, EHLO_AUTH),
	};
}

static bool push_rset(struct smtp_client *c)
{
	c->step = STEP_MAIL;
	if (!c->need_rset)
		return true;
	cmd_put(stream_out(&c->stream), VERB_RSET, STR_NONE);
	client_expect(c, ASKED_RSET, false);
	return true;
}

static bool push_mail(struct smtp_client *c)
{
	struct cmd_offer offer = offer_of(c);

	cmd_put_mail(stream_out(&c->stream), &c->txn->env, &offer, c->txn->size);
	client_expect(c, ASKED_MAIL, false);
	c->step = STEP_RCPT;
	return true;
}

/* RFC 9422: the rest goes in another transaction. */
static void leave_rest(struct smtp_client *c)
{
	for (struct smtp_rcpt *r = c->to_send; r != NULL; r = STAILQ_NEXT(r, next))
		r->result = RCPT_AGAIN;
	c->to_send = NULL;
}

static bool push_rcpt(struct smtp_client *c)
{
	struct cmd_offer offer = offer_of(c);

	if (c->caps.rcpt_max > 0 && c->asked_n == c->caps.rcpt_max)
		leave_rest(c);
	if (c->to_send == NULL || c->refused) {
		c->step = c->refused || c->txn->probe ? STEP_WAIT : c->bdat ? STEP_CHUNK : STEP_DATA;
		return true;
	}
	cmd_put_rcpt(stream_out(&c->stream), c->to_send->addr, &c->to_send->env, &offer);
	client_expect(c, ASKED_RCPT, false);
	c->asked_n++;
	c->to_send = STAILQ_NEXT(c->to_send, next);
	return true;
}

/* MAIL was refused, the content was, or all recipients were and we know it already. */
static bool is_pointless(const struct smtp_client *c)
{
	return c->refused || (c->to_answer == NULL && c->accepted_n == 0);
}

static bool push_data(struct smtp_client *c)
{
	c->step = STEP_WAIT; /* 354 sets STEP_CONTENT */
	if (is_pointless(c))
		return true;
	cmd_put(stream_out(&c->stream), VERB_DATA, STR_NONE);
	client_expect(c, ASKED_DATA, false);
	return true;
}

/* Content at hand, at most `n` bytes; asks for the next window when there is none. */
static struct str take_content(struct smtp_client *c, uint64_t n)
{
	struct smtp_txn *t = c->txn;

	if (c->window.n == 0 && t->content.p != NULL)
		c->window = str_skip(t->content, (size_t)c->pos.at);
	struct str run = edits_take(t->edits, &c->pos, &c->window, (size_t)n);
	if (run.n == 0) {
		must(t->content.p == NULL);
		c->fetching = true;
		t->fetch(t, c->pos.at);
	}
	c->sent += run.n;
	return run;
}

static bool may_feed(const struct smtp_client *c)
{
	return !c->fetching && stream_unsent(&c->stream) < FEED_MARK;
}

static bool push_content(struct smtp_client *c)
{
	struct smtp_txn *t = c->txn;
	struct buf *out = stream_out(&c->stream);

	if (!may_feed(c))
		return false;
	if (c->sent < t->size) {
		struct str run = take_content(c, FEED_MARK);
		if (run.n == 0)
			return false;
		if (t->content.p == NULL && has_bare_newline(c, run, c->sent == t->size)) {
			struct reply r = REPLY(554, 5, 6, 11, "");
			smtp_txn_resolve(t, RCPT_FAILED, &r, str_c(bare_text));
			client_fail(c, r, false, "%s", bare_text); /* no way back but to hang up before the dot */
			return false;
		}
		buf_reserve(out, run.n + 64);
		body_out_add(&c->body, run, out);
	}
	if (c->sent == t->size) {
		body_out_finish(&c->body, out);
		c->handed_over = true;
		c->step = STEP_WAIT;
	}
	return true;
}

static bool push_chunk(struct smtp_client *c)
{
	uint64_t left = c->txn->size - c->sent;
	bool last = left <= CHUNK_MAX;

	if (is_pointless(c)) {
		c->step = STEP_WAIT;
		return true;
	}
	c->chunk_left = last ? left : CHUNK_MAX;
	buf_reserve(stream_out(&c->stream), c->chunk_left < FEED_MARK ? (size_t)c->chunk_left + 64 : FEED_MARK);
	cmd_put_bdat(stream_out(&c->stream), c->chunk_left, last);
	client_expect(c, ASKED_BDAT, last);
	c->handed_over = last && left == 0;
	c->step = c->handed_over ? STEP_WAIT : STEP_CHUNK_CONTENT;
	return true;
}

static bool push_chunk_content(struct smtp_client *c)
{
	if (!may_feed(c))
		return false;
	struct str run = take_content(c, c->chunk_left < FEED_MARK ? c->chunk_left : FEED_MARK);
	if (run.n == 0)
		return false;
	buf_add(stream_out(&c->stream), run);
	c->chunk_left -= run.n;
	if (c->chunk_left == 0) {
		c->handed_over = c->sent == c->txn->size;
		c->step = c->handed_over ? STEP_WAIT : STEP_CHUNK;
	}
	return true;
}

static bool push_nothing(struct smtp_client *c)
{
	(void)c;
	return false;
}

/* `command`: waits for the ring when the server does not pipeline. */
static const struct {
	bool command;
	bool (*push)(struct smtp_client *c);
} steps[STEP_N] = {
	[STEP_RSET] = { true, push_rset },
	[STEP_MAIL] = { true, push_mail },
	[STEP_RCPT] = { true, push_rcpt },
	[STEP_DATA] = { true, push_data },
	[STEP_CONTENT] = { false, push_content },
	[STEP_CHUNK] = { true, push_chunk },
	[STEP_CHUNK_CONTENT] = { false, push_chunk_content },
	[STEP_WAIT] = { false, push_nothing },
};

static bool may_push(const struct smtp_client *c)
{
	if (!steps[c->step].command)
		return true;
	return c->ring_n == 0 || (offers(c, EHLO_PIPELINING) && c->ring_n < CLIENT_RING);
}

void txn_advance(struct smtp_client *c)
{
	while (c->txn != NULL && may_push(c) && steps[c->step].push(c))
		;
	if (c->txn == NULL)
		return;
	stream_flush_later(&c->stream);
	if (c->step == STEP_WAIT && c->ring_n == 0)
		finish(c, c->no_bdat ? SMTP_NO_BDAT : SMTP_ENDED);
}

/* ---- answers ---- */

void on_rset(struct smtp_client *c, const struct reply *r, bool last)
{
	(void)last;
	if (r->code != 250)
		client_fail(c, REPLY(451, 4, 5, 0, ""), true, "%s[%s] answered RSET with %d", c->where.host,
			    c->where.ip, r->code);
	c->need_rset = false;
}

void on_mail(struct smtp_client *c, const struct reply *r, bool last)
{
	char words[400];
	struct str text;

	(void)last;
	if (r->code >= 200 && r->code < 300) {
		c->need_rset = true;
		return;
	}
	text = client_quote(c, r, ASKED_MAIL, words, sizeof words);
	const struct response_rule *rule = response_find(r, RESPONSE_TO_MAIL, true);
	if (rule != NULL && rule->act == RESPONSE_NEXT_HOST) {
		client_fail(c, REPLY(451, 4, 3, 2, ""), true, STR_FMT, STR_ARG(text));
		return;
	}
	c->refused = true;
	tell(c->txn, *r, text);
	struct str said = keep_words(c->txn, r);
	struct smtp_rcpt *rcpt;
	STAILQ_FOREACH (rcpt, &c->txn->rcpts, next)
		if (rcpt->result == RCPT_PENDING)
			rcpt->said = said;
	smtp_txn_resolve(c->txn, reply_is_permanent(r) ? RCPT_FAILED : RCPT_DEFERRED, r, text);
}

void on_rcpt(struct smtp_client *c, const struct reply *r, bool last)
{
	struct smtp_rcpt *rcpt = c->to_answer;

	(void)last;
	const struct response_rule *rule = response_find(r, RESPONSE_TO_RCPT, true);

	must(rcpt != NULL);
	c->to_answer = STAILQ_NEXT(rcpt, next);
	if (c->to_answer != NULL && c->to_answer->result == RCPT_AGAIN)
		c->to_answer = NULL; /* not asked, see leave_rest */
	if (rcpt->result != RCPT_PENDING)
		return;
	if (r->code >= 200 && r->code < 300) {
		rcpt->accepted = true;
		c->accepted_n++;
	} else if (rule != NULL && rule->act == RESPONSE_SPLIT) {
		settle_one(c, rcpt, c->accepted_n > 0 ? RCPT_AGAIN : RCPT_DEFERRED, r);
	} else {
		settle_one(c, rcpt, reply_is_permanent(r) ? RCPT_FAILED : RCPT_DEFERRED, r);
	}
}

void on_data(struct smtp_client *c, const struct reply *r, bool last)
{
	(void)last;
	if (r->code == 354) {
		client_expect(c, ASKED_DOT, true);
		if (c->accepted_n > 0) {
			c->step = STEP_CONTENT;
			return;
		}
		/* it wants content for nobody: give it none (RFC 2920 3.1) */
		buf_add(stream_out(&c->stream), S(".\r\n"));
		stream_flush_later(&c->stream);
		return;
	}
	if (r->code < 400) {
		client_fail(c, REPLY(451, 4, 5, 0, ""), true, "%s[%s] answered DATA with %d", c->where.host,
			    c->where.ip, r->code);
		return;
	}
	c->refused = true;
	if (c->accepted_n > 0)
		settle_accepted(c, r, ASKED_DATA);
}

static bool is_unknown_command(const struct reply *r)
{
	return r->code == 500 || r->code == 502 || r->code == 503 || r->code == 504;
}

/* "Go on" to something that was complete: neither taken nor refused, whatever the server thinks it was asked. */
static bool is_out_of_step(struct smtp_client *c, const struct reply *r)
{
	if (r->code < 300 || r->code >= 400)
		return false;
	client_fail(c, REPLY(451, 4, 5, 0, ""), false, "%s[%s] answered the message with %d", c->where.host,
		    c->where.ip, r->code);
	return true;
}

/* Taken before the last byte has left us: it is not the whole message that was taken. */
static bool is_premature(const struct smtp_client *c)
{
	return !c->handed_over || stream_unsent(&c->stream) > 0;
}

static void fail_premature(struct smtp_client *c, const struct reply *r)
{
	client_fail(c, REPLY(451, 4, 5, 0, ""), false, "%s[%s] answered %d before the end of the message",
		    c->where.host, c->where.ip, r->code);
}

void on_bdat(struct smtp_client *c, const struct reply *r, bool last)
{
	bool ok = r->code >= 200 && r->code < 300;

	if (is_out_of_step(c, r))
		return;
	if (ok && last && is_premature(c)) {
		fail_premature(c, r);
		return;
	}
	if (ok && !last)
		return;
	if (ok && !c->refused) {
		c->need_rset = false;
		settle_accepted(c, r, ASKED_BDAT);
		return;
	}
	if (c->refused || c->accepted_n == 0)
		return;
	c->refused = true;
	if (is_unknown_command(r))
		c->no_bdat = true; /* offered and not known: recipients stay open for another attempt with DATA */
	else
		settle_accepted(c, r, ASKED_BDAT);
}

void on_dot(struct smtp_client *c, const struct reply *r, bool last)
{
	(void)last;
	c->need_rset = false;
	if (c->accepted_n == 0)
		return;
	if (is_premature(c)) {
		/* a refusal counts, but the connection is out of step */
		if (r->code >= 400)
			settle_accepted(c, r, ASKED_DOT);
		fail_premature(c, r);
		return;
	}
	if (is_out_of_step(c, r))
		return;
	settle_accepted(c, r, ASKED_DOT);
	if (r->code == 421)
		client_fail(c, REPLY(451, 4, 3, 2, ""), false, "%s[%s] ended the session", c->where.host, c->where.ip);
}

/* ---- for the pool ---- */

void smtp_client_send(struct smtp_client *c, struct smtp_txn *t)
{
	must(c->phase == CLIENT_IDLE && c->txn == NULL && c->finished == NULL && c->ring_n == 0 && t->rcpt_n > 0);
	c->phase = CLIENT_BUSY;
	c->txn = t;
	t->client = c;
	c->to_send = c->to_answer = STAILQ_FIRST(&t->rcpts);
	c->step = STEP_RSET;
	c->asked_n = c->accepted_n = 0;
	c->sent = c->chunk_left = 0;
	c->pos = (struct edit_pos){ 0 };
	c->window = STR_NONE;
	c->bdat = offers(c, EHLO_CHUNKING) && !(c->target.no_chunking != NULL && *c->target.no_chunking);
	c->refused = c->handed_over = c->answered = c->fetching = c->no_bdat = false;
	c->scan = (struct body_scan){ 0 };
	body_out_init(&c->body);
	t->reply = (struct reply){ 0 };
	t->text[0] = '\0';
	t->env.smtputf8 = needs_smtputf8(t);
	if (can_take(c))
		txn_advance(c);
}

void smtp_client_content(struct smtp_client *c, bool ok, struct str bytes_or_text)
{
	must(c->txn != NULL && c->fetching && c->window.n == 0);
	c->fetching = false;
	if (!ok) {
		struct reply r = REPLY(451, 4, 3, 0, "");
		smtp_txn_resolve(c->txn, RCPT_DEFERRED, &r, bytes_or_text);
		client_fail(c, r, false, "cannot read the message: " STR_FMT, STR_ARG(bytes_or_text));
		return;
	}
	must(bytes_or_text.n > 0);
	c->window = bytes_or_text;
	txn_advance(c);
}
