/* connectors/reason_test.c: the catalogue is complete, and what replies say of themselves is true. */
#include "connectors/reason.h"
#include "routing/routing.h"
#include "tests/unit.h"

/* "... (LOOP-HOPS R01)": the last words of a text name its reason. */
static void check_words(struct str text, const char *reason, const char *rule)
{
	ssize_t open = str_rchr(text, '(');
	struct str words = str_skip(text, (size_t)(open + 1)), name;

	if (open < 0)
		return;
	name = str_word(&words);
	if (rule == NULL) {
		check(str_ends(name, S(")")), reason);
		name.n--;
	}
	check_str(name, str_c(reason), reason);
	if (rule != NULL)
		check_str(str_head(str_trim(words), str_trim(words).n - 1), str_c(rule), reason);
}

static void check_code(const struct reply *r, const char *row)
{
	check(r->code >= 400 && r->code < 600, row);
	check(r->class == r->code / 100 || r->class == 0, row); /* 0: Exchange's 5.7.3 behind a 451 is text */
}

static void test_rows(void **state)
{
	(void)state;
	for (int i = 0; i < REASON_N; i++) {
		const struct reason_row *r = reason_row((enum reason)i);
		assert_non_null(r->name);
		check(r->cause != NULL && r->fixer != NULL, r->name);
		check_code(&r->standard, r->name);
		check_code(&r->exchange, r->name);
		check_code(&r->exchange_cloud, r->name);
		check_words(r->standard.text, r->name, r->rule);
		check_words(r->exchange_cloud.text, r->name, r->rule);
	}
}

static void test_rules(void **state)
{
	struct route_reason r;
	size_t n = 0, refusals = 0;

	(void)state;
	for (; route_reason_at(n, &r); n++) {
		check(r.rule != NULL && r.reason != NULL && r.says != NULL && r.cause != NULL, r.rule);
		check_str(str_c(route_cause(str_c(r.rule), str_c(r.reason))).n > 0 ? S("found") : S("missing"),
			  S("found"), r.rule);
		if (!r.refuses)
			continue;
		refusals++;
		check(r.fixer != NULL, r.rule);
		check_code(&r.standard, r.rule);
		check_code(&r.onprem, r.rule);
		check_code(&r.cloud, r.rule);
		check_words(r.standard.text, r.reason, r.rule);
	}
	assert_true(n > 30 && refusals > 15);
	assert_null(route_cause(S("R99"), S("NOTHING")));
}

/* Whatever the facts, the verdict's reason code is in the catalogue, with the codes it gives. */
static void test_every_verdict(void **state)
{
	(void)state;
	for (unsigned i = 0; i < 300000; i++) {
		uint64_t x = str_hash(str_n(&i, sizeof i), 7);
		const struct route_facts f = {
			.site = x & 1,
			.mx = x >> 1 & 1,
			.cmt = x >> 2 & 1,
			.origin = (enum env_origin)((x >> 3 & 7) % 6),
			.kind = (enum rcpt_kind)((x >> 6 & 15) % (KIND_EXTERNAL + 1)),
			.class = (enum env_class)((x >> 10 & 3) % 3),
			.org = (enum env_org)((x >> 12 & 3) % 3),
			.token_seen = x >> 14 & 1,
			.loop_is_fresh = x >> 15 & 1,
			.redirected = x >> 16 & 1,
			.moved_recently = x >> 17 & 1,
			.grace_over = x >> 18 & 1,
			.disabled = (x >> 19 & 7) == 0,
			.is_group = x >> 22 & 1,
			.auth_required = (x >> 23 & 3) == 0,
			.redirect_loop = (x >> 25 & 15) == 0,
			.table_stale = (x >> 29 & 15) == 0,
			.return_internal = x >> 33 & 1,
			.peer_relay = x >> 34 & 1,
			.routing_public = x >> 35 & 1,
			.host_is_source = x >> 36 & 1,
			.stragglers = (enum conf_stragglers)((x >> 37 & 3) % 3),
			.forwarded = x >> 39 & 1,
			.egress = { (enum conf_egress)((x >> 40 & 3) % 3), (enum conf_egress)((x >> 42 & 3) % 3) },
			.codes = x >> 44 & 1,
		};
		struct verdict v;
		struct route_reason r;
		bool there = false;
		route_decide(&f, &v, NULL);
		for (size_t k = 0; !there && route_reason_at(k, &r); k++) {
			const struct reply *reply = f.codes == CODES_STANDARD ? &r.standard
						    : f.site == SITE_CLOUD    ? &r.cloud
									      : &r.onprem;
			there = str_eq(str_c(r.rule), str_c(v.rule)) && str_eq(str_c(r.reason), str_c(v.reason)) &&
				reply->code == v.reply.code && reply->detail == v.reply.detail;
		}
		check(there, v.rule);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows), cmocka_unit_test(test_rules),
					    cmocka_unit_test(test_every_verdict) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
