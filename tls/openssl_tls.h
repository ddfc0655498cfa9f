/* tls/openssl_tls.h: what the openssl_*.c files of this room share.  The only header with OpenSSL types in it.
 *
 *   openssl_trust     CA files and CRLs as shared stores         openssl_ctx    contexts, and the verdict on a chain
 *   openssl_sessions  saved outbound sessions                    openssl_io     bytes and handshakes
 *   openssl_peer      what the other side proved */
#ifndef TLS_OPENSSL_TLS_H
#define TLS_OPENSSL_TLS_H

#include "base/arena.h"
#include "tls/tls.h"

#include <openssl/ssl.h>
#include <stdatomic.h>

/* ---- trust: one store per {CA file, CRL file} as long as somebody uses it.  Any thread. ---- */

struct trust;
/* Empty ca = the system's bundle.  Files that changed on disk give a new store, so a reload sees them. */
struct trust *trust_get(struct str ca, struct str crl, struct err *e);
void trust_put(struct trust **t);
X509_STORE *trust_store(const struct trust *t);

/* ---- sessions: bounded, by key.  Any thread. ---- */

struct sessions;
struct sessions *sessions_new(void);
void sessions_free(struct sessions **c);
void sessions_save(struct sessions *c, struct str key, SSL_SESSION *session); /* takes the reference */
SSL_SESSION *sessions_find(struct sessions *c, struct str key);               /* a new reference, or NULL */

/* ---- contexts ---- */

struct tls_ctx {
	SSL_CTX *ssl;
	BIO_METHOD *bio; /* over struct stream: no SIGPIPE, no descriptor of its own */
	atomic_size_t refs;
	struct trust *trust;
	struct sessions *sessions; /* client contexts */
	bool server;
	enum conf_eku eku;
	enum conf_crl crl;
};

/* Sets *e to `what` and OpenSSL's oldest reason; empties its queue. */
int openssl_err(struct err *e, enum err_code code, const char *where, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* ---- secured streams: stream.under ---- */

struct secured {
	SSL *ssl;
	struct tls_ctx *ctx;
	struct arena arena; /* session_key, peer */
	struct str session_key;
	struct tls_peer *peer; /* made when first asked for */
	bool shaken;           /* the handshake is over */
	bool starved;          /* the last read ended inside a record: only the socket can help */
	bool broken;           /* the connection failed: no goodbye */
};

/* Verifies as `ctx` (a struct tls_ctx) asks; the verdict is the error of the store.  Always 1. */
int chain_judge(X509_STORE_CTX *store, void *ctx);

BIO_METHOD *secured_bio_new(void);
/* The arena must have room for a struct tls_peer; what else does not fit is left out. */
struct tls_peer *peer_make(SSL *ssl, struct arena *a);
void identities_read(X509 *x, struct arena *a, struct tls_identities *ids);

#endif
