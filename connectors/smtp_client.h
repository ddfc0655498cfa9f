/* connectors/smtp_client.h: one outbound conversation.
 *
 *   start -> greeting, EHLO, STARTTLS, EHLO -> READY -> send(txn) -> txn->done, READY -> ... -> quit
 *                     \-> DEAD(fault)                       \-> txn->done, DEAD(fault)
 *
 * The client knows one server and the rules of one connector; which server, when, and what next is the pool's business.
 * A transaction always ends with exactly one done(): every recipient then has a result.  Neither done() nor on_event()
 * runs inside smtp_client_start, _send or _quit.  Nothing is ever sent in clear where the level asks for more.
 *
 * Knows: wire, tls, streams.  Must not know: the queue, routing, other connections.  Threads: its loop. */
#ifndef CONNECTORS_SMTP_CLIENT_H
#define CONNECTORS_SMTP_CLIENT_H

#include "base/arena.h"
#include "base/op.h"
#include "base/stream.h"
#include "config/config.h"
#include "connectors/response.h"
#include "connectors/stage.h"
#include "tls/tls.h"
#include "wire/body.h"
#include "wire/cmd.h"
#include "wire/edits.h"
#include "wire/ehlo.h"

#include <sys/queue.h>

/* ---- one message on its way through one connection ---- */

enum rcpt_result {
	RCPT_PENDING,
	RCPT_SENT,
	RCPT_DEFERRED,
	RCPT_FAILED,
	RCPT_AGAIN, /* not refused: the server takes fewer recipients at once; send the rest in another transaction */
};

struct smtp_rcpt {
	STAILQ_ENTRY(smtp_rcpt) next;
	struct str addr;     /* for RCPT TO at this hop */
	struct env_rcpt env; /* NOTIFY, ORCPT as they go to this hop */
	enum rcpt_result result;
	struct reply reply; /* why deferred or failed; code 0 while pending */
	struct str text;    /* the same in words, with the name of the server; in the transaction's arena */
	struct str said;    /* the server's own words, "451 4.2.1 mailbox busy"; empty: it is our result */
	bool accepted;      /* RCPT got 250 */
	const struct response_rule *rule; /* the reply is about more than this recipient */
};
STAILQ_HEAD(smtp_rcpts, smtp_rcpt);

/* Who answered; kept after the connection is gone, for the log and the report. */
struct smtp_where {
	char host[256]; /* name from MX, smart host list or routing; "" before any connection */
	char ip[64];
	char tls[200]; /* "TLSv1.3 mail.contoso.com": protocol and the certificate name that was accepted; "" = clear */
	char cipher[40], sha256[65]; /* what was agreed on, and the certificate shown; "" = clear */
	enum conf_tls_level level;   /* that was asked for */
};

enum smtp_end {
	SMTP_ENDED,   /* every recipient has its answer */
	SMTP_LOST,    /* there was no connection, or it ended first; nothing was handed over: another host or
		       * connection may be tried */
	SMTP_STALE,   /* as LOST, on a connection that had been idle: the server had closed it meanwhile */
	SMTP_NO_BDAT, /* the server offers CHUNKING and does not know BDAT: try again with DATA */
	SMTP_UNKNOWN, /* all was sent, the answer never came: it may be delivered; never tried again at once */
};

struct smtp_txn {
	/* asked */
	struct envelope env; /* as it goes to this hop (XOORG); rcpts are not used */
	struct smtp_rcpts rcpts;
	unsigned rcpt_n;
	uint64_t size;      /* of what is sent, edits done */
	struct str content; /* all of it when p != NULL; else windows come through fetch */
	struct edits edits; /* of the content on its way out */
	bool header_8bit;   /* a header field holds 8-bit bytes: SMTPUTF8 is really needed (when env.smtputf8) */
	struct arena *arena;
	void (*fetch)(struct smtp_txn *, uint64_t offset); /* answer with smtp_client_content, not inside the call */
	void (*done)(struct smtp_txn *);                   /* this connection is through with it */
	bool probe;                /* ask MAIL and RCPT only, send nothing: accepted recipients stay pending */
	struct queue_port *port;   /* with lease: what a crash while it is sent was about (queue_working); or NULL */
	const struct lease *lease; /* the message it is a transaction of */

	/* answered */
	enum smtp_end end;
	struct reply reply; /* the last one that decided; text below */
	char text[400];
	struct smtp_where where;
	bool no_dsn; /* the server does not offer DSN: a SUCCESS request ends here */

	/* the pool's */
	TAILQ_ENTRY(smtp_txn) link;
	void (*over)(struct smtp_txn *); /* every recipient has a result; the memory is the owner's again */
	struct hop *hop;
	struct smtp_client *client; /* the one that sends it now */
	unsigned tries;
	bool trial;       /* of the breaker */
	bool untried;     /* deferred without having been near a server: it does not count as a try */
	int64_t again_ms; /* when deferred: not before (wall clock), whatever the schedule says; 0 = by schedule */
};

/* All recipients without a result get this one; `text` is copied into the arena. */
void smtp_txn_resolve(struct smtp_txn *t, enum rcpt_result result, const struct reply *r, struct str text);

/* ---- the conversation ---- */

struct smtp_target { /* copied by start; the views must live as long as the client */
	const struct conf_send *send;
	enum conf_tls_level level;
	enum conf_codes codes;
	struct tls_ctx *tls;    /* NULL: level none */
	struct str host;        /* server name or IP literal; copied */
	struct str tls_pattern; /* level domain: what its certificate must name; empty = host */
	struct str tls_also[2]; /* ... and these as well; empty = no more */
	bool no_resumption;     /* a full handshake, so that everything is shown (tests of a connector) */
	struct str helo;
	struct net_addr addr;
	int64_t tls_ms;
	const bool *no_chunking; /* it has answered BDAT with "unknown command" before; NULL = no */
};

enum client_event { CLIENT_READY, CLIENT_DEAD };

struct smtp_fault {         /* why it is dead */
	struct reply reply; /* 451 4.x.y, text is a view of `text` */
	char text[400];
	enum smtp_stage at;
	enum smtp_why why;
	bool bad_host; /* the host is to be avoided for a while (not: an idle connection that ended) */
};

enum client_phase { CLIENT_CONNECTING, CLIENT_HELLO, CLIENT_HANDSHAKE, CLIENT_IDLE, CLIENT_BUSY, CLIENT_CLOSED };

/* What a reply is expected to; see on_reply[] in smtp_client.c. */
enum asked {
	ASKED_GREETING,
	ASKED_EHLO,
	ASKED_HELO,
	ASKED_STARTTLS,
	ASKED_RSET,
	ASKED_MAIL,
	ASKED_RCPT,
	ASKED_DATA,
	ASKED_BDAT,
	ASKED_DOT,
	ASKED_N
};
struct expect {
	enum asked asked;
	bool last; /* of BDAT: the one that ends the message */
};

enum { CLIENT_RING = 128 }; /* MAIL + 100 RCPT + DATA in one write; more waits for answers */

struct smtp_client {
	struct stream stream;
	struct loop *loop;
	struct smtp_target target;
	struct smtp_where where;
	enum client_phase phase;
	struct ehlo caps;
	void (*on_event)(struct smtp_client *, enum client_event);
	/* May be NULL: a stage is over, with what there is to say; not called for the one that ends the connection (see
	 * fault.at), but called with ok = false where level may goes on in clear. */
	void (*on_stage)(struct smtp_client *, enum smtp_stage at, bool ok, const char *says);
	void *owner; /* for on_stage and on_event */
	struct smtp_fault fault;
	enum smtp_stage at;           /* the stage it is in */
	enum smtp_why why;            /* set before a failure, where the stage alone does not tell */
	enum conf_tls_level achieved; /* whatever was asked for */
	struct loop_task report;      /* events leave at the end of the turn */
	unsigned served;              /* transactions done */
	bool stay_clear;              /* second visit, after a failed handshake at level may */
	bool need_rset, reporting;

	/* commands sent and not yet answered */
	struct expect ring[CLIENT_RING];
	unsigned ring_at, ring_n;

	/* the transaction on the wire (smtp_txn.c) */
	struct smtp_txn *txn, *finished;
	struct smtp_rcpt *to_send, *to_answer; /* next RCPT, next answer; NULL behind the last */
	unsigned step;                         /* what is pushed next */
	unsigned asked_n, accepted_n;
	uint64_t sent, chunk_left; /* content given to the stream; what is missing of the BDAT chunk */
	struct edit_pos pos;       /* in the message as it is stored */
	struct str window;         /* content at hand, from pos on */
	struct body_out body;
	struct body_scan scan;
	bool bdat, no_bdat, refused, handed_over, answered, fetching;

	/* the pool's */
	TAILQ_ENTRY(smtp_client) link;
	struct hop *hop;
	bool is_idle; /* in the list of those */
};

/* Connects.  `fd` >= 0 is used instead of a new connection (tests).  Failure comes as CLIENT_DEAD. */
void smtp_client_start(struct smtp_client *c, struct loop *l, const struct smtp_target *t, int fd,
		       void (*on_event)(struct smtp_client *, enum client_event));
/* READY clients only. */
void smtp_client_send(struct smtp_client *c, struct smtp_txn *t);
/* The window asked for; `ok` false = it cannot be read, the text says why. */
void smtp_client_content(struct smtp_client *c, bool ok, struct str bytes_or_text);
/* Says QUIT when idle and closes; no events any more.  A transaction on the wire is given up without done(). */
void smtp_client_fini(struct smtp_client *c);

#endif
