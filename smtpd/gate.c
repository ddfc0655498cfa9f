/* smtpd/gate.c: connection counts by client network in a seeded hash table. */
#include "smtpd/gate.h"

#include "base/must.h"

#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

static uint64_t hash_seed;

#define HASH_FUNCTION(key, len, out) ((out) = (unsigned)str_hash(str_n(key, len), hash_seed))
#include <uthash.h>

struct gate_client {
	unsigned char net[16]; /* IPv4 as ::ffff:a.b.c.d; IPv6 with the host half zero */
	int64_t count;
	UT_hash_handle hh;
};

struct gate {
	pthread_mutex_t lock;
	struct gate_client *clients;
	uint64_t total;
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
	pthread_mutex_init(&g->lock, NULL);
	return g;
}

void gate_free(struct gate **gp)
{
	struct gate *g = *gp;
	struct gate_client *c, *next;

	if (g == NULL)
		return;
	HASH_ITER (hh, g->clients, c, next) {
		HASH_DEL(g->clients, c);
		free(c);
	}
	pthread_mutex_destroy(&g->lock);
	free(g);
	*gp = NULL;
}

static struct gate_client *find_or_add(struct gate *g, const unsigned char net[16])
{
	struct gate_client *c;

	HASH_FIND(hh, g->clients, net, 16, c);
	if (c != NULL)
		return c;
	c = calloc(1, sizeof *c);
	must(c != NULL);
	memcpy(c->net, net, 16);
	HASH_ADD(hh, g->clients, net, 16, c);
	return c;
}

static void forget_if_idle(struct gate *g, struct gate_client *c)
{
	if (c->count > 0)
		return;
	HASH_DEL(g->clients, c);
	free(c);
}

enum gate_answer gate_enter(struct gate *g, const struct net_addr *client, const struct conf_limits *l)
{
	enum gate_answer answer = GATE_OPEN;
	unsigned char net[16];

	client_net(client, net);
	pthread_mutex_lock(&g->lock);
	struct gate_client *c = find_or_add(g, net);
	if (g->total >= (uint64_t)l->connections) {
		answer = GATE_FULL;
	} else if (c->count >= l->connections_per_ip) {
		answer = GATE_CLIENT_FULL;
	} else {
		c->count++;
		g->total++;
	}
	forget_if_idle(g, c);
	pthread_mutex_unlock(&g->lock);
	return answer;
}

void gate_leave(struct gate *g, const struct net_addr *client)
{
	unsigned char net[16];

	client_net(client, net);
	pthread_mutex_lock(&g->lock);
	struct gate_client *c = find_or_add(g, net);
	must(c->count > 0 && g->total > 0);
	c->count--;
	g->total--;
	forget_if_idle(g, c);
	pthread_mutex_unlock(&g->lock);
}

uint64_t gate_count(struct gate *g)
{
	pthread_mutex_lock(&g->lock);
	uint64_t n = g->total;
	pthread_mutex_unlock(&g->lock);
	return n;
}
