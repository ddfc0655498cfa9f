/* wire/decide_test.c: questions and answers read back as they were written; what is none is refused. */
#include "wire/decide.h"
#include "tests/unit.h"

static void test_question(void **state)
{
	const struct str rcpts[] = { S("anna@contoso.com"), S("\"a,b:3\"@contoso.com") };
	const struct decide_question q = { .id = S("3f2504e0-4f89-41d3-9a0c-0305e82c3301"),
					   .client = S("192.0.2.1"),
					   .helo = S("mx.example"),
					   .from = S("x@example.org"),
					   .secured = true,
					   .certificate = S("mail.contoso.com"),
					   .login = S("anna"),
					   .rcpts = rcpts,
					   .rcpt_n = 2,
					   .whole = true,
					   .header = S("Subject: \xff\0\r\n") };
	struct decide_question r;
	struct arena a;
	struct buf b;

	(void)state;
	buf_init(&b, 4096);
	arena_init(&a, 4096);
	assert_true(decide_question_put(&b, &q));
	assert_true(decide_question_parse(buf_str(&b), &a, &r));
	check_str(r.id, q.id, "id");
	check_str(r.client, q.client, "client");
	check_str(r.helo, q.helo, "helo");
	check_str(r.from, q.from, "from");
	check_str(r.certificate, q.certificate, "certificate");
	check_str(r.login, q.login, "login");
	check_str(r.header, q.header, "header");
	assert_true(r.secured && r.whole && r.rcpt_n == 2);
	check_str(r.rcpts[1], rcpts[1], "a recipient with the signs of the form in it");
	for (size_t n = 1; n < b.n; n++) { /* cut off between two values it is a shorter question */
		bool ok = decide_question_parse(str_head(buf_str(&b), n), &a, &r);
		assert_true(!ok || b.p[n - 1] == ',');
		arena_fini(&a);
	}
	buf_fini(&b);
	arena_fini(&a);
}

static void test_question_limits(void **state)
{
	static char header[DECIDE_HEADER_MAX + 1];
	struct decide_question r;
	struct arena a;
	struct buf b;

	(void)state;
	arena_init(&a, DECIDE_ARENA_MAX);
	buf_init(&b, DECIDE_MAX);
	assert_false(decide_question_put(&b, &(struct decide_question){ .from = S("a\n@x") }));
	buf_reset(&b);
	assert_false(decide_question_put(
		&b, &(struct decide_question){ .whole = true, .header = str_n(header, sizeof header) }));
	assert_false(decide_question_parse(buf_str(&b), &a, &r));
	buf_reset(&b);
	for (size_t i = 0; i <= DECIDE_RCPTS_MAX; i++)
		buf_add(&b, S("4:ra@b,"));
	assert_false(decide_question_parse(buf_str(&b), &a, &r));
	assert_false(decide_question_parse(S("5:fa\n@x,"), &a, &r));
	assert_false(decide_question_parse(S("0:,"), &a, &r));
	assert_false(decide_question_parse(S("4:ra@b"), &a, &r));
	assert_true(decide_question_parse(S(""), &a, &r) && r.rcpt_n == 0 && !r.whole);
	assert_true(decide_question_parse(S("5:?what,4:ra@b,"), &a, &r) && r.rcpt_n == 1);
	buf_fini(&b);
	arena_fini(&a);
}

static void test_answer(void **state)
{
	const struct str to[] = { S("clara@contoso.mail.cloud.example"), S("dora@contoso.com") };
	const struct decide_rcpt rcpts[] = { { .action = DECIDE_KEEP },
					     { .action = DECIDE_REPLACE, .to = to, .to_n = 2 },
					     { .action = DECIDE_REFUSE, .reply = S("550 5.1.1 no") },
					     { .action = DECIDE_DROP } };
	const uint64_t strip[] = { 0, 7 };
	const struct decide_field add[] = { { S("X-Tombolo-Decision"), S(" RELAY; rule=R40:x\r\n\ty") } };
	const struct decide_answer ask = { .rcpts = rcpts,
					   .rcpt_n = 4,
					   .strip = strip,
					   .strip_n = 2,
					   .add = add,
					   .add_n = 1,
					   .hold = S("to-cloud is switched off") };
	struct decide_answer r;
	struct arena a;
	struct buf b;

	(void)state;
	buf_init(&b, 4096);
	arena_init(&a, 65536);
	assert_true(decide_answer_put(&b, &ask));
	assert_true(decide_answer_parse(buf_str(&b), &a, &r));
	assert_int_equal(r.rcpt_n, 4);
	for (size_t i = 0; i < 4; i++)
		assert_true(r.rcpts[i].action == rcpts[i].action && r.rcpts[i].to_n == rcpts[i].to_n);
	check_str(r.rcpts[1].to[1], to[1], "to");
	check_str(r.rcpts[2].reply, rcpts[2].reply, "reply");
	assert_true(r.strip_n == 2 && r.strip[1] == 7 && r.add_n == 1);
	check_str(r.add[0].name, add[0].name, "name");
	check_str(r.add[0].value, add[0].value, "value");
	check_str(r.hold, ask.hold, "hold");
	assert_int_equal(r.reply.n, 0);
	buf_fini(&b);
	arena_fini(&a);
}

static const struct str no_answers[] = {
	STR_LIT("5:ta@bc,"),                     /* an address of nobody */
	STR_LIT("1:k,4:ta@b,"), STR_LIT("1:e,"), /* replaced by nothing */
	STR_LIT("1:e,1:t,"),    STR_LIT("1:V,"), /* refused without a word */
	STR_LIT("2:d7,2:d7,"),  STR_LIT("2:d7,2:d3,"), STR_LIT("3:d-1,"), STR_LIT("12:d99999999999,"),
	STR_LIT("5:aname,"),    STR_LIT("3:a:v,"),     STR_LIT("1:k"),    STR_LIT("x"),
};

static void test_no_answers(void **state)
{
	struct decide_answer r;
	struct arena a;

	(void)state;
	arena_init(&a, 65536);
	for (size_t i = 0; i < COUNT(no_answers); i++)
		check(!decide_answer_parse(no_answers[i], &a, &r), no_answers[i].p);
	assert_true(decide_answer_parse(S(""), &a, &r) && r.rcpt_n == 0);
	arena_fini(&a);
}

static const struct {
	struct reply in;
	struct str text;
	int code;
	unsigned char class;
	struct str back;
} replies[] = {
	{ { 550, 5, 1, 1, STR_LIT("no such mailbox") },
	  STR_LIT("550 5.1.1 no such mailbox"),
	  550,
	  5,
	  STR_LIT("no such mailbox") },
	{ { 451, 5, 3, 0, STR_LIT("later") }, STR_LIT("451 4.3.0 later"), 451, 4, STR_LIT("later") },
	{ { 554, 0, 0, 0, STR_LIT("no") }, STR_LIT("554 no"), 554, 0, STR_LIT("no") },
	{ { 550, 5, 7, 509, STR_LIT("100% \r\n\xfc") }, STR_LIT("550 5.7.509 100? ???"), 550, 5, STR_LIT("100? ???") },
};

static void test_replies(void **state)
{
	struct reply r;
	struct buf b;

	(void)state;
	buf_init(&b, 4096);
	for (size_t i = 0; i < COUNT(replies); i++) {
		buf_reset(&b);
		decide_reply_put(&b, &replies[i].in);
		check_str(buf_str(&b), replies[i].text, "written");
		assert_true(decide_reply_parse(buf_str(&b), &r));
		assert_int_equal(r.code, replies[i].code);
		assert_int_equal(r.class, replies[i].class);
		check_str(r.text, replies[i].back, "read");
	}
	assert_false(decide_reply_parse(S("250 2.0.0 ok"), &r));
	assert_false(decide_reply_parse(S("600 no"), &r));
	assert_false(decide_reply_parse(S("no"), &r));
	assert_false(decide_reply_parse(S(""), &r));
	assert_true(decide_reply_parse(S("550 4.1.1 no"), &r) && r.class == 0);
	assert_true(decide_reply_parse(S("550"), &r) && r.text.n == 0);
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_question), cmocka_unit_test(test_question_limits),
		cmocka_unit_test(test_answer),   cmocka_unit_test(test_no_answers),
		cmocka_unit_test(test_replies),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
