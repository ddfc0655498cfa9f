/* config/report.h: what is wrong with a file, collected while it is read and then told in the order of its lines:
 * "FILE:LINE: text".  For this room only. */
#ifndef CONFIG_REPORT_H
#define CONFIG_REPORT_H

#include "base/arena.h"
#include "base/buf.h"

/* More than this many lines help nobody; the rest is counted. */
enum { REPORT_MAX = 500 };

struct report_line {
	int line, order;
	struct str text;
};

struct report {
	struct arena *arena;
	struct report_line *lines;
	size_t line_n, cut, errors; /* warnings are not errors */
};

void report_init(struct report *r, struct arena *a);

/* Line 0 stands for the file as a whole.  Control bytes of the file come out as '?'. */
void report_error(struct report *r, int line, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void report_warning(struct report *r, int line, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

/* Sorts and adds all lines to `out`. */
void report_tell(struct report *r, struct str file, struct buf *out);

#endif
