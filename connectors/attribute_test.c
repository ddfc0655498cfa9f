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
	"inbound \"filter\" { type = peer sender_ip = { \"198.18.0.0/24\" } ip_trust = full ip_trust_until = 2027-06-30\n"
	"  cloud_mail = yes require_tls = no }\n"
	"inbound \"hub\" { type = peer sender_certificate = { \"mail.hub.example\" } sender_ip = { \"198.18.1.0/24\" }\n"
	"  own_tenant_only = yes require_tls = no }\n"
	"inbound \"watched\" { type = peer sender_certificate = { \"mail.watched.example\" } own_tenant_only = report }\n"
	"inbound \"tailspin\" { type = partner sender_certificate = { \"mx.tailspin.example\" } }\n"
	"inbound \"two-ways\" { type = partner sender_domains = { \"litware.example\" } sender_certificate = { \"mx.litware.example\" }\n"
	"  restrict_cert = yes require_tls = no }\n"
	"inbound \"two-ways-ip\" { type = partner sender_domains = { \"litware.example\" } sender_ip = { \"198.18.2.0/24\" }\n"
	"  restrict_ip = yes require_tls = no }\n"
	"inbound \"off\" { type = peer sender_ip = { \"203.0.113.0/24\" } enabled = no }\n";

static const struct row {
	const char *name, *client, *cert; /* cert: its only SAN; NULL = clear, "" = TLS without certificate */
	bool bad_chain;
	const char *from, *claim;
	const char *want; /* connector how origin class org trusted code also [open] [foreign] */
	const char *auth_as;
	bool header_seen;
	const char *miss; /* what attribute_miss says: "kind connector: text"; NULL = nothing */
	bool late;        /* in 2028, when ip_trust is over */
} rows[] = {
	{ "stranger", "203.0.113.9", NULL, false, NULL, "", .want = "- - INTERNET - - - 0 -" },
	{ "own server", "10.1.1.1", NULL, false, NULL, "", .want = "- - LOCAL - - - 0 -" },
	{ "cloud, our organisation", "203.0.113.9", "mail.protection.example", false, "a@contoso.com", "contoso.com",
	  .want = "cloud cert:mail.protection.example PEER EXT OK trusted 0 any-cloud" },
	{ "HY-1: cloud, another organisation", "203.0.113.9", "mail.protection.example", false, "ceo@contoso.com",
	  "evil.example", .want = "cloud cert:mail.protection.example PEER EXT OTHER - 0 any-cloud" },
	{ "HY-1: cloud, no claim", "203.0.113.9", "mail.protection.example", false, "", "",
	  .want = "cloud cert:mail.protection.example PEER EXT NONE - 0 any-cloud open" },
	{ "a chain that does not hold proves nothing", "203.0.113.9", "mail.protection.example", true, NULL,
	  "contoso.com", .want = "- - INTERNET - - - 0 -",
	  .miss = "chain cloud: its certificate names mail.protection.example, but is not trusted: expired" },
	{ "TLS without certificate", "203.0.113.9", "", false, NULL, "contoso.com", .want = "- - INTERNET - - - 0 -" },
	{ "wildcard pattern", "203.0.113.9", "eu.protection.example", false, NULL, "",
	  .want = "any-cloud cert:eu.protection.example PEER EXT OK - 0 -" },
	{ "exact pattern beats wildcard and own range", "10.1.1.1", "mail.protection.example", false, NULL,
	  "contoso.com", .want = "cloud cert:mail.protection.example PEER EXT OK trusted 0 any-cloud" },
	{ "look-alike", "203.0.113.9", "mail.protection.example.evil.test", false, NULL, "contoso.com",
	  .want = "- - INTERNET - - - 0 -",
	  .miss = "name cloud: its certificate names mail.protection.example.evil.test, which is like "
		  "mail.protection.example and does not match it" },
	{ "look-alike: below, in front of a foreign domain", "203.0.113.9", "a.mail.hub.example.evil.test", false, NULL,
	  "", .want = "- - INTERNET - - - 0 -",
	  .miss = "name hub: its certificate names a.mail.hub.example.evil.test, which is like mail.hub.example and does "
		  "not match it" },
	{ "whole labels only", "203.0.113.9", "xmail.hub.examples.evil.test", false, NULL, "",
	  .want = "- - INTERNET - - - 0 -" },
	{ "look-alike: sibling", "203.0.113.9", "mail2.hub.example", false, NULL, "", .want = "- - INTERNET - - - 0 -",
	  .miss = "name hub: its certificate names mail2.hub.example, which is like mail.hub.example and does not match it" },
	{ "look-alike: the company's wildcard", "203.0.113.9", "*.hub.example", false, NULL, "",
	  .want = "- - INTERNET - - - 0 -",
	  .miss = "name hub: its certificate names *.hub.example, which is like mail.hub.example and does not match it" },
	{ "a top-level domain is no family", "203.0.113.9", "other.example", false, NULL, "",
	  .want = "- - INTERNET - - - 0 -" },
	{ "a partner's chain", "203.0.113.9", "mx.tailspin.example", true, NULL, "", .want = "- - INTERNET - - - 0 -",
	  .miss = "chain tailspin: its certificate names mx.tailspin.example, but is not trusted: expired" },

	/* the claim, and when it comes */
	{ "header: ours, internal", "203.0.113.9", "mail.protection.example", false, "a@contoso.com", "contoso.com",
	  .want = "cloud cert:mail.protection.example PEER INT OK trusted 0 any-cloud", "Internal", true },
	{ "header: ours, anonymous", "203.0.113.9", "mail.protection.example", false, "a@contoso.com", "Contoso.COM",
	  .want = "cloud cert:mail.protection.example PEER EXT OK trusted 0 any-cloud", "Anonymous", true },
	{ "HY-1: internal without our claim", "203.0.113.9", "mail.protection.example", false, "ceo@contoso.com",
	  "evil.example", .want = "cloud cert:mail.protection.example PEER EXT OTHER - 0 any-cloud", "Internal", true },
	{ "header: no claim came", "203.0.113.9", "mail.protection.example", false, "", "",
	  .want = "cloud cert:mail.protection.example PEER EXT NONE - 0 any-cloud", "Internal", true },
	{ "HY-1: the claim of an address counts for nothing", "192.0.2.9", NULL, false, "ceo@contoso.com",
	  "contoso.com", .want = "old-cloud ip:192.0.2.0/24 PEER EXT NONE - 0 -", "Internal", true },
	{ "a stranger's claim", "203.0.113.9", NULL, false, "ceo@contoso.com", "contoso.com",
	  .want = "- - INTERNET - - - 0 -", "Internal", true },
	{ "no header trust without cloud_mail", "203.0.113.9", "mail.watched.example", false, "a@contoso.com",
	  "contoso.com", .want = "watched cert:mail.watched.example PEER EXT OK - 0 -", "Internal", true },

	/* own_tenant_only */
	{ "report: another organisation", "203.0.113.9", "mail.watched.example", false, "a@b.example", "b.example",
	  .want = "watched cert:mail.watched.example PEER EXT OTHER - 0 - foreign" },
	{ "report: not before the header", "203.0.113.9", "mail.watched.example", false, "a@b.example", "",
	  .want = "watched cert:mail.watched.example PEER EXT NONE - 0 - open" },
	{ "report: no claim", "203.0.113.9", "mail.watched.example", false, "a@b.example", "",
	  .want = "watched cert:mail.watched.example PEER EXT NONE - 0 - foreign", .header_seen = true },
	{ "refuse: another organisation", "203.0.113.9", "mail.hub.example", false, "a@b.example", "b.example",
	  .want = "hub cert:mail.hub.example PEER EXT OTHER - 550 - foreign" },
	{ "refuse: no claim", "203.0.113.9", "mail.hub.example", false, "a@b.example", "",
	  .want = "hub cert:mail.hub.example PEER EXT NONE - 550 - foreign", .header_seen = true },
	{ "own tenant", "203.0.113.9", "mail.hub.example", false, "a@contoso.com", "contoso.com",
	  .want = "hub cert:mail.hub.example PEER EXT OK - 0 -", .header_seen = true },

	/* by address */
	{ "ip_trust = full", "198.18.0.7", NULL, false, "a@contoso.com", "contoso.com",
	  .want = "filter ip:198.18.0.0/24 PEER INT OK trusted 0 -", "Internal", true },
	{ "ip_trust is over", "198.18.0.7", NULL, false, "a@contoso.com", "contoso.com",
	  .want = "- - INTERNET - - - 0 -", "Internal", true,
	  "ip-trust-over filter: it comes from sender_ip, but ip_trust ended on 2027-06-30", true },
	{ "the peer's range without its certificate", "198.18.1.7", NULL, false, NULL, "",
	  .want = "hub ip:198.18.1.0/24 PEER EXT NONE - 0 -",
	  .miss = "no-certificate hub: it comes from sender_ip, but it spoke in clear" },
	{ "the peer's range with TLS alone", "198.18.1.7", "", false, NULL, "",
	  .want = "hub ip:198.18.1.0/24 PEER EXT NONE - 0 -",
	  .miss = "no-certificate hub: it comes from sender_ip, but it showed no certificate" },
	{ "the peer's range with another certificate", "198.18.1.7", "www.other.test", false, NULL, "",
	  .want = "hub ip:198.18.1.0/24 PEER EXT NONE - 0 -",
	  .miss = "no-certificate hub: it comes from sender_ip, but its certificate does not match" },

	/* restrictions hold for whoever brings the mail */
	{ "restricted: from another partner's address", "192.0.2.200", "", false, "x@fabrikam.example", "",
	  .want = "close ip:192.0.2.128/25 PARTNER - - - 550 old-cloud" },
	{ "restricted: with another partner's certificate", "203.0.113.9", "mx.tailspin.example", false,
	  "x@fabrikam.example", "", .want = "tailspin cert:mx.tailspin.example PARTNER - - - 550 -" },
	{ "restricted: its own bad chain", "203.0.113.9", "mx.fabrikam.example", true, "x@fabrikam.example", "",
	  .want = "fabrikam p1:*.fabrikam.example PARTNER - - - 550 -",
	  .miss = "chain fabrikam: its certificate names mx.fabrikam.example, but is not trusted: expired" },
	{ "restricted: the other side passes it on", "203.0.113.9", "mail.protection.example", false,
	  "x@fabrikam.example", "contoso.com",
	  .want = "cloud cert:mail.protection.example PEER EXT OK trusted 0 any-cloud" },
	{ "restricted: our own server passes it on", "10.1.1.1", NULL, false, "x@sub.other.example", "",
	  .want = "- - LOCAL - - - 0 -" },
	{ "one of two restrictions is enough: address", "198.18.2.9", NULL, false, "x@litware.example", "",
	  .want = "two-ways-ip ip:198.18.2.0/24 PARTNER - - - 0 -" },
	{ "one of two restrictions is enough: certificate", "203.0.113.9", "mx.litware.example", false,
	  "x@litware.example", "", .want = "two-ways cert:mx.litware.example PARTNER - - - 0 -" },
	{ "none of two", "203.0.113.9", "", false, "x@litware.example", "",
	  .want = "two-ways p1:litware.example PARTNER - - - 550 two-ways-ip" },
	{ "by address: peer, no trust and no relay without a claim", "192.0.2.9", NULL, false, NULL, "",
	  .want = "old-cloud ip:192.0.2.0/24 PEER EXT NONE - 0 -" },
	{ "longest prefix", "192.0.2.200", NULL, false, NULL, "",
	  .want = "close ip:192.0.2.128/25 PARTNER - - - 0 old-cloud" },
	{ "disabled", "203.0.113.9", NULL, false, NULL, "", .want = "- - INTERNET - - - 0 -" },
	{ "partner by sender domain, no certificate", "203.0.113.9", "", false, "x@sub.fabrikam.example", "",
	  .want = "fabrikam p1:*.fabrikam.example PARTNER - - - 550 -" },
	{ "partner in clear", "203.0.113.9", NULL, false, "x@fabrikam.example", "",
	  .want = "fabrikam p1:*.fabrikam.example PARTNER - - - 530 -" },
	{ "partner by certificate", "203.0.113.9", "mx.fabrikam.example", false, "x@fabrikam.example", "",
	  .want = "fabrikam cert:mx.fabrikam.example PARTNER - - - 0 -" },
	{ "a partner's certificate for a foreign sender", "203.0.113.9", "mx.fabrikam.example", false,
	  "x@other.example", "", .want = "- - INTERNET - - - 0 -" },
	{ "a partner's report", "203.0.113.9", "mx.fabrikam.example", false, "", "",
	  .want = "fabrikam cert:mx.fabrikam.example PARTNER - - - 0 -" },
	{ "restricted to addresses: outside", "203.0.113.9", NULL, false, "x@adatum.example", "",
	  .want = "adatum p1:adatum.example PARTNER - - - 550 -" },
	{ "restricted to addresses: inside", "198.51.100.7", NULL, false, "x@adatum.example", "",
	  .want = "adatum ip:198.51.100.0/24 PARTNER - - - 0 -" },
	{ "not its sub-domain", "203.0.113.9", NULL, false, "x@mail.adatum.example", "",
	  .want = "- - INTERNET - - - 0 -" },
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
	buf_addf(b, "%s%s", a->claim_open ? " open" : "", a->foreign ? " foreign" : "");
}

static void run_row(const struct config *c, const struct row *r)
{
	struct str san = str_c(r->cert);
	struct tls_peer peer = { .has_certificate = san.n > 0,
				 .chain_ok = !r->bad_chain,
				 .chain_error = S("expired"),
				 .ids = { .sans = &san, .san_n = san.n > 0 } };
	struct caller k = { .secured = r->cert != NULL,
			    .peer = r->cert != NULL ? &peer : NULL,
			    .from = str_c(r->from),
			    .at_mail = r->from != NULL,
			    .claim = str_c(r->claim),
			    .auth_as = str_c(r->auth_as == NULL ? "" : r->auth_as),
			    .header_seen = r->header_seen,
			    .now_ms = r->late ? 1830000000000 : 1798000000000 };
	struct attribution_miss miss;
	struct attribution a;
	struct buf got;

	assert_true(net_parse_ip(str_c(r->client), 4711, &k.client));
	k.receive = receive_select(c, NULL, &k.client);
	attribute(c, &k, &a);
	buf_init(&got, 1000);
	put(&got, &a);
	check_str(buf_str(&got), str_c(r->want), r->name);
	buf_reset(&got);
	if (attribute_miss(c, &k, &a, &miss))
		buf_addf(&got, "%s " STR_FMT ": %s", miss_kind_name(miss.kind), STR_ARG(miss.inbound->name), miss.text);
	check_str(buf_str(&got), str_c(r->miss == NULL ? "" : r->miss), r->name);
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
