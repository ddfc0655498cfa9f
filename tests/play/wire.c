/* tests/play/wire.c: a middle box in the path between the gateway and a sink.
 *
 *   gateway <==TCP==> wire <==TCP==> sink
 *
 * It knows nothing of SMTP or TLS: it carries bytes, keeps all that came from the gateway, and replaces what a scenario
 * says.  It stands outside of TLS, so what is found here in clear went over the wire in clear. */
#include "tests/play/play.h"

#include "base/must.h"
#include "base/op.h"

#include <unistd.h>

enum { KEPT_MAX = 64 << 20, PIECE_MAX = 1 << 20 };

struct wire {
	struct play *play;
	const struct item *item;
	int fd;
	uint16_t port;
	struct loop_io accepting;
	struct buf kept; /* from the gateway, of all connections */
	struct link *links;
};

struct link {
	struct wire *wire;
	struct link *next;
	struct stream gateway, sink;
};

/* `server "220 go" => "454 no"`: the first rule of this direction whose text is in these bytes. */
static void alter(struct wire *w, struct str side, struct str bytes, struct buf *out)
{
	struct script *script = &w->play->script;

	for (size_t i = 0; i < w->item->steps.n; i++) {
		const struct step *rule = &w->item->steps.v[i];
		struct str left = rule->text, right = rule->right, inside, from, to;
		if (!str_eq(rule->order, side))
			continue;
		if (!script_quoted(&left, &inside) || !script_unescape(script, inside, false, &from) ||
		    !script_quoted(&right, &inside) || !script_unescape(script, inside, false, &to)) {
			play_fail(w->play, rule->line, "expected: server|gateway \"...\" => \"...\"");
			return;
		}
		ssize_t at = str_find(bytes, from);
		if (at >= 0) {
			buf_add(out, str_head(bytes, (size_t)at));
			buf_add(out, to);
			bytes = str_skip(bytes, (size_t)at + from.n);
			break;
		}
	}
	buf_add(out, bytes);
}

static void carry(struct link *l, struct stream *from)
{
	bool up = from == &l->gateway;
	struct str bytes = stream_in(from);
	struct buf out;

	if (bytes.n == 0)
		return;
	buf_init(&out, PIECE_MAX);
	if (up)
		buf_add(&l->wire->kept, bytes);
	alter(l->wire, up ? S("gateway") : S("server"), bytes, &out);
	stream_write(up ? &l->sink : &l->gateway, buf_str(&out));
	stream_consume(from, bytes.n);
	buf_fini(&out);
}

static void on_event(struct link *l, struct stream *from, enum stream_event event)
{
	if (event == STREAM_READABLE || event == STREAM_EOF)
		carry(l, from);
	if (event == STREAM_EOF || event == STREAM_FAILED) { /* what the one side got, the other side gets */
		stream_finish(&l->gateway);
		stream_finish(&l->sink);
	}
}

static void on_gateway(struct stream *s, enum stream_event event)
{
	struct link *l = container_of(s, struct link, gateway);

	on_event(l, s, event);
}

static void on_sink(struct stream *s, enum stream_event event)
{
	struct link *l = container_of(s, struct link, sink);

	on_event(l, s, event);
}

static void on_accept(struct loop_io *io, unsigned events)
{
	struct wire *w = container_of(io, struct wire, accepting);
	const struct sink *sink = sink_named(w->play, w->item->name);
	struct net_addr peer, to;
	socklen_t n = sizeof peer;
	struct err e;
	int fd = accept4(w->fd, &peer.sa, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)events;
	if (fd < 0)
		return;
	struct link *l = calloc(1, sizeof *l);
	must(l != NULL && sink != NULL && net_parse_ip(S("127.0.0.1"), sink_port(sink), &to));
	l->wire = w;
	l->next = w->links;
	w->links = l;
	stream_init(&l->gateway, w->play->loop, on_gateway);
	stream_init(&l->sink, w->play->loop, on_sink);
	stream_attach(&l->gateway, fd, &peer);
	if (stream_connect(&l->sink, &to, NULL, &e) != 0)
		play_fail(w->play, w->item->line, "wire: %s", e.text);
}

struct wire *wire_new(struct play *p, const struct item *item)
{
	struct wire *w = calloc(1, sizeof *w);
	struct net_addr at;
	socklen_t n = sizeof at;
	struct err e;

	must(w != NULL && net_parse_ip(S("127.0.0.1"), 0, &at));
	w->play = p;
	w->item = item;
	buf_init(&w->kept, KEPT_MAX);
	w->fd = net_listen(&at, 64, &e);
	must(w->fd >= 0 && getsockname(w->fd, &at.sa, &n) == 0);
	w->port = net_port(&at);
	loop_io_start(p->loop, &w->accepting, w->fd, LOOP_READ, on_accept);
	return w;
}

struct str wire_name(const struct wire *w)
{
	return w->item->name;
}

uint16_t wire_port(const struct wire *w)
{
	return w->port;
}

struct str wire_kept(const struct wire *w)
{
	return buf_str(&w->kept);
}

void wire_free(struct wire **wp)
{
	struct wire *w = *wp;
	struct link *l;

	if (w == NULL)
		return;
	while ((l = w->links) != NULL) {
		w->links = l->next;
		stream_close(&l->gateway);
		stream_close(&l->sink);
		loop_free_later(w->play->loop, l);
	}
	loop_io_stop(&w->accepting);
	close(w->fd);
	buf_fini(&w->kept);
	loop_free_later(w->play->loop, w);
	*wp = NULL;
}
