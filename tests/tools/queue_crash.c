/* tests/tools/queue_crash.c: the two halves of a crash test; tests/crash.sh kills the first and believes the second.
 *
 *   queue_crash run DIR JOURNAL      simulated sessions spool, deliver, defer, fail, hold and release for a moment
 *   queue_crash verify DIR JOURNAL   queue_check, then delivers all that is left and compares with the journal
 *   queue_crash check DIR            queue_check alone
 *
 * The journal has a line for each thing the outside world was told, written when it was told:
 *   A id n     250 for a message with n recipients        D id i     recipient i is done (delivered or failed)
 * verify prints "missing=N duplicates=N findings=N" and exits with 1 unless missing and findings are 0. */
#include "base/fault.h"
#include "base/must.h"
#include "base/time.h"
#include "queue/queue.h"

#include <fcntl.h>
#include <unistd.h>

enum { SESSIONS = 8, MESSAGES = 300, RCPTS_MAX = 3, BIG_BYTES = 200 * 1024, SEEN_MAX = 1 << 17 };
/* Every so many messages one waits for long, so that segments are kept for its sake and then emptied. */
enum { STRAGGLER = 13, STRAGGLER_MS = 3600 * 1000, MOVES = 12, TICKS_LEAST = 25, TICKS_MOST = 200 };
enum { MINUTES_TICK_MS = 10 * 1000, PATIENT_TICKS = 400 };

struct session {
	struct commit commit;
	struct world *world;
	unsigned rcpt_n;
};

struct seen { /* of one message, by open addressing */
	uint64_t id;
	unsigned acked, done[RCPTS_MAX]; /* acked: recipients, 0 = no 250 was given */
};

struct world {
	struct loop *loop;
	struct queue *queue;
	struct queue_port *port;
	struct session sessions[SESSIONS];
	struct loop_timer timer;
	struct queue_order order;
	struct lease_read read;
	struct lease *reading;
	bool verify, order_busy;
	unsigned sent, ticks;
	int journal;
	struct seen *seen;
};

static struct conf_queue conf = { .segment_bytes = 256 * 1024,
				  .segment_message_max = 32 * 1024,
				  .map_bytes = 256 << 20,
				  .checkpoint_ms = 15,
				  .settle_window_ms = 5,
				  .active_max = 20,
				  .memory_max = 8 << 20 };

/* ---- a clock: when all is sent, minutes pass, so that segments grow old; the next process finds it set back ---- */

static _Atomic int64_t passed_ms;

static int64_t read_clock(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000 + passed_ms;
}

int64_t clock_mono_ms(void)
{
	return read_clock(CLOCK_MONOTONIC);
}

int64_t clock_wall_ms(void)
{
	return read_clock(CLOCK_REALTIME);
}

int clock_wait_ms(int64_t ms)
{
	return ms > 2 ? 2 : (int)ms;
}

/* ---- what was said ---- */

static struct seen *seen_of(struct world *w, uint64_t id)
{
	size_t at = str_hash(str_n(&id, sizeof id), 0) % SEEN_MAX;

	while (w->seen[at].id != 0 && w->seen[at].id != id)
		at = (at + 1) % SEEN_MAX;
	w->seen[at].id = id;
	return &w->seen[at];
}

static void say(struct world *w, char what, uint64_t id, unsigned n)
{
	char line[40];
	int len = snprintf(line, sizeof line, "%c %llu %u\n", what, (unsigned long long)id, n);

	must(write(w->journal, line, (size_t)len) == len);
	if (what == 'A')
		seen_of(w, id)->acked = n;
	else
		seen_of(w, id)->done[n]++;
}

static void read_journal(struct world *w, const char *path)
{
	FILE *f = fopen(path, "re");
	char line[64];

	while (f != NULL && fgets(line, sizeof line, f) != NULL) {
		struct str rest = str_skip(str_head(str_c(line), strlen(line) - 1), 2), id_text, n_text;
		uint64_t id, n;
		if (!str_cut(rest, ' ', &id_text, &n_text) || !str_u64(id_text, UINT64_MAX, &id) ||
		    !str_u64(n_text, RCPTS_MAX, &n))
			continue;
		if (line[0] == 'A')
			seen_of(w, id)->acked = (unsigned)n;
		else
			seen_of(w, id)->done[n]++;
	}
	if (f != NULL)
		fclose(f);
}

/* ---- content: a function of the id, so that whoever reads it can tell ---- */

static bool is_straggler(uint64_t id)
{
	return id % STRAGGLER == 0;
}

static size_t content_n(uint64_t id)
{
	if (is_straggler(id) && id % 17 != 0)
		return 100 + id % 1000;
	return id % 17 == 0 ? BIG_BYTES + id % 5000 : 100 + id * 7919 % 15000;
}

static char content_at(uint64_t id, size_t i)
{
	return (char)('a' + (id + i / 7) % 26);
}

static void check_content(uint64_t id, struct str bytes, size_t from)
{
	for (size_t i = 0; i < bytes.n; i++)
		must(bytes.p[i] == content_at(id, from + i));
}

/* ---- sessions ---- */

static void on_commit(struct op *op);

static void send_one(struct session *s)
{
	static const struct env_rcpt rcpts[RCPTS_MAX] = { { .addr = STR_LIT("one@a.example") },
							  { .addr = STR_LIT("two@b.example") },
							  { .addr = STR_LIT("three@held.example") } };
	struct world *w = s->world;
	struct envelope env = { .from = S("from@src.example"), .arrived_ms = clock_wall_ms(), .rcpts = rcpts };
	char block[4096];
	struct err e;

	if (w->sent == MESSAGES)
		return;
	w->sent++;
	struct spool *spool = spool_begin(w->port, &e);
	if (spool == NULL)
		return;
	uint64_t id = spool_id(spool);
	for (size_t at = 0; at < content_n(id);) {
		size_t n = content_n(id) - at < sizeof block ? content_n(id) - at : sizeof block;
		for (size_t i = 0; i < n; i++)
			block[i] = content_at(id, at + i);
		if (spool_write(spool, str_n(block, n), &e) != 0)
			break;
		at += n;
	}
	if (id % 29 == 0) {
		spool_abort(&spool);
		send_one(s);
		return;
	}
	s->rcpt_n = 1 + (unsigned)(id % RCPTS_MAX);
	env.rcpt_n = s->rcpt_n;
	spool_commit(&spool, &env, &s->commit, on_commit);
}

static void on_commit(struct op *op)
{
	struct session *s = container_of(op, struct session, commit.op);

	if (s->commit.ok)
		say(s->world, 'A', s->commit.id, s->rcpt_n);
	send_one(s);
}

/* ---- deliveries ---- */

static void settle(struct world *w, struct lease *l)
{
	struct outcome o[RCPTS_MAX];

	for (size_t i = 0; i < l->rcpt_n; i++) {
		unsigned n = l->rcpts[i].index, luck = (unsigned)(l->id / 3 + n + l->rcpts[i].attempts) % 4;
		o[i] = (struct outcome){ .index = n,
					 .kind = w->verify                          ? OUTCOME_DELIVERED
						 : luck == 0 || is_straggler(l->id) ? OUTCOME_DEFERRED
						 : luck == 1                        ? OUTCOME_FAILED
										    : OUTCOME_DELIVERED,
					 .due_ms = clock_wall_ms() + (is_straggler(l->id) ? STRAGGLER_MS : 5) +
						   (int64_t)(l->id % 30),
					 .text = S("451 4.2.1 later") };
		if (o[i].kind != OUTCOME_DEFERRED)
			say(w, 'D', l->id, n);
	}
	lease_settle(&l, o, l->rcpt_n);
}

static void on_read(struct op *op)
{
	struct world *w = container_of(op, struct world, read.op);
	struct lease *l = w->reading;

	must(w->read.ok);
	check_content(l->id, w->read.bytes, 0);
	lease_read_fini(&w->read);
	w->reading = NULL;
	settle(w, l);
}

static void on_lease(void *arg, struct lease *l)
{
	struct world *w = arg;

	must(l->size == content_n(l->id));
	if (l->content.p != NULL) {
		must(l->content.n == l->size);
		check_content(l->id, l->content, 0);
	} else if (w->reading == NULL) {
		w->reading = l;
		lease_read(l, 0, &w->read, on_read);
		return;
	}
	settle(w, l);
}

/* ---- the course of a run ---- */

static void on_order(struct op *op)
{
	container_of(op, struct world, order.op)->order_busy = false;
}

static void tick(struct loop_timer *t)
{
	struct world *w = container_of(t, struct world, timer);
	struct queue_filter held = { .rcpt = S("@held.example") }, deferred = { .deferred_only = true };
	struct queue_stats stats;

	queue_stats(w->queue, &stats);
	w->ticks++;
	for (size_t i = 0; i < SESSIONS; i++)
		if (!w->verify && w->sent < MESSAGES && !op_is_open(&w->sessions[i].commit.op))
			send_one(&w->sessions[i]);
	if (!w->order_busy && w->ticks % 2 == 0) {
		w->order_busy = true;
		if (w->verify && w->ticks % 4 == 0)
			queue_order(w->port, &deferred, QUEUE_RETRY, false, &w->order, on_order);
		else
			queue_order(w->port, &held, !w->verify && w->ticks % 8 < 4 ? QUEUE_HOLD : QUEUE_RELEASE, false,
				    &w->order, on_order);
	}
	/* Due times of the log's tail may lie ahead of the clock that the last checkpoint stored, by as much as passed
	 * between the two: such a message waits for that long and is not missing. */
	if (w->verify ? w->ticks > PATIENT_TICKS : w->sent == MESSAGES)
		passed_ms += MINUTES_TICK_MS;
	bool over = w->verify ? stats.messages == 0 && !w->order_busy
			      : w->sent == MESSAGES && w->ticks > (stats.moved < MOVES ? TICKS_MOST : TICKS_LEAST);
	if ((over || w->ticks > 2000) && w->reading == NULL)
		loop_stop(w->loop);
	else
		loop_timer_set(&w->timer, 5);
}

static int run(struct world *w)
{
	struct queue_recovery found;
	struct err e;

	w->loop = loop_new(&e);
	w->queue = queue_open(&conf, &found, &e);
	if (w->queue == NULL) {
		printf("cannot open: %s\n", e.text);
		return 1;
	}
	w->port = queue_attach(w->queue, w->loop, on_lease, w);
	for (size_t i = 0; i < SESSIONS; i++)
		w->sessions[i].world = w;
	loop_timer_init(w->loop, &w->timer, tick);
	loop_timer_set(&w->timer, 0);
	loop_run(w->loop);
	op_cancel(&w->order.op);
	lease_read_fini(&w->read);
	queue_detach(&w->port);
	queue_close(&w->queue);
	loop_free(&w->loop);
	return 0;
}

/* ---- judging ---- */

static size_t check_store(const char *when)
{
	struct buf findings;
	struct err e;

	buf_init(&findings, 1 << 20);
	int rc = queue_check(conf.path.p, &findings, &e);
	if (rc < 0)
		printf("%s: %s\n", when, e.text);
	else if (rc > 0)
		printf("%s:\n%s", when, buf_cstr(&findings));
	buf_fini(&findings);
	return rc == 0 ? 0 : 1;
}

static int verify(struct world *w, const char *journal)
{
	unsigned missing = 0, duplicates = 0;
	size_t findings = check_store("before recovery");

	read_journal(w, journal);
	w->verify = true;
	if (run(w) != 0)
		return 1;
	findings += check_store("after recovery");
	for (size_t i = 0; i < SEEN_MAX; i++)
		for (unsigned n = 0; n < RCPTS_MAX; n++) {
			if (n < w->seen[i].acked && w->seen[i].done[n] == 0) {
				printf("missing: %llu recipient %u\n", (unsigned long long)w->seen[i].id, n);
				missing++;
			}
			if (w->seen[i].done[n] > 1)
				duplicates += w->seen[i].done[n] - 1;
		}
	printf("missing=%u duplicates=%u findings=%zu\n", missing, duplicates, findings);
	return missing > 0 || findings > 0;
}

int main(int argc, char **argv)
{
	static struct world w;
	int rc;

	if (argc < 3)
		return 2;
	fault_init();
	conf.path = str_c(argv[2]);
	if (argc == 3)
		return strcmp(argv[1], "check") == 0 ? check_store("check") != 0 : 2;
	w.seen = calloc(SEEN_MAX, sizeof *w.seen);
	w.journal = open(argv[3], O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	must(w.seen != NULL && w.journal >= 0);
	rc = strcmp(argv[1], "verify") == 0 ? verify(&w, argv[3]) : run(&w);
	free(w.seen);
	return rc;
}
