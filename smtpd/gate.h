/* smtpd/gate.h: what a client network has at once and a minute: connections, messages, recipients, over all loops.
 *
 *   enter -> (may, take)* -> leave
 *
 * A network is an IPv4 address or a /64 of IPv6.  One that is gone is remembered until its buckets are full again (a
 * minute) or until limits.rate_networks of them are; then the one silent for longest is forgotten.
 *
 * Threads: any; one short lock a call, of one of several parts that the networks are spread over by a seeded hash. */
#ifndef SMTPD_GATE_H
#define SMTPD_GATE_H

#include "base/net.h"
#include "config/config.h"

struct gate;
struct gate_client; /* a network that has a connection; known to one that entered */

enum gate_answer { GATE_OPEN, GATE_FULL, GATE_CLIENT_FULL, GATE_TOO_FAST };
enum gate_rate { GATE_CONNECTIONS, GATE_MESSAGES, GATE_RECIPIENTS, GATE_UNKNOWN, GATE_RATE_N };

enum { GATE_TRUST_MS = 60 * 60 * 1000 };

struct gate *gate_new(void);
void gate_free(struct gate **g);

/* Counts a connection in, or says which limit is reached (then it is not counted).  Every GATE_OPEN needs one
 * gate_leave of *place.  `rated`: limits.connection_rate holds for this client. */
enum gate_answer gate_enter(struct gate *g, const struct net_addr *client, const struct conf_limits *l, bool rated,
			    int64_t now_ms, struct gate_client **place);
void gate_leave(struct gate *g, struct gate_client **place, int64_t now_ms); /* harmless on NULL */

/* May it still; takes one, false: there is none left.  No limit (0): true. */
bool gate_may(struct gate_client *c, enum gate_rate r, const struct conf_limits *l, int64_t now_ms);
bool gate_take(struct gate_client *c, enum gate_rate r, const struct conf_limits *l, int64_t now_ms);
/* Somebody proved there that he is one of us or the other side: its connections are not rated for GATE_TRUST_MS, since
 * they come before the proof. */
void gate_trust(struct gate_client *c, int64_t now_ms);

uint64_t gate_count(struct gate *g);    /* connections */
uint64_t gate_networks(struct gate *g); /* remembered */

#endif
