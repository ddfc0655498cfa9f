/* auth/arc_test.c: chains as tests/kit/openssl_seal makes them, and each way in which RFC 8617 lets one fail. */
#include "auth/arc.h"
#include "tests/kit/openssl_sealer.h"
#include "tests/unit.h"

#include <stdlib.h>
#include <string.h>

enum key_of { RSA, ED, RSA_1024, RSA_512, OLD, KEY_N };
static struct sealer_key *keys[KEY_N];

static const char letter[] = "From: Ann <a@x.example>\r\nTo: b@y.example\r\nSubject:  a  letter\r\n of two lines\r\n"
			     "Date: Thu, 1 Jan 2026 00:00:00 +0000\r\nReceived: from a\r\nReceived: from b\r\n\r\n"
			     "Hello  Ben,\r\n\r\nyours \r\n\r\n\r\n";

struct row {
	const char *name;
	unsigned links;
	struct sealer odd; /* how the link of its instance is made */
	enum key_of key;
	const char *from, *to; /* then the first `from` becomes `to` */
	const char *dns;       /* "N text": what the DNS says of link N's key; text "!" no answer, "-" no such name */
	const char *want;      /* "pass 2 keys=3"; "fail WORDS": among others; "none" */
};

static void make(const struct row *r, struct buf *m)
{
	buf_reset(m);
	buf_add(m, str_c(letter));
	for (unsigned i = 1; i <= r->links; i++) {
		struct sealer s = r->odd;
		if (s.instance != i)
			s = (struct sealer){ .instance = i };
		sealer_put(keys[r->key], &s, m);
	}
	if (r->from == NULL)
		return;
	ssize_t at = str_find(buf_str(m), str_c(r->from));
	check(at >= 0, r->name);
	struct buf edited;
	buf_init(&edited, m->max);
	buf_add(&edited, str_head(buf_str(m), (size_t)at));
	buf_add(&edited, str_c(r->to));
	buf_add(&edited, str_skip(buf_str(m), (size_t)at + strlen(r->from)));
	buf_reset(m);
	buf_add(m, buf_str(&edited));
	buf_fini(&edited);
}

static void answer(struct arc *a, const struct row *r, struct str name)
{
	char link[80], record[3000];
	struct str own = STR_NONE;
	struct buf b = { .p = record, .cap = sizeof record, .max = sizeof record - 1 };

	snprintf(link, sizeof link, ".link%c.example", r->dns != NULL ? r->dns[0] : '-');
	if (r->dns != NULL && str_ends(name, str_c(link)))
		own = str_c(r->dns + 2);
	if (str_eq(own, S("!"))) {
		arc_answer(a, TXT_FAILED, NULL, 0);
	} else if (str_eq(own, S("-")) || !str_starts(name, S("s._domainkey.link"))) {
		arc_answer(a, TXT_NXDOMAIN, NULL, 0);
	} else {
		ssize_t at = str_find(own, S("KEY"));
		if (own.n == 0)
			buf_add(&b, r->key == ED ? S("v=DKIM1; k=ed25519; p=") : S("v=DKIM1; p="));
		else
			buf_add(&b, at >= 0 ? str_head(own, (size_t)at) : own);
		if (own.n == 0 || at >= 0)
			sealer_key_record(keys[r->key], r->key == OLD, &b);
		const struct str texts[] = { STR_LIT("v=spf1 -all"), buf_str(&b) };
		arc_answer(a, TXT_DATA, texts + 1, 1);
		memset(record, 'x', sizeof record);
	}
}

/* Runs the machine over a message, its body in pieces of `step`; early: keys are asked for before the body is there. */
static unsigned run(struct arc *a, const struct row *r, struct str m, size_t step, bool early)
{
	size_t cut = (size_t)str_find(m, S("\r\n\r\n")) + 2;
	struct str body = str_skip(m, cut + 2), name;
	unsigned asked = 0;
	char *copy = malloc(cut + 1);

	memcpy(copy, m.p, cut);
	arc_begin(a, str_n(copy, cut), 1000);
	memset(copy, 'x', cut);
	free(copy);
	for (; early && (name = arc_next(a)).n > 0; asked++)
		answer(a, r, name);
	for (; body.n > 0; body = str_skip(body, step))
		arc_body(a, str_head(body, step));
	arc_end(a);
	for (; (name = arc_next(a)).n > 0; asked++) {
		assert_true(str_eq(arc_next(a), name));
		answer(a, r, name);
	}
	return asked;
}

static void check_row(const struct row *r)
{
	struct buf m;

	buf_init(&m, 4 << 20);
	make(r, &m);
	for (int how = 0; how < 3; how++) {
		struct arc a;
		char got[300];
		unsigned asked = run(&a, r, buf_str(&m), how == 1 ? 1 : 100000, how == 2);
		const struct arc_result *v = arc_result(&a);
		if (v->verdict == ARC_PASS)
			snprintf(got, sizeof got, "pass %u keys=%u", v->links, asked);
		else
			snprintf(got, sizeof got, "%s %s", arc_verdict_name(v->verdict), v->why);
		bool good = v->verdict == ARC_FAIL ? str_starts(str_c(r->want), S("fail ")) &&
							     str_find(str_c(got), str_skip(str_c(r->want), 5)) >= 0
						   : strcmp(got, r->want) == 0;
		if (!good)
			fail_msg("%s: %s, not %s", r->name, got, r->want);
		check(v->temporary == (r->dns != NULL && r->dns[2] == '!'), r->name);
		arc_fini(&a);
	}
	buf_fini(&m);
}

static void run_rows(const struct row *rows, size_t n)
{
	for (size_t i = 0; i < n; i++)
		check_row(&rows[i]);
}

static void test_pass(void **state)
{
	static const struct row rows[] = {
		{ .name = "no chain", .want = "none no ARC fields" },
		{ .name = "one link", .links = 1, .want = "pass 1 keys=1" },
		{ .name = "two links", .links = 2, .want = "pass 2 keys=2" },
		{ .name = "five links", .links = 5, .want = "pass 5 keys=5" },
		{ .name = "Ed25519", .links = 2, .key = ED, .want = "pass 2 keys=2" },
		{ .name = "1024 bits", .links = 1, .key = RSA_1024, .want = "pass 1 keys=1" },
		{ .name = "a key as RFC 6376 says", .links = 1, .key = OLD, .want = "pass 1 keys=1" },
		{ .name = "links of one domain",
		  .links = 2,
		  .odd = { .instance = 2, .domain = "link1.example" },
		  .want = "pass 2 keys=1" },
		{ .name = "relaxed/simple", .links = 1, .odd = { 1, .c = "relaxed/simple" }, .want = "pass 1 keys=1" },
		{ .name = "simple/relaxed", .links = 1, .odd = { 1, .c = "simple/relaxed" }, .want = "pass 1 keys=1" },
		{ .name = "simple/simple", .links = 1, .odd = { 1, .c = "simple/simple" }, .want = "pass 1 keys=1" },
		{ .name = "simple", .links = 1, .odd = { 1, .c = "simple" }, .want = "pass 1 keys=1" },
		{ .name = "no c=", .links = 1, .odd = { 1, .c = "" }, .want = "pass 1 keys=1" },
		{ .name = "folded tags", .links = 2, .odd = { 2, .fold = "\r\n\t" }, .want = "pass 2 keys=2" },
		{ .name = "no blanks between tags", .links = 2, .odd = { 1, .fold = "" }, .want = "pass 2 keys=2" },
		{ .name = "fields named more often than there are",
		  .links = 1,
		  .odd = { 1, .h = "from:from:subject:received:received:received:x-none" },
		  .want = "pass 1 keys=1" },
		{ .name = "the results are signed as well",
		  .links = 1,
		  .odd = { 1, .h = "from:arc-authentication-results" },
		  .want = "pass 1 keys=1" },
		{ .name = "older signatures are signed as well",
		  .links = 2,
		  .odd = { 2, .h = "from:arc-message-signature:arc-authentication-results" },
		  .want = "pass 2 keys=2" },
		{ .name = "an older body, changed since",
		  .links = 2,
		  .odd = { 1, .bh = "AAAA" },
		  .want = "pass 2 keys=2" },
		{ .name = "x= to come", .links = 1, .odd = { 1, .more_ams = "x=1000; " }, .want = "pass 1 keys=1" },
		{ .name = "tags nobody knows",
		  .links = 1,
		  .odd = { 1, .more_ams = "zz=1; t=5; ", .more_seal = "t=5; yy=; " },
		  .want = "pass 1 keys=1" },
		{ .name = "cv in capitals", .links = 2, .odd = { 2, .cv = "PASS" }, .want = "pass 2 keys=2" },
		{ .name = "a field that is not signed changed",
		  .links = 1,
		  .from = "Received: from b",
		  .to = "Received: c",
		  .want = "pass 1 keys=1" },
		{ .name = "a field put in front",
		  .links = 1,
		  .from = "ARC-Seal",
		  .to = "Received: by us\r\nARC-Seal",
		  .want = "pass 1 keys=1" },
		{ .name = "blanks changed, relaxed",
		  .links = 1,
		  .from = "Subject:  a  letter\r\n of",
		  .to = "subject: a letter of",
		  .want = "pass 1 keys=1" },
		{ .name = "names of fields in capitals",
		  .links = 1,
		  .from = "ARC-Message",
		  .to = "ARC-MESSAGE",
		  .want = "pass 1 keys=1" },
		{ .name = "lines at the end changed",
		  .links = 1,
		  .from = "yours \r\n\r\n\r\n",
		  .to = "yours\r\n\r\n",
		  .want = "pass 1 keys=1" },
		{ .name = "a key record of no version", .links = 1, .dns = "1 p=KEY", .want = "pass 1 keys=1" },
		{ .name = "a key record of many tags",
		  .links = 1,
		  .dns = "1 v=DKIM1; h=sha1:sha256; k=rsa; s=tlsrpt:email; t=y:s; n=note; p=KEY",
		  .want = "pass 1 keys=1" },
	};

	(void)state;
	run_rows(rows, COUNT(rows));
}

static void test_form(void **state)
{
	static const struct row rows[] = {
		/* RFC 8617 5.2 step 2, 3.C */
		{ .name = "the newest says fail",
		  .links = 2,
		  .odd = { 2, .cv = "fail" },
		  .want = "fail the newest seal (2) says that the chain is broken" },
		{ .name = "the only one says fail",
		  .links = 1,
		  .odd = { 1, .cv = "fail" },
		  .want = "fail the newest seal (1)" },
		{ .name = "an older one says fail",
		  .links = 3,
		  .odd = { 2, .cv = "fail" },
		  .want = "fail ARC-Seal 2: cv= is not pass" },
		{ .name = "the first says pass",
		  .links = 2,
		  .odd = { 1, .cv = "pass" },
		  .want = "fail ARC-Seal 1: cv= is not none" },
		{ .name = "the second says none",
		  .links = 2,
		  .odd = { 2, .cv = "none" },
		  .want = "fail ARC-Seal 2: cv= is not pass" },
		{ .name = "cv of another word",
		  .links = 1,
		  .odd = { 1, .cv = "maybe" },
		  .want = "fail ARC-Seal 1: cv= is not none" },
		/* step 3.A */
		{ .name = "no seal",
		  .links = 2,
		  .from = "ARC-Seal: i=2",
		  .to = "X: i=2",
		  .want = "fail ARC-Seal 2 is missing" },
		{ .name = "no message signature",
		  .links = 2,
		  .from = "ARC-Message-Signature: i=2",
		  .to = "X: i=2",
		  .want = "fail ARC-Message-Signature 2 is missing" },
		{ .name = "no results",
		  .links = 2,
		  .from = "ARC-Authentication-Results: i=2",
		  .to = "X: i=2",
		  .want = "fail ARC-Authentication-Results 2 is missing" },
		{ .name = "no seal in an older set",
		  .links = 2,
		  .from = "ARC-Seal: i=1",
		  .to = "X: i=1",
		  .want = "fail ARC-Seal 1 is missing" },
		{ .name = "only a seal",
		  .from = "Subject",
		  .to = "ARC-Seal: i=1; cv=none; a=rsa-sha256; d=a.b; s=c; b=AAAA\r\nSubject",
		  .want = "fail ARC-Authentication-Results 1 is missing" },
		{ .name = "two seals",
		  .links = 1,
		  .from = "ARC-Authentication-Results: i=1",
		  .to = "ARC-Seal: i=1; cv=none; b=AAAA\r\nARC-Authentication-Results: i=1",
		  .want = "fail ARC-Seal 1 is there twice" },
		{ .name = "two results",
		  .links = 1,
		  .from = "ARC-Authentication-Results: i=1",
		  .to = "ARC-Authentication-Results: i=1; evil.example; dmarc=pass\r\nARC-Authentication-Results: i=1",
		  .want = "fail ARC-Authentication-Results 1 is there twice" },
		{ .name = "two message signatures",
		  .links = 1,
		  .from = "ARC-Authentication-Results: i=1",
		  .to = "ARC-Message-Signature: i=1; b=AAAA\r\nARC-Authentication-Results: i=1",
		  .want = "fail ARC-Message-Signature 1 is there twice" },
		/* step 3.B */
		{ .name = "instance 0",
		  .links = 1,
		  .from = "Results: i=1",
		  .to = "Results: i=0",
		  .want = "fail has no instance from 1 to 50" },
		{ .name = "instance 51",
		  .links = 1,
		  .from = "Seal: i=1",
		  .to = "Seal: i=51",
		  .want = "fail has no instance from 1 to 50" },
		{ .name = "instance 001",
		  .links = 1,
		  .from = "Seal: i=1",
		  .to = "Seal: i=001",
		  .want = "fail has no instance from 1 to 50" },
		{ .name = "an instance of letters",
		  .links = 1,
		  .from = "Signature: i=1",
		  .to = "Signature: i=one",
		  .want = "fail ARC-Message-Signature has no instance" },
		{ .name = "no instance",
		  .links = 1,
		  .from = "Signature: i=1;",
		  .to = "Signature:",
		  .want = "fail ARC-Message-Signature has no instance" },
		{ .name = "results that do not begin with it",
		  .links = 1,
		  .from = "Results: i=1;",
		  .to = "Results: mx.example; i=1;",
		  .want = "fail ARC-Authentication-Results has no instance" },
		/* tags */
		{ .name = "a seal with h=",
		  .links = 1,
		  .odd = { 1, .more_seal = "h=from; " },
		  .want = "fail ARC-Seal 1: a seal must not have h=" },
		{ .name = "h= with ARC-Seal",
		  .links = 2,
		  .odd = { 2, .h = "from:arc-seal" },
		  .want = "fail ARC-Message-Signature 2: h= names ARC-Seal" },
		{ .name = "h= without From",
		  .links = 1,
		  .odd = { 1, .h = "to:subject" },
		  .want = "fail ARC-Message-Signature 1: From is not signed" },
		{ .name = "l=",
		  .links = 1,
		  .odd = { 1, .more_ams = "l=10; " },
		  .want = "fail only a part of the body is signed" },
		{ .name = "a tag twice",
		  .links = 1,
		  .odd = { 1, .more_ams = "s=t; " },
		  .want = "fail ARC-Message-Signature is no tag list" },
		{ .name = "no tag list",
		  .links = 1,
		  .odd = { 1, .more_seal = "nonsense; " },
		  .want = "fail ARC-Seal is no tag list" },
		{ .name = "rsa-sha1", .links = 1, .odd = { 1, .a = "rsa-sha1" }, .want = "fail a= is neither" },
		{ .name = "a selector with a blank",
		  .links = 1,
		  .odd = { 1, .selector = "a b" },
		  .want = "fail d= and s= make no name" },
		{ .name = "a domain with an empty label",
		  .links = 1,
		  .odd = { 1, .domain = "a..b" },
		  .want = "fail d= and s= make no name" },
		{ .name = "a domain to end a line",
		  .links = 1,
		  .odd = { 1, .domain = "a/b" },
		  .want = "fail d= and s= make no name" },
		{ .name = "c= of another word",
		  .links = 1,
		  .odd = { 1, .c = "nofws/relaxed" },
		  .want = "fail c= is unknown" },
		{ .name = "b= is empty",
		  .links = 1,
		  .from = "b=",
		  .to = "b=;zz=",
		  .want = "fail ARC-Seal 1: b= is empty" },
	};

	(void)state;
	run_rows(rows, COUNT(rows));
}

/* Instance 2 without instance 1. */
static void test_gap(void **state)
{
	const struct row r = { .name = "a gap", .want = "fail ARC-Authentication-Results 1 is missing" };
	struct buf m;
	struct arc a;

	(void)state;
	buf_init(&m, 1 << 20);
	buf_add(&m, str_c(letter));
	sealer_put(keys[RSA], &(struct sealer){ .instance = 2 }, &m);
	run(&a, &r, buf_str(&m), 1000, false);
	assert_int_equal(arc_result(&a)->verdict, ARC_FAIL);
	assert_string_equal(arc_result(&a)->why, "ARC-Authentication-Results 1 is missing");
	arc_fini(&a);
	buf_fini(&m);
}

static void test_broken(void **state)
{
	static const struct row rows[] = {
		/* step 4 */
		{ .name = "the body was changed",
		  .links = 1,
		  .from = "Hello",
		  .to = "Hallo",
		  .want = "fail ARC-Message-Signature 1 of link1.example: the body was changed" },
		{ .name = "something was added to the body",
		  .links = 2,
		  .from = "yours",
		  .to = "-- \r\nlist\r\nyours",
		  .want = "fail ARC-Message-Signature 2 of link2.example: the body was changed" },
		{ .name = "blanks of the body, simple",
		  .links = 1,
		  .odd = { 1, .c = "relaxed/simple" },
		  .from = "yours ",
		  .to = "yours",
		  .want = "fail the body was changed" },
		{ .name = "a signed field was changed",
		  .links = 1,
		  .from = "Subject:  a",
		  .to = "Subject: [list] a",
		  .want = "fail ARC-Message-Signature 1 of link1.example: the signature does not fit" },
		{ .name = "From was changed",
		  .links = 1,
		  .from = "From: Ann",
		  .to = "From: Eve",
		  .want = "fail does not fit" },
		{ .name = "a second From",
		  .links = 1,
		  .odd = { 1, .h = "from:from" },
		  .from = "To:",
		  .to = "From: eve@z\r\nTo:",
		  .want = "fail does not fit" },
		{ .name = "a field that was signed as absent",
		  .links = 1,
		  .odd = { 1, .h = "from:cc" },
		  .from = "To:",
		  .to = "Cc: c@z\r\nTo:",
		  .want = "fail does not fit" },
		{ .name = "blanks of the header, simple",
		  .links = 1,
		  .odd = { 1, .c = "simple/simple" },
		  .from = "Subject:  a",
		  .to = "Subject: a",
		  .want = "fail does not fit" },
		{ .name = "bh= is short", .links = 1, .odd = { 1, .bh = "AAAA" }, .want = "fail bh= is no SHA-256" },
		{ .name = "bh= is no base64",
		  .links = 1,
		  .odd = { 1, .bh = "A*AA" },
		  .want = "fail bh= is no SHA-256" },
		{ .name = "x= is over", .links = 1, .odd = { 1, .more_ams = "x=999; " }, .want = "fail it is over" },
		{ .name = "x= is no number",
		  .links = 1,
		  .odd = { 1, .more_ams = "x=soon; " },
		  .want = "fail it is over" },
		/* step 6 */
		{ .name = "the results were changed",
		  .links = 1,
		  .from = "dmarc=pass",
		  .to = "dmarc=fail",
		  .want = "fail ARC-Seal 1 of link1.example: the signature does not fit" },
		{ .name = "older results were changed",
		  .links = 3,
		  .odd = { 1, .results = " mx.first; spf=fail" },
		  .from = "spf=fail",
		  .to = "spf=pass",
		  .want = "fail ARC-Seal 3 of link3.example: the signature does not fit" },
		{ .name = "an older message signature was changed",
		  .links = 2,
		  .odd = { 1, .more_ams = "t=1; " },
		  .from = "t=1;",
		  .to = "t=2;",
		  .want = "fail ARC-Seal 2 of link2.example: the signature does not fit" },
		{ .name = "an older seal was changed",
		  .links = 2,
		  .odd = { 1, .more_seal = "t=1; " },
		  .from = "t=1;",
		  .to = "t=2;",
		  .want = "fail ARC-Seal 2 of link2.example: the signature does not fit" },
		{ .name = "the newest seal was changed",
		  .links = 1,
		  .odd = { 1, .more_seal = "t=1; " },
		  .from = "t=1;",
		  .to = "t=2;",
		  .want = "fail ARC-Seal 1 of link1.example: the signature does not fit" },
		/* keys */
		{ .name = "no key", .links = 1, .dns = "1 -", .want = "fail there is no key" },
		{ .name = "no key of an older link",
		  .links = 3,
		  .dns = "1 -",
		  .want = "fail ARC-Seal 1 of link1.example: there is no key" },
		{ .name = "no answer", .links = 1, .dns = "1 !", .want = "fail the DNS did not say" },
		{ .name = "no answer for an older link",
		  .links = 2,
		  .dns = "1 !",
		  .want = "fail ARC-Seal 1 of link1.example: the DNS" },
		{ .name = "revoked", .links = 1, .dns = "1 v=DKIM1; p=", .want = "fail the key is revoked" },
		{ .name = "no p=", .links = 1, .dns = "1 v=DKIM1; k=rsa", .want = "fail holds no key" },
		{ .name = "another version", .links = 1, .dns = "1 v=DKIM2; p=KEY", .want = "fail of another version" },
		{ .name = "the version is not first",
		  .links = 1,
		  .dns = "1 k=rsa; v=DKIM1; p=KEY",
		  .want = "fail of another version" },
		{ .name = "only for SHA-1",
		  .links = 1,
		  .dns = "1 v=DKIM1; h=sha1; p=KEY",
		  .want = "fail not for SHA-256" },
		{ .name = "not for mail",
		  .links = 1,
		  .dns = "1 v=DKIM1; s=tlsrpt; p=KEY",
		  .want = "fail not for mail" },
		{ .name = "an unknown kind",
		  .links = 1,
		  .dns = "1 v=DKIM1; k=dsa; p=KEY",
		  .want = "fail of an unknown kind" },
		{ .name = "another kind",
		  .links = 1,
		  .dns = "1 v=DKIM1; k=ed25519; p=KEY",
		  .want = "fail of another kind than the signature" },
		{ .name = "another kind, the other way",
		  .links = 1,
		  .key = ED,
		  .dns = "1 v=DKIM1; k=rsa; p=KEY",
		  .want = "fail of another kind than the signature" },
		{ .name = "damaged", .links = 1, .dns = "1 v=DKIM1; p=AAAA", .want = "fail the key is damaged" },
		{ .name = "no base64", .links = 1, .dns = "1 v=DKIM1; p=A-A", .want = "fail the key is not base64" },
		{ .name = "512 bits", .links = 1, .key = RSA_512, .want = "fail the key is too short" },
		{ .name = "a record of something else", .links = 1, .dns = "1 hello", .want = "fail no tag list" },
	};

	(void)state;
	run_rows(rows, COUNT(rows));
}

/* A chain of 50 holds, one of 51 does not; and a forged one costs one question. */
static void test_length(void **state)
{
	const struct row r = { .name = "fifty", .links = 50, .key = ED, .want = "pass 50 keys=50" };
	struct buf m;
	struct arc a;

	(void)state;
	check_row(&r);
	buf_init(&m, 4 << 20);
	make(&r, &m);
	sealer_put(keys[ED], &(struct sealer){ .instance = 51 }, &m);
	assert_int_equal(run(&a, &r, buf_str(&m), 1000, false), 0);
	assert_int_equal(arc_result(&a)->verdict, ARC_FAIL);
	arc_fini(&a);
	const struct row forged = { .name = "forged", .links = 50, .key = ED, .from = "Subject:", .to = "Subject: x" };
	make(&forged, &m);
	assert_int_equal(run(&a, &forged, buf_str(&m), 1000, false), 1);
	assert_int_equal(arc_result(&a)->verdict, ARC_FAIL);
	arc_fini(&a);
	buf_fini(&m);
}

static void test_links(void **state)
{
	const struct row r = { .links = 2, .odd = { 1, .results = " mx.first; dmarc=pass header.from=x.example" } };
	struct buf m;
	struct arc a;

	(void)state;
	buf_init(&m, 1 << 20);
	make(&r, &m);
	run(&a, &r, buf_str(&m), 1000, false);
	const struct arc_result *v = arc_result(&a);
	assert_int_equal(v->links, 2);
	check_str(v->v[0].domain, S("link1.example"), "domain");
	check_str(v->v[1].selector, S("s"), "selector");
	check_str(v->v[0].results, S(" mx.first; dmarc=pass header.from=x.example\r\n"), "results");
	assert_string_equal(v->why, "2 links, the newest of link2.example");
	arc_fini(&a);
	arc_fini(&a);
	buf_fini(&m);
}

static int make_keys(void **state)
{
	static const unsigned bits[KEY_N] = { 2048, 0, 1024, 512, 2048 };

	(void)state;
	for (int i = 0; i < KEY_N; i++)
		keys[i] = sealer_key_new(bits[i]);
	return 0;
}

static int free_keys(void **state)
{
	(void)state;
	for (int i = 0; i < KEY_N; i++)
		sealer_key_free(&keys[i]);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_pass),   cmocka_unit_test(test_form),   cmocka_unit_test(test_gap),
		cmocka_unit_test(test_broken), cmocka_unit_test(test_length), cmocka_unit_test(test_links),
	};

	return cmocka_run_group_tests(tests, make_keys, free_keys);
}
