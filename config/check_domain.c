/* config/check_domain.c: rules for accepted domains (spec 2.1). */
#include "config/check.h"

#include "config/value.h"

#include <string.h>

static bool is_relay_target(struct check *k, struct str s)
{
	struct str host, port;
	uint64_t n;

	if (str_eq(s, S("peer")) || str_eq(s, S("mx")))
		return true;
	if (!str_starts(s, S("host:")))
		return false;
	str_cut(str_skip(s, 5), ':', &host, &port);
	struct net_addr a;
	struct str name;
	if (host.n + 5 < s.n && (!str_u64(port, 65535, &n) || n == 0))
		return false;
	return check_domain_name(k, host, &name) || net_parse_ip(host, 0, &a);
}

static void check_relay_to(struct check *k, size_t i, const char *where)
{
	struct conf_domain *d = &k->c->domains[i];

	if (d->relay_to.n == 0)
		d->relay_to = d->type == DOMAIN_EXTERNAL_RELAY ? S("mx") : S("peer");
	if (!is_relay_target(k, d->relay_to))
		report_error(k->r, check_line(k, "domain", i, "relay_to"),
			     "%s: relay_to: '" STR_FMT "' is not one of peer, mx, host:NAME[:PORT]", where,
			     STR_ARG(d->relay_to));
}

/* Separators must not be able to end or quote a local part. */
static void check_plus(struct check *k, size_t i, const char *where)
{
	struct str plus = k->c->domains[i].plus;

	for (size_t j = 0; j < plus.n; j++)
		if (strchr("+-_=#", plus.p[j]) == NULL) {
			report_error(k->r, check_line(k, "domain", i, "plus"),
				     "%s: plus: '" STR_FMT "' holds other characters than + - _ = #", where,
				     STR_ARG(plus));
			return;
		}
}

static void check_domain(struct check *k, size_t i)
{
	struct conf_domain *d = &k->c->domains[i];
	const char *where = check_where(k, "domain", d->name);

	if (!check_domain_name(k, d->name, &d->name))
		report_error(k->r, d->line, "%s: this is not a domain name", where);
	for (size_t j = 0; j < i; j++)
		if (str_eq(k->c->domains[j].name, d->name))
			report_error(k->r, d->line, "%s is here again, it began at line %d", where,
				     k->c->domains[j].line);
	if (d->routing_domain.n > 0 && !check_domain_name(k, d->routing_domain, &d->routing_domain))
		report_error(k->r, check_line(k, "domain", i, "routing_domain"),
			     "%s: routing_domain: '" STR_FMT "' is not a domain name", where,
			     STR_ARG(d->routing_domain));
	if (d->type == DOMAIN_INTERNAL_RELAY && d->peer_type == DOMAIN_INTERNAL_RELAY)
		report_error(k->r, check_line(k, "domain", i, "peer_type"),
			     "%s: internal-relay on both sides: mail for unknown users would go in circles", where);
	if (d->own_routing && d->routing_domain.n > 0)
		report_error(k->r, check_line(k, "domain", i, "own_routing"),
			     "%s: our own routing domain has no routing_domain", where);
	check_relay_to(k, i, where);
	check_plus(k, i, where);
}

/* Mail for the other side's coexistence domain is never ours to judge. */
static void check_routing_domain(struct check *k, size_t i)
{
	const struct config *c = k->c;
	struct str routing = c->domains[i].routing_domain;

	for (size_t j = 0; j < c->domain_n && routing.n > 0; j++) {
		const struct conf_domain *d = &c->domains[j];
		if (str_eq(d->name, routing) && (d->own_routing || d->type == DOMAIN_AUTHORITATIVE))
			report_error(k->r, check_line(k, "domain", i, "routing_domain"),
				     "domain \"" STR_FMT "\": routing_domain " STR_FMT
				     " is declared at line %d as %s, but its mailboxes are on the other side",
				     STR_ARG(c->domains[i].name), STR_ARG(routing), d->line,
				     d->own_routing ? "our own routing domain" : "authoritative");
	}
}

static void check_default(struct check *k)
{
	struct config *c = k->c;
	const struct conf_domain *first = NULL;

	for (size_t i = 0; i < c->domain_n; i++) {
		if (!c->domains[i].is_default)
			continue;
		if (first != NULL)
			report_error(k->r, check_line(k, "domain", i, "default"),
				     "domain \"" STR_FMT "\": the default domain is \"" STR_FMT "\" already (line %d)",
				     STR_ARG(c->domains[i].name), STR_ARG(first->name), first->line);
		else
			first = &c->domains[i];
	}
	if (first == NULL && c->domain_n > 0)
		c->domains[0].is_default = true;
}

void check_domains(struct check *k)
{
	for (size_t i = 0; i < k->c->domain_n; i++)
		check_domain(k, i);
	for (size_t i = 0; i < k->c->domain_n; i++)
		check_routing_domain(k, i);
	check_default(k);
}
