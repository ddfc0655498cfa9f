/* tests/kit/firewall.h: one header through the firewall, as the session and the delivery do it; for tests and vectors.
 */
#ifndef TESTS_KIT_FIREWALL_H
#define TESTS_KIT_FIREWALL_H

#include "connectors/header_edits.h"
#include "smtpd/claim.h"

struct firewall {
	struct arena arena;
	struct header_own own;
	size_t piece; /* bytes given to the scan at once; 0 = all */
	struct header_notes notes;
	struct claim claim; /* of the last header */
	unsigned received;
	struct header_changes in, out;
	struct str added; /* what the outgoing side put on top */
	struct buf text;  /* the message after the last step */
};

void firewall_init(struct firewall *f, struct str own_id);
void firewall_fini(struct firewall *f);
/* Each replaces f->text. */
void firewall_accept(struct firewall *f, const struct header_in *in, struct str message);
void firewall_send(struct firewall *f, const struct header_out *rules, const struct header_added *added);

#endif
