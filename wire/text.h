/* wire/text.h: text of others as a part of our own lines, in reports. */
#ifndef WIRE_TEXT_H
#define WIRE_TEXT_H

#include "base/buf.h"

enum { TEXT_LINE_MAX = 900 };

/* `s` as part of one line, cut at TEXT_LINE_MAX bytes but not inside a character; line ends become blanks, other
 * control bytes and unwanted 8-bit bytes '?'. */
void text_put_line(struct buf *out, struct str s, bool utf8);

#endif
