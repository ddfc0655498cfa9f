/* Tests of routing/known.c: whatever happens to the table, an address is found with the filter if and only if it is
 * found without it. */
#include "routing/table_test.h"

#include <sys/wait.h>

enum { NAMES = 60, STEPS = 400 };

static const char *const domains[] = {
	"contoso.com",    "shared.example", "a.shared.example",           "exact.example",
	"island.example", "branch.example", "contoso.mail.cloud.example", "elsewhere.example"
};
static const char *const forms[] = { "n%u@%s", "N%u@%s", "n%u+tag@%s", "n%u+tag+more@%s", "\"n%u\"@%s", "SRS0=n%u@%s" };

static void locate(struct fixture *f, const char *address, bool with_filter, struct located *out)
{
	static const struct addr_rules rules = { .relaxed = true };
	struct routing_view v;
	struct addr a;

	check(addr_parse(str_c(address), &rules, &a) == ADDR_OK, address);
	check(routing_begin(f->r, &v, &f->e) == 0, address);
	if (!with_filter)
		filter_unref(&v.filter);
	check(routing_locate(&v, &a, &f->arena, out, &f->e), address);
	routing_end(&v);
}

static bool filter_is_used(struct fixture *f)
{
	struct routing_view v;

	check(routing_begin(f->r, &v, &f->e) == 0, "begin");
	bool used = v.filter != NULL;
	routing_end(&v);
	return used;
}

/* Every form of every name in every domain. */
static void compare(struct fixture *f, const char *when)
{
	char address[80];

	for (unsigned n = 0; n < NAMES; n++)
		for (size_t d = 0; d < COUNT(domains); d++)
			for (size_t i = 0; i < COUNT(forms); i++) {
				struct arena_mark mark = arena_mark(&f->arena);
				struct located with, without;
				snprintf(address, sizeof address, forms[i], n, domains[d]);
				locate(f, address, true, &with);
				locate(f, address, false, &without);
				if (with.found != without.found || with.kind != without.kind ||
				    with.plus != without.plus || !str_eq(with.record.primary, without.record.primary))
					fail_msg("%s: %s", when, address);
				arena_rewind(&f->arena, mark);
			}
}

static unsigned dice(unsigned n)
{
	static unsigned turn;

	turn++;
	return (unsigned)(str_hash(str_n(&turn, sizeof turn), 42) % n);
}

static void random_step(struct fixture *f)
{
	char address[80], alias[80];
	const enum rcpt_loc locs[] = { LOC_LOCAL, LOC_GROUP, LOC_DISABLED, LOC_REMOTE };

	snprintf(address, sizeof address, dice(4) == 0 ? "n%u+tag@%s" : "n%u@%s", dice(NAMES), domains[dice(5)]);
	snprintf(alias, sizeof alias, "n%u@%s", dice(NAMES), domains[dice(5)]);
	if (dice(3) == 0)
		(void)routing_record_remove(f->r, str_c(address), &f->e);
	else /* some are refused: the alias is another's */
		(void)fixture_add(f, address, alias, locs[dice(4)], "x@contoso.mail.cloud.example");
}

static void keep(struct fixture *f, bool wanted, const char *when)
{
	bool built;

	check(routing_filter_keep(f->r, &built, &f->e) == 0, when);
	check(built == wanted, when);
	check(filter_is_used(f), when);
}

static void test_changes_follow(void **state)
{
	struct fixture f;

	(void)state;
	fixture_config(&f);
	fixture_open(&f);
	check(!filter_is_used(&f) && routing_filter_bytes(f.r) == 0, "none before it is built");
	for (int i = 0; i < 50; i++)
		random_step(&f);
	keep(&f, true, "first");
	for (int i = 0; i < STEPS; i++) {
		random_step(&f);
		check(filter_is_used(&f), "own changes keep it good");
		if (i % 40 == 0)
			compare(&f, "after a change");
	}
	compare(&f, "in the end");
	keep(&f, false, "nothing to do");
	fixture_close(&f);
}

static void test_import(void **state)
{
	struct import_report rep;
	struct fixture f;
	struct buf problems, text;

	(void)state;
	fixture_config(&f);
	fixture_open(&f);
	keep(&f, true, "of an empty table");
	buf_init(&problems, 4096);
	buf_init(&text, 1 << 20);
	buf_add(&text, S("address,loc,aliases\n"));
	for (unsigned n = 0; n < NAMES; n += 2)
		buf_addf(&text, "n%u@contoso.com,local,n%u@a.shared.example\n", n, n);
	fixture_write(&f, buf_str(&text));
	check(routing_import(f.r, f.file, IMPORT_CSV, S("t"), true, 0, false, &rep, &problems, &f.e) == 0, "import");
	check(rep.added == NAMES / 2, "added");
	check(filter_is_used(&f), "an import keeps it good");
	compare(&f, "after the import");
	buf_fini(&problems);
	buf_fini(&text);
	fixture_close(&f);
}

/* Another process writes: until the filter is built again the table is asked, also after a change of our own. */
static void test_another_process(void **state)
{
	struct fixture f;
	int status;

	(void)state;
	fixture_config(&f);
	fixture_open(&f);
	keep(&f, true, "first");
	pid_t child = fork();
	if (child == 0) {
		f.r = routing_open(&f.config, &f.e);
		_exit(f.r == NULL || fixture_add(&f, "n1@contoso.com", NULL, LOC_LOCAL, NULL) != 0);
	}
	check(child > 0 && waitpid(child, &status, 0) == child && status == 0, "child");
	check(!filter_is_used(&f), "late");
	compare(&f, "late");
	check(fixture_add(&f, "n2@contoso.com", NULL, LOC_LOCAL, NULL) == 0, "our own");
	check(!filter_is_used(&f), "still late");
	compare(&f, "still late");
	keep(&f, true, "again");
	compare(&f, "again");
	fixture_close(&f);
}

/* A view keeps what it began with: it does not see what came after it, and not because of the filter. */
static void test_old_view(void **state)
{
	static const struct addr_rules rules;
	struct fixture f;
	struct routing_view v;
	struct located l;
	struct addr a;

	(void)state;
	fixture_config(&f);
	fixture_open(&f);
	check(fixture_add(&f, "n1@contoso.com", NULL, LOC_LOCAL, NULL) == 0, "add");
	check(routing_begin(f.r, &v, &f.e) == 0, "begin");
	check(routing_record_remove(f.r, S("n1@contoso.com"), &f.e) == 0, "remove");
	keep(&f, true, "built without it");
	check(addr_parse(S("n1@contoso.com"), &rules, &a) == ADDR_OK, "parse");
	check(routing_locate(&v, &a, &f.arena, &l, &f.e) && l.found, "the old view has it");
	routing_end(&v);
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_changes_follow),
		cmocka_unit_test(test_import),
		cmocka_unit_test(test_another_process),
		cmocka_unit_test(test_old_view),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
