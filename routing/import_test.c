/* routing/import_test.c: files into the table: all of a file or nothing, each wrong line named, LDIF as directories
 * write it, and the way back out. */
#include "routing/table_test.h"

#include <fcntl.h>

struct run {
	struct import_report rep;
	struct buf problems;
};

static void import(struct fixture *f, enum import_format format, struct str text, const char *source, bool replace,
		   uint64_t accept, struct run *out)
{
	fixture_write(f, text);
	buf_fini(&out->problems);
	buf_init(&out->problems, 1 << 20);
	if (routing_import(f->r, f->file, format, str_c(source), replace, accept, false, &out->rep, &out->problems,
			   &f->e) != 0)
		fail_msg("%s", f->e.text);
	check(recipient_check(f->r, &f->e) == 0, "whole");
}

static void expect(const struct run *r, uint64_t added, uint64_t changed, uint64_t removed, uint64_t unchanged,
		   const char *row)
{
	const struct import_report *p = &r->rep;

	if (r->problems.n > 0)
		unit_print("problems", buf_str(&r->problems));
	check(p->applied && p->errors == 0, row);
	check(p->added == added && p->changed == changed && p->removed == removed && p->unchanged == unchanged, row);
}

static bool has(struct fixture *f, const char *address, struct rcpt_record *rec)
{
	return routing_record_get(f->r, str_c(address), &f->arena, rec, &f->e) == 0;
}

/* ---- CSV ---- */

static void test_csv(void **state)
{
	struct rcpt_record rec;
	struct fixture f;
	struct run r = { 0 };

	(void)state;
	fixture_config(&f);
	fixture_open(&f);
	import(&f, IMPORT_CSV,
	       S("\xEF\xBB\xBFloc,Address,aliases,routing,local_host,mailbox_id,source,redirect,keep_copy,require_auth\r\n"
		 "local,Ann@Contoso.com,a@contoso.com; ann@contoso.com ;A.S@contoso.com,,mbx1:2525,G-1,hr,,no,yes\r\n"
		 "\r\n"
		 "remote,bob@contoso.com,,\"bob@contoso.mail.cloud.example\",,,,,,\r\n"
		 "local,\"\"\"q,r\"\"@contoso.com\",,,,,,z@else.example,1,0"),
	       "csv", false, 0, &r);
	expect(&r, 3, 0, 0, 0, "first");
	check(r.rep.rows == 3 && r.rep.serial == 2, "rows");
	check(has(&f, "a.s@contoso.com", &rec), "alias");
	check(rec.addr_n == 3 && rec.require_auth && !rec.keep_copy, "record");
	check_str(rec.local_host, S("mbx1:2525"), "host");
	check_str(rec.source, S("hr"), "source of its own");
	check(has(&f, "bob@contoso.com", &rec), "remote");
	check_str(rec.source, S("csv"), "source of the import");
	check(has(&f, "\"q,r\"@contoso.com", &rec) && rec.keep_copy, "quoted");
	buf_fini(&r.problems);
	fixture_close(&f);
}

static const struct {
	const char *row;
	struct str text;
	const char *problems[4]; /* after "FILE:" */
} bad_csv[] = {
	{ "empty", STR_LIT(""), { "1: the file is empty" } },
	{ "unknown column", STR_LIT("address,loc,adress\n"), { "1: unknown column 'adress'" } },
	{ "repeated column", STR_LIT("address,loc,loc\n"), { "1: repeated column 'loc'" } },
	{ "missing column", STR_LIT("address,routing\n"), { "1: column 'loc' is missing" } },
	{ "all wrong lines are told",
	  STR_LIT("address,loc,routing\nx,local,\nok@contoso.com,local,\na@b.c,nowhere,\na@b.c,remote,\n"),
	  { "2: not an address: x", "4: loc is not one of", "5: a@b.c: remote, but no routing address" } },
	{ "address twice",
	  STR_LIT("address,loc,aliases\na@contoso.com,local,b@contoso.com\nB@contoso.com,local,\n"),
	  { "3: b@contoso.com is also an address of line 2" } },
	{ "mailbox twice",
	  STR_LIT("address,loc,mailbox_id\na@contoso.com,local,m\nb@contoso.com,local,m\n"),
	  { "3: mailbox_id m is also that of line 2" } },
	{ "too few cells", STR_LIT("address,loc,routing\na@contoso.com,local\n"), { "2: 2 cells where" } },
	{ "open quote", STR_LIT("address,loc\n\"a@contoso.com,local\n"), { "2: a quoted cell" } },
	{ "junk after quote", STR_LIT("address,loc\n\"a@contoso.com\"x,local\n"), { "2: a quoted cell" } },
	{ "bad routing",
	  STR_LIT("address,loc,routing\na@contoso.com,remote,nobody\n"),
	  { "2: a@contoso.com: the rou" } },
	{ "bad flag", STR_LIT("address,loc,keep_copy\na@contoso.com,local,maybe\n"), { "2: keep_copy is not" } },
	{ "bad host",
	  STR_LIT("address,loc,local_host\na@contoso.com,local,x y\n"),
	  { "2: a@contoso.com: local_host" } },
	{ "no target", STR_LIT("address,loc\na@contoso.com,contact\n"), { "2: a@contoso.com: contact, but" } },
	{ "address of another",
	  STR_LIT("address,loc,aliases\nnew@contoso.com,local,old@contoso.com\n"),
	  { "2: old@contoso.com belongs to keep@contoso.com" } },
	{ "of another source",
	  STR_LIT("address,loc,source\nkeep@contoso.com,local,hr\n"),
	  { "2: keep@contoso.com comes" } },
};

static void test_bad_csv(void **state)
{
	struct rcpt_record rec;
	struct routing_stats st;
	struct fixture f;
	struct run r = { 0 };
	char line[200];

	(void)state;
	fixture_config(&f);
	fixture_open(&f);
	import(&f, IMPORT_CSV, S("address,loc,aliases\nkeep@contoso.com,local,old@contoso.com\n"), "csv", false, 0, &r);
	for (size_t i = 0; i < COUNT(bad_csv); i++) {
		import(&f, IMPORT_CSV, bad_csv[i].text, "csv", false, 0, &r);
		size_t n = 0;
		for (; n < 4 && bad_csv[i].problems[n] != NULL; n++) {
			snprintf(line, sizeof line, "%s:%s", f.file, bad_csv[i].problems[n]);
			if (str_find(buf_str(&r.problems), str_c(line)) < 0) {
				unit_print("problems", buf_str(&r.problems));
				fail_msg("%s: not told: %s", bad_csv[i].row, line);
			}
		}
		check(r.rep.errors == n && !r.rep.applied, bad_csv[i].row);
		check(routing_stats(f.r, &st, &f.e) == 0 && st.serial == 2 && st.recipients == 1, bad_csv[i].row);
	}
	check(!has(&f, "ok@contoso.com", &rec), "nothing of a bad file is applied");
	buf_fini(&r.problems);
	fixture_close(&f);
}

static void test_many_problems(void **state)
{
	struct fixture f;
	struct run r = { 0 };
	struct buf text;

	(void)state;
	fixture_config(&f);
	fixture_open(&f);
	buf_init(&text, 1 << 20);
	buf_add(&text, S("address,loc\n"));
	for (int i = 0; i < 250; i++)
		buf_add(&text, S("bad,local\n"));
	import(&f, IMPORT_CSV, buf_str(&text), "csv", false, 0, &r);
	check(r.rep.errors == 250 && r.rep.rows == 250, "all are counted");
	check(str_find(buf_str(&r.problems), S(":101: not an address")) > 0, "a hundred are shown");
	check(str_find(buf_str(&r.problems), S(":102: ")) < 0, "no more");
	check(str_ends(buf_str(&r.problems), S(": 150 more\n")), "and counted");
	buf_fini(&text);
	buf_fini(&r.problems);
	fixture_close(&f);
}

/* ---- against the table ---- */

static void test_changes(void **state)
{
	struct rcpt_record rec;
	struct fixture f;
	struct run r = { 0 };
	unsigned char rid[RID_SIZE];

	(void)state;
	fixture_config(&f);
	fixture_open(&f);
	import(&f, IMPORT_CSV,
	       S("address,loc,aliases,mailbox_id\na@contoso.com,local,x@contoso.com,1\nb@contoso.com,local,y@contoso.com,2\n"
		 "c@contoso.com,local,,3\n"),
	       "csv", true, 0, &r);
	expect(&r, 3, 0, 0, 0, "first");
	check(has(&f, "a@contoso.com", &rec), "a");
	memcpy(rid, rec.rid, RID_SIZE);

	/* aliases change places; a mailbox keeps its record when its primary address changes */
	import(&f, IMPORT_CSV,
	       S("address,loc,aliases,mailbox_id\na2@contoso.com,local,y@contoso.com,1\nb@contoso.com,local,x@contoso.com,2\n"
		 "c@contoso.com,local,,3\n"),
	       "csv", true, 0, &r);
	expect(&r, 0, 2, 0, 1, "moved");
	check(has(&f, "y@contoso.com", &rec) && memcmp(rid, rec.rid, RID_SIZE) == 0, "same record");
	check(!has(&f, "a@contoso.com", &rec), "old primary is gone");

	/* not named, and not replacing: they stay */
	import(&f, IMPORT_CSV, S("address,loc,mailbox_id\nc@contoso.com,local,3\n"), "csv", false, 0, &r);
	expect(&r, 0, 0, 0, 1, "merged");
	/* replacing: c takes over an address of a record that goes */
	import(&f, IMPORT_CSV, S("address,loc,aliases,mailbox_id\nc@contoso.com,local,b@contoso.com,3\n"), "csv", true,
	       0, &r);
	expect(&r, 0, 1, 2, 0, "replaced");
	check(has(&f, "b@contoso.com", &rec), "taken over");
	check_str(rec.primary, S("c@contoso.com"), "by c");
	/* records of other sources are not its business */
	import(&f, IMPORT_CSV, S("address,loc\nz@contoso.com,local\n"), "hr", true, 0, &r);
	expect(&r, 1, 0, 0, 0, "other source");
	check(has(&f, "c@contoso.com", &rec), "stays");
	buf_fini(&r.problems);
	fixture_close(&f);
}

static void test_deletion_guard(void **state)
{
	struct fixture f;
	struct run r = { 0 };
	struct buf all;
	static const struct str one = STR_LIT("address,loc\nu0@contoso.com,local\n");

	(void)state;
	fixture_config(&f); /* more than 2 and more than 10 % */
	fixture_open(&f);
	buf_init(&all, 4096);
	buf_add(&all, S("address,loc\n"));
	for (int i = 0; i < 10; i++)
		buf_addf(&all, "u%d@contoso.com,local\n", i);
	import(&f, IMPORT_CSV, buf_str(&all), "csv", true, 0, &r);
	expect(&r, 10, 0, 0, 0, "first");
	import(&f, IMPORT_CSV, one, "csv", true, 0, &r);
	check(!r.rep.applied && r.rep.removed == 9 && r.rep.errors == 1, "nine of ten are too many");
	check(str_find(buf_str(&r.problems), S("accept exactly 9 deletions")) > 0, "and it says so");
	import(&f, IMPORT_CSV, one, "csv", true, 8, &r);
	check(!r.rep.applied, "the number must be the right one");
	import(&f, IMPORT_CSV, one, "csv", true, 9, &r);
	expect(&r, 0, 0, 9, 1, "accepted");
	buf_fini(&all);
	buf_fini(&r.problems);
	fixture_close(&f);
}

static void test_dry_run(void **state)
{
	struct routing_stats st;
	struct fixture f;
	struct run r = { 0 };

	(void)state;
	fixture_config(&f);
	fixture_open(&f);
	buf_init(&r.problems, 1024);
	fixture_write(&f, S("address,loc\na@contoso.com,local\n"));
	check(routing_import(f.r, f.file, IMPORT_CSV, S("csv"), true, 0, true, &r.rep, &r.problems, &f.e) == 0, "dry");
	check(!r.rep.applied && r.rep.added == 1 && r.rep.errors == 0, "tells what it would do");
	check(routing_stats(f.r, &st, &f.e) == 0 && st.recipients == 0 && st.serial == 1, "does not");
	check(routing_import(f.r, "/nonexistent/x", IMPORT_CSV, S("csv"), true, 0, true, &r.rep, &r.problems, &f.e) ==
		      -1,
	      "no file");
	buf_fini(&r.problems);
	fixture_close(&f);
}

/* ---- LDIF ---- */

static const struct str directory = STR_LIT("version: 1\n"
					    "# a mailbox here; the fold is in the middle of an address\n"
					    "dn: CN=Ann,OU=Staff,DC=contoso,DC=com\n"
					    "objectClass: user\n"
					    "proxyAddresses: smtp:ann.smith@contoso.com\n"
					    "proxyAddresses: SMTP:Ann@cont\n"
					    " oso.com\n"
					    "proxyAddresses: X500:/o=First/cn=ann\n"
					    "proxyAddresses: sip:ann@contoso.com\n"
					    "mail: ann@contoso.com\n"
					    "msExchMailboxGuid:: ABEiM0RVZneImaq7zN3u/w==\n"
					    "msExchRecipientTypeDetails: 1\n"
					    "\n"
					    "dn: CN=Bob,DC=contoso,DC=com\n"
					    "proxyAddresses:: U01UUDpib2JAY29udG9zby5jb20=\n"
					    "targetAddress: SMTP:bob@contoso.mail.cloud.example\n"
					    "msExchRecipientTypeDetails: 2147483648\n"
					    "ExchangeGuid: {00000000-0000-0000-0000-000000000000}\n"
					    "\r\n"
					    "dn: OU=Staff,DC=contoso,DC=com\n"
					    "objectClass: organizationalUnit\n"
					    "\n"
					    "\n"
					    "dn: CN=Mu,DC=contoso,DC=com\n"
					    "mail: mu@contoso.com\n"
					    "targetAddress: smtp:mu@contoso.mail.cloud.example\n"
					    "\n"
					    "dn: CN=Out,DC=contoso,DC=com\n"
					    "mail: out@contoso.com\n"
					    "ExternalEmailAddress: SMTP:out@elsewhere.example\n"
					    "\n"
					    "dn: CN=Team,DC=contoso,DC=com\n"
					    "objectClass: top\n"
					    "objectClass: group\n"
					    "mail;x-tag: team@contoso.com\n"
					    "msExchRequireAuthToSendTo: TRUE\n"
					    "\n"
					    "dn: CN=Fwd,DC=contoso,DC=com\n"
					    "RecipientTypeDetails: UserMailbox\n"
					    "mail: fwd@contoso.com\n"
					    "ForwardingSmtpAddress: smtp:f@elsewhere.example\n"
					    "DeliverToMailboxAndForward: TRUE\n");

static void check_directory(struct fixture *f)
{
	struct rcpt_record rec;

	check(has(f, "ann.smith@contoso.com", &rec) && rec.loc == LOC_LOCAL && rec.addr_n == 2, "ann");
	check_str(rec.primary, S("ann@contoso.com"), "SMTP: is the primary");
	check_str(rec.mailbox_id, S("33221100-5544-7766-8899-aabbccddeeff"), "guid");
	check(has(f, "bob@contoso.com", &rec) && rec.loc == LOC_REMOTE, "bob");
	check_str(rec.routing, S("bob@contoso.mail.cloud.example"), "target");
	check(rec.mailbox_id.n == 0 && rec.addr_n == 1, "zero guid; the target is no address of the object");
	check(has(f, "mu@contoso.com", &rec) && rec.loc == LOC_REMOTE, "mail user of ours");
	check(has(f, "out@contoso.com", &rec) && rec.loc == LOC_CONTACT, "mail user of others");
	check(has(f, "team@contoso.com", &rec) && rec.loc == LOC_GROUP && rec.require_auth, "group");
	check(has(f, "fwd@contoso.com", &rec) && rec.loc == LOC_LOCAL && rec.keep_copy, "forwards");
	check_str(rec.redirect, S("f@elsewhere.example"), "to");
}

static void test_ldif(void **state)
{
	struct fixture f;
	struct run r = { 0 };

	(void)state;
	fixture_config(&f);
	fixture_open(&f);
	import(&f, IMPORT_LDIF, directory, "ad", true, 0, &r);
	expect(&r, 6, 0, 0, 0, "directory");
	check_directory(&f);
	import(&f, IMPORT_LDIF, directory, "ad", true, 0, &r);
	expect(&r, 0, 0, 0, 6, "again");
	buf_fini(&r.problems);
	fixture_close(&f);
}

static void test_bad_ldif(void **state)
{
	static const struct {
		struct str text;
		const char *problem;
	} rows[] = {
		{ STR_LIT("dn: x\nmail: a@contoso.com\nno colon\n"), "3: not \"attribute: value\"" },
		{ STR_LIT("dn: x\nmail:: $$$\n"), "2: not base64" },
		{ STR_LIT("dn: x\nmail:< file:///etc/passwd\n"), "2: a value by URL" },
		{ STR_LIT("dn: x\nchangetype: modify\nmail: a@contoso.com\n"), "2: changes are not read" },
		{ STR_LIT("\n\ndn: x\nmail: a@contoso.com\ntargetAddress: X400:c=us\n"), "3: the target is not" },
		{ STR_LIT("dn: x\nmail: a@contoso.com\nrecipientTypeDetails: RemoteUserMailbox\n"),
		  "1: a@contoso.com: remote, but no routing address" },
		{ STR_LIT("dn: x\nmail: a@contoso.com\n\ndn: y\nmail: a@contoso.com\n"),
		  "4: a@contoso.com is also an address of line 1" },
	};
	struct fixture f;
	struct run r = { 0 };
	char line[200];

	(void)state;
	fixture_config(&f);
	fixture_open(&f);
	for (size_t i = 0; i < COUNT(rows); i++) {
		import(&f, IMPORT_LDIF, rows[i].text, "ad", false, 0, &r);
		snprintf(line, sizeof line, "%s:%s", f.file, rows[i].problem);
		if (str_find(buf_str(&r.problems), str_c(line)) < 0) {
			unit_print("problems", buf_str(&r.problems));
			fail_msg("not told: %s", line);
		}
		check(!r.rep.applied && r.rep.errors == 1, rows[i].problem);
	}
	buf_fini(&r.problems);
	fixture_close(&f);
}

/* ---- groups ---- */

static void check_members(struct fixture *f, const char *group, const char *list)
{
	struct buf b;

	buf_init(&b, 1 << 24);
	check(routing_members(f->r, str_c(group), &b, &f->e) == 0, group);
	check_str(buf_str(&b), str_c(list), group);
	buf_fini(&b);
}

static void test_groups_csv(void **state)
{
	struct fixture f;
	struct run r = { 0 };
	struct rcpt_record rec;

	(void)state;
	fixture_config(&f);
	fixture_open(&f);
	import(&f, IMPORT_CSV,
	       S("address,loc,expand_at,report_to,owner,allow,deny,external_ok,members\n"
		 "g@contoso.com,group,here,owner,Boss@Contoso.com,Ann@Contoso.com; @Partner.Example,x@y.example,yes,"
		 "B@contoso.com;a@contoso.com;;b@CONTOSO.com\n"
		 "h@contoso.com,group,,,,,,,\n"),
	       "csv", false, 0, &r);
	expect(&r, 2, 0, 0, 0, "groups");
	check(has(&f, "g@contoso.com", &rec) && rec.expand_at == EXPAND_HERE && rec.report_to == REPORT_OWNER, "words");
	check(rec.external_ok && rec.member_n == 2, "members are counted once");
	check_str(rec.owner, S("boss@contoso.com"), "owner");
	check_str(rec.allow, S("ann@contoso.com;@partner.example"), "allow");
	check_str(rec.deny, S("x@y.example"), "deny");
	check_members(&f, "g@contoso.com", "a@contoso.com\nb@contoso.com\n");
	check(has(&f, "h@contoso.com", &rec) && rec.member_n == 0 && rec.expand_at == EXPAND_HOME, "defaults");
	/* only the members change */
	import(&f, IMPORT_CSV, S("address,loc,members\nh@contoso.com,group,z@far.example\n"), "csv", false, 0, &r);
	expect(&r, 0, 1, 0, 0, "a member more");
	check_members(&f, "h@contoso.com", "z@far.example\n");
	import(&f, IMPORT_CSV, S("address,loc,members\nh@contoso.com,group,Z@far.example\n"), "csv", false, 0, &r);
	expect(&r, 0, 0, 0, 1, "the same member");
	/* a group that becomes a mailbox has none; a removed one leaves nothing behind */
	import(&f, IMPORT_CSV, S("address,loc\nh@contoso.com,local\n"), "csv", false, 0, &r);
	check(has(&f, "h@contoso.com", &rec) && rec.member_n == 0, "no group any more");
	check(routing_record_remove(f.r, S("g@contoso.com"), &f.e) == 0 && recipient_check(f.r, &f.e) == 0, "removed");
	buf_fini(&r.problems);
	fixture_close(&f);
}

static void test_bad_groups(void **state)
{
	static const struct {
		struct str row;
		const char *problem;
	} rows[] = {
		{ STR_LIT("g@contoso.com,group,there,,,,,\n"), "expand_at is not one of home, onprem, cloud, here" },
		{ STR_LIT("g@contoso.com,group,,all,,,,\n"), "report_to is not one of sender, owner, none" },
		{ STR_LIT("g@contoso.com,group,,owner,,,,\n"), "report_to is owner, but there is no owner" },
		{ STR_LIT("g@contoso.com,group,,,boss,,,\n"), "the owner is not an address" },
		{ STR_LIT("g@contoso.com,group,,,,x,,\n"), "a sender is neither an address nor @domain" },
		{ STR_LIT("g@contoso.com,group,cloud,,,,,\n"), "expanded on the other side, but no routing address" },
		{ STR_LIT("g@contoso.com,group,,,,,,a@contoso.com;b\n"), "not an address of a member: b" },
		{ STR_LIT("g@contoso.com,group,,,,,,a@x.example;b@x.example;c@x.example\n"), "more than 2 members" },
		{ STR_LIT("g@contoso.com,local,,,,,,a@contoso.com\n"), "only a group has members" },
	};
	struct fixture f;
	struct run r = { 0 };
	struct buf text;

	(void)state;
	fixture_config(&f);
	f.config.recipients.group_members = 2;
	fixture_open(&f);
	buf_init(&text, 4096);
	for (size_t i = 0; i < COUNT(rows); i++) {
		buf_reset(&text);
		buf_add(&text, S("address,loc,expand_at,report_to,owner,allow,deny,members\n"));
		buf_add(&text, rows[i].row);
		import(&f, IMPORT_CSV, buf_str(&text), "csv", false, 0, &r);
		check(!r.rep.applied && r.rep.errors == 1, rows[i].problem);
		if (str_find(buf_str(&r.problems), str_c(rows[i].problem)) < 0)
			check_str(buf_str(&r.problems), str_c(rows[i].problem), "problem");
	}
	buf_fini(&text);
	buf_fini(&r.problems);
	fixture_close(&f);
}

/* 100,000 members: in, out, in again, and one of them exchanged. */
static void test_large_group(void **state)
{
	enum { N = 100000 };
	struct fixture f;
	struct run r = { 0 };
	struct rcpt_record rec;
	struct buf text, csv;

	(void)state;
	fixture_config(&f);
	fixture_open(&f);
	buf_init(&text, 8 << 20);
	buf_init(&csv, 8 << 20);
	buf_add(&text, S("address,loc,expand_at,members\nall@contoso.com,group,here,"));
	for (int i = 0; i < N; i++)
		buf_addf(&text, "member%d@contoso.com;", i);
	import(&f, IMPORT_CSV, buf_str(&text), "csv", false, 0, &r);
	expect(&r, 1, 0, 0, 0, "large group");
	check(has(&f, "all@contoso.com", &rec) && rec.member_n == N, "counted");
	check(routing_export(f.r, &csv, -1, &f.e) == 0, "out");
	import(&f, IMPORT_CSV, buf_str(&csv), "csv", false, 0, &r);
	expect(&r, 0, 0, 0, 1, "and in again");
	text.p[text.n - 2] = 'M' - 8; /* the last one is of contoso.coE now */
	import(&f, IMPORT_CSV, buf_str(&text), "csv", false, 0, &r);
	expect(&r, 0, 1, 0, 0, "one of them is another");
	buf_fini(&text);
	buf_fini(&csv);
	buf_fini(&r.problems);
	fixture_close(&f);
}

static void test_groups_ldif(void **state)
{
	struct fixture f;
	struct run r = { 0 };
	struct rcpt_record rec;

	(void)state;
	fixture_config(&f);
	fixture_open(&f);
	import(&f, IMPORT_LDIF,
	       S("dn: CN=All,DC=contoso,DC=com\nobjectClass: group\nmail: all@contoso.com\n"
		 "member: cn=team,  dc=Contoso ,DC=com\nmember: CN=Dan,DC=contoso,DC=com\n"
		 "member: CN=Printer,DC=contoso,DC=com\nmember: CN=Gone,DC=contoso,DC=com\n"
		 "rfc822MailMember: Ext@Far.example\nmanagedBy: CN=Ann,DC=contoso,DC=com\nreportToOwner: TRUE\n"
		 "reportToOriginator: FALSE\nauthOrig: CN=Ann,DC=contoso,DC=com\nunauthOrig: CN=Dan,DC=contoso,DC=com\n"
		 "\ndn: CN=Team,DC=contoso,DC=com\nobjectClass: group\nmail: team@contoso.com\n"
		 "reportToOriginator: FALSE\nmember: CN=Ann,DC=contoso,DC=com\n"
		 "\ndn: CN=Ann,DC=contoso,DC=com\nmail: ann@contoso.com\naltRecipient: CN=Dan,DC=contoso,DC=com\n"
		 "deliverAndRedirect: TRUE\n"
		 "\ndn: CN=Dan,DC=contoso,DC=com\nmail: dan@contoso.com\n"
		 "\ndn: CN=Printer,DC=contoso,DC=com\nobjectClass: device\n"),
	       "ad", false, 0, &r);
	check(r.rep.applied && r.rep.added == 4 && r.rep.errors == 0, "applied");
	check(str_find(buf_str(&r.problems), S(":1: warning: all@contoso.com: 1 of the entries")) >= 0,
	      "one is missing");
	check_members(&f, "all@contoso.com", "dan@contoso.com\next@far.example\nteam@contoso.com\n");
	check_members(&f, "team@contoso.com", "ann@contoso.com\n");
	check(has(&f, "all@contoso.com", &rec) && rec.report_to == REPORT_OWNER, "reports");
	check_str(rec.owner, S("ann@contoso.com"), "owner");
	check_str(rec.allow, S("ann@contoso.com"), "allow");
	check_str(rec.deny, S("dan@contoso.com"), "deny");
	check(has(&f, "team@contoso.com", &rec) && rec.report_to == REPORT_NONE, "no reports");
	check(has(&f, "ann@contoso.com", &rec) && rec.keep_copy, "forwards");
	check_str(rec.redirect, S("dan@contoso.com"), "to");
	import(&f, IMPORT_LDIF,
	       S("dn: CN=A\nobjectClass: group\nmail: a@contoso.com\nmember;range=0-1499: CN=B\n\ndn: CN=B\nmail: "
		 "b@contoso.com\n"),
	       "ad", false, 0, &r);
	check(r.rep.errors == 1 && str_find(buf_str(&r.problems), S("the list of members is cut")) >= 0, "range");
	import(&f, IMPORT_LDIF,
	       S("dn: CN=A\nobjectClass: group\nmail: a@contoso.com\nreportToOwner: TRUE\nreportToOriginator: TRUE\n"),
	       "ad", false, 0, &r);
	check(r.rep.errors == 1 && str_find(buf_str(&r.problems), S("not to both")) >= 0, "both");
	import(&f, IMPORT_LDIF, S("dn: CN=C\nmail: c@contoso.com\naltRecipient: CN=X\n"), "ad", false, 0, &r);
	check(r.rep.errors == 1 && str_find(buf_str(&r.problems), S("forwards to an entry")) >= 0, "lost");
	buf_fini(&r.problems);
	fixture_close(&f);
}

/* ---- out again ---- */

static void test_export_imports_again(void **state)
{
	struct fixture f;
	struct run r = { 0 };
	struct buf csv, by_fd;
	char *room;
	ssize_t n;

	(void)state;
	fixture_config(&f);
	fixture_open(&f);
	import(&f, IMPORT_LDIF, directory, "ad", true, 0, &r);
	import(&f, IMPORT_CSV,
	       S("address,loc,aliases\n\"\"\"q,r\"\"@contoso.com\",local,s@contoso.com;t@contoso.com\n"), "", false, 0,
	       &r);
	buf_init(&csv, 1 << 20);
	check(routing_export(f.r, &csv, -1, &f.e) == 0, "to memory");
	int fd = open(f.file, O_RDWR | O_CREAT | O_TRUNC, 0600);
	check(routing_export(f.r, NULL, fd, &f.e) == 0, "to a file");
	buf_init(&by_fd, 1 << 20);
	room = buf_reserve(&by_fd, 65536);
	n = pread(fd, room, 65536, 0);
	buf_commit(&by_fd, n > 0 ? (size_t)n : 0);
	close(fd);
	check_str(buf_str(&by_fd), buf_str(&csv), "the same");
	import(&f, IMPORT_CSV, buf_str(&csv), "", false, 0, &r);
	expect(&r, 0, 0, 0, 7, "nothing changed");
	buf_reset(&by_fd);
	by_fd.max = 100;
	check(routing_export(f.r, &by_fd, -1, &f.e) == -1 && f.e.code == ERR_TOO_BIG, "does not fit");
	buf_fini(&csv);
	buf_fini(&by_fd);
	buf_fini(&r.problems);
	fixture_close(&f);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_csv),
		cmocka_unit_test(test_bad_csv),
		cmocka_unit_test(test_many_problems),
		cmocka_unit_test(test_changes),
		cmocka_unit_test(test_deletion_guard),
		cmocka_unit_test(test_dry_run),
		cmocka_unit_test(test_ldif),
		cmocka_unit_test(test_bad_ldif),
		cmocka_unit_test(test_groups_csv),
		cmocka_unit_test(test_bad_groups),
		cmocka_unit_test(test_large_group),
		cmocka_unit_test(test_groups_ldif),
		cmocka_unit_test(test_export_imports_again),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
