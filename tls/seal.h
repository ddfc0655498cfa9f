/* tls/seal.h: bytes sealed under a key: AES-256-GCM (NIST SP 800-38D), 96 bit nonce from a counter, 128 bit tag.
 *
 * A counter is used once under a key: who seals picks a key of its own for each file (seal_derive with a random salt)
 * and counts the parts in it.  Secrets are wiped by their fini.  A seal belongs to one thread. */
#ifndef TLS_SEAL_H
#define TLS_SEAL_H

#include "base/buf.h"

enum { SEAL_KEY = 32, SEAL_SALT = 32, SEAL_TAG = 16 };

struct seal;

/* The key of HMAC-SHA256(secret, what | salt).  `secret` of 1 to 4096 bytes. */
struct seal *seal_derive(struct str secret, struct str what, const unsigned char salt[SEAL_SALT]);
void seal_free(struct seal **s); /* harmless on NULL */
void seal_random(void *to, size_t n);
void seal_wipe(void *p, size_t n);

/* Appends plain.n + SEAL_TAG bytes; `aad` is bound to them, not written.  At most 1 GiB.  False: `to` is full. */
bool seal_put(struct seal *s, uint64_t counter, struct str aad, struct str plain, struct buf *to);
/* Appends the plain bytes; false: not sealed so under this key (or `to` is full): nothing is appended. */
bool seal_take(struct seal *s, uint64_t counter, struct str aad, struct str sealed, struct buf *to);

#endif
