/* tests/fuzz/decide_fuzz.c: netstrings, socketmap requests, and what tombolo-milter and tombolod say to each other:
 * nothing is judged differently in pieces, and what was read is written and read again alike. */
#include "tests/fuzz/fuzz.h"
#include "wire/decide.h"
#include "wire/netstring.h"

enum { ROOM = 64 * 1024 };

static void check_netstring(struct str in)
{
	struct str value, again, map, key;
	ssize_t used = netstring_next(in, ROOM, &value);
	struct buf b;

	for (size_t n = 0; n < in.n && n < 64; n++) {
		ssize_t part = netstring_next(str_head(in, n), ROOM, &again);
		must(part == NETSTRING_MORE || part == used);
	}
	if (used <= 0)
		return;
	buf_init(&b, ROOM + 16);
	must(netstring_put(&b, value) && str_eq(buf_str(&b), str_head(in, (size_t)used)));
	if (socketmap_request(value, &map, &key))
		must(map.n > 0 && map.n + 1 + key.n == value.n);
	buf_fini(&b);
}

static void check_question(struct str in)
{
	struct decide_question q, again;
	struct arena a;
	struct buf b;

	arena_init(&a, DECIDE_ARENA_MAX);
	buf_init(&b, DECIDE_MAX);
	if (decide_question_parse(in, &a, &q)) {
		must(decide_question_put(&b, &q));
		must(decide_question_parse(buf_str(&b), &a, &again));
		must(str_eq(q.from, again.from) && str_eq(q.header, again.header) && str_eq(q.client, again.client));
		must(q.rcpt_n == again.rcpt_n && q.whole == again.whole && q.secured == again.secured);
		for (size_t i = 0; i < q.rcpt_n; i++)
			must(str_eq(q.rcpts[i], again.rcpts[i]));
	}
	buf_fini(&b);
	arena_fini(&a);
}

static void check_answer(struct str in)
{
	struct decide_answer x, again;
	struct arena a;
	struct buf b;

	arena_init(&a, DECIDE_ARENA_MAX);
	buf_init(&b, DECIDE_MAX);
	if (decide_answer_parse(in, &a, &x)) {
		must(decide_answer_put(&b, &x));
		must(decide_answer_parse(buf_str(&b), &a, &again));
		must(x.rcpt_n == again.rcpt_n && x.strip_n == again.strip_n && x.add_n == again.add_n);
		must(str_eq(x.reply, again.reply) && str_eq(x.hold, again.hold));
		for (size_t i = 0; i < x.add_n; i++)
			must(str_eq(x.add[i].name, again.add[i].name) && str_eq(x.add[i].value, again.add[i].value));
	}
	buf_fini(&b);
	arena_fini(&a);
}

static void check_reply(struct str in)
{
	struct reply r, again;
	struct buf b;

	if (!decide_reply_parse(in, &r))
		return;
	buf_init(&b, ROOM);
	decide_reply_put(&b, &r);
	for (size_t i = 0; i < b.n; i++)
		must(!chr_is_ctl(b.p[i]) && b.p[i] != '%');
	must(decide_reply_parse(buf_str(&b), &again) && again.code == r.code);
	buf_fini(&b);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str in = str_n(data, n);

	check_netstring(in);
	check_question(in);
	check_answer(in);
	check_reply(in);
	return 0;
}
