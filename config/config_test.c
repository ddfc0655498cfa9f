/* config/config_test.c: whole files: defaults, derived values, everything wrong at once, and what goes out comes in. */
#include "config/config.h"

#include "tests/unit.h"
#include "wire/envelope.h"

#include <fcntl.h>
#include <stdlib.h>
#include <unistd.h>

#define MINIMAL "hostname = mail.contoso.com\nreceive \"r\" { listen = \"127.0.0.1:2525\" }\n"

/* Loads what must load, with nothing to say about it. */
static struct config *load(const char *text)
{
	struct buf told;

	buf_init(&told, 64 * 1024);
	struct config *c = config_parse(str_c(text), "f", &told);
	assert_string_equal(buf_cstr(&told), "");
	assert_non_null(c);
	buf_fini(&told);
	return c;
}

static void assert_text(struct str is, const char *want)
{
	check_str(is, str_c(want), want);
	assert_true(is.p != NULL && is.p[is.n] == '\0');
}

static void test_defaults(void **state)
{
	struct config *c = load(MINIMAL);

	(void)state;
	assert_int_equal(c->site, SITE_ONPREM);
	assert_text(c->postmaster, "postmaster@mail.contoso.com");
	assert_text(c->control, "/run/tombolo/control");
	assert_text(c->user, "");
	assert_int_equal(c->mode.mx, SIDE_ONPREM);
	assert_false(c->mode.cmt);
	assert_int_equal(c->mode.grace_ms, 72 * 3600 * 1000);
	assert_int_equal(c->loop.max_hops, 30);
	assert_int_equal(c->loop.max_local_hops, 8);
	assert_int_equal(c->loop.action, LOOP_DEFER_THEN_REJECT);
	assert_text(c->queue.path, "/var/lib/tombolo/queue");
	assert_int_equal(c->queue.segment_bytes, 64 << 20);
	assert_int_equal(c->queue.map_bytes, UINT64_C(16) << 30);
	assert_int_equal(c->queue.retry.expire_ms, 48 * 3600 * 1000);
	assert_true(c->queue.bounce);
	assert_int_equal(c->limits.message_max, 36 << 20);
	assert_int_equal(c->limits.recipients, 200);
	assert_int_equal(c->limits.connections, 5000);
	assert_int_equal(c->limits.bare_lf, BARE_REJECT);
	assert_text(c->tls.min, "1.2");
	assert_int_equal(c->tls.crl, CRL_SOFT);
	assert_int_equal(c->log.level, LOG_LEVEL_INFO);
	assert_int_equal(c->domain_n + c->inbound_n + c->send_n, 0);
	const struct conf_receive *r = &c->receives[0];
	assert_int_equal(c->receive_n, 1);
	assert_text(r->name, "r");
	assert_int_equal(r->line, 2);
	assert_int_equal(r->addr_n, 1);
	assert_int_equal(net_port(&r->addrs[0]), 2525);
	assert_int_equal(r->range_n, 2);
	assert_text(r->fqdn, "mail.contoso.com");
	assert_int_equal(r->perms, PERM_SUBMIT | PERM_ANY_SENDER | PERM_HDR_ROUTING);
	assert_int_equal(r->origin, ENV_INTERNET);
	config_unref(&c);
	assert_null(c);
	config_unref(&c);
}

static void test_presets(void **state)
{
	static const struct {
		const char *list;
		unsigned perms, origin;
	} cases[] = {
		{ "anonymous", PERM_SUBMIT | PERM_ANY_SENDER | PERM_HDR_ROUTING, ENV_INTERNET },
		{ "users", PERM_SUBMIT | PERM_RELAY | PERM_BYPASS_SPAM | PERM_OWN_DOMAIN_SENDER, ENV_APP },
		{ "servers",
		  PERM_SUBMIT | PERM_RELAY | PERM_ANY_SENDER | PERM_OWN_DOMAIN_SENDER | PERM_AUTH_FLAG |
			  PERM_BYPASS_SPAM | PERM_BYPASS_SIZE | PERM_HDR_ROUTING | PERM_HDR_ORG | PERM_XOORG,
		  ENV_LOCAL },
		{ "partner", PERM_SUBMIT | PERM_HDR_ROUTING, ENV_PARTNER },
		{ "peer", PERM_SUBMIT | PERM_HDR_ROUTING, ENV_INTERNET },
		{ "{ submit, any_sender }", PERM_SUBMIT | PERM_ANY_SENDER, ENV_INTERNET },
		{ "{ users, cloud-mail }",
		  PERM_SUBMIT | PERM_RELAY | PERM_BYPASS_SPAM | PERM_OWN_DOMAIN_SENDER | PERM_CLOUD_MAIL, ENV_APP },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buf text;
		buf_init(&text, 1024);
		buf_addf(&text, "hostname = a.b receive r { listen = 127.0.0.1:25 permissions = %s }", cases[i].list);
		struct config *c = load(buf_cstr(&text));
		assert_int_equal(c->receives[0].perms, cases[i].perms);
		assert_int_equal(c->receives[0].origin, cases[i].origin);
		config_unref(&c);
		buf_fini(&text);
	}
}

static void test_derived_domains(void **state)
{
	struct config *c = load(MINIMAL "domain Contoso.COM. { type = internal_relay }\n"
					"domain 'b\xc3\xbc\x63her.example' { type = external-relay default = on }\n");

	(void)state;
	assert_text(c->domains[0].name, "contoso.com");
	assert_text(c->domains[0].relay_to, "peer");
	assert_false(c->domains[0].is_default);
	assert_text(c->domains[1].name, "xn--bcher-kva.example");
	assert_text(c->domains[1].relay_to, "mx");
	assert_text(c->postmaster, "postmaster@xn--bcher-kva.example");
	config_unref(&c);
	c = load(MINIMAL "domain a.example { } domain b.example { }");
	assert_true(c->domains[0].is_default && !c->domains[1].is_default);
	config_unref(&c);
}

static void test_derived_connectors(void **state)
{
	struct config *c =
		load(MINIMAL "tls { certificate = /c key = /k }\n"
			     "inbound i { sender_domains = { '*.Fabrikam.Example', '*' } sender_ip = 10.1/16 }\n"
			     "send a { space = { '*;10', '*.D.example;3', e.example } source = '::1' }\n"
			     "send b { space = '@peer' tls = domain tls_domain = '*.Cloud.example.' }\n"
			     "send c { space = '@local' smarthosts = 'h:25' tls = validate }\n"
			     "send d { space = 'x.example' tls = validate exclusive = no fqdn = 'Out.Example' }\n");

	(void)state;
	assert_text(c->inbounds[0].sender_domains.v[0], "*.fabrikam.example");
	assert_text(c->inbounds[0].sender_domains.v[1], "*");
	assert_int_equal(c->inbounds[0].range_n, 1);
	const struct conf_send *a = &c->sends[0], *b = &c->sends[1], *local = &c->sends[2], *d = &c->sends[3];
	assert_int_equal(a->space_n, 3);
	assert_true(a->spaces[0].any && a->spaces[0].cost == 10);
	assert_true(a->spaces[1].sub && a->spaces[1].cost == 3 && str_eq(a->spaces[1].domain, S("d.example")));
	assert_true(!a->spaces[2].sub && a->spaces[2].cost == 1 && str_eq(a->spaces[2].domain, S("e.example")));
	assert_true(a->dns && !a->exclusive && !a->peer && net_is_loopback(&a->source_addr));
	assert_text(a->fqdn, "mail.contoso.com");
	assert_true(b->dns && b->exclusive && b->peer && !b->has_exclusive && b->spaces[0].peer);
	assert_text(b->tls_domain, "*.cloud.example");
	assert_true(!local->dns && local->exclusive && local->spaces[0].local);
	assert_true(!d->exclusive && d->has_exclusive);
	assert_text(d->fqdn, "out.example");
	assert_true(a->clean_headers && !a->cloud_mail && !b->clean_headers && b->cloud_mail && !local->clean_headers);
	config_unref(&c);
}

static void test_many_errors(void **state)
{
	struct buf told;

	(void)state;
	buf_init(&told, 64 * 1024);
	assert_null(config_parse(S("site = onpre\n"
				   "hostnme = mail.contoso.com\n"
				   "hostname = mail.contoso.com\n"
				   "mode { mx = onprem; mx = cloud\n"
				   "\tgrace = 5x }\n"
				   "limits {\n"
				   "\trecipients = 50\n"
				   "\terrors =\n"
				   "}\n"
				   "quue { path = /x }\n"
				   "receive \"r\" {\n"
				   "\tlisten = { 0.0.0.0:25, here }\n"
				   "\tfrom = 10.1.1.1/8\n"
				   "\trequire_tls = yes\n"
				   "}\n"
				   "send \"s\" { space = \"*contoso\" }\n"),
				 "f", &told));
	assert_string_equal(
		buf_cstr(&told),
		"f:1: site: 'onpre' is not one of onprem, cloud\n"
		"f:2: unknown option 'hostnme', did you mean 'hostname'?\n"
		"f:4: 'mx' is here again, it was given at line 4\n"
		"f:5: mode.grace: '5x' is not a duration like 90s, 5m, 4h, 2d\n"
		"f:7: limits.recipients: '50' is out of range, allowed are 100 to 100000\n"
		"f:8: a value is missing after 'errors ='\n"
		"f:10: unknown section 'quue', did you mean 'queue'?\n"
		"f:12: receive \"r\": listen: 'here' is not an address and port like 0.0.0.0:25 or [::]:25\n"
		"f:13: receive \"r\": from: '10.1.1.1/8' is not an address range like 10.0.0.0/8 (all bits after the "
		"prefix zero)\n"
		"f:14: receive \"r\": require_tls, but there is no certificate here nor in section tls\n"
		"f:16: send \"s\": space: '*contoso' is not one of name, *.name, *, @local, @peer, with an optional ;cost "
		"of 1 to 100\n");
	buf_fini(&told);
}

/* What libconfuse makes of words and strings is what was written: its scanner and ours agree. */
static void test_words(void **state)
{
	static const struct {
		const char *written, *read;
	} cases[] = {
		{ "abc", "abc" },
		{ "/var/x//y.z-1_2", "/var/x//y.z-1_2" },
		{ "a:b;c@d[e]f", "a:b;c@d[e]f" },
		{ "[::1]:25", "[::1]:25" },
		{ "<I>CN<S>x", "<I>CN<S>x" },
		{ "a%b!c?d&e|f~g^h", "a%b!c?d&e|f~g^h" },
		{ "%a", "%a" },
		{ "&a", "&a" },
		{ "|a", "|a" },
		{ "~a", "~a" },
		{ "^a", "^a" },
		{ "!a", "!a" },
		{ "?a", "?a" },
		{ ".a", ".a" },
		{ "-a", "-a" },
		{ "<a", "<a" },
		{ "b\xc3\xbc", "b\xc3\xbc" },
		{ "\"\"", "" },
		{ "''", "" },
		{ "\"a b\"", "a b" },
		{ "'a \"b\" c'", "a \"b\" c" },
		{ "\"a \\\"b\\\\ 'c'\"", "a \"b\\ 'c'" },
		{ "\"# // /* {\"", "# // /* {" },
		{ "'# // /* }'", "# // /* }" },
		{ "\"$x $ { +=*()\"", "$x $ { +=*()" },
		{ "a # b", "a" },
		{ "a#b", "a" },
		{ "a // b", "a" },
		{ "a /* b */", "a" },
		{ "\"a\"; // b", "a" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(cases); i++) {
		struct buf text;
		buf_init(&text, 1024);
		buf_addf(&text, "log { file = %s\n level = error }\n" MINIMAL, cases[i].written);
		struct config *c = load(buf_cstr(&text));
		assert_text(c->log.file, cases[i].read);
		assert_int_equal(c->log.level, LOG_LEVEL_ERROR);
		config_unref(&c);
		buf_fini(&text);
	}
}

static void test_load(void **state)
{
	char path[] = "/tmp/tombolo-config-XXXXXX";
	int fd = mkstemp(path);
	struct buf told;

	(void)state;
	buf_init(&told, 1024);
	assert_true(fd >= 0 && write(fd, MINIMAL, sizeof MINIMAL - 1) == sizeof MINIMAL - 1);
	close(fd);
	struct config *c = config_load(path, &told);
	assert_non_null(c);
	struct config *same = config_ref(c);
	config_unref(&c);
	assert_text(same->hostname, "mail.contoso.com");
	config_unref(&same);
	unlink(path);
	assert_null(config_load("/nonexistent/tombolo.conf", &told));
	assert_string_equal(buf_cstr(&told), "/nonexistent/tombolo.conf: open: No such file or directory\n");
	buf_reset(&told);
	assert_null(config_load("/", &told));
	assert_true(told.n > 0);
	buf_reset(&told);
	assert_null(config_parse(S("site = on\0prem"), "f", &told));
	assert_string_equal(buf_cstr(&told), "f: this is not a text file\n");
	buf_fini(&told);
}

/* A file of the largest size with nothing but mistakes is refused in good time. */
static void test_large(void **state)
{
	struct buf text, told;

	(void)state;
	buf_init(&text, 2 << 20);
	buf_init(&told, 1 << 20);
	while (text.n < (1 << 20) - 16)
		buf_add(&text, S("send a{b=1}"));
	assert_null(config_parse(buf_str(&text), "f", &told));
	assert_true(str_ends(buf_str(&told), S(" more\n")));
	buf_add(&text, S("                "));
	buf_reset(&told);
	assert_null(config_parse(buf_str(&text), "f", &told));
	assert_string_equal(buf_cstr(&told), "f: larger than a configuration may be (1M)\n");
	buf_fini(&told);
	buf_fini(&text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_defaults),
		cmocka_unit_test(test_presets),
		cmocka_unit_test(test_derived_domains),
		cmocka_unit_test(test_derived_connectors),
		cmocka_unit_test(test_many_errors),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_load),
		cmocka_unit_test(test_large),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
