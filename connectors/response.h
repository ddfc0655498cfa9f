/* connectors/response.h: what the answers of other servers mean beyond "this recipient, now" (docs/DELIVERY.md).
 *
 * Most replies are about one recipient and need no row here.  Some are about us: the other side does not know this
 * gateway, or wants less of it; as verdicts about a message they would return thousands of them.  One table, pure. */
#ifndef CONNECTORS_RESPONSE_H
#define CONNECTORS_RESPONSE_H

#include "wire/reply.h"

enum response_act {
	RESPONSE_HOLD,      /* a fault between the two sides: nothing is returned, the connector's breaker counts it */
	RESPONSE_SLOW,      /* fewer connections; the breaker counts it too */
	RESPONSE_SPLIT,     /* too many recipients at once: the rest goes in another transaction */
	RESPONSE_NEXT_HOST, /* this server takes nothing now: as if it had not been reached */
	RESPONSE_N
};

enum response_to { /* bits */
		   RESPONSE_TO_MAIL = 1,
		   RESPONSE_TO_RCPT = 2,
		   RESPONSE_TO_REST = 4, /* DATA, BDAT, the end of the content, and what ends a connection */
		   RESPONSE_TO_ANY = 7,
};

struct response_rule {
	unsigned short code_least, code_most;
	short subject; /* of the enhanced code; -1: whatever it is */
	unsigned short detail_least, detail_most;
	unsigned to;
	bool ours; /* only from a peer or smart host: from anybody else's MX it is about the message */
	enum response_act act;
	const char *cause, *fixer; /* as in the verdicts of routing */
	const char *todo;          /* for the alarm */
};

/* The first row that fits, NULL when none does.  `ours`: the server is a peer, or one the configuration names. */
const struct response_rule *response_find(const struct reply *r, enum response_to to, bool ours);
const char *response_act_name(enum response_act a); /* "hold" */

#endif
