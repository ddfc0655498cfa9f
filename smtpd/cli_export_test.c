/* smtpd/cli_export_test.c: export and import of a queue that no gateway has open, killed at every point on the way.
 *
 * The law: whatever is cut off, each recipient is in the queue or in a whole file; who is in a file is on hold or gone;
 * and when the files are imported elsewhere afterwards, once or twice, everybody is there once. */
#include "smtpd/cli_ask.h"
#include "smtpd/cli_export.h"
#include "smtpd/cli_export_file.h"
#include "tests/queue_rig.h"

#include <signal.h>
#include <sys/wait.h>

enum { MESSAGES = 5 };

struct bench {
	struct rig *rig;
	struct config *config;
	char conf[160], out[160], other[160];
};

static struct config *config_of(const char *path, const char *queue)
{
	struct buf text, problems;

	buf_init(&text, 4096);
	buf_init(&problems, 65536);
	buf_addf(&text,
		 "queue { path = \"%s\" segment_size = 1M segment_message_max = 32K map_size = 64M keep_free = 0 }\n",
		 queue);
	buf_add(&text, S("hostname = \"mx.example\"\ndomain \"x.example\" { type = authoritative }\n"
			 "receive \"in\" { listen = {\"127.0.0.1:2525\"} permissions = {anonymous} }\n"));
	FILE *f = fopen(path, "w");
	must(f != NULL && fwrite(text.p, 1, text.n, f) == text.n && fclose(f) == 0);
	struct config *c = config_load(path, &problems);
	if (c == NULL)
		fail_msg("%s", buf_cstr(&problems));
	buf_fini(&text);
	buf_fini(&problems);
	return c;
}

static int bench_setup(void **state)
{
	struct bench *b = calloc(1, sizeof *b);

	must(b != NULL && rig_setup((void **)&b->rig) == 0);
	char queue[140];
	snprintf(queue, sizeof queue, "%s/queue", b->rig->path);
	snprintf(b->conf, sizeof b->conf, "%s/conf", b->rig->path);
	snprintf(b->out, sizeof b->out, "%s/out", b->rig->path);
	snprintf(b->other, sizeof b->other, "%s/other", b->rig->path);
	b->config = config_of(b->conf, queue);
	char *root = strdup(b->rig->path);
	snprintf(b->rig->path, sizeof b->rig->path, "%s/queue", root);
	free(root);
	b->rig->conf.active_max = 0;
	rig_open(b->rig);
	for (size_t i = 0; i < MESSAGES; i++)
		rig_accept(b->rig, i * 15000, 1 + i % 3); /* the last ones are big */
	rig_close(b->rig);
	*state = b;
	return 0;
}

static int bench_teardown(void **state)
{
	struct bench *b = *state;

	config_unref(&b->config);
	b->rig->path[strlen(b->rig->path) - strlen("/queue")] = '\0';
	rig_teardown((void **)&b->rig);
	free(b);
	return 0;
}

enum { RECIPIENTS = 1 + 2 + 3 + 1 + 2 };

/* In a process of its own; its exit code, or -1: killed. */
static int run_export(struct bench *b, json_t *args, const char *fault_spec)
{
	pid_t child = fork();
	int status;

	assert_true(child >= 0);
	if (child == 0) {
		struct cli_words w = { .args = args, .config = b->conf, .offline = true, .socket = "/nowhere" };
		if (freopen("/dev/null", "w", stdout) == NULL || freopen("/dev/null", "w", stderr) == NULL)
			_exit(99);
		rig_fault(fault_spec);
		_exit(cli_export(&w));
	}
	json_decref(args);
	assert_true(waitpid(child, &status, 0) == child);
	return WIFEXITED(status) ? WEXITSTATUS(status) : -1;
}

static json_t *all_into(struct bench *b, bool remove_them)
{
	return json_pack("{s:b,s:s,s:b}", "all", 1, "into", b->out, "remove", remove_them);
}

struct seen {
	unsigned all, held;
};

static void count_row(void *arg, struct str line)
{
	struct seen *s = arg;

	s->all += str_find(line, S("{\"row\":")) >= 0;
	s->held += str_find(line, S("\"state\":\"held\"")) >= 0;
}

static struct seen in_queue(struct config *c)
{
	struct seen s = { 0 };
	struct cli_answer a;
	json_t *args = json_pack("{s:i}", "max", 0);

	cli_run_offline(c, verb_find("queue", "list"), args, count_row, &s, &a);
	assert_true(a.exit == CALL_OK || a.exit == CALL_NOTHING);
	json_decref(args);
	return s;
}

static int import_into(struct config *c, const char *from)
{
	json_t *args = json_pack("{s:s}", "PATH", from);
	struct seen ignored = { 0 };
	struct cli_answer a;

	cli_run_offline(c, verb_find("queue", "import"), args, count_row, &ignored, &a);
	json_decref(args);
	return a.exit;
}

static size_t in_files(struct bench *b)
{
	struct export_set s = { 0 };
	struct err e = { 0 };
	struct stat st;

	if (stat(b->out, &st) != 0)
		return 0;
	if (export_read(b->out, &s, &e) != 0)
		fail_msg("%s", e.text);
	size_t n = s.n;
	export_set_fini(&s);
	return n;
}

static void test_export_import(void **state)
{
	struct bench *b = *state;
	struct config *other = config_of(b->conf, b->other);

	must(mkdir(b->other, 0700) == 0);
	config_unref(&other);
	config_unref(&b->config);
	b->config = config_of(b->conf, b->rig->path);
	assert_int_equal(run_export(b, all_into(b, true), ""), CALL_OK);
	assert_true(in_queue(b->config).all == 0 && in_files(b) == RECIPIENTS);
	rig_check(b->rig);
	other = config_of(b->conf, b->other);
	assert_int_equal(import_into(other, b->out), CALL_OK);
	assert_true(in_queue(other).all == RECIPIENTS && in_queue(other).held == 0);
	assert_int_equal(import_into(other, b->out), CALL_NOTHING);
	assert_int_equal(in_queue(other).all, RECIPIENTS);
	/* and home again: the other gateway gave them new ids */
	config_unref(&b->config);
	b->config = other;
	snprintf(b->out, sizeof b->out, "%.140s/back", b->other);
	assert_int_equal(run_export(b, all_into(b, true), ""), CALL_OK);
	config_unref(&b->config);
	b->config = config_of(b->conf, b->rig->path);
	assert_int_equal(import_into(b->config, b->out), CALL_OK);
	assert_int_equal(in_queue(b->config).all, RECIPIENTS);
	rig_check(b->rig);
}

/* Killed at the first and at a later pass of each point; then done again. */
static void test_killed(void **state)
{
	static const char *const faults[] = { "export.held:1:kill",           "export.write:1:kill",
					      "export.write:4:kill",          "export.sync:1:kill",
					      "export.file:1:kill",           "export.file:3:kill",
					      "export.sync_names:1:kill",     "export.written:1:kill",
					      "queue.checkpoint_done:7:kill", "queue.checkpoint_done:8:kill" };
	struct bench *b = *state;
	char root[160];

	snprintf(root, sizeof root, "%s", b->out);
	for (size_t i = 0; i < COUNT(faults); i++) {
		snprintf(b->out, sizeof b->out, "%.120s%zu", root, i);
		int rc = run_export(b, all_into(b, false), faults[i]);
		check(rc == -1 || strstr(faults[i], "queue.") != NULL, faults[i]);
		rig_check(b->rig);
		struct seen s = in_queue(b->config);
		check(s.all == RECIPIENTS && s.held >= in_files(b), faults[i]);
		json_t *args = json_pack("{s:b,s:s}", "all", 1, "into", b->out);
		check(run_export(b, args, "") == CALL_USAGE || in_files(b) == RECIPIENTS, faults[i]); /* not empty */
	}
	/* on hold or not, the next one takes all */
	snprintf(b->out, sizeof b->out, "%.120s-last", root);
	assert_int_equal(run_export(b, all_into(b, true), ""), CALL_OK);
	assert_true(in_queue(b->config).all == 0 && in_files(b) == RECIPIENTS);
}

/* --remove killed in the middle: --finish does the rest, and only with what is still there. */
static void test_finish(void **state)
{
	struct bench *b = *state;
	json_t *args = json_pack("{s:s}", "finish", b->out);

	assert_int_equal(run_export(b, all_into(b, true), "export.written:1:kill"), -1);
	assert_true(in_queue(b->config).held == RECIPIENTS && in_files(b) == RECIPIENTS);
	assert_int_equal(run_export(b, args, ""), CALL_OK);
	assert_int_equal(in_queue(b->config).all, 0);
	args = json_pack("{s:s}", "undo", b->out);
	assert_int_equal(run_export(b, args, ""), CALL_NOTHING);
}

/* What could not be written goes on as if nothing had been. */
static void test_full_disk(void **state)
{
	struct bench *b = *state;

	assert_int_equal(run_export(b, all_into(b, true), "export.write:3:enospc"), CALL_PARTLY);
	struct seen s = in_queue(b->config);
	assert_true(s.all + in_files(b) == RECIPIENTS && s.held == 0 && s.all > 0);
	snprintf(b->out + strlen(b->out), 8, "2");
	assert_int_equal(run_export(b, all_into(b, true), "export.sync_names:1"), CALL_PARTLY);
	s = in_queue(b->config);
	assert_true(s.held == 0 && s.all > 0);
}

/* A broken file is told with its place; the others come in. */
static void test_broken_files(void **state)
{
	struct bench *b = *state;
	struct config *other;
	char path[600];
	size_t broken = 0;

	assert_int_equal(run_export(b, all_into(b, true), ""), CALL_OK);
	must(mkdir(b->other, 0700) == 0);
	other = config_of(b->conf, b->other);
	DIR *d = opendir(b->out);
	for (struct dirent *e; broken < 2 && (e = readdir(d)) != NULL;)
		if (str_ends(str_c(e->d_name), S(".eml"))) {
			snprintf(path, sizeof path, "%s/%s", b->out, e->d_name);
			must(truncate(path, broken++ == 0 ? 100 : 400) == 0);
		}
	closedir(d);
	snprintf(path, sizeof path, "%s/mail.eml", b->out);
	FILE *f = fopen(path, "w");
	must(f != NULL && fputs("Subject: not ours\r\n\r\nhi\r\n", f) >= 0 && fclose(f) == 0);
	assert_int_equal(import_into(other, b->out), CALL_PARTLY);
	assert_true(in_queue(other).all >= MESSAGES - 2 && in_queue(other).all < RECIPIENTS);
	assert_int_equal(import_into(other, "/nowhere"), CALL_PARTLY);
	assert_int_equal(import_into(other, "/dev/null"), CALL_PARTLY);
	config_unref(&other);
}

/* Import killed at any sync: done again, everybody is there once. */
static void test_import_killed(void **state)
{
	struct bench *b = *state;
	struct config *other;

	assert_int_equal(run_export(b, all_into(b, true), ""), CALL_OK);
	must(mkdir(b->other, 0700) == 0);
	other = config_of(b->conf, b->other);
	for (int pass = 1; pass <= 5; pass++) {
		char spec[60];
		int status;
		snprintf(spec, sizeof spec, "%s:%d:kill", pass % 2 ? "queue.group_synced" : "queue.group_write",
			 (pass + 1) / 2);
		pid_t child = fork();
		assert_true(child >= 0);
		if (child == 0) {
			rig_fault(spec);
			import_into(other, b->out);
			_exit(0);
		}
		assert_int_equal(waitpid(child, &status, 0), child);
	}
	import_into(other, b->out);
	assert_int_equal(in_queue(other).all, RECIPIENTS);
	assert_int_equal(import_into(other, b->out), CALL_NOTHING);
	config_unref(&other);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_export_import, bench_setup, bench_teardown),
		cmocka_unit_test_setup_teardown(test_killed, bench_setup, bench_teardown),
		cmocka_unit_test_setup_teardown(test_finish, bench_setup, bench_teardown),
		cmocka_unit_test_setup_teardown(test_full_disk, bench_setup, bench_teardown),
		cmocka_unit_test_setup_teardown(test_broken_files, bench_setup, bench_teardown),
		cmocka_unit_test_setup_teardown(test_import_killed, bench_setup, bench_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
