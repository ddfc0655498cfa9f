/* base/arena.c: chunks of doubling size; rewinding frees the chunks above the mark. */
#include "base/arena.h"

#include "base/fault.h"
#include "base/must.h"

#include <stdalign.h>
#include <stdlib.h>
#include <string.h>

struct arena_chunk {
	struct arena_chunk *below;
	size_t used, size;
	alignas(max_align_t) char bytes[];
};

enum { CHUNK_FIRST = 1024, CHUNK_MOST = 64 * 1024, ALIGN = alignof(max_align_t) };

void arena_init(struct arena *a, size_t cap)
{
	*a = (struct arena){ .cap = cap };
}

void arena_init_sure(struct arena *a, size_t cap)
{
	*a = (struct arena){ .cap = cap, .sure = true };
}

void arena_fini(struct arena *a)
{
	arena_rewind(a, (struct arena_mark){ 0 });
}

static struct arena_chunk *chunk_new(struct arena_chunk *below, size_t need)
{
	size_t size = below == NULL ? CHUNK_FIRST : below->size * 2;

	if (size > CHUNK_MOST)
		size = CHUNK_MOST;
	if (size < need)
		size = need;
	struct arena_chunk *c = malloc(sizeof *c + size);
	must(c != NULL);
	*c = (struct arena_chunk){ .below = below, .size = size };
	return c;
}

void *arena_alloc(struct arena *a, size_t n)
{
	size_t need;

	if (__builtin_add_overflow(n, (size_t)ALIGN - 1, &need))
		return NULL;
	need &= ~((size_t)ALIGN - 1);
	if (need > a->cap - a->used || (!a->sure && fault("arena.alloc")))
		return NULL;
	if (a->top == NULL || a->top->size - a->top->used < need)
		a->top = chunk_new(a->top, need);
	void *p = a->top->bytes + a->top->used;
	a->top->used += need;
	a->used += need;
	return memset(p, 0, need);
}

bool arena_dup(struct arena *a, struct str s, struct str *out)
{
	char *p = arena_alloc(a, s.n + 1);

	if (p == NULL)
		return false;
	if (s.n > 0)
		memcpy(p, s.p, s.n);
	*out = (struct str){ p, s.n };
	return true;
}

struct arena_mark arena_mark(const struct arena *a)
{
	return (struct arena_mark){ a->top, a->top == NULL ? 0 : a->top->used, a->used };
}

void arena_rewind(struct arena *a, struct arena_mark m)
{
	must(m.used <= a->used);
	while (a->top != m.top) {
		struct arena_chunk *below = a->top->below;
		free(a->top);
		a->top = below;
	}
	if (a->top != NULL)
		a->top->used = m.top_used;
	a->used = m.used;
}
