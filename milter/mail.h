/* milter/mail.h: one message as an MTA tells it to its filter, and what the filter tells the MTA to do with it.
 *
 *   mail_connect -> mail_helo -> (mail_begin -> mail_rcpt* -> mail_field* -> mail_orders)*
 *
 * The MTA counts fields of a name from 1 and names the recipients as it was given them; tombolod knows fields by their
 * place among all and recipients by their place in the question.  Here the one becomes the other.
 *
 * Pure: knows nothing of libmilter, sockets or clocks.  Any bytes may come: what no question can hold is refused
 * (mail.refused), what would break the form of a header is made harmless before it is judged. */
#ifndef MILTER_MAIL_H
#define MILTER_MAIL_H

#include "wire/decide.h"

enum { MAIL_ARENA_MAX = 16 * 1024 * 1024, MAIL_FIELDS_MAX = 5000, MAIL_ARGS_MAX = 1000 };

struct mail_rcpt {
	struct str given; /* "<anna@contoso.com>", as the MTA has it */
	struct str address;
	struct str notify, orcpt; /* ESMTP parameters, "NOTIFY=..."; empty: none */
};

struct mail_tls { /* the MTA's macros; NULL: it says nothing */
	const char *version, *verify, *cert_subject, *cn_subject, *mta;
};

struct mail {
	/* of the connection */
	struct arena session;
	struct str client, helo, certificate, login;
	bool secured;
	/* of the message */
	struct arena arena;
	struct str id, from;
	struct mail_rcpt *rcpts;
	size_t rcpt_n, rcpt_cap;
	struct str *names; /* of the fields, as the MTA gave them */
	size_t field_n, field_cap;
	struct buf header;    /* the fields as they are asked about */
	struct reply refused; /* code 0: nothing is wrong */
};

void mail_init(struct mail *m);
void mail_fini(struct mail *m);

/* `ip` empty: on the machine itself. */
void mail_connect(struct mail *m, struct str ip);
void mail_helo(struct mail *m, struct str helo);
/* A certificate counts when the MTA says that its chain is good: Sendmail by {verify}, Postfix by naming it at all. */
void mail_tls(struct mail *m, const struct mail_tls *t);
/* Also forgets the message before.  `given` is "<a@b>" or "a@b"; `login` empty: nobody. */
void mail_begin(struct mail *m, struct str id, struct str given, struct str login);
/* `args`: the ESMTP parameters, NULL at the end. */
void mail_rcpt(struct mail *m, struct str given, char *const *args);
void mail_forget_rcpt(struct mail *m); /* the last one was not taken */
/* `value` as it stands behind the colon, its blank included, lines split by LF. */
void mail_field(struct mail *m, struct str name, struct str value);

/* About the sender; about its last recipient; about all of it.  `room` holds the list of recipients. */
void mail_ask_sender(const struct mail *m, struct decide_question *q);
void mail_ask_rcpt(const struct mail *m, struct decide_question *q);
bool mail_ask_whole(struct mail *m, struct decide_question *q); /* false: no memory */

enum mail_order_kind { ORDER_STRIP, ORDER_ADD, ORDER_RCPT_GONE, ORDER_RCPT_NEW };

struct mail_order { /* texts end with NUL, for libmilter */
	enum mail_order_kind kind;
	const char *name;  /* STRIP, ADD: of the field; else the recipient */
	int index;         /* STRIP: which of that name, from 1 */
	const char *value; /* ADD; RCPT_NEW: ESMTP parameters, NULL = none */
};

struct mail_orders {
	const struct mail_order *v;
	size_t n;
	bool nobody; /* no recipient is left, and nobody is to be told */
};

/* In an order in which each is right when those before it are done: fields are taken out from the last one on, new
 * recipients come before old ones go.  False: the answer is not one to what was asked, or no memory. */
bool mail_orders(struct mail *m, const struct decide_answer *a, struct mail_orders *out);

#endif
