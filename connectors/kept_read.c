/* connectors/kept_read.c: the reader of the replay store.  The writer may be at work: the file it writes is read as far
 * as its records are whole, and a file that it removes stays readable while it is open here. */
#include "connectors/kept_inner.h"

#include "base/must.h"

#include <errno.h>
#include <fcntl.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <unistd.h>

struct kept_reader {
	const struct kept *k;
	int dir_fd;
	uint64_t *numbers;
	size_t file_n, next; /* next: index of the file after the open one */
	/* the open file */
	int fd;
	uint64_t number, at, size;
	struct seal *seal;
	/* the record */
	struct buf sealed, meta;
	struct str *connectors;
	struct queue_file file;
	uint64_t damaged, foreign;
};

struct kept_reader *kept_reader_open(const struct kept *k, struct err *e)
{
	struct kept_reader *r = calloc(1, sizeof *r);

	must(r != NULL);
	r->k = k;
	r->fd = -1;
	buf_init(&r->sealed, UINT32_MAX);
	buf_init(&r->meta, KEPT_META_MAX + 1);
	buf_init(&r->file.head, 1);
	r->dir_fd = open(k->conf->path.p, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (r->dir_fd >= 0 && kept_list(k->conf->path.p, &r->numbers, &r->file_n, e) == 0)
		return r;
	if (r->dir_fd < 0)
		err_sys(e, ERR_IO, "replay", "cannot open %s", k->conf->path.p);
	kept_reader_close(&r);
	return NULL;
}

static void close_file(struct kept_reader *r)
{
	if (r->fd >= 0)
		close(r->fd);
	r->fd = -1;
	seal_free(&r->seal);
}

void kept_reader_close(struct kept_reader **rp)
{
	struct kept_reader *r = *rp;

	if (r == NULL)
		return;
	*rp = NULL;
	close_file(r);
	if (r->dir_fd >= 0)
		close(r->dir_fd);
	queue_file_fini(&r->file);
	if (r->meta.p != NULL)
		seal_wipe(r->meta.p, r->meta.cap);
	buf_fini(&r->meta);
	buf_fini(&r->sealed);
	free(r->connectors);
	free(r->numbers);
	free(r);
}

void kept_reader_skipped(const struct kept_reader *r, uint64_t *damaged, uint64_t *foreign)
{
	*damaged = r->damaged;
	*foreign = r->foreign;
}

/* False: it is gone, or not ours to read. */
static bool open_file(struct kept_reader *r, uint64_t number)
{
	char name[KEPT_NAME], head[KEPT_HEAD];
	struct kept_head h;
	struct stat st;

	close_file(r);
	kept_name(name, number);
	r->fd = openat(r->dir_fd, name, O_RDONLY | O_CLOEXEC);
	if (r->fd < 0)
		return false;
	r->number = number;
	r->at = KEPT_HEAD;
	if (fstat(r->fd, &st) != 0 || pread(r->fd, head, sizeof head, 0) != (ssize_t)sizeof head ||
	    !kept_get_head(head, &h)) {
		r->damaged++;
	} else if ((r->seal = kept_seal(&r->k->keys, &h)) == NULL) {
		r->foreign++;
	} else {
		r->size = (uint64_t)st.st_size;
		return true;
	}
	close_file(r);
	return false;
}

/* ---- one record ---- */

static bool split_connectors(struct kept_reader *r, struct str *rest)
{
	struct str line;
	size_t n = 0;

	while (str_cut(*rest, '\n', &line, rest) && line.n > 0) {
		r->connectors = reallocarray(r->connectors, n + 1, sizeof *r->connectors);
		must(r->connectors != NULL);
		r->connectors[n++] = line;
	}
	r->file.env.rcpt_n = n;
	return n > 0;
}

static bool parse_meta(struct kept_reader *r)
{
	struct str rest = buf_str(&r->meta);
	size_t used, n;
	struct err e;

	queue_file_fini(&r->file);
	if (!split_connectors(r, &rest))
		return false;
	n = r->file.env.rcpt_n;
	return queue_file_parse(rest, &r->file, &used, &e) == 0 && used == rest.n && r->file.env.rcpt_n == n;
}

static bool take_part(struct kept_reader *r, uint64_t at, uint64_t n, uint64_t counter, struct str head, struct buf *to)
{
	char *sealed;

	buf_reset(&r->sealed);
	sealed = buf_reserve(&r->sealed, n);
	return sealed != NULL && pread(r->fd, sealed, n, (off_t)at) == (ssize_t)n &&
	       seal_take(r->seal, counter, head, str_n(sealed, n), to);
}

enum record_is { RECORD_OK, RECORD_NONE, RECORD_BAD };

/* At r->at; moves behind it unless there is none.  Content only when it is asked for. */
static enum record_is read_record(struct kept_reader *r, struct kept_record *out, struct buf *content)
{
	char raw[KEPT_RECORD] = { 0 };
	struct str head = str_n(raw, sizeof raw);
	struct kept_lengths l;
	uint64_t at = r->at;

	if (r->at + KEPT_RECORD > r->size)
		return r->at == r->size ? RECORD_NONE : RECORD_BAD;
	if (pread(r->fd, raw, sizeof raw, (off_t)at) != (ssize_t)sizeof raw || !kept_get_record(raw, &l) ||
	    l.meta_n > r->size - at - KEPT_RECORD || l.content_n > r->size - at - KEPT_RECORD - l.meta_n) {
		r->at = r->size; /* where the next one begins is not known */
		return RECORD_BAD;
	}
	r->at += KEPT_RECORD + l.meta_n + l.content_n;
	buf_reset(&r->meta);
	if (!take_part(r, at + KEPT_RECORD, l.meta_n, at, head, &r->meta) || !parse_meta(r))
		return RECORD_BAD;
	if (content != NULL && !take_part(r, at + KEPT_RECORD + l.meta_n, l.content_n, at + 1, head, content))
		return RECORD_BAD;
	*out = (struct kept_record){
		.place = { r->number, at }, .kept_ms = l.kept_ms, .f = r->file, .connectors = r->connectors
	};
	return RECORD_OK;
}

bool kept_reader_next(struct kept_reader *r, struct kept_record *out)
{
	for (;;) {
		while (r->fd < 0) {
			if (r->next == r->file_n)
				return false;
			open_file(r, r->numbers[r->next++]);
		}
		switch (read_record(r, out, NULL)) {
		case RECORD_OK:
			return true;
		case RECORD_BAD:
			r->damaged++;
			if (r->at < r->size && r->at + KEPT_RECORD <= r->size)
				continue; /* the record behind it may be whole */
					  /* fall through */
		case RECORD_NONE:
			close_file(r);
		}
	}
}

int kept_reader_get(struct kept_reader *r, struct kept_place place, struct kept_record *out, struct buf *content,
		    struct err *e)
{
	if ((r->fd < 0 || r->number != place.file) && !open_file(r, place.file))
		return err_set(e, ERR_NOT_FOUND, "replay", "it is not kept any more");
	r->at = place.offset;
	if (read_record(r, out, content) != RECORD_OK)
		return err_set(e, ERR_CORRUPT, "replay", "what is kept of it does not check");
	return 0;
}
