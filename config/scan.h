/* config/scan.h: the pass over a file before libconfuse sees it.  For this room only.
 *
 * libconfuse stops at its first error, takes an unclosed brace at the end of a file for closed, drops a '*' outside of
 * quotes, expands ${NAME} from the environment and forgets on which line a value stood.  So the structure is read here
 * first, against the same option table: every unknown name, duplicate and misplaced brace is reported with its line,
 * what libconfuse would trip over is blanked, and the lines of what is left are kept.
 *
 *   statement := option '=' ( word | "string" | 'string' | '{' [ value { ',' value } [ ',' ] ] '}' )
 *              | section [ name ] '{' { statement } '}'
 *
 * Comments are #, // and C comments; a ';' after a value is allowed and means nothing. */
#ifndef CONFIG_SCAN_H
#define CONFIG_SCAN_H

#include "base/arena.h"
#include "config/report.h"
#include "config/schema.h"

struct scan_item { /* one section as written */
	const struct section *section;
	struct str title; /* as written, inside of the quotes */
	int line;
	int lines[SECTION_OPTIONS_MAX]; /* line of each option in the order of the table, 0 = not written */
};

struct scan_items {
	struct scan_item **v;
	size_t n, cap;
};

struct scan {
	char *text;            /* NUL-terminated, blanked, as long as the original */
	bool broken;           /* not fit for libconfuse: braces do not balance */
	struct scan_items *by; /* by[index of the section in `sections`]; the top level has exactly one item */
};

/* All memory comes from `a`.  Errors go to `r`; the result is usable even so unless `broken`. */
void scan_text(struct str text, struct arena *a, struct report *r, struct scan *out);

/* Line of an option that was written in this item, 0 when it was not. */
int scan_line(const struct scan_item *item, const char *option);
/* The i-th item of the section at `s`, NULL when it was not written. */
const struct scan_item *scan_item(const struct scan *scan, const struct section *s, size_t i);

#endif
