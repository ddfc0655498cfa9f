/* wire/addr_test.c: labelled addresses from the grammar of RFC 5321 4.1.2 and RFC 6531 3.3, the tricks of hardening 4.4
 * and 4.5, and the key of spec 2.7. */
#include "tests/unit.h"
#include "wire/addr.h"

#include <string.h>

#define S10  "1234567890"
#define S60  S10 S10 S10 S10 S10 S10
#define S63  S60 "123"
#define D250 S60 "." S60 "." S60 "." S60 ".123456" /* 4 * 61 + 6 */

enum { U = 1, R = 2, B = 4 }; /* smtputf8, relaxed, allow_bare_local */

static const struct {
	const char *row;
	struct str in;
	unsigned rules;
	enum addr_error want;
} rows[] = {
	/* dot-strings */
	{ "plain", STR_LIT("user@example.com"), 0, ADDR_OK },
	{ "one letter each", STR_LIT("a@b"), 0, ADDR_OK },
	{ "dots", STR_LIT("first.middle.last@example.com"), 0, ADDR_OK },
	{ "all atext", STR_LIT("!#$%&'*+-/=?^_`{|}~@example.com"), 0, ADDR_OK },
	{ "digits", STR_LIT("12345@example.com"), 0, ADDR_OK },
	{ "subaddress", STR_LIT("v+tag@example.com"), 0, ADDR_OK },
	{ "upper case", STR_LIT("USER@EXAMPLE.COM"), 0, ADDR_OK },
	{ "64 octets", STR_LIT(S60 "1234@example.com"), 0, ADDR_OK },
	{ "65 octets", STR_LIT(S60 "12345@example.com"), 0, ADDR_TOO_LONG },
	{ "65 octets, relaxed", STR_LIT(S60 "12345@example.com"), R, ADDR_OK },
	{ "315 octets, relaxed", STR_LIT(S60 S60 S60 S60 S60 S10 "12345@example.com"), R, ADDR_OK },
	{ "316 octets, relaxed", STR_LIT(S60 S60 S60 S60 S60 S10 "123456@example.com"), R, ADDR_TOO_LONG },
	{ "percent hack is only a local part", STR_LIT("victim%ext.test@ours.example"), 0, ADDR_OK },
	{ "bang path with domain", STR_LIT("ext.test!victim@ours.example"), 0, ADDR_OK },
	{ "bang path alone", STR_LIT("ext.test!victim"), B, ADDR_SYNTAX },
	{ "encoded word is only a local part", STR_LIT("=?utf-8?q?x=40evil.test?=@ours.example"), 0, ADDR_OK },
	{ "expansion (CVE-2019-10149)", STR_LIT("${run{/bin/sh}}@ours.example"), 0, ADDR_OK },
	{ "LDAP filter", STR_LIT("*)(uid=*@ours.example"), 0, ADDR_SYNTAX },
	{ "leading dot", STR_LIT(".a@example.com"), 0, ADDR_SYNTAX },
	{ "trailing dot", STR_LIT("a.@example.com"), 0, ADDR_SYNTAX },
	{ "two dots", STR_LIT("a..b@example.com"), 0, ADDR_SYNTAX },
	{ "only a dot", STR_LIT(".@example.com"), 0, ADDR_SYNTAX },
	{ "space", STR_LIT("a b@example.com"), 0, ADDR_SYNTAX },
	{ "leading space", STR_LIT(" victim@ours.example"), 0, ADDR_SYNTAX },
	{ "trailing space", STR_LIT("victim@ours.example "), 0, ADDR_SYNTAX },
	{ "space before @", STR_LIT("victim @ours.example"), 0, ADDR_SYNTAX },
	{ "space behind @", STR_LIT("victim@ ours.example"), 0, ADDR_SYNTAX },
	{ "tab", STR_LIT("a\tb@example.com"), 0, ADDR_SYNTAX },
	{ "comment in front", STR_LIT("(x)a@example.com"), 0, ADDR_SYNTAX },
	{ "comment behind", STR_LIT("a(x@evil)@ours.example"), 0, ADDR_SYNTAX },
	{ "comment in domain", STR_LIT("a@ours.example(evil)"), 0, ADDR_SYNTAX },
	{ "comma", STR_LIT("a,b@example.com"), 0, ADDR_SYNTAX },
	{ "semicolon (CVE-2020-7247)", STR_LIT(";sleep 9;"), B, ADDR_SYNTAX },
	{ "semicolon with domain", STR_LIT(";sleep@example.com"), 0, ADDR_SYNTAX },
	{ "colon", STR_LIT("a:b@example.com"), 0, ADDR_SYNTAX },
	{ "angle inside", STR_LIT("a<b@example.com"), 0, ADDR_SYNTAX },
	{ "angle behind", STR_LIT("a>b@example.com"), 0, ADDR_SYNTAX },
	{ "brackets in local", STR_LIT("a[b]@example.com"), 0, ADDR_SYNTAX },
	{ "backslash", STR_LIT("a\\b@example.com"), 0, ADDR_SYNTAX },
	{ "LDAP escape", STR_LIT("a\\2a@ours.example"), 0, ADDR_SYNTAX },
	{ "quote inside", STR_LIT("a\"b@example.com"), 0, ADDR_SYNTAX },
	{ "NUL in local", STR_LIT("a\0b@example.com"), 0, ADDR_SYNTAX },
	{ "NUL in domain", STR_LIT("a@ours.example\0.evil"), 0, ADDR_SYNTAX },
	{ "DEL", STR_LIT("a\x7f@example.com"), 0, ADDR_SYNTAX },
	{ "CR LF", STR_LIT("a@b\r\nRCPT TO:<x>"), 0, ADDR_SYNTAX },
	{ "bare LF", STR_LIT("a\n@example.com"), 0, ADDR_SYNTAX },
	{ "empty", STR_LIT(""), B, ADDR_SYNTAX },
	{ "only @", STR_LIT("@"), B, ADDR_SYNTAX },
	{ "no local part", STR_LIT("@example.com"), B, ADDR_SYNTAX },
	{ "no domain", STR_LIT("user@"), B, ADDR_SYNTAX },
	{ "no @", STR_LIT("user"), B, ADDR_SYNTAX },
	{ "two @", STR_LIT("victim@ext.test@ours.example"), 0, ADDR_SYNTAX },
	{ "two @ the other way", STR_LIT("victim@ours.example@ext.test"), 0, ADDR_SYNTAX },
	{ "list", STR_LIT("v@ours.example,ext@ext.test"), 0, ADDR_SYNTAX },

	/* quoted strings */
	{ "quoted", STR_LIT("\"user\"@example.com"), 0, ADDR_OK },
	{ "quoted space", STR_LIT("\"a b\"@example.com"), 0, ADDR_OK },
	{ "quoted dots", STR_LIT("\"a..b.\"@example.com"), 0, ADDR_OK },
	{ "quoted empty", STR_LIT("\"\"@example.com"), 0, ADDR_OK },
	{ "quoted empty, no domain", STR_LIT("\"\""), B, ADDR_SYNTAX },
	{ "quoted @ stays ours", STR_LIT("\"victim@ext.test\"@ours.example"), 0, ADDR_OK },
	{ "quoted @ without domain", STR_LIT("\"victim@ext.test\""), B, ADDR_SYNTAX },
	{ "quoted >,<", STR_LIT("\"a@evil.test>,<b\"@ours.example"), 0, ADDR_OK },
	{ "quoted specials", STR_LIT("\"()<>[]:;@,.\"@example.com"), 0, ADDR_OK },
	{ "quoted star", STR_LIT("\"*)(uid=*\"@ours.example"), 0, ADDR_OK },
	{ "quoted pair", STR_LIT("\"a\\\"b\\\\c\"@example.com"), 0, ADDR_OK },
	{ "quoted pair of a letter", STR_LIT("\"\\a\"@example.com"), 0, ADDR_OK },
	{ "quoted pair of a space", STR_LIT("\"\\ \"@example.com"), 0, ADDR_OK },
	{ "not closed", STR_LIT("\"user@example.com"), 0, ADDR_SYNTAX },
	{ "only a quote", STR_LIT("\""), B, ADDR_SYNTAX },
	{ "closed by a pair", STR_LIT("\"user\\\"@example.com"), 0, ADDR_SYNTAX },
	{ "ends in a backslash", STR_LIT("\"user\\"), B, ADDR_SYNTAX },
	{ "text behind the quote", STR_LIT("\"user\"x@example.com"), 0, ADDR_SYNTAX },
	{ "text before the quote", STR_LIT("x\"user\"@example.com"), 0, ADDR_SYNTAX },
	{ "obs: word . quoted", STR_LIT("a.\"b\"@example.com"), 0, ADDR_SYNTAX },
	{ "obs: quoted . quoted", STR_LIT("\"a\".\"b\"@example.com"), 0, ADDR_SYNTAX },
	{ "quoted tab", STR_LIT("\"a\tb\"@example.com"), 0, ADDR_SYNTAX },
	{ "quoted NUL", STR_LIT("\"a\0b\"@example.com"), 0, ADDR_SYNTAX },
	{ "quoted pair of NUL", STR_LIT("\"a\\\0b\"@example.com"), 0, ADDR_SYNTAX },
	{ "quoted CR LF", STR_LIT("\"a\r\n b\"@example.com"), 0, ADDR_SYNTAX },
	{ "quoted 64", STR_LIT("\"" S60 "12\"@example.com"), 0, ADDR_OK },
	{ "quoted 65", STR_LIT("\"" S60 "123\"@example.com"), 0, ADDR_TOO_LONG },

	/* domains */
	{ "hyphen", STR_LIT("a@ex-ample.com"), 0, ADDR_OK },
	{ "two hyphens", STR_LIT("a@ex--ample.com"), 0, ADDR_OK },
	{ "digits first", STR_LIT("a@3com.com"), 0, ADDR_OK },
	{ "all digits", STR_LIT("a@123.456"), 0, ADDR_OK },
	{ "one label", STR_LIT("a@localhost"), 0, ADDR_OK },
	{ "many labels", STR_LIT("a@a.b.c.d.e.f.g"), 0, ADDR_OK },
	{ "A-label", STR_LIT("a@xn--mnchen-3ya.example"), 0, ADDR_OK },
	{ "label of 63", STR_LIT("a@" S63 ".com"), 0, ADDR_OK },
	{ "label of 64", STR_LIT("a@" S63 "4.com"), 0, ADDR_SYNTAX },
	{ "path of 254", STR_LIT("a@" D250 ".c"), 0, ADDR_OK },
	{ "path of 255", STR_LIT("a@" D250 ".co"), 0, ADDR_TOO_LONG },
	{ "domain of 255, relaxed", STR_LIT("a@" D250 ".comm"), R, ADDR_OK },
	{ "domain of 256, relaxed", STR_LIT("a@" D250 ".commm"), R, ADDR_TOO_LONG },
	{ "300-octet domain", STR_LIT("a@" D250 "." S60), 0, ADDR_TOO_LONG },
	{ "path of 572, relaxed", STR_LIT(S60 S60 S60 S60 S60 S10 "12345@" D250 ".abcde"), R, ADDR_TOO_LONG },
	{ "trailing dot in domain", STR_LIT("victim@ext.test."), 0, ADDR_SYNTAX },
	{ "leading dot in domain", STR_LIT("a@.example.com"), 0, ADDR_SYNTAX },
	{ "two dots in domain", STR_LIT("a@example..com"), 0, ADDR_SYNTAX },
	{ "only a dot as domain", STR_LIT("a@."), 0, ADDR_SYNTAX },
	{ "leading hyphen", STR_LIT("a@-example.com"), 0, ADDR_SYNTAX },
	{ "trailing hyphen", STR_LIT("a@example-.com"), 0, ADDR_SYNTAX },
	{ "underscore", STR_LIT("a@ex_ample.com"), 0, ADDR_SYNTAX },
	{ "port", STR_LIT("victim@ext.test:25"), 0, ADDR_SYNTAX },
	{ "slash", STR_LIT("a@example.com/x"), 0, ADDR_SYNTAX },
	{ "percent in domain", STR_LIT("a@example%com"), 0, ADDR_SYNTAX },
	{ "space in domain", STR_LIT("a@exam ple.com"), 0, ADDR_SYNTAX },
	{ "quote in domain", STR_LIT("a@\"example\".com"), 0, ADDR_SYNTAX },
	{ "star", STR_LIT("a@*.example.com"), 0, ADDR_SYNTAX },

	/* literals */
	{ "IPv4", STR_LIT("v@[127.0.0.1]"), 0, ADDR_LITERAL },
	{ "IPv6", STR_LIT("v@[IPv6:::1]"), 0, ADDR_LITERAL },
	{ "IPv6 in full", STR_LIT("v@[IPv6:2001:db8:1:2:3:4:5:6]"), 0, ADDR_LITERAL },
	{ "IPv6 with IPv4", STR_LIT("v@[IPv6:::ffff:192.0.2.1]"), 0, ADDR_LITERAL },
	{ "IPv6 tag in lower case", STR_LIT("v@[ipv6:2001:db8::1]"), 0, ADDR_LITERAL },
	{ "IPv4 octet 256", STR_LIT("v@[1.2.3.256]"), 0, ADDR_SYNTAX },
	{ "IPv4 three octets", STR_LIT("v@[1.2.3]"), 0, ADDR_SYNTAX },
	{ "IPv4 five octets", STR_LIT("v@[1.2.3.4.5]"), 0, ADDR_SYNTAX },
	{ "IPv4 hex", STR_LIT("v@[0x7f.0.0.1]"), 0, ADDR_SYNTAX },
	{ "IPv6 without tag", STR_LIT("v@[::1]"), 0, ADDR_SYNTAX },
	{ "IPv4 with tag", STR_LIT("v@[IPv6:192.0.2.1]"), 0, ADDR_SYNTAX },
	{ "IPv6 two gaps", STR_LIT("v@[IPv6:1::2::3]"), 0, ADDR_SYNTAX },
	{ "IPv6 with zone", STR_LIT("v@[IPv6:fe80::1%eth0]"), 0, ADDR_SYNTAX },
	{ "other tag", STR_LIT("v@[X-net:abc]"), 0, ADDR_SYNTAX },
	{ "empty literal", STR_LIT("v@[]"), 0, ADDR_SYNTAX },
	{ "open literal", STR_LIT("v@[127.0.0.1"), 0, ADDR_SYNTAX },
	{ "literal and more", STR_LIT("v@[127.0.0.1].com"), 0, ADDR_SYNTAX },
	{ "double literal", STR_LIT("v@[[127.0.0.1]]"), 0, ADDR_SYNTAX },
	{ "IPv6 in double brackets", STR_LIT("v@[IPv6:[::1]]"), 0, ADDR_SYNTAX },
	{ "name in brackets", STR_LIT("v@[example.com]"), 0, ADDR_SYNTAX },
	{ "literal with NUL", STR_LIT("v@[127.0.0.1\0]"), 0, ADDR_SYNTAX },

	/* source routes: stripped, checked (RFC 5321 appendix C) */
	{ "route", STR_LIT("@ours.example:victim@ext.test"), 0, ADDR_OK },
	{ "two hops", STR_LIT("@ours.example,@x.test:victim@ext.test"), 0, ADDR_OK },
	{ "route to postmaster", STR_LIT("@ours.example:postmaster"), B, ADDR_OK },
	{ "route without mailbox", STR_LIT("@ours.example:"), B, ADDR_SYNTAX },
	{ "route without colon", STR_LIT("@ours.example"), B, ADDR_SYNTAX },
	{ "route with empty hop", STR_LIT("@ours.example,:v@ext.test"), 0, ADDR_SYNTAX },
	{ "route with a space", STR_LIT("@ours.example, @x.test:v@ext.test"), 0, ADDR_SYNTAX },
	{ "hop without @", STR_LIT("@ours.example,x.test:v@ext.test"), 0, ADDR_SYNTAX },
	{ "bad hop", STR_LIT("@-ours:v@ext.test"), 0, ADDR_SYNTAX },
	{ "route in a route", STR_LIT("@a.test:@b.test:v@ext.test"), 0, ADDR_SYNTAX },

	/* the one address without a domain */
	{ "postmaster", STR_LIT("postmaster"), B, ADDR_OK },
	{ "Postmaster", STR_LIT("PostMaster"), B, ADDR_OK },
	{ "postmaster as sender", STR_LIT("postmaster"), 0, ADDR_SYNTAX },
	{ "quoted postmaster", STR_LIT("\"postmaster\""), B, ADDR_SYNTAX },
	{ "postmaster and more", STR_LIT("postmaster2"), B, ADDR_SYNTAX },
	{ "postmaster with domain", STR_LIT("postmaster@example.com"), 0, ADDR_OK },

	/* SMTPUTF8 */
	{ "U-label and UTF-8 local", STR_LIT("j\xc3\xb6rg@m\xc3\xbcnchen.example"), U, ADDR_OK },
	{ "same without SMTPUTF8", STR_LIT("j\xc3\xb6rg@m\xc3\xbcnchen.example"), 0, ADDR_UTF8 },
	{ "8-bit domain without SMTPUTF8", STR_LIT("a@m\xc3\xbcnchen.example"), 0, ADDR_UTF8 },
	{ "decomposed", STR_LIT("jo\xcc\x88rg@example.com"), U, ADDR_OK },
	{ "quoted UTF-8", STR_LIT("\"j\xc3\xb6 rg\"@example.com"), U, ADDR_OK },
	{ "quoted pair of UTF-8", STR_LIT("\"\\\xc3\xb6\"@example.com"), U, ADDR_SYNTAX },
	{ "CJK", STR_LIT("\xe7\x94\xa8\xe6\x88\xb7@\xe4\xbe\x8b\xe5\xad\x90.example"), U, ADDR_OK },
	{ "emoji local", STR_LIT("\xf0\x9f\x93\xa7@example.com"), U, ADDR_OK },
	{ "homoglyph domain is another", STR_LIT("a@\xd0\xbeurs.example"), U, ADDR_OK },
	{ "Latin-1", STR_LIT("j\xf6rg@example.com"), U, ADDR_UTF8 },
	{ "overlong slash", STR_LIT("a\xc0\xaf@example.com"), U, ADDR_UTF8 },
	{ "overlong @",
	  STR_LIT("a\xc1\x80"
		  "b@example.com"),
	  U, ADDR_UTF8 },
	{ "surrogate", STR_LIT("a\xed\xa0\x80@example.com"), U, ADDR_UTF8 },
	{ "above U+10FFFF", STR_LIT("a\xf4\x90\x80\x80@example.com"), U, ADDR_UTF8 },
	{ "cut character", STR_LIT("a@example.com\xc3"), U, ADDR_UTF8 },
	{ "lone continuation", STR_LIT("a\x80@example.com"), U, ADDR_UTF8 },
	{ "C1 control NEL", STR_LIT("a\xc2\x85@example.com"), U, ADDR_UTF8 },
	{ "U+2028", STR_LIT("a\xe2\x80\xa8@example.com"), U, ADDR_UTF8 },
	{ "U+202E in local", STR_LIT("a\xe2\x80\xae@example.com"), U, ADDR_UTF8 },
	{ "U+202E in domain", STR_LIT("a@ex\xe2\x80\xaemple.com"), U, ADDR_UTF8 },
	{ "U+2066", STR_LIT("a\xe2\x81\xa6@example.com"), U, ADDR_UTF8 },
	{ "byte order mark",
	  STR_LIT("\xef\xbb\xbf"
		  "a@example.com"),
	  U, ADDR_UTF8 },
	{ "noncharacter", STR_LIT("a\xef\xbf\xbf@example.com"), U, ADDR_UTF8 },
	{ "ideographic full stop",
	  STR_LIT("a@example\xe3\x80\x82"
		  "com"),
	  U, ADDR_SYNTAX },
	{ "full-width @",
	  STR_LIT("a\xef\xbc\xa0"
		  "example.com"),
	  U, ADDR_SYNTAX },
	{ "full-width @ in domain",
	  STR_LIT("a@b\xef\xbc\xa0"
		  "example.com"),
	  U, ADDR_SYNTAX },
	{ "account-of sign in domain",
	  STR_LIT("a@b\xe2\x84\x80"
		  ".com"),
	  U, ADDR_SYNTAX },
	{ "domain is only a joiner", STR_LIT("a@\xe2\x80\x8d.com"), U, ADDR_SYNTAX },
	{ "U-label too long as A-label",
	  STR_LIT("a@\xc3\xbc"
		  "123456789012345678901234567890123456789012345678901234567890.com"),
	  U, ADDR_SYNTAX },
};

static struct addr_rules rules_of(unsigned bits)
{
	return (struct addr_rules){ .smtputf8 = bits & U, .relaxed = bits & R, .allow_bare_local = bits & B };
}

static void test_rows(void **state)
{
	(void)state;
	assert_true(COUNT(rows) >= 150);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct addr_rules rules = rules_of(rows[i].rules);
		struct addr a = { .quoted = true, .literal = true, .has_8bit = true }, untouched = a;
		enum addr_error e = addr_parse(rows[i].in, &rules, &a);
		if (e != rows[i].want)
			fail_msg("%s: %d instead of %d", rows[i].row, e, rows[i].want);
		if (e != ADDR_OK && e != ADDR_LITERAL) {
			check(memcmp((const char *)&a, (const char *)&untouched, sizeof a) == 0, rows[i].row);
			continue;
		}
		check(str_ends(rows[i].in, a.whole) && addr_is_clean(a.whole), rows[i].row);
		check(a.literal == (e == ADDR_LITERAL), rows[i].row);
		check(a.quoted == (a.local.p[0] == '"'), rows[i].row);
		check(a.whole.n == a.local.n + a.domain.n + (a.domain.n > 0), rows[i].row);
		/* re-emitted as it is, it means the same */
		struct addr b;
		check(addr_parse(a.whole, &rules, &b) == e && str_eq(b.local, a.local), rows[i].row);
	}
}

static void test_parts(void **state)
{
	struct addr_rules rules = { 0 };
	struct addr a;

	(void)state;
	assert_int_equal(addr_parse(S("@a.test,@b.test:\"v@x\"@Ext.test"), &rules, &a), ADDR_OK);
	check_str(a.whole, S("\"v@x\"@Ext.test"), "whole");
	check_str(a.local, S("\"v@x\""), "local");
	check_str(a.domain, S("Ext.test"), "domain");
	assert_true(a.quoted && !a.literal && !a.has_8bit);
}

static const struct {
	const char *row;
	struct str in;
	bool exact;
	struct str key; /* empty: no key */
} keys[] = {
	{ "plain", STR_LIT("user@example.com"), false, STR_LIT("user@example.com") },
	{ "case", STR_LIT("User.Name@EXAMPLE.com"), false, STR_LIT("user.name@example.com") },
	{ "case kept", STR_LIT("User.Name@EXAMPLE.com"), true, STR_LIT("User.Name@example.com") },
	{ "quotes not needed", STR_LIT("\"john\"@x.example"), false, STR_LIT("john@x.example") },
	{ "quotes not needed, dots", STR_LIT("\"john.doe\"@x.example"), false, STR_LIT("john.doe@x.example") },
	{ "quoted pair not needed", STR_LIT("\"j\\ohn\"@x.example"), false, STR_LIT("john@x.example") },
	{ "quotes needed", STR_LIT("\"A B\"@x.example"), false, STR_LIT("\"a b\"@x.example") },
	{ "quotes needed, pair not", STR_LIT("\"a\\ b\"@x.example"), false, STR_LIT("\"a b\"@x.example") },
	{ "pairs needed", STR_LIT("\"a\\\"\\\\b\"@x.example"), false, STR_LIT("\"a\\\"\\\\b\"@x.example") },
	{ "two dots need quotes", STR_LIT("\"a..b\"@x.example"), false, STR_LIT("\"a..b\"@x.example") },
	{ "empty needs quotes", STR_LIT("\"\"@x.example"), false, STR_LIT("\"\"@x.example") },
	{ "@ needs quotes", STR_LIT("\"a@b\"@x.example"), false, STR_LIT("\"a@b\"@x.example") },
	{ "tag stays", STR_LIT("v+Tag@x.example"), false, STR_LIT("v+tag@x.example") },
	{ "postmaster", STR_LIT("PostMaster"), false, STR_LIT("postmaster") },
	{ "U-label", STR_LIT("a@M\xc3\xbcnchen.example"), false, STR_LIT("a@xn--mnchen-3ya.example") },
	{ "A-label", STR_LIT("a@XN--MNCHEN-3YA.example"), false, STR_LIT("a@xn--mnchen-3ya.example") },
	{ "decomposed U-label", STR_LIT("a@mu\xcc\x88nchen.example"), false, STR_LIT("a@xn--mnchen-3ya.example") },
	{ "sharp s is kept (non-transitional)",
	  STR_LIT("a@stra\xc3\x9f"
		  "e.example"),
	  false, STR_LIT("a@xn--strae-oqa.example") },
	{ "homoglyph is not ours", STR_LIT("v@\xd0\xbeurs.example"), false, STR_LIT("v@xn--urs-red.example") },
	{ "composed local", STR_LIT("j\xc3\xb6rg@x.example"), false, STR_LIT("j\xc3\xb6rg@x.example") },
	{ "decomposed local", STR_LIT("jo\xcc\x88rg@x.example"), false, STR_LIT("j\xc3\xb6rg@x.example") },
	{ "no Unicode case folding", STR_LIT("J\xc3\x96rg@x.example"), false, STR_LIT("j\xc3\x96rg@x.example") },
	{ "h with macron composes small only", STR_LIT("H\xcc\xb1@x.example"), false,
	  STR_LIT("\xe1\xba\x96@x.example") },
	{ "Greek question mark becomes ;", STR_LIT("a\xcd\xbe@x.example"), false, STR_LIT("\"a;\"@x.example") },
	{ "Kelvin sign becomes k", STR_LIT("\xe2\x84\xaa@x.example"), false, STR_LIT("k@x.example") },
	{ "IPv4 literal", STR_LIT("a@[192.0.2.1]"), false, STR_LIT("a@[192.0.2.1]") },
	{ "IPv6 literal", STR_LIT("a@[IPV6:2001:DB8:0:0::1]"), false, STR_LIT("a@[ipv6:2001:db8::1]") },
};

static void test_keys(void **state)
{
	struct addr_rules rules = { .smtputf8 = true, .allow_bare_local = true };
	struct addr a, b;
	struct buf key, again;

	(void)state;
	buf_init(&key, 4096);
	buf_init(&again, 4096);
	for (size_t i = 0; i < COUNT(keys); i++) {
		enum addr_error e = addr_parse(keys[i].in, &rules, &a);
		check(e == ADDR_OK || e == ADDR_LITERAL, keys[i].row);
		buf_reset(&key);
		check(addr_normalize(&a, keys[i].exact, &key), keys[i].row);
		check_str(buf_str(&key), keys[i].key, keys[i].row);
		/* a key is its own key */
		e = addr_parse(buf_str(&key), &rules, &b);
		check(e == ADDR_OK || e == ADDR_LITERAL, keys[i].row);
		buf_reset(&again);
		check(addr_normalize(&b, keys[i].exact, &again), keys[i].row);
		check_str(buf_str(&again), keys[i].key, keys[i].row);
	}
	buf_fini(&key);
	buf_fini(&again);
}

static void test_key_does_not_fit(void **state)
{
	struct addr_rules rules = { 0 };
	struct addr a;
	struct buf key;

	(void)state;
	buf_init(&key, 10);
	buf_add(&key, S("k:"));
	assert_int_equal(addr_parse(S("user@example.com"), &rules, &a), ADDR_OK);
	assert_false(addr_normalize(&a, false, &key));
	check_str(buf_str(&key), S("k:"), "untouched");
	buf_fini(&key);
}

static void test_domains(void **state)
{
	static const struct {
		struct str in;
		bool ascii, utf8;
		struct str norm;
	} d[] = {
		{ STR_LIT("Example.COM"), true, true, STR_LIT("example.com") },
		{ STR_LIT("example.com."), false, false, STR_LIT("example.com") },
		{ STR_LIT("m\xc3\xbcnchen.example"), false, true, STR_LIT("xn--mnchen-3ya.example") },
		{ STR_LIT("m\xc3\xbcnchen.example."), false, false, STR_LIT("xn--mnchen-3ya.example") },
		{ STR_LIT("[127.0.0.1]"), false, false, STR_LIT("") },
		{ STR_LIT(""), false, false, STR_LIT("") },
		{ STR_LIT("."), false, false, STR_LIT("") },
		{ STR_LIT("a.."), false, false, STR_LIT("") },
		{ STR_LIT("a_b"), false, false, STR_LIT("") },
		{ STR_LIT("\xff"), false, false, STR_LIT("") },
	};
	struct buf b;

	(void)state;
	buf_init(&b, 1024);
	for (size_t i = 0; i < COUNT(d); i++) {
		check(addr_is_domain(d[i].in, false) == d[i].ascii, d[i].in.p);
		check(addr_is_domain(d[i].in, true) == d[i].utf8, d[i].in.p);
		buf_reset(&b);
		check(addr_normalize_domain(d[i].in, &b) == (d[i].norm.n > 0), d[i].in.p);
		check_str(buf_str(&b), d[i].norm, d[i].in.p);
	}
	buf_fini(&b);
}

static void test_helo(void **state)
{
	static const struct {
		struct str in;
		bool good;
	} h[] = {
		{ STR_LIT("mail.example.com"), true },
		{ STR_LIT("WIN_SRV-01"), true },
		{ STR_LIT("PC-"), true },
		{ STR_LIT("[192.0.2.1]"), true },
		{ STR_LIT("[IPv6:::1]"), true },
		{ STR_LIT("a" S63), false },
		{ STR_LIT("[192.0.2]"), false },
		{ STR_LIT(""), false },
		{ STR_LIT("a..b"), false },
		{ STR_LIT("a b"), false },
		{ STR_LIT("a\0b"), false },
		{ STR_LIT("${run{x}}"), false },
		{ STR_LIT(D250 ".abcde"), false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(h); i++)
		check(addr_is_helo(h[i].in) == h[i].good, h[i].in.p);
}

static void test_xtext(void **state)
{
	static const struct {
		struct str in;
		bool good;
		struct str out;
	} x[] = {
		{ STR_LIT("abc"), true, STR_LIT("abc") },
		{ STR_LIT(""), true, STR_LIT("") },
		{ STR_LIT("a+2Bb+3Dc"), true, STR_LIT("a+b=c") },
		{ STR_LIT("a+20b"), true, STR_LIT("a b") },
		{ STR_LIT("+C3+BC"), true, STR_LIT("\xc3\xbc") },
		{ STR_LIT("x+0Ay"), false, STR_LIT("") }, /* CVE-2020-28021, -28026 */
		{ STR_LIT("x+0D"), false, STR_LIT("") },
		{ STR_LIT("x+00"), false, STR_LIT("") },
		{ STR_LIT("x+7F"), false, STR_LIT("") },
		{ STR_LIT("x+2b"), false, STR_LIT("") }, /* RFC 3461 4: upper case only */
		{ STR_LIT("x+2"), false, STR_LIT("") },
		{ STR_LIT("x+"), false, STR_LIT("") },
		{ STR_LIT("x=y"), false, STR_LIT("") },
		{ STR_LIT("x y"), false, STR_LIT("") },
		{ STR_LIT("x\ny"), false, STR_LIT("") },
		{ STR_LIT("\xc3\xbc"), false, STR_LIT("") },
	};
	struct buf b;

	(void)state;
	buf_init(&b, 4096);
	for (size_t i = 0; i < COUNT(x); i++) {
		buf_reset(&b);
		check(addr_is_xtext(x[i].in) == x[i].good, x[i].in.p);
		check(addr_xtext_decode(x[i].in, &b) == x[i].good, x[i].in.p);
		check_str(buf_str(&b), x[i].out, x[i].in.p);
		if (!x[i].good)
			continue;
		buf_reset(&b);
		addr_xtext_encode(x[i].out, &b);
		check_str(buf_str(&b), x[i].in, x[i].in.p);
	}
	buf_fini(&b);
}

static void test_clean(void **state)
{
	static const struct {
		struct str in;
		bool good;
	} c[] = {
		{ STR_LIT(""), true },
		{ STR_LIT("a@b"), true },
		{ STR_LIT("\"a b\"@c"), true },
		{ STR_LIT("\"a\\\"> <b\"@c"), true },
		{ STR_LIT("j\xc3\xb6rg@c"), true },
		{ STR_LIT("a b@c"), false },
		{ STR_LIT("a@b>"), false },
		{ STR_LIT("<a@b"), false },
		{ STR_LIT("\"a b@c"), false },
		{ STR_LIT("\"a\\\" b@c"), false },
		{ STR_LIT("\"a\\"), false },
		{ STR_LIT("a@b\r\nRCPT TO:<x>"), false },
		{ STR_LIT("a@b\n"), false },
		{ STR_LIT("\"a\n\"@b"), false },
		{ STR_LIT("\"a\\\n\"@b"), false },
		{ STR_LIT("a\0@b"), false },
		{ STR_LIT("a\t@b"), false },
		{ STR_LIT("a\x7f@b"), false },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(c); i++)
		check(addr_is_clean(c[i].in) == c[i].good, c[i].in.p);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),    cmocka_unit_test(test_parts),
		cmocka_unit_test(test_keys),    cmocka_unit_test(test_key_does_not_fit),
		cmocka_unit_test(test_domains), cmocka_unit_test(test_helo),
		cmocka_unit_test(test_xtext),   cmocka_unit_test(test_clean),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
