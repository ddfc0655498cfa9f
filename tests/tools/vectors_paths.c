/* tests/tools/vectors_paths.c: paths.csv, the trail of one message through two gateways back to back. */
#include "tests/bed/walk.h"
#include "tests/tools/vectors.h"

void vectors_paths(struct vec_file *file)
{
	struct vec_row row;
	struct buf trail, result, expected;

	buf_init(&trail, 8192);
	buf_init(&result, 256);
	buf_init(&expected, 8192);
	while (vec_next(file, &row)) {
		struct str mode = vec_get(&row, "mode");
		const struct walk_scenario *s = walk_scenario_of(vec_get(&row, "id"));
		struct mode m = walk_mode(mode.n == 2 ? mode.p[1] : '1');
		buf_reset(&trail);
		buf_reset(&result);
		buf_reset(&expected);
		buf_addf(&expected, STR_FMT " = " STR_FMT, STR_ARG(vec_get(&row, "trail")),
			 STR_ARG(vec_get(&row, "result")));
		if (s != NULL)
			walk(s, &m, &trail, &result);
		buf_addf(&trail, " = " STR_FMT, STR_ARG(buf_str(&result)));
		vec_check(&row, buf_str(&expected), buf_str(&trail));
	}
	buf_fini(&trail);
	buf_fini(&result);
	buf_fini(&expected);
}
