/* smtpd/setup.c: configuration -> ready for use; see the header. */
#include "smtpd/setup.h"

#include "base/must.h"
#include "base/time.h"

#include <stdlib.h>

struct making {
	struct setup *s;
	const char *path;
	enum setup_how how;
	struct buf *problems;
	bool bad;
};

static void problem(struct making *m, int line, const char *kind, struct str name, const char *text)
{
	buf_addf(m->problems, "%s:%d: %s \"" STR_FMT "\": %s\n", m->path, line, kind, STR_ARG(name), text);
	m->bad = true;
}

/* ---- which certificate a listener shows ---- */

struct reference {
	struct str certificate, key;
};

static const struct cert *get(struct setup *s, struct reference r, struct cert_use *u, struct err *e)
{
	snprintf(u->reference, sizeof u->reference, STR_FMT, STR_ARG(r.certificate));
	return certs_choose(s->certs, r.certificate, r.key, &u->wish, clock_wall_ms(), e);
}

static const struct cert *any_of_store(const struct setup *s)
{
	int64_t now_ms = clock_wall_ms();
	const struct cert *best = NULL;

	for (size_t i = 0; i < certs_count(s->certs); i++) {
		const struct cert *c = certs_at(s->certs, i);
		const struct cert_facts *f = cert_facts(c);
		if (!f->in_store || f->weak.n > 0 || !cert_is_begun(f, now_ms))
			continue;
		if (best == NULL || cert_compare(f, cert_facts(best), &(struct cert_wish){ 0 }, now_ms) > 0)
			best = c;
	}
	return best;
}

/* What is asked for, or else the default, or else the best there is: STARTTLS with another certificate is better than
 * none, which a peer that insists on TLS takes for an outage.  *e is about what was asked for. */
static const struct cert *choose(struct making *m, const struct conf_receive *r, struct cert_use *u, struct err *e)
{
	struct setup *s = m->s;
	const struct conf_tls *tls = &s->config->tls;
	const struct reference own = { r->certificate, r->key }, shared = { tls->certificate, tls->key };
	struct buf by_name;
	const struct cert *c = NULL;

	if (own.certificate.n > 0)
		c = get(s, own, u, e);
	if (c == NULL && shared.certificate.n > 0)
		c = get(s, shared, u, e->code == ERR_NONE ? e : NULL);
	if (c == NULL && tls->store.n > 0) {
		buf_init(&by_name, 512);
		buf_addf(&by_name, "name:" STR_FMT, STR_ARG(r->fqdn));
		c = get(s, (struct reference){ .certificate = buf_str(&by_name) }, u, e->code == ERR_NONE ? e : NULL);
		buf_fini(&by_name);
	}
	return c != NULL ? c : any_of_store(s);
}

static struct cert_use *use_add(struct setup *s, const char *kind, struct str name, struct str fqdn,
				const struct cert_wish *wish)
{
	struct cert_use *u = &s->uses[s->use_n++];

	*u = (struct cert_use){ .kind = kind, .name = name, .fqdn = fqdn, .wish = *wish };
	return u;
}

/* A renewal that lost a name the other side goes by: at a reload what is in use stays. */
static void check_names(struct making *m, int line, const struct cert_use *u)
{
	struct str name = u->cert != NULL ? cert_lacks(cert_facts(u->cert), &u->wish) : STR_NONE;
	char text[400];

	if (name.n == 0 || m->how != SETUP_CHECK)
		return; /* at a start: an alarm */
	snprintf(text, sizeof text, "the certificate in " STR_FMT " does not name " STR_FMT " (known_as)",
		 STR_ARG(cert_facts(u->cert)->file), STR_ARG(name));
	problem(m, line, u->kind, u->name, text);
}

static void load_receive(struct making *m, size_t i)
{
	struct setup *s = m->s;
	const struct config *c = s->config;
	const struct conf_receive *r = &c->receives[i];
	struct err e = { 0 };

	if (!conf_offers_tls(c, r))
		return;
	const struct cert_wish wish = { c->tls.overlap_ms, &r->known_as, TLS_VERIFY };
	struct cert_use *u = use_add(s, "receive", r->name, r->fqdn, &wish);
	const struct cert *own = choose(m, r, u, &e);
	if (own == NULL || (e.code != ERR_NONE && m->how == SETUP_CHECK)) {
		problem(m, r->line, "receive", r->name, e.text);
		return;
	}
	u->cert = own;
	snprintf(u->trouble, sizeof u->trouble, "%s", e.text);
	check_names(m, r->line, u);
	const struct tls_server_options o = {
		.ca = c->tls.ca,
		.tls = &c->tls,
		.id_context = r->name,
		.allow_expired = m->how == SETUP_START,
		.certs = s->certs,
		.own = own,
		.lenient = m->how == SETUP_START,
	};
	s->server_tls[i] = tls_server_new(&o, &e);
	if (s->server_tls[i] == NULL)
		problem(m, r->line, "receive", r->name, e.text);
}

/* ---- the whole ---- */

static void load_outbound(struct making *m)
{
	struct setup *s = m->s;
	const struct config *c = s->config;
	struct err e = { 0 };

	s->outbound = outbound_with(c, s->certs, m->how == SETUP_START, &e);
	if (s->outbound == NULL) {
		buf_addf(m->problems, "%s: %s\n", m->path, e.text);
		m->bad = true;
		return;
	}
	for (size_t i = 0; i < c->send_n; i++) {
		const struct conf_send *send = &c->sends[i];
		if (!send->enabled || send->tls == TLS_NONE || send->certificate.n == 0)
			continue;
		const struct cert_wish wish = outbound_wish(c, send);
		struct cert_use *u = use_add(s, "send", send->name, send->fqdn, &wish);
		u->cert = outbound_certificate(s->outbound, send);
		snprintf(u->trouble, sizeof u->trouble, "%s", outbound_trouble(s->outbound, send).p);
		snprintf(u->reference, sizeof u->reference, STR_FMT, STR_ARG(send->certificate));
		check_names(m, send->line, u);
	}
}

/* The broken files, each on its line: errors, or at a start warnings. */
static void load_certs(struct making *m)
{
	struct str line, rest;
	struct buf broken;

	buf_init(&broken, 64 * 1024);
	m->s->certs = certs_load(&m->s->config->tls, m->how == SETUP_START, &broken);
	m->bad = m->s->certs == NULL;
	for (rest = buf_str(&broken); rest.n > 0;) {
		str_cut(rest, '\n', &line, &rest);
		buf_addf(m->problems, "%s: %s" STR_FMT "\n", m->path, m->bad ? "" : "warning: ", STR_ARG(line));
	}
	buf_fini(&broken);
}

enum { IP_TRUST_WARN_DAYS = 30 };
static const int64_t day_ms = 86400000;

/* Trust in addresses ends on a date; who set it has forgotten it by then. */
static void warn_of_ip_trust(const struct making *m, int64_t now_ms)
{
	const struct config *c = m->s->config;

	for (size_t i = 0; i < c->inbound_n; i++) {
		const struct conf_inbound *in = &c->inbounds[i];
		int64_t left_ms = in->ip_trust_until_ms - now_ms;
		if (!in->enabled || in->ip_trust != IP_TRUST_FULL || left_ms > IP_TRUST_WARN_DAYS * day_ms)
			continue;
		if (left_ms <= 0)
			buf_addf(m->problems,
				 "%s:%d: warning: inbound \"" STR_FMT "\": ip_trust ended on " STR_FMT
				 ": its addresses recognise nobody\n",
				 m->path, in->line, STR_ARG(in->name), STR_ARG(in->ip_trust_until));
		else
			buf_addf(m->problems, "%s:%d: warning: inbound \"" STR_FMT "\": ip_trust ends on " STR_FMT "\n",
				 m->path, in->line, STR_ARG(in->name), STR_ARG(in->ip_trust_until));
	}
}

struct setup *setup_make(const struct config *config, const char *path, enum setup_how how, struct buf *problems)
{
	struct setup *s = calloc(1, sizeof *s);
	struct making m = { .s = s, .path = path, .how = how, .problems = problems };
	char prefix[512];

	must(s != NULL);
	s->refs = 1;
	s->config = config_ref(config);
	s->server_tls = calloc(config->receive_n + 1, sizeof(struct tls_ctx *));
	s->uses = calloc(config->receive_n + config->send_n + 1, sizeof *s->uses);
	must(s->server_tls != NULL && s->uses != NULL);
	load_certs(&m);
	if (!m.bad) {
		for (size_t i = 0; i < config->receive_n; i++)
			load_receive(&m, i);
		load_outbound(&m);
	}
	if (!m.bad) {
		warn_of_ip_trust(&m, clock_wall_ms());
		snprintf(prefix, sizeof prefix, "%s: ", path);
		setup_put_alarms(s, clock_wall_ms(), prefix, problems);
	} else {
		setup_unref(&s);
	}
	return s;
}

struct setup *setup_load(const char *path, enum setup_how how, struct buf *problems)
{
	struct config *config = config_load(path, problems);
	struct setup *s = NULL;

	if (config != NULL)
		s = setup_make(config, path, how, problems);
	config_unref(&config);
	return s;
}

struct setup *setup_ref(struct setup *s)
{
	__atomic_add_fetch(&s->refs, 1, __ATOMIC_RELAXED);
	return s;
}

void setup_unref(struct setup **sp)
{
	struct setup *s = *sp;

	*sp = NULL;
	if (s == NULL || __atomic_sub_fetch(&s->refs, 1, __ATOMIC_ACQ_REL) > 0)
		return;
	for (size_t i = 0; i < s->config->receive_n; i++)
		tls_ctx_unref(&s->server_tls[i]);
	free(s->server_tls);
	free(s->uses);
	outbound_unref(&s->outbound);
	certs_unref(&s->certs);
	config_unref(&s->config);
	free(s);
}

struct tls_ctx *setup_tls(const struct setup *s, const struct conf_receive *r)
{
	size_t i = (size_t)(r - s->config->receives);

	must(i < s->config->receive_n);
	return s->server_tls[i];
}

bool setup_is_outdated(const struct setup *s, int64_t now_ms)
{
	for (size_t i = 0; i < s->use_n; i++) {
		const struct cert_use *u = &s->uses[i];
		const struct cert *best = NULL;
		if (conf_in_store(str_c(u->reference)) && u->trouble[0] == '\0')
			best = certs_would_choose(s->certs, str_c(u->reference), &u->wish, now_ms);
		if (best != NULL && best != u->cert)
			return true;
	}
	return false;
}

void setup_each_ctx(const struct setup *s, void (*each)(void *arg, struct tls_ctx *c), void *arg)
{
	const struct config *c = s->config;

	for (size_t i = 0; i < c->receive_n; i++)
		if (s->server_tls[i] != NULL)
			each(arg, s->server_tls[i]);
	for (size_t i = 0; i < c->send_n; i++)
		if (outbound_tls(s->outbound, &c->sends[i]) != NULL)
			each(arg, outbound_tls(s->outbound, &c->sends[i]));
}

struct refresh {
	int result;
	struct err *e;
};

static void refresh(void *arg, struct tls_ctx *c)
{
	struct refresh *r = arg;
	int now = r->result >= 0 ? tls_ctx_refresh(c, r->e) : 0;

	r->result = r->result < 0 || now < 0 ? -1 : r->result | now;
}

int setup_refresh(const struct setup *s, struct err *e)
{
	struct refresh r = { 0, e };

	setup_each_ctx(s, refresh, &r);
	return r.result;
}
