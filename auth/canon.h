/* auth/canon.h: the two ways in which DKIM and ARC look at a message (RFC 6376 3.4), over streams.  Pure but for the
 * digest that takes the result. */
#ifndef AUTH_CANON_H
#define AUTH_CANON_H

#include "base/buf.h"
#include "tls/signature.h"

enum canon { CANON_SIMPLE, CANON_RELAXED };

/* One header field, `raw` from its name to its last CRLF, without that CRLF.  `value` begins in `raw` behind the colon.
 */
void canon_field(enum canon c, struct str raw, struct str value, struct buf *out);

/* A body as it comes, in any pieces; equal pieces or one give the same hash. */
struct canon_body {
	enum canon canon;
	struct digest *digest;
	uint64_t ends;  /* line ends held back: they count only when something follows */
	bool cr, blank; /* held back as well: a CR whose LF may come; relaxed: blanks before what follows */
	bool some;      /* something went to the digest */
};
void canon_body_init(struct canon_body *b, enum canon c);
void canon_body_add(struct canon_body *b, struct str bytes);
void canon_body_end(struct canon_body *b, unsigned char out[DIGEST_SIZE]);
void canon_body_fini(struct canon_body *b); /* at any time */

#endif
