/* tests/tools/vectors_certmatch.c: certmatch.csv: pattern, certificate names, mode, direction -> verdict and identity.
 */
#include "tests/tools/vectors.h"

#include "tls/tls.h"

enum { NAMES_MAX = 32, TEXT_MAX = 1024 };

struct names {
	char text[TEXT_MAX]; /* what the views look into */
	size_t used;
	struct str v[NAMES_MAX];
	size_t n;
	bool dropped;
};

/* As the TLS room reads a certificate: lower case, and only what is an identity. "\0" in a cell stands for NUL. */
static void add_name(struct names *to, struct str cell)
{
	char *p = to->text + to->used;
	size_t n = 0;

	if (cell.n == 0 || to->n == NAMES_MAX || to->used + cell.n > sizeof to->text)
		return;
	for (size_t i = 0; i < cell.n; i++) {
		bool nul = cell.p[i] == '\\' && i + 1 < cell.n && cell.p[i + 1] == '0';
		p[n++] = nul ? '\0' : chr_lower(cell.p[i]);
		i += nul;
	}
	if (!tls_identity_is_usable(str_n(p, n))) {
		to->dropped = true;
		return;
	}
	to->v[to->n++] = str_n(p, n);
	to->used += n;
}

/* Several names stand in one cell with ; | , or one space between them; a space at an end belongs to the name. */
static bool is_separator(struct str cell, size_t i)
{
	if (cell.p[i] != ' ')
		return cell.p[i] == ';' || cell.p[i] == '|' || cell.p[i] == ',';
	return i > 0 && i + 1 < cell.n && cell.p[i - 1] != ' ' && cell.p[i + 1] != ' ';
}

static void add_names(struct names *to, struct str cell)
{
	size_t start = 0;

	for (size_t i = 0; i <= cell.n; i++) {
		if (i < cell.n && !is_separator(cell, i))
			continue;
		add_name(to, str_n(cell.p + start, i - start));
		start = i + 1;
	}
}

static void put_verdict(struct buf *b, const struct vec_row *row)
{
	struct tls_match_rules rules = {
		.mode = vec_is(row, "mode", "exchange") ? MATCH_EXCHANGE : MATCH_STRICT,
		.direction = vec_is(row, "direction", "attribute") ? TLS_ATTRIBUTE : TLS_VERIFY,
		.expand_presented_wildcard = vec_is(row, "expand_presented_wildcard", "yes"),
		.cn_fallback = vec_is(row, "cn_policy", "fallback"),
	};
	struct names sans = { 0 }, cns = { 0 };
	struct str matched = STR_NONE;

	if (!tls_pattern_check(vec_get(row, "pattern"), NULL)) {
		buf_add(b, S("CONFIG-ERROR "));
		return;
	}
	add_names(&sans, vec_get(row, "sans"));
	add_name(&cns, vec_get(row, "cn"));
	struct tls_identities ids = {
		.sans = sans.v, .san_n = sans.n, .cns = cns.v, .cn_n = cns.n, .san_dropped = sans.dropped
	};
	if (tls_name_match(vec_get(row, "pattern"), &ids, &rules, &matched))
		buf_addf(b, "MATCH " STR_FMT, STR_ARG(matched));
	else
		buf_add(b, S("NOMATCH "));
}

void vectors_certmatch(struct vec_file *f)
{
	struct vec_row row;
	struct buf expected, got;

	buf_init(&expected, 1024);
	buf_init(&got, 1024);
	while (vec_next(f, &row)) {
		buf_reset(&expected);
		buf_reset(&got);
		buf_addf(&expected, STR_FMT " " STR_FMT, STR_ARG(vec_get(&row, "expect")),
			 STR_ARG(vec_get(&row, "matched_id")));
		put_verdict(&got, &row);
		vec_check(&row, buf_str(&expected), buf_str(&got));
	}
	buf_fini(&expected);
	buf_fini(&got);
}
