/* smtpd/control_connector.c: the connectors: what there is, how they have been doing, and one of them tried.
 *
 * `connector list` and `hops` ask all loops, so they run on the worker; `connector test` lives on the loop and sends a
 * row for each stage as it ends. */
#include "base/must.h"
#include "smtpd/control_verbs.h"

enum { ROWS_MAX = 500 };

/* ---- connector list ---- */

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

static json_t *json_of_list(const struct conf_list *l)
{
	json_t *list = json_array();

	for (size_t i = 0; i < l->n; i++)
		must(json_array_append_new(list, json_of_str(l->v[i])) == 0);
	return list;
}

static json_t *connector_row(const char *kind, struct str name, bool enabled, const char *tls, struct buf *what)
{
	json_t *row = json_object();

	row_c(row, "kind", kind);
	row_str(row, "name", name);
	row_bool(row, "enabled", enabled);
	row_c(row, "state", enabled ? "on" : "disabled");
	row_c(row, "tls", tls);
	row_str(row, "what", buf_str(what));
	buf_reset(what);
	return row;
}

static void list_receive(struct call *c, const struct conf_receive *r, struct buf *what)
{
	add_list(what, "listen", &r->listen);
	add_list(what, "from", &r->from);
	add_list(what, "permissions", &r->permissions);
	bool can = conf_offers_tls(c->config, r);
	call_row(c, connector_row("receive", r->name, true,
				  r->require_tls ? "required"
				  : can          ? "offered"
						 : "off",
				  what));
}

static void list_inbound(struct call *c, const struct conf_inbound *i, struct buf *what)
{
	add_word(what, i->type == INBOUND_PEER ? "peer" : "partner");
	add_list(what, "certificate", &i->sender_certificate);
	add_list(what, "ip", &i->sender_ip);
	add_list(what, "domains", &i->sender_domains);
	if (i->cloud_mail)
		add_word(what, "cloud_mail");
	if (i->ip_trust == IP_TRUST_FULL)
		buf_addf(what, "; addresses trusted until " STR_FMT, STR_ARG(i->ip_trust_until));
	if (i->restrict_cert || i->restrict_ip)
		add_word(what, "restricted");
	call_row(c, connector_row("inbound", i->name, i->enabled, i->require_tls ? "required" : "offered", what));
}

static const char *state_of(const struct conf_send *s, const struct connector_stats *st)
{
	if (!s->enabled)
		return "disabled";
	if (st != NULL && st->breaker_why[0] != '\0')
		return "held";
	if (st == NULL || (st->ok_ms == 0 && st->failed_ms == 0))
		return "unused";
	return st->failed_ms > st->ok_ms ? "failing" : "ok";
}

static json_t *levels_part(const struct connector_stats *st)
{
	json_t *part = json_object();

	for (unsigned i = 0; i <= TLS_DOMAIN; i++)
		if (i != TLS_MAY) /* a wish, nothing one achieves */
			row_uint(part, conf_tls_name((enum conf_tls_level)i), st->tls[i]);
	return part;
}

static json_t *failures_part(const struct connector_stats *st)
{
	json_t *part = json_object();

	for (unsigned i = 0; i < AT_N; i++)
		if (st->failed_at[i] > 0)
			row_uint(part, smtp_stage_name((enum smtp_stage)i), st->failed_at[i]);
	return part;
}

static json_t *reasons_part(const struct connector_stats *st)
{
	json_t *part = json_object();

	for (unsigned i = 0; i < WHY_N; i++)
		if (st->failed_why[i] > 0)
			row_uint(part, smtp_why_name((enum smtp_why)i), st->failed_why[i]);
	return part;
}

static void add_validation(json_t *row, const struct validation *v)
{
	row_c(row, "valid", valid_state_name(v->state));
	row_int(row, "valid_since_ms", v->since_ms);
	row_int(row, "checked_ms", v->checked_ms);
	row_c(row, "differs", v->differs);
	row_c(row, "valid_why", v->why);
}

static void add_echo(json_t *row, const struct validation *v)
{
	row_c(row, "echo", valid_state_name(v->state));
	row_int(row, "echo_since_ms", v->since_ms);
	row_int(row, "echo_checked_ms", v->checked_ms);
	row_c(row, "echo_differs", v->differs);
	row_c(row, "echo_why", v->why);
}

static void add_stats(json_t *row, const struct connector_stats *st)
{
	row_uint(row, "sent", st->sent);
	row_uint(row, "deferred", st->deferred);
	row_uint(row, "failed", st->failed);
	row_uint(row, "unknown", st->unknown);
	row_c(row, "breaker", st->breaker != NULL ? st->breaker : "closed");
	row_uint(row, "breaker_opened", st->breaker_opened);
	row_c(row, "breaker_why", st->breaker_why);
	row_int(row, "ok_ms", st->ok_ms);
	row_int(row, "failed_ms", st->failed_ms);
	row_c(row, "last_tls", st->last_tls);
	row_c(row, "last_error", st->last_error);
	must(json_object_set_new(row, "connections_by_tls", levels_part(st)) == 0);
	must(json_object_set_new(row, "failures_by_stage", failures_part(st)) == 0);
	must(json_object_set_new(row, "failures_by_reason", reasons_part(st)) == 0);
	add_validation(row, &st->valid);
	add_echo(row, &st->echo);
}

static struct str wanted_name(const struct conf_send *s)
{
	if (s->tls < TLS_DOMAIN)
		return S("any");
	return s->tls_domain.n > 0   ? s->tls_domain
	       : s->smarthosts.n > 0 ? S("the host's")
				     : S("the recipient domain's");
}

static void list_send(struct call *c, const struct conf_send *s, const struct connector_stats *st, struct buf *what)
{
	static const struct connector_stats none;

	add_list(what, "space", &s->space);
	add_list(what, "to", &s->smarthosts);
	if (s->dns)
		add_word(what, "by MX");
	if (s->tls == TLS_DOMAIN)
		buf_addf(what, "; certificate " STR_FMT, STR_ARG(wanted_name(s)));
	if (s->exclusive)
		add_word(what, "exclusive");
	if (st != NULL && (st->valid.state == VALID_DEGRADED || st->valid.state == VALID_FAILED))
		buf_addf(what, "; %s: %s", valid_state_name(st->valid.state), st->valid.differs);
	if (st != NULL && st->echo.checked_ms > 0 && st->echo.state != VALID_OK)
		buf_addf(what, "; the way back %s: %s", valid_state_name(st->echo.state), st->echo.differs);
	json_t *row = connector_row("send", s->name, s->enabled, conf_tls_name(s->tls), what);
	row_c(row, "state", state_of(s, st));
	must(json_object_set_new(row, "spaces", json_of_list(&s->space)) == 0);
	row_str(row, "certificate_wanted", wanted_name(s));
	add_stats(row, st != NULL ? st : &none);
	call_row(c, row);
}

static const struct connector_stats *find_stats(const struct connector_stats *rows, size_t n, struct str name)
{
	struct str cut = str_head(name, sizeof rows->name - 1);

	for (size_t i = 0; i < n; i++)
		if (str_eq(str_c(rows[i].name), cut))
			return &rows[i];
	return NULL;
}

void run_connector_list(struct call *c)
{
	const struct config *conf = c->config;
	struct connector_stats *stats = calloc(ROWS_MAX, sizeof *stats);
	struct buf what;
	size_t n = 0;

	must(stats != NULL);
	if (c->hooks->connectors != NULL)
		n = c->hooks->connectors(c->hooks->arg, stats, ROWS_MAX);
	buf_init(&what, 16 * 1024);
	for (size_t i = 0; i < conf->receive_n; i++)
		list_receive(c, &conf->receives[i], &what);
	for (size_t i = 0; i < conf->inbound_n; i++)
		list_inbound(c, &conf->inbounds[i], &what);
	for (size_t i = 0; i < conf->send_n; i++)
		list_send(c, &conf->sends[i], find_stats(stats, n, conf->sends[i].name), &what);
	buf_fini(&what);
	free(stats);
	if (conf->receive_n + conf->inbound_n + conf->send_n == 0)
		call_end(c, CALL_NOTHING, "the configuration has no connectors");
	else
		call_end(c, CALL_OK, NULL);
}

/* ---- connector hops ---- */

void run_connector_hops(struct call *c)
{
	struct hop_stats *rows = calloc(ROWS_MAX, sizeof *rows);
	size_t n;

	must(rows != NULL);
	n = c->hooks->hops != NULL ? c->hooks->hops(c->hooks->arg, rows, ROWS_MAX) : 0;
	for (size_t i = 0; i < n && i < ROWS_MAX; i++) {
		json_t *row = json_object();
		row_c(row, "hop", rows[i].hop);
		row_uint(row, "waiting", rows[i].waiting);
		row_uint(row, "open", rows[i].open);
		row_uint(row, "idle", rows[i].idle);
		row_uint(row, "window", rows[i].window);
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

/* ---- connector test ---- */

static void on_step(void *arg, const struct probe_step *s)
{
	json_t *row = json_object();

	row_str(row, "host", s->host);
	row_str(row, "ip", s->ip);
	row_c(row, "stage", s->stage);
	row_bool(row, "ok", s->ok);
	row_int(row, "took_ms", s->took_ms);
	row_c(row, "says", s->says);
	call_row(arg, row);
}

static void on_end(void *arg, const struct probe_end *e)
{
	struct call *c = arg;

	c->state = NULL; /* the probe is gone */
	if (e->hosts == 0)
		call_end(c, CALL_PARTLY, "there is no host to try");
	else if (e->good < e->hosts)
		call_end(c, CALL_PARTLY, "%zu of %zu addresses failed", e->hosts - e->good, e->hosts);
	else
		call_end(c, CALL_OK, "%zu of %zu addresses passed every stage", e->good, e->hosts);
}

static void drop_probe(struct call *c)
{
	struct probe *p = c->state;

	c->state = NULL;
	probe_cancel(&p);
}

void run_connector_test(struct call *c)
{
	const struct probe_events events = { .arg = c, .step = on_step, .end = on_end };
	const struct probe_order order = { .connector = args_text(c, "NAME"),
					   .host = args_text(c, "host"),
					   .rcpt = args_text(c, "rcpt"),
					   .from = args_text(c, "from") };
	struct err e = { 0 };

	c->drop = drop_probe;
	c->state = c->hooks->deliver != NULL ? probe_start(c->hooks->deliver, &order, &events, &e) : NULL;
	if (c->state == NULL)
		call_end_err(c,
			     e.code == ERR_NOT_FOUND ? CALL_NOTHING
			     : e.code == ERR_SYNTAX  ? CALL_USAGE
						     : CALL_PARTLY,
			     &e);
}
