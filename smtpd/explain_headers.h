/* smtpd/explain_headers.h: what the header firewall would do to a message, for `route explain`.
 *
 * With a header at hand it goes through the same edits as real mail, field by field; without one the policy is told by
 * groups.  Knows: the header policy.  Must not know: routing, JSON. */
#ifndef SMTPD_EXPLAIN_HEADERS_H
#define SMTPD_EXPLAIN_HEADERS_H

#include "connectors/header_edits.h"
#include "smtpd/claim.h"

struct headers_told {
	struct header_in in;
	struct str own;               /* our host name, as in Authentication-Results */
	const struct conf_send *send; /* NULL: it goes nowhere */
	struct header_added added;    /* what the way out would write itself */
	struct str header;            /* the fields as received; empty: by groups */
	uint64_t header_max;
};

/* `tell` gets "in" or "out", a field or group, and what happens to it; the views die with the call.  False: the header
 * is larger than header_max, or there is no memory for it. */
bool explain_headers(const struct headers_told *h, struct arena *a,
		     void (*tell)(void *arg, const char *direction, struct str name, const char *says), void *arg);

/* What the header claims (X-OriginatorOrg, AuthAs). */
void explain_claim(struct str header, struct claim *out);

#endif
