/* Tests of our own certificates: reading a store, references, which one is chosen, SNI, chains on the wire, alarms,
 * revocation lists that change while in use. */
#include "tls/certs.h"
#include "tls/openssl_tls.h"
#include "tls/test_pair.h"

#include "base/time.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>

#include <cmocka.h>

#define ALL(t) (sizeof(t) / sizeof *(t))

static const int64_t day_ms = 86400000;

static int make(void **state)
{
	if (certs_make(state) != 0)
		return -1;
	return spawn_wait((char *[]){ "sh", "tests/store.sh", certs, NULL });
}

static void copy(const char *from, const char *to)
{
	assert_int_equal(
		spawn_wait((char *[]){ "cp", (char *)(uintptr_t)cert(from).p, (char *)(uintptr_t)cert(to).p, NULL }),
		0);
}

static void put(const char *file, struct str bytes)
{
	FILE *f = fopen(cert(file).p, "w");

	assert_non_null(f);
	assert_int_equal(fwrite(bytes.p, 1, bytes.n, f), bytes.n);
	assert_int_equal(fclose(f), 0);
}

static struct conf_tls store_conf(void)
{
	return (struct conf_tls){ .min = S("1.2"), .store = cert("store"), .ca = cert("ca.pem") };
}

static struct certs *load(void)
{
	const struct conf_tls tls = store_conf();
	struct buf problems;

	buf_init(&problems, 65536);
	struct certs *s = certs_load(&tls, false, &problems);
	if (s == NULL)
		fail_msg("%s", buf_cstr(&problems));
	assert_int_equal(problems.n, 0);
	buf_fini(&problems);
	return s;
}

static struct str base_name(struct str path)
{
	return str_skip(path, (size_t)(str_rchr(path, '/') + 1));
}

/* ---- references ---- */

static void test_references(void **state)
{
	static const struct {
		const char *reference, *file; /* NULL: none */
	} table[] = {
		{ "name:mail.contoso.com", "mail.pem" }, /* the newer one of two */
		{ "NAME:Autodiscover.Contoso.COM", "mail.pem" },
		{ "name:crm.apps.contoso.com", "any.pem" },
		{ "name:*.apps.contoso.com", "any.pem" },
		{ "name:apps.contoso.com", NULL },
		{ "name:a.b.apps.contoso.com", NULL },
		{ "name:contoso.com", NULL },
		{ "name:two", NULL }, /* a CN beside a SAN */
		{ "name:", NULL },
		{ "<I>CN=Tombolo Demo CA, O=Tombolo Demo<S>CN=mail.contoso.com, O=Tombolo Demo", "mail.pem" },
		{ "<i>cn=tombolo demo ca, o=TOMBOLO  DEMO<s>CN=Mail.Contoso.com,O=Tombolo Demo", "mail.pem" },
		{ "<I>O=Tombolo Demo, CN=Tombolo Demo CA<S>O=Tombolo Demo, CN=mail.contoso.com", "mail.pem" },
		{ "<I>CN=Tombolo Demo CA, O=Tombolo Demo<S>OU=Mail + CN=two, O=\"Contoso, Inc.\", C=US", "dn.pem" },
		{ "<I>CN=Tombolo Demo Issuing CA, O=Tombolo Demo<S>CN=leaf.contoso.com, O=Tombolo Demo", "leaf.pem" },
		{ "<I>CN=Tombolo Demo CA<S>CN=mail.contoso.com, O=Tombolo Demo", NULL },
		{ "<I>CN=Another CA, O=Tombolo Demo<S>CN=mail.contoso.com, O=Tombolo Demo", NULL },
		{ "<I>broken", NULL },
		{ "sha256:00", NULL },
		{ "sha256:", NULL },
	};
	struct certs *s = load();
	(void)state;

	for (size_t i = 0; i < ALL(table); i++) {
		struct err e = { 0 };
		const struct cert *c = certs_get(s, str_c(table[i].reference), STR_NONE, clock_wall_ms(), &e);
		if (table[i].file == NULL && (c != NULL || e.code != ERR_NOT_FOUND))
			fail_msg("%s: found", table[i].reference);
		if (table[i].file != NULL &&
		    (c == NULL || !str_eq(base_name(cert_facts(c)->file), str_c(table[i].file))))
			fail_msg("%s: %s", table[i].reference, c == NULL ? e.text : cert_facts(c)->file.p);
	}
	certs_unref(&s);
	certs_unref(&s);
}

static void test_fingerprint(void **state)
{
	struct certs *s = load();
	char text[200] = "sha256:";
	size_t n = 7;
	(void)state;

	for (size_t i = 0; i < certs_count(s); i++) { /* every one finds itself, also as people copy it */
		const struct cert *c = certs_at(s, i);
		const struct cert_facts *f = cert_facts(c);
		n = 7;
		for (size_t k = 0; k < f->sha256.n; k++) {
			if (k > 0 && k % 2 == 0)
				text[n++] = ':';
			char x = f->sha256.p[k];
			text[n++] = x >= 'a' ? (char)(x - 32) : x;
		}
		assert_ptr_equal(certs_get(s, str_n(text, n), STR_NONE, clock_wall_ms(), NULL), c);
		assert_null(certs_get(s, str_n(text, n - 1), STR_NONE, clock_wall_ms(), NULL));
	}
	certs_unref(&s);
}

static void test_chains(void **state)
{
	static const struct {
		const char *file;
		enum cert_chain chain;
		size_t shown;
	} table[] = {
		{ "server.pem", CERT_COMPLETE, 1 },
		{ "chained.pem", CERT_COMPLETE, 2 },    /* the file has the intermediate */
		{ "store/leaf.pem", CERT_COMPLETE, 2 }, /* the folder has it */
		{ "selfsigned.pem", CERT_SELF_SIGNED, 1 },
		{ "stranger.pem", CERT_INCOMPLETE, 1 },
		{ "lost.pem", CERT_INCOMPLETE, 1 },
		{ "foreign.pem", CERT_FOREIGN, 1 }, /* a root of its own in the file: not sent, not trusted */
	};
	struct certs *s = load();
	struct err e = { 0 };
	(void)state;

	assert_int_equal(spawn_wait((char *[]){ "sh", "-c",
						"cd $0; cat stranger.pem other-ca.pem > foreign.pem; "
						"cp stranger.key foreign.key",
						certs, NULL }),
			 0);
	for (size_t i = 0; i < ALL(table); i++) {
		const struct cert *c = certs_get(s, cert(table[i].file), STR_NONE, clock_wall_ms(), &e);
		if (c == NULL)
			fail_msg("%s: %s", table[i].file, e.text);
		if (cert_facts(c)->chain != table[i].chain || cert_facts(c)->shown_n != table[i].shown)
			fail_msg("%s: chain %d, %zu shown", table[i].file, (int)cert_facts(c)->chain,
				 cert_facts(c)->shown_n);
		assert_ptr_equal(certs_get(s, cert(table[i].file), STR_NONE, clock_wall_ms(), &e), c); /* read once */
	}
	const struct cert *lost = certs_get(s, cert("lost.pem"), STR_NONE, clock_wall_ms(), &e);
	assert_true(str_eq(cert_facts(lost)->missing, S("CN=Lost CA")));
	certs_unref(&s);
}

/* ---- broken folders ---- */

static void test_broken_files(void **state)
{
	static const struct {
		const char *from, *from_key; /* copied into the folder as x.pem, x.key */
		const char *why;
	} table[] = {
		{ "server.pem", "mismatch.key", "x.key does not belong to the certificate in" },
		{ "server.pem", NULL, "no private key for the certificate in" },
		{ "server.pem", "locked.key", "cannot use the private key in" },
		{ "server.pem", "ca.pem", "cannot use the private key in" },
		{ "server.key", NULL, "cannot use the certificate in" },
		{ "garbage", NULL, "cannot use the certificate in" },
		{ "empty", NULL, "cannot use the certificate in" },
	};
	const struct conf_tls tls = store_conf();
	struct buf problems;
	(void)state;

	put("garbage", S("-----BEGIN CERTIFICATE-----\nAAAA\n-----END CERTIFICATE-----\n"));
	put("empty", S(""));
	for (size_t i = 0; i < ALL(table); i++) {
		copy(table[i].from, "store/x.pem");
		if (table[i].from_key != NULL)
			copy(table[i].from_key, "store/x.key");
		buf_init(&problems, 65536);
		assert_null(certs_load(&tls, false, &problems));
		if (str_find(buf_str(&problems), str_c(table[i].why)) < 0 ||
		    str_find(buf_str(&problems), S("x.pem")) + str_find(buf_str(&problems), S("x.key")) < -1)
			fail_msg("row %zu: %s", i, buf_cstr(&problems));
		buf_reset(&problems);
		struct certs *s = certs_load(&tls, true, &problems); /* at a start the others are of use */
		assert_non_null(s);
		assert_true(problems.n > 0);
		assert_non_null(certs_get(s, S("name:mail.contoso.com"), STR_NONE, clock_wall_ms(), NULL));
		certs_unref(&s);
		buf_fini(&problems);
		remove(cert("store/x.pem").p);
		remove(cert("store/x.key").p);
	}
	const struct conf_tls nowhere = { .ca = cert("ca.pem"), .store = cert("nowhere") };
	buf_init(&problems, 65536);
	assert_null(certs_load(&nowhere, false, &problems));
	assert_true(str_find(buf_str(&problems), S("nowhere")) >= 0);
	buf_fini(&problems);
}

static void test_weak(void **state)
{
	struct err e = { 0 };
	struct certs *s;
	(void)state;

	copy("weak.pem", "store/weak.pem");
	copy("weak.key", "store/weak.key");
	s = load(); /* not an error of the folder: it is told, and not shown */
	assert_null(certs_get(s, S("name:weak.contoso.com"), STR_NONE, clock_wall_ms(), &e));
	assert_int_equal(e.code, ERR_NOT_FOUND);
	assert_non_null(strstr(e.text, "1024 bits"));
	assert_null(certs_for_host(s, S("weak.contoso.com"), clock_wall_ms()));
	assert_null(certs_get(s, cert("weak.pem"), STR_NONE, clock_wall_ms(), &e));
	assert_int_equal(e.code, ERR_TLS);
	certs_unref(&s);
	remove(cert("store/weak.pem").p);
	remove(cert("store/weak.key").p);
}

/* ---- the rule ---- */

static void test_preference(void **state)
{
	enum { NOW = 1000000 };
	/* each row is better than all below it */
	static const struct cert_facts rows[] = {
		{ .not_before_ms = 900, .not_after_ms = 2000000, .chain = CERT_COMPLETE, .sha256 = STR_LIT("a") },
		{ .not_before_ms = 800, .not_after_ms = 2000000, .chain = CERT_FOREIGN, .sha256 = STR_LIT("b") },
		{ .not_before_ms = 800, .not_after_ms = 1500000, .chain = CERT_COMPLETE, .sha256 = STR_LIT("c") },
		{ .not_before_ms = 800, .not_after_ms = 1500000, .chain = CERT_COMPLETE, .sha256 = STR_LIT("d") },
		{ .not_before_ms = 990, .not_after_ms = 9000000, .chain = CERT_INCOMPLETE, .sha256 = STR_LIT("e") },
		{ .not_before_ms = 999, .not_after_ms = 9000000, .chain = CERT_SELF_SIGNED, .sha256 = STR_LIT("f") },
		{ .not_before_ms = 999, .not_after_ms = NOW - 1, .chain = CERT_COMPLETE, .sha256 = STR_LIT("g") },
		{ .not_before_ms = 998, .not_after_ms = NOW - 1, .chain = CERT_COMPLETE, .sha256 = STR_LIT("h") },
	};
	(void)state;

	for (size_t i = 0; i < ALL(rows); i++)
		for (size_t k = 0; k < ALL(rows); k++) {
			int is = cert_compare(&rows[i], &rows[k], &(struct cert_wish){ 0 }, NOW);
			if ((i < k && is <= 0) || (i > k && is >= 0) || (i == k && is != 0))
				fail_msg("rows %zu and %zu: %d", i, k, is);
		}
	assert_true(cert_is_begun(&(struct cert_facts){ .not_before_ms = NOW + 60000 }, NOW));
	assert_false(cert_is_begun(&(struct cert_facts){ .not_before_ms = NOW + 3600000 }, NOW));
}

/* An overlap holds the newer one back while the older one is good for longer; names the other side knows come first. */
static void test_wishes(void **state)
{
	struct str known[] = { STR_LIT("mail.contoso.com"), STR_LIT("*.apps.contoso.com") };
	struct str both[] = { STR_LIT("mail.contoso.com"), STR_LIT("*.apps.contoso.com") };
	const struct conf_list names = { known, 2 };
	const struct cert_facts old = { .not_before_ms = 0,
					.not_after_ms = 90 * day_ms,
					.sha256 = STR_LIT("a"),
					.ids = { .sans = both, .san_n = 2 } };
	struct cert_facts new = { .not_before_ms = 50 * day_ms,
				  .not_after_ms = 140 * day_ms,
				  .sha256 = STR_LIT("b"),
				  .ids = { .sans = both, .san_n = 2 } };
	struct cert_wish w = { .overlap_ms = 14 * day_ms };
	(void)state;

	for (int day = 50; day < 140; day++) {
		bool is = cert_compare(&new, &old, &w, day * day_ms) > 0;
		assert_int_equal(is, day >= 64);
		assert_int_equal(cert_compare(&old, &new, &w, day * day_ms) < 0, is);
		assert_true(cert_compare(&new, &old, &(struct cert_wish){ 0 }, day * day_ms) > 0);
	}
	w.overlap_ms = 30 * day_ms; /* the old one's last month: no more waiting */
	assert_true(cert_compare(&new, &old, &w, 59 * day_ms) < 0);
	assert_true(cert_compare(&new, &old, &w, 60 * day_ms) > 0);

	w = (struct cert_wish){ .names = &names, .direction = TLS_ATTRIBUTE };
	assert_int_equal(cert_lacks(&new, &w).n, 0);
	assert_true(cert_compare(&new, &old, &w, 60 * day_ms) > 0);
	new.ids.san_n = 1; /* a renewal that lost one */
	assert_true(str_eq(cert_lacks(&new, &w), known[1]));
	assert_true(cert_compare(&new, &old, &w, 60 * day_ms) < 0);
	assert_true(cert_compare(&new, &old, &w, 91 * day_ms) > 0); /* better than one that is over */
}

/* Time decides: the newer one ends in 300 days; when both are over, the newer one still is the better answer. */
static void test_over_time(void **state)
{
	int64_t now_ms = clock_wall_ms();
	struct certs *s = load();
	(void)state;

	for (int64_t days = 0; days < 400; days += 100) {
		const struct cert *c = certs_get(s, S("name:mail.contoso.com"), STR_NONE, now_ms + days * day_ms, NULL);
		assert_true(str_eq(base_name(cert_facts(c)->file), S("mail.pem")));
		c = certs_for_host(s, S("mail.contoso.com"), now_ms + days * day_ms);
		assert_true((c != NULL) == (days < 300)); /* what is over is not looked for by SNI */
	}
	assert_null(certs_get(s, S("name:mail.contoso.com"), STR_NONE, now_ms - 9 * day_ms, NULL));
	certs_unref(&s);
}

/* ---- SNI ---- */

static void test_sni_table(void **state)
{
	static char longest[4000];
	static const struct {
		struct str host;
		const char *file;
	} table[] = {
		{ STR_LIT("mail.contoso.com"), "mail.pem" },
		{ STR_LIT("MAIL.contoso.COM"), "mail.pem" },
		{ STR_LIT("leaf.contoso.com"), "leaf.pem" },
		{ STR_LIT("x.apps.contoso.com"), "any.pem" },
		{ STR_LIT("x.y.apps.contoso.com"), NULL },
		{ STR_LIT("apps.contoso.com"), NULL },
		{ STR_LIT(".apps.contoso.com"), NULL },
		{ STR_LIT("*.apps.contoso.com"), NULL },
		{ STR_LIT("unknown.example"), NULL },
		{ STR_LIT("two"), NULL },
		/* the names of CVE-2019-15846 and its kin: they end here, as what is in no table */
		{ STR_LIT("mail.contoso.com\\"), NULL },
		{ STR_LIT("\\"), NULL },
		{ STR_LIT("mail.contoso.com\0x"), NULL },
		{ STR_LIT("\0"), NULL },
		{ STR_LIT("../mail"), NULL },
		{ STR_LIT("/etc/passwd"), NULL },
		{ STR_LIT("${run{/bin/x}}"), NULL },
		{ STR_LIT("mail.contoso.com "), NULL },
		{ STR_LIT("mail.contoso.com\r\n"), NULL },
		{ STR_LIT("m\xc3\xa4il.contoso.com"), NULL },
		{ STR_LIT("."), NULL },
		{ STR_LIT(".."), NULL },
		{ STR_LIT("127.0.0.1"), NULL },
		{ STR_LIT(""), NULL },
	};
	struct certs *s = load();
	(void)state;

	for (size_t i = 0; i < ALL(table); i++) {
		const struct cert *c = certs_for_host(s, table[i].host, clock_wall_ms());
		if ((c != NULL) != (table[i].file != NULL) ||
		    (c != NULL && !str_eq(base_name(cert_facts(c)->file), str_c(table[i].file))))
			fail_msg("row %zu", i);
	}
	for (size_t i = 0; i < sizeof longest; i++)
		longest[i] = i % 8 == 7 ? '.' : 'a';
	for (size_t n = 0; n < sizeof longest; n++)
		assert_null(certs_for_host(s, str_n(longest, n), clock_wall_ms()));
	assert_null(certs_for_host(NULL, S("mail.contoso.com"), clock_wall_ms()));
	certs_unref(&s);
}

/* The subject a client is shown when it asks for `sni`, and whether its chain was good. */
static void handshake(struct tls_ctx *server, const char *sni, struct str *subject, bool *chain_ok)
{
	static char room[200];
	const struct conf_tls tls = { .min = S("1.2") };
	struct tls_client_options o = { .ca = cert("ca.pem"), .tls = &tls };
	struct tls_ctx *client = tls_client_new(&o, NULL);
	struct pair p;

	pair_open(&p, 0);
	p.step = step_hello;
	p.server.ctx = server;
	p.client.ctx = client;
	p.client.sni = str_c(sni);
	pair_secure(&p);
	pair_run(&p);
	const struct tls_peer *peer = tls_peer(&p.client.s);
	if (p.timed_out || peer == NULL)
		fail_msg("no handshake with '%s'", sni);
	snprintf(room, sizeof room, STR_FMT, STR_ARG(peer->subject));
	*subject = str_c(room);
	*chain_ok = peer->chain_ok;
	pair_close(&p);
	tls_ctx_unref(&client);
}

static void test_sni_on_the_wire(void **state)
{
	static const struct {
		const char *sni, *subject;
	} table[] = {
		{ "mail.contoso.com", "CN=mail.contoso.com,O=Tombolo Demo" },
		{ "leaf.contoso.com", "CN=leaf.contoso.com,O=Tombolo Demo" }, /* with its intermediate */
		{ "x.apps.contoso.com", "CN=apps" },
		{ "", "CN=leaf.contoso.com,O=Tombolo Demo" },
		{ "unknown.example", "CN=leaf.contoso.com,O=Tombolo Demo" },
		{ "mail.contoso.com\\", "CN=leaf.contoso.com,O=Tombolo Demo" },
		{ "../../mail.pem", "CN=leaf.contoso.com,O=Tombolo Demo" },
		{ "*.apps.contoso.com", "CN=leaf.contoso.com,O=Tombolo Demo" },
	};
	const struct conf_tls tls = store_conf();
	struct certs *s = load();
	const struct tls_server_options o = {
		.tls = &tls,
		.certs = s,
		.own = certs_get(s, S("name:leaf.contoso.com"), STR_NONE, clock_wall_ms(), NULL),
	};
	struct tls_ctx *server = tls_server_new(&o, NULL);
	(void)state;

	assert_non_null(server);
	certs_unref(&s); /* the context keeps its own */
	for (size_t i = 0; i < ALL(table); i++) {
		struct str subject;
		bool ok;
		handshake(server, table[i].sni, &subject, &ok);
		if (!str_eq(subject, str_c(table[i].subject)) || !ok)
			fail_msg("'%s': %s%s", table[i].sni, subject.p, ok ? "" : ", chain broken");
	}
	tls_ctx_unref(&server);
}

/* An RSA default must not stay in its own slot beside the EC certificate that was asked for. */
static void test_sni_other_key(void **state)
{
	const struct conf_tls tls = store_conf();
	struct certs *s = load();
	struct str subject;
	bool ok;
	(void)state;

	assert_int_equal(
		spawn_wait((char *[]){ "sh", "-c",
				       "cd $0; openssl req -x509 -newkey rsa:2048 -nodes -keyout rsa.key -out rsa.pem "
				       "-days 90 -subj /CN=rsa 2>/dev/null",
				       certs, NULL }),
		0);
	const struct tls_server_options o = {
		.tls = &tls,
		.certs = s,
		.own = certs_get(s, cert("rsa.pem"), STR_NONE, clock_wall_ms(), NULL),
	};
	assert_string_equal(cert_facts(o.own)->key_type, "RSA");
	struct tls_ctx *server = tls_server_new(&o, NULL);
	handshake(server, "mail.contoso.com", &subject, &ok);
	assert_true(ok && str_eq(subject, S("CN=mail.contoso.com,O=Tombolo Demo")));
	handshake(server, "other.example", &subject, &ok);
	assert_true(!ok && str_eq(subject, S("CN=rsa")));
	tls_ctx_unref(&server);
	certs_unref(&s);
}

/* ---- alarms ---- */

static void alarms_text(const struct tls_alarms *a, char *to, size_t size)
{
	to[0] = '\0';
	for (enum tls_alarm i = 0; i < TLS_ALARM_N; i++)
		if (a->is[i]) {
			size_t n = str_c(to).n;
			snprintf(to + n, size - n, "%s%s%s", n > 0 ? " " : "", tls_alarm_name(i),
				 a->warn[i] ? "!" : "");
		}
}

static void test_alarms(void **state)
{
	static const struct {
		const char *file, *fqdn, *alarms;
		int days_on;
	} table[] = {
		{ "server.pem", "mail.contoso.com", "", 0 },
		{ "server.pem", "", "", 0 },
		{ "server.pem", "gw.contoso.com", "NAME-NOT-COVERED!", 0 },
		{ "wildcard.pem", "mail.contoso.com", "", 0 },
		{ "wildcard.pem", "contoso.com", "NAME-NOT-COVERED!", 0 },
		{ "cnonly.pem", "mail.contoso.com", "", 0 },
		{ "month.pem", "month.contoso.com", "CERT-EXPIRING", 0 },
		{ "month.pem", "month.contoso.com", "CERT-EXPIRING", 14 },
		{ "month.pem", "month.contoso.com", "CERT-EXPIRING!", 15 },
		{ "month.pem", "month.contoso.com", "CERT-EXPIRING!", 44 },
		{ "month.pem", "month.contoso.com", "CERT-EXPIRED!", 46 },
		{ "expired.pem", "mail.contoso.com", "CERT-EXPIRED!", 0 },
		{ "lost.pem", "lost.contoso.com", "CHAIN-INCOMPLETE!", 0 },
		{ "selfsigned.pem", "mail.contoso.com", "SELF-SIGNED!", 0 },
	};
	struct certs *s = load();
	struct tls_alarms a;
	char text[300];
	(void)state;

	for (size_t i = 0; i < ALL(table); i++) {
		const struct cert *c = certs_get(s, cert(table[i].file), STR_NONE, clock_wall_ms(), NULL);
		assert_non_null(c);
		cert_alarms(cert_facts(c), clock_wall_ms() + table[i].days_on * day_ms, &a);
		cert_alarm_name(cert_facts(c), str_c(table[i].fqdn), &a);
		alarms_text(&a, text, sizeof text);
		if (strcmp(text, table[i].alarms) != 0)
			fail_msg("row %zu: %s", i, text);
	}
	cert_alarms(&(struct cert_facts){ .not_after_ms = INT64_MAX, .weak = S("the RSA key has only 1024 bits") }, 0,
		    &a);
	cert_alarm_name(&(struct cert_facts){ 0 }, S("a.example"), &a);
	cert_alarm_name(&(struct cert_facts){ 0 }, S("b.example"), &a);
	cert_alarm_name(&(struct cert_facts){ 0 }, S("a.example"), &a);
	alarms_text(&a, text, sizeof text);
	assert_string_equal(text, "NAME-NOT-COVERED! KEY-WEAK!");
	assert_string_equal(a.why[TLS_ALARM_NAME_NOT_COVERED], "it does not name a.example, b.example");
	certs_unref(&s);
}

static void test_crl_alarms(void **state)
{
	static const struct {
		enum conf_crl mode;
		struct tls_crls crls;
		const char *alarms, *says;
	} table[] = {
		{ CRL_OFF, { .wanted = true }, "", "" },
		{ CRL_SOFT, { .wanted = false }, "", "" },
		{ CRL_SOFT, { .wanted = true }, "CRL-MISSING!", "revoked certificates pass" },
		{ CRL_HARD, { .wanted = true }, "CRL-MISSING!", "every certificate is refused" },
		{ CRL_HARD, { .wanted = true, .n = 1, .next_update_ms = INT64_MAX }, "", "" },
		{ CRL_SOFT, { .wanted = true, .n = 1, .next_update_ms = 999 }, "CRL-STALE!", "not seen" },
		{ CRL_HARD, { .wanted = true, .n = 1, .next_update_ms = 999 }, "CRL-STALE!", "are refused" },
		{ CRL_SOFT,
		  { .wanted = true, .n = 1, .next_update_ms = INT64_MAX, .problem = "x.crl is broken" },
		  "CRL-MISSING!",
		  "x.crl is broken" },
	};
	struct tls_alarms a;
	char text[300];
	(void)state;

	for (size_t i = 0; i < ALL(table); i++) {
		crl_alarms(table[i].mode, &table[i].crls, 1000, &a);
		alarms_text(&a, text, sizeof text);
		const char *why = a.is[TLS_ALARM_CRL_STALE] ? a.why[TLS_ALARM_CRL_STALE] : a.why[TLS_ALARM_CRL_MISSING];
		if (strcmp(text, table[i].alarms) != 0 || strstr(why, table[i].says) == NULL)
			fail_msg("row %zu: %s, %s", i, text, why);
	}
}

/* ---- revocation ---- */

/* What a server in this mode thinks of a client: "" = the chain is good. */
static void client_verdict(struct tls_ctx *server, const char *client_name, char *out, size_t size)
{
	const struct conf_tls tls = { .min = S("1.2") };
	char file[64], key[64];
	struct pair p;

	snprintf(file, sizeof file, "%s.pem", client_name);
	snprintf(key, sizeof key, "%s.key", client_name);
	struct tls_client_options o = {
		.certificate = cert(file), .key = cert(key), .ca = cert("ca.pem"), .tls = &tls
	};
	struct tls_ctx *client = tls_client_new(&o, NULL);
	pair_open(&p, 0);
	p.step = step_hello;
	p.server.ctx = server;
	p.client.ctx = client;
	pair_secure(&p);
	pair_run(&p);
	const struct tls_peer *peer = tls_peer(&p.server.s);
	assert_true(!p.timed_out && peer != NULL);
	snprintf(out, size, STR_FMT, STR_ARG(peer->chain_error));
	pair_close(&p);
	tls_ctx_unref(&client);
}

static void test_revocation(void **state)
{
	static const struct {
		enum conf_crl mode;
		const char *list; /* in the folder; NULL: it is empty */
		const char *good, *revoked;
		size_t lists;
	} table[] = {
		{ CRL_OFF, "crl.pem", "", "", 0 },
		{ CRL_SOFT, "crl.pem", "", "certificate revoked", 1 },
		{ CRL_HARD, "crl.pem", "", "certificate revoked", 1 },
		{ CRL_HARD, "crl.der", "", "certificate revoked", 1 },
		{ CRL_SOFT, NULL, "", "", 0 },
		{ CRL_HARD, NULL, "unable to get certificate CRL", "unable to get certificate CRL", 0 },
		/* a list that is over: what it says still holds, what it does not say is unknown */
		{ CRL_SOFT, "crl-stale.pem", "", "certificate revoked", 1 },
		{ CRL_HARD, "crl-stale.pem", "CRL has expired", "certificate revoked", 1 },
	};
	char text[200];
	(void)state;

	for (size_t i = 0; i < ALL(table); i++) {
		struct conf_tls tls = { .min = S("1.2"), .crl = table[i].mode, .crl_dir = cert("crls") };
		const struct tls_server_options o = { .certificate = cert("server.pem"),
						      .ca = cert("ca.pem"),
						      .tls = &tls };
		struct tls_crls crls;
		assert_int_equal(mkdir(cert("crls").p, 0700), 0);
		if (table[i].list != NULL)
			copy(table[i].list, "crls/one.crl");
		put("crls/.unfinished.crl", S("half"));
		put("crls/readme", S("not a list"));
		struct tls_ctx *server = tls_server_new(&o, NULL);
		assert_non_null(server);
		tls_ctx_crls(server, &crls);
		assert_int_equal(crls.n, table[i].lists);
		assert_true(crls.wanted == (table[i].mode != CRL_OFF));
		client_verdict(server, "client", text, sizeof text);
		if (strcmp(text, table[i].good) != 0)
			fail_msg("row %zu, good: %s", i, text);
		client_verdict(server, "revoked", text, sizeof text);
		if (strcmp(text, table[i].revoked) != 0)
			fail_msg("row %zu, revoked: %s", i, text);
		tls_ctx_unref(&server);
		assert_int_equal(spawn_wait((char *[]){ "rm", "-r", (char *)(uintptr_t)cert("crls").p, NULL }), 0);
	}
}

/* The lists of a context in use follow the files; broken ones change nothing. */
static void test_refresh(void **state)
{
	struct conf_tls tls = { .min = S("1.2"), .crl = CRL_HARD, .crl_dir = cert("crls") };
	const struct tls_server_options o = { .certificate = cert("server.pem"), .ca = cert("ca.pem"), .tls = &tls };
	struct err e = { 0 };
	char text[200];
	(void)state;

	assert_int_equal(mkdir(cert("crls").p, 0700), 0);
	struct tls_ctx *server = tls_server_new(&o, NULL);
	client_verdict(server, "client", text, sizeof text);
	assert_string_equal(text, "unable to get certificate CRL");
	assert_int_equal(tls_ctx_refresh(server, &e), 0);
	copy("crl-empty.pem", "crls/a.crl");
	assert_int_equal(tls_ctx_refresh(server, &e), 1);
	assert_int_equal(tls_ctx_refresh(server, &e), 0);
	client_verdict(server, "revoked", text, sizeof text);
	assert_string_equal(text, "");
	copy("garbage", "crls/b.crl");
	assert_int_equal(tls_ctx_refresh(server, &e), -1);
	assert_non_null(strstr(e.text, "b.crl"));
	client_verdict(server, "revoked", text, sizeof text);
	assert_string_equal(text, "");
	remove(cert("crls/b.crl").p);
	copy("crl.pem", "crls/a.crl");
	assert_int_equal(tls_ctx_refresh(server, &e), 1);
	client_verdict(server, "revoked", text, sizeof text);
	assert_string_equal(text, "certificate revoked");
	client_verdict(server, "client", text, sizeof text);
	assert_string_equal(text, "");
	tls_ctx_unref(&server);

	/* a start with a broken list: said, and made good at the next look */
	copy("garbage", "crls/b.crl");
	struct tls_server_options lenient = o;
	struct tls_crls crls;
	assert_null(tls_server_new(&o, &e));
	lenient.lenient = true;
	server = tls_server_new(&lenient, &e);
	assert_non_null(server);
	tls_ctx_crls(server, &crls);
	assert_int_equal(crls.n, 1);
	assert_non_null(strstr(crls.problem, "b.crl"));
	assert_null(tls_server_new(&o, &e)); /* and not taken for good by the next who is strict */
	remove(cert("crls/b.crl").p);
	assert_int_equal(tls_ctx_refresh(server, &e), 1);
	tls_ctx_crls(server, &crls);
	assert_string_equal(crls.problem, "");
	tls_ctx_unref(&server);
	assert_int_equal(spawn_wait((char *[]){ "rm", "-r", (char *)(uintptr_t)cert("crls").p, NULL }), 0);
}

/* A saved outbound session carries the verdict of its handshake: new lists end it. */
static void test_refresh_ends_sessions(void **state)
{
	struct sessions *c = sessions_new();
	SSL_SESSION *s = SSL_SESSION_new();
	(void)state;

	sessions_save(c, S("hop"), s);
	sessions_clear(c);
	assert_null(sessions_find(c, S("hop")));
	sessions_save(c, S("hop"), SSL_SESSION_new());
	sessions_free(&c);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_references),    cmocka_unit_test(test_fingerprint),
		cmocka_unit_test(test_chains),        cmocka_unit_test(test_broken_files),
		cmocka_unit_test(test_weak),          cmocka_unit_test(test_preference),
		cmocka_unit_test(test_wishes),        cmocka_unit_test(test_over_time),
		cmocka_unit_test(test_sni_table),     cmocka_unit_test(test_sni_on_the_wire),
		cmocka_unit_test(test_sni_other_key), cmocka_unit_test(test_alarms),
		cmocka_unit_test(test_crl_alarms),    cmocka_unit_test(test_revocation),
		cmocka_unit_test(test_refresh),       cmocka_unit_test(test_refresh_ends_sessions),
	};

	return cmocka_run_group_tests_name("tls/certs", tests, make, certs_remove);
}
