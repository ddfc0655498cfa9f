/* smtpd/control_drain.c: `queue drain`: nothing new is accepted, what waits leaves now, perhaps all to one host.
 *
 *   count what waits -> say so -> (unless --dry-run) MAIL is refused -> next hops that rest are woken -> all is due */
#include "base/log.h"
#include "base/must.h"
#include "base/time.h"
#include "connectors/drain.h"
#include "smtpd/control_verbs.h"

struct draining {
	struct call *call;
	struct queue_order order;
};

static void draining_drop(struct call *c)
{
	struct draining *d = c->state;

	op_cancel(&d->order.op);
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

static void begin(struct call *c)
{
	struct queue_stats st;
	struct drain_order o = { .since_ms = clock_wall_ms() };

	queue_stats(c->hooks->queue, &st);
	o.recipients = st.recipients;
	keep(o.to, sizeof o.to, args_text(c, "to"));
	keep(o.reason, sizeof o.reason, args_text(c, "reason"));
	drain_start(c->hooks->drain, &o);
	log_warn(NULL, "queue.drain", kv_bool("on", true), kv_c("to", o.to), kv_c("reason", o.reason),
		 kv_int("uid", (int64_t)c->uid), kv_int("recipients", (int64_t)o.recipients));
}

static void on_counted(struct op *op)
{
	struct draining *d = container_of(op, struct draining, order.op);
	struct call *c = d->call;
	struct queue_filter all = { 0 };
	bool dry_run = args_flag(c, "dry-run");

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
	begin(c);
	call_text(c,
		  "Nothing new is accepted. `tombolo status` shows how it goes, `tombolo queue drain --stop` ends it.");
	if (c->hooks->hurry != NULL)
		c->hooks->hurry(c->hooks->arg);
	queue_order(c->hooks->port, &all, QUEUE_RETRY, false, &d->order, on_due);
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
		stop(c);
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
