/* queue/sched.c: when to try again, when to give up.  Pure. */
#include "queue/queue.h"

enum { LEAST_MS = 1000 };

/* Quick at first, because most failures are over in minutes; then slower and slower (spec 6.3). */
static int64_t connection_delay_ms(const struct conf_retry *c, int64_t attempts)
{
	int64_t delay = c->first_ms;

	if (attempts <= c->glitch_n)
		delay = c->glitch_ms;
	else if (attempts <= c->glitch_n + c->transient_n)
		delay = c->transient_ms;
	else
		for (int64_t i = c->glitch_n + c->transient_n + 1; i < attempts && delay < c->max_ms; i++)
			delay *= 2;
	return delay > c->max_ms && c->max_ms > 0 ? c->max_ms : delay;
}

int64_t sched_delay_ms(const struct conf_retry *c, enum sched_cause why, unsigned attempts, uint64_t seed)
{
	int64_t delay = why == SCHED_MESSAGE   ? c->message_ms
			: why == SCHED_UNKNOWN ? c->unknown_ms
					       : connection_delay_ms(c, attempts);

	if (delay < LEAST_MS)
		delay = LEAST_MS;
	/* spread by a tenth either way: what failed together shall not come back together */
	uint64_t mixed = str_hash(str_n(&attempts, sizeof attempts), seed);
	return delay - delay / 10 + (int64_t)(mixed % (uint64_t)(delay / 5 + 1));
}

bool sched_expired(const struct conf_retry *c, int64_t arrived_ms, int64_t now_ms)
{
	return now_ms - arrived_ms >= c->expire_ms;
}
