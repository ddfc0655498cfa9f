/* routing/srs.h: senders rewritten for forwarding (SRS, spec 2.6): mail of strangers leaves under an address of ours,
 * so that SPF holds, and reports about it come back through us.
 *
 *   ann@far.example            -> SRS0=HASH=TT=far.example=ann@ours
 *   SRS0=..@forwarder.example  -> SRS1=HASH=forwarder.example==..@ours     (also from SRS1, past the one in between)
 *
 * HASH is 40 bits of an HMAC over everything behind it and our domain, in base32; TT is the day modulo 1024.  Both are
 * compared without case, and so is what they cover: hosts on the way fold it.  Keys rotate as those of the route token:
 * the first of the file signs, all of them verify.  SRS1 has no day of its own (the forwarder's SRS0 does, and others
 * would not understand one): it ends with the key that signed it.
 *
 * Pure.  Any thread. */
#ifndef ROUTING_SRS_H
#define ROUTING_SRS_H

#include "routing/token.h"
#include "wire/addr.h"

enum {
	SRS_AGE_DAYS = 21,
	SRS_PATH_MAX = 254, /* the most that fits MAIL FROM everywhere */
};

enum srs_result {
	SRS_OK,
	SRS_NONE,     /* not an SRS address */
	SRS_BROKEN,   /* begins as one and is none */
	SRS_FORGED,   /* no key of ours made it */
	SRS_EXPIRED,  /* made more than SRS_AGE_DAYS ago */
	SRS_TOO_LONG, /* the rewritten address would be */
};
const char *srs_result_name(enum srs_result r); /* "forged" */

/* `from` as parsed by addr_parse, `ours` A-labels in lower case.  On SRS_OK the new address is added to `out`. */
enum srs_result srs_forward(const struct token_keys *keys, const struct addr *from, struct str ours, int64_t now_ms,
			    struct buf *out);
/* An address in our domain.  On SRS_OK the address it stands for is added to `out`; it parses. */
enum srs_result srs_reverse(const struct token_keys *keys, const struct addr *a, struct str ours, int64_t now_ms,
			    struct buf *out);
bool srs_is(const struct addr *a); /* by its first letters: SRS0 or SRS1 and a separator */

#endif
