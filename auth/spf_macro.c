/* auth/spf_macro.c: letters, transformers, delimiters; see the header. */
#include "auth/spf_macro.h"

#include <stdio.h>
#include <string.h>

enum { VALUE_MAX = 1024, PARTS_MAX = 128, NAME_MAX_BYTES = 253 };

struct macro {
	char letter; /* small */
	bool escape; /* a capital: URL-escaped */
	unsigned digits;
	bool reverse;
	struct str delimiters;
	struct str raw; /* "%{...}" */
};

/* Reads "%{...}" at the front of s. */
static bool read_macro(struct str s, struct macro *m)
{
	size_t at = 3;

	if (s.n < 4 || s.p[1] != '{')
		return false;
	*m = (struct macro){ .letter = chr_lower(s.p[2]), .escape = s.p[2] >= 'A' && s.p[2] <= 'Z' };
	for (; at < s.n && chr_is_digit(s.p[at]) && m->digits < 1000; at++)
		m->digits = m->digits * 10 + (unsigned)(s.p[at] - '0');
	if (at < s.n && chr_lower(s.p[at]) == 'r') {
		m->reverse = true;
		at++;
	}
	size_t from = at;
	while (at < s.n && s.p[at] != '}' && strchr(".-+,/_=", s.p[at]) != NULL && s.p[at] != '\0')
		at++;
	m->delimiters = str_n(s.p + from, at - from);
	if (m->delimiters.n == 0)
		m->delimiters = S(".");
	m->raw = str_head(s, at + 1);
	return at < s.n && s.p[at] == '}' && strchr("slodiphcrtv", m->letter) != NULL && m->letter != '\0';
}

static void put_nibbles(const struct net_addr *a, struct buf *b)
{
	for (int i = 0; i < 32; i++)
		buf_addf(b, "%s%x", i > 0 ? "." : "", a->v6.sin6_addr.s6_addr[i / 2] >> (i % 2 == 0 ? 4 : 0) & 15);
}

static void put_value(const struct macro *m, const struct spf_macros *v, struct buf *b)
{
	ssize_t at = str_rchr(v->sender, '@');
	bool v4 = v->client.sa.sa_family == AF_INET;

	switch (m->letter) {
	case 's':
		buf_add(b, v->sender);
		break;
	case 'l':
		buf_add(b, str_head(v->sender, at > 0 ? (size_t)at : 0));
		break;
	case 'o':
		buf_add(b, str_skip(v->sender, (size_t)(at + 1)));
		break;
	case 'd':
		buf_add(b, v->domain);
		break;
	case 'i':
		if (v4)
			net_put_ip(b, &v->client);
		else
			put_nibbles(&v->client, b);
		break;
	case 'h':
		buf_add(b, v->helo);
		break;
	case 'v':
		buf_add(b, v4 ? S("in-addr") : S("ip6"));
		break;
	case 'c':
		net_put_ip(b, &v->client);
		break;
	case 'r':
		buf_add(b, v->receiver);
		break;
	case 't':
		buf_addf(b, "%jd", (intmax_t)v->now_s);
		break;
	default:
		buf_add(b, S("unknown"));
	}
}

/* Splits, reverses, keeps the last `digits` parts, and joins with dots (7.3). */
static void put_parts(const struct macro *m, struct str value, struct buf *b)
{
	struct str parts[PARTS_MAX];
	size_t n = 0, from = 0;

	for (size_t i = 0; i <= value.n && n < PARTS_MAX; i++)
		if (i == value.n || str_chr(m->delimiters, value.p[i]) >= 0) {
			parts[n++] = str_head(str_skip(value, from), i - from);
			from = i + 1;
		}
	size_t keep = m->digits > 0 && m->digits < n ? m->digits : n;
	for (size_t i = n - keep; i < n; i++) {
		if (i > n - keep)
			buf_addc(b, '.');
		buf_add(b, parts[m->reverse ? n - 1 - i : i]);
	}
}

static void put_escaped(struct str s, struct buf *b)
{
	for (size_t i = 0; i < s.n; i++)
		if (chr_is_alnum(s.p[i]) || (s.p[i] != '\0' && strchr("-._~", s.p[i]) != NULL))
			buf_addc(b, s.p[i]);
		else
			buf_addf(b, "%%%02x", (unsigned)(unsigned char)s.p[i]);
}

static void put_for_library(struct str s, struct buf *out)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] == '%')
			buf_add(out, S("%%"));
		else if (s.p[i] == ' ')
			buf_add(out, S("%_"));
		else
			buf_addc(out, s.p[i]);
}

static void put_macro(const struct macro *m, const struct spf_macros *v, struct buf *b)
{
	struct buf value, parts;

	buf_init(&value, VALUE_MAX);
	buf_init(&parts, VALUE_MAX);
	put_value(m, v, &value);
	put_parts(m, buf_str(&value), &parts);
	if (m->escape)
		put_escaped(buf_str(&parts), b);
	else
		buf_add(b, buf_str(&parts));
	b->full = b->full || value.full || parts.full;
	buf_fini(&value);
	buf_fini(&parts);
}

/* One "%..." at the front of s: how long it is, 0 when it is wrong. */
static size_t put_percent(struct str s, const struct spf_macros *v, enum spf_expand how, struct buf *b)
{
	struct macro m;
	char c = s.n > 1 ? s.p[1] : '\0';

	if (c == '%' || c == '_' || c == '-') {
		buf_add(b, c == '%' ? S("%") : c == '_' ? S(" ") : S("%20"));
		return 2;
	}
	if (!read_macro(s, &m) || (how != EXPAND_TEXT && strchr("crt", m.letter) != NULL))
		return 0;
	put_macro(&m, v, b);
	return m.raw.n;
}

/* Labels go in front until it fits a name (7.3). */
static struct str shorten(struct str name)
{
	while (name.n > NAME_MAX_BYTES) {
		struct str label, rest;
		if (!str_cut(name, '.', &label, &rest))
			return STR_NONE;
		name = rest;
	}
	return name;
}

bool spf_has_p(struct str text)
{
	for (ssize_t at; (at = str_find(text, S("%"))) >= 0; text = str_skip(text, (size_t)at + 2)) {
		struct str s = str_skip(text, (size_t)at);
		if (s.n > 2 && s.p[1] == '{' && chr_lower(s.p[2]) == 'p')
			return true;
	}
	return false;
}

bool spf_expand(struct str text, const struct spf_macros *m, enum spf_expand how, struct buf *out)
{
	bool keeps_p = how == EXPAND_LIBRARY && spf_has_p(text);
	struct buf b;
	bool good = true;

	buf_init(&b, out->max);
	for (size_t i = 0; good && i < text.n;) {
		struct str rest = str_skip(text, i);
		struct macro macro;
		if (rest.p[0] != '%') {
			buf_addc(&b, rest.p[0]);
			i++;
			continue;
		}
		if (keeps_p && read_macro(rest, &macro) && macro.letter == 'p') {
			put_for_library(buf_str(&b), out);
			buf_reset(&b);
			buf_add(out, macro.raw);
			i += macro.raw.n;
			continue;
		}
		size_t n = put_percent(rest, m, how, &b);
		good = n > 0;
		i += n;
	}
	struct str name = how == EXPAND_TEXT || keeps_p ? buf_str(&b) : shorten(buf_str(&b));
	if (how == EXPAND_LIBRARY)
		put_for_library(name, out);
	else
		buf_add(out, name);
	good = good && !b.full && !out->full && (name.n > 0 || keeps_p || how == EXPAND_TEXT);
	buf_fini(&b);
	return good;
}
