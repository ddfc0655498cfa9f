/* queue/links_test.c: links that somebody planted in the spool (hardening: CVE-2020-28007 and its kin): the start is
 * refused and says why, and what they lead to is untouched. */
#include "tests/queue_rig.h"

static char victim[160], spool[160];

static void write_victim(void)
{
	int fd = open(victim, O_WRONLY | O_CREAT | O_TRUNC, 0600);

	must(fd >= 0 && write(fd, "another's", 9) == 9);
	close(fd);
}

static void check_victim(const char *row)
{
	char text[20] = "";
	struct stat st;
	int fd = open(victim, O_RDONLY);

	check(fd >= 0 && read(fd, text, sizeof text) == 9 && strcmp(text, "another's") == 0, row);
	check(fstat(fd, &st) == 0 && (st.st_mode & 0777) == 0600, row);
	close(fd);
}

static const char *in_spool(const char *name)
{
	static char path[400];

	snprintf(path, sizeof path, "%s/%s", spool, name);
	return path;
}

/* The first file of segments/, which recovery opens. */
static const char *some_segment(void)
{
	static char path[300];
	DIR *d = opendir(in_spool("segments"));

	must(d != NULL);
	path[0] = '\0';
	for (struct dirent *entry; (entry = readdir(d)) != NULL;)
		if (entry->d_name[0] != '.' &&
		    (path[0] == '\0' || strcmp(path + strlen("segments/"), entry->d_name) > 0))
			snprintf(path, sizeof path, "segments/%s", entry->d_name);
	closedir(d);
	must(path[0] != '\0');
	return path;
}

/* Puts a link where `name` is, tries to open, puts everything back. */
static void try_planted(struct rig *r, const char *name, bool hard, const char *to, const char *want)
{
	struct queue_recovery found;
	struct err e = { 0 };
	char path[400], aside[420];

	snprintf(path, sizeof path, "%s", in_spool(name));
	snprintf(aside, sizeof aside, "%s.aside", path);
	check(rename(path, aside) == 0, name);
	check((hard ? link(to, path) : symlink(to, path)) == 0, name);
	struct queue *q = queue_open(&r->conf, &found, &e);
	check((q == NULL) == (want != NULL), name);
	if (q != NULL)
		queue_close(&q);
	else if (str_find(str_c(e.text), str_c(want)) < 0)
		fail_msg("%s: %s", name, e.text);
	check(unlink(path) == 0 && rename(aside, path) == 0, name);
	check_victim(name);
}

static void test_planted(void **state)
{
	struct rig *r = *state;

	snprintf(spool, sizeof spool, "%s", r->path);
	snprintf(victim, sizeof victim, "%s.victim", r->path);
	write_victim();
	rig_open(r);
	rig_accept(r, 100, 1);
	rig_accept(r, 400000, 1);
	rig_close(r);
	try_planted(r, "segments", false, "segments.aside", "is a link");
	try_planted(r, "big", false, "big.aside", "is a link");
	try_planted(r, "index", false, "index.aside", "is a link");
	try_planted(r, "index/data.mdb", false, victim, "is a link");
	try_planted(r, "index/data.mdb", true, victim, "second name");
	try_planted(r, "index/lock.mdb", false, victim, "is a link");
	try_planted(r, some_segment(), false, victim, "is a link");
	try_planted(r, some_segment(), true, victim, "second name");
	try_planted(r, "working", false, victim, NULL); /* nothing is watched then */
	try_planted(r, "working", true, victim, NULL);
	rig_open(r);
	assert_int_equal(r->found.messages, 2);
	rig_close(r);
	unlink(victim);
}

/* The folder itself, and one that everybody may write in. */
static void test_folder(void **state)
{
	struct rig *r = *state;
	struct queue_recovery found;
	struct err e = { 0 };
	char to[160];

	rig_open(r);
	rig_close(r);
	snprintf(to, sizeof to, "%s.link", r->path);
	assert_int_equal(symlink(r->path, to), 0);
	r->conf.path = str_c(to);
	assert_null(queue_open(&r->conf, &found, &e));
	assert_true(str_find(str_c(e.text), S("is a link: name the folder itself")) >= 0);
	unlink(to);
	r->conf.path = str_c(r->path);
	assert_int_equal(chmod(r->path, 0777), 0);
	assert_null(queue_open(&r->conf, &found, &e));
	assert_true(str_find(str_c(e.text), S("by everybody")) >= 0);
	assert_int_equal(chmod(r->path, 0700), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(test_planted, rig_setup, rig_teardown),
		cmocka_unit_test_setup_teardown(test_folder, rig_setup, rig_teardown),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
