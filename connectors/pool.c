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
#include "connectors/feedback.h"
#include "connectors/places.h"
#include "connectors/times.h"
#include "connectors/way.h"

#include <ifaddrs.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum {
	BUCKETS = 512,
	SWEEP_MS = 15 * 1000,
	TRIES_MAX = 3,
	OWN_MAX = 256,
	PACE_MS = 5 * 1000, /* what a hop sent off in so long it may also keep waiting */
	LOOK_MS = 200,      /* while another loop's trial is under way */
	FEW = 8,            /* messages a hop may always keep */
	TURN = 10,          /* messages a connection may still send when others wait for one */
	AGE_ALARM_MS = 60 * 60 * 1000,
	SURPLUS_MS = 60 * 1000,
	SURPLUS_MAX_MS = 30 * 60 * 1000,
};

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
	TAILQ_ENTRY(hop) in_starving; /* the limit over all hops keeps it from opening */
	bool starving, ours, no_chunking, woken;
	bool turn; /* it has waited longest for a connection that is free now */
	struct feedback feedback;
	uint64_t done_n, paced_n; /* transactions over; of those before paced_ms */
	size_t pace;              /* transactions over in the last whole PACE_MS */
	int64_t paced_ms;
	struct loop_timer again; /* a rate or another loop's trial: look again then */
	struct loop_task task;
	struct smtp_fault last; /* why the last connection failed */
	uint64_t sent, deferred, failed;
	struct hop_times *times; /* NULL until the first result */
	struct way *way;
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
	struct ways ways;
	struct breakers *own_breakers;
	TAILQ_HEAD(, hop) starving; /* longest first */
	size_t open_n, waiting_n;
	struct txns surplus; /* of hops that keep too many already: on their way out */
	struct loop_task put_aside;
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

/* A limit of the configuration is for all pools together; at least one. */
static size_t share(const struct pool *p, conf_count n)
{
	size_t mine = (size_t)n / p->o.shares;

	return mine > 0 ? mine : 1;
}

/* ---- transactions ---- */

static void end_txn(struct smtp_txn *t)
{
	struct hop *h = t->hop;

	if (t->trial)
		breaker_tried(h->way->breaker, now_ms(h));
	t->trial = false;
	t->hop = NULL;
	h->done_n += !t->untried; /* what was set aside says nothing about its pace */
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

/* Without a connection. */
static void defer_txn(struct smtp_txn *t, const struct reply *r, struct str text, enum rcpt_result result)
{
	smtp_txn_resolve(t, result, r, text);
	t->end = SMTP_LOST;
	t->reply = *r;
	snprintf(t->text, sizeof t->text, STR_FMT, STR_ARG(text));
	t->reply.text = str_c(t->text);
	end_txn(t);
}

/* Those that do not even get near a server; they come back after `wait_ms`. */
static void set_aside(struct smtp_txn *t, const struct reply *r, const char *text, int64_t wait_ms)
{
	t->untried = true;
	t->again_ms = clock_wall_ms() + wait_ms;
	defer_txn(t, r, str_c(text), RCPT_DEFERRED);
}

static struct smtp_txn *take_waiting(struct hop *h)
{
	struct smtp_txn *t = TAILQ_FIRST(&h->waiting);

	if (t == NULL)
		return NULL;
	TAILQ_REMOVE(&h->waiting, t, link);
	h->waiting_n--;
	h->pool->waiting_n--;
	return t;
}

static void defer_all(struct hop *h, const struct reply *r, const char *text, bool final)
{
	struct txns waiting = TAILQ_HEAD_INITIALIZER(waiting);
	struct smtp_txn *t;

	/* over() may add to this hop: those wait for the next round */
	TAILQ_CONCAT(&waiting, &h->waiting, link);
	h->pool->waiting_n -= h->waiting_n;
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
	h->pool->waiting_n++;
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

	if (t->end == SMTP_ENDED && way_judge(h->way, h->send, t, h->ours, now_ms(h)) == WAY_SLOWER)
		feedback_throttled(&h->feedback);
	else if (t->end == SMTP_ENDED)
		feedback_good(&h->feedback);
	if (t->end == SMTP_UNKNOWN)
		tally_unknown(h->way->tally);
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
	if (h->starving == starving)
		return;
	h->starving = starving;
	if (starving)
		TAILQ_INSERT_TAIL(&h->pool->starving, h, in_starving);
	else
		TAILQ_REMOVE(&h->pool->starving, h, in_starving);
}

/* A connection is free or gone: who has waited longest for one under the common limit looks again. */
static void wake_starving(struct pool *p)
{
	struct hop *h = TAILQ_FIRST(&p->starving);

	if (h == NULL)
		return;
	set_starving(h, false);
	h->turn = true;
	hop_wake(h);
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

/* Its last message went out; others wait for a connection, or there are to be fewer of this hop. */
static bool has_had_its_turn(const struct hop *h, const struct smtp_client *c)
{
	return (h->send->messages_per_connection > 0 && c->served >= (uint64_t)h->send->messages_per_connection) ||
	       h->open_n > h->feedback.window ||
	       (!TAILQ_EMPTY(&h->pool->starving) && c->served > 0 && c->served % TURN == 0);
}

static void on_client_ready(struct smtp_client *c)
{
	struct hop *h = c->hop;

	if (c == h->opening) {
		h->opening = NULL;
		places_worked(&h->places, &c->target.addr);
		tally_ready(h->way->tally, c);
		hear_of_peer(h, true);
	} else {
		TAILQ_REMOVE(&h->busy, c, link);
	}
	TAILQ_INSERT_HEAD(&h->idle, c, link);
	h->idle_n++;
	c->is_idle = true;
	if (has_had_its_turn(h, c)) {
		set_starving(h, false); /* whatever more it wants, it stands behind the others now */
		h->turn = false;
		close_client(c);
	}
	hop_wake(h);
	if (TAILQ_EMPTY(&h->waiting)) /* its own work comes first */
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
		tally_failed(h->way->tally, c->fault.at, c->fault.why, c->fault.text);
		if (way_judge_fault(h->way, h->send, &c->fault, h->ours, now_ms(h)) == WAY_SLOWER)
			feedback_throttled(&h->feedback);
		if (c->fault.at != AT_SESSION)
			hear_of_peer(h, false);
		log_warn(NULL, "connection.failed", kv_str("connector", h->send->name), kv_c("host", c->where.host),
			 kv_c("ip", c->where.ip), kv_int("messages", c->served), kv_c("why", c->fault.text));
	}
	if (c->fault.bad_host)
		feedback_failed(&h->feedback);
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

/* ---- the breaker ---- */

/* A tenth more or less, or all come back in the same moment. */
static int64_t spread(const struct smtp_txn *t, int64_t ms)
{
	return ms + (int64_t)(str_hash(str_n(&t, sizeof t), (uint64_t)ms) % (uint64_t)(ms / 10 + 1));
}

static void hold_all(struct hop *h)
{
	const struct reply r = REPLY(451, 4, 7, 0, "");
	struct txns waiting = TAILQ_HEAD_INITIALIZER(waiting);
	struct breaker_view v;
	struct smtp_txn *t;
	char text[400];

	breaker_look(h->way->breaker, &v);
	int64_t wait_ms = v.next_ms > now_ms(h) ? v.next_ms - now_ms(h) : 1000;
	snprintf(text, sizeof text, "mail by connector " STR_FMT " is held: %s", STR_ARG(h->send->name), v.why);
	TAILQ_CONCAT(&waiting, &h->waiting, link);
	h->pool->waiting_n -= h->waiting_n;
	h->waiting_n = 0;
	while ((t = TAILQ_FIRST(&waiting)) != NULL) {
		TAILQ_REMOVE(&waiting, t, link);
		set_aside(t, &r, text, spread(t, wait_ms));
	}
}

/* False: nothing is to be sent now. */
static bool breaker_lets(struct hop *h)
{
	struct smtp_txn *t = TAILQ_FIRST(&h->waiting);

	if (t == NULL || t->trial)
		return true;
	switch (breaker_ask(h->way->breaker, now_ms(h))) {
	case BREAKER_GO:
		return true;
	case BREAKER_TRY:
		t->trial = true;
		return true;
	case BREAKER_WAIT:
		loop_timer_set(&h->again, LOOK_MS);
		return false;
	case BREAKER_HOLD:
		hold_all(h);
		return false;
	}
	must(false);
	return false;
}

/* ---- the work of a hop ---- */

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

/* Takes a token of a rate of the connector; without one the hop looks again when there is one. */
static bool may_pass(struct hop *h, struct bucket *b, int64_t per_minute)
{
	int64_t mine = per_minute == 0 ? 0 : (int64_t)share(h->pool, per_minute);

	if (bucket_take(b, mine, now_ms(h)))
		return true;
	loop_timer_set(&h->again, bucket_wait_ms(b, mine));
	return false;
}

static void give_work(struct hop *h)
{
	struct smtp_client *c;
	struct smtp_txn *t;

	while (!TAILQ_EMPTY(&h->waiting) && (c = usable_client(h)) != NULL) {
		if (!breaker_lets(h) || !may_pass(h, &h->way->messages, h->send->message_rate))
			return;
		TAILQ_REMOVE(&h->idle, c, link);
		h->idle_n--;
		c->is_idle = false;
		TAILQ_INSERT_TAIL(&h->busy, c, link);
		t = take_waiting(h);
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
		tally_failed(h->way->tally, AT_RESOLVE, WHY_UNREACHABLE, h->places.text);
		hear_of_peer(h, false);
		defer_all(h, &h->places.reply, h->places.text, h->places.final);
		return;
	}
	bool is_early = !TAILQ_EMPTY(&p->starving) && !h->turn; /* also for who just gave one up */
	if (is_early ||
	    (p->open_n >= share(p, outbound_config(h->outbound)->limits.outbound_connections) && !make_room(p))) {
		set_starving(h, true);
		return;
	}
	if (may_pass(h, &h->way->connections, h->send->connection_rate))
		open_client(h, at);
}

static bool are_stale(const struct hop *h)
{
	const struct places *at = &h->places;

	return at->found_ms == 0 || now_ms(h) - at->found_ms > (at->n > 0 ? PLACES_FRESH_MS : 1000);
}

static void hop_work(struct hop *h)
{
	size_t most = share(h->pool, h->send->connections);

	must(hop_check(h));
	if (!breaker_lets(h))
		return;
	give_work(h);
	if (TAILQ_EMPTY(&h->waiting) || h->opening != NULL || h->places.looking ||
	    h->open_n >= (h->feedback.window < most ? h->feedback.window : most))
		return;
	if (are_stale(h))
		places_find(&h->places);
	else
		open_one(h);
}

static void on_wake(struct loop_task *task)
{
	struct hop *h = container_of(task, struct hop, task);

	struct pool *p = h->pool;

	h->woken = false;
	if (p == NULL)
		return;
	hop_work(h);
	h->turn = false;
	/* it did not need the connection that was free, or there are more of them: the next one looks */
	if (p->open_n < share(p, outbound_config(h->outbound)->limits.outbound_connections) ||
	    (TAILQ_EMPTY(&h->waiting) && h->idle_n > 0))
		wake_starving(p);
}

static void on_again(struct loop_timer *t)
{
	hop_wake(container_of(t, struct hop, again));
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
	h->way = way_of(&p->ways, p->o.breakers, &p->tallies, s);
	h->ours = s->peer || kind != HOP_DOMAIN;
	feedback_init(&h->feedback, share(p, s->connections_first), share(p, s->connections));
	loop_timer_init(p->o.loop, &h->again, on_again);
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

/* ---- how much a hop may keep ---- */

/* What it sent off in the last PACE_MS. */
static size_t pace_of(struct hop *h)
{
	int64_t now = now_ms(h);

	if (now - h->paced_ms >= PACE_MS) {
		h->pace = now - h->paced_ms < 2 * PACE_MS ? (size_t)(h->done_n - h->paced_n) : 0;
		h->paced_n = h->done_n;
		h->paced_ms = now;
	}
	size_t so_far = (size_t)(h->done_n - h->paced_n);
	return so_far > h->pace ? so_far : h->pace;
}

/* Destinations that are slow or dead together never keep more than half of the room (the queue hands out fresh messages
 * up to three quarters): from three eighths on a hop gets no more than what is left of that half, so k of them leave
 * something to each other, whatever k is.  One that sends off what comes within seconds, and a short line, need no
 * limit.
 */
static bool has_room(struct hop *h)
{
	size_t most = (size_t)outbound_config(h->outbound)->queue.active_max, kept = h->pool->waiting_n;

	if (kept < most * 3 / 8 || h->waiting_n < FEW || h->waiting_n <= pace_of(h))
		return true;
	return kept < most / 2 && h->waiting_n < most / 2 - kept;
}

static void put_surplus_aside(struct hop *h, struct smtp_txn *t)
{
	const struct reply r = REPLY(451, 4, 3, 2, "");
	size_t pace = pace_of(h);
	int64_t wait_ms = pace == 0 ? SURPLUS_MS : (int64_t)(h->waiting_n / pace * PACE_MS);
	char text[480];

	wait_ms = wait_ms < SURPLUS_MS ? SURPLUS_MS : wait_ms > SURPLUS_MAX_MS ? SURPLUS_MAX_MS : wait_ms;
	snprintf(text, sizeof text, "%zu messages wait for the same server already%s%s", h->waiting_n,
		 h->last.text[0] != '\0' ? "; the last connection: " : "", h->last.text);
	set_aside(t, &r, text, spread(t, wait_ms));
}

static void on_surplus(struct loop_task *task)
{
	struct pool *p = container_of(task, struct pool, put_aside);
	struct txns surplus = TAILQ_HEAD_INITIALIZER(surplus);
	struct smtp_txn *t;

	TAILQ_CONCAT(&surplus, &p->surplus, link);
	while ((t = TAILQ_FIRST(&surplus)) != NULL) {
		TAILQ_REMOVE(&surplus, t, link);
		put_surplus_aside(t->hop, t);
	}
}

void pool_add(struct hop *h, struct smtp_txn *t)
{
	struct pool *p = h->pool;

	must(t->over != NULL && t->rcpt_n > 0);
	t->hop = h;
	t->done = on_txn_done;
	t->tries = 0;
	t->trial = t->untried = false;
	t->again_ms = 0;
	if (!has_room(h)) { /* over() does not run in here */
		if (TAILQ_EMPTY(&p->surplus))
			loop_defer(p->o.loop, &p->put_aside);
		TAILQ_INSERT_TAIL(&p->surplus, t, link);
		return;
	}
	TAILQ_INSERT_TAIL(&h->waiting, t, link);
	h->waiting_n++;
	p->waiting_n++;
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

	TAILQ_FOREACH (h, &p->hops, all) {
		places_forget_rests(&h->places);
		breaker_hurry(h->way->breaker);
	}
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
	tally_result(h->way->tally, result);
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
	TAILQ_INIT(&p->starving);
	TAILQ_INIT(&p->surplus);
	p->put_aside.fn = on_surplus;
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

/* ---- statistics ---- */

static void put_row(const struct hop *h, struct hop_stats *row)
{
	*row = (struct hop_stats){ .waiting = h->waiting_n,
				   .open = h->open_n,
				   .idle = h->idle_n,
				   .window = h->feedback.window,
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

struct tally *pool_tally(struct pool *p, struct str connector)
{
	return tally_of(&p->tallies, connector);
}

size_t pool_connectors(const struct pool *p, struct connector_stats *rows, size_t max)
{
	size_t n = tallies_copy(&p->tallies, rows, max);
	struct breaker_view v;

	for (size_t i = 0; i < n && i < max; i++) {
		breaker_look(breaker_of(p->o.breakers, str_c(rows[i].name)), &v);
		rows[i].breaker = breaker_state_name(v.state);
		rows[i].breaker_opened = v.opened_n;
		snprintf(rows[i].breaker_why, sizeof rows[i].breaker_why, "%.*s", (int)sizeof rows[i].breaker_why - 1,
			 v.state == BREAKER_CLOSED ? "" : v.why);
	}
	return n;
}

size_t pool_times(const struct pool *p, struct hop_times *rows, size_t max)
{
	return times_copy(&p->times, rows, max);
}

const struct pool_options *pool_get_options(const struct pool *p)
{
	return &p->o;
}
