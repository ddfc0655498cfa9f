/* tests/kit/openssl_rogue.c: see the header. */
#include "tests/kit/openssl_rogue.h"

#include "base/must.h"
#include "tls/openssl_tls.h"

#include <openssl/err.h>
#include <stdio.h>
#include <sys/socket.h>

enum { PATH_ROOM = 512, NAME_ROOM = 1024 };

/* Level 0 takes what the level of the day (2) refuses: 1024 bits, SHA-1, MD5-SHA1 of the old versions. */
static void relax(SSL_CTX *ssl)
{
	SSL_CTX_set_security_level(ssl, 0);
	must(SSL_CTX_set_cipher_list(ssl, "ALL:@SECLEVEL=0") == 1);
}

int rogue_show(struct tls_ctx *c, struct str certificate, struct str key, struct err *e)
{
	char chain[PATH_ROOM], secret[PATH_ROOM];

	snprintf(chain, sizeof chain, STR_FMT, STR_ARG(certificate));
	snprintf(secret, sizeof secret, STR_FMT, STR_ARG(key));
	relax(c->ssl);
	if (SSL_CTX_use_certificate_chain_file(c->ssl, chain) == 1 &&
	    SSL_CTX_use_PrivateKey_file(c->ssl, secret, SSL_FILETYPE_PEM) == 1)
		return 0;
	return openssl_err(e, ERR_TLS, "rogue", "cannot show %s", chain);
}

bool rogue_speak_at_most(struct tls_ctx *c, struct str version)
{
	static const struct {
		struct str name;
		int number;
	} versions[] = { { STR_LIT("1.1"), TLS1_1_VERSION },
			 { STR_LIT("1.2"), TLS1_2_VERSION },
			 { STR_LIT("1.3"), TLS1_3_VERSION } };

	for (size_t i = 0; i < sizeof versions / sizeof versions[0]; i++)
		if (str_eq(versions[i].name, version)) {
			relax(c->ssl);
			return SSL_CTX_set_min_proto_version(c->ssl, TLS1_VERSION) == 1 &&
			       SSL_CTX_set_max_proto_version(c->ssl, versions[i].number) == 1;
		}
	return false;
}

void rogue_demand_certificate(struct tls_ctx *c)
{
	SSL_CTX_set_verify(c->ssl, SSL_VERIFY_PEER | SSL_VERIFY_FAIL_IF_NO_PEER_CERT, NULL);
}

static int on_certificate(SSL *ssl, void *arg)
{
	(void)arg;
	SSL_certs_clear(ssl);
	return 1;
}

void rogue_hide_certificate(struct tls_ctx *c)
{
	SSL_CTX_set_cert_cb(c->ssl, on_certificate, NULL);
}

void rogue_ask_for(struct stream *s, struct str name)
{
	struct secured *t = s->under;
	char text[NAME_ROOM];

	must(name.n < sizeof text);
	memcpy(text, name.p, name.n);
	text[name.n] = '\0';
	SSL_set_tlsext_host_name(t->ssl, text);
}

unsigned rogue_update_keys(struct stream *s, unsigned n)
{
	struct secured *t = s->under;
	unsigned sent = 0;

	while (sent < n && SSL_key_update(t->ssl, SSL_KEY_UPDATE_REQUESTED) == 1 && SSL_do_handshake(t->ssl) == 1)
		sent++;
	ERR_clear_error();
	return sent;
}

bool rogue_speak_early(struct stream *s, struct str text)
{
	struct secured *t = s->under;
	SSL_SESSION *saved = SSL_get0_session(t->ssl);
	size_t put = 0;

	return saved != NULL && SSL_SESSION_set_max_early_data(saved, 16384) == 1 &&
	       SSL_write_early_data(t->ssl, text.p, text.n, &put) == 1 && put == text.n;
}

bool rogue_was_heard_early(struct stream *s)
{
	const struct secured *t = s->under;

	return SSL_get_early_data_status(t->ssl) == SSL_EARLY_DATA_ACCEPTED;
}

int rogue_renegotiate(struct stream *s)
{
	struct secured *t = s->under;

	SSL_clear_options(t->ssl, SSL_OP_NO_RENEGOTIATION);
	return SSL_renegotiate(t->ssl) == 1 && SSL_do_handshake(t->ssl) == 1;
}

void rogue_go_on_clear(struct stream *s, struct str bytes)
{
	struct secured *t = s->under;

	SSL_shutdown(t->ssl);
	(void)!send(s->fd, bytes.p, bytes.n, MSG_NOSIGNAL);
}
