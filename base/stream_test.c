/* base/stream_test.c: the seven events over a socketpair and loopback; bounds in both directions. */
#include "base/op.h"
#include "base/stream.h"
#include "tests/unit.h"

#include <errno.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

static struct loop *loop;

/* A stream and what happened to it: one letter an event. */
struct end {
	struct stream s;
	char seen[4096];
	size_t seen_n, read_n;
	struct buf got;
	size_t want_n;             /* stop the loop when so many bytes came */
	enum stream_event stop_at; /* or at this event */
	bool keep_input;           /* consume nothing */
};

static void on_event(struct stream *s, enum stream_event e)
{
	struct end *x = container_of(s, struct end, s);

	if (x->seen_n < sizeof x->seen - 1)
		x->seen[x->seen_n++] = "CSRDETF"[e];
	if (e == STREAM_READABLE && !x->keep_input) {
		struct str in = stream_in(s);
		buf_add(&x->got, in);
		x->read_n += in.n;
		stream_consume(s, in.n);
		if (x->want_n > 0 && x->read_n >= x->want_n)
			loop_stop(loop);
	}
	if (e == x->stop_at && e != STREAM_CONNECTED)
		loop_stop(loop);
}

static void start(struct end *x)
{
	memset(x, 0, sizeof *x);
	buf_init(&x->got, 1 << 24);
	stream_init(&x->s, loop, on_event);
}

static void finish(struct end *x)
{
	stream_close(&x->s);
	stream_close(&x->s); /* harmless */
	assert_false(stream_is_open(&x->s));
	assert_null(x->s.in);
	buf_fini(&x->got);
}

static bool has_seen(const struct end *x, char letter)
{
	return memchr(x->seen, letter, x->seen_n) != NULL;
}

static struct end a, b;

static int open_pair(void **state)
{
	const struct net_addr nobody = { 0 };
	int fd[2];

	(void)state;
	loop = loop_new(NULL);
	start(&a);
	start(&b);
	if (socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK, 0, fd) != 0)
		return -1;
	stream_attach(&a.s, fd[0], &nobody);
	stream_attach(&b.s, fd[1], &nobody);
	return 0;
}

static int close_pair(void **state)
{
	(void)state;
	finish(&a);
	finish(&b);
	loop_free(&loop);
	return 0;
}

static void test_talk(void **state)
{
	(void)state;
	b.want_n = 11;
	assert_true(stream_write(&a.s, S("hello ")));
	assert_true(stream_write(&a.s, S("world")));
	assert_int_equal(b.seen_n, 0); /* nothing is called back from inside */
	loop_run(loop);
	check_str(buf_str(&b.got), S("hello world"), "in one piece");
	assert_int_equal(b.seen_n, 1);
	check_str(str_n(a.seen, a.seen_n), S("D"), "all is sent");
	assert_true(a.s.in == NULL && b.s.in == NULL); /* idle streams hold no buffer */
}

static void test_eof(void **state)
{
	(void)state;
	b.stop_at = STREAM_EOF;
	stream_write(&a.s, S("last words"));
	stream_finish(&a.s);
	assert_false(stream_is_open(&a.s));
	loop_run(loop);
	check_str(str_n(b.seen, b.seen_n), S("RE"), "events");
	check_str(buf_str(&b.got), S("last words"), "what was sent before");
}

static void on_unpause(struct loop_timer *t)
{
	(void)t;
	assert_int_equal(b.read_n, 0);
	stream_pause(&b.s, false);
}

static void test_pause(void **state)
{
	struct loop_timer t;

	(void)state;
	b.want_n = 5;
	stream_pause(&b.s, true);
	stream_write(&a.s, S("hello"));
	loop_timer_init(loop, &t, on_unpause);
	loop_timer_set(&t, 5);
	loop_run(loop);
	assert_int_equal(b.read_n, 5);
}

static void test_deadline(void **state)
{
	(void)state;
	b.stop_at = STREAM_TIMEOUT;
	stream_deadline(&a.s, 1);
	stream_deadline(&a.s, -1);
	stream_deadline(&b.s, 1000);
	stream_deadline(&b.s, 3);
	loop_run(loop);
	check_str(str_n(b.seen, b.seen_n), S("T"), "once");
	assert_int_equal(a.seen_n, 0);
	assert_true(stream_is_open(&b.s));
}

/* DoS-2: a peer that reads nothing.  Output is bounded, reading stops above the high mark, and both come back. */
static void test_stalled_reader(void **state)
{
	static char chunk[65536];
	size_t sent = 0;

	(void)state;
	memset(chunk, 'x', sizeof chunk);
	stream_pause(&b.s, true);
	while (stream_write(&a.s, str_n(chunk, sizeof chunk)))
		sent += sizeof chunk;
	assert_true(sent <= STREAM_OUT_MAX && sent > STREAM_OUT_MAX - sizeof chunk);
	assert_true(stream_is_choked(&a.s));
	stream_pause(&b.s, false);
	b.want_n = sent;
	loop_run(loop);
	assert_int_equal(b.read_n, sent);
	a.stop_at = STREAM_DRAINED;
	stream_write(&a.s, S("x"));
	loop_run(loop);
	assert_false(stream_is_choked(&a.s));
	assert_true(has_seen(&a, 'D'));
}

static void on_look(struct loop_timer *t)
{
	(void)t;
	loop_stop(loop);
}

/* Input that nobody takes: at most LOOP_BUFFER bytes, and the rest comes when room is made. */
static void test_full_input(void **state)
{
	static char chunk[3 * LOOP_BUFFER];
	struct loop_timer t;

	(void)state;
	b.keep_input = true;
	stream_write(&a.s, str_n(chunk, sizeof chunk));
	loop_timer_init(loop, &t, on_look);
	loop_timer_set(&t, 10);
	loop_run(loop);
	assert_int_equal(stream_in(&b.s).n, LOOP_BUFFER);
	b.keep_input = false;
	stream_consume(&b.s, 10);
	b.want_n = sizeof chunk - 10;
	loop_run(loop);
	assert_int_equal(b.read_n, sizeof chunk - 10);
	assert_int_equal(stream_in(&b.s).n, 0);
}

static void test_discard(void **state)
{
	struct loop_timer t;

	(void)state;
	b.keep_input = true;
	stream_write(&a.s, S("injected"));
	loop_timer_init(loop, &t, on_look);
	loop_timer_set(&t, 5);
	loop_run(loop);
	assert_int_equal(stream_in(&b.s).n, 8);
	stream_discard(&b.s);
	assert_int_equal(stream_in(&b.s).n, 0);
}

static void test_broken(void **state)
{
	(void)state;
	a.stop_at = STREAM_FAILED;
	stream_pause(&a.s, true);
	stream_close(&b.s);
	stream_write(&a.s, S("x"));
	loop_run(loop);
	assert_true(has_seen(&a, 'F'));
	assert_true(a.s.err.code == ERR_NET && strstr(a.s.err.text, "write") != NULL);
}

/* ---- connecting ---- */

static int open_loop(void **state)
{
	(void)state;
	loop = loop_new(NULL);
	start(&a);
	start(&b);
	return 0;
}

static void test_connect(void **state)
{
	struct net_addr at;
	struct err e;
	socklen_t n = sizeof at;

	(void)state;
	net_parse_ip(S("127.0.0.1"), 0, &at);
	int listener = net_listen(&at, 5, &e);
	getsockname(listener, &at.sa, &n);
	for (int round = 0; round < 2; round++) { /* a closed stream connects again */
		a.seen_n = a.read_n = 0;
		buf_reset(&a.got);
		a.want_n = 2;
		assert_int_equal(stream_connect(&a.s, &at, NULL, &e), 0);
		stream_write(&a.s, S("hi")); /* goes out when it is up */
		int fd = -1;
		for (int i = 0; i < 1000 && fd < 0; i++)
			fd = accept4(listener, NULL, NULL, SOCK_NONBLOCK);
		assert_true(fd >= 0);
		stream_attach(&b.s, fd, &at);
		stream_write(&b.s, S("yo"));
		loop_run(loop);
		assert_int_equal(a.seen[0], 'C');
		check_str(buf_str(&a.got), S("yo"), "answer");
		assert_int_equal(net_port(&a.s.peer), net_port(&at));
		stream_close(&a.s);
		stream_close(&b.s);
	}
	close(listener);
	a.seen_n = 0;
	a.stop_at = STREAM_FAILED;
	if (stream_connect(&a.s, &at, NULL, &e) == 0) { /* nobody listens any more */
		loop_run(loop);
		check_str(str_n(a.seen, a.seen_n), S("F"), "refused");
		assert_int_equal(a.s.err.code, ERR_NET);
	}
}

/* ---- ops under a stream: what they hold already decrypted makes no descriptor readable ---- */

enum { HELD = 200 * 1024 };

static size_t held;
static bool shook;

static ssize_t held_read(struct stream *s, char *to, size_t room)
{
	(void)s;
	size_t n = room < held ? room : held;
	if (n == 0) {
		errno = EAGAIN;
		return -1;
	}
	memset(to, 'h', n > 10000 ? n = 10000 : n);
	held -= n;
	return (ssize_t)n;
}

static size_t held_pending(struct stream *s)
{
	(void)s;
	return held;
}

static int held_shake(struct stream *s, struct err *e)
{
	(void)s, (void)e;
	shook = true;
	held = HELD;
	return 1;
}

static void held_close(struct stream *s)
{
	s->under = NULL;
}

static const struct stream_ops held_ops = {
	.read = held_read, .write = NULL, .handshake = held_shake, .pending = held_pending, .close = held_close
};

static void test_held_bytes(void **state)
{
	struct loop_timer t;

	(void)state;
	a.want_n = HELD;
	stream_secure(&a.s, &held_ops, &held, true);
	loop_timer_init(loop, &t, on_look);
	loop_timer_set(&t, 500); /* only when it hangs */
	loop_run(loop);
	assert_true(shook && has_seen(&a, 'S'));
	assert_int_equal(a.read_n, HELD);
	loop_timer_stop(&t);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_talk, open_pair, close_pair),
		cmocka_unit_test_setup_teardown(test_eof, open_pair, close_pair),
		cmocka_unit_test_setup_teardown(test_pause, open_pair, close_pair),
		cmocka_unit_test_setup_teardown(test_deadline, open_pair, close_pair),
		cmocka_unit_test_setup_teardown(test_stalled_reader, open_pair, close_pair),
		cmocka_unit_test_setup_teardown(test_full_input, open_pair, close_pair),
		cmocka_unit_test_setup_teardown(test_discard, open_pair, close_pair),
		cmocka_unit_test_setup_teardown(test_broken, open_pair, close_pair),
		cmocka_unit_test_setup_teardown(test_connect, open_loop, close_pair),
		cmocka_unit_test_setup_teardown(test_held_bytes, open_pair, close_pair),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
