/* tests/fuzz/srs_fuzz.c: whatever address somebody writes to, only what we made is undone; what we make of any sender
 * is an address again and leads back to it. */
#include "routing/srs.h"
#include "tests/fuzz/fuzz.h"

enum { NOW_DAYS = 20779 };

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const struct addr_rules rules = { .smtputf8 = true, .relaxed = true };
	const int64_t now = (int64_t)NOW_DAYS * 86400000;
	const struct str ours = S("srs.contoso.com");
	struct token_keys keys;
	struct addr a, made;
	struct buf there, back;

	if (addr_parse(str_n(data, n), &rules, &a) != ADDR_OK || a.literal || a.domain.n == 0)
		return 0;
	must(token_keys_parse(S("k1 000102030405060708090a0b0c0d0e0f"), &keys, NULL) == 0);
	buf_init(&there, 2048);
	buf_init(&back, 2048);
	/* nobody knows the key */
	must(srs_reverse(&keys, &a, ours, now, &back) != SRS_OK && back.n == 0);
	if (srs_forward(&keys, &a, ours, now, &there) == SRS_OK) {
		must(there.n <= SRS_PATH_MAX && addr_is_clean(buf_str(&there)));
		must(addr_parse(buf_str(&there), &rules, &made) == ADDR_OK && srs_is(&made));
		must(srs_reverse(&keys, &made, ours, now, &back) == SRS_OK);
		must(srs_is(&a) || str_eq(buf_str(&back), a.whole));
	}
	buf_fini(&there);
	buf_fini(&back);
	return 0;
}
