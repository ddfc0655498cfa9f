/* tests/kit/openssl_sealer.h: makes ARC chains for tests, in its own plain way: on whole strings, with nothing of
 * auth/.
 *
 *   sealer_key_new -> sealer_put for instance 1, 2, ... -> sealer_key_free
 */
#ifndef TESTS_KIT_OPENSSL_SEALER_H
#define TESTS_KIT_OPENSSL_SEALER_H

#include "base/buf.h"

struct sealer_key;
struct sealer_key *sealer_key_new(unsigned rsa_bits); /* 0: Ed25519 */
void sealer_key_free(struct sealer_key **k);
/* p= of a key record; `old`: RSAPublicKey instead of SubjectPublicKeyInfo. */
void sealer_key_record(const struct sealer_key *k, bool old, struct buf *out);
void sealer_key_pem(const struct sealer_key *k, struct buf *out); /* the private key, for other programs */

struct sealer { /* NULL: the usual */
	unsigned instance;
	const char *domain, *selector;
	const char *cv;                   /* "none" for the first, else "pass" */
	const char *c;                    /* "relaxed/relaxed"; "": no tag */
	const char *h;                    /* "from:to:subject:date" */
	const char *a;                    /* by the key */
	const char *results;              /* " mx.example; dmarc=pass header.from=x.example" */
	const char *more_ams, *more_seal; /* further tags, "x=1; " */
	const char *fold;                 /* between tags: " " */
	const char *bh;                   /* instead of the body's */
};
/* Puts the three fields in front of `message` (header, empty line, body). */
void sealer_put(const struct sealer_key *k, const struct sealer *s, struct buf *message);

#endif
