/* auth/dmarc_record_test.c: DMARC records as they are published, well and badly. */
#include "auth/dmarc_record.h"
#include "tests/unit.h"

/* The record in one line: "use p/sp/np alignments psd t | faults"; "no record". */
static void tell(struct str text, struct buf *out)
{
	static const char *const uses[] = { "policy", "none", "nothing" };
	struct dmarc_record r;

	if (!dmarc_record_parse(text, &r)) {
		buf_add(out, S("no record"));
		return;
	}
	buf_addf(out, "%s ", uses[dmarc_record_use(&r)]);
	static const enum dmarc_tag tags[] = { DMARC_TAG_P, DMARC_TAG_SP, DMARC_TAG_NP };
	const enum dmarc_policy values[] = { r.p, r.sp, r.np };
	for (size_t i = 0; i < COUNT(tags); i++)
		buf_addc(out, dmarc_record_has(&r, tags[i]) ? dmarc_policy_name(values[i])[0] : '-');
	buf_addf(out, " %c%c %c%s |", r.adkim_strict ? 's' : 'r', r.aspf_strict ? 's' : 'r', "uyn"[r.psd],
		 r.testing ? " t" : "");
	dmarc_record_tell(&r, out);
}

static void test_records(void **state)
{
	static const struct {
		const char *text, *said;
	} rows[] = {
		/* RFC 9989 B.2 */
		{ "v=DMARC1; p=none; rua=mailto:dmarc-feedback@example.com", "policy n-- rr u |" },
		{ "v=DMARC1; p=none; rua=mailto:f@example.com; ruf=mailto:a@example.com", "policy n-- rr u |" },
		{ "v=DMARC1; p=none; rua=mailto:f@example.com; ruf=mailto:a@thirdparty.example.net",
		  "policy n-- rr u |" },
		{ "v=DMARC1;", "nothing --- rr u |p= is missing" }, /* authorises reports, asks for nothing */
		{ "v=DMARC1; rua=mailto:a@thirdparty.example.net; ruf=mailto:b@thirdparty.example.net",
		  "none --- rr u |p= is missing" },
		{ "v=DMARC1; p=quarantine; rua=mailto:a@example.com,mailto:b@example.net; t=y", "policy q-- rr u t |" },
		{ "v=DMARC1; p=reject; rua=mailto:a@example.com,mailto:b@example.net", "policy r-- rr u |" },
		{ "v=DMARC1; p=reject; aspf=r; rua=mailto:f@example.com", "policy r-- rr u |" },
		/* the version */
		{ "v=DMARC1", "nothing --- rr u |p= is missing" },
		{ "V=DMARC1;p=none", "policy n-- rr u |" },
		{ "v = DMARC1 ; p = none ;", "policy n-- rr u |" },
		{ "v\t=\tDMARC1\t;\tp\t=\tnone", "policy n-- rr u |" },
		{ "v=DMARC1;;p=none;;", "policy n-- rr u |" },
		{ "v=dmarc1; p=none", "no record" },
		{ "v=DMARC2; p=none", "no record" },
		{ "v=DMARC12; p=none", "no record" },
		{ "v=DMARC; p=none", "no record" },
		{ "v=DMARC1 p=none", "no record" },
		{ "v=DMARC1, p=none", "no record" },
		{ "v=DMARC1p=none", "no record" },
		{ "v==DMARC1; p=none", "no record" },
		{ "v=\"DMARC1\"; p=none", "no record" },
		{ "p=none; v=DMARC1", "no record" },
		{ "; v=DMARC1; p=none", "no record" },
		{ " v=DMARC1; p=none", "no record" },
		{ "vv=DMARC1; p=none", "no record" },
		{ "v=spf1 -all", "no record" },
		{ "v=DKIM1; p=AAAA", "no record" },
		{ "DMARC1; p=none", "no record" },
		{ "", "no record" },
		{ ";", "no record" },
		{ "=", "no record" },
		/* policies */
		{ "v=DMARC1; p=reject; sp=quarantine; np=none", "policy rqn rr u |" },
		{ "v=DMARC1; np=reject; sp=none; p=quarantine", "policy qnr rr u |" },
		{ "v=DMARC1; p=Reject; sp=QUARANTINE", "policy rq- rr u |" },
		{ "v=DMARC1; P=reject", "policy r-- rr u |" },
		{ "v=DMARC1; p=", "nothing --- rr u |p= is not valid" },
		{ "v=DMARC1; p=block", "nothing --- rr u |p= is not valid" },
		{ "v=DMARC1; p=block; rua=mailto:a@example.com", "none --- rr u |p= is not valid" },
		{ "v=DMARC1; p=rejected; rua=mailto:a@example.com", "none --- rr u |p= is not valid" },
		{ "v=DMARC1; p=re ject; rua=mailto:a@example.com", "none --- rr u |p= is not valid" },
		{ "v=DMARC1; p=reject; sp=block", "nothing r-- rr u |sp= is not valid" },
		{ "v=DMARC1; p=reject; sp=block; rua=mailto:a@example.com", "none r-- rr u |sp= is not valid" },
		{ "v=DMARC1; p=reject; np=; rua=mailto:a@example.com", "none r-- rr u |np= is not valid" },
		{ "v=DMARC1; p=reject; np=x", "nothing r-- rr u |np= is not valid" },
		{ "v=DMARC1; sp=reject; rua=mailto:a@example.com", "none -r- rr u |p= is missing" },
		{ "v=DMARC1; sp=reject", "nothing -r- rr u |p= is missing" },
		/* duplicates: the first counts */
		{ "v=DMARC1; p=none; p=reject", "policy n-- rr u |p= is given twice" },
		{ "v=DMARC1; p=reject; p=none", "policy r-- rr u |p= is given twice" },
		{ "v=DMARC1; p=x; p=none", "nothing --- rr u |p= is not valid" },
		{ "v=DMARC1; p=none; sp=none; sp=reject", "policy nn- rr u |sp= is given twice" },
		{ "v=DMARC1; p=none; v=DMARC1", "policy n-- rr u |" },
		/* alignment, psd, t */
		{ "v=DMARC1; p=none; adkim=s; aspf=s", "policy n-- ss u |" },
		{ "v=DMARC1; p=none; adkim=s; aspf=r", "policy n-- sr u |" },
		{ "v=DMARC1; p=none; adkim=S", "policy n-- sr u |" },
		{ "v=DMARC1; p=none; adkim=strict", "policy n-- rr u |adkim= is not valid" },
		{ "v=DMARC1; p=none; aspf=", "policy n-- rr u |aspf= is not valid" },
		{ "v=DMARC1; p=none; psd=y", "policy n-- rr y |" },
		{ "v=DMARC1; p=none; psd=n", "policy n-- rr n |" },
		{ "v=DMARC1; p=none; psd=u", "policy n-- rr u |" },
		{ "v=DMARC1; p=none; psd=yes", "policy n-- rr u |psd= is not valid" },
		{ "v=DMARC1; p=none; t=y", "policy n-- rr u t |" },
		{ "v=DMARC1; p=none; t=n", "policy n-- rr u |" },
		{ "v=DMARC1; p=none; t=1", "policy n-- rr u |t= is not valid" },
		/* reports */
		{ "v=DMARC1; p=none; rua=a@example.com", "policy n-- rr u |rua= is not valid" },
		{ "v=DMARC1; rua=a@example.com", "nothing --- rr u |rua= is not valid; p= is missing" },
		{ "v=DMARC1; rua=mailto:", "nothing --- rr u |rua= is not valid; p= is missing" },
		{ "v=DMARC1; rua=mailto:!10m", "nothing --- rr u |rua= is not valid; p= is missing" },
		{ "v=DMARC1; rua=mailto:a@example.com!10m", "none --- rr u |p= is missing" },
		{ "v=DMARC1; rua=bad, mailto:a@example.com", "none --- rr u |p= is missing" },
		{ "v=DMARC1; rua=https://example.com/dmarc", "none --- rr u |p= is missing" },
		{ "v=DMARC1; rua=1mailto:a@example.com", "nothing --- rr u |rua= is not valid; p= is missing" },
		{ "v=DMARC1; rua=mailto:a b@example.com", "nothing --- rr u |rua= is not valid; p= is missing" },
		{ "v=DMARC1; p=none; fo=1:d:s", "policy n-- rr u |" },
		{ "v=DMARC1; p=none; fo=d:0", "policy n-- rr u |" },
		{ "v=DMARC1; p=none; fo=0:1", "policy n-- rr u |fo= is not valid" },
		{ "v=DMARC1; p=none; fo=d:d", "policy n-- rr u |fo= is not valid" },
		{ "v=DMARC1; p=none; fo=x", "policy n-- rr u |fo= is not valid" },
		/* tags that are unknown or over */
		{ "v=DMARC1; p=reject; pct=0; rf=afrf; ri=3600", "policy r-- rr u |" },
		{ "v=DMARC1; p=reject; x-new=1; zz=", "policy r-- rr u |" },
		{ "v=DMARC1; p=reject; nonsense", "policy r-- rr u |something in it is no tag" },
		{ "v=DMARC1; p=reject; =x", "policy r-- rr u |something in it is no tag" },
		{ "v=DMARC1; nonsense; p=reject", "policy r-- rr u |something in it is no tag" },
		{ "v=DMARC1; p=reject\001", "nothing --- rr u |p= is not valid" },
		{ "v=DMARC1; p=reject\r\n", "nothing --- rr u |p= is not valid" },
		{ "v=DMARC1; p=r\xc3\xa9ject; rua=mailto:a@x", "none --- rr u |p= is not valid" },
	};
	struct buf b;

	(void)state;
	buf_init(&b, 1000);
	for (size_t i = 0; i < COUNT(rows); i++) {
		buf_reset(&b);
		tell(str_c(rows[i].text), &b);
		check_str(buf_str(&b), str_c(rows[i].said), rows[i].text);
	}
	buf_fini(&b);
}

static void test_lists_are_kept(void **state)
{
	struct dmarc_record r;

	(void)state;
	assert_true(dmarc_record_parse(S("v=DMARC1; rua= mailto:a@x.example , mailto:b@y.example!1k ; fo=1:d;"
					 "ruf=mailto:c@z.example"),
				       &r));
	check_str(r.rua, S("mailto:a@x.example , mailto:b@y.example!1k"), "rua");
	check_str(r.ruf, S("mailto:c@z.example"), "ruf");
	check_str(r.fo, S("1:d"), "fo");
	assert_true(dmarc_record_parse(str_n("v=DMARC1; p=no\0ne", 17), &r));
	assert_false(dmarc_record_has(&r, DMARC_TAG_P));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_records),
		cmocka_unit_test(test_lists_are_kept),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
