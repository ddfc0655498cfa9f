/* wire/milter.h: the packets between a mail server and its content filters (milter protocol, version 6; the numbers are
 * those of libmilter's mfdef.h).
 *
 *   | length (4, big-endian) of what follows | kind (1) | data |
 *
 * Texts in the data end in NUL.  Server -> filter: commands, each stage's macros before it.  Filter -> server: any
 * number of requests (they count at the end of the message only), then one verdict.  Both ways are here: the gateway
 * speaks the server's side, the filters of the tests the other one.
 * Decoders bear any input: views into it, never a byte outside; what is not exactly right is refused (hardening ML-1).
 */
#ifndef WIRE_MILTER_H
#define WIRE_MILTER_H

#include "base/buf.h"
#include "wire/reply.h"

enum {
	MILTER_VERSION_MIN = 2,
	MILTER_VERSION = 6, /* MILTER_QUIT_NC, and macros a filter may choose */
	MILTER_CHUNK = 65535,
	MILTER_PACKET_MAX = 1024 * 1024, /* kind and data; the largest size the protocol has a name for */
};

enum milter_command {
	MILTER_ABORT = 'A',
	MILTER_BODY = 'B',
	MILTER_CONNECT = 'C',
	MILTER_MACROS = 'D',
	MILTER_END = 'E', /* of the message */
	MILTER_HELO = 'H',
	MILTER_QUIT_NC = 'K', /* this client is done, the connection serves the next one */
	MILTER_HEADER = 'L',
	MILTER_MAIL = 'M',
	MILTER_EOH = 'N',
	MILTER_OPTIONS = 'O', /* both ways */
	MILTER_QUIT = 'Q',
	MILTER_RCPT = 'R',
	MILTER_DATA = 'T',
	MILTER_UNKNOWN = 'U', /* an SMTP command that nobody knows */
};

enum milter_answer {
	/* verdicts: one ends the stage */
	MILTER_ACCEPT = 'a',
	MILTER_CONTINUE = 'c',
	MILTER_DISCARD = 'd',
	MILTER_CONN_FAIL = 'f',
	MILTER_REJECT = 'r',
	MILTER_SKIP = 's', /* BODY: no more of it */
	MILTER_TEMPFAIL = 't',
	MILTER_REPLY = 'y', /* "550 5.7.1 text" */
	MILTER_SHUTDOWN = '4',
	/* neither */
	MILTER_PROGRESS = 'p', /* still busy */
	/* requests, at the end of the message */
	MILTER_ADD_RCPT = '+',
	MILTER_ADD_RCPT_PAR = '2',
	MILTER_DEL_RCPT = '-',
	MILTER_CHANGE_FROM = 'e',
	MILTER_ADD_HEADER = 'h',
	MILTER_INSERT_HEADER = 'i',
	MILTER_CHANGE_HEADER = 'm',
	MILTER_REPLACE_BODY = 'b', /* a chunk of it */
	MILTER_QUARANTINE = 'q',
};

/* Where in a conversation: the order of a session's commands. */
enum milter_stage {
	MILTER_AT_CONNECT,
	MILTER_AT_HELO,
	MILTER_AT_MAIL,
	MILTER_AT_RCPT,
	MILTER_AT_DATA,
	MILTER_AT_HEADER,
	MILTER_AT_EOH,
	MILTER_AT_BODY,
	MILTER_AT_END,
	MILTER_AT_UNKNOWN, /* at any time */
	MILTER_STAGES,
};
enum milter_command milter_stage_command(enum milter_stage s);
const char *milter_stage_name(enum milter_stage s); /* "connect", "end of message" */

/* ---- packets ---- */

struct milter_packet {
	char kind;
	struct str data;
};

/* Takes one packet off `in`.  Bytes used (> 0), 0 = more is needed, -1 = no packet will ever begin with these bytes. */
ssize_t milter_next(struct str in, struct milter_packet *out);

/* A packet is written between these two; `begin` gives what `end` wants. */
size_t milter_begin(struct buf *b, char kind);
void milter_end(struct buf *b, size_t at);
/* Parts of the data.  A text ends where it holds a NUL. */
void milter_put_text(struct buf *b, struct str text);
void milter_put_u32(struct buf *b, uint32_t v);
void milter_put_bare(struct buf *b, char kind); /* a packet without data */
/* A packet of texts: HELO, MAIL (path, parameters...), HEADER (name, value), MACROS values... */
void milter_put_texts(struct buf *b, char kind, const struct str *texts, size_t n);

/* ... and taken off the front again; false: it is not there. */
bool milter_get_text(struct str *data, struct str *text);
bool milter_get_u32(struct str *data, uint32_t *v);

/* ---- options ---- */

enum { /* what a filter may ask for */
       MILTER_MAY_ADD_HEADERS = 0x1,
       MILTER_MAY_REPLACE_BODY = 0x2,
       MILTER_MAY_ADD_RCPTS = 0x4,
       MILTER_MAY_DEL_RCPTS = 0x8,
       MILTER_MAY_CHANGE_HEADERS = 0x10, /* insert, too */
       MILTER_MAY_QUARANTINE = 0x20,
       MILTER_MAY_CHANGE_FROM = 0x40,
       MILTER_MAY_ADD_RCPTS_PAR = 0x80,
       MILTER_MAY_CHOOSE_MACROS = 0x100,
       MILTER_ACTIONS = 0x1ff,
};

enum { /* how it wants to be talked to */
       MILTER_CAN_SKIP = 0x400,
       MILTER_REJECTED_RCPTS = 0x800, /* hear of recipients that were refused: not offered by us */
       MILTER_LEADING_SPACE = 0x100000,
       MILTER_PROTOCOL = 0x1ff7ff, /* all of version 6 but the one above and larger packets */
};
/* The bit that leaves the stage out, and the one that leaves its answer out; 0: there is none. */
uint32_t milter_no_stage(enum milter_stage s);
uint32_t milter_no_answer(enum milter_stage s);

enum { MILTER_MACRO_LISTS = 7 };

struct milter_options {
	uint32_t version, actions, protocol;
	struct str macros[MILTER_MACRO_LISTS]; /* names a filter wants, by the protocol's stage number; p == NULL: no
						  say.  Read with milter_macro_list */
};
void milter_put_options(struct buf *b, const struct milter_options *o);
bool milter_get_options(struct str data, struct milter_options *o);
/* What the filter answered is what may be done: a version we speak, and nothing that was not offered (ML-2).  NULL, or
 * what is wrong. */
const char *milter_options_refused(const struct milter_options *offered, const struct milter_options *answer);
/* The list of `o` that goes before that stage; STR_NONE: the filter did not say. */
struct str milter_macro_list(const struct milter_options *o, enum milter_stage s);

/* ---- answers ---- */

struct milter_answer_parts {
	enum milter_answer kind;
	uint32_t index;   /* INSERT_HEADER, CHANGE_HEADER */
	struct str name;  /* of a header; an address; the reason of a quarantine; the text of a REPLY; a body chunk */
	struct str value; /* of a header; parameters of an address */
};
/* False: no answer of a filter looks like that. */
bool milter_get_answer(const struct milter_packet *p, struct milter_answer_parts *out);
bool milter_is_request(enum milter_answer a);
uint32_t milter_action_of(enum milter_answer a); /* MILTER_MAY_*; 0: it is no request */
const char *milter_answer_name(enum milter_answer a);

/* "550 5.7.1 go away", several lines "550-5.7.1 go\r\n550 5.7.1 away": a reply for an SMTP client.  `text` takes the
 * words, printable, lines split by '\n'.  "%%" is a "%", as smfi_setreply has it.  False: not a 4xx
 * or 5xx reply, or its lines disagree (ML-3). */
bool milter_get_reply(struct str in, struct reply *out, struct buf *text);

#endif
