/* tls/crl_plan.c: when a list is fetched again: pure. */
#include "tls/crl_keep.h"

static const int64_t minute_ms = 60 * 1000, hour_ms = 3600 * 1000, day_ms = 24 * 3600 * 1000;
enum { FORGOTTEN_DAYS = 30 };

static int64_t least(int64_t a, int64_t b)
{
	return a < b ? a : b;
}

/* 1, 2, 4 ... 60 minutes; the server is not asked more often because we are in need. */
static int64_t back_off_ms(unsigned failures)
{
	return failures > 6 ? hour_ms : least(minute_ms << (failures - 1), hour_ms);
}

/* Half of the list's time, or of the rest of it once that has passed: many authorities write the next one late. */
static int64_t half_ms(const struct crl_facts *l, int64_t now_ms)
{
	int64_t half = l->this_update_ms + (l->next_update_ms - l->this_update_ms) / 2;

	if (half <= now_ms)
		half = now_ms + (l->next_update_ms - now_ms) / 2;
	return half < now_ms + minute_ms ? now_ms + minute_ms : half;
}

int64_t crl_next_fetch(const struct crl_source *s, int64_t now_ms)
{
	if (s->failures > 0)
		return now_ms + back_off_ms(s->failures);
	if (!s->has_list)
		return now_ms;
	/* daily whatever it says: a key that is stolen is revoked out of turn */
	return s->list.next_update_ms == 0 ? now_ms + day_ms : least(half_ms(&s->list, now_ms), now_ms + day_ms);
}

bool crl_is_forgotten(const struct crl_source *s, int64_t now_ms)
{
	return !s->configured && s->has_list && s->list.next_update_ms > 0 &&
	       now_ms - s->list.next_update_ms > FORGOTTEN_DAYS * day_ms;
}
