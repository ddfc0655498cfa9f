/* base/loop_test.c: timers, tasks, calls from other threads, late freeing. */
#include "base/loop.h"
#include "base/op.h"
#include "base/time.h"
#include "tests/unit.h"

#include <pthread.h>
#include <stdlib.h>
#include <sys/socket.h>
#include <unistd.h>

static struct loop *loop;

static int open_loop(void **state)
{
	(void)state;
	loop = loop_new(NULL);
	return loop == NULL ? -1 : 0;
}

static int close_loop(void **state)
{
	(void)state;
	loop_free(&loop);
	loop_free(&loop); /* harmless */
	return 0;
}

/* ---- timers ---- */

enum { TIMERS = 200 };

struct tick {
	struct loop_timer timer;
	int64_t set_ms, fired_ms;
	unsigned fired;
};

static struct tick ticks[TIMERS];
static unsigned ticked;
static int64_t last_due;

static void on_tick(struct loop_timer *t)
{
	struct tick *k = container_of(t, struct tick, timer);

	assert_false(loop_timer_is_set(t));
	assert_true(loop_now_ms(loop) >= k->set_ms); /* never early */
	assert_true(k->set_ms >= last_due);          /* in order */
	last_due = k->set_ms;
	k->fired++;
	ticked++;
}

static void on_end(struct loop_timer *t)
{
	(void)t;
	loop_stop(loop);
}

static void test_timers(void **state)
{
	struct loop_timer end;
	unsigned stopped = 0;

	(void)state;
	ticked = 0;
	last_due = 0;
	int64_t now = loop_now_ms(loop);
	for (unsigned i = 0; i < TIMERS; i++) {
		ticks[i].fired = 0;
		loop_timer_init(loop, &ticks[i].timer, on_tick);
		assert_false(loop_timer_is_set(&ticks[i].timer));
		loop_timer_set(&ticks[i].timer, (i * 37) % 23);
		if (i % 4 == 0) /* later: lazily */
			loop_timer_set(&ticks[i].timer, 23 + i % 5);
		if (i % 4 == 1) /* earlier */
			loop_timer_set(&ticks[i].timer, 1);
		ticks[i].set_ms = i % 4 == 0 ? now + 23 + i % 5 : i % 4 == 1 ? now + 1 : now + (i * 37) % 23;
		if (i % 7 == 3) {
			loop_timer_stop(&ticks[i].timer);
			loop_timer_stop(&ticks[i].timer);
			stopped++;
		}
	}
	loop_timer_init(loop, &end, on_end);
	loop_timer_set(&end, 40);
	loop_run(loop);
	assert_int_equal(ticked, TIMERS - stopped);
	for (unsigned i = 0; i < TIMERS; i++)
		assert_int_equal(ticks[i].fired, i % 7 == 3 ? 0 : 1);
}

struct eager {
	struct loop_timer timer;
	struct loop_io io;
	unsigned turns;
	int fd;
};

static void on_eager(struct loop_timer *t)
{
	struct eager *e = container_of(t, struct eager, timer);

	e->turns++;
	loop_timer_set(t, 0);
}

static void on_readable(struct loop_io *io, unsigned events)
{
	assert_int_equal(events, LOOP_READ);
	loop_stop(io->loop);
}

/* A timer that its handler sets to 0 again and again does not keep the loop from its descriptors. */
static void test_eager_timer(void **state)
{
	struct eager e = { 0 };
	int fd[2];

	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd), 0);
	loop_io_start(loop, &e.io, fd[0], LOOP_READ, on_readable);
	loop_timer_init(loop, &e.timer, on_eager);
	loop_timer_set(&e.timer, 0);
	assert_int_equal(write(fd[1], "x", 1), 1);
	loop_run(loop);
	assert_true(e.turns > 0);
	loop_timer_stop(&e.timer);
	loop_io_stop(&e.io);
	loop_io_stop(&e.io);
	close(fd[0]);
	close(fd[1]);
}

/* ---- tasks ---- */

struct note {
	struct loop_task task;
	char name;
};

static char notes[64];
static size_t note_n;
static struct note deeper = { .name = 'd' };

static void on_note(struct loop_task *task)
{
	struct note *n = container_of(task, struct note, task);

	notes[note_n++] = n->name;
	if (n->name == 'a')
		loop_defer(loop, &deeper.task); /* still this turn */
	if (n->name == 'z')
		loop_stop(loop);
}

static void test_defer_and_post(void **state)
{
	struct note a = { { on_note, NULL }, 'a' }, b = { { on_note, NULL }, 'b' };
	struct note p = { { on_note, NULL }, 'p' }, q = { { on_note, NULL }, 'q' }, z = { { on_note, NULL }, 'z' };

	(void)state;
	note_n = 0;
	deeper.task.fn = on_note;
	loop_defer(loop, &a.task);
	loop_defer(loop, &b.task);
	loop_post(loop, &p.task);
	loop_post(loop, &q.task);
	loop_post(loop, &z.task);
	loop_run(loop);
	check_str(str_n(notes, note_n), S("abdpqz"), "order");
}

enum { POSTS = 5000, THREADS = 3 };

struct poster {
	pthread_t thread;
	struct note notes[POSTS];
};

static unsigned posted;

static void on_posted(struct loop_task *task)
{
	(void)task;
	if (++posted == POSTS * THREADS)
		loop_stop(loop);
}

static void *post_all(void *arg)
{
	struct poster *p = arg;

	for (unsigned i = 0; i < POSTS; i++) {
		p->notes[i].task.fn = on_posted;
		loop_post(loop, &p->notes[i].task);
	}
	return NULL;
}

static void test_post_from_threads(void **state)
{
	static struct poster posters[THREADS];

	(void)state;
	posted = 0;
	for (size_t i = 0; i < THREADS; i++)
		pthread_create(&posters[i].thread, NULL, post_all, &posters[i]);
	loop_run(loop);
	for (size_t i = 0; i < THREADS; i++)
		pthread_join(posters[i].thread, NULL);
	assert_int_equal(posted, POSTS * THREADS);
}

/* ---- memory ---- */

static void on_last_look(struct loop_task *task)
{
	struct note *n = container_of(task, struct note, task);

	n->name = 'x'; /* the memory is still there: the sanitizer would tell */
	loop_stop(loop);
}

static void test_free_later(void **state)
{
	struct note *n = calloc(1, sizeof *n);

	(void)state;
	n->task.fn = on_last_look;
	loop_free_later(loop, n);
	loop_defer(loop, &n->task);
	for (int i = 0; i < 200; i++)
		loop_free_later(loop, malloc(10));
	loop_run(loop);
	loop_free_later(loop, malloc(10)); /* loop_free takes it along */
}

static void test_buffers(void **state)
{
	char *b[100];

	(void)state;
	for (size_t i = 0; i < COUNT(b); i++) {
		b[i] = loop_buffer_take(loop);
		b[i][0] = b[i][LOOP_BUFFER - 1] = 'x';
	}
	for (size_t i = 0; i < COUNT(b); i++)
		loop_buffer_give(loop, b[i]);
	char *again = loop_buffer_take(loop);
	loop_buffer_give(loop, again);
}

/* ---- operations ---- */

struct question {
	struct op op;
	unsigned done;
};

static void on_answer(struct op *op)
{
	container_of(op, struct question, op)->done++;
}

static void test_op(void **state)
{
	struct question q = { 0 };
	struct op *held = NULL;

	(void)state;
	assert_false(op_is_open(&q.op));
	op_start(&q.op, on_answer, &held);
	assert_true(op_is_open(&q.op) && held == &q.op);
	op_finish(&held);
	assert_true(q.done == 1 && held == NULL && !op_is_open(&q.op));
	op_finish(&held); /* nothing to finish */
	op_start(&q.op, on_answer, &held);
	op_cancel(&q.op);
	op_cancel(&q.op);
	assert_null(held);
	op_finish(&held);
	assert_int_equal(q.done, 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_timers, open_loop, close_loop),
		cmocka_unit_test_setup_teardown(test_eager_timer, open_loop, close_loop),
		cmocka_unit_test_setup_teardown(test_defer_and_post, open_loop, close_loop),
		cmocka_unit_test_setup_teardown(test_post_from_threads, open_loop, close_loop),
		cmocka_unit_test_setup_teardown(test_free_later, open_loop, close_loop),
		cmocka_unit_test_setup_teardown(test_buffers, open_loop, close_loop),
		cmocka_unit_test(test_op),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
