/* smtpd/cli_export_file.c: see the header. */
#include "smtpd/cli_export_file.h"

#include "base/fault.h"
#include "base/must.h"
#include "connectors/queue_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static const struct str ending = STR_LIT(".eml");

/* ---- the set ---- */

void export_add(struct export_set *s, const struct export_item *i)
{
	if (s->n == s->cap) {
		s->cap = s->cap == 0 ? 64 : s->cap * 2;
		s->v = reallocarray(s->v, s->cap, sizeof *s->v);
		must(s->v != NULL);
	}
	s->v[s->n++] = *i;
}

static int compare(const void *a, const void *b)
{
	const struct export_item *x = a, *y = b;

	if (x->id != y->id)
		return x->id < y->id ? -1 : 1;
	return (x->number > y->number) - (x->number < y->number);
}

struct export_item *export_find(const struct export_set *s, uint64_t id, uint32_t number)
{
	const struct export_item key = { .id = id, .number = number };

	return s->n == 0 ? NULL : bsearch(&key, s->v, s->n, sizeof *s->v, compare);
}

void export_set_fini(struct export_set *s)
{
	free(s->v);
	*s = (struct export_set){ 0 };
}

/* ---- before ---- */

static int is_empty(const char *dir, struct err *e)
{
	DIR *d = opendir(dir);
	struct dirent *entry;
	size_t n = 0;

	if (d == NULL)
		return err_sys(e, ERR_SYNTAX, "export", "cannot open %s", dir);
	while ((entry = readdir(d)) != NULL)
		n += strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0;
	closedir(d);
	return n == 0 ? 0
		      : err_set(e, ERR_SYNTAX, "export", "%s is not empty: an export needs a folder of its own", dir);
}

int export_begin(const char *queue, const char *dir, struct err *e)
{
	struct queue_reader *r = queue_reader_open(queue, e);

	if (r == NULL)
		return -1;
	queue_reader_close(&r);
	if (mkdir(dir, 0700) != 0 && errno != EEXIST)
		return err_sys(e, ERR_SYNTAX, "export", "cannot make %s", dir);
	return is_empty(dir, e);
}

/* ---- one file ---- */

struct writing {
	struct queue_reader *reader;
	const struct export_report *report;
	int dir_fd;
	char *block;
	struct buf head;
	struct env_rcpt *rcpts;
	struct queue_past *pasts;
	size_t cap;
};

static int write_at(int fd, struct str s, uint64_t at, struct err *e)
{
	while (s.n > 0) {
		ssize_t n = fault("export.write") ? -1 : pwrite(fd, s.p, s.n, (off_t)at);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_sys(e, ERR_IO, "export", "cannot write");
		s = str_skip(s, (size_t)n);
		at += (uint64_t)n;
	}
	return 0;
}

static int write_content(struct writing *w, int fd, struct queue_file *f, struct err *e)
{
	struct mac_sum *sum = mac_sum_new();
	uint64_t at = w->head.n;
	ssize_t n;
	int rc = 0;

	while (rc == 0 && (n = queue_reader_read(w->reader, w->block, e)) > 0) {
		mac_sum_add(sum, str_n(w->block, (size_t)n));
		rc = write_at(fd, str_n(w->block, (size_t)n), at, e);
		at += (uint64_t)n;
	}
	mac_sum_end(&sum, f->sum);
	return rc == 0 && n == 0 ? 0 : -1;
}

/* The checksum of the content stands in front of it, so room is left for the head and it is written last. */
static int write_all(struct writing *w, int fd, struct queue_file *f, struct err *e)
{
	size_t length;

	buf_reset(&w->head);
	queue_file_put(&w->head, f);
	length = w->head.n;
	if (w->head.full)
		return err_set(e, ERR_TOO_BIG, "export", "too many recipients for a file");
	if (write_content(w, fd, f, e) != 0)
		return -1;
	buf_reset(&w->head);
	queue_file_put(&w->head, f);
	must(w->head.n == length);
	if (write_at(fd, buf_str(&w->head), 0, e) != 0)
		return -1;
	return fault("export.sync") || fsync(fd) != 0 ? err_sys(e, ERR_IO, "export", "cannot sync") : 0;
}

static int write_file(struct writing *w, struct queue_file *f, struct err *e)
{
	char name[40], part[40];
	struct buf b = { .p = name, .cap = sizeof name, .max = sizeof name - 1 };

	queue_put_id(&b, f->id);
	snprintf(part, sizeof part, STR_FMT ".part", STR_ARG(buf_str(&b)));
	buf_add(&b, ending);
	name[b.n] = '\0';
	int fd = openat(w->dir_fd, part, O_WRONLY | O_CREAT | O_EXCL | O_CLOEXEC, 0600);
	if (fd < 0)
		return err_sys(e, ERR_IO, "export", "cannot make %s", part);
	int rc = write_all(w, fd, f, e);
	close(fd);
	fault("export.file");
	if (rc == 0 && renameat(w->dir_fd, part, w->dir_fd, name) != 0)
		rc = err_sys(e, ERR_IO, "export", "cannot make %s", name);
	if (rc != 0)
		unlinkat(w->dir_fd, part, 0);
	return rc;
}

/* ---- one message: those of its recipients that are READY, and on hold in the index, too ---- */

static void room_for(struct writing *w, size_t n)
{
	if (n <= w->cap)
		return;
	w->cap = n;
	w->rcpts = reallocarray(w->rcpts, n, sizeof *w->rcpts);
	w->pasts = reallocarray(w->pasts, n, sizeof *w->pasts);
	must(w->rcpts != NULL && w->pasts != NULL);
}

static size_t choose(struct writing *w, const struct queue_kept *k, struct export_set *s, uint64_t id)
{
	size_t n = 0;

	room_for(w, k->past_n);
	for (size_t i = 0; i < k->past_n; i++) {
		struct export_item *item = export_find(s, id, k->past[i].number);
		if (item == NULL || item->state != EXPORT_READY || !k->past[i].held)
			continue;
		w->rcpts[n] = k->env.rcpts[item->number];
		w->pasts[n] = k->past[i];
		w->pasts[n++].held = item->was_held;
	}
	return n;
}

static void mark_written(struct writing *w, struct export_set *s, uint64_t id, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		struct export_item *item = export_find(s, id, w->pasts[i].number);
		must(item != NULL); /* it was there to be written */
		item->state = EXPORT_WRITTEN;
	}
}

static void write_message(struct writing *w, struct export_set *s, uint64_t id)
{
	struct queue_file f = { .id = id };
	struct queue_kept k;
	struct err e = { 0 };
	size_t n;

	if (queue_reader_get(w->reader, id, &k, &e) != 0) {
		w->report->trouble(w->report->arg, id, e.text);
		return;
	}
	if ((n = choose(w, &k, s, id)) == 0)
		return;
	f.env = k.env;
	f.env.rcpts = w->rcpts;
	f.env.rcpt_n = n;
	f.past = w->pasts;
	f.size = k.size;
	if (write_file(w, &f, &e) != 0) {
		w->report->trouble(w->report->arg, id, e.text);
		return;
	}
	mark_written(w, s, id, n);
	w->report->file(w->report->arg, f.size, n);
}

static bool has_ready(const struct export_set *s, size_t at)
{
	for (size_t i = at; i < s->n && s->v[i].id == s->v[at].id; i++)
		if (s->v[i].state == EXPORT_READY)
			return true;
	return false;
}

static int sync_names(int dir_fd, struct err *e)
{
	int above = openat(dir_fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool ok = !fault("export.sync_names") && fsync(dir_fd) == 0 &&
		  (above < 0 || fsync(above) == 0 || errno == EINVAL);

	if (!ok)
		err_sys(e, ERR_IO, "export", "cannot sync the folder");
	if (above >= 0)
		close(above);
	return ok ? 0 : -1;
}

/* Without their names synced the files do not count. */
static void unwrite(struct export_set *s)
{
	for (size_t i = 0; i < s->n; i++)
		if (s->v[i].state == EXPORT_WRITTEN)
			s->v[i].state = EXPORT_READY;
}

int export_write(const char *queue, const char *dir, struct export_set *s, const struct export_report *r, struct err *e)
{
	struct writing w = { .report = r, .dir_fd = open(dir, O_RDONLY | O_DIRECTORY | O_CLOEXEC) };
	int rc = -1;

	if (w.dir_fd < 0)
		return err_sys(e, ERR_IO, "export", "cannot open %s", dir);
	w.block = malloc(QUEUE_READER_BLOCK);
	must(w.block != NULL);
	buf_init(&w.head, QUEUE_FILE_HEAD_MAX);
	if ((w.reader = queue_reader_open(queue, e)) != NULL) {
		for (size_t i = 0; i < s->n; i++)
			if ((i == 0 || s->v[i].id != s->v[i - 1].id) && has_ready(s, i))
				write_message(&w, s, s->v[i].id);
		rc = sync_names(w.dir_fd, e);
		if (rc != 0)
			unwrite(s);
	}
	queue_reader_close(&w.reader);
	buf_fini(&w.head);
	free(w.block);
	free(w.rcpts);
	free(w.pasts);
	close(w.dir_fd);
	return rc;
}

/* ---- what the files hold ---- */

static int read_file(int dir_fd, const char *name, struct export_set *s, struct err *e)
{
	int fd = openat(dir_fd, name, O_RDONLY | O_CLOEXEC);
	struct queue_file f = { 0 };
	struct err why;

	if (fd < 0)
		return err_sys(e, ERR_IO, "export", "cannot open %s", name);
	int rc = queue_file_read(fd, &f, &why);
	if (rc == 0)
		rc = queue_file_verify(fd, &f, &why);
	if (rc != 0)
		err_set(e, why.code, "export", "%s: %s", name, why.text);
	for (size_t i = 0; rc == 0 && i < f.env.rcpt_n; i++)
		export_add(s,
			   &(struct export_item){ .id = f.id, .number = f.past[i].number, .was_held = f.past[i].held });
	queue_file_fini(&f);
	close(fd);
	return rc;
}

int export_read(const char *dir, struct export_set *s, struct err *e)
{
	DIR *d = opendir(dir);
	struct dirent *entry;
	int rc = 0;

	if (d == NULL)
		return err_sys(e, ERR_NOT_FOUND, "export", "cannot open %s", dir);
	while (rc == 0 && (entry = readdir(d)) != NULL)
		if (str_ends(str_c(entry->d_name), ending))
			rc = read_file(dirfd(d), entry->d_name, s, e);
	closedir(d);
	if (s->n > 0)
		qsort(s->v, s->n, sizeof *s->v, compare);
	return rc;
}
