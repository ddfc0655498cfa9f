/* auth/tags.h: tag lists of DKIM and ARC (RFC 6376 3.2) and the key records that are one.  Pure; any bytes. */
#ifndef AUTH_TAGS_H
#define AUTH_TAGS_H

#include "base/buf.h"
#include "tls/signature.h"

enum { TAGS_MAX = 32 };

struct tag {
	struct str name;
	struct str value; /* without blanks and folds at its ends */
	struct str whole; /* from behind the = to the ; with everything */
};
struct tags {
	struct tag v[TAGS_MAX];
	size_t n;
};

/* False: no tag list, a name twice, or too many.  Views into `text`. */
bool tags_parse(struct str text, struct tags *out);
const struct tag *tags_find(const struct tags *t, struct str name); /* by case; NULL: not there */
struct str tags_value(const struct tags *t, struct str name);       /* empty: not there, or empty */

/* ---- keys: TXT records at selector._domainkey.domain (RFC 6376 3.6.1, RFC 8463) ---- */

enum { KEY_BYTES_MAX = 2200 };

struct key {
	enum signature_kind kind;
	unsigned char bytes[KEY_BYTES_MAX];
	size_t n;
	bool testing; /* t=y */
};
/* NULL: it is a key for mail that may be used with SHA-256; else why not, a literal. */
const char *key_read(struct str record, struct key *out);

#endif
