/* connectors/attribute_test.c: who is calling (spec 3.3, 4.3), one row a connection. */
#include "connectors/connectors.h"

#include "tests/unit.h"

static const char conf_lines[] =
	"site = onprem\n"
	"hostname = \"gw.contoso.com\"\n"
	"domain \"contoso.com\" { type = authoritative }\n"
	"tls { certificate = \"gw.pem\" key = \"gw.pem\" }\n"
	"receive \"inet\" { listen = { \"0.0.0.0:25\" } from = { \"0/0\" } permissions = { \"anonymous\" } }\n"
	"receive \"hub\" { listen = { \"0.0.0.0:25\" } from = { \"10/8\" } permissions = { \"servers\" } }\n"
	"inbound \"cloud\" { type = peer sender_certificate = { \"mail.protection.example\" } match = exchange\n"
	"  require_tls = yes cloud_mail = yes org_required = yes trusted_orgs = { \"contoso.com\", \"contoso.cloud.example\" } }\n"
	"inbound \"any-cloud\" { type = peer sender_certificate = { \"*.protection.example\" } match = exchange org_required = no }\n"
	"inbound \"old-cloud\" { type = peer sender_ip = { \"192.0.2.0/24\" } cloud_mail = yes require_tls = no }\n"
	"inbound \"close\" { type = partner sender_ip = { \"192.0.2.128/25\" } require_tls = no }\n"
	"inbound \"fabrikam\" { type = partner sender_domains = { \"*.fabrikam.example\" }\n"
	"  sender_certificate = { \"*.fabrikam.example\" } restrict_cert = yes require_tls = yes match = exchange }\n"
	"inbound \"adatum\" { type = partner sender_domains = { \"adatum.example\" } sender_ip = { \"198.51.100.0/24\" }\n"
	"  restrict_ip = yes require_tls = no }\n"
	"inbound \"off\" { type = peer sender_ip = { \"203.0.113.0/24\" } enabled = no }\n";

static const struct row {
	const char *name, *client, *cert; /* cert: its only SAN; NULL = clear, "" = TLS without certificate */
	bool bad_chain;
	const char *from, *claim;
	const char *want; /* connector how origin class org trusted code also */
} rows[] = {
	{ "stranger", "203.0.113.9", NULL, false, NULL, "", "- - INTERNET - - - 0 -" },
	{ "own server", "10.1.1.1", NULL, false, NULL, "", "- - LOCAL - - - 0 -" },
	{ "cloud, our organisation", "203.0.113.9", "mail.protection.example", false, "a@contoso.com", "contoso.com",
	  "cloud cert:mail.protection.example PEER EXT OK trusted 0 any-cloud" },
	{ "HY-1: cloud, another organisation", "203.0.113.9", "mail.protection.example", false, "ceo@contoso.com",
	  "evil.example", "cloud cert:mail.protection.example PEER EXT OTHER - 0 any-cloud" },
	{ "HY-1: cloud, no claim", "203.0.113.9", "mail.protection.example", false, "", "",
	  "cloud cert:mail.protection.example PEER EXT NONE - 0 any-cloud" },
	{ "a chain that does not hold proves nothing", "203.0.113.9", "mail.protection.example", true, NULL,
	  "contoso.com", "- - INTERNET - - - 0 -" },
	{ "TLS without certificate", "203.0.113.9", "", false, NULL, "contoso.com", "- - INTERNET - - - 0 -" },
	{ "wildcard pattern", "203.0.113.9", "eu.protection.example", false, NULL, "",
	  "any-cloud cert:eu.protection.example PEER EXT OK - 0 -" },
	{ "exact pattern beats wildcard and own range", "10.1.1.1", "mail.protection.example", false, NULL,
	  "contoso.com", "cloud cert:mail.protection.example PEER EXT OK trusted 0 any-cloud" },
	{ "look-alike", "203.0.113.9", "mail.protection.example.evil.test", false, NULL, "contoso.com",
	  "- - INTERNET - - - 0 -" },
	{ "by address: peer, no trust and no relay without a claim", "192.0.2.9", NULL, false, NULL, "",
	  "old-cloud ip:192.0.2.0/24 PEER EXT NONE - 0 -" },
	{ "longest prefix", "192.0.2.200", NULL, false, NULL, "", "close ip:192.0.2.128/25 PARTNER - - - 0 old-cloud" },
	{ "disabled", "203.0.113.9", NULL, false, NULL, "", "- - INTERNET - - - 0 -" },
	{ "partner by sender domain, no certificate", "203.0.113.9", "", false, "x@sub.fabrikam.example", "",
	  "fabrikam p1:*.fabrikam.example PARTNER - - - 550 -" },
	{ "partner in clear", "203.0.113.9", NULL, false, "x@fabrikam.example", "",
	  "fabrikam p1:*.fabrikam.example PARTNER - - - 530 -" },
	{ "partner by certificate", "203.0.113.9", "mx.fabrikam.example", false, "x@fabrikam.example", "",
	  "fabrikam cert:mx.fabrikam.example PARTNER - - - 0 -" },
	{ "a partner's certificate for a foreign sender", "203.0.113.9", "mx.fabrikam.example", false,
	  "x@other.example", "", "- - INTERNET - - - 0 -" },
	{ "a partner's report", "203.0.113.9", "mx.fabrikam.example", false, "", "",
	  "fabrikam cert:mx.fabrikam.example PARTNER - - - 0 -" },
	{ "restricted to addresses: outside", "203.0.113.9", NULL, false, "x@adatum.example", "",
	  "adatum p1:adatum.example PARTNER - - - 550 -" },
	{ "restricted to addresses: inside", "198.51.100.7", NULL, false, "x@adatum.example", "",
	  "adatum ip:198.51.100.0/24 PARTNER - - - 0 -" },
	{ "not its sub-domain", "203.0.113.9", NULL, false, "x@mail.adatum.example", "", "- - INTERNET - - - 0 -" },
};

static void put(struct buf *b, const struct attribution *a)
{
	static const char *const origins[] = { "INTERNET", "PEER", "LOCAL", "APP", "PARTNER", "SELF" };
	static const char *const classes[] = { "-", "INT", "EXT" };
	static const char *const orgs[] = { "-", "OK", "OTHER" };

	buf_addf(b, STR_FMT " " STR_FMT " %s %s %s %s %d " STR_FMT,
		 STR_ARG(a->inbound != NULL ? a->inbound->name : S("-")), STR_ARG(a->how.n > 0 ? a->how : S("-")),
		 origins[a->origin], classes[a->class],
		 a->origin == ENV_PEER && a->org == ENV_ORG_NONE ? "NONE" : orgs[a->org], a->trusted ? "trusted" : "-",
		 a->refused.code, STR_ARG(a->also != NULL ? a->also->name : S("-")));
}

static void run_row(const struct config *c, const struct row *r)
{
	struct str san = str_c(r->cert);
	struct tls_peer peer = { .has_certificate = san.n > 0,
				 .chain_ok = !r->bad_chain,
				 .ids = { .sans = &san, .san_n = san.n > 0 } };
	struct caller k = { .secured = r->cert != NULL,
			    .peer = r->cert != NULL ? &peer : NULL,
			    .from = str_c(r->from),
			    .at_mail = r->from != NULL,
			    .claim = str_c(r->claim) };
	struct attribution a;
	struct buf got;

	assert_true(net_parse_ip(str_c(r->client), 4711, &k.client));
	k.receive = receive_select(c, NULL, &k.client);
	attribute(c, &k, &a);
	buf_init(&got, 1000);
	put(&got, &a);
	check_str(buf_str(&got), str_c(r->want), r->name);
	buf_fini(&got);
}

static void test_rows(void **state)
{
	struct config *c;
	struct buf errors;

	(void)state;
	buf_init(&errors, 16 * 1024);
	c = config_parse(str_c(conf_lines), "test", &errors);
	if (c == NULL)
		fail_msg("%s", buf_cstr(&errors));
	for (size_t i = 0; i < COUNT(rows); i++)
		run_row(c, &rows[i]);
	buf_fini(&errors);
	config_unref(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
