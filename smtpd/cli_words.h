/* smtpd/cli_words.h: what was typed: `tombolo NOUN VERB [arguments] [--json] [--socket PATH] ...`.
 *
 * Knows: the verb table.  Must not know: sockets, printing of answers. */
#ifndef SMTPD_CLI_WORDS_H
#define SMTPD_CLI_WORDS_H

#include "smtpd/control_call.h"

#define CLI_SOCKET "/run/tombolo/control"
#define CLI_CONFIG "/etc/tombolo/tombolo.conf"

struct cli_words {
	const struct verb *verb; /* NULL: none was given (help, or nothing at all) */
	json_t *args;            /* checked; as the protocol wants them */
	const char *socket, *config;
	bool json, offline, help, postfix;
};

void cli_words_init(struct cli_words *w); /* the defaults; $TOMBOLO_CONTROL */
void cli_words_fini(struct cli_words *w);

/* `words` ends with NULL after n; its order is changed.  0, or -1 with ERR_SYNTAX: what is wrong. */
int cli_words_parse(struct cli_words *w, int n, char **words, struct err *e);

/* smtpd/cli_help.c */
void cli_print_usage(FILE *out);
void cli_print_verb_help(FILE *out, const struct verb *v);

#endif
