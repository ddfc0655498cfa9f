/* routing/pack.h: numbers and short texts into small records and out again.  For this room only.
 *
 * Numbers are big-endian, texts have one byte of length in front.  Reading never passes the end: it fails. */
#ifndef ROUTING_PACK_H
#define ROUTING_PACK_H

#include "base/buf.h"

#include <string.h>

static inline void pack_num(struct buf *b, uint64_t v)
{
	for (int shift = 56; shift >= 0; shift -= 8)
		buf_addc(b, (char)(v >> shift));
}

/* Cut at 255 bytes. */
static inline void pack_text(struct buf *b, struct str s)
{
	s = str_head(s, 255);
	buf_addc(b, (char)s.n);
	buf_add(b, s);
}

static inline bool unpack_num(struct str *in, uint64_t *out)
{
	uint64_t v = 0;

	if (in->n < 8)
		return false;
	for (int i = 0; i < 8; i++)
		v = v << 8 | (unsigned char)in->p[i];
	*in = str_skip(*in, 8);
	*out = v;
	return true;
}

static inline bool unpack_ms(struct str *in, int64_t *out)
{
	uint64_t v;

	if (!unpack_num(in, &v))
		return false;
	*out = (int64_t)v;
	return true;
}

static inline bool unpack_byte(struct str *in, unsigned below, unsigned *out)
{
	if (in->n == 0 || (unsigned char)in->p[0] >= below)
		return false;
	*out = (unsigned char)in->p[0];
	*in = str_skip(*in, 1);
	return true;
}

/* NUL-terminated; false when it does not fit. */
static inline bool unpack_text(struct str *in, char *to, size_t room)
{
	size_t n = in->n > 0 ? (unsigned char)in->p[0] : SIZE_MAX;

	if (n >= room || in->n - 1 < n)
		return false;
	memcpy(to, in->p + 1, n);
	to[n] = '\0';
	*in = str_skip(*in, n + 1);
	return true;
}

/* A view copied into a fixed field, cut to what fits. */
static inline void text_set(char *to, size_t room, struct str s)
{
	s = str_head(s, room - 1);
	if (s.n > 0)
		memcpy(to, s.p, s.n);
	to[s.n] = '\0';
}

#endif
