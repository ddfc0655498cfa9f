/* connectors/feedback.h: how many connections a destination is trusted with.
 *
 * It starts small and grows by one each time a whole window of messages went well; a connection that fails takes one
 * away, a server that says "slower" half of them, but only once a window: forty answers that were under way together
 * are one opinion.  One connection is always left: whether it may be opened is for the places and the breaker to say.
 * Pure.  Threads: any, one at a time. */
#ifndef CONNECTORS_FEEDBACK_H
#define CONNECTORS_FEEDBACK_H

#include <stdbool.h>
#include <stddef.h>

struct feedback {
	size_t window, most;
	size_t good; /* in a row since the window grew */
	size_t deaf; /* answers still to come that were under way when it was halved */
};

void feedback_init(struct feedback *f, size_t first, size_t most);
void feedback_good(struct feedback *f);
void feedback_failed(struct feedback *f);    /* a connection */
void feedback_throttled(struct feedback *f); /* the server wants less */

#endif
