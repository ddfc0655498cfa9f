/* tests/play/play.c: the list of items: what is done next, and when it is done.
 *
 * An item is begun once and asked on every tick whether it is over; a tick also lets sinks take connections and notices
 * a gateway that died.  Everything polled has the scenario's time limit, so an expectation that never comes true ends
 * as a failure that names it. */
#include "tests/play/play.h"

#include "base/must.h"
#include "base/op.h"
#include "base/time.h"
#include "tests/kit/openssl_rogue.h"
#include "tests/kit/port.h"

#include <fcntl.h>
#include <ftw.h>
#include <signal.h>
#include <stdarg.h>
#include <sys/wait.h>
#include <unistd.h>

enum {
	LOG_TAIL = 4000,
	SCRIPT_MAX = 1 << 20,
	FAILURE_MAX = 64 * 1024,
	PATH_ROOM = 512,
	GOT_SHOWN = 1500,
	MARK_MIN = 100
};

/* ---- failing ---- */

static void end(struct play *p)
{
	p->over = true;
	loop_stop(p->loop);
}

void play_fail(struct play *p, int line, const char *fmt, ...)
{
	va_list ap;

	if (p->over)
		return;
	if (line == 0 && p->at < p->script.n)
		line = p->script.items[p->at].line;
	struct buf *b = &p->played->failure;
	buf_addf(b, "%s:%d: ", p->file, line);
	if (p->case_name.n > 0)
		buf_addf(b, "case \"" STR_FMT "\": ", STR_ARG(p->case_name));
	va_start(ap, fmt);
	buf_vaddf(b, fmt, ap);
	va_end(ap);
	buf_addc(b, '\n');
	end(p);
}

/* Bytes for a person, the first `max` of them: control bytes and 8-bit as \xNN, line ends kept. */
static void put_visible(struct buf *b, struct str s, size_t max)
{
	for (size_t i = 0; i < s.n && i < max; i++) {
		char c = s.p[i];
		if (c == '\r')
			buf_add(b, S("\\r"));
		else if (c != '\n' && (chr_is_ctl(c) || chr_is_8bit(c)))
			buf_addf(b, "\\x%02x", (unsigned char)c);
		else
			buf_addc(b, c);
	}
}

void play_mismatch(struct play *p, int line, const char *who, struct str wanted, struct str got)
{
	struct buf text;

	buf_init(&text, FAILURE_MAX);
	put_visible(&text, got, GOT_SHOWN);
	play_fail(p, line, "%s\n    wanted  " STR_FMT "\n    got     " STR_FMT, who, STR_ARG(wanted),
		  STR_ARG(buf_str(&text)));
	buf_fini(&text);
}

/* ---- files and names ---- */

const char *play_path(struct play *p, const char *name)
{
	size_t n = strlen(p->dir) + strlen(name) + 2;
	char *path = arena_alloc(&p->script.memory, n);

	must(path != NULL);
	snprintf(path, n, "%s/%s", p->dir, name);
	return path;
}

static bool read_file(const char *path, struct buf *out, size_t max)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	char *room = fd < 0 ? NULL : buf_reserve(out, max);
	ssize_t n = room == NULL ? -1 : read(fd, room, max);

	if (fd >= 0)
		close(fd);
	if (n > 0)
		buf_commit(out, (size_t)n);
	return n >= 0;
}

bool play_write_file(struct play *p, const char *path, struct str text)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);
	bool ok = fd >= 0 && write(fd, text.p, text.n) == (ssize_t)text.n;

	if (fd >= 0)
		close(fd);
	if (!ok)
		play_fail(p, 0, "cannot write %s", path);
	return ok;
}

static uint16_t port_of(struct play *p, struct str name)
{
	for (size_t i = 0; i < p->wire_n; i++)
		if (str_eq(wire_name(p->wires[i]), name))
			return wire_port(p->wires[i]);
	for (size_t i = 0; i < p->sink_n; i++)
		if (str_eq(sink_name(p->sinks[i]), name))
			return sink_port(p->sinks[i]);
	return p->closed_port; /* a side this scenario does not have: connection refused */
}

static struct play_filter *filter_named(struct play *p, struct str name)
{
	for (size_t i = 0; i < p->filter_n; i++)
		if (str_eq(play_filter_name(p->filters[i]), name))
			return p->filters[i];
	return NULL;
}

static uint16_t filter_port_of(struct play *p, struct str name)
{
	const struct play_filter *f = filter_named(p, name);

	return f == NULL ? p->closed_port : play_filter_port(f);
}

/* Empty when the sink has got nothing. */
static struct str sender_at(struct play *p, struct str name)
{
	struct sink *s = sink_named(p, name);

	return s == NULL ? STR_NONE : sink_last_from(s);
}

/* The last message of a sink as a file: its path. */
static void add_last(struct play *p, struct str name, struct buf *out)
{
	struct sink *sink = sink_named(p, name);
	char file[PATH_ROOM];

	snprintf(file, sizeof file, "last." STR_FMT, STR_ARG(name));
	if (sink != NULL)
		play_write_file(p, play_path(p, file), sink_last(sink));
	buf_add(out, str_c(play_path(p, file)));
}

/* What the DNS says of a test key (tests/certs.sh): dkim-NAME.txt. */
static void add_key_record(struct play *p, struct str name, struct buf *out)
{
	char path[PATH_ROOM];
	FILE *f;

	snprintf(path, sizeof path, "%s/dkim-" STR_FMT ".txt", p->certs, STR_ARG(name));
	f = fopen(path, "re");
	for (int c; f != NULL && (c = fgetc(f)) != EOF && c != '\n';)
		buf_addc(out, (char)c);
	if (f != NULL)
		fclose(f);
}

void play_expand(struct play *p, struct str text, struct buf *out)
{
	while (text.n > 0) {
		ssize_t at = str_chr(text, '$');
		buf_add(out, at < 0 ? text : str_head(text, (size_t)at));
		text = at < 0 ? STR_NONE : str_skip(text, (size_t)at + 1);
		if (at < 0)
			return;
		size_t n = 0;
		while (n < text.n && (chr_is_alnum(text.p[n]) || text.p[n] == '.' || text.p[n] == '-'))
			n++;
		struct str name = str_head(text, n);
		if (str_eq(name, S("PORT")))
			buf_addu(out, p->inet_port);
		else if (str_eq(name, S("HUB")))
			buf_addu(out, p->hub_port);
		else if (str_eq(name, S("DIR")))
			buf_add(out, str_c(p->dir));
		else if (str_eq(name, S("CERTS")))
			buf_add(out, str_c(p->certs));
		else if (str_starts(name, S("sink.")))
			buf_addu(out, port_of(p, str_skip(name, 5)));
		else if (str_starts(name, S("filter.")))
			buf_addu(out, filter_port_of(p, str_skip(name, 7)));
		else if (str_starts(name, S("from.")))
			buf_add(out, sender_at(p, str_skip(name, 5)));
		else if (str_starts(name, S("last.")))
			add_last(p, str_skip(name, 5), out);
		else if (str_starts(name, S("dkim.")))
			add_key_record(p, str_skip(name, 5), out);
		else {
			buf_addc(out, '$');
			n = 0;
		}
		text = str_skip(text, n);
	}
}

static struct str cert_path(struct play *p, struct str name, const char *end_)
{
	struct buf b;
	struct str path;

	buf_init(&b, PATH_ROOM);
	buf_addf(&b, "%s/" STR_FMT "%s", p->certs, STR_ARG(name), end_);
	buf_addc(&b, '\0');
	bool kept = arena_dup(&p->script.memory, buf_str(&b), &path);
	must(kept);
	buf_fini(&b);
	path.n--;
	return path;
}

static const struct conf_tls test_tls = { .min = { "1.2", 3 }, .crl = CRL_OFF, .client_cert_eku = EKU_ANY };

struct tls_ctx *play_client_tls(struct play *p, struct str certificate, struct err *e)
{
	struct tls_client_options o = { .ca = cert_path(p, S("ca"), ".pem"), .tls = &test_tls, .allow_expired = true };

	if (certificate.n > 0) {
		o.certificate = cert_path(p, certificate, ".pem");
		o.key = cert_path(p, certificate, ".key");
	}
	return tls_client_new(&o, e);
}

struct tls_ctx *play_server_tls(struct play *p, struct str certificate, struct err *e)
{
	struct tls_server_options o = { .certificate = cert_path(p, certificate, ".pem"),
					.key = cert_path(p, certificate, ".key"),
					.ca = cert_path(p, S("ca"), ".pem"),
					.tls = &test_tls,
					.id_context = S("sink"),
					.allow_expired = true };

	return tls_server_new(&o, e);
}

struct tls_ctx *play_weak_client_tls(struct play *p, struct str certificate, struct err *e)
{
	struct tls_ctx *c = play_client_tls(p, STR_NONE, e);

	if (c != NULL && rogue_show(c, cert_path(p, certificate, ".pem"), cert_path(p, certificate, ".key"), e) != 0)
		tls_ctx_unref(&c);
	return c;
}

struct tls_ctx *play_weak_server_tls(struct play *p, struct str certificate, struct err *e)
{
	struct tls_ctx *c = play_server_tls(p, S("rsa"), e);

	if (c != NULL && rogue_show(c, cert_path(p, certificate, ".pem"), cert_path(p, certificate, ".key"), e) != 0)
		tls_ctx_unref(&c);
	return c;
}

/* ---- items: each returns true when it is over ---- */

static bool do_client(struct play *p, const struct item *item)
{
	if (p->client == NULL)
		p->client = client_new(p, item, p->round);
	if (!client_is_done(p->client))
		return false;
	if (client_stays(item)) {
		must(p->stayer_n < PLAY_STAYERS_MAX);
		p->stayers[p->stayer_n++] = p->client;
		p->client = NULL;
		return true;
	}
	client_free(&p->client);
	if (++p->round < client_rounds(p, item))
		return false;
	p->round = 0;
	return true;
}

static void free_stayers(struct play *p)
{
	while (p->stayer_n > 0)
		client_free(&p->stayers[--p->stayer_n]);
}

struct sink *sink_named(struct play *p, struct str name)
{
	for (size_t i = 0; i < p->sink_n; i++)
		if (str_eq(sink_name(p->sinks[i]), name))
			return p->sinks[i];
	return NULL;
}

/* The case before has come to its end well. */
static void end_case(struct play *p)
{
	p->played->passed++;
	buf_addf(&p->played->told, "ok     %s: " STR_FMT "\n", p->file, STR_ARG(p->case_name));
}

static bool case_reads_log(const struct play *p)
{
	for (size_t i = p->at + 1; i < p->script.n && p->script.items[i].kind != ITEM_CASE; i++)
		if (p->script.items[i].kind == ITEM_EXPECT && str_eq(p->script.items[i].name, S("case")))
			return true;
	return false;
}

/* Where the mark stands in the log.  Lines are held back a moment and stay in order. */
static bool find_mark(struct play *p, size_t n)
{
	struct buf log, mark;

	buf_init(&log, 16 << 20);
	buf_init(&mark, 64);
	buf_addf(&mark, " bytes=%zu\n", n);
	ssize_t at = read_file(play_path(p, "log"), &log, 8 << 20) ? str_find(buf_str(&log), buf_str(&mark)) : -1;
	if (at >= 0)
		p->log_from = (size_t)at + mark.n;
	buf_fini(&log);
	buf_fini(&mark);
	return at >= 0;
}

static bool do_case(struct play *p, const struct item *item)
{
	size_t mark = MARK_MIN + p->at;

	if (!p->begun && p->case_name.n > 0)
		end_case(p);
	p->case_name = item->name;
	if (!case_reads_log(p))
		return true;
	if (!p->begun)
		daemon_mark_log(p, mark);
	return find_mark(p, mark);
}

static const struct wire *wire_named(struct play *p, struct str name)
{
	for (size_t i = 0; i < p->wire_n; i++)
		if (str_eq(wire_name(p->wires[i]), name))
			return p->wires[i];
	return NULL;
}

/* Only the has and lacks of what is wanted: the words before them were for us. */
static bool parts_met(const struct item *item, struct str got)
{
	struct want parts = item->want;
	struct str why;

	parts.pattern = STR_NONE;
	return want_met(&parts, got, &why);
}

static bool file_holds(struct play *p, const struct item *item, const char *name, size_t from)
{
	struct buf log;

	buf_init(&log, 16 << 20);
	bool met = read_file(play_path(p, name), &log, 8 << 20) && log.n >= from &&
		   parts_met(item, str_skip(buf_str(&log), from));
	buf_fini(&log);
	return met;
}

/* CR and LF only as a pair, and no NUL: nothing that two hosts could read as different line ends. */
static bool is_framed(struct str s)
{
	for (size_t i = 0; i < s.n; i++) {
		bool pair = s.p[i] == '\r' && i + 1 < s.n && s.p[i + 1] == '\n';
		if (s.p[i] == '\0' || s.p[i] == '\n' || (s.p[i] == '\r' && !pair))
			return false;
		i += pair;
	}
	return true;
}

/* `expect wire SINK framed`, `expect wire SINK has|lacks "..."` */
static bool do_expect_wire(struct play *p, const struct item *item)
{
	struct str rest = item->text;
	const struct wire *w = wire_named(p, str_word(&rest));

	if (w == NULL)
		play_fail(p, item->line, "expected: expect wire SINK has|lacks \"...\", and a wire before that sink");
	if (w != NULL && str_eq(str_word(&rest), S("framed")))
		return is_framed(wire_kept(w));
	return w != NULL && parts_met(item, wire_kept(w));
}

/* `expect queue = N`, `expect log ...`, `expect track ...`, `expect SINK got N`, `expect SINK [has|lacks "..."]`.
 * Polled: what is wanted may need a moment; what must not be is looked at when the rest has come true. */
static bool do_expect(struct play *p, const struct item *item)
{
	struct str rest = item->text, word = str_word(&rest), why;
	struct sink *sink = sink_named(p, item->name);
	uint64_t n;

	if (str_eq(item->name, S("queue")) && str_chr(word, '@') >= 0) {
		struct buf row;
		buf_init(&row, 64 * 1024);
		bool met = queue_row(p, word, &row) && parts_met(item, buf_str(&row));
		buf_fini(&row);
		return met;
	}
	if (str_eq(item->name, S("queue"))) {
		if (!str_eq(word, S("=")) || !str_u64(str_trim(rest), 1000000, &n))
			play_fail(p, item->line, "expected: expect queue = N");
		return !p->over && queue_count(p) == (long)n;
	}
	if (str_eq(item->name, S("log")))
		return file_holds(p, item, "log", 0);
	if (str_eq(item->name, S("track")))
		return file_holds(p, item, "track.jsonl", 0);
	if (str_eq(item->name, S("case"))) /* expect case log */
		return file_holds(p, item, "log", p->log_from);
	if (str_eq(item->name, S("wire")))
		return do_expect_wire(p, item);
	if (filter_named(p, item->name) != NULL) /* expect FILTER heard ... */
		return parts_met(item, play_filter_heard(filter_named(p, item->name)));
	if (sink == NULL) {
		play_fail(p, item->line, "no sink " STR_FMT, STR_ARG(item->name));
		return false;
	}
	if (str_eq(word, S("got"))) {
		if (!str_u64(str_trim(rest), 1000000, &n))
			play_fail(p, item->line, "expected: expect SINK got N");
		return sink_messages(sink) == n;
	}
	if (str_eq(word, S("heard")))
		return parts_met(item, sink_heard(sink));
	return want_met(&item->want, sink_log(sink), &why);
}

bool play_move_clock(struct play *p, struct str by)
{
	int64_t ms;

	if (!str_starts(by, S("+")) || !time_parse_span(str_skip(by, 1), &ms))
		return false;
	*p->clock_ms += ms;
	return true;
}

/* The jump would count as time-outs against conversations under way: they get some turns to end.  Turns, not time: in
 * each of them the gateway answers a question, so it was not the machine that kept it from going on. */
static bool do_clock(struct play *p, const struct item *item)
{
	if (!p->begun)
		p->turns = 0;
	if (!queue_is_idle(p) && p->turns++ < SETTLE_TURNS)
		return false;
	if (!play_move_clock(p, item->text))
		play_fail(p, item->line, "expected: clock +61s");
	return true;
}

/* Commands that change nothing: what they tell may need a moment to come true, so they are asked again. */
static bool is_question(struct str words)
{
	static const struct {
		struct str noun, verbs;
	} questions[] = {
		{ STR_LIT("queue"), STR_LIT("list summary show") },
		{ STR_LIT("connector"), STR_LIT("list") },
		{ STR_LIT("mode"), STR_LIT("show status stragglers history") },
		{ STR_LIT("recipients"), STR_LIT("get conflicts history") },
		{ STR_LIT("status"), STR_LIT("") },
		{ STR_LIT("metrics"), STR_LIT("") },
		{ STR_LIT("trace"), STR_LIT("") },
		{ STR_LIT("tls"), STR_LIT("show") },
	};
	struct str noun = str_word(&words), verb = str_word(&words), known;

	for (size_t i = 0; i < sizeof questions / sizeof *questions; i++) {
		if (!str_eq(noun, questions[i].noun))
			continue;
		if (questions[i].verbs.n == 0)
			return true;
		for (struct str verbs = questions[i].verbs; (known = str_word(&verbs)).n > 0;)
			if (str_eq(verb, known))
				return true;
	}
	return false;
}

static bool do_tombolo(struct play *p, const struct item *item)
{
	struct buf output;
	struct str why, wanted = item->right;
	struct want want = item->want;
	uint64_t code = 0;
	int status;

	if (p->command == 0 && !command_start(p, item->text))
		return false;
	buf_init(&output, 4 << 20);
	if (!command_done(p, &status, &output)) {
		buf_fini(&output);
		return false;
	}
	if (want.pattern.p != NULL && str_starts(want.pattern, S("exit "))) {
		if (!str_u64(str_trim(str_skip(want.pattern, 5)), 255, &code))
			play_fail(p, item->line, "expected: => exit N");
		want.pattern = STR_NONE;
	}
	bool exits = WIFEXITED(status) && WEXITSTATUS(status) == (int)code;
	bool met = exits && want_met(&want, buf_str(&output), &why);
	bool again = !met && is_question(item->text) && loop_now_ms(p->loop) - p->begun_ms < ASK_AGAIN_MS;
	if (!exits) {
		buf_addf(&output, "(exit %d)", WIFEXITED(status) ? WEXITSTATUS(status) : 128 + WTERMSIG(status));
		wanted = code == 0 ? S("exit 0") : wanted;
	}
	if (!met && !again)
		play_mismatch(p, item->line, "tombolo", wanted, buf_str(&output));
	buf_fini(&output);
	return !again;
}

static bool do_recipients(struct play *p, const struct item *item)
{
	if (p->command == 0) {
		struct buf b;
		char words[PATH_ROOM];
		buf_init(&b, SCRIPT_MAX);
		play_expand(p, item->text, &b);
		const char *path = play_path(p, "recipients.csv");
		/* lines stand indented in the scenario */
		struct buf csv;
		buf_init(&csv, SCRIPT_MAX);
		for (struct str rest = buf_str(&b), line; rest.n > 0;) {
			str_cut(rest, '\n', &line, &rest);
			if (str_trim(line).n > 0)
				buf_addf(&csv, STR_FMT "\n", STR_ARG(str_trim(line)));
		}
		play_write_file(p, path, buf_str(&csv));
		buf_fini(&b);
		buf_fini(&csv);
		snprintf(words, sizeof words, "recipients import %s", path);
		if (p->over || !command_start(p, str_c(words)))
			return false;
	}
	struct item import = *item;
	import.want = (struct want){ 0 };
	import.right = STR_NONE;
	return do_tombolo(p, &import);
}

static bool do_reload(struct play *p)
{
	if (!p->begun) {
		settings_write(p, play_path(p, "tombolo.conf"));
		p->daemon_ready = false;
		daemon_signal(p, SIGHUP);
	}
	return daemon_poll(p);
}

/* restart, kill (and start again), stop, start, dies (by a fault; and starts again): settled -> ending -> starting ->
 * settled. */
static bool do_daemon(struct play *p, const struct item *item)
{
	bool kills = str_eq(item->name, S("kill")), stops = str_eq(item->name, S("stop"));
	bool dies = str_eq(item->name, S("dies"));

	if (str_eq(item->name, S("reload")))
		return do_reload(p);
	switch (p->daemon_phase) {
	case DAEMON_SETTLED:
		if (!dies)
			daemon_signal(p, kills ? SIGKILL : SIGTERM); /* harmless before `start`: there is none */
		p->daemon_phase = DAEMON_ENDING;
		return false;
	case DAEMON_ENDING:
		if (!daemon_gone(p, item->line, kills || dies))
			return false;
		daemon_fault(p, item->text);
		p->daemon_stays_down = stops;
		p->daemon_phase = stops ? DAEMON_SETTLED : DAEMON_STARTING;
		if (!stops)
			daemon_start(p);
		return stops;
	case DAEMON_STARTING:
		if (!daemon_poll(p))
			return false;
		p->daemon_phase = DAEMON_SETTLED;
	}
	return true;
}

static bool do_item(struct play *p, const struct item *item)
{
	switch (item->kind) {
	case ITEM_CONFIG:
		return settings_add(p, item->text, item->line);
	case ITEM_FILE: {
		struct buf b;
		buf_init(&b, SCRIPT_MAX);
		play_expand(p, str_skip(item->text, str_starts(item->text, S("\n"))),
			    &b); /* begins behind the "{" line */
		char name[PATH_ROOM];
		snprintf(name, sizeof name, STR_FMT, STR_ARG(item->name));
		play_write_file(p, play_path(p, name), buf_str(&b));
		buf_fini(&b);
		return true;
	}
	case ITEM_CASE:
		return do_case(p, item);
	case ITEM_SINK:
	case ITEM_WIRE:
		return true; /* opened before all else: the configuration needs its port */
	case ITEM_FILTER:
		if (item->steps.v == NULL)
			play_filter_order(filter_named(p, item->name), item);
		return true;
	case ITEM_CHANGE:
		return sink_change(p, item);
	case ITEM_CLIENT:
		return do_client(p, item);
	case ITEM_EXPECT:
		return do_expect(p, item);
	case ITEM_CLOCK:
		return do_clock(p, item);
	case ITEM_TOMBOLO:
		return do_tombolo(p, item);
	case ITEM_RECIPIENTS:
		return do_recipients(p, item);
	case ITEM_DAEMON:
		return do_daemon(p, item);
	}
	return true;
}

/* Brings the gateway up before the first item that needs it. */
static bool daemon_is_up(struct play *p, const struct item *item)
{
	if (item->kind == ITEM_CONFIG || item->kind == ITEM_FILE || item->kind == ITEM_SINK ||
	    item->kind == ITEM_WIRE || (item->kind == ITEM_FILTER && item->steps.v != NULL) || p->daemon_stays_down)
		return true;
	if (item->kind == ITEM_DAEMON && (p->daemon_phase != DAEMON_SETTLED || p->daemon != 0))
		return true;
	if (p->daemon == 0 && !daemon_start(p))
		return false;
	return daemon_poll(p);
}

/* The last word: all scripted sinks heard everything, the gateway ends when asked to, and well. */
static bool wind_up(struct play *p)
{
	for (size_t i = 0; i < p->sink_n; i++)
		if (!sink_is_done(p->sinks[i]))
			return false;
	free_stayers(p);
	if (!p->begun)
		daemon_signal(p, SIGTERM);
	p->begun = true;
	return daemon_gone(p, 0, false);
}

/* The limit is for standing still: a long scenario, or a slow machine, may take its time. */
static void note_progress(struct play *p)
{
	struct progress now = { p->at, p->round, p->client == NULL ? 0 : client_line(p->client), p->daemon_phase };

	if (memcmp(&now, &p->progress, sizeof now) == 0)
		return;
	p->progress = now;
	loop_timer_set(&p->limit, STILL_MS);
}

static void step_on(struct play *p)
{
	while (!p->over && p->at < p->script.n) {
		const struct item *item = &p->script.items[p->at];
		if (!daemon_is_up(p, item))
			return;
		if (!p->begun)
			p->begun_ms = loop_now_ms(p->loop);
		bool done = do_item(p, item);
		p->begun = !done;
		note_progress(p);
		if (!done)
			return;
		p->at++;
	}
	if (!p->over && wind_up(p))
		end(p);
}

static void on_tick(struct loop_timer *t)
{
	struct play *p = container_of(t, struct play, tick);

	for (size_t i = 0; i < p->sink_n && !p->over; i++)
		sink_wake(p->sinks[i]);
	if (!p->over)
		step_on(p);
	if (!p->over)
		loop_timer_set(t, TICK_MS);
}

static void on_limit(struct loop_timer *t)
{
	struct play *p = container_of(t, struct play, limit);

	if (p->client != NULL)
		play_fail(p, client_line(p->client), "nothing happened here within %d s", STILL_MS / 1000);
	if (p->at < p->script.n) {
		struct sink *sink = sink_named(p, p->script.items[p->at].name);
		struct buf got;
		buf_init(&got, FAILURE_MAX);
		if (sink != NULL && p->script.items[p->at].kind == ITEM_EXPECT)
			buf_addf(&got, "%zu messages:\n" STR_FMT, sink_messages(sink), STR_ARG(sink_log(sink)));
		else if (p->script.items[p->at].kind == ITEM_EXPECT && str_eq(p->script.items[p->at].name, S("queue")))
			buf_addf(&got, "%ld", queue_count(p));
		play_mismatch(p, p->script.items[p->at].line, "this did not come true in time",
			      p->script.items[p->at].text, buf_str(&got));
	}
	for (size_t i = 0; i < p->sink_n; i++)
		if (!sink_is_done(p->sinks[i]))
			play_fail(p, sink_line(p->sinks[i]), "sink " STR_FMT ": this never came",
				  STR_ARG(sink_name(p->sinks[i])));
	play_fail(p, 0, "the gateway did not end within %d s", STILL_MS / 1000);
}

/* ---- one file ---- */

static void put_tail(struct play *p, const char *name)
{
	struct buf b;

	buf_init(&b, 16 << 20);
	if (read_file(play_path(p, name), &b, 8 << 20) && b.n > 0) {
		struct str all = buf_str(&b);
		buf_addf(&p->played->failure, "  -- end of %s --\n", name);
		put_visible(&p->played->failure, str_skip(all, all.n > LOG_TAIL ? all.n - LOG_TAIL : 0), LOG_TAIL);
	}
	buf_fini(&b);
}

static int remove_one(const char *path, const struct stat *st, int type, struct FTW *ftw)
{
	(void)st, (void)type, (void)ftw;
	return remove(path);
}

static void clean_up(struct play *p)
{
	int status;

	if (p->daemon != 0) {
		kill(p->daemon, SIGKILL);
		waitpid(p->daemon, &status, 0);
	}
	if (p->command != 0) {
		kill(p->command, SIGKILL);
		waitpid(p->command, &status, 0);
	}
	if (p->played->failure.n > 0) {
		put_tail(p, "output");
		put_tail(p, "log");
	}
	client_free(&p->client);
	free_stayers(p);
	for (size_t i = 0; i < p->wire_n; i++)
		wire_free(&p->wires[i]);
	for (size_t i = 0; i < p->sink_n; i++)
		sink_free(&p->sinks[i]);
	for (size_t i = 0; i < p->filter_n; i++)
		play_filter_close(&p->filters[i]);
	loop_timer_stop(&p->tick);
	loop_timer_stop(&p->limit);
	settings_free(&p->settings);
	if (getenv("TOMBOLO_PLAY_KEEP") == NULL)
		nftw(p->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	loop_free(&p->loop);
	script_fini(&p->script);
}

static void open_sinks(struct play *p)
{
	for (size_t i = 0; i < p->script.n && !p->over; i++) {
		const struct item *item = &p->script.items[i];
		must(p->sink_n < PLAY_SINKS_MAX && p->wire_n < PLAY_SINKS_MAX);
		if (item->kind == ITEM_SINK)
			p->sinks[p->sink_n++] = sink_new(p, item);
		else if (item->kind == ITEM_FILTER && item->steps.v != NULL && p->filter_n < PLAY_FILTERS_MAX)
			p->filters[p->filter_n++] = play_filter_open(p, item);
		else if (item->kind == ITEM_WIRE)
			p->wires[p->wire_n++] = wire_new(p, item);
	}
	for (size_t i = 0; i < p->wire_n && !p->over; i++)
		if (sink_named(p, wire_name(p->wires[i])) == NULL)
			play_fail(p, 0, "no sink " STR_FMT " for this wire", STR_ARG(wire_name(p->wires[i])));
}

/* What a scenario begins with stands in any order: its configuration holds from the start. */
static void load_first_settings(struct play *p)
{
	for (size_t i = 0; i < p->script.n && !p->over; i++) {
		const struct item *item = &p->script.items[i];
		if (item->kind == ITEM_CONFIG)
			settings_add(p, item->text, item->line);
		else if (item->kind != ITEM_RECIPIENTS && item->kind != ITEM_SINK && item->kind != ITEM_FILE &&
			 item->kind != ITEM_WIRE && item->kind != ITEM_FILTER)
			return;
	}
}

/* The case that failed, and those that did not have their turn. */
static size_t count_failed(const struct play *p)
{
	size_t n = p->case_name.n > 0;

	for (size_t i = p->at + 1; i < p->script.n; i++)
		n += p->script.items[i].kind == ITEM_CASE;
	return n > 0 ? n : 1;
}

static void sum_up(struct play *p)
{
	struct played *out = p->played;

	if (out->failure.n > 0)
		out->failed = count_failed(p);
	else if (p->case_name.n > 0)
		end_case(p);
	else
		out->passed = 1;
}

void play_scenario(const char *file, const char *build, const char *certs, struct played *out)
{
	struct play p = { .file = file, .build = build, .certs = certs, .played = out };
	struct buf text;
	struct err e;

	buf_init(&out->failure, FAILURE_MAX);
	buf_init(&out->told, FAILURE_MAX);
	buf_init(&text, SCRIPT_MAX + 1);
	snprintf(p.dir, sizeof p.dir, "%s/tombolo-play.XXXXXX", getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp");
	bool up = mkdtemp(p.dir) != NULL && (p.loop = loop_new(&e)) != NULL;
	must(up);
	if (!read_file(file, &text, SCRIPT_MAX))
		buf_addf(&out->failure, "%s: cannot be read\n", file);
	else if (script_parse(&p.script, buf_str(&text), &e) != 0)
		buf_addf(&out->failure, "%s:%s\n", file, e.text);
	bool readable = out->failure.n == 0;
	if (readable) {
		p.inet_port = port_reserve();
		p.hub_port = port_reserve();
		p.closed_port = port_reserve();
		settings_new(&p);
		play_write_file(&p, play_path(&p, "hosts"), STR_NONE);
		open_sinks(&p);
		load_first_settings(&p);
		loop_timer_init(p.loop, &p.tick, on_tick);
		loop_timer_init(p.loop, &p.limit, on_limit);
		loop_timer_set(&p.tick, 0);
		loop_timer_set(&p.limit, STILL_MS);
		if (!p.over)
			loop_run(p.loop);
	}
	sum_up(&p);
	if (readable)
		clean_up(&p);
	buf_fini(&text);
}
