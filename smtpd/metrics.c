/* smtpd/metrics.c: OpenMetrics text, family by family; see the header. */
#include "smtpd/metrics.h"

#include "base/must.h"
#include "connectors/kept.h"
#include "smtpd/control_verbs.h"
#include "smtpd/pressure.h"

#include <stdlib.h>

enum { ROWS_MAX = 500 };

/* ---- the format ---- */

/* Counters end in _total in their lines, not in their family's name (OpenMetrics 1.0, 5.1). */
static void family(struct buf *b, const char *name, const char *type, const char *help)
{
	buf_addf(b, "# TYPE tombolo_%s %s\n# HELP tombolo_%s %s\n", name, type, name, help);
}

static void put_label(struct buf *b, const char *key, struct str value, bool first)
{
	buf_addf(b, "%s%s=\"", first ? "{" : ",", key);
	for (size_t i = 0; i < value.n; i++) {
		char c = value.p[i];
		if (c == '\\' || c == '"')
			buf_addc(b, '\\');
		if (c == '\n')
			buf_add(b, S("\\n"));
		else
			buf_addc(b, chr_is_ctl(c) || chr_is_8bit(c) ? '?' : c);
	}
	buf_addc(b, '"');
}

struct label {
	const char *key;
	struct str value;
};

static void put_labels(struct buf *b, const struct label *labels, size_t n)
{
	for (size_t i = 0; i < n; i++)
		put_label(b, labels[i].key, labels[i].value, i == 0);
	if (n > 0)
		buf_addc(b, '}');
}

static void sample(struct buf *b, const char *name, const struct label *labels, size_t n, uint64_t value)
{
	buf_addf(b, "tombolo_%s", name);
	put_labels(b, labels, n);
	buf_addf(b, " %llu\n", (unsigned long long)value);
}

static void gauge(struct buf *b, const char *name, const char *help, uint64_t value)
{
	family(b, name, "gauge", help);
	sample(b, name, NULL, 0, value);
}

static void counter(struct buf *b, const char *name, const char *help, uint64_t value)
{
	char line[80];

	family(b, name, "counter", help);
	snprintf(line, sizeof line, "%s_total", name);
	sample(b, line, NULL, 0, value);
}

static void put_seconds(struct buf *b, uint64_t ms)
{
	buf_addf(b, "%llu.%03u", (unsigned long long)(ms / 1000), (unsigned)(ms % 1000));
}

/* One series of a family that family() has announced. */
static void histogram(struct buf *b, const char *name, struct str hop, const struct histo *h)
{
	uint64_t sofar = 0;

	for (size_t i = 0; i <= HISTO_STEPS; i++) {
		sofar += h->n[i];
		buf_addf(b, "tombolo_%s_bucket", name);
		put_label(b, "hop", hop, true);
		buf_add(b, S(",le=\""));
		if (i < HISTO_STEPS)
			put_seconds(b, (uint64_t)histo_upto_ms[i]);
		else
			buf_add(b, S("+Inf"));
		buf_addf(b, "\"} %llu\n", (unsigned long long)sofar);
	}
	buf_addf(b, "tombolo_%s_sum", name);
	put_label(b, "hop", hop, true);
	buf_add(b, S("} "));
	put_seconds(b, h->sum_ms);
	buf_addf(b, "\ntombolo_%s_count", name);
	put_label(b, "hop", hop, true);
	buf_addf(b, "} %llu\n", (unsigned long long)sofar);
}

/* ---- the queue ---- */

static void put_syncs(struct buf *b, const struct queue_stats *q)
{
	uint64_t sofar = 0;

	family(b, "queue_sync_seconds", "histogram", "How long the log took to become durable, by group of messages.");
	for (size_t i = 0; i < QUEUE_SYNC_STEPS; i++) {
		sofar += q->sync_took[i];
		buf_add(b, S("tombolo_queue_sync_seconds_bucket{le=\""));
		if (i + 1 < QUEUE_SYNC_STEPS)
			put_seconds(b, UINT64_C(1) << i);
		else
			buf_add(b, S("+Inf"));
		buf_addf(b, "\"} %llu\n", (unsigned long long)sofar);
	}
	buf_add(b, S("tombolo_queue_sync_seconds_sum "));
	put_seconds(b, q->sync_ms);
	buf_addf(b, "\ntombolo_queue_sync_seconds_count %llu\n", (unsigned long long)sofar);
}

static void put_queue(struct buf *b, const struct queue *queue)
{
	struct queue_stats q;

	queue_stats(queue, &q);
	gauge(b, "queue_messages", "Messages in the queue.", q.messages);
	gauge(b, "queue_recipients", "Recipients that are not served yet.", q.recipients);
	gauge(b, "queue_deferred_recipients", "Those of them that a try has failed for.", q.deferred);
	gauge(b, "queue_active_messages", "Messages being delivered.", q.leased);
	gauge(b, "queue_content_bytes", "Content of the messages in the queue.", q.bytes);
	gauge(b, "queue_segment_bytes", "Disk that the log takes.", q.segment_bytes);
	gauge(b, "queue_read_only", "1: nothing is accepted, the disk is full or a sync failed.", q.read_only);
	counter(b, "queue_accepted_messages", "Messages made durable.", q.accepted);
	counter(b, "queue_delivered_recipients", "Recipients served.", q.delivered);
	counter(b, "queue_failed_recipients", "Recipients given up.", q.failed);
	counter(b, "queue_groups", "Groups of messages and outcomes written.", q.groups);
	counter(b, "queue_checkpoints", "Times the index caught up with the log.", q.checkpoints);
	put_syncs(b, &q);
}

static void put_replay(struct buf *b, const struct kept *k)
{
	struct kept_stats st;

	if (k == NULL)
		return;
	kept_stats(k, &st);
	gauge(b, "replay_bytes", "Disk that copies of delivered mail take.", st.bytes);
	counter(b, "replay_kept", "Delivered messages that were kept.", st.kept);
	counter(b, "replay_dropped", "Those that were not: too many waited for the disk.", st.dropped);
	counter(b, "replay_failed", "Those that could not be written.", st.failed);
}

/* ---- the recipient table and the mode ---- */

static void put_routing(struct buf *b, struct routing *r)
{
	static const char *const modes[] = { "M1", "M2", "M3", "M4" };
	struct routing_stats st = { 0 };
	struct mode m;

	if (routing_stats(r, &st, NULL) == 0) {
		gauge(b, "table_filter_bytes", "The filter that answers for unknown addresses; 0: not built yet.",
		      routing_filter_bytes(r));
		gauge(b, "table_recipients", "Recipients in the table.", st.recipients);
		gauge(b, "table_addresses", "Their addresses.", st.addresses);
		gauge(b, "table_serial", "Rises with each change of the table.", st.serial);
		gauge(b, "table_imported_timestamp_seconds", "When something was imported last.",
		      (uint64_t)st.imported_ms / 1000);
	}
	if (routing_mode_get(r, &m, NULL) != 0)
		return;
	gauge(b, "mode_epoch", "Rises with each change of the mode.", m.epoch);
	family(b, "mode", "stateset", "The mode in force.");
	for (size_t i = 0; i < sizeof modes / sizeof modes[0]; i++)
		sample(b, "mode", (struct label[]){ { "tombolo_mode", str_c(modes[i]) } }, 1,
		       str_eq(str_c(modes[i]), str_c(mode_name(&m))));
}

/* ---- sessions ---- */

static const struct {
	const char *counter, *help;
} session_counters[] = {
	{ "connections", "Connections accepted." },
	{ "sessions", "Sessions begun." },
	{ "refused_full", "Connections refused: too many in all." },
	{ "refused_client", "Connections refused: too many from one network." },
	{ "early_talkers", "Clients that talked before the greeting." },
	{ "messages", "Messages taken." },
	{ "message_bytes", "Their content." },
	{ "rejected_messages", "Messages refused at their end." },
	{ "rcpts", "Recipients taken." },
	{ "rejected_rcpts", "Recipients refused." },
	{ "deferred_rcpts", "Recipients told to come later." },
	{ "tls_sessions", "TLS handshakes with clients." },
	{ "tls_failures", "Those that failed." },
	{ "tls_resumed", "Those that resumed a session." },
	{ "protocol_errors", "Commands that were wrong." },
	{ "timeouts", "Sessions ended by a deadline." },
	{ "commit_failures", "Messages that could not be made durable." },
	{ "attribution_misses", "Clients that look like a peer and were not recognised." },
	{ "foreign_messages", "Messages of another organisation of a shared cloud." },
	{ "forged_messages", "Messages of strangers with headers of ours." },
	{ "loops_stopped", "Messages that came back under our route token." },
	{ "shed", "MAIL refused because resources are short." },
	{ "milter_calls", "Packets sent to content filters." },
	{ "milter_failures", "Content filters that could not be asked or made no sense." },
	{ "milter_ms", "Milliseconds waited for answers of content filters." },
	{ "judged", "Messages whose author was judged by SPF, DKIM and DMARC." },
	{ "judged_failed", "Messages that failed DMARC." },
	{ "judged_stopped", "Messages refused, put off or held for DMARC." },
	{ "rate_connections", "Connections refused: limits.connection_rate." },
	{ "rate_messages", "MAIL refused: limits.message_rate." },
	{ "rate_recipients", "RCPT refused: limits.recipient_rate." },
	{ "rate_unknown", "RCPT refused: limits.unknown_rate." },
	{ "auth_spf", "SPF verdicts asked for." },
	{ "auth_dkim", "Messages looked at for DKIM." },
	{ "auth_signed", "Messages signed." },
	{ "auth_worker_deaths", "Workers that ended otherwise than by our will." },
	{ "auth_workers_recycled", "Workers that a fresh one took over from." },
	{ "auth_timeouts", "Questions that took too long." },
	{ "auth_refused", "Questions without room: auth.memory." },
};

struct counters_sum {
	uint64_t values[sizeof session_counters / sizeof session_counters[0]];
	uint64_t open, fields[64];
	char groups[64][16];
	size_t group_n;
};

static void add_group(struct counters_sum *sum, const char *group, uint64_t value)
{
	size_t i = 0;

	while (i < sum->group_n && !str_eq(str_c(sum->groups[i]), str_c(group)))
		i++;
	if (i == sizeof sum->groups / sizeof sum->groups[0])
		return;
	if (i == sum->group_n)
		snprintf(sum->groups[sum->group_n++], sizeof sum->groups[0], "%s", group);
	sum->fields[i] += value;
}

/* Each loop says its own. */
static void add_counter(void *to, const char *name, uint64_t value)
{
	struct counters_sum *sum = to;

	if (str_eq(str_c(name), S("connections_open")))
		sum->open += value;
	if (str_starts(str_c(name), S("header_fields_")))
		add_group(sum, name + sizeof "header_fields_" - 1, value);
	for (size_t i = 0; i < sizeof session_counters / sizeof session_counters[0]; i++)
		if (str_eq(str_c(name), str_c(session_counters[i].counter)))
			sum->values[i] += value;
}

static void put_sessions(struct buf *b, const struct control_hooks *h)
{
	struct counters_sum *sum = calloc(1, sizeof *sum);
	char name[80];

	must(sum != NULL);
	h->counters(h->arg, add_counter, sum);
	gauge(b, "smtpd_open_connections", "Clients connected now.", sum->open);
	for (size_t i = 0; i < sizeof session_counters / sizeof session_counters[0]; i++) {
		snprintf(name, sizeof name, "smtpd_%s", session_counters[i].counter);
		counter(b, name, session_counters[i].help, sum->values[i]);
	}
	family(b, "smtpd_header_fields", "counter", "Header fields taken out or renamed at the door.");
	for (size_t i = 0; i < sum->group_n; i++)
		sample(b, "smtpd_header_fields_total", (struct label[]){ { "group", str_c(sum->groups[i]) } }, 1,
		       sum->fields[i]);
	free(sum);
}

/* ---- connectors and next hops ---- */

static void put_results(struct buf *b, const char *name, struct label who, uint64_t sent, uint64_t deferred,
			uint64_t failed)
{
	sample(b, name, (struct label[]){ who, { "result", S("sent") } }, 2, sent);
	sample(b, name, (struct label[]){ who, { "result", S("deferred") } }, 2, deferred);
	sample(b, name, (struct label[]){ who, { "result", S("failed") } }, 2, failed);
}

static void put_connectors(struct buf *b, const struct control_hooks *h)
{
	struct connector_stats *rows = calloc(ROWS_MAX, sizeof *rows);

	must(rows != NULL);
	size_t n = h->connectors(h->arg, rows, ROWS_MAX);
	family(b, "connector_recipients", "counter",
	       "Attempts for recipients by send connector, and what came of them.");
	for (size_t i = 0; i < n; i++)
		put_results(b, "connector_recipients_total", (struct label){ "connector", str_c(rows[i].name) },
			    rows[i].sent, rows[i].deferred, rows[i].failed);
	family(b, "connector_connections", "counter", "Connections made, by the TLS level they achieved.");
	for (size_t i = 0; i < n; i++)
		for (enum conf_tls_level l = TLS_NONE; l <= TLS_DOMAIN; l++)
			sample(b, "connector_connections_total",
			       (struct label[]){ { "connector", str_c(rows[i].name) },
						 { "tls", str_c(conf_tls_level_name(l)) } },
			       2, rows[i].tls[l]);
	family(b, "connector_failures", "counter", "Connections that failed, by stage.");
	for (size_t i = 0; i < n; i++)
		for (enum smtp_stage at = 0; at < AT_N; at++)
			if (rows[i].failed_at[at] > 0)
				sample(b, "connector_failures_total",
				       (struct label[]){ { "connector", str_c(rows[i].name) },
							 { "stage", str_c(smtp_stage_name(at)) } },
				       2, rows[i].failed_at[at]);
	family(b, "connector_unknown", "counter", "Messages sent whose answer was lost: possible duplicates.");
	for (size_t i = 0; i < n; i++)
		sample(b, "connector_unknown_total", (struct label[]){ { "connector", str_c(rows[i].name) } }, 1,
		       rows[i].unknown);
	family(b, "connector_breaker_open", "gauge",
	       "1 while all of its mail waits, because the other side refuses us.");
	for (size_t i = 0; i < n; i++)
		sample(b, "connector_breaker_open", (struct label[]){ { "connector", str_c(rows[i].name) } }, 1,
		       rows[i].breaker_why[0] != '\0');
	family(b, "connector_breaker_opened", "counter", "How often that happened.");
	for (size_t i = 0; i < n; i++)
		sample(b, "connector_breaker_opened_total", (struct label[]){ { "connector", str_c(rows[i].name) } }, 1,
		       rows[i].breaker_opened);
	family(b, "connector_failure_reasons", "counter", "The same by reason.");
	for (size_t i = 0; i < n; i++)
		for (enum smtp_why w = 0; w < WHY_N; w++)
			if (rows[i].failed_why[w] > 0)
				sample(b, "connector_failure_reasons_total",
				       (struct label[]){ { "connector", str_c(rows[i].name) },
							 { "reason", str_c(smtp_why_name(w)) } },
				       2, rows[i].failed_why[w]);
	family(b, "connector_validity", "gauge", "Last probe: 0 unverified, 1 ok, 2 degraded, 3 failed.");
	for (size_t i = 0; i < n; i++)
		sample(b, "connector_validity", (struct label[]){ { "connector", str_c(rows[i].name) } }, 1,
		       rows[i].valid.state);
	family(b, "connector_echo", "gauge", "The way back, as connector_validity.");
	for (size_t i = 0; i < n; i++)
		sample(b, "connector_echo", (struct label[]){ { "connector", str_c(rows[i].name) } }, 1,
		       rows[i].echo.state);
	family(b, "connector_last_success_timestamp_seconds", "gauge", "When it last worked; 0: never.");
	for (size_t i = 0; i < n; i++)
		sample(b, "connector_last_success_timestamp_seconds",
		       (struct label[]){ { "connector", str_c(rows[i].name) } }, 1, (uint64_t)rows[i].ok_ms / 1000);
	free(rows);
}

/* Rows come busiest first; from `most` on they are one. */
static size_t fold_hops(struct hop_stats *rows, size_t n, size_t most)
{
	if (n <= most)
		return n;
	struct hop_stats other = { .hop = "other" };
	for (size_t i = most; i < n; i++) {
		other.waiting += rows[i].waiting;
		other.open += rows[i].open;
		other.sent += rows[i].sent;
		other.deferred += rows[i].deferred;
		other.failed += rows[i].failed;
	}
	rows[most] = other;
	return most + 1;
}

static void put_hops(struct buf *b, const struct control_hooks *h, size_t most)
{
	struct hop_stats *rows = calloc(ROWS_MAX, sizeof *rows);

	must(rows != NULL);
	size_t n = fold_hops(rows, h->hops(h->arg, rows, ROWS_MAX), most);
	family(b, "hop_waiting", "gauge", "Transactions that wait for a connection to this next hop.");
	for (size_t i = 0; i < n; i++)
		sample(b, "hop_waiting", (struct label[]){ { "hop", str_c(rows[i].hop) } }, 1, rows[i].waiting);
	family(b, "hop_open_connections", "gauge", "Connections to it.");
	for (size_t i = 0; i < n; i++)
		sample(b, "hop_open_connections", (struct label[]){ { "hop", str_c(rows[i].hop) } }, 1, rows[i].open);
	free(rows);
}

static int by_traffic(const void *a, const void *b)
{
	const struct hop_times *x = a, *y = b;
	uint64_t nx = histo_total(&x->sent) + histo_total(&x->deferred);
	uint64_t ny = histo_total(&y->sent) + histo_total(&y->deferred);

	return nx < ny ? 1 : nx > ny ? -1 : 0;
}

static size_t fold_times(struct hop_times *rows, size_t n, size_t most)
{
	qsort(rows, n, sizeof *rows, by_traffic);
	if (n <= most)
		return n;
	struct hop_times other = { .hop = "other" };
	for (size_t i = most; i < n; i++) {
		histo_merge(&other.sent, &rows[i].sent);
		histo_merge(&other.deferred, &rows[i].deferred);
	}
	rows[most] = other;
	return most + 1;
}

static void put_times(struct buf *b, const struct control_hooks *h, size_t most)
{
	struct hop_times *rows = calloc(ROWS_MAX, sizeof *rows);

	must(rows != NULL);
	size_t n = fold_times(rows, h->times(h->arg, rows, ROWS_MAX), most);
	family(b, "delivery_seconds", "histogram", "From acceptance to the next hop's 250.");
	for (size_t i = 0; i < n; i++)
		histogram(b, "delivery_seconds", str_c(rows[i].hop), &rows[i].sent);
	family(b, "deferral_age_seconds", "histogram", "How old mail was each time this next hop made it wait.");
	for (size_t i = 0; i < n; i++)
		histogram(b, "deferral_age_seconds", str_c(rows[i].hop), &rows[i].deferred);
	free(rows);
}

/* ---- pressure ---- */

static void put_pressure(struct buf *b, const struct pressure *p)
{
	enum pressure_level levels[RES_N];
	int64_t value;

	family(b, "pressure_value", "gauge", "What is short: percent, milliseconds or messages, see docs/PRESSURE.md.");
	for (enum conf_resource r = 0; r < RES_N; r++) {
		pressure_read(p, r, &value, &levels[r]);
		if (value != PRESSURE_UNKNOWN)
			sample(b, "pressure_value", (struct label[]){ { "resource", str_c(conf_resource_name(r)) } }, 1,
			       (uint64_t)value);
	}
	family(b, "pressure_level", "gauge", "0 low, 1 medium, 2 high.");
	for (enum conf_resource r = 0; r < RES_N; r++)
		sample(b, "pressure_level", (struct label[]){ { "resource", str_c(conf_resource_name(r)) } }, 1,
		       levels[r]);
	gauge(b, "pressure_shed", "0 nobody, 1 slowly, 2 strangers, 3 clients, 4 our servers, 5 the other side.",
	      pressure_sheds(p));
}

void metrics_write(const struct control_hooks *h, const struct config *c, struct buf *out)
{
	size_t most = (size_t)c->metrics.hops;

	gauge(out, "start_timestamp_seconds", "When the daemon was started.", (uint64_t)h->started_ms / 1000);
	put_queue(out, h->queue);
	put_replay(out, h->kept);
	put_routing(out, h->routing);
	put_sessions(out, h);
	put_connectors(out, h);
	put_hops(out, h, most);
	put_times(out, h, most);
	put_pressure(out, h->pressure);
	buf_add(out, S("# EOF\n"));
}

void run_metrics(struct call *c)
{
	struct buf text;

	buf_init(&text, METRICS_MAX);
	metrics_write(c->hooks, c->config, &text);
	call_lines(c, buf_str(&text));
	call_end(c, CALL_OK, NULL);
	buf_fini(&text);
}
