/* tests/kit/firewall.c: scan, notes, edits, and the edited message. */
#include "tests/kit/firewall.h"

#include "base/must.h"

enum { ROOM = 8 << 20 };

void firewall_init(struct firewall *f, struct str own_id)
{
	*f = (struct firewall){ .own = { { own_id } } };
	arena_init(&f->arena, ROOM);
	buf_init(&f->text, ROOM);
}

void firewall_fini(struct firewall *f)
{
	arena_fini(&f->arena);
	buf_fini(&f->text);
}

static void note(void *arg, const struct header_field *field)
{
	struct firewall *f = arg;

	header_notes_add(&f->notes, field);
	claim_take(&f->claim, field);
}

static void scan(struct firewall *f, struct str message, struct header_scan *h)
{
	header_scan_init(h, ROOM, 100000, STR_NONE);
	header_notes_init(&f->notes, &f->arena, &f->own);
	h->on_field = note;
	h->arg = f;
	f->claim = (struct claim){ 0 };
	for (struct str rest = message; rest.n > 0;) {
		struct str run = str_head(rest, f->piece > 0 ? f->piece : rest.n);
		header_scan_add(h, run);
		rest = str_skip(rest, run.n);
	}
	header_scan_finish(h);
	f->received = h->received;
	must(!f->notes.full && !h->too_big);
}

static void apply(struct edits e, struct str source, struct buf *out)
{
	struct edit_pos pos = { 0 };
	struct str run;

	while ((run = edits_take(e, &pos, &source, SIZE_MAX)).n > 0)
		buf_add(out, run);
	must(!out->full && source.n == 0);
}

static void replace(struct firewall *f, struct edits e, struct str source)
{
	struct buf edited;

	buf_init(&edited, ROOM);
	apply(e, source, &edited);
	buf_fini(&f->text);
	f->text = edited;
}

void firewall_accept(struct firewall *f, const struct header_in *in, struct str message)
{
	struct header_scan h;

	scan(f, message, &h);
	bool ok = header_edit_in(in, &f->notes, &h, &f->in);
	must(ok);
	replace(f, f->in.edits, message);
	header_scan_fini(&h);
}

void firewall_send(struct firewall *f, const struct header_out *rules, const struct header_added *added)
{
	struct header_scan h;

	scan(f, buf_str(&f->text), &h);
	bool ok = header_edit_out(rules, added, &f->notes, &f->arena, &f->out);
	must(ok);
	bool on_top = f->out.edits.n > 0 && f->out.edits.v[0].at == 0 && f->out.edits.v[0].insert.n > 0;
	f->added = on_top && f->out.edits.v[0].drop == 0 ? f->out.edits.v[0].insert : STR_NONE;
	replace(f, f->out.edits, buf_str(&f->text));
	header_scan_fini(&h);
}
