/* smtpd/control_queue.c: what waits, and orders about it.
 *
 * Everything here is a question to the commit thread and goes on from its answer, on the loop:
 *   list:  ask a page -> rows -> (reader caught up) -> next page ... end
 *   order: for each target: count -> say so -> (unless --dry-run) act ... end
 * `call->state` owns the open question; drop cancels it when the reader goes away. */
#include "base/must.h"
#include "base/time.h"
#include "smtpd/control_verbs.h"
#include "smtpd/pressure.h"

enum { PAGE_ROWS = 500, LIST_DEFAULT_MAX = 1000 };

const char *queue_state_name(enum queue_state s)
{
	static const char *const names[] = { [QUEUE_ACTIVE] = "active",
					     [QUEUE_DEFERRED] = "deferred",
					     [QUEUE_HELD] = "held",
					     [QUEUE_POISON] = "poison" };

	must((size_t)s < sizeof names / sizeof names[0]);
	return names[s];
}

static json_t *row_of(const struct queue_row *q)
{
	json_t *row = json_object();
	struct buf id;

	buf_init(&id, 64);
	queue_put_id(&id, q->id);
	row_str(row, "id", buf_str(&id));
	buf_fini(&id);
	row_c(row, "state", queue_state_name(q->state));
	row_uint(row, "number", q->number);
	row_bool(row, "leased", q->leased);
	row_int(row, "arrived_ms", q->arrived_ms);
	row_uint(row, "size", q->size);
	row_uint(row, "attempts", q->attempts);
	row_int(row, "due_ms", q->due_ms);
	row_str(row, "from", q->from);
	row_str(row, "rcpt", q->rcpt);
	row_str(row, "last", q->last);
	row_str(row, "trace_id", q->trace_id);
	return row;
}

/* A domain alone means all its addresses.  `room` keeps the text of the filter. */
static struct str address_filter(struct str s, struct buf *room)
{
	if (s.n == 0 || str_chr(s, '@') >= 0)
		return s;
	buf_init(room, ARG_TEXT_MAX + 1);
	buf_addc(room, '@');
	buf_add(room, s);
	return buf_str(room);
}

/* False: the call has ended. */
bool filter_init(struct filter_room *r, struct call *c)
{
	struct err e = { 0 };

	*r = (struct filter_room){ 0 };
	if (args_has(c, "where") && (r->where = queue_where_parse(args_text(c, "where"), &e)) == NULL) {
		call_end_err(c, CALL_USAGE, &e);
		return false;
	}
	r->f.where = r->where;
	r->f.from = address_filter(args_text(c, "from"), &r->from);
	r->f.rcpt = address_filter(args_text(c, "to"), &r->to);
	r->f.deferred_only = args_flag(c, "deferred");
	r->f.held_only = args_flag(c, "held");
	r->f.older_than_ms = (int64_t)args_number(c, "older", 0);
	return true;
}

void filter_fini(struct filter_room *r)
{
	queue_where_free(&r->where);
	buf_fini(&r->from);
	buf_fini(&r->to);
}

bool is_short_of_resources(const struct call *c, struct err *e)
{
	const struct pressure *p = c->hooks->pressure;

	if (p == NULL || pressure_sheds(p) < SHED_STRANGERS)
		return false;
	err_set(e, ERR_BUSY, "control", "short of %s (docs/PRESSURE.md)", conf_resource_name(p->worst));
	return true;
}

/* ---- list and show ---- */

struct listing {
	struct call *call;
	struct queue_query query;
	struct filter_room filter;
	uint64_t left, shown; /* rows still wanted (UINT64_MAX = all), rows sent */
	bool between_pages;   /* waits for the reader */
};

static void listing_drop(struct call *c)
{
	struct listing *l = c->state;

	queue_query_fini(&l->query);
	filter_fini(&l->filter);
	free(l);
}

static void on_page(struct op *op);

static void ask_page(struct listing *l)
{
	uint64_t page = l->left < PAGE_ROWS ? l->left : PAGE_ROWS;

	l->between_pages = false;
	l->filter.f.max = (unsigned)page;
	queue_query(l->call->hooks->port, &l->filter.f, &l->query, on_page);
}

static void listing_resume(struct call *c)
{
	struct listing *l = c->state;

	if (l->between_pages)
		ask_page(l);
}

static void listing_end(struct listing *l, bool cut)
{
	if (l->shown == 0)
		call_end(l->call, CALL_NOTHING, "nothing in the queue matches");
	else
		call_end(l->call, CALL_OK, cut ? "more recipients match; --max 0 shows all" : NULL);
}

/* A page holds whole messages, so it may bring more than was asked for. */
static size_t send_page(struct listing *l)
{
	size_t n = 0;

	for (; n < l->query.row_n && l->left > 0; n++) {
		call_row(l->call, row_of(&l->query.rows[n]));
		l->filter.f.after_id = l->query.rows[n].id;
		if (l->left != UINT64_MAX)
			l->left--;
	}
	l->shown += n;
	return n;
}

static void on_page(struct op *op)
{
	struct listing *l = container_of(op, struct listing, query.op);
	size_t sent = send_page(l);
	bool more = (l->query.more && sent > 0) || sent < l->query.row_n;

	queue_query_fini(&l->query);
	if (!more || l->left == 0) {
		listing_end(l, more);
		return;
	}
	l->between_pages = true;
	if (l->call->choked == NULL || !l->call->choked(l->call))
		ask_page(l);
}

static struct listing *listing_start(struct call *c, uint64_t max)
{
	struct listing *l = calloc(1, sizeof *l);

	must(l != NULL);
	l->call = c;
	l->left = max == 0 ? UINT64_MAX : max;
	c->state = l;
	c->drop = listing_drop;
	c->resume = listing_resume;
	return l;
}

void run_queue_list(struct call *c)
{
	struct listing *l = listing_start(c, args_number(c, "max", LIST_DEFAULT_MAX));

	if (filter_init(&l->filter, c))
		ask_page(l);
}

static bool parse_id(struct call *c, struct str text, uint64_t *id)
{
	if (queue_parse_id(text, id))
		return true;
	call_end(c, CALL_USAGE, STR_FMT " is not a queue id: 13 letters and digits, as `tombolo queue list` prints",
		 STR_ARG(text));
	return false;
}

void run_queue_show(struct call *c)
{
	uint64_t id;

	if (!parse_id(c, args_text(c, "ID"), &id))
		return;
	struct listing *l = listing_start(c, 0);
	l->filter.f.id = id;
	ask_page(l);
}

/* ---- orders ---- */

/* What the words "ID" and "ID/0,2" (only these recipients, by the numbers that `queue show --json` gives) name. */
struct targets {
	struct queue_target *v;
	size_t n;
	struct buf numbers; /* uint32_t */
};

static void targets_fini(struct targets *t)
{
	free(t->v);
	buf_fini(&t->numbers);
}

/* False: the call has ended.  numbers are offsets until all are there. */
static bool add_target(struct call *c, struct targets *t, struct str text)
{
	struct str id, numbers, one;
	struct queue_target *to = &t->v[t->n];
	uint64_t number;
	uint32_t small;
	bool more = str_cut(text, '/', &id, &numbers);

	if (!parse_id(c, id, &to->id))
		return false;
	for (to->number_n = 0; more; to->number_n++) {
		more = str_cut(numbers, ',', &one, &numbers);
		if (!str_u64(one, UINT32_MAX, &number)) {
			call_end(c, CALL_USAGE,
				 STR_FMT ": numbers of recipients are expected behind the id, like ID/0,2",
				 STR_ARG(text));
			return false;
		}
		small = (uint32_t)number;
		buf_add(&t->numbers, str_n(&small, sizeof small));
	}
	t->n++;
	return true;
}

static bool targets_init(struct targets *t, struct call *c)
{
	size_t n = args_list_n(c, "ID"), at = 0;

	buf_init(&t->numbers, CONTROL_REQUEST_MAX * sizeof(uint32_t));
	t->v = calloc(n + 1, sizeof *t->v);
	must(t->v != NULL);
	for (size_t i = 0; i < n; i++)
		if (!add_target(c, t, args_list_at(c, "ID", i)))
			return false;
	for (size_t i = 0; i < n; at += t->v[i++].number_n)
		t->v[i].numbers = (const uint32_t *)(const void *)t->numbers.p + at;
	return true;
}

struct order_words {
	const char *done, *planned;
};
static const struct order_words order_words[] = {
	[QUEUE_RETRY] = { "made due now", "would be made due now" },
	[QUEUE_REMOVE] = { "removed", "would be removed" },
	[QUEUE_HOLD] = { "put on hold", "would be put on hold" },
	[QUEUE_RELEASE] = { "released", "would be released" },
	[QUEUE_FAIL] = { "returned to their senders", "would be returned to their senders" },
};

static const struct order_words reroute_words = { "routed anew", "would be routed anew" };

struct ordering {
	struct call *call;
	const struct order_words *words;
	enum queue_verb verb;
	struct queue_order order;
	struct filter_room filter;
	struct targets targets;
	bool dry_run, acting;
};

static void ordering_drop(struct call *c)
{
	struct ordering *o = c->state;

	op_cancel(&o->order.op);
	filter_fini(&o->filter);
	targets_fini(&o->targets);
	free(o);
}

static void on_order(struct op *op);

static void order_round(struct ordering *o)
{
	queue_order(o->call->hooks->port, &o->filter.f, o->verb, !o->acting, &o->order, on_order);
}

static void ordering_report(struct ordering *o, bool planned)
{
	json_t *row = json_object();

	row_c(row, "action", planned ? o->words->planned : o->words->done);
	row_uint(row, "messages", o->order.messages);
	row_uint(row, "recipients", o->order.recipients);
	row_bool(row, "dry_run", o->dry_run);
	call_row(o->call, row);
}

static void ordering_end(struct ordering *o)
{
	struct call *c = o->call;

	if (o->order.recipients == 0)
		call_end(c, CALL_NOTHING, "nothing in the queue matches");
	else if (o->order.messages < o->targets.n)
		call_end(c, CALL_PARTLY, "%zu of %zu ids are not in the queue or do not match",
			 o->targets.n - (size_t)o->order.messages, o->targets.n);
	else
		call_end(c, CALL_OK, NULL);
}

/* All was counted, or acted on. */
static void on_order(struct op *op)
{
	struct ordering *o = container_of(op, struct ordering, order.op);

	if (!o->order.ok) {
		call_end_err(o->call, CALL_PARTLY, &o->order.err);
		return;
	}
	ordering_report(o, !o->acting);
	if (o->acting || o->dry_run || o->order.recipients == 0) {
		ordering_end(o);
		return;
	}
	o->acting = true;
	order_round(o);
}

static bool names_something(const struct call *c)
{
	return args_list_n(c, "ID") > 0 || args_has(c, "from") || args_has(c, "to") || args_flag(c, "deferred") ||
	       args_flag(c, "held") || args_has(c, "older") || args_has(c, "where") || args_flag(c, "all");
}

static void run_order(struct call *c, enum queue_verb verb, const struct order_words *words)
{
	if (!names_something(c)) {
		call_end(c, CALL_USAGE,
			 "which messages? Give ids, a filter (--from --to --deferred --held --older --where) or --all");
		return;
	}
	struct ordering *o = calloc(1, sizeof *o);
	must(o != NULL);
	o->call = c;
	o->verb = verb;
	o->words = words;
	o->order.reason = args_reason(c);
	o->dry_run = args_flag(c, "dry-run");
	c->state = o;
	c->drop = ordering_drop;
	if (!targets_init(&o->targets, c) || !filter_init(&o->filter, c))
		return;
	o->filter.f.targets = o->targets.v;
	o->filter.f.target_n = o->targets.n;
	order_round(o);
}

static void run_retry(struct call *c, const struct order_words *words)
{
	/* before the order: the messages it makes due must not meet a host that still rests */
	if (c->hooks->hurry != NULL && !args_flag(c, "dry-run"))
		c->hooks->hurry(c->hooks->arg);
	run_order(c, QUEUE_RETRY, words);
}

void run_queue_retry(struct call *c)
{
	run_retry(c, &order_words[QUEUE_RETRY]);
}

/* The queue keeps no choice of a way: each try asks routing for all of it.  What is left of the last one is that a next
 * hop rests, and run_retry ends that. */
void run_queue_reroute(struct call *c)
{
	run_retry(c, &reroute_words);
}

void run_queue_remove(struct call *c)
{
	enum queue_verb v = args_flag(c, "ndr") ? QUEUE_FAIL : QUEUE_REMOVE;

	run_order(c, v, &order_words[v]);
}

void run_queue_hold(struct call *c)
{
	run_order(c, QUEUE_HOLD, &order_words[QUEUE_HOLD]);
}

void run_queue_release(struct call *c)
{
	run_order(c, QUEUE_RELEASE, &order_words[QUEUE_RELEASE]);
}

/* ---- check and export: in `tombolo` itself ---- */

void run_queue_export(struct call *c)
{
	call_end(c, CALL_USAGE, "export is done by `tombolo`");
}

void run_queue_check(struct call *c)
{
	struct buf findings;
	struct err e = { 0 };

	buf_init(&findings, 16 * 1024 * 1024);
	int rc = queue_check(args_text(c, "PATH").p, &findings, &e);
	call_lines(c, buf_str(&findings));
	buf_fini(&findings);
	if (rc < 0)
		call_end_err(c, CALL_PARTLY, &e);
	else if (rc > 0)
		call_end(c, CALL_PARTLY, "the store is not sound; docs/QUEUE.md says what each line means");
	else
		call_end(c, CALL_OK, NULL);
}
