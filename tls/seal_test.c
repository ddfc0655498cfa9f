/* tls/seal_test.c: what is sealed opens under the same key, counter and context, and under nothing else. */
#include "tests/unit.h"
#include "tls/seal.h"

static const unsigned char salt[SEAL_SALT] = { 1, 2, 3 };

static void test_round_trip(void **state)
{
	static const struct str plains[] = { STR_LIT(""), STR_LIT("x"), STR_LIT("Subject: t\r\n\r\nhello, world\r\n") };
	struct seal *s = seal_derive(S("0123456789abcdef"), S("test"), salt);
	struct seal *same = seal_derive(S("0123456789abcdef"), S("test"), salt);
	struct seal *other = seal_derive(S("0123456789abcdeg"), S("test"), salt);
	struct buf sealed, plain;

	(void)state;
	buf_init(&sealed, 4096);
	buf_init(&plain, 4096);
	for (size_t i = 0; i < COUNT(plains); i++) {
		buf_reset(&sealed);
		buf_reset(&plain);
		assert_true(seal_put(s, 7, S("head"), plains[i], &sealed));
		assert_int_equal(sealed.n, plains[i].n + SEAL_TAG);
		assert_true(seal_take(same, 7, S("head"), buf_str(&sealed), &plain));
		check_str(buf_str(&plain), plains[i], "plain");
		assert_false(seal_take(other, 7, S("head"), buf_str(&sealed), &plain));
		assert_false(seal_take(same, 8, S("head"), buf_str(&sealed), &plain));
		assert_false(seal_take(same, 7, S("hear"), buf_str(&sealed), &plain));
		for (size_t n = 0; n < sealed.n; n++) {
			assert_false(seal_take(same, 7, S("head"), str_n(sealed.p, n), &plain));
			sealed.p[n] = (char)(sealed.p[n] ^ 1);
			assert_false(seal_take(same, 7, S("head"), buf_str(&sealed), &plain));
			sealed.p[n] = (char)(sealed.p[n] ^ 1);
		}
		assert_int_equal(plain.n, plains[i].n);
	}
	seal_free(&s);
	seal_free(&same);
	seal_free(&other);
	seal_free(&other);
	buf_fini(&sealed);
	buf_fini(&plain);
}

/* Equal bytes do not look equal. */
static void test_counters_differ(void **state)
{
	struct seal *s = seal_derive(S("0123456789abcdef"), S("test"), salt);
	struct buf a, b;

	(void)state;
	buf_init(&a, 100);
	buf_init(&b, 100);
	assert_true(seal_put(s, 1, S(""), S("same bytes"), &a) && seal_put(s, 2, S(""), S("same bytes"), &b));
	assert_false(str_eq(buf_str(&a), buf_str(&b)));
	assert_false(seal_put(s, 3, S(""), (struct str){ a.p, a.n }, &(struct buf){ .max = 10 })); /* no room */
	seal_free(&s);
	buf_fini(&a);
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_round_trip), cmocka_unit_test(test_counters_differ) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
