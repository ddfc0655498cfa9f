/* tls/openssl_cert.h: one of our certificates, between the two files that make stores of them. */
#ifndef TLS_OPENSSL_CERT_H
#define TLS_OPENSSL_CERT_H

#include "tls/certs.h"
#include "tls/openssl_tls.h"

struct cert {
	struct cert_facts facts;
	X509 *x;
	EVP_PKEY *key;
	STACK_OF(X509) * chain; /* intermediates to show, without the root */
	char *key_file;         /* of a reference by path: as it was asked for */
	bool rehearsed;
};

struct cert_room {             /* what the certificates of a store share */
	struct arena arena;    /* facts */
	STACK_OF(X509) * pool; /* certificates of authorities that chains may need */
	struct trust *trust;   /* tls.ca */
	SSL_CTX *probe;        /* tells whether OpenSSL would show a certificate at all */
};

struct pem { /* one file, or two, taken apart */
	STACK_OF(X509) * certs;
	EVP_PKEY *key;
};

/* A private key by URI (tls/openssl_key.c); NULL with err, in which no PIN stands. */
bool key_is_uri(const char *s);
EVP_PKEY *key_by_uri(const char *uri, struct err *e);

/* `key` NULL: the file beside it, or itself; it may be a URI.  0, or -1 with err; without any key p->key stays NULL.
 * pem_free in either case. */
int pem_read(const char *path, const char *key, struct pem *p, struct err *e);
void pem_free(struct pem *p);

/* Out of a file that has a key; leaves *p empty. */
struct cert *cert_new(struct cert_room *s, struct pem *p, const char *path, struct err *e);
void cert_free(struct cert *c);
/* Builds what peers need and sets chain, missing, shown_n.  Dates play no part: an intermediate that is over is still
 * the one. */
void cert_complete(struct cert_room *s, struct cert *c);
/* Two handshakes with ourselves, once; false: they failed, and `weak` says why (tls/openssl_rehearse.c). */
bool cert_rehearse(struct cert_room *s, struct cert *c);
void cert_try(struct cert_room *s, struct cert *c); /* sets weak, key_type, key_bits */

#endif
