/* smtpd/ident.h: the names a message brings along: Message-ID, its network message id, its subject.
 *
 * The network message id (spec 4.5) is the GUID by which copies of a message are one message on both sides.  It is
 * Exchange's, in the organisation's form inside a side and in the cross-premises form between them; believed only of
 * who may write such fields at all. */
#ifndef SMTPD_IDENT_H
#define SMTPD_IDENT_H

#include "base/arena.h"
#include "base/guid.h"
#include "connectors/header_policy.h"

struct ident {
	struct str message_id, subject; /* of the first such field, unfolded; in the arena, cut */
	char organization[GUID_SIZE], cross[GUID_SIZE];
	bool want_subject; /* to be set by who needs it */
};

void ident_take(struct ident *i, struct arena *a, const struct header_field *f);
/* The id to go on with, empty: our own. */
struct str ident_network_id(const struct ident *i, enum header_trust trust);

#endif
