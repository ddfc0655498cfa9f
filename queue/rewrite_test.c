/* queue/rewrite_test.c: messages rewritten before their commit, in memory and on disk, and messages that are held. */
#include "tests/queue_rig.h"

enum { SMALL = 3000, BIG = 700 * 1000 }; /* the rig keeps up to 32 KiB in memory */

struct work {
	struct rewrite rewrite;
	struct lease_read read;
	struct rig_commit commit;
	bool done;
};

static struct work *current;

static bool is_done(struct rig *r)
{
	(void)r;
	return current->done;
}

static void on_rewritten(struct op *op)
{
	struct work *w = container_of(op, struct work, rewrite.op);

	w->done = true;
}

static void on_read(struct op *op)
{
	struct work *w = container_of(op, struct work, read.op);

	w->done = true;
}

static struct spool *spooled(struct rig *r, size_t n, size_t from)
{
	struct err e;
	struct spool *s = spool_begin(r->port, &e);
	char block[1000];

	must(s != NULL);
	for (size_t at = 0; at < n; at += sizeof block) {
		size_t part = n - at < sizeof block ? n - at : sizeof block;
		for (size_t i = 0; i < part; i++)
			block[i] = rig_content_at(from + at + i);
		assert_int_equal(spool_write(s, str_n(block, part), &e), 0);
	}
	return s;
}

static size_t files_in_big(const struct rig *r)
{
	char path[200];
	size_t n = 0;

	snprintf(path, sizeof path, "%s/big", r->path);
	DIR *d = opendir(path);
	must(d != NULL);
	for (struct dirent *e; (e = readdir(d)) != NULL;)
		n += e->d_name[0] != '.';
	closedir(d);
	return n;
}

/* Everything the spool holds, read back piece by piece. */
static void read_all(struct rig *r, struct work *w, struct spool *s, struct buf *all)
{
	buf_reset(all);
	do {
		w->done = false;
		spool_read(s, all->n, &w->read, on_read);
		assert_false(w->done);
		rig_until(r, is_done);
		assert_true(w->read.ok);
		buf_add(all, w->read.bytes);
	} while (w->read.bytes.n > 0);
	lease_read_fini(&w->read);
}

static void rewrite(struct rig *r, struct work *w, struct spool *s, struct edits e, struct spool **body, size_t body_at)
{
	w->done = false;
	spool_rewrite(s, e, body, body_at, &w->rewrite, on_rewritten);
	assert_false(w->done);
	rig_until(r, is_done);
}

static void commit(struct rig *r, struct work *w, struct spool **s, struct str hold)
{
	struct envelope env = { .from = S("from@src.example"),
				.trace_id = S("trace"),
				.arrived_ms = clock_wall_ms(),
				.hold = hold,
				.rcpts = rig_rcpts,
				.rcpt_n = 2 };

	w->commit = (struct rig_commit){ .rig = r };
	r->commits_open++;
	spool_commit(s, &env, &w->commit.commit, rig_on_commit);
	rig_until(r, rig_committed);
	assert_true(w->commit.commit.ok);
}

static bool empty_and_no_file(struct rig *r)
{
	return rig_empty(r) && files_in_big(r) == 0;
}

/* A field on top, ten bytes left out behind the first hundred, another body from `body_at`. */
static void one(struct rig *r, size_t n, bool with_body, size_t body_n)
{
	const struct edit edits[] = { { .at = 0, .insert = S("On-Top: yes\r\n") }, { .at = 100, .drop = 10 } };
	const size_t body_at = 1000;
	struct work w = { 0 };
	struct buf all;

	current = &w;
	rig_open(r);
	struct spool *s = spooled(r, n, 0), *body = with_body ? spooled(r, body_n, 7) : NULL;
	uint64_t id = spool_id(s);
	rewrite(r, &w, s, (struct edits){ edits, COUNT(edits) }, with_body ? &body : NULL, body_at);
	assert_true(w.rewrite.ok && body == NULL && spool_id(s) == id);
	size_t kept = with_body ? body_at : n, whole = 13 + kept - 10 + (with_body ? body_n : 0);
	assert_int_equal(spool_size(s), whole);
	buf_init(&all, 8 << 20);
	read_all(r, &w, s, &all);
	assert_int_equal(all.n, whole);
	check_str(str_head(buf_str(&all), 13), S("On-Top: yes\r\n"), "top");
	rig_check_content(str_n(all.p + 13, 100), 0);
	rig_check_content(str_n(all.p + 113, kept - 110), 110);
	rig_check_content(str_skip(buf_str(&all), 13 + kept - 10), with_body ? 7 : n);
	commit(r, &w, &s, STR_NONE);
	rig_until(r, rig_leased);
	assert_true(r->leases[0]->id == id && r->leases[0]->size == whole);
	if (r->leases[0]->content.p != NULL)
		check_str(r->leases[0]->content, buf_str(&all), "lease");
	assert_true(files_in_big(r) <= 1);
	rig_settle(r, 0, OUTCOME_DELIVERED, 0);
	rig_until(r, empty_and_no_file);
	rig_close(r);
	rig_check(r);
	buf_fini(&all);
}

static void test_every_size(void **state)
{
	one(*state, SMALL, false, 0);
	one(*state, BIG, false, 0);
	one(*state, SMALL, true, SMALL);
	one(*state, SMALL, true, BIG);
	one(*state, BIG, true, SMALL);
	one(*state, BIG, true, BIG);
	one(*state, SMALL, true, 0);
}

/* Twice, from disk to memory and back: names of files follow their content. */
static void test_again(void **state)
{
	struct rig *r = *state;
	struct work w = { 0 };
	struct buf all;

	current = &w;
	buf_init(&all, 8 << 20);
	rig_open(r);
	struct spool *s = spooled(r, BIG, 0), *body = spooled(r, SMALL, 0);
	rewrite(r, &w, s, (struct edits){ 0 }, &body, 0);
	assert_true(w.rewrite.ok && spool_size(s) == SMALL);
	body = spooled(r, BIG, 0);
	rewrite(r, &w, s, (struct edits){ 0 }, &body, SMALL);
	assert_true(w.rewrite.ok && spool_size(s) == SMALL + BIG);
	read_all(r, &w, s, &all);
	rig_check_content(str_skip(buf_str(&all), SMALL), 0);
	commit(r, &w, &s, STR_NONE);
	rig_until(r, rig_leased);
	rig_settle(r, 0, OUTCOME_DEFERRED, 0); /* the next time it comes from its file */
	r->lease_n = 0;
	rig_until(r, rig_leased);
	assert_int_equal(r->leases[0]->size, SMALL + BIG);
	rig_settle(r, 0, OUTCOME_DELIVERED, 0);
	rig_until(r, empty_and_no_file);
	rig_close(r);
	rig_check(r);
	buf_fini(&all);
}

static bool no_file(struct rig *r)
{
	return files_in_big(r) == 0;
}

static void test_cancelled(void **state)
{
	struct rig *r = *state;
	struct work w = { 0 };

	current = &w;
	rig_open(r);
	struct spool *s = spooled(r, BIG, 0), *body = spooled(r, BIG, 0);
	spool_rewrite(s, (struct edits){ 0 }, &body, 10, &w.rewrite, on_rewritten);
	rewrite_cancel(&w.rewrite);
	spool_abort(&s);
	rig_until(r, no_file);
	assert_false(w.done);
	rig_close(r);
	rig_check(r);
}

static void test_a_full_disk_changes_nothing(void **state)
{
	struct rig *r = *state;
	struct work w = { 0 };
	struct buf all;
	const struct edit edit = { .insert = S("x") };

	current = &w;
	buf_init(&all, 8 << 20);
	rig_open(r);
	struct spool *s = spooled(r, BIG, 0);
	rig_fault("queue.big_write:1");
	rewrite(r, &w, s, (struct edits){ &edit, 1 }, NULL, 0);
	assert_false(w.rewrite.ok);
	assert_true(w.rewrite.err.code != ERR_NONE);
	read_all(r, &w, s, &all);
	assert_int_equal(all.n, BIG);
	rig_check_content(buf_str(&all), 0);
	spool_abort(&s);
	rig_until(r, no_file);
	rig_close(r);
	rig_check(r);
	buf_fini(&all);
}

/* ---- held from the start ---- */

static struct queue_query query;

static bool has_rows(struct rig *r)
{
	(void)r;
	return !op_is_open(&query.op);
}

static void on_rows(struct op *op)
{
	(void)op;
}

static void look(struct rig *r)
{
	queue_query_fini(&query);
	query = (struct queue_query){ 0 };
	queue_query(r->port, &(struct queue_filter){ .held_only = true }, &query, on_rows);
	rig_until(r, has_rows);
	assert_true(query.ok);
}

static void on_ordered(struct op *op)
{
	(void)op;
}

static void test_held(void **state)
{
	struct rig *r = *state;
	struct work w = { 0 };
	struct queue_order order = { 0 };

	current = &w;
	rig_open(r);
	struct spool *s = spooled(r, SMALL, 0);
	commit(r, &w, &s, S("quarantine: looks odd"));
	for (int round = 0; round < 2; round++) {
		rig_until(r, rig_idle);
		assert_int_equal(r->lease_n, 0);
		look(r);
		assert_int_equal(query.row_n, 2);
		assert_int_equal(query.rows[1].state, QUEUE_HELD);
		check_str(query.rows[1].last, S("quarantine: looks odd"), "why");
		queue_query_fini(&query);
		rig_close(r);
		rig_check(r);
		rig_open(r);
	}
	queue_order(r->port, &(struct queue_filter){ 0 }, QUEUE_RELEASE, false, &order, on_ordered);
	rig_until(r, rig_leased);
	assert_int_equal(r->leases[0]->rcpt_n, 2);
	rig_settle(r, 0, OUTCOME_DELIVERED, 0);
	rig_until(r, rig_empty);
	rig_close(r);
	rig_check(r);
}

#define T(f) cmocka_unit_test_setup_teardown(f, rig_setup, rig_teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(test_every_size), T(test_again), T(test_cancelled), T(test_a_full_disk_changes_nothing), T(test_held),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
