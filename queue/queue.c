/* queue/queue.c: opening, closing, what may be changed while it runs, and the numbers. */
#include "queue/inner.h"

#include "base/fault.h"
#include "base/log.h"
#include "base/own.h"
#include "base/time.h"

#include <errno.h>
#include <fcntl.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SEGMENT_MIN = 64 * 1024, SEGMENT_MAX = 1024 * 1024 * 1024 };

void queue_reconfigure(struct queue *q, const struct conf_queue *conf)
{
	q->limits.checkpoint_ms = conf->checkpoint_ms;
	q->limits.settle_window_ms = conf->settle_window_ms;
	q->limits.active_max = conf->active_max;
	q->limits.memory_max = conf->memory_max;
	q->limits.keep_free = conf->keep_free;
	q->limits.retry_max_interval_ms = conf->retry.max_ms;
}

/* ---- files ---- */

static int open_dir(const char *path, struct err *e)
{
	if (mkdir(path, 0700) != 0 && errno != EEXIST)
		return err_sys(e, ERR_IO, "queue.open", "cannot make %s", path);
	return own_dir(path, "queue.open", e);
}

static int open_sub(struct queue *q, const char *name, struct err *e)
{
	char path[240];

	snprintf(path, sizeof path, "%s/%s", q->path, name);
	return open_dir(path, e);
}

static int open_files(struct queue *q, uint64_t map_bytes, struct err *e)
{
	char path[240];

	q->lock_fd = open_dir(q->path, e);
	if (q->lock_fd < 0)
		return -1;
	if (flock(q->lock_fd, LOCK_EX | LOCK_NB) != 0)
		return err_sys(e, ERR_BUSY, "queue.open", "%s is in use by another process", q->path);
	q->segment_dir_fd = open_sub(q, "segments", e);
	if (q->segment_dir_fd < 0)
		return -1;
	q->big_dir_fd = open_sub(q, "big", e);
	if (q->big_dir_fd < 0)
		return -1;
	snprintf(path, sizeof path, "%s/index", q->path);
	if (index_open(&q->index, path, map_bytes, false, e) != 0)
		return -1;
	/* the folders themselves must survive, too */
	int above = openat(q->lock_fd, "..", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	bool ok = above >= 0 && TEMP_FAILURE_RETRY(fsync(above)) == 0 && TEMP_FAILURE_RETRY(fsync(q->lock_fd)) == 0;
	if (!ok)
		err_sys(e, ERR_IO, "queue.open", "cannot sync %s", q->path);
	if (above >= 0)
		close(above);
	return ok ? 0 : -1;
}

static void free_all(struct queue *q)
{
	struct parcel *p;

	poison_close(q);
	taken_fini(q);
	live_fini(&q->live);
	buf_fini(&q->compact.bytes);
	segments_close(q);
	index_close(&q->index);
	for (size_t i = 0; i < FD_CACHE; i++)
		if (q->fds[i].fd >= 0)
			close(q->fds[i].fd);
	for (size_t i = 0; i < q->port_n; i++)
		port_free(q->ports[i]);
	while ((p = q->pool) != NULL) {
		q->pool = p->request.next == NULL ? NULL : parcel_of(p->request.next);
		parcel_free(p);
	}
	int fds[] = { q->segment_dir_fd, q->big_dir_fd, q->lock_fd };
	for (size_t i = 0; i < sizeof fds / sizeof fds[0]; i++)
		if (fds[i] >= 0)
			close(fds[i]);
	pthread_mutex_destroy(&q->lock);
	pthread_cond_destroy(&q->wake_commit);
	pthread_cond_destroy(&q->wake_disk);
	free(q->scratch);
	free(q->refused);
	free(q);
}

/* ---- open and close ---- */

static struct queue *make(const struct conf_queue *conf)
{
	struct queue *q = calloc(1, sizeof *q);
	pthread_condattr_t attr;

	must(q != NULL && conf->path.n > 0 && conf->path.n < sizeof q->path);
	memcpy(q->path, conf->path.p, conf->path.n);
	q->lock_fd = q->segment_dir_fd = q->big_dir_fd = -1;
	for (size_t i = 0; i < FD_CACHE; i++)
		q->fds[i].fd = -1;
	q->segment_bytes = conf->segment_bytes < SEGMENT_MIN   ? SEGMENT_MIN
			   : conf->segment_bytes > SEGMENT_MAX ? SEGMENT_MAX
							       : conf->segment_bytes;
	/* a record fits into a fresh segment with room for its envelope */
	q->message_max =
		conf->segment_message_max < q->segment_bytes / 2 ? conf->segment_message_max : q->segment_bytes / 2;
	queue_reconfigure(q, conf);
	pthread_mutex_init(&q->lock, NULL);
	pthread_condattr_init(&attr);
	pthread_condattr_setclock(&attr, CLOCK_MONOTONIC);
	pthread_cond_init(&q->wake_commit, &attr);
	pthread_cond_init(&q->wake_disk, &attr);
	pthread_condattr_destroy(&attr);
	requests_init(&q->inbox);
	requests_init(&q->commits);
	requests_init(&q->settles);
	q->jobs_end = &q->jobs;
	q->asks_end = &q->asks;
	q->settle_deadline_ms = q->checkpoint_at_ms = INT64_MAX;
	q->log.fd = q->log.ready_fd = -1;
	live_init(&q->live);
	q->compact.request.kind = REQ_COMPACT;
	buf_init(&q->compact.bytes, q->segment_bytes);
	return q;
}

/* What the last checkpoint asked to unlink is still done. */
static void stop_disk_thread(struct queue *q)
{
	pthread_mutex_lock(&q->lock);
	q->disk_stopping = true;
	pthread_cond_signal(&q->wake_disk);
	pthread_mutex_unlock(&q->lock);
	pthread_join(q->disk_thread, NULL);
}

static int start_threads(struct queue *q, struct err *e)
{
	errno = pthread_create(&q->disk_thread, NULL, disk_main, q);
	if (errno != 0)
		return err_sys(e, ERR_BUSY, "queue.open", "cannot start a thread");
	errno = pthread_create(&q->commit_thread, NULL, commit_main, q);
	if (errno == 0)
		return 0;
	err_sys(e, ERR_BUSY, "queue.open", "cannot start a thread");
	stop_disk_thread(q);
	return -1;
}

struct queue *queue_open(const struct conf_queue *conf, struct queue_recovery *found, struct err *e)
{
	struct queue *q = make(conf);
	int64_t began_ms = clock_mono_ms();

	*found = (struct queue_recovery){ 0 };
	if (open_files(q, conf->map_bytes, e) != 0 || recover(q, found, e) != 0) {
		free_all(q);
		return NULL;
	}
	found->took_ms = clock_mono_ms() - began_ms;
	if (start_threads(q, e) != 0) {
		free_all(q);
		return NULL;
	}
	return q;
}

void queue_close(struct queue **qp)
{
	struct queue *q = *qp;

	if (q == NULL)
		return;
	*qp = NULL;
	for (size_t i = 0; i < q->port_n; i++)
		must(q->ports[i]->closed);
	pthread_mutex_lock(&q->lock);
	q->stopping = true;
	pthread_cond_signal(&q->wake_commit);
	pthread_mutex_unlock(&q->lock);
	pthread_join(q->commit_thread, NULL);
	stop_disk_thread(q);
	free_all(q);
}

void queue_stats(const struct queue *q, struct queue_stats *out)
{
	*out = (struct queue_stats){
		.messages = q->messages,
		.recipients = q->recipients,
		.deferred = q->deferred,
		.leased = q->leased,
		.bytes = q->bytes,
		.accepted = q->accepted,
		.delivered = q->delivered,
		.failed = q->failed,
		.groups = q->groups,
		.syncs = q->syncs,
		.sync_ms = q->sync_ms,
		.checkpoints = q->checkpoints,
		.moved = q->moved,
		.segments = q->segment_n,
		.segment_bytes = q->segment_n * q->segment_bytes,
		.waiting_percent = q->waiting_bytes * 100 / q->limits.memory_max,
		.map_used = (double)q->map_used_percent / 100,
		.read_only = q->read_only || q->no_space,
	};
	for (size_t i = 0; i < QUEUE_SYNC_STEPS; i++)
		out->sync_took[i] = q->sync_took[i];
}
