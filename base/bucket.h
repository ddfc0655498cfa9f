/* base/bucket.h: a token bucket: so many a minute, saved up for ten seconds.  Pure; zero is a full one. */
#ifndef BASE_BUCKET_H
#define BASE_BUCKET_H

#include <stdbool.h>
#include <stdint.h>

struct bucket {
	int64_t used;  /* in 1/60000 of a token, so that a millisecond at one a minute counts */
	int64_t at_ms; /* when that was so */
};

enum { BUCKET_TOKEN = 60 * 1000, BUCKET_SAVES = 6 /* of a minute's tokens: a sixth, and one at least */ };

static inline int64_t bucket_room(int64_t per_minute)
{
	int64_t tokens = per_minute / BUCKET_SAVES;

	return (tokens > 0 ? tokens : 1) * BUCKET_TOKEN;
}

static inline void bucket_leak(struct bucket *b, int64_t per_minute, int64_t now_ms)
{
	int64_t passed_ms = now_ms > b->at_ms ? now_ms - b->at_ms : 0;

	b->at_ms = now_ms;
	/* a minute without use fills any bucket; the product below cannot overflow */
	b->used = passed_ms >= BUCKET_TOKEN || b->used <= passed_ms * per_minute ? 0 : b->used - passed_ms * per_minute;
}

/* Is there a token?  `per_minute` 0: no limit. */
static inline bool bucket_has(struct bucket *b, int64_t per_minute, int64_t now_ms)
{
	if (per_minute <= 0)
		return true;
	bucket_leak(b, per_minute, now_ms);
	return b->used + BUCKET_TOKEN <= bucket_room(per_minute);
}

/* Takes a token; false: there is none. */
static inline bool bucket_take(struct bucket *b, int64_t per_minute, int64_t now_ms)
{
	if (!bucket_has(b, per_minute, now_ms))
		return false;
	if (per_minute > 0)
		b->used += BUCKET_TOKEN;
	return true;
}

/* After bucket_take said no: milliseconds until there is one. */
static inline int64_t bucket_wait_ms(const struct bucket *b, int64_t per_minute)
{
	int64_t over = b->used + BUCKET_TOKEN - bucket_room(per_minute);

	return over <= 0 || per_minute <= 0 ? 0 : over / per_minute + 1;
}

#endif
