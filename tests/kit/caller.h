/* tests/kit/caller.h: a small SMTP client for tools: one connection, any number of messages.
 *
 *   caller_start -> on_ready -> caller_send -> on_reply* -> on_ready -> ... -> caller_quit -> on_closed
 *
 * on_ready comes after EHLO (and STARTTLS) and after each finished message; there the owner sends the next one or
 * quits. on_closed comes exactly once, last, also after a failure; then the caller's memory may go (loop_free_later).
 * With `pipeline`, MAIL, every RCPT and DATA leave in one write; the content follows the 354, or the caller sends RSET
 * in its place.  With BDAT all chunks leave in that write too; without `pipeline` each waits for the last one's answer.
 * Threads: the loop's own. */
#ifndef TESTS_KIT_CALLER_H
#define TESTS_KIT_CALLER_H

#include "tls/tls.h"
#include "wire/cmd.h"
#include "wire/ehlo.h"

struct caller;

struct caller_message {
	struct str from;
	const struct str *rcpts;
	size_t rcpt_n;
	struct str xorg; /* claimed where the server offers XOORG; empty = nothing */
	struct str head,
		body; /* content in two parts (either may be empty); CR LF lines, for DATA dots already stuffed */
	size_t chunk; /* of a BDAT; 0 = DATA */
	enum env_body kind;
	/* said where the server offers them */
	bool smtputf8;
	enum env_ret ret;
	struct str envid;
	const struct env_rcpt *params; /* NOTIFY and ORCPT of each recipient; may be NULL */
};

struct caller_options {
	struct net_addr to;
	struct str ehlo;
	struct tls_ctx *tls; /* NULL: stay clear */
	struct str sni;
	struct str session_key; /* may TLS sessions be reused?  empty = never */
	bool pipeline;
	int64_t idle_ms; /* longest wait for an answer; 0 = 60 s */
};

struct caller_events {
	void (*ready)(struct caller *c);
	/* `what` is VERB_MAIL, _RCPT (at = which), _DATA (refused before content) or VERB_UNKNOWN for the verdict on
	 * the whole message (the answer to the last chunk); r->text dies with the call.  May be NULL. */
	void (*reply)(struct caller *c, enum verb what, size_t at, const struct reply *r);
	/* `why` is NULL after caller_quit, else one line. */
	void (*closed)(struct caller *c, const char *why);
};

struct caller {
	struct stream stream;
	const struct caller_options *options;
	const struct caller_events *events;
	struct caller_message message;
	enum { CALLER_GREETING, CALLER_EHLO, CALLER_STARTTLS, CALLER_READY, CALLER_BUSY, CALLER_QUIT } step;
	enum {
		WAIT_MAIL,
		WAIT_RCPT,
		WAIT_DATA,
		WAIT_CHUNK,
		WAIT_RSET,
		WAIT_VERDICT
	} wait; /* while BUSY: what comes next */
	size_t rcpt_at, rcpt_ok, rcpt_sent;
	size_t content_sent, chunks_open; /* BDAT: bytes given out, chunks not answered yet */
	bool data_sent, refused, closed;
	struct ehlo peer;
	char why[sizeof((struct err *)0)->text];
};

void caller_start(struct caller *c, struct loop *l, const struct caller_options *o, const struct caller_events *e);
void caller_send(struct caller *c, const struct caller_message *m); /* views must live until the verdict */
void caller_quit(struct caller *c);
void caller_close(struct caller *c); /* at once, on_closed does not run; harmless on a zeroed caller */

#endif
