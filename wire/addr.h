/* wire/addr.h: mailbox and domain grammar (RFC 5321 4.1.2, RFC 6531), and the one normal form used as a key (spec 2.7).
 *
 * One parse, one meaning: no encoded words, no comments, no "%" hack, no trailing junk.  What passes here is re-emitted
 * byte for byte; what does not is refused, never repaired. */
#ifndef WIRE_ADDR_H
#define WIRE_ADDR_H

#include "base/buf.h"

enum addr_error {
	ADDR_OK,
	ADDR_SYNTAX,   /* not a mailbox: 501/553 5.1.3 */
	ADDR_TOO_LONG, /* local > 64, domain > 255 or path > 256 (with `relaxed`: 315, 255, 571) */
	ADDR_UTF8,     /* 8-bit without SMTPUTF8, or not clean UTF-8: 553 5.6.7 */
	ADDR_LITERAL,  /* domain is an address literal: valid, refused as destination by default */
};

struct addr {
	struct str whole;  /* local@domain as received, without source route */
	struct str local;  /* as received, quotes included */
	struct str domain; /* as received; empty only for <postmaster> */
	bool quoted, literal, has_8bit;
};

struct addr_rules {
	bool smtputf8;
	bool relaxed;          /* Exchange's longer limits, for our own side and the peer */
	bool allow_bare_local; /* RCPT TO:<postmaster> */
};

/* `s` is the inside of <...>, possibly with a source route "@a,@b:" in front (stripped).  `out` views `s`. */
enum addr_error addr_parse(struct str s, const struct addr_rules *rules, struct addr *out);

/* Domain alone: letters, digits, hyphens, labels <= 63; with utf8 also U-labels.  No trailing dot, no literal. */
bool addr_is_domain(struct str s, bool utf8);
/* Argument of EHLO/HELO: a domain or an address literal; lenient about underscores (RFC 5321 4.1.4: not refused for
 * DNS). */
bool addr_is_helo(struct str s);

/* The key (spec 2.7): local part unquoted where quoting is not needed, ASCII-lower-cased unless `exact`, NFC for UTF-8;
 * domain as A-labels in lower case without trailing dot.  False when the domain has no A-label form. */
bool addr_normalize(const struct addr *a, bool exact, struct buf *key);
bool addr_normalize_domain(struct str domain, struct buf *out);

/* Well-formed UTF-8 (RFC 3629) without control characters and without those that reorder or end lines: C1, U+2028,
 * U+2029, bidi controls, U+FEFF, noncharacters. */
bool addr_is_utf8(struct str s);

/* xtext (RFC 3461 4).  Both are false for bad syntax and when the decoded value holds control bytes. */
bool addr_is_xtext(struct str s);
bool addr_xtext_decode(struct str s, struct buf *out);
void addr_xtext_encode(struct str s, struct buf *out);

/* True when the bytes can stand between the < and > of a command: no control byte, and SP < > only inside quotes, which
 * are closed.  The client's serialiser asserts it. */
bool addr_is_clean(struct str s);

#endif
