/* wire/dsn.h: composes delivery reports (RFC 3461, 3462, 3464, 6533).  Text only: who gets it and when is
 * connectors/bounce. */
#ifndef WIRE_DSN_H
#define WIRE_DSN_H

#include "base/buf.h"
#include "wire/envelope.h"

enum dsn_action { DSN_FAILED, DSN_DELAYED, DSN_RELAYED, DSN_DELIVERED, DSN_EXPANDED };

struct dsn_rcpt {
	struct str addr;  /* final recipient */
	struct str orcpt; /* as given in RCPT, xtext */
	enum dsn_action action;
	struct str status;                       /* "5.1.1" */
	struct str remote_mta;                   /* name of the host that answered, empty when none did */
	struct str diagnostic;                   /* its reply, any bytes: cleaned here */
	bool own_words;                          /* diagnostic is no reply, we say it */
	struct str reason;                       /* our sentence for a person: what happened and who can fix it */
	int64_t last_attempt_ms, retry_until_ms; /* 0 = leave out */
};

struct dsn {
	struct str reporting_mta;               /* our name */
	struct str postmaster;                  /* From: of the report */
	struct str to;                          /* the original sender */
	struct str envid, trace_id, message_id; /* message_id: for the report itself, no brackets */
	int64_t arrived_ms, now_ms;
	bool smtputf8; /* original needed it: message/global-delivery-status */
	const struct dsn_rcpt *rcpts;
	size_t rcpt_n;
	struct str original_headers; /* up to and including the empty line; cut by the caller to its limit */
	bool whole;                  /* original_headers is all of the message: returned as it is */
};

/* May the message be returned whole?  Only with CRLF line ends, no line over 998 and no NUL. */
bool dsn_can_return(struct str message);

/* Appends the whole report: CRLF lines, no bare CR/LF, no line over 998, header first.  False when `out` is full. */
bool dsn_put(struct buf *out, const struct dsn *d);

#endif
