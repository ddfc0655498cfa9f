/* tests/fuzz/reply_fuzz.c: replies of a hostile server; what is told on is printable and bounded. */
#include "tests/fuzz/fuzz.h"
#include "wire/reply.h"

static void check_written(struct str s)
{
	struct str line;

	while (s.n > 0) {
		must(str_cut(s, '\n', &line, &s));
		must(line.n >= 5 && line.n <= 511 && line.p[line.n - 1] == '\r');
		for (size_t i = 0; i + 1 < line.n; i++)
			must(!chr_is_ctl(line.p[i]) && !chr_is_8bit(line.p[i]));
	}
}

/* The reply's own text, sent on as ours, is one reply with the same code and class. */
static void check_relayed(const struct reply *r)
{
	struct reply mine = *r, again;
	struct buf out;

	if (r->code == 334)
		return;
	buf_init(&out, 1 << 20);
	reply_put(&out, &mine);
	must(!out.full);
	check_written(buf_str(&out));
	must(reply_next(buf_str(&out), false, &again) == (int)out.n || out.n > REPLY_BYTES_MAX);
	must(out.n > REPLY_BYTES_MAX || (again.code == r->code && (r->class == 0 || again.class == r->class)));
	buf_reset(&out);
	reply_put_flat(&out, r);
	for (size_t i = 0; i < out.n; i++)
		must(!chr_is_ctl(out.p[i]) && !chr_is_8bit(out.p[i]));
	buf_fini(&out);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str in = str_n(data, n), rest, line;
	bool lax = fuzz_byte(&in) & 1;
	struct reply r, grown;
	int used = reply_next(in, lax, &r), grown_used = REPLY_MORE;

	for (size_t i = 0; i <= in.n && grown_used == REPLY_MORE; i += i < 300 ? 1 : 61)
		grown_used = reply_next(str_head(in, i), lax, &grown);
	must(grown_used == used || (in.n > 300 && grown_used == REPLY_MORE));
	if (used <= 0)
		return 0;
	must((size_t)used <= in.n && r.code >= 200 && r.code <= 599);
	must(r.class == 0 || r.class == r.code / 100);
	unsigned lines = 0;
	for (rest = r.text; reply_lines(&rest, &line); lines++)
		must(str_chr(line, '\n') < 0);
	must(lines > 0 && lines <= REPLY_LINES_MAX);
	check_relayed(&r);
	return 0;
}
