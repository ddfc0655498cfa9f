/* queue/check.c: queue_check, the list of docs/QUEUE.md as code.
 *
 * It looks at a store nobody has open, after a clean stop or a crash, changes nothing, and calls sound whatever
 * recovery can take: the index as of its checkpoint is consistent in itself and every byte it refers to is there and
 * checks; the log after the checkpoint is whole records up to a point.  Torn bytes behind that point, prepared
 * segments and big files without a row are legal. */
#include "queue/inner.h"

#include <fcntl.h>
#include <sys/file.h>
#include <unistd.h>

enum { FINDINGS_MAX = 1000 };

struct look {
	struct index index;
	struct store_txn *t;
	int lock_fd, segment_dir_fd, big_dir_fd;
	struct buf *findings;
	size_t finding_n;
	uint64_t fd_seq;
	int fd; /* of segment fd_seq */
	struct buf bytes;
	struct row_checkpoint checkpoint;
};

static void find(struct look *k, uint64_t id, const char *what)
{
	if (++k->finding_n > FINDINGS_MAX)
		return;
	if (id != 0) {
		buf_add(k->findings, S("message "));
		queue_put_id(k->findings, id);
		buf_add(k->findings, S(": "));
	}
	buf_addf(k->findings, "%s\n", what);
}

/* ---- what the rows of one message refer to ---- */

static bool read_record(struct look *k, const struct row_message *m, struct record *r)
{
	struct err e;
	char head[RECORD_HEAD];

	if (k->fd < 0 || k->fd_seq != m->segment) {
		if (k->fd >= 0)
			close(k->fd);
		k->fd = segment_open(k->segment_dir_fd, m->segment, &e);
		k->fd_seq = m->segment;
	}
	if (k->fd < 0 || pread(k->fd, head, sizeof head, m->offset) != (ssize_t)sizeof head ||
	    !record_get_head(head, m->segment, r))
		return false;
	size_t n = (size_t)r->body_n + r->meta_n;
	buf_reset(&k->bytes);
	char *to = buf_reserve(&k->bytes, n);
	if (to == NULL || pread(k->fd, to, n, (off_t)m->offset + RECORD_HEAD) != (ssize_t)n)
		return false;
	buf_commit(&k->bytes, n);
	return true;
}

static bool big_is_sound(struct look *k, uint64_t id, const struct record *r)
{
	char name[24];
	char *block = malloc(RECORD_BLOCK);
	uint64_t sum = 0, size = 0;
	ssize_t got = 0;

	must(block != NULL);
	big_name(name, id);
	int fd = openat(k->big_dir_fd, name, O_RDONLY | O_CLOEXEC);
	while (fd >= 0 && (got = pread(fd, block, RECORD_BLOCK, (off_t)size)) > 0) {
		sum = record_sum_block(str_n(block, (size_t)got), sum);
		size += (uint64_t)got;
	}
	free(block);
	if (fd >= 0)
		close(fd);
	return fd >= 0 && got == 0 && size == r->size && sum == r->body_check;
}

static void check_record(struct look *k, uint64_t id, const struct row_message *m)
{
	struct record r;

	if (!read_record(k, m, &r)) {
		find(k, id, "its record cannot be read from its segment");
		return;
	}
	if (r.id != id || r.size != m->size || record_length(&r) != m->length ||
	    r.kind != (m->big ? RECORD_BIG : RECORD_MESSAGE))
		find(k, id, "the record at its place is another one");
	else if (!record_is_sound(&r, buf_str(&k->bytes)))
		find(k, id, "its record does not match its checksum");
	else if (record_rcpt_n(str_n(k->bytes.p + r.body_n, r.meta_n)) != m->rcpt_n)
		find(k, id, "its envelope has another number of recipients");
	else if (m->big && !big_is_sound(k, id, &r))
		find(k, id, "its file in big/ is missing or does not match its checksum");
}

static void check_rcpts(struct look *k, uint64_t id, const struct row_message *m)
{
	unsigned char from[12];
	struct str key, value;
	struct row_rcpt r;
	uint32_t left = 0, deferred = 0;
	int64_t due_ms = DUE_NEVER;

	index_key_rcpt(from, id, 0);
	struct store_cursor *c = store_seek(k->t, k->index.rcpt, str_n(from, sizeof from));
	for (; store_at(c, &key, &value) && key.n == 12 && store_num64(key) == id; store_next(c)) {
		if (!row_get_rcpt(value, &r)) {
			find(k, id, "a recipient row does not decode");
			continue;
		}
		left++;
		deferred += r.attempts > 0;
		if (rcpt_has_due(r.state) && r.due_ms < due_ms)
			due_ms = r.due_ms;
	}
	store_cursor_close(&c);
	if (left != m->left || left == 0)
		find(k, id, "it has another number of recipient rows than it says");
	if (deferred != m->deferred)
		find(k, id, "it has another number of deferred recipients than it says");
	if (due_ms != m->due_ms)
		find(k, id, "its due time is not that of its earliest recipient");
}

static void check_message(struct look *k, uint64_t id, const struct row_message *m)
{
	unsigned char due[16];
	struct str value;

	if (m->segment > k->checkpoint.segment ||
	    (m->segment == k->checkpoint.segment && m->offset >= k->checkpoint.offset))
		find(k, id, "the index leads the log: its record is behind the checkpoint");
	index_key_due(due, m->due_ms, id);
	if (m->due_ms != DUE_NEVER && !store_get(k->t, k->index.due, str_n(due, sizeof due), &value))
		find(k, id, "it is due, but has no row in the schedule");
	check_rcpts(k, id, m);
	check_record(k, id, m);
}

/* ---- tables ---- */

static void check_messages(struct look *k)
{
	struct store_cursor *c = store_seek(k->t, k->index.message, STR_NONE);
	struct str key, value;
	struct row_message m;

	for (; store_at(c, &key, &value); store_next(c)) {
		if (key.n != 8 || !row_get_message(value, &m))
			find(k, 0, "a message row does not decode");
		else
			check_message(k, store_num64(key), &m);
	}
	store_cursor_close(&c);
}

static bool get_message(struct look *k, uint64_t id, struct row_message *m)
{
	unsigned char key[8];
	struct str value;

	store_key64(key, id);
	return store_get(k->t, k->index.message, str_n(key, sizeof key), &value) && row_get_message(value, m);
}

static void check_due(struct look *k)
{
	struct store_cursor *c = store_seek(k->t, k->index.due, STR_NONE);
	struct str key, value;
	struct row_message m;

	for (; store_at(c, &key, &value); store_next(c)) {
		uint64_t id = key.n == 16 ? store_num64(str_skip(key, 8)) : 0;
		if (id == 0)
			find(k, 0, "a row of the schedule does not decode");
		else if (!get_message(k, id, &m) || m.due_ms != (int64_t)store_num64(key))
			find(k, id, "the schedule has a row that is not its due time");
	}
	store_cursor_close(&c);
}

static void check_orphan_rcpts(struct look *k)
{
	struct store_cursor *c = store_seek(k->t, k->index.rcpt, STR_NONE);
	struct str key, value;
	struct row_message m;
	uint64_t last = 0;

	for (; store_at(c, &key, &value); store_next(c)) {
		uint64_t id = key.n == 12 ? store_num64(key) : 0;
		if (id != last && (id == 0 || !get_message(k, id, &m)))
			find(k, id, "a recipient row without its message");
		last = id;
	}
	store_cursor_close(&c);
}

/* ---- the log after the checkpoint ---- */

/* The log may hold a message that has a row: a copy that no row points at yet. */
static void check_copy(struct look *k, const struct segment_walk *w, size_t rcpt_n)
{
	struct row_message m;

	if (get_message(k, w->record.id, &m) &&
	    (m.size != w->record.size || m.rcpt_n != rcpt_n || m.length != record_length(&w->record) ||
	     m.big != (w->record.kind == RECORD_BIG)))
		find(k, w->record.id, "the log holds a copy of it that is another message");
}

static void check_payload(struct look *k, const struct segment_walk *w)
{
	struct str meta = str_n(w->payload.p + w->record.body_n, w->record.meta_n);
	size_t n = record_rcpt_n(meta);
	struct record_outcome outcome;
	struct record_order order;
	struct envelope env;
	bool ok = true;

	if (w->record.kind == RECORD_MESSAGE || w->record.kind == RECORD_BIG) {
		struct env_rcpt *rcpts = calloc(n + 1, sizeof *rcpts);
		must(rcpts != NULL);
		ok = record_get_envelope(meta, &env, rcpts);
		free(rcpts);
		if (ok)
			check_copy(k, w, n);
		if (w->record.kind == RECORD_BIG && !big_is_sound(k, w->record.id, &w->record))
			find(k, w->record.id, "the log accepts it, but its file in big/ is missing or broken");
	} else if (w->record.kind == RECORD_OUTCOME) {
		while (record_get_outcome(&meta, &outcome))
			;
		ok = meta.n == 0;
	} else if (w->record.kind == RECORD_ORDER) {
		ok = record_get_order(meta, &order);
	}
	if (!ok)
		find(k, w->record.id, "a record of the log does not decode though its checksum holds");
}

static void check_log(struct look *k)
{
	uint64_t seq, next = 0, at = k->checkpoint.offset, end;
	struct segment_walk w;
	struct err e;

	if (!segment_log_begin(k->segment_dir_fd, &k->checkpoint, &seq))
		return;
	for (bool last = false; !last; seq = next, at = 0) {
		int fd = segment_open(k->segment_dir_fd, seq, &e);
		if (fd < 0) {
			find(k, 0, "the segment of the checkpoint is missing");
			return;
		}
		last = !segment_follows(k->segment_dir_fd, seq, seq, &next, &end);
		segment_walk_init(&w, fd, seq, at, last ? UINT64_MAX : end);
		while (segment_walk_next(&w))
			if (w.sound)
				check_payload(k, &w);
			else if (!last)
				find(k, w.record.id, "a record of the log does not match its checksum");
		if (!last && w.at != end)
			find(k, 0, "a finished segment is unreadable before its end");
		segment_walk_fini(&w);
		close(fd);
	}
}

/* ---- all of it ---- */

static int open_store(struct look *k, const char *path, struct err *e)
{
	char name[240];
	bool any;

	snprintf(name, sizeof name, "%s/segments", path);
	k->segment_dir_fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	snprintf(name, sizeof name, "%s/big", path);
	k->big_dir_fd = open(name, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	k->lock_fd = open(path, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (k->lock_fd < 0 || k->segment_dir_fd < 0 || k->big_dir_fd < 0)
		return err_sys(e, ERR_NOT_FOUND, "queue.check", "%s is not a queue", path);
	/* of a store that is written meanwhile, half of what is seen would be old */
	if (flock(k->lock_fd, LOCK_SH | LOCK_NB) != 0)
		return err_sys(e, ERR_BUSY, "queue.check", "%s is open in a gateway: stop it first", path);
	snprintf(name, sizeof name, "%s/index", path);
	if (index_open(&k->index, name, 0 /* as it is */, true, e) != 0)
		return -1;
	k->checkpoint = (struct row_checkpoint){ .segment = 1 };
	if (index_get_checkpoint(&k->index, &k->checkpoint, &any, e) != 0)
		return -1;
	k->t = store_read(k->index.store, e);
	return k->t == NULL ? -1 : 0;
}

int queue_check(const char *path, struct buf *findings, struct err *e)
{
	struct look k = { .findings = findings, .fd = -1, .lock_fd = -1, .segment_dir_fd = -1, .big_dir_fd = -1 };
	int rc = -1;

	buf_init(&k.bytes, UINT32_MAX);
	if (open_store(&k, path, e) == 0) {
		check_messages(&k);
		check_due(&k);
		check_orphan_rcpts(&k);
		check_log(&k);
		rc = k.finding_n > 0;
	}
	store_abort(&k.t);
	index_close(&k.index);
	buf_fini(&k.bytes);
	int fds[] = { k.fd, k.segment_dir_fd, k.big_dir_fd, k.lock_fd };
	for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	return rc;
}
