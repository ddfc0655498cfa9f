/* tests/bed/hosts.c: the hosts behind the gateways, and the memory of what arrived anywhere.
 *
 * What a visit holds of its transaction lives in visit.owner; the wire's visits are remembered by the same calls. */
#include "tests/bed/bed.h"

#include "base/must.h"

#include <stdlib.h>

enum { CONTENT_MAX = 64 << 20, PARAMS_MAX = 64 * 1024 };

struct bed_host {
	struct bed *bed;
	enum bed_place where;
	uint64_t connections;
};

struct held { /* of one visit */
	struct buf mail, notes, content;
};

static struct held *held_of(struct visit *v)
{
	struct held *h = v->owner;

	if (h == NULL) {
		v->owner = h = calloc(1, sizeof *h);
		must(h != NULL);
		buf_init(&h->mail, PARAMS_MAX);
		buf_init(&h->notes, PARAMS_MAX);
		buf_init(&h->content, CONTENT_MAX);
	}
	return h;
}

static void put_param(struct buf *b, const char *name, struct str value)
{
	if (value.n > 0)
		buf_addf(b, "%s%s" STR_FMT, b->n > 0 ? " " : "", name, STR_ARG(value));
}

static struct reply on_mail(struct visit *v, const struct cmd_mail *m)
{
	static const struct str bodies[] = { STR_LIT("7BIT"), STR_LIT("8BITMIME"), STR_LIT("BINARYMIME") };
	static const struct str rets[] = { STR_LIT(""), STR_LIT("FULL"), STR_LIT("HDRS") };
	struct held *h = held_of(v);

	buf_reset(&h->mail);
	buf_reset(&h->notes);
	buf_reset(&h->content);
	put_param(&h->mail, "BODY=", m->has_body ? bodies[m->body] : STR_NONE);
	put_param(&h->mail, "", m->smtputf8 ? S("SMTPUTF8") : STR_NONE);
	put_param(&h->mail, "RET=", rets[m->ret]);
	put_param(&h->mail, "ENVID=", m->envid);
	put_param(&h->mail, "XOORG=", m->xorg);
	if (m->has_size)
		buf_addf(&h->mail, "%sSIZE=%ju", h->mail.n > 0 ? " " : "", m->size);
	return REPLY(250, 2, 1, 0, "ok");
}

static struct reply on_rcpt(struct visit *v, const struct cmd_rcpt *c)
{
	struct held *h = held_of(v);
	struct bed_host *host = host_arg(v->host);

	/* "refuse-552@...", "busy-451@...": hosts that are not well, by the recipient's wish */
	if (str_istarts(c->to.local, S("refuse-")))
		return REPLY(550, 5, 1, 1, "no such mailbox here");
	if (str_istarts(c->to.local, S("busy-")) && host->where != WIRE_TO_CLOUD && host->where != WIRE_TO_ONPREM)
		return REPLY(451, 4, 2, 1, "later");
	if (c->notify != 0)
		buf_addf(&h->notes, "NOTIFY=%u ", c->notify);
	if (c->orcpt.n > 0)
		buf_addf(&h->notes, "ORCPT=" STR_FMT " ", STR_ARG(c->orcpt));
	buf_addc(&h->notes, '\n');
	return REPLY(250, 2, 1, 5, "ok");
}

static void on_content(struct visit *v, struct str run)
{
	buf_add(&held_of(v)->content, run);
}

static void keep(struct arena *a, struct str s, struct str *out)
{
	bool fits = arena_dup(a, s, out);

	must(fits);
}

void bed_view(struct visit *v, enum bed_place where, struct arrival *a)
{
	struct held *h = held_of(v);
	const struct tls_peer *peer = tls_peer(&v->stream);

	*a = (struct arrival){ .where = where,
			       .from = buf_str(&v->from),
			       .rcpts = buf_str(&v->rcpts),
			       .mail = buf_str(&h->mail),
			       .notes = buf_str(&h->notes),
			       .content = buf_str(&h->content) };
	if (peer != NULL)
		a->tls = !peer->has_certificate ? S("-") : peer->ids.san_n > 0 ? peer->ids.sans[0] : peer->subject;
}

void bed_remember(struct bed *b, const struct arrival *came)
{
	struct arrival a = *came;

	if (b->on_arrival != NULL) {
		b->on_arrival(b, &a);
		return;
	}
	keep(&b->memory, a.from, &a.from);
	keep(&b->memory, a.rcpts, &a.rcpts);
	keep(&b->memory, a.mail, &a.mail);
	keep(&b->memory, a.notes, &a.notes);
	keep(&b->memory, a.tls, &a.tls);
	keep(&b->memory, a.content, &a.content);
	if (b->arrival_n == b->arrival_cap) {
		b->arrival_cap = b->arrival_cap == 0 ? 64 : 2 * b->arrival_cap;
		b->arrivals = realloc(b->arrivals, b->arrival_cap * sizeof *b->arrivals);
		must(b->arrivals != NULL);
	}
	b->arrivals[b->arrival_n++] = a;
}

static struct reply on_message(struct visit *v)
{
	struct bed_host *h = host_arg(v->host);

	struct arrival a;

	bed_view(v, h->where, &a);
	bed_remember(h->bed, &a);
	return REPLY(250, 2, 0, 0, "taken");
}

static void on_opened(struct visit *v)
{
	struct bed_host *h = host_arg(v->host);

	h->connections++;
}

void bed_forget_visit(struct visit *v)
{
	struct held *h = v->owner;

	if (h != NULL) {
		buf_fini(&h->mail);
		buf_fini(&h->notes);
		buf_fini(&h->content);
	}
	free(h);
	v->owner = NULL;
}

struct host_events bed_host_events(struct bed *b, enum bed_place where)
{
	return (struct host_events){ .arg = &b->host_states[where],
				     .opened = on_opened,
				     .mail = on_mail,
				     .rcpt = on_rcpt,
				     .content = on_content,
				     .message = on_message,
				     .closed = bed_forget_visit };
}

struct bed *bed_of_host(const struct bed_host *h)
{
	return h->bed;
}

uint64_t bed_connections(const struct bed *b, enum bed_place where)
{
	return b->host_states[where].connections;
}

void bed_hosts_open(struct bed *b)
{
	static const struct str names[] = { STR_LIT("ex1.corp.contoso.com"), STR_LIT("mbx.contoso.mail.cloud.example"),
					    STR_LIT("mx.outside.example"), STR_LIT("keep.archive.example") };
	struct err e = { 0 };

	b->host_states = calloc(PLACES, sizeof *b->host_states);
	must(b->host_states != NULL);
	for (unsigned i = 0; i < PLACES; i++)
		b->host_states[i] = (struct bed_host){ .bed = b, .where = i };
	for (unsigned i = HOST_ONPREM; i <= HOST_ARCHIVE; i++) {
		struct host_options o = {
			.name = names[i],
			.caps = EHLO_PIPELINING | EHLO_8BITMIME | EHLO_SIZE | EHLO_ENHANCEDSTATUSCODES | EHLO_SMTPUTF8 |
				EHLO_DSN | EHLO_CHUNKING,
			.tls = i == HOST_CLOUD ? b->cloud_tls : b->onprem_tls,
		};
		if (i == HOST_NET)
			o.caps &= ~b->net_lacks;
		const struct host_events events = bed_host_events(b, i);
		must(net_parse_ip(S("127.0.0.1"), 0, &o.listen));
		if ((b->hosts[i] = host_open(b->loop, &o, &events, &e)) == NULL)
			bed_fail("bed: %s", e.text);
	}
}

void bed_hosts_close(struct bed *b)
{
	for (unsigned i = 0; i < PLACES; i++)
		host_close(&b->hosts[i]);
	free(b->host_states);
	b->host_states = NULL;
}
