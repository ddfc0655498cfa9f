/* milter/ask.c: see the header. */
#include "milter/ask.h"

#include "base/must.h"
#include "base/time.h"
#include "wire/netstring.h"

#include <errno.h>
#include <poll.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

enum { ANSWER_MAX = DECIDE_MAX + 64, CHUNK = 64 * 1024 };

void ask_init(struct ask *a, const char *path, int64_t patience_ms)
{
	*a = (struct ask){ .path = path, .patience_ms = patience_ms, .fd = -1 };
	buf_init(&a->out, DECIDE_MAX + 64);
	buf_init(&a->in, ANSWER_MAX + CHUNK);
}

static void hang_up(struct ask *a)
{
	if (a->fd >= 0)
		close(a->fd);
	a->fd = -1;
	buf_reset(&a->in);
}

void ask_fini(struct ask *a)
{
	hang_up(a);
	buf_fini(&a->out);
	buf_fini(&a->in);
}

/* ---- the connection ---- */

static int no_time(struct err *e)
{
	return err_set(e, ERR_BUSY, "ask", "no answer in time");
}

/* Connects, or fails within the deadline: a full backlog would block. */
static int connect_to(struct ask *a, struct err *e)
{
	struct sockaddr_un to = { .sun_family = AF_UNIX };
	struct timeval patience = { .tv_sec = a->patience_ms / 1000, .tv_usec = a->patience_ms % 1000 * 1000 };

	must(strlen(a->path) < sizeof to.sun_path);
	memcpy(to.sun_path, a->path, strlen(a->path) + 1);
	a->fd = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (a->fd < 0)
		return err_sys(e, ERR_SYSTEM, "ask.connect", "socket");
	setsockopt(a->fd, SOL_SOCKET, SO_SNDTIMEO, &patience, sizeof patience);
	if (connect(a->fd, (struct sockaddr *)&to, sizeof to) == 0)
		return 0;
	err_sys(e, ERR_SYSTEM, "ask.connect", "%s", a->path);
	hang_up(a);
	return -1;
}

/* Until the descriptor is ready for `events`; -1: the deadline has passed. */
static int wait_for(const struct ask *a, short events, int64_t until_ms, struct err *e)
{
	struct pollfd p = { .fd = a->fd, .events = events };
	int64_t left;

	while ((left = until_ms - clock_mono_ms()) > 0) {
		int n = poll(&p, 1, (int)left);
		if (n > 0)
			return 0;
		if (n < 0 && errno != EINTR)
			return err_sys(e, ERR_SYSTEM, "ask.wait", "poll");
	}
	return no_time(e);
}

static int send_all(struct ask *a, int64_t until_ms, struct err *e)
{
	struct str rest = buf_str(&a->out);

	while (rest.n > 0) {
		ssize_t n = send(a->fd, rest.p, rest.n, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (n > 0)
			rest = str_skip(rest, (size_t)n);
		else if (n < 0 && errno != EAGAIN && errno != EINTR)
			return err_sys(e, ERR_SYSTEM, "ask.send", "tombolod has gone");
		else if (wait_for(a, POLLOUT, until_ms, e) != 0)
			return -1;
	}
	return 0;
}

/* 1 with one whole answer, -1 with err. */
static int receive(struct ask *a, int64_t until_ms, struct str *answer, struct err *e)
{
	ssize_t used;

	while ((used = netstring_next(buf_str(&a->in), ANSWER_MAX, answer)) == NETSTRING_MORE) {
		char *room = buf_reserve(&a->in, CHUNK);
		if (room == NULL)
			return err_set(e, ERR_TOO_BIG, "ask.receive", "the answer is too large");
		ssize_t n = recv(a->fd, room, CHUNK, MSG_DONTWAIT);
		if (n > 0)
			buf_commit(&a->in, (size_t)n);
		else if (n == 0)
			return err_set(e, ERR_SYSTEM, "ask.receive", "tombolod has gone");
		else if (errno != EAGAIN && errno != EINTR)
			return err_sys(e, ERR_SYSTEM, "ask.receive", "recv");
		else if (wait_for(a, POLLIN, until_ms, e) != 0)
			return -1;
	}
	if (used < 0 || (size_t)used != a->in.n)
		return err_set(e, ERR_SYNTAX, "ask.receive", "this is no answer");
	return 1;
}

/* ---- a question ---- */

static int talk(struct ask *a, int64_t until_ms, struct str *answer, struct err *e)
{
	buf_reset(&a->in);
	if (a->fd < 0 && connect_to(a, e) != 0)
		return -1;
	if (send_all(a, until_ms, e) == 0 && receive(a, until_ms, answer, e) > 0)
		return 0;
	hang_up(a); /* an answer that comes late is nobody's */
	return -1;
}

static int put_question(struct ask *a, const struct decide_question *q, struct err *e)
{
	struct buf b;
	int failed = -1;

	buf_init(&b, DECIDE_MAX);
	buf_reset(&a->out);
	buf_add(&b, S("decide "));
	if (decide_question_put(&b, q) && netstring_put(&a->out, buf_str(&b)))
		failed = 0;
	else
		err_set(e, ERR_TOO_BIG, "ask", "the question is too large");
	buf_fini(&b);
	return failed;
}

int ask(struct ask *a, const struct decide_question *q, struct arena *arena, struct decide_answer *out, struct err *e)
{
	int64_t until_ms = clock_mono_ms() + a->patience_ms;
	bool kept = a->fd >= 0;
	struct str answer;

	if (put_question(a, q, e) != 0)
		return -1;
	if (talk(a, until_ms, &answer, e) != 0 &&
	    (!kept || clock_mono_ms() >= until_ms || talk(a, until_ms, &answer, e) != 0))
		return -1;
	if (!str_starts(answer, S("OK ")))
		return err_set(e, ERR_SYNTAX, "ask", "tombolod says: " STR_FMT, STR_ARG(str_head(answer, 200)));
	if (!decide_answer_parse(str_skip(answer, 3), arena, out))
		return err_set(e, ERR_SYNTAX, "ask", "this is no answer");
	return 0;
}
