/* auth/dmarc_record.c: the tags of a DMARC record; see the header.  One row a tag. */
#include "auth/dmarc_record.h"

#include "base/must.h"

static const char *const policies[] = { "none", "quarantine", "reject" };

const char *dmarc_policy_name(enum dmarc_policy p)
{
	must(p <= DMARC_POLICY_REJECT);
	return policies[p];
}

/* ---- values ---- */

static bool read_policy(struct str v, enum dmarc_policy *out)
{
	for (unsigned i = 0; i < sizeof policies / sizeof *policies; i++)
		if (str_ieq(v, str_c(policies[i]))) {
			*out = (enum dmarc_policy)i;
			return true;
		}
	return false;
}

/* One letter of two: `yes` sets *out. */
static bool read_letter(struct str v, char yes, char no, bool *out)
{
	if (v.n != 1 || (chr_lower(v.p[0]) != yes && chr_lower(v.p[0]) != no))
		return false;
	*out = chr_lower(v.p[0]) == yes;
	return true;
}

static bool read_psd(struct str v, enum dmarc_psd *out)
{
	ssize_t at = v.n == 1 ? str_chr(S("uyn"), chr_lower(v.p[0])) : -1;

	if (at < 0)
		return false;
	*out = (enum dmarc_psd)at;
	return true;
}

/* scheme ":" something, printable; an obsolete size ("!10m") behind it does no harm. */
static bool is_uri(struct str v)
{
	ssize_t colon = str_chr(v, ':');

	if (colon < 1 || (size_t)colon + 1 == v.n || !chr_is_alpha(v.p[0]) || v.p[colon + 1] == '!')
		return false;
	for (size_t i = 0; i < v.n; i++) {
		bool scheme = i < (size_t)colon;
		if (v.p[i] <= ' ' || v.p[i] > '~' || (scheme && !chr_is_alnum(v.p[i]) && str_chr(S("+-."), v.p[i]) < 0))
			return false;
	}
	return true;
}

/* A list counts when one URI of it is valid. */
static bool read_uris(struct str v, struct str *out)
{
	struct str rest = v, uri;
	bool more = true, some = false;

	while (more) {
		more = str_cut(rest, ',', &uri, &rest);
		some |= is_uri(str_trim(uri));
	}
	*out = v;
	return some;
}

/* Each of 0 1 d s at most once, 0 and 1 not together. */
static bool read_fo(struct str v, struct str *out)
{
	struct str rest = v, word;
	unsigned seen = 0;
	bool more = true;

	while (more) {
		more = str_cut(rest, ':', &word, &rest);
		word = str_trim(word);
		ssize_t at = word.n == 1 ? str_chr(S("01ds"), chr_lower(word.p[0])) : -1;
		if (at < 0 || seen & 1u << at)
			return false;
		seen |= 1u << at;
	}
	*out = v;
	return (seen & 3) != 3;
}

static bool read_tag(struct dmarc_record *r, enum dmarc_tag tag, struct str v)
{
	switch (tag) {
	case DMARC_TAG_ADKIM:
		return read_letter(v, 's', 'r', &r->adkim_strict);
	case DMARC_TAG_ASPF:
		return read_letter(v, 's', 'r', &r->aspf_strict);
	case DMARC_TAG_FO:
		return read_fo(v, &r->fo);
	case DMARC_TAG_NP:
		return read_policy(v, &r->np);
	case DMARC_TAG_P:
		return read_policy(v, &r->p);
	case DMARC_TAG_PSD:
		return read_psd(v, &r->psd);
	case DMARC_TAG_RUA:
		return r->rua_usable = read_uris(v, &r->rua);
	case DMARC_TAG_RUF:
		return read_uris(v, &r->ruf);
	case DMARC_TAG_SP:
		return read_policy(v, &r->sp);
	case DMARC_TAG_T:
		return read_letter(v, 'y', 'n', &r->testing);
	case DMARC_TAG_N:
		break;
	}
	return false;
}

/* ---- tags ---- */

static const char *const names[DMARC_TAG_N] = { "adkim", "aspf", "fo", "np", "p", "psd", "rua", "ruf", "sp", "t" };

static enum dmarc_tag find_tag(struct str name)
{
	unsigned t = 0;

	while (t < DMARC_TAG_N && !str_ieq(name, str_c(names[t])))
		t++;
	return (enum dmarc_tag)t;
}

static bool is_version(struct str part)
{
	struct str name, value;

	return str_cut(part, '=', &name, &value) && name.n > 0 && !chr_is_space(name.p[0]) &&
	       str_ieq(str_trim(name), S("v")) && str_eq(str_trim(value), S("DMARC1"));
}

static bool is_printable(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] < ' ' || s.p[i] > '~')
			return false;
	return s.n > 0;
}

static void take_part(struct dmarc_record *r, struct str part)
{
	struct str name, value;

	part = str_trim(part);
	if (part.n == 0)
		return; /* ";;" and the end */
	if (!str_cut(part, '=', &name, &value) || (name = str_trim(name)).n == 0) {
		r->malformed = true;
		return;
	}
	enum dmarc_tag tag = find_tag(name);
	if (tag == DMARC_TAG_N)
		return; /* unknown, or over: pct, rf, ri */
	unsigned bit = 1u << tag;
	value = str_trim(value);
	if ((r->has | r->bad) & bit || !is_printable(value) || !read_tag(r, tag, value))
		r->bad |= bit;
	else
		r->has |= bit;
}

bool dmarc_record_parse(struct str text, struct dmarc_record *out)
{
	struct str part, rest;
	bool more = str_cut(text, ';', &part, &rest);

	*out = (struct dmarc_record){ .p = DMARC_POLICY_NONE };
	if (!is_version(part))
		return false;
	while (more) {
		more = str_cut(rest, ';', &part, &rest);
		take_part(out, part);
	}
	return true;
}

enum dmarc_use dmarc_record_use(const struct dmarc_record *r)
{
	const unsigned subs = 1u << DMARC_TAG_SP | 1u << DMARC_TAG_NP;
	unsigned wrong = r->bad & ~r->has; /* given twice is another matter: the first counts */

	if (dmarc_record_has(r, DMARC_TAG_P) && !(wrong & subs))
		return DMARC_USE_POLICY;
	return r->rua_usable ? DMARC_USE_NONE : DMARC_USE_NOTHING;
}

void dmarc_record_tell(const struct dmarc_record *r, struct buf *out)
{
	const char *between = "";

	for (unsigned t = 0; t < DMARC_TAG_N; t++)
		if (r->bad & 1u << t) {
			buf_addf(out, "%s%s= %s", between, names[t],
				 r->has & 1u << t ? "is given twice" : "is not valid");
			between = "; ";
		}
	if (!((r->has | r->bad) & 1u << DMARC_TAG_P)) {
		buf_addf(out, "%sp= is missing", between);
		between = "; ";
	}
	if (r->malformed)
		buf_addf(out, "%ssomething in it is no tag", between);
}
