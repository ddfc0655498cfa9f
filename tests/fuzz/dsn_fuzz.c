/* tests/fuzz/dsn_fuzz.c: reports about hostile mail to hostile hosts: four boundaries, clean lines, nothing else. */
#include "tests/fuzz/fuzz.h"
#include "wire/body.h"
#include "wire/dsn.h"

static struct str take(struct str *in)
{
	struct str head;

	str_cut(*in, '|', &head, in);
	return head;
}

static void check_lines(struct str s)
{
	struct str line;

	while (s.n > 0) {
		must(str_cut(s, '\n', &line, &s));
		must(line.n >= 1 && line.n <= 999);
		for (size_t i = 0; i + 1 < line.n; i++)
			must(!chr_is_ctl(line.p[i]) || line.p[i] == '\t');
	}
}

static void check_boundaries(struct str s)
{
	struct str boundary, line;
	ssize_t at = str_find(s, S("\r\n\tboundary=\""));
	unsigned opened = 0, closed = 0;

	must(at > 0);
	str_cut(str_skip(s, (size_t)at + 13), '"', &boundary, &s);
	while (str_cut(s, '\n', &line, &s)) {
		if (!str_starts(line, S("--")) || !str_starts(str_skip(line, 2), boundary))
			continue;
		line = str_skip(line, 2 + boundary.n);
		opened += str_eq(line, S("\r"));
		closed += str_eq(line, S("--\r"));
	}
	must(opened == 3 && closed == 1);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str in = str_n(data, n);
	uint8_t bits = fuzz_byte(&in);
	struct dsn_rcpt r[2] = { 0 };
	struct body_scan scan = { 0 };
	struct buf out;

	for (size_t i = 0; i < 2; i++) {
		r[i].action = (enum dsn_action)((bits >> 2) % 5);
		r[i].addr = take(&in);
		r[i].orcpt = take(&in);
		r[i].status = take(&in);
		r[i].remote_mta = take(&in);
		r[i].diagnostic = take(&in);
		r[i].reason = take(&in);
		r[i].retry_until_ms = r[i].last_attempt_ms = bits;
	}
	struct dsn d = { .reporting_mta = S("mx"),
			 .to = take(&in),
			 .envid = take(&in),
			 .trace_id = take(&in),
			 .message_id = S("id@mx"),
			 .postmaster = S("p@mx"),
			 .smtputf8 = bits & 1,
			 .rcpts = r,
			 .rcpt_n = bits & 2 ? 2 : 1,
			 .original_headers = in };
	buf_init(&out, 1 << 22);
	must(dsn_put(&out, &d));
	body_scan(&scan, buf_str(&out), true);
	must(!scan.bare_cr && !scan.bare_lf && !scan.nul && (d.smtputf8 || !scan.has_8bit));
	check_lines(buf_str(&out));
	check_boundaries(buf_str(&out));
	buf_fini(&out);
	return 0;
}
