/* wire/line.c: cuts commands out of the input.
 *
 * Nothing is decided before the LF is there, so the verdict on a line does not depend on how the network split it. */
#include "wire/line.h"

#include "base/must.h"

#include <limits.h>
#include <string.h>

int line_next(struct str in, size_t max, struct str *line)
{
	must(max >= 2 && max <= INT_MAX);
	ssize_t lf = str_chr(str_head(in, max), '\n');

	if (lf < 0)
		return in.n >= max ? LINE_TOO_LONG : LINE_MORE;
	struct str text = str_head(in, (size_t)lf);
	bool has_cr = text.n > 0 && text.p[text.n - 1] == '\r';
	if (has_cr)
		text.n--;
	*line = text;
	if (str_chr(text, '\0') >= 0)
		return LINE_NUL;
	if (!has_cr)
		return LINE_BARE_LF;
	if (str_chr(text, '\r') >= 0)
		return LINE_BARE_CR;
	return (int)lf + 1;
}

size_t line_skip(struct str in)
{
	return (size_t)(str_chr(in, '\n') + 1);
}
