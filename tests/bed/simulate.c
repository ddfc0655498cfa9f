/* tests/bed/simulate.c: what `tombolo simulate` foretells is what happens (spec 8.2).
 *
 *   the same letters in each of the four modes, by real mail --> trails, and a slice of both tracking logs a mode
 *   for each ordered pair A, B: in mode A, simulate --mode B on the slice of A --> must be what B's trails were
 *
 * Letters are every way in times every kind of recipient; both gateways are asked, each with the other's configuration
 * and log.  Compared are the paths of all recipients that would change, the new refusals and the loops.  People about
 * whom the two tables do not agree are left out: the simulator knows one table only. */
#include "tests/bed/part.h"
#include "tests/bed/trail.h"

#include "base/must.h"

#include <jansson.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { MODES = 4, WAIT_MS = 15000, TRACK_MS = 200, PATH_MAX_TEXT = 400, OUTPUT_MAX = 4 << 20 };

static const char *const modes[MODES] = { "M1", "M2", "M3", "M4" };

enum { INET_ONPREM, INET_CLOUD, INET_PARTNER };
static const struct way { /* in */
	const char *from;
	enum bed_door door;
	const char *origin;
} ways[] = {
	[INET_ONPREM] = { "#@outside.example", DOOR_NET_ONPREM, "INTERNET" },
	[INET_CLOUD] = { "#@outside.example", DOOR_NET_CLOUD, "INTERNET" },
	[INET_PARTNER] = { "#@wrong.example", DOOR_PARTNER, "PARTNER" }, /* the cloud has no connector for it */
	{ "ann+#@contoso.com", DOOR_ONPREM, "LOCAL" },
	{ "max+#@contoso.com", DOOR_CLOUD, "LOCAL" },
	{ "scan+#@contoso.com", DOOR_APP, "APP" },
};
static const char *const people[] = {
	"ann@contoso.com",   "ann.also@contoso.com",           "max@contoso.com",       "mia@contoso.com",
	"kim+x@contoso.com", "max@contoso.mail.cloud.example", "guest@outside.example", "nobody@contoso.com",
};
enum { WAYS = sizeof ways / sizeof *ways, PEOPLE = sizeof people / sizeof *people, LETTERS = WAYS * PEOPLE };

struct run {
	struct part *part;
	struct trails trails;
	unsigned mode;
	struct answers answers[LETTERS];
	bool accepted[MODES][LETTERS];
	char paths[MODES][LETTERS][PATH_MAX_TEXT]; /* "onprem[R40 ->peer] cloud[R30] = DELIVERED" */
};

static const struct way *way_of(size_t letter)
{
	return &ways[letter / PEOPLE];
}

static bool starts_in_cloud(size_t letter)
{
	return way_of(letter)->door == DOOR_NET_CLOUD || way_of(letter)->door == DOOR_CLOUD;
}

static bool mx_is_cloud(unsigned mode)
{
	return mode == 1 || mode == 2; /* M2 and M3 */
}

/* The same letter in another mode: who came by the MX comes by the new one, others come where they came. */
static size_t again(size_t letter, unsigned from, unsigned to)
{
	size_t way = letter / PEOPLE;

	if (way > INET_PARTNER || (way == INET_CLOUD) != mx_is_cloud(from))
		return letter;
	if (mx_is_cloud(to))
		way = INET_CLOUD;
	else if (mx_is_cloud(from))
		way = INET_ONPREM;
	return way * PEOPLE + letter % PEOPLE;
}

static void put_sender(size_t letter, unsigned mode, char room[100])
{
	struct str head, tail;

	str_cut(str_c(way_of(letter)->from), '#', &head, &tail);
	snprintf(room, 100, STR_FMT "sim%zu.%s" STR_FMT, STR_ARG(head), letter, modes[mode], STR_ARG(tail));
}

/* ---- real mail ---- */

static void send_letter(struct run *r, size_t letter)
{
	const struct way *w = way_of(letter);
	const struct str rcpt = str_c(people[letter % PEOPLE]);
	char from[100], content[400];

	put_sender(letter, r->mode, from);
	snprintf(content, sizeof content,
		 "From: <%s>\r\nMessage-ID: <%zu.%s@bed.example>\r\nSubject: simulated and sent\r\n\r\nhi\r\n", from,
		 letter, modes[r->mode]);
	const struct post post = {
		.door = w->door,
		.message = { .from = str_c(from), .rcpts = &rcpt, .rcpt_n = 1, .head = str_c(content) },
	};
	bed_post(r->part->bed, &post, &r->answers[letter]);
	r->accepted[r->mode][letter] = r->answers[letter].accepted;
}

static void follow(struct run *r, size_t letter, struct trail *t)
{
	const struct answers *a = &r->answers[letter];
	char from[100];

	put_sender(letter, r->mode, from);
	trail_follow(&r->trails, starts_in_cloud(letter) ? GATE_CLOUD : GATE_ONPREM, str_c(from),
		     str_c(people[letter % PEOPLE]), a->rcpt[0].text[0] == '2' ? a->message.text : a->rcpt[0].text, t);
}

static bool is_complete(void *arg)
{
	static struct trail t;
	struct run *r = arg;

	trails_read(&r->trails);
	for (size_t i = 0; i < LETTERS; i++) {
		follow(r, i, &t);
		if (!trail_has_ended(&t))
			return false;
	}
	return true;
}

/* As sim_put_walk writes it, without the reasons. */
static void put_path(const struct trail *t, char room[PATH_MAX_TEXT])
{
	static const char *const nexts[] = { "", " ->peer", " ->direct", "", "" };
	const struct hop *last = &t->hops[t->n - 1];
	struct buf b;

	buf_init(&b, PATH_MAX_TEXT - 1);
	for (size_t i = 0; i < t->n; i++)
		buf_addf(&b, "%s[" STR_FMT "%s] ", t->hops[i].gate == GATE_CLOUD ? "cloud" : "onprem",
			 STR_ARG(t->hops[i].rule), nexts[t->hops[i].next]);
	buf_addf(&b, "= %s",
		 last->next == TRAIL_DELIVER  ? "DELIVERED"
		 : last->next == TRAIL_DIRECT ? "SENT"
		 : last->code[0] == '4'       ? "DEFER"
					      : "REJECT");
	snprintf(room, PATH_MAX_TEXT, "%s", buf_cstr(&b));
	buf_fini(&b);
}

/* ---- the tracking logs, a slice a mode ---- */

static const char *slice_path(const struct run *r, enum bed_gate g, unsigned mode, char room[300])
{
	snprintf(room, 300, "%s/sim-%s-%s.jsonl", r->part->bed->dir, g == GATE_CLOUD ? "cloud" : "onprem", modes[mode]);
	return room;
}

/* Copies what was written since `*from`; *from becomes its end. */
static void cut_slice(const struct run *r, enum bed_gate g, unsigned mode, long *from)
{
	char path[300], room[65536];
	size_t n;

	snprintf(path, sizeof path, "%s/%s/track.jsonl", r->part->bed->dir, g == GATE_CLOUD ? "cloud" : "onprem");
	FILE *in = fopen(path, "re"), *out = fopen(slice_path(r, g, mode, room), "we");
	if (in == NULL || out == NULL || fseek(in, *from, SEEK_SET) != 0)
		bed_fail("bed: cannot copy %s", path);
	while ((n = fread(room, 1, sizeof room, in)) > 0)
		must(fwrite(room, 1, n, out) == n);
	*from = ftell(in);
	fclose(in);
	must(fclose(out) == 0);
}

static void run_mode(struct run *r, long from[GATES])
{
	static struct trail t;
	bool complete;

	bed_mode(r->part->bed, modes[r->mode]);
	trails_read(&r->trails);
	trails_mark(&r->trails);
	bed_pause(r->part->bed, TRACK_MS); /* what is still being written belongs to the mode before */
	for (unsigned g = 0; g < GATES; g++)
		cut_slice(r, g, r->mode, &from[g]);
	for (size_t i = 0; i < LETTERS; i++)
		send_letter(r, i);
	complete = bed_until(r->part->bed, WAIT_MS, is_complete, r);
	part_check(r->part, complete, "%s: a letter has no end", modes[r->mode]);
	for (size_t i = 0; i < LETTERS; i++) {
		follow(r, i, &t);
		if (part_check(r->part, t.n > 0, "%s: letter %zu was seen nowhere (%s)", modes[r->mode], i,
			       r->answers[i].why))
			put_path(&t, r->paths[r->mode][i]);
	}
	bed_pause(r->part->bed, TRACK_MS);
	for (unsigned g = 0; g < GATES; g++)
		cut_slice(r, g, r->mode, &from[g]);
	bed_forget_arrivals(r->part->bed);
}

/* ---- what simulate says ---- */

struct change {
	char before[PATH_MAX_TEXT + 20], after[PATH_MAX_TEXT + 20];
	long real, foretold;
};

struct comparison {
	struct change changes[LETTERS * 2];
	size_t n;
	long recipients[2], refused[2], loops[2]; /* real, foretold */
};

static struct change *change_of(struct comparison *c, const char *origin, const char *before_path,
				const char *after_path)
{
	char before[PATH_MAX_TEXT + 20], after[PATH_MAX_TEXT + 20];

	snprintf(before, sizeof before, "%s%s", origin, before_path);
	snprintf(after, sizeof after, "%s%s", origin, after_path);
	for (size_t i = 0; i < c->n; i++)
		if (strcmp(c->changes[i].before, before) == 0 && strcmp(c->changes[i].after, after) == 0)
			return &c->changes[i];
	must(c->n < sizeof c->changes / sizeof *c->changes);
	struct change *k = &c->changes[c->n++];
	*k = (struct change){ .real = 0 };
	snprintf(k->before, sizeof k->before, "%s", before);
	snprintf(k->after, sizeof k->after, "%s", after);
	return k;
}

/* "onprem[R40 REMOTE ->peer]" -> "onprem[R40 ->peer]" */
static void drop_reasons(const char *path, char room[PATH_MAX_TEXT])
{
	struct str rest = str_c(path), word;
	struct buf b;
	bool in_bracket = false;

	buf_init(&b, PATH_MAX_TEXT - 1);
	while ((word = str_word(&rest)).n > 0) {
		bool reason = in_bracket && !str_starts(word, S("->"));
		bool ends = str_ends(word, S("]"));
		if (!reason)
			buf_addf(&b, "%s" STR_FMT, b.n > 0 ? " " : "", STR_ARG(word));
		else if (ends)
			buf_addc(&b, ']');
		in_bracket = !ends && (in_bracket || str_chr(word, '[') >= 0);
	}
	snprintf(room, PATH_MAX_TEXT, "%s", buf_cstr(&b));
	buf_fini(&b);
}

static void take_row(struct comparison *c, const json_t *row)
{
	const char *kind = json_string_value(json_object_get(row, "finding"));
	const char *before = json_string_value(json_object_get(row, "before"));
	const char *after = json_string_value(json_object_get(row, "after"));
	char from[PATH_MAX_TEXT], to[PATH_MAX_TEXT];

	if (kind != NULL && strcmp(kind, "all") == 0) {
		c->recipients[1] = (long)json_integer_value(json_object_get(row, "recipients"));
		c->refused[1] = (long)json_integer_value(json_object_get(row, "new_refusals"));
		c->loops[1] = (long)json_integer_value(json_object_get(row, "loops"));
	}
	if (kind == NULL || strcmp(kind, "changed path") != 0 || before == NULL || after == NULL)
		return;
	drop_reasons(before, from);
	drop_reasons(after, to);
	change_of(c, "", from, to)->foretold += (long)json_integer_value(json_object_get(row, "count"));
}

static bool ask(struct run *r, enum bed_gate g, unsigned a, unsigned b, struct comparison *c)
{
	static const char *const names[GATES] = { "onprem", "cloud" };
	const char *dir = r->part->bed->dir;
	enum bed_gate other = g == GATE_CLOUD ? GATE_ONPREM : GATE_CLOUD;
	char words[1500], ours[300], theirs[300];
	struct buf out;
	struct str line, rest;

	snprintf(words, sizeof words,
		 "--json simulate --mode %s -c %s/%s.conf --peer-config %s/%s.conf --track %s --also %s", modes[b], dir,
		 names[g], dir, names[other], slice_path(r, g, a, ours), slice_path(r, other, a, theirs));
	buf_init(&out, OUTPUT_MAX);
	int status = bed_tombolo(r->part->bed, g, &out, words);
	bool good = status == 0 || status == 1 || status == 3;
	part_check(r->part, good, "tombolo %s: exit %d: %s", words, status, buf_cstr(&out));
	for (rest = buf_str(&out); good && rest.n > 0;) {
		str_cut(rest, '\n', &line, &rest);
		json_t *row = json_loadb(line.p, line.n, 0, NULL);
		take_row(c, row);
		json_decref(row);
	}
	buf_fini(&out);
	return good;
}

/* ---- the comparison ---- */

static bool ends_refused(const char *path)
{
	return str_ends(str_c(path), S("= REJECT")) || str_ends(str_c(path), S("= DEFER"));
}

static bool ends_as_loop(const char *path)
{
	static const char *const rules[] = { "[R01]", "[R02]", "[R15]", "[R41]", "[R44]", "[R45]", "[R48]" };

	for (size_t i = 0; i < sizeof rules / sizeof *rules; i++)
		if (strstr(path, rules[i]) != NULL)
			return ends_refused(path);
	return false;
}

static void take_reality(const struct run *r, unsigned a, unsigned b, struct comparison *c)
{
	for (size_t i = 0; i < LETTERS; i++) {
		const char *before = r->paths[a][i], *after = r->paths[b][again(i, a, b)];
		char origin[20];

		if (!r->accepted[a][i]) /* what was refused at once is in no log of envelopes */
			continue;
		c->recipients[0]++;
		if (strcmp(before, after) == 0)
			continue;
		snprintf(origin, sizeof origin, "%s ", way_of(i)->origin);
		change_of(c, origin, before, after)->real++;
		if (ends_as_loop(after) && !ends_as_loop(before))
			c->loops[0]++;
		else if (ends_refused(after) && !ends_refused(before))
			c->refused[0]++;
	}
}

static size_t compare(struct run *r, enum bed_gate g, unsigned a, unsigned b)
{
	static struct comparison c;
	struct part *p = r->part;
	const char *who = g == GATE_CLOUD ? "cloud" : "on-prem";

	c = (struct comparison){ .n = 0 };
	take_reality(r, a, b, &c);
	if (!ask(r, g, a, b, &c))
		return 0;
	for (size_t i = 0; i < c.n; i++)
		part_check(p, c.changes[i].real == c.changes[i].foretold,
			   "%s to %s at the %s side: %ld were foretold, %ld happened:\n  %s\n  => %s", modes[a],
			   modes[b], who, c.changes[i].foretold, c.changes[i].real, c.changes[i].before,
			   c.changes[i].after);
	part_check(p, c.recipients[0] == c.recipients[1], "%s to %s at the %s side: %ld recipients, not %ld", modes[a],
		   modes[b], who, c.recipients[1], c.recipients[0]);
	part_check(p, c.refused[0] == c.refused[1] && c.loops[0] == c.loops[1],
		   "%s to %s at the %s side: %ld refusals and %ld loops were foretold, %ld and %ld happened", modes[a],
		   modes[b], who, c.refused[1], c.loops[1], c.refused[0], c.loops[0]);
	return c.n;
}

void part_simulate(struct part *p)
{
	struct run *r = calloc(1, sizeof *r);
	long from[GATES] = { 0, 0 };
	size_t changes = 0;

	must(r != NULL);
	r->part = p;
	trails_init(&r->trails, p->bed);
	bed_configure(p->bed, &(const struct bed_variant){ 0 });
	for (r->mode = 0; r->mode < MODES; r->mode++)
		run_mode(r, from);
	for (unsigned a = 0; a < MODES; a++) {
		bed_mode(p->bed, modes[a]);
		for (unsigned b = 0; b < MODES; b++)
			for (unsigned g = 0; g < GATES && a != b; g++)
				changes += compare(r, g, a, b);
	}
	printf("simulate: %d letters in four modes; %zu kinds of change in 24 forecasts\n", LETTERS, changes);
	part_check(p, changes > 0, "no path ever changes");
	trails_fini(&r->trails);
	free(r);
}
