/* wire/netstring_test.c: netstrings and socketmap requests. */
#include "wire/netstring.h"
#include "tests/unit.h"

enum { MAX = 100 };

static const struct {
	const char *row;
	struct str in;
	ssize_t used;
	struct str value;
} rows[] = {
	{ "plain", STR_LIT("5:hello,"), 8, STR_LIT("hello") },
	{ "more behind it", STR_LIT("5:hello,3:you,"), 8, STR_LIT("hello") },
	{ "empty", STR_LIT("0:,"), 3, STR_LIT("") },
	{ "any bytes", STR_LIT("6:\0,:\r\n\xff,"), 9, STR_LIT("\0,:\r\n\xff") },
	{ "nothing", STR_LIT(""), NETSTRING_MORE, STR_LIT("") },
	{ "half a length", STR_LIT("5"), NETSTRING_MORE, STR_LIT("") },
	{ "no value yet", STR_LIT("5:"), NETSTRING_MORE, STR_LIT("") },
	{ "no comma yet", STR_LIT("5:hello"), NETSTRING_MORE, STR_LIT("") },
	{ "no comma", STR_LIT("5:hello;"), NETSTRING_BAD, STR_LIT("") },
	{ "too short for its length", STR_LIT("5:hell,x"), NETSTRING_BAD, STR_LIT("") },
	{ "the most", STR_LIT("100:"), NETSTRING_MORE, STR_LIT("") },
	{ "one more than the most", STR_LIT("101:"), NETSTRING_BAD, STR_LIT("") },
	{ "leading zero", STR_LIT("05:hello,"), NETSTRING_BAD, STR_LIT("") },
	{ "two zeros", STR_LIT("00:,"), NETSTRING_BAD, STR_LIT("") },
	{ "no digit", STR_LIT(":,"), NETSTRING_BAD, STR_LIT("") },
	{ "a sign", STR_LIT("+5:hello,"), NETSTRING_BAD, STR_LIT("") },
	{ "a blank", STR_LIT("5 :hello,"), NETSTRING_BAD, STR_LIT("") },
	{ "a length of many digits", STR_LIT("18446744073709551621:hello,"), NETSTRING_BAD, STR_LIT("") },
	{ "ten digits that do not end", STR_LIT("1111111111"), NETSTRING_BAD, STR_LIT("") },
	{ "HTTP", STR_LIT("GET / HTTP/1.1\r\n"), NETSTRING_BAD, STR_LIT("") },
};

static void test_next(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct str value = STR_NONE;
		check(netstring_next(rows[i].in, MAX, &value) == rows[i].used, rows[i].row);
		check_str(value, rows[i].value, rows[i].row);
	}
}

/* However it arrives: nothing is judged differently for having come in pieces. */
static void test_pieces(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		for (size_t n = 0; n < rows[i].in.n; n++) {
			struct str value = STR_NONE;
			ssize_t used = netstring_next(str_head(rows[i].in, n), MAX, &value);
			check(used == NETSTRING_MORE || used == rows[i].used, rows[i].row);
		}
}

static void test_put(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 12);
	assert_true(netstring_put(&b, S("hello")));
	assert_false(netstring_put(&b, S("you")));
	check_str(buf_str(&b), S("5:hello,"), "what does not fit leaves nothing");
	buf_fini(&b);
}

static void test_request(void **state)
{
	struct str map, key;

	(void)state;
	assert_true(socketmap_request(S("transport anna@contoso.com"), &map, &key));
	check_str(map, S("transport"), "map");
	check_str(key, S("anna@contoso.com"), "key");
	assert_true(socketmap_request(S("virtual \"a b\"@x"), &map, &key));
	check_str(key, S("\"a b\"@x"), "a key with a blank");
	assert_true(socketmap_request(S("virtual "), &map, &key));
	check_str(key, S(""), "no key");
	assert_false(socketmap_request(S("virtual"), &map, &key));
	assert_false(socketmap_request(S(" anna"), &map, &key));
	assert_false(socketmap_request(S(""), &map, &key));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_next),
		cmocka_unit_test(test_pieces),
		cmocka_unit_test(test_put),
		cmocka_unit_test(test_request),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
