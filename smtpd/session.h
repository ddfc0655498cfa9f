/* smtpd/session.h: one client's connection: states, the pump, the end.
 *
 *        accept -> [proxy] -> greeting -> command <-> data | bdat | tarpit | filter | judge (an operation is open)
 *                                           |  ^          \-> commit (an operation is open) -> command
 *                                           v  |
 *                                        starttls -> handshake -> command (as new)
 *
 * One setter changes the state and arms its deadline; one pump runs steps until one waits.  At most one operation is
 * open; meanwhile input stays unread, so pipelined commands keep their order.  All replies of a turn leave in one
 * write. */
#ifndef SMTPD_SESSION_H
#define SMTPD_SESSION_H

#include "smtpd/filters.h"
#include "smtpd/server.h"
#include "smtpd/transaction.h"
#include "wire/cmd.h"

enum step { STEP_NEXT, STEP_WAIT, STEP_CLOSE }; /* again now | until an event | finish and free */

struct state {
	const char *name;
	enum step (*step)(struct session *s);
};

/* What a command may be used in. */
enum { IN_START = 1, IN_READY = 2, IN_MAIL = 4, IN_RCPT = 8, IN_BDAT = 16, IN_ANY = 31 };

struct session {
	struct stream stream;
	struct server *server;
	struct setup *setup; /* its own reference: a reload does not change a running session */
	const struct conf_receive *receive;
	const struct state *state;
	unsigned phase;  /* one of IN_* */
	struct op *wait; /* the open operation, NULL = none */
	struct commit commit;
	struct loop_timer tarpit;
	struct log log;
	char id[16];
	struct arena arena;     /* lives as long as the connection; rewound to `base` at STARTTLS */
	struct net_addr client; /* from PROXY when a trusted balancer says so */
	char client_text[48];
	struct str helo; /* cleaned by grammar; empty before EHLO/HELO */
	bool esmtp, secured, closing, eof;
	struct gate_client *place; /* NULL: not counted */
	bool rate_exempt;          /* stands in limits.rate_exempt */
	struct attribution who;
	struct filters *filters;                  /* NULL: this receive connector asks none */
	enum step (*filtered)(struct session *s); /* goes on when the filters have answered */
	int64_t late_ms;                          /* how long the answer to MAIL waits */
	bool rcpt_provisional;                    /* the recipient the filters are asked about */
	struct transaction tx;
	uint64_t bdat_left; /* octets of the chunk still to come */
	bool bdat_last, bdat_swallow;
	unsigned errors, junk;
	int64_t started_ms;
	size_t discarded;        /* bytes of overlong lines thrown away */
	int64_t content_from_ms; /* start of DATA or of the chunk: deadline of the minimum data rate */
	struct reply held;       /* reply that a tarpit holds back */
	LIST_ENTRY(session) entry;
};

void session_start(struct server *server, int fd, const struct net_addr *client);
void session_close(struct session *s); /* at once; memory goes after the turn; harmless twice */
void session_drain(struct session *s); /* 421 when idle; else ends after the transaction */

/* For the command files. */
void session_reply(struct session *s, const struct reply *r);
void session_end(struct session *s, const struct reply *last); /* the connection is closed behind it */
void session_enter(struct session *s, const struct state *state);
void session_resume(struct session *s);                /* the operation is over: go on with what waits */
void session_go_on(struct session *s, enum step step); /* the same, as what was done then says */
void session_error(struct session *s);                 /* counts a protocol error */
enum step session_hold(struct session *s, const struct reply *r, int64_t ms); /* tarpit: answers later */
bool session_has_early_input(const struct session *s); /* input waits where the client had to wait for us */
static inline const struct config *session_config(const struct session *s)
{
	return s->setup->config;
}
/* Who we are for this client: in the greeting, in Received, as authserv-id. */
static inline struct str session_our_name(const struct session *s)
{
	return s->receive->fqdn.n > 0 ? s->receive->fqdn : session_config(s)->hostname;
}

/* Takes one of its client network's tokens.  False: there is none; it is counted and told, and `why` is the answer. */
bool session_may(struct session *s, enum gate_rate r, struct reply *why);
bool session_is_rated(const struct session *s);

/* recognise.c: who is calling */
struct said { /* what the client has said for itself so far; all empty before MAIL */
	bool at_mail, header_seen;
	struct str from, claim, auth_as;
};
void session_attribute(struct session *s, const struct said *said);
/* The header has been read: claim, class and the recipients that hung on them are settled.  False: answer tx.verdict.
 */
bool session_judge_header(struct session *s);

/* cmd_mail.c: the decision table about one recipient, as far as the organisation counts as `org`; `token`, which may be
 * NULL, is a valid route token of ours.  False when it could not be asked. */
bool session_ask_table(struct session *s, const struct addr *rcpt, const struct token *token, enum env_org org,
		       struct verdict *out);

extern const struct state state_command, state_data, state_bdat, state_commit, state_starttls, state_closing,
	state_filter, state_judge;

#endif
