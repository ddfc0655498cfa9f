/* connectors/header_edits.c: notes, and the two passes over them: decide all fields, then write the edits.
 *
 * A field keeps its value, its folds and its place; at most its name changes.  What we add goes on top (hardening, part
 * 2, 32). */
#include "connectors/header_edits.h"

#include "base/must.h"

#include <string.h>

enum { NAME_MAX_SHOWN = 100, VALUE_MAX = 4096, TEXT_MAX = 500, ADDED_MAX = 64 * 1024 };

#define ORGANIZATION "X-MS-Exchange-Organization-"
#define CROSS        "X-MS-Exchange-CrossPremises-"

/* ---- notes ---- */

void header_notes_init(struct header_notes *n, struct arena *a, const struct header_own *own)
{
	*n = (struct header_notes){ .arena = a, .own = *own };
}

static struct header_note *add_note(struct header_notes *n)
{
	if (n->n == n->cap) {
		size_t cap = n->cap == 0 ? 8 : n->cap * 2;
		struct header_note *more = arena_alloc(n->arena, cap * sizeof *more);
		if (more == NULL)
			return NULL;
		if (n->n > 0)
			memcpy(more, n->v, n->n * sizeof *more);
		n->v = more;
		n->cap = cap;
	}
	return &n->v[n->n++];
}

static void keep_first(struct header_notes *n, struct str value, struct str *kept)
{
	if (kept->p == NULL && !arena_dup(n->arena, str_head(value, VALUE_MAX), kept))
		n->full = true;
}

static void take_binding(struct header_notes *n, const struct header_field *f)
{
	if (header_name_is(f->name, S("Message-ID")))
		keep_first(n, f->value, &n->message.message_id);
	else if (header_name_is(f->name, S("Date")))
		keep_first(n, f->value, &n->message.date);
	else if (header_name_is(f->name, S("From")))
		keep_first(n, f->value, &n->message.from);
}

void header_notes_add(struct header_notes *n, const struct header_field *f)
{
	enum header_kind kind = header_classify(f, &n->own);

	if (kind == HEADER_OTHER && n->bind)
		take_binding(n, f);
	n->journal_report |= kind == HEADER_JOURNAL || kind == HEADER_ORG_JOURNAL;
	if (kind == HEADER_OTHER || !header_is_touched(kind))
		return;
	struct header_note *note = add_note(n);
	if (note == NULL || !arena_dup(n->arena, str_head(f->name, NAME_MAX_SHOWN), &note->name)) {
		n->full = true;
		return;
	}
	if (kind == HEADER_TOKEN && f->value.n <= TOKEN_TEXT_MAX && !arena_dup(n->arena, f->value, &note->value))
		n->full = true;
	note->kind = kind;
	note->offset = f->offset;
	note->raw_n = f->raw.n;
	note->name_n = f->name.n;
}

bool header_notes_plain(const struct header_notes *n, const struct header_in *in)
{
	for (size_t i = 0; i < n->n; i++) {
		enum header_action a = header_in(in, n->v[i].kind);
		/* what is kept or renamed is there for the targets to judge */
		if (a != HEADER_STRIP)
			return false;
	}
	return true;
}

/* ---- what was done, in words ---- */

static const char *const action_names[HEADER_ACTION_N] = { "keep", "strip", "rename", "promote", "demote" };

static void count(struct header_changes *c, const struct header_note *n, enum header_action a, struct buf *names)
{
	if (a == HEADER_KEEP)
		return;
	c->counts[header_group_of(n->kind)][a]++;
	c->total++;
	if (names->n > 0)
		buf_addc(names, ',');
	buf_add(names, n->name);
}

static bool finish(struct header_changes *c, struct buf *names, struct arena *a)
{
	char room[TEXT_MAX];
	struct buf b = { .p = room, .cap = sizeof room, .max = sizeof room - 1 };

	if (c->total == 0)
		return true;
	for (int g = 0; g < GROUP_N; g++)
		for (int i = 0; i < HEADER_ACTION_N; i++)
			if (c->counts[g][i] > 0)
				buf_addf(&b, "%s%s.%s=%u", b.n > 0 ? " " : "", header_group_name((enum header_group)g),
					 action_names[i], c->counts[g][i]);
	return arena_dup(a, buf_str(names), &c->names) && arena_dup(a, buf_str(&b), &c->summary);
}

/* ---- edits ---- */

struct writer {
	struct edit *v;
	size_t n, max;
};

static bool writer_init(struct writer *w, struct arena *a, size_t max)
{
	*w = (struct writer){ .v = arena_alloc(a, max * sizeof *w->v), .max = max };
	return w->v != NULL;
}

static void put(struct writer *w, uint64_t at, uint64_t drop, struct str insert)
{
	must(w->n < w->max);
	w->v[w->n++] = (struct edit){ at, drop, insert };
}

static void strip(struct writer *w, const struct header_note *n)
{
	put(w, n->offset, n->raw_n, STR_NONE);
}

static void rename_untrusted(struct writer *w, const struct header_note *n)
{
	put(w, n->offset + n->name_n, 0, S("-Untrusted"));
}

/* The prefix of its name becomes the other one: what follows stays as it was written. */
static void swap_prefix(struct writer *w, const struct header_note *n, bool to_cross)
{
	size_t old = to_cross ? sizeof ORGANIZATION - 1 : sizeof CROSS - 1;

	put(w, n->offset, old, to_cross ? S(CROSS) : S(ORGANIZATION));
}

static bool finish_edits(struct writer *w, struct header_changes *c, struct buf *names, struct arena *a)
{
	c->edits = (struct edits){ w->v, w->n };
	must(edits_check(c->edits));
	return finish(c, names, a);
}

#define JOURNALED "Processed-By-Journaling"

static bool says_journaled(const struct header_note *n)
{
	return str_ieq(header_org_suffix(n->name), S(JOURNALED));
}

static bool is_forgery(const struct header_in *in, const struct header_note *n)
{
	enum header_group g = header_group_of(n->kind);

	return in->trust == TRUST_INTERNET && ((g >= GROUP_H1 && g <= GROUP_H6) || g == GROUP_H9);
}

bool header_edit_in(const struct header_in *in, const struct header_notes *notes, const struct header_scan *h,
		    struct header_changes *out)
{
	char room[TEXT_MAX];
	struct buf names = { .p = room, .cap = sizeof room, .max = sizeof room - 1 };
	struct writer w;

	memset(out, 0, sizeof *out);
	bool believed = in->trust == TRUST_PEER || in->trust == TRUST_SERVER;
	out->journaled = believed && notes->journal_report;
	if (notes->full || (notes->n == 0 && h->mbox == 0 && !h->broken))
		return !notes->full;
	if (!writer_init(&w, notes->arena, notes->n + 2))
		return false;
	if (h->mbox > 0)
		put(&w, 0, h->mbox, STR_NONE);
	for (size_t i = 0; i < notes->n; i++) {
		const struct header_note *n = &notes->v[i];
		enum header_action a = header_in(in, n->kind);
		count(out, n, a, &names);
		out->journaled |= believed && a == HEADER_KEEP && says_journaled(n);
		if (a == HEADER_STRIP)
			strip(&w, n);
		else if (a == HEADER_RENAME)
			rename_untrusted(&w, n);
		out->forged = out->forged || (a == HEADER_STRIP && is_forgery(in, n));
	}
	if (h->broken)
		put(&w, h->end, 0, S("\r\n"));
	return finish_edits(&w, out, &names, notes->arena);
}

/* ---- on the way out ---- */

struct passing { /* one message to one target */
	const struct header_out *rules;
	const struct header_notes *notes;
	unsigned char *actions; /* enum header_action, one a note */
	bool promoted, demoted, has_auth_as, has_scl, has_org, has_journaled;
};

static void note_left(struct passing *p, const struct header_note *n)
{
	struct str suffix = header_org_suffix(n->name);

	p->has_auth_as = p->has_auth_as || str_ieq(suffix, S("AuthAs"));
	p->has_scl = p->has_scl || str_ieq(suffix, S("SCL"));
	p->has_org = p->has_org || n->kind == HEADER_ORIGINATOR;
	p->has_journaled = p->has_journaled || says_journaled(n);
}

/* A field that takes another name puts away those that have it (spec 4.2.1). */
static bool is_replaced(const struct passing *p, const struct header_note *n, enum header_action by)
{
	struct str suffix = header_org_suffix(n->name);

	for (size_t i = 0; i < p->notes->n; i++)
		if (p->actions[i] == by && str_ieq(header_org_suffix(p->notes->v[i].name), suffix))
			return true;
	return false;
}

static void decide(struct passing *p)
{
	const struct header_notes *notes = p->notes;

	for (size_t i = 0; i < notes->n; i++) {
		enum header_action a = header_out(p->rules, notes->v[i].kind, notes->v[i].name);
		p->actions[i] = (unsigned char)a;
		p->promoted = p->promoted || a == HEADER_PROMOTE;
		p->demoted = p->demoted || a == HEADER_DEMOTE;
	}
	for (size_t i = 0; i < notes->n; i++) {
		const struct header_note *n = &notes->v[i];
		if ((p->promoted && n->kind == HEADER_ORGANIZATION && is_replaced(p, n, HEADER_PROMOTE)) ||
		    (p->demoted && n->kind == HEADER_CROSS && is_replaced(p, n, HEADER_DEMOTE)))
			p->actions[i] = HEADER_STRIP;
		if (p->actions[i] != HEADER_STRIP)
			note_left(p, n);
	}
}

static void put_field(struct buf *b, const char *prefix, const char *name, struct str value)
{
	if (value.n > 0)
		buf_addf(b, "%s%s: " STR_FMT "\r\n", prefix, name, STR_ARG(value));
}

/* Spec 4.2.2: in endpoint mode we are the server that judged. */
static void put_judgement(struct buf *b, const struct passing *p, const struct header_added *added)
{
	const char *prefix = p->rules->target == TARGET_PEER ? CROSS : ORGANIZATION;
	struct str auth_as = header_auth_as(added->trust, added->sender_ours);
	bool internal = str_eq(auth_as, S("Internal"));

	if (!p->rules->endpoint || p->rules->target == TARGET_INTERNET || auth_as.n == 0)
		return;
	if (!p->has_auth_as) {
		put_field(b, prefix, "AuthAs", auth_as);
		put_field(b, prefix, "AuthMechanism",
			  added->trust == TRUST_SERVER   ? S("10")
			  : added->trust == TRUST_CLIENT ? S("06")
							 : S("00"));
		put_field(b, prefix, "AuthSource", added->gateway);
	}
	if (internal && added->set_scl && !p->has_scl)
		put_field(b, prefix, "SCL", S("-1"));
}

/* In the form that is believed there: the next gateway makes no second report. */
static void put_journaled(struct buf *b, const struct passing *p, const struct header_added *added)
{
	if (added->journaled && !p->has_journaled && p->rules->target != TARGET_INTERNET)
		put_field(b, p->rules->target == TARGET_PEER ? CROSS : ORGANIZATION, JOURNALED, added->gateway);
}

static void put_added(struct buf *b, const struct passing *p, const struct header_added *added)
{
	if (p->rules->target == TARGET_PEER) {
		buf_add(b, added->token);
		if (!p->has_org)
			put_field(b, "", "X-OriginatorOrg", added->org);
	}
	buf_add(b, added->bypass);
	if (p->rules->target == TARGET_INTERNAL)
		put_field(b, "", "X-Tombolo-Trace", added->trace);
	put_journaled(b, p, added);
	if (p->demoted)
		put_field(b, "", "X-OrganizationHeadersPreserved", added->gateway);
	if (p->promoted)
		put_field(b, "", "X-CrossPremisesHeadersPromoted", added->gateway);
	put_judgement(b, p, added);
}

static void put_changed(struct writer *w, const struct passing *p, struct header_changes *out, struct buf *names)
{
	for (size_t i = 0; i < p->notes->n; i++) {
		const struct header_note *n = &p->notes->v[i];
		enum header_action a = p->actions[i];
		count(out, n, a, names);
		if (a == HEADER_STRIP)
			strip(w, n);
		else if (a == HEADER_PROMOTE || a == HEADER_DEMOTE)
			swap_prefix(w, n, a == HEADER_DEMOTE);
	}
}

bool header_edit_out(const struct header_out *rules, const struct header_added *added, const struct header_notes *notes,
		     struct arena *a, struct header_changes *out)
{
	char room[TEXT_MAX];
	struct buf names = { .p = room, .cap = sizeof room, .max = sizeof room - 1 }, top;
	struct passing p = { .rules = rules, .notes = notes };
	struct writer w;
	struct str copy;
	bool ok;

	memset(out, 0, sizeof *out);
	if (notes->full || (notes->n > 0 && (p.actions = arena_alloc(a, notes->n)) == NULL) ||
	    !writer_init(&w, a, notes->n + 1))
		return false;
	decide(&p);
	buf_init(&top, ADDED_MAX);
	put_added(&top, &p, added);
	ok = !top.full && arena_dup(a, buf_str(&top), &copy);
	buf_fini(&top);
	if (!ok)
		return false;
	if (copy.n > 0)
		put(&w, 0, 0, copy);
	put_changed(&w, &p, out, &names);
	return finish_edits(&w, out, &names, a);
}
