/* auth/ask_spf.c: one SPF verdict: a question to a worker, names it lacks, the question again. */
#include "auth/crew.h"
#include "auth/spf_eval.h"

#include "base/must.h"
#include "base/time.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { ROUNDS_MAX = 40 };

static struct auth_spf *asker(const struct job *j)
{
	return container_of(j->held, struct auth_spf, op);
}

static void ask(struct job *j)
{
	static const struct answers none;

	if (++j->rounds > ROUNDS_MAX) {
		job_fail(j, "it does not end");
		return;
	}
	job_clear_log(j);
	spf_question_put(j->spf, j->answers != NULL ? j->answers : &none, job_frame(j, AUTH_SPF_ASK));
	job_send(j);
}

static bool take_verdict(struct job *j, struct str payload)
{
	struct auth_spf *q = asker(j);
	struct spf_verdict v = { 0 };

	buf_init(&v.story, SPF_STORY_MAX);
	bool good = spf_verdict_read(payload, &v);
	if (good) {
		q->result = v.result;
		q->helo = v.helo;
		q->secure = v.secure;
		memcpy(q->domain, v.domain, sizeof q->domain);
		memcpy(q->mechanism, v.mechanism, sizeof q->mechanism);
		memcpy(q->explanation, v.explanation, sizeof q->explanation);
		memcpy(q->why, v.why, sizeof q->why);
		q->lookups = v.lookups;
		q->voids = v.voids;
		arena_dup(&j->arena, buf_str(&v.story), &q->story);
		job_done(j);
	}
	buf_fini(&v.story);
	return good;
}

static bool on_frame(struct job *j, const struct frame *f)
{
	struct reader r = { .in = f->payload };
	struct needs *n;

	if (f->kind == AUTH_SPF_VERDICT)
		return take_verdict(j, f->payload);
	if (f->kind != AUTH_SPF_NEEDS)
		return false;
	n = calloc(1, sizeof *n);
	must(n != NULL);
	/* a verdict comes by then in any case: the deadline of the whole is the tighter one */
	bool good = needs_read(&r, n) && read_end(&r) && job_resolve(j, n, crew_conf(j->auth)->spf_ms);
	free(n);
	return good;
}

static void on_fail(struct job *j, const char *why)
{
	struct auth_spf *q = asker(j);

	q->result = AUTH_TEMPERROR;
	snprintf(q->why, sizeof q->why, "%s", why);
	job_done(j);
}

static void on_finish(struct job *j)
{
	op_finish(&j->held);
}

static const struct job_kind spf_kind = { on_frame, on_fail, ask, on_finish };

static struct str copy(struct job *j, struct str s, size_t max)
{
	struct str out = STR_NONE;

	arena_dup(&j->arena, str_head(s, max), &out);
	return out;
}

void auth_spf(struct auth *a, const struct auth_spf_ask *what, struct auth_spf *q, void (*done)(struct op *))
{
	must(!op_is_open(&q->op));
	auth_spf_fini(q);
	struct job *j = job_new(a, &spf_kind);
	must(j != NULL);
	j->mute = true; /* workers keep nothing of it */
	q->state = j;
	job_open(j, &q->op, done);
	j->spf = arena_alloc(&j->arena, sizeof *j->spf);
	must(j->spf != NULL);
	*j->spf = (struct spf_question){ .client = what->client,
					 .helo = copy(j, what->helo, 1000),
					 .sender = copy(j, what->sender, 1000),
					 .receiver = copy(j, what->receiver, 255),
					 .now_s = clock_wall_ms() / 1000,
					 .wants_story = what->wants_story };
	q->helo = what->sender.n == 0;
	__atomic_add_fetch(&crew_stats(a)->spf, 1, __ATOMIC_RELAXED);
	loop_timer_set(&j->deadline, crew_conf(a)->spf_ms);
	ask(j);
}

void auth_spf_fini(struct auth_spf *q)
{
	struct job *j = q->state;

	if (j != NULL) {
		op_cancel(&q->op);
		job_release(j);
	}
	*q = (struct auth_spf){ 0 };
}
