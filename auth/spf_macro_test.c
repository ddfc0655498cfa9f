/* auth/spf_macro_test.c: the examples of RFC 7208 7.4, and what is odd. */
#include "auth/spf_macro.h"
#include "tests/unit.h"

static const struct {
	const char *text, *sender, *ip, *domain, *want; /* NULL: no macro string */
	enum spf_expand how;
} rows[] = {
#define MAIL "strong-bad@email.example.com"
#define V4   "192.0.2.3"
#define V6   "2001:db8::cb01"
#define DOM  "email.example.com"
	{ "%{s}", MAIL, V4, DOM, "strong-bad@email.example.com", EXPAND_NAME },
	{ "%{o}", MAIL, V4, DOM, "email.example.com", EXPAND_NAME },
	{ "%{d}", MAIL, V4, DOM, "email.example.com", EXPAND_NAME },
	{ "%{d4}", MAIL, V4, DOM, "email.example.com", EXPAND_NAME },
	{ "%{d3}", MAIL, V4, DOM, "email.example.com", EXPAND_NAME },
	{ "%{d2}", MAIL, V4, DOM, "example.com", EXPAND_NAME },
	{ "%{d1}", MAIL, V4, DOM, "com", EXPAND_NAME },
	{ "%{dr}", MAIL, V4, DOM, "com.example.email", EXPAND_NAME },
	{ "%{d2r}", MAIL, V4, DOM, "example.email", EXPAND_NAME },
	{ "%{l}", MAIL, V4, DOM, "strong-bad", EXPAND_NAME },
	{ "%{l-}", MAIL, V4, DOM, "strong.bad", EXPAND_NAME },
	{ "%{lr}", MAIL, V4, DOM, "strong-bad", EXPAND_NAME },
	{ "%{lr-}", MAIL, V4, DOM, "bad.strong", EXPAND_NAME },
	{ "%{l1r-}", MAIL, V4, DOM, "strong", EXPAND_NAME },
	{ "%{ir}.%{v}._spf.%{d2}", MAIL, V4, DOM, "3.2.0.192.in-addr._spf.example.com", EXPAND_NAME },
	{ "%{lr-}.lp._spf.%{d2}", MAIL, V4, DOM, "bad.strong.lp._spf.example.com", EXPAND_NAME },
	{ "%{lr-}.lp.%{ir}.%{v}._spf.%{d2}", MAIL, V4, DOM, "bad.strong.lp.3.2.0.192.in-addr._spf.example.com",
	  EXPAND_NAME },
	{ "%{ir}.%{v}.%{l1r-}.lp._spf.%{d2}", MAIL, V4, DOM, "3.2.0.192.in-addr.strong.lp._spf.example.com",
	  EXPAND_NAME },
	{ "%{d2}.trusted-domains.example.net", MAIL, V4, DOM, "example.com.trusted-domains.example.net", EXPAND_NAME },
	{ "%{ir}.%{v}._spf.%{d2}", MAIL, V6, DOM,
	  "1.0.b.c.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6._spf.example.com", EXPAND_NAME },
	/* names with just as many labels as are asked for */
	{ "%{d2}.x.example", "a@b.example", V4, "b.example", "b.example.x.example", EXPAND_NAME },
	{ "%{D2R}.x", "a@b.example", V4, "b.example", "example.b.x", EXPAND_NAME },
	{ "%{d9}.x", "a@b.example", V4, "b.example", "b.example.x", EXPAND_NAME },
	{ "%{o1}.x", "a@b.example", V4, "c.example", "example.x", EXPAND_NAME },
	{ "%{h}.x", MAIL, V4, DOM, "helo.example.x", EXPAND_NAME },
	{ "%{L}.x", "a+b@b.example", V4, DOM, "a%2bb.x", EXPAND_NAME },
	{ "%{S}.x", "a b@c.example", V4, DOM, "a%20b%40c.example.x", EXPAND_NAME },
	{ "%{l+}.x", "a+b@b.example", V4, DOM, "a.b.x", EXPAND_NAME },
	{ "%{l+-}.x", "a+b-c@b.example", V4, DOM, "a.b.c.x", EXPAND_NAME },
	{ "%{l=_/,}.x", "a=b_c/d,e@b.example", V4, DOM, "a.b.c.d.e.x", EXPAND_NAME },
	{ "%{l1+}.x", "a+b@b.example", V4, DOM, "b.x", EXPAND_NAME },
	{ "a%%b%_c%-d", MAIL, V4, DOM, "a%b c%20d", EXPAND_NAME },
	{ "%{p}.x", MAIL, V4, DOM, "unknown.x", EXPAND_NAME },
	{ "%{c}", MAIL, V4, DOM, NULL, EXPAND_NAME },
	{ "%{r}", MAIL, V4, DOM, NULL, EXPAND_NAME },
	{ "%{t}", MAIL, V4, DOM, NULL, EXPAND_NAME },
	{ "%{z}", MAIL, V4, DOM, NULL, EXPAND_NAME },
	{ "%{d", MAIL, V4, DOM, NULL, EXPAND_NAME },
	{ "%", MAIL, V4, DOM, NULL, EXPAND_NAME },
	{ "%x", MAIL, V4, DOM, NULL, EXPAND_NAME },
	{ "", MAIL, V4, DOM, NULL, EXPAND_NAME },
	{ "%{c} at %{r}, %{t}", MAIL, V4, DOM, "192.0.2.3 at us.example, 99", EXPAND_TEXT },
	{ "%{c}", MAIL, V6, DOM, "2001:db8::cb01", EXPAND_TEXT },
	{ "", MAIL, V4, DOM, "", EXPAND_TEXT },
	/* libspf2 must find no macro in what is not one */
	{ "%{l}.x", "a%{d}@b.example", V4, DOM, "a%%{d}.x", EXPAND_LIBRARY },
	{ "a%_b.%{d}", MAIL, V4, DOM, "a%_b.email.example.com", EXPAND_LIBRARY },
	{ "%{d}.%{p2r}.%{d1}", MAIL, V4, DOM, "email.example.com.%{p2r}.com", EXPAND_LIBRARY },
};

static void test_rows(void **state)
{
	(void)state;
	struct buf b;

	buf_init(&b, 512);
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct spf_macros m = { .sender = str_c(rows[i].sender),
					.domain = str_c(rows[i].domain),
					.helo = S("helo.example"),
					.receiver = S("us.example"),
					.now_s = 99 };
		assert_true(net_parse_ip(str_c(rows[i].ip), 0, &m.client));
		buf_reset(&b);
		bool good = spf_expand(str_c(rows[i].text), &m, rows[i].how, &b);
		check(good == (rows[i].want != NULL), rows[i].text);
		if (good)
			check_str(buf_str(&b), str_c(rows[i].want), rows[i].text);
	}
	buf_fini(&b);
}

/* 7.3: what is longer than a name loses labels in front. */
static void test_long(void **state)
{
	(void)state;
	char domain[300] = { 0 };
	struct spf_macros m = { .sender = S("a@b.example"), .domain = str_n(domain, 200) };
	struct buf b;

	for (size_t i = 0; i < sizeof domain; i++)
		domain[i] = i % 10 == 9 ? '.' : 'a';
	domain[199] = 'a';
	net_parse_ip(S("192.0.2.1"), 0, &m.client);
	buf_init(&b, 512);
	assert_true(spf_expand(S("first.%{d}.second.%{d1}.%{d8}"), &m, EXPAND_NAME, &b));
	assert_true(b.n <= 253);
	assert_true(str_ends(buf_str(&b), S("a")));
	assert_int_not_equal(b.p[0], '.');
	buf_fini(&b);
}

static void test_has_p(void **state)
{
	(void)state;
	assert_true(spf_has_p(S("x.%{p}")));
	assert_true(spf_has_p(S("%{P2r}")));
	assert_false(spf_has_p(S("%%{p}")));
	assert_false(spf_has_p(S("p.%{d}")));
	assert_false(spf_has_p(S("%")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_long),
		cmocka_unit_test(test_has_p),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
