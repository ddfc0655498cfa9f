/* auth/crew.c: workers come, get frames, answer, are replaced; see the header.
 *
 *   crew_ensure -> keeper "N" -> on_keeper: a socket -> on_hello: ready -> frames <-> answers -> retire | die -> ensure
 */
#include "auth/crew_inner.h"

#include "auth/keeper.h"

#include "base/log.h"
#include "base/must.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

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

void crew_count(uint64_t *n)
{
	__atomic_add_fetch(n, 1, __ATOMIC_RELAXED);
}

/* Told to other threads, too (auth_stats). */
void crew_hold(struct auth *a, int64_t bytes)
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
		crew_hold(e->auth, -(int64_t)n);
	}
	loop_io_want(&e->io, e->out.n > 0 ? LOOP_READ | LOOP_WRITE : LOOP_READ);
}

/* Every whole frame of `bytes` belongs to job j. */
void end_give(struct end *e, struct job *j, struct str bytes)
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
	crew_hold(e->auth, (int64_t)bytes.n);
	if (idle)
		watch_time(e);
	flush(e);
}

/* ---- a worker's life ---- */

static void end_free(struct end *e)
{
	loop_io_stop(&e->io);
	loop_timer_stop(&e->timer);
	close(e->fd);
	crew_hold(e->auth, -(int64_t)e->out.n);
	buf_fini(&e->in);
	buf_fini(&e->out);
	buf_fini(&e->fifo);
	TAILQ_REMOVE(&e->auth->ends, e, link);
	loop_free_later(e->auth->loop, e);
}

void end_retire(struct end *e)
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
	crew_count(&a->stats.deaths);
	e->dead = true;
	tell_keeper(a, KEEPER_KILL, e->number);
	while ((j = TAILQ_FIRST(&e->jobs)) != NULL) {
		job_leave(j);
		j->open_frames = 0;
		j->sent = 0;
		if (j == culprit)
			job_fail(j, "the process that judged it ended");
		else if (j->forgot || j->replays++ >= REPLAYS_MAX)
			job_fail(j, "the process that judged it ended over another message");
		else if (j->log.n > 0)
			job_push(j);
	}
	end_free(e);
	if (!started)
		loop_timer_set(&a->pause, START_PAUSE_MS);
	crew_ensure(a);
}

static void on_end_late(struct loop_timer *t)
{
	struct end *e = container_of(t, struct end, timer);

	crew_count(&e->auth->stats.timeouts);
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
	crew_hand_out(e->auth);
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
		if (job_is_cancelled(j))
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
		end_retire(e);
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
	crew_ensure(container_of(t, struct auth, pause));
}

/* As many workers as there should be, those that leave not counted. */
void crew_ensure(struct auth *a)
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
	crew_ensure(a);
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
		end_retire(e);
	}
	crew_ensure(a);
}

void auth_stats(const struct auth *a, struct auth_stats *out)
{
	const uint64_t *from = (const uint64_t *)&a->stats;
	uint64_t *to = (uint64_t *)out;

	for (size_t i = 0; i < sizeof *out / sizeof *to; i++)
		to[i] = __atomic_load_n(&from[i], __ATOMIC_RELAXED);
	out->bytes = __atomic_load_n(&a->bytes, __ATOMIC_RELAXED);
}
