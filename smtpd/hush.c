/* smtpd/hush.c: a small table of what was said when; see the header. */
#include "smtpd/hush.h"

bool hush_may_say(struct hush *h, const char *event, struct str subject, int64_t now_ms, uint64_t *held_back)
{
	uint64_t key = str_hash(subject, str_hash(str_c(event), 1));
	size_t oldest = 0;

	for (size_t i = 0; i < h->n; i++) {
		if (h->v[i].key != key) {
			oldest = h->v[i].said_ms < h->v[oldest].said_ms ? i : oldest;
			continue;
		}
		*held_back = h->v[i].held_back;
		if (now_ms - h->v[i].said_ms < HUSH_MS) {
			h->v[i].held_back++;
			return false;
		}
		h->v[i].said_ms = now_ms;
		h->v[i].held_back = 0;
		return true;
	}
	if (h->n < HUSH_MAX)
		oldest = h->n++;
	h->v[oldest].key = key;
	h->v[oldest].said_ms = now_ms;
	h->v[oldest].held_back = 0;
	*held_back = 0;
	return true;
}
