/* tests/bed/rows.c: every row of paths.csv as one real message, followed through the logs of both gateways.
 *
 *   rows by variant and mode -> one batch: all of it is sent -> wait until every trail has its end -> judge
 *
 * A row's sender is an address that nobody else uses: that is how its message is known in the logs; in the content it
 * is `X-Bed: P01.M2`.  Beside the text of the trail each hop is judged: who handed it over and how that was known, what
 * the certificate proved, which address was used; and at the end who has the message, how often, and who got a report.
 */
#include "tests/bed/part.h"
#include "tests/bed/trail.h"
#include "tests/bed/walk.h"

#include "base/must.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROWS_MAX = 400, FILE_MAX = 1 << 20, WAIT_MS = 15000 };

struct row {
	struct str id, mode, trail, result;
	const struct walk_scenario *s;
	struct bed_variant variant;
	char from[100], rcpt[100], forward[100];
	bool in_cloud; /* begins there */
	struct answers answers;
	bool sent;
};

struct rows {
	struct part *part;
	struct trails trails;
	struct row *rows;
	size_t n;
	size_t first, end; /* of the batch */
};

/* ---- reading ---- */

static struct bed_variant variant_of(const struct walk_scenario *s)
{
	return (struct bed_variant){ .wire = s->not_attributed,
				     .stranger = s->not_attributed,
				     .keeps_token = s->not_attributed,
				     .no_token = s->no_token,
				     .forward_direct = s->forwards_direct };
}

static const char *person_of(const struct walk_scenario *s)
{
	if (s->place == NOWHERE)
		return "nobody@contoso.com";
	if (s->place == OUTSIDE)
		return "guest@outside.example";
	if (s->onprem_wrong)
		return "lost@contoso.com";
	if (s->cloud_wrong)
		return "stray@contoso.com";
	return s->forwards ? "fay@contoso.com" : s->place == ON_PREM ? "ann@contoso.com" : "max@contoso.com";
}

static void make_row(struct row *r)
{
	const struct walk_scenario *s = r->s;
	struct mode m = walk_mode(r->mode.p[1]);
	static const char *const froms[] = { STR_FMT "@outside.example", "ann+" STR_FMT "@contoso.com",
					     "max+" STR_FMT "@contoso.com" };

	r->variant = variant_of(s);
	r->in_cloud = walk_begins_in_cloud(s, &m);
	snprintf(r->from, sizeof r->from, froms[s->start], STR_ARG(r->id));
	snprintf(r->rcpt, sizeof r->rcpt, "%s", person_of(s));
	if (s->forwards) /* not sent: what the cloud makes of it */
		snprintf(r->forward, sizeof r->forward, "fay@outside.example");
}

static bool has_row(const struct rows *rows, struct str id)
{
	for (size_t i = 0; i < rows->n; i++)
		if (str_eq(rows->rows[i].id, id))
			return true;
	return false;
}

static void read_rows(struct rows *rows, const char *path, struct arena *memory)
{
	char *room = arena_alloc(memory, FILE_MAX);
	FILE *f = fopen(path, "re");
	struct str line, rest, what;

	if (f == NULL || room == NULL)
		bed_fail("bed: cannot read %s", path);
	rest = str_n(room, fread(room, 1, FILE_MAX, f));
	fclose(f);
	str_cut(rest, '\n', &line, &rest);
	part_check(rows->part, str_eq(line, S("id,description,mode,trail,result")), "%s: not the columns of paths.csv",
		   path);
	while (rest.n > 0) {
		struct row r = { 0 };
		str_cut(rest, '\n', &line, &rest);
		if (line.n == 0)
			continue;
		str_cut(line, ',', &r.id, &line);
		str_cut(line, ',', &what, &line);
		str_cut(line, ',', &r.mode, &line);
		str_cut(line, ',', &r.trail, &r.result);
		r.s = walk_scenario_of(r.id);
		if (!part_check(rows->part, r.s != NULL && r.mode.n == 2, "%s: no scenario " STR_FMT, path,
				STR_ARG(r.id)))
			continue;
		if (has_row(rows, r.id))
			continue; /* the other file's row of that name was checked there */
		must(rows->n < ROWS_MAX);
		make_row(&r);
		rows->rows[rows->n++] = r;
	}
}

/* ---- sending ---- */

static void send_row(struct rows *rows, struct row *r)
{
	static const enum bed_door doors[3][2] = { [FROM_INTERNET] = { DOOR_NET_ONPREM, DOOR_NET_CLOUD },
						   [FROM_ONPREM] = { DOOR_ONPREM, DOOR_ONPREM },
						   [FROM_CLOUD] = { DOOR_CLOUD, DOOR_CLOUD } };
	const struct str rcpt = str_c(r->rcpt);
	struct buf content;

	buf_init(&content, 4096);
	buf_addf(&content,
		 "X-Bed: " STR_FMT "\r\nFrom: <%s>\r\nTo: <%s>\r\nDate: Sat, 21 Nov 2026 10:00:00 +0000\r\n"
		 "Message-ID: <" STR_FMT "@bed.example>\r\nSubject: " STR_FMT "\r\n\r\n.one dot\r\n",
		 STR_ARG(r->id), r->from, r->rcpt, STR_ARG(r->id), STR_ARG(r->id));
	const struct post post = {
		.door = doors[r->s->start][r->in_cloud],
		.message = { .from = str_c(r->from), .rcpts = &rcpt, .rcpt_n = 1, .head = buf_str(&content) }
	};
	bed_post(rows->part->bed, &post, &r->answers);
	buf_fini(&content);
}

/* ---- judging ---- */

static void follow(struct rows *rows, const struct row *r, struct trail *t)
{
	const char *answer = r->answers.rcpt[0].text[0] != '2' ? r->answers.rcpt[0].text : r->answers.message.text;

	trail_follow(&rows->trails, r->in_cloud ? GATE_CLOUD : GATE_ONPREM, str_c(r->from), str_c(r->rcpt), answer, t);
}

/* What the mailbox sent on: it begins in the cloud. */
static void follow_forward(struct rows *rows, const struct row *r, struct trail *t)
{
	trail_follow(&rows->trails, GATE_CLOUD, str_c(r->from), str_c(r->forward), "", t);
}

/* The end of the story: of the message, or of what was sent on. */
static void follow_last(struct rows *rows, const struct row *r, struct trail *t)
{
	if (r->s->forwards)
		follow_forward(rows, r, t);
	else
		follow(rows, r, t);
}

/* Copies of the row's message at a place; reports about it when `reports`. */
static unsigned count_arrivals(const struct rows *rows, const struct row *r, enum bed_place where, bool reports)
{
	const struct bed *b = rows->part->bed;
	char mark[60];
	unsigned n = 0;

	snprintf(mark, sizeof mark, "X-Bed: " STR_FMT "\r\n", STR_ARG(r->id));
	for (size_t i = 0; i < b->arrival_n; i++) {
		const struct arrival *a = &b->arrivals[i];
		n += a->where == where && (a->from.n == 0) == reports && str_find(a->content, str_c(mark)) >= 0;
	}
	return n;
}

static enum bed_place home_of_sender(const struct row *r)
{
	static const enum bed_place homes[] = { HOST_NET, HOST_ONPREM, HOST_CLOUD };

	return homes[r->s->start];
}

static bool ends_at_second(const struct trail *t)
{
	return t->n > 1 && t->hops[t->n - 1].next == TRAIL_REFUSED;
}

static bool is_complete(void *arg)
{
	struct rows *rows = arg;
	static struct trail t;

	trails_read(&rows->trails);
	for (size_t i = rows->first; i < rows->end; i++) {
		struct row *r = &rows->rows[i];
		follow(rows, r, &t);
		if (!trail_has_ended(&t))
			return false;
		follow_last(rows, r, &t);
		if (!trail_has_ended(&t))
			return false;
		if (ends_at_second(&t) && count_arrivals(rows, r, home_of_sender(r), true) == 0)
			return false;
	}
	return true;
}

static struct str routing_form(struct str address, char room[120])
{
	struct str local, domain;

	str_cut(address, '@', &local, &domain);
	snprintf(room, 120, STR_FMT "@contoso.mail.cloud.example", STR_ARG(local));
	return str_c(room);
}

static void judge_hop(struct rows *rows, const struct row *r, const struct trail *t, size_t at)
{
	static const struct str proved[GATES] = { STR_LIT("mail.contoso.mail.cloud.example"),
						  STR_LIT("mail.contoso.com") };
	static const struct str peers[GATES] = { STR_LIT("cloud"), STR_LIT("onprem") };
	const struct hop *h = &t->hops[at];
	struct str person = str_c(person_of(r->s));
	char room[120];

	bool came_from_peer = (at > 0 || r->s->forwards) && !(h->gate == GATE_CLOUD && r->s->not_attributed);
	if (h->next != TRAIL_REFUSED)
		part_check(rows->part,
			   came_from_peer ? str_eq(h->inbound, peers[h->gate]) && str_starts(h->how, S("cert"))
					  : h->inbound.n == 0,
			   STR_FMT ": hop %zu was handed over by '" STR_FMT "' known by '" STR_FMT "'", STR_ARG(r->id),
			   at, STR_ARG(h->inbound), STR_ARG(h->how));
	if (h->next == TRAIL_PEER) {
		struct str want = h->gate == GATE_ONPREM ? routing_form(person, room) : person;
		if (r->s->place == OUTSIDE || (r->s->forwards && str_ends(h->to, S("outside.example"))))
			want = h->to;
		part_check(rows->part, str_eq(h->as, want),
			   STR_FMT ": hop %zu used the address " STR_FMT ", not " STR_FMT, STR_ARG(r->id), at,
			   STR_ARG(h->as), STR_ARG(want));
		part_check(rows->part, str_starts(h->tls, S("TLSv1.")) && str_ends(h->tls, proved[h->gate]),
			   STR_FMT ": hop %zu was secured by '" STR_FMT "'", STR_ARG(r->id), at, STR_ARG(h->tls));
	}
	if (h->next == TRAIL_DELIVER || h->next == TRAIL_DIRECT)
		part_check(rows->part, h->sent && h->tls.n > 0,
			   STR_FMT ": the last hop says '" STR_FMT "' over '" STR_FMT "'", STR_ARG(r->id),
			   STR_ARG(h->reply), STR_ARG(h->tls));
}

/* Where it lies in the end, exactly once, and nowhere else. */
static void judge_end(struct rows *rows, const struct row *r, bool refused_late)
{
	static const char *const names[] = { "on-prem host", "cloud host", "Internet host" };
	bool delivered = str_eq(r->result, S("DELIVERED")), sent = str_eq(r->result, S("SENT"));
	enum bed_place home = r->s->place == ON_PREM ? HOST_ONPREM : HOST_CLOUD;

	for (enum bed_place at = HOST_ONPREM; at <= HOST_NET; at++) {
		unsigned want = (delivered && at == home) || (sent && at == HOST_NET) ||
				(r->s->forwards && at == HOST_CLOUD); /* the copy that is kept */
		unsigned got = count_arrivals(rows, r, at, false);
		part_check(rows->part, got == want, STR_FMT ": %u copies at the %s, not %u", STR_ARG(r->id), got,
			   names[at], want);
		got = count_arrivals(rows, r, at, true);
		want = refused_late && at == home_of_sender(r);
		part_check(rows->part, got == want, STR_FMT ": %u reports at the %s, not %u", STR_ARG(r->id), got,
			   names[at], want);
	}
}

static void put_result(const struct row *r, const struct trail *t, struct buf *out)
{
	const struct hop *last = &t->hops[t->n - 1];

	if (t->n > WALK_GATEWAYS_MAX && str_eq(last->rule, S("R01")))
		buf_add(out, S("HOP-COUNT"));
	else if (last->next == TRAIL_REFUSED)
		buf_addf(out, "REJECT %s", last->code);
	else if (last->next == TRAIL_DELIVER)
		buf_add(out, r->s->forwards ? S("SENT") : S("DELIVERED"));
	else
		buf_add(out, last->next == TRAIL_DIRECT ? S("SENT") : S("HELD"));
}

static void judge_row(struct rows *rows, struct row *r)
{
	static const char *const starts[] = { "INTERNET", "onprem-sender", "cloud-sender" };
	static struct trail t, kept;
	struct buf trail, result;

	buf_init(&trail, 8192);
	buf_init(&result, 100);
	follow_last(rows, r, &t);
	buf_add(&trail, str_c(starts[r->s->start]));
	bool refused_late = ends_at_second(&t);
	put_result(r, &t, &result);
	if (str_eq(buf_str(&result), S("HOP-COUNT")))
		t.n = WALK_GATEWAYS_MAX;
	if (r->s->forwards) {
		follow(rows, r, &kept);
		trail_put(&kept, 0, &trail);
		buf_add(&trail, S("+forward"));
	}
	trail_put(&t, 0, &trail);
	if (t.hops[t.n - 1].next == TRAIL_DIRECT)
		buf_add(&trail, S(" Internet"));
	part_check(rows->part, str_eq(buf_str(&trail), r->trail) && str_eq(buf_str(&result), r->result),
		   STR_FMT ": the trail differs\n  want " STR_FMT " = " STR_FMT "\n  got  %s = %s", STR_ARG(r->id),
		   STR_ARG(r->trail), STR_ARG(r->result), buf_cstr(&trail), buf_cstr(&result));
	for (size_t i = 0; i < t.n; i++)
		judge_hop(rows, r, &t, i);
	judge_end(rows, r, refused_late);
	buf_fini(&trail);
	buf_fini(&result);
}

/* A loop that elsewhere would run until the hop limit: one round trip, three transactions (spec 8.4). */
static void judge_round_trip(struct rows *rows, const struct row *r)
{
	unsigned onprem = trails_taken(&rows->trails, GATE_ONPREM, str_c(r->from));
	unsigned cloud = trails_taken(&rows->trails, GATE_CLOUD, str_c(r->from));

	if (str_starts(r->id, S("F01")) && str_starts(r->result, S("REJECT")))
		part_check(rows->part, onprem == 1 && cloud == 1,
			   STR_FMT ": taken %u times on-prem and %u times in the cloud", STR_ARG(r->id), onprem, cloud);
}

static void run_batch(struct rows *rows)
{
	struct part *p = rows->part;
	char mode[] = "M1";

	/* a loop without tokens passes thirty times, and each time nobody can tell that it is in the archive */
	if (p->journals && rows->rows[rows->first].variant.no_token)
		return;
	mode[1] = rows->rows[rows->first].mode.p[1];
	bed_configure(p->bed, &rows->rows[rows->first].variant);
	bed_mode(p->bed, mode);
	trails_read(&rows->trails);
	trails_mark(&rows->trails);
	for (size_t i = rows->first; i < rows->end; i++)
		send_row(rows, &rows->rows[i]);
	bool complete = bed_until(p->bed, WAIT_MS, is_complete, rows);
	part_check(p, complete, "a message of the batch of " STR_FMT " has no end",
		   STR_ARG(rows->rows[rows->first].id));
	part_await_reports(p);
	for (size_t i = rows->first; i < rows->end; i++) {
		static struct trail t;
		struct row *r = &rows->rows[i];
		follow(rows, r, &t);
		if (!part_check(p, t.n > 0, STR_FMT ": no gateway logged it (%s%s)", STR_ARG(r->id), r->answers.why,
				r->answers.mail.text))
			continue;
		judge_row(rows, r);
		judge_round_trip(rows, r);
		part_judge_reports(p, r->id, str_c(r->from), r->answers.accepted);
	}
	bed_forget_arrivals(p->bed);
}

static int by_batch(const void *a, const void *b)
{
	const struct row *x = a, *y = b;
	int v = memcmp(&x->variant, &y->variant, sizeof x->variant);

	return v != 0 ? v : str_cmp(x->mode, y->mode);
}

void part_rows(struct part *p)
{
	struct rows rows = { .part = p };
	struct arena memory;
	struct str files = str_c(p->vectors), one;
	char path[400];

	arena_init(&memory, 16 << 20);
	rows.rows = calloc(ROWS_MAX, sizeof *rows.rows);
	must(rows.rows != NULL);
	trails_init(&rows.trails, p->bed);
	while (files.n > 0) {
		str_cut(files, ':', &one, &files);
		snprintf(path, sizeof path, STR_FMT, STR_ARG(one));
		read_rows(&rows, path, &memory);
	}
	qsort(rows.rows, rows.n, sizeof *rows.rows, by_batch);
	for (rows.first = 0; rows.first < rows.n; rows.first = rows.end) {
		rows.end = rows.first + 1;
		while (rows.end < rows.n && by_batch(&rows.rows[rows.first], &rows.rows[rows.end]) == 0)
			rows.end++;
		run_batch(&rows);
	}
	printf("rows: %zu paths by real messages\n", rows.n);
	trails_fini(&rows.trails);
	free(rows.rows);
	arena_fini(&memory);
}
