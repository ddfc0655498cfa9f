/* smtpd/tls_watch.c: what one look does. */
#include "smtpd/tls_watch.h"

#include "base/must.h"
#include "base/time.h"
#include "smtpd/rounds.h"

#include <stdlib.h>

enum { LOOK_MS = 60 * 1000, DAY_MS = 24 * 3600 * 1000, RETRY_MS = 3600 * 1000 };

struct tls_watch {
	struct tls_watch_options o;
	struct rounds *rounds;
	/* the look's: one at a time */
	struct setup *seen;     /* at the last look */
	uint64_t alarms;        /* hash of what was logged */
	int64_t logged_ms;      /* wall clock; 0 = never */
	int64_t next_choice_ms; /* not before */
	uint64_t kept_reason;   /* hash of the last crl.kept: told once */
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

static uint64_t alarms_of(const struct setup *s, int64_t now_ms, const struct tls_alarms *fetching)
{
	struct cert_report lists = { 0 }, more = { .alarms = *fetching };
	struct tls_crls crls;
	uint64_t sum = 0;

	setup_each_cert(s, now_ms, add_alarm, &sum);
	setup_crls(s, now_ms, &crls, &lists.alarms);
	add_alarm(&sum, &lists);
	add_alarm(&sum, &more);
	return sum;
}

/* A certificate that stood by has its turn, or the one in use is over.  What fails is tried again hourly. */
static void renew_choice(struct tls_watch *w, const struct setup *s, int64_t now_ms)
{
	struct buf problems;

	if (w->o.reload == NULL || now_ms < w->next_choice_ms || !setup_is_outdated(s, now_ms))
		return;
	w->next_choice_ms = now_ms + RETRY_MS;
	buf_init(&problems, 64 * 1024);
	if (w->o.reload(w->o.arg, &problems) == 0) {
		w->next_choice_ms = 0;
		log_info(NULL, "tls.renewed", kv_c("why", "another certificate of the store is the best by now"));
	} else {
		log_warn(NULL, "tls.kept", kv_str("problems", buf_str(&problems)));
	}
	buf_fini(&problems);
}

static void look(void *arg)
{
	struct tls_watch *w = arg;
	struct setup *s = w->o.setup(w->o.arg);
	struct tls_alarms fetching = { 0 };
	int64_t now_ms = clock_wall_ms();

	renew_lists(w, s);
	if (w->o.fetcher != NULL)
		crl_fetcher_alarm(w->o.fetcher, &fetching);
	uint64_t alarms = alarms_of(s, now_ms, &fetching);
	if (alarms != w->alarms || s != w->seen || now_ms - w->logged_ms >= DAY_MS) {
		setup_log_alarms(s, now_ms, &fetching);
		w->logged_ms = now_ms;
	}
	w->alarms = alarms;
	renew_choice(w, s, now_ms);
	setup_unref(&w->seen);
	w->seen = s;
}

void tls_watch_kick(struct tls_watch *w)
{
	rounds_kick(w->rounds);
}

struct tls_watch *tls_watch_start(const struct tls_watch_options *o, struct err *e)
{
	struct tls_watch *w = calloc(1, sizeof *w);

	must(w != NULL);
	w->o = *o;
	w->rounds = rounds_start(
		&(struct rounds_options){ .loop = o->loop, .every_ms = LOOK_MS, .look = look, .arg = w }, e);
	if (w->rounds == NULL) {
		free(w);
		return NULL;
	}
	return w;
}

void tls_watch_stop(struct tls_watch **wp)
{
	struct tls_watch *w = *wp;

	*wp = NULL;
	if (w == NULL)
		return;
	rounds_stop(&w->rounds);
	setup_unref(&w->seen);
	free(w);
}
