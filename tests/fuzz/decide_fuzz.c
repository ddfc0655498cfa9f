/* tests/fuzz/decide_fuzz.c: netstrings, socketmap requests, and what tombolo-milter and tombolod say to each other:
 * nothing is judged differently in pieces, and what was read is written and read again alike.  Whatever an MTA calls a
 * field is one field of the header that is asked about, and orders name what the MTA has. */
#include "milter/mail.h"
#include "tests/fuzz/fuzz.h"
#include "wire/decide.h"
#include "wire/header.h"
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

static void count_field(void *arg, const struct header_field *f)
{
	(void)f;
	++*(size_t *)arg;
}

static void check_header(const struct mail *m)
{
	struct header_scan s;
	size_t n = 0;

	header_scan_init(&s, DECIDE_HEADER_MAX, 100000, STR_NONE);
	s.on_field = count_field;
	s.arg = &n;
	header_scan_add(&s, buf_str(&m->header));
	header_scan_finish(&s);
	must(n == m->field_n && !s.broken && s.mbox == 0);
	header_scan_fini(&s);
}

static void check_orders(struct mail *m, struct str answer)
{
	struct decide_answer a;
	struct mail_orders o;
	struct arena arena;

	arena_init(&arena, DECIDE_ARENA_MAX);
	if (decide_answer_parse(answer, &arena, &a) && mail_orders(m, &a, &o))
		for (size_t i = 0; i < o.n; i++) {
			must(o.v[i].name != NULL);
			must(o.v[i].kind != ORDER_STRIP || (o.v[i].index >= 1 && (size_t)o.v[i].index <= m->field_n));
			if (o.v[i].kind == ORDER_RCPT_NEW)
				must(str_chr(str_c(o.v[i].name), '\n') < 0 && o.v[i].name[0] == '<');
		}
	arena_fini(&arena);
}

/* Fields "name|value" up to a '#', then an answer. */
static void check_mail(struct str in)
{
	struct decide_question q;
	struct str fields, answer, field, name, value;
	struct mail m;

	str_cut(in, '#', &fields, &answer);
	mail_init(&m);
	mail_begin(&m, S("ID"), S("<a@b>"), STR_NONE);
	mail_rcpt(&m, S("<anna@contoso.com>"), NULL);
	while (fields.n > 0) {
		str_cut(fields, '|', &field, &fields);
		str_cut(field, '=', &name, &value);
		mail_field(&m, name, value);
	}
	if (m.refused.code == 0)
		check_header(&m);
	must(mail_ask_whole(&m, &q));
	check_orders(&m, answer);
	mail_fini(&m);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str in = str_n(data, n);

	check_netstring(in);
	check_question(in);
	check_answer(in);
	check_reply(in);
	check_mail(in);
	return 0;
}
