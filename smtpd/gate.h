/* smtpd/gate.h: how many connections there are, in all and by client network (IPv6 counts by /64), over all loops.
 *
 * Threads: any; one short lock a connection. */
#ifndef SMTPD_GATE_H
#define SMTPD_GATE_H

#include "base/net.h"
#include "config/config.h"

struct gate;

enum gate_answer { GATE_OPEN, GATE_FULL, GATE_CLIENT_FULL };

struct gate *gate_new(void);
void gate_free(struct gate **g);

/* Counts a connection in, or says which limit is reached (then it is not counted).  Every GATE_OPEN needs one
 * gate_leave. */
enum gate_answer gate_enter(struct gate *g, const struct net_addr *client, const struct conf_limits *l);
void gate_leave(struct gate *g, const struct net_addr *client);
uint64_t gate_count(struct gate *g);

#endif
