/* tests/fuzz/config_fuzz.c: a configuration from any bytes: it is refused with a reason, or what it shows loads again
 * as the same. */
#include "base/must.h"
#include "config/config.h"

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t n);

static struct config *parse(struct str text, struct buf *told)
{
	buf_reset(told);
	struct config *c = config_parse(text, "fuzz", told);

	must(c != NULL || told->n > 0);
	must(str_find(buf_str(told), S(": syntax error\n")) < 0); /* what the scan lets through libconfuse takes */
	return c;
}

int LLVMFuzzerTestOneInput(const unsigned char *data, size_t n)
{
	struct buf told, once, twice;

	buf_init(&told, 1 << 20);
	buf_init(&once, 16 << 20);
	buf_init(&twice, 16 << 20);
	struct config *c = parse(str_n(data, n), &told);
	if (c != NULL) {
		config_show(c, &once);
		struct config *again = once.n < 1 << 20 ? parse(buf_str(&once), &told) : config_ref(c);
		must(again != NULL && config_restart_diff(c, again, &told) == 0);
		config_show(again, &twice);
		must(str_eq(buf_str(&once), buf_str(&twice)));
		config_unref(&again);
		config_unref(&c);
	}
	buf_fini(&twice);
	buf_fini(&once);
	buf_fini(&told);
	return 0;
}
