/* queue/where_test.c: the language of --where: what matches, and where a wrong text is wrong. */
#include "queue/queue.h"
#include "tests/unit.h"

#include <stdio.h>
#include <string.h>

enum { HOUR = 3600 * 1000, NOW = 100 * HOUR };

static const struct queue_row row = {
	.from = STR_LIT("News@Shop.example"),
	.rcpt = STR_LIT("u@mail.Contoso.com"),
	.last = STR_LIT("4.4.1 mx1.contoso.com[192.0.2.1]: Connection refused"),
	.size = 10 * 1024,
	.arrived_ms = NOW - 2 * HOUR,
	.attempts = 3,
	.state = QUEUE_DEFERRED,
};

static void test_matches(void **state)
{
	static const struct {
		const char *text;
		bool hit;
	} cases[] = {
		{ "from = news@shop.example", true },
		{ "from = shop.example", true },
		{ "from = @SHOP.example", true },
		{ "from = op.example", false },
		{ "from != shop.example", false },
		{ "from = ''", false },
		{ "to = contoso.com", false },
		{ "to = @*.contoso.com", true },
		{ "to ~ contoso", true },
		{ "to !~ contoso", false },
		{ "domain = mail.contoso.com", true },
		{ "domain = *.contoso.com", true },
		{ "domain = *.ontoso.com", false },
		{ "domain=*.mail.contoso.com", true },
		{ "sender-domain = shop.example", true },
		{ "hop = mx1.contoso.com", true },
		{ "hop = *.contoso.com", true },
		{ "hop ~ mx2", false },
		{ "last ~ 'connection REFUSED'", true },
		{ "reason ~ \"timed out\"", false },
		{ "last = x", false },
		{ "age > 90m", true },
		{ "age >= 2h", true },
		{ "age < 2h", false },
		{ "age<=2h", true },
		{ "size = 10K", true },
		{ "size = 10240", true },
		{ "size > 1m", false },
		{ "attempts >= 3", true },
		{ "attempts != 3", false },
		{ "state = deferred", true },
		{ "state != Deferred", false },
		{ "state = held or state = poison", false },
		{ "not state = held", true },
		{ "not not state = held", false },
		{ "NOT (state = held OR attempts > 2)", false },
		/* `and` binds closer */
		{ "state = deferred or state = held and attempts = 99", true },
		{ "(state = deferred or state = held) and attempts = 99", false },
		{ "not state = held and attempts = 99", false },
		{ "  ( ( age>1h)and(size<1M) )  ", true },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct err e = { 0 };
		struct queue_where *w = queue_where_parse(str_c(cases[i].text), &e);
		if (w == NULL || queue_where_match(w, &row, NOW) != cases[i].hit)
			fail_msg("%s: %s", cases[i].text, w == NULL ? e.text : "wrong");
		queue_where_free(&w);
		assert_null(w);
	}
}

static void test_errors(void **state)
{
	static const struct {
		const char *text, *says;
	} cases[] = {
		{ "", "at the end: one of from" },
		{ "colour = red", "character 1, \"colour = red\": one of from" },
		{ "from", "at the end: one of = !=" },
		{ "from =", "at the end: a value" },
		{ "from < a", "character 6, \"< a\": a text is compared by" },
		{ "age ~ 2h", "a number is compared by" },
		{ "state > held", "a state is compared by = !=" },
		{ "state = idle", "one of active, deferred" },
		{ "age > soon", "a time like" },
		{ "size > 1X", "a size like" },
		{ "size > K", "a size like" },
		{ "attempts > -1", "a number is expected" },
		{ "last ~ 'open", "this quote is not closed" },
		{ "(age > 1h", "at the end: `and`, `or` or )" },
		{ "age > 1h)", "character 9, \")\": `and`, `or` or the end" },
		{ "age > 1h size > 1", "character 10" },
		{ "age > 1h and", "at the end: one of from" },
		{ "not", "at the end: one of from" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct err e = { 0 };
		struct queue_where *w = queue_where_parse(str_c(cases[i].text), &e);
		if (w != NULL || strstr(e.text, cases[i].says) == NULL)
			fail_msg("%s: %s", cases[i].text, e.text);
	}
}

static void test_limits(void **state)
{
	struct err e = { 0 };
	struct buf b;
	struct queue_where *w;

	(void)state;
	buf_init(&b, 4096);
	for (int i = 0; i < 33; i++)
		buf_addc(&b, '(');
	assert_null(queue_where_parse(buf_str(&b), &e));
	assert_non_null(strstr(e.text, "32 deep"));
	buf_reset(&b);
	buf_add(&b, S("size>1"));
	for (int i = 0; i < 31; i++)
		buf_add(&b, S(" or size>1"));
	w = queue_where_parse(buf_str(&b), &e);
	assert_non_null(w);
	assert_true(queue_where_match(w, &row, NOW));
	queue_where_free(&w);
	buf_add(&b, S(" or size>1"));
	assert_null(queue_where_parse(buf_str(&b), &e));
	assert_non_null(strstr(e.text, "more than 64"));
	buf_reset(&b);
	while (b.n <= QUEUE_WHERE_MAX)
		buf_addc(&b, ' ');
	assert_null(queue_where_parse(buf_str(&b), &e));
	assert_int_equal(e.code, ERR_TOO_BIG);
	buf_fini(&b);
}

static void test_hop(void **state)
{
	(void)state;
	assert_true(str_eq(queue_hop_of(S("4.4.1 mx.example[192.0.2.1]: refused")), S("mx.example")));
	assert_true(str_eq(queue_hop_of(S("4.2.1 later, says [somebody]")), S("")));
	assert_true(str_eq(queue_hop_of(STR_NONE), S("")));
	assert_true(str_eq(queue_domain_of(S("a@b@c.example")), S("c.example")));
	assert_true(str_eq(queue_domain_of(STR_NONE), S("")));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_matches), cmocka_unit_test(test_errors),
					    cmocka_unit_test(test_limits), cmocka_unit_test(test_hop) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
