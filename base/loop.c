/* base/loop.c: THE libev file.  libev watches descriptors and sleeps; timers are ours (a heap with lazy moves), so that
 * time comes only from base/clock.c and the test gateway can move it. */
#include "base/loop.h"

#include "base/log.h"
#include "base/must.h"
#include "base/time.h"

#include <ev.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdlib.h>

enum { BUFFERS_KEPT = 64 };

struct loop {
	struct ev_loop *ev;
	ev_async wake;
	ev_prepare before;
	ev_timer alarm;
	int64_t now_ms;
	struct loop_timer **heap; /* min-heap on key_ms, 1-based through timer->at */
	size_t heap_n, heap_cap;
	struct loop_task *deferred, **deferred_end;
	pthread_mutex_t lock; /* guards posted */
	struct loop_task *posted, **posted_end;
	_Atomic bool stopping; /* without the lock: a signal handler may come while it is held */
	void **garbage;
	size_t garbage_n, garbage_cap;
	char *buffers[BUFFERS_KEPT];
	size_t buffer_n;
};

_Static_assert(sizeof(ev_io) <= sizeof(((struct loop_io *)0)->ev), "room for ev_io in struct loop_io");

static ev_io *io_ev(struct loop_io *io)
{
	return (ev_io *)(void *)io->ev;
}

/* ---- timers ---- */

static void heap_put(struct loop *l, size_t at, struct loop_timer *t)
{
	l->heap[at - 1] = t;
	t->at = at;
}

static void heap_up(struct loop *l, size_t at)
{
	struct loop_timer *t = l->heap[at - 1];

	for (; at > 1 && l->heap[at / 2 - 1]->key_ms > t->key_ms; at /= 2)
		heap_put(l, at, l->heap[at / 2 - 1]);
	heap_put(l, at, t);
}

static void heap_down(struct loop *l, size_t at)
{
	struct loop_timer *t = l->heap[at - 1];

	for (;;) {
		size_t child = at * 2;
		if (child > l->heap_n)
			break;
		if (child < l->heap_n && l->heap[child]->key_ms < l->heap[child - 1]->key_ms)
			child++;
		if (l->heap[child - 1]->key_ms >= t->key_ms)
			break;
		heap_put(l, at, l->heap[child - 1]);
		at = child;
	}
	heap_put(l, at, t);
}

static void heap_remove(struct loop *l, struct loop_timer *t)
{
	size_t at = t->at;
	struct loop_timer *last = l->heap[--l->heap_n];

	must(at >= 1 && at <= l->heap_n + 1);
	t->at = 0;
	if (last == t)
		return;
	heap_put(l, at, last);
	heap_down(l, at);
	heap_up(l, last->at);
}

void loop_timer_init(struct loop *l, struct loop_timer *t, void (*fn)(struct loop_timer *))
{
	*t = (struct loop_timer){ .fn = fn, .loop = l, .due_ms = INT64_MAX };
}

void loop_timer_set(struct loop_timer *t, int64_t in_ms)
{
	struct loop *l = t->loop;

	t->due_ms = l->now_ms + (in_ms < 0 ? 0 : in_ms);
	if (t->at != 0 && t->key_ms <= t->due_ms)
		return; /* lazily: fires early, sees that it is not due, goes back in */
	if (t->at != 0) {
		t->key_ms = t->due_ms;
		heap_up(l, t->at);
		return;
	}
	if (l->heap_n == l->heap_cap) {
		l->heap_cap = l->heap_cap == 0 ? 64 : l->heap_cap * 2;
		l->heap = realloc(l->heap, l->heap_cap * sizeof *l->heap);
		must(l->heap != NULL);
	}
	t->key_ms = t->due_ms;
	heap_put(l, ++l->heap_n, t);
	heap_up(l, l->heap_n);
}

void loop_timer_stop(struct loop_timer *t)
{
	if (t->at != 0)
		heap_remove(t->loop, t);
	t->due_ms = INT64_MAX;
}

/* In order of due times also when the clock jumped past many.  At most as many as there are now: a timer that its own
 * handler sets to 0 must not keep the loop from its descriptors. */
static void run_timers(struct loop *l)
{
	size_t most = l->heap_n;

	while (most > 0 && l->heap_n > 0 && l->heap[0]->key_ms <= l->now_ms) {
		struct loop_timer *t = l->heap[0];
		if (t->due_ms > t->key_ms) { /* was moved lazily */
			t->key_ms = t->due_ms;
			heap_down(l, 1);
			continue;
		}
		heap_remove(l, t);
		t->due_ms = INT64_MAX;
		t->fn(t);
		most--;
	}
}

/* ---- tasks, garbage, buffers ---- */

static void run_list(struct loop_task *task)
{
	while (task != NULL) {
		struct loop_task *next = task->next;
		task->next = NULL;
		task->fn(task);
		task = next;
	}
}

void loop_post(struct loop *l, struct loop_task *task)
{
	task->next = NULL;
	pthread_mutex_lock(&l->lock);
	bool first = l->posted == NULL;
	*l->posted_end = task;
	l->posted_end = &task->next;
	pthread_mutex_unlock(&l->lock);
	if (first)
		ev_async_send(l->ev, &l->wake);
}

static void run_posted(struct loop *l)
{
	pthread_mutex_lock(&l->lock);
	struct loop_task *list = l->posted;
	l->posted = NULL;
	l->posted_end = &l->posted;
	if (atomic_exchange(&l->stopping, false))
		ev_break(l->ev, EVBREAK_ALL);
	pthread_mutex_unlock(&l->lock);
	run_list(list);
}

void loop_defer(struct loop *l, struct loop_task *task)
{
	task->next = NULL;
	*l->deferred_end = task;
	l->deferred_end = &task->next;
}

static void run_deferred(struct loop *l)
{
	while (l->deferred != NULL) {
		struct loop_task *list = l->deferred;
		l->deferred = NULL;
		l->deferred_end = &l->deferred;
		run_list(list);
	}
}

void loop_free_later(struct loop *l, void *mem)
{
	if (l->garbage_n == l->garbage_cap) {
		l->garbage_cap = l->garbage_cap == 0 ? 64 : l->garbage_cap * 2;
		l->garbage = realloc(l->garbage, l->garbage_cap * sizeof *l->garbage);
		must(l->garbage != NULL);
	}
	l->garbage[l->garbage_n++] = mem;
}

static void free_garbage(struct loop *l)
{
	while (l->garbage_n > 0)
		free(l->garbage[--l->garbage_n]);
}

char *loop_buffer_take(struct loop *l)
{
	char *b = l->buffer_n > 0 ? l->buffers[--l->buffer_n] : malloc(LOOP_BUFFER);

	must(b != NULL);
	return b;
}

void loop_buffer_give(struct loop *l, char *buffer)
{
	if (l->buffer_n < BUFFERS_KEPT)
		l->buffers[l->buffer_n++] = buffer;
	else
		free(buffer);
}

/* ---- libev ---- */

static void on_wake(struct ev_loop *ev, ev_async *w, int revents)
{
	(void)w, (void)revents;
	struct loop *l = ev_userdata(ev);
	l->now_ms = clock_mono_ms();
	run_posted(l);
}

static void on_alarm(struct ev_loop *ev, ev_timer *w, int revents)
{
	(void)ev, (void)w, (void)revents; /* only ends the sleep: before_sleep runs the timers */
}

/* End of each turn: due timers, deferred work, memory, the log; then sleep no longer than the first timer allows. */
static void before_sleep(struct ev_loop *ev, ev_prepare *w, int revents)
{
	(void)w, (void)revents;
	struct loop *l = ev_userdata(ev);

	l->now_ms = clock_mono_ms();
	run_timers(l);
	run_deferred(l);
	free_garbage(l);
	int64_t log_ms = log_flush_in_time(l->now_ms);
	int64_t left = l->heap_n == 0 ? INT32_MAX : l->heap[0]->key_ms - l->now_ms;
	if (log_ms < left)
		left = log_ms;
	if (left < 0)
		left = 0;
	ev_now_update(ev);
	ev_timer_stop(ev, &l->alarm);
	ev_timer_set(&l->alarm, clock_wait_ms(left) / 1000.0, 0.0);
	ev_timer_start(ev, &l->alarm);
}

struct loop *loop_new(struct err *e)
{
	struct loop *l = calloc(1, sizeof *l);

	must(l != NULL);
	/* NOENV: a stray LIBEV_FLAGS must not pick another backend */
	l->ev = ev_loop_new(EVBACKEND_EPOLL | EVFLAG_NOENV);
	if (l->ev == NULL) {
		free(l);
		err_sys(e, ERR_SYSTEM, "loop.new", "cannot make an epoll loop");
		return NULL;
	}
	pthread_mutex_init(&l->lock, NULL);
	l->posted_end = &l->posted;
	l->deferred_end = &l->deferred;
	l->now_ms = clock_mono_ms();
	ev_set_userdata(l->ev, l);
	ev_async_init(&l->wake, on_wake);
	ev_async_start(l->ev, &l->wake);
	ev_prepare_init(&l->before, before_sleep);
	ev_prepare_start(l->ev, &l->before);
	ev_timer_init(&l->alarm, on_alarm, 0.0, 0.0);
	return l;
}

void loop_free(struct loop **lp)
{
	struct loop *l = *lp;

	if (l == NULL)
		return;
	run_posted(l);
	run_deferred(l);
	free_garbage(l);
	ev_loop_destroy(l->ev);
	pthread_mutex_destroy(&l->lock);
	while (l->buffer_n > 0)
		free(l->buffers[--l->buffer_n]);
	free(l->garbage);
	free(l->heap);
	free(l);
	*lp = NULL;
}

void loop_run(struct loop *l)
{
	ev_run(l->ev, 0);
}

void loop_stop(struct loop *l)
{
	l->stopping = true;
	ev_async_send(l->ev, &l->wake);
}

int64_t loop_now_ms(const struct loop *l)
{
	return l->now_ms;
}

static void on_io(struct ev_loop *ev, ev_io *w, int revents)
{
	struct loop_io *io = w->data;
	struct loop *l = ev_userdata(ev);

	l->now_ms = clock_mono_ms();
	io->fn(io, (revents & EV_READ ? LOOP_READ : 0U) | (revents & EV_WRITE ? LOOP_WRITE : 0U));
}

static int ev_wants(unsigned want)
{
	return (want & LOOP_READ ? EV_READ : 0) | (want & LOOP_WRITE ? EV_WRITE : 0);
}

void loop_io_start(struct loop *l, struct loop_io *io, int fd, unsigned want, void (*fn)(struct loop_io *, unsigned))
{
	must(fd >= 0 && fn != NULL);
	*io = (struct loop_io){ .fn = fn, .loop = l, .want = want };
	ev_io_init(io_ev(io), on_io, fd, ev_wants(want));
	io_ev(io)->data = io;
	if (want != 0)
		ev_io_start(l->ev, io_ev(io));
}

void loop_io_want(struct loop_io *io, unsigned want)
{
	must(io->loop != NULL);
	if (io->want == want)
		return;
	ev_io_stop(io->loop->ev, io_ev(io));
	ev_io_modify(io_ev(io), ev_wants(want));
	if (want != 0)
		ev_io_start(io->loop->ev, io_ev(io));
	io->want = want;
}

void loop_io_stop(struct loop_io *io)
{
	if (io->loop == NULL)
		return;
	ev_io_stop(io->loop->ev, io_ev(io));
	io->loop = NULL;
}
