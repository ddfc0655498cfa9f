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

enum kind { QUEUED, DELIVERY, EXPANSION, REFUSED_RCPT, REFUSED_MESSAGE, LOOPS, STRAGGLES };

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
	{ "group.expanded", EXPANSION },   { "token.loop", LOOPS },          { "rcpt.straggler", STRAGGLES },
};

void trails_init(struct trails *t, const struct bed *b)
{
	*t = (struct trails){ .bed = b };
	arena_init(&t->memory, MEMORY_MAX);
}

void trails_fini(struct trails *t)
{
	for (int g = 0; g < GATES; g++) {
		free(t->events[g]);
		free(t->traces[g]);
		free(t->senders[g]);
	}
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
	e.hop.trace = text(t, o, e.kind == DELIVERY || e.kind == EXPANSION ? "id" : "trace");
	e.hop.to = text(t, o, "to");
	e.hop.as = text(t, o, "as");
	e.hop.form = text(t, o, "form");
	e.hop.rule = e.kind == EXPANSION ? S("R31") : text(t, o, "rule");
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

/* ---- the index ---- */

static const struct trail_event *sorted; /* by the comparisons; one thread */

static int compare_places(struct str x, struct str y, size_t a, size_t b)
{
	int order = str_cmp(x, y);

	return order != 0 ? order : (a > b) - (a < b);
}

static int by_trace_order(const void *a, const void *b)
{
	size_t x = *(const size_t *)a, y = *(const size_t *)b;

	return compare_places(sorted[x].hop.trace, sorted[y].hop.trace, x, y);
}

static int by_sender_order(const void *a, const void *b)
{
	size_t x = *(const size_t *)a, y = *(const size_t *)b;

	return compare_places(sorted[x].from, sorted[y].from, x, y);
}

static struct str trace_of(const struct trail_event *e)
{
	return e->hop.trace;
}

static struct str sender_of(const struct trail_event *e)
{
	return e->from;
}

/* The run of places whose key is `key`. */
static size_t find_run(const struct trail_event *events, const size_t *places, size_t n, struct str key,
		       struct str (*key_of)(const struct trail_event *), size_t *first)
{
	size_t low = 0, high = n;

	while (low < high) {
		size_t middle = (low + high) / 2;
		if (str_cmp(key_of(&events[places[middle]]), key) < 0)
			low = middle + 1;
		else
			high = middle;
	}
	*first = low;
	while (low < n && str_eq(key_of(&events[places[low]]), key))
		low++;
	return low - *first;
}

static const struct trail_event *by_trace(const struct trails *t, enum bed_gate g, enum kind kind, struct str trace)
{
	const struct trail_event *events = t->events[g];
	size_t first,
		n = find_run(events, t->traces[g], t->indexed_n[g] - t->indexed_since[g], trace, trace_of, &first);

	for (size_t i = first; i < first + n; i++)
		if (events[t->traces[g][i]].kind == kind)
			return &events[t->traces[g][i]];
	return NULL;
}

static void index_gate(struct trails *t, enum bed_gate g)
{
	size_t n = t->n[g] - t->since[g];

	if (t->indexed_n[g] == t->n[g] && t->indexed_since[g] == t->since[g] && t->traces[g] != NULL)
		return;
	t->traces[g] = realloc(t->traces[g], (n + 1) * sizeof(size_t));
	t->senders[g] = realloc(t->senders[g], (n + 1) * sizeof(size_t));
	must(t->traces[g] != NULL && t->senders[g] != NULL);
	for (size_t i = 0; i < n; i++)
		t->traces[g][i] = t->senders[g][i] = t->since[g] + i;
	t->indexed_since[g] = t->since[g];
	t->indexed_n[g] = t->n[g];
	sorted = t->events[g];
	qsort(t->traces[g], n, sizeof(size_t), by_trace_order);
	for (size_t i = 0; i < n; i++) { /* a delivery does not say whose message it is */
		struct trail_event *e = &t->events[g][t->since[g] + i];
		const struct trail_event *q =
			e->kind == DELIVERY || e->kind == EXPANSION ? by_trace(t, g, QUEUED, e->hop.trace) : NULL;
		if (q != NULL)
			e->from = q->from;
	}
	qsort(t->senders[g], n, sizeof(size_t), by_sender_order);
}

/* ---- following ---- */

/* A gateway may write down that it refused a message before the one that sent it wrote down that it had: what the
 * sender heard says which kind of event is looked for. */
static bool is_about(const struct trail_event *e, struct str rcpt, bool refused)
{
	switch (e->kind) {
	case DELIVERY:
		/* deferred by another host: it is tried again */
		return !refused && !(e->deferred && e->hop.connector.n > 0) && str_ieq(e->hop.to, rcpt);
	case EXPANSION:
		return !refused && str_ieq(e->hop.to, rcpt);
	case REFUSED_RCPT:
		return refused && str_ieq(e->hop.to, rcpt);
	case REFUSED_MESSAGE:
		return refused;
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
	const struct trail_event *events = t->events[h->gate];
	size_t first, n = find_run(events, t->traces[h->gate], t->indexed_n[h->gate] - t->indexed_since[h->gate],
				   h->trace, trace_of, &first);

	for (size_t i = first; i < first + n; i++) {
		const struct trail_event *e = &events[t->traces[h->gate][i]];
		if (e->kind == STRAGGLES && str_ieq(e->hop.to, h->to))
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
	if (e->kind == EXPANSION) {
		h->next = TRAIL_EXPANDED;
		h->sent = true;
		return;
	}
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

/* The first of the sender's events of that kind that is no hop of this trail yet. */
static const struct trail_event *next_event(const struct trails *t, enum bed_gate g, struct str from, struct str rcpt,
					    bool refused, const struct trail_event *const *used, size_t used_n)
{
	const struct trail_event *events = t->events[g];
	size_t first,
		n = find_run(events, t->senders[g], t->indexed_n[g] - t->indexed_since[g], from, sender_of, &first);

	for (size_t i = first; i < first + n; i++) {
		const struct trail_event *e = &events[t->senders[g][i]];
		size_t k = 0;
		while (k < used_n && used[k] != e)
			k++;
		if (k == used_n && is_about(e, rcpt, refused))
			return e;
	}
	return NULL;
}

void trail_follow(struct trails *t, enum bed_gate begin, struct str from, struct str rcpt, const char *first_answer,
		  struct trail *out)
{
	const struct trail_event *used[TRAIL_MAX];
	enum bed_gate g = begin;
	char heard[4096], code[24];

	for (unsigned i = 0; i < GATES; i++)
		index_gate(t, i);
	snprintf(heard, sizeof heard, "%s", first_answer);
	out->n = 0;
	while (out->n < TRAIL_MAX) {
		find_code(str_c(heard), code);
		const struct trail_event *e = next_event(t, g, from, rcpt, code[0] != '\0', used, out->n);
		if (e == NULL)
			break;
		used[out->n] = e;
		struct hop *h = &out->hops[out->n++];
		fill(t, e, heard, h);
		if (h->next != TRAIL_PEER)
			break;
		snprintf(heard, sizeof heard, STR_FMT, STR_ARG(h->reply));
		rcpt = h->as;
		g = g == GATE_CLOUD ? GATE_ONPREM : GATE_CLOUD;
	}
}

bool trail_has_ended(const struct trail *t)
{
	return t->n > 0 && t->hops[t->n - 1].next != TRAIL_PEER;
}

void trail_put(const struct trail *t, size_t first, struct buf *out)
{
	static const char *const ways[] = { "deliver", "->peer", "->direct", "expand" };

	for (size_t i = first; i < t->n; i++) {
		const struct hop *h = &t->hops[i];
		buf_addf(out, "%s%s[" STR_FMT "%s %s]", out->n > 0 ? " " : "",
			 h->gate == GATE_CLOUD ? "cloud" : "onprem", STR_ARG(h->rule), h->straggler ? "+straggler" : "",
			 h->next <= TRAIL_EXPANDED  ? ways[h->next]
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
