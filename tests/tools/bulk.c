/* tests/tools/bulk.c: many random messages through one gateway, and the proof that each side got what it must.
 *
 *   bulk table -u PEOPLE                          the recipients as CSV, for `tombolo recipients import`
 *   bulk run -p GATEWAY -l ONPREM -r CLOUD -C CERT -K KEY [-n MESSAGES] [-u PEOPLE] [-c CONNECTIONS] [-S SEED] [-T]
 *
 * It is the senders and both next hops at once, in one loop.  A message is a function of the seed and its number
 * (tests/kit/letters.h): what arrives is composed again and compared byte for byte, and all that is remembered of a
 * message is which of its recipients got it.
 * -T: some connections use STARTTLS.  A message counts as passed when all answers to it were right and every recipient
 * was served exactly once, in one copy a side.  Exit 0 when all did. */
#include "base/log.h"
#include "base/must.h"
#include "base/op.h"
#include "tests/kit/caller.h"
#include "tests/kit/host.h"
#include "tests/kit/letters.h"

#include <getopt.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

static const char usage[] = "usage: bulk table [-u PEOPLE]\n"
			    "       bulk run -p GATEWAY -l ONPREM -r CLOUD -C CERT -K KEY [-n MESSAGES] [-u PEOPLE]\n"
			    "                [-c CONNECTIONS] [-S SEED] [-T]\n";

enum {
	PEOPLE_MIN = 100,
	VISIT_MAX = 60,   /* messages a connection, at most */
	STUCK_MS = 20000, /* nothing happens for so long: it never will */
	LINGER_MS = 500,  /* after the last copy: time for one too many to show up */
	COMPLAINTS_SHOWN = 20,
};

struct fate {
	uint32_t served; /* a bit a recipient */
	unsigned char copies[SIDES];
	bool accepted, answered, wrong;
};

struct sender {
	struct caller caller;
	struct loop_timer again;
	struct letter letter;
	struct str rcpts[LETTER_RCPTS];
	struct buf content, wire;
	unsigned left; /* messages until QUIT */
};

static struct bulk {
	struct loop *loop;
	struct net_addr gateway;
	uint64_t messages, connections;
	struct letters letters;
	uint16_t port[SIDES];
	const char *cert, *key;
	bool use_tls;
	struct fate *fates;
	struct caller_options ways[4]; /* pipelined or not, clear or TLS */
	struct sender *senders;
	size_t running; /* senders not done */
	uint64_t begun, refused_rcpts, wanted, served, copies, bytes, connected, by_bdat, big, secured;
	uint64_t complaints, failed_messages, progress;
	struct loop_timer watch;
	int64_t quiet_since_ms, end_ms;
} bulk;

/* ---- the verdict ---- */

__attribute__((format(printf, 2, 3))) static void complain(uint64_t number, const char *fmt, ...)
{
	va_list ap;

	if (number < bulk.messages)
		bulk.fates[number].wrong = true;
	if (bulk.complaints++ >= COMPLAINTS_SHOWN)
		return;
	printf("message %ju: ", number);
	va_start(ap, fmt);
	vprintf(fmt, ap);
	va_end(ap);
	putchar('\n');
}

static unsigned expected_on(const struct letter *p, enum side side)
{
	unsigned n = 0;

	for (unsigned i = 0; i < p->rcpt_n; i++)
		n += letter_side(p->people[i]) == side;
	return n;
}

/* After everything has come to rest: was each message's share of each side exactly what it had to be? */
static void judge(uint64_t number)
{
	static const char *const names[] = { "on-prem", "cloud" };
	struct fate *f = &bulk.fates[number];
	struct letter p;

	letter_plan(&bulk.letters, number, &p);
	if (!f->answered)
		complain(number, "never answered");
	for (enum side side = ONPREM; side < SIDES; side++) {
		unsigned want = f->accepted && expected_on(&p, side) > 0, got = f->copies[side];
		if (got != want)
			complain(number, "%u copies at the %s host instead of %u", got, names[side], want);
	}
	for (unsigned i = 0; i < p.rcpt_n; i++) {
		bool want = f->accepted && letter_side(p.people[i]) != NOBODY;
		if ((f->served >> i & 1) != want)
			complain(number, "%s was %sserved", p.to[i], want ? "not " : "");
	}
	bulk.failed_messages += f->wrong;
}

/* ---- what arrives ---- */

static enum side side_of_visit(const struct visit *v)
{
	return *(const enum side *)host_arg(v->host);
}

static void on_content(struct visit *v, struct str run)
{
	struct buf *content = v->owner;

	if (content == NULL) {
		v->owner = content = calloc(1, sizeof *content);
		must(content != NULL);
		buf_init(content, LETTER_MAX + 4096);
	}
	buf_add(content, run);
}

static void on_visit_closed(struct visit *v)
{
	if (v->owner != NULL)
		buf_fini(v->owner);
	free(v->owner);
	v->owner = NULL;
}

static void on_visit_secured(struct visit *v)
{
	(void)v;
	bulk.secured++;
}

/* Takes the field `name` ("Received: ") with its folded lines off the front.  False when the content begins otherwise.
 */
static bool skip_field(struct str *content, struct str name)
{
	struct str line, rest = *content;

	if (!str_starts(rest, name))
		return false;
	do {
		ssize_t n = str_find(str_head(rest, 1000), S("\r\n"));
		if (n < 0)
			return false;
		line = str_head(rest, (size_t)n);
		rest = str_skip(rest, line.n + 2);
	} while (rest.n > 0 && chr_is_space(rest.p[0]));
	*content = rest;
	return true;
}

/* What the gateway put on top: one Received, and for our own side the trace id. */
static bool skip_ours(struct str *content)
{
	skip_field(content, S("X-Tombolo-Trace: "));
	return skip_field(content, S("Received: "));
}

static bool number_of(struct str content, uint64_t *number)
{
	struct str line, rest;

	return str_starts(content, S("X-Bulk: ")) && str_cut(str_head(content, 40), '\r', &line, &rest) &&
	       str_u64(str_skip(line, 8), bulk.messages - 1, number);
}

static void serve_one(const struct letter *p, struct fate *f, enum side side, struct str address)
{
	char final[LETTER_ADDRESS];

	for (unsigned i = 0; i < p->rcpt_n; i++) {
		letter_put_final(final, p->people[i]);
		if (letter_side(p->people[i]) != side || !str_eq(address, str_c(final)))
			continue;
		if (f->served >> i & 1)
			complain(p->number, "%s was served again", final);
		f->served |= 1U << i;
		bulk.served++;
		return;
	}
	complain(p->number, STR_FMT " is no recipient on this side", STR_ARG(address));
}

static void compare(const struct letter *p, struct str got)
{
	struct buf want;

	buf_init(&want, LETTER_MAX);
	letter_compose(&bulk.letters, p, &want);
	if (!str_eq(got, buf_str(&want)))
		complain(p->number, "the content differs: %zu bytes came, %zu were sent", got.n, want.n);
	buf_fini(&want);
}

static struct reply on_message(struct visit *v)
{
	struct str content = v->owner == NULL ? STR_NONE : buf_str(v->owner), rest = buf_str(&v->rcpts), one;
	enum side side = side_of_visit(v);
	uint64_t number;
	struct letter p;

	bulk.progress++;
	bulk.copies++;
	bulk.bytes += content.n;
	if (!skip_ours(&content) || !number_of(content, &number)) {
		complain(bulk.messages, "not one of ours: " STR_FMT, STR_ARG(str_head(content, 200)));
	} else {
		letter_plan(&bulk.letters, number, &p);
		bulk.fates[number].copies[side]++;
		while (rest.n > 0) {
			str_cut(rest, '\n', &one, &rest);
			serve_one(&p, &bulk.fates[number], side, one);
		}
		compare(&p, content);
	}
	if (v->owner != NULL)
		buf_reset(v->owner);
	return REPLY(250, 2, 0, 0, "compared");
}

/* ---- what is sent ---- */

static void send_next(struct sender *s)
{
	struct letter *p = &s->letter;
	struct body_out stuffing;

	letter_plan(&bulk.letters, bulk.begun++, p);
	letter_compose(&bulk.letters, p, &s->content);
	for (unsigned i = 0; i < p->rcpt_n; i++)
		s->rcpts[i] = str_c(p->to[i]);
	buf_reset(&s->wire);
	body_out_init(&stuffing);
	if (p->chunk == 0)
		body_out_add(&stuffing, buf_str(&s->content), &s->wire);
	bulk.by_bdat += p->chunk > 0;
	bulk.big += p->size >= 1 << 20;
	s->left--;
	struct caller_message m = {
		.from = S("sender@outside.example"),
		.rcpts = s->rcpts,
		.rcpt_n = p->rcpt_n,
		.head = buf_str(p->chunk > 0 ? &s->content : &s->wire),
		.chunk = p->chunk,
		.kind = p->eightbit ? ENV_BODY_8BITMIME : ENV_BODY_7BIT,
	};
	caller_send(&s->caller, &m);
}

static void on_ready(struct caller *c)
{
	struct sender *s = container_of(c, struct sender, caller);

	if (s->left > 0 && bulk.begun < bulk.messages)
		send_next(s);
	else
		caller_quit(c);
}

static void on_verdict(struct sender *s, const struct reply *r)
{
	struct fate *f = &bulk.fates[s->letter.number];
	unsigned known = expected_on(&s->letter, ONPREM) + expected_on(&s->letter, CLOUD);

	f->answered = true;
	f->accepted = reply_is_ok(r);
	if (f->accepted)
		bulk.wanted += known;
	if (f->accepted != (known > 0))
		complain(s->letter.number, "answered %d " STR_FMT, r->code, STR_ARG(str_head(r->text, 100)));
}

static void on_reply(struct caller *c, enum verb what, size_t at, const struct reply *r)
{
	struct sender *s = container_of(c, struct sender, caller);

	bulk.progress++;
	if (what == VERB_UNKNOWN || what == VERB_DATA) {
		on_verdict(s, r);
	} else if (what == VERB_MAIL) {
		if (!reply_is_ok(r))
			complain(s->letter.number, "MAIL was answered %d " STR_FMT, r->code, STR_ARG(r->text));
	} else {
		int want = letter_side(s->letter.people[at]) == NOBODY ? 550 : 250;
		bulk.refused_rcpts += r->code == 550;
		if (r->code != want)
			complain(s->letter.number, "%s was answered %d " STR_FMT, s->letter.to[at], r->code,
				 STR_ARG(r->text));
		/* without a recipient and without pipelining there is nothing else to come */
		if (at + 1 == s->letter.rcpt_n && !c->options->pipeline && c->rcpt_ok == 0)
			bulk.fates[s->letter.number].answered = true;
	}
}

static void on_closed(struct caller *c, const char *why)
{
	struct sender *s = container_of(c, struct sender, caller);

	if (why != NULL)
		complain(s->letter.number, "connection: %s", why);
	if (bulk.begun < bulk.messages)
		loop_timer_set(&s->again, why == NULL ? 0 : 50);
	else
		bulk.running--;
}

static void connect_again(struct loop_timer *t)
{
	static const struct caller_events events = { .ready = on_ready, .reply = on_reply, .closed = on_closed };
	struct sender *s = container_of(t, struct sender, again);
	uint64_t r = bulk.letters.seed - ++bulk.connected;

	s->left = 1 + (unsigned)letter_draw(&r, VISIT_MAX);
	caller_start(&s->caller, bulk.loop, &bulk.ways[letter_draw(&r, bulk.use_tls ? 4 : 2)], &events);
}

/* ---- the run ---- */

static void on_watch(struct loop_timer *t)
{
	static uint64_t seen;
	int64_t now = loop_now_ms(bulk.loop);
	bool complete = bulk.running == 0 && bulk.served >= bulk.wanted;

	if (seen != bulk.progress) {
		seen = bulk.progress;
		bulk.quiet_since_ms = now;
	}
	if (now - bulk.quiet_since_ms > (complete ? LINGER_MS : STUCK_MS)) {
		bulk.end_ms = bulk.quiet_since_ms;
		loop_stop(bulk.loop);
		return;
	}
	loop_timer_set(t, 100);
}

static void on_signal(int sig)
{
	(void)sig;
	loop_stop(bulk.loop); /* NOLINT(bugprone-signal-handler,cert-sig30-c): made for that (base/loop.h) */
}

static void start_senders(void)
{
	bulk.senders = calloc(bulk.connections, sizeof *bulk.senders);
	must(bulk.senders != NULL);
	bulk.running = bulk.connections;
	for (size_t i = 0; i < bulk.connections; i++) {
		struct sender *s = &bulk.senders[i];
		buf_init(&s->content, LETTER_MAX);
		buf_init(&s->wire, 2 * (size_t)LETTER_MAX);
		loop_timer_init(bulk.loop, &s->again, connect_again);
		loop_timer_set(&s->again, 0);
	}
}

static void stop_senders(void)
{
	for (size_t i = 0; i < bulk.connections; i++) {
		loop_timer_stop(&bulk.senders[i].again);
		caller_close(&bulk.senders[i].caller);
		buf_fini(&bulk.senders[i].content);
		buf_fini(&bulk.senders[i].wire);
	}
	free(bulk.senders);
}

static void report(int64_t took_ms)
{
	double secs = (double)(took_ms > 0 ? took_ms : 1) / 1000;

	for (uint64_t n = 0; n < bulk.messages; n++)
		judge(n);
	printf("%ju messages (%ju by BDAT, %ju above 1 MiB) over %ju connections to %ju people; %ju recipients refused\n",
	       bulk.messages, bulk.by_bdat, bulk.big, bulk.connected, bulk.letters.people, bulk.refused_rcpts);
	printf("%ju recipients served in %ju copies, %ju MiB, %ju connections to the cloud; seed %ju\n", bulk.served,
	       bulk.copies, bulk.bytes >> 20, bulk.secured, bulk.letters.seed);
	printf("%.1f s, %.0f messages a second\n", secs, (double)bulk.messages / secs);
	printf("%ju passed, %ju failed\n", bulk.messages - bulk.failed_messages,
	       bulk.failed_messages + (bulk.complaints > 0 && bulk.failed_messages == 0));
}

static struct host *open_host(enum side side, struct tls_ctx *tls, struct err *e)
{
	static enum side sides[SIDES] = { ONPREM, CLOUD };
	struct host_options o = {
		.name = side == CLOUD ? S("mail.contoso.mail.cloud.example") : S("ex1.contoso.com"),
		.caps = EHLO_PIPELINING | EHLO_8BITMIME | EHLO_SIZE | EHLO_ENHANCEDSTATUSCODES |
			(side == CLOUD ? EHLO_CHUNKING : 0U),
		.tls = tls,
	};
	struct host_events events = { .arg = &sides[side],
				      .content = on_content,
				      .message = on_message,
				      .secured = on_visit_secured,
				      .closed = on_visit_closed };

	must(net_parse_ip(S("127.0.0.1"), bulk.port[side], &o.listen));
	return host_open(bulk.loop, &o, &events, e);
}

static int run(void)
{
	struct err e = { 0 };
	struct conf_tls conf = { .min = S("1.2"), .crl = CRL_OFF, .client_cert_eku = EKU_ANY };
	struct tls_client_options client = { .tls = &conf };
	struct tls_server_options server = {
		.certificate = str_c(bulk.cert), .key = str_c(bulk.key), .tls = &conf, .id_context = S("bulk")
	};
	struct tls_ctx *cloud_tls = NULL, *sender_tls = NULL;
	struct host *hosts[SIDES] = { NULL };

	bulk.fates = calloc(bulk.messages, sizeof *bulk.fates);
	must(bulk.fates != NULL);
	letters_init(&bulk.letters);
	if ((bulk.loop = loop_new(&e)) == NULL || (cloud_tls = tls_server_new(&server, &e)) == NULL ||
	    (sender_tls = tls_client_new(&client, &e)) == NULL ||
	    (hosts[ONPREM] = open_host(ONPREM, NULL, &e)) == NULL ||
	    (hosts[CLOUD] = open_host(CLOUD, cloud_tls, &e)) == NULL) {
		fprintf(stderr, "bulk: %s\n", e.text);
		return 1;
	}
	for (unsigned i = 0; i < 4; i++)
		bulk.ways[i] = (struct caller_options){ .to = bulk.gateway,
							.ehlo = S("mta.outside.example"),
							.pipeline = i & 1,
							.tls = i & 2 ? sender_tls : NULL,
							.sni = S("mail.contoso.com") };
	signal(SIGTERM, on_signal);
	signal(SIGINT, on_signal);
	start_senders();
	loop_timer_init(bulk.loop, &bulk.watch, on_watch);
	loop_timer_set(&bulk.watch, 100);
	int64_t start = bulk.quiet_since_ms = loop_now_ms(bulk.loop);
	loop_run(bulk.loop);
	report((bulk.end_ms > 0 ? bulk.end_ms : loop_now_ms(bulk.loop)) - start);
	loop_timer_stop(&bulk.watch);
	stop_senders();
	host_close(&hosts[ONPREM]);
	host_close(&hosts[CLOUD]);
	tls_ctx_unref(&cloud_tls);
	tls_ctx_unref(&sender_tls);
	loop_free(&bulk.loop);
	free(bulk.fates);
	letters_fini(&bulk.letters);
	return bulk.complaints > 0;
}

static int table(void)
{
	puts("address,loc,routing,aliases");
	for (uint32_t i = 0; i < bulk.letters.people; i++)
		if (letter_side(i) == ONPREM && letter_has_alias(i))
			printf("u%u@contoso.com,local,,also%u@contoso.com\n", i, i);
		else if (letter_side(i) == ONPREM)
			printf("u%u@contoso.com,local,,\n", i);
		else if (letter_side(i) == CLOUD)
			printf("u%u@contoso.com,remote,r%u@contoso.mail.cloud.example,\n", i, i);
	return 0;
}

static bool read_options(int argc, char **argv)
{
	uint64_t gateway = 0, onprem = 0, cloud = 0;
	const struct {
		int option;
		uint64_t *to, most;
	} numbers[] = {
		{ 'p', &gateway, 65535 },
		{ 'l', &onprem, 65535 },
		{ 'r', &cloud, 65535 },
		{ 'n', &bulk.messages, 10000000 },
		{ 'u', &bulk.letters.people, 10000000 },
		{ 'c', &bulk.connections, 10000 },
		{ 'S', &bulk.letters.seed, UINT64_MAX },
	};
	bool good = true;
	int option;

	while ((option = getopt(argc, argv, "p:l:r:n:u:c:S:C:K:T")) != -1) {
		if (option == '?')
			return false;
		if (option == 'C')
			bulk.cert = optarg;
		if (option == 'K')
			bulk.key = optarg;
		bulk.use_tls |= option == 'T';
		for (size_t i = 0; i < sizeof numbers / sizeof *numbers; i++)
			if (numbers[i].option == option)
				good &= str_u64(str_c(optarg), numbers[i].most, numbers[i].to);
	}
	bulk.port[ONPREM] = (uint16_t)onprem;
	bulk.port[CLOUD] = (uint16_t)cloud;
	return good && bulk.letters.people >= PEOPLE_MIN && bulk.messages > 0 && bulk.connections > 0 &&
	       net_parse_ip(S("127.0.0.1"), (uint16_t)gateway, &bulk.gateway);
}

int main(int argc, char **argv)
{
	bulk.messages = 10000;
	bulk.letters.people = 6000;
	bulk.connections = 40;
	bulk.letters.seed = 1;
	if (argc < 2 || !read_options(argc - 1, argv + 1)) {
		fputs(usage, stderr);
		return 2;
	}
	if (strcmp(argv[1], "table") == 0)
		return table();
	if (strcmp(argv[1], "run") != 0 || bulk.cert == NULL || bulk.key == NULL || bulk.port[ONPREM] == 0 ||
	    bulk.port[CLOUD] == 0) {
		fputs(usage, stderr);
		return 2;
	}
	log_open(NULL, LOG_LEVEL_ERROR, LOG_FORMAT_TEXT);
	signal(SIGPIPE, SIG_IGN);
	return run();
}
