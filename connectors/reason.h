/* connectors/reason.h: the reason codes of refusals that are not the decision table's (spec 5.3, 5.4, 8.14): one table
 * of codes, words, causes and who can mend it.
 *
 * Whoever refuses takes the reply from here, and `tombolo reasons` prints the same rows: what is answered cannot differ
 * from what is documented.  The decision table's own are route_reason_at's.  Pure. */
#ifndef CONNECTORS_REASON_H
#define CONNECTORS_REASON_H

#include "config/config.h"
#include "wire/reply.h"

enum reason {
	REASON_TLS_REQUIRED, /* in: STARTTLS has to come first */
	REASON_CLOSED,       /* the receive connector takes no mail */
	REASON_PARTNER_CERT, /* this sender domain only with the partner's certificate */
	REASON_PARTNER_IP,   /* ... from the partner's addresses */
	REASON_FOREIGN,      /* another organisation of a shared cloud */
	REASON_SIZE,         /* larger than this server takes */
	REASON_HEADER_SIZE,  /* its header is */
	REASON_LOOKUP,       /* recipients cannot be looked up now */
	REASON_HOPS,         /* R01 */
	REASON_BARE_LF,
	REASON_NUL,
	REASON_CONNECTION_RATE, /* this client network comes too often ... */
	REASON_MESSAGE_RATE,    /* ... sends too much ... */
	REASON_RECIPIENT_RATE,  /* ... to too many ... */
	REASON_UNKNOWN_RATE,    /* ... of whom too many are refused */
	REASON_PRESSURE,        /* no room now */
	REASON_STORE,           /* the queue cannot take it now */
	REASON_WAY_DISABLED,    /* out: the connector that owns the space is disabled */
	REASON_WAY_SIZE,        /* ... takes no message of this size */
	REASON_WAYS_SIZE,       /* no connector does */
	REASON_NO_WAY,          /* none leads there */
	REASON_CERT_MISSING,    /* our certificate for this way is not there */
	REASON_OUT_STARTTLS,    /* the server gives no TLS */
	REASON_OUT_HANDSHAKE,   /* the handshake failed */
	REASON_CERT_CHAIN,      /* nobody we trust made its certificate */
	REASON_CERT_NAME,       /* its certificate names somebody else */
	REASON_EXPIRED,         /* waited for too long */
	REASON_N
};

struct reason_row {
	const char *name;                                /* "TLS-REQUIRED" */
	const char *rule;                                /* "R01"; NULL: none */
	struct reply standard, exchange, exchange_cloud; /* the text may be empty: the server's own words stand there */
	const char *cause, *fixer;
};

const struct reason_row *reason_row(enum reason r);
/* The reply of this configuration's code set and side; its text is a literal. */
struct reply reason_reply(enum reason r, enum conf_codes codes, enum conf_site site);

#endif
