/* tls/openssl_trust.c: CA bundles and revocation lists as X509_STOREs that contexts share.
 *
 * Reading the system's bundle takes 25 ms and about a megabyte, and a gateway has a context per listener and per
 * connector: so each pair of files is read once.  A store never changes after it was made (a reload of changed files
 * makes another one), which is what lets all threads verify against it.
 * The table is one of the few things global to the process: it holds nothing but shared read-only data, keyed by what
 * is on disk, and is empty again when the last context has gone. */
#include "tls/openssl_tls.h"

#include "base/must.h"

#include <errno.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <pthread.h>
#include <sys/stat.h>

struct file_id { /* which bytes: changes when the file is replaced or rewritten */
	struct timespec mtime;
	dev_t dev;
	ino_t ino;
	off_t size;
};

struct trust {
	struct trust *next;
	size_t refs;
	X509_STORE *store;
	struct file_id ca_id, crl_id;
	char *ca, *crl; /* paths; "" = none */
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards all */
static struct trust *all;

static int file_identify(const char *path, struct file_id *id, struct err *e)
{
	struct stat st;

	*id = (struct file_id){ 0 };
	if (path[0] == '\0')
		return 0;
	if (stat(path, &st) != 0)
		return err_sys(e, ERR_TLS, "tls.trust", "cannot read %s", path);
	*id = (struct file_id){ .mtime = st.st_mtim, .dev = st.st_dev, .ino = st.st_ino, .size = st.st_size };
	return 0;
}

static bool file_is_same(const struct file_id *a, const struct file_id *b)
{
	return a->mtime.tv_sec == b->mtime.tv_sec && a->mtime.tv_nsec == b->mtime.tv_nsec && a->dev == b->dev &&
	       a->ino == b->ino && a->size == b->size;
}

static int load_crls(X509_STORE *store, const char *path, struct err *e)
{
	BIO *in = BIO_new_file(path, "r");
	X509_CRL *crl;
	size_t n = 0;

	if (in == NULL)
		return openssl_err(e, ERR_TLS, "tls.trust", "cannot read %s", path);
	while ((crl = PEM_read_bio_X509_CRL(in, NULL, NULL, NULL)) != NULL) {
		must(X509_STORE_add_crl(store, crl) == 1);
		X509_CRL_free(crl);
		n++;
	}
	/* the end of a PEM file shows as "no start line"; anything else is damage */
	bool ended = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
	BIO_free(in);
	if (n == 0 || !ended)
		return openssl_err(e, ERR_TLS, "tls.trust", "%s does not hold revocation lists in PEM form", path);
	ERR_clear_error();
	return 0;
}

static X509_STORE *load_store(const char *ca, const char *crl, struct err *e)
{
	X509_STORE *store = X509_STORE_new();
	int bad = 0;

	must(store != NULL);
	ERR_clear_error();
	if (ca[0] == '\0' && X509_STORE_set_default_paths(store) != 1)
		bad = openssl_err(e, ERR_TLS, "tls.trust", "cannot load the system's CA certificates");
	if (ca[0] != '\0' && X509_STORE_load_file(store, ca) != 1)
		bad = openssl_err(e, ERR_TLS, "tls.trust", "cannot load CA certificates from %s", ca);
	ERR_clear_error(); /* a system without a bundle is no error: then nobody is trusted */
	if (bad == 0 && crl[0] != '\0')
		bad = load_crls(store, crl, e);
	if (bad == 0)
		return store;
	X509_STORE_free(store);
	return NULL;
}

static char *path_dup(struct str s)
{
	char *p = strndup(s.n > 0 ? s.p : "", s.n);

	must(p != NULL);
	return p;
}

static void trust_free(struct trust *t)
{
	X509_STORE_free(t->store);
	free(t->ca);
	free(t->crl);
	free(t);
}

/* Loading under the lock also keeps two threads from reading the same bundle twice. */
struct trust *trust_get(struct str ca, struct str crl, struct err *e)
{
	struct trust *new = calloc(1, sizeof *new), *t = NULL;

	must(new != NULL);
	new->ca = path_dup(ca);
	new->crl = path_dup(crl);
	new->refs = 1;
	pthread_mutex_lock(&lock);
	if (file_identify(new->ca, &new->ca_id, e) != 0 || file_identify(new->crl, &new->crl_id, e) != 0)
		goto out;
	for (t = all; t != NULL; t = t->next)
		if (strcmp(t->ca, new->ca) == 0 && strcmp(t->crl, new->crl) == 0 &&
		    file_is_same(&t->ca_id, &new->ca_id) && file_is_same(&t->crl_id, &new->crl_id))
			break;
	if (t != NULL) {
		t->refs++;
		goto out;
	}
	new->store = load_store(new->ca, new->crl, e);
	if (new->store == NULL)
		goto out;
	new->next = all;
	all = t = new;
out:
	pthread_mutex_unlock(&lock);
	if (t != new)
		trust_free(new);
	return t;
}

void trust_put(struct trust **tp)
{
	struct trust *t = *tp;

	*tp = NULL;
	if (t == NULL)
		return;
	pthread_mutex_lock(&lock);
	must(t->refs > 0);
	bool last = --t->refs == 0;
	if (last) {
		struct trust **at = &all;
		while (*at != t)
			at = &(*at)->next;
		*at = t->next;
	}
	pthread_mutex_unlock(&lock);
	if (last)
		trust_free(t);
}

X509_STORE *trust_store(const struct trust *t)
{
	return t->store;
}
