/* tls/openssl_file.c: a certificate out of a PEM file, seen as a peer's: who would be attributed with it, and why not.
 *
 * The judgement on its chain is the one that handshakes use (chain_look), over the same stores. */
#include "tls/openssl_tls.h"

#include "base/must.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>

enum { FILE_CERTS_MAX = 32 };

static STACK_OF(X509) * read_all(const char *path, struct err *e)
{
	STACK_OF(X509) *all = sk_X509_new_null();
	BIO *in = BIO_new_file(path, "r");
	X509 *x;

	must(all != NULL);
	while (in != NULL && sk_X509_num(all) < FILE_CERTS_MAX && (x = PEM_read_bio_X509(in, NULL, NULL, NULL)) != NULL)
		must(sk_X509_push(all, x) > 0);
	if (in == NULL)
		openssl_err(e, ERR_TLS, "tls.file", "cannot read %s", path);
	else if (sk_X509_num(all) == 0)
		openssl_err(e, ERR_TLS, "tls.file", "%s does not hold a certificate in PEM form", path);
	ERR_clear_error();
	BIO_free(in);
	if (sk_X509_num(all) > 0)
		return all;
	sk_X509_pop_free(all, X509_free);
	return NULL;
}

static int judge(STACK_OF(X509) * all, struct str ca, const struct conf_tls *tls, struct tls_peer *out, struct err *e)
{
	bool looks = tls->crl != CRL_OFF || tls->crl_of_inbound;
	struct trust_files files = { .ca = ca };
	struct trust *trust;
	X509_STORE_CTX *store = X509_STORE_CTX_new();

	must(store != NULL);
	if (looks) {
		files.crl_file = tls->crl_file;
		files.crl_dir = tls->crl_dir;
		files.crl_cache = tls->crl_fetch.n > 0 ? tls->crl_cache : STR_NONE;
	}
	trust = trust_get(&files, true, e);
	if (trust == NULL) {
		X509_STORE_CTX_free(store);
		return -1;
	}
	must(X509_STORE_CTX_init(store, trust_store(trust), sk_X509_value(all, 0), all) == 1);
	X509_STORE_CTX_set_purpose(store, X509_PURPOSE_ANY);
	if (looks)
		X509_STORE_CTX_set_flags(store, X509_V_FLAG_CRL_CHECK | X509_V_FLAG_CRL_CHECK_ALL);
	chain_look(store, &out->judgement);
	out->chain_ok = tls_client_is_good(out, tls->client_cert_eku, tls->crl, &out->chain_error); /* constants */
	X509_STORE_CTX_free(store);
	trust_put(&trust);
	return 0;
}

int tls_peer_of_file(const char *path, struct str ca, const struct conf_tls *tls, struct arena *a, struct tls_peer *out,
		     struct err *e)
{
	STACK_OF(X509) *all = read_all(path, e);
	int failed = 0;

	if (all == NULL)
		return -1;
	*out = (struct tls_peer){ .protocol = S("TLSv1.3"),
				  .cipher = S("TLS_AES_256_GCM_SHA384"),
				  .has_certificate = true,
				  .chain_ok = true };
	identities_read(sk_X509_value(all, 0), a, &out->ids);
	if (ca.n > 0)
		failed = judge(all, ca, tls, out, e);
	sk_X509_pop_free(all, X509_free);
	return failed;
}
