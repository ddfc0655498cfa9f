/* smtpd/app_reload.c: another configuration or other certificates for a gateway that runs: all or nothing. */
#include "smtpd/app.h"

#include "smtpd/notify.h"

void app_on_setup(struct loop_task *task)
{
	struct worker *w = container_of(task, struct worker, setup_task);
	struct setup *next = __atomic_exchange_n(&w->next_setup, NULL, __ATOMIC_ACQ_REL);

	if (next == NULL)
		return;
	server_reconfigure(&w->server, next);
	setup_unref(&next);
}

/* All loops take it for what begins from now on.  Under the reload lock; takes `next` and gives the old one back. */
static struct setup *app_swap(struct app *app, struct setup *next)
{
	for (size_t i = 0; i < app->worker_n; i++) {
		struct worker *w = &app->workers[i];
		struct setup *untaken = __atomic_exchange_n(&w->next_setup, setup_ref(next), __ATOMIC_ACQ_REL);
		if (untaken == NULL)
			loop_post(w->loop, &w->setup_task);
		setup_unref(&untaken); /* else the task is on its way and takes the newer one */
	}
	struct setup *old = app->setup;
	app->setup = next;
	if (app->tls_watch != NULL)
		tls_watch_kick(app->tls_watch);
	if (app->crl_fetcher != NULL)
		crl_fetcher_kick(app->crl_fetcher);
	return old;
}

/* For the configuration in force. */
int app_tls_reload(void *arg, struct buf *problems)
{
	struct app *app = arg;

	pthread_mutex_lock(&app->reload_lock);
	struct setup *next = setup_make(app->setup->config, app->path, SETUP_CHECK, problems);
	int result = next == NULL ? -1 : 0;
	if (next != NULL)
		next = app_swap(app, next);
	pthread_mutex_unlock(&app->reload_lock);
	setup_unref(&next);
	if (result == 0)
		log_info(NULL, "tls.reloaded", kv_int("loops", (int64_t)app->worker_n));
	return result;
}

struct setup *app_setup(void *arg)
{
	struct app *app = arg;

	pthread_mutex_lock(&app->reload_lock);
	struct setup *s = setup_ref(app->setup);
	pthread_mutex_unlock(&app->reload_lock);
	return s;
}

int app_reload(void *arg, struct buf *problems)
{
	struct app *app = arg;
	struct err e = { 0 };
	int result = -1;

	pthread_mutex_lock(&app->reload_lock);
	struct setup *next = setup_load(app->path, SETUP_CHECK, problems);
	if (next == NULL || config_restart_diff(app->setup->config, next->config, problems) > 0)
		goto out;
	if (routing_reconfigure(app->shared.routing, next->config, &e) != 0) {
		buf_addf(problems, "%s\n", e.text);
		goto out;
	}
	queue_reconfigure(app->shared.queue, &next->config->queue);
	const struct conf_log *log = &next->config->log;
	if (log_open(log->file.n > 0 ? log->file.p : NULL, log->level, log->format) != 0)
		buf_addf(problems, "log.file " STR_FMT " cannot be opened (%s): the old one stays\n",
			 STR_ARG(log->file), log_why());
	next = app_swap(app, next); /* queue and routing have let go of the old one: both were given the new one */
	result = 0;
out:
	pthread_mutex_unlock(&app->reload_lock);
	setup_unref(&next);
	return result;
}

static void *reload_thread(void *arg)
{
	struct buf problems;

	buf_init(&problems, PROBLEMS_MAX);
	notify_manager("RELOADING=1");
	if (app_reload(arg, &problems) == 0)
		log_info(NULL, "config.reloaded", kv_str("notes", buf_str(&problems)));
	else
		log_error(NULL, "config.kept", kv_str("problems", buf_str(&problems)));
	notify_manager("READY=1");
	log_flush();
	buf_fini(&problems);
	return NULL;
}

void app_reload_in_background(struct app *app)
{
	pthread_t t;

	if (pthread_create(&t, NULL, reload_thread, app) == 0)
		pthread_detach(t);
	else
		log_error(NULL, "config.kept", kv_c("problems", "no thread for the reload"));
}
