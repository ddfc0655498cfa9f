/* smtpd/beside_door.c: see the header. */
#include "smtpd/beside_door.h"

#include "base/must.h"
#include "base/stream.h"
#include "base/time.h"
#include "smtpd/beside.h"
#include "smtpd/control_role.h"
#include "wire/decide.h"
#include "wire/netstring.h"

#include <stdlib.h>
#include <sys/queue.h>
#include <unistd.h>

enum { REQUEST_MS = 30 * 1000, STALLED_MS = 60 * 1000, ACCEPTS = 16 };

struct asker {
	struct beside_door *door;
	struct stream stream;
	struct buf in; /* the request that has not come whole yet */
	bool may_decide;
	LIST_ENTRY(asker) entry;
};

struct beside_door {
	struct beside_door_options o;
	struct control_roles roles;
	struct door {
		struct loop_io io;
		struct beside_door *owner;
		int fd;
		bool local; /* a path */
	} doors[BESIDE_LISTEN_MAX];
	size_t door_n;
	char *paths[BESIDE_LISTEN_MAX]; /* to be removed at the end; NULL: an address */
	struct buf answer;
	LIST_HEAD(, asker) askers;
	size_t asker_n;
};

static const struct log door_log = { STR_LIT("beside") };

static void asker_close(struct asker *k)
{
	stream_close(&k->stream);
	buf_fini(&k->in);
	LIST_REMOVE(k, entry);
	k->door->asker_n--;
	loop_free_later(k->door->o.loop, k);
}

/* ---- requests ---- */

static void make_answer(struct asker *k, struct str request, struct buf *out)
{
	struct beside_door *d = k->door;
	const struct setup *s = d->o.setup(d->o.arg);
	const struct beside b = { .config = s->config,
				  .routing = d->o.routing,
				  .srs = outbound_srs_keys(s->outbound),
				  .tokens = outbound_token_keys(s->outbound),
				  .now_ms = clock_wall_ms() };
	struct str map, key;

	if (!socketmap_request(request, &map, &key))
		buf_add(out, S("PERM a request is MAP KEY"));
	else if (!str_eq(map, S("decide")))
		beside_lookup(&b, map, key, out);
	else if (k->may_decide)
		beside_decide(&b, key, out);
	else
		buf_add(out, S("PERM this map is for tombolo-milter, by a path"));
}

/* One request off the front of k->in: 1, 0 when it is not all there, -1 when it is none. */
static int serve_one(struct asker *k)
{
	struct buf *answer = &k->door->answer;
	struct str request;
	ssize_t used = netstring_next(buf_str(&k->in), DECIDE_MAX, &request);

	if (used <= 0)
		return used < 0 ? -1 : 0;
	buf_reset(answer);
	make_answer(k, request, answer);
	netstring_put(stream_out(&k->stream), buf_str(answer));
	if (stream_out(&k->stream)->full)
		return -1;
	stream_flush_later(&k->stream);
	buf_drop(&k->in, (size_t)used);
	return 1;
}

static void serve(struct asker *k)
{
	int got = 1;

	while (got > 0 && !stream_is_choked(&k->stream))
		got = serve_one(k);
	if (got < 0) {
		log_warn(&door_log, "beside.garbage", kv_int("bytes", (int64_t)k->in.n));
		asker_close(k);
		return;
	}
	stream_pause(&k->stream, stream_is_choked(&k->stream));
	stream_deadline(&k->stream, stream_unsent(&k->stream) > 0 ? STALLED_MS : k->in.n > 0 ? REQUEST_MS : -1);
	if (k->in.n == 0)
		buf_fini(&k->in); /* an idle client holds no memory */
}

static void on_readable(struct asker *k)
{
	struct str in = stream_in(&k->stream);

	buf_add(&k->in, in);
	stream_consume(&k->stream, in.n);
	if (!k->in.full)
		serve(k);
	else
		asker_close(k);
}

static void on_event(struct stream *s, enum stream_event e)
{
	struct asker *k = container_of(s, struct asker, stream);

	switch (e) {
	case STREAM_READABLE:
		on_readable(k);
		break;
	case STREAM_DRAINED:
		serve(k);
		break;
	default:
		asker_close(k);
	}
}

/* ---- the doors ---- */

static void admit(struct door *at, int fd, const struct net_addr *client)
{
	struct beside_door *d = at->owner;
	uid_t uid;
	struct asker *k = calloc(1, sizeof *k);

	must(k != NULL);
	k->door = d;
	k->may_decide = at->local && control_role_of(&d->roles, fd, &uid) == ROLE_OPERATOR;
	buf_init(&k->in, DECIDE_MAX + LOOP_BUFFER + 32);
	stream_init(&k->stream, d->o.loop, on_event);
	LIST_INSERT_HEAD(&d->askers, k, entry);
	d->asker_n++;
	stream_attach(&k->stream, fd, client);
}

static void on_connection(struct loop_io *io, unsigned events)
{
	struct door *at = container_of(io, struct door, io);
	struct beside_door *d = at->owner;
	size_t most = (size_t)d->o.setup(d->o.arg)->config->beside.clients;

	(void)events;
	for (int i = 0; i < ACCEPTS; i++) {
		struct net_addr client = { .sa.sa_family = AF_UNIX };
		socklen_t n = sizeof client;
		int fd = accept4(at->fd, at->local ? NULL : &client.sa, at->local ? NULL : &n,
				 SOCK_NONBLOCK | SOCK_CLOEXEC);
		if (fd < 0)
			return;
		if (d->asker_n < most) {
			admit(at, fd, &client);
			continue;
		}
		log_warn(&door_log, "beside.full", kv_int("clients", (int64_t)most));
		close(fd);
	}
}

/* Whoever can reach the path may ask the tables. */
static int listen_path(const char *path, struct err *e)
{
	int fd = net_connect_unix(path, NULL);

	if (fd < 0)
		return net_listen_unix(path, 0666, e);
	close(fd);
	return err_set(e, ERR_BUSY, "beside.listen", "another process answers on %s; stop it first", path);
}

int beside_door_listen(const struct config *c, int fds[BESIDE_LISTEN_MAX], size_t *n, struct err *e)
{
	const struct conf_list *l = &c->beside.listen;

	for (*n = 0; *n < l->n; ++*n) {
		struct str at = l->v[*n];
		struct net_addr a;
		must(*n < BESIDE_LISTEN_MAX);
		if (str_starts(at, S("/"))) {
			fds[*n] = listen_path(at.p, e);
		} else {
			must(net_parse_addr(at, 9626, &a)); /* checked by config */
			fds[*n] = net_listen(&a, 256, e);
		}
		if (fds[*n] < 0)
			return -1;
	}
	return 0;
}

struct beside_door *beside_door_open(const struct beside_door_options *o, const int *fds, size_t n, struct err *e)
{
	const struct config *c = o->setup(o->arg)->config;
	struct beside_door *d = calloc(1, sizeof *d);

	must(d != NULL && n <= c->beside.listen.n);
	d->o = *o;
	LIST_INIT(&d->askers);
	if (control_roles_find(&d->roles, c->control_viewers, c->control_operators, e) != 0) {
		free(d);
		return NULL;
	}
	buf_init(&d->answer, BESIDE_ANSWER_MAX - 64);
	for (; d->door_n < n; d->door_n++) {
		struct door *at = &d->doors[d->door_n];
		struct str where = c->beside.listen.v[d->door_n];
		at->owner = d;
		at->fd = fds[d->door_n];
		at->local = str_starts(where, S("/"));
		d->paths[d->door_n] = at->local ? strdup(where.p) : NULL;
		loop_io_start(o->loop, &at->io, at->fd, LOOP_READ, on_connection);
	}
	return d;
}

void beside_door_close(struct beside_door **dp)
{
	struct beside_door *d = *dp;

	if (d == NULL)
		return;
	*dp = NULL;
	for (size_t i = 0; i < d->door_n; i++) {
		loop_io_stop(&d->doors[i].io);
		close(d->doors[i].fd);
		if (d->paths[i] != NULL)
			unlink(d->paths[i]);
		free(d->paths[i]);
	}
	while (!LIST_EMPTY(&d->askers))
		asker_close(LIST_FIRST(&d->askers));
	buf_fini(&d->answer);
	free(d);
}
