/* config/check.c: helpers of the checks, the top level, and the rules between sections. */
#include "config/check.h"

#include "base/must.h"
#include "config/value.h"
#include "wire/addr.h"

#include <string.h>
#include <unistd.h>

/* ---- helpers ---- */

bool check_written(const struct check *k, const char *section, size_t i, const char *option)
{
	const struct section *s = section_find(str_c(section));
	must(s != NULL);
	const struct scan_item *item = scan_item(k->scan, s, i);

	return item != NULL && scan_line(item, option) != 0;
}

int check_line(const struct check *k, const char *section, size_t i, const char *option)
{
	const struct section *s = section_find(str_c(section));
	must(s != NULL);
	const struct scan_item *item = scan_item(k->scan, s, i);

	if (item == NULL)
		return 0;
	return scan_line(item, option) != 0 ? scan_line(item, option) : item->line;
}

bool check_domain_name(struct check *k, struct str in, struct str *out)
{
	struct buf b;

	buf_init(&b, 1024);
	bool ok = in.n > 0 && addr_normalize_domain(in, &b) && addr_is_domain(buf_str(&b), false);
	if (ok)
		*out = value_dup(k->arena, buf_str(&b));
	buf_fini(&b);
	return ok;
}

void check_ranges(struct check *k, int line, const char *where, const char *option, const struct conf_list *list,
		  struct net_cidr **ranges, size_t *n)
{
	struct net_cidr *v = arena_alloc(k->arena, list->n * sizeof *v);
	size_t good = 0;

	must(v != NULL);
	for (size_t i = 0; i < list->n; i++) {
		if (net_parse_cidr(list->v[i], &v[good]))
			good++;
		else
			report_error(k->r, line,
				     "%s: %s: '" STR_FMT
				     "' is not an address range like 10.0.0.0/8 (all bits after the "
				     "prefix zero)",
				     where, option, STR_ARG(list->v[i]));
	}
	*ranges = v;
	*n = good;
}

/* 64 hexadecimal digits, colons between them as people copy them. */
static bool is_fingerprint(struct str s)
{
	size_t digits = 0;

	for (size_t i = 0; i < s.n; i++) {
		char c = chr_lower(s.p[i]);
		if (c == ':')
			continue;
		if (!chr_is_digit(c) && (c < 'a' || c > 'f'))
			return false;
		digits++;
	}
	return digits == 64;
}

static void check_in_store(struct check *k, int line, const char *where, struct str ref, struct str key)
{
	const char *why = NULL;

	if (k->c->tls.store.n == 0)
		report_error(k->r, line, "%s: certificate '" STR_FMT "' is one of the folder tls.store, which is empty",
			     where, STR_ARG(ref));
	if (key.n > 0)
		report_error(k->r, line, "%s: a certificate of tls.store has its key there: no key here", where);
	if (str_istarts(ref, S("name:")))
		why = conf_pattern_check(str_skip(ref, 5), NULL);
	else if (str_istarts(ref, S("sha256:")) && !is_fingerprint(str_skip(ref, 7)))
		why = "a SHA-256 fingerprint has 64 hexadecimal digits";
	if (why != NULL)
		report_error(k->r, line, "%s: certificate '" STR_FMT "': %s", where, STR_ARG(ref), why);
}

void check_certificate(struct check *k, int line, const char *where, struct str certificate, struct str key)
{
	if (certificate.n == 0 && key.n > 0)
		report_error(k->r, line, "%s: there is a key, but no certificate", where);
	if (conf_in_store(certificate))
		check_in_store(k, line, where, certificate, key);
}

const char *check_where(struct check *k, const char *section, struct str name)
{
	struct buf b;

	buf_init(&b, 8192);
	buf_addf(&b, "%s \"" STR_FMT "\"", section, STR_ARG(name));
	struct str where = value_dup(k->arena, buf_str(&b));
	buf_fini(&b);
	return where.p;
}

/* ---- top level and single sections ---- */

static void check_hostname(struct check *k)
{
	struct config *c = k->c;
	int line = check_line(k, "", 0, "hostname");
	char name[256] = "";

	if (c->hostname.n == 0) {
		line = 0;
		if (gethostname(name, sizeof name - 1) != 0 || name[0] == '\0')
			memcpy(name, "localhost", sizeof "localhost");
		c->hostname = value_dup(k->arena, str_c(name));
	}
	if (!check_domain_name(k, c->hostname, &c->hostname))
		report_error(k->r, line, "hostname: '" STR_FMT "' is not a domain name", STR_ARG(c->hostname));
	else if (str_chr(c->hostname, '.') < 0)
		report_warning(k->r, line, "hostname: '" STR_FMT "' has no dot, many servers refuse such a name",
			       STR_ARG(c->hostname));
}

static void check_postmaster(struct check *k)
{
	struct config *c = k->c;
	struct str domain = c->hostname;
	struct addr a;
	struct buf b;

	if (c->postmaster.n > 0) {
		if (addr_parse(c->postmaster, &(struct addr_rules){ .smtputf8 = false }, &a) != ADDR_OK)
			report_error(k->r, check_line(k, "", 0, "postmaster"),
				     "postmaster: '" STR_FMT "' is not a mail address", STR_ARG(c->postmaster));
		return;
	}
	for (size_t i = 0; i < c->domain_n; i++)
		if (c->domains[i].is_default)
			domain = c->domains[i].name;
	buf_init(&b, 1024);
	buf_addf(&b, "postmaster@" STR_FMT, STR_ARG(domain));
	c->postmaster = value_dup(k->arena, buf_str(&b));
	buf_fini(&b);
}

static void check_resolvers(struct check *k)
{
	const struct conf_list *l = &k->c->resolvers;
	struct net_addr a;

	for (size_t i = 0; i < l->n; i++)
		if (!net_parse_addr(l->v[i], 53, &a))
			report_error(k->r, check_line(k, "", 0, "resolvers"),
				     "resolvers: '" STR_FMT "' is not an address like 192.0.2.53 or [2001:db8::53]:53",
				     STR_ARG(l->v[i]));
}

/* Connectors that say nothing do as the section tls does. */
static void inherit_tls(struct check *k)
{
	struct config *c = k->c;

	for (size_t i = 0; i < c->inbound_n; i++) {
		struct conf_inbound *in = &c->inbounds[i];
		if (!check_written(k, "inbound", i, "client_cert_eku"))
			in->client_cert_eku = c->tls.client_cert_eku;
		if (!check_written(k, "inbound", i, "crl"))
			in->crl = c->tls.crl;
		c->tls.crl_of_inbound = c->tls.crl_of_inbound || in->crl != CRL_OFF;
	}
	c->tls.crl_used = c->tls.crl != CRL_OFF || c->tls.crl_of_inbound;
	for (size_t i = 0; i < c->send_n; i++) {
		if (!check_written(k, "send", i, "crl"))
			c->sends[i].crl = c->tls.crl;
		c->tls.crl_used = c->tls.crl_used || c->sends[i].crl != CRL_OFF;
	}
}

/* Who asks for lists and has none refuses everybody. */
static void check_hard(struct check *k, int line, const char *where, enum conf_crl crl)
{
	const struct conf_tls *t = &k->c->tls;

	if (crl == CRL_HARD && t->crl_file.n == 0 && t->crl_dir.n == 0 && t->crl_fetch.n == 0)
		report_error(k->r, line,
			     "%s%scrl: hard refuses every certificate without a crl_file, crl_dir or crl_fetch", where,
			     str_eq(str_c(where), S("tls")) ? "." : ": ");
}

static void check_crl_fetch(struct check *k)
{
	struct conf_tls *t = &k->c->tls;
	int line = check_line(k, "tls", 0, "crl_fetch");

	if (!t->crl_used && t->crl_fetch.n > 0)
		report_warning(k->r, line, "tls.crl_fetch: nothing is fetched while crl = off");
	if (t->crl_fetch.n > 0 && t->crl_cache.n == 0)
		report_error(k->r, check_line(k, "tls", 0, "crl_cache"), "tls.crl_fetch needs the folder crl_cache");
	for (size_t i = 0; i < t->crl_fetch.n; i++) {
		struct str url = t->crl_fetch.v[i];
		const char *why = conf_url_check(url);
		if (str_eq(url, S("auto")))
			t->crl_points = true;
		else if (why != NULL)
			report_error(k->r, line, "tls.crl_fetch: '" STR_FMT "': %s", STR_ARG(url), why);
	}
}

static void check_tls(struct check *k)
{
	const struct conf_tls *t = &k->c->tls;

	check_certificate(k, check_line(k, "tls", 0, t->key.n > 0 ? "key" : "certificate"), "tls", t->certificate,
			  t->key);
	if (!str_eq(t->min, S("1.2")) && !str_eq(t->min, S("1.3")))
		report_error(k->r, check_line(k, "tls", 0, "min"), "tls.min: '" STR_FMT "' is not one of 1.2, 1.3",
			     STR_ARG(t->min));
	check_hard(k, check_line(k, "tls", 0, "crl"), "tls", t->crl);
	for (size_t i = 0; i < k->c->inbound_n; i++) {
		const struct conf_inbound *in = &k->c->inbounds[i];
		if (!check_written(k, "inbound", i, "crl") && !check_written(k, "inbound", i, "client_cert_eku"))
			continue;
		const char *where = check_where(k, "inbound", in->name);
		check_hard(k, check_line(k, "inbound", i, "crl"), where, in->crl);
		if (in->client_cert_eku == EKU_CLIENT)
			report_warning(
				k->r, check_line(k, "inbound", i, "client_cert_eku"),
				"%s: client_cert_eku: public authorities no longer issue certificates for clients: "
				"its next renewal will not be recognised",
				where);
	}
	for (size_t i = 0; i < k->c->send_n; i++)
		if (check_written(k, "send", i, "crl"))
			check_hard(k, check_line(k, "send", i, "crl"), check_where(k, "send", k->c->sends[i].name),
				   k->c->sends[i].crl);
	check_crl_fetch(k);
	if (!t->crl_used && t->crl_file.n > 0)
		report_warning(k->r, check_line(k, "tls", 0, "crl_file"), "tls.crl_file is not read while crl = off");
	if (!t->crl_used && t->crl_dir.n > 0)
		report_warning(k->r, check_line(k, "tls", 0, "crl_dir"), "tls.crl_dir is not read while crl = off");
	if (t->client_cert_eku == EKU_CLIENT)
		report_warning(k->r, check_line(k, "tls", 0, "client_cert_eku"),
			       "tls.client_cert_eku: public authorities no longer issue certificates for clients, most "
			       "peers will not be recognised");
}

static void check_queue(struct check *k)
{
	struct conf_queue *q = &k->c->queue;

	if (!check_written(k, "queue", 0, "retry_message"))
		q->retry.message_ms = q->retry.first_ms;
	if (q->retry.first_ms > q->retry.max_ms)
		report_error(k->r, check_line(k, "queue", 0, "retry_first"),
			     "queue.retry_first is longer than queue.retry_max_interval");
	if (check_written(k, "queue", 0, "delay_report") && q->retry.delay_report_ms >= q->retry.expire_ms)
		report_warning(k->r, check_line(k, "queue", 0, "delay_report"),
			       "queue.delay_report is not shorter than queue.expire: no such report will be sent");
	if (q->segment_message_max > q->segment_bytes / 4)
		report_error(k->r, check_line(k, "queue", 0, "segment_message_max"),
			     "queue.segment_message_max is more than a quarter of queue.segment_size");
}

static const char *marks_problem(const struct conf_list *l, struct conf_marks *m)
{
	int64_t *const to[] = { &m->medium, &m->high, &m->back_to_medium, &m->back_to_low };

	if (l->n != 4)
		return "four numbers are wanted: MEDIUM, HIGH, BACK TO MEDIUM, BACK TO LOW";
	for (size_t i = 0; i < 4; i++) {
		uint64_t n;
		if (!str_u64(l->v[i], UINT32_MAX, &n))
			return "they are whole numbers";
		*to[i] = (int64_t)n;
	}
	if (m->medium > m->high)
		return "HIGH is not below MEDIUM";
	if (m->back_to_medium > m->high || m->back_to_low > m->medium || m->back_to_low > m->back_to_medium)
		return "a way back is not above the way there, nor BACK TO LOW above BACK TO MEDIUM";
	return NULL;
}

static void check_pressure(struct check *k)
{
	struct conf_pressure *p = &k->c->pressure;

	for (enum conf_resource r = 0; r < RES_N; r++) {
		const char *name = conf_resource_name(r), *problem = marks_problem(&p->lists[r], &p->marks[r]);
		if (problem != NULL)
			report_error(k->r, check_line(k, "pressure", 0, name), "pressure.%s: %s", name, problem);
	}
}

static void check_metrics(struct check *k)
{
	struct conf_metrics *m = &k->c->metrics;
	struct net_addr a;

	for (size_t i = 0; i < m->listen.n; i++)
		if (!net_parse_addr(m->listen.v[i], 9625, &a))
			report_error(k->r, check_line(k, "metrics", 0, "listen"),
				     "metrics.listen: '" STR_FMT "' is not an address like 127.0.0.1:9625",
				     STR_ARG(m->listen.v[i]));
	if (m->listen.n > METRICS_LISTEN_MAX)
		report_error(k->r, check_line(k, "metrics", 0, "listen"), "metrics.listen: at most %d addresses",
			     METRICS_LISTEN_MAX);
	check_ranges(k, check_line(k, "metrics", 0, "from"), "metrics", "from", &m->from, &m->ranges, &m->range_n);
}

/* ---- between sections ---- */

static bool any_send(const struct config *c, bool (*is)(const struct conf_send *))
{
	for (size_t i = 0; i < c->send_n; i++)
		if (c->sends[i].enabled && is(&c->sends[i]))
			return true;
	return false;
}

static bool leads_to_peer(const struct conf_send *s)
{
	return s->peer;
}

static bool is_smarthost_way_out(const struct conf_send *s)
{
	for (size_t i = 0; i < s->space_n; i++)
		if (s->spaces[i].any && s->smarthosts.n > 0)
			return true;
	return false;
}

static void check_egress(struct check *k, const char *option, enum conf_egress way)
{
	int line = check_line(k, "egress", 0, option);

	if (way == EGRESS_CLOUD && !any_send(k->c, leads_to_peer))
		report_error(k->r, line, "egress.%s = cloud, but no enabled send section has peer = yes", option);
	if (way == EGRESS_SMARTHOST && !any_send(k->c, is_smarthost_way_out))
		report_error(k->r, line,
			     "egress.%s = smarthost, but no enabled send section has smarthosts and the space *",
			     option);
}

static void check_egress_addresses(struct check *k, const char *option, const struct conf_list *list)
{
	struct net_cidr range;
	struct str name;

	for (size_t i = 0; i < list->n; i++)
		if (!net_parse_cidr(list->v[i], &range) && !check_domain_name(k, list->v[i], &name))
			report_error(k->r, check_line(k, "egress", 0, option),
				     "egress.%s: '" STR_FMT "' is neither an address range nor a domain name", option,
				     STR_ARG(list->v[i]));
}

static void check_cmt(struct check *k)
{
	static const struct {
		struct str name;
		unsigned bit;
	} words[] = { { STR_LIT("dsn"), BYPASS_DSN },
		      { STR_LIT("inbound"), BYPASS_INBOUND },
		      { STR_LIT("outbound"), BYPASS_OUTBOUND } };
	struct conf_cmt *c = &k->c->cmt;

	for (size_t i = 0; i < c->classes.n; i++) {
		unsigned bit = 0;
		for (size_t w = 0; w < sizeof words / sizeof words[0]; w++)
			if (str_ieq(c->classes.v[i], words[w].name))
				bit = words[w].bit;
		c->class_bits |= bit;
		if (bit == 0)
			report_error(k->r, check_line(k, "cmt", 0, "classes"),
				     "cmt.classes: '" STR_FMT "' is not one of dsn, inbound, outbound",
				     STR_ARG(c->classes.v[i]));
	}
	if (c->on_peer_down == PEER_DOWN_QUEUE)
		return;
	if (k->c->loop.token_key.n == 0)
		report_error(k->r, check_line(k, "cmt", 0, "on_peer_down"),
			     "cmt.on_peer_down needs loop.token_key: what bypasses is signed");
	if (k->c->site != SITE_CLOUD)
		report_warning(k->r, check_line(k, "cmt", 0, "on_peer_down"),
			       "cmt.on_peer_down means something at site = cloud only");
}

static void check_mode(struct check *k)
{
	const struct config *c = k->c;
	int line = check_line(k, "mode", 0, "cmt");
	bool peer_in = false;

	check_ranges(k, check_line(k, "mode", 0, "allow"), "mode", "allow", &c->mode.allow, &k->c->mode.allow_ranges,
		     &k->c->mode.allow_n);
	for (size_t i = 0; i < c->inbound_n; i++)
		peer_in = peer_in || (c->inbounds[i].enabled && c->inbounds[i].type == INBOUND_PEER);
	if (c->mode.cmt && !any_send(c, leads_to_peer))
		report_error(k->r, line, "mode.cmt = yes, but no enabled send section has peer = yes");
	if (c->mode.cmt && !peer_in)
		report_error(
			k->r, line,
			"mode.cmt = yes, but no enabled inbound section has type = peer: the mail of the other side "
			"would not be recognised");
}

static void check_routing_domains(struct check *k)
{
	const struct config *c = k->c;

	for (size_t i = 0; i < c->domain_n; i++)
		if (c->domains[i].routing_domain.n > 0 && !any_send(c, leads_to_peer))
			report_warning(k->r, check_line(k, "domain", i, "routing_domain"),
				       "domain \"" STR_FMT "\": mail for " STR_FMT
				       " has no way of its own: no enabled send section has peer = yes",
				       STR_ARG(c->domains[i].name), STR_ARG(c->domains[i].routing_domain));
}

/* A connector that needs TLS is dead where no listener can offer it; the MTA beside us may. */
static void check_inbound_tls(struct check *k)
{
	const struct config *c = k->c;

	if (c->beside.listen.n > 0)
		return;
	for (size_t i = 0; i < c->receive_n; i++)
		if (conf_offers_tls(c, &c->receives[i]))
			return;
	for (size_t i = 0; i < c->inbound_n; i++) {
		const struct conf_inbound *in = &c->inbounds[i];
		if (in->enabled && (in->require_tls || in->sender_certificate.n > 0))
			report_error(k->r, check_line(k, "inbound", i, "require_tls"),
				     "inbound \"" STR_FMT "\" needs TLS, but no receive section has a certificate",
				     STR_ARG(in->name));
	}
}

static void check_replay(struct check *k)
{
	const struct conf_replay *r = &k->c->replay;

	if (r->path.n == 0)
		return;
	if (r->key.n == 0)
		report_error(k->r, check_line(k, "replay", 0, "path"),
			     "replay.path needs replay.key: what is kept is encrypted");
	if (r->domains.n == 0)
		report_error(k->r, check_line(k, "replay", 0, "path"),
			     "replay.path needs replay.domains: whose mail is kept");
	if (r->message_max > r->size_max / 8)
		report_error(k->r, check_line(k, "replay", 0, "message_max"),
			     "replay.message_max must be at most an eighth of replay.size");
	if (r->message_max > r->memory)
		report_error(k->r, check_line(k, "replay", 0, "message_max"),
			     "replay.message_max must be at most replay.memory");
}

void check_config(struct check *k)
{
	check_hostname(k);
	check_domains(k);
	check_postmaster(k);
	check_resolvers(k);
	inherit_tls(k);
	check_tls(k);
	check_receives(k);
	check_milters(k);
	check_inbounds(k);
	check_queue(k); /* before the connectors, which inherit from it */
	check_sends(k);
	check_tls_policies(k);
	check_journals(k);
	check_auth(k);
	check_pressure(k);
	check_metrics(k);
	check_beside(k);
	check_ranges(k, check_line(k, "limits", 0, "rate_exempt"), "limits", "rate_exempt", &k->c->limits.rate_exempt,
		     &k->c->limits.exempt, &k->c->limits.exempt_n);
	check_mode(k);
	check_cmt(k);
	check_egress(k, "onprem", k->c->egress.onprem);
	check_egress(k, "cmt", k->c->egress.cmt);
	check_egress_addresses(k, "onprem_addresses", &k->c->egress.onprem_addresses);
	check_egress_addresses(k, "cloud_addresses", &k->c->egress.cloud_addresses);
	check_routing_domains(k);
	check_inbound_tls(k);
	check_replay(k);
}
