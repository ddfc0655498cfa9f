/* tls/signature.h: what signed mail rests on: SHA-256 over a stream, and the two kinds of signature that DKIM and ARC
 * know (RFC 6376, 8301, 8463).  Any thread; a digest belongs to one at a time. */
#ifndef TLS_SIGNATURE_H
#define TLS_SIGNATURE_H

#include "base/str.h"

enum { DIGEST_SIZE = 32, SIGNATURE_RSA_BITS_MIN = 1024, SIGNATURE_RSA_BITS_MAX = 16384 };

struct digest;
struct digest *digest_new(void);
void digest_add(struct digest *d, struct str bytes);
void digest_end(struct digest *d, unsigned char out[DIGEST_SIZE]); /* then only digest_free */
void digest_free(struct digest **d);                               /* takes NULL */

enum signature_kind { SIGNATURE_RSA, SIGNATURE_ED25519 };
enum signature_state {
	SIGNATURE_GOOD,
	SIGNATURE_WRONG,
	SIGNATURE_BAD_KEY,  /* not of this kind, or damaged */
	SIGNATURE_WEAK_KEY, /* RSA below or above the bounds: is not even tried */
};
/* `key` as a DKIM record has it behind base64: for RSA SubjectPublicKeyInfo or RSAPublicKey, for Ed25519 32 bytes.
 * The signature is over `hash`: PKCS#1 v1.5 with SHA-256, or Ed25519 of the hash as message. */
enum signature_state signature_check(enum signature_kind kind, struct str key, const unsigned char hash[DIGEST_SIZE],
				     struct str signature);

/* Base64 with blanks and line ends passed over (RFC 6376 3.2).  False: another character, or no multiple of four.
 * Writes at most `room` bytes, or fails. */
bool signature_base64(struct str text, unsigned char *out, size_t room, size_t *n);

#endif
