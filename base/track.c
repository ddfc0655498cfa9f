/* base/track.c: single-producer rings, one writer.
 *
 * A ring is bytes between two counters that only grow: `head` is the producer's, `tail` the writer's, and each reads
 * the other's with acquire.  Head moves by whole records, so whatever the writer finds is complete lines.
 * The writer sleeps until a producer finds it asleep; then it waits TRACK_DELAY_MS for company unless a ring is half
 * full, so a busy gateway pays one wake-up and one write for hundreds of records. */
#include "base/track.h"

#include "base/fault.h"
#include "base/own.h"
#include "base/must.h"
#include "base/time.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <semaphore.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { RINGS_MAX = 64, RING_LEAST = 64 * 1024, STAMP_SIZE = 15, SMALL_MAX = 4096, FILES_MAX = 10000 };

struct track_ring {
	struct track *track;
	char *bytes;
	size_t size; /* a power of two */
	_Alignas(64) _Atomic uint64_t head;
	_Atomic uint64_t lost;
	_Alignas(64) _Atomic uint64_t tail;
};

struct track {
	struct track_options o;
	struct track_ring *rings[RINGS_MAX];
	_Atomic size_t ring_n;
	int fd;
	uint64_t size; /* of the file */
	int64_t day;   /* it belongs to */
	bool in_trouble;
	pthread_t thread;
	sem_t wake;
	_Atomic bool asleep, hurried, stopping;
};

static const int64_t DAY_MS = 86400 * 1000LL;

/* ---- files ---- */

static int open_file(struct track *t, struct err *e)
{
	struct stat st;
	int fd = fault("track.open") ? err_sys(e, ERR_IO, "track.open", "cannot open %s", t->o.path)
				     : own_open(AT_FDCWD, t->o.path, O_WRONLY | O_APPEND | O_CREAT, 0640, "track.open",
						t->o.path, e);

	if (fd < 0)
		return -1;
	if (fstat(fd, &st) != 0) {
		err_sys(e, ERR_IO, "track.open", "cannot open %s", t->o.path);
		close(fd);
		return -1;
	}
	if (t->fd >= 0)
		close(t->fd);
	t->fd = fd;
	t->size = (uint64_t)st.st_size;
	t->day = (t->size > 0 ? (int64_t)st.st_mtime * 1000 : clock_wall_ms()) / DAY_MS;
	return 0;
}

static void put_stamp(char to[STAMP_SIZE + 1], int64_t wall_ms)
{
	time_t s = (time_t)(wall_ms / 1000);
	struct tm tm;

	gmtime_r(&s, &tm);
	must(strftime(to, STAMP_SIZE + 1, "%Y%m%d-%H%M%S", &tm) == STAMP_SIZE);
}

/* Is `name` one of the files put aside, "BASE.20261127-224501" or "...-N"?  When it was put there. */
static bool is_aside(struct str name, struct str base, int64_t *aside_ms)
{
	struct tm tm = { 0 };
	char stamp[STAMP_SIZE + 1];
	struct str rest = str_skip(name, base.n);

	if (!str_starts(name, base) || rest.n < STAMP_SIZE + 1 || rest.p[0] != '.')
		return false;
	memcpy(stamp, rest.p + 1, STAMP_SIZE);
	stamp[STAMP_SIZE] = '\0';
	const char *end = strptime(stamp, "%Y%m%d-%H%M%S", &tm);
	if (end == NULL || *end != '\0' || (rest.n > STAMP_SIZE + 1 && rest.p[STAMP_SIZE + 1] != '-'))
		return false;
	*aside_ms = (int64_t)timegm(&tm) * 1000;
	return true;
}

/* "/var/log/t.jsonl" -> "/var/log", "t.jsonl". */
static void split_path(const char *path, char *dir, size_t room, struct str *base)
{
	struct str whole = str_c(path);
	ssize_t slash = str_rchr(whole, '/');

	*base = str_skip(whole, (size_t)(slash + 1));
	snprintf(dir, room, STR_FMT,
		 STR_ARG(slash < 0    ? S(".")
			 : slash == 0 ? S("/")
				      : str_head(whole, (size_t)slash)));
}

static void remove_old(const struct track *t)
{
	char dir[4096], file[4096 + 300];
	struct str base;
	struct dirent *entry;
	int64_t aside_ms, now_ms = clock_wall_ms();

	split_path(t->o.path, dir, sizeof dir, &base);
	DIR *d = opendir(dir);
	while (d != NULL && (entry = readdir(d)) != NULL)
		if (is_aside(str_c(entry->d_name), base, &aside_ms) && now_ms - aside_ms > t->o.retain_ms) {
			snprintf(file, sizeof file, "%s/%s", dir, entry->d_name);
			unlink(file);
		}
	if (d != NULL)
		closedir(d);
}

static int compare_names(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

void track_each_file(const char *path, bool (*each)(void *arg, const char *file), void *arg)
{
	char dir[4096], file[4096 + 300];
	char **names = calloc(FILES_MAX, sizeof *names);
	struct str base;
	struct dirent *entry;
	int64_t aside_ms;
	size_t n = 0;
	bool go_on = true;

	must(names != NULL);
	split_path(path, dir, sizeof dir, &base);
	DIR *d = opendir(dir);
	while (d != NULL && n < FILES_MAX && (entry = readdir(d)) != NULL)
		if (is_aside(str_c(entry->d_name), base, &aside_ms))
			must((names[n++] = strdup(entry->d_name)) != NULL);
	if (d != NULL)
		closedir(d);
	qsort(names, n, sizeof *names, compare_names); /* the stamps sort by time */
	for (size_t i = 0; i < n; i++) {
		snprintf(file, sizeof file, "%s/%s", dir, names[i]);
		go_on = go_on && each(arg, file);
		free(names[i]);
	}
	free(names);
	if (go_on)
		each(arg, path);
}

/* The file is put aside under the time of now; a second one in that second gets a number. */
static void put_aside(struct track *t, int64_t now_ms)
{
	char stamp[STAMP_SIZE + 1], to[4096 + 64];

	put_stamp(stamp, now_ms);
	snprintf(to, sizeof to, "%s.%s", t->o.path, stamp);
	for (int i = 1; i < 1000 && access(to, F_OK) == 0; i++)
		snprintf(to, sizeof to, "%s.%s-%03d", t->o.path, stamp, i);
	rename(t->o.path, to); /* when that fails the file goes on growing: nothing is lost */
}

/* ---- writing ---- */

/* Once until it works again: a full disk must not fill the log as well. */
static void tell_trouble(struct track *t)
{
	struct err e = { 0 };

	err_sys(&e, ERR_IO, "track.write", "cannot write %s", t->o.path);
	if (!t->in_trouble && t->o.trouble != NULL)
		t->o.trouble(&e);
	t->in_trouble = true;
}

static bool write_all(struct track *t, struct iovec *v, int n)
{
	while (n > 0) {
		ssize_t done = fault("track.write") ? -1 : writev(t->fd, v, n);
		if (done < 0 && errno == EINTR)
			continue;
		if (done < 0) {
			tell_trouble(t);
			return false;
		}
		t->size += (uint64_t)done;
		for (; n > 0 && (size_t)done >= v->iov_len; n--, v++)
			done -= (ssize_t)v->iov_len;
		if (n > 0) {
			v->iov_base = (char *)v->iov_base + done;
			v->iov_len -= (size_t)done;
		}
	}
	return true;
}

static bool write_small(struct track *t, const struct buf *b)
{
	struct iovec v = { b->p, b->n };

	return b->n == 0 || write_all(t, &v, 1);
}

/* What a new file begins with, and a line end where a failed write may have cut a record. */
static void begin_writing(struct track *t)
{
	char room[SMALL_MAX];
	struct buf b = { .p = room, .cap = sizeof room, .max = sizeof room - 1 };
	int64_t now_ms = clock_wall_ms();

	if (t->size > 0 && (t->size >= t->o.rotate_bytes || now_ms / DAY_MS != t->day)) {
		struct err e = { 0 };
		put_aside(t, now_ms);
		if (open_file(t, &e) != 0 && t->o.trouble != NULL)
			t->o.trouble(&e);
		t->day = now_ms / DAY_MS;
		remove_old(t);
	}
	if (t->size == 0 && t->o.put_head != NULL)
		t->o.put_head(&b, now_ms);
	else if (t->in_trouble)
		buf_addc(&b, '\n');
	if (b.n > 0 && write_small(t, &b))
		t->in_trouble = false;
}

static void write_lost(struct track *t, struct track_ring *r)
{
	char room[SMALL_MAX];
	struct buf b = { .p = room, .cap = sizeof room, .max = sizeof room - 1 };
	uint64_t n = atomic_exchange_explicit(&r->lost, 0, memory_order_relaxed);

	if (n == 0)
		return;
	t->o.put_lost(&b, n, clock_wall_ms());
	if (!write_small(t, &b)) /* still owed */
		atomic_fetch_add_explicit(&r->lost, n, memory_order_relaxed);
}

static uint64_t count_lines(const struct iovec *v, int n)
{
	uint64_t lines = 0;

	for (int i = 0; i < n; i++)
		for (const char *p = v[i].iov_base, *end = p + v[i].iov_len; (p = memchr(p, '\n', (size_t)(end - p)));
		     p++)
			lines++;
	return lines;
}

static void drain(struct track *t, struct track_ring *r)
{
	uint64_t head = atomic_load_explicit(&r->head, memory_order_acquire);
	uint64_t tail = atomic_load_explicit(&r->tail, memory_order_relaxed);
	size_t at = tail & (r->size - 1), n = head - tail, first = n < r->size - at ? n : r->size - at;
	struct iovec v[2] = { { r->bytes + at, first }, { r->bytes, n - first } }, whole[2] = { v[0], v[1] };

	must(n <= r->size);
	if (n > 0) {
		begin_writing(t);
		if (!write_all(t, v, 2)) /* waiting for the disk would fill the ring: they are gone, and that is said */
			atomic_fetch_add_explicit(&r->lost, count_lines(whole, 2), memory_order_relaxed);
		atomic_store_explicit(&r->tail, head, memory_order_release);
	}
	write_lost(t, r);
}

static bool has_work(const struct track *t)
{
	for (size_t i = 0; i < t->ring_n; i++)
		if (atomic_load(&t->rings[i]->head) != atomic_load(&t->rings[i]->tail))
			return true;
	return false;
}

static void wait_for_company(struct track *t)
{
	struct timespec until;

	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += TRACK_DELAY_MS * 1000000L;
	if (until.tv_nsec >= 1000000000L) {
		until.tv_nsec -= 1000000000L;
		until.tv_sec++;
	}
	while (!t->hurried && !t->stopping && sem_timedwait(&t->wake, &until) != 0 && errno == EINTR)
		;
	t->hurried = false;
}

static void *run_writer(void *arg)
{
	struct track *t = arg;

	for (;;) {
		bool stop = t->stopping;
		t->asleep = true;
		while (!stop && !has_work(t) && !t->stopping)
			sem_wait(&t->wake);
		t->asleep = false;
		if (!stop && !t->stopping)
			wait_for_company(t);
		for (size_t i = 0; i < t->ring_n; i++)
			drain(t, t->rings[i]);
		if (stop) /* it was set before this drain, so nothing can have come behind it */
			return NULL;
	}
}

/* ---- from the loops ---- */

bool track_put(struct track_ring *r, struct str record)
{
	struct track *t = r->track;
	uint64_t head = atomic_load_explicit(&r->head, memory_order_relaxed);
	size_t used = head - atomic_load_explicit(&r->tail, memory_order_acquire), at = head & (r->size - 1);
	size_t first = record.n < r->size - at ? record.n : r->size - at;

	must(record.n > 0 && record.p[record.n - 1] == '\n');
	if (record.n > r->size - used) {
		atomic_fetch_add_explicit(&r->lost, 1, memory_order_relaxed);
		return false;
	}
	memcpy(r->bytes + at, record.p, first);
	memcpy(r->bytes, record.p + first, record.n - first);
	/* sequentially consistent, as the reads of the writer before it sleeps: one of the two sees the other */
	atomic_store(&r->head, head + record.n);
	if (atomic_load(&t->asleep) && atomic_exchange(&t->asleep, false))
		sem_post(&t->wake);
	else if (used + record.n > r->size / 2 && !atomic_load_explicit(&t->hurried, memory_order_relaxed) &&
		 !atomic_exchange(&t->hurried, true))
		sem_post(&t->wake);
	return true;
}

struct track_ring *track_ring(struct track *t)
{
	struct track_ring *r = aligned_alloc(64, sizeof *r);
	size_t size = RING_LEAST;

	must(r != NULL && t->ring_n < RINGS_MAX);
	memset(r, 0, sizeof *r);
	while (size < t->o.ring_bytes)
		size *= 2;
	r->track = t;
	r->size = size;
	r->bytes = malloc(size);
	must(r->bytes != NULL);
	t->rings[t->ring_n] = r;
	t->ring_n++; /* last: the writer may be looking */
	return r;
}

struct track *track_open(const struct track_options *o, struct err *e)
{
	struct track *t = calloc(1, sizeof *t);

	must(t != NULL && o->path != NULL && o->put_lost != NULL);
	t->o = *o;
	t->fd = -1;
	if (open_file(t, e) != 0) {
		free(t);
		return NULL;
	}
	remove_old(t);
	must(sem_init(&t->wake, 0, 0) == 0);
	must(pthread_create(&t->thread, NULL, run_writer, t) == 0);
	return t;
}

void track_close(struct track **tp)
{
	struct track *t = *tp;

	if (t == NULL)
		return;
	t->stopping = true;
	sem_post(&t->wake);
	pthread_join(t->thread, NULL);
	for (size_t i = 0; i < t->ring_n; i++) {
		free(t->rings[i]->bytes);
		free(t->rings[i]);
	}
	sem_destroy(&t->wake);
	close(t->fd);
	free(t);
	*tp = NULL;
}
