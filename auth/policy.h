/* auth/policy.h: whose mail is judged, by whose address, and what is done with the verdict (spec 4.7).
 *
 *   header read   policy_original_add(field)*       what a peer may say about where its mail came from
 *   then          policy_scope(connection)          is it judged, by which address is SPF asked, may it be refused
 *   data end      policy_decide(verdicts)           accept, tag, hold, defer, refuse: with the reason in words
 *                 policy_results(verdicts)          the Authentication-Results field that says so
 *
 * DMARC is a promise about the first hop into the organisation, so it is held against mail from the Internet alone. The
 * address of the other side, of a partner or of our own servers says nothing about a message's author: SPF is never
 * asked about it.  Mail of the Internet that came over the other side is judged by the address the other side kept,
 * when its claim is ours, and never refused. Pure: no I/O, no clock, no log; the session, `route explain` and tests
 * call the same functions. */
#ifndef AUTH_POLICY_H
#define AUTH_POLICY_H

#include "auth/arc.h"
#include "auth/dmarc.h"
#include "base/net.h"
#include "config/config.h"
#include "wire/envelope.h"
#include "wire/reply.h"

/* ---- where the other side had it from ---- */

struct policy_original {
	struct net_addr addr;
	unsigned rank;  /* 0: nothing said; ExternalOriginalInternetSender before OriginalClientIPAddress */
	bool ambiguous; /* two fields of one rank name different addresses: believe none */
};
/* Looks at one header field of a message; starts from zeros. */
void policy_original_add(struct policy_original *o, struct str name, struct str value);

/* ---- who is judged ---- */

struct policy_caller {
	const struct conf_receive *receive;
	enum env_origin origin;
	enum env_class class;                   /* of a peer */
	enum env_org org;                       /* of a peer: whose mail it says it is */
	bool trusted;                           /* of a peer: its headers are believed */
	const struct net_addr *client;          /* who connected; behind a load balancer whom it named */
	bool peer_address;                      /* policy_is_peer_address */
	const struct policy_original *original; /* of a peer; NULL: not looked for */
};

struct policy_scope {
	bool judged;
	bool enforced;          /* the verdict may cost the message something */
	struct net_addr client; /* judged: the address SPF is asked about */
	char why[160];          /* in words */
};

/* The address is one of a configured peer (inbound.sender_ip): whoever it is, SPF of its mail would fail. */
bool policy_is_peer_address(const struct config *c, const struct net_addr *client);
void policy_scope(const struct policy_caller *k, struct policy_scope *out);

/* ---- what is done ---- */

/* In the order of severity. */
enum policy_action { POLICY_ACCEPT, POLICY_TAG, POLICY_HOLD, POLICY_DEFER, POLICY_REJECT };
const char *policy_action_name(enum policy_action a); /* "hold" */

/* Why something milder than what was asked for is done. */
enum policy_exempt {
	POLICY_EXEMPT_NOT,
	POLICY_EXEMPT_REPORT,    /* nothing is enforced here */
	POLICY_EXEMPT_SRS,       /* it answers mail that we forwarded */
	POLICY_EXEMPT_ARC,       /* a trusted sealer saw it pass */
	POLICY_EXEMPT_FORWARDER, /* it comes from a listed forwarder */
};

struct policy_in {
	const struct conf_dmarc *conf;
	const struct policy_scope *scope;
	const struct dmarc_result *dmarc;
	const struct arc_result *arc; /* NULL: not looked at */
	struct dmarc_id spf;          /* as given to dmarc_begin */
	const struct dmarc_id *dkim;
	size_t dkim_n;
	bool to_srs; /* each recipient is an SRS address that we made: it cannot be guessed */
};

struct policy_out {
	enum policy_action action; /* what is to be done */
	enum policy_action asked;  /* what would be done if everything were enforced and nothing exempt */
	enum policy_exempt exempt;
	struct reply reply; /* DEFER and REJECT; its text is in `text` */
	char text[400];
	char why[700]; /* verdict and reasons, one line: for the log, the trace and `route explain` */
};

void policy_decide(const struct policy_in *in, struct policy_out *out);

/* Does a link of this chain say, with a seal that is believed, that the author's mail passed DMARC?  Links are believed
 * from the newest on, as long as each is of a trusted domain (or below one).  `why` says which; may be NULL. */
bool policy_arc_vouches(const struct arc_result *arc, const struct conf_list *trusted, const char *author, char *why,
			size_t room);

/* ---- and said ---- */

struct policy_sig {                     /* one DKIM signature that was looked at */
	const char *result;             /* word of RFC 8601 2.7.1 */
	struct str domain, selector, b; /* b: its first characters; all empty: of no signature ("none") */
	struct str reason;              /* empty for a pass */
};

struct policy_said {
	struct str id;                 /* our authserv-id */
	bool utf8;                     /* the message may have UTF-8 in its header */
	const char *spf;               /* word of RFC 8601 2.7.2; NULL: not asked */
	bool helo;                     /* by HELO, not MAIL FROM */
	struct str identity;           /* MAIL FROM address, or HELO name */
	const struct net_addr *client; /* that SPF was asked about */
	const struct policy_sig *sigs;
	size_t sig_n;
	const struct arc_result *arc;     /* NULL: not looked at */
	const struct dmarc_result *dmarc; /* NULL: not looked at */
	const struct policy_out *out;     /* NULL: nothing was decided */
};
/* One field, folded, to be put above all others once those that bear our name are gone (HEADER_RESULTS_OWN). */
void policy_results(const struct policy_said *s, struct buf *out);

#endif
