/* wire/dsn_test.c: delivery reports (RFC 3464, 6533; hardening SM-O3, Part 2.34). */
#include "tests/unit.h"
#include "wire/body.h"
#include "wire/dsn.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

static const struct dsn_rcpt failed = {
	.addr = STR_LIT("nobody@example.net"),
	.orcpt = STR_LIT("rfc822;old+2Bname@example.org"),
	.action = DSN_FAILED,
	.status = STR_LIT("5.1.1"),
	.remote_mta = STR_LIT("mx.example.net"),
	.diagnostic = STR_LIT("550 5.1.1 no such user here"),
	.reason = STR_LIT("The other side does not know this address. Check the spelling, or ask the recipient for "
			  "the right address by another way."),
	.last_attempt_ms = 1795262400000,
};

static struct dsn plain(const struct dsn_rcpt *rcpts, size_t n)
{
	return (struct dsn){
		.reporting_mta = S("gw.contoso.com"),
		.postmaster = S("postmaster@contoso.com"),
		.to = S("sender@contoso.com"),
		.envid = S("QQ+2B314"),
		.trace_id = S("0f0e-4a"),
		.message_id = S("0f0e-4a.dsn@gw.contoso.com"),
		.arrived_ms = 1795262000000,
		.now_ms = 1795262400000,
		.rcpts = rcpts,
		.rcpt_n = n,
		.original_headers = S("From: sender@contoso.com\r\nSubject: hello\r\n\r\n"),
	};
}

static bool has(struct str s, const char *text)
{
	return str_find(s, str_c(text)) >= 0;
}

/* What every report must be: CRLF lines of bounded length, no bare CR or LF, no control byte, closed boundary. */
static void check_shape(struct str s, bool utf8)
{
	struct body_scan scan = { 0 };
	struct str rest = s, line;

	body_scan(&scan, s, true);
	assert_false(scan.bare_cr || scan.bare_lf || scan.nul || (scan.has_8bit && !utf8));
	while (rest.n > 0) {
		assert_true(str_cut(rest, '\n', &line, &rest));
		assert_true(line.n <= 998);
		for (size_t i = 0; i + 1 < line.n; i++)
			assert_false(chr_is_ctl(line.p[i]) && line.p[i] != '\t');
	}
	ssize_t at = str_find(s, S("boundary=\""));
	assert_true(at > 0);
	struct str boundary, tail;
	str_cut(str_skip(s, (size_t)at + 10), '"', &boundary, &tail);
	unsigned opened = 0, closed = 0;
	while (str_cut(tail, '\n', &line, &tail)) {
		if (!str_starts(line, S("--")) || !str_starts(str_skip(line, 2), boundary))
			continue;
		line = str_skip(line, 2 + boundary.n);
		opened += str_eq(line, S("\r"));
		closed += str_eq(line, S("--\r"));
	}
	assert_int_equal(opened, 3);
	assert_int_equal(closed, 1);
}

static void test_failed(void **state)
{
	struct dsn d = plain(&failed, 1);
	struct buf b;

	(void)state;
	buf_init(&b, 65536);
	assert_true(dsn_put(&b, &d));
	struct str s = buf_str(&b);
	check_shape(s, false);
	assert_true(
		str_starts(s, S("From: Mail Delivery System <postmaster@contoso.com>\r\nTo: <sender@contoso.com>\r\n"
				"Subject: Your message could not be delivered\r\n"
				"Date: Sat, 21 Nov 2026 12:00:00 +0000\r\n"
				"Message-ID: <0f0e-4a.dsn@gw.contoso.com>\r\nAuto-Submitted: auto-replied\r\n")));
	assert_true(has(s, "Content-Type: multipart/report; report-type=delivery-status;"));
	assert_true(has(s, "\r\nContent-Type: message/delivery-status\r\n\r\n"
			   "Reporting-MTA: dns; gw.contoso.com\r\n"
			   "Original-Envelope-Id: QQ+314\r\n"
			   "Arrival-Date: Sat, 21 Nov 2026 11:53:20 +0000\r\n"
			   "\r\n"
			   "Original-Recipient: rfc822; old+name@example.org\r\n"
			   "Final-Recipient: rfc822; nobody@example.net\r\n"
			   "Action: failed\r\n"
			   "Status: 5.1.1\r\n"
			   "Remote-MTA: dns; mx.example.net\r\n"
			   "Diagnostic-Code: smtp; 550 5.1.1 no such user here\r\n"
			   "Last-Attempt-Date: Sat, 21 Nov 2026 12:00:00 +0000\r\n\r\n--"));
	assert_true(has(s, "    The other side does not know this address. Check the spelling, or ask\r\n"
			   "    the recipient for the right address by another way.\r\n"));
	assert_true(has(s, "\r\n    The server mx.example.net said:\r\n        550 5.1.1 no such user here\r\n"));
	assert_true(has(s, "quote this number: 0f0e-4a\r\n"));
	assert_true(has(s, "Content-Type: text/rfc822-headers\r\nContent-Transfer-Encoding: 7bit\r\n\r\n"
			   "From: sender@contoso.com\r\nSubject: hello\r\n\r\n\r\n--"));
	buf_fini(&b);
}

static void test_actions(void **state)
{
	struct dsn_rcpt r[5];
	struct dsn d = plain(r, 5);
	struct buf b;

	(void)state;
	for (unsigned i = 0; i < 5; i++)
		r[i] = (struct dsn_rcpt){ .addr = S("a@b"),
					  .action = (enum dsn_action)i,
					  .retry_until_ms = 1795262400000 };
	r[1].status = S("nonsense");
	buf_init(&b, 65536);
	assert_true(dsn_put(&b, &d));
	struct str s = buf_str(&b);
	check_shape(s, false);
	assert_true(has(s, "Action: failed\r\nStatus: 5.0.0\r\n\r\n"));
	assert_true(has(
		s, "Action: delayed\r\nStatus: 4.0.0\r\nWill-Retry-Until: Sat, 21 Nov 2026 12:00:00 +0000\r\n\r\n"));
	assert_true(has(s, "Action: relayed\r\nStatus: 2.0.0\r\n\r\n"));
	assert_true(has(s, "Action: delivered\r\nStatus: 2.0.0\r\n\r\n"));
	assert_true(has(s, "Action: expanded\r\nStatus: 2.0.0\r\n\r\n--"));
	assert_true(has(s, "Subject: Your message could not be delivered\r\n"));
	assert_false(has(s, "Remote-MTA"));
	assert_false(has(s, "Diagnostic-Code"));
	buf_reset(&b);
	d.rcpts = r + 1;
	d.rcpt_n = 1;
	assert_true(dsn_put(&b, &d));
	assert_true(has(buf_str(&b), "Subject: Your message is delayed\r\n"));
	assert_true(has(buf_str(&b), "There is no"));
	buf_fini(&b);
}

/* SM-O3: whatever the other side said stays inside its line. */
static void test_hostile_text(void **state)
{
	static const struct str evil[] = {
		STR_LIT("550 x\n.\r\nMAIL FROM:<x@y>\r\n"), STR_LIT("550 x\r\n\r\nAction: delivered\r\n"),
		STR_LIT("550 \x1b[2J\0\x80\xff\r"),         STR_LIT("\r.\r"),
		STR_LIT("\r\n--=_tombolo_0_0\r\n"),         STR_LIT("\xc2\x85\xe2\x80\xae"),
	};
	struct buf b, lines;

	(void)state;
	buf_init(&b, 1 << 20);
	buf_init(&lines, 10000);
	while (buf_add(&lines, S("550-0123456789\r\n")))
		;
	for (size_t i = 0; i <= COUNT(evil); i++)
		for (int utf8 = 0; utf8 < 2; utf8++) {
			struct str e = i < COUNT(evil) ? evil[i] : buf_str(&lines);
			struct dsn_rcpt r = {
				.addr = e, .orcpt = e, .status = e, .remote_mta = e, .diagnostic = e, .reason = e
			};
			struct dsn d = plain(&r, 1);
			d.postmaster = d.to = d.reporting_mta = d.message_id = d.envid = d.trace_id = e;
			d.original_headers = i == 1 ? STR_NONE : e; /* there it would be allowed to stand */
			d.smtputf8 = utf8 != 0;
			buf_reset(&b);
			assert_true(dsn_put(&b, &d));
			check_shape(buf_str(&b), d.smtputf8);
			assert_false(has(buf_str(&b), "\nAction: delivered"));
		}
	buf_fini(&b);
	buf_fini(&lines);
}

/* An original header that guesses the boundary does not get it. */
static void test_boundary(void **state)
{
	struct dsn d = plain(&failed, 1);
	struct buf b, header;
	struct str boundary, tail;

	(void)state;
	buf_init(&b, 65536);
	buf_init(&header, 1000);
	dsn_put(&b, &d);
	str_cut(str_skip(buf_str(&b), (size_t)str_find(buf_str(&b), S("boundary=\"")) + 10), '"', &boundary, &tail);
	buf_addf(&header, "A: b\r\n--" STR_FMT "\r\nContent-Type: text/html\r\n\r\n", STR_ARG(boundary));
	d.original_headers = buf_str(&header);
	buf_reset(&b);
	dsn_put(&b, &d);
	check_shape(buf_str(&b), false);
	buf_fini(&b);
	buf_fini(&header);
}

static void test_8bit_header(void **state)
{
	struct dsn d = plain(&failed, 1);
	struct buf b;

	(void)state;
	buf_init(&b, 65536);
	d.original_headers = S("Subject: caf\xc3\xa9 =1 \r\nX: 1\r\n\r\n");
	assert_true(dsn_put(&b, &d));
	check_shape(buf_str(&b), false);
	assert_true(has(buf_str(&b), "Content-Type: text/rfc822-headers\r\n"
				     "Content-Transfer-Encoding: quoted-printable\r\n\r\n"
				     "Subject: caf=C3=A9 =3D1=20\r\nX: 1\r\n\r\n"));
	buf_reset(&b);
	d.smtputf8 = true;
	assert_true(dsn_put(&b, &d));
	check_shape(buf_str(&b), true);
	assert_true(has(buf_str(&b), "Content-Type: message/global-headers\r\nContent-Transfer-Encoding: 8bit\r\n\r\n"
				     "Subject: caf\xc3\xa9 =1 \r\n"));
	buf_fini(&b);
}

static void test_utf8_addresses(void **state)
{
	struct dsn_rcpt r = { .addr = S("j\xc3\xb6rg\xf0\x9f\x93\xa7@example.net"),
			      .orcpt = S("utf-8;j\xc3\xb6@b"),
			      .diagnostic = S("550 caf\xc3\xa9") };
	struct dsn d = plain(&r, 1);
	struct buf b;

	(void)state;
	buf_init(&b, 65536);
	assert_true(dsn_put(&b, &d));
	check_shape(buf_str(&b), false);
	assert_true(has(buf_str(&b), "Final-Recipient: utf-8; j\\x{F6}rg\\x{1F4E7}@example.net\r\n"));
	assert_true(has(buf_str(&b), "Diagnostic-Code: smtp; 550 caf??\r\n"));
	buf_reset(&b);
	d.smtputf8 = true;
	assert_true(dsn_put(&b, &d));
	check_shape(buf_str(&b), true);
	assert_true(has(buf_str(&b), "Content-Type: message/global-delivery-status\r\n"));
	assert_true(has(buf_str(&b), "Original-Recipient: utf-8; j\xc3\xb6@b\r\n"));
	assert_true(has(buf_str(&b), "Final-Recipient: utf-8; j\xc3\xb6rg\xf0\x9f\x93\xa7@example.net\r\n"));
	assert_true(has(buf_str(&b), "Diagnostic-Code: smtp; 550 caf\xc3\xa9\r\n"));
	buf_fini(&b);
}

static void test_full(void **state)
{
	struct dsn d = plain(&failed, 1);
	struct buf b;

	(void)state;
	buf_init(&b, 500);
	assert_false(dsn_put(&b, &d));
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_failed),       cmocka_unit_test(test_actions),
		cmocka_unit_test(test_hostile_text), cmocka_unit_test(test_boundary),
		cmocka_unit_test(test_8bit_header),  cmocka_unit_test(test_utf8_addresses),
		cmocka_unit_test(test_full),
	};

	setenv("TZ", "UTC", 1);
	tzset();
	return cmocka_run_group_tests(tests, NULL, NULL);
}
