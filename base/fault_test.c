/* base/fault_test.c: failure points armed by the environment. */
#include "base/fault.h"
#include "tests/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

/* Runs `passes` passes of a point "a.b" in a child with TOMBOLO_FAULT=spec.  Returns the number of the pass that
 * failed, 0 when none did, minus the signal, or 98 and 99 for a wrong errno and a wrong point. */
static int run(const char *spec, int passes, int want_errno)
{
	int status;
	pid_t pid = fork();

	if (pid == 0) {
		setenv("TOMBOLO_FAULT", spec, 1);
		fault_init();
		for (int i = 1; i <= passes; i++) {
			errno = 0;
			if (fault("other.point"))
				_exit(99);
			if (fault("a.b"))
				_exit(errno == want_errno ? i : 98);
		}
		_exit(0);
	}
	waitpid(pid, &status, 0);
	return WIFSIGNALED(status) ? -WTERMSIG(status) : WEXITSTATUS(status);
}

static void test_specs(void **state)
{
	(void)state;
	assert_int_equal(run("a.b", 5, EIO), 1);
	assert_int_equal(run("a.b:3", 5, EIO), 3);
	assert_int_equal(run("a.b:6", 5, EIO), 0);
	assert_int_equal(run("a.b:2:enospc", 5, ENOSPC), 2);
	assert_int_equal(run("a.b:2:kill", 5, EIO), -SIGKILL);
	assert_int_equal(run("a.c", 5, EIO), 0);
	assert_int_equal(run("", 5, EIO), 0);
	assert_int_equal(run("a.c,x.y:2:kill,a.b:3:enospc", 5, ENOSPC), 3);
}

static void test_off(void **state)
{
	(void)state;
	unsetenv("TOMBOLO_FAULT");
	unsetenv("TOMBOLO_FAULT_LIST");
	fault_init();
	assert_false(fault_armed);
	assert_false(fault("a.b"));
}

static void test_list(void **state)
{
	char path[] = "/tmp/fault_testXXXXXX", text[100] = "";
	int fd = mkstemp(path), status;
	pid_t pid = fork();

	(void)state;
	if (pid == 0) {
		setenv("TOMBOLO_FAULT_LIST", path, 1);
		fault_init();
		for (int i = 0; i < 7; i++)
			(void)(fault("one.a") || fault("two.b"));
		_exit(0);
	}
	waitpid(pid, &status, 0);
	assert_true(read(fd, text, sizeof text - 1) > 0);
	assert_string_equal(text, "one.a\ntwo.b\none.a\ntwo.b\none.a\ntwo.b\n"); /* passes 1, 2 and 4 */
	close(fd);
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_specs),
		cmocka_unit_test(test_off),
		cmocka_unit_test(test_list),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
