/* tls/openssl_trust.c: CA bundles and revocation lists as X509_STOREs that contexts share.
 *
 * Reading the system's bundle takes 25 ms and about a megabyte, and a gateway has a context per listener and per
 * connector: so each set of files is read once.  A store never changes after it was made (a reload of changed files
 * makes another one), which is what lets all threads verify against it.
 * The table is one of the few things global to the process: it holds nothing but shared read-only data, keyed by what
 * is on disk, and is empty again when the last context has gone. */
#include "tls/openssl_tls.h"

#include "base/must.h"

#include <dirent.h>
#include <errno.h>
#include <limits.h>
#include <openssl/err.h>
#include <openssl/pem.h>
#include <pthread.h>
#include <sys/stat.h>

enum { CRL_FILES_MAX = 2000 };

struct file_id { /* which bytes: changes when the file is replaced or rewritten */
	struct timespec mtime;
	dev_t dev;
	ino_t ino;
	off_t size;
};

struct crl_id {
	struct file_id file;
	uint64_t dir; /* of all files in the folders, in whatever order */
};

struct trust {
	struct trust *next;
	size_t refs;
	X509_STORE *store;
	struct file_id ca_id;
	struct crl_id crl_id;
	char *ca, *crl_file, *crl_dir, *crl_cache; /* paths; "" = none */
	struct tls_crls crls;
};

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER; /* guards all */
static struct trust *all;

/* ---- what is on disk ---- */

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

static bool crl_is_same(const struct crl_id *a, const struct crl_id *b)
{
	return file_is_same(&a->file, &b->file) && a->dir == b->dir;
}

/* What a fetcher has not finished has another name. */
static bool is_crl_name(const char *name)
{
	struct str s = str_c(name);

	return name[0] != '.' && (str_ends(s, S(".crl")) || str_ends(s, S(".pem")) || str_ends(s, S(".der")));
}

/* Calls `each` for the path of every list in the folder; stops at its first failure. */
static int each_in_dir(const char *dir, int (*each)(const char *path, void *arg, struct err *e), void *arg,
		       struct err *e)
{
	DIR *d = opendir(dir);
	const struct dirent *entry;
	char path[PATH_MAX];
	int bad = 0;
	size_t n = 0;

	if (d == NULL)
		return err_sys(e, ERR_TLS, "tls.trust", "cannot read %s", dir);
	while (bad == 0 && (entry = readdir(d)) != NULL) {
		if (!is_crl_name(entry->d_name))
			continue;
		snprintf(path, sizeof path, "%s/%s", dir, entry->d_name);
		bad = ++n > CRL_FILES_MAX ? err_set(e, ERR_TLS, "tls.trust", "%s holds more than %d revocation lists",
						    dir, CRL_FILES_MAX)
					  : each(path, arg, e);
	}
	closedir(d);
	return bad;
}

static int add_identity(const char *path, void *arg, struct err *e)
{
	struct file_id id;
	uint64_t *sum = arg;

	(void)e;
	if (file_identify(path, &id, NULL) != 0)
		return 0; /* it went while we looked: the next look is another sum */
	uint64_t words[] = { (uint64_t)id.mtime.tv_sec, (uint64_t)id.mtime.tv_nsec, (uint64_t)id.dev, (uint64_t)id.ino,
			     (uint64_t)id.size };
	*sum += str_hash(str_n(words, sizeof words), str_hash(str_c(path), 0));
	return 0;
}

static int crl_identify(const struct trust *t, struct crl_id *id, struct err *e)
{
	*id = (struct crl_id){ 0 };
	if (file_identify(t->crl_file, &id->file, e) != 0)
		return -1;
	if (t->crl_cache[0] != '\0')
		each_in_dir(t->crl_cache, add_identity, &id->dir, NULL); /* not there: as if it were empty */
	return t->crl_dir[0] == '\0' ? 0 : each_in_dir(t->crl_dir, add_identity, &id->dir, e);
}

/* ---- reading ---- */

static void note_crl(struct tls_crls *crls, const X509_CRL *crl)
{
	const ASN1_TIME *next = X509_CRL_get0_nextUpdate(crl);
	int64_t ms = next != NULL ? asn1_time_ms(next) : INT64_MAX;
	struct buf name;

	crls->n++;
	if (ms >= crls->next_update_ms)
		return;
	crls->next_update_ms = ms;
	buf_init(&name, 64 * 1024);
	name_print(X509_CRL_get_issuer(crl), &name);
	snprintf(crls->oldest, sizeof crls->oldest, "%s", buf_cstr(&name));
	buf_fini(&name);
}

/* All lists of a file, or none.  Authorities publish DER, people keep PEM, several in a file. */
static STACK_OF(X509_CRL) * read_crls(const char *path, struct err *e)
{
	STACK_OF(X509_CRL) *list = sk_X509_CRL_new_null();
	BIO *in = BIO_new_file(path, "r");
	X509_CRL *crl;

	must(list != NULL);
	ERR_clear_error();
	if (in == NULL) {
		err_sys(e, ERR_TLS, "tls.trust", "cannot read %s", path);
		goto bad;
	}
	while ((crl = PEM_read_bio_X509_CRL(in, NULL, NULL, NULL)) != NULL)
		must(sk_X509_CRL_push(list, crl) > 0);
	/* the end of a PEM file shows as "no start line"; anything else is damage */
	bool ended = ERR_GET_REASON(ERR_peek_last_error()) == PEM_R_NO_START_LINE;
	if (ended && sk_X509_CRL_num(list) == 0) {
		ERR_clear_error();
		must(BIO_seek(in, 0) >= 0);
		if ((crl = d2i_X509_CRL_bio(in, NULL)) != NULL)
			must(sk_X509_CRL_push(list, crl) > 0);
	}
	if (!ended || sk_X509_CRL_num(list) == 0) {
		openssl_err(e, ERR_TLS, "tls.trust", "%s does not hold revocation lists in PEM or DER form", path);
		goto bad;
	}
	ERR_clear_error();
	BIO_free(in);
	return list;
bad:
	BIO_free(in);
	sk_X509_CRL_pop_free(list, X509_CRL_free);
	ERR_clear_error();
	return NULL;
}

struct crl_load {
	struct trust *trust;
	bool lenient;
};

static int load_crls(const char *path, void *arg, struct err *e)
{
	const struct crl_load *load = arg;
	struct trust *t = load->trust;
	struct err why = { 0 };
	STACK_OF(X509_CRL) *list = read_crls(path, &why);

	if (list == NULL && load->lenient) {
		snprintf(t->crls.problem, sizeof t->crls.problem, "%s", why.text);
		return 0;
	}
	if (list == NULL)
		return err_set(e, why.code, why.where, "%s", why.text);
	for (int i = 0; i < sk_X509_CRL_num(list); i++) {
		must(X509_STORE_add_crl(t->store, sk_X509_CRL_value(list, i)) == 1);
		note_crl(&t->crls, sk_X509_CRL_value(list, i));
	}
	sk_X509_CRL_pop_free(list, X509_CRL_free);
	return 0;
}

static int load_all_crls(struct trust *t, bool lenient, struct err *e)
{
	struct crl_load load = { t, lenient }, cache = { t, true };
	struct err why = { 0 };

	if (t->crl_cache[0] != '\0')
		each_in_dir(t->crl_cache, load_crls, &cache, NULL);
	if (t->crl_file[0] != '\0' && load_crls(t->crl_file, &load, e) != 0)
		return -1;
	if (t->crl_dir[0] == '\0' || each_in_dir(t->crl_dir, load_crls, &load, &why) == 0)
		return 0;
	if (!lenient)
		return err_set(e, why.code, why.where, "%s", why.text);
	snprintf(t->crls.problem, sizeof t->crls.problem, "%s", why.text);
	return 0;
}

static int load_store(struct trust *t, bool lenient, struct err *e)
{
	t->store = X509_STORE_new();
	must(t->store != NULL);
	ERR_clear_error();
	if (t->ca[0] == '\0' && X509_STORE_set_default_paths(t->store) != 1)
		return openssl_err(e, ERR_TLS, "tls.trust", "cannot load the system's CA certificates");
	if (t->ca[0] != '\0' && X509_STORE_load_file(t->store, t->ca) != 1)
		return openssl_err(e, ERR_TLS, "tls.trust", "cannot load CA certificates from %s", t->ca);
	ERR_clear_error(); /* a system without a bundle is no error: then nobody is trusted */
	return load_all_crls(t, lenient, e);
}

/* ---- sharing ---- */

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
	free(t->crl_file);
	free(t->crl_dir);
	free(t->crl_cache);
	free(t);
}

static struct trust *trust_new(const struct trust_files *f)
{
	struct trust *t = calloc(1, sizeof *t);

	must(t != NULL);
	t->ca = path_dup(f->ca);
	t->crl_file = path_dup(f->crl_file);
	t->crl_dir = path_dup(f->crl_dir);
	t->crl_cache = path_dup(f->crl_cache);
	t->refs = 1;
	t->crls = (struct tls_crls){ .wanted = f->crl_file.n + f->crl_dir.n + f->crl_cache.n > 0,
				     .next_update_ms = INT64_MAX };
	return t;
}

/* Identified before it is read: what changes in between is read again at the next look. */
static int identify(struct trust *t, bool lenient, struct err *e)
{
	if (file_identify(t->ca, &t->ca_id, e) != 0)
		return -1;
	return crl_identify(t, &t->crl_id, lenient ? NULL : e) != 0 && !lenient ? -1 : 0;
}

static struct trust *find_same(const struct trust *as)
{
	struct trust *t = all;

	while (t != NULL && (strcmp(t->ca, as->ca) != 0 || strcmp(t->crl_file, as->crl_file) != 0 ||
			     strcmp(t->crl_dir, as->crl_dir) != 0 || strcmp(t->crl_cache, as->crl_cache) != 0 ||
			     !file_is_same(&t->ca_id, &as->ca_id) || !crl_is_same(&t->crl_id, &as->crl_id)))
		t = t->next;
	return t;
}

/* Loading under the lock also keeps two threads from reading the same bundle twice. */
struct trust *trust_get(const struct trust_files *f, bool lenient, struct err *e)
{
	struct trust *new = trust_new(f), *t = NULL;

	pthread_mutex_lock(&lock);
	if (identify(new, lenient, e) != 0)
		goto out;
	t = find_same(new);
	if (t != NULL && t->crls.problem[0] != '\0' && !lenient) {
		err_set(e, ERR_TLS, "tls.trust", "%s", t->crls.problem);
		t = NULL;
	} else if (t != NULL) {
		t->refs++;
	} else if (load_store(new, lenient, e) == 0) {
		new->next = all;
		all = t = new;
	}
out:
	pthread_mutex_unlock(&lock);
	if (t != new)
		trust_free(new);
	return t;
}

bool trust_crls_changed(const struct trust *t)
{
	struct crl_id now;

	return t->crls.wanted && (crl_identify(t, &now, NULL) != 0 || !crl_is_same(&t->crl_id, &now));
}

struct trust *trust_renew(const struct trust *t, struct err *e)
{
	const struct trust_files files = { str_c(t->ca), str_c(t->crl_file), str_c(t->crl_dir), str_c(t->crl_cache) };

	return trust_get(&files, false, e);
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

const struct tls_crls *trust_crls(const struct trust *t)
{
	return &t->crls;
}
