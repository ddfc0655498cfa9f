/* connectors/pool.c: the hops of one loop: found, made, swept away when nobody needs them; see hop.h for the rest. */
#include "connectors/hop.h"

#include "base/must.h"
#include "connectors/own_addr.h"

#include <stdlib.h>
#include <string.h>

enum { SWEEP_MS = 15 * 1000, AGE_ALARM_MS = 60 * 60 * 1000 };

size_t pool_share(const struct pool *p, conf_count n)
{
	size_t mine = (size_t)n / p->o.shares;

	return mine > 0 ? mine : 1;
}

/* Spec 3.5.1: without tls_domain the recipient's domain for DNS routing, else the host itself. */
void pool_target(const struct outbound *o, const struct conf_send *s, enum hop_kind kind, struct str target,
		 const struct tls_need *need, struct smtp_target *out)
{
	const struct config *conf = outbound_config(o);

	*out = (struct smtp_target){
		.send = s,
		.level = need->level,
		.codes = conf->status_codes,
		.tls = outbound_tls(o, s),
		.helo = s->fqdn.n > 0 ? s->fqdn : conf->hostname,
		.tls_ms = conf->limits.tls_ms,
	};
	if (need->pattern_n > 0)
		out->tls_pattern = need->patterns[0];
	else if (kind == HOP_DOMAIN)
		out->tls_pattern = target;
	for (size_t i = 1; i < need->pattern_n; i++)
		out->tls_also[i - 1] = need->patterns[i];
}

static size_t bucket_of(const struct conf_send *s, struct str target)
{
	return (size_t)(str_hash(target, (uint64_t)(uintptr_t)s) % BUCKETS);
}

static struct hop *hop_new(struct pool *p, struct outbound *o, const struct conf_send *s, enum hop_kind kind,
			   struct str target, const struct tls_need *need)
{
	struct hop *h = calloc(1, sizeof *h + target.n + 1);

	must(h != NULL);
	h->pool = p;
	h->outbound = outbound_ref(o);
	h->send = s;
	h->kind = kind;
	h->need = *need;
	h->way = way_of(&p->ways, p->o.breakers, &p->tallies, s);
	h->ours = s->peer || kind != HOP_DOMAIN;
	feedback_init(&h->feedback, pool_share(p, s->connections_first), pool_share(p, s->connections));
	loop_timer_init(p->o.loop, &h->again, hop_on_again);
	if (target.n > 0)
		memcpy(h->target_text, target.p, target.n);
	h->target = (struct str){ h->target_text, target.n };
	TAILQ_INIT(&h->waiting);
	TAILQ_INIT(&h->idle);
	TAILQ_INIT(&h->busy);
	places_init(&h->places, &p->o, s, kind, h->target, hop_on_places);
	TAILQ_INSERT_TAIL(&p->hops, h, all);
	SLIST_INSERT_HEAD(&p->buckets[bucket_of(s, h->target)], h, bucket);
	if (!loop_timer_is_set(&p->sweep))
		loop_timer_set(&p->sweep, SWEEP_MS);
	return h;
}

static void hop_free(struct hop *h)
{
	struct pool *p = h->pool;

	hop_close_all(h);
	places_fini(&h->places);
	loop_timer_stop(&h->again);
	p->waiting_n -= h->waiting_n;
	TAILQ_REMOVE(&p->hops, h, all);
	SLIST_REMOVE(&p->buckets[bucket_of(h->send, h->target)], h, hop, bucket);
	outbound_unref(&h->outbound);
	h->pool = NULL; /* its task may still be queued */
	loop_free_later(p->o.loop, h);
}

static bool is_unused(const struct hop *h)
{
	if (h->open_n > 0 || h->waiting_n > 0 || h->places.looking || h->woken || !TAILQ_EMPTY(&h->pool->surplus))
		return false;
	return h->places.n == 0 ||
	       places_pick((struct places *)(uintptr_t)&h->places, hop_now_ms(h)) == &h->places.v[0];
}

static void on_sweep(struct loop_timer *t)
{
	struct pool *p = container_of(t, struct pool, sweep);
	struct hop *h, *next;

	for (h = TAILQ_FIRST(&p->hops); h != NULL; h = next) {
		next = TAILQ_NEXT(h, all);
		if (is_unused(h))
			hop_free(h);
	}
	if (!TAILQ_EMPTY(&p->hops))
		loop_timer_set(&p->sweep, SWEEP_MS);
}

struct hop *pool_hop(struct pool *p, struct outbound *o, const struct conf_send *s, enum hop_kind kind,
		     struct str target, const struct tls_need *need)
{
	struct tls_need own;
	struct hop *h;

	if (need == NULL) {
		tls_need_find(outbound_config(o), s, STR_NONE, STR_NONE, &own, NULL);
		need = &own;
	}
	SLIST_FOREACH (h, &p->buckets[bucket_of(s, target)], bucket)
		if (h->send == s && h->outbound == o && h->kind == kind && str_eq(h->target, target) &&
		    tls_need_is_same(&h->need, need))
			return h;
	return hop_new(p, o, s, kind, target, need);
}

void pool_retire(struct pool *p, const struct outbound *current)
{
	struct hop *h;

	TAILQ_FOREACH (h, &p->hops, all)
		if (h->outbound != current)
			hop_close_idle(h);
}

void pool_forget_rests(struct pool *p)
{
	struct hop *h;

	TAILQ_FOREACH (h, &p->hops, all) {
		places_forget_rests(&h->places);
		breaker_hurry(h->way->breaker);
	}
}

const struct conf_send *hop_send(const struct hop *h)
{
	return h->send;
}

void pool_alarm_age(struct pool *p, struct str connector, int64_t age_ms, int64_t expire_ms, struct str why)
{
	struct tally *t = tally_of(&p->tallies, connector);
	int64_t now = loop_now_ms(p->o.loop);

	if (t->age_alarm_ms != 0 && now - t->age_alarm_ms < AGE_ALARM_MS)
		return;
	t->age_alarm_ms = now;
	log_error(NULL, "connector.age", kv_c("alarm", "CONNECTOR-AGE"), kv_str("connector", connector),
		  kv_int("age_s", age_ms / 1000), kv_int("expires_s", expire_ms / 1000), kv_str("why", why),
		  kv_c("todo",
		       "mail is returned when its time is over: mend the way, or hold it with tombolo queue hold"));
}

/* ---- the pool ---- */

struct pool *pool_new(const struct pool_options *o)
{
	struct pool *p = calloc(1, sizeof *p);

	must(p != NULL && o->shares > 0);
	p->o = *o;
	p->o.own = p->own;
	p->o.own_n = own_addresses(o->own, o->own_n, p->own, OWN_MAX);
	TAILQ_INIT(&p->hops);
	TAILQ_INIT(&p->starving);
	TAILQ_INIT(&p->surplus);
	p->put_aside.fn = hop_put_surplus_aside;
	if (p->o.breakers == NULL)
		p->o.breakers = p->own_breakers = breakers_new();
	loop_timer_init(o->loop, &p->sweep, on_sweep);
	return p;
}

void pool_free(struct pool **pp)
{
	struct pool *p = *pp;

	if (p == NULL)
		return;
	while (!TAILQ_EMPTY(&p->hops))
		hop_free(TAILQ_FIRST(&p->hops));
	loop_timer_stop(&p->sweep);
	TAILQ_INIT(&p->surplus); /* its task may still be queued */
	ways_free(&p->ways);
	tallies_free(&p->tallies);
	times_free(&p->times);
	breakers_free(&p->own_breakers);
	loop_free_later(p->o.loop, p);
	*pp = NULL;
}

const struct pool_options *pool_get_options(const struct pool *p)
{
	return &p->o;
}
