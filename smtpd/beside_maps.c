/* smtpd/beside_maps.c: the tables of the socketmap server, as Postfix asks them (transport(5), virtual(5)) and
 * Sendmail.
 *
 * Both ask for parts of addresses, too ("contoso.com", "@contoso.com"): those are in no table. */
#include "smtpd/beside.h"

#include "base/must.h"
#include "connectors/places.h"
#include "wire/reply.h"

enum { LOOKUP_MEMORY = 1 << 20 };

static const struct addr_rules relaxed = { .smtputf8 = true, .relaxed = true };

static void not_found(struct buf *out)
{
	buf_add(out, S("NOTFOUND "));
}

static void temp(struct buf *out, const char *why)
{
	buf_addf(out, "TEMP %s", why);
}

/* "5.1.1 words" on one line, as error(8) and retry(8) want it behind their names. */
static void put_reply(struct buf *out, const struct reply *r)
{
	size_t from = out->n;

	buf_addf(out, "%d.%d.%d " STR_FMT, r->code / 100, r->subject, r->detail,
		 STR_ARG(r->text.n > 0 ? str_head(r->text, 400) : S("refused")));
	for (size_t i = from; i < out->n; i++)
		if (chr_is_ctl(out->p[i]) || chr_is_8bit(out->p[i]))
			out->p[i] = '?';
}

/* ---- transport ---- */

/* "[host]:port": no MX lookup, as our connectors make none for smart hosts. */
static void put_host(struct buf *out, struct str host, uint16_t otherwise)
{
	struct str name;
	uint16_t port;

	if (places_parse_host(host, otherwise, &name, &port))
		buf_addf(out, str_chr(name, ':') >= 0 ? "[ipv6:" STR_FMT "]:%u" : "[" STR_FMT "]:%u", STR_ARG(name),
			 port);
}

static void put_hops(struct buf *out, const struct beside_way *w)
{
	const struct conf_send *s = w->send;
	uint16_t port = (uint16_t)s->port;

	if (w->hop_host.n > 0) {
		put_host(out, w->hop_host, port);
		return;
	}
	for (size_t i = 0; i < s->smarthosts.n; i++) {
		buf_add(out, i > 0 ? S(", ") : S(""));
		put_host(out, s->smarthosts.v[i], port);
	}
	if (s->smarthosts.n == 0 && port == 25)
		buf_addf(out, STR_FMT, STR_ARG(w->hop_domain));
	else if (s->smarthosts.n == 0)
		buf_addf(out, STR_FMT ":%u", STR_ARG(w->hop_domain), port);
}

static void answer_transport(const struct beside *b, const struct beside_way *w, struct buf *out)
{
	bool later = w->end == BESIDE_HELD || w->reply.code / 100 == 4;

	if (w->end == BESIDE_DROPPED) {
		buf_add(out, S("OK discard:"));
	} else if (w->end != BESIDE_GOES) {
		buf_add(out, later ? S("OK retry:") : S("OK error:"));
		put_reply(out, &w->reply);
	} else if (w->send == NULL) { /* own mailboxes; a group is not there any more when transports are looked up */
		not_found(out);
	} else {
		buf_addf(out, "OK " STR_FMT ":", STR_ARG(b->config->beside.transport));
		put_hops(out, w);
	}
}

/* ---- virtual, recipients ---- */

static void answer_virtual(const struct beside *b, const struct beside_way *w, struct buf *out)
{
	(void)b;
	if (!w->renamed || w->end == BESIDE_REFUSED || w->end == BESIDE_DROPPED) {
		not_found(out);
		return;
	}
	buf_add(out, S("OK "));
	for (size_t i = 0; i < w->to_n; i++)
		buf_addf(out, "%s" STR_FMT, i > 0 ? ", " : "", STR_ARG(w->to[i]));
}

static void answer_recipients(const struct beside *b, const struct beside_way *w, struct buf *out)
{
	(void)b;
	if (w->end == BESIDE_REFUSED && w->reply.code / 100 == 5)
		not_found(out);
	else if (w->end == BESIDE_REFUSED)
		buf_addf(out, "TEMP " STR_FMT, STR_ARG(w->reply.text));
	else
		buf_addf(out, "OK %s", w->verdict.rule);
}

/* ---- all ---- */

static const struct table {
	struct str name;
	void (*answer)(const struct beside *b, const struct beside_way *w, struct buf *out);
} tables[] = {
	{ STR_LIT("transport"), answer_transport },
	{ STR_LIT("virtual"), answer_virtual },
	{ STR_LIT("recipients"), answer_recipients },
};

static const struct table *table_find(struct str name)
{
	for (size_t i = 0; i < sizeof tables / sizeof tables[0]; i++)
		if (str_eq(tables[i].name, name))
			return &tables[i];
	return NULL;
}

/* As mail of our own servers, which nobody's restrictions on senders hold up. */
static void look_up(const struct beside *b, const struct table *t, const struct addr *rcpt, struct buf *out)
{
	const struct route_query q = {
		.rcpt = rcpt, .origin = ENV_LOCAL, .srs = b->srs, .null_sender = true, .dry = true
	};
	struct routing_view view;
	struct beside_way way;
	struct arena a;
	struct err e = { 0 };

	if (routing_begin(b->routing, &view, &e) != 0) {
		log_error(NULL, "beside.failed", kv_str("map", t->name), kv_c("why", e.text));
		temp(out, "recipients cannot be looked up now");
		return;
	}
	arena_init(&a, LOOKUP_MEMORY);
	if (beside_find(b, &view, &q, &a, &way, &e)) {
		t->answer(b, &way, out);
	} else {
		log_error(NULL, "beside.failed", kv_str("map", t->name), kv_c("why", e.text));
		temp(out, "recipients cannot be looked up now");
	}
	arena_fini(&a);
	routing_end(&view);
}

void beside_lookup(const struct beside *b, struct str map, struct str key, struct buf *out)
{
	const struct table *t = table_find(map);
	struct addr rcpt;

	if (str_eq(map, S("tls_policy"))) {
		buf_add(out, S("OK "));
		if (!beside_tls_policy(b->config, key, out)) {
			out->n -= 3;
			not_found(out);
		}
	} else if (t == NULL) {
		buf_add(out, S("PERM there is no map of this name"));
	} else if (addr_parse(key, &relaxed, &rcpt) != ADDR_OK || rcpt.literal || rcpt.domain.n == 0) {
		not_found(out);
	} else {
		look_up(b, t, &rcpt, out);
	}
	if (out->full) { /* more members than a table entry can hold */
		buf_reset(out);
		temp(out, "the entry is too large");
	}
}
