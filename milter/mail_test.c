/* milter/mail_test.c: a message as the MTA tells it: what is asked, and which orders the answer becomes. */
#include "milter/mail.h"

#include "base/must.h"
#include "tests/unit.h"
#include "wire/header.h"

/* ---- certificates ---- */

static void test_certificates(void **state)
{
	static const struct {
		const char *row;
		struct mail_tls tls;
		const char *name;
		bool secured;
	} rows[] = {
		{ "Postfix",
		  { "TLSv1.3", NULL, "mail.contoso.com", NULL, "Postfix 3.7.11" },
		  "mail.contoso.com",
		  true },
		{ "Sendmail",
		  { "TLSv1.3", "OK", "/C=XX/O=Contoso/CN=mail.contoso.com", NULL, "8.17.1" },
		  "mail.contoso.com",
		  true },
		{ "Sendmail, by {cn_subject}",
		  { "TLSv1.3", "OK", "/C=XX/CN=a", "mail.contoso.com", "8.17.1" },
		  "mail.contoso.com",
		  true },
		{ "its chain is not good", { "TLSv1.3", "FAIL", "/CN=mail.contoso.com", NULL, "8.17.1" }, "", true },
		{ "it shows none", { "TLSv1.3", "NO", NULL, NULL, "8.17.1" }, "", true },
		{ "nobody says that the chain is good",
		  { "TLSv1.3", NULL, "/CN=mail.contoso.com", NULL, "8.17.1" },
		  "",
		  true },
		{ "nor who says so", { "TLSv1.3", NULL, "mail.contoso.com", NULL, NULL }, "", true },
		{ "in clear", { NULL, "OK", "/CN=mail.contoso.com", NULL, "8.17.1" }, "", false },
		{ "an empty version", { "", "OK", "/CN=mail.contoso.com", NULL, "8.17.1" }, "", false },
		{ "something behind the name", { "TLSv1.3", "OK", "/CN=mail.contoso.com/OU=x", NULL, "8" }, "", true },
		{ "two names: the last",
		  { "TLSv1.3", "OK", "/CN=a.example/CN=mail.contoso.com", NULL, "8" },
		  "mail.contoso.com",
		  true },
		{ "no name", { "TLSv1.3", "OK", "/O=Contoso", NULL, "8" }, "", true },
		{ "quoted", { "TLSv1.3", "OK", NULL, "mail+2Fx.contoso.com", "8" }, "", true },
		{ "a line in it", { "TLSv1.3", NULL, "mail.contoso.com\nx", NULL, "Postfix 3" }, "", true },
	};
	struct mail m;

	(void)state;
	mail_init(&m);
	for (size_t i = 0; i < COUNT(rows); i++) {
		mail_connect(&m, S("192.0.2.1"));
		mail_tls(&m, &rows[i].tls);
		check_str(m.certificate, str_c(rows[i].name), rows[i].row);
		check(m.secured == rows[i].secured, rows[i].row);
	}
	mail_fini(&m);
}

/* ---- headers ---- */

static unsigned fields;

static void count_field(void *arg, const struct header_field *f)
{
	(void)arg;
	(void)f;
	fields++;
}

/* Whatever the MTA calls a field is exactly one in what is asked about: orders go by their number. */
static void check_count(const struct mail *m, const char *row)
{
	struct header_scan s;

	fields = 0;
	header_scan_init(&s, DECIDE_HEADER_MAX, 100000, STR_NONE);
	s.on_field = count_field;
	header_scan_add(&s, buf_str(&m->header));
	header_scan_finish(&s);
	check(fields == m->field_n && !s.broken && s.mbox == 0, row);
	header_scan_fini(&s);
}

static void test_fields(void **state)
{
	static const struct {
		struct str name, value, want;
	} rows[] = {
		{ STR_LIT("Subject"), STR_LIT(" hi"), STR_LIT("Subject: hi\r\n") },
		{ STR_LIT("Subject"), STR_LIT("hi"), STR_LIT("Subject:hi\r\n") },
		{ STR_LIT("Subject"), STR_LIT("   hi "), STR_LIT("Subject:   hi \r\n") },
		{ STR_LIT("Subject"), STR_LIT(""), STR_LIT("Subject:\r\n") },
		{ STR_LIT("Subject"), STR_LIT(" a\n\tb\n c"), STR_LIT("Subject: a\r\n\tb\r\n c\r\n") },
		{ STR_LIT("Subject"), STR_LIT(" a\r\n\tb"), STR_LIT("Subject: a\r\n\tb\r\n") },
		{ STR_LIT("Subject"), STR_LIT(" a\nFrom: b"), STR_LIT("Subject: a\r\n\tFrom: b\r\n") },
		{ STR_LIT("Subject"), STR_LIT(" a\n\nb\n"), STR_LIT("Subject: a\r\n\t\r\n\tb\r\n\t\r\n") },
		{ STR_LIT("X-A "), STR_LIT("\tb"), STR_LIT("X-A:\tb\r\n") },
		{ STR_LIT("From x"), STR_LIT(" b"), STR_LIT("From?x: b\r\n") },
		{ STR_LIT("X\r\nY:z\xff"), STR_LIT(" b"), STR_LIT("X??Y?z?: b\r\n") },
		{ STR_LIT(""), STR_LIT(" b"), STR_LIT("?: b\r\n") },
		{ STR_LIT("  "), STR_LIT(" b"), STR_LIT("?: b\r\n") },
	};
	struct mail m;

	(void)state;
	mail_init(&m);
	for (size_t i = 0; i < COUNT(rows); i++) {
		mail_begin(&m, S("ID"), S("<a@b>"), STR_NONE);
		mail_field(&m, rows[i].name, rows[i].value);
		check_str(buf_str(&m.header), rows[i].want, rows[i].name.p);
		check_count(&m, rows[i].name.p);
	}
	mail_begin(&m, S("ID"), S("<a@b>"), STR_NONE);
	for (size_t i = 0; i < COUNT(rows); i++)
		mail_field(&m, rows[i].name, rows[i].value);
	check_count(&m, "all of them");
	mail_fini(&m);
}

static void test_too_much(void **state)
{
	static char large[DECIDE_HEADER_MAX];
	struct mail m;

	(void)state;
	memset(large, 'x', sizeof large);
	mail_init(&m);
	mail_begin(&m, S("ID"), S("<a@b>"), STR_NONE);
	mail_field(&m, S("X"), str_n(large, sizeof large));
	assert_int_equal(m.refused.code, 552);
	mail_begin(&m, S("ID"), S("<a@b>"), STR_NONE);
	assert_int_equal(m.refused.code, 0);
	for (int i = 0; i <= MAIL_FIELDS_MAX; i++)
		mail_field(&m, S("X"), S(" y"));
	assert_int_equal(m.refused.code, 452);
	mail_begin(&m, S("ID"), S("<a\r\n@b>"), STR_NONE);
	assert_int_equal(m.refused.code, 553);
	mail_begin(&m, S("ID"), S("<a@b>"), STR_NONE);
	mail_rcpt(&m, S("<a\n@b>"), NULL);
	assert_int_equal(m.refused.code, 553);
	assert_int_equal(m.rcpt_n, 0);
	for (int i = 0; i <= DECIDE_RCPTS_MAX; i++)
		mail_rcpt(&m, S("<a@b>"), NULL);
	assert_int_equal(m.refused.code, 452);
	mail_fini(&m);
}

/* ---- orders ---- */

static void show(const struct mail_orders *o, struct buf *out)
{
	static const char *const kinds[] = { "strip", "add", "gone", "new" };

	for (size_t i = 0; i < o->n; i++) {
		buf_addf(out, "%s %s", kinds[o->v[i].kind], o->v[i].name);
		if (o->v[i].kind == ORDER_STRIP)
			buf_addf(out, " %d", o->v[i].index);
		if (o->v[i].value != NULL)
			buf_addf(out, "|%s", o->v[i].value);
		buf_addc(out, '\n');
	}
}

static void check_orders(struct mail *m, const struct decide_answer *a, const char *want, const char *row)
{
	struct mail_orders o;
	struct buf b;

	buf_init(&b, 65536);
	check(mail_orders(m, a, &o), row);
	show(&o, &b);
	check_str(buf_str(&b), str_c(want), row);
	buf_fini(&b);
}

static void begin(struct mail *m)
{
	char notify[] = "NOTIFY=NEVER", orcpt[] = "ORCPT=rfc822;First@contoso.com", other[] = "X=y",
	     hostile[] = "NOTIFY=NEVER X=1";
	char *both[] = { notify, other, orcpt, NULL }, *bad[] = { hostile, NULL };

	mail_connect(m, S("192.0.2.1"));
	mail_begin(m, S("ID"), S("<a@b>"), STR_NONE);
	mail_rcpt(m, S("<anna@contoso.com>"), NULL);
	mail_rcpt(m, S("<clara@contoso.com>"), both);
	mail_rcpt(m, S("dora@contoso.com"), bad);
	mail_field(m, S("X-A"), S(" 1"));
	mail_field(m, S("x-a"), S(" 2"));
	mail_field(m, S("X-B"), S(" 3"));
	mail_field(m, S("X-A"), S(" 4"));
}

static void test_orders(void **state)
{
	const struct str to1[] = { S("clara@cloud.example") },
			 to2[] = { S("dora@contoso.com"), S("\"d+o=\"@cloud.example") };
	struct decide_rcpt rcpts[] = { { .action = DECIDE_KEEP },
				       { .action = DECIDE_REPLACE, .to = to1, .to_n = 1 },
				       { .action = DECIDE_REPLACE, .to = to2, .to_n = 2 } };
	const uint64_t strip[] = { 0, 1, 3 };
	const struct decide_field add[] = { { S("X-D"), S(" a\r\n\tb") } };
	struct decide_answer a = { .rcpts = rcpts, .rcpt_n = 3 };
	struct mail m;

	(void)state;
	mail_init(&m);
	begin(&m);
	check_orders(&m, &a,
		     "new <clara@cloud.example>|NOTIFY=NEVER ORCPT=rfc822;First@contoso.com\n"
		     "new <\"d+o=\"@cloud.example>|ORCPT=rfc822;dora@contoso.com\n"
		     "gone <clara@contoso.com>\n",
		     "recipients");
	a.rcpts = (const struct decide_rcpt[]){ { 0 }, { .action = DECIDE_DROP }, { .action = DECIDE_REFUSE } };
	a.strip = strip;
	a.strip_n = 3;
	a.add = add;
	a.add_n = 1;
	check_orders(&m, &a, "strip X-A 3\nstrip x-a 2\nstrip X-A 1\nadd X-D| a\n\tb\ngone <clara@contoso.com>\n",
		     "fields from the last one on");
	mail_fini(&m);
}

static void test_no_orders(void **state)
{
	const struct decide_rcpt rcpts[] = { { .action = DECIDE_DROP },
					     { .action = DECIDE_DROP },
					     { .action = DECIDE_DROP } };
	const struct str evil[] = { S("a>\r\nRCPT TO:<b@c") };
	const struct decide_rcpt bad[] = { { 0 }, { 0 }, { .action = DECIDE_REPLACE, .to = evil, .to_n = 1 } };
	const uint64_t beyond[] = { 4 };
	struct mail_orders o;
	struct mail m;

	(void)state;
	mail_init(&m);
	begin(&m);
	assert_true(mail_orders(&m, &(struct decide_answer){ .rcpts = rcpts, .rcpt_n = 3 }, &o) && o.nobody);
	assert_false(mail_orders(&m, &(struct decide_answer){ .rcpts = rcpts, .rcpt_n = 2 }, &o));
	assert_false(mail_orders(&m, &(struct decide_answer){ .rcpts = bad, .rcpt_n = 3 }, &o));
	assert_false(mail_orders(
		&m, &(struct decide_answer){ .rcpts = rcpts, .rcpt_n = 3, .strip = beyond, .strip_n = 1 }, &o));
	mail_fini(&m);
}

static void test_questions(void **state)
{
	struct decide_question q;
	struct mail m;

	(void)state;
	mail_init(&m);
	begin(&m);
	mail_ask_rcpt(&m, &q);
	assert_true(q.rcpt_n == 1 && !q.whole);
	check_str(q.rcpts[0], S("dora@contoso.com"), "the last one");
	mail_forget_rcpt(&m);
	assert_true(mail_ask_whole(&m, &q) && q.whole && q.rcpt_n == 2);
	check_str(q.rcpts[1], S("clara@contoso.com"), "those that were taken");
	check_str(q.header, S("X-A: 1\r\nx-a: 2\r\nX-B: 3\r\nX-A: 4\r\n"), "header");
	check_str(q.client, S("192.0.2.1"), "client");
	mail_begin(&m, S("ID2"), S("<>"), S("anna"));
	mail_ask_sender(&m, &q);
	check_str(q.from, S(""), "null sender");
	check_str(q.login, S("anna"), "login");
	assert_true(mail_ask_whole(&m, &q) && q.rcpt_n == 0 && q.header.n == 0);
	mail_connect(&m, STR_NONE);
	mail_ask_sender(&m, &q);
	check_str(q.login, S(""), "another connection");
	mail_fini(&m);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_certificates), cmocka_unit_test(test_fields),    cmocka_unit_test(test_too_much),
		cmocka_unit_test(test_orders),       cmocka_unit_test(test_no_orders), cmocka_unit_test(test_questions),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
