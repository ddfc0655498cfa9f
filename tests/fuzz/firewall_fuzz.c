/* tests/fuzz/firewall_fuzz.c: whatever a stranger writes, one pass takes all of it: a second finds nothing to do, and
 * nobody behind us reads a header where ours ended. */
#include "connectors/header_edits.h"
#include "tests/fuzz/fuzz.h"

enum { ROOM = 4 << 20 };

static void note(void *arg, const struct header_field *f)
{
	header_notes_add(arg, f);
}

struct looked {
	struct arena arena;
	struct header_notes notes;
	struct header_scan scan;
	struct header_changes changes;
};

static bool look(struct looked *l, struct str in, size_t piece, enum header_trust trust)
{
	const struct header_own own = { { STR_LIT("mx.example") } };
	const struct header_in facts = { .trust = trust };

	arena_init(&l->arena, ROOM);
	header_notes_init(&l->notes, &l->arena, &own);
	header_scan_init(&l->scan, 64 * 1024, 500, STR_NONE);
	l->scan.on_field = note;
	l->scan.arg = &l->notes;
	for (struct str rest = in; rest.n > 0; rest = str_skip(rest, piece))
		header_scan_add(&l->scan, str_head(rest, piece));
	header_scan_finish(&l->scan);
	return !l->scan.too_big && header_edit_in(&facts, &l->notes, &l->scan, &l->changes);
}

static void forget(struct looked *l)
{
	header_scan_fini(&l->scan);
	arena_fini(&l->arena);
}

static void apply(struct edits e, struct str source, size_t most, struct buf *out)
{
	struct edit_pos pos = { 0 };
	struct str run;

	must(edits_check(e));
	while ((run = edits_take(e, &pos, &source, most)).n > 0)
		buf_add(out, run);
	must(source.n == 0);
}

int LLVMFuzzerTestOneInput(const uint8_t *data, size_t n)
{
	struct str in = str_n(data, n);
	size_t piece = (size_t)fuzz_byte(&in) % 16 + 1;
	enum header_trust trust = (enum header_trust)(fuzz_byte(&in) % TRUST_N);
	struct looked whole, split, again;
	struct buf once, twice;

	buf_init(&once, ROOM);
	buf_init(&twice, ROOM);
	if (look(&whole, in, in.n + 1, trust)) {
		must(look(&split, in, piece, trust));
		apply(whole.changes.edits, in, SIZE_MAX, &once);
		apply(split.changes.edits, in, piece, &twice);
		must(str_eq(buf_str(&once), buf_str(&twice)));
		must((int64_t)once.n == (int64_t)in.n + edits_growth(whole.changes.edits));
		must(look(&again, buf_str(&once), piece, trust));
		must(again.changes.total == 0 && !again.scan.broken);
		forget(&again);
		forget(&split);
	}
	forget(&whole);
	buf_fini(&once);
	buf_fini(&twice);
	return 0;
}
