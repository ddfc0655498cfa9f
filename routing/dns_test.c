/* routing/dns_test.c: lookups through libunbound, against a name server of this test on a loopback port, and against
 * static names; asked from the home loop and from another. */
#include "routing/routing.h"
#include "tests/unit.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { A = 1, MX = 15, TXT = 16, AAAA = 28, PACKET = 4096 };

/* ---- the name server: UDP, one thread, answers from a table ---- */

static const struct record {
	const char *name;
	unsigned type, preference;
	const char *value;
} zone[] = {
	{ "two.example", MX, 20, "mx2.two.example" },
	{ "two.example", MX, 10, "mx1.two.example" },
	{ "mx1.two.example", A, 0, "192.0.2.11" },
	{ "mx1.two.example", AAAA, 0, "2001:db8::11" },
	{ "mx2.two.example", A, 0, "192.0.2.12" },
	{ "two.example", TXT, 4, "v=spf1 ip4:192.0.2.0/24 -all" }, /* in strings of 4 */
	{ "two.example", TXT, 255, "other" },
	{ "null.example", MX, 0, "" },
	{ "implicit.example", A, 0, "192.0.2.21" },
	{ "half.example", MX, 10, "nowhere.half.example" },
	{ "half.example", MX, 20, "mx.half.example" },
	{ "mx.half.example", A, 0, "192.0.2.31" },
	{ "dangling.example", MX, 10, "nowhere.dangling.example" },
	{ "crowd.example", MX, 10, "a.crowd.example" },
	{ "crowd.example", MX, 20, "b.crowd.example" },
	{ "sick.example", MX, 10, "dead.sick.example" },
};
enum { CROWD = 70 };

struct server {
	int fd;
	uint16_t port;
	pthread_t thread;
};

static void put16(struct buf *b, unsigned v)
{
	buf_addc(b, (char)(v >> 8));
	buf_addc(b, (char)v);
}

static void put_name(struct buf *b, const char *name)
{
	struct str rest = str_c(name), label;

	while (rest.n > 0) {
		str_cut(rest, '.', &label, &rest);
		buf_addc(b, (char)label.n);
		buf_add(b, label);
	}
	buf_addc(b, '\0');
}

static void put_answer(struct buf *b, unsigned type, const void *data, size_t n)
{
	put16(b, 0xc00c); /* the name asked for */
	put16(b, type);
	put16(b, 1);
	put16(b, 0);
	put16(b, 300);
	put16(b, (unsigned)n);
	buf_add(b, str_n(data, n));
}

static void put_record(struct buf *b, const struct record *r)
{
	unsigned char ip[16];
	struct buf data;

	buf_init(&data, 512);
	if (r->type == MX) {
		put16(&data, r->preference);
		put_name(&data, r->value);
	} else if (r->type == TXT) {
		for (struct str rest = str_c(r->value); rest.n > 0; rest = str_skip(rest, r->preference)) {
			struct str one = str_head(rest, r->preference);
			buf_addc(&data, (char)one.n);
			buf_add(&data, one);
		}
	} else {
		inet_pton(r->type == A ? AF_INET : AF_INET6, r->value, ip);
		buf_add(&data, str_n(ip, r->type == A ? 4 : 16));
	}
	put_answer(b, r->type, data.p, data.n);
	buf_fini(&data);
}

static unsigned answer(struct buf *b, struct str name, unsigned type, unsigned *rcode)
{
	unsigned n = 0;
	bool exists = name.n == 0;

	if (str_starts(name, S("dead.")))
		*rcode = 2;
	if (str_ends(name, S(".crowd.example")))
		for (exists = true; type == A && n < CROWD; n++) {
			const unsigned char ip[4] = { 192, 0, (unsigned char)name.p[0], (unsigned char)n };
			put_answer(b, A, ip, 4);
		}
	for (size_t i = 0; i < COUNT(zone); i++) {
		exists = exists || str_eq(str_c(zone[i].name), name);
		if (str_eq(str_c(zone[i].name), name) && zone[i].type == type) {
			put_record(b, &zone[i]);
			n++;
		}
	}
	if (!exists && *rcode == 0)
		*rcode = 3;
	return n;
}

/* The name of the question in lower case; returns where it ends. */
static size_t read_question(const unsigned char *p, size_t n, char name[256])
{
	size_t at = 12, len = 0;

	for (; at < n && p[at] != 0; at += 1U + p[at]) {
		if (len > 0)
			name[len++] = '.';
		for (size_t i = 1; i <= p[at]; i++)
			name[len++] = chr_lower((char)p[at + i]);
	}
	name[len] = '\0';
	return at + 1;
}

static void *serve(void *arg)
{
	struct server *s = arg;
	unsigned char in[PACKET];
	struct sockaddr_in from;
	socklen_t from_n = sizeof from;
	ssize_t n;
	struct buf body, out;
	char name[256];

	buf_init(&body, PACKET);
	buf_init(&out, PACKET);
	while ((n = recvfrom(s->fd, in, sizeof in, 0, (struct sockaddr *)(void *)&from, &from_n)) > 12) {
		size_t end = read_question(in, (size_t)n, name) + 4;
		unsigned rcode = 0, type = (unsigned)in[end - 4] << 8 | in[end - 3];
		buf_reset(&body);
		buf_reset(&out);
		unsigned count = answer(&body, str_c(name), type, &rcode);
		buf_add(&out, str_n(in, 2));
		put16(&out, 0x8180 | rcode);
		put16(&out, 1);
		put16(&out, count);
		put16(&out, 0);
		put16(&out, 0);
		buf_add(&out, str_n(in + 12, end - 12));
		buf_add(&out, buf_str(&body));
		sendto(s->fd, out.p, out.n, 0, (struct sockaddr *)(void *)&from, from_n);
		from_n = sizeof from;
	}
	buf_fini(&body);
	buf_fini(&out);
	return NULL;
}

static void server_start(struct server *s)
{
	struct sockaddr_in a = { .sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK) };
	socklen_t n = sizeof a;

	s->fd = socket(AF_INET, SOCK_DGRAM, 0);
	check(bind(s->fd, (struct sockaddr *)(void *)&a, n) == 0, "bind");
	check(getsockname(s->fd, (struct sockaddr *)(void *)&a, &n) == 0, "port");
	s->port = ntohs(a.sin_port);
	check(pthread_create(&s->thread, NULL, serve, s) == 0, "thread");
}

static void server_stop(struct server *s)
{
	struct sockaddr_in a = { .sin_family = AF_INET,
				 .sin_addr.s_addr = htonl(INADDR_LOOPBACK),
				 .sin_port = htons(s->port) };

	sendto(s->fd, "x", 1, 0, (struct sockaddr *)(void *)&a, sizeof a); /* too short: ends the thread */
	pthread_join(s->thread, NULL);
	close(s->fd);
}

/* ---- lookups ---- */

struct asked {
	struct dns_lookup lookup;
	struct loop *stop;
	bool done;
};

struct fixture {
	struct server server;
	struct loop *loop;
	struct dns *dns;
	char hosts[64];
	struct err e;
};

static void on_done(struct op *op)
{
	struct asked *a = container_of(container_of(op, struct dns_lookup, op), struct asked, lookup);

	a->done = true;
	loop_stop(a->stop);
}

static void setup(struct fixture *f)
{
	static const char text[] =
		"MX 10 static.example mx.static.example\n192.0.2.41 mx.static.example\n"
		"MX 0 mute.example .\n192.0.2.42 plain.example\n"
		"MX 5 mixed.example mx1.two.example\nTXT static.example \"v=spf1\" \" -all\"\nTXT texts.example \"t\"\n"
		"TXT _spf.Static.example \"under\"\nPTR 192.0.2.41 mx.static.example\n2001:db8::41 six.static.example\n"
		"PTR 2001:db8::41 mx.static.example\nFAIL down.static.example\n";
	char resolver[32];
	struct str one;
	FILE *out;

	memset(f, 0, sizeof *f);
	server_start(&f->server);
	memcpy(f->hosts, "/tmp/tombolo_hosts.XXXXXX", 26);
	int fd = mkstemp(f->hosts);
	out = fdopen(fd, "w");
	check(out != NULL && fputs(text, out) >= 0 && fclose(out) == 0, "hosts");
	snprintf(resolver, sizeof resolver, "127.0.0.1:%u", f->server.port);
	one = str_c(resolver);
	f->loop = loop_new(&f->e);
	f->dns = dns_open(f->loop, &(struct conf_list){ &one, 1 }, str_c(f->hosts), &f->e);
	if (f->dns == NULL)
		fail_msg("%s", f->e.text);
}

static void teardown(struct fixture *f)
{
	dns_close(&f->dns);
	loop_free(&f->loop);
	unlink(f->hosts);
	server_stop(&f->server);
}

static const struct {
	const char *name;
	bool mx;
	enum dns_status status;
	bool has_mx;
	const char *hosts; /* "name/addresses ..." */
} rows[] = {
	{ "two.example", true, DNS_OK, true, "mx1.two.example/2 mx2.two.example/1" },
	{ "TWO.example.", true, DNS_OK, true, "mx1.two.example/2 mx2.two.example/1" },
	{ "null.example", true, DNS_OK, true, "" },
	{ "implicit.example", true, DNS_OK, false, "implicit.example/1" },
	{ "half.example", true, DNS_OK, true, "mx.half.example/1" },
	{ "dangling.example", true, DNS_NODATA, true, "" },
	{ "absent.example", true, DNS_NXDOMAIN, false, "" },
	{ "dead.example", true, DNS_FAILED, false, "" },
	{ "sick.example", true, DNS_FAILED, true, "" },
	{ "crowd.example", true, DNS_OK, true, "a.crowd.example/50 b.crowd.example/50" },
	{ "mx2.two.example", false, DNS_OK, false, "mx2.two.example/1" },
	{ "absent.example", false, DNS_NXDOMAIN, false, "" },
	{ "two.example", false, DNS_NODATA, false, "" },
	{ "static.example", true, DNS_OK, true, "mx.static.example/1" },
	{ "mute.example", true, DNS_OK, true, "" },
	{ "plain.example", true, DNS_OK, false, "plain.example/1" },
	{ "plain.example", false, DNS_OK, false, "plain.example/1" },
	{ "texts.example", true, DNS_NODATA, false, "" }, /* a name of the file is not asked for */
	{ "texts.example", false, DNS_NODATA, false, "" },
	{ "mixed.example", true, DNS_OK, true, "mx1.two.example/2" },
	{ "192.0.2.51", false, DNS_OK, false, "192.0.2.51/1" },
	{ "[192.0.2.51]", true, DNS_OK, false, "[192.0.2.51]/1" },
	{ "[IPv6:2001:db8::5]", true, DNS_OK, false, "[IPv6:2001:db8::5]/1" },
	{ "not a name", true, DNS_NXDOMAIN, false, "" },
	{ "", true, DNS_NXDOMAIN, false, "" },
};

static void check_answer(const struct dns_lookup *q, size_t i)
{
	struct buf got;

	buf_init(&got, 4096);
	for (size_t j = 0; j < q->host_n; j++)
		buf_addf(&got, "%s" STR_FMT "/%zu", j > 0 ? " " : "", STR_ARG(q->hosts[j].name), q->hosts[j].addr_n);
	if (q->status != rows[i].status)
		fail_msg("%s: status %d, expected %d (%s)", rows[i].name, q->status, rows[i].status, q->text);
	check(q->has_mx == rows[i].has_mx, rows[i].name);
	check_str(buf_str(&got), str_c(rows[i].hosts), rows[i].name);
	check(q->status != DNS_FAILED || q->text[0] != '\0', rows[i].name);
	check(!q->secure || q->host_n == 0 || rows[i].name[0] == '[' || chr_is_digit(rows[i].name[0]), rows[i].name);
	for (size_t j = 0; j < q->host_n; j++)
		check(net_port(&q->hosts[j].addrs[0]) == 2525, rows[i].name);
	buf_fini(&got);
}

static void test_answers(void **state)
{
	struct asked a = { 0 };
	struct fixture f;

	(void)state;
	setup(&f);
	a.stop = f.loop;
	for (size_t i = 0; i < COUNT(rows); i++) {
		a.done = false;
		(rows[i].mx ? dns_lookup_mx : dns_lookup_host)(f.dns, f.loop, str_c(rows[i].name), 2525, &a.lookup,
							       on_done);
		check(!a.done, "never inside the call that starts");
		loop_run(f.loop);
		check(a.done, rows[i].name);
		check_answer(&a.lookup, i);
		check(!a.lookup.null_mx == !(str_eq(str_c(rows[i].name), S("null.example")) ||
					     str_eq(str_c(rows[i].name), S("mute.example"))),
		      rows[i].name);
	}
	dns_lookup_fini(&a.lookup);
	dns_lookup_fini(&a.lookup);
	teardown(&f);
}

static void test_texts(void **state)
{
	static const struct {
		const char *name;
		enum dns_status status;
		const char *texts;
	} texts[] = {
		{ "Two.Example", DNS_OK, "v=spf1 ip4:192.0.2.0/24 -all|other|" },
		{ "static.example", DNS_OK, "v=spf1 -all|" },
		{ "plain.example", DNS_NODATA, "" },
		{ "implicit.example", DNS_NODATA, "" },
		{ "absent.example", DNS_NXDOMAIN, "" },
		{ "dead.example", DNS_FAILED, "" },
	};
	struct asked a = { 0 };
	struct fixture f;
	struct buf got;

	(void)state;
	setup(&f);
	buf_init(&got, 4096);
	a.stop = f.loop;
	for (size_t i = 0; i < COUNT(texts); i++) {
		dns_lookup_txt(f.dns, f.loop, str_c(texts[i].name), &a.lookup, on_done);
		loop_run(f.loop);
		check(a.lookup.status == texts[i].status, texts[i].name);
		buf_reset(&got);
		for (size_t k = 0; k < a.lookup.text_n; k++)
			buf_addf(&got, STR_FMT "|", STR_ARG(a.lookup.texts[k]));
		/* records come in any order */
		if (i == 0 && str_starts(buf_str(&got), S("other|")))
			check_str(buf_str(&got), S("other|v=spf1 ip4:192.0.2.0/24 -all|"), "the other order");
		else
			check_str(buf_str(&got), str_c(texts[i].texts), texts[i].name);
		check(!a.lookup.texts_cut, "whole");
	}
	dns_lookup_fini(&a.lookup);
	buf_fini(&got);
	teardown(&f);
}

/* Records as they are: no MX is made up, no hosts are asked for, addresses are octets. */
static void test_records(void **state)
{
	static const struct {
		const char *name;
		enum dns_rr type;
		enum dns_status status;
		const char *texts; /* addresses in hexadecimal */
	} cases[] = {
		{ "two.example", DNS_MX, DNS_OK, "mx1.two.example|mx2.two.example|" },
		{ "two.example.", DNS_A, DNS_NODATA, "" },
		{ "MX1.two.example", DNS_A, DNS_OK, "c000020b|" },
		{ "mx1.two.example", DNS_AAAA, DNS_OK, "20010db8000000000000000000000011|" },
		{ "mx2.two.example", DNS_AAAA, DNS_NODATA, "" },
		{ "implicit.example", DNS_MX, DNS_NODATA, "" },
		{ "null.example", DNS_MX, DNS_OK, "|" },
		{ "dangling.example", DNS_MX, DNS_OK, "nowhere.dangling.example|" },
		{ "absent.example", DNS_A, DNS_NXDOMAIN, "" },
		{ "absent.example", DNS_MX, DNS_NXDOMAIN, "" },
		{ "a+b=c._x.absent.example", DNS_TXT, DNS_NXDOMAIN, "" },
		{ "dead.example", DNS_MX, DNS_FAILED, "" },
		{ "static.example", DNS_MX, DNS_OK, "mx.static.example|" },
		{ "mute.example", DNS_MX, DNS_OK, "|" },
		{ "mx.static.example", DNS_A, DNS_OK, "c0000229|" },
		{ "six.static.example", DNS_AAAA, DNS_OK, "20010db8000000000000000000000041|" },
		{ "static.example", DNS_A, DNS_NODATA, "" },
		{ "_SPF.static.example", DNS_TXT, DNS_OK, "under|" },
		{ "41.2.0.192.in-addr.arpa", DNS_PTR, DNS_OK, "mx.static.example|" },
		{ "1.4.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.0.8.b.d.0.1.0.0.2.ip6.arpa", DNS_PTR, DNS_OK,
		  "mx.static.example|" },
		{ "down.static.example", DNS_A, DNS_FAILED, "" },
		{ "not a name", DNS_A, DNS_NXDOMAIN, "" },
		{ "a..example", DNS_A, DNS_NXDOMAIN, "" },
		{ "a\\b.example", DNS_A, DNS_NXDOMAIN, "" },
		{ "192.0.2.1", DNS_TXT, DNS_NXDOMAIN, "" }, /* no literal here */
		{ "", DNS_A, DNS_NXDOMAIN, "" },
	};
	struct asked a = { 0 };
	struct fixture f;
	struct buf got;

	(void)state;
	setup(&f);
	buf_init(&got, 4096);
	a.stop = f.loop;
	for (size_t i = 0; i < COUNT(cases); i++) {
		bool address = cases[i].type == DNS_A || cases[i].type == DNS_AAAA;
		dns_lookup_rr(f.dns, f.loop, str_c(cases[i].name), cases[i].type, &a.lookup, on_done);
		loop_run(f.loop);
		check(a.lookup.status == cases[i].status, cases[i].name);
		check(!a.lookup.secure || a.lookup.text_n == 0, cases[i].name);
		buf_reset(&got);
		for (size_t k = 0; k < a.lookup.text_n; k++) {
			struct str t = a.lookup.texts[k];
			for (size_t n = 0; n < t.n; n++)
				buf_addf(&got, address ? "%02x" : "%c", (unsigned)(unsigned char)t.p[n]);
			buf_addc(&got, '|');
		}
		if (i == 0 && str_starts(buf_str(&got), S("mx2"))) /* records come in any order */
			check_str(buf_str(&got), S("mx2.two.example|mx1.two.example|"), cases[i].name);
		else
			check_str(buf_str(&got), str_c(cases[i].texts), cases[i].name);
	}
	dns_lookup_fini(&a.lookup);
	buf_fini(&got);
	teardown(&f);
}

/* ---- from another loop; cancelled ---- */

struct other {
	struct fixture *f;
	struct loop *loop;
	struct asked a;
	pthread_t thread;
};

static void *run_other(void *arg)
{
	struct other *o = arg;

	o->a.stop = o->loop;
	dns_lookup_mx(o->f->dns, o->loop, S("two.example"), 2525, &o->a.lookup, on_done);
	loop_run(o->loop);
	loop_stop(o->f->loop);
	return NULL;
}

static void test_other_loop(void **state)
{
	struct fixture f;
	struct other o = { .f = &f };

	(void)state;
	setup(&f);
	o.loop = loop_new(&f.e);
	check(pthread_create(&o.thread, NULL, run_other, &o) == 0, "thread");
	loop_run(f.loop);
	pthread_join(o.thread, NULL);
	check(o.a.done && o.a.lookup.status == DNS_OK && o.a.lookup.host_n == 2, "answered on its own loop");
	dns_lookup_fini(&o.a.lookup);
	loop_free(&o.loop);
	teardown(&f);
}

static void test_cancel(void **state)
{
	struct asked kept = { 0 }, gone = { 0 };
	struct fixture f;

	(void)state;
	setup(&f);
	kept.stop = gone.stop = f.loop;
	dns_lookup_mx(f.dns, f.loop, S("half.example"), 2525, &gone.lookup, on_done);
	dns_lookup_mx(f.dns, f.loop, S("two.example"), 2525, &kept.lookup, on_done);
	dns_lookup_fini(&gone.lookup);
	loop_run(f.loop);
	check(kept.done && !gone.done, "only the one that was not cancelled");
	dns_lookup_mx(f.dns, f.loop, S("crowd.example"), 2525, &gone.lookup, on_done);
	dns_lookup_fini(&gone.lookup); /* still under way when all closes */
	dns_lookup_fini(&kept.lookup);
	teardown(&f);
}

static void test_bad_open(void **state)
{
	struct str bad = S("not-an-address");
	struct loop *loop;
	struct err e;

	(void)state;
	loop = loop_new(&e);
	check(dns_open(loop, &(struct conf_list){ &bad, 1 }, S(""), &e) == NULL, "resolver");
	check(dns_open(loop, NULL, S("/nonexistent/hosts"), &e) == NULL, "hosts");
	loop_free(&loop);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_answers),    cmocka_unit_test(test_texts),  cmocka_unit_test(test_records),
		cmocka_unit_test(test_other_loop), cmocka_unit_test(test_cancel), cmocka_unit_test(test_bad_open),
	};

	return cmocka_run_group_tests(tests, NULL, NULL);
}
