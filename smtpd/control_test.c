/* smtpd/control_test.c: the socket and its protocol, with a verb table of its own instead of the real handlers.
 *
 * The control lives on a loop in a thread of its own; the client is here, with a blocking socket. */
#include "base/must.h"
#include "base/net.h"
#include "smtpd/control_call.h"

#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

/* ---- handlers for the test ---- */

static void run_echo(struct call *c)
{
	json_t *row = json_object();

	row_str(row, "name", args_text(c, "NAME"));
	row_bool(row, "loud", args_flag(c, "loud"));
	row_uint(row, "n", args_number(c, "count", 7));
	row_uint(row, "span", args_number(c, "older", 0));
	row_uint(row, "words", args_list_n(c, "WORD"));
	call_row(c, row);
	call_end(c, CALL_OK, NULL);
}

static void run_fail(struct call *c)
{
	call_text(c, "line %d", 1);
	call_end(c, CALL_PARTLY, "it \"broke\"\n\x01");
}

enum { FLOOD_LINES = 60000 };

struct flood {
	int n;
};
static int floods_dropped;

static void flood_some(struct call *c)
{
	struct flood *f = c->state;

	must(f != NULL);
	while (f->n < FLOOD_LINES && !c->choked(c))
		call_text(c, "%0100d", f->n++);
	if (f->n == FLOOD_LINES)
		call_end(c, CALL_OK, NULL);
}

static void flood_drop(struct call *c)
{
	free(c->state);
	__atomic_add_fetch(&floods_dropped, 1, __ATOMIC_RELAXED);
}

/* The call goes at the end of the loop's turn, a moment after its last byte. */
static void assert_dropped(int n)
{
	for (int i = 0; i < 500 && __atomic_load_n(&floods_dropped, __ATOMIC_RELAXED) < n; i++)
		usleep(2000);
	assert_int_equal(__atomic_load_n(&floods_dropped, __ATOMIC_RELAXED), n);
}

static void run_flood(struct call *c)
{
	c->state = calloc(1, sizeof(struct flood));
	c->drop = flood_drop;
	c->resume = flood_some;
	flood_some(c);
}

static pthread_t worker_thread, loop_thread;

static void run_slow(struct call *c)
{
	worker_thread = pthread_self();
	usleep(20000);
	call_text(c, "slow");
	call_end(c, CALL_OK, NULL);
}

static void run_file(struct call *c)
{
	FILE *f = tmpfile();

	must(f != NULL);
	for (int i = 0; i < 40000; i++)
		fprintf(f, "row %d \xc3\xa4\n", i);
	fflush(f);
	c->file = dup(fileno(f));
	fclose(f);
	lseek(c->file, 0, SEEK_SET);
	call_end(c, CALL_OK, NULL);
}

static const struct verb_arg echo_args[] = {
	{ "NAME", ARG_TEXT, ARG_MUST, NULL, "" },    { "loud", ARG_FLAG, ARG_OPTION, NULL, "" },
	{ "count", ARG_COUNT, ARG_OPTION, "", "" },  { "older", ARG_SPAN, ARG_OPTION, "", "" },
	{ "rcpt", ARG_ADDRESS, ARG_OPTION, "", "" }, { "size", ARG_BYTES, ARG_OPTION, "", "" },
	{ "WORD", ARG_LIST, ARG_REST, "", "" },      { 0 },
};

const struct verb control_verbs[] = {
	{ "test", "echo", VERB_OPERATOR, VERB_LOOP, run_echo, echo_args, "" },
	{ "test", "fail", 0, VERB_LOOP, run_fail, NULL, "" },
	{ "test", "flood", 0, VERB_LOOP, run_flood, NULL, "" },
	{ "test", "slow", 0, VERB_WORKER, run_slow, NULL, "" },
	{ "test", "file", 0, VERB_WORKER, run_file, NULL, "" },
	{ "test", "local", 0, VERB_LOCAL, run_fail, NULL, "" },
	{ "status", "", 0, VERB_LOOP, run_fail, NULL, "" },
};
const size_t control_verb_n = sizeof control_verbs / sizeof control_verbs[0];

/* ---- a control and a client ---- */

struct bench {
	struct loop *loop;
	struct control *control;
	struct config *config;
	char path[64];
	pthread_t thread;
	bool running;
	/* the client's */
	size_t at_a_time; /* bytes a write; 0 = all */
	bool leave, slow_reader;
	struct buf answer;
};

static const struct config *bench_config(void *arg)
{
	return ((struct bench *)arg)->config;
}

static void *run_loop(void *arg)
{
	struct bench *b = arg;

	loop_thread = pthread_self();
	loop_run(b->loop);
	return NULL;
}

static void stop_loop(struct bench *b)
{
	if (!b->running)
		return;
	b->running = false;
	loop_stop(b->loop);
	pthread_join(b->thread, NULL);
}

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof *b);
	struct control_hooks h = { .arg = b, .config = bench_config };
	struct buf problems;
	struct err e = { 0 };

	must(b != NULL);
	buf_init(&problems, 65536);
	b->config = config_parse(
		S("hostname = \"mx.example\"\n"
		  "domain \"x.example\" { type = authoritative }\n"
		  "receive \"in\" { listen = {\"127.0.0.1:2525\"} from = {\"0/0\"} permissions = {anonymous} }\n"),
		"test", &problems);
	if (b->config == NULL)
		fail_msg("%s", buf_cstr(&problems));
	buf_fini(&problems);
	b->loop = loop_new(&e);
	snprintf(b->path, sizeof b->path, "/tmp/control-test-%d", (int)getpid());
	b->control = control_open(b->loop, b->path, &h, &e);
	if (b->control == NULL)
		fail_msg("%s", e.text);
	buf_init(&b->answer, 64 * 1024 * 1024);
	assert_int_equal(pthread_create(&b->thread, NULL, run_loop, b), 0);
	b->running = true;
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;

	stop_loop(b);
	control_close(&b->control);
	loop_free(&b->loop);
	config_unref(&b->config);
	buf_fini(&b->answer);
	free(b);
	return 0;
}

static struct str converse(struct bench *b, struct str request)
{
	int fd = net_connect_unix(b->path, NULL);
	ssize_t n;

	must(fd >= 0);
	buf_reset(&b->answer);
	while (request.n > 0) {
		size_t want = b->at_a_time > 0 && b->at_a_time < request.n ? b->at_a_time : request.n;
		if ((n = send(fd, request.p, want, MSG_NOSIGNAL)) <= 0)
			break;
		request = str_skip(request, (size_t)n);
	}
	if (b->slow_reader)
		usleep(100000);
	while (!b->leave && (n = read(fd, buf_reserve(&b->answer, 65536), 65536)) > 0)
		buf_commit(&b->answer, (size_t)n);
	close(fd);
	if (b->leave)
		usleep(60000); /* the daemon notices, and a worker ends its job */
	return buf_str(&b->answer);
}

#define assert_answer(b, request, expected) \
	do { \
		struct str got_ = converse((b), S(request)); \
		if (!str_eq(got_, S(expected))) \
			fail_msg("%s\n got: " STR_FMT "\nwant: %s", request, STR_ARG(got_), expected); \
	} while (0)

#define ECHO(args)    "{\"cmd\":[\"test\",\"echo\"],\"args\":{" args "}}\n"
#define REFUSED(text) "{\"exit\":2,\"error\":\"" text "\"}\n"

/* ---- the tests ---- */

static void test_answers(void **state)
{
	struct bench *b = *state;

	assert_answer(
		b, ECHO("\"NAME\":\"a b\",\"loud\":true,\"older\":\"2h\",\"WORD\":[\"x\",\"y\"]"),
		"{\"row\":{\"name\":\"a b\",\"loud\":true,\"n\":7,\"span\":7200000,\"words\":2}}\n{\"exit\":0}\n");
	assert_answer(b, "{\"cmd\":[\"test\",\"fail\"]}\n",
		      "{\"text\":\"line 1\"}\n{\"exit\":3,\"error\":\"it \\\"broke\\\"\\n\\u0001\"}\n");
	assert_answer(b, "{\"cmd\":[\"status\"]}\nmore that nobody reads\n",
		      "{\"text\":\"line 1\"}\n{\"exit\":3,\"error\":\"it \\\"broke\\\"\\n\\u0001\"}\n");
	b->at_a_time = 1;
	assert_answer(b, ECHO("\"NAME\":\"\",\"count\":3"),
		      "{\"row\":{\"name\":\"\",\"loud\":false,\"n\":3,\"span\":0,\"words\":0}}\n{\"exit\":0}\n");
}

static void test_refusals(void **state)
{
	struct bench *b = *state;

	assert_answer(b, ECHO(""), REFUSED("VALUE is missing; see: tombolo test echo --help"));
	assert_answer(b, ECHO("\"NAME\":\"a\\r\\nRCPT TO:<x>\""), REFUSED("NAME: control bytes are not allowed"));
	assert_answer(b, ECHO("\"NAME\":\"a\",\"WORD\":[\"\\u007f\"]"), REFUSED("WORD: control bytes are not allowed"));
	assert_answer(b, ECHO("\"NAME\":5"), REFUSED("NAME: a text is expected"));
	assert_answer(b, ECHO("\"NAME\":\"a\",\"loud\":\"yes\""), REFUSED("loud: true or false is expected"));
	assert_answer(b, ECHO("\"NAME\":\"a\",\"count\":-1"), REFUSED("count: a number is expected"));
	assert_answer(b, ECHO("\"NAME\":\"a\",\"count\":\"99999999999999999999\""),
		      REFUSED("count: a number is expected"));
	assert_answer(b, ECHO("\"NAME\":\"a\",\"older\":\"2 hours\""),
		      REFUSED("older: a duration like 90s, 15m, 2h or 1d is expected"));
	assert_answer(b, ECHO("\"NAME\":\"a\",\"size\":\"99999999999999G\""),
		      REFUSED("size: a size like 4096, 64K or 12M is expected"));
	assert_answer(b, ECHO("\"NAME\":\"a\",\"rcpt\":\"not an address\""),
		      REFUSED("rcpt: not a mailbox address like user@example.com"));
	assert_answer(b, ECHO("\"NAME\":\"a\",\"rcpt\":\"@hop:u@x.example\""),
		      REFUSED("rcpt: not a mailbox address like user@example.com"));
	assert_answer(b, ECHO("\"NAME\":\"a\",\"evil\":1"), REFUSED("test echo has no argument of that name"));
	assert_answer(b, "{\"cmd\":[\"test\",\"local\"]}\n",
		      REFUSED("the daemon has no such command; is it older than this tombolo?"));
	assert_answer(b, "{\"cmd\":[\"test\",\"none\"],\"args\":{}}\n",
		      REFUSED("the daemon has no such command; is it older than this tombolo?"));
	assert_answer(b, "{\"cmd\":[\"test\",\"echo\"],\"args\":[]}\n", REFUSED("args: an object is expected"));
}

/* Dropped without a word, and the next client is served. */
static void test_garbage(void **state)
{
	static const struct str garbage[] = {
		STR_LIT("\n"),
		STR_LIT("EHLO x\r\n"),
		STR_LIT("GET / HTTP/1.0\r\n\r\n"),
		STR_LIT("{}\n"),
		STR_LIT("[]\n"),
		STR_LIT("{\"cmd\":\"test\"}\n"),
		STR_LIT("{\"cmd\":[1,2]}\n"),
		STR_LIT("{\"cmd\":[\"test\",\"echo\",\"x\"]}\n"),
		STR_LIT("{\"cmd\":[\"test\",\"fail\"],\"cmd\":[\"test\",\"fail\"]}\n"),
		STR_LIT("{\"cmd\":[\"test\",\"fail\\u0000\"]}\n"),
		STR_LIT("\0\0\0\n"),
		STR_LIT("\xff\xfe\n"),
		STR_LIT("{\"cmd\":[\"test\",\"fail\"]\n"),
	};
	struct bench *b = *state;
	struct str got;

	for (size_t i = 0; i < sizeof garbage / sizeof garbage[0]; i++) {
		got = converse(b, garbage[i]);
		if (got.n > 0)
			fail_msg("garbage %zu was answered: " STR_FMT, i, STR_ARG(got));
	}
	struct buf big;
	buf_init(&big, 4 * 1024 * 1024);
	while (big.n < 200000)
		buf_addc(&big, big.n < 100000 ? '[' : 'x');
	assert_int_equal(converse(b, buf_str(&big)).n, 0); /* no end of line in 64 KiB */
	big.p[60000] = '\n';
	big.n = 60001;
	assert_int_equal(converse(b, buf_str(&big)).n, 0); /* nested too deep */
	buf_fini(&big);
	got = converse(b, S("{\"cmd\":[\"test\",\"slow\"]}\n"));
	assert_true(str_eq(got, S("{\"text\":\"slow\"}\n{\"exit\":0}\n")));
}

static void test_worker(void **state)
{
	struct bench *b = *state;

	assert_answer(b, "{\"cmd\":[\"test\",\"slow\"]}\n", "{\"text\":\"slow\"}\n{\"exit\":0}\n");
	assert_false(pthread_equal(worker_thread, loop_thread));
	/* the client leaves: the job is finished, the answer thrown away */
	b->leave = true;
	converse(b, S("{\"cmd\":[\"test\",\"slow\"]}\n"));
	b->leave = false;
	assert_answer(b, "{\"cmd\":[\"test\",\"slow\"]}\n", "{\"text\":\"slow\"}\n{\"exit\":0}\n");
}

static void test_file(void **state)
{
	struct bench *b = *state;
	struct str rest = converse(b, S("{\"cmd\":[\"test\",\"file\"]}\n")), line;
	size_t lines = 0, rows = 0;

	while (rest.n > 0) {
		str_cut(rest, '\n', &line, &rest);
		json_t *j = json_loadb(line.p, line.n, 0, NULL);
		assert_non_null(j);
		const char *data = json_string_value(json_object_get(j, "data"));
		for (; data != NULL && *data != '\0'; data++) {
			rows += *data == '\n';
			assert_true(*data != '?'); /* no character was cut in two */
		}
		if (rest.n == 0)
			assert_int_equal(json_integer_value(json_object_get(j, "exit")), 0);
		json_decref(j);
		lines++;
	}
	assert_int_equal(rows, 40000);
	assert_true(lines > 10);
}

static void test_back_pressure(void **state)
{
	struct bench *b = *state;

	b->slow_reader = true;
	struct str got = converse(b, S("{\"cmd\":[\"test\",\"flood\"]}\n"));
	assert_true(got.n > (size_t)FLOOD_LINES * 100);
	assert_true(str_ends(got, S("{\"exit\":0}\n")));
	assert_dropped(1);
	b->leave = true; /* in the middle of it */
	converse(b, S("{\"cmd\":[\"test\",\"flood\"]}\n"));
	assert_dropped(2);
}

/* Closing with a job on the worker and a flood under way. */
static void test_close(void **state)
{
	struct bench *b = *state;
	int fds[2];

	for (int i = 0; i < 2; i++) {
		struct str request =
			i == 0 ? S("{\"cmd\":[\"test\",\"flood\"]}\n") : S("{\"cmd\":[\"test\",\"slow\"]}\n");
		fds[i] = net_connect_unix(b->path, NULL);
		assert_int_equal(send(fds[i], request.p, request.n, 0), request.n);
	}
	assert_true(converse(b, S("{\"cmd\":[\"test\",\"fail\"]}\n")).n > 0);
	stop_loop(b);
	floods_dropped = 0;
	control_close(&b->control);
	loop_free(&b->loop);
	assert_int_equal(floods_dropped, 1);
	assert_int_equal(access(b->path, F_OK), -1);
	close(fds[0]);
	close(fds[1]);
}

static void test_taken(void **state)
{
	struct bench *b = *state;
	struct control_hooks h = { .arg = b, .config = bench_config };
	struct err e = { 0 };

	assert_null(control_open(b->loop, b->path, &h, &e));
	assert_int_equal(e.code, ERR_BUSY);
}

static void test_unclean_values(void **state)
{
	static const struct {
		struct str in, out;
	} cases[] = {
		{ STR_LIT("plain"), STR_LIT("plain") },      { STR_LIT("\xc3\xa4"), STR_LIT("\xc3\xa4") },
		{ STR_LIT("a\xff"), STR_LIT("a?") },         { STR_LIT("a\0b"), STR_LIT("a?b") },
		{ STR_LIT("\xed\xa0\x80"), STR_LIT("???") }, { STR_LIT(""), STR_LIT("") },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof cases[0]; i++) {
		json_t *j = json_of_str(cases[i].in);
		assert_true(str_eq(str_n(json_string_value(j), json_string_length(j)), cases[i].out));
		json_decref(j);
	}
}

#define WITH_BENCH(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = {
		WITH_BENCH(test_answers), WITH_BENCH(test_refusals), WITH_BENCH(test_garbage),
		WITH_BENCH(test_worker),  WITH_BENCH(test_file),     WITH_BENCH(test_back_pressure),
		WITH_BENCH(test_close),   WITH_BENCH(test_taken),    cmocka_unit_test(test_unclean_values),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
