/* queue/id_test.c: message ids as text. */
#include "queue/queue.h"
#include "tests/unit.h"

static const struct {
	uint64_t id;
	struct str text;
} ids[] = {
	{ 0, STR_LIT("0000000000000") },  { 1, STR_LIT("0000000000001") },          { 31, STR_LIT("000000000000Z") },
	{ 32, STR_LIT("0000000000010") }, { UINT64_MAX, STR_LIT("FZZZZZZZZZZZZ") },
};

static void test_both_ways(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(ids); i++) {
		struct buf b;
		uint64_t back = 42;
		buf_init(&b, 64);
		queue_put_id(&b, ids[i].id);
		check_str(buf_str(&b), ids[i].text, ids[i].text.p);
		check(queue_parse_id(ids[i].text, &back) && back == ids[i].id, ids[i].text.p);
		buf_fini(&b);
	}
}

static void test_lower_case(void **state)
{
	uint64_t upper, lower;

	(void)state;
	assert_true(queue_parse_id(S("3KQ8ZC1T7XW4A"), &upper));
	assert_true(queue_parse_id(S("3kq8zc1t7xw4a"), &lower));
	assert_true(upper == lower);
}

static void test_refused(void **state)
{
	static const struct str bad[] = { STR_LIT(""),
					  STR_LIT("3KQ8ZC1T7XW4"),
					  STR_LIT("3KQ8ZC1T7XW4AA"),
					  STR_LIT("G000000000000"),
					  STR_LIT("000000000000U"),
					  STR_LIT("00000/0000000") };
	uint64_t id;

	(void)state;
	for (size_t i = 0; i < COUNT(bad); i++)
		check(!queue_parse_id(bad[i], &id), bad[i].p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_ways),
		cmocka_unit_test(test_lower_case),
		cmocka_unit_test(test_refused),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
