/* auth/crew_inner.h: a worker as we see it, and all of them; between crew.c (workers) and crew_job.c (jobs), nobody
 * else's.
 *
 * Invariant: `fifo` of an end lists the jobs of all frames it was given and has not answered, in order; its first one
 * is what the worker is at. */
#ifndef AUTH_CREW_INNER_H
#define AUTH_CREW_INNER_H

#include "auth/crew.h"

enum {
	SLOTS = 4096,
	START_PAUSE_MS = 1000, /* before another one, when one could not start */
	REPLAYS_MAX = 3,
	IN_ROOM = 65536,
	BACKLOG = 4 * FRAME_CHUNK,
	JOBS_OF_END = 1000, /* messages beside each other in one worker; a question of SPF is over before it counts */
};

struct end {
	TAILQ_ENTRY(end) link;
	struct auth *auth;
	int fd;
	uint32_t number;
	struct loop_io io;
	struct loop_timer timer;  /* its next answer, or its first word */
	struct buf in, out, fifo; /* fifo: of uint32_t */
	size_t fifo_head;
	bool ready, retiring, dead;
	TAILQ_HEAD(, job) jobs;
	size_t job_n;
	uint64_t begun;
};

struct auth {
	struct loop *loop;
	struct dns *dns;
	struct conf_auth conf;
	size_t wanted, asked;
	int keeper;
	struct loop_io keeper_io;
	struct loop_timer pause; /* set: no order before it fires */
	bool closing;
	TAILQ_HEAD(, end) ends;
	TAILQ_HEAD(, job) waiting;
	struct job *slots[SLOTS];
	uint32_t next_id;
	uint64_t bytes; /* in logs and outs */
	struct auth_stats stats;
};

/* ---- crew.c ---- */

void end_give(struct end *e, struct job *j, struct str bytes); /* whole frames of job j */
void end_retire(struct end *e);                                /* once it is to go and has nothing left: it goes */
void crew_ensure(struct auth *a);                              /* as many workers as there should be */
void crew_hold(struct auth *a, int64_t bytes);                 /* so many more are in logs and outs */
void crew_count(uint64_t *n);

/* ---- crew_job.c ---- */

struct job *job_find(struct auth *a, uint32_t id);
bool job_is_cancelled(const struct job *j); /* its op was: nobody waits for it any more */
void job_leave(struct job *j);              /* off its worker, or those that wait */
void job_push(struct job *j);               /* what it has to tell goes to its worker; one is found if it has none */
void crew_hand_out(struct auth *a);         /* to those that wait */

#endif
