/* connectors/pool.c: which transaction goes over which connection.
 *
 * Every change (a transaction came, a client became ready or died, names were found) only wakes the hop; hop_work,
 * at the end of the turn, is the one place that acts:
 *
 *   idle client + waiting transaction -> send        nothing idle, below the limits -> open one more
 *   no server left and none connected -> everything that waits is deferred with the last reason
 *
 * Invariant (hop_check): a client is in exactly one of idle, busy, opening; open_n counts them all. */
#include "connectors/pool.h"

#include "base/must.h"
#include "base/time.h"
#include "connectors/places.h"
#include "connectors/tally.h"
#include "connectors/times.h"

#include <ifaddrs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { BUCKETS = 512, SWEEP_MS = 15 * 1000, TRIES_MAX = 3, OWN_MAX = 256 };

TAILQ_HEAD(clients, smtp_client);
TAILQ_HEAD(txns, smtp_txn);

struct hop {
	SLIST_ENTRY(hop) bucket;
	TAILQ_ENTRY(hop) all;
	struct pool *pool;
	struct outbound *outbound;
	const struct conf_send *send;
	enum hop_kind kind;
	struct places places;
	struct txns waiting;
	struct clients idle, busy; /* idle: the last used one first */
	struct smtp_client *opening;
	size_t waiting_n, open_n, idle_n;
	bool starving; /* the limit over all hops keeps it from opening */
	bool no_chunking, woken;
	struct loop_task task;
	struct smtp_fault last; /* why the last connection failed */
	uint64_t sent, deferred, failed;
	struct tally *tally;
	struct hop_times *times; /* NULL until the first result */
	struct tls_need need;
	struct str target;
	char target_text[];
};

struct pool {
	struct pool_options o;
	struct net_addr own[OWN_MAX]; /* wildcards as the addresses of this machine */
	TAILQ_HEAD(, hop) hops;
	SLIST_HEAD(, hop) buckets[BUCKETS];
	struct loop_timer sweep;
	struct tallies tallies;
	struct times times;
	size_t open_n, starving_n;
};

static void hop_wake(struct hop *h);

static bool hop_check(const struct hop *h)
{
	size_t n = h->opening != NULL;
	const struct smtp_client *c;

	TAILQ_FOREACH (c, &h->idle, link)
		n++;
	TAILQ_FOREACH (c, &h->busy, link)
		n++;
	return n == h->open_n && h->idle_n <= n;
}

static int64_t now_ms(const struct hop *h)
{
	return loop_now_ms(h->pool->o.loop);
}

/* ---- transactions ---- */

static void end_txn(struct smtp_txn *t)
{
	struct hop *h = t->hop;

	t->hop = NULL;
	t->over(t);
	hop_wake(h);
}

static bool is_pending(const struct smtp_txn *t)
{
	const struct smtp_rcpt *r;

	STAILQ_FOREACH (r, &t->rcpts, next)
		if (r->result == RCPT_PENDING)
			return true;
	return false;
}

static void defer_txn(struct smtp_txn *t, const struct reply *r, struct str text, enum rcpt_result result)
{
	smtp_txn_resolve(t, result, r, text);
	t->reply = *r;
	snprintf(t->text, sizeof t->text, STR_FMT, STR_ARG(text));
	t->reply.text = str_c(t->text);
	end_txn(t);
}

static void defer_all(struct hop *h, const struct reply *r, const char *text, bool final)
{
	struct txns waiting = TAILQ_HEAD_INITIALIZER(waiting);
	struct smtp_txn *t;

	/* over() may add to this hop: those wait for the next round */
	TAILQ_CONCAT(&waiting, &h->waiting, link);
	h->waiting_n = 0;
	while ((t = TAILQ_FIRST(&waiting)) != NULL) {
		TAILQ_REMOVE(&waiting, t, link);
		defer_txn(t, r, str_c(text), final ? RCPT_FAILED : RCPT_DEFERRED);
	}
}

static void put_back(struct hop *h, struct smtp_txn *t)
{
	t->tries++;
	TAILQ_INSERT_HEAD(&h->waiting, t, link);
	h->waiting_n++;
	hop_wake(h);
}

static void close_client(struct smtp_client *c);

/* The server closed what had been idle: the others of that age are not to be trusted either. */
static void close_idle(struct hop *h)
{
	while (!TAILQ_EMPTY(&h->idle))
		close_client(TAILQ_FIRST(&h->idle));
}

static void on_txn_done(struct smtp_txn *t)
{
	struct hop *h = t->hop;
	bool again = t->end == SMTP_STALE || t->end == SMTP_LOST || t->end == SMTP_NO_BDAT;

	if (t->end == SMTP_NO_BDAT)
		h->no_chunking = true; /* clients learn it with their next transaction */
	if (t->end == SMTP_STALE)
		close_idle(h);
	if (!again || !is_pending(t))
		end_txn(t);
	else if (t->tries + 1 >= TRIES_MAX)
		defer_txn(t, &t->reply, str_c(t->text), RCPT_DEFERRED);
	else
		put_back(h, t);
}

/* ---- clients ---- */

static void remove_client(struct smtp_client *c)
{
	struct hop *h = c->hop;

	if (c == h->opening) {
		h->opening = NULL;
	} else if (c->is_idle) {
		TAILQ_REMOVE(&h->idle, c, link);
		h->idle_n--;
	} else {
		TAILQ_REMOVE(&h->busy, c, link);
	}
	h->open_n--;
	h->pool->open_n--;
	smtp_client_fini(c);
	loop_free_later(h->pool->o.loop, c);
	hop_wake(h);
}

static void set_starving(struct hop *h, bool starving)
{
	if (h->starving != starving)
		h->pool->starving_n += starving ? 1 : (size_t)-1;
	h->starving = starving;
}

/* A connection is free or gone: whoever waits for one under the common limit looks again. */
static void wake_starving(struct pool *p)
{
	struct hop *h;

	if (p->starving_n == 0)
		return;
	TAILQ_FOREACH (h, &p->hops, all)
		if (h->starving) {
			set_starving(h, false);
			hop_wake(h);
		}
}

static void close_client(struct smtp_client *c)
{
	struct pool *p = c->hop->pool;

	remove_client(c);
	wake_starving(p);
}

/* Central transport may let mail bypass a side that is down (spec 1.7). */
static void hear_of_peer(const struct hop *h, bool ok)
{
	if (h->send->peer && h->pool->o.routing != NULL)
		routing_peer_heard(h->pool->o.routing, ok, clock_wall_ms());
}

static void on_client_ready(struct smtp_client *c)
{
	struct hop *h = c->hop;

	if (c == h->opening) {
		h->opening = NULL;
		places_worked(&h->places, &c->target.addr);
		tally_ready(h->tally, c);
		hear_of_peer(h, true);
	} else {
		TAILQ_REMOVE(&h->busy, c, link);
	}
	TAILQ_INSERT_HEAD(&h->idle, c, link);
	h->idle_n++;
	c->is_idle = true;
	if (h->send->messages_per_connection > 0 && c->served >= (uint64_t)h->send->messages_per_connection)
		close_client(c);
	hop_wake(h); /* before those of other hops: its own work comes first */
	wake_starving(h->pool);
}

static void on_client(struct smtp_client *c, enum client_event e)
{
	struct hop *h = c->hop;

	if (e == CLIENT_READY) {
		on_client_ready(c);
		return;
	}
	if (!c->is_idle || c->fault.bad_host) {
		h->last = c->fault;
		h->last.reply.text = str_c(h->last.text);
		tally_failed(h->tally, c->fault.at, c->fault.text);
		if (c->fault.at != AT_SESSION)
			hear_of_peer(h, false);
		log_warn(NULL, "connection.failed", kv_str("connector", h->send->name), kv_c("host", c->where.host),
			 kv_c("ip", c->where.ip), kv_int("messages", c->served), kv_c("why", c->fault.text));
	}
	if (c->fault.bad_host)
		places_failed(&h->places, &c->target.addr, now_ms(h));
	close_client(c);
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

static void open_client(struct hop *h, const struct place *at)
{
	struct smtp_client *c = calloc(1, sizeof *c);
	struct smtp_target target;

	pool_target(h->outbound, h->send, h->kind, h->target, &h->need, &target);
	target.host = at->host;
	target.addr = at->addr;
	target.no_chunking = &h->no_chunking;
	must(c != NULL);
	c->hop = h;
	h->opening = c;
	h->open_n++;
	h->pool->open_n++;
	smtp_client_start(c, h->pool->o.loop, &target, -1, on_client);
}

/* ---- the work of a hop ---- */

static size_t share(const struct pool *p, conf_count n)
{
	size_t mine = (size_t)n / p->o.shares;

	return mine > 0 ? mine : 1;
}

/* Another hop's oldest idle connection makes room under the common limit. */
static bool make_room(struct pool *p)
{
	struct hop *h;

	TAILQ_FOREACH (h, &p->hops, all)
		if (!TAILQ_EMPTY(&h->idle)) {
			remove_client(TAILQ_LAST(&h->idle, clients));
			return true;
		}
	return false;
}

/* The server may have ended an idle connection in this very turn; its death is reported after us. */
static struct smtp_client *usable_client(const struct hop *h)
{
	struct smtp_client *c;

	TAILQ_FOREACH (c, &h->idle, link)
		if (c->phase == CLIENT_IDLE)
			return c;
	return NULL;
}

static void give_work(struct hop *h)
{
	struct smtp_client *c;
	struct smtp_txn *t;

	while ((t = TAILQ_FIRST(&h->waiting)) != NULL && (c = usable_client(h)) != NULL) {
		TAILQ_REMOVE(&h->idle, c, link);
		h->idle_n--;
		c->is_idle = false;
		TAILQ_INSERT_TAIL(&h->busy, c, link);
		TAILQ_REMOVE(&h->waiting, t, link);
		h->waiting_n--;
		smtp_client_send(c, t);
	}
}

static void open_one(struct hop *h)
{
	struct pool *p = h->pool;
	struct place *at = places_pick(&h->places, now_ms(h));

	if (at == NULL) {
		if (h->open_n > 0)
			return; /* those that are connected carry on */
		if (h->places.n > 0) {
			defer_all(h, &h->last.reply, h->last.text, false);
			return;
		}
		tally_failed(h->tally, AT_RESOLVE, h->places.text);
		hear_of_peer(h, false);
		defer_all(h, &h->places.reply, h->places.text, h->places.final);
		return;
	}
	if (p->open_n >= share(p, outbound_config(h->outbound)->limits.outbound_connections) && !make_room(p)) {
		set_starving(h, true);
		return;
	}
	open_client(h, at);
}

static bool are_stale(const struct hop *h)
{
	const struct places *at = &h->places;

	return at->found_ms == 0 || now_ms(h) - at->found_ms > (at->n > 0 ? PLACES_FRESH_MS : 1000);
}

static void hop_work(struct hop *h)
{
	must(hop_check(h));
	give_work(h);
	if (TAILQ_EMPTY(&h->waiting) || h->opening != NULL || h->places.looking ||
	    h->open_n >= share(h->pool, h->send->connections))
		return;
	if (are_stale(h))
		places_find(&h->places);
	else
		open_one(h);
}

static void on_wake(struct loop_task *task)
{
	struct hop *h = container_of(task, struct hop, task);

	h->woken = false;
	if (h->pool != NULL)
		hop_work(h);
}

static void hop_wake(struct hop *h)
{
	if (h->woken)
		return;
	h->woken = true;
	h->task.fn = on_wake;
	loop_defer(h->pool->o.loop, &h->task);
}

static void on_places(struct places *p)
{
	hop_wake(container_of(p, struct hop, places));
}

/* ---- hops ---- */

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
	h->tally = tally_of(&p->tallies, s->name);
	if (target.n > 0)
		memcpy(h->target_text, target.p, target.n);
	h->target = (struct str){ h->target_text, target.n };
	TAILQ_INIT(&h->waiting);
	TAILQ_INIT(&h->idle);
	TAILQ_INIT(&h->busy);
	places_init(&h->places, &p->o, s, kind, h->target, on_places);
	TAILQ_INSERT_TAIL(&p->hops, h, all);
	SLIST_INSERT_HEAD(&p->buckets[bucket_of(s, h->target)], h, bucket);
	if (!loop_timer_is_set(&p->sweep))
		loop_timer_set(&p->sweep, SWEEP_MS);
	return h;
}

static void hop_free(struct hop *h)
{
	struct pool *p = h->pool;

	if (h->opening != NULL)
		remove_client(h->opening);
	while (!TAILQ_EMPTY(&h->busy))
		remove_client(TAILQ_FIRST(&h->busy));
	while (!TAILQ_EMPTY(&h->idle))
		remove_client(TAILQ_FIRST(&h->idle));
	places_fini(&h->places);
	set_starving(h, false);
	TAILQ_REMOVE(&p->hops, h, all);
	SLIST_REMOVE(&p->buckets[bucket_of(h->send, h->target)], h, hop, bucket);
	outbound_unref(&h->outbound);
	h->pool = NULL; /* its task may still be queued */
	loop_free_later(p->o.loop, h);
}

static bool is_unused(const struct hop *h)
{
	if (h->open_n > 0 || h->waiting_n > 0 || h->places.looking || h->woken)
		return false;
	return h->places.n == 0 || places_pick((struct places *)(uintptr_t)&h->places, now_ms(h)) == &h->places.v[0];
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

void pool_add(struct hop *h, struct smtp_txn *t)
{
	must(t->over != NULL && t->rcpt_n > 0);
	t->hop = h;
	t->done = on_txn_done;
	t->tries = 0;
	TAILQ_INSERT_TAIL(&h->waiting, t, link);
	h->waiting_n++;
	hop_wake(h);
}

void pool_retire(struct pool *p, const struct outbound *current)
{
	struct hop *h;

	TAILQ_FOREACH (h, &p->hops, all)
		if (h->outbound != current)
			close_idle(h);
}

void pool_forget_rests(struct pool *p)
{
	struct hop *h;

	TAILQ_FOREACH (h, &p->hops, all)
		places_forget_rests(&h->places);
}

const struct conf_send *hop_send(const struct hop *h)
{
	return h->send;
}

static void put_name(const struct hop *h, char *name, size_t room)
{
	struct str target = h->target, preference;

	if (h->kind == HOP_SMARTHOSTS)
		str_cut(h->send->smarthosts.v[0], ';', &target, &preference);
	snprintf(name, room, STR_FMT "/" STR_FMT, STR_ARG(h->send->name), STR_ARG(target));
}

static void count_age(struct hop *h, enum rcpt_result result, int64_t age_ms)
{
	char name[sizeof h->times->hop];

	if (h->times == NULL) {
		put_name(h, name, sizeof name);
		h->times = times_of(&h->pool->times, name);
	}
	if (result == RCPT_SENT)
		histo_add(&h->times->sent, age_ms);
	else if (result == RCPT_DEFERRED)
		histo_add(&h->times->deferred, age_ms);
}

void hop_count(struct hop *h, enum rcpt_result result, int64_t age_ms)
{
	count_age(h, result, age_ms);
	h->sent += result == RCPT_SENT;
	h->deferred += result == RCPT_DEFERRED;
	h->failed += result == RCPT_FAILED;
	tally_result(h->tally, result);
}

/* ---- the pool ---- */

static bool is_any(const struct net_addr *a)
{
	return a->sa.sa_family == AF_INET ? a->v4.sin_addr.s_addr == INADDR_ANY
					  : IN6_IS_ADDR_UNSPECIFIED(&a->v6.sin6_addr);
}

/* "0.0.0.0:25" is every address of this machine: a next hop that resolves to one of them is ourselves. */
static void add_interfaces(struct pool *p, uint16_t port)
{
	struct ifaddrs *list = NULL;

	if (getifaddrs(&list) != 0)
		return;
	for (const struct ifaddrs *i = list; i != NULL && p->o.own_n < OWN_MAX; i = i->ifa_next) {
		struct net_addr *to = &p->own[p->o.own_n];
		if (i->ifa_addr == NULL || (i->ifa_addr->sa_family != AF_INET && i->ifa_addr->sa_family != AF_INET6))
			continue;
		memset(to, 0, sizeof *to);
		memcpy(&to->sa, i->ifa_addr,
		       i->ifa_addr->sa_family == AF_INET ? sizeof(struct sockaddr_in) : sizeof(struct sockaddr_in6));
		net_set_port(to, port);
		p->o.own_n++;
	}
	freeifaddrs(list);
}

static void collect_own(struct pool *p, const struct net_addr *own, size_t n)
{
	p->o.own = p->own;
	p->o.own_n = 0;
	for (size_t i = 0; i < n && p->o.own_n < OWN_MAX; i++)
		p->own[p->o.own_n++] = own[i];
	for (size_t i = 0; i < n; i++)
		if (is_any(&own[i]))
			add_interfaces(p, net_port(&own[i]));
}

struct pool *pool_new(const struct pool_options *o)
{
	struct pool *p = calloc(1, sizeof *p);

	must(p != NULL && o->shares > 0);
	p->o = *o;
	collect_own(p, o->own, o->own_n);
	TAILQ_INIT(&p->hops);
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
	tallies_free(&p->tallies);
	times_free(&p->times);
	loop_free_later(p->o.loop, p);
	*pp = NULL;
}

/* ---- statistics ---- */

static void put_row(const struct hop *h, struct hop_stats *row)
{
	*row = (struct hop_stats){ .waiting = h->waiting_n,
				   .open = h->open_n,
				   .idle = h->idle_n,
				   .sent = h->sent,
				   .deferred = h->deferred,
				   .failed = h->failed };
	put_name(h, row->hop, sizeof row->hop);
	snprintf(row->last_error, sizeof row->last_error, "%.199s", h->last.text);
}

size_t pool_stats(const struct pool *p, struct hop_stats *rows, size_t max)
{
	const struct hop *h;
	size_t n = 0, all = 0;

	TAILQ_FOREACH (h, &p->hops, all) {
		size_t at = n < max ? n++ : max;
		all++;
		/* by insertion: the rows are few and kept busiest first */
		while (at > 0 && rows[at - 1].waiting < h->waiting_n) {
			if (at < max)
				rows[at] = rows[at - 1];
			at--;
		}
		if (at < max)
			put_row(h, &rows[at]);
	}
	return all;
}

size_t pool_connectors(const struct pool *p, struct connector_stats *rows, size_t max)
{
	return tallies_copy(&p->tallies, rows, max);
}

size_t pool_times(const struct pool *p, struct hop_times *rows, size_t max)
{
	return times_copy(&p->times, rows, max);
}

const struct pool_options *pool_get_options(const struct pool *p)
{
	return &p->o;
}
