/* base/log_test.c: events as lines nobody can forge (hardening DoS-16). */
#include "base/buf.h"
#include "base/log.h"
#include "base/must.h"
#include "tests/unit.h"

#include <fcntl.h>
#include <signal.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char path[] = "/tmp/log_testXXXXXX";

/* What was logged since the last call, without the times. */
static struct str logged(void)
{
	static char text[200000];
	static char kept[200000];
	size_t n = 0;

	log_flush();
	int fd = open(path, O_RDONLY);
	ssize_t got = read(fd, text, sizeof text);
	close(fd);
	assert_true(got >= 0 && truncate(path, 0) == 0);
	struct str rest = str_n(text, (size_t)got), line;
	while (str_cut(rest, '\n', &line, &rest)) {
		size_t skip = line.n > 0 && line.p[0] == '{' ? strlen("{\"time\":\"2026-11-21T12:00:00.123Z\",") : 25;
		line = str_skip(line, skip);
		memcpy(kept + n, line.p, line.n);
		n += line.n;
		kept[n++] = '\n';
	}
	assert_int_equal(rest.n, 0); /* each line ends */
	return str_n(kept, n);
}

static void test_text(void **state)
{
	struct log l = { S("3KQ") };

	(void)state;
	assert_int_equal(log_open(path, LOG_LEVEL_INFO, LOG_FORMAT_TEXT), 0);
	log_debug(&l, "x.y", kv_int("never", 1));
	log_info(&l, "rcpt.reject", kv_str("to", S("u@contoso.com")), kv_int("code", 550), kv_bool("ok", false));
	log_info(NULL, "x.y", kv_str("a", S("two words")), kv_str("b", S("")), kv_c("c", "q\"\\"));
	log_warn(&l, "x.y", kv_str("evil", S("a\r\nb\x1b[0m\0\x7f\xff\xc2\x85\xe2\x80\xae")),
		 kv_str("good", S("\xc3\xbc")));
	log_error(&l, "x.y", kv_int("n", INT64_MIN));
	check_str(
		logged(),
		S("info rcpt.reject id=3KQ to=u@contoso.com code=550 ok=false\n"
		  "info x.y a=\"two words\" b=\"\" c=\"q\\\"\\\\\"\n"
		  "warn x.y id=3KQ evil=\"a\\x0d\\x0ab\\x1b[0m\\x00\\x7f\\xff\\xc2\\x85\\xe2\\x80\\xae\" good=\"\xc3\xbc\"\n"
		  "error x.y id=3KQ n=-9223372036854775808\n"),
		"text");
}

static void test_json(void **state)
{
	struct log l = { S("3KQ") };

	(void)state;
	assert_int_equal(log_open(path, LOG_LEVEL_INFO, LOG_FORMAT_JSON), 0);
	log_info(&l, "x.y", kv_str("to", S("a\"b\n\xff")), kv_int("code", 550), kv_bool("ok", true));
	check_str(
		logged(),
		S("\"level\":\"info\",\"event\":\"x.y\",\"id\":\"3KQ\",\"to\":\"a\\\"b\\u000a\\u00ff\",\"code\":550,\"ok\":true}\n"),
		"json");
}

/* A link, or a file that is another's too, is not written. */
static void test_links(void **state)
{
	char planted[200];

	(void)state;
	snprintf(planted, sizeof planted, "%s.planted", path);
	assert_int_equal(symlink(path, planted), 0);
	assert_int_equal(log_open(planted, LOG_LEVEL_INFO, LOG_FORMAT_TEXT), -1);
	assert_string_equal(log_why(), "it is a link");
	unlink(planted);
	int fd = open(path, O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0 && link(path, planted) == 0);
	close(fd);
	assert_int_equal(log_open(planted, LOG_LEVEL_INFO, LOG_FORMAT_TEXT), -1);
	assert_non_null(strstr(log_why(), "second name"));
	unlink(planted);
	assert_int_equal(log_open("/dev/null", LOG_LEVEL_INFO, LOG_FORMAT_TEXT),
			 0); /* a device is one's own business */
}

static void test_long_values(void **state)
{
	static char zeros[5000];
	static char as[1024];
	struct str z = str_n(zeros, sizeof zeros);

	(void)state;
	memset(as, 'a', sizeof as);
	log_open(path, LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
	log_info(NULL, "x.y", kv_str("a", str_n(as, sizeof as)), kv_int("n", 1));
	assert_true(str_ends(logged(), S("a n=1\n")));
	log_info(NULL, "x.y", kv_str("a", z), kv_int("n", 1));
	assert_true(str_ends(logged(), S("\\x00...\" n=1\n")));
	log_open(path, LOG_LEVEL_INFO, LOG_FORMAT_JSON);
	log_info(NULL, "x.y", kv_str("a", z), kv_str("b", z), kv_str("c", z), kv_str("d", z));
	struct str s = logged();
	assert_true(str_ends(s, S("...\",\"cut\":true}\n")) && s.n < 16384);
}

static void test_many(void **state)
{
	(void)state;
	log_open(path, LOG_LEVEL_INFO, LOG_FORMAT_TEXT);
	for (int i = 0; i < 4000; i++) /* more than the sink holds */
		log_info(NULL, "x.y", kv_int("i", 1));
	struct str s = logged();
	assert_int_equal(s.n, 4000 * strlen("info x.y i=1\n"));
	assert_int_equal(log_open("/nonexistent/x", LOG_LEVEL_INFO, LOG_FORMAT_TEXT), -1);
	log_warn(NULL, "still.here", kv_int("i", 1));
	check_str(logged(), S("warn still.here i=1\n"), "the old sink stays");
}

/* A line that waits for its write when a must() fails is written all the same. */
static void test_panic(void **state)
{
	int status = 0;

	(void)state;
	assert_int_equal(log_open(path, LOG_LEVEL_INFO, LOG_FORMAT_TEXT), 0);
	pid_t child = fork();
	assert_true(child >= 0);
	if (child == 0) {
		signal(SIGABRT, SIG_DFL);
		assert_true(freopen("/dev/null", "w", stderr) != NULL);
		must_on_panic(log_flush_at_panic, NULL);
		log_info(NULL, "last.words", kv_int("n", 1));
		must_failed("test", __FILE__, __LINE__, __func__);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
	check_str(logged(), S("info last.words n=1\n"), "panic");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_text),  cmocka_unit_test(test_json), cmocka_unit_test(test_long_values),
		cmocka_unit_test(test_links), cmocka_unit_test(test_many), cmocka_unit_test(test_panic),
	};
	int fd = mkstemp(path);

	if (fd < 0)
		return 1;
	close(fd);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	unlink(path);
	return failed;
}
