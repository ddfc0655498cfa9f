/* connectors/kept.h: the replay store (spec 6.2): delivered messages, encrypted, for a while, so that they can be sent
 * again when a server behind us lost them.  docs/REPLAY.md has the format and what a crash leaves.
 *
 *   settle (loop): kept_put -> queue in memory (replay.memory; full: dropped and counted) -> writer thread: seal,
 * append control worker: kept_reader_* over the same files
 *
 * Nobody waits for it: a copy is dropped, never a message, and a delivery is settled whatever becomes of its copy.
 * Threads: put, wants and stats from any; a reader belongs to one; open and close to the one that made it. */
#ifndef CONNECTORS_KEPT_H
#define CONNECTORS_KEPT_H

#include "connectors/queue_file.h"

struct kept;

/* Begins what is sent again, in front of its header: "X-Replayed: DATE" (not an X-Tombolo- field: the way out takes
 * strangers' of those away). */
#define KEPT_MARK "X-Replayed: "

/* Reads the keys, makes the folder, starts the writer.  NULL with err.  `c` must outlive it. */
struct kept *kept_open(const struct conf_replay *c, struct err *e);
void kept_close(struct kept **k); /* writes what waits; wipes the keys */

bool kept_wants(const struct kept *k, struct str rcpt, uint64_t size); /* NULL: no */

struct kept_order { /* a message that was delivered to some recipients; all of it is copied */
	uint64_t id;
	const struct envelope *env;    /* rcpts: those it was delivered to */
	const struct queue_past *past; /* of each: number, attempts; last: who took it; due_ms: when */
	const struct str *connectors;  /* of each: by which connector */
	struct str content;
};
/* A guess: others put, too.  Counts as dropped when there is none. */
bool kept_has_room(struct kept *k, uint64_t size);
/* False: there was no room, or it is too big. */
bool kept_put(struct kept *k, const struct kept_order *o);

struct kept_stats {
	uint64_t kept, dropped, failed; /* messages since the start; failed: could not be written */
	uint64_t bytes, files;          /* on disk */
	uint64_t waiting_bytes;
};
void kept_stats(const struct kept *k, struct kept_stats *s); /* NULL: zeros */

/* ---- reading ---- */

struct kept_reader;
struct kept_place {
	uint64_t file, offset;
};
struct kept_record {
	struct kept_place place;
	int64_t kept_ms;              /* wall clock */
	struct queue_file f;          /* views the reader */
	const struct str *connectors; /* f.env.rcpt_n */
};

struct kept_reader *kept_reader_open(const struct kept *k, struct err *e);
void kept_reader_close(struct kept_reader **r);
/* The next one, oldest first; false at the end. */
bool kept_reader_next(struct kept_reader *r, struct kept_record *out);
/* What was skipped so far: bytes that do not check, files of keys that we do not have. */
void kept_reader_skipped(const struct kept_reader *r, uint64_t *damaged, uint64_t *foreign);
/* That record again, with its content (appended to `content`).  ERR_NOT_FOUND: expired meanwhile. */
int kept_reader_get(struct kept_reader *r, struct kept_place place, struct kept_record *out, struct buf *content,
		    struct err *e);

#endif
