/* tests/bed/random.c: random tables, modes and messages: where everything goes is what the model says.
 *
 *   a round = people nobody had before, in both tables (each side may be wrong about some), a variant, a mode, messages
 *
 * For each recipient of each message the trail out of the logs must be the walker's (tests/bed/walk.h), the copy must
 * lie where the trail ends and nowhere else, and no gateway may have seen it twice but for a reason that is meant to do
 * that. All of a round follows from the seed and its number. */
#include "tests/bed/part.h"
#include "tests/bed/trail.h"
#include "tests/bed/walk.h"
#include "tests/kit/letters.h"

#include "base/must.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { LITTLE = 6, PEOPLE = 40, MESSAGES = 30, RCPTS = 4, WAIT_MS = 20000 };

struct person {
	enum walk_place place;
	bool onprem_wrong, cloud_wrong, forwards;
	char address[60];
};

struct draw { /* one recipient of a message */
	const struct person *who;
	struct walk_scenario scenario;
	char to[80];
};

struct message {
	char from[80];
	enum walk_start start;
	enum walk_entry entry;
	bool in_cloud;
	struct draw rcpts[RCPTS];
	unsigned rcpt_n;
	struct answers answers;
};

struct round {
	struct part *part;
	uint64_t number, r;
	struct bed_variant variant;
	struct mode mode;
	char mode_name[3];
	struct person people[PEOPLE];
	struct message messages[MESSAGES];
	struct trails trails;
};

/* ---- drawing ---- */

static bool one_in(struct round *o, uint64_t n)
{
	return letter_draw(&o->r, n) == 0;
}

/* endpoint: the gateways tell each other what is internal, as the model knows it. */
static void draw_variant(struct round *o)
{
	static const struct bed_variant variants[] = {
		{ .endpoint = true },
		{ .endpoint = true, .forward_direct = true },
		{ .endpoint = true, .no_token = true },
		{ .endpoint = true, .wire = true, .stranger = true, .keeps_token = true },
		{ .endpoint = true, .wire = true },
	};

	o->variant = variants[letter_draw(&o->r, sizeof variants / sizeof *variants)];
	o->mode_name[0] = 'M';
	o->mode_name[1] = (char)('1' + letter_draw(&o->r, 4));
	o->mode = walk_mode(o->mode_name[1]);
}

static void draw_person(struct round *o, size_t i)
{
	struct person *p = &o->people[i];

	*p = (struct person){ .place = one_in(o, 10) ? NOWHERE : one_in(o, 2) ? ON_PREM : IN_CLOUD };
	p->onprem_wrong = one_in(o, 10);
	p->cloud_wrong = one_in(o, 10);
	p->forwards = p->place == IN_CLOUD && !p->cloud_wrong && one_in(o, 6);
	snprintf(p->address, sizeof p->address, "r%jup%zu@contoso.com", o->number, i);
}

static void put_record(const struct round *o, const struct person *p, enum bed_gate g, struct buf *csv)
{
	bool wrong = g == GATE_CLOUD ? p->cloud_wrong : p->onprem_wrong;
	bool local = (p->place == IN_CLOUD) == (g == GATE_CLOUD) && !wrong;
	struct str name, domain;

	(void)o;
	str_cut(str_c(p->address), '@', &name, &domain);
	if (p->place == NOWHERE)
		return;
	buf_addf(csv, "%s,", p->address);
	if (g == GATE_CLOUD && p->forwards)
		buf_addf(csv,
			 "redirect,,also." STR_FMT "@contoso.com;" STR_FMT "@contoso.mail.cloud.example," STR_FMT
			 "@outside.example\n",
			 STR_ARG(name), STR_ARG(name), STR_ARG(name));
	else if (g == GATE_CLOUD)
		buf_addf(csv, "%s,,also." STR_FMT "@contoso.com;" STR_FMT "@contoso.mail.cloud.example,\n",
			 local ? "local" : "remote", STR_ARG(name), STR_ARG(name));
	else if (local)
		buf_addf(csv, "local,,also." STR_FMT "@contoso.com,\n", STR_ARG(name));
	else
		buf_addf(csv, "remote," STR_FMT "@contoso.mail.cloud.example,also." STR_FMT "@contoso.com,\n",
			 STR_ARG(name), STR_ARG(name));
}

static void make_tables(struct round *o)
{
	struct buf csv;

	buf_init(&csv, 1 << 20);
	for (unsigned g = 0; g < GATES; g++) {
		buf_reset(&csv);
		buf_add(&csv, S("address,loc,routing,aliases,redirect\n"));
		for (size_t i = 0; i < PEOPLE; i++)
			put_record(o, &o->people[i], g, &csv);
		must(!csv.full);
		bed_recipients(o->part->bed, g, buf_str(&csv));
	}
	buf_fini(&csv);
}

static const struct person outside = { .place = OUTSIDE, .address = "guest@outside.example" };

static bool is_among(const struct message *m, const struct person *who)
{
	for (unsigned i = 0; i < m->rcpt_n; i++)
		if (m->rcpts[i].who == who)
			return true;
	return false;
}

/* Strangers' mail to a mailbox that forwards is left out: the model refuses it as relaying, the gateway knows that the
 * redirection is its own. */
static const struct person *draw_who(struct round *o, const struct message *m)
{
	const struct person *p;

	do
		p = one_in(o, 8) ? &outside : &o->people[letter_draw(&o->r, PEOPLE)];
	while (is_among(m, p) || (p->forwards && (m->start == FROM_INTERNET || o->variant.stranger)));
	return p;
}

static void put_to(struct round *o, const struct person *p, char to[80])
{
	struct str name, domain;

	str_cut(str_c(p->address), '@', &name, &domain);
	if (p->place == OUTSIDE || !one_in(o, 3))
		snprintf(to, 80, "%s", p->address);
	else if (one_in(o, 2))
		snprintf(to, 80, "also." STR_FMT "@Contoso.COM", STR_ARG(name));
	else
		snprintf(to, 80, "R" STR_FMT "+tag@contoso.com", STR_ARG(str_skip(name, 1)));
}

static void draw_message(struct round *o, size_t i)
{
	static const char *const froms[] = { "r%jum%zu@outside.example", "ann+r%jum%zu@contoso.com",
					     "max+r%jum%zu@contoso.com" };
	struct message *m = &o->messages[i];
	/* the wire has one answer for a transaction, a loop is refused as a whole: there one recipient each */
	unsigned n = o->variant.wire ? 1 : 1 + (unsigned)letter_draw(&o->r, RCPTS);

	*m = (struct message){ .start = (enum walk_start)letter_draw(&o->r, 3),
			       .entry = one_in(o, 4)   ? AT_ONPREM
					: one_in(o, 4) ? AT_CLOUD
						       : AT_MX };
	snprintf(m->from, sizeof m->from, froms[m->start], o->number, i);
	while (m->rcpt_n < n) {
		struct draw *d = &m->rcpts[m->rcpt_n];
		d->who = draw_who(o, m);
		put_to(o, d->who, d->to);
		d->scenario = (struct walk_scenario){ .id = m->from,
						      .start = m->start,
						      .place = d->who->place,
						      .entry = m->entry,
						      .forwards = d->who->forwards,
						      .forwards_direct = o->variant.forward_direct,
						      .not_attributed = o->variant.stranger,
						      .no_token = o->variant.no_token,
						      .onprem_wrong = d->who->onprem_wrong,
						      .cloud_wrong = d->who->cloud_wrong };
		m->rcpt_n++;
	}
	m->in_cloud = walk_begins_in_cloud(&m->rcpts[0].scenario, &o->mode);
}

/* ---- sending ---- */

static void post_message(struct round *o, struct message *m)
{
	static const enum bed_door doors[3][2] = { [FROM_INTERNET] = { DOOR_NET_ONPREM, DOOR_NET_CLOUD },
						   [FROM_ONPREM] = { DOOR_ONPREM, DOOR_ONPREM },
						   [FROM_CLOUD] = { DOOR_CLOUD, DOOR_CLOUD } };
	struct str rcpts[RCPTS];
	struct buf content;

	for (unsigned i = 0; i < m->rcpt_n; i++)
		rcpts[i] = str_c(m->rcpts[i].to);
	buf_init(&content, 4096);
	buf_addf(&content, "X-Bed: %s.\r\nFrom: <%s>\r\nMessage-ID: <%s>\r\nDate: today\r\n\r\nhi\r\n", m->from,
		 m->from, m->from);
	const struct post post = {
		.door = doors[m->start][m->in_cloud],
		.message = { .from = str_c(m->from), .rcpts = rcpts, .rcpt_n = m->rcpt_n, .head = buf_str(&content) }
	};
	bed_post(o->part->bed, &post, &m->answers);
	buf_fini(&content);
}

/* ---- judging ---- */

static void follow(struct round *o, const struct message *m, unsigned rcpt, struct trail *t)
{
	const char *answer = m->answers.rcpt[rcpt].text;

	trail_follow(&o->trails, m->in_cloud ? GATE_CLOUD : GATE_ONPREM, str_c(m->from), str_c(m->rcpts[rcpt].to),
		     answer[0] == '2' ? m->answers.message.text : answer, t);
}

static bool is_complete(void *arg)
{
	static struct trail t;
	struct round *o = arg;

	trails_read(&o->trails);
	for (size_t i = 0; i < MESSAGES; i++)
		for (unsigned k = 0; k < o->messages[i].rcpt_n; k++) {
			follow(o, &o->messages[i], k, &t);
			if (!trail_has_ended(&t))
				return false;
		}
	return true;
}

/* The model keeps a copy in the mailbox that forwards; a redirection of the table is only the forwarding. */
static void drop_kept_copy(struct buf *trail)
{
	static const struct str kept = STR_LIT(" cloud[R30 deliver]+forward");
	struct str all = buf_str(trail);
	ssize_t at = str_find(all, kept);

	if (at < 0)
		return;
	memmove(trail->p + at, trail->p + at + kept.n, all.n - (size_t)at - kept.n);
	trail->n -= kept.n;
}

static void put_real(const struct message *m, const struct trail *t, struct buf *out)
{
	static const char *const starts[] = { "INTERNET", "onprem-sender", "cloud-sender" };
	const struct hop *last = &t->hops[t->n - 1];
	struct trail shown = *t;
	bool too_often = t->n > WALK_GATEWAYS_MAX && str_eq(last->rule, S("R01"));

	if (too_often)
		shown.n = WALK_GATEWAYS_MAX;
	buf_add(out, str_c(starts[m->start]));
	trail_put(&shown, 0, out);
	if (too_often)
		buf_add(out, S(" = HOP-COUNT"));
	else if (last->next == TRAIL_REFUSED)
		buf_addf(out, " = REJECT %s", last->code);
	else
		buf_add(out, last->next == TRAIL_DIRECT ? S(" Internet = SENT") : S(" = DELIVERED"));
}

/* Twice at one gateway only where a rule sends it round on purpose, or where the loop is found and told. */
static bool is_round_on_purpose(const struct trail *t, size_t first, size_t second)
{
	static const struct str reasons[] = { STR_LIT("CMT-"), STR_LIT("CBR-"), STR_LIT("LOOP-"), STR_LIT("LOC-") };

	for (size_t i = first; i <= second; i++)
		for (size_t k = 0; k < sizeof reasons / sizeof *reasons; k++)
			if (str_starts(t->hops[i].reason, reasons[k]) || t->hops[i].next == TRAIL_REFUSED)
				return true;
	return false;
}

static bool never_twice(const struct trail *t)
{
	for (size_t i = 0; i < t->n; i++)
		for (size_t k = i + 1; k < t->n; k++)
			if (t->hops[i].gate == t->hops[k].gate && !is_round_on_purpose(t, i, k))
				return false;
	return true;
}

/* How often a recipient is among the copies of its message at a place. */
static unsigned count_copies(const struct round *o, const struct message *m, enum bed_place where, struct str address)
{
	const struct bed *b = o->part->bed;
	char mark[120];
	unsigned n = 0;

	snprintf(mark, sizeof mark, "X-Bed: %s.\r\n", m->from);
	for (size_t i = 0; i < b->arrival_n; i++) {
		struct str rest = b->arrivals[i].rcpts, one;
		if (b->arrivals[i].where != where || str_find(b->arrivals[i].content, str_c(mark)) < 0)
			continue;
		while (rest.n > 0) {
			str_cut(rest, '\n', &one, &rest);
			n += str_ieq(one, address);
		}
	}
	return n;
}

static void judge_copies(struct round *o, const struct message *m, const struct draw *d, const struct trail *t)
{
	const struct hop *last = &t->hops[t->n - 1];
	enum bed_place home = last->next == TRAIL_DIRECT ? HOST_NET
			      : last->gate == GATE_CLOUD ? HOST_CLOUD
							 : HOST_ONPREM;

	for (enum bed_place at = HOST_ONPREM; at <= HOST_NET; at++) {
		unsigned want = (last->next == TRAIL_DELIVER || last->next == TRAIL_DIRECT) && at == home;
		/* strangers' addresses are shared by messages, not by copies of one */
		unsigned got = count_copies(o, m, at, last->as.n > 0 ? last->as : str_c(d->who->address));
		part_check(o->part, got == want, "round %ju: %s for %s: %u copies at place %d, not %u", o->number,
			   m->from, d->to, got, at, want);
	}
}

/* Refused after all of the transaction was accepted (one of several recipients): a report tells, not an answer. */
static void report_in_words(struct buf *model, struct str real)
{
	struct str all = buf_str(model);
	ssize_t code = str_find(all, S(" 554 "));

	if (str_find(real, S(" report]")) < 0 || code < 0)
		return;
	model->n = (size_t)code;
	buf_add(model, S(" report] = REJECT report"));
}

static bool is_model(const struct round *o, const struct walk_scenario *scenario, struct str real, struct buf *model)
{
	struct buf result;

	buf_init(&result, 100);
	buf_reset(model);
	walk(scenario, &o->mode, model, &result);
	drop_kept_copy(model);
	buf_addf(model, " = %s", buf_cstr(&result));
	report_in_words(model, real);
	buf_fini(&result);
	return str_eq(buf_str(model), real);
}

/* A disagreement of the tables is told at RCPT, before the header with its token is seen (spec 1.4): then the model
 * without a token says the same refusal in its words. */
static bool is_refused_early(const struct round *o, const struct draw *d, struct str real)
{
	struct walk_scenario blind = d->scenario;
	struct buf model;

	blind.no_token = true;
	buf_init(&model, 8192);
	bool same = is_model(o, &blind, real, &model) && str_find(real, S("[R45 ")) >= 0;
	buf_fini(&model);
	return same;
}

static void judge(struct round *o, const struct message *m, unsigned rcpt)
{
	static struct trail t;
	const struct draw *d = &m->rcpts[rcpt];
	struct buf model, real;

	buf_init(&model, 8192);
	buf_init(&real, 8192);
	follow(o, m, rcpt, &t);
	if (part_check(o->part, t.n > 0, "round %ju: %s for %s left no trail", o->number, m->from, d->to)) {
		put_real(m, &t, &real);
		bool same = is_refused_early(o, d, buf_str(&real)) || is_model(o, &d->scenario, buf_str(&real), &model);
		part_check(o->part, same, "round %ju, %s: %s for %s\n  model %s\n  real  %s", o->number, o->mode_name,
			   m->from, d->to, buf_cstr(&model), buf_cstr(&real));
		part_check(o->part, never_twice(&t), "round %ju: %s for %s: twice without a reason: %s", o->number,
			   m->from, d->to, buf_cstr(&real));
		judge_copies(o, m, d, &t);
	}
	buf_fini(&model);
	buf_fini(&real);
}

static void run_round(struct round *o)
{
	struct bed *b = o->part->bed;

	o->r = o->part->seed + o->number * 0x2545f4914f6cdd1dU;
	draw_variant(o);
	for (size_t i = 0; i < PEOPLE; i++)
		draw_person(o, i);
	for (size_t i = 0; i < MESSAGES; i++)
		draw_message(o, i);
	make_tables(o);
	bed_configure(b, &o->variant);
	bed_mode(b, o->mode_name);
	trails_read(&o->trails);
	trails_mark(&o->trails);
	for (size_t i = 0; i < MESSAGES; i++)
		post_message(o, &o->messages[i]);
	part_check(o->part, bed_until(b, WAIT_MS, is_complete, o), "round %ju has no end", o->number);
	for (size_t i = 0; i < MESSAGES; i++)
		for (unsigned k = 0; k < o->messages[i].rcpt_n; k++)
			judge(o, &o->messages[i], k);
	bed_forget_arrivals(b);
}

void part_random(struct part *p)
{
	struct round *o = calloc(1, sizeof *o);
	uint64_t n = p->n > 0 ? p->n : LITTLE;

	must(o != NULL);
	o->part = p;
	printf("random: %ju rounds, seed %ju\n", n, p->seed);
	fflush(stdout);
	trails_init(&o->trails, p->bed);
	for (o->number = 0; o->number < n; o->number++)
		run_round(o);
	trails_fini(&o->trails);
	free(o);
}
