/* smtpd/crl_fetcher.c: the keeper of lists is made by the first round that has something to fetch. */
#include "smtpd/crl_fetcher.h"

#include "base/must.h"
#include "base/time.h"
#include "smtpd/rounds.h"

#include <pthread.h>
#include <stdlib.h>

enum { LOOK_MS = 60 * 1000 };

struct crl_fetcher {
	struct crl_fetcher_options o;
	struct rounds *rounds;
	atomic_bool stop, changed;
	pthread_mutex_t lock;  /* the members below; the keeper has a lock of its own */
	struct crl_keep *keep; /* once made, it stays */
	char trouble[240];     /* why there is none */
};

static void on_tried(void *arg, const struct crl_source *s)
{
	struct buf next;

	(void)arg;
	buf_init(&next, 64);
	time_put_iso(&next, s->next_ms);
	if (s->failures == 0)
		log_info(NULL, "crl.fetched", kv_c("url", s->url), kv_c("issuer", s->list.issuer),
			 kv_str("next_fetch", buf_str(&next)));
	else
		log_warn(NULL, "crl.fetch_failed", kv_c("url", s->url), kv_c("why", s->error),
			 kv_int("tries", s->failures), kv_bool("has_list", s->has_list),
			 kv_str("next_fetch", buf_str(&next)));
	buf_fini(&next);
}

static struct crl_keep *keeper(struct crl_fetcher *f, const struct conf_tls *tls)
{
	struct err e = { 0 };

	if (f->keep != NULL)
		return f->keep;
	struct crl_keep *made = crl_keep_open(tls->crl_cache, clock_wall_ms(), &e);
	pthread_mutex_lock(&f->lock);
	f->keep = made;
	snprintf(f->trouble, sizeof f->trouble, "%s", e.text);
	pthread_mutex_unlock(&f->lock);
	return made;
}

struct learning {
	struct crl_keep *keep;
	bool points;
};

static void learn(void *arg, struct tls_ctx *c)
{
	const struct learning *l = arg;

	crl_keep_learn(l->keep, c, l->points);
}

static void look(void *arg)
{
	struct crl_fetcher *f = arg;
	struct setup *s = f->o.setup(f->o.arg);
	const struct conf_tls *tls = &s->config->tls;
	bool wanted = tls->crl_used && tls->crl_fetch.n > 0;
	struct crl_keep *keep = wanted ? keeper(f, tls) : f->keep;
	struct learning l = { keep, wanted && tls->crl_points };

	if (keep != NULL) {
		for (size_t i = 0; wanted && i < tls->crl_fetch.n; i++)
			crl_keep_want(keep, tls->crl_fetch.v[i], true); /* "auto" is no URL */
		setup_each_ctx(s, learn, &l);
		const struct crl_round r = { .now_ms = clock_wall_ms(),
					     .deadline_ms = tls->crl_fetch_ms,
					     .max_bytes = tls->crl_fetch_max,
					     .stop = &f->stop,
					     .points = l.points,
					     .tried = on_tried };
		if (crl_keep_round(keep, &r))
			atomic_store(&f->changed, true);
	}
	setup_unref(&s);
}

static void looked(void *arg)
{
	struct crl_fetcher *f = arg;

	if (atomic_exchange(&f->changed, false))
		f->o.changed(f->o.arg);
}

struct crl_fetcher *crl_fetcher_start(const struct crl_fetcher_options *o, struct err *e)
{
	struct crl_fetcher *f = calloc(1, sizeof *f);

	must(f != NULL && o->changed != NULL);
	f->o = *o;
	pthread_mutex_init(&f->lock, NULL);
	f->rounds = rounds_start(
		&(struct rounds_options){
			.loop = o->loop, .every_ms = LOOK_MS, .look = look, .looked = looked, .arg = f },
		e);
	if (f->rounds == NULL)
		crl_fetcher_stop(&f);
	return f;
}

void crl_fetcher_kick(struct crl_fetcher *f)
{
	rounds_kick(f->rounds);
}

void crl_fetcher_stop(struct crl_fetcher **fp)
{
	struct crl_fetcher *f = *fp;

	*fp = NULL;
	if (f == NULL)
		return;
	atomic_store(&f->stop, true);
	rounds_stop(&f->rounds);
	crl_keep_free(&f->keep);
	pthread_mutex_destroy(&f->lock);
	free(f);
}

/* The keeper lives as long as we do once it is there. */
static struct crl_keep *keep_of(struct crl_fetcher *f)
{
	pthread_mutex_lock(&f->lock);
	struct crl_keep *keep = f->keep;
	pthread_mutex_unlock(&f->lock);
	return keep;
}

size_t crl_fetcher_rows(struct crl_fetcher *f, struct crl_source *rows, size_t max)
{
	struct crl_keep *keep = keep_of(f);

	return keep == NULL ? 0 : crl_keep_copy(keep, rows, max);
}

void crl_fetcher_alarm(struct crl_fetcher *f, struct tls_alarms *out)
{
	struct crl_source *rows = calloc(CRL_SOURCES_MAX, sizeof *rows);
	size_t n, bad = 0, first = 0;

	must(rows != NULL);
	n = crl_fetcher_rows(f, rows, CRL_SOURCES_MAX);
	for (size_t i = n; i-- > 0;)
		if (rows[i].failures > 0) {
			bad++;
			first = i;
		}
	pthread_mutex_lock(&f->lock);
	if (f->trouble[0] != '\0')
		tls_alarm_raise(out, TLS_ALARM_CRL_FETCH_FAILED, true, "%s", f->trouble);
	pthread_mutex_unlock(&f->lock);
	if (bad > 0)
		tls_alarm_raise(out, TLS_ALARM_CRL_FETCH_FAILED, true, "%zu of %zu sources: %.90s: %s", bad, n,
				rows[first].url, rows[first].error);
	free(rows);
}
