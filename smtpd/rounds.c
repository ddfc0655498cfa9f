/* smtpd/rounds.c: a timer on the loop, a look on a worker thread, and so on. */
#include "smtpd/rounds.h"

#include "base/log.h"
#include "base/must.h"
#include "base/op.h"
#include "smtpd/control_worker.h"

#include <stdlib.h>

struct rounds {
	struct rounds_options o;
	struct worker *worker; /* NULL: stopping */
	struct loop_timer timer;
	struct worker_job job;
	struct loop_task kick;
	bool kicked; /* the task is on its way; atomic */
	bool looking, again;
	int64_t began_ms; /* loop time */
};

static void look(struct worker_job *job)
{
	struct rounds *r = container_of(job, struct rounds, job);

	r->o.look(r->o.arg);
	log_flush();
}

static void begin(struct rounds *r)
{
	must(!r->looking);
	r->looking = true;
	r->again = false;
	r->began_ms = loop_now_ms(r->o.loop);
	worker_add(r->worker, &r->job);
}

static void on_looked(struct worker_job *job)
{
	struct rounds *r = container_of(job, struct rounds, job);

	r->looking = false;
	if (r->worker == NULL)
		return;
	if (r->o.looked != NULL)
		r->o.looked(r->o.arg);
	if (r->again) {
		begin(r);
		return;
	}
	int64_t next_ms = r->began_ms + r->o.every_ms - loop_now_ms(r->o.loop);
	loop_timer_set(&r->timer, next_ms > 0 ? next_ms : 0);
}

static void on_timer(struct loop_timer *t)
{
	begin(container_of(t, struct rounds, timer));
}

static void on_kick(struct loop_task *task)
{
	struct rounds *r = container_of(task, struct rounds, kick);

	__atomic_store_n(&r->kicked, false, __ATOMIC_RELEASE);
	if (r->worker == NULL) { /* stopped: the task was the last to know us */
		free(r);
		return;
	}
	loop_timer_stop(&r->timer);
	r->again = true;
	if (!r->looking)
		begin(r);
}

void rounds_kick(struct rounds *r)
{
	if (!__atomic_exchange_n(&r->kicked, true, __ATOMIC_ACQ_REL))
		loop_post(r->o.loop, &r->kick);
}

struct rounds *rounds_start(const struct rounds_options *o, struct err *e)
{
	struct rounds *r = calloc(1, sizeof *r);

	must(r != NULL);
	r->o = *o;
	r->job = (struct worker_job){ .run = look, .done = on_looked };
	r->kick.fn = on_kick;
	r->worker = worker_start(o->loop, e);
	if (r->worker == NULL) {
		free(r);
		return NULL;
	}
	loop_timer_init(o->loop, &r->timer, on_timer);
	begin(r);
	return r;
}

void rounds_stop(struct rounds **rp)
{
	struct rounds *r = *rp;
	struct worker *worker;

	*rp = NULL;
	if (r == NULL)
		return;
	loop_timer_stop(&r->timer);
	worker = r->worker;
	r->worker = NULL;
	worker_stop(&worker);
	if (!__atomic_load_n(&r->kicked, __ATOMIC_ACQUIRE))
		free(r); /* else on_kick does */
}
