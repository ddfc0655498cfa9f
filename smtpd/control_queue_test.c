/* smtpd/control_queue_test.c: `tombolo queue ...` against a real queue, through the socket.
 *
 * The loop runs in a thread of its own and defers all that it is handed; the client is here, with a blocking socket. */
#include "base/must.h"
#include "base/net.h"
#include "base/time.h"
#include "smtpd/control_call.h"

#include <ftw.h>
#include <pthread.h>
#include <setjmp.h>
#include <stdarg.h>
#include <unistd.h>

#include <cmocka.h>

enum { MESSAGES = 40 };

struct bench {
	char dir[64], path[96];
	struct config *config;
	struct queue *queue;
	struct queue_port *port;
	struct loop *loop;
	struct control *control;
	pthread_t thread;
	struct buf answer;
};

static const struct config *bench_config(void *arg)
{
	return ((struct bench *)arg)->config;
}

static void defer_lease(void *arg, struct lease *l)
{
	struct outcome o[8];
	size_t n = 0;

	(void)arg;
	for (; n < l->rcpt_n; n++)
		o[n] = (struct outcome){ .index = l->rcpts[n].index,
					 .kind = OUTCOME_DEFERRED,
					 .due_ms = clock_wall_ms() + 3600000,
					 .text = S("451 4.2.1 later \x1b[2J\xff") };
	lease_settle(&l, o, n);
}

static void spool_one(struct bench *b, int i, struct commit *c, void (*done)(struct op *))
{
	struct err e = { 0 };
	char from[64], to[64];
	struct spool *s = spool_begin(b->port, &e);

	if (s == NULL)
		fail_msg("%s", e.text);
	snprintf(from, sizeof from, "s%d@x.example", i);
	snprintf(to, sizeof to, "r%d@%s.example", i, i % 2 == 0 ? "even" : "odd");
	const struct env_rcpt rcpts[] = { { .addr = str_c(to) }, { .addr = S("all@both.example") } };
	struct envelope env = { .from = i == 0 ? STR_NONE : str_c(from),
				.trace_id = S("trace"),
				.arrived_ms = clock_wall_ms() - 7200000,
				.rcpts = rcpts,
				.rcpt_n = 2 };
	assert_int_equal(spool_write(s, S("Subject: t\r\n\r\nhi\r\n"), &e), 0);
	spool_commit(&s, &env, c, done);
}

static void on_commit(struct op *op)
{
	must(container_of(op, struct commit, op)->ok);
}

static void *run_loop(void *arg)
{
	loop_run(((struct bench *)arg)->loop);
	return NULL;
}

static struct str ask(struct bench *b, const char *verb, const char *args)
{
	int fd = net_connect_unix(b->path, NULL);
	char request[1000];
	ssize_t n;

	must(fd >= 0);
	snprintf(request, sizeof request, "{\"cmd\":[\"queue\",\"%s\"],\"args\":{%s}}\n", verb, args);
	must(send(fd, request, strlen(request), MSG_NOSIGNAL) > 0);
	buf_reset(&b->answer);
	while ((n = read(fd, buf_reserve(&b->answer, 65536), 65536)) > 0)
		buf_commit(&b->answer, (size_t)n);
	close(fd);
	return buf_str(&b->answer);
}

static size_t count(struct str s, struct str what)
{
	size_t n = 0;

	for (ssize_t at; (at = str_find(s, what)) >= 0; n++)
		s = str_skip(s, (size_t)at + what.n);
	return n;
}

static int setup(void **state)
{
	static struct commit commits[MESSAGES];
	struct bench *b = calloc(1, sizeof *b);
	struct control_hooks h = { .arg = b, .config = bench_config };
	struct buf text;
	struct err e = { 0 };

	must(b != NULL);
	memset(commits, 0, sizeof commits);
	snprintf(b->dir, sizeof b->dir, "/tmp/queue-verbs-XXXXXX");
	assert_non_null(mkdtemp(b->dir));
	snprintf(b->path, sizeof b->path, "%s/control", b->dir);
	buf_init(&text, 65536);
	buf_init(&b->answer, 16 * 1024 * 1024);
	buf_addf(&text, "queue { path = \"%s/queue\" segment_size = 4M map_size = 64M keep_free = 0 }\n", b->dir);
	buf_add(&text, S("hostname = \"mx.example\"\ndomain \"x.example\" { type = authoritative }\n"
			 "receive \"in\" { listen = {\"127.0.0.1:2525\"} permissions = {anonymous} }\n"));
	b->config = config_parse(buf_str(&text), "test", &b->answer);
	if (b->config == NULL)
		fail_msg("%s", buf_cstr(&b->answer));
	buf_fini(&text);
	b->loop = loop_new(&e);
	b->queue = queue_open(&b->config->queue, &(struct queue_recovery){ 0 }, &e);
	if (b->queue == NULL)
		fail_msg("%s", e.text);
	b->port = queue_attach(b->queue, b->loop, defer_lease, b);
	h.queue = b->queue;
	h.port = b->port;
	b->control = control_open(b->loop, b->path, &h, &e);
	assert_non_null(b->control);
	for (int i = 0; i < MESSAGES; i++)
		spool_one(b, i, &commits[i], on_commit);
	assert_int_equal(pthread_create(&b->thread, NULL, run_loop, b), 0);
	for (int i = 0; i < 500; i++) { /* until all have been tried */
		if (count(ask(b, "list", "\"deferred\":true,\"max\":0"), S("{\"row\":")) == 2 * MESSAGES)
			break;
		usleep(5000);
	}
	*state = b;
	return 0;
}

static int remove_one(const char *path, const struct stat *st, int kind, struct FTW *at)
{
	(void)st, (void)kind, (void)at;
	return remove(path);
}

static int teardown(void **state)
{
	struct bench *b = *state;

	loop_stop(b->loop);
	pthread_join(b->thread, NULL);
	control_close(&b->control);
	queue_detach(&b->port);
	queue_close(&b->queue);
	loop_free(&b->loop);
	config_unref(&b->config);
	buf_fini(&b->answer);
	nftw(b->dir, remove_one, 16, FTW_DEPTH | FTW_PHYS);
	free(b);
	return 0;
}

/* Rows run in order on one queue: 40 messages of two recipients, all deferred. */
static const struct {
	const char *verb, *args;
	size_t rows;
	const char *holds[3];
} rows[] = {
	{ "list", "", 80, { "{\"exit\":0}", "\"state\":\"deferred\"", "451 4.2.1 later \\u001B[2J?" } },
	{ "list", "\"max\":3", 3, { "\"note\":\"more recipients match" } },
	{ "list", "\"to\":\"odd.example\"", 20, { "{\"exit\":0}" } },
	{ "list", "\"to\":\"@even.example\"", 20, { "{\"exit\":0}" } },
	{ "list", "\"to\":\"R2@Even.example\"", 1, { "{\"exit\":0}" } },
	{ "list", "\"from\":\"s3@x.example\"", 2, { "{\"exit\":0}" } },
	{ "list", "\"from\":\"s3@x.example\",\"to\":\"even.example\"", 0, { "{\"exit\":1" } },
	{ "list", "\"older\":\"3h\"", 0, { "{\"exit\":1" } },
	{ "list", "\"older\":\"1h\"", 80, { "{\"exit\":0}" } },
	{ "list", "\"held\":true", 0, { "{\"exit\":1" } },
	{ "summary", "", 3, { "both.example\",\"recipients\":40,\"deferred\":40", "40 messages", "{\"exit\":0}" } },
	{ "hold",
	  "\"to\":\"odd.example\",\"dry-run\":true",
	  1,
	  { "would be put on hold\",\"messages\":20,\"recipients\":20" } },
	{ "list", "\"held\":true", 0, { "{\"exit\":1" } },
	{ "hold",
	  "\"to\":\"odd.example\"",
	  2,
	  { "would be put", "\"put on hold\",\"messages\":20,\"recipients\":20" } },
	{ "list", "\"held\":true", 20, { "\"state\":\"held\"" } },
	{ "release", "\"from\":\"s1@x.example\"", 2, { "\"released\",\"messages\":1" } },
	{ "retry", "\"from\":\"s2@x.example\"", 2, { "\"made due now\",\"messages\":1,\"recipients\":2" } },
	{ "reroute",
	  "\"from\":\"s2@x.example\",\"reason\":\"the table was wrong\"",
	  2,
	  { "would be routed anew", "\"routed anew\",\"messages\":1,\"recipients\":2" } },
	{ "remove", "\"held\":true", 2, { "\"removed\",\"messages\":19" } },
	{ "list", "\"to\":\"odd.example\"", 1, { "s1@x.example" } },
	{ "remove", "\"ID\":[\"0000000000001\"]", 1, { "\"recipients\":0", "{\"exit\":1" } },
	{ "remove", "\"all\":true", 2, { "\"removed\"" } },
	{ "list", "", 0, { "{\"exit\":1" } },
	{ "summary", "", 0, { " 0 recipients", "{\"exit\":1" } },
};

static void test_rows(void **state)
{
	struct bench *b = *state;

	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		struct str got = ask(b, rows[i].verb, rows[i].args);
		if (count(got, S("{\"row\":")) != rows[i].rows)
			fail_msg("%zu: %s %s: %zu rows\n" STR_FMT, i, rows[i].verb, rows[i].args,
				 count(got, S("{\"row\":")), STR_ARG(got));
		for (size_t j = 0; j < 3 && rows[i].holds[j] != NULL; j++)
			if (str_find(got, str_c(rows[i].holds[j])) < 0)
				fail_msg("%zu: %s %s: no %s in\n" STR_FMT, i, rows[i].verb, rows[i].args,
					 rows[i].holds[j], STR_ARG(got));
	}
}

/* By id: what the list names, show and remove take; an id that is gone makes "partly". */
static void test_ids(void **state)
{
	struct bench *b = *state;
	struct str got = ask(b, "list", "\"max\":1");
	ssize_t at = str_find(got, S("\"id\":\""));
	char id[20] = "", args[100];

	assert_true(at >= 0);
	memcpy(id, got.p + at + 6, 13);
	snprintf(args, sizeof args, "\"ID\":\"%s\"", id);
	assert_int_equal(count(ask(b, "show", args), S("{\"row\":")), 2);
	/* one recipient by its number */
	snprintf(args, sizeof args, "\"ID\":[\"%s/1\"]", id);
	assert_true(str_find(ask(b, "hold", args), S("\"put on hold\",\"messages\":1,\"recipients\":1")) >= 0);
	got = ask(b, "list", "\"held\":true");
	assert_true(count(got, S("{\"row\":")) == 1 && count(got, S("\"number\":1,")) == 1);
	snprintf(args, sizeof args, "\"ID\":[\"%s/7\"]", id);
	assert_true(str_find(ask(b, "hold", args), S("{\"exit\":1")) >= 0);
	snprintf(args, sizeof args, "\"ID\":[\"%s/1,x\"]", id);
	assert_true(str_find(ask(b, "hold", args), S("{\"exit\":2,\"error\":")) >= 0);
	snprintf(args, sizeof args, "\"ID\":[\"%s\",\"0000000000001\"]", id);
	got = ask(b, "remove", args);
	assert_true(str_find(got, S("\"removed\",\"messages\":1,\"recipients\":2")) >= 0);
	assert_true(str_find(got, S("{\"exit\":3,\"error\":\"1 of 2 ids")) >= 0);
	snprintf(args, sizeof args, "\"ID\":\"%s\"", id);
	assert_true(str_find(ask(b, "show", args), S("{\"exit\":1")) >= 0);
}

#define WITH_BENCH(t) cmocka_unit_test_setup_teardown(t, setup, teardown)

int main(void)
{
	const struct CMUnitTest tests[] = { WITH_BENCH(test_rows), WITH_BENCH(test_ids) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
