/* smtpd/cage_test.c: each thing that must not work is tried from inside, in a child of its own. */
#include "smtpd/cage.h"
#include "tests/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/ptrace.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#if defined __SANITIZE_ADDRESS__ || defined __SANITIZE_THREAD__
enum { SANITIZED = 1 };
#else
enum { SANITIZED = 0 };
#endif

static char folder[64];

static void enter(void)
{
	static char queue[100], recipients[100], control[100];
	struct config c = { .sandbox = true };

	snprintf(queue, sizeof queue, "%s/queue", folder);
	snprintf(recipients, sizeof recipients, "%s/recipients", folder);
	snprintf(control, sizeof control, "%s/run/control", folder);
	c.queue.path = str_c(queue);
	c.recipients.path = str_c(recipients);
	c.control = str_c(control);
	cage_folders(&c);
	cage_calls();
}

enum { WORKED = 40, ODD = 41 }; /* exit codes of a child; else the errno it got */

/* What came of `try` inside: WORKED, an errno, or 128 + the signal that ended it. */
static int inside(bool (*try)(void))
{
	int status;
	pid_t child = fork();

	if (child == 0) {
		enter();
		errno = 0;
		bool worked = try();
		_exit(worked ? WORKED : errno != 0 ? errno : ODD);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	return WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
}

static bool can_write(const char *name)
{
	int fd = open(name, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);

	return fd >= 0 && write(fd, "x", 1) == 1;
}

static bool write_own(void)
{
	char name[120], other[120];

	snprintf(name, sizeof name, "%s/queue/a", folder);
	snprintf(other, sizeof other, "%s/queue/b", folder);
	return can_write(name) && rename(name, other) == 0 && open(other, O_WRONLY | O_TRUNC | O_CLOEXEC) >= 0 &&
	       unlink(other) == 0;
}

static bool write_elsewhere(void)
{
	char name[120];

	snprintf(name, sizeof name, "%s/elsewhere", folder);
	return can_write(name);
}

static bool remove_elsewhere(void)
{
	char name[120];

	snprintf(name, sizeof name, "%s/theirs", folder);
	return unlink(name) == 0;
}

static bool read_elsewhere(void)
{
	return open("/etc/passwd", O_RDONLY | O_CLOEXEC) >= 0;
}

static bool run_program(void)
{
	return execl("/bin/true", "true", (char *)NULL) == 0;
}

static bool be_two(void)
{
	pid_t child = fork();

	if (child == 0)
		_exit(0);
	return child > 0;
}

static void *answer(void *arg)
{
	return arg;
}

static bool make_thread(void)
{
	pthread_t t;
	void *said = NULL;
	int rc = pthread_create(&t, NULL, answer, folder);

	errno = rc;
	return rc == 0 && pthread_join(t, &said) == 0 && said == folder;
}

static bool trace(void)
{
	return ptrace(PTRACE_TRACEME, 0, NULL, NULL) == 0;
}

static bool raw_socket(void)
{
	return socket(AF_PACKET, SOCK_RAW | SOCK_CLOEXEC, 0) >= 0;
}

static bool connect_socket(void)
{
	return socket(AF_INET6, SOCK_STREAM | SOCK_CLOEXEC, 0) >= 0;
}

static bool make_listener(void)
{
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);

	return listen(fd, 1) == 0;
}

static bool make_code(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE | PROT_EXEC, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED;
}

static bool use_memory(void)
{
	return mmap(NULL, 4096, PROT_READ | PROT_WRITE, MAP_PRIVATE | MAP_ANONYMOUS, -1, 0) != MAP_FAILED;
}

static bool become_root(void)
{
	return setuid(0) == 0;
}

static bool is_bare(void) /* as the kernel sees us */
{
	char text[4096];
	int fd = open("/proc/self/status", O_RDONLY | O_CLOEXEC);
	ssize_t n = read(fd, text, sizeof text - 1);

	text[n > 0 ? n : 0] = '\0';
	return strstr(text, "CapEff:\t0000000000000000\n") != NULL &&
	       strstr(text, "CapPrm:\t0000000000000000\n") != NULL &&
	       strstr(text, "CapInh:\t0000000000000000\n") != NULL && strstr(text, "NoNewPrivs:\t1\n") != NULL &&
	       (SANITIZED || strstr(text, "Seccomp:\t2\n") != NULL);
}

static const struct row {
	const char *what;
	bool (*try)(void);
	int result;
	bool filtered; /* by system call: not with sanitizers */
} rows[] = {
	{ "write in our own folders", write_own, WORKED, false },
	{ "write elsewhere", write_elsewhere, EACCES, false },
	{ "remove elsewhere", remove_elsewhere, EACCES, false },
	{ "read what the user may read", read_elsewhere, WORKED, false },
	{ "make a thread", make_thread, WORKED, false },
	{ "use memory", use_memory, WORKED, false },
	{ "make a socket to connect", connect_socket, WORKED, false },
	{ "no capability, no new privileges, a filter", is_bare, WORKED, false },
	{ "run a program", run_program, 128 + SIGSYS, true },
	{ "fork", be_two, EPERM, true },
	{ "ptrace", trace, 128 + SIGSYS, true },
	{ "become root", become_root, 128 + SIGSYS, true },
	{ "make a packet socket", raw_socket, EPERM, true },
	{ "make another listener", make_listener, EPERM, true },
	{ "make code", make_code, EPERM, true },
};

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		if (rows[i].filtered && SANITIZED)
			continue;
		int result = inside(rows[i].try);
		if (result != rows[i].result)
			fail_msg("%s: %d instead of %d", rows[i].what, result, rows[i].result);
	}
}

/* Without Landlock and the filter a program could still not be run: files are not executable from inside. */
static void test_no_program_by_file(void **state)
{
	(void)state;
	int status;
	pid_t child = fork();

	if (child == 0) {
		struct config c = { .sandbox = true, .queue.path = S("/tmp"), .recipients.path = S("/tmp") };
		cage_folders(&c);
		execl("/bin/true", "true", (char *)NULL);
		_exit(errno);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(WEXITSTATUS(status), EACCES);
}

static void test_off(void **state)
{
	(void)state;
	int status;
	pid_t child = fork();

	if (child == 0) {
		struct config c = { .sandbox = false, .queue.path = S("/tmp"), .recipients.path = S("/tmp") };
		cage_folders(&c);
		_exit(write_elsewhere() ? WORKED : errno);
	}
	assert_int_equal(waitpid(child, &status, 0), child);
	assert_int_equal(WEXITSTATUS(status), WORKED);
}

static int setup(void **state)
{
	char name[120];

	(void)state;
	snprintf(folder, sizeof folder, "/tmp/tombolo-cage-XXXXXX");
	if (mkdtemp(folder) == NULL)
		return -1;
	snprintf(name, sizeof name, "%s/theirs", folder);
	return can_write(name) ? 0 : -1;
}

static int teardown(void **state)
{
	char command[120];
	static const char *const names[] = { "theirs", "elsewhere", "queue", "recipients", "run" };

	(void)state;
	for (size_t i = 0; i < COUNT(names); i++) {
		snprintf(command, sizeof command, "%s/%s", folder, names[i]);
		remove(command);
	}
	return rmdir(folder);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_no_program_by_file),
		cmocka_unit_test(test_off),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
