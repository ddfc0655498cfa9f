/* connectors/bounce_test.c: who is told what (RFC 3461 4.1). */
#include "connectors/bounce.h"

#include "tests/unit.h"

static void test_wanted(void **state)
{
	static const struct {
		const char *name, *from;
		unsigned notify;
		bool failed, delayed, relayed;
	} rows[] = {
		{ "nothing said", "s@x.example", 0, true, true, false },
		{ "NEVER", "s@x.example", ENV_NOTIFY_NEVER, false, false, false },
		{ "SUCCESS only", "s@x.example", ENV_NOTIFY_SUCCESS, false, false, true },
		{ "FAILURE only", "s@x.example", ENV_NOTIFY_FAILURE, true, false, false },
		{ "DELAY only", "s@x.example", ENV_NOTIFY_DELAY, false, true, false },
		{ "all", "s@x.example", ENV_NOTIFY_SUCCESS | ENV_NOTIFY_FAILURE | ENV_NOTIFY_DELAY, true, true, true },
		{ "null sender", "", 0, false, false, false },
		{ "null sender that asks", "", ENV_NOTIFY_FAILURE | ENV_NOTIFY_SUCCESS, false, false, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		const struct envelope env = { .from = str_c(rows[i].from) };
		check(bounce_is_wanted(&env, rows[i].notify, DSN_FAILED) == rows[i].failed, rows[i].name);
		check(bounce_is_wanted(&env, rows[i].notify, DSN_DELAYED) == rows[i].delayed, rows[i].name);
		check(bounce_is_wanted(&env, rows[i].notify, DSN_RELAYED) == rows[i].relayed, rows[i].name);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_wanted) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
