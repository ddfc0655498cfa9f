/* wire/text.c: see the header. */
#include "wire/text.h"

#include "wire/addr.h"

void text_put_line(struct buf *out, struct str s, bool utf8)
{
	utf8 = utf8 && addr_is_utf8(s);
	size_t n = s.n < TEXT_LINE_MAX ? s.n : TEXT_LINE_MAX;
	while (utf8 && n < s.n && n > 0 && ((unsigned char)s.p[n] & 0xC0) == 0x80)
		n--; /* do not end inside a character */
	s = str_head(s, n);
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		if (c == '\r' || c == '\n' || c == '\t')
			c = ' ';
		else if (chr_is_ctl(c) || (chr_is_8bit(c) && !utf8))
			c = '?';
		buf_addc(out, c);
	}
}
