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

enum { POINTS_MAX = 256, ARMED_MAX = 4 };

_Atomic bool fault_armed;

static struct {
	pthread_mutex_t lock;
	struct {
		struct str point, action;
		uint64_t at, passes;
	} points[ARMED_MAX];
	size_t n;
	int list_fd;
	struct {
		const char *point;
		uint64_t passes;
	} seen[POINTS_MAX];
	size_t seen_n;
} armed = { .lock = PTHREAD_MUTEX_INITIALIZER, .list_fd = -1 };

/* POINT[:PASS[:ACTION]] */
static void arm(struct str spec)
{
	struct str rest, at;

	str_cut(spec, ':', &armed.points[armed.n].point, &rest);
	str_cut(rest, ':', &at, &armed.points[armed.n].action);
	if (!str_u64(at, UINT64_MAX, &armed.points[armed.n].at))
		armed.points[armed.n].at = 1;
	armed.points[armed.n++].passes = 0;
}

void fault_init(void)
{
	const char *list = getenv("TOMBOLO_FAULT_LIST");
	struct str rest = str_c(getenv("TOMBOLO_FAULT")), spec;

	pthread_mutex_lock(&armed.lock);
	if (list != NULL)
		armed.list_fd = open(list, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	armed.n = 0;
	while (rest.n > 0 && armed.n < ARMED_MAX) {
		str_cut(rest, ',', &spec, &rest);
		arm(spec);
	}
	fault_armed = armed.list_fd >= 0 || armed.n > 0;
	pthread_mutex_unlock(&armed.lock);
}

/* A line at each pass whose number is a power of two: the list stays short and tells about how many there were. */
static void note_pass(const char *point)
{
	size_t i = 0;

	while (i < armed.seen_n && strcmp(armed.seen[i].point, point) != 0)
		i++;
	if (i == POINTS_MAX)
		return;
	if (i == armed.seen_n)
		armed.seen[armed.seen_n++].point = point;
	uint64_t passes = ++armed.seen[i].passes;
	struct str line = str_c(point);
	if ((passes & (passes - 1)) == 0 &&
	    (write(armed.list_fd, line.p, line.n) < 0 || write(armed.list_fd, "\n", 1) < 0))
		armed.list_fd = -1;
}

bool fault_pass(const char *point)
{
	struct str action = STR_NONE;
	bool hit = false;

	pthread_mutex_lock(&armed.lock);
	if (armed.list_fd >= 0)
		note_pass(point);
	for (size_t i = 0; i < armed.n; i++)
		if (str_eq(armed.points[i].point, str_c(point)) && ++armed.points[i].passes == armed.points[i].at) {
			hit = true;
			action = armed.points[i].action;
		}
	if (hit && str_eq(action, S("kill")))
		kill(getpid(), SIGKILL);
	while (hit && str_eq(action, S("hang"))) /* without a system call: also in a cage */
		atomic_signal_fence(memory_order_relaxed);
	pthread_mutex_unlock(&armed.lock);
	if (hit)
		errno = str_eq(action, S("enospc")) ? ENOSPC : EIO;
	return hit;
}
