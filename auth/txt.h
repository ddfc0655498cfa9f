/* auth/txt.h: how the DNS answers a question for TXT records, for the step machines of this room.
 *
 *   while ((name = x_next(x)).n > 0)  ask somebody;  x_answer(x, status, texts, n)
 *
 * Who asks is the caller's business: a resolver, a table in a test. */
#ifndef AUTH_TXT_H
#define AUTH_TXT_H

#include "base/str.h"

enum txt_status {
	TXT_DATA,     /* there are records; the strings of each are joined */
	TXT_NODATA,   /* the name exists and has none */
	TXT_NXDOMAIN, /* the name does not exist, nor any below it (RFC 8020) */
	TXT_FAILED,   /* no answer, a server's failure, or one that DNSSEC does not let pass */
};

#endif
