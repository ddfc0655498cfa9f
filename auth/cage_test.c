/* auth/cage_test.c: each thing a worker must not do is tried from inside, in a child of its own. */
#include "auth/cage.h"
#include "tests/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/resource.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

enum { WORKED = 40, ODD = 41, KEPT = 9 }; /* exit codes of a child; else the errno it got */

static int pair[2], other;

static int inside(bool (*try)(void))
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		other = dup2(pair[1], 20);
		dup2(pair[0], KEPT);
		if (!cage_worker(KEPT))
			_exit(ODD);
		errno = 0;
		bool worked = try();
		_exit(worked ? WORKED : errno != 0 ? errno : ODD);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static bool talk(void)
{
	return write(KEPT, "x", 1) == 1;
}

static bool use_memory(void)
{
	char *p = malloc(10 << 20);

	if (p != NULL)
		memset(p, 1, 10 << 20);
	bool good = p != NULL && p[5 << 20] == 1;
	free(p);
	return good;
}

static bool use_too_much(void)
{
	void *p = malloc((size_t)1 << 30);
	bool good = p != NULL;

	free(p);
	return good;
}

static bool know_the_time(void)
{
	return time(NULL) > 1000000;
}

static bool open_file(void)
{
	return open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0;
}

static bool make_file(void)
{
	return open("/tmp/tombolo-cage-test", O_WRONLY | O_CREAT | O_CLOEXEC, 0600) >= 0;
}

static bool make_socket(void)
{
	return socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0) >= 0;
}

static bool run_program(void)
{
	return execl("/bin/true", "true", (char *)NULL) == 0;
}

static bool be_two(void)
{
	return fork() >= 0;
}

static bool trace(void)
{
	return ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0;
}

static bool end_another(void)
{
	return kill(getppid(), 0) == 0;
}

static bool become_root(void)
{
	return setuid(0) == 0;
}

static bool make_code(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED;
}

static bool use_another_descriptor(void)
{
	return write(other, "x", 1) == 1;
}

static bool look_around(void)
{
	char room[64];

	return getcwd(room, sizeof room) != NULL;
}

static const struct row {
	const char *what;
	bool (*try)(void);
	int result;
	bool filtered; /* by system call: not with sanitizers */
} rows[] = {
	{ "talk to tombolod", talk, WORKED, false },
	{ "use memory", use_memory, WORKED, false },
	{ "know the time", know_the_time, WORKED, false },
	{ "use another descriptor", use_another_descriptor, EBADF, false },
	{ "use a lot of memory", use_too_much, ENOMEM, true },
	{ "open a file", open_file, 128 + SIGSYS, true },
	{ "make a file", make_file, 128 + SIGSYS, true },
	{ "make a socket", make_socket, 128 + SIGSYS, true },
	{ "run a program", run_program, 128 + SIGSYS, true },
	{ "fork", be_two, 128 + SIGSYS, true },
	{ "ptrace", trace, 128 + SIGSYS, true },
	{ "signal another process", end_another, 128 + SIGSYS, true },
	{ "become root", become_root, 128 + SIGSYS, true },
	{ "make code", make_code, EPERM, true },
	{ "look around", look_around, EPERM, true },
};

static void test_rows(void **state)
{
	(void)state;
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	for (size_t i = 0; i < COUNT(rows); i++) {
		if (rows[i].filtered && SANITIZED)
			continue;
		int result = inside(rows[i].try);
		if (result != rows[i].result)
			fail_msg("%s: %d instead of %d", rows[i].what, result, rows[i].result);
	}
	close(pair[0]);
	close(pair[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
