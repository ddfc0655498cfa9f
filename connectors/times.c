/* connectors/times.c: ages of mail by next hop; see the header. */
#include "connectors/times.h"

#include "base/must.h"

#include <stdio.h>
#include <stdlib.h>

static struct hop_times *find(struct times *all, const char *hop)
{
	struct times_row *r;

	SLIST_FOREACH (r, &all->rows, link)
		if (str_eq(str_c(r->times.hop), str_c(hop)))
			return &r->times;
	return NULL;
}

struct hop_times *times_of(struct times *all, const char *hop)
{
	struct hop_times *known = find(all, hop);

	if (known == NULL && all->n >= TIMES_MAX)
		known = find(all, hop = "other");
	if (known != NULL)
		return known;
	struct times_row *r = calloc(1, sizeof *r);
	must(r != NULL);
	snprintf(r->times.hop, sizeof r->times.hop, "%s", hop);
	SLIST_INSERT_HEAD(&all->rows, r, link);
	all->n++;
	return &r->times;
}

void times_free(struct times *all)
{
	struct times_row *r;

	while ((r = SLIST_FIRST(&all->rows)) != NULL) {
		SLIST_REMOVE_HEAD(&all->rows, link);
		free(r);
	}
	all->n = 0;
}

size_t times_copy(const struct times *all, struct hop_times *rows, size_t max)
{
	const struct times_row *r;
	size_t n = 0;

	SLIST_FOREACH (r, &all->rows, link) {
		if (n < max)
			rows[n] = r->times;
		n++;
	}
	return n;
}
