/* connectors/validate.c: timers and probes; what they mean is judged in validity.c. */
#include "connectors/validate.h"

#include "base/must.h"
#include "base/op.h"
#include "base/time.h"
#include "connectors/job.h"
#include "connectors/tally.h"
#include "connectors/validity.h"

#include <stdio.h>
#include <stdlib.h>

enum { FIRST_MS = 5000 };

struct check { /* of one connector */
	SLIST_ENTRY(check) link;
	struct validator *of;
	char connector[128], probe_to[400];
	int64_t every_ms;
	struct loop_timer timer;
	struct probe *probe;
	struct valid_memory memory;
	struct valid_host hosts[VALID_HOSTS_MAX];
	size_t host_n;
};

struct validator {
	struct deliver *d;
	SLIST_HEAD(, check) checks;
};

/* ---- telling ---- */

void validate_tell(const char *connector, const char *direction, enum valid_state before, const struct validation *v,
		   bool asymmetric)
{
	const char *alarm = v->state == VALID_FAILED     ? "CONNECTOR-FAILED"
			    : v->state == VALID_DEGRADED ? "CONNECTOR-DEGRADED"
							 : "";

	LOG_(NULL, v->state == VALID_OK ? LOG_LEVEL_INFO : LOG_LEVEL_WARN, "connector.validity",
	     kv_c("connector", connector), kv_c("state", valid_state_name(v->state)),
	     kv_c("before", valid_state_name(before)), kv_c("alarm", alarm), kv_c("differs", v->differs),
	     kv_c("why", v->why), kv_c("direction", direction),
	     kv_c("failure", !asymmetric ? "" : "asymmetric failure: only this direction is broken"));
}

static void conclude(struct check *c)
{
	struct connector_stats *stats = &pool_tally(c->of->d->pool, str_c(c->connector))->stats;
	struct validation *v = &stats->valid;
	const struct validation before = *v;
	int64_t now_ms = clock_wall_ms();

	validity_judge(c->hosts, c->host_n, &c->memory, now_ms, v);
	if (before.checked_ms == 0 || v->since_ms != before.since_ms)
		validate_tell(c->connector, "out", before.state, v,
			      v->state > VALID_OK && stats->echo.state == VALID_OK);
}

/* ---- one probe ---- */

/* A tenth more or less, so that gateways and connectors do not march in step. */
static int64_t jittered(const struct check *c, int64_t ms)
{
	int64_t tenth = ms / 10;

	return ms - tenth +
	       (int64_t)(str_hash(str_c(c->connector), (uint64_t)clock_wall_ms()) % (uint64_t)(2 * tenth + 1));
}

static struct valid_host *host_of(struct check *c, const struct probe_step *s)
{
	struct valid_host *h = c->host_n > 0 ? &c->hosts[c->host_n - 1] : NULL;

	if (h != NULL && str_eq(str_c(h->ip), s->ip) && !h->failed)
		return h;
	if (c->host_n == VALID_HOSTS_MAX)
		return NULL;
	h = &c->hosts[c->host_n++];
	*h = (struct valid_host){ 0 };
	snprintf(h->host, sizeof h->host, STR_FMT, STR_ARG(s->host));
	snprintf(h->ip, sizeof h->ip, STR_FMT, STR_ARG(s->ip));
	return h;
}

static void on_step(void *arg, const struct probe_step *s)
{
	struct check *c = arg;
	struct valid_host *h;

	if (s->host.n == 0 && s->ok)
		return; /* resolved */
	h = host_of(c, s);
	if (h == NULL)
		return;
	if (s->peer != NULL && s->peer->has_certificate)
		h->not_after_ms = s->peer->not_after_ms;
	if (s->caps != NULL) { /* those behind TLS come last */
		h->greeted = true;
		h->caps = s->caps->caps;
		h->size = s->caps->size;
	}
	if (s->ok)
		return;
	h->failed = true;
	h->stage = s->stage;
	h->why = s->why;
	snprintf(h->says, sizeof h->says, "%.*s", (int)sizeof h->says - 1, s->says);
}

static void on_end(void *arg, const struct probe_end *e)
{
	struct check *c = arg;

	(void)e;
	c->probe = NULL;
	conclude(c);
	loop_timer_set(&c->timer, jittered(c, c->every_ms));
}

static void on_timer(struct loop_timer *t)
{
	struct check *c = container_of(t, struct check, timer);
	const struct probe_events events = { .arg = c, .step = on_step, .end = on_end };
	const struct probe_order order = { .connector = str_c(c->connector), .rcpt = str_c(c->probe_to) };
	struct err e = { 0 };

	c->host_n = 0;
	c->probe = probe_start(c->of->d, &order, &events, &e);
	if (c->probe != NULL)
		return;
	c->hosts[0] = (struct valid_host){ .failed = true, .stage = "begin", .why = WHY_OTHER };
	snprintf(c->hosts[0].says, sizeof c->hosts[0].says, "%s", e.text);
	c->host_n = 1;
	conclude(c);
	loop_timer_set(&c->timer, jittered(c, c->every_ms));
}

/* ---- all of them ---- */

static void check_free(struct check *c)
{
	probe_cancel(&c->probe);
	loop_timer_stop(&c->timer);
	free(c);
}

static void drop_all(struct validator *v)
{
	struct check *c;

	while ((c = SLIST_FIRST(&v->checks)) != NULL) {
		SLIST_REMOVE_HEAD(&v->checks, link);
		check_free(c);
	}
}

static void add_check(struct validator *v, const struct conf_send *s)
{
	struct check *c = calloc(1, sizeof *c);

	must(c != NULL);
	c->of = v;
	c->every_ms = s->validate_ms;
	snprintf(c->connector, sizeof c->connector, STR_FMT, STR_ARG(s->name));
	snprintf(c->probe_to, sizeof c->probe_to, STR_FMT, STR_ARG(s->probe_to));
	loop_timer_init(v->d->o.loop, &c->timer, on_timer);
	loop_timer_set(&c->timer, jittered(c, FIRST_MS));
	SLIST_INSERT_HEAD(&v->checks, c, link);
}

/* A change of the configuration may be meant to change what is offered: what was learnt is forgotten. */
void validator_reconfigure(struct validator *v)
{
	const struct config *c = outbound_config(v->d->outbound);

	drop_all(v);
	for (size_t i = 0; i < c->send_n; i++)
		if (c->sends[i].enabled && c->sends[i].validate_ms > 0)
			add_check(v, &c->sends[i]);
}

struct validator *validator_new(struct deliver *d)
{
	struct validator *v = calloc(1, sizeof *v);

	must(v != NULL);
	v->d = d;
	SLIST_INIT(&v->checks);
	validator_reconfigure(v);
	return v;
}

void validator_free(struct validator **vp)
{
	struct validator *v = *vp;

	*vp = NULL;
	if (v == NULL)
		return;
	drop_all(v);
	free(v);
}
