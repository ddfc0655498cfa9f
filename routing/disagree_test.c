/* routing/disagree_test.c: since when the sides disagree, and what is kept of it. */
#include "routing/disagree.h"
#include "tests/unit.h"

#include <string.h>
#include <unistd.h>

static bool is_fresh(struct disagree *d, uint64_t who, int64_t now_ms, int64_t wait_ms, bool dry)
{
	return disagree_note(d, &(struct disagree_seen){ .who = who,
							 .address = S("u@x.example"),
							 .ours = S("remote"),
							 .now_ms = now_ms,
							 .wait_ms = wait_ms,
							 .dry = dry });
}

static void test_window(void **state)
{
	struct disagree d = { 0 };

	(void)state;
	check(disagree_open(&d, NULL, 0, NULL) == 0, "open");
	check(is_fresh(&d, 7, 1000, 100, false), "first");
	check(is_fresh(&d, 7, 1099, 100, false), "inside");
	check(!is_fresh(&d, 7, 1100, 100, false), "over");
	check(!is_fresh(&d, 7, 1200, 100, false), "still over");
	check(is_fresh(&d, 7, 1301, 100, false), "silent for longer than the window: anew");
	check(is_fresh(&d, 0, 1301, 100, false), "a hash of 0 is as good");
	check(!is_fresh(&d, 8, 1000, 0, false), "no window");
	disagree_close(&d);
}

static void test_dry(void **state)
{
	struct disagree d = { 0 };
	struct disagreement one;

	(void)state;
	check(disagree_open(&d, NULL, 0, NULL) == 0, "open");
	check(is_fresh(&d, 7, 1000, 100, true), "asked");
	check(disagree_list(&d, &one, 1) == 0, "nothing is remembered");
	check(is_fresh(&d, 7, 5000, 100, false), "first");
	check(!is_fresh(&d, 7, 5100, 100, true), "asked, over");
	disagree_close(&d);
}

/* Full sets forget who was silent longest. */
static void test_full(void **state)
{
	struct disagree d = { 0 };

	(void)state;
	check(disagree_open(&d, NULL, 0, NULL) == 0, "open");
	for (uint64_t i = 0; i <= DISAGREE_WAYS; i++)
		check(is_fresh(&d, 1 + i * DISAGREE_SETS, 1000 + (int64_t)i, 100, false), "first");
	check(!is_fresh(&d, 1 + DISAGREE_WAYS * DISAGREE_SETS, 1104, 100, true), "the newest is known");
	check(is_fresh(&d, 1, 1101, 101, true), "the oldest made room");
	disagree_close(&d);
}

/* ---- what is kept ---- */

struct heard {
	int n;
	char last[220];
};

static void on_began(void *arg, const struct disagreement *i)
{
	struct heard *h = arg;

	h->n++;
	snprintf(h->last, sizeof h->last, "%s %s", disagree_kind_name(i->kind), i->address);
}

static void note(struct disagree *d, uint64_t who, enum disagree_kind kind, struct str message, int64_t now_ms)
{
	disagree_note(d, &(struct disagree_seen){ .who = who,
						  .kind = kind,
						  .address = S("ann@contoso.com"),
						  .ours = S("remote, version 7"),
						  .message = message,
						  .now_ms = now_ms,
						  .wait_ms = 100 });
}

static void test_kept(void **state)
{
	const struct store_options o = { .map_bytes = 16 << 20, .dbs = 1 };
	char dir[] = "/tmp/tombolo_disagree.XXXXXX", file[80];
	struct disagree d = { 0 };
	struct disagreement all[4];
	struct heard h = { 0 };
	struct err e = { 0 };
	store_db db;

	(void)state;
	check(mkdtemp(dir) != NULL, "folder");
	struct store *s = store_open(dir, &o, &e);
	check(s != NULL && store_table(s, "incident", &db, &e) == 0, "store");
	check(disagree_open(&d, s, db, &e) == 0, "open");
	check(disagree_keep(&d, on_began, &h, &e) == 0 && h.n == 0, "nothing new");
	note(&d, 7, DISAGREE_LOCATION, S("m1"), 1000);
	note(&d, 7, DISAGREE_LOCATION, S("m1"), 1001); /* the same message asked about again */
	note(&d, 7, DISAGREE_LOCATION, S("m2"), 1002);
	note(&d, 8, DISAGREE_LOOP, S("m3"), 1003);
	check(disagree_keep(&d, on_began, &h, &e) == 0 && h.n == 2, "two began");
	note(&d, 7, DISAGREE_LOCATION, S("m4"), 1050);
	check(disagree_keep(&d, on_began, &h, &e) == 0 && h.n == 2, "no third one");
	disagree_close(&d);

	check(disagree_open(&d, s, db, &e) == 0 && disagree_list(&d, all, 4) == 2, "read");
	check(all[0].count == 3 && all[0].first_ms == 1000 && all[0].last_ms == 1050, "newest first, as it was");
	check(strcmp(all[0].ours, "remote, version 7") == 0 && strcmp(all[0].messages[2], "m4") == 0, "words");
	check(all[1].kind == DISAGREE_LOOP && strcmp(all[1].address, "ann@contoso.com") == 0, "the other");
	check(!is_fresh(&d, 7, 1100, 100, true), "a restart does not begin the wait anew");
	check(disagree_drop(&d, 7) && !disagree_drop(&d, 7), "settled once");
	check(disagree_keep(&d, on_began, &h, &e) == 0 && h.n == 2, "kept");
	disagree_close(&d);
	check(disagree_open(&d, s, db, &e) == 0 && disagree_list(&d, all, 4) == 1, "gone for good");
	disagree_close(&d);
	store_close(&s);
	snprintf(file, sizeof file, "%s/data.mdb", dir);
	unlink(file);
	snprintf(file, sizeof file, "%s/lock.mdb", dir);
	unlink(file);
	rmdir(dir);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_window),
		cmocka_unit_test(test_dry),
		cmocka_unit_test(test_full),
		cmocka_unit_test(test_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
