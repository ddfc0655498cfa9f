/* tls/openssl_seal.c: see the header. */
#include "tls/seal.h"

#include "base/must.h"
#include "tls/mac.h"

#include <endian.h>
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <string.h>

enum { NONCE = 12, PART_MAX = 1 << 30 };

struct seal {
	EVP_CIPHER_CTX *put, *take; /* with the key set: each part sets its nonce only */
};

static EVP_CIPHER_CTX *context(const unsigned char key[SEAL_KEY], int encrypt)
{
	EVP_CIPHER_CTX *c = EVP_CIPHER_CTX_new();

	must(c != NULL && EVP_CipherInit_ex(c, EVP_aes_256_gcm(), NULL, key, NULL, encrypt) == 1);
	return c;
}

struct seal *seal_derive(struct str secret, struct str what, const unsigned char salt[SEAL_SALT])
{
	struct seal *s = calloc(1, sizeof *s);
	unsigned char key[SEAL_KEY], label[64 + SEAL_SALT];

	must(s != NULL && what.n <= 64);
	memcpy(label, what.p, what.n);
	memcpy(label + what.n, salt, SEAL_SALT);
	mac_hmac(secret, str_n(label, what.n + SEAL_SALT), key);
	s->put = context(key, 1);
	s->take = context(key, 0);
	seal_wipe(key, sizeof key);
	return s;
}

void seal_free(struct seal **sp)
{
	struct seal *s = *sp;

	*sp = NULL;
	if (s == NULL)
		return;
	EVP_CIPHER_CTX_free(s->put); /* wipes the key */
	EVP_CIPHER_CTX_free(s->take);
	free(s);
}

void seal_random(void *to, size_t n)
{
	must(RAND_bytes(to, (int)n) == 1);
}

void seal_wipe(void *p, size_t n)
{
	OPENSSL_cleanse(p, n);
}

static void begin(EVP_CIPHER_CTX *c, uint64_t counter, struct str aad)
{
	unsigned char nonce[NONCE] = { 0 };
	uint64_t big_endian = htobe64(counter);
	int n;

	memcpy(nonce + NONCE - sizeof big_endian, &big_endian, sizeof big_endian);
	must(EVP_CipherInit_ex(c, NULL, NULL, NULL, nonce, -1) == 1);
	must(EVP_CipherUpdate(c, NULL, &n, (const unsigned char *)aad.p, (int)aad.n) == 1);
}

bool seal_put(struct seal *s, uint64_t counter, struct str aad, struct str plain, struct buf *to)
{
	unsigned char *out = (unsigned char *)buf_reserve(to, plain.n + SEAL_TAG);
	int n = 0, rest = 0;

	must(plain.n <= PART_MAX);
	if (out == NULL)
		return false;
	begin(s->put, counter, aad);
	must(plain.n == 0 || EVP_CipherUpdate(s->put, out, &n, (const unsigned char *)plain.p, (int)plain.n) == 1);
	must(EVP_CipherFinal_ex(s->put, out + n, &rest) == 1 && (size_t)(n + rest) == plain.n);
	must(EVP_CIPHER_CTX_ctrl(s->put, EVP_CTRL_GCM_GET_TAG, SEAL_TAG, out + plain.n) == 1);
	buf_commit(to, plain.n + SEAL_TAG);
	return true;
}

bool seal_take(struct seal *s, uint64_t counter, struct str aad, struct str sealed, struct buf *to)
{
	unsigned char tag[SEAL_TAG], *out;
	size_t plain_n = sealed.n - SEAL_TAG;
	int n = 0, rest = 0;

	if (sealed.n < SEAL_TAG || plain_n > PART_MAX || (out = (unsigned char *)buf_reserve(to, plain_n + 1)) == NULL)
		return false;
	memcpy(tag, sealed.p + plain_n, SEAL_TAG);
	begin(s->take, counter, aad);
	if (plain_n > 0 && EVP_CipherUpdate(s->take, out, &n, (const unsigned char *)sealed.p, (int)plain_n) != 1)
		return false;
	if (EVP_CIPHER_CTX_ctrl(s->take, EVP_CTRL_GCM_SET_TAG, SEAL_TAG, tag) != 1 ||
	    EVP_CipherFinal_ex(s->take, out + n, &rest) != 1) {
		seal_wipe(out, plain_n);
		return false;
	}
	buf_commit(to, plain_n);
	return true;
}
