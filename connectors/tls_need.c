/* connectors/tls_need.c: the TLS lattice; see the header. */
#include "connectors/tls_need.h"

#include "wire/addr.h"

/* 0: not for this domain; more specific is more. */
static unsigned policy_rank(const struct conf_tls_policy *p, struct str domain)
{
	unsigned labels = 2;

	if (p->any)
		return 1;
	if (str_ieq(p->domain, domain))
		return p->sub ? 1 << 15 : 1 << 16;
	if (!p->sub || domain.n <= p->domain.n || !str_iends(domain, p->domain) ||
	    domain.p[domain.n - p->domain.n - 1] != '.')
		return 0;
	for (size_t i = 0; i < p->domain.n; i++)
		labels += p->domain.p[i] == '.';
	return labels;
}

static void tell(struct tls_shares *shares, struct tls_share one)
{
	if (shares != NULL && shares->n < sizeof shares->v / sizeof shares->v[0])
		shares->v[shares->n++] = one;
}

static void add_pattern(struct tls_need *need, struct str pattern)
{
	if (pattern.n == 0)
		return;
	for (size_t i = 0; i < need->pattern_n; i++)
		if (str_ieq(need->patterns[i], pattern))
			return;
	need->patterns[need->pattern_n++] = pattern;
}

static void add_policies(const struct config *c, struct str domain, bool of_rcpt, struct tls_need *need,
			 struct tls_shares *shares)
{
	unsigned best = 0, rank;
	struct str pattern = STR_NONE;

	for (size_t i = 0; i < c->tls_policy_n; i++) {
		const struct conf_tls_policy *p = &c->tls_policies[i];
		if ((rank = policy_rank(p, domain)) == 0)
			continue;
		tell(shares, (struct tls_share){ p, p->tls, p->tls_domain, of_rcpt });
		if (p->tls > need->level)
			need->level = p->tls;
		if (p->tls_domain.n > 0 && rank > best) {
			best = rank;
			pattern = p->tls_domain;
		}
	}
	add_pattern(need, pattern);
}

void tls_need_find(const struct config *c, const struct conf_send *s, struct str hop_domain, struct str rcpt_domain,
		   struct tls_need *out, struct tls_shares *shares)
{
	struct buf hop, rcpt;

	*out = (struct tls_need){ .level = s->tls };
	if (shares != NULL)
		shares->n = 0;
	tell(shares, (struct tls_share){ NULL, s->tls, s->tls_domain, false });
	if (s->tls == TLS_DOMAIN)
		add_pattern(out, s->tls_domain);
	if (c->tls_policy_n == 0)
		return;
	buf_init(&hop, 1024);
	buf_init(&rcpt, 1024);
	if (addr_normalize_domain(hop_domain, &hop))
		add_policies(c, buf_str(&hop), false, out, shares);
	if (addr_normalize_domain(rcpt_domain, &rcpt) && !str_eq(buf_str(&hop), buf_str(&rcpt)))
		add_policies(c, buf_str(&rcpt), true, out, shares);
	buf_fini(&hop);
	buf_fini(&rcpt);
}

bool tls_need_is_same(const struct tls_need *a, const struct tls_need *b)
{
	if (a->level != b->level || a->pattern_n != b->pattern_n)
		return false;
	for (size_t i = 0; i < a->pattern_n; i++)
		if (!str_eq(a->patterns[i], b->patterns[i]))
			return false;
	return true;
}
