/* smtpd/beside_test.c: the tables of the socketmap server, and the answers to tombolo-milter. */
#include "smtpd/beside.h"

#include "base/must.h"
#include "smtpd/explain.h"
#include "tests/unit.h"
#include "wire/decide.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

static const char config_text[] =
	"hostname = mail.contoso.com\n"
	"domain contoso.com { routing_domain = contoso.mail.cloud.example }\n"
	"receive internet { listen = {} }\n"
	"receive hub { listen = {} from = 10.0.0.0/8 permissions = servers }\n"
	"inbound cloud { type = peer sender_certificate = mail.contoso.mail.cloud.example cloud_mail = yes\n"
	"  trusted_orgs = contoso.com }\n"
	"send mailboxes { space = '@local' smarthosts = { '[127.0.0.1]:2001', ex2.contoso.com } }\n"
	"send cloud { space = { contoso.mail.cloud.example, '@peer' } smarthosts = 'cloud.example:2002' peer = yes\n"
	"  tls = domain tls_domain = '*.mail.cloud.example' }\n"
	"send closed { space = closed.example smarthosts = 10.9.9.9 exclusive = yes enabled = no }\n"
	"send internet { space = '*;10' dns = yes }\n"
	"tls_policy bank.example { tls = validate }\n"
	"recipients { path = '%s/table' map_size = 16M }\n"
	"beside { listen = /s %s }\n";

static const char people[] = "address,loc,routing,redirect,keep_copy,expand_at,require_auth,members\n"
			     "anna@contoso.com,local,,,,,,\n"
			     "clara@contoso.com,remote,clara@contoso.mail.cloud.example,,,,,\n"
			     "staff@contoso.com,remote,staff@contoso.mail.cloud.example,,,,yes,\n"
			     "moved@contoso.com,redirect,,clara@contoso.com,,,,\n"
			     "copy@contoso.com,local,,,,,,\n"
			     "both@contoso.com,both,both@contoso.mail.cloud.example,,,,,\n"
			     "fwd@contoso.com,local,,clara@contoso.com,yes,,,\n"
			     "all@contoso.com,group,,,,here,,anna@contoso.com;clara@contoso.com;x@far.example\n"
			     "closed@contoso.com,redirect,,x@closed.example,,,,\n";

struct fixture {
	char dir[64];
	struct config *config;
	struct routing *routing;
	struct token_keys keys;
	struct beside b;
};

static void fixture_open(struct fixture *f, const char *more)
{
	struct buf text, told;
	struct err e = { 0 };
	struct import_report rep;
	char file[128];

	memset(f, 0, sizeof *f);
	memcpy(f->dir, "/tmp/tombolo_beside.XXXXXX", 27);
	must(mkdtemp(f->dir) != NULL);
	buf_init(&text, 8192);
	buf_init(&told, 8192);
	buf_addf(&text, config_text, f->dir, more);
	f->config = config_parse(buf_str(&text), "f", &told);
	if (f->config == NULL)
		fail_msg("%s", buf_cstr(&told));
	f->routing = routing_open(f->config, &e);
	if (f->routing == NULL)
		fail_msg("%s", e.text);
	snprintf(file, sizeof file, "%s/people.csv", f->dir);
	FILE *csv = fopen(file, "w");
	must(csv != NULL && fputs(people, csv) >= 0 && fclose(csv) == 0);
	if (routing_import(f->routing, file, IMPORT_CSV, S("t"), false, 0, false, &rep, &told, &e) != 0)
		fail_msg("%s %s", e.text, buf_cstr(&told));
	f->b = (struct beside){
		.config = f->config, .routing = f->routing, .srs = &f->keys, .tokens = &f->keys, .now_ms = 1700000000000
	};
	buf_fini(&text);
	buf_fini(&told);
}

static void fixture_close(struct fixture *f)
{
	char order[128];

	routing_close(&f->routing);
	config_unref(&f->config);
	snprintf(order, sizeof order, "%s", f->dir);
	char path[256];
	static const char *const files[] = { "people.csv", "table/data.mdb", "table/lock.mdb", "table" };
	for (size_t i = 0; i < COUNT(files); i++) {
		snprintf(path, sizeof path, "%s/%s", order, files[i]);
		remove(path);
	}
	remove(order);
}

/* ---- tables ---- */

static const struct {
	const char *map, *key, *want;
} lookups[] = {
	{ "transport", "anna@contoso.com", "OK smtp:[127.0.0.1]:2001, [ex2.contoso.com]:25" },
	{ "transport", "Clara@Contoso.com", "OK smtp:[cloud.example]:2002" },
	{ "transport", "clara@contoso.mail.cloud.example", "OK smtp:[cloud.example]:2002" },
	{ "transport", "moved@contoso.com", "OK smtp:[cloud.example]:2002" },
	{ "transport", "staff@contoso.com", "OK smtp:[cloud.example]:2002" }, /* who may write to it was asked before */
	{ "transport", "x@far.example", "OK smtp:far.example" },
	{ "transport", "nobody@contoso.com",
	  "OK error:5.1.1 Recipient address rejected: no such mailbox (RCPT-UNKNOWN R10)" },
	{ "transport", "x@closed.example", "OK retry:4.4.4 The connector that owns this address space is disabled" },
	{ "transport", "contoso.com", "NOTFOUND " },
	{ "transport", "@contoso.com", "NOTFOUND " },
	{ "transport", "*", "NOTFOUND " },
	{ "transport", "", "NOTFOUND " },
	{ "transport", "x@[192.0.2.1]", "NOTFOUND " },
	{ "virtual", "anna@contoso.com", "NOTFOUND " },
	{ "virtual", "clara@contoso.com", "OK clara@contoso.mail.cloud.example" },
	{ "virtual", "clara@contoso.mail.cloud.example", "NOTFOUND " }, /* or Postfix would go in circles */
	{ "virtual", "moved@contoso.com", "OK clara@contoso.mail.cloud.example" },
	{ "virtual", "both@contoso.com", "OK both@contoso.com, both@contoso.mail.cloud.example" },
	{ "virtual", "fwd@contoso.com", "OK fwd@contoso.com, clara@contoso.mail.cloud.example" },
	{ "virtual", "all@contoso.com", "OK anna@contoso.com, clara@contoso.mail.cloud.example, x@far.example" },
	{ "virtual", "nobody@contoso.com", "NOTFOUND " },
	{ "virtual", "@contoso.com", "NOTFOUND " },
	{ "recipients", "anna@contoso.com", "OK R30" },
	{ "recipients", "all@contoso.com", "OK R31" },
	{ "recipients", "nobody@contoso.com", "NOTFOUND " },
	{ "recipients", "@contoso.com", "NOTFOUND " },
	{ "tls_policy", "[cloud.example]:2002", "OK secure match=.mail.cloud.example" },
	{ "tls_policy", "[CLOUD.example]:2002", "OK secure match=.mail.cloud.example" },
	{ "tls_policy", "[cloud.example]:25", "NOTFOUND " },
	{ "tls_policy", "[127.0.0.1]:2001", "OK may" },
	{ "tls_policy", "far.example", "OK may" },
	{ "tls_policy", "bank.example", "OK verify" },
	{ "tls_policy", "", "NOTFOUND " },
	{ "nothing", "anna@contoso.com", "PERM there is no map of this name" },
};

static void look_up(struct fixture *f, const char *map, const char *key, const char *want)
{
	struct buf out;

	buf_init(&out, 64 * 1024);
	beside_lookup(&f->b, str_c(map), str_c(key), &out);
	check_str(buf_str(&out), str_c(want), key);
	buf_fini(&out);
}

static void test_tables(void **state)
{
	struct fixture f;

	(void)state;
	fixture_open(&f, "");
	for (size_t i = 0; i < COUNT(lookups); i++)
		look_up(&f, lookups[i].map, lookups[i].key, lookups[i].want);
	fixture_close(&f);
	fixture_open(&f, "own_mailboxes = yes transport = relay");
	look_up(&f, "transport", "anna@contoso.com", "NOTFOUND ");
	look_up(&f, "transport", "clara@contoso.com", "OK relay:[cloud.example]:2002");
	fixture_close(&f);
}

/* ---- decisions ---- */

/* The answer as text: "V..." | "k" | "e TO TO" | "v REPLY" | "x" ..., "d N", "a NAME:VALUE", "q WHY", joined by "|". */
static void show(const struct decide_answer *a, struct buf *out)
{
	static const char letters[] = "kevx";

	if (a->reply.n > 0)
		buf_addf(out, "V " STR_FMT "|", STR_ARG(a->reply));
	for (size_t i = 0; i < a->rcpt_n; i++) {
		const struct decide_rcpt *r = &a->rcpts[i];
		buf_addf(out, "%c", letters[r->action]);
		if (r->reply.n > 0)
			buf_addf(out, " " STR_FMT, STR_ARG(r->reply));
		for (size_t k = 0; k < r->to_n; k++)
			buf_addf(out, " " STR_FMT, STR_ARG(r->to[k]));
		buf_addc(out, '|');
	}
	for (size_t i = 0; i < a->strip_n; i++)
		buf_addf(out, "d %llu|", (unsigned long long)a->strip[i]);
	for (size_t i = 0; i < a->add_n; i++)
		buf_addf(out, "a " STR_FMT ":" STR_FMT "|", STR_ARG(a->add[i].name), STR_ARG(a->add[i].value));
	if (a->hold.n > 0)
		buf_addf(out, "q " STR_FMT "|", STR_ARG(a->hold));
}

static void ask(struct fixture *f, const struct decide_question *q, const char *want, const char *row)
{
	struct decide_answer a;
	struct arena arena;
	struct buf question, answer, told;

	buf_init(&question, DECIDE_MAX);
	buf_init(&answer, BESIDE_ANSWER_MAX);
	buf_init(&told, 65536);
	arena_init(&arena, DECIDE_ARENA_MAX);
	assert_true(decide_question_put(&question, q));
	beside_decide(&f->b, buf_str(&question), &answer);
	check(str_starts(buf_str(&answer), S("OK ")), row);
	check(decide_answer_parse(str_skip(buf_str(&answer), 3), &arena, &a), row);
	show(&a, &told);
	check_str(buf_str(&told), str_c(want), row);
	buf_fini(&question);
	buf_fini(&answer);
	buf_fini(&told);
	arena_fini(&arena);
}

#define CLOUD .client = S("203.0.113.9"), .secured = true, .certificate = S("mail.contoso.mail.cloud.example")
#define DECISION(action, rule, reason, connector) \
	"a X-Tombolo-Decision: " action "; rule=" rule "; reason=" reason "; connector=" connector \
	"; recipients=1; mode=M1; epoch=1|"

static void test_recipients(void **state)
{
	static const struct {
		const char *row;
		struct str client, from, login, rcpt;
		const char *want;
	} rows[] = {
		{ "here", STR_LIT("192.0.2.1"), STR_LIT("x@far.example"), STR_LIT(""), STR_LIT("anna@contoso.com"),
		  "k|" },
		{ "moved", STR_LIT("192.0.2.1"), STR_LIT("x@far.example"), STR_LIT(""), STR_LIT("clara@contoso.com"),
		  "e clara@contoso.mail.cloud.example|" },
		{ "nobody", STR_LIT("192.0.2.1"), STR_LIT("x@far.example"), STR_LIT(""), STR_LIT("nobody@contoso.com"),
		  "v 550 5.1.1 Recipient address rejected: no such mailbox (RCPT-UNKNOWN R10), id ID1|" },
		{ "a stranger relays", STR_LIT("192.0.2.1"), STR_LIT("x@far.example"), STR_LIT(""),
		  STR_LIT("y@far.example"), "v 550 5.7.1 Relaying denied (RELAY-DENIED R50), id ID1|" },
		{ "a server of ours does", STR_LIT("10.1.2.3"), STR_LIT("anna@contoso.com"), STR_LIT(""),
		  STR_LIT("y@far.example"), "k|" },
		{ "a user does", STR_LIT("192.0.2.1"), STR_LIT("anna@contoso.com"), STR_LIT("anna"),
		  STR_LIT("y@far.example"), "k|" },
		{ "on the machine itself", STR_LIT(""), STR_LIT(""), STR_LIT(""), STR_LIT("anna@contoso.com"), "k|" },
		{ "not an address", STR_LIT("192.0.2.1"), STR_LIT(""), STR_LIT(""), STR_LIT("anna"),
		  "v 550 5.1.3 this address is no destination here|" },
		{ "no client", STR_LIT("unknown"), STR_LIT(""), STR_LIT(""), STR_LIT("anna@contoso.com"),
		  "V 451 4.3.0 the address of the client cannot be read|" },
		{ "the way is closed", STR_LIT("192.0.2.1"), STR_LIT("x@far.example"), STR_LIT(""),
		  STR_LIT("closed@contoso.com"),
		  "e x@closed.example|q The connector that owns this address space is disabled|" },
	};
	struct fixture f;

	(void)state;
	fixture_open(&f, "");
	for (size_t i = 0; i < COUNT(rows); i++)
		ask(&f,
		    &(struct decide_question){ .id = S("ID1"),
					       .client = rows[i].client,
					       .from = rows[i].from,
					       .login = rows[i].login,
					       .rcpts = &rows[i].rcpt,
					       .rcpt_n = 1 },
		    rows[i].want, rows[i].row);
	fixture_close(&f);
	fixture_open(&f, "hold = defer rewrite = no");
	const struct str rcpts[] = { S("closed@contoso.com"), S("clara@contoso.com") };
	ask(&f, &(struct decide_question){ .client = S("192.0.2.1"), .rcpts = rcpts, .rcpt_n = 2 },
	    "v 451 4.4.4 The connector that owns this address space is disabled|k|", "defer, no rewriting");
	fixture_close(&f);
}

static void test_message(void **state)
{
	static const struct str forged = STR_LIT("Received: from a\r\n"
						 "x-ms-exchange-organization-SCL: -1\r\n"
						 "From: a@far.example\r\n"
						 "X-Tombolo-Decision: RELAY; rule=R00\r\n"
						 "X-MS-Exchange-Organization-AuthAs :\r\n\tInternal\r\n"
						 "X-Forefront-Antispam-Report: No\r\n"
						 "Subject: \xff hi\r\n");
	const struct str one[] = { S("anna@contoso.com") }, two[] = { S("anna@contoso.com"), S("nobody@contoso.com") };
	struct decide_question q = { .client = S("192.0.2.1"),
				     .from = S("x@far.example"),
				     .rcpts = one,
				     .rcpt_n = 1,
				     .whole = true,
				     .header = forged };
	struct fixture f;

	(void)state;
	fixture_open(&f, "decision_header = X-Tombolo-Decision");
	ask(&f, &q,
	    "k|d 1|d 3|d 4|d 5|a X-Forefront-Antispam-Report-Untrusted: No|" DECISION("DELIVER", "R30", "LOCAL",
										      "mailboxes"),
	    "a stranger's header");
	q.client = S("10.0.0.1");
	ask(&f, &q, "k|d 3|" DECISION("DELIVER", "R30", "LOCAL", "mailboxes"), "a server of ours writes what it likes");
	q.client = S("192.0.2.1");
	q.rcpts = two;
	q.rcpt_n = 2;
	q.header = S("From: a@far.example\r\n");
	ask(&f, &q,
	    "k|v 550 5.1.1 Recipient address rejected: no such mailbox (RCPT-UNKNOWN R10)|"
	    "a X-Tombolo-Decision: DELIVER; rule=R30; reason=LOCAL; connector=mailboxes; recipients=1; mode=M1; epoch=1|"
	    "a X-Tombolo-Decision: REJECT; rule=R10; reason=RCPT-UNKNOWN; connector=-; recipients=1; mode=M1; epoch=1|",
	    "one of two is not there any more");
	q.rcpts = &two[1];
	q.rcpt_n = 1;
	ask(&f, &q, "V 550 5.1.1 Recipient address rejected: no such mailbox (RCPT-UNKNOWN R10)|", "nobody is");
	q.rcpts = one;
	q.header = S("From: a@b.example\r\nFrom: c@d.example\r\n");
	ask(&f, &q,
	    "V 550 5.6.0 From must name one author that every reader reads alike (FROM-AMBIGUOUS, id ; the sender can mend "
	    "it)|",
	    "two authors");
	q.header = S("no field\r\n");
	ask(&f, &q, "V 552 5.3.4 the header is larger than this server takes (HEADER-SIZE)|", "not a header");
	fixture_close(&f);
	fixture_open(&f, "firewall = no");
	q.header = forged;
	ask(&f, &q, "k|", "nothing is to be changed");
	fixture_close(&f);
}

static void test_certificates(void **state)
{
	static const struct str internal = STR_LIT("X-OriginatorOrg: contoso.com\r\n"
						   "X-MS-Exchange-CrossPremises-AuthAs: Internal\r\n"
						   "From: clara@contoso.com\r\n");
	const struct str one[] = { S("anna@contoso.com") };
	struct decide_question q = { CLOUD,         .from = S("clara@contoso.com"),
				     .rcpts = one,  .rcpt_n = 1,
				     .whole = true, .header = internal };
	struct fixture f;

	(void)state;
	fixture_open(&f, "certificates = trust");
	ask(&f, &q, "k|", "the other side is believed");
	fixture_close(&f);
	fixture_open(&f, "certificates = route");
	ask(&f, &q, "k|d 0|d 1|", "its routing is, its headers are not");
	fixture_close(&f);
	fixture_open(&f, "certificates = ignore");
	ask(&f, &q, "k|d 0|d 1|", "a stranger");
	fixture_close(&f);
}

static void test_no_question(void **state)
{
	struct fixture f;
	struct buf out;

	(void)state;
	fixture_open(&f, "");
	buf_init(&out, 1024);
	beside_decide(&f.b, S("3:ra"), &out);
	check_str(buf_str(&out), S("PERM this is no question"), "broken");
	buf_fini(&out);
	fixture_close(&f);
}

/* ---- the same as a session's (spec 8.19) ---- */

static void no_line(void *arg, const struct explain_line *l)
{
	(void)arg;
	(void)l;
}

/* What `route explain` says of a session, in the words of show(). */
static void explained(struct fixture *f, struct str client, struct str from, struct str rcpt, struct buf *out)
{
	const struct explain_query q = { .rcpt = rcpt, .from = from, .ip = client, .srs = &f->keys };
	struct explain_result r;
	struct arena a;
	struct err e = { 0 };

	arena_init(&a, 1 << 20);
	assert_int_equal(explain(f->config, f->routing, &q, &a, no_line, NULL, &r, &e), 0);
	if (r.reply.code >= 400 && !r.held)
		buf_addf(out, "v %d", r.reply.code);
	else if (str_eq(r.rcpt, rcpt))
		buf_add(out, S("k"));
	else
		buf_addf(out, "e " STR_FMT, STR_ARG(r.rcpt));
	arena_fini(&a);
}

static void answered(struct fixture *f, struct str client, struct str from, struct str rcpt, struct buf *out)
{
	const struct decide_question q = { .client = client, .from = from, .rcpts = &rcpt, .rcpt_n = 1 };
	struct decide_answer a;
	struct arena arena;
	struct buf question, answer;

	buf_init(&question, DECIDE_MAX);
	buf_init(&answer, BESIDE_ANSWER_MAX);
	arena_init(&arena, DECIDE_ARENA_MAX);
	must(decide_question_put(&question, &q));
	beside_decide(&f->b, buf_str(&question), &answer);
	must(decide_answer_parse(str_skip(buf_str(&answer), 3), &arena, &a));
	if (a.reply.n > 0)
		buf_addf(out, "v " STR_FMT, STR_ARG(str_head(a.reply, 3)));
	else if (a.rcpts[0].action == DECIDE_REFUSE)
		buf_addf(out, "v " STR_FMT, STR_ARG(str_head(a.rcpts[0].reply, 3)));
	else if (a.rcpts[0].action == DECIDE_REPLACE)
		buf_addf(out, "e " STR_FMT, STR_ARG(a.rcpts[0].to[0]));
	else
		buf_add(out, S("k"));
	buf_fini(&question);
	buf_fini(&answer);
	arena_fini(&arena);
}

static void test_same_as_a_session(void **state)
{
	static const struct str clients[] = { STR_LIT("192.0.2.1"), STR_LIT("10.1.2.3") },
				froms[] = { STR_LIT("x@far.example"), STR_LIT("anna@contoso.com"), STR_LIT("") },
				rcpts[] = { STR_LIT("anna@contoso.com"),
					    STR_LIT("clara@contoso.com"),
					    STR_LIT("clara@contoso.mail.cloud.example"),
					    STR_LIT("staff@contoso.com"),
					    STR_LIT("moved@contoso.com"),
					    STR_LIT("nobody@contoso.com"),
					    STR_LIT("nobody@contoso.mail.cloud.example"),
					    STR_LIT("closed@contoso.com"),
					    STR_LIT("y@far.example") };
	struct fixture f;
	struct buf want, got;

	(void)state;
	buf_init(&want, 1024);
	buf_init(&got, 1024);
	fixture_open(&f, "");
	for (int mode = 0; mode < 4; mode++) {
		struct mode m;
		struct err e = { 0 };
		bool changed;
		assert_int_equal(routing_mode_set(f.routing, mode & 1 ? SIDE_CLOUD : SIDE_ONPREM, mode & 2, S("t"), &m,
						  &changed, &e),
				 0);
		for (size_t i = 0; i < COUNT(clients) * COUNT(froms) * COUNT(rcpts); i++) {
			struct str client = clients[i % COUNT(clients)],
				   from = froms[i / COUNT(clients) % COUNT(froms)],
				   rcpt = rcpts[i / COUNT(clients) / COUNT(froms)];
			buf_reset(&want);
			buf_reset(&got);
			explained(&f, client, from, rcpt, &want);
			answered(&f, client, from, rcpt, &got);
			check_str(buf_str(&got), buf_str(&want), rcpt.p);
		}
	}
	fixture_close(&f);
	buf_fini(&want);
	buf_fini(&got);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_tables),      cmocka_unit_test(test_recipients),
		cmocka_unit_test(test_message),     cmocka_unit_test(test_certificates),
		cmocka_unit_test(test_no_question), cmocka_unit_test(test_same_as_a_session),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
