/* wire/cmd_test.c: commands both ways (hardening 4.3 BD-3, 4.4 CVE-2020-28021/22/24/26, 4.5, Part 2.13). */
#include "tests/unit.h"
#include "wire/cmd.h"

#include <string.h>

#define S10  "1234567890"
#define S100 S10 S10 S10 S10 S10 S10 S10 S10 S10 S10

static void test_verbs(void **state)
{
	static const struct {
		struct str line;
		enum verb verb;
		struct str name, args;
	} rows[] = {
		{ STR_LIT("NOOP"), VERB_NOOP, STR_LIT("NOOP"), STR_LIT("") },
		{ STR_LIT("noop"), VERB_NOOP, STR_LIT("noop"), STR_LIT("") },
		{ STR_LIT("Mail FROM:<a@b>  "), VERB_MAIL, STR_LIT("Mail"), STR_LIT("FROM:<a@b>") },
		{ STR_LIT("DATA \t "), VERB_DATA, STR_LIT("DATA"), STR_LIT("") },
		{ STR_LIT("BDAT  5"), VERB_BDAT, STR_LIT("BDAT"), STR_LIT(" 5") },
		{ STR_LIT("MAIL\tFROM:<a@b>"), VERB_UNKNOWN, STR_LIT("MAIL\tFROM:<a@b>"), STR_LIT("") },
		{ STR_LIT(" NOOP"), VERB_UNKNOWN, STR_LIT(""), STR_LIT("NOOP") },
		{ STR_LIT("NOOPS"), VERB_UNKNOWN, STR_LIT("NOOPS"), STR_LIT("") },
		{ STR_LIT("NOO"), VERB_UNKNOWN, STR_LIT("NOO"), STR_LIT("") },
		{ STR_LIT(""), VERB_UNKNOWN, STR_LIT(""), STR_LIT("") },
		{ STR_LIT("STARTTLS x"), VERB_STARTTLS, STR_LIT("STARTTLS"), STR_LIT("x") },
		{ STR_LIT("auth PLAIN ="), VERB_AUTH, STR_LIT("auth"), STR_LIT("PLAIN =") },
	};
	struct cmd c;

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		cmd_parse(rows[i].line, &c);
		check(c.verb == rows[i].verb, rows[i].line.p);
		check_str(c.name, rows[i].name, rows[i].line.p);
		check_str(c.args, rows[i].args, rows[i].line.p);
	}
	for (enum verb v = VERB_UNKNOWN + 1; v < VERB_N; v++) {
		cmd_parse(cmd_name(v), &c);
		assert_int_equal(c.verb, v);
	}
}

enum { ALL, NONE };

static const struct cmd_offer offers[] = {
	[ALL] = { .size = true,
		  .eightbitmime = true,
		  .smtputf8 = true,
		  .dsn = true,
		  .binarymime = true,
		  .xoorg = true,
		  .auth = true },
	[NONE] = { 0 },
};

static const struct {
	struct str args;
	int offer, code; /* 0 = accepted */
	struct str from;
} mail_rows[] = {
	{ STR_LIT("FROM:<a@b>"), NONE, 0, STR_LIT("a@b") },
	{ STR_LIT("from:<a@b>"), NONE, 0, STR_LIT("a@b") },
	{ STR_LIT("FROM: <a@b>"), NONE, 0, STR_LIT("a@b") },
	{ STR_LIT("FROM:<>"), NONE, 0, STR_LIT("") },
	{ STR_LIT("FROM:<@x.test:a@b>"), NONE, 0, STR_LIT("a@b") },
	{ STR_LIT("FROM:<\"a>b\"@c>"), NONE, 0, STR_LIT("\"a>b\"@c") },
	{ STR_LIT("FROM:<\"a\\\">b\"@c>"), NONE, 0, STR_LIT("\"a\\\">b\"@c") },
	{ STR_LIT("FROM:<a@b>  SIZE=1"), ALL, 0, STR_LIT("a@b") },
	{ STR_LIT("FROM:<a@b> size=1 Body=8bitmime SmtpUtf8"), ALL, 0, STR_LIT("a@b") },
	{ STR_LIT("FROM:<a@[127.0.0.1]>"), ALL, 0, STR_LIT("a@[127.0.0.1]") },
	{ STR_LIT("FROM:<\xc3\xb6@b> SMTPUTF8"), ALL, 0, STR_LIT("\xc3\xb6@b") },
	{ STR_LIT("FROM:<\xc3\xb6@b>"), ALL, 553, STR_LIT("") },
	{ STR_LIT("FROM:<\xc3\xb6@b> SMTPUTF8"), NONE, 555, STR_LIT("") },
	{ STR_LIT("FROM:<\xff@b> SMTPUTF8"), ALL, 553, STR_LIT("") },
	{ STR_LIT(""), ALL, 501, STR_LIT("") },
	{ STR_LIT("FROM"), ALL, 501, STR_LIT("") },
	{ STR_LIT("FROM:"), ALL, 501, STR_LIT("") },
	{ STR_LIT("FROM:a@b"), ALL, 501, STR_LIT("") },
	{ STR_LIT("TO:<a@b>"), ALL, 501, STR_LIT("") },
	{ STR_LIT("FROM :<a@b>"), ALL, 501, STR_LIT("") },
	{ STR_LIT("FROM:<a@b"), ALL, 501, STR_LIT("") },
	{ STR_LIT("FROM:<a@b>junk"), ALL, 501, STR_LIT("") },
	{ STR_LIT("FROM:<a@b>>"), ALL, 501, STR_LIT("") },
	{ STR_LIT("FROM:<<a@b>>"), ALL, 501, STR_LIT("") },
	{ STR_LIT("FROM:< a@b >"), ALL, 501, STR_LIT("") },
	{ STR_LIT("FROM:<\"a@b>"), ALL, 501, STR_LIT("") },
	{ STR_LIT("FROM:\t<a@b>"), ALL, 501, STR_LIT("") },
	{ STR_LIT("FROM:<;sleep 9;>"), ALL, 501, STR_LIT("") }, /* CVE-2020-7247 */
	{ STR_LIT("FROM:<postmaster>"), ALL, 501, STR_LIT("") },
	{ STR_LIT("FROM:<a@b\0@c>"), ALL, 501, STR_LIT("") },
	/* CVE-2020-28022, -28024: parameter syntax */
	{ STR_LIT("FROM:<a@b> SIZE"), ALL, 501, STR_LIT("") },
	{ STR_LIT("FROM:<a@b> ="), ALL, 501, STR_LIT("") },
	{ STR_LIT("FROM:<a@b> SIZE="), ALL, 501, STR_LIT("") },
	{ STR_LIT("FROM:<a@b> =5"), ALL, 501, STR_LIT("") },
	{ STR_LIT("FROM:<a@b> SIZE==5"), ALL, 501, STR_LIT("") },
	{ STR_LIT("FROM:<a@b> SIZE=-1"), ALL, 501, STR_LIT("") },
	{ STR_LIT("FROM:<a@b> SIZE=1x"), ALL, 501, STR_LIT("") },
	{ STR_LIT("FROM:<a@b> SIZE=123456789012345678901"), ALL, 501, STR_LIT("") },
	{ STR_LIT("FROM:<a@b>\tSIZE=5"), ALL, 501, STR_LIT("") },
	{ STR_LIT("FROM:<a@b> SIZE=5\tBODY=7BIT"), ALL, 501, STR_LIT("") },
	{ STR_LIT("FROM:<a@b> SIZE=1 SIZE=1"), ALL, 501, STR_LIT("") },
	{ STR_LIT("FROM:<a@b> size=1 SIZE=2"), ALL, 501, STR_LIT("") },
	{ STR_LIT("FROM:<a@b> -X=1"), ALL, 501, STR_LIT("") },
	{ STR_LIT("FROM:<a@b> SIZE=1"), NONE, 555, STR_LIT("") },
	{ STR_LIT("FROM:<a@b> FOO=1"), ALL, 555, STR_LIT("") },
	{ STR_LIT("FROM:<a@b> NOTIFY=NEVER"), ALL, 555, STR_LIT("") },
	{ STR_LIT("FROM:<a@b> BODY=8BITMIME"), NONE, 555, STR_LIT("") },
	{ STR_LIT("FROM:<a@b> BODY=9BIT"), ALL, 501, STR_LIT("") },
	{ STR_LIT("FROM:<a@b> BODY"), ALL, 501, STR_LIT("") },
	{ STR_LIT("FROM:<a@b> SMTPUTF8=1"), ALL, 501, STR_LIT("") },
	{ STR_LIT("FROM:<a@b> RET=ALL"), ALL, 501, STR_LIT("") },
	{ STR_LIT("FROM:<a@b> RET=FULL"), NONE, 555, STR_LIT("") },
	{ STR_LIT("FROM:<a@b> ENVID=" S100), ALL, 0, STR_LIT("a@b") },
	{ STR_LIT("FROM:<a@b> ENVID=" S100 "1"), ALL, 501, STR_LIT("") },
	{ STR_LIT("FROM:<a@b> ENVID=x+0Ay"), ALL, 501, STR_LIT("") }, /* CVE-2020-28026 */
	{ STR_LIT("FROM:<a@b> AUTH=x+0Ay"), ALL, 501, STR_LIT("") },  /* CVE-2020-28021 */
	{ STR_LIT("FROM:<a@b> AUTH=x\ny"), ALL, 501, STR_LIT("") },
	{ STR_LIT("FROM:<a@b> AUTH=<>"), ALL, 0, STR_LIT("a@b") },
	{ STR_LIT("FROM:<a@b> AUTH=u@x.example"), ALL, 0, STR_LIT("a@b") },
	{ STR_LIT("FROM:<a@b> XOORG=contoso.com"), ALL, 0, STR_LIT("a@b") },
	{ STR_LIT("FROM:<a@b> XOORG=contoso.com"), NONE, 555, STR_LIT("") },
	{ STR_LIT("FROM:<a@b> XOORG=x+0D+0A"), ALL, 501, STR_LIT("") },
};

static void test_mail(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(mail_rows); i++) {
		struct cmd_mail m;
		struct reply why = { 0 };
		bool good = cmd_parse_mail(mail_rows[i].args, &offers[mail_rows[i].offer], &m, &why);
		if (why.code != mail_rows[i].code || good != (why.code == 0))
			fail_msg("%s: %d instead of %d", mail_rows[i].args.p, why.code, mail_rows[i].code);
		if (good)
			check_str(m.from.whole, mail_rows[i].from, mail_rows[i].args.p);
	}
}

static void test_mail_values(void **state)
{
	struct cmd_mail m;
	struct reply why;

	(void)state;
	assert_true(cmd_parse_mail(
		S("FROM:<a@b> SIZE=1000 BODY=BINARYMIME RET=HDRS ENVID=q+2B1 AUTH=<> XOORG=c.com SMTPUTF8"),
		&offers[ALL], &m, &why));
	assert_int_equal(m.size, 1000);
	assert_true(m.has_size && m.has_body && m.smtputf8);
	assert_int_equal(m.body, ENV_BODY_BINARYMIME);
	assert_int_equal(m.ret, ENV_RET_HDRS);
	check_str(m.envid, S("q+2B1"), "envid");
	check_str(m.xorg, S("c.com"), "xorg");
	check_str(m.auth, S("<>"), "auth");
	assert_true(cmd_parse_mail(S("FROM:<a@b> SIZE=0"), &offers[ALL], &m, &why));
	assert_true(m.has_size && m.size == 0);
	assert_true(cmd_parse_mail(S("FROM:<a@b> SIZE=18446744073709551616"), &offers[ALL], &m, &why));
	assert_true(m.size == UINT64_MAX); /* 20 digits: legal, and too big for anybody */
	struct cmd_offer no_binary = offers[ALL];
	no_binary.binarymime = false;
	assert_false(cmd_parse_mail(S("FROM:<a@b> BODY=BINARYMIME"), &no_binary, &m, &why));
	assert_int_equal(why.code, 555);
	struct cmd_offer relaxed = { .relaxed_addresses = true };
	assert_false(cmd_parse_mail(S("FROM:<" S100 "@b>"), &offers[ALL], &m, &why));
	assert_int_equal(why.code, 501);
	assert_true(cmd_parse_mail(S("FROM:<" S100 "@b>"), &relaxed, &m, &why));
}

static void test_mail_many_params(void **state)
{
	struct cmd_mail m;
	struct reply why = { 0 };
	struct buf b;

	(void)state;
	buf_init(&b, 65536);
	buf_add(&b, S("FROM:<a@b>"));
	for (int i = 0; i < 1000; i++)
		buf_addf(&b, " X%d=1", i);
	assert_false(cmd_parse_mail(buf_str(&b), &offers[ALL], &m, &why));
	assert_int_equal(why.code, 555);
	buf_fini(&b);
}

static const struct {
	struct str args;
	int offer;
	bool smtputf8;
	int code;
	struct str to;
} rcpt_rows[] = {
	{ STR_LIT("TO:<a@b>"), NONE, false, 0, STR_LIT("a@b") },
	{ STR_LIT("TO:<postmaster>"), NONE, false, 0, STR_LIT("postmaster") },
	{ STR_LIT("TO:<POSTMASTER>"), NONE, false, 0, STR_LIT("POSTMASTER") },
	{ STR_LIT("TO:<@ours.example:victim@ext.test>"), NONE, false, 0, STR_LIT("victim@ext.test") },
	{ STR_LIT("TO:<@ours.example,@x.test:victim@ext.test>"), NONE, false, 0, STR_LIT("victim@ext.test") },
	{ STR_LIT("TO:<\"victim@ext.test\"@ours.example>"), NONE, false, 0,
	  STR_LIT("\"victim@ext.test\"@ours.example") },
	{ STR_LIT("TO:<victim%ext.test@ours.example>"), NONE, false, 0, STR_LIT("victim%ext.test@ours.example") },
	{ STR_LIT("TO:<v@[127.0.0.1]>"), NONE, false, 0, STR_LIT("v@[127.0.0.1]") },
	{ STR_LIT("TO:<>"), NONE, false, 501, STR_LIT("") },
	{ STR_LIT("TO:<\"\">"), NONE, false, 501, STR_LIT("") },
	{ STR_LIT("TO:< victim@ours.example >"), NONE, false, 501, STR_LIT("") },
	{ STR_LIT("TO:victim@ours.example"), NONE, false, 501, STR_LIT("") },
	{ STR_LIT("TO:<v@ours.example>junk"), NONE, false, 501, STR_LIT("") },
	{ STR_LIT("TO:<ext.test!victim>"), NONE, false, 501, STR_LIT("") },
	{ STR_LIT("TO:<victim@ext.test@ours.example>"), NONE, false, 501, STR_LIT("") },
	{ STR_LIT("TO:<victim@ext.test.>"), NONE, false, 501, STR_LIT("") },
	{ STR_LIT("TO:<victim@ext.test:25>"), NONE, false, 501, STR_LIT("") },
	{ STR_LIT("TO:<v@ours.example,ext@ext.test>"), NONE, false, 501, STR_LIT("") },
	{ STR_LIT("TO:<\"victim@ext.test\">"), NONE, false, 501, STR_LIT("") },
	{ STR_LIT("TO:<a@ours.example\0@evil>"), NONE, false, 501, STR_LIT("") },
	{ STR_LIT("TO:<\xc3\xb6@b>"), ALL, false, 553, STR_LIT("") },
	{ STR_LIT("TO:<\xc3\xb6@b>"), ALL, true, 0, STR_LIT("\xc3\xb6@b") },
	{ STR_LIT("TO:<a@b> NOTIFY=NEVER"), ALL, false, 0, STR_LIT("a@b") },
	{ STR_LIT("TO:<a@b> NOTIFY=SUCCESS,failure,Delay"), ALL, false, 0, STR_LIT("a@b") },
	{ STR_LIT("TO:<a@b> NOTIFY=NEVER,DELAY"), ALL, false, 501, STR_LIT("") },
	{ STR_LIT("TO:<a@b> NOTIFY=DELAY,DELAY"), ALL, false, 501, STR_LIT("") },
	{ STR_LIT("TO:<a@b> NOTIFY=DELAY,"), ALL, false, 501, STR_LIT("") },
	{ STR_LIT("TO:<a@b> NOTIFY=OFTEN"), ALL, false, 501, STR_LIT("") },
	{ STR_LIT("TO:<a@b> NOTIFY"), ALL, false, 501, STR_LIT("") },
	{ STR_LIT("TO:<a@b> NOTIFY=NEVER"), NONE, false, 555, STR_LIT("") },
	{ STR_LIT("TO:<a@b> SIZE=1"), ALL, false, 555, STR_LIT("") },
	{ STR_LIT("TO:<a@b> ORCPT=rfc822;x@ext.test"), ALL, false, 0, STR_LIT("a@b") },
	{ STR_LIT("TO:<a@b> ORCPT=rfc822;x+40y"), ALL, false, 0, STR_LIT("a@b") },
	{ STR_LIT("TO:<a@b> ORCPT=rfc822;x+0A-injected"), ALL, false, 501, STR_LIT("") }, /* CVE-2020-28026 */
	{ STR_LIT("TO:<a@b> ORCPT=rfc822;x\n"), ALL, false, 501, STR_LIT("") },
	{ STR_LIT("TO:<a@b> ORCPT=rfc822"), ALL, false, 501, STR_LIT("") },
	{ STR_LIT("TO:<a@b> ORCPT=rfc822;"), ALL, false, 501, STR_LIT("") },
	{ STR_LIT("TO:<a@b> ORCPT=;x"), ALL, false, 501, STR_LIT("") },
	{ STR_LIT("TO:<a@b> ORCPT=rf(c;x"), ALL, false, 501, STR_LIT("") },
	{ STR_LIT("TO:<a@b> ORCPT=rfc822;\xc3\xb6"), ALL, true, 501, STR_LIT("") },
	{ STR_LIT("TO:<a@b> ORCPT=utf-8;\xc3\xb6@b"), ALL, true, 0, STR_LIT("a@b") },
	{ STR_LIT("TO:<a@b> ORCPT=utf-8;\xc3\xb6@b"), ALL, false, 501, STR_LIT("") },
	{ STR_LIT("TO:<a@b> ORCPT=utf-8;\\x{F6}@b"), ALL, false, 0, STR_LIT("a@b") },
	{ STR_LIT("TO:<a@b> ORCPT=utf-8;\xc3\xb6+0Ax"), ALL, true, 501, STR_LIT("") },
	{ STR_LIT("TO:<a@b> ORCPT=utf-8;\xff"), ALL, true, 501, STR_LIT("") },
	{ STR_LIT("TO:<a@b> ORCPT=rfc822;" S100 S100 S100 S100 S100), ALL, false, 501, STR_LIT("") },
};

static void test_rcpt(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rcpt_rows); i++) {
		struct cmd_rcpt r;
		struct reply why = { 0 };
		bool good =
			cmd_parse_rcpt(rcpt_rows[i].args, &offers[rcpt_rows[i].offer], rcpt_rows[i].smtputf8, &r, &why);
		if (why.code != rcpt_rows[i].code || good != (why.code == 0))
			fail_msg("%s: %d instead of %d", rcpt_rows[i].args.p, why.code, rcpt_rows[i].code);
		if (good)
			check_str(r.to.whole, rcpt_rows[i].to, rcpt_rows[i].args.p);
	}
}

static void test_rcpt_values(void **state)
{
	struct cmd_rcpt r;
	struct reply why;

	(void)state;
	assert_true(
		cmd_parse_rcpt(S("TO:<a@b> ORCPT=rfc822;x+40y NOTIFY=DELAY,FAILURE"), &offers[ALL], false, &r, &why));
	assert_int_equal(r.notify, ENV_NOTIFY_DELAY | ENV_NOTIFY_FAILURE);
	check_str(r.orcpt, S("rfc822;x+40y"), "orcpt");
	assert_true(cmd_parse_rcpt(S("TO:<v@[IPv6:::1]>"), &offers[NONE], false, &r, &why));
	assert_true(r.to.literal);
}

static void test_bdat(void **state)
{
	static const struct {
		struct str args;
		bool good;
		uint64_t size;
		bool last;
	} rows[] = {
		{ STR_LIT("0"), true, 0, false },
		{ STR_LIT("0 LAST"), true, 0, true },
		{ STR_LIT("10 last"), true, 10, true },
		{ STR_LIT("9223372036854775807"), true, INT64_MAX, false },
		/* BD-3: the count is unknown */
		{ STR_LIT("9223372036854775808"), false, 0, false },
		{ STR_LIT("18446744073709551615"), false, 0, false },
		{ STR_LIT("18446744073709551616"), false, 0, false },
		{ STR_LIT("1234567890123456789012345"), false, 0, false },
		{ STR_LIT("-1"), false, 0, false },
		{ STR_LIT("+5"), false, 0, false },
		{ STR_LIT("0x10"), false, 0, false },
		{ STR_LIT("1e3"), false, 0, false },
		{ STR_LIT(" 5"), false, 0, false },
		{ STR_LIT("05"), false, 0, false },
		{ STR_LIT("00"), false, 0, false },
		{ STR_LIT(""), false, 0, false },
		{ STR_LIT("LAST"), false, 0, false },
		{ STR_LIT("5 LASTX"), false, 0, false },
		{ STR_LIT("5 LAST x"), false, 0, false },
		{ STR_LIT("5  LAST"), false, 0, false },
		{ STR_LIT("5\tLAST"), false, 0, false },
		{ STR_LIT("5LAST"), false, 0, false },
		{ STR_LIT("5\0"), false, 0, false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		uint64_t size = 7;
		bool last = false;
		struct reply why = { 0 };
		check(cmd_parse_bdat(rows[i].args, &size, &last, &why) == rows[i].good, rows[i].args.p);
		check(why.code == (rows[i].good ? 0 : 501), rows[i].args.p);
		check(!rows[i].good || (size == rows[i].size && last == rows[i].last), rows[i].args.p);
		check(rows[i].good || size == 7, rows[i].args.p);
	}
}

static void test_put(void **state)
{
	struct buf b;
	struct envelope env = { .from = S("a@b"),
				.body = ENV_BODY_8BITMIME,
				.smtputf8 = true,
				.ret = ENV_RET_HDRS,
				.envid = S("q+2B1"),
				.xorg = S("contoso.com+x") };
	struct env_rcpt r = { .addr = S("old@b"),
			      .orcpt = S("rfc822;x"),
			      .notify = ENV_NOTIFY_DELAY | ENV_NOTIFY_FAILURE };

	(void)state;
	buf_init(&b, 4096);
	cmd_put(&b, VERB_EHLO, S("mx.example"));
	cmd_put(&b, VERB_DATA, STR_NONE);
	cmd_put_bdat(&b, 10, false);
	cmd_put_bdat(&b, 0, true);
	check_str(buf_str(&b), S("EHLO mx.example\r\nDATA\r\nBDAT 10\r\nBDAT 0 LAST\r\n"), "simple ones");
	buf_reset(&b);
	cmd_put_mail(&b, &env, &offers[NONE], 100);
	check_str(buf_str(&b), S("MAIL FROM:<a@b>\r\n"), "plain peer");
	buf_reset(&b);
	cmd_put_mail(&b, &env, &offers[ALL], 100);
	check_str(buf_str(&b),
		  S("MAIL FROM:<a@b> SIZE=100 BODY=8BITMIME SMTPUTF8 RET=HDRS ENVID=q+2B1 XOORG=contoso.com+2Bx "
		    "AUTH=<>\r\n"),
		  "rich peer");
	buf_reset(&b);
	cmd_put_rcpt(&b, S("\"n w\"@b"), &r, &offers[ALL]);
	cmd_put_rcpt(&b, S("new@b"), &r, &offers[NONE]);
	check_str(buf_str(&b), S("RCPT TO:<\"n w\"@b> NOTIFY=FAILURE,DELAY ORCPT=rfc822;x\r\nRCPT TO:<new@b>\r\n"),
		  "rcpt");
	buf_reset(&b);
	cmd_put_mail(&b, &(struct envelope){ 0 }, &offers[ALL], 0);
	check_str(buf_str(&b), S("MAIL FROM:<> AUTH=<>\r\n"), "null sender");
	buf_fini(&b);
}

/* What was accepted and is sent on is accepted again and means the same. */
static void test_round_trip(void **state)
{
	struct buf b;

	(void)state;
	buf_init(&b, 8192);
	for (size_t i = 0; i < COUNT(mail_rows); i++) {
		struct cmd_mail m, again;
		struct reply why;
		struct cmd c;
		if (mail_rows[i].code != 0 || !cmd_parse_mail(mail_rows[i].args, &offers[mail_rows[i].offer], &m, &why))
			continue;
		struct envelope env = { .from = m.from.whole,
					.ret = m.ret,
					.body = m.body,
					.smtputf8 = m.smtputf8,
					.envid = m.envid,
					.xorg = m.xorg };
		buf_reset(&b);
		cmd_put_mail(&b, &env, &offers[ALL], m.size);
		cmd_parse(str_head(buf_str(&b), b.n - 2), &c);
		check(cmd_parse_mail(c.args, &offers[ALL], &again, &why), mail_rows[i].args.p);
		check(str_eq(again.from.whole, m.from.whole) && again.size == m.size && again.ret == m.ret &&
			      again.body == m.body && again.smtputf8 == m.smtputf8 && str_eq(again.envid, m.envid),
		      mail_rows[i].args.p);
	}
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verbs),       cmocka_unit_test(test_mail),
		cmocka_unit_test(test_mail_values), cmocka_unit_test(test_mail_many_params),
		cmocka_unit_test(test_rcpt),        cmocka_unit_test(test_rcpt_values),
		cmocka_unit_test(test_bdat),        cmocka_unit_test(test_put),
		cmocka_unit_test(test_round_trip),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
