/* tests/bed/wire.c: the relay between the gateways: writes every message down, passes it on, and the answer back.
 *
 *   gateway -> visit: content complete -> "thinking" -> caller -> other gateway: MAIL RCPT* DATA . -> its answer ->
 * visit
 *
 * Towards the cloud it is on-prem (its certificate, unless the variant wants a stranger), towards on-prem the cloud.
 * Recipients are answered only with the whole message: when the other gateway takes none, its refusal is the answer. */
#include "tests/bed/bed.h"

#include "base/must.h"
#include "base/op.h"
#include "wire/body.h"
#include "wire/header.h"

#include <stdio.h>
#include <stdlib.h>

enum { WIRE_MAX = 128 << 20, RCPTS_MAX = 500, ANSWER_MS = 20000 };

struct passing { /* one message under way */
	struct caller caller;
	struct caller_options options;
	struct caller_message message;
	struct visit *visit; /* NULL when the gateway did not wait */
	struct passing *next, **link;
	struct buf content, from;
	struct str rcpts[RCPTS_MAX];
	struct env_rcpt params[RCPTS_MAX];
	struct buf rcpt_text, param_text;
	struct reply answer;
	char text[200];
	bool sent;
	struct wire *wire;
};

struct wire {
	struct bed *bed;
	enum bed_place where;
	struct passing *passing;
};

static void answer(struct passing *p, struct reply r)
{
	if (p->visit == NULL)
		return;
	struct visit *v = p->visit;
	p->visit = NULL;
	host_answer(v, r);
}

static void on_ready(struct caller *c)
{
	struct passing *p = container_of(c, struct passing, caller);

	if (p->sent) {
		caller_quit(c);
		return;
	}
	p->sent = true;
	caller_send(c, &p->message);
}

static void on_reply(struct caller *c, enum verb what, size_t at, const struct reply *r)
{
	struct passing *p = container_of(c, struct passing, caller);

	(void)at;
	if (what != VERB_UNKNOWN && reply_is_ok(r))
		return;
	if (what == VERB_DATA && p->answer.code != 0)
		return; /* its reason was told for the recipients */
	snprintf(p->text, sizeof p->text, STR_FMT, STR_ARG(str_head(r->text, 190)));
	p->answer = (struct reply){
		.code = r->code, .class = r->class, .subject = r->subject, .detail = r->detail, .text = str_c(p->text)
	};
}

static void on_closed(struct caller *c, const char *why)
{
	struct passing *p = container_of(c, struct passing, caller);

	if (p->answer.code == 0 || why != NULL) {
		snprintf(p->text, sizeof p->text, "the wire broke: %.150s", why == NULL ? "no answer" : why);
		p->answer =
			(struct reply){ .code = 451, .class = 4, .subject = 4, .detail = 2, .text = str_c(p->text) };
	}
	answer(p, p->answer);
	*p->link = p->next;
	if (p->next != NULL)
		p->next->link = p->link;
	buf_fini(&p->content);
	buf_fini(&p->from);
	buf_fini(&p->rcpt_text);
	buf_fini(&p->param_text);
	loop_free_later(p->wire->bed->loop, p);
}

/* What a cloud that is not ours does to our token: keeps it under a name that our own gateway does not take away, or
 * drops it. */
struct naming {
	struct str from, to; /* `to` empty: the field goes */
	struct str source;
	uint64_t at; /* source copied so far */
	struct buf *out;
};

static void name_again(void *arg, const struct header_field *f)
{
	struct naming *n = arg;

	if (!str_ieq(f->name, n->from))
		return;
	buf_add(n->out, str_head(str_skip(n->source, n->at), f->offset - n->at));
	if (n->to.n > 0) {
		buf_add(n->out, n->to);
		buf_add(n->out, str_skip(f->raw, f->name.n));
	}
	n->at = f->offset + f->raw.n;
}

static void rename_field(struct str content, struct str from, struct str to, struct buf *out)
{
	struct naming n = { .from = from, .to = to, .source = content, .out = out };
	struct header_scan h;

	header_scan_init(&h, WIRE_MAX, 100000, STR_NONE);
	h.on_field = name_again;
	h.arg = &n;
	header_scan_add(&h, content);
	header_scan_finish(&h);
	header_scan_fini(&h);
	buf_add(out, str_skip(content, n.at));
}

static void take_content(struct passing *p, struct str content)
{
	static const struct str token = STR_LIT("X-Tombolo-Route"), kept = STR_LIT("X-Kept-Route");
	const struct bed_variant *v = &p->wire->bed->variant;
	bool to_cloud = p->wire->where == WIRE_TO_CLOUD;
	struct body_out stuffing;
	struct buf named;

	buf_init(&named, WIRE_MAX);
	if (v->drops_token)
		rename_field(content, token, STR_NONE, &named);
	else if (v->keeps_token)
		rename_field(content, to_cloud ? token : kept, to_cloud ? kept : token, &named);
	else
		buf_add(&named, content);
	body_out_init(&stuffing);
	body_out_add(&stuffing, buf_str(&named), &p->content);
	must(!p->content.full && !stuffing.mid_line);
	buf_fini(&named);
	p->message.head = buf_str(&p->content);
}

static void take_rcpts(struct passing *p, struct str lines)
{
	buf_add(&p->rcpt_text, lines);
	struct str rest = buf_str(&p->rcpt_text);
	while (rest.n > 0) {
		must(p->message.rcpt_n < RCPTS_MAX);
		str_cut(rest, '\n', &p->rcpts[p->message.rcpt_n++], &rest);
	}
	p->message.rcpts = p->rcpts;
}

/* "ENVID=" in "RET=HDRS ENVID=x SIZE=5" */
static struct str param_of(struct str text, struct str name)
{
	ssize_t at = str_find(text, name);
	struct str value, rest;

	if (at < 0)
		return STR_NONE;
	str_cut(str_skip(text, (size_t)at + name.n), ' ', &value, &rest);
	return value;
}

static void take_params(struct passing *p, const struct arrival *a)
{
	struct caller_message *m = &p->message;
	struct str rest, line;

	buf_add(&p->param_text, a->mail);
	buf_addc(&p->param_text, '\n');
	buf_add(&p->param_text, a->notes);
	str_cut(buf_str(&p->param_text), '\n', &line, &rest);
	m->kind = str_find(line, S("BODY=8BITMIME")) >= 0 ? ENV_BODY_8BITMIME : ENV_BODY_7BIT;
	m->smtputf8 = str_find(line, S("SMTPUTF8")) >= 0;
	m->ret = str_find(line, S("RET=FULL")) >= 0   ? ENV_RET_FULL
		 : str_find(line, S("RET=HDRS")) >= 0 ? ENV_RET_HDRS
						      : ENV_RET_NONE;
	m->envid = param_of(line, S("ENVID="));
	m->xorg = param_of(line, S("XOORG="));
	for (size_t i = 0; i < m->rcpt_n; i++) {
		uint64_t notify = 0;
		str_cut(rest, '\n', &line, &rest);
		str_u64(param_of(line, S("NOTIFY=")), 15, &notify);
		p->params[i] = (struct env_rcpt){ .notify = (unsigned)notify, .orcpt = param_of(line, S("ORCPT=")) };
	}
	m->params = p->params;
}

static struct caller_options way_on(const struct wire *w)
{
	struct bed *b = w->bed;
	bool to_cloud = w->where == WIRE_TO_CLOUD;
	struct caller_options o = { .tls = !to_cloud             ? b->as_cloud
					   : b->variant.stranger ? b->plain
								 : b->as_onprem,
				    .sni = to_cloud ? S("mail.contoso.mail.cloud.example") : S("mail.contoso.com"),
				    .ehlo = to_cloud ? S("mail.contoso.com") : S("mail.contoso.mail.cloud.example"),
				    .pipeline = true,
				    .idle_ms = ANSWER_MS };

	must(net_parse_ip(S("127.0.0.1"), b->inet[to_cloud ? GATE_CLOUD : GATE_ONPREM], &o.to));
	return o;
}

static struct wire *wire_of(const struct visit *v)
{
	struct bed_host *h = host_arg(v->host);
	struct bed *b = bed_of_host(h);

	return &b->wires[v->host == b->hosts[WIRE_TO_CLOUD] ? 0 : 1];
}

static struct reply on_message(struct visit *v)
{
	static const struct caller_events events = { .ready = on_ready, .reply = on_reply, .closed = on_closed };
	struct wire *w = wire_of(v);
	struct passing *p = calloc(1, sizeof *p);
	struct arrival a;

	must(p != NULL);
	p->wire = w;
	p->visit = v;
	bed_view(v, w->where, &a);
	bed_remember(w->bed, &a);
	buf_init(&p->content, WIRE_MAX);
	buf_init(&p->from, 4096);
	buf_init(&p->rcpt_text, 1 << 20);
	buf_init(&p->param_text, 1 << 20);
	buf_add(&p->from, a.from);
	p->message.from = buf_str(&p->from);
	take_rcpts(p, a.rcpts);
	take_params(p, &a);
	take_content(p, a.content);
	p->next = w->passing;
	p->link = &w->passing;
	if (p->next != NULL)
		p->next->link = &p->next;
	w->passing = p;
	p->options = way_on(w);
	caller_start(&p->caller, w->bed->loop, &p->options, &events);
	return (struct reply){ 0 };
}

static void on_visit_closed(struct visit *v)
{
	struct wire *w = wire_of(v);

	for (struct passing *p = w->passing; p != NULL; p = p->next)
		if (p->visit == v)
			p->visit = NULL;
	bed_forget_visit(v);
}

void bed_wires_open(struct bed *b)
{
	struct err e = { 0 };

	b->wires = calloc(2, sizeof *b->wires);
	must(b->wires != NULL);
	for (unsigned i = 0; i < 2; i++) {
		enum bed_place where = WIRE_TO_CLOUD + i;
		struct host_options o = {
			.name = i == 0 ? S("mail.contoso.mail.cloud.example") : S("mail.contoso.com"),
			.caps = EHLO_PIPELINING | EHLO_8BITMIME | EHLO_SIZE | EHLO_ENHANCEDSTATUSCODES | EHLO_SMTPUTF8 |
				EHLO_DSN | EHLO_XOORG,
			.tls = i == 0 ? b->cloud_tls : b->onprem_tls,
		};
		struct host_events events = bed_host_events(b, where);
		b->wires[i] = (struct wire){ .bed = b, .where = where };
		events.message = on_message;
		events.closed = on_visit_closed;
		must(net_parse_ip(S("127.0.0.1"), 0, &o.listen));
		if ((b->hosts[where] = host_open(b->loop, &o, &events, &e)) == NULL)
			bed_fail("bed: %s", e.text);
	}
}

void bed_wires_close(struct bed *b)
{
	for (int i = 0; i < 2; i++)
		while (b->wires[i].passing != NULL) {
			caller_close(&b->wires[i].passing->caller);
			on_closed(&b->wires[i].passing->caller, "the bed closes");
		}
	host_close(&b->hosts[WIRE_TO_CLOUD]);
	host_close(&b->hosts[WIRE_TO_ONPREM]);
	free(b->wires);
	b->wires = NULL;
}
