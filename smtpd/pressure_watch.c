/* smtpd/pressure_watch.c: where the numbers come from, and who is told when they change. */
#include "smtpd/pressure_watch.h"

#include "base/must.h"
#include "smtpd/rounds.h"

#include <dirent.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <sys/statvfs.h>
#include <unistd.h>

struct pressure_watch {
	struct pressure_watch_options o;
	struct rounds *rounds;
	uint64_t sync_took[QUEUE_SYNC_STEPS]; /* at the last look */
	enum pressure_shed told;
};

static int64_t percent(uint64_t part, uint64_t whole)
{
	return whole > 0 ? (int64_t)((part > whole ? whole : part) * 100 / whole) : PRESSURE_UNKNOWN;
}

static int64_t larger(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* ---- the sources ---- */

static int64_t look_at_disk(struct str path)
{
	struct statvfs st;

	if (statvfs(path.p, &st) != 0)
		return PRESSURE_UNKNOWN;
	return larger(percent(st.f_blocks - st.f_bavail, st.f_blocks), percent(st.f_files - st.f_favail, st.f_files));
}

/* The number behind `key` in a small file of the kernel's; false when there is none. */
static bool read_number(const char *file, const char *key, uint64_t *out)
{
	char text[4096];
	FILE *f = fopen(file, "re");
	size_t n = f == NULL ? 0 : fread(text, 1, sizeof text - 1, f);
	char *at, *end;

	if (f != NULL)
		fclose(f);
	text[n] = '\0';
	at = strstr(text, key);
	if (at == NULL)
		return false;
	at += strlen(key);
	*out = strtoull(at, &end, 10);
	return end != at;
}

static int64_t look_at_memory(void)
{
	uint64_t total, left;

	if (!read_number("/proc/meminfo", "MemTotal:", &total) || !read_number("/proc/meminfo", "MemAvailable:", &left))
		return PRESSURE_UNKNOWN;
	return percent(total - (left < total ? left : total), total);
}

static int64_t look_at_process(void)
{
	uint64_t rss, total, group;

	if (!read_number("/proc/self/status", "VmRSS:", &rss) || !read_number("/proc/meminfo", "MemTotal:", &total))
		return PRESSURE_UNKNOWN;
	if (read_number("/sys/fs/cgroup/memory.max", "", &group) && group / 1024 < total) /* "max" is no number */
		total = group / 1024;
	return percent(rss, total);
}

static int64_t look_at_stalls(void)
{
	uint64_t whole;

	return read_number("/proc/pressure/memory", "full avg10=", &whole) ? (int64_t)whole : PRESSURE_UNKNOWN;
}

static int64_t look_at_files(void)
{
	DIR *dir = opendir("/proc/self/fd");
	struct rlimit limit;
	uint64_t n = 0;

	if (dir == NULL || getrlimit(RLIMIT_NOFILE, &limit) != 0) {
		if (dir != NULL)
			closedir(dir);
		return dir == NULL ? 100 : PRESSURE_UNKNOWN; /* not even one was left to look with */
	}
	while (readdir(dir) != NULL)
		n++;
	closedir(dir);
	return percent(n, limit.rlim_cur);
}

static int64_t look_at_maps(const struct pressure_watch *w, const struct queue_stats *q)
{
	struct routing_stats r = { 0 };

	(void)routing_stats(w->o.routing, &r, NULL);
	return larger((int64_t)(q->map_used * 100), (int64_t)(r.map_used * 100));
}

/* Milliseconds that 99 of 100 syncs since the last look stayed below; 0 when there was none. */
static int64_t look_at_syncs(struct pressure_watch *w, const struct queue_stats *q)
{
	uint64_t since[QUEUE_SYNC_STEPS], all = 0, seen = 0;

	for (size_t i = 0; i < QUEUE_SYNC_STEPS; i++)
		all += since[i] = q->sync_took[i] - w->sync_took[i];
	memcpy(w->sync_took, q->sync_took, sizeof w->sync_took);
	for (size_t i = 0; all > 0 && i < QUEUE_SYNC_STEPS; i++) {
		seen += since[i];
		if (seen * 100 >= all * 99)
			return INT64_C(1) << i;
	}
	return 0;
}

static void sample(struct pressure_watch *w, const struct config *c, int64_t v[RES_N])
{
	struct queue_stats q;

	queue_stats(w->o.queue, &q);
	v[RES_DISK] = look_at_disk(c->queue.path);
	v[RES_MAP] = look_at_maps(w, &q);
	v[RES_MEMORY] = look_at_memory();
	v[RES_PROCESS] = look_at_process();
	v[RES_STALL] = look_at_stalls();
	v[RES_FILES] = look_at_files();
	v[RES_WAITING] = (int64_t)q.waiting_percent;
	v[RES_SYNC] = look_at_syncs(w, &q);
	v[RES_MESSAGES] = (int64_t)q.messages;
}

/* ---- telling ---- */

static void tell(struct pressure_watch *w)
{
	const struct pressure *p = w->o.pressure;

	for (enum conf_resource r = 0; r < RES_N; r++) {
		const struct pressure_gauge *g = &p->gauges[r];
		if (g->changed)
			log_warn(NULL, "pressure.changed", kv_c("resource", conf_resource_name(r)),
				 kv_c("level", pressure_level_name(g->level)), kv_int("value", g->value));
	}
	if (p->shed == w->told)
		return;
	w->told = p->shed;
	log_warn(NULL, "pressure.shed", kv_c("alarm", w->told == SHED_NOBODY ? "" : "PRESSURE"),
		 kv_c("senders", pressure_shed_name(w->told)), kv_c("resource", conf_resource_name(p->worst)),
		 kv_int("value", p->gauges[p->worst].value));
}

static void look(void *arg)
{
	struct pressure_watch *w = arg;
	struct setup *s = w->o.setup(w->o.arg);
	int64_t values[RES_N];

	sample(w, s->config, values);
	pressure_step(w->o.pressure, &s->config->pressure, values);
	tell(w);
	setup_unref(&s);
}

struct pressure_watch *pressure_watch_start(const struct pressure_watch_options *o, struct err *e)
{
	struct pressure_watch *w = calloc(1, sizeof *w);
	struct rounds_options r = { .loop = o->loop, .every_ms = PRESSURE_SAMPLE_MS, .look = look, .arg = w };

	must(w != NULL);
	w->o = *o;
	w->rounds = rounds_start(&r, e);
	if (w->rounds == NULL) {
		free(w);
		return NULL;
	}
	return w;
}

void pressure_watch_stop(struct pressure_watch **wp)
{
	struct pressure_watch *w = *wp;

	*wp = NULL;
	if (w == NULL)
		return;
	rounds_stop(&w->rounds);
	free(w);
}
