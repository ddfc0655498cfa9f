/* smtpd/metrics_door.c: a small HTTP server for two pages; see the header. */
#include "smtpd/metrics_door.h"

#include "base/fault.h"
#include "base/must.h"
#include "base/op.h"
#include "base/stream.h"
#include "smtpd/control_worker.h"
#include "smtpd/metrics.h"

#include <stdlib.h>
#include <sys/queue.h>
#include <unistd.h>

enum { CLIENTS_MAX = 16, REQUEST_MAX = 8 * 1024, REQUEST_MS = 10 * 1000, ANSWER_MS = 30 * 1000 };

struct page { /* being written; outlives the client that asked when need be */
	struct worker_job job;
	struct metrics_door *door;
	struct visitor *visitor; /* NULL: gone */
	const struct config *config;
	struct buf text;
};

struct visitor {
	struct metrics_door *door;
	struct stream stream;
	struct page *page;
	bool answered;
	LIST_ENTRY(visitor) entry;
};

struct metrics_door {
	struct loop *loop;
	struct control_hooks hooks;
	struct worker *worker;
	struct door_listener {
		struct loop_io io;
		struct metrics_door *door;
		int fd;
	} listeners[METRICS_LISTEN_MAX];
	size_t listener_n;
	LIST_HEAD(, visitor) visitors;
	size_t visitor_n;
};

static void visitor_close(struct visitor *v)
{
	if (v->page != NULL)
		v->page->visitor = NULL;
	stream_close(&v->stream);
	LIST_REMOVE(v, entry);
	v->door->visitor_n--;
	loop_free_later(v->door->loop, v);
}

static void answer(struct visitor *v, const char *status, const char *type, struct str body)
{
	struct buf *out = stream_out(&v->stream);

	buf_addf(out, "HTTP/1.1 %s\r\nContent-Type: %s\r\nContent-Length: %zu\r\nConnection: close\r\n\r\n", status,
		 type, body.n);
	buf_add(out, body);
	v->answered = true;
	if (out->full) { /* half a page is none */
		visitor_close(v);
		return;
	}
	stream_flush_later(&v->stream);
	stream_deadline(&v->stream, ANSWER_MS);
}

static void say(struct visitor *v, const char *status)
{
	answer(v, status, "text/plain", str_c(status));
}

/* ---- the page ---- */

static void write_page(struct worker_job *job)
{
	struct page *p = container_of(job, struct page, job);

	metrics_write(&p->door->hooks, p->config, &p->text);
}

static void on_page(struct worker_job *job)
{
	struct page *p = container_of(job, struct page, job);
	struct visitor *v = p->visitor;

	if (v != NULL) {
		v->page = NULL;
		if (job->ran && !p->text.full)
			answer(v, "200 OK", "application/openmetrics-text; version=1.0.0; charset=utf-8",
			       buf_str(&p->text));
		else
			say(v, "503 Service Unavailable");
	}
	struct config *c = (struct config *)(uintptr_t)p->config;
	config_unref(&c);
	buf_fini(&p->text);
	free(p);
}

static void ask_for_page(struct visitor *v)
{
	struct metrics_door *d = v->door;
	struct page *p = calloc(1, sizeof *p);

	must(p != NULL);
	p->job = (struct worker_job){ .run = write_page, .done = on_page };
	p->door = d;
	p->visitor = v;
	p->config = config_ref(d->hooks.config(d->hooks.arg));
	buf_init(&p->text, METRICS_MAX);
	v->page = p;
	stream_deadline(&v->stream, -1);
	worker_add(d->worker, &p->job);
}

static void tell_health(struct visitor *v)
{
	struct queue_stats q;

	queue_stats(v->door->hooks.queue, &q);
	say(v, q.read_only ? "503 Service Unavailable" : "200 OK");
}

/* ---- the request ---- */

static void serve(struct visitor *v, struct str line)
{
	struct str path, rest, method = str_word(&line);

	path = str_word(&line);
	str_cut(path, '?', &path, &rest);
	if (!str_starts(str_word(&line), S("HTTP/1.")))
		say(v, "400 Bad Request");
	else if (!str_eq(method, S("GET")))
		say(v, "405 Method Not Allowed");
	else if (str_eq(path, S("/metrics")))
		ask_for_page(v);
	else if (str_eq(path, S("/health")))
		tell_health(v);
	else
		say(v, "404 Not Found");
}

static void on_readable(struct visitor *v)
{
	struct str in = stream_in(&v->stream), line, rest;

	if (v->answered || v->page != NULL)
		return;
	if (in.n > REQUEST_MAX)
		say(v, "431 Request Header Fields Too Large");
	if (v->answered || str_find(in, S("\r\n\r\n")) < 0)
		return;
	str_cut(in, '\r', &line, &rest);
	stream_pause(&v->stream, true); /* one request a connection */
	serve(v, line);
}

static void on_event(struct stream *s, enum stream_event e)
{
	struct visitor *v = container_of(s, struct visitor, stream);

	switch (e) {
	case STREAM_READABLE:
		on_readable(v);
		break;
	case STREAM_DRAINED:
		if (!v->answered)
			break;
		stream_finish(s);
		visitor_close(v);
		break;
	case STREAM_EOF:
		if (!v->answered && v->page == NULL)
			visitor_close(v);
		break;
	default:
		visitor_close(v);
	}
}

/* ---- the door ---- */

static bool may_enter(const struct metrics_door *d, const struct net_addr *client)
{
	const struct conf_metrics *m = &d->hooks.config(d->hooks.arg)->metrics;

	for (size_t i = 0; i < m->range_n; i++)
		if (net_cidr_has(&m->ranges[i], client))
			return d->visitor_n < CLIENTS_MAX;
	return false;
}

static void on_connection(struct loop_io *io, unsigned events)
{
	struct door_listener *l = container_of(io, struct door_listener, io);
	struct metrics_door *d = l->door;
	struct net_addr client;
	socklen_t n = sizeof client;

	(void)events;
	int fd = fault("metrics.accept") ? -1 : accept4(l->fd, &client.sa, &n, SOCK_NONBLOCK | SOCK_CLOEXEC);
	if (fd < 0)
		return;
	if (!may_enter(d, &client)) {
		close(fd);
		return;
	}
	struct visitor *v = calloc(1, sizeof *v);
	must(v != NULL);
	v->door = d;
	stream_init(&v->stream, d->loop, on_event);
	LIST_INSERT_HEAD(&d->visitors, v, entry);
	d->visitor_n++;
	stream_attach(&v->stream, fd, &client);
	stream_deadline(&v->stream, REQUEST_MS);
}

int metrics_door_listen(const struct config *c, int fds[METRICS_LISTEN_MAX], size_t *n, struct err *e)
{
	const struct conf_list *l = &c->metrics.listen;

	for (*n = 0; *n < l->n; ++*n) {
		struct net_addr a;
		must(*n < METRICS_LISTEN_MAX && net_parse_addr(l->v[*n], 9625, &a)); /* checked by config */
		fds[*n] = net_listen(&a, 16, e);
		if (fds[*n] < 0)
			return -1;
	}
	return 0;
}

struct metrics_door *metrics_door_open(struct loop *l, const struct control_hooks *h, const int *fds, size_t n,
				       struct err *e)
{
	struct metrics_door *d = calloc(1, sizeof *d);

	must(d != NULL);
	d->loop = l;
	d->hooks = *h;
	LIST_INIT(&d->visitors);
	d->worker = worker_start(l, e);
	if (d->worker == NULL) {
		free(d);
		return NULL;
	}
	for (d->listener_n = 0; d->listener_n < n; d->listener_n++) {
		struct door_listener *at = &d->listeners[d->listener_n];
		at->door = d;
		at->fd = fds[d->listener_n];
		loop_io_start(l, &at->io, at->fd, LOOP_READ, on_connection);
	}
	return d;
}

void metrics_door_close(struct metrics_door **dp)
{
	struct metrics_door *d = *dp;

	if (d == NULL)
		return;
	*dp = NULL;
	for (size_t i = 0; i < d->listener_n; i++) {
		loop_io_stop(&d->listeners[i].io);
		close(d->listeners[i].fd);
	}
	while (!LIST_EMPTY(&d->visitors))
		visitor_close(LIST_FIRST(&d->visitors));
	worker_stop(&d->worker);
	free(d);
}
