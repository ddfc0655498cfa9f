/* auth/frame.c: frames and values; see the header. */
#include "auth/frame.h"

#include "base/must.h"

static uint32_t get_u32(const char *p)
{
	const unsigned char *u = (const unsigned char *)p;

	return (uint32_t)u[0] << 24 | (uint32_t)u[1] << 16 | (uint32_t)u[2] << 8 | u[3];
}

static bool is_kind(unsigned k)
{
	return (k >= AUTH_HELLO && k <= AUTH_DROP) || (k >= AUTH_TAKEN && k <= AUTH_SIGNATURE);
}

ssize_t frame_next(struct str in, struct frame *f)
{
	if (in.n < FRAME_HEAD)
		return 0;
	uint32_t length = get_u32(in.p);
	unsigned kind = (unsigned char)in.p[5];
	if (length < FRAME_HEAD - 4 || length > FRAME_MAX || (unsigned char)in.p[4] != FRAME_VERSION || !is_kind(kind))
		return -1;
	if (in.n - 4 < length)
		return 0;
	*f = (struct frame){ .kind = (enum frame_kind)kind,
			     .job = get_u32(in.p + 6),
			     .payload = str_head(str_skip(in, FRAME_HEAD), length - (FRAME_HEAD - 4)) };
	return (ssize_t)length + 4;
}

size_t frame_open(struct buf *b, enum frame_kind kind, uint32_t job)
{
	size_t at = b->n;

	put_u32(b, 0);
	put_u8(b, FRAME_VERSION);
	put_u8(b, (unsigned)kind);
	put_u32(b, job);
	return at;
}

bool frame_close(struct buf *b, size_t at)
{
	size_t length = b->n - at - 4;

	must(b->full || b->n >= at + FRAME_HEAD);
	if (b->full || length > FRAME_MAX) {
		b->n = at;
		return false;
	}
	for (int i = 0; i < 4; i++)
		b->p[at + (size_t)i] = (char)(length >> (24 - 8 * i));
	return true;
}

void put_u8(struct buf *b, unsigned v)
{
	buf_addc(b, (char)v);
}

void put_u16(struct buf *b, unsigned v)
{
	put_u8(b, v >> 8);
	put_u8(b, v);
}

void put_u32(struct buf *b, uint32_t v)
{
	put_u16(b, v >> 16);
	put_u16(b, v & 0xffff);
}

void put_str(struct buf *b, struct str s)
{
	put_u32(b, (uint32_t)s.n);
	buf_add(b, s);
}

static struct str take(struct reader *r, size_t n)
{
	struct str s = str_head(r->in, n);

	r->bad = r->bad || s.n < n;
	if (r->bad)
		return STR_NONE;
	r->in = str_skip(r->in, n);
	return s;
}

unsigned read_u8(struct reader *r)
{
	struct str s = take(r, 1);

	return s.n == 0 ? 0 : (unsigned char)s.p[0];
}

unsigned read_u16(struct reader *r)
{
	unsigned high = read_u8(r);

	unsigned v = high << 8 | read_u8(r);

	return r->bad ? 0 : v;
}

uint32_t read_u32(struct reader *r)
{
	uint32_t high = read_u16(r);

	uint32_t v = high << 16 | read_u16(r);

	return r->bad ? 0 : v;
}

struct str read_str(struct reader *r, size_t max)
{
	uint32_t n = read_u32(r);

	r->bad = r->bad || n > max;
	return take(r, n);
}

bool read_end(const struct reader *r)
{
	return !r->bad && r->in.n == 0;
}
