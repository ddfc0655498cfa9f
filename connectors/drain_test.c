/* connectors/drain_test.c: a drain order comes back from disk as it was, or not at all. */
#include "base/fault.h"
#include "base/must.h"
#include "connectors/drain.h"
#include "tests/unit.h"

#include <fcntl.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static char dir[] = "/tmp/drain-test-XXXXXX";

static const struct drain_order order = {
	.to = "[192.0.2.1]:25", .reason = "moving house, to=host", .since_ms = 1796000000123, .recipients = 7
};

static void write_order(const char *text)
{
	char path[64];
	FILE *f;

	snprintf(path, sizeof path, "%s/drain", dir);
	f = fopen(path, "w");
	must(f != NULL && fputs(text, f) >= 0 && fclose(f) == 0);
}

static void test_round_trip(void **state)
{
	struct drain_order o = { 0 };
	struct err e = { 0 };
	bool damaged;

	(void)state;
	assert_false(drain_kept(dir, &o, &damaged));
	assert_int_equal(drain_keep(dir, &order, &e), 0);
	assert_true(drain_kept(dir, &o, &damaged) && !damaged);
	assert_string_equal(o.to, order.to);
	assert_string_equal(o.reason, order.reason);
	assert_true(o.since_ms == order.since_ms && o.recipients == 7);
	assert_int_equal(drain_keep(dir, &(struct drain_order){ 0 }, &e), 0); /* takes its place */
	assert_true(drain_kept(dir, &o, &damaged) && !damaged && o.to[0] == '\0');
	assert_int_equal(drain_forget(dir, &e), 0);
	assert_false(drain_kept(dir, &o, &damaged));
	assert_int_equal(drain_forget(dir, &e), 0);
	assert_int_equal(drain_keep("/nowhere", &order, &e), -1);
	assert_int_equal(drain_forget("/nowhere", &e), -1);
}

/* Somebody wanted a drain: mail is refused, though nobody knows any more where the rest was to go. */
static void test_damaged(void **state)
{
	static const char *const texts[] = {
		"",
		"tombolo-drain 2\nsince 1\nrecipients 1\nto \nreason \nend\n",
		"tombolo-drain 1\nsince 1\nrecipients 1\nto \nreason \n",
		"tombolo-drain 1\nsince x\nrecipients 1\nto \nreason \nend\n",
		"tombolo-drain 1\nsince 1\nrecipients 1\nto a\tb\nreason \nend\n",
		"tombolo-drain 1\nsince 1\nrecipients 1\nto \nreason \nend\nmore\n",
	};
	struct drain_order o;
	struct err e = { 0 };
	bool damaged;

	(void)state;
	for (size_t i = 0; i < COUNT(texts); i++) {
		write_order(texts[i]);
		check(drain_kept(dir, &o, &damaged) && damaged && o.to[0] == '\0' && o.reason[0] != '\0', texts[i]);
	}
	assert_int_equal(drain_forget(dir, &e), 0);
}

/* What could not be made durable is an error, and the order before it stays. */
static void test_faults(void **state)
{
	struct drain_order o;
	struct err e = { 0 };
	bool damaged;

	(void)state;
	assert_int_equal(drain_keep(dir, &order, &e), 0);
	setenv("TOMBOLO_FAULT", "drain.write:1:enospc", 1);
	fault_init();
	assert_true(drain_keep(dir, &(struct drain_order){ .to = "other" }, &e) == -1 && e.code == ERR_NO_SPACE);
	assert_true(drain_kept(dir, &o, &damaged) && !damaged);
	assert_string_equal(o.to, order.to);
	setenv("TOMBOLO_FAULT", "drain.unlink:1", 1);
	fault_init();
	assert_int_equal(drain_forget(dir, &e), -1);
	assert_true(drain_kept(dir, &o, &damaged));
	unsetenv("TOMBOLO_FAULT");
	fault_init();
	assert_int_equal(drain_forget(dir, &e), 0);
}

static int make_dir(void **state)
{
	(void)state;
	return mkdtemp(dir) == NULL;
}

static int remove_dir(void **state)
{
	char path[64];

	(void)state;
	snprintf(path, sizeof path, "%s/drain.new", dir);
	unlink(path);
	return rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_round_trip), cmocka_unit_test(test_damaged),
					    cmocka_unit_test(test_faults) };

	return cmocka_run_group_tests(tests, make_dir, remove_dir);
}
