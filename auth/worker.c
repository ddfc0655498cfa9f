/* auth/worker.c: each frame to its job. */
#include "auth/worker.h"

#include "auth/dkim_lib.h"
#include "auth/spf_eval.h"

#include "base/fault.h"
#include "base/must.h"

#include <stdlib.h>
#include <string.h>

enum { SLOTS = 256 };

struct job {
	struct job *next; /* of its slot */
	uint32_t id;
	struct verify *verify;
	struct signing *signings[WORKER_KEYS_PER_MESSAGE];
	size_t signing_n;
};

struct worker {
	const struct keys *keys;
	unsigned signatures;
	struct job *slots[SLOTS];
	size_t job_n;
	struct answers answers; /* of the frame at hand */
	struct needs needs;
	struct spf_verdict verdict;
	struct auth_sig sigs[AUTH_SIGS_MAX];
};

struct worker *worker_new(const struct keys *keys, unsigned signatures)
{
	struct worker *w = calloc(1, sizeof *w);

	must(w != NULL);
	dkim_lib_open();
	w->keys = keys;
	w->signatures = signatures;
	buf_init(&w->verdict.story, SPF_STORY_MAX);
	return w;
}

static struct job **job_at(struct worker *w, uint32_t id)
{
	struct job **at = &w->slots[id % SLOTS];

	while (*at != NULL && (*at)->id != id)
		at = &(*at)->next;
	return at;
}

static void job_free(struct worker *w, struct job **at)
{
	struct job *j = *at;

	if (j == NULL)
		return;
	*at = j->next;
	verify_free(&j->verify);
	for (size_t i = 0; i < j->signing_n; i++)
		signing_free(&j->signings[i]);
	free(j);
	w->job_n--;
}

/* NULL: there is one of that number, or there are too many. */
static struct job *job_new(struct worker *w, uint32_t id)
{
	struct job **at = job_at(w, id);

	if (*at != NULL || w->job_n >= WORKER_JOBS_MAX)
		return NULL;
	struct job *j = calloc(1, sizeof *j);
	must(j != NULL);
	j->id = id;
	*at = j;
	w->job_n++;
	return j;
}

void worker_free(struct worker **w)
{
	if (*w == NULL)
		return;
	for (size_t i = 0; i < SLOTS; i++)
		while ((*w)->slots[i] != NULL)
			job_free(*w, &(*w)->slots[i]);
	buf_fini(&(*w)->verdict.story);
	free(*w);
	*w = NULL;
}

void worker_hello(const struct keys *keys, struct str problems, struct buf *out)
{
	size_t at = frame_open(out, AUTH_HELLO, 0);

	put_u16(out, (unsigned)keys->n);
	put_str(out, problems);
	must(frame_close(out, at));
}

/* ---- answers ---- */

static bool say(struct buf *out, enum frame_kind kind, uint32_t job)
{
	return frame_close(out, frame_open(out, kind, job));
}

static bool refuse(struct buf *out, uint32_t job, const char *why)
{
	size_t at = frame_open(out, AUTH_REFUSED, job);

	put_str(out, str_c(why));
	return frame_close(out, at);
}

static bool spf_ask(struct worker *w, const struct frame *f, struct buf *out)
{
	struct spf_question q;

	if (!spf_question_read(f->payload, &q, &w->answers))
		return false;
	bool needs = spf_eval(&q, &w->answers, &w->needs, &w->verdict) == EVAL_NEEDS;
	size_t at = frame_open(out, needs ? AUTH_SPF_NEEDS : AUTH_SPF_VERDICT, f->job);
	if (needs)
		needs_put(&w->needs, out);
	else
		spf_verdict_put(&w->verdict, out);
	return frame_close(out, at);
}

static bool verify_begin(struct worker *w, const struct frame *f, struct buf *out)
{
	struct job *j = job_new(w, f->job);

	if (j == NULL)
		return false;
	j->verify = verify_new(f->payload, w->signatures, &w->needs);
	size_t at = frame_open(out, AUTH_DKIM_NEEDS, f->job);
	needs_put(&w->needs, out);
	return frame_close(out, at);
}

static bool verify_over(struct worker *w, const struct frame *f, struct buf *out)
{
	struct job **at = job_at(w, f->job);
	struct reader r = { .in = f->payload };

	if (*at == NULL || (*at)->verify == NULL || !answers_read(&r, &w->answers) || !read_end(&r))
		return false;
	size_t n = verify_end((*at)->verify, &w->answers, w->sigs);
	job_free(w, at);
	size_t frame = frame_open(out, AUTH_DKIM_VERDICT, f->job);
	sigs_put(w->sigs, n, out);
	return frame_close(out, frame);
}

static bool sign_begin(struct worker *w, const struct frame *f, struct buf *out)
{
	struct reader r = { .in = f->payload };
	struct str domain = read_str(&r, 255), header = read_str(&r, AUTH_HEADER_MAX);
	struct job *j = read_end(&r) ? job_new(w, f->job) : NULL;
	char why[AUTH_TEXT] = "there is no usable key";
	const struct sign_key *key;
	size_t at = 0;

	if (j == NULL)
		return false;
	while (j->signing_n < WORKER_KEYS_PER_MESSAGE && (key = keys_next(w->keys, domain, &at)) != NULL) {
		struct signing *s = signing_new(key, header, why);
		if (s != NULL)
			j->signings[j->signing_n++] = s;
	}
	if (j->signing_n > 0)
		return say(out, AUTH_TAKEN, f->job);
	job_free(w, job_at(w, f->job));
	return refuse(out, f->job, why);
}

static bool sign_over(struct worker *w, const struct frame *f, struct buf *out)
{
	struct job **at = job_at(w, f->job);
	struct job *j = *at;
	char why[AUTH_TEXT] = "it is over";
	struct buf fields;
	bool good = true;

	if (f->payload.n > 0)
		return false;
	if (j == NULL || j->signing_n == 0)
		return refuse(out, f->job, why);
	buf_init(&fields, AUTH_HEADER_MAX);
	for (size_t i = 0; good && i < j->signing_n; i++)
		good = signing_end(j->signings[i], &fields, why);
	job_free(w, at);
	if (good) {
		size_t frame = frame_open(out, AUTH_SIGNATURE, f->job);
		put_str(out, buf_str(&fields));
		good = frame_close(out, frame);
	} else {
		good = refuse(out, f->job, why);
	}
	buf_fini(&fields);
	return good;
}

/* A body behind a refused begin may be on its way still. */
static bool take_body(struct worker *w, const struct frame *f, struct buf *out)
{
	struct job *j = *job_at(w, f->job);

	if (j != NULL && j->verify != NULL)
		verify_body(j->verify, f->payload);
	for (size_t i = 0; j != NULL && i < j->signing_n; i++)
		signing_body(j->signings[i], f->payload);
	return say(out, AUTH_TAKEN, f->job);
}

static bool take(struct worker *w, const struct frame *f, struct buf *out)
{
	switch (f->kind) {
	case AUTH_SPF_ASK:
		return spf_ask(w, f, out);
	case AUTH_VERIFY:
		return verify_begin(w, f, out);
	case AUTH_SIGN:
		return sign_begin(w, f, out);
	case AUTH_BODY:
		return take_body(w, f, out);
	case AUTH_VERIFY_END:
		return verify_over(w, f, out);
	case AUTH_SIGN_END:
		return sign_over(w, f, out);
	case AUTH_DROP:
		job_free(w, job_at(w, f->job));
		return say(out, AUTH_TAKEN, f->job);
	default:
		return false;
	}
}

ssize_t worker_feed(struct worker *w, struct str in, struct buf *out)
{
	size_t used = 0;
	struct frame f;

	for (;;) {
		ssize_t n = frame_next(str_skip(in, used), &f);
		if (n < 0 || (n > 0 && (fault("auth.frame") || !take(w, &f, out))))
			return -1;
		if (n == 0)
			return (ssize_t)used;
		used += (size_t)n;
	}
}
