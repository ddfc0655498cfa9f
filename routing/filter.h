/* routing/filter.h: a set of addresses that is small because it sometimes says yes too often (a blocked Bloom filter).
 *
 * "No" is certain, "yes" is wrong about once in 250 when as many addresses were added as there is room for.  One
 * address touches one cache line.  Only addresses that were added count: what was removed from the table stays, until
 * the filter is built again.
 *
 * Threads: any; adding and asking at the same time is fine, what add() has returned from is seen by whoever learns of
 * it afterwards.  Shared by reference count. */
#ifndef ROUTING_FILTER_H
#define ROUTING_FILTER_H

#include "base/str.h"

struct filter;

struct filter *filter_new(uint64_t room);
struct filter *filter_ref(struct filter *f); /* NULL for NULL */
void filter_unref(struct filter **f);

void filter_add(struct filter *f, struct str address);
bool filter_may_have(const struct filter *f, struct str address);

bool filter_is_crowded(const struct filter *f); /* more was added than there is room for */
uint64_t filter_bytes(const struct filter *f);

#endif
