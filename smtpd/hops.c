/* smtpd/hops.c: one question to each loop, one list of answers.
 *
 * The list is counted: who waits may give up while a loop still has its question. */
#include "smtpd/hops.h"

#include "base/must.h"
#include "base/op.h"

#include <errno.h>
#include <pthread.h>

enum { LOOP_ROWS = 200, WAIT_S = 1 };

struct gathering {
	pthread_mutex_t lock; /* the members below */
	pthread_cond_t answered;
	size_t refs, waiting; /* holders of this; loops that have not answered */
	struct hop_stats *rows;
	size_t n, max;
};

struct question {
	struct loop_task task;
	struct gathering *g;
	const struct server *server;
};

/* Takes the lock along. */
static void gathering_unref(struct gathering *g)
{
	bool last = --g->refs == 0;

	pthread_mutex_unlock(&g->lock);
	if (!last)
		return;
	pthread_mutex_destroy(&g->lock);
	pthread_cond_destroy(&g->answered);
	free(g->rows);
	free(g);
}

static void add_row(struct gathering *g, const struct hop_stats *row)
{
	for (size_t i = 0; i < g->n; i++) {
		struct hop_stats *sum = &g->rows[i];
		if (strcmp(sum->hop, row->hop) != 0)
			continue;
		sum->waiting += row->waiting;
		sum->open += row->open;
		sum->idle += row->idle;
		sum->sent += row->sent;
		sum->deferred += row->deferred;
		sum->failed += row->failed;
		if (row->last_error[0] != '\0')
			memcpy(sum->last_error, row->last_error, sizeof sum->last_error);
		return;
	}
	if (g->n < g->max)
		g->rows[g->n++] = *row;
}

static void answer(struct loop_task *task)
{
	struct question *q = container_of(task, struct question, task);
	struct gathering *g = q->g;
	struct hop_stats *rows = calloc(LOOP_ROWS, sizeof *rows);
	size_t n;

	must(rows != NULL);
	n = q->server->deliver != NULL ? deliver_stats(q->server->deliver, rows, LOOP_ROWS) : 0;
	pthread_mutex_lock(&g->lock);
	for (size_t i = 0; i < n && i < LOOP_ROWS; i++)
		add_row(g, &rows[i]);
	g->waiting--;
	pthread_cond_signal(&g->answered);
	gathering_unref(g);
	free(rows);
	free(q);
}

static void ask(struct gathering *g, const struct server *s)
{
	struct question *q = calloc(1, sizeof *q);

	must(q != NULL);
	q->task.fn = answer;
	q->g = g;
	q->server = s;
	g->refs++;
	g->waiting++;
	loop_post(s->loop, &q->task);
}

size_t hops_gather(struct server *const servers[], size_t n, struct hop_stats *rows, size_t max)
{
	struct gathering *g = calloc(1, sizeof *g);
	struct timespec until;

	must(g != NULL);
	pthread_mutex_init(&g->lock, NULL);
	pthread_cond_init(&g->answered, NULL);
	g->refs = 1;
	g->max = max;
	g->rows = calloc(max + 1, sizeof *g->rows);
	must(g->rows != NULL);
	pthread_mutex_lock(&g->lock);
	for (size_t i = 0; i < n; i++)
		ask(g, servers[i]);
	clock_gettime(CLOCK_REALTIME, &until); /* what a condition variable waits by; nothing is dated with it */
	until.tv_sec += WAIT_S;
	while (g->waiting > 0 && pthread_cond_timedwait(&g->answered, &g->lock, &until) != ETIMEDOUT)
		;
	size_t found = g->n;
	memcpy(rows, g->rows, found * sizeof *rows);
	gathering_unref(g);
	return found;
}
