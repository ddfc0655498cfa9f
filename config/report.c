/* config/report.c: see report.h. */
#include "config/report.h"

static void add_line(struct report *r, int line, const char *kind, const char *fmt, va_list ap)
{
	size_t from = r->out->n;

	buf_add(r->out, r->file);
	if (line > 0)
		buf_addf(r->out, ":%d", line);
	buf_addf(r->out, ": %s", kind);
	buf_vaddf(r->out, fmt, ap);
	for (size_t i = from; i < r->out->n; i++)
		if (chr_is_ctl(r->out->p[i]))
			r->out->p[i] = '?';
	buf_addc(r->out, '\n');
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
