/* smtpd/cli_ask.h: commands that are made of several questions: each goes to the daemon over its socket, or, offline,
 * to the same handler over a queue that is opened for that one question.
 *
 * Knows: the protocol.  Must not know: what the answers mean. */
#ifndef SMTPD_CLI_ASK_H
#define SMTPD_CLI_ASK_H

#include "smtpd/control_call.h"

struct cli_asker {
	const char *socket;
	struct config *offline; /* NULL: there is a daemon */
};

struct cli_answer {
	int exit; /* CALL_UNREACHABLE: no daemon, or it hung up; `error` says so */
	char error[480];
};

/* The handler of `v` (VERB_QUEUE) here, over the queue of that configuration, which no gateway may have open and which
 * must belong to our user: what opening writes would else be nobody's that the gateway is.  `line` gets each line of
 * the answer but the last.  Returns a->exit. */
int cli_run_offline(struct config *conf, const struct verb *v, json_t *args, void (*line)(void *arg, struct str line),
		    void *arg, struct cli_answer *a);

/* Takes `args`.  `row` may be NULL; a row lives until it returns.  Returns a->exit. */
int cli_ask(const struct cli_asker *k, const char *noun, const char *name, json_t *args,
	    void (*row)(void *arg, const json_t *row), void *arg, struct cli_answer *a);

#endif
