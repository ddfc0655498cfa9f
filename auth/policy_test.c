/* auth/policy_test.c: what is done with the verdict, who is exempt, and the field that says so.  Two From fields name
 * no author, which fails closed (CVE-2019-16378). */
#include "auth/policy.h"
#include "tests/unit.h"

#include <string.h>

static struct net_addr ip(const char *s)
{
	struct net_addr a;

	if (!net_parse_ip(str_c(s), 0, &a))
		fail_msg("%s is no address", s);
	return a;
}

/* ---- what is done ---- */

static struct str lists[] = { STR_LIT("lists.example"), STR_LIT("other.example") };

struct row {
	const char *name;
	enum dmarc_verdict verdict;
	enum dmarc_policy asks;
	bool report;            /* not enforced */
	struct conf_dmarc conf; /* mode is not looked at */
	const char *spf, *dkim; /* domains that passed; "-x": did not */
	const char *arc[3];     /* results of links 1..; link N is of linkN.lists.example, or of "domain|results" */
	enum arc_verdict chain;
	bool to_srs, no_author;
	const char *want; /* "reject", "accept not reject: words"; then the code */
};

static void decide(const struct row *r, struct policy_out *out)
{
	static const char *const domains[] = { "link1.lists.example", "link2.lists.example", "link3.lists.example" };
	struct arc_link links[3] = { 0 };
	struct arc_result arc = { .verdict = r->chain, .v = links };
	struct conf_dmarc conf = r->conf;
	struct policy_scope scope = { .judged = true, .enforced = !r->report, .why = "judged, report only" };
	struct dmarc_result d = {
		.verdict = r->verdict, .disposition = r->asks, .author = "x.example", .why = "because"
	};
	struct dmarc_id spf = { .domain = STR_NONE }, dkim = { .domain = STR_NONE };

	if (r->no_author)
		d.author[0] = '\0';
	for (; arc.links < 3 && r->arc[arc.links] != NULL; arc.links++) {
		struct str domain, results;
		if (str_cut(str_c(r->arc[arc.links]), '|', &domain, &results))
			links[arc.links] = (struct arc_link){ .domain = domain, .results = results };
		else
			links[arc.links] = (struct arc_link){ .domain = str_c(domains[arc.links]), .results = domain };
	}
	conf.forwarders = conf.arc_trusted = (struct conf_list){ lists, COUNT(lists) };
	if (r->spf != NULL)
		spf = (struct dmarc_id){ str_skip(str_c(r->spf), r->spf[0] == '-'),
					 r->spf[0] == '-' ? DMARC_ID_NO : DMARC_ID_PASS };
	if (r->dkim != NULL)
		dkim = (struct dmarc_id){ str_skip(str_c(r->dkim), r->dkim[0] == '-'),
					  r->dkim[0] == '-' ? DMARC_ID_NO : DMARC_ID_PASS };
	const struct policy_in in = { .conf = &conf,
				      .scope = &scope,
				      .dmarc = &d,
				      .arc = &arc,
				      .spf = spf,
				      .dkim = &dkim,
				      .dkim_n = 1,
				      .to_srs = r->to_srs };
	policy_decide(&in, out);
}

#define FAIL_REJECT .verdict = DMARC_FAIL, .asks = DMARC_POLICY_REJECT, .conf.reject = JUDGED_REJECT
#define FAIL_QUAR   .verdict = DMARC_FAIL, .asks = DMARC_POLICY_QUARANTINE
#define SAW         " mx.lists.example; spf=pass; dmarc=pass header.from=X.example"

static void test_decide(void **state)
{
	static const struct row rows[] = {
		/* verdicts */
		{ .name = "pass", .verdict = DMARC_PASS, .want = "accept" },
		{ .name = "no record", .verdict = DMARC_NONE, .want = "accept" },
		{ .name = "fail, p=none", .verdict = DMARC_FAIL, .want = "accept" },
		{ .name = "fail, reject", FAIL_REJECT, .want = "reject 550 5.7.26" },
		{ .name = "fail, reject, held",
		  .verdict = DMARC_FAIL,
		  .asks = DMARC_POLICY_REJECT,
		  .conf.reject = JUDGED_HOLD,
		  .want = "hold" },
		{ .name = "fail, reject, tagged",
		  .verdict = DMARC_FAIL,
		  .asks = DMARC_POLICY_REJECT,
		  .conf.reject = JUDGED_TAG,
		  .want = "tag" },
		{ .name = "fail, quarantine, tagged", FAIL_QUAR, .conf.quarantine = JUDGED_TAG, .want = "tag" },
		{ .name = "fail, quarantine, held", FAIL_QUAR, .conf.quarantine = JUDGED_HOLD, .want = "hold" },
		{ .name = "fail, quarantine, refused",
		  FAIL_QUAR,
		  .conf.quarantine = JUDGED_REJECT,
		  .want = "reject 550 5.7.26" },
		{ .name = "reject and quarantine are told apart",
		  FAIL_QUAR,
		  .conf = { .reject = JUDGED_REJECT },
		  .want = "tag" },
		{ .name = "an unusable record",
		  .verdict = DMARC_PERMERROR,
		  .conf.author = JUDGED_REJECT,
		  .want = "accept" },
		{ .name = "no author",
		  .verdict = DMARC_PERMERROR,
		  .no_author = true,
		  .conf.author = JUDGED_REJECT,
		  .want = "reject 550 5.6.0" },
		{ .name = "no author, held",
		  .verdict = DMARC_PERMERROR,
		  .no_author = true,
		  .conf.author = JUDGED_HOLD,
		  .want = "hold" },
		{ .name = "no author, tagged",
		  .verdict = DMARC_PERMERROR,
		  .no_author = true,
		  .conf.author = JUDGED_TAG,
		  .want = "tag" },
		{ .name = "no answer", .verdict = DMARC_TEMPERROR, .want = "accept" },
		{ .name = "no answer, deferred",
		  .verdict = DMARC_TEMPERROR,
		  .conf.unsure = UNSURE_DEFER,
		  .want = "defer 451 4.4.3" },
		/* report only */
		{ .name = "report: reject", FAIL_REJECT, .report = true, .want = "accept not reject: report only" },
		{ .name = "report: hold",
		  FAIL_QUAR,
		  .conf.quarantine = JUDGED_HOLD,
		  .report = true,
		  .want = "accept not hold: report only" },
		{ .name = "report: tag", FAIL_QUAR, .report = true, .want = "accept not tag: report only" },
		{ .name = "report: no author",
		  .verdict = DMARC_PERMERROR,
		  .no_author = true,
		  .conf.author = JUDGED_REJECT,
		  .report = true,
		  .want = "accept not reject: report only" },
		{ .name = "report: no answer",
		  .verdict = DMARC_TEMPERROR,
		  .conf.unsure = UNSURE_DEFER,
		  .report = true,
		  .want = "accept not defer: report only" },
		{ .name = "report: pass", .verdict = DMARC_PASS, .report = true, .want = "accept" },
		/* SRS */
		{ .name = "answers mail we forwarded",
		  FAIL_REJECT,
		  .to_srs = true,
		  .want = "accept not reject: (SRS)" },
		{ .name = "... by nobody",
		  .verdict = DMARC_PERMERROR,
		  .no_author = true,
		  .conf.author = JUDGED_REJECT,
		  .to_srs = true,
		  .want = "reject 550 5.6.0" },
		/* forwarders */
		{ .name = "a forwarder, SPF",
		  FAIL_REJECT,
		  .spf = "lists.example",
		  .want = "accept not reject: SPF says it comes from the forwarder lists.example" },
		{ .name = "a host of a forwarder, SPF",
		  FAIL_REJECT,
		  .spf = "a.b.LISTS.example.",
		  .want = "accept not reject: SPF" },
		{ .name = "a forwarder, DKIM",
		  FAIL_REJECT,
		  .dkim = "other.example",
		  .want = "accept not reject: DKIM says" },
		{ .name = "SPF of a forwarder failed",
		  FAIL_REJECT,
		  .spf = "-lists.example",
		  .want = "reject 550 5.7.26" },
		{ .name = "DKIM of a forwarder failed",
		  FAIL_REJECT,
		  .dkim = "-lists.example",
		  .want = "reject 550 5.7.26" },
		{ .name = "no forwarder",
		  FAIL_REJECT,
		  .spf = "evillists.example",
		  .dkim = "example",
		  .want = "reject 550 5.7.26" },
		{ .name = "a forwarder in report mode",
		  FAIL_REJECT,
		  .report = true,
		  .spf = "lists.example",
		  .want = "accept not reject: SPF says" },
		/* ARC */
		{ .name = "a trusted sealer saw it pass",
		  FAIL_REJECT,
		  .chain = ARC_PASS,
		  .arc = { SAW },
		  .want = "accept not reject: ARC link 1 of link1.lists.example saw it pass" },
		{ .name = "as the shared cloud writes it",
		  FAIL_REJECT,
		  .chain = ARC_PASS,
		  .arc = { " mx.cloud.example 1; spf=pass smtp.mailfrom=x.example; dmarc=pass action=none "
			   "header.from=x.example; dkim=pass (signature was verified) header.d=x.example; arc=none" },
		  .want = "accept not reject: ARC link 1" },
		{ .name = "the chain is broken",
		  FAIL_REJECT,
		  .chain = ARC_FAIL,
		  .arc = { SAW },
		  .want = "reject 550 5.7.26" },
		{ .name = "a sealer nobody trusts",
		  FAIL_REJECT,
		  .chain = ARC_PASS,
		  .arc = { "evil.example|" SAW },
		  .want = "reject 550 5.7.26" },
		{ .name = "a sealer with a name like it",
		  FAIL_REJECT,
		  .chain = ARC_PASS,
		  .arc = { "evillists.example|" SAW },
		  .want = "reject 550 5.7.26" },
		{ .name = "it saw another author",
		  FAIL_REJECT,
		  .chain = ARC_PASS,
		  .arc = { " mx; dmarc=pass header.from=evil.example" },
		  .want = "reject 550 5.7.26" },
		{ .name = "it saw no author",
		  FAIL_REJECT,
		  .chain = ARC_PASS,
		  .arc = { " mx; dmarc=pass" },
		  .want = "reject 550 5.7.26" },
		{ .name = "it saw SPF pass, not DMARC",
		  FAIL_REJECT,
		  .chain = ARC_PASS,
		  .arc = { " mx; spf=pass header.from=x.example; dmarc=fail header.from=x.example" },
		  .want = "reject 550 5.7.26" },
		{ .name = "it saw nothing",
		  FAIL_REJECT,
		  .chain = ARC_PASS,
		  .arc = { " mx; none" },
		  .want = "reject 550 5.7.26" },
		{ .name = "what it saw cannot be read",
		  FAIL_REJECT,
		  .chain = ARC_PASS,
		  .arc = { " mx; spf=(dmarc=pass header.from=x.example" },
		  .want = "reject 550 5.7.26" },
		{ .name = "the first of three trusted ones",
		  FAIL_REJECT,
		  .chain = ARC_PASS,
		  .arc = { SAW, " mx; arc=pass; dmarc=fail header.from=x.example", " mx; arc=pass" },
		  .want = "accept not reject: ARC link 1 of link1.lists.example" },
		{ .name = "a stranger before a trusted one that saw it pass",
		  FAIL_REJECT,
		  .chain = ARC_PASS,
		  .arc = { "evil.example| mx; dmarc=fail header.from=x.example", SAW },
		  .want = "accept not reject: ARC link 2" },
		{ .name = "a stranger behind the trusted one",
		  FAIL_REJECT,
		  .chain = ARC_PASS,
		  .arc = { SAW, "evil.example| mx; arc=pass" },
		  .want = "reject 550 5.7.26" },
		{ .name = "a stranger's pass before a trusted one",
		  FAIL_REJECT,
		  .chain = ARC_PASS,
		  .arc = { "evil.example|" SAW, " mx; arc=pass; dmarc=fail header.from=x.example" },
		  .want = "reject 550 5.7.26" },
		{ .name = "no author, sealed",
		  .verdict = DMARC_PERMERROR,
		  .no_author = true,
		  .conf.author = JUDGED_REJECT,
		  .chain = ARC_PASS,
		  .arc = { SAW },
		  .want = "reject 550 5.6.0" },
		{ .name = "ARC where DMARC passes is not asked",
		  .verdict = DMARC_PASS,
		  .chain = ARC_PASS,
		  .arc = { SAW },
		  .want = "accept" },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++) {
		struct policy_out o;
		char got[1200];
		struct str want = str_c(rows[i].want), head, words;
		decide(&rows[i], &o);
		str_cut(want, ':', &head, &words);
		int n = snprintf(got, sizeof got, "%s", policy_action_name(o.action));
		if (o.action != o.asked)
			n += snprintf(got + n, sizeof got - (size_t)n, " not %s", policy_action_name(o.asked));
		if (o.reply.code != 0)
			snprintf(got + n, sizeof got - (size_t)n, " %d %d.%d.%d", o.reply.code, o.reply.class,
				 o.reply.subject, o.reply.detail);
		check_str(str_c(got), head, rows[i].name);
		check(str_find(str_c(o.why), str_trim(words)) >= 0, rows[i].name);
		check((o.exempt == POLICY_EXEMPT_NOT) == (o.action == o.asked), rows[i].name);
		check((o.reply.code != 0) == (o.reply.text.n > 0), rows[i].name);
	}
}

static void test_words(void **state)
{
	const struct row refused = { FAIL_REJECT }, spared = { FAIL_REJECT, .spf = "lists.example" };
	struct policy_scope none = { .why = "not judged: a server of ours" };
	struct policy_out o;

	(void)state;
	decide(&refused, &o);
	assert_string_equal(o.why, "dmarc=fail (because): reject");
	check_str(
		o.reply.text,
		S("neither SPF nor DKIM proves that this is mail of x.example, which asks to refuse such mail (DMARC-FAIL)"),
		"reply");
	decide(&spared, &o);
	assert_string_equal(o.why, "dmarc=fail (because): accept, not reject: SPF says it comes from the forwarder "
				   "lists.example");
	policy_decide(&(struct policy_in){ .scope = &none }, &o);
	assert_int_equal(o.action, POLICY_ACCEPT);
	assert_string_equal(o.why, "not judged: a server of ours");
}

/* ---- and said ---- */

static void test_results(void **state)
{
	const struct arc_link links[] = { { .domain = STR_LIT("a.example") }, { .domain = STR_LIT("b.example") } };
	const struct arc_result arc = { .verdict = ARC_PASS, .links = 2, .v = links };
	const struct arc_result broken = { .verdict = ARC_FAIL, .why = "the body was changed" };
	const struct policy_sig sigs[] = {
		{ "pass", STR_LIT("x.example"), STR_LIT("s1"), STR_LIT("abcd/+="), STR_LIT("") },
		{ "fail", STR_LIT("evil.example; dmarc=pass"), STR_LIT(""), STR_LIT(""),
		  STR_LIT("body hash did not verify") },
	};
	struct dmarc_result d = {
		.verdict = DMARC_FAIL, .disposition = DMARC_POLICY_REJECT, .author = "x.example", .why = "not aligned"
	};
	struct policy_out out = { .action = POLICY_TAG };
	const struct net_addr client = ip("2001:db8::1");
	struct policy_said s = { .id = S("mx.ours.example"),
				 .spf = "pass",
				 .identity = S("a\r\nb@x.example"),
				 .client = &client,
				 .sigs = sigs,
				 .sig_n = 2,
				 .arc = &arc,
				 .dmarc = &d,
				 .out = &out };
	struct buf b;

	(void)state;
	buf_init(&b, 4096);
	policy_results(&s, &b);
	check_str(buf_str(&b),
		  S("Authentication-Results: mx.ours.example;\r\n"
		    "\tspf=pass smtp.mailfrom=\"a??b@x.example\" smtp.remote-ip=\"2001:db8::1\";\r\n"
		    "\tdkim=pass header.d=x.example header.s=s1 header.b=\"abcd/+=\";\r\n"
		    "\tdkim=fail reason=\"body hash did not verify\"\r\n"
		    "\theader.d=\"evil.example, dmarc=pass\";\r\n"
		    "\tarc=pass arc.chain=\"b.example:a.example\";\r\n"
		    "\tdmarc=fail reason=\"not aligned\" header.from=x.example\r\n"
		    "\tpolicy.dmarc=reject\r\n"),
		  "all of it");
	static const struct {
		enum policy_action action;
		const char *said;
	} applied[] = { { POLICY_ACCEPT, "policy.dmarc=none" },
			{ POLICY_HOLD, "policy.dmarc=quarantine" },
			{ POLICY_TAG, "policy.dmarc=reject" } };
	for (size_t i = 0; i < COUNT(applied); i++) {
		buf_reset(&b);
		out.action = applied[i].action;
		policy_results(&s, &b);
		check(str_find(buf_str(&b), str_c(applied[i].said)) >= 0, applied[i].said);
	}
	buf_reset(&b);
	d.verdict = DMARC_PASS;
	s = (struct policy_said){ .id = S("mx.ours.example"),
				  .spf = "none",
				  .helo = true,
				  .identity = S("h.example"),
				  .arc = &broken,
				  .dmarc = &d };
	policy_results(&s, &b);
	check_str(buf_str(&b),
		  S("Authentication-Results: mx.ours.example;\r\n"
		    "\tspf=none smtp.helo=h.example;\r\n"
		    "\tarc=fail reason=\"the body was changed\";\r\n"
		    "\tdmarc=pass header.from=x.example\r\n"),
		  "little of it");
	buf_reset(&b);
	policy_results(&(struct policy_said){ .id = S("mx.ours.example") }, &b);
	check_str(buf_str(&b), S("Authentication-Results: mx.ours.example; none\r\n"), "nothing");
	buf_fini(&b);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_decide),
		cmocka_unit_test(test_words),
		cmocka_unit_test(test_results),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
