/* auth/crew.h: the workers of one loop and what is asked of them; between crew.c, crew_job.c, ask_spf.c, ask_dkim.c and
 * ask_sign.c, nobody else's.
 *
 *   job_new -> job_begin_frame, put..., job_send_frame ... kind->answer(job, frame)* -> job_done -> (op) -> job_release
 *
 * What a job has sent is kept, up to conf.keep bytes, until it is over.  When a worker dies, the job it was at ends
 * (kind->fail); to the others of that worker it is told again from the start, to a worker that lives. */
#ifndef AUTH_CREW_H
#define AUTH_CREW_H

#include "auth/answers.h"
#include "auth/auth.h"
#include "auth/frame.h"
#include "routing/routing.h"

#include <sys/queue.h>

struct end; /* a worker as we see it */
struct job;

struct job_kind {
	/* A frame of a worker about this job.  False: it makes no sense; the worker goes, and so does the job. */
	bool (*answer)(struct job *j, const struct frame *f);
	void (*fail)(struct job *j, const char *why); /* it cannot be done: fill the op with an error, then job_done */
	void (*answered)(struct job *j); /* all names of job_resolve have answers; NULL: it asks for none */
	void (*finish)(struct job *j);   /* op_finish of the kind's op */
};

struct lookup {
	struct dns_lookup q;
	struct job *job;
	struct need need;
	bool open;
};

struct job {
	TAILQ_ENTRY(job) link; /* of its worker, or of those that wait for one */
	struct auth *auth;
	const struct job_kind *kind;
	struct op *held;
	uint32_t id;
	struct end *end; /* NULL: waits, or has not begun */
	bool waits, over, orphan, mute;
	bool opened; /* its op was started: without `held` it was cancelled */
	bool posted; /* on_done is on its way */
	unsigned replays, rounds;
	struct buf log;     /* frames, from the first on */
	size_t sent;        /* of log: given to the worker */
	bool forgot;        /* too much was sent for it to be told again */
	size_t frame;       /* the one being built, in log */
	size_t open_frames; /* sent and not answered */
	struct loop_timer deadline, dns_timer;
	struct loop_task task;

	struct arena arena; /* of answers and of what the op shows */
	struct answers *answers;
	struct lookup *lookups; /* of one round */
	size_t lookup_n, lookup_open;

	/* of the kinds */
	struct spf_question *spf;
	bool has_needs, has_head, ended, told_end;
	bool stopped; /* it came to an end before anybody waits for it */
	bool refused;
	const void *early;
	const char *why;
	struct buf head; /* sign: the header while it comes */
	struct header_scan *scan;
	void (*more)(struct auth_sign *q);
	struct auth_sign *waiting_q;
	char domain[AUTH_NAME];
};

/* One that is over at once (job_fail comes) when there is no room for another: never NULL. */
struct job *job_new(struct auth *a, const struct job_kind *kind);
void job_open(struct job *j, struct op *op, void (*done)(struct op *)); /* somebody waits for it from now on */
/* The asker lets go of it, at any time; its op was cancelled if it was open. */
void job_release(struct job *j);

void job_clear_log(struct job *j);                          /* nothing that was sent matters any more */
struct buf *job_frame(struct job *j, enum frame_kind kind); /* then put values, then */
void job_send(struct job *j);                               /* may end in kind->fail, later */
void job_done(struct job *j);                               /* the op is finished at the end of this turn */
void job_stop(struct job *j);                               /* off its worker; job_done still has to come */
void job_fail(struct job *j, const char *why);              /* kind->fail, unless it is over */

/* Asks for all of them; kind->answered when there is an answer to each, or after `wait_ms` (the rest has failed). */
bool job_resolve(struct job *j, const struct needs *n, int64_t wait_ms);

const struct conf_auth *crew_conf(const struct auth *a);
struct auth_stats *crew_stats(struct auth *a);
struct loop *crew_loop(const struct auth *a);
/* So much is on its way that it should wait; an answer to one of its own frames is still to come. */
bool crew_backlog(const struct job *j);

#endif
