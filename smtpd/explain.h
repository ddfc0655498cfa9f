/* smtpd/explain.h: the decision about one recipient, told step by step.
 *
 *   receive connector -> attribution -> resolution -> rules -> decision -> send connectors -> TLS -> reply
 *
 * Calls the functions that decide for sessions and deliveries (receive_select, attribute, routing_route, select_send),
 * so what it tells cannot disagree with what happens.  Changes nothing.
 * Knows: connectors, routing.  Must not know: JSON, sockets.  Threads: any; reads the store, so not on a loop. */
#ifndef SMTPD_EXPLAIN_H
#define SMTPD_EXPLAIN_H

#include "connectors/connectors.h"

struct explain_query {
	struct str rcpt; /* local@domain */
	struct str from; /* local@domain; empty = null sender */
	struct str ip;   /* of the client; empty = of nobody in particular */
	struct str via;  /* receive connector; empty = found by ip */
	bool secured;
	const struct str *cert_names; /* of a valid certificate; any: the connection is secured */
	size_t cert_name_n;
	const struct tls_peer *peer;  /* instead of names: a certificate as it would be seen; NULL = none */
	bool chain_assumed;           /* ... whose chain nobody has looked at */
	struct str why_not;           /* a send or inbound connector: why it was not taken; empty = not asked */
	struct str claim;             /* organisation */
	enum env_class class;         /* ENV_CLASS_NONE: as attribution says */
	const struct token_keys *srs; /* keys of SRS addresses; NULL = none */
	bool token_seen, redirected;
	bool has_mode; /* mx, cmt: instead of the mode in force */
	enum conf_side mx;
	bool cmt;
	uint64_t size;     /* 0 = unknown */
	int64_t at_ms;     /* mode and records as they were then; 0 = now */
	struct str header; /* of the message; empty: only what the policy does to groups of fields is told */
};

struct explain_line {
	const char *step; /* "rule", "connector" ... */
	struct str name;  /* "R40", "to-cloud" */
	struct str says;
	bool hit; /* the one that decided, among its like */
};

struct explain_result { /* the same as values; texts in the arena */
	struct str receive, inbound, how, connector, tls_domain, rcpt, hop_domain, hop_host;
	const char *origin, *class, *org;
	const char *kind, *rule, *reason, *action, *next, *form, *tls, *cause, *fixer; /* NULL: not reached */
	bool straggler, held;
	struct mode mode;
	uint64_t serial;
	struct reply reply;
};

/* `line` is called for each step; its views die when it returns.  0, or -1 with err: ERR_SYNTAX when the question is
 * wrong (no such connector, not an address), others when the store failed. */
int explain(const struct config *c, struct routing *r, const struct explain_query *q, struct arena *arena,
	    void (*line)(void *arg, const struct explain_line *l), void *arg, struct explain_result *out,
	    struct err *e);

#endif
