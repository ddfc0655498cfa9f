/* connectors/header_policy_test.c: names and their kinds, whose Authentication-Results, who is trusted.
 * (The table itself is held to its word by tests/vectors/headers.csv.) */
#include "connectors/header_policy.h"
#include "tests/unit.h"

static enum header_kind kind_of(struct str name, struct str value)
{
	const struct header_own own = { { STR_LIT("mx.ours.example"), STR_LIT("second.ours.example.") } };
	const struct header_field f = { .name = name, .value = value };

	return header_classify(&f, &own);
}

static void test_names(void **state)
{
	static const struct {
		struct str name;
		enum header_kind kind;
	} rows[] = {
		{ STR_LIT("Subject"), HEADER_OTHER },
		{ STR_LIT("X"), HEADER_OTHER },
		{ STR_LIT("x-ms-exchange-ORGANIZATION-SCL"), HEADER_ORGANIZATION },
		{ STR_LIT("X-MS-Exchange-Organization"), HEADER_OTHER },
		{ STR_LIT("X-MS-Exchange-Organization-Journal-Report"), HEADER_ORG_JOURNAL },
		{ STR_LIT("X-MS-Exchange-Organization-Journal-Reports"), HEADER_ORGANIZATION },
		{ STR_LIT("X-OriginatorOrg"), HEADER_ORIGINATOR },
		{ STR_LIT("X-OriginatorOrg2"), HEADER_OTHER },
		{ STR_LIT("X-Tombolo-Route"), HEADER_TOKEN },
		{ STR_LIT("X-Tombolo-Routes"), HEADER_GATEWAY },
		{ STR_LIT("Received-SPF"), HEADER_OTHER },
		{ STR_LIT("X-Received"), HEADER_OTHER },
		{ STR_LIT("Resent-Bcc"), HEADER_HOPS },
		{ STR_LIT("X-MS-Exchange-Generated-Message-Source"), HEADER_LOOP },
		{ STR_LIT("X-Forefront-Antispam-Report-Untrusted"), HEADER_SPAM_DOUBTED },
		{ STR_LIT("X-CrossPremisesHeadersFilteredBySendConnector"), HEADER_EVIDENCE },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		check(kind_of(rows[i].name, STR_NONE) == rows[i].kind, rows[i].name.p);
}

/* Hardening HY-3 and then some. */
static void test_results(void **state)
{
	static const struct {
		struct str value;
		bool own;
	} rows[] = {
		{ STR_LIT(" mx.ours.example; dmarc=pass"), true },
		{ STR_LIT("mx.ours.example"), true },
		{ STR_LIT("\r\n mx.ours.example;\r\n dmarc=pass"), true },
		{ STR_LIT(" (a (nested \\) one)) mx.ours.example; x"), true },
		{ STR_LIT(" ()\r\n\t()mx.ours.example(x); x"), true },
		{ STR_LIT(" \"mx.ours.example\"; x"), true },
		{ STR_LIT(" \"mx.\\ours.example\"; x"), true },
		{ STR_LIT(" \" mx.ours.example \"; x"), true },
		{ STR_LIT(" MX.OURS.EXAMPLE; x"), true },
		{ STR_LIT(" mx.ours.example.; x"), true },
		{ STR_LIT(" mx.ours.example 1; x"), true },
		{ STR_LIT(" mx.ours.example\t;"), true },
		{ STR_LIT(" second.ours.example; x"), true },
		{ STR_LIT(" other.example; mx.ours.example"), false },
		{ STR_LIT(" mx.ours.example.evil.example; x"), false },
		{ STR_LIT(" mx.ours; x"), false },
		{ STR_LIT(" (mx.ours.example) other.example; x"), false },
		{ STR_LIT(" (open mx.ours.example"), true }, /* nobody knows who reads this how */
		{ STR_LIT(" (open mx.other.example"), false },
		{ STR_LIT(""), false },
		{ STR_LIT(" \""), false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		check(kind_of(S("authentication-results"), rows[i].value) ==
			      (rows[i].own ? HEADER_RESULTS_OWN : HEADER_RESULTS),
		      rows[i].value.p);
}

static void test_trust(void **state)
{
	static const struct {
		struct attribution a;
		unsigned perms;
		enum header_trust trust;
	} rows[] = {
		{ { .origin = ENV_INTERNET }, PERM_SUBMIT, TRUST_INTERNET },
		{ { .origin = ENV_INTERNET }, PERM_HDR_ORG, TRUST_INTERNET },
		{ { .origin = ENV_PARTNER }, PERM_HDR_ORG, TRUST_PARTNER },
		{ { .origin = ENV_PEER }, PERM_HDR_ORG, TRUST_INTERNET },
		{ { .origin = ENV_PEER, .trusted = true }, 0, TRUST_PEER },
		{ { .origin = ENV_LOCAL }, PERM_HDR_ORG, TRUST_SERVER },
		{ { .origin = ENV_LOCAL }, PERM_SUBMIT, TRUST_CLIENT },
		{ { .origin = ENV_APP }, PERM_SUBMIT, TRUST_CLIENT },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		assert_int_equal(header_trust_of(&rows[i].a, rows[i].perms), rows[i].trust);
}

static const char conf[] =
	"hostname = gw.contoso.example\n"
	"tls { certificate = /c; key = /k }\n"
	"domain \"contoso.example\" { type = authoritative; routing_domain = cloud.contoso.example }\n"
	"domain \"sub.example\" { match_subdomains = yes }\n"
	"domain \"guest.example\" { type = external-relay }\n"
	"receive \"inet\" { listen = {\"127.0.0.1:25\"}; permissions = {anonymous} }\n"
	"receive \"hub\" { listen = {\"127.0.0.1:26\"}; permissions = {servers} }\n"
	"inbound \"cloud\" { type = peer; sender_certificate = {\"cloud.example\"}; cloud_mail = yes }\n"
	"inbound \"shy\" { type = peer; sender_certificate = {\"shy.example\"} }\n"
	"send \"out\" { space = {\"*\"} }\n"
	"send \"in\" { space = {\"@local\"}; smarthosts = {\"a.example\"} }\n"
	"send \"both\" { space = {\"@local\", \"b.example\"}; smarthosts = {\"a.example\"} }\n"
	"send \"peer\" { space = {\"@peer\"}; tls = domain; tls_domain = cloud.example; xoorg = contoso.example }\n"
	"send \"plain\" { space = {\"p.example\"}; tls = domain; peer = yes; cloud_mail = no }\n"
	"send \"open\" { space = {\"o.example\"}; clean_headers = no }\n";

static const struct conf_send *send_named(const struct config *c, const char *name)
{
	for (size_t i = 0; i < c->send_n; i++)
		if (str_eq(c->sends[i].name, str_c(name)))
			return &c->sends[i];
	return NULL;
}

static void test_config(void **state)
{
	struct buf errors;

	(void)state;
	buf_init(&errors, 10000);
	struct config *c = config_parse(str_c(conf), "f", &errors);
	assert_non_null(c);
	assert_int_equal(header_target_of(send_named(c, "out")), TARGET_INTERNET);
	assert_int_equal(header_target_of(send_named(c, "in")), TARGET_INTERNAL);
	assert_int_equal(header_target_of(send_named(c, "both")), TARGET_INTERNET);
	assert_int_equal(header_target_of(send_named(c, "peer")), TARGET_PEER);
	assert_int_equal(header_target_of(send_named(c, "plain")), TARGET_INTERNET);
	assert_int_equal(header_target_of(send_named(c, "open")), TARGET_INTERNAL);

	assert_true(header_sender_ours(c, S("a@Contoso.example")));
	assert_true(header_sender_ours(c, S("a@x.sub.example")));
	assert_false(header_sender_ours(c, S("a@x.contoso.example")));
	assert_false(header_sender_ours(c, S("a@xsub.example")));
	assert_false(header_sender_ours(c, S("a@guest.example")));
	assert_false(header_sender_ours(c, STR_NONE));

	struct envelope env = { .origin = ENV_PEER, .org = ENV_ORG_OK, .inbound = S("cloud"), .receive = S("inet") };
	assert_int_equal(header_trust_stored(c, &env), TRUST_PEER);
	env.inbound = S("shy");
	assert_int_equal(header_trust_stored(c, &env), TRUST_INTERNET);
	env = (struct envelope){ .origin = ENV_LOCAL, .receive = S("hub") };
	assert_int_equal(header_trust_stored(c, &env), TRUST_SERVER);
	assert_true(str_eq(header_claim_for(&env, send_named(c, "peer")), S("contoso.example")));
	assert_int_equal(header_claim_for(&env, send_named(c, "out")).n, 0);
	env.origin = ENV_SELF;
	assert_int_equal(header_trust_stored(c, &env), TRUST_SERVER);
	env.receive = S("inet");
	assert_int_equal(header_trust_stored(c, &env), TRUST_INTERNET);
	env.receive = STR_NONE;
	assert_int_equal(header_trust_stored(c, &env), TRUST_SERVER);
	config_unref(&c);
	buf_fini(&errors);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_names), cmocka_unit_test(test_results),
					    cmocka_unit_test(test_trust), cmocka_unit_test(test_config) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
