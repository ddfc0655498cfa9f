/* auth/openssl_key.c: private keys as OpenSSL reads them. */
#include "auth/openssl_key.h"

#include <openssl/bio.h>
#include <openssl/crypto.h>
#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/pem.h>

static int no_password(char *room, int n, int write, void *arg)
{
	(void)room, (void)n, (void)write, (void)arg;
	return 0; /* nobody is there to type one */
}

bool key_look(const char *pem, size_t n, bool *ed25519, unsigned *bits)
{
	BIO *bio = BIO_new_mem_buf(pem, (int)n);
	EVP_PKEY *key = bio == NULL ? NULL : PEM_read_bio_PrivateKey(bio, NULL, no_password, NULL);
	int kind = key == NULL ? 0 : EVP_PKEY_get_base_id(key);

	if (key != NULL) {
		*ed25519 = kind == EVP_PKEY_ED25519;
		*bits = (unsigned)EVP_PKEY_get_bits(key);
		if (*ed25519)
			*bits = 256;
	}
	EVP_PKEY_free(key);
	BIO_free(bio);
	ERR_clear_error();
	return kind == EVP_PKEY_ED25519 || kind == EVP_PKEY_RSA;
}

void key_wipe(void *p, size_t n)
{
	OPENSSL_cleanse(p, n);
}
