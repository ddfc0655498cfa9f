/* connectors/track.c: an event as columns, and columns as a line; see the header.
 *
 * Both formats are written from one row: the columns of Exchange's message tracking log in their order, and behind them
 * ours as key=value.  JSON leaves empty columns out and makes objects of "tls.ver", "tls.cipher".  No printf here: this
 * runs for each message, and it was half of the cost. */
#include "connectors/track.h"

#include "base/must.h"
#include "base/time.h"
#include "tls/mac.h"

#include <string.h>

enum { RECORD_MAX = 48 * 1024, TEXT_MAX = 1024, CUSTOM_MAX = 40, STATUS_MAX = 700 };

enum column {
	DATE_TIME,
	CLIENT_IP,
	CLIENT_HOSTNAME,
	SERVER_IP,
	SERVER_HOSTNAME,
	SOURCE_CONTEXT,
	CONNECTOR_ID,
	SOURCE,
	EVENT_ID,
	INTERNAL_MESSAGE_ID,
	MESSAGE_ID,
	NETWORK_MESSAGE_ID,
	RECIPIENT_ADDRESS,
	RECIPIENT_STATUS,
	TOTAL_BYTES,
	RECIPIENT_COUNT,
	RELATED_RECIPIENT_ADDRESS,
	REFERENCE,
	MESSAGE_SUBJECT,
	SENDER_ADDRESS,
	RETURN_PATH,
	MESSAGE_INFO,
	DIRECTIONALITY,
	TENANT_ID,
	ORIGINAL_CLIENT_IP,
	ORIGINAL_SERVER_IP,
	CUSTOM_DATA,
	TRANSPORT_TRAFFIC_TYPE,
	LOG_ID,
	SCHEMA_VERSION,
	COLUMN_N
};

static const struct str column_names[COLUMN_N] = {
	STR_LIT("date-time"),
	STR_LIT("client-ip"),
	STR_LIT("client-hostname"),
	STR_LIT("server-ip"),
	STR_LIT("server-hostname"),
	STR_LIT("source-context"),
	STR_LIT("connector-id"),
	STR_LIT("source"),
	STR_LIT("event-id"),
	STR_LIT("internal-message-id"),
	STR_LIT("message-id"),
	STR_LIT("network-message-id"),
	STR_LIT("recipient-address"),
	STR_LIT("recipient-status"),
	STR_LIT("total-bytes"),
	STR_LIT("recipient-count"),
	STR_LIT("related-recipient-address"),
	STR_LIT("reference"),
	STR_LIT("message-subject"),
	STR_LIT("sender-address"),
	STR_LIT("return-path"),
	STR_LIT("message-info"),
	STR_LIT("directionality"),
	STR_LIT("tenant-id"),
	STR_LIT("original-client-ip"),
	STR_LIT("original-server-ip"),
	STR_LIT("custom-data"),
	STR_LIT("transport-traffic-type"),
	STR_LIT("log-id"),
	STR_LIT("schema-version"),
};

/* In JSON, what readers filter by comes first. */
static const enum column json_order[] = {
	DATE_TIME,
	EVENT_ID,
	SOURCE,
	NETWORK_MESSAGE_ID,
	INTERNAL_MESSAGE_ID,
	MESSAGE_ID,
	SENDER_ADDRESS,
	CLIENT_IP,
	CLIENT_HOSTNAME,
	SERVER_IP,
	SERVER_HOSTNAME,
	SOURCE_CONTEXT,
	CONNECTOR_ID,
	RECIPIENT_STATUS,
	TOTAL_BYTES,
	RECIPIENT_COUNT,
	REFERENCE,
	MESSAGE_SUBJECT,
	DIRECTIONALITY,
	TENANT_ID,
	RELATED_RECIPIENT_ADDRESS,
};

static const char *const kind_names[TRACK_KIND_N] = { "RECEIVE",           "RESOLVE", "REDIRECT", "EXPAND", "TRANSFER",
						      "DUPLICATEREDIRECT", "SEND",    "DEFER",    "FAIL",   "DSN",
						      "TRACK-LOST" };
static const char *const source_names[] = { "SMTP", "ROUTING", "RESOLVER", "QUEUE", "DSN" };
static const char *const origin_names[] = { "INTERNET", "PEER", "LOCAL", "APP", "PARTNER", "SELF" };

const char *track_kind_name(enum track_kind k)
{
	return kind_names[k];
}

const char *track_origin_name(enum env_origin o)
{
	return (size_t)o < sizeof origin_names / sizeof origin_names[0] ? origin_names[o] : "?";
}

bool track_origin_parse(struct str s, enum env_origin *o)
{
	for (size_t i = 0; i < sizeof origin_names / sizeof origin_names[0]; i++)
		if (str_eq(s, str_c(origin_names[i]))) {
			*o = (enum env_origin)i;
			return true;
		}
	return false;
}

/* ---- one row ---- */

struct row {
	const struct track_event *e;
	size_t from, n; /* which of e->rcpts */
	struct str columns[COLUMN_N];
	struct kv custom[CUSTOM_MAX]; /* "group.key" */
	size_t custom_n;
	char time[40], id[20], bytes[24], count[24], status[STATUS_MAX], subject[40], rule[24];
};

static void add(struct row *r, const char *key, struct str value)
{
	must(r->custom_n < CUSTOM_MAX);
	if (value.n > 0)
		r->custom[r->custom_n++] = kv_str(key, value);
}

static void add_int(struct row *r, const char *key, uint64_t value)
{
	must(r->custom_n < CUSTOM_MAX);
	if (value > 0)
		r->custom[r->custom_n++] = kv_int(key, (int64_t)value);
}

static struct buf over(char *room, size_t size)
{
	return (struct buf){ .p = room, .cap = size, .max = size - 1 };
}

/* "sha256:1f8e...": the same subject gives the same text, so mail of one kind can be counted without being read. */
static struct str subject_hash(struct row *r)
{
	struct buf b = over(r->subject, sizeof r->subject);
	unsigned char mac[MAC_SIZE];

	mac_sha256(r->e->subject, mac);
	buf_add(&b, S("sha256:"));
	for (int i = 0; i < 8; i++)
		buf_addf(&b, "%02x", mac[i]);
	return buf_str(&b);
}

static void set_status(struct row *r)
{
	const struct reply *p = r->e->status;
	struct buf b = over(r->status, sizeof r->status);

	if (p == NULL || p->code == 0)
		return;
	buf_addu(&b, (uint64_t)p->code);
	if (p->class != 0) {
		buf_addc(&b, ' ');
		buf_addu(&b, p->class);
		buf_addc(&b, '.');
		buf_addu(&b, p->subject);
		buf_addc(&b, '.');
		buf_addu(&b, p->detail);
	}
	if (p->text.n > 0) {
		buf_addc(&b, ' ');
		buf_add(&b, str_head(p->text, STATUS_MAX - 40));
	}
	r->columns[RECIPIENT_STATUS] = buf_str(&b);
}

static void set_columns(struct row *r, const struct config *c, int64_t now_ms)
{
	const struct track_event *e = r->e;
	struct buf time = over(r->time, sizeof r->time), id = over(r->id, sizeof r->id);
	struct buf bytes = over(r->bytes, sizeof r->bytes), count = over(r->count, sizeof r->count);
	struct str *col = r->columns;

	time_put_iso(&time, now_ms);
	col[DATE_TIME] = buf_str(&time);
	col[CLIENT_IP] = e->client;
	col[CLIENT_HOSTNAME] = e->client_host;
	col[SERVER_IP] = e->server;
	col[SERVER_HOSTNAME] = e->server_host;
	col[SOURCE_CONTEXT] = e->context;
	col[CONNECTOR_ID] = e->connector;
	col[SOURCE] = str_c(source_names[e->source]);
	col[EVENT_ID] = str_c(kind_names[e->kind]);
	if (e->queue_id != 0)
		queue_put_id(&id, e->queue_id);
	col[INTERNAL_MESSAGE_ID] = buf_str(&id);
	col[MESSAGE_ID] = e->message_id;
	col[NETWORK_MESSAGE_ID] = e->trace;
	set_status(r);
	buf_addu(&bytes, e->size);
	col[TOTAL_BYTES] = buf_str(&bytes);
	buf_addu(&count, e->rcpt_n > 0 ? e->rcpt_n : e->rcpt.n > 0);
	col[RECIPIENT_COUNT] = buf_str(&count);
	col[RELATED_RECIPIENT_ADDRESS] = e->related;
	col[REFERENCE] = e->reference;
	col[MESSAGE_SUBJECT] = c->track.subject == TRACK_SUBJECT_ON                         ? e->subject
			       : c->track.subject == TRACK_SUBJECT_HASH && e->subject.n > 0 ? subject_hash(r)
											    : STR_NONE;
	col[SENDER_ADDRESS] = e->kind == TRACK_LOST ? STR_NONE : e->from.n > 0 ? e->from : S("<>");
	col[RETURN_PATH] = col[SENDER_ADDRESS];
	if (e->has_origin)
		col[DIRECTIONALITY] = e->origin == ENV_INTERNET || e->origin == ENV_PARTNER ||
						      (e->origin == ENV_PEER && e->class != ENV_CLASS_INT)
					      ? S("Incoming")
					      : S("Originating");
	col[TENANT_ID] = e->tenant;
	col[ORIGINAL_CLIENT_IP] = e->kind == TRACK_RECEIVE ? e->client : STR_NONE;
	col[TRANSPORT_TRAFFIC_TYPE] = S("Email");
	col[SCHEMA_VERSION] = S("1");
}

static void set_custom(struct row *r, const struct config *c)
{
	static const char *const classes[] = { "", "INT", "EXT" }, *const orgs[] = { "", "ok", "other" };
	const struct track_event *e = r->e;

	add(r, "gateway", c->hostname);
	add(r, "site", str_c(conf_site_name(c->site)));
	if (e->has_origin) {
		add(r, "origin", str_c(track_origin_name(e->origin)));
		add(r, "class", str_c(classes[e->class]));
		add(r, "org", str_c(orgs[e->org]));
	}
	add(r, "inbound", e->inbound);
	add(r, "how", e->how);
	add(r, "rule", str_c(e->rule));
	add(r, "reason", str_c(e->reason));
	if (e->straggler)
		add(r, "straggler", S("yes"));
	add(r, "loc", str_c(e->loc));
	add(r, "next", str_c(e->next));
	add(r, "form", str_c(e->form));
	add_int(r, "table-serial", e->serial);
	add_int(r, "epoch", e->epoch);
	if (e->mode != NULL)
		add(r, "mode", str_c(mode_name(e->mode)));
	add_int(r, "attempt", e->attempt);
	if (e->tls != NULL) {
		add(r, "tls.ver", e->tls->version);
		add(r, "tls.cipher", e->tls->cipher);
		add(r, "tls.level", e->tls->level);
		add(r, "tls.matched-id", e->tls->matched);
		add(r, "tls.cert-sha256", e->tls->sha256);
	}
	if (e->headers != NULL) {
		add_int(r, "hdr.stripped", e->headers->stripped);
		add_int(r, "hdr.renamed", e->headers->renamed);
		add_int(r, "hdr.promoted", e->headers->promoted);
		add_int(r, "hdr.demoted", e->headers->demoted);
		add(r, "hdr.groups", str_c(e->headers->groups));
	}
	add_int(r, "latency-ms.receive", e->receive_ms > 0 ? (uint64_t)e->receive_ms : 0);
	add_int(r, "latency-ms.queue", e->queue_ms > 0 ? (uint64_t)e->queue_ms : 0);
	add_int(r, "latency-ms.send", e->send_ms > 0 ? (uint64_t)e->send_ms : 0);
}

static size_t rcpt_n(const struct row *r)
{
	return r->e->rcpts != NULL ? r->n : r->e->rcpt.n > 0;
}

static struct str rcpt_at(const struct row *r, size_t i)
{
	return r->e->rcpts != NULL ? r->e->rcpts[r->from + i].addr : r->e->rcpt;
}

/* ---- JSON ---- */

static bool is_plain(char c)
{
	return c >= ' ' && c < 127 && c != '"' && c != '\\';
}

/* Bytes that are no clean UTF-8, and controls, become the character of their number: readable, and no line can be
 * forged. */
static void put_json_text(struct buf *b, struct str s)
{
	static const char hex[] = "0123456789abcdef";
	size_t run = 0;

	s = str_head(s, TEXT_MAX);
	buf_addc(b, '"');
	while (run < s.n) {
		char ch = s.p[run];
		if (is_plain(ch)) {
			run++;
			continue;
		}
		size_t n = chr_is_8bit(ch) ? str_utf8(str_skip(s, run)) : 0;
		if (n > 0) {
			run += n;
			continue;
		}
		buf_add(b, str_head(s, run));
		if (ch == '"' || ch == '\\')
			buf_add(b, (struct str){ (const char[]){ '\\', ch }, 2 });
		else if (ch == '\0')
			buf_add(b, S("\\ufffd")); /* many readers take no NUL */
		else
			buf_add(b, (struct str){ (const char[]){ '\\', 'u', '0', '0', hex[(unsigned char)ch >> 4],
								 hex[ch & 15] },
						 6 });
		s = str_skip(s, run + 1);
		run = 0;
	}
	buf_add(b, s);
	buf_addc(b, '"');
}

static void put_key(struct buf *b, struct str key)
{
	buf_addc(b, '"');
	buf_add(b, key);
	buf_add(b, S("\":"));
}

static void put_value(struct buf *b, const struct kv *kv)
{
	if (kv->type == KV_INT)
		buf_addu(b, (uint64_t)kv->i);
	else
		put_json_text(b, kv->s);
}

static void put_json_custom(struct buf *b, const struct row *r)
{
	struct str open = STR_NONE; /* the object being written */

	for (size_t i = 0; i < r->custom_n; i++) {
		struct str group, key;
		if (!str_cut(str_c(r->custom[i].key), '.', &group, &key)) {
			key = group;
			group = STR_NONE;
		}
		if (open.n > 0 && !str_eq(group, open))
			buf_addc(b, '}');
		if (group.n == 0 || !str_eq(group, open)) {
			buf_addc(b, ',');
			if (group.n > 0) {
				put_key(b, group);
				buf_addc(b, '{');
			}
		} else {
			buf_addc(b, ',');
		}
		open = group;
		put_key(b, key);
		put_value(b, &r->custom[i]);
	}
	if (open.n > 0)
		buf_addc(b, '}');
}

static void put_json(struct buf *b, const struct row *r)
{
	for (size_t i = 0; i < sizeof json_order / sizeof json_order[0]; i++) {
		enum column c = json_order[i];
		if (r->columns[c].n == 0)
			continue;
		buf_addc(b, i == 0 ? '{' : ',');
		put_key(b, column_names[c]);
		if (c == TOTAL_BYTES || c == RECIPIENT_COUNT)
			buf_add(b, r->columns[c]);
		else
			put_json_text(b, r->columns[c]);
	}
	for (size_t i = 0; i < rcpt_n(r); i++) {
		buf_add(b, i == 0 ? S(",\"recipient-address\":[") : S(","));
		put_json_text(b, rcpt_at(r, i));
	}
	if (rcpt_n(r) > 0)
		buf_addc(b, ']');
	put_json_custom(b, r);
	buf_add(b, S("}\n"));
}

/* ---- CSV ---- */

/* Inside of quotes: doubled quotes, controls as \xNN, so that a row is a line. */
static void put_csv_bytes(struct buf *b, struct str s)
{
	s = str_head(s, TEXT_MAX);
	for (size_t i = 0; i < s.n;) {
		size_t n = str_utf8(str_skip(s, i));
		if (n == 0 || chr_is_ctl(s.p[i])) {
			buf_addf(b, "\\x%02x", (unsigned)(unsigned char)s.p[i++]);
			continue;
		}
		if (s.p[i] == '"')
			buf_addc(b, '"');
		buf_add(b, str_head(str_skip(s, i), n));
		i += n;
	}
}

static bool is_bare(struct str s)
{
	for (size_t i = 0; i < s.n; i++)
		if (chr_is_ctl(s.p[i]) || chr_is_8bit(s.p[i]) || s.p[i] == ',' || s.p[i] == '"')
			return false;
	return s.n <= TEXT_MAX;
}

static void put_csv_custom(struct buf *b, const struct row *r)
{
	for (size_t i = 0; i < r->custom_n; i++) {
		const struct kv *kv = &r->custom[i];
		buf_add(b, i > 0 ? S(";S:") : S("S:"));
		buf_add(b, str_c(kv->key));
		buf_addc(b, '=');
		if (kv->type == KV_INT)
			buf_addu(b, (uint64_t)kv->i);
		else
			put_csv_bytes(b, kv->s);
	}
}

static void put_csv(struct buf *b, const struct row *r)
{
	for (int c = 0; c < COLUMN_N; c++) {
		if (c > 0)
			buf_addc(b, ',');
		if (c != RECIPIENT_ADDRESS && c != CUSTOM_DATA && is_bare(r->columns[c])) {
			buf_add(b, r->columns[c]);
			continue;
		}
		buf_addc(b, '"');
		if (c == CUSTOM_DATA)
			put_csv_custom(b, r);
		else if (c != RECIPIENT_ADDRESS)
			put_csv_bytes(b, r->columns[c]);
		for (size_t i = 0; c == RECIPIENT_ADDRESS && i < rcpt_n(r); i++) {
			if (i > 0)
				buf_addc(b, ';');
			put_csv_bytes(b, rcpt_at(r, i));
		}
		buf_addc(b, '"');
	}
	buf_add(b, S("\r\n"));
}

/* ---- events ---- */

static bool put_part(struct buf *b, const struct config *c, const struct track_event *e, size_t from, size_t n,
		     int64_t now_ms)
{
	struct row r;
	size_t before = b->n;

	r.e = e;
	r.from = from;
	r.n = n;
	r.custom_n = 0;
	memset(r.columns, 0, sizeof r.columns);
	set_columns(&r, c, now_ms);
	set_custom(&r, c);
	if (c->track.format == TRACK_FORMAT_CSV)
		put_csv(b, &r);
	else
		put_json(b, &r);
	if (b->full)
		b->n = before;
	return !b->full;
}

bool track_put_event(struct buf *b, const struct config *c, const struct track_event *e, int64_t now_ms)
{
	return put_part(b, c, e, 0, e->rcpt_n, now_ms);
}

static void put_parts(struct track_ring *ring, const struct config *c, const struct track_event *e, size_t from,
		      size_t n)
{
	char room[RECORD_MAX];
	struct buf b = over(room, sizeof room);

	if (put_part(&b, c, e, from, n, clock_wall_ms())) {
		track_put(ring, buf_str(&b));
		return;
	}
	must(n > 1); /* one recipient fits: every text is cut at TEXT_MAX, an address is shorter */
	put_parts(ring, c, e, from, n / 2);
	put_parts(ring, c, e, from + n / 2, n - n / 2);
}

void track_event(struct track_ring *ring, const struct config *c, const struct track_event *e)
{
	if (ring != NULL)
		put_parts(ring, c, e, 0, e->rcpt_n);
}

void track_headers_of(const struct header_changes *c, struct track_headers *out)
{
	*out = (struct track_headers){ 0 };
	for (int g = 0; g < GROUP_N; g++) {
		out->stripped += c->counts[g][HEADER_STRIP];
		out->renamed += c->counts[g][HEADER_RENAME];
		out->promoted += c->counts[g][HEADER_PROMOTE];
		out->demoted += c->counts[g][HEADER_DEMOTE];
	}
	snprintf(out->groups, sizeof out->groups, STR_FMT, STR_ARG(c->summary));
}

/* ---- what the writer adds of itself ---- */

void track_put_head(struct buf *b, int64_t now_ms)
{
	buf_add(b, S("#Software: Tombolo\r\n#Version: 15.0.0.0\r\n#Log-Type: Message Tracking Log\r\n#Date: "));
	time_put_iso(b, now_ms);
	buf_add(b, S("\r\n#Fields: "));
	for (int i = 0; i < COLUMN_N; i++) {
		if (i > 0)
			buf_addc(b, ',');
		buf_add(b, column_names[i]);
	}
	buf_add(b, S("\r\n"));
}

static void put_lost(struct buf *b, uint64_t n, int64_t now_ms, enum conf_track_format format)
{
	const struct config c = { .track.format = format };
	const struct track_event e = { .kind = TRACK_LOST, .source = TRACK_BY_QUEUE, .size = n };

	track_put_event(b, &c, &e, now_ms);
}

void track_put_lost_json(struct buf *b, uint64_t n, int64_t now_ms)
{
	put_lost(b, n, now_ms, TRACK_FORMAT_JSON);
}

void track_put_lost_csv(struct buf *b, uint64_t n, int64_t now_ms)
{
	put_lost(b, n, now_ms, TRACK_FORMAT_CSV);
}
