/* tests/tools/host.c: a mail host for demonstrations and interoperation: takes mail, keeps it, says what it saw.
 *
 *   host -p PORT -n NAME -d DIR [-c CERT -k KEY -a CA]
 *
 * Message N goes to DIR/N.eml as it came.  DIR/log gets one line a message, fields parted by tabs:
 * N, sender, recipients (comma), TLS version or "clear", names of the client's certificate or "-", subject. */
#include "base/log.h"
#include "base/must.h"
#include "tests/kit/host.h"
#include "wire/header.h"

#include <fcntl.h>
#include <signal.h>
#include <sys/stat.h>
#include <unistd.h>

static const char usage[] = "usage: host -p PORT -n NAME -d DIR [-c CERT -k KEY -a CA]\n";

enum { CONTENT_MAX = 64 << 20, LINE_MAX_BYTES = 64 * 1024 };

struct store {
	const char *dir;
	struct loop *loop;
	uint64_t n;
	int log;
};

static struct store store;

static void on_content(struct visit *v, struct str run)
{
	struct buf *content = v->owner;

	if (content == NULL) {
		v->owner = content = calloc(1, sizeof *content);
		must(content != NULL);
		buf_init(content, CONTENT_MAX);
	}
	buf_add(content, run);
}

static void forget(struct visit *v)
{
	struct buf *content = v->owner;

	if (content != NULL)
		buf_fini(content);
	free(content);
	v->owner = NULL;
}

static void keep_subject(void *arg, const struct header_field *f)
{
	if (header_name_is(f->name, S("Subject")))
		header_unfold(f->value, arg);
}

static void put_subject(struct str content, struct buf *out)
{
	struct header_scan scan;

	header_scan_init(&scan, CONTENT_MAX, 1000, STR_NONE);
	scan.on_field = keep_subject;
	scan.arg = out;
	header_scan_add(&scan, content);
	header_scan_finish(&scan);
	header_scan_fini(&scan);
}

static void put_recipients(struct str lines, struct buf *out)
{
	for (struct str one; lines.n > 0;) {
		str_cut(lines, '\n', &one, &lines);
		buf_add(out, one);
		if (lines.n > 0)
			buf_addc(out, ',');
	}
}

static void put_tls(const struct tls_peer *peer, struct buf *out)
{
	buf_add(out, peer == NULL ? S("clear") : peer->protocol);
	buf_addc(out, '\t');
	if (peer == NULL || !peer->has_certificate)
		buf_addc(out, '-');
	else
		buf_add(out, peer->ids.san_n > 0 ? peer->ids.sans[0] : peer->subject);
}

static bool write_file(struct str content)
{
	char path[512];

	snprintf(path, sizeof path, "%s/%ju.eml", store.dir, store.n);
	int fd = open(path, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, 0644);
	bool ok = fd >= 0 && write(fd, content.p, content.n) == (ssize_t)content.n;
	if (fd >= 0)
		close(fd);
	return ok;
}

static struct reply on_message(struct visit *v)
{
	struct str content = v->owner == NULL ? STR_NONE : buf_str(v->owner);
	struct buf line;

	store.n++;
	bool ok = write_file(content);
	buf_init(&line, LINE_MAX_BYTES);
	buf_addf(&line, "%ju\t<" STR_FMT ">\t", store.n, STR_ARG(buf_str(&v->from)));
	put_recipients(buf_str(&v->rcpts), &line);
	buf_addc(&line, '\t');
	put_tls(tls_peer(&v->stream), &line);
	buf_addc(&line, '\t');
	put_subject(content, &line);
	buf_addc(&line, '\n');
	ok = ok && write(store.log, line.p, line.n) == (ssize_t)line.n;
	buf_fini(&line);
	forget(v);
	return ok ? REPLY(250, 2, 0, 0, "kept") : REPLY(452, 4, 3, 1, "cannot keep it");
}

static void on_signal(int sig)
{
	(void)sig;
	loop_stop(store.loop); /* NOLINT(bugprone-signal-handler,cert-sig30-c): made for that (base/loop.h) */
}

static int serve(struct host_options *o, const struct tls_server_options *tls)
{
	struct err err = { 0 };
	struct host_events events = { .content = on_content, .message = on_message, .closed = forget };
	struct host *h = NULL;
	char path[512];

	mkdir(store.dir, 0755);
	snprintf(path, sizeof path, "%s/log", store.dir);
	store.log = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0644);
	store.loop = loop_new(&err);
	if (store.log < 0 || store.loop == NULL ||
	    (tls->certificate.n > 0 && (o->tls = tls_server_new(tls, &err)) == NULL) ||
	    (h = host_open(store.loop, o, &events, &err)) == NULL) {
		fprintf(stderr, "host: %s %s\n", store.log < 0 ? path : "", err.text);
		return 1;
	}
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	signal(SIGPIPE, SIG_IGN);
	loop_run(store.loop);
	host_close(&h);
	tls_ctx_unref(&o->tls);
	loop_free(&store.loop);
	return 0;
}

int main(int argc, char **argv)
{
	struct conf_tls conf = { .min = S("1.2"), .crl = CRL_OFF, .client_cert_eku = EKU_ANY };
	struct tls_server_options tls = { .tls = &conf, .id_context = S("host") };
	struct host_options o = { .caps = EHLO_PIPELINING | EHLO_8BITMIME | EHLO_SMTPUTF8 | EHLO_SIZE | EHLO_DSN |
					  EHLO_CHUNKING | EHLO_ENHANCEDSTATUSCODES };
	uint64_t port = 0;
	int option;

	while ((option = getopt(argc, argv, "p:n:d:c:k:a:")) != -1) {
		if (option == 'p' && !str_u64(str_c(optarg), 65535, &port))
			port = 0;
		else if (option == 'n')
			o.name = str_c(optarg);
		else if (option == 'd')
			store.dir = optarg;
		else if (option == 'c')
			tls.certificate = str_c(optarg);
		else if (option == 'k')
			tls.key = str_c(optarg);
		else if (option == 'a')
			tls.ca = str_c(optarg);
	}
	if (port == 0 || o.name.n == 0 || store.dir == NULL ||
	    !net_parse_ip(S("127.0.0.1"), (uint16_t)port, &o.listen)) {
		fputs(usage, stderr);
		return 2;
	}
	log_open(NULL, LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
	return serve(&o, &tls);
}
