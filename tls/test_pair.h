/* tls/test_pair.h: for the tests of this room: two streams on one loop, one accepts and one connects, over a
 * socketpair.
 *
 *   pair_open -> (set pair.step, contexts) -> pair_secure -> pair_run (until pair_done, or gives up after 5 s)
 *   -> pair_close.  Certificates come from tests/certs.sh, made once per test program into a folder of its own. */
#ifndef TLS_TEST_PAIR_H
#define TLS_TEST_PAIR_H

#include "base/must.h"
#include "base/op.h"
#include "tls/tls.h"

#include <fcntl.h>
#include <limits.h>
#include <spawn.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static char certs[64] = "/tmp/tombolo-tls-XXXXXX";

static inline int spawn_wait(char *const argv[])
{
	pid_t pid;
	int status = -1;

	if (posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ) != 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return status;
}

static inline int certs_make(void **state)
{
	(void)state;
	if (mkdtemp(certs) == NULL)
		return -1;
	return spawn_wait((char *[]){ "sh", "tests/certs.sh", certs, NULL });
}

static inline int certs_remove(void **state)
{
	(void)state;
	return spawn_wait((char *[]){ "rm", "-rf", certs, NULL });
}

/* "server.pem" -> its path; a few at a time. */
static inline struct str cert(const char *file)
{
	static char paths[64][128];
	static unsigned at;
	char *p = paths[at++ % 64];

	if (file == NULL || file[0] == '\0')
		return STR_NONE;
	snprintf(p, sizeof paths[0], "%s/%s", certs, file);
	return str_c(p);
}

struct pair;

struct end {
	struct stream s;
	struct pair *pair;
	struct tls_ctx *ctx;
	struct str sni, session_key;
	unsigned seen; /* events, 1 << enum stream_event */
	size_t got;    /* bytes received */
	size_t put;    /* bytes written; the step's own */
	char text[64]; /* the first of them */
	bool keep;     /* the step consumes */
};

struct pair {
	struct loop *loop;
	struct loop_timer limit;
	struct end client, server;
	void (*step)(struct pair *p, struct end *from, enum stream_event e);
	size_t count; /* the step's own */
	bool timed_out;
};

static inline bool end_saw(const struct end *e, enum stream_event what)
{
	return e->seen & (1U << what);
}

static inline void pair_on_event(struct stream *s, enum stream_event e)
{
	struct end *end = container_of(s, struct end, s);
	struct str in = stream_in(s);

	end->seen |= 1U << e;
	if (e == STREAM_READABLE) {
		for (size_t i = 0; i < in.n && end->got + i < sizeof end->text; i++)
			end->text[end->got + i] = in.p[i];
		if (!end->keep) {
			end->got += in.n;
			stream_consume(s, in.n);
		}
	}
	end->pair->step(end->pair, end, e);
}

static inline void pair_done(struct pair *p)
{
	loop_stop(p->loop);
}

static inline void pair_on_limit(struct loop_timer *t)
{
	struct pair *p = container_of(t, struct pair, limit);

	p->timed_out = true;
	loop_stop(p->loop);
}

static inline void pair_open(struct pair *p, int buffer_bytes)
{
	struct net_addr nowhere = { .v4 = { .sin_family = AF_INET } };
	int fds[2];

	*p = (struct pair){ .loop = loop_new(NULL) };
	must(p->loop != NULL && socketpair(AF_UNIX, SOCK_STREAM | SOCK_NONBLOCK | SOCK_CLOEXEC, 0, fds) == 0);
	for (int i = 0; i < 2 && buffer_bytes > 0; i++)
		setsockopt(fds[i], SOL_SOCKET, SO_SNDBUF, &buffer_bytes, sizeof buffer_bytes);
	stream_init(&p->client.s, p->loop, pair_on_event);
	stream_init(&p->server.s, p->loop, pair_on_event);
	p->client.pair = p->server.pair = p;
	stream_attach(&p->client.s, fds[0], &nowhere);
	stream_attach(&p->server.s, fds[1], &nowhere);
	loop_timer_init(p->loop, &p->limit, pair_on_limit);
	loop_timer_set(&p->limit, 5000);
}

static inline void pair_secure(struct pair *p)
{
	tls_accept(&p->server.s, p->server.ctx);
	tls_connect(&p->client.s, p->client.ctx, p->client.sni, p->client.session_key);
}

static inline void pair_run(struct pair *p)
{
	loop_run(p->loop);
	loop_timer_stop(&p->limit);
}

static inline void pair_close(struct pair *p)
{
	stream_close(&p->client.s);
	stream_close(&p->server.s);
	loop_timer_stop(&p->limit);
	loop_free(&p->loop);
}

/* Step for tests that only want the handshake: the server says "hi" (so that tickets arrive before it), the client
 * hears it. */
static inline void step_hello(struct pair *p, struct end *from, enum stream_event e)
{
	if (e == STREAM_SECURED && from == &p->server)
		stream_write(&from->s, S("hi"));
	if (e == STREAM_FAILED || (e == STREAM_READABLE && from == &p->client))
		pair_done(p);
}

#endif
