/* connectors/pool.h: connections per hop: reuse, limits, fail-over and back-off.
 *
 *   pool_hop(connector, target) -> pool_add(hop, txn) -> ... txn->over(txn), every recipient with a result
 *
 * A hop is one connector towards one target.  Its transactions wait in one line.  An idle connection takes the first;
 * while others still wait at most one new connection is being opened, so a burst of fifty does not open fifty.  A host
 * that cannot be reached is left alone for a while and the next one is tried; when none is left everything that waits
 * is deferred together, with the reason.  What a recipient is answered never counts against a host.
 *
 * over() and the client's done() never run inside pool_add.  Threads: the loop's. */
#ifndef CONNECTORS_POOL_H
#define CONNECTORS_POOL_H

#include "connectors/outbound.h"
#include "connectors/smtp_client.h"

struct pool;

struct pool_options {
	struct loop *loop;
	struct dns *dns;
	const struct net_addr *own; /* never connect to one of these */
	size_t own_n;
	struct routing *routing; /* hears whether connections to the other side can be made; NULL = nobody */
	unsigned shares;         /* pools of the process that share the configured limits, at least 1 */
};

enum hop_kind {
	HOP_SMARTHOSTS, /* the connector's list, in order */
	HOP_HOST,       /* one host, "name[:port]" */
	HOP_DOMAIN,     /* the MX hosts of a domain */
};

struct pool *pool_new(const struct pool_options *o);
void pool_free(struct pool **p); /* closes everything; transactions are forgotten without over() */

/* The hop for this target and this much TLS, made when new: messages that need more never share a connection with those
 * that are content with less.  `need` NULL: what the connector asks; its patterns are views of o's configuration.
 * Valid until the end of the turn, or as long as a transaction is in it. */
struct hop *pool_hop(struct pool *p, struct outbound *o, const struct conf_send *s, enum hop_kind kind,
		     struct str target, const struct tls_need *need);
void pool_add(struct hop *hop, struct smtp_txn *t);
void pool_retire(struct pool *p, const struct outbound *current); /* closes idle connections of other configurations */
void pool_forget_rests(struct pool *p); /* servers that rest after a failure may be tried at once */
const struct conf_send *hop_send(const struct hop *hop);
/* For the statistics; `age_ms`: of the message. */
void hop_count(struct hop *hop, enum rcpt_result result, int64_t age_ms);

size_t pool_stats(const struct pool *p, struct hop_stats *rows, size_t max);
size_t pool_times(const struct pool *p, struct hop_times *rows, size_t max);
size_t pool_connectors(const struct pool *p, struct connector_stats *rows, size_t max);
const struct pool_options *pool_get_options(const struct pool *p); /* `own` without wildcards */
/* What a server must prove, and show, for `need` at a hop of this kind (also for tests of a connector). */
void pool_target(const struct outbound *o, const struct conf_send *s, enum hop_kind kind, struct str target,
		 const struct tls_need *need, struct smtp_target *out);

#endif
