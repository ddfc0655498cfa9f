/* tests/fuzz/body_fuzz.c: the run-wise decoder against one that looks at each byte, at any split; and back out. */
#include "tests/fuzz/fuzz.h"
#include "wire/body.h"

struct verdict {
	bool end, bare_cr, bare_lf, nul, has_8bit;
	size_t used;
};

/* What RFC 5321 4.5.2 says, a byte at a time. */
static struct verdict decode_slowly(struct str in, struct buf *content)
{
	struct verdict v = { 0 };
	char before = '\n'; /* as if behind a CRLF */
	bool at_start = true;

	for (size_t i = 0; i < in.n; i++) {
		char c = in.p[i];
		if (at_start && c == '.') {
			if (in.n - i >= 3 && in.p[i + 1] == '\r' && in.p[i + 2] == '\n') {
				v.end = true;
				v.used = i + 3;
				break;
			}
			if (in.n - i <= 2 && (in.n - i == 1 || in.p[i + 1] == '\r')) /* nobody knows yet */
				break;
			at_start = false;
			before = '.';
			continue;
		}
		v.bare_cr |= before == '\r' && c != '\n';
		v.bare_lf |= c == '\n' && before != '\r';
		v.nul |= c == '\0';
		v.has_8bit |= chr_is_8bit(c);
		at_start = c == '\n' && before == '\r';
		before = c;
		buf_addc(content, c);
	}
	return v;
}

static void collect(void *arg, struct str run)
{
	must(run.n > 0);
	buf_add(arg, run);
}

static struct verdict decode(struct str in, size_t piece, struct buf *content)
{
	struct body_in b;
	struct verdict v = { 0 };

	body_in_init(&b);
	while (in.n > 0 && !v.end) {
		size_t used;
		struct str run = str_head(in, piece);
		v.end = body_in_next(&b, run, &used, collect, content);
		must(v.end || used == run.n);
		v.used += used;
		in = str_skip(in, used);
	}
	v.bare_cr = b.bare_cr, v.bare_lf = b.bare_lf, v.nul = b.nul, v.has_8bit = b.has_8bit;
	return v;
}

/* What came in clean goes out stuffed and comes in again as it was. */
static void check_out(struct str content, size_t piece)
{
	struct body_scan scan = { 0 };
	struct body_out o;
	struct buf wire, back;
	struct str rest = content;

	while (rest.n > 0) {
		body_scan(&scan, str_head(rest, piece), rest.n <= piece);
		rest = str_skip(rest, piece);
	}
	if (scan.bare_cr || scan.bare_lf)
		return;
	buf_init(&wire, 1 << 22);
	buf_init(&back, 1 << 22);
	body_out_init(&o);
	for (rest = content; rest.n > 0; rest = str_skip(rest, piece))
		must(body_out_add(&o, str_head(rest, piece), &wire));
	must(body_out_finish(&o, &wire));
	must(str_eq(buf_str(&wire), S(".\r\n")) || str_find(buf_str(&wire), S("\r\n.\r\n")) + 5 == (ssize_t)wire.n);
	struct verdict v = decode(buf_str(&wire), wire.n, &back);
	must(v.end && v.used == wire.n && !v.bare_cr && !v.bare_lf);
	must(str_starts(buf_str(&back), content));
	must(back.n == content.n || (back.n == content.n + 2 && !str_ends(content, S("\r\n"))));
	buf_fini(&wire);
	buf_fini(&back);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str in = str_n(data, n);
	size_t piece = (size_t)fuzz_byte(&in) % 16 + 1;
	struct buf slow, fast;

	buf_init(&slow, 1 << 22);
	buf_init(&fast, 1 << 22);
	struct verdict want = decode_slowly(in, &slow);
	const size_t pieces[] = { piece, in.n + 1 };
	for (size_t i = 0; i < 2; i++) {
		buf_reset(&fast);
		struct verdict got = decode(in, pieces[i], &fast);
		must(got.end == want.end && (!want.end || got.used == want.used));
		must(str_eq(buf_str(&fast), buf_str(&slow)));
		must(got.bare_cr == want.bare_cr && got.bare_lf == want.bare_lf);
		must(got.nul == want.nul && got.has_8bit == want.has_8bit);
	}
	check_out(in, piece);
	buf_fini(&slow);
	buf_fini(&fast);
	return 0;
}
