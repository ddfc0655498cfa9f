/* smtpd/beside_tls.c: the TLS a send connector asks for, in the words of Postfix's smtp_tls_policy_maps.
 *
 *   none, may, encrypt -> the same;  validate -> "verify";  domain -> "secure match=NAME"
 *
 * Postfix always looks at a name: `validate` (any name) becomes its closest, which is stricter.  Of several connectors
 * to one host the strictest counts. */
#include "smtpd/beside.h"

#include "base/must.h"
#include "connectors/places.h"
#include "connectors/tls_need.h"

static bool is_host_of(const struct conf_send *s, struct str host, uint16_t port)
{
	struct str name;
	uint16_t at;

	for (size_t i = 0; i < s->smarthosts.n; i++)
		if (places_parse_host(s->smarthosts.v[i], (uint16_t)s->port, &name, &at) && at == port &&
		    str_ieq(name, host))
			return true;
	return false;
}

static bool is_peer_domain(const struct config *c, struct str domain)
{
	for (size_t i = 0; i < c->domain_n; i++)
		if (str_ieq(c->domains[i].routing_domain, domain))
			return true;
	return false;
}

static const struct conf_send *by_domain(const struct config *c, struct str domain)
{
	const struct select_query q = { .domain = domain, .next = is_peer_domain(c, domain) ? NEXT_PEER : NEXT_DIRECT };
	struct selection sel;

	select_send(c, &q, &sel);
	return sel.result == SELECT_OK && sel.send->smarthosts.n == 0 ? sel.send : NULL;
}

static void put_names(struct buf *out, const struct tls_need *need)
{
	struct str p = need->pattern_n > 0 ? need->patterns[0] : S("nexthop");

	buf_add(out, S("secure match="));
	buf_add(out, str_starts(p, S("*.")) ? str_skip(p, 1) : p);
}

static void put_need(struct buf *out, const struct tls_need *need)
{
	switch (need->level) {
	case TLS_NONE:
		buf_add(out, S("none"));
		break;
	case TLS_MAY:
		buf_add(out, S("may"));
		break;
	case TLS_ENCRYPT:
		buf_add(out, S("encrypt"));
		break;
	case TLS_VALIDATE:
		buf_add(out, S("verify"));
		break;
	case TLS_DOMAIN:
		put_names(out, need);
		break;
	}
}

static void keep_stricter(const struct config *c, const struct conf_send *s, struct str domain, struct tls_need *best,
			  bool *found)
{
	struct tls_need need;

	tls_need_find(c, s, domain, domain, &need, NULL);
	if (!*found || need.level > best->level)
		*best = need;
	*found = true;
}

bool beside_tls_policy(const struct config *c, struct str hop, struct buf *out)
{
	const struct conf_send *s;
	struct tls_need best = { 0 };
	struct str host;
	uint16_t port;
	bool found = false;

	if (!places_parse_host(hop, 25, &host, &port))
		return false;
	if (str_starts(hop, S("["))) {
		for (size_t i = 0; i < c->send_n; i++)
			if (c->sends[i].enabled && is_host_of(&c->sends[i], host, port))
				keep_stricter(c, &c->sends[i], STR_NONE, &best, &found);
	} else if ((s = by_domain(c, host)) != NULL) {
		keep_stricter(c, s, host, &best, &found);
	}
	if (found)
		put_need(out, &best);
	return found;
}
