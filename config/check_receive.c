/* config/check_receive.c: rules for listeners and their permissions (spec 3.1).
 *
 * Sections that share an address are told apart by the longest matching range.  Ranges are prefixes, and two prefixes
 * nest or are disjoint, so the only overlap without an answer is the same range twice. */
#include "config/check.h"

#include "base/must.h"
#include "config/value.h"
#include "wire/envelope.h"

struct permission {
	struct str name;
	unsigned bits;
};

static const struct permission permissions[] = {
	{ STR_LIT("submit"), PERM_SUBMIT },           { STR_LIT("relay"), PERM_RELAY },
	{ STR_LIT("any-sender"), PERM_ANY_SENDER },   { STR_LIT("own-domain-sender"), PERM_OWN_DOMAIN_SENDER },
	{ STR_LIT("auth-flag"), PERM_AUTH_FLAG },     { STR_LIT("bypass-spam"), PERM_BYPASS_SPAM },
	{ STR_LIT("bypass-size"), PERM_BYPASS_SIZE }, { STR_LIT("hdr-routing"), PERM_HDR_ROUTING },
	{ STR_LIT("hdr-org"), PERM_HDR_ORG },         { STR_LIT("xoorg"), PERM_XOORG },
	{ STR_LIT("cloud-mail"), PERM_CLOUD_MAIL },
};

static const struct preset {
	struct str name;
	unsigned bits, origin;
} presets[] = {
	{ STR_LIT("anonymous"), PERM_SUBMIT | PERM_ANY_SENDER | PERM_HDR_ROUTING, ENV_INTERNET },
	{ STR_LIT("users"), PERM_SUBMIT | PERM_RELAY | PERM_BYPASS_SPAM | PERM_OWN_DOMAIN_SENDER, ENV_APP },
	{ STR_LIT("servers"), (PERM_CLOUD_MAIL - 1), ENV_LOCAL }, /* all but cloud-mail */
	{ STR_LIT("partner"), PERM_SUBMIT | PERM_HDR_ROUTING, ENV_PARTNER },
	{ STR_LIT("peer"), PERM_SUBMIT | PERM_HDR_ROUTING, ENV_INTERNET }, /* until it is recognised */
};

#define COUNT(a) (sizeof(a) / sizeof(a)[0])

static bool find_preset(struct str word, const struct preset **out)
{
	for (size_t i = 0; i < COUNT(presets); i++) {
		if (value_word_eq(presets[i].name, word)) {
			*out = &presets[i];
			return true;
		}
	}
	return false;
}

static bool find_permission(struct str word, unsigned *bits)
{
	for (size_t i = 0; i < COUNT(permissions); i++) {
		if (value_word_eq(permissions[i].name, word)) {
			*bits |= permissions[i].bits;
			return true;
		}
	}
	return false;
}

static void unknown_permission(struct check *k, int line, const char *where, struct str word)
{
	struct buf b;

	buf_init(&b, 1024);
	for (size_t i = 0; i < COUNT(presets); i++)
		buf_addf(&b, STR_FMT ", ", STR_ARG(presets[i].name));
	for (size_t i = 0; i < COUNT(permissions); i++)
		buf_addf(&b, "%s" STR_FMT, i > 0 ? ", " : "", STR_ARG(permissions[i].name));
	report_error(k->r, line, "%s: permissions: '" STR_FMT "' is not one of " STR_FMT, where, STR_ARG(word),
		     STR_ARG(buf_str(&b)));
	buf_fini(&b);
}

static void check_permissions(struct check *k, size_t i, const char *where)
{
	struct conf_receive *r = &k->c->receives[i];
	int line = check_line(k, "receive", i, "permissions");
	const struct preset *preset = NULL, *p;
	bool all_known = true;

	r->perms = 0;
	r->origin = ENV_INTERNET;
	for (size_t j = 0; j < r->permissions.n; j++) {
		struct str word = r->permissions.v[j];
		if (find_preset(word, &p)) {
			if (preset != NULL && preset != p)
				report_error(k->r, line,
					     "%s: permissions: only one of " STR_FMT " and " STR_FMT
					     " can say where the mail comes from",
					     where, STR_ARG(preset->name), STR_ARG(p->name));
			preset = p;
			r->perms |= p->bits;
			r->origin = p->origin;
		} else if (!find_permission(word, &r->perms)) {
			unknown_permission(k, line, where, word);
			all_known = false;
		}
	}
	if ((r->perms & PERM_SUBMIT) == 0 && r->permissions.n > 0 && all_known)
		report_warning(k->r, line, "%s: permissions without submit: nobody can send anything", where);
	if (r->permissions.n == 0)
		report_error(k->r, line, "%s: permissions: the list is empty", where);
}

static void check_listen(struct check *k, size_t i, const char *where)
{
	struct conf_receive *r = &k->c->receives[i];
	int line = check_line(k, "receive", i, "listen");

	r->addrs = arena_alloc(k->arena, r->listen.n * sizeof *r->addrs);
	must(r->addrs != NULL);
	for (size_t j = 0; j < r->listen.n; j++) {
		struct net_addr *a = &r->addrs[r->addr_n];
		if (!net_parse_addr(r->listen.v[j], 0, a) || net_port(a) == 0)
			report_error(k->r, line,
				     "%s: listen: '" STR_FMT "' is not an address and port like 0.0.0.0:25 or [::]:25",
				     where, STR_ARG(r->listen.v[j]));
		else
			r->addr_n++;
	}
	if (check_written(k, "receive", i, "listen") && r->listen.n == 0 && k->c->beside.listen.n == 0)
		report_error(k->r, line, "%s: listen: the list is empty, and there is no beside.listen", where);
}

static void check_domain_list(struct check *k, size_t i, const char *where, const char *option, struct conf_list *l)
{
	for (size_t j = 0; j < l->n; j++)
		if (!check_domain_name(k, l->v[j], &l->v[j]))
			report_error(k->r, check_line(k, "receive", i, option),
				     "%s: %s: '" STR_FMT "' is not a domain name", where, option, STR_ARG(l->v[j]));
}

static void check_dmarc(struct check *k, size_t i, const char *where)
{
	struct conf_receive *r = &k->c->receives[i];

	check_domain_list(k, i, where, "arc_trusted", &r->dmarc.arc_trusted);
	check_domain_list(k, i, where, "forwarders", &r->dmarc.forwarders);
	if (r->dmarc.mode == JUDGE_ENFORCE && (r->origin != ENV_INTERNET || r->perms & PERM_BYPASS_SPAM))
		report_warning(k->r, check_line(k, "receive", i, "dmarc"),
			       "%s: dmarc = enforce has no effect: only mail from the Internet is held to it", where);
}

static void check_receive(struct check *k, size_t i)
{
	struct conf_receive *r = &k->c->receives[i];
	const char *where = check_where(k, "receive", r->name);
	bool can_tls = conf_offers_tls(k->c, r);

	check_listen(k, i, where);
	check_ranges(k, check_line(k, "receive", i, "from"), where, "from", &r->from, &r->ranges, &r->range_n);
	check_ranges(k, check_line(k, "receive", i, "proxy_from"), where, "proxy_from", &r->proxy_from, &r->proxies,
		     &r->proxy_n);
	check_permissions(k, i, where);
	check_dmarc(k, i, where);
	check_patterns(k, check_line(k, "receive", i, "known_as"), where, "known_as", &r->known_as);
	check_certificate(k, check_line(k, "receive", i, r->key.n > 0 ? "key" : "certificate"), where, r->certificate,
			  r->key);
	if (r->from.n == 0)
		report_error(k->r, check_line(k, "receive", i, "from"), "%s: from: the list is empty", where);
	if (r->require_tls && !r->starttls)
		report_error(k->r, check_line(k, "receive", i, "require_tls"), "%s: require_tls, but starttls = no",
			     where);
	else if (r->require_tls && !can_tls)
		report_error(k->r, check_line(k, "receive", i, "require_tls"),
			     "%s: require_tls, but there is no certificate here nor in section tls", where);
	if (r->fqdn.n == 0)
		r->fqdn = k->c->hostname;
	else if (!check_domain_name(k, r->fqdn, &r->fqdn))
		report_error(k->r, check_line(k, "receive", i, "fqdn"), "%s: fqdn: '" STR_FMT "' is not a domain name",
			     where, STR_ARG(r->fqdn));
}

static bool same_addr(const struct net_addr *a, const struct net_addr *b)
{
	return net_same_ip(a, b) && net_port(a) == net_port(b);
}

static bool same_range(const struct net_cidr *a, const struct net_cidr *b)
{
	return net_cidr_covers(a, b) && net_cidr_covers(b, a);
}

/* Those without one are all for the clients of the MTA beside us. */
static bool share_addr(const struct conf_receive *a, const struct conf_receive *b)
{
	if (a->listen.n == 0 && b->listen.n == 0)
		return true;
	for (size_t i = 0; i < a->addr_n; i++)
		for (size_t j = 0; j < b->addr_n; j++)
			if (same_addr(&a->addrs[i], &b->addrs[j]))
				return true;
	return false;
}

static void check_range_pair(struct check *k, size_t i, size_t j)
{
	const struct conf_receive *a = &k->c->receives[i], *b = &k->c->receives[j];

	for (size_t x = 0; x < a->range_n; x++) {
		for (size_t y = i == j ? x + 1 : 0; y < b->range_n; y++) {
			if (!same_range(&a->ranges[x], &b->ranges[y]))
				continue;
			struct buf range;
			buf_init(&range, 128);
			net_put_cidr(&range, &b->ranges[y]);
			report_error(k->r, check_line(k, "receive", j, "from"),
				     "receive \"" STR_FMT "\": clients in " STR_FMT " belong to receive \"" STR_FMT
				     "\" already (line %d), which listens on the same address",
				     STR_ARG(b->name), STR_ARG(buf_str(&range)), STR_ARG(a->name), a->line);
			buf_fini(&range);
		}
	}
}

void check_receives(struct check *k)
{
	const struct config *c = k->c;

	if (c->receive_n == 0 && c->beside.listen.n == 0)
		report_error(k->r, 0, "there is no receive section: nothing to listen on");
	for (size_t i = 0; i < c->receive_n; i++)
		check_receive(k, i);
	for (size_t i = 0; i < c->receive_n; i++)
		for (size_t j = 0; j <= i; j++)
			if (share_addr(&c->receives[j], &c->receives[i]))
				check_range_pair(k, j, i);
}
