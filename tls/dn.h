/* tls/dn.h: distinguished names as administrators of Exchange write them, to refer to a certificate (spec 3.5.6).
 *
 *   <I>CN=R11, O=Let's Encrypt, C=US<S>CN=mail.contoso.com
 *
 * Most specific RDN first; quotes around values with commas, doubled inside; " + " inside a multi-valued RDN.  Names
 * are compared as lists of RDNs, attribute types by OID, never as text.  Pure; everything lives in the caller's arena.
 */
#ifndef TLS_DN_H
#define TLS_DN_H

#include "base/arena.h"
#include "base/err.h"

struct dn_attribute {
	struct str oid;   /* dotted: "2.5.4.3" */
	struct str value; /* UTF-8, unquoted, runs of spaces collapsed */
};

struct dn_rdn {
	struct dn_attribute *v; /* order means nothing */
	size_t n;
};

struct dn {
	struct dn_rdn *v; /* most specific first */
	size_t n;
};

struct dn_reference {
	struct dn issuer, subject;
};

enum dn_order { DN_DIFFERENT, DN_SAME, DN_REVERSED };

enum { DN_TEXT_MAX = 4096 };

/* 0, or -1 with err ERR_SYNTAX in words for the administrator. */
int dn_parse(struct str text, struct arena *a, struct dn *out, struct err *e);
int dn_parse_reference(struct str text, struct arena *a, struct dn_reference *out, struct err *e);

/* Values compare without case and after NFC.  DN_REVERSED: equal when one is read from its other end, which is how the
 * two printing traditions differ; whether that is good enough is the caller's decision (and worth a log line). */
enum dn_order dn_compare(const struct dn *a, const struct dn *b);

#endif
