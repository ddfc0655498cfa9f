/* auth/crew_job.c: jobs from their first frame to their op: what they told is kept, handed to a worker, told again to
 * another one; names are asked for. */
#include "auth/crew_inner.h"

#include "base/must.h"
#include "wire/header.h"

#include <stdlib.h>
#include <string.h>

/* ---- jobs ---- */

struct job *job_find(struct auth *a, uint32_t id)
{
	struct job *j = a->slots[id % SLOTS];

	return j != NULL && j->id == id ? j : NULL;
}

static void on_deadline(struct loop_timer *t)
{
	struct job *j = container_of(t, struct job, deadline);

	crew_count(&j->auth->stats.timeouts);
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
	crew_hold(j->auth, -(int64_t)j->log.n);
	buf_fini(&j->log);
	j->sent = 0;
}

void job_clear_log(struct job *j)
{
	crew_hold(j->auth, -(int64_t)j->log.n);
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
void job_leave(struct job *j)
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

static void take_off(struct job *j)
{
	struct end *e = j->end;
	char room[FRAME_HEAD];
	struct buf b;

	job_leave(j);
	if (e != NULL && !e->dead && !j->mute) {
		buf_init(&b, sizeof room);
		size_t at = frame_open(&b, AUTH_DROP, j->id);
		must(frame_close(&b, at));
		end_give(e, j, buf_str(&b));
		buf_fini(&b);
	}
	log_free(j);
	stop_lookups(j);
	loop_timer_stop(&j->deadline);
	if (j->id != 0)
		j->auth->slots[j->id % SLOTS] = NULL;
	if (e != NULL)
		end_retire(e);
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
	crew_hand_out(a);
}

void job_open(struct job *j, struct op *op, void (*done)(struct op *))
{
	op_start(op, done, &j->held);
	j->opened = true;
}

bool job_is_cancelled(const struct job *j)
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
	if (job_is_cancelled(j))
		job_stop(j);
	else
		j->kind->fail(j, why);
}

bool crew_backlog(const struct job *j)
{
	if (j->end == NULL)
		return j->log.n - j->sent > BACKLOG;
	return j->open_frames > 0 && j->end->out.n > BACKLOG; /* with none open no answer would come to say go on */
}

struct buf *job_frame(struct job *j, enum frame_kind kind)
{
	if (j->forgot) /* what was told is not kept: only this frame is */
		job_clear_log(j), j->forgot = true;
	crew_hold(j->auth, -(int64_t)j->log.n);
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
		crew_count(&a->stats.recycled);
		crew_ensure(a);
	}
}

/* What is told by now goes to its worker; one is found when it has none. */
void job_push(struct job *j)
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
	end_give(e, j, news);
	if (j->log.n > (size_t)a->conf.keep && !j->forgot) {
		job_clear_log(j);
		j->forgot = true;
	}
}

void job_send(struct job *j)
{
	struct auth *a = j->auth;
	bool good = frame_close(&j->log, j->frame);

	crew_hold(a, (int64_t)j->log.n);
	if (!good || j->id == 0 || a->bytes > a->conf.memory) {
		crew_count(&a->stats.refused);
		job_fail(j, "too much is waiting to be judged");
		return;
	}
	job_push(j);
}

/* Those that wait, in order; slow messages that fill the workers keep no question of SPF from them. */
void crew_hand_out(struct auth *a)
{
	struct job *j, *next;

	for (j = TAILQ_FIRST(&a->waiting); j != NULL; j = next) {
		next = TAILQ_NEXT(j, link);
		if (best_end(a, j) != NULL)
			job_push(j);
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
	if (job_is_cancelled(j))
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
