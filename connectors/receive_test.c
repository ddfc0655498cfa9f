/* connectors/receive_test.c: which receive stanza a client belongs to, by range and by the address it came to. */
#include "connectors/connectors.h"

#include "tests/unit.h"

static const char conf_lines[] =
	"site = onprem\n"
	"hostname = \"gw.contoso.com\"\n"
	"domain \"contoso.com\" { type = authoritative }\n"
	"receive \"inet\" { listen = { \"0.0.0.0:25\", \"[::]:25\" } from = { \"0/0\", \"::/0\" } permissions = { \"anonymous\" } }\n"
	"receive \"dmz\" { listen = { \"0.0.0.0:25\" } from = { \"10/8\" } permissions = { \"servers\" } }\n"
	"receive \"app\" { listen = { \"10.0.0.5:25\" } from = { \"10.1/16\" } permissions = { \"users\" } }\n"
	"receive \"exact\" { listen = { \"10.0.0.5:25\" } from = { \"10/8\" } permissions = { \"users\" } }\n"
	"receive \"submit\" { listen = { \"0.0.0.0:587\" } from = { \"10/8\" } permissions = { \"users\" } }\n";

static const struct row {
	const char *name, *local, *client, *want;
} rows[] = {
	{ "anybody", "192.0.2.1:25", "203.0.113.9", "inet" },
	{ "longest prefix", "192.0.2.1:25", "10.1.2.3", "dmz" },
	{ "bound elsewhere does not count", "10.0.0.6:25", "10.1.2.3", "dmz" },
	{ "bound here, longer", "10.0.0.5:25", "10.1.2.3", "app" },
	{ "equal prefix: the exact binding", "10.0.0.5:25", "10.9.2.3", "exact" },
	{ "another port", "10.0.0.5:587", "10.1.2.3", "submit" },
	{ "nobody's client", "10.0.0.5:587", "203.0.113.9", "NONE" },
	{ "IPv6", "[2001:db8::1]:25", "2001:db8::9", "inet" },
	{ "IPv4 in IPv6", "[::1]:25", "::ffff:10.9.2.3", "dmz" },
	{ "any listener", NULL, "10.1.2.3", "app" },
};

static void test_rows(void **state)
{
	struct config *c;
	struct buf errors;

	(void)state;
	buf_init(&errors, 16 * 1024);
	c = config_parse(str_c(conf_lines), "test", &errors);
	if (c == NULL)
		fail_msg("%s", buf_cstr(&errors));
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct net_addr local, client;
		const struct conf_receive *r;
		if (rows[i].local != NULL)
			assert_true(net_parse_addr(str_c(rows[i].local), 0, &local));
		assert_true(net_parse_ip(str_c(rows[i].client), 1, &client));
		r = receive_select(c, rows[i].local != NULL ? &local : NULL, &client);
		check_str(r != NULL ? r->name : S("NONE"), str_c(rows[i].want), rows[i].name);
	}
	buf_fini(&errors);
	config_unref(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
