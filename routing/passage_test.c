/* routing/passage_test.c: what the path vectors do not say: redirections of the table, the other side's types, two
 * sides that do not know each other. */
#include "routing/passage.h"
#include "tests/unit.h"

static struct passage_side side(enum conf_site site, enum rcpt_kind kind)
{
	return (struct passage_side){ .facts = { .site = site, .mx = SIDE_ONPREM, .kind = kind }, .knows_peer = true };
}

static void test_mirror(void **state)
{
	static const struct {
		enum rcpt_kind here, there;
		enum conf_domain_type type;
	} rows[] = {
		{ KIND_LOCAL, KIND_REMOTE, DOMAIN_AUTHORITATIVE },
		{ KIND_REMOTE, KIND_LOCAL, DOMAIN_AUTHORITATIVE },
		{ KIND_ROUTING_SELF, KIND_ROUTING_PEER, DOMAIN_AUTHORITATIVE },
		{ KIND_ROUTING_PEER, KIND_ROUTING_SELF, DOMAIN_AUTHORITATIVE },
		{ KIND_UNK_AUTH, KIND_UNK_AUTH, DOMAIN_AUTHORITATIVE },
		{ KIND_UNK_AUTH, KIND_UNK_RELAY_PEER, DOMAIN_INTERNAL_RELAY },
		{ KIND_UNK_RELAY_PEER, KIND_UNK_AUTH, DOMAIN_AUTHORITATIVE },
		{ KIND_EXTERNAL, KIND_EXTERNAL, DOMAIN_AUTHORITATIVE },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		check(passage_mirror(rows[i].here, rows[i].type) == rows[i].there, kind_name(rows[i].here));
}

static void test_contact(void **state)
{
	struct passage_side sides[2] = { side(SITE_ONPREM, KIND_EXTERNAL), side(SITE_CLOUD, KIND_EXTERNAL) };
	const struct passage_start start = { SITE_ONPREM, ENV_INTERNET, false };
	struct passage w;

	(void)state;
	passage_rcpt(sides, &start, &w);
	assert_int_equal(w.end, PASSAGE_REJECTED); /* relaying for strangers */
	sides[SITE_ONPREM].follows = true;
	passage_rcpt(sides, &start, &w);
	assert_int_equal(w.end, PASSAGE_SENT); /* a contact of ours: sent on as our own */
	assert_int_equal(w.n, 1);
}

/* An Internet sender has the address of the cloud's own coexistence domain: what the cloud sends on is the primary one,
 * or on-prem would take it for a loop at once (R15). */
static void test_leaves_own_routing(void **state)
{
	struct passage_side sides[2] = { side(SITE_ONPREM, KIND_ROUTING_PEER), side(SITE_CLOUD, KIND_ROUTING_SELF) };
	const struct passage_start start = { SITE_CLOUD, ENV_INTERNET, false };
	struct passage w;

	(void)state;
	sides[0].facts.cmt = sides[1].facts.cmt = true;
	passage_rcpt(sides, &start, &w);
	assert_int_equal(w.end, PASSAGE_DELIVERED);
	assert_int_equal(w.n, 3);
	check_str(str_c(w.steps[1].verdict.rule), S("R42"), "returned as central transport does");
}

/* Unknown on both sides, each takes the other for the one who knows: without recognition this goes round for ever. */
static void test_loop(void **state)
{
	struct passage_side sides[2] = { side(SITE_ONPREM, KIND_REMOTE), side(SITE_CLOUD, KIND_REMOTE) };
	const struct passage_start start = { SITE_ONPREM, ENV_LOCAL, true };
	struct passage w;

	(void)state;
	passage_rcpt(sides, &start, &w);
	check_str(str_c(w.steps[w.n - 1].verdict.rule), S("R45"), "seen as a disagreement");
	assert_int_equal(w.n, 2);
	sides[0].knows_peer = sides[1].knows_peer = false;
	passage_rcpt(sides, &start, &w);
	assert_int_equal(w.end, PASSAGE_HOPS);
	assert_int_equal(w.n, PASSAGE_STEPS_MAX);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_mirror), cmocka_unit_test(test_contact),
					    cmocka_unit_test(test_leaves_own_routing), cmocka_unit_test(test_loop) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
