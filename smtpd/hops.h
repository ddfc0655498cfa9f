/* smtpd/hops.h: the next hops, their times, or the send connectors, of all loops in one list.
 *
 * Each loop owns its deliveries, so each is asked by a task on its own thread.  Must not run on a loop: it waits. */
#ifndef SMTPD_HOPS_H
#define SMTPD_HOPS_H

#include "smtpd/server.h"

/* Fills at most `max` rows, loops summed up by hop, and returns how many.  A loop that does not answer within a second
 * (it is stopping) is left out.  The servers and their loops must outlive the process's control socket. */
size_t hops_gather(struct server *const servers[], size_t n, struct hop_stats *rows, size_t max);
size_t times_gather(struct server *const servers[], size_t n, struct hop_times *rows, size_t max);
size_t connectors_gather(struct server *const servers[], size_t n, struct connector_stats *rows, size_t max);

#endif
