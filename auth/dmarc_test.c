/* auth/dmarc_test.c: DMARC over a small DNS of text: every example of RFC 9989 and many of their kin, the policy tags
 * in every combination against a second, plainer way to choose, and walks of names of any length. */
#include "auth/dmarc.h"
#include "tests/unit.h"

#include <stdlib.h>
#include <string.h>

/* A zone is lines.  "name text": a TXT record at _dmarc.name.  "+name": the name exists.  "!name": no answer about
 * _dmarc.name; "!+name": none about the name itself.  "0name": _dmarc.name exists and has no TXT.
 * A name exists when one at or below it is mentioned. */
struct zone {
	const char *text;
	char asked[2000]; /* all questions, with blanks between */
};

static bool next_line(const char **at, struct str *line)
{
	size_t n = strcspn(*at, "\n");

	*line = str_n(*at, n);
	*at += n + ((*at)[n] == '\n');
	return n > 0;
}

static bool is_below(struct str name, struct str top)
{
	return str_ieq(name, top) || (name.n > top.n && str_iends(name, top) && name.p[name.n - top.n - 1] == '.');
}

static enum txt_status zone_ask(struct zone *z, struct str name, struct str texts[8], size_t *n)
{
	struct str line, key, text, domain = name;
	bool record = str_starts(name, S("_dmarc.")), exists = false;
	size_t used = strlen(z->asked);

	snprintf(z->asked + used, sizeof z->asked - used, "%s" STR_FMT, used > 0 ? " " : "", STR_ARG(name));
	if (record)
		domain = str_skip(name, 7);
	*n = 0;
	for (const char *at = z->text; next_line(&at, &line);) {
		str_cut(line, ' ', &key, &text);
		bool plus = str_starts(key, S("+")), down = str_starts(key, S("!")),
		     down_plus = str_starts(key, S("!+"));
		bool empty = str_starts(key, S("0"));
		key = str_skip(key, down_plus ? 2 : plus || down || empty ? 1 : 0);
		exists |= !record && is_below(key, domain);
		if (!str_ieq(key, domain))
			continue;
		if ((down && !down_plus && record) || (down_plus && !record))
			return TXT_FAILED;
		exists |= empty;
		if (record && !plus && !down && !empty && *n < 8)
			texts[(*n)++] = text;
	}
	return *n > 0 ? TXT_DATA : exists ? TXT_NODATA : TXT_NXDOMAIN;
}

static void judge(struct zone *z, const struct dmarc_input *in, struct dmarc *d)
{
	struct str name, texts[8];
	size_t n;

	z->asked[0] = '\0';
	dmarc_begin(d, in);
	while ((name = dmarc_next(d)).n > 0) {
		assert_true(str_eq(dmarc_next(d), name));
		enum txt_status s = zone_ask(z, name, texts, &n);
		dmarc_answer(d, s, texts, n);
	}
}

/* "x.example" passed, "?x.example" failed for a time, "-x.example" failed. */
static struct dmarc_id read_id(struct str word)
{
	struct dmarc_id id = { word, word.n > 0 ? DMARC_ID_PASS : DMARC_ID_NO };

	if (str_starts(word, S("?")) || str_starts(word, S("-"))) {
		id.state = word.p[0] == '?' ? DMARC_ID_TEMPERROR : DMARC_ID_NO;
		id.domain = str_skip(word, 1);
	}
	return id;
}

static const char *or_dash(const char *s)
{
	return s[0] == '\0' ? "-" : s;
}

static void check_row(const char *name, const char *zone, const char *author, const char *spf, const char *dkim,
		      const char *want)
{
	static struct dmarc d;
	struct dmarc_id ids[32];
	struct dmarc_input in = { .author = str_c(author), .spf = read_id(str_c(spf)), .dkim = ids };
	struct zone z = { .text = zone };
	char got[1000];

	for (struct str rest = str_c(dkim), word; (word = str_word(&rest)).n > 0;)
		ids[in.dkim_n++] = read_id(word);
	judge(&z, &in, &d);
	const struct dmarc_result *r = dmarc_result(&d);
	snprintf(got, sizeof got, "%s %s %s %s %s %u", dmarc_verdict_name(r->verdict),
		 dmarc_policy_name(r->disposition), or_dash(r->tag), or_dash(r->policy_domain), or_dash(r->org_domain),
		 r->asked);
	if (strcmp(got, want) != 0)
		fprintf(stderr, "%s: %s; asked %s\n", name, r->why, z.asked);
	check_str(str_c(got), str_c(want), name);
	check(r->why[0] != '\0' && strlen(r->why) < sizeof r->why - 1, name);
}

#define P      "v=DMARC1; p="
#define REJECT P "reject"
#define NONE   P "none"
#define QUAR   P "quarantine"
#define EX     "example.com " /* where most records are */

struct row {
	const char *name, *zone, *author, *spf, *dkim, *want;
};

static void run(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		check_row(rows[i].name, rows[i].zone, rows[i].author, rows[i].spf, rows[i].dkim, rows[i].want);
}

/* The examples of RFC 9989, by section. */
static void test_rfc(void **state)
{
#define BOTH  EX REJECT "\nsigning.example.com " NONE
#define GIANT "bank.example " REJECT "; psd=y\ngiant.bank.example " QUAR
	static const struct row rows[] = {
		{ "4.4 table: relaxed", EX REJECT, "news.example.com", "foo.example.com", "",
		  "pass none - example.com example.com 4" },
		{ "4.4 table: relaxed, under strict", EX REJECT "; aspf=s", "news.example.com", "foo.example.com", "",
		  "fail reject p example.com example.com 3" },
		{ "4.4 table: identical", EX REJECT "; aspf=s", "news.example.com", "news.example.com", "",
		  "pass none - example.com news.example.com 3" },
		{ "4.4 table: neither", EX REJECT "\nexample.net " REJECT, "news.example.com", "foo.example.net", "",
		  "fail reject p example.com example.com 3" },
		{ "4.7 np: below, nonexistent", EX REJECT "; sp=none; np=quarantine", "a.example.com", "", "",
		  "fail quarantine np example.com example.com 4" },
		{ "4.7 t: quarantine", EX QUAR "; t=y", "example.com", "", "", "fail none p example.com - 1" },
		{ "4.7 t: reject", EX REJECT "; t=y", "example.com", "", "", "fail quarantine p example.com - 1" },
		{ "4.10: eight questions", "com " REJECT, "a.b.c.d.e.f.g.h.i.j.mail.example.com", "", "",
		  "fail reject p com com 8" },
		{ "4.10.1: several records are none", EX REJECT "\n" EX NONE, "example.com", "", "",
		  "none none - - - 2" },
		{ "4.10.1: p is wrong, rua is not", EX P "x; rua=mailto:a@example.com", "example.com", "", "",
		  "fail none p example.com - 1" },
		{ "4.10.1: p is wrong, no rua", EX P "x", "example.com", "", "", "permerror none - example.com - 1" },
		{ "4.10.2: the same domain everywhere", "mail.example.com " REJECT "\n" EX NONE, "mail.example.com",
		  "mail.example.com", "mail.example.com", "pass none - mail.example.com mail.example.com 1" },
		{ "4.10.2: two records, fewest labels", "mail.example.com " NONE "\n" EX REJECT, "a.mail.example.com",
		  "b.example.com", "", "pass none - example.com example.com 5" },
		{ "4.10.2: psd=n", "mail.example.com " QUAR "; psd=n\n" EX REJECT, "a.mail.example.com",
		  "b.example.com", "", "fail quarantine p mail.example.com mail.example.com 2" },
		{ "4.10.2: psd=y above", EX REJECT "; psd=y\nmail.example.com " QUAR, "mail.example.com",
		  "a.mail.example.com", "", "pass none - mail.example.com mail.example.com 3" },
		{ "4.10.2: only com, psd=y", "com " REJECT "; psd=y", "a.mail.example.com", "example.com", "",
		  "pass none - com example.com 4" },
		{ "5.1.8: a zone cut that is never found", EX REJECT "\nb.c.d.e.f.g.example.com " NONE "; psd=n",
		  "mail.a.b.c.d.e.f.g.example.com", "", "", "fail reject p example.com example.com 8" },
		{ "5.1.8: a record at the author domain is", EX REJECT "\nmail.a.b.c.d.e.f.g.example.com " NONE,
		  "mail.a.b.c.d.e.f.g.example.com", "", "", "fail none p mail.a.b.c.d.e.f.g.example.com - 1" },
		{ "11.8: a subdomain in other hands", EX REJECT, "example.com", "evil.example.com", "",
		  "pass none - example.com example.com 3" },
		{ "11.8: strict alignment against it", EX REJECT "; aspf=s", "example.com", "evil.example.com", "",
		  "fail reject p example.com - 1" },
		{ "11.8: evil.example.com with mail.example.com", "mail.example.com " NONE "\n" EX REJECT,
		  "evil.example.com", "", "mail.example.com", "pass none - example.com example.com 4" },
		{ "11.8: mail.example.com defends itself", "mail.example.com " NONE "; psd=n\n" EX REJECT,
		  "evil.example.com", "", "mail.example.com", "fail reject p example.com example.com 4" },
		{ "B.1.1 example 1", EX REJECT, "example.com", "example.com", "",
		  "pass none - example.com example.com 1" },
		{ "B.1.1 example 2", EX REJECT, "example.com", "child.example.com", "",
		  "pass none - example.com example.com 3" },
		{ "B.1.1 example 3", EX REJECT, "child.example.com", "example.net", "",
		  "fail reject p example.com example.com 3" },
		{ "B.1.2 example 1", EX REJECT, "example.com", "", "example.com",
		  "pass none - example.com example.com 1" },
		{ "B.1.2 example 2", EX REJECT, "child.example.com", "", "example.com",
		  "pass none - example.com example.com 3" },
		{ "B.1.2 example 3", EX REJECT, "child.example.com", "", "example.net",
		  "fail reject p example.com example.com 3" },
		{ "B.2.1", EX NONE "; rua=mailto:dmarc-feedback@example.com", "example.com", "", "",
		  "fail none p example.com - 1" },
		{ "B.2.5, the test", "test.example.com " QUAR "; rua=mailto:a@example.com,mailto:b@example.net; t=y",
		  "test.example.com", "", "", "fail none p test.example.com - 1" },
		{ "B.2.5, the end", "test.example.com " REJECT "; rua=mailto:a@example.com,mailto:b@example.net",
		  "test.example.com", "", "", "fail reject p test.example.com - 1" },
		{ "B.3.1", EX REJECT "; aspf=r; rua=mailto:f@example.com", "example.com", "mail.example.com",
		  "example.com", "pass none - example.com example.com 1" },
		{ "B.3.1, SPF alone", EX REJECT "; aspf=r", "example.com", "mail.example.com", "",
		  "pass none - example.com example.com 3" },
		{ "B.4.1, SPF", BOTH, "example.com", "example.com", "signing.example.com",
		  "pass none - example.com example.com 1" },
		{ "B.4.1, DKIM alone", BOTH, "example.com", "", "signing.example.com",
		  "pass none - example.com example.com 3" },
		{ "B.4.1, neither passes", BOTH, "example.com", "-example.com", "-signing.example.com",
		  "fail reject p example.com - 1" },
		{ "B.4.2, SPF", BOTH, "a.b.c.d.e.f.g.h.i.j.k.example.com", "example.com", "signing.example.com",
		  "pass none - example.com example.com 8" },
		{ "B.4.2, DKIM alone", BOTH, "a.b.c.d.e.f.g.h.i.j.k.example.com", "", "signing.example.com",
		  "pass none - example.com example.com 9" },
		{ "B.4.2, neither passes", BOTH, "a.b.c.d.e.f.g.h.i.j.k.example.com", "", "",
		  "fail reject p example.com example.com 8" },
		{ "B.4.3, SPF", GIANT, "giant.bank.example", "mail.giant.bank.example", "mail.mega.bank.example",
		  "pass none - giant.bank.example giant.bank.example 3" },
		{ "B.4.3, DKIM alone", GIANT, "giant.bank.example", "", "mail.mega.bank.example",
		  "fail quarantine p giant.bank.example giant.bank.example 2" },
	};

	(void)state;
	run(rows, COUNT(rows));
}

static void test_discovery(void **state)
{
	static const struct row rows[] = {
		{ "no record anywhere", "+example.com", "example.com", "example.com", "example.com",
		  "none none - - - 2" },
		{ "none at a deep name", "", "a.b.c.d.e.f.g.h.i.example.com", "", "", "none none - - - 8" },
		{ "a single label", "com " REJECT, "com", "", "", "fail reject p com - 1" },
		{ "one level up", EX REJECT, "a.example.com", "", "", "fail reject p example.com example.com 3" },
		{ "its own record before the organisation's", EX REJECT "\na.example.com " NONE, "a.example.com", "",
		  "", "fail none p a.example.com - 1" },
		{ "the organisation's before one between", EX REJECT "\nb.example.com " NONE, "a.b.example.com", "", "",
		  "fail reject p example.com example.com 4" },
		{ "other TXT records beside it", EX "v=spf1 -all\n" EX REJECT "\n" EX "x", "example.com", "", "",
		  "fail reject p example.com - 1" },
		{ "only other TXT records", EX "v=spf1 -all", "example.com", "", "", "none none - - - 2" },
		{ "a wrong version beside the right one", EX "v=DMARC2; p=none\n" EX REJECT, "example.com", "", "",
		  "fail reject p example.com - 1" },
		{ "v is not first", EX "p=reject; v=DMARC1", "example.com", "", "", "none none - - - 2" },
		{ "two at the author, one above", "a.example.com " NONE "\na.example.com " NONE "\n" EX REJECT,
		  "a.example.com", "", "", "fail reject p example.com example.com 3" },
		{ "two above, one at the top", EX NONE "\n" EX NONE "\ncom " QUAR, "a.example.com", "", "",
		  "fail quarantine p com com 3" },
		{ "two equal records are two", EX REJECT "\n" EX REJECT, "example.com", "", "", "none none - - - 2" },
		{ "a name without TXT", "0example.com", "example.com", "", "", "none none - - - 2" },
		{ "seven labels", "com " REJECT, "a.b.c.d.e.f.com", "", "", "fail reject p com com 7" },
		{ "eight labels", "com " REJECT, "a.b.c.d.e.f.g.com", "", "", "fail reject p com com 8" },
		{ "nine labels", "com " REJECT, "a.b.c.d.e.f.g.h.com", "", "", "fail reject p com com 8" },
		{ "nine labels, what is cut is not asked", "b.c.d.e.f.g.h.com " NONE "\ncom " REJECT,
		  "a.b.c.d.e.f.g.h.com", "", "", "fail reject p com com 8" },
		{ "eight labels, the seventh is asked", "b.c.d.e.f.g.com " NONE "; psd=n\ncom " REJECT,
		  "a.b.c.d.e.f.g.com", "", "", "fail none p b.c.d.e.f.g.com b.c.d.e.f.g.com 2" },
		{ "case", "Example.COM " REJECT, "EXAMPLE.com", "eXample.com", "",
		  "pass none - example.com example.com 1" },
		{ "a dot at the end", EX REJECT, "example.com.", "example.com", "",
		  "pass none - example.com example.com 1" },
		{ "U-labels", "xn--mnchen-3ya.example " REJECT, "m\xc3\xbcnchen.example", "xn--mnchen-3ya.example", "",
		  "pass none - xn--mnchen-3ya.example xn--mnchen-3ya.example 1" },
		{ "U-labels as identifier", "xn--mnchen-3ya.example " REJECT, "xn--mnchen-3ya.example", "",
		  "M\xc3\x9cnchen.example", "pass none - xn--mnchen-3ya.example xn--mnchen-3ya.example 1" },
		{ "no author", EX REJECT, "", "example.com", "", "permerror none - - - 0" },
		{ "an author that is no domain", EX REJECT, "exa mple.com", "example.com", "",
		  "permerror none - - - 0" },
		{ "an author with an empty label", EX REJECT, "a..example.com", "example.com", "",
		  "permerror none - - - 0" },
		{ "an address literal", EX REJECT, "[192.0.2.1]", "example.com", "", "permerror none - - - 0" },
	};

	(void)state;
	run(rows, COUNT(rows));
}

static void test_alignment(void **state)
{
	static const struct row rows[] = {
		{ "sibling, SPF", EX REJECT, "a.example.com", "b.example.com", "",
		  "pass none - example.com example.com 4" },
		{ "sibling, DKIM", EX REJECT, "a.example.com", "", "b.example.com",
		  "pass none - example.com example.com 4" },
		{ "parent", EX REJECT, "a.example.com", "example.com", "", "pass none - example.com example.com 3" },
		{ "child", EX REJECT, "example.com", "a.b.c.example.com", "", "pass none - example.com example.com 5" },
		{ "strict SPF does not bind DKIM", EX REJECT "; aspf=s", "a.example.com", "b.example.com",
		  "c.example.com", "pass none - example.com example.com 4" },
		{ "strict DKIM does not bind SPF", EX REJECT "; adkim=s", "a.example.com", "b.example.com",
		  "c.example.com", "pass none - example.com example.com 4" },
		{ "strict both", EX REJECT "; adkim=s; aspf=s", "a.example.com", "b.example.com", "c.example.com",
		  "fail reject p example.com example.com 3" },
		{ "strict from the organisation's record binds the parent too", EX REJECT "; adkim=s", "a.example.com",
		  "", "example.com", "fail reject p example.com example.com 3" },
		{ "strict and the same", EX REJECT "; adkim=s; aspf=s", "a.example.com", "", "a.example.com",
		  "pass none - example.com a.example.com 3" },
		{ "strict compares without case", EX REJECT "; adkim=s", "example.com", "", "EXAMPLE.com.",
		  "pass none - example.com example.com 1" },
		{ "the record that applies says how strict", EX REJECT "; adkim=s\na.example.com " REJECT,
		  "a.example.com", "", "b.example.com", "pass none - a.example.com example.com 4" },
		{ "another organisation costs nothing", EX REJECT, "example.com", "evil.net", "evil.org",
		  "fail reject p example.com - 1" },
		{ "another organisation of the same top", EX REJECT, "example.com", "evil.com", "",
		  "fail reject p example.com example.com 2" },
		{ "a name that only ends alike", EX REJECT, "example.com", "evilexample.com", "",
		  "fail reject p example.com example.com 2" },
		{ "a name that begins alike", EX REJECT, "example.com", "example.com.evil.com", "",
		  "fail reject p example.com example.com 2" },
		{ "the top itself", EX REJECT, "example.com", "", "com", "fail reject p example.com example.com 2" },
		{ "the top itself, which has a record", EX REJECT "\ncom " NONE, "example.com", "", "com",
		  "pass none - example.com com 2" },
		{ "the top itself, as a suffix", EX REJECT "\ncom " NONE "; psd=y", "example.com", "", "com",
		  "fail reject p example.com example.com 2" },
		{ "one of many signatures", EX REJECT, "example.com", "",
		  "a.net b.org evil.com -example.com mail.example.com", "pass none - example.com example.com 3" },
		{ "the exact one is looked for first", EX REJECT, "example.com", "",
		  "a.example.com b.example.com example.com", "pass none - example.com example.com 1" },
		{ "failed SPF is nobody", EX REJECT, "example.com", "-example.com", "",
		  "fail reject p example.com - 1" },
		{ "failed DKIM is nobody", EX REJECT, "example.com", "", "-example.com",
		  "fail reject p example.com - 1" },
		{ "nothing was checked", EX QUAR, "example.com", "", "", "fail quarantine p example.com - 1" },
		{ "an identifier that is no domain", EX REJECT, "example.com", "exam(ple.com", "e;x",
		  "fail reject p example.com - 1" },
		{ "a signature of a name with a space", EX REJECT, "example.com", "example.com\t", "",
		  "fail reject p example.com - 1" },
		{ "a deep identifier", EX REJECT, "example.com", "a.b.c.d.e.f.g.h.i.example.com", "",
		  "pass none - example.com example.com 8" },
		{ "org of the author is itself: no record above", "a.example.com " REJECT, "a.example.com",
		  "b.example.com", "", "fail reject p a.example.com a.example.com 3" },
		{ "child of an author that is its organisation", "a.example.com " REJECT, "a.example.com",
		  "x.a.example.com", "", "pass none - a.example.com a.example.com 4" },
		{ "parent without record of an author with one", "a.example.com " REJECT, "a.example.com",
		  "example.com", "", "fail reject p a.example.com a.example.com 3" },
		{ "identifier cut off by psd=n", EX REJECT "\nshop.example.com " NONE "; psd=n", "example.com",
		  "x.shop.example.com", "", "fail reject p example.com example.com 4" },
		{ "author cut off by psd=n", EX REJECT "\nshop.example.com " REJECT "; psd=n", "x.shop.example.com",
		  "example.com", "", "fail reject p shop.example.com shop.example.com 2" },
		{ "both below psd=n", EX REJECT "\nshop.example.com " REJECT "; psd=n", "x.shop.example.com",
		  "y.shop.example.com", "", "pass none - shop.example.com shop.example.com 3" },
		{ "psd=n at the author itself", "a.example.com " REJECT "; psd=n\n" EX NONE, "a.example.com",
		  "example.com", "", "fail reject p a.example.com a.example.com 1" },
		{ "a broken identifier record between does no harm", EX REJECT "\nb.example.com v=DMARC1; junk",
		  "a.example.com", "b.example.com", "", "pass none - example.com example.com 4" },
		{ "two records at the identifier are none",
		  EX REJECT "\nb.example.com " NONE "; psd=n\nb.example.com " NONE, "a.example.com", "b.example.com",
		  "", "pass none - example.com example.com 4" },
		{ "SPF is named before DKIM", EX REJECT, "example.com", "example.com", "example.com",
		  "pass none - example.com example.com 1" },
	};

	(void)state;
	run(rows, COUNT(rows));
}

static void test_suffixes(void **state)
{
	static const struct row rows[] = {
		{ "the suffix as author", "bank.example " REJECT "; psd=y", "bank.example", "", "",
		  "fail reject p bank.example - 1" },
		{ "the suffix as author, by its own SPF", "bank.example " REJECT "; psd=y", "bank.example",
		  "bank.example", "", "pass none - bank.example bank.example 1" },
		{ "the suffix as author, somebody below it", "bank.example " REJECT "; psd=y", "bank.example",
		  "mega.bank.example", "", "fail reject p bank.example bank.example 2" },
		{ "a bank without record: p of the suffix", "bank.example " REJECT "; psd=y\n+mega.bank.example",
		  "mega.bank.example", "", "", "fail reject p bank.example mega.bank.example 2" },
		{ "sp of the suffix", "bank.example " REJECT "; sp=none; psd=y\n+mega.bank.example",
		  "mega.bank.example", "", "", "fail none sp bank.example mega.bank.example 2" },
		{ "np of the suffix: no such bank", "bank.example " NONE "; np=reject; psd=y", "fake.bank.example", "",
		  "", "fail reject np bank.example fake.bank.example 3" },
		{ "np of the suffix: a bank that is", "bank.example " NONE "; np=reject; psd=y\n+mega.bank.example",
		  "mega.bank.example", "", "", "fail none p bank.example mega.bank.example 3" },
		{ "a bank passes by its own names", "bank.example " REJECT "; psd=y", "mega.bank.example",
		  "mail.mega.bank.example", "", "pass none - bank.example mega.bank.example 3" },
		{ "not by another bank's", "bank.example " REJECT "; psd=y", "mega.bank.example", "giant.bank.example",
		  "", "fail reject p bank.example mega.bank.example 2" },
		{ "not by the suffix's", "bank.example " REJECT "; psd=y", "mega.bank.example", "bank.example", "",
		  "fail reject p bank.example mega.bank.example 2" },
		{ "the bank's record comes first", "bank.example " REJECT "; psd=y\nmega.bank.example " NONE,
		  "mail.mega.bank.example", "", "", "fail none p mega.bank.example mega.bank.example 3" },
		{ "a record between is neither", "bank.example " REJECT "; psd=y\nx.mega.bank.example " NONE,
		  "a.x.mega.bank.example", "", "", "fail reject p bank.example mega.bank.example 4" },
		{ "the walk ends at psd=y", "bank.example " REJECT "; psd=y\nexample " NONE, "mega.bank.example", "",
		  "", "fail reject p bank.example mega.bank.example 2" },
		{ "a top that forgot psd=y", "com " NONE "\n" EX REJECT, "a.example.com", "", "evil.com",
		  "pass none - com com 4" },
		{ "psd=n against a top that forgot", "com " NONE "\n" EX REJECT "; psd=n", "a.example.com", "",
		  "evil.com", "fail reject p example.com example.com 2" },
		{ "psd=y far above a deep name", "g.h.i.j.k.l.com " REJECT "; psd=y", "a.b.c.d.e.f.g.h.i.j.k.l.com", "",
		  "", "fail reject p g.h.i.j.k.l.com f.g.h.i.j.k.l.com 2" },
		{ "psd=u is as no psd", EX REJECT "; psd=u\ncom " NONE "; psd=u", "a.example.com", "", "",
		  "fail none p com com 3" },
		{ "psd= that is wrong is as none", EX REJECT "; psd=maybe", "a.example.com", "", "",
		  "fail reject p example.com example.com 3" },
		{ "psd=y of two records does not count",
		  "bank.example " REJECT "; psd=y\nbank.example " REJECT "; psd=y\nexample " QUAR, "mega.bank.example",
		  "", "", "fail quarantine p example example 3" },
	};

	(void)state;
	run(rows, COUNT(rows));
}

static void test_trouble(void **state)
{
	static const struct row rows[] = {
		{ "no answer at the author", "!example.com", "example.com", "example.com", "",
		  "temperror none - - - 1" },
		{ "no answer on the way up", "!example.com\ncom " REJECT, "a.example.com", "a.example.com", "",
		  "temperror none - - - 2" },
		{ "no answer at the top, policy wanted", "!com\n" EX REJECT, "a.example.com", "", "",
		  "temperror none - - - 3" },
		{ "no answer at the top, not wanted", "!com\n" EX REJECT, "example.com", "", "",
		  "fail reject p example.com - 1" },
		{ "no answer at the top, a pass without it", "!com\n" EX REJECT, "example.com", "example.com", "",
		  "pass none - example.com example.com 1" },
		{ "no answer at the top, alignment wanted", "!com\n" EX REJECT, "example.com", "a.example.com", "",
		  "temperror none p example.com - 2" },
		{ "no answer at the top, strangers do not matter", "!com\n" EX REJECT, "example.com", "evil.net", "",
		  "fail reject p example.com - 1" },
		{ "no answer at an identifier", "!b.example.com\n" EX REJECT, "example.com", "b.example.com", "",
		  "temperror none p example.com example.com 3" },
		{ "no answer at an identifier, another passes", "!b.example.com\n" EX REJECT, "example.com",
		  "b.example.com", "c.example.com", "pass none - example.com example.com 4" },
		{ "no answer at a stranger's", "!evil.com\n" EX REJECT, "example.com", "evil.com", "",
		  "fail reject p example.com example.com 2" },
		{ "SPF failed for a time, aligned", EX REJECT, "example.com", "?example.com", "",
		  "temperror none p example.com - 1" },
		{ "SPF failed for a time, relaxed", EX REJECT, "example.com", "?a.example.com", "",
		  "temperror none p example.com example.com 3" },
		{ "SPF failed for a time, strict", EX REJECT "; aspf=s", "example.com", "?a.example.com", "",
		  "fail reject p example.com - 1" },
		{ "SPF failed for a time, a stranger's", EX REJECT, "example.com", "?evil.net", "",
		  "fail reject p example.com - 1" },
		{ "DKIM failed for a time, aligned", EX REJECT, "example.com", "", "?example.com",
		  "temperror none p example.com - 1" },
		{ "DKIM failed for a time, a stranger's", EX REJECT, "example.com", "", "?evil.com",
		  "fail reject p example.com example.com 2" },
		{ "DKIM failed for a time, SPF passes", EX REJECT, "example.com", "example.com", "?example.com",
		  "pass none - example.com example.com 1" },
		{ "SPF failed for a time, DKIM passes relaxed", EX REJECT, "example.com", "?example.com",
		  "a.example.com", "pass none - example.com example.com 3" },
		{ "p=none and a time of failure", EX NONE, "example.com", "?example.com", "",
		  "temperror none p example.com - 1" },
		{ "existence: no answer", EX NONE "; np=reject\n!+a.example.com", "a.example.com", "", "",
		  "temperror none p example.com example.com 4" },
		{ "existence: seen by _dmarc", EX NONE "; np=reject\n0a.example.com", "a.example.com", "", "",
		  "fail none p example.com example.com 3" },
		{ "existence: by other TXT there", EX NONE "; np=reject\na.example.com v=spf1 -all", "a.example.com",
		  "", "", "fail none p example.com example.com 3" },
		{ "existence: by a name below", EX NONE "; np=reject\n+x.a.example.com", "a.example.com", "", "",
		  "fail none p example.com example.com 4" },
		{ "existence: not asked for a pass", EX NONE "; np=reject", "a.example.com", "a.example.com", "",
		  "pass none - example.com a.example.com 3" },
		{ "existence: not asked when np says the same", EX REJECT "; np=reject", "a.example.com", "", "",
		  "fail reject p example.com example.com 3" },
		{ "existence: not asked at the domain itself", EX NONE "; np=reject", "example.com", "", "",
		  "fail none p example.com - 1" },
		{ "np= that is wrong: nothing but reports", EX REJECT "; np=x; rua=mailto:a@b.example", "a.example.com",
		  "", "", "fail none p example.com example.com 3" },
		{ "p is missing, sp is not", EX "v=DMARC1; sp=reject; rua=mailto:a@b.example", "a.example.com", "", "",
		  "fail none p example.com example.com 3" },
		{ "p is missing, and rua", EX "v=DMARC1; sp=reject", "a.example.com", "", "",
		  "permerror none - example.com example.com 3" },
		{ "an unusable record at the author hides the organisation's", EX REJECT "\na.example.com v=DMARC1",
		  "a.example.com", "", "", "permerror none - a.example.com - 1" },
		{ "p is missing, rua is there: a pass is a pass", EX "v=DMARC1; rua=mailto:a@b.example", "example.com",
		  "example.com", "", "pass none - example.com example.com 1" },
		{ "junk answers", EX "\001\002\377", "example.com", "", "", "none none - - - 2" },
	};

	(void)state;
	run(rows, COUNT(rows));
}

/* p, sp, np in each combination, for the domain itself, a subdomain and one that does not exist, with and without t=y,
 * against the text of 4.7 read once more. */
static void test_policies(void **state)
{
	static const char *const words[] = { NULL, "none", "quarantine", "reject" };
	char zone[300], name[400];
	static struct dmarc d;

	(void)state;
	for (int i = 0; i < 4 * 4 * 4 * 3 * 2; i++) {
		int p = i % 4, sp = i / 4 % 4, np = i / 16 % 4, where = i / 64 % 3, t = i / 192;
		snprintf(zone, sizeof zone,
			 "example.com v=DMARC1;rua=mailto:a@example.com%s%s%s%s%s%s%s\n+here.example.com",
			 p ? ";p=" : "", p ? words[p] : "", sp ? ";sp=" : "", sp ? words[sp] : "", np ? ";np=" : "",
			 np ? words[np] : "", t ? ";t=y" : "");
		const char *author = where == 0 ? "example.com" : where == 1 ? "here.example.com" : "not.example.com";
		int want = where == 0 ? p : where == 1 ? (sp ? sp : p) : np ? np : sp ? sp : p;
		if (p == 0)
			want = 1;
		if (t && want > 1)
			want--;
		snprintf(name, sizeof name, "%s of %s", author, zone);
		struct zone z = { .text = zone };
		const struct dmarc_input in = { .author = str_c(author) };
		judge(&z, &in, &d);
		check(dmarc_result(&d)->verdict == DMARC_FAIL, name);
		check(strcmp(dmarc_policy_name(dmarc_result(&d)->disposition), words[want]) == 0, name);
	}
}

/* The questions of a walk, in their order; names of one to many labels never cost more than eight. */
static void test_questions(void **state)
{
	static struct dmarc d;
	char name[300] = "com";

	(void)state;
	struct zone z = { .text = "" };
	const struct dmarc_input deep = { .author = S("a.b.c.d.e.f.g.h.i.j.mail.example.com") };
	judge(&z, &deep, &d);
	assert_string_equal(z.asked, "_dmarc.a.b.c.d.e.f.g.h.i.j.mail.example.com _dmarc.g.h.i.j.mail.example.com "
				     "_dmarc.h.i.j.mail.example.com _dmarc.i.j.mail.example.com "
				     "_dmarc.j.mail.example.com _dmarc.mail.example.com _dmarc.example.com _dmarc.com");
	const struct dmarc_input cut = { .author = S("mail.a.b.c.d.e.f.g.example.com") };
	judge(&z, &cut, &d);
	assert_string_equal(z.asked, "_dmarc.mail.a.b.c.d.e.f.g.example.com _dmarc.c.d.e.f.g.example.com "
				     "_dmarc.d.e.f.g.example.com _dmarc.e.f.g.example.com _dmarc.f.g.example.com "
				     "_dmarc.g.example.com _dmarc.example.com _dmarc.com");
	for (unsigned labels = 1; labels <= 120; labels++) {
		const struct dmarc_input in = { .author = str_c(name) };
		judge(&z, &in, &d);
		assert_int_equal(dmarc_result(&d)->verdict, DMARC_NONE);
		assert_int_equal(dmarc_result(&d)->asked, labels < 8 ? labels : strlen(name) > 246 ? 7 : 8);
		memmove(name + 2, name, strlen(name) + 1);
		memcpy(name, "x.", 2);
	}
	/* the author itself is asked for after its record, and only then */
	z.text = "example.com v=DMARC1; p=none; np=reject";
	const struct dmarc_input gone = { .author = S("gone.example.com") };
	judge(&z, &gone, &d);
	assert_string_equal(z.asked, "_dmarc.gone.example.com _dmarc.example.com _dmarc.com gone.example.com");
}

/* Signatures without end: bounded questions, and a boundary that was not asked about lets nobody through. */
static void test_flood(void **state)
{
	static struct dmarc d;
	static char names[64][100];
	struct dmarc_id ids[64];
	struct zone z = { .text = "example.com v=DMARC1; p=reject\nevil.example.com v=DMARC1; p=none; psd=n" };

	(void)state;
	for (int i = 0; i < 64; i++) {
		snprintf(names[i], sizeof names[i], "a%d.b%d.c%d.d%d.evil.example.com", i, i, i, i);
		ids[i] = (struct dmarc_id){ str_c(names[i]), DMARC_ID_PASS };
	}
	const struct dmarc_input in = { .author = S("example.com"), .dkim = ids, .dkim_n = 64 };
	judge(&z, &in, &d);
	assert_int_equal(dmarc_result(&d)->verdict, DMARC_FAIL);
	assert_true(dmarc_result(&d)->asked <= DMARC_NAMES_MAX);
}

static void test_words(void **state)
{
	static struct dmarc d;
	struct dmarc_id list = { S("list.example.net"), DMARC_ID_PASS };
	struct zone z = { .text = "example.com v=DMARC1; p=reject; p=none; t=y" };
	const struct dmarc_input in = {
		.author = S("example.com"), .spf = { S("example.net"), DMARC_ID_PASS }, .dkim = &list, .dkim_n = 1
	};

	(void)state;
	judge(&z, &in, &d);
	assert_string_equal(
		dmarc_result(&d)->why,
		"not aligned with the author: SPF example.net, DKIM list.example.net; p=reject of example.com, "
		"which is testing (t=y); the record: p= is given twice");
	z.text = "example.com v=DMARC1; p=reject\nexample.com v=DMARC1; p=reject";
	judge(&z, &in, &d);
	assert_string_equal(dmarc_result(&d)->why, "no DMARC record at example.com or above; 2 records at "
						   "_dmarc.example.com, none counts");
	list.domain = S("mail.example.com");
	z.text = "example.com v=DMARC1; p=reject";
	judge(&z, &in, &d);
	assert_string_equal(dmarc_result(&d)->why, "DKIM mail.example.com is aligned: both belong to example.com");
	assert_true(dmarc_result(&d)->by_dkim);
	assert_string_equal(dmarc_result(&d)->aligned, "mail.example.com");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_rfc),       cmocka_unit_test(test_discovery), cmocka_unit_test(test_alignment),
		cmocka_unit_test(test_suffixes),  cmocka_unit_test(test_trouble),   cmocka_unit_test(test_policies),
		cmocka_unit_test(test_questions), cmocka_unit_test(test_flood),     cmocka_unit_test(test_words),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
