/* wire/journal_test.c: shape of a report, hostile texts, and what is said of its bytes. */
#include "wire/journal.h"

#include "tests/unit.h"
#include "wire/body.h"

static const struct journal_rcpt people[] = {
	{ STR_LIT("ann@contoso.com"), "local", STR_LIT(""), false },
	{ STR_LIT("max@contoso.mail.cloud.example"), "remote", STR_LIT("rfc822;Max+2BTag@contoso.com"), false },
	{ STR_LIT("guest@far.example"), "external", STR_LIT("rfc822;all@contoso.com"), true },
	{ STR_LIT("same@contoso.com"), "local", STR_LIT("rfc822;Same@contoso.com"), true },
	{ STR_LIT("broken@contoso.com"), "local", STR_LIT("rfc822;x+0Dy"), true },
};

static struct journal_report sample(void)
{
	return (struct journal_report){ .postmaster = S("postmaster@contoso.com"),
					.to = S("a@archive.example"),
					.message_id = S("1@gw.contoso.com"),
					.gateway = S("gw.contoso.com"),
					.boundary = S("=_bound"),
					.now_ms = 1795262400000,
					.sender = S("s@src.example"),
					.subject = S("hello"),
					.original_id = S("<1@src.example>"),
					.trace_id = S("trace"),
					.client = S("192.0.2.1"),
					.arrived_ms = 1795262400000,
					.rcpts = people,
					.rcpt_n = sizeof people / sizeof *people };
}

static struct buf head_of(const struct journal_report *r, bool *eight_bit)
{
	struct buf b;

	buf_init(&b, 1 << 20);
	assert_true(journal_put_head(&b, r, eight_bit));
	return b;
}

static bool has(const struct buf *b, const char *text)
{
	return str_find(buf_str(b), str_c(text)) >= 0;
}

static void test_plain(void **state)
{
	struct journal_report r = sample();
	bool eight_bit;
	struct buf b = head_of(&r, &eight_bit), tail;

	(void)state;
	assert_false(eight_bit);
	assert_true(has(&b, "\r\nX-MS-Journal-Report:\r\n") && has(&b, "From: Journal <postmaster@contoso.com>\r\n"));
	assert_true(has(&b, "\r\n\r\n--=_bound\r\nContent-Type: text/plain; charset=us-ascii\r\n"));
	assert_true(has(&b,
			"\r\n\r\nSender: s@src.example\r\nSubject: hello\r\nMessage-Id: <1@src.example>\r\n"
			"Recipient: ann@contoso.com, Location: local\r\n"
			"Recipient: max@contoso.mail.cloud.example, Location: remote, Original: Max+Tag@contoso.com\r\n"
			"Recipient: guest@far.example, Location: external, Expanded: all@contoso.com\r\n"
			"Recipient: same@contoso.com, Location: local\r\n"
			"Recipient: broken@contoso.com, Location: local\r\nReceived-From: 192.0.2.1\r\n"));
	assert_true(str_ends(buf_str(&b), S("\r\n--=_bound\r\nContent-Type: message/rfc822\r\n"
					    "Content-Transfer-Encoding: 7bit\r\n\r\n")));
	buf_init(&tail, 100);
	assert_true(journal_put_tail(&tail, r.boundary));
	check_str(buf_str(&tail), S("\r\n--=_bound--\r\n"), "tail");
	buf_fini(&tail);
	buf_fini(&b);
}

static void test_null_sender(void **state)
{
	struct journal_report r = sample();
	bool eight_bit;

	(void)state;
	r.sender = STR_NONE;
	struct buf b = head_of(&r, &eight_bit);
	assert_true(has(&b, "\r\nSender: <>\r\n"));
	buf_fini(&b);
}

/* The message decides what its part says, and the report is as its worst part. */
static void test_bytes(void **state)
{
	static const struct {
		enum env_body body;
		bool utf8, eight_bit;
		const char *subject, *type, *encoding, *charset;
	} cases[] = {
		{ ENV_BODY_7BIT, false, false, "x", "message/rfc822", "7bit", "us-ascii" },
		{ ENV_BODY_8BITMIME, false, true, "x", "message/rfc822", "8bit", "us-ascii" },
		{ ENV_BODY_BINARYMIME, false, true, "x", "message/rfc822", "binary", "us-ascii" },
		{ ENV_BODY_8BITMIME, true, true, "gr\xc3\xbc\xc3\x9f", "message/global", "8bit", "utf-8" },
		{ ENV_BODY_7BIT, false, true, "\xc3\xbc", "message/rfc822", "7bit", "utf-8" },
		{ ENV_BODY_7BIT, false, false, "\xfc", "message/rfc822", "7bit", "us-ascii" },
	};

	(void)state;
	for (size_t i = 0; i < sizeof cases / sizeof *cases; i++) {
		struct journal_report r = sample();
		char end[120], text[60];
		bool eight_bit;
		r.body = cases[i].body;
		r.smtputf8 = cases[i].utf8;
		r.subject = str_c(cases[i].subject);
		struct buf b = head_of(&r, &eight_bit);
		snprintf(end, sizeof end, "Content-Type: %s\r\nContent-Transfer-Encoding: %s\r\n\r\n", cases[i].type,
			 cases[i].encoding);
		snprintf(text, sizeof text, "text/plain; charset=%s\r\n", cases[i].charset);
		assert_true(str_ends(buf_str(&b), str_c(end)) && has(&b, text));
		assert_int_equal(eight_bit, cases[i].eight_bit);
		buf_fini(&b);
	}
}

/* Nobody writes a line into a report by way of his subject, id or address. */
static void test_hostile(void **state)
{
	static char huge[5000];
	struct journal_report r = sample();
	struct journal_rcpt who = { STR_NONE, "local", STR_LIT("rfc822;a@b"), true };
	struct body_scan scan = { 0 };
	bool eight_bit;

	(void)state;
	memset(huge, 'x', sizeof huge);
	r.subject = S("a\r\nRecipient: forged@x.example\n\n--=_bound--\r\n");
	r.original_id = str_n(huge, sizeof huge);
	who.addr = str_n(huge, sizeof huge);
	r.rcpts = &who;
	r.rcpt_n = 1;
	struct buf b = head_of(&r, &eight_bit);
	assert_false(has(&b, "\nRecipient: forged") || has(&b, "\n--=_bound--"));
	body_scan(&scan, buf_str(&b), true);
	assert_false(scan.bare_cr || scan.bare_lf || scan.nul);
	struct str rest = buf_str(&b), line;
	while (str_cut(rest, '\n', &line, &rest))
		assert_true(line.n <= 999);
	buf_fini(&b);
	buf_init(&b, 500);
	assert_false(journal_put_head(&b, &r, &eight_bit));
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_plain),
		cmocka_unit_test(test_null_sender),
		cmocka_unit_test(test_bytes),
		cmocka_unit_test(test_hostile),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
