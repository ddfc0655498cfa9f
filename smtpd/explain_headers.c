/* smtpd/explain_headers.c: see the header. */
#include "smtpd/explain_headers.h"

#include "base/must.h"

static const char *const verbs[HEADER_ACTION_N] = { "kept", "stripped", "renamed to ...-Untrusted", "promoted",
						    "demoted" };
static const char *const trusts[TRUST_N] = { "the Internet", "a partner", "the other side", "a server of ours",
					     "a client" };
static const char *const targets[TARGET_N] = { "the Internet", "the other side", "our own servers" };

struct telling {
	const struct headers_told *h;
	void (*tell)(void *arg, const char *direction, struct str name, const char *says);
	void *arg;
};

static enum header_action action_of(const struct headers_told *h, const struct header_out *out, enum header_kind k,
				    struct str name)
{
	return out == NULL ? header_in(&h->in, k) : header_out(out, k, name);
}

static struct header_out rules_of(const struct conf_send *s)
{
	return (struct header_out){ .target = header_target_of(s),
				    .endpoint = s->headers == HEADERS_ENDPOINT,
				    .demote = &s->demote };
}

/* ---- by groups ---- */

/* "H1", "H3" ...: groups of which some kind of field gets this action; names of the demote list stand for all. */
static void put_groups(struct buf *b, const struct headers_told *h, const struct header_out *out, enum header_action a)
{
	static const struct str sample = STR_LIT("X-MS-Exchange-Organization-AuthAs");
	static const struct str crossed = STR_LIT("X-MS-Exchange-CrossPremises-AuthAs");

	for (int g = GROUP_H1; g < GROUP_N; g++) {
		bool has = false;
		for (int k = 0; k < HEADER_KIND_N; k++)
			has = has ||
			      (header_group_of((enum header_kind)k) == (enum header_group)g &&
			       action_of(h, out, (enum header_kind)k, k == HEADER_CROSS ? crossed : sample) == a);
		if (has)
			buf_addf(b, "%s%s", b->n > 0 ? " " : "", header_group_name((enum header_group)g));
	}
}

static void tell_groups(const struct telling *t, const char *direction, const struct header_out *out, const char *who)
{
	struct buf b;

	buf_init(&b, 1024);
	for (int a = HEADER_STRIP; a < HEADER_ACTION_N; a++) {
		buf_reset(&b);
		put_groups(&b, t->h, out, (enum header_action)a);
		if (b.n > 0) {
			buf_addf(&b, " %s, as %s %s", verbs[a], out == NULL ? "it comes from" : "it goes to", who);
			t->tell(t->arg, direction, S("-"), buf_cstr(&b));
		}
	}
	buf_fini(&b);
}

/* ---- field by field ---- */

static void note_field(void *arg, const struct header_field *f)
{
	header_notes_add(arg, f);
}

static void tell_fields(const struct telling *t, const char *direction, const struct header_out *out,
			const struct header_notes *notes)
{
	char says[100];

	for (size_t i = 0; i < notes->n; i++) {
		const struct header_note *n = &notes->v[i];
		enum header_action a = action_of(t->h, out, n->kind, n->name);
		if (a == HEADER_KEEP)
			continue;
		snprintf(says, sizeof says, "%s (%s)", verbs[a], header_group_name(header_group_of(n->kind)));
		t->tell(t->arg, direction, n->name, says);
	}
}

static void tell_sum(const struct telling *t, const char *direction, const struct header_changes *c, const char *who)
{
	char says[300];

	snprintf(says, sizeof says, "%u changed, as it %s %s%s" STR_FMT, c->total,
		 direction[0] == 'i' ? "comes from" : "goes to", who, c->summary.n > 0 ? ": " : "",
		 STR_ARG(c->summary));
	t->tell(t->arg, direction, S("-"), says);
}

static bool scan(struct str header, const struct headers_told *h, struct arena *a, struct header_notes *notes,
		 struct header_scan *s)
{
	header_notes_init(notes, a, &(struct header_own){ { h->own, STR_NONE } });
	header_scan_init(s, h->header_max, 100000, STR_NONE);
	s->on_field = note_field;
	s->arg = notes;
	header_scan_add(s, header);
	header_scan_finish(s);
	return !s->too_big && !notes->full;
}

static bool tell_out(const struct telling *t, struct str header, struct arena *a)
{
	const struct headers_told *h = t->h;
	const struct header_out rules = rules_of(h->send);
	struct header_notes notes;
	struct header_changes changes;
	struct header_scan s;
	bool ok = scan(header, h, a, &notes, &s) && header_edit_out(&rules, &h->added, &notes, a, &changes);

	header_scan_fini(&s);
	if (!ok)
		return false;
	tell_fields(t, "out", &rules, &notes);
	tell_sum(t, "out", &changes, targets[rules.target]);
	return true;
}

static bool tell_header(const struct telling *t, struct arena *a)
{
	const struct headers_told *h = t->h;
	struct header_notes notes;
	struct header_changes changes;
	struct header_scan s;
	struct edit_pos pos = { 0 };
	struct str rest = h->header, run;
	struct buf passed;
	bool ok = scan(h->header, h, a, &notes, &s) && header_edit_in(&h->in, &notes, &s, &changes);

	header_scan_fini(&s);
	if (!ok)
		return false;
	tell_fields(t, "in", NULL, &notes);
	tell_sum(t, "in", &changes, trusts[h->in.trust]);
	if (h->send == NULL)
		return true;
	buf_init(&passed, h->header_max + 4096);
	while ((run = edits_take(changes.edits, &pos, &rest, SIZE_MAX)).n > 0)
		buf_add(&passed, run);
	ok = !passed.full && tell_out(t, buf_str(&passed), a);
	buf_fini(&passed);
	return ok;
}

bool explain_headers(const struct headers_told *h, struct arena *a,
		     void (*tell)(void *arg, const char *direction, struct str name, const char *says), void *arg)
{
	const struct telling t = { h, tell, arg };

	must(h->in.trust < TRUST_N);
	if (h->header.n > 0)
		return tell_header(&t, a);
	tell_groups(&t, "in", NULL, trusts[h->in.trust]);
	if (h->send != NULL) {
		const struct header_out rules = rules_of(h->send);
		tell_groups(&t, "out", &rules, targets[rules.target]);
	}
	return true;
}

static void claim_field(void *arg, const struct header_field *f)
{
	claim_take(arg, f);
}

void explain_claim(struct str header, struct claim *out)
{
	struct header_scan s;

	*out = (struct claim){ 0 };
	header_scan_init(&s, header.n + 1, 100000, STR_NONE);
	s.on_field = claim_field;
	s.arg = out;
	header_scan_add(&s, header);
	header_scan_finish(&s);
	header_scan_fini(&s);
}
