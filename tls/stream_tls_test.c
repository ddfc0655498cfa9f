/* Tests of a stream with TLS under it: long transfers through small sockets, pauses while decrypted bytes wait, clean
 * and unclean ends, use from inside handlers, use again after close. */
#include "tests/kit/openssl_rogue.h"
#include "tests/unit.h"
#include "tls/test_pair.h"

#include <signal.h>

#define ALL(t) (sizeof(t) / sizeof *(t))

static const struct conf_tls tls_conf = { .min = STR_LIT("1.2") };
static struct tls_ctx *server_ctx, *client_ctx;

static int make_contexts(void **state)
{
	struct err e = { 0 };

	if (certs_make(state) != 0)
		return -1;
	struct tls_server_options so = { .certificate = cert("server.pem"),
					 .key = cert("server.key"),
					 .ca = cert("ca.pem"),
					 .tls = &tls_conf,
					 .id_context = S("in"),
					 .allow_expired = false };
	struct tls_client_options co = { .ca = cert("ca.pem"), .tls = &tls_conf };
	server_ctx = tls_server_new(&so, &e);
	client_ctx = tls_client_new(&co, &e);
	return server_ctx != NULL && client_ctx != NULL ? 0 : -1;
}

static int free_contexts(void **state)
{
	tls_ctx_unref(&server_ctx);
	tls_ctx_unref(&client_ctx);
	return certs_remove(state);
}

static void open_secured(struct pair *p, int buffer_bytes, void (*step)(struct pair *, struct end *, enum stream_event))
{
	pair_open(p, buffer_bytes);
	p->server.ctx = server_ctx;
	p->client.ctx = client_ctx;
	p->step = step;
	pair_secure(p);
}

static char *pattern(size_t n)
{
	char *p = malloc(n);

	must(p != NULL);
	for (size_t i = 0; i < n; i++)
		p[i] = (char)(i * 2654435761U >> 24);
	return p;
}

/* ---- a megabyte each way at once ---- */

enum { MEGABYTE = 1024 * 1024 };
static char *megabyte;

/* Pieces below the high mark: above it a stream stops reading, and two ends that both only write would wait for ever.
 */
static void step_both_ways(struct pair *p, struct end *from, enum stream_event e)
{
	if ((e == STREAM_SECURED || e == STREAM_DRAINED) && from->put < MEGABYTE) {
		assert_true(stream_write(&from->s, str_n(megabyte + from->put, MEGABYTE / 16)));
		from->put += MEGABYTE / 16;
	}
	if (e == STREAM_READABLE) {
		struct str in = stream_in(&from->s);
		assert_true(from->got + in.n <= MEGABYTE);
		assert_memory_equal(in.p, megabyte + from->got, in.n);
		from->got += in.n;
		stream_consume(&from->s, in.n);
	}
	if (e == STREAM_FAILED || (p->client.got == MEGABYTE && p->server.got == MEGABYTE &&
				   stream_unsent(&p->client.s) + stream_unsent(&p->server.s) == 0))
		pair_done(p);
}

static void test_both_ways(void **state)
{
	struct pair p;
	(void)state;

	megabyte = pattern(MEGABYTE);
	open_secured(&p, 4096, step_both_ways);
	p.client.keep = p.server.keep = true;
	pair_run(&p);
	assert_false(p.timed_out);
	assert_int_equal(p.client.got, MEGABYTE);
	assert_int_equal(p.server.got, MEGABYTE);
	assert_null(p.client.s.in); /* nothing waits, nothing is held */
	assert_int_equal(p.client.s.out.cap, 0);
	pair_close(&p);
	free(megabyte);
}

/* ---- pauses: what is decrypted already makes no descriptor readable ---- */

static void on_resume(struct loop_timer *t)
{
	struct pair *p = container_of(t, struct pair, limit);

	stream_pause(&p->client.s, false);
	t->fn = pair_on_limit;
	loop_timer_set(t, 5000);
}

/* The server writes one burst; the client pauses at each READABLE and resumes 1 ms later, until all has come. */
static void step_pausing(struct pair *p, struct end *from, enum stream_event e)
{
	if (e == STREAM_SECURED && from == &p->server)
		for (int i = 0; i < 100; i++) { /* many records in few packets */
			stream_write(&from->s, str_n(megabyte + (size_t)i * 100, 100));
			stream_flush_later(&from->s);
		}
	if (e == STREAM_READABLE && from == &p->client) {
		p->count++;
		stream_pause(&from->s, true);
		p->limit.fn = on_resume;
		loop_timer_set(&p->limit, 1);
	}
	if (e == STREAM_FAILED || p->client.got == 10000)
		pair_done(p);
}

static void test_pause(void **state)
{
	struct pair p;
	(void)state;

	megabyte = pattern(MEGABYTE);
	open_secured(&p, 0, step_pausing);
	pair_run(&p);
	assert_false(p.timed_out);
	assert_int_equal(p.client.got, 10000);
	pair_close(&p);
	free(megabyte);
}

/* The input buffer fills up and stays full; taking a little at a time still gets everything, TLS or not. */
static void on_take(struct loop_timer *t)
{
	struct pair *p = container_of(t, struct pair, limit);
	struct stream *s = &p->client.s;
	size_t n = s->in_n < 30000 ? s->in_n : 30000;

	p->client.got += n;
	stream_consume(s, n);
	if (p->client.got == MEGABYTE)
		pair_done(p);
	else
		loop_timer_set(t, 0);
}

static void step_full(struct pair *p, struct end *from, enum stream_event e)
{
	if (e == STREAM_SECURED && from == &p->server)
		stream_write(&from->s, str_n(megabyte, MEGABYTE));
	if (e == STREAM_READABLE && from == &p->client && from->s.in_n == LOOP_BUFFER && p->count++ == 0) {
		p->limit.fn = on_take;
		loop_timer_set(&p->limit, 0);
	}
	if (e == STREAM_FAILED)
		pair_done(p);
}

static void test_full_input(void **state)
{
	struct pair p;
	(void)state;

	megabyte = pattern(MEGABYTE);
	open_secured(&p, 0, step_full);
	p.client.keep = true;
	pair_run(&p);
	assert_int_equal(p.client.got, MEGABYTE);
	pair_close(&p);
	free(megabyte);
}

/* ---- ends ---- */

enum ending { CLOSE, FINISH, CUT, CUT_IN_HANDSHAKE, GARBAGE };

static void end_it(struct pair *p)
{
	struct stream *s = &p->server.s;

	if (p->count == CLOSE)
		stream_close(s);
	if (p->count == FINISH) {
		stream_write(s, S("bye"));
		stream_finish(s);
	}
	if (p->count == CUT || p->count == CUT_IN_HANDSHAKE)
		shutdown(s->fd, SHUT_RDWR);
	if (p->count == GARBAGE)
		must(send(s->fd, "not a TLS record", 16, MSG_NOSIGNAL) == 16);
}

static void step_ending(struct pair *p, struct end *from, enum stream_event e)
{
	if (e == STREAM_SECURED && from == &p->server && p->count != CUT_IN_HANDSHAKE)
		stream_write(&from->s, S("hi"));
	if (e == STREAM_READABLE && from == &p->client && from->got == 2)
		end_it(p);
	if (from == &p->client && (e == STREAM_EOF || e == STREAM_FAILED))
		pair_done(p);
}

static void test_endings(void **state)
{
	static const struct {
		enum ending how;
		enum stream_event expect;
		enum err_code code;
		const char *got;
	} table[] = {
		{ CLOSE, STREAM_EOF, ERR_NONE, "hi" },     { FINISH, STREAM_EOF, ERR_NONE, "hibye" },
		{ CUT, STREAM_FAILED, ERR_NET, "hi" },     { CUT_IN_HANDSHAKE, STREAM_FAILED, ERR_TLS, "" },
		{ GARBAGE, STREAM_FAILED, ERR_TLS, "hi" },
	};
	(void)state;

	for (size_t i = 0; i < ALL(table); i++) {
		struct pair p;
		open_secured(&p, 0, step_ending);
		p.count = table[i].how;
		if (table[i].how == CUT_IN_HANDSHAKE)
			end_it(&p);
		pair_run(&p);
		assert_false(p.timed_out);
		assert_true(end_saw(&p.client, table[i].expect));
		assert_int_equal(p.client.s.err.code, table[i].code);
		assert_true(str_eq(str_n(p.client.text, p.client.got), str_c(table[i].got)));
		pair_close(&p);
	}
}

/* ---- inside handlers ---- */

/* Closes the stream from the handler of event number `count`, whichever it is. */
static void step_closing(struct pair *p, struct end *from, enum stream_event e)
{
	if (e == STREAM_SECURED || e == STREAM_READABLE)
		stream_write(&from->s, S("some bytes"));
	if (p->count-- == 0)
		stream_close(&from->s);
	if (!stream_is_open(&p->client.s) || !stream_is_open(&p->server.s) || e == STREAM_FAILED || e == STREAM_EOF)
		pair_done(p);
}

static void test_close_inside_handlers(void **state)
{
	(void)state;
	for (size_t at = 0; at < 12; at++) {
		struct pair p;
		open_secured(&p, 0, step_closing);
		p.count = at;
		pair_run(&p);
		assert_false(p.timed_out);
		assert_true(!stream_is_open(&p.client.s) || !stream_is_open(&p.server.s));
		assert_true(stream_is_open(&p.client.s) || tls_peer(&p.client.s) == NULL);
		pair_close(&p);
	}
}

/* A stream that was closed with a task still queued serves the next connection, in clear. */
static void step_again(struct pair *p, struct end *from, enum stream_event e)
{
	struct net_addr nowhere = { .v4 = { .sin_family = AF_INET } };
	int fds[2];

	if (e == STREAM_READABLE && from == &p->client && p->count == 0) {
		p->count++;
		must(socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
		stream_write(&from->s, S("never sent"));
		stream_close(&p->client.s);
		stream_close(&p->server.s);
		stream_attach(&p->client.s, fds[0], &nowhere);
		stream_attach(&p->server.s, fds[1], &nowhere);
		p->client.got = p->server.got = 0;
		stream_write(&p->server.s, S("in clear"));
	} else if (e == STREAM_READABLE || e == STREAM_FAILED || e == STREAM_EOF) {
		pair_done(p);
	} else if (e == STREAM_SECURED && from == &p->server) {
		stream_write(&from->s, S("secret"));
	}
}

static void test_use_again(void **state)
{
	struct pair p;
	(void)state;

	open_secured(&p, 0, step_again);
	pair_run(&p);
	assert_false(p.timed_out);
	assert_true(str_eq(str_n(p.client.text, p.client.got), S("in clear")));
	assert_null(tls_peer(&p.client.s));
	pair_close(&p);
}

/* ---- STARTTLS: what the peer sent in clear must not become part of the secured stream ---- */

static void step_leftover(struct pair *p, struct end *from, enum stream_event e)
{
	if (e == STREAM_READABLE && from == &p->server)
		pair_done(p);
}

static void test_leftovers(void **state)
{
	struct pair p;
	int status;
	(void)state;

	pair_open(&p, 0);
	p.step = step_leftover;
	p.server.keep = true;
	stream_write(&p.client.s, S("STARTTLS\r\nEHLO evil\r\n"));
	pair_run(&p);
	assert_int_equal(p.server.s.in_n, 21);
	pid_t pid = fork();
	if (pid == 0) {
		signal(SIGABRT, SIG_DFL);
		close(2);
		tls_accept(&p.server.s, server_ctx);
		_exit(0);
	}
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	stream_discard(&p.server.s);
	tls_accept(&p.server.s, server_ctx);
	pair_close(&p);
}

/* A client that asks for TLS and ends its side in the same breath gets a failed handshake, not a dead server. */
static void step_half_closed(struct pair *p, struct end *from, enum stream_event e)
{
	if (from == &p->server && e == STREAM_EOF)
		tls_accept(&from->s, p->server.ctx);
	if (from == &p->server && e == STREAM_FAILED)
		pair_done(p);
}

static void test_half_closed(void **state)
{
	struct pair p;
	(void)state;

	pair_open(&p, 0);
	p.server.ctx = server_ctx;
	p.step = step_half_closed;
	shutdown(p.client.s.fd, SHUT_WR);
	pair_run(&p);
	assert_false(p.timed_out);
	assert_int_equal(p.server.s.err.code, ERR_TLS);
	pair_close(&p);
}

/* ---- messages of a handshake without end: KeyUpdate (hardening ST-R2), and early data ---- */

static struct end *flooder;
static unsigned floods, sent_n;

/* The other end hears "x" behind the first few updates, and gives up on the rest. */
static void step_flood(struct pair *p, struct end *from, enum stream_event e)
{
	struct end *victim = flooder == &p->client ? &p->server : &p->client;

	if (e == STREAM_SECURED && from == flooder) {
		sent_n = rogue_update_keys(&from->s, floods);
		stream_write(&from->s, S("x"));
	}
	if (from == victim && (e == STREAM_FAILED || e == STREAM_READABLE))
		pair_done(p);
}

static void test_key_updates(void **state)
{
	static const struct {
		const char *row;
		bool client;
		unsigned n;
		bool heard;
	} rows[] = {
		{ "a client, a few", true, 30, true },
		{ "a server, a few", false, 30, true },
		{ "a client, 10000", true, 10000, false },
		{ "a server, 10000", false, 10000, false },
	};
	struct pair p;

	(void)state;
	for (size_t i = 0; i < ALL(rows); i++) {
		pair_open(&p, 1 << 20);
		p.server.ctx = server_ctx;
		p.client.ctx = client_ctx;
		p.step = step_flood;
		flooder = rows[i].client ? &p.client : &p.server;
		struct end *victim = rows[i].client ? &p.server : &p.client;
		floods = rows[i].n;
		pair_secure(&p);
		pair_run(&p);
		check(!p.timed_out, rows[i].row);
		check(sent_n > (rows[i].heard ? 29 : 600), rows[i].row); /* as many as the socket takes */
		check((victim->got == 1) == rows[i].heard, rows[i].row);
		check(rows[i].heard || victim->s.err.code == ERR_TLS, rows[i].row);
		check(rows[i].heard || str_find(str_c(victim->s.err.text), S("flood")) >= 0, rows[i].row);
		pair_close(&p);
	}
}

static void test_early_data(void **state)
{
	struct tls_client_options co = { .ca = cert("ca.pem"), .tls = &tls_conf };
	struct tls_ctx *own = tls_client_new(&co, NULL);
	struct pair p;

	(void)state;
	assert_non_null(own);
	for (int visit = 0; visit < 2; visit++) {
		pair_open(&p, 0);
		p.server.ctx = server_ctx;
		p.client.ctx = own;
		p.client.session_key = S("early");
		p.step = step_hello;
		pair_secure(&p);
		/* the context takes no early data, whatever the session says */
		if (visit == 1)
			assert_true(rogue_speak_early(&p.client.s, S("MAIL FROM:<early@x.example>\r\n")));
		pair_run(&p);
		assert_false(p.timed_out);
		assert_true(str_eq(str_n(p.client.text, p.client.got), S("hi")));
		assert_true(tls_peer(&p.client.s)->resumed == (visit == 1));
		assert_false(rogue_was_heard_early(&p.client.s));
		assert_int_equal(p.server.got, 0);
		pair_close(&p);
	}
	tls_ctx_unref(&own);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_both_ways),
					    cmocka_unit_test(test_pause),
					    cmocka_unit_test(test_full_input),
					    cmocka_unit_test(test_endings),
					    cmocka_unit_test(test_close_inside_handlers),
					    cmocka_unit_test(test_use_again),
					    cmocka_unit_test(test_leftovers),
					    cmocka_unit_test(test_half_closed),
					    cmocka_unit_test(test_key_updates),
					    cmocka_unit_test(test_early_data) };

	return cmocka_run_group_tests_name("tls/stream", tests, make_contexts, free_contexts);
}
