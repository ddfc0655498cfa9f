/* smtpd/app_control.c: the whole gateway as the command line and the monitoring system see it: sums over all loops. */
#include "smtpd/app.h"

#include "smtpd/hops.h"

#include <errno.h>
#include <sys/stat.h>

const struct config *app_config(void *arg)
{
	struct app *app = arg;

	/* the loop's own: a reload may be freeing the application's just now */
	return app->workers[0].server.setup->config;
}

static void app_counters(void *arg, void (*each)(void *to, const char *name, uint64_t value), void *to)
{
	struct app *app = arg;

	each(to, "connections_open", gate_count(app->shared.gate));
	for (size_t i = 0; i < app->worker_n; i++)
		server_counter_each(&app->workers[i].server, each, to);
}

void app_on_hurry(struct loop_task *task)
{
	struct worker *w = container_of(task, struct worker, hurry_task);

	__atomic_store_n(&w->hurrying, false, __ATOMIC_RELEASE);
	deliver_hurry(w->server.deliver);
}

/* On the control's worker. */
static void app_hurry(void *arg)
{
	struct app *app = arg;

	for (size_t i = 0; i < app->worker_n; i++)
		if (!__atomic_exchange_n(&app->workers[i].hurrying, true, __ATOMIC_ACQ_REL))
			loop_post(app->workers[i].loop, &app->workers[i].hurry_task);
}

static void list_servers(struct app *app, struct server *out[LOOPS_MAX])
{
	for (size_t i = 0; i < app->worker_n; i++)
		out[i] = &app->workers[i].server;
}

static size_t app_hops(void *arg, struct hop_stats *rows, size_t max)
{
	struct app *app = arg;
	struct server *servers[LOOPS_MAX];

	list_servers(app, servers);
	return hops_gather(servers, app->worker_n, rows, max);
}

static size_t app_connectors(void *arg, struct connector_stats *rows, size_t max)
{
	struct app *app = arg;
	struct server *servers[LOOPS_MAX];

	list_servers(app, servers);
	return connectors_gather(servers, app->worker_n, rows, max);
}

static size_t app_times(void *arg, struct hop_times *rows, size_t max)
{
	struct app *app = arg;
	struct server *servers[LOOPS_MAX];

	list_servers(app, servers);
	return times_gather(servers, app->worker_n, rows, max);
}

static size_t app_crl_sources(void *arg, struct crl_source *rows, size_t max)
{
	struct app *app = arg;

	return app->crl_fetcher == NULL ? 0 : crl_fetcher_rows(app->crl_fetcher, rows, max);
}

int app_make_dir_of(const char *file)
{
	char dir[512];
	ssize_t slash = str_rchr(str_c(file), '/');

	if (slash <= 0 || (size_t)slash >= sizeof dir)
		return 0;
	snprintf(dir, sizeof dir, "%.*s", (int)slash, file);
	return mkdir(dir, 0755);
}

/* The socket of the command line and the page of the monitoring system see the same. */
int app_open_control(struct app *app, struct err *e)
{
	const struct config *c = app->setup->config;
	struct control_hooks h = {
		.arg = app,
		.config = app_config,
		.config_path = app->path,
		.routing = app->shared.routing,
		.dns = app->shared.dns,
		.queue = app->shared.queue,
		.port = app->workers[0].server.port,
		.reload = app_reload,
		.tls_reload = app_tls_reload,
		.setup = app_setup,
		.counters = app_counters,
		.hurry = app_hurry,
		.hops = app_hops,
		.connectors = app_connectors,
		.times = app_times,
		.crl_sources = app_crl_sources,
		.deliver = app->workers[0].server.deliver,
		.auth = app->workers[0].server.auth,
		.pressure = &app->shared.pressure,
		.drain = &app->shared.drain,
		.kept = app->shared.kept,
		.started_ms = app->started_ms,
	};

	app_make_dir_of(c->control.p);
	app->control = control_open(app->workers[0].loop, c->control.p, &h, e);
	if (app->control == NULL || app->metrics_n == 0)
		return app->control == NULL ? -1 : 0;
	app->metrics = metrics_door_open(app->workers[0].loop, &h, app->metrics_fds, app->metrics_n, e);
	return app->metrics == NULL ? -1 : 0;
}
