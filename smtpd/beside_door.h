/* smtpd/beside_door.h: where an MTA beside us asks: a socketmap server (socketmap_table(5)).
 *
 *   accept -> (request -> answer)* -> the client closes
 *
 * Any client may ask the tables.  The map "decide", for tombolo-milter, is answered on paths only, to root, the
 * daemon's own user and control_operators.  Limits: beside.clients connections, DECIDE_MAX bytes a request, 30 s for it
 * to arrive once begun; a client that reads nothing for 60 s is dropped; what is no netstring ends the connection.
 * Threads: lives on one loop; answers are made on it, as a session's are. */
#ifndef SMTPD_BESIDE_DOOR_H
#define SMTPD_BESIDE_DOOR_H

#include "smtpd/setup.h"

struct beside_door;

struct beside_door_options {
	struct loop *loop;
	struct routing *routing;
	const struct setup *(*setup)(void *arg); /* the loop's own, as it is now */
	void *arg;
};

/* Binds beside.listen while we still may (before root is dropped). */
int beside_door_listen(const struct config *c, int fds[BESIDE_LISTEN_MAX], size_t *n, struct err *e);

/* Owns the descriptors from now on.  NULL with err. */
struct beside_door *beside_door_open(const struct beside_door_options *o, const int *fds, size_t n, struct err *e);
void beside_door_close(struct beside_door **d); /* harmless on NULL */

#endif
