/* routing/passage.h: one recipient's way through the two gateways of an organisation, as a model without network.
 *
 * Each gateway is a call of route_decide with what that side would know; between them stands what a hop tells the next
 * one: who handed over, internal or not, the route token.  Pure: the simulator and the path vectors walk alike, and by
 * the same table as real mail. */
#ifndef ROUTING_PASSAGE_H
#define ROUTING_PASSAGE_H

#include "routing/routing.h"

enum { PASSAGE_STEPS_MAX = 12 }; /* gateways passed; past it, it is a loop: long before loop.max_hops */

struct passage_side { /* one gateway, as far as this recipient is concerned */
	/* site, mx, cmt, kind, flags of the record, policies; who sends and the token are the walk's to say */
	struct route_facts facts;
	bool knows_peer;   /* its inbound connector recognises the other side; else that is a stranger from the Internet
			    */
	bool makes_tokens; /* marks what it hands over, and reads its own marks */
	bool follows;      /* a contact or redirection of its table was followed to get to `kind` */
	bool forwards;     /* the mailbox itself, once delivered there, sends on to outside */
};

struct passage_start {
	enum conf_site site; /* where it enters */
	enum env_origin origin;
	bool internal; /* the sender is one of the organisation: what a PEER hop is told */
};

enum passage_end { PASSAGE_DELIVERED, PASSAGE_SENT, PASSAGE_REJECTED, PASSAGE_DEFERRED, PASSAGE_HOPS };

struct passage_step {
	enum conf_site site;
	struct verdict verdict;
	bool forwarded; /* delivered, and sent on by the mailbox */
};

struct passage {
	struct passage_step steps[PASSAGE_STEPS_MAX];
	size_t n;
	enum passage_end end;
};

/* `sides` by enum conf_site. */
void passage_rcpt(const struct passage_side sides[2], const struct passage_start *start, struct passage *out);

/* What the other side takes a recipient for that is `kind` here; `peer_type` is the type it gives the domain. */
enum rcpt_kind passage_mirror(enum rcpt_kind kind, enum conf_domain_type peer_type);

#endif
