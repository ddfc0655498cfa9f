/* base/track_test.c: every record that was taken is in the files, whole and in order; what was not is counted. */
#include "base/fault.h"
#include "base/track.h"
#include "tests/unit.h"

#include <fcntl.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <time.h>
#include <unistd.h>

static char dir[] = "/tmp/track_testXXXXXX";
static char path[64];
static char text[8 * 1024 * 1024];
static struct {
	size_t n, files;
	int troubles;
} seen;

static bool read_file(void *arg, const char *file)
{
	int fd = open(file, O_RDONLY);

	(void)arg;
	assert_true(fd >= 0);
	ssize_t n = read(fd, text + seen.n, sizeof text - seen.n);
	assert_true(n >= 0);
	close(fd);
	seen.n += (size_t)n;
	seen.files++;
	return true;
}

static struct str read_all(void)
{
	seen.n = seen.files = 0;
	track_each_file(path, read_file, NULL);
	return str_n(text, seen.n);
}

static bool remove_file(void *arg, const char *file)
{
	(void)arg;
	unlink(file);
	return true;
}

static void put_lost(struct buf *b, uint64_t n, int64_t now_ms)
{
	(void)now_ms;
	buf_addf(b, "LOST %llu\n", (unsigned long long)n);
}

static void put_head(struct buf *b, int64_t now_ms)
{
	(void)now_ms;
	buf_add(b, S("#head\n"));
}

static void on_trouble(const struct err *e)
{
	(void)e;
	__atomic_add_fetch(&seen.troubles, 1, __ATOMIC_RELAXED);
}

static struct track_options options(void)
{
	return (struct track_options){ .path = path,
				       .rotate_bytes = 1 << 30,
				       .retain_ms = 86400000,
				       .ring_bytes = 64 * 1024,
				       .put_lost = put_lost,
				       .trouble = on_trouble };
}

static int begin(void **state)
{
	(void)state;
	track_each_file(path, remove_file, NULL);
	seen.troubles = 0;
	return 0;
}

static struct track *open_track(const struct track_options *o)
{
	struct err e = { 0 };
	struct track *t = track_open(o, &e);

	assert_non_null(t);
	return t;
}

static void test_written(void **state)
{
	struct track_options o = options();
	struct track *t = open_track(&o);
	struct track_ring *r = track_ring(t);
	struct stat st;

	(void)state;
	assert_true(track_put(r, S("one\n")));
	assert_true(track_put(r, S("two\n")));
	track_close(&t);
	assert_null(t);
	check_str(read_all(), S("one\ntwo\n"), "both");
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0640);
	t = open_track(&o); /* goes on where it was */
	assert_true(track_put(track_ring(t), S("three\n")));
	track_close(&t);
	check_str(read_all(), S("one\ntwo\nthree\n"), "continued");
}

static void test_no_link(void **state)
{
	struct track_options o = options();
	struct err e = { 0 };

	(void)state;
	assert_int_equal(symlink("/dev/null", path), 0);
	assert_null(track_open(&o, &e));
	assert_int_equal(e.code, ERR_IO);
	assert_non_null(strstr(e.text, "is a link"));
	unlink(path);
	char other[80];
	snprintf(other, sizeof other, "%s/other", dir);
	int fd = open(other, O_WRONLY | O_CREAT, 0600);
	assert_true(fd >= 0 && link(other, path) == 0);
	close(fd);
	assert_null(track_open(&o, &e));
	assert_non_null(strstr(e.text, "second name"));
	unlink(path);
	unlink(other);
}

static uint64_t number(struct str s)
{
	uint64_t n = 0;

	assert_true(str_u64(s, UINT64_MAX, &n));
	return n;
}

/* One that fills a ring faster than it is emptied: taken + lost = put, and what is there is whole and in order. */
static void test_overflow(void **state)
{
	struct track_options o = options();
	struct track *t = open_track(&o);
	struct track_ring *r = track_ring(t);
	char line[1004];
	uint64_t taken = 0, lost = 0, last = 0, there = 0, told = 0;
	struct str rest, one;

	(void)state;
	for (int i = 1; i <= 3000; i++) {
		snprintf(line, sizeof line, "%08d%990s", i, "x");
		line[strlen(line)] = '\n';
		*(track_put(r, str_n(line, 999)) ? &taken : &lost) += 1;
	}
	track_close(&t);
	rest = read_all();
	while (str_cut(rest, '\n', &one, &rest)) {
		if (str_starts(one, S("LOST "))) {
			told += number(str_skip(one, 5));
			continue;
		}
		assert_int_equal(one.n, 998);
		uint64_t i = number(str_head(one, 8));
		assert_true(i > last);
		last = i;
		there++;
	}
	assert_int_equal(taken + lost, 3000);
	assert_int_equal(there, taken);
	assert_int_equal(told, lost);
	assert_true(lost > 0);
}

static struct producer {
	struct track_ring *ring;
	int number;
} producers[4];

static void *produce(void *arg)
{
	const struct producer *p = arg;
	char line[64];

	for (int i = 0; i < 20000; i++) {
		int n = snprintf(line, sizeof line, "%d %06d\n", p->number, i);
		while (!track_put(p->ring, str_n(line, (size_t)n)))
			nanosleep(&(struct timespec){ .tv_nsec = 100000 }, NULL);
	}
	return NULL;
}

static void test_threads(void **state)
{
	struct track_options o = options();
	struct track *t = open_track(&o);
	pthread_t threads[4];
	uint64_t next[4] = { 0 }, lines = 0;
	struct str rest, one;

	(void)state;
	for (int i = 0; i < 4; i++)
		producers[i] = (struct producer){ track_ring(t), i };
	for (int i = 0; i < 4; i++)
		pthread_create(&threads[i], NULL, produce, &producers[i]);
	for (int i = 0; i < 4; i++)
		pthread_join(threads[i], NULL);
	track_close(&t);
	rest = read_all();
	while (str_cut(rest, '\n', &one, &rest)) {
		if (str_starts(one, S("LOST ")))
			continue;
		assert_int_equal(number(str_skip(one, 2)), next[number(str_head(one, 1))]++);
		lines++;
	}
	assert_int_equal(lines, 80000);
}

static void test_rotation(void **state)
{
	struct track_options o = options();
	char old[100], other[100];

	(void)state;
	o.rotate_bytes = 10;
	o.put_head = put_head;
	snprintf(old, sizeof old, "%s.20200101-000000", path);
	snprintf(other, sizeof other, "%s.bak", path); /* not one of ours */
	close(open(old, O_CREAT | O_WRONLY, 0600));
	close(open(other, O_CREAT | O_WRONLY, 0600));
	for (int i = 0; i < 3; i++) {
		struct track *t = open_track(&o);
		assert_true(track_put(track_ring(t), S("a record of more than ten bytes\n")));
		track_close(&t);
	}
	check_str(read_all(),
		  S("#head\na record of more than ten bytes\n#head\na record of more than ten bytes\n"
		    "#head\na record of more than ten bytes\n"),
		  "each file begins with the head");
	assert_int_equal(seen.files, 3);
	assert_int_not_equal(access(old, F_OK), 0);
	assert_int_equal(access(other, F_OK), 0);
	unlink(other);
}

/* A disk that fails: the loops go on, it is said once, and the records that are gone are counted when it works again.
 */
static void test_trouble(void **state)
{
	struct track_options o = options();

	(void)state;
	setenv("TOMBOLO_FAULT", "track.write:1:enospc", 1);
	fault_init();
	struct track *t = open_track(&o);
	struct track_ring *r = track_ring(t);
	assert_true(track_put(r, S("gone\n")));
	while (__atomic_load_n(&seen.troubles, __ATOMIC_RELAXED) == 0)
		nanosleep(&(struct timespec){ .tv_nsec = 1000000 }, NULL);
	assert_true(track_put(r, S("there\n")));
	track_close(&t);
	unsetenv("TOMBOLO_FAULT");
	fault_init();
	assert_int_equal(seen.troubles, 1);
	struct str all = read_all();
	assert_true(str_find(all, S("LOST 1\n")) >= 0);
	assert_true(str_find(all, S("there\n")) >= 0);
	assert_true(str_find(all, S("gone")) < 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(test_written, begin),  cmocka_unit_test_setup(test_no_link, begin),
		cmocka_unit_test_setup(test_overflow, begin), cmocka_unit_test_setup(test_threads, begin),
		cmocka_unit_test_setup(test_rotation, begin), cmocka_unit_test_setup(test_trouble, begin),
	};

	if (mkdtemp(dir) == NULL)
		return 1;
	snprintf(path, sizeof path, "%s/t.jsonl", dir);
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	track_each_file(path, remove_file, NULL);
	rmdir(dir);
	return failed;
}
