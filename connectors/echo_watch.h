/* connectors/echo_watch.h: echoes of one loop's connectors: sent again and again, waited for, judged (spec 3.8 "in").
 *
 *   timer -> spool a probe ... delivered (settle.c) ... it comes back at some loop's door -> board -> echo_judge
 *        \-> the next one is due and this one has not come: failed, "silent"
 *
 * One probe of a connector is on its way at most.  It is tried once: what cannot be sent now is dropped, so the queue
 * holds one for as long as a transaction takes.
 * Logs connector.validity with direction=in, and alarm CONNECTOR-DEGRADED or CONNECTOR-FAILED.
 * Threads: the loop's, but for the board. */
#ifndef CONNECTORS_ECHO_WATCH_H
#define CONNECTORS_ECHO_WATCH_H

#include "connectors/echo.h"

struct echo_watch;

struct echo_watch *echo_watch_new(struct deliver *d);
void echo_watch_reconfigure(struct echo_watch *w); /* the deliver has another configuration */
void echo_watch_free(struct echo_watch **w);

/* The one try of a probe is over. */
void echo_watch_sent(struct echo_watch *w, struct str from, bool sent, struct str says);

#endif
