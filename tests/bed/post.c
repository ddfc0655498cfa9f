/* tests/bed/post.c: one message from one of the senders, and every answer to it. */
#include "tests/bed/bed.h"

#include "base/must.h"
#include "base/op.h"
#include "wire/body.h"

#include <stdio.h>

enum { POST_MS = 20000, WIRE_MAX = 128 << 20 };

struct posting {
	struct caller caller;
	struct caller_message message;
	struct answers *out;
	bool sent, closed;
};

struct caller_options bed_door_options(const struct bed *b, enum bed_door d)
{
	static const struct {
		enum bed_gate gate;
		bool hub;
		struct str ehlo;
	} doors[DOORS] = {
		[DOOR_NET_ONPREM] = { GATE_ONPREM, false, STR_LIT("mta.outside.example") },
		[DOOR_NET_CLOUD] = { GATE_CLOUD, false, STR_LIT("mta.outside.example") },
		[DOOR_ONPREM] = { GATE_ONPREM, true, STR_LIT("ex1.corp.contoso.com") },
		[DOOR_CLOUD] = { GATE_CLOUD, true, STR_LIT("mbx.contoso.mail.cloud.example") },
		[DOOR_PEER] = { GATE_ONPREM, false, STR_LIT("mail.contoso.mail.cloud.example") },
		[DOOR_APP] = { GATE_ONPREM, false, STR_LIT("printer.contoso.com") },
		[DOOR_PARTNER] = { GATE_ONPREM, false, STR_LIT("mail.wrong.example") },
	};
	struct caller_options o = { .ehlo = doors[d].ehlo,
				    .tls = d == DOOR_PEER      ? b->as_cloud
					   : d == DOOR_PARTNER ? b->as_partner
							       : NULL,
				    .sni = doors[d].gate == GATE_ONPREM ? S("mail.contoso.com")
									: S("mail.contoso.mail.cloud.example"),
				    .pipeline = true,
				    .idle_ms = POST_MS };

	uint16_t port = d == DOOR_APP ? b->app : doors[d].hub ? b->hub[doors[d].gate] : b->inet[doors[d].gate];
	must(net_parse_ip(S("127.0.0.1"), port, &o.to));
	return o;
}

static void on_ready(struct caller *c)
{
	struct posting *p = container_of(c, struct posting, caller);

	if (p->sent) {
		caller_quit(c);
		return;
	}
	p->sent = true;
	p->out->peer = c->peer;
	caller_send(c, &p->message);
}

static void on_reply(struct caller *c, enum verb what, size_t at, const struct reply *r)
{
	struct answers *a = container_of(c, struct posting, caller)->out;
	char *text = what == VERB_MAIL ? a->mail.text : what == VERB_RCPT ? a->rcpt[at].text : a->message.text;

	snprintf(text, sizeof a->mail.text, "%d %u.%u.%u " STR_FMT, r->code, r->class, r->subject, r->detail,
		 STR_ARG(str_head(r->text, 120)));
	a->taken += what == VERB_RCPT && reply_is_ok(r);
	a->accepted |= what == VERB_UNKNOWN && reply_is_ok(r);
}

static void on_closed(struct caller *c, const char *why)
{
	struct posting *p = container_of(c, struct posting, caller);

	snprintf(p->out->why, sizeof p->out->why, "%s", why == NULL ? "" : why);
	p->closed = true;
}

static bool is_closed(void *arg)
{
	return ((struct posting *)arg)->closed;
}

void bed_post(struct bed *b, const struct post *post, struct answers *out)
{
	static const struct caller_events events = { .ready = on_ready, .reply = on_reply, .closed = on_closed };
	struct caller_options options = bed_door_options(b, post->door);
	struct posting p = { .message = post->message, .out = out };
	struct buf stuffed;

	must(post->message.rcpt_n <= POST_RCPTS);
	*out = (struct answers){ 0 };
	buf_init(&stuffed, WIRE_MAX);
	if (p.message.chunk == 0) {
		struct body_out stuffing;
		body_out_init(&stuffing);
		body_out_add(&stuffing, p.message.head, &stuffed);
		body_out_add(&stuffing, p.message.body, &stuffed);
		p.message.head = buf_str(&stuffed);
		p.message.body = STR_NONE;
	}
	caller_start(&p.caller, b->loop, &options, &events);
	if (!bed_until(b, POST_MS, is_closed, &p)) {
		caller_close(&p.caller);
		snprintf(out->why, sizeof out->why, "no end in time");
	}
	bed_pause(b, 0); /* what the closed connection leaves behind */
	buf_fini(&stuffed);
}
