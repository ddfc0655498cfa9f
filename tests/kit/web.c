/* tests/kit/web.c: one connection after the other, one request each; blocking, with a pipe that ends every wait. */
#include "tests/kit/web.h"

#include "base/buf.h"
#include "base/must.h"

#include <fcntl.h>
#include <netinet/in.h>
#include <poll.h>
#include <pthread.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

enum { PAGES_MAX = 32, REQUEST_MAX = 8192, FILE_MAX = 1 << 24 };

struct page {
	char path[200], answers[400];
	size_t asked;
};

struct web {
	char folder[400];
	int fd, end[2]; /* closed for writing: all waits are over */
	unsigned port;
	pthread_t thread;
	pthread_mutex_t lock; /* pages */
	struct page pages[PAGES_MAX];
	size_t page_n, asked;
};

/* False when the server is to end or nothing came in time. */
static bool wait_for(const struct web *w, int fd, int ms)
{
	struct pollfd p[2] = { { .fd = fd, .events = POLLIN }, { .fd = w->end[0], .events = POLLIN } };

	return poll(p, 2, ms) > 0 && p[1].revents == 0;
}

static bool say(int fd, struct str s)
{
	while (s.n > 0) {
		ssize_t n = send(fd, s.p, s.n, MSG_NOSIGNAL);
		if (n <= 0)
			return false;
		s = str_skip(s, (size_t)n);
	}
	return true;
}

static void say_status(int fd, const char *status, const char *more)
{
	char text[600];

	snprintf(text, sizeof text, "HTTP/1.1 %s\r\nConnection: close\r\nContent-Length: 0\r\n%s\r\n", status, more);
	say(fd, str_c(text));
}

static void say_file(const struct web *w, int fd, const char *name)
{
	char path[900], head[200];
	struct buf b;
	int file;
	ssize_t n = -1;

	snprintf(path, sizeof path, "%s%s%s", name[0] == '/' ? "" : w->folder, name[0] == '/' ? "" : "/", name);
	file = open(path, O_RDONLY | O_CLOEXEC);
	buf_init(&b, FILE_MAX);
	for (char *p; file >= 0 && (p = buf_reserve(&b, 65536)) != NULL && (n = read(file, p, 65536)) > 0;)
		buf_commit(&b, (size_t)n);
	if (file >= 0)
		close(file);
	if (n != 0) {
		say_status(fd, "500 no such file", "");
	} else {
		snprintf(head, sizeof head, "HTTP/1.1 200 ok\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n", b.n);
		if (say(fd, str_c(head)))
			say(fd, buf_str(&b));
	}
	buf_fini(&b);
}

static void say_endless(int fd)
{
	static const char block[4096];

	if (say(fd, S("HTTP/1.1 200 ok\r\nConnection: close\r\n\r\n")))
		while (say(fd, str_n(block, sizeof block)))
			;
}

static void say_dripping(const struct web *w, int fd)
{
	if (say(fd, S("HTTP/1.1 200 ok\r\nConnection: close\r\nContent-Length: 4000\r\n\r\n")))
		while (!wait_for(w, -1, 50) && say(fd, S("x"))) {
			struct pollfd end = { .fd = w->end[0], .events = POLLIN };
			if (poll(&end, 1, 0) > 0)
				return;
		}
}

static void answer(const struct web *w, int fd, const char *with)
{
	struct str s = str_c(with);
	char more[500];

	if (str_eq(s, S("slow"))) {
		wait_for(w, fd, 60 * 1000);
	} else if (str_eq(s, S("endless"))) {
		say_endless(fd);
	} else if (str_eq(s, S("drip"))) {
		say_dripping(w, fd);
	} else if (str_eq(s, S("cut"))) {
		say(fd, S("HTTP/1.1 200 ok\r\nConnection: close\r\nContent-Length: 1000\r\n\r\nhalf"));
	} else if (with[0] == '>') {
		snprintf(more, sizeof more, "Location: %s\r\n", with + 1);
		say_status(fd, "302 there", more);
	} else if (s.n == 3 && chr_is_digit(with[0])) {
		snprintf(more, sizeof more, "%s as told", with);
		say_status(fd, more, "");
	} else {
		say_file(w, fd, with);
	}
}

static struct page *find(struct web *w, struct str path)
{
	for (size_t i = 0; i < w->page_n; i++)
		if (str_eq(str_c(w->pages[i].path), path))
			return &w->pages[i];
	return NULL;
}

/* The word for this request. */
static void choose(struct web *w, struct str path, char *with, size_t room)
{
	struct page *p;

	pthread_mutex_lock(&w->lock);
	p = find(w, path);
	w->asked++;
	snprintf(with, room, "404");
	if (p != NULL) {
		struct str rest = str_c(p->answers), word = STR_NONE, next;
		for (size_t i = 0; i <= p->asked && (next = str_word(&rest)).n > 0; i++)
			word = next;
		snprintf(with, room, STR_FMT, STR_ARG(word));
		p->asked++;
	}
	pthread_mutex_unlock(&w->lock);
}

static void serve(struct web *w, int fd)
{
	char request[REQUEST_MAX], with[400];
	size_t n = 0;

	while (n < sizeof request && str_find(str_n(request, n), S("\r\n\r\n")) < 0) {
		ssize_t got = wait_for(w, fd, 5000) ? recv(fd, request + n, sizeof request - n, 0) : 0;
		if (got <= 0)
			return;
		n += (size_t)got;
	}
	struct str line = str_n(request, n), verb = str_word(&line), path = str_word(&line);
	must(verb.n > 0);
	choose(w, path, with, sizeof with);
	answer(w, fd, with);
}

static void *run(void *arg)
{
	struct web *w = arg;

	for (;;) {
		struct pollfd p[2] = { { .fd = w->fd, .events = POLLIN }, { .fd = w->end[0], .events = POLLIN } };
		if (poll(p, 2, -1) <= 0 || p[1].revents != 0)
			return NULL;
		int fd = accept(w->fd, NULL, NULL);
		if (fd < 0)
			continue;
		serve(w, fd);
		shutdown(fd, SHUT_RDWR);
		close(fd);
	}
}

struct web *web_open(const char *folder)
{
	struct sockaddr_in at = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof at;
	struct web *w = calloc(1, sizeof *w);

	must(w != NULL && pipe2(w->end, O_CLOEXEC) == 0);
	snprintf(w->folder, sizeof w->folder, "%s", folder);
	pthread_mutex_init(&w->lock, NULL);
	w->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	must(w->fd >= 0 && bind(w->fd, (struct sockaddr *)&at, n) == 0 && listen(w->fd, 16) == 0);
	must(getsockname(w->fd, (struct sockaddr *)&at, &n) == 0);
	w->port = ntohs(at.sin_port);
	must(pthread_create(&w->thread, NULL, run, w) == 0);
	return w;
}

void web_close(struct web **wp)
{
	struct web *w = *wp;

	*wp = NULL;
	if (w == NULL)
		return;
	close(w->end[1]);
	pthread_join(w->thread, NULL);
	close(w->end[0]);
	close(w->fd);
	pthread_mutex_destroy(&w->lock);
	free(w);
}

unsigned web_port(const struct web *w)
{
	return w->port;
}

void web_set(struct web *w, struct str path, struct str answers)
{
	pthread_mutex_lock(&w->lock);
	struct page *p = find(w, path);
	if (p == NULL) {
		must(w->page_n < PAGES_MAX);
		p = &w->pages[w->page_n++];
	}
	*p = (struct page){ 0 };
	snprintf(p->path, sizeof p->path, STR_FMT, STR_ARG(path));
	snprintf(p->answers, sizeof p->answers, STR_FMT, STR_ARG(answers));
	pthread_mutex_unlock(&w->lock);
}

size_t web_count(struct web *w, struct str path)
{
	pthread_mutex_lock(&w->lock);
	const struct page *p = find(w, path);
	size_t n = path.n == 0 ? w->asked : p == NULL ? 0 : p->asked;
	pthread_mutex_unlock(&w->lock);
	return n;
}
