/* auth/canon.c: canonical header fields and bodies; see the header. */
#include "auth/canon.h"

static bool is_gap(char c)
{
	return chr_is_space(c) || c == '\r' || c == '\n';
}

static struct str without_end(struct str s)
{
	if (s.n > 0 && s.p[s.n - 1] == '\n')
		s.n--;
	if (s.n > 0 && s.p[s.n - 1] == '\r')
		s.n--;
	return s;
}

void canon_field(enum canon c, struct str raw, struct str value, struct buf *out)
{
	if (c == CANON_SIMPLE) {
		buf_add(out, without_end(raw));
		return;
	}
	struct str name = str_trim(str_head(raw, raw.n - value.n - 1));
	for (size_t i = 0; i < name.n; i++)
		buf_addc(out, chr_lower(name.p[i]));
	buf_addc(out, ':');
	bool gap = false, some = false;
	for (size_t i = 0; i < value.n; i++) {
		if (is_gap(value.p[i])) {
			gap = true;
			continue;
		}
		if (gap && some)
			buf_addc(out, ' ');
		buf_addc(out, value.p[i]);
		some = true;
		gap = false;
	}
}

/* ---- bodies ---- */

void canon_body_init(struct canon_body *b, enum canon c)
{
	*b = (struct canon_body){ .canon = c, .digest = digest_new() };
}

void canon_body_fini(struct canon_body *b)
{
	digest_free(&b->digest);
}

static void put(struct canon_body *b, struct str s)
{
	digest_add(b->digest, s);
	b->some = true;
}

/* What was held back, now that something follows. */
static void release(struct canon_body *b)
{
	static const struct str lines = STR_LIT("\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n\r\n");

	while (b->ends > 0) { /* sixteen at once: a body may be nothing else */
		size_t n = b->ends < lines.n / 2 ? (size_t)b->ends : lines.n / 2;
		put(b, str_head(lines, 2 * n));
		b->ends -= n;
	}
	if (b->blank)
		put(b, S(" "));
	b->blank = false;
}

static void put_text(struct canon_body *b, struct str s)
{
	release(b);
	put(b, s);
}

static bool is_text(const struct canon_body *b, char c)
{
	return c != '\r' && c != '\n' && (b->canon == CANON_SIMPLE || !chr_is_space(c));
}

void canon_body_add(struct canon_body *b, struct str s)
{
	while (s.n > 0) {
		size_t n = 0;
		if (b->cr && s.p[0] != '\n') { /* a bare CR is text */
			b->cr = false;
			put_text(b, S("\r"));
		}
		while (n < s.n && is_text(b, s.p[n]))
			n++;
		if (n > 0) {
			put_text(b, str_head(s, n));
		} else {
			n = 1;
			if (s.p[0] == '\r') {
				b->cr = true;
			} else if (s.p[0] == '\n') {
				b->cr = b->blank = false; /* blanks at the end of a line are gone */
				b->ends++;
			} else {
				b->blank = true;
			}
		}
		s = str_skip(s, n);
	}
}

void canon_body_end(struct canon_body *b, unsigned char out[DIGEST_SIZE])
{
	if (b->cr)
		put_text(b, S("\r"));
	b->blank = false;
	/* any number of line ends at the end is one; a simple body of nothing is one, a relaxed one none */
	if (b->some || b->canon == CANON_SIMPLE)
		put(b, S("\r\n"));
	digest_end(b->digest, out);
}
