/* tests/bed/policy.h: what the header policy makes of a message at one gateway, without the gateway.
 *
 * A window onto connectors/header_policy and tests/kit/firewall for files that know the kit's own `struct caller`. */
#ifndef TESTS_BED_POLICY_H
#define TESTS_BED_POLICY_H

#include "base/buf.h"

enum policy_trust { POLICY_INTERNET, POLICY_PARTNER, POLICY_PEER, POLICY_SERVER, POLICY_CLIENT };
enum policy_target { POLICY_TO_INTERNET, POLICY_TO_PEER, POLICY_TO_INTERNAL };

struct policy_hop {
	enum policy_trust trust;
	enum policy_target target;
	bool endpoint, sender_ours;
	struct str gateway, org; /* our name; the organisation claimed towards the peer, or empty */
	struct str trace;        /* put on top when the message is accepted */
};

/* Replaces the text by what it is behind the hop. */
void policy_pass(const struct policy_hop *h, struct buf *text);

#endif
