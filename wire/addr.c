/* wire/addr.c: mailbox and domain grammar, and the key made of a mailbox.
 *
 * The parser walks once from left to right; what it accepts is exactly what it looked at, so nothing behind it (a
 * second
 * "@", a comment, an encoded word) can be read differently by somebody else.  The only file that knows libidn2 and
 * libunistring: ASCII addresses, nearly all, never get there. */
#include "wire/addr.h"

#include "base/must.h"
#include "base/net.h"

#include <idn2.h>
#include <stdlib.h>
#include <string.h>
#include <uninorm.h>
#include <unistr.h>

enum {
	LOCAL_MAX = 64,
	LOCAL_RELAXED_MAX = 315,
	DOMAIN_MAX = 255,
	LABEL_MAX = 63,
	PATH_MAX_BYTES = 254, /* 256 with the brackets */
	PATH_RELAXED_MAX = 571,
};

/* ---- characters ---- */

static bool is_atext(char c)
{
	return chr_is_alnum(c) || chr_is_8bit(c) || (c != '\0' && strchr("!#$%&'*+-/=?^_`{|}~", c) != NULL);
}

static bool has_8bit(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (chr_is_8bit(s.p[i]))
			return true;
	return false;
}

/* Characters that end a line or change what a reader sees without being seen. */
static bool is_treacherous(ucs4_t c)
{
	return c < 0x20 || (c >= 0x7F && c < 0xA0) || c == 0x061C || (c >= 0x200E && c <= 0x200F) ||
	       (c >= 0x2028 && c <= 0x202E) || (c >= 0x2066 && c <= 0x2069) || c == 0xFEFF || (c & 0xFFFE) == 0xFFFE ||
	       (c >= 0xFDD0 && c <= 0xFDEF);
}

bool addr_is_utf8(struct str s)
{
	ucs4_t c;

	for (int n; s.n > 0; s = str_skip(s, (size_t)n)) {
		n = u8_mbtoucr(&c, (const uint8_t *)s.p, s.n);
		if (n <= 0 || is_treacherous(c))
			return false;
	}
	return true;
}

/* ---- domain ---- */

static bool is_label(struct str s, bool utf8)
{
	if (s.n == 0 || s.n > (utf8 ? (size_t)DOMAIN_MAX : LABEL_MAX) || s.p[0] == '-' || s.p[s.n - 1] == '-')
		return false;
	for (size_t i = 0; i < s.n; i++)
		if (!chr_is_alnum(s.p[i]) && s.p[i] != '-' && !(utf8 && chr_is_8bit(s.p[i])))
			return false;
	return true;
}

static bool are_labels(struct str s, bool utf8)
{
	struct str label;
	bool more;

	if (s.n == 0 || s.n > DOMAIN_MAX)
		return false;
	do {
		more = str_cut(s, '.', &label, &s);
		if (!is_label(label, utf8))
			return false;
	} while (more);
	return true;
}

static size_t count_dots(struct str s)
{
	size_t n = 0;

	for (size_t i = 0; i < s.n; i++)
		n += s.p[i] == '.';
	return n;
}

/* A-labels of a domain that has U-labels.  Some characters map to "@", "/" or ".": the result must be letters, digits
 * and hyphens, with as many dots as before, so that the labels are those the sender wrote.  (libidn2's own STD3 flag
 * drops such characters silently, which would turn one domain into another.) */
static bool put_a_labels(struct str domain, struct buf *out)
{
	uint8_t text[DOMAIN_MAX + 1], *ascii = NULL;

	if (!are_labels(domain, true) || !addr_is_utf8(domain))
		return false;
	memcpy(text, domain.p, domain.n);
	text[domain.n] = '\0';
	if (idn2_lookup_u8(text, &ascii, IDN2_NFC_INPUT | IDN2_NONTRANSITIONAL) != IDN2_OK)
		return false;
	struct str a = str_c((char *)ascii);
	bool good = are_labels(a, false) && count_dots(a) == count_dots(domain);
	for (size_t i = 0; good && i < a.n; i++)
		buf_addc(out, chr_lower(a.p[i]));
	idn2_free(ascii);
	return good;
}

bool addr_is_domain(struct str s, bool utf8)
{
	struct buf scratch;

	if (!has_8bit(s))
		return are_labels(s, false);
	if (!utf8)
		return false;
	buf_init(&scratch, DOMAIN_MAX);
	bool good = put_a_labels(s, &scratch);
	buf_fini(&scratch);
	return good;
}

/* "[192.0.2.1]" or "[IPv6:2001:db8::1]"; the general form with other tags has no user and is refused. */
static bool parse_literal(struct str s, struct net_addr *out)
{
	if (s.n < 3 || s.p[0] != '[' || s.p[s.n - 1] != ']')
		return false;
	s = (struct str){ s.p + 1, s.n - 2 };
	bool v6 = str_istarts(s, S("IPv6:"));
	if (v6)
		s = str_skip(s, 5);
	if (str_chr(s, '[') >= 0 || (str_chr(s, ':') >= 0) != v6)
		return false;
	return net_parse_ip(s, 0, out);
}

bool addr_is_helo(struct str s)
{
	struct net_addr ip;
	struct str label;
	bool more;

	if (s.n == 0 || s.n > DOMAIN_MAX)
		return false;
	if (s.p[0] == '[')
		return parse_literal(s, &ip);
	do {
		more = str_cut(s, '.', &label, &s);
		if (label.n == 0 || label.n > LABEL_MAX)
			return false;
		for (size_t i = 0; i < label.n; i++)
			if (!chr_is_alnum(label.p[i]) && label.p[i] != '-' && label.p[i] != '_')
				return false;
	} while (more);
	return true;
}

/* ---- mailbox ---- */

/* Length of the quoted string at the front, quotes included; 0 when it is not one. */
static size_t quoted_len(struct str s)
{
	for (size_t i = 1; i < s.n; i++) {
		if (s.p[i] == '"')
			return i + 1;
		if (s.p[i] == '\\' && (++i == s.n || chr_is_8bit(s.p[i])))
			return 0;
		if (chr_is_ctl(s.p[i]))
			return 0;
	}
	return 0;
}

/* Length of the dot-string at the front; 0 when it is not one. */
static size_t dot_string_len(struct str s)
{
	size_t n = 0;

	while (n < s.n && (is_atext(s.p[n]) || (s.p[n] == '.' && n > 0 && s.p[n - 1] != '.')))
		n++;
	return n > 0 && s.p[n - 1] == '.' ? 0 : n;
}

/* Takes "@one.example,@two.example:" off the front; RFC 5321 4.1.2 and appendix C: accepted and ignored. */
static bool skip_route(struct str *s)
{
	struct str hop, rest = *s;
	ssize_t colon;

	if (rest.n == 0 || rest.p[0] != '@')
		return true;
	if ((colon = str_chr(rest, ':')) < 0)
		return false;
	*s = str_skip(rest, (size_t)colon + 1);
	rest = str_head(rest, (size_t)colon);
	for (bool more = true; more;) {
		more = str_cut(rest, ',', &hop, &rest);
		if (hop.n < 2 || hop.p[0] != '@' || !addr_is_domain(str_skip(hop, 1), true))
			return false;
	}
	return true;
}

static enum addr_error check_domain(struct addr *a)
{
	struct net_addr ip;

	if (a->domain.n > DOMAIN_MAX)
		return ADDR_TOO_LONG;
	if (a->domain.n > 0 && a->domain.p[0] == '[') {
		a->literal = true;
		return parse_literal(a->domain, &ip) ? ADDR_LITERAL : ADDR_SYNTAX;
	}
	return addr_is_domain(a->domain, true) ? ADDR_OK : ADDR_SYNTAX;
}

enum addr_error addr_parse(struct str s, const struct addr_rules *rules, struct addr *out)
{
	struct addr a = { 0 };
	enum addr_error e;
	size_t n;

	if (has_8bit(s) && (!rules->smtputf8 || !addr_is_utf8(s)))
		return ADDR_UTF8;
	if (s.n > (rules->relaxed ? PATH_RELAXED_MAX : PATH_MAX_BYTES))
		return ADDR_TOO_LONG;
	if (!skip_route(&s))
		return ADDR_SYNTAX;
	a.whole = s;
	a.quoted = s.n > 0 && s.p[0] == '"';
	n = a.quoted ? quoted_len(s) : dot_string_len(s);
	if (n == 0)
		return ADDR_SYNTAX;
	a.local = str_head(s, n);
	a.domain = str_skip(s, n + 1);
	a.has_8bit = has_8bit(s);
	if (n == s.n) {
		if (!rules->allow_bare_local || !str_ieq(s, S("postmaster")))
			return ADDR_SYNTAX;
		*out = a;
		return ADDR_OK;
	}
	if (s.p[n] != '@')
		return ADDR_SYNTAX;
	if (n > (rules->relaxed ? LOCAL_RELAXED_MAX : LOCAL_MAX))
		return ADDR_TOO_LONG;
	e = check_domain(&a);
	if (e == ADDR_OK || e == ADDR_LITERAL)
		*out = a;
	return e;
}

/* ---- the key ---- */

static void put_lower(struct buf *out, struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		buf_addc(out, chr_lower(s.p[i]));
}

/* Canonical composition in place. */
static bool compose(struct buf *b)
{
	size_t n = 0;
	uint8_t *nfc = u8_normalize(UNINORM_NFC, (const uint8_t *)b->p, b->n, NULL, &n);

	if (nfc == NULL)
		return false;
	buf_reset(b);
	buf_add(b, str_n(nfc, n));
	free(nfc);
	return true;
}

static void put_unquoted(struct buf *out, const struct addr *a)
{
	struct str s = a->local;

	if (!a->quoted) {
		buf_add(out, s);
		return;
	}
	must(s.n >= 2);
	for (size_t i = 1; i < s.n - 1; i++) {
		i += s.p[i] == '\\';
		buf_addc(out, s.p[i]);
	}
}

static void put_local(struct buf *out, struct str s)
{
	if (s.n > 0 && dot_string_len(s) == s.n) {
		buf_add(out, s);
		return;
	}
	buf_addc(out, '"');
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			buf_addc(out, '\\');
		buf_addc(out, s.p[i]);
	}
	buf_addc(out, '"');
}

static bool normalize_local(const struct addr *a, bool exact, struct buf *key)
{
	struct buf local;
	bool good;

	buf_init(&local, (size_t)LOCAL_RELAXED_MAX * 3); /* NFC grows UTF-8 by 3 at most */
	put_unquoted(&local, a);
	good = !a->has_8bit || compose(&local);
	if (!exact)
		for (size_t i = 0; i < local.n; i++)
			local.p[i] = chr_lower(local.p[i]);
	/* again: H with a macron below composes only as a small letter */
	good = good && (!a->has_8bit || exact || compose(&local)) && !local.full;
	if (good)
		put_local(key, buf_str(&local));
	buf_fini(&local);
	return good;
}

static bool normalize_literal(struct str domain, struct buf *out)
{
	struct net_addr ip;

	if (!parse_literal(domain, &ip))
		return false;
	buf_add(out, ip.sa.sa_family == AF_INET6 ? S("[ipv6:") : S("["));
	net_put_ip(out, &ip);
	buf_addc(out, ']');
	return true;
}

bool addr_normalize_domain(struct str domain, struct buf *out)
{
	if (domain.n > 0 && domain.p[domain.n - 1] == '.')
		domain.n--;
	if (has_8bit(domain))
		return put_a_labels(domain, out) && !out->full;
	if (!are_labels(domain, false))
		return false;
	put_lower(out, domain);
	return !out->full;
}

bool addr_normalize(const struct addr *a, bool exact, struct buf *key)
{
	size_t before = key->n;
	bool good = normalize_local(a, exact, key);

	if (good && a->domain.n > 0) {
		buf_addc(key, '@');
		good = a->literal ? normalize_literal(a->domain, key) : addr_normalize_domain(a->domain, key);
	}
	if (!good || key->full)
		key->n = before;
	return good && !key->full;
}

/* ---- xtext ---- */

static int upper_hex(char c)
{
	return chr_is_digit(c) ? c - '0' : c >= 'A' && c <= 'F' ? c - 'A' + 10 : -1;
}

/* The next decoded byte off the front of *s, or -1. */
static int take_xchar(struct str *s)
{
	char c = s->p[0];
	int high, low;

	*s = str_skip(*s, 1);
	if (c != '+')
		return c > ' ' && c <= '~' && c != '=' ? c : -1;
	if (s->n < 2 || (high = upper_hex(s->p[0])) < 0 || (low = upper_hex(s->p[1])) < 0)
		return -1;
	*s = str_skip(*s, 2);
	return chr_is_ctl((char)(high * 16 + low)) ? -1 : high * 16 + low;
}

bool addr_is_xtext(struct str s)
{
	while (s.n > 0)
		if (take_xchar(&s) < 0)
			return false;
	return true;
}

bool addr_xtext_decode(struct str s, struct buf *out)
{
	if (!addr_is_xtext(s))
		return false;
	while (s.n > 0)
		buf_addc(out, (char)take_xchar(&s));
	return !out->full;
}

void addr_xtext_encode(struct str s, struct buf *out)
{
	static const char hex[] = "0123456789ABCDEF";

	for (size_t i = 0; i < s.n; i++) {
		unsigned char c = (unsigned char)s.p[i];
		if (c > ' ' && c <= '~' && c != '+' && c != '=')
			buf_addc(out, (char)c);
		else
			buf_add(out, (struct str){ (char[]){ '+', hex[c >> 4], hex[c & 15] }, 3 });
	}
}

bool addr_is_clean(struct str s)
{
	bool quoted = false;

	for (size_t i = 0; i < s.n; i++) {
		if (chr_is_ctl(s.p[i]))
			return false;
		if (s.p[i] == '"')
			quoted = !quoted;
		else if (!quoted && (s.p[i] == ' ' || s.p[i] == '<' || s.p[i] == '>'))
			return false;
		else if (quoted && s.p[i] == '\\' && (++i == s.n || chr_is_ctl(s.p[i])))
			return false;
	}
	return !quoted;
}
