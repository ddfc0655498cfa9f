/* queue/record.h: what the bytes on disk mean.  Pure: no files, no clock; every decoder bears any input.
 *
 * The log: 8-aligned records, one after the other, from the start of each segment.
 *
 *   | head (64 bytes) | body: content of the message | meta: envelope, outcomes or order | zeros to 8 |
 *
 * The head carries the segment's sequence number and its own checksum, so what a recycled file still holds of its
 * earlier life never reads as a record; body and meta have one checksum each, so the envelope can be read alone.
 *
 * The index: rows under big-endian keys, which sort as the numbers do.
 *   message  id            -> struct row_message       rcpt  id, number   -> struct row_rcpt (only who is not done)
 *   due      due_ms, id    -> nothing                  meta  "checkpoint" -> struct row_checkpoint
 * Numbers are little-endian.  A change of layout raises RECORD_VERSION or ROW_VERSION; an unknown one is refused. */
#ifndef QUEUE_RECORD_H
#define QUEUE_RECORD_H

#include "queue/queue.h"

enum { RECORD_HEAD = 64, RECORD_ALIGN = 8, RECORD_VERSION = 1, ROW_VERSION = 1 };
enum { ROW_TEXT_MAX = QUEUE_TEXT_MAX, ROW_ADDR_MAX = 1000, ROW_TRACE_MAX = 64 };

/* Stored: append only. */
enum record_kind {
	RECORD_SEGMENT =
		1,      /* first of a segment: id = the segment before it, size = where the records of that one end */
	RECORD_MESSAGE, /* body + envelope */
	RECORD_BIG,     /* envelope; the content, `size` bytes, is the file big/ID, checked by body_check */
	RECORD_OUTCOME, /* what became of recipients */
	RECORD_ORDER,   /* what an administrator said; body: the reason of QUEUE_FAIL, else empty */
};

struct record {
	enum record_kind kind;
	uint64_t segment, id;
	uint64_t size; /* content bytes of a message */
	uint32_t body_n, meta_n;
	uint64_t body_check, meta_check;
};

void record_put_head(char to[RECORD_HEAD], const struct record *r);
/* False when these are not the head of a record of that segment. */
bool record_get_head(const char from[RECORD_HEAD], uint64_t segment, struct record *r);
uint64_t record_length(const struct record *r); /* head, payload, padding */
uint64_t record_sum(struct str bytes);
bool record_is_sound(const struct record *r, struct str payload); /* both checksums; payload = body, meta */
/* The check of a big file: chained over blocks of this size. */
enum { RECORD_BLOCK = 256 * 1024 };
uint64_t record_sum_block(struct str block, uint64_t before);

bool record_put_envelope(struct buf *b, const struct envelope *env);
/* Number of recipients, to size the array; 0 when the bytes are no envelope. */
size_t record_rcpt_n(struct str meta);
/* Views into `meta`; `rcpts` has room for record_rcpt_n entries and becomes env->rcpts. */
bool record_get_envelope(struct str meta, struct envelope *env, struct env_rcpt *rcpts);

/* Behind the envelope of a message that came from another queue: where it was, and for each recipient what became of
 * it there.  record_put_past goes behind record_put_envelope, whose bytes begin at `meta_at`. */
bool record_put_past(struct buf *b, size_t meta_at, uint64_t source_id, const struct queue_past *past, size_t n);
bool record_has_past(struct str meta);
/* Views into `meta`; room for record_rcpt_n entries.  False when there is none (or it is broken). */
bool record_get_past(struct str meta, uint64_t *source_id, struct queue_past *past);

struct record_outcome {
	uint32_t rcpt;
	uint8_t kind; /* enum outcome_kind */
	bool delay_told;
	uint8_t note;
	uint16_t attempts;
	int64_t due_ms;
	struct str text;
};
void record_put_outcome(struct buf *b, const struct record_outcome *o);
/* Takes one off the front of *meta; false at the end or when broken (then *meta is not empty). */
bool record_get_outcome(struct str *meta, struct record_outcome *o);

struct record_order {
	uint8_t verb; /* enum queue_verb */
	int64_t at_ms;
	struct str rcpts; /* numbers, 4 bytes each */
};
void record_put_order(struct buf *b, uint8_t verb, int64_t at_ms, const uint32_t *rcpts, size_t n);
bool record_get_order(struct str meta, struct record_order *o);
bool record_order_next(struct record_order *o, uint32_t *rcpt);

/* ---- index rows ---- */

/* Stored, append only; DONE never is.  CONDEMNED: an administrator says that it fails; its text is the reason. */
enum rcpt_state { RCPT_PENDING, RCPT_HELD, RCPT_DONE, RCPT_POISON, RCPT_CONDEMNED };
static inline bool rcpt_has_due(unsigned state)
{
	return state == RCPT_PENDING || state == RCPT_CONDEMNED;
}

#define DUE_NEVER INT64_MAX

struct row_message {
	uint64_t segment, size;
	uint32_t offset, length;
	int64_t arrived_ms;
	int64_t due_ms; /* earliest of the pending recipients = key of the due row; DUE_NEVER: no due row */
	uint32_t rcpt_n, left, deferred;
	bool big;
	struct str from, trace_id;
};
struct row_rcpt {
	enum rcpt_state state;
	bool delay_told;
	uint8_t note;
	uint16_t attempts;
	int64_t due_ms;
	struct str addr, text;
};
struct row_checkpoint {
	uint64_t segment, offset, next_id;
};

void row_put_message(struct buf *b, const struct row_message *r);
bool row_get_message(struct str from, struct row_message *r);
void row_put_rcpt(struct buf *b, const struct row_rcpt *r);
bool row_get_rcpt(struct str from, struct row_rcpt *r);
void row_put_checkpoint(struct buf *b, const struct row_checkpoint *r);
bool row_get_checkpoint(struct str from, struct row_checkpoint *r);

#endif
