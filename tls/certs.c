/* tls/certs.c: which of our certificates: pure rules over what openssl_certs.c read. */
#include "tls/certs.h"

#include "base/must.h"

enum { SKEW_MS = 5 * 60 * 1000 };

bool cert_is_begun(const struct cert_facts *f, int64_t now_ms)
{
	return f->not_before_ms <= now_ms + SKEW_MS;
}

static int rank(const struct cert_facts *f)
{
	switch (f->chain) {
	case CERT_COMPLETE:
	case CERT_FOREIGN: /* the root of a peer's own authority is often not ours to trust */
		return 2;
	case CERT_INCOMPLETE:
		return 1;
	case CERT_SELF_SIGNED:
		return 0;
	}
	must(!"state of chain");
}

static int order(int64_t a, int64_t b)
{
	return a > b ? 1 : a < b ? -1 : 0;
}

struct str cert_lacks(const struct cert_facts *f, const struct cert_wish *w)
{
	const struct tls_match_rules rules = { .mode = MATCH_EXCHANGE, .direction = w->direction };

	for (size_t i = 0; w->names != NULL && i < w->names->n; i++)
		if (!tls_name_match(w->names->v[i], &f->ids, &rules, NULL))
			return w->names->v[i];
	return STR_NONE;
}

/* The newest, once it has been valid for the overlap or the other one ends within it. */
static int order_by_age(const struct cert_facts *a, const struct cert_facts *b, int64_t overlap_ms, int64_t now_ms)
{
	int newer = order(a->not_before_ms, b->not_before_ms);
	const struct cert_facts *new = newer > 0 ? a : b, *old = newer > 0 ? b : a;
	bool waits = newer != 0 && now_ms < new->not_before_ms + overlap_ms && old->not_after_ms - now_ms > overlap_ms;

	return waits ? -newer : newer;
}

int cert_compare(const struct cert_facts *a, const struct cert_facts *b, const struct cert_wish *w, int64_t now_ms)
{
	int better = order(a->not_after_ms > now_ms, b->not_after_ms > now_ms);

	if (better == 0)
		better = order(cert_lacks(a, w).n == 0, cert_lacks(b, w).n == 0);
	if (better == 0)
		better = order(rank(a), rank(b));
	if (better == 0)
		better = order_by_age(a, b, w->overlap_ms, now_ms);
	if (better == 0)
		better = order(a->not_after_ms, b->not_after_ms);
	/* whichever order the folder is read in */
	return better != 0 ? better : str_cmp(b->sha256, a->sha256);
}

/* "AB:cd:..." against lower case hex. */
static bool is_fingerprint(struct str text, struct str hex)
{
	size_t at = 0;

	for (size_t i = 0; i < text.n; i++) {
		if (text.p[i] == ':')
			continue;
		if (at >= hex.n || chr_lower(text.p[i]) != hex.p[at++])
			return false;
	}
	return hex.n > 0 && at == hex.n;
}

/* People copy names from tools of both traditions: an order that is reversed throughout is the same name. */
static bool is_named(const struct cert_facts *f, const struct dn_reference *r)
{
	return dn_compare(&f->issuer_dn, &r->issuer) != DN_DIFFERENT &&
	       dn_compare(&f->subject_dn, &r->subject) != DN_DIFFERENT;
}

bool cert_matches(const struct cert_facts *f, struct str reference, struct arena *scratch)
{
	const struct tls_match_rules rules = { .mode = MATCH_STRICT, .direction = TLS_VERIFY, .cn_fallback = true };
	struct arena_mark mark = arena_mark(scratch);
	struct dn_reference r;

	if (str_istarts(reference, S("name:")))
		return tls_name_match(str_skip(reference, 5), &f->ids, &rules, NULL);
	if (str_istarts(reference, S("sha256:")))
		return is_fingerprint(str_skip(reference, 7), f->sha256);
	bool is = dn_parse_reference(reference, scratch, &r, NULL) == 0 && is_named(f, &r);
	arena_rewind(scratch, mark);
	return is;
}
