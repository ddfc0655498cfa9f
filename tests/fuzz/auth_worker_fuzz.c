/* tests/fuzz/auth_worker_fuzz.c: a worker in this process, fed a message of a stranger: header and body cut anywhere,
 * keys that the input chooses; the same verdicts however it was cut, and never one that needs a key it did not get.
 *
 * The input: the text of a key, a line end, a message. */
#include "auth/dkim_lib.h"
#include "auth/worker.h"
#include "tests/fuzz/fuzz.h"
#include "wire/header.h"

#include <string.h>

static struct worker *worker;
static struct buf out;

static struct frame tell(enum frame_kind kind, const struct buf *payload, struct str bytes)
{
	struct buf b;
	struct frame f = { 0 };

	buf_init(&b, FRAME_MAX + 100);
	size_t at = frame_open(&b, kind, 1);
	buf_add(&b, payload != NULL ? buf_str(payload) : bytes);
	must(frame_close(&b, at));
	buf_reset(&out);
	must(worker_feed(worker, buf_str(&b), &out) == (ssize_t)b.n);
	must(frame_next(buf_str(&out), &f) == (ssize_t)out.n);
	buf_fini(&b);
	return f;
}

static size_t judge(struct str header, struct str body, struct str key, size_t piece,
		    struct auth_sig sigs[AUTH_SIGS_MAX])
{
	static struct needs needs;
	static struct answers answers;
	struct frame f = tell(AUTH_VERIFY, NULL, header);
	struct reader r = { .in = f.payload };
	struct buf b;
	size_t n;

	must(f.kind == AUTH_DKIM_NEEDS && needs_read(&r, &needs) && read_end(&r));
	answers.n = 0;
	for (size_t i = 0; i < needs.n; i++) {
		must(needs.v[i].type == RR_TXT && str_find(str_c(needs.v[i].name), S("._domainkey.")) > 0);
		answers.v[answers.n++] = (struct answer){ .type = RR_TXT,
							  .status = key.n > 0 ? RR_OK : RR_NXDOMAIN,
							  .name = str_c(needs.v[i].name),
							  .values = { key },
							  .value_n = key.n > 0 };
	}
	for (; body.n > 0; body = str_skip(body, piece))
		must(tell(AUTH_BODY, NULL, str_head(body, piece)).kind == AUTH_TAKEN);
	buf_init(&b, FRAME_MAX);
	answers_put(&answers, &b);
	f = tell(AUTH_VERIFY_END, &b, STR_NONE);
	buf_fini(&b);
	must(f.kind == AUTH_DKIM_VERDICT && sigs_read(f.payload, sigs, &n));
	return n;
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	static const struct keys none;
	static struct auth_sig sigs[2][AUTH_SIGS_MAX];
	struct str key, message;
	struct header_scan scan;

	if (worker == NULL) {
		worker = worker_new(&none, 5);
		buf_init(&out, 8 << 20);
	}
	str_cut(str_n(data, n), '\n', &key, &message);
	key = str_head(key, 1500);
	header_scan_init(&scan, AUTH_HEADER_MAX, 10000, STR_NONE);
	header_scan_add(&scan, message);
	header_scan_finish(&scan);
	size_t end = scan.too_big ? message.n : (size_t)scan.end;
	header_scan_fini(&scan);
	if (end > 100000 || message.n - end > 100000)
		return 0;
	size_t a = judge(str_head(message, end), str_skip(message, end), key, 60000, sigs[0]);
	size_t b = judge(str_head(message, end), str_skip(message, end), key, 13, sigs[1]);
	must(a == b);
	for (size_t i = 0; i < a; i++) {
		must(sigs[0][i].result == sigs[1][i].result);
		must(sigs[0][i].result != AUTH_PASS || (key.n > 0 && sigs[0][i].domain[0] != '\0'));
		must(sigs[0][i].result == AUTH_PASS || sigs[0][i].why[0] != '\0');
	}
	return 0;
}
