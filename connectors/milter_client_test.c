/* connectors/milter_client_test.c: one filter, scripted by hand at the other end of a UNIX socket: deadlines, what ends
 * a connection, and when one serves again (hardening ML-5, ML-6). */
#include "connectors/milter_client.h"

#include "tests/unit.h"
#include "base/must.h"

#include <stdio.h>
#include <stdlib.h>
#include <unistd.h>

struct bench {
	char dir[100], path[140];
	struct loop *loop;
	struct milter_pool pool;
	struct conf_milter conf;
	struct log log;
	struct milter_client *client;
	struct op op;
	int door, fd;
	bool done;
	struct loop_timer limit;
	size_t requests;
};

static struct bench b;

static void on_done(struct op *op)
{
	(void)op;
	b.done = true;
	loop_stop(b.loop);
}

static void on_limit(struct loop_timer *t)
{
	(void)t;
	loop_stop(b.loop);
}

/* Until the client has its answer, or for so long. */
static void turn(int64_t ms)
{
	loop_timer_set(&b.limit, ms);
	loop_run(b.loop);
	loop_timer_stop(&b.limit);
}

static bool on_request(void *arg, const struct milter_answer_parts *a)
{
	(void)arg, (void)a;
	return ++b.requests < 3;
}

static void take(void)
{
	b.client = milter_client_take(&b.pool, &b.conf, &b.log);
	b.client->on_request = on_request;
	b.done = false;
}

static void says(struct str bytes)
{
	assert_true(write(b.fd, bytes.p, bytes.n) == (ssize_t)bytes.n);
}

static const struct str options_6 = STR_LIT("\0\0\0\x0dO\0\0\0\x06\0\0\1\xff\0\0\4\0"); /* all actions, SKIP */

static void connect_with(struct str options)
{
	take();
	milter_client_start(b.client, &b.op, on_done);
	turn(50);
	b.fd = accept(b.door, NULL, NULL);
	assert_true(b.fd >= 0);
	says(options);
	turn(3000);
	assert_true(b.done);
}

static bool ask(enum milter_stage s)
{
	b.done = false;
	milter_put_bare(milter_client_out(b.client), (char)milter_stage_command(s));
	return milter_client_send(b.client, s, &b.op, on_done);
}

static void hears(enum milter_stage s, struct str bytes)
{
	assert_true(ask(s));
	says(bytes);
	turn(3000);
	assert_true(b.done);
}

static void leave(void)
{
	milter_client_leave(&b.client);
	turn(20);
}

static int setup(void **state)
{
	struct err e;

	(void)state;
	b = (struct bench){ .fd = -1 };
	snprintf(b.dir, sizeof b.dir, "%s/milter-client.XXXXXX", getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp");
	must(mkdtemp(b.dir) != NULL);
	snprintf(b.path, sizeof b.path, "%s/s", b.dir);
	b.loop = loop_new(&e);
	b.door = net_listen_unix(b.path, 0600, &e);
	must(b.loop != NULL && b.door >= 0);
	loop_timer_init(b.loop, &b.limit, on_limit);
	milter_pool_init(&b.pool, b.loop);
	b.conf = (struct conf_milter){ .name = S("test"),
				       .address = S("unix:test"),
				       .path = str_c(b.path),
				       .reuse = true,
				       .connect_ms = 3000,
				       .command_ms = 500,
				       .content_ms = 3000,
				       .end_ms = 3000,
				       .progress_max_ms = 1500 };
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	milter_client_leave(&b.client);
	milter_pool_fini(&b.pool);
	loop_timer_stop(&b.limit);
	loop_free(&b.loop);
	close(b.door);
	if (b.fd >= 0)
		close(b.fd);
	unlink(b.path);
	rmdir(b.dir);
	return 0;
}

static void verdicts(void **state)
{
	(void)state;
	connect_with(options_6);
	assert_true(milter_client_is_ready(b.client) && !b.client->verdict.failed);
	hears(MILTER_AT_MAIL, S("\0\0\0\1c"));
	assert_int_equal(b.client->verdict.answer, MILTER_CONTINUE);
	hears(MILTER_AT_RCPT, S("\0\0\0\x0ey450 4.7.8 no\0"));
	assert_int_equal(b.client->verdict.reply.code, 450);
	hears(MILTER_AT_BODY, S("\0\0\0\1s"));
	assert_int_equal(b.client->verdict.answer, MILTER_SKIP);
	hears(MILTER_AT_END, S("\0\0\0\4+a@\0\0\0\0\1c"));
	assert_true(!b.client->verdict.failed && b.requests == 1);
}

static void nonsense_ends_it(void **state)
{
	static const struct {
		const char *row;
		enum milter_stage stage;
		struct str bytes;
	} rows[] = {
		{ "skip at MAIL", MILTER_AT_MAIL, STR_LIT("\0\0\0\1s") },
		{ "discard at CONNECT", MILTER_AT_CONNECT, STR_LIT("\0\0\0\1d") },
		{ "a request at MAIL", MILTER_AT_MAIL, STR_LIT("\0\0\0\4+a@\0") },
		{ "two answers", MILTER_AT_MAIL, STR_LIT("\0\0\0\1c\0\0\0\1c") },
		{ "an answer and a byte", MILTER_AT_MAIL, STR_LIT("\0\0\0\1cx") },
		{ "length 0", MILTER_AT_MAIL, STR_LIT("\0\0\0\0") },
		{ "options again", MILTER_AT_MAIL, STR_LIT("\0\0\0\x0dO\0\0\0\6\0\0\0\0\0\0\0\0") },
		{ "too many requests", MILTER_AT_END, STR_LIT("\0\0\0\4+a@\0\0\0\0\4+a@\0\0\0\0\4+a@\0\0\0\0\1c") },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		b.requests = 0;
		connect_with(options_6);
		hears(rows[i].stage, rows[i].bytes);
		check(b.client->verdict.failed && b.client->state == MILTER_DEAD, rows[i].row);
		check(b.client->verdict.why[0] != '\0', rows[i].row);
		leave();
		close(b.fd);
	}
	b.fd = -1;
}

/* Nothing came: the answer is that there is none.  What comes later finds nobody. */
static void too_late(void **state)
{
	(void)state;
	connect_with(options_6);
	assert_true(ask(MILTER_AT_MAIL));
	turn(3000);
	assert_true(b.done && b.client->verdict.failed);
	check_str(str_c(b.client->verdict.why), S("it took too long"), "why");
	leave();
	assert_true(LIST_EMPTY(&b.pool.idle));
}

/* PROGRESS gives the time again, but not for ever. */
static void busy(void **state)
{
	int rounds = 0;

	(void)state;
	connect_with(options_6);
	assert_true(ask(MILTER_AT_MAIL));
	for (; rounds < 100 && !b.done; rounds++) {
		if (write(b.fd, "\0\0\0\1p", 5) != 5)
			break;
		turn(200);
	}
	assert_true(b.done && b.client->verdict.failed);
	assert_true(rounds >= 3 && rounds < 100);
}

static void not_answered(void **state)
{
	(void)state;
	connect_with(S("\0\0\0\x0dO\0\0\0\x06\0\0\0\0\0\0\x40\1")); /* no CONNECT, no answer to MAIL */
	assert_true(!milter_client_hears(b.client, MILTER_AT_CONNECT) && milter_client_hears(b.client, MILTER_AT_MAIL));
	assert_false(ask(MILTER_AT_MAIL));
	hears(MILTER_AT_END, S("\0\0\0\1a"));
	assert_int_equal(b.client->verdict.answer, MILTER_ACCEPT);
}

static void serves_again(void **state)
{
	(void)state;
	connect_with(options_6);
	struct milter_client *first = b.client;
	leave();
	assert_true(LIST_FIRST(&b.pool.idle) == first);
	take();
	assert_true(b.client == first && b.client->used && milter_client_is_ready(b.client));
	leave();
	says(S("x")); /* to nobody */
	for (int i = 0; i < 100 && !LIST_EMPTY(&b.pool.idle); i++)
		turn(20);
	assert_true(LIST_EMPTY(&b.pool.idle));
	close(b.fd);
	/* not while an answer is open, nor with a filter that cannot do it */
	connect_with(options_6);
	assert_true(ask(MILTER_AT_MAIL));
	leave();
	assert_true(LIST_EMPTY(&b.pool.idle));
	close(b.fd);
	b.conf.reuse = false;
	connect_with(options_6);
	leave();
	assert_true(LIST_EMPTY(&b.pool.idle));
}

static void nobody_there(void **state)
{
	(void)state;
	unlink(b.path);
	take();
	milter_client_start(b.client, &b.op, on_done);
	assert_false(b.done);
	turn(3000);
	assert_true(b.done && b.client->verdict.failed && b.client->verdict.why[0] != '\0');
}

#define T(f) cmocka_unit_test_setup_teardown(f, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(verdicts),     T(nonsense_ends_it), T(too_late),     T(busy),
		T(not_answered), T(serves_again),     T(nobody_there),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
