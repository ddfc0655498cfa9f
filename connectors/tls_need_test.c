/* connectors/tls_need_test.c: the lattice: what adds up, and that nothing is ever lowered. */
#include "connectors/tls_need.h"

#include "tests/unit.h"

static const char conf_lines[] =
	"hostname = gw.contoso.com receive r { listen = \"127.0.0.1:2525\" }\n"
	"send none { space = none.example tls = none }\n"
	"send may { space = \"*\" tls = may }\n"
	"send validate { space = validate.example tls = validate }\n"
	"send named { space = named.example tls = domain tls_domain = mx.named.example smarthosts = relay.example }\n"
	"send unnamed { space = unnamed.example tls = domain }\n"
	"tls_policy enc.example { tls = encrypt }\n"
	"tls_policy low.example { tls = none }\n"
	"tls_policy \"*.fab.example\" { tls = domain tls_domain = \"*.fab.example\" }\n"
	"tls_policy \"mx.fab.example\" { tls = validate }\n"
	"tls_policy \"one.fab.example\" { tls = domain tls_domain = one.fab.example }\n"
	"tls_policy \"xn--bcher-kva.example\" { tls = validate }\n";

static const struct {
	const char *send, *hop, *rcpt;
	const char *want; /* level, patterns */
	size_t shares;
} rows[] = {
	{ "may", "plain.example", "plain.example", "may", 1 },
	{ "none", "plain.example", "", "none", 1 },
	{ "may", "enc.example", "enc.example", "encrypt", 2 },
	{ "none", "enc.example", "enc.example", "encrypt", 2 },
	{ "may", "sub.enc.example", "", "may", 1 },
	{ "validate", "enc.example", "enc.example", "validate", 2 }, /* a policy never lowers */
	{ "named", "low.example", "low.example", "domain mx.named.example", 2 },
	{ "may", "fab.example", "", "domain *.fab.example", 2 }, /* *.d covers d */
	{ "may", "a.b.fab.example", "", "domain *.fab.example", 2 },
	{ "may", "evilfab.example", "", "may", 1 },
	{ "may", "mx.fab.example", "", "domain *.fab.example", 3 }, /* the highest of all that match */
	{ "may", "one.fab.example", "", "domain one.fab.example", 3 },
	{ "named", "one.fab.example", "", "domain mx.named.example one.fab.example", 3 },
	{ "named", "named.example", "sub.fab.example", "domain mx.named.example *.fab.example", 2 },
	{ "may", "relay.example", "enc.example", "encrypt", 2 }, /* the recipient's own domain counts too */
	{ "may", "enc.example", "one.fab.example", "domain one.fab.example", 4 },
	{ "unnamed", "unnamed.example", "", "domain", 1 },
	{ "unnamed", "fab.example", "", "domain *.fab.example", 2 },
	{ "may", "ENC.example", "", "encrypt", 2 },
	{ "may", "relay.example",
	  "b\xc3\xbc"
	  "cher.example",
	  "validate", 2 },
	{ "may", "", "", "may", 1 },
};

static const struct conf_send *find_send(const struct config *c, const char *name)
{
	for (size_t i = 0; i < c->send_n; i++)
		if (str_eq(c->sends[i].name, str_c(name)))
			return &c->sends[i];
	return NULL;
}

static void test_lattice(void **state)
{
	struct buf b;
	struct config *c;

	(void)state;
	buf_init(&b, 16 * 1024);
	c = config_parse(str_c(conf_lines), "test", &b);
	if (c == NULL)
		fail_msg("%s", buf_cstr(&b));
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct conf_send *s = find_send(c, rows[i].send);
		struct tls_shares shares;
		struct tls_need need;
		char row[200];

		snprintf(row, sizeof row, "%s %s %s", rows[i].send, rows[i].hop, rows[i].rcpt);
		check(s != NULL, row);
		tls_need_find(c, s, str_c(rows[i].hop), str_c(rows[i].rcpt), &need, &shares);
		buf_reset(&b);
		buf_addf(&b, "%s", conf_tls_level_name(need.level));
		for (size_t k = 0; k < need.pattern_n; k++)
			buf_addf(&b, " " STR_FMT, STR_ARG(need.patterns[k]));
		check_str(buf_str(&b), str_c(rows[i].want), row);
		check(shares.n == rows[i].shares, row);
		check(need.level >= s->tls, row);
		check(tls_need_is_same(&need, &need), row);
	}
	buf_fini(&b);
	config_unref(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_lattice) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
