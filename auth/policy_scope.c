/* auth/policy_scope.c: who is judged; see policy.h.  One row of the table in policy_scope's switch is one line of the
 * spec's 4.7. */
#include "auth/policy.h"

/* ---- where the other side had it from ---- */

#define EXCHANGE "X-MS-Exchange-"

/* "192.0.2.1", "[192.0.2.1]", "[2001:db8::1]". */
static bool read_ip(struct str s, struct net_addr *out)
{
	if (s.n >= 2 && s.p[0] == '[' && s.p[s.n - 1] == ']')
		s = str_head(str_skip(s, 1), s.n - 2);
	return net_parse_ip(s, 0, out);
}

/* "ip=[192.0.2.1];domain=mail.example". */
static bool read_sender(struct str s, struct net_addr *out)
{
	struct str part;
	bool more = true;

	while (more) {
		more = str_cut(s, ';', &part, &s);
		part = str_trim(part);
		if (str_istarts(part, S("ip=")))
			return read_ip(str_trim(str_skip(part, 3)), out);
	}
	return false;
}

static const struct source {
	struct str name;
	unsigned rank;
	bool (*read)(struct str s, struct net_addr *out);
} sources[] = {
	{ STR_LIT(EXCHANGE "ExternalOriginalInternetSender"), 2, read_sender },
	{ STR_LIT(EXCHANGE "CrossPremises-OriginalClientIPAddress"), 1, read_ip },
	{ STR_LIT(EXCHANGE "Organization-OriginalClientIPAddress"), 1, read_ip },
};

void policy_original_add(struct policy_original *o, struct str name, struct str value)
{
	struct net_addr a = { 0 };

	for (size_t i = 0; i < sizeof sources / sizeof *sources; i++) {
		const struct source *s = &sources[i];
		if (!str_ieq(name, s->name) || s->rank < o->rank)
			continue;
		while (value.n > 0 && (value.p[value.n - 1] == '\n' || value.p[value.n - 1] == '\r'))
			value.n--;
		bool good = s->read(str_trim(value), &a);
		if (s->rank > o->rank)
			*o = (struct policy_original){ .addr = a, .rank = s->rank, .ambiguous = !good };
		else
			o->ambiguous |= !good || !net_same_ip(&o->addr, &a);
	}
}

/* Addresses that are nobody's on the Internet: then the field names a hop of ours (RFC 6890). */
static bool is_private(const struct net_addr *a)
{
	static const char *const ranges[] = { "0.0.0.0/8",      "10.0.0.0/8",    "100.64.0.0/10",  "127.0.0.0/8",
					      "169.254.0.0/16", "172.16.0.0/12", "192.168.0.0/16", "224.0.0.0/3",
					      "::/127",         "fc00::/7",      "fe80::/10",      "ff00::/8" };
	struct net_cidr range;

	for (size_t i = 0; i < sizeof ranges / sizeof *ranges; i++)
		if (net_parse_cidr(str_c(ranges[i]), &range) && net_cidr_has(&range, a))
			return true;
	return false;
}

/* ---- who is judged ---- */

bool policy_is_peer_address(const struct config *c, const struct net_addr *client)
{
	for (size_t i = 0; i < c->inbound_n; i++) {
		const struct conf_inbound *in = &c->inbounds[i];
		if (!in->enabled || in->type != INBOUND_PEER)
			continue;
		for (size_t k = 0; k < in->range_n; k++)
			if (net_cidr_has(&in->ranges[k], client))
				return true;
	}
	return false;
}

static void skip(struct policy_scope *s, const char *why)
{
	*s = (struct policy_scope){ .judged = false };
	snprintf(s->why, sizeof s->why, "not judged: %s", why);
}

static void scope_peer(const struct policy_caller *k, struct policy_scope *out)
{
	const struct policy_original *o = k->original;

	if (k->org != ENV_ORG_OK || !k->trusted)
		skip(out, "it came over the other side, which has not proved that it is of our organisation");
	else if (k->class == ENV_CLASS_INT)
		skip(out, "internal mail of our organisation");
	else if (o == NULL || o->rank == 0)
		skip(out, "it came over the other side, which does not say from which address");
	else if (o->ambiguous || is_private(&o->addr))
		skip(out, "the address that the other side names is none of the Internet");
	else
		*out = (struct policy_scope){ .judged = true,
					      .client = o->addr,
					      .why = "judged by the address the other side had it from; DMARC is "
						     "enforced at the first gateway only" };
}

static void scope_internet(const struct policy_caller *k, struct policy_scope *out)
{
	if (k->peer_address) {
		skip(out, "from an address of the other side, though not recognised as it");
		return;
	}
	*out = (struct policy_scope){ .judged = true, .client = *k->client };
	out->enforced = k->receive->dmarc.mode == JUDGE_ENFORCE && !(k->receive->perms & PERM_BYPASS_SPAM);
	snprintf(out->why, sizeof out->why, "%s",
		 out->enforced                             ? "judged, and held to it"
		 : k->receive->dmarc.mode == JUDGE_ENFORCE ? "judged, but this connector may pass (bypass-spam)"
							   : "judged, report only (receive.dmarc)");
}

void policy_scope(const struct policy_caller *k, struct policy_scope *out)
{
	if (k->receive->dmarc.mode == JUDGE_OFF) {
		skip(out, "receive.dmarc is off");
		return;
	}
	switch (k->origin) {
	case ENV_INTERNET:
		scope_internet(k, out);
		return;
	case ENV_PEER:
		scope_peer(k, out);
		return;
	case ENV_PARTNER:
		skip(out, "a partner, known by its certificate or address");
		return;
	case ENV_LOCAL:
		skip(out, "a server of ours");
		return;
	case ENV_APP:
		skip(out, "a client of ours");
		return;
	case ENV_SELF:
		skip(out, "written by this gateway");
		return;
	}
	skip(out, "of unknown origin");
}
