/* tls/openssl_mac.c: SHA-256 and HMAC for what we sign ourselves; see the header. */
#include "tls/mac.h"

#include "base/must.h"

#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/hmac.h>

void mac_sha256(struct str data, unsigned char out[MAC_SIZE])
{
	unsigned n = 0;

	must(EVP_Digest(data.n > 0 ? data.p : "", data.n, out, &n, EVP_sha256(), NULL) == 1 && n == MAC_SIZE);
}

void mac_hmac(struct str key, struct str data, unsigned char out[MAC_SIZE])
{
	unsigned n = 0;

	must(key.n > 0 && key.n <= 4096);
	must(HMAC(EVP_sha256(), key.p, (int)key.n, (const unsigned char *)(data.n > 0 ? data.p : ""), data.n, out,
		  &n) != NULL &&
	     n == MAC_SIZE);
}

bool mac_equal(const void *a, const void *b, size_t n)
{
	return CRYPTO_memcmp(a, b, n) == 0;
}
