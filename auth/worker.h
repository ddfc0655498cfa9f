/* auth/worker.h: the worker's side of the talk: frames in, frames out, no other input or output.
 *
 * Jobs of several messages stand beside each other; each is given up by AUTH_DROP or by its end.  A frame that makes no
 * sense ends the worker: tombolod sends none.  Threads: one. */
#ifndef AUTH_WORKER_H
#define AUTH_WORKER_H

#include "auth/frame.h"
#include "auth/keys.h"

enum { WORKER_JOBS_MAX = 1024, WORKER_KEYS_PER_MESSAGE = 4 };

struct worker;

struct worker *worker_new(const struct keys *keys, unsigned signatures);
void worker_free(struct worker **w);
void worker_hello(const struct keys *keys, struct str problems, struct buf *out);
/* Takes whole frames off `in`, appends their answers.  Bytes used; -1: it is no talk of ours. */
ssize_t worker_feed(struct worker *w, struct str in, struct buf *out);

#endif
