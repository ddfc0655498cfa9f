/* tls/openssl_cert.c: one of our certificates out of PEM files, with its key and the chain peers need.
 *
 *   pem_read: certificates + key of one file, or two -> cert_new: the certificate the key belongs to, the rest is chain
 *   cert_complete: chain from the file, the pool and tls.ca up to a root, which is not sent
 *   cert_try: whether OpenSSL would show it at all */
#include "tls/openssl_cert.h"

#include "base/must.h"

#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { FILE_MAX = 1024 * 1024 };

/* ---- PEM ---- */

static int refuse_password(char *to, int size, int rwflag, void *arg)
{
	(void)to, (void)size, (void)rwflag, (void)arg;
	return -1; /* a daemon must not ask on a terminal */
}

static BIO *open_file(const char *path, const char *what, struct err *e)
{
	struct stat st;
	BIO *in = BIO_new_file(path, "r");

	ERR_clear_error();
	if (in == NULL) {
		err_sys(e, ERR_TLS, "tls.certificate", "cannot use the %s in %s", what, path);
		return NULL;
	}
	if (stat(path, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= FILE_MAX)
		return in;
	err_set(e, ERR_TLS, "tls.certificate", "cannot use the %s in %s: not a file of at most %d bytes", what, path,
		FILE_MAX);
	BIO_free(in);
	return NULL;
}

static bool ended(void)
{
	bool end = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;

	if (end)
		ERR_clear_error();
	return end;
}

static int read_certificates(const char *path, STACK_OF(X509) * to, struct err *e)
{
	BIO *in = open_file(path, "certificate", e);
	X509 *x;

	if (in == NULL)
		return -1;
	while ((x = PEM_read_bio_X509(in, NULL, NULL, NULL)) != NULL)
		must(sk_X509_push(to, x) > 0);
	BIO_free(in);
	if (!ended())
		return openssl_err(e, ERR_TLS, "tls.certificate", "cannot use the certificate in %s", path);
	if (sk_X509_num(to) == 0)
		return err_set(e, ERR_TLS, "tls.certificate", "cannot use the certificate in %s: there is none", path);
	return 0;
}

/* Is there a block of a private key, of whatever kind?  OpenSSL's reader does not tell "none" from "broken". */
static bool has_key(BIO *in)
{
	char *name, *header;
	unsigned char *data;
	long n;
	bool found = false;

	while (!found && PEM_read_bio(in, &name, &header, &data, &n) == 1) {
		found = str_ends(str_c(name), S("PRIVATE KEY"));
		OPENSSL_free(name);
		OPENSSL_free(header);
		OPENSSL_clear_free(data, (size_t)n);
	}
	ERR_clear_error();
	must(BIO_seek(in, 0) >= 0);
	return found;
}

/* 1 with *key, 0 when there is none, -1 when it is broken or under a password. */
static int read_key(const char *path, EVP_PKEY **key, struct err *e)
{
	BIO *in;
	bool found;

	if (key_is_uri(path)) {
		*key = key_by_uri(path, e);
		return *key != NULL ? 1 : -1;
	}
	in = open_file(path, "private key", e);
	if (in == NULL)
		return -1;
	found = has_key(in);
	if (found)
		*key = PEM_read_bio_PrivateKey(in, NULL, refuse_password, NULL);
	BIO_free(in);
	if (found && *key == NULL)
		return openssl_err(e, ERR_TLS, "tls.certificate", "cannot use the private key in %s", path);
	return found;
}

/* NAME.pem -> NAME.key; false when that is not there. */
static bool key_beside(const char *path, char *to, size_t size)
{
	struct str s = str_c(path);
	ssize_t dot = str_rchr(s, '.');

	if (dot <= 0 || str_rchr(s, '/') > dot || (size_t)dot + sizeof ".key" > size)
		return false;
	snprintf(to, size, "%.*s.key", (int)dot, path);
	return access(to, F_OK) == 0;
}

void pem_free(struct pem *p)
{
	sk_X509_pop_free(p->certs, X509_free);
	EVP_PKEY_free(p->key);
	*p = (struct pem){ 0 };
}

/* Which of them is the key's; usually the first. */
static int find_own(const struct pem *p)
{
	for (int i = 0; i < sk_X509_num(p->certs); i++)
		if (X509_check_private_key(sk_X509_value(p->certs, i), p->key) == 1)
			return i;
	ERR_clear_error();
	return -1;
}

/* ---- facts ---- */

static struct str collapse(struct arena *a, const unsigned char *p, int n)
{
	char *to = arena_alloc(a, (size_t)n + 1);
	size_t out = 0;

	if (to == NULL)
		return STR_NONE;
	for (int i = 0; i < n; i++) {
		if (p[i] != ' ' && p[i] != '\t')
			to[out++] = (char)p[i];
		else if (out > 0 && to[out - 1] != ' ')
			to[out++] = ' ';
	}
	return str_trim(str_n(to, out));
}

static bool read_attribute(struct arena *a, const X509_NAME_ENTRY *entry, struct dn_attribute *out)
{
	char oid[128];
	unsigned char *utf8 = NULL;
	int n = ASN1_STRING_to_UTF8(&utf8, X509_NAME_ENTRY_get_data(entry));

	if (n < 0 || OBJ_obj2txt(oid, sizeof oid, X509_NAME_ENTRY_get_object(entry), 1) <= 0)
		return false;
	out->value = collapse(a, utf8, n);
	OPENSSL_free(utf8);
	return arena_dup(a, str_c(oid), &out->oid);
}

/* As struct dn has it: most specific first, which is the reverse of the encoding.  A name that does not read becomes
 * the empty one, which no reference equals. */
static void read_dn(struct arena *a, const X509_NAME *name, struct dn *out)
{
	int n = X509_NAME_entry_count(name), before = -1;

	*out = (struct dn){ .v = arena_alloc(a, (size_t)(n > 0 ? n : 1) * sizeof *out->v) };
	struct dn_attribute *all = arena_alloc(a, (size_t)(n > 0 ? n : 1) * sizeof *all);
	if (out->v == NULL || all == NULL)
		return;
	for (int i = n - 1; i >= 0; i--) {
		const X509_NAME_ENTRY *entry = X509_NAME_get_entry(name, i);
		if (X509_NAME_ENTRY_set(entry) != before || out->n == 0)
			out->v[out->n++] = (struct dn_rdn){ .v = all };
		before = X509_NAME_ENTRY_set(entry);
		if (!read_attribute(a, entry, all)) {
			out->n = 0;
			return;
		}
		out->v[out->n - 1].n++;
		all++;
	}
}

void cert_try(struct cert_room *s, struct cert *c)
{
	const char *type = EVP_PKEY_get0_type_name(c->key);
	unsigned long first;
	char text[160];

	c->facts.key_bits = EVP_PKEY_get_bits(c->key);
	c->facts.key_type = EVP_PKEY_is_a(c->key, "RSA") ? "RSA" : EVP_PKEY_is_a(c->key, "EC") ? "EC" : "other";
	ERR_clear_error();
	if (SSL_CTX_use_cert_and_key(s->probe, c->x, c->key, c->chain, 1) == 1)
		return;
	first = ERR_peek_error();
	if (ERR_GET_REASON(first) == SSL_R_EE_KEY_TOO_SMALL)
		snprintf(text, sizeof text, "the %s key has only %d bits", type != NULL ? type : "", c->facts.key_bits);
	else
		snprintf(text, sizeof text, "OpenSSL refuses it: %s", ERR_reason_error_string(first));
	must(arena_dup(&s->arena, str_c(text), &c->facts.weak));
	ERR_clear_error();
}

static int read_facts(struct cert_room *s, struct cert *c, const char *path)
{
	struct cert_facts *f = &c->facts;
	struct arena *a = &s->arena;

	if (!arena_dup(a, str_c(path), &f->file))
		return -1;
	f->subject = name_dup(a, X509_get_subject_name(c->x));
	f->issuer = name_dup(a, X509_get_issuer_name(c->x));
	f->sha256 = fingerprint_dup(a, c->x);
	read_dn(a, X509_get_subject_name(c->x), &f->subject_dn);
	read_dn(a, X509_get_issuer_name(c->x), &f->issuer_dn);
	identities_read(c->x, a, &f->ids);
	f->not_before_ms = asn1_time_ms(X509_get0_notBefore(c->x));
	f->not_after_ms = asn1_time_ms(X509_get0_notAfter(c->x));
	return f->sha256.n > 0 ? 0 : -1;
}

/* ---- chains ---- */

static bool is_self_signed(X509 *x)
{
	bool is = X509_self_signed(x, 0) == 1;

	ERR_clear_error();
	return is;
}

/* From the file first, then what the folder has, then what tls.ca has besides roots. */
static STACK_OF(X509) * candidates(const struct cert_room *s, const struct cert *c, bool with_ca)
{
	STACK_OF(X509) *all = sk_X509_new_null(),
		       *ca = with_ca ? X509_STORE_get1_all_certs(trust_store(s->trust)) : NULL;

	must(all != NULL);
	must(X509_add_certs(all, c->chain, X509_ADD_FLAG_UP_REF) == 1);
	must(X509_add_certs(all, s->pool, X509_ADD_FLAG_UP_REF) == 1);
	if (ca != NULL)
		must(X509_add_certs(all, ca, X509_ADD_FLAG_UP_REF) == 1);
	sk_X509_pop_free(ca, X509_free);
	return all;
}

static enum cert_chain chain_state(STACK_OF(X509) * chain, bool trusted)
{
	X509 *last = sk_X509_value(chain, sk_X509_num(chain) - 1);

	if (sk_X509_num(chain) == 1 && is_self_signed(last))
		return CERT_SELF_SIGNED;
	return trusted ? CERT_COMPLETE : is_self_signed(last) ? CERT_FOREIGN : CERT_INCOMPLETE;
}

/* Builds what peers need and sets chain, missing, shown_n.  Dates play no part: an intermediate that is over is still
 * the one. */
void cert_complete(struct cert_room *s, struct cert *c)
{
	STACK_OF(X509) *from = candidates(s, c, false);
	STACK_OF(X509) *chain = X509_build_chain(c->x, from, trust_store(s->trust), 1, NULL, NULL);
	bool trusted = chain != NULL;

	sk_X509_pop_free(from, X509_free);
	if (!trusted) {
		from = candidates(s, c, true);
		chain = X509_build_chain(c->x, from, NULL, 1, NULL, NULL);
		sk_X509_pop_free(from, X509_free);
	}
	ERR_clear_error();
	if (chain == NULL) { /* not even itself: show what the file says */
		c->facts.chain = CERT_INCOMPLETE;
		c->facts.missing = c->facts.issuer;
		c->facts.shown_n = 1 + (size_t)sk_X509_num(c->chain);
		return;
	}
	X509 *last = sk_X509_value(chain, sk_X509_num(chain) - 1);
	c->facts.chain = chain_state(chain, trusted);
	if (c->facts.chain == CERT_INCOMPLETE)
		c->facts.missing = name_dup(&s->arena, X509_get_issuer_name(last));
	if (sk_X509_num(chain) > 1 && is_self_signed(last))
		X509_free(sk_X509_pop(chain));
	X509_free(sk_X509_shift(chain)); /* itself */
	c->facts.shown_n = 1 + (size_t)sk_X509_num(chain);
	sk_X509_pop_free(c->chain, X509_free);
	c->chain = chain;
}

/* ---- one certificate ---- */

void cert_free(struct cert *c)
{
	X509_free(c->x);
	EVP_PKEY_free(c->key);
	sk_X509_pop_free(c->chain, X509_free);
	free(c->key_file);
	free(c);
}

/* Takes a file apart.  `key` NULL: beside it or in it.  0, or -1; without any key p->key stays NULL. */
int pem_read(const char *path, const char *key, struct pem *p, struct err *e)
{
	char beside[PATH_MAX];

	*p = (struct pem){ .certs = sk_X509_new_null() };
	must(p->certs != NULL);
	if (key == NULL)
		key = key_beside(path, beside, sizeof beside) ? beside : path;
	if (read_certificates(path, p->certs, e) != 0)
		return -1;
	int found = read_key(key, &p->key, e);
	if (found < 0)
		return -1;
	if (found > 0 && find_own(p) < 0)
		return err_set(e, ERR_TLS, "tls.certificate", "the key in %s does not belong to the certificate in %s",
			       key, path);
	if (found == 0 && key != path)
		return err_set(e, ERR_TLS, "tls.certificate", "cannot use the private key in %s: there is none", key);
	return 0;
}

/* Out of a file that has a key; takes it apart for good. */
struct cert *cert_new(struct cert_room *s, struct pem *p, const char *path, struct err *e)
{
	struct cert *c = calloc(1, sizeof *c);

	must(c != NULL);
	c->x = sk_X509_delete(p->certs, find_own(p));
	c->key = p->key;
	c->chain = p->certs;
	*p = (struct pem){ 0 };
	if (read_facts(s, c, path) == 0)
		return c;
	err_set(e, ERR_TLS, "tls.certificate", "cannot use the certificate in %s: too many names", path);
	cert_free(c);
	return NULL;
}

/* ---- use ---- */

const struct cert_facts *cert_facts(const struct cert *c)
{
	return &c->facts;
}

bool cert_covers(const struct cert *c, struct str host)
{
	const struct tls_match_rules rules = { .mode = MATCH_STRICT, .direction = TLS_VERIFY, .cn_fallback = true };

	return tls_name_match(host, &c->facts.ids, &rules, NULL);
}

int cert_use(const struct cert *c, SSL_CTX *ssl, struct err *e)
{
	ERR_clear_error();
	if (SSL_CTX_use_cert_and_key(ssl, c->x, c->key, c->chain, 1) == 1)
		return 0;
	return openssl_err(e, ERR_TLS, "tls.certificate", "cannot use the certificate in " STR_FMT,
			   STR_ARG(c->facts.file));
}

bool cert_use_once(const struct cert *c, SSL *ssl)
{
	SSL_certs_clear(ssl); /* another kind of key would have a place of its own and be chosen at times */
	return SSL_use_cert_and_key(ssl, c->x, c->key, c->chain, 1) == 1;
}
