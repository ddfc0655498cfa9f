/* connectors/outbound.c: config + TLS contexts, counted, immutable.
 *
 * Reading a CA bundle costs 25 ms, so connectors with the same files share one context. */
#include "connectors/outbound.h"

#include "base/must.h"
#include "base/time.h"

#include <stdatomic.h>
#include <stdlib.h>

struct way { /* of one send connector */
	struct tls_ctx *tls;
	const struct cert *own;
	char trouble[300]; /* no certificate where one was asked for: nothing may leave */
};

struct outbound {
	atomic_uint refs;
	struct config *config;
	struct certs *certs;
	struct token_keys keys, srs;
	struct way ways[]; /* one for each send connector */
};

static struct str ca_of(const struct config *c, const struct conf_send *s)
{
	return s->ca.n > 0 ? s->ca : c->tls.ca;
}

static struct tls_ctx *make_tls(const struct outbound *o, size_t at, bool lenient, struct err *e)
{
	const struct config *c = o->config;
	const struct conf_send *s = &c->sends[at];
	const struct tls_client_options options = {
		.ca = ca_of(c, s),
		.tls = &c->tls,
		.crl = &s->crl,
		.allow_expired = lenient,
		.certs = o->certs,
		.own = o->ways[at].own,
		.lenient = lenient,
	};

	for (size_t i = 0; i < at; i++)
		if (o->ways[i].tls != NULL && o->ways[i].own == o->ways[at].own && c->sends[i].crl == s->crl &&
		    str_eq(ca_of(c, &c->sends[i]), ca_of(c, s)))
			return tls_ctx_ref(o->ways[i].tls);
	return tls_client_new(&options, e);
}

struct cert_wish outbound_wish(const struct config *c, const struct conf_send *s)
{
	return (struct cert_wish){ c->tls.overlap_ms, &s->known_as, TLS_ATTRIBUTE };
}

static int make_way(struct outbound *o, size_t at, bool lenient, struct err *e)
{
	const struct conf_send *s = &o->config->sends[at];
	struct way *w = &o->ways[at];

	if (s->tls == TLS_NONE && o->config->tls_policy_n == 0)
		return 0; /* else a policy may ask for more than the connector does */
	if (s->certificate.n > 0) {
		const struct cert_wish wish = outbound_wish(o->config, s);
		w->own = certs_choose(o->certs, s->certificate, s->key, &wish, clock_wall_ms(), e);
		if (w->own == NULL && (lenient || !s->enabled)) {
			snprintf(w->trouble, sizeof w->trouble, "%s", e->text);
			return 0;
		}
		if (w->own == NULL)
			return -1;
	}
	w->tls = make_tls(o, at, lenient, e);
	return w->tls == NULL ? -1 : 0;
}

struct outbound *outbound_with(const struct config *c, struct certs *certs, bool lenient, struct err *e)
{
	struct outbound *o = calloc(1, sizeof *o + c->send_n * sizeof o->ways[0]);
	struct err why = { 0 };

	must(o != NULL);
	atomic_init(&o->refs, 1);
	o->config = config_ref(c);
	o->certs = certs_ref(certs);
	bool keyed = c->loop.token_key.n == 0 || token_keys_load(c->loop.token_key.p, &o->keys, &why) == 0;
	if (!keyed && lenient) {
		/* loops are then seen later (R44, R45, R01): no reason not to start */
		log_error(&(struct log){ 0 }, "token.no_keys", kv_c("why", why.text));
	} else if (!keyed) {
		err_set(e, why.code, "outbound.new", "loop.token_key: %s", why.text);
		outbound_unref(&o);
		return NULL;
	}
	if (c->srs.key.n > 0 && token_keys_load(c->srs.key.p, &o->srs, &why) != 0) {
		/* a start without them would refuse the reports of weeks, so there is none */
		err_set(e, why.code, "outbound.new", "srs.key: %s", why.text);
		outbound_unref(&o);
		return NULL;
	}
	for (size_t i = 0; i < c->send_n; i++) {
		if (make_way(o, i, lenient, &why) == 0)
			continue;
		err_set(e, why.code, "outbound.new", "send connector \"" STR_FMT "\": %s", STR_ARG(c->sends[i].name),
			why.text);
		outbound_unref(&o);
		return NULL;
	}
	return o;
}

struct outbound *outbound_new(const struct config *c, struct err *e)
{
	struct buf problems;
	struct outbound *o = NULL;

	buf_init(&problems, 64 * 1024);
	struct certs *certs = certs_load(&c->tls, false, &problems);
	if (certs != NULL)
		o = outbound_with(c, certs, false, e);
	else
		err_set(e, ERR_TLS, "outbound.new", "%s", buf_cstr(&problems));
	certs_unref(&certs);
	buf_fini(&problems);
	return o;
}

struct outbound *outbound_ref(struct outbound *o)
{
	atomic_fetch_add_explicit(&o->refs, 1, memory_order_relaxed);
	return o;
}

void outbound_unref(struct outbound **op)
{
	struct outbound *o = *op;

	*op = NULL;
	if (o == NULL || atomic_fetch_sub_explicit(&o->refs, 1, memory_order_acq_rel) != 1)
		return;
	for (size_t i = 0; i < o->config->send_n; i++)
		tls_ctx_unref(&o->ways[i].tls);
	certs_unref(&o->certs);
	config_unref(&o->config);
	token_keys_fini(&o->keys);
	token_keys_fini(&o->srs);
	free(o);
}

const struct token_keys *outbound_token_keys(const struct outbound *o)
{
	return &o->keys;
}

const struct token_keys *outbound_srs_keys(const struct outbound *o)
{
	return &o->srs;
}

const struct config *outbound_config(const struct outbound *o)
{
	return o->config;
}

static const struct way *way_of(const struct outbound *o, const struct conf_send *s)
{
	must(s >= o->config->sends && s < o->config->sends + o->config->send_n);
	return &o->ways[s - o->config->sends];
}

struct tls_ctx *outbound_tls(const struct outbound *o, const struct conf_send *s)
{
	return way_of(o, s)->tls;
}

const struct cert *outbound_certificate(const struct outbound *o, const struct conf_send *s)
{
	return way_of(o, s)->own;
}

struct str outbound_trouble(const struct outbound *o, const struct conf_send *s)
{
	return str_c(way_of(o, s)->trouble);
}
