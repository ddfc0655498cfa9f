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

static EVP_MD_CTX *context_of(struct mac_sum *s)
{
	return (EVP_MD_CTX *)(void *)s;
}

struct mac_sum *mac_sum_new(void)
{
	EVP_MD_CTX *c = EVP_MD_CTX_new();

	must(c != NULL && EVP_DigestInit_ex(c, EVP_sha256(), NULL) == 1);
	return (struct mac_sum *)(void *)c;
}

void mac_sum_add(struct mac_sum *s, struct str data)
{
	must(data.n == 0 || EVP_DigestUpdate(context_of(s), data.p, data.n) == 1);
}

void mac_sum_end(struct mac_sum **sp, unsigned char out[MAC_SIZE])
{
	struct mac_sum *s = *sp;
	unsigned n = 0;

	*sp = NULL;
	if (s == NULL)
		return;
	if (out != NULL)
		must(EVP_DigestFinal_ex(context_of(s), out, &n) == 1 && n == MAC_SIZE);
	EVP_MD_CTX_free(context_of(s));
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
