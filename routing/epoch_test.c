/* routing/epoch_test.c: the mode and the switch in one store: steps, history, policy, and kill -9 between any two
 * instructions. */
#include "routing/table_test.h"

#include "base/time.h"

#include <signal.h>
#include <sys/wait.h>

static struct mode_switch ask(struct routing *r, enum switch_order order, const struct switch_check *checks, size_t n)
{
	const struct switch_ask a = { .order = order, .checks = checks, .check_n = n, .who = S("tester") };
	struct mode_switch sw;
	struct err e = { 0 };
	bool moved;

	if (routing_switch_ask(r, &a, &sw, &moved, &e) != 0)
		fail_msg("%s", e.text);
	return sw;
}

static bool refused(struct routing *r, enum switch_order order)
{
	const struct switch_ask a = { .order = order, .who = S("tester") };
	struct mode_switch sw;
	struct err e = { 0 };
	bool moved;

	return routing_switch_ask(r, &a, &sw, &moved, &e) != 0 && e.code == ERR_BUSY;
}

static void open_fixture(struct fixture *f)
{
	fixture_config(f);
	f->config.mode = (struct conf_mode){ .grace_ms = 3600000, .lock_defer_ms = 3600000, .threshold = 1 };
	fixture_open(f);
}

static void test_steps(void **state)
{
	const struct switch_check bad = { .name = "spf", .result = CHECK_FAIL },
				  waived = { .name = "spf", .result = CHECK_WAIVED };
	struct mode_switch sw;
	struct switch_move move;
	struct mode m;
	struct fixture f;
	bool changed;

	(void)state;
	open_fixture(&f);
	check(routing_switch_get(f.r, &sw, &move, &f.e) == 0 && sw.state == SWITCH_NONE, "none");
	check(refused(f.r, SWITCH_CHECK) && refused(f.r, SWITCH_ROLLBACK), "nothing planned");
	check(routing_switch_plan(f.r, SIDE_ONPREM, false, S("t"), &sw, &f.e) == -1 && f.e.code == ERR_SYNTAX, "same");
	check(routing_switch_plan(f.r, SIDE_CLOUD, true, S("t"), &sw, &f.e) == 0 && sw.state == SWITCH_PLANNED, "plan");
	ask(f.r, SWITCH_CHECK, NULL, 0);
	sw = ask(f.r, SWITCH_GO, &bad, 1);
	check(sw.state == SWITCH_FAILED && sw.check_n == 1, "failed");
	check(routing_mode_get(f.r, &m, &f.e) == 0 && m.epoch == 1 && m.mx == SIDE_ONPREM, "the mode stays");
	ask(f.r, SWITCH_CHECK, NULL, 0);
	sw = ask(f.r, SWITCH_GO, &waived, 1);
	check(sw.state == SWITCH_DUAL && sw.epoch == 2, "dual");
	check(routing_mode_get(f.r, &m, &f.e) == 0 && m.epoch == 2 && m.mx == SIDE_CLOUD && m.cmt, "the mode follows");
	check(refused(f.r, SWITCH_CHECK), "one at a time");
	check(routing_switch_plan(f.r, SIDE_ONPREM, true, S("t"), &sw, &f.e) == -1 && f.e.code == ERR_BUSY, "no plan");

	ask(f.r, SWITCH_WAIT, NULL, 0); /* ttl_max and quiet are 0 */
	sw = ask(f.r, SWITCH_WAIT, NULL, 0);
	check(sw.state == SWITCH_LOCKED, "locked");
	check(routing_mode_get(f.r, &m, &f.e) == 0 && m.epoch == 2 && m.locked_ms > 0, "with the mode");
	routing_close(&f.r);
	fixture_open(&f);
	check(routing_switch_get(f.r, &sw, &move, &f.e) == 0 && sw.state == SWITCH_LOCKED, "after a restart");
	check(sw.check_n == 1 && sw.checks[0].result == CHECK_WAIVED, "with its checks");
	check(move.next_ms == sw.entered_ms + 3600000, "until then");

	sw = ask(f.r, SWITCH_ROLLBACK, NULL, 0);
	check(sw.state == SWITCH_PLANNED, "back");
	check(routing_mode_get(f.r, &m, &f.e) == 0 && m.epoch == 3 && m.mx == SIDE_ONPREM && !m.cmt && m.locked_ms == 0,
	      "the mode before, open");
	ask(f.r, SWITCH_CHECK, NULL, 0);
	ask(f.r, SWITCH_GO, NULL, 0);
	check(routing_mode_set(f.r, SIDE_ONPREM, true, S("hand"), &m, &changed, &f.e) == 0 && changed, "by hand");
	check(routing_switch_get(f.r, &sw, &move, &f.e) == 0 && sw.state == SWITCH_FAILED, "overtaken");
	fixture_close(&f);
}

static void test_history(void **state)
{
	struct mode_change all[MODE_HISTORY];
	struct fixture f;
	struct mode m;
	bool changed;

	(void)state;
	open_fixture(&f);
	for (int i = 1; i < MODE_HISTORY + 10; i++)
		check(routing_mode_set(f.r, i % 2 ? SIDE_CLOUD : SIDE_ONPREM, false, S("somebody"), &m, &changed,
				       &f.e) == 0,
		      "set");
	check(routing_mode_history(f.r, all, 3, &f.e) == 3, "the newest");
	check(all[2].mode.epoch == MODE_HISTORY + 10 && all[2].mode.mx == m.mx && strcmp(all[2].who, "somebody") == 0,
	      "row");
	check(routing_mode_history(f.r, all, MODE_HISTORY, &f.e) == MODE_HISTORY && all[0].mode.epoch == 11, "bounded");
	fixture_close(&f);
}

/* A table from before there were locks: the state record is shorter. */
static void test_old_format(void **state)
{
	static const unsigned char old[35] = { 1, 1, 1, [10] = 9, [26] = 5 };
	struct store_txn *t;
	struct fixture f;
	struct mode m;

	(void)state;
	open_fixture(&f);
	t = store_write(f.r->store, &f.e);
	store_put(t, f.r->meta, S("state"), str_n(old, sizeof old));
	check(store_commit(&t, &f.e) == 0, "written");
	check(routing_mode_get(f.r, &m, &f.e) == 0 && m.mx == SIDE_CLOUD && m.cmt && m.epoch == 9 && m.locked_ms == 0,
	      "read");
	fixture_close(&f);
}

/* ---- the policy in the snapshot of a decision ---- */

static const struct verdict *decide(struct fixture *f, const char *client, const struct mode *mode, struct route *rt)
{
	struct routing_view v;
	struct net_addr a;
	struct addr rcpt;
	struct route_query q = { .rcpt = &rcpt, .origin = ENV_INTERNET, .client = &a, .mode = mode };

	must(net_parse_ip(str_c(client), 25, &a));
	must(addr_parse(S("ann@contoso.com"), &(struct addr_rules){ 0 }, &rcpt) == ADDR_OK);
	check(routing_begin(f->r, &v, &f->e) == 0, "begin");
	check(routing_route(&v, &q, &f->arena, rt, NULL, &f->e), "route");
	routing_end(&v);
	return &rt->verdict;
}

static void test_lock_in_decisions(void **state)
{
	struct net_cidr allowed;
	struct mode_switch sw;
	struct route rt;
	struct fixture f;
	struct mode m;

	(void)state;
	check(net_parse_cidr(S("192.0.2.0/28"), &allowed), "range");
	fixture_config(&f);
	f.config.mode = (struct conf_mode){
		.grace_ms = 3600000, .lock_defer_ms = 3600000, .threshold = 1, .allow_ranges = &allowed, .allow_n = 1
	};
	fixture_open(&f);
	check(fixture_add(&f, "ann@contoso.com", NULL, LOC_LOCAL, NULL) == 0, "ann");
	check(routing_switch_plan(f.r, SIDE_CLOUD, false, S("t"), &sw, &f.e) == 0, "plan");
	ask(f.r, SWITCH_CHECK, NULL, 0);
	ask(f.r, SWITCH_GO, NULL, 0);
	check(decide(&f, "198.51.100.1", NULL, &rt)->straggler, "tagged while both are open");
	ask(f.r, SWITCH_WAIT, NULL, 0);
	check(ask(f.r, SWITCH_WAIT, NULL, 0).state == SWITCH_LOCKED, "locked");
	check(decide(&f, "198.51.100.1", NULL, &rt)->action == ROUTE_DEFER, "deferred inside of the grace");
	check(decide(&f, "192.0.2.9", NULL, &rt)->action == ROUTE_DELIVER && rt.verdict.straggler, "allowed");
	check(routing_mode_get(f.r, &m, &f.e) == 0, "mode");
	m.locked_ms -= 3600000;
	check(decide(&f, "198.51.100.1", &m, &rt)->action == ROUTE_REJECT, "then rejected");
	m.mx = SIDE_ONPREM;
	check(decide(&f, "198.51.100.1", &m, &rt)->action == ROUTE_DELIVER, "what if the MX were here");
	fixture_close(&f);
}

/* ---- kill -9 ---- */

/* Round and round, until it is killed.  The first round is told: on a busy machine a child may begin late. */
static void spin(struct fixture *f, int told)
{
	struct mode_switch sw;

	for (bool first = true;; first = false) {
		if (!first && told >= 0) {
			must(write(told, "", 1) == 1);
			close(told);
			told = -1;
		}
		routing_switch_plan(f->r, SIDE_CLOUD, true, S("t"), &sw, &f->e);
		ask(f->r, SWITCH_CHECK, NULL, 0);
		ask(f->r, SWITCH_GO, NULL, 0);
		ask(f->r, SWITCH_WAIT, NULL, 0);
		ask(f->r, SWITCH_WAIT, NULL, 0);
		ask(f->r, SWITCH_ROLLBACK, NULL, 0);
	}
}

/* Wholly old or wholly new: what the switch says and what the mode is belong together. */
static void check_whole(struct fixture *f)
{
	struct mode_change last;
	struct mode_switch sw;
	struct switch_move move;
	struct mode m;

	check(routing_switch_get(f->r, &sw, &move, &f->e) == 0 && routing_mode_get(f->r, &m, &f->e) == 0, "read");
	bool on = switch_is_under_way(sw.state);
	check(m.mx == (on ? SIDE_CLOUD : SIDE_ONPREM) && m.cmt == on, "the mode is the switch's");
	check(!on || sw.epoch == m.epoch, "the epoch too");
	check((m.locked_ms != 0) == (sw.state == SWITCH_LOCKED), "and the lock");
	check(routing_mode_history(f->r, &last, 1, &f->e) == 1 && last.mode.epoch == m.epoch && last.mode.mx == m.mx &&
		      last.mode.locked_ms == m.locked_ms,
	      "and the history");
	if (on)
		ask(f->r, SWITCH_ROLLBACK, NULL, 0);
}

static void test_killed(void **state)
{
	struct fixture f;
	uint64_t epochs = 0;

	(void)state;
	open_fixture(&f);
	for (int i = 0; i < 25; i++) {
		int pipes[2];
		char byte;
		routing_close(&f.r);
		must(pipe(pipes) == 0);
		pid_t pid = fork();
		if (pid == 0) {
			f.r = routing_open(&f.config, &f.e);
			if (f.r != NULL)
				spin(&f, pipes[1]);
			_exit(1);
		}
		close(pipes[1]);
		must(pid > 0 && read(pipes[0], &byte, 1) == 1);
		close(pipes[0]);
		usleep((useconds_t)(3000 + i * 2347 % 20000));
		must(kill(pid, SIGKILL) == 0 && waitpid(pid, NULL, 0) == pid);
		fixture_open(&f);
		check_whole(&f);
		struct mode m;
		check(routing_mode_get(f.r, &m, &f.e) == 0 && m.epoch >= epochs, "epochs rise");
		epochs = m.epoch;
	}
	check(epochs > 25, "the child did something");
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_steps),      cmocka_unit_test(test_history),
		cmocka_unit_test(test_old_format), cmocka_unit_test(test_lock_in_decisions),
		cmocka_unit_test(test_killed),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
