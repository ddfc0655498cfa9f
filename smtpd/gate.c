/* smtpd/gate.c: client networks in seeded hash tables, each with its connections and buckets.
 *
 * A network with connections stays; without any it stands in the part's `idle` list, longest idle first, from which it
 * is forgotten.  A bucket is full after a minute without use (base/bucket.h), so then nothing is lost with it. */
#include "smtpd/gate.h"

#include "base/bucket.h"
#include "base/must.h"

#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/queue.h>
#include <sys/random.h>

static uint64_t hash_seed;

#define HASH_FUNCTION(key, len, out) ((out) = (unsigned)str_hash(str_n(key, len), hash_seed))
#include <uthash.h>

enum { PARTS = 16, FULL_AGAIN_MS = 60 * 1000, FORGET_AT_ONCE = 2 };

struct gate_part;

struct gate_client {
	struct gate_part *part;
	unsigned char net[16]; /* IPv4 as ::ffff:a.b.c.d; IPv6 with the host half zero */
	int64_t count;
	int64_t left_ms; /* when the last connection ended */
	int64_t trusted_until_ms;
	struct bucket buckets[GATE_RATE_N];
	TAILQ_ENTRY(gate_client) idle;
	UT_hash_handle hh;
};

struct gate_part {
	pthread_mutex_t lock;
	struct gate_client *clients;
	TAILQ_HEAD(, gate_client) idle;
	uint64_t client_n, idle_n;
};

struct gate {
	_Atomic uint64_t total;
	struct gate_part parts[PARTS];
};

static void client_net(const struct net_addr *a, unsigned char net[16])
{
	memset(net, 0, 16);
	if (a->sa.sa_family == AF_INET) {
		net[10] = net[11] = 0xff;
		memcpy(net + 12, &a->v4.sin_addr, 4);
	} else {
		memcpy(net, &a->v6.sin6_addr, 8);
	}
}

struct gate *gate_new(void)
{
	struct gate *g = calloc(1, sizeof *g);

	must(g != NULL);
	if (hash_seed == 0)
		must(getrandom(&hash_seed, sizeof hash_seed, 0) == sizeof hash_seed);
	for (size_t i = 0; i < PARTS; i++) {
		pthread_mutex_init(&g->parts[i].lock, NULL);
		TAILQ_INIT(&g->parts[i].idle);
	}
	return g;
}

void gate_free(struct gate **gp)
{
	struct gate *g = *gp;
	struct gate_client *c, *next;

	if (g == NULL)
		return;
	for (size_t i = 0; i < PARTS; i++) {
		HASH_ITER (hh, g->parts[i].clients, c, next) {
			/* NOLINTNEXTLINE(clang-analyzer-unix.Malloc): HASH_ITER took the next one before */
			HASH_DEL(g->parts[i].clients, c);
			free(c);
		}
		pthread_mutex_destroy(&g->parts[i].lock);
	}
	free(g);
	*gp = NULL;
}

static int64_t rate_limit(const struct conf_limits *l, enum gate_rate r)
{
	const int64_t rates[GATE_RATE_N] = { l->connection_rate, l->message_rate, l->recipient_rate, l->unknown_rate };

	return rates[r];
}

/* ---- a part; its lock is held ---- */

static void forget(struct gate_part *p, struct gate_client *c)
{
	TAILQ_REMOVE(&p->idle, c, idle);
	p->idle_n--;
	p->client_n--;
	/* NOLINTNEXTLINE(clang-analyzer-core.NullDereference): it is in the table */
	HASH_DEL(p->clients, c);
	free(c);
}

static void be_idle(struct gate_part *p, struct gate_client *c)
{
	TAILQ_INSERT_TAIL(&p->idle, c, idle);
	p->idle_n++;
}

/* A few at a time, so that nobody waits for it: those whose buckets are full by now, and those that are too many. */
static void forget_some(struct gate_part *p, const struct conf_limits *l, int64_t now_ms)
{
	uint64_t room = (uint64_t)l->rate_networks / PARTS + 1;

	for (int i = 0; i < FORGET_AT_ONCE; i++) {
		struct gate_client *c = TAILQ_FIRST(&p->idle);
		if (c == NULL)
			return;
		if (p->idle_n <= room && c->trusted_until_ms > now_ms) {
			TAILQ_REMOVE(&p->idle, c, idle); /* those behind it must not wait for its hour */
			TAILQ_INSERT_TAIL(&p->idle, c, idle);
		} else if (p->idle_n > room || now_ms - c->left_ms >= FULL_AGAIN_MS) {
			forget(p, c);
		} else {
			return;
		}
	}
}

static struct gate_client *find_or_add(struct gate_part *p, const unsigned char net[16])
{
	struct gate_client *c;

	HASH_FIND(hh, p->clients, net, 16, c);
	if (c != NULL)
		return c;
	c = calloc(1, sizeof *c);
	must(c != NULL);
	c->part = p;
	memcpy(c->net, net, 16);
	HASH_ADD(hh, p->clients, net, 16, c);
	p->client_n++;
	be_idle(p, c);
	return c;
}

static enum gate_answer may_enter(struct gate_client *c, const struct conf_limits *l, bool rated, int64_t now_ms)
{
	if (c->count >= l->connections_per_ip)
		return GATE_CLIENT_FULL;
	if (rated && c->trusted_until_ms <= now_ms &&
	    !bucket_take(&c->buckets[GATE_CONNECTIONS], rate_limit(l, GATE_CONNECTIONS), now_ms))
		return GATE_TOO_FAST;
	return GATE_OPEN;
}

/* ---- the door ---- */

static bool count_in(struct gate *g, uint64_t most)
{
	if (atomic_fetch_add(&g->total, 1) < most)
		return true;
	atomic_fetch_sub(&g->total, 1);
	return false;
}

enum gate_answer gate_enter(struct gate *g, const struct net_addr *client, const struct conf_limits *l, bool rated,
			    int64_t now_ms, struct gate_client **place)
{
	unsigned char net[16];

	client_net(client, net);
	if (!count_in(g, (uint64_t)l->connections))
		return GATE_FULL;
	/* other bits of the hash than the part's own table begins with */
	struct gate_part *p = &g->parts[str_hash(str_n(net, sizeof net), hash_seed) >> 60 & (PARTS - 1)];
	pthread_mutex_lock(&p->lock);
	forget_some(p, l, now_ms);
	struct gate_client *c = find_or_add(p, net);
	enum gate_answer answer = may_enter(c, l, rated, now_ms);
	if (c->count == 0) {
		c->left_ms = now_ms;
		TAILQ_REMOVE(&p->idle, c, idle);
		if (answer == GATE_OPEN)
			p->idle_n--;
		else
			TAILQ_INSERT_TAIL(&p->idle, c, idle);
	}
	if (answer == GATE_OPEN) {
		c->count++;
		*place = c;
	}
	pthread_mutex_unlock(&p->lock);
	if (answer != GATE_OPEN)
		atomic_fetch_sub(&g->total, 1);
	return answer;
}

void gate_leave(struct gate *g, struct gate_client **place, int64_t now_ms)
{
	struct gate_client *c = *place;

	if (c == NULL)
		return;
	*place = NULL;
	struct gate_part *p = c->part;
	pthread_mutex_lock(&p->lock);
	must(c->count > 0);
	if (--c->count == 0) {
		c->left_ms = now_ms;
		be_idle(p, c);
	}
	pthread_mutex_unlock(&p->lock);
	must(atomic_fetch_sub(&g->total, 1) > 0);
}

/* ---- rates ---- */

bool gate_may(struct gate_client *c, enum gate_rate r, const struct conf_limits *l, int64_t now_ms)
{
	pthread_mutex_lock(&c->part->lock);
	bool may = bucket_has(&c->buckets[r], rate_limit(l, r), now_ms);
	pthread_mutex_unlock(&c->part->lock);
	return may;
}

bool gate_take(struct gate_client *c, enum gate_rate r, const struct conf_limits *l, int64_t now_ms)
{
	pthread_mutex_lock(&c->part->lock);
	bool taken = bucket_take(&c->buckets[r], rate_limit(l, r), now_ms);
	pthread_mutex_unlock(&c->part->lock);
	return taken;
}

void gate_trust(struct gate_client *c, int64_t now_ms)
{
	pthread_mutex_lock(&c->part->lock);
	c->trusted_until_ms = now_ms + GATE_TRUST_MS;
	pthread_mutex_unlock(&c->part->lock);
}

uint64_t gate_count(struct gate *g)
{
	return g->total;
}

uint64_t gate_networks(struct gate *g)
{
	uint64_t n = 0;

	for (size_t i = 0; i < PARTS; i++) {
		pthread_mutex_lock(&g->parts[i].lock);
		n += g->parts[i].client_n;
		pthread_mutex_unlock(&g->parts[i].lock);
	}
	return n;
}
