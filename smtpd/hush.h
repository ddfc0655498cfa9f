/* smtpd/hush.h: says the same thing at most once a minute, and how often it held its tongue.
 *
 * For events that strangers can cause as fast as they connect.  Bounded: when too many different things happen, the one
 * said longest ago is forgotten.  Threads: its loop. */
#ifndef SMTPD_HUSH_H
#define SMTPD_HUSH_H

#include "base/str.h"

enum { HUSH_MS = 60 * 1000, HUSH_MAX = 32 };

struct hush { /* zero is a good beginning */
	struct {
		uint64_t key;
		int64_t said_ms;
		uint64_t held_back;
	} v[HUSH_MAX];
	size_t n;
};

/* May `event` about `subject` be said now?  Then *held_back is how often it was not since the last time. */
bool hush_may_say(struct hush *h, const char *event, struct str subject, int64_t now_ms, uint64_t *held_back);

#endif
