/* connectors/attribute.c: who is calling (spec 3.3, 4.3).  Pure: session, explain and vectors call the same function.
 *
 *   certificate (most specific pattern)  ->  address range (longest prefix)  ->  at MAIL: partner by sender domain
 *
 * What a connector grants comes only from the connector that was hit, never from a sender address or a header.  A hit
 * by address gives neither header trust nor the right to claim an organisation, unless ip_trust = full, and that ends
 * on a date.  Restrictions of partners are judged after the hit, and hold for mail of their domains from elsewhere too.
 */
#include "connectors/attribute.h"
#include "connectors/reason.h"

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
	struct str matched, why;

	if (!tls_client_is_good(k->peer, in->client_cert_eku, in->crl, &why))
		return;
	for (size_t i = 0; i < in->sender_certificate.n; i++)
		if (tls_name_match(in->sender_certificate.v[i], &k->peer->ids, &rules, &matched))
			consider(best, also,
				 (struct hit){ in, pattern_rank(in->sender_certificate.v[i]), matched, true });
}

bool attribute_ip_is_over(const struct conf_inbound *in, int64_t now_ms)
{
	return in->ip_trust == IP_TRUST_FULL && now_ms >= in->ip_trust_until_ms;
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

bool attribute_in_ranges(const struct conf_inbound *in, const struct net_addr *client)
{
	unsigned bits;
	size_t which;

	return in_ranges(in, client, &bits, &which);
}

static void try_address(const struct conf_inbound *in, const struct caller *k, struct hit *best,
			const struct conf_inbound **also)
{
	unsigned bits;
	size_t which;

	if (!attribute_ip_is_over(in, k->now_ms) && in_ranges(in, &k->client, &bits, &which))
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

/* ---- what the hit grants ---- */

static void judge_peer(const struct config *c, const struct caller *k, const struct hit *h, struct attribution *out)
{
	const struct conf_inbound *in = h->inbound;
	bool believed = h->by_certificate || in->ip_trust == IP_TRUST_FULL;
	bool settled = k->header_seen || k->claim.n > 0 || !believed;

	out->origin = ENV_PEER;
	out->org = judge_claim(c, in, believed ? k->claim : STR_NONE);
	out->trusted = believed && in->cloud_mail && out->org == ENV_ORG_OK;
	/* spec 4.3.5: internal only by claim and header together */
	out->class = out->trusted && str_ieq(k->auth_as, S("Internal")) ? ENV_CLASS_INT : ENV_CLASS_EXT;
	out->claim_open = out->org != ENV_ORG_OK && !settled;
	out->foreign = out->org != ENV_ORG_OK && settled && k->at_mail && in->own_tenant_only != OWN_TENANT_NO;
}

/* ---- restrictions ---- */

static bool shows_certificate_of(const struct conf_inbound *in, const struct caller *k)
{
	struct hit hit = { 0 };
	const struct conf_inbound *also = NULL;

	if (k->peer == NULL || !k->peer->has_certificate)
		return false;
	try_certificate(in, k, &hit, &also);
	return hit.inbound != NULL;
}

static bool restrictions_hold(const struct conf_inbound *in, const struct caller *k)
{
	return (!in->restrict_cert || shows_certificate_of(in, k)) &&
	       (!in->restrict_ip || attribute_in_ranges(in, &k->client));
}

/* How well a connector's sender domains fit; false: not at all. */
static bool sender_rank(const struct conf_inbound *in, const struct caller *k, unsigned *rank)
{
	struct hit hit = { 0 };
	const struct conf_inbound *also = NULL;

	try_sender(in, k, &hit, &also);
	*rank = hit.rank;
	return hit.inbound != NULL;
}

/* Mail of a restricted partner's domain must come its way, whoever brings it; the most specific connectors for the
 * domain decide, and one of them is enough.  Our own sides are not asked: they pass on what reached them. */
static const struct conf_inbound *broken_restriction(const struct config *c, const struct caller *k,
						     const struct attribution *a)
{
	const struct conf_inbound *broken = NULL;
	unsigned rank, least = 1; /* a connector for any sender beats a restriction on "*" */

	if (a->origin != ENV_INTERNET && a->origin != ENV_PARTNER)
		return NULL;
	if (a->inbound != NULL && !restrictions_hold(a->inbound, k))
		return a->inbound;
	if (a->inbound == NULL)
		least = 0;
	else if (sender_rank(a->inbound, k, &rank))
		least = rank;
	for (size_t i = 0; i < c->inbound_n; i++) {
		const struct conf_inbound *in = &c->inbounds[i];
		if (!in->enabled || !(in->restrict_cert || in->restrict_ip) || !sender_rank(in, k, &rank) ||
		    rank < least)
			continue;
		bool hold = restrictions_hold(in, k);
		broken = hold ? NULL : in;
		least = hold ? rank + 1 : rank;
	}
	return broken;
}

struct reply attribute_tls_required(enum conf_codes codes)
{
	return reason_reply(REASON_TLS_REQUIRED, codes, SITE_ONPREM);
}

static void judge_restrictions(const struct config *c, const struct caller *k, struct attribution *out)
{
	const struct conf_inbound *in = out->inbound, *broken;

	if (in != NULL && in->require_tls && !k->secured)
		out->refused = attribute_tls_required(c->status_codes);
	else if ((broken = broken_restriction(c, k, out)) != NULL)
		out->refused = reason_reply(broken->restrict_cert ? REASON_PARTNER_CERT : REASON_PARTNER_IP,
					    c->status_codes, c->site);
	else if (in != NULL && out->foreign && in->own_tenant_only == OWN_TENANT_YES)
		out->refused = reason_reply(REASON_FOREIGN, c->status_codes, c->site);
}

static const char *find_hit(const struct config *c, const struct caller *k, struct hit *hit, struct attribution *out)
{
	if (k->peer != NULL && k->peer->has_certificate && try_all(c, k, try_certificate, hit, out))
		return "cert";
	if (try_all(c, k, try_address, hit, out))
		return "ip";
	return try_all(c, k, try_sender, hit, out) ? "p1" : NULL;
}

void attribute(const struct config *c, const struct caller *k, struct attribution *out)
{
	struct hit hit = { 0 };
	const char *how;

	must(k->peer == NULL || k->secured);
	*out = (struct attribution){ .origin =
					     k->receive == NULL ? ENV_INTERNET : (enum env_origin)k->receive->origin };
	how = find_hit(c, k, &hit, out);
	if (how != NULL) {
		out->inbound = hit.inbound;
		set_how(out, how, hit.identity);
		if (hit.inbound->type == INBOUND_PEER)
			judge_peer(c, k, &hit, out);
		else
			out->origin = ENV_PARTNER;
	}
	judge_restrictions(c, k, out);
}
