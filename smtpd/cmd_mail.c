/* smtpd/cmd_mail.c: MAIL and RCPT: the envelope, judged recipient by recipient. */
#include "smtpd/commands.h"

#include "base/time.h"
#include "connectors/reason.h"
#include "smtpd/echo.h"
#include "smtpd/filter_session.h"
#include "smtpd/policy.h"
#include "smtpd/track_session.h"

#include <string.h>

enum { TARPIT_AFTER = 3 }; /* refused recipients of one session that are answered at once */

static struct cmd_offer offer_of(const struct session *s)
{
	return (struct cmd_offer){
		.size = s->esmtp,
		.eightbitmime = s->esmtp,
		.smtputf8 = s->esmtp,
		.dsn = s->esmtp,
		.xoorg = s->esmtp && policy_offers_xoorg(&s->who),
		.auth = s->esmtp, /* checked and not believed, though AUTH is not offered: relays of some kinds say it
				   */
		.relaxed_addresses = s->who.origin == ENV_PEER || s->who.origin == ENV_LOCAL,
	};
}

/* A rewritten sender is longer than the one it stands for: ours that reports come back to, and those of others. */
static bool is_srs(struct str args, struct str word)
{
	args = str_istarts(args, word) ? str_skip(args, word.n) : STR_NONE;
	return str_istarts(args, S("SRS")) || str_istarts(args, S("\"SRS"));
}

static bool parse_mail(const struct session *s, struct str args, struct cmd_mail *m, struct reply *r)
{
	struct cmd_offer offer = offer_of(s);

	offer.relaxed_addresses |= is_srs(args, S("FROM:<"));
	return cmd_parse_mail(args, &offer, m, r);
}

bool check_mail(const struct session *s, struct str args, struct reply *r)
{
	struct cmd_mail m;

	if (!parse_mail(s, args, &m, r))
		return false;
	if (m.has_size && m.size > policy_size_max(session_config(s), s->receive)) {
		*r = reason_reply(REASON_SIZE, CODES_STANDARD, SITE_ONPREM);
		return false;
	}
	return true;
}

/* A stranger who writes as one of us (spec 3.1): told to the administrator; refusing is a policy of its own. */
static void note_own_sender(struct session *s, const struct cmd_mail *m)
{
	struct routing_view v;

	if (s->who.origin != ENV_INTERNET || (s->receive->perms & PERM_OWN_DOMAIN_SENDER) || m->from.domain.n == 0 ||
	    routing_begin(s->server->shared->routing, &v, NULL) != 0)
		return;
	if (routing_is_our_domain(&v, m->from.domain))
		log_info(&s->log, "mail.own_domain_sender", kv_str("from", m->from.whole),
			 kv_c("client", s->client_text));
	routing_end(&v);
}

/* Resources are short and this caller is one of those to come back later (spec 6.4). */
static enum step shed_mail(struct session *s)
{
	COUNT(s->server, shed);
	log_info(&s->log, "mail.shed", kv_c("client", s->client_text), kv_str("from", s->tx.env.from),
		 kv_c("senders", pressure_shed_name(pressure_sheds(&s->server->shared->pressure))));
	transaction_reset(&s->tx);
	session_reply(s, &REPLY(452, 4, 3, 1, "resources are short here, try again later (PRESSURE)"));
	return STEP_NEXT;
}

/* The gateway is being emptied.  The connection ends with it, so that the client goes to the next MX host. */
static enum step refuse_draining(struct session *s, const struct drain_order *d)
{
	char text[DRAIN_REASON + 80];
	struct reply r = REPLY(421, 4, 3, 2, "");

	snprintf(text, sizeof text, "no mail is accepted here now%s%s (DRAIN)", d->reason[0] != '\0' ? ": " : "",
		 d->reason);
	r.text = str_c(text);
	log_info(&s->log, "mail.draining", kv_c("client", s->client_text), kv_str("from", s->tx.env.from));
	transaction_reset(&s->tx);
	session_end(s, &r);
	return STEP_NEXT;
}

static enum step take_mail(struct session *s)
{
	return session_hold(s, &REPLY(250, 2, 1, 0, "ok"), s->late_ms);
}

static enum step mail_filtered(struct session *s)
{
	if (!session_is_filtered_out(s))
		return take_mail(s);
	session_filter_over(s);
	transaction_reset(&s->tx);
	s->phase = IN_READY;
	s->junk++;
	return session_filter_reply(s);
}

enum step run_mail(struct session *s, struct str args)
{
	struct drain_order drain;
	struct cmd_mail m;
	struct reply r = { 0 };
	struct envelope *env = &s->tx.env;

	must(parse_mail(s, args, &m, &r));
	if (!transaction_mail(&s->tx, &m, clock_wall_ms())) {
		transaction_reset(&s->tx);
		session_reply(s, &REPLY(452, 4, 3, 1, "out of memory for this session"));
		return STEP_NEXT;
	}
	session_attribute(s, &(struct said){ .at_mail = true, .from = env->from, .claim = env->xorg });
	if (!policy_may_send(s->receive, &s->who, s->secured, session_config(s)->status_codes, &r)) {
		char text[600];
		policy_add_id(&r, env->trace_id, text, sizeof text, &r);
		transaction_reset(&s->tx);
		session_error(s);
		session_reply(s, &r);
		return STEP_NEXT;
	}
	if (drain_read(&s->server->shared->drain, &drain))
		return refuse_draining(s, &drain);
	if (!session_may(s, GATE_MESSAGES, &r)) {
		transaction_reset(&s->tx);
		s->junk++; /* who does not stop asking is dropped in the end */
		session_reply(s, &r);
		return STEP_NEXT;
	}
	int64_t late_ms = 0;
	if (pressure_at_mail(&s->server->shared->pressure, s->who.origin, &late_ms) == PRESSURE_REFUSE)
		return shed_mail(s);
	note_own_sender(s, &m);
	env->origin = s->who.origin;
	env->class = s->who.class;
	env->org = s->who.org;
	env->receive = s->receive->name;
	env->inbound = s->who.inbound != NULL ? s->who.inbound->name : STR_NONE;
	env->client = str_c(s->client_text);
	env->helo = s->helo;
	s->phase = IN_MAIL;
	s->junk = 0;
	s->late_ms = late_ms;
	if (s->filters != NULL)
		return session_filter(s, MILTER_AT_MAIL, args, mail_filtered);
	return take_mail(s);
}

static bool parse_rcpt(const struct session *s, struct str args, struct cmd_rcpt *c, struct reply *r)
{
	struct cmd_offer offer = offer_of(s);

	offer.relaxed_addresses |= is_srs(args, S("TO:<"));
	return cmd_parse_rcpt(args, &offer, s->tx.env.smtputf8, c, r);
}

bool check_rcpt(const struct session *s, struct str args, struct reply *r)
{
	struct cmd_rcpt c;

	return parse_rcpt(s, args, &c, r);
}

/* <postmaster> without domain is the postmaster of the default domain (RFC 5321 4.5.1). */
static bool complete_postmaster(struct session *s, struct cmd_rcpt *c, struct str *room)
{
	const struct config *conf = session_config(s);
	struct buf b;
	bool ok;

	if (c->to.domain.n > 0)
		return true;
	struct str home = conf->hostname;
	for (size_t i = 0; i < conf->domain_n; i++)
		if (conf->domains[i].is_default)
			home = conf->domains[i].name;
	buf_init(&b, 600);
	buf_addf(&b, STR_FMT "@" STR_FMT, STR_ARG(c->to.local), STR_ARG(home));
	ok = arena_dup(&s->arena, buf_str(&b), room) &&
	     addr_parse(*room, &(struct addr_rules){ .smtputf8 = true }, &c->to) == ADDR_OK;
	buf_fini(&b);
	return ok;
}

/* False when it could not be asked: 451, never "unknown" (hardening HY-8). */
bool session_ask_table(struct session *s, const struct addr *rcpt, const struct token *token, enum env_org org,
		       struct verdict *out)
{
	struct transaction *t = &s->tx;
	struct arena_mark mark = arena_mark(&s->arena);
	struct routing_view view;
	struct route route;
	struct err e = { 0 };
	struct route_query q = {
		.rcpt = rcpt,
		.token = token,
		.origin = t->env.origin,
		.class = t->env.class,
		.org = org,
		.sender = t->env.from,
		.srs = outbound_srs_keys(s->setup->outbound),
		.return_internal = s->who.inbound != NULL && s->who.inbound->return_internal,
		.peer_relay = s->who.inbound != NULL && s->who.inbound->peer_relay,
		.client = &s->client,
		.message = t->env.trace_id,
		.null_sender = t->env.from.n == 0,
	};
	bool ok;

	if (routing_begin(s->server->shared->routing, &view, &e) != 0) {
		log_error(&s->log, "routing.failed", kv_c("why", e.text));
		return false;
	}
	ok = routing_route(&view, &q, &s->arena, &route, NULL, &e);
	if (ok)
		*out = route.verdict;
	else
		log_error(&s->log, "routing.failed", kv_c("why", e.text));
	t->env.epoch = view.mode.epoch;
	t->env.serial = view.serial;
	t->mode = view.mode;
	routing_end(&view);
	arena_rewind(&s->arena, mark);
	return ok;
}

/* A peer that has not claimed an organisation yet may still do so in the header: what only hangs on that is taken for
 * now and judged at the end of the header (spec 4.3, R52). */
static bool judge_rcpt(struct session *s, const struct addr *rcpt, struct verdict *out, bool *provisional)
{
	struct verdict hoped;

	*provisional = false;
	if (!session_ask_table(s, rcpt, NULL, s->tx.env.org, out))
		return false;
	if (!s->who.claim_open || out->action != ROUTE_REJECT || !str_eq(str_c(out->rule), S("R52")))
		return true;
	if (!session_ask_table(s, rcpt, NULL, ENV_ORG_OK, &hoped))
		return false;
	if (hoped.action == ROUTE_REJECT || hoped.action == ROUTE_DEFER)
		return true;
	*provisional = true;
	s->tx.unproved = *out;
	*out = hoped;
	return true;
}

/* Once a transaction: whoever still sends here although the MX is the other side, taken or refused for it (spec 1.6).
 */
static void note_straggler(struct session *s, const struct addr *rcpt, const struct verdict *v)
{
	struct transaction *t = &s->tx;

	if (t->straggler || !(v->straggler || str_eq(str_c(v->reason), S("STRAGGLER"))))
		return;
	t->straggler = true;
	routing_straggler_note(s->server->shared->routing,
			       &(struct straggler_seen){ .client = str_c(s->client_text),
							 .helo = t->env.helo,
							 .rcpt = rcpt->whole,
							 .mx = t->mode.mx,
							 .now_ms = clock_wall_ms(),
							 .threshold = (uint64_t)session_config(s)->mode.threshold });
	log_info(&s->log, "straggler", kv_c("client", s->client_text), kv_str("helo", t->env.helo),
		 kv_str("to", rcpt->whole), kv_c("rule", v->rule), kv_int("epoch", (int64_t)t->env.epoch));
}

static enum step refuse_rcpt(struct session *s, const struct cmd_rcpt *c, const struct verdict *v)
{
	const struct conf_receive *r = s->receive;
	char text[600];
	struct reply reply;

	policy_refusal(v, s->tx.env.origin, s->tx.env.trace_id, text, sizeof text, &reply);
	log_info(&s->log, "rcpt.refused", kv_str("from", s->tx.env.from), kv_str("to", c->to.whole),
		 kv_int("code", reply.code), kv_c("rule", v->rule), kv_c("reason", v->reason),
		 kv_c("client", s->client_text), kv_str("trace", s->tx.env.trace_id));
	session_track_refused_rcpt(s, c->to.whole, v, &reply);
	s->tx.rejected++;
	if (v->action == ROUTE_DEFER) {
		COUNT(s->server, deferred_rcpts);
	} else {
		COUNT(s->server, rejected_rcpts);
		if (session_is_rated(s))
			gate_take(s->place, GATE_UNKNOWN, &session_config(s)->limits, loop_now_ms(s->server->loop));
	}
	bool harvest = s->tx.rejected > TARPIT_AFTER && s->tx.env.origin == ENV_INTERNET;
	return session_hold(s, &reply, harvest ? r->tarpit_ms : 0);
}

static enum step take_echo(struct session *s)
{
	s->phase = IN_RCPT;
	session_reply(s, &REPLY(250, 2, 1, 5, "ok"));
	return STEP_NEXT;
}

static enum step take_rcpt(struct session *s)
{
	COUNT(s->server, rcpts);
	s->phase = IN_RCPT;
	return session_hold(s, &REPLY(250, 2, 1, 5, "ok"),
			    pressure_at_rcpt(&s->server->shared->pressure, s->tx.env.origin));
}

/* A refusal is for this recipient only: it was the last one taken. */
static enum step rcpt_filtered(struct session *s)
{
	struct transaction *t = &s->tx;
	const struct reply *r = &s->filters->verdict.reply;

	if (!session_is_filtered_out(s))
		return take_rcpt(s);
	log_info(&s->log, "rcpt.refused", kv_str("from", t->env.from), kv_str("to", t->rcpts[t->env.rcpt_n - 1].addr),
		 kv_int("code", r->code), kv_c("reason", "FILTER"), kv_c("client", s->client_text),
		 kv_str("trace", t->env.trace_id));
	session_track_refused_rcpt(s, t->rcpts[t->env.rcpt_n - 1].addr,
				   &(struct verdict){ .rule = "FILTER", .reason = "FILTER" }, r);
	t->env.rcpt_n--;
	t->rejected++;
	t->provisional -= s->rcpt_provisional;
	if (reply_is_transient(r))
		COUNT(s->server, deferred_rcpts);
	else
		COUNT(s->server, rejected_rcpts);
	return session_filter_reply(s);
}

enum step run_rcpt(struct session *s, struct str args)
{
	struct transaction *t = &s->tx;
	struct cmd_rcpt c;
	struct reply r = { 0 };
	struct verdict v;
	struct str room;
	bool provisional;

	must(parse_rcpt(s, args, &c, &r));
	if (t->env.rcpt_n >= (size_t)session_config(s)->limits.recipients) {
		session_reply(s, &REPLY(452, 4, 5, 3, "too many recipients, send the rest in another transaction"));
		return STEP_NEXT;
	}
	if (c.to.literal) {
		session_reply(s, &REPLY(550, 5, 1, 2, "address literals are no destination here"));
		return STEP_NEXT;
	}
	if (!session_may(s, GATE_RECIPIENTS, &r) || !session_may(s, GATE_UNKNOWN, &r)) {
		t->rejected++;
		s->junk++;
		session_reply(s, &r);
		return STEP_NEXT;
	}
	if (session_echo_rcpt(s, &c.to))
		return take_echo(s);
	if (!complete_postmaster(s, &c, &room) || !judge_rcpt(s, &c.to, &v, &provisional)) {
		r = reason_reply(REASON_LOOKUP, CODES_STANDARD, SITE_ONPREM);
		session_reply(s, &r);
		return STEP_NEXT;
	}
	if (session_echo_hope(s, &c.to, &v))
		return take_echo(s);
	note_straggler(s, &c.to, &v);
	if ((v.action == ROUTE_REJECT || v.action == ROUTE_DEFER) && !policy_queues(&v, t->env.origin))
		return refuse_rcpt(s, &c, &v);
	if (!transaction_rcpt(t, &c)) {
		session_reply(s, &REPLY(452, 4, 3, 1, "out of memory for this session"));
		return STEP_NEXT;
	}
	t->provisional += provisional;
	if (v.straggler)
		log_info(&s->log, "rcpt.straggler", kv_str("from", t->env.from), kv_str("to", c.to.whole),
			 kv_c("rule", v.rule), kv_c("client", s->client_text), kv_str("helo", s->helo),
			 kv_str("trace", t->env.trace_id));
	s->rcpt_provisional = provisional;
	if (s->filters != NULL)
		return session_filter(s, MILTER_AT_RCPT, args, rcpt_filtered);
	return take_rcpt(s);
}
