/* tls/mac.h: keyed and plain SHA-256, and a comparison that takes the same time whatever it finds.  Any thread. */
#ifndef TLS_MAC_H
#define TLS_MAC_H

#include "base/str.h"

enum { MAC_SIZE = 32 };

void mac_sha256(struct str data, unsigned char out[MAC_SIZE]);
struct mac_sum; /* SHA-256 of what comes in pieces */
struct mac_sum *mac_sum_new(void);
void mac_sum_add(struct mac_sum *s, struct str data);
void mac_sum_end(struct mac_sum **s, unsigned char out[MAC_SIZE]);           /* frees; `out` may be NULL, and *s too */
void mac_hmac(struct str key, struct str data, unsigned char out[MAC_SIZE]); /* HMAC-SHA256, RFC 2104 */
bool mac_equal(const void *a, const void *b, size_t n);

#endif
