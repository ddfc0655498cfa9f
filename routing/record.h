/* routing/record.h: a recipient as bytes (routing/record.c).  Pure.
 *
 *   format 1: u8 format, u8 loc, u8 flags, u64 version, i64 changed_ms, then fields {u8 tag, u16 length, bytes}
 *
 * Numbers are big-endian.  The fields (the body) are compared byte for byte to see whether an import changes anything,
 * so the encoder writes one order: addresses (primary first), then the other tags rising; empty ones are left out. */
#ifndef ROUTING_RECORD_H
#define ROUTING_RECORD_H

#include "routing/routing.h"

enum record_tag { /* stored: append only */
		  TAG_ADDR = 1,
		  TAG_ROUTING,
		  TAG_HOST,
		  TAG_MAILBOX,
		  TAG_SOURCE,
		  TAG_BATCH,
		  TAG_REDIRECT,
		  TAG_EXPAND, /* one byte, as the next */
		  TAG_REPORT,
		  TAG_OWNER,
		  TAG_ALLOW,
		  TAG_DENY,
};

enum { RECORD_HEAD = 19, RECORD_MAX = 64 * 1024, RECORD_ADDRS_MAX = 1000 };

/* Appends head and body; `out` full = the record is too big. */
void record_encode(const struct rcpt_record *r, struct buf *out);
/* The parts that say what an administrator said: loc, flags and body, without version and time. */
bool record_same(struct str a, struct str b);
void record_stamp(char *bytes, uint64_t version, int64_t changed_ms); /* into an encoded record */
struct str record_primary(struct str bytes);                          /* first address; empty when corrupt */
/* Walks the addresses: *at starts at 0; false at the end. */
bool record_next_addr(struct str bytes, size_t *at, struct str *addr);
struct str record_field(struct str bytes, enum record_tag tag);

/* Copies `bytes` into the arena and views them from *out.  Returns 0, or -1: ERR_CORRUPT, or ERR_TOO_BIG when the
 * arena is full. */
int record_decode(const unsigned char rid[16], struct str bytes, struct arena *arena, struct rcpt_record *out,
		  struct err *e);

#endif
