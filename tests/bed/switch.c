/* tests/bed/switch.c: the mode changes under load: M1 -> M2 -> M3 -> M4 -> M1, and no message is lost, doubled or
 * refused.
 *
 *   senders in a closed loop at every door --> both gateways --> hosts count recipients by the number of the message
 *
 * Central transport is switched on at on-prem first and off at the cloud first, and the other gateway follows when what
 * was under way has arrived: on-prem must take what the cloud sends it.  Afterwards every trail is followed: each must
 * be the one of one mode, or of two neighbours when the message was under way while they changed; what the trails say
 * is compared with what the hosts counted. */
#include "tests/bed/part.h"
#include "tests/bed/trail.h"
#include "tests/bed/walk.h"
#include "tests/kit/letters.h"

#include "base/must.h"
#include "base/op.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

enum {
	SENDERS = 64,
	MESSAGES_MAX = 2000000,
	PEOPLE = 3,      /* ann on-prem, max in the cloud, a guest outside */
	LITTLE_MS = 400, /* a mode; with -n as many seconds */
	DRAIN_MS = 60000,
	LINGER_MS = 500, /* after the last copy: time for one too many */
	SETTLE_MS = 15000,
};

static const struct str people[PEOPLE] = { STR_LIT("ann@contoso.com"), STR_LIT("max@contoso.com"),
					   STR_LIT("guest@outside.example") };

struct fate {
	unsigned char wanted, got, sent_mode; /* bits of people; mode in force when it was begun */
	unsigned char start, in_cloud;
	bool accepted, doubled, misplaced;
};

struct sender {
	struct caller caller;
	struct caller_options options;
	struct load *load;
	enum walk_start start;
	bool in_cloud;
	uint64_t number;
	char from[60], head[400];
	struct str rcpts[PEOPLE];
	bool open;
};

struct load {
	struct part *part;
	struct sender senders[SENDERS];
	struct fate *fates;
	uint64_t begun, accepted, refused, wanted, got, doubled, reports, broken, r;
	unsigned mode; /* 1 to 4 */
	bool stop;
	char why[200];
	double seconds;
};

/* ---- what arrives ---- */

static bool number_of(struct str content, uint64_t *number)
{
	static const struct str mark = STR_LIT("X-Bed: ");
	struct str line, rest;
	ssize_t at = str_find(str_head(content, 4000), mark);

	if (at < 0)
		return false;
	str_cut(str_skip(content, (size_t)at + mark.n), '\r', &line, &rest);
	return str_u64(line, MESSAGES_MAX - 1, number);
}

static void on_arrival(struct bed *b, const struct arrival *a)
{
	static const enum bed_place homes[PEOPLE] = { HOST_ONPREM, HOST_CLOUD, HOST_NET };
	struct load *l = b->arg;
	uint64_t number;
	struct str rest = a->rcpts, one;

	if (a->from.n == 0 || !number_of(a->content, &number)) {
		l->reports++;
		return;
	}
	struct fate *f = &l->fates[number];
	while (rest.n > 0) {
		str_cut(rest, '\n', &one, &rest);
		for (unsigned i = 0; i < PEOPLE; i++)
			if (str_ieq(one, people[i])) {
				f->doubled |= f->got >> i & 1;
				f->misplaced |= a->where != homes[i] || !(f->wanted >> i & 1);
				l->doubled += f->got >> i & 1;
				l->got += !(f->got >> i & 1);
				f->got |= (unsigned char)(1U << i);
			}
	}
}

/* ---- what is sent ---- */

static void send_next(struct sender *s)
{
	struct load *l = s->load;
	struct fate *f = &l->fates[l->begun];
	unsigned most = s->start == FROM_INTERNET ? 2 : 3; /* strangers do not relay */
	size_t n = 0;

	s->number = l->begun++;
	f->wanted = (unsigned char)(1 + letter_draw(&l->r, (1U << most) - 1));
	f->sent_mode = (unsigned char)l->mode;
	f->start = (unsigned char)s->start;
	f->in_cloud = s->in_cloud;
	for (unsigned i = 0; i < PEOPLE; i++)
		if (f->wanted >> i & 1)
			s->rcpts[n++] = people[i];
	snprintf(s->from, sizeof s->from, s->start == FROM_INTERNET ? "s%ju@outside.example" : "ann+s%ju@contoso.com",
		 s->number);
	snprintf(s->head, sizeof s->head,
		 "X-Bed: %ju\r\nFrom: <%s>\r\nMessage-ID: <%ju@bed.example>\r\nSubject: under load\r\n\r\n%0200d\r\n",
		 s->number, s->from, s->number, 0);
	const struct caller_message m = {
		.from = str_c(s->from), .rcpts = s->rcpts, .rcpt_n = n, .head = str_c(s->head)
	};
	caller_send(&s->caller, &m);
}

static void on_ready(struct caller *c)
{
	struct sender *s = container_of(c, struct sender, caller);

	if (s->load->stop || s->load->begun == MESSAGES_MAX)
		caller_quit(c);
	else
		send_next(s);
}

static void on_reply(struct caller *c, enum verb what, size_t at, const struct reply *r)
{
	struct sender *s = container_of(c, struct sender, caller);
	struct load *l = s->load;

	(void)at;
	if (!reply_is_ok(r)) {
		if (l->refused++ == 0)
			snprintf(l->why, sizeof l->why, "%d " STR_FMT, r->code, STR_ARG(str_head(r->text, 150)));
		return;
	}
	if (what != VERB_UNKNOWN)
		return;
	l->fates[s->number].accepted = true;
	l->accepted++;
	for (unsigned i = 0; i < PEOPLE; i++)
		l->wanted += l->fates[s->number].wanted >> i & 1;
}

static void on_closed(struct caller *c, const char *why)
{
	struct sender *s = container_of(c, struct sender, caller);

	s->open = false;
	if (why == NULL)
		return;
	s->load->broken++;
	snprintf(s->load->why, sizeof s->load->why, "%s", why);
}

static void start_senders(struct load *l)
{
	static const struct caller_events events = { .ready = on_ready, .reply = on_reply, .closed = on_closed };
	static const struct {
		enum bed_door door;
		enum walk_start start;
		bool cloud;
	} kinds[] = { { DOOR_NET_ONPREM, FROM_INTERNET, false },
		      { DOOR_NET_CLOUD, FROM_INTERNET, true },
		      { DOOR_ONPREM, FROM_ONPREM, false },
		      { DOOR_CLOUD, FROM_CLOUD, true } };

	for (size_t i = 0; i < SENDERS; i++) {
		struct sender *s = &l->senders[i];
		*s = (struct sender){ .load = l,
				      .start = kinds[i % 4].start,
				      .in_cloud = kinds[i % 4].cloud,
				      .options = bed_door_options(l->part->bed, kinds[i % 4].door),
				      .open = true };
		caller_start(&s->caller, l->part->bed->loop, &s->options, &events);
	}
}

static bool senders_are_done(void *arg)
{
	const struct load *l = arg;

	for (size_t i = 0; i < SENDERS; i++)
		if (l->senders[i].open)
			return false;
	return true;
}

static bool all_came(void *arg)
{
	const struct load *l = arg;

	return l->got >= l->wanted;
}

/* ---- the switches ---- */

struct waiting {
	struct load *load;
	uint64_t at, before; /* all before `at` have arrived; wanted: all before `before` */
};

static bool have_arrived(void *arg)
{
	struct waiting *w = arg;
	const struct fate *fates = w->load->fates;

	while (w->at < w->before && fates[w->at].accepted && fates[w->at].got == fates[w->at].wanted)
		w->at++;
	return w->at == w->before;
}

static void change(struct load *l, unsigned to)
{
	const bool was_central = l->mode >= 3, central = to >= 3;
	char mode[] = { 'M', (char)('0' + to), '\0' };
	enum bed_gate first = was_central && !central ? GATE_CLOUD : GATE_ONPREM;

	bed_mode_at(l->part->bed, first, mode);
	if (was_central != central) { /* what the first one decided before is under way to the second */
		struct waiting w = { .load = l, .before = l->begun };
		bed_until(l->part->bed, DRAIN_MS, have_arrived, &w);
	}
	bed_mode_at(l->part->bed, first == GATE_CLOUD ? GATE_ONPREM : GATE_CLOUD, mode);
	l->mode = to;
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void run_load(struct load *l, int64_t mode_ms)
{
	static const unsigned order[] = { 2, 3, 4, 1 };
	double began = now_s();

	start_senders(l);
	bed_pause(l->part->bed, mode_ms);
	for (size_t i = 0; i < sizeof order / sizeof *order; i++) {
		change(l, order[i]);
		bed_pause(l->part->bed, mode_ms);
	}
	l->stop = true;
	bed_until(l->part->bed, DRAIN_MS, senders_are_done, l);
	l->seconds = now_s() - began;
	bed_until(l->part->bed, DRAIN_MS, all_came, l);
	bed_pause(l->part->bed, LINGER_MS);
}

/* ---- the trails ---- */

static void put_model(const struct fate *f, unsigned person, unsigned mode, struct buf *out)
{
	static const enum walk_place places[PEOPLE] = { ON_PREM, IN_CLOUD, OUTSIDE };
	const struct walk_scenario s = { .start = (enum walk_start)f->start,
					 .place = places[person],
					 .entry = f->in_cloud ? AT_CLOUD : AT_ONPREM };
	const struct mode m = walk_mode((char)('0' + mode));
	struct buf result;
	struct str head, tail;

	buf_init(&result, 100);
	buf_reset(out);
	walk(&s, &m, out, &result);
	buf_fini(&result);
	str_cut(buf_str(out), ' ', &head, &tail); /* without who began */
	buf_drop(out, head.n + 1);
	if (str_ends(buf_str(out), S(" Internet")))
		out->n -= sizeof " Internet" - 1;
}

/* The mark of stragglers says when a message came in, not where it goes. */
static void put_plain(const struct trail *t, struct buf *out)
{
	static struct trail plain;

	plain = *t;
	for (size_t i = 0; i < plain.n; i++)
		plain.hops[i].straggler = false;
	buf_reset(out);
	trail_put(&plain, 0, out);
}

static void drop_marks(struct buf *b)
{
	static const struct str mark = STR_LIT("+straggler");

	for (ssize_t at; (at = str_find(buf_str(b), mark)) >= 0;) {
		memmove(b->p + at, b->p + (size_t)at + mark.n, b->n - (size_t)at - mark.n);
		b->n -= mark.n;
	}
}

struct tally {
	uint64_t one_mode, across, wrong;
};

static void judge_trail(struct load *l, struct trails *trails, uint64_t number, unsigned person, struct tally *sum)
{
	static struct trail t;
	const struct fate *f = &l->fates[number];
	char from[60];
	struct buf real, model;
	bool one = false;

	snprintf(from, sizeof from, f->start == FROM_INTERNET ? "s%ju@outside.example" : "ann+s%ju@contoso.com",
		 number);
	trail_follow(trails, f->in_cloud ? GATE_CLOUD : GATE_ONPREM, str_c(from), people[person], "", &t);
	buf_init(&real, 4096);
	buf_init(&model, 4096);
	put_plain(&t, &real);
	for (unsigned mode = 1; mode <= 4 && !one; mode++) {
		/* the mode it was begun under, or the next: nothing waits longer than one mode holds */
		if (mode != f->sent_mode && mode != f->sent_mode % 4U + 1U)
			continue;
		put_model(f, person, mode, &model);
		drop_marks(&model);
		one = str_eq(buf_str(&real), buf_str(&model));
	}
	bool ended = trail_has_ended(&t) && t.hops[t.n - 1].sent;
	sum->one_mode += one;
	sum->across += !one && ended;
	sum->wrong += !one && !ended;
	if (!one && !ended && sum->wrong < 5)
		printf("message %ju for " STR_FMT ": %s\n", number, STR_ARG(people[person]), buf_cstr(&real));
	buf_fini(&real);
	buf_fini(&model);
}

static void judge_trails(struct load *l, struct trails *trails)
{
	struct tally sum = { 0 };

	trails_read(trails);
	for (uint64_t i = 0; i < l->begun; i++)
		for (unsigned k = 0; k < PEOPLE; k++)
			if (l->fates[i].accepted && l->fates[i].wanted >> k & 1)
				judge_trail(l, trails, i, k, &sum);
	printf("switch: %ju trails of one mode, %ju that crossed a switch, %ju broken\n", sum.one_mode, sum.across,
	       sum.wrong);
	part_check(l->part, sum.wrong == 0, "%ju trails do not end well", sum.wrong);
	part_check(l->part, sum.one_mode + sum.across == l->wanted, "%ju trails for %ju recipients",
		   sum.one_mode + sum.across, l->wanted);
	part_check(l->part, sum.across * 20 <= l->wanted, "%ju of %ju trails belong to no single mode", sum.across,
		   l->wanted);
}

void part_switch(struct part *p)
{
	struct load *l = calloc(1, sizeof *l);
	struct trails trails;
	uint64_t lost = 0, misplaced = 0;

	must(l != NULL);
	*l = (struct load){ .part = p, .mode = 1, .r = p->seed };
	l->fates = calloc(MESSAGES_MAX, sizeof *l->fates);
	must(l->fates != NULL);
	trails_init(&trails, p->bed);
	bed_configure(p->bed, &(const struct bed_variant){ 0 });
	bed_mode(p->bed, "M1");
	bed_settle(p->bed, SETTLE_MS); /* reports of the parts before are not ours */
	trails_read(&trails);
	trails_mark(&trails);
	p->bed->on_arrival = on_arrival;
	p->bed->arg = l;
	run_load(l, p->n > 0 ? (int64_t)p->n * 1000 : LITTLE_MS);
	p->bed->on_arrival = NULL;
	for (uint64_t i = 0; i < l->begun; i++) {
		lost += l->fates[i].accepted && l->fates[i].got != l->fates[i].wanted;
		misplaced += l->fates[i].misplaced;
	}
	printf("switch: %ju messages for %ju recipients in %.1f s, %.0f messages a second, four switches\n",
	       l->accepted, l->wanted, l->seconds, (double)l->accepted / l->seconds);
	part_check(p, lost == 0, "%ju messages are lost or incomplete", lost);
	part_check(p, l->doubled == 0, "%ju recipients were served twice", l->doubled);
	part_check(p, misplaced == 0, "%ju messages came to the wrong place", misplaced);
	part_check(p, l->refused == 0 && l->reports == 0 && l->broken == 0,
		   "%ju answers that refuse, %ju reports, %ju broken connections: %s", l->refused, l->reports,
		   l->broken, l->why);
	part_check(p, bed_queue_is_empty(p->bed, GATE_ONPREM) && bed_queue_is_empty(p->bed, GATE_CLOUD),
		   "a queue is not empty");
	judge_trails(l, &trails);
	trails_fini(&trails);
	free(l->fates);
	free(l);
}
