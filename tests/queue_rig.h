/* tests/queue_rig.h: a real queue with one loop, a clock the test moves, and helpers that wait for things.
 *
 * Include it in one test file: it defines the clock functions, so base/clock.c stays in the library. */
#ifndef TESTS_QUEUE_RIG_H
#define TESTS_QUEUE_RIG_H

#include "base/fault.h"
#include "base/must.h"
#include "base/time.h"
#include "queue/queue.h"
#include "tests/unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <ftw.h>
#include <pthread.h>
#include <stdatomic.h>
#include <sys/stat.h>
#include <unistd.h>

static _Atomic int64_t rig_clock_ms; /* added to both clocks */

static int64_t rig_read_clock(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000 + rig_clock_ms;
}

int64_t clock_mono_ms(void)
{
	return rig_read_clock(CLOCK_MONOTONIC);
}

int64_t clock_wall_ms(void)
{
	return rig_read_clock(CLOCK_REALTIME);
}

int clock_wait_ms(int64_t ms)
{
	return ms > 1 ? 1 : (int)ms;
}

enum { RIG_LEASES = 256 };

struct rig {
	char path[120];
	struct conf_queue conf;
	struct loop *loop;
	struct queue *queue;
	struct queue_port *port;
	struct queue_recovery found;
	struct loop_timer timer;
	struct lease *leases[RIG_LEASES]; /* handed out and not settled; NULL = settled */
	size_t lease_n, commits_open;
	bool (*until)(struct rig *);
	bool reached;
	uint64_t checkpoints;
	int64_t quiet_since_ms;
};

static void rig_on_lease(void *arg, struct lease *l)
{
	struct rig *r = arg;

	must(r->lease_n < RIG_LEASES);
	r->leases[r->lease_n++] = l;
}

static void rig_tick(struct loop_timer *t)
{
	struct rig *r = container_of(t, struct rig, timer);

	r->reached = r->until(r);
	if (r->reached)
		loop_stop(r->loop);
	else
		loop_timer_set(&r->timer, 1);
}

/* Runs the loop until the condition holds; the test fails after ten seconds. */
static inline void rig_until(struct rig *r, bool (*until)(struct rig *))
{
	int64_t began_ms = clock_mono_ms();

	r->until = until;
	r->reached = false;
	r->quiet_since_ms = 0;
	loop_timer_set(&r->timer, 0);
	while (!r->reached && clock_mono_ms() - began_ms < 10000)
		loop_run(r->loop);
	assert_true(r->reached);
}

static inline void rig_open(struct rig *r)
{
	struct err e;

	r->conf.path = str_c(r->path);
	r->loop = loop_new(&e);
	r->queue = queue_open(&r->conf, &r->found, &e);
	if (r->queue == NULL)
		fail_msg("%s", e.text);
	r->port = queue_attach(r->queue, r->loop, rig_on_lease, r);
	loop_timer_init(r->loop, &r->timer, rig_tick);
	r->lease_n = 0;
}

static inline void rig_close(struct rig *r)
{
	loop_timer_stop(&r->timer);
	queue_detach(&r->port);
	queue_close(&r->queue);
	loop_free(&r->loop);
}

static inline int rig_remove(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st, (void)type, (void)at;
	return remove(path);
}

static inline int rig_setup(void **state)
{
	struct rig *r = calloc(1, sizeof *r);
	const char *tmp = getenv("TMPDIR");

	must(r != NULL);
	snprintf(r->path, 100, "%s/tombolo-queue.XXXXXX", tmp == NULL ? "/tmp" : tmp); /* leaves room for a suffix */
	must(mkdtemp(r->path) != NULL);
	r->conf = (struct conf_queue){ .segment_bytes = 256 * 1024,
				       .segment_message_max = 32 * 1024,
				       .map_bytes = 64 << 20,
				       .checkpoint_ms = 10,
				       .settle_window_ms = 5,
				       .active_max = 100,
				       .memory_max = 8 << 20 };
	*state = r;
	return 0;
}

static inline int rig_teardown(void **state)
{
	struct rig *r = *state;

	unsetenv("TOMBOLO_FAULT");
	fault_init();
	nftw(r->path, rig_remove, 16, FTW_DEPTH | FTW_PHYS);
	free(r);
	return 0;
}

static inline void rig_fault(const char *spec)
{
	setenv("TOMBOLO_FAULT", spec, 1);
	fault_init();
}

/* ---- messages ---- */

struct rig_commit {
	struct commit commit;
	struct rig *rig;
};

static inline void rig_on_commit(struct op *op)
{
	container_of(op, struct rig_commit, commit.op)->rig->commits_open--;
}

static const struct env_rcpt rig_rcpts[] = {
	{ .addr = STR_LIT("one@a.example") },
	{ .addr = STR_LIT("two@b.example") },
	{ .addr = STR_LIT("three@c.example") },
};

static inline char rig_content_at(size_t i)
{
	return (char)('a' + (i / 3 + i / 1000) % 26);
}

/* Spools `n` bytes for the first `rcpt_n` of rig_rcpts and starts its commit. */
static inline uint64_t rig_send(struct rig *r, struct rig_commit *c, size_t n, size_t rcpt_n)
{
	struct envelope env = { .from = S("from@src.example"),
				.trace_id = S("trace"),
				.arrived_ms = clock_wall_ms(),
				.rcpts = rig_rcpts,
				.rcpt_n = rcpt_n };
	struct err e;
	struct spool *s = spool_begin(r->port, &e);

	if (s == NULL)
		fail_msg("%s", e.text);
	uint64_t id = spool_id(s);
	char block[1000];
	for (size_t at = 0; at < n; at += sizeof block) {
		size_t part = n - at < sizeof block ? n - at : sizeof block;
		for (size_t i = 0; i < part; i++)
			block[i] = rig_content_at(at + i);
		if (spool_write(s, str_n(block, part), &e) != 0)
			break; /* the commit will say so */
	}
	*c = (struct rig_commit){ .rig = r };
	r->commits_open++;
	spool_commit(&s, &env, &c->commit, rig_on_commit);
	return id;
}

static inline bool rig_committed(struct rig *r)
{
	return r->commits_open == 0;
}

static inline uint64_t rig_accept(struct rig *r, size_t n, size_t rcpt_n)
{
	struct rig_commit c;
	uint64_t id = rig_send(r, &c, n, rcpt_n);

	rig_until(r, rig_committed);
	assert_true(c.commit.ok && c.commit.id == id);
	return id;
}

static inline void rig_check_content(struct str s, size_t from)
{
	for (size_t i = 0; i < s.n; i++)
		if (s.p[i] != rig_content_at(from + i))
			fail_msg("content differs at %zu", from + i);
}

/* Settles the lease in that slot with one outcome for all its recipients. */
static inline void rig_settle(struct rig *r, size_t slot, enum outcome_kind kind, int64_t in_ms)
{
	struct outcome o[COUNT(rig_rcpts)];
	struct lease *l = r->leases[slot];

	for (size_t i = 0; i < l->rcpt_n; i++)
		o[i] = (struct outcome){ .index = l->rcpts[i].index,
					 .kind = kind,
					 .due_ms = clock_wall_ms() + in_ms,
					 .text = S("451 4.2.1 later") };
	size_t n = l->rcpt_n;
	lease_settle(&r->leases[slot], o, n);
}

static inline bool rig_leased(struct rig *r)
{
	return r->lease_n > 0;
}

static inline struct queue_stats rig_stats(const struct rig *r)
{
	struct queue_stats s;

	queue_stats(r->queue, &s);
	return s;
}

static inline bool rig_empty(struct rig *r)
{
	return rig_stats(r).messages == 0;
}

static inline bool rig_idle(struct rig *r) /* nothing is out, and the index knows it all */
{
	if (rig_stats(r).leased > 0 || rig_stats(r).checkpoints != r->checkpoints || r->quiet_since_ms == 0)
		r->checkpoints = rig_stats(r).checkpoints, r->quiet_since_ms = clock_mono_ms();
	return clock_mono_ms() - r->quiet_since_ms > 25;
}

static inline void rig_check(const struct rig *r)
{
	struct buf findings;
	struct err e;

	buf_init(&findings, 1 << 20);
	int rc = queue_check(r->path, &findings, &e);
	if (rc != 0)
		fail_msg("queue_check %d: %s", rc, rc < 0 ? e.text : buf_cstr(&findings));
	buf_fini(&findings);
}

#endif
