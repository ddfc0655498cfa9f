/* wire/journal.h: composes journal reports: who sent a message and who got it, with the message itself inside.
 *
 *   journal_put_head, the message byte for byte, journal_put_tail
 *
 * The boundary is the caller's, random, so that nobody can write it into a message before.  Text only: what is
 * journaled, and where it goes, is connectors/job_journal. */
#ifndef WIRE_JOURNAL_H
#define WIRE_JOURNAL_H

#include "base/buf.h"
#include "wire/envelope.h"

struct journal_rcpt {
	struct str addr;
	const char *location; /* "local" */
	struct str orcpt;     /* as given in RCPT, xtext */
	bool expanded;        /* orcpt is a group that it was a member of; else another name of the same mailbox */
};

struct journal_report {
	struct str postmaster, to;      /* From:, To: */
	struct str message_id, gateway; /* of the report, no brackets; who made it */
	struct str boundary;
	int64_t now_ms;

	struct str sender;               /* MAIL FROM */
	struct str subject, original_id; /* of the message, unfolded; any bytes */
	struct str trace_id, client;
	int64_t arrived_ms;
	const struct journal_rcpt *rcpts;
	size_t rcpt_n;
	enum env_body body; /* of the message: what is known of its bytes */
	bool smtputf8;
};

/* Appends all up to the message: CRLF lines, none over 998.  `eight_bit`: some of it is.  False when `out` is full. */
bool journal_put_head(struct buf *out, const struct journal_report *r, bool *eight_bit);
bool journal_put_tail(struct buf *out, struct str boundary);

#endif
