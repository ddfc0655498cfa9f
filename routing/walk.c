/* routing/walk.c: the walk over groups, contacts and forwards; see the header. */
#include "routing/walk.h"

#include "base/must.h"
#include "routing/member.h"

#include <stdlib.h>
#include <string.h>

enum { SCRATCH = 4 * RECORD_MAX, ADDRESS_MAX = 1024, CHAIN_MAX = 24 };

struct identity { /* a record, or an address that has none */
	uint64_t v[2];
};

struct node { /* a group whose members are to be visited */
	unsigned char rid[RID_SIZE];
	uint32_t chunk; /* the next one */
	size_t used;    /* bytes of it that have been visited */
	unsigned root, report, generation;
};

struct walk {
	struct walk_options o;
	uint64_t serial; /* of the table; 0 = not looked at yet */
	struct arena addresses, scratch;
	struct identity *seen; /* open addressing; {0, 0} = free */
	size_t seen_n, seen_cap;
	struct node *nodes; /* a queue: those before `at` are through */
	size_t at, node_n, node_cap;
	struct walk_rcpt *rcpts;
	size_t rcpt_n, rcpt_cap;
	struct walk_report *reports;
	size_t report_n, report_cap;
	unsigned roots;
	size_t duplicates, returned;
	bool too_many;
};

static void *grow(void *v, size_t n, size_t *cap, size_t size)
{
	if (n < *cap)
		return v;
	*cap = *cap == 0 ? 64 : *cap * 2;
	v = realloc(v, *cap * size);
	must(v != NULL);
	return v;
}

/* ---- who has been seen ---- */

static struct identity identity_of(const struct located *l, const struct addr *a)
{
	struct identity id = { { 0 } };
	struct buf key;

	if (l->found) {
		memcpy(id.v, l->record.rid, sizeof id.v);
		return id;
	}
	buf_init(&key, ADDRESS_MAX);
	bool exact = l->domain != NULL && l->domain->exact_case;
	struct str name = addr_normalize(a, exact, &key) ? buf_str(&key) : a->whole;
	id.v[0] = str_hash(name, 0);
	id.v[1] = str_hash(name, 1) | 1; /* never the free one */
	buf_fini(&key);
	return id;
}

static bool same(const struct identity *a, const struct identity *b)
{
	return a->v[0] == b->v[0] && a->v[1] == b->v[1];
}

static size_t slot_of(const struct walk *w, const struct identity *id)
{
	static const struct identity none = { { 0 } };
	size_t i = (size_t)str_hash(str_n(id->v, sizeof id->v), 0) & (w->seen_cap - 1); /* rids are serial numbers */

	while (!same(&w->seen[i], &none) && !same(&w->seen[i], id))
		i = (i + 1) & (w->seen_cap - 1);
	return i;
}

static void grow_seen(struct walk *w)
{
	struct identity *old = w->seen;
	size_t cap = w->seen_cap;

	w->seen_cap = cap == 0 ? 256 : cap * 2;
	w->seen = calloc(w->seen_cap, sizeof *w->seen);
	must(w->seen != NULL);
	for (size_t i = 0; i < cap; i++)
		if (old[i].v[0] != 0 || old[i].v[1] != 0)
			w->seen[slot_of(w, &old[i])] = old[i];
	free(old);
}

/* False: it was there already. */
static bool see(struct walk *w, const struct identity *id)
{
	if (w->seen_n * 2 >= w->seen_cap)
		grow_seen(w);
	size_t at = slot_of(w, id);
	if (same(&w->seen[at], id))
		return false;
	w->seen[at] = *id;
	w->seen_n++;
	return true;
}

/* ---- results ---- */

static struct str keep(struct walk *w, struct str s)
{
	struct str out = STR_NONE;

	if (!arena_dup(&w->addresses, s, &out))
		w->too_many = true;
	return out;
}

static void emit(struct walk *w, const struct node *from, struct str address, unsigned generation, bool followed)
{
	if (w->rcpt_n >= w->o.total) {
		w->too_many = true;
		return;
	}
	w->rcpts = grow(w->rcpts, w->rcpt_n, &w->rcpt_cap, sizeof *w->rcpts);
	w->rcpts[w->rcpt_n++] = (struct walk_rcpt){
		.addr = keep(w, address),
		.root = from->root,
		.report = from->report,
		.generation = generation < ENV_GENERATION_MAX ? generation : ENV_GENERATION_MAX,
		.followed = followed,
	};
}

/* A group that says nothing leaves reports where the one around it sends them. */
static unsigned report_of(struct walk *w, const struct rcpt_record *group, unsigned outer)
{
	if (group->report_to == REPORT_SENDER)
		return outer;
	for (size_t i = 1; i < w->report_n; i++)
		if (w->reports[i].to == group->report_to &&
		    (group->report_to == REPORT_NONE || str_eq(w->reports[i].owner, group->owner)))
			return (unsigned)i;
	w->reports = grow(w->reports, w->report_n, &w->report_cap, sizeof *w->reports);
	w->reports[w->report_n] = (struct walk_report){ group->report_to, STR_NONE };
	if (group->report_to == REPORT_OWNER)
		w->reports[w->report_n].owner = keep(w, group->owner);
	return (unsigned)w->report_n++;
}

static void enter(struct walk *w, const struct rcpt_record *group, const struct node *from)
{
	struct node n = { .root = from->root,
			  .report = report_of(w, group, from->report),
			  .generation = from->generation };

	memcpy(n.rid, group->rid, RID_SIZE);
	w->nodes = grow(w->nodes, w->node_n, &w->node_cap, sizeof *w->nodes);
	w->nodes[w->node_n++] = n;
}

static bool is_returned(const struct walk *w, const struct located *l, struct str address)
{
	struct token_rcpt r = token_rcpt_of(l->found ? l->record.rid : NULL, address);

	for (size_t i = 0; i < w->o.token_n; i++)
		if (token_names(&w->o.tokens[i], &r))
			return true;
	return false;
}

/* ---- one address ---- */

static bool locate(struct walk *w, struct routing_view *v, struct str address, struct addr *a, struct located *l,
		   struct err *e)
{
	static const struct addr_rules rules = { .smtputf8 = true, .relaxed = true, .allow_bare_local = true };

	*l = (struct located){ .kind = KIND_EXTERNAL };
	if (addr_parse(address, &rules, a) != ADDR_OK) {
		*a = (struct addr){ .whole = address }; /* the delivery says what is wrong with it */
		return true;
	}
	return routing_locate(v, a, &w->scratch, l, e);
}

static struct str next_of(const struct located *l)
{
	return l->record.redirect.n > 0 ? l->record.redirect : l->record.routing;
}

struct trip { /* from one member along contacts and forwards */
	const struct node *from;
	struct str address, start; /* where it is; where the contacts followed now began */
	unsigned generation, start_generation;
	struct identity chain[CHAIN_MAX]; /* of those contacts */
	size_t chain_n;
};

static bool is_in_chain(const struct trip *t, const struct identity *id)
{
	for (size_t i = 0; i < t->chain_n; i++)
		if (same(&t->chain[i], id))
			return true;
	return false;
}

static void give_up(struct walk *w, const struct trip *t)
{
	emit(w, t->from, t->start, t->start_generation, false);
}

/* A contact is nobody by itself: what it leads to is next.  False: the trip is over. */
static bool pass_contact(struct walk *w, struct trip *t, const struct located *l, const struct identity *id)
{
	if (next_of(l).n == 0) {
		emit(w, t->from, t->address, t->generation, false);
		return false;
	}
	if (t->chain_n == w->o.max_redirects || t->chain_n == CHAIN_MAX) {
		give_up(w, t);
		return false;
	}
	t->chain[t->chain_n++] = *id;
	t->address = keep(w, next_of(l));
	t->generation++;
	return true;
}

/* Somebody gets it.  True: and forwards it, which is no circle without end, whatever comes. */
static bool pass_mailbox(struct walk *w, struct trip *t, const struct located *l)
{
	bool forwards = l->found && l->record.keep_copy && l->record.redirect.n > 0;

	if (is_returned(w, l, t->address))
		w->returned++;
	else
		emit(w, t->from, t->address, t->generation, forwards);
	if (!forwards)
		return false;
	t->chain_n = 0;
	t->start = t->address = keep(w, l->record.redirect);
	t->start_generation = ++t->generation;
	return true;
}

/* True: on to t->address. */
static bool arrive(struct walk *w, struct trip *t, const struct located *l, const struct addr *a)
{
	struct identity id = identity_of(l, a);

	if (!see(w, &id)) {
		if (is_in_chain(t, &id)) /* forwards only, and in a circle */
			give_up(w, t);
		else
			w->duplicates++;
		return false;
	}
	if (route_expands_here(l)) {
		struct node group = *t->from;
		group.generation = t->generation;
		enter(w, &l->record, &group);
		return false;
	}
	return l->kind == KIND_CONTACT ? pass_contact(w, t, l, &id) : pass_mailbox(w, t, l);
}

/* `from` is the group, with the generation of its members. */
static bool visit(struct walk *w, struct routing_view *v, struct str address, const struct node *from, struct err *e)
{
	struct trip t = { .from = from,
			  .address = address,
			  .start = address,
			  .generation = from->generation,
			  .start_generation = from->generation };
	bool ok, on = true;

	while (on) {
		struct arena_mark mark = arena_mark(&w->scratch);
		struct located l;
		struct addr a;
		ok = locate(w, v, t.address, &a, &l, e);
		on = ok && arrive(w, &t, &l, &a);
		arena_rewind(&w->scratch, mark);
	}
	return ok;
}

/* ---- the walk ---- */

struct walk *walk_new(const struct walk_options *o)
{
	struct walk *w = calloc(1, sizeof *w);

	must(w != NULL);
	w->o = *o;
	arena_init(&w->addresses, o->total * 2 * MEMBER_BYTES + SCRATCH);
	arena_init(&w->scratch, SCRATCH);
	w->reports = grow(NULL, 0, &w->report_cap, sizeof *w->reports);
	w->reports[w->report_n++] = (struct walk_report){ REPORT_SENDER, STR_NONE };
	return w;
}

void walk_free(struct walk **wp)
{
	struct walk *w = *wp;

	*wp = NULL;
	if (w == NULL)
		return;
	arena_fini(&w->addresses);
	arena_fini(&w->scratch);
	free(w->seen);
	free(w->nodes);
	free(w->rcpts);
	free(w->reports);
	free(w);
}

static bool is_same_table(struct walk *w, const struct routing_view *v)
{
	if (w->serial == 0)
		w->serial = v->serial;
	return w->serial == v->serial;
}

/* Contacts are followed by the delivery: whom they lead to has the message as well. */
bool walk_skip(struct walk *w, struct routing_view *v, struct str address, struct err *e)
{
	struct arena_mark mark = arena_mark(&w->scratch);
	struct located l;
	struct addr a;
	bool ok;

	is_same_table(w, v);
	for (unsigned i = 0;; i++) {
		ok = locate(w, v, address, &a, &l, e);
		if (!ok)
			break;
		struct identity id = identity_of(&l, &a);
		see(w, &id);
		if (l.kind != KIND_CONTACT || next_of(&l).n == 0 || i == w->o.max_redirects)
			break;
		address = next_of(&l);
	}
	arena_rewind(&w->scratch, mark);
	return ok;
}

bool walk_root(struct walk *w, struct routing_view *v, struct str address, unsigned generation, struct err *e)
{
	struct arena_mark mark = arena_mark(&w->scratch);
	struct node from = { .root = w->roots++, .generation = generation + 1 };
	struct located l;
	struct addr a;
	struct str forward = STR_NONE;
	bool ok = true;

	is_same_table(w, v);
	for (unsigned i = 0; ok && i <= w->o.max_redirects; i++) { /* contacts may lead to it */
		ok = locate(w, v, address, &a, &l, e);
		if (!ok || l.kind != KIND_CONTACT)
			break;
		address = keep(w, next_of(&l));
		from.generation++;
	}
	struct identity id = identity_of(&l, &a);
	if (ok)
		see(w, &id);
	if (ok && route_expands_here(&l))
		enter(w, &l.record, &from);
	else if (ok && l.found && l.record.keep_copy && l.record.redirect.n > 0)
		forward = keep(w, l.record.redirect);
	arena_rewind(&w->scratch, mark);
	return ok && (forward.n == 0 || visit(w, v, forward, &from, e));
}

/* The next member of the group in front; false when it has no more. */
static bool next_member(struct routing_view *v, struct node *n, struct str *address)
{
	struct str lines, rest;

	while (member_chunk(v->routing, v->txn, n->rid, n->chunk, &lines)) {
		lines = str_skip(lines, n->used);
		if (lines.n > 0) {
			str_cut(lines, '\n', address, &rest);
			n->used += address->n + 1;
			return true;
		}
		n->chunk++;
		n->used = 0;
	}
	return false;
}

enum walk_step walk_step(struct walk *w, struct routing_view *v, size_t most, struct err *e)
{
	struct str address;

	if (!is_same_table(w, v))
		return WALK_CHANGED;
	for (; w->at < w->node_n && !w->too_many; most--) {
		if (most == 0)
			return WALK_MORE;
		if (!next_member(v, &w->nodes[w->at], &address)) {
			w->at++;
			continue;
		}
		struct node from = w->nodes[w->at]; /* a visit may move them */
		if (!visit(w, v, address, &from, e))
			return WALK_FAILED;
	}
	return w->too_many ? WALK_TOO_MANY : WALK_DONE;
}

struct walk_result walk_result(const struct walk *w)
{
	return (struct walk_result){ w->rcpts, w->rcpt_n, w->reports, w->report_n, w->duplicates, w->returned };
}
