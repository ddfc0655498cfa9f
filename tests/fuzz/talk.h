/* tests/fuzz/talk.h: the hostile end of a connection, for targets that are a whole conversation.
 *
 * The input is cut at each TALK_MARK: a piece is said when something was answered to the one before, or a few turns of
 * the loop went by without; behind the last piece comes a FIN.  What is heard is kept.  The loop stops when `is_over`
 * says so, which must be within TALK_MS: a conversation that hangs is a finding. */
#ifndef TESTS_FUZZ_TALK_H
#define TESTS_FUZZ_TALK_H

#include "base/op.h"
#include "base/stream.h"
#include "tests/fuzz/fuzz.h"

#include <sys/socket.h>

enum { TALK_MARK = 0xFE, TALK_TURNS = 6, TALK_MS = 5000, TALK_HEARD_MAX = 8 << 20 };

struct talk {
	struct stream stream;
	struct loop *loop;
	struct str rest; /* not said yet */
	struct loop_task turn;
	struct loop_timer guard;
	struct buf heard;
	unsigned turns; /* since something was said */
	bool hasty;     /* hangs up behind the last piece, with a reset */
	bool answered, finished, ended;
	bool (*is_over)(struct talk *t);
	void (*talking)(struct talk *t); /* may be NULL: each turn */
};

/* No connection is left waiting behind each run. */
static void talk_hang_up(struct talk *t)
{
	const struct linger at_once = { 1, 0 };

	if (stream_is_open(&t->stream))
		setsockopt(t->stream.fd, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
	stream_close(&t->stream);
	t->ended = true;
}

static void talk_say(struct talk *t)
{
	struct str piece;

	if (t->rest.n == 0) {
		if (t->finished || t->stream.connecting || stream_unsent(&t->stream) > 0)
			return;
		t->finished = true;
		if (t->hasty)
			talk_hang_up(t);
		else
			shutdown(t->stream.fd, SHUT_WR);
		return;
	}
	str_cut(t->rest, (char)TALK_MARK, &piece, &t->rest);
	stream_write(&t->stream, piece);
	t->answered = false;
	t->turns = 0;
}

static void talk_turn(struct loop_task *task)
{
	struct talk *t = container_of(task, struct talk, turn);

	if (t->talking != NULL)
		t->talking(t);
	if (!t->ended && stream_is_open(&t->stream) && (t->answered || ++t->turns > TALK_TURNS))
		talk_say(t);
	if (t->is_over(t))
		loop_stop(t->loop);
	else
		loop_post(t->loop, task);
}

static void talk_event(struct stream *s, enum stream_event e)
{
	struct talk *t = container_of(s, struct talk, stream);

	if (e == STREAM_READABLE || e == STREAM_EOF) {
		buf_add(&t->heard, stream_in(s));
		stream_discard(s);
		t->answered = true;
	}
	t->ended |= e == STREAM_EOF || e == STREAM_FAILED;
}

static void talk_guard(struct loop_timer *timer)
{
	(void)timer;
	must(!"the conversation hangs");
}

/* The stream is the caller's to connect or attach. */
static void talk_init(struct talk *t, struct loop *l, struct str input, bool (*is_over)(struct talk *))
{
	*t = (struct talk){ .loop = l, .rest = input, .is_over = is_over };
	buf_init(&t->heard, TALK_HEARD_MAX);
	stream_init(&t->stream, l, talk_event);
	loop_timer_init(l, &t->guard, talk_guard);
	loop_timer_set(&t->guard, TALK_MS);
	t->turn.fn = talk_turn;
	loop_post(l, &t->turn);
}

static void talk_fini(struct talk *t)
{
	talk_hang_up(t);
	loop_timer_stop(&t->guard);
	buf_fini(&t->heard);
}

#endif
