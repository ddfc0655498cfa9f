/* queue/segment.c: the log's files: taking the next one, writing a group with one sync, using old ones again.
 *
 *   spare (no live message, wholly before the checkpoint) -> prepared -> being written -> full -> spare
 *           segments_recycle                segments_prepare   segments_advance
 *
 * The next segment is prepared by the disk thread under its final name while the present one is written, and filled
 * with zeros (or stale records) so that fdatasync has no metadata to commit: 120 us a sync instead of 300.  Only the
 * very first is used as it comes, so that opening does not wait, and left for a filled one as soon as there is one. Its
 * first record, RECORD_SEGMENT, says where the segment before it ends: what lies beyond, say of a group whose write
 * failed, is not part of the log. */
#include "queue/inner.h"

#include "base/fault.h"
#include "base/log.h"
#include "base/own.h"
#include "base/time.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/uio.h>
#include <unistd.h>

enum { FILL_BYTES = 1024 * 1024 };

void segment_name(char to[24], uint64_t seq)
{
	snprintf(to, 24, "%016llx", (unsigned long long)seq);
}

/* The inverse; false for a name that segment_name does not make. */
static bool parse_name(const char *name, uint64_t *seq)
{
	char again[24];
	uint64_t v = 0;

	for (const char *c = name; *c != '\0'; c++)
		v = v << 4 | (uint64_t)(chr_is_digit(*c) ? *c - '0' : (*c - 'a' + 10) & 15);
	segment_name(again, v);
	*seq = v;
	return v > 0 && strcmp(again, name) == 0;
}

int segment_open(int dir_fd, uint64_t seq, struct err *e)
{
	char name[24], shown[36];

	segment_name(name, seq);
	snprintf(shown, sizeof shown, "segments/%s", name);
	if (fault("queue.segment_open"))
		return err_sys(e, ERR_IO, "queue.segment", "cannot open %s", shown);
	return own_open(dir_fd, name, O_RDWR, 0, "queue.segment", shown, e);
}

static int by_seq(const void *a, const void *b)
{
	const uint64_t *x = a, *y = b;

	return (*x > *y) - (*x < *y);
}

int segment_list(int dir_fd, uint64_t **seqs, size_t *n, struct err *e)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *d = fd < 0 ? NULL : fdopendir(fd);
	struct dirent *entry;
	size_t cap = 0;
	uint64_t seq;

	if (d == NULL)
		return err_sys(e, ERR_IO, "queue.segment", "cannot list segments/");
	*seqs = NULL;
	*n = 0;
	while ((entry = readdir(d)) != NULL) {
		if (!parse_name(entry->d_name, &seq))
			continue;
		if (*n == cap) {
			cap = cap == 0 ? 64 : cap * 2;
			*seqs = realloc(*seqs, cap * sizeof **seqs);
			must(*seqs != NULL);
		}
		(*seqs)[(*n)++] = seq;
	}
	closedir(d);
	if (*n > 0)
		qsort(*seqs, *n, sizeof **seqs, by_seq);
	return 0;
}

/* ---- the table ---- */

static struct segment *add(struct segments *s, uint64_t seq)
{
	must(s->n == 0 || s->v[s->n - 1].seq < seq);
	if (s->n == s->cap) {
		s->cap = s->cap == 0 ? 64 : s->cap * 2;
		s->v = realloc(s->v, s->cap * sizeof *s->v);
		must(s->v != NULL);
	}
	s->v[s->n] = (struct segment){ .seq = seq, .closed_ms = clock_mono_ms() };
	return &s->v[s->n++];
}

int segments_open(struct queue *q, struct err *e)
{
	struct segments *s = &q->log;
	uint64_t *seqs;
	size_t n;

	*s = (struct segments){ .fd = -1, .ready_fd = -1, .next = 1 };
	if (segment_list(q->segment_dir_fd, &seqs, &n, e) != 0)
		return -1;
	int rc = 0;
	for (size_t i = 0; i < n && rc == 0; i++) {
		char name[24], shown[36];
		segment_name(name, seqs[i]);
		snprintf(shown, sizeof shown, "segments/%s", name);
		rc = own_look(q->segment_dir_fd, name, "queue.segment", shown, e);
		add(s, seqs[i]);
		s->next = seqs[i] + 1;
	}
	free(seqs);
	return rc;
}

void segments_close(struct queue *q)
{
	if (q->log.fd >= 0)
		close(q->log.fd);
	if (q->log.ready_fd >= 0)
		close(q->log.ready_fd);
	free(q->log.v);
	q->log = (struct segments){ .fd = -1, .ready_fd = -1 };
}

struct segment *segments_find(struct queue *q, uint64_t seq)
{
	size_t low = 0, high = q->log.n;

	if (high > 0 && q->log.v[high - 1].seq == seq)
		return &q->log.v[high - 1];
	while (low < high) {
		size_t mid = low + (high - low) / 2;
		if (q->log.v[mid].seq == seq)
			return &q->log.v[mid];
		if (q->log.v[mid].seq < seq)
			low = mid + 1;
		else
			high = mid;
	}
	return NULL;
}

/* A segment whose file is missing has no entry: its messages are found damaged when they are read. */
void segments_pin(struct queue *q, uint64_t seq, uint32_t length)
{
	struct segment *s = segments_find(q, seq);

	if (s == NULL)
		return;
	s->messages++;
	s->bytes += length;
	q->log.live_bytes += length;
}

void segments_unpin(struct queue *q, uint64_t seq, uint32_t length)
{
	struct segment *s = segments_find(q, seq);

	if (s == NULL)
		return;
	must(s->messages > 0 && s->bytes >= length && q->log.live_bytes >= length);
	s->messages--;
	s->bytes -= length;
	q->log.live_bytes -= length;
}

/* ---- preparing, on the disk thread ---- */

static int fill_some(struct segment_job *j)
{
	static const char zeros[FILL_BYTES];
	uint64_t left = j->bytes - j->filled;
	size_t n = left < sizeof zeros ? (size_t)left : sizeof zeros;

	for (size_t at = 0; at < n;) {
		ssize_t wrote =
			fault("queue.segment_fill") ? -1 : pwrite(j->fd, zeros + at, n - at, (off_t)(j->filled + at));
		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote < 0)
			return err_sys(&j->err, ERR_IO, "queue.segment", "cannot fill a segment");
		at += (size_t)wrote;
	}
	j->filled += n;
	return 0;
}

static int begin_file(struct queue *q, struct segment_job *j)
{
	char name[24], old[24], shown[36];
	struct stat st;

	segment_name(name, j->seq);
	segment_name(old, j->spare);
	if (j->spare != 0 && (fault("queue.segment_recycle") ||
			      (j->spare != j->seq && renameat(q->segment_dir_fd, old, q->segment_dir_fd, name) != 0)))
		return err_sys(&j->err, ERR_IO, "queue.segment", "cannot rename segments/%s", old);
	snprintf(shown, sizeof shown, "segments/%s", name);
	if (!fault("queue.segment_new")) {
		j->fd = own_open(q->segment_dir_fd, name, O_RDWR | O_CREAT, 0600, "queue.segment", shown, &j->err);
		if (j->fd < 0)
			return -1;
	}
	if (j->fd < 0 || fstat(j->fd, &st) != 0)
		return err_sys(&j->err, ERR_IO, "queue.segment", "cannot make segments/%s", name);
	j->filled = (uint64_t)st.st_size;
	if (!j->no_fill || j->filled >= j->bytes)
		return 0;
	/* its size stays what is written, so that a later life fills the rest */
	if (TEMP_FAILURE_RETRY(fallocate(j->fd, FALLOC_FL_KEEP_SIZE, 0, (off_t)j->bytes)) != 0 && errno != EOPNOTSUPP)
		return err_sys(&j->err, ERR_IO, "queue.segment", "cannot allocate segments/%s", name);
	j->unfilled = true;
	j->filled = j->bytes;
	return 0;
}

/* A sync that failed is final for this file: a second one would succeed although the pages are lost.  The next try
 * makes another file, with another entry in the folder. */
static int finish_file(struct queue *q, struct segment_job *j)
{
	char name[24];

	if (!fault("queue.segment_sync") && TEMP_FAILURE_RETRY(fsync(j->fd)) == 0 &&
	    TEMP_FAILURE_RETRY(fsync(q->segment_dir_fd)) == 0)
		return 0;
	err_sys(&j->err, ERR_IO, "queue.segment", "cannot sync a new segment");
	segment_name(name, j->seq);
	unlinkat(q->segment_dir_fd, name, 0);
	return -1;
}

/* One step; the job goes to the end of the line again between steps, so that reads need not wait for a whole segment
 * to be filled.  A stop of the queue ends it early: a segment that is not full yet is filled further at its next use.
 */
static bool prepare_step(struct queue *q, struct segment_job *j, bool stopping)
{
	int rc = 0;

	if (j->fd < 0)
		rc = begin_file(q, j);
	else if (j->filled < j->bytes && stopping)
		j->filled = j->bytes, j->unfilled = true;
	else if (j->filled < j->bytes)
		rc = fill_some(j);
	if (rc == 0 && j->filled < j->bytes)
		return false;
	if (rc == 0)
		rc = finish_file(q, j);
	if (rc != 0 && j->fd >= 0) {
		close(j->fd);
		j->fd = -1;
	}
	return true;
}

static void run_prepare(struct queue *q, struct job *job)
{
	struct segment_job *j = container_of(job, struct segment_job, job);

	pthread_mutex_lock(&q->lock);
	bool stopping = q->stopping;
	pthread_mutex_unlock(&q->lock);
	if (prepare_step(q, j, stopping))
		commit_push_one(q, &j->request);
	else
		disk_push(q, &j->job);
}

static struct segment_job *prepare_job(struct queue *q)
{
	struct segments *s = &q->log;

	must(!s->preparing && s->ready_fd < 0);
	s->job = (struct segment_job){
		.request.kind = REQ_SEGMENT,
		.job.run = run_prepare,
		.seq = s->next,
		.spare = s->spare_n > 0 ? s->spares[--s->spare_n] : 0,
		.bytes = q->segment_bytes,
		.fd = -1,
	};
	s->preparing = true;
	return &s->job;
}

void segments_prepare(struct queue *q)
{
	if (!q->log.preparing && q->log.ready_fd < 0)
		disk_push(q, &prepare_job(q)->job);
}

void segments_prepared(struct queue *q, struct segment_job *j)
{
	struct segments *s = &q->log;

	must(s->preparing);
	s->preparing = s->stuck = false;
	s->prepare_failed = j->fd < 0;
	if (j->fd < 0) {
		log_error(NULL, "queue.segment", kv_c("error", j->err.text));
		return;
	}
	s->ready_fd = j->fd;
	s->ready_unfilled = j->unfilled;
	s->next = j->seq + 1;
}

/* ---- writing, on the commit thread ---- */

int segments_start(struct queue *q, struct err *e)
{
	struct segment_job *j = prepare_job(q);

	j->no_fill = true;
	while (!prepare_step(q, j, false))
		;
	segments_prepared(q, j);
	if (q->log.ready_fd < 0 && j->err.code == ERR_NO_SPACE)
		return 0; /* refuses until there is space; what waits must be delivered to make some */
	if (q->log.ready_fd < 0) {
		*e = j->err;
		return -1;
	}
	must(segments_advance(q));
	return 0;
}

bool segments_has_room(const struct queue *q, uint64_t bytes)
{
	uint64_t head = q->log.begun ? 0 : RECORD_HEAD;

	if (q->log.fd < 0 || q->log.abandoned || (q->log.unfilled && q->log.ready_fd >= 0))
		return false;
	return q->log.at + head + bytes <= q->segment_bytes;
}

bool segments_advance(struct queue *q)
{
	struct segments *s = &q->log;

	if (s->ready_fd < 0)
		return false;
	if (s->fd >= 0) {
		if (s->begun)
			s->prev = s->v[s->n - 1].seq, s->prev_end = s->at;
		close(s->fd);
		s->v[s->n - 1].closed_ms = clock_mono_ms();
	}
	s->fd = s->ready_fd;
	s->ready_fd = -1;
	s->at = 0;
	s->begun = s->abandoned = false;
	s->unfilled = s->ready_unfilled;
	add(s, s->next - 1);
	q->segment_n = s->n + s->spare_n;
	return true;
}

static int write_all(int fd, struct iovec *iov, size_t n, uint64_t at, struct err *e)
{
	while (n > 0) {
		ssize_t wrote = fault("queue.group_write") ? -1 : pwritev(fd, iov, (int)n, (off_t)at);
		if (wrote < 0 && errno == EINTR)
			continue;
		if (wrote < 0)
			return err_sys(e, ERR_IO, "queue.write", "cannot write the log");
		at += (uint64_t)wrote;
		for (; n > 0 && (size_t)wrote >= iov->iov_len; n--, iov++)
			wrote -= (ssize_t)iov->iov_len;
		if (n > 0) {
			iov->iov_base = (char *)iov->iov_base + wrote;
			iov->iov_len -= (size_t)wrote;
		}
	}
	return 0;
}

static void count_sync(struct queue *q, int64_t took_ms)
{
	size_t step = 0;

	while (step + 1 < QUEUE_SYNC_STEPS && took_ms >= INT64_C(1) << step)
		step++;
	q->sync_took[step]++;
	q->sync_ms += (uint64_t)took_ms;
}

/* iov[0] belongs to us: room for the RECORD_SEGMENT head of a segment not yet begun.  After a failure this segment is
 * not written any more; the log ends where it ended before. */
int segments_write(struct queue *q, struct iovec *iov, size_t n, uint64_t bytes, struct err *e)
{
	struct segments *s = &q->log;
	char head[RECORD_HEAD];
	uint64_t at = s->at;

	must(segments_has_room(q, bytes) && n > 1);
	if (s->begun) {
		iov++, n--;
	} else {
		record_put_head(head, &(struct record){ .kind = RECORD_SEGMENT,
							.segment = s->v[s->n - 1].seq,
							.id = s->prev,
							.size = s->prev_end,
							.meta_check = record_sum(STR_NONE),
							.body_check = record_sum(STR_NONE) });
		iov[0] = (struct iovec){ head, sizeof head };
		bytes += sizeof head;
	}
	if (write_all(s->fd, iov, n, at, e) != 0) {
		s->abandoned = true;
		q->read_only = e->code != ERR_NO_SPACE;
		return -1;
	}
	int64_t began_ms = clock_mono_ms();
	if (fault("queue.group_sync") || TEMP_FAILURE_RETRY(fdatasync(s->fd)) != 0) {
		s->abandoned = true;
		q->read_only = true;
		return err_sys(e, ERR_IO, "queue.sync", "cannot sync the log: nothing more is accepted");
	}
	count_sync(q, clock_mono_ms() - began_ms);
	s->begun = true;
	s->at += bytes;
	q->syncs++;
	return 0;
}

/* ---- using files again ---- */

static void drop_file(struct queue *q, uint64_t seq)
{
	char name[24];

	segment_name(name, seq);
	if (unlinkat(q->segment_dir_fd, name, 0) != 0)
		log_warn(NULL, "queue.segment", kv_c("unlink", name), kv_int("errno", errno));
}

/* Only after a durable checkpoint: what is before it is never replayed. */
void segments_recycle(struct queue *q)
{
	struct segments *s = &q->log;
	size_t kept = 0;

	for (size_t i = 0; i < s->n; i++) {
		struct segment *g = &s->v[i];
		if (g->messages > 0 || g->seq >= q->checkpoint.segment || i == s->n - 1) {
			s->v[kept++] = *g;
			continue;
		}
		fault("queue.segment_free");
		if (s->spare_n < SPARES_MAX)
			s->spares[s->spare_n++] = g->seq;
		else
			drop_file(q, g->seq);
	}
	s->n = kept;
	q->segment_n = s->n + s->spare_n;
}

/* ---- reading one file from front to back ---- */

void segment_walk_init(struct segment_walk *w, int fd, uint64_t seq, uint64_t at, uint64_t end)
{
	*w = (struct segment_walk){ .fd = fd, .seq = seq, .at = at, .end = end };
	buf_init_sure(&w->bytes, UINT32_MAX);
}

static bool read_exact(int fd, char *to, size_t n, uint64_t at)
{
	while (n > 0) {
		ssize_t got = pread(fd, to, n, (off_t)at);
		if (got < 0 && errno == EINTR)
			continue;
		if (got <= 0)
			return false;
		to += got, n -= (size_t)got, at += (uint64_t)got;
	}
	return true;
}

bool segment_walk_next(struct segment_walk *w)
{
	char head[RECORD_HEAD];
	struct stat st;
	struct record r;

	if (w->at >= w->end || fstat(w->fd, &st) != 0 || !read_exact(w->fd, head, sizeof head, w->at) ||
	    !record_get_head(head, w->seq, &r))
		return false;
	size_t payload_n = (size_t)r.body_n + r.meta_n;
	if (w->at + RECORD_HEAD + payload_n > (uint64_t)st.st_size)
		return false;
	buf_reset(&w->bytes);
	char *to = buf_reserve(&w->bytes, payload_n + 1); /* + 1: never nothing */
	must(to != NULL);
	w->sound = read_exact(w->fd, to, payload_n, w->at + RECORD_HEAD);
	buf_commit(&w->bytes, payload_n);
	w->payload = buf_str(&w->bytes);
	w->sound = w->sound && record_is_sound(&r, w->payload);
	w->record = r;
	w->record_at = w->at;
	w->at += record_length(&r);
	return true;
}

void segment_walk_fini(struct segment_walk *w)
{
	buf_fini(&w->bytes);
}

static bool begun(int dir_fd, uint64_t seq, uint64_t *prev, uint64_t *prev_end)
{
	struct segment_walk w;
	struct err e;
	int fd = segment_open(dir_fd, seq, &e);
	bool ok;

	if (fd < 0)
		return false;
	segment_walk_init(&w, fd, seq, 0, UINT64_MAX);
	ok = segment_walk_next(&w) && w.record.kind == RECORD_SEGMENT;
	if (ok) {
		*prev = w.record.id;
		*prev_end = w.record.size;
	}
	segment_walk_fini(&w);
	close(fd);
	return ok;
}

/* The last one that names a predecessor in that range: an earlier one that does, too, was given up when its first write
 * failed, and nobody was told that anything in it is stored. */
bool segment_follows(int dir_fd, uint64_t prev_least, uint64_t prev_most, uint64_t *seq, uint64_t *prev_end)
{
	uint64_t *seqs = NULL, prev, end;
	struct err e;
	size_t n = 0;
	bool found = false;

	if (segment_list(dir_fd, &seqs, &n, &e) != 0)
		return false;
	while (!found && n-- > 0 && seqs[n] > prev_most) {
		found = begun(dir_fd, seqs[n], &prev, &end) && prev >= prev_least && prev <= prev_most;
		if (found)
			*seq = seqs[n], *prev_end = end;
	}
	free(seqs);
	return found;
}

bool segment_log_begin(int dir_fd, const struct row_checkpoint *c, uint64_t *seq)
{
	uint64_t prev_end;

	*seq = c->segment;
	return c->offset > 0 || segment_follows(dir_fd, 0, c->segment - 1, seq, &prev_end);
}
