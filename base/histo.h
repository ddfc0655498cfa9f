/* base/histo.h: how long things took, counted in fixed steps from 5 ms to a day: what a histogram of a monitoring
 * system wants, in constant memory. */
#ifndef BASE_HISTO_H
#define BASE_HISTO_H

#include <stddef.h>
#include <stdint.h>

enum { HISTO_STEPS = 18 };
extern const int64_t histo_upto_ms[HISTO_STEPS]; /* rising; a value equal to a bound is below it */

struct histo {
	uint64_t n[HISTO_STEPS + 1]; /* the last: everything longer */
	uint64_t sum_ms;
};

void histo_add(struct histo *h, int64_t ms); /* less than 0 counts as 0 */
void histo_merge(struct histo *to, const struct histo *from);
uint64_t histo_total(const struct histo *h);

#endif
