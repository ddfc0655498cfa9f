/* perf/sink.c: the server at the end of a measurement: takes everything, counts it, throws it away.
 *
 *   sink -p PORT -S FILE [-c CERT -k KEY] [-P] [-B]     serve (-P: no PIPELINING, -B: offer CHUNKING)
 *   sink -S FILE reset RUN                              forget all, count messages of RUN (hex) from now on
 *   sink -S FILE wait COUNT SECONDS                     until COUNT unique messages are there; exit 1 when they are not
 *   sink -S FILE missing ACCEPTED                       what `swarm -a ACCEPTED` was told and did not come; exit 1
 *   sink -S FILE show                                   one JSON line
 *
 * Marked messages (perf/perf.h) are checked for losses and repetitions by their numbers. */
#include "perf/perf.h"
#include "tests/kit/host.h"
#include "wire/header.h"

#include "base/log.h"
#include "base/must.h"

#include <getopt.h>
#include <signal.h>

static const char usage[] = "usage: sink -p PORT -S FILE [-c CERT -k KEY] [-P] [-B]\n"
			    "       sink -S FILE reset RUN | wait COUNT SECONDS | missing ACCEPTED | show\n";

enum { MARK_IN = 16 * 1024 }; /* the mark must be among this many bytes of header */

struct mark {
	struct header_scan scan;
	bool found;
	uint64_t run, seq, ns;
};

static struct sink_stats *stats;

static bool parse_hex(struct str s, uint64_t *v)
{
	*v = 0;
	for (size_t i = 0; i < s.n; i++) {
		char c = chr_lower(s.p[i]);
		if (!chr_is_digit(c) && (c < 'a' || c > 'f'))
			return false;
		*v = *v << 4 | (uint64_t)(chr_is_digit(c) ? c - '0' : c - 'a' + 10);
	}
	return s.n > 0 && s.n <= 16;
}

static void on_field(void *arg, const struct header_field *f)
{
	struct mark *m = arg;
	struct str v = f->value;

	if (!header_name_is(f->name, S("X-Swarm")))
		return;
	if (v.n > 2)
		v.n -= 2; /* the CR LF */
	m->found = parse_hex(str_word(&v), &m->run) && str_u64(str_word(&v), UINT64_MAX, &m->seq) &&
		   str_u64(str_word(&v), UINT64_MAX, &m->ns);
}

static void mark_reset(struct mark *m)
{
	header_scan_fini(&m->scan);
	header_scan_init(&m->scan, MARK_IN, 1000, STR_NONE);
	m->scan.on_field = on_field;
	m->scan.arg = m;
	m->found = false;
}

static void on_opened(struct visit *v)
{
	struct mark *m = calloc(1, sizeof *m);

	must(m != NULL);
	v->owner = m;
	mark_reset(m);
	stats->visits++;
	if (++stats->visits_now > stats->visits_most)
		stats->visits_most = stats->visits_now;
}

static void on_closed(struct visit *v)
{
	struct mark *m = v->owner;

	header_scan_fini(&m->scan);
	free(m);
	stats->visits_now--;
}

static void on_secured(struct visit *v)
{
	stats->secured++;
	stats->resumed += tls_peer(&v->stream)->resumed;
}

static void on_content(struct visit *v, struct str run)
{
	struct mark *m = v->owner;

	stats->bytes += run.n;
	if (!m->found && !m->scan.done && !m->scan.too_big)
		header_scan_add(&m->scan, run);
}

static void count(const struct mark *m)
{
	uint64_t now = now_ns();

	if (stats->first_ns == 0)
		stats->first_ns = now;
	stats->last_ns = now;
	stats->messages++;
	hist_add(&stats->latency, now > m->ns ? now - m->ns : 0);
	if (sink_stats_mark(stats, m->seq))
		stats->duplicates++;
	else
		stats->unique++;
}

static struct reply on_message(struct visit *v)
{
	struct mark *m = v->owner;

	if (m->found && m->run == stats->run)
		count(m);
	else
		stats->strays++;
	mark_reset(m);
	return REPLY(250, 2, 0, 0, "counted");
}

static struct loop *serving;

static void on_signal(int sig)
{
	(void)sig;
	loop_stop(serving); /* NOLINT(bugprone-signal-handler,cert-sig30-c): made for that (base/loop.h) */
}

static int serve(uint16_t port, const char *cert, const char *key, unsigned caps)
{
	struct err err;
	struct conf_tls conf = { .min = S("1.2"), .crl = CRL_OFF, .client_cert_eku = EKU_ANY };
	struct tls_server_options tls = {
		.certificate = str_c(cert), .key = str_c(key), .ca = str_c(cert), .tls = &conf, .id_context = S("sink")
	};
	struct host_options o = { .name = S("sink.example"), .caps = caps };
	struct host_events events = { .opened = on_opened,
				      .closed = on_closed,
				      .secured = on_secured,
				      .content = on_content,
				      .message = on_message };

	if (!net_parse_ip(S("127.0.0.1"), port, &o.listen) || (serving = loop_new(&err)) == NULL ||
	    (cert != NULL && (o.tls = tls_server_new(&tls, &err)) == NULL)) {
		fprintf(stderr, "sink: %s\n", err.text);
		return 1;
	}
	struct host *h = host_open(serving, &o, &events, &err);
	if (h == NULL) {
		fprintf(stderr, "sink: %s\n", err.text);
		return 1;
	}
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	signal(SIGPIPE, SIG_IGN);
	loop_run(serving);
	host_close(&h);
	tls_ctx_unref(&o.tls);
	loop_free(&serving);
	return 0;
}

static int reset(struct str run)
{
	uint64_t id;

	if (!parse_hex(run, &id)) {
		fputs(usage, stderr);
		return 2;
	}
	uint64_t now = stats->visits_now;
	memset(stats, 0, sizeof *stats);
	stats->visits_now = stats->visits_most = now;
	stats->run = id;
	return 0;
}

static int wait_for(uint64_t want, uint64_t seconds)
{
	uint64_t until = now_ns() + seconds * 1000000000U;

	while (stats->unique < want && now_ns() < until)
		usleep(5000);
	return stats->unique < want;
}

static int missing(const char *file)
{
	const struct sink_stats *accepted = sink_stats_map(file);
	int told = 0, lost = 0;

	if (accepted == NULL) {
		fprintf(stderr, "sink: cannot map %s\n", file);
		return 2;
	}
	for (size_t i = 0; i < sizeof accepted->seen; i++) {
		told += __builtin_popcount(accepted->seen[i]);
		lost += __builtin_popcount((unsigned)accepted->seen[i] & ~(unsigned)stats->seen[i]);
	}
	printf("accepted=%d missing=%d arrived=%ju duplicates=%ju\n", told, lost, stats->unique, stats->duplicates);
	return lost > 0;
}

static void show(void)
{
	printf("{\"messages\":%ju,\"unique\":%ju,\"duplicates\":%ju,\"strays\":%ju,\"bytes\":%ju,\"visits\":%ju,"
	       "\"visits_now\":%ju,\"visits_most\":%ju,\"secured\":%ju,\"resumed\":%ju,\"first_ns\":%ju,\"last_ns\":%ju,"
	       "\"p50_ms\":%.3f,\"p90_ms\":%.3f,\"p99_ms\":%.3f,\"max_ms\":%.3f}\n",
	       stats->messages, stats->unique, stats->duplicates, stats->strays, stats->bytes, stats->visits,
	       stats->visits_now, stats->visits_most, stats->secured, stats->resumed, stats->first_ns, stats->last_ns,
	       ms(hist_at(&stats->latency, 500)), ms(hist_at(&stats->latency, 900)), ms(hist_at(&stats->latency, 990)),
	       ms(hist_at(&stats->latency, 1000)));
}

static int ask(int argc, char **argv)
{
	if (argc == 2 && strcmp(argv[0], "reset") == 0)
		return reset(str_c(argv[1]));
	if (argc == 3 && strcmp(argv[0], "wait") == 0)
		return wait_for(number(argv[1], usage), number(argv[2], usage));
	if (argc == 2 && strcmp(argv[0], "missing") == 0)
		return missing(argv[1]);
	if (argc == 1 && strcmp(argv[0], "show") == 0) {
		show();
		return 0;
	}
	fputs(usage, stderr);
	return 2;
}

int main(int argc, char **argv)
{
	const char *file = NULL, *cert = NULL, *key = NULL;
	unsigned caps = EHLO_PIPELINING | EHLO_8BITMIME | EHLO_SIZE | EHLO_ENHANCEDSTATUSCODES;
	uint64_t port = 0;
	int option;

	while ((option = getopt(argc, argv, "p:S:c:k:PB")) != -1)
		switch (option) {
		case 'p':
			port = number(optarg, usage);
			break;
		case 'S':
			file = optarg;
			break;
		case 'c':
			cert = optarg;
			break;
		case 'k':
			key = optarg;
			break;
		case 'P':
			caps &= ~(unsigned)EHLO_PIPELINING;
			break;
		case 'B':
			caps |= EHLO_CHUNKING;
			break;
		default:
			fputs(usage, stderr);
			return 2;
		}
	if (file == NULL || (stats = sink_stats_map(file)) == NULL || (cert == NULL) != (key == NULL)) {
		fputs(usage, stderr);
		return 2;
	}
	log_open(NULL, LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
	if (optind < argc)
		return ask(argc - optind, argv + optind);
	stats->visits_now = 0;
	return serve((uint16_t)port, cert, key, caps);
}
