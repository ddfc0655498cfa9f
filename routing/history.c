/* routing/history.c: the table as it was, and other reading that no decision does.  Off the loops.
 *
 * A version holds from its changed_ms until that of the next one of its rid.  Addresses are looked up as they are now
 * first; who has lost one (removed, renamed, moved to another recipient) is found by reading the history. */
#include "routing/recipient.h"

#include "base/must.h"

#include <string.h>

enum { SAMPLE_ROWS = 1000, CHANGED_AT = 11 };

static int64_t changed_of(struct str bytes)
{
	return bytes.n >= RECORD_HEAD ? (int64_t)store_num64(str_skip(bytes, CHANGED_AT)) : INT64_MAX;
}

static bool has_address(struct str bytes, struct str address)
{
	struct str a;
	size_t at = 0;

	while (record_next_addr(bytes, &at, &a))
		if (str_eq(a, address))
			return true;
	return false;
}

static bool is_of(struct str key, const unsigned char rid[RID_SIZE])
{
	return key.n == RID_SIZE + 8 && memcmp(key.p, rid, RID_SIZE) == 0;
}

/* ---- one recipient at a time ---- */

/* The version that held then; false: there was none (or it is forgotten). */
static bool version_at(struct routing_view *v, const unsigned char rid[RID_SIZE], struct str *out)
{
	unsigned char from[RID_SIZE + 8] = { 0 };
	struct store_cursor *c;
	struct str k, bytes;
	size_t kept = 0;
	bool found = false;

	memcpy(from, rid, RID_SIZE);
	for (c = store_seek(v->txn, v->routing->hist, str_n(from, sizeof from));
	     store_at(c, &k, &bytes) && is_of(k, rid); store_next(c), kept++)
		if (changed_of(bytes) <= v->now_ms) {
			found = true;
			*out = bytes;
		}
	store_cursor_close(&c);
	if (recipient_bytes(v->routing, v->txn, rid, &bytes) && changed_of(bytes) <= v->now_ms) {
		found = true;
		*out = bytes;
	}
	v->forgotten |= !found && kept >= HISTORY_KEPT;
	return found;
}

/* Somebody who had it then, by reading all that is kept. */
static bool find_former(struct routing_view *v, struct str address, unsigned char rid[RID_SIZE], struct str *out)
{
	struct store_cursor *c;
	struct str k, bytes;
	bool found = false;

	for (c = store_seek(v->txn, v->routing->hist, STR_NONE); !found && store_at(c, &k, &bytes); store_next(c)) {
		if (k.n != RID_SIZE + 8 || !has_address(bytes, address))
			continue;
		memcpy(rid, k.p, RID_SIZE);
		found = version_at(v, rid, out) && has_address(*out, address);
	}
	store_cursor_close(&c);
	return found;
}

bool recipient_find_past(struct routing_view *v, struct str address, unsigned char rid[RID_SIZE], struct str *out)
{
	must(v->past);
	if (recipient_rid(v->routing, v->txn, address, rid) && version_at(v, rid, out) && has_address(*out, address))
		return true;
	return find_former(v, address, rid, out);
}

int routing_begin_at(struct routing *r, int64_t at_ms, struct routing_view *v, struct err *e)
{
	if (routing_begin(r, v, e) != 0)
		return -1;
	v->past = true;
	v->now_ms = at_ms;
	v->stale = false; /* how old the table was then is not kept */
	v->forgotten = !mode_at(r, v->txn, at_ms, &v->mode);
	return 0;
}

/* ---- all versions ---- */

struct telling {
	struct routing *r;
	struct store_txn *t;
	struct arena *arena;
	void (*each)(void *arg, const struct record_version *v);
	void *arg;
	int n;
};

static void tell(struct telling *w, const unsigned char rid[RID_SIZE], struct str bytes, int64_t until_ms)
{
	struct arena_mark mark = arena_mark(w->arena);
	struct record_version v = { .until_ms = until_ms, .removed = record_primary(bytes).n == 0 };

	v.record.changed_ms = changed_of(bytes);
	if (v.removed || record_decode(rid, bytes, w->arena, &v.record, NULL) == 0) {
		w->each(w->arg, &v);
		w->n++;
	}
	arena_rewind(w->arena, mark);
}

static void tell_versions(struct telling *w, const unsigned char rid[RID_SIZE])
{
	unsigned char from[RID_SIZE + 8] = { 0 };
	struct store_cursor *c;
	struct str k, bytes, before = STR_NONE;

	memcpy(from, rid, RID_SIZE);
	for (c = store_seek(w->t, w->r->hist, str_n(from, sizeof from)); store_at(c, &k, &bytes) && is_of(k, rid);
	     store_next(c)) {
		if (before.n > 0)
			tell(w, rid, before, changed_of(bytes));
		before = bytes;
	}
	store_cursor_close(&c);
	if (recipient_bytes(w->r, w->t, rid, &bytes)) {
		if (before.n > 0)
			tell(w, rid, before, changed_of(bytes));
		before = bytes;
	}
	if (before.n > 0)
		tell(w, rid, before, 0);
}

/* Those whose history has the address, but for the one that is told by itself. */
static void tell_former(struct telling *w, struct str address, const unsigned char *told)
{
	unsigned char rid[RID_SIZE], last[RID_SIZE];
	struct store_cursor *c;
	struct str k, bytes;
	bool any = false;

	for (c = store_seek(w->t, w->r->hist, STR_NONE); store_at(c, &k, &bytes); store_next(c)) {
		if (k.n != RID_SIZE + 8 || !has_address(bytes, address))
			continue;
		memcpy(rid, k.p, RID_SIZE);
		if ((told != NULL && memcmp(rid, told, RID_SIZE) == 0) || (any && memcmp(rid, last, RID_SIZE) == 0))
			continue;
		any = true;
		memcpy(last, rid, RID_SIZE);
		tell_versions(w, rid);
	}
	store_cursor_close(&c);
}

int routing_record_history(struct routing *r, struct str address, struct arena *arena,
			   void (*each)(void *arg, const struct record_version *v), void *arg, struct err *e)
{
	struct telling w = { .r = r, .arena = arena, .each = each, .arg = arg };
	struct domain_set *domains = routing_domains(r);
	unsigned char rid[RID_SIZE];
	struct buf key;
	int rc = -1;

	buf_init(&key, 1024);
	if (!domain_normalize(domains, address, &key))
		err_set(e, ERR_SYNTAX, "recipient.history", "not an address: " STR_FMT, STR_ARG(address));
	else if ((w.t = store_read(r->store, e)) != NULL) {
		bool has = recipient_rid(r, w.t, buf_str(&key), rid);
		tell_former(&w, buf_str(&key), has ? rid : NULL);
		if (has)
			tell_versions(&w, rid);
		store_abort(&w.t);
		rc = w.n;
	}
	domain_set_unref(&domains);
	buf_fini(&key);
	return rc;
}

/* ---- samples ---- */

bool routing_sample(struct routing *r, enum rcpt_loc loc, struct arena *arena, struct rcpt_record *out)
{
	struct store_txn *t = store_read(r->store, NULL);
	struct store_cursor *c;
	struct str rid, bytes;
	bool found = false;

	if (t == NULL)
		return false;
	c = store_seek(t, r->rcpt, STR_NONE);
	for (int i = 0; i < SAMPLE_ROWS && !found && store_at(c, &rid, &bytes); i++, store_next(c)) {
		struct arena_mark mark = arena_mark(arena);
		found = rid.n == RID_SIZE &&
			record_decode((const unsigned char *)rid.p, bytes, arena, out, NULL) == 0 && out->loc == loc;
		if (!found)
			arena_rewind(arena, mark);
	}
	store_cursor_close(&c);
	store_abort(&t);
	return found;
}
