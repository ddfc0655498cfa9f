/* smtpd/spf_check.h: one domain's SPF record against the addresses its mail leaves from: routing/spf with its questions
 * asked of the DNS.
 *
 *   set dns, loop, spf, domain, done -> spf_check_add* -> spf_check_go_on -> (done later | false: at once) -> result
 *
 * Knows: routing.  Must not know: control calls, checks.  Threads: the loop's. */
#ifndef SMTPD_SPF_CHECK_H
#define SMTPD_SPF_CHECK_H

#include "routing/spf.h"

enum { SPF_EGRESS_MAX = 64 };

struct spf_check {
	struct dns *dns;
	struct loop *loop;
	struct spf *spf; /* shared: what one domain asked, the next need not */
	struct str domain;
	void (*done)(struct spf_check *k);

	struct str egress[SPF_EGRESS_MAX];
	size_t n, at;
	struct spf_question question;
	struct dns_lookup lookup;
	enum spf_result result; /* the worst of all addresses: not covered, not known, covered */
	char why[SPF_WHY + 80];
};

void spf_check_add(struct spf_check *k, const struct conf_list *addresses);
/* True: done() comes, from the loop.  False: the result is there (SPF_UNKNOWN when nothing was added). */
bool spf_check_go_on(struct spf_check *k);
void spf_check_fini(struct spf_check *k); /* cancels; harmless on a zeroed one */

/* The lists of the sides mail leaves from for the Internet when central transport is `cmt`; 1 or 2.  A list that is
 * empty is not known. */
size_t spf_check_sides(const struct config *c, bool cmt, const struct conf_list *lists[2], const char *names[2]);

#endif
