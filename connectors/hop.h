/* connectors/hop.h: the insides of the pool, for its own files.
 *
 *   pool.c        the hops there are: found, made, swept away; what is told when all are meant
 *   hop.c         one hop at work: which transaction goes over which connection
 *   hop_room.c    how much one may keep: pool_add
 *   pool_stats.c  what is counted
 *
 * Threads: the loop's. */
#ifndef CONNECTORS_HOP_H
#define CONNECTORS_HOP_H

#include "connectors/feedback.h"
#include "connectors/places.h"
#include "connectors/pool.h"
#include "connectors/times.h"
#include "connectors/way.h"

enum { BUCKETS = 512, OWN_MAX = 256 };

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

/* At the end of the turn the hop looks at what there is to do. */
void hop_wake(struct hop *h);
void hop_close_idle(struct hop *h);
void hop_close_all(struct hop *h); /* without a word to those whose transactions are on them */
void hop_on_txn_done(struct smtp_txn *t);
void hop_on_places(struct places *p);
void hop_on_again(struct loop_timer *t);
/* A transaction that does not even get near a server; it comes back after about `wait_ms`: a tenth more or less, or all
 * would come back in the same moment. */
void hop_set_aside(struct smtp_txn *t, const struct reply *r, const char *text, int64_t wait_ms);
void hop_put_surplus_aside(struct loop_task *task); /* the pool's put_aside */

/* A limit of the configuration is for all pools together; at least one. */
size_t pool_share(const struct pool *p, conf_count n);

static inline int64_t hop_now_ms(const struct hop *h)
{
	return loop_now_ms(h->pool->o.loop);
}

#endif
