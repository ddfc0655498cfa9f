/* wire/authres_test.c: whose an Authentication-Results field is in every shape (HY-3), what it says, and what we write
 * of what hostile peers call themselves (CVE-2020-12272). */
#include "wire/authres.h"
#include "tests/unit.h"

#include <string.h>

#define OURS "mx.ours.example"

static void test_whose(void **state)
{
	static const struct {
		struct str value;
		bool ours;
	} rows[] = {
		/* by the grammar */
		{ STR_LIT(OURS), true },
		{ STR_LIT(OURS "; none"), true },
		{ STR_LIT(" " OURS "; dmarc=pass"), true },
		{ STR_LIT("\t" OURS ";dmarc=pass"), true },
		{ STR_LIT(" MX.Ours.Example; dmarc=pass"), true },
		{ STR_LIT("\r\n " OURS "; dmarc=pass"), true },
		{ STR_LIT("\r\n\t\r\n\t" OURS "\r\n\t; dmarc=pass"), true },
		{ STR_LIT("\n " OURS "; dmarc=pass"), true },
		{ STR_LIT(" (c) " OURS "; dmarc=pass"), true },
		{ STR_LIT(" (c (d) e)\r\n (f)" OURS "(g); dmarc=pass"), true },
		{ STR_LIT(" (c \\) d) " OURS "; dmarc=pass"), true },
		{ STR_LIT(" (mx.other.example;) " OURS "; dmarc=pass"), true },
		{ STR_LIT(" " OURS " 1; dmarc=pass"), true },
		{ STR_LIT(" " OURS " (v) 1; dmarc=pass"), true },
		{ STR_LIT(" " OURS "\r\n 1\r\n ;dmarc=pass"), true },
		{ STR_LIT(" \"" OURS "\"; dmarc=pass"), true },
		{ STR_LIT(" \"" OURS "\" 1; dmarc=pass"), true },
		{ STR_LIT(" \"mx.\\o\\urs.example\"; dmarc=pass"), true },
		{ STR_LIT(" \"mx.ours.\r\n example\"; dmarc=pass"), true },
		{ STR_LIT(" \" " OURS "\"; dmarc=pass"), true },
		{ STR_LIT(" (c) \"" OURS "\" (d) 1 (e); dmarc=pass"), true },
		{ STR_LIT(" " OURS ".; dmarc=pass"), true },
		{ STR_LIT(" " OURS "..; dmarc=pass"), true },
		{ STR_LIT(" \"" OURS ".\"; dmarc=pass"), true },
		/* by nobody's grammar, and yet somebody may read it so */
		{ STR_LIT(" mx.(c)ours.example; dmarc=pass"), true },
		{ STR_LIT(" mx(c).ours.example; dmarc=pass"), true },
		{ STR_LIT(" mx.ours(c)(d).example; dmarc=pass"), true },
		{ STR_LIT(" mx.\r\n ours.example; dmarc=pass"), true },
		{ STR_LIT(" mx . ours . example; dmarc=pass"), true },
		{ STR_LIT(" \"mx.ours\".example; dmarc=pass"), true },
		{ STR_LIT(" mx.\"ours\".example; dmarc=pass"), true },
		{ STR_LIT(" <" OURS ">; dmarc=pass"), true },
		{ STR_LIT(" [" OURS "]; dmarc=pass"), true },
		{ STR_LIT(" @" OURS "; dmarc=pass"), true },
		{ STR_LIT(" " OURS ", dmarc=pass"), true },
		{ STR_LIT(" " OURS "/1; dmarc=pass"), true },
		{ STR_LIT(" " OURS ": dmarc=pass"), true },
		{ STR_LIT(" mx.\\ours.example; dmarc=pass"), true },
		{ STR_LIT(" \001" OURS "; dmarc=pass"), true },
		{ STR_LIT("\000" OURS "; dmarc=pass"), true },
		{ STR_LIT(" " OURS "\177; dmarc=pass"), true },
		{ STR_LIT("\r" OURS "; dmarc=pass"), true },
		{ STR_LIT(" (open " OURS "; dmarc=pass"), true },
		{ STR_LIT(" \"" OURS "; dmarc=pass"), true },
		{ STR_LIT(" x\"open; MX.ours.example; dmarc=pass"), true },
		/* letters that a mapping turns into ours (UTS 46) */
		{ STR_LIT(" \xef\xbd\x8d\xef\xbd\x98.ours.example; dmarc=pass"), true }, /* wide m, x */
		{ STR_LIT(" mx.o\xc2\xadurs.example; dmarc=pass"), true },               /* soft hyphen */
		/* others */
		{ STR_LIT(""), false },
		{ STR_LIT(" "), false },
		{ STR_LIT("; dmarc=pass"), false },
		{ STR_LIT(" dmarc=pass"), false },
		{ STR_LIT(" mx.ours; dmarc=pass"), false },
		{ STR_LIT(" ours.example; dmarc=pass"), false },
		{ STR_LIT(" mx.ours.examples; dmarc=pass"), false },
		{ STR_LIT(" " OURS ".evil.example; dmarc=pass"), false },
		{ STR_LIT(" evil." OURS "; dmarc=pass"), false },
		{ STR_LIT(" mx.other.example; dmarc=pass header.from=" OURS), false },
		{ STR_LIT(" mx.other.example " OURS "; dmarc=pass"), false },
		{ STR_LIT(" (" OURS ") mx.other.example; dmarc=pass"), false },
		{ STR_LIT(" mx.other.example (" OURS "); dmarc=pass"), false },
		{ STR_LIT(" (open mx.other.example; dmarc=pass"), false },
		{ STR_LIT(" \""), false },
		{ STR_LIT(" ("), false },
		{ STR_LIT("\\"), false },
		{ STR_LIT("\xff\xfe; dmarc=pass"), false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		check(authres_is_by(rows[i].value, S(OURS)) == rows[i].ours, rows[i].value.p);
		check(authres_is_by(rows[i].value, S(OURS ".")) == rows[i].ours, rows[i].value.p);
		check(!authres_is_by(rows[i].value, STR_NONE), rows[i].value.p);
		check(!authres_is_by(rows[i].value, S(".")), rows[i].value.p);
	}
}

static void test_whose_idn(void **state)
{
	static const struct str own[] = { STR_LIT("mx.m\xc3\xbcnchen.example"), STR_LIT("mx.xn--mnchen-3ya.example") };
	static const struct {
		struct str value;
		bool ours;
	} rows[] = {
		{ STR_LIT(" mx.m\xc3\xbcnchen.example; spf=pass"), true },
		{ STR_LIT(" MX.M\xc3\x9cNCHEN.example; spf=pass"), true },
		{ STR_LIT(" mx.mu\xcc\x88nchen.example; spf=pass"), true }, /* u and a combining diaeresis */
		{ STR_LIT(" mx.xn--mnchen-3ya.example; spf=pass"), true },
		{ STR_LIT(" mx.XN--MNCHEN-3YA.example.; spf=pass"), true },
		{ STR_LIT(" \"mx.m\xc3\xbcnchen.example\" 1; spf=pass"), true },
		{ STR_LIT(" mx.munchen.example; spf=pass"), false },
		{ STR_LIT(" mx.m\xc3nchen.example; spf=pass"), false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		for (size_t k = 0; k < COUNT(own); k++)
			check(authres_is_by(rows[i].value, own[k]) == rows[i].ours, rows[i].value.p);
}

/* ---- reading ---- */

/* All that a field says, on one line; "!" at the end: broken there. */
static void tell(struct str value, struct buf *out)
{
	static struct authres r;
	struct authres_result a;
	int got;

	if (!authres_open(&r, value)) {
		buf_addc(out, '!');
		return;
	}
	buf_addf(out, STR_FMT "/%u", STR_ARG(r.id), r.version);
	while ((got = authres_next(&r, &a)) == 1) {
		buf_addf(out, ";" STR_FMT "/%u=" STR_FMT, STR_ARG(a.method), a.version, STR_ARG(a.result));
		if (a.reason.n > 0)
			buf_addf(out, " <" STR_FMT ">", STR_ARG(a.reason));
		for (size_t i = 0; i < a.prop_n; i++)
			buf_addf(out, " " STR_FMT "." STR_FMT "=" STR_FMT, STR_ARG(a.props[i].ptype),
				 STR_ARG(a.props[i].property), STR_ARG(a.props[i].value));
	}
	if (got < 0)
		buf_addc(out, '!');
}

static void test_read(void **state)
{
	static const struct {
		const char *name;
		struct str value, said;
	} rows[] = {
		{ "nothing", STR_LIT(""), STR_LIT("!") },
		{ "an id alone", STR_LIT(" mx.example"), STR_LIT("mx.example/1") },
		{ "none (RFC 8601 B.2)", STR_LIT(" mx.example 1; none"), STR_LIT("mx.example/1") },
		{ "none with comments", STR_LIT(" mx.example; (x) none (y)"), STR_LIT("mx.example/1") },
		{ "NONE", STR_LIT(" mx.example; NONE"), STR_LIT("mx.example/1") },
		{ "none and more", STR_LIT(" mx.example; none; spf=pass"), STR_LIT("mx.example/1!") },
		{ "one method (B.3)", STR_LIT(" mx.example; spf=pass smtp.mailfrom=example.net"),
		  STR_LIT("mx.example/1;spf/1=pass smtp.mailfrom=example.net") },
		{ "two methods (B.4)",
		  STR_LIT(" mx.example;\r\n auth=pass (cram-md5) smtp.auth=s@example.net;\r\n spf=pass "
			  "smtp.mailfrom=example.net"),
		  STR_LIT("mx.example/1;auth/1=pass smtp.auth=s@example.net;spf/1=pass smtp.mailfrom=example.net") },
		{ "a reason (B.5)",
		  STR_LIT(" mx.example; dkim=pass reason=\"good signature\" header.i=@mail.example.org"),
		  STR_LIT("mx.example/1;dkim/1=pass <good signature> header.i=@mail.example.org") },
		{ "a reason of one word", STR_LIT(" mx.example; dkim=fail reason=bad header.d=a.example"),
		  STR_LIT("mx.example/1;dkim/1=fail <bad> header.d=a.example") },
		{ "comments everywhere (B.7)",
		  STR_LIT(" foo.example.net (foobar) 1 (baz);\r\n\tdkim (Because I like it) / 1 (One yay) = (wait for it) "
			  "fail\r\n\tpolicy (A dot can go here) . (like that) expired\r\n\t(this surprised me) = (as I wasn't "
			  "expecting it) 1362471462"),
		  STR_LIT("foo.example.net/1;dkim/1=fail policy.expired=1362471462") },
		{ "versions", STR_LIT(" mx.example 2; spf/3=pass"), STR_LIT("mx.example/2;spf/3=pass") },
		{ "a version that is none", STR_LIT(" mx.example x; spf=pass"), STR_LIT("!") },
		{ "a method version that is none", STR_LIT(" mx.example; spf/x=pass"), STR_LIT("mx.example/1!") },
		{ "a quoted id", STR_LIT(" \"mx example\"; spf=pass"), STR_LIT("mx example/1;spf/1=pass") },
		{ "a quoted value", STR_LIT(" mx.example; spf=pass smtp.mailfrom=\"a;b=c \\\"d\\\"\"@x.example"),
		  STR_LIT("mx.example/1;spf/1=pass smtp.mailfrom=a;b=c \"d\"@x.example") },
		{ "a quoted value over two lines", STR_LIT(" mx.example; x=y reason=\"one\r\n two\""),
		  STR_LIT("mx.example/1;x/1=y <one two>") },
		{ "values that others leave bare",
		  STR_LIT(" mx.example; dkim=pass header.b=a/b+c= smtp.ip=2001:db8::1"),
		  STR_LIT("mx.example/1;dkim/1=pass header.b=a/b+c= smtp.ip=2001:db8::1") },
		{ "blanks about the signs", STR_LIT(" mx.example ; spf = pass smtp . mailfrom = a.example"),
		  STR_LIT("mx.example/1;spf/1=pass smtp.mailfrom=a.example") },
		{ "no id, as the cloud writes",
		  STR_LIT(" spf=pass (sender IP is 192.0.2.1)\r\n smtp.mailfrom=x.example; dkim=none"),
		  STR_LIT("/1;spf/1=pass smtp.mailfrom=x.example;dkim/1=none") },
		{ "no id, method version", STR_LIT(" ; spf=pass"), STR_LIT("!") },
		{ "a semicolon at the end", STR_LIT(" mx.example; spf=pass;\r\n"), STR_LIT("mx.example/1;spf/1=pass") },
		{ "two semicolons", STR_LIT(" mx.example;; spf=pass"), STR_LIT("mx.example/1;spf/1=pass") },
		{ "no result", STR_LIT(" mx.example; spf"), STR_LIT("mx.example/1!") },
		{ "no value", STR_LIT(" mx.example; spf=pass smtp.mailfrom="), STR_LIT("mx.example/1!") },
		{ "no property", STR_LIT(" mx.example; spf=pass smtp.=x"), STR_LIT("mx.example/1!") },
		{ "what is before the break counts", STR_LIT(" mx.example; spf=pass; dkim=(open pass"),
		  STR_LIT("mx.example/1;spf/1=pass!") },
		{ "an open quote", STR_LIT(" mx.example; spf=pass reason=\"x"), STR_LIT("mx.example/1!") },
		{ "an open comment", STR_LIT(" mx.example (; spf=pass"), STR_LIT("!") },
		{ "an unknown spec", STR_LIT(" mx.example; dmarc=pass action=none header.from=a.example"),
		  STR_LIT("mx.example/1;dmarc/1=pass header.from=a.example") },
		{ "many methods", STR_LIT(" m;a=b;a=b;a=b;a=b;a=b;a=b"),
		  STR_LIT("m/1;a/1=b;a/1=b;a/1=b;a/1=b;a/1=b;a/1=b") },
	};
	struct buf b;

	(void)state;
	buf_init(&b, 8192);
	for (size_t i = 0; i < COUNT(rows); i++) {
		buf_reset(&b);
		tell(rows[i].value, &b);
		check_str(buf_str(&b), rows[i].said, rows[i].name);
	}
	buf_fini(&b);
}

static void test_read_limits(void **state)
{
	static char value[20000];
	static struct authres r;
	struct authres_result a;
	size_t n = 0;

	(void)state;
	n += (size_t)snprintf(value, sizeof value, "mx.example; spf=pass");
	for (int i = 0; i < 100; i++)
		n += (size_t)snprintf(value + n, sizeof value - n, " smtp.p%d=v", i);
	assert_true(authres_open(&r, str_n(value, n)));
	assert_int_equal(authres_next(&r, &a), 1);
	assert_int_equal(a.prop_n, AUTHRES_PROPS_MAX);
	assert_int_equal(authres_next(&r, &a), 0);

	memset(value, 'x', sizeof value);
	assert_false(authres_open(&r, str_n(value, sizeof value)));
	assert_false(authres_is_by(str_n(value, sizeof value), S(OURS)));
	memset(value, '(', sizeof value);
	assert_false(authres_open(&r, str_n(value, sizeof value)));
	assert_false(authres_is_by(str_n(value, sizeof value), S(OURS)));
}

/* ---- writing ---- */

static void write_one(struct buf *b, struct str id, struct str reason, struct str value)
{
	struct authres_writer w;

	authres_begin(&w, b, id, true);
	authres_result(&w, S("spf"), S("fail"));
	authres_reason(&w, reason);
	authres_prop(&w, S("smtp"), S("mailfrom"), value);
	authres_result(&w, S("dmarc"), S("none"));
	authres_prop(&w, S("header"), S("from"), S("ours.example"));
	authres_end(&w);
}

static void test_write_ascii(void **state)
{
	struct authres_writer w;
	struct buf b;

	(void)state;
	buf_init(&b, 1000);
	authres_begin(&w, &b, S(OURS), false);
	authres_result(&w, S("spf"), S("fail"));
	authres_prop(&w, S("smtp"), S("mailfrom"), S("m\xc3\xbcnchen.example"));
	authres_end(&w);
	check_str(buf_str(&b),
		  S("Authentication-Results: " OURS ";\r\n\tspf=fail smtp.mailfrom=\"m??nchen.example\"\r\n"),
		  "8 bits in a message of 7");
	buf_fini(&b);
}

static void test_write(void **state)
{
	struct authres_writer w;
	struct buf b;

	(void)state;
	buf_init(&b, 8192);
	authres_begin(&w, &b, S(OURS), false);
	authres_end(&w);
	check_str(buf_str(&b), S("Authentication-Results: " OURS "; none\r\n"), "nothing was judged");
	buf_reset(&b);
	write_one(&b, S(OURS),
		  S("not permitted by a record that is much longer than one line of a header has room for"),
		  S("a@x.example"));
	check_str(buf_str(&b),
		  S("Authentication-Results: " OURS ";\r\n"
		    "\tspf=fail reason=\"not permitted by a record that is much longer than\r\n"
		    "\tone line of a header has room for\" smtp.mailfrom=a@x.example;\r\n"
		    "\tdmarc=none header.from=ours.example\r\n"),
		  "two results");
	buf_fini(&b);
}

/* What a hostile peer may call itself, and what is left of it. */
static void test_write_hostile(void **state)
{
	static const struct {
		struct str value, left;
	} rows[] = {
		{ STR_LIT("a@x.example"), STR_LIT("a@x.example") },
		{ STR_LIT(""), STR_LIT("\"\"") },
		{ STR_LIT("a b@x.example"), STR_LIT("\"a b@x.example\"") },
		{ STR_LIT("\"a b\"@x.example"), STR_LIT("\"?a b?@x.example\"") },
		{ STR_LIT("evil.example(.ours.example"),
		  STR_LIT("\"evil.example?.ours.example\"") }, /* CVE-2020-12272 */
		{ STR_LIT("x; dmarc=pass header.from=ours.example"),
		  STR_LIT("\"x, dmarc=pass header.from=ours.example\"") },
		{ STR_LIT("x\"; dmarc=pass"), STR_LIT("\"x?, dmarc=pass\"") },
		{ STR_LIT("x\\"), STR_LIT("\"x?\"") },
		{ STR_LIT("x\\\"; dmarc=pass"), STR_LIT("\"x??, dmarc=pass\"") },
		{ STR_LIT("x\r\nAuthentication-Results: " OURS "; dmarc=pass"),
		  STR_LIT("\"x??Authentication-Results: " OURS ", dmarc=pass\"") },
		{ STR_LIT("x\r\n\r\nbody"), STR_LIT("\"x????body\"") },
		{ STR_LIT("x\n y"), STR_LIT("\"x? y\"") },
		{ STR_LIT("x\000y\033[2J"), STR_LIT("\"x?y?[2J\"") },
		{ STR_LIT("m\xc3\xbcnchen.example"), STR_LIT("\"m\xc3\xbcnchen.example\"") },
		{ STR_LIT("m\xc3nchen.example"), STR_LIT("\"m?nchen.example\"") },
		{ STR_LIT("@"), STR_LIT("\"@\"") },
		{ STR_LIT("a@"), STR_LIT("\"a@\"") },
		{ STR_LIT("@x.example"), STR_LIT("@x.example") },
		{ STR_LIT("a@b@x.example"), STR_LIT("\"a@b@x.example\"") },
		{ STR_LIT("a@b_c"), STR_LIT("\"a@b_c\"") },
		{ STR_LIT("a=b"), STR_LIT("\"a=b\"") },
		{ STR_LIT("2001:db8::1"), STR_LIT("\"2001:db8::1\"") },
		{ STR_LIT("pass (ours)"), STR_LIT("\"pass ?ours?\"") },
	};
	struct buf b, want;

	(void)state;
	buf_init(&b, 8192);
	buf_init(&want, 8192);
	for (size_t i = 0; i < COUNT(rows); i++) {
		buf_reset(&b);
		buf_reset(&want);
		write_one(&b, S(OURS), STR_NONE, rows[i].value);
		buf_addf(&want, "smtp.mailfrom=" STR_FMT ";\r\n\tdmarc=none header.from=ours.example\r\n",
			 STR_ARG(rows[i].left));
		check(str_ends(buf_str(&b), buf_str(&want)), rows[i].value.p);
	}
	buf_fini(&b);
	buf_fini(&want);
}

/* However long and whatever byte: one field, two results, lines of at most 78 columns, or of one value. */
static void test_write_any(void **state)
{
	static char value[1000];
	static struct authres r;
	struct authres_result a;
	struct buf b;

	(void)state;
	buf_init(&b, 8192);
	for (unsigned c = 0; c < 256; c++)
		for (size_t n = 1; n < sizeof value; n += n < 130 ? 1 : 290) {
			memset(value, (int)c, n);
			buf_reset(&b);
			write_one(&b, S(OURS), str_n(value, n), str_n(value, n));
			struct str s = buf_str(&b), line;
			assert_true(authres_is_by(str_skip(s, sizeof "Authentication-Results:" - 1), S(OURS)));
			assert_true(authres_open(&r, str_skip(s, sizeof "Authentication-Results:" - 1)));
			assert_int_equal(authres_next(&r, &a), 1);
			assert_true(str_eq(a.result, S("fail")) && a.prop_n == 1);
			assert_int_equal(authres_next(&r, &a), 1);
			assert_true(str_eq(a.method, S("dmarc")) && a.prop_n == 1);
			assert_int_equal(authres_next(&r, &a), 0);
			for (bool first = true; s.n > 0; first = false) {
				assert_true(first || s.p[0] == '\t');
				assert_true(str_cut(s, '\n', &line, &s) && line.p[line.n - 1] == '\r');
				assert_true(line.n - 1 <= (n > 40 ? 400 : 78));
			}
		}
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_whose),         cmocka_unit_test(test_whose_idn),
		cmocka_unit_test(test_read),          cmocka_unit_test(test_read_limits),
		cmocka_unit_test(test_write),         cmocka_unit_test(test_write_ascii),
		cmocka_unit_test(test_write_hostile), cmocka_unit_test(test_write_any),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
