/* auth/spf_lib.h: THE libspf2 file: one mechanism at a time.
 *
 * The library gets a record of one term and answers from a table, so it needs no network and the order of terms, the
 * limits and the errors of RFC 7208 4.6 stay ours (auth/spf_eval.h).  What it lacks is noted in `needs`, and what it
 * then says is worth nothing.  Known wrong verdicts that are put right here are in docs/AUTH.md. Threads: one.  May
 * abort() inside on its own errors: for a process that may die. */
#ifndef AUTH_SPF_LIB_H
#define AUTH_SPF_LIB_H

#include "auth/answers.h"
#include "auth/spf_macro.h"
#include "auth/spf_record.h"
#include "base/net.h"

enum spf_match { MATCH_NO, MATCH_YES, MATCH_TEMPERROR, MATCH_PERMERROR, MATCH_NEEDS };

struct spf_input {
	struct net_addr client;
	const char *helo;   /* a name or what the client said; never empty */
	const char *sender; /* "local@domain" */
	const char *domain; /* of the sender: %{o}, where the check begins */
	const char *receiver;
	int64_t now_s;
	const struct answers *answers;
};

struct spf_run { /* zero but for input, domain, needs */
	const struct spf_input *input;
	const char *domain; /* the current one: %{d} */
	struct needs *needs;
	unsigned asked, voids;    /* questions of this term; those that found nothing */
	bool too_many;            /* more than 10 MX hosts */
	bool insecure;            /* an answer was not signed */
	char target[ANSWER_NAME]; /* spf_lib_target */
};

/* a, mx, ptr, exists, ip4, ip6. */
enum spf_match spf_lib_match(struct spf_run *run, const struct spf_term *term);
/* The domain a domain-spec with %{p} names.  False: it names none, or something is needed first (*lacking). */
bool spf_lib_target(struct spf_run *run, struct str domain_spec, bool *lacking);
struct spf_macros spf_macros_of(const struct spf_run *run);

#endif
