/* base/stream.c: one evented byte stream.
 *
 * Invariants (checked by stream_check): closed <=> fd < 0; buffers only while something waits in them; the watcher
 * wants what the flags say, except that an interest in reading that ends is given up only when bytes really come: a
 * session pauses for each operation and its peer mostly waits too, so this saves two epoll_ctl a command.
 * What the ops hold already decrypted makes no descriptor readable, so whenever reading becomes possible again and
 * something is pending, the task at the end of the turn reads it.  That ends: a stream fetches from its descriptor once
 * for each time it is reported readable. */
#include "base/stream.h"

#include "base/fault.h"
#include "base/must.h"
#include "base/op.h"

#include <errno.h>
#include <string.h>
#include <unistd.h>

static ssize_t plain_read(struct stream *s, char *to, size_t room)
{
	return fault("stream.read") ? -1 : recv(s->fd, to, room, 0);
}

static ssize_t plain_write(struct stream *s, const char *from, size_t n)
{
	return fault("stream.write") ? -1 : send(s->fd, from, n, MSG_NOSIGNAL);
}

static size_t plain_pending(struct stream *s)
{
	(void)s;
	return 0;
}

static void plain_close(struct stream *s)
{
	(void)s;
}

const struct stream_ops stream_plain = {
	.read = plain_read, .write = plain_write, .pending = plain_pending, .close = plain_close
};

static bool stream_check(const struct stream *s)
{
	return (s->fd >= 0) == (s->io.loop != NULL) && s->in_at + s->in_n <= LOOP_BUFFER &&
	       (s->in != NULL || s->in_n == 0) && s->out_at <= s->out.n;
}

static bool may_read(const struct stream *s)
{
	return !s->paused && !s->eof && !s->connecting && !s->handshaking && !s->above_high &&
	       (s->in == NULL || s->in_n < LOOP_BUFFER);
}

static void queue_task(struct stream *s)
{
	if (s->fd < 0 || s->task_queued)
		return;
	s->task_queued = true;
	loop_defer(s->loop, &s->task);
}

static void update_wants(struct stream *s)
{
	unsigned want = s->wants;

	if (s->fd < 0 || s->err.code != ERR_NONE)
		return;
	if (may_read(s)) {
		want |= LOOP_READ;
		if (s->ops->pending(s) > 0)
			queue_task(s);
	} else if (!s->handshaking && !s->connecting && !s->eof) {
		want |= s->io.want & LOOP_READ;
	}
	if (s->connecting || (!s->handshaking && stream_unsent(s) > 0))
		want |= LOOP_WRITE;
	loop_io_want(&s->io, want);
}

static void fail(struct stream *s, enum err_code code, const char *what)
{
	if (s->err.code == ERR_NONE)
		err_sys(&s->err, code, "stream", "%s", what);
	loop_io_want(&s->io, 0);
	loop_timer_stop(&s->timer);
	s->on_event(s, STREAM_FAILED);
}

/* Brings the unread input to the front when the room behind it is used up. */
static size_t make_room(struct stream *s)
{
	if (s->in == NULL) {
		s->in = loop_buffer_take(s->loop);
		s->in_at = 0;
	}
	if (s->in_at > 0 && s->in_at + s->in_n > LOOP_BUFFER / 2) {
		memmove(s->in, s->in + s->in_at, s->in_n);
		s->in_at = 0;
	}
	return LOOP_BUFFER - s->in_at - s->in_n;
}

static void drop_empty_buffers(struct stream *s)
{
	if (s->in != NULL && s->in_n == 0 && !s->reading_now) {
		loop_buffer_give(s->loop, s->in);
		s->in = NULL;
		s->in_at = 0;
	}
	if (s->out.n > 0 && s->out_at == s->out.n) {
		s->out_at = 0;
		if (s->out.cap > 4096)
			buf_fini(&s->out);
		else
			buf_reset(&s->out);
	}
}

/* One read a turn unless the ops hold more: libev calls again while the descriptor is readable. */
static void read_some(struct stream *s)
{
	bool got = false, ended = false;

	while (may_read(s)) {
		size_t room = make_room(s);
		if (room == 0)
			break;
		ssize_t n = s->ops->read(s, s->in + s->in_at + s->in_n, room);
		if (n < 0 && (errno == EAGAIN || errno == EINTR))
			break;
		if (n < 0) {
			drop_empty_buffers(s);
			fail(s, ERR_NET, "read");
			return;
		}
		if (n == 0) {
			ended = s->eof = true;
			break;
		}
		s->in_n += (size_t)n;
		got = true;
		if (s->ops->pending(s) == 0)
			break;
	}
	s->reading_now = true; /* keeps the buffer while handlers look at it */
	if (got)
		s->on_event(s, STREAM_READABLE);
	s->reading_now = false;
	if (s->fd < 0)
		return;
	drop_empty_buffers(s);
	update_wants(s);
	if (ended && s->eof) /* not when the handler closed it and connected anew */
		s->on_event(s, STREAM_EOF);
}

/* Sends what waits.  Returns false when the stream failed (the owner has been told). */
static bool send_some(struct stream *s)
{
	while (stream_unsent(s) > 0 && !s->connecting && !s->handshaking) {
		ssize_t n = s->ops->write(s, s->out.p + s->out_at, stream_unsent(s));
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0 && errno == EAGAIN)
			break;
		if (n <= 0) {
			fail(s, ERR_NET, "write");
			return false;
		}
		s->out_at += (size_t)n;
	}
	drop_empty_buffers(s);
	return true;
}

static void send_and_tell(struct stream *s)
{
	bool had = stream_unsent(s) > 0;

	if (!send_some(s))
		return;
	bool told = s->above_high ? stream_unsent(s) <= STREAM_LOW : had && stream_unsent(s) == 0;
	if (stream_unsent(s) >= STREAM_HIGH)
		s->above_high = true;
	else if (stream_unsent(s) <= STREAM_LOW)
		s->above_high = false;
	update_wants(s);
	if (told)
		s->on_event(s, STREAM_DRAINED);
}

static void on_connected(struct stream *s)
{
	int error = 0;
	socklen_t n = sizeof error;

	if (fault("stream.connected") || getsockopt(s->fd, SOL_SOCKET, SO_ERROR, &error, &n) != 0 || error != 0) {
		errno = error != 0 ? error : errno;
		fail(s, ERR_NET, "connect");
		return;
	}
	s->connecting = false;
	n = sizeof s->local;
	getsockname(s->fd, &s->local.sa, &n);
	update_wants(s);
	s->on_event(s, STREAM_CONNECTED);
}

static void shake(struct stream *s)
{
	struct err e = { 0 };
	int done = s->ops->handshake(s, &e);

	if (done < 0) {
		s->err = e;
		fail(s, ERR_TLS, "handshake");
		return;
	}
	if (done > 0) {
		s->handshaking = false;
		s->wants = 0;
	}
	update_wants(s);
	if (done > 0) {
		s->on_event(s, STREAM_SECURED);
		if (s->fd >= 0 && s->ops->pending(s) > 0)
			read_some(s);
	}
}

static bool is_alive(const struct stream *s)
{
	return s->fd >= 0 && s->err.code == ERR_NONE;
}

static void on_io(struct loop_io *io, unsigned events)
{
	struct stream *s = container_of(io, struct stream, io);

	must(stream_check(s));
	s->readable = (events & LOOP_READ) != 0;
	if (s->connecting) {
		on_connected(s);
		return;
	}
	if (s->handshaking) {
		shake(s);
		return;
	}
	bool waited = (s->wants & events) != 0;
	s->wants = 0; /* whoever still has to wait says so again */
	if ((events & LOOP_WRITE) || waited)
		send_and_tell(s);
	if (!is_alive(s) || !((events & LOOP_READ) || waited))
		return;
	if (may_read(s))
		read_some(s);
	else
		loop_io_want(io, io->want & ~(unsigned)LOOP_READ);
}

static void on_timer(struct loop_timer *t)
{
	struct stream *s = container_of(t, struct stream, timer);

	s->on_event(s, STREAM_TIMEOUT);
}

static void on_turn_end(struct loop_task *task)
{
	struct stream *s = container_of(task, struct stream, task);

	s->task_queued = false;
	if (!is_alive(s) || s->connecting)
		return;
	if (s->handshaking) {
		shake(s);
		return;
	}
	if (stream_unsent(s) > 0)
		send_and_tell(s);
	if (is_alive(s) && may_read(s) && s->ops->pending(s) > 0)
		read_some(s);
}

void stream_init(struct stream *s, struct loop *l, void (*on_event)(struct stream *, enum stream_event))
{
	memset(s, 0, sizeof *s);
	s->loop = l;
	s->on_event = on_event;
	s->ops = &stream_plain;
	s->fd = -1;
	buf_init(&s->out, STREAM_OUT_MAX);
	loop_timer_init(l, &s->timer, on_timer);
	s->task.fn = on_turn_end;
}

/* A stream may be used again after stream_close, even while its task is still queued. */
static void begin(struct stream *s, int fd, const struct net_addr *peer)
{
	must(s->fd < 0 && fd >= 0 && s->in == NULL && s->out.n == 0 && s->under == NULL);
	s->fd = fd;
	s->peer = *peer;
	s->wants = 0;
	s->err = (struct err){ 0 };
	s->connecting = s->handshaking = s->paused = s->eof = s->above_high = s->readable = false;
}

void stream_attach(struct stream *s, int fd, const struct net_addr *peer)
{
	socklen_t n = sizeof s->local;

	begin(s, fd, peer);
	getsockname(fd, &s->local.sa, &n);
	loop_io_start(s->loop, &s->io, fd, LOOP_READ, on_io);
}

int stream_connect(struct stream *s, const struct net_addr *to, const struct net_addr *from, struct err *e)
{
	int fd = net_connect(to, from, e);

	if (fd < 0)
		return -1;
	begin(s, fd, to);
	s->connecting = true;
	loop_io_start(s->loop, &s->io, fd, LOOP_WRITE, on_io);
	return 0;
}

void stream_close(struct stream *s)
{
	if (s->fd < 0)
		return;
	s->ops->close(s);
	s->ops = &stream_plain;
	loop_io_stop(&s->io);
	loop_timer_stop(&s->timer);
	close(s->fd);
	s->fd = -1;
	if (s->in != NULL)
		loop_buffer_give(s->loop, s->in);
	s->in = NULL;
	s->in_at = s->in_n = 0;
	buf_fini(&s->out);
	s->out_at = 0;
}

void stream_finish(struct stream *s)
{
	char rest[4096];

	if (s->fd < 0)
		return;
	if (s->err.code == ERR_NONE && stream_unsent(s) > 0 && !s->connecting && !s->handshaking)
		while (stream_unsent(s) > 0) {
			ssize_t n = s->ops->write(s, s->out.p + s->out_at, stream_unsent(s));
			if (n <= 0)
				break;
			s->out_at += (size_t)n;
		}
	s->ops->close(s); /* its goodbye goes before the FIN */
	s->ops = &stream_plain;
	/* unread input would turn our FIN into a reset that destroys the last reply on its way */
	shutdown(s->fd, SHUT_WR);
	for (int i = 0; i < 16 && recv(s->fd, rest, sizeof rest, MSG_DONTWAIT) > 0; i++)
		;
	stream_close(s);
}

void stream_consume(struct stream *s, size_t n)
{
	bool was_full = s->in_n == LOOP_BUFFER;

	must(n <= s->in_n);
	s->in_at += n;
	s->in_n -= n;
	if (s->in_n == 0)
		s->in_at = 0;
	if (was_full && n > 0)
		update_wants(s);
}

void stream_discard(struct stream *s)
{
	stream_consume(s, s->in_n);
}

void stream_pause(struct stream *s, bool paused)
{
	s->paused = paused;
	update_wants(s);
}

struct buf *stream_out(struct stream *s)
{
	if (s->out_at > STREAM_HIGH || (s->out_at > 0 && s->out_at == s->out.n)) {
		buf_drop(&s->out, s->out_at);
		s->out_at = 0;
	}
	return &s->out;
}

void stream_flush_later(struct stream *s)
{
	queue_task(s);
}

bool stream_write(struct stream *s, struct str bytes)
{
	bool ok = s->fd >= 0 && buf_add(stream_out(s), bytes);

	if (ok)
		stream_flush_later(s);
	return ok;
}

void stream_deadline(struct stream *s, int64_t in_ms)
{
	if (in_ms < 0)
		loop_timer_stop(&s->timer);
	else
		loop_timer_set(&s->timer, in_ms);
}

void stream_secure(struct stream *s, const struct stream_ops *ops, void *under, bool we_start)
{
	must(s->fd >= 0 && s->in_n == 0 && stream_unsent(s) == 0 && ops->handshake != NULL);
	s->ops = ops;
	s->under = under;
	s->handshaking = true;
	s->wants = LOOP_READ;
	update_wants(s);
	if (we_start)
		queue_task(s);
}
