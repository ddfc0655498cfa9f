/* base/arena.h: bump memory for things that die together (a connection, a transaction).
 *
 * The cap comes from the configuration.  Cap reached = NULL, which a session answers with "452 4.3.1";
 * malloc failing = panic.  Memory is zeroed and aligned for any type.  Owner: the struct it is embedded in. */
#ifndef BASE_ARENA_H
#define BASE_ARENA_H

#include "base/str.h"

struct arena_chunk;

struct arena {
	struct arena_chunk *top; /* newest chunk; allocated on first use, so an idle arena costs nothing */
	size_t used, cap;        /* bytes handed out in all chunks / allowed */
	bool sure;               /* see arena_init_sure */
};

struct arena_mark {
	struct arena_chunk *top;
	size_t top_used, used;
};

void arena_init(struct arena *a, size_t cap);
/* The cap is never reached by construction, and the owner says must(p != NULL): the failure point "arena.alloc", which
 * tries what happens at the cap, leaves this arena alone. */
void arena_init_sure(struct arena *a, size_t cap);
void arena_fini(struct arena *a);                               /* frees all; usable again as after init */
void *arena_alloc(struct arena *a, size_t n);                   /* NULL when the cap is reached */
bool arena_dup(struct arena *a, struct str s, struct str *out); /* a copy that lives in the arena */

/* Everything allocated since the mark is gone after arena_rewind; marks nest. */
struct arena_mark arena_mark(const struct arena *a);
void arena_rewind(struct arena *a, struct arena_mark m);

#endif
