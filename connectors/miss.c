/* connectors/miss.c: who looks like a configured peer or partner and was not recognised by certificate (spec 3.5.1).
 *
 * Pure, and only words: attribution has been decided before and is not touched here.  Told apart are the four ways a
 * renewal goes wrong in practice: the chain, the name, no certificate at all, and addresses whose time is over. */
#include "connectors/attribute.h"

#include "base/must.h"

#include <stdarg.h>
#include <stdio.h>

const char *miss_kind_name(enum miss_kind k)
{
	static const char *const names[] = { [MISS_CHAIN] = "chain",
					     [MISS_NAME] = "name",
					     [MISS_NO_CERTIFICATE] = "no-certificate",
					     [MISS_IP_TRUST_OVER] = "ip-trust-over" };

	must((size_t)k < sizeof names / sizeof names[0]);
	return names[k];
}

static bool set_miss(struct attribution_miss *out, const struct conf_inbound *in, enum miss_kind kind, const char *fmt,
		     ...) __attribute__((format(printf, 4, 5)));
static bool set_miss(struct attribution_miss *out, const struct conf_inbound *in, enum miss_kind kind, const char *fmt,
		     ...)
{
	va_list ap;

	out->inbound = in;
	out->kind = kind;
	va_start(ap, fmt);
	vsnprintf(out->text, sizeof out->text, fmt, ap);
	va_end(ap);
	return true;
}

/* ---- names ---- */

static bool names(const struct conf_inbound *in, const struct tls_peer *peer, const struct tls_match_rules *r,
		  struct str *matched)
{
	for (size_t i = 0; i < in->sender_certificate.n; i++)
		if (tls_name_match(in->sender_certificate.v[i], &peer->ids, r, matched))
			return true;
	return false;
}

static struct str without_wildcard(struct str name)
{
	return str_starts(name, S("*.")) ? str_skip(name, 2) : name;
}

static bool is_below(struct str name, struct str domain)
{
	return name.n > domain.n + 1 && str_iends(name, domain) && name.p[name.n - domain.n - 1] == '.';
}

/* Whole labels of it, and more behind them. */
static bool is_before_the_end(struct str name, struct str of)
{
	for (size_t i = 0; i + name.n < of.n; i++)
		if ((i == 0 || of.p[i - 1] == '.') && of.p[i + name.n] == '.' && str_istarts(str_skip(of, i), name))
			return true;
	return false;
}

/* Parent, child or sibling (mail.contoso.com against contoso.com, a.mail.contoso.com, mail2.contoso.com; a parent of
 * one label is no family), or our name in front of somebody else's (mail.contoso.com.evil.example). */
static bool is_related(struct str pattern, struct str identity)
{
	struct str a = without_wildcard(pattern), b = without_wildcard(identity), rest_a, rest_b, label;

	if (is_before_the_end(a, b))
		return true;
	if (is_below(a, b) || is_below(b, a))
		return str_chr(a, '.') >= 0 && str_chr(b, '.') >= 0;
	return str_cut(a, '.', &label, &rest_a) && str_cut(b, '.', &label, &rest_b) && str_ieq(rest_a, rest_b) &&
	       str_chr(rest_a, '.') >= 0;
}

static bool find_related(const struct conf_inbound *in, const struct str *list, size_t n, struct str *which)
{
	for (size_t i = 0; i < in->sender_certificate.n; i++)
		for (size_t j = 0; j < n; j++)
			if (is_related(in->sender_certificate.v[i], list[j])) {
				*which = list[j];
				return true;
			}
	return false;
}

static bool looks_alike(const struct conf_inbound *in, const struct tls_peer *peer, struct str *which)
{
	const struct tls_match_rules loose = { .mode = MATCH_EXCHANGE,
					       .direction = TLS_ATTRIBUTE,
					       .expand_presented_wildcard = true };

	return names(in, peer, &loose, which) || find_related(in, peer->ids.sans, peer->ids.san_n, which) ||
	       find_related(in, peer->ids.cns, peer->ids.cn_n, which);
}

static bool judge_certificate(const struct conf_inbound *in, const struct tls_peer *peer, struct attribution_miss *out)
{
	const struct tls_match_rules exact = { .mode = in->match,
					       .direction = TLS_ATTRIBUTE,
					       .expand_presented_wildcard = in->expand_presented_wildcard };
	struct str which, why;

	if (names(in, peer, &exact, &which))
		return !tls_client_is_good(peer, in->client_cert_eku, in->crl, &why) &&
		       set_miss(out, in, MISS_CHAIN, "its certificate names " STR_FMT ", but is not trusted: " STR_FMT,
				STR_ARG(which), STR_ARG(why));
	if (in->type == INBOUND_PEER && looks_alike(in, peer, &which))
		return set_miss(out, in, MISS_NAME,
				"its certificate names " STR_FMT ", which is like " STR_FMT " and does not match it",
				STR_ARG(which), STR_ARG(in->sender_certificate.v[0]));
	return false;
}

/* ---- addresses ---- */

static const char *what_it_showed(const struct caller *k)
{
	if (!k->secured)
		return "it spoke in clear";
	return k->peer != NULL && k->peer->has_certificate ? "its certificate does not match"
							   : "it showed no certificate";
}

static bool judge_address(const struct conf_inbound *in, const struct caller *k, struct attribution_miss *out)
{
	if (in->type != INBOUND_PEER || !attribute_in_ranges(in, &k->client))
		return false;
	if (attribute_ip_is_over(in, k->now_ms))
		return set_miss(out, in, MISS_IP_TRUST_OVER, "it comes from sender_ip, but ip_trust ended on " STR_FMT,
				STR_ARG(in->ip_trust_until));
	/* where addresses are meant to be enough, nothing is missing */
	return in->sender_certificate.n > 0 && in->ip_trust == IP_TRUST_NONE &&
	       set_miss(out, in, MISS_NO_CERTIFICATE, "it comes from sender_ip, but %s", what_it_showed(k));
}

bool attribute_miss(const struct config *c, const struct caller *k, const struct attribution *a,
		    struct attribution_miss *out)
{
	if (str_starts(a->how, S("cert:")))
		return false;
	for (size_t i = 0; i < c->inbound_n && k->peer != NULL && k->peer->has_certificate; i++)
		if (c->inbounds[i].enabled && judge_certificate(&c->inbounds[i], k->peer, out))
			return true;
	for (size_t i = 0; i < c->inbound_n; i++)
		if (c->inbounds[i].enabled && judge_address(&c->inbounds[i], k, out))
			return true;
	return false;
}

/* ---- for explanations ---- */

static void why_no_certificate(struct buf *b, const struct caller *k, const struct conf_inbound *in)
{
	const struct tls_match_rules rules = { .mode = in->match,
					       .direction = TLS_ATTRIBUTE,
					       .expand_presented_wildcard = in->expand_presented_wildcard };
	struct str which, why;

	if (in->sender_certificate.n == 0)
		buf_add(b, S("it has no sender_certificate"));
	else if (k->peer == NULL || !k->peer->has_certificate)
		buf_add(b, S("the client shows no certificate"));
	else if (!names(in, k->peer, &rules, &which))
		buf_addf(b, "no name in the certificate matches " STR_FMT "%s by the rules of match = %s",
			 STR_ARG(in->sender_certificate.v[0]), in->sender_certificate.n > 1 ? " or the others" : "",
			 in->match == MATCH_STRICT ? "strict" : "exchange");
	else if (!tls_client_is_good(k->peer, in->client_cert_eku, in->crl, &why))
		buf_addf(b, "the certificate is not trusted: " STR_FMT, STR_ARG(why));
	else
		buf_add(b, S("its certificate matches"));
}

static void why_no_address(struct buf *b, const struct caller *k, const struct conf_inbound *in)
{
	if (in->sender_ip.n == 0)
		return;
	if (!attribute_in_ranges(in, &k->client))
		buf_add(b, S("; the client's address is not in sender_ip"));
	else if (attribute_ip_is_over(in, k->now_ms))
		buf_addf(b, "; its trust in addresses ended on " STR_FMT, STR_ARG(in->ip_trust_until));
	else
		buf_add(b, S("; the client's address is in sender_ip"));
}

void attribute_why_not(const struct caller *k, const struct attribution *a, const struct conf_inbound *in, char *text,
		       size_t room)
{
	struct buf b;

	buf_init(&b, room - 1);
	if (a->inbound == in) {
		buf_addf(&b, "it is the one, by " STR_FMT, STR_ARG(a->how));
	} else if (!in->enabled) {
		buf_add(&b, S("it is disabled"));
	} else {
		why_no_certificate(&b, k, in);
		why_no_address(&b, k, in);
		if (in->sender_domains.n > 0)
			buf_add(&b, S("; it is for its sender_domains only"));
		if (a->inbound != NULL)
			buf_addf(&b, "; " STR_FMT " was taken, by " STR_FMT, STR_ARG(a->inbound->name),
				 STR_ARG(a->how));
	}
	snprintf(text, room, "%s", buf_cstr(&b));
	buf_fini(&b);
}
