/* tests/tools/explain_check.c: does `route explain` tell what really happened?
 *
 *   explain_check make DIR SEED PORT SINK     a random gateway: DIR/tombolo.conf, DIR/people.csv
 *   explain_check send DIR SEED N PORT        N random transactions by SMTP to PORT (strangers) and PORT + 1 (servers)
 *   explain_check check DIR                   each recorded decision against explain() on the same files
 *
 * The gateway in between is the real one; its tracking log is the record.  Last line of check: `N passed, N failed`.
 * Clients differ by their loopback address: 127.0.0.2 and .3 are the other side, .4 is a partner, all others nobody. */
#include "base/must.h"
#include "base/net.h"
#include "smtpd/control_track.h"
#include "smtpd/explain.h"

#include <errno.h>
#include <poll.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

enum { PEOPLE = 400, MEMORY = 4 << 20, BIG = 20000 };

static uint64_t state;

static unsigned draw(unsigned n) /* 0 .. n - 1 */
{
	state = state * 6364136223846793005ULL + 1442695040888963407ULL;
	return (unsigned)(state >> 33) % n;
}

static const char *one_of(const char *const *words)
{
	unsigned n = 0;

	while (words[n] != NULL)
		n++;
	return words[draw(n)];
}
#define ONE_OF(...) one_of((const char *const[]){ __VA_ARGS__, NULL })

static uint64_t number(const char *text)
{
	uint64_t n;

	must(str_u64(str_c(text), UINT64_MAX, &n));
	return n;
}

/* ---- make ---- */

static FILE *create(const char *dir, const char *name)
{
	char path[4096];

	snprintf(path, sizeof path, "%s/%s", dir, name);
	FILE *f = fopen(path, "w");
	must(f != NULL);
	return f;
}

static void make_connectors(FILE *f, unsigned port, unsigned sink)
{
	fprintf(f,
		"receive \"inet\" { listen = \"127.0.0.1:%u\"; permissions = anonymous; tarpit = 0; starttls = no }\n",
		port);
	fprintf(f, "receive \"hub\" { listen = \"127.0.0.1:%u\"; permissions = %s; tarpit = 0; starttls = no }\n",
		port + 1, ONE_OF("servers", "users"));
	fprintf(f,
		"inbound \"cloud\" { type = peer; sender_ip = { \"127.0.0.2\", \"127.0.0.3\" }; ip_trust = full\n"
		"  ip_trust_until = \"2099-01-01\"; require_tls = no; trusted_orgs = \"contoso.com\"; return_internal = %s; peer_relay = %s }\n",
		ONE_OF("yes", "no"), ONE_OF("yes", "no"));
	fprintf(f,
		"inbound \"partner\" { type = partner; sender_ip = \"127.0.0.4\"; sender_domains = \"partner.example\"; require_tls = no }\n");
	fprintf(f,
		"send \"to-peer\" { space = { \"contoso.mail.cloud.example\", \"@peer\" }; smarthosts = \"[127.0.0.1]:%u\"; tls = none; peer = yes%s }\n",
		sink, ONE_OF("", "", "; max_size = 10K"));
	fprintf(f, "send \"mailboxes\" { space = \"@local\"; smarthosts = \"[127.0.0.1]:%u\"; tls = none%s }\n", sink,
		ONE_OF("", "", "; max_size = 10K"));
	fprintf(f, "send \"internet\" { space = \"*;10\"; smarthosts = \"[127.0.0.1]:%u\"; tls = none }\n", sink);
	if (draw(2) == 0)
		fprintf(f,
			"send \"fabrikam\" { space = \"*.fabrikam.example\"; smarthosts = \"[127.0.0.1]:%u\"; tls = none%s }\n",
			sink, ONE_OF("", "; exclusive = yes; enabled = no"));
}

static void make_conf(const char *dir, unsigned port, unsigned sink)
{
	FILE *f = create(dir, "tombolo.conf");

	fprintf(f, "hostname = mail.contoso.com\nsite = %s\nresolvers = 127.0.0.1\nloops = 2\nstatus_codes = %s\n",
		ONE_OF("onprem", "cloud"), ONE_OF("standard", "exchange"));
	fprintf(f,
		"control = \"%s/control\"\nqueue { path = \"%s/queue\"; retry_first = 1d; retry_max_interval = 1d; keep_free = 0 }\n",
		dir, dir);
	fprintf(f,
		"recipients { path = \"%s/recipients\" }\nlog { file = \"%s/log\" }\ntrack { path = \"%s/track.jsonl\" }\n",
		dir, dir, dir);
	fprintf(f, "limits { connections = 1000; connections_per_ip = 1000; errors = 1000; junk_commands = 10000 }\n");
	fprintf(f, "mode { mx = %s; cmt = %s; grace = %s; stragglers = %s; cmt_forwarded = %s }\n",
		ONE_OF("onprem", "cloud"), ONE_OF("on", "off"), ONE_OF("0", "72h"), ONE_OF("tag", "defer", "reject"),
		ONE_OF("return", "direct"));
	fprintf(f, "egress { onprem = %s; cmt = %s }\n", ONE_OF("direct", "cloud"), ONE_OF("direct", "cloud"));
	fprintf(f, "loop { move_grace = %s; disagreement_defer = %s }\n", ONE_OF("0", "2h"), ONE_OF("0", "4h"));
	fprintf(f,
		"domain \"contoso.com\" { %s; routing_domain = contoso.mail.cloud.example; default = yes; routing_public = %s }\n",
		ONE_OF("type = authoritative", "type = authoritative; peer_type = internal-relay",
		       "type = internal-relay; peer_type = authoritative"),
		ONE_OF("yes", "no"));
	fprintf(f, "domain \"own.cloud.example\" { own_routing = yes }\n");
	fprintf(f, "domain \"relayed.example\" { type = external-relay; relay_to = \"host:127.0.0.1:%u\" }\n", sink);
	make_connectors(f, port, sink);
	must(fclose(f) == 0);
}

static void make_people(const char *dir)
{
	FILE *f = create(dir, "people.csv");

	fprintf(f, "address,loc,routing,redirect,require_auth,local_host\n");
	for (int i = 0; i < PEOPLE; i++) {
		const char *auth = draw(12) == 0 ? "yes" : "no";
		switch (draw(8)) {
		case 0:
			fprintf(f, "p%d@contoso.com,group,%s,,%s,\n", i, "", auth);
			break;
		case 1:
			fprintf(f, "p%d@contoso.com,redirect,,%s,%s,\n", i,
				ONE_OF("x@example.net", "p1@contoso.com", "y@fabrikam.example", "p2@contoso.com"),
				auth);
			break;
		case 2:
			fprintf(f, "p%d@contoso.com,disabled,,,no,\n", i);
			break;
		case 3:
		case 4:
			fprintf(f, "p%d@contoso.com,local,,,%s,\n", i, auth);
			break;
		default:
			fprintf(f, "p%d@contoso.com,remote,p%d@contoso.mail.cloud.example,,%s,\n", i, i, auth);
		}
	}
	must(fclose(f) == 0);
}

/* ---- send ---- */

struct talk {
	int fd;
	char in[8192];
	size_t n;
};

static void say(struct talk *t, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
static void say(struct talk *t, const char *fmt, ...)
{
	struct buf b;
	va_list ap;

	buf_init(&b, 4096);
	va_start(ap, fmt);
	buf_vaddf(&b, fmt, ap);
	va_end(ap);
	for (size_t at = 0; at < b.n;) {
		ssize_t n = write(t->fd, b.p + at, b.n - at);
		must(n > 0 || errno == EINTR || errno == EAGAIN);
		at += n > 0 ? (size_t)n : 0;
		if (n < 0)
			poll(&(struct pollfd){ t->fd, POLLOUT, 0 }, 1, 1000);
	}
	buf_fini(&b);
}

/* The code of the next reply. */
static int hear(struct talk *t)
{
	for (;;) {
		char *end = memchr(t->in, '\n', t->n);
		if (end != NULL) {
			size_t n = (size_t)(end - t->in) + 1;
			bool last = n < 5 || t->in[3] != '-';
			int code = (t->in[0] - '0') * 100 + (t->in[1] - '0') * 10 + (t->in[2] - '0');
			memmove(t->in, t->in + n, t->n - n);
			t->n -= n;
			if (last)
				return code;
			continue;
		}
		poll(&(struct pollfd){ t->fd, POLLIN, 0 }, 1, 10000);
		ssize_t n = read(t->fd, t->in + t->n, sizeof t->in - t->n);
		must(n > 0);
		t->n += (size_t)n;
	}
}

static void put_rcpt(char *to, size_t room)
{
	unsigned i = draw(PEOPLE + 20); /* the last ones nobody has */

	switch (draw(10)) {
	case 0:
		snprintf(to, room, "p%u@contoso.mail.cloud.example", i);
		break;
	case 1:
		snprintf(to, room, "p%u@own.cloud.example", i);
		break;
	case 2:
		snprintf(to, room, "x%u@%s", i,
			 ONE_OF("example.net", "fabrikam.example", "a.fabrikam.example", "relayed.example"));
		break;
	case 3:
		snprintf(to, room, "p%u+tag@contoso.com", i);
		break;
	default:
		snprintf(to, room, "p%u@contoso.com", i);
	}
}

static const char *pick_sender(void)
{
	return ONE_OF("", "p3@contoso.com", "a@x.example", "b@partner.example", "p7@contoso.com");
}

static void transaction(struct talk *t)
{
	char rcpt[200];
	unsigned n = 1 + draw(4), taken = 0;

	say(t, "MAIL FROM:<%s>\r\n", pick_sender());
	if (hear(t) != 250)
		return;
	while (n-- > 0) {
		put_rcpt(rcpt, sizeof rcpt);
		say(t, "RCPT TO:<%s>\r\n", rcpt);
		taken += hear(t) == 250;
	}
	if (taken == 0) {
		say(t, "RSET\r\n");
		hear(t);
		return;
	}
	say(t, "DATA\r\n");
	if (hear(t) != 354)
		return;
	say(t, "Message-ID: <%u.%u@x.example>\r\n", draw(1000000), draw(1000000));
	if (draw(2) == 0)
		say(t, "X-OriginatorOrg: %s\r\n", ONE_OF("contoso.com", "other.example"));
	if (draw(2) == 0)
		say(t, "X-MS-Exchange-CrossPremises-AuthAs: %s\r\n", ONE_OF("Internal", "Anonymous"));
	say(t, "\r\n");
	for (unsigned left = draw(3) == 0 ? BIG / 50 : 1; left > 0; left--)
		say(t, "0123456789012345678901234567890123456789012345678\r\n");
	say(t, ".\r\n");
	hear(t);
}

static void talk_once(unsigned port, unsigned n)
{
	struct talk t = { .fd = -1 };
	struct net_addr to, from;
	struct err e = { 0 };
	char text[64];

	snprintf(text, sizeof text, "127.0.0.%u", 1 + draw(6));
	must(net_parse_ip(S("127.0.0.1"), (uint16_t)(port + draw(2)), &to) && net_parse_ip(str_c(text), 0, &from));
	t.fd = net_connect(&to, &from, &e);
	must(t.fd >= 0);
	must(hear(&t) == 220);
	say(&t, "EHLO check.example\r\n");
	must(hear(&t) == 250);
	while (n-- > 0)
		transaction(&t);
	say(&t, "QUIT\r\n");
	hear(&t);
	close(t.fd);
}

/* ---- check ---- */

struct check {
	const struct config *config;
	struct routing *routing;
	json_t *received; /* queue id -> RECEIVE */
	uint64_t passed, failed;
};

static void ignore_line(void *arg, const struct explain_line *l)
{
	(void)arg;
	(void)l;
}

static bool keep_received(void *arg, const json_t *event)
{
	struct check *c = arg;

	if (str_eq(track_text(event, "event-id"), S("RECEIVE")))
		json_object_set(c->received, track_text(event, "internal-message-id").p, (json_t *)(uintptr_t)event);
	return true;
}

static void compare(struct check *c, const json_t *event, const char *what, struct str told, struct str happened)
{
	if (str_eq(told, happened)) {
		c->passed++;
		return;
	}
	char *text = json_dumps(event, 0);
	if (c->failed++ < 20)
		printf("%s: explain says \"" STR_FMT "\", it was \"" STR_FMT "\": %s\n", what, STR_ARG(told),
		       STR_ARG(happened), text);
	free(text);
}

/* What the session knew, as a question.  `caller` is the event of the session: RECEIVE, or FAIL at RCPT. */
static bool make_question(const json_t *caller, struct str rcpt, uint64_t size, struct explain_query *q)
{
	struct str class = track_text(caller, "class"), from = track_text(caller, "sender-address");

	*q = (struct explain_query){ .rcpt = rcpt,
				     .from = str_eq(from, S("<>")) ? STR_NONE : from,
				     .ip = track_text(caller, "client-ip"),
				     .via = track_text(caller, "connector-id"),
				     .claim = track_text(caller, "tenant-id"),
				     .class = str_eq(class, S("INT")) ? ENV_CLASS_INT : ENV_CLASS_NONE,
				     .size = size };
	return true;
}

static bool set_mode(const json_t *event, struct explain_query *q)
{
	struct str mode = track_text(event, "mode");

	if (mode.n != 2)
		return false;
	q->has_mode = true;
	q->mx = mode.p[1] == '2' || mode.p[1] == '3' ? SIDE_CLOUD : SIDE_ONPREM;
	q->cmt = mode.p[1] >= '3';
	return true;
}

static struct str status_of(const struct explain_result *r, char *room, size_t n)
{
	snprintf(room, n, "%d %u.%u.%u", r->reply.code, r->reply.class, r->reply.subject, r->reply.detail);
	return str_c(room);
}

static void check_rcpt(struct check *c, const json_t *event, const json_t *caller, struct str rcpt)
{
	struct str kind = track_text(event, "event-id"), status = track_text(event, "recipient-status");
	bool sent = str_eq(kind, S("SEND")), received = str_eq(kind, S("RECEIVE"));
	struct explain_query q;
	struct explain_result r;
	struct arena arena;
	struct err e = { 0 };
	char room[64];

	make_question(caller, rcpt, received ? 0 : (uint64_t)json_integer_value(json_object_get(event, "total-bytes")),
		      &q);
	if (!set_mode(event, &q))
		return; /* refused before routing was asked */
	arena_init(&arena, MEMORY);
	if (explain(c->config, c->routing, &q, &arena, ignore_line, NULL, &r, &e) != 0) {
		compare(c, event, "error", str_c(e.text), STR_NONE);
	} else {
		compare(c, event, "origin", str_c(r.origin), track_text(event, "origin"));
		compare(c, event, "receive", r.receive, track_text(caller, "connector-id"));
		compare(c, event, "inbound", r.inbound, track_text(caller, "inbound"));
		if (!received) {
			compare(c, event, "rule", str_c(r.rule), track_text(event, "rule"));
			compare(c, event, "reason", str_c(r.reason), track_text(event, "reason"));
		}
		if (sent) {
			compare(c, event, "connector", r.connector, track_text(event, "connector-id"));
			compare(c, event, "address", r.rcpt, track_rcpt(event, 0));
			compare(c, event, "next", str_c(r.next), track_text(event, "next"));
			compare(c, event, "straggler", r.straggler ? S("yes") : S(""), track_text(event, "straggler"));
		} else if (!received) {
			status = str_head(status, status_of(&r, room, sizeof room).n);
			compare(c, event, "status", status_of(&r, room, sizeof room), status);
		}
	}
	arena_fini(&arena);
}

/* A message that was refused as a whole, for the sake of some recipient: that one's explanation is the reason. */
static void check_refused(struct check *c, const json_t *event)
{
	struct explain_query q;
	struct explain_result r;
	struct str reason = STR_NONE;
	struct arena arena;
	struct err e = { 0 };
	char status[64];

	arena_init(&arena, MEMORY);
	for (size_t i = 0; i < track_rcpt_n(event) && reason.n == 0; i++) {
		make_question(event, track_rcpt(event, i), 0, &q);
		must(set_mode(event, &q));
		if (explain(c->config, c->routing, &q, &arena, ignore_line, NULL, &r, &e) == 0 &&
		    str_eq(str_c(r.reason), track_text(event, "reason")) &&
		    str_starts(track_text(event, "recipient-status"), status_of(&r, status, sizeof status)))
			reason = str_c(r.reason);
	}
	compare(c, event, "refused", reason, track_text(event, "reason"));
	arena_fini(&arena);
}

static bool check_event(void *arg, const json_t *event)
{
	struct check *c = arg;
	struct str kind = track_text(event, "event-id"), queue_id = track_text(event, "internal-message-id");
	struct str related = track_text(event, "related-recipient-address");
	const json_t *caller = queue_id.n > 0 ? json_object_get(c->received, queue_id.p) : event;

	if (str_eq(track_text(event, "origin"), S("SELF")) || caller == NULL)
		return true; /* a report of ours: nobody called */
	if (queue_id.n == 0 && track_text(event, "message-id").n > 0) {
		check_refused(c, event);
		return true;
	}
	if (str_eq(kind, S("RECEIVE")) || str_eq(kind, S("FAIL")) || str_eq(kind, S("SEND")) ||
	    str_eq(kind, S("DEFER")))
		for (size_t i = 0; i < track_rcpt_n(event); i++)
			check_rcpt(c, event, caller, related.n > 0 ? related : track_rcpt(event, i));
	return true;
}

static int check(const char *dir)
{
	char path[4096], track[4096];
	struct track_logs logs = { .paths = { track }, .n = 1 };
	struct buf problems;
	struct err e = { 0 };
	struct check c = { .received = json_object() };
	struct track_reader first = { .event = keep_received, .arg = &c }, second = { .event = check_event, .arg = &c };

	snprintf(path, sizeof path, "%s/tombolo.conf", dir);
	snprintf(track, sizeof track, "%s/track.jsonl", dir);
	buf_init(&problems, 1 << 20);
	struct config *config = config_load(path, &problems);
	must(config != NULL);
	c.config = config;
	c.routing = routing_open(config, &e);
	must(c.routing != NULL);
	must(track_read(&logs, &first, &e) == 0 && track_read(&logs, &second, &e) == 0);
	must(second.lost == 0 && second.broken == 0);
	printf("%s, %llu messages\n", config->site == SITE_CLOUD ? "cloud" : "onprem",
	       (unsigned long long)json_object_size(c.received));
	printf("%llu passed, %llu failed\n", (unsigned long long)c.passed, (unsigned long long)c.failed);
	routing_close(&c.routing);
	config_unref(&config);
	buf_fini(&problems);
	json_decref(c.received);
	return c.failed > 0 || c.passed == 0;
}

int main(int argc, char **argv)
{
	if (argc == 6 && strcmp(argv[1], "make") == 0) {
		state = number(argv[3]);
		draw(2);
		make_conf(argv[2], (unsigned)number(argv[4]), (unsigned)number(argv[5]));
		make_people(argv[2]);
		return 0;
	}
	if (argc == 6 && strcmp(argv[1], "send") == 0) {
		state = number(argv[3]);
		for (uint64_t left = number(argv[4]), n; left > 0; left -= n) {
			n = left < 10 ? left : 10;
			talk_once((unsigned)number(argv[5]), (unsigned)n);
		}
		return 0;
	}
	if (argc == 3 && strcmp(argv[1], "check") == 0)
		return check(argv[2]);
	fputs("usage: explain_check make DIR SEED PORT SINK | send DIR SEED N PORT | check DIR\n", stderr);
	return 2;
}
