/* tests/play/daemon.c: the processes of a scenario: the gateway (the same program on a clock that the test moves) and
 * the command line.  The gateway says that it is ready, also after a reload, as it would tell a service manager. */
#include "tests/play/play.h"

#include "base/must.h"

#include <fcntl.h>
#include <signal.h>
#include <spawn.h>
#include <sys/mman.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

enum { COMMAND_OUTPUT_MAX = 1 << 20, COMMAND_WORDS_MAX = 32, PATH_ROOM = 512 };

static int notify_fd = -1; /* one scenario a process, one service manager a scenario */

static void open_notify(struct play *p)
{
	struct sockaddr_un un = { .sun_family = AF_UNIX };

	if (notify_fd >= 0)
		return;
	snprintf(un.sun_path, sizeof un.sun_path, "%s", play_path(p, "notify"));
	notify_fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0);
	must(notify_fd >= 0 && bind(notify_fd, (struct sockaddr *)&un, sizeof un) == 0);
	setenv("NOTIFY_SOCKET", un.sun_path, 1);
}

static void map_clock(struct play *p)
{
	const char *path = play_path(p, "clock");
	int fd;

	if (p->clock_ms != NULL)
		return;
	fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0600);
	must(fd >= 0 && ftruncate(fd, sizeof *p->clock_ms) == 0);
	p->clock_ms = mmap(NULL, sizeof *p->clock_ms, PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	must(p->clock_ms != MAP_FAILED);
	close(fd);
	setenv("TOMBOLO_FAKE_CLOCK", path, 1);
}

/* Starts argv with both outputs appended to a file of the scenario. */
static pid_t spawn(struct play *p, char *const argv[], const char *output)
{
	posix_spawn_file_actions_t files;
	pid_t pid = 0;

	posix_spawn_file_actions_init(&files);
	posix_spawn_file_actions_addopen(&files, 0, "/dev/null", O_RDONLY, 0);
	posix_spawn_file_actions_addopen(&files, 1, output, O_WRONLY | O_CREAT | O_APPEND, 0600);
	posix_spawn_file_actions_adddup2(&files, 1, 2);
	int error = posix_spawn(&pid, argv[0], &files, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&files);
	if (error == 0)
		return pid;
	play_fail(p, 0, "cannot start %s: %s", argv[0], strerror(error));
	return 0;
}

bool daemon_start(struct play *p)
{
	char program[PATH_ROOM], option[] = "-c", config[PATH_ROOM];
	char *argv[] = { program, option, config, NULL };

	snprintf(program, sizeof program, "%s/tombolod-test", p->build);
	snprintf(config, sizeof config, "%s", play_path(p, "tombolo.conf"));
	if (!settings_write(p, config))
		return false;
	open_notify(p);
	map_clock(p);
	p->daemon_ready = false;
	p->daemon = spawn(p, argv, play_path(p, "output"));
	return p->daemon != 0;
}

static void died(struct play *p, int status)
{
	p->daemon = 0;
	if (WIFSIGNALED(status))
		play_fail(p, 0, "the gateway was ended by signal %d", WTERMSIG(status));
	else
		play_fail(p, 0, "the gateway ended by itself with status %d", WEXITSTATUS(status));
}

bool daemon_poll(struct play *p)
{
	char text[256];
	ssize_t n;
	int status;

	if (p->daemon != 0 && !p->may_die && waitpid(p->daemon, &status, WNOHANG) == p->daemon)
		died(p, status);
	while ((n = recv(notify_fd, text, sizeof text, 0)) > 0)
		if (str_find(str_n(text, (size_t)n), S("READY=1")) >= 0)
			p->daemon_ready = true;
	return p->daemon_ready;
}

void daemon_fault(struct play *p, struct str words)
{
	struct str word = str_word(&words), point = STR_NONE;
	struct buf text;

	if (str_eq(word, S("fault")))
		script_quoted(&words, &point);
	buf_init(&text, 100);
	play_expand(p, point, &text);
	p->may_die = str_find(buf_str(&text), S(":kill")) >= 0;
	if (text.n > 0)
		setenv("TOMBOLO_FAULT", buf_cstr(&text), 1);
	else if (p->has_fault) /* who runs all of us under a fault of his keeps it */
		unsetenv("TOMBOLO_FAULT");
	p->has_fault = text.n > 0;
	buf_fini(&text);
}

void daemon_signal(struct play *p, int sig)
{
	if (p->daemon != 0)
		kill(p->daemon, sig);
}

bool daemon_gone(struct play *p, int line, bool killed)
{
	int status;

	if (p->daemon == 0)
		return true;
	if (waitpid(p->daemon, &status, WNOHANG) != p->daemon)
		return false;
	p->daemon = 0;
	p->daemon_ready = false;
	if (killed ? !WIFSIGNALED(status) : !WIFEXITED(status) || WEXITSTATUS(status) != 0)
		play_fail(p, line, "the gateway did not end well (wait status %d)", status);
	return true;
}

bool command_start(struct play *p, struct str words)
{
	char room[4096], program[PATH_ROOM], option[] = "--socket", path[PATH_ROOM];
	char *argv[COMMAND_WORDS_MAX + 4] = { program, option, path };
	size_t n = 3, used = 0;
	struct buf expanded;

	snprintf(program, sizeof program, "%s/tombolo", p->build);
	snprintf(path, sizeof path, "%s", play_path(p, "control"));
	buf_init(&expanded, sizeof room);
	play_expand(p, words, &expanded);
	for (struct str rest = buf_str(&expanded), word; n < COMMAND_WORDS_MAX;
	     argv[n++] = room + used, used += word.n + 1) {
		if (!script_quoted(&rest, &word) && (word = str_word(&rest)).n == 0)
			break;
		must(used + word.n + 1 < sizeof room);
		memcpy(room + used, word.p, word.n);
		room[used + word.n] = '\0';
	}
	buf_fini(&expanded);
	unlink(play_path(p, "answer"));
	p->command = spawn(p, argv, play_path(p, "answer"));
	return p->command != 0;
}

bool command_done(struct play *p, int *status, struct buf *output)
{
	if (waitpid(p->command, status, WNOHANG) != p->command)
		return false;
	p->command = 0;
	int fd = open(play_path(p, "answer"), O_RDONLY | O_CLOEXEC);
	char *room = buf_reserve(output, COMMAND_OUTPUT_MAX);
	must(fd >= 0 && room != NULL);
	ssize_t n = read(fd, room, COMMAND_OUTPUT_MAX);
	buf_commit(output, n > 0 ? (size_t)n : 0);
	close(fd);
	return true;
}

/* Asks the control socket itself: the command line is under test, too.  False when nobody answers. */
static bool ask(struct play *p, struct str question, struct buf *answer)
{
	struct err e;
	char text[65536];
	ssize_t n = 0;
	int fd = net_connect_unix(play_path(p, "control"), &e);

	if (fd < 0)
		return false;
	if (write(fd, question.p, question.n) == (ssize_t)question.n)
		while ((n = read(fd, text, sizeof text)) > 0)
			buf_add(answer, str_n(text, (size_t)n));
	close(fd);
	return str_find(buf_str(answer), S("{\"exit\"")) >= 0;
}

void daemon_mark_log(struct play *p, size_t n)
{
	struct buf garbage;

	buf_init(&garbage, 1 << 20);
	while (garbage.n + 1 < n)
		buf_addc(&garbage, '#');
	buf_addc(&garbage, '\n');
	ask(p, buf_str(&garbage), &garbage);
	buf_fini(&garbage);
}

/* The rows of a queue list, one a line; false when nobody answered. */
static bool ask_queue(struct play *p, struct buf *rows)
{
	struct buf all;

	buf_init(&all, 4 << 20);
	bool answered = ask(p, S("{\"cmd\": [\"queue\", \"list\"], \"args\": {}}\n"), &all);
	for (struct str rest = buf_str(&all), line; rest.n > 0;) {
		str_cut(rest, '\n', &line, &rest);
		if (str_starts(line, S("{\"row\"")))
			buf_addf(rows, STR_FMT "\n", STR_ARG(line));
	}
	buf_fini(&all);
	return answered;
}

long queue_count(struct play *p)
{
	struct buf rows;
	long n = 0;

	buf_init(&rows, 4 << 20);
	bool answered = ask_queue(p, &rows);
	for (size_t i = 0; i < rows.n; i++)
		n += rows.p[i] == '\n';
	buf_fini(&rows);
	return answered ? n : -1;
}

bool queue_row(struct play *p, struct str rcpt, struct buf *row)
{
	struct buf rows, wanted;

	buf_init(&rows, 4 << 20);
	buf_init(&wanted, 1024);
	buf_addf(&wanted, "\"rcpt\":\"" STR_FMT "\"", STR_ARG(rcpt));
	ask_queue(p, &rows);
	for (struct str rest = buf_str(&rows), line; rest.n > 0 && row->n == 0;) {
		str_cut(rest, '\n', &line, &rest);
		if (str_find(line, buf_str(&wanted)) >= 0)
			buf_add(row, line);
	}
	buf_fini(&rows);
	buf_fini(&wanted);
	return row->n > 0;
}

bool queue_is_idle(struct play *p)
{
	struct buf all;

	buf_init(&all, 4 << 20);
	bool answered = ask(p, S("{\"cmd\": [\"status\", \"\"], \"args\": {}}\n"), &all);
	bool idle = answered && str_find(buf_str(&all), S("\"leased\":0")) >= 0;
	buf_fini(&all);
	return idle;
}
