/* base/fault.c: failure points armed by the environment. */
#include "base/fault.h"

#include "base/str.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { POINTS_MAX = 256 };

_Atomic bool fault_armed;

static struct {
	pthread_mutex_t lock;
	struct str point, action;
	uint64_t at, passes;
	int list_fd;
	const char *seen[POINTS_MAX];
	size_t seen_n;
} armed = { .lock = PTHREAD_MUTEX_INITIALIZER, .list_fd = -1 };

void fault_init(void)
{
	const char *list = getenv("TOMBOLO_FAULT_LIST");
	struct str spec = str_c(getenv("TOMBOLO_FAULT")), rest, at;

	pthread_mutex_lock(&armed.lock);
	if (list != NULL)
		armed.list_fd = open(list, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	str_cut(spec, ':', &armed.point, &rest);
	str_cut(rest, ':', &at, &armed.action);
	if (!str_u64(at, UINT64_MAX, &armed.at))
		armed.at = 1;
	armed.passes = 0;
	fault_armed = armed.list_fd >= 0 || armed.point.n > 0;
	pthread_mutex_unlock(&armed.lock);
}

static void note_first_pass(const char *point)
{
	for (size_t i = 0; i < armed.seen_n; i++)
		if (strcmp(armed.seen[i], point) == 0)
			return;
	if (armed.seen_n == POINTS_MAX)
		return;
	armed.seen[armed.seen_n++] = point;
	struct str line = str_c(point);
	if (write(armed.list_fd, line.p, line.n) < 0 || write(armed.list_fd, "\n", 1) < 0)
		armed.list_fd = -1;
}

bool fault_pass(const char *point)
{
	bool hit = false;

	pthread_mutex_lock(&armed.lock);
	if (armed.list_fd >= 0)
		note_first_pass(point);
	if (armed.point.n > 0 && str_eq(armed.point, str_c(point)))
		hit = ++armed.passes == armed.at;
	if (hit && str_eq(armed.action, S("kill")))
		kill(getpid(), SIGKILL);
	pthread_mutex_unlock(&armed.lock);
	if (hit)
		errno = str_eq(armed.action, S("enospc")) ? ENOSPC : EIO;
	return hit;
}
