/* smtpd/cmd_hello.c: EHLO, HELO, STARTTLS, and the small ones: NOOP, RSET, QUIT, VRFY. */
#include "smtpd/commands.h"

#include "smtpd/filter_session.h"
#include "smtpd/policy.h"
#include "wire/ehlo.h"

bool check_hello(const struct session *s, struct str args, struct reply *r)
{
	(void)s;
	if (addr_is_helo(args))
		return true;
	*r = REPLY(501, 5, 5, 4, "a host name or address literal is wanted");
	return false;
}

static bool hello(struct session *s, struct str args, bool esmtp)
{
	session_filter_over(s);
	transaction_reset(&s->tx);
	if (!arena_dup(&s->arena, args, &s->helo)) {
		session_reply(s, &REPLY(421, 4, 3, 1, "too much was said on this connection"));
		session_enter(s, &state_closing);
		return false;
	}
	s->esmtp = esmtp;
	s->phase = IN_READY;
	s->junk++;
	return true;
}

static enum step answer_ehlo(struct session *s)
{
	struct ehlo e = {
		.caps = EHLO_PIPELINING | EHLO_SIZE | EHLO_8BITMIME | EHLO_SMTPUTF8 | EHLO_ENHANCEDSTATUSCODES |
			EHLO_CHUNKING | EHLO_DSN,
		.size = policy_size_max(session_config(s), s->receive),
	};

	if (!s->secured && setup_tls(s->setup, s->receive) != NULL)
		e.caps |= EHLO_STARTTLS;
	if (policy_offers_xoorg(&s->who))
		e.caps |= EHLO_XOORG;
	ehlo_put(stream_out(&s->stream), &e, session_our_name(s), s->helo);
	stream_flush_later(&s->stream);
	return STEP_NEXT;
}

static enum step answer_helo(struct session *s)
{
	session_reply(s, &(struct reply){ .code = 250, .text = session_our_name(s) });
	return STEP_NEXT;
}

static enum step hello_filtered(struct session *s)
{
	if (!session_is_filtered_out(s))
		return s->esmtp ? answer_ehlo(s) : answer_helo(s);
	s->helo = STR_NONE;
	s->phase = IN_START;
	return session_filter_reply(s);
}

static enum step filter_greeting(struct session *s)
{
	filters_hello(s->filters);
	return session_filter(s, MILTER_AT_HELO, STR_NONE, hello_filtered);
}

enum step run_ehlo(struct session *s, struct str args)
{
	if (!hello(s, args, true))
		return STEP_NEXT;
	return s->filters != NULL ? filter_greeting(s) : answer_ehlo(s);
}

enum step run_helo(struct session *s, struct str args)
{
	if (!hello(s, args, false))
		return STEP_NEXT;
	return s->filters != NULL ? filter_greeting(s) : answer_helo(s);
}

bool check_starttls(const struct session *s, struct str args, struct reply *r)
{
	if (args.n > 0)
		*r = REPLY(501, 5, 5, 4, "STARTTLS takes no parameter");
	else if (s->secured)
		*r = REPLY(503, 5, 5, 1, "TLS is on already");
	else if (setup_tls(s->setup, s->receive) == NULL)
		*r = REPLY(502, 5, 5, 1, "STARTTLS is not offered here");
	return r->code == 0;
}

enum step run_starttls(struct session *s, struct str args)
{
	(void)args;
	session_reply(s, &REPLY(220, 2, 0, 0, "go ahead"));
	session_enter(s, &state_starttls);
	return STEP_WAIT;
}

enum step run_noop(struct session *s, struct str args)
{
	(void)args;
	s->junk++;
	session_reply(s, &REPLY(250, 2, 0, 0, "ok"));
	return STEP_NEXT;
}

enum step run_rset(struct session *s, struct str args)
{
	if (args.n > 0) {
		session_error(s);
		session_reply(s, &REPLY(501, 5, 5, 4, "RSET takes no parameter"));
		return STEP_NEXT;
	}
	session_filter_over(s);
	transaction_reset(&s->tx);
	if (s->phase != IN_START)
		s->phase = IN_READY;
	s->junk++;
	session_reply(s, &REPLY(250, 2, 0, 0, "ok"));
	return STEP_NEXT;
}

enum step run_quit(struct session *s, struct str args)
{
	(void)args;
	session_reply(s, &REPLY(221, 2, 0, 0, "bye"));
	session_enter(s, &state_closing);
	return STEP_NEXT;
}

/* Tells nothing about who exists (RFC 5321 3.5.3, 7.3). */
enum step run_vrfy(struct session *s, struct str args)
{
	(void)args;
	s->junk++;
	session_reply(s, &REPLY(252, 2, 5, 0, "send mail to find out"));
	return STEP_NEXT;
}
