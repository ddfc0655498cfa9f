/* wire/reply.h: SMTP replies, both ways (RFC 5321 4.2, RFC 2034, RFC 3463).
 *
 * Server: a struct reply is a value (a 550 is a protocol outcome, not an error); reply_put is the only writer and
 * cleans the text of control bytes.  Client: reply_next takes replies off the input, whatever their number of lines. */
#ifndef WIRE_REPLY_H
#define WIRE_REPLY_H

#include "base/buf.h"

struct reply {
	int code;                       /* 200..599; 0 = no reply yet */
	unsigned char class;            /* of the enhanced code: 2, 4, 5; 0 = none is sent */
	unsigned short subject, detail; /* the rest of it: 5.7.509 is 5, 7, 509 */
	struct str text;                /* one line or several split by '\n'; must live until written */
};

/* REPLY(550, 5,1,1, "no such mailbox") as a value. */
#define REPLY(c, x, y, z, t) ((struct reply){ .code = (c), .class = (x), .subject = (y), .detail = (z), .text = S(t) })

static inline bool reply_is_ok(const struct reply *r)
{
	return r->code >= 200 && r->code < 400;
}
static inline bool reply_is_transient(const struct reply *r)
{
	return r->code >= 400 && r->code < 500;
}
static inline bool reply_is_permanent(const struct reply *r)
{
	return r->code >= 500;
}

/* Appends the reply, CRLF included.  Lines are cut at 510 bytes (the challenge of a 334 is not), TAB becomes SP, other
 * control and 8-bit bytes become '?'.  Empty text gets a default; the enhanced code's class follows the basic code. */
void reply_put(struct buf *out, const struct reply *r);

enum { REPLY_LINES_MAX = 1000, REPLY_BYTES_MAX = 64 * 1024, REPLY_LINE_MAX = 4096 };

enum reply_error { REPLY_MORE = 0, REPLY_TOO_LONG = -1, REPLY_SYNTAX = -2, REPLY_MIXED_CODES = -3 };

/* Takes one complete reply off `in`.  Returns bytes used (> 0), REPLY_MORE, or a negative reply_error (close the
 * connection). Accepts "250-", "250 ", "250" alone; LF without CR only when `lax`.  out->text is the view of everything
 * behind the first line's code, later codes and all CRLFs included: read it with reply_lines or reply_put_flat.  The
 * enhanced code is parsed off the first line and clamped to the class of the basic code (CVE-2026-43964); absent =
 * class 0. */
int reply_next(struct str in, bool lax, struct reply *out);

/* Walks the lines of a client-side reply: *line is the text after code and separator, enhanced code included. */
bool reply_lines(struct str *rest, struct str *line);
/* A client-side reply as one clean line for logs and reports: "550 5.1.1 no such user". */
void reply_put_flat(struct buf *out, const struct reply *r);

/* "5.1.1" -> parts.  False when it is not class.subject.detail with class 2, 4 or 5 and numbers < 1000. */
bool reply_parse_enhanced(struct str s, unsigned char *class, unsigned short *subject, unsigned short *detail);

#endif
