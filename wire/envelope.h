/* wire/envelope.h: the shared noun: who sent a message, to whom, with which parameters, and how it came in.
 *
 * A plain value: views into memory that somebody else owns (the session's transaction arena while it is received, the
 * lease's memory while it is delivered).  queue/record writes it to disk and reads it back; nothing else serialises it.
 */
#ifndef WIRE_ENVELOPE_H
#define WIRE_ENVELOPE_H

#include "base/str.h"

enum env_body { ENV_BODY_7BIT, ENV_BODY_8BITMIME, ENV_BODY_BINARYMIME };
enum env_ret { ENV_RET_NONE, ENV_RET_FULL, ENV_RET_HDRS }; /* RFC 3461 4.3 */

enum { /* RFC 3461 4.1; 0 = not given */
       ENV_NOTIFY_NEVER = 1,
       ENV_NOTIFY_SUCCESS = 2,
       ENV_NOTIFY_FAILURE = 4,
       ENV_NOTIFY_DELAY = 8,
};

/* Where a transaction came from (spec 0.4).  The values are stored: append only. */
enum env_origin { ENV_INTERNET, ENV_PEER, ENV_LOCAL, ENV_APP, ENV_PARTNER, ENV_SELF };
enum env_class { ENV_CLASS_NONE, ENV_CLASS_INT, ENV_CLASS_EXT }; /* of a PEER message */
enum env_org { ENV_ORG_NONE, ENV_ORG_OK, ENV_ORG_OTHER };        /* organisation claim (spec 4.3) */

/* What journaling made of it (stored: append only): nothing; its report exists, here or at the other side; it is a
 * report, on its way to the archive of `rule`, or to that rule's alternate address. */
enum env_journal { ENV_JOURNAL_NONE, ENV_JOURNAL_DONE, ENV_JOURNAL_REPORT, ENV_JOURNAL_ALTERNATE };

enum { ENV_GENERATION_MAX = 63 };

struct env_rcpt {
	struct str addr;     /* as received: local@domain, no brackets, no source route */
	struct str orcpt;    /* "rfc822;..." in xtext as received, empty when not given */
	unsigned notify;     /* ENV_NOTIFY_* */
	bool token_seen;     /* our route token says that we had handed it to the other side (R41) */
	bool followed;       /* its redirection was followed when this copy was made: deliver, redirect no more */
	unsigned generation; /* how many redirections and expansions of ours led here (R02); at most ENV_GENERATION_MAX
			      */
};

struct envelope {
	struct str from;  /* empty = null reverse-path */
	struct str envid; /* xtext as received */
	enum env_ret ret;
	enum env_body body;
	bool smtputf8;
	struct str xorg; /* MAIL XOORG=, decoded; empty when not given */

	/* facts of the session, fixed when the message was accepted */
	enum env_origin origin;
	enum env_class class;
	enum env_org org;
	struct str receive; /* name of the receive connector */
	struct str inbound; /* name of the attributed inbound connector, empty when none */
	struct str client;  /* "192.0.2.1" */
	struct str helo;
	struct str tls;      /* "TLSv1.3 TLS_AES_256_GCM_SHA384 mail.contoso.com", empty when clear */
	struct str trace_id; /* network message id, a GUID */
	uint64_t epoch;      /* of the mode it was accepted under */
	uint64_t serial;     /* of the recipient table */
	int64_t arrived_ms;  /* wall clock */
	unsigned hops;       /* Received fields counted */
	enum env_journal journal;
	struct str rule;    /* of a report: the journal section that asked for it */
	struct str hold;    /* why it is not to be delivered before somebody releases it; empty: it is */
	bool plain_headers; /* no field that a way out may have to change: known when it was accepted */

	const struct env_rcpt *rcpts;
	size_t rcpt_n;
};

#endif
