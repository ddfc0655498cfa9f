/* connectors/report_test.c: who reads what, and how many leave. */
#include "connectors/report.h"

#include "tests/unit.h"

static const struct {
	const char *name;
	bool hop, inside, for_us;
	const char *said, *text;
	const char *mta, *diagnostic, *reason; /* wanted */
	bool own_words;
} rows[] = {
	{ "ours, from an inner server", true, true, true, "550 5.7.1 no, says ex1.corp", "ex1[10.0.0.1] said: ...",
	  "ex1.corp", "550 5.7.1 no, says ex1.corp", "it is shut; it can be mended by the administrator (WHY R1)",
	  false },
	{ "a stranger, from an inner server", true, true, false, "550 5.7.1 no, says ex1.corp",
	  "ex1[10.0.0.1] said: ...", "", "550 5.7.1 no, says ...", "", false },
	{ "a stranger: names and addresses of hosts go, those of people stay", true, true, false,
	  "550 u@x.example is full. Try [10.0.0.1] fe80::1 10.0.0.1:25 later", "x", "",
	  "550 u@x.example is full. Try ... ... ... later", "", false },
	{ "a stranger, from a stranger's server", true, false, false, "550 5.7.1 full", "x", "ex1.corp",
	  "550 5.7.1 full", "", false },
	{ "ours, our own words", false, false, true, "", "connector to-cloud is closed", "ex1.corp",
	  "connector to-cloud is closed", "it is shut; it can be mended by the administrator (WHY R1)", true },
	{ "a stranger, our own words", false, false, false, "", "connector to-cloud is closed", "", "", "", true },
};

static void test_words(void **state)
{
	struct smtp_where where = { .host = "ex1.corp" };
	struct arena arena;

	(void)state;
	arena_init(&arena, 64 * 1024);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct plan p = {
			.rcpt = { .said = str_c(rows[i].said), .text = str_c(rows[i].text), .result = RCPT_FAILED },
			.hop = rows[i].hop ? (struct hop *)(uintptr_t)&where : NULL, /* only its presence counts */
			.inside = rows[i].inside,
			.where = &where,
			.cause = "it is shut",
			.fixer = "administrator",
			.rule = "R1",
			.reason = "WHY"
		};
		struct dsn_rcpt out = { 0 };
		report_words(&p, rows[i].for_us, &arena, &out);
		check_str(out.remote_mta, str_c(rows[i].mta), rows[i].name);
		check_str(out.diagnostic, str_c(rows[i].diagnostic), rows[i].name);
		check_str(out.reason, str_c(rows[i].reason), rows[i].name);
		check(out.own_words == rows[i].own_words, rows[i].name);
	}
	arena_fini(&arena);
}

static void test_for_us(void **state)
{
	struct conf_domain domains[] = {
		{ .name = S("contoso.com"), .routing_domain = S("contoso.mail.cloud.example") },
		{ .name = S("fabrikam.example"), .match_subdomains = true },
	};
	const struct config c = { .domains = domains, .domain_n = 2 };
	static const struct {
		const char *sender;
		bool ours;
	} senders[] = {
		{ "a@contoso.com", true },
		{ "a@Contoso.COM", true },
		{ "a@contoso.mail.cloud.example", true },
		{ "a@sub.fabrikam.example", true },
		{ "a@sub.contoso.com", false },
		{ "a@notfabrikam.example", false },
		{ "\"a@contoso.com\"@x.example", false },
		{ "postmaster", false },
		{ "", false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(senders); i++)
		check(report_is_for_us(&c, str_c(senders[i].sender)) == senders[i].ours, senders[i].sender);
}

/* A hundred thousand forged senders (DoS-13): what leaves in a minute is bounded, whatever their domains are. */
static void test_storm(void **state)
{
	const struct conf_queue conf = { .report_rate = 600, .report_rate_domain = 60 };
	static struct report_limits l;
	size_t one = 0, all = 0;
	char sender[64];

	(void)state;
	for (int64_t i = 0; i < 100000; i++)
		one += report_may_go(&l, &conf, S("victim@Forged.example"), 1, 1000000 + i * 60000 / 100000);
	check(one >= 60 && one <= 70, "one domain: sixty a minute and what was saved");
	for (int64_t i = 0; i < 100000; i++) {
		snprintf(sender, sizeof sender, "a@d%lld.example", (long long)i);
		all += report_may_go(&l, &conf, str_c(sender), 1, 2000000 + i * 60000 / 100000);
	}
	check(all >= 600 && all <= 700, "all: six hundred and what was saved");
	check(report_may_go(&l, &(struct conf_queue){ 0 }, S("a@b.example"), 2, 1), "no limits");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_for_us),
		cmocka_unit_test(test_storm),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
