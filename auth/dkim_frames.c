/* auth/dkim_frames.c: verdicts about signatures as payloads. */
#include "auth/dkim_lib.h"

static void put_sig(const struct auth_sig *s, struct buf *b)
{
	put_u8(b, s->result);
	put_u8(b, s->testing);
	put_u8(b, s->secure);
	put_u16(b, s->bits);
	put_str(b, str_c(s->domain));
	put_str(b, str_c(s->selector));
	put_str(b, str_c(s->identity));
	put_str(b, str_c(s->algorithm));
	put_str(b, str_c(s->b));
	put_str(b, str_c(s->why));
}

void sigs_put(const struct auth_sig *sigs, size_t n, struct buf *b)
{
	put_u8(b, (unsigned)n);
	for (size_t i = 0; i < n; i++)
		put_sig(&sigs[i], b);
}

static void read_text(struct reader *r, char *room, size_t n)
{
	struct str s = read_str(r, n - 1);

	for (size_t i = 0; i < s.n; i++)
		room[i] = s.p[i] >= ' ' && s.p[i] <= '~' ? s.p[i] : '?';
	room[s.n] = '\0';
}

static bool read_sig(struct reader *r, struct auth_sig *s)
{
	unsigned result = read_u8(r);

	s->result = (enum auth_result)result;
	s->testing = read_u8(r) != 0;
	s->secure = read_u8(r) != 0;
	s->bits = read_u16(r);
	read_text(r, s->domain, sizeof s->domain);
	read_text(r, s->selector, sizeof s->selector);
	read_text(r, s->identity, sizeof s->identity);
	read_text(r, s->algorithm, sizeof s->algorithm);
	read_text(r, s->b, sizeof s->b);
	read_text(r, s->why, sizeof s->why);
	return !r->bad && result < AUTH_RESULT_N && result != AUTH_SOFTFAIL;
}

bool sigs_read(struct str payload, struct auth_sig sigs[AUTH_SIGS_MAX], size_t *n)
{
	struct reader r = { .in = payload };
	unsigned count = read_u8(&r);

	if (count > AUTH_SIGS_MAX)
		return false;
	for (*n = 0; *n < count; (*n)++)
		if (!read_sig(&r, &sigs[*n]))
			return false;
	return read_end(&r);
}
