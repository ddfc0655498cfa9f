/* tls/names.c: does a certificate carry the name we ask for?  Pure: no OpenSSL, no clock, no I/O.
 *
 * Two wildcards look alike and are different things (spec 3.5.3), so they share no code here:
 *   presented_covers   the certificate says *.d: any one label before d, nothing else (RFC 6125 6.4.3)
 *   pattern_covers     the administrator says *.d: in exchange mode d and all below it, in strict mode one label
 * Invariant: whatever does not read as a plain host name matches nothing. */
#include "tls/tls.h"

#include "base/net.h"

#include <idn2.h>
#include <string.h>

enum { HOST_MAX = 253, LABEL_MAX = 63 };

struct pattern {
	bool wildcard;           /* "*.name" */
	char text[HOST_MAX + 3]; /* lower case A-labels, no trailing dot, NUL */
	struct str name;         /* of text, without "*." */
};

/* How many labels; 0 when this is no host name.  Underscores occur in certificates, never in our patterns. */
static size_t count_labels(struct str s, bool underscore)
{
	size_t labels = 1, length = 0;

	if (s.n > HOST_MAX)
		return 0;
	for (size_t i = 0; i < s.n; i++) {
		char c = s.p[i];
		if (c == '.') {
			if (length == 0)
				return 0;
			labels++;
			length = 0;
			continue;
		}
		if ((!chr_is_alnum(c) && c != '-' && !(underscore && c == '_')) || ++length > LABEL_MAX)
			return 0;
	}
	return length == 0 ? 0 : labels;
}

bool tls_identity_is_usable(struct str raw)
{
	if (str_starts(raw, S("*.")))
		return count_labels(str_skip(raw, 2), true) >= 2;
	return count_labels(raw, true) > 0;
}

static bool has_8bit(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (chr_is_8bit(s.p[i]))
			return true;
	return false;
}

/* U-labels become A-labels (IDNA2008, non-transitional: sharp s stays itself). */
static bool put_ascii(struct str name, char *to, size_t room)
{
	char text[4 * HOST_MAX + 1], *ascii = NULL;
	bool ok = false;

	if (name.n >= sizeof text || memchr(name.p, '\0', name.n) != NULL)
		return false;
	memcpy(text, name.p, name.n);
	text[name.n] = '\0';
	if (idn2_to_ascii_8z(text, &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) != IDN2_OK)
		return false;
	if (strlen(ascii) < room) {
		memcpy(to, ascii, strlen(ascii) + 1);
		ok = true;
	}
	idn2_free(ascii);
	return ok;
}

static bool is_number(struct str label)
{
	for (size_t i = 0; i < label.n; i++)
		if (!chr_is_digit(label.p[i]))
			return false;
	return true;
}

/* Brings a pattern into the form that is compared.  NULL, or why it is not a pattern. */
static const char *pattern_read(struct str in, struct pattern *p)
{
	struct str name = in;
	struct net_addr ip;

	p->wildcard = str_starts(in, S("*."));
	if (p->wildcard)
		name = str_skip(in, 2);
	if (name.n > 0 && name.p[name.n - 1] == '.')
		name.n--;
	if (name.n == 0)
		return "the name is empty";
	if (net_parse_ip(name, 0, &ip))
		return "an IP address is not a certificate name";
	if (str_chr(name, '*') >= 0)
		return "'*' may only stand alone as the first label, as in *.contoso.com";
	if (has_8bit(name)) {
		if (!put_ascii(name, p->text, sizeof p->text))
			return "not a valid internationalised name (IDNA2008)";
		p->name = str_c(p->text);
	} else {
		if (name.n > HOST_MAX)
			return "the name is longer than 253 bytes";
		memcpy(p->text, name.p, name.n);
		p->name = str_n(p->text, name.n);
	}
	for (size_t i = 0; i < p->name.n; i++)
		p->text[i] = chr_lower(p->text[i]);
	size_t labels = count_labels(p->name, false);
	if (labels == 0)
		return "not a host name (letters, digits, '-' and '.')";
	if (labels < 2)
		return p->wildcard ? "the wildcard covers a whole top-level domain"
				   : "a name needs at least two labels";
	if (is_number(str_skip(p->name, (size_t)str_rchr(p->name, '.') + 1)))
		return "the last label is a number";
	return NULL;
}

bool tls_pattern_check(struct str pattern, const char **why)
{
	struct pattern p;
	const char *wrong = pattern_read(pattern, &p);

	if (why != NULL)
		*why = wrong;
	return wrong == NULL;
}

static bool presented_covers(struct str identity, struct str name)
{
	struct str first, rest;

	return str_starts(identity, S("*.")) && str_cut(name, '.', &first, &rest) &&
	       str_ieq(str_skip(identity, 2), rest);
}

/* `identity` may be a presented wildcard itself; it then counts as the text it is ("*" being one label). */
static bool pattern_covers(struct str domain, enum conf_match mode, struct str identity)
{
	if (str_ieq(identity, domain))
		return mode == MATCH_EXCHANGE;
	if (identity.n < domain.n + 2 || !str_iends(identity, domain) || identity.p[identity.n - domain.n - 1] != '.')
		return false;
	return mode == MATCH_EXCHANGE || str_chr(str_head(identity, identity.n - domain.n - 1), '.') < 0;
}

static bool identity_matches(const struct pattern *p, struct str identity, const struct tls_match_rules *r)
{
	if (!tls_identity_is_usable(identity))
		return false;
	if (p->wildcard)
		return pattern_covers(p->name, r->mode, identity);
	if (str_ieq(p->name, identity))
		return true;
	/* a hub must not be recognised by the wildcard that any web server of the company holds */
	return (r->direction == TLS_VERIFY || r->expand_presented_wildcard) && presented_covers(identity, p->name);
}

static bool find_identity(const struct pattern *p, const struct str *list, size_t n, const struct tls_match_rules *r,
			  struct str *matched)
{
	for (size_t i = 0; i < n; i++) {
		if (!identity_matches(p, list[i], r))
			continue;
		if (matched != NULL)
			*matched = list[i];
		return true;
	}
	return false;
}

/* Both sides go through the parser, so that ::1 equals 0:0:0:0:0:0:0:1. */
static bool find_ip(const struct net_addr *ip, const struct tls_identities *ids, struct str *matched)
{
	struct net_addr other;

	for (size_t i = 0; i < ids->ip_n; i++) {
		if (!net_parse_ip(ids->ips[i], 0, &other) || !net_same_ip(ip, &other))
			continue;
		if (matched != NULL)
			*matched = ids->ips[i];
		return true;
	}
	return false;
}

bool tls_name_match(struct str pattern, const struct tls_identities *ids, const struct tls_match_rules *r,
		    struct str *matched)
{
	struct pattern p;
	struct net_addr ip;

	if (net_parse_ip(pattern, 0, &ip))
		return find_ip(&ip, ids, matched);
	if (pattern_read(pattern, &p) != NULL)
		return false;
	if (find_identity(&p, ids->sans, ids->san_n, r, matched))
		return true;
	bool use_cn = r->mode == MATCH_EXCHANGE || (r->cn_fallback && ids->san_n == 0 && !ids->san_dropped);
	return use_cn && find_identity(&p, ids->cns, ids->cn_n, r, matched);
}
