/* routing/recipient.c: recipients and mode in one LMDB folder, and the domains of the configuration beside it. */
#include "routing/recipient.h"

#include "base/must.h"
#include "base/time.h"
#include "routing/member.h"
#include "routing/sender.h"

#include <stdlib.h>
#include <string.h>

enum { STATE_FORMAT = 2, STATE_SIZE = 43, STATE_SIZE_1 = 35, HASH_SEED = 0x746f6d62, MAP_DEFAULT_GIB = 4 };
static const struct str state_key = STR_LIT("state");

/* ---- open, close, configure ---- */

static int open_tables(struct routing *r, struct err *e)
{
	const struct {
		const char *name;
		store_db *db;
	} tables[] = { { "addr", &r->addr },   { "rcpt", &r->rcpt },        { "ext", &r->ext },
		       { "hist", &r->hist },   { "member", &r->member },    { "meta", &r->meta },
		       { "strag", &r->strag }, { "incident", &r->incident } };

	for (size_t i = 0; i < sizeof tables / sizeof *tables; i++)
		if (store_table(r->store, tables[i].name, tables[i].db, e) != 0)
			return -1;
	return 0;
}

/* First start: the configuration's mode is the mode.  Later the stored one is, whatever the configuration says: a flow
 * that was switched must not switch back at a restart. */
static int first_state(struct routing *r, const struct config *c, struct err *e)
{
	struct table_state s = { .mode = { c->mode.mx, c->mode.cmt, 1, clock_wall_ms(), 0 }, .serial = 1 };
	struct store_txn *t = store_write(r->store, e);
	struct str found;

	if (t == NULL)
		return -1;
	if (store_get(t, r->meta, state_key, &found)) {
		store_abort(&t);
		return 0;
	}
	state_write(r, t, &s);
	mode_keep(r, t, &s.mode, S("configuration"));
	return store_commit(&t, e);
}

struct routing *routing_open(const struct config *c, struct err *e)
{
	struct store_options o = { .map_bytes = c->recipients.map_bytes, .dbs = 8 };
	struct routing *r = calloc(1, sizeof *r);

	must(r != NULL);
	if (o.map_bytes == 0)
		o.map_bytes = (size_t)MAP_DEFAULT_GIB << 30;
	pthread_mutex_init(&r->lock, NULL);
	pthread_mutex_init(&r->peer.lock, NULL);
	r->domains = domain_set_new(c, e);
	if (r->domains != NULL)
		r->store = store_open(c->recipients.path.p, &o, e);
	if (r->store == NULL || open_tables(r, e) != 0 || first_state(r, c, e) != 0 ||
	    disagree_open(&r->disagree, r->store, r->incident, e) != 0 ||
	    stragglers_open(&r->stragglers, r->store, r->strag, (size_t)c->mode.straggler_sources, e) != 0)
		routing_close(&r);
	return r;
}

void routing_close(struct routing **rp)
{
	struct routing *r = *rp;

	if (r == NULL)
		return;
	stragglers_close(&r->stragglers);
	disagree_close(&r->disagree);
	store_close(&r->store);
	filter_unref(&r->known.filter);
	domain_set_unref(&r->domains);
	pthread_mutex_destroy(&r->peer.lock);
	pthread_mutex_destroy(&r->lock);
	free(r);
	*rp = NULL;
}

int routing_reconfigure(struct routing *r, const struct config *c, struct err *e)
{
	struct domain_set *next = domain_set_new(c, e), *before;

	if (next == NULL)
		return -1;
	pthread_mutex_lock(&r->lock);
	before = r->domains;
	r->domains = next;
	pthread_mutex_unlock(&r->lock);
	domain_set_unref(&before);
	return 0;
}

struct domain_set *routing_domains(struct routing *r)
{
	pthread_mutex_lock(&r->lock);
	struct domain_set *s = domain_set_ref(r->domains);
	pthread_mutex_unlock(&r->lock);
	return s;
}

/* ---- the state record: {u8 format, u8 mx, u8 cmt, u64 epoch, i64 since_ms, u64 serial, i64 imported_ms, i64
 * locked_ms}; format 1 had no locked_ms ---- */

int state_read(struct routing *r, struct store_txn *t, struct table_state *out, struct err *e)
{
	struct str s;

	if (!store_get(t, r->meta, state_key, &s) || s.n < 1 ||
	    s.n != (s.p[0] == 1              ? STATE_SIZE_1
		    : s.p[0] == STATE_FORMAT ? STATE_SIZE
					     : 0u))
		return err_set(e, ERR_CORRUPT, "recipient.state", "the state of the recipient table does not check");
	*out = (struct table_state){
		.mode = { .mx = s.p[1] != 0 ? SIDE_CLOUD : SIDE_ONPREM,
			  .cmt = s.p[2] != 0,
			  .epoch = store_num64(str_skip(s, 3)),
			  .since_ms = (int64_t)store_num64(str_skip(s, 11)),
			  .locked_ms = s.n == STATE_SIZE ? (int64_t)store_num64(str_skip(s, 35)) : 0 },
		.serial = store_num64(str_skip(s, 19)),
		.imported_ms = (int64_t)store_num64(str_skip(s, 27)),
	};
	return 0;
}

void state_write(struct routing *r, struct store_txn *t, const struct table_state *s)
{
	unsigned char b[STATE_SIZE] = { STATE_FORMAT, s->mode.mx == SIDE_CLOUD, s->mode.cmt };

	store_key64(b + 3, s->mode.epoch);
	store_key64(b + 11, (uint64_t)s->mode.since_ms);
	store_key64(b + 19, s->serial);
	store_key64(b + 27, (uint64_t)s->imported_ms);
	store_key64(b + 35, (uint64_t)s->mode.locked_ms);
	store_put(t, r->meta, state_key, str_n(b, sizeof b));
}

/* ---- reading ---- */

struct addr_key {
	char room[18];
	struct str key;
	bool hashed;
};

/* LMDB keys end at 511 bytes: longer addresses stand under a hash, and the record found must have the address. */
static void make_key(struct addr_key *k, struct str address)
{
	k->key = address;
	k->hashed = address.n > 480;
	if (!k->hashed)
		return;
	k->room[0] = 'H';
	k->room[1] = ':';
	store_key64((unsigned char *)k->room + 2, str_hash(address, HASH_SEED));
	store_key64((unsigned char *)k->room + 10, str_hash(address, HASH_SEED + 1));
	k->key = str_n(k->room, sizeof k->room);
}

static bool has_addr(struct str bytes, struct str address)
{
	struct str a;
	size_t at = 0;

	while (record_next_addr(bytes, &at, &a))
		if (str_eq(a, address))
			return true;
	return false;
}

bool recipient_may_exist(const struct filter *f, struct str address)
{
	struct addr_key k;

	if (f == NULL)
		return true;
	make_key(&k, address);
	return filter_may_have(f, k.key);
}

bool recipient_bytes(struct routing *r, struct store_txn *t, const unsigned char rid[RID_SIZE], struct str *bytes)
{
	return store_get(t, r->rcpt, str_n(rid, RID_SIZE), bytes);
}

bool recipient_rid(struct routing *r, struct store_txn *t, struct str address, unsigned char rid[RID_SIZE])
{
	struct addr_key k;
	struct str found, bytes;

	make_key(&k, address);
	if (!store_get(t, r->addr, k.key, &found) || found.n != RID_SIZE)
		return false;
	memcpy(rid, found.p, RID_SIZE);
	return !k.hashed || (recipient_bytes(r, t, rid, &bytes) && has_addr(bytes, address));
}

bool recipient_find(struct routing *r, struct store_txn *t, struct str address, unsigned char rid[RID_SIZE],
		    struct str *bytes)
{
	return recipient_rid(r, t, address, rid) && recipient_bytes(r, t, rid, bytes);
}

bool recipient_by_mailbox(struct routing *r, struct store_txn *t, struct str mailbox_id, unsigned char rid[RID_SIZE])
{
	struct str found;

	if (mailbox_id.n == 0 || !store_get(t, r->ext, mailbox_id, &found) || found.n != RID_SIZE)
		return false;
	memcpy(rid, found.p, RID_SIZE);
	return true;
}

int routing_begin(struct routing *r, struct routing_view *v, struct err *e)
{
	struct table_state s = { 0 };
	struct store_txn *t = store_read(r->store, e);

	if (t == NULL)
		return -1;
	if (state_read(r, t, &s, e) != 0) {
		store_abort(&t);
		return -1;
	}
	*v = (struct routing_view){ .routing = r,
				    .txn = t,
				    .domains = routing_domains(r),
				    .mode = s.mode,
				    .serial = s.serial,
				    .filter = known_begin(r, s.serial),
				    .now_ms = clock_wall_ms() };
	/* a table that nobody imports does not age: it is kept by hand */
	v->stale = v->domains->recipients.max_age_ms > 0 && s.imported_ms > 0 &&
		   v->now_ms - s.imported_ms > v->domains->recipients.max_age_ms;
	return 0;
}

void routing_end(struct routing_view *v)
{
	store_abort(&v->txn);
	filter_unref(&v->filter);
	domain_set_unref(&v->domains);
}

/* ---- writing ---- */

void rid_make(unsigned char rid[RID_SIZE], uint64_t serial, uint64_t n)
{
	store_key64(rid, serial);
	store_key64(rid + 8, n);
}

void recipient_put_addr(struct routing *r, struct store_txn *t, struct str address, const unsigned char rid[RID_SIZE])
{
	struct addr_key k;

	make_key(&k, address);
	known_add(r, k.key);
	store_put(t, r->addr, k.key, str_n(rid, RID_SIZE));
}

static void del_addr(struct routing *r, struct store_txn *t, struct str address)
{
	struct addr_key k;

	make_key(&k, address);
	store_del(t, r->addr, k.key);
}

/* rid ‖ version of the record that is replaced; only the newest HISTORY_KEPT stay. */
static void put_history(struct routing *r, struct store_txn *t, const unsigned char rid[RID_SIZE], struct str old)
{
	unsigned char key[RID_SIZE + 8] = { 0 }, oldest[RID_SIZE + 8] = { 0 };
	struct str k, v;
	size_t n = 0;

	memcpy(key, rid, RID_SIZE);
	struct store_cursor *c = store_seek(t, r->hist, str_n(key, sizeof key));
	for (; store_at(c, &k, &v) && k.n == sizeof key && memcmp(k.p, rid, RID_SIZE) == 0; store_next(c))
		if (n++ == 0)
			memcpy(oldest, k.p, sizeof oldest);
	store_cursor_close(&c);
	if (n >= HISTORY_KEPT)
		store_del(t, r->hist, str_n(oldest, sizeof oldest));
	memcpy(key + RID_SIZE, old.p + 3, 8); /* the version, as the record has it */
	store_put(t, r->hist, str_n(key, sizeof key), old);
}

/* Since when it is gone: a head one version on, without addresses. */
static void put_tombstone(struct routing *r, struct store_txn *t, const unsigned char rid[RID_SIZE], struct str old)
{
	unsigned char key[RID_SIZE + 8];
	char head[RECORD_HEAD];
	uint64_t version = store_num64(str_skip(old, 3)) + 1;

	must(old.n >= sizeof head);
	memcpy(head, old.p, sizeof head);
	record_stamp(head, version, clock_wall_ms());
	memcpy(key, rid, RID_SIZE);
	store_key64(key + RID_SIZE, version);
	store_put(t, r->hist, str_n(key, sizeof key), str_n(head, sizeof head));
}

static void drop_old(struct routing *r, struct store_txn *t, const unsigned char rid[RID_SIZE], struct str old,
		     struct str next)
{
	struct str a, mailbox = record_field(old, TAG_MAILBOX);
	size_t at = 0;

	while (record_next_addr(old, &at, &a))
		if (!has_addr(next, a))
			del_addr(r, t, a);
	if (mailbox.n > 0 && !str_eq(mailbox, record_field(next, TAG_MAILBOX)))
		store_del(t, r->ext, mailbox);
	put_history(r, t, rid, old);
}

void recipient_put(struct routing *r, struct store_txn *t, const unsigned char rid[RID_SIZE], struct str bytes,
		   struct str old)
{
	struct str mailbox = record_field(bytes, TAG_MAILBOX);
	struct buf copy;

	buf_init(&copy, RECORD_MAX);
	if (old.n > 0 && buf_add(&copy, old))
		drop_old(r, t, rid, buf_str(&copy), bytes);
	buf_fini(&copy);
	store_put(t, r->rcpt, str_n(rid, RID_SIZE), bytes);
	if (mailbox.n > 0)
		store_put(t, r->ext, mailbox, str_n(rid, RID_SIZE));
}

void recipient_drop(struct routing *r, struct store_txn *t, const unsigned char rid[RID_SIZE], struct str old)
{
	struct buf copy;

	buf_init_sure(&copy, RECORD_MAX);
	must(buf_add(&copy, old));
	drop_old(r, t, rid, buf_str(&copy), STR_NONE);
	put_tombstone(r, t, rid, buf_str(&copy));
	buf_fini(&copy);
	member_put(r, t, rid, STR_NONE, 0);
	store_del(t, r->rcpt, str_n(rid, RID_SIZE));
}

static const char *normal_owner(const struct domain_set *s, struct str *owner, struct buf *room, struct arena *arena)
{
	if (owner->n == 0)
		return NULL;
	buf_reset(room);
	return domain_normalize(s, *owner, room) && arena_dup(arena, buf_str(room), owner)
		       ? NULL
		       : "the owner is not an address";
}

static const char *normal_senders(const struct domain_set *s, struct str *list, struct buf *room, struct arena *arena)
{
	if (list->n == 0)
		return NULL;
	buf_reset(room);
	const char *problem = sender_normalize(s, *list, room);
	if (problem == NULL && !arena_dup(arena, buf_str(room), list))
		problem = "the list of senders is too long";
	return problem;
}

const char *recipient_normal(const struct domain_set *s, struct rcpt_record *rec, struct arena *arena)
{
	const char *problem;
	struct buf room;

	buf_init(&room, RECORD_MAX);
	problem = normal_owner(s, &rec->owner, &room, arena);
	if (problem == NULL)
		problem = normal_senders(s, &rec->allow, &room, arena);
	if (problem == NULL)
		problem = normal_senders(s, &rec->deny, &room, arena);
	buf_fini(&room);
	return problem;
}

/* A group whose home is the other side needs an address there, as a mailbox does. */
static const char *group_problem(const struct domain_set *s, const struct rcpt_record *rec)
{
	enum rcpt_expand there = s->site == SITE_ONPREM ? EXPAND_CLOUD : EXPAND_ONPREM;

	if (rec->expand_at == there && rec->routing.n == 0 && s->site == SITE_ONPREM)
		return "expanded on the other side, but no routing address";
	if (rec->report_to == REPORT_OWNER && rec->owner.n == 0)
		return "report_to is owner, but there is no owner";
	return NULL;
}

const char *recipient_problem(const struct domain_set *s, const struct rcpt_record *rec)
{
	bool follows = rec->loc == LOC_REDIRECT || rec->loc == LOC_CONTACT;

	if (rec->addr_n > RECORD_ADDRS_MAX)
		return "more than 1000 addresses";
	if (rec->mailbox_id.n > 500)
		return "mailbox_id longer than 500 bytes";
	if (rec->loc == LOC_REMOTE && rec->routing.n == 0 && s->site == SITE_ONPREM)
		return "remote, but no routing address";
	if (rec->loc == LOC_BOTH && rec->routing.n == 0)
		return "both, but no routing address";
	if (follows && rec->redirect.n == 0 && rec->routing.n == 0)
		return rec->loc == LOC_CONTACT ? "contact, but no target in redirect or routing"
					       : "redirect, but no target in redirect";
	if (follows && rec->keep_copy)
		return "keep_copy needs a mailbox: loc local, remote or both";
	if (rec->loc != LOC_GROUP && rec->members.n > 0)
		return "only a group has members";
	return rec->loc == LOC_GROUP ? group_problem(s, rec) : NULL;
}

/* ---- one record ---- */

static int normalize(struct routing *r, struct str address, struct buf *key, struct err *e)
{
	struct domain_set *s = routing_domains(r);
	bool good = domain_normalize(s, address, key);

	domain_set_unref(&s);
	return good ? 0 : err_set(e, ERR_SYNTAX, "recipient", "not an address: " STR_FMT, STR_ARG(address));
}

int routing_record_get(struct routing *r, struct str address, struct arena *arena, struct rcpt_record *out,
		       struct err *e)
{
	unsigned char rid[RID_SIZE];
	struct str bytes;
	struct buf key;
	struct store_txn *t;
	int rc = -1;

	buf_init(&key, 1024);
	if (normalize(r, address, &key, e) == 0 && (t = store_read(r->store, e)) != NULL) {
		struct member_head members = { 0 };
		if (recipient_find(r, t, buf_str(&key), rid, &bytes))
			rc = record_decode(rid, bytes, arena, out, e);
		else
			err_set(e, ERR_NOT_FOUND, "recipient.get", "no recipient has " STR_FMT, STR_ARG(address));
		if (rc == 0 && member_head(r, t, rid, &members))
			out->member_n = members.n;
		store_abort(&t);
	}
	buf_fini(&key);
	return rc;
}

int routing_members(struct routing *r, struct str address, struct buf *out, struct err *e)
{
	unsigned char rid[RID_SIZE];
	struct str lines;
	struct buf key;
	struct store_txn *t;
	int rc = -1;

	buf_init(&key, 1024);
	if (normalize(r, address, &key, e) == 0 && (t = store_read(r->store, e)) != NULL) {
		if (recipient_rid(r, t, buf_str(&key), rid))
			rc = 0;
		else
			err_set(e, ERR_NOT_FOUND, "recipient.members", "no recipient has " STR_FMT, STR_ARG(address));
		for (uint32_t at = 0; rc == 0 && member_chunk(r, t, rid, at, &lines) && buf_add(out, lines); at++)
			;
		store_abort(&t);
	}
	buf_fini(&key);
	return rc;
}

/* The record as stored: addresses in normal form, each once, primary first. */
static int normal_record(struct routing *r, const struct rcpt_record *rec, struct arena *a, struct rcpt_record *out,
			 struct err *e)
{
	struct buf key;
	int rc = 0;

	*out = *rec;
	out->addr_n = 0;
	out->addrs = arena_alloc(a, (rec->addr_n + 1) * sizeof *out->addrs);
	if (rec->addr_n > RECORD_ADDRS_MAX || out->addrs == NULL)
		return err_set(e, ERR_TOO_BIG, "recipient.set", "too many addresses");
	buf_init(&key, 1024);
	for (size_t i = 0; i <= rec->addr_n && rc == 0; i++) { /* the primary, then all: it may stand among them */
		bool seen = false;
		buf_reset(&key);
		rc = normalize(r, i == 0 ? rec->primary : rec->addrs[i - 1], &key, e);
		for (size_t j = 0; j < out->addr_n && rc == 0 && !seen; j++)
			seen = str_eq(out->addrs[j], buf_str(&key));
		if (rc == 0 && !seen && !arena_dup(a, buf_str(&key), &out->addrs[out->addr_n++]))
			rc = err_set(e, ERR_TOO_BIG, "recipient.set", "record too big");
	}
	buf_fini(&key);
	return rc;
}

static int normal_lists(struct routing *r, struct rcpt_record *rec, struct buf *members, struct arena *arena,
			struct err *e)
{
	struct domain_set *s = routing_domains(r);
	const char *problem = recipient_problem(s, rec);
	struct str bad;

	if (problem == NULL)
		problem = recipient_normal(s, rec, arena);
	if (problem == NULL &&
	    member_normalize(s, rec->members, (uint64_t)s->recipients.group_members, members, &bad) != 0)
		problem = bad.n > 0 ? "a member is not an address" : "more members than recipients.group_members";
	domain_set_unref(&s);
	return problem == NULL
		       ? 0
		       : err_set(e, ERR_SYNTAX, "recipient.set", STR_FMT ": %s", STR_ARG(rec->primary), problem);
}

static int check_unique(struct routing *r, struct store_txn *t, const struct rcpt_record *rec, struct err *e)
{
	unsigned char rid[RID_SIZE];

	for (size_t i = 0; i < rec->addr_n; i++)
		if (recipient_rid(r, t, rec->addrs[i], rid) && memcmp(rid, rec->rid, RID_SIZE) != 0)
			return err_set(e, ERR_SYNTAX, "recipient.set", STR_FMT " belongs to another recipient",
				       STR_ARG(rec->addrs[i]));
	if (recipient_by_mailbox(r, t, rec->mailbox_id, rid) && memcmp(rid, rec->rid, RID_SIZE) != 0)
		return err_set(e, ERR_SYNTAX, "recipient.set", "mailbox_id " STR_FMT " belongs to another recipient",
			       STR_ARG(rec->mailbox_id));
	return 0;
}

static int put_record(struct routing *r, struct store_txn *t, struct rcpt_record *rec, struct str members,
		      struct buf *bytes, struct err *e)
{
	struct table_state s = { 0 };
	struct str old = STR_NONE;

	if (state_read(r, t, &s, e) != 0)
		return -1;
	s.serial++;
	if (!recipient_find(r, t, rec->addrs[0], rec->rid, &old))
		rid_make(rec->rid, s.serial, 0);
	else if (!str_eq(record_primary(old), rec->addrs[0]))
		return err_set(e, ERR_SYNTAX, "recipient.set", STR_FMT " is an alias of " STR_FMT,
			       STR_ARG(rec->addrs[0]), STR_ARG(record_primary(old)));
	if (check_unique(r, t, rec, e) != 0)
		return -1;
	rec->version = s.serial;
	rec->changed_ms = clock_wall_ms();
	record_encode(rec, bytes);
	if (bytes->full)
		return err_set(e, ERR_TOO_BIG, "recipient.set", "record too big");
	recipient_put(r, t, rec->rid, buf_str(bytes), old);
	for (size_t i = 0; i < rec->addr_n; i++)
		recipient_put_addr(r, t, rec->addrs[i], rec->rid);
	if (rec->set_members || rec->loc != LOC_GROUP)
		member_put(r, t, rec->rid, members, s.serial);
	state_write(r, t, &s);
	return 0;
}

int routing_record_set(struct routing *r, const struct rcpt_record *rec, struct err *e)
{
	struct rcpt_record normal;
	struct store_txn *t = NULL;
	struct arena arena;
	struct buf bytes, members;
	int rc = -1;

	arena_init(&arena, 4 * RECORD_MAX);
	buf_init(&bytes, RECORD_MAX);
	buf_init(&members, rec->members.n * 8 + 4096);
	if (normal_record(r, rec, &arena, &normal, e) == 0 && normal_lists(r, &normal, &members, &arena, e) == 0 &&
	    (t = store_write(r->store, e)) != NULL && put_record(r, t, &normal, buf_str(&members), &bytes, e) == 0)
		rc = store_commit(&t, e);
	if (rc == 0)
		known_moved(r, normal.version - 1, normal.version);
	store_abort(&t);
	buf_fini(&bytes);
	buf_fini(&members);
	arena_fini(&arena);
	return rc;
}

int routing_record_remove(struct routing *r, struct str address, struct err *e)
{
	unsigned char rid[RID_SIZE];
	struct table_state s = { 0 };
	struct str old;
	struct store_txn *t = NULL;
	struct buf key;
	int rc = -1;

	buf_init(&key, 1024);
	if (normalize(r, address, &key, e) != 0 || (t = store_write(r->store, e)) == NULL ||
	    state_read(r, t, &s, e) != 0)
		goto out;
	if (!recipient_find(r, t, buf_str(&key), rid, &old)) {
		err_set(e, ERR_NOT_FOUND, "recipient.remove", "no recipient has " STR_FMT, STR_ARG(address));
		goto out;
	}
	recipient_drop(r, t, rid, old);
	s.serial++;
	state_write(r, t, &s);
	rc = store_commit(&t, e);
	if (rc == 0)
		known_moved(r, s.serial - 1, s.serial);
out:
	store_abort(&t);
	buf_fini(&key);
	return rc;
}

/* ---- facts about the table ---- */

int routing_stats(struct routing *r, struct routing_stats *out, struct err *e)
{
	struct table_state s = { 0 };
	struct store_txn *t = store_read(r->store, e);
	int rc = t == NULL ? -1 : state_read(r, t, &s, e);

	if (rc == 0)
		*out = (struct routing_stats){ .recipients = store_count(t, r->rcpt),
					       .addresses = store_count(t, r->addr),
					       .serial = s.serial,
					       .imported_ms = s.imported_ms,
					       .map_used = store_map_used(r->store) };
	store_abort(&t);
	return rc;
}

static bool record_is_whole(struct routing *r, struct store_txn *t, struct str rid, struct str bytes, size_t *addrs)
{
	unsigned char owner[RID_SIZE];
	struct str a, mailbox = record_field(bytes, TAG_MAILBOX);
	size_t at = 0;

	for (; record_next_addr(bytes, &at, &a); ++*addrs)
		if (!recipient_rid(r, t, a, owner) || !str_eq(rid, str_n(owner, RID_SIZE)))
			return false;
	return mailbox.n == 0 || (recipient_by_mailbox(r, t, mailbox, owner) && str_eq(rid, str_n(owner, RID_SIZE)));
}

/* Every list belongs to a group and has as many lines as its head says. */
static bool members_are_whole(struct routing *r, struct store_txn *t)
{
	struct store_cursor *c;
	struct str key, value, bytes;
	uint64_t lines = 0, counted = 0;
	bool whole = true;

	for (c = store_seek(t, r->member, STR_NONE); whole && store_at(c, &key, &value); store_next(c)) {
		struct member_head h = { 0 };
		if (key.n == RID_SIZE)
			whole = recipient_bytes(r, t, (const unsigned char *)key.p, &bytes) &&
				bytes.p[1] == LOC_GROUP && member_head(r, t, (const unsigned char *)key.p, &h);
		lines += h.n;
		for (size_t i = 0; key.n != RID_SIZE && i < value.n; i++)
			counted += value.p[i] == '\n';
	}
	store_cursor_close(&c);
	return whole && lines == counted;
}

int recipient_check(struct routing *r, struct err *e)
{
	struct store_txn *t = store_read(r->store, e);
	struct store_cursor *c;
	struct str rid, bytes;
	size_t addrs = 0;
	bool whole = true;

	if (t == NULL)
		return -1;
	for (c = store_seek(t, r->rcpt, STR_NONE); whole && store_at(c, &rid, &bytes); store_next(c))
		whole = record_is_whole(r, t, rid, bytes, &addrs);
	store_cursor_close(&c);
	whole = whole && addrs == store_count(t, r->addr) && members_are_whole(r, t);
	store_abort(&t);
	return whole ? 0 : err_set(e, ERR_CORRUPT, "recipient.check", "records and addresses disagree");
}
