/* smtpd/filters_content.c: a message that is all in the spool, told to one filter after the other, and what they want
 * changed of it.
 *
 *   header from the spool -> fields; for each filter: DATA, fields, end of header, body window by window, end
 *   -> its wishes applied to the fields; a body it gives is spooled beside the message -> next filter -> rewritten once
 */
#include "smtpd/filters.h"

#include "smtpd/session.h"

#include <string.h>

/* ---- the header as it stands in the spool ---- */

static bool keep_field(struct filters *f, const struct header_field *field)
{
	struct milter_view *v = &f->view;

	if ((v->field_n & (v->field_n - 1)) == 0) { /* full at each power of two, and at none */
		size_t cap = v->field_n == 0 ? 1 : v->field_n * 2;
		struct milter_field *more = arena_alloc(&f->arena, cap * sizeof *more);
		if (more == NULL)
			return false;
		if (v->field_n > 0)
			memcpy(more, v->fields, v->field_n * sizeof *more);
		v->fields = more;
	}
	struct milter_field *to = &v->fields[v->field_n];
	*to = (struct milter_field){ .ours = v->field_n == 0 }; /* our Received stands on top */
	if (!arena_dup(&f->arena, field->raw, &to->raw))
		return false;
	to->name = str_head(to->raw, field->name.n);
	v->field_n++;
	return true;
}

static void on_field(void *arg, const struct header_field *field)
{
	struct filters *f = arg;

	f->cannot_view |= !keep_field(f, field);
}

static bool may_send_to(void *arg, const struct addr *rcpt)
{
	struct session *s = arg;
	struct verdict v;

	return session_ask_table(s, rcpt, NULL, s->tx.env.org, &v) && v.action != ROUTE_REJECT &&
	       v.action != ROUTE_DEFER;
}

enum {
	HEADER_GROWTH = 64 * 1024,
	FIELD_GROWTH = 200,
	OWN_FIELD_MAX = 4096
}; /* what filters may add to a header at the limits */

static void begin_view(struct filters *f)
{
	struct session *s = f->session;
	const struct conf_limits *l = &session_config(s)->limits;

	f->view = (struct milter_view){ .arena = &f->arena,
					.env = s->tx.env,
					.rcpt_max = (size_t)l->recipients,
					.header_max = l->header_max + HEADER_GROWTH,
					.field_max = (size_t)l->header_fields + FIELD_GROWTH,
					.may_send_to = may_send_to,
					.arg = s };
	/* the same limits as on the way in, and our own field */
	header_scan_init(&f->scan, l->header_max + OWN_FIELD_MAX, (unsigned)l->header_fields + 1, STR_NONE);
	f->scan.on_field = on_field;
	f->scan.arg = f;
}

static void on_header_read(struct op *op)
{
	struct filters *f = container_of(op, struct filters, read.op);

	if (!f->read.ok) {
		f->cannot_view = true;
	} else if (f->read.bytes.n == 0) {
		header_scan_finish(&f->scan);
	} else {
		header_scan_add(&f->scan, f->read.bytes);
		f->offset += f->read.bytes.n;
	}
	if (!f->scan.done && !f->cannot_view && !f->scan.too_big) {
		spool_read(f->session->tx.spool, f->offset, &f->read, on_header_read);
		return;
	}
	f->viewed = true;
	f->cannot_view |= f->scan.too_big;
	f->body_at = f->scan.end;
	f->offset = 0;
	if (f->cannot_view)
		filters_refuse(f, REPLY(452, 4, 3, 1, "no room to show this message to the content filters"));
	else
		filters_go_on(f);
}

/* ---- telling it ---- */

static void on_window(struct op *op)
{
	struct filters *f = container_of(op, struct filters, read.op);

	if (!f->read.ok) {
		filters_refuse(f, REPLY(451, 4, 3, 0, "this message could not be read again"));
		return;
	}
	f->window = f->read.bytes;
	f->offset += f->window.n;
	f->body_end = f->window.n == 0;
	filters_go_on(f);
}

static enum filter_said read_window(struct filters *f)
{
	if (f->body != NULL)
		spool_read(f->body, f->offset, &f->read, on_window);
	else
		spool_read(f->session->tx.spool, f->body_at + f->offset, &f->read, on_window);
	return FILTER_WAITS;
}

static void put_field(struct filters *f, struct filter_slot *slot, struct buf *out)
{
	const struct milter_field *field = &f->view.fields[f->field_at];

	milter_field_value(field, slot->client->options.protocol & MILTER_LEADING_SPACE, &f->room);
	const struct str texts[] = { field->name, buf_str(&f->room) };
	milter_put_texts(out, MILTER_HEADER, texts, 2);
}

static void put_body(struct filters *f, struct buf *out)
{
	struct str piece = str_head(f->window, MILTER_CHUNK);
	size_t at = milter_begin(out, MILTER_BODY);

	buf_add(out, piece);
	milter_end(out, at);
	f->window = str_skip(f->window, piece.n);
}

static bool next_field(struct filters *f)
{
	while (f->field_at < f->view.field_n && f->view.fields[f->field_at].ours)
		f->field_at++;
	return f->field_at < f->view.field_n;
}

enum filter_said filters_say_content(struct filters *f, struct filter_slot *slot, enum milter_stage *stage)
{
	struct milter_client *c = slot->client;
	struct buf *out = milter_client_out(c);

	if (!f->viewed) {
		begin_view(f);
		f->offset = 0;
		spool_read(f->session->tx.spool, 0, &f->read, on_header_read);
		return FILTER_WAITS;
	}
	*stage = MILTER_AT_DATA;
	if (!slot->data_said) { /* content that came with BDAT */
		slot->data_said = true;
		if (milter_client_hears(c, *stage)) {
			filters_put_macros(f, slot, *stage);
			milter_put_bare(out, MILTER_DATA);
			return FILTER_SENT;
		}
	}
	*stage = MILTER_AT_HEADER;
	if (milter_client_hears(c, *stage) && next_field(f)) {
		put_field(f, slot, out);
		f->field_at++;
		return FILTER_SENT;
	}
	*stage = MILTER_AT_EOH;
	if (!slot->eoh_said) {
		slot->eoh_said = true;
		if (milter_client_hears(c, *stage)) {
			filters_put_macros(f, slot, *stage);
			milter_put_bare(out, MILTER_EOH);
			return FILTER_SENT;
		}
	}
	*stage = MILTER_AT_BODY;
	if (!slot->body_said && milter_client_hears(c, *stage)) {
		if (f->window.n > 0) {
			put_body(f, out);
			return FILTER_SENT;
		}
		if (!f->body_end)
			return read_window(f);
	}
	*stage = MILTER_AT_END;
	slot->body_said = true;
	filters_put_macros(f, slot, *stage);
	milter_put_bare(out, MILTER_END);
	return FILTER_SENT;
}

/* ---- its wishes ---- */

/* Line ends that only some readers see do not leave here, whoever wrote them; NUL neither (hardening 4.1). */
static bool add_body(struct filters *f, struct str chunk)
{
	struct session *s = f->session;
	struct err e = { 0 };

	if (f->fresh == NULL && (f->fresh = spool_begin(s->server->port, &e)) == NULL)
		return false;
	body_scan(&f->fresh_scan, chunk, false);
	if (f->fresh_scan.nul || spool_size(f->fresh) + chunk.n > s->tx.size_max)
		return false;
	for (struct str run; (run = body_normalise(&f->normal, &chunk)).n > 0;)
		if (spool_write(f->fresh, run, &e) != 0)
			return false;
	return true;
}

bool filters_on_request(void *filter, const struct milter_answer_parts *a)
{
	struct filters *f = filter;

	if (a->kind == MILTER_REPLACE_BODY)
		return add_body(f, a->name);
	if (a->kind != MILTER_QUARANTINE)
		return milter_wish_add(&f->wishes, &f->arena, a);
	f->wants_hold = true;
	return arena_dup(&f->arena, a->name, &f->reason);
}

static bool end_body(struct filters *f)
{
	struct err e = { 0 };

	if (f->fresh == NULL)
		return true;
	if (f->normal.last_cr && spool_write(f->fresh, S("\r\n"), &e) != 0)
		return false;
	spool_abort(&f->body);
	f->body = f->fresh;
	f->fresh = NULL;
	f->body_8bit = f->fresh_scan.has_8bit;
	return true;
}

static void tell(const struct filters *f, const struct filter_slot *slot)
{
	const struct session *s = f->session;

	if (f->wishes.n > 0 || f->fresh != NULL)
		log_info(&s->log, "milter.edited", kv_str("milter", slot->conf->name),
			 kv_int("changes", (int64_t)f->wishes.n), kv_bool("body", f->fresh != NULL),
			 kv_str("trace", s->tx.env.trace_id));
	if (f->wants_hold)
		log_warn(&s->log, "milter.held", kv_str("milter", slot->conf->name), kv_str("reason", f->reason),
			 kv_str("from", s->tx.env.from), kv_str("trace", s->tx.env.trace_id));
}

static bool nobody_left(struct filters *f, const struct filter_slot *slot)
{
	const struct session *s = f->session;

	log_info(&s->log, "milter.discarded", kv_str("milter", slot->conf->name), kv_c("stage", "end of message"),
		 kv_c("why", "it removed all recipients"), kv_str("from", s->tx.env.from),
		 kv_c("client", s->client_text), kv_str("trace", s->tx.env.trace_id));
	filters_finish(f, FILTER_DISCARD);
	return true;
}

bool filters_apply(struct filters *f, struct filter_slot *slot)
{
	f->view.leading_space = slot->client->options.protocol & MILTER_LEADING_SPACE;
	const char *why = milter_edits_apply(&f->view, &f->wishes);
	if (why != NULL)
		return filters_failed(f, slot, why);
	tell(f, slot);
	if (!end_body(f))
		return filters_failed(f, slot, "its body could not be stored");
	if (f->wants_hold && f->hold.n == 0)
		milter_put_reason(&f->hold, slot->conf->name, f->reason);
	slot->mail_said = false; /* the message is over for it */
	slot->client->used = true;
	if (f->view.env.rcpt_n == 0)
		return nobody_left(f, slot);
	f->at++;
	filters_content_begin(f);
	return false;
}

/* ---- all agreed ---- */

static void take_hold(struct filters *f)
{
	if (f->hold.n > 0)
		f->session->tx.env.hold = buf_str(&f->hold);
}

static void take_envelope(struct filters *f)
{
	struct transaction *t = &f->session->tx;
	const struct envelope *env = &f->view.env;

	if (f->view.envelope_changed) {
		t->env.from = env->from;
		t->env.envid = env->envid;
		t->env.ret = env->ret;
		t->env.rcpts = env->rcpts;
		t->env.rcpt_n = env->rcpt_n;
	}
	if (f->view.header_changed)
		t->env.plain_headers = false; /* a way out has to look at what they wrote */
	if (f->body_8bit && t->env.body == ENV_BODY_7BIT)
		t->env.body = ENV_BODY_8BITMIME;
	take_hold(f);
}

static void on_rewritten(struct op *op)
{
	struct filters *f = container_of(op, struct filters, rewrite.op);
	struct transaction *t = &f->session->tx;

	if (f->rewrite.ok) {
		t->size = spool_size(t->spool);
		filters_finish(f, FILTER_GO);
		return;
	}
	log_error(&f->session->log, "milter.not_written", kv_c("why", f->rewrite.err.text),
		  kv_str("trace", t->env.trace_id));
	filters_refuse(f, REPLY(452, 4, 3, 1, "no room for what the content filters made of this message"));
}

bool filters_write(struct filters *f)
{
	struct transaction *t = &f->session->tx;

	if (!f->viewed) {
		take_hold(f);
		return true;
	}
	take_envelope(f);
	if (!f->view.header_changed && f->body == NULL)
		return true;
	struct edits edits = { 0 };
	if (f->view.header_changed) {
		f->edit = (struct edit){ .drop = f->body_at, .insert = milter_view_header(&f->view) };
		edits = (struct edits){ &f->edit, 1 };
		if (f->edit.insert.p == NULL) {
			filters_refuse(f, REPLY(452, 4, 3, 1, "out of memory for this session"));
			return false;
		}
	}
	lease_read_fini(&f->read);
	spool_rewrite(t->spool, edits, f->body != NULL ? &f->body : NULL, f->body_at, &f->rewrite, on_rewritten);
	return false;
}

void filters_content_begin(struct filters *f)
{
	spool_abort(&f->fresh);
	f->normal = (struct body_normal){ 0 };
	f->fresh_scan = (struct body_scan){ 0 };
	f->wishes = (struct milter_wishes){ 0 };
	f->wants_hold = false;
	f->reason = STR_NONE;
	f->field_at = 0;
	f->offset = 0;
	f->window = STR_NONE;
	f->body_end = false;
	for (size_t i = 0; i < f->slot_n; i++)
		f->slots[i].eoh_said = f->slots[i].body_said = false;
}

void filters_content_reset(struct filters *f)
{
	lease_read_fini(&f->read);
	rewrite_cancel(&f->rewrite);
	spool_abort(&f->body);
	filters_content_begin(f);
	header_scan_fini(&f->scan);
	f->viewed = f->cannot_view = f->body_8bit = false;
	arena_fini(&f->arena);
}
