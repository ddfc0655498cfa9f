/* smtpd/transaction.h: the message being built: envelope, recipients, content on its way to the spool.
 *
 *   mail -> rcpt* -> content_begin -> content_add* -> content_end -> commit     (reset at any point)
 *
 * Owner: the session.  Memory: the session's arena, rewound at reset.  Problems of the content (bare LF, too large,
 * hops) stick in `verdict` and are answered once, at the end of data; after the first one nothing more is stored.
 * Nothing of the header is stored before all of it is there and on_header has said what of it may pass. */
#ifndef SMTPD_TRANSACTION_H
#define SMTPD_TRANSACTION_H

#include "base/arena.h"
#include "base/guid.h"
#include "connectors/echo.h"
#include "connectors/track.h"
#include "smtpd/claim.h"
#include "smtpd/ident.h"
#include "wire/author.h"
#include "wire/body.h"
#include "wire/cmd.h"
#include "wire/header.h"

struct judge;

struct transaction {
	struct arena *arena;
	struct arena_mark mark;
	struct envelope env;
	struct env_rcpt *rcpts;
	size_t rcpt_cap;
	size_t rejected; /* RCPT refused in this transaction */
	bool straggler;  /* noted as one */
	struct spool *spool;
	struct body_in body;   /* DATA */
	struct body_scan scan; /* BDAT */
	struct header_scan header;
	struct header_notes notes;                           /* fields that on_header may want to edit */
	struct buf held;                                     /* the header so far, unless it comes in one run */
	struct edits edits;                                  /* what on_header wants of it */
	void (*on_header)(void *arg, struct transaction *t); /* once, when the header is complete; may judge */
	void *on_header_arg;
	struct str raw_header; /* all of it as it came; on_header only */
	size_t trace_n;        /* bytes of our Received in front of it */
	/* Set by on_header: hears the body as it came; lets go of the message when it is over, before the spool goes.
	 */
	void (*on_body)(void *arg, struct transaction *t, struct str run);
	void (*on_over)(void *arg, struct transaction *t);
	struct judge *judge;          /* judge.h; NULL: its author is not judged */
	struct str judged;            /* what was found out, for the tracking log; empty: nothing */
	struct ident ident;           /* of the header as well */
	struct mode mode;             /* at the last recipient; epoch 0: none was asked about */
	struct track_headers headers; /* what on_header changed */
	struct claim claim;           /* of the header, as far as it has been read */
	unsigned from_n;              /* From fields in it ... */
	enum author author;           /* ... and whom they name */
	size_t provisional;           /* recipients taken in the hope that the header will prove the organisation ... */
	struct verdict unproved;      /* ... and what is answered when it does not */
	struct {
		bool open;              /* a recipient is where echoes of ours come to; it is none of rcpts */
		struct str tag;         /* of the envelope; empty: it must stand in the header */
		struct echo_seen seen;  /* of the header */
		struct verdict refused; /* ... and what is answered when it does not */
	} echo;
	bool content_open, header_open, header_stored;
	uint64_t size, size_max;
	enum conf_wire_policy bare_policy;
	struct body_normal normal; /* bare_policy: line ends as they are mended */
	struct reply verdict;      /* code 0 = fine so far */
	struct {
		const char *rule, *reason; /* of the verdict, where the decision table gave it; NULL */
	} verdict_rule;
	char text[400]; /* of verdict, when made here */
	char trace_id[GUID_SIZE];
};

void transaction_init(struct transaction *t, struct arena *a);
void transaction_reset(struct transaction *t); /* drops the spool, gives the memory back */
static inline bool transaction_is_open(const struct transaction *t)
{
	return t->env.arrived_ms != 0;
}

/* Copies of `from`, ... go into the arena.  False: the arena is full (452 4.3.1). */
bool transaction_mail(struct transaction *t, const struct cmd_mail *m, int64_t now_ms);
bool transaction_rcpt(struct transaction *t, const struct cmd_rcpt *r);

struct received { /* what our trace field says (spec 4.5, RFC 3848) */
	struct str helo, client, by, protocol, tls;
};

/* Opens the spool and writes Received on top.  on_header may be set before the first content comes.  0, or -1 with the
 * reply in t->verdict. */
int transaction_content_begin(struct transaction *t, struct queue_port *port, const struct received *r,
			      const struct config *c, uint64_t size_max);
void transaction_judge(struct transaction *t, struct reply r); /* the first problem is the one to tell */
void transaction_add_data(void *t, struct str run);            /* for body_in_next: dots are gone already */
void transaction_add_bdat(struct transaction *t, struct str run, bool last);
/* All content is in: judges it.  True: commit; false: answer t->verdict. */
bool transaction_content_end(struct transaction *t, const struct config *c);

#endif
