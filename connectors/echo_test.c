/* Tests of connectors/echo.c: tags made, turned over, grown old; found in headers; what an echo proves. */
#include "connectors/echo.h"

#include "tests/unit.h"

#include <string.h>

enum { EVERY_MS = 600 * 1000 };
static const int64_t now_ms = 1795300000500;

static struct conf_send sends[] = { { .name = STR_LIT("plain") },
				    { .name = STR_LIT("to-cloud"),
				      .echo_to = STR_LIT("probe@r.example"),
				      .echo_from = STR_LIT("tombolo-echo@a.example"),
				      .echo_ms = EVERY_MS },
				    { .name = STR_LIT("other"),
				      .echo_to = STR_LIT("probe@s.example"),
				      .echo_from = STR_LIT("tombolo-echo@a.example"),
				      .echo_ms = EVERY_MS } };
static const struct config config = { .sends = sends, .send_n = 3 };

static struct token_keys keys_of(const char *text)
{
	struct token_keys k;
	struct err e;

	assert_int_equal(token_keys_parse(str_c(text), &k, &e), 0);
	return k;
}

#define K1 "k1 000102030405060708090a0b0c0d0e0f\n"
#define K2 "k2 0f0e0d0c0b0a09080706050403020100\n"

static enum echo_address is(const char *address, struct str *tag)
{
	struct addr a;

	assert_int_equal(addr_parse(str_c(address), &(struct addr_rules){ 0 }, &a), ADDR_OK);
	return echo_address(&config, &a, tag);
}

static void test_tag(void **state)
{
	struct token_keys one = keys_of(K1), both = keys_of(K2 K1), other = keys_of(K2);
	struct echo_nonce n;
	struct str tag;
	char again[ECHO_TAG];
	struct buf b;

	(void)state;
	buf_init(&b, 200);
	assert_true(echo_put_address(&one, &sends[1], now_ms, &b));
	assert_int_equal(is(buf_cstr(&b), &tag), ECHO_TAGGED);
	assert_int_equal(tag.n, ECHO_TAG);
	assert_true(echo_verify(&one, &config, tag, now_ms, &n));
	assert_ptr_equal(n.send, &sends[1]);
	assert_int_equal(n.unix_s, now_ms / 1000);
	assert_true(echo_verify(&both, &config, tag, now_ms, &n)); /* keys rotate */
	assert_false(echo_verify(&other, &config, tag, now_ms, &n));
	/* a period long, and not before it was made */
	assert_true(echo_verify(&one, &config, tag, now_ms + EVERY_MS - 500, &n));
	assert_false(echo_verify(&one, &config, tag, now_ms + EVERY_MS, &n));
	assert_false(echo_verify(&one, &config, tag, now_ms - 2000, &n));
	/* every digit counts, its case does not */
	for (size_t i = 0; i < ECHO_TAG; i++) {
		memcpy(again, tag.p, ECHO_TAG);
		again[i] = again[i] == '0' ? '1' : '0';
		assert_false(echo_verify(&one, &config, str_n(again, ECHO_TAG), now_ms, &n));
		memcpy(again, tag.p, ECHO_TAG);
		for (size_t k = 0; k < ECHO_TAG; k++)
			again[k] = again[k] >= 'a' ? (char)(again[k] - 'a' + 'A') : again[k];
		assert_true(echo_verify(&one, &config, str_n(again, ECHO_TAG), now_ms, &n));
		assert_false(echo_verify(&one, &config, str_head(tag, i), now_ms, &n));
	}
	/* each connector has its own, and one that sends none knows none */
	buf_reset(&b);
	assert_true(echo_put_address(&one, &sends[2], now_ms, &b));
	assert_int_equal(is(buf_cstr(&b), &tag), ECHO_TAGGED);
	assert_true(echo_verify(&one, &config, tag, now_ms, &n));
	assert_ptr_equal(n.send, &sends[2]);
	const struct config silent = { .sends = sends, .send_n = 1 };
	assert_false(echo_verify(&one, &silent, tag, now_ms, &n));
	buf_fini(&b);
	buf_init(&b, 30);
	assert_false(echo_put_address(&one, &sends[1], now_ms, &b));
	buf_fini(&b);
}

static void test_address(void **state)
{
	static const struct {
		const char *address;
		enum echo_address is;
		struct str tag;
	} rows[] = {
		{ "tombolo-echo@a.example", ECHO_PLAIN, STR_LIT("") },
		{ "Tombolo-Echo@A.Example", ECHO_PLAIN, STR_LIT("") },
		{ "tombolo-echo+x@a.example", ECHO_TAGGED, STR_LIT("x") },
		{ "tombolo-echo+@a.example", ECHO_TAGGED, STR_LIT("") },
		{ "tombolo-echo@b.example", ECHO_NOT, STR_LIT("") },
		{ "tombolo-echoes@a.example", ECHO_NOT, STR_LIT("") },
		{ "tombolo@a.example", ECHO_NOT, STR_LIT("") },
		{ "probe@r.example", ECHO_NOT, STR_LIT("") },
	};
	struct str tag;

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		check(is(rows[i].address, &tag) == rows[i].is, rows[i].address);
		check_str(tag, rows[i].tag, rows[i].address);
	}
}

#define TAG  "0123456789abcdef0123456789ABCDEF01234567"
#define TAG2 "fedcba98765432100123456789abcdef01234567"

static void take(struct echo_seen *e, const char *name, struct str value)
{
	const struct header_field f = { .name = str_c(name), .value = value };

	echo_take(e, &f);
}

static void test_header(void **state)
{
	static const struct {
		const char *name;
		struct str value;
		unsigned tag_n;
	} rows[] = {
		{ "message-id", STR_LIT(" <tombolo-echo+" TAG "@a.example>\r\n"), 1 },
		{ "References", STR_LIT(" <x+" TAG "@a>\r\n <y+" TAG2 "@a>\r\n"), 2 },
		{ "References", STR_LIT(" +" TAG " +" TAG " +" TAG " +" TAG " +" TAG "\r\n"), ECHO_TAGS_MAX },
		{ "Subject", STR_LIT(" FW: Tombolo echo +" TAG "\r\n"), 1 },
		{ "Subject", STR_LIT(" +" TAG "0 +0" TAG " ++\r\n"), 0 },
		{ "Subject", STR_LIT(" 1+1 is 2 +"), 0 },
		{ "In-Reply-To", STR_LIT("+" TAG), 1 },
		{ "Comments", STR_LIT(" +" TAG "\r\n"), 0 },
	};

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct echo_seen e = { 0 };
		take(&e, rows[i].name, rows[i].value);
		check(e.tag_n == rows[i].tag_n, rows[i].value.p);
		check(e.tag_n == 0 || memcmp(e.tags[0], TAG, ECHO_TAG) == 0, rows[i].value.p);
	}
	struct echo_seen e = { 0 };
	take(&e, "X-CrossPremisesHeadersFilteredByDsnGenerator", S(" mx.example\r\n"));
	take(&e, "X-CrossPremisesHeadersPromoted", S(" mx.example\r\n"));
	assert_string_equal(e.filtered, "");
	take(&e, "x-crosspremisesheadersfilteredbysendconnector", S(" mx\0\x1b\x80.example\r\n"));
	take(&e, "X-CrossPremisesHeadersFilteredBySendConnector", S(" second\r\n"));
	assert_string_equal(e.filtered, "x-crosspremisesheadersfilteredbysendconnector: mx???.example");
}

static void test_judge(void **state)
{
#define PEER .peer = true, .by_certificate = true
#define OURS PEER, .org = ENV_ORG_OK
	static const struct {
		const char *row;
		struct echo_return r;
		enum valid_state state;
		const char *differs, *why;
	} rows[] = {
		{ "good", { OURS, .internal = true }, VALID_OK, "", "" },
		{ "a report is no internal mail", { OURS, .report = true }, VALID_OK, "", "" },
		{ "a stranger",
		  { .certificate = "without a certificate" },
		  VALID_FAILED,
		  "unattributed",
		  "came back unattributed: without a certificate" },
		{ "address",
		  { .peer = true, .internal = true, .how = "ip:1.2.3.4/32" },
		  VALID_DEGRADED,
		  "address",
		  "came back recognised by its address only, not by certificate: ip:1.2.3.4/32" },
		{ "nobody",
		  { PEER, .org = ENV_ORG_NONE },
		  VALID_FAILED,
		  "organisation",
		  "came back without the name of an organisation" },
		{ "others",
		  { PEER, .org = ENV_ORG_OTHER, .claim = "o.example" },
		  VALID_FAILED,
		  "organisation",
		  "came back as mail of another organisation: o.example" },
		{ "filtered",
		  { OURS, .filtered = "F: mx" },
		  VALID_DEGRADED,
		  "filtered",
		  "headers were filtered by F: mx" },
		{ "anonymous",
		  { OURS },
		  VALID_FAILED,
		  "anonymous",
		  "came back as Anonymous: the other side did not recognise us" },
	};
#undef PEER
#undef OURS

	(void)state;
	for (size_t i = 0; i < sizeof rows / sizeof *rows; i++) {
		struct validation v = { 0 };
		echo_judge(&rows[i].r, &v);
		check(v.state == rows[i].state, rows[i].row);
		check_str(str_c(v.differs), str_c(rows[i].differs), rows[i].row);
		check_str(str_c(v.why), str_c(rows[i].why), rows[i].row);
	}
}

static void test_probe(void **state)
{
	struct envelope env = { .origin = ENV_SELF, .from = S("a@a.example") };

	(void)state;
	assert_true(echo_is_probe(&env));
	env.receive = S("inet"); /* a copy of somebody's mail */
	assert_false(echo_is_probe(&env));
	env = (struct envelope){ .origin = ENV_SELF }; /* a report */
	assert_false(echo_is_probe(&env));
	env = (struct envelope){ .origin = ENV_LOCAL, .from = S("a@a.example") };
	assert_false(echo_is_probe(&env));
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_tag), cmocka_unit_test(test_address),
					    cmocka_unit_test(test_header), cmocka_unit_test(test_judge),
					    cmocka_unit_test(test_probe) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
