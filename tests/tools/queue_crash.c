/* tests/tools/queue_crash.c: the two halves of a crash test; tests/crash.sh kills the first and believes the second.
 *
 *   queue_crash run DIR JOURNAL [N]  simulated sessions spool, deliver, defer, fail, hold and release for a moment;
 *                                    with N that many messages, most of them small
 *   queue_crash verify DIR JOURNAL   queue_check, then delivers all that is left and compares with the journal
 *   queue_crash check DIR            queue_check alone
 *   queue_crash left DIR             the recipients that wait, a line each: trace id of the message, address
 *
 * The journal has a line for each thing the outside world was told, written when it was told, with the time in ms:
 *   A id n t   250 for a message with n recipients        D id i t   recipient i is done (delivered or failed)
 *   (QUEUE_CRASH_BEGUN names a file that run makes when the queue is open: for faults that are to come while it works.)
 *   F id 0 t   the run began; its messages have this id or a greater one
 * run prints what was accepted and refused, and whether anything was accepted after the last refusal.
 * verify prints "accepted=N missing=N duplicates=N window_ms=N stale=N findings=N": window_ms is the age, at the end of
 * the run, of the oldest delivery that is done again; stale counts what was over before the run and came back.  It
 * exits with 1 unless missing, stale and findings are 0 and the window is one that settle_window_ms explains. */
#include "base/fault.h"
#include "base/must.h"
#include "base/time.h"
#include "queue/queue.h"

#include <fcntl.h>
#include <unistd.h>

enum { SESSIONS = 8, SESSIONS_MANY = 100, RCPTS_MAX = 3, BIG_BYTES = 200 * 1024, SEEN_MAX = 1 << 17 };
enum { MESSAGES = 300, MESSAGES_MAX = SEEN_MAX / 4, BIG_EACH = 17, BIG_EACH_MANY = 997 };
/* settle_window_ms is 5; the rest is for a machine that does other things, too */
enum { WINDOW_MS = 2000 };
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
	int64_t done_ms[RCPTS_MAX];      /* when it was done first */
};

struct world {
	struct loop *loop;
	struct queue *queue;
	struct queue_port *port;
	struct session sessions[SESSIONS_MANY];
	size_t session_n;
	struct loop_timer timer;
	struct queue_order order;
	struct queue_query left;
	struct lease_read read;
	struct lease *reading;
	bool verify, order_busy, many;
	unsigned messages, sent, ticks;
	unsigned accepted, refused;
	bool resumed; /* something was accepted after the last refusal */
	uint64_t first_id;
	int64_t last_ms; /* of the journal */
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

static void count(struct world *w, char what, uint64_t id, unsigned n, int64_t ms)
{
	if (what == 'F') {
		w->first_id = id;
	} else if (what == 'A') {
		w->accepted++;
		seen_of(w, id)->acked = n;
	} else if (seen_of(w, id)->done[n]++ == 0) {
		seen_of(w, id)->done_ms[n] = ms;
	}
}

static void say(struct world *w, char what, uint64_t id, unsigned n)
{
	char line[64];
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t); /* not the clock that is pushed forward */
	int64_t ms = (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
	int len = snprintf(line, sizeof line, "%c %ju %u %jd\n", what, id, n, ms);
	must(write(w->journal, line, (size_t)len) == len);
	count(w, what, id, n, ms);
}

static void read_journal(struct world *w, const char *path)
{
	FILE *f = fopen(path, "re");
	char line[64];

	while (f != NULL && fgets(line, sizeof line, f) != NULL) {
		struct str rest = str_skip(str_head(str_c(line), strlen(line) - 1), 2), id_text, n_text, ms_text;
		uint64_t id, n, ms;
		if (!str_cut(rest, ' ', &id_text, &rest) || !str_u64(id_text, UINT64_MAX, &id) ||
		    !str_cut(rest, ' ', &n_text, &ms_text) || !str_u64(n_text, RCPTS_MAX, &n) ||
		    !str_u64(ms_text, INT64_MAX, &ms))
			continue;
		count(w, line[0], id, (unsigned)n, (int64_t)ms);
		w->last_ms = (int64_t)ms;
	}
	if (f != NULL)
		fclose(f);
}

/* ---- content: a function of the id, so that whoever reads it can tell ---- */

static bool is_straggler(uint64_t id)
{
	return id % STRAGGLER == 0;
}

static unsigned big_each = BIG_EACH;

static size_t content_n(uint64_t id)
{
	size_t most = big_each == BIG_EACH ? 15000 : 300;

	if (id % big_each == 0)
		return BIG_BYTES + id % 5000;
	return is_straggler(id) ? 100 + id % 1000 : 100 + id * 7919 % most;
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

	if (w->sent == w->messages)
		return;
	w->sent++;
	struct spool *spool = spool_begin(w->port, &e);
	if (spool == NULL) {
		w->refused++;
		w->resumed = false;
		return;
	}
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

	struct world *w = s->world;

	w->resumed = s->commit.ok;
	if (!s->commit.ok) {
		w->refused++;
		return; /* until the next tick */
	}
	say(w, 'A', s->commit.id, s->rcpt_n);
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
	/* while it refuses one asks again and again: whether it resumes is not to depend on who runs out of messages */
	size_t asking = w->refused > 0 && !w->resumed ? 1 : w->session_n;
	for (size_t i = 0; i < asking; i++)
		if (!w->verify && w->sent < w->messages && !op_is_open(&w->sessions[i].commit.op))
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
	if (w->verify ? w->ticks > PATIENT_TICKS : w->sent == w->messages)
		passed_ms += MINUTES_TICK_MS;
	unsigned least = stats.moved < MOVES && !w->many ? TICKS_MOST : TICKS_LEAST;
	bool over = w->verify ? stats.messages == 0 && !w->order_busy : w->sent == w->messages && w->ticks > least;
	if ((over || w->ticks > 2000) && w->reading == NULL)
		loop_stop(w->loop);
	else
		loop_timer_set(&w->timer, 5);
}

static void say_begun(const struct world *w)
{
	const char *path = w->verify ? NULL : getenv("QUEUE_CRASH_BEGUN");
	int fd = path == NULL ? -1 : open(path, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	if (fd >= 0)
		close(fd);
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
	say_begun(w);
	w->port = queue_attach(w->queue, w->loop, on_lease, w);
	for (size_t i = 0; i < w->session_n; i++)
		w->sessions[i].world = w;
	if (!w->verify) {
		struct spool *s = spool_begin(w->port, &e);
		say(w, 'F', s == NULL ? 0 : spool_id(s), 0);
		spool_abort(&s);
	}
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

/* A store that was never whole is no finding, if nothing was ever promised about it. */
static size_t check_store(const char *when, bool promised)
{
	struct buf findings;
	struct err e;

	buf_init(&findings, 1 << 20);
	int rc = queue_check(conf.path.p, &findings, &e);
	if (rc < 0 && !promised)
		rc = 0;
	else if (rc < 0)
		printf("%s: %s\n", when, e.text);
	else if (rc > 0)
		printf("%s:\n%s", when, buf_cstr(&findings));
	buf_fini(&findings);
	return rc == 0 ? 0 : 1;
}

static int verify(struct world *w, const char *journal)
{
	unsigned missing = 0, duplicates = 0, stale = 0;
	int64_t window_ms = 0;
	size_t findings;

	read_journal(w, journal);
	findings = check_store("before recovery", w->accepted > 0);
	int64_t ended_ms = w->last_ms;
	w->verify = true;
	if (run(w) != 0)
		return 1;
	findings += check_store("after recovery", true);
	for (size_t i = 0; i < SEEN_MAX; i++) {
		const struct seen *s = &w->seen[i];
		for (unsigned n = 0; n < RCPTS_MAX; n++) {
			if (n < s->acked && s->done[n] == 0) {
				printf("missing: %ju recipient %u\n", s->id, n);
				missing++;
			}
			if (s->done[n] <= 1)
				continue;
			duplicates += s->done[n] - 1;
			window_ms = ended_ms - s->done_ms[n] > window_ms ? ended_ms - s->done_ms[n] : window_ms;
		}
		stale += s->id != 0 && s->id < w->first_id;
	}
	printf("accepted=%u missing=%u duplicates=%u window_ms=%jd stale=%u findings=%zu\n", w->accepted, missing,
	       duplicates, window_ms, stale, findings);
	return missing > 0 || findings > 0 || stale > 0 || window_ms > WINDOW_MS;
}

static int run_and_tell(struct world *w)
{
	int rc = run(w);

	printf("accepted=%u refused=%u outcome=%s\n", w->accepted, w->refused,
	       rc != 0           ? "closed"
	       : w->refused == 0 ? "absorbed"
	       : w->resumed      ? "resumed"
				 : "refusing");
	return rc;
}

/* ---- what waits ---- */

static void on_left(struct op *op)
{
	struct world *w = container_of(op, struct world, left.op);

	for (size_t i = 0; i < w->left.row_n; i++)
		printf(STR_FMT " " STR_FMT "\n", STR_ARG(w->left.rows[i].trace_id), STR_ARG(w->left.rows[i].rcpt));
	loop_stop(w->loop);
}

static int print_left(struct world *w)
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
	queue_pause(w->port, true);
	queue_query(w->port, &(struct queue_filter){ .max = 100000 }, &w->left, on_left);
	loop_run(w->loop);
	bool whole = w->left.ok && !w->left.more;
	queue_query_fini(&w->left);
	queue_detach(&w->port);
	queue_close(&w->queue);
	loop_free(&w->loop);
	return whole ? 0 : 1;
}

int main(int argc, char **argv)
{
	static struct world w = { .messages = MESSAGES, .session_n = SESSIONS };
	uint64_t messages;
	int rc;

	if (argc < 3)
		return 2;
	fault_init();
	conf.path = str_c(argv[2]);
	if (argc == 3 && strcmp(argv[1], "left") == 0)
		return print_left(&w);
	if (argc == 3)
		return strcmp(argv[1], "check") == 0 ? check_store("check", true) != 0 : 2;
	if (argc > 4 && str_u64(str_c(argv[4]), MESSAGES_MAX, &messages)) {
		w.messages = (unsigned)messages;
		w.many = true;
		w.session_n = SESSIONS_MANY;
		big_each = BIG_EACH_MANY;
		conf.active_max = 300;
	}
	w.seen = calloc(SEEN_MAX, sizeof *w.seen);
	w.journal = open(argv[3], O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC, 0600);
	must(w.seen != NULL && w.journal >= 0);
	rc = strcmp(argv[1], "verify") == 0 ? verify(&w, argv[3]) : run_and_tell(&w);
	free(w.seen);
	return rc;
}
