/* connectors/hop.c: which transaction goes over which connection.
 *
 * Every change (a transaction came, a client became ready or died, names were found) only wakes the hop; hop_work,
 * at the end of the turn, is the one place that acts:
 *
 *   idle client + waiting transaction -> send        nothing idle, below the limits -> open one more
 *   no server left and none connected -> everything that waits is deferred with the last reason
 *
 * Invariant (hop_check): a client is in exactly one of idle, busy, opening; open_n counts them all. */
#include "connectors/hop.h"

#include "base/must.h"
#include "base/time.h"

#include <stdio.h>
#include <stdlib.h>

enum {
	TRIES_MAX = 3,
	LOOK_MS = 200, /* while another loop's trial is under way */
	TURN = 10,     /* messages a connection may still send when others wait for one */
};

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

/* ---- transactions ---- */

static void end_txn(struct smtp_txn *t)
{
	struct hop *h = t->hop;

	if (t->trial)
		breaker_tried(h->way->breaker, hop_now_ms(h));
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

static int64_t spread(const struct smtp_txn *t, int64_t ms)
{
	return ms + (int64_t)(str_hash(str_n(&t, sizeof t), (uint64_t)ms) % (uint64_t)(ms / 10 + 1));
}

void hop_set_aside(struct smtp_txn *t, const struct reply *r, const char *text, int64_t wait_ms)
{
	t->untried = true;
	t->again_ms = clock_wall_ms() + spread(t, wait_ms);
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
void hop_close_idle(struct hop *h)
{
	while (!TAILQ_EMPTY(&h->idle))
		close_client(TAILQ_FIRST(&h->idle));
}

void hop_on_txn_done(struct smtp_txn *t)
{
	struct hop *h = t->hop;
	bool again = t->end == SMTP_STALE || t->end == SMTP_LOST || t->end == SMTP_NO_BDAT;

	if (t->end == SMTP_ENDED && way_judge(h->way, h->send, t, h->ours, hop_now_ms(h)) == WAY_SLOWER)
		feedback_throttled(&h->feedback);
	else if (t->end == SMTP_ENDED)
		feedback_good(&h->feedback);
	if (t->end == SMTP_UNKNOWN)
		tally_unknown(h->way->tally);
	if (t->end == SMTP_NO_BDAT)
		h->no_chunking = true; /* clients learn it with their next transaction */
	if (t->end == SMTP_STALE)
		hop_close_idle(h);
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
		if (way_judge_fault(h->way, h->send, &c->fault, h->ours, hop_now_ms(h)) == WAY_SLOWER)
			feedback_throttled(&h->feedback);
		if (c->fault.at != AT_SESSION)
			hear_of_peer(h, false);
		log_warn(NULL, "connection.failed", kv_str("connector", h->send->name), kv_c("host", c->where.host),
			 kv_c("ip", c->where.ip), kv_int("messages", c->served), kv_c("why", c->fault.text));
	}
	if (c->fault.bad_host)
		feedback_failed(&h->feedback);
	if (c->fault.bad_host)
		places_failed(&h->places, &c->target.addr, hop_now_ms(h));
	close_client(c);
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

static void hold_all(struct hop *h)
{
	const struct reply r = REPLY(451, 4, 7, 0, "");
	struct txns waiting = TAILQ_HEAD_INITIALIZER(waiting);
	struct breaker_view v;
	struct smtp_txn *t;
	char text[400];

	breaker_look(h->way->breaker, &v);
	int64_t wait_ms = v.next_ms > hop_now_ms(h) ? v.next_ms - hop_now_ms(h) : 1000;
	snprintf(text, sizeof text, "mail by connector " STR_FMT " is held: %s", STR_ARG(h->send->name), v.why);
	TAILQ_CONCAT(&waiting, &h->waiting, link);
	h->pool->waiting_n -= h->waiting_n;
	h->waiting_n = 0;
	while ((t = TAILQ_FIRST(&waiting)) != NULL) {
		TAILQ_REMOVE(&waiting, t, link);
		hop_set_aside(t, &r, text, wait_ms);
	}
}

/* False: nothing is to be sent now. */
static bool breaker_lets(struct hop *h)
{
	struct smtp_txn *t = TAILQ_FIRST(&h->waiting);

	if (t == NULL || t->trial)
		return true;
	switch (breaker_ask(h->way->breaker, hop_now_ms(h))) {
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
	int64_t mine = per_minute == 0 ? 0 : (int64_t)pool_share(h->pool, per_minute);

	if (bucket_take(b, mine, hop_now_ms(h)))
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
	struct place *at = places_pick(&h->places, hop_now_ms(h));

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
	    (p->open_n >= pool_share(p, outbound_config(h->outbound)->limits.outbound_connections) && !make_room(p))) {
		set_starving(h, true);
		return;
	}
	if (may_pass(h, &h->way->connections, h->send->connection_rate))
		open_client(h, at);
}

static bool are_stale(const struct hop *h)
{
	const struct places *at = &h->places;

	return at->found_ms == 0 || hop_now_ms(h) - at->found_ms > (at->n > 0 ? PLACES_FRESH_MS : 1000);
}

static void hop_work(struct hop *h)
{
	size_t most = pool_share(h->pool, h->send->connections);

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
	if (p->open_n < pool_share(p, outbound_config(h->outbound)->limits.outbound_connections) ||
	    (TAILQ_EMPTY(&h->waiting) && h->idle_n > 0))
		wake_starving(p);
}

void hop_on_again(struct loop_timer *t)
{
	hop_wake(container_of(t, struct hop, again));
}

void hop_wake(struct hop *h)
{
	if (h->woken)
		return;
	h->woken = true;
	h->task.fn = on_wake;
	loop_defer(h->pool->o.loop, &h->task);
}

void hop_on_places(struct places *p)
{
	hop_wake(container_of(p, struct hop, places));
}

void hop_close_all(struct hop *h)
{
	if (h->opening != NULL)
		remove_client(h->opening);
	while (!TAILQ_EMPTY(&h->busy))
		remove_client(TAILQ_FIRST(&h->busy));
	while (!TAILQ_EMPTY(&h->idle))
		remove_client(TAILQ_FIRST(&h->idle));
	set_starving(h, false);
}
