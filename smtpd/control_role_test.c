/* Tests of smtpd/control_role: the table of who may what.  Real users with real groups: tests/roles.sh. */
#include "smtpd/control_role.h"

#include "base/must.h"
#include "tests/unit.h"

#include <grp.h>
#include <sys/socket.h>
#include <unistd.h>

enum { VIEWERS = 70001, OPERATORS = 70002, OTHERS = 70003, OWN = 900, SOMEBODY = 1000 };
#define UNSET ((gid_t)-1)

static void test_table(void **state)
{
	static const struct {
		const char *what;
		gid_t viewers, operators;
		uid_t uid;
		gid_t groups[2];
		enum control_role role;
	} rows[] = {
		{ "root", UNSET, UNSET, 0, { 0, 0 }, ROLE_OPERATOR },
		{ "own user", VIEWERS, OPERATORS, OWN, { OTHERS, OTHERS }, ROLE_OPERATOR },
		{ "no groups set: let in is a viewer", UNSET, UNSET, SOMEBODY, { OTHERS, OTHERS }, ROLE_VIEWER },
		{ "operator", VIEWERS, OPERATORS, SOMEBODY, { OTHERS, OPERATORS }, ROLE_OPERATOR },
		{ "operator by its own group", VIEWERS, OPERATORS, SOMEBODY, { OPERATORS, OTHERS }, ROLE_OPERATOR },
		{ "operator and viewer", VIEWERS, OPERATORS, SOMEBODY, { VIEWERS, OPERATORS }, ROLE_OPERATOR },
		{ "viewer", VIEWERS, OPERATORS, SOMEBODY, { OTHERS, VIEWERS }, ROLE_VIEWER },
		{ "neither", VIEWERS, OPERATORS, SOMEBODY, { OTHERS, OTHERS }, ROLE_NONE },
		{ "operators only: others nothing", UNSET, OPERATORS, SOMEBODY, { VIEWERS, OTHERS }, ROLE_NONE },
		{ "viewers only: no operator", VIEWERS, UNSET, SOMEBODY, { VIEWERS, OPERATORS }, ROLE_VIEWER },
		{ "not set is no group", VIEWERS, UNSET, SOMEBODY, { UNSET, UNSET }, ROLE_NONE },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct control_roles r = { rows[i].viewers != UNSET || rows[i].operators != UNSET,
						 rows[i].viewers, rows[i].operators };
		const struct control_peer p = { rows[i].uid, rows[i].groups, 2 };
		check(control_role_judge(&r, &p, OWN) == rows[i].role, rows[i].what);
	}
}

static void test_find(void **state)
{
	struct control_roles r;
	struct err e;

	(void)state;
	assert_int_equal(control_roles_find(&r, STR_NONE, STR_NONE, &e), 0);
	assert_true(!r.by_group && r.viewers == UNSET && r.operators == UNSET);
	assert_int_equal(control_roles_mode(&r), 0660);
	assert_int_equal(control_roles_find(&r, S("nogroup"), S("daemon"), &e), 0);
	assert_true(r.by_group && r.viewers == getgrnam("nogroup")->gr_gid);
	assert_int_equal(control_roles_mode(&r), 0666);
	assert_int_equal(control_roles_find(&r, STR_NONE, S("no-such-group"), &e), -1);
	assert_string_equal(e.text, "control_operators: there is no group no-such-group");
}

static void test_kernel(void **state)
{
	const struct control_roles r = { true, VIEWERS, OPERATORS };
	uid_t uid;
	int fds[2];

	(void)state;
	must(socketpair(AF_UNIX, SOCK_STREAM, 0, fds) == 0);
	assert_int_equal(control_role_of(&r, fds[0], &uid), ROLE_OPERATOR); /* our own user */
	assert_int_equal(uid, getuid());
	close(fds[0]);
	close(fds[1]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_table),
		cmocka_unit_test(test_find),
		cmocka_unit_test(test_kernel),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
