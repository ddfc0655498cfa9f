/* auth/openssl_key.h: what kind of private key a PEM text is. */
#ifndef AUTH_OPENSSL_KEY_H
#define AUTH_OPENSSL_KEY_H

#include <stdbool.h>
#include <stddef.h>

/* False: no private key, or one that DKIM has no algorithm for. */
bool key_look(const char *pem, size_t n, bool *ed25519, unsigned *bits);
void key_wipe(void *p, size_t n); /* in a way that is not optimised away */

#endif
