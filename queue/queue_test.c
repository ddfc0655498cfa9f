/* queue/queue_test.c: the life of messages in a real queue: delivered, deferred, big, held back by limits, returned. */
#include "tests/queue_rig.h"

static void test_fresh_lease(void **state)
{
	struct rig *r = *state;

	rig_open(r);
	uint64_t id = rig_accept(r, 10240, 2);
	rig_until(r, rig_leased);
	struct lease *l = r->leases[0];
	assert_true(l->id == id && l->size == 10240 && l->content.n == 10240 && l->rcpt_n == 2);
	rig_check_content(l->content, 0);
	check_str(l->env.from, S("from@src.example"), "from");
	check_str(l->env.rcpts[1].addr, S("two@b.example"), "rcpt");
	assert_true(l->rcpts[1].index == 1 && l->rcpts[1].attempts == 0 && l->rcpts[1].last.n == 0);
	assert_true(rig_stats(r).leased == 1 && rig_stats(r).recipients == 2);
	rig_settle(r, 0, OUTCOME_DELIVERED, 0);
	rig_until(r, rig_empty);
	assert_true(rig_stats(r).delivered == 2 && rig_stats(r).accepted == 1 && rig_stats(r).bytes == 0);
	rig_close(r);
	rig_check(r);
	rig_open(r);
	assert_int_equal(r->found.messages, 0);
	rig_close(r);
}

static void test_empty_message(void **state)
{
	struct rig *r = *state;

	rig_open(r);
	rig_accept(r, 0, 1);
	rig_until(r, rig_leased);
	assert_true(r->leases[0]->content.p != NULL && r->leases[0]->content.n == 0);
	rig_settle(r, 0, OUTCOME_FAILED, 0);
	rig_until(r, rig_empty);
	assert_int_equal(rig_stats(r).failed, 1);
	rig_close(r);
	rig_check(r);
}

static void test_abort(void **state)
{
	struct rig *r = *state;
	struct spool *none = NULL, *s;
	struct err e;

	rig_open(r);
	spool_abort(&none);
	s = spool_begin(r->port, &e);
	assert_int_equal(spool_write(s, S("x"), &e), 0);
	assert_int_equal(spool_size(s), 1);
	spool_abort(&s);
	assert_null(s);
	assert_true(rig_empty(r));
	rig_close(r);
	rig_check(r);
}

static void test_deferred_comes_from_disk(void **state)
{
	struct rig *r = *state;

	rig_open(r);
	rig_accept(r, 5000, 1);
	rig_until(r, rig_leased);
	rig_settle(r, 0, OUTCOME_DEFERRED, 60000);
	rig_until(r, rig_idle);
	assert_true(r->lease_n == 1 && rig_stats(r).deferred == 1);
	rig_clock_ms += 59000;
	rig_until(r, rig_idle);
	assert_int_equal(r->lease_n, 1);
	rig_clock_ms += 1100;
	r->lease_n = 0;
	rig_until(r, rig_leased);
	struct lease *l = r->leases[0];
	assert_true(l->rcpts[0].attempts == 1 && l->content.n == 5000);
	check_str(l->rcpts[0].last, S("451 4.2.1 later"), "last");
	rig_check_content(l->content, 0);
	rig_settle(r, 0, OUTCOME_DELIVERED, 0);
	rig_until(r, rig_empty);
	assert_int_equal(rig_stats(r).deferred, 0);
	rig_close(r);
	rig_check(r);
}

/* One outcome each: only the deferred recipient is tried again. */
static void test_recipients_part(void **state)
{
	struct rig *r = *state;
	struct outcome o[3] = {
		{ .index = 0, .kind = OUTCOME_DELIVERED },
		{ .index = 1, .kind = OUTCOME_DEFERRED, .delay_told = true, .note = 2, .text = S("why") },
		{ .index = 2, .kind = OUTCOME_FAILED }
	};

	rig_open(r);
	rig_accept(r, 100, 3);
	rig_until(r, rig_leased);
	o[1].due_ms = clock_wall_ms() + 1000;
	lease_settle(&r->leases[0], o, 3);
	rig_until(r, rig_idle);
	assert_true(rig_stats(r).recipients == 1 && rig_stats(r).messages == 1);
	rig_close(r);
	rig_check(r);
	rig_open(r);
	rig_clock_ms += 1100;
	rig_until(r, rig_leased);
	struct lease *l = r->leases[0];
	assert_true(l->rcpt_n == 1 && l->rcpts[0].index == 1 && l->rcpts[0].delay_told && l->rcpts[0].note == 2 &&
		    l->env.rcpt_n == 3);
	check_str(l->rcpts[0].last, S("why"), "last");
	rig_settle(r, 0, OUTCOME_DELIVERED, 0);
	rig_until(r, rig_empty);
	rig_close(r);
	rig_check(r);
}

static void test_unsettled_return(void **state)
{
	struct rig *r = *state;

	rig_open(r);
	uint64_t id = rig_accept(r, 100, 1);
	rig_until(r, rig_leased);
	rig_close(r); /* with the lease out */
	rig_check(r);
	rig_open(r);
	assert_int_equal(r->found.messages, 1);
	rig_until(r, rig_leased);
	assert_true(r->leases[0]->id == id && r->leases[0]->rcpts[0].attempts == 0);
	/* the same within one life of the queue */
	queue_detach(&r->port);
	r->port = queue_attach(r->queue, r->loop, rig_on_lease, r);
	r->lease_n = 0;
	rig_until(r, rig_leased);
	rig_settle(r, 0, OUTCOME_DELIVERED, 0);
	rig_until(r, rig_empty);
	rig_close(r);
}

/* ---- big messages ---- */

static struct lease_read big_read;
static bool read_over;

static void on_read(struct op *op)
{
	(void)op;
	read_over = true;
}

static bool is_read(struct rig *r)
{
	(void)r;
	return read_over;
}

static void read_all(struct rig *r, struct lease *l)
{
	for (uint64_t at = 0; at < l->size; at += big_read.bytes.n) {
		read_over = false;
		lease_read(l, at, &big_read, on_read);
		rig_until(r, is_read);
		assert_true(big_read.ok && big_read.bytes.n > 0);
		rig_check_content(big_read.bytes, at);
	}
	lease_read_fini(&big_read);
}

static size_t files_in(struct rig *r, const char *sub)
{
	char path[200];
	size_t n = 0;

	snprintf(path, sizeof path, "%s/%s", r->path, sub);
	DIR *d = opendir(path);
	must(d != NULL);
	while (readdir(d) != NULL)
		n++;
	closedir(d);
	return n - 2;
}

static bool no_big_file(struct rig *r)
{
	return files_in(r, "big") == 0;
}

static void test_big(void **state)
{
	struct rig *r = *state;

	rig_open(r);
	rig_accept(r, 700000, 1);
	rig_until(r, rig_leased);
	assert_true(r->leases[0]->content.p == NULL && r->leases[0]->size == 700000);
	read_all(r, r->leases[0]);
	rig_settle(r, 0, OUTCOME_DEFERRED, 1000);
	rig_until(r, rig_idle);
	rig_close(r);
	rig_check(r);
	assert_int_equal(files_in(r, "big"), 1);
	rig_open(r);
	rig_clock_ms += 1100;
	rig_until(r, rig_leased);
	read_all(r, r->leases[0]);
	rig_settle(r, 0, OUTCOME_DELIVERED, 0);
	rig_until(r, no_big_file);
	rig_close(r);
	rig_check(r);
}

static void test_big_abort(void **state)
{
	struct rig *r = *state;
	static char block[100000];
	struct err e;

	rig_open(r);
	struct spool *s = spool_begin(r->port, &e);
	assert_int_equal(spool_write(s, str_n(block, sizeof block), &e), 0);
	assert_int_equal(files_in(r, "big"), 1);
	spool_abort(&s);
	rig_until(r, no_big_file);
	rig_close(r);
}

/* ---- limits ---- */

static bool all_settled(struct rig *r)
{
	for (size_t i = 0; i < r->lease_n; i++)
		if (r->leases[i] != NULL)
			rig_settle(r, i, OUTCOME_DELIVERED, 0);
	return rig_empty(r);
}

static bool six_leased(struct rig *r)
{
	return r->lease_n == 6;
}

static void test_active_max(void **state)
{
	struct rig *r = *state;

	r->conf.active_max = 5;
	rig_open(r);
	for (size_t i = 0; i < 40; i++)
		rig_accept(r, 10000, 1);
	rig_until(r, rig_leased);
	assert_int_equal(rig_stats(r).leased, 5);
	rig_until(r, all_settled);
	assert_int_equal(rig_stats(r).delivered, 40);
	rig_close(r);
	rig_check(r);
}

/* Beyond memory_max a message is leased without its content. */
static void test_memory_max(void **state)
{
	struct rig *r = *state;

	r->conf.memory_max = 25000;
	rig_open(r);
	for (size_t i = 0; i < 6; i++)
		rig_accept(r, 10000, 1);
	rig_until(r, six_leased);
	size_t with = 0;
	for (size_t i = 0; i < 6; i++) {
		with += r->leases[i]->content.p != NULL;
		if (r->leases[i]->content.p == NULL)
			read_all(r, r->leases[i]);
	}
	assert_true(with >= 1 && with <= 2);
	rig_until(r, all_settled);
	rig_close(r);
	rig_check(r);
}

static void test_pause(void **state)
{
	struct rig *r = *state;

	rig_open(r);
	queue_pause(r->port, true);
	rig_accept(r, 100, 1);
	rig_until(r, rig_idle);
	assert_int_equal(r->lease_n, 0);
	queue_pause(r->port, false);
	rig_until(r, all_settled);
	assert_int_equal(r->lease_n, 1);
	rig_close(r);
}

static void test_cancelled_commit_is_stored(void **state)
{
	struct rig *r = *state;
	struct rig_commit c;

	rig_open(r);
	rig_send(r, &c, 100, 1);
	op_cancel(&c.commit.op);
	r->commits_open = 0;
	rig_until(r, rig_leased);
	assert_false(c.commit.ok);
	rig_until(r, all_settled);
	rig_close(r);
}

static void test_segments_are_recycled(void **state)
{
	struct rig *r = *state;

	rig_open(r);
	for (size_t i = 0; i < 60; i++) {
		static struct rig_commit c[4];
		for (size_t k = 0; k < COUNT(c); k++)
			rig_send(r, &c[k], 15000, 1);
		rig_until(r, rig_committed);
		rig_until(r, all_settled);
		r->lease_n = 0;
	}
	/* 240 messages of 15,000 bytes are 14 segments' worth */
	assert_true(files_in(r, "segments") <= 10);
	rig_close(r);
	rig_check(r);
	rig_open(r);
	assert_int_equal(r->found.messages, 0);
	rig_close(r);
}

/* ---- two loops ---- */

enum { EACH = 200 };

static bool sent_and_settled(struct rig *r)
{
	static _Thread_local struct rig_commit c[4];
	static _Thread_local size_t sent;

	for (size_t i = 0; i < r->lease_n; i++)
		rig_settle(r, i, OUTCOME_DELIVERED, 0);
	r->lease_n = 0;
	for (size_t i = 0, open = r->commits_open; open == 0 && sent < EACH && i < COUNT(c); i++, sent++)
		rig_send(r, &c[i], 3000, 1);
	return sent == EACH && r->commits_open == 0 && rig_empty(r);
}

static void *other_loop(void *arg)
{
	struct rig *r = arg;
	struct err e;

	r->loop = loop_new(&e);
	r->port = queue_attach(r->queue, r->loop, rig_on_lease, r);
	loop_timer_init(r->loop, &r->timer, rig_tick);
	rig_until(r, sent_and_settled);
	queue_detach(&r->port);
	loop_free(&r->loop);
	return NULL;
}

static void test_two_loops(void **state)
{
	struct rig *r = *state;
	static struct rig other;
	pthread_t thread;

	rig_open(r);
	other = (struct rig){ .queue = r->queue };
	must(pthread_create(&thread, NULL, other_loop, &other) == 0);
	rig_until(r, sent_and_settled);
	pthread_join(thread, NULL);
	assert_int_equal(rig_stats(r).delivered, 2 * EACH);
	rig_close(r);
	rig_check(r);
}

/* ---- many recipients ---- */

enum { MANY = 3000 };

static void test_many_recipients(void **state)
{
	struct rig *r = *state;
	static struct env_rcpt rcpts[MANY];
	static struct outcome o[MANY];
	struct envelope env = { .from = S("a@b.example"), .rcpts = rcpts, .rcpt_n = MANY };
	struct rig_commit c = { .rig = r };
	struct err e;

	env.arrived_ms = clock_wall_ms();
	for (size_t i = 0; i < MANY; i++)
		rcpts[i].addr = S("someone@a.example");
	rig_open(r);
	struct spool *s = spool_begin(r->port, &e);
	r->commits_open++;
	spool_commit(&s, &env, &c.commit, rig_on_commit);
	rig_until(r, rig_leased);
	for (size_t i = 0; i < MANY; i++)
		o[i] = (struct outcome){
			.index = (unsigned)i,
			.kind = i % 2 ? OUTCOME_DELIVERED : OUTCOME_DEFERRED,
			.due_ms = clock_wall_ms() + 1000,
			.text = S("451 4.2.1 a text of some length, so that all of them together are long")
		};
	lease_settle(&r->leases[0], o, MANY);
	rig_until(r, rig_idle);
	assert_int_equal(rig_stats(r).recipients, MANY / 2);
	rig_close(r);
	rig_check(r);
	rig_open(r);
	rig_clock_ms += 1100;
	rig_until(r, rig_leased);
	assert_true(r->leases[0]->rcpt_n == MANY / 2 && r->leases[0]->rcpts[1].index == 2);
	assert_true(str_starts(r->leases[0]->rcpts[1].last, S("451 ")));
	for (size_t i = 0; i < MANY / 2; i++)
		o[i] = (struct outcome){ .index = (unsigned)i * 2, .kind = OUTCOME_FAILED };
	lease_settle(&r->leases[0], o, MANY / 2);
	rig_until(r, rig_empty);
	rig_close(r);
	rig_check(r);
}

static void test_two_owners(void **state)
{
	struct rig *r = *state;
	struct queue_recovery found;
	struct err e;

	rig_open(r);
	assert_null(queue_open(&r->conf, &found, &e));
	assert_int_equal(e.code, ERR_BUSY);
	rig_close(r);
}

#define T(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_fresh_lease),
		T(test_empty_message),
		T(test_abort),
		T(test_deferred_comes_from_disk),
		T(test_recipients_part),
		T(test_unsettled_return),
		T(test_big),
		T(test_big_abort),
		T(test_active_max),
		T(test_memory_max),
		T(test_pause),
		T(test_cancelled_commit_is_stored),
		T(test_segments_are_recycled),
		T(test_two_loops),
		T(test_many_recipients),
		T(test_two_owners),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
