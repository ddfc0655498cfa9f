/* routing/history_test.c: the table and the mode as they were. */
#include "routing/table_test.h"

#include "base/time.h"

/* Time passes between two changes. */
static int64_t tick(void)
{
	int64_t before = clock_wall_ms();

	while (clock_wall_ms() <= before)
		usleep(300);
	int64_t between = clock_wall_ms();
	while (clock_wall_ms() <= between)
		usleep(300);
	return between;
}

static enum rcpt_kind kind_at(struct fixture *f, const char *address, int64_t at_ms, struct mode *mode, bool *forgotten)
{
	struct routing_view v;
	struct located l;
	struct addr a;

	must(addr_parse(str_c(address), &(struct addr_rules){ 0 }, &a) == ADDR_OK);
	check(routing_begin_at(f->r, at_ms, &v, &f->e) == 0, "begin");
	check(routing_locate(&v, &a, &f->arena, &l, &f->e), "locate");
	if (mode != NULL)
		*mode = v.mode;
	if (forgotten != NULL)
		*forgotten = v.forgotten;
	routing_end(&v);
	return l.kind;
}

static void test_record(void **state)
{
	static const char cloud[] = "ann@contoso.mail.cloud.example";
	struct fixture f;

	(void)state;
	fixture_config(&f);
	fixture_open(&f);
	int64_t t0 = tick();
	check(fixture_add(&f, "ann@contoso.com", "a@contoso.com", LOC_LOCAL, NULL) == 0, "here");
	int64_t t1 = tick();
	check(fixture_add(&f, "ann@contoso.com", NULL, LOC_REMOTE, cloud) == 0, "moves, loses the alias");
	int64_t t2 = tick();
	check(fixture_add(&f, "bob@contoso.com", "a@contoso.com", LOC_LOCAL, NULL) == 0, "who takes it over");
	int64_t t3 = tick();
	check(routing_record_remove(f.r, S("ann@contoso.com"), &f.e) == 0, "removed");
	int64_t t4 = tick();
	check(fixture_add(&f, "ann@contoso.com", NULL, LOC_LOCAL, NULL) == 0, "another ann");
	int64_t t5 = tick();

	static const struct {
		const char *address;
		enum rcpt_kind at[6];
	} rows[] = {
		{ "ann@contoso.com",
		  { KIND_UNK_AUTH, KIND_LOCAL, KIND_REMOTE, KIND_REMOTE, KIND_UNK_AUTH, KIND_LOCAL } },
		{ "a@contoso.com", { KIND_UNK_AUTH, KIND_LOCAL, KIND_UNK_AUTH, KIND_LOCAL, KIND_LOCAL, KIND_LOCAL } },
		{ "a+tag@contoso.com",
		  { KIND_UNK_AUTH, KIND_LOCAL, KIND_UNK_AUTH, KIND_LOCAL, KIND_LOCAL, KIND_LOCAL } },
		{ "bob@contoso.com",
		  { KIND_UNK_AUTH, KIND_UNK_AUTH, KIND_UNK_AUTH, KIND_LOCAL, KIND_LOCAL, KIND_LOCAL } },
	};
	const int64_t times[6] = { t0, t1, t2, t3, t4, t5 };
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++)
		for (size_t t = 0; t < 6; t++)
			check(kind_at(&f, rows[i].address, times[t], NULL, NULL) == rows[i].at[t], rows[i].address);
	check(recipient_check(f.r, &f.e) == 0, "whole");
	fixture_close(&f);
}

static void test_mode(void **state)
{
	struct fixture f;
	struct mode m;
	bool changed, forgotten;

	(void)state;
	fixture_config(&f);
	fixture_open(&f);
	int64_t t1 = tick();
	check(routing_mode_set(f.r, SIDE_CLOUD, true, S("t"), &m, &changed, &f.e) == 0, "M3");
	int64_t t2 = tick();
	check(routing_mode_set(f.r, SIDE_CLOUD, false, S("t"), &m, &changed, &f.e) == 0, "M2");
	kind_at(&f, "x@contoso.com", t1, &m, &forgotten);
	check(m.epoch == 1 && m.mx == SIDE_ONPREM && !forgotten, "M1");
	kind_at(&f, "x@contoso.com", t2, &m, &forgotten);
	check(m.epoch == 2 && m.mx == SIDE_CLOUD && m.cmt && !forgotten, "M3");
	kind_at(&f, "x@contoso.com", tick(), &m, &forgotten);
	check(m.epoch == 3 && !forgotten, "M2");
	kind_at(&f, "x@contoso.com", 1000, &m, &forgotten);
	check(m.epoch == 1 && forgotten, "before there was anything");
	fixture_close(&f);
}

struct seen {
	int n;
	char line[300];
};

static void add(void *arg, const struct record_version *v)
{
	struct seen *s = arg;
	size_t at = strlen(s->line);

	s->n++;
	snprintf(s->line + at, sizeof s->line - at, "%s%s%s ", v->removed ? "removed" : loc_name(v->record.loc),
		 v->record.batch.n > 0 ? "!" : "", v->until_ms > 0 ? "" : "*");
	check(v->until_ms == 0 || v->until_ms > v->record.changed_ms, "in order");
}

static void test_versions(void **state)
{
	struct seen s = { 0 };
	struct fixture f;
	bool forgotten;

	(void)state;
	fixture_config(&f);
	fixture_open(&f);
	check(routing_record_history(f.r, S("ann@contoso.com"), &f.arena, add, &s, &f.e) == 0, "nobody");
	check(routing_record_history(f.r, S("ann"), &f.arena, add, &s, &f.e) == -1 && f.e.code == ERR_SYNTAX, "what?");
	check(fixture_add(&f, "ann@contoso.com", NULL, LOC_LOCAL, NULL) == 0, "set");
	int64_t first = tick();
	check(fixture_add(&f, "ann@contoso.com", NULL, LOC_REMOTE, "a@c.example") == 0, "set");
	tick();
	check(routing_record_remove(f.r, S("ann@contoso.com"), &f.e) == 0, "remove");
	tick();
	check(fixture_add(&f, "ann@contoso.com", NULL, LOC_DISABLED, NULL) == 0, "set");
	check(routing_record_history(f.r, S("ANN@contoso.com"), &f.arena, add, &s, &f.e) == 4, "four");
	check_str(str_c(s.line), S("local remote removed* disabled* "), "versions");
	int64_t second = tick();
	for (int i = 0; i < HISTORY_KEPT + 2; i++) {
		tick();
		check(fixture_add(&f, "ann@contoso.com", NULL, i % 2 ? LOC_LOCAL : LOC_DISABLED, NULL) == 0, "set");
	}
	s = (struct seen){ 0 };
	check(routing_record_history(f.r, S("ann@contoso.com"), &f.arena, add, &s, &f.e) == 3 + HISTORY_KEPT + 1,
	      "kept");
	check(kind_at(&f, "ann@contoso.com", second, NULL, &forgotten) == KIND_UNK_AUTH && forgotten, "too long ago");
	check(kind_at(&f, "ann@contoso.com", first, NULL, NULL) == KIND_LOCAL, "the removed one is still known");
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_record),
		cmocka_unit_test(test_mode),
		cmocka_unit_test(test_versions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
