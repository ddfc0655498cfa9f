/* smtpd/transaction.c: the message being built; see the header. */
#include "smtpd/transaction.h"

#include "base/guid.h"
#include "base/must.h"
#include "base/time.h"
#include "connectors/reason.h"

#include <string.h>

void transaction_init(struct transaction *t, struct arena *a)
{
	memset(t, 0, sizeof *t);
	t->arena = a;
}

void transaction_reset(struct transaction *t)
{
	struct arena *a = t->arena;

	if (!transaction_is_open(t))
		return;
	if (t->on_over != NULL)
		t->on_over(t->on_header_arg, t);
	spool_abort(&t->spool);
	if (t->header_open) {
		header_scan_fini(&t->header);
		buf_fini(&t->held);
	}
	arena_rewind(a, t->mark);
	transaction_init(t, a);
}

bool transaction_mail(struct transaction *t, const struct cmd_mail *m, int64_t now_ms)
{
	struct envelope *env = &t->env;
	struct buf xorg;
	bool ok;

	must(!transaction_is_open(t));
	t->mark = arena_mark(t->arena);
	env->arrived_ms = now_ms;
	env->ret = m->ret;
	env->body = m->body;
	env->smtputf8 = m->smtputf8;
	guid_make(t->trace_id);
	env->trace_id = str_c(t->trace_id);
	buf_init(&xorg, 512);
	ok = addr_xtext_decode(m->xorg, &xorg) && arena_dup(t->arena, buf_str(&xorg), &env->xorg) &&
	     arena_dup(t->arena, m->from.whole, &env->from) && arena_dup(t->arena, m->envid, &env->envid);
	buf_fini(&xorg);
	return ok;
}

bool transaction_rcpt(struct transaction *t, const struct cmd_rcpt *r)
{
	struct env_rcpt *rcpt;

	if (t->env.rcpt_n == t->rcpt_cap) {
		size_t cap = t->rcpt_cap == 0 ? 4 : t->rcpt_cap * 2;
		struct env_rcpt *more = arena_alloc(t->arena, cap * sizeof *more);
		if (more == NULL)
			return false;
		if (t->env.rcpt_n > 0)
			memcpy(more, t->rcpts, t->env.rcpt_n * sizeof *more);
		t->rcpts = more;
		t->rcpt_cap = cap;
		t->env.rcpts = more;
	}
	rcpt = &t->rcpts[t->env.rcpt_n];
	*rcpt = (struct env_rcpt){ .notify = r->notify };
	if (!arena_dup(t->arena, r->to.whole, &rcpt->addr) || !arena_dup(t->arena, r->orcpt, &rcpt->orcpt))
		return false;
	t->env.rcpt_n++;
	return true;
}

void transaction_judge(struct transaction *t, struct reply r)
{
	if (t->verdict.code == 0)
		t->verdict = r;
}

static void judge_reason(struct transaction *t, enum reason reason, enum conf_codes codes, enum conf_site site)
{
	if (t->verdict.code == 0) {
		t->verdict_rule.rule = reason_row(reason)->rule;
		t->verdict_rule.reason = reason_row(reason)->name;
	}
	transaction_judge(t, reason_reply(reason, codes, site));
}

static void judge_failure(struct transaction *t, const struct err *e)
{
	switch (e->code) {
	case ERR_TOO_BIG:
		judge_reason(t, REASON_SIZE, CODES_STANDARD, SITE_ONPREM);
		break;
	case ERR_NO_SPACE:
	case ERR_BUSY:
		judge_reason(t, REASON_PRESSURE, CODES_STANDARD, SITE_ONPREM);
		break;
	default:
		judge_reason(t, REASON_STORE, CODES_STANDARD, SITE_ONPREM);
		break;
	}
}

static void write_out(struct transaction *t, struct str run)
{
	struct err e = { 0 };

	if (t->verdict.code == 0 && run.n > 0 && spool_write(t->spool, run, &e) != 0)
		judge_failure(t, &e);
}

static void show_body(struct transaction *t, struct str run)
{
	if (t->on_body != NULL && run.n > 0)
		t->on_body(t->on_header_arg, t, run);
}

static void store_body(struct transaction *t, struct str run)
{
	show_body(t, run);
	write_out(t, run);
}

/* The header is complete: what of it may pass goes to the spool.  `source` begins with it. */
static void store_header(struct transaction *t, struct str source)
{
	size_t n = t->header.end < source.n ? (size_t)t->header.end : source.n;
	struct edit_pos pos = { 0 };
	struct str run;

	t->header_stored = true;
	t->raw_header = str_head(source, n);
	if (t->on_header != NULL)
		t->on_header(t->on_header_arg, t);
	t->raw_header = STR_NONE;
	show_body(t, str_skip(source, n));
	while ((run = edits_take(t->edits, &pos, &source, SIZE_MAX)).n > 0)
		write_out(t, run);
}

/* Content as long as the header lasts.  A header in one run is not copied. */
static void store_or_hold(struct transaction *t, struct str run)
{
	size_t n = header_scan_add(&t->header, run);

	if (t->header.too_big) {
		judge_reason(t, REASON_HEADER_SIZE, CODES_STANDARD, SITE_ONPREM);
		return;
	}
	if (t->header.done && t->held.n == 0) {
		store_header(t, run);
		return;
	}
	buf_add(&t->held, str_head(run, n));
	must(!t->held.full);
	if (t->header.done) {
		store_header(t, buf_str(&t->held));
		buf_fini(&t->held);
		store_body(t, str_skip(run, n));
	}
}

/* Adds content that is known to be well-formed. */
static void store(struct transaction *t, struct str run)
{
	if (t->verdict.code != 0 || run.n == 0)
		return;
	if (t->header_stored)
		store_body(t, run);
	else
		store_or_hold(t, run);
}

/* A line of words, begun with a tab and broken where it would be longer than 78 (RFC 5322 2.1.1). */
static void put_words(struct buf *b, struct str begin, struct str words)
{
	enum { LINE_LENGTH = 78 };
	size_t line = 0;

	buf_add(b, begin);
	for (struct str word; (word = str_word(&words)).n > 0;) {
		bool fits = line + 1 + word.n <= LINE_LENGTH;
		if (line > 0)
			buf_add(b, fits ? S(" ") : S("\r\n\t"));
		buf_add(b, word);
		line = (line > 0 && fits ? line + 1 : 1) + word.n;
	}
}

/* "for" is left out: it would tell hidden recipients to the others. */
static void put_received(struct buf *b, const struct received *r, uint64_t id, int64_t now_ms)
{
	char room[1024];
	struct buf words = { .p = room, .cap = sizeof room, .max = sizeof room - 1 };

	buf_addf(&words, "Received: from " STR_FMT " ([%s" STR_FMT "])", STR_ARG(r->helo),
		 str_chr(r->client, ':') >= 0 ? "IPv6:" : "", STR_ARG(r->client));
	put_words(b, STR_NONE, buf_str(&words));
	buf_reset(&words);
	buf_addf(&words, "by " STR_FMT " (tombolo) with " STR_FMT, STR_ARG(r->by), STR_ARG(r->protocol));
	put_words(b, S("\r\n\t"), buf_str(&words));
	buf_reset(&words);
	if (r->tls.n > 0) {
		buf_addf(&words, "(" STR_FMT ")", STR_ARG(r->tls));
		put_words(b, S("\r\n\t"), buf_str(&words));
	}
	buf_add(b, S("\r\n\tid "));
	queue_put_id(b, id);
	buf_add(b, S(";\r\n\t"));
	time_put_rfc5322(b, now_ms);
	buf_add(b, S("\r\n"));
}

static void on_field(void *arg, const struct header_field *f)
{
	struct transaction *t = arg;

	claim_take(&t->claim, f);
	if (t->echo.open)
		echo_take(&t->echo.seen, f);
	if (header_name_is(f->name, S("From")))
		t->author = ++t->from_n > 1 ? AUTHOR_SEVERAL : author_judge(f->value);
	ident_take(&t->ident, t->arena, f);
	header_notes_add(&t->notes, f);
}

int transaction_content_begin(struct transaction *t, struct queue_port *port, const struct received *r,
			      const struct config *c, uint64_t size_max)
{
	char room[2048];
	struct buf trace = { .p = room, .cap = sizeof room, .max = sizeof room - 1 };
	struct err e = { 0 };

	must(!t->content_open);
	t->content_open = true;
	t->size_max = size_max;
	t->bare_policy = c->limits.bare_lf;
	t->ident.want_subject = c->track.path.n > 0 && c->track.subject != TRACK_SUBJECT_OFF;
	body_in_init(&t->body);
	t->spool = spool_begin(port, &e);
	if (t->spool == NULL) {
		judge_failure(t, &e);
		return -1;
	}
	put_received(&trace, r, spool_id(t->spool), t->env.arrived_ms);
	t->trace_n = trace.n;
	if (spool_write(t->spool, buf_str(&trace), &e) != 0)
		judge_failure(t, &e);
	header_scan_init(&t->header, c->limits.header_max, (unsigned)c->limits.header_fields, c->hostname);
	header_notes_init(&t->notes, t->arena, &(struct header_own){ { c->hostname, r->by } });
	buf_init_sure(&t->held, c->limits.header_max);
	t->header.on_field = on_field;
	t->header.arg = t;
	t->header_open = true;
	return t->verdict.code == 0 ? 0 : -1;
}

/* Bare CR and bare LF become CRLF (limits.bare_lf = normalise): what we emit never holds either (hardening 4.1). */
static void store_normalised(struct transaction *t, struct str run)
{
	for (struct str part; (part = body_normalise(&t->normal, &run)).n > 0;)
		store(t, part);
}

static void add(struct transaction *t, struct str run)
{
	t->size += run.n;
	if (t->size > t->size_max)
		judge_reason(t, REASON_SIZE, CODES_STANDARD, SITE_ONPREM);
	if (t->bare_policy == BARE_NORMALISE)
		store_normalised(t, run);
	else
		store(t, run);
}

void transaction_add_data(void *arg, struct str run)
{
	add(arg, run);
}

void transaction_add_bdat(struct transaction *t, struct str run, bool last)
{
	body_scan(&t->scan, run, last);
	add(t, run);
}

bool transaction_content_end(struct transaction *t, const struct config *c)
{
	bool bare = t->body.bare_cr || t->body.bare_lf || t->scan.bare_cr || t->scan.bare_lf;

	if (t->normal.last_cr)
		store(t, S("\r\n"));
	if (t->header_open && !t->header_stored && t->verdict.code == 0) {
		header_scan_finish(&t->header);
		store_header(t, buf_str(&t->held));
	}
	if (t->body.nul || t->scan.nul)
		judge_reason(t, REASON_NUL, c->status_codes, c->site);
	if (bare && t->bare_policy == BARE_REJECT)
		judge_reason(t, REASON_BARE_LF, c->status_codes, c->site);
	t->env.hops = t->header.received;
	if (t->header.received > c->loop.max_hops ||
	    (c->loop.max_local_hops > 0 && t->header.received_own > c->loop.max_local_hops))
		judge_reason(t, REASON_HOPS, c->status_codes, c->site);
	return t->verdict.code == 0;
}
