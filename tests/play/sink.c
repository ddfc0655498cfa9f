/* tests/play/sink.c: the hosts behind the gateway.
 *
 * A scripted sink hears its steps in order, one connection at a time: `accept` takes the next one; a line is compared
 * with the pattern on the left and answered with the right; `body` hears content up to the final dot.  After the last
 * step it only answers RSET, NOOP and QUIT.  An `auto` sink is a real server (tests/kit/host) that takes everything but
 * what its rules refuse, and keeps what it got. */
#include "tests/play/play.h"

#include "base/must.h"
#include "base/op.h"
#include "tests/kit/host.h"
#include "tests/kit/openssl_rogue.h"
#include "tests/kit/web.h"
#include "wire/line.h"

#include <netinet/tcp.h>
#include <unistd.h>

enum { LOG_MAX = 64 << 20, CONTENT_MAX = 64 << 20, LINE_MAX_HEARD = 8192 };

struct sink {
	struct play *play;
	const struct item *item;
	struct web *web;   /* of a web sink */
	struct host *host; /* of an auto sink; everything else below is for scripted ones, but log and messages */
	struct buf log, content, heard;
	size_t messages;
	size_t last_at; /* where the content of the last message begins in the log */
	struct tls_ctx *tls;
	int fd;
	int udp_fd; /* of one that takes datagrams and never answers */
	uint16_t port;
	struct loop_io accepting;
	struct stream stream;
	bool open, secured, securing, drained;
	size_t at;
	struct body_in body;
	bool in_body, body_done;
};

static void run(struct sink *s);

/* ---- auto ---- */

static struct reply parse_reply(struct str text)
{
	struct reply r = { .code = 250 };
	struct str rest = text, code = str_word(&rest);
	uint64_t n;

	if (str_u64(code, 599, &n))
		r.code = (int)n;
	struct str after = str_trim(rest), words = after, enhanced = str_word(&words);
	if (reply_parse_enhanced(enhanced, &r.class, &r.subject, &r.detail))
		after = str_trim(words);
	r.text = after;
	return r;
}

/* The first rule whose word is `verb` and whose pattern fits; 250 otherwise. */
static struct reply ruled(const struct sink *s, struct str verb, struct str about)
{
	for (size_t i = 0; i < s->item->steps.n; i++) {
		const struct step *rule = &s->item->steps.v[i];
		struct str pattern = rule->text, word = rule->order;
		if (word.n == 0)
			word = str_word(&pattern);
		if (str_ieq(word, verb) && pattern_match(str_trim(pattern), about))
			return parse_reply(rule->right);
	}
	return REPLY(250, 2, 0, 0, "taken");
}

static struct reply on_mail(struct visit *v, const struct cmd_mail *mail)
{
	return ruled(host_arg(v->host), S("MAIL"), mail->from.whole);
}

static struct reply on_rcpt(struct visit *v, const struct cmd_rcpt *rcpt)
{
	return ruled(host_arg(v->host), S("RCPT"), rcpt->to.whole);
}

static void keep_heard(struct sink *s, struct str line)
{
	buf_add(&s->heard, line);
	buf_addc(&s->heard, '\n');
}

static void on_command(struct visit *v, struct str line)
{
	keep_heard(host_arg(v->host), line);
}

static void on_content(struct visit *v, struct str run_)
{
	struct sink *s = host_arg(v->host);
	struct buf *content = v->owner;

	if (content == NULL) {
		v->owner = content = calloc(1, sizeof *content);
		must(content != NULL);
		buf_init(content, CONTENT_MAX);
	}
	if (!buf_add(content, run_))
		play_fail(s->play, s->item->line, "an auto sink keeps no more than %d bytes", CONTENT_MAX);
}

static void forget_content(struct visit *v)
{
	struct buf *content = v->owner;

	if (content != NULL)
		buf_fini(content);
	free(content);
	v->owner = NULL;
}

static struct reply on_message(struct visit *v)
{
	struct sink *s = host_arg(v->host);
	struct str content = v->owner == NULL ? STR_NONE : buf_str(v->owner);
	struct reply r = ruled(s, S("message"), content);
	const struct tls_peer *peer = tls_peer(&v->stream);

	if (r.code == 250) {
		s->messages++;
		buf_addf(&s->log, "from=<" STR_FMT "> rcpts=", STR_ARG(buf_str(&v->from)));
		for (struct str rest = buf_str(&v->rcpts), one; rest.n > 0;) {
			str_cut(rest, '\n', &one, &rest);
			buf_addf(&s->log, "<" STR_FMT ">%s", STR_ARG(one), rest.n > 0 ? "," : "");
		}
		buf_addf(&s->log, " tls=" STR_FMT " cert=" STR_FMT "\n",
			 STR_ARG(peer == NULL ? S("no") : peer->protocol),
			 STR_ARG(peer == NULL || !peer->has_certificate ? S("no") : peer->subject));
		s->last_at = s->log.n;
		buf_add(&s->log, content);
	}
	forget_content(v);
	return r;
}

static void on_visit_closed(struct visit *v)
{
	forget_content(v);
}

/* `[weak | strict] CERT [at most 1.1]`; what follows stays in *rest. */
static struct tls_ctx *server_tls(struct play *p, struct str *rest, struct err *e)
{
	struct str word = str_word(rest), after;
	bool weak = str_eq(word, S("weak")), strict = str_eq(word, S("strict"));
	struct str name = weak || strict ? str_word(rest) : word;
	struct tls_ctx *c = weak ? play_weak_server_tls(p, name, e) : play_server_tls(p, name, e);

	if (c != NULL && strict)
		rogue_demand_certificate(c);
	after = *rest;
	if (c != NULL && str_eq(str_word(&after), S("at")) && str_eq(str_word(&after), S("most"))) {
		if (!rogue_speak_at_most(c, str_word(&after)))
			tls_ctx_unref(&c);
		*rest = after;
	}
	return c;
}

/* `auto [tls [weak|strict] CERT [at most 1.1]] [with|without KEYWORD]...`: what it offers, and s->tls. */
static bool read_offer(struct sink *s, struct str rest, unsigned *caps)
{
	static const struct {
		struct str name;
		unsigned cap;
	} keywords[] = { { STR_LIT("PIPELINING"), EHLO_PIPELINING },
			 { STR_LIT("CHUNKING"), EHLO_CHUNKING },
			 { STR_LIT("8BITMIME"), EHLO_8BITMIME },
			 { STR_LIT("SMTPUTF8"), EHLO_SMTPUTF8 },
			 { STR_LIT("DSN"), EHLO_DSN },
			 { STR_LIT("SIZE"), EHLO_SIZE },
			 { STR_LIT("XOORG"), EHLO_XOORG } };
	struct err err = { 0 };
	struct str word;

	*caps = EHLO_PIPELINING | EHLO_8BITMIME | EHLO_SMTPUTF8 | EHLO_SIZE | EHLO_DSN | EHLO_CHUNKING |
		EHLO_ENHANCEDSTATUSCODES;
	while ((word = str_word(&rest)).n > 0) {
		if (str_eq(word, S("tls"))) {
			if ((s->tls = server_tls(s->play, &rest, &err)) == NULL)
				return false;
			continue;
		}
		struct str value = str_eq(word, S("auto")) ? STR_NONE : str_word(&rest);
		for (size_t i = 0; i < sizeof keywords / sizeof keywords[0]; i++)
			if (str_eq(value, keywords[i].name))
				*caps = str_eq(word, S("with")) ? *caps | keywords[i].cap : *caps & ~keywords[i].cap;
	}
	return true;
}

static bool open_auto(struct sink *s, const struct net_addr *listen)
{
	struct host_options o = { .listen = *listen, .name = s->item->name };
	struct host_events e = { .arg = s,
				 .command = on_command,
				 .mail = on_mail,
				 .rcpt = on_rcpt,
				 .content = on_content,
				 .message = on_message,
				 .closed = on_visit_closed };
	struct err err = { 0 };

	if (!read_offer(s, s->item->options, &o.caps))
		return false;
	o.tls = s->tls;
	s->host = host_open(s->play->loop, &o, &e, &err);
	if (s->host == NULL)
		return false;
	s->port = host_port(s->host);
	return true;
}

bool sink_change(struct play *p, const struct item *item)
{
	struct sink *s = sink_named(p, item->name);
	unsigned caps = 0;

	if (s == NULL || s->host == NULL) {
		play_fail(p, item->line, "only an auto sink can change");
		return false;
	}
	tls_ctx_unref(&s->tls);
	if (!read_offer(s, item->options, &caps)) {
		play_fail(p, item->line, "no such certificate");
		return false;
	}
	host_change(s->host, caps, s->tls);
	return true;
}

/* ---- web ---- */

/* `/PATH => FILE or word of tests/kit/web.h ...`: files are those of the certificates. */
static bool open_web(struct sink *s)
{
	const struct item *item = s->item;

	s->web = web_open(s->play->certs);
	for (size_t i = 0; s->web != NULL && i < item->steps.n; i++)
		web_set(s->web, item->steps.v[i].text, item->steps.v[i].right);
	s->port = s->web != NULL ? (uint16_t)web_port(s->web) : 0;
	return s->web != NULL;
}

/* ---- scripted ---- */

static const struct step *now(const struct sink *s)
{
	return &s->item->steps.v[s->at];
}

static void say_lines(struct sink *s, struct str text)
{
	struct buf *out = stream_out(&s->stream);

	while (text.n > 0) { /* " / " parts the lines of a reply */
		ssize_t cut = str_find(text, S(" / "));
		buf_add(out, cut < 0 ? text : str_head(text, (size_t)cut));
		buf_add(out, S("\r\n"));
		text = cut < 0 ? STR_NONE : str_skip(text, (size_t)cut + 3);
	}
	s->drained = false;
	stream_flush_later(&s->stream);
}

/* The right side: lines, `raw "bytes"`, `silence`, or nothing. */
static void answer(struct sink *s, const struct step *step)
{
	struct str text = step->right, inside, bytes;

	if (str_starts(text, S("raw "))) {
		text = str_skip(text, 4);
		if (script_quoted(&text, &inside) && script_unescape(&s->play->script, inside, false, &bytes))
			stream_write(&s->stream, bytes);
		else
			play_fail(s->play, step->line, "expected: raw \"...\"");
		s->drained = false;
	} else if (step->answered && !str_eq(text, S("silence"))) {
		say_lines(s, text);
	}
}

static void hang_up(struct sink *s)
{
	stream_finish(&s->stream);
	s->open = s->secured = s->securing = false;
}

static void on_event(struct stream *stream, enum stream_event event);

static bool take_connection(struct sink *s)
{
	struct net_addr peer;
	socklen_t n = sizeof peer;
	int on = 1, fd = accept4(s->fd, &peer.sa, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd < 0)
		return false;
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	if (s->open)
		hang_up(s);
	stream_init(&s->stream, s->play->loop, on_event);
	stream_attach(&s->stream, fd, &peer);
	s->open = true;
	s->in_body = false;
	return true;
}

static bool take_line(struct sink *s, struct str *line)
{
	int n = line_next(stream_in(&s->stream), LINE_MAX_HEARD, line);

	if (n < 0) {
		play_mismatch(s->play, sink_line(s), "sink", S("a line ended by CR LF"), stream_in(&s->stream));
		return false;
	}
	return n > 0;
}

static bool do_line(struct sink *s, const struct step *step)
{
	struct str line, why;

	if (!take_line(s, &line))
		return false;
	if (!want_met(&step->want, line, &why)) {
		play_mismatch(s->play, step->line, "sink", step->text, line);
		return false;
	}
	keep_heard(s, line);
	stream_consume(&s->stream, line.n + 2);
	answer(s, step);
	return true;
}

static void keep_content(void *arg, struct str run_)
{
	struct sink *s = arg;
	bool kept = buf_add(&s->content, run_);

	must(kept);
}

static bool do_body(struct sink *s, const struct step *step)
{
	struct str why;
	size_t used = 0;

	if (!s->in_body) {
		s->in_body = true;
		buf_reset(&s->content);
		body_in_init(&s->body);
	}
	bool done = body_in_next(&s->body, stream_in(&s->stream), &used, keep_content, s);
	stream_consume(&s->stream, used);
	if (!done)
		return false;
	s->in_body = false;
	if (!want_met(&step->want, buf_str(&s->content), &why)) {
		play_mismatch(s->play, step->line, "sink", step->text, buf_str(&s->content));
		return false;
	}
	s->last_at = s->log.n;
	buf_add(&s->log, buf_str(&s->content));
	s->messages++;
	answer(s, step);
	return true;
}

/* `starttls [weak|strict] CERT [at most 1.1]`: the handshake, once what was said before it has left. */
static bool do_starttls(struct sink *s, const struct step *step)
{
	struct err e = { 0 };

	if (s->securing)
		return s->secured;
	if (stream_unsent(&s->stream) > 0)
		return false;
	tls_ctx_unref(&s->tls);
	struct str words = step->text;
	s->tls = server_tls(s->play, &words, &e);
	if (s->tls == NULL) {
		play_fail(s->play, step->line, "starttls: %s", e.text);
		return false;
	}
	s->securing = true;
	tls_accept(&s->stream, s->tls);
	return false;
}

/* Behind the last step, and where the gateway is to leave: politeness only. */
static void be_polite(struct sink *s)
{
	struct str line;

	while (s->open && take_line(s, &line)) {
		bool quit = str_istarts(line, S("QUIT"));
		if (!quit && !str_istarts(line, S("RSET")) && !str_istarts(line, S("NOOP"))) {
			play_mismatch(s->play, s->item->line, "sink", S("nothing more"), line);
			return;
		}
		stream_consume(&s->stream, line.n + 2);
		say_lines(s, quit ? S("221 2.0.0 bye") : S("250 2.0.0 ok"));
		if (quit)
			hang_up(s);
	}
}

static bool do_step(struct sink *s, const struct step *step)
{
	if (str_eq(step->order, S("accept"))) {
		if (!take_connection(s))
			return false;
		answer(s, step);
		return true;
	}
	if (str_eq(step->order, S("closed"))) {
		be_polite(s);
		return !s->open;
	}
	if (str_eq(step->order, S("deaf"))) { /* whatever comes, until the gateway leaves */
		if (s->open)
			stream_discard(&s->stream);
		return !s->open;
	}
	if (!s->open)
		return false;                /* the gateway hung up: it shows as a step that never came */
	if (str_eq(step->order, S("say"))) { /* without having been asked */
		answer(s, step);
		return true;
	}
	if (step->order.n == 0)
		return do_line(s, step);
	if (str_eq(step->order, S("body")))
		return do_body(s, step);
	if (str_eq(step->order, S("starttls")))
		return do_starttls(s, step);
	if (str_eq(step->order, S("close")) || str_eq(step->order, S("cut"))) {
		if (stream_unsent(&s->stream) > 0)
			return false;
		if (str_eq(step->order, S("cut"))) /* a FIN, and no goodbye of TLS before it */
			shutdown(s->stream.fd, SHUT_WR);
		hang_up(s);
		return true;
	}
	play_fail(s->play, step->line, "a sink has no order `" STR_FMT "`", STR_ARG(step->order));
	return false;
}

static void run(struct sink *s)
{
	while (!s->play->over && s->at < s->item->steps.n && do_step(s, now(s)))
		s->at++;
	if (!s->play->over && s->at == s->item->steps.n)
		be_polite(s);
	else if (s->open && s->at < s->item->steps.n && str_eq(now(s)->order, S("accept")))
		be_polite(s); /* the connection of the visit before may say goodbye */
}

static void on_event(struct stream *stream, enum stream_event event)
{
	struct sink *s = container_of(stream, struct sink, stream);

	if (event == STREAM_SECURED)
		s->secured = true;
	if (event == STREAM_EOF || event == STREAM_FAILED)
		hang_up(s);
	run(s);
}

static void on_accept(struct loop_io *io, unsigned events)
{
	struct sink *s = container_of(io, struct sink, accepting);

	(void)events;
	if (s->at < s->item->steps.n && str_eq(now(s)->order, S("accept")))
		run(s);
	else
		loop_io_want(io, 0); /* it waits in the backlog until the script accepts */
}

/* Like a resolver that is too busy: nobody reads what it is sent. */
static bool open_udp(struct sink *s, const struct net_addr *at)
{
	struct net_addr bound = *at;
	socklen_t n = sizeof bound;

	s->udp_fd = socket(AF_INET, SOCK_DGRAM | SOCK_CLOEXEC, 0);
	if (s->udp_fd < 0 || bind(s->udp_fd, &at->sa, net_len(at)) != 0)
		return false;
	must(getsockname(s->udp_fd, &bound.sa, &n) == 0);
	s->port = net_port(&bound);
	return true;
}

static bool open_scripted(struct sink *s, const struct net_addr *listen)
{
	struct err e;
	struct net_addr bound = *listen;
	socklen_t n = sizeof bound;

	s->fd = net_listen(listen, 64, &e);
	if (s->fd < 0)
		return false;
	must(getsockname(s->fd, &bound.sa, &n) == 0);
	s->port = net_port(&bound);
	loop_io_start(s->play->loop, &s->accepting, s->fd, LOOP_READ, on_accept);
	return true;
}

/* ---- both ---- */

struct sink *sink_new(struct play *p, const struct item *item)
{
	struct sink *s = calloc(1, sizeof *s);
	struct net_addr any;
	bool parsed = net_parse_ip(S("127.0.0.1"), 0, &any);

	must(s != NULL && parsed);
	s->play = p;
	s->item = item;
	s->fd = s->udp_fd = -1;
	buf_init(&s->log, LOG_MAX);
	buf_init(&s->content, CONTENT_MAX);
	buf_init(&s->heard, LOG_MAX);
	if (!(str_starts(item->options, S("auto")) ? open_auto(s, &any)
	      : str_eq(item->options, S("web"))    ? open_web(s)
	      : str_eq(item->options, S("udp"))    ? open_udp(s, &any)
						   : open_scripted(s, &any)))
		play_fail(p, item->line, "cannot open the sink " STR_FMT, STR_ARG(item->name));
	return s;
}

struct str sink_name(const struct sink *s)
{
	return s->item->name;
}

uint16_t sink_port(const struct sink *s)
{
	return s->port;
}

bool sink_is_done(const struct sink *s)
{
	return s->host != NULL || s->web != NULL || s->at == s->item->steps.n;
}

int sink_line(const struct sink *s)
{
	return s->at < s->item->steps.n ? now(s)->line : s->item->line;
}

struct str sink_log(const struct sink *s)
{
	return buf_str(&s->log);
}

struct str sink_last(const struct sink *s)
{
	return str_skip(buf_str(&s->log), s->last_at);
}

struct str sink_last_from(const struct sink *s)
{
	struct str head = str_head(buf_str(&s->log), s->last_at), from = STR_NONE, rest;

	for (ssize_t at; (at = str_find(head, S("from=<"))) >= 0;)
		head = str_skip(head, (size_t)at + sizeof "from=<" - 1);
	str_cut(head, '>', &from, &rest);
	return from;
}

struct str sink_heard(const struct sink *s)
{
	return buf_str(&s->heard);
}

size_t sink_messages(const struct sink *s)
{
	return s->web != NULL ? web_count(s->web, STR_NONE) : s->messages;
}

void sink_wake(struct sink *s)
{
	if (s->host != NULL || s->web != NULL || s->udp_fd >= 0)
		return;
	loop_io_want(&s->accepting, LOOP_READ);
	run(s);
}

void sink_free(struct sink **sp)
{
	struct sink *s = *sp;

	if (s == NULL)
		return;
	host_close(&s->host);
	web_close(&s->web);
	if (s->open)
		hang_up(s);
	if (s->fd >= 0) {
		loop_io_stop(&s->accepting);
		close(s->fd);
	}
	if (s->udp_fd >= 0)
		close(s->udp_fd);
	tls_ctx_unref(&s->tls);
	buf_fini(&s->log);
	buf_fini(&s->content);
	buf_fini(&s->heard);
	loop_free_later(s->play->loop, s);
	*sp = NULL;
}
