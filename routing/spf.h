/* routing/spf.h: does a domain's SPF record name an address that our mail leaves from (RFC 7208)?  Pure.
 *
 *   spf_covers -> SPF_ASK: a question for the DNS -> spf_tell -> spf_covers ... -> covered, not covered, cannot tell
 *
 * This is no verdict about a message: macros, `exists` and `ptr`, which need one, are "cannot tell".  Answers are kept,
 * so each call begins anew and asks for the next thing it lacks; one `spf` serves many domains and addresses.
 * Knows: the DNS's answers.  Must not know: sockets, modes.  Threads: one. */
#ifndef ROUTING_SPF_H
#define ROUTING_SPF_H

#include "routing/routing.h"

enum spf_result { SPF_COVERED, SPF_NOT_COVERED, SPF_UNKNOWN, SPF_ASK };
enum spf_what { SPF_TXT, SPF_HOST, SPF_MX };
/* Mechanisms that ask the DNS, of one domain (RFC 7208 4.6.4); past them receivers see an error.  Answers kept. */
enum { SPF_LOOKUPS_MAX = 10, SPF_ANSWERS_MAX = 400, SPF_NAME = 256, SPF_WHY = 160 };

struct spf;

struct spf_question {
	enum spf_what what;
	char name[SPF_NAME];
};

struct spf *spf_new(void);
void spf_free(struct spf **s);

/* The answer to a question, copied. */
void spf_tell(struct spf *s, const struct spf_question *q, const struct dns_lookup *answer);

/* `egress`: an address, a range (one mechanism must hold all of it), or a name: that of another record which must be
 * included, as providers ask for.  `why` is filled unless it asks; `q` when it does. */
enum spf_result spf_covers(struct spf *s, struct str domain, struct str egress, struct spf_question *q,
			   char why[SPF_WHY]);

#endif
