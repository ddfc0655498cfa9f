/* smtpd/listener.h: accepting connections on one socket.  Survives running out of descriptors (hardening DoS-3).
 * Threads: its loop. */
#ifndef SMTPD_LISTENER_H
#define SMTPD_LISTENER_H

#include "base/loop.h"

struct server;

struct listener {
	struct server *server;
	struct loop_io io;
	int fd;
	int spare; /* a descriptor given up to accept and refuse one client when there is none left */
};

void listener_start(struct listener *l, struct server *server, int fd); /* owns fd */
void listener_stop(struct listener *l);                                 /* closes; harmless twice */

#endif
