/* queue/poison_test.c: a message that ends the process twice is put aside; the others flow; an innocent one is not. */
#include "tests/queue_rig.h"

#include <signal.h>
#include <sys/wait.h>

static uint64_t held_id;

/* One life of a process: opens the queue and dies while it works on the first message it is handed. */
static void die_working(struct rig *r, size_t messages)
{
	pid_t child = fork();
	int status;

	if (child == 0) {
		struct rig_commit c[2];
		rig_fault("queue.working:1:kill");
		rig_open(r);
		for (size_t i = 0; i < messages; i++)
			rig_send(r, &c[i], 100, 2);
		rig_until(r, rig_leased); /* does not return */
		_exit(0);
	}
	assert_true(waitpid(child, &status, 0) == child && WIFSIGNALED(status) && WTERMSIG(status) == SIGKILL);
	rig_check(r);
}

static struct queue_query query;

static void on_rows(struct op *op)
{
	(void)op;
}

static bool rig_answered(struct rig *r)
{
	(void)r;
	return !op_is_open(&query.op);
}

/* How many recipients are in that state; remembers the message of the last. */
static size_t count_state(struct rig *r, enum queue_state state)
{
	const struct queue_filter all = { 0 };
	size_t n = 0;

	queue_query(r->port, &all, &query, on_rows);
	rig_until(r, rig_answered);
	assert_true(query.ok);
	for (size_t i = 0; i < query.row_n; i++)
		if (query.rows[i].state == state) {
			held_id = query.rows[i].id;
			n++;
			assert_true(state != QUEUE_POISON || str_find(query.rows[i].last, S("twice")) >= 0);
		}
	queue_query_fini(&query);
	return n;
}

static struct queue_order order;

static bool rig_obeyed(struct rig *r)
{
	(void)r;
	return !op_is_open(&order.op);
}

static bool rig_two_leases(struct rig *r)
{
	return r->lease_n >= 2;
}

static void test_two_crashes(void **state)
{
	struct rig *r = *state;

	die_working(r, 1);
	die_working(r, 0);
	rig_open(r);
	assert_int_equal(r->found.poison, 1);
	assert_int_equal(count_state(r, QUEUE_POISON), 2);
	uint64_t other = rig_accept(r, 100, 1); /* everything else flows */
	rig_until(r, rig_leased);
	assert_true(r->lease_n == 1 && r->leases[0]->id == other && other != held_id);
	rig_settle(r, 0, OUTCOME_DELIVERED, 0);
	rig_until(r, rig_idle);
	rig_close(r);
	rig_check(r);

	rig_open(r); /* it stays aside, and is not counted again */
	assert_int_equal(r->found.poison, 0);
	assert_int_equal(count_state(r, QUEUE_POISON), 2);
	const struct queue_filter f = { .id = held_id };
	queue_order(r->port, &f, QUEUE_RELEASE, false, &order, on_rows);
	rig_until(r, rig_obeyed);
	assert_int_equal(order.recipients, 2);
	rig_until(r, rig_leased);
	assert_true(r->leases[0]->id == held_id && r->leases[0]->rcpt_n == 2);
	rig_settle(r, 0, OUTCOME_DELIVERED, 0);
	rig_until(r, rig_empty);
	rig_close(r);
	rig_check(r);
}

/* A crash, then a life without one: two crashes in all are needed, whenever they come; one is none. */
static void test_one_crash(void **state)
{
	struct rig *r = *state;

	die_working(r, 2);
	rig_open(r);
	assert_int_equal(r->found.poison, 0);
	rig_until(r, rig_two_leases);
	rig_settle(r, 0, OUTCOME_DELIVERED, 0);
	rig_settle(r, 1, OUTCOME_DEFERRED, 3600 * 1000);
	rig_until(r, rig_idle);
	rig_close(r);
	rig_open(r); /* closed in order: nothing to count */
	assert_int_equal(r->found.poison, 0);
	assert_int_equal(count_state(r, QUEUE_DEFERRED), 2);
	rig_close(r);
	rig_check(r);
}

/* What the file says when the power went, or somebody wrote it, is believed only as far as it goes. */
static void test_rubbish(void **state)
{
	struct rig *r = *state;
	char path[200], bytes[600];

	rig_open(r);
	rig_close(r);
	snprintf(path, sizeof path, "%s/working", r->path);
	for (size_t n = 0; n <= sizeof bytes; n += 100) {
		memset(bytes, (int)n, sizeof bytes);
		memcpy(bytes, "tbwork1", 8);
		int fd = open(path, O_WRONLY | O_TRUNC | O_CLOEXEC);
		assert_true(fd >= 0 && write(fd, bytes, n) == (ssize_t)n);
		close(fd);
		rig_open(r);
		assert_int_equal(r->found.poison, 0);
		rig_close(r);
		rig_check(r);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_two_crashes, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_one_crash, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_rubbish, rig_setup, rig_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
