/* connectors/times.h: how old mail is when it leaves by a next hop, and when that hop makes it wait.
 *
 * Hops come and go with their traffic; these stay for as long as a loop runs, for the first TIMES_MAX hops by name. The
 * rest is counted as one hop named "other": monitoring systems drown in labels.  Threads: the loop's. */
#ifndef CONNECTORS_TIMES_H
#define CONNECTORS_TIMES_H

#include "connectors/connectors.h"

#include <sys/queue.h>

enum { TIMES_MAX = 100 };

struct times_row {
	SLIST_ENTRY(times_row) link;
	struct hop_times times;
};

struct times {
	SLIST_HEAD(, times_row) rows;
	size_t n;
};

struct hop_times *times_of(struct times *all, const char *hop); /* made when new; "other" when there are too many */
void times_free(struct times *all);
size_t times_copy(const struct times *all, struct hop_times *rows, size_t max);

#endif
