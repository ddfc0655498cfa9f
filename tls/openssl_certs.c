/* tls/openssl_certs.c: our certificates out of PEM files, each with its key and the chain peers need.
 *
 *   read_file: certificates + key of one file -> the certificate the key belongs to, the rest is chain
 *   certs_load: a folder of them; certificates of authorities go to `pool`, what others build chains from
 *   complete: chain from file, pool and tls.ca up to a root, which is not sent
 *
 * A certificate that today's rules refuse (key or signature too weak) is kept, to be told about, and never shown. */
#include "tls/certs.h"
#include "tls/openssl_tls.h"

#include "base/must.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <openssl/x509v3.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

enum { ARENA_CAP = 64 * 1024 * 1024, FILES_MAX = 2000, FILE_MAX = 1024 * 1024, HOST_MAX = 253 };

struct cert {
	struct cert_facts facts;
	X509 *x;
	EVP_PKEY *key;
	STACK_OF(X509) * chain; /* intermediates to show, without the root */
	char *key_file;         /* of a reference by path: as it was asked for */
};

struct host {            /* a name of a certificate in the folder */
	struct str name; /* lower case, perhaps "*.d" */
	const struct cert *cert;
};

struct certs {
	atomic_size_t refs;
	struct arena arena; /* facts */
	struct cert **v;
	size_t n;
	struct host *hosts; /* by name */
	size_t host_n;
	STACK_OF(X509) * pool; /* certificates of authorities that chains may need */
	struct trust *trust;   /* tls.ca */
	SSL_CTX *probe;        /* tells whether OpenSSL would show a certificate at all */
};

struct pem { /* one file, or two, taken apart */
	STACK_OF(X509) * certs;
	EVP_PKEY *key;
};

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
	BIO *in = open_file(path, "private key", e);
	bool found;

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

static void pem_free(struct pem *p)
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

static void read_strength(struct certs *s, struct cert *c)
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

static int read_facts(struct certs *s, struct cert *c, const char *path)
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
static STACK_OF(X509) * candidates(const struct certs *s, const struct cert *c, bool with_ca)
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
static void complete(struct certs *s, struct cert *c)
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

static void cert_free(struct cert *c)
{
	X509_free(c->x);
	EVP_PKEY_free(c->key);
	sk_X509_pop_free(c->chain, X509_free);
	free(c->key_file);
	free(c);
}

static struct cert *cert_add(struct certs *s, struct cert *c)
{
	s->v = realloc(s->v, (s->n + 1) * sizeof(struct cert *));
	must(s->v != NULL);
	return s->v[s->n++] = c;
}

/* Takes a file apart.  `key` NULL: beside it or in it.  0, or -1; without any key p->key stays NULL. */
static int read_pem(const char *path, const char *key, struct pem *p, struct err *e)
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
static struct cert *cert_new(struct certs *s, struct pem *p, const char *path, struct err *e)
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

/* ---- the folder ---- */

static bool is_cert_name(const char *name)
{
	return name[0] != '.' && (str_ends(str_c(name), S(".pem")) || str_ends(str_c(name), S(".crt")));
}

/* Adds the certificates of authorities to the pool; a file without a key may hold nothing else. */
static int pool_add(struct certs *s, STACK_OF(X509) * from, const char *path, bool has_key, struct err *e)
{
	for (int i = 0; i < sk_X509_num(from); i++) {
		X509 *x = sk_X509_value(from, i);
		if (X509_check_ca(x) != 0)
			must(X509_add_cert(s->pool, x, X509_ADD_FLAG_UP_REF | X509_ADD_FLAG_NO_DUP) == 1);
		else if (!has_key)
			return err_set(e, ERR_TLS, "tls.store", "there is no private key for the certificate in %s",
				       path);
	}
	return 0;
}

static int load_file(struct certs *s, const char *path, struct err *e)
{
	struct cert *c;
	struct pem p;
	int bad = read_pem(path, NULL, &p, e);

	if (bad == 0)
		bad = pool_add(s, p.certs, path, p.key != NULL, e);
	if (bad == 0 && p.key != NULL) {
		c = cert_new(s, &p, path, e);
		if (c != NULL)
			cert_add(s, c)->facts.in_store = true;
		bad = c == NULL ? -1 : 0;
	}
	pem_free(&p);
	return bad;
}

/* The broken files, each a line; -1 when there was one. */
static int load_folder(struct certs *s, const char *dir, struct buf *problems)
{
	DIR *d = opendir(dir);
	const struct dirent *entry;
	char path[PATH_MAX];
	struct err e = { 0 };
	size_t n = 0;
	int bad = 0;

	if (d == NULL) {
		err_sys(&e, ERR_TLS, "tls.store", "cannot read the folder %s", dir);
		buf_addf(problems, "%s\n", e.text);
		return -1;
	}
	while ((entry = readdir(d)) != NULL && n <= FILES_MAX) {
		if (!is_cert_name(entry->d_name))
			continue;
		snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
		if (++n > FILES_MAX)
			err_set(&e, ERR_TLS, "tls.store", "%s holds more than %d certificates", dir, FILES_MAX);
		if (n <= FILES_MAX && load_file(s, path, &e) == 0)
			continue;
		buf_addf(problems, "%s\n", e.text);
		bad = -1;
	}
	closedir(d);
	return bad;
}

/* ---- hosts ---- */

static int by_name(const void *a, const void *b)
{
	return str_cmp(((const struct host *)a)->name, ((const struct host *)b)->name);
}

static void add_hosts(struct certs *s, const struct cert *c)
{
	const struct tls_identities *ids = &c->facts.ids;
	bool by_cn = ids->san_n == 0 && !ids->san_dropped;
	const struct str *names = by_cn ? ids->cns : ids->sans;
	size_t n = by_cn ? ids->cn_n : ids->san_n;

	if (n == 0)
		return;
	s->hosts = realloc(s->hosts, (s->host_n + n) * sizeof *s->hosts);
	must(s->hosts != NULL);
	for (size_t i = 0; i < n; i++)
		s->hosts[s->host_n++] = (struct host){ names[i], c };
}

/* The best certificate with exactly this entry, `best` or a better one. */
static const struct cert *find_host(const struct certs *s, struct str name, int64_t now_ms, const struct cert *best)
{
	size_t low = 0, high = s->host_n;

	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (str_cmp(s->hosts[mid].name, name) < 0)
			low = mid + 1;
		else
			high = mid;
	}
	for (; low < s->host_n && str_eq(s->hosts[low].name, name); low++) {
		const struct cert *c = s->hosts[low].cert;
		if (c->facts.not_after_ms <= now_ms || !cert_is_begun(&c->facts, now_ms))
			continue;
		if (best == NULL || cert_compare(&c->facts, &best->facts, now_ms) > 0)
			best = c;
	}
	return best;
}

const struct cert *certs_for_host(const struct certs *s, struct str host, int64_t now_ms)
{
	char name[HOST_MAX + 2];
	const struct cert *best;
	ssize_t dot;

	if (s == NULL || s->host_n == 0 || host.n == 0 || host.n > HOST_MAX)
		return NULL;
	for (size_t i = 0; i < host.n; i++) {
		if (!chr_is_alnum(host.p[i]) && host.p[i] != '-' && host.p[i] != '.' && host.p[i] != '_')
			return NULL;
		name[i] = chr_lower(host.p[i]);
	}
	best = find_host(s, str_n(name, host.n), now_ms, NULL);
	dot = str_chr(host, '.');
	if (dot <= 0)
		return best;
	name[dot - 1] = '*'; /* "mail.d" -> "*.d", in place */
	return find_host(s, str_n(name + dot - 1, host.n - (size_t)dot + 1), now_ms, best);
}

bool cert_covers(const struct cert *c, struct str host)
{
	const struct tls_match_rules rules = { .mode = MATCH_STRICT, .direction = TLS_VERIFY, .cn_fallback = true };

	return tls_name_match(host, &c->facts.ids, &rules, NULL);
}

/* ---- the store ---- */

static struct certs *certs_new(void)
{
	struct certs *s = calloc(1, sizeof *s);

	must(s != NULL);
	atomic_init(&s->refs, 1);
	arena_init(&s->arena, ARENA_CAP);
	s->pool = sk_X509_new_null();
	s->probe = SSL_CTX_new(TLS_server_method());
	must(s->pool != NULL && s->probe != NULL);
	return s;
}

struct certs *certs_load(const struct conf_tls *tls, bool lenient, struct buf *problems)
{
	struct certs *s = certs_new();
	const struct trust_files files = { .ca = tls->ca };
	struct err e = { 0 };
	int bad = 0;

	s->trust = trust_get(&files, lenient, &e);
	if (s->trust == NULL) {
		buf_addf(problems, "%s\n", e.text);
		certs_unref(&s);
		return NULL;
	}
	if (tls->store.n > 0)
		bad = load_folder(s, tls->store.p, problems);
	for (size_t i = 0; i < s->n; i++) {
		complete(s, s->v[i]);
		read_strength(s, s->v[i]);
		if (s->v[i]->facts.weak.n == 0)
			add_hosts(s, s->v[i]);
	}
	if (s->host_n > 0)
		qsort(s->hosts, s->host_n, sizeof *s->hosts, by_name);
	if (bad != 0 && !lenient)
		certs_unref(&s);
	return s;
}

struct certs *certs_ref(struct certs *s)
{
	must(atomic_fetch_add(&s->refs, 1) > 0);
	return s;
}

void certs_unref(struct certs **sp)
{
	struct certs *s = *sp;

	*sp = NULL;
	if (s == NULL || atomic_fetch_sub(&s->refs, 1) > 1)
		return;
	for (size_t i = 0; i < s->n; i++)
		cert_free(s->v[i]);
	free(s->v);
	free(s->hosts);
	sk_X509_pop_free(s->pool, X509_free);
	SSL_CTX_free(s->probe);
	trust_put(&s->trust);
	arena_fini(&s->arena);
	free(s);
}

size_t certs_count(const struct certs *s)
{
	return s->n;
}

const struct cert *certs_at(const struct certs *s, size_t i)
{
	must(i < s->n);
	return s->v[i];
}

const struct cert_facts *cert_facts(const struct cert *c)
{
	return &c->facts;
}

/* ---- references ---- */

/* Why a certificate that was asked for cannot be shown; NULL = it can. */
static const char *why_not(const struct cert *c, int64_t now_ms)
{
	if (c->facts.weak.n > 0)
		return c->facts.weak.p;
	return cert_is_begun(&c->facts, now_ms) ? NULL : "it is not valid yet";
}

static const struct cert *best_in_store(struct certs *s, struct str reference, int64_t now_ms, struct err *e)
{
	const struct cert *best = NULL, *unfit = NULL;

	for (size_t i = 0; i < s->n; i++) {
		struct cert *c = s->v[i];
		if (!c->facts.in_store || !cert_matches(&c->facts, reference, &s->arena))
			continue;
		if (why_not(c, now_ms) != NULL)
			unfit = c;
		else if (best == NULL || cert_compare(&c->facts, &best->facts, now_ms) > 0)
			best = c;
	}
	if (best == NULL && unfit != NULL)
		err_set(e, ERR_NOT_FOUND, "tls.store", "the certificate '" STR_FMT "' in " STR_FMT " is of no use: %s",
			STR_ARG(reference), STR_ARG(unfit->facts.file), why_not(unfit, now_ms));
	else if (best == NULL)
		err_set(e, ERR_NOT_FOUND, "tls.store", "the folder tls.store has no certificate '" STR_FMT "'",
			STR_ARG(reference));
	return best;
}

static struct cert *find_by_file(const struct certs *s, struct str path, struct str key)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i]->key_file != NULL && str_eq(s->v[i]->facts.file, path) &&
		    str_eq(str_c(s->v[i]->key_file), key))
			return s->v[i];
	return NULL;
}

static struct cert *add_file(struct certs *s, struct str path, struct str key, struct err *e)
{
	struct pem p;
	struct cert *c = NULL;

	if (read_pem(path.p, key.n > 0 ? key.p : NULL, &p, e) == 0) {
		if (p.key == NULL)
			err_set(e, ERR_TLS, "tls.certificate", "cannot use the private key in %s: there is none",
				path.p);
		else
			c = cert_new(s, &p, path.p, e);
	}
	pem_free(&p);
	if (c == NULL)
		return NULL;
	c->key_file = strndup(key.n > 0 ? key.p : "", key.n);
	must(c->key_file != NULL);
	complete(s, c);
	read_strength(s, c);
	return cert_add(s, c);
}

static const struct cert *best_by_file(struct certs *s, struct str path, struct str key, int64_t now_ms, struct err *e)
{
	struct cert *c = find_by_file(s, path, key);

	if (c == NULL)
		c = add_file(s, path, key, e);
	if (c != NULL && why_not(c, now_ms) != NULL) {
		err_set(e, ERR_TLS, "tls.certificate", "the certificate in " STR_FMT " is of no use: %s", STR_ARG(path),
			why_not(c, now_ms));
		return NULL;
	}
	return c;
}

const struct cert *certs_get(struct certs *s, struct str reference, struct str key, int64_t now_ms, struct err *e)
{
	must(reference.n > 0);
	if (conf_in_store(reference))
		return best_in_store(s, reference, now_ms, e);
	return best_by_file(s, reference, key, now_ms, e);
}

/* ---- use ---- */

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
