/* config/value.c: parsing and printing by type.  What value_put prints, value_set takes. */
#include "config/value.h"

#include "base/must.h"
#include "base/time.h"

#include <string.h>

static void *slot(const struct option *o, void *base)
{
	return (char *)base + o->offset;
}

static const void *const_slot(const struct option *o, const void *base)
{
	return (const char *)base + o->offset;
}

struct str value_dup(struct arena *a, struct str s)
{
	struct str copy;

	must(arena_dup(a, s, &copy));
	return copy;
}

bool value_word_eq(struct str name, struct str word)
{
	if (name.n != word.n)
		return false;
	for (size_t i = 0; i < name.n; i++)
		if (name.p[i] != (word.p[i] == '_' ? '-' : chr_lower(word.p[i])))
			return false;
	return true;
}

static bool parse_flag(struct str s, bool *out)
{
	static const char *const yes[] = { "yes", "on", "true" }, *const no[] = { "no", "off", "false" };

	for (size_t i = 0; i < 3; i++) {
		*out = value_word_eq(str_c(yes[i]), s);
		if (*out || value_word_eq(str_c(no[i]), s))
			return true;
	}
	return false;
}

/* "36MB", "64M", "1 GiB" without the blank; units are powers of 1024. */
static bool parse_bytes(struct str s, uint64_t *out)
{
	static const char letters[] = "KMGT";
	unsigned shift = 0;
	uint64_t v;

	if (str_iends(s, S("iB")) && s.n > 2)
		s.n -= 2;
	else if (str_iends(s, S("B")))
		s.n -= 1;
	if (s.n > 0 && chr_is_alpha(s.p[s.n - 1])) {
		const char *at = strchr(letters, s.p[s.n - 1] & ~0x20);
		if (at == NULL)
			return false;
		shift = 10 * (unsigned)(at - letters + 1);
		s.n--;
	}
	if (!str_u64(s, UINT64_MAX >> 1 >> shift, &v))
		return false;
	*out = v << shift;
	return true;
}

static void put_bytes(struct buf *out, uint64_t v)
{
	static const char letters[] = "TGMK";

	for (unsigned i = 0; i < 4 && v > 0; i++) {
		unsigned shift = 40 - 10 * i;
		if ((v & ((UINT64_C(1) << shift) - 1)) == 0) {
			buf_addf(out, "%llu%c", (unsigned long long)(v >> shift), letters[i]);
			return;
		}
	}
	buf_addu(out, v);
}

/* The number types share one form, so that ranges are one comparison. */
static bool parse_number(const struct option *o, struct str s, int64_t *out)
{
	uint64_t u = 0;
	bool ok;

	if (o->type == OPT_MSEC)
		return time_parse_span(s, out);
	ok = o->type == OPT_BYTES ? parse_bytes(s, &u) : str_u64(s, INT64_MAX, &u);
	if (ok)
		*out = (int64_t)u;
	return ok;
}

static bool set_number(const struct option *o, struct str s, void *at, struct buf *why)
{
	static const char *const form[] = {
		[OPT_MSEC] = "a duration like 90s, 5m, 4h, 2d",
		[OPT_BYTES] = "a size like 500, 64K, 36M, 1G",
		[OPT_COUNT] = "a number",
	};
	int64_t v, least, most;

	if (!parse_number(o, s, &v)) {
		buf_addf(why, "'" STR_FMT "' is not %s", STR_ARG(s), form[o->type]);
		return false;
	}
	must(parse_number(o, str_c(o->min), &least) && parse_number(o, str_c(o->max), &most));
	if (v < least || v > most) {
		buf_addf(why, "'" STR_FMT "' is out of range, allowed are %s to %s", STR_ARG(s), o->min, o->max);
		return false;
	}
	if (o->type == OPT_BYTES)
		*(conf_bytes *)at = (uint64_t)v;
	else
		*(int64_t *)at = v; /* conf_msec and conf_count */
	return true;
}

static bool set_enum(const struct option *o, struct str s, void *at, struct buf *why)
{
	for (unsigned i = 0; o->names[i] != NULL; i++) {
		if (value_word_eq(str_c(o->names[i]), s)) {
			memcpy(at, &i, sizeof i);
			return true;
		}
	}
	buf_addf(why, "'" STR_FMT "' is not one of ", STR_ARG(s));
	value_put_range(o, why);
	return false;
}

static bool set_list(const struct str *words, size_t n, struct arena *a, struct conf_list *to, struct buf *why)
{
	struct str *v = NULL;

	for (size_t i = 0; i < n; i++) {
		if (words[i].n == 0) {
			buf_addf(why, "the list has an empty entry");
			return false;
		}
	}
	if (n > 0) {
		v = arena_alloc(a, n * sizeof *v);
		must(v != NULL);
	}
	for (size_t i = 0; i < n; i++)
		v[i] = value_dup(a, words[i]);
	*to = (struct conf_list){ v, n };
	return true;
}

bool value_set(const struct option *o, const struct str *words, size_t n, struct arena *a, void *base, struct buf *why)
{
	void *at = slot(o, base);

	must(o->type == OPT_LIST || n == 1);
	switch (o->type) {
	case OPT_TEXT:
		*(struct str *)at = value_dup(a, words[0]);
		return true;
	case OPT_LIST:
		return set_list(words, n, a, at, why);
	case OPT_FLAG:
		if (parse_flag(words[0], at))
			return true;
		buf_addf(why, "'" STR_FMT "' is not yes or no", STR_ARG(words[0]));
		return false;
	case OPT_ENUM:
		return set_enum(o, words[0], at, why);
	case OPT_MSEC:
	case OPT_BYTES:
	case OPT_COUNT:
		return set_number(o, words[0], at, why);
	}
	must(!"an option of no type");
	return false;
}

void value_set_default(const struct option *o, struct arena *a, void *base)
{
	struct str words[24], rest = str_c(o->dflt);
	size_t n = 0;
	struct buf why;

	buf_init(&why, 256);
	if (o->type != OPT_LIST)
		words[n++] = rest;
	while (o->type == OPT_LIST && rest.n > 0) {
		must(n < sizeof words / sizeof *words);
		str_cut(rest, ',', &words[n++], &rest);
		rest = str_trim(rest);
	}
	must(value_set(o, words, n, a, base, &why));
	buf_fini(&why);
}

void value_put_quoted(struct str s, struct buf *out)
{
	buf_addc(out, '"');
	for (size_t i = 0; i < s.n; i++) {
		if (s.p[i] == '"' || s.p[i] == '\\')
			buf_addc(out, '\\');
		buf_addc(out, s.p[i]);
	}
	buf_addc(out, '"');
}

static void put_list(const struct conf_list *l, struct buf *out)
{
	buf_add(out, l->n == 0 ? S("{") : S("{ "));
	for (size_t i = 0; i < l->n; i++) {
		if (i > 0)
			buf_add(out, S(", "));
		value_put_quoted(l->v[i], out);
	}
	buf_add(out, l->n == 0 ? S("}") : S(" }"));
}

void value_put(const struct option *o, const void *base, struct buf *out)
{
	const void *at = const_slot(o, base);
	unsigned i;

	switch (o->type) {
	case OPT_TEXT:
		value_put_quoted(*(const struct str *)at, out);
		break;
	case OPT_LIST:
		put_list(at, out);
		break;
	case OPT_FLAG:
		buf_add(out, *(const bool *)at ? S("yes") : S("no"));
		break;
	case OPT_MSEC:
		time_put_span(out, *(const conf_msec *)at);
		break;
	case OPT_BYTES:
		put_bytes(out, *(const conf_bytes *)at);
		break;
	case OPT_COUNT:
		buf_addu(out, (uint64_t) * (const conf_count *)at);
		break;
	case OPT_ENUM:
		memcpy(&i, at, sizeof i);
		buf_add(out, str_c(o->names[i]));
		break;
	}
}

bool value_same(const struct option *o, const void *a, const void *b)
{
	const void *x = const_slot(o, a), *y = const_slot(o, b);
	const struct conf_list *l = x, *m = y;

	switch (o->type) {
	case OPT_TEXT:
		return str_eq(*(const struct str *)x, *(const struct str *)y);
	case OPT_LIST:
		if (l->n != m->n)
			return false;
		for (size_t i = 0; i < l->n; i++)
			if (!str_eq(l->v[i], m->v[i]))
				return false;
		return true;
	case OPT_FLAG:
		return *(const bool *)x == *(const bool *)y;
	case OPT_ENUM:
		return memcmp(x, y, sizeof(unsigned)) == 0;
	case OPT_MSEC:
	case OPT_BYTES:
	case OPT_COUNT:
		return memcmp(x, y, sizeof(int64_t)) == 0;
	}
	must(!"an option of no type");
	return false;
}

const char *value_type_name(const struct option *o)
{
	static const char *const names[] = {
		[OPT_TEXT] = "text",  [OPT_LIST] = "list",    [OPT_FLAG] = "yes or no", [OPT_MSEC] = "duration",
		[OPT_BYTES] = "size", [OPT_COUNT] = "number", [OPT_ENUM] = "word",
	};

	return names[o->type];
}

void value_put_range(const struct option *o, struct buf *out)
{
	if (o->min != NULL)
		buf_addf(out, "%s to %s", o->min, o->max);
	for (size_t i = 0; o->names != NULL && o->names[i] != NULL; i++)
		buf_addf(out, "%s%s", i > 0 ? ", " : "", o->names[i]);
}
