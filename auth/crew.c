/* auth/crew.c: workers come, get frames, answer, are replaced; see the header.
 *
 *   ensure -> keeper "N" -> on_keeper: a socket -> on_hello: ready -> frames <-> answers -> retire | die -> ensure
 *
 * Invariant: `fifo` of an end lists the jobs of all frames it was given and has not answered, in order; its first one
 * is what the worker is at. */
#include "auth/crew.h"

#include "auth/keeper.h"

#include "base/log.h"
#include "base/must.h"
#include "wire/header.h"

#include <errno.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum {
	SLOTS = 4096,
	START_PAUSE_MS = 1000, /* before another one, when one could not start */
	REPLAYS_MAX = 3,
	IN_ROOM = 65536,
	BACKLOG = 4 * FRAME_CHUNK,
	JOBS_OF_END = 1000, /* messages beside each other in one worker; a question of SPF is over before it counts */
};

struct end {
	TAILQ_ENTRY(end) link;
	struct auth *auth;
	int fd;
	uint32_t number;
	struct loop_io io;
	struct loop_timer timer;  /* its next answer, or its first word */
	struct buf in, out, fifo; /* fifo: of uint32_t */
	size_t fifo_head;
	bool ready, retiring, dead;
	TAILQ_HEAD(, job) jobs;
	size_t job_n;
	uint64_t begun;
};

struct auth {
	struct loop *loop;
	struct dns *dns;
	struct conf_auth conf;
	size_t wanted, asked;
	int keeper;
	struct loop_io keeper_io;
	struct loop_timer pause; /* set: no order before it fires */
	bool closing;
	TAILQ_HEAD(, end) ends;
	TAILQ_HEAD(, job) waiting;
	struct job *slots[SLOTS];
	uint32_t next_id;
	uint64_t bytes; /* in logs and outs */
	struct auth_stats stats;
};

static void ensure(struct auth *a);
static void end_die(struct end *e, const char *why);
static void hand_out(struct auth *a);

const struct conf_auth *crew_conf(const struct auth *a)
{
	return &a->conf;
}

struct auth_stats *crew_stats(struct auth *a)
{
	return &a->stats;
}

struct loop *crew_loop(const struct auth *a)
{
	return a->loop;
}

static void count(uint64_t *n)
{
	__atomic_add_fetch(n, 1, __ATOMIC_RELAXED);
}

/* Told to other threads, too (auth_stats). */
static void hold(struct auth *a, int64_t bytes)
{
	__atomic_add_fetch(&a->bytes, (uint64_t)bytes, __ATOMIC_RELAXED);
}

/* ---- frames of a worker ---- */

static size_t fifo_n(const struct end *e)
{
	return e->fifo.n / sizeof(uint32_t) - e->fifo_head;
}

static uint32_t fifo_first(const struct end *e)
{
	uint32_t id;

	must(fifo_n(e) > 0);
	memcpy(&id, e->fifo.p + e->fifo_head * sizeof id, sizeof id);
	return id;
}

static void fifo_drop(struct end *e)
{
	e->fifo_head++;
	if (e->fifo_head * 2 * sizeof(uint32_t) > e->fifo.n) {
		buf_drop(&e->fifo, e->fifo_head * sizeof(uint32_t));
		e->fifo_head = 0;
	}
}

static void watch_time(struct end *e)
{
	if (!e->ready)
		return;
	if (fifo_n(e) > 0)
		loop_timer_set(&e->timer, e->auth->conf.work_ms);
	else
		loop_timer_stop(&e->timer);
}

static void flush(struct end *e)
{
	while (e->out.n > 0) {
		ssize_t n = send(e->fd, e->out.p, e->out.n, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno != EAGAIN) {
			e->dead = true; /* the reading side hears of it, too */
			break;
		}
		if (n < 0)
			break;
		buf_drop(&e->out, (size_t)n);
		hold(e->auth, -(int64_t)n);
	}
	loop_io_want(&e->io, e->out.n > 0 ? LOOP_READ | LOOP_WRITE : LOOP_READ);
}

/* Every whole frame of `bytes` belongs to job j. */
static void give(struct end *e, struct job *j, struct str bytes)
{
	struct frame f;
	bool idle = fifo_n(e) == 0;

	for (struct str rest = bytes; rest.n > 0;) {
		ssize_t n = frame_next(rest, &f);
		must(n > 0);
		buf_add(&e->fifo, str_n(&j->id, sizeof j->id));
		j->open_frames++;
		rest = str_skip(rest, (size_t)n);
	}
	must(buf_add(&e->out, bytes) && !e->fifo.full);
	hold(e->auth, (int64_t)bytes.n);
	if (idle)
		watch_time(e);
	flush(e);
}

/* ---- jobs ---- */

static struct job *job_find(struct auth *a, uint32_t id)
{
	struct job *j = a->slots[id % SLOTS];

	return j != NULL && j->id == id ? j : NULL;
}

static void on_deadline(struct loop_timer *t)
{
	struct job *j = container_of(t, struct job, deadline);

	count(&j->auth->stats.timeouts);
	job_fail(j, "it took too long");
}

static void on_dns_late(struct loop_timer *t);

struct job *job_new(struct auth *a, const struct job_kind *kind)
{
	struct job *j = calloc(1, sizeof *j);

	must(j != NULL);
	for (size_t i = 0; j->id == 0 && i < SLOTS; i++) {
		uint32_t id = ++a->next_id;
		if (id == 0 || a->slots[id % SLOTS] != NULL)
			continue;
		j->id = id;
		a->slots[id % SLOTS] = j;
	}
	j->auth = a;
	j->kind = kind;
	buf_init(&j->log, (size_t)a->conf.memory);
	arena_init(&j->arena, 1 << 20);
	loop_timer_init(a->loop, &j->deadline, on_deadline);
	loop_timer_init(a->loop, &j->dns_timer, on_dns_late);
	return j;
}

static void log_free(struct job *j)
{
	hold(j->auth, -(int64_t)j->log.n);
	buf_fini(&j->log);
	j->sent = 0;
}

void job_clear_log(struct job *j)
{
	hold(j->auth, -(int64_t)j->log.n);
	buf_reset(&j->log);
	j->sent = 0;
	j->forgot = false;
}

static void stop_lookups(struct job *j)
{
	for (size_t i = 0; i < j->lookup_n; i++)
		dns_lookup_fini(&j->lookups[i].q);
	free(j->lookups);
	j->lookups = NULL;
	j->lookup_n = j->lookup_open = 0;
	loop_timer_stop(&j->dns_timer);
}

/* Off its worker, which forgets about it. */
static void leave_end(struct job *j)
{
	struct end *e = j->end;

	if (j->waits)
		TAILQ_REMOVE(&j->auth->waiting, j, link);
	j->waits = false;
	if (e == NULL)
		return;
	TAILQ_REMOVE(&e->jobs, j, link);
	e->job_n--;
	j->end = NULL;
}

static void retire_when_idle(struct end *e);

static void take_off(struct job *j)
{
	struct end *e = j->end;
	char room[FRAME_HEAD];
	struct buf b;

	leave_end(j);
	if (e != NULL && !e->dead && !j->mute) {
		buf_init(&b, sizeof room);
		size_t at = frame_open(&b, AUTH_DROP, j->id);
		must(frame_close(&b, at));
		give(e, j, buf_str(&b));
		buf_fini(&b);
	}
	log_free(j);
	stop_lookups(j);
	loop_timer_stop(&j->deadline);
	if (j->id != 0)
		j->auth->slots[j->id % SLOTS] = NULL;
	if (e != NULL)
		retire_when_idle(e);
}

static void job_free(struct job *j)
{
	must(!loop_timer_is_set(&j->deadline) && !loop_timer_is_set(&j->dns_timer) && j->end == NULL);
	arena_fini(&j->arena);
	buf_fini(&j->head);
	if (j->scan != NULL)
		header_scan_fini(j->scan);
	free(j->scan);
	free(j->answers);
	free(j);
}

static void on_done(struct loop_task *t)
{
	struct job *j = container_of(t, struct job, task);
	struct auth *a = j->auth;

	j->posted = false;
	if (j->orphan)
		job_free(j);
	else if (j->held != NULL)
		j->kind->finish(j); /* may release it */
	hand_out(a);
}

void job_open(struct job *j, struct op *op, void (*done)(struct op *))
{
	op_start(op, done, &j->held);
	j->opened = true;
}

static bool is_cancelled(const struct job *j)
{
	return j->opened && j->held == NULL;
}

void job_stop(struct job *j)
{
	if (!j->stopped)
		take_off(j);
	j->stopped = true;
}

void job_done(struct job *j)
{
	if (j->over)
		return;
	job_stop(j);
	j->over = true;
	j->task.fn = on_done;
	j->posted = true;
	loop_defer(j->auth->loop, &j->task);
}

void job_release(struct job *j)
{
	job_stop(j);
	if (j->posted)
		j->orphan = true; /* on_done comes */
	else
		job_free(j);
}

void job_fail(struct job *j, const char *why)
{
	if (j->over || j->stopped)
		return;
	if (is_cancelled(j))
		job_stop(j);
	else
		j->kind->fail(j, why);
}

bool crew_backlog(const struct job *j)
{
	return j->end != NULL ? j->end->out.n > BACKLOG : j->log.n - j->sent > BACKLOG;
}

struct buf *job_frame(struct job *j, enum frame_kind kind)
{
	if (j->forgot) /* what was told is not kept: only this frame is */
		job_clear_log(j), j->forgot = true;
	hold(j->auth, -(int64_t)j->log.n);
	j->frame = frame_open(&j->log, kind, j->id);
	return &j->log;
}

static struct end *best_end(struct auth *a, const struct job *j)
{
	struct end *e, *best = NULL;

	TAILQ_FOREACH (e, &a->ends, link)
		if (e->ready && !e->retiring && !e->dead && (j->mute || e->job_n < JOBS_OF_END) &&
		    (best == NULL || e->job_n < best->job_n))
			best = e;
	return best;
}

static void join(struct end *e, struct job *j)
{
	struct auth *a = e->auth;

	j->end = e;
	TAILQ_INSERT_TAIL(&e->jobs, j, link);
	e->job_n++;
	if (++e->begun >= (uint64_t)a->conf.recycle && !e->retiring) {
		e->retiring = true;
		count(&a->stats.recycled);
		ensure(a);
	}
}

/* What is told by now goes to its worker; one is found when it has none. */
static void push(struct job *j)
{
	struct auth *a = j->auth;
	struct end *e = j->end != NULL ? j->end : best_end(a, j);

	if (e == NULL) {
		if (!j->waits)
			TAILQ_INSERT_TAIL(&a->waiting, j, link);
		j->waits = true;
		return;
	}
	if (j->waits)
		TAILQ_REMOVE(&a->waiting, j, link);
	j->waits = false;
	if (j->end == NULL)
		join(e, j);
	struct str news = str_skip(buf_str(&j->log), j->sent);
	j->sent = j->log.n;
	give(e, j, news);
	if (j->log.n > (size_t)a->conf.keep && !j->forgot) {
		job_clear_log(j);
		j->forgot = true;
	}
}

void job_send(struct job *j)
{
	struct auth *a = j->auth;
	bool good = frame_close(&j->log, j->frame);

	hold(a, (int64_t)j->log.n);
	if (!good || j->id == 0 || a->bytes > a->conf.memory) {
		count(&a->stats.refused);
		job_fail(j, "too much is waiting to be judged");
		return;
	}
	push(j);
}

/* Those that wait, in order; slow messages that fill the workers keep no question of SPF from them. */
static void hand_out(struct auth *a)
{
	struct job *j, *next;

	for (j = TAILQ_FIRST(&a->waiting); j != NULL; j = next) {
		next = TAILQ_NEXT(j, link);
		if (best_end(a, j) != NULL)
			push(j);
	}
}

/* ---- names ---- */

static void keep_answer(struct job *j, struct lookup *l, bool answered)
{
	static const enum rr_status statuses[] = {
		[DNS_OK] = RR_OK, [DNS_NXDOMAIN] = RR_NXDOMAIN, [DNS_NODATA] = RR_NODATA, [DNS_FAILED] = RR_FAILED
	};
	struct answer *a = &j->answers->v[j->answers->n];

	must(j->answers->n < ANSWERS_MAX);
	*a = (struct answer){ .type = l->need.type, .status = answered ? statuses[l->q.status] : RR_FAILED };
	a->secure = answered && l->q.secure;
	bool good = arena_dup(&j->arena, str_c(l->need.name), &a->name);
	for (size_t i = 0; good && a->status == RR_OK && i < l->q.text_n && i < ANSWER_VALUES_MAX; i++)
		good = arena_dup(&j->arena, l->q.texts[i], &a->values[a->value_n++]);
	bool cut = l->q.texts_cut && a->type != RR_MX && a->type != RR_PTR; /* of those the first ones do */
	if (a->status == RR_OK && (!good || cut)) {                         /* half an answer is none */
		a->status = RR_FAILED;
		a->value_n = 0;
	}
	if (a->name.n > 0)
		j->answers->n++;
	l->open = false;
}

static void go_on(struct job *j)
{
	if (is_cancelled(j))
		job_stop(j);
	else
		j->kind->answered(j);
}

static void on_name(struct op *op)
{
	struct lookup *l = container_of(container_of(op, struct dns_lookup, op), struct lookup, q);
	struct job *j = l->job;

	keep_answer(j, l, true);
	must(j->lookup_open > 0);
	if (--j->lookup_open > 0)
		return;
	loop_timer_stop(&j->dns_timer);
	go_on(j);
}

static void on_dns_late(struct loop_timer *t)
{
	struct job *j = container_of(t, struct job, dns_timer);

	for (size_t i = 0; i < j->lookup_n; i++)
		if (j->lookups[i].open)
			keep_answer(j, &j->lookups[i], false);
	stop_lookups(j);
	go_on(j);
}

bool job_resolve(struct job *j, const struct needs *n, int64_t wait_ms)
{
	if (j->answers == NULL)
		j->answers = calloc(1, sizeof *j->answers);
	must(j->answers != NULL && j->lookup_open == 0);
	if (n->n == 0 || j->answers->n + n->n > ANSWERS_MAX)
		return false;
	stop_lookups(j);
	j->lookups = calloc(n->n, sizeof *j->lookups);
	must(j->lookups != NULL);
	j->lookup_n = j->lookup_open = n->n;
	loop_timer_set(&j->dns_timer, wait_ms);
	for (size_t i = 0; i < n->n; i++) {
		struct lookup *l = &j->lookups[i];
		l->job = j;
		l->need = n->v[i];
		l->open = true;
		dns_lookup_rr(j->auth->dns, j->auth->loop, str_c(l->need.name), (enum dns_rr)l->need.type, &l->q,
			      on_name);
	}
	return true;
}

/* ---- a worker's life ---- */

static void end_free(struct end *e)
{
	loop_io_stop(&e->io);
	loop_timer_stop(&e->timer);
	close(e->fd);
	hold(e->auth, -(int64_t)e->out.n);
	buf_fini(&e->in);
	buf_fini(&e->out);
	buf_fini(&e->fifo);
	TAILQ_REMOVE(&e->auth->ends, e, link);
	loop_free_later(e->auth->loop, e);
}

static void retire_when_idle(struct end *e)
{
	if (e->retiring && !e->dead && e->job_n == 0 && e->out.n == 0 && fifo_n(e) == 0)
		end_free(e); /* it sees the end of its input and leaves */
}

static void tell_keeper(struct auth *a, enum keeper_verb verb, uint32_t number)
{
	const struct keeper_ask ask = { .verb = (uint8_t)verb, .number = number };

	if (a->keeper >= 0 && send(a->keeper, &ask, sizeof ask, MSG_NOSIGNAL | MSG_DONTWAIT) == sizeof ask &&
	    verb == KEEPER_NEW)
		a->asked++;
}

/* Its jobs begin again elsewhere, but for the one it was at. */
static void end_die(struct end *e, const char *why)
{
	struct auth *a = e->auth;
	struct job *culprit = fifo_n(e) > 0 ? job_find(a, fifo_first(e)) : NULL, *j;
	bool started = e->ready;

	log_warn(NULL, "auth.worker_lost", kv_int("worker", e->number), kv_c("why", why),
		 kv_int("jobs", (int64_t)e->job_n), kv_bool("started", started));
	count(&a->stats.deaths);
	e->dead = true;
	tell_keeper(a, KEEPER_KILL, e->number);
	while ((j = TAILQ_FIRST(&e->jobs)) != NULL) {
		leave_end(j);
		j->open_frames = 0;
		j->sent = 0;
		if (j == culprit)
			job_fail(j, "the process that judged it ended");
		else if (j->forgot || j->replays++ >= REPLAYS_MAX)
			job_fail(j, "the process that judged it ended over another message");
		else if (j->log.n > 0)
			push(j);
	}
	end_free(e);
	if (!started)
		loop_timer_set(&a->pause, START_PAUSE_MS);
	ensure(a);
}

static void on_end_late(struct loop_timer *t)
{
	struct end *e = container_of(t, struct end, timer);

	count(&e->auth->stats.timeouts);
	end_die(e, e->ready ? "it took too long (auth.work_timeout)" : "it did not start in time");
}

static bool on_hello(struct end *e, const struct frame *f)
{
	struct reader r = { .in = f->payload };
	unsigned keys = read_u16(&r);
	struct str problems = read_str(&r, FRAME_CHUNK), line;

	if (e->ready || f->job != 0 || !read_end(&r))
		return false;
	e->ready = true;
	loop_timer_stop(&e->timer);
	log_info(NULL, "auth.worker", kv_int("worker", e->number), kv_int("keys", keys));
	while (problems.n > 0) {
		str_cut(problems, '\n', &line, &problems);
		log_error(NULL, "auth.key_unusable", kv_str("why", line));
	}
	hand_out(e->auth);
	return true;
}

/* False: a worker that talks like this is not ours any more. */
static bool take_frame(struct end *e, const struct frame *f)
{
	if (f->kind == AUTH_HELLO)
		return on_hello(e, f);
	if (f->kind < AUTH_TAKEN || fifo_n(e) == 0 || fifo_first(e) != f->job)
		return false;
	struct job *j = job_find(e->auth, f->job);
	if (j != NULL && j->end == e) {
		must(j->open_frames > 0);
		j->open_frames--;
		if (is_cancelled(j))
			job_stop(j);
		else if (!j->kind->answer(j, f))
			return false; /* it is still the first of the fifo */
	}
	if (e->dead)
		return true;
	fifo_drop(e);
	watch_time(e);
	return true;
}

static void on_end(struct loop_io *io, unsigned events)
{
	struct end *e = container_of(io, struct end, io);
	struct frame f;
	ssize_t n;

	if (events & LOOP_WRITE)
		flush(e);
	char *room = buf_reserve(&e->in, IN_ROOM);
	ssize_t got = room == NULL ? 0 : recv(e->fd, room, IN_ROOM, MSG_DONTWAIT);
	if (got < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (got <= 0) {
		end_die(e, room == NULL ? "it says too much" : "it ended");
		return;
	}
	buf_commit(&e->in, (size_t)got);
	while ((n = frame_next(buf_str(&e->in), &f)) > 0) {
		if (!take_frame(e, &f)) {
			end_die(e, "it makes no sense");
			return;
		}
		if (e->dead)
			return;
		buf_drop(&e->in, (size_t)n);
	}
	if (n < 0)
		end_die(e, "it makes no sense");
	else
		retire_when_idle(e);
}

static void end_new(struct auth *a, int fd, uint32_t number)
{
	struct end *e = calloc(1, sizeof *e);

	must(e != NULL);
	e->auth = a;
	e->fd = fd;
	e->number = number;
	TAILQ_INIT(&e->jobs);
	buf_init(&e->in, FRAME_MAX + IN_ROOM + FRAME_HEAD);
	buf_init(&e->out, (size_t)a->conf.memory * 2 + FRAME_MAX);
	buf_init(&e->fifo, 64 << 20);
	TAILQ_INSERT_TAIL(&a->ends, e, link);
	loop_io_start(a->loop, &e->io, fd, LOOP_READ, on_end);
	loop_timer_init(a->loop, &e->timer, on_end_late);
	loop_timer_set(&e->timer, a->conf.start_ms);
}

static void on_keeper(struct loop_io *io, unsigned events)
{
	struct auth *a = container_of(io, struct auth, keeper_io);
	struct keeper_answer answer = { 0 };
	struct iovec iov = { &answer, sizeof answer };
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct msghdr m = {
		.msg_iov = &iov, .msg_iovlen = 1, .msg_control = control.room, .msg_controllen = sizeof control.room
	};
	int fd = -1;

	(void)events;
	ssize_t n = recvmsg(a->keeper, &m, MSG_CMSG_CLOEXEC | MSG_DONTWAIT);
	if (n < 0 && (errno == EAGAIN || errno == EINTR))
		return;
	if (n != sizeof answer) {
		log_error(NULL, "auth.keeper_lost",
			  kv_c("why", "no new workers can be made until tombolod is restarted"));
		loop_io_stop(&a->keeper_io);
		close(a->keeper);
		a->keeper = -1;
		a->asked = 0;
		return;
	}
	struct cmsghdr *c = CMSG_FIRSTHDR(&m);
	if (c != NULL && c->cmsg_level == SOL_SOCKET && c->cmsg_type == SCM_RIGHTS &&
	    c->cmsg_len == CMSG_LEN(sizeof fd))
		memcpy(&fd, CMSG_DATA(c), sizeof fd);
	if (a->asked > 0)
		a->asked--;
	if (fd >= 0) {
		end_new(a, fd, answer.number);
		return;
	}
	log_error(NULL, "auth.worker_lost", kv_c("why", "no process could be made"));
	loop_timer_set(&a->pause, START_PAUSE_MS);
}

static void on_pause(struct loop_timer *t)
{
	ensure(container_of(t, struct auth, pause));
}

/* As many workers as there should be, those that leave not counted. */
static void ensure(struct auth *a)
{
	size_t n = a->asked;
	struct end *e;

	TAILQ_FOREACH (e, &a->ends, link)
		n += !e->retiring && !e->dead;
	if (a->closing || loop_timer_is_set(&a->pause))
		return;
	for (; n < a->wanted; n++)
		tell_keeper(a, KEEPER_NEW, 0);
}

struct auth *auth_open(const struct auth_options *o)
{
	struct auth *a = calloc(1, sizeof *a);

	must(a != NULL && o->conf->workers > 0 && o->shares > 0);
	a->loop = o->loop;
	a->dns = o->dns;
	a->conf = *o->conf;
	a->keeper = o->keeper;
	a->wanted = ((size_t)o->conf->workers + o->shares - 1) / o->shares;
	TAILQ_INIT(&a->ends);
	TAILQ_INIT(&a->waiting);
	loop_timer_init(a->loop, &a->pause, on_pause);
	loop_io_start(a->loop, &a->keeper_io, a->keeper, LOOP_READ, on_keeper);
	ensure(a);
	return a;
}

void auth_close(struct auth **ap)
{
	struct auth *a = *ap;

	if (a == NULL)
		return;
	a->closing = true;
	for (size_t i = 0; i < SLOTS; i++)
		must(a->slots[i] == NULL);
	while (!TAILQ_EMPTY(&a->ends))
		end_free(TAILQ_FIRST(&a->ends));
	loop_timer_stop(&a->pause);
	if (a->keeper >= 0) {
		loop_io_stop(&a->keeper_io);
		close(a->keeper);
	}
	loop_free_later(a->loop, a);
	*ap = NULL;
}

void auth_reconfigure(struct auth *a, const struct conf_auth *conf)
{
	struct end *e, *next;

	a->conf = *conf;
	for (e = TAILQ_FIRST(&a->ends); e != NULL; e = next) {
		next = TAILQ_NEXT(e, link);
		e->retiring = true;
		retire_when_idle(e);
	}
	ensure(a);
}

void auth_stats(const struct auth *a, struct auth_stats *out)
{
	const uint64_t *from = (const uint64_t *)&a->stats;
	uint64_t *to = (uint64_t *)out;

	for (size_t i = 0; i < sizeof *out / sizeof *to; i++)
		to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
	out->bytes = __atomic_load_n(&a->bytes, __ATOMIC_RELAXED);
}
