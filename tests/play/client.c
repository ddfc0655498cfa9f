/* tests/play/client.c: one client of the gateway: says its steps, in one write where they are piped, and compares each
 * answer.  Bytes leave as written; `split N` cuts what is said into pieces of N bytes, one a loop turn, and `split
 * each` plays the whole client once for each place where a `raw` can be cut in two. */
#include "tests/play/play.h"

#include "base/must.h"
#include "base/op.h"
#include "tests/kit/openssl_rogue.h"
#include "wire/body.h"
#include "wire/reply.h"

enum { LINE_SIZE = 64, SAID_MAX = 64 << 20, PIECE_MAX = 1 << 20, HEARD_MAX = 64 * 1024, PIECE_MS = 2, HEARD_MS = 20 };

struct client {
	struct play *play;
	const struct item *item;
	struct stream stream;
	struct loop_timer piece;
	struct buf said; /* waits to be sent; [0 .. said_at) are gone */
	size_t said_at;
	size_t cut;         /* bytes of a piece, 0 = all at once */
	size_t raw_cut;     /* a raw is cut here once */
	size_t at, said_to; /* step under way; steps before said_to have been said */
	bool secured, ended, over;
	struct tls_ctx *tls;
};

static void run(struct client *c);

static void finish(struct client *c)
{
	c->over = true;
	loop_timer_stop(&c->piece);
	stream_close(&c->stream);
}

static const struct step *now(const struct client *c)
{
	return &c->item->steps.v[c->at];
}

int client_line(const struct client *c)
{
	return c->at < c->item->steps.n ? now(c)->line : c->item->line;
}

static void send_piece(struct client *c)
{
	size_t most = c->cut > 0 ? c->cut : PIECE_MAX, left = c->said.n - c->said_at, n = left < most ? left : most;

	if (stream_unsent(&c->stream) >= PIECE_MAX)
		n = 0; /* the gateway is not so fast */
	if (n > 0 && !stream_write(&c->stream, str_n(c->said.p + c->said_at, n)) && !c->ended)
		play_fail(c->play, client_line(c), "cannot write: the connection is closed");
	c->said_at += n;
	if (c->said_at == c->said.n) {
		buf_reset(&c->said);
		c->said_at = 0;
	} else {
		loop_timer_set(&c->piece, PIECE_MS);
	}
}

static void on_piece(struct loop_timer *t)
{
	struct client *c = container_of(t, struct client, piece);

	send_piece(c);
	if (c->said.n == 0)
		run(c);
}

static void say(struct client *c, struct str bytes)
{
	bool fits = buf_add(&c->said, bytes);

	must(fits);
}

static bool unescape(struct client *c, const struct step *step, struct str *text, bool lines, struct str *out)
{
	struct str inside;

	if (script_quoted(text, &inside) && script_unescape(&c->play->script, inside, lines, out))
		return true;
	play_fail(c->play, step->line,
		  "expected \"...\" with \\r \\n \\t \\0 \\xNN for the bytes that cannot be written");
	return false;
}

static void say_lines(struct client *c, uint64_t size)
{
	for (uint64_t n = 0; n < size; n += LINE_SIZE)
		say(c, S("This line has sixty-four bytes, the two at its end counted in.\r\n"));
}

/* What the sink got last, which `text` names. */
static struct str last_of(struct client *c, const struct step *step, struct str *text)
{
	const struct sink *sink = sink_named(c->play, str_word(text));

	if (sink != NULL && sink_messages(sink) > 0)
		return sink_last(sink);
	play_fail(c->play, step->line, "expected: of SINK, which has got something");
	return STR_NONE;
}

/* Without its CRs; its lines begin with no dot. */
static void say_bare(struct client *c, struct str content)
{
	for (struct str line; content.n > 0;) {
		str_cut(content, '\n', &line, &content);
		say(c, str_head(line, line.n - (line.n > 0 && line.p[line.n - 1] == '\r')));
		say(c, content.n > 0 ? S("\n") : S("\r\n"));
	}
}

/* `body "text"`, `body size N` or `body of SINK [lf]` (what it got last; lf: its line ends bare): content as DATA wants
 * it, final dot included. */
static void say_body(struct client *c, const struct step *step)
{
	struct str text = step->text, content;
	struct body_out encoder;
	uint64_t size;

	body_out_init(&encoder);
	if (str_starts(text, S("size "))) {
		if (!str_u64(str_trim(str_skip(text, 5)), SAID_MAX / 2, &size)) {
			play_fail(c->play, step->line, "expected: body size N");
			return;
		}
		body_out_add(&encoder, S("Subject: filler\r\n\r\n"), &c->said);
		say_lines(c, size > 19 ? size - 19 : 0);
	} else if (str_starts(text, S("of "))) {
		text = str_skip(text, 3);
		content = last_of(c, step, &text);
		if (str_eq(str_trim(text), S("lf")))
			say_bare(c, content);
		else
			body_out_add(&encoder, content, &c->said);
	} else if (unescape(c, step, &text, true, &content)) {
		body_out_add(&encoder, content, &c->said);
	}
	body_out_finish(&encoder, &c->said);
}

/* "2/3": the second of three parts of about one size. */
static struct str part_of(struct str whole, struct str words, bool *last)
{
	struct str left, right;
	uint64_t i, n;

	*last = false;
	if (!str_cut(str_trim(words), '/', &left, &right) || !str_u64(left, 1000, &i) || !str_u64(right, 1000, &n) ||
	    i == 0 || i > n)
		return STR_NONE;
	*last = i == n;
	size_t from = whole.n * (i - 1) / n;
	return str_n(whole.p + from, whole.n * i / n - from);
}

static bool say_bdat_size(struct client *c, struct str words)
{
	uint64_t size;

	if (!str_u64(str_word(&words), SAID_MAX / 2, &size) || size % LINE_SIZE != 0)
		return false;
	buf_addf(&c->said, "BDAT %zu%s\r\n", (size_t)size, str_eq(str_trim(words), S("last")) ? " LAST" : "");
	say_lines(c, size);
	return true;
}

/* `bdat "bytes" [last]`; `bdat of SINK I/N`: the I-th of N parts of what it got last; `bdat size N [last]`: lines of 64
 * bytes. */
static void say_bdat(struct client *c, const struct step *step)
{
	struct str text = step->text, content;
	bool last;

	if (str_starts(text, S("size "))) {
		if (!say_bdat_size(c, str_skip(text, 5)))
			play_fail(c->play, step->line, "expected: bdat size N [last], N a multiple of 64");
		return;
	}
	if (str_starts(text, S("of "))) {
		text = str_skip(text, 3);
		content = last_of(c, step, &text);
		content = part_of(content, text, &last);
	} else if (unescape(c, step, &text, false, &content)) {
		last = str_eq(str_trim(text), S("last"));
	} else {
		return;
	}
	buf_addf(&c->said, "BDAT %zu%s\r\n", content.n, last ? " LAST" : "");
	say(c, content);
}

/* `connect [inet | hub | PORT] [from IP]` */
static void connect_to(struct client *c, const struct step *step)
{
	struct str rest = step->text, word = str_word(&rest);
	struct net_addr to, from;
	struct err e;
	uint64_t port = str_eq(word, S("hub")) ? c->play->hub_port : c->play->inet_port;
	bool has_from = false;

	if (word.n > 0 && chr_is_digit(word.p[0]) && !str_u64(word, 65535, &port))
		play_fail(c->play, step->line, "no such port");
	if (str_eq(word, S("from")) || str_eq(str_word(&rest), S("from")))
		has_from = net_parse_ip(str_trim(rest), 0, &from);
	stream_close(&c->stream);
	c->secured = c->ended = false;
	if (!net_parse_ip(S("127.0.0.1"), (uint16_t)port, &to) ||
	    stream_connect(&c->stream, &to, has_from ? &from : NULL, &e) != 0)
		play_fail(c->play, step->line, "connect: %s", e.text);
}

/* The context for `[cert NAME] [weak NAME] [at most 1.1] [again [bare]] [sni "NAME"]`; *sni is what is asked for. */
static struct tls_ctx *handshake_tls(struct client *c, struct str words, struct str *sni, struct err *e)
{
	struct tls_ctx *tls = NULL;
	struct str word, inside;

	while ((word = str_word(&words)).n > 0 && !str_eq(word, S("sni"))) {
		if (str_eq(word, S("cert")))
			tls = play_client_tls(c->play, str_word(&words), e);
		else if (str_eq(word, S("weak")))
			tls = play_weak_client_tls(c->play, str_word(&words), e);
		else if (str_eq(word, S("again"))) /* with the sessions it has saved */
			tls = c->tls == NULL ? NULL : tls_ctx_ref(c->tls);
		else if (tls == NULL)
			tls = play_client_tls(c->play, STR_NONE, e);
		if (tls == NULL)
			return NULL;
		if (str_eq(word, S("bare")))
			rogue_hide_certificate(tls);
		else if (str_eq(word, S("at")) && str_eq(str_word(&words), S("most")))
			rogue_speak_at_most(tls, str_word(&words));
	}
	if (word.n > 0 && (!script_quoted(&words, &inside) || !script_unescape(&c->play->script, inside, false, sni)))
		play_fail(c->play, now(c)->line, "expected: sni \"...\"");
	return tls != NULL ? tls : play_client_tls(c->play, STR_NONE, e);
}

/* The handshake; the STARTTLS command is a line of its own before it. */
static void secure(struct client *c, const struct step *step)
{
	struct str sni = STR_NONE;
	struct err e = { 0 };
	struct tls_ctx *tls = handshake_tls(c, step->text, &sni, &e);

	tls_ctx_unref(&c->tls);
	c->tls = tls;
	if (tls == NULL) {
		play_fail(c->play, step->line, "starttls: %s", e.text);
		return;
	}
	stream_discard(&c->stream);
	tls_connect(&c->stream, tls, S("mail.contoso.com"), S("saved"));
	if (sni.p != NULL)
		rogue_ask_for(&c->stream, sni);
}

/* `renegotiate`: asks for a second handshake; it is over when the connection is. */
static void renegotiate(struct client *c, const struct step *step)
{
	if (tls_peer(&c->stream) == NULL)
		play_fail(c->play, step->line, "renegotiate: there is no TLS yet");
	else
		rogue_renegotiate(&c->stream);
}

/* `rekey N`: so many KeyUpdate messages, as far as they are taken. */
static void rekey(struct client *c, const struct step *step)
{
	uint64_t n;

	if (tls_peer(&c->stream) == NULL || !str_u64(str_trim(step->text), UINT32_MAX, &n))
		play_fail(c->play, step->line, "expected: rekey N, with TLS 1.3 under it");
	else
		rogue_update_keys(&c->stream, (unsigned)n);
}

/* What was said before needs the end of this turn to leave. */
static void begin_cut(struct client *c, const struct step *step)
{
	(void)step;
	loop_timer_set(&c->piece, PIECE_MS);
}

/* A FIN, and no goodbye of TLS before it. */
static bool cut_done(struct client *c)
{
	if (loop_timer_is_set(&c->piece))
		return false;
	shutdown(c->stream.fd, SHUT_WR);
	stream_finish(&c->stream);
	return true;
}

/* `reset`: the connection is gone without a FIN. */
static bool reset_done(struct client *c)
{
	const struct linger none = { .l_onoff = 1 };

	if (loop_timer_is_set(&c->piece))
		return false;
	setsockopt(c->stream.fd, SOL_SOCKET, SO_LINGER, &none, sizeof none);
	stream_close(&c->stream);
	return true;
}

/* `clear "bytes"`: out of TLS, on the connection that stays. */
static bool clear_done(struct client *c, const struct step *step)
{
	struct str text = step->text, bytes;

	if (loop_timer_is_set(&c->piece))
		return false;
	if (tls_peer(&c->stream) == NULL)
		play_fail(c->play, step->line, "clear: there is no TLS yet");
	else if (unescape(c, step, &text, false, &bytes))
		rogue_go_on_clear(&c->stream, bytes);
	return true;
}

static void say_raw(struct client *c, const struct step *step)
{
	struct str text = step->text, bytes;

	if (!unescape(c, step, &text, false, &bytes))
		return;
	if (c->raw_cut > 0 && c->raw_cut < bytes.n) {
		stream_write(&c->stream, str_head(bytes, c->raw_cut));
		say(c, str_skip(bytes, c->raw_cut));
		loop_timer_set(&c->piece, PIECE_MS);
	} else {
		say(c, bytes);
	}
}

/* What was said before must have been heard before the time is over: it gets a moment of real time. */
static void begin_clock(struct client *c, const struct step *step)
{
	(void)step;
	loop_timer_set(&c->piece, HEARD_MS);
}

static bool clock_done(struct client *c, const struct step *step)
{
	if (loop_timer_is_set(&c->piece))
		return false;
	if (!play_move_clock(c->play, step->text))
		play_fail(c->play, step->line, "expected: clock +61s");
	return true;
}

static const struct order {
	struct str word;
	void (*say)(struct client *c, const struct step *step);
} orders[] = {
	{ STR_LIT("connect"), connect_to }, { STR_LIT("starttls"), secure },
	{ STR_LIT("body"), say_body },      { STR_LIT("bdat"), say_bdat },
	{ STR_LIT("raw"), say_raw },        { STR_LIT("clock"), begin_clock },
	{ STR_LIT("cut"), begin_cut },      { STR_LIT("renegotiate"), renegotiate },
	{ STR_LIT("clear"), begin_cut },    { STR_LIT("reset"), begin_cut },
	{ STR_LIT("rekey"), rekey },
};

static void say_step(struct client *c, const struct step *step)
{
	if (step->order.n == 0) {
		struct buf line;
		buf_init(&line, SAID_MAX);
		play_expand(c->play, step->text, &line);
		say(c, buf_str(&line));
		say(c, S("\r\n"));
		buf_fini(&line);
		return;
	}
	for (size_t i = 0; i < sizeof orders / sizeof orders[0]; i++)
		if (str_eq(step->order, orders[i].word)) {
			orders[i].say(c, step);
			return;
		}
	uint64_t cut;
	if (str_eq(step->order, S("split")) && str_u64(step->text, SAID_MAX, &cut))
		c->cut = cut;
	else if (str_eq(step->order, S("close")))
		stream_finish(&c->stream);
	else if (!str_eq(step->order, S("read")) && !str_eq(step->order, S("expect")))
		play_fail(c->play, step->line, "a client has no order `" STR_FMT "`", STR_ARG(step->order));
}

/* Says the step under way and, in a pipeline, all that are piped with it. */
static void say_steps(struct client *c)
{
	const struct steps *steps = &c->item->steps;
	bool piped = steps->v[c->said_to].piped;

	do
		say_step(c, &steps->v[c->said_to++]);
	while (piped && c->said_to < steps->n && steps->v[c->said_to].piped);
	if (c->said.n > 0 && !loop_timer_is_set(&c->piece))
		send_piece(c);
}

/* "250-a\r\n250 b" as "250 a / b". */
static void flatten(const struct reply *r, struct buf *out)
{
	struct str rest = r->text, line;
	const char *between = " ";

	buf_addf(out, "%d", r->code);
	while (reply_lines(&rest, &line)) {
		buf_addf(out, "%s" STR_FMT, between, STR_ARG(line));
		between = " / ";
	}
}

static bool reply_met(const struct want *w, struct str got, struct str *why)
{
	if (w->pattern.n == 3 && str_starts(got, w->pattern)) { /* a code alone: any text */
		struct want parts = *w;
		parts.pattern = STR_NONE;
		return want_met(&parts, got, why);
	}
	return want_met(w, got, why);
}

/* True when the answer has come and is as wanted. */
static bool heard(struct client *c, const struct step *step)
{
	struct reply r;
	struct buf got;
	struct str why;
	int n = reply_next(stream_in(&c->stream), false, &r);

	if (n == REPLY_MORE) {
		if (c->ended)
			play_mismatch(c->play, step->line, "client", step->right, S("the connection was closed"));
		return false;
	}
	buf_init(&got, HEARD_MAX);
	if (n < 0)
		buf_addf(&got, "no SMTP reply (error %d): " STR_FMT, n, STR_ARG(stream_in(&c->stream)));
	else
		flatten(&r, &got);
	bool ok = n > 0 && reply_met(&step->want, buf_str(&got), &why);
	if (ok)
		stream_consume(&c->stream, (size_t)n);
	else
		play_mismatch(c->play, step->line, "client", step->right, buf_str(&got));
	buf_fini(&got);
	return ok;
}

/* The handshake is over as it should be: well, or with `=> failed [has "why"]`. */
static bool shaken(struct client *c, const struct step *step)
{
	bool fails = str_starts(step->right, S("failed"));
	struct want parts = step->want;
	struct str why;

	parts.pattern = STR_NONE;
	if (c->ended && (!fails || !want_met(&parts, str_c(c->stream.err.text), &why)))
		play_mismatch(c->play, step->line, "the handshake failed", step->right, str_c(c->stream.err.text));
	if (c->secured && fails && str_eq(step->order, S("starttls")))
		play_fail(c->play, step->line, "the handshake went well");
	return fails ? c->ended : c->secured;
}

/* `expect tls [has "..."] [lacks "..."]`: "TLSv1.3 resumed=no chain=yes subject=CN=... names=a b " */
static bool tls_is(struct client *c, const struct step *step)
{
	const struct tls_peer *peer = tls_peer(&c->stream);
	struct want parts = step->want;
	struct str why;
	struct buf b;

	buf_init(&b, HEARD_MAX);
	if (peer != NULL)
		buf_addf(&b, STR_FMT " resumed=%s chain=%s subject=" STR_FMT " names=", STR_ARG(peer->protocol),
			 peer->resumed ? "yes" : "no", peer->chain_ok ? "yes" : "no", STR_ARG(peer->subject));
	for (size_t i = 0; peer != NULL && i < peer->ids.san_n; i++)
		buf_addf(&b, STR_FMT " ", STR_ARG(peer->ids.sans[i]));
	parts.pattern = STR_NONE;
	if (!want_met(&parts, buf_str(&b), &why))
		play_mismatch(c->play, step->line, "TLS", step->text, buf_str(&b));
	buf_fini(&b);
	return true;
}

/* Has what the step waits for happened? */
static bool step_done(struct client *c, const struct step *step)
{
	if (str_eq(step->order, S("starttls")) || str_eq(step->order, S("renegotiate")))
		return shaken(c, step);
	if (str_eq(step->order, S("expect")) && str_starts(step->text, S("tls")))
		return tls_is(c, step);
	if (str_eq(step->order, S("expect"))) { /* expect closed; expect dropped: whatever was said before */
		if (str_eq(step->text, S("closed")) && stream_in(&c->stream).n > 0)
			play_mismatch(c->play, step->line, "client", S("the connection closed"), stream_in(&c->stream));
		return c->ended;
	}
	if (str_eq(step->order, S("clock")))
		return clock_done(c, step);
	if (str_eq(step->order, S("cut")))
		return cut_done(c);
	if (str_eq(step->order, S("reset")))
		return reset_done(c);
	if (str_eq(step->order, S("clear")))
		return clear_done(c, step);
	return !step->answered || heard(c, step);
}

static void run(struct client *c)
{
	while (!c->over && !c->play->over) {
		if (c->at == c->item->steps.n) {
			if (client_stays(c->item))
				c->over = true;
			else
				finish(c);
			return;
		}
		if (c->said_to == c->at)
			say_steps(c);
		if (c->said.n > 0 || c->play->over || !step_done(c, now(c)))
			return;
		c->at++;
	}
}

static void on_event(struct stream *s, enum stream_event event)
{
	struct client *c = container_of(s, struct client, stream);

	if (event == STREAM_SECURED)
		c->secured = true;
	if (event == STREAM_EOF || event == STREAM_FAILED)
		c->ended = true;
	run(c);
}

bool client_stays(const struct item *item)
{
	return str_eq(item->options, S("stays"));
}

static size_t longest_raw(struct play *p, const struct item *item)
{
	size_t longest = 0;

	for (size_t i = 0; i < item->steps.n; i++) {
		struct str text = item->steps.v[i].text, inside, bytes;
		if (str_eq(item->steps.v[i].order, S("raw")) && script_quoted(&text, &inside) &&
		    script_unescape(&p->script, inside, false, &bytes) && bytes.n > longest)
			longest = bytes.n;
	}
	return longest;
}

unsigned client_rounds(struct play *p, const struct item *item)
{
	size_t longest = str_eq(item->options, S("split each")) ? longest_raw(p, item) : 0;

	return longest > 2 ? (unsigned)longest - 1 : 1;
}

static void on_first(struct loop_timer *t)
{
	struct client *c = container_of(t, struct client, piece);

	t->fn = on_piece;
	run(c);
}

struct client *client_new(struct play *p, const struct item *item, unsigned round)
{
	struct client *c = calloc(1, sizeof *c);

	must(c != NULL);
	c->play = p;
	c->item = item;
	c->raw_cut = str_eq(item->options, S("split each")) ? round + 1 : 0;
	buf_init(&c->said, SAID_MAX);
	stream_init(&c->stream, p->loop, on_event);
	loop_timer_init(p->loop, &c->piece, on_first);
	loop_timer_set(&c->piece, 0);
	return c;
}

bool client_is_done(const struct client *c)
{
	return c->over;
}

void client_free(struct client **cp)
{
	struct client *c = *cp;

	if (c == NULL)
		return;
	finish(c);
	tls_ctx_unref(&c->tls);
	buf_fini(&c->said);
	loop_free_later(c->play->loop, c);
	*cp = NULL;
}
