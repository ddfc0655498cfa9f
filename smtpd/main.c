/* smtpd/main.c: the composition root of tombolod: the only file that sees everything.
 *
 *   tombolod -c FILE        run in the foreground (SIGHUP reloads all or nothing, SIGTERM drains, twice: at once)
 *   tombolod -t -c FILE     check the configuration and its certificates, print every problem, exit
 *   tombolod --doc          print docs/CONFIG.md
 *
 * Root is needed to bind and to read keys; then it is dropped for good, before the first loop runs. */
#include "auth/keeper.h"
#include "base/fault.h"
#include "base/must.h"
#include "base/own.h"
#include "base/time.h"
#include "base/user.h"
#include "connectors/breaker.h"
#include "connectors/kept.h"
#include "smtpd/app.h"
#include "smtpd/cage.h"
#include "smtpd/notify.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <sys/resource.h>
#include <sys/signalfd.h>
#include <sys/stat.h>
#include <unistd.h>

static int listen_all(struct app *app, int fds[], struct err *e)
{
	const struct config *c = app->setup->config;
	size_t n = 0;

	for (size_t i = 0; i < c->receive_n; i++)
		for (size_t k = 0; k < c->receives[i].addr_n; k++) {
			bool again = false;
			for (size_t x = 0; x < n && !again; x++)
				again = net_same_ip(&app->own[x], &c->receives[i].addrs[k]) &&
					net_port(&app->own[x]) == net_port(&c->receives[i].addrs[k]);
			if (again)
				continue; /* two receive connectors share a socket and differ by range */
			fds[n] = net_listen(&c->receives[i].addrs[k], 4096, e);
			if (fds[n] < 0)
				return -1;
			app->own[n++] = c->receives[i].addrs[k];
		}
	app->own_n = n;
	return 0;
}

static size_t count_addrs(const struct config *c)
{
	size_t n = 0;

	for (size_t i = 0; i < c->receive_n; i++)
		n += c->receives[i].addr_n;
	return n;
}

static int make_worker(struct app *app, size_t i, const int *fds, struct err *e)
{
	struct worker *w = &app->workers[i];

	w->app = app;
	w->index = i;
	w->drain_task.fn = app_on_drain;
	w->stop_task.fn = app_on_stop;
	w->setup_task.fn = app_on_setup;
	w->hurry_task.fn = app_on_hurry;
	if (server_init(&w->server, w->loop, &app->shared, app->setup, fds, app->own_n, app->own, app->own_n,
			app->worker_n, e) != 0)
		return -1;
	if (app->setup->config->auth.workers > 0)
		server_use_auth(&w->server, app->keepers[i], app->worker_n);
	w->server.session_id = (uint64_t)i << 56; /* ids of different loops differ */
	w->server.on_drained = app_on_drained;
	return 0;
}

/* Root gives away what it sees and not what a link leads to: the account could have made one in its own folder. */
static int give_dir(const char *path, uid_t uid, gid_t gid, struct err *e)
{
	int fd = own_dir(path, "main.user", e), rc = 0;

	if (fd < 0)
		return -1;
	if (fchown(fd, uid, gid) != 0)
		rc = err_sys(e, ERR_SYSTEM, "main.user", "chown %s", path);
	close(fd);
	return rc;
}

static int become(struct str user, const struct config *c, struct err *e)
{
	uid_t uid;
	gid_t gid;

	if (user.n == 0 || geteuid() != 0)
		return 0;
	if (user_find(user.p, &uid, &gid, e) != 0)
		return -1;
	if (access(c->queue.path.p, F_OK) == 0 && give_dir(c->queue.path.p, uid, gid, e) != 0)
		return -1;
	if (c->tls.crl_fetch.n > 0 && (mkdir(c->tls.crl_cache.p, 0755) == 0 || errno == EEXIST) &&
	    give_dir(c->tls.crl_cache.p, uid, gid, e) != 0)
		return -1;
	return user_become(uid, gid, e);
}

static void raise_descriptor_limit(void)
{
	struct rlimit r;

	if (getrlimit(RLIMIT_NOFILE, &r) != 0)
		return;
	r.rlim_cur = r.rlim_max;
	setrlimit(RLIMIT_NOFILE, &r);
}

/* On the writer's thread, once until it works again. */
static void on_track_trouble(const struct err *e)
{
	log_error(NULL, "track.failed", kv_c("why", e->text));
}

static int open_track(struct app *app, struct err *e)
{
	const struct conf_track *c = &app->setup->config->track;
	bool csv = c->format == TRACK_FORMAT_CSV;
	const struct track_options o = {
		.path = app->track_path,
		.rotate_bytes = c->rotate_bytes,
		.retain_ms = c->retain_ms,
		.ring_bytes = c->ring_bytes,
		.put_head = csv ? track_put_head : NULL,
		.put_lost = csv ? track_put_lost_csv : track_put_lost_json,
		.trouble = on_track_trouble,
	};

	snprintf(app->track_path, sizeof app->track_path, STR_FMT, STR_ARG(c->path)); /* outlives a reload */
	app_make_dir_of(app->track_path);
	app->shared.track = track_open(&o, e);
	return app->shared.track == NULL ? -1 : 0;
}

/* A drain that was under way when we ended goes on. */
static void resume_drain(struct app *app, const char *queue)
{
	struct drain_order o;
	bool damaged;

	drain_init(&app->shared.drain);
	if (!drain_kept(queue, &o, &damaged))
		return;
	drain_start(&app->shared.drain, &o);
	log_warn(NULL, "queue.drain", kv_bool("on", true), kv_c("to", o.to), kv_c("reason", o.reason),
		 kv_bool("resumed", true), kv_bool("damaged", damaged));
}

static int open_shared(struct app *app, struct err *e)
{
	const struct config *c = app->setup->config;
	struct queue_recovery found = { 0 };

	resume_drain(app, c->queue.path.p);
	app->shared.gate = gate_new();
	app->shared.breakers = breakers_new();
	app->shared.echoes = echo_board_new();
	if (c->track.path.n > 0 && open_track(app, e) != 0)
		return -1;
	app->shared.routing = routing_open(c, e);
	if (app->shared.routing == NULL)
		return -1;
	app->shared.dns = dns_open(app->workers[0].loop, &c->resolvers, c->hosts, e);
	if (app->shared.dns == NULL)
		return -1;
	app->shared.queue = queue_open(&c->queue, &found, e);
	if (app->shared.queue == NULL)
		return -1;
	app->kept_config = config_ref(c); /* outlives a reload */
	if (c->replay.path.n > 0 && (app->shared.kept = kept_open(&c->replay, e)) == NULL)
		return -1;
	log_info(NULL, "queue.opened", kv_int("messages", (int64_t)found.messages),
		 kv_int("recipients", (int64_t)found.recipients), kv_int("replayed", (int64_t)found.replayed_records),
		 kv_int("cut_bytes", (int64_t)found.cut_bytes), kv_int("poison", (int64_t)found.poison),
		 kv_int("ms", found.took_ms));
	return 0;
}

static const struct setup *app_loop_setup(void *arg)
{
	struct app *app = arg;

	return app->workers[0].server.setup;
}

static int open_beside_sockets(struct app *app, struct err *e)
{
	const struct conf_list *l = &app->setup->config->beside.listen;

	for (size_t i = 0; i < l->n; i++)
		if (str_starts(l->v[i], S("/")))
			app_make_dir_of(l->v[i].p);
	return beside_door_listen(app->setup->config, app->beside_fds, &app->beside_n, e);
}

static int open_beside(struct app *app, struct err *e)
{
	const struct beside_door_options o = {
		.loop = app->workers[0].loop, .routing = app->shared.routing, .setup = app_loop_setup, .arg = app
	};

	if (app->beside_n == 0)
		return 0;
	app->beside = beside_door_open(&o, app->beside_fds, app->beside_n, e);
	return app->beside == NULL ? -1 : 0;
}

static int open_signals(struct app *app, struct err *e)
{
	sigset_t set;

	sigemptyset(&set);
	sigaddset(&set, SIGHUP);
	sigaddset(&set, SIGTERM);
	sigaddset(&set, SIGINT);
	signal(SIGPIPE, SIG_IGN);
	pthread_sigmask(SIG_BLOCK, &set, NULL); /* before any thread: all inherit it */
	app->signal_fd = signalfd(-1, &set, SFD_NONBLOCK | SFD_CLOEXEC);
	return app->signal_fd < 0 ? err_sys(e, ERR_SYSTEM, "main.signals", "signalfd") : 0;
}

static void *run_worker(void *arg)
{
	struct worker *w = arg;

	loop_run(w->loop);
	return NULL;
}

static size_t loops_wanted(const struct config *c)
{
	long cores = sysconf(_SC_NPROCESSORS_ONLN);
	size_t n = c->loops > 0 ? (size_t)c->loops : (size_t)(cores > 0 ? cores : 1);

	return n > LOOPS_MAX ? LOOPS_MAX : n;
}

static void app_crls_changed(void *arg)
{
	struct app *app = arg;

	if (app->tls_watch != NULL)
		tls_watch_kick(app->tls_watch);
}

static int start_tls_care(struct app *app, struct err *e)
{
	struct loop *l = app->workers[0].loop;

	app->crl_fetcher = crl_fetcher_start(
		&(struct crl_fetcher_options){ .loop = l, .setup = app_setup, .changed = app_crls_changed, .arg = app },
		e);
	if (app->crl_fetcher == NULL)
		return -1;
	app->tls_watch = tls_watch_start(&(struct tls_watch_options){ .loop = l,
								      .setup = app_setup,
								      .arg = app,
								      .reload = app_tls_reload,
								      .fetcher = app->crl_fetcher },
					 e);
	return app->tls_watch == NULL ? -1 : 0;
}

/* Beside our own program unless the configuration says otherwise. */
static int start_keeper(struct app *app, struct err *e)
{
	const struct config *c = app->setup->config;
	char path[4096];

	snprintf(path, sizeof path, STR_FMT, STR_ARG(c->auth.program));
	if (c->auth.program.n == 0) {
		ssize_t n = readlink("/proc/self/exe", path, sizeof path - sizeof "tombolo-auth");
		if (n < 0)
			return err_sys(e, ERR_SYSTEM, "main.auth", "/proc/self/exe");
		ssize_t slash = str_rchr(str_n(path, (size_t)n), '/');
		memcpy(path + slash + 1, "tombolo-auth", sizeof "tombolo-auth");
	}
	if (access(path, X_OK) != 0)
		return err_sys(e, ERR_NOT_FOUND, "main.auth", "%s", path);
	return keeper_start(path, app->path, app->worker_n, app->keepers, e);
}

static int start(struct app *app, struct err *e)
{
	const struct config *c = app->setup->config;
	size_t addr_n = count_addrs(c);

	app->own = calloc(addr_n + 1, sizeof *app->own);
	must(app->own != NULL);
	app->worker_n = loops_wanted(c);
	for (size_t i = 0; i < app->worker_n; i++)
		if ((app->workers[i].loop = loop_new(e)) == NULL)
			return -1;
	int *fds = calloc(app->worker_n * (addr_n + 1), sizeof *fds); /* one row of listeners a loop */
	must(fds != NULL);
	int failed = 0;
	for (size_t i = 0; i < app->worker_n && failed == 0; i++)
		failed = listen_all(app, fds + i * (addr_n + 1), e);
	if (failed == 0)
		failed = metrics_door_listen(c, app->metrics_fds, &app->metrics_n, e);
	if (failed == 0 && c->auth.workers > 0)
		failed = start_keeper(app, e);
	if (failed == 0)
		failed = open_beside_sockets(app, e);
	if (failed == 0)
		failed = become(c->user, c, e);
	if (failed == 0)
		cage_folders(c); /* rules for files hold for threads that begin later */
	if (failed == 0)
		failed = open_shared(app, e);
	for (size_t i = 0; i < app->worker_n && failed == 0; i++)
		failed = make_worker(app, i, fds + i * (addr_n + 1), e);
	if (failed == 0)
		deliver_validate(app->workers[0].server.deliver);
	free(fds);
	if (failed != 0 || app_open_control(app, e) != 0 || open_beside(app, e) != 0)
		return -1;
	if (start_tls_care(app, e) != 0)
		return -1;
	app->mode_watch = mode_watch_start(&(struct mode_watch_options){ .loop = app->workers[0].loop,
									 .routing = app->shared.routing,
									 .deliver = app->workers[0].server.deliver,
									 .config = app_config,
									 .arg = app },
					   e);
	if (app->mode_watch == NULL)
		return -1;
	app->pressure_watch =
		pressure_watch_start(&(struct pressure_watch_options){ .loop = app->workers[0].loop,
								       .setup = app_setup,
								       .arg = app,
								       .queue = app->shared.queue,
								       .routing = app->shared.routing,
								       .pressure = &app->shared.pressure },
				     e);
	if (app->pressure_watch == NULL)
		return -1;
	loop_timer_init(app->workers[0].loop, &app->drain_timer, app_on_drain_late);
	loop_io_start(app->workers[0].loop, &app->signals, app->signal_fd, LOOP_READ, app_on_signal);
	return 0;
}

static void run(struct app *app)
{
	for (size_t i = 1; i < app->worker_n; i++) {
		int error = pthread_create(&app->workers[i].thread, NULL, run_worker, &app->workers[i]);
		if (error == 0)
			continue;
		/* its listeners are open, so to go on without it would leave clients waiting; the queue bears an exit
		 */
		log_error(NULL, "tombolod.start", kv_c("error", "cannot start a thread"), kv_int("errno", error));
		log_flush();
		fprintf(stderr, "tombolod: cannot start a thread: %s\n", strerror(error));
		exit(1);
	}
	log_info(NULL, "tombolod.ready", kv_int("loops", (int64_t)app->worker_n),
		 kv_int("listeners", (int64_t)app->own_n), kv_c("site", conf_site_name(app->setup->config->site)));
	log_flush();
	notify_manager("READY=1");
	if (app->setup->config->sandbox)
		cage_calls();
	loop_run(app->workers[0].loop);
	for (size_t i = 1; i < app->worker_n; i++)
		pthread_join(app->workers[i].thread, NULL);
}

static void finish(struct app *app)
{
	loop_io_stop(&app->signals);
	mode_watch_keep(app->shared.routing);
	queue_close(&app->shared.queue);
	kept_close(&app->shared.kept);
	config_unref(&app->kept_config);
	dns_close(&app->shared.dns);
	routing_close(&app->shared.routing);
	for (size_t i = 0; i < app->worker_n; i++)
		loop_free(&app->workers[i].loop);
	gate_free(&app->shared.gate);
	breakers_free(&app->shared.breakers);
	echo_board_free(&app->shared.echoes);
	track_close(&app->shared.track);
	setup_unref(&app->setup);
	free(app->own);
	close(app->signal_fd);
	log_info(NULL, "tombolod.stopped", kv_bool("clean", true));
	log_flush();
}

static int usage(void)
{
	fputs("usage: tombolod [-t] -c FILE | tombolod --doc\n", stderr);
	return 2;
}

static int print_doc(void)
{
	struct buf doc;

	buf_init(&doc, 1024 * 1024);
	config_doc(&doc);
	fputs(buf_cstr(&doc), stdout);
	buf_fini(&doc);
	return 0;
}

int main(int argc, char **argv)
{
	static struct app app = { .path = "/etc/tombolo/tombolo.conf", .reload_lock = PTHREAD_MUTEX_INITIALIZER };
	struct buf problems;
	struct err e = { 0 };
	bool check = false;
	int opt;

	if (argc == 2 && str_eq(str_c(argv[1]), S("--doc")))
		return print_doc();
	while ((opt = getopt(argc, argv, "c:t")) != -1) {
		if (opt == 'c')
			app.path = optarg;
		else if (opt == 't')
			check = true;
		else
			return usage();
	}
	if (optind != argc)
		return usage();
	fault_init();
	must_on_panic(log_flush_at_panic, NULL); /* the last lines before a panic are the ones that matter */
	raise_descriptor_limit();
	buf_init(&problems, PROBLEMS_MAX);
	app.setup = setup_load(app.path, check ? SETUP_CHECK : SETUP_START, &problems);
	fputs(buf_cstr(&problems), stderr);
	if (check && app.setup != NULL)
		fprintf(stderr, "%s: ok\n", app.path);
	buf_fini(&problems);
	if (app.setup == NULL)
		return 1;
	if (check) {
		setup_unref(&app.setup);
		return 0;
	}
	const struct conf_log *log = &app.setup->config->log;
	app.started_ms = clock_wall_ms();
	if (log_open(log->file.n > 0 ? log->file.p : NULL, log->level, log->format) != 0) {
		fprintf(stderr, "tombolod: cannot open the log %s: %s\n", log->file.p, log_why());
		return 1;
	}
	if (open_signals(&app, &e) != 0 || start(&app, &e) != 0) {
		fprintf(stderr, "tombolod: %s: %s\n", e.where, e.text);
		return 1;
	}
	run(&app);
	finish(&app);
	return 0;
}
