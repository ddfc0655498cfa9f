/* smtpd/hops.c: one question to each loop, one list of answers.
 *
 * The list is counted: who waits may give up while a loop still has its question.  Hops and connectors differ only in
 * what a row is and how two of a name add up; every row begins with its name. */
#include "smtpd/hops.h"

#include "base/must.h"
#include "base/op.h"

#include <errno.h>
#include <pthread.h>

enum { LOOP_ROWS = 200, WAIT_S = 1 };

struct kind {
	size_t row_size;
	size_t (*fetch)(const struct deliver *d, void *rows, size_t max);
	void (*add)(void *sum, const void *row);
};

struct gathering {
	pthread_mutex_t lock; /* the members below */
	pthread_cond_t answered;
	const struct kind *kind;
	size_t refs, waiting; /* holders of this; loops that have not answered */
	char *rows;
	size_t n, max;
};

struct question {
	struct loop_task task;
	struct gathering *g;
	const struct server *server;
};

/* ---- the kinds ---- */

static size_t fetch_hops(const struct deliver *d, void *rows, size_t max)
{
	return deliver_stats(d, rows, max);
}

static void add_hop(void *to, const void *from)
{
	struct hop_stats *sum = to;
	const struct hop_stats *row = from;

	sum->waiting += row->waiting;
	sum->open += row->open;
	sum->idle += row->idle;
	sum->window += row->window;
	sum->sent += row->sent;
	sum->deferred += row->deferred;
	sum->failed += row->failed;
	if (row->last_error[0] != '\0')
		memcpy(sum->last_error, row->last_error, sizeof sum->last_error);
}

static size_t fetch_connectors(const struct deliver *d, void *rows, size_t max)
{
	return deliver_connectors(d, rows, max);
}

static void add_connector(void *to, const void *from)
{
	struct connector_stats *sum = to;
	const struct connector_stats *row = from;

	sum->sent += row->sent;
	sum->deferred += row->deferred;
	sum->failed += row->failed;
	sum->unknown += row->unknown;
	for (size_t i = 0; i < sizeof sum->tls / sizeof sum->tls[0]; i++)
		sum->tls[i] += row->tls[i];
	for (size_t i = 0; i < AT_N; i++)
		sum->failed_at[i] += row->failed_at[i];
	for (size_t i = 0; i < WHY_N; i++)
		sum->failed_why[i] += row->failed_why[i];
	if (row->valid.checked_ms > sum->valid.checked_ms)
		sum->valid = row->valid;
	if (row->echo.checked_ms > sum->echo.checked_ms)
		sum->echo = row->echo;
	if (row->ok_ms > sum->ok_ms) {
		sum->ok_ms = row->ok_ms;
		memcpy(sum->last_tls, row->last_tls, sizeof sum->last_tls);
	}
	if (row->failed_ms > sum->failed_ms) {
		sum->failed_ms = row->failed_ms;
		memcpy(sum->last_error, row->last_error, sizeof sum->last_error);
	}
}

static size_t fetch_times(const struct deliver *d, void *rows, size_t max)
{
	return deliver_times(d, rows, max);
}

static void add_times(void *to, const void *from)
{
	struct hop_times *sum = to;
	const struct hop_times *row = from;

	histo_merge(&sum->sent, &row->sent);
	histo_merge(&sum->deferred, &row->deferred);
}

_Static_assert(offsetof(struct hop_stats, hop) == 0 && offsetof(struct hop_times, hop) == 0 &&
		       offsetof(struct connector_stats, name) == 0,
	       "a row begins with its name");
static const struct kind hops = { sizeof(struct hop_stats), fetch_hops, add_hop };
static const struct kind connectors = { sizeof(struct connector_stats), fetch_connectors, add_connector };

static const struct kind times = { sizeof(struct hop_times), fetch_times, add_times };

/* ---- asking ---- */

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

static void add_row(struct gathering *g, const char *row)
{
	size_t size = g->kind->row_size;

	for (size_t i = 0; i < g->n; i++)
		if (strcmp(g->rows + i * size, row) == 0) {
			g->kind->add(g->rows + i * size, row);
			return;
		}
	if (g->n < g->max)
		memcpy(g->rows + g->n++ * size, row, size);
}

static void answer(struct loop_task *task)
{
	struct question *q = container_of(task, struct question, task);
	struct gathering *g = q->g;
	char *rows = calloc(LOOP_ROWS, g->kind->row_size);
	size_t n;

	must(rows != NULL);
	n = q->server->deliver != NULL ? g->kind->fetch(q->server->deliver, rows, LOOP_ROWS) : 0;
	pthread_mutex_lock(&g->lock);
	for (size_t i = 0; i < n && i < LOOP_ROWS; i++)
		add_row(g, rows + i * g->kind->row_size);
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

static size_t gather(const struct kind *kind, struct server *const servers[], size_t n, void *rows, size_t max)
{
	struct gathering *g = calloc(1, sizeof *g);
	struct timespec until;

	must(g != NULL);
	pthread_mutex_init(&g->lock, NULL);
	pthread_cond_init(&g->answered, NULL);
	g->refs = 1;
	g->kind = kind;
	g->max = max;
	g->rows = calloc(max + 1, kind->row_size);
	must(g->rows != NULL);
	pthread_mutex_lock(&g->lock);
	for (size_t i = 0; i < n; i++)
		ask(g, servers[i]);
	clock_gettime(CLOCK_REALTIME, &until); /* what a condition variable waits by; nothing is dated with it */
	until.tv_sec += WAIT_S;
	while (g->waiting > 0 && pthread_cond_timedwait(&g->answered, &g->lock, &until) != ETIMEDOUT)
		;
	size_t found = g->n;
	memcpy(rows, g->rows, found * kind->row_size);
	gathering_unref(g);
	return found;
}

size_t hops_gather(struct server *const servers[], size_t n, struct hop_stats *rows, size_t max)
{
	return gather(&hops, servers, n, rows, max);
}

size_t times_gather(struct server *const servers[], size_t n, struct hop_times *rows, size_t max)
{
	return gather(&times, servers, n, rows, max);
}

size_t connectors_gather(struct server *const servers[], size_t n, struct connector_stats *rows, size_t max)
{
	return gather(&connectors, servers, n, rows, max);
}
