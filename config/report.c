/* config/report.c: see report.h. */
#include "config/report.h"

#include "base/must.h"

#include <stdlib.h>

void report_init(struct report *r, struct arena *a)
{
	*r = (struct report){ .arena = a, .lines = arena_alloc(a, REPORT_MAX * sizeof *r->lines) };
	must(r->lines != NULL);
}

static void add_line(struct report *r, int line, const char *kind, const char *fmt, va_list ap)
{
	struct report_line *to = &r->lines[r->line_n];
	struct buf b;

	if (r->line_n == REPORT_MAX) {
		r->cut++;
		return;
	}
	buf_init(&b, 64 * 1024);
	buf_addf(&b, "%s", kind);
	buf_vaddf(&b, fmt, ap);
	for (size_t i = 0; i < b.n; i++)
		if (chr_is_ctl(b.p[i]))
			b.p[i] = '?';
	*to = (struct report_line){ .line = line, .order = (int)r->line_n++ };
	must(arena_dup(r->arena, buf_str(&b), &to->text));
	buf_fini(&b);
}

void report_error(struct report *r, int line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_line(r, line, "", fmt, ap);
	va_end(ap);
	r->errors++;
}

void report_warning(struct report *r, int line, const char *fmt, ...)
{
	va_list ap;

	va_start(ap, fmt);
	add_line(r, line, "warning: ", fmt, ap);
	va_end(ap);
}

static int by_line(const void *a, const void *b)
{
	const struct report_line *x = a, *y = b;

	if (x->line != y->line)
		return x->line < y->line ? -1 : 1;
	return x->order < y->order ? -1 : 1;
}

void report_tell(struct report *r, struct str file, struct buf *out)
{
	qsort(r->lines, r->line_n, sizeof *r->lines, by_line);
	for (size_t i = 0; i < r->line_n; i++) {
		buf_add(out, file);
		if (r->lines[i].line > 0)
			buf_addf(out, ":%d", r->lines[i].line);
		buf_add(out, S(": "));
		buf_add(out, r->lines[i].text);
		buf_addc(out, '\n');
	}
	if (r->cut > 0)
		buf_addf(out, STR_FMT ": and %zu more\n", STR_ARG(file), r->cut);
}
