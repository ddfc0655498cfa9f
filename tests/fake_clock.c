/* tests/fake_clock.c: base/clock.c for the test gateway: real clocks plus an offset that a test moves.
 *
 * TOMBOLO_FAKE_CLOCK names a file whose first 8 bytes, in the machine's order, are the offset in milliseconds.  It is
 * mapped, so every process that has it open moves at once.  Sleeps are short: a moved clock must be noticed. */
#include "base/must.h"
#include "base/time.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/mman.h>
#include <unistd.h>

enum { SLEEP_MAX_MS = 5 };

static const _Atomic int64_t *offset;
static pthread_once_t once = PTHREAD_ONCE_INIT;

static void map_offset(void)
{
	static const _Atomic int64_t none;
	const char *path = getenv("TOMBOLO_FAKE_CLOCK");
	int fd;

	offset = &none;
	if (path == NULL)
		return;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	must(fd >= 0);
	must(lseek(fd, 0, SEEK_END) >= (off_t)sizeof *offset || ftruncate(fd, sizeof *offset) == 0);
	void *at = mmap(NULL, sizeof *offset, PROT_READ, MAP_SHARED, fd, 0);
	must(at != MAP_FAILED);
	close(fd);
	offset = at;
}

static int64_t read_ms(clockid_t id)
{
	struct timespec t;

	pthread_once(&once, map_offset);
	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000 + *offset;
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
	return ms > SLEEP_MAX_MS ? SLEEP_MAX_MS : (int)ms;
}
