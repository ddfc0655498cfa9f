/* connectors/kept_test.c: what was delivered is kept, sealed, for as long and as much as is allowed, and nobody waits.
 */
#include "connectors/kept.h"
#include "base/fault.h"
#include "base/must.h"
#include "base/time.h"
#include "tests/unit.h"

#include <dirent.h>
#include <fcntl.h>
#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static _Atomic int64_t moved_ms; /* the wall clock of this test */

static int64_t read_clock(clockid_t id)
{
	struct timespec t;

	clock_gettime(id, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

int64_t clock_mono_ms(void)
{
	return read_clock(CLOCK_MONOTONIC) + moved_ms;
}

int64_t clock_wall_ms(void)
{
	return read_clock(CLOCK_REALTIME) + moved_ms;
}

int clock_wait_ms(int64_t ms)
{
	return (int)ms;
}

struct bench {
	char dir[64], path[96], key[96];
	struct conf_replay conf;
	struct str domains[3];
	struct kept *k;
};

static void write_keys(struct bench *b, const char *text)
{
	FILE *f = fopen(b->key, "w");

	must(f != NULL && fputs(text, f) >= 0 && fclose(f) == 0);
}

static const char one_key[] = "one 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n";
static const char two_keys[] = "two ff112233445566778899aabbccddeeff00112233445566778899aabbccddee00\n"
			       "one 00112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n";
static const char other_key[] = "one 99112233445566778899aabbccddeeff00112233445566778899aabbccddeeff\n";

static int setup(void **state)
{
	struct bench *b = calloc(1, sizeof *b);

	must(b != NULL);
	moved_ms = 0;
	snprintf(b->dir, sizeof b->dir, "/tmp/kept-test-XXXXXX");
	must(mkdtemp(b->dir) != NULL);
	snprintf(b->path, sizeof b->path, "%s/kept", b->dir);
	snprintf(b->key, sizeof b->key, "%s/key", b->dir);
	write_keys(b, one_key);
	b->domains[0] = S("a.example");
	b->domains[1] = S("*.b.example");
	b->conf = (struct conf_replay){ .path = str_c(b->path),
					.key = str_c(b->key),
					.domains = { b->domains, 2 },
					.keep_ms = 3600000,
					.size_max = 8 << 20,
					.message_max = 1 << 20,
					.memory = 4 << 20,
					.rate = 1000 };
	*state = b;
	return 0;
}

static int teardown(void **state)
{
	struct bench *b = *state;
	char path[400];

	unsetenv("TOMBOLO_FAULT");
	fault_init();
	kept_close(&b->k);
	DIR *d = opendir(b->path);
	for (struct dirent *e; d != NULL && (e = readdir(d)) != NULL;) {
		snprintf(path, sizeof path, "%s/%s", b->path, e->d_name);
		unlink(path);
	}
	if (d != NULL)
		closedir(d);
	rmdir(b->path);
	unlink(b->key);
	rmdir(b->dir);
	free(b);
	return 0;
}

static void open_it(struct bench *b)
{
	struct err e = { 0 };

	b->k = kept_open(&b->conf, &e);
	if (b->k == NULL)
		fail_msg("%s", e.text);
}

static char *content_of(size_t n, char first)
{
	char *p = malloc(n + 1);

	must(p != NULL);
	for (size_t i = 0; i < n; i++)
		p[i] = (char)(first + (int)(i % 50));
	return p;
}

static bool put(struct bench *b, uint64_t id, size_t n)
{
	const struct env_rcpt rcpts[] = { { .addr = S("u@a.example"), .notify = 4 }, { .addr = S("v@x.b.example") } };
	const struct queue_past past[] = { { .last = S("250 2.0.0 mx1[192.0.2.1] took it") }, { .number = 2 } };
	const struct str connectors[] = { STR_LIT("to-a"), STR_LIT("to-b") };
	const struct envelope env = { .from = S("from@src.example"),
				      .trace_id = S("trace"),
				      .arrived_ms = clock_wall_ms(),
				      .rcpts = rcpts,
				      .rcpt_n = 2 };
	char *content = content_of(n, (char)('A' + id % 20));
	bool ok = kept_put(
		b->k,
		&(struct kept_order){
			.id = id, .env = &env, .past = past, .connectors = connectors, .content = { content, n } });

	free(content);
	return ok;
}

static struct kept_stats stats(struct bench *b)
{
	struct kept_stats s;

	kept_stats(b->k, &s);
	return s;
}

static void wait_idle(struct bench *b)
{
	for (int i = 0; i < 10000 && stats(b).waiting_bytes > 0; i++)
		usleep(1000);
	assert_int_equal(stats(b).waiting_bytes, 0);
}

struct found {
	size_t n;
	uint64_t damaged, foreign, first, last;
};

/* Reads all, with content, and checks each. */
static struct found read_all(struct bench *b)
{
	struct found f = { 0 };
	struct err e = { 0 };
	struct kept_reader *r = kept_reader_open(b->k, &e), *again = kept_reader_open(b->k, &e);
	struct kept_record rec;
	struct buf content;

	assert_true(r != NULL && again != NULL);
	buf_init(&content, 2 << 20);
	while (kept_reader_next(r, &rec)) {
		assert_true(rec.f.env.rcpt_n == 2 && rec.f.env.rcpts[0].notify == 4);
		check_str(rec.f.env.from, S("from@src.example"), "from");
		check_str(rec.f.past[0].last, S("250 2.0.0 mx1[192.0.2.1] took it"), "last");
		check_str(rec.connectors[1], S("to-b"), "connector");
		f.first = f.n++ == 0 ? rec.f.id : f.first;
		f.last = rec.f.id;
		buf_reset(&content);
		struct kept_record same;
		if (kept_reader_get(again, rec.place, &same, &content, &e) != 0)
			continue;
		char *want = content_of((size_t)rec.f.size, (char)('A' + rec.f.id % 20));
		check_str(buf_str(&content), str_n(want, (size_t)rec.f.size), "content");
		free(want);
	}
	kept_reader_skipped(r, &f.damaged, &f.foreign);
	buf_fini(&content);
	kept_reader_close(&r);
	kept_reader_close(&again);
	return f;
}

static void test_round_trip(void **state)
{
	struct bench *b = *state;
	struct kept_reader *none = NULL;

	open_it(b);
	assert_true(kept_wants(b->k, S("u@a.example"), 10) && kept_wants(b->k, S("u@B.example"), 10) &&
		    kept_wants(b->k, S("u@x.b.example"), 10));
	assert_false(kept_wants(b->k, S("u@c.example"), 10) || kept_wants(b->k, S("u@xb.example"), 10) ||
		     kept_wants(b->k, S("u@a.example"), 2 << 20) || kept_wants(NULL, S("u@a.example"), 1));
	for (uint64_t id = 1; id <= 20; id++)
		assert_true(put(b, id, (size_t)(id - 1) * 5000));
	wait_idle(b);
	struct found f = read_all(b);
	assert_true(f.n == 20 && f.first == 1 && f.last == 20 && f.damaged == 0);
	assert_true(stats(b).kept == 20 && stats(b).dropped == 0 && stats(b).files == 1);
	kept_close(&b->k);
	open_it(b); /* a new file, the old one is read */
	assert_true(put(b, 21, 100));
	wait_idle(b);
	f = read_all(b);
	assert_true(f.n == 21 && f.last == 21 && stats(b).files == 2);
	kept_reader_close(&none);
}

/* Nothing of the mail stands on the disk in clear. */
static void test_nothing_in_clear(void **state)
{
	struct bench *b = *state;
	static char bytes[100000];

	open_it(b);
	put(b, 1, 5000);
	kept_close(&b->k);
	char path[200];
	snprintf(path, sizeof path, "%s/0000000000000001.kept", b->path);
	int fd = open(path, O_RDONLY);
	struct stat st;
	assert_true(fd >= 0 && fstat(fd, &st) == 0 && (st.st_mode & 077) == 0);
	ssize_t n = read(fd, bytes, sizeof bytes);
	close(fd);
	static const struct str words[] = { STR_LIT("example"), STR_LIT("trace"), STR_LIT("to-a"), STR_LIT("took it"),
					    STR_LIT("BCDEFGH") };
	for (size_t i = 0; i < COUNT(words); i++)
		assert_int_equal(str_find(str_n(bytes, (size_t)n), words[i]), -1);
}

static void test_keys(void **state)
{
	struct bench *b = *state;
	struct err e = { 0 };

	open_it(b);
	put(b, 1, 100);
	kept_close(&b->k);
	write_keys(b, two_keys); /* a newer one in front: both read */
	open_it(b);
	put(b, 2, 100);
	wait_idle(b);
	assert_true(read_all(b).n == 2);
	kept_close(&b->k);
	write_keys(b, one_key); /* the newer one is gone */
	open_it(b);
	struct found f = read_all(b);
	assert_true(f.n == 1 && f.foreign == 1);
	kept_close(&b->k);
	write_keys(b, other_key); /* the same name, another key */
	open_it(b);
	f = read_all(b);
	assert_true(f.n == 0 && f.damaged == 1 && f.foreign == 1);
	kept_close(&b->k);
	write_keys(b, "one 0011\n");
	assert_null(kept_open(&b->conf, &e));
	assert_int_equal(e.code, ERR_SYNTAX);
	assert_true(str_find(str_c(e.text), S("0011")) < 0);
	unlink(b->key);
	assert_null(kept_open(&b->conf, &e));
	write_keys(b, one_key);
}

/* Every cut, and every turned byte, costs that record (or what is behind it) and never more. */
static void test_damage(void **state)
{
	struct bench *b = *state;
	char path[200];
	struct stat st;

	open_it(b);
	for (uint64_t id = 1; id <= 3; id++)
		put(b, id, 200);
	wait_idle(b);
	snprintf(path, sizeof path, "%s/0000000000000001.kept", b->path);
	int fd = open(path, O_RDWR);
	assert_true(fd >= 0 && fstat(fd, &st) == 0);
	for (off_t at = 0; at < st.st_size; at += 3) {
		char was, is;
		assert_int_equal(pread(fd, &was, 1, at), 1);
		is = (char)(was ^ 4);
		assert_int_equal(pwrite(fd, &is, 1, at), 1);
		struct found f = read_all(b);
		assert_true(f.n <= 3 && (f.n == 3 || f.damaged + f.foreign > 0));
		assert_int_equal(pwrite(fd, &was, 1, at), 1);
	}
	assert_int_equal(read_all(b).n, 3);
	for (off_t n = st.st_size - 1; n > 0; n -= 7) {
		assert_int_equal(ftruncate(fd, n), 0);
		assert_true(read_all(b).n < 3);
	}
	close(fd);
}

static void test_cap(void **state)
{
	struct bench *b = *state;

	b->conf.size_max = 1 << 20;
	b->conf.message_max = 128 << 10;
	open_it(b);
	for (uint64_t id = 1; id <= 60; id++) {
		assert_true(put(b, id, 50000));
		wait_idle(b);
		assert_true(stats(b).bytes <= 1 << 20);
	}
	struct found f = read_all(b);
	assert_true(f.last == 60 && f.n >= 15 && f.n <= 21 && f.first == 61 - f.n);
}

static void test_expiry(void **state)
{
	struct bench *b = *state;

	open_it(b);
	put(b, 1, 100);
	wait_idle(b);
	moved_ms += b->conf.keep_ms / 2;
	put(b, 2, 100); /* in a file of its own: the first is old */
	wait_idle(b);
	assert_true(stats(b).files == 2 && read_all(b).n == 2);
	moved_ms += b->conf.keep_ms / 2 + 1000;
	for (int i = 0; i < 300 && stats(b).files > 1; i++)
		usleep(10000);
	struct found f = read_all(b);
	assert_true(f.n == 1 && f.first == 2);
	moved_ms += b->conf.keep_ms;
	for (int i = 0; i < 300 && stats(b).files > 0; i++)
		usleep(10000);
	assert_true(read_all(b).n == 0 && stats(b).files == 0 && stats(b).bytes == 0);
}

/* More than the memory for it: dropped at once and counted; nobody waits. */
static void test_dropped(void **state)
{
	struct bench *b = *state;
	uint64_t taken = 0;

	b->conf.memory = 1 << 20;
	open_it(b);
	for (uint64_t id = 1; id <= 200; id++)
		taken += put(b, id, 500000);
	assert_true(stats(b).dropped == 200 - taken && taken >= 2);
	wait_idle(b);
	assert_true(stats(b).kept == taken);
	assert_false(put(b, 1, 2 << 20)); /* too big */
}

/* The disk fails: that copy is lost and counted, the next goes into a fresh file. */
static void test_write_fails(void **state)
{
	struct bench *b = *state;

	open_it(b);
	put(b, 1, 100);
	wait_idle(b);
	setenv("TOMBOLO_FAULT", "replay.write:1:enospc", 1);
	fault_init();
	put(b, 2, 100);
	wait_idle(b);
	setenv("TOMBOLO_FAULT", "replay.begin:1:enospc", 1);
	fault_init();
	put(b, 3, 100);
	wait_idle(b);
	put(b, 4, 100);
	wait_idle(b);
	assert_true(stats(b).failed == 2 && stats(b).kept == 2);
	struct found f = read_all(b);
	assert_true(f.n == 2 && f.first == 1 && f.last == 4);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_round_trip, setup, teardown),
		cmocka_unit_test_setup_teardown(test_nothing_in_clear, setup, teardown),
		cmocka_unit_test_setup_teardown(test_keys, setup, teardown),
		cmocka_unit_test_setup_teardown(test_damage, setup, teardown),
		cmocka_unit_test_setup_teardown(test_cap, setup, teardown),
		cmocka_unit_test_setup_teardown(test_expiry, setup, teardown),
		cmocka_unit_test_setup_teardown(test_dropped, setup, teardown),
		cmocka_unit_test_setup_teardown(test_write_fails, setup, teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
