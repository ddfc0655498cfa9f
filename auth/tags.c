/* auth/tags.c: tag lists and key records; see the header. */
#include "auth/tags.h"

static bool is_gap(char c)
{
	return chr_is_space(c) || c == '\r' || c == '\n';
}

static struct str trim(struct str s)
{
	while (s.n > 0 && is_gap(s.p[0]))
		s = str_skip(s, 1);
	while (s.n > 0 && is_gap(s.p[s.n - 1]))
		s.n--;
	return s;
}

static bool is_name(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!chr_is_alnum(s.p[i]) && s.p[i] != '_')
			return false;
	return s.n > 0 && chr_is_alpha(s.p[0]);
}

static bool is_value(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!is_gap(s.p[i]) && (s.p[i] < '!' || s.p[i] > '~'))
			return false;
	return true;
}

const struct tag *tags_find(const struct tags *t, struct str name)
{
	for (size_t i = 0; i < t->n; i++)
		if (str_eq(t->v[i].name, name))
			return &t->v[i];
	return NULL;
}

struct str tags_value(const struct tags *t, struct str name)
{
	const struct tag *found = tags_find(t, name);

	return found == NULL ? STR_NONE : found->value;
}

bool tags_parse(struct str text, struct tags *out)
{
	struct str part, rest = text;
	bool more = true;

	out->n = 0;
	while (more) {
		struct tag t;
		more = str_cut(rest, ';', &part, &rest);
		if (!more && trim(part).n == 0)
			return out->n > 0; /* a semicolon at the end */
		if (out->n == TAGS_MAX || !str_cut(part, '=', &t.name, &t.whole))
			return false;
		t.name = trim(t.name);
		t.value = trim(t.whole);
		if (!is_name(t.name) || !is_value(t.value) || tags_find(out, t.name) != NULL)
			return false;
		out->v[out->n++] = t;
	}
	return true;
}

/* ---- keys ---- */

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

/* A tag with a list of words that must hold one of two, where it is there at all. */
static bool allows(const struct tags *t, struct str name, struct str a, struct str b)
{
	const struct tag *found = tags_find(t, name);

	return found == NULL || list_has(found->value, a) || list_has(found->value, b);
}

const char *key_read(struct str record, struct key *out)
{
	struct tags t;

	*out = (struct key){ 0 };
	if (!tags_parse(record, &t))
		return "the key record is no tag list";
	if (tags_find(&t, S("v")) != NULL && (!str_eq(t.v[0].name, S("v")) || !str_eq(t.v[0].value, S("DKIM1"))))
		return "the key record is of another version";
	struct str k = tags_value(&t, S("k"));
	if (k.n > 0 && !str_eq(k, S("rsa")) && !str_eq(k, S("ed25519")))
		return "the key is of an unknown kind";
	out->kind = str_eq(k, S("ed25519")) ? SIGNATURE_ED25519 : SIGNATURE_RSA;
	if (!allows(&t, S("h"), S("sha256"), S("sha256")))
		return "the key is not for SHA-256";
	if (!allows(&t, S("s"), S("email"), S("*")))
		return "the key is not for mail";
	if (tags_find(&t, S("p")) == NULL)
		return "the key record holds no key";
	if (tags_value(&t, S("p")).n == 0)
		return "the key is revoked";
	if (!signature_base64(tags_value(&t, S("p")), out->bytes, sizeof out->bytes, &out->n) || out->n == 0)
		return "the key is not base64";
	out->testing = tags_find(&t, S("t")) != NULL && list_has(tags_value(&t, S("t")), S("y"));
	return NULL;
}
