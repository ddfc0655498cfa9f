/* connectors/header_edits_test.c: messages through the firewall, byte by byte: what goes, what stays bit-exact. */
#include "tests/kit/firewall.h"
#include "tests/unit.h"

/* Hardening HY-2: what a stranger may write to look like one of us.  `out` is all that may be left. */
static const struct {
	const char *row;
	struct str in, out;
} shapes[] = {
	{ "plain", STR_LIT("X-OriginatorOrg: ours.example\r\nA: 1\r\n\r\nbody\r\n"), STR_LIT("A: 1\r\n\r\nbody\r\n") },
	{ "case", STR_LIT("x-MS-exchange-ORGANIZATION-authas: Internal\r\nA: 1\r\n\r\nb"), STR_LIT("A: 1\r\n\r\nb") },
	{ "space before the colon", STR_LIT("A: 1\r\nX-MS-Exchange-Organization-SCL : -1\r\n\r\n"),
	  STR_LIT("A: 1\r\n\r\n") },
	{ "tab", STR_LIT("X-MS-Exchange-Organization-SCL\t:\t-1\r\nA: 1\r\n\r\n"), STR_LIT("A: 1\r\n\r\n") },
	{ "folded value", STR_LIT("X-OriginatorOrg:\r\n ours\r\n\t.example\r\nA: 1\r\n\r\n"), STR_LIT("A: 1\r\n\r\n") },
	{ "folded behind the name", STR_LIT("A: 1\r\nX-OriginatorOrg\r\n : ours.example\r\nB: 1\r\n\r\nx"),
	  STR_LIT("A: 1\r\n\r\nX-OriginatorOrg\r\n : ours.example\r\nB: 1\r\n\r\nx") },
	{ "duplicates", STR_LIT("X-OriginatorOrg: a\r\nA: 1\r\nX-OriginatorOrg: b\r\nx-originatororg: c\r\n\r\n"),
	  STR_LIT("A: 1\r\n\r\n") },
	{ "second copy behind a broken line", STR_LIT("X-OriginatorOrg: a\r\nbroken\r\nX-OriginatorOrg: b\r\n\r\n"),
	  STR_LIT("\r\nbroken\r\nX-OriginatorOrg: b\r\n\r\n") },
	{ "8-bit neighbour", STR_LIT("A: \xff\xfe\r\nX-OriginatorOrg: a\r\n\r\n"), STR_LIT("A: \xff\xfe\r\n\r\n") },
	{ "8-bit name", STR_LIT("A\xff: 1\r\nX-OriginatorOrg: a\r\n\r\n"),
	  STR_LIT("\r\nA\xff: 1\r\nX-OriginatorOrg: a\r\n\r\n") },
	{ "behind a mailbox line", STR_LIT("From a@b Sat Nov 21\r\nX-OriginatorOrg: a\r\nA: 1\r\n\r\n"),
	  STR_LIT("A: 1\r\n\r\n") },
	{ "no body", STR_LIT("A: 1\r\nX-MS-Exchange-CrossTenant-Id: 1\r\n"), STR_LIT("A: 1\r\n") },
	{ "no line end", STR_LIT("A: 1\r\nX-MS-Exchange-CrossTenant-Id: 1"), STR_LIT("A: 1\r\n") },
	{ "only that", STR_LIT("X-MS-Exchange-CrossTenant-Id: 1\r\n\r\n"), STR_LIT("\r\n") },
	{ "in the body it is text", STR_LIT("A: 1\r\n\r\nX-OriginatorOrg: a\r\n"),
	  STR_LIT("A: 1\r\n\r\nX-OriginatorOrg: a\r\n") },
	{ "renamed in place", STR_LIT("x-forefront-antispam-report :\r\n\tSCL:9\r\n\r\n"),
	  STR_LIT("x-forefront-antispam-report-Untrusted :\r\n\tSCL:9\r\n\r\n") },
};

static void test_shapes(void **state)
{
	const struct header_in in = { .trust = TRUST_INTERNET };

	(void)state;
	for (size_t i = 0; i < COUNT(shapes); i++)
		for (size_t piece = 0; piece <= shapes[i].in.n; piece++) {
			struct firewall f;
			firewall_init(&f, S("mx.ours.example"));
			f.piece = piece;
			firewall_accept(&f, &in, shapes[i].in);
			check_str(buf_str(&f.text), shapes[i].out, shapes[i].row);
			firewall_fini(&f);
		}
}

/* A value of 998 octets, and many of them: nothing is cut, nothing is left. */
static void test_long(void **state)
{
	struct firewall f;
	struct buf m;

	(void)state;
	buf_init(&m, 1 << 20);
	for (int i = 0; i < 100; i++) {
		buf_addf(&m, "X-MS-Exchange-Organization-%d: ", i);
		for (int j = 0; j < 960; j++)
			buf_addc(&m, 'x');
		buf_addf(&m, "\r\nKept-%d: 1\r\n", i);
	}
	buf_add(&m, S("\r\nbody"));
	firewall_init(&f, S("mx"));
	firewall_accept(&f, &(struct header_in){ .trust = TRUST_PARTNER }, buf_str(&m));
	assert_int_equal(f.in.counts[GROUP_H1][HEADER_STRIP], 100);
	assert_true(f.in.summary.n > 0 && str_eq(f.in.summary, S("H1.strip=100")));
	assert_true(str_find(buf_str(&f.text), S("Exchange")) < 0);
	assert_true(f.text.n == 90 * 12 + 10 * 11 + 6 && !f.in.forged);
	firewall_fini(&f);
	buf_fini(&m);
}

/* The other side's mail through us and back: what Exchange wrote comes out as it went in. */
static void test_transparent(void **state)
{
	static const char m[] =
		"Received: from a by b; x\r\nX-MS-Exchange-CrossPremises-AuthAs: Internal\r\n"
		"X-ORIGINATORORG :  ours.example\r\nDKIM-Signature: v=1;\r\n\tb=abc\r\nSubject: x\r\n\r\nbody\r\n";
	const struct header_in in = { .trust = TRUST_PEER };
	const struct header_out to_server = { .target = TARGET_INTERNAL }, to_world = { .target = TARGET_INTERNET };
	const struct header_added none = { .trust = TRUST_PEER };
	struct firewall f;

	(void)state;
	firewall_init(&f, S("mx"));
	firewall_accept(&f, &in, str_c(m));
	check_str(buf_str(&f.text), str_c(m), "in");
	assert_false(header_notes_plain(&f.notes, &in));
	firewall_send(&f, &to_server, &none);
	check_str(buf_str(&f.text), str_c(m), "transparent");
	firewall_send(&f, &to_world, &none);
	check_str(buf_str(&f.text),
		  S("Received: from a by b; x\r\nDKIM-Signature: v=1;\r\n\tb=abc\r\nSubject: x\r\n\r\nbody\r\n"),
		  "clean");
	assert_true(str_eq(f.out.names, S("X-MS-Exchange-CrossPremises-AuthAs,X-ORIGINATORORG")));
	firewall_fini(&f);
}

/* Who may say that a message is in the archive, and in which form the next one is told. */
static void test_journaled(void **state)
{
#define ORG_MARK   "X-MS-Exchange-Organization-Processed-By-Journaling: "
#define CROSS_MARK "X-MS-Exchange-CrossPremises-Processed-By-Journaling: "
	static const struct {
		enum header_trust trust;
		const char *field;
		bool journaled;
	} in[] = {
		{ TRUST_PEER, CROSS_MARK "x", true },
		{ TRUST_SERVER, ORG_MARK "x", true },
		{ TRUST_PEER, ORG_MARK "x", false },
		{ TRUST_SERVER, CROSS_MARK "x", false },
		{ TRUST_INTERNET, CROSS_MARK "x", false },
		{ TRUST_INTERNET, ORG_MARK "x", false },
		{ TRUST_PARTNER, CROSS_MARK "x", false },
		{ TRUST_CLIENT, ORG_MARK "x", false },
		{ TRUST_SERVER, "X-MS-Journal-Report:", true },
		{ TRUST_PEER, "x-ms-journal-report: 1", true },
		{ TRUST_INTERNET, "X-MS-Journal-Report:", false },
		{ TRUST_CLIENT, "X-MS-Journal-Report:", false },
		{ TRUST_PEER, "A: 1", false },
	};
	static const struct {
		enum header_target target;
		const char *had, *want;
	} out[] = {
		{ TARGET_PEER, "", CROSS_MARK "gw\r\nA: 1\r\n\r\n" },
		{ TARGET_INTERNAL, "", ORG_MARK "gw\r\nA: 1\r\n\r\n" },
		{ TARGET_INTERNET, "", "A: 1\r\n\r\n" },
		{ TARGET_INTERNET, CROSS_MARK "x\r\n", "A: 1\r\n\r\n" },
		{ TARGET_PEER, CROSS_MARK "x\r\n", CROSS_MARK "x\r\nA: 1\r\n\r\n" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(in); i++) {
		struct firewall f;
		struct buf m;
		buf_init(&m, 400);
		buf_addf(&m, "%s\r\nB: 1\r\n\r\nx", in[i].field);
		firewall_init(&f, S("mx"));
		firewall_accept(&f, &(struct header_in){ .trust = in[i].trust }, buf_str(&m));
		if (f.in.journaled != in[i].journaled)
			fail_msg("trust %d: %s", in[i].trust, in[i].field);
		firewall_fini(&f);
		buf_fini(&m);
	}
	for (size_t i = 0; i < COUNT(out); i++) {
		const struct header_added added = { .trust = TRUST_PEER, .journaled = true, .gateway = S("gw") };
		struct firewall f;
		struct buf m;
		buf_init(&m, 400);
		buf_addf(&m, "%sA: 1\r\n\r\n", out[i].had);
		firewall_init(&f, S("mx"));
		firewall_accept(&f, &(struct header_in){ .trust = TRUST_PEER }, buf_str(&m));
		firewall_send(&f, &(struct header_out){ .target = out[i].target }, &added);
		check_str(buf_str(&f.text), str_c(out[i].want), "out");
		firewall_fini(&f);
		buf_fini(&m);
	}
}

static void test_endpoint(void **state)
{
	static const char m[] = "X-MS-Exchange-CrossPremises-authas :\r\n Internal\r\nA: 1\r\n"
				"X-MS-Exchange-CrossPremises-Local: 1\r\n\r\n";
	static const char promoted[] = "X-Tombolo-Trace: id\r\nX-CrossPremisesHeadersPromoted: gw\r\n"
				       "X-MS-Exchange-Organization-authas :\r\n Internal\r\nA: 1\r\n\r\n";
	static const char demoted[] =
		"X-Tombolo-Route: t\r\nX-OriginatorOrg: ours.example\r\nX-OrganizationHeadersPreserved: gw\r\n"
		"X-CrossPremisesHeadersPromoted: gw\r\nX-MS-Exchange-CrossPremises-authas :\r\n Internal\r\nA: 1\r\n\r\n";
	struct header_out out = { .target = TARGET_INTERNAL, .endpoint = true };
	struct header_added added = { .trust = TRUST_PEER,
				      .gateway = S("gw"),
				      .trace = S("id"),
				      .org = S("ours.example"),
				      .token = S("X-Tombolo-Route: t\r\n") };
	struct firewall f;

	(void)state;
	firewall_init(&f, S("mx"));
	firewall_accept(&f, &(struct header_in){ .trust = TRUST_PEER }, str_c(m));
	firewall_send(&f, &out, &added);
	check_str(buf_str(&f.text), str_c(promoted), "promoted");
	/* and out again by another gateway of ours: its trace goes, the value is still as it was written */
	firewall_accept(&f, &(struct header_in){ .trust = TRUST_SERVER, .sender_ours = true }, buf_str(&f.text));
	out.target = TARGET_PEER;
	added.trust = TRUST_SERVER;
	firewall_send(&f, &out, &added);
	check_str(buf_str(&f.text), str_c(demoted), "demoted");
	firewall_fini(&f);
}

/* ---- what is signed survives (spec 4.4.3) ---- */

static uint64_t seed = 20261122;

static unsigned draw(unsigned n)
{
	seed = seed * 6364136223846793005u + 1442695040888963407u;
	return (unsigned)(seed >> 33) % n;
}

/* Fields people sign, in the shapes that re-written headers break, among fields that policies touch. */
static void put_message(struct buf *m)
{
	static const char *const mail[] = {
		"From: a@x.example\r\n",
		"SUBJECT  : two  blanks\r\n",
		"Subject:\r\n\tfolded\r\n  twice \r\n",
		"Message-ID: <1@x.example>\r\n",
		"DKIM-Signature: v=1; a=rsa-sha256;\r\n\tb=abc\r\n def=\r\n",
		"To: \xc3\xa9@x.example\r\n",
		"X-MS-Has-Attach: \r\n",
		"Date: x\r\n",
	};
	static const char *const touched[] = {
		"X-MS-Exchange-Organization-AuthAs: Internal\r\n",
		"X-MS-Exchange-CrossPremises-SCL : -1\r\n",
		"x-originatororg:\r\n ours.example\r\n",
		"X-Microsoft-Antispam: BCL:0\r\n",
		"Authentication-Results: mx; spf=pass\r\n",
		"X-MS-Exchange-CrossTenant-Id: 1\r\n",
		"Return-Path: <a@x.example>\r\n",
		"X-OrganizationHeadersPreserved: a\r\n",
	};

	for (unsigned n = draw(20) + 1; n > 0; n--)
		buf_add(m, str_c(draw(3) == 0 ? touched[draw(COUNT(touched))] : mail[draw(COUNT(mail))]));
	buf_add(m, S("\r\n"));
	for (unsigned n = draw(400); n > 0; n--)
		buf_add(m, str_c(draw(9) == 0 ? "\r\n" : draw(9) == 0 ? "X-OriginatorOrg: body\r\n" : "text. "));
}

static void add_signed(void *arg, const struct header_field *f)
{
	static const struct header_own nobody;

	if (header_classify(f, &nobody) == HEADER_OTHER && !str_istarts(f->name, S("X-Tombolo-")))
		buf_add(arg, f->raw);
}

/* The signature of a signer that takes every byte as it is (c=simple/simple): fields nobody touches, and the body. */
static uint64_t sign(struct str message)
{
	struct header_scan h;
	struct buf b;

	buf_init(&b, 1 << 20);
	header_scan_init(&h, 1 << 20, 1000, STR_NONE);
	h.on_field = add_signed;
	h.arg = &b;
	header_scan_add(&h, message);
	header_scan_finish(&h);
	assert_false(h.broken);
	buf_add(&b, str_skip(message, (size_t)h.end));
	uint64_t sum = str_hash(buf_str(&b), 1);
	header_scan_fini(&h);
	buf_fini(&b);
	return sum;
}

static void test_signed(void **state)
{
	static const struct {
		enum header_trust trust;
		enum header_target target;
		bool endpoint;
	} ways[] = {
		{ TRUST_INTERNET, TARGET_INTERNAL, false }, { TRUST_PEER, TARGET_PEER, false },
		{ TRUST_SERVER, TARGET_PEER, true },        { TRUST_PEER, TARGET_INTERNAL, true },
		{ TRUST_SERVER, TARGET_INTERNET, false },   { TRUST_CLIENT, TARGET_PEER, true },
	};
	struct buf m;

	(void)state;
	buf_init(&m, 1 << 20);
	for (int i = 0; i < 1000; i++) {
		buf_reset(&m);
		put_message(&m);
		uint64_t before = sign(buf_str(&m));
		for (size_t w = 0; w < COUNT(ways); w++) {
			const struct header_out out = { .target = ways[w].target, .endpoint = ways[w].endpoint };
			const struct header_added added = { .trust = ways[w].trust,
							    .sender_ours = true,
							    .gateway = S("gw"),
							    .trace = S("id"),
							    .org = S("o") };
			struct firewall f;
			firewall_init(&f, S("mx"));
			f.piece = draw(50);
			firewall_accept(&f, &(struct header_in){ .trust = ways[w].trust }, buf_str(&m));
			firewall_send(&f, &out, &added);
			assert_true(sign(buf_str(&f.text)) == before);
			firewall_fini(&f);
		}
	}
	buf_fini(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_shapes),      cmocka_unit_test(test_long),
					    cmocka_unit_test(test_transparent), cmocka_unit_test(test_journaled),
					    cmocka_unit_test(test_endpoint),    cmocka_unit_test(test_signed) };

	return cmocka_run_group_tests(tests, NULL, NULL);
}
