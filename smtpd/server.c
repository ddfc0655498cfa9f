/* smtpd/server.c: the gateway as one loop sees it. */
#include "smtpd/server.h"

#include "base/must.h"
#include "base/op.h"
#include "smtpd/listener.h"
#include "smtpd/session.h"

#include <stdlib.h>

static void on_lease(void *arg, struct lease *l)
{
	struct server *s = arg;

	deliver_lease(s->deliver, l);
}

enum { DRAIN_LOOK_MS = 20 };

/* While draining: is anything of ours still under way? */
static void on_drain_look(struct loop_timer *t)
{
	struct server *s = container_of(t, struct server, drain_timer);

	if (!LIST_EMPTY(&s->sessions) || deliver_busy(s->deliver) > 0)
		loop_timer_set(t, DRAIN_LOOK_MS);
	else if (s->on_drained != NULL)
		s->on_drained(s);
}

int server_init(struct server *s, struct loop *l, struct shared *shared, struct setup *setup, const int *fds,
		size_t fd_n, const struct net_addr *own, size_t own_n, size_t shares, struct err *e)
{
	*s = (struct server){ .loop = l, .shared = shared, .setup = setup_ref(setup) };
	LIST_INIT(&s->sessions);
	milter_pool_init(&s->milters, l);
	loop_timer_init(l, &s->drain_timer, on_drain_look);
	s->track = shared->track != NULL ? track_ring(shared->track) : NULL;
	s->signer = signer_by(&s->auth);
	struct deliver_options o = {
		.loop = l,
		.port = &s->port,
		.routing = shared->routing,
		.dns = shared->dns,
		.outbound = setup->outbound,
		.track = s->track,
		.own = own,
		.own_n = own_n,
		.shares = (unsigned)shares,
		.breakers = shared->breakers,
		.echoes = shared->echoes,
		.drain = &shared->drain,
		.signer = setup->config->auth.workers > 0 ? &s->signer : NULL,
		.kept = shared->kept,
	};
	s->deliver = deliver_new(&o);
	s->port = queue_attach(shared->queue, l, on_lease, s);
	if (s->deliver == NULL || s->port == NULL)
		return err_set(e, ERR_SYSTEM, "server.init", "cannot attach the queue");
	s->listeners = calloc(fd_n, sizeof *s->listeners);
	must(s->listeners != NULL || fd_n == 0);
	for (s->listener_n = 0; s->listener_n < fd_n; s->listener_n++)
		listener_start(&s->listeners[s->listener_n], s, fds[s->listener_n]);
	return 0;
}

void server_use_auth(struct server *s, int keeper, size_t shares)
{
	s->auth = auth_open(&(struct auth_options){ .loop = s->loop,
						    .dns = s->shared->dns,
						    .conf = &s->setup->config->auth,
						    .shares = shares,
						    .keeper = keeper });
}

static void stop_listening(struct server *s)
{
	for (size_t i = 0; i < s->listener_n; i++)
		listener_stop(&s->listeners[i]);
}

void server_fini(struct server *s)
{
	stop_listening(s);
	loop_timer_stop(&s->drain_timer);
	s->on_drained = NULL;
	while (!LIST_EMPTY(&s->sessions))
		session_close(LIST_FIRST(&s->sessions));
	milter_pool_fini(&s->milters);
	deliver_free(&s->deliver);
	auth_close(&s->auth);
	if (s->port != NULL)
		queue_detach(&s->port);
	free(s->listeners);
	s->listeners = NULL;
	s->listener_n = 0;
	setup_unref(&s->setup);
}

void server_reconfigure(struct server *s, struct setup *setup)
{
	setup_unref(&s->setup);
	s->setup = setup_ref(setup);
	deliver_reconfigure(s->deliver, setup->outbound);
	if (s->auth != NULL)
		auth_reconfigure(s->auth, &setup->config->auth);
}

void server_drain(struct server *s)
{
	struct session *session, *next;

	if (s->draining)
		return;
	s->draining = true;
	stop_listening(s);
	queue_pause(s->port, true);
	for (session = LIST_FIRST(&s->sessions); session != NULL; session = next) {
		next = LIST_NEXT(session, entry);
		session_drain(session);
	}
	loop_timer_set(&s->drain_timer, 0);
}

static const struct counter_name {
	const char *name;
	size_t offset;
} counter_names[] = {
#define NAME(field) \
	{ \
#field, offsetof(struct counters, field) \
	}
	NAME(connections),
	NAME(refused_full),
	NAME(refused_client),
	NAME(early_talkers),
	NAME(sessions),
	NAME(messages),
	NAME(message_bytes),
	NAME(rejected_messages),
	NAME(rcpts),
	NAME(rejected_rcpts),
	NAME(deferred_rcpts),
	NAME(tls_sessions),
	NAME(tls_failures),
	NAME(tls_resumed),
	NAME(protocol_errors),
	NAME(timeouts),
	NAME(commit_failures),
	NAME(attribution_misses),
	NAME(foreign_messages),
	NAME(forged_messages),
	NAME(loops_stopped),
	NAME(shed),
	NAME(milter_calls),
	NAME(milter_failures),
	NAME(milter_ms),
	NAME(judged),
	NAME(judged_failed),
	NAME(judged_stopped),
	{ "rate_connections", offsetof(struct counters, too_fast[GATE_CONNECTIONS]) },
	{ "rate_messages", offsetof(struct counters, too_fast[GATE_MESSAGES]) },
	{ "rate_recipients", offsetof(struct counters, too_fast[GATE_RECIPIENTS]) },
	{ "rate_unknown", offsetof(struct counters, too_fast[GATE_UNKNOWN]) },
#undef NAME
};

void server_counter_each(const struct server *s, void (*each)(void *to, const char *name, uint64_t value), void *to)
{
	for (size_t i = 0; i < sizeof counter_names / sizeof counter_names[0]; i++) {
		const char *at = (const char *)&s->counters + counter_names[i].offset;
		each(to, counter_names[i].name, __atomic_load_n((const uint64_t *)(const void *)at, __ATOMIC_RELAXED));
	}
	for (int g = 1; g < GROUP_N; g++) {
		char name[40];
		snprintf(name, sizeof name, "header_fields_%s", header_group_name((enum header_group)g));
		each(to, name, __atomic_load_n(&s->counters.header_fields[g], __ATOMIC_RELAXED));
	}
	if (s->auth == NULL)
		return;
	struct auth_stats auth;
	auth_stats(s->auth, &auth);
	each(to, "auth_spf", auth.spf);
	each(to, "auth_dkim", auth.dkim);
	each(to, "auth_signed", auth.signed_n);
	each(to, "auth_worker_deaths", auth.deaths);
	each(to, "auth_workers_recycled", auth.recycled);
	each(to, "auth_timeouts", auth.timeouts);
	each(to, "auth_refused", auth.refused);
}
