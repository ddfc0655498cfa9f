/* routing/incident.c: the life of an incident between the sides: filed, mended by a change of the table, or resolved.
 */
#include "routing/recipient.h"

#include "base/must.h"
#include "base/time.h"

#include <stdlib.h>

enum { LOOP_SEED = 41, INCIDENT_MEMORY = 256 * 1024 };

uint64_t incident_location(const unsigned char *rid, struct str address)
{
	return rid != NULL ? str_hash(str_n(rid, RID_SIZE), 0) : str_hash(address, 0);
}

uint64_t incident_loop(const struct token_rcpt *r)
{
	return str_hash(str_n(r->id, sizeof r->id), LOOP_SEED);
}

size_t routing_incidents(struct routing *r, struct disagreement *out, size_t max)
{
	return disagree_list(&r->disagree, out, max);
}

size_t routing_incidents_open(struct routing *r)
{
	struct disagreement *all = calloc(DISAGREE_N, sizeof *all);
	struct domain_set *domains = routing_domains(r);
	int64_t since_ms = clock_wall_ms() - domains->loop.disagreement_defer_ms;
	size_t n, open = 0;

	must(all != NULL);
	n = disagree_list(&r->disagree, all, DISAGREE_N);
	for (size_t i = 0; i < n; i++)
		open += all[i].kind == DISAGREE_LOCATION && all[i].last_ms >= since_ms;
	domain_set_unref(&domains);
	free(all);
	return open;
}

/* The record was put right by a hand or an import: it has changed since, and is not on the other side any more. */
static bool is_mended(struct routing *r, const struct disagreement *i)
{
	struct rcpt_record rec;
	struct arena arena;
	bool mended;

	if (i->kind != DISAGREE_LOCATION)
		return false; /* no table says whether the other side knows us again */
	arena_init(&arena, INCIDENT_MEMORY);
	mended = routing_record_get(r, str_c(i->address), &arena, &rec, NULL) == 0 && rec.loc != LOC_REMOTE &&
		 rec.changed_ms > i->last_ms;
	arena_fini(&arena);
	return mended;
}

int routing_incidents_keep(struct routing *r, void (*began)(void *arg, const struct disagreement *i),
			   void (*mended)(void *arg, const struct disagreement *i), void *arg, struct err *e)
{
	struct disagreement *all = calloc(DISAGREE_N, sizeof *all);
	size_t n;

	must(all != NULL);
	n = disagree_list(&r->disagree, all, DISAGREE_N);
	for (size_t i = 0; i < n; i++)
		if (is_mended(r, &all[i]) && disagree_drop(&r->disagree, all[i].who))
			mended(arg, &all[i]);
	free(all);
	return disagree_keep(&r->disagree, began, arg, e);
}

int routing_incident_resolve(struct routing *r, struct str address, enum rcpt_loc loc, struct str routing,
			     struct arena *arena, struct rcpt_record *out, size_t *closed, struct err *e)
{
	struct token_rcpt as_token;

	if (routing_record_get(r, address, arena, out, e) != 0)
		return -1;
	out->loc = loc;
	if (routing.n > 0)
		out->routing = routing;
	if (routing_record_set(r, out, e) != 0 || routing_record_get(r, address, arena, out, e) != 0)
		return -1;
	as_token = token_rcpt_of(out->rid, out->primary);
	*closed = disagree_drop(&r->disagree, incident_location(out->rid, STR_NONE));
	*closed += disagree_drop(&r->disagree, incident_loop(&as_token));
	return 0;
}
