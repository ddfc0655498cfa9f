/* auth/arc.h: the Authenticated Received Chain of a message (RFC 8617): is it whole, and who are its links?
 * Verified and passed on as it is; nothing is sealed here.
 *
 *   arc_begin(whole header)                 ARC_NONE at once when there is no chain; then nothing is kept
 *   arc_body*                               the body as it comes
 *   arc_end
 *   while ((name = arc_next(a)).n > 0)      the TXT records of `name` are wanted
 *           arc_answer(a, status, texts, n)
 *   arc_result(a)
 *
 * arc_next may be called before arc_end as well: it then gives the names that will surely be wanted, so that answers
 * are there when the body is.  Newest link first, and nothing further is asked once one link does not hold: a forged
 * chain costs one question, a true one a question for each key (50 links at most, RFC 8617 5.2). RSA with SHA-256 from
 * 1024 bits, and Ed25519.  A body signed only in part (l=) does not hold. No I/O, no clock; memory: a copy of the
 * header while there is a chain.  Any thread, one at a time. */
#ifndef AUTH_ARC_H
#define AUTH_ARC_H

#include "auth/canon.h"
#include "auth/tags.h"
#include "auth/txt.h"

enum { ARC_SETS_MAX = 50, ARC_NAME = 254 };

enum arc_verdict { ARC_NONE, ARC_PASS, ARC_FAIL };
const char *arc_verdict_name(enum arc_verdict v); /* as in Authentication-Results and cv= */

struct arc_link {                    /* of one instance; views that live as long as the struct arc */
	struct str domain, selector; /* of the seal, as written */
	struct str results;          /* ARC-Authentication-Results behind "i=N;": wire/authres reads it */
};

struct arc_result {
	enum arc_verdict verdict;
	bool temporary;           /* FAIL because the DNS did not say: later it might be another */
	unsigned links;           /* of a chain whose form is right: 1..50; else 0 */
	const struct arc_link *v; /* v[0] is instance 1 */
	char why[200];            /* in words, one line */
};

struct arc_field {
	struct str raw, name, value;
};

struct arc_set { /* the three fields of an instance, and what their tags say */
	const struct arc_field *results, *signature, *seal;
	struct tags signature_tags, seal_tags;
};

struct arc_key {
	char name[ARC_NAME];
	bool answered, failed;
	const char *fault; /* why there is no key; NULL: there is */
	struct key key;
};

struct arc {
	char *header; /* the copy */
	struct arc_field *fields;
	size_t field_n, field_cap;
	struct arc_set *sets; /* ARC_SETS_MAX */
	struct arc_link links[ARC_SETS_MAX];
	struct canon_body body;
	unsigned char body_hash[DIGEST_SIZE];
	struct arc_key *keys; /* 1 + ARC_SETS_MAX */
	size_t key_n;
	struct arc_key *wanted;
	unsigned steps; /* signatures that hold, from the newest on */
	uint64_t now_s;
	bool ended, done;
	struct arc_result result;
};

/* `header`: all fields with their CRLFs; the empty line behind them may be there.  Copied.  `now_s`: seconds since
 * 1970, for x=. */
void arc_begin(struct arc *a, struct str header, uint64_t now_s);
static inline bool arc_wants_body(const struct arc *a)
{
	return !a->done && !a->ended;
}
void arc_body(struct arc *a, struct str bytes); /* not looked at when it is not wanted */
void arc_end(struct arc *a);
/* Empty: nothing is wanted now; after arc_end: it is done.  The same until it is answered. */
struct str arc_next(struct arc *a);
void arc_answer(struct arc *a, enum txt_status status, const struct str *texts,
		size_t n);                                /* texts may go right after */
const struct arc_result *arc_result(const struct arc *a); /* when arc_next is empty after arc_end */
void arc_fini(struct arc *a);                             /* at any time; harmless on zeros */

#endif
