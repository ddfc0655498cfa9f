/* smtpd/filters.h: the content filters of a receive connector as one chain with one verdict (docs/MILTERS.md).
 *
 *   filters_new -> ask(connect) -> ask(helo) -> [ask(mail) -> ask(rcpt)* -> ask(data) -> ask(end) -> message_over]* ->
 * free
 *
 * Each question goes through the filters in order.  The content is in the spool by then: asked about the end, each
 * filter in turn hears header and body as the ones before it left them, and what they want changed is written anew in
 * one go when all have agreed (spool_rewrite).  A refusal, a discard or an end of the session by any of them ends the
 * chain.  A filter that fails gets its default action and, with the next message, another chance.
 * Owner: the session, which waits for one answer at a time.  Sessions without filters have none of this. */
#ifndef SMTPD_FILTERS_H
#define SMTPD_FILTERS_H

#include "connectors/milter_client.h"
#include "connectors/milter_edits.h"
#include "queue/queue.h"
#include "wire/body.h"
#include "wire/header.h"

struct session;

enum filter_end {
	FILTER_GO,
	FILTER_REFUSE,  /* answer `reply` */
	FILTER_DISCARD, /* end of message only: say 250 and forget it */
	FILTER_CLOSE,   /* answer `reply`, 421, and end the session */
};

struct filter_verdict {
	enum filter_end end;
	struct reply reply;
};

struct filter_slot { /* one filter and this session's conversation with it */
	const struct conf_milter *conf;
	struct milter_client *client; /* NULL: no connection yet */
	bool connect_said, helo_said, mail_said, data_said, eoh_said, body_said, told;
	bool off_session, off_message; /* it accepted: it wants to hear no more */
	bool down;                     /* failed: default action, until the message is over */
};

struct filters {
	struct session *session;
	struct op *asker; /* the session */
	struct op op;     /* of the session: what it waits for */
	struct op wait;   /* ours: what the chain waits for */
	bool starting, finished;
	struct filter_slot *slots;
	size_t slot_n, at; /* `at`: being asked */
	enum milter_stage stage;
	struct str detail; /* of MAIL, RCPT, UNKNOWN: the arguments as they came */
	struct filter_verdict verdict;
	struct buf text; /* of verdict.reply */

	/* the message; filters_content.c */
	struct arena arena;
	bool discard;    /* a filter said so before the end */
	struct buf hold; /* why it is to be held; empty: it is not */
	bool viewed;     /* header and envelope are in `view` */
	struct milter_view view;
	struct header_scan scan;
	uint64_t body_at; /* where the body begins in the spooled content */
	bool cannot_view;
	struct spool *body;  /* what stands for the body now; NULL: what was spooled */
	struct spool *fresh; /* what the filter being asked wants there */
	struct body_normal normal;
	struct body_scan fresh_scan;
	bool body_8bit;
	struct milter_wishes wishes;
	struct str reason;
	bool wants_hold;
	size_t field_at;
	uint64_t offset; /* of the next window in the body */
	struct str window;
	bool body_end;
	struct buf room; /* a field's value */
	struct lease_read read;
	struct rewrite rewrite;
	struct edit edit;
};

struct filters *filters_new(struct session *s); /* s->receive names filters */
void filters_free(struct filters **f);          /* at any time; what is open is cancelled */

/* True: the verdict is there.  False: it comes through f->op, once.  `detail` may go at once. */
bool filters_ask(struct filters *f, enum milter_stage stage, struct str detail, void (*done)(struct op *));
void filters_hello(struct filters *f);        /* before ask(helo): the client greets, perhaps again */
void filters_message_over(struct filters *f); /* accepted, refused or reset: nothing of it is heard any more */

/* ---- the parts ---- */

/* filters.c */
void filters_go_on(struct filters *f);
bool filters_failed(struct filters *f, struct filter_slot *slot, const char *why); /* true: the chain ends with it */
void filters_refuse(struct filters *f, struct reply r);
void filters_finish(struct filters *f, enum filter_end end);

/* filters_content.c */
enum filter_said { FILTER_SENT, FILTER_WAITS, FILTER_NOTHING };
/* The next packet of header, body and end for the filter, of which *stage says what it is. */
enum filter_said filters_say_content(struct filters *f, struct filter_slot *slot, enum milter_stage *stage);
bool filters_on_request(void *filter, const struct milter_answer_parts *a);
/* The filter agreed: its changes hold.  True: the chain ends. */
bool filters_apply(struct filters *f, struct filter_slot *slot);
/* All agreed: the message becomes what they made of it.  True: done; false: filters_finish follows. */
bool filters_write(struct filters *f);
void filters_content_begin(struct filters *f); /* before each filter */
void filters_content_reset(struct filters *f); /* the message is over */

/* filters_macros.c */
/* Writes the macros of a stage and what is asked there about the session. */
void filters_put_macros(struct filters *f, struct filter_slot *slot, enum milter_stage stage);
void filters_put_connect(struct filters *f, struct buf *out);
void filters_put_command(struct filters *f, enum milter_stage stage, struct buf *out);

#endif
