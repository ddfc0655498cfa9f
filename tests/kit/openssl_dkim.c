/* tests/kit/openssl_dkim.c: see the header. */
#include "tests/kit/openssl_dkim.h"

#include "base/must.h"

#include <openssl/bio.h>
#include <openssl/evp.h>
#include <openssl/pem.h>
#include <openssl/x509.h>
#include <stdio.h>
#include <string.h>

void dkim_key_make(unsigned bits, char pem[DKIM_PEM], char record[DKIM_RECORD])
{
	EVP_PKEY *key = bits > 0 ? EVP_RSA_gen(bits) : EVP_PKEY_Q_keygen(NULL, NULL, "ED25519");
	BIO *bio = BIO_new(BIO_s_mem());
	unsigned char *der = NULL, text[DKIM_RECORD];

	must(key != NULL && bio != NULL && PEM_write_bio_PrivateKey(bio, key, NULL, NULL, 0, NULL, NULL) == 1);
	int n = BIO_read(bio, pem, DKIM_PEM - 1);
	must(n > 0);
	pem[n] = '\0';
	n = i2d_PUBKEY(key, &der);
	int skip = bits > 0 ? 0 : n - 32; /* of Ed25519 the key alone (RFC 8463 4) */
	must(n > 0 && n < 700);
	EVP_EncodeBlock(text, der + skip, n - skip);
	snprintf(record, DKIM_RECORD, "v=DKIM1; k=%s; p=%.990s", bits > 0 ? "rsa" : "ed25519", (const char *)text);
	OPENSSL_free(der);
	BIO_free(bio);
	EVP_PKEY_free(key);
}
