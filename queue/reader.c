/* queue/reader.c: a message out of the files, beside a gateway that goes on working, or without one.
 *
 * What is read may move meanwhile (compaction) or end.  Nothing is locked: the row says where the record was, the
 * record says by its own segment number, id and checksums whether it is still that, and if not, the row is asked again.
 */
#include "queue/inner.h"

#include <endian.h>
#include <fcntl.h>
#include <unistd.h>

enum { TRIES = 5 };

struct queue_reader {
	struct index index;
	int segment_dir_fd, big_dir_fd;
	struct buf record; /* payload of the message */
	struct env_rcpt *rcpts;
	struct queue_past *past;
	struct buf texts;
	/* content */
	struct record head;
	int big_fd;
	uint64_t at, sum;
};

struct queue_reader *queue_reader_open(const char *path, struct err *e)
{
	struct queue_reader *r = calloc(1, sizeof *r);
	char name[240];

	must(r != NULL);
	buf_init(&r->record, UINT32_MAX);
	buf_init(&r->texts, SIZE_MAX / 2);
	r->big_fd = -1;
	snprintf(name, sizeof name, "%s/segments", path);
	r->segment_dir_fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	snprintf(name, sizeof name, "%s/big", path);
	r->big_dir_fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (r->segment_dir_fd < 0 || r->big_dir_fd < 0)
		err_sys(e, ERR_NOT_FOUND, "queue.read", "%s is no queue that we may read", path);
	snprintf(name, sizeof name, "%s/index", path);
	if (r->segment_dir_fd < 0 || r->big_dir_fd < 0 || index_open(&r->index, name, 0 /* as it is */, true, e) != 0)
		queue_reader_close(&r);
	return r;
}

void queue_reader_close(struct queue_reader **rp)
{
	struct queue_reader *r = *rp;

	if (r == NULL)
		return;
	*rp = NULL;
	index_close(&r->index);
	int fds[] = { r->segment_dir_fd, r->big_dir_fd, r->big_fd };
	for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	buf_fini(&r->record);
	buf_fini(&r->texts);
	free(r->rcpts);
	free(r->past);
	free(r);
}

/* ---- the record ---- */

static bool read_record(struct queue_reader *r, uint64_t id, const struct row_message *m)
{
	char head[RECORD_HEAD];
	struct err e;
	int fd = segment_open(r->segment_dir_fd, m->segment, &e);
	char *to = NULL;
	size_t n = 0;
	bool ok;

	buf_reset(&r->record);
	ok = fd >= 0 && pread(fd, head, sizeof head, m->offset) == (ssize_t)sizeof head &&
	     record_get_head(head, m->segment, &r->head) && r->head.id == id && record_length(&r->head) == m->length &&
	     r->head.kind == (m->big ? RECORD_BIG : RECORD_MESSAGE);
	if (ok) {
		n = (size_t)r->head.body_n + r->head.meta_n;
		to = buf_reserve(&r->record, n);
		ok = to != NULL && pread(fd, to, n, (off_t)m->offset + RECORD_HEAD) == (ssize_t)n &&
		     record_is_sound(&r->head, str_n(to, n));
	}
	if (ok)
		buf_commit(&r->record, n);
	if (fd >= 0)
		close(fd);
	return ok;
}

static bool open_content(struct queue_reader *r, uint64_t id)
{
	char name[24];

	if (r->big_fd >= 0)
		close(r->big_fd);
	r->big_fd = -1;
	r->at = r->sum = 0;
	if (r->head.kind != RECORD_BIG)
		return true;
	big_name(name, id);
	r->big_fd = openat(r->big_dir_fd, name, O_RDONLY | O_CLOEXEC);
	return r->big_fd >= 0;
}

static struct str record_meta(const struct queue_reader *r)
{
	return str_n(r->record.p + r->head.body_n, r->head.meta_n);
}

/* ---- the recipients ---- */

static void keep_text(struct queue_reader *r, struct str *s)
{
	struct str offset = { (const char *)(uintptr_t)r->texts.n, s->n };

	buf_add(&r->texts, *s);
	*s = offset;
}

static size_t read_rcpts(struct queue_reader *r, struct store_txn *t, uint64_t id, size_t most)
{
	unsigned char from[12];
	struct str key, value;
	struct row_rcpt row;
	size_t n = 0;

	buf_reset(&r->texts);
	index_key_rcpt(from, id, 0);
	struct store_cursor *c = store_seek(t, r->index.rcpt, str_n(from, sizeof from));
	for (; n < most && store_at(c, &key, &value) && key.n == 12 && store_num64(key) == id; store_next(c)) {
		uint32_t i;
		memcpy(&i, key.p + 8, sizeof i);
		if (!row_get_rcpt(value, &row) || row.state == RCPT_CONDEMNED)
			continue; /* who is condemned gets his report here */
		r->past[n] = (struct queue_past){ .number = be32toh(i),
						  .held = row.state != RCPT_PENDING,
						  .delay_told = row.delay_told,
						  .note = row.note,
						  .attempts = row.attempts,
						  .due_ms = row.due_ms,
						  .last = row.text };
		keep_text(r, &r->past[n++].last);
	}
	store_cursor_close(&c);
	for (size_t i = 0; i < n; i++)
		r->past[i].last.p = r->past[i].last.n == 0 ? NULL : r->texts.p + (uintptr_t)r->past[i].last.p;
	return n;
}

static void make_room(struct queue_reader *r, size_t n)
{
	r->rcpts = reallocarray(r->rcpts, n + 1, sizeof *r->rcpts);
	r->past = reallocarray(r->past, n + 1, sizeof *r->past);
	must(r->rcpts != NULL && r->past != NULL);
}

/* 1: here it is; 0: what the row says does not hold (any more); -1: no row, or an error. */
static int try_get(struct queue_reader *r, uint64_t id, struct queue_kept *out, struct err *e)
{
	struct store_txn *t = store_read(r->index.store, e);
	unsigned char key[8];
	struct row_message m;
	struct str value;
	int found = -1;

	if (t == NULL)
		return -1;
	store_key64(key, id);
	if (!store_get(t, r->index.message, str_n(key, sizeof key), &value) || !row_get_message(value, &m)) {
		err_set(e, ERR_NOT_FOUND, "queue.read", "it is not in the queue any more");
	} else if (!read_record(r, id, &m) || !open_content(r, id)) {
		found = 0;
	} else {
		make_room(r, record_rcpt_n(record_meta(r)));
		found = record_get_envelope(record_meta(r), &out->env, r->rcpts);
		out->past = r->past;
		out->past_n = found ? read_rcpts(r, t, id, out->env.rcpt_n) : 0;
		out->size = r->head.size;
	}
	store_abort(&t);
	return found;
}

int queue_reader_get(struct queue_reader *r, uint64_t id, struct queue_kept *out, struct err *e)
{
	for (int i = 0; i < TRIES; i++) {
		int found = try_get(r, id, out, e);
		if (found != 0)
			return found > 0 ? 0 : -1;
	}
	return err_set(e, ERR_CORRUPT, "queue.read", "its record or its file is damaged or missing");
}

/* ---- content ---- */

static ssize_t read_big(struct queue_reader *r, char to[QUEUE_READER_BLOCK], struct err *e)
{
	size_t n = 0;

	while (n < RECORD_BLOCK) { /* whole blocks: the checksum goes by them */
		ssize_t got = pread(r->big_fd, to + n, RECORD_BLOCK - n, (off_t)(r->at + n));
		if (got < 0)
			return err_sys(e, ERR_IO, "queue.read", "cannot read its file in big/");
		if (got == 0)
			break;
		n += (size_t)got;
	}
	r->at += n;
	if (n > 0)
		r->sum = record_sum_block(str_n(to, n), r->sum);
	if (n < RECORD_BLOCK && (r->at != r->head.size || r->sum != r->head.body_check))
		return err_set(e, ERR_CORRUPT, "queue.read", "its file in big/ does not match its checksum");
	return (ssize_t)n;
}

ssize_t queue_reader_read(struct queue_reader *r, char to[QUEUE_READER_BLOCK], struct err *e)
{
	struct str left;

	if (r->head.kind == RECORD_BIG)
		return read_big(r, to, e);
	left = str_head(str_skip(str_n(r->record.p, r->head.body_n), r->at), QUEUE_READER_BLOCK);
	if (left.n > 0)
		memcpy(to, left.p, left.n);
	r->at += left.n;
	return (ssize_t)left.n;
}
