/* auth/worker_test.c: a worker in this process: messages signed and verified through frames, and what attackers do to
 * them (hardening 4.8). */
#include "auth/worker.h"

#include "auth/dkim_lib.h"
#include "tests/kit/openssl_dkim.h"
#include "tests/unit.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

static char dir[] = "/tmp/tombolo-auth-XXXXXX";
static char records[3][DKIM_RECORD]; /* what the DNS says of the keys: rsa, ed, other */
static struct keys keys;
static struct worker *worker;
static struct buf out;

/* ---- keys ---- */

static const struct {
	const char *section, *file;
} signs[] = {
	{ "a.example\" { selector = rsa", "rsa" },
	{ "ed\" { domain = a.example\n selector = ed", "ed" },
	{ "b.example\" { selector = rsa", "rsa" },
	{ "short\" { domain = c.example\n selector = s", "short" },
	{ "open\" { domain = d.example\n selector = s", "open" },
	{ "none\" { domain = e.example\n selector = s", "none" },
	{ "junk\" { domain = f.example\n selector = s", "junk" },
};

static void put_file(const char *name, const char *text, mode_t mode)
{
	char path[200];
	FILE *f;

	snprintf(path, sizeof path, "%s/%s.pem", dir, name);
	f = fopen(path, "we");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
	assert_int_equal(chmod(path, mode), 0);
}

static int setup(void **state)
{
	char pem[DKIM_PEM];
	struct buf problems, text;

	(void)state;
	if (mkdtemp(dir) == NULL)
		return -1;
	dkim_key_make(2048, pem, records[0]);
	put_file("rsa", pem, 0600);
	put_file("open", pem, 0644);
	dkim_key_make(0, pem, records[1]);
	put_file("ed", pem, 0600);
	dkim_key_make(1024, pem, records[2]);
	put_file("short", pem, 0600);
	dkim_key_make(2048, pem, records[2]);
	put_file("junk", "junk", 0600);
	buf_init(&problems, 10000);
	buf_init(&text, 10000);
	buf_addf(&text, "hostname = mx.a.example\nauth { workers = 1 }\n"
			"receive \"r\" { listen = {\"127.0.0.1:25\"}\n permissions = {anonymous} }\n");
	for (size_t i = 0; i < COUNT(signs); i++)
		buf_addf(&text, "sign \"%s\n key = \"%s/%s.pem\" }\n", signs[i].section, dir, signs[i].file);
	struct config *c = config_parse(buf_str(&text), "test", &problems);
	if (c == NULL)
		fail_msg("%s", buf_cstr(&problems));
	buf_reset(&problems);
	keys_read(&keys, c, &problems);
	assert_int_equal(keys.n, 3);
	assert_true(str_find(buf_str(&problems), S("short.pem: an RSA key with too few bits")) > 0);
	assert_true(str_find(buf_str(&problems), S("open.pem: others may read")) > 0);
	assert_true(str_find(buf_str(&problems), S("none.pem: No such file")) > 0);
	assert_true(str_find(buf_str(&problems), S("junk.pem: not a private key")) > 0);
	config_unref(&c);
	buf_fini(&problems);
	buf_fini(&text);
	worker = worker_new(&keys, 4);
	buf_init(&out, 4 << 20);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	worker_free(&worker);
	keys_fini(&keys);
	buf_fini(&out);
	for (size_t i = 0; i < COUNT(signs); i++) {
		char path[200];
		snprintf(path, sizeof path, "%s/%s.pem", dir, signs[i].file);
		unlink(path);
	}
	return rmdir(dir);
}

/* ---- talking to it ---- */

static struct frame tell(enum frame_kind kind, uint32_t job, struct str payload)
{
	struct buf b;
	struct frame f = { 0 };

	buf_init(&b, 4 << 20);
	size_t at = frame_open(&b, kind, job);
	buf_add(&b, payload);
	assert_true(frame_close(&b, at));
	buf_reset(&out);
	assert_int_equal(worker_feed(worker, buf_str(&b), &out), b.n);
	assert_int_equal(frame_next(buf_str(&out), &f), out.n); /* just one */
	assert_int_equal(f.job, job);
	buf_fini(&b);
	return f;
}

static bool sign(const char *domain, struct str head, struct str body, struct buf *fields)
{
	struct buf b;
	struct reader r;

	buf_init(&b, 1 << 20);
	put_str(&b, str_c(domain));
	put_str(&b, head);
	struct frame f = tell(AUTH_SIGN, 7, buf_str(&b));
	buf_fini(&b);
	if (f.kind != AUTH_TAKEN)
		return false;
	for (size_t i = 0; i < body.n; i += 7) /* in pieces */
		assert_int_equal(tell(AUTH_BODY, 7, str_head(str_skip(body, i), 7)).kind, AUTH_TAKEN);
	f = tell(AUTH_SIGN_END, 7, STR_NONE);
	assert_int_equal(f.kind, AUTH_SIGNATURE);
	r = (struct reader){ .in = f.payload };
	buf_add(fields, read_str(&r, 1 << 20));
	return read_end(&r);
}

struct dns_says {
	const char *name, *text, *text2; /* text NULL: no such name; "!": it fails */
};

static size_t verify(struct str head, struct str body, const struct dns_says *dns, size_t dns_n,
		     struct auth_sig sigs[AUTH_SIGS_MAX])
{
	struct frame f = tell(AUTH_VERIFY, 9, head);
	static struct needs needs;
	static struct answers answers;
	struct reader r = { .in = f.payload };
	struct buf b;
	size_t n = 0;

	assert_int_equal(f.kind, AUTH_DKIM_NEEDS);
	assert_true(needs_read(&r, &needs) && read_end(&r));
	answers.n = 0;
	for (size_t i = 0; i < needs.n; i++) {
		struct answer *a = &answers.v[answers.n++];
		*a = (struct answer){ .type = RR_TXT, .status = RR_NXDOMAIN, .name = str_c(needs.v[i].name) };
		for (size_t k = 0; k < dns_n; k++) {
			if (!str_ieq(str_c(dns[k].name), a->name) || dns[k].text == NULL)
				continue;
			a->status = dns[k].text[0] == '!' ? RR_FAILED : RR_OK;
			if (a->status == RR_OK)
				a->values[a->value_n++] = str_c(dns[k].text);
			if (dns[k].text2 != NULL)
				a->values[a->value_n++] = str_c(dns[k].text2);
		}
	}
	if (body.n > 0)
		assert_int_equal(tell(AUTH_BODY, 9, body).kind, AUTH_TAKEN);
	buf_init(&b, 1 << 20);
	answers_put(&answers, &b);
	f = tell(AUTH_VERIFY_END, 9, buf_str(&b));
	buf_fini(&b);
	assert_int_equal(f.kind, AUTH_DKIM_VERDICT);
	assert_true(sigs_read(f.payload, sigs, &n));
	return n;
}

/* ---- signing, and verifying what was signed ---- */

static const char head[] = "From: Ann <ann@a.example>\r\nTo: bob@b.example\r\nSubject: a  folded\r\n\tsubject\r\n"
			   "Date: Sat, 28 Nov 2026 10:00:00 +0000\r\nX-Other: not signed\r\n";
static const char body[] = "Hello  Bob, \r\n\r\n.dots\r\n\r\n\r\n";

static void test_both_keys(void **state)
{
	(void)state;
	const struct dns_says dns[] = { { "rsa._domainkey.a.example", records[0], NULL },
					{ "ed._domainkey.a.example", records[1], NULL } };
	static const char *const bodies[] = { body, "", "\r\n\r\n\r\n", "no end", "x\r\n" };
	struct auth_sig sigs[AUTH_SIGS_MAX];
	struct buf b;

	buf_init(&b, 100000);
	for (size_t i = 0; i < COUNT(bodies); i++) {
		buf_reset(&b);
		assert_true(sign("A.example", str_c(head), str_c(bodies[i]), &b));
		for (struct str rest = buf_str(&b), line; rest.n > 0;) {
			str_cut(rest, '\n', &line, &rest);
			if (str_find(line, S("h=")) < 0)
				check(line.n <= 80, "a long line");
		}
		buf_add(&b, str_c(head));
		assert_int_equal(verify(buf_str(&b), str_c(bodies[i]), dns, 2, sigs), 2);
		for (size_t k = 0; k < 2; k++) {
			check(sigs[k].result == AUTH_PASS, bodies[i]);
			check_str(str_c(sigs[k].domain), S("a.example"), "d=");
			check_str(str_c(sigs[k].identity), S("@a.example"), "i=");
		}
		check_str(str_c(sigs[0].algorithm), S("rsa-sha256"), "a=");
		check_str(str_c(sigs[1].algorithm), S("ed25519-sha256"), "a=");
		assert_int_equal(sigs[0].bits, 2048);
		assert_int_equal(sigs[1].bits, 256);
		assert_int_equal(strlen(sigs[0].b), 8);
	}
	buf_fini(&b);
}

static void test_no_key(void **state)
{
	(void)state;
	struct buf b;

	buf_init(&b, 1000);
	assert_false(sign("c.example", str_c(head), str_c(body), &b)); /* too short */
	assert_false(sign("z.example", str_c(head), str_c(body), &b));
	assert_int_equal(tell(AUTH_BODY, 7, S("late")).kind, AUTH_TAKEN);
	assert_int_equal(tell(AUTH_SIGN_END, 7, STR_NONE).kind, AUTH_REFUSED);
	buf_fini(&b);
}

static const struct change {
	const char *what;
	const char *before, *after; /* in the header; after "": taken out; before "": put in front */
	const char *body;           /* NULL: as signed */
	struct dns_says dns, dns2;  /* of rsa._domainkey.b.example */
	enum auth_result result;
} changes[] = {
#define KEY "rsa._domainkey.b.example"
#define OK \
	{ \
		KEY, records[0], NULL \
	}
	{ "nothing", NULL, NULL, NULL, OK, { 0 }, AUTH_PASS },
	{ "blanks, to relaxed",
	  "Subject: a  folded\r\n\tsubject",
	  "SUBJECT :a folded \t subject ",
	  NULL,
	  OK,
	  { 0 },
	  AUTH_PASS },
	{ "an unsigned field", "X-Other: not", "X-Other: surely not", NULL, OK, { 0 }, AUTH_PASS },
	{ "a new unsigned field", "", "X-New: 1\r\n", NULL, OK, { 0 }, AUTH_PASS },
	{ "the order of fields", "X-Other: not signed\r\n", "", NULL, OK, { 0 }, AUTH_PASS },
	{ "blanks at the end of lines of the body", NULL, NULL, "Hello Bob,\r\n\r\n.dots\r\n", OK, { 0 }, AUTH_PASS },
	{ "the subject", "a  folded", "another", NULL, OK, { 0 }, AUTH_FAIL },
	{ "the author", "Ann <", "Eve <", NULL, OK, { 0 }, AUTH_FAIL },
	{ "a second author in front", "", "From: eve@evil.example\r\n", NULL, OK, { 0 }, AUTH_FAIL },
	{ "a second author behind", "X-Other", "From: eve@evil.example\r\nX-Other", NULL, OK, { 0 }, AUTH_FAIL },
	{ "a second subject", "", "Subject: buy\r\n", NULL, OK, { 0 }, AUTH_FAIL },
	{ "a second To", "", "To: eve@evil.example\r\n", NULL, OK, { 0 }, AUTH_FAIL },
	{ "a second Date", "", "Date: Sat, 28 Nov 2026 11:00:00 +0000\r\n", NULL, OK, { 0 }, AUTH_FAIL },
	{ "a Cc that was not there", "", "Cc: eve@evil.example\r\n", NULL, OK, { 0 }, AUTH_FAIL },
	{ "a Message-ID that was not there", "", "Message-ID: <1@evil.example>\r\n", NULL, OK, { 0 }, AUTH_FAIL },
	{ "a Content-Type that was not there", "", "Content-Type: text/html\r\n", NULL, OK, { 0 }, AUTH_FAIL },
	{ "no author", "From: Ann <ann@a.example>\r\n", "", NULL, OK, { 0 }, AUTH_FAIL },
	{ "the body", NULL, NULL, "Hello Eve,\r\n\r\n.dots\r\n", OK, { 0 }, AUTH_FAIL },
	{ "more body", NULL, NULL, "Hello  Bob, \r\n\r\n.dots\r\nand more\r\n", OK, { 0 }, AUTH_FAIL },
	{ "no body", NULL, NULL, "", OK, { 0 }, AUTH_FAIL },
	{ "another key", NULL, NULL, NULL, { KEY, records[2], NULL }, { 0 }, AUTH_FAIL },
	{ "a key of another kind", NULL, NULL, NULL, { KEY, records[1], NULL }, { 0 }, AUTH_PERMERROR },
	{ "no key", NULL, NULL, NULL, { KEY, NULL, NULL }, { 0 }, AUTH_PERMERROR },
	{ "no answer about the key", NULL, NULL, NULL, { KEY, "!", NULL }, { 0 }, AUTH_TEMPERROR },
	{ "a revoked key", NULL, NULL, NULL, { KEY, "v=DKIM1; k=rsa; p=", NULL }, { 0 }, AUTH_PERMERROR },
	{ "a key that is none", NULL, NULL, NULL, { KEY, "v=DKIM1; k=rsa; p=MIIB", NULL }, { 0 }, AUTH_PERMERROR },
	{ "a text that is no key", NULL, NULL, NULL, { KEY, "hello", NULL }, { 0 }, AUTH_PERMERROR },
	{ "a key for SHA-1 alone",
	  NULL,
	  NULL,
	  NULL,
	  { KEY, "v=DKIM1; h=sha1; k=rsa; p=MIIB", NULL },
	  { 0 },
	  AUTH_PERMERROR },
	{ "a key for other things than mail",
	  NULL,
	  NULL,
	  NULL,
	  { KEY, "v=DKIM1; s=tlsrpt; k=rsa; p=MIIB", NULL },
	  { 0 },
	  AUTH_PERMERROR },
	{ "a key of another version",
	  NULL,
	  NULL,
	  NULL,
	  { KEY, "v=DKIM2; k=rsa; p=MIIB", NULL },
	  { 0 },
	  AUTH_PERMERROR },
	{ "a text beside the key", NULL, NULL, NULL, { KEY, "v=spf1 -all", NULL }, OK, AUTH_PASS },
	{ "two keys", NULL, NULL, NULL, { KEY, records[2], NULL }, OK, AUTH_PERMERROR },
	{ "the domain", "d=b.example", "d=c.example", NULL, OK, { 0 }, AUTH_PERMERROR },
	{ "a time that is over", "s=rsa;", "s=rsa; x=1000000000;", NULL, OK, { 0 }, AUTH_PERMERROR },
	{ "a signature from the future", "t=1", "t=9", NULL, OK, { 0 }, AUTH_PERMERROR },
	{ "an identity elsewhere", "s=rsa;", "s=rsa; i=@c.example;", NULL, OK, { 0 }, AUTH_PERMERROR },
	{ "SHA-1", "a=rsa-sha256", "a=rsa-sha1", NULL, OK, { 0 }, AUTH_PERMERROR },
	{ "an algorithm nobody knows", "a=rsa-sha256", "a=rsa-md5", NULL, OK, { 0 }, AUTH_PERMERROR },
	{ "another version", "v=1", "v=2", NULL, OK, { 0 }, AUTH_PERMERROR },
	{ "no domain", "d=b.example;", "", NULL, OK, { 0 }, AUTH_PERMERROR },
	{ "an empty domain", "d=b.example;", "d=;", NULL, OK, { 0 }, AUTH_PERMERROR },
	{ "no selector", "s=rsa;", "", NULL, OK, { 0 }, AUTH_PERMERROR },
	{ "no fields", "h=From", "z=From", NULL, OK, { 0 }, AUTH_PERMERROR },
	{ "From signed once less", "h=From", "h=X", NULL, OK, { 0 }, AUTH_FAIL },
	{ "a tag twice", "s=rsa;", "s=rsa; d=b.example;", NULL, OK, { 0 }, AUTH_PERMERROR },
	{ "a query that is none", "s=rsa;", "s=rsa; q=http;", NULL, OK, { 0 }, AUTH_FAIL },
	{ "a canonicalisation that is none", "c=relaxed/relaxed", "c=loose/loose", NULL, OK, { 0 }, AUTH_PERMERROR },
	{ "a length that is none", "s=rsa;", "s=rsa; l=-1;", NULL, OK, { 0 }, AUTH_PERMERROR },
	{ "a length past the end", "s=rsa;", "s=rsa; l=99999;", NULL, OK, { 0 }, AUTH_PERMERROR },
};

static void replace(struct buf *b, const char *before, const char *after)
{
	struct buf copy;
	ssize_t at = str_find(buf_str(b), str_c(before));

	check(at >= 0, before);
	buf_init(&copy, b->max);
	buf_add(&copy, str_head(buf_str(b), (size_t)at));
	buf_add(&copy, str_c(after));
	buf_add(&copy, str_skip(buf_str(b), (size_t)at + strlen(before)));
	buf_reset(b);
	buf_add(b, buf_str(&copy));
	buf_fini(&copy);
}

static void test_changes(void **state)
{
	(void)state;
	struct auth_sig sigs[AUTH_SIGS_MAX];
	struct buf signed_, b;
	char row[400];

	buf_init(&signed_, 100000);
	buf_init(&b, 100000);
	assert_true(sign("b.example", str_c(head), str_c(body), &signed_));
	buf_add(&signed_, str_c(head));
	for (size_t i = 0; i < COUNT(changes); i++) {
		const struct change *c = &changes[i];
		const struct dns_says dns[] = { c->dns, c->dns2 };
		buf_reset(&b);
		buf_add(&b, buf_str(&signed_));
		if (c->before != NULL)
			replace(&b, c->before, c->after);
		size_t n = verify(buf_str(&b), str_c(c->body != NULL ? c->body : body), dns,
				  c->dns2.name != NULL ? 2 : 1, sigs);
		snprintf(row, sizeof row, "%s: %zu, %s (%s)", c->what, n,
			 n > 0 ? auth_result_name(sigs[0].result) : "-", n > 0 ? sigs[0].why : "");
		check(n == 1 && sigs[0].result == c->result, row);
		check((sigs[0].why[0] == '\0') == (c->result == AUTH_PASS), row);
	}
	buf_fini(&signed_);
	buf_fini(&b);
}

static void test_odd_headers(void **state)
{
	(void)state;
	struct auth_sig sigs[AUTH_SIGS_MAX];
	struct buf b;

	assert_int_equal(verify(str_c(head), str_c(body), NULL, 0, sigs), 0);
	/* a field with a NUL never reaches the library, which would read half of it */
	assert_int_equal(
		verify(S("DKIM-Signature: v=1; a=rsa-sha256; d=b.example\0.evil.example; s=rsa; h=from; bh=aGk=; "
			 "b=aGk=\r\nFrom: a@b.example\r\n"),
		       str_c(body), NULL, 0, sigs),
		1);
	assert_int_equal(sigs[0].result, AUTH_PERMERROR);
	check_str(str_c(sigs[0].domain), STR_NONE, "no domain of it");
	/* a name of a key that is none */
	verify(S("DKIM-Signature: v=1; a=rsa-sha256; d=b.example; s=a..b; h=from; bh=aGk=; b=aGk=\r\nFrom: a@b.example\r\n"),
	       str_c(body), NULL, 0, sigs);
	assert_int_equal(sigs[0].result, AUTH_PERMERROR);
	verify(S("DKIM-Signature: v=1; a=rsa-sha256; d=b.example; s=rsa; h=to; bh=aGk=; b=aGk=\r\nFrom: a@b.example\r\n"),
	       str_c(body), (const struct dns_says[]){ OK }, 1, sigs);
	assert_int_equal(sigs[0].result, AUTH_PERMERROR); /* From has to be signed */
	/* as many as are judged, and no more */
	buf_init(&b, 100000);
	for (int i = 0; i < 40; i++)
		buf_addf(&b, "DKIM-Signature: v=1; a=rsa-sha256; d=b%d.example; s=s; h=from; bh=aGk=; b=aGk=\r\n", i);
	buf_add(&b, str_c(head));
	size_t n = verify(buf_str(&b), str_c(body), NULL, 0, sigs);
	assert_int_equal(n, AUTH_SIGS_MAX);
	assert_int_equal(sigs[3].result, AUTH_PERMERROR);
	assert_int_equal(sigs[4].result, AUTH_POLICY);
	buf_fini(&b);
}

static void test_key_flags(void **state)
{
	(void)state;
	char testing[1100], strict[1100];
	const struct dns_says test_key = { KEY, testing, NULL }, strict_key = { KEY, strict, NULL };
	struct auth_sig sigs[AUTH_SIGS_MAX];
	struct buf b;

	snprintf(testing, sizeof testing, "v=DKIM1; t=y; %.1000s", records[0] + 9);
	snprintf(strict, sizeof strict, "v=DKIM1; t=s; %.1000s", records[0] + 9);
	buf_init(&b, 100000);
	assert_true(sign("b.example", str_c(head), str_c(body), &b));
	buf_add(&b, str_c(head));
	assert_int_equal(verify(buf_str(&b), str_c(body), &test_key, 1, sigs), 1);
	assert_int_equal(sigs[0].result, AUTH_PASS);
	assert_true(sigs[0].testing);
	assert_int_equal(verify(buf_str(&b), str_c(body), &strict_key, 1, sigs), 1);
	assert_int_equal(sigs[0].result, AUTH_PASS);
	assert_false(sigs[0].testing);
	buf_fini(&b);
}

/* ---- talk that makes no sense ends it ---- */

static bool endures(enum frame_kind kind, uint32_t job, struct str payload)
{
	struct buf b;

	buf_init(&b, 4 << 20);
	size_t at = frame_open(&b, kind, job);
	buf_add(&b, payload);
	assert_true(frame_close(&b, at));
	buf_reset(&out);
	ssize_t n = worker_feed(worker, buf_str(&b), &out);
	buf_fini(&b);
	return n >= 0;
}

static void test_nonsense(void **state)
{
	(void)state;
	assert_false(endures(AUTH_TAKEN, 1, STR_NONE));
	assert_false(endures(AUTH_HELLO, 1, STR_NONE));
	assert_false(endures(AUTH_SPF_ASK, 1, S("junk")));
	assert_false(endures(AUTH_VERIFY_END, 77, S("\0\0")));
	assert_false(endures(AUTH_SIGN, 1, S("junk")));
	assert_true(endures(AUTH_DROP, 4711, STR_NONE)); /* it may be over already */
	assert_true(endures(AUTH_VERIFY, 5, S("From: a@b.example\r\n")));
	assert_false(endures(AUTH_VERIFY, 5, S("From: a@b.example\r\n"))); /* of that number there is one */
	assert_true(endures(AUTH_DROP, 5, STR_NONE));
	assert_true(endures(AUTH_VERIFY, 5, S("From: a@b.example\r\n")));
	assert_true(endures(AUTH_DROP, 5, STR_NONE));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_keys),   cmocka_unit_test(test_no_key),    cmocka_unit_test(test_changes),
		cmocka_unit_test(test_odd_headers), cmocka_unit_test(test_key_flags), cmocka_unit_test(test_nonsense),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
