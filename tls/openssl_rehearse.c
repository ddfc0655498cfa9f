/* tls/openssl_rehearse.c: before a certificate is shown to anybody, it is shown to ourselves (spec 3.5.5, 8.7): as a
 * server's and as a client's, over memory, with the versions that peers would agree on.
 *
 * That finds what looking cannot: a key in hardware that does not sign, one the library has no algorithm for, a chain
 * that does not leave.  Whether others trust it is not asked here: cert_complete knows the chain. */
#include "tls/openssl_cert.h"

#include "base/must.h"

#include <openssl/err.h>

enum { TURNS_MAX = 20 };

static SSL *end_new(SSL_CTX *ctx, BIO *in, BIO *out, bool server)
{
	SSL *ssl = SSL_new(ctx);

	must(ssl != NULL && BIO_up_ref(in) == 1 && BIO_up_ref(out) == 1);
	SSL_set_bio(ssl, in, out);
	if (server)
		SSL_set_accept_state(ssl);
	else
		SSL_set_connect_state(ssl);
	return ssl;
}

/* Both ends are asked in turn until neither waits. */
static bool shake(SSL *a, SSL *b)
{
	bool done_a = false, done_b = false;

	for (int i = 0; i < TURNS_MAX && !(done_a && done_b); i++) {
		int ra = SSL_do_handshake(a), wants_a = SSL_get_error(a, ra);
		int rb = SSL_do_handshake(b), wants_b = SSL_get_error(b, rb);
		done_a = ra == 1;
		done_b = rb == 1;
		if ((!done_a && wants_a != SSL_ERROR_WANT_READ) || (!done_b && wants_b != SSL_ERROR_WANT_READ))
			return false;
	}
	return done_a && done_b;
}

static int trust_anybody(X509_STORE_CTX *store, void *arg)
{
	(void)arg;
	X509_STORE_CTX_set_error(store, X509_V_OK);
	return 1;
}

static SSL_CTX *side_new(const struct cert *c, bool server)
{
	SSL_CTX *ctx = SSL_CTX_new(server ? TLS_server_method() : TLS_client_method());

	must(ctx != NULL && SSL_CTX_set_min_proto_version(ctx, TLS1_2_VERSION) == 1);
	SSL_CTX_set_mode(ctx, SSL_MODE_NO_AUTO_CHAIN);
	SSL_CTX_set_verify(ctx, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
	SSL_CTX_set_cert_verify_callback(ctx, trust_anybody, NULL);
	if (SSL_CTX_use_cert_and_key(ctx, c->x, c->key, c->chain, 1) == 1)
		return ctx;
	SSL_CTX_free(ctx);
	return NULL;
}

/* Each side got all that is shown. */
static bool has_arrived(const struct cert *c, const SSL *ssl, bool server)
{
	STACK_OF(X509) *chain = SSL_get_peer_cert_chain(ssl);
	X509 *leaf = SSL_get0_peer_certificate(ssl);
	/* a server's view leaves the leaf out */
	size_t n = (size_t)(sk_X509_num(chain) > 0 ? sk_X509_num(chain) : 0) + (server ? 1 : 0);

	return leaf != NULL && X509_cmp(leaf, c->x) == 0 && n == c->facts.shown_n;
}

static bool rehearse(const struct cert *c)
{
	BIO *up = BIO_new(BIO_s_mem()), *down = BIO_new(BIO_s_mem());
	SSL_CTX *server = side_new(c, true), *client = side_new(c, false);
	SSL *s = NULL, *k = NULL;
	bool ok = false;

	must(up != NULL && down != NULL);
	if (server != NULL && client != NULL) {
		s = end_new(server, up, down, true);
		k = end_new(client, down, up, false);
		ok = shake(s, k) && has_arrived(c, s, true) && has_arrived(c, k, false);
	}
	SSL_free(s);
	SSL_free(k);
	SSL_CTX_free(server);
	SSL_CTX_free(client);
	BIO_free(up);
	BIO_free(down);
	return ok;
}

bool cert_rehearse(struct cert_room *room, struct cert *c)
{
	char text[200];

	if (c->rehearsed || c->facts.weak.n > 0)
		return c->facts.weak.n == 0;
	c->rehearsed = true;
	ERR_clear_error();
	if (!rehearse(c)) {
		const char *why = ERR_reason_error_string(ERR_peek_error());
		snprintf(text, sizeof text, "a handshake with it failed: %s",
			 why != NULL ? why : "it did not arrive whole");
		must(arena_dup(&room->arena, str_c(text), &c->facts.weak));
	}
	ERR_clear_error();
	return c->facts.weak.n == 0;
}
