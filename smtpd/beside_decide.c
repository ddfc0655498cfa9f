/* smtpd/beside_decide.c: what a session would say and do, for a message in another MTA's hands (wire/decide.h).
 *
 *   who is calling -> may he send -> each recipient -> (whole message) claim, author, tokens, header firewall, hold
 *
 * The same functions decide as in a session; what differs is what the MTA's words are worth: the name of a certificate
 * counts as far as beside.certificates says, a login makes its owner one of our users. */
#include "smtpd/beside.h"

#include "base/must.h"
#include "connectors/header_edits.h"
#include "connectors/reason.h"
#include "connectors/track.h"
#include "smtpd/beside_fields.h"
#include "smtpd/claim.h"
#include "smtpd/policy.h"
#include "wire/decide.h"

static const struct addr_rules relaxed = { .smtputf8 = true, .relaxed = true };

/* Who calls when the configuration has no receive sections. */
static const struct conf_receive anybody = { .name = STR_LIT("-"),
					     .perms = PERM_SUBMIT | PERM_ANY_SENDER | PERM_HDR_ROUTING };

struct deciding {
	const struct beside *b;
	const struct decide_question *q;
	struct arena *arena;
	struct net_addr client;
	const struct conf_receive *receive;
	struct tls_peer peer;
	struct str names[1];
	struct attribution who;
	struct routing_view view;
	struct beside_fields fields; /* of the whole message */
	struct beside_way *ways;     /* one a recipient */
	struct decide_rcpt *rcpts;
	struct decide_answer out;
	char text[700]; /* of the reply */
};

static bool refuse(struct deciding *d, const struct reply *r)
{
	struct buf b;
	bool ok;

	buf_init(&b, 4096);
	decide_reply_put(&b, r);
	ok = arena_dup(d->arena, buf_str(&b), &d->out.reply);
	must(ok); /* the arena is far larger than all texts */
	buf_fini(&b);
	d->out.rcpt_n = 0;
	return false;
}

static bool fail(struct deciding *d, const struct err *e)
{
	struct reply r = reason_reply(REASON_LOOKUP, d->b->config->status_codes, d->b->config->site);

	log_error(NULL, "beside.failed", kv_str("id", d->q->id), kv_c("why", e->text));
	return refuse(d, &r);
}

/* ---- who is calling ---- */

/* What the MTA may be believed of him. */
static void weigh(struct deciding *d)
{
	struct attribution *a = &d->who;
	bool by_certificate = str_starts(a->how, S("cert:"));

	if (by_certificate && d->b->config->beside.certificates != BESIDE_TRUST && a->origin == ENV_PEER) {
		a->trusted = a->claim_open = false;
		a->class = ENV_CLASS_EXT;
	}
	if (a->inbound == NULL && a->origin == ENV_INTERNET && d->q->login.n > 0)
		a->origin = ENV_APP;
}

static void attribute_client(struct deciding *d)
{
	const struct decide_question *q = d->q;
	struct caller k = { .receive = d->receive,
			    .client = d->client,
			    .secured = q->secured,
			    .from = q->from,
			    .at_mail = true,
			    .header_seen = q->whole,
			    .claim = str_c(d->fields.claim.org),
			    .auth_as = str_c(d->fields.claim.auth_as),
			    .now_ms = d->b->now_ms };

	d->peer = (struct tls_peer){ 0 };
	if (q->secured && q->certificate.n > 0 && d->b->config->beside.certificates != BESIDE_IGNORE) {
		d->names[0] = q->certificate;
		d->peer.has_certificate = d->peer.chain_ok = true;
		d->peer.subject = q->certificate;
		d->peer.ids.sans = d->names;
		d->peer.ids.san_n = 1;
	}
	k.peer = q->secured ? &d->peer : NULL;
	attribute(d->b->config, &k, &d->who);
	weigh(d);
}

static bool recognise(struct deciding *d)
{
	const struct config *c = d->b->config;
	struct reply r;

	/* no address: it was handed over on the machine itself */
	if (!net_parse_ip(d->q->client.n > 0 ? d->q->client : S("127.0.0.1"), 25, &d->client)) {
		r = REPLY(451, 4, 3, 0, "the address of the client cannot be read");
		return refuse(d, &r);
	}
	d->receive = c->receive_n > 0 ? receive_select(c, NULL, &d->client) : &anybody;
	if (d->receive == NULL) {
		r = REPLY(554, 5, 7, 1, "no receive connector is open to your address");
		return refuse(d, &r);
	}
	attribute_client(d);
	if (policy_may_send(d->receive, &d->who, d->q->secured, c->status_codes, &r))
		return true;
	policy_add_id(&r, d->q->id, d->text, sizeof d->text, &r);
	return refuse(d, &r);
}

/* ---- recipients ---- */

static struct route_query query_of(const struct deciding *d, const struct addr *rcpt)
{
	const struct conf_inbound *in = d->who.inbound;

	return (struct route_query){ .rcpt = rcpt,
				     .origin = d->who.origin,
				     .class = d->who.class,
				     .org = d->who.org,
				     .sender = d->q->from,
				     .srs = d->b->srs,
				     .return_internal = in != NULL && in->return_internal,
				     .peer_relay = in != NULL && in->peer_relay,
				     .client = &d->client,
				     .message = d->q->id,
				     .null_sender = d->q->from.n == 0,
				     .dry = d->q->whole }; /* RCPT has asked for it already */
}

/* As a session: what only hangs on a claim that the header may still bring is taken for now (spec 4.3, R52). */
static bool find_hoping(struct deciding *d, struct route_query *q, struct beside_way *w, struct err *e)
{
	if (!beside_find(d->b, &d->view, q, d->arena, w, e))
		return false;
	if (!d->who.claim_open || w->verdict.action != ROUTE_REJECT || !str_eq(str_c(w->verdict.rule), S("R52")))
		return true;
	q->org = ENV_ORG_OK;
	return beside_find(d->b, &d->view, q, d->arena, w, e);
}

static void note_straggler(const struct deciding *d, const struct addr *rcpt, const struct verdict *v)
{
	struct buf ip;

	if (d->q->whole || !(v->straggler || str_eq(str_c(v->reason), S("STRAGGLER"))))
		return;
	buf_init(&ip, 64);
	net_put_ip(&ip, &d->client);
	routing_straggler_note(d->b->routing,
			       &(struct straggler_seen){ .client = buf_str(&ip),
							 .helo = d->q->helo,
							 .rcpt = rcpt->whole,
							 .mx = d->view.mode.mx,
							 .now_ms = d->b->now_ms,
							 .threshold = (uint64_t)d->b->config->mode.threshold });
	buf_fini(&ip);
}

static void put_refusal(struct deciding *d, struct decide_rcpt *r, const struct reply *reply)
{
	struct buf b;

	buf_init(&b, 4096);
	decide_reply_put(&b, reply);
	must(arena_dup(d->arena, buf_str(&b), &r->reply));
	buf_fini(&b);
	r->action = DECIDE_REFUSE;
}

static void settle(struct deciding *d, struct str rcpt, const struct beside_way *w, struct decide_rcpt *r)
{
	const struct conf_beside *c = &d->b->config->beside;

	if (w->end == BESIDE_REFUSED || (w->end == BESIDE_HELD && c->hold == BESIDE_DEFER)) {
		put_refusal(d, r, &w->reply);
		log_info(NULL, "rcpt.refused", kv_str("from", d->q->from), kv_str("to", rcpt),
			 kv_int("code", w->reply.code), kv_c("rule", w->verdict.rule),
			 kv_c("reason", w->verdict.reason), kv_str("client", d->q->client), kv_str("trace", d->q->id),
			 kv_bool("beside", true));
	} else if (w->end == BESIDE_DROPPED) {
		r->action = DECIDE_DROP;
	} else if (w->renamed && c->rewrite) {
		r->action = DECIDE_REPLACE;
		r->to = w->to;
		r->to_n = w->to_n;
	}
	if (w->end == BESIDE_HELD && c->hold == BESIDE_QUARANTINE)
		d->out.hold = w->reply.text;
}

static bool judge_rcpt(struct deciding *d, size_t i, struct err *e)
{
	struct str text = d->q->rcpts[i];
	struct beside_way *w = &d->ways[i];
	struct addr rcpt;

	if (addr_parse(text, &relaxed, &rcpt) != ADDR_OK || rcpt.literal || rcpt.domain.n == 0) {
		const struct reply r = REPLY(550, 5, 1, 3, "this address is no destination here");
		w->end = BESIDE_REFUSED;
		put_refusal(d, &d->rcpts[i], &r);
		return true;
	}
	struct route_query q = query_of(d, &rcpt);
	if (!find_hoping(d, &q, w, e))
		return false;
	note_straggler(d, &rcpt, &w->verdict);
	settle(d, text, w, &d->rcpts[i]);
	return true;
}

static bool judge_rcpts(struct deciding *d)
{
	size_t n = d->q->rcpt_n, refused = 0;
	struct err e = { 0 };

	d->ways = arena_alloc(d->arena, (n + 1) * sizeof *d->ways);
	d->rcpts = arena_alloc(d->arena, (n + 1) * sizeof *d->rcpts);
	if (d->ways == NULL || d->rcpts == NULL) {
		err_set(&e, ERR_TOO_BIG, "beside", "no memory for the recipients");
		return fail(d, &e);
	}
	for (size_t i = 0; i < n; i++) {
		if (!judge_rcpt(d, i, &e))
			return fail(d, &e);
		refused += d->rcpts[i].action == DECIDE_REFUSE;
	}
	d->out.rcpts = d->rcpts;
	d->out.rcpt_n = n;
	if (!d->q->whole || n == 0 || refused < n)
		return true;
	/* nobody can be served any more: the client keeps the message; a deferral can still come good */
	d->out.reply = d->rcpts[0].reply;
	for (size_t i = 0; i < n; i++)
		if (str_starts(d->rcpts[i].reply, S("4")))
			d->out.reply = d->rcpts[i].reply;
	d->out.rcpt_n = 0;
	return false;
}

/* ---- the header ---- */

/* How many recipients would go back to where the token says they came from; `last` is one of them. */
static bool count_loops(struct deciding *d, const struct token *token, size_t *loops, struct beside_way *last)
{
	struct err e = { 0 };

	*loops = 0;
	for (size_t i = 0; i < d->q->rcpt_n; i++) {
		struct beside_way w;
		struct addr rcpt;
		if (addr_parse(d->q->rcpts[i], &relaxed, &rcpt) != ADDR_OK)
			continue;
		struct route_query q = query_of(d, &rcpt);
		q.token = token;
		if (!beside_find(d->b, &d->view, &q, d->arena, &w, &e))
			return fail(d, &e);
		if (w.end != BESIDE_REFUSED || !str_eq(str_c(w.verdict.rule), S("R41")))
			continue;
		*last = w;
		++*loops;
	}
	return true;
}

/* Every recipient came back under a token of ours (spec 8.4): the other side keeps the message. */
static bool judge_tokens(struct deciding *d)
{
	struct header_notes *notes = &d->fields.notes;
	unsigned char message[TOKEN_SHORT];

	if (!notes->bind || d->q->rcpt_n == 0)
		return true;
	token_bind(&notes->message, message);
	for (size_t i = 0; i < notes->n; i++) {
		struct beside_way last = { 0 };
		struct token token;
		size_t loops;
		if (notes->v[i].kind != HEADER_TOKEN ||
		    token_verify(d->b->tokens, notes->v[i].value, message, d->b->now_ms, &token) != TOKEN_VALID)
			continue;
		notes->v[i].kind = HEADER_TOKEN_VALID;
		if (token.premises != d->b->config->site)
			continue;
		if (!count_loops(d, &token, &loops, &last))
			return false;
		if (loops < d->q->rcpt_n)
			continue;
		log_warn(NULL, "token.loop", kv_str("trace", d->q->id), kv_c("rule", last.verdict.rule),
			 kv_c("reason", last.verdict.reason), kv_bool("beside", true));
		return refuse(d, &last.reply);
	}
	return true;
}

static void tell_header(const struct deciding *d, const struct header_changes *c)
{
	if (c->total > 0)
		log_info(NULL, "header.edited", kv_str("trace", d->q->id), kv_str("names", c->names),
			 kv_str("groups", c->summary), kv_c("direction", "in"), kv_bool("beside", true));
	if (c->forged)
		log_warn(NULL, "header.forged",
			 kv_c("code", d->who.origin == ENV_INTERNET ? "FORGED-ORG" : "ORG-UNVERIFIED"),
			 kv_str("trace", d->q->id), kv_str("names", c->names), kv_str("from", d->q->from),
			 kv_str("client", d->q->client), kv_bool("beside", true));
}

/* "RELAY; rule=R40; reason=REMOTE; connector=to-cloud; recipients=2": one field for each kind of answer, no addresses,
 * since a recipient must not learn who else got it. */
static bool add_decisions(struct deciding *d)
{
	struct str name = d->b->config->beside.decision_header;
	struct buf b;
	bool ok = true;

	buf_init(&b, 1024);
	for (size_t i = 0; ok && name.n > 0 && i < d->q->rcpt_n; i++) {
		const struct beside_way *w = &d->ways[i];
		size_t alike = 0, before = 0;
		for (size_t k = 0; k < d->q->rcpt_n; k++) {
			const struct beside_way *o = &d->ways[k];
			bool same = o->verdict.rule == w->verdict.rule && o->send == w->send && o->end == w->end;
			alike += same;
			before += same && k < i;
		}
		if (before > 0 || w->verdict.rule == NULL)
			continue;
		buf_reset(&b);
		buf_addf(&b, " %s; rule=%s; reason=%s; connector=" STR_FMT "; recipients=%zu; mode=%s; epoch=%llu",
			 w->end == BESIDE_HELD ? "HOLD" : route_action_name(w->verdict.action), w->verdict.rule,
			 w->verdict.reason, STR_ARG(w->send != NULL ? w->send->name : S("-")), alike,
			 mode_name(&w->mode), (unsigned long long)w->mode.epoch);
		ok = beside_fields_add(&d->fields, name, buf_str(&b));
	}
	buf_fini(&b);
	return ok;
}

static bool judge_header(struct deciding *d)
{
	const struct config *c = d->b->config;
	const struct header_in in = { .trust = header_trust_of(&d->who, d->receive->perms),
				      .cloud_mail = d->receive->perms & PERM_CLOUD_MAIL,
				      .sender_ours = header_sender_ours(c, d->q->from) };
	struct header_changes changes;
	struct reply r;

	if (!policy_author(c, d->who.origin, d->fields.author, d->q->id, d->text, sizeof d->text, &r))
		return refuse(d, &r);
	if (!judge_tokens(d))
		return false;
	bool ok = header_edit_in(&in, &d->fields.notes, &d->fields.scan, &changes);
	if (ok && c->beside.firewall) {
		tell_header(d, &changes);
		ok = beside_fields_edit(&d->fields, changes.edits);
	}
	beside_fields_strip(&d->fields, c->beside.decision_header);
	if (ok && add_decisions(d) && beside_fields_put(&d->fields, &d->out))
		return true;
	r = REPLY(452, 4, 3, 1, "out of memory for this header");
	return refuse(d, &r);
}

/* ---- all ---- */

static void tell_decided(const struct deciding *d)
{
	if (d->q->whole)
		log_info(NULL, "beside.decided", kv_str("trace", d->q->id), kv_str("from", d->q->from),
			 kv_int("recipients", (int64_t)d->q->rcpt_n), kv_str("client", d->q->client),
			 kv_c("origin", track_origin_name(d->who.origin)),
			 kv_str("inbound", d->who.inbound != NULL ? d->who.inbound->name : STR_NONE),
			 kv_str("held", d->out.hold), kv_str("refused", d->out.reply),
			 kv_int("stripped", (int64_t)d->out.strip_n));
}

static void decide(struct deciding *d)
{
	struct err e = { 0 };
	struct reply r;

	if (d->q->whole && !beside_fields_read(&d->fields, d->b, d->q->header, d->arena)) {
		r = reason_reply(REASON_HEADER_SIZE, d->b->config->status_codes, d->b->config->site);
		refuse(d, &r);
		return;
	}
	if (!recognise(d))
		return;
	if (routing_begin(d->b->routing, &d->view, &e) != 0) {
		fail(d, &e);
		return;
	}
	if (judge_rcpts(d) && d->q->whole)
		judge_header(d);
	routing_end(&d->view);
	tell_decided(d);
}

void beside_decide(const struct beside *b, struct str question, struct buf *out)
{
	struct decide_question q;
	struct arena a;
	size_t begin = out->n;

	arena_init(&a, DECIDE_ARENA_MAX);
	if (decide_question_parse(question, &a, &q)) {
		struct deciding d = { .b = b, .q = &q, .arena = &a };
		decide(&d);
		beside_fields_fini(&d.fields);
		buf_add(out, S("OK "));
		if (!decide_answer_put(out, &d.out)) {
			buf_reset(out);
			must(begin == 0);
			buf_add(out, S("TEMP the answer is too large"));
		}
	} else {
		buf_add(out, S("PERM this is no question"));
	}
	arena_fini(&a);
}
