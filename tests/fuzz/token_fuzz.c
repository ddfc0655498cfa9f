/* tests/fuzz/token_fuzz.c: whatever stands in X-Tombolo-Route, only what we signed is believed; what is read was
 * written by the rules. */
#include "tests/fuzz/fuzz.h"
#include "routing/token.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str in = str_n(data, n);
	unsigned char m[TOKEN_SHORT];
	struct token_keys keys, parsed;
	struct token t, again = { .premises = SITE_CLOUD };
	struct token_rcpt r = token_rcpt_of(NULL, in);
	struct buf b;

	must(token_keys_parse(S("k1 000102030405060708090a0b0c0d0e0f"), &keys, NULL) == 0);
	if (token_keys_parse(in, &parsed, NULL) == 0)
		must(parsed.n <= TOKEN_KEYS_MAX);
	/* nobody knows the key */
	token_bind(&(struct token_message){ .message_id = in }, m);
	must(token_verify(&keys, in, m, 0, &t) != TOKEN_VALID);
	/* what is made about anything is valid for that, and for that only */
	token_bind(&(struct token_message){ .from = in }, again.message);
	must(token_add(&keys, &again, &r));
	buf_init(&b, TOKEN_TEXT_MAX);
	must(token_put(&keys, &again, &b));
	struct str value = str_skip(buf_str(&b), sizeof "X-Tombolo-Route:" - 1);
	must(token_verify(&keys, value, again.message, 0, &t) == TOKEN_VALID && token_names(&t, &r));
	must(token_verify_bypass(&keys, value, again.message, 0, &t) == TOKEN_MALFORMED);
	again.message[0] ^= 1;
	must(token_verify(&keys, value, again.message, 0, &t) == TOKEN_OTHER_MESSAGE);
	/* the other kind is not taken for it */
	must(token_verify_bypass(&keys, in, m, 0, &t) != TOKEN_VALID);
	again.bypass = true;
	buf_reset(&b);
	must(token_put(&keys, &again, &b));
	value = str_skip(buf_str(&b), sizeof "X-Tombolo-Bypass:" - 1);
	must(token_verify_bypass(&keys, value, again.message, 0, &t) == TOKEN_VALID && t.bypass);
	must(token_verify(&keys, value, again.message, 0, &t) == TOKEN_MALFORMED);
	buf_fini(&b);
	return 0;
}
