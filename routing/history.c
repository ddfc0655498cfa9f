/* routing/history.c: reading the table in ways no decision does: samples.  Off the loops. */
#include "routing/recipient.h"

enum { SAMPLE_ROWS = 1000 };

bool routing_sample(struct routing *r, enum rcpt_loc loc, struct arena *arena, struct rcpt_record *out)
{
	struct store_txn *t = store_read(r->store, NULL);
	struct store_cursor *c;
	struct str rid, bytes;
	bool found = false;

	if (t == NULL)
		return false;
	c = store_seek(t, r->rcpt, STR_NONE);
	for (int i = 0; i < SAMPLE_ROWS && !found && store_at(c, &rid, &bytes); i++, store_next(c)) {
		struct arena_mark mark = arena_mark(arena);
		found = rid.n == RID_SIZE &&
			record_decode((const unsigned char *)rid.p, bytes, arena, out, NULL) == 0 && out->loc == loc;
		if (!found)
			arena_rewind(arena, mark);
	}
	store_cursor_close(&c);
	store_abort(&t);
	return found;
}
