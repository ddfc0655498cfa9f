/* base/buf.c: growable bytes with a hard maximum; see the header. */
#include "base/buf.h"

#include "base/fault.h"
#include "base/must.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUF_FIRST = 128 };

void buf_init(struct buf *b, size_t max)
{
	must(max > 0);
	*b = (struct buf){ .max = max };
}

void buf_init_sure(struct buf *b, size_t max)
{
	buf_init(b, max);
	b->sure = true;
}

void buf_fini(struct buf *b)
{
	free(b->p);
	*b = (struct buf){ .max = b->max, .sure = b->sure };
}

void buf_reset(struct buf *b)
{
	b->n = 0;
	b->full = false;
}

char *buf_reserve(struct buf *b, size_t n)
{
	size_t need, cap = b->cap != 0 ? b->cap : BUF_FIRST;

	must(b->max > 0);
	if (b->full || __builtin_add_overflow(b->n, n, &need) || need > b->max) {
		b->full = true;
		return NULL;
	}
	if (need > b->cap || b->p == NULL) { /* reserving nothing must not look like a full buffer */
		if (!b->sure && fault("buf.grow")) {
			b->full = true;
			return NULL;
		}
		while (cap < need)
			cap *= 2;
		if (cap > b->max + 1)
			cap = b->max + 1; /* + 1: room for the NUL of buf_cstr */
		b->p = realloc(b->p, cap);
		must(b->p != NULL);
		b->cap = cap;
	}
	return b->p + b->n;
}

void buf_commit(struct buf *b, size_t n)
{
	must(n <= b->cap - b->n);
	b->n += n;
}

bool buf_add(struct buf *b, struct str s)
{
	char *to;

	if (s.n == 0)
		return !b->full;
	if ((to = buf_reserve(b, s.n)) == NULL)
		return false;
	memcpy(to, s.p, s.n);
	b->n += s.n;
	return true;
}

bool buf_addc(struct buf *b, char c)
{
	return buf_add(b, (struct str){ &c, 1 });
}

/* The place behind the content, with room for n bytes (already reserved) and a NUL behind them, past max if need be. */
static char *room_for_nul(struct buf *b, size_t n)
{
	if (b->n + n == b->cap) {
		b->p = realloc(b->p, b->cap + 1);
		must(b->p != NULL);
		b->cap++;
	}
	return b->p + b->n;
}

bool buf_vaddf(struct buf *b, const char *fmt, va_list ap)
{
	char small[256];
	va_list again;
	int n;

	va_copy(again, ap);
	n = vsnprintf(small, sizeof small, fmt, ap);
	must(n >= 0);
	if ((size_t)n < sizeof small) {
		buf_add(b, (struct str){ small, (size_t)n });
	} else if (buf_reserve(b, (size_t)n) != NULL) {
		char *to = room_for_nul(b, (size_t)n);
		vsnprintf(to, (size_t)n + 1, fmt, again);
		b->n += (size_t)n;
	}
	va_end(again);
	return !b->full;
}

bool buf_addf(struct buf *b, const char *fmt, ...)
{
	va_list ap;
	bool ok;

	va_start(ap, fmt);
	ok = buf_vaddf(b, fmt, ap);
	va_end(ap);
	return ok;
}

bool buf_addu(struct buf *b, uint64_t v)
{
	char digits[20];
	size_t at = sizeof digits;

	do
		digits[--at] = (char)('0' + v % 10);
	while ((v /= 10) != 0);
	return buf_add(b, (struct str){ digits + at, sizeof digits - at });
}

void buf_drop(struct buf *b, size_t n)
{
	must(n <= b->n);
	b->n -= n;
	if (b->n > 0 && n > 0)
		memmove(b->p, b->p + n, b->n);
}

const char *buf_cstr(struct buf *b)
{
	if (b->full || b->n == 0)
		return "";
	*room_for_nul(b, 0) = '\0';
	return b->p;
}
