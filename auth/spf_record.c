/* auth/spf_record.c: the grammar of RFC 7208 12, read once from left to right. */
#include "auth/spf_record.h"

#include "base/must.h"

#include <arpa/inet.h>
#include <string.h>

static const struct row {
	struct str name;
	enum spf_kind kind;
	bool modifier, domain, must_domain, cidr;
} rows[] = {
	{ STR_LIT("all"), SPF_ALL, false, false, false, false },
	{ STR_LIT("include"), SPF_INCLUDE, false, true, true, false },
	{ STR_LIT("a"), SPF_A, false, true, false, true },
	{ STR_LIT("mx"), SPF_MX, false, true, false, true },
	{ STR_LIT("ptr"), SPF_PTR, false, true, false, false },
	{ STR_LIT("ip4"), SPF_IP4, false, false, false, false },
	{ STR_LIT("ip6"), SPF_IP6, false, false, false, false },
	{ STR_LIT("exists"), SPF_EXISTS, false, true, true, false },
	{ STR_LIT("redirect"), SPF_REDIRECT, true, true, true, false },
	{ STR_LIT("exp"), SPF_EXP, true, true, true, false },
};

static const struct row *row_find(struct str name, bool modifier)
{
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		if (rows[i].modifier == modifier && str_ieq(rows[i].name, name))
			return &rows[i];
	return NULL;
}

bool spf_is_record(struct str text)
{
	return str_istarts(text, S("v=spf1")) && (text.n == 6 || text.p[6] == ' ');
}

bool spf_has_macro(struct str domain_spec)
{
	return str_chr(domain_spec, '%') >= 0;
}

bool spf_is_domain(struct str name)
{
	struct str label, rest = name;
	size_t labels = 0;

	if (str_ends(rest, S(".")))
		rest.n--;
	if (rest.n == 0 || rest.n > 253)
		return false;
	for (bool more = true; more; labels++) {
		more = str_cut(rest, '.', &label, &rest);
		if (label.n == 0 || label.n > 63)
			return false;
		for (size_t i = 0; i < label.n; i++)
			if (label.p[i] <= ' ' || label.p[i] > '~' || strchr("\\\"()@;", label.p[i]) != NULL)
				return false;
	}
	return labels >= 2;
}

/* ---- macros ---- */

/* "%{...}" without its first two characters; returns how many more it has, 0 when it is wrong. */
static size_t macro_length(struct str s)
{
	size_t at = 0, digits = 0;
	bool zero = true;

	if (s.n == 0 || strchr("slodiphvSLODIPHV", s.p[0]) == NULL || s.p[0] == '\0')
		return 0;
	for (at = 1; at < s.n && chr_is_digit(s.p[at]); at++, digits++)
		zero = zero && s.p[at] == '0';
	if (digits > 3 || (digits > 0 && zero))
		return 0;
	if (at < s.n && chr_lower(s.p[at]) == 'r')
		at++;
	while (at < s.n && s.p[at] != '\0' && strchr(".-+,/_=", s.p[at]) != NULL)
		at++;
	return at < s.n && s.p[at] == '}' ? at + 1 : 0;
}

/* macro-string; *end: where the last macro ends, to see whether the text ends with one. */
static bool is_macro_string(struct str s, size_t *end)
{
	*end = 0;
	for (size_t i = 0; i < s.n;) {
		if (s.p[i] < '!' || s.p[i] > '~')
			return false;
		if (s.p[i] != '%') {
			i++;
			continue;
		}
		if (i + 1 >= s.n)
			return false;
		if (strchr("%_-", s.p[i + 1]) != NULL && s.p[i + 1] != '\0') {
			i += 2;
		} else {
			size_t n = s.p[i + 1] == '{' ? macro_length(str_skip(s, i + 2)) : 0;
			if (n == 0)
				return false;
			i += 2 + n;
		}
		*end = i;
	}
	return true;
}

static bool is_toplabel(struct str s)
{
	bool letter = false, hyphen = false;

	for (size_t i = 0; i < s.n; i++) {
		letter = letter || chr_is_alpha(s.p[i]);
		hyphen = hyphen || s.p[i] == '-';
		if (!chr_is_alnum(s.p[i]) && s.p[i] != '-')
			return false;
	}
	return s.n > 0 && s.n <= 63 && (letter || hyphen) && chr_is_alnum(s.p[0]) && chr_is_alnum(s.p[s.n - 1]);
}

static bool is_domain_spec(struct str s)
{
	size_t end;

	if (s.n == 0 || !is_macro_string(s, &end))
		return false;
	if (end == s.n)
		return true;
	if (s.p[s.n - 1] == '.')
		s.n--;
	ssize_t dot = str_rchr(s, '.');
	return dot >= 0 && (size_t)dot >= end && is_toplabel(str_skip(s, (size_t)dot + 1)) &&
	       (dot == 0 || s.p[dot - 1] != '.') && s.p[0] != '.';
}

/* ---- prefix lengths ---- */

static bool read_bits(struct str s, unsigned max, unsigned *bits)
{
	uint64_t v;

	if (!str_u64(s, max, &v) || (s.n > 1 && s.p[0] == '0'))
		return false;
	*bits = (unsigned)v;
	return true;
}

/* Where digits behind a slash begin at the end of `s`, or -1. */
static ssize_t slash_before(struct str s)
{
	size_t at = s.n;

	while (at > 0 && chr_is_digit(s.p[at - 1]))
		at--;
	return at > 0 && at < s.n && s.p[at - 1] == '/' ? (ssize_t)at - 1 : -1;
}

/* Takes "/24", "//64" or "/24//64" off the end of *s. */
static bool cut_dual_cidr(struct str *s, unsigned *bits4, unsigned *bits6)
{
	ssize_t at = slash_before(*s);

	if (at > 0 && s->p[at - 1] == '/') {
		if (!read_bits(str_skip(*s, (size_t)at + 1), 128, bits6))
			return false;
		*s = str_head(*s, (size_t)at - 1);
		at = slash_before(*s);
	}
	if (at >= 0) {
		if (!read_bits(str_skip(*s, (size_t)at + 1), 32, bits4))
			return false;
		*s = str_head(*s, (size_t)at);
	}
	return true;
}

static bool read_address(struct str s, struct spf_term *t)
{
	char text[64];
	unsigned char room[16];
	struct str bits;
	bool four = t->kind == SPF_IP4, has = str_cut(s, '/', &t->address, &bits);

	if (t->address.n == 0 || t->address.n >= sizeof text)
		return false;
	memcpy(text, t->address.p, t->address.n);
	text[t->address.n] = '\0';
	if (strlen(text) != t->address.n || inet_pton(four ? AF_INET : AF_INET6, text, room) != 1)
		return false;
	return !has || read_bits(bits, four ? 32 : 128, four ? &t->bits4 : &t->bits6);
}

/* ---- terms ---- */

static size_t name_length(struct str s)
{
	size_t n = 0;

	while (n < s.n && (chr_is_alnum(s.p[n]) || (n > 0 && strchr("-_.", s.p[n]) != NULL && s.p[n] != '\0')))
		n++;
	return n > 0 && chr_is_alpha(s.p[0]) ? n : 0;
}

static const char *read_modifier(struct spf_term *t, struct str name, struct str value)
{
	const struct row *row = row_find(name, true);
	size_t end;

	t->kind = row != NULL ? row->kind : SPF_OTHER;
	t->domain = value;
	if (row == NULL)
		return is_macro_string(value, &end) ? NULL : "a modifier with a wrong value";
	return is_domain_spec(value) ? NULL : "not a domain";
}

static const char *read_mechanism(struct spf_term *t, struct str name, struct str rest)
{
	const struct row *row = row_find(name, false);

	if (row == NULL)
		return "an unknown mechanism";
	t->kind = row->kind;
	if (row->kind == SPF_IP4 || row->kind == SPF_IP6)
		return str_starts(rest, S(":")) && read_address(str_skip(rest, 1), t) ? NULL : "not an address";
	if (row->cidr && !cut_dual_cidr(&rest, &t->bits4, &t->bits6))
		return "a wrong prefix length";
	if (rest.n == 0)
		return row->must_domain ? "a domain is missing" : NULL;
	if (!row->domain || rest.p[0] != ':')
		return "something is left over behind the mechanism";
	t->domain = str_skip(rest, 1);
	return is_domain_spec(t->domain) ? NULL : "not a domain";
}

static const char *read_term(struct str text, struct spf_term *t)
{
	*t = (struct spf_term){ .qualifier = '+', .written = text, .bits4 = 32, .bits6 = 128 };
	bool qualified = text.p[0] != '\0' && strchr("+-~?", text.p[0]) != NULL;
	if (qualified) {
		t->qualifier = text.p[0];
		text = str_skip(text, 1);
	}
	t->body = text;
	size_t n = name_length(text);
	if (n == 0)
		return "neither a mechanism nor a modifier";
	struct str name = str_head(text, n), rest = str_skip(text, n);
	if (rest.n > 0 && rest.p[0] == '=')
		return qualified ? "a modifier with a qualifier" : read_modifier(t, name, str_skip(rest, 1));
	return read_mechanism(t, name, rest);
}

static const char *keep_once(struct spf_record *r, const struct spf_term *t)
{
	const struct spf_term **one = t->kind == SPF_REDIRECT ? &r->redirect : t->kind == SPF_EXP ? &r->exp : NULL;

	if (one == NULL)
		return NULL;
	if (*one != NULL)
		return "a modifier that may stand once stands twice";
	*one = t;
	return NULL;
}

const char *spf_record_parse(struct str text, struct spf_record *r, struct str *at)
{
	struct str term, rest = str_skip(text, 6);

	must(spf_is_record(text));
	r->n = 0;
	r->redirect = r->exp = NULL;
	while (rest.n > 0) {
		str_cut(rest, ' ', &term, &rest);
		if (term.n == 0)
			continue;
		*at = str_head(term, 100);
		if (r->n == SPF_TERMS_MAX)
			return "too many terms";
		const char *wrong = read_term(term, &r->terms[r->n]);
		if (wrong == NULL)
			wrong = keep_once(r, &r->terms[r->n]);
		if (wrong != NULL)
			return wrong;
		r->n++;
	}
	return NULL;
}
