/* auth/spf_record.h: an SPF record as terms, by the letter of the grammar (RFC 7208 12).  Pure.
 *
 * A record with an error anywhere is no record at all (4.6): the whole of it is read before any of it is used.  Views
 * point into the text. */
#ifndef AUTH_SPF_RECORD_H
#define AUTH_SPF_RECORD_H

#include "base/str.h"

enum { SPF_TERMS_MAX = 400 }; /* of one record; what the DNS can carry has fewer that matter */

enum spf_kind {
	SPF_ALL,
	SPF_INCLUDE,
	SPF_A,
	SPF_MX,
	SPF_PTR,
	SPF_IP4,
	SPF_IP6,
	SPF_EXISTS,
	SPF_REDIRECT,
	SPF_EXP,
	SPF_OTHER, /* a modifier nobody knows: passed over */
};

struct spf_term {
	enum spf_kind kind;
	char qualifier;        /* + - ~ ?; '+' when none is written */
	struct str written;    /* as it stands there */
	struct str body;       /* without qualifier */
	struct str domain;     /* domain-spec; empty: the current domain */
	struct str address;    /* ip4, ip6 */
	unsigned bits4, bits6; /* 32 and 128 when not written */
};

struct spf_record {
	struct spf_term terms[SPF_TERMS_MAX];
	size_t n;
	const struct spf_term *redirect, *exp; /* NULL: none */
};

/* "v=spf1", alone or before a space: this text is meant as an SPF record (4.5). */
bool spf_is_record(struct str text);
/* NULL, or what is wrong (a literal), and *at the term. */
const char *spf_record_parse(struct str text, struct spf_record *r, struct str *at);
/* It has macros: what it names depends on who asks. */
bool spf_has_macro(struct str domain_spec);
/* A name that an SPF check may begin at or go on to (4.3): two labels at least, each of 1 to 63 printable characters.
 */
bool spf_is_domain(struct str name);

#endif
