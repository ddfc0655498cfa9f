/* connectors/pool_test.c: fail-over, reuse and trying again, against scripted servers on loopback.
 *
 * Each host has a list of scripts, one a visit in order; a visit too many fails the test.  Messages are handed over one
 * after the other: the next when the last is over. */
#include "connectors/places.h"
#include "connectors/test_script.h"
#include "tests/kit/host.h"
#include "tests/unit.h"

#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { HOSTS = 2, VISITS = 4, LINES = 32, MESSAGES = 2 };

struct row {
	const char *name;
	const char *scripts[HOSTS][VISITS][LINES];
	const char *want; /* one word a message: "sent", "failed:550", "deferred:451" */
	const char *text; /* in the last message's */
	const char *tls;  /* default: none */
};

struct listener {
	struct loop_io io;
	int fd;
	struct net_addr addr;
	size_t visit_n;
	struct script visits[VISITS];
	const char *const (*scripts)[LINES];
};

static struct {
	struct loop *loop;
	const struct row *row;
	struct listener listeners[HOSTS];
	struct pool *pool;
	struct hop *hop;
	struct smtp_txn txns[MESSAGES];
	struct smtp_rcpt rcpts[MESSAGES];
	size_t sent_n, want_n;
	const char *trouble;
	struct loop_timer guard;
} now;

static void end_row(const char *trouble)
{
	if (now.trouble == NULL)
		now.trouble = trouble;
	loop_stop(now.loop);
}

static void on_moved(struct script *s)
{
	if (s->broken != NULL)
		end_row(s->broken);
}

static void on_visitor(struct loop_io *io, unsigned events)
{
	struct listener *l = container_of(io, struct listener, io);
	int fd = accept4(l->fd, NULL, NULL, SOCK_NONBLOCK | SOCK_CLOEXEC);

	(void)events;
	if (fd < 0)
		return;
	if (l->visit_n == VISITS || l->scripts[l->visit_n][0] == NULL) {
		close(fd);
		end_row("a visit too many");
		return;
	}
	script_start(&l->visits[l->visit_n], now.loop, fd, &l->addr, l->scripts[l->visit_n], on_moved);
	l->visit_n++;
}

static void open_listener(struct listener *l, const char *const (*scripts)[LINES])
{
	socklen_t n = sizeof l->addr;

	assert_true(net_parse_ip(S("127.0.0.1"), 0, &l->addr));
	l->fd = net_listen(&l->addr, 8, NULL);
	assert_true(l->fd >= 0 && getsockname(l->fd, &l->addr.sa, &n) == 0);
	l->scripts = scripts;
	loop_io_start(now.loop, &l->io, l->fd, LOOP_READ, on_visitor);
}

static void close_listener(struct listener *l)
{
	loop_io_stop(&l->io);
	close(l->fd);
	for (size_t i = 0; i < l->visit_n; i++)
		stream_close(&l->visits[i].stream);
}

static void send_next(void)
{
	if (now.sent_n < now.want_n)
		pool_add(now.hop, &now.txns[now.sent_n]);
	else
		loop_stop(now.loop);
}

static void on_over(struct smtp_txn *t)
{
	(void)t;
	now.sent_n++;
	send_next();
}

static void on_guard(struct loop_timer *t)
{
	(void)t;
	end_row("time is up");
}

static struct config *make_config(const struct row *row)
{
	struct buf text, errors;
	struct config *c;

	buf_init(&text, 4096);
	buf_init(&errors, 4096);
	buf_addf(&text,
		 "site = onprem\nhostname = \"gw.example\"\ndomain \"contoso.com\" { type = authoritative }\n"
		 "receive \"in\" { listen = { \"127.0.0.1:1\" } from = { \"0/0\" } permissions = { \"servers\" } }\n"
		 "send \"out\" { space = { \"*\" } tls = %s smarthosts = { \"127.0.0.1:%u\", \"127.0.0.1:%u\" } }\n",
		 row->tls != NULL ? row->tls : "none", net_port(&now.listeners[0].addr),
		 net_port(&now.listeners[1].addr));
	c = config_parse(buf_str(&text), "test", &errors);
	if (c == NULL)
		fail_msg("%s", buf_cstr(&errors));
	buf_fini(&text);
	buf_fini(&errors);
	return c;
}

static void make_txn(size_t i, struct arena *arena)
{
	struct smtp_txn *t = &now.txns[i];

	*t = (struct smtp_txn){ .env = { .from = S("a@b.example") },
				.rcpt_n = 1,
				.size = 3,
				.content = S("x\r\n"),
				.arena = arena,
				.over = on_over };
	now.rcpts[i] = (struct smtp_rcpt){ .addr = S("u@c.example") };
	STAILQ_INIT(&t->rcpts);
	STAILQ_INSERT_TAIL(&t->rcpts, &now.rcpts[i], next);
}

static void describe(struct buf *b)
{
	static const char *const results[] = { "pending", "sent", "deferred", "failed", "again" };

	for (size_t i = 0; i < now.want_n; i++) {
		const struct smtp_rcpt *r = &now.rcpts[i];
		buf_addf(b, "%s%s", i > 0 ? " " : "", results[r->result]);
		if (r->result == RCPT_DEFERRED || r->result == RCPT_FAILED)
			buf_addf(b, ":%d", r->reply.code);
	}
}

static void run_row(const struct row *row)
{
	struct arena arena;
	struct config *config;
	struct outbound *outbound;
	struct buf got;

	memset(&now, 0, sizeof now);
	now.loop = loop_new(NULL);
	now.row = row;
	now.want_n = strchr(row->want, ' ') != NULL ? 2 : 1;
	arena_init(&arena, 64 * 1024);
	for (size_t i = 0; i < HOSTS; i++)
		open_listener(&now.listeners[i], row->scripts[i]);
	config = make_config(row);
	outbound = outbound_new(config, NULL);
	now.pool = pool_new(&(struct pool_options){ .loop = now.loop, .shares = 1 });
	now.hop = pool_hop(now.pool, outbound, &config->sends[0], HOP_SMARTHOSTS, STR_NONE, NULL);
	for (size_t i = 0; i < now.want_n; i++)
		make_txn(i, &arena);
	loop_timer_init(now.loop, &now.guard, on_guard);
	loop_timer_set(&now.guard, 2000);
	send_next();
	loop_run(now.loop);

	if (now.trouble != NULL)
		fail_msg("%s: %s", row->name, now.trouble);
	buf_init(&got, 100);
	describe(&got);
	check_str(buf_str(&got), str_c(row->want), row->name);
	if (row->text != NULL && str_find(now.rcpts[now.want_n - 1].text, str_c(row->text)) < 0)
		fail_msg("%s: no \"%s\" in \"" STR_FMT "\"", row->name, row->text,
			 STR_ARG(now.rcpts[now.want_n - 1].text));
	for (size_t i = 0; i < HOSTS; i++)
		for (size_t v = 0; v < VISITS; v++)
			check(row->scripts[i][v][0] == NULL || v < now.listeners[i].visit_n, row->name);
	buf_fini(&got);
	pool_free(&now.pool);
	for (size_t i = 0; i < HOSTS; i++)
		close_listener(&now.listeners[i]);
	loop_timer_stop(&now.guard);
	loop_free(&now.loop);
	outbound_unref(&outbound);
	config_unref(&config);
	arena_fini(&arena);
}

#define HELLO_    "> 220 mx", "< EHLO*", "> 250-mx"
#define HELLO     HELLO_, "> 250 PIPELINING"
#define HELLO_TLS HELLO_, "> 250-PIPELINING", "> 250 STARTTLS"
#define TAKEN     "< MAIL*", "< RCPT*", "< DATA", ">> 250 ok\r\n250 ok\r\n354 go\r\n", "< x", "< .", "> 250 ok"

static const struct row rows[] = {
	{ .name = "one connection, two messages", .scripts = { { { HELLO, TAKEN, TAKEN } } }, .want = "sent sent" },
	{ .name = "an idle connection turns out to be closed",
	  .scripts = { { { HELLO, TAKEN, "< MAIL*", "!" }, { HELLO, TAKEN } } },
	  .want = "sent sent" },
	{ .name = "closed together with the answer",
	  .scripts = { { { HELLO, TAKEN, "!" }, { HELLO, TAKEN } } },
	  .want = "sent sent" },
	{ .name = "421 for the second message: a new connection will do",
	  .scripts = { { { HELLO, TAKEN, "< MAIL*", "> 421 enough for today", "!" }, { HELLO, TAKEN } } },
	  .want = "sent sent" },
	{ .name = "4yz greeting: next host",
	  .scripts = { { { "> 421 busy", "!" } }, { { HELLO, TAKEN } } },
	  .want = "sent" },
	{ .name = "5yz greeting: next host",
	  .scripts = { { { "> 554 not you", "!" } }, { { HELLO, TAKEN } } },
	  .want = "sent" },
	{ .name = "421 before anything was taken: next host",
	  .scripts = { { { HELLO, "< MAIL*", "> 421 busy", "!" } }, { { HELLO, TAKEN } } },
	  .want = "sent" },
	{ .name = "early talker: next host",
	  .scripts = { { { ">> 220 mx\r\n250 hello\r\n" } }, { { HELLO, TAKEN } } },
	  .want = "sent" },
	{ .name = "5yz to RCPT is an answer: no other host is asked, the connection goes on",
	  .scripts = { { { HELLO, "< MAIL*", "< RCPT*", "< DATA", ">> 250 ok\r\n550 no\r\n554 none\r\n", "< RSET",
			   "< MAIL*", "< RCPT*", "< DATA", ">> 250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n", "< x", "< .",
			   "> 250 ok" } } },
	  .want = "failed:550 sent" },
	{ .name = "no host left: deferred with the last reason",
	  .scripts = { { { "> 421 busy", "!" } }, { { "> 454 also busy", "!" } } },
	  .want = "deferred:451",
	  .text = "said: 454 also busy" },
	{ .name = "a message that breaks connections is given up after three",
	  .scripts = { { { HELLO, "< MAIL*", "!" }, { HELLO, "< MAIL*", "!" }, { HELLO, "< MAIL*", "!" } } },
	  .want = "deferred:451",
	  .text = "instead of answering MAIL FROM" },
	{ .name = "lost after the dot is never tried again at once",
	  .scripts = { { { HELLO, "< MAIL*", "< RCPT*", "< DATA", ">> 250 ok\r\n250 ok\r\n354 go\r\n", "< x", "< .",
			   "!" } } },
	  .want = "deferred:451",
	  .text = "it may arrive twice" },
	{ .name = "ST-O2: a handshake that fails, may: once more in clear",
	  .scripts = { { { HELLO_TLS, "< STARTTLS", "> 220 go", "# 5", "!" }, { HELLO_TLS, TAKEN } } },
	  .want = "sent",
	  .tls = "may" },
	{ .name = "ST-O2: garbage for STARTTLS, may: once more in clear",
	  .scripts = { { { HELLO_TLS, "< STARTTLS", "> hello" }, { HELLO_TLS, TAKEN } } },
	  .want = "sent",
	  .tls = "may" },
	{ .name = "ST-O2: a handshake that fails, encrypt: next host, then wait",
	  .scripts = { { { HELLO_TLS, "< STARTTLS", "> 220 go", "# 5", "!" } },
		       { { HELLO_TLS, "< STARTTLS", "> 220 go", ">> no TLS at all\r\n" } } },
	  .want = "deferred:451",
	  .text = "127.0.0.1",
	  .tls = "encrypt" },
	{ .name = "BD-O2: BDAT offered and not known: DATA, remembered",
	  .scripts = { { { "> 220 mx", "< EHLO*", "> 250-mx", "> 250-PIPELINING", "> 250 CHUNKING", "< MAIL*",
			   "< RCPT*", "< BDAT 3 LAST", "< x", ">> 250 ok\r\n250 ok\r\n502 what\r\n", "< RSET",
			   "< MAIL*", "< RCPT*", "< DATA", ">> 250 ok\r\n250 ok\r\n250 ok\r\n354 go\r\n", "< x", "< .",
			   "> 250 ok", TAKEN } } },
	  .want = "sent sent" },
};

static void test_rows(void **state)
{
	(void)state;
	for (size_t i = 0; i < COUNT(rows); i++)
		run_row(&rows[i]);
}

static void test_hosts(void **state)
{
	static const struct {
		const char *text, *host;
		unsigned port; /* 0: refused */
	} hosts[] = {
		{ "mx.example", "mx.example", 25 },
		{ "mx.example:2525", "mx.example", 2525 },
		{ "192.0.2.1", "192.0.2.1", 25 },
		{ "192.0.2.1:26", "192.0.2.1", 26 },
		{ "[192.0.2.1]", "192.0.2.1", 25 },
		{ "[192.0.2.1]:26", "192.0.2.1", 26 },
		{ "2001:db8::1", "2001:db8::1", 25 },
		{ "[2001:db8::1]:26", "2001:db8::1", 26 },
		{ "[IPv6:2001:db8::1]", "2001:db8::1", 25 },
		{ "mx.example:", "", 0 },
		{ "mx.example:99999", "", 0 },
		{ "mx.example:0", "", 0 },
		{ "[192.0.2.1]x", "", 0 },
		{ ":25", "", 0 },
		{ "", "", 0 },
	};

	(void)state;
	for (size_t i = 0; i < COUNT(hosts); i++) {
		struct str host = STR_NONE;
		uint16_t port = 0;
		bool good = places_parse_host(str_c(hosts[i].text), 25, &host, &port);
		check(good == (hosts[i].port != 0), hosts[i].text);
		if (!good)
			continue;
		check_str(host, str_c(hosts[i].host), hosts[i].text);
		check(port == hosts[i].port, hosts[i].text);
	}
}

/* ---- more hops than connections ---- */

enum { LONG = 60, SHORT = 3, CROWD = LONG + 2 * SHORT };

static struct {
	struct loop *loop;
	size_t over_n, last_of_short; /* how many were over when the last of the short lines was */
	size_t open, most;
	struct loop_timer guard;
	struct smtp_txn txns[CROWD];
	struct smtp_rcpt rcpts[CROWD];
} crowd;

static void on_crowd_over(struct smtp_txn *t)
{
	crowd.over_n++;
	if (t >= &crowd.txns[LONG])
		crowd.last_of_short = crowd.over_n;
	if (crowd.over_n == CROWD)
		loop_stop(crowd.loop);
}

static void on_crowd_guard(struct loop_timer *t)
{
	(void)t;
	loop_stop(crowd.loop);
}

static void on_crowd_opened(struct visit *v)
{
	(void)v;
	crowd.open++;
	crowd.most = crowd.open > crowd.most ? crowd.open : crowd.most;
}

static void on_crowd_closed(struct visit *v)
{
	(void)v;
	crowd.open--;
}

/* One connection for three hops: the one with sixty messages gives it up after ten, or the others would wait for all.
 */
static void test_turns(void **state)
{
	const struct host_events events = { .opened = on_crowd_opened, .closed = on_crowd_closed };
	struct host_options options = { .name = S("host.example"), .caps = EHLO_PIPELINING };
	struct hop *hops[3];
	struct arena arena;
	struct buf text, errors;

	(void)state;
	memset(&crowd, 0, sizeof crowd);
	crowd.loop = loop_new(NULL);
	arena_init(&arena, 256 * 1024);
	assert_true(net_parse_ip(S("127.0.0.1"), 0, &options.listen));
	struct host *host = host_open(crowd.loop, &options, &events, NULL);
	assert_non_null(host);
	buf_init(&text, 4096);
	buf_init(&errors, 4096);
	buf_addf(&text,
		 "hostname = gw.example\nlimits { outbound_connections = 1 }\n"
		 "receive in { listen = \"127.0.0.1:1\" }\n"
		 "send out { space = \"*\" tls = none smarthosts = \"127.0.0.1:%u\" }\n",
		 host_port(host));
	struct config *config = config_parse(buf_str(&text), "test", &errors);
	if (config == NULL)
		fail_msg("%s", buf_cstr(&errors));
	struct outbound *outbound = outbound_new(config, NULL);
	struct pool *pool = pool_new(&(struct pool_options){ .loop = crowd.loop, .shares = 1 });
	/* the same server under three targets */
	char plain[32], bracketed[32];
	snprintf(plain, sizeof plain, "127.0.0.1:%u", host_port(host));
	snprintf(bracketed, sizeof bracketed, "[127.0.0.1]:%u", host_port(host));
	hops[0] = pool_hop(pool, outbound, &config->sends[0], HOP_SMARTHOSTS, STR_NONE, NULL);
	hops[1] = pool_hop(pool, outbound, &config->sends[0], HOP_HOST, str_c(plain), NULL);
	hops[2] = pool_hop(pool, outbound, &config->sends[0], HOP_HOST, str_c(bracketed), NULL);
	for (size_t i = 0; i < CROWD; i++) {
		struct smtp_txn *t = &crowd.txns[i];
		*t = (struct smtp_txn){ .env = { .from = S("a@b.example") },
					.rcpt_n = 1,
					.size = 3,
					.content = S("x\r\n"),
					.arena = &arena,
					.over = on_crowd_over };
		crowd.rcpts[i] = (struct smtp_rcpt){ .addr = S("u@c.example") };
		STAILQ_INIT(&t->rcpts);
		STAILQ_INSERT_TAIL(&t->rcpts, &crowd.rcpts[i], next);
		pool_add(hops[i < LONG ? 0 : 1 + (i - LONG) / SHORT], t);
	}
	loop_timer_init(crowd.loop, &crowd.guard, on_crowd_guard);
	loop_timer_set(&crowd.guard, 5000);
	loop_run(crowd.loop);
	assert_int_equal(crowd.over_n, CROWD);
	for (size_t i = 0; i < CROWD; i++)
		assert_int_equal(crowd.rcpts[i].result, RCPT_SENT);
	assert_true(crowd.last_of_short < LONG / 2);
	assert_true(crowd.most <= 2); /* the host sees an end a moment after the next beginning */
	loop_timer_stop(&crowd.guard);
	pool_free(&pool);
	host_close(&host);
	loop_free(&crowd.loop);
	outbound_unref(&outbound);
	config_unref(&config);
	buf_fini(&text);
	buf_fini(&errors);
	arena_fini(&arena);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_hosts),
		cmocka_unit_test(test_rows),
		cmocka_unit_test(test_turns),
	};
	log_open("/dev/null", LOG_LEVEL_DEBUG, LOG_FORMAT_TEXT);
	return cmocka_run_group_tests(tests, NULL, NULL);
}
