/* routing/walk_test.c: whom groups and forwards lead to: each once, whatever the circles; and on random graphs, the
 * same as a slow and simple search finds. */
#include "routing/walk.h"
#include "routing/table_test.h"

static void load(struct fixture *f, struct str csv)
{
	struct import_report rep;
	struct buf problems;

	buf_init(&problems, 1 << 20);
	fixture_write(f, csv);
	if (routing_import(f->r, f->file, IMPORT_CSV, S("t"), false, 0, false, &rep, &problems, &f->e) != 0 ||
	    !rep.applied)
		fail_msg("%s " STR_FMT, f->e.text, STR_ARG(buf_str(&problems)));
	buf_fini(&problems);
}

static struct walk *begin(struct fixture *f, size_t total)
{
	return walk_new(
		&(struct walk_options){ .total = total, .max_redirects = (unsigned)f->config.loop.max_redirects });
}

static void leave_out(struct fixture *f, struct walk *w, const char *address)
{
	struct routing_view v;

	check(routing_begin(f->r, &v, &f->e) == 0 && walk_skip(w, &v, str_c(address), &f->e), address);
	routing_end(&v);
}

static void root(struct fixture *f, struct walk *w, const char *address, unsigned generation)
{
	struct routing_view v;

	check(routing_begin(f->r, &v, &f->e) == 0 && walk_root(w, &v, str_c(address), generation, &f->e), address);
	routing_end(&v);
}

/* To the end, `most` members at a time. */
static enum walk_step run(struct fixture *f, struct walk *w, size_t most)
{
	enum walk_step s = WALK_MORE;
	struct routing_view v;

	for (int turns = 0; s == WALK_MORE; turns++) {
		check(turns < 100000, "ends");
		check(routing_begin(f->r, &v, &f->e) == 0, "view");
		s = walk_step(w, &v, most, &f->e);
		routing_end(&v);
	}
	return s;
}

/* "a@x/1 b@y/2+": address, generation, + when its forward has been followed; in the order found. */
static void check_result(const struct walk *w, const char *want, const char *row)
{
	struct walk_result r = walk_result(w);
	struct buf b;

	buf_init(&b, 65536);
	for (size_t i = 0; i < r.rcpt_n; i++)
		buf_addf(&b, "%s" STR_FMT "/%u%s", i > 0 ? " " : "", STR_ARG(r.rcpts[i].addr), r.rcpts[i].generation,
			 r.rcpts[i].followed ? "+" : "");
	check_str(buf_str(&b), str_c(want), row);
	buf_fini(&b);
}

static const struct str table =
	STR_LIT("address,loc,routing,redirect,keep_copy,expand_at,report_to,owner,members\n"
		"ann@contoso.com,local,,,,,,,\n"
		"bob@contoso.com,remote,bob@contoso.mail.cloud.example,,,,,,\n"
		"all@contoso.com,group,,,,here,,,ann@contoso.com;sub@contoso.com;x@far.example;X@Far.example\n"
		"sub@contoso.com,group,,,,here,none,,bob@contoso.com;ann@contoso.com;all@contoso.com\n"
		"own@contoso.com,group,,,,here,owner,boss@contoso.com,all@contoso.com;y@far.example\n"
		"away@contoso.com,group,away@contoso.mail.cloud.example,,,cloud,,,\n"
		"mix@contoso.com,group,,,,here,,,away@contoso.com;c1@contoso.com;f1@contoso.com\n"
		"c1@contoso.com,contact,,c2@contoso.com,,,,,\n"
		"c2@contoso.com,contact,,ann@contoso.com,,,,,\n"
		"f1@contoso.com,local,,f2@contoso.com,yes,,,,\n"
		"f2@contoso.com,local,,f1@contoso.com,yes,,,,\n"
		"ring@contoso.com,group,,,,here,,,r1@contoso.com;r2@contoso.com;ann@contoso.com\n"
		"r1@contoso.com,redirect,,r2@contoso.com,,,,,\n"
		"r2@contoso.com,redirect,,r1@contoso.com,,,,,\n"
		"empty@contoso.com,group,,,,here,,,\n"
		"togroup@contoso.com,redirect,,all@contoso.com,,,,,\n"
		"long@contoso.com,group,,,,here,,,l1@contoso.com\n"
		"l1@contoso.com,contact,,l2@contoso.com,,,,,\nl2@contoso.com,contact,,l3@contoso.com,,,,,\n"
		"l3@contoso.com,contact,,l4@contoso.com,,,,,\nl4@contoso.com,contact,,ann@contoso.com,,,,,\n");

static void test_roots(void **state)
{
	static const struct {
		const char *root, *want;
	} rows[] = {
		/* nested, mutual, doubled: once each, breadth first */
		{ "all@contoso.com", "ann@contoso.com/1 x@far.example/1 bob@contoso.com/1" },
		{ "mix@contoso.com", "away@contoso.com/1 ann@contoso.com/3 f1@contoso.com/1+ f2@contoso.com/2+" },
		/* forwards only, in a circle: its first address, for the one report */
		{ "ring@contoso.com", "ann@contoso.com/1 r1@contoso.com/1" },
		{ "empty@contoso.com", "" },
		/* a mailbox that keeps and forwards gets its own by itself; the other one, which does too, once
		 */
		{ "f1@contoso.com", "f2@contoso.com/1+" },
		{ "togroup@contoso.com", "ann@contoso.com/2 x@far.example/2 bob@contoso.com/2" },
		/* a chain longer than max_redirects is left to R02 */
		{ "long@contoso.com", "l1@contoso.com/1" },
		{ "ann@contoso.com", "" },
	};
	struct fixture f;

	(void)state;
	fixture_config(&f);
	fixture_open(&f);
	load(&f, table);
	for (size_t i = 0; i < COUNT(rows); i++)
		for (size_t most = 1; most < 100; most += 49) {
			struct walk *w = begin(&f, 100);
			root(&f, w, rows[i].root, 0);
			check(run(&f, w, most) == WALK_DONE, rows[i].root);
			check_result(w, rows[i].want, rows[i].root);
			walk_free(&w);
		}
	fixture_close(&f);
}

/* Who is a recipient of the message by itself, or of another of its groups, gets no second copy. */
static void test_one_message(void **state)
{
	struct fixture f;
	struct walk *w;

	(void)state;
	fixture_config(&f);
	fixture_open(&f);
	load(&f, table);
	w = begin(&f, 100);
	leave_out(&f, w, "Bob+news@contoso.com");
	leave_out(&f, w, "c1@contoso.com"); /* leads to ann */
	leave_out(&f, w, "all@contoso.com");
	leave_out(&f, w, "own@contoso.com");
	root(&f, w, "all@contoso.com", 0);
	root(&f, w, "own@contoso.com", 0);
	check(run(&f, w, 7) == WALK_DONE, "two groups");
	check_result(w, "x@far.example/1 y@far.example/1", "two groups");
	struct walk_result r = walk_result(w);
	check(r.rcpts[0].root == 0 && r.rcpts[1].root == 1, "which led there");
	check(r.duplicates == 5, "met again");
	check(r.reports[r.rcpts[0].report].to == REPORT_SENDER, "all says nothing");
	check(r.reports[r.rcpts[1].report].to == REPORT_OWNER, "own has an owner");
	check_str(r.reports[r.rcpts[1].report].owner, S("boss@contoso.com"), "owner");
	walk_free(&w);
	/* inside own, all says nothing, so its members are the owner's; sub speaks for itself */
	w = begin(&f, 100);
	root(&f, w, "own@contoso.com", 2);
	check(run(&f, w, 3) == WALK_DONE, "nested");
	check_result(w, "y@far.example/3 ann@contoso.com/3 x@far.example/3 bob@contoso.com/3", "nested");
	r = walk_result(w);
	check(r.reports[r.rcpts[1].report].to == REPORT_OWNER && r.reports[r.rcpts[3].report].to == REPORT_NONE,
	      "reports by the nearest group that has a say");
	walk_free(&w);
	fixture_close(&f);
}

/* Not more than asked for; and never two tables in one walk. */
static void test_limits(void **state)
{
	struct routing_view v;
	struct fixture f;
	struct walk *w;

	(void)state;
	fixture_config(&f);
	fixture_open(&f);
	load(&f, table);
	w = begin(&f, 2);
	root(&f, w, "all@contoso.com", 0);
	check(run(&f, w, 100) == WALK_TOO_MANY && walk_result(w).rcpt_n <= 2, "too many");
	walk_free(&w);
	w = begin(&f, 3);
	root(&f, w, "all@contoso.com", 0);
	check(run(&f, w, 100) == WALK_DONE, "just as many");
	walk_free(&w);
	w = begin(&f, 100);
	root(&f, w, "all@contoso.com", 0);
	check(fixture_add(&f, "new@contoso.com", NULL, LOC_LOCAL, NULL) == 0, "another table");
	check(routing_begin(f.r, &v, &f.e) == 0 && walk_step(w, &v, 100, &f.e) == WALK_CHANGED, "is told");
	routing_end(&v);
	walk_free(&w);
	fixture_close(&f);
}

/* Whom our token names has got the message before (R41). */
static void test_token(void **state)
{
	struct token_keys keys;
	struct token t = { 0 };
	struct rcpt_record rec;
	struct fixture f;
	struct walk *w;

	(void)state;
	fixture_config(&f);
	fixture_open(&f);
	load(&f, table);
	must(token_keys_parse(S("k1 000102030405060708090a0b0c0d0e0f"), &keys, NULL) == 0);
	check(routing_record_get(f.r, S("bob@contoso.com"), &f.arena, &rec, &f.e) == 0, "bob");
	struct token_rcpt who = token_rcpt_of(rec.rid, STR_NONE);
	check(token_add(&keys, &t, &who), "named");
	w = walk_new(&(struct walk_options){ .total = 10, .max_redirects = 3, .tokens = &t, .token_n = 1 });
	root(&f, w, "all@contoso.com", 0);
	check(run(&f, w, 100) == WALK_DONE, "token");
	check_result(w, "ann@contoso.com/1 x@far.example/1", "bob has it");
	check(walk_result(w).returned == 1, "counted");
	walk_free(&w);
	fixture_close(&f);
}

/* ---- random graphs ---- */

enum { NODES = 14, EDGES = 5, GRAPHS = 300 };
enum node_kind { MAILBOX, FORWARDING, CONTACT, GROUP, KIND_N };

struct graph {
	enum node_kind kind[NODES];
	int to[NODES][EDGES];
	int n[NODES];
};

static uint64_t seed = 20261127;

static int draw(int below)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (int)((seed >> 33) % (uint64_t)below);
}

static void make_graph(struct graph *g, struct buf *csv)
{
	static const char *const locs[] = { "local", "local", "redirect", "group" };

	buf_reset(csv);
	buf_add(csv, S("address,loc,redirect,keep_copy,expand_at,members\n"));
	for (int i = 0; i < NODES; i++) {
		g->kind[i] = i == 0 ? GROUP : (enum node_kind)draw(KIND_N);
		g->n[i] = g->kind[i] == MAILBOX ? 0 : g->kind[i] == GROUP ? draw(EDGES + 1) : 1;
		for (int j = 0; j < g->n[i]; j++)
			g->to[i][j] = draw(NODES);
		buf_addf(csv, "n%d@contoso.com,%s,", i, locs[g->kind[i]]);
		if (g->kind[i] == CONTACT || g->kind[i] == FORWARDING)
			buf_addf(csv, "n%d@contoso.com", g->to[i][0]);
		buf_addf(csv, ",%s,here,", g->kind[i] == FORWARDING ? "yes" : "no");
		for (int j = 0; g->kind[i] == GROUP && j < g->n[i]; j++)
			buf_addf(csv, "n%d@contoso.com;", g->to[i][j]);
		buf_addc(csv, '\n');
	}
}

static void reach(const struct graph *g, int at, bool seen[NODES])
{
	if (seen[at])
		return;
	seen[at] = true;
	for (int j = 0; j < g->n[at]; j++)
		reach(g, g->to[at][j], seen);
}

/* Circles of contacts alone that can be reached: each has one report. */
static int count_circles(const struct graph *g, const bool seen[NODES])
{
	int circles = 0;

	for (int i = 0; i < NODES; i++) {
		int at = i, least = i, steps = 0;
		do {
			if (g->kind[at] != CONTACT)
				break;
			at = g->to[at][0];
			least = at < least ? at : least;
		} while (at != i && ++steps <= NODES);
		circles += seen[i] && g->kind[i] == CONTACT && at == i && least == i;
	}
	return circles;
}

/* "n12@contoso.com" */
static int node_of(struct str address)
{
	uint64_t n = 0;
	struct str number, domain;

	str_cut(str_skip(address, 1), '@', &number, &domain);
	check(str_u64(number, NODES - 1, &n), "a node");
	return (int)n;
}

static void check_graph(struct fixture *f, const struct graph *g, int n)
{
	bool seen[NODES] = { false };
	int times[NODES] = { 0 }, reports = 0;
	struct walk *w = begin(f, 1000);
	char row[32];

	snprintf(row, sizeof row, "graph %d", n);
	root(f, w, "n0@contoso.com", 0);
	check(run(f, w, 1 + (size_t)draw(6)) == WALK_DONE, row);
	struct walk_result r = walk_result(w);
	for (size_t i = 0; i < r.rcpt_n; i++)
		times[node_of(r.rcpts[i].addr)]++;
	reach(g, 0, seen);
	for (int i = 0; i < NODES; i++) {
		bool final = g->kind[i] == MAILBOX || g->kind[i] == FORWARDING;
		if (final)
			check(times[i] == seen[i], row);
		check(g->kind[i] != GROUP || times[i] == 0, row);
		reports += g->kind[i] == CONTACT ? times[i] : 0;
	}
	check(reports == count_circles(g, seen), row);
	walk_free(&w);
}

static void test_random_graphs(void **state)
{
	struct fixture f;
	struct graph g;
	struct buf csv;

	(void)state;
	fixture_config(&f);
	f.config.loop.max_redirects = 20; /* longer than any chain here */
	fixture_open(&f);
	buf_init(&csv, 65536);
	for (int n = 0; n < GRAPHS; n++) {
		make_graph(&g, &csv);
		load(&f, buf_str(&csv));
		check_graph(&f, &g, n);
	}
	buf_fini(&csv);
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_roots), cmocka_unit_test(test_one_message),   cmocka_unit_test(test_limits),
		cmocka_unit_test(test_token), cmocka_unit_test(test_random_graphs),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
