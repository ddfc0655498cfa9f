/* smtpd/control_drain.c: `queue drain`: nothing new is accepted, what waits leaves now, perhaps all to one host.
 *
 *   count what waits -> say so -> (unless --dry-run) the order is on disk -> MAIL is refused -> next hops that rest are
 *   woken -> all is due */
#include "base/log.h"
#include "base/must.h"
#include "base/time.h"
#include "connectors/drain.h"
#include "smtpd/control_verbs.h"

struct draining {
	struct call *call;
	struct queue_order order;
	struct drain_order drain;
	bool is_kept, in_force;
};

static void put_in_force(struct call *c)
{
	struct draining *d = c->state;

	d->in_force = true;
	drain_start(c->hooks->drain, &d->drain);
	log_warn(NULL, "queue.drain", kv_bool("on", true), kv_c("to", d->drain.to), kv_c("reason", d->drain.reason),
		 kv_int("uid", (int64_t)c->uid), kv_int("recipients", (int64_t)d->drain.recipients));
}

static void draining_drop(struct call *c)
{
	struct draining *d = c->state;

	op_cancel(&d->order.op);
	if (d->is_kept && !d->in_force) /* whoever ordered it left while it was written; disk and memory agree */
		put_in_force(c);
	free(d);
}

static void on_due(struct op *op)
{
	struct draining *d = container_of(op, struct draining, order.op);

	if (d->order.ok)
		call_end(d->call, CALL_OK, NULL);
	else
		call_end_err(d->call, CALL_PARTLY, &d->order.err);
}

static void keep(char *to, size_t room, struct str s)
{
	snprintf(to, room, STR_FMT, STR_ARG(s));
}

/* On the worker. */
static void keep_order(struct call *c)
{
	struct draining *d = c->state;
	struct err e = { 0 };

	d->is_kept = drain_keep(c->config->queue.path.p, &d->drain, &e) == 0;
	if (!d->is_kept)
		call_end_err(c, CALL_PARTLY, &e);
}

static void begin(struct call *c)
{
	struct draining *d = c->state;
	struct queue_filter all = { 0 };

	put_in_force(c);
	call_text(c,
		  "Nothing new is accepted. `tombolo status` shows how it goes, `tombolo queue drain --stop` ends it.");
	if (c->hooks->hurry != NULL)
		c->hooks->hurry(c->hooks->arg);
	queue_order(c->hooks->port, &all, QUEUE_RETRY, false, &d->order, on_due);
}

static void on_counted(struct op *op)
{
	struct draining *d = container_of(op, struct draining, order.op);
	struct call *c = d->call;
	bool dry_run = args_flag(c, "dry-run");
	struct queue_stats st;

	if (!d->order.ok) {
		call_end_err(c, CALL_PARTLY, &d->order.err);
		return;
	}
	call_text(c, "%llu recipients of %llu messages %s%s%s.", (unsigned long long)d->order.recipients,
		  (unsigned long long)d->order.messages, dry_run ? "would be delivered now" : "are delivered now",
		  args_has(c, "to") ? ", all to " : "", args_has(c, "to") ? args_text(c, "to").p : "");
	if (dry_run) {
		call_end(c, CALL_OK, NULL);
		return;
	}
	queue_stats(c->hooks->queue, &st);
	d->drain = (struct drain_order){ .since_ms = clock_wall_ms(), .recipients = st.recipients };
	keep(d->drain.to, sizeof d->drain.to, args_text(c, "to"));
	keep(d->drain.reason, sizeof d->drain.reason, args_text(c, "reason"));
	call_to_worker(c, keep_order, begin);
}

/* On the worker. */
static void forget_order(struct call *c)
{
	struct err e = { 0 };

	if (drain_forget(c->config->queue.path.p, &e) != 0)
		call_end_err(c, CALL_PARTLY, &e);
}

static void stop(struct call *c)
{
	if (!drain_stop(c->hooks->drain)) {
		call_end(c, CALL_NOTHING, "the queue is not being drained");
		return;
	}
	log_warn(NULL, "queue.drain", kv_bool("on", false), kv_int("uid", (int64_t)c->uid));
	call_text(c, "Mail is accepted again.");
	call_end(c, CALL_OK, NULL);
}

/* "host", "host:port", "[192.0.2.1]:25": what the list of smart hosts of a connector takes. */
static bool is_host(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (!chr_is_alnum(s.p[i]) && str_chr(S(".-_:[]"), s.p[i]) < 0)
			return false;
	return s.n > 0 && s.n < DRAIN_TO;
}

void run_queue_drain(struct call *c)
{
	struct queue_filter all = { 0 };
	struct draining *d;

	if (args_flag(c, "stop")) {
		call_to_worker(c, forget_order, stop);
		return;
	}
	if (args_has(c, "to") && !is_host(args_text(c, "to"))) {
		call_end(c, CALL_USAGE, "--to: a host is expected, host.example or [192.0.2.1]:25");
		return;
	}
	d = calloc(1, sizeof *d);
	must(d != NULL && c->hooks->drain != NULL);
	d->call = c;
	c->state = d;
	c->drop = draining_drop;
	queue_order(c->hooks->port, &all, QUEUE_RETRY, true, &d->order, on_counted);
}
