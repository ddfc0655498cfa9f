/* base/track.h: lines of many threads into one file, without a producer ever waiting.
 *
 *   track_put (loop) -> ring, one a loop -> writer thread: one write a batch -> PATH, rotated to PATH.YYYYMMDD-HHMMSS
 *
 * A ring takes a record whole or not at all; what it has no room for is counted, and the writer says so with a record
 * of its own (put_lost) where the missing ones would stand.  A record is one or more complete lines; what they say is
 * the owner's business.  Records of one ring keep their order; those of several rings are in order to TRACK_DELAY_MS.
 * Lines that wait are lost when the process dies: at most TRACK_DELAY_MS of them.
 *
 * Threads: a ring belongs to one thread; open and close to the one that made it, with no put under way. */
#ifndef BASE_TRACK_H
#define BASE_TRACK_H

#include "base/buf.h"
#include "base/err.h"

enum { TRACK_DELAY_MS = 50 }; /* how long a record may wait for company */

struct track;
struct track_ring;

struct track_options {
	const char *path;      /* of the newest file; must live as long as the track */
	uint64_t rotate_bytes; /* a file that is larger is put aside; so is one of another day (UTC) */
	int64_t retain_ms;     /* files put aside are removed when older */
	size_t ring_bytes;     /* rounded up to a power of two */
	/* Both on the writer's thread.  put_head, which may be NULL: what each file begins with. */
	void (*put_head)(struct buf *b, int64_t now_ms);
	void (*put_lost)(struct buf *b, uint64_t n, int64_t now_ms);
	/* The file cannot be written: told once until it can again.  Writer's thread. */
	void (*trouble)(const struct err *e);
};

/* Opens or continues the file (0640) and starts the writer.  NULL with err. */
struct track *track_open(const struct track_options *o, struct err *e);
void track_close(struct track **t); /* writes what waits; the rings are gone then */

struct track_ring *track_ring(struct track *t); /* a new one; before the loops run */
/* Copies the record.  False: no room, and it is counted.  Never blocks; a wake-up of the writer a batch, no more. */
bool track_put(struct track_ring *r, struct str record);

/* The files of `path`, oldest first, the newest one (PATH itself) last: one call each while it returns true. */
void track_each_file(const char *path, bool (*each)(void *arg, const char *file), void *arg);

#endif
