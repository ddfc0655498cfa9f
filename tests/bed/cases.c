/* tests/bed/cases.c: the paths of spec 1.3 that are no row of paths.csv (several recipients, null sender, devices,
 * partners), and who must not get through (hardening 4.5): one table, one message a line.
 *
 * What a gateway made of a recipient (members of a group, the copy a mailbox forwards) begins at that gateway.  P15 is
 * tests/bed/journal.c. */
#include "tests/bed/part.h"
#include "tests/bed/trail.h"

#include "base/must.h"

#include <stdio.h>
#include <string.h>

enum { WAIT_MS = 10000, LINGER_MS = 200 }; /* where copies are made: time for one too many */

static const struct bed_variant as_usual;
/* a cloud that neither knows us nor keeps our token: what is left is the limit of hops */
static const struct bed_variant token_lost = { .wire = true, .stranger = true, .drops_token = true };

/* a cloud that keeps what it does not know, as most do */
static const struct bed_variant token_kept = { .wire = true, .keeps_token = true };

struct expected {
	const char *rcpt, *trail;
};

#define TEAM \
	{ \
		{ GATE_ONPREM, "ann@contoso.com", "onprem[R30 deliver]" }, \
			{ GATE_ONPREM, "max@contoso.com", "onprem[R40 ->peer] cloud[R30 deliver]" }, \
		{ \
			GATE_ONPREM, "guest@outside.example", "onprem[R55 ->direct]" \
		} \
	}

static const struct tcase {
	const char *id, *modes; /* it runs in each of them, as "id.mode" */
	enum bed_door door;
	const char *from; /* NULL: <>; "#" stands for the id and mode */
	const char *claim;
	struct expected rcpts[3];
	struct made {
		enum bed_gate gate;
		const char *rcpt, *trail;
	} made[3];
	const char *message; /* the answer to the content, when it is refused: its beginning */
	unsigned copies[HOST_NET + 1];
	int transactions[GATES]; /* taken there; -1: not looked at */
	const struct bed_variant *variant;
	const char *says; /* in the first answer that refuses */
} cases[] = {
	/* P03: one message, both sides; with central transport one copy to on-prem for all */
	{ "P03",
	  "M1",
	  DOOR_NET_ONPREM,
	  "#@outside.example",
	  NULL,
	  { { "ann@contoso.com", "onprem[R30 deliver]" },
	    { "max@contoso.com", "onprem[R40 ->peer] cloud[R30 deliver]" },
	    { "nobody@contoso.com", "onprem[R10 550 5.1.10]" } },
	  .copies = { 1, 1, 0 },
	  .transactions = { 1, 1 } },
	{ "P03",
	  "M2",
	  DOOR_NET_CLOUD,
	  "#@outside.example",
	  NULL,
	  { { "ann@contoso.com", "cloud[R40 ->peer] onprem[R30 deliver]" },
	    { "max@contoso.com", "cloud[R30 deliver]" },
	    { "nobody@contoso.com", "cloud[R10 550 5.4.1]" } },
	  .copies = { 1, 1, 0 },
	  .transactions = { 1, 1 } },
	{ "P03",
	  "M3",
	  DOOR_NET_CLOUD,
	  "#@outside.example",
	  NULL,
	  { { "ann@contoso.com", "cloud[R20 ->peer] onprem[R30 deliver]" },
	    { "max@contoso.com", "cloud[R20 ->peer] onprem[R42 ->peer] cloud[R30 deliver]" },
	    { "mia@contoso.com", "cloud[R20 ->peer] onprem[R42 ->peer] cloud[R30 deliver]" } },
	  .copies = { 1, 1, 0 },
	  .transactions = { 1, 2 } },
	{ "P03",
	  "M4",
	  DOOR_NET_ONPREM,
	  "#@outside.example",
	  NULL,
	  { { "ann@contoso.com", "onprem[R30 deliver]" },
	    { "art@contoso.com", "onprem[R30 deliver]" },
	    { "max@contoso.com", "onprem[R40 ->peer] cloud[R30 deliver]" } },
	  .copies = { 1, 1, 0 },
	  .transactions = { 1, 1 } },

	/* strangers' mail to a cloud mailbox that forwards outside is the cloud's own when it leaves (R53, not R52) */
	{ "P11in",
	  "M1",
	  DOOR_NET_ONPREM,
	  "#@outside.example",
	  NULL,
	  { { "fay@contoso.com", "onprem[R40 ->peer] cloud[R30 deliver]" } },
	  { { GATE_CLOUD, "fay@outside.example", "cloud[R57 ->direct]" } },
	  .copies = { 0, 1, 1 },
	  .transactions = { 1, 1 } },
	{ "P11in",
	  "M3",
	  DOOR_NET_CLOUD,
	  "#@outside.example",
	  NULL,
	  { { "fay@contoso.com", "cloud[R20 ->peer] onprem[R42 ->peer] cloud[R30 deliver]" } },
	  { { GATE_CLOUD, "fay@outside.example", "cloud[R56 ->peer] onprem[R53 ->direct]" } },
	  .copies = { 0, 1, 1 },
	  .transactions = { 2, 2 } },
	{ "P11in",
	  "M4",
	  DOOR_NET_ONPREM,
	  "#@outside.example",
	  NULL,
	  { { "fay@contoso.com", "onprem[R40 ->peer] cloud[R30 deliver]" } },
	  { { GATE_CLOUD, "fay@outside.example", "cloud[R56 ->peer] onprem[R53 ->direct]" } },
	  .copies = { 0, 1, 1 },
	  .transactions = { 2, 1 } },

	/* P12: a group at home on-prem, with members on both sides and outside; what the cloud gets back of its own
	 * message is a new set of recipients and no loop */
	{ "P12",
	  "M1",
	  DOOR_NET_ONPREM,
	  "#@outside.example",
	  NULL,
	  { { "team@contoso.com", "onprem[R31 expand]" } },
	  TEAM,
	  .copies = { 1, 1, 1 },
	  .transactions = { 1, 1 } },
	{ "P12",
	  "M2",
	  DOOR_NET_CLOUD,
	  "#@outside.example",
	  NULL,
	  { { "team@contoso.com", "cloud[R40 ->peer] onprem[R31 expand]" } },
	  TEAM,
	  .copies = { 1, 1, 1 },
	  .transactions = { 1, 2 } },
	{ "P12",
	  "M3",
	  DOOR_NET_CLOUD,
	  "#@outside.example",
	  NULL,
	  { { "team@contoso.com", "cloud[R20 ->peer] onprem[R31 expand]" } },
	  TEAM,
	  .copies = { 1, 1, 1 },
	  .transactions = { 1, 2 } },
	{ "P12",
	  "M4",
	  DOOR_NET_ONPREM,
	  "#@outside.example",
	  NULL,
	  { { "team@contoso.com", "onprem[R31 expand]" } },
	  TEAM,
	  .copies = { 1, 1, 1 },
	  .transactions = { 1, 1 } },
	/* ... that has a group of the cloud as a member, which has it as a member: it stops when it comes back, for our
	 * token names the cloud's group; the members here were named in no token */
	{ "P12ring",
	  "M1",
	  DOOR_NET_ONPREM,
	  "#@outside.example",
	  NULL,
	  { { "ring@contoso.com", "onprem[R31 expand]" } },
	  { { GATE_ONPREM, "ann@contoso.com", "onprem[R30 deliver]" },
	    { GATE_ONPREM, "gnir@contoso.com", "onprem[R40 ->peer] cloud[R31 expand]" },
	    { GATE_CLOUD, "max@contoso.com", "cloud[R30 deliver]" } },
	  .copies = { 2, 1, 0 },
	  .transactions = { 2, 1 },
	  .variant = &token_kept },

	/* P13: a report or an out-of-office notice: the null sender stays null, and the claim is not the sender's */
	{ "P13",
	  "M1",
	  DOOR_CLOUD,
	  NULL,
	  NULL,
	  { { "p13.m1@outside.example", "cloud[R57 ->direct]" } },
	  .copies = { 0, 0, 1 },
	  .transactions = { 0, 1 } },
	{ "P13",
	  "M2",
	  DOOR_CLOUD,
	  NULL,
	  NULL,
	  { { "p13.m2@outside.example", "cloud[R57 ->direct]" } },
	  .copies = { 0, 0, 1 },
	  .transactions = { 0, 1 } },
	{ "P13",
	  "M3",
	  DOOR_CLOUD,
	  NULL,
	  NULL,
	  { { "p13.m3@outside.example", "cloud[R58 ->peer] onprem[R53 ->direct]" } },
	  .copies = { 0, 0, 1 },
	  .transactions = { 1, 1 } },
	{ "P13",
	  "M4",
	  DOOR_CLOUD,
	  NULL,
	  NULL,
	  { { "p13.m4@outside.example", "cloud[R58 ->peer] onprem[R53 ->direct]" } },
	  .copies = { 0, 0, 1 },
	  .transactions = { 1, 1 } },

	/* P14: a device of the office */
	{ "P14",
	  "M1 M2 M3 M4",
	  DOOR_APP,
	  "scan+#@contoso.com",
	  NULL,
	  { { "ann@contoso.com", "onprem[R30 deliver]" },
	    { "max@contoso.com", "onprem[R40 ->peer] cloud[R30 deliver]" },
	    { "guest@outside.example", "onprem[R55 ->direct]" } },
	  .copies = { 1, 1, 1 },
	  .transactions = { 1, 1 } },

	/* P16: a partner has a connector of its own, and its domain is only believed with its certificate */
	{ "P16out",
	  "M1 M2 M3 M4",
	  DOOR_ONPREM,
	  "ann+#@contoso.com",
	  NULL,
	  { { "boss@wrong.example", "onprem[R55 ->direct]" } },
	  .copies = { 0, 0, 1 },
	  .transactions = { 1, 0 } },
	{ "P16in",
	  "M1 M2 M3 M4",
	  DOOR_PARTNER,
	  "#@wrong.example",
	  NULL,
	  { { "ann@contoso.com", "onprem[R30 deliver]" } },
	  .copies = { 1, 0, 0 },
	  .transactions = { 1, 0 } },
	{ "P16relay",
	  "M1 M2 M3 M4",
	  DOOR_PARTNER,
	  "#@wrong.example",
	  NULL,
	  { { "guest@outside.example", "onprem[R50 550 5.7.54]" } },
	  .says = "R50" },
	{ "P16forged",
	  "M1 M2 M3 M4",
	  DOOR_NET_ONPREM,
	  "#@wrong.example",
	  NULL,
	  { { "ann@contoso.com", "" } },
	  .message = "550 5.7.51" },

	/* HY-1: another tenant of the cloud shows the same certificate.  Its claim, or none, does not relay; what it
	 * sends to our mailboxes is a stranger's */
	{ "HY1",
	  "M3",
	  DOOR_PEER,
	  "ceo+#@contoso.com",
	  "evil.example",
	  { { "guest@outside.example", "onprem[R52 550 5.7.64]" } },
	  .says = "ORG-UNVERIFIED R52" },
	{ "HY1",
	  "M4",
	  DOOR_PEER,
	  "ceo+#@contoso.com",
	  "contoso.com.evil.example",
	  { { "guest@outside.example", "onprem[R52 550 5.7.64]" } },
	  .says = "ORG-UNVERIFIED R52" },
	{ "HY1none",
	  "M3",
	  DOOR_PEER,
	  "ceo+#@contoso.com",
	  NULL,
	  { { "guest@outside.example", "" } },
	  .message = "550 5.7.64",
	  .says = "ORG-UNVERIFIED R52" },
	{ "HY1off",
	  "M1",
	  DOOR_PEER,
	  "ceo+#@contoso.com",
	  "evil.example",
	  { { "guest@outside.example", "onprem[R51 550 5.7.54]" } },
	  .says = "R51" },
	{ "HY1in",
	  "M3",
	  DOOR_PEER,
	  "ceo+#@contoso.com",
	  "evil.example",
	  { { "ann@contoso.com", "onprem[R30 deliver]" } },
	  .copies = { 1, 0, 0 },
	  .transactions = { 1, 0 } },
	/* ... and is not carried on as internal */
	{ "HY1on",
	  "M3",
	  DOOR_PEER,
	  "ceo+#@contoso.com",
	  "evil.example",
	  { { "max@contoso.com", "onprem[R42 ->peer] cloud[R30 deliver]" } },
	  .copies = { 0, 1, 0 },
	  .transactions = { 1, 1 } },
	/* our own tenant by the same connection */
	{ "HY1ours",
	  "M3",
	  DOOR_PEER,
	  "ceo+#@contoso.com",
	  "contoso.com",
	  { { "guest@outside.example", "onprem[R53 ->direct]" } },
	  .copies = { 0, 0, 1 },
	  .transactions = { 1, 0 } },

	/* HY-4: the token makes it one round trip (F01); taken away by the other side, the older means are left */
	{ "HY4hops",
	  "M3",
	  DOOR_ONPREM,
	  "ann+#@contoso.com",
	  NULL,
	  { { "max@contoso.com",
	      "onprem[R40 ->peer] cloud[R20 ->peer] onprem[R42 ->peer] cloud[R20 ->peer] onprem[R42 ->peer] "
	      "cloud[R20 ->peer] onprem[R42 ->peer] cloud[R20 ->peer] onprem[R42 ->peer] cloud[R20 ->peer] "
	      "onprem[R42 ->peer] cloud[R20 ->peer] onprem[R01 554 5.4.6]" } },
	  .copies = { 0, 0, 0 },
	  .transactions = { 6, 6 },
	  .variant = &token_lost },
	{ "HY4table",
	  "M2",
	  DOOR_ONPREM,
	  "ann+#@contoso.com",
	  NULL,
	  { { "stray@contoso.com", "onprem[R40 ->peer] cloud[R45 554 5.4.14]" } },
	  .transactions = { 1, 0 },
	  .variant = &(const struct bed_variant){ .wire = true, .drops_token = true } },
};

struct run {
	struct part *part;
	const struct tcase *c;
	struct trails trails;
	struct answers answers;
	char id[40]; /* the case and the mode it runs in */
	char from[120];
};

static void put_from(struct run *r)
{
	struct str head, tail;

	r->from[0] = '\0';
	if (r->c->from == NULL)
		return;
	str_cut(str_c(r->c->from), '#', &head, &tail);
	snprintf(r->from, sizeof r->from, STR_FMT "%s" STR_FMT, STR_ARG(head), r->id, STR_ARG(tail));
}

static size_t rcpt_count(const struct tcase *c)
{
	size_t n = 0;

	while (n < sizeof c->rcpts / sizeof *c->rcpts && c->rcpts[n].rcpt != NULL)
		n++;
	return n;
}

static size_t made_count(const struct tcase *c)
{
	size_t n = 0;

	while (n < sizeof c->made / sizeof *c->made && c->made[n].rcpt != NULL)
		n++;
	return n;
}

static void post_case(struct run *r)
{
	const struct tcase *c = r->c;
	struct str rcpts[3];
	struct buf content;

	for (size_t i = 0; i < rcpt_count(c); i++)
		rcpts[i] = str_c(c->rcpts[i].rcpt);
	put_from(r);
	buf_init(&content, 4096);
	buf_addf(&content,
		 "X-Bed: %s\r\nFrom: <%s>\r\nX-MS-Exchange-CrossPremises-AuthAs: Internal\r\n"
		 "X-MS-Exchange-Organization-SCL: -1\r\nMessage-ID: <%s@bed.example>\r\nSubject: %s\r\n\r\nhi\r\n",
		 r->id, r->from, r->id, r->id);
	const struct post post = { .door = c->door,
				   .message = { .from = str_c(r->from),
						.rcpts = rcpts,
						.rcpt_n = rcpt_count(c),
						.xorg = str_c(c->claim),
						.head = buf_str(&content) } };
	bed_post(r->part->bed, &post, &r->answers);
	buf_fini(&content);
}

static void follow(struct run *r, size_t rcpt, struct trail *t)
{
	bool cloud = r->c->door == DOOR_NET_CLOUD || r->c->door == DOOR_CLOUD;
	const char *answer = r->answers.rcpt[rcpt].text;

	trail_follow(&r->trails, cloud ? GATE_CLOUD : GATE_ONPREM, str_c(r->from), str_c(r->c->rcpts[rcpt].rcpt),
		     answer[0] == '2' ? r->answers.message.text : answer, t);
}

static void follow_made(struct run *r, size_t i, struct trail *t)
{
	const struct made *m = &r->c->made[i];

	trail_follow(&r->trails, m->gate, str_c(r->from), str_c(m->rcpt), "", t);
}

static unsigned count_arrivals(const struct run *r, enum bed_place where)
{
	const struct bed *b = r->part->bed;
	char mark[60];
	unsigned n = 0;

	snprintf(mark, sizeof mark, "X-Bed: %s\r\n", r->id);
	for (size_t i = 0; i < b->arrival_n; i++)
		n += b->arrivals[i].where == where && str_eq(b->arrivals[i].from, str_c(r->from)) &&
		     str_find(b->arrivals[i].content, str_c(mark)) >= 0;
	return n;
}

static bool is_complete(void *arg)
{
	static struct trail t;
	struct run *r = arg;

	trails_read(&r->trails);
	for (size_t i = 0; r->c->message == NULL && i < rcpt_count(r->c); i++) {
		follow(r, i, &t);
		if (!trail_has_ended(&t))
			return false;
	}
	for (size_t i = 0; i < made_count(r->c); i++) {
		follow_made(r, i, &t);
		if (!trail_has_ended(&t))
			return false;
	}
	for (enum bed_place at = HOST_ONPREM; at <= HOST_NET; at++)
		if (count_arrivals(r, at) < r->c->copies[at])
			return false;
	for (unsigned g = 0; r->c->from != NULL && g < GATES; g++)
		if ((int)trails_taken(&r->trails, g, str_c(r->from)) < r->c->transactions[g])
			return false;
	return true;
}

/* Nothing that a stranger wrote to look like one of us reached anybody; what our own tenant wrote may cross. */
static void judge_trust(struct run *r)
{
	static const struct str forged[] = { STR_LIT("CrossPremises-AuthAs: Internal"),
					     STR_LIT("Organization-AuthAs: Internal"),
					     STR_LIT("Organization-SCL: -1") };
	const struct bed *b = r->part->bed;
	bool trusted =
		r->c->door == DOOR_ONPREM || r->c->door == DOOR_CLOUD || str_eq(str_c(r->c->claim), S("contoso.com"));

	for (size_t i = 0; !trusted && i < b->arrival_n; i++)
		for (size_t k = 0; k < sizeof forged / sizeof *forged; k++)
			part_check(r->part, str_find(b->arrivals[i].content, forged[k]) < 0,
				   "%s: a forged header arrived: " STR_FMT, r->id, STR_ARG(forged[k]));
}

static const char *first_refusal(const struct run *r)
{
	if (r->answers.mail.text[0] != '2')
		return r->answers.mail.text;
	for (size_t i = 0; i < rcpt_count(r->c); i++)
		if (r->answers.rcpt[i].text[0] != '2')
			return r->answers.rcpt[i].text;
	return r->answers.message.text;
}

static void judge(struct run *r)
{
	static struct trail t;
	const struct tcase *c = r->c;
	struct buf text;

	buf_init(&text, 8192);
	for (size_t i = 0; c->message == NULL && i < rcpt_count(c); i++) {
		buf_reset(&text);
		follow(r, i, &t);
		trail_put(&t, 0, &text);
		part_check(r->part, str_eq(buf_str(&text), str_c(c->rcpts[i].trail)), "%s: %s went\n  %s, not\n  %s",
			   r->id, c->rcpts[i].rcpt, buf_cstr(&text), c->rcpts[i].trail);
	}
	for (size_t i = 0; i < made_count(c); i++) {
		buf_reset(&text);
		follow_made(r, i, &t);
		trail_put(&t, 0, &text);
		part_check(r->part, str_eq(buf_str(&text), str_c(c->made[i].trail)),
			   "%s: what was made for %s went\n  %s, not\n  %s", r->id, c->made[i].rcpt, buf_cstr(&text),
			   c->made[i].trail);
	}
	buf_fini(&text);
	if (c->message != NULL)
		part_check(r->part, str_starts(str_c(first_refusal(r)), str_c(c->message)) && !r->answers.accepted,
			   "%s: answered %s, not %s", r->id, first_refusal(r), c->message);
	if (c->says != NULL)
		part_check(r->part, str_find(str_c(first_refusal(r)), str_c(c->says)) >= 0, "%s: the answer is %s",
			   r->id, first_refusal(r));
	for (enum bed_place at = HOST_ONPREM; at <= HOST_NET; at++)
		part_check(r->part, count_arrivals(r, at) == c->copies[at], "%s: %u copies at place %d, not %u", r->id,
			   count_arrivals(r, at), at, c->copies[at]);
	for (unsigned g = 0; c->from != NULL && g < GATES; g++)
		part_check(r->part, (int)trails_taken(&r->trails, g, str_c(r->from)) == c->transactions[g],
			   "%s: the %s gateway took it %u times, not %d", r->id, g == GATE_CLOUD ? "cloud" : "on-prem",
			   trails_taken(&r->trails, g, str_c(r->from)), c->transactions[g]);
	judge_trust(r);
}

static void run_case(struct run *r, struct str mode)
{
	struct part *p = r->part;

	snprintf(r->id, sizeof r->id, "%s." STR_FMT, r->c->id, STR_ARG(mode));
	bed_configure(p->bed, r->c->variant != NULL ? r->c->variant : &as_usual);
	bed_mode(p->bed, r->id + strlen(r->c->id) + 1);
	trails_read(&r->trails);
	trails_mark(&r->trails);
	post_case(r);
	bool ended = bed_until(p->bed, WAIT_MS, is_complete, r);
	part_check(p, ended, "%s has no end (%s %s %s)", r->id, r->answers.why, r->answers.mail.text,
		   r->answers.message.text);
	if (made_count(r->c) > 0)
		bed_pause(p->bed, LINGER_MS);
	part_await_reports(p);
	trails_read(&r->trails);
	judge(r);
	part_judge_reports(p, str_c(r->id), str_c(r->from), r->answers.accepted);
	bed_forget_arrivals(p->bed);
}

void part_cases(struct part *p)
{
	struct run r = { .part = p };

	trails_init(&r.trails, p->bed);
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct str modes, mode;
		r.c = &cases[i];
		for (modes = str_c(r.c->modes); modes.n > 0;) {
			str_cut(modes, ' ', &mode, &modes);
			run_case(&r, mode);
		}
	}
	trails_fini(&r.trails);
}
