/* auth/frame.h: what tombolod and its workers say to each other: frames, and the values in them.
 *
 *   | length, 4 bytes | version | kind | job, 4 bytes | payload |      length counts what follows it; big endian
 *
 * Every frame to a worker is answered by exactly one, in order: so whoever counts knows which job a worker was at when
 * it died, and needs no other acknowledgement.  Only AUTH_HELLO comes unasked, once, first. Values in a payload: u8,
 * u16, u32, and text as u32 length and bytes.  A reader that runs past the end turns `bad` and reads zeros and empty
 * texts from then on: look once, at the end. Pure; any bytes.  Both sides distrust each other: the worker may have been
 * taken over by what it parsed. */
#ifndef AUTH_FRAME_H
#define AUTH_FRAME_H

#include "base/buf.h"

enum { FRAME_VERSION = 1, FRAME_HEAD = 10, FRAME_MAX = 2 << 20, FRAME_CHUNK = 60 * 1024 };

enum frame_kind {
	AUTH_HELLO = 1, /* worker: its keys, and what is wrong with others */

	AUTH_SPF_ASK,    /* question, answers so far -> AUTH_SPF_VERDICT | AUTH_SPF_NEEDS */
	AUTH_VERIFY,     /* header block -> AUTH_DKIM_NEEDS */
	AUTH_SIGN,       /* domain, header block -> AUTH_TAKEN | AUTH_REFUSED */
	AUTH_BODY,       /* bytes of the body -> AUTH_TAKEN */
	AUTH_VERIFY_END, /* answers -> AUTH_DKIM_VERDICT */
	AUTH_SIGN_END,   /* -> AUTH_SIGNATURE | AUTH_REFUSED */
	AUTH_DROP,       /* the job is over -> AUTH_TAKEN */

	AUTH_TAKEN = 32,
	AUTH_REFUSED, /* why */
	AUTH_SPF_VERDICT,
	AUTH_SPF_NEEDS,
	AUTH_DKIM_NEEDS,
	AUTH_DKIM_VERDICT,
	AUTH_SIGNATURE,
};

struct frame {
	enum frame_kind kind;
	uint32_t job;
	struct str payload;
};

/* > 0: bytes used, *f is a view into `in`; 0: more is needed; -1: this is no frame of ours. */
ssize_t frame_next(struct str in, struct frame *f);

/* Appends a frame: open, put values, close.  False when the buffer is full: then the frame is not there. */
size_t frame_open(struct buf *b, enum frame_kind kind, uint32_t job);
bool frame_close(struct buf *b, size_t at);

void put_u8(struct buf *b, unsigned v);
void put_u16(struct buf *b, unsigned v);
void put_u32(struct buf *b, uint32_t v);
void put_str(struct buf *b, struct str s);

struct reader {
	struct str in;
	bool bad;
};
unsigned read_u8(struct reader *r);
unsigned read_u16(struct reader *r);
uint32_t read_u32(struct reader *r);
struct str read_str(struct reader *r, size_t max); /* longer is bad */
bool read_end(const struct reader *r);             /* all read, nothing was bad */

#endif
