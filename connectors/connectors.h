/* connectors/connectors.h: who may connect, and how we connect.
 *
 *   attribute(connection facts) -> inbound connector, origin, class, org        (pure; session, explain, vectors)
 *   select(domain, size, next)  -> send connector, or HOLD / REJECT             (pure; delivery, explain, vectors)
 *   deliver: lease -> route each recipient -> pool -> smtp_client -> outcomes -> lease_settle, failure reports
 *
 * Knows: routing, queue, tls, wire.  Must not know: listeners, server sessions, the control socket.
 * Threads: pure functions any; a struct deliver belongs to one loop. */
#ifndef CONNECTORS_CONNECTORS_H
#define CONNECTORS_CONNECTORS_H

#include "base/histo.h"
#include "config/config.h"
#include "connectors/stage.h"
#include "connectors/tls_need.h"
#include "queue/queue.h"
#include "routing/routing.h"
#include "routing/token.h"
#include "tls/certs.h"

/* ---- receive scope (spec 3.1): the most specific range among those bound to the address the client came to ---- */

/* `local` may be NULL (explain: any listener).  NULL when no range contains the client: refuse with 421/554. */
const struct conf_receive *receive_select(const struct config *c, const struct net_addr *local,
					  const struct net_addr *client);

/* ---- attribution (spec 3.3) ---- */

struct caller { /* facts of one connection */
	const struct conf_receive *receive;
	struct net_addr client;
	bool secured;
	const struct tls_peer *peer; /* NULL when clear */
	struct str from;             /* MAIL FROM address, for partner connectors by P1; empty before MAIL and for <> */
	bool at_mail;                /* MAIL has been seen */
	struct str claim;            /* XOORG or X-OriginatorOrg, empty = none */
	struct str auth_as;          /* X-MS-Exchange-CrossPremises-AuthAs, once the header has been read */
	bool header_seen;            /* no claim can come any more */
	int64_t now_ms;              /* wall clock: trust in addresses has an end */
};

struct attribution {
	const struct conf_inbound *inbound; /* NULL: not attributed */
	enum env_origin origin;
	enum env_class class; /* of a PEER; EXT until headers say otherwise */
	enum env_org org;
	struct str how;                  /* "cert:mail.contoso.com", "ip:10.0.0.0/8", "p1:..."; in `text` */
	const struct conf_inbound *also; /* ambiguous: the other connector that matched as well, NULL = none */
	bool trusted;                    /* header trust of T2: proved to be the peer, cloud_mail, claim ok */
	bool claim_open;                 /* a peer that has not claimed yet: X-OriginatorOrg may still say it */
	bool foreign;                    /* own_tenant_only: this is not our organisation's mail (report or refuse) */
	struct reply refused;            /* code != 0: answer this (530 TLS needed, 550 5.7.51 partner restriction) */
	char text[300];
};

void attribute(const struct config *c, const struct caller *k, struct attribution *out);
/* To a client that speaks in clear where TLS is required: 530 5.7.0, or what Exchange says (spec 5.4). */
struct reply attribute_tls_required(enum conf_codes codes);

/* Somebody who looks like a configured peer or partner and was not recognised by certificate: the first sign of a
 * renewal gone wrong, or of an impostor (spec 3.5.1). */
enum miss_kind { MISS_CHAIN, MISS_NAME, MISS_NO_CERTIFICATE, MISS_IP_TRUST_OVER };

struct attribution_miss {
	const struct conf_inbound *inbound; /* the one it looks like */
	enum miss_kind kind;
	char text[300]; /* why it was not recognised */
};

/* From MAIL on, when TLS has had its chance.  False: nothing suspicious. */
bool attribute_miss(const struct config *c, const struct caller *k, const struct attribution *a,
		    struct attribution_miss *out);
const char *miss_kind_name(enum miss_kind k); /* "chain" */

/* Why the caller was not taken for `in`, in words; for explanations. */
void attribute_why_not(const struct caller *k, const struct attribution *a, const struct conf_inbound *in, char *text,
		       size_t room);

/* ---- selection (spec 3.6) ---- */

enum select_result { SELECT_OK, SELECT_HOLD, SELECT_REJECT };

struct select_query {
	struct str domain; /* A-labels, lower case */
	uint64_t size;     /* 0 = unknown */
	enum route_next next;
	bool exchange_policy; /* documented Exchange behaviour: too small and disabled connectors fall through */
	struct str named;     /* a policy names a connector; empty = by address space */
};

struct select_step {
	const struct conf_send *send;
	const char *why;
}; /* why eliminated, or "chosen" */

struct selection {
	enum select_result result;
	const struct conf_send *send; /* OK: the winner; HOLD/REJECT: the connector that owns the space, may be NULL */
	struct reply reply;           /* REJECT 552 5.3.4, HOLD 451 4.4.x with the reason */
	struct select_step steps[64];
	size_t step_n;
};

void select_send(const struct config *c, const struct select_query *q, struct selection *out);

/* ---- the shared set of one configuration: config + TLS contexts of its connectors ---- */

struct outbound; /* immutable, counted */

/* Slow (PEM files): off the loops.  NULL with err naming the connector. */
struct outbound *outbound_new(const struct config *c, struct err *e);
/* The same with certificates out of a store.  `lenient`: a connector whose certificate is not there is no error, it is
 * degraded: what must go by it waits (spec 3.5.1). */
struct outbound *outbound_with(const struct config *c, struct certs *certs, bool lenient, struct err *e);
/* Why mail for the connector waits; empty when it does not. */
struct str outbound_trouble(const struct outbound *o, const struct conf_send *s);
/* What matters beside the reference when its certificate is chosen. */
struct cert_wish outbound_wish(const struct config *c, const struct conf_send *s);
/* Of the connector; NULL: it shows none.  And its context; NULL: level none, or degraded. */
const struct cert *outbound_certificate(const struct outbound *o, const struct conf_send *s);
struct tls_ctx *outbound_tls(const struct outbound *o, const struct conf_send *s);
struct outbound *outbound_ref(struct outbound *o);
void outbound_unref(struct outbound **o);
const struct token_keys *outbound_token_keys(const struct outbound *o); /* n = 0: no route tokens */

const struct token_keys *outbound_srs_keys(const struct outbound *o); /* n = 0: senders stay as they are */

/* ---- delivery on one loop ---- */

struct deliver;
struct drain;
struct kept;
struct breakers; /* connectors/breaker.h: made and freed by whoever makes the delivers */
struct echo_board;
struct echo_return; /* connectors/echo.h */
struct track_ring;

struct signer;

struct deliver_options {
	struct loop *loop;
	struct queue_port **port; /* where to spool reports; set by the caller after queue_attach */
	struct routing *routing;
	struct dns *dns;
	struct outbound *outbound;
	/* Never deliver to one of these (our own listeners): 554 5.4.6.  Lives as long as the deliver. */
	const struct net_addr *own;
	size_t own_n;
	unsigned shares;             /* loops that share the connection limits; 0 = 1 */
	struct breakers *breakers;   /* shared by all loops; NULL: this deliver's own */
	struct echo_board *echoes;   /* shared by all loops; NULL: no echoes are sent */
	struct track_ring *track;    /* the tracking log of this loop; NULL = none */
	const struct drain *drain;   /* connectors/drain.h; NULL = never */
	const struct signer *signer; /* connectors/sign.h; NULL = nothing is signed */
	struct kept *kept;           /* the replay store, connectors/kept.h; NULL = nothing is kept */
};

struct deliver *deliver_new(const struct deliver_options *o);
/* Closes all connections.  Before queue_detach, which takes the open leases back. */
void deliver_free(struct deliver **d);
void deliver_hurry(struct deliver *d);        /* an administrator says "now": servers that rest are tried at once */
size_t deliver_busy(const struct deliver *d); /* messages being delivered: 0 = drained */
void deliver_reconfigure(struct deliver *d, struct outbound *o); /* new connections use it; idle ones are closed */
void deliver_lease(struct deliver *d, struct lease *l);          /* the callback of queue_attach */

struct hop_stats {
	char hop[200]; /* "to-cloud/mx1.example:25" */
	uint64_t waiting, open, idle, sent, deferred, failed;
	uint64_t window; /* connections it may have now */
	char last_error[200];
};
/* Copies at most `max` rows, busiest first; returns how many there are. */
size_t deliver_stats(const struct deliver *d, struct hop_stats *rows, size_t max);

enum valid_state { VALID_UNVERIFIED, VALID_OK, VALID_DEGRADED, VALID_FAILED };
const char *valid_state_name(enum valid_state s); /* "degraded" */

struct validation { /* of a send connector, again and again (spec 3.8) */
	enum valid_state state;
	int64_t since_ms, checked_ms; /* wall clock; 0 = never */
	char differs[64];             /* the first thing that is not as it should be: "name", "XOORG" */
	char why[400];
};

struct connector_stats { /* of a send connector, since the start */
	char name[128];
	uint64_t sent, deferred, failed; /* recipients */
	uint64_t unknown;                /* messages sent whose answer was lost: possible duplicates */
	uint64_t tls[TLS_DOMAIN + 1]; /* connections by the level they achieved, whatever was asked; none = in clear */
	uint64_t failed_at[AT_N];     /* connections that failed, by stage */
	uint64_t failed_why[WHY_N];   /* the same by reason */
	struct validation valid;      /* of the loop that looks after the connectors */
	struct validation echo;       /* the way back, of the same loop */
	int64_t ok_ms, failed_ms;     /* wall clock; 0 = never */
	char last_tls[200];           /* "TLSv1.3 mail.contoso.com" of the newest connection; "" = clear */
	char last_error[200];
	const char *breaker; /* "closed", "open", "trial" */
	uint64_t breaker_opened;
	char breaker_why[200]; /* while it is not closed */
};
/* This loop looks after the connectors from now on: each that has `validate` is probed in that interval, each that has
 * `echo_to` sends a message that has to come back.  State goes to connector_stats, changes to the log. */
void deliver_validate(struct deliver *d);

/* Where the loops tell the one that looks after the connectors which of its messages came back (echo_watch.c). */
struct echo_board *echo_board_new(void);
void echo_board_free(struct echo_board **b);                               /* when no loop runs any more */
void echo_board_tell(struct echo_board *b, const struct echo_return *how); /* any thread; copied */

/* As above, one row for each connector that has been used. */
size_t deliver_connectors(const struct deliver *d, struct connector_stats *rows, size_t max);

struct hop_times { /* of a next hop, or of all beyond the first hundred ("other"), since the start */
	char hop[200];
	struct histo sent;     /* from acceptance to the next hop's 250 */
	struct histo deferred; /* how old the message was each time it had to wait */
};
/* As above. */
size_t deliver_times(const struct deliver *d, struct hop_times *rows, size_t max);

/* ---- trying a connector: every host of it, stage by stage, without sending mail ---- */

struct probe;

struct probe_order { /* copied */
	struct str connector;
	struct str host; /* only this one, "name[:port]"; empty = where the connector leads */
	struct str rcpt; /* asked with MAIL and RCPT, then RSET; empty = not */
	struct str from; /* empty = postmaster */
};

struct probe_step {      /* views; they die with the call */
	struct str host; /* empty: about all of them (resolve) */
	struct str ip;
	const char *stage; /* "connect", ... "mail", "rcpt" */
	bool ok;
	enum smtp_why why;           /* not ok */
	const struct tls_peer *peer; /* NULL in clear */
	const struct ehlo *caps;     /* what was offered last; NULL: nothing yet */
	int64_t took_ms;
	const char *says;
};

struct probe_end {
	size_t hosts, good; /* addresses tried; those that passed every stage */
	uint64_t size_min;  /* the smallest SIZE any of those offers; 0 = none names one */
};

struct probe_events {
	void *arg;
	void (*step)(void *arg, const struct probe_step *s);
	void (*end)(void *arg, const struct probe_end *e); /* last, once; the probe is gone after it */
};

/* Nothing is called inside this.  One host after the other; patience is the connector's, at most 10 s a stage.  NULL
 * with err: no such connector, or no way to tell which domain to ask for. */
struct probe *probe_start(struct deliver *d, const struct probe_order *o, const struct probe_events *e,
			  struct err *err);
void probe_cancel(struct probe **p); /* no events any more; harmless on NULL.  Before deliver_free. */

#endif
