/* wire/line.h: CRLF framing of commands, bounded and strict (RFC 5321 2.3.8, 4.5.3.1). */
#ifndef WIRE_LINE_H
#define WIRE_LINE_H

#include "base/str.h"

enum line_error {
	LINE_MORE = 0,      /* no end in sight yet, still within the limit */
	LINE_TOO_LONG = -1, /* longer than max: discard up to the LF (line_skip), answer one 500 */
	LINE_BARE_LF = -2,  /* ended by LF without CR */
	LINE_BARE_CR = -3,  /* a CR inside */
	LINE_NUL = -4,
};

enum { LINE_COMMAND_MAX = 2048, LINE_AUTH_MAX = 12288 };

/* One line off the front of `in`.  Returns bytes used including CRLF (> 0; *line is without it), LINE_MORE, or a
 * negative line_error; for BARE_LF, BARE_CR and NUL *line is set to what was read and *line.n + terminator can be
 * skipped with line_skip. */
int line_next(struct str in, size_t max, struct str *line);

/* Bytes up to and including the first LF, or 0 when there is none: what to throw away after an error. */
size_t line_skip(struct str in);

#endif
