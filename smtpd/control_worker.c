/* smtpd/control_worker.c: a queue of jobs, a list of finished ones, one wake-up posted to the loop.
 *
 * The wake-up task is owned by the loop from loop_post until it ran, so the worker's memory stays until then:
 * worker_stop leaves the freeing to a task that is still on its way (loop_free runs what is posted). */
#include "smtpd/control_worker.h"

#include "base/must.h"
#include "base/op.h"

#include <errno.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>

struct job_list {
	struct worker_job *first, **end;
};

struct worker {
	struct loop *loop;
	struct loop_task wake;
	pthread_t thread;
	pthread_mutex_t lock; /* the members below */
	pthread_cond_t more;
	struct job_list waiting, finished;
	bool stopping, posted;
	bool stopped; /* loop thread only: the wake-up on its way frees us */
};

static void list_init(struct job_list *l)
{
	l->first = NULL;
	l->end = &l->first;
}

static void list_add(struct job_list *l, struct worker_job *job)
{
	job->next = NULL;
	*l->end = job;
	l->end = &job->next;
}

static struct worker_job *list_take(struct job_list *l)
{
	struct worker_job *job = l->first;

	if (job != NULL && (l->first = job->next) == NULL)
		l->end = &l->first;
	return job;
}

static void *work(void *arg)
{
	struct worker *w = arg;

	pthread_mutex_lock(&w->lock);
	for (;;) {
		struct worker_job *job;

		while (!w->stopping && w->waiting.first == NULL)
			pthread_cond_wait(&w->more, &w->lock);
		if (w->stopping)
			break;
		job = list_take(&w->waiting);
		pthread_mutex_unlock(&w->lock);
		job->ran = true;
		job->run(job);
		pthread_mutex_lock(&w->lock);
		list_add(&w->finished, job);
		if (!w->posted)
			loop_post(w->loop, &w->wake);
		w->posted = true;
	}
	pthread_mutex_unlock(&w->lock);
	return NULL;
}

static void free_worker(struct worker *w)
{
	pthread_cond_destroy(&w->more);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

static void on_wake(struct loop_task *task)
{
	struct worker *w = container_of(task, struct worker, wake);
	struct worker_job *job, *next;

	if (w->stopped) {
		free_worker(w);
		return;
	}
	pthread_mutex_lock(&w->lock);
	job = w->finished.first;
	list_init(&w->finished);
	w->posted = false;
	pthread_mutex_unlock(&w->lock);
	for (; job != NULL; job = next) {
		next = job->next;
		job->done(job);
	}
}

struct worker *worker_start(struct loop *l, struct err *e)
{
	struct worker *w = calloc(1, sizeof *w);
	sigset_t all, before;

	must(w != NULL);
	w->loop = l;
	w->wake.fn = on_wake;
	list_init(&w->waiting);
	list_init(&w->finished);
	pthread_mutex_init(&w->lock, NULL);
	pthread_cond_init(&w->more, NULL);
	/* signals are for the main thread */
	sigfillset(&all);
	pthread_sigmask(SIG_SETMASK, &all, &before);
	errno = pthread_create(&w->thread, NULL, work, w);
	pthread_sigmask(SIG_SETMASK, &before, NULL);
	if (errno != 0) {
		err_sys(e, ERR_SYSTEM, "control.worker", "cannot start the thread");
		free_worker(w);
		return NULL;
	}
	return w;
}

void worker_add(struct worker *w, struct worker_job *job)
{
	must(job->run != NULL && job->done != NULL);
	pthread_mutex_lock(&w->lock);
	list_add(&w->waiting, job);
	pthread_cond_signal(&w->more);
	pthread_mutex_unlock(&w->lock);
}

void worker_stop(struct worker **wp)
{
	struct worker *w = *wp;
	struct worker_job *job;

	if (w == NULL)
		return;
	*wp = NULL;
	pthread_mutex_lock(&w->lock);
	w->stopping = true;
	pthread_cond_signal(&w->more);
	pthread_mutex_unlock(&w->lock);
	pthread_join(w->thread, NULL);
	while ((job = list_take(&w->finished)) != NULL)
		job->done(job);
	while ((job = list_take(&w->waiting)) != NULL)
		job->done(job);
	if (w->posted)
		w->stopped = true;
	else
		free_worker(w);
}
