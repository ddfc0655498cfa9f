/* wire/authres.h: the Authentication-Results field (RFC 8601): whose it is, what it says, and writing our own.
 *
 *   authres_is_by(value, id)                     a field that any reader could take for ours: forged, or written by us
 *   authres_open -> authres_next*                what a field says, result by result
 *   authres_begin -> result -> prop* ... -> end  one field into a buffer, folded
 *
 * Reading is strict, recognising is generous: authres_is_by says yes to what the grammar forbids as well (comments
 * inside of the name, a bracket around it, an open quote), because somebody behind us may read it that way. Pure; any
 * bytes; no allocation but the caller's buffer. */
#ifndef WIRE_AUTHRES_H
#define WIRE_AUTHRES_H

#include "base/buf.h"

/* Does the field bear this authserv-id: without case, behind comments and folds, quoted, with a version, with a dot at
 * its end, as U-labels or A-labels?  `value` is what stands behind the colon.  An empty id bears nothing. */
bool authres_is_by(struct str value, struct str id);

/* ---- reading ---- */

enum { AUTHRES_PROPS_MAX = 24, AUTHRES_TEXT_MAX = 4096 };

struct authres_prop { /* "smtp.mailfrom=a@x.example": smtp, mailfrom, a@x.example */
	struct str ptype, property, value;
};

struct authres_result {
	struct str method, result; /* as written; compare without case */
	unsigned version;          /* of the method; 1 when none is given */
	struct str reason;         /* without quotes; empty: none */
	struct authres_prop props[AUTHRES_PROPS_MAX];
	size_t prop_n; /* further ones are passed over */
};

struct authres {
	struct str id;    /* without quotes; empty where a writer leaves it out, as the shared cloud does */
	unsigned version; /* of the field; 1 when none is given */
	struct str rest;  /* not read yet */
	struct buf text;  /* what views point to: in room, so it never moves */
	size_t id_n;
	char room[AUTHRES_TEXT_MAX];
};

/* Reads up to the first result.  False: not of the grammar.  `r` must stay where it is until the last view is used. */
bool authres_open(struct authres *r, struct str value);
/* 1: *out is the next result, its views valid until the next call; 0: no more (or "none"); -1: broken here, and what
 * follows must not be believed. */
int authres_next(struct authres *r, struct authres_result *out);

/* ---- writing ---- */

enum { AUTHRES_LINE = 78, AUTHRES_VALUE_MAX = 320 };

struct authres_writer {
	struct buf *out;
	bool utf8;
	size_t column; /* of the line being written */
	unsigned results;
};

/* `utf8`: the message may have UTF-8 in its header (SMTPUTF8, RFC 6532); else what is not ASCII becomes '?' too.
 *
 * Values come from peers.  Whatever they hold, the field stays one field and the result one result, for readers that
 * know quoting and for those that do not: control bytes, broken UTF-8 and the characters ; ( ) " \ become '?'; what is
 * left is quoted unless it is a plain token or address; past AUTHRES_VALUE_MAX bytes it is cut.
 * Lines end before column 78 unless one value alone is longer. */
void authres_begin(struct authres_writer *w, struct buf *out, struct str id,
		   bool utf8); /* "Authentication-Results: id" */
/* `method`, `result`, `ptype` and `property` are words of ours: keywords, asserted. */
void authres_result(struct authres_writer *w, struct str method, struct str result);
void authres_reason(struct authres_writer *w, struct str reason); /* right behind a result; empty: nothing */
void authres_prop(struct authres_writer *w, struct str ptype, struct str property, struct str value);
void authres_end(struct authres_writer *w); /* "; none" without a result; CRLF */

#endif
