/* tests/tools/table_bench.c: table_bench [RECIPIENTS [DIR]]: what a large recipient table costs.
 *
 * Makes a CSV with four addresses a recipient (half of them on the other side), imports it into an empty table, imports
 * it again (nothing changes), then looks up and routes random addresses.  Prints seconds, memory, bytes on disk, and
 * percentiles in microseconds; then guesses addresses, without and with the filter.  DIR is where the table is made,
 * default a new one under /tmp that is removed. */
#include "routing/routing.h"

#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <sys/resource.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

enum { LOOKUPS = 200000, ARENA = 64 * 1024 };

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* What this thread has used: on a busy machine seconds would measure the others. */
static double cpu_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void die(const char *what, const struct err *e)
{
	fprintf(stderr, "table_bench: %s: %s\n", what, e->text);
	exit(1);
}

static uint64_t mix(uint64_t i)
{
	return str_hash(str_n(&i, sizeof i), 7);
}

static void put_user(struct buf *b, uint64_t i)
{
	uint64_t h = mix(i);

	buf_addf(b, "user%llu.name%llu", (unsigned long long)i, (unsigned long long)(h % 10000));
}

static void put_row(struct buf *b, uint64_t i)
{
	uint64_t h = mix(i);

	put_user(b, i);
	buf_addf(b, "@contoso.com,%s,", i % 2 ? "remote" : "local");
	if (i % 2) {
		put_user(b, i);
		buf_add(b, S("@contoso.mail.cloud.example"));
	}
	buf_addf(b, ",u%llu@contoso.com;", (unsigned long long)i);
	put_user(b, i);
	buf_addf(b, "@fabrikam.example;alias%llu@contoso.com,", (unsigned long long)h);
	buf_addf(b, "%08x-%04x-4000-8000-%012llx\n", (unsigned)h, (unsigned)(i & 0xffff), (unsigned long long)i);
}

static void make_csv(const char *path, uint64_t n)
{
	struct buf b;
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0600);

	buf_init(&b, 4 << 20);
	buf_add(&b, S("address,loc,routing,aliases,mailbox_id\n"));
	for (uint64_t i = 0; i < n; i++) {
		put_row(&b, i);
		if (b.n > 1 << 20 || i + 1 == n) {
			if (write(fd, b.p, b.n) != (ssize_t)b.n)
				exit(1);
			buf_reset(&b);
		}
	}
	close(fd);
	buf_fini(&b);
}

static long rss_mib(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return u.ru_maxrss / 1024;
}

static void import_once(struct routing *r, const char *csv, const char *what)
{
	struct import_report rep;
	struct buf problems;
	struct err e;
	double from = now_s();

	buf_init(&problems, 64 * 1024);
	if (routing_import(r, csv, IMPORT_CSV, S("bench"), true, 0, false, &rep, &problems, &e) != 0)
		die(what, &e);
	printf("%-16s %6.2f s  peak %4ld MiB  added %llu unchanged %llu errors %llu\n%s", what, now_s() - from,
	       rss_mib(), (unsigned long long)rep.added, (unsigned long long)rep.unchanged,
	       (unsigned long long)rep.errors, buf_cstr(&problems));
	buf_fini(&problems);
}

static int by_value(const void *a, const void *b)
{
	double x = *(const double *)a, y = *(const double *)b;

	return x < y ? -1 : x > y;
}

static void show(const char *what, double *us)
{
	double sum = 0;

	for (size_t i = 0; i < LOOKUPS; i++)
		sum += us[i];
	qsort(us, LOOKUPS, sizeof *us, by_value);
	printf("%-16s mean %5.2f  p50 %5.2f  p99 %5.2f  p99.9 %6.2f us\n", what, sum / LOOKUPS, us[LOOKUPS / 2],
	       us[LOOKUPS * 99 / 100], us[LOOKUPS / 1000 * 999]);
}

static void one_lookup(struct routing *r, struct str text, struct arena *arena, bool whole)
{
	static const struct addr_rules rules;
	struct routing_view v;
	struct located l;
	struct route rt;
	struct addr a;
	struct err e;
	bool good;

	addr_parse(text, &rules, &a);
	struct route_query q = { .rcpt = &a, .origin = ENV_INTERNET };
	if (routing_begin(r, &v, &e) != 0)
		die("begin", &e);
	good = whole ? routing_route(&v, &q, arena, &rt, NULL, &e) : routing_locate(&v, &a, arena, &l, &e);
	if (!good)
		die("route", &e);
	routing_end(&v);
}

static void measure(struct routing *r, uint64_t n, bool whole, const char *what)
{
	double *us = calloc(LOOKUPS, sizeof *us);
	struct arena arena;
	struct buf text;

	must(us != NULL);
	arena_init(&arena, ARENA);
	buf_init(&text, 256);
	for (uint64_t i = 0; i < LOOKUPS; i++) {
		struct arena_mark m = arena_mark(&arena);
		buf_reset(&text);
		put_user(&text, mix(i + 1000) % n);
		buf_add(&text, i % 4 == 0 ? S("@fabrikam.example") : S("@Contoso.com"));
		double from = now_s();
		one_lookup(r, buf_str(&text), &arena, whole);
		us[i] = (now_s() - from) * 1e6;
		arena_rewind(&arena, m);
	}
	show(what, us);
	buf_fini(&text);
	arena_fini(&arena);
	free(us);
}

static void measure_begin(struct routing *r)
{
	struct routing_view v;
	struct err e;
	double from = now_s();

	for (int i = 0; i < LOOKUPS; i++)
		if (routing_begin(r, &v, &e) == 0)
			routing_end(&v);
	printf("%-16s mean %5.2f us\n", "begin + end", (now_s() - from) * 1e6 / LOOKUPS);
}

/* A dictionary attack: names nobody has, as fast as one thread can. */
static void measure_attack(struct routing *r, uint64_t n, const char *what)
{
	struct arena arena;
	struct buf text;
	double from = cpu_s();

	arena_init(&arena, ARENA);
	buf_init(&text, 256);
	for (uint64_t i = 0; i < LOOKUPS; i++) {
		struct arena_mark m = arena_mark(&arena);
		buf_reset(&text);
		put_user(&text, mix(i) % n); /* between those there are, all over the table */
		buf_add(&text, S("-@contoso.com"));
		one_lookup(r, buf_str(&text), &arena, true);
		arena_rewind(&arena, m);
	}
	printf("%-16s %.0f unknown recipients a second of processor time\n", what, LOOKUPS / (cpu_s() - from));
	buf_fini(&text);
	arena_fini(&arena);
}

static void measure_filter(struct routing *r, uint64_t n)
{
	struct err e;
	bool built;

	measure_attack(r, n, "attack cold");
	measure_attack(r, n, "attack");
	double from = now_s();
	if (routing_filter_keep(r, &built, &e) != 0 || !built)
		die("filter", &e);
	printf("%-16s %.2f s to build, %.1f MiB\n", "filter", now_s() - from,
	       (double)routing_filter_bytes(r) / 1048576.0);
	measure_attack(r, n, "attack, filter");
}

int main(int argc, char **argv)
{
	struct conf_domain domains[] = {
		{ .name = S("contoso.com"), .routing_domain = S("contoso.mail.cloud.example"), .plus = S("+") },
		{ .name = S("fabrikam.example") },
	};
	struct config c = { .domains = domains,
			    .domain_n = 2,
			    .recipients = { .map_bytes = 4UL << 30, .group_members = 100000 } };
	char dir[200] = "/tmp/table_bench.XXXXXX", csv[256], table[256], data[300], lock[300];
	uint64_t n = 600000;
	struct routing_stats st;
	struct stat file = { 0 };
	struct err e;

	if (argc > 1 && !str_u64(str_c(argv[1]), 10000000, &n))
		return 2;
	if (mkdtemp(dir) == NULL)
		return 1;
	snprintf(csv, sizeof csv, "%s/users.csv", dir);
	snprintf(table, sizeof table, "%s/table", argc > 2 ? argv[2] : dir);
	snprintf(data, sizeof data, "%s/data.mdb", table);
	snprintf(lock, sizeof lock, "%s/lock.mdb", table);
	c.recipients.path = str_c(table);
	make_csv(csv, n);
	struct routing *r = routing_open(&c, &e);
	if (r == NULL)
		die("open", &e);
	import_once(r, csv, "first import");
	import_once(r, csv, "same again");
	if (routing_stats(r, &st, &e) != 0 || stat(data, &file) != 0)
		die("stats", &e);
	printf("%-16s %llu recipients, %llu addresses, %.0f MiB = %.0f bytes a recipient with its addresses\n", "table",
	       (unsigned long long)st.recipients, (unsigned long long)st.addresses, (double)file.st_size / 1048576.0,
	       (double)file.st_size / (double)(st.recipients + 1));
	measure_begin(r);
	measure(r, n, false, "lookup cold");
	measure(r, n, false, "lookup");
	measure(r, n, true, "route");
	measure_filter(r, n);
	measure(r, n, true, "route, filter");
	routing_close(&r);
	unlink(csv);
	unlink(data);
	unlink(lock);
	rmdir(table);
	rmdir(dir);
	return 0;
}
