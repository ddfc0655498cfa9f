/* tests/fuzz/ehlo_fuzz.c: capabilities of a hostile server; ours survive any client name. */
#include "tests/fuzz/fuzz.h"
#include "wire/ehlo.h"

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str in = str_n(data, n);
	struct reply r;
	struct ehlo e = { 0 }, again;
	struct buf out;

	if (reply_next(in, true, &r) > 0)
		ehlo_parse(&r, &e);
	must(e.size == 0 || (e.caps & EHLO_SIZE));
	must(e.rcpt_max == 0 || (e.caps & EHLO_LIMITS));
	must(e.auth.n == 0 || (e.caps & EHLO_AUTH));
	e.auth = str_head(e.auth, 200);
	buf_init(&out, 1 << 16);
	ehlo_put(&out, &e, S("mx.example"), in); /* the input as the client's name adds nothing */
	must(reply_next(buf_str(&out), false, &r) == (int)out.n && r.code == 250);
	ehlo_parse(&r, &again);
	must(again.caps == e.caps && again.size == e.size && again.rcpt_max == e.rcpt_max);
	buf_fini(&out);
	return 0;
}
