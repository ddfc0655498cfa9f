/* routing/walk.h: one recipient's way through the two gateways of an organisation, as a model without network.
 *
 * Each gateway is a call of route_decide with what that side would know; between them stands what a hop tells the next
 * one: who handed over, internal or not, the route token.  Pure: the simulator and the path vectors walk alike, and by
 * the same table as real mail. */
#ifndef ROUTING_WALK_H
#define ROUTING_WALK_H

#include "routing/routing.h"

enum { WALK_STEPS_MAX = 12 }; /* gateways passed; past it, it is a loop: long before loop.max_hops */

struct walk_side { /* one gateway, as far as this recipient is concerned */
	/* site, mx, cmt, kind, flags of the record, policies; who sends and the token are the walk's to say */
	struct route_facts facts;
	bool knows_peer;   /* its inbound connector recognises the other side; else that is a stranger from the Internet
			    */
	bool makes_tokens; /* marks what it hands over, and reads its own marks */
	bool follows;      /* a contact or redirection of its table was followed to get to `kind` */
	bool forwards;     /* the mailbox itself, once delivered there, sends on to outside */
};

struct walk_start {
	enum conf_site site; /* where it enters */
	enum env_origin origin;
	bool internal; /* the sender is one of the organisation: what a PEER hop is told */
};

enum walk_end { WALK_DELIVERED, WALK_SENT, WALK_REJECTED, WALK_DEFERRED, WALK_HOPS };

struct walk_step {
	enum conf_site site;
	struct verdict verdict;
	bool forwarded; /* delivered, and sent on by the mailbox */
};

struct walk {
	struct walk_step steps[WALK_STEPS_MAX];
	size_t n;
	enum walk_end end;
};

/* `sides` by enum conf_site. */
void walk_rcpt(const struct walk_side sides[2], const struct walk_start *start, struct walk *out);

/* What the other side takes a recipient for that is `kind` here; `peer_type` is the type it gives the domain. */
enum rcpt_kind walk_mirror(enum rcpt_kind kind, enum conf_domain_type peer_type);

#endif
