/* wire/edits.h: a message with some bytes left out and others put in, read run by run; no copy of it is made.
 *
 * Edits say where in the source they are, rise and do not overlap.  Everything between them stays bit-exact. */
#ifndef WIRE_EDITS_H
#define WIRE_EDITS_H

#include "base/str.h"

struct edit {
	uint64_t at;       /* offset in the source */
	uint64_t drop;     /* source bytes from there that are left out */
	struct str insert; /* goes before them */
};

struct edits { /* a view; all zero: no edits */
	const struct edit *v;
	size_t n;
};

struct edit_pos {     /* zero: at the beginning */
	uint64_t at;  /* offset in the source: where the next source bytes have to come from */
	size_t next;  /* the edit at or behind it */
	size_t given; /* bytes of its insertion that are out */
};

/* How much longer the edited message is; negative when it is shorter. */
int64_t edits_growth(struct edits e);

/* The next run of the edited message, at most `most` > 0 bytes: a view into `source` or into an insertion.
 * `source` holds the source's bytes from pos->at on; what was used is taken off its front.  An empty run: there is no
 * more before more source is given. */
struct str edits_take(struct edits e, struct edit_pos *pos, struct str *source, size_t most);

bool edits_check(struct edits e); /* they rise and do not overlap */

#endif
