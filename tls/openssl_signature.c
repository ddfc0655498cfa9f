/* tls/openssl_signature.c: digests and signatures of signed mail by OpenSSL's EVP; see signature.h.
 *
 * What OpenSSL does not like about a stranger's key or signature is an answer, not an error: its queue is emptied. */
#include "tls/signature.h"

#include "base/must.h"

#include <openssl/err.h>
#include <openssl/evp.h>
#include <openssl/rsa.h>
#include <openssl/x509.h>

/* ---- digests ---- */

struct digest {
	EVP_MD_CTX *ctx;
};

struct digest *digest_new(void)
{
	struct digest *d = malloc(sizeof *d);

	must(d != NULL);
	d->ctx = EVP_MD_CTX_new();
	must(d->ctx != NULL && EVP_DigestInit_ex(d->ctx, EVP_sha256(), NULL) == 1);
	return d;
}

void digest_add(struct digest *d, struct str bytes)
{
	must(bytes.n == 0 || EVP_DigestUpdate(d->ctx, bytes.p, bytes.n) == 1);
}

void digest_end(struct digest *d, unsigned char out[DIGEST_SIZE])
{
	unsigned n = 0;

	must(EVP_DigestFinal_ex(d->ctx, out, &n) == 1 && n == DIGEST_SIZE);
}

void digest_free(struct digest **d)
{
	if (*d == NULL)
		return;
	EVP_MD_CTX_free((*d)->ctx);
	free(*d);
	*d = NULL;
}

/* ---- keys ---- */

/* The RSAPublicKey inside of a SubjectPublicKeyInfo in DER, which nearly every key record holds: OpenSSL 3.0 takes 200
 * us to find that out (d2i_PUBKEY), and 40 for the inner one. */
static struct str unwrap_rsa(struct str key)
{
	static const unsigned char algorithm[] = { 0x30, 0x0d, 0x06, 0x09, 0x2a, 0x86, 0x48, 0x86,
						   0xf7, 0x0d, 0x01, 0x01, 0x01, 0x05, 0x00 };
	const unsigned char *p = (const unsigned char *)key.p, *end = p + key.n;
	long n;
	int tag, class;

	if (ASN1_get_object(&p, &n, &tag, &class, (long)key.n) != 0x20 || tag != V_ASN1_SEQUENCE || p + n != end)
		return STR_NONE;
	if (n <= (long)sizeof algorithm || memcmp(p, algorithm, sizeof algorithm) != 0)
		return STR_NONE;
	p += sizeof algorithm;
	if (ASN1_get_object(&p, &n, &tag, &class, end - p) != 0 || tag != V_ASN1_BIT_STRING || p + n != end || n < 2 ||
	    *p != 0)
		return STR_NONE;
	return str_n(p + 1, (size_t)n - 1);
}

static EVP_PKEY *read_rsa(struct str key)
{
	struct str inner = unwrap_rsa(key);
	const unsigned char *p, *end;
	EVP_PKEY *k;

	if (inner.n == 0) /* as the first DKIM keys were written, or an unusual wrapping */
		inner = key;
	p = (const unsigned char *)inner.p;
	end = p + inner.n;
	k = d2i_PublicKey(EVP_PKEY_RSA, NULL, &p, (long)inner.n);
	if (k == NULL) {
		p = (const unsigned char *)key.p;
		end = p + key.n;
		k = d2i_PUBKEY(NULL, &p, (long)key.n);
	}
	if (k != NULL && (EVP_PKEY_get_base_id(k) != EVP_PKEY_RSA || p != end)) {
		EVP_PKEY_free(k);
		return NULL;
	}
	return k;
}

static EVP_PKEY *read_key(enum signature_kind kind, struct str key)
{
	if (key.n == 0 || key.n > 8192)
		return NULL;
	if (kind == SIGNATURE_RSA)
		return read_rsa(key);
	return EVP_PKEY_new_raw_public_key(EVP_PKEY_ED25519, NULL, (const unsigned char *)key.p, key.n);
}

static bool check_rsa(EVP_PKEY *key, const unsigned char *hash, struct str signature)
{
	EVP_PKEY_CTX *c = EVP_PKEY_CTX_new(key, NULL);

	must(c != NULL);
	bool good = EVP_PKEY_verify_init(c) == 1 && EVP_PKEY_CTX_set_rsa_padding(c, RSA_PKCS1_PADDING) == 1 &&
		    EVP_PKEY_CTX_set_signature_md(c, EVP_sha256()) == 1 &&
		    EVP_PKEY_verify(c, (const unsigned char *)signature.p, signature.n, hash, DIGEST_SIZE) == 1;
	EVP_PKEY_CTX_free(c);
	return good;
}

static bool check_ed25519(EVP_PKEY *key, const unsigned char *hash, struct str signature)
{
	EVP_MD_CTX *c = EVP_MD_CTX_new();

	must(c != NULL);
	bool good = EVP_DigestVerifyInit(c, NULL, NULL, NULL, key) == 1 &&
		    EVP_DigestVerify(c, (const unsigned char *)signature.p, signature.n, hash, DIGEST_SIZE) == 1;
	EVP_MD_CTX_free(c);
	return good;
}

enum signature_state signature_check(enum signature_kind kind, struct str key, const unsigned char hash[DIGEST_SIZE],
				     struct str signature)
{
	EVP_PKEY *k = read_key(kind, key);
	enum signature_state s = SIGNATURE_BAD_KEY;

	if (k != NULL) {
		int bits = EVP_PKEY_get_bits(k);
		bool good = false;
		if (kind == SIGNATURE_RSA && (bits < SIGNATURE_RSA_BITS_MIN || bits > SIGNATURE_RSA_BITS_MAX))
			s = SIGNATURE_WEAK_KEY;
		else {
			if (signature.n > 0)
				good = kind == SIGNATURE_RSA ? check_rsa(k, hash, signature)
							     : check_ed25519(k, hash, signature);
			s = good ? SIGNATURE_GOOD : SIGNATURE_WRONG;
		}
	}
	EVP_PKEY_free(k);
	ERR_clear_error();
	return s;
}

/* ---- base64 ---- */

static int digit_of(char c)
{
	static const char digits[] = "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789+/";
	const char *at = c == '\0' ? NULL : strchr(digits, c);

	return at == NULL ? -1 : (int)(at - digits);
}

bool signature_base64(struct str text, unsigned char *out, size_t room, size_t *n)
{
	unsigned bits = 0, digits = 0, pads = 0;

	*n = 0;
	for (size_t i = 0; i < text.n; i++) {
		char c = text.p[i];
		int v = digit_of(c);
		if (chr_is_space(c) || c == '\r' || c == '\n')
			continue;
		if (c == '=')
			pads++;
		else if (v < 0 || pads > 0)
			return false;
		bits = bits << 6 | (unsigned)(v > 0 ? v : 0);
		if (++digits % 4 != 0)
			continue;
		if (pads > 2)
			return false;
		for (unsigned k = 0; k < 3 - pads; k++) {
			if (*n == room)
				return false;
			out[(*n)++] = (unsigned char)(bits >> (16 - 8 * k));
		}
		bits = 0;
	}
	return digits % 4 == 0;
}
