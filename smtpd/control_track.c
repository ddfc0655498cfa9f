/* smtpd/control_track.c: reading tracking logs; see the header. */
#include "smtpd/control_track.h"

#include "base/must.h"
#include "base/track.h"

#include <errno.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

struct reading {
	struct track_reader *r;
	struct err *e;
	bool over, failed;
};

struct str track_text(const json_t *event, const char *key)
{
	const json_t *v = json_object_get(event, key);

	return json_is_string(v) ? str_n(json_string_value(v), json_string_length(v)) : STR_NONE;
}

struct str track_raw(struct str line, const char *key)
{
	char wanted[64];
	int n = snprintf(wanted, sizeof wanted, "\"%s\":\"", key);
	ssize_t at = str_find(line, str_n(wanted, (size_t)n));
	struct str value = STR_NONE, rest;

	if (at >= 0)
		str_cut(str_skip(line, (size_t)at + (size_t)n), '"', &value, &rest);
	return value;
}

int64_t track_ms(const json_t *event)
{
	struct str s = track_text(event, "date-time");
	struct tm tm = { 0 };
	char text[32];
	uint64_t ms;

	if (s.n != sizeof "2026-11-21T12:00:00.123Z" - 1 || !str_u64(str_head(str_skip(s, 20), 3), 999, &ms))
		return 0;
	memcpy(text, s.p, s.n);
	text[s.n] = '\0';
	return strptime(text, "%Y-%m-%dT%H:%M:%S", &tm) == NULL ? 0 : (int64_t)timegm(&tm) * 1000 + (int64_t)ms;
}

size_t track_rcpt_n(const json_t *event)
{
	return json_array_size(json_object_get(event, "recipient-address"));
}

struct str track_rcpt(const json_t *event, size_t i)
{
	const json_t *v = json_array_get(json_object_get(event, "recipient-address"), i);

	return json_is_string(v) ? str_n(json_string_value(v), json_string_length(v)) : STR_NONE;
}

/* ---- files ---- */

static void take_line(struct reading *g, struct str line)
{
	struct track_reader *r = g->r;
	json_t *event;

	if (line.n == 0)
		return;
	r->lines++;
	if (str_find(line, S("\"event-id\":\"TRACK-LOST\"")) >= 0) {
		event = json_loadb(line.p, line.n, 0, NULL);
		r->lost += (uint64_t)json_integer_value(json_object_get(event, "total-bytes"));
		json_decref(event);
		return;
	}
	if (r->wants != NULL && !r->wants(r->arg, line))
		return;
	if (r->line != NULL) {
		bool broken = false;
		g->over = !r->line(r->arg, line, &broken);
		r->broken += broken;
		return;
	}
	event = json_loadb(line.p, line.n, 0, NULL);
	if (!json_is_object(event) || track_text(event, "event-id").n == 0)
		r->broken++;
	else
		g->over = !r->event(r->arg, event);
	json_decref(event);
}

static void read_lines(struct reading *g, int fd, const char *file)
{
	struct buf in;
	ssize_t n, end;
	bool first = true;

	buf_init(&in, TRACK_LINE_MAX + 256 * 1024);
	while (!g->over && !g->failed) {
		if (in.n > TRACK_LINE_MAX) { /* no line of ours */
			g->r->broken++;
			buf_reset(&in);
		}
		char *to = buf_reserve(&in, 128 * 1024);
		n = read(fd, to, 128 * 1024);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break;
		buf_commit(&in, (size_t)n);
		struct str rest = buf_str(&in);
		if (first && str_starts(rest, S("#Software"))) {
			err_set(g->e, ERR_SYNTAX, "track", "%s is CSV; only logs with track.format = json can be asked",
				file);
			g->failed = true;
		}
		first = false;
		while (!g->over && !g->failed && (end = str_chr(rest, '\n')) >= 0) {
			take_line(g, str_head(rest, (size_t)end));
			rest = str_skip(rest, (size_t)end + 1);
		}
		buf_drop(&in, in.n - rest.n);
	}
	buf_fini(&in); /* what has no line end yet is being written */
}

static bool read_file(void *arg, const char *file)
{
	struct reading *g = arg;
	int fd = open(file, O_RDONLY | O_CLOEXEC);

	if (fd < 0) {
		err_sys(g->e, ERR_IO, "track", "%s", file);
		g->failed = true;
		return false;
	}
	read_lines(g, fd, file);
	close(fd);
	return !g->over && !g->failed;
}

int track_read(const struct track_logs *logs, struct track_reader *r, struct err *e)
{
	struct reading g = { .r = r, .e = e };

	r->lines = r->broken = r->lost = 0;
	for (size_t i = 0; i < logs->n && !g.over && !g.failed; i++)
		track_each_file(logs->paths[i], read_file, &g);
	return g.failed ? -1 : 0;
}

bool track_logs_of(struct call *c, struct track_logs *logs)
{
	struct str path = args_text(c, "track");
	size_t n = args_list_n(c, "also");

	if (path.n == 0 && c->config != NULL)
		path = c->config->track.path;
	if (path.n == 0) {
		call_end(c, CALL_USAGE, "this configuration has no tracking log (track.path); name one with --track");
		return false;
	}
	if (n >= TRACK_LOGS_MAX) {
		call_end(c, CALL_USAGE, "--also: at most %d logs", TRACK_LOGS_MAX - 1);
		return false;
	}
	logs->paths[0] = path.p; /* arguments and options end with NUL */
	for (size_t i = 0; i < n; i++)
		logs->paths[i + 1] = args_list_at(c, "also", i).p;
	logs->n = n + 1;
	return true;
}
