/* Tests of handshakes: what each side learns of the other, versions, resumption, renegotiation, endings. */
#include "tls/openssl_tls.h"
#include "tls/test_pair.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>

#include <cmocka.h>

#define ALL(t) (sizeof(t) / sizeof *(t))

static const struct conf_tls plain_conf = { .min = STR_LIT("1.2"), .client_cert_eku = EKU_SERVER_OR_CLIENT };

static struct tls_ctx *server_new(const char *name, const struct conf_tls *tls, const char *listener)
{
	char file[64], key[64];
	struct err e = { 0 };

	snprintf(file, sizeof file, "%s.pem", name);
	snprintf(key, sizeof key, "%s.key", name);
	struct tls_server_options o = { cert(file), cert(key), cert("ca.pem"), tls,  str_c(listener),
					false,      NULL,      NULL,           false };
	struct tls_ctx *c = tls_server_new(&o, &e);
	if (c == NULL)
		fail_msg("%s: %s", name, e.text);
	return c;
}

static struct tls_ctx *client_new(const char *name, const char *ca, const struct conf_tls *tls)
{
	char file[64], key[64];
	struct err e = { 0 };

	snprintf(file, sizeof file, "%s.pem", name == NULL ? "" : name);
	snprintf(key, sizeof key, "%s.key", name == NULL ? "" : name);
	struct tls_client_options o = { name == NULL ? STR_NONE : cert(file),
					name == NULL ? STR_NONE : cert(key),
					cert(ca),
					tls,
					false,
					NULL,
					NULL,
					false,
					NULL };
	struct tls_ctx *c = tls_client_new(&o, &e);
	if (c == NULL)
		fail_msg("%s: %s", name, e.text);
	return c;
}

/* A client that shows what ours would never load: for expired certificates. */
static void show_certificate(struct tls_ctx *c, const char *name)
{
	char file[64], key[64];

	snprintf(file, sizeof file, "%s.pem", name);
	snprintf(key, sizeof key, "%s.key", name);
	must(SSL_CTX_use_certificate_chain_file(c->ssl, cert(file).p) == 1);
	must(SSL_CTX_use_PrivateKey_file(c->ssl, cert(key).p, SSL_FILETYPE_PEM) == 1);
}

static void run_hello(struct pair *p, struct tls_ctx *server, struct tls_ctx *client, const char *session_key)
{
	pair_open(p, 0);
	p->server.ctx = server;
	p->client.ctx = client;
	p->client.sni = S("mail.contoso.com");
	p->client.session_key = str_c(session_key);
	p->step = step_hello;
	pair_secure(p);
	pair_run(p);
	assert_false(p->timed_out);
}

/* ---- what a server learns of a client ---- */

static void test_client_certificates(void **state)
{
	static const struct {
		const char *name; /* NULL = shows none */
		enum conf_eku eku;
		enum conf_crl crl;
		const char *crl_file, *error; /* NULL = chain_ok */
		bool tls12;
	} table[] = {
		{ NULL, EKU_SERVER_OR_CLIENT, CRL_OFF, "", "no certificate", false },
		{ "client", EKU_SERVER_OR_CLIENT, CRL_OFF, "", NULL, false },
		{ "client", EKU_SERVER_OR_CLIENT, CRL_OFF, "", NULL, true },
		{ "server", EKU_SERVER_OR_CLIENT, CRL_OFF, "", NULL, false },
		{ "serveronly", EKU_SERVER_OR_CLIENT, CRL_OFF, "", NULL, false },
		{ "serveronly", EKU_CLIENT, CRL_OFF, "", "unsuitable certificate purpose", false },
		{ "serveronly", EKU_ANY, CRL_OFF, "", NULL, false },
		{ "clientonly", EKU_CLIENT, CRL_OFF, "", NULL, false },
		{ "emailonly", EKU_SERVER_OR_CLIENT, CRL_OFF, "", "unsuitable certificate purpose", false },
		{ "emailonly", EKU_ANY, CRL_OFF, "", NULL, false },
		{ "chained", EKU_SERVER_OR_CLIENT, CRL_OFF, "", NULL, false },
		{ "expired", EKU_SERVER_OR_CLIENT, CRL_OFF, "", "certificate has expired", false },
		{ "expired", EKU_SERVER_OR_CLIENT, CRL_OFF, "", "certificate has expired", true },
		{ "notyet", EKU_SERVER_OR_CLIENT, CRL_OFF, "", "certificate is not yet valid", false },
		{ "selfsigned", EKU_SERVER_OR_CLIENT, CRL_OFF, "", "self-signed certificate", false },
		{ "stranger", EKU_SERVER_OR_CLIENT, CRL_OFF, "", "unable to get local issuer certificate", false },
		{ "revoked", EKU_SERVER_OR_CLIENT, CRL_OFF, "crl.pem", NULL, false },
		{ "revoked", EKU_SERVER_OR_CLIENT, CRL_SOFT, "crl.pem", "certificate revoked", false },
		{ "revoked", EKU_SERVER_OR_CLIENT, CRL_HARD, "crl.pem", "certificate revoked", false },
		{ "revoked", EKU_SERVER_OR_CLIENT, CRL_SOFT, "", NULL, false }, /* nothing known: passes */
		{ "client", EKU_SERVER_OR_CLIENT, CRL_SOFT, "crl.pem", NULL, false },
		{ "client", EKU_SERVER_OR_CLIENT, CRL_HARD, "crl.pem", NULL, false },
		{ "chained", EKU_SERVER_OR_CLIENT, CRL_SOFT, "crl.pem", NULL, false },
		{ "chained", EKU_SERVER_OR_CLIENT, CRL_HARD, "crl.pem", "unable to get certificate CRL", false },
		{ "expired", EKU_SERVER_OR_CLIENT, CRL_SOFT, "", "certificate has expired", false },
		{ "stranger", EKU_SERVER_OR_CLIENT, CRL_SOFT, "", "unable to get local issuer certificate", false },
	};
	(void)state;

	for (size_t i = 0; i < ALL(table); i++) {
		struct conf_tls tls = { .min = S("1.2"), .client_cert_eku = table[i].eku, .crl = table[i].crl };
		struct pair p;
		tls.crl_file = cert(table[i].crl_file);
		struct tls_ctx *server = server_new("server", &tls, "in"),
			       *client = client_new(NULL, "ca.pem", &plain_conf);
		if (table[i].name != NULL)
			show_certificate(client, table[i].name);
		if (table[i].tls12)
			SSL_CTX_set_max_proto_version(client->ssl, TLS1_2_VERSION);
		run_hello(&p, server, client, "");
		const struct tls_peer *peer = tls_peer(&p.server.s);
		if (peer == NULL)
			fail_msg("row %zu: %s", i, p.server.s.err.text);
		assert_int_equal(peer->has_certificate, table[i].name != NULL);
		assert_true(str_eq(peer->protocol, table[i].tls12 ? S("TLSv1.2") : S("TLSv1.3")));
		if (peer->chain_ok != (table[i].error == NULL) || !str_eq(peer->chain_error, str_c(table[i].error)))
			fail_msg("row %zu: " STR_FMT, i, STR_ARG(peer->chain_error));
		assert_false(peer->resumed);
		pair_close(&p);
		tls_ctx_unref(&server);
		tls_ctx_unref(&client);
	}
}

/* ---- what a client learns of a server ---- */

static void test_server_certificates(void **state)
{
	static const struct {
		const char *name, *ca, *error, *pattern;
		bool match;
	} table[] = {
		{ "server", "ca.pem", NULL, "mail.contoso.com", true },
		{ "server", "other-ca.pem", "unable to get local issuer certificate", "mail.contoso.com", true },
		{ "wrongname", "ca.pem", NULL, "mail.contoso.com", false },
		{ "wildcard", "ca.pem", NULL, "mail.contoso.com", true },
		{ "wildcard", "ca.pem", NULL, "contoso.com", false },
		{ "cnonly", "ca.pem", NULL, "mail.contoso.com", false },
		{ "selfsigned", "ca.pem", "self-signed certificate", "mail.contoso.com", true },
		{ "clientonly", "ca.pem", "unsuitable certificate purpose", "mail.contoso.com", true },
		{ "serveronly", "ca.pem", NULL, "mail.contoso.com", true },
		{ "chained", "ca.pem", NULL, "mail.contoso.com", true },
		{ "server", "ca.pem", NULL, "127.0.0.1", true },
		{ "server", "ca.pem", NULL, "127.0.0.2", false },
	};
	(void)state;

	for (size_t i = 0; i < ALL(table); i++) {
		struct tls_match_rules r = { .mode = MATCH_STRICT, .direction = TLS_VERIFY };
		struct tls_ctx *server = server_new(table[i].name, &plain_conf, "in");
		struct tls_ctx *client = client_new(NULL, table[i].ca, &plain_conf);
		struct pair p;
		run_hello(&p, server, client, "");
		const struct tls_peer *peer = tls_peer(&p.client.s);
		if (peer == NULL)
			fail_msg("row %zu: %s", i, p.client.s.err.text);
		if (peer->chain_ok != (table[i].error == NULL) || !str_eq(peer->chain_error, str_c(table[i].error)))
			fail_msg("row %zu: " STR_FMT, i, STR_ARG(peer->chain_error));
		assert_int_equal(tls_name_match(str_c(table[i].pattern), &peer->ids, &r, NULL), table[i].match);
		assert_ptr_equal(tls_peer(&p.client.s), peer);
		pair_close(&p);
		tls_ctx_unref(&server);
		tls_ctx_unref(&client);
	}
}

static void test_facts(void **state)
{
	struct tls_ctx *server = server_new("server", &plain_conf, "in");
	struct tls_ctx *client = client_new("client", "ca.pem", &plain_conf);
	struct pair p;
	(void)state;

	run_hello(&p, server, client, "");
	const struct tls_peer *peer = tls_peer(&p.server.s);
	assert_true(str_eq(peer->cipher, S("TLS_AES_256_GCM_SHA384")));
	assert_true(str_eq(peer->subject, S("CN=mail.contoso.com,O=Tombolo Demo")));
	assert_true(str_eq(peer->issuer, S("CN=Tombolo Demo CA,O=Tombolo Demo")));
	assert_int_equal(peer->sha256.n, 64);
	assert_int_equal(peer->not_after_ms, tls_ctx_not_after_ms(client));
	assert_int_equal(peer->ids.san_n, 2);
	assert_int_equal(peer->ids.ip_n, 2);
	assert_string_equal(SSL_get_servername(((struct secured *)p.server.s.under)->ssl, TLSEXT_NAMETYPE_host_name),
			    "mail.contoso.com");
	pair_close(&p);
	tls_ctx_unref(&server);
	tls_ctx_unref(&client);
}

/* ---- versions ---- */

static void test_versions(void **state)
{
	static const struct {
		const char *server_min;
		int client_max;
		const char *protocol; /* NULL = no handshake */
	} table[] = {
		{ "1.2", 0, "TLSv1.3" },         { "1.2", TLS1_2_VERSION, "TLSv1.2" }, { "1.3", 0, "TLSv1.3" },
		{ "1.3", TLS1_2_VERSION, NULL }, { "1.2", TLS1_1_VERSION, NULL },
	};
	(void)state;

	for (size_t i = 0; i < ALL(table); i++) {
		struct conf_tls tls = { .min = str_c(table[i].server_min) };
		struct tls_ctx *server = server_new("server", &tls, "in"),
			       *client = client_new(NULL, "ca.pem", &plain_conf);
		struct pair p;
		if (table[i].client_max < TLS1_2_VERSION && table[i].client_max != 0)
			SSL_CTX_set_min_proto_version(client->ssl, TLS1_VERSION);
		SSL_CTX_set_max_proto_version(client->ssl, table[i].client_max);
		run_hello(&p, server, client, "");
		const struct tls_peer *peer = tls_peer(&p.client.s);
		assert_true(str_eq(peer == NULL ? STR_NONE : peer->protocol, str_c(table[i].protocol)));
		if (peer == NULL) {
			const struct err *why = end_saw(&p.server, STREAM_FAILED) ? &p.server.s.err : &p.client.s.err;
			assert_int_equal(why->code, ERR_TLS);
			assert_true(strlen(why->text) > 10);
		}
		pair_close(&p);
		tls_ctx_unref(&server);
		tls_ctx_unref(&client);
	}
}

/* ---- resumption ---- */

static bool is_resumed(struct tls_ctx *server, struct tls_ctx *client, const char *key)
{
	struct pair p;

	run_hello(&p, server, client, key);
	const struct tls_peer *c = tls_peer(&p.client.s), *s = tls_peer(&p.server.s);
	assert_non_null(c);
	assert_int_equal(c->resumed, s->resumed);
	assert_true(c->chain_ok && c->has_certificate && c->ids.san_n == 2); /* resumed or not */
	bool resumed = c->resumed;
	pair_close(&p);
	return resumed;
}

static void check_resumption(int most)
{
	struct tls_ctx *a = server_new("server", &plain_conf, "a"), *b = server_new("server", &plain_conf, "b");
	struct tls_ctx *client = client_new(NULL, "ca.pem", &plain_conf);
	struct tls_ctx *shows = client_new("client", "ca.pem", &plain_conf);

	SSL_CTX_set_max_proto_version(client->ssl, most);
	SSL_CTX_set_max_proto_version(shows->ssl, most);
	assert_false(is_resumed(a, client, "x:mail"));
	for (int i = 0; i < 4; i++)
		assert_true(is_resumed(a, client, "x:mail"));
	assert_false(is_resumed(a, client, "y:mail")); /* another key */
	assert_false(is_resumed(a, client, ""));
	assert_false(is_resumed(b, client, "x:mail")); /* another listener */
	/* with a client certificate each handshake is a full one, and the server sees the certificate each time */
	for (int i = 0; i < 3; i++)
		assert_false(is_resumed(a, shows, "x:mail"));
	tls_ctx_unref(&a);
	tls_ctx_unref(&b);
	tls_ctx_unref(&client);
	tls_ctx_unref(&shows);
}

static void test_resumption(void **state)
{
	(void)state;
	check_resumption(TLS1_3_VERSION);
	check_resumption(TLS1_2_VERSION);
}

/* ---- renegotiation ---- */

static void step_renegotiate(struct pair *p, struct end *from, enum stream_event e)
{
	SSL *ssl = from->s.under == NULL ? NULL : ((struct secured *)from->s.under)->ssl;

	if (e == STREAM_SECURED && from == &p->client) {
		SSL_clear_options(ssl, SSL_OP_NO_RENEGOTIATION);
		must(SSL_renegotiate(ssl) == 1);
		stream_write(&from->s, S("again"));
	}
	if (e == STREAM_FAILED || e == STREAM_EOF)
		pair_done(p);
}

static void test_renegotiation(void **state)
{
	struct tls_ctx *server = server_new("server", &plain_conf, "in");
	struct tls_ctx *client = client_new(NULL, "ca.pem", &plain_conf);
	struct pair p;
	(void)state;

	SSL_CTX_set_max_proto_version(client->ssl, TLS1_2_VERSION);
	pair_open(&p, 0);
	p.server.ctx = server;
	p.client.ctx = client;
	p.step = step_renegotiate;
	pair_secure(&p);
	pair_run(&p);
	assert_false(p.timed_out);
	assert_true(end_saw(&p.client, STREAM_FAILED) || end_saw(&p.server, STREAM_FAILED));
	assert_int_equal(SSL_total_renegotiations(((struct secured *)p.server.s.under)->ssl), 0);
	assert_int_equal(p.server.got, 0); /* nothing the client said in there came through */
	pair_close(&p);
	tls_ctx_unref(&server);
	tls_ctx_unref(&client);
}

/* ---- contexts ---- */

static void test_bad_files(void **state)
{
	static const struct {
		const char *certificate, *key, *ca, *crl_file, *why;
		enum conf_crl crl;
	} table[] = {
		{ "server.pem", "server.key", "ca.pem", "", NULL, CRL_OFF },
		{ "server.pem", "mismatch.key", "ca.pem", "", "does not belong to", CRL_OFF },
		{ "server.pem", "client.key", "ca.pem", "", "does not belong to", CRL_OFF },
		{ "server.pem", "locked.key", "ca.pem", "", "cannot use the private key", CRL_OFF },
		{ "server.pem", "nothing.key", "ca.pem", "", "cannot use the private key", CRL_OFF },
		{ "server.pem", "", "ca.pem", "", NULL, CRL_OFF }, /* server.key stands beside */
		{ "ca.pem", "ca.pem", "ca.pem", "", "cannot use the private key", CRL_OFF },
		{ "server.pem", "server.pem", "ca.pem", "", "cannot use the private key", CRL_OFF },
		{ "nothing.pem", "server.key", "ca.pem", "", "cannot use the certificate", CRL_OFF },
		{ "server.key", "server.key", "ca.pem", "", "cannot use the certificate", CRL_OFF },
		{ "expired.pem", "expired.key", "ca.pem", "", "has expired", CRL_OFF },
		{ "notyet.pem", "notyet.key", "ca.pem", "", "not valid yet", CRL_OFF },
		{ "server.pem", "server.key", "nothing.pem", "", "cannot read", CRL_OFF },
		{ "server.pem", "server.key", "server.key", "", "cannot load CA certificates", CRL_OFF },
		{ "server.pem", "server.key", "ca.pem", "crl.pem", NULL, CRL_HARD },
		{ "server.pem", "server.key", "ca.pem", "ca.pem", "revocation lists", CRL_SOFT },
		{ "server.pem", "server.key", "ca.pem", "", "needs crl_file", CRL_HARD },
		{ "", "", "ca.pem", "", "needs a certificate", CRL_OFF },
	};
	(void)state;

	for (size_t i = 0; i < ALL(table); i++) {
		struct conf_tls tls = { .min = S("1.2"), .crl = table[i].crl, .crl_file = cert(table[i].crl_file) };
		struct tls_server_options o = { cert(table[i].certificate),
						cert(table[i].key),
						cert(table[i].ca),
						&tls,
						S("in"),
						false,
						NULL,
						NULL,
						false };
		struct err e = { 0 };
		struct tls_ctx *c = tls_server_new(&o, &e);
		if ((c != NULL) != (table[i].why == NULL) ||
		    (c == NULL && table[i].why != NULL && strstr(e.text, table[i].why) == NULL))
			fail_msg("row %zu: %s", i, e.text);
		if (c == NULL)
			assert_int_equal(e.code, ERR_TLS);
		tls_ctx_unref(&c);
	}
}

static void test_expired_by_choice(void **state)
{
	struct tls_server_options o = {
		cert("expired.pem"), cert("expired.key"), cert("ca.pem"), &plain_conf, S("in"), true, NULL, NULL, false
	};
	struct tls_client_options co = {
		cert("expired.pem"), cert("expired.key"), cert("ca.pem"), &plain_conf, true, NULL, NULL, false, NULL
	};
	struct tls_ctx *server = tls_server_new(&o, NULL), *client = tls_client_new(&co, NULL);
	struct pair p;
	(void)state;

	assert_true(tls_ctx_not_after_ms(server) > 0 && tls_ctx_not_after_ms(server) < INT64_C(1700000000000));
	run_hello(&p, server, client, "");
	assert_true(str_eq(tls_peer(&p.client.s)->chain_error, S("certificate has expired")));
	assert_true(str_eq(tls_peer(&p.server.s)->chain_error, S("certificate has expired")));
	pair_close(&p);
	tls_ctx_unref(&server);
	tls_ctx_unref(&client);
}

static void test_trust_is_shared(void **state)
{
	const struct trust_files ca = { .ca = cert("ca.pem") }, both = { .ca = ca.ca, .crl_file = cert("crl.pem") };
	struct trust *a = trust_get(&ca, false, NULL), *b = trust_get(&ca, false, NULL);
	struct trust *crl = trust_get(&both, false, NULL);
	(void)state;

	assert_non_null(a);
	assert_ptr_equal(a, b);
	assert_ptr_not_equal(a, crl);
	/* a file that changed is another one */
	struct timespec times[2] = { { .tv_nsec = UTIME_OMIT }, { .tv_sec = 1000000000 } };
	assert_int_equal(utimensat(AT_FDCWD, cert("ca.pem").p, times, 0), 0);
	struct trust *newer = trust_get(&ca, false, NULL);
	assert_ptr_not_equal(a, newer);
	trust_put(&a);
	trust_put(&b);
	trust_put(&crl);
	trust_put(&newer);
	assert_null(a);
	trust_put(&a);
}

static void test_sessions_are_bounded(void **state)
{
	struct sessions *c = sessions_new();
	char key[32];
	(void)state;

	for (int i = 0; i < 5000; i++) {
		snprintf(key, sizeof key, "key %d", i);
		sessions_save(c, str_c(key), SSL_SESSION_new());
	}
	assert_null(sessions_find(c, S("nobody")));
	sessions_free(&c);
	assert_null(c);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_client_certificates),
					    cmocka_unit_test(test_server_certificates),
					    cmocka_unit_test(test_facts),
					    cmocka_unit_test(test_versions),
					    cmocka_unit_test(test_resumption),
					    cmocka_unit_test(test_renegotiation),
					    cmocka_unit_test(test_bad_files),
					    cmocka_unit_test(test_expired_by_choice),
					    cmocka_unit_test(test_trust_is_shared),
					    cmocka_unit_test(test_sessions_are_bounded) };

	return cmocka_run_group_tests_name("tls/openssl_io", tests, certs_make, certs_remove);
}
