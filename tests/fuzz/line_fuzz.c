/* tests/fuzz/line_fuzz.c: command lines: split-invariant, strict, always moving on. */
#include "tests/fuzz/fuzz.h"
#include "wire/line.h"

enum { LIMIT = 64 };

static void check_line(struct str in, int used, struct str line)
{
	must(used == (int)line.n + 2 && used <= LIMIT && (size_t)used <= in.n);
	must(str_chr(line, '\r') < 0 && str_chr(line, '\n') < 0 && str_chr(line, '\0') < 0);
	must(in.p[used - 2] == '\r' && in.p[used - 1] == '\n');
}

static void check_growing(struct str in, int want)
{
	struct str line;
	int used = LINE_MORE;

	for (size_t n = 0; n <= in.n && used == LINE_MORE; n++)
		used = line_next(str_head(in, n), LIMIT, &line);
	must(used == want);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str in = str_n(data, n), line = STR_NONE;

	for (;;) {
		int used = line_next(in, LIMIT, &line);
		check_growing(str_head(in, LIMIT + 2), used);
		if (used == LINE_MORE) {
			must(in.n < LIMIT);
			return 0;
		}
		if (used > 0)
			check_line(in, used, line);
		size_t skip = used > 0 ? (size_t)used : line_skip(in);
		if (skip == 0)
			return 0;
		in = str_skip(in, skip);
	}
}
