/* Tests of connectors/validity.c: states, the first difference, and since when. */
#include "connectors/validity.h"

#include "tests/unit.h"

#define BASE (EHLO_SIZE | EHLO_8BITMIME | EHLO_CHUNKING | EHLO_XOORG)

static const int64_t day_ms = 86400000;

static struct valid_host host(const char *ip, unsigned caps, uint64_t size)
{
	struct valid_host h = { .greeted = true, .caps = caps, .size = size };

	snprintf(h.host, sizeof h.host, "mx.example");
	snprintf(h.ip, sizeof h.ip, "%s", ip);
	return h;
}

static struct valid_host failed(const char *ip, const char *stage, enum smtp_why why)
{
	struct valid_host h = host(ip, 0, 0);

	h.failed = true;
	h.stage = stage;
	h.why = why;
	snprintf(h.says, sizeof h.says, "said so");
	return h;
}

static void test_story(void **state)
{
	static struct valid_memory memory;
	struct valid_host now[2];
	static const struct {
		struct {
			unsigned caps;
			uint64_t size;
			enum smtp_why why; /* WHY_N: fine */
		} host[2];
		enum valid_state state;
		const char *differs, *why;
		bool moved; /* since_ms */
	} rows[] = {
		{ { { BASE, 1000, WHY_N }, { BASE, 0, WHY_N } }, VALID_OK, "", "", true },
		{ { { BASE, 1000, WHY_N }, { BASE, 0, WHY_N } }, VALID_OK, "", "", false },
		{ { { BASE, 999, WHY_N }, { BASE, 0, WHY_N } },
		  VALID_DEGRADED,
		  "SIZE",
		  "takes 999 bytes, and took 1000",
		  true },
		{ { { BASE & ~EHLO_XOORG, 999, WHY_N }, { BASE, 0, WHY_N } },
		  VALID_DEGRADED,
		  "XOORG",
		  "[192.0.2.0]",
		  true },
		{ { { BASE, 2000, WHY_N }, { BASE, 0, WHY_N } }, VALID_OK, "", "", true },
		{ { { BASE, 1500, WHY_N }, { BASE, 0, WHY_N } }, VALID_DEGRADED, "SIZE", "took 2000", true },
		{ { { BASE, 2000, WHY_N }, { BASE, 10, WHY_N } }, VALID_DEGRADED, "SIZE", "took 0", false },
		{ { { BASE, 0, WHY_N }, { BASE & ~EHLO_CHUNKING, 0, WHY_N } },
		  VALID_DEGRADED,
		  "CHUNKING",
		  "[192.0.2.1]",
		  true },
		{ { { 0, 0, WHY_NAME }, { BASE, 0, WHY_N } }, VALID_DEGRADED, "name", "name: said so", true },
		{ { { 0, 0, WHY_NAME }, { 0, 0, WHY_REVOKED } }, VALID_FAILED, "name", "said so", true },
		{ { { 0, 0, WHY_NAME }, { 0, 0, WHY_TIMEOUT } }, VALID_FAILED, "name", "said so", false },
		{ { { BASE, 0, WHY_N }, { 0, 0, WHY_TIMEOUT } }, VALID_DEGRADED, "timeout", "said so", true },
		{ { { BASE | EHLO_DSN, 0, WHY_N }, { BASE, 0, WHY_N } }, VALID_OK, "", "", true },
		{ { { BASE, 0, WHY_N }, { BASE, 0, WHY_N } }, VALID_DEGRADED, "DSN", "any more", true },
	};
	struct validation v = { 0 };
	(void)state;

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		int64_t at_ms = 1000 + (int64_t)i, before_ms = v.since_ms;
		for (size_t k = 0; k < 2; k++) {
			const char *ip = k == 0 ? "192.0.2.0" : "192.0.2.1";
			now[k] = rows[i].host[k].why == WHY_N
					 ? host(ip, rows[i].host[k].caps, rows[i].host[k].size)
					 : failed(ip, smtp_why_name(rows[i].host[k].why), rows[i].host[k].why);
		}
		validity_judge(now, 2, &memory, at_ms, &v);
		if (v.state != rows[i].state || strcmp(v.differs, rows[i].differs) != 0 ||
		    strstr(v.why, rows[i].why) == NULL || (rows[i].why[0] == '\0') != (v.why[0] == '\0'))
			fail_msg("row %zu: %s %s: %s", i, valid_state_name(v.state), v.differs, v.why);
		assert_int_equal(v.since_ms, rows[i].moved ? at_ms : before_ms);
		assert_int_equal(v.checked_ms, at_ms);
	}
}

static void test_edges(void **state)
{
	struct valid_memory memory = { 0 };
	struct valid_host h = host("192.0.2.0", BASE, 0), many[VALID_HOSTS_MAX + 8];
	struct validation v = { 0 };
	(void)state;

	validity_judge(NULL, 0, &memory, 5, &v); /* nothing to try: that is no good news */
	assert_int_equal(v.state, VALID_FAILED);

	h.not_after_ms = 6 * day_ms;
	validity_judge(&h, 1, &memory, 0, &v);
	assert_int_equal(v.state, VALID_DEGRADED);
	assert_string_equal(v.differs, "expiring");
	h.not_after_ms = 8 * day_ms;
	validity_judge(&h, 1, &memory, 0, &v);
	assert_int_equal(v.state, VALID_OK);

	for (size_t i = 0; i < VALID_HOSTS_MAX + 8; i++) { /* more than can be remembered */
		char ip[40];
		snprintf(ip, sizeof ip, "192.0.2.%zu", i);
		many[i] = host(ip, BASE, 0);
	}
	validity_judge(many, VALID_HOSTS_MAX + 8, &memory, 0, &v);
	assert_int_equal(v.state, VALID_OK);
	assert_int_equal(memory.n, VALID_HOSTS_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_story), cmocka_unit_test(test_edges) };

	return cmocka_run_group_tests_name("connectors/validity", tests, NULL, NULL);
}
