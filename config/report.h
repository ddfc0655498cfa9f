/* config/report.h: what is wrong with a file, one line each: "FILE:LINE: text".  For this room only. */
#ifndef CONFIG_REPORT_H
#define CONFIG_REPORT_H

#include "base/buf.h"

struct report {
	struct buf *out;
	struct str file;
	size_t errors; /* warnings are not counted */
};

/* Line 0 stands for the file as a whole.  Control bytes of the file come out as '?'. */
void report_error(struct report *r, int line, const char *fmt, ...) __attribute__((format(printf, 3, 4)));
void report_warning(struct report *r, int line, const char *fmt, ...) __attribute__((format(printf, 3, 4)));

#endif
