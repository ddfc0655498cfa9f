/* queue/disk.c: the disk thread: whatever may wait for the disk and is not the log.
 *
 * Jobs run one after the other in order of arrival; long ones (filling a segment) put themselves at the end again.
 * A job ends by handing its request to the commit thread or to a port. */
#include "queue/inner.h"

#include "base/fault.h"
#include "base/log.h"
#include "base/own.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/stat.h>
#include <sys/statvfs.h>
#include <unistd.h>

void big_name(char to[24], uint64_t id)
{
	struct buf b = { .p = to, .cap = 24, .max = 23 }; /* never grows: max < cap */

	queue_put_id(&b, id);
	to[b.n] = '\0';
}

void disk_push(struct queue *q, struct job *j)
{
	j->next = NULL;
	pthread_mutex_lock(&q->lock);
	*q->jobs_end = j;
	q->jobs_end = &j->next;
	q->jobs_n++;
	pthread_cond_signal(&q->wake_disk);
	pthread_mutex_unlock(&q->lock);
}

void *disk_main(void *queue)
{
	struct queue *q = queue;
	struct job *j;

	pthread_mutex_lock(&q->lock);
	for (;;) {
		while ((j = q->jobs) == NULL && !q->disk_stopping)
			pthread_cond_wait(&q->wake_disk, &q->lock);
		if (j == NULL)
			break;
		if ((q->jobs = j->next) == NULL)
			q->jobs_end = &q->jobs;
		pthread_mutex_unlock(&q->lock);
		j->run(q, j);
		pthread_mutex_lock(&q->lock);
		q->jobs_n--;
		if (q->stopping && q->jobs_n == 0)
			pthread_cond_signal(&q->wake_commit);
	}
	pthread_mutex_unlock(&q->lock);
	return NULL;
}

/* ---- files: a few stay open, leases come in the order of the log ---- */

static int cached_fd(struct queue *q, uint64_t segment, uint64_t big, struct err *e)
{
	char name[24], shown[36];
	int fd;

	for (size_t i = 0; i < FD_CACHE; i++)
		if (q->fds[i].fd >= 0 && q->fds[i].segment == segment && q->fds[i].big == big)
			return q->fds[i].fd;
	if (big == 0) {
		fd = segment_open(q->segment_dir_fd, segment, e);
	} else {
		big_name(name, big);
		snprintf(shown, sizeof shown, "big/%s", name);
		fd = fault("queue.big_open") ? err_sys(e, ERR_IO, "queue.read", "cannot open %s", shown)
					     : own_open(q->big_dir_fd, name, O_RDONLY, 0, "queue.read", shown, e);
	}
	if (fd < 0)
		return -1;
	struct fd_slot *slot = &q->fds[q->next_fd++ % FD_CACHE];
	if (slot->fd >= 0)
		close(slot->fd);
	*slot = (struct fd_slot){ .segment = segment, .big = big, .fd = fd };
	return fd;
}

static void forget_fd(struct queue *q, uint64_t big)
{
	for (size_t i = 0; i < FD_CACHE; i++)
		if (q->fds[i].fd >= 0 && q->fds[i].big == big) {
			close(q->fds[i].fd);
			q->fds[i] = (struct fd_slot){ .fd = -1 };
		}
}

static int read_exact(int fd, char *to, size_t n, uint64_t at, struct err *e)
{
	while (n > 0) {
		ssize_t got = fault("queue.read") ? -1 : pread(fd, to, n, (off_t)at);
		if (got < 0 && errno == EINTR)
			continue;
		if (got < 0)
			return err_sys(e, ERR_IO, "queue.read", "cannot read");
		if (got == 0)
			return err_set(e, ERR_CORRUPT, "queue.read", "a stored file is shorter than it was");
		to += got, n -= (size_t)got, at += (uint64_t)got;
	}
	return 0;
}

/* ---- leases from disk ---- */

/* Whole record when the lease is to have its content in memory, else head and envelope. */
static int read_record(struct queue *q, struct parcel *p, struct err *e)
{
	struct record *r = &p->record;
	uint64_t segment = r->segment;
	int fd = cached_fd(q, segment, 0, e);
	char *to = buf_reserve(&p->bytes, RECORD_HEAD);

	must(to != NULL && p->bytes.n == 0);
	if (fd < 0 || read_exact(fd, to, RECORD_HEAD, p->offset, e) != 0)
		return -1;
	if (!record_get_head(to, segment, r) || r->id != p->id || (r->kind != RECORD_MESSAGE && r->kind != RECORD_BIG))
		return err_set(e, ERR_CORRUPT, "queue.read", "the stored message is not where the index says");
	buf_commit(&p->bytes, RECORD_HEAD);
	size_t skip = p->with_content ? 0 : r->body_n, n = r->body_n - skip + r->meta_n;
	to = buf_reserve(&p->bytes, n);
	if (to == NULL)
		return err_set(e, ERR_CORRUPT, "queue.read", "the stored message claims an impossible size");
	if (read_exact(fd, to, n, p->offset + RECORD_HEAD + skip, e) != 0)
		return -1;
	buf_commit(&p->bytes, n);
	bool sound = p->with_content ? record_is_sound(r, str_n(to, n)) : record_sum(str_n(to, n)) == r->meta_check;
	r->body_n -= (uint32_t)skip; /* what is in memory, for parcel_meta */
	return sound ? 0 : err_set(e, ERR_CORRUPT, "queue.read", "the stored message does not match its checksum");
}

static void run_lease(struct queue *q, struct job *job)
{
	struct parcel *p = container_of(job, struct parcel, job);
	struct requests one;

	if (read_record(q, p, &p->err) != 0) {
		p->request.kind = REQ_DAMAGED;
		commit_push_one(q, &p->request);
		return;
	}
	p->with_content = p->with_content && p->record.kind == RECORD_MESSAGE;
	requests_init(&one);
	requests_add(&one, &p->request);
	port_answer(p->request.port, &one);
}

void disk_read_lease(struct queue *q, struct parcel *p)
{
	p->job.run = run_lease;
	disk_push(q, &p->job);
}

static void run_read(struct queue *q, struct job *job)
{
	struct read_job *j = container_of(job, struct read_job, job);
	int fd = j->spool_fd >= 0 ? j->spool_fd : cached_fd(q, j->big ? 0 : j->segment, j->big ? j->id : 0, &j->err);
	struct requests one;

	buf_reset(&j->bytes);
	char *to = buf_reserve(&j->bytes, j->want);
	must(to != NULL);
	j->ok = fd >= 0 && read_exact(fd, to, j->want, j->offset, &j->err) == 0;
	if (j->ok)
		buf_commit(&j->bytes, j->want);
	requests_init(&one);
	requests_add(&one, &j->request);
	port_answer(j->request.port, &one);
}

void disk_read(struct queue *q, struct read_job *j)
{
	j->job.run = run_read;
	disk_push(q, &j->job);
}

/* ---- compaction ---- */

/* Not through the cache: the segment is soon gone. */
static int open_victim(struct queue *q, struct err *e)
{
	return segment_open(q->segment_dir_fd, q->compact.segment, e);
}

static bool scan_one(struct queue *q, int fd, struct err *e)
{
	struct compact *c = &q->compact;
	char head[RECORD_HEAD];
	struct record r;

	if (fd < 0 || fault("queue.compact_scan") || read_exact(fd, head, sizeof head, c->at, e) != 0 ||
	    !record_get_head(head, c->segment, &r))
		return false;
	if (r.kind == RECORD_MESSAGE || r.kind == RECORD_BIG)
		c->places[c->place_n++] = (struct compact_place){ r.id, (uint32_t)c->at, (uint32_t)record_length(&r) };
	c->at += record_length(&r);
	return true;
}

static void end_compact_job(struct queue *q, int fd)
{
	if (fd >= 0)
		close(fd);
	commit_push_one(q, &q->compact.request);
}

static void run_compact_scan(struct queue *q, struct job *job)
{
	struct compact *c = container_of(job, struct compact, job);
	struct err e;
	int fd = open_victim(q, &e);

	c->place_n = 0;
	for (size_t n = 0; n < COMPACT_PLACES && !c->scanned; n++)
		c->scanned = !scan_one(q, fd, &e);
	end_compact_job(q, fd);
}

static bool read_place(struct queue *q, int fd, const struct compact_place *p, struct err *e)
{
	struct compact *c = &q->compact;
	struct record r;
	char *to = buf_reserve(&c->bytes, p->length);

	if (fd < 0 || to == NULL || fault("queue.compact_read") || read_exact(fd, to, p->length, p->offset, e) != 0 ||
	    !record_get_head(to, c->segment, &r) || r.id != p->id || record_length(&r) != p->length ||
	    !record_is_sound(&r, str_n(to + RECORD_HEAD, p->length - RECORD_HEAD)))
		return false;
	r.segment = 0;
	record_put_head(to, &r);
	buf_commit(&c->bytes, p->length);
	return true;
}

static void run_compact_read(struct queue *q, struct job *job)
{
	struct compact *c = container_of(job, struct compact, job);
	struct err e;
	int fd = open_victim(q, &e);
	size_t kept = 0;

	buf_reset(&c->bytes);
	for (size_t i = 0; i < c->place_n; i++)
		if (read_place(q, fd, &c->places[i], &e))
			c->places[kept++] = c->places[i];
	c->place_n = kept;
	end_compact_job(q, fd);
}

void disk_compact_scan(struct queue *q)
{
	q->compact.job.run = run_compact_scan;
	disk_push(q, &q->compact.job);
}

void disk_compact_read(struct queue *q)
{
	q->compact.job.run = run_compact_read;
	disk_push(q, &q->compact.job);
}

/* ---- big files ---- */

/* The file and its name are durable before the record that refers to them is written. */
static void run_sync_big(struct queue *q, struct job *job)
{
	struct parcel *p = container_of(job, struct parcel, job);

	if (fault("queue.big_sync") || TEMP_FAILURE_RETRY(fdatasync(p->spool.big_fd)) != 0 ||
	    TEMP_FAILURE_RETRY(fsync(q->big_dir_fd)) != 0) {
		err_sys(&p->err, ERR_IO, "queue.big", "cannot sync big/");
		p->ok = false;
	}
	fault("queue.big_synced");
	commit_push_one(q, &p->request);
}

void disk_sync_big(struct queue *q, struct parcel *p)
{
	p->job.run = run_sync_big;
	disk_push(q, &p->job);
}

static void unlink_big(struct queue *q, uint64_t id)
{
	char name[24];

	big_name(name, id);
	forget_fd(q, id);
	/* gone already: recovery removed it as an orphan before the row went */
	if (fault("queue.big_unlink") || (unlinkat(q->big_dir_fd, name, 0) != 0 && errno != ENOENT))
		log_warn(NULL, "queue.big", kv_c("unlink", name), kv_int("errno", errno));
}

static void run_discard(struct queue *q, struct job *job)
{
	struct parcel *p = container_of(job, struct parcel, job);

	close(p->spool.big_fd);
	p->spool.big_fd = -1;
	if (!p->keep_big)
		unlink_big(q, p->id);
	parcel_give(q, p);
}

void disk_discard_spool(struct queue *q, struct parcel *p)
{
	must(p->spool.big_fd >= 0);
	p->job.run = run_discard;
	disk_push(q, &p->job);
}

struct unlink_job {
	struct job job;
	uint64_t id;
};

static void run_unlink(struct queue *q, struct job *job)
{
	struct unlink_job *u = container_of(job, struct unlink_job, job);

	unlink_big(q, u->id);
	free(u);
}

void disk_unlink_big(struct queue *q, uint64_t id)
{
	struct unlink_job *u = calloc(1, sizeof *u);

	must(u != NULL);
	*u = (struct unlink_job){ .job.run = run_unlink, .id = id };
	disk_push(q, &u->job);
}

/* ---- space ---- */

/* An open file that has no name any more still takes its space. */
static void forget_removed(struct queue *q)
{
	struct stat st;

	for (size_t i = 0; i < FD_CACHE; i++)
		if (q->fds[i].fd >= 0 && (fstat(q->fds[i].fd, &st) != 0 || st.st_nlink == 0)) {
			close(q->fds[i].fd);
			q->fds[i] = (struct fd_slot){ .fd = -1 };
		}
}

static void run_look(struct queue *q, struct job *job)
{
	struct statvfs v;

	(void)job;
	forget_removed(q);
	if (fstatvfs(q->segment_dir_fd, &v) == 0)
		q->space_short = fault("queue.space") || (uint64_t)v.f_bavail * v.f_frsize < q->limits.keep_free;
	q->space_looking = false;
}

void disk_look_at_space(struct queue *q)
{
	if (q->space_looking)
		return;
	q->space_looking = true;
	q->space_job.run = run_look;
	disk_push(q, &q->space_job);
}
