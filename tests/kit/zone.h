/* tests/kit/zone.h: a small DNS in text, for tests of SPF: one record a line, `TYPE NAME VALUE`.
 *
 *   TXT a.example v=spf1 -all      A, AAAA, PTR a.example ...      MX a.example 10 mx.example      FAIL a.example
 *
 * FAIL: questions about that name have no answer.  Names that are not there do not exist. */
#ifndef TESTS_KIT_ZONE_H
#define TESTS_KIT_ZONE_H

#include "auth/spf_eval.h"

struct zone {
	struct arena memory;
	struct answers *answers; /* room for the answers given so far */
	struct str text;
};

void zone_init(struct zone *z, struct str text); /* text lives as long as the zone */
void zone_fini(struct zone *z);
void zone_answer(struct zone *z, const struct needs *n); /* into z->answers */
/* Answers what is needed, and asks again, until there is a verdict; *rounds (may be NULL) says how often. */
void zone_spf(struct zone *z, const struct spf_question *q, struct spf_verdict *out, unsigned *rounds);

#endif
