/* smtpd/app_end.c: signals, and how the gateway ends: sessions and deliveries in mid-message get time, then all stops.
 */
#include "smtpd/app.h"

#include "base/must.h"
#include "smtpd/notify.h"

#include <signal.h>
#include <stdlib.h>
#include <sys/signalfd.h>
#include <unistd.h>

enum { DRAIN_MS = 10000 };

void app_on_stop(struct loop_task *task)
{
	struct worker *w = container_of(task, struct worker, stop_task);

	server_fini(&w->server);
	loop_stop(w->loop);
}

static void stop_all(struct app *app)
{
	if (app->drained == SIZE_MAX)
		return;
	app->drained = SIZE_MAX;
	control_close(&app->control);
	metrics_door_close(&app->metrics);
	beside_door_close(&app->beside);
	pthread_mutex_lock(&app->reload_lock); /* a reload that still runs kicks the watch */
	struct tls_watch *watch = app->tls_watch;
	struct crl_fetcher *fetcher = app->crl_fetcher;
	app->tls_watch = NULL;
	app->crl_fetcher = NULL;
	pthread_mutex_unlock(&app->reload_lock);
	tls_watch_stop(&watch); /* its look may wait for that lock */
	pressure_watch_stop(&app->pressure_watch);
	crl_fetcher_stop(&fetcher);
	mode_watch_stop(&app->mode_watch);
	loop_timer_stop(&app->drain_timer);
	for (size_t i = app->worker_n; i-- > 0;)
		loop_post(app->workers[i].loop, &app->workers[i].stop_task);
}

void app_on_drain_late(struct loop_timer *t)
{
	stop_all(container_of(t, struct app, drain_timer));
}

void app_on_drain(struct loop_task *task)
{
	struct worker *w = container_of(task, struct worker, drain_task);

	server_drain(&w->server);
}

void app_on_signal(struct loop_io *io, unsigned events)
{
	struct app *app = container_of(io, struct app, signals);
	struct signalfd_siginfo info;

	(void)events;
	while (read(app->signal_fd, &info, sizeof info) == sizeof info) {
		if (info.ssi_signo == SIGHUP) {
			app_reload_in_background(app);
			continue;
		}
		log_info(NULL, "tombolod.stopping", kv_int("signal", info.ssi_signo));
		notify_manager("STOPPING=1");
		if (app->terms++ > 0) {
			stop_all(app);
			continue;
		}
		for (size_t i = 0; i < app->worker_n; i++)
			loop_post(app->workers[i].loop, &app->workers[i].drain_task);
		/* sessions and deliveries in mid-message get time; what is queued is safe anyway */
		loop_timer_set(&app->drain_timer, DRAIN_MS);
	}
}

/* Runs on the worker's loop; counting happens on the first one. */
struct drained_note {
	struct loop_task task;
	struct app *app;
};

static void on_drained_note(struct loop_task *task)
{
	struct drained_note *n = container_of(task, struct drained_note, task);
	struct app *app = n->app;

	free(n);
	if (app->drained != SIZE_MAX && ++app->drained >= app->worker_n)
		stop_all(app);
}

void app_on_drained(struct server *s)
{
	struct worker *w = container_of(s, struct worker, server);
	struct drained_note *n = calloc(1, sizeof *n);

	must(n != NULL);
	s->on_drained = NULL;
	n->task.fn = on_drained_note;
	n->app = w->app;
	loop_post(w->app->workers[0].loop, &n->task);
}
