/* tests/powerloss/preload.c: between a process and its disk: notes every write to one folder, and can make calls fail.
 *
 *   LD_PRELOAD=powerloss.so
 *   POWERLOSS_DIR=DIR        the folder that is watched, absolute; nothing else is touched
 *   POWERLOSS_JOURNAL=FILE   what was done to it, in order (journal.h); syncs are noted and not done: the test is fast
 *   POWERLOSS_CUT=N          the power goes at the N-th noted call
 *   POWERLOSS_FAULT=CALL:PART:HOW:FROM:COUNT[,...]   calls FROM .. FROM+COUNT-1 of this kind whose path holds PART fail
 *       CALL  open create write sync size rename unlink mkdir thread     HOW  EIO ENOSPC EDQUOT EMFILE ... or SHORT
 *       PART  of the path and what the write or sync is for, which the path alone does not tell:
 *             segments/N#log      a group of records          segments/N#fill     a segment that is prepared
 *             index/data.mdb#page rows                        index/data.mdb#meta which rows count
 *   POWERLOSS_WHILE=FILE     ... only while this file exists: whoever removes it has freed the space
 *   POWERLOSS_CLOCK=FILE     holds milliseconds to be added to the wall clock
 *
 * mmap'd writes are not seen: LMDB is opened without MDB_WRITEMAP and writes its pages by pwrite, its meta pages
 * through a descriptor with O_DSYNC.  (lock.mdb is mapped; what it holds after a crash means nothing.) */
#include "tests/powerloss/journal.h"

#include <dlfcn.h>
#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <sys/uio.h>
#include <time.h>
#include <unistd.h>

enum { FDS = 8192, NAMES = 16384, RULES = 8, PATH_ROOM = 2048, PURPOSE_ROOM = 8 };

enum call {
	CALL_OPEN,
	CALL_CREATE,
	CALL_WRITE,
	CALL_SYNC,
	CALL_SIZE,
	CALL_RENAME,
	CALL_UNLINK,
	CALL_MKDIR,
	CALL_THREAD
};
static const char *const call_names[] = { "open",   "create", "write", "sync",  "size",
					  "rename", "unlink", "mkdir", "thread" };
static const struct how {
	const char *name;
	int error; /* 0 = a short write */
} hows[] = { { "EIO", EIO },       { "ENOSPC", ENOSPC }, { "EDQUOT", EDQUOT },
	     { "EMFILE", EMFILE }, { "ENFILE", ENFILE }, { "ENOMEM", ENOMEM },
	     { "EAGAIN", EAGAIN }, { "EINTR", EINTR },   { "SHORT", 0 } };

struct rule {
	enum call call;
	char part[64];
	const struct how *how;
	unsigned long from, count, passed;
};

static struct {
	pthread_mutex_t lock;
	pthread_once_t once;
	char dir[PATH_ROOM];
	size_t dir_n;
	int journal;
	unsigned long cut, noted;
	struct rule rules[RULES];
	size_t rule_n;
	const char *only_while, *clock;
	struct fd {
		bool tracked, is_dir, durable, append;
		uint32_t file;
		char *name; /* as it was opened */
	} fds[FDS];
	struct name {
		char *name;
		uint32_t file;
	} names[NAMES];
	size_t name_n;
	uint32_t files;
} pl = { .lock = PTHREAD_MUTEX_INITIALIZER, .once = PTHREAD_ONCE_INIT, .journal = -1 };

#define REAL(name, type) ((type)dlsym(RTLD_NEXT, #name))

/* ---- what is asked for ---- */

static void parse_rule(char *text)
{
	struct rule *r = &pl.rules[pl.rule_n];
	char *word[5] = { text };

	for (size_t i = 1; i < 5; i++) {
		word[i] = word[i - 1] == NULL ? NULL : strchr(word[i - 1], ':');
		if (word[i] != NULL)
			*word[i]++ = '\0';
	}
	if (word[4] == NULL || pl.rule_n == RULES)
		abort();
	for (r->call = CALL_OPEN; strcmp(call_names[r->call], word[0]) != 0; r->call++)
		if (r->call == CALL_THREAD)
			abort();
	for (r->how = hows; strcmp(r->how->name, word[2]) != 0; r->how++)
		if (r->how == &hows[sizeof hows / sizeof hows[0] - 1])
			abort();
	snprintf(r->part, sizeof r->part, "%s", word[1]);
	r->from = strtoull(word[3], NULL, 10);
	r->count = strtoull(word[4], NULL, 10);
	pl.rule_n++;
}

static void init(void)
{
	const char *dir = getenv("POWERLOSS_DIR"), *journal = getenv("POWERLOSS_JOURNAL"),
		   *cut = getenv("POWERLOSS_CUT"), *fault = getenv("POWERLOSS_FAULT");
	static char rules[1000];

	pl.clock = getenv("POWERLOSS_CLOCK");
	pl.only_while = getenv("POWERLOSS_WHILE");
	if (pl.only_while != NULL && pl.only_while[0] == '\0')
		pl.only_while = NULL;
	pl.cut = cut == NULL ? 0 : strtoull(cut, NULL, 10);
	if (dir != NULL)
		pl.dir_n = (size_t)snprintf(pl.dir, sizeof pl.dir, "%s", dir);
	if (journal != NULL)
		pl.journal =
			(int)syscall(SYS_openat, AT_FDCWD, journal, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	snprintf(rules, sizeof rules, "%s", fault == NULL ? "" : fault);
	for (char *rule = rules, *next; *rule != '\0'; rule = next) {
		next = rule + strcspn(rule, ",");
		if (*next != '\0')
			*next++ = '\0';
		parse_rule(rule);
	}
}

static void enter(void)
{
	pthread_once(&pl.once, init);
	pthread_mutex_lock(&pl.lock);
}

static void leave(void)
{
	pthread_mutex_unlock(&pl.lock);
}

/* The error this call is to end with; 0: none; -1: it is to be a short write. */
static int fault_of(enum call call, const char *name)
{
	int error = 0;

	for (struct rule *r = pl.rules; r < pl.rules + pl.rule_n; r++) {
		if (r->call != call || strstr(name, r->part) == NULL ||
		    (pl.only_while != NULL && syscall(SYS_faccessat, AT_FDCWD, pl.only_while, F_OK) != 0))
			continue;
		r->passed++;
		if (r->passed >= r->from && r->passed - r->from < r->count)
			error = r->how->error == 0 ? -1 : r->how->error;
	}
	return error;
}

static bool fails(enum call call, const char *name)
{
	int error = fault_of(call, name);

	if (error > 0)
		errno = error;
	return error > 0;
}

/* The log is written with pwritev and synced with fdatasync, a segment that is prepared with pwrite and fsync; LMDB
 * writes its meta pages through a descriptor of their own. */
static const char *purpose_of(const struct fd *f, bool is_log)
{
	if (strncmp(f->name, "segments", strlen("segments")) == 0)
		return is_log ? "#log" : "#fill";
	if (strncmp(f->name, "index/", strlen("index/")) == 0)
		return f->durable ? "#meta" : "#page";
	return "";
}

static int fault_of_fd(enum call call, const struct fd *f, bool is_log)
{
	char name[PATH_ROOM + PURPOSE_ROOM];

	snprintf(name, sizeof name, "%s%s", f->name, purpose_of(f, is_log));
	return fault_of(call, name);
}

/* ---- names and numbers ---- */

/* The path below the watched folder; false: it is elsewhere. */
static bool name_of(int dir_fd, const char *path, char name[PATH_ROOM])
{
	char link[64], base[PATH_ROOM] = "", full[2 * PATH_ROOM];

	if (pl.dir_n == 0)
		return false;
	if (path[0] != '/' && dir_fd == AT_FDCWD) {
		if (getcwd(base, sizeof base) == NULL)
			return false;
	} else if (path[0] != '/') {
		snprintf(link, sizeof link, "/proc/self/fd/%d", dir_fd);
		ssize_t n = readlink(link, base, sizeof base - 1);
		if (n < 0)
			return false;
		base[n] = '\0';
	}
	int n = snprintf(full, sizeof full, "%s%s%s", base, path[0] == '/' ? "" : "/", path);
	while (n > 1 && (full[n - 1] == '/' || (full[n - 1] == '.' && full[n - 2] == '/')))
		full[--n] = '\0';
	if (strncmp(full, pl.dir, pl.dir_n) != 0 || (full[pl.dir_n] != '\0' && full[pl.dir_n] != '/'))
		return false;
	snprintf(name, PATH_ROOM, "%s", full[pl.dir_n] == '/' ? full + pl.dir_n + 1 : "");
	return true;
}

static struct name *find_name(const char *name)
{
	for (size_t i = 0; i < pl.name_n; i++)
		if (strcmp(pl.names[i].name, name) == 0)
			return &pl.names[i];
	return NULL;
}

static void forget_name(const char *name)
{
	struct name *n = find_name(name);

	if (n == NULL)
		return;
	free(n->name);
	*n = pl.names[--pl.name_n];
}

static uint32_t add_name(const char *name, uint32_t file)
{
	forget_name(name);
	if (pl.name_n == NAMES)
		abort();
	pl.names[pl.name_n++] = (struct name){ strdup(name), file };
	return file;
}

/* ---- the journal ---- */

static void note(enum journal_op op, uint32_t file, const char *name, const struct iovec *data, int data_n,
		 size_t bytes, uint64_t offset, bool durable)
{
	struct journal_head h = { .magic = JOURNAL_MAGIC,
				  .op = (uint8_t)op,
				  .durable = durable,
				  .name_n = (uint16_t)strlen(name),
				  .file = file,
				  .data_n = (uint32_t)bytes,
				  .offset = offset };
	struct iovec head[2] = { { &h, sizeof h }, { (void *)(uintptr_t)name, h.name_n } };

	if (pl.journal < 0)
		return;
	syscall(SYS_writev, pl.journal, head, 2);
	for (int i = 0; i < data_n && bytes > 0; i++) {
		size_t n = data[i].iov_len < bytes ? data[i].iov_len : bytes;
		syscall(SYS_write, pl.journal, data[i].iov_base, n);
		bytes -= n;
	}
}

/* Before a call that would be noted: perhaps there is no power for it any more. */
static void count_one(void)
{
	if (++pl.noted == pl.cut)
		kill(getpid(), SIGKILL);
}

/* ---- opening ---- */

static int open_watched(int dir_fd, const char *path, int flags, mode_t mode, const char *name)
{
	bool is_new = (flags & O_CREAT) && syscall(SYS_faccessat, dir_fd, path, F_OK) != 0;
	struct name *known;

	if (fails(is_new ? CALL_CREATE : CALL_OPEN, name))
		return -1;
	if (is_new || (flags & O_TRUNC))
		count_one();
	int fd = (int)syscall(SYS_openat, dir_fd, path, flags, mode);
	struct stat st;
	if (fd < 0 || fd >= FDS || fstat(fd, &st) != 0)
		return fd;
	struct fd *f = &pl.fds[fd];
	free(f->name);
	*f = (struct fd){ .tracked = true,
			  .is_dir = S_ISDIR(st.st_mode),
			  .durable = (flags & O_DSYNC) != 0,
			  .append = (flags & O_APPEND) != 0,
			  .name = strdup(name) };
	if (f->is_dir)
		return fd;
	known = is_new ? NULL : find_name(name);
	f->file = known != NULL ? known->file : add_name(name, ++pl.files);
	if (is_new)
		note(JOURNAL_CREATE, f->file, name, NULL, 0, 0, 0, false);
	else if (known == NULL)
		note(JOURNAL_OPEN, f->file, name, NULL, 0, 0, 0, false);
	if (!is_new && (flags & O_TRUNC))
		note(JOURNAL_SIZE, f->file, "", NULL, 0, 0, 0, false);
	return fd;
}

static int open_any(int dir_fd, const char *path, int flags, mode_t mode)
{
	char name[PATH_ROOM];

	pthread_once(&pl.once, init);
	if (!name_of(dir_fd, path, name))
		return (int)syscall(SYS_openat, dir_fd, path, flags, mode);
	enter();
	int fd = open_watched(dir_fd, path, flags, mode, name);
	int error = errno;
	leave();
	errno = error;
	return fd;
}

#define MODE_OF(flags, mode) \
	mode_t mode = 0; \
	if ((flags) & (O_CREAT | __O_TMPFILE)) { \
		va_list args; \
		va_start(args, flags); \
		mode = (mode_t)va_arg(args, unsigned int); \
		va_end(args); \
	}

int open(const char *path, int flags, ...)
{
	MODE_OF(flags, mode)
	return open_any(AT_FDCWD, path, flags, mode);
}

int open64(const char *path, int flags, ...)
{
	MODE_OF(flags, mode)
	return open_any(AT_FDCWD, path, flags, mode);
}

int openat(int dir_fd, const char *path, int flags, ...)
{
	MODE_OF(flags, mode)
	return open_any(dir_fd, path, flags, mode);
}

int openat64(int dir_fd, const char *path, int flags, ...)
{
	MODE_OF(flags, mode)
	return open_any(dir_fd, path, flags, mode);
}

int close(int fd)
{
	enter();
	if (fd >= 0 && fd < FDS)
		pl.fds[fd].tracked = false;
	int rc = (int)syscall(SYS_close, fd);
	leave();
	return rc;
}

static struct fd *watched(int fd)
{
	return fd >= 0 && fd < FDS && pl.fds[fd].tracked ? &pl.fds[fd] : NULL;
}

/* ---- writing ---- */

static size_t length_of(const struct iovec *iov, int n)
{
	size_t bytes = 0;

	for (int i = 0; i < n; i++)
		bytes += iov[i].iov_len;
	return bytes;
}

/* offset < 0: where the descriptor stands. */
static ssize_t write_watched(int fd, struct fd *f, const struct iovec *iov, int n, off_t offset, bool is_log)
{
	int error = fault_of_fd(CALL_WRITE, f, is_log);
	struct iovec half;
	struct stat st;

	if (error > 0) {
		errno = error;
		return -1;
	}
	if (error < 0 && length_of(iov, n) > 1) {
		half = (struct iovec){ iov[0].iov_base, (iov[0].iov_len + 1) / 2 };
		iov = &half, n = 1;
	}
	count_one();
	off_t at = offset >= 0 ? offset : f->append && fstat(fd, &st) == 0 ? st.st_size : lseek(fd, 0, SEEK_CUR);
	ssize_t wrote = offset >= 0 ? syscall(SYS_pwritev, fd, iov, n, offset, 0) : syscall(SYS_writev, fd, iov, n);
	if (wrote > 0)
		note(JOURNAL_WRITE, f->file, "", iov, n, (size_t)wrote, (uint64_t)at, f->durable);
	return wrote;
}

static ssize_t write_any(int fd, const struct iovec *iov, int n, off_t offset, bool is_log)
{
	ssize_t wrote;

	enter();
	struct fd *f = watched(fd);
	if (f == NULL) {
		leave(); /* may block: a socket, a pipe */
		return offset >= 0 ? syscall(SYS_pwritev, fd, iov, n, offset, 0) : syscall(SYS_writev, fd, iov, n);
	}
	wrote = write_watched(fd, f, iov, n, offset, is_log);
	int error = errno;
	leave();
	errno = error;
	return wrote;
}

#define ONE(data, n) (&(struct iovec){ (void *)(uintptr_t)(data), n })

ssize_t write(int fd, const void *data, size_t n)
{
	return write_any(fd, ONE(data, n), 1, -1, false);
}

ssize_t pwrite(int fd, const void *data, size_t n, off_t offset)
{
	return write_any(fd, ONE(data, n), 1, offset, false);
}

ssize_t pwrite64(int fd, const void *data, size_t n, off_t offset)
{
	return write_any(fd, ONE(data, n), 1, offset, false);
}

ssize_t writev(int fd, const struct iovec *iov, int n)
{
	return write_any(fd, iov, n, -1, false);
}

ssize_t pwritev(int fd, const struct iovec *iov, int n, off_t offset)
{
	return write_any(fd, iov, n, offset, true);
}

ssize_t pwritev64(int fd, const struct iovec *iov, int n, off_t offset)
{
	return write_any(fd, iov, n, offset, true);
}

static int resize(int fd, off_t to, int mode, off_t from, bool allocate)
{
	int rc = -1;

	enter();
	struct fd *f = watched(fd);
	if (f == NULL || !fails(CALL_SIZE, f->name)) {
		struct stat st;
		if (f != NULL)
			count_one();
		rc = (int)(allocate ? syscall(SYS_fallocate, fd, mode, from, to) : syscall(SYS_ftruncate, fd, to));
		if (rc == 0 && f != NULL && fstat(fd, &st) == 0)
			note(JOURNAL_SIZE, f->file, "", NULL, 0, 0, (uint64_t)st.st_size, false);
	}
	int error = errno;
	leave();
	errno = error;
	return rc;
}

int ftruncate(int fd, off_t size)
{
	return resize(fd, size, 0, 0, false);
}

int ftruncate64(int fd, off_t size)
{
	return resize(fd, size, 0, 0, false);
}

int fallocate(int fd, int mode, off_t from, off_t n)
{
	return resize(fd, n, mode, from, true);
}

int fallocate64(int fd, int mode, off_t from, off_t n)
{
	return resize(fd, n, mode, from, true);
}

static int sync_any(int fd, int (*real)(int), bool is_log)
{
	int rc = 0;

	enter();
	struct fd *f = watched(fd);
	if (f == NULL) {
		leave();
		return real(fd);
	}
	int wanted = fault_of_fd(CALL_SYNC, f, is_log);
	if (wanted > 0) {
		errno = wanted;
		rc = -1;
	} else {
		count_one();
		if (pl.journal < 0)
			rc = real(fd);
		if (rc == 0)
			note(f->is_dir ? JOURNAL_SYNC_DIR : JOURNAL_SYNC, f->file, f->is_dir ? f->name : "", NULL, 0, 0,
			     0, false);
	}
	int error = errno;
	leave();
	errno = error;
	return rc;
}

int fsync(int fd)
{
	return sync_any(fd, REAL(fsync, int (*)(int)), false);
}

int fdatasync(int fd)
{
	return sync_any(fd, REAL(fdatasync, int (*)(int)), true);
}

/* ---- names ---- */

static int rename_any(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
	char old[PATH_ROOM], new[PATH_ROOM];
	int rc = -1;

	enter();
	bool is_watched = name_of(from_fd, from, old) && name_of(to_fd, to, new);
	if (!is_watched || !fails(CALL_RENAME, new)) {
		struct name *known = is_watched ? find_name(old) : NULL;
		uint32_t file = known == NULL ? 0 : known->file;
		if (is_watched)
			count_one();
		rc = (int)syscall(SYS_renameat2, from_fd, from, to_fd, to, flags);
		if (rc == 0 && is_watched) {
			if (known == NULL) /* never opened: it is named before it moves */
				note(JOURNAL_OPEN, file = ++pl.files, old, NULL, 0, 0, 0, false);
			note(JOURNAL_RENAME, file, old, ONE(new, strlen(new)), 1, strlen(new), 0, false);
			forget_name(old);
			add_name(new, file);
		}
	}
	int error = errno;
	leave();
	errno = error;
	return rc;
}

int rename(const char *from, const char *to)
{
	return rename_any(AT_FDCWD, from, AT_FDCWD, to, 0);
}

int renameat(int from_fd, const char *from, int to_fd, const char *to)
{
	return rename_any(from_fd, from, to_fd, to, 0);
}

int renameat2(int from_fd, const char *from, int to_fd, const char *to, unsigned flags)
{
	return rename_any(from_fd, from, to_fd, to, flags);
}

int unlinkat(int dir_fd, const char *path, int flags)
{
	char name[PATH_ROOM];
	int rc = -1;

	enter();
	bool is_watched = name_of(dir_fd, path, name);
	if (!is_watched || !fails(CALL_UNLINK, name)) {
		if (is_watched)
			count_one();
		rc = (int)syscall(SYS_unlinkat, dir_fd, path, flags);
		if (rc == 0 && is_watched) {
			note(JOURNAL_UNLINK, 0, name, NULL, 0, 0, 0, false);
			forget_name(name);
		}
	}
	int error = errno;
	leave();
	errno = error;
	return rc;
}

int unlink(const char *path)
{
	return unlinkat(AT_FDCWD, path, 0);
}

int mkdirat(int dir_fd, const char *path, mode_t mode)
{
	char name[PATH_ROOM];
	int rc = -1;

	enter();
	bool is_watched = name_of(dir_fd, path, name);
	if (!is_watched || !fails(CALL_MKDIR, name)) {
		if (is_watched)
			count_one();
		rc = (int)syscall(SYS_mkdirat, dir_fd, path, mode);
		if (rc == 0 && is_watched)
			note(JOURNAL_MKDIR, 0, name, NULL, 0, 0, 0, false);
	}
	int error = errno;
	leave();
	errno = error;
	return rc;
}

int mkdir(const char *path, mode_t mode)
{
	return mkdirat(AT_FDCWD, path, mode);
}

/* ---- threads and clocks ---- */

int pthread_create(pthread_t *thread, const pthread_attr_t *attr, void *(*fn)(void *), void *arg)
{
	enter();
	int error = fault_of(CALL_THREAD, "");
	leave();
	return error > 0 ? error
			 : REAL(pthread_create, int (*)(pthread_t *, const pthread_attr_t *, void *(*)(void *),
							void *))(thread, attr, fn, arg);
}

int clock_gettime(clockid_t id, struct timespec *t)
{
	char text[32] = "";
	int rc = (int)syscall(SYS_clock_gettime, id, t);

	pthread_once(&pl.once, init);
	if (rc != 0 || id != CLOCK_REALTIME || pl.clock == NULL)
		return rc;
	int fd = (int)syscall(SYS_openat, AT_FDCWD, pl.clock, O_RDONLY | O_CLOEXEC, 0);
	if (fd < 0)
		return rc;
	if (syscall(SYS_read, fd, text, sizeof text - 1) > 0)
		t->tv_sec += strtoll(text, NULL, 10) / 1000;
	syscall(SYS_close, fd);
	return rc;
}
