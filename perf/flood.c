/* perf/flood.c: one hostile client, as the rows DoS-2, -4 and -5 of the hardening list describe it.
 *
 * It says a prologue line by line, then the same unit again and again without a pause, and at last an epilogue, and
 * looks at what it hears meanwhile (or, as `unread`, at nothing).  One JSON line tells how much was taken, the last
 * answer, and whether the server hung up.  Ends when the server closes, when the last answer is there, or after the
 * time. */
#include "perf/perf.h"

#include "base/must.h"
#include "base/net.h"

#include <errno.h>
#include <getopt.h>
#include <poll.h>
#include <unistd.h>

static const char usage[] = "usage: flood -p PORT [-n TIMES] [-t SECONDS] ATTACK\n"
			    "ATTACK: noop rset vrfy ehlo unread unknown command-line header-line body-line\n"
			    "        header-size header-fields header-fold\n";

#define LINE64  "xxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxxx"
#define LINE512 LINE64 LINE64 LINE64 LINE64 LINE64 LINE64 LINE64 LINE64
#define LINE1K  LINE512 LINE512
#define TO_DATA "EHLO flood.example", "MAIL FROM:<flood@x.example>", "RCPT TO:<someone@relay.example>", "DATA"

enum { PROLOGUE_MAX = 8, PIECE_MAX = 4096, NUMBER_ROOM = 24 };

static const struct attack {
	const char *name;
	const char *prologue[PROLOGUE_MAX];
	const char *start, *unit, *end; /* `%` in the unit: its number */
	unsigned times;
	bool lockstep, deaf;
} attacks[] = {
	{ "noop", { "EHLO x" }, "", "NOOP\r\n", "QUIT\r\n", 100000, false, false },
	{ "rset", { "EHLO x" }, "", "RSET\r\n", "QUIT\r\n", 100000, false, false },
	{ "vrfy", { "EHLO x" }, "", "VRFY user%\r\n", "QUIT\r\n", 100000, true, false },
	{ "ehlo", { "EHLO x" }, "", "EHLO host%.example\r\n", "QUIT\r\n", 100000, true, false },
	{ "unread",
	  { "EHLO x", "MAIL FROM:<flood@x.example>" },
	  "",
	  "RCPT TO:<guess%@perf.example>\r\n",
	  "QUIT\r\n",
	  200000,
	  false,
	  true },
	{ "unknown",
	  { "EHLO x", "MAIL FROM:<flood@x.example>" },
	  "",
	  "RCPT TO:<guess%@perf.example>\r\n",
	  "QUIT\r\n",
	  100000,
	  false,
	  false },
	{ "command-line", { "EHLO x" }, "", LINE1K, "\r\nQUIT\r\n", 1024, false, false },
	{ "header-line", { TO_DATA }, "Subject: ", LINE1K, "\r\n\r\nhi\r\n.\r\n", 1024, false, false },
	{ "body-line", { TO_DATA }, "Subject: flood\r\n\r\n", LINE1K, "\r\n.\r\n", 1024, false, false },
	{ "header-size", { TO_DATA }, "", "X-Flood: " LINE1K "\r\n", "\r\nhi\r\n.\r\n", 100 * 1024, false, false },
	{ "header-fields", { TO_DATA }, "", "X: y\r\n", "\r\nhi\r\n.\r\n", 100000, false, false },
	{ "header-fold", { TO_DATA }, "X-Fold: y\r\n", "\t" LINE1K "\r\n", "\r\nhi\r\n.\r\n", 10 * 1024, false, false },
};

struct flood {
	const struct attack *attack;
	int fd;
	uint64_t end_ns, sent, replies;
	char line[512]; /* the answer that is coming */
	size_t line_n;
	char last[512]; /* the last whole one */
	bool closed;
};

static int rest_ms(const struct flood *f)
{
	uint64_t now = now_ns();

	return now >= f->end_ns ? 0 : (int)((f->end_ns - now) / 1000000) + 1;
}

static void take_octet(struct flood *f, char c)
{
	if (f->line_n + 1 < sizeof f->line)
		f->line[f->line_n++] = c == '"' || c == '\\' ? '\'' : c; /* it goes into JSON */
	if (c != '\n')
		return;
	f->line[f->line_n] = '\0';
	if (f->line_n > 3 && f->line[3] != '-') {
		f->line[strcspn(f->line, "\r\n")] = '\0';
		memcpy(f->last, f->line, f->line_n + 1);
		f->replies++;
	}
	f->line_n = 0;
}

static void take_replies(struct flood *f)
{
	char room[PIECE_MAX];
	ssize_t n = recv(f->fd, room, sizeof room, MSG_DONTWAIT);

	if (n == 0 || (n < 0 && errno != EAGAIN && errno != EINTR))
		f->closed = true;
	for (ssize_t i = 0; i < n; i++)
		take_octet(f, room[i]);
}

/* Waits until it may write (or until `replies` answers are there), reading meanwhile. */
static bool wait_for(struct flood *f, bool write, uint64_t replies)
{
	bool deaf = f->attack->deaf && write;

	while (!f->closed && rest_ms(f) > 0) {
		struct pollfd p = { f->fd, (short)((deaf ? 0 : POLLIN) | (write ? POLLOUT : 0)), 0 };
		if (!write && f->replies >= replies)
			return true;
		if (poll(&p, 1, rest_ms(f)) <= 0)
			continue;
		if (p.revents & (POLLIN | POLLERR | POLLHUP))
			take_replies(f);
		if (write && (p.revents & POLLOUT) && !f->closed)
			return true;
	}
	return false;
}

static bool say(struct flood *f, const char *text, size_t n)
{
	while (n > 0) {
		if (!wait_for(f, true, 0))
			return false;
		ssize_t went = send(f->fd, text, n, MSG_NOSIGNAL | MSG_DONTWAIT);
		if (went < 0 && errno != EAGAIN && errno != EINTR) {
			f->closed = true;
			take_replies(f); /* what it said before it went */
			return false;
		}
		if (went > 0) {
			text += went;
			n -= (size_t)went;
			f->sent += (uint64_t)went;
		}
	}
	return true;
}

static bool say_unit(struct flood *f, unsigned i)
{
	const char *unit = f->attack->unit, *number = strchr(unit, '%');
	char text[PIECE_MAX];
	int n;

	if (number != NULL)
		n = snprintf(text, sizeof text, "%.*s%u%s", (int)(number - unit), unit, i, number + 1);
	else
		n = snprintf(text, sizeof text, "%s", unit);
	must(n > 0 && (size_t)n < sizeof text);
	return say(f, text, (size_t)n) && (!f->attack->lockstep || wait_for(f, false, f->replies + 1));
}

static void attack(struct flood *f, unsigned times)
{
	const struct attack *a = f->attack;
	bool going = wait_for(f, false, 1);
	char text[PIECE_MAX];

	for (size_t i = 0; going && i < PROLOGUE_MAX && a->prologue[i] != NULL; i++) {
		int n = snprintf(text, sizeof text, "%s\r\n", a->prologue[i]);
		uint64_t before = f->replies;
		going = say(f, text, (size_t)n) && wait_for(f, false, before + 1);
	}
	going = going && say(f, a->start, strlen(a->start));
	for (unsigned i = 0; going && i < times; i++)
		going = say_unit(f, i);
	uint64_t before = f->replies;
	if (going && say(f, a->end, strlen(a->end)))
		wait_for(f, false, a->deaf ? UINT64_MAX : before + 1);
	while (!f->closed && wait_for(f, false, f->replies + 1) && a->prologue[1] == NULL)
		; /* until it hangs up: QUIT was said */
}

static const struct attack *attack_find(const char *name)
{
	for (size_t i = 0; i < sizeof attacks / sizeof attacks[0]; i++)
		if (strcmp(attacks[i].name, name) == 0)
			return &attacks[i];
	return NULL;
}

int main(int argc, char **argv)
{
	struct flood f = { 0 };
	struct net_addr to;
	uint64_t port = 0, seconds = 20, times = 0;
	struct err e;
	int c;

	while ((c = getopt(argc, argv, "p:n:t:")) != -1)
		if (!str_u64(str_c(optarg), 1000000000, c == 'p' ? &port : c == 'n' ? &times : &seconds))
			c = '?';
	f.attack = optind + 1 == argc ? attack_find(argv[optind]) : NULL;
	if (f.attack == NULL || port == 0) {
		fputs(usage, stderr);
		return 2;
	}
	must(net_parse_ip(S("127.0.0.1"), (uint16_t)port, &to));
	uint64_t began = now_ns();
	f.end_ns = began + seconds * 1000000000;
	f.fd = net_connect(&to, NULL, &e);
	if (f.fd < 0) {
		fprintf(stderr, "flood: %s\n", e.text);
		return 1;
	}
	if (f.attack->deaf)
		setsockopt(f.fd, SOL_SOCKET, SO_RCVBUF, &(int){ 4096 }, sizeof(int));
	attack(&f, times > 0 ? (unsigned)times : f.attack->times);
	printf("{\"attack\": \"%s\", \"sent\": %llu, \"replies\": %llu, \"last\": \"%.*s\", \"closed\": %s, \"s\": %.2f}\n",
	       f.attack->name, (unsigned long long)f.sent, (unsigned long long)f.replies, 60, f.last,
	       f.closed ? "true" : "false", (double)(now_ns() - began) / 1e9);
	close(f.fd);
	return 0;
}
