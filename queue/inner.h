/* queue/inner.h: what the files of this room share.  Not for other rooms.
 *
 * Three kinds of threads, and who owns what:
 *   loop threads   port lists marked "loop"; a parcel from spool_begin to spool_commit and while it is leased
 *   commit thread  log position, live table, index, schedule; a parcel from spool_commit until it is answered
 *   disk thread    jobs: reads, syncs of big files, preparing segments, unlinking
 * Requests travel loop -> commit (inbox) and disk -> commit; answers travel commit -> loop and disk -> loop (port).
 * A request is in exactly one list at a time; whoever takes it off a list owns it. */
#ifndef QUEUE_INNER_H
#define QUEUE_INNER_H

#include "base/must.h"
#include "queue/record.h"
#include "queue/queue.h"
#include "base/store.h"

#include <pthread.h>
#include <stdatomic.h>
#include <sys/queue.h>

/* ---- lists of requests ---- */

enum request_kind {
	REQ_COMMIT,  /* parcel: make durable; answered with ok/err and perhaps a lease */
	REQ_LEASE,   /* parcel: read from disk for a port; answered as a lease */
	REQ_SETTLE,  /* parcel: outcomes; answered empty, to be used again */
	REQ_RELEASE, /* parcel: a lease comes back unused */
	REQ_DAMAGED, /* parcel: the disk thread could not read it */
	REQ_READ,    /* struct read_job, to the loop */
	REQ_ASK,     /* struct ask: query or order */
	REQ_SEGMENT, /* struct segment_job: a segment is ready, or could not be made */
	REQ_COMPACT, /* struct compact: heads or records of a sparse segment were read */
	REQ_WAKE,    /* nothing but a reason to look */
};

struct request {
	struct request *next;
	enum request_kind kind;
	struct queue_port *port; /* that hears the answer */
};

struct requests { /* FIFO */
	struct request *first, **end;
};
static inline void requests_init(struct requests *l)
{
	*l = (struct requests){ .end = &l->first };
}
static inline void requests_add(struct requests *l, struct request *r)
{
	r->next = NULL;
	*l->end = r;
	l->end = &r->next;
}
static inline struct request *requests_take(struct requests *l)
{
	struct request *r = l->first;

	if (r != NULL && (l->first = r->next) == NULL)
		l->end = &l->first;
	return r;
}
static inline void requests_move(struct requests *to, struct requests *from)
{
	if (from->first == NULL)
		return;
	*to->end = from->first;
	to->end = from->end;
	requests_init(from);
}

struct job { /* for the disk thread */
	struct job *next;
	void (*run)(struct queue *q, struct job *j);
};

/* ---- parcel: the memory of one message, from its first byte to the last outcome, then used for another ---- */

struct spool { /* what spool_begin hands out: a part of a parcel */
	uint64_t size;
	int big_fd; /* -1 = the content is still in memory */
	uint64_t big_check;
	bool failed;
};

enum parcel_stage { PARCEL_FREE, PARCEL_SPOOL, PARCEL_AWAY, PARCEL_LEASED };

struct parcel {
	struct request request;
	struct job job;
	struct queue *queue;
	enum parcel_stage stage; /* loop: AWAY = with the commit or disk thread */
	LIST_ENTRY(parcel) in_port;
	uint64_t id;
	struct spool spool;
	struct buf bytes; /* one log record: head, content, envelope, padding; for a big message without content */
	struct record record;
	size_t waiting;      /* its share of queue.waiting_bytes */
	struct buf outcomes; /* the log record of lease_settle */
	uint32_t outcome_n;  /* bytes of it between head and padding */
	struct op *asker;    /* loop: who waits for the commit */
	bool ok, is_leased;  /* commit thread's answer */
	bool held;           /* envelope.hold: it is not leased before somebody releases it */
	bool keep_big;       /* the same: not stored, but its record may be in the log all the same */
	bool with_content;   /* a lease has its content in `bytes` */
	uint32_t offset;     /* of the record in its segment */
	uint32_t rcpt_n;
	int64_t arrived_ms;
	uint64_t charged; /* its share of queue.memory */
	struct err err;
	struct lease lease;
	struct env_rcpt *rcpts; /* decoded envelope */
	struct lease_rcpt *due;
	size_t rcpt_cap, due_cap, due_n;
	struct buf texts; /* what due[].last looks into */
};

struct parcel *parcel_new(struct queue *q);          /* any thread; from the pool or fresh */
void parcel_give(struct queue *q, struct parcel *p); /* any thread; back to the pool */
void parcel_free(struct parcel *p);
void parcel_room_for_due(struct parcel *p, size_t n);
static inline struct str parcel_meta(const struct parcel *p)
{
	return str_n(p->bytes.p + RECORD_HEAD + p->record.body_n, p->record.meta_n);
}
static inline struct parcel *parcel_of(struct request *r)
{
	return container_of(r, struct parcel, request);
}

/* ---- port ---- */

enum { PORTS_MAX = 64, POOL_MAX = 2048, PORT_POOL_MAX = 256 };

struct queue_port {
	struct queue *queue;
	struct loop *loop;
	void (*on_lease)(void *arg, struct lease *l);
	void *arg;
	_Atomic bool paused;
	_Atomic uint64_t *working; /* loop writes, the next process reads */
	/* loop */
	LIST_HEAD(, parcel) parcels; /* all that are not free */
	LIST_HEAD(, read_job) reads;
	struct parcel *pool;
	size_t pool_n;
	struct requests out; /* to the inbox at the end of the turn */
	struct loop_task push;
	bool push_posted, orphan; /* orphan: the queue is gone, the last task frees the port */
	/* commit thread */
	size_t active;            /* leases it holds */
	struct requests answered; /* to `answers` at the end of the group */
	/* any thread, under lock */
	pthread_mutex_t lock;
	struct requests answers;
	struct loop_task ready;
	bool ready_posted, closed;
};

void port_request(struct queue_port *p, struct request *r);    /* loop: leaves at the end of the turn */
void port_answer(struct queue_port *p, struct requests *list); /* any thread: empties the list */
struct parcel *port_take_parcel(struct queue_port *p);         /* loop */
void port_keep_parcel(struct parcel *p);                       /* loop: done with, for the next message */
void port_free(struct queue_port *p);                          /* queue_close */

/* ---- live: what the commit thread knows about messages the index does not know yet, or knows as they were ---- */

struct live_rcpt {
	int64_t due_ms;
	char *text; /* last deferral, until it is in the index */
	uint16_t text_n, attempts;
	uint8_t state; /* enum rcpt_state */
	uint8_t note;
	bool delay_told, changed;
};

struct live {
	struct live *hash_next;
	TAILQ_ENTRY(live) in_dirty;
	uint64_t id, segment, size;
	uint32_t offset, length, rcpt_n, left, deferred, meta_n;
	bool big, in_index, leased, dirty;
	int64_t arrived_ms, index_due_ms;
	char *meta;              /* own copy of the envelope, while neither index nor parcel has it */
	struct parcel *parcel;   /* a lease: has the envelope; read only here */
	struct live_rcpt *rcpts; /* NULL = all pending, due since they came */
};

struct live_table {
	struct live **slots;
	size_t slot_n, n, dirty_n;
	TAILQ_HEAD(live_list, live) dirty;
	struct live *spare;
	size_t spare_n;
	int64_t dirty_due_ms; /* earliest due of a dirty entry that is not leased: it is not in the index yet */
};

/* ---- segments: the log ---- */

enum { SPARES_MAX = 8 };

struct segment {
	uint64_t seq, bytes; /* bytes: of the records of the messages alive in it */
	uint32_t messages;   /* alive in it */
	int64_t closed_ms;   /* mono: when the log left it, or was opened */
	int64_t spared_ms;   /* mono: compaction leaves it alone until then */
};

struct segment_job {
	struct request request;
	struct job job;
	char dir[240];
	uint64_t seq, spare; /* spare 0 = make a new file */
	uint64_t bytes, filled;
	bool no_fill;  /* the first after opening */
	bool unfilled; /* result */
	int fd;        /* result, or -1 with err */
	struct err err;
};

struct segments {
	struct segment *v; /* ascending; the last one is being written */
	size_t n, cap;
	uint64_t live_bytes;     /* sum of v[].bytes */
	int fd;                  /* of the last; -1 = none yet */
	uint64_t at;             /* log position in it */
	uint64_t next;           /* sequence number to be prepared next */
	bool begun;              /* its SEGMENT record is written */
	bool abandoned;          /* a write failed in it: go to the next */
	uint64_t prev, prev_end; /* the last one that was begun before this, and where it ends */
	uint64_t spares[SPARES_MAX];
	size_t spare_n;
	int ready_fd;                  /* prepared ahead */
	bool unfilled, ready_unfilled; /* only allocated: slow to sync */
	bool preparing, prepare_failed, stuck;
	struct segment_job job;
};

/* ---- compaction: moving the last messages out of a sparse segment ---- */

enum { COMPACT_PLACES = 256 };

struct compact_place { /* of a message's record in the segment */
	uint64_t id;
	uint32_t offset, length;
};

struct compact {
	struct request request;
	struct job job;
	enum compact_step { COMPACT_LOOK, COMPACT_SCAN, COMPACT_SIFT, COMPACT_WRITE } step;
	bool away;     /* the disk thread has all of this; the commit thread waits for REQ_COMPACT */
	int64_t at_ms; /* mono: when the commit thread goes on */
	uint64_t segment, at;
	bool scanned; /* no records from `at` on */
	struct compact_place places[COMPACT_PLACES];
	size_t place_n;
	struct buf bytes; /* their records, one after the other, without a segment number */
};

/* ---- the wall clock ---- */

struct clock_watch {
	int64_t ahead_ms; /* wall less monotonic clock, at the last look */
	int64_t shift_ms; /* it went back by this much and the schedule follows, if it is ... */
	bool shifting;
	int64_t at_ms;          /* mono: next slice */
	unsigned char from[16]; /* next due row to look at */
};

/* ---- index ---- */

struct index {
	struct store *store;
	store_db meta, message, rcpt, due;
};

/* ---- questions and orders ---- */

struct ask {
	struct request request;
	struct ask *next;
	struct op *asker; /* loop */
	void *owner;      /* loop: the queue_query or queue_order; NULL = nobody waits */
	bool is_order, dry_run, done;
	enum queue_verb verb;
	char *reason; /* of FAIL */
	struct queue_filter filter;
	char *texts; /* what the filter looks into */
	struct queue_where *where;
	struct queue_target *targets;
	uint32_t *numbers;                                         /* of all targets */
	const struct queue_target *target;                         /* looked at now */
	uint64_t after; /* with targets: so many were looked at */ /* resume point */
	struct buf rows; /* struct queue_row, texts as offsets until the answer */
	struct buf row_texts;
	size_t row_n;
	bool more;
	uint64_t messages, recipients;
	bool ok;
	struct err err;
};

struct read_job {
	struct request request;
	struct job job;
	LIST_ENTRY(read_job) in_port;
	struct op *asker;          /* loop */
	struct lease_read *reader; /* loop: NULL = nobody waits any more */
	bool big, busy, local;
	int spool_fd;                 /* of a message that is not committed; -1: of a lease */
	uint64_t id, segment, offset; /* id 0: of no lease */
	struct buf bytes;
	struct str view; /* local: into the lease's memory */
	size_t want;
	bool ok;
	struct err err;
};

/* ---- the queue ---- */

struct group;
struct taken;

struct queue_limits { /* of conf_queue, what may change while running */
	_Atomic int64_t checkpoint_ms, settle_window_ms, active_max, retry_max_interval_ms;
	_Atomic uint64_t memory_max, keep_free;
};

enum { FD_CACHE = 16 };

struct queue {
	char path[200];
	int lock_fd, big_dir_fd, segment_dir_fd;
	struct queue_limits limits;
	uint64_t segment_bytes, message_max; /* message_max: content kept in a segment */
	_Atomic uint64_t next_id;
	_Atomic bool read_only, no_space; /* a sync failed: for good; no space: until there is */
	_Atomic uint64_t waiting_bytes;   /* spooled, commit asked for, not answered */
	_Atomic uint64_t spooling_bytes;  /* in memory of spools */
	pthread_t commit_thread, disk_thread;

	pthread_mutex_t lock; /* inbox, jobs, pool, ports */
	pthread_cond_t wake_commit, wake_disk;
	struct requests inbox;
	_Atomic bool stopping; /* the commit thread also looks without the lock */
	bool commit_sleeps, disk_stopping;
	struct job *jobs, **jobs_end;
	size_t jobs_n; /* queued or running */
	struct parcel *pool;
	size_t pool_n;
	struct queue_port *ports[PORTS_MAX];
	_Atomic size_t port_n;

	/* commit thread */
	struct requests commits, settles; /* waiting for the next group */
	size_t settle_n;
	int64_t settle_deadline_ms; /* mono; INT64_MAX = none waits */
	struct group *group;
	uint64_t *refused; /* big files whose record may be in the log though it was refused; gone at the next
			      checkpoint */
	size_t refused_n, refused_cap;
	struct live_table live;
	struct segments log;
	struct index index;
	struct taken *taken;     /* messages taken over that the index does not remember yet */
	struct working *working; /* NULL: it could not be made, nothing is watched */
	struct compact compact;
	struct clock_watch clock;
	struct row_checkpoint checkpoint;
	int64_t checkpoint_at_ms; /* mono: when the next one is to be; INT64_MAX = nothing changed */
	int64_t space_at_ms, readers_at_ms, trim_at_ms;
	bool index_full;            /* the last checkpoint failed: nothing is accepted until one succeeds */
	bool index_lost;            /* and the index could not be opened anew: said so in the log */
	uint64_t memory;            /* content bytes of leases */
	unsigned char due_from[16]; /* all due rows before this key are leased or dirty */
	int64_t due_wake_ms;        /* wall clock of the first due row from there; DUE_NEVER */
	size_t next_port;
	struct ask *asks, **asks_end;
	struct env_rcpt *scratch;
	size_t scratch_cap;
	_Atomic bool space_short; /* disk thread's last look at the file system */
	_Atomic bool space_looking;
	struct job space_job;

	/* disk thread */
	struct fd_slot {
		uint64_t segment, big;
		int fd;
	} fds[FD_CACHE];
	size_t next_fd;

	/* statistics: written by the commit thread */
	_Atomic uint64_t messages, recipients, deferred, leased, bytes, accepted, delivered, failed, groups, syncs,
		checkpoints, moved, segment_n, map_used_percent, sync_ms, sync_took[QUEUE_SYNC_STEPS];
};

struct live_change {
	unsigned delivered, failed; /* recipients that are done now */
	int deferred;               /* change of the number of deferred ones */
	unsigned gone;
};

/* commit.c */
void *commit_main(void *queue);
void commit_push(struct queue *q, struct requests *list); /* any thread: to the inbox */
void commit_push_one(struct queue *q, struct request *r);
int commit_checkpoint(struct queue *q, struct err *e); /* commit thread, or the opener before it runs */
void commit_answer(struct request *r);                 /* leaves at the end of this turn */
/* Writes and syncs whole records whose heads are still to be stamped.  ERR_BUSY: no segment is ready, try again. */
int commit_records(struct queue *q, struct buf *records, struct err *e);
void commit_count(struct queue *q, const struct live_change *c);
void commit_end_message(struct queue *q, struct live *l); /* no recipient is left and nobody leases it */
void commit_mark(struct queue *q, struct live *l);        /* live_mark, and there is to be a checkpoint */

/* live.c */
void live_init(struct live_table *t);
void live_fini(struct live_table *t);
struct live *live_find(const struct live_table *t, uint64_t id);
struct live *live_add(struct live_table *t, uint64_t id);
void live_remove(struct live_table *t, struct live *l);
void live_mark(struct live_table *t, struct live *l); /* the index must hear of it */
void live_clean(struct live_table *t, struct live *l);
void live_load_rcpts(struct live *l); /* makes l->rcpts */
void live_keep_meta(struct live *l, struct str meta);
int64_t live_due_ms(const struct live *l); /* earliest of the pending; DUE_NEVER */
void live_outcome(struct live *l, const struct record_outcome *o, struct live_change *c);
void live_hold(struct live *l, struct str why); /* all of a fresh one (envelope.hold) */
void live_order(struct live *l, uint32_t rcpt, enum queue_verb v, int64_t now_ms, struct str reason,
		struct live_change *c); /* reason: of FAIL */

/* segment.c */
int segments_open(struct queue *q, struct err *e); /* lists what is there */
void segments_close(struct queue *q);
int segments_start(struct queue *q, struct err *e); /* after recovery: a fresh segment to write to */
bool segments_has_room(const struct queue *q, uint64_t bytes);
bool segments_advance(struct queue *q); /* false: the next one is not ready yet */
struct iovec;
int segments_write(struct queue *q, struct iovec *iov, size_t n, uint64_t bytes, struct err *e);
void segments_prepare(struct queue *q); /* harmless when one is ready or on its way */
void segments_prepared(struct queue *q, struct segment_job *j);
void segments_recycle(struct queue *q); /* after a checkpoint */
struct segment *segments_find(struct queue *q, uint64_t seq);
void segments_pin(struct queue *q, uint64_t seq, uint32_t length); /* a message lives in it */
void segments_unpin(struct queue *q, uint64_t seq, uint32_t length);
int segment_list(int dir_fd, uint64_t **seqs, size_t *n, struct err *e); /* ascending; caller frees */
void segment_name(char to[24], uint64_t seq);
int segment_open(int dir_fd, uint64_t seq, struct err *e);
/* The segment of the log whose predecessor lies in that range, and where the predecessor ends; false: there is none. */
bool segment_follows(int dir_fd, uint64_t prev_least, uint64_t prev_most, uint64_t *seq, uint64_t *prev_end);
/* The segment in which the log goes on from a checkpoint; false: nothing was written after it. */
bool segment_log_begin(int dir_fd, const struct row_checkpoint *c, uint64_t *seq);

/* walking one segment file; recover.c and check.c */
struct segment_walk {
	int fd;
	uint64_t seq, at, end; /* end: where it is known to stop; UINT64_MAX = unknown */
	struct record record;
	uint64_t record_at;
	struct str payload;
	bool sound; /* payload checks */
	struct buf bytes;
};
void segment_walk_init(struct segment_walk *w, int fd, uint64_t seq, uint64_t at, uint64_t end);
bool segment_walk_next(struct segment_walk *w); /* false: no further record */
void segment_walk_fini(struct segment_walk *w);

/* disk.c */
void *disk_main(void *queue);
void disk_push(struct queue *q, struct job *j);
void disk_read_lease(struct queue *q, struct parcel *p);
void disk_read(struct queue *q, struct read_job *j);
void disk_sync_big(struct queue *q, struct parcel *p);
void disk_unlink_big(struct queue *q, uint64_t id);
void disk_discard_spool(struct queue *q, struct parcel *p); /* closes and unlinks its big file; frees the parcel */
void disk_look_at_space(struct queue *q);
void disk_compact_scan(struct queue *q); /* queue.compact: heads from `at` on into `places` */
void disk_compact_read(struct queue *q); /* ... the records of `places` into `bytes`; what does not check drops out */
void big_name(char to[24], uint64_t id);

/* index.c */
int index_open(struct index *ix, const char *path, uint64_t map_bytes, bool read_only, struct err *e);
void index_close(struct index *ix);
int index_get_checkpoint(struct index *ix, struct row_checkpoint *c, bool *found, struct err *e);
int64_t index_get_clock_ms(struct index *ix); /* wall clock of the last checkpoint; 0 = unknown */
int index_flush(struct queue *q, const struct row_checkpoint *c, struct err *e);
typedef void index_message_fn(void *arg, uint64_t id, const struct row_message *m);
int index_each_message(struct index *ix, index_message_fn *fn, void *arg, struct err *e);
void index_key_rcpt(unsigned char to[12], uint64_t id, uint32_t rcpt);
void index_key_due(unsigned char to[16], int64_t due_ms, uint64_t id);
struct env_rcpt *queue_scratch(struct queue *q, size_t n); /* commit thread: room to decode an envelope into */
/* Brings a message of the index into the live table; NULL when there is none (or the index cannot be read). */
struct live *index_load(struct queue *q, struct store_txn *t, uint64_t id, const struct row_message *m);

/* compact.c */
void compact_step(struct queue *q, int64_t now_ms); /* a bounded piece of work, when it is time for one */
void compact_soon(struct queue *q, int64_t now_ms); /* a segment was closed: look */
int64_t compact_deadline_ms(const struct queue *q);

/* clock.c */
void clock_open(struct queue *q, int64_t stored_ms); /* stored_ms: wall clock of the last checkpoint, 0 = unknown */
void clock_step(struct queue *q, int64_t now_ms);    /* follows the wall clock when it was set back */
int64_t clock_deadline_ms(const struct queue *q);
int64_t clock_to_store_ms(const struct queue *q);
int64_t clock_due_limit_ms(const struct queue *q, int64_t wall_ms); /* nothing is due later than this */

/* lease.c */
void lease_open_fresh(struct parcel *p); /* loop: decodes, calls on_lease */
void lease_open(struct parcel *p);
void lease_read_done(struct read_job *j);
struct read_job *read_begin(struct queue_port *port, struct lease_read *r, void (*done)(struct op *));
void read_go(struct read_job *j); /* `local` and either `view`, or `offset` and `want`, are set */

/* due.c */
void due_dispatch(struct queue *q);
void due_changed(struct queue *q, int64_t due_ms, uint64_t id); /* a due row was written */
bool due_has_room(const struct queue *q);                       /* some port would take a lease */

/* query.c */
void ask_step(struct queue *q); /* one slice of work for the first ask */
void ask_done(struct ask *a);   /* loop */
void ask_free(struct ask *a);

/* poison.c */
struct working { /* the file, mapped */
	char magic[8];
	uint64_t life; /* never the same twice */
	_Atomic uint64_t ids[PORTS_MAX];
};
/* Counts the crash that the file tells of, once; puts aside what has crashed us often enough; number of messages. */
int poison_count(struct queue *q, struct err *e);
unsigned poison_put_aside(struct queue *q);
void poison_counted(struct queue *q); /* after the checkpoint that has them */
void poison_watch(struct queue *q);   /* a fresh file */
void poison_close(struct queue *q);

/* taken.c; commit thread, or the opener before it runs */
int taken_admit(struct queue *q, uint64_t id, struct str meta,
		struct err *e);                   /* ERR_TAKEN, or remembered from now on */
void taken_stored(struct queue *q, uint64_t id);  /* its record is durable */
void taken_refused(struct queue *q, uint64_t id); /* it is not; harmless for others */
void taken_replay(struct queue *q, uint64_t id, struct str meta);
void taken_flush(struct queue *q, struct store_txn *t); /* rows of what is stored */
void taken_flushed(struct queue *q);                    /* that transaction is durable */
void taken_forget_old(struct queue *q);
void taken_fini(struct queue *q);
/* The recipients of a new message become what its past says; nothing is due later than the limit. */
void taken_begin(struct live *l, struct str meta, int64_t due_limit_ms, struct live_change *c);

/* recover.c */
bool recover_knows(struct queue *q, uint64_t id);         /* the message is still there */
struct live *recover_known(struct queue *q, uint64_t id); /* in the live table or the index; NULL: gone */
int recover(struct queue *q, struct queue_recovery *found, struct err *e);

#endif
