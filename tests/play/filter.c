/* tests/play/filter.c: a content filter that does as it is told, for every session that comes.
 *
 *   filter NAME [unix] { options => protocol 80 / actions 1ff        end => add-header X-Seen "yes" / continue }
 *
 * Left a stage (connect, helo, mail, rcpt, data, header, eoh, body, end, unknown, options, abort, quit, quit_nc) and
 * perhaps a pattern over what it is told there, or over the sender; the first that fits counts, else `continue`.
 * Right what it does, one after the other, split by " / ".  All it hears is kept: `expect NAME heard has "..."`. */
#include "tests/play/play.h"

#include "base/must.h"
#include "base/op.h"
#include "wire/milter.h"

#include <stdio.h>
#include <stdlib.h>
#include <sys/queue.h>
#include <unistd.h>

enum { HEARD_MAX = 64 << 20, IN_MAX = 4 << 20, TELL_MAX = 2000 };

struct filter_visit { /* one connection */
	struct play_filter *filter;
	struct stream stream;
	struct loop_timer timer;
	struct buf in, sender;   /* sender: what MAIL said last */
	const struct step *step; /* being done */
	struct str todo;         /* what is left of it */
	char stage;              /* it answers */
	uint64_t body_left;      /* of `replace-body size N` */
	int64_t busy_ms;         /* > 0: says so each time, for ever */
	LIST_ENTRY(filter_visit) entry;
};

struct play_filter {
	struct play *play;
	const struct item *item;
	int fd;
	uint16_t port;
	struct loop_io accepting;
	struct buf heard;
	size_t connections;
	LIST_HEAD(, filter_visit) visits;
};

static void go_on(struct filter_visit *v);

static void leave(struct filter_visit *v)
{
	LIST_REMOVE(v, entry);
	loop_timer_stop(&v->timer);
	stream_finish(&v->stream);
	buf_fini(&v->in);
	buf_fini(&v->sender);
	loop_free_later(v->filter->play->loop, v);
}

/* ---- what it hears ---- */

static const struct {
	char command;
	struct str word;
} stages[] = {
	{ MILTER_CONNECT, STR_LIT("connect") }, { MILTER_HELO, STR_LIT("helo") },
	{ MILTER_MAIL, STR_LIT("mail") },       { MILTER_RCPT, STR_LIT("rcpt") },
	{ MILTER_DATA, STR_LIT("data") },       { MILTER_HEADER, STR_LIT("header") },
	{ MILTER_EOH, STR_LIT("eoh") },         { MILTER_BODY, STR_LIT("body") },
	{ MILTER_END, STR_LIT("end") },         { MILTER_ABORT, STR_LIT("abort") },
	{ MILTER_QUIT, STR_LIT("quit") },       { MILTER_QUIT_NC, STR_LIT("quit_nc") },
	{ MILTER_UNKNOWN, STR_LIT("unknown") }, { MILTER_MACROS, STR_LIT("macros") },
	{ MILTER_OPTIONS, STR_LIT("options") },
};

static struct str word_of(char command)
{
	for (size_t i = 0; i < sizeof stages / sizeof stages[0]; i++)
		if (stages[i].command == command)
			return stages[i].word;
	return S("?");
}

/* One line: the texts split by blanks, for macros "connect: j=mail.x v=y". */
static void put_told(struct buf *b, const struct milter_packet *p)
{
	struct str data = p->data, text;

	if (p->kind == MILTER_BODY) {
		if (p->data.n > TELL_MAX)
			buf_addf(b, "%zu bytes", p->data.n);
		else
			buf_add(b, p->data);
		return;
	}
	if (p->kind == MILTER_OPTIONS) {
		uint32_t v[3] = { 0 };
		for (int i = 0; i < 3; i++)
			milter_get_u32(&data, &v[i]);
		buf_addf(b, "version %u actions %x protocol %x", v[0], v[1], v[2]);
		return;
	}
	if (p->kind == MILTER_MACROS && data.n > 0) {
		buf_add(b, word_of(data.p[0]));
		buf_addc(b, ':');
		data = str_skip(data, 1);
	}
	for (bool name = true; milter_get_text(&data, &text); name = !name) {
		if (p->kind == MILTER_CONNECT && !name)
			text = str_skip(text, 3); /* family and port */
		if (b->n > 0)
			buf_addc(b, p->kind == MILTER_MACROS && !name ? '=' : p->kind == MILTER_HEADER ? ':' : ' ');
		buf_add(b, text);
	}
}

/* A pattern is about what is told, or about the message's sender. */
static const struct step *rule_for(const struct filter_visit *v, char command, struct str told)
{
	const struct play_filter *f = v->filter;

	for (size_t i = 0; i < f->item->steps.n; i++) {
		const struct step *s = &f->item->steps.v[i];
		if (str_eq(s->order, word_of(command)) &&
		    (s->text.n == 0 || pattern_match(s->text, told) || pattern_match(s->text, buf_str(&v->sender))))
			return s;
	}
	return NULL;
}

/* ---- what it does ---- */

static void wrong(struct filter_visit *v)
{
	play_fail(v->filter->play, v->step->line, "a filter does not know how to do this: " STR_FMT,
		  STR_ARG(v->step->right));
}

/* The next argument: quoted with escapes, or a word. */
static struct str argument(struct filter_visit *v, struct str *rest)
{
	struct str inside, out;

	if (!script_quoted(rest, &inside))
		return str_word(rest);
	if (!script_unescape(&v->filter->play->script, inside, false, &out)) {
		wrong(v);
		return STR_NONE;
	}
	return out;
}

static uint64_t number(struct filter_visit *v, struct str *rest)
{
	uint64_t n = 0;

	if (!str_u64(str_word(rest), UINT32_MAX, &n))
		wrong(v);
	return n;
}

static bool say_plain(struct buf *out, struct str word)
{
	static const struct {
		struct str word;
		char answer;
	} plain[] = {
		{ STR_LIT("continue"), MILTER_CONTINUE }, { STR_LIT("accept"), MILTER_ACCEPT },
		{ STR_LIT("reject"), MILTER_REJECT },     { STR_LIT("tempfail"), MILTER_TEMPFAIL },
		{ STR_LIT("discard"), MILTER_DISCARD },   { STR_LIT("skip"), MILTER_SKIP },
		{ STR_LIT("shutdown"), MILTER_SHUTDOWN }, { STR_LIT("conn-fail"), MILTER_CONN_FAIL },
		{ STR_LIT("progress"), MILTER_PROGRESS },
	};

	for (size_t i = 0; i < sizeof plain / sizeof plain[0]; i++)
		if (str_eq(word, plain[i].word)) {
			milter_put_bare(out, plain[i].answer);
			return true;
		}
	return false;
}

static bool say_request(struct filter_visit *v, struct buf *out, struct str word, struct str rest)
{
	static const struct {
		struct str word;
		char answer;
		bool indexed;
		unsigned texts, most;
	} requests[] = {
		{ STR_LIT("reply"), MILTER_REPLY, false, 1, 1 },
		{ STR_LIT("add-header"), MILTER_ADD_HEADER, false, 2, 2 },
		{ STR_LIT("insert-header"), MILTER_INSERT_HEADER, true, 2, 2 },
		{ STR_LIT("change-header"), MILTER_CHANGE_HEADER, true, 2, 2 },
		{ STR_LIT("add-rcpt"), MILTER_ADD_RCPT, false, 1, 1 },
		{ STR_LIT("add-rcpt-par"), MILTER_ADD_RCPT_PAR, false, 2, 2 },
		{ STR_LIT("del-rcpt"), MILTER_DEL_RCPT, false, 1, 1 },
		{ STR_LIT("change-from"), MILTER_CHANGE_FROM, false, 1, 2 },
		{ STR_LIT("quarantine"), MILTER_QUARANTINE, false, 1, 1 },
	};

	for (size_t i = 0; i < sizeof requests / sizeof requests[0]; i++) {
		if (!str_eq(word, requests[i].word))
			continue;
		size_t at = milter_begin(out, requests[i].answer);
		if (requests[i].indexed)
			milter_put_u32(out, (uint32_t)number(v, &rest));
		for (unsigned n = 0; n < requests[i].texts || (n < requests[i].most && str_trim(rest).n > 0); n++)
			milter_put_text(out, argument(v, &rest));
		milter_end(out, at);
		return true;
	}
	return false;
}

static void say_chunk(struct buf *out, struct str bytes)
{
	size_t at = milter_begin(out, MILTER_REPLACE_BODY);

	buf_add(out, bytes);
	milter_end(out, at);
}

/* Lines of 66 bytes, as far as the gateway takes them now.  True: all is said. */
static bool say_body(struct filter_visit *v)
{
	static const char line[] = "A line of the body that a filter puts in place of the other...\r\n";
	struct buf chunk;

	buf_init(&chunk, MILTER_CHUNK);
	while (v->body_left > 0 && !stream_is_choked(&v->stream)) {
		buf_reset(&chunk);
		while (v->body_left > 0 && chunk.n + sizeof line <= MILTER_CHUNK) {
			struct str part = str_head(str_n(line, sizeof line - 1), v->body_left);
			buf_add(&chunk, part);
			v->body_left -= part.n;
		}
		say_chunk(stream_out(&v->stream), buf_str(&chunk));
	}
	buf_fini(&chunk);
	stream_flush_later(&v->stream);
	return v->body_left == 0;
}

/* `replace-body "text"`, `replace-body size N`.  True: all is said. */
static bool replace_body(struct filter_visit *v, struct str rest)
{
	struct str word = rest;

	if (!str_eq(str_word(&word), S("size"))) {
		say_chunk(stream_out(&v->stream), argument(v, &rest));
		return true;
	}
	v->body_left = number(v, &word);
	return say_body(v);
}

/* `packet K "data"`: any kind; `raw "bytes"`: no packet at all. */
static void say_odd(struct filter_visit *v, struct buf *out, bool packet, struct str rest)
{
	if (!packet) {
		buf_add(out, argument(v, &rest));
		return;
	}
	struct str kind = argument(v, &rest);
	size_t at = milter_begin(out, kind.n > 0 ? kind.p[0] : 0);
	buf_add(out, argument(v, &rest));
	milter_end(out, at);
}

static void on_timer(struct loop_timer *t)
{
	struct filter_visit *v = container_of(t, struct filter_visit, timer);

	if (v->busy_ms > 0) {
		milter_put_bare(stream_out(&v->stream), MILTER_PROGRESS);
		stream_flush_later(&v->stream);
		loop_timer_set(t, v->busy_ms);
		return;
	}
	go_on(v);
}

enum done { DONE_NEXT, DONE_WAIT, DONE_GONE };

static enum done do_action(struct filter_visit *v, struct str action)
{
	struct buf *out = stream_out(&v->stream);
	struct str rest = action, word = str_word(&rest);

	rest = str_trim(rest);
	if (str_eq(word, S("silence"))) {
		v->busy_ms = 0;
		return DONE_WAIT;
	}
	if (str_eq(word, S("close"))) {
		leave(v);
		return DONE_GONE;
	}
	if (str_eq(word, S("wait")) || str_eq(word, S("busy"))) {
		int64_t ms = (int64_t)number(v, &rest);
		v->busy_ms = word.p[0] == 'b' ? ms : 0;
		loop_timer_set(&v->timer, ms);
		return DONE_WAIT;
	}
	if (str_eq(word, S("repeat"))) {
		uint64_t n = number(v, &rest);
		for (uint64_t i = 0; i < n; i++)
			do_action(v, str_trim(rest));
	} else if (str_eq(word, S("replace-body"))) {
		if (!replace_body(v, rest))
			return DONE_WAIT; /* on_event goes on */
	} else if (str_eq(word, S("packet")) || str_eq(word, S("raw"))) {
		say_odd(v, out, word.p[0] == 'p', rest);
	} else if (!say_plain(out, word) && !say_request(v, out, word, rest)) {
		wrong(v);
	}
	stream_flush_later(&v->stream);
	return DONE_NEXT;
}

static uint32_t hex(struct str s)
{
	uint32_t v = 0;

	for (size_t i = 0; i < s.n; i++)
		v = v << 4 | (uint32_t)(chr_is_digit(s.p[i]) ? s.p[i] - '0' : (s.p[i] | 32) - 'a' + 10);
	return v;
}

/* `options => version 6 / actions 1ff / protocol 0 / macros 5 "i j"`: what it does not say is version 6, all actions,
 * every stage with its answer. */
static bool take_option(struct filter_visit *v, struct milter_options *o, struct str action)
{
	struct str rest = action, word = str_word(&rest);

	rest = str_trim(rest);
	if (str_eq(word, S("version")))
		o->version = (uint32_t)number(v, &rest);
	else if (str_eq(word, S("actions")))
		o->actions = hex(rest);
	else if (str_eq(word, S("protocol")))
		o->protocol = hex(rest);
	else if (str_eq(word, S("macros"))) {
		uint64_t list = number(v, &rest);
		must(list < MILTER_MACRO_LISTS);
		o->macros[list] = argument(v, &rest);
	} else {
		return false;
	}
	return true;
}

static struct str next_action(struct str *todo)
{
	ssize_t cut = str_find(*todo, S(" / "));
	struct str action = cut < 0 ? *todo : str_head(*todo, (size_t)cut);

	*todo = cut < 0 ? STR_NONE : str_skip(*todo, (size_t)cut + 3);
	return str_trim(action);
}

/* True: what is to be done is done, and the next packet may come. */
static bool do_actions(struct filter_visit *v)
{
	struct milter_options o = { .version = MILTER_VERSION, .actions = MILTER_ACTIONS };
	bool only_options = v->stage == MILTER_OPTIONS;

	while (v->todo.n > 0) {
		struct str action = next_action(&v->todo);
		if (v->stage == MILTER_OPTIONS && take_option(v, &o, action))
			continue;
		only_options = false;
		enum done done = do_action(v, action);
		if (done != DONE_NEXT)
			return false;
	}
	if (only_options) {
		milter_put_options(stream_out(&v->stream), &o);
		stream_flush_later(&v->stream);
	}
	v->step = NULL;
	return true;
}

static bool expects_answer(const struct filter_visit *v, char kind)
{
	(void)v;
	return kind != MILTER_ABORT && kind != MILTER_QUIT && kind != MILTER_QUIT_NC && kind != MILTER_MACROS;
}

/* ---- one packet ---- */

static bool hear(struct filter_visit *v, const struct milter_packet *p)
{
	struct play_filter *f = v->filter;
	struct buf told;

	buf_init(&told, 1 << 20);
	put_told(&told, p);
	buf_addf(&f->heard, STR_FMT "%s", STR_ARG(word_of(p->kind)), told.n > 0 ? " " : "");
	buf_add(&f->heard, buf_str(&told));
	buf_addc(&f->heard, '\n');
	if (p->kind == MILTER_MAIL || p->kind == MILTER_HELO || p->kind == MILTER_ABORT || p->kind == MILTER_QUIT_NC)
		buf_reset(&v->sender);
	if (p->kind == MILTER_MAIL)
		buf_add(&v->sender, buf_str(&told));
	v->step = rule_for(v, p->kind, buf_str(&told));
	buf_fini(&told);
	v->stage = p->kind;
	v->todo = v->step != NULL ? v->step->right : STR_NONE;
	if (v->step != NULL || p->kind == MILTER_OPTIONS)
		return do_actions(v);
	if (p->kind == MILTER_QUIT) {
		leave(v);
		return false;
	}
	if (expects_answer(v, p->kind)) {
		milter_put_bare(stream_out(&v->stream), MILTER_CONTINUE);
		stream_flush_later(&v->stream);
	}
	return true;
}

static void hear_all(struct filter_visit *v)
{
	struct milter_packet p;
	ssize_t n = 0;
	size_t at = 0;

	while (v->step == NULL && (n = milter_next(str_skip(buf_str(&v->in), at), &p)) > 0) {
		at += (size_t)n;
		if (!hear(v, &p) && v->step == NULL)
			return; /* it left */
		if (v->stream.fd < 0)
			return;
	}
	if (n < 0)
		play_fail(v->filter->play, v->filter->item->line, "the gateway said what is no packet");
	buf_drop(&v->in, at);
}

static void go_on(struct filter_visit *v)
{
	if (do_actions(v))
		hear_all(v);
}

static void on_event(struct stream *stream, enum stream_event e)
{
	struct filter_visit *v = container_of(stream, struct filter_visit, stream);

	if (e == STREAM_EOF || e == STREAM_FAILED) {
		leave(v);
		return;
	}
	if (e == STREAM_DRAINED && v->body_left > 0 && say_body(v))
		go_on(v);
	if (e != STREAM_READABLE)
		return;
	buf_add(&v->in, stream_in(stream));
	stream_consume(stream, stream->in_n);
	if (v->step == NULL)
		hear_all(v);
}

/* ---- begin and end ---- */

static void on_accept(struct loop_io *io, unsigned events)
{
	struct play_filter *f = container_of(io, struct play_filter, accepting);
	const struct net_addr nobody = { 0 };
	int fd;

	(void)events;
	while ((fd = accept4(f->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC)) >= 0) {
		struct filter_visit *v = calloc(1, sizeof *v);
		must(v != NULL);
		v->filter = f;
		buf_init(&v->in, IN_MAX);
		buf_init(&v->sender, TELL_MAX);
		loop_timer_init(f->play->loop, &v->timer, on_timer);
		stream_init(&v->stream, f->play->loop, on_event);
		LIST_INSERT_HEAD(&f->visits, v, entry);
		stream_attach(&v->stream, fd, &nobody);
		buf_addf(&f->heard, "connection %zu\n", ++f->connections);
	}
}

static bool listen_inet(struct play_filter *f, struct err *e)
{
	struct net_addr a;
	socklen_t n = sizeof a;
	bool parsed = net_parse_ip(S("127.0.0.1"), f->port, &a);

	must(parsed);
	f->fd = net_listen(&a, 64, e);
	if (f->fd < 0)
		return false;
	must(getsockname(f->fd, &a.sa, &n) == 0);
	f->port = net_port(&a);
	return true;
}

static void open_door(struct play_filter *f)
{
	struct err e = { 0 };
	char path[300];

	snprintf(path, sizeof path, "%s/" STR_FMT ".sock", f->play->dir, STR_ARG(f->item->name));
	if (str_eq(f->item->options, S("unix")) ? (f->fd = net_listen_unix(path, 0600, &e)) < 0 : !listen_inet(f, &e)) {
		play_fail(f->play, f->item->line, "cannot open the filter: %s", e.text);
		return;
	}
	loop_io_start(f->play->loop, &f->accepting, f->fd, LOOP_READ, on_accept);
}

static void close_door(struct play_filter *f)
{
	if (f->fd >= 0) {
		loop_io_stop(&f->accepting);
		close(f->fd);
	}
	f->fd = -1;
	while (!LIST_EMPTY(&f->visits))
		leave(LIST_FIRST(&f->visits));
}

struct play_filter *play_filter_open(struct play *p, const struct item *item)
{
	struct play_filter *f = calloc(1, sizeof *f);

	must(f != NULL);
	f->play = p;
	f->item = item;
	f->fd = -1;
	buf_init(&f->heard, HEARD_MAX);
	LIST_INIT(&f->visits);
	open_door(f);
	return f;
}

void play_filter_order(struct play_filter *f, const struct item *item)
{
	if (str_eq(item->options, S("stops")))
		close_door(f);
	else if (str_eq(item->options, S("starts")) && f->fd < 0)
		open_door(f);
	else
		play_fail(f->play, item->line, "expected: filter NAME stops | starts");
}

struct str play_filter_name(const struct play_filter *f)
{
	return f->item->name;
}

uint16_t play_filter_port(const struct play_filter *f)
{
	return f->port;
}

struct str play_filter_heard(const struct play_filter *f)
{
	return buf_str(&f->heard);
}

void play_filter_close(struct play_filter **fp)
{
	struct play_filter *f = *fp;

	if (f == NULL)
		return;
	*fp = NULL;
	close_door(f);
	buf_fini(&f->heard);
	loop_free_later(f->play->loop, f);
}
