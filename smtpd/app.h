/* smtpd/app.h: tombolod as a whole, for the files that make it up.
 *
 *   main.c          the start: sockets, keys, root dropped, loops; the only file that sees everything
 *   app_reload.c    another configuration, other certificates: all or nothing
 *   app_end.c       signals, draining, the stop
 *   app_control.c   what the command line and the monitoring system may ask and order
 *
 * Threads: the loop of the first worker, where nothing else is said. */
#ifndef SMTPD_APP_H
#define SMTPD_APP_H

#include "smtpd/beside_door.h"
#include "smtpd/control.h"
#include "smtpd/metrics_door.h"
#include "smtpd/mode_watch.h"
#include "smtpd/pressure_watch.h"
#include "smtpd/server.h"
#include "smtpd/tls_watch.h"

#include <pthread.h>

enum { LOOPS_MAX = 64, PROBLEMS_MAX = 64 * 1024 };

struct worker { /* one loop and its thread */
	struct app *app;
	struct loop *loop;
	struct server server;
	pthread_t thread;
	struct loop_task drain_task, stop_task, setup_task, hurry_task;
	bool hurrying;            /* hurry_task is posted */
	struct setup *next_setup; /* handed over by a reload; the loop takes it */
	size_t index;
};

struct app {
	const char *path;
	struct setup *setup;
	struct shared shared;
	struct control *control;
	struct metrics_door *metrics;
	int metrics_fds[METRICS_LISTEN_MAX];
	size_t metrics_n;
	int keepers[LOOPS_MAX]; /* sockets to the process that makes workers for SPF and DKIM; one a loop */
	struct beside_door *beside;
	int beside_fds[BESIDE_LISTEN_MAX];
	size_t beside_n;
	char track_path[4096]; /* of the tracking log */
	struct tls_watch *tls_watch;
	struct pressure_watch *pressure_watch;
	struct crl_fetcher *crl_fetcher;
	struct mode_watch *mode_watch;
	struct worker workers[LOOPS_MAX];
	size_t worker_n;
	struct net_addr *own; /* our listening addresses, never delivered to */
	size_t own_n;
	struct loop_io signals;
	int signal_fd;
	struct loop_timer drain_timer;
	struct config *kept_config;
	size_t drained;
	int terms;
	pthread_mutex_t reload_lock; /* one reload at a time: signal or control socket */
	int64_t started_ms;
};

/* app_reload.c */
/* Slow; on the control's worker or the reload thread.  0, or -1 with the problems in words: nothing has changed. */
int app_reload(void *app, struct buf *problems);
int app_tls_reload(void *app, struct buf *problems); /* certificates, CA files and revocation lists only; as slow */
struct setup *app_setup(void *app);                  /* a reference to that in force; any thread */
void app_reload_in_background(struct app *app);
void app_on_setup(struct loop_task *task); /* of a worker's setup_task */

/* app_end.c */
void app_on_stop(struct loop_task *task);  /* of a worker's stop_task */
void app_on_drain(struct loop_task *task); /* of a worker's drain_task */
void app_on_drained(struct server *s);
void app_on_drain_late(struct loop_timer *t); /* of drain_timer */
void app_on_signal(struct loop_io *io, unsigned events);

/* app_control.c */
int app_open_control(struct app *app, struct err *e); /* when the workers are there */
void app_on_hurry(struct loop_task *task);            /* of a worker's hurry_task */
const struct config *app_config(void *app);           /* that the first loop works with; on that loop */
int app_make_dir_of(const char *file);                /* 0: it is there, or could be made */

#endif
