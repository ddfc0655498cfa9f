/* auth/spf_record_test.c: the grammar of RFC 7208 12, term by term. */
#include "auth/spf_record.h"
#include "tests/unit.h"

static const struct {
	const char *record;
	int terms; /* -1: wrong */
} rows[] = {
	{ "v=spf1", 0 },
	{ "v=spf1 ", 0 },
	{ "V=SPF1 -ALL", 1 },
	{ "v=spf1 -all", 1 },
	{ "v=spf1   a   mx  ", 2 },
	{ "v=spf1 +a -mx ~ptr ?all", 4 },
	{ "v=spf1 a:example.org", 1 },
	{ "v=spf1 a:example.org.", 1 },
	{ "v=spf1 a/24", 1 },
	{ "v=spf1 a//64", 1 },
	{ "v=spf1 a/24//64", 1 },
	{ "v=spf1 a/0//0", 1 },
	{ "v=spf1 a:example.org/24//64", 1 },
	{ "v=spf1 a/33", -1 },
	{ "v=spf1 a//129", -1 },
	{ "v=spf1 a/024", -1 },
	{ "v=spf1 a/", -1 },
	{ "v=spf1 a/24/64", -1 },
	{ "v=spf1 a//64/24", -1 },
	{ "v=spf1 a:", -1 },
	{ "v=spf1 a:/24", -1 },
	{ "v=spf1 a:example", -1 },
	{ "v=spf1 a:example.1", -1 },
	{ "v=spf1 a:1.2.3.4", -1 },
	{ "v=spf1 a:example.x1", 1 },
	{ "v=spf1 a:example.1-1", 1 },
	{ "v=spf1 a:example.-x", -1 },
	{ "v=spf1 a:example.x-", -1 },
	{ "v=spf1 a:.example", -1 },
	{ "v=spf1 a:x..example", -1 },
	{ "v=spf1 a:example.com:8080", -1 },
	{ "v=spf1 a:_spf.example.org", 1 },
	{ "v=spf1 a:abc.%{d}", 1 },
	{ "v=spf1 a:%{d}/24", 1 },
	{ "v=spf1 a:%{d2r}", 1 },
	{ "v=spf1 a:%{D2R.-+,/_=}", 1 },
	{ "v=spf1 a:%{i}._spf.%{d2}", 1 },
	{ "v=spf1 a:%%x.example", 1 },
	{ "v=spf1 a:%_%-.example.org", 1 },
	{ "v=spf1 a:%(x).example", -1 },
	{ "v=spf1 a:%{x}", -1 },
	{ "v=spf1 a:%{d", -1 },
	{ "v=spf1 a:%{d0}", -1 },
	{ "v=spf1 a:%{dr2}", -1 },
	{ "v=spf1 a:%{c}.example.org", -1 }, /* of explanations only */
	{ "v=spf1 a:%{r}.example.org", -1 },
	{ "v=spf1 a:%{t}.example.org", -1 },
	{ "v=spf1 a:%", -1 },
	{ "v=spf1 a:%{d}x", -1 }, /* neither a label nor a macro at the end */
	{ "v=spf1 a:%{d}.example", 1 },
	{ "v=spf1 mx:mail.example.org/28", 1 },
	{ "v=spf1 mx/", -1 },
	{ "v=spf1 mx-foo", -1 },
	{ "v=spf1 mx;a", -1 },
	{ "v=spf1 ptr", 1 },
	{ "v=spf1 ptr:example.org", 1 },
	{ "v=spf1 ptr:", -1 },
	{ "v=spf1 ptr/24", -1 },
	{ "v=spf1 ip4:192.0.2.1", 1 },
	{ "v=spf1 ip4:192.0.2.0/24", 1 },
	{ "v=spf1 ip4:0.0.0.0/0", 1 },
	{ "v=spf1 ip4:192.0.2.1/33", -1 },
	{ "v=spf1 ip4:192.0.2.1/032", -1 },
	{ "v=spf1 ip4:192.0.2.1/", -1 },
	{ "v=spf1 ip4:192.0.2.1//32", -1 },
	{ "v=spf1 ip4:192.0.2", -1 },
	{ "v=spf1 ip4:192.0.2.256", -1 },
	{ "v=spf1 ip4:192.0.2.1:8080", -1 },
	{ "v=spf1 ip4", -1 },
	{ "v=spf1 ip4:", -1 },
	{ "v=spf1 ip4:2001:db8::1", -1 },
	{ "v=spf1 ip6:2001:db8::1", 1 },
	{ "v=spf1 ip6:2001:db8::/32", 1 },
	{ "v=spf1 ip6:::/0", 1 },
	{ "v=spf1 ip6:::ffff:192.0.2.1", 1 },
	{ "v=spf1 ip6:2001:db8::1/129", -1 },
	{ "v=spf1 ip6:2001:db8::1//33", -1 },
	{ "v=spf1 ip6:2001:db8:::1", -1 },
	{ "v=spf1 ip6:192.0.2.1", -1 },
	{ "v=spf1 ip6:fe80::1%eth0", -1 },
	{ "v=spf1 exists:%{i}.example.org", 1 },
	{ "v=spf1 exists", -1 },
	{ "v=spf1 exists:", -1 },
	{ "v=spf1 exists:example.org/24", -1 },
	{ "v=spf1 include:example.org", 1 },
	{ "v=spf1 include", -1 },
	{ "v=spf1 include:", -1 },
	{ "v=spf1 include:example.org/24", -1 },
	{ "v=spf1 include=example.org", 1 }, /* an unknown modifier */
	{ "v=spf1 all.", -1 },
	{ "v=spf1 all:foo", -1 },
	{ "v=spf1 all/8", -1 },
	{ "v=spf1 -all foo", -1 },
	{ "v=spf1 foo:bar", -1 },
	{ "v=spf1 foo=bar", 1 },
	{ "v=spf1 foo-x_y.z=%{d}bar", 1 },
	{ "v=spf1 1foo=bar", -1 },
	{ "v=spf1 =bar", -1 },
	{ "v=spf1 foo=%bar", -1 },
	{ "v=spf1 foo=", 1 },
	{ "v=spf1 moo=%{c}", -1 },
	{ "v=spf1 redirect=example.org", 1 },
	{ "v=spf1 redirect=", -1 },
	{ "v=spf1 redirect=example", -1 },
	{ "v=spf1 -redirect=example.org", -1 },
	{ "v=spf1 redirect:example.org", -1 },
	{ "v=spf1 redirect=a.example redirect=b.example", -1 },
	{ "v=spf1 exp=a.example", 1 },
	{ "v=spf1 exp=", -1 },
	{ "v=spf1 exp=a.example exp=b.example", -1 },
	{ "v=spf1 a\tmx", -1 },
	{ "v=spf1 a:caf\xc3\xa9.example", -1 },
	{ "v=spf1 -", -1 },
	{ "v=spf1 --all", -1 },
};

static void test_rows(void **state)
{
	(void)state;
	static struct spf_record r;
	struct str at;

	for (size_t i = 0; i < COUNT(rows); i++) {
		const char *wrong = spf_record_parse(str_c(rows[i].record), &r, &at);
		check((wrong == NULL ? (int)r.n : -1) == rows[i].terms, rows[i].record);
	}
}

static void test_values(void **state)
{
	(void)state;
	static struct spf_record r;
	struct str at;

	assert_null(spf_record_parse(S("v=spf1 ~mx:a.example/20//60 redirect=b.example exp=c.example"), &r, &at));
	assert_int_equal(r.n, 3);
	assert_int_equal(r.terms[0].kind, SPF_MX);
	assert_int_equal(r.terms[0].qualifier, '~');
	assert_int_equal(r.terms[0].bits4, 20);
	assert_int_equal(r.terms[0].bits6, 60);
	check_str(r.terms[0].domain, S("a.example"), "domain");
	check_str(r.terms[0].written, S("~mx:a.example/20//60"), "written");
	assert_ptr_equal(r.redirect, &r.terms[1]);
	assert_ptr_equal(r.exp, &r.terms[2]);
	assert_null(spf_record_parse(S("v=spf1 a"), &r, &at));
	assert_int_equal(r.terms[0].bits4, 32);
	assert_int_equal(r.terms[0].bits6, 128);
}

static void test_is_record(void **state)
{
	(void)state;
	assert_true(spf_is_record(S("v=spf1")));
	assert_true(spf_is_record(S("V=Spf1 x")));
	assert_false(spf_is_record(S("v=spf10")));
	assert_false(spf_is_record(S("v=spf2.0/pra a")));
	assert_false(spf_is_record(S(" v=spf1")));
	assert_false(spf_is_record(S("v=spf1\t-all")));
	assert_false(spf_is_record(S("v=spf")));
}

static void test_domains(void **state)
{
	(void)state;
	assert_true(spf_is_domain(S("a.example")));
	assert_true(spf_is_domain(S("_x.a.example.")));
	assert_false(spf_is_domain(S("example")));
	assert_false(spf_is_domain(S("")));
	assert_false(spf_is_domain(S("a..example")));
	assert_false(spf_is_domain(S(".example.org")));
	assert_false(spf_is_domain(S("a b.example")));
	assert_false(spf_is_domain(S("a(b.example")));
	assert_false(spf_is_domain(S("a@b.example")));
	assert_false(spf_is_domain(S("0123456789012345678901234567890123456789012345678901234567890123.example")));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_values),
		cmocka_unit_test(test_is_record),
		cmocka_unit_test(test_domains),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
