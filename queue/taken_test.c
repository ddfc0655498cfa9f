/* queue/taken_test.c: a message goes from one queue to another: nothing of its state is lost, and it comes only once.
 */
#include "tests/queue_rig.h"

#include <signal.h>
#include <sys/wait.h>

enum { HOUR_MS = 3600000 };

/* Two recipients: one tried three times, one on hold. */
static struct queue_past pasts[2];
static int64_t arrived_ms;

static void fill_pasts(uint32_t number)
{
	pasts[0] = (struct queue_past){ .number = number,
					.delay_told = true,
					.note = 5,
					.attempts = 3,
					.due_ms = clock_wall_ms() + HOUR_MS,
					.last = S("451 4.2.1 busy") };
	pasts[1] = (struct queue_past){ .number = number + 7, .held = true, .due_ms = clock_wall_ms() };
}

static void start_take(struct rig *r, struct rig_commit *c, uint64_t source_id, uint32_t number, size_t size)
{
	struct envelope env = { .from = S("from@src.example"),
				.trace_id = S("trace"),
				.arrived_ms = arrived_ms,
				.rcpts = rig_rcpts,
				.rcpt_n = 2 };
	struct err e;
	struct spool *s = spool_begin(r->port, &e);

	assert_non_null(s);
	for (size_t i = 0; i < size; i++) {
		char byte = rig_content_at(i);
		assert_int_equal(spool_write(s, str_n(&byte, 1), &e), 0);
	}
	*c = (struct rig_commit){ .rig = r };
	r->commits_open++;
	fill_pasts(number);
	spool_take_over(&s, &env, source_id, pasts, &c->commit, rig_on_commit);
}

static bool take(struct rig *r, uint64_t source_id, uint32_t number, size_t size, struct err *e)
{
	struct rig_commit c;

	start_take(r, &c, source_id, number, size);
	rig_until(r, rig_committed);
	*e = c.commit.err;
	return c.commit.ok;
}

static void rig_open_strict(struct rig *r)
{
	r->conf.retry.max_ms = 4 * HOUR_MS;
	rig_open(r);
	arrived_ms = clock_wall_ms() - HOUR_MS;
}

static void check_lease(struct rig *r, size_t size)
{
	struct lease *l = r->leases[0];

	assert_true(l->env.arrived_ms == arrived_ms && l->rcpt_n == 1 && l->rcpts[0].index == 0);
	assert_true(l->rcpts[0].attempts == 3 && l->rcpts[0].delay_told && l->rcpts[0].note == 5);
	check_str(l->rcpts[0].last, S("451 4.2.1 busy"), "last");
	assert_int_equal(l->size, size);
	rig_check_content(l->content, 0);
}

/* Nobody tries it before its time, or at all while it is held; the attempts made elsewhere count. */
static void goes_on(struct rig *r, size_t size, bool restart)
{
	struct err e;

	rig_open_strict(r);
	assert_true(take(r, 77, 0, size, &e));
	rig_until(r, rig_idle);
	assert_true(r->lease_n == 0 && rig_stats(r).deferred == 1 && rig_stats(r).recipients == 2);
	if (restart) {
		rig_close(r);
		rig_check(r);
		rig_open(r);
	}
	rig_clock_ms += HOUR_MS + 1000;
	rig_until(r, rig_leased);
	check_lease(r, size);
	rig_settle(r, 0, OUTCOME_DELIVERED, 0);
	rig_until(r, rig_idle);
	assert_true(rig_stats(r).recipients == 1 && rig_stats(r).deferred == 0);
	rig_close(r);
	rig_check(r);
}

static void test_goes_on(void **state)
{
	goes_on(*state, 5000, false);
}

static void test_goes_on_after_restart(void **state)
{
	goes_on(*state, 5000, true);
}

static bool is_refused(struct rig *r, uint64_t source_id, uint32_t number)
{
	struct err e = { 0 };

	return !take(r, source_id, number, 10, &e) && e.code == ERR_TAKEN;
}

static void test_only_once(void **state)
{
	struct rig *r = *state;
	struct rig_commit c[2];
	struct err e;

	rig_open_strict(r);
	start_take(r, &c[0], 77, 0, 10);
	start_take(r, &c[1], 77, 0, 40000); /* at the same time, and big */
	rig_until(r, rig_committed);
	assert_true(c[0].commit.ok != c[1].commit.ok);
	assert_true(is_refused(r, 77, 0) && is_refused(r, 77, 7)); /* all of it; 7 is the other one's number */
	assert_true(take(r, 77, 20, 10, &e) && take(r, 78, 0, 10, &e));
	rig_until(r, rig_idle);
	assert_true(is_refused(r, 77, 0) && is_refused(r, 78, 0));
	rig_close(r);
	rig_check(r);
	rig_open_strict(r);
	assert_true(is_refused(r, 77, 0) && rig_stats(r).messages == 3);
	rig_clock_ms += QUEUE_TAKEN_MS + 1000; /* no backup is so old */
	assert_true(is_refused(r, 77, 0));
	rig_close(r);
	rig_open_strict(r);
	assert_true(take(r, 77, 0, 10, &e));
	rig_close(r);
	rig_check(r);
}

/* What waits here and was never removed is not taken back in. */
static void test_not_from_ourselves(void **state)
{
	struct rig *r = *state;
	struct err e;

	r->conf.active_max = 0;
	rig_open_strict(r);
	uint64_t id = rig_accept(r, 100, 2);
	assert_true(is_refused(r, id, 0)); /* the index does not know it yet */
	rig_until(r, rig_idle);
	assert_true(is_refused(r, id, 1));
	assert_true(take(r, id, 2, 10, &e)); /* no such recipient here: it was of another message */
	rig_close(r);
	rig_check(r);
}

/* kill -9 between the sync and the next checkpoint: the log is the memory. */
static void test_remembered_by_the_log(void **state)
{
	struct rig *r = *state;
	int status;

	r->conf.checkpoint_ms = 60000;
	arrived_ms = clock_wall_ms() - HOUR_MS;
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		struct rig_commit c;
		rig_open_strict(r);
		rig_fault("queue.complete:1:kill");
		start_take(r, &c, 77, 0, 5000);
		rig_until(r, rig_committed); /* does not return */
		_exit(0);
	}
	assert_true(waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	rig_check(r);
	int64_t before_ms = arrived_ms;
	rig_open_strict(r);
	arrived_ms = before_ms;
	assert_int_equal(r->found.messages, 1);
	assert_true(is_refused(r, 77, 0));
	rig_until(r, rig_idle);
	assert_int_equal(r->lease_n, 0);
	rig_clock_ms += HOUR_MS + 1000;
	rig_until(r, rig_leased);
	assert_true(r->leases[0]->rcpts[0].attempts == 3);
	rig_close(r);
	rig_check(r);
}

static bool rig_accepts(struct rig *r)
{
	return !rig_stats(r).read_only;
}

/* A group that could not be written was not taken: the next try is admitted. */
static void test_failed_is_forgotten(void **state)
{
	struct rig *r = *state;
	struct err e;

	rig_open_strict(r);
	rig_fault("queue.group_write:1:enospc");
	assert_true(!take(r, 77, 0, 10, &e) && e.code == ERR_NO_SPACE);
	rig_until(r, rig_accepts);
	assert_true(take(r, 77, 0, 10, &e));
	assert_int_equal(rig_stats(r).messages, 1);
	rig_close(r);
	rig_check(r);
}

/* ---- the reader ---- */

static void read_all(struct queue_reader *rd, size_t size)
{
	static char block[QUEUE_READER_BLOCK];
	struct err e = { 0 };
	size_t at = 0;
	ssize_t n;

	while ((n = queue_reader_read(rd, block, &e)) > 0) {
		rig_check_content(str_n(block, (size_t)n), at);
		at += (size_t)n;
	}
	assert_true(n == 0 && at == size);
}

static void test_reader(void **state)
{
	static const size_t sizes[] = { 0, 5000, 300000, 2 * QUEUE_READER_BLOCK };
	struct rig *r = *state;
	uint64_t ids[COUNT(sizes)];
	struct queue_kept k;
	struct err e = { 0 };

	r->conf.active_max = 0;
	rig_open_strict(r);
	for (size_t i = 0; i < COUNT(sizes); i++)
		ids[i] = rig_accept(r, sizes[i], 3);
	assert_true(take(r, 77, 0, 10, &e));
	rig_close(r);
	struct queue_reader *rd = queue_reader_open(r->path, &e);
	assert_non_null(rd);
	for (size_t i = 0; i < COUNT(sizes); i++) {
		assert_int_equal(queue_reader_get(rd, ids[i], &k, &e), 0);
		assert_true(k.size == sizes[i] && k.env.rcpt_n == 3 && k.past_n == 3 && k.past[2].number == 2);
		check_str(k.env.rcpts[1].addr, S("two@b.example"), "address");
		read_all(rd, sizes[i]);
	}
	for (uint64_t id = ids[3] + 1; queue_reader_get(rd, id, &k, &e) != 0; id++)
		assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_true(k.past_n == 2 && k.past[0].attempts == 3 && k.past[0].due_ms == pasts[0].due_ms && k.past[1].held);
	check_str(k.past[0].last, S("451 4.2.1 busy"), "last");
	queue_reader_close(&rd);
	assert_null(queue_reader_open("/nowhere", &e));
	assert_int_equal(e.code, ERR_NOT_FOUND);
}

/* One byte of a big file turns: the reader says so instead of handing it on. */
static void test_reader_damage(void **state)
{
	static char block[QUEUE_READER_BLOCK];
	struct rig *r = *state;
	struct queue_kept k;
	struct err e = { 0 };
	struct buf name;
	ssize_t n;

	r->conf.active_max = 0;
	rig_open_strict(r);
	uint64_t id = rig_accept(r, 300000, 1);
	rig_close(r);
	buf_init(&name, 300);
	buf_addf(&name, "%s/big/", r->path);
	queue_put_id(&name, id);
	int fd = open(buf_cstr(&name), O_WRONLY);
	assert_true(fd >= 0 && pwrite(fd, "!", 1, 299999) == 1);
	close(fd);
	buf_fini(&name);
	struct queue_reader *rd = queue_reader_open(r->path, &e);
	assert_int_equal(queue_reader_get(rd, id, &k, &e), 0);
	while ((n = queue_reader_read(rd, block, &e)) > 0)
		;
	assert_true(n < 0 && e.code == ERR_CORRUPT);
	queue_reader_close(&rd);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_goes_on, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_goes_on_after_restart, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_only_once, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_not_from_ourselves, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_remembered_by_the_log, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_failed_is_forgotten, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_reader, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_reader_damage, rig_setup, rig_teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
