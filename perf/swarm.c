/* perf/swarm.c: the load client: a number of connections that send as fast as the answers allow (or at a given rate).
 *
 * Each connection sends its messages, quits and comes back until the time is over or the count is reached; what is
 * under way then is finished.  Latency is from MAIL to the final answer.  One JSON line comes at the end; with -I it
 * comes as soon as all connections are open, and they stay until a signal or the time ends. */
#include "perf/perf.h"
#include "tests/kit/caller.h"

#include "base/log.h"
#include "base/must.h"
#include "base/op.h"

#include <getopt.h>
#include <signal.h>
#include <sys/resource.h>

static const char usage[] = "usage: swarm -p PORT [-c CONNECTIONS] [-s BYTES] [-m MESSAGES_PER_CONNECTION] [-R RUN]\n"
			    "             [-t SECONDS] [-n MESSAGES] [-r MESSAGES_PER_SECOND] [-T] [-P] [-I | -K]\n"
			    "             [-f FIRST_NUMBER] [-a FILE] [-d DOMAIN] [-D DOMAINS] [-F MESSAGE]\n"
			    "-d recipients are of this domain, -D of d0.DOMAIN, d1.DOMAIN ... in turn\n"
			    "-T STARTTLS, -P no pipelining, -I open and stay idle, -K handshakes only (implies -T)\n"
			    "-F sends that file (CR LF lines, dots stuffed) below the mark, in place of -s bytes\n"
			    "-a marks what was accepted, for `sink missing`\n";

enum { HEAD_MAX = 256 };

struct client {
	struct caller caller;
	struct loop_timer pause; /* until its turn comes, when the rate is limited */
	uint64_t began_ns, sent; /* of this message; on this connection */
	uint64_t seq;            /* of this message */
	char head[HEAD_MAX];
	char rcpt[80];
	struct str recipient; /* in rcpt */
};

static struct swarm {
	struct loop *loop;
	struct caller_options to;
	struct str run, body, domain;
	uint64_t connections, messages_each, messages_max, rate, first, domains;
	struct sink_stats *acknowledged;
	bool idle, handshakes_only;
	bool whole; /* body is a message with its header */
	uint64_t start_ns, end_ns, last_ns, next_slot_ns;
	uint64_t begun, accepted, transient, permanent, connect_errors, secured, open;
	size_t running;
	struct hist latency;
	struct loop_timer alarm;
	char why[240]; /* the first connection that failed */
} swarm;

static bool may_begin(void)
{
	return now_ns() < swarm.end_ns && (swarm.messages_max == 0 || swarm.begun < swarm.messages_max);
}

static void report(void)
{
	struct rusage use;
	double secs = (double)((swarm.last_ns > swarm.start_ns ? swarm.last_ns : now_ns()) - swarm.start_ns) / 1e9;
	uint64_t units = swarm.handshakes_only ? swarm.secured : swarm.accepted;

	getrusage(RUSAGE_SELF, &use);
	printf("{\"accepted\":%ju,\"per_s\":%.1f,\"secs\":%.3f,\"transient\":%ju,\"permanent\":%ju,\"connect_errors\":%ju,"
	       "\"secured\":%ju,\"open\":%ju,\"start_ns\":%ju,\"cpu_s\":%.3f,\"p50_ms\":%.3f,\"p90_ms\":%.3f,"
	       "\"p99_ms\":%.3f,\"max_ms\":%.3f}\n",
	       swarm.accepted, secs > 0 ? (double)units / secs : 0, secs, swarm.transient, swarm.permanent,
	       swarm.connect_errors, swarm.secured, swarm.open, swarm.start_ns,
	       (double)(use.ru_utime.tv_sec + use.ru_stime.tv_sec) +
		       (double)(use.ru_utime.tv_usec + use.ru_stime.tv_usec) / 1e6,
	       ms(hist_at(&swarm.latency, 500)), ms(hist_at(&swarm.latency, 900)), ms(hist_at(&swarm.latency, 990)),
	       ms(hist_at(&swarm.latency, 1000)));
	fflush(stdout);
	if (swarm.why[0] != '\0')
		fprintf(stderr, "swarm: %s\n", swarm.why);
}

/* The mark, and unless the body brings its own header, the other fields. */
static size_t put_head(struct client *c)
{
	char *at = c->head;
	size_t left = sizeof c->head;
	int n = 0;

	if (!swarm.whole)
		n = snprintf(at, left,
			     "From: <swarm@client.example>\r\nTo: <swarm@sink.example>\r\nSubject: load %ju\r\n"
			     "Message-ID: <%s.%ju@client.example>\r\n",
			     c->seq, swarm.run.p, c->seq);
	must(n >= 0 && (size_t)n < left);
	int mark_n = snprintf(at + n, left - (size_t)n, "X-Swarm: %s %ju %ju\r\n%s", swarm.run.p, c->seq, c->began_ns,
			      swarm.whole ? "" : "\r\n");
	must(mark_n > 0 && (size_t)(n + mark_n) < left);
	return (size_t)(n + mark_n);
}

static void begin_message(struct client *c)
{
	uint64_t seq = swarm.first + swarm.begun++;

	c->seq = seq;
	c->began_ns = now_ns();
	c->sent++;
	size_t n = put_head(c);
	int rcpt_n = swarm.domains > 0 ? snprintf(c->rcpt, sizeof c->rcpt, "swarm@d%ju." STR_FMT, seq % swarm.domains,
						  STR_ARG(swarm.domain))
				       : snprintf(c->rcpt, sizeof c->rcpt, "swarm@" STR_FMT, STR_ARG(swarm.domain));
	must(rcpt_n > 0 && (size_t)rcpt_n < sizeof c->rcpt);
	c->recipient = (struct str){ c->rcpt, (size_t)rcpt_n };
	struct caller_message m = {
		.from = S("swarm@client.example"),
		.rcpts = &c->recipient,
		.rcpt_n = 1,
		.head = { c->head, n },
		.body = str_skip(swarm.body, swarm.whole ? 0 : n),
	};
	caller_send(&c->caller, &m);
}

/* Now, or at the next slot of the common rate; the slot is taken by whoever asks first. */
static void schedule_message(struct client *c)
{
	uint64_t now = now_ns();

	if (swarm.rate == 0) {
		begin_message(c);
		return;
	}
	if (swarm.next_slot_ns < now)
		swarm.next_slot_ns = now;
	loop_timer_set(&c->pause, (int64_t)((swarm.next_slot_ns - now) / 1000000));
	swarm.next_slot_ns += 1000000000U / swarm.rate;
}

static void on_pause_over(struct loop_timer *t)
{
	struct client *c = container_of(t, struct client, pause);

	if (may_begin())
		begin_message(c);
	else
		caller_quit(&c->caller);
}

static void on_closed(struct caller *caller, const char *why);

static void on_ready(struct caller *caller)
{
	struct client *c = container_of(caller, struct client, caller);

	if (swarm.idle) {
		if (++swarm.open == swarm.connections)
			report();
		return;
	}
	if (swarm.handshakes_only) {
		swarm.secured++;
		swarm.last_ns = now_ns();
		hist_add(&swarm.latency, now_ns() - c->began_ns);
		caller_close(caller);
		on_closed(caller, NULL);
		return;
	}
	if (c->sent < swarm.messages_each && may_begin())
		schedule_message(c);
	else
		caller_quit(caller);
}

static void on_reply(struct caller *caller, enum verb what, size_t at, const struct reply *r)
{
	struct client *c = container_of(caller, struct client, caller);

	(void)at;
	if (what != VERB_UNKNOWN && reply_is_ok(r))
		return;
	if (reply_is_transient(r))
		swarm.transient++;
	else if (reply_is_permanent(r))
		swarm.permanent++;
	else {
		swarm.accepted++;
		if (swarm.acknowledged != NULL)
			sink_stats_mark(swarm.acknowledged, c->seq);
		swarm.last_ns = now_ns();
		hist_add(&swarm.latency, swarm.last_ns - c->began_ns);
	}
}

static const struct caller_events events = { .ready = on_ready, .reply = on_reply, .closed = on_closed };

static void connect_again(struct loop_timer *t);

static void on_closed(struct caller *caller, const char *why)
{
	struct client *c = container_of(caller, struct client, caller);

	loop_timer_stop(&c->pause);
	if (why != NULL) {
		swarm.connect_errors++;
		if (swarm.why[0] == '\0')
			snprintf(swarm.why, sizeof swarm.why, "%s", why);
	}
	if (may_begin() && !swarm.idle) {
		c->pause.fn = connect_again; /* from the loop, not from inside the old connection's last event */
		loop_timer_set(&c->pause, why == NULL ? 0 : 20);
	} else if (--swarm.running == 0) {
		loop_stop(swarm.loop);
	}
}

static void connect_again(struct loop_timer *t)
{
	struct client *c = container_of(t, struct client, pause);

	t->fn = on_pause_over;
	c->sent = 0;
	c->began_ns = now_ns();
	caller_start(&c->caller, swarm.loop, &swarm.to, &events);
}

static void on_alarm(struct loop_timer *t)
{
	(void)t;
	loop_stop(swarm.loop);
}

static void on_signal(int sig)
{
	(void)sig;
	loop_stop(swarm.loop); /* NOLINT(bugprone-signal-handler,cert-sig30-c): made for that (base/loop.h) */
}

static char *make_body(size_t n)
{
	char *p = malloc(n + 1);
	size_t at = 0;

	must(p != NULL);
	for (; at < n; at++)
		p[at] = (char)('a' + at % 23);
	for (at = 76; at + 2 < n; at += 78)
		memcpy(p + at, "\r\n", 2);
	if (n >= 2)
		memcpy(p + n - 2, "\r\n", 2);
	return p;
}

/* The message in that file, of at most `size` bytes. */
static char *read_body(const char *file, size_t *size)
{
	char *p = malloc(*size);
	FILE *f = fopen(file, "re");

	must(p != NULL);
	if (f == NULL || (*size = fread(p, 1, *size, f)) == 0 || fgetc(f) != EOF) {
		fprintf(stderr, "swarm: %s cannot be read, is empty or too long\n", file);
		exit(2);
	}
	fclose(f);
	return p;
}

static void run(uint64_t seconds, size_t size, const char *file)
{
	struct client *clients = calloc(swarm.connections, sizeof *clients);
	char *body = file != NULL ? read_body(file, &size) : make_body(size);

	must(clients != NULL);
	swarm.whole = file != NULL;
	swarm.body = str_n(body, size); /* each message skips as much of it as its header takes */
	swarm.start_ns = now_ns();
	swarm.end_ns = swarm.start_ns + seconds * 1000000000U;
	swarm.running = swarm.connections;
	/* the closed loop ends by itself; the alarm is for a server that stopped answering */
	loop_timer_init(swarm.loop, &swarm.alarm, on_alarm);
	loop_timer_set(&swarm.alarm, (int64_t)seconds * 1000 + (swarm.idle ? 0 : 10000));
	for (size_t i = 0; i < swarm.connections; i++) {
		loop_timer_init(swarm.loop, &clients[i].pause, connect_again);
		loop_timer_set(&clients[i].pause, 0);
	}
	loop_run(swarm.loop);
	if (!swarm.idle || swarm.open < swarm.connections)
		report();
	for (size_t i = 0; i < swarm.connections; i++) {
		loop_timer_stop(&clients[i].pause);
		caller_close(&clients[i].caller);
	}
	loop_timer_stop(&swarm.alarm);
	loop_free(&swarm.loop);
	free(clients);
	free(body);
}

static void read_options(int argc, char **argv, uint64_t *seconds, uint64_t *size, const char **file, bool *tls)
{
	uint64_t port = 0;
	int option;

	while ((option = getopt(argc, argv, "p:c:s:m:t:n:r:R:f:F:a:d:D:TPIK")) != -1)
		switch (option) {
		case 'p':
			port = number(optarg, usage);
			break;
		case 'c':
			swarm.connections = number(optarg, usage);
			break;
		case 's':
			*size = number(optarg, usage);
			break;
		case 'm':
			swarm.messages_each = number(optarg, usage);
			break;
		case 't':
			*seconds = number(optarg, usage);
			break;
		case 'n':
			swarm.messages_max = number(optarg, usage);
			break;
		case 'r':
			swarm.rate = number(optarg, usage);
			break;
		case 'f':
			swarm.first = number(optarg, usage);
			break;
		case 'F':
			*file = optarg;
			*size = 1 << 20;
			break;
		case 'a':
			if ((swarm.acknowledged = sink_stats_map(optarg)) == NULL)
				port = 0;
			break;
		case 'R':
			swarm.run = str_c(optarg);
			break;
		case 'd':
			swarm.domain = str_c(optarg);
			break;
		case 'D':
			swarm.domains = number(optarg, usage);
			break;
		case 'T':
			*tls = true;
			break;
		case 'P':
			swarm.to.pipeline = false;
			break;
		case 'I':
			swarm.idle = true;
			break;
		case 'K':
			swarm.handshakes_only = *tls = true;
			break;
		default:
			port = 0;
			optind = argc;
		}
	if (port == 0 || port > 65535 || swarm.connections == 0 ||
	    !net_parse_ip(S("127.0.0.1"), (uint16_t)port, &swarm.to.to)) {
		fputs(usage, stderr);
		exit(2);
	}
}

int main(int argc, char **argv)
{
	struct err err = { 0 };
	struct conf_tls conf = { .min = S("1.2"), .crl = CRL_OFF, .client_cert_eku = EKU_ANY };
	struct tls_client_options tls_options = { .tls = &conf };
	uint64_t seconds = 5, size = 10240;
	const char *file = NULL;
	bool tls = false;

	swarm.connections = 1;
	swarm.messages_each = 1;
	swarm.run = S("1");
	swarm.domain = S("sink.example");
	swarm.to.ehlo = S("client.example");
	swarm.to.pipeline = true;
	swarm.to.idle_ms = 20000;
	read_options(argc, argv, &seconds, &size, &file, &tls);
	if (swarm.idle)
		swarm.to.idle_ms = (int64_t)seconds * 1000 + 10000;
	log_open(NULL, LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
	signal(SIGPIPE, SIG_IGN);
	if ((swarm.loop = loop_new(&err)) == NULL ||
	    (tls && (swarm.to.tls = tls_client_new(&tls_options, &err)) == NULL)) {
		fprintf(stderr, "swarm: %s\n", err.text);
		return 1;
	}
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	run(seconds, size, file);
	tls_ctx_unref(&swarm.to.tls);
	return swarm.accepted + swarm.secured + swarm.open == 0;
}
