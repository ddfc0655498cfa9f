/* smtpd/commands.h: the verb table.  One row is one rule, and the table dispatches; there is no second switch. */
#ifndef SMTPD_COMMANDS_H
#define SMTPD_COMMANDS_H

#include "smtpd/session.h"

struct command {
	enum verb verb;
	unsigned allowed; /* IN_* */
	bool ends_group;  /* nothing may be pipelined behind it (RFC 2920 3.1) */
	/* Pure: may it be done now, with these arguments?  False with the reply.  NULL = no question. */
	bool (*check)(const struct session *s, struct str args, struct reply *r);
	enum step (*run)(struct session *s, struct str args); /* effects; replies itself */
};

enum step command_dispatch(struct session *s, struct str line);

/* cmd_hello.c */
bool check_hello(const struct session *s, struct str args, struct reply *r);
enum step run_ehlo(struct session *s, struct str args);
enum step run_helo(struct session *s, struct str args);
bool check_starttls(const struct session *s, struct str args, struct reply *r);
enum step run_starttls(struct session *s, struct str args);
enum step run_noop(struct session *s, struct str args);
enum step run_rset(struct session *s, struct str args);
enum step run_quit(struct session *s, struct str args);
enum step run_vrfy(struct session *s, struct str args);
/* cmd_mail.c */
bool check_mail(const struct session *s, struct str args, struct reply *r);
enum step run_mail(struct session *s, struct str args);
bool check_rcpt(const struct session *s, struct str args, struct reply *r);
enum step run_rcpt(struct session *s, struct str args);
/* cmd_data.c */
bool check_data(const struct session *s, struct str args, struct reply *r);
enum step run_data(struct session *s, struct str args);
enum step run_bdat(struct session *s, struct str args);

#endif
