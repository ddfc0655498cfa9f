/* connectors/kept_inner.h: the replay store itself, for kept.c and kept_read.c. */
#ifndef CONNECTORS_KEPT_INNER_H
#define CONNECTORS_KEPT_INNER_H

#include "connectors/kept.h"
#include "connectors/kept_file.h"

#include <pthread.h>
#include <stdatomic.h>

enum { KEPT_JOB_BYTES = 4096 }; /* what a waiting copy is taken to need beside its content */

struct kept_job;

struct kept_known { /* a file */
	uint64_t number, bytes;
	int64_t begun_ms, last_ms; /* wall clock: its first and last record */
};

struct kept {
	const struct conf_replay *conf;
	struct token_keys keys; /* not changed after kept_open */
	pthread_t thread;
	pthread_mutex_t lock; /* jobs, stopping, asleep */
	pthread_cond_t wake;
	struct kept_job *jobs, **jobs_end;
	bool stopping, asleep;
	_Atomic uint64_t waiting_bytes, kept, dropped, failed, bytes;
	_Atomic size_t file_n;
	/* the writer's */
	int dir_fd, fd; /* fd: of the last file; -1: the next message begins one */
	struct seal *seal;
	struct kept_known *files; /* ascending */
	size_t file_cap;
	uint64_t number; /* of the last file */
	struct buf record;
	int64_t looked_ms;
	bool unsynced, in_trouble, over;
};

#endif
