/* smtpd/session.c: states, the pump and the end of a session; the commands are in commands.c and cmd_*.c. */
#include "smtpd/session.h"

#include "smtpd/commands.h"
#include "smtpd/filter_session.h"
#include "base/time.h"
#include "connectors/reason.h"
#include "wire/line.h"
#include "wire/proxy.h"

#include <errno.h>
#include <netinet/tcp.h>
#include <stdlib.h>
#include <string.h>

static enum step step_proxy(struct session *s);
static enum step step_greeting(struct session *s);
static enum step step_listen(struct session *s);
static enum step step_command(struct session *s);
static enum step step_tarpit(struct session *s);
static enum step step_commit(struct session *s);
static enum step step_starttls(struct session *s);
static enum step step_handshake(struct session *s);
static enum step step_closing(struct session *s);
static enum step welcome(struct session *s);

static const struct state state_proxy = { "proxy", step_proxy };
static const struct state state_greeting = { "greeting", step_greeting };
static const struct state state_listen = { "listen", step_listen };
const struct state state_command = { "command", step_command };
static const struct state state_tarpit = { "tarpit", step_tarpit };
const struct state state_commit = { "commit", step_commit };
const struct state state_starttls = { "starttls", step_starttls };
static const struct state state_handshake = { "handshake", step_handshake };
const struct state state_closing = { "closing", step_closing };

/* Absolute deadlines: none of them moves because a byte arrived (slowloris, hardening DoS-1). */
static int64_t state_deadline_ms(const struct session *s, const struct state *state)
{
	const struct conf_limits *l = &session_config(s)->limits;

	if (state == &state_proxy)
		return l->proxy_ms;
	if (state == &state_greeting)
		return l->greeting_ms;
	if (state == &state_listen)
		return l->early_talker_ms;
	if (state == &state_handshake || state == &state_starttls)
		return l->tls_ms;
	if (state == &state_data)
		return l->data_ms;
	if (state == &state_bdat)
		return l->bdat_ms;
	if (state == &state_commit || state == &state_tarpit || state == &state_filter || state == &state_judge)
		return -1; /* the clock is ours, not the client's */
	if (state == &state_command && s->phase == IN_START)
		return l->greeting_ms; /* until it says who it is */
	return l->command_ms;
}

void session_enter(struct session *s, const struct state *state)
{
	if (s->state != state)
		log_debug(&s->log, "session.state", kv_c("from", s->state == NULL ? "-" : s->state->name),
			  kv_c("to", state->name));
	s->state = state;
	stream_deadline(&s->stream, state_deadline_ms(s, state));
}

static void pump(struct session *s)
{
	if (s->closing)
		return;
	while (s->wait == NULL)
		switch (s->state->step(s)) {
		case STEP_NEXT:
			continue;
		case STEP_WAIT:
			return;
		case STEP_CLOSE:
			session_close(s);
			return;
		}
}

void session_resume(struct session *s)
{
	must(s->wait == NULL);
	pump(s);
	if (s->eof && !s->closing && s->wait == NULL)
		session_close(s);
}

void session_go_on(struct session *s, enum step step)
{
	if (step == STEP_CLOSE)
		session_close(s);
	else if (s->wait == NULL && !s->closing)
		session_resume(s);
}

void session_reply(struct session *s, const struct reply *r)
{
	reply_put(stream_out(&s->stream), r);
	stream_flush_later(&s->stream);
	if (!reply_is_ok(r))
		log_debug(&s->log, "session.refuse", kv_int("code", r->code), kv_str("text", r->text));
}

void session_error(struct session *s)
{
	s->errors++;
	COUNT(s->server, protocol_errors);
}

bool session_has_early_input(const struct session *s)
{
	return s->stream.in_n > 0;
}

/* ---- the end ---- */

void session_close(struct session *s)
{
	struct server *server = s->server;

	if (s->closing)
		return;
	s->closing = true;
	if (s->commit.op.held != NULL)
		op_cancel(&s->commit.op); /* the message is stored all the same; the client will send it again */
	loop_timer_stop(&s->tarpit);
	filters_free(&s->filters);
	transaction_reset(&s->tx);
	arena_fini(&s->arena);
	stream_finish(&s->stream);
	LIST_REMOVE(s, entry);
	gate_leave(server->shared->gate, &s->place, loop_now_ms(server->loop));
	setup_unref(&s->setup);
	loop_free_later(server->loop, s);
}

void session_end(struct session *s, const struct reply *last)
{
	session_reply(s, last);
	session_enter(s, &state_closing);
}

void session_drain(struct session *s)
{
	if (s->wait == NULL && s->state == &state_command && !transaction_is_open(&s->tx)) {
		session_end(s, &REPLY(421, 4, 3, 2, "this server is going down, try again"));
		pump(s);
	}
}

static enum step step_closing(struct session *s)
{
	return stream_unsent(&s->stream) > 0 && stream_is_open(&s->stream) && s->stream.err.code == ERR_NONE
		       ? STEP_WAIT
		       : STEP_CLOSE;
}

/* ---- events ---- */

static void on_timeout(struct session *s)
{
	if (s->state == &state_listen) {
		welcome(s);
		return;
	}
	COUNT(s->server, timeouts);
	log_info(&s->log, "session.timeout", kv_c("state", s->state->name), kv_str("client", str_c(s->client_text)));
	/* a client that reads nothing (DoS-2) would not read the goodbye either */
	if (s->state == &state_closing || s->state == &state_handshake || s->state == &state_proxy ||
	    stream_is_choked(&s->stream)) {
		session_close(s);
		return;
	}
	session_filter_over(s);
	transaction_reset(&s->tx);
	session_end(s, &REPLY(421, 4, 4, 2, "timeout, closing the connection"));
}

static void on_failed(struct session *s)
{
	if (s->stream.err.code == ERR_TLS) {
		COUNT(s->server, tls_failures);
		log_info(&s->log, "session.tls_failed", kv_c("why", s->stream.err.text),
			 kv_str("client", str_c(s->client_text)));
	}
	session_close(s);
}

static void on_event(struct stream *stream, enum stream_event e)
{
	struct session *s = container_of(stream, struct session, stream);

	if (s->closing)
		return;
	switch (e) {
	case STREAM_FAILED:
		on_failed(s);
		return;
	case STREAM_TIMEOUT:
		on_timeout(s);
		break;
	case STREAM_EOF:
		s->eof = true;
		break;
	case STREAM_SECURED:
	case STREAM_READABLE:
	case STREAM_DRAINED:
	case STREAM_CONNECTED:
		break;
	}
	/* end of input: what came before it is done first; a message in commit is answered, or at least stored */
	if (s->wait == NULL)
		session_resume(s);
}

static void on_tarpit(struct loop_timer *t)
{
	struct session *s = container_of(t, struct session, tarpit);

	if (s->closing)
		return;
	session_reply(s, &s->held);
	session_enter(s, &state_command);
	pump(s);
}

enum step session_hold(struct session *s, const struct reply *r, int64_t ms)
{
	if (ms <= 0) {
		session_reply(s, r);
		return STEP_NEXT;
	}
	s->held = *r;
	if (!arena_dup(&s->arena, r->text, &s->held.text))
		s->held.text = S("refused");
	session_enter(s, &state_tarpit);
	loop_timer_set(&s->tarpit, ms);
	return STEP_WAIT;
}

static enum step step_tarpit(struct session *s)
{
	(void)s;
	return STEP_WAIT;
}

static enum step step_commit(struct session *s)
{
	(void)s;
	return STEP_WAIT;
}

/* ---- greeting ---- */

static void set_client(struct session *s, const struct net_addr *client)
{
	struct buf b = { .p = s->client_text, .cap = sizeof s->client_text, .max = sizeof s->client_text - 1 };

	s->client = *client;
	net_put_ip(&b, client);
	s->client_text[b.n] = '\0';
}

static bool speaks_proxy(const struct session *s, const struct net_addr *peer)
{
	const struct config *c = session_config(s);
	const struct conf_receive *r = receive_select(c, &s->stream.local, peer);

	for (size_t i = 0; r != NULL && i < r->proxy_n; i++)
		if (net_cidr_has(&r->proxies[i], peer))
			return true;
	return false;
}

static enum step step_proxy(struct session *s)
{
	struct proxy p;
	int n = proxy_next(stream_in(&s->stream), &p);

	if (n == PROXY_MORE)
		return STEP_WAIT;
	if (n < 0) {
		log_warn(&s->log, "session.bad_proxy", kv_c("client", s->client_text));
		return STEP_CLOSE;
	}
	stream_consume(&s->stream, (size_t)n);
	if (!p.local)
		set_client(
			s,
			&p.client); /* the connector stays that of the socket: p.server is the balancer's own address */
	session_enter(s, &state_greeting);
	return STEP_NEXT;
}

/* ---- rates ---- */

bool session_is_rated(const struct session *s)
{
	return !s->rate_exempt && s->who.origin != ENV_PEER && s->who.origin != ENV_LOCAL;
}

static struct reply too_fast(struct session *s, enum gate_rate r)
{
	static const enum reason reasons[GATE_RATE_N] = { REASON_CONNECTION_RATE, REASON_MESSAGE_RATE,
							  REASON_RECIPIENT_RATE, REASON_UNKNOWN_RATE };
	struct str reason = str_c(reason_row(reasons[r])->name);
	uint64_t held_back;

	COUNT(s->server, too_fast[r]);
	if (hush_may_say(&s->server->hush, "rate", reason, loop_now_ms(s->server->loop), &held_back))
		log_info(&s->log, "session.too_fast", kv_str("reason", reason), kv_c("client", s->client_text),
			 kv_int("not_told", (int64_t)held_back));
	return reason_reply(reasons[r], session_config(s)->status_codes, session_config(s)->site);
}

bool session_may(struct session *s, enum gate_rate r, struct reply *why)
{
	const struct conf_limits *l = &session_config(s)->limits;
	int64_t now_ms = loop_now_ms(s->server->loop);

	if (!session_is_rated(s))
		return true;
	/* the refusal itself pays for GATE_UNKNOWN, later */
	if (r == GATE_UNKNOWN ? gate_may(s->place, r, l, now_ms) : gate_take(s->place, r, l, now_ms))
		return true;
	*why = too_fast(s, r);
	return false;
}

static void judge_exempt(struct session *s)
{
	const struct conf_limits *l = &session_config(s)->limits;

	for (size_t i = 0; i < l->exempt_n && !s->rate_exempt; i++)
		s->rate_exempt = net_cidr_has(&l->exempt[i], &s->client);
}

static bool client_may_connect(struct session *s)
{
	const struct conf_limits *l = &session_config(s)->limits;
	struct reply r;

	judge_exempt(s);
	switch (gate_enter(s->server->shared->gate, &s->client, l, session_is_rated(s), loop_now_ms(s->server->loop),
			   &s->place)) {
	case GATE_OPEN:
		return true;
	case GATE_TOO_FAST:
		r = too_fast(s, GATE_CONNECTIONS);
		session_end(s, &r);
		return false;
	case GATE_FULL:
		COUNT(s->server, refused_full);
		session_end(s, &REPLY(421, 4, 7, 0, "too many connections, try again later"));
		break;
	case GATE_CLIENT_FULL:
		COUNT(s->server, refused_client);
		session_end(s, &REPLY(421, 4, 7, 0, "too many connections from your address, try again later"));
		break;
	}
	log_info(&s->log, "session.refused_full", kv_c("client", s->client_text));
	return false;
}

/* Whoever talks before the banner is no mail server (RFC 5321 4.3.1). */
static bool is_early_talker(struct session *s)
{
	char c;

	return s->stream.in_n > 0 || recv(s->stream.fd, &c, 1, MSG_PEEK | MSG_DONTWAIT) > 0;
}

static enum step refuse_early_talker(struct session *s)
{
	COUNT(s->server, early_talkers);
	log_info(&s->log, "session.early_talker", kv_c("client", s->client_text));
	session_end(s, &REPLY(554, 5, 5, 0, "you talked before the greeting"));
	return STEP_NEXT;
}

static void greet(struct session *s)
{
	buf_addf(stream_out(&s->stream), "220 " STR_FMT " ESMTP Tombolo\r\n", STR_ARG(session_our_name(s)));
	stream_flush_later(&s->stream);
	s->phase = IN_START;
	session_enter(s, &state_command);
}

static enum step greet_filtered(struct session *s)
{
	struct reply *r = &s->filters->verdict.reply;

	if (session_is_filtered_out(s)) { /* RFC 5321 3.1 knows no other refusals here */
		r->code = reply_is_permanent(r) ? 554 : 421;
		session_end(s, r);
		return STEP_NEXT;
	}
	greet(s);
	return STEP_WAIT;
}

static enum step welcome(struct session *s)
{
	if (s->receive->filter_n > 0) {
		s->filters = filters_new(s);
		return session_filter(s, MILTER_AT_CONNECT, STR_NONE, greet_filtered);
	}
	greet(s);
	return STEP_WAIT;
}

static enum step step_greeting(struct session *s)
{
	s->receive = receive_select(session_config(s), &s->stream.local, &s->client);
	if (s->receive == NULL) {
		log_info(&s->log, "session.no_receive", kv_c("client", s->client_text));
		session_end(s, &REPLY(554, 5, 7, 1, "no receive connector is open to your address"));
		return STEP_NEXT;
	}
	session_attribute(s, &(struct said){ 0 }); /* before the gate: whom it knows by address is not rated */
	if (!client_may_connect(s))
		return STEP_NEXT;
	if (is_early_talker(s))
		return refuse_early_talker(s);
	if (session_config(s)->limits.early_talker_ms > 0) {
		session_enter(s, &state_listen);
		return STEP_WAIT;
	}
	return welcome(s);
}

/* limits.early_talker: silence for a while is the answer of a real mail server; its end is the state's deadline. */
static enum step step_listen(struct session *s)
{
	return is_early_talker(s) ? refuse_early_talker(s) : STEP_WAIT;
}

/* ---- commands ---- */

static enum step too_many(struct session *s, const char *what, struct reply r)
{
	log_info(&s->log, what, kv_c("client", s->client_text), kv_int("errors", s->errors), kv_int("junk", s->junk));
	transaction_reset(&s->tx);
	session_end(s, &r);
	return STEP_NEXT;
}

/* A line that is too long or not framed by CRLF is thrown away to its LF, then answered once. */
static enum step refuse_line(struct session *s, int why)
{
	struct str in = stream_in(&s->stream);
	size_t n = line_skip(in);

	if (why == LINE_TOO_LONG && n == 0) {
		s->discarded += in.n;
		stream_consume(&s->stream, in.n);
		if (s->discarded > (size_t)session_config(s)->limits.lines_discarded)
			return too_many(s, "session.endless_line", REPLY(421, 4, 7, 0, "line without end"));
		return STEP_WAIT;
	}
	stream_consume(&s->stream, n > 0 ? n : in.n);
	s->discarded = 0;
	session_error(s);
	if (why == LINE_TOO_LONG) {
		session_reply(s, &REPLY(500, 5, 5, 2, "line too long"));
		return STEP_NEXT;
	}
	/* a command that did not end in CRLF may be half of a smuggled message: nothing behind it is looked at */
	return too_many(s, "session.bad_line", REPLY(500, 5, 5, 2, "lines end in CR LF and hold no NUL or bare CR"));
}

static enum step step_command(struct session *s)
{
	const struct conf_limits *l = &session_config(s)->limits;
	struct str line;

	if (s->errors > (unsigned)l->errors)
		return too_many(s, "session.too_many_errors", REPLY(421, 4, 7, 0, "too many errors"));
	if (s->junk > (unsigned)l->junk_commands)
		return too_many(s, "session.too_much_junk", REPLY(421, 4, 7, 0, "too many commands without a message"));
	if (s->server->draining && !transaction_is_open(&s->tx) && s->stream.in_n == 0) {
		session_end(s, &REPLY(421, 4, 3, 2, "this server is going down, try again"));
		return STEP_NEXT;
	}
	if (loop_now_ms(s->server->loop) - s->started_ms > l->session_ms && !transaction_is_open(&s->tx)) {
		session_end(s, &REPLY(421, 4, 4, 2, "this session has lasted long enough, connect again"));
		return STEP_NEXT;
	}
	if (stream_is_choked(&s->stream))
		return STEP_WAIT; /* the client reads nothing: neither do we */
	if (s->discarded > 0)
		return s->stream.in_n > 0 ? refuse_line(s, LINE_TOO_LONG) : STEP_WAIT;
	int n = line_next(stream_in(&s->stream), LINE_COMMAND_MAX, &line);
	if (n == LINE_MORE)
		return STEP_WAIT;
	if (n < 0)
		return refuse_line(s, n);
	enum step step = command_dispatch(s, line);
	if (s->closing)
		return STEP_WAIT;
	stream_consume(&s->stream, (size_t)n);
	if (s->state == &state_command)
		stream_deadline(&s->stream, state_deadline_ms(s, s->state));
	return step;
}

/* ---- STARTTLS ---- */

/* The 220 must be gone before the handshake, and nothing may wait that came in clear (hardening ST-I1). */
static enum step step_starttls(struct session *s)
{
	if (stream_unsent(&s->stream) > 0)
		return STEP_WAIT;
	if (session_has_early_input(s)) {
		log_warn(&s->log, "session.starttls_injection", kv_c("client", s->client_text));
		return STEP_CLOSE;
	}
	session_enter(s, &state_handshake);
	tls_accept(&s->stream, setup_tls(s->setup, s->receive));
	return STEP_WAIT;
}

/* Everything learnt in clear is forgotten (RFC 3207 4.2). */
static enum step step_handshake(struct session *s)
{
	if (s->stream.handshaking)
		return STEP_WAIT;
	const struct tls_peer *peer = tls_peer(&s->stream);
	must(peer != NULL);
	s->secured = true;
	s->helo = STR_NONE;
	s->esmtp = false;
	s->phase = IN_START;
	COUNT(s->server, tls_sessions);
	if (peer->resumed)
		COUNT(s->server, tls_resumed);
	session_attribute(s, &(struct said){ 0 });
	if (s->who.origin == ENV_PEER || s->who.origin == ENV_LOCAL)
		gate_trust(s->place, loop_now_ms(s->server->loop));
	log_info(&s->log, "session.tls", kv_str("protocol", peer->protocol), kv_str("cipher", peer->cipher),
		 kv_bool("certificate", peer->has_certificate), kv_bool("chain_ok", peer->chain_ok),
		 kv_str("why", peer->chain_error), kv_str("attributed", s->who.how), kv_c("client", s->client_text));
	session_enter(s, &state_command);
	return STEP_NEXT;
}

/* ---- begin ---- */

void session_start(struct server *server, int fd, const struct net_addr *client)
{
	struct session *s = calloc(1, sizeof *s);
	int on = 1;

	must(s != NULL);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	s->server = server;
	s->started_ms = loop_now_ms(server->loop);
	s->setup = setup_ref(server->setup);
	snprintf(s->id, sizeof s->id, "s%llx", (unsigned long long)++server->session_id);
	s->log.id = str_c(s->id);
	arena_init(&s->arena, session_config(s)->limits.memory_per_session);
	transaction_init(&s->tx, &s->arena);
	stream_init(&s->stream, server->loop, on_event);
	loop_timer_init(server->loop, &s->tarpit, on_tarpit);
	LIST_INSERT_HEAD(&server->sessions, s, entry);
	COUNT(server, sessions);
	stream_attach(&s->stream, fd, client);
	set_client(s, client);
	session_enter(s, speaks_proxy(s, client) ? &state_proxy : &state_greeting);
	pump(s);
}
