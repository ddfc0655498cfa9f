/* smtpd/listener.c: accept in batches; see the header. */
#include "smtpd/listener.h"

#include "base/fault.h"
#include "base/op.h"
#include "smtpd/session.h"

#include <errno.h>
#include <fcntl.h>
#include <unistd.h>

enum { ACCEPT_BATCH = 64 }; /* a flood of connections must not starve those that are there */

static int open_spare(void)
{
	return open("/dev/null", O_RDONLY | O_CLOEXEC);
}

/* No descriptor left: close the spare one, take the client with it, drop the client, take the spare back.  Else the
 * client would sit in the backlog and the loop would spin on a readable listener. */
static void refuse_one(struct listener *l)
{
	if (l->spare < 0)
		return;
	close(l->spare);
	int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd >= 0) {
		static const char busy[] = "421 4.3.2 too many connections, try again later\r\n";
		(void)send(fd, busy, sizeof busy - 1, MSG_NOSIGNAL | MSG_DONTWAIT);
		close(fd);
	}
	COUNT(l->server, refused_full);
	l->spare = open_spare();
}

static int accept_one(int fd, struct net_addr *client, socklen_t *n)
{
	if (!fault("server.accept"))
		return accept4(fd, &client->sa, n, SOCK_NONBLOCK | SOCK_CLOEXEC);
	errno = EMFILE;
	return -1;
}

static void on_connection(struct loop_io *io, unsigned events)
{
	struct listener *l = container_of(io, struct listener, io);

	(void)events;
	for (int i = 0; i < ACCEPT_BATCH; i++) {
		struct net_addr client;
		socklen_t n = sizeof client;
		int fd = accept_one(l->fd, &client, &n);
		if (fd >= 0) {
			COUNT(l->server, connections);
			session_start(l->server, fd, &client);
			continue;
		}
		if (errno == EMFILE || errno == ENFILE || errno == ENOBUFS || errno == ENOMEM)
			refuse_one(l);
		if (errno != EINTR && errno != ECONNABORTED)
			return;
	}
}

void listener_start(struct listener *l, struct server *server, int fd)
{
	*l = (struct listener){ .server = server, .fd = fd, .spare = open_spare() };
	loop_io_start(server->loop, &l->io, fd, LOOP_READ, on_connection);
}

void listener_stop(struct listener *l)
{
	if (l->fd < 0)
		return;
	loop_io_stop(&l->io);
	close(l->fd);
	if (l->spare >= 0)
		close(l->spare);
	l->fd = l->spare = -1;
}
