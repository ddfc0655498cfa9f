/* base/store.h: THE LMDB file.  Small records, one writer, many readers.
 *
 * A transaction keeps its first error: call get/put/del freely and look once, at store_commit (or store_failed).
 * A read transaction never outlives the function that opened it, and never a loop turn: an open reader pins old pages.
 * Keys <= 511 bytes, values < 2 KB by convention.  Views from get and the cursor live until the transaction ends or
 * writes. Threads: any number of readers; one write transaction at a time (LMDB's lock waits: never on a loop thread).
 * LMDB 0.9.24: no DUPSORT, no nested transactions. */
#ifndef BASE_STORE_H
#define BASE_STORE_H

#include "base/err.h"
#include "base/str.h"

struct store;
struct store_cursor;
struct store_txn;
typedef unsigned store_db;

struct store_options {
	size_t map_bytes; /* sparse; set once */
	unsigned dbs;     /* how many named tables */
	bool no_sync;     /* commits do not wait for the disk (rebuilding what can be rebuilt) */
	bool read_only;
};

/* Opens (and creates) the folder `path`.  NULL with err on failure.  Open once per process and path. */
struct store *store_open(const char *path, const struct store_options *o, struct err *e);
void store_close(struct store **s);
int store_table(struct store *s, const char *name, store_db *db, struct err *e); /* name: a literal */
int store_sync(struct store *s, struct err *e);                                  /* what no_sync left open */
/* LMDB gave up: a meta page could not be written.  Every transaction fails until the store is opened anew. */
bool store_is_dead(const struct store *s);
/* Opens the same file anew; tables keep their numbers.  No transaction may be open on any thread.  0, or -1: the store
 * stays dead, another try is harmless.  ERR_CORRUPT: the file does not end with the last commit that succeeded, so what
 * the caller remembers about it may be wrong; only a start that reads all of it can tell. */
int store_reopen(struct store *s, struct err *e);
void store_check_readers(struct store *s); /* frees slots of killed readers: at start, each minute */
double store_map_used(struct store *s);    /* 0..1 of map_bytes: pages in use, not those that were once */
void store_trim(struct store *s);          /* gives back mapped pages; they stay in the kernel's cache */

struct store_txn *store_read(struct store *s, struct err *e); /* reused per thread internally; cheap */
struct store_txn *store_write(struct store *s, struct err *e);
int store_commit(struct store_txn **t, struct err *e); /* 0, or -1 with the first error; the txn is gone */
void store_abort(struct store_txn **t);                /* ends read transactions too; harmless on NULL */
bool store_failed(const struct store_txn *t);

bool store_get(struct store_txn *t, store_db db, struct str key, struct str *value); /* false: not there (or failed) */
void store_put(struct store_txn *t, store_db db, struct str key, struct str value);
void store_del(struct store_txn *t, store_db db, struct str key); /* absent is fine */
void store_drop(struct store_txn *t, store_db db);                /* empties the table */
uint64_t store_count(struct store_txn *t, store_db db);

/* Walks in key order from the first key >= `from`.  Deleting the current record through store_del is allowed; then
 * seek again.  Close before the transaction ends. */
struct store_cursor *store_seek(struct store_txn *t, store_db db, struct str from);
bool store_at(struct store_cursor *c, struct str *key, struct str *value); /* false at the end */
void store_next(struct store_cursor *c);
void store_seek_last(struct store_cursor *c); /* to the last key of the table */
void store_cursor_close(struct store_cursor **c);

/* Big-endian 64 bit in a key sorts as the number does. */
void store_key64(unsigned char to[8], uint64_t v);
uint64_t store_num64(struct str key);

#endif
