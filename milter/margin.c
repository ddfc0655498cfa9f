/* milter/margin.c: memory with a margin of zeros, for libmilter.
 *
 * libmilter 8.17 keeps the macros of a step as a list name, value, name, value, NULL.  When the MTA sends a name
 * without a value the list is odd, and smfi_getsymval steps over its NULL and reads one pointer behind the memory of
 * the list (found by tests/interop/milter_rude.py, "macros without value").  With this margin that pointer is NULL,
 * too, and the search ends there.  The linker puts this in the place of malloc in tombolo-milter (--wrap=malloc), which
 * links libmilter statically for it. */
#include <stdint.h>
#include <stdlib.h>

enum { MARGIN = 2 * sizeof(void *) };

void *__wrap_malloc(size_t n);

void *__wrap_malloc(size_t n)
{
	return n > PTRDIFF_MAX ? NULL : calloc(1, n + MARGIN);
}
