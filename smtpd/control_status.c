/* smtpd/control_status.c: the daemon at a glance, its connectors and its next hops.
 *
 * Runs on the loop: reads counters and small records, writes nothing. */
#include "base/must.h"
#include "base/time.h"
#include "smtpd/control_verbs.h"

enum { HOPS_MAX = 500 };

const char *conf_side_name(enum conf_side s)
{
	return s == SIDE_CLOUD ? "cloud" : "onprem";
}

const char *conf_tls_name(enum conf_tls_level l)
{
	static const char *const names[] = { "none", "may", "encrypt", "validate", "domain" };

	must((size_t)l < sizeof names / sizeof names[0]);
	return names[l];
}

void row_mode(json_t *row, const struct mode *m)
{
	row_c(row, "mode", mode_name(m));
	row_c(row, "mx", conf_side_name(m->mx));
	row_bool(row, "cmt", m->cmt);
	row_uint(row, "epoch", m->epoch);
	row_int(row, "since_ms", m->since_ms);
}

/* ---- status ---- */

static json_t *queue_part(const struct queue *q)
{
	json_t *part = json_object();
	struct queue_stats st;

	queue_stats(q, &st);
	row_uint(part, "messages", st.messages);
	row_uint(part, "recipients", st.recipients);
	row_uint(part, "deferred", st.deferred);
	row_uint(part, "leased", st.leased);
	row_uint(part, "bytes", st.bytes);
	row_uint(part, "accepted", st.accepted);
	row_uint(part, "delivered", st.delivered);
	row_uint(part, "failed", st.failed);
	row_uint(part, "groups", st.groups);
	row_uint(part, "syncs", st.syncs);
	row_uint(part, "checkpoints", st.checkpoints);
	row_uint(part, "segments", st.segments);
	row_uint(part, "segment_bytes", st.segment_bytes);
	row_bool(part, "read_only", st.read_only);
	return part;
}

static json_t *recipients_part(struct routing *r)
{
	json_t *part = json_object();
	struct routing_stats st;
	struct err e = { 0 };

	if (routing_stats(r, &st, &e) != 0) {
		row_c(part, "error", e.text);
		return part;
	}
	row_uint(part, "recipients", st.recipients);
	row_uint(part, "addresses", st.addresses);
	row_uint(part, "serial", st.serial);
	row_int(part, "imported_ms", st.imported_ms);
	row_int(part, "map_used_percent", (int64_t)(st.map_used * 100));
	return part;
}

static json_t *mode_part(struct routing *r)
{
	json_t *part = json_object();
	struct mode m;
	struct err e = { 0 };

	if (routing_mode_get(r, &m, &e) == 0)
		row_mode(part, &m);
	else
		row_c(part, "error", e.text);
	return part;
}

/* Each loop says its own: the sum is shown. */
static void add_counter(void *to, const char *name, uint64_t value)
{
	json_int_t sofar = json_integer_value(json_object_get(to, name));

	row_uint(to, name, (uint64_t)sofar + value);
}

void run_status(struct call *c)
{
	const struct control_hooks *h = c->hooks;
	json_t *row = json_object(), *sessions = json_object();

	row_str(row, "hostname", c->config->hostname);
	row_c(row, "site", c->config->site == SITE_CLOUD ? "cloud" : "onprem");
	row_int(row, "uptime_ms", clock_wall_ms() - h->started_ms);
	must(json_object_set_new(row, "mode", mode_part(h->routing)) == 0);
	must(json_object_set_new(row, "queue", queue_part(h->queue)) == 0);
	must(json_object_set_new(row, "recipients", recipients_part(h->routing)) == 0);
	if (h->counters != NULL)
		h->counters(h->arg, add_counter, sessions);
	must(json_object_set_new(row, "sessions", sessions) == 0);
	call_row(c, row);
	call_end(c, CALL_OK, NULL);
}

/* ---- connectors ---- */

static void add_list(struct buf *b, const char *label, const struct conf_list *l)
{
	if (l->n == 0)
		return;
	buf_addf(b, "%s%s", b->n > 0 ? "; " : "", label);
	for (size_t i = 0; i < l->n; i++) {
		buf_add(b, i == 0 ? S(" ") : S(", "));
		buf_add(b, l->v[i]);
	}
}

static void add_word(struct buf *b, const char *word)
{
	buf_addf(b, "%s%s", b->n > 0 ? "; " : "", word);
}

static void connector_row(struct call *c, const char *kind, struct str name, bool enabled, const char *tls,
			  struct buf *what)
{
	json_t *row = json_object();

	row_c(row, "kind", kind);
	row_str(row, "name", name);
	row_bool(row, "enabled", enabled);
	row_c(row, "tls", tls);
	row_str(row, "what", buf_str(what));
	call_row(c, row);
	buf_reset(what);
}

static void list_receive(struct call *c, const struct conf_receive *r, struct buf *what)
{
	add_list(what, "listen", &r->listen);
	add_list(what, "from", &r->from);
	add_list(what, "permissions", &r->permissions);
	bool can = conf_offers_tls(c->config, r);
	connector_row(c, "receive", r->name, true, r->require_tls ? "required" : can ? "offered" : "off", what);
}

static void list_inbound(struct call *c, const struct conf_inbound *i, struct buf *what)
{
	add_word(what, i->type == INBOUND_PEER ? "peer" : "partner");
	add_list(what, "certificate", &i->sender_certificate);
	add_list(what, "ip", &i->sender_ip);
	add_list(what, "domains", &i->sender_domains);
	if (i->cloud_mail)
		add_word(what, "cloud_mail");
	connector_row(c, "inbound", i->name, i->enabled, i->require_tls ? "required" : "offered", what);
}

static void list_send(struct call *c, const struct conf_send *s, struct buf *what)
{
	add_list(what, "space", &s->space);
	add_list(what, "to", &s->smarthosts);
	if (s->dns)
		add_word(what, "by MX");
	if (s->tls_domain.n > 0)
		buf_addf(what, "; certificate " STR_FMT, STR_ARG(s->tls_domain));
	if (s->exclusive)
		add_word(what, "exclusive");
	connector_row(c, "send", s->name, s->enabled, conf_tls_name(s->tls), what);
}

void run_connector_list(struct call *c)
{
	const struct config *conf = c->config;
	struct buf what;

	buf_init(&what, 16 * 1024);
	for (size_t i = 0; i < conf->receive_n; i++)
		list_receive(c, &conf->receives[i], &what);
	for (size_t i = 0; i < conf->inbound_n; i++)
		list_inbound(c, &conf->inbounds[i], &what);
	for (size_t i = 0; i < conf->send_n; i++)
		list_send(c, &conf->sends[i], &what);
	buf_fini(&what);
	if (conf->receive_n + conf->inbound_n + conf->send_n == 0)
		call_end(c, CALL_NOTHING, "the configuration has no connectors");
	else
		call_end(c, CALL_OK, NULL);
}

void run_connector_hops(struct call *c)
{
	struct hop_stats *rows = calloc(HOPS_MAX, sizeof *rows);
	size_t n;

	must(rows != NULL);
	n = c->hooks->hops != NULL ? c->hooks->hops(c->hooks->arg, rows, HOPS_MAX) : 0;
	for (size_t i = 0; i < n && i < HOPS_MAX; i++) {
		json_t *row = json_object();
		row_c(row, "hop", rows[i].hop);
		row_uint(row, "waiting", rows[i].waiting);
		row_uint(row, "open", rows[i].open);
		row_uint(row, "idle", rows[i].idle);
		row_uint(row, "sent", rows[i].sent);
		row_uint(row, "deferred", rows[i].deferred);
		row_uint(row, "failed", rows[i].failed);
		row_c(row, "last_error", rows[i].last_error);
		call_row(c, row);
	}
	free(rows);
	if (n == 0)
		call_end(c, CALL_NOTHING, "no connections have been made yet");
	else
		call_end(c, CALL_OK, NULL);
}
