/* connectors/track.h: the tracking log: one event a step of a message (spec 6.5), as a line of JSON or of Exchange's
 * CSV.
 *
 *   RECEIVE -> [RESOLVE, REDIRECT, EXPAND] -> SEND | DEFER ... | FAIL -> [DSN]        FAIL alone: refused at RCPT or
 * DATA
 *
 * A caller fills in what it knows and leaves the rest empty; every text may come from strangers and is escaped here.
 * Costs nothing where the ring is NULL (no track.path); never waits.  docs/TRACKING.md tells the fields.
 * Knows: the columns.  Must not know: files, who reads them.  Threads: the ring's. */
#ifndef CONNECTORS_TRACK_H
#define CONNECTORS_TRACK_H

#include "base/track.h"
#include "connectors/header_edits.h"

enum track_kind { /* event-id */
		  TRACK_RECEIVE,
		  TRACK_RESOLVE,   /* the address became another one of the same mailbox */
		  TRACK_REDIRECT,  /* a contact or redirection of ours was followed */
		  TRACK_EXPAND,    /* a group became its members */
		  TRACK_TRANSFER,  /* a second copy was made, for the mailbox on the other side */
		  TRACK_DUPLICATE, /* DUPLICATEREDIRECT: dropped, the recipient has it already */
		  TRACK_SEND,
		  TRACK_DEFER,
		  TRACK_FAIL,
		  TRACK_DSN,  /* a report was queued; `reference` is its network message id */
		  TRACK_LOST, /* TRACK-LOST: `size` events are missing here */
		  TRACK_KIND_N
};
const char *track_kind_name(enum track_kind k); /* "RECEIVE" */

enum track_source { TRACK_BY_SMTP, TRACK_BY_ROUTING, TRACK_BY_RESOLVER, TRACK_BY_QUEUE, TRACK_BY_DSN };

struct track_tls {
	struct str version, cipher; /* empty: in clear */
	struct str level;           /* what was asked for */
	struct str matched;         /* the name or rule that the other side's certificate satisfied */
	struct str sha256;          /* of that certificate */
};

struct track_headers { /* fields changed at this step */
	unsigned stripped, renamed, promoted, demoted;
	char groups[120]; /* "H4.strip=1 H10.rename=2" */
};
void track_headers_of(const struct header_changes *c, struct track_headers *out);

struct track_event {
	enum track_kind kind;
	enum track_source source;
	struct str client, client_host, server, server_host; /* the two ends of the connection */
	struct str connector;                                /* receive or send connector */
	struct str inbound, how; /* who was calling, by which proof: "cert:mail.contoso.com" */
	struct str context;      /* what the other side said, or why */
	uint64_t queue_id;       /* 0: it never got one */
	struct str message_id, trace;
	const struct env_rcpt *rcpts; /* several, or ... */
	size_t rcpt_n;
	struct str rcpt, related; /* ... one; `related`: what it was before */
	const struct reply *status;
	uint64_t size;
	struct str reference, subject, from, tenant;

	/* custom-data */
	bool has_origin;
	enum env_origin origin;
	enum env_class class;
	enum env_org org;
	const char *rule, *reason, *loc, *next, *form;
	bool straggler;
	const struct mode *mode; /* that was in force; NULL: unknown */
	uint64_t epoch, serial;
	unsigned attempt;
	const struct track_tls *tls;
	const struct track_headers *headers;
	int64_t receive_ms, queue_ms, send_ms; /* latency by stage; 0 = not part of this step */
};

/* One line for the event; one with many recipients is split. */
void track_event(struct track_ring *ring, const struct config *c, const struct track_event *e);
/* The same into `b`: whole, or nothing and b->full. */
bool track_put_event(struct buf *b, const struct config *c, const struct track_event *e, int64_t now_ms);

/* "INTERNET": names of the stored values, and back. */
const char *track_origin_name(enum env_origin o);
bool track_origin_parse(struct str s, enum env_origin *o);

/* For track_options of the configuration. */
void track_put_head(struct buf *b, int64_t now_ms); /* CSV */
void track_put_lost_json(struct buf *b, uint64_t n, int64_t now_ms);
void track_put_lost_csv(struct buf *b, uint64_t n, int64_t now_ms);

#endif
