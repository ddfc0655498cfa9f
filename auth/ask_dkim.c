/* auth/ask_dkim.c: the signatures of one message: its header to a worker, the keys' names to the DNS, the body to the
 * worker as it comes; the verdict when the body and the last key are there.
 *
 *   begin -> header -> (needs -> names -> answers)  -> END with the answers -> verdict
 *                   -> body*  -> end              /
 */
#include "auth/dkim_lib.h"
#include "auth/crew.h"

#include "base/must.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static struct auth_dkim *asker(const struct job *j)
{
	return container_of(j->held, struct auth_dkim, op);
}

/* The verdict before the asker waits for one: kept until then. */
struct early {
	enum auth_result result;
	const char *why;
};

static void settle(struct job *j, enum auth_result r, const char *why)
{
	if (j->over)
		return;
	struct early *e = arena_alloc(&j->arena, sizeof *e);
	must(e != NULL);
	*e = (struct early){ r, why };
	j->early = e;
	if (j->held != NULL)
		job_done(j);
	else
		job_stop(j);
}

static void on_fail(struct job *j, const char *why)
{
	settle(j, AUTH_TEMPERROR, why);
}

static void end_when_complete(struct job *j)
{
	static const struct answers none;

	if (!j->ended || !j->has_needs || j->lookup_open > 0 || j->told_end)
		return;
	j->told_end = true;
	answers_put(j->answers != NULL ? j->answers : &none, job_frame(j, AUTH_VERIFY_END));
	job_send(j);
}

/* Keys and nothing else: a worker that was taken over asks no other questions. */
static bool are_keys(const struct needs *n)
{
	for (size_t i = 0; i < n->n; i++)
		if (n->v[i].type != RR_TXT || str_find(str_c(n->v[i].name), S("._domainkey.")) <= 0)
			return false;
	return true;
}

static bool take_needs(struct job *j, struct str payload)
{
	struct reader r = { .in = payload };
	struct needs *n = calloc(1, sizeof *n);

	must(n != NULL);
	bool good = needs_read(&r, n) && read_end(&r) && are_keys(n);
	if (good && !j->has_needs) { /* else it was told again */
		j->has_needs = true;
		if (n->n > 0)
			good = job_resolve(j, n, crew_conf(j->auth)->dns_ms);
		end_when_complete(j);
	}
	free(n);
	return good;
}

/* The best of them speaks for the message. */
static enum auth_result best_of(const struct auth_sig *sigs, size_t n)
{
	static const enum auth_result order[] = { AUTH_PASS, AUTH_TEMPERROR, AUTH_POLICY,
						  AUTH_FAIL, AUTH_NEUTRAL,   AUTH_PERMERROR };

	for (size_t k = 0; n > 0 && k < sizeof order / sizeof order[0]; k++)
		for (size_t i = 0; i < n; i++)
			if (sigs[i].result == order[k])
				return order[k];
	return AUTH_NONE;
}

static bool take_verdict(struct job *j, struct str payload)
{
	struct auth_sig *sigs = arena_alloc(&j->arena, AUTH_SIGS_MAX * sizeof *sigs);
	struct auth_dkim *q;
	size_t n;

	if (sigs == NULL || !j->told_end || j->held == NULL || !sigs_read(payload, sigs, &n))
		return false;
	q = asker(j);
	q->sigs = sigs;
	q->sig_n = n;
	q->result = best_of(sigs, n);
	j->mute = true;
	job_done(j);
	return true;
}

static bool on_frame(struct job *j, const struct frame *f)
{
	if (f->kind == AUTH_TAKEN)
		return f->payload.n == 0;
	if (f->kind == AUTH_DKIM_NEEDS)
		return take_needs(j, f->payload);
	return f->kind == AUTH_DKIM_VERDICT && take_verdict(j, f->payload);
}

static void on_finish(struct job *j)
{
	const struct early *e = j->early;
	struct auth_dkim *q = asker(j);

	if (e != NULL) {
		q->result = e->result;
		snprintf(q->why, sizeof q->why, "%s", e->why);
	}
	op_finish(&j->held);
}

static const struct job_kind dkim_kind = { on_frame, on_fail, end_when_complete, on_finish };

void auth_dkim_begin(struct auth *a, struct auth_dkim *q)
{
	must(!op_is_open(&q->op));
	auth_dkim_fini(q);
	q->state = job_new(a, &dkim_kind);
	__atomic_add_fetch(&crew_stats(a)->dkim, 1, __ATOMIC_RELAXED);
}

/* A look for the word alone: most mail that is not signed costs nothing more. */
static bool has_signature(struct str header)
{
	for (struct str line, rest = header; rest.n > 0;) {
		str_cut(rest, '\n', &line, &rest);
		if (str_istarts(line, S("DKIM-Signature")))
			return true;
	}
	return false;
}

void auth_dkim_header(struct auth_dkim *q, struct str header)
{
	struct job *j = q->state;

	must(j != NULL);
	must(!j->has_head);
	j->has_head = true;
	if (header.n > AUTH_HEADER_MAX)
		settle(j, AUTH_NEUTRAL, "the header is too long to be looked at");
	else if (!has_signature(header))
		settle(j, AUTH_NONE, "");
	else if (!j->stopped) {
		buf_add(job_frame(j, AUTH_VERIFY), header);
		job_send(j);
	}
}

void auth_dkim_body(struct auth_dkim *q, struct str chunk)
{
	struct job *j = q->state;

	must(j != NULL);
	must(j->has_head && !j->ended);
	for (; chunk.n > 0 && !j->stopped; chunk = str_skip(chunk, FRAME_CHUNK)) {
		buf_add(job_frame(j, AUTH_BODY), str_head(chunk, FRAME_CHUNK));
		job_send(j);
	}
}

void auth_dkim_end(struct auth_dkim *q, void (*done)(struct op *))
{
	struct job *j = q->state;

	must(j != NULL);
	must(!j->ended);
	j->ended = true;
	job_open(j, &q->op, done);
	if (j->stopped) {
		job_done(j);
		return;
	}
	if (!j->has_head) {
		settle(j, AUTH_NONE, "");
		return;
	}
	loop_timer_set(&j->deadline, crew_conf(j->auth)->dns_ms + 2 * crew_conf(j->auth)->work_ms);
	end_when_complete(j);
}

void auth_dkim_fini(struct auth_dkim *q)
{
	struct job *j = q->state;

	if (j != NULL) {
		op_cancel(&q->op);
		job_release(j);
	}
	*q = (struct auth_dkim){ 0 };
}
