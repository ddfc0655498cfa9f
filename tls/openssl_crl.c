/* tls/openssl_crl.c: revocation lists as documents: where certificates say they are, and who signed one.
 *
 * OpenSSL checks the signature of a list again when it judges a chain by it; here it is asked before the list replaces
 * a good one, and so that a wrong document is told as such. */
#include "tls/crl_keep.h"
#include "tls/openssl_cert.h"

#include "base/must.h"

#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

enum { KNOWN_MAX = 1024, STORES_MAX = 64 };

struct crl_known {
	STACK_OF(X509) * certs;
	X509_STORE *stores[STORES_MAX]; /* roots; may look into a folder, so they are asked by name */
	size_t store_n;
};

/* ---- distribution points ---- */

/* Only whole names: one relative to the issuer's is a place in its directory. */
static void each_url(X509 *x, void (*each)(void *arg, struct str url), void *arg)
{
	CRL_DIST_POINTS *points = X509_get_ext_d2i(x, NID_crl_distribution_points, NULL, NULL);

	for (int i = 0; i < sk_DIST_POINT_num(points); i++) {
		const DIST_POINT *at = sk_DIST_POINT_value(points, i);
		if (at->distpoint == NULL || at->distpoint->type != 0)
			continue;
		const GENERAL_NAMES *names = at->distpoint->name.fullname;
		for (int k = 0; k < sk_GENERAL_NAME_num(names); k++) {
			const GENERAL_NAME *name = sk_GENERAL_NAME_value(names, k);
			if (name->type != GEN_URI)
				continue;
			const ASN1_STRING *uri = name->d.uniformResourceIdentifier;
			struct str url = str_n(ASN1_STRING_get0_data(uri), (size_t)ASN1_STRING_length(uri));
			if (conf_url_check(url) == NULL)
				each(arg, url);
		}
	}
	CRL_DIST_POINTS_free(points);
	ERR_clear_error();
}

static void each_url_of(STACK_OF(X509) * list, void (*each)(void *arg, struct str url), void *arg)
{
	for (int i = 0; i < sk_X509_num(list); i++)
		each_url(sk_X509_value(list, i), each, arg);
}

/* The trusted ones without roots: nobody revokes a root by its own list. */
static void each_url_trusted(X509_STORE *store, void (*each)(void *arg, struct str url), void *arg)
{
	STACK_OF(X509) *all = X509_STORE_get1_all_certs(store);

	for (int i = 0; i < sk_X509_num(all); i++)
		if (X509_self_signed(sk_X509_value(all, i), 0) != 1)
			each_url(sk_X509_value(all, i), each, arg);
	sk_X509_pop_free(all, X509_free);
	ERR_clear_error();
}

static STACK_OF(X509) * seen_copy(struct tls_ctx *c)
{
	pthread_mutex_lock(&c->lock);
	STACK_OF(X509) *copy = c->seen != NULL ? X509_chain_up_ref(c->seen) : sk_X509_new_null();
	pthread_mutex_unlock(&c->lock);
	must(copy != NULL);
	return copy;
}

/* A reference: lists are renewed meanwhile by another thread. */
static X509_STORE *store_of(struct tls_ctx *c)
{
	pthread_mutex_lock(&c->lock);
	X509_STORE *store = trust_store(c->trust);
	must(X509_STORE_up_ref(store) == 1);
	pthread_mutex_unlock(&c->lock);
	return store;
}

void crl_points_each(struct tls_ctx *c, void (*each)(void *arg, struct str url), void *arg)
{
	STACK_OF(X509) *seen = seen_copy(c);
	X509_STORE *store = store_of(c);

	each_url_of(seen, each, arg);
	sk_X509_pop_free(seen, X509_free);
	each_url_trusted(store, each, arg);
	X509_STORE_free(store);
	if (c->own == NULL)
		return;
	each_url(c->own->x, each, arg);
	each_url_of(c->own->chain, each, arg);
}

/* ---- the certificates of signers ---- */

struct crl_known *crl_known_new(void)
{
	struct crl_known *k = calloc(1, sizeof *k);

	must(k != NULL);
	k->certs = sk_X509_new_null();
	must(k->certs != NULL);
	return k;
}

void crl_known_free(struct crl_known **kp)
{
	struct crl_known *k = *kp;

	*kp = NULL;
	if (k == NULL)
		return;
	for (size_t i = 0; i < k->store_n; i++)
		X509_STORE_free(k->stores[i]);
	sk_X509_pop_free(k->certs, X509_free);
	free(k);
}

static void know(struct crl_known *k, STACK_OF(X509) * certs)
{
	for (int i = 0; i < sk_X509_num(certs) && sk_X509_num(k->certs) < KNOWN_MAX; i++) {
		X509 *x = sk_X509_value(certs, i);
		if (X509_check_ca(x) != 0)
			must(X509_add_cert(k->certs, x, X509_ADD_FLAG_UP_REF | X509_ADD_FLAG_NO_DUP) == 1);
	}
	ERR_clear_error();
}

void crl_known_learn(struct crl_known *k, struct tls_ctx *c)
{
	STACK_OF(X509) *seen = seen_copy(c);
	X509_STORE *store = store_of(c);
	size_t i = 0;

	know(k, seen);
	sk_X509_pop_free(seen, X509_free);
	if (c->own != NULL)
		know(k, c->own->chain);
	while (i < k->store_n && k->stores[i] != store)
		i++;
	if (i < k->store_n) {
		X509_STORE_free(store);
		return;
	}
	if (i == STORES_MAX) { /* the oldest is of a configuration before the last ones */
		X509_STORE_free(k->stores[0]);
		memmove(k->stores, k->stores + 1, (STORES_MAX - 1) * sizeof k->stores[0]);
		k->store_n--;
	}
	k->stores[k->store_n++] = store;
}

static bool signs(X509 *x, X509_CRL *crl)
{
	bool may = (X509_get_key_usage(x) & KU_CRL_SIGN) != 0; /* without the extension all bits are set */

	return may && X509_NAME_cmp(X509_get_subject_name(x), X509_CRL_get_issuer(crl)) == 0 &&
	       X509_CRL_verify(crl, X509_get0_pubkey(x)) == 1;
}

static X509 *signer_among(STACK_OF(X509) * certs, X509_CRL *crl)
{
	for (int i = 0; i < sk_X509_num(certs); i++)
		if (signs(sk_X509_value(certs, i), crl)) {
			X509_up_ref(sk_X509_value(certs, i));
			return sk_X509_value(certs, i);
		}
	return NULL;
}

static X509 *signer_in_store(X509_STORE *store, X509_CRL *crl)
{
	X509_STORE_CTX *look = X509_STORE_CTX_new();
	X509 *found = NULL;

	must(look != NULL && X509_STORE_CTX_init(look, store, NULL, NULL) == 1);
	STACK_OF(X509) *named = X509_STORE_CTX_get1_certs(look, X509_CRL_get_issuer(crl));
	found = signer_among(named, crl);
	sk_X509_pop_free(named, X509_free);
	X509_STORE_CTX_free(look);
	return found;
}

static X509 *find_signer(const struct crl_known *k, X509_CRL *crl)
{
	X509 *x = signer_among(k->certs, crl);

	for (size_t i = k->store_n; i-- > 0 && x == NULL;)
		x = signer_in_store(k->stores[i], crl);
	ERR_clear_error();
	return x;
}

/* ---- one list ---- */

/* One list and nothing behind it; both forms are met, whatever the media type says. */
static X509_CRL *read_list(struct str bytes)
{
	const unsigned char *p = (const unsigned char *)bytes.p;
	X509_CRL *crl = bytes.n > 0 ? d2i_X509_CRL(NULL, &p, (long)bytes.n) : NULL;

	if (crl != NULL && p != (const unsigned char *)bytes.p + bytes.n) {
		X509_CRL_free(crl);
		crl = NULL;
	} else if (crl == NULL && bytes.n > 0) {
		BIO *in = BIO_new_mem_buf(bytes.p, (int)bytes.n);
		must(in != NULL);
		crl = PEM_read_bio_X509_CRL(in, NULL, NULL, NULL);
		BIO_free(in);
	}
	ERR_clear_error();
	return crl;
}

static void read_crl_facts(const X509_CRL *crl, struct crl_facts *facts)
{
	const ASN1_TIME *next = X509_CRL_get0_nextUpdate(crl);
	struct buf name;

	*facts = (struct crl_facts){
		.this_update_ms = asn1_time_ms(X509_CRL_get0_lastUpdate(crl)),
		.next_update_ms = next != NULL ? asn1_time_ms(next) : 0,
	};
	buf_init(&name, 64 * 1024);
	name_print(X509_CRL_get_issuer(crl), &name);
	snprintf(facts->issuer, sizeof facts->issuer, "%s", buf_cstr(&name));
	buf_fini(&name);
}

static void put_pem(X509_CRL *crl, X509 *signer, struct buf *pem)
{
	BIO *out = BIO_new(BIO_s_mem());
	char *p;

	must(out != NULL && PEM_write_bio_X509_CRL(out, crl) == 1 && PEM_write_bio_X509(out, signer) == 1);
	long n = BIO_get_mem_data(out, &p);
	buf_add(pem, str_n(p, (size_t)n));
	BIO_free(out);
}

int crl_judge(const struct crl_known *k, struct str bytes, struct crl_facts *facts, struct buf *pem, struct err *e)
{
	X509_CRL *crl = read_list(bytes);
	struct crl_facts read;
	X509 *signer;

	if (crl == NULL)
		return err_set(e, ERR_TLS, "tls.crl", "what came is no revocation list");
	read_crl_facts(crl, &read);
	if (X509_CRL_get_ext_by_NID(crl, NID_delta_crl, -1) >= 0) {
		X509_CRL_free(crl);
		return err_set(e, ERR_TLS, "tls.crl", "it is a delta list, of no use by itself");
	}
	signer = find_signer(k, crl);
	if (signer != NULL) {
		put_pem(crl, signer, pem);
		*facts = read;
	}
	X509_CRL_free(crl);
	X509_free(signer);
	if (signer == NULL)
		return err_set(e, ERR_TLS, "tls.crl", "no authority we know has signed the list of %s", read.issuer);
	return pem->full ? err_set(e, ERR_TOO_BIG, "tls.crl", "the list is larger than %zu bytes", pem->max) : 0;
}

int crl_recall(struct crl_known *k, struct str pem, struct crl_facts *facts, struct err *e)
{
	BIO *in = BIO_new_mem_buf(pem.p, (int)pem.n);
	X509_CRL *crl = in != NULL ? PEM_read_bio_X509_CRL(in, NULL, NULL, NULL) : NULL;
	X509 *signer = crl != NULL ? PEM_read_bio_X509(in, NULL, NULL, NULL) : NULL;
	bool good = signer != NULL && signs(signer, crl);

	if (good) {
		read_crl_facts(crl, facts);
		must(X509_add_cert(k->certs, signer, X509_ADD_FLAG_UP_REF | X509_ADD_FLAG_NO_DUP) == 1);
	}
	X509_free(signer);
	X509_CRL_free(crl);
	BIO_free(in);
	ERR_clear_error();
	return good ? 0 : err_set(e, ERR_CORRUPT, "tls.crl", "a list of the cache is damaged");
}
