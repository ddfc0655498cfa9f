/* tls/openssl_certs.c: the store: a folder of our certificates, looked up by reference and by host name.
 *
 * Certificates of authorities go to a pool, what others build chains from.  A certificate that today's rules refuse
 * (key or signature too weak) is kept, to be told about, and never shown. */
#include "tls/openssl_cert.h"

#include "base/must.h"

#include <dirent.h>
#include <limits.h>
#include <openssl/x509v3.h>
#include <stdlib.h>

enum { ARENA_CAP = 64 * 1024 * 1024, SCRATCH_CAP = 1024 * 1024, FILES_MAX = 2000, HOST_MAX = 253 };

static const struct cert_wish no_wish;

struct host {            /* a name of a certificate in the folder */
	struct str name; /* lower case, perhaps "*.d" */
	const struct cert *cert;
};

struct certs {
	atomic_size_t refs;
	struct cert_room room;
	struct cert **v;
	size_t n;
	struct host *hosts; /* by name */
	size_t host_n;
};

static struct cert *cert_add(struct certs *s, struct cert *c)
{
	s->v = realloc(s->v, (s->n + 1) * sizeof(struct cert *));
	must(s->v != NULL);
	return s->v[s->n++] = c;
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
			must(X509_add_cert(s->room.pool, x, X509_ADD_FLAG_UP_REF | X509_ADD_FLAG_NO_DUP) == 1);
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
	int bad = pem_read(path, NULL, &p, e);

	if (bad == 0)
		bad = pool_add(s, p.certs, path, p.key != NULL, e);
	if (bad == 0 && p.key != NULL) {
		c = cert_new(&s->room, &p, path, e);
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
		if (best == NULL || cert_compare(&c->facts, &best->facts, &no_wish, now_ms) > 0)
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

/* ---- the store ---- */

static struct certs *certs_new(void)
{
	struct certs *s = calloc(1, sizeof *s);

	must(s != NULL);
	atomic_init(&s->refs, 1);
	arena_init(&s->room.arena, ARENA_CAP);
	s->room.pool = sk_X509_new_null();
	s->room.probe = SSL_CTX_new(TLS_server_method());
	must(s->room.pool != NULL && s->room.probe != NULL);
	return s;
}

struct certs *certs_load(const struct conf_tls *tls, bool lenient, struct buf *problems)
{
	struct certs *s = certs_new();
	const struct trust_files files = { .ca = tls->ca };
	struct err e = { 0 };
	int bad = 0;

	s->room.trust = trust_get(&files, lenient, &e);
	if (s->room.trust == NULL) {
		buf_addf(problems, "%s\n", e.text);
		certs_unref(&s);
		return NULL;
	}
	if (tls->store.n > 0)
		bad = load_folder(s, tls->store.p, problems);
	for (size_t i = 0; i < s->n; i++) {
		cert_complete(&s->room, s->v[i]);
		cert_try(&s->room, s->v[i]);
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
	sk_X509_pop_free(s->room.pool, X509_free);
	SSL_CTX_free(s->room.probe);
	trust_put(&s->room.trust);
	arena_fini(&s->room.arena);
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

/* ---- references ---- */

/* Why a certificate that was asked for cannot be shown; NULL = it can. */
static const char *why_not(const struct cert *c, int64_t now_ms)
{
	if (c->facts.weak.n > 0)
		return c->facts.weak.p;
	return cert_is_begun(&c->facts, now_ms) ? NULL : "it is not valid yet";
}

static struct cert *best_in_store(const struct certs *s, struct str reference, const struct cert_wish *w,
				  int64_t now_ms, struct err *e)
{
	struct cert *best = NULL, *unfit = NULL;
	struct arena scratch;

	arena_init(&scratch, SCRATCH_CAP);

	for (size_t i = 0; i < s->n; i++) {
		struct cert *c = s->v[i];
		if (!c->facts.in_store || !cert_matches(&c->facts, reference, &scratch))
			continue;
		if (why_not(c, now_ms) != NULL)
			unfit = c;
		else if (best == NULL || cert_compare(&c->facts, &best->facts, w, now_ms) > 0)
			best = c;
	}
	arena_fini(&scratch);
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

	if (pem_read(path.p, key.n > 0 ? key.p : NULL, &p, e) == 0) {
		if (p.key == NULL)
			err_set(e, ERR_TLS, "tls.certificate", "cannot use the private key in %s: there is none",
				path.p);
		else
			c = cert_new(&s->room, &p, path.p, e);
	}
	pem_free(&p);
	if (c == NULL)
		return NULL;
	c->key_file = strndup(key.n > 0 ? key.p : "", key.n);
	must(c->key_file != NULL);
	cert_complete(&s->room, c);
	cert_try(&s->room, c);
	return cert_add(s, c);
}

static struct cert *best_by_file(struct certs *s, struct str path, struct str key, int64_t now_ms, struct err *e)
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

const struct cert *certs_choose(struct certs *s, struct str reference, struct str key, const struct cert_wish *w,
				int64_t now_ms, struct err *e)
{
	struct cert *c;

	must(reference.n > 0);
	do
		c = conf_in_store(reference) ? best_in_store(s, reference, w, now_ms, e)
					     : best_by_file(s, reference, key, now_ms, e);
	while (c != NULL && !cert_rehearse(&s->room, c));
	return c;
}

const struct cert *certs_get(struct certs *s, struct str reference, struct str key, int64_t now_ms, struct err *e)
{
	return certs_choose(s, reference, key, &no_wish, now_ms, e);
}

const struct cert *certs_would_choose(const struct certs *s, struct str reference, const struct cert_wish *w,
				      int64_t now_ms)
{
	return best_in_store(s, reference, w, now_ms, NULL);
}

bool certs_stands_by(const struct cert *c, struct str reference, int64_t now_ms)
{
	struct arena scratch;

	if (!c->facts.in_store || c->facts.weak.n > 0 || c->facts.not_after_ms <= now_ms || !conf_in_store(reference))
		return false;
	arena_init(&scratch, SCRATCH_CAP);
	bool is = cert_matches(&c->facts, reference, &scratch);
	arena_fini(&scratch);
	return is;
}
