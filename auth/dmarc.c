/* auth/dmarc.c: the DNS tree walk and what follows from it; see the header.
 *
 *   discover   the record that applies to the author domain           RFC 9989 4.10.1
 *   align      is one of the identifiers of the same organisation     4.4, 4.10.2
 *   conclude   pass, or what the record asks for                      4.7, 5.3.5, 5.3.6
 *
 * Each returns WANTS when a name has to be asked first (d->wanted), and is simply called again with the answer. */
#include "auth/dmarc.h"

#include "base/must.h"
#include "wire/addr.h"

#include <string.h>

enum look { GOOD, WANTS, FAILED };

const char *dmarc_verdict_name(enum dmarc_verdict v)
{
	static const char *const names[] = { "pass", "fail", "none", "temperror", "permerror" };

	return names[v];
}

/* ---- names ---- */

static void keep(char *to, struct str s)
{
	size_t n = s.n < DMARC_NAME ? s.n : DMARC_NAME - 1;

	if (n > 0)
		memcpy(to, s.p, n);
	to[n] = '\0';
}

static unsigned labels_of(struct str name)
{
	unsigned n = name.n > 0;

	for (size_t i = 0; i < name.n; i++)
		n += name.p[i] == '.';
	return n;
}

/* The last n labels of a name that has as many. */
static struct str last_labels(struct str name, unsigned n)
{
	for (unsigned have = labels_of(name); have > n; have--)
		name = str_skip(name, (size_t)str_chr(name, '.') + 1);
	return name;
}

/* The next name of a walk: one label less, and seven at most (4.10 step 4); empty behind the last. */
static struct str next_up(struct str name)
{
	unsigned n = labels_of(name);

	return n <= 1 ? STR_NONE : last_labels(name, n >= 8 ? 7 : n - 1);
}

static bool is_at_or_below(struct str name, struct str top)
{
	return str_eq(name, top) || (name.n > top.n && str_ends(name, top) && name.p[name.n - top.n - 1] == '.');
}

static struct dmarc_name *find(struct dmarc *d, struct str name)
{
	for (size_t i = 0; i < d->name_n; i++)
		if (str_eq(d->names[i].name, name))
			return &d->names[i];
	return NULL;
}

#define PREFIX "_dmarc."

static const struct dmarc_name nothing;  /* no room in the DNS for a record there */
static const struct dmarc_name too_many; /* enough was asked */

/* What is known of `name`; NULL: it is asked for, and d->wanted says so. */
static const struct dmarc_name *look_up(struct dmarc *d, struct str name)
{
	const struct dmarc_name *known = find(d, name);

	if (known != NULL)
		return known;
	if (name.n + sizeof PREFIX - 1 > DMARC_NAME - 1)
		return &nothing;
	if (d->name_n == DMARC_NAMES_MAX)
		return &too_many;
	d->wanted = name;
	d->wants_author = false;
	return NULL;
}

/* ---- the walk (4.10, 4.10.2) ---- */

struct walk {
	struct str org; /* the start itself where no record is found; empty: not known, too much was asked */
	const struct dmarc_name *record; /* of org, or of the public suffix above it; NULL: none */
};

static enum look walk(struct dmarc *d, struct str start, struct walk *w)
{
	*w = (struct walk){ .org = start };
	for (struct str at = start; at.n > 0; at = next_up(at)) {
		const struct dmarc_name *n = look_up(d, at);
		if (n == NULL)
			return WANTS;
		if (n->failed)
			return FAILED;
		if (n == &too_many) {
			w->org = STR_NONE; /* so it is nobody's */
			return GOOD;
		}
		if (!n->has_record)
			continue;
		if (n->record.psd == DMARC_PSD_YES && at.n < start.n) {
			w->org = last_labels(start, labels_of(at) + 1);
			const struct dmarc_name *org = find(d, w->org);
			w->record = org != NULL && org->has_record ? org : n;
			return GOOD;
		}
		w->org = at;
		w->record = n;
		if (n->record.psd != DMARC_PSD_UNKNOWN)
			return GOOD;
	}
	return GOOD;
}

/* ---- the record that applies (4.10.1) ---- */

static enum look discover(struct dmarc *d, const struct dmarc_name **record)
{
	const struct dmarc_name *own = look_up(d, d->author);
	struct walk w;

	if (own == NULL)
		return WANTS;
	if (own->failed)
		return FAILED;
	*record = own;
	if (own->has_record)
		return GOOD;
	enum look l = walk(d, d->author, &w);
	*record = w.record;
	if (l == GOOD && w.record != NULL)
		keep(d->result.org_domain, w.org);
	return l;
}

/* ---- alignment (4.4, 4.10.2) ---- */

/* FAILED: the DNS did not say. */
static enum look is_aligned(struct dmarc *d, const struct dmarc_walked *id, bool strict, bool *aligned)
{
	struct walk ours, theirs;
	enum look l;

	*aligned = str_eq(id->domain, d->author);
	if (*aligned || strict || !str_eq(last_labels(id->domain, 1), last_labels(d->author, 1)))
		return GOOD;
	if ((l = walk(d, d->author, &ours)) != GOOD)
		return l;
	keep(d->result.org_domain, ours.org);
	if (!is_at_or_below(id->domain, ours.org))
		return GOOD; /* an Organizational Domain is a part of its domain's name */
	if ((l = walk(d, id->domain, &theirs)) != GOOD)
		return l;
	*aligned = str_eq(ours.org, theirs.org);
	return GOOD;
}

/* Of the identifiers in this state the first that is aligned, or NULL.  FAILED: there is none, but one that the DNS
 * said nothing about. */
static enum look find_aligned(struct dmarc *d, const struct dmarc_record *r, enum dmarc_id_state state,
			      const struct dmarc_walked **out)
{
	enum look all = GOOD;

	*out = NULL;
	for (int exact = 1; exact >= 0; exact--) /* who is the author domain itself needs no further question */
		for (size_t i = 0; i < d->id_n; i++) {
			const struct dmarc_walked *id = &d->ids[i];
			bool strict = exact || (id->dkim ? r->adkim_strict : r->aspf_strict), aligned;
			if (id->state != state)
				continue;
			enum look l = is_aligned(d, id, strict, &aligned);
			if (l == WANTS)
				return WANTS;
			if (l == GOOD && aligned) {
				*out = id;
				return GOOD;
			}
			if (l == FAILED)
				all = FAILED;
		}
	return all;
}

/* ---- the policy (4.7, 4.10.1) ---- */

/* np= is about author domains that do not exist.  The answer for _dmarc below it may have told already. */
static enum look author_exists(struct dmarc *d, bool *exists)
{
	const struct dmarc_name *own = find(d, d->author);

	if (d->author_exists == DMARC_EXISTS_UNKNOWN && own != NULL && own->exists)
		d->author_exists = DMARC_EXISTS;
	*exists = d->author_exists == DMARC_EXISTS;
	if (d->author_exists == DMARC_EXISTS_UNKNOWN) {
		d->wanted = d->author;
		d->wants_author = true;
		return WANTS;
	}
	return d->author_exists == DMARC_EXISTS_FAILED ? FAILED : GOOD;
}

static void set_policy(struct dmarc *d, const char *tag, enum dmarc_policy p)
{
	keep(d->result.tag, str_c(tag));
	d->result.published = p;
}

static enum look choose_policy(struct dmarc *d, const struct dmarc_name *from)
{
	const struct dmarc_record *r = &from->record;
	bool below = !str_eq(from->name, d->author), exists = true;

	set_policy(d, "p", r->p);
	if (dmarc_record_use(r) != DMARC_USE_POLICY) {
		set_policy(d, "p", DMARC_POLICY_NONE);
		return GOOD;
	}
	if (!below)
		return GOOD;
	if (dmarc_record_has(r, DMARC_TAG_SP))
		set_policy(d, "sp", r->sp);
	if (!dmarc_record_has(r, DMARC_TAG_NP) || r->np == d->result.published)
		return GOOD;
	enum look l = author_exists(d, &exists);
	if (l == GOOD && !exists)
		set_policy(d, "np", r->np);
	return l;
}

/* t=y: one step less than published. */
static enum dmarc_policy step_back(enum dmarc_policy p)
{
	return p == DMARC_POLICY_NONE ? p : (enum dmarc_policy)(p - 1);
}

/* ---- the verdict ---- */

static enum look end(struct dmarc *d, enum dmarc_verdict v, struct buf *why)
{
	struct dmarc_result *r = &d->result;

	r->verdict = v;
	if (v == DMARC_FAIL)
		r->disposition = r->testing ? step_back(r->published) : r->published;
	for (size_t i = 0; i < d->name_n; i++)
		if (d->names[i].records > 1)
			buf_addf(why, "; %u records at _dmarc." STR_FMT ", none counts", d->names[i].records,
				 STR_ARG(d->names[i].name));
	d->done = true;
	return GOOD;
}

static void tell_faults(const struct dmarc_record *r, struct buf *why)
{
	size_t before = why->n;

	buf_add(why, S("; the record: "));
	size_t at = why->n;
	dmarc_record_tell(r, why);
	if (why->n == at) { /* there is none */
		why->n = before;
		why->p[before] = '\0';
	}
}

static void tell_fail(const struct dmarc *d, const struct dmarc_record *r, struct buf *why)
{
	unsigned passed = 0;

	for (size_t i = 0; i < d->id_n; i++)
		if (d->ids[i].state == DMARC_ID_PASS)
			buf_addf(why, "%s%s " STR_FMT, passed++ == 0 ? "not aligned with the author: " : ", ",
				 d->ids[i].dkim ? "DKIM" : "SPF", STR_ARG(d->ids[i].domain));
	if (passed == 0)
		buf_addf(why, "neither SPF nor DKIM passed");
	buf_addf(why, "; %s=%s of %s%s", d->result.tag, dmarc_policy_name(d->result.published), d->result.policy_domain,
		 r->testing ? ", which is testing (t=y)" : "");
}

static enum look conclude(struct dmarc *d, const struct dmarc_name *from, struct buf *why)
{
	const struct dmarc_record *r = &from->record;
	const struct dmarc_walked *id, *doubtful;
	enum look passed, policy;

	if ((passed = find_aligned(d, r, DMARC_ID_PASS, &id)) == WANTS)
		return WANTS;
	if (id != NULL) {
		bool same = str_eq(id->domain, d->author);
		keep(d->result.aligned, id->domain);
		d->result.by_dkim = id->dkim;
		if (same)
			keep(d->result.org_domain, d->author);
		buf_addf(why, "%s " STR_FMT " %s%s", id->dkim ? "DKIM" : "SPF", STR_ARG(id->domain),
			 same ? "is the author domain" : "is aligned: both belong to ",
			 same ? "" : d->result.org_domain);
		return end(d, DMARC_PASS, why);
	}
	enum look doubts = find_aligned(d, r, DMARC_ID_TEMPERROR, &doubtful);
	if (doubts == WANTS || (policy = choose_policy(d, from)) == WANTS)
		return WANTS;
	if (doubtful != NULL) {
		buf_addf(why, "%s of " STR_FMT ", which is aligned, could not be checked for now",
			 doubtful->dkim ? "DKIM" : "SPF", STR_ARG(doubtful->domain));
		return end(d, DMARC_TEMPERROR, why);
	}
	if (passed == FAILED || doubts == FAILED || policy == FAILED) {
		buf_addf(why, "the DNS did not say %s",
			 policy == FAILED ? "whether the author domain exists" : "who is of the same organisation");
		return end(d, DMARC_TEMPERROR, why);
	}
	tell_fail(d, r, why);
	tell_faults(r, why);
	return end(d, DMARC_FAIL, why);
}

/* The whole question, from what is known. */
static enum look evaluate(struct dmarc *d)
{
	struct dmarc_result *r = &d->result;
	const struct dmarc_name *from = NULL;
	struct buf why = { .p = r->why, .cap = sizeof r->why, .max = sizeof r->why - 1 };

	*r = (struct dmarc_result){ .asked = r->asked };
	if (d->author.n == 0) {
		buf_add(&why, S("From does not name one author domain"));
		return end(d, DMARC_PERMERROR, &why);
	}
	keep(r->author, d->author);
	enum look l = discover(d, &from);
	if (l == WANTS)
		return WANTS;
	if (l == FAILED) {
		buf_addf(&why, "the DNS did not say what " STR_FMT " asks for", STR_ARG(d->author));
		return end(d, DMARC_TEMPERROR, &why);
	}
	if (from == NULL) {
		buf_addf(&why, "no DMARC record at " STR_FMT " or above", STR_ARG(d->author));
		return end(d, DMARC_NONE, &why);
	}
	keep(r->policy_domain, from->name);
	r->testing = from->record.testing;
	if (dmarc_record_use(&from->record) == DMARC_USE_NOTHING) {
		buf_addf(&why, "the record of " STR_FMT " cannot be used", STR_ARG(from->name));
		tell_faults(&from->record, &why);
		return end(d, DMARC_PERMERROR, &why);
	}
	return conclude(d, from, &why);
}

/* ---- the machine ---- */

static bool take_domain(struct str domain, char text[DMARC_NAME], struct str *out)
{
	struct buf b = { .p = text, .cap = DMARC_NAME, .max = DMARC_NAME - 1 };

	if (domain.n == 0 || !addr_normalize_domain(domain, &b) || b.n == 0)
		return false;
	*out = buf_str(&b);
	return true;
}

static void take_id(struct dmarc *d, const struct dmarc_id *id, bool dkim)
{
	struct dmarc_walked *w = &d->ids[d->id_n];

	if (id->state == DMARC_ID_NO || d->id_n == sizeof d->ids / sizeof d->ids[0] ||
	    !take_domain(id->domain, w->text, &w->domain))
		return;
	w->state = id->state;
	w->dkim = dkim;
	for (size_t i = 0; i < d->id_n; i++)
		if (d->ids[i].dkim == dkim && d->ids[i].state == w->state && str_eq(d->ids[i].domain, w->domain))
			return; /* the same again */
	d->id_n++;
}

void dmarc_begin(struct dmarc *d, const struct dmarc_input *in)
{
	memset(d, 0, sizeof *d);
	if (!take_domain(in->author, d->author_text, &d->author))
		d->author = STR_NONE;
	take_id(d, &in->spf, false);
	for (size_t i = 0; i < in->dkim_n; i++)
		take_id(d, &in->dkim[i], true);
}

struct str dmarc_next(struct dmarc *d)
{
	if (!d->done && d->wanted.n == 0)
		evaluate(d);
	if (d->done)
		return STR_NONE;
	must(d->wanted.n > 0);
	struct buf b = { .p = d->ask, .cap = sizeof d->ask, .max = sizeof d->ask - 1 };
	buf_add(&b, d->wants_author ? S("") : S(PREFIX));
	buf_add(&b, d->wanted);
	must(!b.full);
	return buf_str(&b);
}

void dmarc_answer(struct dmarc *d, enum txt_status status, const struct str *texts, size_t n)
{
	must(!d->done && d->wanted.n > 0 && (status == TXT_DATA || n == 0));
	struct str wanted = d->wanted;
	d->wanted = STR_NONE;
	d->result.asked++;
	if (d->wants_author) {
		d->author_exists = status == TXT_FAILED     ? DMARC_EXISTS_FAILED
				   : status == TXT_NXDOMAIN ? DMARC_EXISTS_NOT
							    : DMARC_EXISTS;
		return;
	}
	must(d->name_n < DMARC_NAMES_MAX);
	struct dmarc_name *known = &d->names[d->name_n++];
	*known = (struct dmarc_name){ .name = wanted,
				      .failed = status == TXT_FAILED,
				      .exists = status == TXT_DATA || status == TXT_NODATA };
	for (size_t i = 0; i < n; i++) {
		struct dmarc_record r;
		if (!dmarc_record_parse(texts[i], &r))
			continue;
		known->records++;
		r.rua = r.ruf = r.fo = STR_NONE; /* they go with the texts */
		known->record = r;
	}
	known->has_record = known->records == 1;
}

const struct dmarc_result *dmarc_result(const struct dmarc *d)
{
	must(d->done);
	return &d->result;
}
