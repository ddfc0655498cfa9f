/* routing/filter.c: see the header.  A block is a cache line of eight words; an address sets one bit in each of them.
 * The hash is seeded: nobody can make up addresses that are all taken for known ones. */
#include "routing/filter.h"

#include "base/must.h"

#include <stdatomic.h>
#include <stdlib.h>
#include <string.h>
#include <sys/random.h>

enum { BLOCK_WORDS = 8, BITS_AN_ADDRESS = 12, WORD_BITS = 64 };

struct block {
	_Atomic uint64_t words[BLOCK_WORDS];
};

struct filter {
	_Atomic unsigned refs;
	_Atomic uint64_t n;
	uint64_t room, block_n, seed;
	struct block *blocks;
};

struct filter *filter_new(uint64_t room)
{
	struct filter *f = calloc(1, sizeof *f);

	must(f != NULL);
	must(getrandom(&f->seed, sizeof f->seed, 0) == sizeof f->seed);
	f->refs = 1;
	f->room = room;
	f->block_n = room * BITS_AN_ADDRESS / (BLOCK_WORDS * WORD_BITS) + 1;
	must(f->block_n < UINT32_MAX);
	f->blocks = aligned_alloc(sizeof(struct block), f->block_n * sizeof(struct block));
	must(f->blocks != NULL);
	memset(f->blocks, 0, f->block_n * sizeof(struct block));
	return f;
}

struct filter *filter_ref(struct filter *f)
{
	if (f != NULL)
		atomic_fetch_add_explicit(&f->refs, 1, memory_order_relaxed);
	return f;
}

void filter_unref(struct filter **fp)
{
	struct filter *f = *fp;

	*fp = NULL;
	if (f == NULL || atomic_fetch_sub(&f->refs, 1) > 1)
		return;
	free(f->blocks);
	free(f);
}

struct place {
	struct block *block;
	uint64_t bits; /* six a word */
};

/* The upper half of the hash chooses the block; the bits come from a second one, so that they do not depend on it. */
static struct place place_of(const struct filter *f, struct str address)
{
	uint64_t h = str_hash(address, f->seed);

	return (struct place){ &f->blocks[(h >> 32) * f->block_n >> 32], str_hash(str_n(&h, sizeof h), f->seed) };
}

static uint64_t word_bit(const struct place *p, int word)
{
	return UINT64_C(1) << (p->bits >> 6 * word & (WORD_BITS - 1));
}

void filter_add(struct filter *f, struct str address)
{
	struct place p = place_of(f, address);

	for (int i = 0; i < BLOCK_WORDS; i++)
		atomic_fetch_or_explicit(&p.block->words[i], word_bit(&p, i), memory_order_relaxed);
	atomic_fetch_add(&f->n, 1);
}

bool filter_may_have(const struct filter *f, struct str address)
{
	struct place p = place_of(f, address);
	uint64_t missing = 0;

	for (int i = 0; i < BLOCK_WORDS; i++)
		missing |= ~atomic_load_explicit(&p.block->words[i], memory_order_relaxed) & word_bit(&p, i);
	return missing == 0;
}

bool filter_is_crowded(const struct filter *f)
{
	return f->n > f->room;
}

uint64_t filter_bytes(const struct filter *f)
{
	return f->block_n * sizeof(struct block);
}
