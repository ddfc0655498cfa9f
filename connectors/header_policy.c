/* connectors/header_policy.c: the table of spec 4.2 and how names find their row.
 *
 * Names compare without case, and wire/header has taken blanks before the colon away: what an obsolete parser behind us
 * would read as the field is judged as the field. */
#include "connectors/header_policy.h"

#include "base/must.h"
#include "wire/authres.h"

/* ---- the table ---- */

enum {
	K, /* keep */
	X, /* strip */
	R, /* rename */
	D, /* endpoint: demote names of the list; everything else is stripped */
	P, /* transparent: keep; endpoint: promote names of the list, strip the rest */
	C, /* keep when the server behind us demotes itself */
	O, /* keep when the envelope sender is ours */
};

static const struct row {
	enum header_group group;
	unsigned char in[TRUST_N], out[TARGET_N];
} rows[HEADER_KIND_N] = {
	/*                         Internet partner peer server client    Internet peer internal */
	[HEADER_OTHER] = { GROUP_NONE, { K, K, K, K, K }, { K, K, K } },
	[HEADER_ORGANIZATION] = { GROUP_H1, { X, X, X, K, X }, { X, D, K } },
	[HEADER_FOREST] = { GROUP_H2, { X, X, X, K, X }, { X, X, K } },
	[HEADER_CROSS] = { GROUP_H3, { X, X, K, C, X }, { X, K, P } },
	[HEADER_ORIGINATOR] = { GROUP_H4, { X, X, K, O, X }, { X, K, K } },
	[HEADER_TENANT] = { GROUP_H5, { X, X, K, X, X }, { X, K, K } },
	[HEADER_EVIDENCE] = { GROUP_H6, { X, X, K, K, X }, { X, K, K } },
	[HEADER_HOPS] = { GROUP_H7, { K, K, K, K, K }, { K, K, K } },
	[HEADER_LOOP] = { GROUP_H8, { K, K, K, K, K }, { K, K, K } },
	[HEADER_SENDER] = { GROUP_H9, { X, X, K, K, X }, { X, K, K } },
	[HEADER_SPAM] = { GROUP_H10, { R, R, K, K, R }, { X, K, K } },
	[HEADER_SPAM_DOUBTED] = { GROUP_H10, { K, K, K, K, K }, { X, K, K } },
	[HEADER_RESULTS_OWN] = { GROUP_H11, { X, X, X, K, X }, { K, K, K } },
	[HEADER_RESULTS] = { GROUP_H11, { K, K, K, K, K }, { K, K, K } },
	[HEADER_ARC] = { GROUP_H11B, { K, K, K, K, K }, { K, K, K } },
	[HEADER_TOKEN] = { GROUP_H12, { X, X, X, X, X }, { X, K, X } },
	/* signed by us and looked at on the peer's connectors only, so it is true whatever else of the message is */
	[HEADER_TOKEN_VALID] = { GROUP_H12, { K, X, K, K, X }, { X, K, X } },
	[HEADER_GATEWAY] = { GROUP_H12, { X, X, X, X, X }, { X, X, X } },
	[HEADER_BCC] = { GROUP_H13, { K, K, K, K, X }, { K, K, K } },
	[HEADER_RETURN_PATH] = { GROUP_H13, { X, X, X, X, X }, { K, K, K } },
	[HEADER_JOURNAL] = { GROUP_H14, { K, K, K, K, K }, { K, K, K } },
	[HEADER_ORG_JOURNAL] = { GROUP_H14, { X, X, K, K, X }, { X, K, K } },
	[HEADER_AUTO] = { GROUP_H15, { K, K, K, K, K }, { K, K, K } },
};

enum header_group header_group_of(enum header_kind k)
{
	return rows[k].group;
}

const char *header_group_name(enum header_group g)
{
	static const char *const names[GROUP_N] = { "-",  "H1",  "H2",  "H3",   "H4",  "H5",  "H6",  "H7", "H8",
						    "H9", "H10", "H11", "H11b", "H12", "H13", "H14", "H15" };

	return names[g];
}

bool header_is_touched(enum header_kind k)
{
	for (int i = 0; i < TRUST_N; i++)
		if (rows[k].in[i] != K)
			return true;
	for (int i = 0; i < TARGET_N; i++)
		if (rows[k].out[i] != K)
			return true;
	return false;
}

/* ---- names ---- */

#define ORGANIZATION "X-MS-Exchange-Organization-"
#define CROSS        "X-MS-Exchange-CrossPremises-"

static const struct name {
	struct str name;
	bool prefix;
	enum header_kind kind;
} names[] = {
	/* a name before the prefix it begins with */
	{ STR_LIT(ORGANIZATION "Journal-Report"), false, HEADER_ORG_JOURNAL },
	{ STR_LIT(ORGANIZATION), true, HEADER_ORGANIZATION },
	{ STR_LIT("X-MS-Exchange-Forest-"), true, HEADER_FOREST },
	{ STR_LIT(CROSS), true, HEADER_CROSS },
	{ STR_LIT("X-OriginatorOrg"), false, HEADER_ORIGINATOR },
	{ STR_LIT("X-MS-Exchange-CrossTenant-"), true, HEADER_TENANT },
	{ STR_LIT("X-OrganizationHeadersPreserved"), false, HEADER_EVIDENCE },
	{ STR_LIT("X-CrossPremisesHeaders"), true, HEADER_EVIDENCE },
	{ STR_LIT("Received"), false, HEADER_HOPS },
	{ STR_LIT("Resent-"), true, HEADER_HOPS },
	{ STR_LIT("X-MS-Exchange-Inbox-Rules-Loop"), false, HEADER_LOOP },
	{ STR_LIT("X-MS-Exchange-Transport-Rules-Loop"), false, HEADER_LOOP },
	{ STR_LIT("X-MS-Gcc-Journal-Report"), false, HEADER_LOOP },
	{ STR_LIT("X-MS-Exchange-Moderation-Loop"), false, HEADER_LOOP },
	{ STR_LIT("X-MS-Exchange-Generated-Message-Source"), false, HEADER_LOOP },
	{ STR_LIT("X-LD-Processed"), false, HEADER_LOOP },
	{ STR_LIT("X-MS-Exchange-ForwardingLoop"), false, HEADER_LOOP },
	{ STR_LIT("X-EOPAttributedMessage"), false, HEADER_LOOP },
	{ STR_LIT("X-EOPTenantAttributedMessage"), false, HEADER_LOOP },
	{ STR_LIT("X-MS-Exchange-ExternalOriginalInternetSender"), false, HEADER_SENDER },
	{ STR_LIT("X-MS-Exchange-SkipListedInternetSender"), false, HEADER_SENDER },
	{ STR_LIT("X-Forefront-Antispam-Report"), false, HEADER_SPAM },
	{ STR_LIT("X-Forefront-Antispam-Report-Untrusted"), false, HEADER_SPAM },
	{ STR_LIT("X-Microsoft-Antispam"), true, HEADER_SPAM },
	{ STR_LIT("Authentication-Results"), false, HEADER_RESULTS },
	{ STR_LIT("ARC-Seal"), false, HEADER_ARC },
	{ STR_LIT("ARC-Message-Signature"), false, HEADER_ARC },
	{ STR_LIT("ARC-Authentication-Results"), false, HEADER_ARC },
	{ STR_LIT("X-Tombolo-Route"), false, HEADER_TOKEN },
	{ STR_LIT("X-Tombolo-"), true, HEADER_GATEWAY },
	{ STR_LIT("Bcc"), false, HEADER_BCC },
	{ STR_LIT("Return-Path"), false, HEADER_RETURN_PATH },
	{ STR_LIT("X-MS-Journal-Report"), false, HEADER_JOURNAL },
	{ STR_LIT("Auto-Submitted"), false, HEADER_AUTO },
	{ STR_LIT("X-Auto-Response-Suppress"), false, HEADER_AUTO },
	{ STR_LIT("Precedence"), false, HEADER_AUTO },
};

static enum header_kind kind_by_name(struct str name)
{
	/* most fields of most messages begin with none of these letters */
	char first = chr_lower(name.p[0]);
	if (first != 'x' && first != 'a' && first != 'r' && first != 'b' && first != 'p')
		return HEADER_OTHER;
	for (size_t i = 0; i < sizeof names / sizeof *names; i++) {
		const struct name *n = &names[i];
		if (name.n >= n->name.n && (n->prefix || name.n == n->name.n) && str_istarts(name, n->name))
			return n->kind;
	}
	return HEADER_OTHER;
}

struct str header_org_suffix(struct str name)
{
	if (str_istarts(name, S(ORGANIZATION)))
		return str_skip(name, sizeof ORGANIZATION - 1);
	if (str_istarts(name, S(CROSS)))
		return str_skip(name, sizeof CROSS - 1);
	return STR_NONE;
}

static bool is_own(struct str value, const struct header_own *own)
{
	for (size_t i = 0; i < sizeof own->ids / sizeof own->ids[0]; i++)
		if (authres_is_by(value, own->ids[i]))
			return true;
	return false;
}

enum header_kind header_classify(const struct header_field *f, const struct header_own *own)
{
	enum header_kind k = kind_by_name(f->name);

	if (k == HEADER_RESULTS && is_own(f->value, own))
		return HEADER_RESULTS_OWN;
	if (k == HEADER_SPAM && str_iends(f->name, S("-Untrusted")))
		return HEADER_SPAM_DOUBTED;
	return k;
}

/* ---- actions ---- */

enum header_action header_in(const struct header_in *in, enum header_kind k)
{
	switch (rows[k].in[in->trust]) {
	case K:
		return HEADER_KEEP;
	case R:
		return HEADER_RENAME;
	case C:
		return in->cloud_mail ? HEADER_KEEP : HEADER_STRIP;
	case O:
		return in->sender_ours ? HEADER_KEEP : HEADER_STRIP;
	default:
		return HEADER_STRIP;
	}
}

/* Spec 4.1, the observed set. */
static bool is_on_list(const struct header_out *out, struct str name)
{
	static const struct str list[] = {
		STR_LIT("AuthAs"),
		STR_LIT("AuthMechanism"),
		STR_LIT("AuthSource"),
		STR_LIT("SCL"),
		STR_LIT("TransportTrafficType"),
		STR_LIT("TransportTrafficSubType"),
		STR_LIT("MessageSource"),
		STR_LIT("BCC"),
		STR_LIT("OriginalClientIPAddress"),
		STR_LIT("Antispam-ScanContext"),
		STR_LIT("Processed-By-Journaling"),
		STR_LIT("Mapi-Admin-Submission"),
	};
	struct str suffix = header_org_suffix(name);

	for (size_t i = 0; i < sizeof list / sizeof *list; i++)
		if (str_ieq(suffix, list[i]))
			return true;
	for (size_t i = 0; out->demote != NULL && i < out->demote->n; i++)
		if (str_ieq(suffix, out->demote->v[i]))
			return true;
	return false;
}

enum header_action header_out(const struct header_out *out, enum header_kind k, struct str name)
{
	switch (rows[k].out[out->target]) {
	case K:
		return HEADER_KEEP;
	case D:
		return out->endpoint && is_on_list(out, name) ? HEADER_DEMOTE : HEADER_STRIP;
	case P:
		if (!out->endpoint)
			return HEADER_KEEP;
		return is_on_list(out, name) ? HEADER_PROMOTE : HEADER_STRIP;
	default:
		return HEADER_STRIP;
	}
}

/* ---- trust ---- */

static enum header_trust trust_of_receive(enum env_origin origin, unsigned perms)
{
	if (origin == ENV_PARTNER)
		return TRUST_PARTNER;
	if (origin != ENV_LOCAL && origin != ENV_APP)
		return TRUST_INTERNET;
	return perms & PERM_HDR_ORG ? TRUST_SERVER : TRUST_CLIENT;
}

enum header_trust header_trust_of(const struct attribution *a, unsigned perms)
{
	if (a->origin == ENV_PEER)
		return a->trusted ? TRUST_PEER : TRUST_INTERNET;
	return trust_of_receive(a->origin, perms);
}

static const struct conf_receive *receive_of(const struct config *c, struct str name)
{
	for (size_t i = 0; i < c->receive_n; i++)
		if (str_eq(c->receives[i].name, name))
			return &c->receives[i];
	return NULL;
}

static bool brings_cloud_mail(const struct config *c, struct str inbound)
{
	for (size_t i = 0; i < c->inbound_n; i++)
		if (str_eq(c->inbounds[i].name, inbound))
			return c->inbounds[i].cloud_mail;
	return false;
}

enum header_trust header_trust_stored(const struct config *c, const struct envelope *env)
{
	const struct conf_receive *r = receive_of(c, env->receive);

	switch (env->origin) {
	case ENV_PEER:
		return env->org == ENV_ORG_OK && brings_cloud_mail(c, env->inbound) ? TRUST_PEER : TRUST_INTERNET;
	case ENV_SELF:
		/* a report of ours has no receive connector; a copy has the one its message came by */
		if (env->receive.n == 0)
			return TRUST_SERVER;
		return r == NULL ? TRUST_INTERNET : trust_of_receive((enum env_origin)r->origin, r->perms);
	default:
		return trust_of_receive(env->origin, r == NULL ? 0 : r->perms);
	}
}

struct str header_auth_as(enum header_trust t, bool sender_ours)
{
	switch (t) {
	case TRUST_PEER:
		return STR_NONE;
	case TRUST_PARTNER:
		return S("Partner");
	case TRUST_SERVER:
	case TRUST_CLIENT:
		return sender_ours ? S("Internal") : S("Anonymous");
	default:
		return S("Anonymous");
	}
}

bool header_sender_ours(const struct config *c, struct str from)
{
	struct str domain = str_skip(from, (size_t)(str_rchr(from, '@') + 1));

	for (size_t i = 0; i < c->domain_n; i++) {
		const struct conf_domain *d = &c->domains[i];
		if (d->type != DOMAIN_EXTERNAL_RELAY &&
		    (str_ieq(domain, d->name) || (d->match_subdomains && str_iends(domain, d->name) &&
						  domain.n > d->name.n && domain.p[domain.n - d->name.n - 1] == '.')))
			return true;
	}
	return false;
}

enum header_target header_target_of(const struct conf_send *s)
{
	if (s->cloud_mail)
		return TARGET_PEER;
	return s->clean_headers ? TARGET_INTERNET : TARGET_INTERNAL;
}

struct str header_claim_for(const struct envelope *env, const struct conf_send *s)
{
	if (!s->peer && s->xoorg.n == 0)
		return STR_NONE;
	if (env->origin == ENV_PEER)
		return env->org == ENV_ORG_OK ? env->xorg : STR_NONE;
	return env->origin == ENV_LOCAL || env->origin == ENV_APP || env->origin == ENV_SELF ? s->xoorg : STR_NONE;
}
