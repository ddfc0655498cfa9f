/* auth/keeper.c: workers made, counted, ended. */
#include "auth/keeper.h"

#include "base/must.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <spawn.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

enum { WORKERS_MAX = 1024 };

extern char **environ;

/* ---- tombolod's side ---- */

int keeper_start(const char *program, const char *config, size_t n, int fds[], struct err *e)
{
	int theirs[KEEPER_SOCKETS_MAX], rc = 0;
	posix_spawn_file_actions_t actions;
	posix_spawnattr_t attr;
	char count[16];
	sigset_t none;
	pid_t pid;
	size_t made = 0;

	must(n <= KEEPER_SOCKETS_MAX);
	for (; made < n && rc == 0; made++) {
		int pair[2];
		rc = socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC, 0, pair);
		if (rc != 0)
			break;
		fds[made] = pair[0];
		/* out of the way of the numbers they get over there */
		theirs[made] = fcntl(pair[1], F_DUPFD_CLOEXEC, KEEPER_SOCKET + (int)n);
		close(pair[1]);
		fcntl(fds[made], F_SETFL, O_NONBLOCK);
	}
	if (rc != 0)
		return err_sys(e, ERR_SYSTEM, "auth.keeper", "socketpair");
	snprintf(count, sizeof count, "%zu", n);
	char *argv[] = { "tombolo-auth", "-c", (char *)(uintptr_t)config, "-k", count, NULL };
	posix_spawn_file_actions_init(&actions);
	for (size_t i = 0; i < n; i++)
		posix_spawn_file_actions_adddup2(&actions, theirs[i], KEEPER_SOCKET + (int)i);
	posix_spawnattr_init(&attr);
	sigemptyset(&none);
	posix_spawnattr_setsigmask(&attr, &none);
	posix_spawnattr_setpgroup(&attr, 0); /* a key pressed at the terminal is tombolod's to answer */
	posix_spawnattr_setflags(&attr, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETPGROUP);
	errno = posix_spawn(&pid, program, &actions, &attr, argv, environ);
	rc = errno == 0 ? 0 : err_sys(e, ERR_SYSTEM, "auth.keeper", "cannot start %s", program);
	posix_spawn_file_actions_destroy(&actions);
	posix_spawnattr_destroy(&attr);
	for (size_t i = 0; i < n; i++) {
		close(theirs[i]);
		if (rc != 0)
			close(fds[i]);
	}
	return rc;
}

/* ---- the keeper ---- */

struct kept {
	pid_t pid; /* 0: free */
	uint32_t number;
	size_t owner;
};

struct keeper {
	const char *config;
	struct pollfd sockets[KEEPER_SOCKETS_MAX];
	size_t n, open_n;
	struct kept workers[WORKERS_MAX];
	uint32_t number; /* of the newest */
};

static void reap(struct keeper *k)
{
	pid_t pid;

	while ((pid = waitpid(-1, NULL, WNOHANG)) > 0)
		for (size_t i = 0; i < WORKERS_MAX; i++)
			if (k->workers[i].pid == pid)
				k->workers[i] = (struct kept){ 0 };
}

/* Only children that were not waited for: their number belongs to nobody else. */
static void kill_worker(struct kept *w)
{
	if (w->pid > 0)
		kill(w->pid, SIGKILL);
}

static pid_t spawn_worker(const struct keeper *k, int end)
{
	posix_spawn_file_actions_t actions;
	char *argv[] = { "tombolo-auth", "-c", (char *)(uintptr_t)k->config, "-w", NULL };
	pid_t pid;

	posix_spawn_file_actions_init(&actions);
	posix_spawn_file_actions_adddup2(&actions, end, WORKER_SOCKET);
	int rc = posix_spawn(&pid, "/proc/self/exe", &actions, NULL, argv, environ);
	posix_spawn_file_actions_destroy(&actions);
	return rc == 0 ? pid : -1;
}

static void answer(int to, uint32_t number, int fd)
{
	struct keeper_answer a = { .number = number };
	struct iovec iov = { &a, sizeof a };
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (number != 0) {
		m.msg_control = control.room;
		m.msg_controllen = sizeof control.room;
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof fd);
		memcpy(CMSG_DATA(c), &fd, sizeof fd);
	}
	if (sendmsg(to, &m, MSG_NOSIGNAL) < 0)
		perror("tombolo-auth: tombolod does not listen");
}

static void make_worker(struct keeper *k, size_t owner)
{
	struct kept *place = NULL;
	int pair[2];

	for (size_t i = 0; place == NULL && i < WORKERS_MAX; i++)
		if (k->workers[i].pid == 0)
			place = &k->workers[i];
	if (place == NULL || socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair) != 0) {
		answer(k->sockets[owner].fd, 0, -1);
		return;
	}
	/* above the number it gets: else its own close-on-exec would take it away */
	int end = fcntl(pair[1], F_DUPFD_CLOEXEC, WORKER_SOCKET + KEEPER_SOCKETS_MAX);
	pid_t pid = end < 0 ? -1 : spawn_worker(k, end);
	if (pid > 0) {
		k->number += k->number == UINT32_MAX ? 2 : 1;
		*place = (struct kept){ .pid = pid, .number = k->number, .owner = owner };
	}
	answer(k->sockets[owner].fd, pid > 0 ? k->number : 0, pair[0]);
	close(pair[0]);
	close(pair[1]);
	if (end >= 0)
		close(end);
}

/* False: tombolod is gone. */
static bool serve(struct keeper *k, size_t owner)
{
	struct keeper_ask ask;
	ssize_t n = recv(k->sockets[owner].fd, &ask, sizeof ask, MSG_DONTWAIT);

	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (n != sizeof ask)
		return false;
	if (ask.verb == KEEPER_NEW)
		make_worker(k, owner);
	for (size_t i = 0; ask.verb == KEEPER_KILL && i < WORKERS_MAX; i++)
		if (k->workers[i].owner == owner && k->workers[i].number == ask.number)
			kill_worker(&k->workers[i]);
	return true;
}

static void drop_owner(struct keeper *k, size_t owner)
{
	close(k->sockets[owner].fd);
	k->sockets[owner].fd = -1;
	k->open_n--;
	for (size_t i = 0; i < WORKERS_MAX; i++)
		if (k->workers[i].pid > 0 && k->workers[i].owner == owner)
			kill_worker(&k->workers[i]);
}

static void on_child(int signal)
{
	(void)signal; /* poll returns */
}

int keeper_run(size_t n, const char *config)
{
	static struct keeper k;
	struct sigaction child = { .sa_handler = on_child };

	if (n == 0 || n > KEEPER_SOCKETS_MAX)
		return 2;
	sigaction(SIGCHLD, &child, NULL);
	signal(SIGPIPE, SIG_IGN);
	signal(SIGINT, SIG_IGN); /* tombolod says when it is over */
	signal(SIGHUP, SIG_IGN);
	signal(SIGTERM, SIG_IGN);
	k.config = config;
	k.n = k.open_n = n;
	for (size_t i = 0; i < n; i++) {
		k.sockets[i] = (struct pollfd){ .fd = KEEPER_SOCKET + (int)i, .events = POLLIN };
		fcntl(k.sockets[i].fd, F_SETFD, FD_CLOEXEC);
	}
	close_range(KEEPER_SOCKET + (unsigned)n, ~0U, 0);
	while (k.open_n > 0) {
		int ready = poll(k.sockets, (nfds_t)n, 1000);
		reap(&k);
		for (size_t i = 0; ready > 0 && i < n; i++)
			if (k.sockets[i].fd >= 0 && k.sockets[i].revents != 0 && !serve(&k, i))
				drop_owner(&k, i);
	}
	reap(&k);
	return 0;
}
