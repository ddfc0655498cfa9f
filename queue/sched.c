/* queue/sched.c: when to try again, when to give up.  Pure. */
#include "queue/queue.h"

int64_t sched_delay_ms(const struct conf_queue *c, unsigned attempts, uint64_t seed)
{
	int64_t delay = c->retry_first_ms > 0 ? c->retry_first_ms : 1;

	for (unsigned i = 1; i < attempts && delay < c->retry_max_interval_ms; i++)
		delay *= 2;
	if (delay > c->retry_max_interval_ms && c->retry_max_interval_ms > 0)
		delay = c->retry_max_interval_ms;
	/* spread by a tenth either way: what failed together shall not come back together */
	uint64_t mixed = str_hash(str_n(&attempts, sizeof attempts), seed);
	return delay - delay / 10 + (int64_t)(mixed % (uint64_t)(delay / 5 + 1));
}

bool sched_expired(const struct conf_queue *c, int64_t arrived_ms, int64_t now_ms)
{
	return now_ms - arrived_ms >= c->expire_ms;
}
