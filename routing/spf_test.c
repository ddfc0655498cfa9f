/* routing/spf_test.c: records of a small DNS, and which addresses they name. */
#include "routing/spf.h"
#include "tests/unit.h"

#include <string.h>

enum { A, M, T }; /* address; address of an exchanger; text */

static const struct {
	const char *name;
	int type;
	const char *value;
} zone[] = {
	{ "plain.example", T, "v=spf1 ip4:192.0.2.0/24 ip6:2001:db8::/32 -all" },
	{ "plain.example", T, "google-site-verification=x" },
	{ "cut.example", T, "V=SPF1 -ip4:192.0.2.9 ip4:192.0.2.77/24 ~all" },
	{ "hosts.example", T, "v=spf1 a mx:mail.example a:other.example/24//64 -all" },
	{ "hosts.example", A, "192.0.2.1" },
	{ "other.example", A, "198.51.100.7" },
	{ "other.example", A, "2001:db8:5::7" },
	{ "mail.example", M, "203.0.113.5" },
	{ "nomx.example", T, "v=spf1 mx -all" },
	{ "nomx.example", A, "192.0.2.1" },
	{ "cloud.example", T, "v=spf1 ip4:10.0.0.0/8 include:spf.provider.example -all" },
	{ "spf.provider.example", T, "v=spf1 include:a.provider.example ?all" },
	{ "a.provider.example", T, "v=spf1 ip4:203.0.113.0/25 -all" },
	{ "moved.example", T, "v=spf1 redirect=plain.example" },
	{ "movedall.example", T, "v=spf1 redirect=plain.example -all" },
	{ "open.example", T, "v=spf1 +all" },
	{ "none.example", T, "hello" },
	{ "twice.example", T, "v=spf1 -all" },
	{ "twice.example", T, "v=spf1 +all" },
	{ "macro.example", T, "v=spf1 include:%{d}.x.example -all" },
	{ "exists.example", T, "v=spf1 exists:%{i}.x.example ip4:192.0.2.0/24 -all" },
	{ "exists2.example", T, "v=spf1 -ptr ip4:192.0.2.0/24 -all" },
	{ "round.example", T, "v=spf1 include:round.example -all" },
	{ "dangling.example", T, "v=spf1 include:none.example ip4:192.0.2.0/24 -all" },
	{ "typo.example", T, "v=spf1 ipv4:192.0.2.1 -all" },
	{ "typo2.example", T, "v=spf1 ip4:192.0.2.300 -all" },
	{ "typo3.example", T, "v=spf1 ip4:192.0.2.1/40 -all" },
	{ "typo4.example", T, "v=spf1 a/x -all" },
	{ "neutral.example", T, "v=spf1 exp=why.example" },
	{ "ten.example", T, "v=spf1 a a a a a a a a a a ip4:192.0.2.1 -all" },
	{ "eleven.example", T, "v=spf1 a a a a a a a a a a a ip4:192.0.2.1 -all" },
	{ "wide.example", T, "v=spf1 ip6:::/0 -all" },
	{ "dead-include.example", T, "v=spf1 include:dead.example -all" },
	{ "dead-include2.example", T, "v=spf1 include:dead.example ip4:192.0.2.0/24 -all" },
};

static void tell(struct spf *s, const struct spf_question *q)
{
	static struct str texts[8];
	static struct net_addr addrs[8];
	struct mx_host host = { .addrs = addrs };
	struct dns_lookup a = { .texts = texts, .hosts = &host, .host_n = 1, .has_mx = q->what == SPF_MX };

	a.status = str_starts(str_c(q->name), S("dead")) && strchr(q->name, '-') == NULL ? DNS_FAILED : DNS_NODATA;
	for (size_t i = 0; i < COUNT(zone); i++) {
		if (!str_ieq(str_c(zone[i].name), str_c(q->name)))
			continue;
		if (q->what == SPF_TXT && zone[i].type == T)
			texts[a.text_n++] = str_c(zone[i].value);
		else if ((q->what == SPF_HOST && zone[i].type == A) || (q->what == SPF_MX && zone[i].type == M))
			check(net_parse_ip(str_c(zone[i].value), 25, &addrs[host.addr_n++]), zone[i].value);
	}
	/* without an MX the DNS gives the domain's own address */
	for (size_t i = 0; q->what == SPF_MX && host.addr_n == 0 && i < COUNT(zone); i++)
		if (zone[i].type == A && str_ieq(str_c(zone[i].name), str_c(q->name))) {
			a.has_mx = false;
			check(net_parse_ip(str_c(zone[i].value), 25, &addrs[host.addr_n++]), zone[i].value);
		}
	if (a.text_n + host.addr_n > 0)
		a.status = DNS_OK;
	spf_tell(s, q, &a);
}

static const struct {
	const char *domain, *egress;
	enum spf_result result;
	const char *why; /* in it */
} rows[] = {
	{ "plain.example", "192.0.2.1", SPF_COVERED, "ip4:192.0.2.0/24" },
	{ "Plain.Example", "192.0.2.0/25", SPF_COVERED, "" },
	{ "plain.example", "192.0.2.0/23", SPF_UNKNOWN, "" }, /* half of it */
	{ "plain.example", "198.51.100.1", SPF_NOT_COVERED, "'-all' of plain.example" },
	{ "plain.example", "2001:db8::9", SPF_COVERED, "ip6" },
	{ "plain.example", "2001:db9::9", SPF_NOT_COVERED, "" },
	{ "cut.example", "192.0.2.9", SPF_NOT_COVERED, "-ip4" },
	{ "cut.example", "192.0.2.200", SPF_COVERED, "" }, /* bits behind the prefix do not count */
	{ "cut.example", "198.51.100.1", SPF_NOT_COVERED, "~all" },
	{ "hosts.example", "192.0.2.1", SPF_COVERED, "'a'" },
	{ "hosts.example", "192.0.2.2", SPF_NOT_COVERED, "" },
	{ "hosts.example", "203.0.113.5", SPF_COVERED, "mx:mail.example" },
	{ "hosts.example", "198.51.100.200", SPF_COVERED, "a:other.example/24//64" },
	{ "hosts.example", "2001:db8:5::ffff", SPF_COVERED, "" },
	{ "hosts.example", "2001:db8:6::7", SPF_NOT_COVERED, "" },
	{ "nomx.example", "192.0.2.1", SPF_NOT_COVERED, "" },
	{ "cloud.example", "203.0.113.9", SPF_COVERED, "include:spf.provider.example" },
	{ "cloud.example", "203.0.113.200", SPF_NOT_COVERED, "-all" },
	{ "cloud.example", "spf.provider.example", SPF_COVERED, "include" },
	{ "cloud.example", "a.provider.example", SPF_COVERED, "" },
	{ "plain.example", "spf.provider.example", SPF_NOT_COVERED, "" },
	{ "moved.example", "192.0.2.1", SPF_COVERED, "plain.example" },
	{ "moved.example", "plain.example", SPF_COVERED, "redirect" },
	{ "movedall.example", "192.0.2.1", SPF_NOT_COVERED, "-all" }, /* all wins over redirect */
	{ "open.example", "192.0.2.1", SPF_COVERED, "" },
	{ "none.example", "192.0.2.1", SPF_NOT_COVERED, "no SPF record" },
	{ "absent.example", "192.0.2.1", SPF_NOT_COVERED, "no SPF record" },
	{ "dead.example", "192.0.2.1", SPF_UNKNOWN, "could not be looked up" },
	{ "twice.example", "192.0.2.1", SPF_NOT_COVERED, "two of them" },
	{ "macro.example", "192.0.2.1", SPF_UNKNOWN, "does not say it alone" },
	{ "exists.example", "192.0.2.1", SPF_COVERED, "" }, /* whatever exists says, it is let in */
	{ "exists.example", "198.51.100.1", SPF_UNKNOWN, "" },
	{ "exists2.example", "192.0.2.1", SPF_UNKNOWN, "" },
	{ "exists2.example", "198.51.100.1", SPF_NOT_COVERED, "" },
	{ "round.example", "192.0.2.1", SPF_NOT_COVERED, "more than 10 lookups" },
	{ "dangling.example", "192.0.2.1", SPF_NOT_COVERED, "none.example has no SPF record" },
	{ "typo.example", "192.0.2.1", SPF_NOT_COVERED, "unknown mechanism" },
	{ "typo2.example", "192.0.2.1", SPF_NOT_COVERED, "an address that is none" },
	{ "typo3.example", "192.0.2.1", SPF_NOT_COVERED, "an address that is none" },
	{ "typo4.example", "192.0.2.1", SPF_NOT_COVERED, "a prefix length" },
	{ "neutral.example", "192.0.2.1", SPF_NOT_COVERED, "does not name it" },
	{ "ten.example", "192.0.2.1", SPF_COVERED, "" },
	{ "eleven.example", "192.0.2.1", SPF_NOT_COVERED, "more than 10 lookups" },
	{ "wide.example", "192.0.2.1", SPF_NOT_COVERED, "" }, /* no IPv4 address is in ::/0 */
	{ "wide.example", "2001:db8::1", SPF_COVERED, "" },
	{ "dead-include.example", "192.0.2.1", SPF_UNKNOWN, "" },
	{ "dead-include2.example", "192.0.2.1", SPF_COVERED, "" },
};

static void test_rows(void **state)
{
	struct spf *shared = spf_new();
	struct spf_question q;
	char why[SPF_WHY];

	(void)state;
	for (size_t i = 0; i < 2 * COUNT(rows); i++) { /* twice: the second time nothing is asked any more */
		size_t k = i % COUNT(rows);
		enum spf_result want = rows[k].result, got;
		unsigned asked = 0;
		while ((got = spf_covers(shared, str_c(rows[k].domain), str_c(rows[k].egress), &q, why)) == SPF_ASK) {
			check(++asked < 50 && i < COUNT(rows), rows[k].domain);
			tell(shared, &q);
		}
		if (got != want || str_find(str_c(why), str_c(rows[k].why)) < 0)
			fail_msg("%s, %s: result %d, expected %d: %s", rows[k].domain, rows[k].egress, got, want, why);
	}
	spf_free(&shared);
	spf_free(&shared);
}

/* A thousand domains do not make it grow: then it cannot tell. */
static void test_full(void **state)
{
	struct spf *s = spf_new();
	struct spf_question q;
	char why[SPF_WHY], name[40];
	size_t unknown = 0;

	(void)state;
	for (int i = 0; i < 1000; i++) {
		enum spf_result r;
		snprintf(name, sizeof name, "d%d.example", i);
		while ((r = spf_covers(s, str_c(name), S("192.0.2.1"), &q, why)) == SPF_ASK)
			tell(s, &q);
		unknown += r == SPF_UNKNOWN;
	}
	assert_int_equal(unknown, 1000 - SPF_ANSWERS_MAX);
	spf_free(&s);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_full),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
