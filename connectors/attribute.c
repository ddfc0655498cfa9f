/* connectors/attribute.c: who is calling (spec 3.3, 4.3).  Pure: session, explain and vectors call the same function.
 *
 *   certificate (most specific pattern)  ->  address range (longest prefix)  ->  at MAIL: partner by sender domain
 *
 * What a connector grants comes only from the connector that was hit, never from a sender address or a header; a hit by
 * address never gives header trust.  Restrictions are judged after the hit. */
#include "connectors/connectors.h"

#include "base/must.h"

#include <stdarg.h>
#include <stdio.h>

enum { RANK_EXACT = 1 << 16 }; /* above any number of labels */

struct hit {
	const struct conf_inbound *inbound;
	unsigned rank;       /* higher is more specific */
	struct str identity; /* what matched: a certificate name, a range or a domain as configured */
	bool by_certificate;
};

static unsigned labels(struct str domain)
{
	unsigned n = 1;

	for (size_t i = 0; i < domain.n; i++)
		n += domain.p[i] == '.';
	return n;
}

/* "d" beats any "*.d", more labels beat fewer, "*" comes last. */
static unsigned pattern_rank(struct str pattern)
{
	if (!str_starts(pattern, S("*")))
		return RANK_EXACT;
	return pattern.n == 1 ? 0 : labels(pattern);
}

static struct str domain_of(struct str address)
{
	ssize_t at = str_rchr(address, '@');

	return at < 0 ? STR_NONE : str_skip(address, (size_t)at + 1);
}

/* "*", "*.d" (d and all below, spec 3.3.2) or "d" */
static bool domain_matches(struct str pattern, struct str domain)
{
	if (str_eq(pattern, S("*")))
		return true;
	if (!str_starts(pattern, S("*.")))
		return str_ieq(pattern, domain);
	return str_ieq(str_skip(pattern, 2), domain) || str_iends(domain, str_skip(pattern, 1));
}

/* A partner connector is for its sender domains only; known from MAIL on.  The null sender (reports) passes. */
static bool scope_holds(const struct conf_inbound *in, const struct caller *k)
{
	if (in->type != INBOUND_PARTNER || in->sender_domains.n == 0 || !k->at_mail || k->from.n == 0)
		return true;
	for (size_t i = 0; i < in->sender_domains.n; i++)
		if (domain_matches(in->sender_domains.v[i], domain_of(k->from)))
			return true;
	return false;
}

/* Keeps the better of two hits; equal rank goes to the lower name, and the other is remembered as ambiguous. */
static void consider(struct hit *best, const struct conf_inbound **also, struct hit h)
{
	bool better = best->inbound == NULL || h.rank > best->rank ||
		      (h.rank == best->rank && str_cmp(h.inbound->name, best->inbound->name) < 0);

	if (better) {
		if (best->inbound != NULL && best->inbound != h.inbound)
			*also = best->inbound;
		*best = h;
	} else if (h.inbound != best->inbound && *also == NULL) {
		*also = h.inbound;
	}
}

static void try_certificate(const struct conf_inbound *in, const struct caller *k, struct hit *best,
			    const struct conf_inbound **also)
{
	const struct tls_match_rules rules = { .mode = in->match,
					       .direction = TLS_ATTRIBUTE,
					       .expand_presented_wildcard = in->expand_presented_wildcard };
	struct str matched;

	for (size_t i = 0; i < in->sender_certificate.n; i++)
		if (tls_name_match(in->sender_certificate.v[i], &k->peer->ids, &rules, &matched))
			consider(best, also,
				 (struct hit){ in, pattern_rank(in->sender_certificate.v[i]), matched, true });
}

static bool in_ranges(const struct conf_inbound *in, const struct net_addr *client, unsigned *bits, size_t *which)
{
	bool found = false;

	*bits = 0;
	for (size_t i = 0; i < in->range_n; i++)
		if (net_cidr_has(&in->ranges[i], client) && (!found || in->ranges[i].bits > *bits)) {
			found = true;
			*bits = in->ranges[i].bits;
			*which = i;
		}
	return found;
}

static void try_address(const struct conf_inbound *in, const struct caller *k, struct hit *best,
			const struct conf_inbound **also)
{
	unsigned bits;
	size_t which;

	if (in_ranges(in, &k->client, &bits, &which))
		consider(best, also, (struct hit){ in, bits, in->sender_ip.v[which], false });
}

static void try_sender(const struct conf_inbound *in, const struct caller *k, struct hit *best,
		       const struct conf_inbound **also)
{
	if (in->type != INBOUND_PARTNER || !k->at_mail || k->from.n == 0)
		return;
	for (size_t i = 0; i < in->sender_domains.n; i++)
		if (domain_matches(in->sender_domains.v[i], domain_of(k->from)))
			consider(best, also,
				 (struct hit){ in, pattern_rank(in->sender_domains.v[i]), in->sender_domains.v[i],
					       false });
}

typedef void try_fn(const struct conf_inbound *, const struct caller *, struct hit *, const struct conf_inbound **);

static bool try_all(const struct config *c, const struct caller *k, try_fn *fn, struct hit *best,
		    struct attribution *out)
{
	for (size_t i = 0; i < c->inbound_n; i++)
		if (c->inbounds[i].enabled && scope_holds(&c->inbounds[i], k))
			fn(&c->inbounds[i], k, best, &out->also);
	return best->inbound != NULL;
}

static bool list_has(const struct conf_list *l, struct str s)
{
	for (size_t i = 0; i < l->n; i++)
		if (str_ieq(l->v[i], s))
			return true;
	return false;
}

/* Spec 4.3: every tenant of a shared cloud shows the same certificate, so the claim decides whose mail it is. */
static enum env_org judge_claim(const struct config *c, const struct conf_inbound *in, struct str claim)
{
	if (!in->org_required)
		return ENV_ORG_OK;
	if (claim.n == 0)
		return ENV_ORG_NONE;
	if (in->trusted_orgs.n > 0)
		return list_has(&in->trusted_orgs, claim) ? ENV_ORG_OK : ENV_ORG_OTHER;
	for (size_t i = 0; i < c->domain_n; i++)
		if (str_ieq(c->domains[i].name, claim))
			return ENV_ORG_OK;
	return ENV_ORG_OTHER;
}

static void set_how(struct attribution *out, const char *kind, struct str identity)
{
	int n = snprintf(out->text, sizeof out->text, "%s:" STR_FMT, kind, STR_ARG(identity));

	must(n > 0);
	out->how = (struct str){ out->text, (size_t)n < sizeof out->text ? (size_t)n : sizeof out->text - 1 };
}

static void judge_restrictions(const struct config *c, const struct caller *k, const struct hit *h,
			       struct attribution *out)
{
	const struct conf_inbound *in = h->inbound;
	unsigned bits;
	size_t which;

	if (in->require_tls && !k->secured)
		out->refused = c->status_codes == CODES_EXCHANGE
				       ? REPLY(451, 4, 7, 3, "STARTTLS is required to send mail")
				       : REPLY(530, 5, 7, 0, "Must issue a STARTTLS command first");
	else if (in->type == INBOUND_PARTNER && in->restrict_cert && !h->by_certificate)
		out->refused = REPLY(550, 5, 7, 51,
				     "Mail of this sender domain is accepted only with the partner's certificate");
	else if (in->type == INBOUND_PARTNER && in->restrict_ip && !in_ranges(in, &k->client, &bits, &which))
		out->refused = REPLY(550, 5, 7, 51,
				     "Mail of this sender domain is accepted only from the partner's addresses");
}

void attribute(const struct config *c, const struct caller *k, struct attribution *out)
{
	struct hit hit = { 0 };
	const char *how;

	must(k->peer == NULL || k->secured);
	*out = (struct attribution){ .origin =
					     k->receive == NULL ? ENV_INTERNET : (enum env_origin)k->receive->origin };
	if (k->peer != NULL && k->peer->has_certificate && k->peer->chain_ok &&
	    try_all(c, k, try_certificate, &hit, out))
		how = "cert";
	else if (try_all(c, k, try_address, &hit, out))
		how = "ip";
	else if (try_all(c, k, try_sender, &hit, out))
		how = "p1";
	else
		return;
	out->inbound = hit.inbound;
	set_how(out, how, hit.identity);
	if (hit.inbound->type == INBOUND_PEER) {
		out->origin = ENV_PEER;
		out->class = ENV_CLASS_EXT;
		out->org = judge_claim(c, hit.inbound, k->claim);
		out->trusted = hit.by_certificate && hit.inbound->cloud_mail && out->org == ENV_ORG_OK;
	} else {
		out->origin = ENV_PARTNER;
	}
	judge_restrictions(c, k, &hit, out);
}
