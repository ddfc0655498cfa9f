/* smtpd/tls_watch.c: a timer on the loop, a look on a worker thread, and so on. */
#include "smtpd/tls_watch.h"

#include "base/must.h"
#include "base/op.h"
#include "base/time.h"
#include "smtpd/control_worker.h"

#include <stdlib.h>

enum { LOOK_MS = 60 * 1000, DAY_MS = 24 * 3600 * 1000, ALARMS_MAX = 256 * 1024 };

struct tls_watch {
	struct tls_watch_options o;
	struct worker *worker;
	struct loop_timer timer;
	struct worker_job job;
	struct loop_task kick;
	bool kicked; /* the task is on its way; atomic */
	bool looking, again;
	/* the look's: one at a time */
	struct setup *seen;   /* at the last look */
	uint64_t alarms;      /* hash of what was logged */
	int64_t logged_ms;    /* wall clock; 0 = never */
	uint64_t kept_reason; /* hash of the last crl.kept: told once */
};

static void renew_lists(struct tls_watch *w, const struct setup *s)
{
	struct tls_crls crls;
	struct tls_alarms alarms;
	struct err e = { 0 };
	int changed = setup_refresh(s, &e);

	if (changed < 0 && str_hash(str_c(e.text), 0) != w->kept_reason) {
		w->kept_reason = str_hash(str_c(e.text), 0);
		log_warn(NULL, "crl.kept", kv_c("problem", e.text));
	}
	if (changed <= 0)
		return;
	w->kept_reason = 0;
	setup_crls(s, clock_wall_ms(), &crls, &alarms);
	log_info(NULL, "crl.renewed", kv_int("lists", (int64_t)crls.n));
}

/* Counted by names and files, not by words: "in 20 days" is news once a day. */
static void add_alarm(void *to, const struct cert_report *r)
{
	uint64_t *sum = to;

	for (enum tls_alarm i = 0; i < TLS_ALARM_N; i++)
		if (r->alarms.is[i])
			*sum = str_hash(r->used_by, *sum ^ str_hash(r->facts != NULL ? r->facts->sha256 : STR_NONE,
								    (uint64_t)i * 2 + r->alarms.warn[i]));
}

static uint64_t alarms_of(const struct setup *s, int64_t now_ms)
{
	struct cert_report lists = { 0 };
	struct tls_crls crls;
	uint64_t sum = 0;

	setup_each_cert(s, now_ms, add_alarm, &sum);
	setup_crls(s, now_ms, &crls, &lists.alarms);
	add_alarm(&sum, &lists);
	return sum;
}

static void look(struct worker_job *job)
{
	struct tls_watch *w = container_of(job, struct tls_watch, job);
	struct setup *s = w->o.setup(w->o.arg);
	int64_t now_ms = clock_wall_ms();

	renew_lists(w, s);
	uint64_t alarms = alarms_of(s, now_ms);
	if (alarms != w->alarms || s != w->seen || now_ms - w->logged_ms >= DAY_MS) {
		setup_log_alarms(s, now_ms);
		w->logged_ms = now_ms;
	}
	w->alarms = alarms;
	setup_unref(&w->seen);
	w->seen = s;
	log_flush();
}

static void begin(struct tls_watch *w)
{
	must(!w->looking);
	w->looking = true;
	w->again = false;
	worker_add(w->worker, &w->job);
}

static void on_looked(struct worker_job *job)
{
	struct tls_watch *w = container_of(job, struct tls_watch, job);

	w->looking = false;
	if (w->worker == NULL)
		return; /* stopping */
	if (w->again)
		begin(w);
	else
		loop_timer_set(&w->timer, LOOK_MS);
}

static void on_timer(struct loop_timer *t)
{
	begin(container_of(t, struct tls_watch, timer));
}

static void on_kick(struct loop_task *task)
{
	struct tls_watch *w = container_of(task, struct tls_watch, kick);

	__atomic_store_n(&w->kicked, false, __ATOMIC_RELEASE);
	if (w->worker == NULL) { /* stopped: the task was the last to know us */
		free(w);
		return;
	}
	loop_timer_stop(&w->timer);
	w->again = true;
	if (!w->looking)
		begin(w);
}

void tls_watch_kick(struct tls_watch *w)
{
	if (!__atomic_exchange_n(&w->kicked, true, __ATOMIC_ACQ_REL))
		loop_post(w->o.loop, &w->kick);
}

struct tls_watch *tls_watch_start(const struct tls_watch_options *o, struct err *e)
{
	struct tls_watch *w = calloc(1, sizeof *w);

	must(w != NULL);
	w->o = *o;
	w->job = (struct worker_job){ .run = look, .done = on_looked };
	w->kick.fn = on_kick;
	w->worker = worker_start(o->loop, e);
	if (w->worker == NULL) {
		free(w);
		return NULL;
	}
	loop_timer_init(o->loop, &w->timer, on_timer);
	begin(w);
	return w;
}

void tls_watch_stop(struct tls_watch **wp)
{
	struct tls_watch *w = *wp;
	struct worker *worker;

	*wp = NULL;
	if (w == NULL)
		return;
	loop_timer_stop(&w->timer);
	worker = w->worker;
	w->worker = NULL;
	worker_stop(&worker);
	setup_unref(&w->seen);
	if (!__atomic_load_n(&w->kicked, __ATOMIC_ACQUIRE))
		free(w); /* else on_kick does */
}
