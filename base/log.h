/* base/log.h: one event, one line, typed values.
 *
 *   log_info(&s->log, "rcpt.reject", kv_str("to", to), kv_int("code", 550));
 *   2026-11-21T12:00:00.123Z info rcpt.reject id=3KQ... to="u@contoso.com" code=550
 *
 * The event name is a literal "noun.verb"; every event carries at least one value.  Values from peers are escaped here
 * and nowhere else: control bytes, quotes, DEL and 8-bit bytes that are not clean UTF-8 leave as \xNN, so no peer can
 * forge a line.  Never log body content or a secret. The sink is the one global of the process; lines are collected and
 * written when they have waited for LOG_DELAY_MS (the loops look: a write for each message would be a tenth of its
 * cost), by any line of level warn or above, or when the buffer is full.  Any thread may log. */
#ifndef BASE_LOG_H
#define BASE_LOG_H

#include "base/str.h"

enum { LOG_DELAY_MS = 50 };

enum log_level { LOG_LEVEL_DEBUG, LOG_LEVEL_INFO, LOG_LEVEL_WARN, LOG_LEVEL_ERROR };
enum log_format { LOG_FORMAT_TEXT, LOG_FORMAT_JSON };

struct kv {
	const char *key; /* NULL ends the list */
	enum { KV_STR, KV_INT, KV_BOOL } type;
	struct str s;
	int64_t i;
};

static inline struct kv kv_str(const char *key, struct str s)
{
	return (struct kv){ key, KV_STR, s, 0 };
}
static inline struct kv kv_c(const char *key, const char *s)
{
	return (struct kv){ key, KV_STR, str_c(s), 0 };
}
static inline struct kv kv_int(const char *key, int64_t i)
{
	return (struct kv){ key, KV_INT, STR_NONE, i };
}
static inline struct kv kv_bool(const char *key, bool b)
{
	return (struct kv){ key, KV_BOOL, STR_NONE, b };
}

/* What a session or message puts in front of each of its lines.  Both may be empty. */
struct log {
	struct str id; /* trace id, printed as id=... ; must outlive the log */
};

/* Opens the sink: fd 2 when path is NULL.  Returns 0 or -1 (errno set); on failure the old sink stays.  A link and a
 * file that has a second name are refused. */
int log_open(const char *path, enum log_level least, enum log_format format);
const char *log_why(void); /* errno of log_open in words */
void log_flush(void);
void log_flush_at_panic(void *unused); /* for must_on_panic: writes what is held unless a log call is what panicked */
/* Writes when lines have waited for LOG_DELAY_MS; returns how long they may still wait (INT64_MAX: nothing does). */
int64_t log_flush_in_time(int64_t now_ms);
bool log_wants(enum log_level level);

void log_event(const struct log *l, enum log_level level, const char *event, const struct kv *kvs);

#define LOG_(l, level, event, ...) \
	do { \
		if (log_wants(level)) \
			log_event(l, level, event, (const struct kv[]){ __VA_ARGS__, { 0 } }); \
	} while (0)
#define log_debug(l, event, ...) LOG_(l, LOG_LEVEL_DEBUG, event, __VA_ARGS__)
#define log_info(l, event, ...)  LOG_(l, LOG_LEVEL_INFO, event, __VA_ARGS__)
#define log_warn(l, event, ...)  LOG_(l, LOG_LEVEL_WARN, event, __VA_ARGS__)
#define log_error(l, event, ...) LOG_(l, LOG_LEVEL_ERROR, event, __VA_ARGS__)

#endif
