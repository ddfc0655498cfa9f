/* tls/crl_keep.c: the sources of revocation lists and their files: HASH.crl, written beside and renamed.
 *
 * A file begins with `url: ...`, which PEM readers pass over; so the folder alone says what there was before a restart.
 */
#include "tls/crl_keep.h"

#include "base/fault.h"
#include "base/must.h"
#include "base/own.h"
#include "config/config.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <limits.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { CACHED_MAX = 512 * 1024 * 1024, SKEW_MS = 5 * 60 * 1000 };

struct source {
	struct crl_source s;
	uint64_t bytes; /* hash of the file */
	bool wanted;    /* since the last round */
};

struct crl_keep {
	char *folder;
	struct crl_known *known;
	pthread_mutex_t lock; /* guards v[].s and n against crl_keep_copy */
	struct source v[CRL_SOURCES_MAX];
	size_t n;
};

/* ---- files ---- */

static void file_of(const struct crl_keep *k, const char *url, char path[PATH_MAX])
{
	snprintf(path, PATH_MAX, "%s/%016llx.crl", k->folder, (unsigned long long)str_hash(str_c(url), 0));
}

static int write_all(int fd, struct str bytes)
{
	while (bytes.n > 0) {
		ssize_t n = write(fd, bytes.p, bytes.n);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return -1;
		bytes = str_skip(bytes, (size_t)n);
	}
	return 0;
}

/* Whole or not at all: the threads that read the folder look at any time. */
static int write_file(const struct crl_keep *k, const char *url, struct str text, struct err *e)
{
	char path[PATH_MAX], beside[PATH_MAX];
	int fd;

	file_of(k, url, path);
	snprintf(beside, sizeof beside, "%s/.%016llx", k->folder, (unsigned long long)str_hash(str_c(url), 0));
	unlink(beside); /* half a file of a life before, or what somebody put there */
	fd = fault("crl.open") ? -1 : open(beside, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC | O_NOFOLLOW, 0644);
	if (fd < 0)
		return err_sys(e, ERR_IO, "tls.crl", "cannot write %s", beside);
	bool ok = write_all(fd, text) == 0 && fsync(fd) == 0;
	int why = errno;
	close(fd);
	errno = ok ? 0 : why;
	if (ok && rename(beside, path) == 0)
		return 0;
	err_sys(e, ERR_IO, "tls.crl", "cannot write %s", path);
	unlink(beside);
	return -1;
}

static bool read_file(const char *path, struct buf *out)
{
	int fd = open(path, O_RDONLY | O_CLOEXEC);
	struct stat st;
	ssize_t n = 0;

	if (fd < 0)
		return false;
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode) && st.st_size <= CACHED_MAX)
		for (char *p; (p = buf_reserve(out, 64 * 1024)) != NULL && (n = read(fd, p, 64 * 1024)) > 0;)
			buf_commit(out, (size_t)n);
	close(fd);
	return n == 0 && !out->full && out->n > 0;
}

/* ---- sources ---- */

static struct source *find(struct crl_keep *k, struct str url)
{
	for (size_t i = 0; i < k->n; i++)
		if (str_eq(str_c(k->v[i].s.url), url))
			return &k->v[i];
	return NULL;
}

static struct source *add(struct crl_keep *k, struct str url)
{
	struct source *at;

	if (k->n == CRL_SOURCES_MAX || url.n > CRL_URL_MAX || conf_url_check(url) != NULL)
		return NULL;
	at = &k->v[k->n];
	*at = (struct source){ 0 };
	snprintf(at->s.url, sizeof at->s.url, STR_FMT, STR_ARG(url));
	pthread_mutex_lock(&k->lock);
	k->n++;
	pthread_mutex_unlock(&k->lock);
	return at;
}

static void drop(struct crl_keep *k, struct source *at)
{
	char path[PATH_MAX];

	file_of(k, at->s.url, path);
	unlink(path);
	pthread_mutex_lock(&k->lock);
	*at = k->v[--k->n];
	pthread_mutex_unlock(&k->lock);
}

/* One file of the folder; false when it is of no use. */
static bool recall(struct crl_keep *k, const char *path, int64_t now_ms)
{
	struct crl_facts facts;
	struct str line, rest;
	struct source *at = NULL;
	struct stat st;
	struct buf text;

	buf_init(&text, CACHED_MAX);
	if (read_file(path, &text) && str_cut(buf_str(&text), '\n', &line, &rest) && str_starts(line, S("url: ")) &&
	    crl_recall(k->known, rest, &facts, NULL) == 0)
		at = add(k, str_skip(line, 5));
	if (at != NULL)
		at->bytes = str_hash(buf_str(&text), 0);
	buf_fini(&text);
	if (at == NULL)
		return false;
	at->s.has_list = true;
	at->s.list = facts;
	at->s.fetched_ms = stat(path, &st) == 0 ? (int64_t)st.st_mtime * 1000 : 0;
	at->s.next_ms = crl_next_fetch(&at->s, now_ms);
	return true;
}

static void recall_all(struct crl_keep *k, DIR *d, int64_t now_ms)
{
	const struct dirent *entry;
	char path[PATH_MAX], own[PATH_MAX];

	while ((entry = readdir(d)) != NULL) {
		if (!str_ends(str_c(entry->d_name), S(".crl")) || entry->d_name[0] == '.')
			continue;
		snprintf(path, sizeof path, "%s/%s", k->folder, entry->d_name);
		bool good = recall(k, path, now_ms);
		if (good)
			file_of(k, k->v[k->n - 1].s.url, own);
		if (!good || strcmp(own, path) != 0)
			unlink(path); /* the folder is ours alone: what we cannot renew must not judge anybody */
	}
}

struct crl_keep *crl_keep_open(struct str folder, int64_t now_ms, struct err *e)
{
	struct crl_keep *k = calloc(1, sizeof *k);
	DIR *d;

	must(k != NULL);
	pthread_mutex_init(&k->lock, NULL);
	k->folder = strndup(folder.p, folder.n);
	k->known = crl_known_new();
	must(k->folder != NULL);
	if (mkdir(k->folder, 0755) != 0 && errno != EEXIST) {
		err_sys(e, ERR_IO, "tls.crl", "cannot make the folder %s", k->folder);
		crl_keep_free(&k);
		return NULL;
	}
	int fd = own_dir(k->folder, "tls.crl", e);
	d = fd < 0 ? NULL : fdopendir(fd);
	if (d == NULL) {
		if (fd >= 0) {
			err_sys(e, ERR_IO, "tls.crl", "cannot read the folder %s", k->folder);
			close(fd);
		}
		crl_keep_free(&k);
		return NULL;
	}
	recall_all(k, d, now_ms);
	closedir(d);
	return k;
}

void crl_keep_free(struct crl_keep **kp)
{
	struct crl_keep *k = *kp;

	*kp = NULL;
	if (k == NULL)
		return;
	crl_known_free(&k->known);
	pthread_mutex_destroy(&k->lock);
	free(k->folder);
	free(k);
}

static void set_configured(struct crl_keep *k, struct source *at, bool configured)
{
	if (at->s.configured == configured)
		return;
	pthread_mutex_lock(&k->lock);
	at->s.configured = configured;
	pthread_mutex_unlock(&k->lock);
}

void crl_keep_want(struct crl_keep *k, struct str url, bool configured)
{
	struct source *at = find(k, url);

	if (at == NULL)
		at = add(k, url);
	if (at == NULL)
		return;
	at->wanted = true;
	if (configured)
		set_configured(k, at, true);
}

static void want_point(void *k, struct str url)
{
	crl_keep_want(k, url, false);
}

void crl_keep_learn(struct crl_keep *k, struct tls_ctx *c, bool points)
{
	crl_known_learn(k->known, c);
	if (points)
		crl_points_each(c, want_point, k);
}

size_t crl_keep_copy(struct crl_keep *k, struct crl_source *rows, size_t max)
{
	size_t n;

	pthread_mutex_lock(&k->lock);
	n = k->n;
	for (size_t i = 0; i < n && i < max; i++)
		rows[i] = k->v[i].s;
	pthread_mutex_unlock(&k->lock);
	return n;
}

/* ---- a round ---- */

/* Whoever sits between us and the authority could play an old list that does not know of a revocation yet. */
static int judge_dates(const struct crl_source *s, const struct crl_facts *l, int64_t now_ms, struct err *e)
{
	if (l->this_update_ms > now_ms + SKEW_MS)
		return err_set(e, ERR_TLS, "tls.crl", "the list of %s has not begun yet", l->issuer);
	if (l->next_update_ms > 0 && l->next_update_ms <= now_ms)
		return err_set(e, ERR_TLS, "tls.crl", "the list of %s was over when it came", l->issuer);
	if (s->has_list && strcmp(s->list.issuer, l->issuer) == 0 && l->this_update_ms < s->list.this_update_ms)
		return err_set(e, ERR_TLS, "tls.crl", "the list of %s is older than the one we have", l->issuer);
	return 0;
}

/* 1 when there is a new file, 0 when the list is the one we have, -1 with err. */
static int fetch(struct crl_keep *k, struct source *at, const struct crl_round *r, struct crl_facts *facts,
		 struct err *e)
{
	const struct crl_source *s = &at->s;
	const struct fetch_order order = { s->url, r->deadline_ms, r->stop };
	struct buf body, text;
	int result = -1;

	buf_init(&body, r->max_bytes);
	buf_init(&text, CACHED_MAX);
	buf_addf(&text, "url: %s\n", s->url);
	if (fetch_url(&order, &body, e) == 0 && crl_judge(k->known, buf_str(&body), facts, &text, e) == 0 &&
	    judge_dates(s, facts, r->now_ms, e) == 0) {
		uint64_t bytes = str_hash(buf_str(&text), 0);
		result = s->has_list && at->bytes == bytes ? 0 : write_file(k, s->url, buf_str(&text), e) == 0 ? 1 : -1;
		if (result > 0)
			at->bytes = bytes;
	}
	buf_fini(&body);
	buf_fini(&text);
	return result;
}

static bool try_source(struct crl_keep *k, struct source *at, const struct crl_round *r)
{
	struct crl_source next = at->s;
	struct err e = { 0 };
	struct crl_facts facts = { 0 };
	int result = fetch(k, at, r, &facts, &e);

	if (result < 0 && r->stop != NULL && atomic_load(r->stop))
		return false; /* its fault it was not */
	next.tried_ms = r->now_ms;
	next.failures = result < 0 ? next.failures + 1 : 0;
	snprintf(next.error, sizeof next.error, "%s", e.text);
	if (result >= 0) {
		next.has_list = true;
		next.list = facts;
		next.fetched_ms = r->now_ms;
	}
	next.next_ms = crl_next_fetch(&next, r->now_ms);
	pthread_mutex_lock(&k->lock);
	at->s = next;
	pthread_mutex_unlock(&k->lock);
	if (r->tried != NULL)
		r->tried(r->arg, &next);
	return result > 0;
}

static bool is_stopped(const struct crl_round *r)
{
	return r->stop != NULL && atomic_load(r->stop);
}

bool crl_keep_round(struct crl_keep *k, const struct crl_round *r)
{
	bool changed = false;

	for (size_t i = k->n; i-- > 0;) {
		struct source *at = &k->v[i];
		bool named = at->s.configured && at->wanted;
		set_configured(k, at, named);
		bool found = r->points && (at->s.has_list ? !crl_is_forgotten(&at->s, r->now_ms) : at->wanted);
		if (named || found)
			continue;
		changed = changed || at->s.has_list;
		drop(k, at);
	}
	for (size_t i = 0; i < k->n && !is_stopped(r); i++) {
		k->v[i].wanted = false;
		if (k->v[i].s.next_ms <= r->now_ms && try_source(k, &k->v[i], r))
			changed = true;
	}
	return changed;
}
