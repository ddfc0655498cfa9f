/* smtpd/beside_fields.h: the header of a message that lies in another MTA: read once, then changed field by field.
 *
 *   read -> (edit | strip | add)* -> put
 *
 * The MTA's milter can take out a field and add one; it cannot change bytes in place.  So the edits of the header
 * policy become that: a field that is changed is taken out and added anew at the end.  Knows: the header policy.  Must
 * not know: recipients. */
#ifndef SMTPD_BESIDE_FIELDS_H
#define SMTPD_BESIDE_FIELDS_H

#include "connectors/header_edits.h"
#include "smtpd/beside.h"
#include "smtpd/claim.h"
#include "wire/author.h"
#include "wire/decide.h"

struct beside_fields { /* zero: nothing was read */
	struct arena *arena;
	struct str header;
	struct header_scan scan;
	struct header_notes notes;
	struct claim claim;
	enum author author;
	unsigned from_n;
	struct beside_field {
		struct str name; /* view of header */
		uint64_t offset;
		size_t raw_n;
		bool stripped;
	} * v;
	size_t n, cap;
	struct decide_field *added;
	size_t added_n, added_cap;
	bool full, reading;
};

/* False: it is larger than limits allow, or is none. `header` must outlive it. */
bool beside_fields_read(struct beside_fields *f, const struct beside *b, struct str header, struct arena *a);
void beside_fields_fini(struct beside_fields *f);

void beside_fields_strip(struct beside_fields *f, struct str name); /* all of that name; none when it is empty */

/* Each false when the arena is full.  Offsets of the edits are those of the header that was read; texts are copied. */
bool beside_fields_edit(struct beside_fields *f, struct edits e);
bool beside_fields_add(struct beside_fields *f, struct str name, struct str value);
bool beside_fields_put(struct beside_fields *f, struct decide_answer *out);

#endif
