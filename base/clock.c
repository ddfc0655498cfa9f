/* base/clock.c: the only place that reads a clock; tests/fake_clock.c stands in for it in the test gateway. */
#include "base/time.h"

#include <limits.h>
#include <time.h>

static int64_t read_ms(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
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
	return ms > INT_MAX ? INT_MAX : (int)ms;
}
