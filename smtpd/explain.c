/* smtpd/explain.c: asks the deciding functions in the order a session does and puts their answers into words.
 *
 * Nothing is decided here: where a step needs a fact that a real connection would bring and the question does not, the
 * assumption is told as a line of its own. */
#include "smtpd/explain.h"

#include "base/must.h"
#include "base/time.h"
#include "connectors/reason.h"
#include "connectors/track.h"
#include "smtpd/explain_headers.h"
#include "smtpd/policy.h"

/* RFC 5737: no client has it, so only ranges like 0.0.0.0/0 hold it. */
#define NOBODY "192.0.2.1"

enum { CERT_NAMES_MAX = 64 };

struct telling {
	const struct config *config;
	const struct explain_query *q;
	struct arena *arena;
	void (*line)(void *arg, const struct explain_line *l);
	void *arg;
	struct explain_result *out;
	struct caller caller;
	struct claim claim; /* of q->header */
	struct tls_peer peer;
	struct str names[CERT_NAMES_MAX];
	const struct conf_send *why_not_send; /* told when connectors are selected */
};

static void tell(struct telling *t, const char *step, struct str name, bool hit, const char *fmt, ...)
	__attribute__((format(printf, 5, 6)));
static void tell(struct telling *t, const char *step, struct str name, bool hit, const char *fmt, ...)
{
	struct buf says;
	va_list ap;

	buf_init(&says, 4096);
	va_start(ap, fmt);
	buf_vaddf(&says, fmt, ap);
	va_end(ap);
	t->line(t->arg, &(struct explain_line){ step, name, buf_str(&says), hit });
	buf_fini(&says);
}

static struct str keep(struct telling *t, struct str s)
{
	struct str copy = STR_NONE;

	arena_dup(t->arena, s, &copy);
	return copy;
}

static const char *class_name(enum env_class c)
{
	return c == ENV_CLASS_INT ? "INT" : c == ENV_CLASS_EXT ? "EXT" : "-";
}

static const char *org_name(enum env_org o)
{
	return o == ENV_ORG_OK ? "ok" : o == ENV_ORG_OTHER ? "other" : "-";
}

/* ---- who is calling ---- */

static const struct conf_receive *find_receive(const struct config *c, struct str name)
{
	for (size_t i = 0; i < c->receive_n; i++)
		if (str_ieq(c->receives[i].name, name))
			return &c->receives[i];
	return NULL;
}

/* An address out of the first range of a connector that is asked for by name. */
static void first_of_range(const struct conf_receive *r, struct net_addr *a)
{
	struct buf text;
	struct str ip, bits;

	if (r->range_n == 0)
		return;
	buf_init(&text, 128);
	net_put_cidr(&text, &r->ranges[0]);
	str_cut(buf_str(&text), '/', &ip, &bits);
	must(net_parse_ip(ip, 25, a));
	buf_fini(&text);
}

static int find_client(struct telling *t, struct net_addr *client, const struct conf_receive **receive, struct err *e)
{
	const struct explain_query *q = t->q;
	struct buf ip;

	*receive = NULL;
	must(net_parse_ip(S(NOBODY), 25, client));
	if (q->ip.n > 0 && !net_parse_ip(q->ip, 25, client))
		return err_set(e, ERR_SYNTAX, "explain", "--ip: " STR_FMT " is not an IP address", STR_ARG(q->ip));
	if (q->via.n > 0) {
		*receive = find_receive(t->config, q->via);
		if (*receive == NULL)
			return err_set(e, ERR_SYNTAX, "explain",
				       "--via: there is no receive connector " STR_FMT "; see: tombolo connector list",
				       STR_ARG(q->via));
		if (q->ip.n == 0 &&
		    !(net_parse_ip(S(NOBODY), 25, client) && receive_select(t->config, NULL, client) == *receive))
			first_of_range(*receive, client);
	} else {
		*receive = receive_select(t->config, NULL, client);
	}
	buf_init(&ip, 64);
	net_put_ip(&ip, client);
	if (q->ip.n == 0)
		tell(t, "client", buf_str(&ip), false, "assumed; name another with --ip");
	else
		tell(t, "client", buf_str(&ip), false, "%s",
		     q->cert_name_n > 0 || q->peer != NULL ? "TLS with a certificate"
		     : q->secured                          ? "TLS without a certificate"
							   : "in clear");
	buf_fini(&ip);
	return 0;
}

static void tell_receive(struct telling *t, const struct net_addr *client, const struct conf_receive *r)
{
	const struct conf_receive *found = receive_select(t->config, NULL, client);
	struct buf ranges;

	buf_init(&ranges, 1024);
	for (size_t i = 0; i < r->range_n; i++)
		if (net_cidr_has(&r->ranges[i], client)) {
			buf_add(&ranges, ranges.n > 0 ? S(", ") : S(""));
			net_put_cidr(&ranges, &r->ranges[i]);
		}
	t->out->receive = r->name;
	if (ranges.n == 0)
		tell(t, "receive", r->name, false, "asked for with --via; none of its ranges holds this client");
	else if (found != r && found != NULL)
		tell(t, "receive", r->name, false,
		     "asked for with --via; without it " STR_FMT " is the more specific one for this client",
		     STR_ARG(found->name));
	else
		tell(t, "receive", r->name, false, "the most specific range that holds the client: %s",
		     buf_cstr(&ranges));
	buf_fini(&ranges);
}

static bool is_secured(const struct explain_query *q)
{
	return q->secured || q->cert_name_n > 0 || q->peer != NULL;
}

/* The caller as far as the question tells it; the peer made of bare names lives in `t`. */
static void make_caller(struct telling *t, const struct net_addr *client, const struct conf_receive *receive)
{
	const struct explain_query *q = t->q;
	size_t n = q->cert_name_n < CERT_NAMES_MAX ? q->cert_name_n : CERT_NAMES_MAX;

	explain_claim(q->header, &t->claim);
	t->peer = (struct tls_peer){ .protocol = S("TLSv1.3"), .cipher = S("TLS_AES_256_GCM_SHA384") };
	if (q->peer != NULL) {
		t->peer = *q->peer;
	} else if (n > 0) {
		memcpy(t->names, q->cert_names, n * sizeof *t->names);
		t->peer.has_certificate = t->peer.chain_ok = true;
		t->peer.subject = t->names[0];
		t->peer.ids.sans = t->names;
		t->peer.ids.san_n = n;
	}
	t->caller = (struct caller){ .receive = receive,
				     .client = *client,
				     .secured = is_secured(q),
				     .peer = is_secured(q) ? &t->peer : NULL,
				     .from = q->from,
				     .at_mail = true,
				     .claim = q->claim.n > 0 ? q->claim : str_c(t->claim.org),
				     .auth_as = q->class == ENV_CLASS_INT ? S("Internal") : str_c(t->claim.auth_as),
				     .header_seen = true,
				     .now_ms = clock_wall_ms() };
}

static void tell_certificate(struct telling *t)
{
	const struct tls_identities *ids = &t->peer.ids;
	struct buf names;

	if (t->q->peer == NULL)
		return;
	buf_init(&names, 2048);
	for (size_t i = 0; i < ids->san_n; i++)
		buf_addf(&names, "%s" STR_FMT, names.n > 0 ? ", " : "", STR_ARG(ids->sans[i]));
	for (size_t i = 0; i < ids->cn_n; i++)
		buf_addf(&names, "%s" STR_FMT " (CN)", names.n > 0 ? ", " : "", STR_ARG(ids->cns[i]));
	if (names.n == 0)
		buf_add(&names, S("no usable name"));
	if (t->q->chain_assumed)
		buf_add(&names, S("; its chain is taken for good, --ca FILE judges it"));
	else if (!t->peer.chain_ok)
		buf_addf(&names, "; not trusted: " STR_FMT, STR_ARG(t->peer.chain_error));
	tell(t, "certificate", S("-"), t->peer.chain_ok, "%s", buf_cstr(&names));
	buf_fini(&names);
}

static void tell_miss(struct telling *t, const struct attribution *att)
{
	struct attribution_miss miss;

	if (attribute_miss(t->config, &t->caller, att, &miss))
		tell(t, "alarm", miss.inbound->name, false, "ATTRIBUTION-MISS: %s", miss.text);
}

static void tell_attribution(struct telling *t, const struct attribution *att)
{
	struct explain_result *out = t->out;
	struct str inbound = att->inbound != NULL ? att->inbound->name : S("-");

	out->inbound = att->inbound != NULL ? att->inbound->name : STR_NONE;
	out->how = keep(t, att->how);
	out->origin = track_origin_name(att->origin);
	out->class = class_name(att->class);
	out->org = org_name(att->org);
	if (att->inbound == NULL)
		tell(t, "attribution", inbound, false, "no inbound connector is for this client");
	else
		tell(t, "attribution", inbound, true, "by " STR_FMT "%s", STR_ARG(att->how),
		     att->trusted ? "; its headers are trusted" : "; its headers are not trusted");
	if (att->also != NULL)
		tell(t, "attribution", att->also->name, false, "matches as well; the more specific pattern won");
	tell_miss(t, att);
	tell(t, "origin", str_c(out->origin), false, "class %s, organisation claim %s", out->class, out->org);
}

/* What a session refuses at MAIL, before it looks at recipients. */
static bool turned_away(struct telling *t, const struct conf_receive *receive, const struct attribution *att)
{
	struct reply *r = &t->out->reply;
	bool secured = is_secured(t->q);
	uint64_t size_max = policy_size_max(t->config, receive);

	if (!policy_may_send(receive, att, secured, t->config->status_codes, r)) {
		tell(t, "mail from", S("-"), false, "this client may not send here");
		return true;
	}
	if (t->q->size > size_max) {
		*r = reason_reply(REASON_SIZE, t->config->status_codes, t->config->site);
		tell(t, "mail from", S("-"), false, "the receive connector takes at most %llu bytes",
		     (unsigned long long)size_max);
		return true;
	}
	return false;
}

/* ---- who the recipient is ---- */

static void tell_record(struct telling *t, const struct located *l)
{
	const struct rcpt_record *r = &l->record;

	tell(t, "record", r->primary, false, "loc %s%s" STR_FMT "%s" STR_FMT "; source " STR_FMT ", version %llu%s",
	     loc_name(r->loc), r->routing.n > 0 ? ", routing " : "", STR_ARG(r->routing),
	     r->redirect.n > 0 ? ", redirect " : "", STR_ARG(r->redirect),
	     STR_ARG(r->source.n > 0 ? r->source : S("-")), (unsigned long long)r->version,
	     r->require_auth ? "; only for authenticated senders" : "");
}

static void tell_resolution(struct telling *t, const struct route *route)
{
	static const char *const types[] = { "authoritative", "internal_relay", "external_relay" };
	const struct located *l = &route->located;
	const char *how = l->found ? (l->plus ? "found without its +tag" : "found in the table")
				   : (l->domain != NULL ? "not in the table" : "outside of our domains");

	t->out->kind = kind_name(l->kind);
	if (l->domain == NULL && !l->found)
		tell(t, "domain", route->hop_domain, false, "not one of ours");
	else if (l->domain != NULL)
		tell(t, "domain", l->domain->name, false, "%s%s",
		     (size_t)l->domain->type < 3 ? types[l->domain->type] : "?",
		     l->domain->own_routing ? "; the routing domain of this side" : "");
	if (l->found)
		tell_record(t, l);
	tell(t, "kind", str_c(t->out->kind), false, "%s%s", how,
	     route->facts.disabled ? "; the record is disabled, so as unknown" : "");
}

static void tell_decision(struct telling *t, const struct route *route, const struct route_trace *trace,
			  enum env_origin origin)
{
	const struct verdict *v = &route->verdict;
	struct explain_result *out = t->out;

	for (size_t i = 0; i < trace->n; i++)
		tell(t, "rule", str_c(trace->steps[i].rule), trace->steps[i].hit, "%s",
		     trace->steps[i].says != NULL ? trace->steps[i].says : "");
	out->rule = v->rule;
	out->reason = v->reason;
	out->straggler = v->straggler;
	out->action = route_action_name(v->action);
	out->next = route_next_name(v->next);
	out->form = route_form_name(v->form);
	out->cause = v->cause;
	out->fixer = v->fixer;
	out->rcpt = route->rcpt;
	out->hop_domain = route->hop_domain;
	out->hop_host = route->hop_host;
	if ((v->action == ROUTE_REJECT || v->action == ROUTE_DEFER) && !policy_queues(v, origin)) {
		char text[600];
		policy_refusal(v, origin, S("ID"), text, sizeof text, &out->reply);
		out->reply.text = keep(t, out->reply.text);
	}
	tell(t, "action", str_c(out->action), false, "%s%s (%s)", v->rule, v->straggler ? "+straggler" : "",
	     v->reason != NULL ? v->reason : "-");
	if (v->cause != NULL)
		tell(t, "cause", S("-"), false, "%s%s%s%s", v->cause, v->fixer != NULL ? " To be mended by the " : "",
		     v->fixer != NULL ? v->fixer : "", v->fixer != NULL ? "." : "");
}

static void tell_way(struct telling *t, const struct route *route)
{
	struct explain_result *out = t->out;

	tell(t, "next hop", str_c(out->next), false, "by " STR_FMT "%s" STR_FMT, STR_ARG(route->hop_domain),
	     route->hop_host.n > 0 ? ", at the host " : "", STR_ARG(route->hop_host));
	tell(t, "address", route->rcpt, false, "%s", out->form);
}

/* ---- which way out ---- */

static void tell_share(struct telling *t, const struct conf_send *s, const struct tls_share *share, bool decides)
{
	const char *wants = share->tls_domain.n > 0 ? ", certificate " : "";

	if (share->policy == NULL)
		tell(t, "tls asked", str_c(conf_tls_level_name(share->level)), decides,
		     "by the connector " STR_FMT "%s" STR_FMT, STR_ARG(s->name), wants, STR_ARG(share->tls_domain));
	else
		tell(t, "tls asked", str_c(conf_tls_level_name(share->level)), decides,
		     "by tls_policy " STR_FMT ", for the %s%s" STR_FMT, STR_ARG(share->policy->name),
		     share->of_rcpt ? "recipient's domain" : "domain of the next hop", wants,
		     STR_ARG(share->tls_domain));
}

/* What a certificate must name at level domain. */
static struct str wanted_names(struct telling *t, const struct tls_need *need, const struct conf_send *s,
			       const struct route *route)
{
	struct buf b;
	struct str names;

	if (need->pattern_n == 0)
		return s->smarthosts.n > 0 || route->hop_host.n > 0 ? S("the host's own name") : route->hop_domain;
	buf_init(&b, 2048);
	for (size_t i = 0; i < need->pattern_n; i++)
		buf_addf(&b, "%s" STR_FMT, i > 0 ? " and " : "", STR_ARG(need->patterns[i]));
	names = keep(t, buf_str(&b));
	buf_fini(&b);
	return names;
}

/* The lattice, contribution by contribution (spec 3.7). */
static void tell_tls(struct telling *t, const struct route *route, const struct conf_send *s)
{
	static const char *const words[] = {
		[TLS_NONE] = "in clear",
		[TLS_MAY] = "TLS when the next hop offers it",
		[TLS_ENCRYPT] = "TLS or not at all; any certificate",
		[TLS_VALIDATE] = "TLS or not at all; a certificate we trust, whatever its name",
		[TLS_DOMAIN] = "TLS or not at all; a certificate we trust that names ",
	};
	struct str rcpt = t->q->rcpt, domain = str_skip(rcpt, (size_t)(str_rchr(rcpt, '@') + 1));
	struct tls_shares shares;
	struct tls_need need;

	tls_need_find(t->config, s, route->hop_domain, domain, &need, &shares);
	for (size_t i = 0; i < shares.n; i++)
		tell_share(t, s, &shares.v[i], shares.v[i].level == need.level);
	t->out->tls = conf_tls_level_name(need.level);
	if (need.level == TLS_DOMAIN)
		t->out->tls_domain = wanted_names(t, &need, s, route);
	tell(t, "tls", str_c(t->out->tls), false, "%s" STR_FMT, words[need.level], STR_ARG(t->out->tls_domain));
}

/* ---- why not ---- */

static void tell_why_not_inbound(struct telling *t, const struct attribution *att)
{
	char text[600];

	for (size_t i = 0; i < t->config->inbound_n; i++)
		if (str_eq(t->config->inbounds[i].name, t->q->why_not)) {
			attribute_why_not(&t->caller, att, &t->config->inbounds[i], text, sizeof text);
			tell(t, "why not", t->q->why_not, false, "%s", text);
		}
}

static void tell_why_not_send(struct telling *t, const struct selection *sel)
{
	const struct conf_send *s = t->why_not_send;

	if (s == NULL)
		return;
	t->why_not_send = NULL; /* answered */
	for (size_t i = 0; sel != NULL && i < sel->step_n; i++)
		if (sel->steps[i].send == s) {
			tell(t, "why not", s->name, false, "%s", sel->steps[i].why);
			return;
		}
	tell(t, "why not", s->name, false, "%s",
	     sel == NULL ? "no connector was asked: this recipient goes nowhere"
			 : "a more specific connector owns the address space, and nothing falls through it");
}

static int find_why_not(struct telling *t, struct err *e)
{
	const struct config *c = t->config;
	struct str name = t->q->why_not;

	if (name.n == 0)
		return 0;
	for (size_t i = 0; i < c->send_n; i++)
		if (str_eq(c->sends[i].name, name))
			t->why_not_send = &c->sends[i];
	for (size_t i = 0; i < c->inbound_n; i++)
		if (str_eq(c->inbounds[i].name, name))
			return 0;
	if (t->why_not_send != NULL)
		return 0;
	return err_set(e, ERR_SYNTAX, "explain",
		       "--why-not: there is no send or inbound connector " STR_FMT "; see: tombolo connector list",
		       STR_ARG(name));
}

static void tell_selection(struct telling *t, const struct route *route)
{
	struct select_query sq = { .domain = route->hop_domain, .size = t->q->size, .next = route->verdict.next };
	struct selection sel;
	struct explain_result *out = t->out;

	select_send(t->config, &sq, &sel);
	for (size_t i = 0; i < sel.step_n; i++)
		tell(t, "connector", sel.steps[i].send->name, sel.result == SELECT_OK && sel.steps[i].send == sel.send,
		     "%s", sel.steps[i].why);
	tell_why_not_send(t, &sel);
	if (sel.step_n == 0)
		tell(t, "connector", S("-"), false, "the configuration has no send connectors");
	if (sel.result != SELECT_OK) {
		out->held = sel.result == SELECT_HOLD;
		out->reply = sel.reply;
		tell(t, "way out", sel.send != NULL ? sel.send->name : S("-"), false, "%s: " STR_FMT,
		     out->held ? "the message is kept until there is one" : "refused", STR_ARG(sel.reply.text));
		return;
	}
	out->connector = sel.send->name;
	tell_tls(t, route, sel.send);
}

/* ---- what happens to its header ---- */

static void tell_header_line(void *arg, const char *direction, struct str name, const char *says)
{
	tell(arg, direction[0] == 'i' ? "header in" : "header out", name, false, "%s", says);
}

static int tell_headers(struct telling *t, const struct attribution *att, struct err *e)
{
	const struct config *c = t->config;
	const struct conf_send *send = NULL;
	const unsigned perms = t->caller.receive->perms;
	bool ours = header_sender_ours(c, t->q->from);

	for (size_t i = 0; i < c->send_n; i++)
		if (str_eq(c->sends[i].name, t->out->connector))
			send = &c->sends[i];
	enum header_trust trust = header_trust_of(att, perms);
	struct headers_told h = { .in = { .trust = trust, .cloud_mail = perms & PERM_CLOUD_MAIL, .sender_ours = ours },
				  .own = c->hostname,
				  .send = send,
				  .header = t->q->header,
				  .header_max = c->limits.header_max };

	if (send != NULL)
		h.added = (struct header_added){ .trust = trust,
						 .sender_ours = ours,
						 .set_scl = send->set_scl,
						 .gateway = send->fqdn,
						 .org = send->xoorg };
	if (!explain_headers(&h, t->arena, tell_header_line, t))
		return err_set(e, ERR_TOO_BIG, "explain", "--headers: larger than limits.header_max");
	return 0;
}

static void tell_reply(struct telling *t)
{
	struct reply *r = &t->out->reply;
	char code[40];

	tell_why_not_send(t, NULL); /* unless it has been told */
	if (r->code == 0)
		*r = REPLY(250, 2, 1, 5, "ok");
	r->text = keep(t, r->text); /* some views die with the attribution */
	if (r->class != 0)
		snprintf(code, sizeof code, "%d %d.%d.%d", r->code, r->class, r->subject, r->detail);
	else
		snprintf(code, sizeof code, "%d", r->code);
	tell(t, "reply", str_c(code), false, STR_FMT, STR_ARG(r->text));
}

/* ---- the story ---- */

static void tell_mode(struct telling *t, const struct routing_view *view, const struct mode *asked)
{
	const struct mode *m = asked != NULL ? asked : &view->mode;

	t->out->mode = *m;
	t->out->serial = view->serial;
	tell(t, "mode", str_c(mode_name(m)), false, "mx=%s cmt=%s, %s, epoch %llu; recipient table %llu%s",
	     m->mx == SIDE_CLOUD ? "cloud" : "onprem", m->cmt ? "on" : "off",
	     asked != NULL ? "as asked"
	     : view->past  ? "in force then"
			   : "in force",
	     (unsigned long long)view->mode.epoch, (unsigned long long)view->serial,
	     view->stale ? ", which is STALE: strangers are answered 451 4.3.0, our own wait" : "");
}

static void tell_time(struct telling *t, const struct routing_view *view)
{
	struct buf when;

	if (!view->past)
		return;
	buf_init(&when, 64);
	time_put_iso(&when, view->now_ms);
	tell(t, "time", buf_str(&when), false,
	     "mode and recipients as they were then; domains, connectors and policies as they are now");
	buf_fini(&when);
}

static int route_recipient(struct telling *t, struct routing_view *view, const struct attribution *att, struct err *e)
{
	const struct explain_query *q = t->q;
	const struct addr_rules rules = { .smtputf8 = true, .relaxed = true };
	struct mode asked = view->mode;
	struct route_query rq = { .origin = att->origin, .class = att->class, .org = att->org, .dry = true };
	struct route_trace trace = { .n = 0 };
	struct route route = { 0 };
	struct addr rcpt;

	if (addr_parse(q->rcpt, &rules, &rcpt) != ADDR_OK)
		return err_set(e, ERR_SYNTAX, "explain", "RCPT is not a mailbox address like user@example.com");
	asked.mx = q->mx;
	asked.cmt = q->cmt;
	rq.rcpt = &rcpt;
	rq.client = &t->caller.client;
	rq.null_sender = q->from.n == 0;
	rq.sender = q->from;
	rq.srs = q->srs;
	rq.mode = q->has_mode ? &asked : NULL;
	rq.token_seen = q->token_seen;
	rq.redirected = q->redirected;
	if (q->class != ENV_CLASS_NONE)
		rq.class = q->class;
	if (att->inbound != NULL) {
		rq.return_internal = att->inbound->return_internal;
		rq.peer_relay = att->inbound->peer_relay;
	}
	tell_mode(t, view, rq.mode);
	tell_time(t, view);
	if (!routing_route(view, &rq, t->arena, &route, &trace, e))
		return -1;
	if (view->forgotten)
		tell(t, "time", S("-"), false, "what was there may be older than the history that is kept");
	tell_resolution(t, &route);
	tell_decision(t, &route, &trace, att->origin);
	if (route.verdict.action == ROUTE_RELAY || route.verdict.action == ROUTE_DELIVER) {
		tell_way(t, &route);
		tell_selection(t, &route);
		if (tell_headers(t, att, e) != 0)
			return -1;
	}
	tell_reply(t);
	return 0;
}

int explain(const struct config *c, struct routing *r, const struct explain_query *q, struct arena *arena,
	    void (*line)(void *arg, const struct explain_line *l), void *arg, struct explain_result *out, struct err *e)
{
	struct telling t = { .config = c, .q = q, .arena = arena, .line = line, .arg = arg, .out = out };
	const struct conf_receive *receive;
	struct net_addr client;
	struct attribution att = { 0 };
	struct routing_view view;
	int failed;

	must(line != NULL && out != NULL);
	*out = (struct explain_result){ 0 };
	if (find_why_not(&t, e) != 0 || find_client(&t, &client, &receive, e) != 0)
		return -1;
	if (receive == NULL) {
		tell(&t, "receive", S("-"), false, "no receive connector is for this client: it is turned away");
		out->reply = REPLY(554, 5, 7, 1, "no receive connector is open to your address");
		tell_reply(&t);
		return 0;
	}
	tell_receive(&t, &client, receive);
	make_caller(&t, &client, receive);
	tell_certificate(&t);
	attribute(t.config, &t.caller, &att);
	tell_attribution(&t, &att);
	tell_why_not_inbound(&t, &att);
	if (turned_away(&t, receive, &att)) {
		tell_reply(&t);
		return 0;
	}
	if ((q->at_ms > 0 ? routing_begin_at(r, q->at_ms, &view, e) : routing_begin(r, &view, e)) != 0)
		return -1;
	failed = route_recipient(&t, &view, &att, e);
	routing_end(&view);
	return failed;
}
