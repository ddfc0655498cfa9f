/* tls/openssl_tls.h: what the openssl_*.c files of this room share.  The only header with OpenSSL types in it.
 *
 *   openssl_trust     CA files and CRLs as shared stores         openssl_ctx    contexts, and the verdict on a chain
 *   openssl_cert(s)   our certificates, their keys and chains    openssl_io     bytes and handshakes
 *   openssl_sessions  saved outbound sessions                    openssl_peer   what the other side proved */
#ifndef TLS_OPENSSL_TLS_H
#define TLS_OPENSSL_TLS_H

#include "base/arena.h"
#include "base/buf.h"
#include "tls/tls.h"

#include <openssl/ssl.h>
#include <pthread.h>
#include <stdatomic.h>

/* ---- trust: one store per set of files as long as somebody uses it.  Any thread. ---- */

struct trust;
struct trust_files {
	struct str ca;                /* empty = the system's bundle */
	struct str crl_file, crl_dir; /* empty = none */
	struct str crl_cache;         /* a folder that may not be there yet; what is broken in it is passed over */
};
/* Files that changed on disk give a new store, so a reload sees them.  With `lenient`, revocation lists that are
 * missing or broken are passed over and told in trust_crls. */
struct trust *trust_get(const struct trust_files *f, bool lenient, struct err *e);
void trust_put(struct trust **t);
X509_STORE *trust_store(const struct trust *t);
const struct tls_crls *trust_crls(const struct trust *t);
bool trust_crls_changed(const struct trust *t);                  /* looks at the disk */
struct trust *trust_renew(const struct trust *t, struct err *e); /* the same files as they are now */

/* ---- our certificates (openssl_cert.c) ---- */

/* Makes the context show it; 0, or -1 with err. */
int cert_use(const struct cert *c, SSL_CTX *ssl, struct err *e);
/* The same for one connection, over what its context shows. */
bool cert_use_once(const struct cert *c, SSL *ssl);

bool cert_covers(const struct cert *c, struct str host); /* a name in a certificate's own sense, any bytes */

/* ---- values of certificates (openssl_peer.c) ---- */

int64_t asn1_time_ms(const ASN1_TIME *t);                /* 0 when it is none */
void name_print(const X509_NAME *name, struct buf *out); /* RFC 2253 */
struct str name_dup(struct arena *a, const X509_NAME *name);
struct str fingerprint_dup(struct arena *a, X509 *x); /* lower case hex */

/* ---- sessions: bounded, by key.  Any thread. ---- */

struct sessions;
struct sessions *sessions_new(void);
void sessions_free(struct sessions **c);
void sessions_save(struct sessions *c, struct str key, SSL_SESSION *session); /* takes the reference */
void sessions_clear(struct sessions *c);
SSL_SESSION *sessions_find(struct sessions *c, struct str key); /* a new reference, or NULL */

/* ---- contexts ---- */

struct tls_ctx {
	SSL_CTX *ssl;
	BIO_METHOD *bio; /* over struct stream: no SIGPIPE, no descriptor of its own */
	atomic_size_t refs;
	struct certs *certs; /* holds `own`; NULL: none */
	const struct cert *own;
	pthread_mutex_t lock; /* trust: tls_ctx_refresh changes it; seen */
	struct trust *trust;
	STACK_OF(X509) * seen;     /* chains of peers that matter (tls_note_chain); NULL: none yet */
	struct sessions *sessions; /* client contexts */
	bool server;
	enum conf_eku eku;
	enum conf_crl crl;
	bool looks; /* at revocation lists: somebody may want to know, whatever `crl` says */
};

/* The roots and revocation lists of this moment judge this connection. */
void ctx_verify_by(struct tls_ctx *c, SSL *ssl);

/* Sets *e to `what` and OpenSSL's oldest reason; empties its queue. */
int openssl_err(struct err *e, enum err_code code, const char *where, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/* ---- secured streams: stream.under ---- */

struct secured {
	SSL *ssl;
	struct tls_ctx *ctx;
	struct arena arena; /* session_key, peer */
	struct str session_key;
	struct tls_peer *peer;          /* made when first asked for */
	struct tls_judgement judgement; /* of the chain, once it has been judged */
	bool shaken;                    /* the handshake is over */
	unsigned late;                  /* messages of a handshake that came after it: new keys, tickets */
	bool starved;                   /* the last read ended inside a record: only the socket can help */
	bool broken;                    /* the connection failed: no goodbye */
};

/* What there is to say about the chain; its verification is run.  The error of the store is that of the path. */
void chain_look(X509_STORE_CTX *store, struct tls_judgement *out);
/* Verifies as `ctx` (a struct tls_ctx) asks; the verdict is the error of the store.  Always 1. */
int chain_judge(X509_STORE_CTX *store, void *ctx);

BIO_METHOD *secured_bio_new(void);
/* For contexts: counts what comes after the handshake (openssl_io.c). */
void secured_watch(SSL_CTX *ssl);
/* The arena must have room for a struct tls_peer; what else does not fit is left out. */
struct tls_peer *peer_make(SSL *ssl, struct arena *a);
void identities_read(X509 *x, struct arena *a, struct tls_identities *ids);

#endif
