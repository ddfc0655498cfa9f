/* queue/where.h: "which recipients": a small language over the rows of the queue.  Pure: no clock, no files.
 *
 *   to = example.net and (attempts >= 3 or age > 2h) and not state = held
 *
 *   expression   and, or, not, ( ); `and` binds closer than `or`
 *   comparison   FIELD OPERATOR VALUE; a value with blanks or parentheses stands in "..." or '...'
 *   addresses    from to               = !=   an address; a domain, or @domain, means all its addresses
 *   texts        domain sender-domain hop last (or reason)
 *                                      = !=   the whole text; for domains "*.example.net" is it and all below
 *                all of these          ~ !~   is somewhere in it; case never matters
 *   numbers      age size attempts     = != < <= > >=   "2h", "10M", "3"
 *   state        active deferred held poison            = !=
 *
 * Limits: QUEUE_WHERE_MAX bytes, 64 comparisons and connectives, parentheses and `not` 32 deep. */
#ifndef QUEUE_WHERE_H
#define QUEUE_WHERE_H

#include "queue/queue.h"

struct queue_where *queue_where_copy(const struct queue_where *w); /* NULL gives NULL */

#endif
