/* tests/tools/queue_bench.c: what the queue alone can do: N senders that each wait for their commit, every lease
 * settled at once as delivered, one loop, one commit thread.
 *
 *   queue_bench DIR [MESSAGES [BYTES]]     prints messages/s, syncs and CPU a message at 1, 10 and 50 senders
 *   queue_bench DIR drain MESSAGES         fills the schedule, reopens, prints messages/s from disk to settled
 *   queue_bench DIR fill MESSAGES          defers all of them, prints memory
 *   queue_bench DIR straggle MESSAGES      defers each hundredth, prints what that leaves on disk
 *   queue_bench DIR scale MESSAGES         defers all of them for 10,000 destinations and dies; then what it costs to
 *                                          open, list, make due and drain so many, a message */
#include "base/log.h"
#include "base/time.h"
#include "queue/queue.h"

#include "base/must.h"

#include <signal.h>
#include <sys/resource.h>
#include <sys/wait.h>
#include <unistd.h>

enum { SENDERS_MAX = 1000, REST = 200, DESTINATIONS = 10000, PAGE = 500 };

struct sender {
	struct commit commit;
	struct bench *bench;
};

struct bench {
	struct loop *loop;
	struct queue *queue;
	struct queue_port *port;
	struct sender senders[SENDERS_MAX];
	struct loop_timer start;
	size_t sender_n;
	char *content;
	size_t content_n;
	uint64_t to_send, sent, acked, settled, want_settled;
	unsigned defer_each; /* 0 = none */
	bool many;           /* destinations */
	struct queue_filter filter;
	struct queue_query query;
	struct queue_order order;
	uint64_t listed;
};

static struct conf_queue conf = { .segment_bytes = 64 << 20,
				  .segment_message_max = 1 << 20,
				  .map_bytes = UINT64_C(4) << 30,
				  .checkpoint_ms = 1000,
				  .settle_window_ms = 100,
				  .active_max = 2000,
				  .memory_max = 256 << 20 };

static void on_commit(struct op *op);

static void send_one(struct sender *s)
{
	struct bench *b = s->bench;
	char addr[40];
	snprintf(addr, sizeof addr, "sink@d%u.example", b->many ? (unsigned)(b->sent % DESTINATIONS) : 0);
	struct env_rcpt rcpt = { .addr = str_c(addr) };
	struct envelope env = { .from = S("bench@src.example"),
				.client = S("127.0.0.1"),
				.helo = S("load.example"),
				.receive = S("default"),
				.trace_id = S("0f8fad5b-d9cb-469f-a165-70867728950e"),
				.arrived_ms = clock_wall_ms(),
				.rcpts = &rcpt,
				.rcpt_n = 1 };
	struct err e;

	if (b->sent == b->to_send)
		return;
	b->sent++;
	struct spool *spool = spool_begin(b->port, &e);
	must(spool != NULL);
	must(spool_write(spool, str_n(b->content, b->content_n), &e) == 0);
	spool_commit(&spool, &env, &s->commit, on_commit);
}

static void finish_if_done(struct bench *b)
{
	if (b->acked == b->to_send && b->settled >= b->want_settled)
		loop_stop(b->loop);
}

static void on_commit(struct op *op)
{
	struct sender *s = container_of(op, struct sender, commit.op);

	if (!s->commit.ok)
		fprintf(stderr, "commit: %s\n", s->commit.err.text);
	must(s->commit.ok);
	s->bench->acked++;
	send_one(s);
	finish_if_done(s->bench);
}

static void on_lease(void *arg, struct lease *l)
{
	struct bench *b = arg;
	bool defer = b->defer_each > 0 && b->settled % b->defer_each == 0;
	struct outcome o = { .kind = defer ? OUTCOME_DEFERRED : OUTCOME_DELIVERED,
			     .due_ms = clock_wall_ms() + 86400000,
			     .text = S("451 4.4.1 connection refused") };

	lease_settle(&l, &o, 1);
	b->settled++;
	finish_if_done(b);
}

static double seconds(struct timeval t)
{
	return (double)t.tv_sec + (double)t.tv_usec / 1e6;
}

static double cpu_s(void)
{
	struct rusage u;

	getrusage(RUSAGE_SELF, &u);
	return seconds(u.ru_utime) + seconds(u.ru_stime);
}

static double now_s(void)
{
	struct timespec t;

	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

static void start(struct loop_timer *t)
{
	struct bench *b = container_of(t, struct bench, start);

	for (size_t i = 0; i < b->sender_n; i++)
		send_one(&b->senders[i]);
}

static void open_queue(struct bench *b, bool leases)
{
	struct queue_recovery found;
	struct err e;

	b->loop = loop_new(&e);
	b->queue = queue_open(&conf, &found, &e);
	if (b->queue == NULL)
		fprintf(stderr, "%s\n", e.text);
	must(b->loop != NULL && b->queue != NULL);
	b->port = queue_attach(b->queue, b->loop, leases ? on_lease : NULL, b);
}

static void close_queue(struct bench *b)
{
	queue_detach(&b->port);
	queue_close(&b->queue);
	loop_free(&b->loop);
}

static void run(struct bench *b, size_t senders, uint64_t messages)
{
	struct queue_stats before, after;

	for (size_t i = 0; i < senders; i++)
		b->senders[i] = (struct sender){ .bench = b };
	b->sender_n = senders;
	b->to_send = messages;
	b->sent = b->acked = b->settled = 0;
	loop_timer_init(b->loop, &b->start, start);
	loop_timer_set(&b->start, 0);
	queue_stats(b->queue, &before);
	double t = now_s(), cpu = cpu_s();
	loop_run(b->loop);
	t = now_s() - t, cpu = cpu_s() - cpu;
	queue_stats(b->queue, &after);
	printf("%4zu senders: %8.0f messages/s, %.3f syncs a message, %5.1f us CPU a message\n", senders,
	       (double)messages / t, (double)(after.syncs - before.syncs) / (double)messages,
	       cpu * 1e6 / (double)messages);
}

static void print_memory(const char *when)
{
	char line[200];
	FILE *f = fopen("/proc/self/status", "re");

	while (f != NULL && fgets(line, sizeof line, f) != NULL)
		if (strncmp(line, "VmRSS", 5) == 0 || strncmp(line, "RssAnon", 7) == 0)
			printf("%s: %s", when, line);
	if (f != NULL)
		fclose(f);
}

static void drain(struct bench *b, uint64_t messages)
{
	open_queue(b, false);
	b->want_settled = 0;
	run(b, 200, messages);
	close_queue(b);
	*b = (struct bench){ .content = b->content, .content_n = b->content_n, .want_settled = messages };
	double t = now_s(), cpu = cpu_s();
	open_queue(b, true);
	loop_run(b->loop);
	t = now_s() - t, cpu = cpu_s() - cpu;
	printf("drained %llu: %.0f messages/s, %.1f us CPU a message, opening included\n", (unsigned long long)messages,
	       (double)messages / t, cpu * 1e6 / (double)messages);
	close_queue(b);
}

static void fill(struct bench *b, uint64_t messages)
{
	b->defer_each = 1;
	b->want_settled = messages;
	open_queue(b, true);
	print_memory("empty");
	run(b, 200, messages);
	print_memory("deferred");
	close_queue(b);
	double t = now_s();
	open_queue(b, true);
	printf("opened again in %.3f s\n", now_s() - t);
	print_memory("opened");
	close_queue(b);
}

static void straggle(struct bench *b, uint64_t messages)
{
	struct queue_stats s;

	b->defer_each = 100;
	b->want_settled = messages;
	open_queue(b, true);
	run(b, 50, messages);
	for (int i = 0; i < 4; i++) {
		queue_stats(b->queue, &s);
		printf("%ju waiting messages, %ju MiB: %ju segments, %ju MiB; %ju moved\n", s.messages, s.bytes >> 20,
		       s.segments, s.segment_bytes >> 20, s.moved);
		sleep(1);
	}
	close_queue(b);
}

/* ---- a queue of any length ---- */

static void list_page(struct bench *b);

static void on_page(struct op *op)
{
	struct bench *b = container_of(op, struct bench, query.op);

	must(b->query.ok);
	b->listed += b->query.row_n;
	bool more = b->query.more;
	if (more)
		b->filter.after_id = b->query.rows[b->query.row_n - 1].id;
	queue_query_fini(&b->query);
	if (more)
		list_page(b);
	else
		loop_stop(b->loop);
}

static void list_page(struct bench *b)
{
	b->filter.max = PAGE;
	queue_query(b->port, &b->filter, &b->query, on_page);
}

static void start_list(struct loop_timer *t)
{
	list_page(container_of(t, struct bench, start));
}

static void on_obeyed(struct op *op)
{
	must(container_of(op, struct bench, order.op)->order.ok);
}

static void start_retry(struct loop_timer *t)
{
	struct bench *b = container_of(t, struct bench, start);

	queue_order(b->port, &b->filter, QUEUE_RETRY, false, &b->order, on_obeyed);
}

static void measure(struct bench *b, const char *what, void (*begin)(struct loop_timer *), uint64_t messages)
{
	double t = now_s(), cpu = cpu_s();

	loop_timer_init(b->loop, &b->start, begin);
	loop_timer_set(&b->start, 0);
	loop_run(b->loop);
	t = now_s() - t, cpu = cpu_s() - cpu;
	printf("%-20s %7.3f s, %6.2f us a message, %6.2f us CPU\n", what, t, t * 1e6 / (double)messages,
	       cpu * 1e6 / (double)messages);
}

/* Acknowledged and deferred, one checkpoint behind; then it dies. */
static void fill_and_die(struct bench *b, uint64_t messages)
{
	b->defer_each = 1;
	b->many = true;
	b->want_settled = messages;
	open_queue(b, true);
	run(b, 200, messages);
	print_memory("filled");
	fflush(stdout);
	kill(getpid(), SIGKILL);
}

static void scale(struct bench *b, uint64_t messages)
{
	struct queue_stats s;
	int status;
	pid_t child = fork();

	if (child == 0)
		fill_and_die(b, messages);
	must(waitpid(child, &status, 0) == child && WIFSIGNALED(status));
	double t = now_s();
	b->defer_each = 1; /* what was settled in the last moment is due again */
	b->want_settled = UINT64_MAX;
	open_queue(b, true);
	queue_stats(b->queue, &s);
	printf("%-20s %7.3f s, %6.2f us a message; %ju waiting\n", "opened after a crash", now_s() - t,
	       (now_s() - t) * 1e6 / (double)messages, s.messages);
	print_memory("opened");
	measure(b, "listed", start_list, messages);
	must(b->listed == s.messages);
	b->filter.after_id = 0;
	b->defer_each = 0;
	b->settled = 0;
	b->want_settled = s.messages;
	measure(b, "made due and drained", start_retry, messages);
	print_memory("drained");
	close_queue(b);
}

int main(int argc, char **argv)
{
	static struct bench b;
	uint64_t messages = 100000, bytes = 10240;
	size_t senders[] = { 1, 10, 50 };
	const char *mode = argc > 2 ? argv[2] : "";

	if (argc < 2)
		return 2;
	setvbuf(stdout, NULL, _IOLBF, 0);
	conf.path = str_c(argv[1]);
	if (argc > 3)
		str_u64(str_c(argv[3]), UINT64_MAX, chr_is_digit(mode[0]) ? &bytes : &messages);
	if (chr_is_digit(mode[0]))
		str_u64(str_c(mode), UINT64_MAX, &messages);
	b.content_n = bytes;
	b.content = malloc(bytes);
	must(b.content != NULL);
	memset(b.content, 'x', bytes);
	if (strcmp(mode, "drain") == 0) {
		drain(&b, messages);
	} else if (strcmp(mode, "straggle") == 0) {
		straggle(&b, messages);
	} else if (strcmp(mode, "scale") == 0) {
		b.content_n = bytes = 512;
		scale(&b, messages);
	} else if (strcmp(mode, "fill") == 0) {
		b.content_n = bytes = 512;
		fill(&b, messages);
	} else {
		for (size_t i = 0; i < sizeof senders / sizeof senders[0]; i++) {
			open_queue(&b, true);
			sleep(1); /* the second segment is being filled with zeros */
			b.want_settled = senders[i] == 1 ? messages / 5 : messages;
			run(&b, senders[i], b.want_settled);
			close_queue(&b);
		}
	}
	free(b.content);
	return 0;
}
