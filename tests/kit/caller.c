/* tests/kit/caller.c: the client side of the tools.  Replies come in the order of the commands, so one cursor
 * (step, wait, rcpt_at) is all that has to be remembered, with pipelining and without. */
#include "tests/kit/caller.h"

#include "base/must.h"
#include "base/op.h"

#include <stdio.h>

static void ended(struct caller *c, const char *why)
{
	if (c->closed)
		return;
	c->closed = true;
	stream_close(&c->stream);
	c->events->closed(c, why);
}

static void failed(struct caller *c, const char *what, const struct reply *r)
{
	struct str text = r == NULL ? STR_NONE : r->text;

	snprintf(c->why, sizeof c->why, "%s: %d " STR_FMT, what, r == NULL ? 0 : r->code, STR_ARG(str_head(text, 120)));
	ended(c, c->why);
}

static void flush(struct caller *c)
{
	int64_t idle = c->options->idle_ms > 0 ? c->options->idle_ms : 60000;

	stream_deadline(&c->stream, idle);
	stream_flush_later(&c->stream);
}

static void put_ehlo(struct caller *c)
{
	c->step = CALLER_EHLO;
	cmd_put(stream_out(&c->stream), VERB_EHLO, c->options->ehlo);
	flush(c);
}

static struct cmd_offer offer_of(const struct caller *c)
{
	unsigned caps = c->peer.caps;

	return (struct cmd_offer){ .size = caps & EHLO_SIZE,
				   .eightbitmime = caps & EHLO_8BITMIME,
				   .binarymime = caps & EHLO_BINARYMIME,
				   .smtputf8 = caps & EHLO_SMTPUTF8,
				   .dsn = caps & EHLO_DSN,
				   .xoorg = caps & EHLO_XOORG };
}

static void put_next_rcpt(struct caller *c)
{
	struct cmd_offer offer = offer_of(c);
	struct env_rcpt rcpt = { 0 };

	if (c->message.params != NULL)
		rcpt = c->message.params[c->rcpt_sent];
	cmd_put_rcpt(stream_out(&c->stream), c->message.rcpts[c->rcpt_sent], &rcpt, &offer);
	c->rcpt_sent++;
}

/* The next chunk, across the border of head and body. */
static void put_chunk(struct caller *c)
{
	const struct caller_message *m = &c->message;
	size_t total = m->head.n + m->body.n, at = c->content_sent;
	size_t n = total - at < m->chunk ? total - at : m->chunk;
	struct buf *out = stream_out(&c->stream);
	struct str head = str_head(str_skip(m->head, at), n);

	cmd_put_bdat(out, n, at + n == total);
	buf_add(out, head);
	buf_add(out, str_head(str_skip(m->body, at > m->head.n ? at - m->head.n : 0), n - head.n));
	must(!out->full);
	c->content_sent += n;
	c->chunks_open++;
}

static void put_chunks(struct caller *c)
{
	do
		put_chunk(c);
	while (c->options->pipeline && c->content_sent < c->message.head.n + c->message.body.n);
	c->data_sent = true;
}

static void put_data(struct caller *c)
{
	if (c->message.chunk > 0) {
		put_chunks(c);
		return;
	}
	cmd_put(stream_out(&c->stream), VERB_DATA, STR_NONE);
	c->data_sent = true;
}

void caller_send(struct caller *c, const struct caller_message *m)
{
	struct cmd_offer offer = offer_of(c);
	struct envelope env = { .from = m->from,
				.xorg = m->xorg,
				.body = m->kind,
				.smtputf8 = m->smtputf8,
				.ret = m->ret,
				.envid = m->envid };

	must(c->step == CALLER_READY && m->rcpt_n > 0);
	c->message = *m;
	c->step = CALLER_BUSY;
	c->wait = WAIT_MAIL;
	c->rcpt_at = c->rcpt_ok = c->rcpt_sent = c->content_sent = c->chunks_open = 0;
	c->data_sent = c->refused = false;
	cmd_put_mail(stream_out(&c->stream), &env, &offer, m->head.n + m->body.n);
	if (c->options->pipeline) {
		while (c->rcpt_sent < m->rcpt_n)
			put_next_rcpt(c);
		put_data(c);
	}
	flush(c);
}

void caller_quit(struct caller *c)
{
	c->step = CALLER_QUIT;
	cmd_put(stream_out(&c->stream), VERB_QUIT, STR_NONE);
	flush(c);
}

void caller_close(struct caller *c)
{
	if (c->options == NULL)
		return;
	c->closed = true;
	stream_close(&c->stream);
}

static void tell(struct caller *c, enum verb what, size_t at, const struct reply *r)
{
	if (c->events->reply != NULL)
		c->events->reply(c, what, at, r);
}

static void put_rset(struct caller *c)
{
	c->wait = WAIT_RSET;
	cmd_put(stream_out(&c->stream), VERB_RSET, STR_NONE);
	flush(c);
}

static void put_content(struct caller *c)
{
	struct buf *out = stream_out(&c->stream);

	c->wait = WAIT_VERDICT;
	buf_add(out, c->message.head);
	buf_add(out, c->message.body);
	if (!buf_add(out, S(".\r\n")))
		failed(c, "the message is too large for this tool", NULL);
	else
		flush(c);
}

static void ready(struct caller *c)
{
	c->step = CALLER_READY;
	stream_deadline(&c->stream, -1);
	c->events->ready(c);
}

/* After MAIL or a RCPT was answered: sends what an unpipelined dialogue sends next. */
static void go_on(struct caller *c)
{
	if (c->refused && !c->data_sent) {
		put_rset(c);
		return;
	}
	if (c->rcpt_at < c->message.rcpt_n) {
		c->wait = WAIT_RCPT;
		if (c->rcpt_sent == c->rcpt_at) {
			put_next_rcpt(c);
			flush(c);
		}
		return;
	}
	if (c->rcpt_ok == 0 && !c->data_sent) {
		put_rset(c);
		return;
	}
	c->wait = c->message.chunk > 0 ? WAIT_CHUNK : WAIT_DATA;
	if (!c->data_sent) {
		put_data(c);
		flush(c);
	}
}

static void on_chunk_reply(struct caller *c, const struct reply *r)
{
	c->chunks_open--;
	if (reply_is_ok(r) && c->content_sent < c->message.head.n + c->message.body.n) {
		put_chunk(c);
		flush(c);
	} else if (c->chunks_open == 0) {
		tell(c, VERB_UNKNOWN, 0, r);
		if (reply_is_ok(r))
			ready(c);
		else
			put_rset(c);
	}
}

static void on_message_reply(struct caller *c, const struct reply *r)
{
	switch (c->wait) {
	case WAIT_MAIL:
		c->refused = !reply_is_ok(r);
		tell(c, VERB_MAIL, 0, r);
		go_on(c);
		break;
	case WAIT_RCPT:
		c->rcpt_ok += reply_is_ok(r);
		tell(c, VERB_RCPT, c->rcpt_at++, r);
		go_on(c);
		break;
	case WAIT_DATA:
		if (r->code == 354) {
			put_content(c);
			break;
		}
		tell(c, VERB_DATA, 0, r);
		put_rset(c);
		break;
	case WAIT_CHUNK:
		on_chunk_reply(c, r);
		break;
	case WAIT_VERDICT:
		tell(c, VERB_UNKNOWN, 0, r);
		ready(c);
		break;
	case WAIT_RSET:
		ready(c);
		break;
	}
}

static void on_reply(struct caller *c, const struct reply *r)
{
	if (r->code == 421) {
		failed(c, "the server hangs up", r);
		return;
	}
	switch (c->step) {
	case CALLER_GREETING:
		if (r->code != 220)
			failed(c, "greeting", r);
		else
			put_ehlo(c);
		break;
	case CALLER_EHLO:
		if (r->code != 250) {
			failed(c, "EHLO", r);
			break;
		}
		ehlo_parse(r, &c->peer);
		if (c->options->tls == NULL || tls_peer(&c->stream) != NULL) {
			ready(c);
			break;
		}
		c->step = CALLER_STARTTLS;
		cmd_put(stream_out(&c->stream), VERB_STARTTLS, STR_NONE);
		flush(c);
		break;
	case CALLER_STARTTLS:
		if (r->code != 220)
			failed(c, "STARTTLS", r);
		break;
	case CALLER_BUSY:
		on_message_reply(c, r);
		break;
	case CALLER_QUIT:
		ended(c, NULL);
		break;
	case CALLER_READY:
		failed(c, "an answer nobody asked for", r);
		break;
	}
}

static void pump(struct caller *c)
{
	while (!c->closed) {
		struct reply r;
		int n = reply_next(stream_in(&c->stream), false, &r);
		if (n == REPLY_MORE)
			return;
		if (n < 0) {
			failed(c, "the server does not speak SMTP", NULL);
			return;
		}
		bool to_tls = c->step == CALLER_STARTTLS && r.code == 220;
		on_reply(c, &r);
		if (c->closed)
			return;
		stream_consume(&c->stream, (size_t)n);
		if (to_tls) {
			stream_discard(&c->stream);
			tls_connect(&c->stream, c->options->tls, c->options->sni, c->options->session_key);
			return;
		}
	}
}

static void on_event(struct stream *s, enum stream_event event)
{
	struct caller *c = container_of(s, struct caller, stream);

	switch (event) {
	case STREAM_CONNECTED:
	case STREAM_DRAINED:
		break;
	case STREAM_SECURED:
		put_ehlo(c);
		break;
	case STREAM_READABLE:
		pump(c);
		break;
	case STREAM_EOF:
		ended(c, c->step == CALLER_QUIT ? NULL : "the server closed the connection");
		break;
	case STREAM_TIMEOUT:
		ended(c, "no answer in time");
		break;
	case STREAM_FAILED:
		snprintf(c->why, sizeof c->why, "%s", s->err.text);
		ended(c, c->why);
		break;
	}
}

void caller_start(struct caller *c, struct loop *l, const struct caller_options *o, const struct caller_events *e)
{
	struct err err;

	must(e->ready != NULL && e->closed != NULL);
	*c = (struct caller){ .options = o, .events = e, .step = CALLER_GREETING };
	stream_init(&c->stream, l, on_event);
	if (stream_connect(&c->stream, &o->to, NULL, &err) != 0) {
		snprintf(c->why, sizeof c->why, "%s", err.text);
		ended(c, c->why);
		return;
	}
	stream_deadline(&c->stream, o->idle_ms > 0 ? o->idle_ms : 60000);
}
