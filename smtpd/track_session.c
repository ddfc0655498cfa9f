/* smtpd/track_session.c: RECEIVE and FAIL, as the session sees them. */
#include "smtpd/track_session.h"

#include "base/time.h"

/* What all events of a session have in common.  `tls` must outlive the event. */
static struct track_event event_of(const struct session *s, enum track_kind kind, struct track_tls *tls)
{
	const struct envelope *env = &s->tx.env;
	const struct tls_peer *peer = s->secured ? tls_peer(&s->stream) : NULL;
	const struct conf_receive *r = s->receive;
	bool proved = str_starts(s->who.how, S("cert:"));

	if (peer != NULL)
		*tls = (struct track_tls){ .version = peer->protocol,
					   .cipher = peer->cipher,
					   .level = str_c(conf_tls_level_name(proved           ? TLS_DOMAIN
									      : peer->chain_ok ? TLS_VALIDATE
											       : TLS_ENCRYPT)),
					   .matched = proved ? str_skip(s->who.how, 5) : STR_NONE,
					   .sha256 = peer->sha256 };
	return (struct track_event){ .kind = kind,
				     .source = TRACK_BY_SMTP,
				     .client = str_c(s->client_text),
				     .client_host = s->helo,
				     .server_host = session_our_name(s),
				     .connector = r->name,
				     .inbound = s->who.inbound != NULL ? s->who.inbound->name : STR_NONE,
				     .how = s->who.how,
				     .message_id = s->tx.ident.message_id,
				     .trace = env->trace_id,
				     .subject = s->tx.ident.subject,
				     .from = env->from,
				     .tenant = env->xorg,
				     .has_origin = true,
				     .origin = env->origin,
				     .class = env->class,
				     .org = env->org,
				     .epoch = env->epoch,
				     .serial = env->serial,
				     .mode = env->epoch > 0 ? &s->tx.mode : NULL,
				     .tls = peer != NULL ? tls : NULL };
}

void session_track_received(struct session *s)
{
	struct track_tls tls;

	if (s->server->track == NULL)
		return;
	struct track_event e = event_of(s, TRACK_RECEIVE, &tls);
	e.queue_id = s->commit.id;
	e.rcpts = s->tx.env.rcpts;
	e.rcpt_n = s->tx.env.rcpt_n;
	e.size = s->tx.size;
	e.headers = &s->tx.headers;
	e.context = s->tx.judged;
	e.receive_ms = clock_wall_ms() - s->tx.env.arrived_ms;
	track_event(s->server->track, session_config(s), &e);
}

void session_track_refused_rcpt(struct session *s, struct str rcpt, const struct verdict *v, const struct reply *r)
{
	struct track_tls tls;

	if (s->server->track == NULL)
		return;
	struct track_event e = event_of(s, TRACK_FAIL, &tls);
	e.rcpt = rcpt;
	e.status = r;
	e.rule = v->rule;
	e.reason = v->reason;
	track_event(s->server->track, session_config(s), &e);
}

void session_track_discarded(struct session *s)
{
	struct track_tls tls;

	if (s->server->track == NULL)
		return;
	struct track_event e = event_of(s, TRACK_FAIL, &tls);
	e.rcpts = s->tx.env.rcpts;
	e.rcpt_n = s->tx.env.rcpt_n;
	e.size = s->tx.size;
	e.status = &REPLY(250, 2, 0, 0, "ok");
	e.context = S("discarded by a content filter");
	e.rule = e.reason = "FILTER";
	track_event(s->server->track, session_config(s), &e);
}

void session_track_refused(struct session *s, const struct reply *r)
{
	struct track_tls tls;

	if (s->server->track == NULL || s->tx.env.rcpt_n == 0)
		return;
	struct track_event e = event_of(s, TRACK_FAIL, &tls);
	e.rcpts = s->tx.env.rcpts;
	e.rcpt_n = s->tx.env.rcpt_n;
	e.size = s->tx.size;
	e.status = r;
	e.context = s->tx.judged;
	e.rule = s->tx.verdict_rule.rule;
	e.reason = s->tx.verdict_rule.reason;
	track_event(s->server->track, session_config(s), &e);
}
