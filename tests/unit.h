/* tests/unit.h: what every unit test starts from: cmocka, and checks on views that name the row of the table.
 *
 * A failed check prints the row and both values with control bytes escaped. */
#ifndef TESTS_UNIT_H
#define TESTS_UNIT_H

#include "base/str.h"

#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>

#include <cmocka.h>

#ifdef TOMBOLO_ANALYSE /* `make analyse`: a failed check ends the test, which cmocka tells nobody */
#include "base/must.h"
#undef assert_true
#undef assert_false
#undef assert_non_null
#undef assert_null
#undef fail_msg
#define assert_true(c)     must(c)
#define assert_false(c)    must(!(c))
#define assert_non_null(p) must((p) != NULL)
#define assert_null(p)     must((p) == NULL)
#define fail_msg(...)      (fprintf(stderr, __VA_ARGS__), must_failed("", __FILE__, __LINE__, __func__))
#endif

#define check(cond, row) \
	do { \
		if (!(cond)) \
			fail_msg("%s: %s", row, #cond); \
	} while (0)

static inline void unit_print(const char *what, struct str s)
{
	fprintf(stderr, "  %s \"", what);
	for (size_t i = 0; i < s.n; i++)
		if (chr_is_ctl(s.p[i]) || chr_is_8bit(s.p[i]))
			fprintf(stderr, "\\x%02x", (unsigned)(unsigned char)s.p[i]);
		else
			fputc(s.p[i], stderr);
	fprintf(stderr, "\"\n");
}

static inline void unit_check_str(struct str got, struct str want, const char *row, const char *file, int line)
{
	if (str_eq(got, want))
		return;
	fprintf(stderr, "%s:\n", row);
	unit_print("got ", got);
	unit_print("want", want);
	_fail(file, line);
}
#define check_str(got, want, row) unit_check_str(got, want, row, __FILE__, __LINE__)

#define COUNT(array) (sizeof(array) / sizeof((array)[0]))

#endif
