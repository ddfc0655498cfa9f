/* config/check_connector.c: rules for connectors: who is calling (inbound, spec 3.3) and which way out
 * (send, 3.2, 3.6). */
#include "config/check.h"

#include "base/must.h"
#include "config/value.h"
#include "wire/addr.h"

#include <time.h>

void check_patterns(struct check *k, int line, const char *where, const char *option, struct conf_list *l)
{
	struct buf normal;

	buf_init(&normal, 1024);
	for (size_t i = 0; i < l->n; i++) {
		buf_reset(&normal);
		const char *why = conf_pattern_check(l->v[i], &normal);
		if (why == NULL)
			l->v[i] = value_dup(k->arena, buf_str(&normal));
		else
			report_error(k->r, line, "%s: %s: '" STR_FMT "': %s", where, option, STR_ARG(l->v[i]), why);
	}
	buf_fini(&normal);
}

/* "name", "*.name" or "*" into their parts.  Here *.name is the name and all below it. */
static bool parse_domain_space(struct check *k, struct str in, struct conf_space *out)
{
	if (str_eq(in, S("*"))) {
		out->any = true;
		return true;
	}
	out->sub = str_starts(in, S("*."));
	return check_domain_name(k, out->sub ? str_skip(in, 2) : in, &out->domain);
}

/* ---- inbound ---- */

static void check_sender_domains(struct check *k, size_t i, const char *where)
{
	struct conf_inbound *in = &k->c->inbounds[i];
	struct conf_list *l = &in->sender_domains;

	for (size_t j = 0; j < l->n; j++) {
		struct conf_space s = { 0 };
		if (!parse_domain_space(k, l->v[j], &s)) {
			report_error(k->r, check_line(k, "inbound", i, "sender_domains"),
				     "%s: sender_domains: '" STR_FMT "' is not one of name, *.name, *", where,
				     STR_ARG(l->v[j]));
		} else if (!s.any) {
			struct buf b;
			buf_init(&b, 1024);
			buf_addf(&b, "%s" STR_FMT, s.sub ? "*." : "", STR_ARG(s.domain));
			l->v[j] = value_dup(k->arena, buf_str(&b));
			buf_fini(&b);
		}
	}
}

/* "2027-01-31" -> the end of that day, UTC.  0 when it is no date. */
static int64_t end_of_day_ms(struct str s)
{
	uint64_t year, month, day;

	if (s.n != 10 || s.p[4] != '-' || s.p[7] != '-' || !str_u64(str_head(s, 4), 9999, &year) ||
	    !str_u64(str_n(s.p + 5, 2), 12, &month) || !str_u64(str_skip(s, 8), 31, &day) || year < 1970)
		return 0;
	struct tm tm = { .tm_year = (int)year - 1900, .tm_mon = (int)month - 1, .tm_mday = (int)day };
	time_t t = timegm(&tm);
	if (tm.tm_mon != (int)month - 1 || tm.tm_mday != (int)day)
		return 0; /* 31 February */
	return ((int64_t)t + 24 * 3600) * 1000;
}

/* Exchange's address-based connectors break silently when the cloud's addresses change: so trust in them ends on a day
 * that somebody has to renew. */
static void check_ip_trust(struct check *k, size_t i, const char *where)
{
	struct conf_inbound *in = &k->c->inbounds[i];
	int line = check_line(k, "inbound", i, in->ip_trust_until.n > 0 ? "ip_trust_until" : "ip_trust");

	in->ip_trust_until_ms = end_of_day_ms(in->ip_trust_until);
	if (in->ip_trust_until.n > 0 && in->ip_trust_until_ms == 0)
		report_error(k->r, line, "%s: ip_trust_until: '" STR_FMT "' is not a date like 2027-01-31", where,
			     STR_ARG(in->ip_trust_until));
	else if (in->ip_trust == IP_TRUST_FULL && in->ip_trust_until.n == 0)
		report_error(k->r, line, "%s: ip_trust = full needs an ip_trust_until, a date like 2027-01-31", where);
	else if (in->ip_trust == IP_TRUST_NONE && in->ip_trust_until.n > 0)
		report_error(k->r, line, "%s: ip_trust_until is for ip_trust = full", where);
	if (in->ip_trust == IP_TRUST_FULL && in->sender_ip.n == 0)
		report_error(k->r, line, "%s: ip_trust = full without sender_ip", where);
}

static void check_peer(struct check *k, size_t i, const char *where)
{
	const struct conf_inbound *in = &k->c->inbounds[i];

	if (in->sender_certificate.n == 0 && in->sender_ip.n == 0)
		report_error(k->r, in->line, "%s: a peer needs sender_certificate or, with less trust, sender_ip",
			     where);
	else if (in->sender_certificate.n == 0)
		report_warning(
			k->r, check_line(k, "inbound", i, "sender_ip"),
			"%s: a peer known by address alone is trusted with no headers, and is lost when its addresses "
			"change",
			where);
	if (in->sender_domains.n > 0)
		report_error(k->r, check_line(k, "inbound", i, "sender_domains"),
			     "%s: sender_domains is for partners: a peer is never known by the sender's address",
			     where);
	if (in->sender_ip.n > 0 && !in->org_required)
		report_warning(k->r, check_line(k, "inbound", i, "org_required"),
			       "%s: org_required = no with sender_ip: whoever has one of these addresses may relay",
			       where);
	check_ip_trust(k, i, where);
	if (in->own_tenant_only != OWN_TENANT_NO && !in->org_required)
		report_error(k->r, check_line(k, "inbound", i, "own_tenant_only"),
			     "%s: own_tenant_only looks at the claim, which org_required = no does not ask for", where);
	if (in->restrict_cert || in->restrict_ip)
		report_error(k->r, check_line(k, "inbound", i, in->restrict_cert ? "restrict_cert" : "restrict_ip"),
			     "%s: restrict_cert and restrict_ip are for partners", where);
}

static void check_partner(struct check *k, size_t i, const char *where)
{
	static const char *const of_peers[] = { "cloud_mail",   "return_internal", "peer_relay",
						"trusted_orgs", "ip_trust",        "own_tenant_only" };
	const struct conf_inbound *in = &k->c->inbounds[i];
	const bool set[] = { in->cloud_mail,
			     in->return_internal,
			     in->peer_relay,
			     in->trusted_orgs.n > 0,
			     in->ip_trust != IP_TRUST_NONE || in->ip_trust_until.n > 0,
			     in->own_tenant_only != OWN_TENANT_NO };

	for (size_t j = 0; j < sizeof set / sizeof *set; j++)
		if (set[j])
			report_error(k->r, check_line(k, "inbound", i, of_peers[j]), "%s: %s is for type = peer", where,
				     of_peers[j]);
	if (in->sender_certificate.n == 0 && in->sender_ip.n == 0 && in->sender_domains.n == 0)
		report_error(k->r, in->line,
			     "%s: a partner needs at least one of sender_certificate, sender_ip, sender_domains",
			     where);
	if (in->restrict_cert && in->sender_certificate.n == 0)
		report_error(k->r, check_line(k, "inbound", i, "restrict_cert"),
			     "%s: restrict_cert without sender_certificate", where);
	if (in->restrict_ip && in->sender_ip.n == 0)
		report_error(k->r, check_line(k, "inbound", i, "restrict_ip"), "%s: restrict_ip without sender_ip",
			     where);
}

/* The same name at two connectors: the first by name would always win. */
static void check_ambiguous(struct check *k, size_t i, const char *where)
{
	const struct config *c = k->c;
	const struct conf_inbound *in = &c->inbounds[i];

	for (size_t j = 0; j < i && in->enabled; j++) {
		for (size_t x = 0; c->inbounds[j].enabled && x < c->inbounds[j].sender_certificate.n; x++)
			for (size_t y = 0; y < in->sender_certificate.n; y++)
				if (str_eq(c->inbounds[j].sender_certificate.v[x], in->sender_certificate.v[y]))
					report_warning(k->r, check_line(k, "inbound", i, "sender_certificate"),
						       "%s: " STR_FMT " is in inbound \"" STR_FMT
						       "\" too (line %d); the first by name wins",
						       where, STR_ARG(in->sender_certificate.v[y]),
						       STR_ARG(c->inbounds[j].name), c->inbounds[j].line);
	}
}

static void check_inbound(struct check *k, size_t i)
{
	struct conf_inbound *in = &k->c->inbounds[i];
	const char *where = check_where(k, "inbound", in->name);

	check_patterns(k, check_line(k, "inbound", i, "sender_certificate"), where, "sender_certificate",
		       &in->sender_certificate);
	check_ranges(k, check_line(k, "inbound", i, "sender_ip"), where, "sender_ip", &in->sender_ip, &in->ranges,
		     &in->range_n);
	check_sender_domains(k, i, where);
	for (size_t j = 0; j < in->trusted_orgs.n; j++)
		if (!check_domain_name(k, in->trusted_orgs.v[j], &in->trusted_orgs.v[j]))
			report_error(k->r, check_line(k, "inbound", i, "trusted_orgs"),
				     "%s: trusted_orgs: '" STR_FMT "' is not a domain name", where,
				     STR_ARG(in->trusted_orgs.v[j]));
	if (in->type == INBOUND_PEER)
		check_peer(k, i, where);
	else
		check_partner(k, i, where);
	check_ambiguous(k, i, where);
}

void check_inbounds(struct check *k)
{
	for (size_t i = 0; i < k->c->inbound_n; i++)
		check_inbound(k, i);
}

/* ---- send ---- */

static bool parse_space(struct check *k, struct str in, struct conf_space *out)
{
	struct str space, cost;
	uint64_t n = 1;

	*out = (struct conf_space){ 0 };
	if (str_cut(in, ';', &space, &cost) && (!str_u64(cost, 100, &n) || n == 0))
		return false;
	out->cost = (unsigned)n;
	out->local = str_eq(space, S("@local"));
	out->peer = str_eq(space, S("@peer"));
	return out->local || out->peer || parse_domain_space(k, space, out);
}

static void check_spaces(struct check *k, size_t i, const char *where)
{
	struct conf_send *s = &k->c->sends[i];
	int line = check_line(k, "send", i, "space");

	s->spaces = arena_alloc(k->arena, s->space.n * sizeof *s->spaces);
	must(s->spaces != NULL);
	for (size_t j = 0; j < s->space.n; j++) {
		if (parse_space(k, s->space.v[j], &s->spaces[s->space_n]))
			s->space_n++;
		else
			report_error(
				k->r, line,
				"%s: space: '" STR_FMT
				"' is not one of name, *.name, *, @local, @peer, with an optional ;cost of 1 to 100",
				where, STR_ARG(s->space.v[j]));
	}
	if (check_written(k, "send", i, "space") && s->space.n == 0)
		report_error(k->r, line, "%s: space: the list is empty", where);
}

static bool has_space(const struct conf_send *s, bool local)
{
	for (size_t i = 0; i < s->space_n; i++)
		if (local ? s->spaces[i].local : s->spaces[i].peer)
			return true;
	return false;
}

/* "host", "host:25", "192.0.2.1", "[2001:db8::1]:25", each with an optional ";preference" */
static bool is_host(struct check *k, struct str in)
{
	struct str host, port, name, preference;
	struct net_addr a;
	uint64_t n;

	if (str_cut(in, ';', &in, &preference) && !str_u64(preference, 65535, &n))
		return false;
	if (net_parse_addr(in, 25, &a))
		return net_port(&a) != 0;
	if (str_cut(in, ':', &host, &port) && (!str_u64(port, 65535, &n) || n == 0))
		return false;
	return check_domain_name(k, host, &name);
}

static void check_way(struct check *k, size_t i, const char *where)
{
	struct conf_send *s = &k->c->sends[i];
	bool dns_written = check_written(k, "send", i, "dns");

	for (size_t j = 0; j < s->smarthosts.n; j++)
		if (!is_host(k, s->smarthosts.v[j]))
			report_error(k->r, check_line(k, "send", i, "smarthosts"),
				     "%s: smarthosts: '" STR_FMT
				     "' is not a host, host:port or [address]:port, with an optional "
				     ";preference",
				     where, STR_ARG(s->smarthosts.v[j]));
	if (s->dns && s->smarthosts.n > 0)
		report_error(k->r, check_line(k, "send", i, "dns"), "%s: dns = yes and smarthosts exclude each other",
			     where);
	if (s->smarthosts.n > 0)
		return;
	if (has_space(s, true))
		report_error(k->r, s->line,
			     "%s: the space @local needs smarthosts: the MX of our domains leads back here", where);
	else if (dns_written && !s->dns)
		report_error(k->r, check_line(k, "send", i, "dns"), "%s: dns = no, but there are no smarthosts", where);
	else
		s->dns = true;
}

static void check_send_tls(struct check *k, size_t i, const char *where)
{
	struct conf_send *s = &k->c->sends[i];
	int line = check_line(k, "send", i, "tls_domain");
	struct buf normal;

	check_certificate(k, check_line(k, "send", i, s->key.n > 0 ? "key" : "certificate"), where, s->certificate,
			  s->key);
	if (s->tls == TLS_DOMAIN && s->smarthosts.n > 0 && s->tls_domain.n == 0)
		report_error(k->r, check_line(k, "send", i, "tls"),
			     "%s: tls = domain with smarthosts needs a tls_domain", where);
	if (s->tls_domain.n == 0)
		return;
	if (s->tls != TLS_DOMAIN)
		report_error(k->r, line, "%s: tls_domain is compared only with tls = domain", where);
	buf_init(&normal, 1024);
	const char *why = conf_pattern_check(s->tls_domain, &normal);
	if (why != NULL)
		report_error(k->r, line, "%s: tls_domain: '" STR_FMT "': %s", where, STR_ARG(s->tls_domain), why);
	else
		s->tls_domain = value_dup(k->arena, buf_str(&normal));
	buf_fini(&normal);
}

static void check_srs(struct check *k, size_t i, const char *where)
{
	struct conf_send *s = &k->c->sends[i];
	int line = check_line(k, "send", i, "srs_domain");

	if (s->srs_domain.n == 0)
		return;
	if (!check_domain_name(k, s->srs_domain, &s->srs_domain))
		report_error(k->r, line, "%s: srs_domain: '" STR_FMT "' is not a domain name", where,
			     STR_ARG(s->srs_domain));
	if (k->c->srs.key.n == 0)
		report_error(k->r, line, "%s: srs_domain needs srs.key, a file of keys", where);
	if (s->peer || has_space(s, true))
		report_error(k->r, line,
			     "%s: srs_domain is for ways to strangers: between our sides senders stay as "
			     "they are",
			     where);
}

static void check_peer_send(struct check *k, size_t i, const char *where)
{
	struct conf_send *s = &k->c->sends[i];

	if (has_space(s, false) && !s->peer) {
		if (check_written(k, "send", i, "peer"))
			report_error(k->r, check_line(k, "send", i, "peer"), "%s: peer = no, but the space is @peer",
				     where);
		s->peer = true;
	}
	if (s->peer && s->tls < TLS_VALIDATE)
		report_warning(
			k->r, check_line(k, "send", i, "tls"),
			"%s: with tls = %s mail inside of the organisation goes to anyone who answers; use validate "
			"or domain",
			where, conf_tls_level_name(s->tls));
	check_srs(k, i, where);
	if (s->xoorg.n > 0 && !check_domain_name(k, s->xoorg, &s->xoorg))
		report_error(k->r, check_line(k, "send", i, "xoorg"), "%s: xoorg: '" STR_FMT "' is not a domain name",
			     where, STR_ARG(s->xoorg));
	if (s->xoorg.n > 0 && !s->peer)
		report_error(k->r, check_line(k, "send", i, "xoorg"),
			     "%s: xoorg is told to the other side only: peer = yes", where);
}

static bool is_for_mailboxes_only(const struct conf_send *s)
{
	for (size_t i = 0; i < s->space_n; i++)
		if (!s->spaces[i].local)
			return false;
	return s->space_n > 0;
}

/* Which headers may leave by it (spec 4.2): nothing of ours, unless it leads to the other side or to our mailboxes. */
static void check_send_headers(struct check *k, size_t i, const char *where)
{
	struct conf_send *s = &k->c->sends[i];

	if (!check_written(k, "send", i, "cloud_mail"))
		s->cloud_mail = s->peer;
	else if (s->cloud_mail && !s->peer)
		report_error(k->r, check_line(k, "send", i, "cloud_mail"),
			     "%s: cloud_mail is for the other side of the organisation: peer = yes", where);
	if (!check_written(k, "send", i, "clean_headers"))
		s->clean_headers = !s->cloud_mail && !is_for_mailboxes_only(s);
	else if (s->clean_headers && s->cloud_mail)
		report_error(k->r, check_line(k, "send", i, "clean_headers"),
			     "%s: clean_headers = yes takes away what cloud_mail = yes lets through; say one of them",
			     where);
	else if (!s->clean_headers && !s->cloud_mail && !is_for_mailboxes_only(s))
		report_warning(k->r, check_line(k, "send", i, "clean_headers"),
			       "%s: clean_headers = no: whoever it leads to reads the headers of our organisation",
			       where);
}

/* What a connector does not say about trying again is as in the queue section. */
static void check_send_retry(struct check *k, size_t i, const char *where)
{
#define RETRY(n, m) \
	{ \
		n, offsetof(struct conf_retry, m) \
	}
	static const struct {
		const char *name;
		size_t at;
	} options[] = {
		RETRY("retry_glitch", glitch_ms),
		RETRY("retry_glitch_count", glitch_n),
		RETRY("retry_transient", transient_ms),
		RETRY("retry_transient_count", transient_n),
		RETRY("retry_first", first_ms),
		RETRY("retry_max_interval", max_ms),
		RETRY("retry_message", message_ms),
		RETRY("retry_unknown", unknown_ms),
		RETRY("expire", expire_ms),
		RETRY("delay_report", delay_report_ms),
	};
#undef RETRY
	struct conf_send *s = &k->c->sends[i];

	for (size_t j = 0; j < sizeof options / sizeof *options; j++)
		if (!check_written(k, "send", i, options[j].name)) /* all members are int64_t */
			memcpy((char *)&s->retry + options[j].at, (const char *)&k->c->queue.retry + options[j].at,
			       sizeof(int64_t));
	if (!check_written(k, "send", i, "retry_message") && check_written(k, "send", i, "retry_first"))
		s->retry.message_ms = s->retry.first_ms;
	if (s->retry.first_ms > s->retry.max_ms)
		report_error(k->r, check_line(k, "send", i, "retry_first"),
			     "%s: retry_first is longer than retry_max_interval", where);
	if (!check_written(k, "send", i, "peer_expire"))
		s->peer_expire_ms = (k->c->site == SITE_ONPREM ? 24 : 48) * 3600 * (int64_t)1000;
	if (s->peer && s->peer_expire_ms < s->retry.expire_ms)
		s->retry.expire_ms = s->peer_expire_ms;
}

/* A probe must not be a load, and needs somebody to ask for. */
static void check_probe(struct check *k, size_t i, const char *where)
{
	const struct conf_send *s = &k->c->sends[i];
	struct addr parsed;

	if (s->validate_ms > 0 && s->validate_ms < 10000)
		report_error(k->r, check_line(k, "send", i, "validate"), "%s: validate: less than 10s is a load",
			     where);
	if (s->probe_to.n > 0 && addr_parse(s->probe_to, &(struct addr_rules){ .smtputf8 = true }, &parsed) != ADDR_OK)
		report_error(k->r, check_line(k, "send", i, "probe_to"),
			     "%s: probe_to: '" STR_FMT "' is not a mail address", where, STR_ARG(s->probe_to));
}

static void choose_echo_from(struct check *k, struct conf_send *s)
{
	struct buf b;

	buf_init(&b, 512);
	buf_add(&b, S("tombolo-echo@"));
	for (size_t i = 0; i < k->c->domain_n; i++)
		if (k->c->domains[i].is_default)
			buf_add(&b, k->c->domains[i].name);
	if (b.p[b.n - 1] != '@')
		s->echo_from = value_dup(k->arena, buf_str(&b));
	buf_fini(&b);
}

/* What comes back must be known for certain, and what is not must be a recipient that does not exist. */
static void check_echo(struct check *k, size_t i, const char *where)
{
	enum { LOCAL_MAX = 64 - 1 - 40 };
	struct conf_send *s = &k->c->sends[i];
	const struct addr_rules rules = { .smtputf8 = false };
	struct addr to, from;
	int line = check_line(k, "send", i, "echo_to");
	bool ours = false;

	if (s->echo_to.n == 0)
		return;
	if (s->echo_from.n == 0)
		choose_echo_from(k, s);
	if (addr_parse(s->echo_to, &rules, &to) != ADDR_OK)
		report_error(k->r, line, "%s: echo_to: '" STR_FMT "' is not a mail address", where,
			     STR_ARG(s->echo_to));
	if (!s->peer)
		report_error(k->r, line, "%s: echo_to is for the other side of the organisation: peer = yes", where);
	if (k->c->loop.token_key.n == 0)
		report_error(k->r, line, "%s: echo_to needs loop.token_key: what comes back is signed", where);
	if (addr_parse(s->echo_from, &rules, &from) != ADDR_OK || from.local.n > LOCAL_MAX) {
		report_error(k->r, line,
			     "%s: echo_from: '" STR_FMT "' is not a mail address with a local part of at most %d",
			     where, STR_ARG(s->echo_from), LOCAL_MAX);
		return;
	}
	for (size_t d = 0; d < k->c->domain_n; d++)
		ours |= k->c->domains[d].type == DOMAIN_AUTHORITATIVE && str_ieq(k->c->domains[d].name, from.domain);
	if (!ours)
		report_error(k->r, line, "%s: echo_from: " STR_FMT " is not an authoritative domain here", where,
			     STR_ARG(from.domain));
}

static void check_send(struct check *k, size_t i)
{
	struct conf_send *s = &k->c->sends[i];
	const char *where = check_where(k, "send", s->name);

	check_spaces(k, i, where);
	check_way(k, i, where);
	check_send_tls(k, i, where);
	check_peer_send(k, i, where);
	check_send_headers(k, i, where);
	check_send_retry(k, i, where);
	if (s->source.n > 0 && !net_parse_ip(s->source, 0, &s->source_addr))
		report_error(k->r, check_line(k, "send", i, "source"), "%s: source: '" STR_FMT "' is not an address",
			     where, STR_ARG(s->source));
	if (s->fqdn.n == 0)
		s->fqdn = k->c->hostname;
	else if (!check_domain_name(k, s->fqdn, &s->fqdn))
		report_error(k->r, check_line(k, "send", i, "fqdn"), "%s: fqdn: '" STR_FMT "' is not a domain name",
			     where, STR_ARG(s->fqdn));
	check_patterns(k, check_line(k, "send", i, "known_as"), where, "known_as", &s->known_as);
	if (!check_written(k, "send", i, "validate"))
		s->validate_ms = s->peer ? k->c->validate_ms : 0;
	check_probe(k, i, where);
	check_echo(k, i, where);
	s->has_exclusive = check_written(k, "send", i, "exclusive");
	if (!s->has_exclusive)
		s->exclusive = s->peer || s->tls >= TLS_VALIDATE;
	else if (!s->exclusive && s->peer)
		report_warning(k->r, check_line(k, "send", i, "exclusive"),
			       "%s: exclusive = no: mail too big for it may leave by a connector without its TLS",
			       where);
}

void check_sends(struct check *k)
{
	for (size_t i = 0; i < k->c->send_n; i++)
		check_send(k, i);
}

/* ---- tls_policy ---- */

static void check_tls_policy(struct check *k, size_t i)
{
	struct conf_tls_policy *p = &k->c->tls_policies[i];
	const char *where = check_where(k, "tls_policy", p->name);
	struct conf_space space = { 0 };
	struct buf normal;

	if (!parse_domain_space(k, p->name, &space))
		report_error(k->r, p->line, "%s: the name is not one of name, *.name, *", where);
	p->any = space.any;
	p->sub = space.sub;
	p->domain = space.domain;
	if (p->tls_domain.n == 0)
		return;
	if (p->tls != TLS_DOMAIN)
		report_error(k->r, check_line(k, "tls_policy", i, "tls_domain"),
			     "%s: tls_domain is compared only with tls = domain", where);
	buf_init(&normal, 1024);
	const char *why = conf_pattern_check(p->tls_domain, &normal);
	if (why != NULL)
		report_error(k->r, check_line(k, "tls_policy", i, "tls_domain"), "%s: tls_domain: '" STR_FMT "': %s",
			     where, STR_ARG(p->tls_domain), why);
	else
		p->tls_domain = value_dup(k->arena, buf_str(&normal));
	buf_fini(&normal);
}

void check_tls_policies(struct check *k)
{
	for (size_t i = 0; i < k->c->tls_policy_n; i++)
		check_tls_policy(k, i);
}
