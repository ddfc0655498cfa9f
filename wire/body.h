/* wire/body.h: message content on the wire: DATA with dot-stuffing, strictly; BDAT counting is arithmetic and lives
 * with its users.
 *
 * Only CR LF "." CR LF ends DATA (hardening 4.1).  A bare CR, bare LF or NUL is content to be judged, never an end. */
#ifndef WIRE_BODY_H
#define WIRE_BODY_H

#include "base/buf.h"

/* Decoder: five states, starts "after CRLF" so that "." CRLF right after 354 is an empty message. */
struct body_in {
	enum { BODY_LINE_START, BODY_TEXT, BODY_CR, BODY_DOT, BODY_DOT_CR, BODY_END } state;
	bool bare_cr, bare_lf, nul, has_8bit; /* seen in the content; sticks */
	bool at_line_start;                   /* of the content given out (for a final CRLF check) */
};

void body_in_init(struct body_in *b);
/* Takes bytes off `in`: *used of them, giving content views through `out` (called with runs, in order, never empty).
 * Returns true at end of data (then *used stops right behind it).  Content is what the sender meant: dots unstuffed,
 * the CRLF before the final dot included. */
bool body_in_next(struct body_in *b, struct str in, size_t *used, void (*out)(void *arg, struct str run), void *arg);

/* Judges a run of BDAT content for bare CR/LF/NUL across calls; nothing is decoded. */
struct body_scan {
	bool last_cr, bare_cr, bare_lf, nul, has_8bit;
};
void body_scan(struct body_scan *b, struct str run, bool last);

/* Bare CR and bare LF made CRLF across calls: gives the next run of what comes out, taking it off the front of `in`;
 * empty: `in` is used up.  `last_cr` at the very end stands for one more CRLF. */
struct body_normal {
	bool last_cr;
};
struct str body_normalise(struct body_normal *b, struct str *in);

/* Encoder for DATA: stuffs dots across calls; finish adds CRLF when the content did not end in one, then "." CRLF. */
struct body_out {
	bool mid_line; /* last byte given was not the LF of a CRLF */
	bool last_cr;
};
void body_out_init(struct body_out *b);
/* Appends `run` stuffed.  Bare CR and bare LF are the caller's to have refused; here each is must() (hardening SM-O).
 */
bool body_out_add(struct body_out *b, struct str run, struct buf *to);
bool body_out_finish(struct body_out *b, struct buf *to);

#endif
