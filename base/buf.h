/* base/buf.h: the only growable bytes.
 *
 * A buffer must name its maximum.  Past it `full` sticks and writes become no-ops: append ten times, look once.
 * Running out of memory is a panic (the queue is crash-safe and the maxima keep peers away from it).
 * Owner: whoever called buf_init; views taken with buf_str die at the next write. */
#ifndef BASE_BUF_H
#define BASE_BUF_H

#include "base/str.h"

#include <stdarg.h>

struct buf {
	char *p;
	size_t n, cap, max;
	bool full; /* something did not fit; sticks until buf_reset */
	bool sure; /* see buf_init_sure */
};

void buf_init(struct buf *b, size_t max); /* allocates nothing yet */
/* What this buffer gets fits by construction, and its owner says must(!full): the failure point "buf.grow", which tries
 * what happens when a buffer is full, leaves it alone. */
void buf_init_sure(struct buf *b, size_t max);
void buf_fini(struct buf *b);  /* frees; the buffer is then as after buf_init */
void buf_reset(struct buf *b); /* empty again, memory kept */
static inline struct str buf_str(const struct buf *b)
{
	return (struct str){ b->p, b->n };
}

/* Each adds all or nothing and returns false when the buffer is (or thereby becomes) full. */
bool buf_add(struct buf *b, struct str s);
bool buf_addc(struct buf *b, char c);
bool buf_addf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
bool buf_vaddf(struct buf *b, const char *fmt, va_list ap) __attribute__((format(printf, 2, 0)));
bool buf_addu(struct buf *b, uint64_t v); /* decimal */

/* Room for n more bytes to be written directly, then buf_commit(how many were).  NULL when that is past max. */
char *buf_reserve(struct buf *b, size_t n);
void buf_commit(struct buf *b, size_t n);

/* Removes n bytes from the front (n <= b->n) by moving the rest down. */
void buf_drop(struct buf *b, size_t n);

/* NUL-terminated text for an interface that wants one; the NUL is not counted.  "" when full or empty. */
const char *buf_cstr(struct buf *b);

#endif
