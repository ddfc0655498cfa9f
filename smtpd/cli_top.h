/* smtpd/cli_top.h: `tombolo top`: what the daemon does, now and now again, with rates between two looks. */
#ifndef SMTPD_CLI_TOP_H
#define SMTPD_CLI_TOP_H

#include "smtpd/cli_words.h"

/* One answer of the daemon: the rows of a command, an array; NULL when it cannot be had. */
typedef json_t *(*top_ask)(void *arg, const char *noun, const char *name);

struct top { /* the look before */
	json_t *status, *hops;
	int64_t at_ms;
};

/* Asks, and adds one screen of text to `out`; rates are by the time since the look before.  False: no answer. */
bool top_frame(struct top *t, top_ask ask, void *arg, int64_t now_ms, struct buf *out);
void top_fini(struct top *t);

/* The command: a screen each interval until the count is reached, or the daemon or the terminal goes away.  Exit code.
 */
int cli_top(const struct cli_words *w);

#endif
