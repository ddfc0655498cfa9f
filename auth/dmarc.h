/* auth/dmarc.h: DMARC (RFC 9989): may this author's domain be used by who sent this?  A pure evaluator.
 *
 *   dmarc_begin(author domain, SPF, DKIM signatures)
 *   while ((name = dmarc_next(d)).n > 0)      the TXT records of `name` are wanted
 *           dmarc_answer(d, status, texts, n)
 *   dmarc_result(d)
 *
 * Whenever an answer comes, the whole question is worked out again from what is known, until nothing is missing: so the
 * code reads as the RFC does, and no order of answers can confuse it.  Names are asked for once.
 * Policy discovery asks at most eight names (4.10), usually one; the walks of identifiers meet names that are known
 * already, and only identifiers at or below the author's Organizational Domain are walked at all: no other can align.
 *
 * No I/O, no clock, no allocation; any bytes from the DNS.  The struct must stay where it is until it is done with. */
#ifndef AUTH_DMARC_H
#define AUTH_DMARC_H

#include "auth/dmarc_record.h"
#include "auth/txt.h"

enum { DMARC_NAME = 254, DMARC_SIGNATURES_MAX = 16, DMARC_NAMES_MAX = 48 };

enum dmarc_verdict { DMARC_PASS, DMARC_FAIL, DMARC_NONE, DMARC_TEMPERROR, DMARC_PERMERROR };
const char *dmarc_verdict_name(enum dmarc_verdict v); /* as in Authentication-Results */

/* What SPF or one DKIM signature said.  Neutral, softfail, policy and permanent errors are DMARC_ID_NO. */
enum dmarc_id_state { DMARC_ID_NO, DMARC_ID_PASS, DMARC_ID_TEMPERROR };
struct dmarc_id {
	struct str domain; /* SPF: of MAIL FROM, of HELO where the sender is null; DKIM: d= */
	enum dmarc_id_state state;
};

struct dmarc_input {
	struct str author;   /* domain of From (wire/author.h); empty: it names none, or several */
	struct dmarc_id spf; /* no domain: not judged */
	const struct dmarc_id *dkim;
	size_t dkim_n; /* those past DMARC_SIGNATURES_MAX that passed or failed for a time are not looked at */
};

struct dmarc_result {
	enum dmarc_verdict verdict;
	enum dmarc_policy disposition;  /* asked for by the domain, for this message; NONE unless it failed */
	enum dmarc_policy published;    /* the tag that applies, before t=y takes a step back */
	bool testing;                   /* t=y */
	char author[DMARC_NAME];        /* A-labels; empty: none */
	char policy_domain[DMARC_NAME]; /* where the record was found; empty: nowhere */
	char org_domain[DMARC_NAME];    /* of the author; empty where the verdict did not need it */
	char aligned[DMARC_NAME];       /* the identifier a pass rests on */
	bool by_dkim;                   /* it is a signature's, else SPF's */
	char tag[3];                    /* "p", "sp" or "np": where the policy is from */
	unsigned asked;                 /* names */
	char why[480];                  /* in words, one line */
};

struct dmarc_name { /* what is known of one name */
	struct str name;
	bool failed, has_record, exists;
	unsigned records; /* DMARC records there; more than one: none counts */
	struct dmarc_record record;
};

struct dmarc_walked { /* an identifier and its text */
	char text[DMARC_NAME];
	struct str domain;
	enum dmarc_id_state state;
	bool dkim;
};

struct dmarc {
	char author_text[DMARC_NAME];
	struct str author;
	struct dmarc_walked ids[1 + DMARC_SIGNATURES_MAX];
	size_t id_n;
	struct dmarc_name names[DMARC_NAMES_MAX];
	size_t name_n;
	char ask[DMARC_NAME];
	struct str wanted; /* the domain `ask` is about */
	bool wants_author; /* `ask` is the author domain itself: does it exist (np=)? */
	enum { DMARC_EXISTS_UNKNOWN, DMARC_EXISTS, DMARC_EXISTS_NOT, DMARC_EXISTS_FAILED } author_exists;
	bool done;
	struct dmarc_result result;
};

void dmarc_begin(struct dmarc *d, const struct dmarc_input *in); /* copies what it needs */
/* The name whose TXT records are wanted next; empty: it is done.  The same until it is answered. */
struct str dmarc_next(struct dmarc *d);
/* `texts` may go right after; with any status but TXT_DATA there are none. */
void dmarc_answer(struct dmarc *d, enum txt_status status, const struct str *texts, size_t n);
const struct dmarc_result *dmarc_result(const struct dmarc *d); /* when dmarc_next is empty */

#endif
