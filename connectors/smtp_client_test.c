/* connectors/smtp_client_test.c: dialogues with a scripted server on the other end of a socket pair. */
#include "connectors/smtp_client.h"

#include "connectors/test_script.h"
#include "tests/unit.h"

#include <fcntl.h>
#include <string.h>
#include <unistd.h>

enum { LINES_MAX = 40, RCPTS_MAX = 4 };

struct row {
	const char *name;
	const char *rcpts[RCPTS_MAX]; /* default: one */
	const char *content;
	enum conf_tls_level level;
	const char *script[LINES_MAX];
	const char *want; /* "sent failed:550 deferred:451 again | ended" */
	const char *text; /* is found in the transaction's or the fault's text */
	struct envelope env;
	bool windows; /* content comes through fetch, 5 bytes at a time */
	bool stuck;   /* ... and only the first one */
	bool no_chunking, dead;
	bool hasty;  /* the client waits 20 ms */
	size_t size; /* content is that many bytes */
	struct edit edits[3];
	size_t edit_n;
};

struct play {
	struct loop *loop;
	struct script server;
	struct smtp_client *client;
	struct smtp_txn *txn;
	const struct row *row;
	bool done, dead, ready_again, stopped;
	struct loop_timer guard;
};

static struct play play;
static char big[700 * 1000];

static void finish_play(void)
{
	if (!play.stopped)
		loop_stop(play.loop);
	play.stopped = true;
}

static void maybe_finish(void)
{
	if ((play.done || play.dead) && (script_is_done(&play.server) || play.dead))
		finish_play();
}

static void on_moved(struct script *s)
{
	if (s->broken != NULL)
		finish_play();
	maybe_finish();
}

static void on_client(struct smtp_client *c, enum client_event e)
{
	if (e == CLIENT_DEAD)
		play.dead = true;
	else if (play.done)
		play.ready_again = true;
	else
		smtp_client_send(c, play.txn);
	maybe_finish();
}

static void on_done(struct smtp_txn *t)
{
	(void)t;
	play.done = true;
	maybe_finish();
}

struct fetcher {
	struct loop_task task;
	uint64_t offset;
};
static struct fetcher fetcher;

static void run_fetch(struct loop_task *task)
{
	(void)task;
	struct str all = str_c(play.row->content);
	smtp_client_content(play.client, true, str_head(str_skip(all, fetcher.offset), 5));
}

static void on_fetch(struct smtp_txn *t, uint64_t offset)
{
	(void)t;
	if (play.row->stuck && offset > 0)
		return;
	fetcher.offset = offset;
	fetcher.task.fn = run_fetch;
	loop_defer(play.loop, &fetcher.task);
}

static void on_guard(struct loop_timer *t)
{
	(void)t;
	if (play.server.broken == NULL)
		play.server.broken = script_is_done(&play.server) ? "the end" : *play.server.at;
	finish_play();
}

static const struct conf_send conf = { .name = STR_LIT("out"),
				       .connect_ms = 1000,
				       .command_ms = 1000,
				       .data_ms = 1000,
				       .final_ms = 1000,
				       .idle_ms = 1000 };

static const struct conf_send hasty_conf = {
	.name = STR_LIT("out"), .connect_ms = 20, .command_ms = 20, .data_ms = 20, .final_ms = 20, .idle_ms = 20
};

static void describe(const struct smtp_txn *t, struct buf *b)
{
	static const char *const results[] = { "pending", "sent", "deferred", "failed", "again" };
	static const char *const ends[] = { "ended", "lost", "stale", "no-bdat", "unknown" };
	const struct smtp_rcpt *r;

	STAILQ_FOREACH (r, &t->rcpts, next) {
		buf_addf(b, "%s", results[r->result]);
		if (r->result == RCPT_DEFERRED || r->result == RCPT_FAILED)
			buf_addf(b, ":%d", r->reply.code);
		buf_addc(b, ' ');
	}
	buf_addf(b, "| %s", ends[t->end]);
}

static void play_row(const struct row *row)
{
	struct smtp_client *client = calloc(1, sizeof *client);
	struct smtp_target target = { .send = row->hasty ? &hasty_conf : &conf,
				      .level = row->level,
				      .host = S("mx.example"),
				      .helo = S("gw.example"),
				      .tls_ms = 1000,
				      .no_chunking = &row->no_chunking };
	struct smtp_txn txn = { .env = row->env, .fetch = on_fetch, .done = on_done };
	struct smtp_rcpt rcpts[RCPTS_MAX] = { 0 };
	struct arena arena;
	struct net_addr peer;
	struct buf got;
	int fds[2];

	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds), 0);
	assert_true(net_parse_addr(S("192.0.2.1:25"), 0, &peer));
	target.addr = peer;
	if (row->level != TLS_NONE)
		target.tls = tls_client_new(
			&(struct tls_client_options){ .tls = &(struct conf_tls){ .min = S("1.2") } }, NULL);
	arena_init(&arena, 64 * 1024);
	buf_init(&got, 1000);
	txn.arena = &arena;
	if (row->env.from.p == NULL)
		txn.env.from = S("a@b.example");
	txn.content = str_c(row->content != NULL ? row->content : "x\r\n");
	if (row->size > 0) {
		memset(big, 'x', row->size);
		memcpy(big + row->size - 2, "\r\n", 2);
		txn.content = str_n(big, row->size);
	}
	txn.edits = (struct edits){ row->edits, row->edit_n };
	txn.size = (uint64_t)((int64_t)txn.content.n + edits_growth(txn.edits));
	if (row->windows)
		txn.content = STR_NONE;
	STAILQ_INIT(&txn.rcpts);
	for (unsigned i = 0; i < RCPTS_MAX && (i == 0 || row->rcpts[i] != NULL); i++) {
		rcpts[i].addr = str_c(row->rcpts[i] != NULL ? row->rcpts[i] : "u@c.example");
		STAILQ_INSERT_TAIL(&txn.rcpts, &rcpts[i], next);
		txn.rcpt_n++;
	}
	play = (struct play){ .loop = loop_new(NULL), .client = client, .txn = &txn, .row = row };
	play.server.at = row->script;
	smtp_client_start(client, play.loop, &target, fds[0], on_client);
	loop_timer_init(play.loop, &play.guard, on_guard);
	loop_timer_set(&play.guard, 1500);
	script_start(&play.server, play.loop, fds[1], &peer, row->script, on_moved);
	loop_run(play.loop);

	if (play.server.broken != NULL)
		fail_msg("%s: script stopped at \"%s\", heard \"%s\", fault \"%s\"", row->name, play.server.broken,
			 play.server.heard, client->fault.text);
	if (row->want != NULL) {
		check(play.done, row->name);
		describe(&txn, &got);
		check_str(buf_str(&got), str_c(row->want), row->name);
	} else {
		check(!play.done, row->name);
	}
	check(play.dead == row->dead, row->name);
	if (row->text != NULL && str_find(str_c(txn.text), str_c(row->text)) < 0 &&
	    str_find(str_c(client->fault.text), str_c(row->text)) < 0)
		fail_msg("%s: no \"%s\" in \"%s\" nor \"%s\"", row->name, row->text, txn.text, client->fault.text);
	if ((str_find(str_c(client->fault.text), S("no answer in time")) >= 0) != (client->fault.why == WHY_TIMEOUT))
		fail_msg("%s: the reason is %s", row->name, smtp_why_name(client->fault.why));
	smtp_client_fini(client);
	loop_free_later(play.loop, client);
	stream_close(&play.server.stream);
	loop_timer_stop(&play.guard);
	loop_free(&play.loop);
	tls_ctx_unref(&target.tls);
	arena_fini(&arena);
	buf_fini(&got);
}

#define HELLO    "> 220 mx", "< EHLO gw.example"
#define PIPE     HELLO, "> 250-mx", "> 250 PIPELINING"
#define CHUNK    HELLO, "> 250-mx", "> 250-PIPELINING", "> 250 CHUNKING"
#define ENVELOPE "< MAIL FROM:<a@b.example>", "< RCPT TO:<u@c.example>"

static const struct row rows[] = {
	{ .name = "step by step without PIPELINING",
	  .script = { HELLO, "> 250 mx", "< MAIL FROM:<a@b.example>", "> 250 ok", "< RCPT TO:<u@c.example>", "> 250 ok",
		      "< DATA", "> 354 go", "< x", "< .", "> 250 2.0.0 took it" },
	  .want = "sent | ended",
	  .text = "mx.example[192.0.2.1] said: 250 2.0.0 took it" },
	{ .name = "pipelined: all is heard before anything is answered",
	  .rcpts = { "u@c.example", "v@c.example" },
	  .script = { PIPE, ENVELOPE, "< RCPT TO:<v@c.example>", "< DATA", "> 250 ok", "> 250 ok", "> 250 ok",
		      "> 354 go", "< x", "< .", "> 250 ok" },
	  .want = "sent sent | ended" },
	{ .name = "chunked: one go",
	  .content = ".dot\r\nno end",
	  .script = { CHUNK, ENVELOPE, "< BDAT 12 LAST", "# 12", "> 250 ok", "> 250 ok", "> 250 ok" },
	  .want = "sent | ended" },
	{ .name = "chunked without PIPELINING",
	  .script = { HELLO, "> 250-mx", "> 250 CHUNKING", "< MAIL*", "> 250 ok", "< RCPT*", "> 250 ok",
		      "< BDAT 3 LAST", "< x", "> 250 ok" },
	  .want = "sent | ended" },
	{ .name = "empty message by BDAT",
	  .content = "",
	  .script = { CHUNK, ENVELOPE, "< BDAT 0 LAST", "> 250 ok", "> 250 ok", "> 250 ok" },
	  .want = "sent | ended" },
	{ .name = "empty message by DATA",
	  .content = "",
	  .script = { PIPE, ENVELOPE, "< DATA", "> 250 ok", "> 250 ok", "> 354 go", "< .", "> 250 ok" },
	  .want = "sent | ended" },
	{ .name = "windows, stuffed, last line without an end",
	  .content = "..a\r\n.\r\nb",
	  .windows = true,
	  .script = { PIPE, ENVELOPE, "< DATA", "> 250 ok", "> 250 ok", "> 354 go", "< ...a", "< ..", "< b", "< .",
		      "> 250 ok" },
	  .want = "sent | ended" },
	{ .name = "windows by BDAT",
	  .content = "0123456789abc",
	  .windows = true,
	  .script = { CHUNK, ENVELOPE, "< BDAT 13 LAST", "# 13", "> 250 ok", "> 250 ok", "> 250 ok" },
	  .want = "sent | ended" },
	{ .name = "edited, in windows, by BDAT",
	  .content = "0123456789abc",
	  .windows = true,
	  .edits = { { .at = 0, .insert = STR_LIT("head") },
		     { .at = 3, .drop = 7 },
		     { .at = 13, .insert = STR_LIT("!") } },
	  .edit_n = 3,
	  .script = { CHUNK, ENVELOPE, "< BDAT 11 LAST", "# 11", "> 250 ok", "> 250 ok", "> 250 ok" },
	  .want = "sent | ended" },
	{ .name = "edited, in windows, all but a line",
	  .content = "A: 1\r\nB: 2\r\n.\r\n",
	  .windows = true,
	  .edits = { { .at = 0, .drop = 12 } },
	  .edit_n = 1,
	  .script = { PIPE, ENVELOPE, "< DATA", "> 250 ok", "> 250 ok", "> 354 go", "< ..", "< .", "> 250 ok" },
	  .want = "sent | ended" },
	{ .name = "edited, in memory, by DATA",
	  .content = "A: 1\r\nB: 2\r\n\r\nx\r\n",
	  .edits = { { .at = 0, .insert = STR_LIT(".: 0\r\n") }, { .at = 6, .drop = 6 } },
	  .edit_n = 2,
	  .script = { PIPE, ENVELOPE, "< DATA", "> 250 ok", "> 250 ok", "> 354 go", "< ..: 0", "< A: 1", "< ", "< x",
		      "< .", "> 250 ok" },
	  .want = "sent | ended" },
	{ .name = "HELO when EHLO is unknown",
	  .script = { HELLO, "> 500 what", "< HELO gw.example", "> 250 mx", "< MAIL*", "> 250 ok", "< RCPT*",
		      "> 250 ok", "< DATA", "> 354 go", "< x", "< .", "> 250 ok" },
	  .want = "sent | ended" },

	/* answers one to one (hardening 35) */
	{ .name = "one refused, one later, one accepted",
	  .rcpts = { "u@c.example", "v@c.example", "w@c.example" },
	  .script = { PIPE, ENVELOPE, "< RCPT*", "< RCPT*", "< DATA", "> 250 ok", "> 550 5.1.1 no", "> 451 4.2.1 busy",
		      "> 250 ok", "> 354 go", "< x", "< .", "> 250 ok" },
	  .want = "failed:550 deferred:451 sent | ended" },
	{ .name = "all refused and 354 all the same: nothing but the dot is sent",
	  .script = { PIPE, ENVELOPE, "< DATA", "> 250 ok", "> 550 5.1.1 no", "> 354 go", "< .",
		      "> 554 no recipients" },
	  .want = "failed:550 | ended",
	  .text = "(in reply to RCPT TO)" },
	{ .name = "all refused, DATA refused; RSET before the next",
	  .script = { PIPE, ENVELOPE, "< DATA", "> 250 ok", "> 550 5.1.1 no", "> 554 no recipients" },
	  .want = "failed:550 | ended" },
	{ .name = "MAIL refused is everybody's answer",
	  .rcpts = { "u@c.example", "v@c.example" },
	  .script = { PIPE, ENVELOPE, "< RCPT*", "< DATA", "> 550 5.7.1 you", "> 503 a", "> 503 b", "> 503 c" },
	  .want = "failed:550 failed:550 | ended" },
	{ .name = "too many recipients is no refusal",
	  .rcpts = { "u@c.example", "v@c.example" },
	  .script = { PIPE, ENVELOPE, "< RCPT*", "< DATA", "> 250 ok", "> 250 ok", "> 452 4.5.3 too many", "> 354 go",
		      "< x", "< .", "> 250 ok" },
	  .want = "sent again | ended" },
	{ .name = "552 to RCPT is 452; the first is deferred",
	  .script = { PIPE, ENVELOPE, "< DATA", "> 250 ok", "> 552 too many", "> 554 none" },
	  .want = "deferred:552 | ended" },
	{ .name = "LIMITS RCPTMAX",
	  .rcpts = { "u@c.example", "v@c.example", "w@c.example" },
	  .script = { HELLO, "> 250-mx", "> 250-PIPELINING", "> 250 LIMITS RCPTMAX=2", ENVELOPE, "< RCPT*", "< DATA",
		      "> 250 ok", "> 250 ok", "> 250 ok", "> 354 go", "< x", "< .", "> 250 ok" },
	  .want = "sent sent again | ended" },
	{ .name = "refused at the end",
	  .script = { PIPE, ENVELOPE, "< DATA", "> 250 ok", "> 250 ok", "> 354 go", "< x", "< .", "> 550 5.7.1 spam" },
	  .want = "failed:550 | ended" },
	{ .name = "deferred at the end",
	  .script = { PIPE, ENVELOPE, "< DATA", "> 250 ok", "> 250 ok", "> 354 go", "< x", "< .", "> 451 4.3.0 full" },
	  .want = "deferred:451 | ended" },

	/* replies (hardening 7-9) */
	{ .name = "7: many lines, bare code",
	  .script = { "> 220-a", "> 220-b", "> 220", "< EHLO*", "> 250", "< MAIL*", "> 250", "< RCPT*", "> 250",
		      "< DATA", "> 354", "< x", "< .", "> 250" },
	  .want = "sent | ended" },
	{ .name = "7: different codes in one reply",
	  .script = { "> 220-a", "> 250 b" },
	  .dead = true,
	  .text = "broke the protocol" },
	{ .name = "8: 421 as greeting",
	  .script = { "> 421 4.3.2 busy" },
	  .dead = true,
	  .text = "said: 421 4.3.2 busy" },
	{ .name = "8: 554 as greeting", .script = { "> 554 no" }, .dead = true, .text = "said: 554 no" },
	{ .name = "8: 421 in the middle of a pipeline",
	  .script = { PIPE, ENVELOPE, "< DATA", "> 250 ok", "> 421 4.3.2 bye", "!" },
	  .want = "pending | lost",
	  .dead = true,
	  .text = "421 4.3.2 bye (in reply to RCPT TO)" },
	{ .name = "8: 421 behind the final answer counts for the next message only",
	  .script = { PIPE, ENVELOPE, "< DATA", "> 250 ok", "> 250 ok", "> 354 go", "< x", "< .",
		      ">> 250 ok\r\n421 bye\r\n" },
	  .want = "sent | ended",
	  .dead = true },
	{ .name = "9: class of the enhanced code follows the code",
	  .script = { PIPE, ENVELOPE, "< DATA", "> 250 ok", "> 550 4.1.1 odd", "> 554 none" },
	  .want = "failed:550 | ended" },
	{ .name = "9: control bytes in the text",
	  .script = { PIPE, ENVELOPE, "< DATA", "> 250 ok", "> 550 \x1b[31m\xffno", "> 554 none" },
	  .want = "failed:550 | ended",
	  .text = "?[31m?no" },

	/* losing it */
	{ .name = "closed before the dot: lost, may go elsewhere",
	  .script = { PIPE, ENVELOPE, "< DATA", "> 250 ok", "!" },
	  .want = "pending | lost",
	  .dead = true,
	  .text = "instead of answering RCPT TO" },
	{ .name = "ST-R4: closed after the dot: unknown",
	  .script = { PIPE, ENVELOPE, "< DATA", "> 250 ok", "> 250 ok", "> 354 go", "< x", "< .", "!" },
	  .want = "deferred:451 | unknown",
	  .dead = true,
	  .text = "it may arrive twice" },
	{ .name = "an answer too many: the message counts, the connection does not",
	  .script = { PIPE, ENVELOPE, "< DATA", "> 250 ok", "> 250 ok", "> 354 go", "< x", "< .",
		      ">> 250 ok\r\n250 again\r\n" },
	  .want = "sent | ended",
	  .dead = true },
	{ .name = "354 to the final dot says nothing about the message: unknown, never sent",
	  .script = { PIPE, ENVELOPE, "< DATA", "> 250 ok", "> 250 ok", "> 354 go", "< x", "< .", "> 354 go" },
	  .want = "deferred:451 | unknown",
	  .dead = true,
	  .text = "answered the message with 354" },
	{ .name = "BD-O1: 354 to the last chunk: unknown, never sent",
	  .script = { CHUNK, ENVELOPE, "< BDAT 3 LAST", "< x", "> 250 ok", "> 250 ok", "> 354 go" },
	  .want = "deferred:451 | unknown",
	  .dead = true },
	{ .name = "BD-O1: the last chunk is taken before its octets have left: it may go elsewhere",
	  .content = "ab\r\ncdefgh\r\n",
	  .windows = true,
	  .stuck = true,
	  .script = { CHUNK, ENVELOPE, "< BDAT 12 LAST", "> 250 ok", "> 250 ok", "> 250 took it" },
	  .want = "pending | lost",
	  .dead = true,
	  .text = "answered 250 before the end" },
	{ .name = "taken in the middle of the content: it may go elsewhere",
	  .content = "ab\r\ncdefgh\r\n",
	  .windows = true,
	  .stuck = true,
	  .script = { PIPE, ENVELOPE, "< DATA", "> 250 ok", "> 250 ok", "> 354 go", "< ab", "> 250 took it" },
	  .want = "pending | lost",
	  .dead = true,
	  .text = "answered 250 before the end" },
	{ .name = "BD-O1: 354 to a chunk in the middle: it may go elsewhere",
	  .size = 600000,
	  .script = { HELLO, "> 250-mx", "> 250 CHUNKING", "< MAIL*", "> 250 ok", "< RCPT*", "> 250 ok",
		      "< BDAT 262144", "# 262144", "> 354 go" },
	  .want = "pending | lost",
	  .dead = true },
	{ .name = "refused in the middle of the content",
	  .content = "ab\r\ncdefgh\r\n",
	  .windows = true,
	  .stuck = true,
	  .script = { PIPE, ENVELOPE, "< DATA", "> 250 ok", "> 250 ok", "> 354 go", "< ab", "> 552 5.3.4 big" },
	  .want = "failed:552 | lost",
	  .dead = true },

	/* time (each command has its own, absolute) */
	{ .name = "no greeting",
	  .hasty = true,
	  .script = { NULL },
	  .dead = true,
	  .text = "no answer in time to the connection" },
	{ .name = "half an answer does not help",
	  .hasty = true,
	  .script = { HELLO, ">> 250-mx\r\n250-PIPE" },
	  .dead = true,
	  .text = "no answer in time to EHLO" },
	{ .name = "no answer to RCPT",
	  .hasty = true,
	  .script = { PIPE, ENVELOPE, "< DATA", "> 250 ok" },
	  .want = "pending | lost",
	  .dead = true,
	  .text = "no answer in time to RCPT TO" },
	{ .name = "no answer to the dot",
	  .hasty = true,
	  .script = { PIPE, ENVELOPE, "< DATA", "> 250 ok", "> 250 ok", "> 354 go", "< x", "< ." },
	  .want = "deferred:451 | unknown",
	  .dead = true,
	  .text = "it may arrive twice" },

	/* STARTTLS (ST-O) */
	{ .name = "ST-O1: more behind the answer to STARTTLS",
	  .level = TLS_MAY,
	  .script = { HELLO, "> 250-mx", "> 250 STARTTLS", "< STARTTLS",
		      ">> 220 go\r\n250-EVIL\r\n250 AUTH PLAIN\r\n" },
	  .dead = true,
	  .text = "before it was asked" },
	{ .name = "ST-O2: not offered, required",
	  .level = TLS_ENCRYPT,
	  .script = { HELLO, "> 250 mx" },
	  .dead = true,
	  .text = "does not offer STARTTLS" },
	{ .name = "ST-O2: refused, required",
	  .level = TLS_DOMAIN,
	  .script = { HELLO, "> 250-mx", "> 250 STARTTLS", "< STARTTLS", "> 454 4.7.0 no" },
	  .dead = true,
	  .text = "454 4.7.0 no" },
	{ .name = "ST-O2: garbage, required",
	  .level = TLS_VALIDATE,
	  .script = { HELLO, "> 250-mx", "> 250 STARTTLS", "< STARTTLS", "> hello" },
	  .dead = true,
	  .text = "no reply" },
	{ .name = "ST-O2: EHLO refused, required",
	  .level = TLS_ENCRYPT,
	  .script = { HELLO, "> 502 no" },
	  .dead = true,
	  .text = "502 no" },
	{ .name = "ST-O2: refused, may: clear",
	  .level = TLS_MAY,
	  .script = { HELLO, "> 250-mx", "> 250 STARTTLS", "< STARTTLS", "> 454 4.7.0 no", "< MAIL*", "> 250 ok",
		      "< RCPT*", "> 250 ok", "< DATA", "> 354 go", "< x", "< .", "> 250 ok" },
	  .want = "sent | ended" },
	{ .name = "handshake fails, required",
	  .level = TLS_ENCRYPT,
	  .script = { HELLO, "> 250-mx", "> 250 STARTTLS", "< STARTTLS", "> 220 go", "# 5", "!" },
	  .dead = true },
	{ .name = "ST-O4: greeting and more in one go",
	  .script = { ">> 220 mx\r\n250-mx\r\n250 CHUNKING\r\n" },
	  .dead = true,
	  .text = "before it was asked" },
	{ .name = "ST-O4: 354 and the final answer before the content",
	  .script = { PIPE, ENVELOPE, "< DATA", ">> 250 ok\r\n250 ok\r\n354 go\r\n250 queued\r\n" },
	  .want = "pending | lost",
	  .dead = true },

	/* BDAT (BD-O) */
	{ .name = "BD-O1: refused in the envelope",
	  .script = { CHUNK, ENVELOPE, "< BDAT 3 LAST", "< x", "> 250 ok", "> 550 no", "> 554 none" },
	  .want = "failed:550 | ended" },
	{ .name = "BD-O1: last chunk refused",
	  .script = { CHUNK, ENVELOPE, "< BDAT 3 LAST", "< x", "> 250 ok", "> 250 ok", "> 452 4.3.1 full" },
	  .want = "deferred:452 | ended" },
	{ .name = "BD-O1: 421 half way",
	  .script = { CHUNK, ENVELOPE, "< BDAT 3 LAST", "< x", "> 250 ok", "> 250 ok", "> 421 4.3.2 bye" },
	  .want = "pending | lost",
	  .dead = true },
	{ .name = "BD-O1: three chunks, each waited for without PIPELINING",
	  .size = 600000,
	  .script = { HELLO, "> 250-mx", "> 250 CHUNKING", "< MAIL*", "> 250 ok", "< RCPT*", "> 250 ok",
		      "< BDAT 262144", "# 262144", "> 250 ok", "< BDAT 262144", "# 262144", "> 250 ok",
		      "< BDAT 75712 LAST", "# 75712", "> 250 ok" },
	  .want = "sent | ended" },
	{ .name = "BD-O1: pipelined, answered at the end",
	  .size = 600000,
	  .script = { CHUNK, ENVELOPE, "< BDAT 262144", "# 262144", "< BDAT 262144", "# 262144", "< BDAT 75712 LAST",
		      "# 75712", "> 250 ok", "> 250 ok", "> 250 ok", "> 250 ok", "> 250 ok" },
	  .want = "sent | ended" },
	{ .name = "BD-O1: a chunk in the middle refused: no more content",
	  .size = 600000,
	  .script = { HELLO, "> 250-mx", "> 250 CHUNKING", "< MAIL*", "> 250 ok", "< RCPT*", "> 250 ok",
		      "< BDAT 262144", "# 262144", "> 452 4.3.1 full" },
	  .want = "deferred:452 | ended" },
	{ .name = "BD-O2: offered and not known",
	  .script = { CHUNK, ENVELOPE, "< BDAT 3 LAST", "< x", "> 250 ok", "> 250 ok", "> 502 what" },
	  .want = "pending | no-bdat" },
	{ .name = "BD-O2: then DATA",
	  .no_chunking = true,
	  .script = { CHUNK, ENVELOPE, "< DATA", "> 250 ok", "> 250 ok", "> 354 go", "< x", "< .", "> 250 ok" },
	  .want = "sent | ended" },

	/* what the next server must be able to do */
	{ .name = "SM-O1: bare LF by BDAT",
	  .content = "a\nb\r\n",
	  .script = { CHUNK, ENVELOPE, "< BDAT 5 LAST", "# 5", "> 250 ok", "> 250 ok", "> 250 ok" },
	  .want = "sent | ended" },
	{ .name = "SM-O5: bare LF and no CHUNKING",
	  .content = "a\nb\r\n",
	  .script = { PIPE },
	  .want = "failed:554 | ended",
	  .text = "bare CR or LF" },
	{ .name = "SM-O5: bare CR at the very end, from disk: hangs up before the dot",
	  .content = "a\r\nb\r",
	  .windows = true,
	  .script = { PIPE, ENVELOPE, "< DATA", "> 250 ok", "> 250 ok", "> 354 go" },
	  .want = "failed:554 | lost",
	  .dead = true },
	{ .name = "SIZE",
	  .content = "0123456789",
	  .script = { HELLO, "> 250-mx", "> 250 SIZE 9" },
	  .want = "failed:552 | ended",
	  .text = "takes at most 9" },
	{ .name = "SIZE is told",
	  .script = { HELLO, "> 250-mx", "> 250-PIPELINING", "> 250 SIZE 9", "< MAIL FROM:<a@b.example> SIZE=3",
		      "< RCPT*", "< DATA", "> 250 ok", "> 250 ok", "> 354 go", "< x", "< .", "> 250 ok" },
	  .want = "sent | ended" },
	{ .name = "SMTPUTF8 was asked for and is not needed",
	  .env = { .smtputf8 = true },
	  .script = { PIPE, ENVELOPE, "< DATA", "> 250 ok", "> 250 ok", "> 354 go", "< x", "< .", "> 250 ok" },
	  .want = "sent | ended" },
	{ .name = "SMTPUTF8 is needed and not offered",
	  .rcpts = { "\xc3\xbc@c.example" },
	  .env = { .smtputf8 = true },
	  .script = { PIPE },
	  .want = "failed:553 | ended" },
	{ .name = "BINARYMIME is not offered",
	  .env = { .body = ENV_BODY_BINARYMIME },
	  .script = { CHUNK },
	  .want = "failed:554 | ended" },
	{ .name = "BINARYMIME",
	  .env = { .body = ENV_BODY_BINARYMIME },
	  .script = { HELLO, "> 250-mx", "> 250-CHUNKING", "> 250-PIPELINING", "> 250 BINARYMIME",
		      "< MAIL FROM:<a@b.example> BODY=BINARYMIME", "< RCPT*", "< BDAT 3 LAST", "< x", "> 250 ok",
		      "> 250 ok", "> 250 ok" },
	  .want = "sent | ended" },
};

static void test_dialogues(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		play_row(&rows[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_dialogues),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
