/* tests/kit/port.c: ports for the processes that a test starts; see the header. */
#include "tests/kit/port.h"

#include "base/must.h"
#include "base/net.h"

#include <stdio.h>
#include <sys/un.h>
#include <unistd.h>

enum { FIRST = 10000, COUNT = 20000, STRIDE = 16 };

/* Among tests: an abstract name, which goes with the process.  The descriptor stays open for that. */
static bool is_mine(uint16_t port)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC, 0);

	must(fd >= 0);
	int n = snprintf(un.sun_path + 1, sizeof un.sun_path - 1, "tombolo-test-port-%u", port);
	socklen_t len = (socklen_t)(offsetof(struct sockaddr_un, sun_path) + 1 + (size_t)n);
	if (bind(fd, (struct sockaddr *)&un, len) == 0)
		return true;
	close(fd);
	return false;
}

/* Among all others. */
static bool is_free(uint16_t port)
{
	struct net_addr a;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	must(fd >= 0 && net_parse_ip(S("127.0.0.1"), port, &a));
	bool bound = bind(fd, &a.sa, net_len(&a)) == 0; /* alone: fails beside one that would share it */
	close(fd);
	return bound;
}

uint16_t port_reserve(void)
{
	static unsigned next;

	if (next == 0)
		next = (unsigned)getpid() * STRIDE % COUNT;
	uint16_t port;
	do {
		must(next < 3 * COUNT); /* all of them tried */
		port = (uint16_t)(FIRST + next++ % COUNT);
	} while (!is_mine(port) || !is_free(port));
	return port;
}
