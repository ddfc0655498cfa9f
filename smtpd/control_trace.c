/* smtpd/control_trace.c: `trace`: one message, or those of a sender or recipient, as a tree over all gateways whose
 * logs are at hand.
 *
 *   select: which messages        one pass, network message ids
 *   follow: where they went       passes until no new id: reports about them, and "queued as ID" of a server whose log
 *                                 has a RECEIVE under that ID
 *   gather: their events          one pass; sorted, made visits (a message at a gateway), hung under the SEND or DSN
 *                                 they came from
 *
 * Memory holds the events of the messages told, at most EVENTS_MAX; the logs stream by. */
#include "base/must.h"
#include "base/time.h"
#include "smtpd/control_track.h"
#include "smtpd/control_verbs.h"

#include <stdlib.h>
#include <string.h>

enum { MESSAGES_DEFAULT = 20, MESSAGES_MAX = 1000, EVENTS_MAX = 50000, PASSES_MAX = 8, DEPTH_MAX = 30, KEY_MAX = 400 };

struct visit {              /* one message at one gateway */
	size_t first, last; /* events, + 1; 0 = none */
	size_t parent;      /* the event that led here, + 1; 0 = none */
	int64_t clock_ms;   /* to be added to the times of this gateway */
};

struct entry { /* an event */
	json_t *event;
	int64_t ms;
	size_t visit, next; /* of the same visit, + 1 */
};

struct trace {
	struct call *c;
	struct track_logs logs;
	struct str id, from, to;
	char since[40]; /* as date-time is written */
	uint64_t max;
	json_t *ids;    /* network message ids -> null */
	json_t *queued; /* queue ids that other servers gave */
	bool grown, more;
	struct entry *entries;
	size_t entry_n;
	struct visit *visits;
	size_t visit_n;
	json_t *by_key, *by_queue_id, *by_message, *clocks; /* -> index of a visit; clocks: by gateway */
};

/* ---- which messages ---- */

static bool set_has(const json_t *set, struct str key)
{
	char text[KEY_MAX];

	if (key.n == 0 || key.n >= sizeof text)
		return false;
	memcpy(text, key.p, key.n);
	text[key.n] = '\0';
	return json_object_get(set, text) != NULL;
}

static bool set_add(json_t *set, struct str key, json_t *value)
{
	char text[KEY_MAX];
	bool had = set_has(set, key);

	if (key.n == 0 || key.n >= sizeof text || had) {
		json_decref(value);
		return false;
	}
	memcpy(text, key.p, key.n);
	text[key.n] = '\0';
	return json_object_set_new(set, text, value) == 0; /* -1: not UTF-8, so no id of ours */
}

static ssize_t index_of(const json_t *map, struct str key)
{
	char text[KEY_MAX];

	if (!set_has(map, key))
		return -1;
	memcpy(text, key.p, key.n);
	text[key.n] = '\0';
	return (ssize_t)json_integer_value(json_object_get(map, text));
}

static bool address_matches(struct str asked, struct str address)
{
	struct str domain = str_skip(address, (size_t)(str_rchr(address, '@') + 1));

	if (str_starts(asked, S("@")))
		return str_ieq(str_skip(asked, 1), domain);
	return str_ieq(asked, address) || (str_chr(asked, '@') < 0 && str_ieq(asked, domain));
}

static bool names_message(const struct trace *t, const json_t *event)
{
	struct str message_id = track_text(event, "message-id"), bare = message_id;

	if (str_starts(bare, S("<")) && str_ends(bare, S(">")))
		bare = str_head(str_skip(bare, 1), bare.n - 2);
	return str_ieq(t->id, track_text(event, "network-message-id")) ||
	       str_ieq(t->id, track_text(event, "internal-message-id")) || str_eq(t->id, message_id) ||
	       str_eq(t->id, bare);
}

static bool names_recipient(const struct trace *t, const json_t *event)
{
	for (size_t i = 0; i < track_rcpt_n(event); i++)
		if (address_matches(t->to, track_rcpt(event, i)))
			return true;
	return address_matches(t->to, track_text(event, "related-recipient-address"));
}

static bool select_wants(void *arg, struct str line)
{
	const struct trace *t = arg;

	return t->since[0] == '\0' || str_cmp(track_raw(line, "date-time"), str_c(t->since)) >= 0;
}

static bool select_event(void *arg, const json_t *event)
{
	struct trace *t = arg;

	if ((t->id.n > 0 && !names_message(t, event)) ||
	    (t->from.n > 0 && !address_matches(t->from, track_text(event, "sender-address"))) ||
	    (t->to.n > 0 && !names_recipient(t, event)) || set_has(t->ids, track_text(event, "network-message-id")))
		return true;
	if (json_object_size(t->ids) >= t->max) {
		t->more = true;
		return false;
	}
	set_add(t->ids, track_text(event, "network-message-id"), json_null());
	return true;
}

/* ---- where they went ---- */

/* "250 2.0.0 queued as 3KQ8ZC1T7XW4A (in reply to DATA)": the name the message has at the server. */
static struct str queued_as(const json_t *event)
{
	struct str text = track_text(event, "source-context");
	ssize_t at = str_find(text, S("queued as "));
	struct str rest = str_skip(text, at < 0 ? text.n : (size_t)at + 10);

	return str_word(&rest);
}

static bool follow_wants(void *arg, struct str line)
{
	const struct trace *t = arg;

	return set_has(t->ids, track_raw(line, "network-message-id")) ||
	       set_has(t->queued, track_raw(line, "internal-message-id"));
}

static bool follow_event(void *arg, const json_t *event)
{
	struct trace *t = arg;
	struct str kind = track_text(event, "event-id"), id = track_text(event, "network-message-id");

	if (!set_has(t->ids, id)) {
		if (str_eq(kind, S("RECEIVE")))
			t->grown |= set_add(t->ids, id, json_null());
		return true;
	}
	if (str_eq(kind, S("SEND")))
		t->grown |= set_add(t->queued, queued_as(event), json_null());
	else if (str_eq(kind, S("DSN")))
		t->grown |= set_add(t->ids, track_text(event, "reference"), json_null());
	return json_object_size(t->ids) < EVENTS_MAX;
}

static bool gather_wants(void *arg, struct str line)
{
	const struct trace *t = arg;

	return set_has(t->ids, track_raw(line, "network-message-id"));
}

static bool gather_event(void *arg, const json_t *event)
{
	struct trace *t = arg;

	if (t->entry_n >= EVENTS_MAX) {
		t->more = true;
		return false;
	}
	if (t->entry_n % 1024 == 0) {
		t->entries = realloc(t->entries, (t->entry_n + 1024) * sizeof *t->entries);
		must(t->entries != NULL);
	}
	t->entries[t->entry_n++] =
		(struct entry){ .event = json_incref((json_t *)(uintptr_t)event), .ms = track_ms(event) };
	return true;
}

static int compare_entries(const void *a, const void *b)
{
	const struct entry *x = a, *y = b;

	return x->ms != y->ms ? (x->ms > y->ms) - (x->ms < y->ms) : (x->visit > y->visit) - (x->visit < y->visit);
}

/* ---- visits ---- */

static struct str at(const struct trace *t, size_t i, const char *key)
{
	return track_text(t->entries[i].event, key);
}

static bool is_kind(const struct trace *t, size_t i, const char *kind)
{
	return str_eq(at(t, i, "event-id"), str_c(kind));
}

static size_t visit_at(struct trace *t, struct str key)
{
	ssize_t i = index_of(t->by_key, key);

	if (i >= 0)
		return (size_t)i;
	if (t->visit_n % 256 == 0) {
		t->visits = realloc(t->visits, (t->visit_n + 256) * sizeof *t->visits);
		must(t->visits != NULL);
	}
	t->visits[t->visit_n] = (struct visit){ 0 };
	set_add(t->by_key, key, json_integer((json_int_t)t->visit_n));
	return t->visit_n++;
}

/* Refused recipients have no queue id: they belong to the visit of the same message at the same gateway, if it got that
 * far. */
static void make_visit(struct trace *t, size_t i, bool with_queue_id)
{
	struct str queue_id = at(t, i, "internal-message-id"), id = at(t, i, "network-message-id");
	struct str gateway = at(t, i, "gateway");
	char key[KEY_MAX], message[KEY_MAX - 100];

	if ((queue_id.n > 0) != with_queue_id)
		return;
	snprintf(message, sizeof message, STR_FMT "|" STR_FMT, STR_ARG(gateway), STR_ARG(id));
	snprintf(key, sizeof key, "%s|" STR_FMT, message, STR_ARG(str_head(queue_id, 50)));
	ssize_t there = with_queue_id ? -1 : index_of(t->by_message, str_c(message));
	size_t v = there >= 0 ? (size_t)there : visit_at(t, str_c(key));
	t->entries[i].visit = v;
	if (with_queue_id && is_kind(t, i, "RECEIVE"))
		set_add(t->by_queue_id, queue_id, json_integer((json_int_t)v));
	set_add(t->by_message, str_c(message), json_integer((json_int_t)v));
}

static void chain_events(struct trace *t)
{
	for (size_t i = 0; i < t->entry_n; i++) {
		struct visit *v = &t->visits[t->entries[i].visit];
		if (v->last == 0)
			v->first = i + 1;
		else
			t->entries[v->last - 1].next = i + 1;
		v->last = i + 1;
	}
}

/* ---- what led where ---- */

static bool is_above(const struct trace *t, size_t v, size_t below)
{
	for (size_t depth = 0; depth < t->visit_n; depth++) {
		if (below == v)
			return true;
		if (t->visits[below].parent == 0)
			return false;
		below = t->entries[t->visits[below].parent - 1].visit;
	}
	return true;
}

static bool receives(const struct trace *t, size_t v, struct str rcpt)
{
	for (size_t i = t->visits[v].first; i > 0; i = t->entries[i - 1].next)
		for (size_t k = 0; is_kind(t, i - 1, "RECEIVE") && k < track_rcpt_n(t->entries[i - 1].event); k++)
			if (str_ieq(track_rcpt(t->entries[i - 1].event, k), rcpt))
				return true;
	return false;
}

/* The visit that a SEND led to: the server's queue id says it; a message that kept its network id is also found by
 * that, at another gateway and with this recipient. */
static ssize_t visit_after(const struct trace *t, size_t i)
{
	size_t from = t->entries[i].visit;
	ssize_t v = index_of(t->by_queue_id, queued_as(t->entries[i].event));

	if (v >= 0 && (size_t)v != from)
		return v;
	for (size_t k = 0; k < t->visit_n; k++) {
		size_t first = t->visits[k].first;
		size_t parent = t->visits[k].parent;
		if (k != from && first > 0 && (parent == 0 || t->entries[parent - 1].visit == from) &&
		    str_eq(at(t, first - 1, "network-message-id"), at(t, i, "network-message-id")) &&
		    !str_eq(at(t, first - 1, "gateway"), at(t, i, "gateway")) &&
		    receives(t, k, track_rcpt(t->entries[i].event, 0)))
			return (ssize_t)k;
	}
	return -1;
}

static ssize_t visit_of_report(const struct trace *t, size_t i)
{
	char message[KEY_MAX];
	struct str reference = at(t, i, "reference");

	snprintf(message, sizeof message, STR_FMT "|" STR_FMT, STR_ARG(at(t, i, "gateway")), STR_ARG(reference));
	return index_of(t->by_message, str_c(message));
}

/* The server had the message before it said so: a RECEIVE outside of the time the SEND took shows how far the clocks
 * are apart. */
static int64_t clock_error(const struct trace *t, size_t send, size_t v)
{
	const json_t *latency = json_object_get(t->entries[send].event, "latency-ms");
	int64_t took = json_integer_value(json_object_get(latency, "send"));
	int64_t sent = t->entries[send].ms + t->visits[t->entries[send].visit].clock_ms;
	int64_t got = t->entries[t->visits[v].first - 1].ms;

	return got > sent ? sent - got : got < sent - took ? sent - took - got : 0;
}

static void link_visits(struct trace *t)
{
	for (size_t i = 0; i < t->entry_n; i++) {
		bool send = is_kind(t, i, "SEND");
		ssize_t v = send ? visit_after(t, i) : is_kind(t, i, "DSN") ? visit_of_report(t, i) : -1;
		if (v >= 0 && t->visits[v].parent == 0 && !is_above(t, (size_t)v, t->entries[i].visit))
			t->visits[v].parent = i + 1;
	}
}

/* A gateway has one clock: the first of its visits, from the top, sets it right for all. */
static void set_clocks(struct trace *t, size_t v, int depth)
{
	struct visit *visit = &t->visits[v];
	struct str gateway = at(t, visit->first - 1, "gateway");
	ssize_t known = index_of(t->clocks, gateway);

	if (known < 0) {
		bool sent = visit->parent > 0 && is_kind(t, visit->parent - 1, "SEND");
		visit->clock_ms = sent ? clock_error(t, visit->parent - 1, v) : 0;
		set_add(t->clocks, gateway, json_integer((json_int_t)v));
	} else {
		visit->clock_ms = t->visits[known].clock_ms;
	}
	for (size_t k = 0; k < t->visit_n && depth < DEPTH_MAX; k++)
		if (t->visits[k].parent > 0 && t->entries[t->visits[k].parent - 1].visit == v)
			set_clocks(t, k, depth + 1);
}

/* ---- what became of a recipient ---- */

static struct str recipient_of(const struct trace *t, size_t i)
{
	struct str related = at(t, i, "related-recipient-address");

	return related.n > 0 ? related : track_rcpt(t->entries[i].event, 0);
}

/* The words of the cloud's own trace. */
static const char *status_of(const struct trace *t, size_t v, struct str rcpt, int depth)
{
	const char *status = "Pending";

	for (size_t i = t->visits[v].first; i > 0; i = t->entries[i - 1].next) {
		size_t k = i - 1;
		if (is_kind(t, k, "RECEIVE") || !str_ieq(recipient_of(t, k), rcpt))
			continue;
		if (is_kind(t, k, "FAIL"))
			status = "Failed";
		else if (is_kind(t, k, "DEFER"))
			status = "Pending";
		else if (is_kind(t, k, "EXPAND") || is_kind(t, k, "REDIRECT"))
			status = "Expanded";
		else if (is_kind(t, k, "DUPLICATEREDIRECT"))
			status = "Delivered";
		if (!is_kind(t, k, "SEND"))
			continue;
		ssize_t on = visit_after(t, k);
		if (on >= 0 && depth < DEPTH_MAX)
			status = status_of(t, (size_t)on, track_rcpt(t->entries[k].event, 0), depth + 1);
		else
			status = str_eq(at(t, k, "next"), S("peer")) ? "GettingStatus" : "Delivered";
	}
	return status;
}

/* ---- telling ---- */

static void put_if(json_t *row, const char *key, struct str value)
{
	if (value.n > 0)
		row_str(row, key, value);
}

static void tell_event(const struct trace *t, size_t i, int depth)
{
	const json_t *event = t->entries[i].event;
	const struct visit *v = &t->visits[t->entries[i].visit];
	static const char *const texts[] = { "gateway",
					     "client-hostname",
					     "client-ip",
					     "server-hostname",
					     "server-ip",
					     "connector-id",
					     "inbound",
					     "origin",
					     "rule",
					     "reason",
					     "recipient-status",
					     "source-context",
					     "sender-address",
					     "mode",
					     "network-message-id",
					     "internal-message-id",
					     "next",
					     "reference" };
	static const char *const values[] = {
		"tls", "hdr", "latency-ms", "attempt", "recipient-address", "related-recipient-address"
	};
	const char *cause = route_cause(at(t, i, "rule"), at(t, i, "reason"));
	char time[40];
	struct buf b = { .p = time, .cap = sizeof time, .max = sizeof time - 1 };
	json_t *row = json_object();

	time_put_iso(&b, t->entries[i].ms + v->clock_ms);
	row_int(row, "depth", depth);
	row_str(row, "event", at(t, i, "event-id"));
	row_str(row, "time", buf_str(&b));
	row_int(row, "after_ms", t->entries[i].ms - t->entries[v->first - 1].ms);
	if (v->clock_ms != 0)
		row_int(row, "clock_ms", v->clock_ms);
	for (size_t k = 0; k < sizeof texts / sizeof texts[0]; k++)
		put_if(row, texts[k], at(t, i, texts[k]));
	for (size_t k = 0; k < sizeof values / sizeof values[0]; k++)
		if (json_object_get(event, values[k]) != NULL)
			json_object_set(row, values[k], json_object_get(event, values[k]));
	if (cause != NULL)
		row_c(row, "cause", cause);
	call_row(t->c, row);
}

static void tell_visit(const struct trace *t, size_t v, int depth)
{
	for (size_t i = t->visits[v].first; i > 0; i = t->entries[i - 1].next) {
		tell_event(t, i - 1, depth);
		for (size_t k = 0; k < t->visit_n && depth < DEPTH_MAX; k++)
			if (t->visits[k].parent == i)
				tell_visit(t, k, depth + 1);
	}
}

static void add_status(const struct trace *t, size_t v, struct str rcpt, json_t *recipients)
{
	json_t *one = json_object();

	row_str(one, "address", rcpt);
	row_c(one, "status", status_of(t, v, rcpt, 0));
	json_array_append_new(recipients, one);
}

static void tell_message(const struct trace *t, size_t v)
{
	size_t first = t->visits[v].first - 1;
	json_t *row = json_object(), *recipients = json_array();

	row_str(row, "message", at(t, first, "network-message-id"));
	row_str(row, "from", at(t, first, "sender-address"));
	row_str(row, "time", at(t, first, "date-time"));
	for (size_t i = first + 1; i > 0; i = t->entries[i - 1].next) {
		const json_t *event = t->entries[i - 1].event;
		bool refused = is_kind(t, i - 1, "FAIL") && at(t, i - 1, "internal-message-id").n == 0;
		put_if(row, "message_id", at(t, i - 1, "message-id"));
		for (size_t k = 0; (refused || is_kind(t, i - 1, "RECEIVE")) && k < track_rcpt_n(event); k++)
			add_status(t, v, track_rcpt(event, k), recipients);
	}
	json_object_set_new(row, "recipients", recipients);
	call_row(t->c, row);
	tell_visit(t, v, 0);
}

/* ---- the story ---- */

static int read_all(struct trace *t, struct track_reader *all, struct err *e)
{
	struct track_reader select = { .wants = select_wants, .event = select_event, .arg = t };
	struct track_reader follow = { .wants = follow_wants, .event = follow_event, .arg = t };

	*all = (struct track_reader){ .wants = gather_wants, .event = gather_event, .arg = t };
	if (track_read(&t->logs, &select, e) != 0)
		return -1;
	t->grown = json_object_size(t->ids) > 0;
	for (int pass = 0; t->grown && pass < PASSES_MAX; pass++) {
		t->grown = false;
		if (track_read(&t->logs, &follow, e) != 0)
			return -1;
	}
	return json_object_size(t->ids) == 0 ? 0 : track_read(&t->logs, all, e);
}

static void make_tree(struct trace *t)
{
	for (size_t i = 0; i < t->entry_n; i++)
		t->entries[i].visit = i; /* equal times stay in the order of the log */
	qsort(t->entries, t->entry_n, sizeof *t->entries, compare_entries);
	for (size_t i = 0; i < t->entry_n; i++)
		make_visit(t, i, true);
	for (size_t i = 0; i < t->entry_n; i++)
		make_visit(t, i, false);
	chain_events(t);
	link_visits(t);
	for (size_t v = 0; v < t->visit_n; v++)
		if (t->visits[v].parent == 0 && t->visits[v].first > 0)
			set_clocks(t, v, 0);
}

static void tell_all(struct trace *t, const struct track_reader *r)
{
	for (size_t v = 0; v < t->visit_n; v++)
		if (t->visits[v].parent == 0 && t->visits[v].first > 0)
			tell_message(t, v);
	if (t->more)
		call_text(t->c, "There are more messages: narrow the question, or --max N.");
	if (r->lost > 0)
		call_text(t->c, "%llu events are missing from these logs (TRACK-LOST).", (unsigned long long)r->lost);
}

void run_trace(struct call *c)
{
	uint64_t since = args_number(c, "since", 0);
	struct trace t = { .c = c,
			   .id = args_text(c, "ID"),
			   .from = args_text(c, "from"),
			   .to = args_text(c, "to"),
			   .max = args_number(c, "max", MESSAGES_DEFAULT) };
	struct buf b = { .p = t.since, .cap = sizeof t.since, .max = sizeof t.since - 1 };
	struct track_reader r;
	struct err e = { 0 };

	if (t.max == 0 || t.max > MESSAGES_MAX)
		t.max = MESSAGES_MAX;
	if (since > 0) {
		time_put_iso(&b, clock_wall_ms() - (int64_t)since);
		t.since[b.n] = '\0';
	}
	if (t.id.n == 0 && t.from.n == 0 && t.to.n == 0 && since == 0) {
		call_end(c, CALL_USAGE, "which messages? An ID, --from, --to or --since");
		return;
	}
	if (!track_logs_of(c, &t.logs))
		return;
	t.ids = json_object();
	t.queued = json_object();
	t.by_key = json_object();
	t.by_queue_id = json_object();
	t.by_message = json_object();
	t.clocks = json_object();
	if (read_all(&t, &r, &e) != 0) {
		call_end_err(c, CALL_PARTLY, &e);
	} else {
		make_tree(&t);
		tell_all(&t, &r);
		call_end(c, t.visit_n > 0 ? CALL_OK : CALL_NOTHING,
			 t.visit_n > 0 ? NULL : "no such message in these logs");
	}
	for (size_t i = 0; i < t.entry_n; i++)
		json_decref(t.entries[i].event);
	free(t.entries);
	free(t.visits);
	json_decref(t.ids);
	json_decref(t.queued);
	json_decref(t.by_key);
	json_decref(t.by_queue_id);
	json_decref(t.by_message);
	json_decref(t.clocks);
}
