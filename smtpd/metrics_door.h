/* smtpd/metrics_door.h: GET /metrics and GET /health over HTTP/1.x, for monitoring systems.
 *
 *   accept -> request line and header -> [worker: metrics_write] -> answer -> close
 *
 * /health is 200 while mail is accepted, 503 while it is not.  Limits: 8 KiB a request, 10 s for it to arrive, 16
 * clients; one request a connection.  Only addresses of metrics.from are answered.  Threads: lives on one loop, text is
 * made on a worker. */
#ifndef SMTPD_METRICS_DOOR_H
#define SMTPD_METRICS_DOOR_H

#include "smtpd/control.h"

struct metrics_door;

/* Binds metrics.listen while we still may (before root is dropped). */
int metrics_door_listen(const struct config *c, int fds[METRICS_LISTEN_MAX], size_t *n, struct err *e);

/* Owns the descriptors from now on; copies `h`. */
struct metrics_door *metrics_door_open(struct loop *l, const struct control_hooks *h, const int *fds, size_t n,
				       struct err *e);
void metrics_door_close(struct metrics_door **d); /* harmless on NULL */

#endif
