/* auth/spf_eval.h: check_host() of RFC 7208 4: a pure function of who asks and what the DNS said.
 *
 *   spf_eval -> EVAL_NEEDS: what is missing is in `needs`; get it, call again with more answers
 *            -> EVAL_VERDICT
 *
 * Records are read whole before they are used, terms are looked at in order, and what they may cost is counted here: 10
 * terms that ask the DNS, 2 of them for nothing, 10 hosts of an MX.  Each single mechanism is libspf2's
 * (auth/spf_lib.h). */
#ifndef AUTH_SPF_EVAL_H
#define AUTH_SPF_EVAL_H

#include "auth/auth.h"
#include "auth/spf_lib.h"

enum { SPF_TERMS_ASKING = 10, SPF_VOIDS = 2, SPF_DEPTH = 11, SPF_STORY_MAX = 8192 };

struct spf_question {
	struct net_addr client;
	struct str helo, sender; /* as in auth_spf_ask */
	struct str receiver;     /* our name, for %{r} */
	int64_t now_s;           /* for %{t} */
	bool wants_story;
};

struct spf_verdict {
	enum auth_result result;
	bool helo, secure;
	char domain[AUTH_NAME], mechanism[AUTH_NAME], explanation[AUTH_TEXT], why[AUTH_TEXT];
	unsigned lookups, voids;
	struct buf story; /* the caller's: init before, fini after */
};

enum eval { EVAL_VERDICT, EVAL_NEEDS };

enum eval spf_eval(const struct spf_question *q, const struct answers *answers, struct needs *needs,
		   struct spf_verdict *out);

/* As payloads: question and answers; a verdict. */
void spf_question_put(const struct spf_question *q, const struct answers *answers, struct buf *b);
bool spf_question_read(struct str payload, struct spf_question *q, struct answers *answers);
void spf_verdict_put(const struct spf_verdict *v, struct buf *b);
bool spf_verdict_read(struct str payload, struct spf_verdict *v); /* appends to v->story */

#endif
