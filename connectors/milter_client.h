/* connectors/milter_client.h: one conversation with one content filter.
 *
 *   pool -> milter_client_take -> [milter_client_start] -> (out, send -> answer)* -> milter_client_leave -> pool
 *
 * At most one answer is waited for.  Its deadline is absolute: bytes do not move it, PROGRESS gives the stage's time
 * again, and progress_max ends it all the same (hardening ML-5).  Whatever is not a proper answer to what was asked
 * (too late, too early, malformed, not negotiated where that matters) ends the connection, so nothing that a filter
 * says about one message can be heard as an answer about another (ML-6).
 * A connection is used again by the same session for its next message; by other sessions when it is clean (every answer
 * came, the last message is over) and the filter is said to bear it: libmilter 8.17 as Debian builds it (with a pool of
 * workers) does not answer any more after QUIT_NC, and Postfix does not send it.
 * Knows: the protocol, deadlines.  Must not know: sessions, what the answers mean for a message.
 * Threads: the loop thread. */
#ifndef CONNECTORS_MILTER_CLIENT_H
#define CONNECTORS_MILTER_CLIENT_H

#include "base/log.h"
#include "base/op.h"
#include "base/stream.h"
#include "config/config.h"
#include "wire/milter.h"

#include <sys/queue.h>

struct milter_client;

enum { MILTER_IDLE_MAX = 8, MILTER_IDLE_MS = 60000 }; /* connections kept for one filter, and for how long */

struct milter_pool { /* of one loop */
	struct loop *loop;
	LIST_HEAD(, milter_client) idle;
};
void milter_pool_init(struct milter_pool *p, struct loop *l);
void milter_pool_fini(struct milter_pool *p); /* closes those that are idle */

struct milter_verdict {
	bool failed;               /* there is no answer and there will be none; `why`; the client is dead */
	char why[160];             /* for the log */
	enum milter_answer answer; /* a verdict */
	struct reply reply;        /* of MILTER_REPLY; views text */
	struct buf text;
};

struct milter_client {
	struct milter_pool *pool;
	const struct conf_milter *conf; /* while it is taken */
	struct log *log;
	char address[128];
	struct stream stream;
	struct loop_timer retry; /* a listener with a full queue is tried again */
	struct buf in;
	enum { MILTER_NEW, MILTER_CONNECTING, MILTER_OFFERED, MILTER_READY, MILTER_ASKED, MILTER_DEAD } state;
	struct milter_options options; /* what was agreed; macro names live in `names` */
	struct buf names;
	bool used;               /* not opened for the session that has it */
	enum milter_stage stage; /* being asked */
	int64_t asked_ms, cap_at_ms, took_ms;
	struct op *asker;
	struct milter_verdict verdict;
	/* a request at the end of a message; false: it is not to go on.  Set by the one who asks. */
	bool (*on_request)(void *arg, const struct milter_answer_parts *a);
	void *arg;
	LIST_ENTRY(milter_client) entry;
};

/* An idle connection to that filter (then `used`), or a new client.  `conf` and `log` live until it is left. */
struct milter_client *milter_client_take(struct milter_pool *p, const struct conf_milter *conf, struct log *log);
/* Clean, and the filter can do it (conf->reuse): kept for another session.  Else it is closed.  Cancels what is open.
 * NULLs it, takes NULL. */
void milter_client_leave(struct milter_client **c);

/* Connects and negotiates.  The verdict is CONTINUE, or failed. */
void milter_client_start(struct milter_client *c, struct op *op, void (*done)(struct op *));
static inline bool milter_client_is_ready(const struct milter_client *c)
{
	return c->state == MILTER_READY;
}
bool milter_client_hears(const struct milter_client *c, enum milter_stage s); /* the stage is not left out */

/* Where to write what is asked, macros first.  Ready only. */
struct buf *milter_client_out(struct milter_client *c);
/* Sends it.  True: there is (or may be) an answer, or the filter reads nothing just now: op.  False: go on. */
bool milter_client_send(struct milter_client *c, enum milter_stage s, struct op *op, void (*done)(struct op *));
void milter_client_abort(struct milter_client *c); /* the message is over, whatever the filter makes of it */

#endif
