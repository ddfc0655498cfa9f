/* tests/fuzz/client_fuzz.c: one outbound conversation with a server that says anything: every recipient gets one
 * result, none counts as sent that was not, and what we say is clean whatever was heard.
 *
 * The first byte chooses the level of TLS (bit 0: may), whether the server hangs up (bit 7), and the message (bits
 * 1-3); the rest is what the server says, cut at each 0xFE (tests/fuzz/talk.h). */
#include "base/log.h"
#include "connectors/smtp_client.h"
#include "tests/fuzz/talk.h"
#include "wire/line.h"

enum { RCPTS = 3 };

static struct {
	struct loop *loop;
	struct tls_ctx *tls;
	struct smtp_client *client;
	struct smtp_txn txn;
	struct smtp_rcpt rcpts[RCPTS];
	bool sent_off, done, dead;
} now;

static const struct conf_send conf = { .name = STR_LIT("out"),
				       .connect_ms = 4000,
				       .command_ms = 4000,
				       .data_ms = 4000,
				       .final_ms = 4000,
				       .idle_ms = 4000 };

static const char *const messages[] = {
	"Subject: a\r\n\r\nhi\r\n",
	".\r\n..\r\n.x\r\n",
	"Subject: \xc3\xa9\r\n\r\n\xff\r\n",
	"no end",
	"Subject: a\r\n\r\nbare\nlf\r\n\r.",
	"\r\n.\r\n",
	"x\r\n.",
	"",
};

static void on_done(struct smtp_txn *t)
{
	const struct smtp_rcpt *r;

	must(!now.done);
	now.done = true;
	STAILQ_FOREACH (r, &t->rcpts, next) /* pending: only where another connection is to be tried */
		must(r->result != RCPT_PENDING || t->end == SMTP_LOST || t->end == SMTP_STALE ||
		     t->end == SMTP_NO_BDAT);
}

static void on_event(struct smtp_client *c, enum client_event e)
{
	if (e == CLIENT_DEAD)
		now.dead = true;
	else if (!now.sent_off)
		smtp_client_send(c, &now.txn);
	now.sent_off |= e == CLIENT_READY;
}

static bool client_is_over(struct talk *t)
{
	(void)t;
	return now.dead && (now.done || !now.sent_off);
}

static void fill_txn(const char *message, struct arena *a)
{
	static const char *const addrs[RCPTS] = { "u@c.example", "\"a b\"@c.example", "\xc3\xbc@c.example" };

	now.txn = (struct smtp_txn){ .env = { .from = S("a@b.example"), .smtputf8 = true, .envid = S("x+2B") },
				     .content = str_c(message),
				     .size = strlen(message),
				     .arena = a,
				     .done = on_done };
	STAILQ_INIT(&now.txn.rcpts);
	for (size_t i = 0; i < RCPTS; i++) {
		now.rcpts[i] = (struct smtp_rcpt){ .addr = str_c(addrs[i]), .env.notify = 2 };
		STAILQ_INSERT_TAIL(&now.txn.rcpts, &now.rcpts[i], next);
		now.txn.rcpt_n++;
	}
}

static void must_be_clean(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		must(!chr_is_ctl(s.p[i]) && !chr_is_8bit(s.p[i]));
}

/* In clear: lines that end in CRLF and hold nothing else of the kind, and chunks of as many bytes as they say.
 * *complete: the end of a message was heard, with all that is before it. */
static void check_said(struct str said, bool *complete)
{
	struct str line, args;
	uint64_t size;
	int n;

	*complete = false;
	while ((n = line_next(said, 1 << 20, &line)) > 0) {
		said = str_skip(said, (size_t)n);
		*complete |= str_eq(line, S("."));
		if (str_starts(line, S("STARTTLS")))
			return; /* the rest may be TLS */
		if (!str_starts(line, S("BDAT ")))
			continue;
		str_cut(str_skip(line, 5), ' ', &args, &line);
		must(str_u64(args, 1 << 20, &size));
		if (said.n < size)
			return;
		said = str_skip(said, (size_t)size);
		*complete |= str_eq(line, S("LAST"));
	}
	must(n == LINE_MORE);
}

static void check_results(const struct talk *t)
{
	bool complete;

	check_said(buf_str(&t->heard), &complete);
	must_be_clean(str_c(now.client->fault.text));
	must_be_clean(str_c(now.txn.text));
	for (size_t i = 0; i < RCPTS; i++) {
		const struct smtp_rcpt *r = &now.rcpts[i];
		must(r->result != RCPT_SENT ||
		     (r->accepted && (complete || t->hasty || now.client->where.tls[0] != '\0')));
		must(r->result != RCPT_SENT || (now.txn.reply.code >= 200 && now.txn.reply.code < 300));
		must(r->result != RCPT_FAILED || r->reply.code >= 500);
		must_be_clean(r->said);
		if (r->result == RCPT_DEFERRED || r->result == RCPT_FAILED)
			must_be_clean(r->text);
	}
}

static void begin(uint8_t choice, struct smtp_target *target)
{
	if (now.loop == NULL) {
		now.loop = loop_new(NULL);
		now.tls = tls_client_new(&(struct tls_client_options){ .tls = &(struct conf_tls){ .min = S("1.2") } },
					 NULL);
		must(now.loop != NULL && now.tls != NULL &&
		     log_open("/dev/null", LOG_LEVEL_DEBUG, LOG_FORMAT_TEXT) == 0);
	}
	now.sent_off = now.done = now.dead = false;
	*target = (struct smtp_target){ .send = &conf,
					.level = choice & 1 ? TLS_MAY : TLS_NONE,
					.tls = choice & 1 ? now.tls : NULL,
					.host = S("mx.example"),
					.helo = S("gw.example"),
					.tls_ms = 4000 };
	must(net_parse_ip(S("127.0.0.1"), 1, &target->addr)); /* a second visit finds nobody */
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str in = str_n(data, n);
	uint8_t choice = fuzz_byte(&in);
	struct smtp_target target;
	struct arena arena;
	struct talk t;
	int fds[2];

	begin(choice, &target);
	arena_init(&arena, 64 * 1024);
	fill_txn(messages[choice >> 1 & 7], &arena);
	now.client = calloc(1, sizeof *now.client);
	must(now.client != NULL && socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
	smtp_client_start(now.client, now.loop, &target, fds[0], on_event);
	talk_init(&t, now.loop, in, client_is_over);
	t.hasty = (choice & 0x80) != 0;
	stream_attach(&t.stream, fds[1], &target.addr);
	loop_run(now.loop);
	check_results(&t);
	smtp_client_fini(now.client);
	loop_free_later(now.loop, now.client);
	talk_fini(&t);
	arena_fini(&arena);
	return 0;
}
