/* connectors/milter_client.c: one conversation with one content filter; see the header.
 *
 *   new -> connecting -> offered -> ready <-> asked         any -> dead: end of connection, deadline, nonsense */
#include "connectors/milter_client.h"

#include "base/must.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

enum { IN_MAX = MILTER_PACKET_MAX + 2 * LOOP_BUFFER, NAMES_MAX = 64 * 1024, RETRY_MS = 20, TEXT_MAX = 16 * 1024 };

static const struct milter_options offer = { .version = MILTER_VERSION,
					     .actions = MILTER_ACTIONS,
					     .protocol = MILTER_PROTOCOL };

static void connect_now(struct milter_client *c);

/* ---- the end of an answer, or of the client ---- */

static void answer(struct milter_client *c)
{
	stream_deadline(&c->stream, -1);
	c->took_ms = loop_now_ms(c->pool->loop) - c->asked_ms;
	op_finish(&c->asker); /* whoever asked may have left us: nothing behind this looks at the client */
}

static void die(struct milter_client *c, const char *why)
{
	if (c->state == MILTER_DEAD)
		return;
	c->state = MILTER_DEAD;
	loop_timer_stop(&c->retry);
	stream_close(&c->stream);
	buf_fini(&c->in);
	c->verdict.failed = true;
	snprintf(c->verdict.why, sizeof c->verdict.why, "%s", why);
}

static void fail(struct milter_client *c, const char *why)
{
	die(c, why);
	answer(c);
}

static void forget(struct milter_client *c)
{
	die(c, "closed");
	buf_fini(&c->verdict.text);
	buf_fini(&c->names);
	loop_free_later(c->pool->loop, c);
}

/* ---- what a filter says ---- */

/* The names of macros it wants are kept as long as the connection. */
static bool keep_options(struct milter_client *c, const struct milter_options *o)
{
	size_t at[MILTER_MACRO_LISTS];

	buf_reset(&c->names);
	for (int i = 0; i < MILTER_MACRO_LISTS; i++) {
		at[i] = c->names.n;
		buf_add(&c->names, o->macros[i]);
		buf_addc(&c->names, '\0');
	}
	c->options = *o;
	for (int i = 0; i < MILTER_MACRO_LISTS; i++)
		if (o->macros[i].p != NULL)
			c->options.macros[i].p = c->names.p + at[i];
	return !c->names.full;
}

static const char *hear_options(struct milter_client *c, const struct milter_packet *p)
{
	struct milter_options o;

	if (p->kind != MILTER_OPTIONS || !milter_get_options(p->data, &o))
		return "its first packet is no proper answer to the options";
	const char *why = milter_options_refused(&offer, &o);
	if (why == NULL && !keep_options(c, &o))
		why = "it wants too many macros";
	if (why == NULL) {
		c->verdict.answer = MILTER_CONTINUE;
		c->state = MILTER_READY;
	}
	return why;
}

static int64_t stage_ms(const struct milter_client *c)
{
	switch (c->stage) {
	case MILTER_AT_HEADER:
	case MILTER_AT_EOH:
	case MILTER_AT_BODY:
		return c->conf->content_ms;
	case MILTER_AT_END:
		return c->conf->end_ms;
	default:
		return c->conf->command_ms;
	}
}

static void give_time(struct milter_client *c)
{
	int64_t left_ms = c->cap_at_ms - loop_now_ms(c->pool->loop), ms = stage_ms(c);

	stream_deadline(&c->stream, ms < left_ms ? ms : left_ms > 0 ? left_ms : 0);
}

static const char *hear_request(struct milter_client *c, const struct milter_answer_parts *a)
{
	if (c->stage != MILTER_AT_END)
		return "it asks for changes before the end of the message";
	if (!(milter_action_of(a->kind) & c->options.actions)) {
		log_warn(c->log, "milter.ignored", kv_str("milter", c->conf->name),
			 kv_c("what", milter_answer_name(a->kind)), kv_c("why", "it was not negotiated"));
		return NULL;
	}
	return c->on_request(c->arg, a) ? NULL : "it asks for more than a message may hold";
}

static bool fits_stage(const struct milter_client *c, enum milter_answer a)
{
	if (a == MILTER_SKIP)
		return c->stage == MILTER_AT_BODY && (c->options.protocol & MILTER_CAN_SKIP);
	if (a == MILTER_DISCARD)
		return c->stage != MILTER_AT_CONNECT && c->stage != MILTER_AT_HELO && c->stage != MILTER_AT_UNKNOWN;
	return true;
}

static const char *hear_verdict(struct milter_client *c, const struct milter_answer_parts *a)
{
	if (!fits_stage(c, a->kind))
		return "its answer does not fit the stage";
	if (a->kind == MILTER_REPLY && !milter_get_reply(a->name, &c->verdict.reply, &c->verdict.text))
		return "its reply is none";
	c->verdict.answer = a->kind;
	c->state = MILTER_READY;
	return NULL;
}

static const char *hear_answer(struct milter_client *c, const struct milter_packet *p)
{
	struct milter_answer_parts a;

	if (!milter_get_answer(p, &a))
		return "a packet that is no answer";
	if (milter_is_request(a.kind))
		return hear_request(c, &a);
	if (a.kind != MILTER_PROGRESS)
		return hear_verdict(c, &a);
	give_time(c);
	return NULL;
}

static const char *hear(struct milter_client *c, const struct milter_packet *p)
{
	switch (c->state) {
	case MILTER_OFFERED:
		return hear_options(c, p);
	case MILTER_ASKED:
		return hear_answer(c, p);
	default:
		return "it says something nobody asked for";
	}
}

static void on_input(struct milter_client *c)
{
	struct milter_packet p;
	const char *why = NULL;
	size_t at = 0;
	ssize_t n = 0;
	bool waiting = c->asker != NULL;

	buf_add(&c->in, stream_in(&c->stream));
	stream_consume(&c->stream, c->stream.in_n);
	while (why == NULL && (n = milter_next(str_skip(buf_str(&c->in), at), &p)) > 0) {
		why = hear(c, &p);
		at += (size_t)n;
	}
	if (why == NULL && (n < 0 || c->in.full))
		why = "its packets make no sense";
	if (why == NULL && c->state == MILTER_READY && c->in.n > at)
		why = "it says something nobody asked for";
	if (why != NULL) {
		fail(c, why);
		return;
	}
	buf_drop(&c->in, at);
	if (c->in.n == 0)
		buf_fini(&c->in);
	if (waiting && c->state == MILTER_READY)
		answer(c);
}

/* ---- events ---- */

static void on_connected(struct milter_client *c)
{
	milter_put_options(stream_out(&c->stream), &offer);
	stream_flush_later(&c->stream);
	c->state = MILTER_OFFERED;
}

static bool is_idle(const struct milter_client *c)
{
	return c->conf == NULL;
}

static void on_event(struct stream *stream, enum stream_event e)
{
	struct milter_client *c = container_of(stream, struct milter_client, stream);

	if (c->state == MILTER_DEAD)
		return;
	if (is_idle(c) && e != STREAM_DRAINED) { /* it left, or talks to nobody */
		LIST_REMOVE(c, entry);
		forget(c);
		return;
	}
	switch (e) {
	case STREAM_CONNECTED:
		on_connected(c);
		break;
	case STREAM_READABLE:
		on_input(c);
		break;
	case STREAM_DRAINED:
		if (c->state == MILTER_READY && c->asker != NULL)
			answer(c); /* it reads again */
		break;
	case STREAM_EOF:
		fail(c, "it closed the connection");
		break;
	case STREAM_TIMEOUT:
		fail(c, "it took too long");
		break;
	case STREAM_FAILED:
		fail(c, c->stream.err.text);
		break;
	case STREAM_SECURED:
		break;
	}
}

static void on_retry(struct loop_timer *t)
{
	connect_now(container_of(t, struct milter_client, retry));
}

static void connect_unix(struct milter_client *c)
{
	const struct net_addr nobody = { 0 };
	struct err e = { 0 };
	int fd = net_connect_unix_now(c->conf->path.p, &e);

	if (fd >= 0) {
		stream_attach(&c->stream, fd, &nobody);
		stream_deadline(&c->stream, c->cap_at_ms - loop_now_ms(c->pool->loop));
		on_connected(c);
	} else if (e.code == ERR_BUSY && loop_now_ms(c->pool->loop) < c->cap_at_ms) {
		loop_timer_set(&c->retry, RETRY_MS);
	} else {
		fail(c, e.text);
	}
}

static void connect_now(struct milter_client *c)
{
	struct err e = { 0 };

	if (c->conf->path.n > 0)
		connect_unix(c);
	else if (stream_connect(&c->stream, &c->conf->addr, NULL, &e) != 0)
		fail(c, e.text);
	else
		stream_deadline(&c->stream, c->conf->connect_ms);
}

/* ---- for the one who has it ---- */

void milter_client_start(struct milter_client *c, struct op *op, void (*done)(struct op *))
{
	must(c->state == MILTER_NEW && !is_idle(c));
	c->state = MILTER_CONNECTING;
	c->asked_ms = loop_now_ms(c->pool->loop);
	c->cap_at_ms = c->asked_ms + c->conf->connect_ms;
	op_start(op, done, &c->asker);
	loop_timer_set(&c->retry, 0); /* a refusal is told later, as everything is */
}

bool milter_client_hears(const struct milter_client *c, enum milter_stage s)
{
	return !(c->options.protocol & milter_no_stage(s));
}

struct buf *milter_client_out(struct milter_client *c)
{
	must(c->state == MILTER_READY);
	return stream_out(&c->stream);
}

bool milter_client_send(struct milter_client *c, enum milter_stage s, struct op *op, void (*done)(struct op *))
{
	must(c->state == MILTER_READY && c->asker == NULL);
	stream_flush_later(&c->stream);
	c->stage = s;
	c->asked_ms = loop_now_ms(c->pool->loop);
	c->cap_at_ms = c->asked_ms + c->conf->progress_max_ms;
	c->verdict.answer = MILTER_CONTINUE;
	bool answered = !(c->options.protocol & milter_no_answer(s));
	if (!answered && !stream_is_choked(&c->stream))
		return false;
	if (answered)
		c->state = MILTER_ASKED;
	op_start(op, done, &c->asker);
	give_time(c);
	return true;
}

void milter_client_abort(struct milter_client *c)
{
	if (c->state != MILTER_READY)
		return;
	milter_put_bare(stream_out(&c->stream), MILTER_ABORT);
	stream_flush_later(&c->stream);
}

/* ---- the pool ---- */

void milter_pool_init(struct milter_pool *p, struct loop *l)
{
	*p = (struct milter_pool){ .loop = l };
	LIST_INIT(&p->idle);
}

static void say_goodbye(struct milter_client *c)
{
	if (c->state == MILTER_READY) {
		milter_put_bare(stream_out(&c->stream), MILTER_QUIT);
		stream_finish(&c->stream);
	}
	forget(c);
}

void milter_pool_fini(struct milter_pool *p)
{
	struct milter_client *c;

	while ((c = LIST_FIRST(&p->idle)) != NULL) {
		LIST_REMOVE(c, entry);
		say_goodbye(c);
	}
}

static struct milter_client *idle_client(struct milter_pool *p, const struct conf_milter *conf, size_t *n)
{
	struct milter_client *c, *found = NULL;

	*n = 0;
	LIST_FOREACH (c, &p->idle, entry)
		if (str_eq(str_c(c->address), conf->address)) {
			++*n;
			found = found == NULL ? c : found;
		}
	return found;
}

struct milter_client *milter_client_take(struct milter_pool *p, const struct conf_milter *conf, struct log *log)
{
	size_t n;
	struct milter_client *c = idle_client(p, conf, &n);

	if (c != NULL) {
		LIST_REMOVE(c, entry);
		stream_deadline(&c->stream, -1);
		c->used = true;
	} else {
		c = calloc(1, sizeof *c);
		must(c != NULL && conf->address.n < sizeof c->address);
		memcpy(c->address, conf->address.p, conf->address.n);
		c->pool = p;
		stream_init(&c->stream, p->loop, on_event);
		loop_timer_init(p->loop, &c->retry, on_retry);
		buf_init(&c->in, IN_MAX);
		buf_init(&c->names, NAMES_MAX);
		buf_init(&c->verdict.text, TEXT_MAX);
	}
	c->conf = conf;
	c->log = log;
	return c;
}

void milter_client_leave(struct milter_client **cp)
{
	struct milter_client *c = *cp;
	size_t n;

	if (c == NULL)
		return;
	*cp = NULL;
	if (c->asker != NULL)
		op_cancel(c->asker);
	bool clean = c->conf->reuse && c->state == MILTER_READY && c->options.version >= MILTER_VERSION &&
		     !stream_is_choked(&c->stream);
	if (clean)
		(void)idle_client(c->pool, c->conf, &n);
	if (!clean || n >= MILTER_IDLE_MAX) {
		say_goodbye(c);
		return;
	}
	milter_put_bare(stream_out(&c->stream), MILTER_QUIT_NC);
	stream_flush_later(&c->stream);
	stream_deadline(&c->stream, MILTER_IDLE_MS);
	c->conf = NULL;
	c->log = NULL;
	c->on_request = NULL;
	LIST_INSERT_HEAD(&c->pool->idle, c, entry);
}
