/* auth/dmarc_record.h: one DMARC policy record (RFC 9989 4.7, 4.8).  Pure; any bytes.
 *
 * What is wrong in a record costs that tag only: it gets its default, and `faults` says so. */
#ifndef AUTH_DMARC_RECORD_H
#define AUTH_DMARC_RECORD_H

#include "base/buf.h"

enum dmarc_policy { DMARC_POLICY_NONE, DMARC_POLICY_QUARANTINE, DMARC_POLICY_REJECT };
const char *dmarc_policy_name(enum dmarc_policy p); /* "quarantine" */

enum dmarc_psd { DMARC_PSD_UNKNOWN, DMARC_PSD_YES, DMARC_PSD_NO };

enum dmarc_tag { /* the tags of the registry that are active */
		 DMARC_TAG_ADKIM,
		 DMARC_TAG_ASPF,
		 DMARC_TAG_FO,
		 DMARC_TAG_NP,
		 DMARC_TAG_P,
		 DMARC_TAG_PSD,
		 DMARC_TAG_RUA,
		 DMARC_TAG_RUF,
		 DMARC_TAG_SP,
		 DMARC_TAG_T,
		 DMARC_TAG_N
};

struct dmarc_record {
	enum dmarc_policy p, sp, np; /* valid where has() says so */
	bool adkim_strict, aspf_strict, testing;
	enum dmarc_psd psd;
	struct str rua, ruf, fo; /* as written, into the text; several URIs with commas */
	bool rua_usable;         /* one URI at least has a scheme and something behind it */
	unsigned has;            /* bit of each tag that is there and valid */
	unsigned bad;            /* bit of each tag that is there and is not, or is there again (the first counts) */
	bool malformed;          /* something between semicolons is no tag=value */
};

/* False: no DMARC record, to be passed over: "v" is not the first tag, or its value is not exactly DMARC1. */
bool dmarc_record_parse(struct str text, struct dmarc_record *out);
static inline bool dmarc_record_has(const struct dmarc_record *r, enum dmarc_tag t)
{
	return r->has & 1u << t;
}

/* What the policy tags come to (RFC 9989 4.10.1).  A record with a p that is missing or wrong, or an sp or np that is
 * wrong, asks for nothing but reports: with a usable rua it counts as p=none, without one not at all. */
enum dmarc_use { DMARC_USE_POLICY, DMARC_USE_NONE, DMARC_USE_NOTHING };
enum dmarc_use dmarc_record_use(const struct dmarc_record *r);

/* The faults in words for an administrator: "sp= is not valid; p= is given twice"; nothing when there are none. */
void dmarc_record_tell(const struct dmarc_record *r, struct buf *out);

#endif
