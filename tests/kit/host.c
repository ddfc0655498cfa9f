/* tests/kit/host.c: the server side of the tools.  A visit is either between commands, inside DATA or inside a BDAT
 * chunk (visit_check); bytes of one state are never looked at by another. */
#include "tests/kit/host.h"

#include "base/must.h"
#include "base/op.h"
#include "wire/line.h"

#include <netinet/tcp.h>
#include <unistd.h>

enum { BACKLOG = 4096, ENVELOPE_MAX = 1 << 20 };

struct host {
	struct loop *loop;
	struct host_options options;
	struct host_events events;
	struct loop_io accepting;
	int fd;
	uint16_t port;
	size_t visit_n;
	struct visit *visits;
};

static bool visit_check(const struct visit *v)
{
	return !(v->in_data && v->in_bdat) && (v->in_bdat || v->bdat_left == 0);
}

static void visit_close(struct visit *v)
{
	struct host *h = v->host;

	if (v->link == NULL)
		return;
	if (h->events.closed != NULL)
		h->events.closed(v);
	*v->link = v->next;
	if (v->next != NULL)
		v->next->link = v->link;
	v->link = NULL;
	h->visit_n--;
	stream_finish(&v->stream);
	buf_fini(&v->from);
	buf_fini(&v->rcpts);
	loop_free_later(h->loop, v);
}

static void say(struct visit *v, struct reply r)
{
	reply_put(stream_out(&v->stream), &r);
	stream_flush_later(&v->stream);
}

static void forget_transaction(struct visit *v)
{
	buf_reset(&v->from);
	buf_reset(&v->rcpts);
	v->rcpt_n = 0;
	v->has_from = v->in_data = v->in_bdat = v->content_begun = false;
	v->bdat_left = 0;
}

static void end_message(struct visit *v)
{
	const struct host_events *e = &v->host->events;
	struct reply r = e->message != NULL ? e->message(v) : REPLY(250, 2, 0, 0, "taken");

	v->in_data = v->in_bdat = false;
	v->thinking = r.code == 0;
	if (v->thinking)
		return;
	forget_transaction(v);
	say(v, r);
}

static void give_content(void *arg, struct str run)
{
	struct visit *v = arg;

	if (v->host->events.content != NULL)
		v->host->events.content(v, run);
}

static struct cmd_offer offer_of(const struct host *h)
{
	unsigned caps = h->options.caps;

	return (struct cmd_offer){ .size = caps & EHLO_SIZE,
				   .eightbitmime = caps & EHLO_8BITMIME,
				   .smtputf8 = caps & EHLO_SMTPUTF8,
				   .dsn = caps & EHLO_DSN,
				   .binarymime = caps & EHLO_BINARYMIME,
				   .xoorg = caps & EHLO_XOORG };
}

static void do_ehlo(struct visit *v, struct str client, bool extended)
{
	const struct host_options *o = &v->host->options;
	struct ehlo e = { .caps = o->caps & ~(unsigned)EHLO_STARTTLS, .size = 100ULL << 20 };

	forget_transaction(v);
	v->greeted = true;
	if (o->tls != NULL && tls_peer(&v->stream) == NULL)
		e.caps |= EHLO_STARTTLS;
	if (extended) {
		ehlo_put(stream_out(&v->stream), &e, o->name, client);
		stream_flush_later(&v->stream);
	} else {
		say(v, (struct reply){ .code = 250, .text = o->name });
	}
}

static void do_mail(struct visit *v, struct str args)
{
	struct cmd_offer offer = offer_of(v->host);
	struct cmd_mail mail;
	struct reply r = REPLY(250, 2, 1, 0, "ok");

	if (v->has_from) {
		say(v, REPLY(503, 5, 5, 1, "one sender a message"));
		return;
	}
	if (cmd_parse_mail(args, &offer, &mail, &r)) {
		r = v->host->events.mail != NULL ? v->host->events.mail(v, &mail) : REPLY(250, 2, 1, 0, "ok");
		if (reply_is_ok(&r)) {
			v->has_from = true;
			buf_add(&v->from, mail.from.whole);
		}
	}
	say(v, r);
}

static void do_rcpt(struct visit *v, struct str args)
{
	struct cmd_offer offer = offer_of(v->host);
	struct cmd_rcpt rcpt;
	struct reply r = REPLY(503, 5, 5, 1, "MAIL first");

	if (v->has_from && cmd_parse_rcpt(args, &offer, true, &rcpt, &r)) {
		r = v->host->events.rcpt != NULL ? v->host->events.rcpt(v, &rcpt) : REPLY(250, 2, 1, 5, "ok");
		if (reply_is_ok(&r)) {
			v->rcpt_n++;
			buf_add(&v->rcpts, rcpt.to.whole);
			buf_addc(&v->rcpts, '\n');
		}
	}
	say(v, r);
}

static void do_data(struct visit *v)
{
	if (v->rcpt_n == 0 || v->content_begun) {
		say(v, REPLY(503, 5, 5, 1, "RCPT first"));
		return;
	}
	v->in_data = v->content_begun = true;
	body_in_init(&v->data);
	say(v, (struct reply){ .code = 354, .text = S("go ahead") });
}

/* False when the count is not known: nothing that follows can be understood. */
static bool do_bdat(struct visit *v, struct str args)
{
	struct reply r;

	if (!(v->host->options.caps & EHLO_CHUNKING) || !cmd_parse_bdat(args, &v->bdat_left, &v->bdat_last, &r) ||
	    v->rcpt_n == 0) {
		say(v, REPLY(503, 5, 5, 1, "BDAT is not for now"));
		return false;
	}
	v->in_bdat = v->content_begun = true;
	return true;
}

static void do_starttls(struct visit *v)
{
	if (v->host->options.tls == NULL || tls_peer(&v->stream) != NULL) {
		say(v, REPLY(502, 5, 5, 1, "no TLS here"));
		return;
	}
	v->start_tls = true;
	stream_discard(&v->stream);
	stream_pause(&v->stream, true);
	say(v, REPLY(220, 2, 0, 0, "go ahead"));
}

/* One command; false when the visit is over or must wait for the handshake. */
static bool run_command(struct visit *v, struct str line)
{
	struct cmd cmd;

	if (v->host->events.command != NULL)
		v->host->events.command(v, line);
	cmd_parse(line, &cmd);
	switch (cmd.verb) {
	case VERB_EHLO:
	case VERB_HELO:
		do_ehlo(v, cmd.args, cmd.verb == VERB_EHLO);
		return true;
	case VERB_MAIL:
		do_mail(v, cmd.args);
		return true;
	case VERB_RCPT:
		do_rcpt(v, cmd.args);
		return true;
	case VERB_DATA:
		do_data(v);
		return true;
	case VERB_BDAT:
		if (do_bdat(v, cmd.args))
			return true;
		visit_close(v);
		return false;
	case VERB_RSET:
		forget_transaction(v);
		say(v, REPLY(250, 2, 0, 0, "forgotten"));
		return true;
	case VERB_NOOP:
		say(v, REPLY(250, 2, 0, 0, "ok"));
		return true;
	case VERB_STARTTLS:
		do_starttls(v);
		return !v->start_tls;
	case VERB_QUIT:
		say(v, REPLY(221, 2, 0, 0, "bye"));
		visit_close(v);
		return false;
	default:
		say(v, REPLY(502, 5, 5, 1, "unknown command"));
		return true;
	}
}

static void take_data(struct visit *v, struct str in)
{
	size_t used = 0;
	bool done = body_in_next(&v->data, in, &used, give_content, v);

	stream_consume(&v->stream, used);
	if (done)
		end_message(v);
}

static void take_chunk(struct visit *v, struct str in)
{
	struct str run = str_head(in, in.n < v->bdat_left ? in.n : (size_t)v->bdat_left);

	if (run.n > 0)
		give_content(v, run);
	stream_consume(&v->stream, run.n);
	v->bdat_left -= run.n;
	if (v->bdat_left > 0)
		return;
	v->in_bdat = false;
	if (v->bdat_last)
		end_message(v);
	else
		say(v, REPLY(250, 2, 0, 0, "chunk taken"));
}

static void pump(struct visit *v)
{
	for (;;) {
		struct str in = stream_in(&v->stream), line;
		must(visit_check(v));
		if (v->thinking)
			return;
		if (v->in_bdat && (in.n > 0 || v->bdat_left == 0)) {
			take_chunk(v, in);
			continue;
		}
		if (in.n == 0)
			return;
		if (v->in_data) {
			take_data(v, in);
			continue;
		}
		int n = line_next(in, LINE_COMMAND_MAX, &line);
		if (n == LINE_MORE)
			return;
		if (n < 0) {
			say(v, REPLY(500, 5, 5, 2, "lines end in CR LF"));
			visit_close(v);
			return;
		}
		if (!run_command(v, line))
			return;
		stream_consume(&v->stream, (size_t)n);
	}
}

void host_answer(struct visit *v, struct reply r)
{
	must(v->thinking && r.code != 0);
	v->thinking = false;
	forget_transaction(v);
	say(v, r);
	pump(v);
}

static void on_event(struct stream *s, enum stream_event event)
{
	struct visit *v = container_of(s, struct visit, stream);

	switch (event) {
	case STREAM_READABLE:
		pump(v);
		break;
	case STREAM_DRAINED:
		if (v->start_tls) {
			v->start_tls = false;
			stream_pause(s, false);
			tls_accept(s, v->host->options.tls);
		}
		break;
	case STREAM_SECURED:
		forget_transaction(v);
		if (v->host->events.secured != NULL)
			v->host->events.secured(v);
		break;
	case STREAM_EOF:
	case STREAM_FAILED:
	case STREAM_TIMEOUT:
		visit_close(v);
		break;
	case STREAM_CONNECTED:
		break;
	}
}

static void visit_open(struct host *h, int fd, const struct net_addr *peer)
{
	struct visit *v = calloc(1, sizeof *v);
	int on = 1;

	must(v != NULL);
	setsockopt(fd, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
	v->host = h;
	buf_init(&v->from, 4096);
	buf_init(&v->rcpts, ENVELOPE_MAX);
	v->next = h->visits;
	v->link = &h->visits;
	if (v->next != NULL)
		v->next->link = &v->next;
	h->visits = v;
	h->visit_n++;
	stream_init(&v->stream, h->loop, on_event);
	stream_attach(&v->stream, fd, peer);
	if (h->events.opened != NULL)
		h->events.opened(v);
	struct buf *out = stream_out(&v->stream);
	buf_addf(out, "220 " STR_FMT " ESMTP\r\n", STR_ARG(h->options.name));
	stream_flush_later(&v->stream);
}

static void on_accept(struct loop_io *io, unsigned events)
{
	struct host *h = container_of(io, struct host, accepting);

	(void)events;
	for (;;) {
		struct net_addr peer;
		socklen_t n = sizeof peer;
		int fd = accept4(h->fd, &peer.sa, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0)
			return;
		visit_open(h, fd, &peer);
	}
}

struct host *host_open(struct loop *l, const struct host_options *o, const struct host_events *e, struct err *err)
{
	struct net_addr bound = o->listen;
	socklen_t n = sizeof bound;
	int fd = net_listen(&o->listen, BACKLOG, err);

	if (fd < 0)
		return NULL;
	struct host *h = calloc(1, sizeof *h);
	must(h != NULL && getsockname(fd, &bound.sa, &n) == 0);
	*h = (struct host){ .loop = l, .options = *o, .events = *e, .fd = fd, .port = net_port(&bound) };
	loop_io_start(l, &h->accepting, fd, LOOP_READ, on_accept);
	return h;
}

void host_close(struct host **hp)
{
	struct host *h = *hp;

	if (h == NULL)
		return;
	loop_io_stop(&h->accepting);
	close(h->fd);
	while (h->visits != NULL)
		visit_close(h->visits);
	loop_free_later(h->loop, h);
	*hp = NULL;
}

uint16_t host_port(const struct host *h)
{
	return h->port;
}

size_t host_visits(const struct host *h)
{
	return h->visit_n;
}

void *host_arg(const struct host *h)
{
	return h->events.arg;
}
