/* tls/fetch.h: one document by HTTP, as revocation lists are published.
 *
 * Blocks for as long as the order allows: for a thread of its own, never a loop's.  http and https only, also behind
 * redirections, of which there are few; the environment's http_proxy and no_proxy hold.  What comes is bytes of a
 * stranger: judging them is the caller's business.
 * Knows: URLs.  Must not know: what is fetched.  Threads: any. */
#ifndef TLS_FETCH_H
#define TLS_FETCH_H

#include "base/buf.h"
#include "base/err.h"

#include <stdatomic.h>

struct fetch_order {
	const char *url;
	int64_t deadline_ms;     /* for all of it: name, connections, redirections, body */
	const atomic_bool *stop; /* may be NULL: ends the transfer within a second once it is true */
};

/* Appends the body to `out`, whose max is the most that is taken.  0, or -1 with err ERR_NET (unreachable, status other
 * than 200, too late) or ERR_TOO_BIG; `out` is then of no use. */
int fetch_url(const struct fetch_order *o, struct buf *out, struct err *e);

#endif
