/* auth/crew_test.c: the parent side, with a keeper and workers played by this test on the same loop: real answers
 * (auth/worker.h), and at a chosen frame death, nonsense or silence. */
#include "auth/auth.h"

#include "auth/keeper.h"
#include "auth/worker.h"
#include "base/must.h"
#include "routing/routing.h"
#include "tests/kit/openssl_dkim.h"
#include "tests/unit.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { FAKES_MAX = 64, GIVE_UP_MS = 30000 };

enum mischief { NONE, DIE, NONSENSE, SILENCE, WRONG_JOB, SOMEBODY_ELSES };

struct fake { /* a worker */
	int fd;
	struct loop_io io;
	struct worker *worker;
	struct buf in;
	bool open;
};

static struct loop *loop;
static struct dns *dns;
static struct auth *auth;
static struct fake fakes[FAKES_MAX];
static size_t fake_n, killed;
static int keeper; /* our end */
static struct loop_io keeper_io;
static struct keys keys;
static enum mischief mischief;
static unsigned at_frame; /* of all workers together; 0: never */
static unsigned frames;
static bool no_workers;
static struct loop_timer late;
static struct conf_auth conf;
static char hosts_path[] = "/tmp/tombolo-crew-XXXXXX";

/* ---- the workers ---- */

static void fake_close(struct fake *f)
{
	if (!f->open)
		return;
	f->open = false;
	loop_io_stop(&f->io);
	close(f->fd);
	worker_free(&f->worker);
	buf_fini(&f->in);
}

static void say(struct fake *f, struct str s)
{
	if (write(f->fd, s.p, s.n) < 0)
		fake_close(f);
}

static void misbehave(struct fake *f, const struct frame *got)
{
	struct buf b;

	buf_init(&b, 1000);
	switch (mischief) {
	case DIE:
		fake_close(f);
		break;
	case NONSENSE:
		say(f, S("HTTP/1.1 200 OK\r\n"));
		break;
	case WRONG_JOB:
		frame_close(&b, frame_open(&b, AUTH_TAKEN, got->job + 1));
		say(f, buf_str(&b));
		break;
	case SOMEBODY_ELSES: /* asks for what no DKIM check needs */
	{
		size_t at = frame_open(&b, AUTH_DKIM_NEEDS, got->job);
		put_u16(&b, 1);
		put_u16(&b, 16);
		put_str(&b, S("secret.evil.example"));
		frame_close(&b, at);
		say(f, buf_str(&b));
	} break;
	default:
		loop_io_want(&f->io, 0); /* deaf and dumb */
	}
	buf_fini(&b);
}

static void on_fake(struct loop_io *io, unsigned events)
{
	struct fake *f = container_of(io, struct fake, io);
	char *room = buf_reserve(&f->in, 65536);
	ssize_t n = read(f->fd, room, 65536);
	struct frame frame;
	struct buf out;

	(void)events;
	if (n <= 0) {
		fake_close(f);
		return;
	}
	buf_commit(&f->in, (size_t)n);
	buf_init(&out, 4 << 20);
	while (f->open && (n = frame_next(buf_str(&f->in), &frame)) > 0) {
		if (++frames == at_frame) {
			misbehave(f, &frame);
			break;
		}
		assert_int_equal(worker_feed(f->worker, str_head(buf_str(&f->in), (size_t)n), &out), n);
		buf_drop(&f->in, (size_t)n);
	}
	if (f->open && out.n > 0)
		say(f, buf_str(&out));
	buf_fini(&out);
}

static void send_fd(int fd, uint32_t number)
{
	struct keeper_answer a = { .number = number };
	struct iovec iov = { &a, sizeof a };
	union {
		struct cmsghdr head;
		char room[CMSG_SPACE(sizeof(int))];
	} control = { 0 };
	struct msghdr m = { .msg_iov = &iov, .msg_iovlen = 1 };

	if (fd >= 0) {
		m.msg_control = control.room;
		m.msg_controllen = sizeof control.room;
		struct cmsghdr *c = CMSG_FIRSTHDR(&m);
		c->cmsg_level = SOL_SOCKET;
		c->cmsg_type = SCM_RIGHTS;
		c->cmsg_len = CMSG_LEN(sizeof fd);
		memcpy(CMSG_DATA(c), &fd, sizeof fd);
	}
	assert_int_equal(sendmsg(keeper, &m, 0), sizeof a);
}

static void on_order(struct loop_io *io, unsigned events)
{
	struct keeper_ask ask;
	struct buf hello;
	int pair[2];

	(void)io, (void)events;
	if (recv(keeper, &ask, sizeof ask, MSG_DONTWAIT) != sizeof ask)
		return;
	if (ask.verb == KEEPER_KILL) {
		killed++;
		fake_close(&fakes[ask.number - 1]);
		return;
	}
	if (no_workers) {
		send_fd(-1, 0);
		return;
	}
	must(fake_n < FAKES_MAX);
	struct fake *f = &fakes[fake_n++];
	assert_int_equal(socketpair(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0, pair), 0);
	f->fd = pair[0];
	f->open = true;
	f->worker = worker_new(&keys, 10);
	buf_init(&f->in, 4 << 20);
	fcntl(f->fd, F_SETFL, O_NONBLOCK);
	loop_io_start(loop, &f->io, f->fd, LOOP_READ, on_fake);
	send_fd(pair[1], (uint32_t)fake_n);
	close(pair[1]);
	buf_init(&hello, 1000);
	worker_hello(&keys, S(""), &hello);
	say(f, buf_str(&hello));
	buf_fini(&hello);
}

/* ---- set-up ---- */

static void give_up(struct loop_timer *t)
{
	(void)t;
	fail_msg("it does not end");
}

static void open_crew(enum mischief m, unsigned frame)
{
	int pair[2];

	mischief = m;
	at_frame = frame;
	frames = 0;
	fake_n = killed = 0;
	no_workers = false;
	conf = (struct conf_auth){ .workers = 1,
				   .recycle = 1000,
				   .signatures = 10,
				   .spf_ms = 3000,
				   .dns_ms = 3000,
				   .work_ms = 2000,
				   .start_ms = 5000,
				   .memory = 32 << 20,
				   .keep = 256 << 10 };
	assert_int_equal(socketpair(AF_UNIX, SOCK_SEQPACKET | SOCK_CLOEXEC | SOCK_NONBLOCK, 0, pair), 0);
	keeper = pair[0];
	loop_io_start(loop, &keeper_io, keeper, LOOP_READ, on_order);
	loop_timer_init(loop, &late, give_up);
	loop_timer_set(&late, GIVE_UP_MS);
	auth = auth_open(
		&(struct auth_options){ .loop = loop, .dns = dns, .conf = &conf, .shares = 1, .keeper = pair[1] });
}

static void close_crew(void)
{
	struct auth_stats stats;

	auth_stats(auth, &stats);
	assert_int_equal(stats.bytes, 0); /* or there would be no room one day */
	auth_close(&auth);
	loop_timer_stop(&late);
	loop_io_stop(&keeper_io);
	close(keeper);
	for (size_t i = 0; i < fake_n; i++)
		fake_close(&fakes[i]);
}

static int setup(void **state)
{
	static const char hosts[] = "TXT a.example \"v=spf1 ip4:192.0.2.0/24 -all\"\n"
				    "TXT rsa._domainkey.a.example \"hello\"\n"
				    "TXT b.example \"v=spf1 include:a.example -all\"\n";
	static char pem[DKIM_PEM], record[DKIM_RECORD];
	struct conf_list resolvers = { &(struct str){ "127.0.0.1:1", 11 }, 1 },
			 headers = { &(struct str){ "From", 4 }, 1 };
	int fd = mkstemp(hosts_path);
	struct err e;

	(void)state;
	signal(SIGPIPE, SIG_IGN);
	if (fd < 0 || write(fd, hosts, sizeof hosts - 1) < 0)
		return -1;
	close(fd);
	loop = loop_new(NULL);
	dns = dns_open(loop, &resolvers, str_c(hosts_path), &e);
	dkim_key_make(2048, pem, record);
	keys.n = 1;
	keys.v[0] = (struct sign_key){ .domain = "a.example", .selector = "rsa", .pem = pem, .bits = 2048 };
	return loop == NULL || dns == NULL || sign_key_open(&keys.v[0], &headers, &headers, 2048) != NULL ? -1 : 0;
}

static int teardown(void **state)
{
	(void)state;
	sign_key_close(&keys.v[0]);
	dns_close(&dns);
	loop_free(&loop);
	return unlink(hosts_path);
}

static unsigned left;

static void on_done(struct op *op)
{
	(void)op;
	if (--left == 0)
		loop_stop(loop);
}

static void ask_spf(struct auth_spf *q, const char *sender)
{
	struct auth_spf_ask ask = { .helo = S("h.example"), .sender = str_c(sender), .wants_story = true };

	must(net_parse_ip(S("192.0.2.1"), 0, &ask.client));
	auth_spf(auth, &ask, q, on_done);
}

static const char header[] = "DKIM-Signature: v=1; a=rsa-sha256; d=a.example; s=rsa; h=from; bh=aGk=; b=aGk=\r\n"
			     "From: a@a.example\r\n";

static void ask_dkim(struct auth_dkim *q, size_t body)
{
	static char bytes[100000];

	memset(bytes, 'x', sizeof bytes);
	auth_dkim_begin(auth, q);
	auth_dkim_header(q, str_c(header));
	for (size_t n; body > 0; body -= n) {
		n = body < sizeof bytes ? body : sizeof bytes;
		auth_dkim_body(q, str_n(bytes, n));
	}
	auth_dkim_end(q, on_done);
}

/* ---- tests ---- */

static void test_verdicts(void **state)
{
	(void)state;
	struct auth_spf spf[3] = { 0 };
	struct auth_dkim dkim[2] = { 0 };
	struct auth_stats stats;

	open_crew(NONE, 0);
	left = 5;
	ask_spf(&spf[0], "x@a.example");
	ask_spf(&spf[1], "x@b.example");
	ask_spf(&spf[2], "x@down.invalid"); /* the resolver is not there */
	ask_dkim(&dkim[0], 500000);
	auth_dkim_begin(auth, &dkim[1]);
	auth_dkim_header(&dkim[1], S("From: a@a.example\r\n"));
	auth_dkim_body(&dkim[1], S("hi"));
	auth_dkim_end(&dkim[1], on_done);
	assert_int_equal(left, 5); /* none inside of the calls */
	loop_run(loop);
	assert_int_equal(spf[0].result, AUTH_PASS);
	assert_string_equal(spf[0].domain, "a.example");
	assert_true(str_find(spf[0].story, S("matches")) > 0);
	assert_int_equal(spf[1].result, AUTH_PASS);
	assert_int_equal(spf[2].result, AUTH_TEMPERROR);
	assert_int_equal(dkim[0].result, AUTH_PERMERROR); /* its key is none */
	assert_int_equal(dkim[0].sig_n, 1);
	assert_string_equal(dkim[0].sigs[0].selector, "rsa");
	assert_int_equal(dkim[1].result, AUTH_NONE);
	auth_stats(auth, &stats);
	assert_true(stats.spf == 3 && stats.dkim == 2 && stats.deaths == 0);
	for (size_t i = 0; i < 3; i++)
		auth_spf_fini(&spf[i]);
	auth_dkim_fini(&dkim[0]);
	auth_dkim_fini(&dkim[1]);
	close_crew();
}

/* Whatever a worker does at whatever frame: one temperror at most, all the others as ever. */
static void test_mischief(void **state)
{
	(void)state;
	static const enum mischief kinds[] = { DIE, NONSENSE, SILENCE, WRONG_JOB, SOMEBODY_ELSES };

	for (size_t k = 0; k < COUNT(kinds); k++)
		for (unsigned frame = 1; frame <= (kinds[k] == SILENCE ? 2 : 9); frame++) {
			struct auth_spf spf[4] = { 0 };
			struct auth_dkim dkim[2] = { 0 };
			struct auth_stats stats;
			size_t bad = 0;
			open_crew(kinds[k], frame);
			conf.work_ms = kinds[k] == SILENCE ? 500 : 10000;
			auth_reconfigure(auth, &conf);
			left = 6;
			ask_dkim(&dkim[0], 1000);
			for (size_t i = 0; i < 4; i++)
				ask_spf(&spf[i], i % 2 == 0 ? "x@a.example" : "x@b.example");
			ask_dkim(&dkim[1], 150000);
			loop_run(loop);
			for (size_t i = 0; i < 4; i++) {
				bad += spf[i].result == AUTH_TEMPERROR;
				assert_true(spf[i].result == AUTH_TEMPERROR || spf[i].result == AUTH_PASS);
				auth_spf_fini(&spf[i]);
			}
			for (size_t i = 0; i < 2; i++) {
				bad += dkim[i].result == AUTH_TEMPERROR;
				assert_true(dkim[i].result == AUTH_TEMPERROR || dkim[i].result == AUTH_PERMERROR);
				auth_dkim_fini(&dkim[i]);
			}
			auth_stats(auth, &stats);
			if (bad != 1 || stats.deaths != 1)
				fail_msg("mischief %d at frame %u: %zu temperrors, %ju deaths", (int)kinds[k], frame,
					 bad, stats.deaths);
			close_crew();
		}
}

static void test_recycled(void **state)
{
	(void)state;
	struct auth_spf spf[20] = { 0 };
	struct auth_stats stats;

	open_crew(NONE, 0);
	conf.recycle = 4;
	auth_reconfigure(auth, &conf);
	left = 20;
	for (size_t i = 0; i < 20; i++)
		ask_spf(&spf[i], "x@a.example");
	loop_run(loop);
	for (size_t i = 0; i < 20; i++) {
		assert_int_equal(spf[i].result, AUTH_PASS);
		auth_spf_fini(&spf[i]);
	}
	auth_stats(auth, &stats);
	assert_true(stats.recycled >= 4 && stats.deaths == 0 && killed == 0);
	close_crew();
}

static void test_nobody_there(void **state)
{
	(void)state;
	struct auth_spf spf = { 0 };
	struct auth_stats stats;

	open_crew(NONE, 0);
	no_workers = true;
	conf.spf_ms = 200;
	auth_reconfigure(auth, &conf);
	left = 1;
	ask_spf(&spf, "x@a.example");
	loop_run(loop);
	assert_int_equal(spf.result, AUTH_TEMPERROR);
	auth_stats(auth, &stats);
	assert_int_equal(stats.timeouts, 1);
	auth_spf_fini(&spf);
	close_crew();
}

/* A message that nobody reads fills no more than it may. */
static void test_no_room(void **state)
{
	(void)state;
	struct auth_dkim dkim = { 0 };
	struct auth_stats stats;

	open_crew(NONE, 0);
	no_workers = true;
	conf.memory = 1 << 20;
	auth_reconfigure(auth, &conf);
	left = 1;
	ask_dkim(&dkim, 3000000);
	loop_run(loop);
	assert_int_equal(dkim.result, AUTH_TEMPERROR);
	auth_stats(auth, &stats);
	assert_int_equal(stats.refused, 1);
	auth_dkim_fini(&dkim);
	close_crew();
}

/* A thousand messages that never end keep no question of SPF waiting; what is past the room has temperror. */
static void test_slow_messages(void **state)
{
	(void)state;
	enum { MANY = 4200 };
	static struct auth_dkim slow[MANY];
	struct auth_spf spf = { 0 };
	struct auth_stats stats;

	open_crew(NONE, 0);
	left = 1;
	ask_spf(&spf, "x@a.example");
	for (size_t i = 0; i < MANY; i++) {
		if (i == 2000) { /* behind more than the worker takes */
			left++;
			static struct auth_spf late_one;
			ask_spf(&late_one, "x@a.example");
			loop_run(loop);
			assert_int_equal(late_one.result, AUTH_PASS);
			auth_spf_fini(&late_one);
		}
		auth_dkim_begin(auth, &slow[i]);
		auth_dkim_header(&slow[i], str_c(header));
	}
	auth_stats(auth, &stats);
	assert_true(stats.refused > 0 && stats.refused < 300);
	left = 1;
	auth_dkim_end(&slow[MANY - 1], on_done);
	loop_run(loop);
	assert_int_equal(slow[MANY - 1].result, AUTH_TEMPERROR);
	for (size_t i = 0; i < MANY; i++)
		auth_dkim_fini(&slow[i]);
	left = 1;
	ask_spf(&spf, "x@a.example"); /* behind all that the worker has to forget */
	loop_run(loop);
	assert_int_equal(spf.result, AUTH_PASS);
	auth_spf_fini(&spf);
	close_crew();
}

static void test_cancelled(void **state)
{
	(void)state;
	struct auth_spf spf[3] = { 0 };
	struct auth_dkim dkim = { 0 };
	struct auth_sign sign = { 0 };

	open_crew(NONE, 0);
	left = 2;
	ask_spf(&spf[0], "x@a.example");
	ask_spf(&spf[1], "x@b.example");
	auth_dkim_begin(auth, &dkim);
	auth_dkim_header(&dkim, str_c(header));
	auth_dkim_fini(&dkim); /* in the middle */
	ask_dkim(&dkim, 1000);
	auth_dkim_fini(&dkim); /* at its end */
	auth_sign_begin(auth, S("a.example"), &sign);
	auth_sign_write(&sign, S("From: a@a.example\r\n\r\nhi"), NULL);
	auth_sign_fini(&sign);
	op_cancel(&spf[1].op); /* the op alone: what is under way ends quietly */
	left = 1;
	loop_run(loop);
	assert_int_equal(spf[0].result, AUTH_PASS);
	auth_spf_fini(&spf[0]);
	auth_spf_fini(&spf[1]);
	auth_spf_fini(&spf[1]);
	close_crew();
}

/* ---- signing ---- */

static struct str rest;
static char big[5000000];

static void write_on(struct auth_sign *q)
{
	while (rest.n > 0) {
		struct str piece = str_head(rest, 30000);
		rest = str_skip(rest, piece.n);
		if (!auth_sign_write(q, piece, write_on))
			return;
	}
	auth_sign_end(q, on_done);
}

static void test_signing(void **state)
{
	(void)state;
	static const char head[] = "From: a@a.example\r\nSubject: big\r\n\r\n";
	struct auth_sign sign = { 0 };

	memset(big, 'y', sizeof big);
	memcpy(big, head, sizeof head - 1);
	open_crew(NONE, 0);
	conf.memory = 4 << 20; /* less than the message */
	auth_reconfigure(auth, &conf);
	for (int round = 0; round < 3; round++) { /* big; without a body; for a domain without a key */
		rest = round == 0 ? str_n(big, sizeof big) : S("From: a@a.example\r\n");
		left = 1;
		auth_sign_begin(auth, round < 2 ? S("a.example") : S("z.example"), &sign);
		write_on(&sign);
		loop_run(loop);
		assert_int_equal(sign.ok, round < 2);
		assert_int_equal(sign.refused, round == 2);
		assert_true(round == 2 || str_starts(sign.fields, S("DKIM-Signature:")));
		auth_sign_fini(&sign);
	}
	close_crew();
}

/* Its worker dies while it waits to write on: it hears of it, and its end says that it may be tried again. */
static void test_signing_broken(void **state)
{
	(void)state;
	for (unsigned frame = 1; frame < 8; frame += 2) {
		struct auth_sign sign = { 0 };
		open_crew(DIE, frame);
		rest = str_n(big, sizeof big);
		left = 1;
		auth_sign_begin(auth, S("a.example"), &sign);
		write_on(&sign);
		loop_run(loop);
		assert_false(sign.ok);
		assert_false(sign.refused);
		assert_true(sign.why[0] != '\0');
		auth_sign_fini(&sign);
		close_crew();
	}
}

/* Many share a worker that is behind: whoever has to wait is told to go on, however much the others have to tell. */
static struct waiting {
	struct auth_sign sign;
	struct str rest;
} many[100];

static void write_in_turn(struct auth_sign *q)
{
	struct waiting *m = container_of(q, struct waiting, sign);

	while (m->rest.n > 0) {
		struct str piece = str_head(m->rest, 10000);
		m->rest = str_skip(m->rest, piece.n);
		if (!auth_sign_write(q, piece, write_in_turn))
			return;
	}
	auth_sign_end(q, on_done);
}

static void test_signing_many(void **state)
{
	(void)state;
	struct auth_spf spf = { 0 };

	open_crew(NONE, 0);
	left = 1;
	ask_spf(&spf, "x@a.example"); /* the worker is there */
	loop_run(loop);
	auth_spf_fini(&spf);
	left = sizeof many / sizeof many[0];
	for (size_t i = 0; i < sizeof many / sizeof many[0]; i++) {
		many[i].rest = str_n(big, 30000);
		auth_sign_begin(auth, S("a.example"), &many[i].sign);
		write_in_turn(&many[i].sign);
	}
	loop_run(loop);
	for (size_t i = 0; i < sizeof many / sizeof many[0]; i++) {
		assert_string_equal(many[i].sign.why, "");
		assert_true(many[i].sign.ok);
		auth_sign_fini(&many[i].sign);
	}
	close_crew();
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(test_verdicts),       cmocka_unit_test(test_mischief),
		cmocka_unit_test(test_recycled),       cmocka_unit_test(test_nobody_there),
		cmocka_unit_test(test_no_room),        cmocka_unit_test(test_cancelled),
		cmocka_unit_test(test_slow_messages),  cmocka_unit_test(test_signing),
		cmocka_unit_test(test_signing_broken), cmocka_unit_test(test_signing_many),
	};

	return cmocka_run_group_tests(tests, setup, teardown);
}
