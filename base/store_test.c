/* base/store_test.c: the LMDB file: sticky errors, cursors, order of keys. */
#include "base/buf.h"
#include "base/store.h"
#include "tests/unit.h"

#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

static char folder[] = "/tmp/store_testXXXXXX";
static struct store *store;
static store_db one, two;

static int open_store(void **state)
{
	const struct store_options o = { .map_bytes = 1 << 20, .dbs = 4, .no_sync = true };
	struct err e;

	(void)state;
	store = store_open(folder, &o, &e);
	if (store == NULL || store_table(store, "one", &one, &e) != 0 || store_table(store, "two", &two, &e) != 0)
		return -1;
	return 0;
}

static int close_store(void **state)
{
	(void)state;
	store_close(&store);
	store_close(&store); /* harmless */
	return 0;
}

static struct str get(store_db db, struct str key, struct buf *out)
{
	struct err e;
	struct store_txn *t = store_read(store, &e);
	struct str v;

	buf_reset(out);
	if (store_get(t, db, key, &v))
		buf_add(out, v);
	else
		buf_add(out, S("(none)"));
	store_abort(&t);
	assert_null(t);
	store_abort(&t);
	return buf_str(out);
}

static void test_put_get(void **state)
{
	struct err e;
	struct buf b;
	struct store_txn *t = store_write(store, &e);

	(void)state;
	buf_init(&b, 4096);
	store_put(t, one, S("k\0ey"), S("val\0ue"));
	store_put(t, one, S("empty"), STR_NONE);
	store_put(t, two, S("k\0ey"), S("other"));
	store_del(t, one, S("absent"));
	assert_int_equal(store_count(t, one), 2);
	assert_false(store_failed(t));
	assert_int_equal(store_commit(&t, &e), 0);
	assert_null(t);
	check_str(get(one, S("k\0ey"), &b), S("val\0ue"), "one");
	check_str(get(two, S("k\0ey"), &b), S("other"), "two");
	check_str(get(one, S("empty"), &b), S(""), "empty");
	check_str(get(one, S("absent"), &b), S("(none)"), "absent");
	check_str(get(one, STR_NONE, &b), S("(none)"), "no key");
	t = store_write(store, &e);
	store_put(t, one, S("k\0ey"), S("gone"));
	store_abort(&t);
	check_str(get(one, S("k\0ey"), &b), S("val\0ue"), "aborted");
	t = store_write(store, &e);
	store_drop(t, one);
	assert_int_equal(store_count(t, one), 0);
	assert_int_equal(store_commit(&t, &e), 0);
	assert_int_equal(store_sync(store, &e), 0);
	store_check_readers(store);
	assert_true(store_map_used(store) > 0 && store_map_used(store) < 1);
	buf_fini(&b);
}

static void test_order(void **state)
{
	static const uint64_t numbers[] = { 300, 1, UINT64_MAX, 256, 255, 0, 65536 };
	static const uint64_t sorted[] = { 0, 1, 255, 256, 300, 65536, UINT64_MAX };
	unsigned char key[8];
	struct err e;
	struct str k, v;
	struct store_txn *t = store_write(store, &e);

	(void)state;
	store_drop(t, two);
	for (size_t i = 0; i < COUNT(numbers); i++) {
		store_key64(key, numbers[i]);
		store_put(t, two, str_n(key, 8), S("v"));
	}
	struct store_cursor *c = store_seek(t, two, STR_NONE);
	for (size_t i = 0; i < COUNT(sorted); i++, store_next(c)) {
		assert_true(store_at(c, &k, &v));
		assert_true(store_num64(k) == sorted[i]);
	}
	assert_false(store_at(c, &k, &v));
	store_next(c); /* harmless at the end */
	store_seek_last(c);
	assert_true(store_at(c, &k, &v) && store_num64(k) == UINT64_MAX);
	store_cursor_close(&c);
	store_key64(key, 256);
	c = store_seek(t, two, str_n(key, 8));
	assert_true(store_at(c, &k, &v) && store_num64(k) == 256);
	store_cursor_close(&c);
	store_cursor_close(&c);
	store_key64(key, 257);
	c = store_seek(t, two, str_n(key, 8));
	assert_true(store_at(c, &k, &v) && store_num64(k) == 300);
	store_cursor_close(&c);
	store_drop(t, two);
	c = store_seek(t, two, STR_NONE);
	assert_false(store_at(c, &k, &v));
	store_cursor_close(&c);
	assert_int_equal(store_commit(&t, &e), 0);
}

/* Deleting while walking: seek again from the key that was deleted. */
static void test_sweep(void **state)
{
	unsigned char key[8], from[8] = { 0 };
	struct err e;
	struct str k, v;
	unsigned swept = 0;
	struct store_txn *t = store_write(store, &e);

	(void)state;
	store_drop(t, one);
	for (uint64_t i = 0; i < 100; i++) {
		store_key64(key, i);
		store_put(t, one, str_n(key, 8), i % 3 == 0 ? S("old") : S("new"));
	}
	for (;;) {
		struct store_cursor *c = store_seek(t, one, str_n(from, 8));
		while (store_at(c, &k, &v) && !str_eq(v, S("old")))
			store_next(c);
		bool found = store_at(c, &k, &v);
		if (found)
			memcpy(from, k.p, 8);
		store_cursor_close(&c);
		if (!found)
			break;
		store_del(t, one, str_n(from, 8));
		swept++;
	}
	assert_int_equal(swept, 34);
	assert_int_equal(store_count(t, one), 66);
	assert_int_equal(store_commit(&t, &e), 0);
}

/* DoS-15: a full map is the first error of its transaction, leaves nothing behind and does not stop the next one. */
static void test_full(void **state)
{
	static char big[4000];
	unsigned char key[8];
	struct err e = { 0 };
	struct buf b;
	struct store_txn *t = store_write(store, &e);

	(void)state;
	buf_init(&b, 8192);
	for (uint64_t i = 0; i < 1000; i++) {
		store_key64(key, i);
		store_put(t, two, str_n(key, 8), str_n(big, sizeof big));
	}
	assert_true(store_failed(t));
	assert_int_equal(store_commit(&t, &e), -1);
	assert_int_equal(e.code, ERR_NO_SPACE);
	store_key64(key, 1);
	check_str(get(two, str_n(key, 8), &b), S("(none)"), "nothing left");
	t = store_write(store, &e);
	store_put(t, two, S("k"), S("v"));
	assert_int_equal(store_commit(&t, &e), 0);
	check_str(get(two, S("k"), &b), S("v"), "works again");
	buf_fini(&b);
}

static void test_open_errors(void **state)
{
	const struct store_options o = { .map_bytes = 1 << 20, .dbs = 1 };
	struct err e = { 0 };

	(void)state;
	assert_null(store_open("/nonexistent/a/b", &o, &e));
	assert_int_equal(e.code, ERR_IO);
	assert_non_null(strstr(e.text, "/nonexistent/a/b"));
}

/* A power cut while a new store is made leaves half a file under its working name, never under the real one. */
static void test_half_made(void **state)
{
	const struct store_options o = { .map_bytes = 1 << 20, .dbs = 1 };
	char dir[] = "/tmp/tombolo-store-XXXXXX", file[64];
	char zeros[5000] = { 0 };
	struct err e = { 0 };

	(void)state;
	assert_non_null(mkdtemp(dir));
	snprintf(file, sizeof file, "%s/new.mdb", dir);
	FILE *f = fopen(file, "we");
	assert_non_null(f);
	fwrite(zeros, 1, sizeof zeros, f);
	fclose(f);
	struct store *s = store_open(dir, &o, &e);
	assert_non_null(s);
	store_close(&s);
	assert_int_not_equal(access(file, F_OK), 0);
	snprintf(file, sizeof file, "%s/data.mdb", dir);
	assert_int_equal(unlink(file), 0);
	snprintf(file, sizeof file, "%s/lock.mdb", dir);
	unlink(file);
	assert_int_equal(rmdir(dir), 0); /* nothing else was left */
}

/* The same tables and rows behind it; a file that somebody else wrote to since is not taken for what it was. */
static void test_reopen(void **state)
{
	struct err e = { 0 };
	struct buf b;
	struct store_txn *t = store_write(store, &e);
	int status = 1;

	(void)state;
	buf_init(&b, 4096);
	store_put(t, one, S("key"), S("first"));
	store_put(t, two, S("key"), S("second"));
	assert_int_equal(store_commit(&t, &e), 0);
	assert_int_equal(store_reopen(store, &e), 0);
	assert_false(store_is_dead(store));
	check_str(get(one, S("key"), &b), S("first"), "one");
	check_str(get(two, S("key"), &b), S("second"), "two");
	t = store_write(store, &e);
	store_put(t, one, S("key"), S("third"));
	assert_int_equal(store_commit(&t, &e), 0);
	pid_t pid = fork();
	if (pid == 0) {
		const struct store_options o = { .map_bytes = 1 << 20, .dbs = 4 };
		struct store *other = store_open(folder, &o, &e);
		store_db db;
		_exit(other == NULL || store_table(other, "one", &db, &e) != 0 ||
		      (t = store_write(other, &e)) == NULL || (store_put(t, db, S("key"), S("theirs")), 0) ||
		      store_commit(&t, &e) != 0);
	}
	assert_true(waitpid(pid, &status, 0) == pid && status == 0);
	assert_int_equal(store_reopen(store, &e), -1);
	assert_int_equal(e.code, ERR_CORRUPT);
	assert_true(store_is_dead(store));
	assert_null(store_write(store, &e));
	assert_null(store_read(store, &e));
	assert_true(store_map_used(store) == 0); /* and these are harmless */
	store_trim(store);
	store_check_readers(store);
	assert_int_equal(store_reopen(store, &e), -1);
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_put_get, open_store, close_store),
		cmocka_unit_test_setup_teardown(test_order, open_store, close_store),
		cmocka_unit_test_setup_teardown(test_sweep, open_store, close_store),
		cmocka_unit_test_setup_teardown(test_full, open_store, close_store),
		cmocka_unit_test_setup_teardown(test_reopen, open_store, close_store),
		cmocka_unit_test(test_open_errors),
		cmocka_unit_test(test_half_made),
	};
	char file[64];

	if (mkdtemp(folder) == NULL)
		return 1;
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	snprintf(file, sizeof file, "%s/data.mdb", folder);
	unlink(file);
	snprintf(file, sizeof file, "%s/lock.mdb", folder);
	unlink(file);
	rmdir(folder);
	return failed;
}
