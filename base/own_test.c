/* base/own_test.c: what somebody planted is refused with words, and what it leads to is untouched. */
#include "base/own.h"
#include "tests/unit.h"

#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char folder[100];

static const char *in(const char *name)
{
	static char path[4][200];
	static unsigned turn;
	char *p = path[turn++ % 4];

	snprintf(p, sizeof path[0], "%s/%s", folder, name);
	return p;
}

static void make(const char *name)
{
	int fd = open(in(name), O_WRONLY | O_CREAT | O_TRUNC, 0600);

	assert_true(fd >= 0 && write(fd, "kept", 4) == 4);
	close(fd);
}

static int setup(void **state)
{
	(void)state;
	snprintf(folder, sizeof folder, "%s/own_testXXXXXX", getenv("TMPDIR") != NULL ? getenv("TMPDIR") : "/tmp");
	assert_non_null(mkdtemp(folder));
	make("victim");
	assert_int_equal(mkdir(in("dir"), 0700), 0);
	assert_int_equal(symlink("dir", in("dir-link")), 0);
	assert_int_equal(symlink("victim", in("link")), 0);
	assert_int_equal(symlink("nothing", in("dangling")), 0);
	assert_int_equal(mkfifo(in("pipe"), 0600), 0);
	make("twice");
	assert_int_equal(link(in("twice"), in("again")), 0);
	return 0;
}

static int gone(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st, (void)type, (void)at;
	return remove(path);
}

static int teardown(void **state)
{
	(void)state;
	return nftw(folder, gone, 8, FTW_DEPTH | FTW_PHYS);
}

static void test_files(void **state)
{
	static const struct {
		const char *name, *why;
	} planted[] = { { "link", "is a link" },
			{ "dangling", "is a link" },
			{ "twice", "second name" },
			{ "again", "second name" },
			{ "pipe", "not a regular file" } };
	int dir = open(folder, O_RDONLY | O_DIRECTORY);
	struct err e;

	(void)state;
	for (size_t i = 0; i < COUNT(planted); i++) {
		assert_int_equal(own_open(dir, planted[i].name, O_RDWR | O_CREAT, 0600, "t", planted[i].name, &e), -1);
		assert_non_null(strstr(e.text, planted[i].why));
		assert_int_equal(own_open(dir, planted[i].name, O_RDONLY, 0, "t", planted[i].name, &e), -1);
		assert_int_equal(own_look(dir, planted[i].name, "t", planted[i].name, &e), -1);
		assert_non_null(strstr(e.text, planted[i].why));
	}
	assert_int_equal(access(in("nothing"), F_OK), -1);
	assert_int_equal(own_look(dir, "nothing", "t", "nothing", &e), 0);
	assert_int_equal(own_look(dir, "victim", "t", "victim", &e), 0);
	int fd = own_open(dir, "victim", O_RDWR, 0, "t", "victim", &e);
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(own_open(dir, "nothing", O_RDWR, 0, "t", "nothing", &e), -1);
	assert_non_null(strstr(e.text, "No such file"));
	close(dir);
}

static void test_folders(void **state)
{
	struct err e;
	int fd = own_dir(in("dir"), "t", &e);

	(void)state;
	assert_true(fd >= 0);
	close(fd);
	assert_int_equal(own_dir(in("dir-link"), "t", &e), -1);
	assert_non_null(strstr(e.text, "is a link"));
	assert_int_equal(own_dir(in("victim"), "t", &e), -1);
	assert_int_equal(own_dir(in("nothing"), "t", &e), -1);
	assert_int_equal(chmod(in("dir"), 0707), 0);
	assert_int_equal(own_dir(in("dir"), "t", &e), -1);
	assert_non_null(strstr(e.text, "by everybody"));
	if (geteuid() != 0)
		return;
	assert_int_equal(chmod(in("dir"), 0700), 0);
	assert_int_equal(chown(in("dir"), 65534, 65534), 0);
	assert_int_equal(seteuid(65533), 0);
	assert_int_equal(own_dir(in("dir"), "t", &e), -1);
	assert_int_equal(seteuid(0), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_files),
		cmocka_unit_test(test_folders),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
