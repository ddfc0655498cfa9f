/* auth/main.c: tombolo-auth: judges and signs mail for tombolod, which starts it.
 *
 *   tombolo-auth -c FILE -k N      the keeper: makes workers for N loops (auth/keeper.h); sockets 3 .. 2 + N
 *   tombolo-auth -c FILE -w        a worker (auth/worker.h); socket 3
 *
 * A worker reads the configuration and the keys, becomes the configured user, gives up everything else, and only then
 * looks at what strangers wrote. */
#include "auth/cage.h"
#include "auth/dkim_lib.h"
#include "auth/keeper.h"
#include "auth/spf_eval.h"
#include "auth/worker.h"

#include "base/fault.h"
#include "base/must.h"
#include "base/user.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <time.h>
#include <unistd.h>

enum { READ_ROOM = 256 * 1024, OUT_MAX = 8 << 20, PROBLEMS_MAX = 32 * 1024 };

static bool become(struct str user)
{
	struct err e;
	uid_t uid;
	gid_t gid;

	if (user.n == 0 || geteuid() != 0)
		return true;
	return user_find(user.p, &uid, &gid, &e) == 0 && user_become(uid, gid, &e) == 0;
}

static bool write_all(int fd, struct buf *out)
{
	for (size_t at = 0; at < out->n;) {
		ssize_t n = write(fd, out->p + at, out->n - at);
		if (n < 0 && errno != EINTR)
			return false;
		at += n > 0 ? (size_t)n : 0;
	}
	buf_reset(out);
	return true;
}

/* Until the other end closes.  Answers leave when all that came has been worked on. */
static int serve(int fd, struct worker *w, struct buf *in, struct buf *out)
{
	while (write_all(fd, out)) {
		char *room = buf_reserve(in, READ_ROOM);
		ssize_t n = room == NULL ? -1 : read(fd, room, READ_ROOM);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return n == 0 ? 0 : 1;
		buf_commit(in, (size_t)n);
		n = worker_feed(w, buf_str(in), out);
		if (n < 0)
			return 1;
		buf_drop(in, (size_t)n);
	}
	return 1;
}

/* Public keys that nobody uses. */
#define RSA_KEY \
	"v=DKIM1; k=rsa; p=MIGfMA0GCSqGSIb3DQEBAQUAA4GNADCBiQKBgQCsF4ns/j7Ncfcb4mC2rpyUUDI9h2uyuITznOs3LfEY2jY76sa8" \
	"rjfr2xPFc6sOBje9VoaSSJPUYd19A0z1dmnNPlGWhtzUCSEvAy680xkKOAFG6NpowLhBPqHrqKHEW+9lCXjxT8vaoF7ZzbtV69kfC0dS" \
	"ucC8pQXAPFZg5YOmIQIDAQAB"
#define ED25519_KEY "v=DKIM1; k=ed25519; p=Nx5DSKDZ0gsypZ33gOcC6l4BpNkiqaZlPMkq5wCpCjc="

static struct answer txt(struct str name, struct str value)
{
	return (struct answer){ .type = RR_TXT, .status = RR_OK, .name = name, .values = { value }, .value_n = 1 };
}

/* One evaluation of each kind before the cage: what libraries load on first use is loaded.  OpenSSL reads its
 * configuration when it sees its first key, so each signature has one. */
static void warm_up(struct worker *w)
{
	static const char letter[] =
		"From: a@b.example\r\n"
		"DKIM-Signature: v=1; a=rsa-sha256; d=b.example; s=r; h=from; bh=aGk=; b=aGk=\r\n"
		"DKIM-Signature: v=1; a=ed25519-sha256; d=b.example; s=e; h=from; bh=aGk=; b=aGk=\r\n";
	struct spf_question q = { .helo = S("a.example"), .sender = S("a@b.example"), .receiver = S("c.example") };
	struct answers answers = { .n = 1 };
	struct buf b, out;

	answers.v[0] = txt(S("b.example"), S("v=spf1 a mx ptr -all"));
	net_parse_ip(S("192.0.2.1"), 0, &q.client);
	buf_init(&b, 1 << 20);
	buf_init(&out, OUT_MAX);
	size_t at = frame_open(&b, AUTH_SPF_ASK, 1);
	spf_question_put(&q, &answers, &b);
	must(frame_close(&b, at));
	at = frame_open(&b, AUTH_VERIFY, 2);
	buf_add(&b, str_c(letter));
	must(frame_close(&b, at));
	at = frame_open(&b, AUTH_VERIFY_END, 2);
	answers.v[0] = txt(S("r._domainkey.b.example"), S(RSA_KEY));
	answers.v[1] = txt(S("e._domainkey.b.example"), S(ED25519_KEY));
	answers.n = 2;
	answers_put(&answers, &b);
	must(frame_close(&b, at));
	must(worker_feed(w, buf_str(&b), &out) == (ssize_t)b.n);
	buf_fini(&b);
	buf_fini(&out);
}

static int run_worker(const char *path)
{
	static struct keys keys;
	struct buf problems, in, out;
	struct config *c;

	signal(SIGXFSZ, SIG_IGN);         /* what libraries print does not end us */
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* the keeper's end is ours */
	signal(SIGPIPE, SIG_IGN);
	buf_init(&problems, PROBLEMS_MAX);
	c = config_load(path, &problems);
	if (c == NULL) {
		fprintf(stderr, "tombolo-auth: %s", buf_cstr(&problems));
		return 1;
	}
	buf_reset(&problems);
	keys_read(&keys, c, &problems);
	tzset();
	struct worker *w = worker_new(&keys, (unsigned)c->auth.signatures);
	warm_up(w);
	fault_init();
	bool sandbox = c->sandbox;
	if (!become(c->user)) {
		fprintf(stderr, "tombolo-auth: cannot become %s\n", c->user.p);
		return 1;
	}
	prctl(PR_SET_PDEATHSIG, SIGKILL); /* a change of user takes it away */
	config_unref(&c);
	if (sandbox && !cage_worker(WORKER_SOCKET))
		fputs("tombolo-auth: system calls are not filtered\n", stderr);
	buf_init(&in, FRAME_MAX + READ_ROOM + 16);
	buf_init(&out, OUT_MAX);
	worker_hello(&keys, buf_str(&problems), &out);
	int rc = serve(WORKER_SOCKET, w, &in, &out);
	worker_free(&w);
	keys_fini(&keys);
	buf_fini(&problems);
	buf_fini(&in);
	buf_fini(&out);
	return rc;
}

static int usage(void)
{
	fputs("tombolo-auth is started by tombolod; see docs/AUTH.md\n", stderr);
	return 2;
}

int main(int argc, char **argv)
{
	const char *path = NULL;
	uint64_t loops = 0;
	bool worker = false;
	int opt;

	while ((opt = getopt(argc, argv, "c:k:w")) != -1) {
		if (opt == 'c')
			path = optarg;
		else if (opt == 'w')
			worker = true;
		else if (opt != 'k' || !str_u64(str_c(optarg), KEEPER_SOCKETS_MAX, &loops))
			return usage();
	}
	if (path == NULL || worker == (loops > 0) || optind != argc)
		return usage();
	return worker ? run_worker(path) : keeper_run((size_t)loops, path);
}
