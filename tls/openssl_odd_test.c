/* Tests of odd certificates of clients, made here, in real handshakes: names with NUL and of 60 kB, mailboxes as other
 * names, keys and chains without measure, authorities that are none (hardening 4.7, CVE-2022-3602, CVE-2022-3786).
 * What is odd proves nothing, costs little, and breaks nothing. */
#define OPENSSL_SUPPRESS_DEPRECATED /* a key that signs nonsense needs the interface of old */
#include "base/must.h"
#include "tests/unit.h"
#include "tls/openssl_tls.h"
#include "tls/test_pair.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <time.h>

enum { DEEP = 100, LONG = 60000 };

static const struct conf_tls conf = { .min = STR_LIT("1.2") };
static struct str long_name; /* xn--aaa..., as long as a certificate can be */
static struct tls_ctx *server;
static EVP_PKEY *root_key, *leaf_key, *edwards_key;
static X509 *root;

/* ---- making ---- */

static X509_NAME *name_of(struct str cn)
{
	X509_NAME *n = X509_NAME_new();

	must(X509_NAME_add_entry_by_NID(n, NID_commonName, MBSTRING_UTF8, (const unsigned char *)cn.p, (int)cn.n, -1,
					0) == 1);
	return n;
}

static X509 *begin(struct str cn, const X509 *issuer, EVP_PKEY *key)
{
	static long serial = 1;
	X509 *x = X509_new();
	X509_NAME *n = name_of(cn);

	X509_set_version(x, X509_VERSION_3);
	ASN1_INTEGER_set(X509_get_serialNumber(x), ++serial);
	X509_gmtime_adj(X509_getm_notBefore(x), -3600);
	X509_gmtime_adj(X509_getm_notAfter(x), 86400);
	must(X509_set_subject_name(x, n) == 1 &&
	     X509_set_issuer_name(x, issuer != NULL ? X509_get_subject_name(issuer) : n) == 1 &&
	     X509_set_pubkey(x, key) == 1);
	X509_NAME_free(n);
	return x;
}

static void extend(X509 *x, int nid, const char *value)
{
	X509_EXTENSION *e = X509V3_EXT_conf_nid(NULL, NULL, nid, value);

	must(e != NULL && X509_add_ext(x, e, -1) == 1);
	X509_EXTENSION_free(e);
}

static X509 *finish(X509 *x, EVP_PKEY *key)
{
	must(X509_sign(x, key, EVP_sha256()) > 0);
	return x;
}

/* Everybody but the client itself has the root's key: chains are about names here. */
static X509 *authority(const char *cn, const X509 *issuer, const char *basic, const char *constraints)
{
	X509 *x = begin(str_c(cn), issuer, root_key);

	extend(x, NID_basic_constraints, basic);
	if (constraints != NULL)
		extend(x, NID_name_constraints, constraints);
	return finish(x, root_key);
}

static X509 *leaf_of(const X509 *issuer, EVP_PKEY *key)
{
	X509 *x = begin(S("mail.contoso.com"), issuer, key);

	extend(x, NID_subject_alt_name, "DNS:mail.contoso.com");
	return finish(x, root_key);
}

static GENERAL_NAME *dns_name(struct str bytes)
{
	GENERAL_NAME *g = GENERAL_NAME_new();
	ASN1_IA5STRING *s = ASN1_IA5STRING_new();

	must(g != NULL && ASN1_STRING_set(s, bytes.p, (int)bytes.n) == 1);
	GENERAL_NAME_set0_value(g, GEN_DNS, s);
	return g;
}

/* RFC 8398: id-on-SmtpUTF8Mailbox. */
static GENERAL_NAME *mailbox_name(struct str address)
{
	GENERAL_NAME *g = GENERAL_NAME_new();
	ASN1_TYPE *value = ASN1_TYPE_new();
	ASN1_UTF8STRING *s = ASN1_UTF8STRING_new();

	must(ASN1_STRING_set(s, address.p, (int)address.n) == 1);
	ASN1_TYPE_set(value, V_ASN1_UTF8STRING, s);
	must(GENERAL_NAME_set0_othername(g, OBJ_txt2obj("1.3.6.1.5.5.7.8.9", 1), value) == 1);
	return g;
}

static X509 *named(const X509 *issuer, struct str cn, GENERAL_NAMES *names)
{
	X509 *x = begin(cn, issuer, leaf_key);

	if (sk_GENERAL_NAME_num(names) > 0)
		must(X509_add1_ext_i2d(x, NID_subject_alt_name, names, 0, 0) == 1);
	sk_GENERAL_NAME_pop_free(names, GENERAL_NAME_free);
	return finish(x, root_key);
}

/* ---- showing ---- */

struct shown { /* leaf first; taken */
	X509 *v[DEEP + 2];
	size_t n;
	EVP_PKEY *key;
};

static struct tls_ctx *client_that_shows(const struct shown *w)
{
	struct tls_client_options o = { .ca = cert("ca.pem"), .tls = &conf };
	struct tls_ctx *c = tls_client_new(&o, NULL);

	must(c != NULL);
	SSL_CTX_set_security_level(c->ssl, 0);
	must(SSL_CTX_use_certificate(c->ssl, w->v[0]) == 1 && SSL_CTX_use_PrivateKey(c->ssl, w->key) == 1);
	for (size_t i = 1; i < w->n; i++)
		must(SSL_CTX_add1_chain_cert(c->ssl, w->v[i]) == 1);
	return c;
}

static void step_shown(struct pair *p, struct end *from, enum stream_event e)
{
	if (from == &p->server && (e == STREAM_SECURED || e == STREAM_FAILED))
		pair_done(p);
}

/* The server's view; the pair stays open. */
static const struct tls_peer *show(struct pair *p, struct shown *w)
{
	struct tls_ctx *client = client_that_shows(w);

	for (size_t i = 0; i < w->n; i++)
		X509_free(w->v[i]);
	pair_open(p, 0);
	p->server.ctx = server;
	p->client.ctx = client;
	p->step = step_shown;
	pair_secure(p);
	pair_run(p);
	assert_false(p->timed_out);
	tls_ctx_unref(&client);
	return tls_peer(&p->server.s);
}

/* NULL: good; else OpenSSL's words about the chain. */
static void expect(const char *row, struct shown *w, const char *error)
{
	struct pair p;
	const struct tls_peer *peer = show(&p, w);

	if (peer == NULL)
		fail_msg("%s: %s", row, p.server.s.err.text);
	check(peer->has_certificate, row);
	check_str(peer->chain_error, str_c(error != NULL ? error : ""), row);
	check(peer->chain_ok == (error == NULL), row);
	pair_close(&p);
}

static struct shown chain(size_t n)
{
	struct shown w = { .key = leaf_key, .n = n + 1 };
	X509 *issuer = root;
	char cn[32];

	for (size_t i = n; i > 0; i--) {
		snprintf(cn, sizeof cn, "level %zu", i);
		issuer = w.v[i] = authority(cn, issuer, "critical,CA:TRUE", NULL);
	}
	w.v[0] = leaf_of(issuer, leaf_key);
	return w;
}

/* ---- chains and keys ---- */

static void test_chains(void **state)
{
	struct shown w;

	(void)state;
	w = chain(0);
	expect("plain", &w, NULL);
	w = (struct shown){ .v = { leaf_of(root, edwards_key) }, .n = 1, .key = edwards_key };
	expect("Ed25519", &w, NULL);
	w = chain(10);
	expect("10 deep", &w, NULL);
	w = chain(20);
	expect("20 deep", &w, "certificate chain too long");
	w = chain(DEEP);
	expect("100 deep", &w, "certificate chain too long");
	w = (struct shown){ .n = 2, .key = leaf_key };
	w.v[1] = authority("no authority", root, "critical,CA:FALSE", NULL);
	w.v[0] = leaf_of(w.v[1], leaf_key);
	expect("CA:FALSE", &w, "invalid CA certificate");
	w.v[1] = authority("for others", root, "critical,CA:TRUE", "critical,permitted;DNS:other.example");
	w.v[0] = leaf_of(w.v[1], leaf_key);
	expect("permitted names", &w, "permitted subtree violation");
	w.v[1] = authority("not for us", root, "critical,CA:TRUE", "critical,excluded;DNS:contoso.com");
	w.v[0] = leaf_of(w.v[1], leaf_key);
	expect("excluded names", &w, "excluded subtree violation");
	w.v[1] = authority("for us", root, "critical,CA:TRUE", "critical,permitted;DNS:contoso.com");
	w.v[0] = leaf_of(w.v[1], leaf_key);
	expect("our names", &w, NULL);
}

/* Nobody can sign with it; the server finds that out, and it may not take it long. */
static int sign_nothing(int n, const unsigned char *from, unsigned char *to, RSA *rsa, int padding)
{
	(void)n, (void)from, (void)padding;
	memset(to, 1, (size_t)RSA_size(rsa));
	return RSA_size(rsa);
}

static void test_big_key(void **state)
{
	RSA_METHOD *m = RSA_meth_dup(RSA_get_default_method());
	EVP_PKEY *key = EVP_PKEY_new();
	RSA *rsa = RSA_new();
	BIGNUM *n = BN_new(), *e = BN_new();
	struct pair p;

	(void)state;
	must(BN_rand(n, 16384, BN_RAND_TOP_TWO, BN_RAND_BOTTOM_ODD) == 1 && BN_set_word(e, RSA_F4) == 1);
	must(RSA_set0_key(rsa, n, e, NULL) == 1 && RSA_meth_set_priv_enc(m, sign_nothing) == 1 &&
	     RSA_set_method(rsa, m) == 1 && EVP_PKEY_assign_RSA(key, rsa) == 1);
	struct shown w = { .v = { leaf_of(root, key) }, .n = 1, .key = key };
	clock_t began = clock();
	assert_null(show(&p, &w));
	assert_int_equal(p.server.s.err.code, ERR_TLS);
	assert_true(str_starts(str_c(p.server.s.err.text), S("broken TLS data"))); /* which octet is left to chance */
	assert_true(clock() - began < CLOCKS_PER_SEC);                             /* both ends; 15 ms */
	pair_close(&p);
	EVP_PKEY_free(key);
	RSA_meth_free(m);
}

/* ---- names ---- */

static struct shown with_names(struct str cn, GENERAL_NAMES *names)
{
	return (struct shown){ .v = { named(root, cn, names) }, .n = 1, .key = leaf_key };
}

static void test_nul(void **state)
{
	static const struct str evil = STR_LIT("mail.contoso.com\0.evil.example");
	GENERAL_NAMES *none = sk_GENERAL_NAME_new_null(), *one = sk_GENERAL_NAME_new_null();
	struct shown w = with_names(evil, none);
	const struct tls_peer *peer;
	struct pair p;

	(void)state;
	peer = show(&p, &w);
	assert_non_null(peer);
	assert_true(peer->chain_ok);
	assert_int_equal(peer->ids.san_n + peer->ids.cn_n, 0);
	check_str(peer->subject, S("CN=mail.contoso.com\\00.evil.example"), "subject");
	pair_close(&p);

	sk_GENERAL_NAME_push(one, dns_name(evil));
	w = with_names(S("mail.contoso.com"), one);
	peer = show(&p, &w);
	assert_non_null(peer);
	assert_int_equal(peer->ids.san_n, 0);
	assert_true(peer->ids.san_dropped); /* so that the CN does not stand in for it */
	pair_close(&p);
}

static void test_long_names(void **state)
{
	GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
	const struct tls_peer *peer;
	struct shown w;
	struct pair p;
	char text[64];

	(void)state;
	sk_GENERAL_NAME_push(names, dns_name(long_name));
	sk_GENERAL_NAME_push(names, dns_name(S("mail.contoso.com")));
	w = with_names(S("x"), names);
	peer = show(&p, &w);
	assert_non_null(peer);
	assert_true(peer->chain_ok && peer->ids.san_dropped);
	assert_int_equal(peer->ids.san_n, 1);
	check_str(peer->ids.sans[0], S("mail.contoso.com"), "the other one");
	pair_close(&p);

	/* as big as it may be; too big for a ticket; beyond what OpenSSL reads */
	static const struct {
		int names, bytes_min;
		const char *error;
	} sizes[] = { { 2300, 60000, NULL }, { 2700, 64 * 1024, "internal error" }, { 5400, 100 * 1024, "excessive" } };
	for (size_t k = 0; k < sizeof sizes / sizeof *sizes; k++) {
		names = sk_GENERAL_NAME_new_null();
		for (int i = 0; i < sizes[k].names; i++) {
			snprintf(text, sizeof text, "host%05d.contoso.example", i);
			sk_GENERAL_NAME_push(names, dns_name(str_c(text)));
		}
		w = with_names(S("x"), names);
		check(i2d_X509(w.v[0], NULL) > sizes[k].bytes_min, "size");
		peer = show(&p, &w);
		if (sizes[k].error == NULL) {
			assert_non_null(peer);
			assert_true(peer->chain_ok && peer->ids.san_dropped);
			assert_true(peer->ids.san_n > 100 && peer->ids.san_n < 2300);
		} else {
			assert_null(peer);
			check(str_find(str_c(p.server.s.err.text), str_c(sizes[k].error)) >= 0, p.server.s.err.text);
		}
		pair_close(&p);
	}
}

/* The shape of CVE-2022-3602 and -3786: an authority whose constraint holds punycode that decodes to more than there
 * was room for, and a mailbox in UTF-8 to be compared with it. */
static void test_mailboxes(void **state)
{
	static const struct {
		const char *constraint; /* NULL: 60 kB of it */
		const char *error;
	} rows[] = {
		{ "permitted;email:xn--m3hj7a.example", "permitted subtree violation" },
		{ "permitted;email:xn--maaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaaa-0ya.example",
		  "permitted subtree violation" },
		{ NULL, "unspecified certificate verification error" },
		{ "excluded;email:xn--", "" },
	};
	const struct tls_peer *peer;
	struct buf b;
	struct pair p;

	(void)state;
	buf_init(&b, 100 * 1024);
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
		sk_GENERAL_NAME_push(names, mailbox_name(S("mail@m\xc3\xbcnchen.contoso.com")));
		buf_reset(&b);
		buf_addf(&b, "permitted;email:" STR_FMT, STR_ARG(long_name));
		X509 *ca = authority("mailboxes", root, "critical,CA:TRUE",
				     rows[i].constraint != NULL ? rows[i].constraint : buf_cstr(&b));
		struct shown w = { .v = { named(ca, S("a mailbox"), names), ca }, .n = 2, .key = leaf_key };
		peer = show(&p, &w);
		assert_non_null(peer);
		assert_int_equal(peer->ids.san_n + peer->ids.cn_n + peer->ids.ip_n, 0);
		check_str(peer->chain_error, str_c(rows[i].error), "constraint"); /* what is no name permits none */
		pair_close(&p);
	}
	buf_fini(&b);
	/* without constraints: a good chain that proves the name of no host */
	GENERAL_NAMES *names = sk_GENERAL_NAME_new_null();
	sk_GENERAL_NAME_push(names, mailbox_name(S("mail.contoso.com")));
	struct shown w = with_names(S("a mailbox"), names);
	peer = show(&p, &w);
	assert_non_null(peer);
	assert_true(peer->chain_ok);
	assert_int_equal(peer->ids.san_n + peer->ids.cn_n, 0);
	pair_close(&p);
}

/* ---- all of it ---- */

static int begin_all(void **state)
{
	struct tls_server_options o = { .tls = &conf, .id_context = S("in") };
	char *room = malloc(LONG);
	FILE *f;

	if (room == NULL || certs_make(state) != 0)
		return -1;
	memset(room, 'a', LONG);
	memcpy(room, "xn--", 4);
	long_name = str_n(room, LONG);
	root_key = EVP_EC_gen("P-256");
	leaf_key = EVP_EC_gen("P-256");
	edwards_key = EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	must(root_key != NULL && leaf_key != NULL && edwards_key != NULL);
	root = authority("root of oddities", NULL, "critical,CA:TRUE", NULL);
	o.certificate = cert("server.pem");
	o.key = cert("server.key");
	o.ca = cert("odd.pem");
	f = fopen(o.ca.p, "we");
	must(f != NULL && PEM_write_X509(f, root) == 1 && fclose(f) == 0);
	server = tls_server_new(&o, NULL);
	return server != NULL ? 0 : -1;
}

static int end_all(void **state)
{
	tls_ctx_unref(&server);
	X509_free(root);
	EVP_PKEY_free(root_key);
	EVP_PKEY_free(leaf_key);
	EVP_PKEY_free(edwards_key);
	free((char *)(uintptr_t)long_name.p);
	return certs_remove(state);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_chains),     cmocka_unit_test(test_big_key),   cmocka_unit_test(test_nul),
		cmocka_unit_test(test_long_names), cmocka_unit_test(test_mailboxes),
	};

	return cmocka_run_group_tests_name("tls/odd", tests, begin_all, end_all);
}
