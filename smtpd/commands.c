/* smtpd/commands.c: the verb table and its dispatch. */
#include "smtpd/commands.h"

#include "smtpd/filter_session.h"

static const struct command commands[] = {
	/* verb          allowed in                        ends     pure: state and syntax  effects */
	{ VERB_EHLO, IN_ANY & ~(unsigned)IN_BDAT, true, check_hello, run_ehlo },
	{ VERB_HELO, IN_ANY & ~(unsigned)IN_BDAT, true, check_hello, run_helo },
	{ VERB_MAIL, IN_READY, false, check_mail, run_mail },
	{ VERB_RCPT, IN_MAIL | IN_RCPT, false, check_rcpt, run_rcpt },
	{ VERB_DATA, IN_MAIL | IN_RCPT, true, check_data, run_data },
	{ VERB_BDAT, IN_ANY, false, NULL, run_bdat },
	{ VERB_RSET, IN_ANY, false, NULL, run_rset },
	{ VERB_NOOP, IN_ANY, false, NULL, run_noop },
	{ VERB_QUIT, IN_ANY, false, NULL, run_quit },
	{ VERB_VRFY, IN_ANY & ~(unsigned)IN_BDAT, false, NULL, run_vrfy },
	{ VERB_STARTTLS, IN_READY, true, check_starttls, run_starttls },
};
enum { COMMAND_N = sizeof commands / sizeof commands[0] };

static const struct command *command_find(enum verb v)
{
	for (size_t i = 0; i < COMMAND_N; i++)
		if (commands[i].verb == v)
			return &commands[i];
	return NULL;
}

static bool is_known(enum verb v)
{
	return v == VERB_EXPN || v == VERB_HELP || v == VERB_AUTH;
}

static enum step refuse(struct session *s, struct reply r)
{
	session_error(s);
	session_reply(s, &r);
	return STEP_NEXT;
}

static enum step unknown_filtered(struct session *s)
{
	session_error(s);
	if (session_is_filtered_out(s))
		return session_filter_reply(s);
	session_reply(s, &s->held);
	return STEP_NEXT;
}

static enum step refuse_unknown(struct session *s, const struct cmd *cmd, struct str line)
{
	s->held = is_known(cmd->verb) ? REPLY(502, 5, 5, 1, "command not implemented")
				      : REPLY(500, 5, 5, 2, "command not recognised");
	if (s->filters != NULL)
		return session_filter(s, MILTER_AT_UNKNOWN, line, unknown_filtered);
	return refuse(s, s->held);
}

static struct reply out_of_sequence(const struct session *s)
{
	switch (s->phase) {
	case IN_START:
		return REPLY(503, 5, 5, 1, "say EHLO first");
	case IN_READY:
		return REPLY(503, 5, 5, 1, "say MAIL first");
	case IN_BDAT:
		return REPLY(503, 5, 5, 1, "a message is being sent with BDAT");
	default:
		return REPLY(503, 5, 5, 1, "a transaction is open already");
	}
}

/* A client that goes on talking where it must wait for us is refused (RFC 2920 3.1): half of the smuggling tricks need
 * it. */
static enum step refuse_pipelining(struct session *s)
{
	log_info(&s->log, "session.bad_pipelining", kv_c("client", s->client_text));
	session_error(s);
	session_filter_over(s);
	transaction_reset(&s->tx);
	session_reply(s, &REPLY(554, 5, 5, 0, "improper command pipelining"));
	session_enter(s, &state_closing);
	return STEP_NEXT;
}

enum step command_dispatch(struct session *s, struct str line)
{
	struct cmd cmd;
	struct reply why = { 0 };

	cmd_parse(line, &cmd);
	const struct command *c = command_find(cmd.verb);
	if (c == NULL)
		return refuse_unknown(s, &cmd, line);
	if (!(c->allowed & s->phase))
		return refuse(s, out_of_sequence(s));
	if (c->ends_group && s->stream.in_n > line.n + 2)
		return refuse_pipelining(s);
	if (c->check != NULL && !c->check(s, cmd.args, &why))
		return refuse(s, why);
	return c->run(s, cmd.args);
}
