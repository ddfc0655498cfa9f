/* tls/dn.c: one pass over the text, left to right.
 *
 *   reference  = "<I>" name "<S>" name
 *   name       = rdn *( "," rdn )          rdn = attribute *( "+" attribute )
 *   attribute  = type "=" ( quoted / plain )   plain ends at , + < or the end; quoted may hold them, and "" for a quote
 */
#include "tls/dn.h"

#include "base/must.h"

#include <unicase.h>
#include <uninorm.h>
#include <unistr.h>

static const struct {
	struct str name, oid;
} types[] = {
	{ STR_LIT("CN"), STR_LIT("2.5.4.3") },
	{ STR_LIT("SN"), STR_LIT("2.5.4.4") },
	{ STR_LIT("SERIALNUMBER"), STR_LIT("2.5.4.5") },
	{ STR_LIT("C"), STR_LIT("2.5.4.6") },
	{ STR_LIT("L"), STR_LIT("2.5.4.7") },
	{ STR_LIT("S"), STR_LIT("2.5.4.8") }, /* Windows */
	{ STR_LIT("ST"), STR_LIT("2.5.4.8") },
	{ STR_LIT("STREET"), STR_LIT("2.5.4.9") },
	{ STR_LIT("O"), STR_LIT("2.5.4.10") },
	{ STR_LIT("OU"), STR_LIT("2.5.4.11") },
	{ STR_LIT("T"), STR_LIT("2.5.4.12") },
	{ STR_LIT("TITLE"), STR_LIT("2.5.4.12") },
	{ STR_LIT("DESCRIPTION"), STR_LIT("2.5.4.13") },
	{ STR_LIT("POSTALCODE"), STR_LIT("2.5.4.17") },
	{ STR_LIT("PHONE"), STR_LIT("2.5.4.20") },
	{ STR_LIT("G"), STR_LIT("2.5.4.42") },
	{ STR_LIT("GN"), STR_LIT("2.5.4.42") },
	{ STR_LIT("GIVENNAME"), STR_LIT("2.5.4.42") },
	{ STR_LIT("I"), STR_LIT("2.5.4.43") },
	{ STR_LIT("INITIALS"), STR_LIT("2.5.4.43") },
	{ STR_LIT("DNQUALIFIER"), STR_LIT("2.5.4.46") },
	{ STR_LIT("ORGANIZATIONIDENTIFIER"), STR_LIT("2.5.4.97") },
	{ STR_LIT("E"), STR_LIT("1.2.840.113549.1.9.1") },
	{ STR_LIT("EMAIL"), STR_LIT("1.2.840.113549.1.9.1") },
	{ STR_LIT("EMAILADDRESS"), STR_LIT("1.2.840.113549.1.9.1") },
	{ STR_LIT("DC"), STR_LIT("0.9.2342.19200300.100.1.25") },
	{ STR_LIT("UID"), STR_LIT("0.9.2342.19200300.100.1.1") },
};

struct parser {
	struct str rest;
	struct arena *arena;
	struct err *err;
};

static int wrong(struct parser *p, const char *what)
{
	if (p->rest.n == 0)
		return err_set(p->err, ERR_SYNTAX, "tls.dn", "%s (at the end)", what);
	return err_set(p->err, ERR_SYNTAX, "tls.dn", "%s (at '" STR_FMT "')", what, STR_ARG(str_head(p->rest, 20)));
}

static char next(const struct parser *p)
{
	return p->rest.n > 0 ? p->rest.p[0] : '\0';
}

static void skip_spaces(struct parser *p)
{
	while (chr_is_space(next(p)))
		p->rest = str_skip(p->rest, 1);
}

/* ---- attributes ---- */

/* 1.2.3: at least two arcs, no empty one, no leading zero. */
static bool is_oid(struct str s)
{
	struct str arc;
	size_t arcs = 0;

	for (bool more = true; more; arcs++) {
		struct str tail;
		more = str_cut(s, '.', &arc, &tail);
		s = tail;
		if (arc.n == 0 || (arc.n > 1 && arc.p[0] == '0'))
			return false;
		for (size_t i = 0; i < arc.n; i++)
			if (!chr_is_digit(arc.p[i]))
				return false;
	}
	return arcs >= 2;
}

static bool type_find(struct str name, struct str *oid)
{
	for (size_t i = 0; i < sizeof types / sizeof *types; i++) {
		if (!str_ieq(types[i].name, name))
			continue;
		*oid = types[i].oid;
		return true;
	}
	*oid = str_istarts(name, S("OID.")) ? str_skip(name, 4) : name;
	return is_oid(*oid);
}

static int read_type(struct parser *p, struct dn_attribute *out)
{
	size_t n = 0;
	struct str oid;

	skip_spaces(p);
	while (n < p->rest.n && (chr_is_alnum(p->rest.p[n]) || p->rest.p[n] == '.' || p->rest.p[n] == '-'))
		n++;
	if (!type_find(str_head(p->rest, n), &oid))
		return wrong(p, n == 0 ? "an attribute such as CN= is missing" : "unknown attribute; write OID.1.2.3=");
	if (!arena_dup(p->arena, oid, &out->oid))
		return wrong(p, "the name is too long");
	p->rest = str_skip(p->rest, n);
	skip_spaces(p);
	if (next(p) != '=')
		return wrong(p, "'=' is missing");
	p->rest = str_skip(p->rest, 1);
	skip_spaces(p);
	return 0;
}

/* Takes the value's bytes to `to` (room for all of rest); returns how many, or -1. */
static ssize_t copy_quoted(struct parser *p, char *to)
{
	struct str s = str_skip(p->rest, 1);
	size_t n = 0;

	for (; s.n > 0; s = str_skip(s, 1)) {
		if (s.p[0] == '"' && (s.n < 2 || s.p[1] != '"')) {
			p->rest = str_skip(s, 1);
			return (ssize_t)n;
		}
		if (s.p[0] == '"')
			s = str_skip(s, 1);
		to[n++] = s.p[0];
	}
	return wrong(p, "the closing quote is missing");
}

static ssize_t copy_plain(struct parser *p, char *to)
{
	size_t n = 0;

	for (; n < p->rest.n && p->rest.p[n] != ',' && p->rest.p[n] != '+' && p->rest.p[n] != '<'; n++) {
		if (p->rest.p[n] == '"')
			return wrong(p, "a quote inside a value: quote the whole value and double it");
		to[n] = p->rest.p[n];
	}
	p->rest = str_skip(p->rest, n);
	return (ssize_t)n;
}

/* No space at the ends, one where there were several. */
static size_t collapse_spaces(char *s, size_t n)
{
	size_t out = 0;

	for (size_t i = 0; i < n; i++)
		/* NOLINTNEXTLINE(clang-analyzer-core.CallAndMessage): the reader of the value set n of them */
		if (!chr_is_space(s[i]))
			s[out++] = s[i];
		else if (out > 0 && s[out - 1] != ' ')
			s[out++] = ' ';
	return out > 0 && s[out - 1] == ' ' ? out - 1 : out;
}

static int read_value(struct parser *p, struct dn_attribute *out)
{
	char text[DN_TEXT_MAX];

	must(p->rest.n <= sizeof text);
	ssize_t n = next(p) == '"' ? copy_quoted(p, text) : copy_plain(p, text);
	if (n < 0)
		return -1;
	struct str value = str_n(text, collapse_spaces(text, (size_t)n));
	if (value.n == 0)
		return wrong(p, "the value is empty");
	if (u8_check((const uint8_t *)value.p, value.n) != NULL || memchr(value.p, '\0', value.n) != NULL)
		return wrong(p, "the value is not UTF-8 text");
	if (!arena_dup(p->arena, value, &out->value))
		return wrong(p, "the name is too long");
	skip_spaces(p);
	return 0;
}

/* ---- names ---- */

/* Attributes joined by '+'.  The array is made for the most there can be: what the text's length allows. */
static int read_rdn(struct parser *p, struct dn_rdn *out)
{
	size_t most = 1;

	for (size_t i = 0; i < p->rest.n; i++)
		most += p->rest.p[i] == '+';
	out->v = arena_alloc(p->arena, most * sizeof *out->v);
	if (out->v == NULL)
		return wrong(p, "the name is too long");
	for (;;) {
		if (read_type(p, &out->v[out->n]) != 0 || read_value(p, &out->v[out->n]) != 0)
			return -1;
		out->n++;
		if (next(p) != '+')
			return 0;
		p->rest = str_skip(p->rest, 1);
	}
}

static int read_name(struct parser *p, struct dn *out)
{
	size_t most = 1;

	for (size_t i = 0; i < p->rest.n; i++)
		most += p->rest.p[i] == ',';
	*out = (struct dn){ .v = arena_alloc(p->arena, most * sizeof *out->v) };
	if (out->v == NULL)
		return wrong(p, "the name is too long");
	for (;;) {
		if (read_rdn(p, &out->v[out->n]) != 0)
			return -1;
		out->n++;
		if (next(p) == '<' || p->rest.n == 0)
			return 0;
		if (next(p) != ',')
			return wrong(p, "',' or '+' is missing");
		p->rest = str_skip(p->rest, 1);
	}
}

static int check_length(struct str text, struct err *e)
{
	if (text.n > DN_TEXT_MAX)
		return err_set(e, ERR_SYNTAX, "tls.dn", "longer than %d bytes", DN_TEXT_MAX);
	return 0;
}

int dn_parse(struct str text, struct arena *a, struct dn *out, struct err *e)
{
	struct parser p = { text, a, e };
	struct dn name;

	if (check_length(text, e) != 0 || read_name(&p, &name) != 0)
		return -1;
	if (p.rest.n > 0)
		return wrong(&p, "'<' needs quotes around the value");
	*out = name;
	return 0;
}

int dn_parse_reference(struct str text, struct arena *a, struct dn_reference *out, struct err *e)
{
	struct parser p = { str_trim(text), a, e };
	struct dn_reference ref;

	if (check_length(text, e) != 0)
		return -1;
	if (!str_istarts(p.rest, S("<I>")))
		return wrong(&p, "the issuer comes first: <I>...<S>...");
	p.rest = str_skip(p.rest, 3);
	if (read_name(&p, &ref.issuer) != 0)
		return -1;
	if (!str_istarts(p.rest, S("<S>")))
		return wrong(&p, "<S> and the subject must follow the issuer");
	p.rest = str_skip(p.rest, 3);
	if (read_name(&p, &ref.subject) != 0)
		return -1;
	if (p.rest.n > 0)
		return wrong(&p, "<I> and <S> may stand only once");
	*out = ref;
	return 0;
}

/* ---- comparison ---- */

static bool attribute_is_same(const struct dn_attribute *a, const struct dn_attribute *b)
{
	int order = 1;

	if (!str_eq(a->oid, b->oid))
		return false;
	return u8_casecmp((const uint8_t *)a->value.p, a->value.n, (const uint8_t *)b->value.p, b->value.n, NULL,
			  UNINORM_NFC, &order) == 0 &&
	       order == 0;
}

static size_t count_in(const struct dn_rdn *r, const struct dn_attribute *a)
{
	size_t n = 0;

	for (size_t i = 0; i < r->n; i++)
		n += attribute_is_same(&r->v[i], a);
	return n;
}

static bool rdn_is_same(const struct dn_rdn *a, const struct dn_rdn *b)
{
	if (a->n != b->n)
		return false;
	for (size_t i = 0; i < a->n; i++)
		if (count_in(a, &a->v[i]) != count_in(b, &a->v[i]))
			return false;
	return true;
}

enum dn_order dn_compare(const struct dn *a, const struct dn *b)
{
	bool same = a->n == b->n, reversed = same;

	for (size_t i = 0; i < a->n && (same || reversed); i++) {
		same = same && rdn_is_same(&a->v[i], &b->v[i]);
		reversed = reversed && rdn_is_same(&a->v[i], &b->v[b->n - 1 - i]);
	}
	return same ? DN_SAME : reversed ? DN_REVERSED : DN_DIFFERENT;
}
