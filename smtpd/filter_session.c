/* smtpd/filter_session.c: the session's side of its content filters; see the header. */
#include "smtpd/filter_session.h"

static enum step step_filter(struct session *s)
{
	(void)s;
	return STEP_WAIT;
}

const struct state state_filter = { "filter", step_filter };

static void on_filtered(struct op *op)
{
	struct filters *f = container_of(op, struct filters, op);
	struct session *s = f->session;

	s->wait = NULL;
	session_enter(s, &state_command);
	session_go_on(s, s->filtered(s));
}

enum step session_filter(struct session *s, enum milter_stage stage, struct str detail,
			 enum step (*then)(struct session *))
{
	s->filtered = then;
	if (filters_ask(s->filters, stage, detail, on_filtered))
		return then(s);
	session_enter(s, &state_filter);
	s->wait = &s->filters->op;
	return STEP_WAIT;
}

enum step session_filter_reply(struct session *s)
{
	if (s->filters->verdict.end == FILTER_CLOSE)
		session_end(s, &s->filters->verdict.reply);
	else
		session_reply(s, &s->filters->verdict.reply);
	return STEP_NEXT;
}

void session_filter_over(struct session *s)
{
	if (s->filters != NULL && transaction_is_open(&s->tx))
		filters_message_over(s->filters);
}
