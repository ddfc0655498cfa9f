/* smtpd/claim_test.c: the claim out of whole headers, also fed byte by byte. */
#include "smtpd/claim.h"

#include "tests/unit.h"

static const struct {
	const char *name, *header, *org, *auth_as;
} rows[] = {
	{ "none", "Subject: x\r\n\r\n", "", "" },
	{ "both", "X-OriginatorOrg: contoso.com\r\nX-MS-Exchange-CrossPremises-AuthAs: Internal\r\n\r\n", "contoso.com",
	  "Internal" },
	{ "any case", "x-originatororg:CONTOSO.com\r\nx-ms-exchange-crosspremises-authas:internal \r\n\r\n",
	  "CONTOSO.com", "internal" },
	{ "blanks before the colon", "X-OriginatorOrg \t: contoso.com\r\n\r\n", "contoso.com", "" },
	{ "folded", "X-OriginatorOrg:\r\n contoso.com\r\n\r\n", "contoso.com", "" },
	{ "twice the same", "X-OriginatorOrg: a.example\r\nX-OriginatorOrg: A.example\r\n\r\n", "a.example", "" },
	{ "two that differ", "X-OriginatorOrg: evil.example\r\nX-OriginatorOrg: contoso.com\r\n\r\n", "?", "" },
	{ "a third agrees with the first", "X-OriginatorOrg: a\r\nX-OriginatorOrg: b\r\nX-OriginatorOrg: a\r\n\r\n",
	  "?", "" },
	{ "two verdicts",
	  "X-MS-Exchange-CrossPremises-AuthAs: Anonymous\r\nX-MS-Exchange-CrossPremises-AuthAs: Internal\r\n\r\n", "",
	  "?" },
	{ "an empty one first", "X-OriginatorOrg:\r\nX-OriginatorOrg: contoso.com\r\n\r\n", "?", "" },
	{ "organisation's, not cross-premises", "X-MS-Exchange-Organization-AuthAs: Internal\r\n\r\n", "", "" },
	{ "in the body", "Subject: x\r\n\r\nX-OriginatorOrg: contoso.com\r\n", "", "" },
	{ "behind a line that is no field", "Subject: x\r\nnot a field\r\nX-OriginatorOrg: contoso.com\r\n\r\n", "",
	  "" },
	{ "too long", "X-MS-Exchange-CrossPremises-AuthAs: Internal, says somebody at great length\r\n\r\n", "", "?" },
};

static void on_field(void *arg, const struct header_field *f)
{
	claim_take(arg, f);
}

static void run(const char *name, struct str header, size_t piece, const char *org, const char *auth_as)
{
	struct claim c = { 0 };
	struct header_scan scan;

	header_scan_init(&scan, 64 * 1024, 100, S("gw.example"));
	scan.on_field = on_field;
	scan.arg = &c;
	for (size_t i = 0; i < header.n; i += piece)
		header_scan_add(&scan, str_head(str_skip(header, i), piece));
	header_scan_finish(&scan);
	header_scan_fini(&scan);
	check_str(str_c(c.org), str_c(org), name);
	check_str(str_c(c.auth_as), str_c(auth_as), name);
}

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		run(rows[i].name, str_c(rows[i].header), SIZE_MAX / 2, rows[i].org, rows[i].auth_as);
		run(rows[i].name, str_c(rows[i].header), 1, rows[i].org, rows[i].auth_as);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_rows) };
	return cmocka_run_group_tests(tests, NULL, NULL);
}
