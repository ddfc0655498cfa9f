/* base/time.h: clocks in milliseconds, durations in words, dates as mail writes them.
 *
 * Monotonic time drives timers, wall-clock time only ages and dates.  The two clock functions live alone in
 * base/clock.c: the test gateway links tests/fake_clock.c instead and days of retries run in milliseconds. */
#ifndef BASE_TIME_H
#define BASE_TIME_H

#include "base/buf.h"

int64_t clock_mono_ms(void);   /* since an arbitrary point, never backwards */
int64_t clock_wall_ms(void);   /* since 1970-01-01 UTC */
int clock_wait_ms(int64_t ms); /* longest sleep to take when `ms` are left (a fake clock needs to be asked often) */

/* "90", "90s", "1m", "4h", "2d", "1h30m", "200ms"; no unit means seconds.  False for anything else or overflow. */
bool time_parse_span(struct str s, int64_t *ms);
void time_put_span(struct buf *b, int64_t ms); /* "1h30m", "200ms", "0s" */

void time_put_rfc5322(struct buf *b, int64_t wall_ms); /* "Sat, 21 Nov 2026 12:00:00 +0000", local zone */
void time_put_iso(struct buf *b, int64_t wall_ms);     /* "2026-11-21T12:00:00.123Z" */
/* "2026-11-21", "2026-11-21T12:00Z", "2026-11-21T12:00:00Z" (a blank for the T is as good): UTC, from 1970 on. */
bool time_parse_iso(struct str s, int64_t *wall_ms);

#endif
