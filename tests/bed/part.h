/* tests/bed/part.h: the parts of a run of the bed: each takes the opened bed and counts what held and what did not. */
#ifndef TESTS_BED_PART_H
#define TESTS_BED_PART_H

#include "tests/bed/bed.h"

struct part {
	struct bed *bed;
	const char *name;
	const char *vectors; /* files of paths.csv's form, separated by ':' */
	uint64_t n, seed;    /* how much, where a part can do more or less; 0 = the little that `make test` does */
	size_t passed, failed;
	bool journals; /* both gateways have some: reports are counted */
};

/* Counts; says what failed. */
bool part_check(struct part *p, bool holds, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* With journals: every report is where it belongs; then those about one message, known by its X-Bed, are counted. */
void part_await_reports(struct part *p);
/* `from`: its sender; `taken`: the first gateway took it, and so owes one. */
void part_judge_reports(struct part *p, struct str id, struct str from, bool taken);

/* The people of the fixed tables: ann on-prem, max in the cloud, ...; tests/bed/people.c. */
void part_people(struct bed *b);

void part_rows(struct part *p);     /* every path by a real message */
void part_cases(struct part *p);    /* the paths that are no row there: several recipients, partners, other tenants */
void part_journal(struct part *p);  /* rows and cases again, each with its one journal report */
void part_headers(struct part *p);  /* what each hop does to headers and parameters */
void part_dkim(struct part *p);     /* signed mail still verifies */
void part_random(struct part *p);   /* what arrives is what the model says */
void part_simulate(struct part *p); /* what `tombolo simulate` foretells is what happens */
void part_switch(struct part *p);   /* the mode changes under load */

#endif
