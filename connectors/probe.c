/* connectors/probe.c: a connector tried as it is (spec 3.8): resolve, then at every address connect ... EHLO again, and
 * MAIL and RCPT where a recipient is named.
 *
 *   probe_start -> places -> (client: stages -> [transaction without content] -> RSET, QUIT) for each place -> end
 *
 * The pieces are those of delivery (places, smtp_client, tls_need), so what is shown is what mail would meet; only the
 * pool is left out, and sessions are not resumed, so that every host shows its certificate. */
#include "connectors/job.h"

#include "base/must.h"
#include "connectors/places.h"

#include <stdio.h>
#include <stdlib.h>

enum { PATIENCE_MS = 10 * 1000 };

struct probe {
	struct loop *loop;
	struct outbound *outbound;
	const struct conf_send *real; /* the configuration's; contexts belong to it */
	struct conf_send send;        /* the same with little patience */
	enum hop_kind kind;
	struct str target;
	struct tls_need need;
	struct arena arena; /* target, addresses, the transaction */
	struct places places;
	size_t next; /* the place to try */
	struct smtp_client *client;
	struct smtp_txn txn;
	struct smtp_rcpt rcpt;
	bool asked; /* the transaction has been sent to this client */
	bool refused;
	int64_t since_ms; /* begin of the stage */
	struct probe_events events;
	struct probe_end sum;
};

/* ---- telling ---- */

static void tell(struct probe *p, const char *stage, bool ok, const char *says)
{
	int64_t now_ms = loop_now_ms(p->loop);
	struct probe_step s = { .stage = stage, .ok = ok, .took_ms = now_ms - p->since_ms, .says = says };

	if (p->client != NULL) {
		s.host = str_c(p->client->where.host);
		s.ip = str_c(p->client->where.ip);
	}
	p->since_ms = now_ms;
	p->events.step(p->events.arg, &s);
}

static void free_probe(struct probe *p)
{
	places_fini(&p->places);
	outbound_unref(&p->outbound);
	arena_fini(&p->arena);
	loop_free_later(p->loop, p);
}

static void end_probe(struct probe *p)
{
	const struct probe_end sum = p->sum;
	const struct probe_events events = p->events;

	free_probe(p);
	events.end(events.arg, &sum);
}

/* ---- one host ---- */

static void try_next(struct probe *p);

static void drop_client(struct probe *p)
{
	struct smtp_client *c = p->client;

	p->client = NULL;
	if (c->phase == CLIENT_IDLE && c->need_rset)
		cmd_put(stream_out(&c->stream), VERB_RSET, STR_NONE);
	smtp_client_fini(c);
	loop_free_later(p->loop, c);
}

static void on_stage(struct smtp_client *c, enum smtp_stage at, bool ok, const char *says)
{
	tell(c->owner, smtp_stage_name(at), ok, says);
}

static void on_asked(struct smtp_txn *t)
{
	struct probe *p = container_of(t, struct probe, txn);
	bool mail_refused = p->client->refused;
	char text[500];

	p->refused = !p->rcpt.accepted;
	if (t->end != SMTP_ENDED)
		return; /* the client says why */
	if (mail_refused || (p->refused && p->rcpt.text.n == 0)) {
		tell(p, "mail", false, t->text);
		return;
	}
	snprintf(text, sizeof text, "from <" STR_FMT ">", STR_ARG(t->env.from));
	tell(p, "mail", true, text);
	snprintf(text, sizeof text, "<" STR_FMT "> would be accepted", STR_ARG(p->rcpt.addr));
	tell(p, "rcpt", p->rcpt.accepted, p->rcpt.accepted ? text : t->text);
}

static void ask(struct probe *p)
{
	struct smtp_txn *t = &p->txn;
	struct str from = t->env.from, xorg = p->real->peer ? p->real->xoorg : STR_NONE;

	*t = (struct smtp_txn){
		.env = { .from = from, .xorg = xorg },
		.rcpt_n = 1,
		.arena = &p->arena,
		.done = on_asked,
		.probe = true,
	};
	p->rcpt = (struct smtp_rcpt){ .addr = p->rcpt.addr };
	p->asked = true;
	STAILQ_INIT(&t->rcpts);
	STAILQ_INSERT_TAIL(&t->rcpts, &p->rcpt, next);
	smtp_client_send(p->client, t);
}

static void on_client(struct smtp_client *c, enum client_event e)
{
	struct probe *p = c->owner;

	if (e == CLIENT_READY && p->rcpt.addr.n > 0 && !p->asked) {
		ask(p);
		return;
	}
	if (e == CLIENT_DEAD)
		tell(p, smtp_stage_name(c->fault.at), false, c->fault.text);
	p->sum.good += e == CLIENT_READY && !p->refused;
	if (e == CLIENT_READY && c->caps.size > 0 && (p->sum.size_min == 0 || c->caps.size < p->sum.size_min))
		p->sum.size_min = c->caps.size;
	drop_client(p);
	try_next(p);
}

static void try_place(struct probe *p, const struct place *at)
{
	struct smtp_client *c = calloc(1, sizeof *c);
	struct smtp_target target;

	must(c != NULL);
	pool_target(p->outbound, p->real, p->kind, p->target, &p->need, &target);
	target.send = &p->send;
	target.host = at->host;
	target.addr = at->addr;
	target.no_resumption = true;
	target.tls_ms = target.tls_ms < PATIENCE_MS ? target.tls_ms : PATIENCE_MS;
	c->owner = p;
	c->on_stage = on_stage;
	p->client = c;
	p->asked = p->refused = false;
	p->since_ms = loop_now_ms(p->loop);
	p->sum.hosts++;
	smtp_client_start(c, p->loop, &target, -1, on_client);
}

static void try_next(struct probe *p)
{
	if (p->next < p->places.n)
		try_place(p, &p->places.v[p->next++]);
	else
		end_probe(p);
}

static void on_places(struct places *at)
{
	struct probe *p = container_of(at, struct probe, places);
	char text[400] = "";
	struct buf ip;
	int n = 0;

	for (size_t i = 0; i < at->n && n >= 0 && (size_t)n < sizeof text; i++) {
		buf_init(&ip, 64);
		net_put_ip(&ip, &at->v[i].addr);
		n += snprintf(text + n, sizeof text - (size_t)n, "%s" STR_FMT "[%s]:%u", i > 0 ? ", " : "",
			      STR_ARG(at->v[i].host), buf_cstr(&ip), net_port(&at->v[i].addr));
		buf_fini(&ip);
	}
	tell(p, smtp_stage_name(AT_RESOLVE), at->n > 0, at->n > 0 ? text : at->text);
	try_next(p);
}

/* ---- where it leads ---- */

static struct str domain_of(struct str address)
{
	ssize_t at = str_rchr(address, '@');

	return at < 0 ? STR_NONE : str_skip(address, (size_t)at + 1);
}

/* A connector that goes by MX needs a domain: the recipient's, else the first its spaces name, else, towards the other
 * side, the first coexistence domain. */
static struct str choose_domain(const struct config *c, const struct conf_send *s, struct str rcpt)
{
	if (rcpt.n > 0)
		return domain_of(rcpt);
	for (size_t i = 0; i < s->space_n; i++)
		if (s->spaces[i].domain.n > 0)
			return s->spaces[i].domain;
	for (size_t i = 0; s->peer && i < c->domain_n; i++)
		if (c->domains[i].routing_domain.n > 0)
			return c->domains[i].routing_domain;
	return STR_NONE;
}

static const struct conf_send *find_send(const struct config *c, struct str name)
{
	for (size_t i = 0; i < c->send_n; i++)
		if (str_eq(c->sends[i].name, name))
			return &c->sends[i];
	return NULL;
}

static void be_impatient(struct conf_send *s)
{
	conf_msec *const of[] = { &s->connect_ms, &s->command_ms, &s->final_ms };

	for (size_t i = 0; i < sizeof of / sizeof of[0]; i++)
		if (*of[i] > PATIENCE_MS)
			*of[i] = PATIENCE_MS;
}

/* Target and need.  False with err. */
static bool aim(struct probe *p, const struct probe_order *o, struct err *err)
{
	const struct config *c = outbound_config(p->outbound);
	struct str domain = choose_domain(c, p->real, o->rcpt), from = o->from.n > 0 ? o->from : c->postmaster;

	p->kind = o->host.n > 0 ? HOP_HOST : p->real->smarthosts.n > 0 ? HOP_SMARTHOSTS : HOP_DOMAIN;
	if (p->kind == HOP_DOMAIN && domain.n == 0) {
		err_set(err, ERR_SYNTAX, "probe", "it routes by MX: name a recipient (--rcpt) or a host (--host)");
		return false;
	}
	tls_need_find(c, p->real, domain, STR_NONE, &p->need, NULL);
	return arena_dup(&p->arena,
			 p->kind == HOP_HOST     ? o->host
			 : p->kind == HOP_DOMAIN ? domain
						 : STR_NONE,
			 &p->target) &&
	       arena_dup(&p->arena, o->rcpt, &p->rcpt.addr) && arena_dup(&p->arena, from, &p->txn.env.from);
}

struct probe *probe_start(struct deliver *d, const struct probe_order *o, const struct probe_events *e, struct err *err)
{
	const struct conf_send *s = find_send(outbound_config(d->outbound), o->connector);
	struct probe *p;

	must(e->step != NULL && e->end != NULL);
	if (s != NULL && outbound_trouble(d->outbound, s).n > 0) {
		err_set(err, ERR_TLS, "probe", "its certificate is missing, so its mail waits: " STR_FMT,
			STR_ARG(outbound_trouble(d->outbound, s)));
		return NULL;
	}
	if (s == NULL) {
		err_set(err, ERR_NOT_FOUND, "probe", "there is no send connector " STR_FMT, STR_ARG(o->connector));
		return NULL;
	}
	p = calloc(1, sizeof *p);
	must(p != NULL);
	p->loop = d->o.loop;
	p->outbound = outbound_ref(d->outbound);
	p->real = s;
	p->send = *s;
	be_impatient(&p->send);
	p->events = *e;
	arena_init(&p->arena, 64 * 1024);
	if (!aim(p, o, err)) {
		free_probe(p);
		return NULL;
	}
	places_init(&p->places, pool_get_options(d->pool), &p->send, p->kind, p->target, on_places);
	p->since_ms = loop_now_ms(p->loop);
	places_find(&p->places);
	return p;
}

void probe_cancel(struct probe **pp)
{
	struct probe *p = *pp;

	*pp = NULL;
	if (p == NULL)
		return;
	if (p->client != NULL)
		drop_client(p);
	free_probe(p);
}
