/* tests/kit/openssl_seal.h: makes ARC chains for tests, in its own plain way: on whole strings, with nothing of auth/.
 *
 *   seal_key_new -> seal_put for instance 1, 2, ... -> seal_key_free
 */
#ifndef TESTS_KIT_OPENSSL_SEAL_H
#define TESTS_KIT_OPENSSL_SEAL_H

#include "base/buf.h"

struct seal_key;
struct seal_key *seal_key_new(unsigned rsa_bits); /* 0: Ed25519 */
void seal_key_free(struct seal_key **k);
/* p= of a key record; `old`: RSAPublicKey instead of SubjectPublicKeyInfo. */
void seal_key_record(const struct seal_key *k, bool old, struct buf *out);
void seal_key_pem(const struct seal_key *k, struct buf *out); /* the private key, for other programs */

struct seal { /* NULL: the usual */
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
void seal_put(const struct seal_key *k, const struct seal *s, struct buf *message);

#endif
