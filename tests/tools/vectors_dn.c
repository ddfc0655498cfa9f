/* tests/tools/vectors_dn.c: dn.csv: <I>...<S>... references.  What is expected is told in words: each form of words the
 * vectors use is one row of the table `claims` and its check; any other only asks that the reference can be read. */
#include "tests/tools/vectors.h"

#include "tls/dn.h"

#include <stdlib.h>
#include <uninorm.h>

struct subject { /* of the claims: one row of the file, read */
	const struct vec_file *file;
	struct str input;
	struct dn_reference ref;
	struct arena *arena;
};

/* Other rows are referred to by id; this one also where a file leaves it out. */
static const struct str first_row = STR_LIT("<I>CN=R11, O=Let's Encrypt, C=US<S>CN=mail.contoso.com");

static bool row_read(const struct subject *s, struct str id, struct dn_reference *out)
{
	struct vec_file again = *s->file;
	struct vec_row row;
	struct str input = str_eq(id, S("DN01")) ? first_row : STR_NONE;

	while (vec_next(&again, &row))
		if (str_eq(vec_get(&row, "id"), id))
			input = vec_get(&row, "input");
	return dn_parse_reference(input, s->arena, out, NULL) == 0;
}

static const struct dn_attribute *find_oid(const struct dn *d, struct str oid)
{
	for (size_t i = 0; i < d->n; i++)
		for (size_t j = 0; j < d->v[i].n; j++)
			if (str_eq(d->v[i].v[j].oid, oid))
				return &d->v[i].v[j];
	return NULL;
}

/* The words up to `stop`, or all of them. */
static struct str until(struct str words, struct str stop)
{
	ssize_t at = str_find(words, stop);

	return at < 0 ? words : str_head(words, (size_t)at);
}

static bool claim_same_as(const struct subject *s, struct str words)
{
	struct dn_reference other;

	return row_read(s, str_word(&words), &other) && dn_compare(&s->ref.issuer, &other.issuer) == DN_SAME &&
	       dn_compare(&s->ref.subject, &other.subject) == DN_SAME;
}

static bool claim_subject_equals(const struct subject *s, struct str words)
{
	struct dn other;

	return dn_parse(str_trim(until(words, S(" ("))), s->arena, &other, NULL) == 0 &&
	       dn_compare(&s->ref.subject, &other) == DN_SAME;
}

static bool claim_reversed(const struct subject *s, struct str words)
{
	struct dn_reference other;

	return row_read(s, str_word(&words), &other) && dn_compare(&s->ref.issuer, &other.issuer) == DN_REVERSED;
}

static bool value_is(const struct dn *d, struct str oid, struct str words)
{
	const struct dn_attribute *a = find_oid(d, oid);

	if (str_starts(words, S("'")))
		words = until(str_skip(words, 1), S("'"));
	return a != NULL && str_eq(a->value, words);
}

static bool claim_issuer_o(const struct subject *s, struct str words)
{
	return value_is(&s->ref.issuer, S("2.5.4.10"), words);
}

static bool claim_issuer_cn(const struct subject *s, struct str words)
{
	return value_is(&s->ref.issuer, S("2.5.4.3"), words);
}

static bool claim_subject_cn(const struct subject *s, struct str words)
{
	return value_is(&s->ref.subject, S("2.5.4.3"), until(words, S("'")));
}

/* "ST (2.5.4.8)" or just "2.5.4.97" */
static bool claim_oid(const struct subject *s, struct str words)
{
	ssize_t open = str_chr(words, '(');
	struct str oid = open < 0 ? str_word(&words) : until(str_skip(words, (size_t)open + 1), S(")"));

	return find_oid(&s->ref.issuer, oid) != NULL || find_oid(&s->ref.subject, oid) != NULL;
}

/* "{CN=X, OU=Y}": the first RDN holds just these */
static bool claim_multi_valued(const struct subject *s, struct str words)
{
	struct dn want, first = { s->ref.issuer.v, 1 };
	char text[256];
	size_t n = 0;

	for (words = until(words, S("}")); words.n > 0 && n < sizeof text; words = str_skip(words, 1))
		text[n++] = words.p[0] == ',' ? '+' : words.p[0];
	return dn_parse(str_n(text, n), s->arena, &want, NULL) == 0 && dn_compare(&want, &first) == DN_SAME;
}

static bool claim_nfc(const struct subject *s, struct str words)
{
	struct dn_reference other;
	size_t n = 0;
	uint8_t *decomposed = u8_normalize(UNINORM_NFD, (const uint8_t *)s->input.p, s->input.n, NULL, &n);
	(void)words;

	bool ok = decomposed != NULL && dn_parse_reference(str_n(decomposed, n), s->arena, &other, NULL) == 0 &&
		  dn_compare(&s->ref.issuer, &other.issuer) == DN_SAME;
	free(decomposed);
	return ok;
}

static const struct {
	struct str words; /* somewhere in the cell; the check gets what follows */
	bool (*holds)(const struct subject *s, struct str rest);
} claims[] = {
	{ STR_LIT("same as "), claim_same_as },
	{ STR_LIT("equals certificate subject "), claim_subject_equals },
	{ STR_LIT("does NOT equal "), claim_reversed },
	{ STR_LIT("issuer O value is "), claim_issuer_o },
	{ STR_LIT("issuer CN value is: "), claim_issuer_cn },
	{ STR_LIT("subject CN='"), claim_subject_cn },
	{ STR_LIT(" maps to "), claim_oid },
	{ STR_LIT("attribute by dotted OID "), claim_oid },
	{ STR_LIT("first RDN of issuer is multi-valued {"), claim_multi_valued },
	{ STR_LIT("after NFC"), claim_nfc },
};

static void check_row(struct vec_row *row, struct arena *a)
{
	struct subject s = { .file = row->file, .input = vec_get(row, "input"), .arena = a };
	struct str expect = vec_get(row, "expect");
	struct err e = { 0 };

	if (dn_parse_reference(s.input, a, &s.ref, &e) != 0) {
		vec_check(row, expect, str_starts(expect, S("CONFIG-ERROR")) ? expect : str_c(e.text));
		return;
	}
	if (str_starts(expect, S("CONFIG-ERROR"))) {
		vec_check(row, expect, S("it was read"));
		return;
	}
	for (size_t i = 0; i < sizeof claims / sizeof *claims; i++) {
		ssize_t at = str_find(expect, claims[i].words);
		if (at < 0 || claims[i].holds(&s, str_skip(expect, (size_t)at + claims[i].words.n)))
			continue;
		vec_check(row, expect, claims[i].words);
		return;
	}
	vec_check(row, expect, expect);
}

void vectors_dn(struct vec_file *f)
{
	struct vec_file whole = *f; /* rows refer to rows before them too */
	struct vec_row row;
	struct arena a;

	while (vec_next(f, &row)) {
		arena_init(&a, 256 * 1024);
		row.file = &whole;
		check_row(&row, &a);
		arena_fini(&a);
	}
	f->passed = whole.passed;
	f->failed = whole.failed;
}
