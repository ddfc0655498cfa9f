/* wire/authres.c: reading Authentication-Results; see the header.  Writing is in authres_write.c.
 *
 * A field is a row of words and single characters with comments and folds (CFWS, RFC 5322 3.2.2) between them.  Where
 * one of those does not end, the strict reader stops and the generous one says: could be anybody's. */
#include "wire/authres.h"

#include "wire/addr.h"

static bool is_gap(char c)
{
	return chr_is_space(c) || c == '\r' || c == '\n';
}

/* Takes the comment at the front off *s; false when it does not end. */
static bool skip_comment(struct str *s)
{
	size_t depth = 0;

	for (size_t i = 0; i < s->n; i++)
		if (s->p[i] == '\\') {
			i++;
		} else if (s->p[i] == '(') {
			depth++;
		} else if (s->p[i] == ')' && --depth == 0) {
			*s = str_skip(*s, i + 1);
			return true;
		}
	return false;
}

static bool skip_cfws(struct str *s)
{
	while (s->n > 0)
		if (is_gap(s->p[0]))
			*s = str_skip(*s, 1);
		else if (s->p[0] != '(')
			return true;
		else if (!skip_comment(s))
			return false;
	return true;
}

/* Takes the quoted string at the front off *s, its content without folds into `out`; false when it does not end. */
static bool take_quoted(struct str *s, struct buf *out)
{
	for (size_t i = 1; i < s->n; i++) {
		char c = s->p[i];
		if (c == '"') {
			*s = str_skip(*s, i + 1);
			return true;
		}
		if (c == '\\' && i + 1 < s->n)
			c = s->p[++i];
		if (c != '\r' && c != '\n')
			buf_addc(out, c);
	}
	return false;
}

/* ---- whose: as the most generous reader sees it ---- */

enum { ID_MAX = 256 };

static void drop_blanks(struct buf *b)
{
	size_t n = 0;

	for (size_t i = 0; i < b->n; i++)
		if (!chr_is_space(b->p[i]) && !chr_is_ctl(b->p[i]))
			b->p[n++] = b->p[i];
	b->n = n;
}

/* The authserv-id into `id`.  Comments are nothing, also inside of it; a blank in quotes or beside a dot is nothing
 * either. False: a comment or a quoted string in front of the results does not end. */
static bool read_loosely(struct str s, struct buf *id)
{
	bool blank = false;

	while (s.n > 0) {
		char c = s.p[0];
		if (c == '(') {
			if (!skip_comment(&s))
				return false;
			continue;
		}
		if (c == ';')
			return true;
		if (is_gap(c) || chr_is_ctl(c) || c == '\\') {
			blank |= c != '\\';
		} else if (c != '"' && str_chr(S("<>@,:/[]?=)"), c) >= 0) {
			if (id->n > 0)
				return true;
		} else {
			if (blank && id->n > 0 && c != '.' && id->p[id->n - 1] != '.')
				return true; /* the version */
			blank = false;
			if (c == '"') {
				if (!take_quoted(&s, id))
					return false;
				drop_blanks(id);
				continue;
			}
			buf_addc(id, c);
		}
		s = str_skip(s, 1);
	}
	return true;
}

static struct str without_dots(struct str s)
{
	s = str_trim(s);
	while (s.n > 0 && s.p[s.n - 1] == '.')
		s.n--;
	return s;
}

static bool has_8bit(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (chr_is_8bit(s.p[i]))
			return true;
	return false;
}

static bool is_same_name(struct str a, struct str b)
{
	char room_a[ID_MAX + 1], room_b[ID_MAX + 1];
	struct buf x = { .p = room_a, .cap = sizeof room_a, .max = ID_MAX };
	struct buf y = { .p = room_b, .cap = sizeof room_b, .max = ID_MAX };

	a = without_dots(a);
	b = without_dots(b);
	if (a.n == 0 || b.n == 0)
		return false;
	if (str_ieq(a, b))
		return true;
	if (!has_8bit(a) && !has_8bit(b))
		return false;
	return addr_normalize_domain(a, &x) && addr_normalize_domain(b, &y) &&
	       str_ieq(without_dots(buf_str(&x)), without_dots(buf_str(&y)));
}

static bool holds(struct str text, struct str word)
{
	for (; text.n >= word.n; text = str_skip(text, 1))
		if (str_istarts(text, word))
			return true;
	return false;
}

bool authres_is_by(struct str value, struct str id)
{
	char room[ID_MAX + 1];
	struct buf found = { .p = room, .cap = sizeof room, .max = ID_MAX };

	id = without_dots(id);
	if (id.n == 0)
		return false;
	if (!read_loosely(value, &found))
		return holds(value, id);
	return is_same_name(buf_str(&found), id);
}

/* ---- what: by the grammar ---- */

static bool is_token(char c)
{
	return c > ' ' && c != 127 && str_chr(S("()<>@,;:\\\"/[]?="), c) < 0;
}

static bool is_keyword(char c)
{
	return chr_is_alnum(c) || c == '-' || c == '_';
}

static struct str take_while(struct str *s, bool (*is)(char))
{
	size_t n = 0;

	while (n < s->n && is(s->p[n]))
		n++;
	struct str word = str_head(*s, n);
	*s = str_skip(*s, n);
	return word;
}

static bool take_char(struct str *s, char c)
{
	struct str look = *s;

	if (!skip_cfws(&look) || look.n == 0 || look.p[0] != c)
		return false;
	*s = str_skip(look, 1);
	return true;
}

/* CFWS and a keyword; empty when there is none. */
static struct str take_keyword(struct str *s)
{
	return skip_cfws(s) ? take_while(s, is_keyword) : STR_NONE;
}

static bool take_version(struct str *s, unsigned *version)
{
	uint64_t v;

	if (!skip_cfws(s))
		return false;
	if (!str_u64(take_while(s, is_keyword), 1000000, &v))
		return false;
	*version = (unsigned)v;
	return true;
}

/* What lies in `text` behind `from`; never moves. */
static struct str text_from(const struct authres *r, size_t from)
{
	return str_skip(buf_str(&r->text), from);
}

/* Characters of a value that need no quotes with generous writers: IPv6 addresses, base64, addresses. */
static bool is_bare(char c)
{
	return is_token(c) || (c != ';' && c != '(' && c != ')' && c != '"' && c > ' ' && c != 127);
}

/* A value: words and quoted strings with nothing between them. */
static bool take_value(struct authres *r, struct str *s, struct str *out)
{
	size_t from = r->text.n;
	bool some = false;

	if (!skip_cfws(s))
		return false;
	while (s->n > 0 && (s->p[0] == '"' || is_bare(s->p[0]))) {
		some = true;
		if (s->p[0] != '"')
			buf_add(&r->text, take_while(s, is_bare));
		else if (!take_quoted(s, &r->text))
			return false;
	}
	*out = text_from(r, from);
	return some && !r->text.full;
}

/* "reason=..." or "ptype.property=..."; what else has the form word=value is passed over, as the shared cloud writes
 * "action=none". */
static bool take_spec(struct authres *r, struct str *s, struct authres_result *out)
{
	struct authres_prop p = { .ptype = take_keyword(s) };

	if (p.ptype.n == 0)
		return false;
	if (take_char(s, '=')) {
		return take_value(r, s, str_ieq(p.ptype, S("reason")) ? &out->reason : &p.value);
	}
	if (!take_char(s, '.') || (p.property = take_keyword(s)).n == 0 || !take_char(s, '=') ||
	    !take_value(r, s, &p.value))
		return false;
	if (out->prop_n < AUTHRES_PROPS_MAX)
		out->props[out->prop_n++] = p;
	return true;
}

bool authres_open(struct authres *r, struct str value)
{
	struct str s = value;

	*r = (struct authres){ .version = 1 };
	r->text = (struct buf){ .p = r->room, .cap = sizeof r->room, .max = sizeof r->room - 1 };
	if (!skip_cfws(&s))
		return false;
	if (s.n > 0 && s.p[0] == '"') {
		if (!take_quoted(&s, &r->text))
			return false;
	} else {
		struct str word = take_while(&s, is_token);
		struct str look = s;
		if (take_char(&look, '=')) { /* no id: this is the first result */
			r->rest = value;
			return true;
		}
		buf_add(&r->text, word);
	}
	r->id = buf_str(&r->text);
	r->id_n = r->text.n;
	if (r->id_n == 0 || r->text.full || !skip_cfws(&s))
		return false;
	if (s.n > 0 && s.p[0] != ';' && !take_version(&s, &r->version))
		return false;
	if (!skip_cfws(&s) || (s.n > 0 && s.p[0] != ';'))
		return false;
	r->rest = s;
	return true;
}

static int take_result(struct authres *r, struct str *s, struct authres_result *out)
{
	out->method = take_keyword(s);
	if (out->method.n == 0)
		return -1;
	if (take_char(s, '/') && !take_version(s, &out->version))
		return -1;
	if (!take_char(s, '=')) {
		bool none = str_ieq(out->method, S("none"));
		return none && skip_cfws(s) && s->n == 0 ? 0 : -1;
	}
	if ((out->result = take_keyword(s)).n == 0 || !skip_cfws(s))
		return -1;
	while (s->n > 0 && s->p[0] != ';')
		if (!take_spec(r, s, out) || !skip_cfws(s))
			return -1;
	return 1;
}

int authres_next(struct authres *r, struct authres_result *out)
{
	struct str s = r->rest;

	*out = (struct authres_result){ .version = 1 };
	r->text.n = r->id_n;
	r->rest = STR_NONE; /* behind broken text there is nothing */
	do                  /* empty results, as of a semicolon at the end */
		if (!skip_cfws(&s))
			return -1;
	while (s.n > 0 && s.p[0] == ';' && (s = str_skip(s, 1), true));
	if (s.n == 0)
		return 0;
	int got = take_result(r, &s, out);
	if (got == 1)
		r->rest = s;
	return got;
}
