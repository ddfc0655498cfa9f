/* smtpd/control_worker.h: one thread for what may block (imports, writes to the store, loading a configuration).
 *
 *   worker_add(job) -> job->run on the thread -> job->done on the loop, in order
 *
 * A job belongs to the worker between add and done; the asker may go away, the job is still finished.
 * Threads: everything but `run` is for the loop's thread. */
#ifndef SMTPD_CONTROL_WORKER_H
#define SMTPD_CONTROL_WORKER_H

#include "base/loop.h"

struct worker;

struct worker_job {
	void (*run)(struct worker_job *job);
	void (*done)(struct worker_job *job); /* frees it; runs once in any case */
	bool ran;                             /* false at done: the worker was stopped before its turn */
	struct worker_job *next;
};

struct worker *worker_start(struct loop *l, struct err *e);
void worker_add(struct worker *w, struct worker_job *job);
/* Lets the running job end, drops the waiting ones, calls done for all before it returns. */
void worker_stop(struct worker **w);

#endif
