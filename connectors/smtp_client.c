/* connectors/smtp_client.c: one outbound connection: greeting, EHLO, STARTTLS, replies in order, faults.
 *
 *   CONNECTING -> HELLO -> [HANDSHAKE -> HELLO] -> IDLE <-> BUSY -> CLOSED
 *       |           |            |                                   ^
 *       +-----------+------------+---- client_fail ------------------+
 *                                \---- level may: connect again, stay clear (once)
 *
 * Commands sent and not yet answered stand in a ring; each reply pops one and calls on_reply[].  Pipelining is pushing
 * before popping.  Invariant: a reply nobody asked for never counts: with an empty ring it ends the connection, and
 * bytes behind the reply that empties the ring are early talk, so nothing that depends on them is sent. */
#include "connectors/reason.h"
#include "queue/queue.h"
#include "connectors/smtp_txn.h"

#include "base/fault.h"
#include "base/log.h"
#include "base/must.h"

#include <stdarg.h>
#include <stdio.h>

/* As it reads in "in reply to ...". */
static const char *const asked_names[ASKED_N] = {
	[ASKED_GREETING] = "the connection",
	[ASKED_EHLO] = "EHLO",
	[ASKED_HELO] = "HELO",
	[ASKED_STARTTLS] = "STARTTLS",
	[ASKED_RSET] = "RSET",
	[ASKED_MAIL] = "MAIL FROM",
	[ASKED_RCPT] = "RCPT TO",
	[ASKED_DATA] = "DATA",
	[ASKED_BDAT] = "BDAT",
	[ASKED_DOT] = "the end of the message",
};

static void on_stream(struct stream *s, enum stream_event e);
static void connect_stream(struct smtp_client *c, int fd);
static void greet(struct smtp_client *c);
static void say_ehlo(struct smtp_client *c);

/* ---- deadlines: one at a time, absolute; moved only by progress ---- */

static int64_t patience_ms(const struct smtp_client *c)
{
	const struct conf_send *s = c->target.send;

	switch (c->phase) {
	case CLIENT_CONNECTING:
		return s->connect_ms;
	case CLIENT_HANDSHAKE:
		return c->target.tls_ms;
	case CLIENT_IDLE:
		return s->idle_ms;
	default:
		break;
	}
	if (c->fetching)
		return -1; /* we are the slow one */
	if (stream_unsent(&c->stream) > 0 && c->sent > 0)
		return s->data_ms;
	if (c->ring_n == 1 && c->handed_over)
		return s->final_ms;
	return s->command_ms;
}

static void arm(struct smtp_client *c)
{
	if (c->phase != CLIENT_CLOSED)
		stream_deadline(&c->stream, patience_ms(c));
}

/* ---- events to the owner, at the end of the turn ---- */

static void run_report(struct loop_task *task)
{
	struct smtp_client *c = container_of(task, struct smtp_client, report);
	struct smtp_txn *t = c->finished;

	c->reporting = false;
	c->finished = NULL;
	if (c->on_event == NULL)
		return; /* fini came first */
	if (t != NULL) {
		t->client = NULL;
		t->done(t);
	}
	if (c->on_event != NULL && c->phase == CLIENT_CLOSED)
		c->on_event(c, CLIENT_DEAD);
	else if (c->on_event != NULL && c->phase == CLIENT_IDLE)
		c->on_event(c, CLIENT_READY);
}

void client_report(struct smtp_client *c)
{
	if (c->reporting)
		return;
	c->reporting = true;
	c->report.fn = run_report;
	loop_defer(c->loop, &c->report);
}

/* ---- words ---- */

static char clean(char ch)
{
	return chr_is_ctl(ch) || chr_is_8bit(ch) ? '?' : ch;
}

static size_t put_clean(char *room, size_t n, size_t at, struct str s)
{
	for (size_t i = 0; i < s.n && at + 1 < n; i++)
		room[at++] = clean(s.p[i]);
	room[at] = '\0';
	return at;
}

struct str client_quote(const struct smtp_client *c, const struct reply *r, enum asked asked, char *room, size_t n)
{
	enum { TAIL = 48 }; /* room kept for "(in reply to ...)" */
	struct str rest = r->text, line;
	size_t at;

	must(n > 128);
	at = (size_t)snprintf(room, n - TAIL, "%s[%s] said: %d", c->where.host, c->where.ip, r->code);
	if (at >= n - TAIL)
		at = n - TAIL - 1;
	while (reply_lines(&rest, &line)) {
		at = put_clean(room, n - TAIL, at, S(" "));
		at = put_clean(room, n - TAIL, at, line);
	}
	at += (size_t)snprintf(room + at, n - at, " (in reply to %s)", asked_names[asked]);
	must(at < n);
	return (struct str){ room, at };
}

/* ---- stages ---- */

void client_pass_stage(struct smtp_client *c, enum smtp_stage next, struct str says)
{
	char text[400];

	if (c->on_stage != NULL) {
		put_clean(text, sizeof text, 0, says);
		c->on_stage(c, c->at, true, text);
	}
	c->at = next;
}

static struct str first_line(const struct reply *r)
{
	struct str rest = r->text, line = STR_NONE;

	reply_lines(&rest, &line);
	return line;
}

/* All the lines of a reply behind the first one, as a list. */
static struct str keywords(const struct reply *r, char *room, size_t n)
{
	struct str rest = r->text, line;
	size_t at = 0;

	reply_lines(&rest, &line);
	while (reply_lines(&rest, &line)) {
		at = at > 0 ? put_clean(room, n, at, S(", ")) : 0;
		at = put_clean(room, n, at, line);
	}
	return (struct str){ room, at };
}

/* ---- the end ---- */

static enum smtp_why reason_of(const struct smtp_client *c)
{
	if (c->why != WHY_OTHER)
		return c->why;
	if (c->at <= AT_CONNECT)
		return WHY_UNREACHABLE;
	return c->at < AT_SESSION ? WHY_PROTOCOL : WHY_OTHER;
}

static void vset_fault(struct smtp_client *c, struct reply r, bool bad_host, const char *fmt, va_list ap)
{
	int n = vsnprintf(c->fault.text, sizeof c->fault.text, fmt, ap);

	must(n >= 0);
	for (char *p = c->fault.text; *p != '\0'; p++)
		*p = clean(*p);
	c->fault.reply = r;
	c->fault.reply.text = str_c(c->fault.text);
	c->fault.bad_host = bad_host && c->phase != CLIENT_IDLE;
	c->fault.at = c->at;
	c->fault.why = reason_of(c);
}

static void close_client(struct smtp_client *c, bool answered_421)
{
	if (c->phase == CLIENT_CLOSED)
		return;
	if (c->txn != NULL)
		txn_abandon(c, answered_421);
	c->phase = CLIENT_CLOSED;
	c->ring_n = 0;
	stream_close(&c->stream);
	client_report(c);
}

void client_fail(struct smtp_client *c, struct reply r, bool bad_host, const char *fmt, ...)
{
	va_list ap;

	if (c->phase == CLIENT_CLOSED)
		return;
	va_start(ap, fmt);
	vset_fault(c, r, bad_host, fmt, ap);
	va_end(ap);
	close_client(c, false);
}

static const enum reason refusals[] = {
	[REFUSED_STARTTLS] = REASON_OUT_STARTTLS,
	[REFUSED_HANDSHAKE] = REASON_OUT_HANDSHAKE,
	[REFUSED_CHAIN] = REASON_CERT_CHAIN,
	[REFUSED_NAME] = REASON_CERT_NAME,
};

void client_refuse(struct smtp_client *c, enum tls_refusal why, const char *fmt, ...)
{
	enum { TAIL = 16 }; /* room kept for the reason code, however long the peer's names are */
	char text[sizeof c->fault.text - TAIL];
	struct reply r = reason_reply(refusals[why], c->target.codes, SITE_ONPREM);
	va_list ap;

	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	client_fail(c, r, true, "%s (%s)", text, reason_row(refusals[why])->name);
}

static void fail_protocol(struct smtp_client *c, const char *what)
{
	c->why = WHY_PROTOCOL;
	client_fail(c, REPLY(451, 4, 5, 0, ""), c->phase != CLIENT_BUSY, "%s[%s] broke the protocol: %s", c->where.host,
		    c->where.ip, what);
}

/* The server's own words end the connection (greeting, EHLO, 421 anywhere). */
static void fail_reply(struct smtp_client *c, const struct reply *r, enum asked asked)
{
	struct reply own = REPLY(451, 4, 3, 2, "");
	char words[400];

	c->why = WHY_REFUSED;
	client_quote(c, r, asked, words, sizeof words);
	if (r->class == 4) {
		own.subject = r->subject;
		own.detail = r->detail;
	}
	if (r->code == 421 && asked != ASKED_GREETING) {
		/* on a used connection often "enough for this one": a new one may do */
		c->fault = (struct smtp_fault){ .reply = own, .at = c->at, .why = c->why, .bad_host = c->served == 0 };
		snprintf(c->fault.text, sizeof c->fault.text, "%s", words);
		c->fault.reply.text = str_c(c->fault.text);
		close_client(c, true);
		return;
	}
	client_fail(c, own, true, "%s", words);
}

/* ---- TLS ---- */

/* Connects, or says why not.  Also the second visit of a server whose handshake failed. */
static void connect_stream(struct smtp_client *c, int fd)
{
	const struct net_addr *from = c->target.send->source.n > 0 ? &c->target.send->source_addr : NULL;
	struct err e = { 0 };

	c->phase = CLIENT_CONNECTING;
	c->at = AT_CONNECT;
	c->why = WHY_OTHER;
	c->ring_at = c->ring_n = 0;
	if (fd >= 0) {
		stream_attach(&c->stream, fd, &c->target.addr);
		greet(c);
	} else if (fault("client.connect") || stream_connect(&c->stream, &c->target.addr, from, &e) != 0) {
		client_fail(c, REPLY(451, 4, 4, 1, ""), true, "%s", e.text);
	}
	arm(c);
}

static void connect_again_clear(struct smtp_client *c, const char *why)
{
	log_warn(NULL, "tls.downgrade", kv_str("connector", c->target.send->name), kv_c("host", c->where.host),
		 kv_c("ip", c->where.ip), kv_c("why", why));
	if (c->on_stage != NULL)
		c->on_stage(c, c->at, false, why);
	stream_close(&c->stream);
	c->stay_clear = true;
	connect_stream(c, -1);
}

/* TLS cannot be had: clear text where the level allows it, else the end. */
static void fail_tls(struct smtp_client *c, enum tls_refusal refusal, const char *why)
{
	if (c->target.level <= TLS_MAY && !c->stay_clear)
		connect_again_clear(c, why);
	else
		client_refuse(c, refusal, "%s[%s]: %s", c->where.host, c->where.ip, why);
}

static void on_secured(struct smtp_client *c)
{
	const struct tls_peer *peer = tls_peer(&c->stream);

	must(peer != NULL);
	c->phase = CLIENT_HELLO;
	if (!client_judge_peer(c, peer))
		return;
	stream_discard(&c->stream);   /* said before we asked (CVE-2009-3555) */
	c->caps = (struct ehlo){ 0 }; /* learnt in clear text: forgotten */
	say_ehlo(c);
}

static void start_tls(struct smtp_client *c)
{
	char key[400];
	int n = snprintf(key, sizeof key, STR_FMT "/%s:%u", STR_ARG(c->target.send->name), c->where.host,
			 net_port(&c->target.addr));

	must(n > 0);
	tls_connect(&c->stream, c->target.tls, c->target.host,
		    (size_t)n < sizeof key && !c->target.no_resumption ? (struct str){ key, (size_t)n } : STR_NONE);
	arm(c);
}

/* ---- hello ---- */

void client_expect(struct smtp_client *c, enum asked asked, bool last)
{
	must(c->ring_n < CLIENT_RING);
	c->ring[(c->ring_at + c->ring_n++) % CLIENT_RING] = (struct expect){ asked, last };
}

static void say(struct smtp_client *c, enum verb v, struct str args, enum asked asked)
{
	cmd_put(stream_out(&c->stream), v, args);
	stream_flush_later(&c->stream);
	client_expect(c, asked, false);
}

static void say_ehlo(struct smtp_client *c)
{
	say(c, VERB_EHLO, c->target.helo, ASKED_EHLO);
	arm(c);
}

static void become_ready(struct smtp_client *c)
{
	c->why = WHY_OTHER;
	c->phase = CLIENT_IDLE;
	c->at = AT_SESSION;
	c->need_rset = false;
	arm(c);
	client_report(c);
}

static bool is_secured(const struct smtp_client *c)
{
	return c->where.tls[0] != '\0';
}

static bool wants_tls(const struct smtp_client *c)
{
	return !is_secured(c) && c->target.level != TLS_NONE && !c->stay_clear;
}

/* Whatever comes now instead of an answer leaves us without TLS, as a refusal would (ST-O2). */
static bool is_asking_tls(const struct smtp_client *c)
{
	return c->ring_n > 0 && c->ring[c->ring_at].asked == ASKED_STARTTLS;
}

static void on_greeting(struct smtp_client *c, const struct reply *r, bool last)
{
	(void)last;
	if (r->code == 220) {
		client_pass_stage(c, AT_EHLO, first_line(r));
		say_ehlo(c);
	} else {
		fail_reply(c, r, ASKED_GREETING);
	}
}

/* Level may, and no TLS to be had on this connection.  A host that does not offer it is no news; one that takes back
 * its offer is. */
static void go_on_clear(struct smtp_client *c, bool offered, const char *why)
{
	LOG_(NULL, offered ? LOG_LEVEL_WARN : LOG_LEVEL_INFO, "tls.downgrade",
	     kv_str("connector", c->target.send->name), kv_c("host", c->where.host), kv_c("ip", c->where.ip),
	     kv_c("why", why));
	if (c->on_stage != NULL)
		c->on_stage(c, c->at, false, why);
	become_ready(c);
}

static void miss_starttls(struct smtp_client *c)
{
	bool by_policy = c->target.level > c->target.send->tls;

	c->why = WHY_NOT_OFFERED;
	if (c->target.level > TLS_MAY)
		client_refuse(c, REFUSED_STARTTLS, "%s[%s] does not offer STARTTLS, which %s" STR_FMT " requires",
			      c->where.host, c->where.ip, by_policy ? "a tls_policy" : "connector ",
			      STR_ARG(by_policy ? STR_NONE : c->target.send->name));
	else
		go_on_clear(c, false, "STARTTLS is not offered");
}

static void on_ehlo(struct smtp_client *c, const struct reply *r, bool last)
{
	bool want_tls = wants_tls(c);
	char words[400];

	(void)last;
	if (reply_is_permanent(r) && (is_secured(c) || c->target.level <= TLS_MAY)) {
		say(c, VERB_HELO, c->target.helo, ASKED_HELO);
		return;
	}
	if (reply_is_permanent(r)) { /* no EHLO, no STARTTLS */
		client_quote(c, r, ASKED_EHLO, words, sizeof words);
		client_refuse(c, REFUSED_STARTTLS, "%s", words);
		return;
	}
	if (r->code != 250) {
		fail_reply(c, r, ASKED_EHLO);
		return;
	}
	ehlo_parse(r, &c->caps);
	c->caps.auth = STR_NONE; /* a view of the reply, and nothing we use */
	client_pass_stage(c, want_tls ? AT_STARTTLS : AT_SESSION, keywords(r, words, sizeof words));
	if (!want_tls)
		become_ready(c);
	else if (c->caps.caps & EHLO_STARTTLS)
		say(c, VERB_STARTTLS, STR_NONE, ASKED_STARTTLS);
	else
		miss_starttls(c);
}

static void on_helo(struct smtp_client *c, const struct reply *r, bool last)
{
	(void)last;
	if (r->code != 250) {
		fail_reply(c, r, ASKED_HELO);
		return;
	}
	c->caps = (struct ehlo){ 0 };
	client_pass_stage(c, wants_tls(c) ? AT_STARTTLS : AT_SESSION, S("HELO only"));
	if (wants_tls(c))
		go_on_clear(c, false, "EHLO is not understood");
	else
		become_ready(c);
}

static void on_starttls(struct smtp_client *c, const struct reply *r, bool last)
{
	char words[300];

	(void)last;
	if (r->code == 220) {
		client_pass_stage(c, AT_HANDSHAKE, first_line(r));
		c->phase = CLIENT_HANDSHAKE; /* begins when this reply is off the input: read_replies */
		return;
	}
	client_quote(c, r, ASKED_STARTTLS, words, sizeof words);
	c->why = WHY_REFUSED;
	if (c->target.level > TLS_MAY) {
		client_refuse(c, REFUSED_STARTTLS, "%s", words);
		return;
	}
	go_on_clear(c, true, words);
}

/* ---- replies ---- */

typedef void reply_fn(struct smtp_client *c, const struct reply *r, bool last);

static reply_fn *const on_reply[ASKED_N] = {
	[ASKED_GREETING] = on_greeting, [ASKED_EHLO] = on_ehlo, [ASKED_HELO] = on_helo, [ASKED_STARTTLS] = on_starttls,
	[ASKED_RSET] = on_rset,         [ASKED_MAIL] = on_mail, [ASKED_RCPT] = on_rcpt, [ASKED_DATA] = on_data,
	[ASKED_BDAT] = on_bdat,         [ASKED_DOT] = on_dot,
};

static void unasked(struct smtp_client *c, const struct reply *r)
{
	if (r->code == 421 && c->phase == CLIENT_IDLE)
		client_fail(c, REPLY(451, 4, 4, 2, ""), false, "%s[%s] ended an idle session", c->where.host,
			    c->where.ip);
	else if (r->code == 421)
		fail_reply(c, r, ASKED_GREETING);
	else
		fail_protocol(c, "it answered before it was asked");
}

/* An early talker may not decide anything but its own end: a final answer still counts, a hello does not. */
static bool is_early_talk(const struct smtp_client *c, struct expect e, size_t left)
{
	return c->ring_n == 0 && left > 0 && !(e.asked == ASKED_DOT || (e.asked == ASKED_BDAT && e.last));
}

static void take_reply(struct smtp_client *c, const struct reply *r, size_t left)
{
	struct expect e;

	if (c->ring_n == 0) {
		unasked(c, r);
		return;
	}
	e = c->ring[c->ring_at];
	c->ring_at = (c->ring_at + 1) % CLIENT_RING;
	c->ring_n--;
	c->answered = true;
	if (is_early_talk(c, e, left)) {
		fail_protocol(c, "it answered before it was asked");
		return;
	}
	if (r->code == 421 && e.asked != ASKED_DOT && e.asked != ASKED_GREETING) {
		fail_reply(c, r, e.asked);
		return;
	}
	on_reply[e.asked](c, r, e.last);
}

static void read_replies(struct smtp_client *c)
{
	while (c->phase != CLIENT_CLOSED && c->phase != CLIENT_HANDSHAKE) {
		struct str in = stream_in(&c->stream);
		struct reply r;
		int n = in.n == 0 ? 0 : reply_next(in, false, &r);
		if (n < 0 || (n == 0 && in.n == LOOP_BUFFER)) {
			if (is_asking_tls(c))
				fail_tls(c, REFUSED_STARTTLS, "STARTTLS was answered with something that is no reply");
			else
				fail_protocol(c, n == REPLY_MIXED_CODES ? "a reply with different codes"
									: "not a reply, or too long");
			return;
		}
		if (n == 0)
			break;
		/* the views of r die with the input, so the handler comes first */
		take_reply(c, &r, in.n - (size_t)n);
		if (c->phase == CLIENT_CLOSED)
			return;
		stream_consume(&c->stream, (size_t)n);
		if (c->phase == CLIENT_HANDSHAKE) {
			start_tls(c);
			return;
		}
		if (c->txn != NULL)
			txn_advance(c);
		arm(c);
	}
}

/* ---- the stream ---- */

static void greet(struct smtp_client *c)
{
	client_pass_stage(c, AT_GREETING, str_c(c->where.ip));
	c->phase = CLIENT_HELLO;
	client_expect(c, ASKED_GREETING, false);
	arm(c);
}

static const char *waited_for(const struct smtp_client *c)
{
	return c->ring_n > 0 ? asked_names[c->ring[c->ring_at].asked] : "our next command";
}

static void on_eof(struct smtp_client *c)
{
	if (c->phase == CLIENT_HANDSHAKE)
		fail_tls(c, REFUSED_HANDSHAKE, "it closed the connection in the TLS handshake");
	else if (is_asking_tls(c))
		fail_tls(c, REFUSED_STARTTLS, "it closed the connection instead of answering STARTTLS");
	else
		client_fail(c, REPLY(451, 4, 4, 2, ""), c->phase != CLIENT_BUSY,
			    "%s[%s] closed the connection instead of answering %s", c->where.host, c->where.ip,
			    waited_for(c));
}

static void on_timeout(struct smtp_client *c)
{
	if (c->phase != CLIENT_IDLE)
		c->why = WHY_TIMEOUT;
	if (c->phase == CLIENT_IDLE) {
		cmd_put(stream_out(&c->stream), VERB_QUIT, STR_NONE);
		stream_finish(&c->stream);
		client_fail(c, REPLY(451, 4, 4, 2, ""), false, "idle");
	} else if (c->phase == CLIENT_HANDSHAKE) {
		fail_tls(c, REFUSED_HANDSHAKE, "the TLS handshake took too long");
	} else if (is_asking_tls(c)) {
		fail_tls(c, REFUSED_STARTTLS, "no answer in time to STARTTLS");
	} else if (c->phase == CLIENT_CONNECTING) {
		client_fail(c, REPLY(451, 4, 4, 1, ""), true, "%s[%s]: connection timed out", c->where.host,
			    c->where.ip);
	} else {
		client_fail(c, REPLY(451, 4, 4, 2, ""), true, "%s[%s]: no answer in time to %s", c->where.host,
			    c->where.ip, waited_for(c));
	}
}

/* In TLS 1.3 our handshake is over before the server has judged our certificate: its alert is the answer to EHLO. */
static bool is_refused_late(const struct smtp_client *c, const struct err *e)
{
	return e->code == ERR_TLS && c->at == AT_EHLO_AGAIN;
}

static void on_failed(struct smtp_client *c)
{
	struct err e = c->stream.err;

	if (c->phase == CLIENT_HANDSHAKE || is_refused_late(c, &e))
		fail_tls(c, REFUSED_HANDSHAKE, e.text);
	else if (is_asking_tls(c))
		fail_tls(c, REFUSED_STARTTLS, e.text);
	else
		client_fail(c, c->phase == CLIENT_CONNECTING ? REPLY(451, 4, 4, 1, "") : REPLY(451, 4, 4, 2, ""),
			    c->phase != CLIENT_BUSY, "%s[%s]: %s", c->where.host, c->where.ip, e.text);
}

static void on_stream(struct stream *s, enum stream_event e)
{
	struct smtp_client *c = container_of(s, struct smtp_client, stream);
	struct queue_port *port = c->txn != NULL ? c->txn->port : NULL; /* the transaction may be gone below */

	if (port != NULL) {
		queue_working(port, c->txn->lease);
		fault("client.event"); /* for the test of a message that ends the process */
	}
	switch (e) {
	case STREAM_CONNECTED:
		greet(c);
		break;
	case STREAM_SECURED:
		on_secured(c);
		break;
	case STREAM_READABLE:
		read_replies(c);
		break;
	case STREAM_DRAINED:
		if (c->txn != NULL)
			txn_advance(c);
		arm(c);
		break;
	case STREAM_EOF:
		on_eof(c);
		break;
	case STREAM_TIMEOUT:
		on_timeout(c);
		break;
	case STREAM_FAILED:
		on_failed(c);
		break;
	}
	if (port != NULL)
		queue_working(port, NULL);
}

/* ---- for the pool ---- */

void smtp_client_start(struct smtp_client *c, struct loop *l, const struct smtp_target *t, int fd,
		       void (*on_event)(struct smtp_client *, enum client_event))
{
	struct buf ip;

	must(t->level == TLS_NONE || t->tls != NULL);
	c->loop = l;
	stream_init(&c->stream, l, on_stream);
	c->target = *t;
	c->on_event = on_event;
	snprintf(c->where.host, sizeof c->where.host, STR_FMT, STR_ARG(t->host));
	c->where.level = t->level;
	c->target.host = str_c(c->where.host); /* names may be looked up anew while we live */
	if (t->tls_pattern.n == 0)
		c->target.tls_pattern = c->target.host;
	buf_init(&ip, sizeof c->where.ip - 1);
	net_put_ip(&ip, &t->addr);
	snprintf(c->where.ip, sizeof c->where.ip, "%s", buf_cstr(&ip));
	buf_fini(&ip);
	connect_stream(c, fd);
}

void smtp_client_fini(struct smtp_client *c)
{
	c->on_event = NULL;
	if (c->phase == CLIENT_IDLE)
		cmd_put(stream_out(&c->stream), VERB_QUIT, STR_NONE);
	if (c->phase == CLIENT_IDLE)
		stream_finish(&c->stream);
	else
		stream_close(&c->stream);
	c->phase = CLIENT_CLOSED;
	c->txn = c->finished = NULL;
}
