/* connectors/probe_test.c: a connector tried against hosts on loopback, good and bad: which stage says what, and that
 * no host ever hears DATA. */
#include "connectors/connectors.h"

#include "base/must.h"
#include "tests/kit/host.h"
#include "tests/unit.h"

#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char **environ;

static char root[64] = "/tmp/tombolo-probe-XXXXXX";

static const struct row {
	const char *name;
	const char *cert[2]; /* of the hosts; "" = a host without TLS, NULL = no host */
	const char *tls;     /* of the connector: "domain tls_domain = ..." */
	const char *policy;  /* more configuration */
	struct probe_order order;
	const char *want; /* stages with + or -, hosts separated by "|", then good/hosts */
	const char *says; /* is found in what the stages say */
} rows[] = {
	{ "in clear", { "" }, .tls = "none", .want = "resolve+ | connect+ greeting+ ehlo+ 1/1", .says = "PIPELINING" },
	{ "the right name",
	  { "server" },
	  .tls = "domain tls_domain = mail.contoso.com",
	  .want = "resolve+ | connect+ greeting+ ehlo+ starttls+ handshake+ chain+ name+ ehlo again+ 1/1",
	  .says = "wanted mail.contoso.com, presented mail.contoso.com, localhost" },
	{ "the wrong name",
	  { "wrongname" },
	  .tls = "domain tls_domain = mail.contoso.com",
	  .want = "resolve+ | connect+ greeting+ ehlo+ starttls+ handshake+ chain+ name- 0/1",
	  .says = "wanted mail.contoso.com, presented mail.wrong.example" },
	{ "the wrong name where none is asked for",
	  { "wrongname" },
	  .tls = "validate",
	  .want = "resolve+ | connect+ greeting+ ehlo+ starttls+ handshake+ chain+ name+ ehlo again+ 1/1",
	  .says = "does not match" },
	{ "expired",
	  { "expired" },
	  .tls = "validate",
	  .want = "resolve+ | connect+ greeting+ ehlo+ starttls+ handshake+ chain- 0/1",
	  .says = "expired" },
	{ "expired, and nobody asked",
	  { "expired" },
	  .tls = "encrypt",
	  .want = "resolve+ | connect+ greeting+ ehlo+ starttls+ handshake+ chain+ name+ ehlo again+ 1/1",
	  .says = "level encrypt does not ask for it" },
	{ "self-signed",
	  { "selfsigned" },
	  .tls = "validate",
	  .want = "resolve+ | connect+ greeting+ ehlo+ starttls+ handshake+ chain- 0/1",
	  .says = "not trusted" },
	{ "no STARTTLS, and it must be",
	  { "" },
	  .tls = "encrypt",
	  .want = "resolve+ | connect+ greeting+ ehlo+ starttls- 0/1",
	  .says = "does not offer STARTTLS" },
	{ "no STARTTLS, and it may",
	  { "" },
	  .tls = "may",
	  .want = "resolve+ | connect+ greeting+ ehlo+ starttls- 1/1" },
	{ "one of two has the old certificate",
	  { "server", "wrongname" },
	  .tls = "domain tls_domain = mail.contoso.com",
	  .want = "resolve+ | connect+ greeting+ ehlo+ starttls+ handshake+ chain+ name+ ehlo again+ | "
		  "connect+ greeting+ ehlo+ starttls+ handshake+ chain+ name- 1/2" },
	{ "a policy asks for more than the connector",
	  { "" },
	  .tls = "none",
	  .policy = "tls_policy \"x.example\" { tls = encrypt }",
	  .order = { .rcpt = STR_LIT("a@x.example") },
	  .want = "resolve+ | connect+ greeting+ ehlo+ starttls- 0/1" },
	{ "a policy asks for another name as well",
	  { "server" },
	  .tls = "domain tls_domain = mail.contoso.com",
	  .policy = "tls_policy \"x.example\" { tls = domain tls_domain = mx.x.example }",
	  .order = { .rcpt = STR_LIT("a@x.example") },
	  .want = "resolve+ | connect+ greeting+ ehlo+ starttls+ handshake+ chain+ name- 0/1",
	  .says = "wanted mx.x.example" },
	{ "a recipient",
	  { "" },
	  .tls = "none",
	  .order = { .rcpt = STR_LIT("a@x.example") },
	  .want = "resolve+ | connect+ greeting+ ehlo+ mail+ rcpt+ 1/1",
	  .says = "from <postmaster@gw.contoso.com>" },
	{ "a recipient that is refused",
	  { "" },
	  .tls = "none",
	  .order = { .rcpt = STR_LIT("no@x.example"), .from = STR_LIT("me@contoso.com") },
	  .want = "resolve+ | connect+ greeting+ ehlo+ mail+ rcpt- 0/1",
	  .says = "550 5.1.1 no such user" },
	{ "a sender that is refused",
	  { "" },
	  .tls = "none",
	  .order = { .rcpt = STR_LIT("a@x.example"), .from = STR_LIT("bad@contoso.com") },
	  .want = "resolve+ | connect+ greeting+ ehlo+ mail- 0/1",
	  .says = "550 5.7.1 not you" },
	{ "nobody there",
	  { "" },
	  .tls = "none",
	  .order = { .host = STR_LIT("127.0.0.1:1") },
	  .want = "resolve+ | connect- 0/1",
	  .says = "refused" },
	{ "ourselves",
	  { "" },
	  .tls = "none",
	  .order = { .host = STR_LIT("127.0.0.2:2525") },
	  .want = "resolve- 0/0",
	  .says = "loops back" },
	{ "no such connector",
	  { "" },
	  .tls = "none",
	  .order = { .connector = STR_LIT("other") },
	  .want = "",
	  .says = "no send connector other" },
};

struct bench {
	struct loop *loop;
	struct host *hosts[2];
	struct tls_ctx *tls[2];
	struct buf got, says;
	struct loop_timer limit;
	bool contents, ended;
	char ip[64];
};

static struct bench bench;

static struct reply on_mail(struct visit *v, const struct cmd_mail *m)
{
	(void)v;
	return str_starts(m->from.whole, S("bad")) ? REPLY(550, 5, 7, 1, "not you") : REPLY(250, 2, 1, 0, "ok");
}

static struct reply on_rcpt(struct visit *v, const struct cmd_rcpt *r)
{
	(void)v;
	return str_starts(r->to.whole, S("no")) ? REPLY(550, 5, 1, 1, "no such user") : REPLY(250, 2, 1, 5, "ok");
}

static void on_content(struct visit *v, struct str run)
{
	(void)v, (void)run;
	bench.contents = true;
}

static void on_step(void *arg, const struct probe_step *s)
{
	(void)arg;
	if (str_eq(str_c(s->stage), S("connect")))
		buf_add(&bench.got, S("| "));
	buf_addf(&bench.got, "%s%c ", s->stage, s->ok ? '+' : '-');
	buf_addf(&bench.says, "%s: %s\n", s->stage, s->says);
	assert_true(s->took_ms >= 0);
}

static void on_end(void *arg, const struct probe_end *e)
{
	(void)arg;
	buf_addf(&bench.got, "%zu/%zu", e->good, e->hosts);
	bench.ended = true;
	loop_stop(bench.loop);
}

static void on_limit(struct loop_timer *t)
{
	(void)t;
	loop_stop(bench.loop);
}

static void open_host(size_t i, const char *cert)
{
	static const struct host_events events = { .mail = on_mail, .rcpt = on_rcpt, .content = on_content };
	struct host_options o = { .name = S("host.example"), .caps = EHLO_PIPELINING | EHLO_STARTTLS };
	const struct conf_tls tls = { .min = S("1.2") };
	char pem[128], key[128];
	struct err e = { 0 };

	if (cert[0] != '\0') {
		snprintf(pem, sizeof pem, "%s/%s.pem", root, cert);
		snprintf(key, sizeof key, "%s/%s.key", root, cert);
		o.tls = bench.tls[i] = tls_server_new(
			&(struct tls_server_options){
				.certificate = str_c(pem), .key = str_c(key), .tls = &tls, .allow_expired = true },
			&e);
		if (o.tls == NULL)
			fail_msg("%s: %s", cert, e.text);
	}
	assert_true(net_parse_ip(S("127.0.0.1"), 0, &o.listen));
	bench.hosts[i] = host_open(bench.loop, &o, &events, &e);
	if (bench.hosts[i] == NULL)
		fail_msg("%s", e.text);
}

static struct outbound *make_outbound(const struct row *r)
{
	struct buf text, errors;
	struct outbound *o;
	struct config *c;
	struct err e = { 0 };

	buf_init(&text, 8 * 1024);
	buf_init(&errors, 8 * 1024);
	buf_addf(&text,
		 "hostname = gw.contoso.com tls { ca = \"%s/ca.pem\" crl = off }\n"
		 "receive in { listen = \"127.0.0.1:2525\" }\n%s\n"
		 "send out { space = \"*\" tls = %s smarthosts = { \"127.0.0.1:%u\"",
		 root, r->policy != NULL ? r->policy : "", r->tls, host_port(bench.hosts[0]));
	if (bench.hosts[1] != NULL)
		buf_addf(&text, ", \"127.0.0.1:%u\"", host_port(bench.hosts[1]));
	buf_add(&text, S(" } }\n"));
	c = config_parse(buf_str(&text), "test", &errors);
	if (c == NULL)
		fail_msg("%s: %s", r->name, buf_cstr(&errors));
	o = outbound_new(c, &e);
	if (o == NULL)
		fail_msg("%s: %s", r->name, e.text);
	config_unref(&c);
	buf_fini(&text);
	buf_fini(&errors);
	return o;
}

static void bench_open(const struct row *r)
{
	bench = (struct bench){ .loop = loop_new(NULL) };
	buf_init(&bench.got, 4096);
	buf_init(&bench.says, 16 * 1024);
	for (size_t i = 0; i < 2 && r->cert[i] != NULL; i++)
		open_host(i, r->cert[i]);
	loop_timer_init(bench.loop, &bench.limit, on_limit);
	loop_timer_set(&bench.limit, 5000);
}

static void bench_close(void)
{
	loop_timer_stop(&bench.limit);
	for (size_t i = 0; i < 2; i++) {
		host_close(&bench.hosts[i]);
		tls_ctx_unref(&bench.tls[i]);
	}
	loop_free(&bench.loop);
	buf_fini(&bench.got);
	buf_fini(&bench.says);
}

/* `cancel`: right after the start. */
static void run_row(const struct row *r, bool cancel)
{
	const struct probe_events events = { NULL, on_step, on_end };
	struct probe_order order = r->order;
	struct net_addr own;
	struct err e = { 0 };

	bench_open(r);
	struct outbound *o = make_outbound(r);
	assert_true(net_parse_ip(S("127.0.0.2"), 2525, &own));
	struct deliver *d =
		deliver_new(&(struct deliver_options){ .loop = bench.loop, .outbound = o, .own = &own, .own_n = 1 });
	if (order.connector.n == 0)
		order.connector = S("out");
	struct probe *p = probe_start(d, &order, &events, &e);
	if (p == NULL)
		buf_addf(&bench.says, "%s", e.text);
	assert_int_equal(bench.got.n, 0); /* nothing inside of the start */
	if (cancel)
		probe_cancel(&p);
	else if (p != NULL)
		loop_run(bench.loop);
	if (!cancel) {
		check_str(buf_str(&bench.got), str_c(r->want), r->name);
		if (r->says != NULL && str_find(buf_str(&bench.says), str_c(r->says)) < 0)
			fail_msg("%s: not said: %s\n%s", r->name, r->says, buf_cstr(&bench.says));
	}
	check(!bench.contents, r->name);
	deliver_free(&d);
	outbound_unref(&o);
	bench_close();
}

static void test_stages(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		run_row(&rows[i], false);
}

static void test_cancel(void **state)
{
	(void)state;
	run_row(&rows[1], true);
	run_row(&rows[15], true);
}

static int run_program(char *const argv[])
{
	pid_t pid;
	int status = -1;

	if (posix_spawnp(&pid, argv[0], NULL, NULL, argv, environ) != 0 || waitpid(pid, &status, 0) != pid)
		return -1;
	return status;
}

static int make_certs(void **state)
{
	(void)state;
	if (mkdtemp(root) == NULL)
		return -1;
	return run_program((char *[]){ "sh", "tests/certs.sh", root, NULL });
}

static int remove_certs(void **state)
{
	(void)state;
	return run_program((char *[]){ "rm", "-rf", root, NULL });
}

int main(void)
{
	const struct CMUnitTest tests[] = { cmocka_unit_test(test_stages), cmocka_unit_test(test_cancel) };
	return cmocka_run_group_tests(tests, make_certs, remove_certs);
}
