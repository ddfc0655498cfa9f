/* wire/netstring.h: netstrings, "5:hello,": bytes that say their own length.
 *
 * Socketmap, the protocol by which Postfix and Sendmail ask for table entries, is made of them: a request is one
 * netstring "MAP KEY", an answer one netstring "OK DATA", "NOTFOUND", "TEMP WHY" or "PERM WHY" (socketmap_table(5)).
 * What tombolo-milter asks is a sequence of them too (wire/decide.h).
 *
 * Pure.  A length has no leading zeros, so what was read is written again byte for byte. */
#ifndef WIRE_NETSTRING_H
#define WIRE_NETSTRING_H

#include "base/buf.h"

enum { NETSTRING_MORE = 0, NETSTRING_BAD = -1 };

/* Takes one off the front: bytes used (> 0) and *value, a view into `in`; NETSTRING_MORE: not all of it is there yet;
 * NETSTRING_BAD: it is none, or longer than `max`.  `max` < 10^9. */
ssize_t netstring_next(struct str in, size_t max, struct str *value);
bool netstring_put(struct buf *out, struct str value); /* all or nothing, as buf_add */

/* "MAP KEY" -> map, key; the key is all behind the first blank and may be empty.  False: there is no blank, or the map
 * has no name. */
bool socketmap_request(struct str value, struct str *map, struct str *key);

#endif
