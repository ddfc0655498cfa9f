/* wire/header.h: the one header parser of the program (RFC 5322 2.2, 4.5.x obs-): an incremental scan over a message's
 * start.
 *
 * Feed bytes as they arrive; a field is reported when its last line is known (the next line does not fold).  The header
 * ends at the first empty line, or before the first line that is no field and no fold (then `broken` is set: an empty
 * line has to be put there, or somebody behind us reads on where we stopped).  A mailbox's "From " line in front of the
 * first field is passed over (`mbox`).
 * A line ends at LF, with or without CR (what may pass is judged by wire/body).
 * Field names compare without case and without blanks before the colon.  Views are valid during the callback only. */
#ifndef WIRE_HEADER_H
#define WIRE_HEADER_H

#include "base/buf.h"

struct header_field {
	struct str name;  /* without blanks before the colon */
	struct str value; /* behind the colon, folds and final CRLF included */
	struct str raw;   /* the whole field, CRLFs included */
	uint64_t offset;  /* of raw in the message */
};

struct header_scan {
	struct buf field; /* the field being collected */
	uint64_t offset;  /* of field in the message */
	uint64_t mbox;    /* bytes of a "From " line in front; no field, and not to be passed on */
	uint64_t end;     /* offset of the body (behind the empty line); valid when done */
	unsigned fields;
	unsigned received, received_own; /* Received fields; those "by" our own name */
	bool done, broken, too_big;      /* too_big: refuse the message; `end` then means nothing */
	size_t max_bytes;                /* of the whole header block */
	unsigned max_fields;
	struct str own_name;                                       /* for received_own */
	void (*on_field)(void *arg, const struct header_field *f); /* may be NULL */
	void *arg;
};

void header_scan_init(struct header_scan *h, size_t max_bytes, unsigned max_fields, struct str own_name);
void header_scan_fini(struct header_scan *h);
/* Returns how many bytes of `run` lie before `end` (all of them until done).  A line that breaks the header may have
 * begun in an earlier run: then `end` lies before this run and 0 is returned.  After done it costs nothing. */
size_t header_scan_add(struct header_scan *h, struct str run);
void header_scan_finish(struct header_scan *h); /* end of message: a header without body is a header */

bool header_name_is(struct str name, struct str wanted); /* without case */
/* Value without folds and surrounding blanks, one line. */
void header_unfold(struct str value, struct buf *out);

#endif
