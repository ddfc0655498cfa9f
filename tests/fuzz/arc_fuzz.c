/* tests/fuzz/arc_fuzz.c: ARC chains of any bytes: the same verdict however the body comes and whenever keys are asked
 * for, bounded questions, names that are names.  Input: a line with the key record for all, then the message. */
#include "auth/arc.h"
#include "tests/fuzz/fuzz.h"

#include <string.h>

static void ask(struct arc *a, struct str record, unsigned *asked)
{
	struct str name;

	while ((name = arc_next(a)).n > 0) {
		must(name.n < ARC_NAME && ++*asked <= 1 + ARC_SETS_MAX);
		for (size_t i = 0; i < name.n; i++)
			must(chr_is_alnum(name.p[i]) || str_chr(S("._-"), name.p[i]) >= 0);
		if (record.n > 0 && record.p[0] == '!')
			arc_answer(a, TXT_FAILED, NULL, 0);
		else
			arc_answer(a, TXT_DATA, &record, 1);
	}
}

static void run(struct arc *a, struct str record, struct str header, struct str body, size_t step, bool early)
{
	unsigned asked = 0;

	arc_begin(a, header, 1000);
	if (early)
		ask(a, record, &asked);
	for (; body.n > 0; body = str_skip(body, step))
		arc_body(a, str_head(body, step));
	arc_end(a);
	ask(a, record, &asked);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str in = str_n(data, n), record;
	struct arc a, b;
	struct tags t;
	struct key k;

	if (tags_parse(in, &t))
		must(t.n > 0 && t.n <= TAGS_MAX && tags_find(&t, t.v[0].name) == &t.v[0]);
	if (key_read(in, &k) == NULL)
		must(k.n > 0 && k.n <= sizeof k.bytes);
	str_cut(in, '\n', &record, &in);
	ssize_t cut = str_find(in, S("\r\n\r\n"));
	struct str header = cut < 0 ? in : str_head(in, (size_t)cut + 2);
	struct str body = cut < 0 ? STR_NONE : str_skip(in, (size_t)cut + 4);
	run(&a, record, header, body, 1, true);
	run(&b, record, header, body, n + 1, false);
	const struct arc_result *x = arc_result(&a), *y = arc_result(&b);
	must(x->verdict == y->verdict && x->links == y->links && strcmp(x->why, y->why) == 0);
	must(x->verdict != ARC_PASS || (x->links > 0 && x->v[0].domain.n > 0 && !x->temporary));
	arc_fini(&a);
	arc_fini(&b);
	return 0;
}
