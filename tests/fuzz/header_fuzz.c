/* tests/fuzz/header_fuzz.c: the header scan finds the same at any split, and its fields are the header. */
#include "tests/fuzz/fuzz.h"
#include "wire/header.h"

struct found {
	struct buf text; /* "name:offset:length;" of each field */
	uint64_t next;   /* where the next field has to start */
	struct str message;
	const struct header_scan *scan;
};

static void note(void *arg, const struct header_field *f)
{
	struct found *found = arg;

	if (found->next == 0)
		found->next = found->scan->mbox;
	must(f->offset == found->next);
	must(str_eq(str_head(str_skip(found->message, (size_t)f->offset), f->raw.n), f->raw));
	must(f->name.n > 0 && str_starts(f->raw, f->name) && str_ends(f->raw, f->value));
	found->next += f->raw.n;
	buf_add(&found->text, f->name);
	buf_addf(&found->text, ":%llu:%zu;", (unsigned long long)f->offset, f->raw.n);
}

static void scan(struct str in, size_t piece, struct found *found, struct header_scan *h)
{
	struct str rest = in;

	*found = (struct found){ .message = in, .scan = h };
	buf_init(&found->text, 1 << 22);
	header_scan_init(h, 4000, 50, S("mx.example"));
	h->on_field = note;
	h->arg = found;
	for (; rest.n > 0; rest = str_skip(rest, piece)) {
		size_t n = header_scan_add(h, str_head(rest, piece));
		must(n <= str_head(rest, piece).n && (h->done || n == str_head(rest, piece).n));
	}
	header_scan_finish(h);
	must(h->done && h->field.p == NULL);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str in = str_n(data, n);
	size_t piece = (size_t)fuzz_byte(&in) % 16 + 1;
	struct found whole, split;
	struct header_scan a, b;
	struct buf line;

	scan(in, in.n + 1, &whole, &a);
	scan(in, piece, &split, &b);
	must(str_eq(buf_str(&whole.text), buf_str(&split.text)));
	must(a.broken == b.broken && a.too_big == b.too_big && a.fields == b.fields);
	must(a.mbox == b.mbox);
	must(a.received == b.received && a.received_own == b.received_own && a.received_own <= a.received);
	if (!a.too_big) {
		size_t last = (size_t)(whole.next > 0 ? whole.next : a.mbox);
		struct str tail = str_skip(str_head(in, (size_t)a.end), last);
		must(a.end == b.end && a.end <= in.n);
		must(tail.n == 0 || (!a.broken && (str_eq(tail, S("\r\n")) || str_eq(tail, S("\n")))));
	}
	buf_init(&line, 1 << 22);
	header_unfold(in, &line);
	must(str_chr(buf_str(&line), '\r') < 0 && str_chr(buf_str(&line), '\n') < 0 && line.n <= in.n);
	buf_fini(&line);
	buf_fini(&whole.text);
	buf_fini(&split.text);
	header_scan_fini(&a);
	header_scan_fini(&b);
	return 0;
}
