/* perf/perf.h: what the load client and the sink share: the header that marks a message, latency histograms, and the
 * sink's statistics, which live in a mapped file so that a script can read them while the sink runs.
 *
 * A marked message carries "X-Swarm: RUN SEQ NS": the run it belongs to, its number in that run, and the monotonic
 * clock when its client began with MAIL.  Both tools run on one machine, so the clocks agree. */
#ifndef PERF_PERF_H
#define PERF_PERF_H

#include "base/buf.h"

#include <fcntl.h>
#include <sys/mman.h>
#include <unistd.h>

/* Log-linear buckets: 32 to each doubling, so a value is known within 3 %. */
enum { HIST_SUB = 32, HIST_BUCKETS = 60 * HIST_SUB };

struct hist {
	uint64_t n[HIST_BUCKETS];
};

static inline unsigned hist_bucket(uint64_t v)
{
	if (v < HIST_SUB)
		return (unsigned)v;
	unsigned top = 63 - (unsigned)__builtin_clzll(v);
	return (top - 4) * HIST_SUB + (unsigned)((v >> (top - 5)) % HIST_SUB);
}

static inline void hist_add(struct hist *h, uint64_t v)
{
	h->n[hist_bucket(v)]++;
}

static inline uint64_t hist_value(unsigned bucket)
{
	unsigned top = bucket / HIST_SUB + 4;

	return bucket < HIST_SUB ? bucket : (uint64_t)(HIST_SUB + bucket % HIST_SUB) << (top - 5);
}

/* The value that `permille` of the entries do not exceed; 0 for an empty histogram. */
static inline uint64_t hist_at(const struct hist *h, unsigned permille)
{
	uint64_t total = 0, seen = 0;
	unsigned i;

	for (i = 0; i < HIST_BUCKETS; i++)
		total += h->n[i];
	if (total == 0)
		return 0;
	for (i = 0; i < HIST_BUCKETS - 1; i++) {
		seen += h->n[i];
		if (seen * 1000 >= total * permille && seen > 0)
			break;
	}
	return hist_value(i);
}

enum { SEQ_MAX = 1 << 23 };

struct sink_stats {
	uint64_t run; /* only messages of this run count; set by `sink -S FILE reset RUN` */
	uint64_t messages, unique, duplicates, strays, bytes;
	uint64_t visits, visits_now, visits_most, secured, resumed;
	uint64_t first_ns, last_ns; /* monotonic: first and last counted message */
	struct hist latency;
	unsigned char seen[SEQ_MAX / 8];
};

/* NULL when the file cannot be made or mapped. */
static inline struct sink_stats *sink_stats_map(const char *path)
{
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC, 0644);

	if (fd < 0)
		return NULL;
	void *p = ftruncate(fd, sizeof(struct sink_stats)) != 0
			  ? MAP_FAILED
			  : mmap(NULL, sizeof(struct sink_stats), PROT_READ | PROT_WRITE, MAP_SHARED, fd, 0);
	close(fd);
	return p == MAP_FAILED ? NULL : p;
}

/* True when that number was marked before. */
static inline bool sink_stats_mark(struct sink_stats *s, uint64_t seq)
{
	unsigned char bit = (unsigned char)(1U << (seq & 7)), *at = &s->seen[seq % SEQ_MAX / 8];
	bool before = (*at & bit) != 0;

	*at |= bit;
	return before;
}

static inline uint64_t now_ns(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (uint64_t)t.tv_sec * 1000000000U + (uint64_t)t.tv_nsec;
}

/* A number from the command line; ends the program with `usage` when it is none. */
static inline uint64_t number(const char *text, const char *usage)
{
	uint64_t v;

	if (!str_u64(str_c(text), UINT64_MAX, &v)) {
		fprintf(stderr, "%s is not a number\n%s", text, usage);
		exit(2);
	}
	return v;
}

static inline double ms(uint64_t ns)
{
	return (double)ns / 1e6;
}

#endif
