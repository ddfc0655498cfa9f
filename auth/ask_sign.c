/* auth/ask_sign.c: the signature fields of one message: header and body to a worker that has the keys. */
#include "auth/crew.h"

#include "base/must.h"
#include "wire/header.h"

#include <stdio.h>
#include <stdlib.h>

enum { FIELDS_MAX = 10000 };

static struct auth_sign *asker(const struct job *j)
{
	return container_of(j->held, struct auth_sign, op);
}

static void stop(struct job *j, const char *why)
{
	if (j->over)
		return;
	j->why = why;
	if (j->held != NULL)
		job_done(j);
	else
		job_stop(j);
}

static void on_fail(struct job *j, const char *why)
{
	void (*more)(struct auth_sign *) = j->more;
	struct str copy = S("it cannot be signed now");

	arena_dup(&j->arena, str_n(why, str_c(why).n + 1), &copy);
	j->more = NULL;
	stop(j, copy.p);
	if (more != NULL)
		more(j->waiting_q); /* who waits to write hears of it; what he still writes is nothing */
}

static void go_on(struct job *j)
{
	void (*more)(struct auth_sign *) = j->more;

	if (more == NULL || crew_backlog(j))
		return;
	j->more = NULL;
	more(j->waiting_q);
}

static bool on_frame(struct job *j, const struct frame *f)
{
	struct reader r = { .in = f->payload };
	struct auth_sign *q;
	struct str text;

	switch (f->kind) {
	case AUTH_TAKEN:
		go_on(j);
		return f->payload.n == 0;
	case AUTH_REFUSED:
		text = read_str(&r, AUTH_TEXT - 1);
		if (!read_end(&r))
			return false;
		j->mute = j->refused = true;
		job_fail(j, text.n > 0 ? "the worker has no key that signs this" : "refused");
		return true;
	case AUTH_SIGNATURE:
		text = read_str(&r, AUTH_HEADER_MAX);
		if (!read_end(&r) || j->held == NULL || !str_starts(text, S("DKIM-Signature:")) ||
		    !str_ends(text, S("\r\n")) || str_find(text, S("\r\n\r\n")) >= 0)
			return false;
		q = asker(j);
		q->ok = arena_dup(&j->arena, text, &q->fields);
		j->mute = true;
		__atomic_add_fetch(&crew_stats(j->auth)->signed_n, 1, __ATOMIC_RELAXED);
		job_done(j);
		return true;
	default:
		return false;
	}
}

static void on_finish(struct job *j)
{
	struct auth_sign *q = asker(j);

	q->refused = j->refused;
	if (!q->ok)
		snprintf(q->why, sizeof q->why, "%s", j->why != NULL ? j->why : "");
	op_finish(&j->held);
}

static const struct job_kind sign_kind = { on_frame, on_fail, NULL, on_finish };

void auth_sign_begin(struct auth *a, struct str domain, struct auth_sign *q)
{
	must(!op_is_open(&q->op));
	auth_sign_fini(q);
	struct job *j = job_new(a, &sign_kind);
	q->state = j;
	snprintf(j->domain, sizeof j->domain, STR_FMT, STR_ARG(domain));
	buf_init(&j->head, AUTH_HEADER_MAX + FRAME_CHUNK);
	j->scan = calloc(1, sizeof *j->scan);
	must(j->scan != NULL);
	header_scan_init(j->scan, AUTH_HEADER_MAX, FIELDS_MAX, STR_NONE);
	loop_timer_set(&j->deadline, 4 * crew_conf(a)->work_ms);
}

/* The header is whole: it goes to the worker, with the empty line behind it if there is one. */
static void send_head(struct job *j, struct str head)
{
	struct buf *b = job_frame(j, AUTH_SIGN);

	put_str(b, str_c(j->domain));
	put_str(b, head);
	job_send(j);
	j->has_head = true;
	buf_fini(&j->head);
}

static void send_body(struct job *j, struct str bytes)
{
	for (; bytes.n > 0 && !j->stopped; bytes = str_skip(bytes, FRAME_CHUNK)) {
		buf_add(job_frame(j, AUTH_BODY), str_head(bytes, FRAME_CHUNK));
		job_send(j);
	}
}

static void take_head(struct job *j, struct str bytes)
{
	header_scan_add(j->scan, bytes);
	buf_add(&j->head, bytes);
	if (j->scan->too_big || j->head.full) {
		j->refused = true;
		stop(j, "the header is too long to be signed");
		return;
	}
	if (!j->scan->done)
		return;
	struct str all = buf_str(&j->head), body = STR_NONE;
	arena_dup(&j->arena, str_skip(all, (size_t)j->scan->end), &body);
	send_head(j, str_head(all, (size_t)j->scan->end));
	send_body(j, body);
}

bool auth_sign_write(struct auth_sign *q, struct str bytes, void (*more)(struct auth_sign *))
{
	struct job *j = q->state;

	must(j != NULL);
	must(!j->ended);
	if (j->stopped)
		return true; /* the end tells */
	loop_timer_set(&j->deadline, 4 * crew_conf(j->auth)->work_ms);
	if (!j->has_head)
		take_head(j, bytes);
	else
		send_body(j, bytes);
	if (j->stopped || !crew_backlog(j))
		return true;
	j->more = more;
	j->waiting_q = q;
	return false;
}

void auth_sign_end(struct auth_sign *q, void (*done)(struct op *))
{
	struct job *j = q->state;

	must(j != NULL);
	must(!j->ended);
	j->ended = true;
	job_open(j, &q->op, done);
	if (!j->stopped && !j->has_head) {
		header_scan_finish(j->scan);
		send_head(j, buf_str(&j->head));
	}
	if (j->stopped) {
		job_done(j);
		return;
	}
	job_frame(j, AUTH_SIGN_END);
	job_send(j);
}

void auth_sign_fini(struct auth_sign *q)
{
	struct job *j = q->state;

	if (j != NULL) {
		op_cancel(&q->op);
		job_release(j);
	}
	*q = (struct auth_sign){ 0 };
}
