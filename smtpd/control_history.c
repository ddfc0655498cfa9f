/* smtpd/control_history.c: `recipients history`: what the table said about an address, and until when.
 *
 * On the worker: for an address that nobody has any more the whole history is read. */
#include "base/must.h"
#include "smtpd/control_verbs.h"

enum { HISTORY_MEMORY = 256 * 1024 };

static void version_row(void *arg, const struct record_version *v)
{
	const struct rcpt_record *r = &v->record;
	json_t *row = json_object();

	row_int(row, "since_ms", r->changed_ms);
	row_int(row, "until_ms", v->until_ms);
	row_bool(row, "removed", v->removed);
	row_c(row, "loc", v->removed ? "removed" : loc_name(r->loc));
	if (!v->removed) {
		row_str(row, "primary", r->primary);
		row_str(row, "routing", r->routing);
		row_str(row, "redirect", r->redirect);
		row_str(row, "source", r->source);
		row_str(row, "batch", r->batch);
		row_uint(row, "version", r->version);
	}
	call_row(arg, row);
}

void run_recipients_history(struct call *c)
{
	struct arena arena;
	struct err e = { 0 };

	arena_init(&arena, HISTORY_MEMORY);
	int n = routing_record_history(c->hooks->routing, args_text(c, "ADDRESS"), &arena, version_row, c, &e);
	arena_fini(&arena);
	if (n < 0)
		call_end_err(c, e.code == ERR_SYNTAX ? CALL_USAGE : CALL_PARTLY, &e);
	else if (n == 0)
		call_end(c, CALL_NOTHING, "no recipient has or had this address, as far as the history goes");
	else
		call_end(c, CALL_OK, NULL);
}
