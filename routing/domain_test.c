/* routing/domain_test.c: which domain an address belongs to, and its key. */
#include "routing/table_test.h"

static void test_find(void **state)
{
	static const struct {
		struct str name;
		const char *entry; /* NULL: external */
		enum domain_role role;
	} rows[] = {
		{ STR_LIT("contoso.com"), "contoso.com", DOMAIN_ACCEPTED },
		{ STR_LIT("mail.contoso.com"), NULL, DOMAIN_ACCEPTED },
		{ STR_LIT("notcontoso.com"), NULL, DOMAIN_ACCEPTED },
		{ STR_LIT("contoso.com.evil.example"), NULL, DOMAIN_ACCEPTED },
		{ STR_LIT("com"), NULL, DOMAIN_ACCEPTED },
		{ STR_LIT("shared.example"), "shared.example", DOMAIN_ACCEPTED },
		{ STR_LIT("a.b.shared.example"), "shared.example", DOMAIN_ACCEPTED },
		{ STR_LIT("xshared.example"), NULL, DOMAIN_ACCEPTED },
		{ STR_LIT("contoso.mail.cloud.example"), "contoso.mail.cloud.example", DOMAIN_PEER_ROUTING },
		{ STR_LIT("a.contoso.mail.cloud.example"), NULL, DOMAIN_ACCEPTED },
		{ STR_LIT("island.example"), "island.example", DOMAIN_OWN_ROUTING },
		{ STR_LIT(""), NULL, DOMAIN_ACCEPTED },
	};
	struct fixture f;

	(void)state;
	fixture_config(&f);
	struct domain_set *s = domain_set_new(&f.config, &f.e);
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct domain_entry *d = domain_find(s, rows[i].name);
		check((d == NULL) == (rows[i].entry == NULL), rows[i].name.p);
		check(d == NULL || (str_eq(d->name, str_c(rows[i].entry)) && d->role == rows[i].role), rows[i].name.p);
	}
	check_str(s->dflt->name, S("contoso.com"), "default domain");
	domain_set_unref(&s);
	domain_set_unref(&s);
	fixture_close(&f);
}

static void test_longest_wins(void **state)
{
	struct fixture f;

	(void)state;
	fixture_config(&f);
	f.domains[5] = (struct conf_domain){ .name = S("eu.shared.example"), .match_subdomains = true };
	f.config.domain_n = 6;
	struct domain_set *s = domain_set_new(&f.config, &f.e);
	check_str(domain_find(s, S("a.eu.shared.example"))->name, S("eu.shared.example"), "longest");
	check_str(domain_find(s, S("a.us.shared.example"))->name, S("shared.example"), "next");
	domain_set_unref(&s);
	fixture_close(&f);
}

static void test_conflicts(void **state)
{
	struct fixture f;

	(void)state;
	fixture_config(&f);
	f.domains[5] = (struct conf_domain){ .name = S("contoso.com") };
	f.config.domain_n = 6;
	check(domain_set_new(&f.config, &f.e) == NULL, "twice");
	f.domains[5] = (struct conf_domain){ .name = S("x.example"), .routing_domain = S("island.example") };
	check(domain_set_new(&f.config, &f.e) == NULL, "in two roles");
	/* the other side's routing domain may be an accepted domain too */
	f.domains[5] = (struct conf_domain){ .name = S("contoso.mail.cloud.example"), .routing_public = true };
	struct domain_set *s = domain_set_new(&f.config, &f.e);
	const struct domain_entry *d = domain_find(s, S("contoso.mail.cloud.example"));
	check(d->role == DOMAIN_PEER_ROUTING && d->conf->routing_public, "accepted routing domain");
	domain_set_unref(&s);
	fixture_close(&f);
}

static void test_many(void **state)
{
	enum { N = 5000 };
	static struct conf_domain domains[N];
	static char names[N][24];
	struct config c = { .domains = domains, .domain_n = N };
	struct err e;

	(void)state;
	for (size_t i = 0; i < N; i++) {
		snprintf(names[i], sizeof names[i], "d%zu.example", i);
		domains[i].name = str_c(names[i]);
	}
	struct domain_set *s = domain_set_new(&c, &e);
	for (size_t i = 0; i < N; i++)
		check(domain_find(s, domains[i].name)->conf->name.n == domains[i].name.n, names[i]);
	check(domain_find(s, S("d5000.example")) == NULL, "no more");
	domain_set_unref(&s);
}

static void test_normalize(void **state)
{
	static const struct {
		struct str in;
		const char *key; /* NULL: not an address */
	} rows[] = {
		{ STR_LIT("Ann@Contoso.COM"), "ann@contoso.com" },
		{ STR_LIT("\"ann\"@contoso.com"), "ann@contoso.com" },
		{ STR_LIT("Ann@Exact.Example"), "Ann@exact.example" },
		{ STR_LIT("ann@other.example"), "ann@other.example" },
		{ STR_LIT("ann"), NULL },
		{ STR_LIT("ann@[192.0.2.1]"), NULL },
		{ STR_LIT("ann@contoso.com x"), NULL },
		{ STR_LIT(""), NULL },
	};
	struct fixture f;
	struct buf key;

	(void)state;
	fixture_config(&f);
	buf_init(&key, 1024);
	struct domain_set *s = domain_set_new(&f.config, &f.e);
	for (size_t i = 0; i < COUNT(rows); i++) {
		buf_reset(&key);
		buf_add(&key, S("before:")); /* appends */
		bool good = domain_normalize(s, rows[i].in, &key);
		check(good == (rows[i].key != NULL), rows[i].in.p);
		if (good)
			check_str(str_skip(buf_str(&key), 7), str_c(rows[i].key), rows[i].in.p);
	}
	domain_set_unref(&s);
	buf_fini(&key);
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_find), cmocka_unit_test(test_longest_wins), cmocka_unit_test(test_conflicts),
		cmocka_unit_test(test_many), cmocka_unit_test(test_normalize),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
