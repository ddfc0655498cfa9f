/* wire/ehlo.h: capability set <-> EHLO lines, for server and client. */
#ifndef WIRE_EHLO_H
#define WIRE_EHLO_H

#include "wire/reply.h"

enum {
	EHLO_PIPELINING = 1 << 0,
	EHLO_SIZE = 1 << 1,
	EHLO_8BITMIME = 1 << 2,
	EHLO_SMTPUTF8 = 1 << 3,
	EHLO_ENHANCEDSTATUSCODES = 1 << 4,
	EHLO_CHUNKING = 1 << 5,
	EHLO_DSN = 1 << 6,
	EHLO_STARTTLS = 1 << 7,
	EHLO_BINARYMIME = 1 << 8,
	EHLO_XOORG = 1 << 9,
	EHLO_AUTH = 1 << 10,
	EHLO_LIMITS = 1 << 11,
};

struct ehlo {
	unsigned caps;
	uint64_t size;     /* SIZE value, 0 = none given */
	unsigned rcpt_max; /* LIMITS RCPTMAX (RFC 9422), 0 = none */
	struct str auth;   /* mechanisms: "PLAIN LOGIN"; from ehlo_parse a view into the reply */
};

/* The complete 250 reply: "250-<name> greets <client>" and one line per capability, sorted as declared. */
void ehlo_put(struct buf *out, const struct ehlo *e, struct str name, struct str client);
/* From a client-side EHLO reply (wire/reply): the first line is the greeting, unknown keywords are ignored, case does
 * not matter. */
void ehlo_parse(const struct reply *r, struct ehlo *out);

#endif
