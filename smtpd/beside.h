/* smtpd/beside.h: the same decisions for an MTA that stays in its place: as tables it looks up (socketmap), and as
 * answers to its milter.
 *
 *   transport   recipient -> how it leaves: "smtp:[host]:port", "error:5.1.1 ...", "retry:4.4.1 ..."
 *   virtual     recipient -> routing address, redirection, members
 *   recipients  recipient -> is there such a one
 *   tls_policy  next hop  -> how much TLS, and whose certificate: "secure match=name"
 *   decide      tombolo-milter's questions (wire/decide.h)
 *
 * An MTA that asks a table says nothing about the message: a lookup is answered as for mail of our own servers.
 * Functions of one snapshot; what is written is log lines, and what switches and disagreements remember of real mail.
 * Knows: routing, connectors, the header policy.  Must not know: sockets.  Threads: any; one at a time a struct. */
#ifndef SMTPD_BESIDE_H
#define SMTPD_BESIDE_H

#include "connectors/connectors.h"

enum { BESIDE_ANSWER_MAX = 4 * 1024 * 1024, BESIDE_MEMBERS_MAX = 1000 };

struct beside {
	const struct config *config;
	struct routing *routing;
	const struct token_keys *srs, *tokens; /* n = 0: none */
	int64_t now_ms;                        /* wall clock */
};

/* Appends one socketmap answer: "OK DATA", "NOTFOUND ", "TEMP WHY" or "PERM WHY". */
void beside_lookup(const struct beside *b, struct str map, struct str key, struct buf *out);

/* Appends "OK " and the answer to a question of tombolo-milter, or "PERM WHY" when it is none. */
void beside_decide(const struct beside *b, struct str question, struct buf *out);

/* ---- what both go by (smtpd/beside_way.c) ---- */

enum beside_end {
	BESIDE_GOES,    /* by `send`, under the addresses `to` */
	BESIDE_HELD,    /* its way is closed: `reply` says why */
	BESIDE_REFUSED, /* `reply`, 4xx or 5xx */
	BESIDE_DROPPED, /* nothing is sent and nobody told */
};

struct beside_way { /* texts in the arena, or of the configuration */
	enum beside_end end;
	struct reply reply;
	struct verdict verdict;
	struct mode mode;
	const struct conf_send *send; /* GOES; NULL for a group, whose members go their own ways */
	struct str hop_domain, hop_host;
	const struct str *to;
	size_t to_n;
	bool renamed; /* `to` is not just the address that was asked about */
};

/* False when the table cannot be read or the arena is full (err). */
bool beside_find(const struct beside *b, struct routing_view *v, const struct route_query *q, struct arena *a,
		 struct beside_way *out, struct err *e);

/* smtpd/beside_tls.c: false: nothing is said about this next hop ("name", "[name]:port"). */
bool beside_tls_policy(const struct config *c, struct str hop, struct buf *out);

#endif
