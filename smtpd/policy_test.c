/* Tests of smtpd/policy: who may send, how large, and what a refusal tells to whom. */
#include "smtpd/policy.h"

#include <setjmp.h>
#include <stdarg.h>
#include <cmocka.h>
#include <string.h>

static void test_size_is_the_smaller_limit(void **state)
{
	struct config c = { .limits.message_max = 1000 };
	struct conf_receive none = { 0 }, less = { .size = 500 }, more = { .size = 5000 };

	(void)state;
	assert_int_equal(policy_size_max(&c, &none), 1000);
	assert_int_equal(policy_size_max(&c, &less), 500);
	assert_int_equal(policy_size_max(&c, &more), 1000);
}

static void test_may_send(void **state)
{
	static const struct {
		const char *name;
		unsigned perms;
		bool require_tls, secured;
		int refused_code;
		enum conf_codes codes;
		int want;
	} cases[] = {
		{ "plain submission", PERM_SUBMIT, false, false, 0, CODES_STANDARD, 0 },
		{ "TLS wanted, none there", PERM_SUBMIT, true, false, 0, CODES_STANDARD, 530 },
		{ "the same in Exchange's words", PERM_SUBMIT, true, false, 0, CODES_EXCHANGE, 451 },
		{ "TLS wanted and there", PERM_SUBMIT, true, true, 0, CODES_STANDARD, 0 },
		{ "no permission", 0, false, true, 0, CODES_STANDARD, 550 },
		{ "attribution refuses first", PERM_SUBMIT, true, false, 554, CODES_STANDARD, 554 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		struct conf_receive r = { .perms = cases[i].perms, .require_tls = cases[i].require_tls };
		struct attribution who = { .refused = { .code = cases[i].refused_code } };
		struct reply why = { 0 };
		bool may = policy_may_send(&r, &who, cases[i].secured, cases[i].codes, &why);
		if (may != (cases[i].want == 0) || why.code != cases[i].want)
			fail_msg("%s: got %d, wanted %d", cases[i].name, why.code, cases[i].want);
	}
}

static void test_xoorg_only_for_a_proven_peer(void **state)
{
	struct conf_inbound peer = { .type = INBOUND_PEER, .cloud_mail = true };
	struct conf_inbound partner = { .type = INBOUND_PARTNER, .cloud_mail = true };
	struct conf_inbound plain = { .type = INBOUND_PEER };

	(void)state;
	assert_true(
		policy_offers_xoorg(&(struct attribution){ .inbound = &peer, .how = S("cert:mail.cloud.example") }));
	assert_false(policy_offers_xoorg(&(struct attribution){ .inbound = &peer, .how = S("ip:192.0.2.0/24") }));
	assert_false(policy_offers_xoorg(&(struct attribution){ .inbound = &partner, .how = S("cert:x.example") }));
	assert_false(policy_offers_xoorg(&(struct attribution){ .inbound = &plain, .how = S("cert:x.example") }));
	assert_false(policy_offers_xoorg(&(struct attribution){ .inbound = NULL }));
}

static void test_refusal_tells_strangers_less(void **state)
{
	struct verdict v = {
		.rule = "R45",
		.reason = "LOC-DISAGREE",
		.action = ROUTE_REJECT,
		.reply = REPLY(554, 5, 4, 6, "Mail loop (LOC-DISAGREE R45)"),
		.cause = "both sides hold the other for the mailbox's home",
		.fixer = "administrator",
	};
	char text[600];
	struct reply r;

	(void)state;
	policy_refusal(&v, ENV_INTERNET, S("id-1"), text, sizeof text, &r);
	assert_int_equal(r.code, 554);
	assert_string_equal(text, "Mail loop (LOC-DISAGREE R45), id id-1");
	policy_refusal(&v, ENV_PEER, S("id-1"), text, sizeof text, &r);
	assert_non_null(strstr(text, "both sides hold the other"));
	assert_non_null(strstr(text, "the administrator can mend it"));
	policy_refusal(&v, ENV_PEER, S("id-1"), text, 20, &r);
	assert_true(r.text.n < 20);
}

static void test_a_stale_table_queues_for_our_own(void **state)
{
	struct verdict stale = { .rule = "R03", .reason = "TABLE-STALE", .action = ROUTE_DEFER };
	const struct verdict moving = { .rule = "R44", .reason = "LOC-DISAGREE-DEFER", .action = ROUTE_DEFER };

	(void)state;
	assert_true(policy_queues(&stale, ENV_LOCAL) && policy_queues(&stale, ENV_APP));
	assert_false(policy_queues(&stale, ENV_INTERNET) || policy_queues(&stale, ENV_PEER));
	assert_false(policy_queues(&stale, ENV_PARTNER));
	assert_false(policy_queues(&moving, ENV_LOCAL));
	stale.action = ROUTE_REJECT;
	assert_false(policy_queues(&stale, ENV_LOCAL));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_size_is_the_smaller_limit),
		cmocka_unit_test(test_may_send),
		cmocka_unit_test(test_xoorg_only_for_a_proven_peer),
		cmocka_unit_test(test_a_stale_table_queues_for_our_own),
		cmocka_unit_test(test_refusal_tells_strangers_less),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
