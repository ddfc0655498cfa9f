/* tls/mac.h: keyed and plain SHA-256, and a comparison that takes the same time whatever it finds.  Any thread. */
#ifndef TLS_MAC_H
#define TLS_MAC_H

#include "base/str.h"

enum { MAC_SIZE = 32 };

void mac_sha256(struct str data, unsigned char out[MAC_SIZE]);
void mac_hmac(struct str key, struct str data, unsigned char out[MAC_SIZE]); /* HMAC-SHA256, RFC 2104 */
bool mac_equal(const void *a, const void *b, size_t n);

#endif
