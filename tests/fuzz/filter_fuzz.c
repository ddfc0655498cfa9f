/* tests/fuzz/filter_fuzz.c: one conversation with a content filter that says anything: it ends, with a verdict or a
 * failure, and whatever the filter wants changed leaves a header and an envelope that are well-formed (hardening
 * ML-1..ML-6).
 *
 * The first byte chooses whether the filter hangs up (bit 7); the rest is what it says, cut at each 0xFE (talk.h). */
#include "base/log.h"
#include "connectors/milter_client.h"
#include "connectors/milter_edits.h"
#include "tests/fuzz/talk.h"
#include "wire/header.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

static struct {
	struct loop *loop;
	int door;
	char path[100];
	struct conf_milter conf;
	struct milter_pool pool;
	struct milter_client *client;
	struct op op;
	struct log log;
	struct arena arena;
	struct milter_wishes wishes;
	size_t at, body;
	bool over;
} now;

static const enum milter_stage stages[] = {
	MILTER_AT_CONNECT, MILTER_AT_HELO, MILTER_AT_MAIL, MILTER_AT_RCPT,    MILTER_AT_DATA, MILTER_AT_HEADER,
	MILTER_AT_EOH,     MILTER_AT_BODY, MILTER_AT_END,  MILTER_AT_UNKNOWN, MILTER_AT_MAIL, MILTER_AT_END,
};

static void ask(void);

static void on_answer(struct op *op)
{
	(void)op;
	const struct milter_verdict *v = &now.client->verdict;
	must(!v->failed == (now.client->state != MILTER_DEAD));
	if (v->failed) {
		must(v->why[0] != '\0');
		now.over = true;
		return;
	}
	must(!milter_is_request(v->answer) && v->answer != MILTER_PROGRESS);
	if (v->answer == MILTER_REPLY)
		must(v->reply.code >= 400 && v->reply.code <= 599);
	ask();
}

static void ask(void)
{
	while (now.at < sizeof stages / sizeof stages[0]) {
		enum milter_stage s = stages[now.at++];
		if (now.client->state == MILTER_DEAD)
			break;
		if (!milter_client_hears(now.client, s))
			continue;
		milter_put_texts(milter_client_out(now.client), (char)milter_stage_command(s), &S("x"), 1);
		if (milter_client_send(now.client, s, &now.op, on_answer))
			return;
	}
	now.over = true;
}

static void on_started(struct op *op)
{
	on_answer(op);
}

static bool on_request(void *arg, const struct milter_answer_parts *a)
{
	(void)arg;
	if (a->kind == MILTER_REPLACE_BODY)
		return (now.body += a->name.n) < (1 << 20);
	return milter_wish_add(&now.wishes, &now.arena, a);
}

static void let_in(struct talk *t)
{
	const struct net_addr nobody = { 0 };
	int fd = stream_is_open(&t->stream) || t->ended ? -1
							: accept4(now.door, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	if (fd >= 0)
		stream_attach(&t->stream, fd, &nobody);
}

static bool is_over(struct talk *t)
{
	(void)t;
	return now.over;
}

/* ---- what its wishes make of a message ---- */

static void check_header(struct str header)
{
	struct header_scan h;

	header_scan_init(&h, header.n + 1, 100000, STR_NONE);
	header_scan_add(&h, header);
	header_scan_finish(&h);
	must(h.done && !h.broken && !h.too_big && h.end == header.n);
	header_scan_fini(&h);
	for (size_t i = 0; i < header.n; i++) {
		must(header.p[i] != '\0');
		must(header.p[i] != '\n' || (i > 0 && header.p[i - 1] == '\r'));
		must(header.p[i] != '\r' || (i + 1 < header.n && header.p[i + 1] == '\n'));
	}
}

static void apply(bool leading_space)
{
	static const struct env_rcpt rcpts[] = { { .addr = STR_LIT("a@b.example") } };
	static struct milter_field fields[] = {
		{ .raw = STR_LIT("Received: x\r\n"), .name = STR_LIT("Received"), .ours = true },
		{ .raw = STR_LIT("Subject: y\r\n\tz\r\n"), .name = STR_LIT("Subject") },
	};
	struct milter_view v = { .arena = &now.arena,
				 .fields = fields,
				 .field_n = 2,
				 .leading_space = leading_space,
				 .env = { .from = S("c@d.example"), .rcpts = rcpts, .rcpt_n = 1 },
				 .rcpt_max = 100,
				 .header_max = 64 * 1024,
				 .field_max = 100 };

	if (milter_edits_apply(&v, &now.wishes) != NULL)
		must(!v.header_changed && !v.envelope_changed);
	struct str header = milter_view_header(&v);
	if (header.p != NULL)
		check_header(header);
	must(addr_is_clean(v.env.from));
	for (size_t i = 0; i < v.env.rcpt_n; i++)
		must(addr_is_clean(v.env.rcpts[i].addr));
}

/* ---- one run ---- */

static void open_door(void)
{
	const char *tmp = getenv("TMPDIR");
	struct err e;

	snprintf(now.path, sizeof now.path, "%s/filter-fuzz.%d", tmp != NULL ? tmp : "/tmp", (int)getpid());
	now.loop = loop_new(NULL);
	now.door = net_listen_unix(now.path, 0600, &e);
	must(now.loop != NULL && now.door >= 0 && log_open("/dev/null", LOG_LEVEL_DEBUG, LOG_FORMAT_TEXT) == 0);
	now.conf = (struct conf_milter){ .name = S("fuzz"),
					 .address = S("unix:"),
					 .path = str_c(now.path),
					 .reuse = true,
					 .connect_ms = 4000,
					 .command_ms = 4000,
					 .content_ms = 4000,
					 .end_ms = 4000,
					 .progress_max_ms = 4000 };
}

static void close_door(void)
{
	unlink(now.path);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str in = str_n(data, n);
	uint8_t choice = fuzz_byte(&in);
	struct talk t;

	if (now.loop == NULL) {
		open_door();
		atexit(close_door);
	}
	now.over = false;
	now.at = now.body = 0;
	now.wishes = (struct milter_wishes){ 0 };
	arena_init(&now.arena, 1 << 20);
	milter_pool_init(&now.pool, now.loop);
	now.client = milter_client_take(&now.pool, &now.conf, &now.log);
	now.client->on_request = on_request;
	talk_init(&t, now.loop, in, is_over);
	t.hasty = (choice & 0x80) != 0;
	t.talking = let_in;
	milter_client_start(now.client, &now.op, on_started);
	loop_run(now.loop);
	apply(now.client->options.protocol & MILTER_LEADING_SPACE);
	milter_client_abort(now.client);
	milter_client_leave(&now.client);
	milter_pool_fini(&now.pool);
	talk_fini(&t);
	arena_fini(&now.arena);
	return 0;
}
