/* smtpd/control_status.c: the daemon at a glance.
 *
 * Runs on the loop: reads counters and small records, writes nothing. */
#include "base/must.h"
#include "base/time.h"
#include "smtpd/control_verbs.h"
#include "connectors/drain.h"
#include "connectors/kept.h"
#include "smtpd/pressure.h"

const char *conf_side_name(enum conf_side s)
{
	return s == SIDE_CLOUD ? "cloud" : "onprem";
}

const char *conf_tls_name(enum conf_tls_level l)
{
	static const char *const names[] = { "none", "may", "encrypt", "validate", "domain" };

	must((size_t)l < sizeof names / sizeof names[0]);
	return names[l];
}

void row_mode(json_t *row, const struct mode *m)
{
	row_c(row, "mode", mode_name(m));
	row_c(row, "mx", conf_side_name(m->mx));
	row_bool(row, "cmt", m->cmt);
	row_uint(row, "epoch", m->epoch);
	row_int(row, "since_ms", m->since_ms);
}

/* ---- status ---- */

static json_t *queue_part(const struct queue *q)
{
	json_t *part = json_object();
	struct queue_stats st;

	queue_stats(q, &st);
	row_uint(part, "messages", st.messages);
	row_uint(part, "recipients", st.recipients);
	row_uint(part, "deferred", st.deferred);
	row_uint(part, "leased", st.leased);
	row_uint(part, "bytes", st.bytes);
	row_uint(part, "accepted", st.accepted);
	row_uint(part, "delivered", st.delivered);
	row_uint(part, "failed", st.failed);
	row_uint(part, "groups", st.groups);
	row_uint(part, "syncs", st.syncs);
	row_uint(part, "checkpoints", st.checkpoints);
	row_uint(part, "segments", st.segments);
	row_uint(part, "segment_bytes", st.segment_bytes);
	row_bool(part, "read_only", st.read_only);
	return part;
}

static json_t *recipients_part(struct routing *r)
{
	json_t *part = json_object();
	struct routing_stats st;
	struct err e = { 0 };

	if (routing_stats(r, &st, &e) != 0) {
		row_c(part, "error", e.text);
		return part;
	}
	row_uint(part, "recipients", st.recipients);
	row_uint(part, "addresses", st.addresses);
	row_uint(part, "serial", st.serial);
	row_int(part, "imported_ms", st.imported_ms);
	row_int(part, "map_used_percent", (int64_t)(st.map_used * 100));
	return part;
}

static json_t *mode_part(struct routing *r)
{
	json_t *part = json_object();
	struct mode m;
	struct err e = { 0 };

	if (routing_mode_get(r, &m, &e) == 0)
		row_mode(part, &m);
	else
		row_c(part, "error", e.text);
	return part;
}

/* Mail of the cloud to the Internet: the share that passed the on-prem side (spec 8.10). */
void row_coverage(json_t *row, const uint64_t n[COVERAGE_N])
{
	uint64_t all = 0;

	for (enum coverage c = COVERAGE_PASSED; c < COVERAGE_N; c++) {
		row_uint(row, coverage_name(c), n[c]);
		all += n[c];
	}
	if (all > 0)
		row_uint(row, "passed_percent", n[COVERAGE_PASSED] * 100 / all);
}

static json_t *coverage_part(struct routing *r)
{
	json_t *part = json_object();
	struct coverage_sum sum;

	routing_coverage(r, clock_wall_ms(), &sum);
	row_coverage(part, sum.total);
	return part;
}

/* Each loop says its own: the sum is shown. */
static void add_counter(void *to, const char *name, uint64_t value)
{
	json_int_t sofar = json_integer_value(json_object_get(to, name));

	row_uint(to, name, (uint64_t)sofar + value);
}

/* The values, and in one line which of them are too high. */
static json_t *pressure_part(const struct pressure *p)
{
	json_t *part = json_object();
	char room[300] = "";
	struct buf scarce = { .p = room, .cap = sizeof room, .max = sizeof room - 1 };

	row_c(part, "shed", pressure_shed_name(pressure_sheds(p)));
	for (enum conf_resource r = 0; r < RES_N; r++) {
		int64_t value;
		enum pressure_level level;
		pressure_read(p, r, &value, &level);
		if (value != PRESSURE_UNKNOWN)
			row_int(part, conf_resource_name(r), value);
		if (level != PRESSURE_LOW)
			buf_addf(&scarce, "%s%s %s", scarce.n > 0 ? ", " : "", conf_resource_name(r),
				 pressure_level_name(level));
	}
	row_str(part, "short_of", buf_str(&scarce));
	return part;
}

/* What is left can be more than there was: reports, expansions. */
static json_t *drain_part(const struct drain_order *d, const struct queue *q)
{
	json_t *part = json_object();
	struct queue_stats st;

	queue_stats(q, &st);
	row_c(part, "to", d->to);
	row_c(part, "reason", d->reason);
	row_int(part, "since_ms", d->since_ms);
	row_uint(part, "recipients_then", d->recipients);
	row_uint(part, "recipients_left", st.recipients);
	return part;
}

static json_t *replay_part(const struct kept *k)
{
	json_t *part = json_object();
	struct kept_stats st;

	kept_stats(k, &st);
	row_uint(part, "kept", st.kept);
	row_uint(part, "dropped", st.dropped);
	row_uint(part, "failed", st.failed);
	row_uint(part, "bytes", st.bytes);
	row_uint(part, "files", st.files);
	return part;
}

/* `tombolo` does it: it asks for others again and again (cli_top.c). */
void run_top(struct call *c)
{
	call_end(c, CALL_USAGE, "top is for a terminal");
}

void run_status(struct call *c)
{
	const struct control_hooks *h = c->hooks;
	json_t *row = json_object(), *sessions = json_object();
	struct drain_order drain;

	row_str(row, "hostname", c->config->hostname);
	row_c(row, "site", c->config->site == SITE_CLOUD ? "cloud" : "onprem");
	row_int(row, "uptime_ms", clock_wall_ms() - h->started_ms);
	must(json_object_set_new(row, "mode", mode_part(h->routing)) == 0);
	json_t *queue = queue_part(h->queue);
	row_str(queue, "path", c->config->queue.path);
	must(json_object_set_new(row, "queue", queue) == 0);
	must(json_object_set_new(row, "recipients", recipients_part(h->routing)) == 0);
	if (h->pressure != NULL)
		must(json_object_set_new(row, "pressure", pressure_part(h->pressure)) == 0);
	if (h->kept != NULL)
		must(json_object_set_new(row, "replay", replay_part(h->kept)) == 0);
	if (drain_read(h->drain, &drain))
		must(json_object_set_new(row, "drain", drain_part(&drain, h->queue)) == 0);
	must(json_object_set_new(row, "cmt_coverage", coverage_part(h->routing)) == 0);
	if (h->counters != NULL)
		h->counters(h->arg, add_counter, sessions);
	must(json_object_set_new(row, "sessions", sessions) == 0);
	call_row(c, row);
	call_end(c, CALL_OK, NULL);
}
