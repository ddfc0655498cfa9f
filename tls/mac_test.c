/* tls/mac_test.c: published test values (RFC 4231 case 2; FIPS 180-4 "abc"). */
#include "tests/unit.h"
#include "tls/mac.h"

static void check_hex(const unsigned char *got, const char *want)
{
	char hex[2 * MAC_SIZE + 1];

	for (int i = 0; i < MAC_SIZE; i++)
		snprintf(hex + 2 * i, 3, "%02x", got[i]);
	assert_string_equal(hex, want);
}

static void test_values(void **state)
{
	unsigned char out[MAC_SIZE];

	(void)state;
	mac_sha256(S("abc"), out);
	check_hex(out, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	mac_sha256(STR_NONE, out);
	check_hex(out, "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
	struct mac_sum *sum = mac_sum_new();
	mac_sum_add(sum, S("a"));
	mac_sum_add(sum, STR_NONE);
	mac_sum_add(sum, S("bc"));
	mac_sum_end(&sum, out);
	check_hex(out, "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
	mac_sum_end(&sum, out); /* harmless on NULL */
	mac_hmac(S("Jefe"), S("what do ya want for nothing?"), out);
	check_hex(out, "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843");
	assert_true(mac_equal("ab", "ab", 2) && !mac_equal("ab", "ac", 2));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_values) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
