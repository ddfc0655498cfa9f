/* tests/fuzz/where_fuzz.c: any text of --where is an expression or an error; `not ( )` turns each answer around. */
#include "tests/fuzz/fuzz.h"
#include "base/buf.h"
#include "queue/queue.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str text = str_n(data, n);
	const struct queue_row rows[] = {
		{ .from = S("a@x.example"),
		  .rcpt = S("u@example.net"),
		  .last = S("4.4.1 mx[192.0.2.1]: no"),
		  .size = 9 },
		{ .from = STR_NONE, .rcpt = text, .last = text, .state = QUEUE_POISON, .attempts = 7 },
	};
	struct err e = { 0 };
	struct queue_where *w = queue_where_parse(text, &e), *other;
	struct buf b;

	must((w == NULL) == (e.code != ERR_NONE));
	if (w == NULL)
		return 0;
	buf_init(&b, QUEUE_WHERE_MAX + 8);
	buf_addf(&b, "not (");
	buf_add(&b, text);
	buf_add(&b, S(")"));
	other = queue_where_parse(buf_str(&b), &e); /* NULL: past a limit now */
	for (size_t i = 0; i < sizeof rows / sizeof rows[0]; i++) {
		bool hit = queue_where_match(w, &rows[i], 1000);
		must(other == NULL || queue_where_match(other, &rows[i], 1000) != hit);
	}
	queue_where_free(&other);
	queue_where_free(&w);
	buf_fini(&b);
	return 0;
}
