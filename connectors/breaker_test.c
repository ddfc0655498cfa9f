/* connectors/breaker_test.c: the switch and the table that feeds it. */
#include "connectors/breaker.h"
#include "connectors/response.h"
#include "tests/unit.h"

static const struct breaker_rules rules = { .faults = 3, .pause_ms = 60, .pause_max_ms = 200 };

/* f fault, g good, t tried, a ask, h hurry, digits: tens of milliseconds pass.  Wanted: what each `a` says (go, try,
 * wait, hold as G T W H) and how often it opened. */
static const struct {
	const char *name, *events, *want;
	uint64_t opened_n;
} rows[] = {
	{ "closed", "a", "G", 0 },
	{ "two faults are not enough", "ffa", "G", 0 },
	{ "a delivery between them forgives", "ffgffa", "G", 0 },
	{ "the third opens", "fffa", "H", 1 },
	{ "faults that were under way change nothing", "fffffffa6a", "HT", 1 },
	{ "one trial, the others wait", "fff6aaa", "TWW", 1 },
	{ "a delivery closes it", "fff6agaa", "TGG", 1 },
	{ "a fault in the trial: longer pause, no second alarm", "fff6af6a6a", "THT", 1 },
	{ "the pause has an end", "fff6af9999af99a9a99a", "TTHTW", 1 },
	{ "a trial without an answer: the same pause", "fff6at5a1a", "THT", 1 },
	{ "tried after good is harmless", "fff6agta", "TG", 1 },
	{ "an answer that was under way closes it", "fffga", "G", 1 },
	{ "it opens again", "fffgfffa", "H", 2 },
	{ "hurry", "fffha", "T", 1 },
};

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct breakers *all = breakers_new();
		struct breaker *b = breaker_of(all, S("to-cloud"));
		struct breaker_view v;
		char says[32] = "";
		uint64_t opened_n = 0;
		int64_t now_ms = 1000;
		for (const char *e = rows[i].events; *e != '\0'; e++) {
			if (*e >= '0' && *e <= '9')
				now_ms += (*e - '0') * 10;
			else if (*e == 'f')
				opened_n += breaker_fault(b, &rules, now_ms, S("550 5.7.64 no"));
			else if (*e == 'g')
				breaker_good(b);
			else if (*e == 't')
				breaker_tried(b, now_ms);
			else if (*e == 'h')
				breaker_hurry(b);
			else
				says[strlen(says)] = "GTWH"[breaker_ask(b, now_ms)];
		}
		check_str(str_c(says), str_c(rows[i].want), rows[i].name);
		breaker_look(b, &v);
		check(v.opened_n == rows[i].opened_n && opened_n == v.opened_n, rows[i].name);
		check(breaker_of(all, S("to-cloud")) == b && breaker_of(all, S("other")) != b, "one for each name");
		breakers_free(&all);
	}
}

static void test_never(void **state)
{
	const struct breaker_rules never = { .pause_ms = 60, .pause_max_ms = 200 };
	struct breakers *all = breakers_new();
	struct breaker *b = breaker_of(all, S("x"));

	(void)state;
	for (int i = 0; i < 100; i++)
		assert_false(breaker_fault(b, &never, i, S("no")));
	assert_int_equal(breaker_ask(b, 100), BREAKER_GO);
	breakers_free(&all);
}

static const struct {
	const char *reply;
	enum response_to to;
	bool ours;
	const char *act; /* "" = none */
} replies[] = {
	{ "550 5.7.64 TenantAttribution; Relay Access Denied", RESPONSE_TO_RCPT, true, "hold" },
	{ "550 5.7.64 TenantAttribution; Relay Access Denied", RESPONSE_TO_RCPT, false, "" },
	{ "530 5.7.57 Client not authenticated", RESPONSE_TO_MAIL, true, "hold" },
	{ "550 5.7.68 TenantInboundAttribution; Direct Send not allowed", RESPONSE_TO_REST, true, "hold" },
	{ "550 5.7.51 restricted", RESPONSE_TO_RCPT, true, "hold" },
	{ "550 5.7.606 Access denied, banned sending IP", RESPONSE_TO_RCPT, true, "hold" },
	{ "550 5.7.650 other", RESPONSE_TO_RCPT, true, "" },
	{ "550 5.7.705 tenant exceeded", RESPONSE_TO_REST, true, "hold" },
	{ "550 5.7.750 unregistered", RESPONSE_TO_REST, true, "hold" },
	{ "550 5.7.230 blocked", RESPONSE_TO_RCPT, true, "hold" },
	{ "450 4.7.230 throttled", RESPONSE_TO_RCPT, true, "slow" },
	{ "451 4.7.500 Server busy", RESPONSE_TO_MAIL, false, "slow" },
	{ "451 4.7.651 too much", RESPONSE_TO_REST, true, "slow" },
	{ "451 4.7.850 too much", RESPONSE_TO_REST, true, "slow" },
	{ "451 4.7.1 greylisted", RESPONSE_TO_RCPT, true, "" },
	{ "550 5.1.1 unknown", RESPONSE_TO_RCPT, true, "" },
	{ "550 5.7.1 no", RESPONSE_TO_RCPT, true, "" },
	{ "550 4.7.64 class and code disagree", RESPONSE_TO_RCPT, true, "hold" },
	{ "452 too many recipients", RESPONSE_TO_RCPT, false, "split" },
	{ "552 too many recipients", RESPONSE_TO_RCPT, false, "split" },
	{ "451 4.5.3 too many recipients", RESPONSE_TO_RCPT, false, "split" },
	{ "552 5.3.4 too big", RESPONSE_TO_REST, false, "" },
	{ "452 4.3.1 full", RESPONSE_TO_MAIL, false, "" },
	{ "451 4.3.2 not accepting messages", RESPONSE_TO_MAIL, false, "next-host" },
	{ "451 4.3.2 thread limit", RESPONSE_TO_RCPT, false, "" },
};

static void test_responses(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(replies); i++) {
		char line[200];
		struct reply r;
		int n = snprintf(line, sizeof line, "%s\r\n", replies[i].reply);
		assert_true(reply_next((struct str){ line, (size_t)n }, false, &r) == n);
		const struct response_rule *rule = response_find(&r, replies[i].to, replies[i].ours);
		check_str(str_c(rule == NULL ? "" : response_act_name(rule->act)), str_c(replies[i].act),
			  replies[i].reply);
		if (rule != NULL && (rule->act == RESPONSE_HOLD || rule->act == RESPONSE_SLOW))
			check(rule->cause != NULL && rule->fixer != NULL && rule->todo != NULL, replies[i].reply);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_never),
		cmocka_unit_test(test_responses),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
