/* routing/known.c: the filter beside the table: which addresses it certainly does not have (spec 2.2).
 *
 * A guessed address is answered from a few megabytes that stay in memory.  The filter holds every address of the table
 * at the serials [from .. to], and a view uses it only when its own serial is one of them: a filter that is late costs
 * reads, never a wrong "unknown".
 *
 *   known_keep     builds it from the table, under the writers' lock, so that nothing is half written (from = to)
 *   known_add      whoever writes adds its addresses before it commits
 *   known_moved    ... and says after it which serial came of which; one that came of another (another process wrote
 *                  in between) leaves `to` behind, until known_keep sees it and builds again */
#include "routing/recipient.h"

#include "base/must.h"

enum { ROOM_LEAST = 64 * 1024 };

struct filter *known_begin(struct routing *r, uint64_t serial)
{
	pthread_mutex_lock(&r->lock);
	bool covers = r->known.filter != NULL && serial >= r->known.from && serial <= r->known.to;
	struct filter *f = covers ? filter_ref(r->known.filter) : NULL;
	pthread_mutex_unlock(&r->lock);
	return f;
}

void known_add(struct routing *r, struct str address)
{
	pthread_mutex_lock(&r->lock);
	if (r->known.filter != NULL)
		filter_add(r->known.filter, address);
	pthread_mutex_unlock(&r->lock);
}

void known_moved(struct routing *r, uint64_t before, uint64_t after)
{
	pthread_mutex_lock(&r->lock);
	if (r->known.filter != NULL && r->known.to == before)
		r->known.to = after;
	pthread_mutex_unlock(&r->lock);
}

static struct filter *build(struct routing *r, struct store_txn *t)
{
	uint64_t n = store_count(t, r->addr);
	struct filter *f = filter_new(n + n / 2 > ROOM_LEAST ? n + n / 2 : ROOM_LEAST);
	struct store_cursor *c;
	struct str key, rid;

	for (c = store_seek(t, r->addr, STR_NONE); store_at(c, &key, &rid); store_next(c))
		filter_add(f, key);
	store_cursor_close(&c);
	return f;
}

static bool is_good(struct routing *r, uint64_t serial)
{
	struct filter *f = known_begin(r, serial);
	bool good = f != NULL && !filter_is_crowded(f);

	filter_unref(&f);
	return good;
}

int routing_filter_keep(struct routing *r, bool *built, struct err *e)
{
	struct table_state s;
	struct filter *next;
	struct store_txn *t = store_read(r->store, e);
	int rc = t == NULL ? -1 : state_read(r, t, &s, e);

	store_abort(&t);
	*built = false;
	if (rc != 0 || is_good(r, s.serial))
		return rc;
	if ((t = store_write(r->store, e)) == NULL || state_read(r, t, &s, e) != 0) {
		store_abort(&t);
		return -1;
	}
	next = build(r, t);
	if (store_failed(t)) {
		rc = err_set(e, ERR_IO, "recipient.filter", "the recipient table cannot be read");
	} else {
		pthread_mutex_lock(&r->lock);
		struct filter *before = r->known.filter;
		r->known.filter = next;
		r->known.from = r->known.to = s.serial;
		pthread_mutex_unlock(&r->lock);
		next = before;
		*built = true;
	}
	filter_unref(&next);
	store_abort(&t);
	return rc;
}

uint64_t routing_filter_bytes(struct routing *r)
{
	pthread_mutex_lock(&r->lock);
	uint64_t bytes = r->known.filter != NULL ? filter_bytes(r->known.filter) : 0;
	pthread_mutex_unlock(&r->lock);
	return bytes;
}
