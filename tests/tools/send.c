/* tests/tools/send.c: sends one message and prints the answers.
 *
 *   send -p PORT -f SENDER -t RECIPIENT[,RECIPIENT] [-s SUBJECT] [-e EHLO] [-T | -c CERT -k KEY] [-o ORG] [-b TEXT]
 *
 * One line a recipient and one for the message: "RECIPIENT<tab>ANSWER", "message<tab>ANSWER".  -c implies STARTTLS, -o
 * claims an organisation (XOORG). Exit: 0 all accepted, 1 something refused, 2 usage or no connection. */
#include "base/log.h"
#include "base/must.h"
#include "base/op.h"
#include "base/time.h"
#include "tests/kit/caller.h"

#include <signal.h>
#include <unistd.h>

static const char usage[] = "usage: send -p PORT -f SENDER -t RECIPIENT[,RECIPIENT] [-s SUBJECT] [-e EHLO]\n"
			    "            [-T | -c CERT -k KEY] [-o ORG] [-b TEXT]\n";

enum { RCPTS_MAX = 1000, HEAD_MAX = 64 * 1024 };

struct letter {
	struct caller caller;
	struct loop *loop;
	struct caller_message message;
	struct str rcpts[RCPTS_MAX];
	struct buf head;
	bool sent;
	int status;
};

static void print(struct letter *l, struct str who, const struct reply *r)
{
	struct str first, rest;

	str_cut(r->text, '\r', &first, &rest);
	first = str_trim(first);
	printf(STR_FMT "\t%d " STR_FMT "\n", STR_ARG(who), r->code, STR_ARG(first));
	if (!reply_is_ok(r))
		l->status = 1;
}

static void on_reply(struct caller *c, enum verb what, size_t at, const struct reply *r)
{
	struct letter *l = container_of(c, struct letter, caller);

	if (what == VERB_RCPT)
		print(l, l->rcpts[at], r);
	else if (what == VERB_UNKNOWN)
		print(l, S("message"), r);
	else if (!reply_is_ok(r))
		print(l, what == VERB_MAIL ? S("sender") : S("content"), r);
}

static void on_ready(struct caller *c)
{
	struct letter *l = container_of(c, struct letter, caller);

	if (l->sent) {
		caller_quit(c);
		return;
	}
	l->sent = true;
	caller_send(c, &l->message);
}

static void on_closed(struct caller *c, const char *why)
{
	struct letter *l = container_of(c, struct letter, caller);

	if (why != NULL) {
		printf("connection\t%s\n", why);
		l->status = 2;
	}
	loop_stop(l->loop);
}

static void compose(struct letter *l, struct str from, const char *to, const char *subject, const char *text)
{
	struct str rest = str_c(to), one;
	int64_t now = clock_wall_ms();

	l->message.from = str_eq(from, S("<>")) ? STR_NONE : from;
	l->message.rcpts = l->rcpts;
	while (rest.n > 0 && l->message.rcpt_n < RCPTS_MAX) {
		str_cut(rest, ',', &one, &rest);
		l->rcpts[l->message.rcpt_n++] = one;
	}
	buf_init(&l->head, HEAD_MAX);
	buf_addf(&l->head, "From: <" STR_FMT ">\r\nTo: <%s>\r\nSubject: %s\r\nDate: ", STR_ARG(l->message.from), to,
		 subject);
	time_put_rfc5322(&l->head, now);
	buf_addf(&l->head, "\r\nMessage-ID: <%jd.%d@send.example>\r\n\r\n%s\r\n", now, getpid(), text);
	l->message.head = buf_str(&l->head);
}

static int go(struct letter *l, struct caller_options *o, bool tls, const struct tls_client_options *tls_options)
{
	static const struct caller_events events = { .ready = on_ready, .reply = on_reply, .closed = on_closed };
	struct err err = { 0 };

	l->loop = loop_new(&err);
	if (l->loop == NULL || (tls && (o->tls = tls_client_new(tls_options, &err)) == NULL)) {
		fprintf(stderr, "send: %s\n", err.text);
		return 2;
	}
	caller_start(&l->caller, l->loop, o, &events);
	loop_run(l->loop);
	tls_ctx_unref(&o->tls);
	loop_free(&l->loop);
	buf_fini(&l->head);
	return l->status;
}

int main(int argc, char **argv)
{
	static struct letter letter;
	struct conf_tls conf = { .min = S("1.2"), .crl = CRL_OFF, .client_cert_eku = EKU_ANY };
	struct tls_client_options tls_options = { .tls = &conf };
	struct caller_options o = { .ehlo = S("send.example"), .sni = S("mail.contoso.com"), .pipeline = true };
	const char *from = NULL, *to = NULL, *subject = "a message", *text = "Hello.";
	uint64_t port = 0;
	bool tls = false;
	int option;

	while ((option = getopt(argc, argv, "p:f:t:s:e:b:Tc:k:o:")) != -1) {
		if (option == 'p' && !str_u64(str_c(optarg), 65535, &port))
			port = 0;
		else if (option == 'f')
			from = optarg;
		else if (option == 't')
			to = optarg;
		else if (option == 's')
			subject = optarg;
		else if (option == 'e')
			o.ehlo = str_c(optarg);
		else if (option == 'b')
			text = optarg;
		else if (option == 'o')
			letter.message.xorg = str_c(optarg);
		else if (option == 'c')
			tls_options.certificate = str_c(optarg);
		else if (option == 'k')
			tls_options.key = str_c(optarg);
		tls = tls || option == 'T' || option == 'c';
	}
	if (port == 0 || from == NULL || to == NULL || !net_parse_ip(S("127.0.0.1"), (uint16_t)port, &o.to)) {
		fputs(usage, stderr);
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	log_open(NULL, LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
	compose(&letter, str_c(from), to, subject, text);
	return go(&letter, &o, tls, &tls_options);
}
