/* smtpd/switch_check_test.c: the checks before a switch, each against findings that pass and that do not. */
#include "smtpd/switch_check.h"
#include "tests/unit.h"

#include <string.h>

static struct conf_space local_space = { .local = true };
static struct conf_send sends[] = {
	{ .name = STR_LIT("to-cloud"), .peer = true, .tls = TLS_DOMAIN, .enabled = true },
	{ .name = STR_LIT("mailboxes"), .spaces = &local_space, .space_n = 1, .enabled = true },
	{ .name = STR_LIT("internet"), .enabled = true },
	{ .name = STR_LIT("old-cloud"), .peer = true, .tls = TLS_MAY },
};
static struct conf_domain domains[] = {
	{ .name = STR_LIT("contoso.com") },
	{ .name = STR_LIT("shared.example"), .type = DOMAIN_INTERNAL_RELAY },
};

static struct config config_of(void)
{
	return (struct config){
		.sends = sends,
		.send_n = 4,
		.domains = domains,
		.domain_n = 2,
		.limits.message_max = 1000,
		.mode = { .ttl_max_ms = 3600000, .probe_age_ms = 900000, .table_age_ms = 86400000, .queue_max = 10 }
	};
}

/* What a healthy pair shows. */
static struct check_findings healthy(const struct config *c)
{
	struct check_findings f = { .now_ms = INT64_C(1) << 40, .waiting = 10 };

	switch_check_plan(c, S("ann@contoso.com"), S("bob@contoso.mail.cloud.example"), &f);
	for (size_t i = 0; i < f.probe_n; i++) {
		f.probes[i].done = true;
		f.probes[i].hosts = f.probes[i].good = 2;
		f.probes[i].size_min = 1000;
	}
	for (size_t i = 0; i < f.mx_n; i++)
		f.mx[i] = (struct check_mx){ f.mx[i].domain, DNS_OK, true, 3600 };
	for (size_t i = 0; i < f.mx_n; i++)
		f.spf[i] = (struct check_spf){ .done = true, .result = SPF_COVERED };
	f.replay = (struct check_replay){ .messages = 100, .recipients = 120, .changed = 50 };
	f.table.imported_ms = f.now_ms - 86400000;
	return f;
}

static enum check_result result(const struct config *c, const struct check_findings *f, const char *name)
{
	struct switch_check out[SWITCH_CHECKS_MAX];
	size_t n = switch_check_judge(c, f, out);

	for (size_t i = 0; i < n; i++)
		if (strcmp(out[i].name, name) == 0)
			return out[i].result;
	fail_msg("no check %s", name);
	return CHECK_FAIL;
}

static void test_plan(void **state)
{
	struct config c = config_of();
	struct check_findings f = healthy(&c);

	(void)state;
	check(f.probe_n == 2 && f.mx_n == 2, "the peer's and the mailboxes', not the Internet's, nor a disabled one");
	check(strcmp(f.probes[0].rcpt, "bob@contoso.mail.cloud.example") == 0, "its mailbox");
	check(strcmp(f.probes[1].rcpt, "ann@contoso.com") == 0, "ours");
}

static void test_healthy(void **state)
{
	struct switch_check out[SWITCH_CHECKS_MAX];
	struct config c = config_of();
	struct check_findings f = healthy(&c);
	size_t n = switch_check_judge(&c, &f, out);

	(void)state;
	check(switch_failed(out, n) == 0, "nothing fails");
	for (size_t i = 0; i < n; i++) {
		check(out[i].result == CHECK_PASS, out[i].name);
		check(switch_check_known(str_c(out[i].name)), out[i].name);
	}
	check(!switch_check_known(S("nonsense")), "a name");
}

static void test_spf(void **state)
{
	struct config c = config_of();
	struct check_findings f = healthy(&c);

	(void)state;
	f.spf[1].result = SPF_UNKNOWN;
	check(result(&c, &f, "spf") == CHECK_SKIPPED, "cannot tell");
	f.spf[0].result = SPF_NOT_COVERED;
	check(result(&c, &f, "spf") == CHECK_FAIL, "not covered, and another cannot be told");
	f.spf_lacks = "egress.cloud_addresses";
	check(result(&c, &f, "spf") == CHECK_SKIPPED, "nothing to compare with");
	f = healthy(&c);
	f.spf[1].done = false;
	check(result(&c, &f, "spf") == CHECK_SKIPPED, "one was not looked up");
}

static void test_simulation(void **state)
{
	struct config c = config_of();
	struct check_findings f = healthy(&c);

	(void)state;
	f.replay.loops = 1;
	check(result(&c, &f, "simulation") == CHECK_FAIL, "a loop");
	f.replay.loops = 0;
	f.replay.refused = 1;
	check(result(&c, &f, "simulation") == CHECK_FAIL, "a refusal");
	f.replay.failed = true;
	check(result(&c, &f, "simulation") == CHECK_SKIPPED, "not readable");
	f.replay = (struct check_replay){ .no_log = "none" };
	check(result(&c, &f, "simulation") == CHECK_SKIPPED, "no log");
}

static void test_failures(void **state)
{
	struct connector_stats st = { .name = "to-cloud" };
	struct config c = config_of();
	struct check_findings f = healthy(&c);

	(void)state;
	f.probes[0].good = 1;
	check(result(&c, &f, "peer-connector") == CHECK_FAIL, "half of its hosts, and no success known");
	check(result(&c, &f, "peer-rcpt") == CHECK_FAIL, "half of its hosts");
	f.stats = &st;
	f.stat_n = 1;
	st.ok_ms = f.now_ms - 900000;
	check(result(&c, &f, "peer-connector") == CHECK_PASS, "worked lately");
	st.ok_ms--;
	check(result(&c, &f, "peer-connector") == CHECK_FAIL, "too long ago");
	st.ok_ms = f.now_ms - 10;
	st.failed_ms = f.now_ms - 9;
	check(result(&c, &f, "peer-connector") == CHECK_FAIL, "failing since");
	f = healthy(&c);
	sends[0].tls = TLS_ENCRYPT;
	check(result(&c, &f, "peer-connector") == CHECK_FAIL, "anybody's certificate would do");
	sends[0].tls = TLS_DOMAIN;
	f.probes[0].size_min = 999;
	check(result(&c, &f, "peer-size") == CHECK_FAIL, "takes less than we do");
	f.probes[0].size_min = 0;
	check(result(&c, &f, "peer-size") == CHECK_PASS, "names no limit");
	f.probes[0].good = 0;
	check(result(&c, &f, "peer-size") == CHECK_SKIPPED, "not asked");
	f.probes[1].rcpt[0] = '\0';
	check(result(&c, &f, "local-rcpt") == CHECK_SKIPPED, "nobody to ask for");
	f.table.imported_ms--;
	check(result(&c, &f, "table-age") == CHECK_FAIL, "old");
	f.table.imported_ms = 0;
	check(result(&c, &f, "table-age") == CHECK_PASS, "by hand");
	f.mx[1].ttl_s = 3601;
	check(result(&c, &f, "mx-ttl") == CHECK_FAIL, "one of two");
	f.mx[1].ttl_s = f.mx[0].ttl_s = -1;
	check(result(&c, &f, "mx-ttl") == CHECK_SKIPPED, "not known");
	f.waiting = 11;
	check(result(&c, &f, "queue-depth") == CHECK_FAIL, "too deep");
	f.incidents = 1;
	check(result(&c, &f, "disagreements") == CHECK_FAIL, "a table is wrong");
	domains[1].peer_type = DOMAIN_INTERNAL_RELAY;
	check(result(&c, &f, "domain-types") == CHECK_FAIL, "both relay");
	domains[1].peer_type = DOMAIN_AUTHORITATIVE;
	c.send_n = 0;
	f = healthy(&c);
	check(result(&c, &f, "peer-connector") == CHECK_FAIL, "no way to the other side");
}

static void test_waive(void **state)
{
	struct switch_check out[SWITCH_CHECKS_MAX];
	struct config c = config_of();
	struct check_findings f = healthy(&c);

	(void)state;
	f.waiting = 11;
	size_t n = switch_check_judge(&c, &f, out);
	check(switch_failed(out, n) == 1, "one");
	check(!switch_check_waive(out, n, S("spf"), S("uid 0"), S("so")), "it did not fail");
	check(switch_check_waive(out, n, S("queue-depth"), S("uid 0"), S("so")), "waived");
	check(switch_failed(out, n) == 0, "none");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plan),       cmocka_unit_test(test_healthy),  cmocka_unit_test(test_spf),
		cmocka_unit_test(test_simulation), cmocka_unit_test(test_failures), cmocka_unit_test(test_waive),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
