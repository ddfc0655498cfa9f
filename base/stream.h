/* base/stream.h: one evented byte stream, seven events, bounded buffers.
 *
 *   attach or connect -> CONNECTED -> (READABLE | DRAINED)* -> EOF | FAILED | TIMEOUT -> close
 *                            \-> secure -> SECURED -> the same, encrypted
 *
 * The owner embeds a stream and gets every event through one function.  Inside a handler it may do anything but free
 * the stream's memory (loop_free_later is for that).  Nothing is called back from inside stream_write, stream_secure or
 * stream_close. Input: at most LOOP_BUFFER bytes wait in `in`; reading stops while it is full or while output is above
 * the high mark. An idle stream holds no buffer.  Output is collected and leaves in one write at the end of the turn
 * (stream_flush_later). Threads: the loop thread.  TLS is another struct stream_ops under it; this file knows nothing
 * of it. */
#ifndef BASE_STREAM_H
#define BASE_STREAM_H

#include "base/buf.h"
#include "base/loop.h"
#include "base/net.h"

enum stream_event {
	STREAM_CONNECTED, /* outgoing connection is up */
	STREAM_SECURED,   /* handshake finished (a failed one is FAILED with err ERR_TLS) */
	STREAM_READABLE,  /* there is input that was not there before */
	STREAM_DRAINED,   /* output went below the low mark after having been above the high mark, or all is sent */
	STREAM_EOF,       /* the peer closed, cleanly; input already received may still wait */
	STREAM_TIMEOUT,   /* the deadline passed; it is then off */
	STREAM_FAILED,    /* see stream.err; only stream_close makes sense */
};

struct stream;

/* Bytes under the stream.  read/write return bytes moved, 0 for end of input (read only), or -1 with errno EAGAIN or
 * another (and s->err set when they know better than errno).  `wants` is what the last -1/EAGAIN waits for besides the
 * stream's own direction (TLS may want to write in order to read); during a handshake it is all there is. */
struct stream_ops {
	ssize_t (*read)(struct stream *s, char *to, size_t room);
	ssize_t (*write)(struct stream *s, const char *from, size_t n);
	int (*handshake)(struct stream *s, struct err *e); /* 1 done, 0 again, -1 failed; NULL = none */
	size_t (*pending)(struct stream *s);               /* > 0: read would deliver without the descriptor */
	void (*close)(struct stream *s);                   /* frees s->under; says goodbye if that costs no wait */
};

struct stream {
	struct loop *loop;
	void (*on_event)(struct stream *s, enum stream_event e);
	const struct stream_ops *ops;
	void *under;    /* the ops' own state (TLS) */
	unsigned wants; /* LOOP_READ | LOOP_WRITE the ops wait for besides ours */
	int fd;         /* -1 = closed */
	struct loop_io io;
	struct loop_timer timer;
	struct loop_task task; /* end of this turn: send, go on with a handshake, read what the ops hold */
	char *in;              /* LOOP_BUFFER bytes or NULL */
	size_t in_at, in_n;    /* unread input is in[in_at .. in_at + in_n) */
	struct buf out;        /* bytes not sent yet; [0 .. out_at) are gone */
	size_t out_at;
	bool connecting, handshaking, paused, eof, above_high, task_queued, reading_now;
	bool readable; /* the descriptor reported input that nobody fetched yet; ops that hold bytes fetch only then */
	struct net_addr peer, local;
	struct err err; /* why FAILED */
};

enum { STREAM_HIGH = 128 * 1024, STREAM_LOW = 32 * 1024, STREAM_OUT_MAX = 4 * 1024 * 1024 };

void stream_init(struct stream *s, struct loop *l, void (*on_event)(struct stream *, enum stream_event));
void stream_attach(struct stream *s, int fd, const struct net_addr *peer); /* owns fd from now on; starts reading */
/* Starts connecting (from `from` when not NULL).  0, or -1 with err and the stream closed.  CONNECTED or FAILED
 * follows. */
int stream_connect(struct stream *s, const struct net_addr *to, const struct net_addr *from, struct err *e);
void stream_close(struct stream *s); /* sends nothing more; harmless when closed; frees buffers */
/* Sends what is waiting, as far as the socket takes it now, then closes in a way that does not eat it (RFC
 * 1122 4.2.2.13). */
void stream_finish(struct stream *s);
static inline bool stream_is_open(const struct stream *s)
{
	return s->fd >= 0;
}

static inline struct str stream_in(const struct stream *s)
{
	return (struct str){ s->in == NULL ? NULL : s->in + s->in_at, s->in_n };
}
void stream_consume(struct stream *s, size_t n); /* views of stream_in die here */
void stream_discard(struct stream *s);           /* forgets all unread input (before STARTTLS goes on) */
/* While paused nothing is read, so input stays in order behind an operation in flight. */
void stream_pause(struct stream *s, bool paused);

bool stream_write(struct stream *s,
		  struct str bytes);      /* false when past STREAM_OUT_MAX: the peer reads nothing, close */
struct buf *stream_out(struct stream *s); /* to format straight into; then stream_flush_later */
void stream_flush_later(struct stream *s);
static inline size_t stream_unsent(const struct stream *s)
{
	return s->out.n - s->out_at;
}
static inline bool stream_is_choked(const struct stream *s)
{
	return stream_unsent(s) >= STREAM_HIGH;
}

void stream_deadline(struct stream *s, int64_t in_ms); /* absolute from now; each call replaces the last; <0 = none */

/* Goes over to encrypted: input must be empty (STARTTLS injection ends here: must()) and output sent.  `under` belongs
 * to the ops.  The handshake's first step is taken at the end of the turn when `we_start`, else when bytes come. */
void stream_secure(struct stream *s, const struct stream_ops *ops, void *under, bool we_start);

extern const struct stream_ops stream_plain;

#endif
