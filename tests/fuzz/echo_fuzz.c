/* tests/fuzz/echo_fuzz.c: whatever stands in an address or a header, only tags that we made are echoes. */
#include "tests/fuzz/fuzz.h"
#include "connectors/echo.h"

#include <string.h>

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct conf_send send = { .name = STR_LIT("s"),
				  .echo_to = STR_LIT("p@r.example"),
				  .echo_from = STR_LIT("e@a.example"),
				  .echo_ms = 600000 };
	const struct config c = { .sends = &send, .send_n = 1 };
	struct str in = str_n(data, n), name, value, tag;
	struct echo_nonce nonce;
	struct echo_seen seen = { 0 };
	struct token_keys keys;
	struct addr a;

	must(token_keys_parse(S("k1 000102030405060708090a0b0c0d0e0f"), &keys, NULL) == 0);
	must(!echo_verify(&keys, &c, in, 1795300000000, &nonce)); /* nobody knows the key */
	if (addr_parse(in, &(struct addr_rules){ .smtputf8 = true, .relaxed = true }, &a) == ADDR_OK &&
	    echo_address(&c, &a, &tag) == ECHO_TAGGED)
		must(!echo_verify(&keys, &c, tag, 1795300000000, &nonce));
	str_cut(in, ':', &name, &value);
	echo_take(&seen, &(struct header_field){ .name = name, .value = value, .raw = in });
	must(seen.tag_n <= ECHO_TAGS_MAX && memchr(seen.filtered, '\0', sizeof seen.filtered) != NULL);
	for (const char *p = seen.filtered; *p != '\0'; p++)
		must(*p >= ' ' && *p <= '~');
	for (unsigned i = 0; i < seen.tag_n; i++)
		must(!echo_verify(&keys, &c, str_n(seen.tags[i], ECHO_TAG), 1795300000000, &nonce));
	return 0;
}
