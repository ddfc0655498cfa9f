/* wire/decide.h: what tombolo-milter asks tombolod about a message in another MTA's hands, and what it hears.
 *
 *   question: one client, one sender; recipients when they are known; the header when all of it is there
 *   answer:   taken or refused; for each recipient the same, and the addresses it is replaced by; fields to take out
 *             and to put in; whether the message is to be held
 *
 * Both are a run of netstrings (wire/netstring.h), each a letter and a value; letters that are not known are passed
 * over, so that an older tombolo-milter and a newer tombolod understand each other.  The map "decide" of the socketmap
 * server carries them.  Each question stands for itself: nothing is remembered between two, so either side may be
 * restarted at any time.
 *
 * Pure.  Parsed structs are views into the text they were read from; lists live in the arena. */
#ifndef WIRE_DECIDE_H
#define WIRE_DECIDE_H

#include "base/arena.h"
#include "base/buf.h"
#include "wire/reply.h"

enum {
	DECIDE_MAX = 4 * 1024 * 1024,        /* bytes of a question or an answer */
	DECIDE_HEADER_MAX = 1024 * 1024,     /* bytes of a header that is asked about */
	DECIDE_RCPTS_MAX = 10000,            /* in a question; addresses in an answer */
	DECIDE_TEXT_MAX = 2000,              /* of a value but the header */
	DECIDE_ARENA_MAX = 16 * 1024 * 1024, /* for either side's lists */
};

struct decide_question {
	struct str id;     /* by which log lines and replies name the message */
	struct str client; /* "192.0.2.1"; empty: the machine itself */
	struct str helo;
	struct str from; /* empty: null sender */
	bool secured;
	struct str certificate; /* a name of the client's certificate, whose chain the MTA found good; empty = none */
	struct str login;       /* who authenticated; empty = nobody */
	const struct str *rcpts;
	size_t rcpt_n;
	bool whole;        /* the header is there, with all recipients that were taken */
	struct str header; /* fields with CRLF, as they came; no empty line behind them */
};

/* False: the buffer is full, or a value is longer than may be or has control bytes. */
bool decide_question_put(struct buf *out, const struct decide_question *q);
/* False: it is none, or the arena is full. */
bool decide_question_parse(struct str in, struct arena *a, struct decide_question *out);

enum decide_action { DECIDE_KEEP, DECIDE_REPLACE, DECIDE_REFUSE, DECIDE_DROP };

struct decide_rcpt { /* in the order of the question */
	enum decide_action action;
	struct str reply;     /* REFUSE: "550 5.1.1 no such mailbox" */
	const struct str *to; /* REPLACE: at least one */
	size_t to_n;
};

struct decide_field {
	struct str name, value; /* the value as it stands behind the colon, its blank included, without the last CRLF */
};

struct decide_answer {
	struct str reply; /* refuses all; empty: taken */
	const struct decide_rcpt *rcpts;
	size_t rcpt_n;
	const uint64_t *strip; /* fields to take out, counted from 0, rising */
	size_t strip_n;
	const struct decide_field *add; /* at the end, in this order */
	size_t add_n;
	struct str hold; /* quarantine it, and why; empty: no */
};

bool decide_answer_put(struct buf *out, const struct decide_answer *a); /* false: the buffer is full */
bool decide_answer_parse(struct str in, struct arena *a, struct decide_answer *out);

/* A reply as it stands in an answer.  Control bytes and "%", which libmilter takes for its own, become "?"; put: one
 * line.  parse: false unless it is a code 4xx or 5xx; without an enhanced code class is 0. */
void decide_reply_put(struct buf *out, const struct reply *r);
bool decide_reply_parse(struct str s, struct reply *out);

#endif
