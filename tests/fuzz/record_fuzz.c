/* tests/fuzz/record_fuzz.c: whatever the disk holds, no decoder of the queue reads outside it, and what decodes as an
 * envelope encodes to the same bytes again: no byte can begin a field (CVE-2020-28015). */
#include "queue/record.h"
#include "tests/fuzz/fuzz.h"

static void try_envelope(struct str in)
{
	size_t n = record_rcpt_n(in);
	struct env_rcpt *rcpts = calloc(n + 1, sizeof *rcpts);
	struct envelope env;
	struct buf again;

	must(rcpts != NULL);
	struct queue_past *past = calloc(n + 1, sizeof *past);
	uint64_t source_id;

	must(past != NULL);
	buf_init(&again, in.n + 1);
	if (record_get_envelope(in, &env, rcpts)) {
		must(record_put_envelope(&again, &env));
		if (record_has_past(in)) {
			must(record_get_past(in, &source_id, past));
			must(record_put_past(&again, 0, source_id, past, env.rcpt_n));
		}
		must(again.n == in.n);
	}
	buf_fini(&again);
	free(past);
	free(rcpts);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str in = str_n(data, n), rest = in;
	struct record_outcome outcome;
	struct record_order order;
	struct row_message message;
	struct row_rcpt rcpt;
	struct row_checkpoint checkpoint;
	struct record record;
	uint32_t number;

	try_envelope(in);
	while (record_get_outcome(&rest, &outcome))
		must(outcome.text.n <= n);
	if (record_get_order(in, &order))
		while (record_order_next(&order, &number))
			;
	if (row_get_message(in, &message))
		must(message.from.n + message.trace_id.n < n);
	if (row_get_rcpt(in, &rcpt))
		must(rcpt.addr.n + rcpt.text.n < n && rcpt.state != RCPT_DONE);
	row_get_checkpoint(in, &checkpoint);
	if (n >= RECORD_HEAD && record_get_head(in.p, 0, &record))
		record_is_sound(&record, str_skip(in, RECORD_HEAD));
	return 0;
}
