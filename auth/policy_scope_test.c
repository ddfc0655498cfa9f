/* auth/policy_scope_test.c: who is judged, and by which address (spec 4.7). */
#include "auth/policy.h"
#include "tests/unit.h"

#include <string.h>

static struct net_addr ip(const char *s)
{
	struct net_addr a;

	if (!net_parse_ip(str_c(s), 0, &a))
		fail_msg("%s is no address", s);
	return a;
}

static const char *put_ip(const struct net_addr *a)
{
	static char room[80];
	struct buf b = { .p = room, .cap = sizeof room, .max = sizeof room - 1 };

	net_put_ip(&b, a);
	return buf_cstr(&b);
}

/* ---- where the other side had it from ---- */

#define SENDER "X-MS-Exchange-ExternalOriginalInternetSender"
#define CROSS  "X-MS-Exchange-CrossPremises-OriginalClientIPAddress"
#define ORG    "X-MS-Exchange-Organization-OriginalClientIPAddress"

static void test_original(void **state)
{
	static const struct {
		const char *fields[3][2];
		const char *want; /* NULL: nothing; "?": ambiguous */
	} rows[] = {
		{ { { "Subject", " 192.0.2.1" } }, NULL },
		{ { { CROSS, " 192.0.2.1\r\n" } }, "192.0.2.1" },
		{ { { ORG, "192.0.2.1" } }, "192.0.2.1" },
		{ { { ORG, " 2001:db8::1" } }, "2001:db8::1" },
		{ { { ORG, " [2001:db8::1]" } }, "2001:db8::1" },
		{ { { "x-ms-exchange-organization-originalclientipaddress", " 192.0.2.1" } }, "192.0.2.1" },
		{ { { SENDER, " ip=[192.0.2.1];domain=mail.x.example\r\n" } }, "192.0.2.1" },
		{ { { SENDER, " domain=x.example; IP=[2001:db8::1]" } }, "2001:db8::1" },
		{ { { ORG, " 192.0.2.1" }, { SENDER, " ip=[192.0.2.2]" } }, "192.0.2.2" },
		{ { { SENDER, " ip=[192.0.2.2]" }, { ORG, " 192.0.2.1" } }, "192.0.2.2" },
		{ { { CROSS, " 192.0.2.1" }, { ORG, " 192.0.2.1" } }, "192.0.2.1" },
		{ { { CROSS, " 192.0.2.1" }, { ORG, " 192.0.2.2" } }, "?" },
		{ { { SENDER, " ip=[192.0.2.1]" }, { SENDER, " ip=[192.0.2.2]" } }, "?" },
		{ { { ORG, " mail.x.example" } }, "?" },
		{ { { ORG, "" } }, "?" },
		{ { { SENDER, " 192.0.2.1" } }, "?" },
		{ { { SENDER, " ip=192.0.2.1 x" } }, "?" },
		{ { { ORG, " 192.0.2.1" }, { SENDER, " ip=[]" } }, "?" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct policy_original o = { 0 };
		for (size_t k = 0; k < 3 && rows[i].fields[k][0] != NULL; k++)
			policy_original_add(&o, str_c(rows[i].fields[k][0]), str_c(rows[i].fields[k][1]));
		const char *name = rows[i].fields[0][1];
		if (rows[i].want == NULL)
			check(o.rank == 0, name);
		else if (rows[i].want[0] == '?')
			check(o.rank > 0 && o.ambiguous, name);
		else
			check(o.rank > 0 && !o.ambiguous && strcmp(put_ip(&o.addr), rows[i].want) == 0, name);
	}
}

/* ---- who is judged ---- */

static void test_scope(void **state)
{
	static const struct {
		const char *name;
		enum conf_judge mode;
		enum env_origin origin;
		enum env_class class;
		enum env_org org;
		bool trusted, peer_address;
		const char *original; /* NULL: none */
		unsigned perms;
		const char *want; /* address, then ! when it is enforced; else a word of why not */
	} rows[] = {
		{ .name = "off", .mode = JUDGE_OFF, .want = "off" },
		{ .name = "the Internet, report", .mode = JUDGE_REPORT, .want = "192.0.2.1" },
		{ .name = "the Internet, enforce", .mode = JUDGE_ENFORCE, .want = "192.0.2.1!" },
		{ .name = "bypass-spam", .mode = JUDGE_ENFORCE, .perms = PERM_BYPASS_SPAM, .want = "192.0.2.1" },
		{ .name = "a peer that lost its certificate",
		  .mode = JUDGE_ENFORCE,
		  .peer_address = true,
		  .want = "not recognised" },
		{ .name = "a stranger's word on another address",
		  .mode = JUDGE_ENFORCE,
		  .original = "203.0.113.5",
		  .want = "192.0.2.1!" },
		{ .name = "the other side, not proved",
		  .mode = JUDGE_ENFORCE,
		  .origin = ENV_PEER,
		  .original = "203.0.113.5",
		  .trusted = true,
		  .want = "not proved" },
		{ .name = "another tenant",
		  .mode = JUDGE_ENFORCE,
		  .origin = ENV_PEER,
		  .org = ENV_ORG_OTHER,
		  .trusted = true,
		  .original = "203.0.113.5",
		  .want = "not proved" },
		{ .name = "the other side without header trust",
		  .mode = JUDGE_ENFORCE,
		  .origin = ENV_PEER,
		  .org = ENV_ORG_OK,
		  .original = "203.0.113.5",
		  .want = "not proved" },
		{ .name = "the other side's Internet mail",
		  .mode = JUDGE_ENFORCE,
		  .origin = ENV_PEER,
		  .org = ENV_ORG_OK,
		  .class = ENV_CLASS_EXT,
		  .trusted = true,
		  .original = "203.0.113.5",
		  .want = "203.0.113.5" },
		{ .name = "the other side's internal mail",
		  .mode = JUDGE_ENFORCE,
		  .origin = ENV_PEER,
		  .org = ENV_ORG_OK,
		  .class = ENV_CLASS_INT,
		  .trusted = true,
		  .original = "203.0.113.5",
		  .want = "internal" },
		{ .name = "the other side says nothing",
		  .mode = JUDGE_ENFORCE,
		  .origin = ENV_PEER,
		  .org = ENV_ORG_OK,
		  .class = ENV_CLASS_EXT,
		  .trusted = true,
		  .want = "does not say" },
		{ .name = "the other side names a private address",
		  .mode = JUDGE_ENFORCE,
		  .origin = ENV_PEER,
		  .org = ENV_ORG_OK,
		  .class = ENV_CLASS_EXT,
		  .trusted = true,
		  .original = "10.1.2.3",
		  .want = "none of the Internet" },
		{ .name = "... or loopback",
		  .mode = JUDGE_ENFORCE,
		  .origin = ENV_PEER,
		  .org = ENV_ORG_OK,
		  .class = ENV_CLASS_EXT,
		  .trusted = true,
		  .original = "::1",
		  .want = "none of the Internet" },
		{ .name = "... or link-local",
		  .mode = JUDGE_ENFORCE,
		  .origin = ENV_PEER,
		  .org = ENV_ORG_OK,
		  .class = ENV_CLASS_EXT,
		  .trusted = true,
		  .original = "fe80::1",
		  .want = "none of the Internet" },
		{ .name = "the other side, off",
		  .mode = JUDGE_OFF,
		  .origin = ENV_PEER,
		  .org = ENV_ORG_OK,
		  .trusted = true,
		  .original = "203.0.113.5",
		  .want = "off" },
		{ .name = "a partner", .mode = JUDGE_ENFORCE, .origin = ENV_PARTNER, .want = "partner" },
		{ .name = "a server", .mode = JUDGE_ENFORCE, .origin = ENV_LOCAL, .want = "server of ours" },
		{ .name = "a client", .mode = JUDGE_ENFORCE, .origin = ENV_APP, .want = "client of ours" },
		{ .name = "ourselves", .mode = JUDGE_ENFORCE, .origin = ENV_SELF, .want = "written by this gateway" },
	};
	const struct net_addr client = ip("192.0.2.1");

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct conf_receive r = { .dmarc.mode = rows[i].mode, .perms = rows[i].perms };
		struct policy_original o = { 0 };
		if (rows[i].original != NULL)
			policy_original_add(&o, S(ORG), str_c(rows[i].original));
		const struct policy_caller k = {
			.receive = &r,
			.origin = rows[i].origin,
			.class = rows[i].class,
			.org = rows[i].org,
			.trusted = rows[i].trusted,
			.client = &client,
			.peer_address = rows[i].peer_address,
			.original = &o,
		};
		struct policy_scope s;
		policy_scope(&k, &s);
		struct str want = str_c(rows[i].want);
		if (!chr_is_digit(want.p[0])) {
			check(!s.judged && !s.enforced && str_find(str_c(s.why), want) >= 0, rows[i].name);
			continue;
		}
		check(s.judged && s.enforced == str_ends(want, S("!")), rows[i].name);
		check(str_starts(want, str_c(put_ip(&s.client))) && s.why[0] != '\0', rows[i].name);
	}
}

static void test_peer_address(void **state)
{
	struct net_cidr range;
	struct conf_inbound in[2] = { { .type = INBOUND_PARTNER, .enabled = true },
				      { .type = INBOUND_PEER, .enabled = true } };
	struct config c = { .inbounds = in, .inbound_n = 2 };
	const struct net_addr inside = ip("203.0.113.7"), outside = ip("203.0.114.7");

	(void)state;
	assert_true(net_parse_cidr(S("203.0.113.0/24"), &range));
	in[0].ranges = in[1].ranges = &range;
	in[0].range_n = 1;
	assert_false(policy_is_peer_address(&c, &inside)); /* a partner's is no reason */
	in[1].range_n = 1;
	assert_true(policy_is_peer_address(&c, &inside));
	assert_false(policy_is_peer_address(&c, &outside));
	in[1].enabled = false;
	assert_false(policy_is_peer_address(&c, &inside));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_original),
		cmocka_unit_test(test_scope),
		cmocka_unit_test(test_peer_address),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
