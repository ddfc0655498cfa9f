/* wire/cmd.h: commands, as text to values and back (RFC 5321 4.1.1, 1870, 3030, 3461, 6152, 6531; XOORG).
 *
 * Parsing knows syntax only: whether a command is allowed now is the session's business.  On failure `why` is the reply
 * to send. */
#ifndef WIRE_CMD_H
#define WIRE_CMD_H

#include "wire/addr.h"
#include "wire/envelope.h"
#include "wire/reply.h"

enum verb {
	VERB_UNKNOWN,
	VERB_EHLO,
	VERB_HELO,
	VERB_MAIL,
	VERB_RCPT,
	VERB_DATA,
	VERB_BDAT,
	VERB_RSET,
	VERB_NOOP,
	VERB_QUIT,
	VERB_VRFY,
	VERB_EXPN,
	VERB_HELP,
	VERB_STARTTLS,
	VERB_AUTH,
	VERB_N
};

struct cmd {
	enum verb verb;
	struct str name; /* as received */
	struct str args; /* behind the verb and one space; trailing blanks removed */
};

void cmd_parse(struct str line, struct cmd *out);
struct str cmd_name(enum verb v); /* "EHLO" */

/* Extensions the server offered: a parameter of one that was not offered is 555 5.5.4. */
struct cmd_offer {
	bool size, eightbitmime, smtputf8, dsn, binarymime, xoorg, auth;
	bool relaxed_addresses;
};

struct cmd_mail {
	struct addr from; /* from.whole empty = <> */
	uint64_t size;    /* 0 = not given */
	enum env_body body;
	enum env_ret ret;
	struct str envid; /* xtext, checked */
	struct str xorg;  /* xtext, checked */
	struct str auth;  /* AUTH= mailbox in xtext, checked; believed of nobody: on the way out it is AUTH=<> */
	bool smtputf8, has_size, has_body;
};

struct cmd_rcpt {
	struct addr to;
	struct str orcpt; /* "type;xtext", checked */
	unsigned notify;
};

bool cmd_parse_mail(struct str args, const struct cmd_offer *offer, struct cmd_mail *out, struct reply *why);
bool cmd_parse_rcpt(struct str args, const struct cmd_offer *offer, bool smtputf8, struct cmd_rcpt *out,
		    struct reply *why);
/* BDAT size [LAST].  When false the count is unknown: reply `why` and close (hardening BD-3). */
bool cmd_parse_bdat(struct str args, uint64_t *size, bool *last, struct reply *why);

/* The one serialiser of outgoing commands: must() that no argument holds a control byte, appends CRLF. */
void cmd_put(struct buf *out, enum verb v, struct str args);
void cmd_put_mail(struct buf *out, const struct envelope *env, const struct cmd_offer *peer, uint64_t size);
void cmd_put_rcpt(struct buf *out, struct str addr, const struct env_rcpt *rcpt, const struct cmd_offer *peer);
void cmd_put_bdat(struct buf *out, uint64_t size, bool last);

#endif
