/* connectors/milter_edits.h: what a content filter wants changed of a message, checked as a whole and applied all or
 * nothing.
 *
 *   milter_wish_add* (as the filter's packets come)  ->  milter_edits_apply(view)  ->  milter_view_header ->
 * spool_rewrite
 *
 * A view is header and envelope of one message as filters see them: several of them work on the same view one after the
 * other, so each sees what those before it did.  The body is not here: whoever reads it knows where it stands.
 * Header names and values are made harmless here and nowhere else (hardening ML-4).  Pure but for the arena. */
#ifndef CONNECTORS_MILTER_EDITS_H
#define CONNECTORS_MILTER_EDITS_H

#include "base/arena.h"
#include "wire/addr.h"
#include "wire/envelope.h"
#include "wire/milter.h"

enum { MILTER_WISHES_MAX = 5000 }; /* of one filter about one message */

struct milter_wish {
	enum milter_answer kind;
	uint32_t index;
	struct str name, value;
	struct milter_wish *next;
};

struct milter_wishes { /* all zero: none */
	struct milter_wish *first, *last;
	size_t n;
};
/* Copies it into the arena.  False: there are too many. */
bool milter_wish_add(struct milter_wishes *w, struct arena *a, const struct milter_answer_parts *p);

struct milter_field {
	struct str raw;  /* as it stands in the message, CRLFs included */
	struct str name; /* into raw */
	bool ours;       /* written by this gateway on top: no filter sees or changes it */
};

struct milter_view {
	struct arena *arena;
	struct milter_field *fields;
	size_t field_n;
	struct envelope env; /* a copy of the transaction's; its strings may be in the arena */
	bool leading_space;  /* this filter handles values with the blank behind the colon (ML-8) */
	size_t rcpt_max;     /* limits.recipients */
	size_t header_max;   /* bytes, with what filters add */
	size_t field_max;
	/* may mail from this sender be sent to that recipient?  NULL = yes */
	bool (*may_send_to)(void *arg, const struct addr *rcpt);
	void *arg;
	bool header_changed, envelope_changed;
};

/* Header text and value as a filter gets them: without its final CRLF, lines split by LF alone.  The result is in
 * `room`. */
void milter_field_value(const struct milter_field *f, bool leading_space, struct buf *room);

/* NULL, or why nothing of it was done: `why` is a literal for the log.  A view that was not changed keeps its flags. */
const char *milter_edits_apply(struct milter_view *v, const struct milter_wishes *w);

/* The whole header of the view with its empty line, in the arena; p == NULL: the arena has no room. */
struct str milter_view_header(const struct milter_view *v);

/* The reason a filter gives for a quarantine as one printable line of at most 200 bytes behind "quarantine by NAME: ".
 */
void milter_put_reason(struct buf *b, struct str milter, struct str reason);

#endif
