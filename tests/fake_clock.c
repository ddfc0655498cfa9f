/* tests/fake_clock.c: stands in for base/clock.c in the test gateway: the real clocks, set forward by what a mapped
 * file says (eight bytes, milliseconds, host order; named by TOMBOLO_FAKE_CLOCK).  A test moves days by one store. */
#include "base/must.h"
#include "base/time.h"

#include <fcntl.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

enum { ASK_EVERY_MS = 5 }; /* a sleeping loop cannot see that its time has come */

static int64_t ahead_ms(void)
{
	static const volatile int64_t *map;
	static bool looked;
	const char *path = looked ? NULL : getenv("TOMBOLO_FAKE_CLOCK");
	int fd = path == NULL ? -1 : open(path, O_RDONLY | O_CLOEXEC);

	if (fd >= 0) {
		void *p = mmap(NULL, sizeof *map, PROT_READ, MAP_SHARED, fd, 0);
		must(p != MAP_FAILED);
		map = p;
		close(fd);
	}
	looked = true; /* main looks first, before there is a second thread */
	return map == NULL ? 0 : *map;
}

static int64_t read_ms(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000 + ahead_ms();
}

int64_t clock_mono_ms(void)
{
	return read_ms(CLOCK_MONOTONIC);
}

int64_t clock_wall_ms(void)
{
	return read_ms(CLOCK_REALTIME);
}

int clock_wait_ms(int64_t ms)
{
	return ms > ASK_EVERY_MS ? ASK_EVERY_MS : (int)ms;
}
