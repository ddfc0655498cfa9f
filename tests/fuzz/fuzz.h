/* tests/fuzz/fuzz.h: what every fuzz target starts from.
 *
 * A target is one decoder and its laws, stated with must(): the same verdict however the input is split, what was read
 * can be written and read again, nothing written holds a byte it must not.  clang runs it with libFuzzer
 * (tests/fuzz/run.sh), gcc replays the corpus with it (tests/fuzz/replay.c). */
#ifndef TESTS_FUZZ_FUZZ_H
#define TESTS_FUZZ_FUZZ_H

#include "base/must.h"
#include "base/str.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n);

/* The first byte of the input as a choice; 0 when there is none. */
static inline uint8_t fuzz_byte(struct str *in)
{
	uint8_t v = in->n > 0 ? (uint8_t)in->p[0] : 0;

	*in = str_skip(*in, 1);
	return v;
}

#endif
