/* connectors/deliver_test.c: from the spool to other hosts and back, with the real queue, table and TLS.
 *
 * Two hosts listen on loopback; what they take is noted as "A <from> rcpt,rcpt size tls" lines.  Recipients named
 * "no..." get 550, "later..." 451, "one..." 452 unless they are the first of their message. */
#include "connectors/connectors.h"

#include "base/fault.h"
#include "base/must.h"
#include "base/time.h"
#include "tests/kit/host.h"
#include "tests/unit.h"

#include <spawn.h>
#include <stdlib.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

/* in memory where there is such a place: a test of delivery need not wait for a disk */
static char root[64] = "/dev/shm/tombolo-deliver-XXXXXX";

struct site {
	char dir[128];
	struct loop *loop;
	struct config *config;
	struct queue *queue;
	struct queue_port *port;
	struct routing *routing;
	struct outbound *outbound;
	struct deliver *deliver;
	struct dns *dns;
	struct host *hosts[2];
	struct tls_ctx *host_tls;
	struct buf seen;
	struct loop_timer poll;
	uint64_t want_accepted, want_left;
	unsigned calm;
	int64_t give_up_ms;
	bool timed_out;
	size_t visits; /* connections the hosts got */
};

static struct site site;

static int run_program(char *const argv[])
{
	pid_t pid;
	int status = -1;

	if (posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ) != 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return status;
}

/* ---- hosts ---- */

static bool starts(struct str s, const char *word)
{
	return str_starts(s, str_c(word));
}

static struct reply on_rcpt(struct visit *v, const struct cmd_rcpt *rcpt)
{
	if (starts(rcpt->to.whole, "no"))
		return REPLY(550, 5, 1, 1, "no such user here");
	if (starts(rcpt->to.whole, "stop"))
		loop_stop(site.loop);
	if (starts(rcpt->to.whole, "later"))
		return REPLY(451, 4, 2, 1, "mailbox busy");
	if (starts(rcpt->to.whole, "fault"))
		return REPLY(550, 5, 7, 64, "TenantAttribution; Relay Access Denied");
	if (starts(rcpt->to.whole, "one") && v->rcpt_n > 0)
		return REPLY(452, 4, 5, 3, "too many recipients");
	if (rcpt->orcpt.n > 0)
		buf_addf(&site.seen, "orcpt " STR_FMT "\n", STR_ARG(rcpt->orcpt));
	return REPLY(250, 2, 1, 5, "ok");
}

static void on_content(struct visit *v, struct str run)
{
	v->owner = (char *)v->owner + run.n; /* only counted */
	if (str_find(run, S("Content-Type: multipart/report")) >= 0)
		buf_add(&site.seen, S("report\n"));
	ssize_t status = str_find(run, S("Status: "));
	if (status >= 0)
		buf_addf(&site.seen, "status %.*s\n", (int)strcspn(run.p + status + 8, "\r"), run.p + status + 8);
}

static struct reply on_message(struct visit *v)
{
	const struct tls_peer *peer = tls_peer(&v->stream);
	struct str rest = buf_str(&v->rcpts), one;

	buf_addf(&site.seen, "%s <" STR_FMT "> ", (const char *)host_arg(v->host), STR_ARG(buf_str(&v->from)));
	for (bool first = true; rest.n > 0; first = false) {
		str_cut(rest, '\n', &one, &rest);
		buf_addf(&site.seen, "%s" STR_FMT, first ? "" : ",", STR_ARG(one));
	}
	if (v->from.n > 0)
		buf_addf(&site.seen, " %zu", (size_t)((char *)v->owner - (char *)NULL));
	buf_addf(&site.seen, "%s\n", peer != NULL ? " tls" : "");
	v->owner = NULL;
	return REPLY(250, 2, 0, 0, "taken");
}

static void on_opened(struct visit *v)
{
	(void)v;
	site.visits++;
}

static void open_host(size_t i, const char *name, unsigned caps, const char *cert)
{
	struct host_options o = { .name = S("host.example"), .caps = caps };
	struct host_events e = { .arg = (void *)(uintptr_t)name,
				 .opened = on_opened,
				 .rcpt = on_rcpt,
				 .content = on_content,
				 .message = on_message };
	char pem[128], key[128];
	struct err why = { 0 };

	if (cert != NULL) {
		snprintf(pem, sizeof pem, "%s/certs/%s.pem", root, cert);
		snprintf(key, sizeof key, "%s/certs/%s.key", root, cert);
		site.host_tls = o.tls = tls_server_new(&(struct tls_server_options){ .certificate = str_c(pem),
										     .key = str_c(key),
										     .tls = &site.config->tls },
						       &why);
		if (o.tls == NULL)
			fail_msg("%s", why.text);
	}
	must(net_parse_addr(S("127.0.0.1:0"), 1, &o.listen) || net_parse_ip(S("127.0.0.1"), 0, &o.listen));
	net_set_port(&o.listen, 0);
	site.hosts[i] = host_open(site.loop, &o, &e, &why);
	if (site.hosts[i] == NULL)
		fail_msg("%s", why.text);
}

/* ---- the gateway under test ---- */

static void on_lease(void *arg, struct lease *l)
{
	(void)arg;
	deliver_lease(site.deliver, l);
}

static void add_recipient(const char *primary, enum rcpt_loc loc, const char *routing)
{
	struct str addr = str_c(primary);
	struct rcpt_record rec = {
		.primary = addr, .addrs = &addr, .addr_n = 1, .loc = loc, .routing = str_c(routing)
	};
	struct err e = { 0 };

	if (routing_record_set(site.routing, &rec, &e) != 0)
		fail_msg("%s: %s", primary, e.text);
}

static struct config *make_config(const char *sends)
{
	struct buf text, errors;
	struct config *c;

	buf_init(&text, 16 * 1024);
	buf_init(&errors, 16 * 1024);
	buf_addf(&text,
		 "site = onprem\nhostname = \"gw.contoso.com\"\n"
		 "domain \"contoso.com\" { type = authoritative routing_domain = \"contoso.mail.cloud.example\" }\n"
		 "recipients { path = \"%s/recipients\" }\n"
		 "queue { path = \"%s/queue\" segment_size = 1M segment_message_max = 64K settle_window = 1ms }\n"
		 "tls { ca = \"%s/certs/ca.pem\" }\n"
		 "receive \"in\" { listen = { \"127.0.0.1:1\" } from = { \"0/0\" } permissions = { \"servers\" } }\n",
		 site.dir, site.dir, root);
	/* $A and $B are the hosts' ports, $R the folder */
	for (const char *p = sends; *p != '\0'; p++) {
		if (p[0] != '$')
			buf_addc(&text, *p);
		else if (*++p == 'R')
			buf_addf(&text, "%s", root);
		else
			buf_addf(&text, "127.0.0.1:%u", host_port(site.hosts[*p - 'A']));
	}
	c = config_parse(buf_str(&text), "test", &errors);
	if (c == NULL)
		fail_msg("%s", buf_cstr(&errors));
	buf_fini(&text);
	buf_fini(&errors);
	return c;
}

/* The hosts come first: their ports stand in the configuration. */
static void site_begin(void)
{
	static unsigned n;

	site = (struct site){ .loop = loop_new(NULL) };
	snprintf(site.dir, sizeof site.dir, "%s/%u", root, ++n);
	assert_int_equal(mkdir(site.dir, 0700), 0);
	buf_init(&site.seen, 64 * 1024);
	site.config = make_config("send \"none\" { space = { \"*\" } dns = yes }\n"); /* for the hosts' contexts */
}

/* Names that need no resolver. */
static void open_names(void)
{
	static const char lines[] = "127.0.0.1 mx1.mx.example mx2.mx.example\n"
				    "127.0.0.2 dead.mx.example\n"
				    "MX 10 mx.example dead.mx.example\n"
				    "MX 20 mx.example mx1.mx.example\n"
				    "MX 0 never.example .\n";
	const struct conf_list resolvers = { &(struct str)STR_LIT("127.0.0.1"), 1 };
	char path[160];
	struct err e = { 0 };
	FILE *f;

	snprintf(path, sizeof path, "%s/hosts", site.dir);
	f = fopen(path, "w");
	assert_non_null(f);
	fwrite(lines, 1, sizeof lines - 1, f);
	fclose(f);
	site.dns = dns_open(site.loop, &resolvers, str_c(path), &e);
	if (site.dns == NULL)
		fail_msg("%s", e.text);
}

static void site_start(const char *sends, const struct net_addr *own, size_t own_n)
{
	struct err e = { 0 };
	struct queue_recovery found;

	config_unref(&site.config);
	site.config = make_config(sends);
	site.outbound = outbound_new(site.config, &e);
	site.routing = site.outbound != NULL ? routing_open(site.config, &e) : NULL;
	site.queue = site.routing != NULL ? queue_open(&site.config->queue, &found, &e) : NULL;
	if (site.queue == NULL)
		fail_msg("%s", e.text);
	site.deliver = deliver_new(&(struct deliver_options){ .loop = site.loop,
							      .port = &site.port,
							      .routing = site.routing,
							      .dns = site.dns,
							      .outbound = site.outbound,
							      .own = own,
							      .own_n = own_n });
	site.port = queue_attach(site.queue, site.loop, on_lease, NULL);
}

static void site_end(void)
{
	deliver_free(&site.deliver);
	if (site.dns != NULL)
		dns_close(&site.dns);
	queue_detach(&site.port);
	queue_close(&site.queue);
	routing_close(&site.routing);
	outbound_unref(&site.outbound);
	config_unref(&site.config);
	for (size_t i = 0; i < 2; i++)
		if (site.hosts[i] != NULL)
			host_close(&site.hosts[i]);
	tls_ctx_unref(&site.host_tls);
	loop_timer_stop(&site.poll);
	loop_free(&site.loop);
	buf_fini(&site.seen);
}

/* Runs until the queue has accepted and still holds that many messages, and all is calm. */
static void on_poll(struct loop_timer *t)
{
	struct queue_stats s;

	queue_stats(site.queue, &s);
	bool there = s.accepted == site.want_accepted && s.messages == site.want_left && s.leased == 0 &&
		     deliver_busy(site.deliver) == 0;
	site.calm = there ? site.calm + 1 : 0;
	site.timed_out = loop_now_ms(site.loop) > site.give_up_ms;
	if (site.calm > 3 || site.timed_out) {
		loop_stop(site.loop);
		return;
	}
	loop_timer_set(t, 1);
}

static void site_run(uint64_t accepted, uint64_t left)
{
	site.want_accepted = accepted;
	site.want_left = left;
	site.calm = 0;
	site.give_up_ms = loop_now_ms(site.loop) + 4000;
	loop_timer_init(site.loop, &site.poll, on_poll);
	loop_timer_set(&site.poll, 1);
	loop_run(site.loop);
	if (site.timed_out) {
		struct queue_stats s;
		queue_stats(site.queue, &s);
		fail_msg("accepted %llu of %llu, left %llu of %llu, leased %llu, seen: %s",
			 (unsigned long long)s.accepted, (unsigned long long)accepted, (unsigned long long)s.messages,
			 (unsigned long long)left, (unsigned long long)s.leased, buf_cstr(&site.seen));
	}
}

static struct commit commits[64];
static size_t commit_n;
static int64_t post_age_ms; /* of the messages to come */
static unsigned post_notify;
static const char *post_subject; /* not NULL: SMTPUTF8 was asked for */

static void on_commit(struct op *op)
{
	assert_true(container_of(op, struct commit, op)->ok);
}

static void post_sized(const char *from, const char *const *rcpts, size_t n, size_t size)
{
	struct env_rcpt list[300] = { 0 };
	struct envelope env = { .from = str_c(from),
				.origin = ENV_LOCAL,
				.trace_id = S("5f0c9a57-0000-4000-8000-000000000001"),
				.receive = S("in"),
				.client = S("10.0.0.1"),
				.smtputf8 = post_subject != NULL,
				.arrived_ms = clock_wall_ms() - post_age_ms,
				.rcpts = list,
				.rcpt_n = n };
	struct err e = { 0 };
	struct spool *s = spool_begin(site.port, &e);
	char block[1000];

	assert_true(n <= COUNT(list));
	for (size_t i = 0; i < n; i++)
		list[i] = (struct env_rcpt){ .addr = str_c(rcpts[i]), .notify = post_notify };
	if (s == NULL)
		fail_msg("%s", e.text);
	memset(block, 'x', sizeof block);
	memcpy(block, "Subject: t\r\n\r\n", 14);
	if (post_subject != NULL)
		memcpy(block + 8, post_subject, strlen(post_subject));
	memcpy(block + 998, "\r\n", 2);
	for (size_t at = 0; at < size; at += sizeof block)
		assert_int_equal(spool_write(s, str_n(block, size - at < sizeof block ? size - at : sizeof block), &e),
				 0);
	struct commit *c = &commits[commit_n++ % COUNT(commits)];
	*c = (struct commit){ 0 };
	spool_commit(&s, &env, c, on_commit);
}
#define post(from, ...) \
	post_sized(from, (const char *const[]){ __VA_ARGS__ }, COUNT(((const char *const[]){ __VA_ARGS__ })), 1000)

static void check_seen(const char *want)
{
	check_str(buf_str(&site.seen), str_c(want), "seen");
	buf_reset(&site.seen);
}

/* ---- what waits and why ---- */

static void on_rows(struct op *op)
{
	(void)op;
	loop_stop(site.loop);
}

static void check_waiting(const char *part)
{
	struct queue_query q = { 0 };

	queue_query(site.port, &(struct queue_filter){ 0 }, &q, on_rows);
	loop_run(site.loop);
	check(q.row_n >= 1, part);
	for (size_t i = 0; i < q.row_n; i++)
		if (str_find(q.rows[i].last, str_c(part)) < 0)
			fail_msg("no \"%s\" in \"" STR_FMT "\"", part, STR_ARG(q.rows[i].last));
	queue_query_fini(&q);
}

/* ---- tests ---- */

enum { FULL = EHLO_PIPELINING | EHLO_CHUNKING | EHLO_SIZE | EHLO_8BITMIME | EHLO_DSN | EHLO_ENHANCEDSTATUSCODES };

#define INTERNET "send \"out\" { space = { \"*\" } smarthosts = { \"$A\" } tls = none }\n"

static void test_both_ways(void **state)
{
	(void)state;
	site_begin();
	open_host(0, "A", FULL, NULL);
	open_host(1, "B", EHLO_PIPELINING, NULL);
	site_start("send \"out\" { space = { \"@local\", \"*\" } smarthosts = { \"$A\" } tls = none }\n"
		   "send \"cloud\" { space = { \"@peer\" } smarthosts = { \"$B\" } tls = none }\n",
		   NULL, 0);
	add_recipient("l@contoso.com", LOC_LOCAL, "");
	add_recipient("r@contoso.com", LOC_REMOTE, "r@contoso.mail.cloud.example");
	post("s@contoso.com", "l@contoso.com", "x@far.example", "r@contoso.com", "y@far.example");
	site_run(1, 0);
	/* one transaction for each address form of a hop */
	assert_true(str_find(buf_str(&site.seen), S("A <s@contoso.com> x@far.example,y@far.example 1000\n")) >= 0);
	assert_true(str_find(buf_str(&site.seen), S("A <s@contoso.com> l@contoso.com 1000\n")) >= 0);
	assert_true(str_find(buf_str(&site.seen), S("B <s@contoso.com> r@contoso.mail.cloud.example 1000\n")) >= 0);
	site_end();
}

/* A mailbox on both sides: delivered here, and a copy there. */
static void test_copy(void **state)
{
	(void)state;
	site_begin();
	open_host(0, "A", FULL, NULL);
	open_host(1, "B", FULL, NULL);
	site_start("send \"out\" { space = { \"@local\", \"*\" } smarthosts = { \"$A\" } tls = none }\n"
		   "send \"cloud\" { space = { \"@peer\" } smarthosts = { \"$B\" } tls = none }\n",
		   NULL, 0);
	add_recipient("b@contoso.com", LOC_BOTH, "b@contoso.mail.cloud.example");
	post_sized("s@far.example", (const char *const[]){ "b@contoso.com" }, 1, 300 * 1000);
	site_run(2, 0);
	check_seen("A <s@far.example> b@contoso.com 300000\nB <s@far.example> b@contoso.mail.cloud.example 300000\n");
	site_end();
}

static void add_group(const char *primary, const char *members)
{
	struct str addr = str_c(primary);
	struct rcpt_record rec = { .primary = addr,
				   .addrs = &addr,
				   .addr_n = 1,
				   .loc = LOC_GROUP,
				   .expand_at = EXPAND_HERE,
				   .set_members = true,
				   .members = str_c(members) };
	struct err e = { 0 };

	if (routing_record_set(site.routing, &rec, &e) != 0)
		fail_msg("%s: %s", primary, e.text);
}

/* Two groups of one message: one copy, everybody once; what is delivered directly stays out of it. */
static void test_groups(void **state)
{
	(void)state;
	site_begin();
	open_host(0, "A", FULL, NULL);
	site_start(INTERNET, NULL, 0);
	add_group("g@contoso.com", "x@far.example;y@far.example");
	add_group("h@contoso.com", "y@far.example;z@far.example;d@far.example;g@contoso.com");
	post("s@contoso.com", "g@contoso.com", "d@far.example", "h@contoso.com");
	site_run(2, 0);
	check_seen("A <s@contoso.com> d@far.example 1000\n"
		   "orcpt rfc822;g@contoso.com\norcpt rfc822;g@contoso.com\norcpt rfc822;h@contoso.com\n"
		   "A <s@contoso.com> x@far.example,y@far.example,z@far.example 1000\n");
	site_end();
}

/* A copy that cannot be stored: the group waits, the others are done. */
static void test_group_waits(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++) {
		site_begin();
		open_host(0, "A", FULL, NULL);
		site_start(INTERNET, NULL, 0);
		add_group("g@contoso.com", "x@far.example");
		setenv("TOMBOLO_FAULT", i == 0 ? "expand.copy:1" : "expand.copied:1", 1);
		fault_init();
		post("s@contoso.com", "g@contoso.com", "d@far.example");
		site_run(i == 0 ? 1 : 2, 1);
		check_waiting("4.3.0 a fault");
		unsetenv("TOMBOLO_FAULT");
		fault_init();
		check(str_find(buf_str(&site.seen), S("A <s@contoso.com> d@far.example 1000\n")) >= 0, "the other one");
		site_end();
	}
}

static void test_reuse(void **state)
{
	(void)state;
	site_begin();
	open_host(0, "A", FULL, NULL);
	site_start(INTERNET, NULL, 0);
	for (int i = 0; i < 50; i++)
		post("s@contoso.com", "x@far.example");
	site_run(50, 0);
	assert_in_range(site.visits, 1, 40);
	size_t before = site.visits;
	for (int i = 0; i < 10; i++) {
		post("s@contoso.com", "x@far.example");
		site_run(51 + (uint64_t)i, 0);
	}
	assert_int_equal(site.visits, before); /* one after the other needs no new connection */
	site_end();
}

static void test_report(void **state)
{
	(void)state;
	site_begin();
	open_host(0, "A", FULL, NULL);
	site_start(INTERNET, NULL, 0);
	post("s@far.example", "no@far.example", "x@far.example");
	site_run(2, 0);
	check_seen("A <s@far.example> x@far.example 1000\nreport\nstatus 5.1.1\nA <> s@far.example\n");
	/* a report that cannot be delivered is not reported */
	post("", "no@far.example");
	site_run(3, 0);
	check_seen("");
	/* unknown since it was accepted */
	post("s@far.example", "gone@contoso.com");
	site_run(5, 0);
	check_seen("report\nstatus 5.1.1\nA <> s@far.example\n");
	site_end();
}

static void test_later(void **state)
{
	struct hop_stats rows[4];

	(void)state;
	site_begin();
	open_host(0, "A", FULL, NULL);
	site_start(INTERNET, NULL, 0);
	post("s@far.example", "later@far.example", "x@far.example");
	site_run(1, 1);
	check_seen("A <s@far.example> x@far.example 1000\n");
	check_waiting("4.2.1 127.0.0.1[127.0.0.1] said: 451 4.2.1 mailbox busy (in reply to RCPT TO)");
	assert_int_equal(deliver_stats(site.deliver, rows, 4), 1);
	assert_int_equal(rows[0].sent, 1);
	assert_int_equal(rows[0].deferred, 1);
	site_end();
}

static const int64_t hour_ms = 3600 * 1000;

static void test_old(void **state)
{
	(void)state;
	site_begin();
	open_host(0, "A", FULL & ~(unsigned)EHLO_DSN, NULL);
	site_start(INTERNET, NULL, 0);
	post_age_ms = 5 * hour_ms;
	post("s@far.example", "later@far.example");
	site_run(2, 1); /* waits, and its sender is told */
	check_seen("report\nstatus 4.2.1\nA <> s@far.example\n");
	post_notify = ENV_NOTIFY_NEVER;
	post("s@far.example", "later@far.example", "no@far.example");
	site_run(3, 2);
	check_seen("");
	post_notify = 0;
	post_age_ms = 30 * 24 * hour_ms;
	post("s@far.example", "later@far.example");
	site_run(5, 2);
	check_seen("report\nstatus 5.4.7\nA <> s@far.example\n");
	post_age_ms = 0;
	post_notify = ENV_NOTIFY_SUCCESS;
	post("s@far.example", "x@far.example"); /* the host does not do DSN: relayed */
	site_run(7, 2);
	check_seen("A <s@far.example> x@far.example 1000\nreport\nstatus 2.0.0\nA <> s@far.example\n");
	post_notify = 0;
	site_end();
}

static void test_several_transactions(void **state)
{
	(void)state;
	site_begin();
	open_host(0, "A", FULL, NULL);
	site_start("send \"out\" { space = { \"*\" } smarthosts = { \"$A\" } tls = none recipients_per_message = 2\n"
		   "  connections = 1 }\n",
		   NULL, 0);
	post("s@far.example", "a@far.example", "b@far.example", "c@far.example");
	site_run(1, 0);
	assert_true(str_find(buf_str(&site.seen), S(" a@far.example,b@far.example ")) >= 0);
	assert_true(str_find(buf_str(&site.seen), S(" c@far.example ")) >= 0);
	buf_reset(&site.seen);
	post("s@far.example", "one1@far.example", "one2@far.example");
	site_run(2, 0);
	check_seen("A <s@far.example> one1@far.example 1000\nA <s@far.example> one2@far.example 1000\n");
	site_end();
}

/* More recipients than answers may be outstanding at once; among them some that are refused. */
static void test_many_recipients(void **state)
{
	static char names[300][24];
	const char *rcpts[300];

	(void)state;
	site_begin();
	open_host(0, "A", FULL, NULL);
	site_start(
		"send \"out\" { space = { \"*\" } smarthosts = { \"$A\" } tls = none recipients_per_message = 300 }\n",
		NULL, 0);
	for (unsigned i = 0; i < 300; i++) {
		snprintf(names[i], sizeof names[i], "%s%u@far.example", i % 10 == 9 ? "later" : "u", i);
		rcpts[i] = names[i];
	}
	post_sized("s@far.example", rcpts, 300, 1000);
	site_run(1, 1);
	struct str seen = buf_str(&site.seen);
	assert_true(str_starts(seen, S("A <s@far.example> u0@far.example,u1@far.example,")));
	assert_true(str_ends(seen, S(",u298@far.example 1000\n")));
	assert_int_equal(str_find(seen, S("later")), -1);
	check_waiting("451 4.2.1 mailbox busy");
	site_end();
}

/* One connection in all and two hops: the idle one makes room, nobody starves. */
static void test_limit(void **state)
{
	(void)state;
	site_begin();
	open_host(0, "A", FULL, NULL);
	open_host(1, "B", FULL, NULL);
	site_start(INTERNET "send \"b\" { space = { \"b.example\" } smarthosts = { \"$B\" } tls = none }\n"
			    "limits { outbound_connections = 1 }\n",
		   NULL, 0);
	for (int i = 0; i < 10; i++) {
		post("s@far.example", "x@far.example");
		post("s@far.example", "x@b.example");
		post("s@far.example", "x@far.example", "y@b.example");
	}
	site_run(30, 0);
	site_end();
}

static void test_big(void **state)
{
	(void)state;
	site_begin();
	open_host(0, "A", FULL, NULL);
	open_host(1, "B", EHLO_PIPELINING, NULL);
	site_start(INTERNET "send \"b\" { space = { \"b.example\" } smarthosts = { \"$B\" } tls = none }\n", NULL, 0);
	post_sized("s@far.example", (const char *const[]){ "x@far.example" }, 1, 900 * 1000);
	site_run(1, 0);
	check_seen("A <s@far.example> x@far.example 900000\n");
	post_sized("s@far.example", (const char *const[]){ "x@b.example" }, 1, 900 * 1000);
	site_run(2, 0);
	check_seen("B <s@far.example> x@b.example 900000\n");
	site_end();
}

static void test_failover(void **state)
{
	(void)state;
	site_begin();
	open_host(0, "A", FULL, NULL);
	/* nobody listens on port 1 */
	site_start(
		"send \"out\" { space = { \"*\" } smarthosts = { \"127.0.0.1:1\", \"[127.0.0.2]:1\", \"$A\" } tls = none }\n",
		NULL, 0);
	post("s@far.example", "x@far.example");
	site_run(1, 0);
	check_seen("A <s@far.example> x@far.example 1000\n");
	site_end();
}

static void test_dead_hop(void **state)
{
	(void)state;
	site_begin();
	site_start("send \"out\" { space = { \"*\" } smarthosts = { \"127.0.0.1:1\" } tls = none }\n", NULL, 0);
	for (int i = 0; i < 20; i++)
		post("s@far.example", "x@far.example");
	site_run(20, 20);
	check_waiting("4.4.1 127.0.0.1[127.0.0.1]: connect: Connection refused");
	site_end();
}

static void test_loop_to_self(void **state)
{
	struct net_addr own;

	(void)state;
	assert_true(net_parse_addr(S("0.0.0.0:1"), 0, &own));
	site_begin();
	open_host(0, "A", FULL, NULL);
	site_start("send \"out\" { space = { \"*\" } smarthosts = { \"127.0.0.1:1\" } tls = none }\n"
		   "send \"back\" { space = { \"back.example\" } smarthosts = { \"$A\" } tls = none }\n",
		   &own, 1);
	post("s@back.example", "x@far.example");
	site_run(2, 0);
	check_seen("report\nstatus 5.4.6\nA <> s@back.example\n");
	site_end();
}

/* The peer answers that it does not know us: nothing bounces (hardening HY-7). */
static void test_connector_fault(void **state)
{
	(void)state;
	site_begin();
	open_host(0, "A", FULL, NULL);
	site_start("send \"cloud\" { space = { \"@peer\" } smarthosts = { \"$A\" } tls = none }\n" INTERNET, NULL, 0);
	add_recipient("f@contoso.com", LOC_REMOTE, "fault@contoso.mail.cloud.example");
	post("s@far.example", "f@contoso.com");
	site_run(1, 1);
	check_waiting("5.7.64 TenantAttribution");
	site_end();
}

static void test_hold(void **state)
{
	(void)state;
	site_begin();
	open_host(0, "A", FULL, NULL);
	site_start(INTERNET
		   "send \"cloud\" { space = { \"@peer\" } smarthosts = { \"$A\" } tls = encrypt enabled = no\n"
		   "  exclusive = yes }\n"
		   "send \"small\" { space = { \"small.example\" } smarthosts = { \"$A\" } tls = none max_size = 2K\n"
		   "  exclusive = yes }\n",
		   NULL, 0);
	add_recipient("r@contoso.com", LOC_REMOTE, "r@contoso.mail.cloud.example");
	post("s@far.example", "r@contoso.com");
	site_run(1, 1);
	check_waiting("owns this address space is disabled");
	post_sized("s@far.example", (const char *const[]){ "x@small.example" }, 1, 5000);
	site_run(3, 1);
	check_seen("report\nstatus 5.3.4\nA <> s@far.example\n");
	site_end();
}

static void test_names(void **state)
{
	struct net_addr own;
	char sends[200];

	(void)state;
	site_begin();
	open_host(0, "A", FULL, NULL);
	open_names();
	snprintf(sends, sizeof sends, "send \"out\" { space = { \"*\" } dns = yes port = %u tls = none }\n",
		 host_port(site.hosts[0]));
	assert_true(net_parse_ip(S("127.0.0.1"), 4, &own));
	site_start(sends, &own, 1); /* another port: not us */
	post("s@mx.example", "x@mx.example");
	site_run(1, 0);
	check_seen("A <s@mx.example> x@mx.example 1000\n");
	post("s@mx.example", "x@never.example");
	site_run(3, 0);
	check_seen("report\nstatus 5.1.10\nA <> s@mx.example\n");
	site_end();
}

/* What the mail needs is computed from its bytes, not from what the client said (hardening 28). */
static void test_utf8(void **state)
{
	(void)state;
	site_begin();
	open_host(0, "A", FULL, NULL);
	site_start(INTERNET, NULL, 0);
	post_subject = " ascii";
	post("s@far.example", "x@far.example");
	site_run(1, 0);
	check_seen("A <s@far.example> x@far.example 1000\n");
	post_subject = " \xc3\xbc";
	post("s@far.example", "x@far.example");
	post_subject = NULL;
	site_run(3,
		 0); /* the report quotes that header in ASCII unless it may be SMTPUTF8 itself: then it is lost too */
	site_end();
}

static void test_reconfigure(void **state)
{
	struct config *next;
	struct outbound *outbound;

	(void)state;
	site_begin();
	open_host(0, "A", FULL, NULL);
	open_host(1, "B", FULL, NULL);
	site_start(INTERNET, NULL, 0);
	post("s@far.example", "x@far.example");
	site_run(1, 0);
	next = make_config("send \"out\" { space = { \"*\" } smarthosts = { \"$B\" } tls = none }\n");
	outbound = outbound_new(next, NULL);
	assert_non_null(outbound);
	deliver_reconfigure(site.deliver, outbound);
	outbound_unref(&outbound);
	config_unref(&next);
	post("s@far.example", "x@far.example");
	site_run(2, 0);
	check_seen("A <s@far.example> x@far.example 1000\nB <s@far.example> x@far.example 1000\n");
	site_end();
}

/* Connections and open leases go; the queue has its messages back. */
static void test_end_in_the_middle(void **state)
{
	struct queue_recovery found;
	struct err e = { 0 };

	(void)state;
	site_begin();
	open_host(0, "A", FULL, NULL);
	site_start(INTERNET, NULL, 0);
	post("s@far.example", "x@far.example");
	site_run(1, 0);
	post("s@far.example", "stop@far.example", "no@far.example");
	loop_run(site.loop); /* until the host hears of it: the transaction is on the wire */
	assert_int_equal(deliver_busy(site.deliver), 1);
	deliver_free(&site.deliver);
	queue_detach(&site.port);
	queue_close(&site.queue);
	site.queue = queue_open(&site.config->queue, &found, &e);
	assert_non_null(site.queue);
	assert_int_equal(found.messages, 1);
	site_end();
}

/* ---- TLS: host certificate x level -> delivered, or the reason for waiting ---- */

static const struct tls_row {
	const char *name, *cert, *level;
	const char *want; /* NULL: delivered over TLS; "" in clear; else why it waits */
} tls_rows[] = {
	{ "may, offered", "server", "tls = may", NULL },
	{ "may, any certificate", "selfsigned", "tls = may", NULL },
	{ "may, not offered", NULL, "tls = may", "" },
	{ "encrypt, any certificate", "wrongname", "tls = encrypt", NULL },
	{ "encrypt, not offered", NULL, "tls = encrypt", "4.7.4 " },
	{ "validate", "server", "tls = validate", NULL },
	{ "validate, of another root", "stranger", "tls = validate",
	  "4.7.5 127.0.0.1[127.0.0.1]: certificate is not trusted" },
	{ "validate, self-signed", "selfsigned", "tls = validate", "4.7.5 " },
	{ "domain", "server", "tls = domain tls_domain = \"mail.contoso.com\"", NULL },
	{ "domain, wildcard", "wildcard", "tls = domain tls_domain = \"mail.contoso.com\"", NULL },
	{ "domain, wrong name", "wrongname", "tls = domain tls_domain = \"mail.contoso.com\"",
	  "4.7.5 127.0.0.1[127.0.0.1]: certificate name mismatch: wanted mail.contoso.com, presented mail.wrong.example" },
	{ "domain, not offered", NULL, "tls = domain tls_domain = \"mail.contoso.com\"", "4.7.4 " },
};

static void run_tls_row(const struct tls_row *r)
{
	char sends[400];

	site_begin();
	open_host(0, "A", FULL, r->cert);
	snprintf(sends, sizeof sends, "send \"out\" { space = { \"*\" } smarthosts = { \"$A\" } %s }\n", r->level);
	site_start(sends, NULL, 0);
	post("s@far.example", "x@far.example");
	site_run(1, r->want != NULL && r->want[0] != '\0');
	if (r->want == NULL) {
		check_str(buf_str(&site.seen), S("A <s@far.example> x@far.example 1000 tls\n"), r->name);
	} else if (r->want[0] == '\0') {
		check_str(buf_str(&site.seen), S("A <s@far.example> x@far.example 1000\n"), r->name);
	} else {
		check_str(buf_str(&site.seen), S(""), r->name);
		check_waiting(r->want);
	}
	site_end();
}

static void test_tls(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(tls_rows); i++)
		run_tls_row(&tls_rows[i]);
}

/* A resumed session is judged like a full handshake. */
static void test_tls_resumption(void **state)
{
	(void)state;
	site_begin();
	open_host(0, "A", FULL, "server");
	site_start(
		"send \"out\" { space = { \"*\" } smarthosts = { \"$A\" } tls = domain tls_domain = \"mail.contoso.com\"\n"
		"  messages_per_connection = 1 }\n"
		"send \"other\" { space = { \"b.example\" } smarthosts = { \"$A\" } tls = domain\n"
		"  tls_domain = \"other.contoso.com\" messages_per_connection = 1 }\n",
		NULL, 0);
	for (uint64_t i = 1; i <= 3; i++) {
		post("s@far.example", "x@far.example");
		site_run(i, 0);
	}
	assert_int_equal(site.visits, 3);
	post("s@far.example", "x@b.example");
	site_run(4, 1);
	check_waiting("wanted other.contoso.com, presented mail.contoso.com");
	site_end();
}

static void test_tls_reuse(void **state)
{
	(void)state;
	site_begin();
	open_host(0, "A", FULL, "server");
	site_start("send \"out\" { space = { \"*\" } smarthosts = { \"$A\" } tls = encrypt }\n", NULL, 0);
	for (uint64_t i = 1; i <= 5; i++) {
		post("s@far.example", "x@far.example");
		site_run(i, 0);
	}
	assert_int_equal(site.visits, 1);
	site_end();
}

static int make_root(void **state)
{
	char certs[128];

	(void)state;
	if (mkdtemp(root) == NULL) {
		snprintf(root, sizeof root, "/tmp/tombolo-deliver-XXXXXX");
		if (mkdtemp(root) == NULL)
			return -1;
	}
	snprintf(certs, sizeof certs, "%s/certs", root);
	return run_program((char *[]){ "sh", "tests/certs.sh", certs, NULL });
}

static int remove_root(void **state)
{
	(void)state;
	return run_program((char *[]){ "rm", "-rf", root, NULL });
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_both_ways),
		cmocka_unit_test(test_copy),
		cmocka_unit_test(test_groups),
		cmocka_unit_test(test_group_waits),
		cmocka_unit_test(test_reuse),
		cmocka_unit_test(test_report),
		cmocka_unit_test(test_later),
		cmocka_unit_test(test_old),
		cmocka_unit_test(test_several_transactions),
		cmocka_unit_test(test_many_recipients),
		cmocka_unit_test(test_limit),
		cmocka_unit_test(test_big),
		cmocka_unit_test(test_failover),
		cmocka_unit_test(test_dead_hop),
		cmocka_unit_test(test_loop_to_self),
		cmocka_unit_test(test_connector_fault),
		cmocka_unit_test(test_hold),
		cmocka_unit_test(test_names),
		cmocka_unit_test(test_utf8),
		cmocka_unit_test(test_reconfigure),
		cmocka_unit_test(test_end_in_the_middle),
		cmocka_unit_test(test_tls),
		cmocka_unit_test(test_tls_reuse),
		cmocka_unit_test(test_tls_resumption),
	};
	log_open("/dev/null", LOG_LEVEL_DEBUG, LOG_FORMAT_TEXT);
	return cmocka_run_group_tests(tests, make_root, remove_root);
}
