/* connectors/kept.c: the writer of the replay store; see the header.
 *
 * A file is closed when it is large (an eighth of replay.size, 64 MiB at most), old (an eighth of replay.keep), or when
 * anything went wrong with it; the next one begins with the next message.  Files go as wholes: the oldest when there is
 * no room, and each when its last record is past replay.keep.  Synced once a second at most: these are copies. */
#include "connectors/kept.h"
#include "connectors/kept_file.h"
#include "connectors/kept_inner.h"

#include "base/fault.h"
#include "base/log.h"
#include "base/must.h"
#include "base/time.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { FILE_MAX_BYTES = 64 << 20, LOOK_MS = 1000, CONNECTORS_MAX = 4096 };

struct kept_job {
	struct kept_job *next;
	struct buf meta;
	char *content;
	size_t content_n;
};

/* ---- what is wanted ---- */

static bool matches(struct str pattern, struct str domain)
{
	struct str below = str_skip(pattern, 1); /* ".name" of "*.name" */

	if (str_eq(pattern, S("*")))
		return true;
	if (str_starts(pattern, S("*.")))
		return str_ieq(str_skip(pattern, 2), domain) || str_iends(domain, below);
	return str_ieq(pattern, domain);
}

bool kept_wants(const struct kept *k, struct str rcpt, uint64_t size)
{
	if (k == NULL || size > k->conf->message_max)
		return false;
	struct str domain = queue_domain_of(rcpt);
	for (size_t i = 0; i < k->conf->domains.n; i++)
		if (matches(k->conf->domains.v[i], domain))
			return true;
	return false;
}

/* ---- from the loops ---- */

static void put_meta(struct buf *b, const struct kept_order *o)
{
	const struct queue_file f = { .id = o->id, .env = *o->env, .past = o->past, .size = o->content.n };

	for (size_t i = 0; i < o->env->rcpt_n; i++) {
		buf_add(b, str_head(o->connectors[i], CONNECTORS_MAX));
		buf_addc(b, '\n');
	}
	buf_addc(b, '\n');
	queue_file_put(b, &f);
}

static void free_job(struct kept_job *j)
{
	buf_fini(&j->meta);
	free(j->content);
	free(j);
}

/* Room is taken before anything is copied. */
static bool take_room(struct kept *k, size_t n)
{
	uint64_t before = atomic_fetch_add(&k->waiting_bytes, n);

	if (before + n <= k->conf->memory)
		return true;
	atomic_fetch_sub(&k->waiting_bytes, n);
	return false;
}

bool kept_has_room(struct kept *k, uint64_t size)
{
	bool room = k->waiting_bytes + size + KEPT_JOB_BYTES <= k->conf->memory;

	k->dropped += !room;
	return room;
}

bool kept_put(struct kept *k, const struct kept_order *o)
{
	struct kept_job *j;

	if (o->content.n > k->conf->message_max || !take_room(k, o->content.n + KEPT_JOB_BYTES)) {
		k->dropped++;
		return false;
	}
	j = calloc(1, sizeof *j);
	must(j != NULL);
	buf_init(&j->meta, KEPT_META_MAX);
	put_meta(&j->meta, o);
	j->content_n = o->content.n;
	j->content = malloc(o->content.n + 1);
	must(j->content != NULL);
	if (o->content.n > 0)
		memcpy(j->content, o->content.p, o->content.n);
	pthread_mutex_lock(&k->lock);
	*k->jobs_end = j;
	k->jobs_end = &j->next;
	bool wake = k->asleep;
	k->asleep = false; /* one wake-up is enough */
	pthread_mutex_unlock(&k->lock);
	if (wake)
		pthread_cond_signal(&k->wake);
	return true;
}

void kept_stats(const struct kept *k, struct kept_stats *s)
{
	*s = (struct kept_stats){ 0 };
	if (k == NULL)
		return;
	*s = (struct kept_stats){ .kept = k->kept,
				  .dropped = k->dropped,
				  .failed = k->failed,
				  .bytes = k->bytes,
				  .files = k->file_n,
				  .waiting_bytes = k->waiting_bytes };
}

/* ---- files: writer thread ---- */

static void close_file(struct kept *k)
{
	if (k->fd >= 0)
		close(k->fd);
	k->fd = -1;
	seal_free(&k->seal);
}

static void remove_file(struct kept *k, size_t i)
{
	char name[KEPT_NAME];

	kept_name(name, k->files[i].number);
	if (unlinkat(k->dir_fd, name, 0) != 0 && errno != ENOENT)
		log_warn(NULL, "replay.unlink", kv_c("file", name), kv_int("errno", errno));
	k->bytes -= k->files[i].bytes;
	memmove(&k->files[i], &k->files[i + 1], (k->file_n - i - 1) * sizeof *k->files);
	k->file_n--;
}

static struct kept_known *last_file(struct kept *k)
{
	return k->fd >= 0 ? &k->files[k->file_n - 1] : NULL;
}

static void expire(struct kept *k, int64_t now_ms)
{
	struct kept_known *last = last_file(k);

	if (last != NULL && now_ms - last->begun_ms > k->conf->keep_ms / 8)
		close_file(k);
	while (k->file_n > 0 && now_ms - k->files[0].last_ms > k->conf->keep_ms) {
		if (k->file_n == 1)
			close_file(k);
		remove_file(k, 0);
	}
}

static void make_room(struct kept *k, uint64_t n)
{
	while (k->file_n > 0 && k->bytes + n > k->conf->size_max) {
		if (k->file_n == 1)
			close_file(k);
		remove_file(k, 0);
	}
}

static void add_file(struct kept *k, const struct kept_known *f)
{
	if (k->file_n == k->file_cap) {
		k->file_cap = k->file_cap == 0 ? 64 : k->file_cap * 2;
		k->files = reallocarray(k->files, k->file_cap, sizeof *k->files);
		must(k->files != NULL);
	}
	k->files[k->file_n] = *f;
	k->file_n++;
	k->bytes += f->bytes;
}

static int begin_file(struct kept *k, int64_t now_ms, struct err *e)
{
	struct kept_head h = { .begun_ms = now_ms };
	char name[KEPT_NAME], head[KEPT_HEAD];

	seal_random(h.salt, sizeof h.salt);
	memcpy(h.key_id, k->keys.v[0].id, strnlen(k->keys.v[0].id, sizeof h.key_id));
	kept_put_head(head, &h);
	kept_name(name, ++k->number);
	k->fd = openat(k->dir_fd, name, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (k->fd < 0 || fault("replay.begin") || pwrite(k->fd, head, sizeof head, 0) != (ssize_t)sizeof head) {
		err_sys(e, ERR_IO, "replay", "cannot write %s", name);
		close_file(k);
		unlinkat(k->dir_fd, name, 0);
		return -1;
	}
	fsync(k->dir_fd); /* its name; if that fails, it is a copy that is lost */
	k->seal = kept_seal(&k->keys, &h);
	must(k->seal != NULL);
	add_file(k, &(struct kept_known){
			    .number = k->number, .bytes = KEPT_HEAD, .begun_ms = now_ms, .last_ms = now_ms });
	return 0;
}

static int write_record(struct kept *k, struct kept_known *f, struct err *e)
{
	struct str left = buf_str(&k->record);
	uint64_t at = f->bytes;

	while (left.n > 0) {
		ssize_t n = fault("replay.write") ? -1 : pwrite(k->fd, left.p, left.n, (off_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, ERR_IO, "replay", "cannot write");
		left = str_skip(left, (size_t)n);
		at += (uint64_t)n;
	}
	return 0;
}

static bool seal_record(struct kept *k, const struct kept_job *j, uint64_t at, int64_t now_ms)
{
	const struct kept_lengths l = { j->meta.n + SEAL_TAG, j->content_n + SEAL_TAG, now_ms };
	char head[KEPT_RECORD];

	kept_put_record(head, &l);
	buf_reset(&k->record);
	return buf_add(&k->record, str_n(head, sizeof head)) &&
	       seal_put(k->seal, at, str_n(head, sizeof head), buf_str(&j->meta), &k->record) &&
	       seal_put(k->seal, at + 1, str_n(head, sizeof head), str_n(j->content, j->content_n), &k->record);
}

static int write_job(struct kept *k, const struct kept_job *j, struct err *e)
{
	int64_t now_ms = clock_wall_ms();
	uint64_t most = k->conf->size_max / 8 < FILE_MAX_BYTES ? k->conf->size_max / 8 : FILE_MAX_BYTES;
	uint64_t n = KEPT_RECORD + j->meta.n + j->content_n + 2 * SEAL_TAG;

	if (j->meta.full)
		return err_set(e, ERR_TOO_BIG, "replay", "too many recipients");
	expire(k, now_ms);
	make_room(k, n + KEPT_HEAD);
	const struct kept_known *last = last_file(k);
	if (last != NULL && last->bytes > KEPT_HEAD && last->bytes + n > most)
		close_file(k);
	if (k->fd < 0 && begin_file(k, now_ms, e) != 0)
		return -1;
	struct kept_known *f = last_file(k);
	must(f != NULL);
	must(seal_record(k, j, f->bytes, now_ms));
	if (write_record(k, f, e) != 0) {
		close_file(k); /* what stands there was sealed under counters that are spent */
		return -1;
	}
	f->bytes += n;
	f->last_ms = now_ms;
	k->bytes += n;
	k->unsynced = true;
	return 0;
}

/* ---- the thread ---- */

static void tell(struct kept *k, const struct err *e)
{
	if (!k->in_trouble)
		log_error(NULL, "replay.failed", kv_c("error", e->text),
			  kv_c("todo", "delivered mail is not kept meanwhile"));
	k->in_trouble = true;
}

static void do_job(struct kept *k, struct kept_job *j)
{
	struct err e = { 0 };

	if (write_job(k, j, &e) == 0) {
		k->kept++;
		k->in_trouble = false;
	} else {
		k->failed++;
		tell(k, &e);
	}
	atomic_fetch_sub(&k->waiting_bytes, j->content_n + KEPT_JOB_BYTES);
	free_job(j);
	if (k->record.cap > FILE_MAX_BYTES / 16)
		buf_fini(&k->record);
}

static void keep_house(struct kept *k)
{
	int64_t now_ms = clock_mono_ms();

	if (now_ms - k->looked_ms < LOOK_MS)
		return;
	k->looked_ms = now_ms;
	if (k->unsynced && k->fd >= 0)
		fdatasync(k->fd); /* failed: copies are lost, and the next write will say so */
	k->unsynced = false;
	expire(k, clock_wall_ms());
}

/* All that waits. */
static struct kept_job *wait_for_jobs(struct kept *k)
{
	struct kept_job *list;
	struct timespec until;

	clock_gettime(CLOCK_MONOTONIC, &until);
	until.tv_sec++;
	pthread_mutex_lock(&k->lock);
	k->asleep = k->jobs == NULL && !k->stopping;
	if (k->asleep)
		pthread_cond_timedwait(&k->wake, &k->lock, &until);
	k->asleep = false;
	list = k->jobs;
	k->jobs = NULL;
	k->jobs_end = &k->jobs;
	k->over = list == NULL && k->stopping;
	pthread_mutex_unlock(&k->lock);
	return list;
}

static void *run_writer(void *arg)
{
	struct kept *k = arg;
	struct kept_job *j, *next;

	while (!k->over) {
		for (j = wait_for_jobs(k); j != NULL; j = next) {
			next = j->next;
			do_job(k, j);
			keep_house(k);
		}
		keep_house(k);
	}
	return NULL;
}

/* ---- open and close ---- */

/* What the process before left: its files are only read and expired, never written again. */
static int find_files(struct kept *k, struct err *e)
{
	uint64_t *numbers;
	size_t n;

	if (kept_list(k->conf->path.p, &numbers, &n, e) != 0)
		return -1;
	for (size_t i = 0; i < n; i++) {
		char name[KEPT_NAME];
		struct stat st;
		kept_name(name, numbers[i]);
		if (fstatat(k->dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) != 0)
			continue;
		int64_t last_ms = (int64_t)st.st_mtim.tv_sec * 1000;
		add_file(k, &(struct kept_known){
				    .number = numbers[i], .bytes = (uint64_t)st.st_size, .last_ms = last_ms });
		k->number = numbers[i];
	}
	free(numbers);
	return 0;
}

static int check_keys(const struct kept *k, struct err *e)
{
	for (size_t i = 0; i < k->keys.n; i++)
		if (k->keys.v[i].key_n < SEAL_KEY)
			return err_set(e, ERR_SYNTAX, "replay", "%s: key %s has less than %d bytes", k->conf->key.p,
				       k->keys.v[i].id, SEAL_KEY);
	return k->keys.n > 0 ? 0 : err_set(e, ERR_SYNTAX, "replay", "%s holds no key", k->conf->key.p);
}

static int open_all(struct kept *k, struct err *e)
{
	if (token_keys_load(k->conf->key.p, &k->keys, e) != 0 || check_keys(k, e) != 0)
		return -1;
	if (mkdir(k->conf->path.p, 0700) != 0 && errno != EEXIST)
		return err_sys(e, ERR_IO, "replay", "cannot make %s", k->conf->path.p);
	k->dir_fd = open(k->conf->path.p, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (k->dir_fd < 0)
		return err_sys(e, ERR_IO, "replay", "cannot open %s", k->conf->path.p);
	if (find_files(k, e) != 0)
		return -1;
	errno = pthread_create(&k->thread, NULL, run_writer, k);
	return errno == 0 ? 0 : err_sys(e, ERR_SYSTEM, "replay", "cannot start a thread");
}

static void free_all(struct kept *k)
{
	close_file(k);
	if (k->dir_fd >= 0)
		close(k->dir_fd);
	token_keys_fini(&k->keys);
	buf_fini(&k->record);
	free(k->files);
	pthread_mutex_destroy(&k->lock);
	pthread_cond_destroy(&k->wake);
	free(k);
}

struct kept *kept_open(const struct conf_replay *c, struct err *e)
{
	struct kept *k = calloc(1, sizeof *k);
	pthread_condattr_t attr;

	must(k != NULL && c->path.n > 0);
	k->conf = c;
	k->fd = k->dir_fd = -1;
	k->jobs_end = &k->jobs;
	buf_init(&k->record, UINT32_MAX);
	pthread_mutex_init(&k->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&k->wake, &attr);
	pthread_condattr_destroy(&attr);
	if (open_all(k, e) == 0)
		return k;
	free_all(k);
	return NULL;
}

void kept_close(struct kept **kp)
{
	struct kept *k = *kp;

	if (k == NULL)
		return;
	*kp = NULL;
	pthread_mutex_lock(&k->lock);
	k->stopping = true;
	pthread_cond_signal(&k->wake);
	pthread_mutex_unlock(&k->lock);
	pthread_join(k->thread, NULL);
	if (k->fd >= 0)
		fdatasync(k->fd);
	free_all(k);
}
