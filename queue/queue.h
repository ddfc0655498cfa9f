/* queue/queue.h: the durable spool and schedule.  "250" comes from here and from nowhere else.
 *
 *   spool_begin -> spool_write* -> spool_commit ... done: durable, answer 250
 *                                        |  fresh: the same loop gets it as a lease, body still in memory
 *   on_lease(lease) -> read the body, try the recipients -> lease_settle(outcomes)
 *                                        |  deferred recipients: due again at outcome.due_ms, from disk
 *
 * Disk (docs/QUEUE.md lists every legal state and the argument for each crash point):
 *   segments/NNNN  the log: messages and outcomes as framed records, appended in groups with one fdatasync a group
 *   index/         LMDB: what the log said up to its checkpoint; trails the log, never leads it
 *   working        what each loop works on right now, mapped: what a crash was about
 *   big/ID         bodies above segment_message_max, streamed as they arrive, synced before the record that names them
 * A message that is delivered before the next checkpoint never touches the index.
 *
 * Knows: bytes, ids, due times.  Must not know: SMTP, sessions, routing, the network.
 * Threads: one commit thread (writes, syncs, owns the index), one disk thread (reads bodies, syncs big files).  A port
 * is the queue as one loop sees it; everything taking a port, spool or lease is for that loop's thread.  No call here
 * blocks on the disk. */
#ifndef QUEUE_QUEUE_H
#define QUEUE_QUEUE_H

#include "base/buf.h"
#include "base/loop.h"
#include "base/op.h"
#include "config/config.h"
#include "wire/edits.h"
#include "wire/envelope.h"

struct queue;
struct queue_port;
struct spool;
struct lease;

struct queue_recovery { /* what queue_open found, for one log line; cut_bytes: torn or damaged, not recovered */
	uint64_t messages, recipients, replayed_records, cut_bytes, orphans_removed, poison;
	int64_t took_ms;
};

/* Opens (and creates) the store, recovers, starts the threads.  NULL with err when the store cannot be trusted: the
 * error says what to do.  `conf` must outlive the queue; the fields marked restart in the option table are read here
 * once. */
struct queue *queue_open(const struct conf_queue *conf, struct queue_recovery *found, struct err *e);
/* Ends the threads after a last sync and checkpoint.  Ports must be detached before. */
void queue_close(struct queue **q);
void queue_reconfigure(struct queue *q,
		       const struct conf_queue *conf); /* any thread; the new values hold from the next use */

/* `on_lease` is called on the loop for each message handed to this port, never from inside another call of the queue.
 */
struct queue_port *queue_attach(struct queue *q, struct loop *loop, void (*on_lease)(void *arg, struct lease *l),
				void *arg);
/* Returns unsettled leases to the schedule (due now) and closes the port.  Commits in flight are stored, but nobody is
 * told.  Spools are aborted or committed before, lease_read_fini and queue_query_fini called. */
void queue_detach(struct queue_port **p);
/* Stops handing out leases (shutdown: finish what is in flight); spooling goes on. */
void queue_pause(struct queue_port *p, bool paused);

/* ---- spool: one message on its way to disk, not yet ours ---- */

/* NULL with err ERR_NO_SPACE | ERR_IO (the spool is read-only: 452/451) or ERR_BUSY (too much waits for the disk). */
struct spool *spool_begin(struct queue_port *p, struct err *e);
uint64_t spool_id(const struct spool *s);   /* unique for ever; printed by queue_put_id */
uint64_t spool_size(const struct spool *s); /* content bytes so far */

/* Adds content, already without dot-stuffing.  Copies it; `chunk` may be reused at once.
 * 0, or -1 with err ERR_NO_SPACE | ERR_IO; after -1 abort, or commit, which then fails with the same error.
 * How big a message may be is the session's to say. */
int spool_write(struct spool *s, struct str chunk, struct err *e);
void spool_abort(struct spool **s); /* nothing stays; harmless on NULL */

struct commit {
	struct op op; /* op.done runs once, on the loop, never inside spool_commit */
	bool ok;      /* durable: the queue owns the message */
	uint64_t id;
	struct err err; /* when not ok; nothing is stored */
};

/* Makes the message durable.  Takes the spool (also when it fails) and copies `env`, which may go at once.
 * op_cancel(&c->op) detaches the asker: the message is stored all the same. */
void spool_commit(struct spool **s, const struct envelope *env, struct commit *c, void (*done)(struct op *));

/* ---- taking over: a message that waited in another queue goes on here (queue/taken.c) ---- */

enum { QUEUE_NOTE_MAX = 127, QUEUE_TEXT_MAX = 400 };

struct queue_past {      /* of one recipient, where it was */
	uint32_t number; /* there: index into the envelope; not tried twice under the same number */
	bool held, delay_told;
	unsigned note;     /* outcome.note of its last try; at most QUEUE_NOTE_MAX */
	unsigned attempts; /* tries made */
	int64_t due_ms;
	struct str last; /* what the last one ended with; cut at QUEUE_TEXT_MAX */
};

/* As spool_commit.  `past` has env->rcpt_n entries; they become the state of the recipients with the same sync that
 * makes the message durable.  ERR_TAKEN when one of these recipients (env->trace_id, source_id, number) was taken over
 * before, and that is remembered for QUEUE_TAKEN_MS; also when the message itself still waits here. */
#define QUEUE_TAKEN_MS (INT64_C(60) * 24 * 3600 * 1000)
void spool_take_over(struct spool **s, const struct envelope *env, uint64_t source_id, const struct queue_past *past,
		     struct commit *c, void (*done)(struct op *));

/* ---- lease: a message handed out for delivery ---- */

struct lease_rcpt {
	unsigned index;    /* into lease->env.rcpts */
	unsigned attempts; /* tries made before */
	struct str last;   /* text of the last deferral, empty at first */
	bool delay_told;   /* a delay report went out */
	unsigned note;     /* outcome.note of the last try; 0 at first */
	bool condemned;    /* it is not to be tried but to fail, because of `last` (QUEUE_FAIL) */
};

struct lease {
	uint64_t id;
	struct envelope env;            /* lives as long as the lease */
	const struct lease_rcpt *rcpts; /* those due now */
	size_t rcpt_n;
	uint64_t size;      /* content bytes */
	struct str content; /* all of it when p != NULL; else fetch with lease_read */
	void *owner;        /* for the delivery's use */
};

struct lease_read {
	struct op op;
	struct str bytes; /* valid until the next lease_read of this struct, or lease_read_fini */
	bool ok;
	struct err err;
	void *state; /* the queue's; zero before first use */
};

enum { LEASE_READ_MAX = 256 * 1024 };
/* Reads up to LEASE_READ_MAX bytes of content from `offset` through the disk thread. */
void lease_read(struct lease *l, uint64_t offset, struct lease_read *r, void (*done)(struct op *));
void lease_read_fini(struct lease_read *r); /* cancels, frees; harmless when unused */

enum outcome_kind { OUTCOME_DELIVERED, OUTCOME_DEFERRED, OUTCOME_FAILED };

struct outcome {
	unsigned index; /* into env.rcpts */
	enum outcome_kind kind;
	int64_t due_ms;  /* DEFERRED: wall clock of the next try */
	bool delay_told; /* DEFERRED: remember that a delay report went out */
	unsigned note;   /* DEFERRED: what the delivery wants to know at the next try, at most QUEUE_NOTE_MAX */
	bool untried;    /* DEFERRED: does not count as another try */
	struct str text; /* DEFERRED: why, one line, cut at 400 bytes */
};

/* One outcome for each leased recipient.  Takes the lease (its memory goes).  Written with a later group: a crash
 * before that sync delivers again (the window is conf_queue.settle_window_ms), never loses. */
void lease_settle(struct lease **l, const struct outcome *o, size_t n);

/* ---- rewriting: a message that is not committed becomes another one (queue/rewrite.c) ---- */

/* As lease_read, of what was spooled so far.  Until it is answered nothing else may be done with the spool but
 * lease_read_fini and spool_abort. */
void spool_read(struct spool *s, uint64_t offset, struct lease_read *r, void (*done)(struct op *));

struct rewrite {
	struct op op;
	bool ok;
	struct err err;
	/* the queue's; zero before first use */
	struct op *asker;
	struct spool *spool, *source, *fresh, *body;
	struct edits edits;
	struct edit_pos pos;
	uint64_t at, end;
	struct lease_read read;
};

/* The spool then holds what the edits make of its content; with `body` (NULL: none) the old content is read up to
 * `body_at` only, and what was written to *body stands behind it.  Takes *body, also when it fails.  `edits` lives
 * until then; none reaches past `body_at`.  The id stays.  Whatever the size, a window of LEASE_READ_MAX is in memory
 * beside the result, and the disk is read by its own thread. On failure the spool holds what it held.  r->op.done runs
 * once, never inside this call. */
void spool_rewrite(struct spool *s, struct edits e, struct spool **body, uint64_t body_at, struct rewrite *r,
		   void (*done)(struct op *));
void rewrite_cancel(struct rewrite *r); /* before the spool is aborted; harmless when none is under way */

/* ---- poison: a message that ends the process each time somebody works on it (queue/poison.c) ---- */

enum { QUEUE_POISON_CRASHES = 2 };

/* This loop works on the message right now; NULL: on none.  Costs one store to memory that outlives a crash of the
 * process.  The queue does it around on_lease and the answers of lease_read; whoever goes on with a lease because of
 * another event says so himself, and unsays it before he returns to the loop.  A message that was worked on in
 * QUEUE_POISON_CRASHES crashes is put aside at the next start (QUEUE_POISON) until it is released. */
void queue_working(struct queue_port *p, const struct lease *l);

/* ---- schedule: pure (queue/sched.c) ---- */

enum sched_cause {
	SCHED_MESSAGE,       /* somebody, perhaps we, answered "later" about this message */
	SCHED_NO_CONNECTION, /* no server could be talked to */
	SCHED_UNKNOWN,       /* it was sent, and whether it was taken is not known (RFC 1047) */
};

/* Delay until try number attempts + 1 (attempts >= 1), +-10 % by `seed`, 1 s at least.  No connection: glitches, then
 * transient failures, then first_ms doubled each time up to max_ms, which none of these exceeds; the two others do not
 * grow. */
int64_t sched_delay_ms(const struct conf_retry *c, enum sched_cause why, unsigned attempts, uint64_t seed);
bool sched_expired(const struct conf_retry *c, int64_t arrived_ms, int64_t now_ms);

/* ---- questions and orders: answered by the commit thread ---- */

struct queue_where; /* an expression over struct queue_row; the language: queue/where.h */

struct queue_target { /* a message, or some of its recipients */
	uint64_t id;
	const uint32_t *numbers; /* as queue_row.number */
	size_t number_n;         /* 0: all */
};

struct queue_filter { /* empty fields match all; addresses match whole, without case; "@domain" by domain */
	uint64_t id;
	struct str from, rcpt;
	bool deferred_only, held_only;
	int64_t older_than_ms;              /* age of the message; 0 = any */
	const struct queue_where *where;    /* copied; NULL = any */
	const struct queue_target *targets; /* orders: only these, however many; copied */
	size_t target_n;                    /* 0: all messages */
	uint64_t after_id;                  /* for paging */
	unsigned max;                       /* rows, but a page ends with a whole message; 0 = 1000 */
};

enum queue_state { QUEUE_ACTIVE, QUEUE_DEFERRED, QUEUE_HELD, QUEUE_POISON };

struct queue_row { /* one recipient */
	uint64_t id;
	struct str from, rcpt, last, trace_id;
	uint64_t size;
	int64_t arrived_ms, due_ms;
	unsigned attempts;
	uint32_t number; /* of this recipient in its message */
	bool leased;     /* the message is being worked on just now */
	enum queue_state state;
};

enum { QUEUE_WHERE_MAX = 1024 };
/* NULL with ERR_SYNTAX (which character, and what is expected there) or ERR_TOO_BIG. */
struct queue_where *queue_where_parse(struct str text, struct err *e);
void queue_where_free(struct queue_where **w);
bool queue_where_match(const struct queue_where *w, const struct queue_row *r, int64_t now_ms);
/* The host that a text of `last` is about, "mx.example" of "4.4.1 mx.example[192.0.2.1]: ..."; empty: none. */
struct str queue_hop_of(struct str last);
struct str queue_domain_of(struct str address);

struct queue_query {
	struct op op;
	struct queue_row *rows; /* until queue_query_fini */
	size_t row_n;
	bool more;
	bool ok; /* false: the index could not be read, see err */
	struct err err;
	void *state;
};

void queue_query(struct queue_port *p, const struct queue_filter *f, struct queue_query *q, void (*done)(struct op *));
void queue_query_fini(struct queue_query *q);

enum queue_verb { QUEUE_RETRY, QUEUE_REMOVE, QUEUE_HOLD, QUEUE_RELEASE, QUEUE_FAIL }; /* stored: append only */

struct queue_order {
	struct op op;
	struct str reason;             /* FAIL: set before, copied; one line, cut at 400 bytes */
	uint64_t messages, recipients; /* matched (and, unless dry_run, changed) */
	bool ok;
	struct err err;
	void *state;
};

/* Acts on all messages that match (max and after_id do not count).  REMOVE makes no report; FAIL leases each at once as
 * condemned, and whoever delivers reports it.  A leased message is acted
 * on when its lease is settled. */
void queue_order(struct queue_port *p, const struct queue_filter *f, enum queue_verb v, bool dry_run,
		 struct queue_order *o, void (*done)(struct op *));

enum { QUEUE_SYNC_STEPS = 16 };

struct queue_stats { /* any thread; each field by itself is exact, together they may be a moment apart */
	uint64_t messages, recipients, deferred, leased, bytes;
	uint64_t accepted, delivered, failed; /* since start; recipients but for accepted */
	uint64_t groups, syncs, checkpoints;
	uint64_t sync_ms; /* all syncs together */
	uint64_t moved;   /* messages copied out of segments that were kept for their sake */
	uint64_t segments, segment_bytes;
	uint64_t waiting_percent; /* of memory_max: content that waits to be made durable */
	double map_used;          /* 0..1 of the index's map */
	/* syncs by duration since start: [i] took less than 2^i ms, the last one everything longer */
	uint64_t sync_took[QUEUE_SYNC_STEPS];
	bool read_only; /* a sync failed or the disk is full: nothing is accepted */
};
void queue_stats(const struct queue *q, struct queue_stats *out);

/* ---- reading the files: in another process than the gateway's, or without one (queue/reader.c) ---- */

struct queue_reader;
struct queue_kept {                    /* a message as the index knows it, up to its last checkpoint */
	struct envelope env;           /* all its recipients, also those that are done */
	const struct queue_past *past; /* those that wait; held: poison, too.  Not: who is about to fail by an order */
	size_t past_n;
	uint64_t size; /* of its content */
};

/* Never in a process that has the same store open otherwise.  Reads only; blocks on the disk. */
struct queue_reader *queue_reader_open(const char *path, struct err *e);
void queue_reader_close(struct queue_reader **r);
/* 0, or -1 with ERR_NOT_FOUND | ERR_CORRUPT | ERR_IO.  `out` views the reader, until the next call. */
int queue_reader_get(struct queue_reader *r, uint64_t id, struct queue_kept *out, struct err *e);
enum { QUEUE_READER_BLOCK = 256 * 1024 };
/* The next bytes of the content of that message; 0 at the end, when all of it has matched its checksum; -1 with err. */
ssize_t queue_reader_read(struct queue_reader *r, char to[QUEUE_READER_BLOCK], struct err *e);

/* Checks a closed store against the list of legal states in docs/QUEUE.md; appends one line a finding.
 * 0 = sound, 1 = findings, -1 = could not look (err). */
int queue_check(const char *path, struct buf *findings, struct err *e);

/* "3KQ8ZC1T7XW4A": 13 characters, base32 without I, L, O, U; parse takes either case. */
void queue_put_id(struct buf *b, uint64_t id);
bool queue_parse_id(struct str s, uint64_t *id);

#endif
