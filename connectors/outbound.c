/* connectors/outbound.c: config + TLS contexts, counted, immutable.
 *
 * Reading a CA bundle costs 25 ms, so connectors with the same files share one context. */
#include "connectors/outbound.h"

#include "base/must.h"

#include <stdatomic.h>
#include <stdlib.h>

struct outbound {
	atomic_uint refs;
	struct config *config;
	struct tls_ctx *tls[]; /* one for each send connector */
};

static struct str ca_of(const struct config *c, const struct conf_send *s)
{
	return s->ca.n > 0 ? s->ca : c->tls.ca;
}

static bool same_files(const struct config *c, const struct conf_send *a, const struct conf_send *b)
{
	return str_eq(a->certificate, b->certificate) && str_eq(a->key, b->key) && str_eq(ca_of(c, a), ca_of(c, b));
}

static struct tls_ctx *make_tls(const struct outbound *o, size_t at, struct err *e)
{
	const struct config *c = o->config;
	const struct conf_send *s = &c->sends[at];
	const struct tls_client_options options = {
		.certificate = s->certificate, .key = s->key, .ca = ca_of(c, s), .tls = &c->tls
	};

	for (size_t i = 0; i < at; i++)
		if (o->tls[i] != NULL && same_files(c, &c->sends[i], s))
			return tls_ctx_ref(o->tls[i]);
	return tls_client_new(&options, e);
}

struct outbound *outbound_new(const struct config *c, struct err *e)
{
	struct outbound *o = calloc(1, sizeof *o + c->send_n * sizeof o->tls[0]);
	struct err why = { 0 };

	must(o != NULL);
	atomic_init(&o->refs, 1);
	o->config = config_ref(c);
	for (size_t i = 0; i < c->send_n; i++) {
		if (c->sends[i].tls == TLS_NONE && c->tls_policy_n == 0)
			continue; /* else a policy may ask for more than the connector does */
		o->tls[i] = make_tls(o, i, &why);
		if (o->tls[i] == NULL) {
			err_set(e, why.code, "outbound.new", "send connector \"" STR_FMT "\": %s",
				STR_ARG(c->sends[i].name), why.text);
			outbound_unref(&o);
			return NULL;
		}
	}
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
		tls_ctx_unref(&o->tls[i]);
	config_unref(&o->config);
	free(o);
}

const struct config *outbound_config(const struct outbound *o)
{
	return o->config;
}

struct tls_ctx *outbound_tls(const struct outbound *o, const struct conf_send *s)
{
	must(s >= o->config->sends && s < o->config->sends + o->config->send_n);
	return o->tls[s - o->config->sends];
}
