/* base/must.c: print where, let the owner print what, abort (so that a core or the crash runner sees it). */
#include "base/must.h"

#include <stdio.h>
#include <stdlib.h>

static void (*panic_dump)(void *arg);
static void *panic_arg;

void must_on_panic(void (*dump)(void *arg), void *arg)
{
	panic_dump = dump;
	panic_arg = arg;
}

void must_failed(const char *cond, const char *file, int line, const char *func)
{
	fprintf(stderr, "tombolo: %s:%d: %s: must(%s) failed\n", file, line, func, cond);
	if (panic_dump != NULL)
		panic_dump(panic_arg);
	abort();
}
