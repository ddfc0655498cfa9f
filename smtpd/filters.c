/* smtpd/filters.c: the chain: who is asked next, and what becomes of the answers; see the header. */
#include "smtpd/filters.h"

#include "smtpd/session.h"

#include <stdlib.h>

enum { TEXT_MAX = 20 * 1024, HOLD_MAX = 400 };

static void on_answer(struct op *op);
static void on_started(struct op *op);

/* ---- verdicts ---- */

void filters_finish(struct filters *f, enum filter_end end)
{
	must(!f->finished);
	f->finished = true;
	f->verdict.end = end;
	if (!f->starting)
		op_finish(&f->asker);
}

/* An enhanced code belongs to every refusal; 7.1 is what the other servers give. */
void filters_refuse(struct filters *f, struct reply r)
{
	buf_reset(&f->text);
	buf_add(&f->text, r.text);
	r.text = buf_str(&f->text);
	if (r.class == 0)
		r.class = (unsigned char)(r.code / 100), r.subject = 7, r.detail = 1;
	f->verdict.reply = r;
	filters_finish(f, FILTER_REFUSE);
}

static const char *asked_name(const struct filters *f, const struct filter_slot *slot)
{
	return slot->client != NULL && slot->connect_said ? milter_stage_name(slot->client->stage)
							  : milter_stage_name(f->stage);
}

static void close_session(struct filters *f)
{
	f->verdict.reply = REPLY(421, 4, 7, 1, "a content filter ends this session (FILTER)");
	filters_finish(f, FILTER_CLOSE);
}

/* Of a filter that failed.  Before there is a message, only its sender will hear of it. */
static bool default_ends(struct filters *f, const struct filter_slot *slot)
{
	bool early = f->stage == MILTER_AT_CONNECT || f->stage == MILTER_AT_HELO || f->stage == MILTER_AT_UNKNOWN;

	switch (slot->conf->default_action) {
	case MILTER_DEFAULT_ACCEPT:
		return false;
	case MILTER_DEFAULT_QUARANTINE:
		if (!early && f->hold.n == 0)
			milter_put_reason(&f->hold, slot->conf->name, S("it could not be asked"));
		return false;
	case MILTER_DEFAULT_TEMPFAIL:
		if (!early)
			filters_refuse(
				f, REPLY(451, 4, 7, 1, "a content filter cannot be asked, try again later (FILTER)"));
		return !early;
	case MILTER_DEFAULT_REJECT:
		if (!early)
			filters_refuse(f, REPLY(550, 5, 7, 1, "a content filter cannot be asked (FILTER)"));
		return !early;
	}
	return false;
}

bool filters_failed(struct filters *f, struct filter_slot *slot, const char *why)
{
	struct session *s = f->session;

	COUNT(s->server, milter_failures);
	log_warn(&s->log, "milter.failed", kv_str("milter", slot->conf->name), kv_c("stage", asked_name(f, slot)),
		 kv_c("why", why), kv_c("action", conf_milter_default_name(slot->conf->default_action)),
		 kv_str("trace", s->tx.env.trace_id));
	milter_client_leave(&slot->client);
	slot->down = true;
	f->at++;
	filters_content_begin(f);
	return default_ends(f, slot);
}

static void log_refusal(const struct filters *f, const struct filter_slot *slot, const struct reply *r)
{
	const struct session *s = f->session;

	log_info(&s->log, "milter.refused", kv_str("milter", slot->conf->name), kv_c("stage", asked_name(f, slot)),
		 kv_int("code", r->code), kv_str("text", r->text), kv_int("ms", slot->client->took_ms),
		 kv_str("from", s->tx.env.from), kv_c("client", s->client_text), kv_str("trace", s->tx.env.trace_id));
}

static bool refuse(struct filters *f, struct filter_slot *slot, struct reply r)
{
	log_refusal(f, slot, &r);
	if (f->stage == MILTER_AT_END)
		slot->mail_said = false, slot->client->used = true; /* it has said its last word about it */
	filters_refuse(f, r);
	return true;
}

static bool discard(struct filters *f, struct filter_slot *slot)
{
	const struct session *s = f->session;

	log_info(&s->log, "milter.discarded", kv_str("milter", slot->conf->name), kv_c("stage", asked_name(f, slot)),
		 kv_str("from", s->tx.env.from), kv_c("client", s->client_text), kv_str("trace", s->tx.env.trace_id));
	f->discard = true;
	filters_finish(f, f->stage == MILTER_AT_END ? FILTER_DISCARD : FILTER_GO);
	return true;
}

/* It wants to hear no more: of this client, or of this message. */
static bool take_accept(struct filters *f, struct filter_slot *slot, enum milter_stage at)
{
	if (at == MILTER_AT_CONNECT || at == MILTER_AT_HELO)
		slot->off_session = true;
	else if (at != MILTER_AT_UNKNOWN)
		slot->off_message = true;
	if (at == MILTER_AT_END)
		return filters_apply(f, slot);
	f->at++;
	filters_content_begin(f);
	return false;
}

static bool go_on(struct filters *f, struct filter_slot *slot, enum milter_stage at)
{
	if (at == MILTER_AT_END)
		return filters_apply(f, slot);
	if (at == f->stage)
		slot->told = true;
	return false;
}

/* True: the chain ends with this answer. */
static bool judge(struct filters *f, struct filter_slot *slot)
{
	const struct milter_verdict *v = &slot->client->verdict;
	enum milter_stage at = slot->client->stage;

	switch (v->answer) {
	case MILTER_ACCEPT:
		return take_accept(f, slot, at);
	case MILTER_DISCARD:
		return discard(f, slot);
	case MILTER_REJECT:
		return refuse(f, slot, REPLY(550, 5, 7, 1, "refused by a content filter (FILTER)"));
	case MILTER_TEMPFAIL:
		return refuse(f, slot, REPLY(451, 4, 7, 1, "a content filter asks to try again later (FILTER)"));
	case MILTER_REPLY:
		return refuse(f, slot, v->reply);
	case MILTER_SHUTDOWN:
	case MILTER_CONN_FAIL:
		log_refusal(f, slot, &REPLY(421, 4, 7, 1, "end of session"));
		close_session(f);
		return true;
	case MILTER_SKIP:
		slot->body_said = true;
		return false;
	default:
		return go_on(f, slot, at);
	}
}

/* ---- asking ---- */

static bool is_spared(const struct filters *f, const struct filter_slot *slot)
{
	return slot->off_session || (slot->off_message && f->stage >= MILTER_AT_MAIL && f->stage <= MILTER_AT_END);
}

static void forget_talk(struct filter_slot *slot)
{
	milter_client_leave(&slot->client);
	slot->connect_said = slot->helo_said = slot->mail_said = slot->data_said = slot->told = false;
}

/* A connection that was idle may have ended unseen (the filter was restarted): before it heard of this message, another
 * one can take its place. */
static bool may_begin_anew(const struct filters *f, const struct filter_slot *slot)
{
	return slot->client->used && f->stage <= MILTER_AT_MAIL &&
	       str_eq(str_c(slot->client->verdict.why), S("it closed the connection"));
}

static void heard(struct filters *f)
{
	struct filter_slot *slot = &f->slots[f->at];
	struct session *s = f->session;

	if (slot->client->took_ms > 0)
		__atomic_add_fetch(&s->server->counters.milter_ms, (uint64_t)slot->client->took_ms, __ATOMIC_RELAXED);
	log_debug(&s->log, "milter.answer", kv_str("milter", slot->conf->name), kv_c("stage", asked_name(f, slot)),
		  kv_c("answer",
		       slot->client->verdict.failed ? "none" : milter_answer_name(slot->client->verdict.answer)),
		  kv_int("ms", slot->client->took_ms));
	if (!slot->client->verdict.failed) {
		if (!judge(f, slot))
			filters_go_on(f);
	} else if (may_begin_anew(f, slot)) {
		forget_talk(slot);
		filters_go_on(f);
	} else {
		if (!filters_failed(f, slot, slot->client->verdict.why))
			filters_go_on(f);
	}
}

static void on_answer(struct op *op)
{
	heard(container_of(op, struct filters, wait));
}

static void on_started(struct op *op)
{
	struct filters *f = container_of(op, struct filters, wait);
	struct filter_slot *slot = &f->slots[f->at];

	if (!slot->client->verdict.failed)
		filters_go_on(f);
	else if (!filters_failed(f, slot, slot->client->verdict.why))
		filters_go_on(f);
}

/* What has to be said to this filter before the session's question makes sense, and then the question. */
static enum filter_said say(struct filters *f, struct filter_slot *slot, enum milter_stage *stage)
{
	const struct session *s = f->session;
	struct buf *out = milter_client_out(slot->client);

	if (!slot->connect_said) {
		slot->connect_said = true;
		*stage = MILTER_AT_CONNECT;
		if (milter_client_hears(slot->client, *stage)) {
			filters_put_macros(f, slot, *stage);
			filters_put_connect(f, out);
			return FILTER_SENT;
		}
	}
	if (!slot->helo_said && s->helo.n > 0) {
		slot->helo_said = true;
		*stage = MILTER_AT_HELO;
		if (milter_client_hears(slot->client, *stage)) {
			filters_put_macros(f, slot, *stage);
			milter_put_texts(out, MILTER_HELO, &s->helo, 1);
			return FILTER_SENT;
		}
	}
	if (f->stage == MILTER_AT_END)
		return filters_say_content(f, slot, stage);
	*stage = f->stage;
	slot->mail_said |= f->stage == MILTER_AT_MAIL;
	slot->data_said |= f->stage == MILTER_AT_DATA;
	bool said_above = f->stage == MILTER_AT_CONNECT || f->stage == MILTER_AT_HELO;
	if (slot->told || said_above || !milter_client_hears(slot->client, f->stage))
		return FILTER_NOTHING;
	slot->told = true;
	filters_put_macros(f, slot, f->stage);
	filters_put_command(f, f->stage, out);
	return FILTER_SENT;
}

/* True: it waits. */
static bool open_client(struct filters *f, struct filter_slot *slot)
{
	if (slot->client != NULL && slot->client->state == MILTER_DEAD && !slot->mail_said)
		forget_talk(slot);
	if (slot->client == NULL) {
		slot->client = milter_client_take(&f->session->server->milters, slot->conf, &f->session->log);
		slot->client->on_request = filters_on_request;
		slot->client->arg = f;
	}
	if (slot->client->state != MILTER_NEW)
		return false;
	milter_client_start(slot->client, &f->wait, on_started);
	return true;
}

/* One step with the filter whose turn it is.  True: somebody else goes on, or it is all over. */
static bool step_with(struct filters *f, struct filter_slot *slot)
{
	enum milter_stage stage;

	if (open_client(f, slot))
		return true;
	if (slot->client->state == MILTER_DEAD)
		return filters_failed(f, slot, slot->client->verdict.why);
	switch (say(f, slot, &stage)) {
	case FILTER_NOTHING:
		f->at++;
		filters_content_begin(f);
		return false;
	case FILTER_WAITS:
		return true;
	case FILTER_SENT:
		COUNT(f->session->server, milter_calls);
		return milter_client_send(slot->client, stage, &f->wait, on_answer);
	}
	return true;
}

void filters_go_on(struct filters *f)
{
	while (!f->finished && f->at < f->slot_n) {
		struct filter_slot *slot = &f->slots[f->at];
		if (is_spared(f, slot)) {
			f->at++;
		} else if (slot->down) {
			f->at++;
			if (default_ends(f, slot))
				return;
		} else if (step_with(f, slot)) {
			return;
		}
	}
	if (!f->finished && (f->stage != MILTER_AT_END || filters_write(f)))
		filters_finish(f, FILTER_GO);
}

bool filters_ask(struct filters *f, enum milter_stage stage, struct str detail, void (*done)(struct op *))
{
	must(f->asker == NULL);
	f->stage = stage;
	f->at = 0;
	f->finished = false;
	f->verdict = (struct filter_verdict){ .end = FILTER_GO };
	for (size_t i = 0; i < f->slot_n; i++)
		f->slots[i].told = false;
	if (f->discard && stage >= MILTER_AT_MAIL && stage <= MILTER_AT_END) {
		f->verdict.end = stage == MILTER_AT_END ? FILTER_DISCARD : FILTER_GO;
		return true;
	}
	f->starting = true;
	if (!arena_dup(&f->arena, detail, &f->detail))
		filters_refuse(f, REPLY(452, 4, 3, 1, "out of memory for this session"));
	filters_content_begin(f);
	filters_go_on(f);
	f->starting = false;
	if (f->finished)
		return true;
	op_start(&f->op, done, &f->asker);
	return false;
}

/* ---- begin and end ---- */

void filters_hello(struct filters *f)
{
	for (size_t i = 0; i < f->slot_n; i++)
		f->slots[i].helo_said = false;
}

void filters_message_over(struct filters *f)
{
	for (size_t i = 0; i < f->slot_n; i++) {
		struct filter_slot *slot = &f->slots[i];
		if (slot->mail_said && slot->client != NULL)
			milter_client_abort(slot->client);
		if (slot->mail_said && slot->client != NULL)
			slot->client->used = true;
		slot->mail_said = slot->data_said = slot->off_message = slot->down = false;
	}
	f->discard = false;
	buf_reset(&f->hold);
	filters_content_reset(f);
}

struct filters *filters_new(struct session *s)
{
	const struct conf_receive *r = s->receive;
	struct filters *f = calloc(1, sizeof *f);

	must(f != NULL);
	f->session = s;
	f->slot_n = r->filter_n;
	f->slots = calloc(f->slot_n, sizeof f->slots[0]);
	must(f->slots != NULL);
	for (size_t i = 0; i < f->slot_n; i++)
		f->slots[i].conf = r->filters[i];
	arena_init(&f->arena, 8 * session_config(s)->limits.header_max + 8 * MILTER_PACKET_MAX);
	buf_init(&f->text, TEXT_MAX);
	buf_init(&f->hold, HOLD_MAX);
	buf_init(&f->room, session_config(s)->limits.header_max + 1);
	return f;
}

void filters_free(struct filters **fp)
{
	struct filters *f = *fp;

	if (f == NULL)
		return;
	*fp = NULL;
	op_cancel(&f->op);
	op_cancel(&f->wait);
	filters_message_over(f);
	for (size_t i = 0; i < f->slot_n; i++)
		milter_client_leave(&f->slots[i].client);
	arena_fini(&f->arena);
	buf_fini(&f->text);
	buf_fini(&f->hold);
	buf_fini(&f->room);
	free(f->slots);
	loop_free_later(f->session->server->loop, f);
}
