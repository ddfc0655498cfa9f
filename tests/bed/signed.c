/* tests/bed/signed.c: really signed messages with odd bodies, by every path, still verify at the last host.
 *
 * A gateway that wraps a line, adds or drops a blank one, touches a header or converts content breaks them.  RSA and
 * Ed25519, simple and relaxed for header and body, DATA and BDAT; a message is a function of seed and number. */
#include "tests/bed/dkim.h"
#include "tests/bed/part.h"
#include "tests/kit/letters.h"

#include "base/must.h"

#include <stdio.h>

enum { LITTLE = 300, TEXT_MAX = 4 << 20, WAIT_MS = 20000, TAMPERED_EVERY = 25 };

static const struct path {
	enum bed_door door;
	const char *rcpt;
	bool at_mx; /* enters where the MX points: the cloud's door in M2 and M3 */
} paths[] = {
	{ DOOR_NET_ONPREM, "ann@contoso.com", true },                                              /* P01 */
	{ DOOR_NET_ONPREM, "max@contoso.com", true },                                              /* P02 */
	{ DOOR_ONPREM, "ann@contoso.com", false },                                                 /* P05 */
	{ DOOR_ONPREM, "max@contoso.com", false },                                                 /* P06 */
	{ DOOR_ONPREM, "guest@outside.example", false }, { DOOR_CLOUD, "max@contoso.com", false }, /* P08 */
	{ DOOR_CLOUD, "ann@contoso.com", false },                                                  /* P09 */
	{ DOOR_CLOUD, "guest@outside.example", false },
};

/* ---- bodies ---- */

static void put_long_lines(struct buf *b, uint64_t *r)
{
	for (uint64_t n = 1 + letter_draw(r, 5); n > 0; n--) {
		for (uint64_t k = 900 + letter_draw(r, 99); k > 0; k--)
			buf_addc(b, (char)('!' + letter_draw(r, 94)));
		buf_add(b, S("\r\n"));
	}
}

static void put_8bit(struct buf *b, uint64_t *r)
{
	for (uint64_t n = 1 + letter_draw(r, 200); n > 0; n--)
		if (letter_draw(r, 30) == 0)
			buf_add(b, S("\r\n"));
		else
			buf_addc(b, (char)(128 + letter_draw(r, 128)));
	buf_add(b, S("\r\n"));
}

static void put_dots(struct buf *b, uint64_t *r)
{
	static const char *const lines[] = { ".", "..", ".a", "...", "", " .", "a." };

	for (uint64_t n = 1 + letter_draw(r, 30); n > 0; n--)
		buf_addf(b, "%s\r\n", lines[letter_draw(r, 7)]);
}

static void put_blanks(struct buf *b, uint64_t *r)
{
	static const char *const ends[] = { "", " ", "\t", " \t ", "  x  y " };

	for (uint64_t n = letter_draw(r, 12); n > 0; n--)
		buf_addf(b, "some  words\t here%s\r\n", ends[letter_draw(r, 5)]);
	for (uint64_t n = letter_draw(r, 8); n > 0; n--)
		buf_add(b, S("\r\n"));
}

static void put_mailbox_lines(struct buf *b, uint64_t *r)
{
	buf_addf(b, "From me\r\n>From you\r\n--=_%ju\r\nReceived: in the body\r\nBcc: x\r\n--=_\r\n",
		 letter_draw(r, 9));
}

static void put_big(struct buf *b, uint64_t *r)
{
	for (uint64_t n = 1500 + letter_draw(r, 3000); n > 0; n--)
		buf_addf(b, "%016jx %016jx %016jx\r\n", letter_draw(r, UINT64_MAX), letter_draw(r, UINT64_MAX),
			 letter_draw(r, UINT64_MAX));
}

static void put_nothing(struct buf *b, uint64_t *r)
{
	(void)b;
	(void)r;
}

static void (*const bodies[])(struct buf *, uint64_t *) = { put_long_lines,    put_8bit, put_dots,   put_blanks,
							    put_mailbox_lines, put_big,  put_nothing };

/* ---- one message ---- */

struct signing {
	struct part *part;
	struct buf plain, message;
	uint64_t number, posted;
};

/* Headers in odd but lawful shapes: relaxed canonicalisation folds them, simple does not. */
static void put_header(const struct signing *g, struct buf *b, uint64_t *r)
{
	buf_addf(b, "X-Bed: d%ju.\r\n", g->number);
	buf_addf(b, letter_draw(r, 2) == 0 ? "From: <signer@bed.example>\r\n"
					   : "From:\r\n\t\"S. Igner\"\r\n <signer@bed.example>\r\n");
	buf_add(b, letter_draw(r, 2) == 0 ? S("to:   <list@bed.example> ,\r\n  <b@bed.example>\r\n")
					  : S("To: <a@b.example>\r\n"));
	buf_addf(b, "Date: Sat, 21 Nov 2026 10:00:00 +0000\r\nMessage-ID: <%ju@bed.example>\r\n", g->number);
	buf_add(b, letter_draw(r, 3) == 0 ? S("SUBJECT:\t  blanks \t inside  \r\n") : S("Subject: signed\r\n"));
	buf_add(b,
		S("MIME-Version: 1.0\r\nContent-Type: text/plain; charset=utf-8\r\nContent-Transfer-Encoding: 8bit\r\n"));
}

/* True when its body has no final line end: only BDAT can carry that. */
static bool compose(struct signing *g, uint64_t *r)
{
	size_t kind = (size_t)letter_draw(r, sizeof bodies / sizeof *bodies);
	bool open = letter_draw(r, 6) == 0;

	buf_reset(&g->plain);
	put_header(g, &g->plain, r);
	buf_add(&g->plain, S("\r\n"));
	bodies[kind](&g->plain, r);
	if (open)
		buf_add(&g->plain, S("the end without an end"));
	must(!g->plain.full);
	return open;
}

static void post_signed(struct signing *g, const struct path *path, const char *mode)
{
	uint64_t r = g->part->seed + g->number * 0x2545f4914f6cdd1dU;
	bool open = compose(g, &r);
	const struct dkim_way way = { .ed25519 = letter_draw(&r, 2),
				      .relaxed_header = letter_draw(&r, 2),
				      .relaxed_body = letter_draw(&r, 2) };
	const struct str rcpts[] = { str_c(path->rcpt) };
	bool cloud_door = path->at_mx && (mode[1] == '2' || mode[1] == '3');
	struct answers answers;
	char why[160];

	buf_reset(&g->message);
	if (!part_check(g->part, dkim_make(buf_str(&g->plain), &way, &g->message, why),
			"message %ju cannot be signed: %s", g->number, why))
		return;
	buf_add(&g->message, buf_str(&g->plain));
	if (!part_check(g->part, dkim_holds(buf_str(&g->message), why),
			"message %ju does not verify before it is sent: %s %d %d", g->number, why, way.relaxed_header,
			way.ed25519))
		return;
	const struct post post = { .door = cloud_door ? DOOR_NET_CLOUD : path->door,
				   .message = { .from = S("signer@bed.example"),
						.rcpts = rcpts,
						.rcpt_n = 1,
						.kind = ENV_BODY_8BITMIME,
						.chunk = open || letter_draw(&r, 3) == 0
								 ? 1 + g->message.n / 50 +
									   (size_t)letter_draw(&r, g->message.n)
								 : 0,
						.head = buf_str(&g->message) } };
	bed_post(g->part->bed, &post, &answers);
	g->posted += part_check(g->part, answers.accepted, "message %ju in %s was not taken: %s %s %s", g->number, mode,
				answers.mail.text, answers.message.text, answers.why);
}

/* ---- what came ---- */

static bool all_came(void *arg)
{
	const struct signing *g = arg;

	return g->part->bed->arrival_n >= g->posted;
}

static void verify(struct signing *g, const struct arrival *a, size_t i)
{
	char why[160];

	if (!part_check(g->part, dkim_holds(a->content, why), "a signature is broken at place %d: %s\n" STR_FMT,
			a->where, why, STR_ARG(str_head(a->content, 1500))))
		return;
	if (i % TAMPERED_EVERY != 0)
		return;
	/* would we see it? */
	buf_reset(&g->message);
	buf_add(&g->message, a->content);
	ssize_t at = str_find(buf_str(&g->message), S("@bed.example>"));
	must(at > 0);
	g->message.p[at - 1] ^= 1;
	part_check(g->part, !dkim_holds(buf_str(&g->message), why), "a changed message verifies");
}

void part_dkim(struct part *p)
{
	static const char *const modes[] = { "M1", "M2", "M3", "M4" };
	struct signing g = { .part = p };
	uint64_t n = p->n > 0 ? p->n : LITTLE;

	dkim_open(p->bed->dir);
	buf_init(&g.plain, TEXT_MAX);
	buf_init(&g.message, TEXT_MAX);
	bed_configure(p->bed, &(const struct bed_variant){ 0 });
	for (size_t m = 0; m < 4; m++) {
		bed_mode(p->bed, modes[m]);
		g.posted = 0;
		for (; g.number < n * (m + 1) / 4; g.number++)
			post_signed(&g, &paths[g.number % (sizeof paths / sizeof *paths)], modes[m]);
		part_check(p, bed_until(p->bed, WAIT_MS, all_came, &g), "%zu of %ju messages came in %s",
			   p->bed->arrival_n, g.posted, modes[m]);
		for (size_t i = 0; i < p->bed->arrival_n; i++)
			verify(&g, &p->bed->arrivals[i], i);
		bed_forget_arrivals(p->bed);
	}
	printf("dkim: %ju signed messages, seed %ju\n", n, p->seed);
	buf_fini(&g.plain);
	buf_fini(&g.message);
	dkim_shut();
}
