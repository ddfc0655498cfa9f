/* smtpd/cli_top.c: two answers of the daemon, the difference to the two before; see the header. */
#include "smtpd/cli_top.h"

#include "base/must.h"
#include "base/net.h"
#include "base/time.h"
#include "smtpd/cli_print.h"

#include <poll.h>
#include <unistd.h>

enum { HOPS_SHOWN = 15, ANSWER_MAX = 16 * 1024 * 1024, INTERVAL_MS = 2000, INTERVAL_MIN_MS = 200 };

/* ---- values out of answers ---- */

static int64_t number_at(const json_t *row, const char *part, const char *key)
{
	const json_t *from = part != NULL ? json_object_get(row, part) : row;

	return json_integer_value(json_object_get(from, key));
}

static const char *text_at(const json_t *row, const char *part, const char *key)
{
	const json_t *from = part != NULL ? json_object_get(row, part) : row;
	const char *text = json_string_value(json_object_get(from, key));

	return text != NULL ? text : "";
}

static const json_t *hop_named(const json_t *hops, const char *name)
{
	for (size_t i = 0; i < json_array_size(hops); i++)
		if (str_eq(str_c(text_at(json_array_get(hops, i), NULL, "hop")), str_c(name)))
			return json_array_get(hops, i);
	return NULL;
}

/* A second, rounded; a counter that fell belongs to a daemon that was started anew. */
static uint64_t rate(int64_t now, int64_t before, int64_t ms)
{
	return ms > 0 && now > before ? (uint64_t)((now - before) * 1000 + ms / 2) / (uint64_t)ms : 0;
}

/* ---- a screen ---- */

struct look {
	const json_t *now, *before; /* of status; `before` may be NULL */
	int64_t ms;
};

static uint64_t rate_of(const struct look *l, const char *part, const char *key)
{
	return l->before == NULL ? 0 : rate(number_at(l->now, part, key), number_at(l->before, part, key), l->ms);
}

static void put_head(const struct look *l, int64_t now_ms, struct buf *out)
{
	buf_add(out, S("tombolo  "));
	print_clean(out, str_c(text_at(l->now, NULL, "hostname")));
	buf_addf(out, "  %s  mode %s  ", text_at(l->now, NULL, "site"), text_at(l->now, "mode", "mode"));
	time_put_iso(out, now_ms);
	buf_add(out, S("  up "));
	print_age(out, number_at(l->now, NULL, "uptime_ms"));
	buf_add(out, S("\n\n"));
}

static void put_totals(const struct look *l, struct buf *out)
{
	buf_addf(out, "in       %6llu msg/s  %6llu refused/s  %6llu connections/s  %6lld open\n",
		 (unsigned long long)rate_of(l, "sessions", "messages"),
		 (unsigned long long)rate_of(l, "sessions", "rejected_rcpts"),
		 (unsigned long long)rate_of(l, "sessions", "connections"),
		 (long long)number_at(l->now, "sessions", "connections_open"));
	buf_addf(out, "out      %6llu rcpt/s %6llu failed/s\n", (unsigned long long)rate_of(l, "queue", "delivered"),
		 (unsigned long long)rate_of(l, "queue", "failed"));
	buf_addf(out, "queue    %6lld messages  %6lld recipients  %6lld deferred  %6lld active  ",
		 (long long)number_at(l->now, "queue", "messages"), (long long)number_at(l->now, "queue", "recipients"),
		 (long long)number_at(l->now, "queue", "deferred"), (long long)number_at(l->now, "queue", "leased"));
	print_bytes(out, (uint64_t)number_at(l->now, "queue", "bytes"));
	buf_addf(out, "%s\n",
		 json_is_true(json_object_get(json_object_get(l->now, "queue"), "read_only"))
			 ? "  READ ONLY: nothing is accepted"
			 : "");
	const char *scarce = text_at(l->now, "pressure", "short_of");
	if (scarce[0] != '\0')
		buf_addf(out, "short of %s; turned away: %s\n", scarce, text_at(l->now, "pressure", "shed"));
}

static void put_hop(const json_t *hop, const json_t *before, int64_t ms, struct buf *out)
{
	size_t room = out->n + 40;

	print_clean(out, str_c(text_at(hop, NULL, "hop")));
	while (out->n < room)
		buf_addc(out, ' ');
	buf_addf(out, " %8lld %6lld %8llu %8llu  ", (long long)number_at(hop, NULL, "waiting"),
		 (long long)number_at(hop, NULL, "open"),
		 (unsigned long long)(before == NULL ? 0
						     : rate(number_at(hop, NULL, "sent"),
							    number_at(before, NULL, "sent"), ms)),
		 (unsigned long long)(before == NULL ? 0
						     : rate(number_at(hop, NULL, "deferred"),
							    number_at(before, NULL, "deferred"), ms)));
	print_clean(out, str_head(str_c(text_at(hop, NULL, "last_error")), 60));
	buf_addc(out, '\n');
}

bool top_frame(struct top *t, top_ask ask, void *arg, int64_t now_ms, struct buf *out)
{
	json_t *rows = ask(arg, "status", ""), *hops = rows != NULL ? ask(arg, "connector", "hops") : NULL;

	if (hops == NULL || json_array_size(rows) != 1) {
		json_decref(rows);
		json_decref(hops);
		return false;
	}
	const struct look look = { json_array_get(rows, 0), json_array_get(t->status, 0), now_ms - t->at_ms };
	put_head(&look, now_ms, out);
	put_totals(&look, out);
	if (json_array_size(hops) > 0)
		buf_addf(out, "\n%-40s %8s %6s %8s %8s  %s\n", "NEXT HOP", "WAITING", "OPEN", "SENT/s", "DEFER/s",
			 "LAST ERROR");
	for (size_t i = 0; i < json_array_size(hops) && i < HOPS_SHOWN; i++) {
		const json_t *hop = json_array_get(hops, i);
		put_hop(hop, hop_named(t->hops, text_at(hop, NULL, "hop")), look.ms, out);
	}
	if (json_array_size(hops) > HOPS_SHOWN)
		buf_addf(out, "and %zu more\n", json_array_size(hops) - HOPS_SHOWN);
	top_fini(t);
	*t = (struct top){ rows, hops, now_ms };
	return true;
}

void top_fini(struct top *t)
{
	json_decref(t->status);
	json_decref(t->hops);
	t->status = t->hops = NULL;
}

/* ---- the command ---- */

static json_t *take_rows(struct str text)
{
	json_t *rows = json_array();
	struct str line;

	while (text.n > 0) {
		str_cut(text, '\n', &line, &text);
		json_t *answer = json_loadb(line.p, line.n, 0, NULL), *row = json_object_get(answer, "row");
		if (row != NULL)
			json_array_append(rows, row);
		json_decref(answer);
	}
	return rows;
}

static json_t *ask_socket(void *arg, const char *noun, const char *name)
{
	const struct cli_words *w = arg;
	struct buf text;
	ssize_t n = -1;
	int fd = net_connect_unix(w->socket, NULL);

	if (fd < 0)
		return NULL;
	buf_init(&text, ANSWER_MAX);
	buf_addf(&text, "{\"cmd\":[\"%s\",\"%s\"]}\n", noun, name);
	if (write(fd, text.p, text.n) == (ssize_t)text.n) {
		buf_reset(&text);
		char *to;
		while ((to = buf_reserve(&text, 64 * 1024)) != NULL && (n = read(fd, to, 64 * 1024)) > 0)
			buf_commit(&text, (size_t)n);
	}
	close(fd);
	json_t *rows = n == 0 ? take_rows(buf_str(&text)) : NULL;
	buf_fini(&text);
	return rows;
}

static int64_t interval_of(const struct cli_words *w)
{
	int64_t ms;

	if (!time_parse_span(str_c(text_at(w->args, NULL, "interval")), &ms))
		return INTERVAL_MS;
	return ms > INTERVAL_MIN_MS ? ms : INTERVAL_MIN_MS;
}

static uint64_t count_of(const struct cli_words *w)
{
	uint64_t n;

	return str_u64(str_c(text_at(w->args, NULL, "count")), UINT64_MAX, &n) ? n : 0;
}

int cli_top(const struct cli_words *w)
{
	int64_t interval_ms = interval_of(w);
	uint64_t count = count_of(w);
	bool screen = isatty(STDOUT_FILENO);
	struct top top = { 0 };
	struct buf out;
	bool good = true;

	buf_init(&out, 1024 * 1024);
	for (uint64_t i = 0; good && (count == 0 || i < count); i++) {
		if (i > 0)
			poll(NULL, 0, (int)interval_ms);
		buf_reset(&out);
		if (screen)
			buf_add(&out, S("\x1b[H\x1b[2J"));
		good = top_frame(&top, ask_socket, (void *)(uintptr_t)w, clock_wall_ms(), &out);
		if (good && (fwrite(out.p, 1, out.n, stdout) != out.n || fflush(stdout) != 0))
			break; /* the reader has left */
	}
	if (!good)
		fprintf(stderr, "tombolo: the daemon does not answer on %s\n", w->socket);
	buf_fini(&out);
	top_fini(&top);
	return good ? CALL_OK : CALL_UNREACHABLE;
}
