/* connectors/places.c: names of a hop -> addresses to try.
 *
 * The new list is built beside the old one and replaces it whole; rests survive for addresses that stay. */
#include "connectors/places.h"

#include "base/must.h"

#include <stdio.h>
#include <stdlib.h>

enum { PLACES_MAX = 16 }; /* an attempt must end: each may take the whole connect timeout */

bool places_parse_host(struct str s, uint16_t default_port, struct str *host, uint16_t *port)
{
	struct net_addr ip;
	uint64_t n = default_port;
	ssize_t close = str_chr(s, ']'), colon = str_rchr(s, ':');

	if (str_starts(s, S("[")) && close > 0) {
		*host = str_skip(str_head(s, (size_t)close), 1);
		if (str_istarts(*host, S("IPv6:")))
			*host = str_skip(*host, 5);
		s = str_skip(s, (size_t)close + 1);
		if (s.n > 0 && (!str_starts(s, S(":")) || !str_u64(str_skip(s, 1), 65535, &n)))
			return false;
	} else if (colon >= 0 && !net_parse_ip(s, default_port, &ip)) {
		*host = str_head(s, (size_t)colon);
		if (!str_u64(str_skip(s, (size_t)colon + 1), 65535, &n))
			return false;
	} else {
		*host = s;
	}
	*port = (uint16_t)n;
	return host->n > 0 && n > 0;
}

/* ---- the list being built ---- */

static void free_list(struct places_list *l)
{
	for (size_t i = 0; i < l->n; i++)
		free((char *)(uintptr_t)l->v[i].host.p);
	free(l->v);
	*l = (struct places_list){ 0 };
}

static struct str dup_lower(struct str s)
{
	char *p = malloc(s.n + 1);

	must(p != NULL);
	for (size_t i = 0; i < s.n; i++)
		p[i] = chr_lower(s.p[i]);
	p[s.n] = '\0';
	return (struct str){ p, s.n };
}

static void add_host(struct places *p, const struct mx_host *h)
{
	struct places_list *l = &p->building;

	for (size_t i = 0; i < h->addr_n && l->n < PLACES_MAX; i++) {
		struct place *more = realloc(l->v, (l->n + 1) * sizeof *more);
		must(more != NULL);
		l->v = more;
		l->v[l->n++] = (struct place){ .addr = h->addrs[i], .host = dup_lower(h->name) };
	}
}

/* Our own listeners are no way out, nor what stands behind them in preference. */
static void add_hosts(struct places *p, struct mx_host *hosts, size_t n)
{
	size_t left = mx_drop_self(hosts, n, p->own, p->own_n);

	p->met_self = p->met_self || left < n;
	for (size_t i = 0; i < left; i++)
		add_host(p, &hosts[i]);
}

/* ---- the end of a search ---- */

static void keep_rests(const struct places *p, struct places_list *l, int64_t now_ms)
{
	for (size_t i = 0; i < l->n; i++)
		for (size_t j = 0; j < p->n; j++)
			if (net_same_ip(&l->v[i].addr, &p->v[j].addr) &&
			    net_port(&l->v[i].addr) == net_port(&p->v[j].addr) && p->v[j].rest_until_ms > now_ms) {
				l->v[i].rest_until_ms = p->v[j].rest_until_ms;
				l->v[i].fails = p->v[j].fails;
			}
}

static void set_failure(struct places *p, bool final, struct reply r, const char *text)
{
	p->final = final;
	p->reply = r;
	snprintf(p->text, sizeof p->text, "%s", text);
	p->reply.text = str_c(p->text);
}

static void end_search(struct places *p)
{
	struct places_list old = { p->v, p->n };
	int64_t now_ms = loop_now_ms(p->loop);

	if (p->building.n == 0 && p->met_self)
		set_failure(p, true, REPLY(554, 5, 4, 6, ""), "mail loops back to this host");
	keep_rests(p, &p->building, now_ms);
	p->v = p->building.v;
	p->n = p->building.n;
	p->building = (struct places_list){ 0 };
	free_list(&old);
	p->found_ms = now_ms;
	p->looking = false;
	p->done(p);
}

static void judge_lookup(struct places *p, struct str name)
{
	bool domain = p->kind == HOP_DOMAIN;
	const struct dns_lookup *q = &p->lookup;
	char text[400];

	if (q->status == DNS_OK && q->null_mx) {
		snprintf(text, sizeof text, STR_FMT " accepts no mail (null MX)", STR_ARG(name));
		set_failure(p, domain, REPLY(556, 5, 1, 10, ""), text);
	} else if (q->status == DNS_NXDOMAIN) {
		snprintf(text, sizeof text, STR_FMT " does not exist", STR_ARG(name));
		set_failure(p, domain, domain ? REPLY(550, 5, 1, 2, "") : REPLY(451, 4, 4, 4, ""), text);
	} else if (q->status == DNS_NODATA) {
		snprintf(text, sizeof text, STR_FMT " has no mail server and no address", STR_ARG(name));
		set_failure(p, domain, domain ? REPLY(550, 5, 4, 4, "") : REPLY(451, 4, 4, 4, ""), text);
	} else if (q->status == DNS_FAILED || q->host_n == 0) {
		snprintf(text, sizeof text, "cannot look up " STR_FMT "%s%s", STR_ARG(name), q->text[0] ? ": " : "",
			 q->text);
		set_failure(p, false, REPLY(451, 4, 4, 3, ""), text);
	}
}

/* ---- searching ---- */

static void look_on(struct places *p);

static void on_domain(struct op *op)
{
	struct places *p = container_of(op, struct places, lookup.op);

	judge_lookup(p, p->target);
	if (p->lookup.status == DNS_OK && !p->lookup.null_mx)
		add_hosts(p, p->lookup.hosts, p->lookup.host_n);
	dns_lookup_fini(&p->lookup);
	end_search(p);
}

static void on_host(struct op *op)
{
	struct places *p = container_of(op, struct places, lookup.op);
	struct str name = p->lookup.host_n > 0 ? p->lookup.hosts[0].name : S("the smart host");

	judge_lookup(p, name);
	if (p->lookup.status == DNS_OK)
		add_hosts(p, p->lookup.hosts, p->lookup.host_n);
	dns_lookup_fini(&p->lookup);
	look_on(p);
}

static void on_task(struct loop_task *task)
{
	struct places *p = container_of(task, struct places, task);

	if (p->looking)
		end_search(p);
}

/* Takes one host: an address at once, a name through the resolver.  True when there is nothing to wait for. */
static bool look_up_host(struct places *p, struct str text)
{
	struct net_addr addr;
	struct mx_host literal;
	struct str host;
	uint16_t port;

	if (!places_parse_host(text, (uint16_t)p->send->port, &host, &port)) {
		set_failure(p, false, REPLY(451, 4, 4, 4, ""), "the smart host has no valid port");
		return true;
	}
	if (net_parse_ip(host, port, &addr)) {
		literal = (struct mx_host){ .name = host, .addrs = &addr, .addr_n = 1 };
		add_hosts(p, &literal, 1);
		return true;
	}
	dns_lookup_host(p->dns, p->loop, host, port, &p->lookup, on_host);
	return false;
}

/* Next smart host, or the end. */
static void look_on(struct places *p)
{
	size_t n = p->kind == HOP_HOST ? 1 : p->send->smarthosts.n;

	while (p->next < n) {
		struct str text = p->kind == HOP_HOST ? p->target : p->send->smarthosts.v[p->next];
		p->next++;
		if (!look_up_host(p, text))
			return;
	}
	p->task.fn = on_task;
	loop_defer(p->loop, &p->task);
}

void places_find(struct places *p)
{
	struct net_addr addr;
	struct str host;
	uint16_t port = (uint16_t)p->send->port;

	must(!p->looking);
	p->looking = true;
	p->met_self = false;
	p->next = 0;
	set_failure(p, false, REPLY(451, 4, 4, 4, ""), "no server is known for this hop");
	if (p->kind != HOP_DOMAIN) {
		look_on(p);
	} else if (str_starts(p->target, S("[")) && places_parse_host(p->target, port, &host, &port) &&
		   net_parse_ip(host, port, &addr)) {
		struct mx_host literal = { .name = host, .addrs = &addr, .addr_n = 1 };
		add_hosts(p, &literal, 1);
		p->task.fn = on_task;
		loop_defer(p->loop, &p->task);
	} else {
		dns_lookup_mx(p->dns, p->loop, p->target, port, &p->lookup, on_domain);
	}
}

/* ---- using ---- */

static struct place *place_of(struct places *p, const struct net_addr *a)
{
	for (size_t i = 0; i < p->n; i++)
		if (net_same_ip(&p->v[i].addr, a) && net_port(&p->v[i].addr) == net_port(a))
			return &p->v[i];
	return NULL;
}

struct place *places_pick(struct places *p, int64_t now_ms)
{
	for (size_t i = 0; i < p->n; i++)
		if (p->v[i].rest_until_ms <= now_ms)
			return &p->v[i];
	return NULL;
}

void places_failed(struct places *p, const struct net_addr *a, int64_t now_ms)
{
	struct place *at = place_of(p, a);

	if (at == NULL)
		return;
	int64_t rest_ms = at->fails >= 5 ? PLACES_REST_MAX_MS : (int64_t)1000 << at->fails;
	at->fails++;
	at->rest_until_ms = now_ms + (rest_ms < PLACES_REST_MAX_MS ? rest_ms : PLACES_REST_MAX_MS);
}

void places_forget_rests(struct places *p)
{
	for (size_t i = 0; i < p->n; i++)
		p->v[i].rest_until_ms = 0;
}

void places_worked(struct places *p, const struct net_addr *a)
{
	struct place *at = place_of(p, a);

	if (at != NULL) {
		at->fails = 0;
		at->rest_until_ms = 0;
	}
}

void places_init(struct places *p, const struct pool_options *o, const struct conf_send *s, enum hop_kind kind,
		 struct str target, void (*done)(struct places *))
{
	*p = (struct places){ .loop = o->loop,
			      .dns = o->dns,
			      .own = o->own,
			      .own_n = o->own_n,
			      .send = s,
			      .kind = kind,
			      .target = target,
			      .done = done };
}

void places_fini(struct places *p)
{
	struct places_list old = { p->v, p->n };

	dns_lookup_fini(&p->lookup);
	p->looking = false;
	free_list(&p->building);
	free_list(&old);
	p->v = NULL;
	p->n = 0;
}
