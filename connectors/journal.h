/* connectors/journal.h: whose mail a journal keeps (spec 6.6).  Pure; the lease's part is job_journal.c.
 *
 * A message and one of its recipients are a pair; a rule wants a message when it wants one of its pairs. */
#ifndef CONNECTORS_JOURNAL_H
#define CONNECTORS_JOURNAL_H

#include "config/config.h"

struct journal_party {
	struct str addr; /* empty: the null sender */
	bool ours;       /* of our organisation, on either side */
};

struct journal_facts { /* of one message */
	struct journal_party sender;
	const struct journal_party *rcpts;
	size_t rcpt_n;
};

bool journal_wants(const struct conf_journal *j, const struct journal_facts *f);

#endif
