/* smtpd/server.h: the gateway as one loop sees it: its listeners, its sessions, its deliveries.
 *
 * "One loop per core" is a for in main: nothing here is global.  What loops share (queue, routing, dns, gate) is
 * thread-safe by itself.  Threads: everything but server_counter_each is for the server's own loop. */
#ifndef SMTPD_SERVER_H
#define SMTPD_SERVER_H

#include "auth/auth.h"
#include "connectors/drain.h"
#include "connectors/header_policy.h"
#include "connectors/milter_client.h"
#include "smtpd/gate.h"
#include "smtpd/hush.h"
#include "smtpd/pressure.h"
#include "smtpd/setup.h"
#include "smtpd/signer.h"
#include "connectors/track.h"

#include <sys/queue.h>

struct listener;
struct session;

struct counters { /* written by the loop, read by anyone (relaxed) */
	uint64_t connections, refused_full, refused_client, early_talkers, sessions;
	uint64_t messages, message_bytes, rejected_messages;
	uint64_t rcpts, rejected_rcpts, deferred_rcpts;
	uint64_t tls_sessions, tls_failures, tls_resumed;
	uint64_t protocol_errors, timeouts, commit_failures;
	uint64_t attribution_misses, foreign_messages;
	uint64_t loops_stopped;         /* messages whose recipients all came back under our token */
	uint64_t too_fast[GATE_RATE_N]; /* refused because their client network came too often, sent too much, ... */
	uint64_t milter_calls, milter_failures, milter_ms; /* packets sent to content filters; waited for them in all */
	uint64_t judged, judged_failed, judged_stopped;    /* authors; DMARC failed; refused, put off or held for it */
	uint64_t shed;                                     /* MAIL refused because resources are short */
	uint64_t forged_messages;                          /* strangers who wrote headers of our organisation */
	uint64_t header_fields[GROUP_N]; /* taken out or renamed at the door, by group of the policy */
};

struct shared { /* one per process */
	struct queue *queue;
	struct routing *routing;
	struct dns *dns;
	struct gate *gate;
	struct pressure pressure;
	struct breakers *breakers; /* of the send connectors */
	struct echo_board *echoes; /* of messages that come back; NULL: none are sent */
	struct track *track;       /* NULL: no tracking log */
	struct kept *kept;         /* the replay store; NULL: nothing is kept */
	struct drain drain;        /* nothing is accepted, all leaves */
};

struct server {
	struct loop *loop;
	struct shared *shared;
	struct setup *setup; /* for new sessions */
	struct queue_port *port;
	struct deliver *deliver;
	struct track_ring *track; /* NULL: no tracking log */
	struct signer signer;
	struct auth *auth; /* NULL: nothing is judged or signed (auth.workers) */
	struct milter_pool milters;
	struct listener *listeners;
	size_t listener_n;
	LIST_HEAD(, session) sessions;
	bool draining;                        /* no new connections; 421 to those that are idle */
	void (*on_drained)(struct server *s); /* nothing of ours is under way any more */
	struct loop_timer drain_timer;
	uint64_t session_id; /* of the newest session; odd per loop */
	struct counters counters;
	struct hush hush;
};

#define COUNT(server, name) __atomic_add_fetch(&(server)->counters.name, 1, __ATOMIC_RELAXED)

/* After server_init: judges and signs through workers that `keeper` makes; takes it. */
void server_use_auth(struct server *s, int keeper, size_t shares);

/* `shares` loops split the limits of outbound connections.  `fds` are listening sockets (one per address of the
 * configuration, in order); the server owns them from now on. */
int server_init(struct server *s, struct loop *l, struct shared *shared, struct setup *setup, const int *fds,
		size_t fd_n, const struct net_addr *own, size_t own_n, size_t shares, struct err *e);
void server_fini(struct server *s); /* closes all sessions at once; queue port and deliveries too */
void server_reconfigure(struct server *s, struct setup *setup);
void server_drain(struct server *s); /* stop accepting and leasing; on_drained follows when all sessions and deliveries
					have ended */

void server_counter_each(const struct server *s, void (*each)(void *to, const char *name, uint64_t value), void *to);

#endif
