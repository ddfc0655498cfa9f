/* tests/kit/letters.c: what follows from a number.  In letter_plan every draw changes the ones behind it: new
 * properties go to the end, or the meaning of all seeds changes. */
#include "tests/kit/letters.h"

#include "base/must.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { POOL_BYTES = 8 << 20, LINE_ROOM = 1024 };

uint64_t letter_draw(uint64_t *state, uint64_t below)
{
	uint64_t z = *state += 0x9e3779b97f4a7c15U;

	z = (z ^ z >> 30) * 0xbf58476d1ce4e5b9U;
	z = (z ^ z >> 27) * 0x94d049bb133111ebU;
	return (z ^ z >> 31) % below;
}

enum side letter_side(uint32_t person)
{
	static const enum side sides[] = { ONPREM, CLOUD, ONPREM, CLOUD, ONPREM, CLOUD, ONPREM, NOBODY };

	return sides[person % 8];
}

bool letter_has_alias(uint32_t person)
{
	return person % 8 == 6;
}

void letter_put_final(char to[LETTER_ADDRESS], uint32_t person)
{
	snprintf(to, LETTER_ADDRESS,
		 letter_side(person) == CLOUD ? "r%u@contoso.mail.cloud.example" : "u%u@contoso.com", person);
}

static size_t draw_size(uint64_t *r)
{
	if (letter_draw(r, 400) == 0)
		return (1 << 20) + letter_draw(r, LETTER_BODY - (1 << 20));
	return 200 + letter_draw(r, letter_draw(r, 4) == 0 ? 2000 : 64 * 1024 - 200);
}

static bool is_among(const struct letter *p, uint32_t person)
{
	for (unsigned i = 0; i < p->rcpt_n; i++)
		if (p->people[i] == person)
			return true;
	return false;
}

void letter_plan(const struct letters *l, uint64_t number, struct letter *p)
{
	uint64_t r = l->seed + number * 0x2545f4914f6cdd1dU;
	unsigned n = 1 + (unsigned)letter_draw(&r, LETTER_RCPTS);

	*p = (struct letter){ .number = number };
	while (p->rcpt_n < n) {
		uint32_t person = (uint32_t)letter_draw(&r, l->people);
		const char *form = letter_has_alias(person)  ? "also%u@contoso.com"
				   : letter_draw(&r, 8) == 0 ? "U%u@Contoso.COM"
							     : "u%u@contoso.com";
		if (is_among(p, person))
			continue;
		snprintf(p->to[p->rcpt_n], LETTER_ADDRESS, form, person);
		p->people[p->rcpt_n++] = person;
	}
	p->size = draw_size(&r);
	p->eightbit = letter_draw(&r, 4) == 0;
	p->pool_at = letter_draw(&r, POOL_BYTES / 2 - LETTER_BODY) + (p->eightbit ? POOL_BYTES / 2 : 0);
	if (letter_draw(&r, 2) == 0)
		p->chunk = 1 + letter_draw(&r, p->size + 4096);
	if (p->chunk > 0 && p->size / p->chunk > 16)
		p->chunk = p->size / 16;
}

void letter_compose(const struct letters *l, const struct letter *p, struct buf *b)
{
	buf_reset(b);
	buf_addf(b,
		 "X-Bulk: %ju\r\nFrom: <s%ju@outside.example>\r\nTo: <everybody@contoso.com>\r\n"
		 "Subject: message %ju\r\nMessage-ID: <%jx.%ju@outside.example>\r\n\r\n",
		 p->number, p->number, p->number, l->seed, p->number);
	struct str text = str_n(l->pool + p->pool_at, p->size);
	if (text.p[text.n - 1] == '\r')
		text.n--; /* the cut went through a line end */
	if (text.p[0] == '\n')
		text = str_skip(text, 1);
	buf_add(b, text);
	buf_add(b, S("\r\n"));
	must(!b->full);
}

/* One line with its CR LF: 0 to 900 letters; every fourth line begins with dots or is nothing but dots. */
static size_t put_line(char *to, uint64_t *r, bool eightbit)
{
	size_t n = letter_draw(r, letter_draw(r, 4) == 0 ? 900 : 78);
	size_t dots = letter_draw(r, 4) == 0 ? 1 + letter_draw(r, 3) : 0;

	if (dots > 0 && letter_draw(r, 4) == 0)
		n = dots;
	for (size_t i = 0; i < n; i++)
		to[i] = i < dots   ? '.'
			: eightbit ? (char)(0xa0 + letter_draw(r, 0x5f))
				   : (char)(' ' + letter_draw(r, 95));
	memcpy(to + n, "\r\n", 2);
	return n + 2;
}

void letters_init(struct letters *l)
{
	uint64_t r = l->seed ^ 0xb01d;
	size_t at = 0;

	l->pool = malloc(POOL_BYTES + LINE_ROOM);
	must(l->pool != NULL);
	while (at < POOL_BYTES)
		at += put_line(l->pool + at, &r, at >= POOL_BYTES / 2 && letter_draw(&r, 3) == 0);
}

void letters_fini(struct letters *l)
{
	free(l->pool);
	l->pool = NULL;
}
