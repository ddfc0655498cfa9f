/* base/histo.c: counting durations in steps. */
#include "base/histo.h"

const int64_t histo_upto_ms[HISTO_STEPS] = {
	5,    10,    25,    50,    100,    250,    500,     1000,     2500,
	5000, 10000, 30000, 60000, 300000, 900000, 3600000, 14400000, 86400000,
};

void histo_add(struct histo *h, int64_t ms)
{
	size_t i = 0;

	while (i < HISTO_STEPS && ms > histo_upto_ms[i])
		i++;
	h->n[i]++;
	h->sum_ms += ms > 0 ? (uint64_t)ms : 0;
}

void histo_merge(struct histo *to, const struct histo *from)
{
	for (size_t i = 0; i <= HISTO_STEPS; i++)
		to->n[i] += from->n[i];
	to->sum_ms += from->sum_ms;
}

uint64_t histo_total(const struct histo *h)
{
	uint64_t all = 0;

	for (size_t i = 0; i <= HISTO_STEPS; i++)
		all += h->n[i];
	return all;
}
