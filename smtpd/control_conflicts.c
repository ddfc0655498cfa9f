/* smtpd/control_conflicts.c: `recipients conflicts` and `resolve`: where the two sides disagree, and who is right.
 *
 *   resolve: [worker] the record is put right, its incidents are closed -> [loop] what waits for it is due now */
#include "base/must.h"
#include "smtpd/control_verbs.h"

#include <stdlib.h>

enum { RESOLVE_MEMORY = 512 * 1024 };

/* ---- conflicts ---- */

static void conflict_row(struct call *c, const struct disagreement *i, int64_t defer_ms)
{
	json_t *row = json_object(), *ids = json_array();

	row_c(row, "kind", disagree_kind_name(i->kind));
	row_c(row, "address", i->address);
	row_c(row, "ours", i->ours);
	row_c(row, "theirs", i->kind == DISAGREE_LOOP ? "returned what we handed over" : "sent it to us: not theirs");
	row_uint(row, "messages", i->count);
	row_int(row, "first_ms", i->first_ms);
	row_int(row, "last_ms", i->last_ms);
	row_int(row, "deferred_until_ms", i->first_ms + defer_ms);
	for (int m = 0; m < DISAGREE_MESSAGES && i->messages[m][0] != '\0'; m++)
		must(json_array_append_new(ids, json_of_str(str_c(i->messages[m]))) == 0);
	must(json_object_set_new(row, "trace_ids", ids) == 0);
	call_row(c, row);
}

void run_recipients_conflicts(struct call *c)
{
	const struct conf_loop *loop = &c->config->loop;
	struct disagreement *all = calloc(DISAGREE_N, sizeof *all);
	size_t n;

	must(all != NULL);
	n = routing_incidents(c->hooks->routing, all, DISAGREE_N);
	for (size_t i = 0; i < n; i++)
		conflict_row(c, &all[i], all[i].kind == DISAGREE_LOOP ? loop->defer_ms : loop->disagreement_defer_ms);
	free(all);
	call_end(c, n > 0 ? CALL_OK : CALL_NOTHING, n > 0 ? NULL : "the two sides agree, as far as mail has shown");
}

/* ---- resolve ---- */

struct resolving {
	struct call *call;
	struct arena arena;
	struct rcpt_record record;
	size_t closed, at; /* incidents; the address whose mail is made due */
	struct queue_filter filter;
	struct queue_order order;
	uint64_t due;
};

static void resolving_drop(struct call *c)
{
	struct resolving *r = c->state;

	c->state = NULL;
	if (op_is_open(&r->order.op))
		op_cancel(&r->order.op);
	arena_fini(&r->arena);
	free(r);
}

static void end_resolving(struct resolving *r, const char *error)
{
	struct call *c = r->call;
	json_t *row = json_object();

	row_str(row, "primary", r->record.primary);
	row_c(row, "loc", loc_name(r->record.loc));
	row_str(row, "routing", r->record.routing);
	row_uint(row, "version", r->record.version);
	row_uint(row, "incidents_closed", r->closed);
	row_uint(row, "made_due", r->due);
	call_row(c, row);
	log_info(NULL, "disagreement.resolved", kv_str("to", r->record.primary), kv_c("loc", loc_name(r->record.loc)),
		 kv_int("closed", (int64_t)r->closed), kv_int("made_due", (int64_t)r->due), kv_int("uid", c->uid));
	resolving_drop(c);
	if (error != NULL)
		call_end(c, CALL_PARTLY, "the record is right now, but what waits could not be made due: %s", error);
	else
		call_end(c, CALL_OK, NULL);
}

static void make_due(struct resolving *r);

static void on_due(struct op *op)
{
	struct resolving *r = container_of(op, struct resolving, order.op);
	char why[sizeof r->order.err.text];

	if (!r->order.ok) {
		memcpy(why, r->order.err.text, sizeof why);
		end_resolving(r, why);
		return;
	}
	r->due += r->order.recipients;
	r->at++;
	make_due(r);
}

/* One address of the record after the other. */
static void make_due(struct resolving *r)
{
	if (r->at == r->record.addr_n) {
		end_resolving(r, NULL);
		return;
	}
	r->filter = (struct queue_filter){ .rcpt = r->record.addrs[r->at] };
	queue_order(r->call->hooks->port, &r->filter, QUEUE_RETRY, false, &r->order, on_due);
}

static void due_on_loop(struct call *c)
{
	make_due(c->state);
}

static void fix_record(struct call *c)
{
	struct resolving *r = c->state;
	enum rcpt_loc loc = args_flag(c, "local") ? LOC_LOCAL : LOC_REMOTE;
	struct err e = { 0 };

	if (routing_incident_resolve(c->hooks->routing, args_text(c, "ADDRESS"), loc, args_text(c, "routing"),
				     &r->arena, &r->record, &r->closed, &e) == 0)
		return;
	resolving_drop(c);
	call_end_err(c, e.code == ERR_NOT_FOUND ? CALL_NOTHING : e.code == ERR_SYNTAX ? CALL_USAGE : CALL_PARTLY, &e);
}

void run_recipients_resolve(struct call *c)
{
	struct resolving *r;

	if (args_flag(c, "local") == args_flag(c, "remote")) {
		call_end(c, CALL_USAGE, "where is the mailbox? --local or --remote is expected");
		return;
	}
	r = calloc(1, sizeof *r);
	must(r != NULL);
	r->call = c;
	arena_init(&r->arena, RESOLVE_MEMORY);
	c->state = r;
	c->drop = resolving_drop;
	if (c->hooks->hurry != NULL) /* hosts that rest after a failure are asked at once */
		c->hooks->hurry(c->hooks->arg);
	call_to_worker(c, fix_record, due_on_loop);
}
