/* base/log.c: formatting events and the one sink of the process. */
#include "base/log.h"

#include "base/buf.h"
#include "base/time.h"

#include <errno.h>
#include <fcntl.h>
#include <pthread.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

enum { SINK_BYTES = 64 * 1024, LINE_BYTES = 16 * 1024, TAIL_BYTES = 32, VALUE_BYTES = 1024 };

static struct {
	pthread_mutex_t lock;
	int fd;
	_Atomic enum log_level least; /* these three are looked at without the lock */
	_Atomic enum log_format format;
	_Atomic bool waits;      /* something is held */
	_Atomic int64_t seen_ms; /* when a loop first saw it wait; 0 = not yet */
	struct buf held;         /* lines not written yet */
} sink = { .lock = PTHREAD_MUTEX_INITIALIZER, .fd = 2, .least = LOG_LEVEL_INFO, .held = { .max = SINK_BYTES } };

static const char *const level_names[] = { "debug", "info", "warn", "error" };

static void write_held(void)
{
	size_t off = 0;

	while (off < sink.held.n) {
		ssize_t n = write(sink.fd, sink.held.p + off, sink.held.n - off);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			break; /* a log that cannot be written must not stop mail */
		off += (size_t)n;
	}
	buf_reset(&sink.held);
	sink.waits = false;
	sink.seen_ms = 0;
}

/* A terminal or a pipe will do; a link does not, nor a file that has another name. */
static int open_log(const char *path)
{
	int fd = open(path, O_WRONLY | O_APPEND | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0640);
	struct stat st;

	if (fd < 0 || (fstat(fd, &st) == 0 && (!S_ISREG(st.st_mode) || st.st_nlink == 1)))
		return fd;
	close(fd);
	errno = EMLINK;
	return -1;
}

const char *log_why(void)
{
	return errno == ELOOP ? "it is a link" : errno == EMLINK ? "it has a second name (hard link)" : strerror(errno);
}

int log_open(const char *path, enum log_level least, enum log_format format)
{
	int fd = 2;

	if (path != NULL && (fd = open_log(path)) < 0)
		return -1;
	pthread_mutex_lock(&sink.lock);
	write_held();
	if (sink.fd > 2)
		close(sink.fd);
	sink.fd = fd;
	sink.least = least;
	sink.format = format;
	pthread_mutex_unlock(&sink.lock);
	return 0;
}

void log_flush(void)
{
	if (!sink.waits)
		return;
	pthread_mutex_lock(&sink.lock);
	write_held();
	pthread_mutex_unlock(&sink.lock);
}

void log_flush_at_panic(void *unused)
{
	(void)unused;
	if (pthread_mutex_trylock(&sink.lock) != 0)
		return;
	write_held();
	pthread_mutex_unlock(&sink.lock);
}

int64_t log_flush_in_time(int64_t now_ms)
{
	int64_t seen_ms = sink.seen_ms;

	if (!sink.waits)
		return INT64_MAX;
	if (seen_ms == 0)
		sink.seen_ms = seen_ms = now_ms;
	if (now_ms - seen_ms < LOG_DELAY_MS)
		return LOG_DELAY_MS - (now_ms - seen_ms);
	log_flush();
	return INT64_MAX;
}

bool log_wants(enum log_level level)
{
	return level >= sink.least;
}

static void put_quoted(struct buf *b, struct str s, bool json)
{
	bool cut = s.n > VALUE_BYTES;

	s = str_head(s, VALUE_BYTES);
	buf_addc(b, '"');
	while (s.n > 0) {
		size_t n = str_utf8(s);
		if (n == 0 || (n == 1 && chr_is_ctl(s.p[0]))) {
			buf_addf(b, json ? "\\u00%02x" : "\\x%02x", (unsigned)(unsigned char)s.p[0]);
			n = 1;
		} else {
			if (s.p[0] == '"' || s.p[0] == '\\')
				buf_addc(b, '\\');
			buf_add(b, str_head(s, n));
		}
		s = str_skip(s, n);
	}
	buf_add(b, cut ? S("...\"") : S("\""));
}

static bool is_plain(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!chr_is_alnum(s.p[i]) && str_chr(S("-_.:/@+[]<>,"), s.p[i]) < 0)
			return false;
	return s.n > 0 && s.n <= VALUE_BYTES;
}

static void put_value(struct buf *b, const struct kv *kv, bool json)
{
	switch (kv->type) {
	case KV_INT:
		buf_addf(b, "%lld", (long long)kv->i);
		break;
	case KV_BOOL:
		buf_add(b, kv->i ? S("true") : S("false"));
		break;
	case KV_STR:
		if (!json && is_plain(kv->s))
			buf_add(b, kv->s);
		else
			put_quoted(b, kv->s, json);
		break;
	}
}

static void put_line(struct buf *b, const struct log *l, enum log_level level, const char *event, const struct kv *kvs)
{
	bool json = sink.format == LOG_FORMAT_JSON;

	if (json) {
		buf_add(b, S("{\"time\":\""));
		time_put_iso(b, clock_wall_ms());
		buf_addf(b, "\",\"level\":\"%s\",\"event\":\"%s\"", level_names[level], event);
	} else {
		time_put_iso(b, clock_wall_ms());
		buf_addf(b, " %s %s", level_names[level], event);
	}
	if (l != NULL && l->id.n > 0) {
		buf_add(b, json ? S(",\"id\":") : S(" id="));
		put_value(b, &(struct kv){ "id", KV_STR, l->id, 0 }, json);
	}
	for (; kvs->key != NULL; kvs++) {
		size_t before = b->n;
		buf_addf(b, json ? ",\"%s\":" : " %s=", kvs->key);
		put_value(b, kvs, json);
		if (b->full || b->n > LINE_BYTES - TAIL_BYTES) { /* whole values or none: the line stays well-formed */
			b->n = before;
			b->full = false;
			buf_add(b, json ? S(",\"cut\":true") : S(" cut=true"));
			break;
		}
	}
	buf_add(b, json ? S("}\n") : S("\n"));
}

void log_event(const struct log *l, enum log_level level, const char *event, const struct kv *kvs)
{
	char room[LINE_BYTES + 1];
	struct buf line = { .p = room, .cap = sizeof room, .max = LINE_BYTES }; /* never grows: max < cap */

	put_line(&line, l, level, event, kvs);
	pthread_mutex_lock(&sink.lock);
	if (sink.held.n + line.n > SINK_BYTES)
		write_held();
	buf_add(&sink.held, buf_str(&line));
	sink.waits = true;
	if (level >= LOG_LEVEL_WARN)
		write_held();
	pthread_mutex_unlock(&sink.lock);
}
