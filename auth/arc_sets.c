/* auth/arc_sets.c: the form of a chain; see the header. */
#include "auth/arc_sets.h"

#include "base/must.h"
#include "wire/header.h"

#include <stdlib.h>
#include <string.h>

enum { FIELDS_MAX = 10000, NAMES_MAX = 500 }; /* of a header; of an h= */

static const struct str names[] = { STR_LIT("ARC-Authentication-Results"), STR_LIT("ARC-Message-Signature"),
				    STR_LIT("ARC-Seal") };

/* ---- fields ---- */

static int kind_of(struct str name)
{
	for (int i = 0; i < 3; i++)
		if (str_ieq(name, names[i]))
			return i;
	return -1;
}

struct gather {
	struct arc *a;
	size_t arc_n;
};

/* The scan's views may be of its own memory; the copy has the same bytes at the same place. */
static void on_field(void *arg, const struct header_field *f)
{
	struct gather *g = arg;
	struct arc *a = g->a;

	if (a->field_n == a->field_cap) {
		a->field_cap = a->field_cap == 0 ? 64 : 2 * a->field_cap;
		a->fields = realloc(a->fields, a->field_cap * sizeof *a->fields);
		must(a->fields != NULL);
	}
	struct str raw = str_n(a->header + f->offset, f->raw.n);
	size_t behind = f->raw.n - f->value.n;
	a->fields[a->field_n++] =
		(struct arc_field){ .raw = raw, .name = str_head(raw, f->name.n), .value = str_skip(raw, behind) };
	g->arc_n += kind_of(f->name) >= 0;
}

bool arc_collect(struct arc *a, struct str header)
{
	struct gather g = { .a = a };
	struct header_scan h;

	a->header = malloc(header.n + 1);
	must(a->header != NULL);
	if (header.n > 0)
		memcpy(a->header, header.p, header.n);
	header_scan_init(&h, header.n + 1, FIELDS_MAX, STR_NONE);
	h.on_field = on_field;
	h.arg = &g;
	header_scan_add(&h, str_n(a->header, header.n));
	header_scan_finish(&h);
	header_scan_fini(&h);
	if (g.arc_n > 0)
		return true;
	free(a->fields);
	free(a->header);
	a->fields = NULL;
	a->header = NULL;
	a->field_n = a->field_cap = 0;
	return false;
}

/* ---- sets ---- */

static bool is_gap(char c)
{
	return chr_is_space(c) || c == '\r' || c == '\n';
}

/* "1" to "50", two digits at most; 0: not that. */
static unsigned read_instance(struct str s)
{
	uint64_t v;

	return s.n >= 1 && s.n <= 2 && str_u64(s, ARC_SETS_MAX, &v) ? (unsigned)v : 0;
}

/* ARC-Authentication-Results begin with "i=N;" and have other people's syntax behind it. */
static unsigned results_instance(struct str value, struct str *payload)
{
	struct str first, number, i;

	if (!str_cut(value, ';', &first, payload) || !str_cut(first, '=', &i, &number))
		return 0;
	while (i.n > 0 && is_gap(i.p[0]))
		i = str_skip(i, 1);
	while (i.n > 0 && is_gap(i.p[i.n - 1]))
		i.n--;
	while (number.n > 0 && is_gap(number.p[0]))
		number = str_skip(number, 1);
	while (number.n > 0 && is_gap(number.p[number.n - 1]))
		number.n--;
	return str_eq(i, S("i")) ? read_instance(number) : 0;
}

static bool is_dns_name(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!chr_is_alnum(s.p[i]) && s.p[i] != '-' && s.p[i] != '_' &&
		    (s.p[i] != '.' || i == 0 || i + 1 == s.n || s.p[i - 1] == '.'))
			return false;
	return s.n > 0;
}

#define KEYS "._domainkey."

/* What both kinds of signature must have. */
static const char *check_tags(const struct tags *t)
{
	struct str d = tags_value(t, S("d")), s = tags_value(t, S("s")), a = tags_value(t, S("a"));

	if (!str_eq(a, S("rsa-sha256")) && !str_eq(a, S("ed25519-sha256")))
		return "a= is neither rsa-sha256 nor ed25519-sha256";
	if (!is_dns_name(d) || !is_dns_name(s) || d.n + s.n + sizeof KEYS > ARC_NAME)
		return "d= and s= make no name";
	if (tags_value(t, S("b")).n == 0)
		return "b= is empty";
	return NULL;
}

static struct str trim(struct str s)
{
	while (s.n > 0 && is_gap(s.p[0]))
		s = str_skip(s, 1);
	while (s.n > 0 && is_gap(s.p[s.n - 1]))
		s.n--;
	return s;
}

static bool list_has(struct str list, struct str word)
{
	struct str one;
	bool more = true;

	while (more) {
		more = str_cut(list, ':', &one, &list);
		if (str_ieq(trim(one), word))
			return true;
	}
	return false;
}

static size_t count(struct str s, char c)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += s.p[i] == c;
	return n;
}

static bool is_canon(struct str c)
{
	return c.n == 0 || str_ieq(c, S("simple")) || str_ieq(c, S("relaxed")) || str_ieq(c, S("simple/simple")) ||
	       str_ieq(c, S("simple/relaxed")) || str_ieq(c, S("relaxed/simple")) || str_ieq(c, S("relaxed/relaxed"));
}

static const char *check_signature_tags(const struct tags *t)
{
	const char *fault = check_tags(t);

	if (fault != NULL)
		return fault;
	if (!is_canon(tags_value(t, S("c"))))
		return "c= is unknown";
	if (tags_find(t, S("l")) != NULL)
		return "only a part of the body is signed (l=)";
	if (count(tags_value(t, S("h")), ':') >= NAMES_MAX)
		return "h= names too many fields";
	if (!list_has(tags_value(t, S("h")), S("From")))
		return "From is not signed";
	if (list_has(tags_value(t, S("h")), S("ARC-Seal")))
		return "h= names ARC-Seal";
	return tags_value(t, S("bh")).n == 0 ? "bh= is empty" : NULL;
}

/* Files one ARC field under its instance. */
static const char *file_field(struct arc *a, const struct arc_field *f, int kind, unsigned *instance)
{
	struct tags t;
	struct str payload = STR_NONE;
	bool good = kind == 0 || tags_parse(f->value, &t);
	unsigned i = !good       ? 0
		     : kind == 0 ? results_instance(f->value, &payload)
				 : read_instance(tags_value(&t, S("i")));

	*instance = i;
	if (!good)
		return "is no tag list";
	if (i == 0)
		return "has no instance from 1 to 50";
	struct arc_set *s = &a->sets[i - 1];
	const struct arc_field **place = kind == 0 ? &s->results : kind == 1 ? &s->signature : &s->seal;
	if (*place != NULL)
		return "is there twice";
	*place = f;
	if (kind == 0)
		a->links[i - 1].results = payload;
	else
		*(kind == 1 ? &s->signature_tags : &s->seal_tags) = t;
	return NULL;
}

/* Step 3.C, and the rule that a seal has no h=. */
static const char *check_seal_tags(const struct tags *t, unsigned instance)
{
	if (tags_find(t, S("h")) != NULL)
		return "a seal must not have h=";
	if (!str_ieq(tags_value(t, S("cv")), instance == 1 ? S("none") : S("pass")))
		return instance == 1 ? "cv= is not none" : "cv= is not pass";
	return check_tags(t);
}

static bool check_set(struct arc *a, unsigned i, char *why, size_t room)
{
	struct arc_set *s = &a->sets[i - 1];
	const struct arc_field *const three[] = { s->results, s->signature, s->seal };

	for (int k = 0; k < 3; k++)
		if (three[k] == NULL) {
			snprintf(why, room, "%s %u is missing", names[k].p, i);
			return false;
		}
	const char *fault = check_seal_tags(&s->seal_tags, i);
	if (fault != NULL) {
		snprintf(why, room, "ARC-Seal %u: %s", i, fault);
		return false;
	}
	fault = check_signature_tags(&s->signature_tags);
	if (fault != NULL) {
		snprintf(why, room, "ARC-Message-Signature %u: %s", i, fault);
		return false;
	}
	a->links[i - 1].domain = tags_value(&s->seal_tags, S("d"));
	a->links[i - 1].selector = tags_value(&s->seal_tags, S("s"));
	return true;
}

bool arc_form_sets(struct arc *a, char *why, size_t room)
{
	unsigned newest = 0;

	a->sets = calloc(ARC_SETS_MAX, sizeof *a->sets);
	must(a->sets != NULL);
	for (size_t n = 0; n < a->field_n; n++) {
		int kind = kind_of(a->fields[n].name);
		unsigned instance = 0;
		if (kind < 0)
			continue;
		const char *fault = file_field(a, &a->fields[n], kind, &instance);
		if (fault != NULL) {
			snprintf(why, room, instance > 0 ? "%s %u %s" : "%s%.0u %s", names[kind].p, instance, fault);
			return false;
		}
		newest = instance > newest ? instance : newest;
	}
	must(newest > 0); /* arc_collect has seen a field */
	const struct arc_set *last = &a->sets[newest - 1];
	if (last->seal != NULL && str_ieq(tags_value(&last->seal_tags, S("cv")), S("fail"))) {
		snprintf(why, room, "the newest seal (%u) says that the chain is broken", newest);
		return false;
	}
	for (unsigned i = newest; i > 0; i--)
		if (!check_set(a, i, why, room))
			return false;
	a->result.links = newest;
	return true;
}

void arc_key_name(const struct tags *t, char name[ARC_NAME])
{
	struct buf b = { .p = name, .cap = ARC_NAME, .max = ARC_NAME - 1 };

	memset(name, 0, ARC_NAME);
	buf_add(&b, tags_value(t, S("s")));
	buf_add(&b, S(KEYS));
	buf_add(&b, tags_value(t, S("d")));
	must(!b.full);
	for (size_t i = 0; i < b.n; i++)
		name[i] = chr_lower(name[i]);
}

/* ---- what is signed ---- */

static enum canon read_canon(struct str word)
{
	return str_ieq(word, S("relaxed")) ? CANON_RELAXED : CANON_SIMPLE;
}

enum canon arc_body_canon(const struct tags *signature)
{
	struct str header, body;

	str_cut(tags_value(signature, S("c")), '/', &header, &body);
	return read_canon(body);
}

static enum canon header_canon(const struct tags *signature)
{
	struct str header, body;

	str_cut(tags_value(signature, S("c")), '/', &header, &body);
	return read_canon(header);
}

/* Adds a field in canonical form; `cut`: the tag list's b=, whose value is left out; a last one has no CRLF. */
static void hash_field(struct digest *d, enum canon c, const struct arc_field *f, const struct tag *cut, bool last)
{
	struct buf out, whole;

	buf_init(&out, 2 * f->raw.n + 8);
	buf_init(&whole, f->raw.n + 1);
	if (cut != NULL) {
		size_t at = (size_t)(cut->whole.p - f->raw.p);
		buf_add(&whole, str_head(f->raw, at));
		buf_add(&whole, str_skip(f->raw, at + cut->whole.n));
		struct str raw = buf_str(&whole);
		canon_field(c, raw, str_skip(raw, f->raw.n - f->value.n), &out);
	} else {
		canon_field(c, f->raw, f->value, &out);
	}
	must(!out.full && !whole.full);
	digest_add(d, buf_str(&out));
	if (!last)
		digest_add(d, S("\r\n"));
	buf_fini(&out);
	buf_fini(&whole);
}

/* The fields of h=: each time a name is given, the next one of that name from below; itself never. */
static void hash_named(const struct arc *a, const struct arc_set *s, struct digest *d, enum canon c)
{
	struct str list = tags_value(&s->signature_tags, S("h")), name;
	bool *used = calloc(a->field_n, sizeof *used), more = true;

	must(used != NULL);
	used[s->signature - a->fields] = true;
	while (more) {
		more = str_cut(list, ':', &name, &list);
		name = trim(name);
		for (size_t i = a->field_n; i-- > 0;)
			if (!used[i] && str_ieq(a->fields[i].name, name)) {
				used[i] = true;
				hash_field(d, c, &a->fields[i], NULL, false);
				break;
			}
	}
	free(used);
}

void arc_hash_message(const struct arc *a, const struct arc_set *s, unsigned char out[DIGEST_SIZE])
{
	struct digest *d = digest_new();
	enum canon c = header_canon(&s->signature_tags);

	hash_named(a, s, d, c);
	hash_field(d, c, s->signature, tags_find(&s->signature_tags, S("b")), true);
	digest_end(d, out);
	digest_free(&d);
}

void arc_hash_seal(const struct arc *a, unsigned instance, unsigned char out[DIGEST_SIZE])
{
	struct digest *d = digest_new();

	for (unsigned i = 1; i <= instance; i++) {
		const struct arc_set *s = &a->sets[i - 1];
		bool last = i == instance;
		hash_field(d, CANON_RELAXED, s->results, NULL, false);
		hash_field(d, CANON_RELAXED, s->signature, NULL, false);
		hash_field(d, CANON_RELAXED, s->seal, last ? tags_find(&s->seal_tags, S("b")) : NULL, last);
	}
	digest_end(d, out);
	digest_free(&d);
}
