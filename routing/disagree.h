/* routing/disagree.h: incidents between the two sides (spec 8.5): mail that each of them takes to be the other's.
 *
 *   location   the peer sends us a mailbox that our table places on its side (R44, R45)
 *   loop       the peer returned what our token says we had handed over (R41): it does not know us as its own side
 *
 * For a while after the first time such mail is deferred (disagree_note says so), so that it waits in the sender's
 * queue while a table is repaired.  Set-associative and of fixed size: when full, the incident seen longest ago makes
 * room.  A note is one short lock and no disk; the keeper writes what is new, so a restart forgets a minute at most.
 * Threads: any; open, close and keep: one at a time. */
#ifndef ROUTING_DISAGREE_H
#define ROUTING_DISAGREE_H

#include "base/store.h"

#include <pthread.h>

enum { DISAGREE_SETS = 512, DISAGREE_WAYS = 4, DISAGREE_N = DISAGREE_SETS * DISAGREE_WAYS, DISAGREE_MESSAGES = 3 };

enum disagree_kind { DISAGREE_LOCATION, DISAGREE_LOOP }; /* stored: append only */
const char *disagree_kind_name(enum disagree_kind k);    /* "location" */

struct disagreement {
	uint64_t who;              /* hash of the recipient and the kind; 0 = free */
	int64_t first_ms, last_ms; /* wall clock */
	uint64_t count;            /* messages; asked about the same one again does not count */
	uint64_t last_message;     /* hash of its id; not kept */
	enum disagree_kind kind;
	char address[200];                    /* as received the last time */
	char ours[160];                       /* what our table says, in words */
	char messages[DISAGREE_MESSAGES][40]; /* trace ids of the first ones */
};

struct disagree_seen {
	uint64_t who;
	enum disagree_kind kind;
	struct str address, ours, message;
	int64_t now_ms, wait_ms;
	bool dry; /* only asked */
};

struct disagree {
	pthread_mutex_t lock;
	struct store *store; /* NULL: memory only */
	store_db db;
	struct disagreement *slots; /* DISAGREE_N */
	unsigned char *marks;       /* beside them: MARK_* */
	bool news;
};

/* Reads what was kept.  The store outlives it; NULL = none. */
int disagree_open(struct disagree *d, struct store *store, store_db db, struct err *e);
void disagree_close(struct disagree *d); /* writes nothing; harmless when never opened */

/* Remembers (unless `dry`) that it happened again; true while the first time is less than wait_ms ago.  One that was
 * silent for longer than wait_ms was mended, and begins anew. */
bool disagree_note(struct disagree *d, const struct disagree_seen *s);
bool disagree_drop(struct disagree *d, uint64_t who); /* it is settled; false: there was none */
/* Copies at most `max`, newest first; returns how many. */
size_t disagree_list(struct disagree *d, struct disagreement *out, size_t max);

/* Slow.  Writes what is new and tells of each incident that has begun since the last call.  0, or -1 with err: then
 * all of it comes again with the next call. */
int disagree_keep(struct disagree *d, void (*began)(void *arg, const struct disagreement *i), void *arg, struct err *e);

#endif
