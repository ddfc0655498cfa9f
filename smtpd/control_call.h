/* smtpd/control_call.h: one command of the control protocol: its row in the verb table, its arguments, its answer.
 *
 *   {"cmd": ["queue", "list"], "args": {"to": "@x.example"}}  ->  verb_find, args_check  ->  verb->run(call)
 *   run: (call_row | call_text)* call_end                          on the loop, on the worker, or inside `tombolo`
 *
 * The table is the whole protocol: the daemon dispatches and checks by it, `tombolo` parses its command line and prints
 * its help by it.  Arguments come from outside: args_check refuses what the table does not name, control bytes and
 * wrong types, before any handler runs; so the args_ readers below cannot fail.
 * Knows: JSON (jansson).  Must not know: sockets, tables on a terminal.
 * Threads: a call belongs to one thread at a time. */
#ifndef SMTPD_CONTROL_CALL_H
#define SMTPD_CONTROL_CALL_H

#include "smtpd/control.h"

#include <jansson.h>

enum { CALL_OK = 0, CALL_NOTHING = 1, CALL_USAGE = 2, CALL_PARTLY = 3, CALL_UNREACHABLE = 75 };

enum { ARG_TEXT_MAX = 1024, ARG_LIST_MAX = 500 };

enum arg_kind {
	ARG_FLAG,    /* true | false */
	ARG_VIEW,    /* a flag for `tombolo` alone (how to print); never sent */
	ARG_TEXT,    /* no control bytes, at most ARG_TEXT_MAX bytes */
	ARG_ADDRESS, /* a mailbox "local@domain" */
	ARG_FILE,    /* made absolute by `tombolo` */
	ARG_LIST,    /* texts; an option may be repeated */
	ARG_COUNT,   /* "12" or 12 */
	ARG_SPAN,    /* "2h" */
	ARG_BYTES,   /* "12M" or 12582912 */
};

enum arg_place { ARG_OPTION, ARG_MUST, ARG_MAY, ARG_REST }; /* --name | the next word, needed or not | all words left */

struct verb_arg { /* a list of them ends with name == NULL */
	const char *name;
	enum arg_kind kind;
	enum arg_place place;
	const char *meta; /* what stands for the value in the help: "ADDRESS" */
	const char *help;
};

enum verb_where { VERB_LOOP, VERB_WORKER, VERB_LOCAL }; /* LOCAL: inside `tombolo`, the daemon refuses it */

enum {
	VERB_OPERATOR = 1 << 0, /* changes things */
	VERB_OFFLINE = 1 << 1,  /* may run inside `tombolo --offline -c FILE` */
	VERB_STORE = 1 << 2,    /* and needs the recipient table there */
	VERB_QUEUE = 1 << 4,    /* VERB_OFFLINE, on a queue that no gateway has open */
	VERB_FILES = 1 << 3,    /* LOCAL, on the files of the configuration (unless it is given others: --track) */
};

struct call;

struct verb {
	const char *noun, *name;
	unsigned flags;
	enum verb_where where;
	void (*run)(struct call *c);
	const struct verb_arg *args; /* NULL = none */
	const char *help;
};

extern const struct verb control_verbs[]; /* smtpd/control_verbs.c */
extern const size_t control_verb_n;

const struct verb *verb_find(const char *noun, const char *name);
const char *verb_arg_meta(const struct verb_arg *a);

/* ---- arguments ---- */

/* 0, or -1 with ERR_SYNTAX saying which argument is wrong and what is allowed. */
int args_check(const struct verb *v, json_t *args, struct err *e);

bool args_flag(const struct call *c, const char *name);
struct str args_text(const struct call *c, const char *name); /* empty when not given; lives as long as the call */
bool args_has(const struct call *c, const char *name);
struct str args_reason(const struct call *c); /* of any verb; empty when it has none, or none was given */
uint64_t args_number(const struct call *c, const char *name, uint64_t otherwise); /* COUNT, BYTES; SPAN in ms */
size_t args_list_n(const struct call *c, const char *name);
struct str args_list_at(const struct call *c, const char *name, size_t i);

/* ---- a call ---- */

struct call {
	const struct verb *verb;
	json_t *args;
	const struct control_hooks *hooks;
	struct config *config; /* one reference, taken when the call began; NULL only for VERB_LOCAL */

	/* the carrier's: where lines go, and that the answer is complete */
	void (*emit)(struct call *c, struct str line); /* one JSON object and '\n' */
	void (*finished)(struct call *c);     /* from call_end on the loop; NULL = the carrier looks at `ended` */
	bool (*choked)(const struct call *c); /* the reader is slow; NULL = never */
	void (*to_worker)(struct call *c, void (*run)(struct call *), void (*then)(struct call *)); /* call_to_worker */
	void *carrier;
	unsigned uid; /* whose order it is */

	/* the handler's, on the loop only: goes on when the reader caught up; the reader is gone: cancel and free
	 * `state` */
	void (*resume)(struct call *c);
	void (*drop)(struct call *c);
	void *state;

	int file; /* >= 0: a file to be sent after the rows, as it is; the carrier closes it */
	bool ended;
	int exit;
	char error[480];
};

/* Takes `args` and the reference to `config`. */
void call_init(struct call *c, const struct verb *v, json_t *args, const struct control_hooks *h,
	       struct config *config);
void call_fini(struct call *c); /* runs drop when the handler still has state */

void call_row(struct call *c, json_t *row); /* takes the row */
void call_text(struct call *c, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void call_lines(struct call *c, struct str text); /* one text line for each line of it */

/* Once, last.  `fmt` may be NULL: no error text; with CALL_OK it is a note.  On the loop the call may be gone after it.
 */
void call_end(struct call *c, int code, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void call_end_err(struct call *c, int code, const struct err *e);

/* From a handler on the loop, as its last act: run(c) on the worker; unless that ended the call, then(c) on the loop.
 * `then` may be NULL: run ends it.  A reader that left in between: `then` never comes, drop(c) does. */
void call_to_worker(struct call *c, void (*run)(struct call *), void (*then)(struct call *));

/* ---- JSON from values that may hold any bytes ---- */

json_t *json_of_str(struct str s); /* bytes that are not UTF-8, and NUL, become '?' */
void row_str(json_t *row, const char *key, struct str s);
void row_c(json_t *row, const char *key, const char *s);
void row_int(json_t *row, const char *key, int64_t v);
void row_uint(json_t *row, const char *key, uint64_t v);
void row_bool(json_t *row, const char *key, bool v);

#endif
