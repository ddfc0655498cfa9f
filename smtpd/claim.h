/* smtpd/claim.h: what a header says about whose mail this is (spec 4.3): X-OriginatorOrg and the AuthAs of the other
 * side.
 *
 * Only read here; whether it counts is attribution's business.  Two fields that differ claim nothing: which of them the
 * next server believes cannot be known. */
#ifndef SMTPD_CLAIM_H
#define SMTPD_CLAIM_H

#include "wire/header.h"

struct claim {
	char org[256], auth_as[32]; /* empty: not there, or no claim */
	bool org_seen, auth_seen;
};

void claim_take(struct claim *c, const struct header_field *f);

#endif
