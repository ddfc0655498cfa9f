/* smtpd/cli_top_test.c: rates between two looks. */
#include "smtpd/cli_top.h"
#include "tests/unit.h"

static const char *answers[2]; /* to status, to connector hops */

static json_t *ask(void *arg, const char *noun, const char *name)
{
	(void)arg;
	(void)name;
	return json_loads(answers[str_eq(str_c(noun), S("connector"))], 0, NULL);
}

#define STATUS(messages, delivered, scarce) \
	"[{\"hostname\": \"mail.contoso.com\", \"site\": \"onprem\", \"uptime_ms\": 61000, \"mode\": {\"mode\": \"M2\"}," \
	" \"queue\": {\"messages\": 7, \"recipients\": 9, \"deferred\": 3, \"leased\": 1, \"bytes\": 2048, \"delivered\": " delivered \
	", \"failed\": 0, \"read_only\": false}, \"pressure\": {\"short_of\": \"" scarce \
	"\", \"shed\": \"strangers\"}," \
	" \"sessions\": {\"messages\": " messages ", \"connections\": 5, \"connections_open\": 4}}]"
#define HOPS(sent) \
	"[{\"hop\": \"net/\\u001b[2J.example\", \"waiting\": 12, \"open\": 2, \"sent\": " sent \
	", \"deferred\": 0, \"last_error\": \"\"}]"

static void test_rates(void **state)
{
	struct top top = { 0 };
	struct buf out;

	(void)state;
	buf_init(&out, 65536);
	answers[0] = STATUS("100", "40", "");
	answers[1] = HOPS("40");
	assert_true(top_frame(&top, ask, NULL, 1000000, &out));
	assert_non_null(strstr(buf_cstr(&out), "mode M2"));
	assert_non_null(strstr(buf_cstr(&out), "in            0 msg/s")); /* there is nothing to compare with */
	assert_null(strstr(buf_cstr(&out), "short of"));
	assert_null(strchr(buf_cstr(&out), '\x1b')); /* names come from strangers */

	buf_reset(&out);
	answers[0] = STATUS("600", "140", "disk high");
	answers[1] = HOPS("140");
	assert_true(top_frame(&top, ask, NULL, 1002000, &out));
	assert_non_null(strstr(buf_cstr(&out), "in          250 msg/s"));
	assert_non_null(strstr(buf_cstr(&out), "out          50 rcpt/s"));
	assert_non_null(strstr(buf_cstr(&out), "short of disk high; turned away: strangers"));
	assert_non_null(strstr(buf_cstr(&out), "      12      2       50        0"));

	buf_reset(&out);
	answers[0] = STATUS("10", "1", ""); /* started anew */
	assert_true(top_frame(&top, ask, NULL, 1004000, &out));
	assert_non_null(strstr(buf_cstr(&out), "in            0 msg/s"));
	answers[0] = "{";
	assert_false(top_frame(&top, ask, NULL, 1006000, &out));
	top_fini(&top);
	buf_fini(&out);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_rates) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
