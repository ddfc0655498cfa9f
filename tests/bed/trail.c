/* tests/bed/trail.c: log lines to events, events to trails. */
#include "tests/bed/trail.h"

#include "base/must.h"

#include <fcntl.h>
#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { MEMORY_MAX = 1 << 30, READ_MAX = 1 << 20 };

enum kind { QUEUED, DELIVERY, REFUSED_RCPT, REFUSED_MESSAGE, LOOPS, STRAGGLES };

struct trail_event {
	enum kind kind;
	struct hop hop;
	struct str from;
	bool sent, deferred;
};

static const struct {
	const char *event;
	enum kind kind;
} kinds[] = {
	{ "message.queued", QUEUED },      { "delivery.sent", DELIVERY },    { "delivery.failed", DELIVERY },
	{ "delivery.deferred", DELIVERY }, { "rcpt.refused", REFUSED_RCPT }, { "message.refused", REFUSED_MESSAGE },
	{ "token.loop", LOOPS },           { "rcpt.straggler", STRAGGLES },
};

void trails_init(struct trails *t, const struct bed *b)
{
	*t = (struct trails){ .bed = b };
	arena_init(&t->memory, MEMORY_MAX);
}

void trails_fini(struct trails *t)
{
	for (int g = 0; g < GATES; g++)
		free(t->events[g]);
	arena_fini(&t->memory);
}

static struct str text(struct trails *t, const json_t *line, const char *key)
{
	const char *value = json_string_value(json_object_get(line, key));
	struct str copy = STR_NONE;

	must(value == NULL || arena_dup(&t->memory, str_c(value), &copy));
	return copy;
}

/* "554 5.4.6" out of a quoted answer. */
static void find_code(struct str s, char code[24])
{
	code[0] = '\0';
	for (size_t i = 0; i + 8 < s.n; i++) {
		const char *p = s.p + i;
		if ((i > 0 && chr_is_alnum(p[-1])) || (p[0] != '4' && p[0] != '5') || !chr_is_digit(p[1]) ||
		    !chr_is_digit(p[2]) || p[3] != ' ' || p[4] != p[0] || p[5] != '.')
			continue;
		size_t n = 6;
		while (i + n < s.n && n < 20 && (chr_is_digit(p[n]) || p[n] == '.'))
			n++;
		snprintf(code, 24, STR_FMT, (int)n, p);
		return;
	}
}

static enum trail_next next_of(struct str connector)
{
	if (str_starts(connector, S("to-")))
		return TRAIL_PEER;
	return str_eq(connector, S("mailboxes")) ? TRAIL_DELIVER : TRAIL_DIRECT;
}

static void take_line(struct trails *t, enum bed_gate g, struct str line)
{
	json_error_t error;
	json_t *o = json_loadb(line.p, line.n, 0, &error);
	const char *event = json_string_value(json_object_get(o, "event"));
	struct trail_event e = { .hop.gate = g };
	size_t k = 0;

	if (o == NULL)
		bed_fail("bed: a log line that is no JSON (%s): " STR_FMT, error.text, STR_ARG(line));
	while (k < sizeof kinds / sizeof *kinds && strcmp(kinds[k].event, event) != 0)
		k++;
	if (k == sizeof kinds / sizeof *kinds) {
		json_decref(o);
		return;
	}
	e.kind = kinds[k].kind;
	e.sent = strcmp(event, "delivery.sent") == 0;
	e.deferred = strcmp(event, "delivery.deferred") == 0;
	e.from = text(t, o, "from");
	e.hop.trace = text(t, o, e.kind == DELIVERY ? "id" : "trace");
	e.hop.to = text(t, o, "to");
	e.hop.as = text(t, o, "as");
	e.hop.form = text(t, o, "form");
	e.hop.rule = text(t, o, "rule");
	e.hop.reason = text(t, o, "reason");
	e.hop.connector = text(t, o, "connector");
	e.hop.tls = text(t, o, "tls");
	e.hop.reply = text(t, o, e.kind == REFUSED_MESSAGE ? "why" : "reply");
	e.hop.inbound = text(t, o, "inbound");
	e.hop.how = text(t, o, "how");
	e.hop.epoch = json_integer_value(json_object_get(o, "epoch"));
	json_decref(o);
	if (t->n[g] == t->cap[g]) {
		t->cap[g] = t->cap[g] == 0 ? 1024 : 2 * t->cap[g];
		t->events[g] = realloc(t->events[g], t->cap[g] * sizeof *t->events[g]);
		must(t->events[g] != NULL);
	}
	t->events[g][t->n[g]++] = e;
}

static void read_log(struct trails *t, enum bed_gate g)
{
	char path[256];
	struct buf b;
	struct str line, rest;
	ssize_t n;
	int fd = open(bed_log_path(t->bed, g, path), O_RDONLY | O_CLOEXEC);

	if (fd < 0)
		return;
	buf_init(&b, 2 * READ_MAX);
	while ((n = pread(fd, buf_reserve(&b, READ_MAX), READ_MAX, t->read[g])) > 0) {
		size_t used = 0;
		buf_commit(&b, (size_t)n);
		for (struct str all = buf_str(&b); str_cut(str_skip(all, used), '\n', &line, &rest); used += line.n + 1)
			take_line(t, g, line);
		t->read[g] += (off_t)used;
		buf_reset(&b);
		if (used == 0)
			break; /* a line that is not complete yet */
	}
	buf_fini(&b);
	close(fd);
}

void trails_read(struct trails *t)
{
	for (unsigned g = 0; g < GATES; g++)
		read_log(t, g);
}

void trails_mark(struct trails *t)
{
	for (int g = 0; g < GATES; g++)
		t->since[g] = t->n[g];
}

/* ---- following ---- */

static const struct trail_event *by_trace(const struct trails *t, enum bed_gate g, enum kind kind, struct str trace)
{
	for (size_t i = t->since[g]; i < t->n[g]; i++)
		if (t->events[g][i].kind == kind && str_eq(t->events[g][i].hop.trace, trace))
			return &t->events[g][i];
	return NULL;
}

/* A gateway may write down that it refused a message before the one that sent it wrote down that it had: what the
 * sender heard says which kind of event is looked for. */
static bool is_about(const struct trails *t, enum bed_gate g, const struct trail_event *e, struct str from,
		     struct str rcpt, bool refused)
{
	const struct trail_event *q;

	switch (e->kind) {
	case DELIVERY:
		if (refused || (e->deferred && e->hop.connector.n > 0))
			return false; /* deferred by another host: it is tried again */
		q = by_trace(t, g, QUEUED, e->hop.trace);
		return str_ieq(e->hop.to, rcpt) && q != NULL && str_eq(q->from, from);
	case REFUSED_RCPT:
		return refused && str_eq(e->from, from) && str_ieq(e->hop.to, rcpt);
	case REFUSED_MESSAGE:
		return refused && str_eq(e->from, from);
	default:
		return false;
	}
}

/* "R45" out of "... (LOC-DISAGREE R45, id ...)" */
static struct str rule_in(struct str text)
{
	for (size_t i = 1; i + 2 < text.n; i++)
		if (text.p[i] == 'R' && text.p[i - 1] == ' ' && chr_is_digit(text.p[i + 1]) &&
		    chr_is_digit(text.p[i + 2]))
			return str_head(str_skip(text, i), 3);
	return str_find(text, S("op count")) >= 0 ? S("R01") : S("R?");
}

/* The rule of a refused message: the loop it was found in, or what the refusal says. */
static struct str rule_of(const struct trails *t, const struct trail_event *e)
{
	const struct trail_event *loop = by_trace(t, e->hop.gate, LOOPS, e->hop.trace);

	return loop != NULL ? loop->hop.rule : rule_in(e->hop.reply);
}

static bool is_straggler(const struct trails *t, const struct hop *h)
{
	for (size_t i = t->since[h->gate]; i < t->n[h->gate]; i++) {
		const struct trail_event *e = &t->events[h->gate][i];
		if (e->kind == STRAGGLES && str_eq(e->hop.trace, h->trace) && str_ieq(e->hop.to, h->to))
			return true;
	}
	return false;
}

static void fill(const struct trails *t, const struct trail_event *e, const char *heard, struct hop *h)
{
	const struct trail_event *q = by_trace(t, e->hop.gate, QUEUED, e->hop.trace);

	*h = e->hop;
	h->sent = e->sent;
	h->straggler = is_straggler(t, &e->hop);
	if (e->kind == DELIVERY) {
		h->next = e->hop.connector.n == 0 ? (e->deferred ? TRAIL_HELD : TRAIL_REFUSED) : next_of(h->connector);
		h->inbound = q->hop.inbound;
		h->how = q->hop.how;
		h->epoch = q->hop.epoch;
		if (h->next == TRAIL_REFUSED) /* told by a report, not by an answer: the code stands only there */
			snprintf(h->code, sizeof h->code, "report");
		return;
	}
	h->next = TRAIL_REFUSED;
	if (e->kind == REFUSED_MESSAGE)
		h->rule = rule_of(t, e);
	find_code(str_c(heard), h->code);
}

/* The first event of that kind that is no hop of this trail yet. */
static const struct trail_event *next_event(const struct trails *t, enum bed_gate g, struct str from, struct str rcpt,
					    bool refused, const bool *used)
{
	for (size_t i = t->since[g]; i < t->n[g]; i++)
		if (!used[i - t->since[g]] && is_about(t, g, &t->events[g][i], from, rcpt, refused))
			return &t->events[g][i];
	return NULL;
}

void trail_follow(struct trails *t, enum bed_gate begin, struct str from, struct str rcpt, const char *first_answer,
		  struct trail *out)
{
	bool *used[GATES];
	enum bed_gate g = begin;
	char heard[4096], code[24];

	for (int i = 0; i < GATES; i++) {
		used[i] = calloc(t->n[i] - t->since[i] + 1, sizeof *used[i]);
		must(used[i] != NULL);
	}
	snprintf(heard, sizeof heard, "%s", first_answer);
	*out = (struct trail){ 0 };
	while (out->n < TRAIL_MAX) {
		find_code(str_c(heard), code);
		const struct trail_event *e = next_event(t, g, from, rcpt, code[0] != '\0', used[g]);
		if (e == NULL)
			break;
		used[g][(size_t)(e - t->events[g]) - t->since[g]] = true;
		struct hop *h = &out->hops[out->n++];
		fill(t, e, heard, h);
		if (h->next != TRAIL_PEER)
			break;
		snprintf(heard, sizeof heard, STR_FMT, STR_ARG(h->reply));
		rcpt = h->as;
		g = g == GATE_CLOUD ? GATE_ONPREM : GATE_CLOUD;
	}
	for (int i = 0; i < GATES; i++)
		free(used[i]);
}

bool trail_has_ended(const struct trail *t)
{
	return t->n > 0 && t->hops[t->n - 1].next != TRAIL_PEER;
}

void trail_put(const struct trail *t, size_t first, struct buf *out)
{
	static const char *const ways[] = { "deliver", "->peer", "->direct" };

	for (size_t i = first; i < t->n; i++) {
		const struct hop *h = &t->hops[i];
		buf_addf(out, "%s%s[" STR_FMT "%s %s]", out->n > 0 ? " " : "",
			 h->gate == GATE_CLOUD ? "cloud" : "onprem", STR_ARG(h->rule), h->straggler ? "+straggler" : "",
			 h->next <= TRAIL_DIRECT    ? ways[h->next]
			 : h->next == TRAIL_REFUSED ? h->code
						    : "held");
	}
}

unsigned trails_taken(const struct trails *t, enum bed_gate g, struct str from)
{
	unsigned n = 0;

	for (size_t i = t->since[g]; i < t->n[g]; i++)
		n += t->events[g][i].kind == QUEUED && str_eq(t->events[g][i].from, from);
	return n;
}
